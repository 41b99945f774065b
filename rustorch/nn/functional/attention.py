"""Attention of queries to keys and values: scaled dot products, and their masks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import ops
from ...autograd.check import broadcastable
from ...backends import dtypes
from ...ops import network
from .checks import adopt, real
from .dropout import check_probability, drawn_mask
from .dtype_checks import one_dtype

if TYPE_CHECKING:
    from ...typing import ArrayLike, DTypeLike, Shape
    from ...variable import Variable


__all__ = ["scaled_dot_product_attention"]


def additive_mask(mask: Variable, true_hides: bool, dtype: DTypeLike) -> Variable:
    """A mask in the form that is added to scores: -inf hides a key, 0 shows it.

    In a boolean mask, True hides a key, or with ``true_hides=False`` shows it.
    """
    if mask.dtype.kind == "b":
        shown = ops.zeros(mask.shape, dtype=dtype, device=mask.device)
        hidden = ops.full_like(shown, -math.inf)
        return ops.where(mask, hidden, shown) if true_hides else ops.where(mask, shown, hidden)
    return ops.astype(mask, dtype, copy=False)


def checked_mask(name: str, word: str, mask: ArrayLike, query: Variable) -> Variable:
    """A mask as a Variable. Raises TypeError unless it is boolean, of float32 or of the query's dtype."""
    mask = adopt(mask, name, (query,))
    if mask.dtype.kind not in "bf":
        raise TypeError(f"{name}: {word} is of bools or of floating-point numbers, not of {mask.dtype}")
    if mask.dtype.kind == "f" and mask.dtype not in (query.dtype, dtypes.float32):
        one_dtype(name, **{"query": query, word: mask})
    return mask


def causal_mask(queries: int, keys: int, dtype: DTypeLike, device: str) -> Variable:
    """-inf where the key comes after the query, else 0: (queries, keys)."""
    return ops.triu(ops.full((queries, keys), -math.inf, dtype=dtype, device=device), k=1)


def dropout_factors(shape: Shape, p: float, like: Variable) -> Variable | None:
    """The factors of dropout, 0 or ``1 / (1 - p)``; None for a p of 0."""
    return drawn_mask(shape, p, like) if p else None


def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Variable:
    """``softmax(scale * query @ key.T + mask) @ value``.

    Source: Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762, equation 1.

    Parameters
    ----------
    query : Variable or array, (..., queries, size)
    key : Variable or array, (..., keys, size)
    value : Variable or array, (..., keys, values)
    attn_mask : Variable or array, broadcastable to (..., queries, keys), optional
        A boolean mask is True where a query sees a key. A mask of float32 or of the query's dtype is added to the
        scores. A query that sees no key gives 0.
    dropout_p : float
        The probability with which a weight becomes 0. It applies always, also in evaluation.
    is_causal : bool
        Whether query i sees only the keys up to i. It excludes ``attn_mask``.
    scale : float, optional
        Default: 1 / sqrt(size).
    enable_gqa : bool
        Whether key and value may have fewer heads (the third dimension from the end) than the query, by an integer
        factor. Then several heads of the query share one head of key and value (grouped queries, arXiv:2305.13245).

    Returns
    -------
    Variable, (..., queries, values)

    Raises
    ------
    ValueError
        If shapes do not fit, or both ``attn_mask`` and ``is_causal`` are given.
    TypeError
        If query, key and value do not have one real floating-point dtype, or the mask has another dtype than these.

    Examples
    --------
    >>> import rustorch
    >>> q, k, v = rustorch.ones((2, 5, 4)), rustorch.ones((2, 3, 4)), rustorch.ones((2, 3, 6))
    >>> rustorch.nn.functional.scaled_dot_product_attention(q, k, v).shape
    (2, 5, 6)
    """
    name = "scaled_dot_product_attention"
    check_probability(name, dropout_p)
    q, k, v = real(query, name), real(key, name), real(value, name)
    if not q._native.dtype is k._native.dtype is v._native.dtype:
        one_dtype(name, query=q, key=k, value=v)
    given = f"query {tuple(q.shape)}, key {tuple(k.shape)}, value {tuple(v.shape)}"
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            f"{name} needs query (..., queries, size), key (..., keys, size) and value (..., keys, values); got {given}"
        )
    if enable_gqa:
        q_heads, heads = q.shape[-3] if q.ndim > 2 else 0, {x.shape[-3] if x.ndim > 2 else 0 for x in (k, v)}
        if 0 in heads or any(q_heads % n for n in heads):
            raise ValueError(
                f"{name}: with enable_gqa the heads are the third dimension from the end, and their number in the "
                f"query is a multiple of that in key and value; got {given}"
            )
        k, v = (x if x.shape[-3] == q_heads else ops.repeat(x, q_heads // x.shape[-3], axis=-3) for x in (k, v))
    if not broadcastable([q.shape[:-2], k.shape[:-2], v.shape[:-2]]):
        raise ValueError(f"{name}: the leading dimensions do not broadcast: {given}")
    if q.shape[:-2] != k.shape[:-2]:
        lead = ops.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        k = ops.broadcast_to(k, (*lead, *k.shape[-2:]))
        q = ops.broadcast_to(q, (*lead, *q.shape[-2:]))
    if v.shape[:-2] != q.shape[:-2]:
        v = ops.broadcast_to(v, (*q.shape[:-2], *v.shape[-2:]))
    scores = (*q.shape[:-1], k.shape[-2])
    mask: Variable | None = None
    if attn_mask is not None:
        if is_causal:
            raise ValueError(f"{name}: is_causal excludes attn_mask; add a causal mask to attn_mask instead")
        mask = checked_mask(name, "attn_mask", attn_mask, q)
        if not broadcastable([mask.shape, scores]) or ops.broadcast_shapes(mask.shape, scores) != scores:
            raise ValueError(
                f"{name}: attn_mask has shape {tuple(mask.shape)}, which does not broadcast to the scores' {scores}"
            )
        mask = additive_mask(mask, False, q.dtype)
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0
    learns = mask is not None and mask.requires_grad
    return network.attention(
        q, k, v, mask, dropout_factors(scores, dropout_p, q), float(scale), bool(is_causal), learns
    )
