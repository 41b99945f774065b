"""The norm of any number of gradients in two launches, and their limit in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy

from .. import of
from ..kernels import KERNELS
from .launch import REAL, Array
from .tables import CHUNK, PARTS, SUMS, Contiguous, Tables, Tensor

# Arrays: what is added up, and where the norm of each block's elements goes. Sizes: of the former, and the number of
# blocks.
_NORM = Tables(
    SUMS
    + """
__device__ bool infinite(T x) { return x - x != 0; }
__device__ T power(T size, T order) { return order == 2 ? size * size : order == 1 ? size : pow(size, order); }
__device__ T root(T sum, T order) { return order == 2 ? sqrt(sum) : order == 1 ? sum : pow(sum, 1 / order); }

// The norm of elements start, start + step, ... below n. Where the sum of powers overflowed, or is so small that digits are lost, all
// threads of the block add up once more, with the largest size taken out.
__device__ T norm(const T* x, I start, I n, I step, T order) {
    bool largest = infinite(order);
    T found = 0, top = 0, least = sizeof(T) == 4 ? (T)1e-24 : (T)1e-276;
    for (I i = start; i < n; i += step) found = largest ? larger(found, fabs(x[i])) : found + power(fabs(x[i]), order);
    found = all(found, 256, largest);
    if (largest || order == 1 || found != found || (found > least && !infinite(found))) return largest ? found : root(found, order);
    for (I i = start; i < n; i += step) top = larger(top, fabs(x[i]));
    top = all(top, 256, true);
    if (top == 0 || infinite(top)) return top;
    found = 0;
    for (I i = start; i < n; i += step) found += power(fabs(x[i]) / top, order);
    return top * root(all(found, 256, false), order);
}

extern "C" __global__ void norm_parts(Table table, T order) {
    Place at(table);
    I parts = SIZE(1);
    T found = norm(ARRAY(0), at.block * (I)256 + threadIdx.x, SIZE(0), parts * 256, order);
    if (!threadIdx.x) ARRAY(1)[at.block] = found;
}

extern "C" __global__ void norm_whole(Table table, T order) {
    Place at(table);
    T found = norm(ARRAY(0), threadIdx.x, SIZE(0), 256, order);
    if (!threadIdx.x) ARRAY(1)[0] = found;
}
""",
    arrays=2,
    sizes=2,
    numbers=1,
)

# Arrays: what is limited, the result, and the norm.
_LIMITED = Tables(
    """
extern "C" __global__ void limited(Table table, T most) {
    Place at(table);
    T *x = ARRAY(0), *out = ARRAY(1), factor = most / (ARRAY(2)[0] + (T)1e-6);
    if (factor > 1) factor = 1;
    EACH(i, SIZE(0)) out[i] = x[i] * factor;
}
""",
    arrays=3,
    sizes=1,
    numbers=1,
)


def _plain(name: str, number: float, *arrays: Array) -> Any:
    return KERNELS[name](of(arrays[0]).xp, number, *arrays)  # type: ignore[union-attr]


def _alike(arrays: tuple[Array, ...]) -> bool:
    """Whether these hold something, all of one dtype that there are sources for."""
    dtype = arrays[0].dtype
    return dtype in REAL and all(a.dtype == dtype and a.size for a in arrays)


def total_norm(order: float, *arrays: Array) -> Array:
    if not order > 0 or not _alike(arrays):
        return _plain("total_norm", order, *arrays)
    memory = Contiguous()
    parts = [min(-(-x.size // CHUNK), PARTS) for x in arrays]
    found, out = cupy.empty(sum(parts), arrays[0].dtype), cupy.empty((), arrays[0].dtype)
    tensors, start = [], 0
    for x, n in zip(arrays, parts, strict=True):
        tensors.append(Tensor([memory.reads(x), found[start : start + n]], [x.size, n], n))
        start += n
    _NORM.run("norm_parts", tensors, order)
    _NORM.run("norm_whole", [Tensor([found, out], [found.size, 1], 1)], order)
    return out


def limited(most: float, total: Array, *arrays: Array) -> tuple[Array, ...]:
    if not arrays or not _alike((total, *arrays)):
        return _plain("limited", most, total, *arrays)
    memory, out = Contiguous(), tuple([cupy.empty(x.shape, x.dtype) for x in arrays])
    tensors = [
        Tensor([memory.reads(x), y, total], [x.size], -(-x.size // CHUNK)) for x, y in zip(arrays, out, strict=True)
    ]
    _LIMITED.run("limited", tensors, most)
    return out


OVERRIDES: dict[str, Callable] = {"total_norm": total_norm, "limited": limited}
