"""Random numbers by counting: Philox4x32-10, one launch a draw, with nothing in the GPU's memory but the numbers
themselves.

Philox makes four random words of 32 bits from a counter and a key alone. So a thread needs no state: it takes the
counter that belongs to its elements. Where the next draw starts is one integer on the host. Element i of a draw depends
on the seed, the earlier draws and i, and not on the GPU or on the number of its threads. CuPy's own generators, its
Philox too, read and write a state per thread in each draw.

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

from .launch import REAL, Array, Source

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
// In (0, 1]: its logarithm is finite. For float from 32 bits, so that large normal numbers are as frequent as they should be.
__device__ float positive(const Word* w, float) { return w[0] * 0x1p-32f + 0x1p-33f; }
__device__ double positive(const Word* w, double) { return ((joined(w[0], w[1]) >> 11) + 1) * 0x1p-53; }

// n elements of a thread, written at once where all of them exist.
template <int n> struct alignas(16) Some { T x[n]; };
template <int n> __device__ void write(T* out, I size, I i, const Some<n>& some) {
    if (size - i * n >= n) ((Some<n>*)out)[i] = some;
    else for (int j = 0; j < n; j++) if (j < size - i * n) out[i * n + j] = some.x[j];
}

// Elements that 4 words make: 4 of float, 2 of double.
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

// By Box and Muller: two normal numbers are a random direction and a length.
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

// What dropout multiplies with; from the numbers that `uniform` gives for float.
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

// low + floor(u * range) for u in [0, 1) of 128 bits; a range of 0 stands for 2**64. Integers of any size and sign: all wrap around.
extern "C" __global__ void integers(I n, Long key, Long stream, Long counter, Long low, Long range, I bytes, void* out) {
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
#: Key, stream and counter, and a checksum of them.
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
        Of 64 bits each: what a seed becomes.
    counter : int
        Where the next draw starts. With the stream above it, it is Philox's counter of 128 bits.
    """

    def __init__(self, key: int, stream: int, counter: int = 0):
        self.key, self.stream, self.counter = key, stream, counter
        self._lock = threading.Lock()

    @classmethod
    def seeded(cls, seed: int | tuple[int, ...], number: int) -> Generator:
        """From a seed, and the number of the GPU: each has numbers of its own."""
        sequence = numpy.random.SeedSequence(seed, spawn_key=(number,))
        return cls(*sequence.generate_state(2, numpy.uint64).tolist())

    @classmethod
    def unpacked(cls, state: bytes) -> Generator:
        """From what `packed` returned.

        Raises
        ------
        ValueError
            For any other bytes.
        """
        if len(state) != _PACKED.size:
            raise ValueError(f"a state of this generator has {_PACKED.size} bytes, not {len(state)}")
        *parts, check = _PACKED.unpack(state)
        if check != zlib.crc32(state[:-4]):
            raise ValueError("these bytes are no state of this generator")
        return cls(*parts)

    def packed(self) -> bytes:
        state = _PACKED.pack(self.key, self.stream, self.counter, 0)[:-4]
        return state + zlib.crc32(state).to_bytes(4, "little")

    def copy(self) -> Generator:
        return Generator(self.key, self.stream, self.counter)

    def _draw(self, name: str, counters: int, *args: Any) -> None:
        """Launch a function with as many threads as it uses counters. No two draws, of any threads, get the same
        counters.
        """
        with self._lock:
            counter = self.counter
            self.counter = (counter + counters) % _WRAP
        _SOURCE.launch_threads(counters, name, *map(numpy.uint64, (self.key, self.stream, counter)), *args)

    def words(self, n: int) -> Array:
        """``4 * n`` words as they come, (n, 4) of uint32."""
        out = cupy.empty((n, 4), numpy.uint32)
        if n:
            self._draw("words", n, out)
        return out

    def _real(self, name: str, out: Array, each: int, *args: Any) -> Array:
        """Fill an array of floating-point numbers, ``each`` of them from a counter."""
        if out.size:
            self._draw(name, -(-out.size // each), out.size, out, *args)
        return out

    def uniform(self, shape: tuple[int, ...], dtype: numpy.dtype) -> Array:
        """Uniform in [0, 1): multiples of 2**-24 in float32, of 2**-53 in float64. Complex ones are real, as on the
        host.
        """
        if dtype in _REAL_PART:
            return self.uniform(shape, _REAL_PART[dtype]).astype(dtype)
        return self._real("uniform", cupy.empty(shape, dtype), 16 // dtype.itemsize)

    def normal(self, shape: tuple[int, ...], dtype: numpy.dtype) -> Array:
        """Of mean 0 and variance 1; half of it in each part of a complex number."""
        out = cupy.empty(shape, dtype)
        if dtype in _REAL_PART:
            part = _REAL_PART[dtype]
            self._real("normal", out.reshape(-1).view(part), 16 // part.itemsize, sqrt(0.5))
            return out
        return self._real("normal", out, 16 // dtype.itemsize, 1.0)

    def mask(self, shape: tuple[int, ...], dtype: numpy.dtype, p: float, scale: float) -> Array:
        """``scale``, or 0 with probability ``p``."""
        if dtype not in REAL:
            return self.mask(shape, _REAL_PART[dtype], p, scale).astype(dtype)
        return self._real("mask", cupy.empty(shape, dtype), 4, numpy.float32(p), float(scale))

    def integers(self, low: int, high: int, shape: tuple[int, ...], dtype: numpy.dtype) -> Array:
        """In [low, high). Each is made of 128 bits: no value is more frequent than another by more than a 2**64th,
        whatever the range.

        Raises
        ------
        ValueError
            If the range goes beyond the dtype; beyond int64, if that is no dtype of integers.
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
        """The integers below n in the order of random numbers of 64 bits; a draw with two equal ones is not worth
        naming.
        """
        if not n:
            return cupy.empty(0, numpy.int64)
        return cupy.argsort(self.words(-(-n // 2)).reshape(-1).view(numpy.uint64)[:n])
