"""Compiled reading and adding at indices against NumPy: axes, layouts, repeated and negative indices, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy
import pytest

from rustorch.backends.kernels import KERNELS
from rustorch.backends.numba import indexing
from rustorch.backends.numba.indexing import OVERRIDES
from tests.support.compiled import call, check, same_with_threads, threads
from tests.support.plain_namespace import PLAIN

_call, _equal = partial(call, OVERRIDES), partial(check, bound=0)
DTYPES = ["float32", "float64"]
#: Shapes and axes: rows, one element, columns, between, many rows of columns, and more columns than a block has.
SHAPES = [((9, 4), 0), ((9, 4), -1), ((1,), 0), ((30,), 0), ((3, 5, 7), 1), ((12, 5, 3), 1), ((5, 200), 0)]


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "LEAST", 0)
    monkeypatch.setattr(indexing, "LEAST_TAKEN", 0)


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    with threads(2):
        yield


def _count(shape: tuple[int, ...], axis: int, count: int) -> tuple[int, ...]:
    axis %= len(shape)
    return (*shape[:axis], count, *shape[axis + 1 :])


def _added(values: Any, indices: Any, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros with the slices of values added one after the other."""
    out = numpy.zeros(shape, values.dtype)
    rows, slices = numpy.moveaxis(out, axis, 0), numpy.moveaxis(values, axis, 0)
    for i, index in enumerate(indices):
        rows[index] += slices[i]
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_slices_are_read_and_added(shape: tuple[int, ...], axis: int, dtype: str, rng: numpy.random.Generator) -> None:
    x = rng.standard_normal(shape).astype(dtype)
    for count in (1, 3, 40):
        indices = rng.integers(-shape[axis], shape[axis], count)
        _equal(_call("take", x, indices, axis=axis), numpy.take(x, indices, axis=axis))
        _equal(_call("take", x, indices.astype("int32"), axis=axis), numpy.take(x, indices, axis=axis))
        values = rng.standard_normal(_count(shape, axis, count)).astype(dtype)
        # equal to the last bit: terms are added in the order of the indices
        _equal(_call("index_add", values, indices, shape, axis), _added(values, indices, shape, axis))
        turned = numpy.asarray(values.T, order="C").T
        turned.flags.writeable = False
        _equal(_call("index_add", turned, indices[::1], shape, axis), _added(values, indices, shape, axis))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_elements_are_read_and_added(
    shape: tuple[int, ...], axis: int, dtype: str, rng: numpy.random.Generator
) -> None:
    x = rng.standard_normal(shape).astype(dtype)
    for count in (1, 3, 40):
        indices = rng.integers(-shape[axis], shape[axis], _count(shape, axis, count))
        _equal(_call("take_along_axis", x, indices, axis=axis), numpy.take_along_axis(x, indices, axis))
        strided = numpy.asarray(x.T, order="C").T
        _equal(_call("take_along_axis", strided, indices, axis=axis), numpy.take_along_axis(x, indices, axis))
        values = rng.standard_normal(indices.shape).astype(dtype)
        places: list[Any] = list(numpy.indices(indices.shape))
        places[axis] = indices
        expected = numpy.zeros(shape, dtype)
        numpy.add.at(expected, tuple(places), values)
        _equal(_call("scatter_add", values, indices, shape, axis), expected)


def test_indices_and_values_broadcast(rng: numpy.random.Generator) -> None:
    values, indices = rng.standard_normal((3, 4, 1)), rng.integers(0, 5, (1, 4, 6))
    expected = KERNELS["scatter_add"](PLAIN, values, indices, (3, 5, 6), 1)
    numpy.testing.assert_allclose(_call("scatter_add", values, indices, (3, 5, 6), 1), expected, rtol=1e-15, atol=1e-15)


