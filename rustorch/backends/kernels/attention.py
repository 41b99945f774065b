"""Attention: the softmax of scaled products of queries and keys, times the values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace


def causal_mask(xp: Namespace, q: Array, k: Array, mask: Array | None) -> Array:
    """The mask, and -inf where the key comes after the query: (..., queries, keys)."""
    row = xp.expand_dims(xp.arange_like(q, k.shape[-2]), axis=0)
    column = xp.expand_dims(xp.arange_like(q, q.shape[-2]), axis=1)
    causal = xp.where(row > column, xp.full_like(row, -math.inf), xp.zeros_like(row))
    return causal if mask is None else mask + causal


def attention(
    xp: Namespace,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    keep: Array | None,
    scale: float,
    causal: bool,
    mask_learns: bool,
) -> tuple[Array, Array]:
    """``softmax(scale * q @ k.T + mask) @ v``. The output of a query is 0 if all of its scores are -inf.

    Source: Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762, equation 1.

    Parameters
    ----------
    q : (..., queries, size)
    k : (..., keys, size)
    v : (..., keys, values)
    mask : (..., queries, keys), or None
        Added to the scores.
    keep : (..., queries, keys), or None
        For dropout: the softmax is multiplied by it.
    scale : float
    causal : bool
        Whether query i sees only the keys up to i.
    mask_learns : bool
        Whether `attention_grad` is to return the gradient of the mask.

    Returns
    -------
    The output, (..., queries, values), and what the gradient needs: here the softmax, (..., queries, keys). A backend
    that computes the softmax anew returns something smaller.
    """
    if causal:
        mask = causal_mask(xp, q, k, mask)
    scores = xp.matmul(q * scale, xp.matrix_transpose(k))
    if mask is not None:
        scores = scores + mask
    if not scores.shape[-1]:
        return xp.matmul(scores, v), scores
    top = xp.max(scores, axis=-1, keepdims=True)
    p = xp.exp(scores - xp.where(xp.isfinite(top), top, xp.zeros_like(top)))
    total = xp.sum(p, axis=-1, keepdims=True)
    p = p / xp.where(total == 0, xp.ones_like(total), total)
    return xp.matmul(p if keep is None else p * keep, v), p


def attention_grad(
    xp: Namespace,
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
    """The gradients of `attention` in q, k, v and mask; ``out`` and ``p`` are its results. That of the mask is None
    unless ``mask_learns``.

    The gradient of a softmax needs the sum of p times its gradient. That is the sum of out times g, also with dropout.
    """
    dp = xp.matmul(g, xp.matrix_transpose(v))
    if keep is not None:
        dp = dp * keep
    ds = p * (dp - xp.sum(g * out, axis=-1, keepdims=True))
    dq = xp.matmul(ds, k) * scale
    dk = xp.matmul(xp.matrix_transpose(ds), q) * scale
    dv = xp.matmul(xp.matrix_transpose(p if keep is None else p * keep), g)
    return dq, dk, dv, ds if mask_learns else None
