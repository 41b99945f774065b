"""``cupy.random``: generators whose state is on a GPU. They draw NumPy's numbers, not those of cuRAND."""

from __future__ import annotations

from typing import Any

import numpy

import cupy

from . import _device
from ._array import ndarray, wrapped
from ._log import launch

#: The number of threads that draw. On a GPU it is 8 * 256 for each multiprocessor.
_THREADS = 16


class BitGenerator:
    """The states of all threads. Every draw changes them. A program that writes them draws the same numbers again."""

    _bytes_each = 0

    def __init__(self, seed: Any = None, *, size: int = -1):
        self._seed_seq = seed if isinstance(seed, numpy.random.SeedSequence) else numpy.random.SeedSequence(seed)
        self._current_device_id = _device.current()
        self._size = _THREADS if size < 0 else size
        self._state = cupy.zeros(self._bytes_each * self._size, numpy.int8)
        launch("init_curand")
        self._words[:2] = self._seed_seq.generate_state(1)[0], 0

    @property
    def _words(self) -> numpy.ndarray:
        """The seed, and the number of draws."""
        return self._state._values[:16].view(numpy.uint64)

    def state(self) -> int:
        if _device.current() != self._current_device_id:
            raise RuntimeError("This Generator state is allocated in a different device")
        return self._state.data.ptr

    def next(self) -> numpy.random.Generator:
        """NumPy's generator for one draw."""
        self.state()
        seed, count = (int(word) for word in self._words)
        self._words[1] = count + 1
        return numpy.random.default_rng([seed, count])


class XORWOW(BitGenerator):
    _bytes_each = 48


class MRG32k3a(BitGenerator):
    _bytes_each = 72


class Philox4x3210(BitGenerator):
    _bytes_each = 64


class Generator:
    """Random numbers of a `BitGenerator`. Each draw is one launch."""

    def __init__(self, bit_generator: BitGenerator):
        self.bit_generator = bit_generator

    def random(self, size: Any = None, dtype: Any = numpy.float64, out: Any = None) -> ndarray:
        return self._drawn("random", size, dtype, out)

    def standard_normal(self, size: Any = None, dtype: Any = numpy.float64, out: Any = None) -> ndarray:
        return self._drawn("standard_normal", size, dtype, out)

    def _drawn(self, name: str, size: Any, dtype: Any, out: Any) -> ndarray:
        # every other dtype than float64 is drawn as float32
        dtype = numpy.float64 if numpy.dtype(dtype).char == "d" else numpy.float32
        if out is not None:
            if out.dtype != dtype:
                raise TypeError(
                    f"Supplied output array has the wrong type. Expected {numpy.dtype(dtype).name}, got "
                    f"{out.dtype.name}"
                )
            size = out.shape
        made = wrapped(numpy.asarray(getattr(self.bit_generator.next(), name)(() if size is None else size, dtype)))
        launch(name, made.size)
        if out is None:
            return made
        out[...] = made
        return out

    def integers(
        self, low: Any, high: Any = None, size: Any = None, dtype: Any = numpy.int64, endpoint: bool = False
    ) -> ndarray:
        first, last = (0, int(low)) if high is None else (int(low), int(high))
        last -= not endpoint
        if first > last:
            raise ValueError("low >= high")
        for name, value, beyond in (
            ("low", first, first < cupy.iinfo(dtype).min),
            ("high", last, last > cupy.iinfo(dtype).max),
        ):
            if beyond:
                raise ValueError(f"{name} is out of bounds for {cupy.dtype(dtype).name} (given {value})")
        drawn = self.bit_generator.next().integers(
            0, last - first, () if size is None else size, numpy.uint64, endpoint=True
        )
        made = wrapped(numpy.asarray(drawn))
        launch("integers", made.size)
        return cupy.add(first, made.astype(dtype), dtype=dtype)


def default_rng(seed: Any = None) -> Generator:
    """A generator on the current GPU."""
    return Generator(seed if isinstance(seed, BitGenerator) else XORWOW(seed))
