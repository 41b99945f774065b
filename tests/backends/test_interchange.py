"""Arrays from and to other libraries: NumPy's protocols, DLPack, copies and pickles."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy
import pytest

import rustorch
from tests.support.target import Target

#: Devices whose arrays never share NumPy's memory. "torch" and other libraries on the host may share it.
COPIES = ("cuda", "jax", "strict")


class Exporter:
    """An object that speaks DLPack and nothing else."""

    def __init__(self, array: numpy.ndarray):
        self._array = array

    def __dlpack__(self, **options: object) -> object:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


# -- NumPy -------------------------------------------------------------------------------------------------------------
def test_numpy_shares_the_memory_of_a_variable() -> None:
    a = numpy.array([1.0, 2.0])
    x = rustorch.Variable(a)
    assert numpy.shares_memory(numpy.asarray(x), a)
    assert x.numpy() is a
    assert numpy.asarray(x, dtype=numpy.float32).dtype == numpy.float32
    assert not numpy.shares_memory(numpy.array(x, copy=True), a)


def test_numpy_refuses_a_variable_that_requires_grad() -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    for call in (lambda: numpy.asarray(x), lambda: numpy.asarray(x * 2), x.numpy):
        with pytest.raises(RuntimeError, match=r"requires grad would lose its gradient; use \.detach\(\)"):
            call()
    numpy.testing.assert_array_equal(numpy.asarray(x.detach()), [1.0, 2.0])


def test_numpy_refuses_a_variable_on_another_device(backend: Target) -> None:
    if backend.device == "cpu":
        pytest.skip("cpu: is the host")
    x = backend.variable([1.0, 2.0])
    for call in (x.numpy, lambda: numpy.asarray(x)):
        with pytest.raises(RuntimeError, match=rf"this one is on '{backend.device}'; use \.cpu\(\)"):
            call()
    numpy.testing.assert_array_equal(x.cpu().numpy(), [1.0, 2.0])


def test_an_operation_of_an_array_and_a_variable_returns_a_variable() -> None:
    assert rustorch.Variable.__array_ufunc__ is None
    a, x = numpy.array([1.0, 2.0]), rustorch.tensor([3.0, 4.0], dtype=rustorch.float64, requires_grad=True)
    for y in (a + x, a - x, a * x, a / x, a**x, a @ x, a < x, a == x, numpy.float64(2) * x):
        assert isinstance(y, rustorch.Variable)
    (a * x).sum().backward()
    numpy.testing.assert_array_equal(x.grad, a)
    with pytest.raises(TypeError):
        numpy.exp(x)


def test_arrays_without_numbers_are_refused() -> None:
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


# -- DLPack ------------------------------------------------------------------------------------------------------------
def test_from_dlpack_shares_memory() -> None:
    a = numpy.array([1.0, 2.0])
    for source in (a, Exporter(a), rustorch.Variable(a)):
        x = rustorch.from_dlpack(source)
        assert x.device == "cpu"
        assert numpy.shares_memory(x.data, a)
        assert not numpy.shares_memory(rustorch.from_dlpack(source, copy=True).data, a)
    with pytest.raises(AttributeError, match="from_dlpack: list has no __dlpack__"):
        rustorch.from_dlpack([1.0])


def test_from_dlpack_takes_arrays_of_each_library(backend: Target) -> None:
    x = rustorch.from_dlpack(backend.array([1.0, 2.0]))
    assert x.device == backend.device
    moved = rustorch.from_dlpack(backend.array([1.0, 2.0]), device="cpu")
    assert moved.device == "cpu"
    numpy.testing.assert_array_equal(moved.numpy(), [1.0, 2.0])


def address(x: Any) -> int:
    """The address of the first element of an array of NumPy, PyTorch, JAX or CuPy."""
    if isinstance(x, numpy.ndarray):
        return x.ctypes.data
    if hasattr(x, "data_ptr"):
        return x.data_ptr()
    return x.unsafe_buffer_pointer() if hasattr(x, "unsafe_buffer_pointer") else x.data.ptr


def test_to_dlpack_shares_memory() -> None:
    x = rustorch.tensor([1.0, 2.0])
    a = numpy.from_dlpack(x)
    assert address(a) == address(x.data)
    x[1] = 7.0
    assert x.tolist() == a.tolist() == [1.0, 7.0]
    if a.flags.writeable:  # since NumPy 2.1
        a[0] = 5.0
        assert x.tolist() == [5.0, 7.0]


def test_pytorchs_tensors_share_memory() -> None:
    torch = pytest.importorskip("torch")
    t = torch.tensor([1.0, 2.0, 3.0])
    for x in (
        rustorch.from_dlpack(t),
        rustorch.from_dlpack(t, device="cpu"),
        rustorch.from_dlpack(t, device="cpu", copy=False),
    ):
        assert address(x.data) == t.data_ptr()
        x[0] = x[0] + 1.0  # each sees the other's writes
        t[1] += 1.0
        assert x.tolist() == t.tolist()
    assert t.tolist() == [4.0, 5.0, 3.0]
    x = rustorch.from_dlpack(t, device="cpu").requires_grad_()
    (x * x).sum().backward()
    numpy.testing.assert_array_equal(x.grad, 2 * t.numpy())
    for x in (rustorch.tensor([1.0, 2.0]), rustorch.from_dlpack(torch.tensor([1.0, 2.0]))):
        back = torch.from_dlpack(x)
        assert back.data_ptr() == address(x.data)
        back[0] = 5.0
        x[1] = 7.0
        assert x.tolist() == back.tolist() == [5.0, 7.0]
    into = rustorch.from_dlpack(numpy.array([1.0, 2.0]), device="torch")
    assert (into.device, into.dtype) == ("torch", rustorch.float64)
    for copied in (rustorch.from_dlpack(t, copy=True), rustorch.from_dlpack(t, device="cpu", copy=True)):
        assert address(copied.data) != t.data_ptr()


def test_jaxs_arrays_share_memory() -> None:
    jax = pytest.importorskip("jax")
    rustorch.backends.resolve("jax")
    j = jax.numpy.asarray([1.0, 2.0, 3.0])
    x = rustorch.from_dlpack(j)
    assert x.device == "jax"
    assert address(x.data) == address(j) == address(jax.numpy.from_dlpack(x)) == address(numpy.from_dlpack(x))
    # JAX shares memory that starts at a multiple of 64 bytes. Nobody may write into it while JAX uses it.
    room = numpy.arange(16, dtype="float64")
    start = -room.ctypes.data % 64 // 8
    y = rustorch.Variable(room[start : start + 8])
    assert address(jax.numpy.from_dlpack(y)) == address(y.data)


def test_jaxs_arrays_are_copied_to_mutable_arrays() -> None:
    jax = pytest.importorskip("jax")
    rustorch.backends.resolve("jax")
    j = jax.numpy.asarray([1.0, 2.0])
    x = rustorch.from_dlpack(j, device="cpu")
    x[0] = 5.0
    assert j.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match=r"copy=False, but moving data from 'jax' to 'cpu' copies it"):
        rustorch.from_dlpack(j, device="cpu", copy=False)


def test_cupys_arrays_share_memory() -> None:
    try:
        rustorch.backends.resolve("cuda")
    except RuntimeError as reason:
        pytest.skip(str(reason))
    import cupy

    c = cupy.arange(3.0)
    x = rustorch.from_dlpack(c)
    assert x.device == "cuda"
    assert address(x.data) == address(c) == address(cupy.from_dlpack(x))
    x[0] = 5.0
    cupy.from_dlpack(x)[1] = 7.0
    assert c.tolist() == [5.0, 7.0, 2.0]
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    t = torch.from_dlpack(x)
    assert t.data_ptr() == address(c)
    assert address(rustorch.from_dlpack(t, device="cuda", copy=False).data) == address(c)
    t[2] = 9.0
    assert x.tolist() == [5.0, 7.0, 9.0]


def test_dlpack_refuses_a_variable_that_requires_grad() -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    for call in (lambda: numpy.from_dlpack(x), lambda: rustorch.from_dlpack(x)):
        with pytest.raises(BufferError, match=r"use \.detach\(\) first"):
            call()


def test_copy_false_between_devices_is_refused(backend: Target) -> None:
    if backend.device == "cpu":
        pytest.skip("cpu: needs a second device")
    if backend.device in COPIES:
        with pytest.raises(ValueError, match="copy=False"):
            rustorch.from_dlpack(numpy.zeros(2), device=backend.device, copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        rustorch.asarray(numpy.zeros(2), device=backend.device, copy=False)


# -- copies ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_a_copied_leaf_is_an_independent_leaf(copied: object, backend: Target) -> None:
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


def test_a_value_with_a_graph_is_not_copied(backend: Target) -> None:
    y = backend.variable([1.0, 2.0], requires_grad=True) * 2
    for call in (lambda: copy.deepcopy(y), lambda: pickle.dumps(y)):
        with pytest.raises(RuntimeError, match=r"detach\(\)|clone\(\)"):
            call()
    assert not copy.deepcopy(y.detach()).requires_grad
