"""Matrix products of floats, compiled: see `products`. BLAS serves small ones, and those of other dtypes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
from numpy import ndarray

from ..numpy.attention_tiles import four
from ..threads import get_num_threads
from .availability import always
from .kernel import flat
from .products import SHORT, Operand, Result, Work, in_steps, plan_work, steps, whole
from .products_loops import MULTIPLY

if TYPE_CHECKING:
    from ..base import Array

#: Multiplications below which BLAS serves, and from which on: it keeps large parts of both matrices in the cache.
_LEAST = 1 if always() else 1 << 18
_MOST = 1 << 27
#: Multiplications of one matrix of a stack below which BLAS serves.
_SMALL = 1 if always() else 1 << 12
#: Rows or columns below which BLAS serves: there, most of the time goes into reading the other matrix. From 8 to 31
#: rows, BLAS takes 0.5 to 0.9 of the time, too. But its threads stay awake afterwards, on the cores that the next loop
#: needs: with BLAS for the last layer of ResNet-18, 8 rows of 512, a whole step took 1.5 times as long.
_NARROW = 1 if always() else 8


def _launch(rows: int, inner: int, columns: int, *arrays: Any, count: int = 1) -> Callable[..., None] | None:
    """The kernel for ``count`` products of these sizes, or None where BLAS should serve."""
    if count * rows * inner * columns < _LEAST or rows * inner * columns >= _MOST or min(rows, columns) < _NARROW:
        return None
    dtype = arrays[0].dtype
    for a in arrays:
        if type(a) is not ndarray or a.dtype is not dtype:
            return None
    return MULTIPLY.of(dtype, count * rows * inner * columns)


class _Plan(NamedTuple):
    """What a product needs besides its arrays: whether they change places, the tables, and how it is shared."""

    turned: bool
    rows_a: Array
    depth_a: Array
    depth_b: Array
    columns_b: Array
    columns_c: Array
    work: Work


def _new_plan(
    shapes: tuple[int, ...], strides: tuple[int, ...], itemsize: int, biased: bool, summed: bool, threads: int
) -> _Plan | None:
    """The plan for a product of matrices of (sets, groups, rows, inner, columns), or None if one of them has to be
    copied. If ``summed``, the rows of the first one are summed, too.
    """
    sets, groups, rows, inner, columns = shapes
    if not whole(strides, itemsize):
        return None
    set_a, group_a, row_a, depth_a, set_b, group_b, depth_b, column_b = (step // itemsize for step in strides)
    none: Any = None
    first = Operand(none, steps(rows, row_a), steps(inner, depth_a), group_a, set=set_a)
    second = Operand(none, steps(inner, depth_b), steps(columns, column_b), group_b, set=set_b)
    # The second matrix is copied to panels. If elements have to be turned for that, it should be the smaller one. In
    # the gradient of a weight, rows of both lie far apart: it should be the wider one, whose rows are then read once.
    turned = rows > columns if row_a == column_b == 1 else not (column_b == 1 or rows >= columns)
    if turned:
        first, second = (x._replace(rows=x.columns, columns=x.rows) for x in (second, first))
    row, places, bias = (1, steps(rows, columns), (0, 1, 0)) if turned else (columns, steps(columns), (0, 0, 1))
    each, size = rows * columns, sets * groups * rows * columns
    sums = ("columns" if turned else "rows") if summed else ""
    result = Result(none, row, places, each, bias=(none, *bias) if biased else None, set=groups * each, sums=sums)
    work = plan_work(first, second, result, itemsize, size, threads, groups, sets=sets)
    return _Plan(turned, first.rows, first.columns, second.rows, second.columns, result.columns, work)


#: A network multiplies the same shapes again and again.
_kept_plan = lru_cache(maxsize=512)(_new_plan)


def _product(
    launch: Callable[..., None], a: Array, b: Array, out: Array, bias: Array | None = None, sums: Array | None = None
) -> Array:
    """Write the product of two matrices, plus a bias for each column, to a third one in one piece. Or those of two
    stacks of matrices, which have four dimensions. And write the sums of the first matrix's rows to ``sums``.
    """
    plan = None
    if a.flags.aligned and b.flags.aligned:
        shapes, strides = (*a.shape, b.shape[-1]), a.strides + b.strides
        if len(shapes) == 3:
            shapes, strides = (1, 1, *shapes), (0, 0, *a.strides, 0, 0, *b.strides)
        find = _kept_plan if max(shapes[2:]) <= SHORT else _new_plan  # hundreds of long tables would be large
        plan = find(shapes, strides, a.itemsize, bias is not None, sums is not None, get_num_threads())
    if plan is None:
        a, b = [x if in_steps(x) else x.copy() for x in (a, b)]
        return _product(launch, a, b, out, bias, sums)
    turned, rows_a, depth_a, depth_b, columns_b, columns_c, work = plan
    first, second = (b, a) if turned else (a, b)
    launch(
        work.items, work.multiplications, first, rows_a, depth_a, second, depth_b, columns_b, out, work.rows,
        columns_c, bias, sums, work.numbers,
    )  # fmt: skip
    return out


def _matrix(x: Array) -> Array:
    """All rows of a stack of matrices, as one matrix."""
    return x if x.ndim == 2 else x.reshape(prod(x.shape[:-1]), x.shape[-1])


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """As the plain version."""
    if x.ndim < 2:
        return NotImplemented
    columns, inner = weight.shape
    launch = _launch(x.size // inner if inner else 0, inner, columns, x, weight, *(() if bias is None else (bias,)))
    if launch is None or x.shape[-1] != inner:
        return NotImplemented
    bias = None if bias is None else flat(bias)
    out = numpy.empty((*x.shape[:-1], columns), x.dtype)
    _product(launch, _matrix(x), weight.T, _matrix(out), bias)
    return out


def linear_grad_weight(g: Array, x: Array) -> Array:
    """As the plain version."""
    if g.ndim < 2 or g.shape[:-1] != x.shape[:-1]:
        return NotImplemented
    launch = _launch(g.shape[-1], prod(g.shape[:-1]), x.shape[-1], g, x)
    if launch is None:
        return NotImplemented
    return _product(launch, _matrix(g).T, _matrix(x), numpy.empty((g.shape[-1], x.shape[-1]), x.dtype))


def linear_grad_weight_bias(g: Array, x: Array) -> Any:
    """As the plain version, in one loop."""
    if g.ndim < 2 or g.shape[:-1] != x.shape[:-1]:
        return NotImplemented
    launch = _launch(g.shape[-1], prod(g.shape[:-1]), x.shape[-1], g, x)
    if launch is None or g.itemsize not in g.strides:  # no elements lie side by side, as in a sum's gradient
        return NotImplemented
    out, sums = numpy.empty((g.shape[-1], x.shape[-1]), x.dtype), numpy.empty(g.shape[-1], x.dtype)
    return _product(launch, _matrix(g).T, _matrix(x), out, None, sums), sums


def matmul(x1: Array, x2: Array, /) -> Array:
    """The standard's matmul: for a matrix or a stack of matrices times one matrix, and for two stacks of one shape."""
    if x1.ndim < 2:
        return NotImplemented
    if x2.ndim > 2:
        return _stacks(x1, x2)
    if x2.ndim != 2 or x1.shape[-1] != x2.shape[0]:
        return NotImplemented
    inner, columns = x2.shape
    launch = _launch(x1.size // inner if inner else 0, inner, columns, x1, x2)
    if launch is None:
        return NotImplemented
    out = numpy.empty((*x1.shape[:-1], columns), x1.dtype)
    _product(launch, _matrix(x1), x2, _matrix(out))
    return out


def _stacks(x1: Array, x2: Array) -> Array:
    lead, rows, inner, columns = x1.shape[:-2], x1.shape[-2], x1.shape[-1], x2.shape[-1]
    if x2.shape[:-2] != lead or x2.shape[-2] != inner or rows * inner * columns < _SMALL:
        return NotImplemented
    launch = _launch(rows, inner, columns, x1, x2, count=prod(lead))
    if launch is None:
        return NotImplemented
    out = numpy.empty((*lead, rows, columns), x1.dtype)
    _product(launch, four(x1), four(x2), four(out))
    return out


matmul.least = 0 if always() else 1 << 9  # type: ignore[attr-defined]
linear.arity = "options"  # type: ignore[attr-defined]
for _function in (linear_grad_weight, linear_grad_weight_bias, matmul):
    _function.arity = 2  # type: ignore[attr-defined]
for _function in (linear, linear_grad_weight, linear_grad_weight_bias):
    _function.least = matmul.least  # type: ignore[attr-defined,union-attr]

OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (linear, linear_grad_weight, linear_grad_weight_bias, matmul)
}
