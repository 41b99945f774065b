"""Attention: what lies between two products is one compiled pass over scores that are in the cache.

Long rows of scores are computed in tiles, and again in the backward. Short ones are kept instead: the softmax is no
larger than what the gradient needs besides it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from .. import threads
from ..numpy import attention_tiles as tiles
from .availability import always
from .kernel import Kernel, flat
from .products_loops import clear

if TYPE_CHECKING:
    from ..base import Array
    from .mathematics import exp
    from .reductions import larger, plus

    T: Any = None  # the kernel's dtype

INF = math.inf
Launch = Callable[..., None]
#: About how many additions an element of a tile takes.
_COST = 4
#: Scores from which compiled passes are faster than NumPy's.
_LEAST = 0 if always() else 1 << 12


# -- the loops ---------------------------------------------------------------------------------------------------------
def finite_or_zero(x: Any) -> Any:
    """The number itself, or 0 if it is not finite."""
    return x if abs(x) < T(INF) else T(0)


def multiply_by_scale(row: Any, scale: Any) -> None:
    """Scale the scores of a query in memory, so that all later loops read the same rounded numbers. If a product and a
    difference were one operation, the largest score minus itself would not be 0.
    """
    for i in range(row.size):
        row[i] *= scale


def add_scaled(row: Any, mask: Any, scale: Any) -> None:
    """Scale the scores of a query, and add the mask."""
    for i in range(row.size):
        row[i] = row[i] * scale + mask[i]


def multiply_by(row: Any, factors: Any) -> None:
    """Multiply the numbers of a row."""
    for i in range(row.size):
        row[i] *= factors[i]


def _softmax(
    scores: Any, mask: Any, keep: Any, tops: Any, totals: Any, out: Any, masked: int, kept: int, divided: int,
    values: int, mask_batch: int, mask_head: int, mask_query: int, keep_batch: int, keep_head: int, keep_query: int,
    heads: int, queries: int, keys: int, offset: int, scale: Any, start: int, stop: int,
) -> None:  # fmt: skip
    for r in range(start, stop):
        i = r % queries
        head = r // queries % heads
        batch = r // (queries * heads)
        seen = max(0, min(keys, i + offset))
        row = scores[r * keys : r * keys + seen]
        clear(scores[r * keys + seen : r * keys + keys])
        if masked:
            at = batch * mask_batch + head * mask_head + i * mask_query
            add_scaled(row, mask[at : at + seen], scale)
        else:
            multiply_by_scale(row, scale)
        before = tops[r]
        top = before
        for j in range(row.size):
            top = larger(top, row[j])
        shift = finite_or_zero(top)
        total = T(0)
        for j in range(row.size):
            term = exp(row[j] - shift)
            row[j] = term
            total = plus(total, term)
        if values:
            correction = exp(before - shift)
            total += totals[r] * correction
            sums = out[r * values : r * values + values]
            for j in range(sums.size):
                sums[j] *= correction
        if divided:
            inverse = T(1) if total == T(0) else T(1) / total
            for j in range(row.size):
                row[j] *= inverse
        tops[r] = top
        totals[r] = total
        if kept:
            at = batch * keep_batch + head * keep_head + i * keep_query
            multiply_by(row, keep[at : at + seen])


def _softmax_grad(
    scores: Any, slopes: Any, mask: Any, keep: Any, logs: Any, dots: Any, masked: int, kept: int,
    mask_batch: int, mask_head: int, mask_query: int, keep_batch: int, keep_head: int, keep_query: int,
    heads: int, queries: int, keys: int, offset: int, scale: Any, start: int, stop: int,
) -> None:  # fmt: skip
    for r in range(start, stop):
        i = r % queries
        head = r // queries % heads
        batch = r // (queries * heads)
        seen = max(0, min(keys, i + offset))
        row = scores[r * keys : r * keys + seen]
        slope = slopes[r * keys : r * keys + seen]
        clear(scores[r * keys + seen : r * keys + keys])
        clear(slopes[r * keys + seen : r * keys + keys])
        if masked:
            at = batch * mask_batch + head * mask_head + i * mask_query
            add_scaled(row, mask[at : at + seen], scale)
        else:
            multiply_by_scale(row, scale)
        at = batch * keep_batch + head * keep_head + i * keep_query
        if kept:
            multiply_by(slope, keep[at : at + seen])
        shift = T(logs[r])
        lost = T(finite_or_zero(shift) - logs[r]) if abs(logs[r]) < INF else T(0)  # by rounding
        correction = exp(lost)
        dot = dots[r]
        for j in range(row.size):
            p = exp(row[j] - shift) * correction
            row[j] = p
            slope[j] = p * (slope[j] - dot) * scale
        if kept:
            multiply_by(row, keep[at : at + seen])


def _weights_grad(
    p: Any, slopes: Any, g: Any, out: Any, keep: Any, kept: int, g_batch: int, g_head: int, g_query: int,
    out_batch: int, out_head: int, out_query: int, keep_batch: int, keep_head: int, keep_query: int,
    values: int, heads: int, queries: int, keys: int, scale: Any, start: int, stop: int,
) -> None:  # fmt: skip
    for r in range(start, stop):
        i = r % queries
        head = r // queries % heads
        batch = r // (queries * heads)
        row, slope = p[r * keys : r * keys + keys], slopes[r * keys : r * keys + keys]
        if kept:
            at = batch * keep_batch + head * keep_head + i * keep_query
            multiply_by(slope, keep[at : at + keys])
        at, place = batch * g_batch + head * g_head + i * g_query, batch * out_batch + head * out_head + i * out_query
        one, other = g[at : at + values], out[place : place + values]
        dot = T(0)
        for j in range(one.size):
            dot = plus(dot, one[j] * other[j])
        for j in range(row.size):
            slope[j] = row[j] * (slope[j] - dot) * scale


SOFTMAX = Kernel(
    _softmax, "T[] T[]? T[]? T[] T[] T[]? int int int int int int int int int int int int int int T", name="attention"
)
SOFTMAX_GRAD = Kernel(
    _softmax_grad, "T[] T[] T[]? T[]? f8[] T[] int int int int int int int int int int int int T", name="attention_grad"
)

WEIGHTS_GRAD = Kernel(
    _weights_grad, "T[] T[] T[] T[] T[]? " + "int " * 14 + "T", name="attention_weights_grad"
)  # fmt: skip


# -- the passes --------------------------------------------------------------------------------------------------------
_NO_STEPS = (0, 0, 0)


def _rows(x: Array | None) -> tuple[Array | None, tuple[int, int, int]]:
    """A mask of a tile whose rows lie in one piece, and its steps along batch, heads and queries."""
    if x is None:
        return None, _NO_STEPS
    size = x.itemsize
    if (x.strides[3] != size and x.shape[3] > 1) or not x.flags.aligned or any(s % size for s in x.strides):
        x = x.copy()
    batch, head, query, _ = x.strides
    return x, (batch // size, head // size, query // size)


def _softmax_pass(launch: Launch, divided: bool = False) -> tiles.Softmax:
    def softmax(scores: Array, tile: tiles.Tile, tops: Array, totals: Array, out: Array | None) -> None:
        batch, heads, queries, keys = scores.shape
        mask, mask_steps = _rows(tile.mask)
        keep, keep_steps = _rows(tile.keep)
        launch(
            batch * heads * queries, scores.size * _COST, scores, mask, keep, tops, totals, out, mask is not None,
            keep is not None, divided, 0 if out is None else out.shape[-1], *mask_steps, *keep_steps, heads, queries,
            keys, tile.offset, tile.scale,
        )  # fmt: skip

    return softmax


def _softmax_grad_pass(launch: Launch) -> tiles.SoftmaxGrad:
    def softmax_grad(scores: Array, slopes: Array, tile: tiles.Tile, logs: Array, dots: Array) -> None:
        batch, heads, queries, keys = scores.shape
        mask, mask_steps = _rows(tile.mask)
        keep, keep_steps = _rows(tile.keep)
        launch(
            batch * heads * queries, scores.size * _COST, scores, slopes, mask, keep, logs, dots,
            mask is not None, keep is not None, *mask_steps, *keep_steps, heads, queries, keys, tile.offset, tile.scale,
        )  # fmt: skip

    return softmax_grad


# -- short rows --------------------------------------------------------------------------------------------------------
def _attend(plan: tiles.Plan, q: Array, launch: Launch) -> tuple[Array, Array]:
    """The output and the softmax."""
    softmax = _softmax_pass(launch, divided=True)
    p = numpy.empty((*plan.q.shape[:-1], plan.keys), plan.dtype)
    out, out4 = tiles.new(q, (*q.shape[:-1], plan.values))
    groups = plan.groups()

    def work(start: int, stop: int) -> None:
        for group in groups[start:stop]:
            weights = numpy.matmul(plan.q[group], plan.k[group].swapaxes(-1, -2), p[group])
            tops = numpy.full(weights.shape[:-1], -INF, plan.dtype)
            tile = plan.tile(group, 0, plan.queries, 0, plan.keys)
            softmax(weights, tile._replace(keep=None), tops, numpy.empty_like(tops), None)
            numpy.matmul(weights if tile.keep is None else weights * tile.keep, plan.v[group], out4[group])

    threads.spread(len(groups), plan.cost(2), work, mark_in_use=False)
    return out, p.reshape(*q.shape[:-1], plan.keys)


def _attend_grad(plan: tiles.Plan, g: Array, out: Array, p: Array, results: list[Array], launch: Launch) -> None:
    """Write the gradients of q, k and v. All arrays have four dimensions."""
    groups = plan.groups()

    def work(start: int, stop: int) -> None:
        for group in groups[start:stop]:
            dq, dk, dv = (x[group] for x in results)
            weights = p[group]
            slopes = numpy.matmul(g[group], plan.v[group].swapaxes(-1, -2))
            batch, heads, queries, keys = slopes.shape
            keep, steps = _rows(plan.tile(group, 0, queries, 0, keys).keep)
            (one, one_steps), (other, other_steps) = _rows(g[group]), _rows(out[group])
            launch(
                batch * heads * queries, slopes.size * _COST, weights, slopes, one, other, keep, keep is not None,
                *one_steps, *other_steps, *steps, plan.values, heads, queries, keys, plan.scale,
            )  # fmt: skip
            numpy.matmul(slopes, plan.k[group], dq)
            numpy.matmul(slopes.swapaxes(-1, -2), plan.q[group], dk)
            numpy.matmul((weights if keep is None else weights * keep).swapaxes(-1, -2), g[group], dv)

    threads.spread(len(groups), plan.cost(4), work, mark_in_use=False)


# -- the kernels -------------------------------------------------------------------------------------------------------
def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    keep: Array | None,
    scale: float,
    causal: bool,
    mask_learns: bool,
) -> Any:
    keys, size = k.shape[-2], q.shape[-1]
    if q.size * keys < _LEAST * size or mask_learns or not tiles.serves(q, k, v, mask, keep):
        return NotImplemented
    launch = SOFTMAX.of(q.dtype, q.size // size * keys)
    if launch is None:
        return NotImplemented
    if keys <= size + v.shape[-1]:
        return _attend(tiles.Plan(q, k, v, mask, keep, scale, causal, keys), q, launch)
    return tiles.forward(q, k, v, mask, keep, scale, causal, _softmax_pass(launch))


def attention_grad(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    keep: Array | None,
    out: Array,
    p: Array,
    scale: float,
    causal: bool,
    mask_learns: bool,
) -> Any:
    if mask_learns or out.size * k.shape[-2] < _LEAST * v.shape[-1] or not tiles.serves(q, k, v, None, keep):
        return NotImplemented
    kernel = SOFTMAX_GRAD if p.ndim < q.ndim else WEIGHTS_GRAD
    launch = kernel.of(q.dtype, q.size // q.shape[-1] * k.shape[-2])
    if launch is None or g.dtype != q.dtype:
        return NotImplemented
    if kernel is SOFTMAX_GRAD:
        return *tiles.backward(g, q, k, v, mask, keep, out, p, scale, causal, _softmax_grad_pass(launch)), None
    plan = tiles.Plan(q, k, v, None, keep, scale, causal, k.shape[-2])
    results = [tiles.new(x, x.shape) for x in (q, k, v)]
    _attend_grad(plan, tiles.four(g), tiles.four(out), tiles.four(flat(p)), [view for _, view in results], launch)
    return *[dx for dx, _ in results], None


OVERRIDES: dict[str, Callable[..., Any]] = {"attention": attention, "attention_grad": attention_grad}
