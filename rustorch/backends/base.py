"""What a backend is: one array library, seen from rustorch.

A backend knows its namespace (the Array API standard plus rustorch's kernels), which arrays and which device
strings are its own, how data crosses its border, and its random numbers. Everything above talks to arrays
through ``backend.xp`` and to nothing else of the library behind it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy

from . import dtypes
from .kernels import KERNELS
from .kernels.elementwise import SMALL

Array = Any  # a native array of some backend


class DeviceUnavailable(RuntimeError):
    """A device that rustorch knows but that this machine or environment cannot offer."""


class Namespace:
    """The functions a rule may call: the standard's, and the kernels under names of their own.

    Attributes are found once, by ``find``, and kept.
    """

    def __init__(self, name: str, find: Callable[[str], Any]):
        self.__name__ = name
        self._find = find

    def __getattr__(self, name: str) -> Any:
        value = self._find(name)
        self.__dict__[name] = value
        return value

    def __repr__(self) -> str:
        return f"<namespace of {self.__name__}>"


class Backend:
    """One array library. Subclasses fill in what differs; this class holds what is alike.

    Attributes
    ----------
    name : str
        The device string of its default device.
    module : module
        A namespace that implements the Array API standard.
    mutable : bool
        Whether arrays can be written in place.
    multi_device : bool
        Whether two of its arrays can lie on different devices.
    together : bool
        Whether optimizers' steps of several parameters are best done by one call, of `steps`.
    readable : bool
        Whether values can be read without waiting for the device. Where not, nothing is checked that depends on values.
    """

    name: str
    module: Any
    mutable = True
    multi_device = False
    together = False
    readable = True
    #: Whether every key means to its arrays what it means to NumPy's, and one out of range raises (or wraps, where
    #: looking is slow).
    indexes_as_numpy = True
    #: Kernels and functions this backend has something better for, by name.
    overrides: Mapping[str, Any] = MappingProxyType({})

    def __init__(self) -> None:
        self.xp = Namespace(self.name, self._find)
        self._generator: Any = None

    def __repr__(self) -> str:
        return f"<backend {self.name!r}>"

    def _find(self, name: str) -> Any:
        if name in self.overrides:
            return self.overrides[name]
        if name in KERNELS:
            return partial(KERNELS[name], self.xp)
        return self._pow if name == "pow" else getattr(self.module, name)

    def _pow(self, x1: Any, x2: Any, /) -> Array:
        """``x1 ** x2``; small powers by multiplication: a library's own power takes many times as long, above all of
        negative numbers.
        """
        if type(x2) in (int, float) and x2 in SMALL and self.dtype_of(x1).kind == "f":
            return self.xp.small_power(x1, int(x2))
        return self.module.pow(x1, x2)

    def is_array(self, value: Any) -> bool:
        """Whether a value is an array (or a scalar that 0-d results decay to) of this library."""
        raise NotImplementedError

    def adopt(self, value: Any) -> Array:
        """The array of a user as rustorch keeps it: the same memory, in the library's plain array type.

        Raises
        ------
        TypeError
            If its dtype is none that rustorch computes with, or it is a kind of array whose meaning would be lost.
        """
        dtypes.admit(self.dtype_of(value))
        return value

    def bind(self, function: Callable) -> Callable:
        """The function, ready to be called on arrays of any of this backend's devices."""
        return function

    def function(self, name: str) -> Callable:
        """``xp.<name>``."""
        return getattr(self.xp, name)

    def guard(self, array: Array) -> contextlib.AbstractContextManager:
        """The context in which operations on ``array`` must run."""
        return contextlib.nullcontext()

    def steps(self, kernel: str, calls: Sequence[tuple]) -> Sequence[tuple]:
        """What a kernel of ``kernels/optim.py`` returns for each of these tuples of arguments, all on the current
        device.
        """
        raise NotImplementedError

    # -- devices and data types ----------------------------------------------------------------------------------
    def devices(self) -> list[str]:
        """The device strings that can be used now."""
        return [self.name]

    def check_device(self, device: str, rest: str) -> str:
        """The canonical spelling of a device string of this backend; ``rest`` is what follows its colon.

        Raises
        ------
        ValueError, RuntimeError
            If there is no such device.
        """
        raise NotImplementedError

    def device_of(self, array: Array) -> str:
        return self.name

    def native_device(self, device: str) -> Any:
        """The library's own object for a device string that belongs to this backend."""
        return None

    def public_dtype(self, dtype: Any) -> numpy.dtype:
        """The standard's dtype for one of the library's own."""
        return dtype

    def dtype_of(self, array: Array) -> numpy.dtype:
        return self.public_dtype(array.dtype)

    def native_dtype(self, dtype: Any) -> Any:
        """The library's own dtype for what a user means by one.

        Raises
        ------
        TypeError
            If it is none, or one that arrays of this backend may not have.
        """
        if dtype is None:
            return None
        named = dtypes.as_dtype(dtype)
        if named.kind == "V":
            raise dtypes.no_bfloat16(self.name)
        return named

    # -- the border ------------------------------------------------------------------------------------------------
    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        """A copy of a NumPy array on ``device`` (on "cpu": the array itself)."""
        raise NotImplementedError

    def constant(self, array: numpy.ndarray, device: str) -> Array:
        """A copy of a NumPy array on ``device``. Callers must not write into it: a later call may return the same
        array.
        """
        return self.from_numpy(array, device)

    def to_numpy(self, array: Array) -> numpy.ndarray:
        """The values as a NumPy array; shares memory where it can."""
        raise NotImplementedError

    def new(self, name: str, device: str, dtype: Any, *args: Any) -> Array:
        """An array made by one of the standard's creation functions, on a device of this backend."""
        options: dict[str, Any] = {"dtype": dtype}
        if (native := self.native_device(device)) is not None:
            options["device"] = native
        if name == "linspace":
            *args, options["endpoint"] = args  # type: ignore[assignment]
        elif name == "eye":
            *args, options["k"] = args  # type: ignore[assignment]
        return getattr(self.module, name)(*args, **options)

    def one(self, like: Array) -> Array:
        """Ones in the form of an array of one element, which nobody may write into."""
        return self.xp.ones_like(like)

    def indexes(self, kinds: set[str], writing: bool) -> bool:
        """Where ``indexes_as_numpy`` is false: whether a key with these kinds of parts (see ops/keys.py) means what it
        means to NumPy.
        """
        return True

    def extent(self, indices: Array) -> tuple[int | None, int | None]:
        """The smallest and largest of some indices, or (None, None) where there are none, or reading them is impossible
        or slow.
        """
        if not self.readable or not all(indices.shape):
            return None, None
        return int(self.module.min(indices)), int(self.module.max(indices))

    def within(self, indices: Array, size: int) -> bool:
        """Whether these are int64 indices, and known to lie in [0, size)."""
        if not self.readable or self.dtype_of(indices) != dtypes.int64:
            return False
        lowest, highest = self.extent(indices)
        return lowest is not None and highest is not None and lowest >= 0 and highest < size

    def to_device(self, array: Array, device: str) -> Array:
        """The array on another device of this same backend."""
        return array

    def as_array(self, value: Any) -> Array:
        """A result of the library as an array: undoes the decay of 0-d results to scalars."""
        return value

    def writable(self, array: Array) -> bool:
        return self.mutable

    def strides(self, array: Array) -> tuple[int, ...]:
        """How far apart neighbours lie along each axis, where that can be negative; else nothing."""
        return getattr(array, "strides", ())

    def owner(self, array: Array) -> Any:
        """The object that owns the memory of ``array``: itself, or what it is a view of."""
        return array

    def owns(self, array: Array) -> bool:
        """Whether ``array`` surely shares its memory with no other array object."""
        return self.owner(array) is array

    def text(self, array: Array, indent: int) -> str:
        """The values as NumPy prints them, continued lines indented."""
        return numpy.array2string(self.to_numpy(array), separator=", ", prefix=" " * indent)

    def synchronize(self, device: str | None = None) -> None:
        """Wait until everything asked of the device is done."""

    # -- random numbers ----------------------------------------------------------------------------------------------
    def generator(self) -> Any:
        """The source of random numbers for this backend's devices; by default NumPy's, and the numbers are moved."""
        if self._generator is None:
            self._generator = numpy.random.Generator(numpy.random.PCG64())
        return self._generator

    def seed(self, seed: int | tuple[int, ...]) -> None:
        self._generator = numpy.random.Generator(numpy.random.PCG64(seed))

    def rng_state(self, device: str) -> numpy.ndarray:
        """What the next random numbers on ``device`` depend on: bytes, (n,) of uint8, on the host."""
        return _packed(self.generator().bit_generator.state)

    def set_rng_state(self, state: numpy.ndarray, device: str) -> None:
        """Go on from what `rng_state` returned.

        Raises
        ------
        ValueError
            If these bytes are no state of this generator; nothing has changed then.
        """
        self.generator().bit_generator.state = _unpacked(state)

    def rng_snapshot(self) -> Any:
        """The states of all generators in use, for `rng_restore` alone: nothing leaves its device."""
        return self.generator().bit_generator.state

    def rng_restore(self, snapshot: Any) -> None:
        self.generator().bit_generator.state = snapshot

    def uniform(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        return self.from_numpy(host_uniform(self.generator(), shape, dtype), device)

    def normal(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        return self.from_numpy(host_normal(self.generator(), shape, dtype), device)

    def integers(self, low: int, high: int, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        return self.from_numpy(numpy.asarray(self.generator().integers(low, high, shape)).astype(dtype), device)

    def permutation(self, n: int, device: str) -> Array:
        return self.from_numpy(self.generator().permutation(n), device)

    def mask(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str, p: float, scale: float) -> Array:
        """``scale``, or 0 with probability ``p``: what dropout multiplies with."""
        return self.from_numpy(host_mask(self.generator(), shape, dtype, p, scale), device)


#: Bytes of a PCG64: its 128-bit state and increment, and half of a 64-bit draw that the next 32-bit one takes, if there
#: is one.
_PARTS = {"state": 16, "inc": 16, "uinteger": 4, "has_uint32": 1}


def _packed(state: Mapping[str, Any]) -> numpy.ndarray:
    parts = {**state, **state["state"]}
    whole = b"".join([parts[name].to_bytes(size, "little") for name, size in _PARTS.items()])
    return numpy.frombuffer(whole, numpy.uint8).copy()


def _unpacked(packed: numpy.ndarray) -> dict[str, Any]:
    whole, parts = packed.tobytes(), {}
    if len(whole) != sum(_PARTS.values()):
        raise ValueError(f"a state of this generator has {sum(_PARTS.values())} bytes, not {len(whole)}")
    for name, size in _PARTS.items():
        parts[name], whole = int.from_bytes(whole[:size], "little"), whole[size:]
    if not parts["inc"] % 2 or parts["has_uint32"] > 1:
        raise ValueError("these bytes are no state of this generator")
    inner = {"state": parts.pop("state"), "inc": parts.pop("inc")}
    return {"bit_generator": "PCG64", "state": inner, **parts}


def host_uniform(generator: numpy.random.Generator, shape: tuple[int, ...], dtype: numpy.dtype) -> numpy.ndarray:
    """Uniform numbers in [0, 1); NumPy draws float32 and float64 itself."""
    draw = dtype if dtype in dtypes.REAL else dtypes.float64
    return numpy.asarray(generator.random(shape, dtype=draw.type)).astype(dtype, copy=False)


def host_normal(generator: numpy.random.Generator, shape: tuple[int, ...], dtype: numpy.dtype) -> numpy.ndarray:
    """Standard normal numbers; complex ones have variance 1, half of it in each part, as PyTorch has them."""
    if dtype.kind == "c":
        part = dtypes.float32 if dtype == dtypes.complex64 else dtypes.float64
        pair = generator.standard_normal((2, *shape), dtype=part.type) * part.type(0.5**0.5)
        return numpy.asarray(pair[0] + 1j * pair[1]).astype(dtype)
    draw = dtype if dtype in dtypes.REAL else dtypes.float64
    return numpy.asarray(generator.standard_normal(shape, dtype=draw.type)).astype(dtype, copy=False)


def host_mask(
    generator: numpy.random.Generator, shape: tuple[int, ...], dtype: numpy.dtype, p: float, scale: float
) -> numpy.ndarray:
    """``scale``, or 0 with probability ``p``. Decided by uniform float32 numbers, whatever the dtype."""
    u = host_uniform(generator, shape, dtypes.float32)
    out = numpy.asarray(u >= dtypes.float32.type(p)).astype(dtype)
    out *= dtype.type(scale)
    return out


def info(dtype: numpy.dtype) -> tuple:
    """(bits, eps, max, min, smallest_normal, dtype) of a floating-point dtype, or (bits, max, min, dtype) of an integer
    one.
    """
    if dtype.kind in "iu":
        limits = numpy.iinfo(dtype)
        return limits.bits, int(limits.max), int(limits.min), dtype
    if dtype.kind == "V":
        from ml_dtypes import finfo

        found = finfo(dtype)
        return found.bits, float(found.eps), float(found.max), float(found.min), float(found.smallest_normal), dtype
    part = numpy.finfo(dtype)
    return part.bits, float(part.eps), float(part.max), float(part.min), float(part.smallest_normal), part.dtype
