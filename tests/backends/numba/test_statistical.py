"""Compiled reductions and running sums against NumPy and the plain versions: axes, layouts, special values, threads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends.kernels import KERNELS
from rustorch.backends.numba import running, statistical
from tests.support.compiled import call, draw, odd_copies, same_with_threads
from tests.support.plain_namespace import PLAIN

pytestmark = pytest.mark.usefixtures("quiet")

DTYPES = ["float32", "float64"]
INF, NAN = numpy.inf, numpy.nan
#: Rows of one segment and of several; columns in one block, in several, and as wide rows; axes between others.
SHAPES = [(7, 33), (3, 40000), (50000, 3), (300, 600), (4, 100, 70), (3, 8, 30, 20), (70000,), (1, 5, 1), (20, 2100)]
REDUCTIONS: dict[str, Any] = {
    "sum": numpy.sum,
    "mean": numpy.mean,
    "max": numpy.max,
    "min": numpy.min,
    "var": numpy.var,
}


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(statistical, "LEAST", 0)
    monkeypatch.setattr(statistical, "_LEAST_PASSES", 0)
    monkeypatch.setattr(statistical, "_least", lambda *layout: 0)
    monkeypatch.setattr(running, "LEAST", 0)
    for function in (statistical._squares, statistical._products, statistical._ties, statistical._shares):
        monkeypatch.setattr(function, "least", 0)
    statistical.plan_of.cache_clear()
    yield
    statistical.plan_of.cache_clear()


def _axes(shape: tuple[int, ...]) -> list[Any]:
    """None, and all sets of axes that the loops serve: at most the first and the last ones without those between."""
    every = [c for k in range(1, len(shape) + 1) for c in combinations(range(len(shape)), k)]
    return [None, *[axes for axes in every if statistical.plan_of(shape, axes) is not None]]


def _compare(name: str, x: Any, axis: Any, keepdims: bool = False, terms: float = 1.0) -> Any:
    """The compiled result, after a comparison with NumPy's in float64. Rounding errors are of size ``terms``."""
    result = call(vars(statistical), name, x, axis=axis, keepdims=keepdims)
    expected = REDUCTIONS[name](x.astype("float64"), axis=axis, keepdims=keepdims)
    assert type(result) is numpy.ndarray
    assert (result.shape, result.dtype) == (expected.shape, x.dtype)
    eps = float(numpy.finfo(x.dtype).eps)
    bound = 0 if name in ("max", "min") else 64 * eps  # of float64, too: NumPy's own sums are rounded
    numpy.testing.assert_allclose(result, expected, rtol=bound, atol=bound * terms, err_msg=f"{name} {x.shape} {axis}")
    return result


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_along_all_axes(name: str, dtype: str) -> None:
    for shape in SHAPES:
        x = draw(shape, dtype)
        terms = numpy.sqrt(x.size) if name == "sum" else 1.0
        for axis in _axes(shape):
            _compare(name, x, axis, False, terms)
            _compare(name, x, axis, True, terms)
    assert statistical.plan_of((3, 8, 30, 20), (0, 2)) is None
    assert statistical.sum(draw((3, 8, 30, 20), dtype), axis=(0, 2)) is NotImplemented


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_views_and_read_only_arrays(name: str, dtype: str) -> None:
    base = draw((6, 40, 12), dtype)
    for x in (base.T, base[::-1, ::2, 3:], numpy.broadcast_to(base[:, :1], (6, 8, 12)), *odd_copies(base)):
        for axis in (None, 0, (1, 2), -1, (0, 2)):
            _compare(name, x, axis, terms=100.0)


