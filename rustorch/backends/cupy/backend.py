"""The CuPy backend: arrays on NVIDIA GPUs."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import array_api_compat.cupy
import cupy
import numpy

from .. import dtypes
from ..base import Array, Backend, DeviceUnavailable, Namespace
from . import OVERRIDES, optim, standard_linalg
from .fusing import Fused
from .random import Generator


def _first_array(values: Any) -> Array | None:
    """The first CuPy array among arguments. An argument may be a list of arrays."""
    for value in values:
        if isinstance(value, cupy.ndarray):
            return value
        if isinstance(value, (tuple, list)) and (array := _first_array(value)) is not None:
            return array
    return None


class CupyBackend(Backend):
    """CuPy. The device string names the GPU: "cuda" is GPU 0, "cuda:1" is GPU 1."""

    name = "cuda"
    together = True
    readable = False
    module = array_api_compat.cupy
    overrides = OVERRIDES

    def __init__(self) -> None:
        try:
            self._count = cupy.cuda.runtime.getDeviceCount()
            self._reason = "" if self._count else "CUDA reports no GPU"
        except cupy.cuda.runtime.CUDARuntimeError as error:
            self._count, self._reason = 0, str(error)
        self.multi_device = self._count > 1
        self._generators: dict[int, Generator] = {}
        # Chosen once, so that a generator that `rng_restore` drops draws the same numbers when it is made again.
        self._seed: int | tuple[int, ...] = secrets.randbits(63)
        self._ones: dict[tuple[Any, int], Array] = {}
        self._loops: dict[Callable[..., Any], Callable[..., Any]] = {}
        super().__init__()
        self.xp.fuse = self._fuse

    def _find(self, name: str) -> Any:
        if name == "linalg":
            return Namespace("cuda.linalg", lambda inner: self.bind(standard_linalg.function(inner)))
        if name == "fft":
            return Namespace("cuda.fft", lambda inner: self.bind(getattr(self.module.fft, inner)))
        return self.bind(super()._find(name))

    def fused(self, plain: Callable[..., Any]) -> Callable[..., Any] | None:
        return Fused(plain)

    def _fuse(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """One launch for an elementwise function or a rule: `rustorch.backends.base.Namespace.fuse`."""
        found = self._loops.get(function)
        if found is None:
            found = self._loops[function] = self.bind(Fused(function))
        return found

    # -- devices -------------------------------------------------------------------------------------------------------
    def is_array(self, value: Any) -> bool:
        return isinstance(value, cupy.ndarray)

    def devices(self) -> list[str]:
        return ["cuda", *[f"cuda:{i}" for i in range(1, self._count)]][: self._count]

    def check_device(self, device: str, rest: str) -> str:
        if rest and not rest.isdecimal():
            raise ValueError(f"unknown device {device!r}; GPUs are 'cuda', 'cuda:1', 'cuda:2', ...")
        if not self._count:
            raise DeviceUnavailable(
                f"device {device!r} cannot be used: CuPy {cupy.__version__} is installed, but finds no usable GPU "
                f"({self._reason}); it needs an NVIDIA GPU and a driver for its CUDA version"
            )
        number = int(rest or 0)
        if number >= self._count:
            raise DeviceUnavailable(
                f"device {device!r} cannot be used: this machine's devices are {', '.join(self.devices())}"
            )
        return "cuda" if number == 0 else f"cuda:{number}"

    def device_of(self, array: Array) -> str:
        number = array.device.id
        return f"cuda:{number}" if number else "cuda"

    def native_device(self, device: str) -> Any:
        return cupy.cuda.Device(_number(device))

    def guard(self, array: Array) -> contextlib.AbstractContextManager[Any]:
        return array.device if array.data.device_id != cupy.cuda.get_device_id() else contextlib.nullcontext()

    def bind(self, function: Any) -> Any:
        """Make a function run on the GPU of its first array. CuPy launches on the current GPU, which may be another."""
        if not self.multi_device or not callable(function) or isinstance(function, type):
            return function

        def on_its_device(*args: Any, **options: Any) -> Any:
            array = _first_array(args)
            if array is None or array.data.device_id == cupy.cuda.get_device_id():
                return function(*args, **options)
            with array.device:
                return function(*args, **options)

        return on_its_device

    def steps(self, kernel: str, calls: Sequence[optim.Call]) -> Sequence[tuple[Array | None, ...]]:
        return optim.steps(kernel, calls)

    def synchronize(self, device: str | None = None) -> None:
        for name in self.devices() if device is None else [device]:
            self.native_device(name).synchronize()

    # -- the border ----------------------------------------------------------------------------------------------------
    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        if array.dtype.kind == "V":
            raise dtypes.no_bfloat16(device)
        with self.native_device(device):
            return cupy.asarray(array)

    def constant(self, array: numpy.ndarray, device: str) -> Array:
        return _constant(array.tobytes(), array.dtype.str, array.shape, _number(device))

    def to_numpy(self, array: Array) -> numpy.ndarray:
        with array.device:
            on_host: numpy.ndarray = cupy.asnumpy(array)
        return on_host

    def to_device(self, array: Array, device: str) -> Array:
        if self.device_of(array) == device:
            return array
        with self.native_device(device):
            return array.copy()  # ``copy`` copies to the current GPU

    def as_array(self, value: Any) -> Array:
        # asarray would copy an array of another GPU to the current GPU
        return value if isinstance(value, cupy.ndarray) else cupy.asarray(value)

    def new(self, name: str, device: str, dtype: Any, *args: Any) -> Array:
        with self.native_device(device):
            return super().new(name, device, dtype, *args)

    def one(self, like: Array) -> Array:
        key = (like.dtype, like.data.device_id)
        if like.ndim:
            return super().one(like)
        if key not in self._ones:
            with like.device:
                self._ones[key] = cupy.ones((), like.dtype)
        return self._ones[key]

    def contiguous(self, array: Array) -> bool:
        contiguous: bool = array.flags.c_contiguous
        return contiguous

    def offset(self, array: Array, flat: Array) -> int | None:
        distance: int = (array.data.ptr - flat.data.ptr) // flat.itemsize
        return distance

    def scale_into(self, out: Array, array: Array, factor: float) -> None:
        cupy.multiply(array, factor, out=out)  # one pass, where the plain version takes two

    def owner(self, array: Array) -> Any:
        while array.base is not None:
            array = array.base
        return array

    # -- random numbers ------------------------------------------------------------------------------------------------
    def seed(self, seed: int | tuple[int, ...]) -> None:
        # in this order, so that a thread that finds no generator makes one from the new seed
        self._seed = seed
        self._generators = {}

    def _generator_on(self, device: str) -> Generator:
        number = _number(device)
        generators = self._generators
        generator = generators.get(number)
        if generator is None:  # if two threads make a generator at once, both get the first one
            generator = generators.setdefault(number, Generator.seeded(self._seed, number))
        return generator

    def rng_state(self, device: str) -> numpy.ndarray:
        return numpy.frombuffer(self._generator_on(device).packed(), numpy.uint8).copy()

    def set_rng_state(self, state: numpy.ndarray, device: str) -> None:
        self._generators[_number(device)] = Generator.unpacked(state.tobytes())

    def rng_snapshot(self) -> Any:
        return self._seed, {number: generator.copy() for number, generator in self._generators.copy().items()}

    def rng_restore(self, snapshot: Any) -> None:
        self._seed, generators = snapshot
        # a generator that did not exist yet is made from the seed when it is needed
        self._generators = {number: generator.copy() for number, generator in generators.items()}

    def uniform(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        with self.native_device(device):
            return self._generator_on(device).uniform(shape, dtype)

    def normal(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        with self.native_device(device):
            return self._generator_on(device).normal(shape, dtype)

    def integers(self, low: int, high: int, shape: tuple[int, ...], dtype: numpy.dtype, device: str) -> Array:
        with self.native_device(device):
            return self._generator_on(device).integers(low, high, shape, dtype)

    def permutation(self, n: int, device: str) -> Array:
        with self.native_device(device):
            return self._generator_on(device).permutation(n)

    def mask(self, shape: tuple[int, ...], dtype: numpy.dtype, device: str, p: float, scale: float) -> Array:
        with self.native_device(device):
            return self._generator_on(device).mask(shape, dtype, p, scale)


@lru_cache(maxsize=128)
def _constant(contents: bytes, dtype: str, shape: tuple[int, ...], number: int) -> Array:
    """A copy on a GPU, made once: layers compute the same indices from the same shapes in each step."""
    with cupy.cuda.Device(number):
        return cupy.asarray(numpy.frombuffer(contents, dtype).reshape(shape))


def _number(device: str) -> int:
    """The number of the GPU that a device string names."""
    return int(device.partition(":")[2] or 0)
