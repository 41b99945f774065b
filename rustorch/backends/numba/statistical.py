"""Reductions as compiled loops: over all elements, over the first or the last axes, or over axes between."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from . import statistical_loops as loops
from .availability import always
from .fusing import Fused
from .kernel import flat, order_in_memory
from .running import cumulative_prod, cumulative_sum
from .statistical_loops import WIDTH

if TYPE_CHECKING:
    from ..base import Array, Namespace

#: Elements of an item. It is fixed, so that sums do not depend on the number of threads.
SEGMENT = 1 << 14
#: Elements from which a compiled loop can be faster than NumPy's. Measured with one thread, float32, in microseconds:
#: var of 64 rows of 64 takes 3, and NumPy's 21.
LEAST = 0 if always() else 1 << 11
#: The same for functions of several compiled passes: the variance of 32,768 elements takes 45 and NumPy's 34.
_LEAST_PASSES = 0 if always() else 1 << 16
#: Rows from which none is shared between threads.
_ENOUGH = 8
_FLOAT64 = numpy.dtype("float64")
_add = numpy.add.reduce


class Plan(NamedTuple):
    """A contiguous array as (outer, n, inner), of which the middle axis is reduced. If ``groups`` is not 1, the array
    is (groups, outer, n), and the first axis is reduced, too.
    """

    groups: int
    outer: int
    n: int
    inner: int
    segments: int
    """The number of parts that n is cut into."""
    is_rows: bool
    """Whether each reduced row lies in one piece and is not shared between threads."""
    least: int
    """The size from which sums and extremes are served."""
    shape: tuple[int, ...]
    """The shape of the result."""
    kept: tuple[int, ...]
    """The shape of the result with the reduced axes."""


@lru_cache(1024)
def plan_of(shape: tuple[int, ...], axis: Any) -> Plan | None:
    """How the axes lie; None if there is no such plan."""
    axes = range(len(shape)) if axis is None else {a % len(shape) for a in (axis if type(axis) is tuple else (axis,))}
    parts: list[tuple[bool, int]] = []  # neighbouring axes as one
    for i, n in enumerate(shape):
        if n == 1:
            continue
        if parts and parts[-1][0] == (i in axes):
            n *= parts.pop()[1]
        parts.append((i in axes, n))
    sizes = [n for _, n in parts]
    layouts = {
        (True,): (1, 1, *sizes, 1),
        (False, True): (1, *sizes, 1),
        (True, False): (1, 1, *sizes),
        (False, True, False): (1, *sizes),
        (True, False, True): (*sizes, 1),
    }
    layout: Any = layouts.get(tuple([reduced for reduced, _ in parts]))
    if layout is None:
        return None
    groups, outer, n, inner = layout
    return Plan(
        groups,
        outer,
        n,
        inner,
        -(-n // (SEGMENT if inner == 1 else _rows_of_segment(inner))),
        groups == inner == 1 and (n <= SEGMENT or outer >= _ENOUGH),
        0 if always() else _least(*layout),
        tuple([n for i, n in enumerate(shape) if i not in axes]),
        tuple([1 if i in axes else n for i, n in enumerate(shape)]),
    )


def _least(groups: int, outer: int, n: int, inner: int) -> int:
    """The size from which sums and extremes are served. Measured with one thread, float32, in microseconds, against
    NumPy: sums of 64 rows of 512 take 5 against 9, those of 64 rows of 64 3.3 against 2.9; the sum of 32,768 elements
    5.8 against 6.2; sums of the columns of (100,000, 5) 43 against 1,500, and of (64, 64) 4 against 4. Of wide arrays,
    columns take as long as NumPy's with one thread, and so does the maximum of all elements: they gain by threads only.
    """
    if inner > 1:
        return 1 << 13 if inner <= 32 else 1 << 18
    return 1 << 16 if groups > 1 or outer < _ENOUGH else 1 << 13


def _rows_of_segment(inner: int) -> int:
    return builtins.max(64, 4 * SEGMENT // builtins.min(inner, WIDTH))


def _columns(plan: Plan) -> tuple[int, int, int, int, int, int]:
    """What the loops over columns take after the arrays."""
    inner = plan.inner
    blocks = -(-inner // WIDTH) if inner > WIDTH // 2 else 1
    width = -(-inner // blocks) + 15 & -16 if blocks > 1 else WIDTH // inner * inner  # whole registers, or whole rows
    return plan.n, inner, _rows_of_segment(inner), plan.segments, width, blocks


def _terms(x: Array, n: int) -> Array:
    """The array as a reduction over ``n`` elements reads it. If these are all of its elements, their order does not
    matter, and an array with its axes in another order is not copied.
    """
    order = order_in_memory(x) if n == x.size else None
    return flat(x if order is None else x.transpose(order))


def _sum(x: Array, plan: Plan) -> Array:
    """The sums in one dimension or none, of the dtype of x or in float64."""
    groups, outer, n, inner, count = plan[:5]
    if inner > 1:
        launch = loops.COLUMN_SUMS.of(x.dtype, x.size)
        if launch is None:
            return NotImplemented
        out = numpy.empty((outer, count, inner))
        sizes = _columns(plan)
        launch(outer * count * sizes[-1], x.size, flat(x), out, *sizes)
        return _add(out, 1) if count > 1 else out
    again = groups > 1 or count > 1
    launch = (loops.PARTIAL_SUMS if again else loops.SUMS).of(x.dtype, x.size)
    if launch is None:
        return NotImplemented
    out = numpy.empty((groups, outer, count), _FLOAT64 if again else x.dtype)
    launch(groups * outer * count, x.size, _terms(x, n), out, n, SEGMENT, count)
    return _add(out, (0, 2)) if again else out


def _extreme(x: Array, axis: Any, keepdims: bool, factor: float) -> Array:
    if x.size < LEAST or not x.size or (plan := plan_of(x.shape, axis)) is None or x.size < plan.least:
        return NotImplemented
    groups, outer, n, inner, count = plan[:5]
    if outer < _ENOUGH and inner == 1 and x.size < 4 * plan.least:  # here NumPy takes as long as one thread
        return NotImplemented
    reduce = numpy.maximum.reduce if factor > 0 else numpy.minimum.reduce
    if inner > 1:
        launch = loops.COLUMN_EXTREMES.of(x.dtype, x.size)
        if launch is None:
            return NotImplemented
        out = numpy.empty((outer, count, inner), x.dtype)
        sizes = _columns(plan)
        launch(outer * count * sizes[-1], x.size, flat(x), out, *sizes, factor)
        out = reduce(out, 1) if count > 1 else out
    else:
        launch = loops.EXTREMES.of(x.dtype, x.size)
        if launch is None:
            return NotImplemented
        out = numpy.empty((groups, outer, count), x.dtype)
        launch(groups * outer * count, x.size, _terms(x, n), out, n, SEGMENT, count, factor)
        out = reduce(out, (0, 2)) if groups > 1 or count > 1 else out
    return out.reshape(plan.kept if keepdims else plan.shape)


# -- the overrides -----------------------------------------------------------------------------------------------------
def sum(x: Array, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
    if x.size < LEAST or not x.size or (dtype is not None and dtype != x.dtype):
        return NotImplemented
    if (plan := plan_of(x.shape, axis)) is None or x.size < plan.least or (out := _sum(x, plan)) is NotImplemented:
        return NotImplemented
    return out.astype(x.dtype, copy=False).reshape(plan.kept if keepdims else plan.shape)


def mean(x: Array, /, *, axis: Any = None, keepdims: bool = False) -> Array:
    if x.size < LEAST or not x.size or (plan := plan_of(x.shape, axis)) is None or x.size < plan.least:
        return NotImplemented
    if (out := _sum(x, plan)) is NotImplemented:
        return NotImplemented
    out /= plan.groups * plan.n
    return out.astype(x.dtype, copy=False).reshape(plan.kept if keepdims else plan.shape)


def _mean(x: Array, plan: Plan) -> Array:
    """The means with the reduced axes, or NotImplemented."""
    if x.size < _LEAST_PASSES or (out := _sum(x, plan)) is NotImplemented:
        return NotImplemented
    out /= plan.groups * plan.n
    return out.astype(x.dtype, copy=False).reshape(plan.kept)


def max(x: Array, /, *, axis: Any = None, keepdims: bool = False) -> Array:
    return _extreme(x, axis, keepdims, 1.0)


def min(x: Array, /, *, axis: Any = None, keepdims: bool = False) -> Array:
    return _extreme(x, axis, keepdims, -1.0)


def _squared_deviation(xp: Namespace, x: Array, mean: Array) -> Array:
    deviation = x - mean
    return deviation * deviation


def _product_of_deviation(xp: Namespace, factor: Array, x: Array, mean: Array) -> Array:
    return factor * (x - mean)


def _tie(xp: Namespace, x: Array, out: Array) -> Array:
    return xp.where((x == out) | ((x != x) & (out != out)), 1.0, 0.0)


def _shared(xp: Namespace, share: Array, x: Array, out: Array) -> Array:
    return xp.where((x == out) | ((x != x) & (out != out)), share, 0.0)


_squares, _products = Fused(_squared_deviation), Fused(_product_of_deviation)
_ties, _shares = Fused(_tie), Fused(_shared)


def var(x: Array, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    if x.size < LEAST or not x.size or (plan := plan_of(x.shape, axis)) is None:
        return NotImplemented
    degrees = plan.groups * plan.n - correction
    if degrees <= 0:
        return NotImplemented
    if plan.is_rows:
        launch = loops.VARIANCES.of(x.dtype, 2 * x.size)
        if launch is None:
            return NotImplemented
        out = numpy.empty(plan.kept if keepdims else plan.shape, x.dtype)
        launch(plan.outer, 2 * x.size, flat(x), out, plan.n, degrees)
        return out
    center = _mean(x, plan)
    squares = center if center is NotImplemented else _squares(x, center)
    out = squares if squares is NotImplemented else _sum(squares, plan)
    if out is NotImplemented:
        return NotImplemented
    out /= degrees
    return out.astype(x.dtype, copy=False).reshape(plan.kept if keepdims else plan.shape)


def centered(factor: Array, x: Array, axis: Any) -> Array:
    if x.size < LEAST or not x.size or factor.dtype is not x.dtype or (plan := plan_of(x.shape, axis)) is None:
        return NotImplemented
    if plan.is_rows and factor.size == plan.outer:
        launch = loops.CENTERED.of(x.dtype, 2 * x.size)
        if launch is None:
            return NotImplemented
        out = numpy.empty(x.shape, x.dtype)
        factor = numpy.asarray(factor)  # NumPy computes a scalar from arrays without dimensions
        launch(plan.outer, 2 * x.size, flat(factor), flat(x), out, plan.n)
        return out
    center = _mean(x, plan)
    return center if center is NotImplemented else _products(factor, x, center)


def extreme_grad(g: Array, x: Array, out: Array, axis: Any) -> Array:
    if x.size < LEAST or not x.size or not g.dtype is out.dtype is x.dtype:
        return NotImplemented
    if (plan := plan_of(x.shape, axis)) is None or g.shape != out.shape:
        return NotImplemented
    if plan.is_rows:
        launch = loops.EXTREME_GRAD.of(x.dtype, 2 * x.size)
        if launch is None:
            return NotImplemented
        dx = numpy.empty(x.shape, x.dtype)
        g, out = numpy.asarray(g), numpy.asarray(out)
        launch(plan.outer, 2 * x.size, flat(g), flat(x), flat(out), dx, plan.n)
        return dx
    ties = _ties(x, out) if x.size >= _LEAST_PASSES else NotImplemented
    counts = ties if ties is NotImplemented else _sum(ties, plan)
    if counts is NotImplemented:
        return NotImplemented
    return _shares(g / counts.astype(x.dtype).reshape(out.shape), x, out)


#: `sum` is called by NumPy's own version: see there.
OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (mean, max, min, var, centered, extreme_grad, cumulative_sum, cumulative_prod)
}
for _name in ("mean", "max", "min", "var", "cumulative_sum", "cumulative_prod"):
    _function: Any = OVERRIDES[_name]
    _function.least, _function.arity = LEAST, "options"
