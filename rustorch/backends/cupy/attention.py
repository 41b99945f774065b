"""Attention: products of cuBLAS, and one launch for everything between them."""

from __future__ import annotations

import cupy

from ..base import Array
from .launch import Source, call_plain, contiguous, overrides, product
from .rows import ROWS, along, launch_rows

_SOURCE = Source(
    ROWS,
    """
// The sizes of heads and queries, the steps of the mask along each axis, and whether later keys are hidden. A step is 0
// where the mask broadcasts.
struct Mask { I heads, queries, sample, head, query, key, causal; };

// The softmax of scores + mask, in place. With the dropout mask `keep`, weights = softmax * keep.
extern "C" __launch_bounds__(1024) __global__ void
attend(Rows rows, T* scores, const T* mask, Mask m, const T* keep, T* weights) {
    Row row(rows);
    I query = row.number % m.queries, rest = row.number / m.queries, head = rest % m.heads, sample = rest / m.heads;
    if (mask) mask += sample * m.sample + head * m.head + query * m.query;
    T top = 0, total = 0;
    EACH(j) {
        I k = row.at(j);
        if (mask) scores[k] += mask[j * m.key];
        if (m.causal && j > query) scores[k] += (T)(-1.0 / 0.0);
        top = j == row.lane ? scores[k] : larger(scores[k], top);
    }
    top = finite_or_0(row.largest(top));
    EACH(j) total += scores[row.at(j)] = exp(scores[row.at(j)] - top);
    total = row.sum(total);
    if (total == 0) total = 1;  // every score is -infinity
    EACH(j) {
        I k = row.at(j);
        scores[k] /= total;
        if (keep) weights[k] = scores[k] * keep[k];
    }
}

// The gradient of the scores from that of the softmax p, in place: p * (dp - sum(p * dp)). This sum is that of g * out.
extern "C" __launch_bounds__(1024) __global__ void
attend_grad(Rows rows, T* dp, const T* g, const T* out, const T* p, I values, const T* keep, T* weights) {
    Row row(rows);
    T dot = 0;
    if (row.n)
        for (I v = row.lane; v < values; v += rows.lanes)
            dot += g[row.number * values + v] * out[row.number * values + v];
    dot = row.sum(dot);
    EACH(j) {
        I k = row.at(j);
        dp[k] = p[k] * (keep ? dp[k] * keep[k] - dot : dp[k] - dot);
        if (keep) weights[k] = p[k] * keep[k];
    }
}
""",
)


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
    shape = (*q.shape[:-1], k.shape[-2])
    masks = [a for a in (mask, keep) if a is not None]
    if q.ndim > 4 or not q.shape[:-2] == k.shape[:-2] == v.shape[:-2] or any(_grows(shape, a.shape) for a in masks):
        out, p = call_plain("attention", q, k, v, mask, keep, scale, causal, mask_learns)
        return out, p
    steps = (0,) * 4
    if mask is not None:
        mask = cupy.ascontiguousarray(mask)
        steps = tuple(
            [step // mask.itemsize for step in cupy.broadcast_to(mask, (1,) * (4 - len(shape)) + shape).strides]
        )
    q, k, v = contiguous(q, k, v)  # the heads of a layer are usually views
    p = product(q, k.swapaxes(-1, -2), scale=scale)
    keep = None if keep is None else cupy.broadcast_to(keep, shape)
    weights = p if keep is None else cupy.empty(shape, p.dtype)
    heads = shape[-3] if len(shape) > 2 else 1
    launch_rows(_SOURCE, "attend", along(shape, -1), p, mask, (heads, shape[-2], *steps, int(causal)), keep, weights)
    return product(weights, v), p


def _grows(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether ``shape`` becomes a larger one when it broadcasts with ``other``."""
    return len(other) > len(shape) or any(n not in (1, m) for n, m in zip(other[::-1], shape[::-1], strict=False))


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
    if not g.shape[:-2] == q.shape[:-2] == k.shape[:-2] == v.shape[:-2] == p.shape[:-2]:
        dq, dk, dv, ds = call_plain("attention_grad", g, q, k, v, mask, keep, out, p, scale, causal, mask_learns)
        return dq, dk, dv, ds
    g, q, k, v = contiguous(g, q, k, v)
    ds = product(g, v.swapaxes(-1, -2))
    keep = None if keep is None else cupy.broadcast_to(keep, p.shape)
    weights = p if keep is None else cupy.empty(p.shape, p.dtype)
    launch_rows(_SOURCE, "attend_grad", along(p.shape, -1), ds, g, out, p, g.shape[-1], keep, weights)
    dq = product(ds, k, scale=scale)
    dk = product(ds.swapaxes(-1, -2), q, scale=scale)
    return dq, dk, product(weights.swapaxes(-1, -2), g), ds if mask_learns else None


OVERRIDES = overrides(attention, attention_grad)
