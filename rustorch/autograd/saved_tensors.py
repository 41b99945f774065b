"""saved_tensors_hooks: functions that pack what calls save for backward, and unpack it there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..backends import BY_TYPE, Array, device_of
from .graph import Value, make, next_seq
from .modes import no_grad
from .recording import watched_by
from .tickets import Redeeming, Ticket
from .writes import writes

if TYPE_CHECKING:
    from ..variable import Variable
    from .primitive import Plan, Primitive

__all__ = ["saved_tensors_hooks"]

_Hooks = tuple[Callable[[Any], Any], Callable[[Any], Any]]


class _Active(threading.local):
    """The hooks of the open contexts of this thread; the innermost ones are used."""

    def __init__(self) -> None:
        self.hooks: list[_Hooks] = []


_active = _Active()


class saved_tensors_hooks:
    """Pack what calls save for backward, and unpack it there: ``with saved_tensors_hooks(pack, unpack):``.

    A call saves the arrays that its gradient needs. Inside this context, ``pack`` gets each of them and returns what to
    keep in its place: a file name, an array in fewer bits, an array on another device. Backward calls ``unpack`` with
    that, as soon as it needs the array. The innermost of several contexts is used.

    Parameters
    ----------
    pack_hook : callable
        Takes a Variable without a graph, and returns any object. It must not change the Variable.
    unpack_hook : callable
        Takes that object, and returns a Variable or an array of the same shape, dtype and device.

    Raises
    ------
    TypeError
        If one of the two is not callable.
    ValueError
        In backward, if ``unpack`` returns an array of another shape, dtype or device.

    Notes
    -----
    The context applies to the thread that enters it. Calls inside it take longer, by some microseconds. What an
    `autograd.Function` keeps outside of ``save_for_backward`` is not packed, nor are keys of an index.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> def pack(value):
    ...     return value.data.astype("float16")  # half of the memory, and fewer digits
    >>> def unpack(packed):
    ...     return rustorch.asarray(packed.astype("float32"))
    >>> with rustorch.autograd.saved_tensors_hooks(pack, unpack):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    def __init__(self, pack_hook: Callable[[Variable], Any], unpack_hook: Callable[[Any], Any]):
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError(
                    f"saved_tensors_hooks takes two functions, pack_hook and unpack_hook, not {type(hook).__name__}"
                )
        self._hooks = (pack_hook, unpack_hook)
        self._watching = watched_by(_watch)

    def __enter__(self) -> None:
        self._watching.__enter__()
        _active.hooks.append(self._hooks)

    def __exit__(self, *exc: object) -> None:
        _active.hooks.pop()
        self._watching.__exit__()


class Packed:
    """What ``pack`` returned for an array, with the array's form."""

    __slots__ = ("device", "dtype", "packed", "seq", "shape", "unpack")

    def __init__(self, array: Array, hooks: _Hooks):
        with no_grad():
            self.packed = hooks[0](make(array))
        self.unpack = hooks[1]
        self.shape, self.dtype, self.device = tuple(array.shape), array.dtype, device_of(array)
        self.seq = next_seq()

    def array(self, name: str) -> Array:
        """The array, from ``unpack``; ``name`` is that of the operation which saved it."""
        with no_grad():
            value = self.unpack(self.packed)
        native: Any = value._native if isinstance(value, Value) else value
        if type(native) not in BY_TYPE:
            raise TypeError(f"{name}: unpack_hook returned a {type(native).__name__}, not a Variable or an array")
        found = (tuple(native.shape), native.dtype, device_of(native))
        if found != (self.shape, self.dtype, self.device):
            raise ValueError(
                f"{name}: unpack_hook returned an array of {found[1]} and shape {found[0]} on {found[2]!r}; the one "
                f"that was packed is of {self.dtype} and shape {self.shape} on {self.device!r}"
            )
        if self.seq < writes.last and writes.since(self.seq, native):
            raise RuntimeError(
                f"{name}: an array that its gradient needs (shape {self.shape}) was changed in place after the call; "
                f"let pack_hook return a copy, or call backward before the change"
            )
        return native


class _PackedTicket(Ticket):
    """A ticket for saved values of which some are packed."""

    __slots__ = ("name", "values")

    def __init__(self, name: str, values: tuple[Any, ...]):
        super().__init__()
        self.name = name
        self.values = values

    def find(self) -> tuple[Any, ...]:
        return tuple([_unpacked(value, self.name) for value in self.values])


def _unpacked(value: Any, name: str) -> Any:
    if type(value) is Packed:
        return value.array(name)
    return tuple([_unpacked(part, name) for part in value]) if type(value) is tuple else value


def _packed(value: Any, hooks: _Hooks) -> Any:
    """The value with each array in it packed. An array that comes as a tuple's part is packed too."""
    if type(value) in BY_TYPE and hasattr(value, "shape"):
        return Packed(value, hooks)
    if type(value) is tuple and any(type(part) in BY_TYPE and hasattr(part, "shape") for part in value):
        return tuple([_packed(part, hooks) for part in value])
    return value


def _watch(
    primitive: Primitive, out: Any, plan: Plan | None, saved: tuple[Any, ...]
) -> tuple[Plan | None, tuple[Any, ...]]:
    """A plan that unpacks the saved values, and a ticket for them."""
    if plan is None or not _active.hooks:
        return plan, saved
    hooks = _active.hooks[-1]
    for value in saved:
        if hasattr(value, "pack"):  # the context of a Function
            value.pack(lambda array: Packed(array, hooks))
    values = tuple([_packed(value, hooks) for value in saved])
    if all(one is two for one, two in zip(values, saved, strict=True)):
        return plan, saved
    return Redeeming(plan), (_PackedTicket(primitive.name, values),)
