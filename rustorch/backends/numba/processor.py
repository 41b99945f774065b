"""How large tiles of matrix products are on this processor. LLVM is asked when that is first needed."""

from __future__ import annotations

from functools import cache

#: Vectors side by side in a row of a tile: each number of the first matrix is used for all of them.
VECTORS = 2


@cache
def tile_shape() -> tuple[int, int]:
    """The rows of a tile, and the bytes of a vector. The sums of a tile, a row of vectors and one number fit into all
    registers: 32 of 64 bytes with AVX-512, 16 of 32 bytes with AVX2, and of 16 bytes elsewhere.
    """
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 8, 64
    return (6, 32) if features.get("avx2") else (6, 16)


@cache
def prefers_wide_vectors() -> bool:
    """Whether loops that compute functions should use vectors of 64 bytes where LLVM would take half of that.

    LLVM takes half because Intel's first processors with AVX-512 lower their clock for them. Since Ice Lake they hardly
    do: GELU takes 0.6 of the time. Loops that mostly read and write are left as they are: a vector of 64 bytes often
    lies in two lines of the cache.
    """
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return bool(features.get("avx512f") and features.get("avx512vbmi2"))


def tile_width(itemsize: int) -> int:
    """The columns of a tile of numbers of this many bytes."""
    return VECTORS * tile_shape()[1] // itemsize
