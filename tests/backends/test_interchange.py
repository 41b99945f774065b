"""Arrays in and out: NumPy's protocols, DLPack, copies and pickles."""

from __future__ import annotations

import copy
import pickle

import numpy
import pytest

import rustorch
from tests.support.target import Target


class Exporter:
    """An object that speaks DLPack and nothing else."""

    def __init__(self, array: numpy.ndarray):
        self._array = array

    def __dlpack__(self, **options: object) -> object:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


# -- NumPy ---------------------------------------------------------------------------------------------------------------
def test_numpy_takes_a_variable_without_copying() -> None:
    a = numpy.array([1.0, 2.0])
    x = rustorch.Variable(a)
    assert numpy.shares_memory(numpy.asarray(x), a)
    assert x.numpy() is a
    assert numpy.asarray(x, dtype=numpy.float32).dtype == numpy.float32
    assert not numpy.shares_memory(numpy.array(x, copy=True), a)


def test_numpy_takes_nothing_that_would_lose_a_gradient() -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    for call in (lambda: numpy.asarray(x), lambda: numpy.asarray(x * 2), x.numpy):
        with pytest.raises(RuntimeError, match=r"requires grad would lose its gradient; use \.detach\(\)"):
            call()
    numpy.testing.assert_array_equal(numpy.asarray(x.detach()), [1.0, 2.0])


def test_numpy_takes_nothing_from_another_device(backend: Target) -> None:
    if backend.device == "cpu":
        pytest.skip("cpu: is the host")
    x = backend.variable([1.0, 2.0])
    for call in (x.numpy, lambda: numpy.asarray(x)):
        with pytest.raises(RuntimeError, match=rf"this one is on '{backend.device}'; use \.cpu\(\)"):
            call()
    numpy.testing.assert_array_equal(x.cpu().numpy(), [1.0, 2.0])


def test_an_array_and_a_variable_make_a_variable() -> None:
    assert rustorch.Variable.__array_ufunc__ is None
    a, x = numpy.array([1.0, 2.0]), rustorch.tensor([3.0, 4.0], dtype=rustorch.float64, requires_grad=True)
    for y in (a + x, a - x, a * x, a / x, a**x, a @ x, a < x, a == x, numpy.float64(2) * x):
        assert isinstance(y, rustorch.Variable)
    (a * x).sum().backward()
    numpy.testing.assert_array_equal(x.grad, a)
    with pytest.raises(TypeError):
        numpy.exp(x)


def test_arrays_of_no_numbers_are_refused() -> None:
    for a in (
        numpy.array(["a"]),
        numpy.array([object()]),
        numpy.array(["2020-01-01"], dtype="datetime64[D]"),
        numpy.zeros(1, "i4,f4"),
    ):
        with pytest.raises(TypeError, match="hold no numbers"):
            rustorch.Variable(a)
    with pytest.raises(TypeError, match=r"lose its mask.*filled\(0\)"):
        rustorch.Variable(numpy.ma.masked_array([1.0, 2.0], [True, False]))


# -- DLPack ----------------------------------------------------------------------------------------------------------------
def test_dlpack_in_shares_memory() -> None:
    a = numpy.array([1.0, 2.0])
    for source in (a, Exporter(a), rustorch.Variable(a)):
        x = rustorch.from_dlpack(source)
        assert x.device == "cpu"
        assert numpy.shares_memory(x.data, a)
        assert not numpy.shares_memory(rustorch.from_dlpack(source, copy=True).data, a)
    with pytest.raises(TypeError, match="from_dlpack: list has no __dlpack__"):
        rustorch.from_dlpack([1.0])


def test_dlpack_in_from_each_library(backend: Target) -> None:
    x = rustorch.from_dlpack(backend.array([1.0, 2.0]))
    assert x.device == backend.device
    moved = rustorch.from_dlpack(backend.array([1.0, 2.0]), device="cpu")
    assert moved.device == "cpu"
    numpy.testing.assert_array_equal(moved.numpy(), [1.0, 2.0])


def test_dlpack_out_shares_memory() -> None:
    x = rustorch.tensor([1.0, 2.0])
    a = numpy.from_dlpack(x)
    assert numpy.shares_memory(a, x.data)
    torch = pytest.importorskip("torch")
    t = torch.from_dlpack(x)
    t[0] = 5.0
    assert x.tolist() == [5.0, 2.0]


def test_dlpack_loses_no_gradient() -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    for call in (lambda: numpy.from_dlpack(x), lambda: rustorch.from_dlpack(x)):
        with pytest.raises(BufferError, match=r"use \.detach\(\) first"):
            call()


def test_copy_false_between_devices_is_refused(backend: Target) -> None:
    if backend.device == "cpu":
        pytest.skip("cpu: needs a second device")
    with pytest.raises(ValueError, match="copy=False"):
        rustorch.from_dlpack(numpy.zeros(2), device=backend.device, copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        rustorch.asarray(numpy.zeros(2), device=backend.device, copy=False)


# -- copies ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_a_leaf_survives_copying(copied: object, backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copied(x)
    assert (y.device, y.dtype, y.requires_grad, y.is_leaf) == (x.device, x.dtype, True, True)
    numpy.testing.assert_array_equal(backend.numpy(y), [1.0, 2.0])
    numpy.testing.assert_array_equal(backend.numpy(y.grad), [2.0, 4.0])
    with rustorch.no_grad():
        y[0] = 9.0
    numpy.testing.assert_array_equal(backend.numpy(x), [1.0, 2.0])
    y.zero_grad()
    (y * 3).sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(y.grad), [3.0, 3.0])


def test_a_computed_value_is_not_copied_silently(backend: Target) -> None:
    y = backend.variable([1.0, 2.0], requires_grad=True) * 2
    for call in (lambda: copy.deepcopy(y), lambda: pickle.dumps(y)):
        with pytest.raises(RuntimeError, match=r"detach\(\)|clone\(\)"):
            call()
    assert not copy.deepcopy(y.detach()).requires_grad
