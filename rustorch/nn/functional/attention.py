"""Attention, with one head or many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.check import adopt, broadcastable
from ...backends import dtypes
from ...ops import network
from ...variable import Variable
from .checks import real
from .dropout import check_probability, drawn_mask, dropout
from .dtype_checks import one_dtype
from .linear import linear

if TYPE_CHECKING:
    from ...typing import ArrayLike, DTypeLike


__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]


def _added(mask: Variable, hides: bool, dtype: DTypeLike) -> Variable:
    """A mask as what is added to scores: 0 and -inf for one of bools, of which ``hides`` are the ones to leave out."""
    if mask.dtype.kind == "b":
        zeros = ops.zeros(mask.shape, dtype=dtype, device=mask.device)
        hidden = ops.full_like(zeros, -math.inf)
        return ops.where(mask, hidden, zeros) if hides else ops.where(mask, zeros, hidden)
    return ops.astype(mask, dtype, copy=False)


def _checked_mask(name: str, word: str, mask: ArrayLike, like: Variable) -> Variable:
    mask = adopt(mask, name, (like,))
    if mask.dtype.kind not in "bf":
        raise TypeError(f"{name}: {word} is of bools or of floating-point numbers, not of {mask.dtype}")
    if mask.dtype.kind == "f" and mask.dtype not in (like.dtype, dtypes.float32):
        one_dtype(name, **{"query": like, word: mask})
    return mask


def causal_mask(queries: int, keys: int, dtype: DTypeLike, device: Any) -> Variable:
    """-inf where the key comes after the query, else 0: (queries, keys)."""
    return ops.triu(ops.full((queries, keys), -math.inf, dtype=dtype, device=device), k=1)


def _kept(shape: tuple[int, ...], p: float, like: Variable) -> Variable | None:
    """What dropout multiplies with: 0, or 1 / (1 - p)."""
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
        Of bools: True where a query may see a key. Of float32 or the query's dtype: added to the scores. A query that
        sees nothing gives 0.
    dropout_p : float
        What share of the weights is zeroed; always, also in evaluation.
    is_causal : bool
        Whether query i sees the keys up to i only. Not along with ``attn_mask``.
    scale : float, optional
        Default: 1 / sqrt(size).
    enable_gqa : bool
        Whether the third axis from the end, the heads, may be shorter in key and value, by a whole factor: each of
        their heads serves as many of the query's (grouped queries, arXiv:2305.13245).

    Returns
    -------
    Variable, (..., queries, values)

    Raises
    ------
    ValueError
        If shapes do not fit, or there are both a mask and ``is_causal``.
    TypeError
        If query, key and value are not of one real floating-point dtype, or the mask's dtype is none of those above.

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
                f"{name}: enable_gqa needs heads on the third axis from the end, in the query a multiple; got {given}"
            )
        k, v = (x if x.shape[-3] == q_heads else ops.repeat(x, q_heads // x.shape[-3], axis=-3) for x in (k, v))
    if not broadcastable([q.shape[:-2], k.shape[:-2], v.shape[:-2]]):
        raise ValueError(f"{name}: the leading axes do not broadcast: {given}")
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
            raise ValueError(f"{name}: with is_causal there is no attn_mask; add the causal one to it")
        mask = _checked_mask(name, "attn_mask", attn_mask, q)
        if not broadcastable([mask.shape, scores]) or ops.broadcast_shapes(mask.shape, scores) != scores:
            raise ValueError(
                f"{name}: attn_mask has shape {tuple(mask.shape)}, which does not broadcast to the scores' {scores}"
            )
        mask = _added(mask, False, q.dtype)
    elif is_causal:
        mask = causal_mask(q.shape[-2], k.shape[-2], q.dtype, q.device)
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0
    return network.attention(q, k, v, mask, _kept(scores, dropout_p, q), float(scale))


# -- many heads --------------------------------------------------------------------------------------------------------
def _projected(
    query: Variable,
    key: Variable,
    value: Variable,
    heads: int,
    weights: list,
    biases: list | None,
    packed: Any,
    bias: ArrayLike,
    batch_first: bool,
) -> list[Variable]:
    """Queries, keys and values of all heads: (batch, heads, length, size) each."""

    def split(x: Variable, parts: int) -> list[Variable]:
        first, second, width = x.shape
        x = ops.reshape(x, (first, second, parts, heads, width // (parts * heads)))
        return list(ops.unstack(ops.permute_dims(x, (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)), axis=0))

    if packed is not None and query is key and key is value:
        return split(linear(query, packed, bias), 3)
    own = biases or [None, None, None]
    if packed is not None and key is value:
        size = query.shape[-1]
        both = linear(key, packed[size:, :], None if bias is None else bias[size:])
        return [*split(linear(query, weights[0], own[0]), 1), *split(both, 2)]
    return [split(linear(x, w, b), 1)[0] for x, w, b in zip((query, key, value), weights, own, strict=True)]


def check_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    features: tuple[int, int, int],
    heads: int,
    key_padding_mask: ArrayLike,
    attn_mask: ArrayLike,
    is_causal: bool,
    batch_first: bool,
) -> tuple:
    """All that many heads are given, checked before anything is drawn or computed.

    Parameters
    ----------
    query, key, value, key_padding_mask, attn_mask, is_causal, batch_first
        As for `multi_head_attention_forward`.
    features : tuple of int
        Of query, key and value.
    heads : int

    Returns
    -------
    query, key, value, attn_mask, key_padding_mask : Variable
        What was None is None.
    sizes : tuple of int
        (batch, queries, keys).

    Raises
    ------
    ValueError, TypeError
    """
    name = "MultiheadAttention"
    same, alike = key is value, query is key
    query = real(query, name)
    key = query if alike else real(key, name)
    value = key if same else real(value, name)
    if not query._native.dtype is key._native.dtype is value._native.dtype:
        one_dtype(name, query=query, key=key, value=value)
    shapes = [tuple(x.shape) for x in (query, key, value)]
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        raise ValueError(
            f"{name}: query, key and value have three dimensions, or two without batch; got "
            f"{', '.join(map(str, shapes))}"
        )
    if features[0] % heads:
        raise ValueError(f"{name}: {features[0]} features cannot be divided among {heads} heads")
    for word, shape, wanted in zip(("query", "key", "value"), shapes, features, strict=True):
        if shape[-1] != wanted:
            raise ValueError(f"{name}: the {word} has {wanted} features; got the shape {shape}")
    if is_causal and attn_mask is None:
        raise ValueError(f"{name}: is_causal says that attn_mask is the causal one; it must be given")
    if shapes[1][:-1] != shapes[2][:-1]:
        raise ValueError(f"{name}: there is a value for each key; got key {shapes[1]} and value {shapes[2]}")
    batched = query.ndim == 3
    axis, other = (0, 1) if batch_first else (1, 0)
    if batched and shapes[0][axis] != shapes[1][axis]:
        raise ValueError(f"{name}: query {shapes[0]} and key {shapes[1]} differ in the size of the batch")
    batch = shapes[0][axis] if batched else 1
    queries, keys = (shape[other if batched else 0] for shape in shapes[:2])
    if attn_mask is not None:
        attn_mask = _checked_mask(name, "attn_mask", attn_mask, query)
        forms = [(queries, keys), (batch * heads, queries, keys)]
        if tuple(attn_mask.shape) not in forms:
            raise ValueError(
                f"{name}: attn_mask is (queries, keys), {forms[0]}, or (batch * heads, queries, keys), {forms[1]}; got "
                f"{tuple(attn_mask.shape)}"
            )
    if key_padding_mask is not None:
        key_padding_mask = _checked_mask(name, "key_padding_mask", key_padding_mask, query)
        form = (batch, keys) if batched else (keys,)
        if tuple(key_padding_mask.shape) != form:
            raise ValueError(
                f"{name}: key_padding_mask is {'(batch, keys)' if batched else '(keys,)'}, {form}; got "
                f"{tuple(key_padding_mask.shape)}"
            )
    return query, key, value, attn_mask, key_padding_mask, (batch, queries, keys)


def _mask_of_scores(
    attn_mask: Variable | None,
    key_padding_mask: Variable | None,
    heads: int,
    sizes: tuple[int, int, int],
    like: Variable,
) -> Variable | None:
    """Both masks as one that is added to scores of the shape (batch, heads, queries, keys)."""
    batch, queries, keys = sizes
    mask: Variable | None = None
    if attn_mask is not None:
        mask = _added(attn_mask, True, like.dtype)
        if mask.ndim == 3:
            mask = ops.reshape(mask, (batch, heads, queries, keys))
    if key_padding_mask is not None:
        padding = ops.reshape(_added(key_padding_mask, True, like.dtype), (batch, 1, 1, keys))
        mask = padding if mask is None else mask + padding
    return mask


def _longer(x: Variable, more: Variable, axis: int) -> Variable:
    """``x`` and, after it on an axis, one place more, broadcast to its other sizes."""
    shape = list(x.shape)
    shape[axis] = 1
    return ops.concat([x, ops.broadcast_to(more, tuple(shape))], axis=axis)


def multi_head_attention_forward(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: ArrayLike | None,
    in_proj_bias: ArrayLike | None,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: ArrayLike,
    out_proj_bias: ArrayLike | None,
    training: bool = True,
    key_padding_mask: ArrayLike | None = None,
    need_weights: bool = True,
    attn_mask: ArrayLike | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: ArrayLike | None = None,
    k_proj_weight: ArrayLike | None = None,
    v_proj_weight: ArrayLike | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    batch_first: bool = False,
) -> tuple[Variable, Variable | None]:
    """Attention of several heads side by side, each with projections of its own; see `rustorch.nn.MultiheadAttention`.

    Parameters
    ----------
    query : Variable or array, (queries, batch, embed), or (queries, embed)
        With ``batch_first``, the batch comes first.
    key, value : Variable or array, (keys, batch, size), or (keys, size)
    embed_dim_to_check, num_heads : int
    in_proj_weight : Variable or array, (3 * embed, embed), or None with ``use_separate_proj_weight``
        The projections of query, key and value, one below the other.
    in_proj_bias : Variable or array, (3 * embed,), or None
    bias_k, bias_v : Variable or array, (1, 1, embed), or both None
        One key and value more for everybody.
    add_zero_attn : bool
        Whether there is another one more, of zeros.
    dropout_p : float
        What share of the weights is zeroed in ``training``.
    out_proj_weight, out_proj_bias : Variable or array, (embed, embed) and (embed,) or None
    training : bool
    key_padding_mask : Variable or array, (batch, keys), or (keys,), optional
        Of bools: True where a key is left out. Of float32 or the query's dtype: added to the scores.
    need_weights : bool
        Whether the weights are returned, too.
    attn_mask : Variable or array, (queries, keys) or (batch * heads, queries, keys), optional
        Of bools: True where a query may not see a key. Of float32 or the query's dtype: added to the scores.
    use_separate_proj_weight : bool
        Whether the projections are these three instead, for keys and values of sizes of their own:
    q_proj_weight, k_proj_weight, v_proj_weight : Variable or array, (embed, size)
    average_attn_weights : bool
        Whether the weights returned are the means over the heads.
    is_causal : bool
        That ``attn_mask``, which must be given, is the causal one.
    batch_first : bool
        Not in PyTorch's function, but in its layer.

    Returns
    -------
    The output, in the shape of query, and the weights, (batch, queries, keys), or (batch, heads, queries, keys), or
    None

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If query, key, value and parameters are not of one real floating-point dtype, or a mask's dtype is none of those
        above.
    """
    name = "MultiheadAttention"
    same, alike = key is value, query is key
    size = embed_dim_to_check
    own_sizes = [w.shape[-1] for w in (k_proj_weight, v_proj_weight)] if use_separate_proj_weight else [size, size]
    query, key, value, attn_mask, key_padding_mask, sizes = check_attention(
        query,
        key,
        value,
        (size, own_sizes[0], own_sizes[1]),
        num_heads,
        key_padding_mask,
        attn_mask,
        is_causal,
        batch_first,
    )
    check_probability(name, dropout_p)
    batch, queries, _ = sizes
    batched = query.ndim == 3
    if use_separate_proj_weight:
        weights = [adopt(w, name, (query,)) for w in (q_proj_weight, k_proj_weight, v_proj_weight)]
        packed = None
    else:
        packed = adopt(in_proj_weight, name, (query,))
        weights = [] if alike and same else [packed[i * size : (i + 1) * size, :] for i in range(3)]
    if not batched:
        query = ops.expand_dims(query, axis=0 if batch_first else 1)
        key = query if alike else ops.expand_dims(key, axis=0 if batch_first else 1)
        value = key if same else ops.expand_dims(value, axis=0 if batch_first else 1)
    mask = _mask_of_scores(attn_mask, key_padding_mask, num_heads, sizes, query)
    biases = None
    if in_proj_bias is not None:
        in_proj_bias = adopt(in_proj_bias, name, (query,))
        biases = [in_proj_bias[i * size : (i + 1) * size] for i in range(3)] if weights else None
    q, k, v = _projected(query, key, value, num_heads, weights, biases, packed, in_proj_bias, batch_first)
    if bias_k is not None:
        bias_k, bias_v = adopt(bias_k, name, (query,)), adopt(bias_v, name, (query,))
        one_dtype(name, query=query, bias_k=bias_k, bias_v=bias_v)
        head = (1, num_heads, 1, size // num_heads)
        k, v = _longer(k, ops.reshape(bias_k, head), -2), _longer(v, ops.reshape(bias_v, head), -2)
    if add_zero_attn:
        zero = ops.zeros((1, 1, 1, 1), dtype=k.dtype, device=k.device)
        k, v = _longer(k, zero, -2), _longer(v, zero, -2)
    if mask is not None:
        for _ in range(k.shape[-2] - sizes[2]):
            mask = _longer(mask, ops.zeros((1,) * mask.ndim, dtype=mask.dtype, device=mask.device), -1)
    p = dropout_p if training else 0.0
    scale = 1 / math.sqrt(size // num_heads)
    shown: Variable | None = None
    if need_weights:  # they are an output: not the one node, but its steps
        scores = ops.matmul(q * scale, ops.matrix_transpose(k))
        scores = scores if mask is None else scores + mask
        shown = network.softmax(scores, -1) if scores.shape[-1] else scores  # without keys there are no weights
        shown = dropout(shown, p) if p else shown
        out = ops.matmul(shown, v)
    else:
        out = network.attention(q, k, v, mask, _kept((batch, num_heads, queries, k.shape[-2]), p, q), scale)
    if batch_first:
        out = ops.reshape(ops.permute_dims(out, (0, 2, 1, 3)), (batch, queries, size))
    else:
        out = ops.reshape(ops.permute_dims(out, (2, 0, 1, 3)), (queries, batch, size))
    out = linear(out, out_proj_weight, out_proj_bias)
    if shown is not None and average_attn_weights:
        shown = ops.mean(shown, axis=1)
    if not batched:
        out = ops.squeeze(out, axis=0 if batch_first else 1)
        shown = None if shown is None else ops.squeeze(shown, axis=0)
    return out, shown
