"""Compiled losses against the plain versions: targets, weights, reductions, layouts, special values and threads."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy
import pytest

from rustorch.backends.kernels import KERNELS
from rustorch.backends.numba import loss
from rustorch.backends.numba.loss import OVERRIDES
from rustorch.backends.numba.summing import Summed
from rustorch.backends.registry import CPU
from tests.support.compiled import check, draw, same_with_threads
from tests.support.plain_namespace import PLAIN

pytestmark = pytest.mark.usefixtures("quiet")

#: Losses and probabilities are of the size of 1.
_check = partial(check, bound=16, scale=1.0)
DTYPES = ["float32", "float64"]
INF, NAN = math.inf, math.nan
#: Rows and classes: few classes in one block of rows and in several, one class, and rows of several blocks.
SHAPES = {
    "few": (7, 10),
    "blocks": (150, 5),
    "one class": (70, 1),
    "one row": (1, 40),
    "many": (9, 100),
    "long": (3, 5000),
}
#: Whether rows have weights, and whether a class is ignored.
OPTIONS = {"plain": (False, None), "ignore": (False, 0), "weight": (True, None), "weight, ignore": (True, 0)}


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "_LEAST", 1)


def _compare(x: Any, target: Any, weight: Any, ignore: int | None, reduction: str) -> None:
    """Cross-entropy and its gradient; both take the compiled by-products."""
    before = [a if a is None else a.copy() for a in (x, target, weight)]
    results = OVERRIDES["cross_entropy"](x, target, weight, ignore, reduction)
    expected = KERNELS["cross_entropy"](PLAIN, x, target, weight, ignore, reduction)
    _check(results, expected, scale=abs(x[numpy.isfinite(x)]).max(initial=1))
    g = draw(results[0].shape, x.dtype, 3)
    arguments = (g, results[2], results[3], target, weight, results[4], ignore)
    dx = OVERRIDES["cross_entropy_grad"](*arguments)
    if dx is NotImplemented:  # for probabilities that are stored class by class
        assert results[2].T.flags.c_contiguous
        dx = CPU.xp.cross_entropy_grad(*arguments)
    arguments = (g, expected[2], expected[3], target, weight, expected[4], ignore)
    _check(dx, KERNELS["cross_entropy_grad"](PLAIN, *arguments))
    for value, old in zip((x, target, weight), before, strict=True):
        numpy.testing.assert_array_equal(value, old)


def _targets(shape: tuple[int, int], dtype: str) -> tuple[Any, Any, Any]:
    """Classes, weights of the classes, and shares of the classes in the rows."""
    generator = numpy.random.default_rng(5)
    classes = generator.integers(0, shape[1], shape[0])
    classes[-1] = 0
    weight = generator.random(shape[1]).astype(dtype)
    weight[shape[1] // 2] = 0
    return classes, weight, generator.random(shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_cross_entropy(shape: tuple[int, int], reduction: str, dtype: str) -> None:
    x = 3 * draw(shape, dtype)
    classes, weight, shares = _targets(shape, dtype)
    for weighted, ignore in OPTIONS.values():
        _compare(x, classes, weight if weighted else None, ignore, reduction)
    _compare(x, classes.astype("int32"), None, None, reduction)
    _compare(x, classes.astype("int16"), None, None, reduction)
    _compare(x, shares, None, None, reduction)


#: Logits of a row, beside those of 0.
SPECIAL = {
    "-inf": [-INF] * 40, "one -inf": [-INF, 0, 1], "its class is -inf": [0, -INF], "inf": [INF, 1, 2],
    "its class is inf": [1, INF], "two inf": [INF, INF, -INF], "nan": [1, 0, NAN], "its class is nan": [1, NAN],
    "last is nan": [0] * 4 + [NAN], "huge": [3e38, -3e38], "far": [1e4, 1e4, 1e4, 1e4, 1e4], "certain": [0, 200.0],
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("classes", [5, 40])
def test_special_logits(classes: int, ignored: bool, dtype: str) -> None:
    """One row at a time: nan of one would be that of all. And together, where each row has its own loss."""
    x = numpy.zeros((len(SPECIAL), classes), dtype)
    for row, numbers in zip(x, SPECIAL.values(), strict=True):
        row[: len(numbers[:classes])] = numbers[:classes]
    target = numpy.ones(len(x), "int64")
    shares = numpy.zeros(x.shape, dtype)
    shares[:, 1] = 1
    weight = numpy.full(classes, 0.0 if ignored else 0.5, dtype)
    _compare(x, target, None, 1 if ignored else None, "none")
    _compare(x, target, weight, None, "none")
    _compare(x, shares, None, None, "none")
    for i in range(len(x)):
        for reduction in ("mean", "sum"):
            _compare(x[i : i + 1], target[:1], None, 1 if ignored else None, reduction)
            _compare(x[i : i + 1], target[:1], weight, None, reduction)


@pytest.mark.parametrize("classes", [5, 40])
def test_a_class_that_does_not_exist_gives_nan(classes: int) -> None:
    """Layers refuse such targets. A kernel must not read or write beyond its arrays all the same."""
    x = draw((4, classes), "float32")
    target = numpy.asarray([0, -1, classes, 1 << 40])
    for weight in (None, numpy.ones(classes, "float32")):
        results = OVERRIDES["cross_entropy"](x, target, weight, None, "none")
        numpy.testing.assert_array_equal(numpy.isnan(results[0]), [False, True, True, True])
    p, total = numpy.ascontiguousarray(results[2]), results[3]
    dx = OVERRIDES["cross_entropy_grad"](numpy.ones(4, "float32"), p, total, target, None, None, None)
    numpy.testing.assert_array_equal(numpy.isnan(dx), numpy.asarray([[False], [True], [True], [True]]) + 0 * x > 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(70, 6), (6, 70)])
def test_views_and_read_only_arrays(shape: tuple[int, int], dtype: str) -> None:
    classes, weight, shares = _targets(shape, dtype)
    for x in (draw(shape[::-1], dtype).T, draw((2 * shape[0], 2 * shape[1]), dtype)[::-2, ::2]):
        x.flags.writeable = False
        _compare(x, numpy.repeat(classes, 2)[::2], numpy.repeat(weight, 2)[::2], 0, "mean")
        _compare(x, numpy.asfortranarray(shares), None, None, "mean")
    p = numpy.exp(x)
    g = numpy.broadcast_to(numpy.asarray(0.5, dtype), shape[:1])
    dx = OVERRIDES["cross_entropy_grad"](g, p.copy(), p.sum(1), classes, None, None, None)
    _check(dx, KERNELS["cross_entropy_grad"](PLAIN, g, p, p.sum(1), classes, None, None, None))


def test_numpy_serves_what_kernels_cannot_take() -> None:
    x, target = draw((6, 40), "float32"), numpy.zeros(6, "int64")
    function, gradient = OVERRIDES["cross_entropy"], OVERRIDES["cross_entropy_grad"]
    assert function(x.astype("float16"), target, None, None, "mean") is NotImplemented
    assert function(x, target, numpy.ones(40), None, "mean") is NotImplemented  # float64
    assert function(x, numpy.ones((6, 40)), None, None, "mean") is NotImplemented
    assert function(x[:0], target[:0], None, None, "sum") is NotImplemented
    assert gradient(numpy.ones(()), x, x[:, 0], target, None, 1, None) is NotImplemented


@pytest.mark.parametrize("classes", [10, 100])
def test_threads_return_the_same_numbers(classes: int) -> None:
    x = draw((30000 // classes, classes), "float32")
    target = numpy.arange(len(x)) % classes

    def call_all() -> tuple[Any, ...]:
        loss, top, p, total, n = OVERRIDES["cross_entropy"](x, target, None, None, "mean")
        g = numpy.ones((), "float32")
        dx = CPU.xp.cross_entropy_grad(g, p, total, target, None, n, None)
        soft = OVERRIDES["cross_entropy"](x, abs(x), None, None, "mean")
        soft_dx = OVERRIDES["cross_entropy_grad"](g, soft[2], soft[3], abs(x), None, n, None)
        return loss, top, p, total, dx, soft[0], soft_dx

    same_with_threads(call_all)


# -- elementwise losses, and sums of them ------------------------------------------------------------------------------
EDGES = [0.0, -0.0, 1e-45, 0.25, 1 - 1e-7, 1.0, 1.5, -2.0, 30.0, -30.0, 1e30, INF, -INF, NAN]
#: Targets of binary cross-entropy, and weights of positive ones.
TARGETS = [0.0, 1e-45, 0.25, 1 - 1e-7, 1.0, NAN]
#: Loss -> the number of its arrays, and its numbers.
ELEMENTWISE = {
    "mse_grad": (3, (0.7,)),
    "huber": (1, (0.7,)), "huber_grad": (2, (0.7,)), "smooth_l1": (1, (0.7,)), "smooth_l1_grad": (2, (0.7,)),
    "binary_cross_entropy": (2, ()), "binary_cross_entropy_grad": (3, ()), "binary_cross_entropy_grad_target": (2, ()),
    "binary_cross_entropy_with_logits": (3, ()), "binary_cross_entropy_with_logits_grad": (4, ()),
    "gaussian_nll_slope": (2, ()),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_losses(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count, numbers = ELEMENTWISE[name]
    override = OVERRIDES[name]
    monkeypatch.setattr(override, "least", 0)

    def compare(*arrays: Any) -> None:
        _check(override(*arrays, *numbers), KERNELS[name](PLAIN, *arrays, *numbers))

    drawn = [draw((6, 50), dtype, i) for i in range(count)]
    compare(*drawn)
    first = count - (1 + ("logits" in name)) * ("binary" in name)
    grid = [numpy.asarray(a, dtype) for a in numpy.meshgrid(*[EDGES] * first, *[TARGETS] * (count - first))]
    compare(*grid)
    compare(*[a.T for a in drawn])
    compare(*[a[:, ::3] for a in drawn])
    compare(*[a[:1] if i else a for i, a in enumerate(drawn)])
    compare(*[numpy.asarray(a[0, 0]) for a in drawn])
    compare(*[a[:0] for a in drawn])
    if "logits" in name:
        compare(*drawn[:-1], None)
        compare(*grid[:-1], None)


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The sum of ``abs(x) * y``, or of ``abs(x) * 2`` if there is no y, and of a number."""
    function = Summed(lambda xp, x, y, more: xp.abs(x) * (2.0 if y is None else y) + more)
    monkeypatch.setattr(function, "least", 1)
    return function


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 7, 4096, 4097, 20000])
def test_sums(n: int, dtype: str, summed: Any) -> None:
    x, y = draw((n,), dtype), abs(draw((n,), dtype, 1))
    exact = abs(x.astype("float64")) * y
    eps = float(numpy.finfo(dtype).eps)
    for more in (0.0, 0.5, -1):
        result = summed(x, y, more)
        assert result.dtype == dtype
        terms = exact + more
        assert float(result) == pytest.approx(terms.sum(), rel=0, abs=8 * eps * abs(terms).sum())
    assert float(summed(x, None, 0.0)) == pytest.approx(2 * abs(x.astype("float64")).sum(), rel=8 * eps)
    strided = numpy.repeat(x, 2)[::2]
    assert summed(strided, y, 0.5) == summed(x, y, 0.5)
    for special in (NAN, INF):
        x[-1] = special
        numpy.testing.assert_equal(float(summed(x, y, 0.5)), special)


