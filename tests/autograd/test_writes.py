"""``x[key] = v`` and the graph: writes are recorded, and a write into a saved value raises in backward."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from tests.support.target import Target


def test_a_write_after_the_call_is_noticed_at_backward(backend: Target) -> None:
    if backend.device == "jax":
        pytest.skip("jax: arrays are never written in place")
    x = backend.variable([1.0, 2.0], requires_grad=True)
    c = backend.variable([3.0, 4.0])
    y = (x * c).sum()
    c[0] = 100.0
    with pytest.raises(
        RuntimeError,
        match=r"multiply: an array that its gradient needs \(shape \(2,\)\) was changed in place.*clone\(\)",
    ):
        y.backward()
    assert x.grad is None
    (x * c).sum().backward()  # what is called after the write is right
    numpy.testing.assert_allclose(backend.numpy(x.grad), [100.0, 4.0])


def test_a_write_through_a_view_is_noticed_too(backend: Target) -> None:
    if backend.device == "jax":
        pytest.skip("jax: arrays are never written in place")
    x = backend.variable([1.0, 2.0], requires_grad=True)
    c = backend.variable([[3.0, 4.0], [5.0, 6.0]])
    y = (x * c[0, :]).sum()
    c[1, 0] = 0.0  # the same memory block, but it is not known which part
    c[:, :] = 7.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_write_into_an_array_that_no_rule_needs_raises_nothing(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    c = backend.variable([3.0, 4.0])
    y = (x + c).sum()  # add keeps nothing
    c[0] = 100.0
    y.backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [1.0, 1.0])


def test_a_leaf_that_requires_grad_is_not_written_outside_no_grad(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"no_grad\(\)"):
        x[0] = 5.0
    numpy.testing.assert_array_equal(backend.numpy(x), [1.0, 2.0])
    with rustorch.no_grad():
        x[0] = 5.0
    numpy.testing.assert_array_equal(backend.numpy(x), [5.0, 2.0])
    assert x.requires_grad
    assert x.is_leaf
    (x * x).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [10.0, 4.0])


def test_a_write_into_a_computed_value_is_recorded(backend: Target) -> None:
    x = backend.variable([1.0, 2.0, 3.0], requires_grad=True)
    v = backend.variable(5.0, requires_grad=True)
    y = x * 2
    y[1] = v
    (y * y).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [8.0, 0.0, 24.0])
    assert float(backend.numpy(v.grad)) == 10.0


def test_a_tracked_value_written_into_an_untracked_array_is_recorded(backend: Target) -> None:
    v = backend.variable([1.0, 2.0], requires_grad=True)
    y = backend.variable([0.0, 0.0, 0.0])
    y[1:] = v * 3
    assert y.requires_grad
    y.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(v.grad), [3.0, 3.0])


def test_an_untracked_write_is_in_place_where_the_library_allows() -> None:
    a = numpy.zeros(3)
    x = rustorch.Variable(a)
    x[1] = 2.0
    numpy.testing.assert_array_equal(a, [0.0, 2.0, 0.0])
    assert x.data is a


def test_a_read_only_array_is_copied_before_it_is_written() -> None:
    a = numpy.zeros(2)
    a.flags.writeable = False
    x = rustorch.Variable(a)
    x[0] = 1.0
    numpy.testing.assert_array_equal(a, [0.0, 0.0])
    numpy.testing.assert_array_equal(x.data, [1.0, 0.0])


def test_writes_that_do_not_fit_raise_and_change_nothing(backend: Target) -> None:
    x = backend.variable([1.0, 2.0, 3.0])
    with pytest.raises((ValueError, RuntimeError)):
        x[:2] = backend.variable([1.0, 2.0, 3.0])
    with pytest.raises(TypeError):
        x[0] = "text"
    numpy.testing.assert_array_equal(backend.numpy(x), [1.0, 2.0, 3.0])


def test_a_value_of_another_device_is_refused() -> None:
    pytest.importorskip("array_api_strict")
    x = rustorch.zeros(2)
    with pytest.raises(RuntimeError, match=r"'cpu' and 'strict'.*\.to\('cpu'\)"):
        x[0] = rustorch.ones((), device="strict")
    assert x.tolist() == [0.0, 0.0]
