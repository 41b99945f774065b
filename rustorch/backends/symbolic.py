"""Symbols behind Variables: a backend whose arrays are elements of a loop, so that functions of Variables are traced.

Its namespace has the elementwise functions of the standard and the elementwise kernels. Everything else raises
`Refused`, with its name.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy

from .base import Array, Backend
from .dtypes import bool as BOOL
from .fusing import FUNCTIONS, Loop
from .kernels import FAMILIES, KERNELS
from .promotion import PYTHON_SCALARS
from .registry import BY_TYPE
from .symbols import Number, Refused, Symbol, Unfit

#: Kernels that compute elements from the elements at the same place; a sum in one of them is refused when it is met.
_ELEMENTWISE = frozenset(name for family in ("activation", "elementwise", "loss") for name in FAMILIES[family])
_MADE = {"zeros": 0.0, "ones": 1.0, "empty": 0.0}


class _Tracing(threading.local):
    """The loop that this thread traces."""

    loop: Loop | None = None


_tracing = _Tracing()


@contextlib.contextmanager
def tracing(loop: Loop, dtype: Any) -> Iterator[None]:
    """Let new arrays on the device of symbols belong to this loop, whose arrays have this dtype."""
    loop.dtype = dtype
    before, _tracing.loop = _tracing.loop, loop
    try:
        yield
    finally:
        _tracing.loop = before


class _Other:
    """A function that is not elementwise."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> _Other:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Other(f"{self._name}.{name}")

    def __call__(self, *args: Any, **options: Any) -> Any:
        raise Refused(f"{self._name} is not elementwise")


def _constant(value: Any, dtype: Any) -> Symbol:
    """A number everywhere in an array. Its shape is that of an argument, but nobody knows which: it has no sources."""
    loop = _tracing.loop
    if loop is None:
        raise Refused("the device 'fuse' is there only while a function is traced")
    if dtype == BOOL:
        return loop.record("not_equal", float(bool(value)), 0.0)
    if dtype == loop.dtype:
        return loop.record("value", value)
    if dtype.kind == "f":
        raise Unfit(f"it makes an array of {dtype} beside arrays of {loop.dtype}")
    raise Refused(f"it makes an array of {dtype}, and a loop computes with real numbers")


class SymbolBackend(Backend):
    """The elements of a loop as arrays without dimensions."""

    name = "fuse"
    mutable = False
    readable = False

    def _find(self, name: str) -> Any:
        if name in vars(FUNCTIONS):
            return getattr(FUNCTIONS, name)
        if name in ("finfo", "iinfo"):
            return getattr(numpy, name)
        return partial(KERNELS[name], self.xp) if name in _ELEMENTWISE else _Other(name)

    def is_array(self, value: Any) -> bool:
        return isinstance(value, Symbol)

    def as_array(self, value: Any) -> Array:
        if not isinstance(value, Symbol):
            raise Refused(f"an operation has a result of type {type(value).__name__}, not an array")
        return value

    def check_device(self, device: str, rest: str) -> str:
        return self.name

    def new(self, name: str, device: str, dtype: Any, *args: Any) -> Array:
        if name not in (*_MADE, "full") or args[0] != ():
            raise Refused(f"{name} makes an array of a shape, and a loop knows elements alone")
        return _constant(args[1] if name == "full" else _MADE[name], dtype)

    def one(self, like: Array) -> Array:
        return like.like(1.0)

    def text(self, array: Array, indent: int) -> str:
        return str(self.to_numpy(array))

    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        if array.ndim:
            raise Refused("it uses an array that is not among its arguments")
        return _constant(array.item(), array.dtype)

    def to_numpy(self, array: Array) -> numpy.ndarray:
        raise Refused("a loop is made before there are values, so none can be read or printed")

    def generator(self) -> Any:
        raise Refused("random numbers are not elementwise")


BY_TYPE[Symbol] = SymbolBackend()
#: A number of a call stands for one of Python's wherever rustorch takes one.
PYTHON_SCALARS[Number] = "f"
