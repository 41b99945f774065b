"""Compiled products: all sizes, layouts and vectors, on one thread and on several."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy
import pytest

from rustorch.backends import threads
from rustorch.backends.numba import linear, products
from rustorch.backends.numba.products import Operand, Result, multiply, pack, steps
from rustorch.backends.numba.products_loops import MULTIPLY, PACK
from rustorch.backends.registry import CPU
from tests.support import compiled

from . import programs

DTYPES = ["float32", "float64"]
#: Rows, inner size, columns: parts of a tile, of a panel, of a block of the depth.
SIZES = [(1, 1, 1), (3, 5, 2), (8, 9, 16), (17, 40, 33), (70, 600, 100), (5, 1300, 7), (130, 3, 257), (64, 64, 64)]


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_LEAST", 1)
    monkeypatch.setattr(linear, "_NARROW", 1)
    monkeypatch.setattr(linear, "_SMALL", 1)
    monkeypatch.setattr(threads, "LEAST", 0)


def _close(result: Any, expected: Any, depth: int) -> None:
    assert result is not NotImplemented
    assert (result.shape, result.dtype) == (expected.shape, result.dtype)
    # the terms have about the size 1, and their errors add up in the worst case
    assert numpy.abs(result - expected).max(initial=0) <= 4 * (depth + 4) * numpy.finfo(result.dtype).eps


def _wide(*arrays: Any) -> list[Any]:
    return [a.astype("longdouble") for a in arrays]


# -- matrix products ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products(size: tuple[int, int, int], dtype: str, count: int) -> None:
    rows, inner, columns = size
    x, w, g = (
        compiled.draw(shape, dtype, i) for i, shape in enumerate([(rows, inner), (columns, inner), (rows, columns)])
    )
    b = compiled.draw((columns,), dtype, 3)
    x_, w_, g_, b_ = _wide(x, w, g, b)
    with compiled.threads(count):
        _close(linear.matmul(g, w), g_ @ w_, columns)
        _close(linear.linear(x, w), x_ @ w_.T, inner)
        _close(linear.linear(x, w, b), x_ @ w_.T + b_, inner)
        _close(linear.linear_grad_weight(g, x), g_.T @ x_, rows)
        dw, db = linear.linear_grad_weight_bias(g, x)
        _close(dw, g_.T @ x_, rows)
        _close(db, g_.sum(0), rows)


@pytest.mark.parametrize("layout", ["whole", "turned", "heads"])
@pytest.mark.parametrize(("ins", "outs"), [(70, 9), (9, 70), (300, 400), (400, 300)])
def test_sums_of_a_bias_for_every_layout(ins: int, outs: int, layout: str) -> None:
    """More outputs than inputs: the gradient is copied to panels. Else its columns are summed where they lie."""
    g, x = _stack((1,), 1100, outs, layout, 0)[0], compiled.draw((1100, ins), "float32", 1)
    for count in (1, 3):
        with compiled.threads(count):
            dw, db = compiled.call(linear.OVERRIDES, "linear_grad_weight_bias", g, x)
        _close(dw, numpy.matmul(*_wide(g.T, x)), 1100)
        _close(db, _wide(g)[0].sum(0), 1100)


def test_a_gradient_whose_elements_lie_apart_is_summed_by_itself() -> None:
    """As that of a sum, which is one number for all elements."""
    x = compiled.draw((90, 50), "float32")
    for g in (numpy.broadcast_to(numpy.float32(2.0), (90, 40)), compiled.draw((180, 80), "float32")[::2, ::2]):
        assert linear.linear_grad_weight_bias(g, x) is NotImplemented
        dw, db = CPU.xp.linear_grad_weight_bias(g, x)
        _close(dw, numpy.matmul(*_wide(g.T, x)), 90)
        _close(db, _wide(g)[0].sum(0), 90)


@pytest.mark.parametrize("outs", [6, 40])
def test_a_bias_of_long_sums_keeps_its_digits(outs: int) -> None:
    """Sums of blocks are added, so errors do not grow with all 40,000 terms of one sign."""
    g, x = abs(compiled.draw((40000, outs), "float32")), compiled.draw((40000, 20), "float32", 1)
    _, db = linear.linear_grad_weight_bias(g, x)
    expected = _wide(g)[0].sum(0)
    assert (numpy.abs(db - expected) / expected).max() <= 30 * numpy.finfo("float32").eps


def test_a_number_that_is_not_finite_reaches_its_own_bias_alone() -> None:
    x = numpy.ones((40, 30), "float32")
    for outs in (12, 70):
        g = compiled.draw((40, outs), "float32")
        g[3, 5], g[30, 7] = numpy.nan, numpy.inf
        _, db = linear.linear_grad_weight_bias(g, x)
        assert numpy.isnan(db[5]) and numpy.isinf(db[7]) and numpy.isfinite(numpy.delete(db, [5, 7])).all()


def test_a_large_bias_rounds_a_sum_once() -> None:
    x, w = numpy.ones((64, 4096), "float32"), numpy.full((64, 4096), 2e-5, "float32")
    for rows in (64, 8):  # with fewer rows than columns, the bias belongs to rows
        out = linear.linear(x[:rows], w, numpy.full(64, 1024, "float32"))
        assert numpy.abs(out - (4096 * float(w[0, 0]) + 1024)).max() <= numpy.spacing(numpy.float32(1024))


@pytest.mark.parametrize("dtype", DTYPES)
def test_stacks_of_matrices(dtype: str) -> None:
    x, w, g = (compiled.draw(shape, dtype, i) for i, shape in enumerate([(3, 5, 40), (20, 40), (3, 5, 20)]))
    x_, w_, g_ = _wide(x, w, g)
    _close(linear.linear(x, w), x_ @ w_.T, 40)
    _close(linear.matmul(x, numpy.ascontiguousarray(w.T)), x_ @ w_.T, 40)
    _close(linear.linear_grad_weight(g, x), numpy.einsum("abo,abi->oi", g_, x_), 15)


def test_arrays_of_every_layout() -> None:
    whole = compiled.draw((60, 80), "float64")
    views = [whole[::2, 3:40], whole.T[5:42, ::3], whole[::-1, 1:38], whole[10:50, 70:33:-1]]
    views += [numpy.broadcast_to(whole[0, :37], (9, 37)), whole[:, 7:8]]
    for a in views:
        for b in views:
            b = b.T if b.shape[1] == a.shape[1] else b
            if a.shape[1] == b.shape[0]:
                _close(linear.matmul(a, b), numpy.matmul(*_wide(a, b)), 60)
    x, w = compiled.draw((30, 20), "float32"), compiled.draw((12, 20), "float32", 1)
    for odd in compiled.odd_copies(w):
        _close(linear.linear(x, odd), x @ w.T, 20)
    x.flags.writeable = False
    _close(
        linear.linear(x, w, compiled.draw((24,), "float32")[::2]), x @ w.T + compiled.draw((24,), "float32")[::2], 20
    )


@pytest.mark.parametrize("value", [numpy.inf, -numpy.inf, numpy.nan, 3e38])
def test_numbers_that_are_not_finite_reach_their_row_and_column(value: float) -> None:
    a, b = compiled.draw((21, 50), "float32"), numpy.ones((50, 39), "float32")
    a[5, 7] = value
    with numpy.errstate(all="ignore"):
        numpy.testing.assert_allclose(linear.matmul(a, b), a @ b, rtol=1e-4, atol=1e-4)
        numpy.testing.assert_allclose(linear.matmul(b.T, a.T.copy()), b.T @ a.T, rtol=1e-4, atol=1e-4)


def test_other_calls_are_numpys() -> None:
    a, b = numpy.ones((20, 20), "float32"), numpy.ones((20, 20))
    assert linear.matmul(a, b) is NotImplemented
    assert linear.matmul(a.astype("int64"), a.astype("int64")) is NotImplemented
    assert linear.matmul(a, a[:7]) is NotImplemented
    assert linear.linear(a[0], a) is NotImplemented
    assert linear.linear(a, a[:, :3]) is NotImplemented
    assert linear.linear_grad_weight(a, a[:7]) is NotImplemented
    assert linear.linear_grad_weight_bias(a, a[:7]) is NotImplemented
    assert linear.linear_grad_weight_bias(a[0], a[0]) is NotImplemented
    assert linear.linear_grad_weight_bias(a, b) is NotImplemented


@pytest.mark.parametrize(("rows", "inner", "columns"), [(0, 20, 20), (20, 0, 20), (20, 20, 0)])
def test_empty_matrices_are_numpys(rows: int, inner: int, columns: int) -> None:
    assert linear.matmul(numpy.ones((rows, inner)), numpy.ones((inner, columns))) is NotImplemented


def test_the_largest_products_are_blass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_MOST", 1000)
    a = numpy.ones((10, 10), "float32")
    assert linear.matmul(a, a) is NotImplemented
    assert linear.matmul(a[:9], a) is not NotImplemented


def _stack(lead: tuple[int, ...], rows: int, columns: int, layout: str, seed: int) -> Any:
    """A stack of matrices: in one piece, each turned, as heads of one product, or with each second element."""
    if layout == "turned":
        return _stack(lead, columns, rows, "whole", seed).swapaxes(-1, -2)
    if layout == "heads":
        *outer, heads = lead
        return numpy.moveaxis(compiled.draw((*outer, rows, heads, columns), "float32", seed), -2, -3)
    if layout == "apart":
        return compiled.draw((*lead, rows, 2 * columns), "float32", seed)[..., ::2]
    return compiled.draw((*lead, rows, columns), "float32", seed)


@pytest.mark.parametrize("lead", [(1,), (3,), (2, 3), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("sizes", [(1, 2, 3), (9, 5, 40), (40, 33, 9), (64, 32, 64), (130, 70, 65)], ids=str)
@pytest.mark.parametrize("layouts", list(itertools.product(("whole", "turned", "heads", "apart"), repeat=2)), ids=str)
def test_stacks(lead: tuple[int, ...], sizes: tuple[int, int, int], layouts: tuple[str, str]) -> None:
    rows, inner, columns = sizes
    x1, x2 = _stack(lead, rows, inner, layouts[0], 0), _stack(lead, inner, columns, layouts[1], 1)
    for count in (1, 3):
        with compiled.threads(count):
            out = compiled.call(linear.OVERRIDES, "matmul", x1, x2)
            _close(out, numpy.matmul(x1.astype("float64"), x2.astype("float64")), inner)


def test_stacks_that_numpy_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_SMALL", 1 << 12)
    large = compiled.draw((3, 64, 64), "float32")
    for x1, x2 in (
        (large[:, :8, :8], large[:, :8, :8]),  # small ones
        (large[:1], large),  # what broadcasts
        (large[0], large),
        (large[0, 0], large),
        (large, large[0, 0]),
        (large, large.astype("float64")),
        (large[:0], large[:0]),
        (large, large[:, :63]),  # an error
    ):
        assert linear.matmul(x1, x2) is NotImplemented


def test_plans_with_long_tables_are_not_kept() -> None:
    weight = compiled.draw((4, 3), "float32")
    linear.linear(compiled.draw((50, 3), "float32"), weight)
    kept = linear._kept_plan.cache_info().currsize
    assert kept
    for rows in (products.SHORT + 1, products.SHORT + 2):
        linear.linear(compiled.draw((rows, 3), "float32"), weight)
    assert linear._kept_plan.cache_info().currsize == kept


def test_narrow_products_are_blass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_NARROW", 8)
    wide, narrow = numpy.ones((10, 10), "float32"), numpy.ones((7, 10), "float32")
    assert linear.linear(wide, wide) is not NotImplemented
    assert linear.linear(narrow, wide) is linear.linear(wide, narrow) is linear.matmul(narrow, wide) is NotImplemented


def test_tables_of_many_places_are_not_kept() -> None:
    assert steps(100, 3) is steps(100, 3)
    assert steps(products.SHORT + 1) is not steps(products.SHORT + 1)


def test_numpy_raises_where_it_is_asked_to() -> None:
    a = numpy.full((20, 20), 1e30, "float32")
    with numpy.errstate(over="raise"):
        assert linear.matmul(a, a) is NotImplemented


# -- tables of places --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_groups_samples_and_repeated_tables(dtype: str, count: int) -> None:
    """Two groups of matrices, whose depth and columns are tables that are used several times."""
    groups, rows, depth, outers, columns, samples = 2, 11, 6, 5, 9, 4
    a, b = (
        compiled.draw((groups, outers, depth, rows), dtype),
        compiled.draw((groups, samples, outers, depth, columns), dtype, 1),
    )
    bias = compiled.draw((groups, rows), dtype, 2)
    out = numpy.empty((samples, groups, rows, columns), dtype)
    launch = MULTIPLY.of(numpy.dtype(dtype), 1 << 20)
    assert launch is not None
    with compiled.threads(count):
        multiply(
            launch,
            Operand(a, steps(rows), steps(depth, rows), outers * depth * rows, depth * rows),
            Operand(b, steps(depth, columns), steps(columns), b[0].size, depth * columns, outers * depth * columns),
            Result(out, columns, steps(columns), rows * columns, groups * rows * columns, bias=(bias, rows, 1, 0)),
            groups, samples, outers * depth,
        )  # fmt: skip
    expected = numpy.einsum("gukr,gsukc->sgrc", *_wide(a, b)) + bias[:, :, None]
    _close(out, expected, outers * depth)


@pytest.mark.parametrize("row", [1, 40])
@pytest.mark.parametrize("count", [1, 3])
def test_adding_to_scattered_places_and_leaving_some_out(count: int, row: int) -> None:
    """A long depth is split between threads; columns whose place is -1 are not written."""
    a, b = compiled.draw((7, 3000), "float64"), compiled.draw((3000, 13), "float64", 1)
    columns = steps(13, 7 if row == 1 else 3).copy()
    columns[[2, 12]] = -1
    out = numpy.full(400, 2.0)
    expected = out.copy()
    product = a @ b
    for j in range(13):
        if columns[j] >= 0:
            for i in range(7):
                expected[columns[j] + i * row] += product[i, j]
    launch = MULTIPLY.of(numpy.dtype("float64"), 1 << 20)
    assert launch is not None
    with compiled.threads(count):
        multiply(
            launch, Operand(a, steps(7, 3000), steps(500), outer=500),
            Operand(b, steps(500, 13), steps(13), outer=500 * 13), Result(out, row, columns, adds=True), depth=3000,
        )  # fmt: skip
    _close(out, expected, 3000)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("depth", [40, 700])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", ["side by side", "apart", "anywhere"])
def test_rows_of_the_result_lie_anywhere(rows: str, dtype: str, depth: int, adds: bool, count: int) -> None:
    """Whole tiles and parts of one, with a bias for each column. Rows ascend."""
    a, b = compiled.draw((43, depth), dtype), compiled.draw((depth, 37), dtype, 1)
    places = {"side by side": steps(43), "apart": steps(43, 2), "anywhere": numpy.arange(43) + numpy.arange(43) // 5}
    columns = steps(37, 90).copy()
    columns[[0, 17]] = -1
    out = numpy.full(90 * 37, 2.0, dtype)
    bias = compiled.draw((37,), dtype, 2)
    expected, product = out.astype("longdouble"), _wide(a)[0] @ _wide(b)[0] + bias
    for i, j in itertools.product(range(43), range(37)):
        if columns[j] >= 0:
            p = places[rows][i] + columns[j]
            expected[p] = product[i, j] + (expected[p] if adds else 0)
    launch = MULTIPLY.of(numpy.dtype(dtype), 1 << 20)
    assert launch is not None
    packed = PACK.of(numpy.dtype(dtype), 1 << 20)
    assert packed is not None
    for second in (products.matrix(b), pack(packed, products.matrix(b))):
        found = out.copy()
        with compiled.threads(count):
            result = Result(found, places[rows], columns, adds=adds, bias=(bias, 0, 0, 1))
            multiply(launch, Operand(a, steps(43, depth), steps(depth)), second, result)
        _close(found, expected, depth)


@pytest.mark.parametrize("column", [False, True])
def test_a_bias_for_each_row(column: bool) -> None:
    """In a result whose columns lie side by side, and in one whose rows do."""
    a, b, bias = (compiled.draw(shape, "float32", i) for i, shape in enumerate([(43, 60), (60, 37), (43,)]))
    out = numpy.empty((37, 43) if column else (43, 37), "float32")
    launch = MULTIPLY.of(numpy.dtype("float32"), 1 << 20)
    assert launch is not None
    row, step = (1, 43) if column else (37, 1)
    result = Result(out, row, steps(37, step), bias=(bias, 0, 1, 0))
    multiply(launch, products.matrix(a), products.matrix(b), result)
    _close(out.T if column else out, _wide(a)[0] @ _wide(b)[0] + bias[:, None], 60)


@pytest.mark.parametrize("dtype", DTYPES)
def test_panels(dtype: str) -> None:
    launch = PACK.of(numpy.dtype(dtype), 1 << 20)
    assert launch is not None
    for matrix in (compiled.draw((9, 70), dtype), compiled.draw((70, 9), dtype).T):
        panels = pack(launch, products.matrix(matrix)).array
        columns = panels.swapaxes(0, 1).reshape(9, -1)
        numpy.testing.assert_array_equal(columns[:, :70], matrix)
        numpy.testing.assert_array_equal(columns[:, 70:], numpy.repeat(matrix[:, -1:], columns.shape[1] - 70, 1))


# -- processors --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(6, 32), (6, 16)], ids=["AVX2", "16 bytes"])
def test_vectors_of_other_processors(shape: tuple[int, int], tmp_path: Path) -> None:
    """LLVM makes vectors of any length; so products for other processors run here, too."""
    program = f"""
    from rustorch.backends.numba import processor
    processor.tile_shape = lambda: {shape}
    from rustorch.backends.kernels import KERNELS
    from rustorch.backends.numba import attention, convolution, linear, recurrent
    from tests.support.plain_namespace import PLAIN
    kernel.LEAST = kernel.PATIENT = convolution.LEAST = 0
    linear._LEAST = linear._NARROW = attention._LEAST = attention._FEW = 1
    draw = numpy.random.default_rng(0).standard_normal
    for dtype, bound in (("float32", 1e-5), ("float64", 1e-14)):
        for rows, inner, columns in ((1, 1, 1), (17, 40, 33), (70, 600, 100), (5, 1300, 7)):
            x, w, b = (draw(size).astype(dtype) for size in ((rows, inner), (columns, inner), columns))
            for out, expected in ((linear.linear(x, w, b), x @ w.T + b), (linear.matmul(w.T, w), w.T @ w)):
                assert abs(out - expected).max() <= bound * (1 + abs(expected).max())
        from rustorch.backends.numpy import convolution as usual
        for size, stride in ((14, 1), (9, 2), (5, 1)):
            x, w = draw((3, 6, size, size)).astype(dtype), draw((20, 6, 3, 3)).astype(dtype)
            convolution._positions_are_rows = lambda *_: size != 9
            options = (stride, stride), ((1, 1), (1, 1)), (1, 1), 1
            g = usual.conv(x, w, None, *options)
            for name, arguments in (("conv", (x, w, None)), ("conv_grad_weight", (g, x, (3, 3))),
                                    ("conv_grad_input", (g, w, (size, size)))):
                out = getattr(convolution, name)(*arguments, *options)
                expected = getattr(usual, name)(*arguments, *options)
                assert abs(out - expected).max() <= bound * abs(expected).max()
        q, k, v, g = [draw((2, 70, size)).astype(dtype) for size in (20, 20, 9, 9)]
        options = 0.2, True, False
        expected = KERNELS["attention"](PLAIN, q, k, v, None, None, *options)
        out = attention.attention(q, k, v, None, None, *options)
        slopes = KERNELS["attention_grad"](PLAIN, g, q, k, v, None, None, *expected, *options)
        found = attention.attention_grad(g, q, k, v, None, None, *out, *options)
        for one, other in zip((out[0], *found[:3]), (expected[0], *slopes[:3])):
            assert abs(one - other).max() <= bound * abs(other).max()
    assert not kernel.STATE.failures, kernel.STATE.failures
    print("right")
    """
    assert programs.run(program, tmp_path) == "right"
