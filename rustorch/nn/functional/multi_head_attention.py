"""Attention with many heads: projections to the heads, attention in each head, and a projection of all heads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import ops
from ...ops import network
from .attention import additive_mask, checked_mask, dropout_factors
from .checks import adopt, real
from .dropout import check_probability, dropout
from .dtype_checks import one_dtype
from .linear import linear

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["multi_head_attention_forward"]


def _projected(
    query: Variable,
    key: Variable,
    value: Variable,
    heads: int,
    weights: list[Variable],
    biases: list[Variable] | None,
    packed: Variable | None,
    bias: Variable | None,
    batch_first: bool,
) -> list[Variable]:
    """The projected queries, keys and values of all heads, each (batch, heads, length, size).

    ``packed`` and ``bias`` are the three projections one below the other, or None if they have only ``weights`` and
    ``biases``. With ``packed``, one product serves several equal inputs.
    """

    def split(x: Variable, parts: int) -> list[Variable]:
        first, second, width = x.shape
        x = ops.reshape(x, (first, second, parts, heads, width // (parts * heads)))
        return list(ops.unstack(ops.permute_dims(x, (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)), axis=0))

    if packed is not None and query is key and key is value:
        return split(linear(query, packed, bias), 3)
    own: Sequence[Variable | None] = biases or [None, None, None]
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
    key_padding_mask: ArrayLike | None,
    attn_mask: ArrayLike | None,
    is_causal: bool,
    batch_first: bool,
) -> tuple[Variable, Variable, Variable, Variable | None, Variable | None, tuple[int, int, int]]:
    """Check the arguments of `multi_head_attention_forward` before anything is drawn or computed.

    Parameters
    ----------
    query, key, value, key_padding_mask, attn_mask, is_causal, batch_first
        As for `multi_head_attention_forward`.
    features : tuple of int
        The numbers of features of query, key and value.
    heads : int

    Returns
    -------
    query, key, value : Variable
    attn_mask, key_padding_mask : Variable or None
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
        raise ValueError(f"{name}: is_causal promises that attn_mask is a causal mask; give this attn_mask, too")
    if shapes[1][:-1] != shapes[2][:-1]:
        raise ValueError(f"{name}: there is a value for each key; got key {shapes[1]} and value {shapes[2]}")
    batched = query.ndim == 3
    axis, other = (0, 1) if batch_first else (1, 0)
    if batched and shapes[0][axis] != shapes[1][axis]:
        raise ValueError(f"{name}: query {shapes[0]} and key {shapes[1]} differ in the size of the batch")
    batch = shapes[0][axis] if batched else 1
    queries, keys = (shape[other if batched else 0] for shape in shapes[:2])
    if attn_mask is not None:
        attn_mask = checked_mask(name, "attn_mask", attn_mask, query)
        forms = [(queries, keys), (batch * heads, queries, keys)]
        if tuple(attn_mask.shape) not in forms:
            raise ValueError(
                f"{name}: attn_mask is (queries, keys), {forms[0]}, or (batch * heads, queries, keys), {forms[1]}; got "
                f"{tuple(attn_mask.shape)}"
            )
    if key_padding_mask is not None:
        key_padding_mask = checked_mask(name, "key_padding_mask", key_padding_mask, query)
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
    """Both masks as one mask to add to the scores, (batch, heads, queries, keys)."""
    batch, queries, keys = sizes
    mask: Variable | None = None
    if attn_mask is not None:
        mask = additive_mask(attn_mask, True, like.dtype)
        if mask.ndim == 3:
            mask = ops.reshape(mask, (batch, heads, queries, keys))
    if key_padding_mask is not None:
        padding = ops.reshape(additive_mask(key_padding_mask, True, like.dtype), (batch, 1, 1, keys))
        mask = padding if mask is None else mask + padding
    return mask


def _extended(x: Variable, more: Variable, axis: int) -> Variable:
    """``x`` with one more entry at the end of an axis: ``more``, broadcast to the other sizes of ``x``."""
    shape = list(x.shape)
    shape[axis] = 1
    return ops.concat([x, ops.broadcast_to(more, tuple(shape))], axis=axis)


