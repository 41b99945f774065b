"""What a backend is: one array library, seen from rustorch.

A backend knows its namespace (the Array API standard plus rustorch's kernels), which arrays and which device strings
belong to it, how arrays are copied from and to NumPy, and its random numbers. All other code of rustorch calls the
library through ``backend.xp`` alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy

from . import dtypes, random
from .kernels import KERNELS
from .kernels.elementwise import SMALL_POWERS

#: A native array of some backend.
Array = Any


class DeviceUnavailable(RuntimeError):
    """rustorch knows this device, but it cannot be used on this machine or in this environment."""


class Namespace:
    """The functions that a rule may call: those of the standard, and the kernels by their own names.

    An attribute is looked up once, by ``find``, and then stored.

    Attributes
    ----------
    fuse : callable or None
        For an elementwise function or the rule of one: ``fuse(function)`` is one loop that computes what the function
        does, without ``xp``. It returns NotImplemented where the function should be called. None on backends that have
        no such loops.
    fuse_least : int
        The number of elements from which a function asks for its loop, so that small arrays cost little more.
    """

    fuse: Callable[..., Any] | None = None
    fuse_least: int = 0

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
    """One array library. This class holds what most libraries have in common; a subclass defines what differs.

    A library that follows the standard closely is a subclass of `StandardBackend`, which needs less.

    Attributes
    ----------
    name : str
        The device string of its default device.
    module : module
        A namespace that implements the Array API standard.
    xp : Namespace
        The functions of ``module``, the kernels, and the overrides of both.
    mutable : bool
        Whether arrays can be written in place.
    multi_device : bool
        Whether two of its arrays can be on different devices.
    together : bool
        Whether one call of `steps` for several parameters is faster than one call of a kernel for each.
    readable : bool
        Whether reading a value is fast, because no device has to be waited for. If it is not, no value is checked.
    indexes_as_numpy : bool
        Whether every key means the same as in NumPy, and one out of range raises (or wraps, where a check is slow).
    overrides : mapping
        Kernels and functions of the standard that this backend computes in a better way, by name.
    """

    name: str
    module: Any
    mutable = True
    multi_device = False
    together = False
    readable = True
    indexes_as_numpy = True
    overrides: Mapping[str, Any] = MappingProxyType({})

    def __init__(self) -> None:
        self.xp = Namespace(self.name, self._find)
        self._generator: numpy.random.Generator | None = None

    def __repr__(self) -> str:
        return f"<backend {self.name!r}>"

    # -- the namespace -------------------------------------------------------------------------------------------------
    def _find(self, name: str) -> Any:
        """``xp.<name>``: an override, or the plain version of a kernel, or the library's own function."""
        if name in self.overrides:
            return self.overrides[name]
        if name in KERNELS:
            return partial(KERNELS[name], self.xp)
        return self._pow if name == "pow" else getattr(self.module, name)

    def _pow(self, x1: Any, x2: Any, /) -> Array:
        """``x1 ** x2``. Small powers are products: the libraries' own power takes many times as long, most of all for
        negative numbers.
        """
        if type(x2) in (int, float) and x2 in SMALL_POWERS and self.dtype_of(x1).kind == "f":
            return self.xp.small_power(x1, int(x2))
        return self.module.pow(x1, x2)

    def function(self, name: str) -> Callable[..., Any]:
        """``xp.<name>``."""
        function: Callable[..., Any] = getattr(self.xp, name)
        return function

    def bind(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, made callable on arrays of any of this backend's devices."""
        return function

    def fused(self, plain: Callable[..., Any]) -> Callable[..., Any] | None:
        """One loop or one launch for a plain elementwise function ``plain(xp, *values)``, without ``xp``.

        It returns NotImplemented where the plain function should be called. None if this backend has no such loops.
        """
        return None

    def guard(self, array: Array) -> contextlib.AbstractContextManager[Any]:
        """The context in which operations on ``array`` must run."""
        return contextlib.nullcontext()

    def steps(
        self, kernel: str, calls: Sequence[tuple[Sequence[Array | None], dict[str, Any]]]
    ) -> Sequence[tuple[Array | None, ...] | None]:
        """What a kernel of ``kernels/optim.py`` returns for each call, which is a pair of its arrays and its numbers by
        name; or None where it wrote all results into the arrays it got. All arrays are on the current device.
        """
        raise NotImplementedError

    def prepare_training(self) -> None:
        """Called for the first optimizer of parameters of this backend, and again for later ones."""

    # -- arrays --------------------------------------------------------------------------------------------------------
    def is_array(self, value: Any) -> bool:
        """Whether a value is an array of this library, or a scalar that the library returns for a 0-d array."""
        raise NotImplementedError

    def adopt(self, value: Any) -> Array:
        """A user's array in the form that rustorch works with: the same memory, in the library's plain array type.

        Raises
        ------
        TypeError
            If rustorch does not compute with its dtype, or if the plain array type would lose something, as the mask of
            a masked array.
        """
        dtypes.admit(self.dtype_of(value))
        return value

    def as_array(self, value: Any) -> Array:
        """A result of the library as an array. Some libraries return scalars where the standard asks for 0-d arrays."""
        return value

    def new(self, name: str, device: str, dtype: Any, *args: Any) -> Array:
        """An array made by one of the standard's creation functions, on a device of this backend."""
        options: dict[str, Any] = {"dtype": dtype}
        if (native := self.native_device(device)) is not None:
            options["device"] = native
        arguments: Sequence[Any] = args
        if name == "linspace":
            *arguments, options["endpoint"] = args
        elif name == "eye":
            *arguments, options["k"] = args
        return getattr(self.module, name)(*arguments, **options)

    def one(self, like: Array) -> Array:
        """Ones in the shape of ``like``, whose only element starts a backward pass. Callers must not write into it."""
        return self.xp.ones_like(like)

    def writable(self, array: Array) -> bool:
        """Whether values may be written into ``array``."""
        return self.mutable

    def strides(self, array: Array) -> tuple[int, ...]:
        """The strides of ``array``, if this library's arrays can have negative ones; otherwise nothing."""
        strides: tuple[int, ...] = getattr(array, "strides", ())
        return strides

    def contiguous(self, array: Array) -> bool:
        """Whether the elements lie one after the other in C order, as far as the library lets one see it."""
        return True

    def offset(self, array: Array, flat: Array) -> int | None:
        """The place in ``flat``, an array of one dimension, where the first element of ``array``, a view of it, lies.
        None if the library does not tell.
        """
        return None

    def scale_into(self, out: Array, array: Array, factor: float) -> None:
        """Write ``array * factor`` into ``out``: the same shape and dtype, on the current device."""
        out[...] = array * factor

    def owner(self, array: Array) -> Any:
        """The object that owns the memory of ``array``: the array itself, or what it is a view of."""
        return array

    def owns(self, array: Array) -> bool:
        """Whether it is certain that ``array`` shares its memory with no other array object."""
        return self.owner(array) is array

    def text(self, array: Array, indent: int) -> str:
        """The values as NumPy prints them, with all lines but the first indented."""
        return numpy.array2string(self.to_numpy(array), separator=", ", prefix=" " * indent)

    # -- indices -------------------------------------------------------------------------------------------------------
    def indexes(self, kinds: set[str], writing: bool) -> bool:
        """Whether a key with parts of these kinds (see ops/keys.py) means the same as in NumPy.

        It is asked only where ``indexes_as_numpy`` is false.
        """
        return True

    def extent(self, indices: Array) -> tuple[int | None, int | None]:
        """The smallest and the largest index; (None, None) if there are no indices, or if reading them is slow or
        impossible.
        """
        if not self.readable or not all(indices.shape):
            return None, None
        return int(self.module.min(indices)), int(self.module.max(indices))

    def within(self, indices: Array, size: int) -> bool:
        """Whether these are int64 indices that are known to lie in [0, size)."""
        if not self.readable or self.dtype_of(indices) != dtypes.int64:
            return False
        lowest, highest = self.extent(indices)
        return lowest is not None and highest is not None and lowest >= 0 and highest < size

    # -- devices and dtypes --------------------------------------------------------------------------------------------
    def devices(self) -> list[str]:
        """The device strings that can be used now."""
        return [self.name]

    def check_device(self, device: str, rest: str) -> str:
        """The canonical form of a device string of this backend; ``rest`` is the part behind its colon.

        Raises
        ------
        ValueError, RuntimeError
            If there is no such device.
        """
        raise NotImplementedError

    def device_of(self, array: Array) -> str:
        """The canonical device string of an array."""
        return self.name

    def native_device(self, device: str) -> Any:
        """The library's own object for a device string of this backend; None if the library needs none."""
        return None

    def to_device(self, array: Array, device: str) -> Array:
        """The array on another device of this same backend."""
        return array

    def synchronize(self, device: str | None = None) -> None:
        """Wait until a device, or for None each device of this backend, has done all that it was asked to do."""

    def dtype_of(self, array: Array) -> numpy.dtype:
        """The dtype of an array, as a ``numpy.dtype``."""
        return self.public_dtype(array.dtype)

    def public_dtype(self, dtype: Any) -> numpy.dtype:
        """The ``numpy.dtype`` for one of the library's own dtypes."""
        public: numpy.dtype = dtype
        return public

    def native_dtype(self, dtype: Any) -> Any:
        """The library's own dtype for what a user gave as one; None for None.

        Raises
        ------
        TypeError
            If it is not a dtype, or if arrays of this backend cannot have it.
        """
        if dtype is None:
            return None
        public = dtypes.as_dtype(dtype)
        if public.kind == "V":
            raise dtypes.no_bfloat16(self.name)
        return public

    # -- from and to NumPy ---------------------------------------------------------------------------------------------
    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        """A copy of a NumPy array on ``device`` (on "cpu": the array itself)."""
        raise NotImplementedError

    def constant(self, array: numpy.ndarray, device: str) -> Array:
        """A copy of a NumPy array on ``device``. Callers must not write into it: later calls may return the same
        array.
        """
        return self.from_numpy(array, device)

    def to_numpy(self, array: Array) -> numpy.ndarray:
        """The values as a NumPy array, which shares the memory where that is possible."""
        raise NotImplementedError

    # -- random numbers ------------------------------------------------------------------------------------------------
    def generator(self) -> numpy.random.Generator:
        """The generator of this backend's random numbers. By default they are drawn on the host, then copied."""
        if self._generator is None:
            self._generator = random.new_generator()
        return self._generator

    def seed(self, seed: int | tuple[int, ...]) -> None:
        """Start the random numbers of all devices of this backend from a seed."""
        self._generator = random.new_generator(seed)

    def rng_state(self, device: str) -> numpy.ndarray:
        """The state that the next random numbers on ``device`` depend on: bytes, (n,) of uint8, on the host."""
        return random.packed(self.generator())

    def set_rng_state(self, state: numpy.ndarray, device: str) -> None:
        """Continue from a state that `rng_state` returned.

        Raises
        ------
        ValueError
            If these bytes are no state of this generator. Its state is unchanged then.
        """
        self.generator().bit_generator.state = random.unpacked(state)

    def rng_snapshot(self) -> Any:
        """The states of all generators in use, for `rng_restore` alone. No device is waited for."""
        return self.generator().bit_generator.state

    def rng_restore(self, snapshot: Any) -> None:
        """Continue from what `rng_snapshot` returned."""
        self.generator().bit_generator.state = snapshot

    def uniform(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        """Uniform random numbers in [0, 1)."""
        return self.from_numpy(random.uniform(self.generator(), shape, dtype), device)

    def normal(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        """Standard normal random numbers."""
        return self.from_numpy(random.normal(self.generator(), shape, dtype), device)

    def integers(self, low: int, high: int, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        """Uniform random integers in [low, high)."""
        return self.from_numpy(numpy.asarray(self.generator().integers(low, high, shape)).astype(dtype), device)

    def permutation(self, n: int, device: str) -> Array:
        """The integers below ``n`` in random order: int64, (n,)."""
        return self.from_numpy(self.generator().permutation(n), device)

    def mask(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str, p: float, scale: float) -> Array:
        """``scale``, or 0 with probability ``p``: dropout multiplies by it."""
        return self.from_numpy(random.mask(self.generator(), shape, dtype, p, scale), device)
