"""The arguments of collectives: checked native arrays, in the memory that an exchange works on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ..autograd.graph import Value
from ..autograd.modes import is_grad_enabled
from ..autograd.writes import writes
from ..backends import Array, Backend, of
from .exchange import Exchange

__all__ = ["Staged", "like", "native"]


def native(x: Any, function: str, name: str = "tensor", written: bool = True) -> Array:
    """The native array of a Variable or native array.

    Raises
    ------
    TypeError
        If ``x`` is neither, or cannot be written into.
    RuntimeError
        If a gradient would be lost: ``x`` is a computed value that the graph tracks.
    ValueError
        If its memory is not one block in C order.
    """
    array = x._native if isinstance(x, Value) else x
    backend = of(array)
    if backend is None:
        raise TypeError(f"{function}: {name} must be a Variable or an array, not {type(x).__name__}")
    if isinstance(x, Value):
        if x._node is not None and is_grad_enabled():
            raise RuntimeError(
                f"{function}: {name} was computed from values that require grad, and an exchange is not recorded: its "
                f"gradient would be lost; pass {name}.detach(), work under no_grad(), or use "
                f"rustorch.distributed.functional.{function.removesuffix('_into_tensor')}"
            )
    elif written and not backend.mutable:
        raise TypeError(
            f"{function}: arrays of {backend.name!r} cannot be changed; pass a Variable, whose array is replaced"
        )
    if not backend.contiguous(array):
        raise ValueError(
            f"{function}: {name} of shape {tuple(array.shape)} is not contiguous (strides {backend.strides(array)}); "
            f"exchange a copy in C order, such as rustorch.reshape({name}, (-1,))"
        )
    if written and backend.mutable and not backend.writable(array):
        raise ValueError(f"{function}: {name} is read-only; exchange a copy")
    return array


def like(array: Array) -> str:
    """The dtype and shape of an array, for messages and comparisons."""
    backend = of(array)
    assert backend is not None
    return f"{_text(backend.dtype_of(array))} {tuple(array.shape)}"


_text = cache(str)  # NumPy takes microseconds for the name of a dtype


class Staged:
    """Arrays of a call in the memory that the exchange works on.

    NumPy arrays, and CuPy arrays for NCCL, are exchanged where they are. Others are copied to the host before the
    exchange, and back after it.
    """

    def __init__(self, exchange: Exchange, function: str):
        self._exchange = exchange
        self._function = function
        self._after: list[Callable[[], None]] = []
        self._written: list[Array] = []

    def read(self, array: Array) -> Array:
        """An array that the exchange reads."""
        return _backend(array).to_numpy(array) if self._exchange.on_host else array

    def write(self, x: Any, array: Array, fresh: bool = False) -> Array:
        """An array that the exchange writes into; with ``fresh``, its present values do not matter."""
        backend = _backend(array)
        if not self._exchange.on_host and backend.mutable:
            self._written.append(array)
            return array
        host = backend.to_numpy(array)
        if host is array:
            self._written.append(array)
            return array
        host = host.copy()

        def back() -> None:
            new = backend.from_numpy(host, backend.device_of(array))
            if backend.mutable:
                with backend.guard(array):
                    array[...] = new
            else:
                x.data = new

        self._after.append(back)
        self._written.append(array)
        return host

    def then(self, action: Callable[[], None]) -> None:
        """Do this before the values are copied back."""
        self._after.insert(0, action)

    def wrote(self, array: Array) -> None:
        """Note that the caller's array was written into, for gradients that need its old values."""
        self._written.append(array)

    def finish(self) -> None:
        """Bring the results to the caller's arrays."""
        for action in self._after:
            action()
        if self._written:
            writes.note_all(self._written)


def _backend(array: Array) -> Backend:
    backend = of(array)
    assert backend is not None
    return backend
