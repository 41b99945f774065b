"""Attention in tiles of queries and keys: the scores of one tile at a time exist, so memory is linear in the length.

Algorithm: Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022,
arXiv:2205.14135. BLAS multiplies the tiles. What lies between the products is a pass over one tile, in place.

Arrays are (batch, heads, length, size) here. The forward saves one number for each query: the logarithm of the sum of
the exponentials of its scores, in float64, from which the backward computes the softmax of a tile anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
from numpy import add, multiply, subtract

from .. import threads
from .constants import cached_ones

if TYPE_CHECKING:
    from ..base import Array

#: Elements of a tile. Two tiles fit into the second-level cache, with what BLAS needs beside them.
TILE = 1 << 16
#: The largest numbers of keys and queries of a tile, unless there are few of the others.
KEYS = QUERIES = 256
#: Elements of a part of the work that a thread takes at least.
LEAST_PART = 1 << 13

_FLOAT64 = numpy.dtype("float64")


class Tile(NamedTuple):
    """What a pass needs besides the scores of a tile, (batch, heads, queries, keys).

    Attributes
    ----------
    mask, keep : array that broadcasts to the scores, or None
        As for the kernel ``attention``.
    scale : float
        The factor of the scores.
    offset : int
        Query i of the tile sees its first ``i + offset`` keys.
    """

    mask: Array | None
    keep: Array | None
    scale: float
    offset: int


# -- passes ------------------------------------------------------------------------------------------------------------
def _masked(scores: Array, tile: Tile) -> None:
    """Scale the scores, add the mask, and hide keys."""
    multiply(scores, tile.scale, scores)
    if tile.mask is not None:
        add(scores, tile.mask, scores)
    queries, keys = scores.shape[-2:]
    if tile.offset < keys:
        hidden = numpy.arange(keys) >= numpy.arange(tile.offset, tile.offset + queries)[:, None]
        numpy.copyto(scores, -numpy.inf, where=hidden)


def _finite(x: Array) -> Array:
    """The numbers, with 0 in place of those that are not finite."""
    return numpy.where(numpy.isfinite(x), x, x.dtype.type(0))


def _softmax(scores: Array, tile: Tile, tops: Array, totals: Array, out: Array | None) -> None:
    """Replace scores by exponentials, times ``keep``.

    ``tops`` are the maxima of each query up to this tile, (batch, heads, queries), and ``totals`` the sums of the
    exponentials. ``out`` is the sum of values so far, which is multiplied so that it fits the new maxima, or None for
    the first tile.
    """
    _masked(scores, tile)
    top = numpy.maximum(tops, numpy.maximum.reduce(scores, axis=-1))
    shift = _finite(top)
    subtract(scores, shift[..., None], scores)
    numpy.exp(scores, scores)
    sums = numpy.matmul(scores, cached_ones(scores.shape[-1], scores.dtype))
    if out is None:
        totals[...] = sums
    else:
        factor = numpy.exp(tops - shift)
        multiply(totals, factor, totals)
        add(totals, sums, totals)
        multiply(out, factor[..., None], out)
    tops[...] = top
    if tile.keep is not None:
        multiply(scores, tile.keep, scores)


def _softmax_grad(scores: Array, slopes: Array, tile: Tile, logs: Array, dots: Array) -> None:
    """Replace scores by the softmax, times ``keep``, and the gradients of the weights by those of the products."""
    _masked(scores, tile)
    shift = logs.astype(scores.dtype)
    subtract(scores, shift[..., None], scores)
    numpy.exp(scores, scores)
    if scores.dtype != logs.dtype:  # what rounding the logarithm lost
        multiply(scores, numpy.exp(_finite(shift) - _finite(logs)).astype(scores.dtype)[..., None], scores)
    if tile.keep is not None:
        multiply(slopes, tile.keep, slopes)
    subtract(slopes, dots[..., None], slopes)
    multiply(slopes, scores, slopes)
    multiply(slopes, tile.scale, slopes)
    if tile.keep is not None:
        multiply(scores, tile.keep, scores)


# -- the tiles ---------------------------------------------------------------------------------------------------------
def serves(q: Array, k: Array, v: Array, mask: Array | None, keep: Array | None) -> bool:
    """Whether `forward` and `backward` take these arrays."""
    lead, dtype = q.shape[:-2], q.dtype
    if not (lead == k.shape[:-2] == v.shape[:-2] and dtype == k.dtype == v.dtype and dtype.char in "fd"):
        return False
    shape = (*q.shape[:-1], k.shape[-2])
    for x in (mask, keep):
        if x is not None and (x.dtype != dtype or numpy.broadcast_shapes(x.shape, shape) != shape):
            return False
    return bool(q.size and k.size and v.size)


def four(x: Array) -> Array:
    """The array with two leading dimensions."""
    lead = x.shape[:-2]
    return x if len(lead) == 2 else x.reshape(-1 if len(lead) > 2 else 1, lead[-1] if lead else 1, *x.shape[-2:])


class Plan:
    """How the work is cut into tiles, and its arrays in four dimensions."""

    def __init__(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None,
        keep: Array | None,
        scale: float,
        causal: bool,
    ):
        self.q, self.k, self.v = four(q), four(k), four(v)
        self.batch, self.heads, self.queries, self.size = self.q.shape
        self.keys, self.values = self.v.shape[-2:]
        scores = (*q.shape[:-1], self.keys)
        self.mask, self.keep = (None if x is None else four(numpy.broadcast_to(x, scores)) for x in (mask, keep))
        self.scale, self.causal = scale, causal
        self.k_step = min(self.keys, KEYS)
        self.q_step = min(self.queries, max(QUERIES, TILE // self.k_step))
        self.dtype = q.dtype

    def groups(self) -> list[tuple[slice, slice]]:
        """Heads whose tiles are computed together: small heads of several samples, or one large head."""
        one = self.q_step * self.k_step
        parts = threads.get_num_threads()
        limit = min(TILE, max(LEAST_PART, -(-one * self.batch * self.heads // parts)))
        if self.heads * one <= limit:
            step = limit // (self.heads * one)
            return [(slice(b, b + step), slice(None)) for b in range(0, self.batch, step)]
        step = max(1, limit // one)
        return [(slice(b, b + 1), slice(h, h + step)) for b in range(self.batch) for h in range(0, self.heads, step)]

    def tile(self, group: tuple[slice, slice], i: int, i_stop: int, j: int, j_stop: int) -> Tile:
        """What a pass needs of the queries from i and the keys from j."""
        place = (*group, slice(i, i_stop), slice(j, j_stop))
        mask = None if self.mask is None else self.mask[place]
        keep = None if self.keep is None else self.keep[place]
        return Tile(mask, keep, self.scale, i - j + 1 if self.causal else j_stop - j)

    def largest(self, group: tuple[slice, slice]) -> int:
        """Elements of the largest array that a product of a tile of this group gives."""
        heads = len(range(*group[0].indices(self.batch))) * len(range(*group[1].indices(self.heads)))
        wide = max(self.size, self.values)
        elements: int = heads * max(self.q_step * max(self.k_step, wide), self.k_step * wide)
        return elements

    def cost(self, products: int) -> float:
        """About how many multiplications all tiles take."""
        elements = self.batch * self.heads * self.queries * self.keys
        multiplications: float = (
            elements * (products * (self.size + self.values) / 2 + threads.PASS) / (1 + self.causal)
        )
        return multiplications


def new(x: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """A new array of this shape, and its view with two leading dimensions.

    Its dimensions lie in memory in the order of those of x. It owns its memory, so that backward keeps it uncopied.
    """
    out = numpy.empty_like(x, shape=shape, subok=False) if x.ndim <= 4 else numpy.empty(shape, x.dtype)
    return out, four(out)


def _steps(n: int, step: int) -> list[tuple[int, int]]:
    return [(i, min(i + step, n)) for i in range(0, n, step)]


def _cut(x: Array, group: tuple[slice, slice], parts: list[tuple[int, int]]) -> list[Array]:
    """The parts of the third dimension of a group."""
    one = x[group]
    return [one[:, :, i:stop] for i, stop in parts]


def _turned(x: Array) -> Array:
    """A matrix transposed in memory: BLAS multiplies by it several per cent faster than by a view."""
    return numpy.ascontiguousarray(x.swapaxes(-1, -2))


def _product(a: Array, b: Array, buffer: Array) -> Array:
    """``a @ b`` in a buffer of one dimension."""
    shape = (*a.shape[:-1], b.shape[-1])
    n = shape[0] * shape[1] * shape[2] * shape[3]
    out: Array = numpy.matmul(a, b, buffer[:n].reshape(shape))
    return out


def forward(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    keep: Array | None,
    scale: float,
    causal: bool,
) -> tuple[Array, Array]:
    """The output, (..., queries, values), and the logarithms for `backward`, (..., queries)."""
    plan = Plan(q, k, v, mask, keep, scale, causal)
    out, out4 = new(q, (*q.shape[:-1], plan.values))
    logs = numpy.empty(plan.q.shape[:-1], _FLOAT64)
    key_parts = _steps(plan.keys, plan.k_step)
    units = [(group, i) for group in plan.groups() for i in range(0, plan.queries, plan.q_step)]
    if causal:  # later queries see more keys: let the threads take them in turns
        parts = threads.get_num_threads()
        units = [unit for part in range(parts) for unit in units[part::parts]]

    def work(start: int, stop: int) -> None:
        buffers = numpy.empty((3, plan.largest(units[start][0])), plan.dtype)
        last: Any = None
        keys, values = [], []
        for group, i in units[start:stop]:
            if group is not last:
                last, keys, values = group, _cut(plan.k, group, key_parts), _cut(plan.v, group, key_parts)
                keys = [_turned(x) if plan.queries > plan.q_step else x.swapaxes(-1, -2) for x in keys]
            _attend(plan, group, i, (keys, values), buffers, out4, logs)

    threads.spread(len(units), plan.cost(2), work)
    return out, logs.reshape(q.shape[:-1])


def _attend(
    plan: Plan,
    group: tuple[slice, slice],
    i: int,
    tiles: tuple[list[Array], list[Array]],
    buffers: Array,
    out: Array,
    logs: Array,
) -> None:
    """Write the output of some queries, tile by tile."""
    i_stop = min(i + plan.q_step, plan.queries)
    place = (*group, slice(i, i_stop))
    q = plan.q[place]
    tops = numpy.full(q.shape[:-1], -numpy.inf, plan.dtype)
    totals = numpy.empty_like(tops)
    sums: Any = None
    j = 0
    for keys, values in zip(*tiles, strict=True):
        if plan.causal:
            if j >= i_stop:
                break
            keys, values = keys[..., : i_stop - j], values[:, :, : i_stop - j]
        scores = _product(q, keys, buffers[0])
        _softmax(scores, plan.tile(group, i, i_stop, j, j + keys.shape[-1]), tops, totals, sums)
        part = _product(scores, values, buffers[1 if sums is None else 2])
        sums = part if sums is None else add(sums, part, sums)
        j += keys.shape[-1]
    totals[totals == 0] = 1  # every score is -inf
    logs[place] = _finite(tops) + numpy.log(totals, dtype=_FLOAT64)
    multiply(sums, numpy.reciprocal(totals, totals)[..., None], out[place])


def backward(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    keep: Array | None,
    out: Array,
    logs: Array,
    scale: float,
    causal: bool,
) -> tuple[Array, Array, Array]:
    """The gradients of q, k and v; ``out`` and ``logs`` are the results of `forward`."""
    plan = Plan(q, k, v, mask, keep, scale, causal)
    g4, out4, logs4 = four(g), four(out), logs.reshape(plan.q.shape[:-1])
    (dq, dq4), (dk, dk4), (dv, dv4) = (new(x, x.shape) for x in (q, k, v))
    groups = plan.groups()
    parts = _steps(plan.queries, plan.q_step)

    def work(start: int, stop: int) -> None:
        buffers = numpy.empty((3, plan.largest(groups[start])), plan.dtype)
        for group in groups[start:stop]:
            dots = numpy.matmul(multiply(g4[group], out4[group]), cached_ones(plan.values, plan.dtype))
            of_queries = [
                _cut(plan.q, group, parts),
                _cut(g4, group, parts),
                _cut(dq4, group, parts),
                [numpy.ascontiguousarray(logs4[group][:, :, i:stop]) for i, stop in parts],
                [numpy.ascontiguousarray(dots[:, :, i:stop]) for i, stop in parts],
            ]
            for j, j_stop in _steps(plan.keys, plan.k_step):
                _attend_grad(plan, group, j, j_stop, parts, of_queries, buffers, [dk4, dv4])

    threads.spread(len(groups), plan.cost(5), work)
    return dq, dk, dv


def _attend_grad(
    plan: Plan,
    group: tuple[slice, slice],
    j: int,
    j_stop: int,
    parts: list[tuple[int, int]],
    of_queries: list[list[Array]],
    buffers: Array,
    results: list[Array],
) -> None:
    """Write the gradients of some keys and values, and add to those of the queries that see them."""
    place = (*group, slice(j, j_stop))
    k, v, dk, dv = plan.k[place], plan.v[place], results[0][place], results[1][place]
    turn = _turned if len(parts) > 1 else _transposed
    k_turned, v_turned = turn(k), turn(v)
    if plan.causal:  # the first queries may see only some of these keys, or there are too few of them
        dk[...] = 0
        dv[...] = 0
    new = not plan.causal
    for (i, i_stop), q, g, dq, logs, dots in zip(parts, *of_queries, strict=True):
        n = min(j_stop, i_stop) - j if plan.causal else j_stop - j
        if n <= 0:
            continue
        seen = slice(n)
        scores = _product(q, k_turned[..., seen], buffers[0])
        slopes = _product(g, v_turned[..., seen], buffers[1])
        _softmax_grad(scores, slopes, plan.tile(group, i, i_stop, j, j + n), logs, dots)
        _into(dq, slopes, k[:, :, seen], j == 0, buffers[2])
        _into(dk[:, :, seen], _transposed(slopes), q, new, buffers[2])
        _into(dv[:, :, seen], _transposed(scores), g, new, buffers[2])
        new = False


def _transposed(x: Array) -> Array:
    return x.swapaxes(-1, -2)


def _into(out: Array, a: Array, b: Array, new: bool, buffer: Array) -> None:
    """Write the product into ``out``, or add it."""
    if new:
        numpy.matmul(a, b, out)
    else:
        add(out, _product(a, b, buffer), out)
