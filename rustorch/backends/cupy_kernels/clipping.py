"""The norm of any number of gradients in two launches, and their limit in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy

from .. import of
from ..kernels import KERNELS
from .launch import REAL, Array
from .tables import CHUNK, PARTS, SUMS, Contiguous, Tables, Tensor

# Arrays: what is added up, and where the sum of each block goes. Sizes: of the former, and the number of blocks.
_NORM = Tables(SUMS + """
__device__ bool infinite(T x) { return x - x != 0; }

extern "C" __global__ void norm_parts(Table table, T order) {
    Place at(table);
    T *x = ARRAY(0), found = 0;
    I n = SIZE(0), parts = SIZE(1);
    for (I i = at.block * (I)256 + threadIdx.x; i < n; i += parts * 256) {
        T size = fabs(x[i]);
        if (infinite(order)) found = larger(found, size);
        else found += order == 2 ? size * size : order == 1 ? size : pow(size, order);
    }
    found = all(found, 256, infinite(order));
    if (!threadIdx.x) ARRAY(1)[at.block] = found;
}

extern "C" __global__ void norm_whole(Table table, T order) {
    Place at(table);
    T *parts = ARRAY(0), found = 0;
    I n = SIZE(0);
    for (I i = threadIdx.x; i < n; i += 256) found = infinite(order) ? larger(found, parts[i]) : found + parts[i];
    found = all(found, 256, infinite(order));
    if (!threadIdx.x) ARRAY(1)[0] = infinite(order) || order == 1 ? found : order == 2 ? sqrt(found) : pow(found, 1 / order);
}
""", arrays=2, sizes=2, numbers=1)  # fmt: skip

# Arrays: what is limited, the result, and the norm.
_LIMITED = Tables("""
extern "C" __global__ void limited(Table table, T most) {
    Place at(table);
    T *x = ARRAY(0), *out = ARRAY(1), factor = most / (ARRAY(2)[0] + (T)1e-6);
    if (factor > 1) factor = 1;
    EACH(i, SIZE(0)) out[i] = x[i] * factor;
}
""", arrays=3, sizes=1, numbers=1)  # fmt: skip


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
    tensors = [Tensor([memory.reads(x), y, total], [x.size], -(-x.size // CHUNK)) for x, y in zip(arrays, out, strict=True)]
    _LIMITED.run("limited", tensors, most)
    return out


OVERRIDES: dict[str, Callable] = {"total_norm": total_norm, "limited": limited}
