"""Attention: softmax of scaled products, times the values."""

from __future__ import annotations

from typing import Any


def attention(xp: Any, q: Any, k: Any, v: Any, mask: Any, keep: Any, scale: float) -> tuple[Any, Any]:
    """``softmax(scale * q @ k.T + mask) @ v``; a query whose every score is -inf attends to nothing, and gives 0.

    Source: Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762, equation 1.

    Parameters
    ----------
    q : (..., queries, size)
    k : (..., keys, size)
    v : (..., keys, values)
    mask : (..., queries, keys), or None
        Added to the scores.
    keep : (..., queries, keys), or None
        The softmax is multiplied by it: dropout.
    scale : float

    Returns
    -------
    The output, (..., queries, values), and for the gradient the softmax, (..., queries, keys).
    """
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
    xp: Any, g: Any, q: Any, k: Any, v: Any, keep: Any, out: Any, p: Any, scale: float
) -> tuple[Any, Any, Any, Any]:
    """The gradients of `attention` in q, k, v and mask; ``out`` and ``p`` are what it returned.

    The softmax's rule needs the sum of p times its gradient, which is that of out times g, dropout or not.
    """
    dp = xp.matmul(g, xp.matrix_transpose(v))
    if keep is not None:
        dp = dp * keep
    ds = p * (dp - xp.sum(g * out, axis=-1, keepdims=True))
    dq = xp.matmul(ds, k) * scale
    dk = xp.matmul(xp.matrix_transpose(ds), q) * scale
    dv = xp.matmul(xp.matrix_transpose(p if keep is None else p * keep), g)
    return dq, dk, dv, ds
