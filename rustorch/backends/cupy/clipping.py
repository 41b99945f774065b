"""Clipping of gradients on CuPy: the norm of any number of arrays in two launches, and their scaling in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cupy

from ..kernels import clipping as plain
from ..registry import of
from .launch import REAL
from .tables import CHUNK, PARTS, SUMS, Contiguous, Tables, Tensor

if TYPE_CHECKING:
    from ..base import Array

# Arrays: the elements, and one norm for each block. Sizes: of both arrays.
_NORM = Tables(
    SUMS
    + """
__device__ bool infinite(T x) { return x - x != 0; }
__device__ T power(T size, T order) { return order == 2 ? size * size : order == 1 ? size : pow(size, order); }
__device__ T root(T sum, T order) { return order == 2 ? sqrt(sum) : order == 1 ? sum : pow(sum, 1 / order); }

// The norm of the elements start, start + step, ... below n, over all threads of the block. Where the sum of powers
// overflows, or is so small that it loses digits, sum up once more and divide by the largest element first.
__device__ T norm(const T* x, I start, I n, I step, T order) {
    bool maximum = infinite(order);
    T total = 0, largest = 0, smallest_exact = sizeof(T) == 4 ? (T)1e-24 : (T)1e-276;
    for (I i = start; i < n; i += step) total = maximum ? larger(total, fabs(x[i])) : total + power(fabs(x[i]), order);
    total = reduce(total, 256, maximum);
    if (maximum) return total;
    if (order == 1 || total != total || (total > smallest_exact && !infinite(total))) return root(total, order);
    for (I i = start; i < n; i += step) largest = larger(largest, fabs(x[i]));
    largest = reduce(largest, 256, true);
    if (largest == 0 || infinite(largest)) return largest;
    total = 0;
    for (I i = start; i < n; i += step) total += power(fabs(x[i]) / largest, order);
    return largest * root(reduce(total, 256, false), order);
}

extern "C" __global__ void norm_parts(Table table, T order) {
    Place at(table);
    I parts = SIZE(1);
    T result = norm(ARRAY(0), at.block * (I)256 + threadIdx.x, SIZE(0), parts * 256, order);
    if (!threadIdx.x) ARRAY(1)[at.block] = result;
}

extern "C" __global__ void norm_whole(Table table, T order) {
    Place at(table);
    T result = norm(ARRAY(0), threadIdx.x, SIZE(0), 256, order);
    if (!threadIdx.x) ARRAY(1)[0] = result;
}
""",
    arrays=2,
    sizes=2,
    numbers=1,
)

# Arrays: the elements, the result, and the norm. Size: of the elements.
_CLIP = Tables(
    """
extern "C" __global__ void clip_by_norm(Table table, T maximum) {
    Place at(table);
    T *x = ARRAY(0), *out = ARRAY(1), factor = maximum / (ARRAY(2)[0] + (T)1e-6);
    if (factor > 1) factor = 1;
    EACH(i, SIZE(0)) out[i] = x[i] * factor;
}
""",
    arrays=3,
    sizes=1,
    numbers=1,
)


def _plain(name: str, number: float, *arrays: Array) -> Any:
    backend: Any = of(arrays[0])
    return getattr(plain, name)(backend.xp, number, *arrays)


def _has_source(arrays: tuple[Array, ...]) -> bool:
    """Whether none of the arrays is empty and all have the same dtype, one that CUDA sources are compiled for."""
    dtype = arrays[0].dtype
    return dtype in REAL and all(a.dtype == dtype and a.size for a in arrays)


def total_norm(order: float, *arrays: Array) -> Array:
    """As the plain version: one launch for the norms of parts of all arrays, and one for the norm of these."""
    if not order > 0 or not _has_source(arrays):
        return _plain("total_norm", order, *arrays)
    memory = Contiguous()
    parts = [min(-(-x.size // CHUNK), PARTS) for x in arrays]
    norms, out = cupy.empty(sum(parts), arrays[0].dtype), cupy.empty((), arrays[0].dtype)
    tensors, start = [], 0
    for x, n in zip(arrays, parts, strict=True):
        tensors.append(Tensor([memory.reads(x), norms[start : start + n]], [x.size, n], n))
        start += n
    _NORM.run("norm_parts", tensors, order)
    _NORM.run("norm_whole", [Tensor([norms, out], [norms.size, 1], 1)], order)
    return out


def clip_by_norm(maximum: float, total: Array, *arrays: Array) -> tuple[Array, ...]:
    """As the plain version: one launch for all arrays."""
    if not arrays or not _has_source((total, *arrays)):
        result: tuple[Array, ...] = _plain("clip_by_norm", maximum, total, *arrays)
        return result
    memory, out = Contiguous(), tuple([cupy.empty(x.shape, x.dtype) for x in arrays])
    tensors = [
        Tensor([memory.reads(x), y, total], [x.size], -(-x.size // CHUNK)) for x, y in zip(arrays, out, strict=True)
    ]
    _CLIP.run("clip_by_norm", tensors, maximum)
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {"total_norm": total_norm, "clip_by_norm": clip_by_norm}
