"""Compiled softmax, log_softmax and logsumexp against the plain versions: axes, layouts, special values, threads."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy
import pytest

from rustorch.backends.kernels import KERNELS
from rustorch.backends.numba import softmax
from rustorch.backends.numba.softmax import OVERRIDES
from rustorch.backends.registry import CPU
from tests.support.compiled import compare, draw, odd_copies, same_with_threads
from tests.support.plain_namespace import PLAIN

pytestmark = pytest.mark.usefixtures("quiet")
_draw = partial(draw, scale=3)
#: Rounding errors are of the size of 1, where a test says no other.
_compare = partial(compare, OVERRIDES, bound=16, scale=1.0)

DTYPES = ["float32", "float64"]
INF, NAN = math.inf, math.nan
#: Shapes and axes: rows of one element and of many blocks; few columns, several blocks of columns, and an axis between.
SHAPES = {
    "rows": ((7, 33), 1), "one row": ((100,), 0), "rows of one": ((9, 1), 1), "long rows": ((2, 5000), -1),
    "short rows": ((40, 3), -1), "one element": ((1,), 0), "columns": ((5, 300), 0), "few columns": ((70, 3), 0),
    "two blocks": ((3, 4, 500), 1), "between": ((3, 10, 7, 5), 1), "one column": ((6, 1), 0), "single": ((3, 1, 40), 1),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "_LEAST", 1)


def _compare_all(x: Any, axis: int) -> None:
    """All six functions at x. The gradients of the results are drawn."""
    g = _draw(x.shape, x.dtype, 1)
    terms = abs(g).sum(axis=axis).max(initial=1)  # the sums over the gradient round its terms
    _compare("softmax_grad", g, _compare("softmax", x, axis), axis)
    _compare("log_softmax_grad", g, _compare("log_softmax", x, axis), axis, scale=terms)
    out = _compare("logsumexp", x, axis)
    _compare("logsumexp_grad", _draw(out.shape, x.dtype, 2), x, out, axis)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES.values(), ids=SHAPES)
def test_every_axis(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    _compare_all(_draw(shape, dtype), axis)


#: Numbers of a row, beside ordinary ones.
SPECIAL = {
    "-inf": [-INF] * 40, "one -inf": [-INF, 0, 1], "inf": [INF, 1, 2], "two inf": [INF, -INF, INF], "nan": [1, NAN, 2],
    "-nan": [-NAN, 1], "all nan": [NAN] * 40, "nan and inf": [INF, NAN, -INF], "last is nan": [0] * 39 + [NAN],
    "last is inf": [0] * 39 + [INF], "zeros": [0.0, -0.0] * 20, "huge": [3e38, -3e38, 3e38], "tiny": [1e-45, 1e-38, 0],
    "far": [1e4] * 40, "certain": [200.0] + [0.0] * 39, "nearly certain": [14.0] + [-4.0] * 39,
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("g", [1.5, 0.0, INF, NAN])
def test_special_values(g: float, axis: int, dtype: str) -> None:
    rows = numpy.zeros((len(SPECIAL), 40), dtype)
    for row, numbers in zip(rows, SPECIAL.values(), strict=True):
        row[: len(numbers)] = numbers
    x = rows if axis else numpy.ascontiguousarray(rows.T)
    for name in ("softmax", "log_softmax"):
        out = _compare(name, x, axis)
        slopes = _draw(x.shape, dtype)
        (slopes if axis else slopes.T)[:, 1] = g
        _compare(f"{name}_grad", slopes, out, axis, scale=200)
    out = _compare("logsumexp", x, axis)
    _compare("logsumexp_grad", numpy.full_like(out, g), x, out, axis)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_gradients_of_nearly_certain_rows_keep_their_digits(axis: int, dtype: str) -> None:
    """The gradient ``g * (1 - p)`` of the certain element is tiny, and so is that of the other one."""
    x = numpy.zeros((60, 2), dtype)
    x[:, 0] = numpy.linspace(-3, 60, 60)
    g = numpy.zeros_like(x)
    g[:, 0] = 1.5
    x, g = (x, g) if axis else (x.T.copy(), g.T.copy())
    eps = float(numpy.finfo(dtype).eps)
    for name in ("softmax", "log_softmax"):
        out = KERNELS[name](PLAIN, x, axis)
        expected = KERNELS[f"{name}_grad"](PLAIN, g, out, axis)
        result = OVERRIDES[f"{name}_grad"](g, out, axis)
        if name == "log_softmax":
            numpy.testing.assert_allclose(result, expected, rtol=8 * eps)
        else:  # out is rounded to 1, and the gradient of its rest is what is left
            numpy.testing.assert_allclose(result, expected, rtol=8 * eps, atol=eps * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_views_and_read_only_arrays(axis: int, dtype: str) -> None:
    base = _draw((6, 10, 12), dtype)
    for x in (base.T, base[::-1, ::2, 3:], numpy.broadcast_to(base[:, :1], (6, 8, 12)), *odd_copies(base)):
        _compare_all(x, axis)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_numpy_serves_what_kernels_cannot_take(name: str) -> None:
    function, gradient = OVERRIDES[name], OVERRIDES[f"{name}_grad"]
    x = _draw((4, 30), "float32")
    for other in (x.astype("float16"), x.astype(">f4"), x[:0], x[:, :0]):
        assert function(other, 1) is NotImplemented
    assert gradient(x.astype("float64"), x, 1) is NotImplemented
    assert gradient(x[:1], x, 1) is NotImplemented
    empty = x[:, :0]
    assert getattr(CPU.xp, name)(empty, 1).shape == (4, 0)
    numpy.testing.assert_array_equal(CPU.xp.logsumexp(empty, 1), numpy.full((4, 1), -INF, "float32"))


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_long_rows_are_accurate(axis: int) -> None:
    """A million terms in float32: added one after the other, they would be wrong in the fourth digit."""
    n, eps = 1 << 20, float(numpy.finfo("float32").eps)
    row = numpy.tile(numpy.asarray([0, -0.1], "float32"), n // 2)
    x = numpy.stack([row, row]) if axis else numpy.stack([row, row], 1)
    terms = numpy.exp(row.astype("float64"))
    total = terms.sum()
    assert abs(numpy.exp(row).cumsum(dtype="float32")[-1] - total) > 100 * eps * total
    expected = numpy.expand_dims(terms / total, 1 - axis)
    numpy.testing.assert_allclose(OVERRIDES["softmax"](x, axis), expected + 0 * x, rtol=4 * eps)
    numpy.testing.assert_allclose(OVERRIDES["logsumexp"](x, axis), math.log(total), rtol=2 * eps)
    out = OVERRIDES["log_softmax"](x, axis)
    numpy.testing.assert_allclose(out, numpy.log(expected) + 0 * x, rtol=2 * eps)
    g = numpy.full_like(x, 0.1)
    slopes = 0.1 * (1 - n * numpy.exp(out.astype("float64")))
    numpy.testing.assert_allclose(OVERRIDES["log_softmax_grad"](g, out, axis), slopes, atol=4 * eps * 0.1)


@pytest.mark.parametrize(("shape", "axis"), [((200, 500), 1), ((8, 10, 1500), 1)])
def test_threads_return_the_same_numbers(shape: tuple[int, ...], axis: int) -> None:
    x, g = _draw(shape, "float32"), _draw(shape, "float32", 1)

    def call_all() -> tuple[Any, ...]:
        out = OVERRIDES["softmax"](x, axis)
        log, total = OVERRIDES["log_softmax"](x, axis), OVERRIDES["logsumexp"](x, axis)
        slopes = OVERRIDES["softmax_grad"](g, out, axis), OVERRIDES["log_softmax_grad"](g, log, axis)
        return out, log, total, *slopes, OVERRIDES["logsumexp_grad"](total, x, total, axis)

    same_with_threads(call_all)
