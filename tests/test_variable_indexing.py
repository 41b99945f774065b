"""Indexing and writing, compared with NumPy; gradients of moving elements, compared with the transpose."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rustorch
from tests.support.target import Target

A = numpy.arange(24.0).reshape(2, 3, 4)
KEYS: dict[str, Any] = {
    "integers": (1, 2, 3), "negative": (-1, -3, -4), "slices": (slice(None), slice(0, 2), slice(1, None, 2)),
    "backwards": (slice(None, None, -1), ..., slice(3, 0, -2)), "ellipsis": (..., 1), "only ellipsis": ...,
    "new axes": (None, ..., None, 0), "mixed": (0, slice(1, None), None, -1), "empty slice": (slice(2, 1), ...),
    "out of range slice": (..., slice(2, 100)), "steps": (slice(None, None, 2), slice(None), slice(-1, -4, -3)),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_keys_read_and_write_as_in_numpy(key: Any, backend: Target) -> None:
    x = backend.variable(A)
    numpy.testing.assert_array_equal(backend.numpy(x[key]), A[key])
    want = A.copy()
    want[key] = 100 + A[key]
    x[key] = backend.variable(100 + A[key])
    numpy.testing.assert_array_equal(backend.numpy(x), want)
    want[key] = -1.0
    x[key] = -1.0
    numpy.testing.assert_array_equal(backend.numpy(x), want)


@pytest.mark.parametrize("key", [1, slice(1, None), slice(None, None, -1), (1, 2)], ids=str)
def test_dimensions_that_a_key_leaves_out_are_whole(key: Any, backend: Target) -> None:
    numpy.testing.assert_array_equal(backend.numpy(backend.variable(A)[key]), A[key])


def test_integer_arrays_and_lists_are_keys(backend: Target) -> None:
    a = numpy.array([1.0, 2.0, 3.0])
    x = backend.variable(a)
    index = backend.variable([2, 0, 2, -1], "int64")
    numpy.testing.assert_array_equal(backend.numpy(x[index]), a[[2, 0, 2, -1]])
    numpy.testing.assert_array_equal(backend.numpy(x[[2, 0]]), a[[2, 0]])
    numpy.testing.assert_array_equal(backend.numpy(x[backend.array([1], "int64")]), [2.0])
    assert x[[]].shape == (0,)
    assert x[backend.variable(1, "int64")].item() == 2.0


def test_boolean_masks_are_keys(backend: Target) -> None:
    x = backend.variable(A)
    mask = x > 10.0
    numpy.testing.assert_array_equal(backend.numpy(x[mask]), A[A > 10])
    x[mask] = 0.0
    numpy.testing.assert_array_equal(backend.numpy(x), numpy.where(A > 10, 0, A))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0), (0, 0)], ids=str)
def test_masks_without_elements_select_nothing(shape: tuple, backend: Target) -> None:
    """The standard's own suite requires NumPy's rule: a mask's size of 0 fits every dimension."""
    x, mask = backend.variable(A[0, :2, :3], requires_grad=True), backend.variable(numpy.zeros(shape), "bool")
    out = x[mask]
    assert out.shape == A[0, :2, :3][numpy.zeros(shape, bool)].shape
    out.sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), numpy.zeros((2, 3)))
    with pytest.raises(IndexError, match=r"mask|boolean"):
        x[backend.variable(numpy.zeros((1, 0)), "bool")]


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_wide_unsigned_integers_are_keys(dtype: str, backend: Target) -> None:
    a = numpy.array([1, 2, 2 ** (8 * numpy.dtype(dtype).itemsize) - 1], dtype)
    x, places = backend.variable(a, dtype), backend.variable([2, 0, 2, 1], "int64")
    for got in (x[places], rustorch.take(x, places), rustorch.take_along_axis(x, places)):
        assert got.dtype == a.dtype
        numpy.testing.assert_array_equal(backend.numpy(got), a[[2, 0, 2, 1]])
    numpy.testing.assert_array_equal(backend.numpy(x[backend.variable([True, False, True], "bool")]), a[[0, 2]])
    numpy.testing.assert_array_equal(backend.numpy(x[::-1]), a[::-1])


