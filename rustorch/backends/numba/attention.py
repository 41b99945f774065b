"""Attention in blocks of keys and queries, with its products, in one compiled loop.

The scores of a block never leave the cache, and are computed again in the backward. So nothing is as large as all
scores. Algorithm: Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022,
arXiv:2205.14135.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from ..numpy import attention_tiles as tiles
from ..threads import get_num_threads
from . import attention_loops as loops
from .attention_loops import ATTEND, ATTEND_GRAD
from .availability import always
from .kernel import flat
from .processor import VECTORS, tile_width
from .products import in_steps, steps

if TYPE_CHECKING:
    from ..base import Array

#: The fewest scores, and the fewest queries, for which compiled loops serve. A panel takes as long with one query as
#: with all that it has room for.
_LEAST, _FEW = (0, 1) if always() else (1 << 12, 16)
#: Keys of a block.
_BLOCK = 64
#: Panels of queries that are multiplied with a block of keys while it is in the cache. The kernels have room for 256
#: queries.
_PANELS = 4
#: What one score costs besides its products, in multiplications.
_COST = 32


def _rows(x: Array) -> Array:
    """An array of four dimensions whose rows lie in one piece."""
    return x if in_steps(x) and (x.strides[3] == x.itemsize or x.shape[3] == 1) else x.copy(order="C")


def _new(x: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """As `attention_tiles.new`, with rows in one piece."""
    out, four = tiles.new(x, shape)
    if four.strides[3] != x.itemsize:
        out = numpy.empty(shape, x.dtype)
        four = tiles.four(out)
    return out, four


class _Plan:
    """The arguments of a kernel.

    Parameters
    ----------
    arrays : dict
        Arrays of four dimensions, or None, by the place of their steps among the numbers.
    scale, causal
        As for `attention`.
    backward : bool
        Whether heads or parts of their keys are shared between the threads, not blocks of queries.
    """

    def __init__(
        self,
        arrays: dict[int, Array | None],
        scale: float,
        causal: bool,
        backward: bool,
    ):
        q, k, v, mask, keep = (arrays[i] for i in (loops.Q, loops.K, loops.V, loops.MASK, loops.KEEP))
        assert q is not None and k is not None and v is not None
        self.batch, self.heads, self.queries, self.size = q.shape
        self.keys, self.values = v.shape[2:]
        self.width = width = tile_width(q.itemsize)
        self.panels = min(_PANELS, -(-self.queries // width))
        vector = width // VECTORS
        self.size_pitch, self.pitch = (-(-n // vector) * vector for n in (self.size, self.values))
        self.parts = min(-(-get_num_threads() // (self.batch * self.heads)), -(-self.keys // _BLOCK))
        units = self.batch * self.heads * (self.parts if backward else -(-self.queries // (self.panels * width)))
        items = min(units, 2 * get_num_threads())
        numbers = numpy.zeros(loops.SPREAD + 1, numpy.int64)
        numbers[loops.ADDS] = 1
        # Of a head, later blocks of queries see more keys, and earlier parts of the keys are seen by more queries:
        # neighbours would not be equal shares.
        numbers[loops.SPREAD] = causal and units > self.batch * self.heads
        numbers[: loops.PITCH + 1] = (
            items, units, self.parts, self.heads, self.queries, self.keys, self.size, self.values, causal,
            mask is not None, keep is not None, _BLOCK, self.panels, self.size_pitch, self.pitch,
        )  # fmt: skip
        total = 0
        for place, length in self._pieces(backward).items():
            numbers[place] = total
            total += length
        numbers[loops.BUFFER] = total
        for place, array in arrays.items():
            if array is not None:
                numbers[place : place + 4] = [step // array.itemsize for step in array.strides]
        # rows are as long as whole vectors; what lies at their ends is multiplied, too, and denormal numbers are slow
        make = numpy.empty if (self.size_pitch, self.pitch) == (self.size, self.values) else numpy.zeros
        self.buffer = make(items * total, q.dtype)
        self.items, self.numbers, self.scale, self.causal = items, numbers, scale, int(causal)
        self.scores = self.batch * self.heads * self.queries * self.keys

    def _pieces(self, backward: bool) -> dict[int, int]:
        """The number of elements of each piece of the buffer, by its place among the numbers."""
        lanes = self.panels * self.width
        found = {
            loops.SCORES: _BLOCK * self.width, loops.TERMS: _BLOCK * self.width, loops.KEY: _BLOCK * self.size_pitch,
            loops.VALUE: _BLOCK * self.pitch, loops.QUERY_TURNED: lanes * self.size,
            loops.SUMS: lanes * max(self.size_pitch, self.pitch),
        }  # fmt: skip
        if backward:
            found |= {
                loops.SLOPES: _BLOCK * self.width, loops.GRAD_TURNED: lanes * self.values,
                loops.QUERY: lanes * self.size_pitch, loops.GRAD: lanes * self.pitch,
            }  # fmt: skip
        return found

    def run(self, launch: Callable[..., None], products: int, arrays: Sequence[Array | None]) -> None:
        """Run the kernel."""
        long = max(self.size, self.values, self.width, _BLOCK)
        short = max(self.width, _BLOCK)
        of_mask, of_keep = (steps(_BLOCK, int(self.numbers[place + 3])) for place in (loops.MASK, loops.KEEP))
        launch(
            self.items, self.scores * (products * (self.size + self.values) // 2 + _COST) // (16 << self.causal),
            *arrays, self.buffer,
            steps(long), steps(long, self.width), steps(short, self.size_pitch), steps(short, self.pitch), of_mask,
            of_keep, self.numbers, self.scale,
        )  # fmt: skip


def _arrays(q: Array, k: Array, v: Array, mask: Array | None, keep: Array | None) -> dict[int, Array | None]:
    """The arrays in four dimensions."""
    shape = (*q.shape[:-1], k.shape[-2])
    found: dict[int, Array | None] = {
        place: _rows(tiles.four(x)) for place, x in ((loops.Q, q), (loops.K, k), (loops.V, v))
    }
    for place, x in ((loops.MASK, mask), (loops.KEEP, keep)):
        if x is not None:
            x = x if in_steps(x) else x.copy()
            found[place] = tiles.four(numpy.broadcast_to(x, shape))
        else:
            found[place] = None
    return found


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
    """As the plain version. In place of the softmax it gives the logarithm of the sum of the exponentials of a query's
    scores, in float64, (..., queries).
    """
    queries, size = q.shape[-2:]
    if mask_learns or queries < _FEW or q.size * k.shape[-2] < _LEAST * size or not tiles.serves(q, k, v, mask, keep):
        return NotImplemented
    launch = ATTEND.of(q.dtype, q.size // size * k.shape[-2])
    if launch is None:
        return NotImplemented
    arrays = _arrays(q, k, v, mask, keep)
    out, arrays[loops.OUT] = _new(q, (*q.shape[:-1], v.shape[-1]))
    logs = numpy.empty(q.shape[:-1])

    plan = _Plan(arrays, scale, causal, backward=False)
    plan.run(launch, 2, [*arrays.values(), logs])
    return out, logs


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
    """As the plain version."""
    served = tiles.serves(q, k, v, mask, keep) and g.dtype == out.dtype == q.dtype and p.shape == q.shape[:-1]
    if mask_learns or not served or q.size * k.shape[-2] < _LEAST * q.shape[-1]:
        return NotImplemented
    launch = ATTEND_GRAD.of(q.dtype, q.size // q.shape[-1] * k.shape[-2])
    if launch is None:
        return NotImplemented
    arrays = _arrays(q, k, v, mask, keep)
    for place, x in ((loops.G, g), (loops.OUT, out)):
        arrays[place] = _rows(tiles.four(x))
    results = []
    for place, x in ((loops.DQ, q), (loops.DK, k), (loops.DV, v)):
        result, arrays[place] = _new(x, x.shape)
        results.append(result)

    plan = _Plan(arrays, scale, causal, backward=True)
    dq = arrays[loops.DQ]
    assert dq is not None
    all_dq = dq if plan.parts == 1 else numpy.empty((plan.parts, *dq.shape), dq.dtype)
    if plan.parts > 1:
        plan.numbers[loops.PART] = dq.size
        plan.numbers[loops.DQ : loops.DQ + 4] = [step // dq.itemsize for step in all_dq.strides[1:]]
    order = [arrays[i] for i in (loops.G, loops.Q, loops.K, loops.V, loops.MASK, loops.KEEP, loops.OUT)]
    plan.run(launch, 5, [*order, flat(p.astype(numpy.float64, copy=False)), all_dq, arrays[loops.DK], arrays[loops.DV]])
    if plan.parts > 1:
        numpy.add.reduce(all_dq, 0, out=dq)
    return *results, None


OVERRIDES: dict[str, Callable[..., Any]] = {"attention": attention, "attention_grad": attention_grad}
