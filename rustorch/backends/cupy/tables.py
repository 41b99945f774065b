"""Many tensors in one launch: a CUDA function that gets a table of their addresses and sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import cupy
import numpy

from . import launch
from .launch import INTEGER, REAL, THREADS, Array

#: Bytes that a kernel's arguments may have on every GPU.
ARGUMENTS = 4096
#: Elements that a block treats where each is treated by itself.
CHUNK = 4 * THREADS
#: Blocks that make sums of parts of a tensor, at most: each block that needs the whole sum reads a part's with every
#: thread.
PARTS = THREADS
_NEVER = 2**31 - 1

_TABLE = """
typedef {real} T;
typedef {index} I;
// For each tensor: where its arrays lie (null for those that it has not), its sizes, and the number of its first block.
struct Table {{ T* arrays[{arrays}][{capacity}]; long long sizes[{sizes}][{capacity}]; int first[{capacity}]; }};

// The tensor that a block works for, and the block's number among those of this tensor.
struct Place {{
    int tensor, block;

    __device__ Place(const Table& table) : tensor(0) {{
        for (int step = {power}; step; step /= 2)
            if (tensor + step < {capacity} && table.first[tensor + step] <= (int)blockIdx.x) tensor += step;
        block = (int)blockIdx.x - table.first[tensor];
    }}
}};

#define ARRAY(number) table.arrays[number][at.tensor]
#define SIZE(number) (I)table.sizes[number][at.tensor]
// The elements of a block of {chunk}: as many threads as it has take turns.
#define EACH(i, n) \\
    for (I i = (I)at.block * {chunk} + threadIdx.x, end = i - threadIdx.x + {chunk}; i < n && i < end; i += {threads})
"""


#: For functions of which the threads of a block, 256 of them, add up what they found.
SUMS = """
__device__ T larger(T a, T b) { return a > b || a != a ? a : b; }  // nan is larger than everything

// The sum or the largest over groups of so many threads, a power of two.
__device__ T all(T x, int lanes, bool largest) {
    __shared__ T shared[256];
    int t = threadIdx.x;
    shared[t] = x;
    for (int step = lanes / 2; step; step /= 2) {
        __syncthreads();
        if (t % lanes < step) shared[t] = largest ? larger(shared[t], shared[t + step]) : shared[t] + shared[t + step];
    }
    __syncthreads();
    x = shared[t - t % lanes];
    __syncthreads();  // before anybody writes again
    return x;
}
__device__ T sum(T x, int lanes) { return all(x, lanes, false); }
"""


class Tensor(NamedTuple):
    """One line of a table.

    Attributes
    ----------
    arrays : sequence of arrays or None
        Contiguous ones of one dtype.
    sizes : sequence of int
    blocks : int
        Blocks that work for it.
    """

    arrays: Sequence[Array | None]
    sizes: Sequence[int]
    blocks: int


class Tables:
    """CUDA functions over tables: each is called with the table and numbers of the tensors' dtype.

    Parameters
    ----------
    text : str
        The source. A function finds its tensor by ``Place at(table)``.
    arrays, sizes, numbers : int
        How many a tensor has of the first two, and how many numbers a function has at most.
    """

    def __init__(self, text: str, arrays: int, sizes: int, numbers: int):
        self.text, self.arrays, self.sizes = text, arrays, sizes
        # an even count, so that the table is made of whole words of 64 bits
        self.capacity = (ARGUMENTS - 8 * numbers) // (8 * (arrays + sizes) + 4) // 2 * 2
        self._functions: dict[tuple, Callable] = {}

    def run(self, name: str, tensors: Sequence[Tensor], *numbers: float) -> None:
        """Call a function for all tensors; in several launches only where one table cannot hold them."""
        for start in range(0, len(tensors), self.capacity):
            some = tensors[start : start + self.capacity]
            given = [a for tensor in some for a in tensor.arrays if a is not None]
            dtype = given[0].dtype
            function = self._function(
                name, dtype, numpy.dtype("int32" if max([a.size for a in given]) < launch.INT32_LIMIT else "int64")
            )
            blocks = sum([tensor.blocks for tensor in some])
            function((blocks,), (THREADS,), (self._table(some), *[dtype.type(n) for n in numbers]))

    def _function(self, name: str, dtype: Any, index: Any) -> Callable:
        function = self._functions.get((name, dtype, index))
        if function is None:
            head = _TABLE.format(
                real=REAL[dtype],
                index=INTEGER[index],
                arrays=self.arrays,
                sizes=self.sizes,
                capacity=self.capacity,
                power=1 << (self.capacity - 1).bit_length() - 1,
                chunk=CHUNK,
                threads=THREADS,
            )
            function = cupy.RawModule(code=head + self.text).get_function(name)
            self._functions[name, dtype, index] = function
        return function

    def _table(self, tensors: Sequence[Tensor]) -> Array:
        """The struct: to CuPy, one element of a type of its own."""
        n, room = len(tensors), self.capacity
        words = numpy.zeros((self.arrays + self.sizes) * room + room // 2, "int64")
        columns = words[: (self.arrays + self.sizes) * room].reshape(-1, room)
        lines = [(*[0 if a is None else a.data.ptr for a in tensor.arrays], *tensor.sizes) for tensor in tensors]
        columns[:, :n] = numpy.array(lines, "int64").T
        first = words[columns.size :].view("int32")
        first[:] = _NEVER
        first[:n] = [0, *accumulate([tensor.blocks for tensor in tensors[:-1]])]
        return words.view(f"V{words.nbytes}")


class Contiguous:
    """Arrays as the functions need them. What is not contiguous is copied, and copied back after the launches if it is
    written to.
    """

    def __init__(self) -> None:
        self._copied: list[tuple[Array, Array]] = []

    def reads(self, array: Array) -> Array:
        return array if array.flags.c_contiguous else cupy.ascontiguousarray(array)

    def writes(self, array: Array | None) -> Array | None:
        if array is None or array.flags.c_contiguous:
            return array
        copy = cupy.ascontiguousarray(array)
        self._copied.append((array, copy))
        return copy

    def finish(self) -> None:
        """Copy back, after the launches."""
        for array, copy in self._copied:
            array[...] = copy
