"""Launches that serve many tensors: CUDA functions that get a table of addresses and sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import cupy
import numpy

from . import launch
from .launch import INTEGER, REAL, THREADS

if TYPE_CHECKING:
    from ..base import Array

#: Bytes that the arguments of a CUDA function may take on every GPU.
ARGUMENTS = 4096
#: Elements that one block treats in an elementwise function.
CHUNK = 4 * THREADS
#: The most blocks that sum up parts of a tensor. A block that needs the whole sum reads one part's sum in each thread.
PARTS = THREADS
_NEVER = 2**31 - 1

_TABLE = """
typedef {real} T;
typedef {index} I;
// For each tensor: the addresses of its arrays (null for None), its sizes, and the number of its first block.
struct Table {{ T* arrays[{arrays}][{capacity}]; long long sizes[{sizes}][{capacity}]; int first[{capacity}]; }};

// The tensor that a block works for, and the block's number among the blocks of this tensor.
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
// Loop over the {chunk} elements of a block: each thread treats every {threads}th of them.
#define EACH(i, n) \\
    for (I i = (I)at.block * {chunk} + threadIdx.x, end = i - threadIdx.x + {chunk}; i < n && i < end; i += {threads})
"""

#: CUDA source of sums and maxima over the 256 threads of a block.
SUMS = """
__device__ T larger(T a, T b) { return a > b || a != a ? a : b; }  // nan is larger than everything

// The sum or the largest x over each group of so many neighbouring threads; a group's size is a power of two.
__device__ T reduce(T x, int lanes, bool largest) {
    __shared__ T shared[256];
    int t = threadIdx.x;
    shared[t] = x;
    for (int step = lanes / 2; step; step /= 2) {
        __syncthreads();
        if (t % lanes < step) shared[t] = largest ? larger(shared[t], shared[t + step]) : shared[t] + shared[t + step];
    }
    __syncthreads();
    x = shared[t - t % lanes];
    __syncthreads();  // read before the next call writes
    return x;
}
__device__ T sum(T x, int lanes) { return reduce(x, lanes, false); }
"""


class Tensor(NamedTuple):
    """One line of a table.

    Attributes
    ----------
    arrays : sequence of arrays or None
        Contiguous arrays of one dtype.
    sizes : sequence of int
        Integers that the function needs for this tensor.
    blocks : int
        How many blocks work for this tensor.
    """

    arrays: Sequence[Array | None]
    sizes: Sequence[int]
    blocks: int


class Tables:
    """CUDA functions that take a table of tensors, and numbers of the tensors' dtype.

    Parameters
    ----------
    text : str
        The source of one or more functions. A block finds its tensor by ``Place at(table)``.
    arrays, sizes : int
        How many arrays and how many sizes each tensor has.
    numbers : int
        How many numbers a function takes at most.
    """

    def __init__(self, text: str, arrays: int, sizes: int, numbers: int):
        self.text, self.arrays, self.sizes = text, arrays, sizes
        # an even count, so that the table fills whole words of 64 bits
        self.capacity = (ARGUMENTS - 8 * numbers) // (8 * (arrays + sizes) + 4) // 2 * 2
        self._functions: dict[tuple[str, Any, Any], Callable[..., None]] = {}

    def run(self, name: str, tensors: Sequence[Tensor], *numbers: float) -> None:
        """Call a function for all tensors: in one launch, or in several where one table cannot hold them."""
        for start in range(0, len(tensors), self.capacity):
            part = tensors[start : start + self.capacity]
            arrays = [a for tensor in part for a in tensor.arrays if a is not None]
            dtype = arrays[0].dtype
            function = self._function(
                name, dtype, numpy.dtype("int32" if max([a.size for a in arrays]) < launch.INT32_LIMIT else "int64")
            )
            blocks = sum([tensor.blocks for tensor in part])
            function((blocks,), (THREADS,), (self._table(part), *[dtype.type(n) for n in numbers]))

    def _function(self, name: str, dtype: Any, index: Any) -> Callable[..., None]:
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
        """The struct ``Table``, as one element of a structured dtype, which CuPy passes by value."""
        n, capacity = len(tensors), self.capacity
        words = numpy.zeros((self.arrays + self.sizes) * capacity + capacity // 2, "int64")
        columns = words[: (self.arrays + self.sizes) * capacity].reshape(-1, capacity)
        lines = [(*[0 if a is None else a.data.ptr for a in tensor.arrays], *tensor.sizes) for tensor in tensors]
        columns[:, :n] = numpy.array(lines, "int64").T
        first = words[columns.size :].view("int32")
        first[:] = _NEVER
        first[:n] = [0, *accumulate([tensor.blocks for tensor in tensors[:-1]])]
        return words.view(f"V{words.nbytes}")


class Contiguous:
    """Contiguous versions of arrays, for functions that need them: copies, where an array is not contiguous itself."""

    def __init__(self) -> None:
        self._copied: list[tuple[Array, Array]] = []

    def reads(self, array: Array) -> Array:
        """A contiguous array to read from."""
        return array if array.flags.c_contiguous else cupy.ascontiguousarray(array)

    def writes(self, array: Array | None) -> Array | None:
        """A contiguous array to read from and write to; `finish` copies it back."""
        if array is None or array.flags.c_contiguous:
            return array
        copy = cupy.ascontiguousarray(array)
        self._copied.append((array, copy))
        return copy

    def finish(self) -> None:
        """Copy what the launches wrote back into the arrays that are not contiguous."""
        for array, copy in self._copied:
            array[...] = copy