def test_values_that_are_no_index_are_refused(backend: Target) -> None:
    x = backend.variable(A)
    with pytest.raises(IndexError, match=r"an index is an integer, a slice, None, Ellipsis.*not float64"):
        x[backend.variable([1.0])]
    with pytest.raises((IndexError, TypeError)):
        x["text"]
    with pytest.raises(IndexError):
        x[..., 4]
    with pytest.raises(IndexError):
        x[0, 0, 0, 0]


# -- the transpose of a linear function --------------------------------------------------------------------------------
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def _dot_product_test(f: Any, v: numpy.ndarray) -> None:
    """``<g, f(v)> == <transpose of f(g), v>`` for a linear f, with the gradient as its transpose."""
    rng = numpy.random.default_rng(v.size)
    x = rustorch.Variable(v.copy(), requires_grad=True)
    out = f(x)
    g = rng.standard_normal(out.shape)
    out.backward(g)
    assert x.grad.shape == v.shape
    numpy.testing.assert_allclose(numpy.sum(g * out.data), numpy.sum(x.grad * v), rtol=1e-9, atol=1e-9)


def _values(shape: tuple[int, ...]) -> numpy.ndarray:
    return numpy.random.default_rng(len(shape)).standard_normal(shape)


@quick
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0))
def test_gradients_undo_broadcasting_of_written_values(shapes: hnp.BroadcastableShapes) -> None:
    one, two = (_values(shape) for shape in shapes.input_shapes)
    x, y = rustorch.Variable(one, requires_grad=True), rustorch.Variable(two, requires_grad=True)
    out = x * y
    assert out.shape == shapes.result_shape
    out.sum().backward() if out.size != 1 else out.backward(numpy.ones(out.shape))
    assert (x.grad.shape, y.grad.shape) == (one.shape, two.shape)
    numpy.testing.assert_allclose(numpy.sum(x.grad * one), numpy.sum(one * two), atol=1e-12)
    numpy.testing.assert_allclose(numpy.sum(y.grad), numpy.sum(numpy.broadcast_to(one, out.shape)), atol=1e-12)


@quick
@given(SHAPES, st.data())
def test_gradients_pass_through_permutations_and_reshapes(shape: tuple[int, ...], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    _dot_product_test(lambda x: rustorch.permute_dims(x, tuple(order)), _values(shape))
    _dot_product_test(lambda x: rustorch.reshape(x, (x.size,)), _values(shape))
    _dot_product_test(lambda x: rustorch.flip(x), _values(shape))
    _dot_product_test(lambda x: rustorch.roll(x, data.draw(st.integers(-5, 5))), _values(shape))


@quick
@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3), st.data())
def test_gradients_pass_through_concat_and_stack(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    _dot_product_test(lambda x: rustorch.concat([x, x * 2, x], axis=axis), _values(shape))
    _dot_product_test(lambda x: rustorch.stack([x, x * 3], axis=axis), _values(shape))
    _dot_product_test(
        lambda x: rustorch.stack([2 * row for row in rustorch.unstack(x, axis=axis)] or [x], axis=0), _values(shape)
    )


@quick
@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3), st.data())
def test_gradients_pass_through_basic_indices(shape: tuple[int, ...], data: st.DataObject) -> None:
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    v = _values(shape)
    out = rustorch.Variable(v)[key]
    numpy.testing.assert_array_equal(out.data, v[key])
    _dot_product_test(lambda x: x[key], v)


@quick
@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3), st.data())
def test_gradients_add_up_at_repeated_indices(shape: tuple[int, ...], data: st.DataObject) -> None:
    key = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4)))
    _dot_product_test(lambda x: x[key], _values(shape))
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = data.draw(hnp.arrays(numpy.int64, st.integers(0, 4), elements=st.integers(-shape[axis], shape[axis] - 1)))
    _dot_product_test(lambda x: rustorch.take(x, places, axis=axis), _values(shape))


@quick
@given(hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4), st.data())
def test_gradients_pass_through_masks(shape: tuple[int, ...], data: st.DataObject) -> None:
    mask = data.draw(hnp.arrays(numpy.bool_, shape))
    _dot_product_test(lambda x: x[mask], _values(shape))
    _dot_product_test(lambda x: rustorch.where(mask, x, 0.0), _values(shape))
