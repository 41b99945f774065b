"""Random numbers on the GPU by Philox4x32-10: one launch for each draw, and no state in the GPU's memory.

Philox makes four random words of 32 bits from a counter and a key alone. So a thread needs no state: it takes the
counter that belongs to its elements. The counter at which the next draw starts is one integer on the host. Element i of
a draw depends on the seed, the earlier draws and i. It does not depend on the GPU or on the number of threads. CuPy's
own generators, its Philox too, read and write a state for each thread in each draw.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import struct
import threading
import zlib
from math import sqrt
from typing import Any

import cupy
import numpy

from ..base import Array
from .launch import REAL, Source

_SOURCE = Source(
    """
typedef unsigned int Word;        // 32 bits
typedef unsigned long long Long;  // 64 bits
struct alignas(16) Words { Word x[4]; };

__device__ Long joined(Word low, Word high) { return low | (Long)high << 32; }

__device__ Words philox(Long key, Long stream, Long counter) {
    Word k0 = (Word)key, k1 = (Word)(key >> 32);
    Words w = {{(Word)counter, (Word)(counter >> 32), (Word)stream, (Word)(stream >> 32)}};
    for (int round = 0; round < 10; round++) {
        Long p = (Long)0xD2511F53u * w.x[0], q = (Long)0xCD9E8D57u * w.x[2];
        w = {{(Word)(q >> 32) ^ w.x[1] ^ k0, (Word)q, (Word)(p >> 32) ^ w.x[3] ^ k1, (Word)p}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return w;
}

// In [0, 1), from 24 bits or 53.
__device__ float unit(const Word* w, float) { return (w[0] >> 8) * 0x1p-24f; }
__device__ double unit(const Word* w, double) { return (joined(w[0], w[1]) >> 11) * 0x1p-53; }
// In (0, 1], so that its logarithm is finite. For float it has all 32 bits, so that normal numbers far from 0 are as
// frequent as they should be.
__device__ float positive(const Word* w, float) { return w[0] * 0x1p-32f + 0x1p-33f; }
__device__ double positive(const Word* w, double) { return ((joined(w[0], w[1]) >> 11) + 1) * 0x1p-53; }

// The n elements of a thread. They are written at once, except at the end of the array.
template <int n> struct alignas(16) Some { T x[n]; };
template <int n> __device__ void write(T* out, I size, I i, const Some<n>& some) {
    if (size - i * n >= n) ((Some<n>*)out)[i] = some;
    else for (int j = 0; j < n; j++) if (j < size - i * n) out[i * n + j] = some.x[j];
}

// The elements that are made from 4 words: 4 floats or 2 doubles.
#define FEW (16 / (int)sizeof(T))
#define DRAW                                      \\
    I i = (I)blockIdx.x * blockDim.x + threadIdx.x; \\
    if (i >= n) return;                           \\
    Words w = philox(key, stream, counter + i)

extern "C" __global__ void words(I n, Long key, Long stream, Long counter, Words* out) {
    DRAW;
    out[i] = w;
}

extern "C" __global__ void uniform(I n, Long key, Long stream, Long counter, I size, T* out) {
    DRAW;
    Some<FEW> some;
    for (int j = 0; j < FEW; j++) some.x[j] = unit(w.x + 4 / FEW * j, T());
    write(out, size, i, some);
}

// The method of Box and Muller: a random angle and a random length give two normal numbers.
extern "C" __global__ void normal(I n, Long key, Long stream, Long counter, I size, T* out, T scale) {
    DRAW;
    Some<FEW> some;
    for (int j = 0; j < FEW; j += 2) {
        const Word* pair = w.x + 4 / FEW * j;
        T length = scale * sqrt((T)-2 * log(positive(pair, T())));
        T angle = (T)6.283185307179586477 * unit(pair + 4 / FEW, T());
        some.x[j] = length * cos(angle);
        some.x[j + 1] = length * sin(angle);
    }
    write(out, size, i, some);
}

// The mask of dropout, from the numbers that `uniform` gives for float.
extern "C" __global__ void mask(I n, Long key, Long stream, Long counter, I size, T* out, float p, T scale) {
    DRAW;
    Some<4> some;
    for (int j = 0; j < 4; j++) some.x[j] = unit(w.x + j, 0.0f) >= p ? scale : (T)0;
    write(out, size, i, some);
}

// The upper half of a product of 128 bits.
__device__ Long upper(Long a, Long b) {
    Long a0 = (Word)a, a1 = a >> 32, b0 = (Word)b, b1 = b >> 32;
    Long middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (Word)middle;
    return a1 * b1 + (middle >> 32) + (other >> 32);
}

// low + floor(u * range) for u in [0, 1) of 128 bits. A range of 0 stands for 2**64. Sums wrap around, so the integers
// may have any size and sign.
extern "C" __global__ void
integers(I n, Long key, Long stream, Long counter, Long low, Long range, I bytes, void* out) {
    DRAW;
    Long u1 = joined(w.x[2], w.x[3]), u0 = joined(w.x[0], w.x[1]);
    Long product = u1 * range, sum = product + upper(u0, range);
    Long value = low + (range ? upper(u1, range) + (sum < product) : u1);
    if (bytes == 1) ((unsigned char*)out)[i] = (unsigned char)value;
    else if (bytes == 2) ((unsigned short*)out)[i] = (unsigned short)value;
    else if (bytes == 4) ((Word*)out)[i] = (Word)value;
    else ((Long*)out)[i] = value;
}
"""
)

_WRAP = 1 << 64
#: Key, stream, counter, and a checksum of these three.
_PACKED = struct.Struct("<QQQI")
_REAL_PART: dict[numpy.dtype, numpy.dtype] = {
    numpy.dtype("complex64"): numpy.dtype("float32"),
    numpy.dtype("complex128"): numpy.dtype("float64"),
}


class Generator:
    """The random numbers of one GPU. Methods draw on the current GPU.

    Attributes
    ----------
    key, stream : int
        64 bits each, made from the seed.
    counter : int
        Where the next draw starts. Stream and counter together are Philox's counter of 128 bits.
    """

    def __init__(self, key: int, stream: int, counter: int = 0):
        self.key, self.stream, self.counter = key, stream, counter
        self._lock = threading.Lock()

    @classmethod
    def seeded(cls, seed: int | tuple[int, ...], number: int) -> Generator:
        """A generator from a seed and the number of its GPU. Each GPU has its own random numbers."""
        sequence = numpy.random.SeedSequence(seed, spawn_key=(number,))
        return cls(*sequence.generate_state(2, numpy.uint64).tolist())

    @classmethod
    def unpacked(cls, state: bytes) -> Generator:
        """A generator from the bytes that `packed` returned.

        Raises
        ------
        ValueError
            If the bytes are not the state of a generator.
        """
        if len(state) != _PACKED.size:
            raise ValueError(f"a state of this generator has {_PACKED.size} bytes, not {len(state)}")
        *parts, check = _PACKED.unpack(state)
        if check != zlib.crc32(state[:-4]):
            raise ValueError("these bytes are no state of this generator")
        return cls(*parts)

    def packed(self) -> bytes:
        """The state as bytes, with a checksum."""
        state = _PACKED.pack(self.key, self.stream, self.counter, 0)[:-4]
        return state + zlib.crc32(state).to_bytes(4, "little")

    def copy(self) -> Generator:
        """A generator that draws the same numbers as this one will."""
        return Generator(self.key, self.stream, self.counter)

    def _draw(self, name: str, counters: int, *args: Any) -> None:
        """Launch a function with a thread for each counter.

        Draws never share counters, also if several of Python's threads draw at once.
        """
        with self._lock:
            counter = self.counter
            self.counter = (counter + counters) % _WRAP
        _SOURCE.launch_threads(counters, name, *map(numpy.uint64, (self.key, self.stream, counter)), *args)

    def words(self, n: int) -> Array:
        """The words of ``n`` counters: (n, 4) of uint32."""
        out = cupy.empty((n, 4), numpy.uint32)
        if n:
            self._draw("words", n, out)
        return out

    def _real(self, name: str, out: Array, each: int, *args: Any) -> Array:
        """Fill an array of floating-point numbers. ``each`` of them are made from one counter."""
        if out.size:
            self._draw(name, -(-out.size // each), out.size, out, *args)
        return out

    def uniform(self, shape: tuple[int, ...], dtype: numpy.dtype) -> Array:
        """Uniform numbers in [0, 1): multiples of 2**-24 in float32, of 2**-53 in float64.

        Complex numbers have the imaginary part 0, as on the CPU.
        """
        if dtype in _REAL_PART:
            return self.uniform(shape, _REAL_PART[dtype]).astype(dtype)
        return self._real("uniform", cupy.empty(shape, dtype), 16 // dtype.itemsize)

    def normal(self, shape: tuple[int, ...], dtype: numpy.dtype) -> Array:
        """Normal numbers of mean 0 and variance 1. Each part of a complex number has the variance 1/2."""
        out = cupy.empty(shape, dtype)
        if dtype in _REAL_PART:
            part = _REAL_PART[dtype]
            self._real("normal", out.reshape(-1).view(part), 16 // part.itemsize, sqrt(0.5))
            return out
        return self._real("normal", out, 16 // dtype.itemsize, 1.0)

    def mask(self, shape: tuple[int, ...], dtype: numpy.dtype, p: float, scale: float) -> Array:
        """A mask for dropout: each element is 0 with probability ``p``, else ``scale``."""
        if dtype not in REAL:
            return self.mask(shape, _REAL_PART[dtype], p, scale).astype(dtype)
        return self._real("mask", cupy.empty(shape, dtype), 4, numpy.float32(p), float(scale))

    def integers(self, low: int, high: int, shape: tuple[int, ...], dtype: numpy.dtype) -> Array:
        """Integers in [low, high).

        Each is made from 128 bits. For every range, the relative difference of two values' probabilities is at most
        2**-64.

        Raises
        ------
        ValueError
            If the dtype (or int64, for a dtype that has no integers) cannot hold the range.
        """
        if dtype.kind not in "iu":
            return self.integers(low, high, shape, numpy.dtype("int64")).astype(dtype)
        limits = numpy.iinfo(dtype)
        if low < limits.min or high - 1 > limits.max:
            raise ValueError(f"[{low}, {high}) goes beyond the integers of {dtype}")
        out = cupy.empty(shape, dtype)
        if out.size:
            wrapped = map(numpy.uint64, (low % _WRAP, (high - low) % _WRAP))
            self._draw("integers", out.size, *wrapped, dtype.itemsize, out)
        return out

    def permutation(self, n: int) -> Array:
        """The integers below ``n``, sorted by random keys of 64 bits. Equal keys are too rare to matter."""
        if not n:
            return cupy.empty(0, numpy.int64)
        return cupy.argsort(self.words(-(-n // 2)).reshape(-1).view(numpy.uint64)[:n])