def _attended(
    q: Variable, k: Variable, v: Variable, mask: Variable | None, p: float, need_weights: bool, causal: bool
) -> tuple[Variable, Variable | None]:
    """Attention of all heads, (batch, heads, queries, size), and its weights if they are needed."""
    scale = 1 / math.sqrt(q.shape[-1])
    if not need_weights:
        factors = dropout_factors((*q.shape[:-1], k.shape[-2]), p, q)
        learns = mask is not None and mask.requires_grad
        if causal and not learns:  # a promise that the mask is the causal one
            return network.attention(q, k, v, None, factors, scale, True, False), None
        return network.attention(q, k, v, mask, factors, scale, False, learns), None
    # the weights are an output: record the single steps instead of one node
    scores = ops.matmul(q * scale, ops.matrix_transpose(k))
    scores = scores if mask is None else scores + mask
    weights = network.softmax(scores, -1) if scores.shape[-1] else scores  # without keys there are no weights
    weights = dropout(weights, p) if p else weights
    return ops.matmul(weights, v), weights


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
    """Attention of several heads, each with its own projections; see `rustorch.nn.MultiheadAttention`.

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
        One additional key and one additional value, which every query sees.
    add_zero_attn : bool
        Whether to add one more key and value of zeros.
    dropout_p : float
        The probability with which a weight becomes 0 in ``training``.
    out_proj_weight, out_proj_bias : Variable or array, (embed, embed) and (embed,) or None
    training : bool
    key_padding_mask : Variable or array, (batch, keys), or (keys,), optional
        A boolean mask is True where no query sees the key. A mask of float32 or of the query's dtype is added to the
        scores.
    need_weights : bool
        Whether to return the weights, too.
    attn_mask : Variable or array, (queries, keys) or (batch * heads, queries, keys), optional
        A boolean mask is True where a query does not see a key. A mask of float32 or of the query's dtype is added to
        the scores.
    use_separate_proj_weight : bool
        Whether to use the three following weights instead of ``in_proj_weight``. Then keys and values may have other
        numbers of features than queries.
    q_proj_weight, k_proj_weight, v_proj_weight : Variable or array, (embed, size), optional
    average_attn_weights : bool
        Whether to return the mean of the weights over the heads.
    is_causal : bool
        A promise that ``attn_mask`` is the causal mask. It must be given, too. Without weights and padding, its values
        are not read then.
    batch_first : bool
        An argument of PyTorch's layer, which PyTorch's function lacks.

    Returns
    -------
    output : Variable, in the shape of the query
    weights : Variable, (batch, queries, keys) or (batch, heads, queries, keys), or None

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If query, key, value and parameters do not have one real floating-point dtype, or a mask has another dtype than
        these.
    """
    name = "MultiheadAttention"
    same, alike = key is value, query is key
    size = embed_dim_to_check
    weights: list[Variable] = []
    if use_separate_proj_weight:
        weights = [adopt(w, name, (query,)) for w in (q_proj_weight, k_proj_weight, v_proj_weight)]
    own_sizes = [w.shape[-1] for w in weights[1:]] or [size, size]
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
    packed: Variable | None = None
    if not use_separate_proj_weight:
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
        k, v = _extended(k, ops.reshape(bias_k, head), -2), _extended(v, ops.reshape(bias_v, head), -2)
    if add_zero_attn:
        zero = ops.zeros((1, 1, 1, 1), dtype=k.dtype, device=k.device)
        k, v = _extended(k, zero, -2), _extended(v, zero, -2)
    if mask is not None:
        for _ in range(k.shape[-2] - sizes[2]):
            mask = _extended(mask, ops.zeros((1,) * mask.ndim, dtype=mask.dtype, device=mask.device), -1)
    causal = is_causal and key_padding_mask is None and k.shape[-2] == sizes[2]
    out, shown = _attended(q, k, v, mask, dropout_p if training else 0.0, need_weights, causal)
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