def test_sums_that_numpy_serves(summed: Any) -> None:
    x = draw((6, 5), "float32")
    for arguments in ((x, x[:1]), (x, x.astype("float64")), (x.astype("float16"),) * 2, (x[:0], x[:0]), (x, "text")):
        assert summed(*arguments, 0.0) is NotImplemented


@pytest.mark.parametrize("dtype", DTYPES)
def test_mean_squares(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss._SQUARES, "least", 1)
    x, target = draw((70, 100), dtype), draw((70, 100), dtype, 1)
    for n in (1, 7000):
        _check(OVERRIDES["mse"](x, target, n), KERNELS["mse"](PLAIN, x, target, n))
    assert OVERRIDES["mse"](x, target[0], 1) is NotImplemented


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["huber", "smooth_l1", "binary_cross_entropy", "binary_cross_entropy_with_logits"])
def test_means_and_sums_of_losses(name: str, dtype: str) -> None:
    count, numbers = ELEMENTWISE[name]
    x, *others = [draw((30, 300), dtype, i) for i in range(count)]
    others = [abs(a) / 5 for a in others]
    x = abs(x) / 5 if name == "binary_cross_entropy" else x
    for reduction in ("mean", "sum"):
        arguments = (x, *others, *numbers, reduction)
        _check(OVERRIDES[f"reduced_{name}"](*arguments), KERNELS[f"reduced_{name}"](PLAIN, *arguments))
    if others:
        assert OVERRIDES[f"reduced_{name}"](x, *others[:-1], others[-1][0], "sum") is NotImplemented