#: Numbers among ordinary ones.
SPECIAL = [[INF, 1], [INF, -INF], [NAN, 2], [-NAN, INF], [-INF, -INF], [0.0, -0.0], [1e-45, 1e-38], [3e38, 3e38]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var"])
def test_special_values(name: str, dtype: str) -> None:
    for special in SPECIAL:
        rows = draw((5, 40), dtype)
        rows[2, 7], rows[2, 33] = special
        if special == [3e38, 3e38] and dtype == "float32" and name not in ("max", "min"):
            rows[2] = abs(rows[2])  # the sum is infinite, whatever the order of additions
            assert statistical.sum(rows, axis=1)[2] == INF
            continue
        for x, axis in ((rows, 1), (numpy.ascontiguousarray(rows.T), 0), (rows, None)):
            _compare(name, x, axis, terms=100.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_equal_to_infinity_or_nan(dtype: str) -> None:
    for value in (INF, -INF, NAN):
        x = numpy.full((40, 70), value, dtype)
        for axis in (None, 0, 1):
            for name in ("max", "min", "sum"):
                _compare(name, x, axis)


def test_sums_of_many_elements_are_accurate() -> None:
    """Added one after the other in float32, ones would never exceed 2 ** 24."""
    n = 100_000_000
    ones = numpy.ones(n, "float32")
    assert statistical.sum(ones) == n
    assert statistical.mean(ones) == 1
    assert statistical.sum(ones.reshape(2, -1), axis=1).tolist() == [n // 2] * 2
    assert statistical.sum(ones.reshape(-1, 2), axis=0).tolist() == [n // 2] * 2
    tenths = numpy.full((1 << 21, 4), 0.1, "float32")
    exact = float(tenths[0, 0]) * (1 << 21)
    # Within a block, 32 additions in a lane are rounded to float32, all in the same direction. They are 64 where LLVM
    # takes vectors of 32 bytes: there the error of the second one is 6e-7.
    numpy.testing.assert_allclose(statistical.sum(tenths, axis=0), exact, rtol=5e-7)
    numpy.testing.assert_allclose(running.cumulative_sum(tenths.reshape(-1))[-1], 4 * exact, rtol=1e-6)


def test_numpy_serves_what_kernels_cannot_take() -> None:
    x = draw((40, 30), "float32")
    for name in REDUCTIONS:
        function = getattr(statistical, name)
        for other in (x.astype("float16"), x.astype("int64"), x.astype("complex64"), x.astype(">f4"), x[:0], x[:, :0]):
            assert function(other, axis=1) is NotImplemented
        assert function(x[0, 0].reshape(()), axis=None) is NotImplemented
    assert statistical.sum(x, axis=1, dtype=numpy.dtype("float64")) is NotImplemented
    assert statistical.var(x, axis=1, correction=30) is NotImplemented
    for function in (running.cumulative_sum, running.cumulative_prod):
        assert function(x.astype("int32"), axis=1) is NotImplemented
        assert function(x[:0], axis=1) is NotImplemented
        assert function(x, axis=1, include_initial=True) is NotImplemented
        assert function(x, axis=1, dtype=numpy.dtype("float64")) is NotImplemented


@pytest.mark.parametrize("correction", [0, 1, 1.5])
def test_variances_take_a_correction(correction: float) -> None:
    x = draw((30, 40), "float64") + 1e6
    for axis in (0, 1, None):
        result = statistical.var(x, axis=axis, correction=correction)
        numpy.testing.assert_allclose(result, numpy.var(x, axis=axis, ddof=correction), rtol=1e-9)


# -- gradients ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [1, 0, (0, 2), (1, 2), None, 2])
def test_gradients_are_those_of_the_plain_versions(axis: Any, dtype: str) -> None:
    x = numpy.round(2 * draw((6, 40, 50), dtype))  # many ties
    x[2, 3, 4], x[5, 6, 7] = NAN, INF
    out = statistical.max(x, axis=axis, keepdims=True)
    g = draw(out.shape, dtype)
    result = statistical.extreme_grad(g, x, out, axis)
    numpy.testing.assert_allclose(result, KERNELS["extreme_grad"](PLAIN, g, x, out, axis), rtol=1e-6)
    x = draw((6, 40, 50), dtype)
    result = statistical.centered(g, x, axis)
    bound = 64 * float(numpy.finfo(dtype).eps)
    numpy.testing.assert_allclose(result, KERNELS["centered"](PLAIN, g, x, axis), rtol=bound, atol=bound)


def test_the_gradient_of_a_maximum_of_everything_is_shared_by_many_ties() -> None:
    x = rustorch.tensor(numpy.ones(1 << 18, "float32"), requires_grad=True)
    rustorch.max(x).backward()
    numpy.testing.assert_array_equal(x.grad, numpy.full(1 << 18, 2.0**-18, "float32"))


# -- running sums and products -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(7, 33), (3, 40000), (16, 20), (21, 5, 30), (4, 100, 300), (70000,), (16385,), (100, 17000)]
)
def test_running_sums_and_products(shape: tuple[int, ...], dtype: str) -> None:
    x = draw(shape, dtype)
    eps = float(numpy.finfo(dtype).eps)
    for axis, n in enumerate(shape):
        for view in (x, numpy.flip(x, axis), numpy.asfortranarray(x)):
            sums = running.cumulative_sum(view, axis=axis)
            assert sums is not NotImplemented
            assert (sums.shape, sums.dtype) == (shape, x.dtype)
            expected = numpy.cumsum(view.astype("float64"), axis=axis)
            in_segments = n >= 4 * running.SEGMENT and x.size // n < running._ENOUGH
            # the sum of a segment is rounded by itself, and NumPy's sums in float64 are rounded one after the other
            size = 8 * abs(expected).max() * (n**0.5 if dtype == "float64" else 1) if in_segments else 0.0
            numpy.testing.assert_allclose(sums, expected, rtol=2 * eps, atol=size * eps)
            if not in_segments:  # the same operations in the same order
                products = running.cumulative_prod(view, axis=axis)
                numpy.testing.assert_array_equal(products, numpy.cumprod(view, axis=axis))
            else:
                assert running.cumulative_prod(view, axis=axis) is NotImplemented


@pytest.mark.parametrize("dtype", DTYPES)
def test_running_sums_of_special_values(dtype: str) -> None:
    for special in SPECIAL[:-1]:
        for shape in ((20, 40), (2, 20000)):
            x = draw(shape, dtype)
            x[1, 7], x[1, -9] = special
            for view in (x, x[:, ::-1]):
                expected = numpy.cumsum(view.astype("float64"), axis=1)
                result = running.cumulative_sum(view, axis=1)
                numpy.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("shape", [(40, 300), (300, 40), (3, 20000)])
def test_the_gradient_of_running_sums(shape: tuple[int, ...]) -> None:
    for axis in (0, 1):
        x, g = rustorch.tensor(draw(shape, "float64"), requires_grad=True), draw(shape, "float64", 1)
        rustorch.cumulative_sum(x, axis=axis).backward(g)
        expected = numpy.flip(numpy.cumsum(numpy.flip(g, axis), axis=axis), axis)
        numpy.testing.assert_allclose(numpy.asarray(x.grad), expected, rtol=1e-12, atol=1e-11)


# -- threads -----------------------------------------------------------------------------------------------------------
def test_threads_return_the_same_numbers() -> None:
    shapes = [((200, 500), 1), ((300000,), None), ((3, 90000), 1), ((5000, 40), 0), ((6, 20, 900), (0, 2))]

    def call_all() -> tuple[Any, ...]:
        results = []
        for shape, axis in shapes:
            x = draw(shape, "float32")
            results += [getattr(statistical, name)(x, axis=axis) for name in REDUCTIONS]
            out = statistical.max(x, axis=axis, keepdims=True)
            results += [statistical.extreme_grad(out, x, out, axis), statistical.centered(out, x, axis)]
            if not isinstance(axis, tuple):
                results.append(running.cumulative_sum(x, axis=axis))
        return tuple(results)

    same_with_threads(call_all)


def test_all_elements_are_reduced_in_the_order_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def watched(x: Any) -> Any:
        given.append(x.flags.c_contiguous)
        return x

    monkeypatch.setattr(statistical, "flat", watched)
    x = draw((60, 50, 40), "float32")
    for view in (x.T, x.swapaxes(0, 1), x.transpose(2, 0, 1)):
        numpy.testing.assert_allclose(rustorch.sum(rustorch.Variable(view)).data, x.sum(dtype="float64"), atol=1e-3)
        assert rustorch.max(rustorch.Variable(view)).data == x.max()
    assert given
    assert all(given)
