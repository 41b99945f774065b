"""NumPy's attention: short rows of scores become the softmax in place, and long ones are computed in tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, multiply, subtract

from ..kernels.attention import causal_mask
from . import attention_tiles
from .constants import cached_ones
from .namespace import full_namespace

if TYPE_CHECKING:
    from ..base import Array

#: Scores of a head from which they are computed in tiles. It is more than NumPy's passes over one array in the cache
#: of the processor take, and the memory of the whole array matters.
LONG = 1 << 19


def _row_sums(x: Array) -> Array:
    """Sums along the last axis, which is kept. BLAS adds short rows several times as fast as a reduction."""
    return numpy.matmul(x, cached_ones(x.shape[-1], x.dtype))[..., None]


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    keep: Array | None,
    scale: float,
    causal: bool,
    mask_learns: bool,
) -> tuple[Array, Array]:
    if q.shape[-2] * k.shape[-2] >= LONG and not mask_learns and attention_tiles.serves(q, k, v, mask, keep):
        return attention_tiles.forward(q, k, v, mask, keep, scale, causal)
    if causal:
        mask = causal_mask(full_namespace(), q, k, mask)
    scores = numpy.matmul(multiply(q, scale), k.swapaxes(-1, -2))
    if mask is not None:
        fits = numpy.broadcast_shapes(scores.shape, mask.shape) == scores.shape and mask.dtype == scores.dtype
        scores = add(scores, mask, scores if fits else None)
    if not scores.shape[-1]:
        return numpy.matmul(scores, v), scores
    top = numpy.maximum.reduce(scores, axis=-1, keepdims=True)
    if mask is not None:  # without a mask, a score is infinite only after an overflow
        top = numpy.where(numpy.isfinite(top), top, top.dtype.type(0))
    subtract(scores, top, scores)
    numpy.exp(scores, scores)
    total = _row_sums(scores)
    if mask is not None:
        total[total == 0] = 1
    multiply(scores, numpy.reciprocal(total, total), scores)
    return numpy.matmul(scores if keep is None else multiply(scores, keep), v), scores


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
) -> tuple[Array, Array, Array, Array | None]:
    if p.ndim < q.ndim:  # not the softmax, but the logarithms of the tiles
        return *attention_tiles.backward(g, q, k, v, mask, keep, out, p, scale, causal), None
    ds = numpy.matmul(g, v.swapaxes(-1, -2))
    if keep is not None:
        multiply(ds, keep, ds)
    subtract(ds, _row_sums(multiply(g, out)), ds)
    multiply(ds, p, ds)
    dq = numpy.matmul(ds, k)
    dk = numpy.matmul(ds.swapaxes(-1, -2), q)
    multiply(dq, scale, dq)
    multiply(dk, scale, dk)
    dv = numpy.matmul((p if keep is None else multiply(p, keep)).swapaxes(-1, -2), g)
    return dq, dk, dv, ds if mask_learns else None


OVERRIDES: dict[str, Callable[..., Any]] = {"attention": attention, "attention_grad": attention_grad}