KEYS: list[tuple[tuple[int, ...], Callable[[numpy.random.Generator], Any]]] = [
    ((5, 4), lambda rng: rng.integers(-5, 5, 30)),
    ((5, 4), lambda rng: (rng.integers(-5, 5, (6, 5)),)),
    ((5, 4), lambda rng: (rng.integers(-5, 5, 30), rng.integers(-4, 4, 30))),
    ((5, 4, 3), lambda rng: (rng.integers(-5, 5, (30, 1)), rng.integers(-4, 4, 7))),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("i", range(len(KEYS)))
def test_values_are_added_at_keys(i: int, dtype: str, rng: numpy.random.Generator) -> None:
    shape, draw = KEYS[i]
    key = draw(rng)
    form = numpy.zeros(shape)[key].shape
    for values in (rng.standard_normal(form).astype(dtype), numpy.broadcast_to(numpy.ones((), dtype), form)):
        expected = numpy.zeros(shape, dtype)
        numpy.add.at(expected, key, values)
        numpy.testing.assert_allclose(OVERRIDES["put_add"](values, shape, key), expected, rtol=1e-6, atol=1e-6)


def test_special_values_are_added() -> None:
    values = numpy.asarray([[numpy.inf, numpy.nan, -0.0, 1e308], [-numpy.inf, 1.0, -0.0, 1e308]])
    with numpy.errstate(all="ignore"):
        result = _call("index_add", values, numpy.asarray([2, 2]), (4, 4), 0)
        numpy.testing.assert_array_equal(result[2], values[0] + values[1])
    assert not result[[0, 1, 3]].any()


def test_results_do_not_depend_on_the_number_of_threads(rng: numpy.random.Generator) -> None:
    values, indices = rng.standard_normal((30_000, 8)).astype("float32"), rng.integers(0, 500, 30_000)
    places = rng.integers(0, 50, (30_000, 8))

    def add() -> tuple[Any, Any]:
        added = _call("index_add", values, indices, (500, 8), 0)
        return added, _call("scatter_add", values, places, (30_000, 50), 1)

    same_with_threads(add, (1, 2, 3))


@pytest.mark.parametrize("index", [4, -5, 2**40, -(2**62)])
def test_numpy_raises_the_error_of_an_index_out_of_range(index: int) -> None:
    x, indices = numpy.ones((4, 3)), numpy.full(3, index)
    full = numpy.full((3, 3), index)
    assert OVERRIDES["take"](x, indices, axis=0) is NotImplemented
    assert OVERRIDES["take_along_axis"](x, full, axis=0) is NotImplemented
    assert OVERRIDES["take_along_axis"](x.T.copy(), full, axis=1) is NotImplemented
    assert OVERRIDES["index_add"](x[:3], indices, (4, 3), 0) is NotImplemented
    assert OVERRIDES["scatter_add"](x[:3], full, (4, 3), 0) is NotImplemented
    assert OVERRIDES["scatter_add"](x[:3], full, (3, 4), 1) is NotImplemented
    assert OVERRIDES["put_add"](x[:3], (4, 3), indices) is NotImplemented
    assert OVERRIDES["put_add"](x[:3, 0], (4, 3), (indices, numpy.zeros(3, "int64"))) is NotImplemented


def test_calls_that_numpy_serves() -> None:
    x, indices = numpy.ones((4, 3)), numpy.arange(3)
    assert OVERRIDES["put_add"](x, (4, 3), slice(None)) is NotImplemented
    assert OVERRIDES["put_add"](x[:3], (4, 3), (indices, slice(None))) is NotImplemented
    assert OVERRIDES["put_add"](x, (4, 3), numpy.ones((4, 3), "bool")) is NotImplemented
    assert OVERRIDES["take"](x.astype("int64"), indices, axis=0) is NotImplemented
    assert OVERRIDES["take"](x, indices.astype("uint64"), axis=0) is NotImplemented  # it could be beyond int64
    assert OVERRIDES["take"](x, indices) is NotImplemented  # NumPy raises: an axis is needed
    assert OVERRIDES["index_add"](x[:0], indices[:0], (4, 3), 0) is NotImplemented
    assert OVERRIDES["scatter_add"](x[:0], numpy.zeros((0, 3), "int64"), (4, 3), 0) is NotImplemented
    for name in ("take", "take_along_axis"):
        read = OVERRIDES[name](x, numpy.zeros(0, "int64") if name == "take" else numpy.zeros((0, 3), "int64"), axis=0)
        assert read is NotImplemented or prod(read.shape) == 0
