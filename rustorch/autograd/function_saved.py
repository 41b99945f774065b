"""What a `Function` keeps that is neither an input nor an output: right for a first derivative, a constant too many for
a second one.

Such a value carries no graph, for forward is not recorded. In a backward that is differentiated again it stands behind
a bar: a node that leads to the inputs. Whoever differentiates through it gets an error, unless the value does not
change with the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from ..backends import BY_TYPE, of, rng_restore, rng_snapshot
from .graph import Value, make, record
from .modes import set_grad_enabled
from .primitive import Primitive
from .recording import floating


def _native(value: Any) -> Any:
    """The array of floating-point numbers that a value is or holds; None for everything else."""
    native = value._native if isinstance(value, Value) else value
    backend = of(native)
    return native if backend is not None and hasattr(native, "shape") and floating(backend, native) else None


def _map(function: Callable[..., Any], value: Any) -> Any:
    """A function of all arrays and Variables in lists, tuples and dicts; itself, where it changes none of them."""
    if type(value) in (list, tuple):
        found = [_map(function, item) for item in value]
        return value if all(a is b for a, b in zip(found, value, strict=True)) else type(value)(found)
    if type(value) is dict:
        changed = {key: _map(function, item) for key, item in value.items()}
        return value if all(changed[key] is value[key] for key in value) else changed
    return function(value)


class Kept:
    """What a call of a Function has kept besides inputs and outputs, and what it takes to see whether that is constant.

    Parameters
    ----------
    cls : type
        The Function.
    args : tuple
        The arguments of the call.
    tracked : tuple of bool
        Which of them have a gradient.
    parents : tuple
        Where they came from.
    """

    def __init__(self, cls: Any, args: tuple[Any, ...], tracked: Sequence[bool], parents: tuple[Any, ...]):
        self.cls = cls
        self.tracked = tracked
        self.parents = parents
        self.args = tuple([make(x._native) if isinstance(x, Value) else x for x in args])

    def behind_bar(self, native: Any, read: Callable[[Any], Any]) -> Any:
        """A Variable around a kept array, through which no gradient passes unless the array is constant.

        Parameters
        ----------
        native : array
        read : callable
            Finds the same array in the context of another call.
        """
        kept = self
        places = tuple([parent for parent in self.parents if parent is not None])
        likes = [x._native for x, tracked in zip(self.args, self.tracked, strict=True) if tracked]
        name = self.cls.__name__

        def joint(xp: Any, g: Any) -> list[Any]:
            if kept.changes(native, read):
                raise RuntimeError(
                    f"{name} saved an array of shape {tuple(native.shape)} that is neither an input nor an output, and "
                    f"a second derivative "
                    f"needs its own: compute it anew in {name}.backward from saved inputs, or return it as an output "
                    f"of "
                    f"{name}.forward and save that with save_for_backward"
                )
            return [xp.zeros_like(make(like) if isinstance(g, Value) else like) for like in likes]

        names = tuple([str(i) for i in range(len(places))])
        bar = Primitive(f"{name}'s saved value", lambda xp: None, joint=joint, register=False, signature=(names, ()))
        return record(native, bar.plan(0), places, ())

    def changes(self, native: Any, read: Callable[[Any], Any]) -> bool:
        """Whether the array becomes another one if the inputs are moved a little to either side: it is a mask or a
        constant, if not.
        """
        state = rng_snapshot()
        found = []
        try:
            for side in (0.0, 1.0, -1.0):
                rng_restore(state)  # what is random is the same three times
                found.append(self._again(read, side))
        except (
            Exception
        ):  # forward does not take such inputs, or keeps other things then: what it keeps depends on them
            return True
        finally:
            rng_restore(state)
        return not any(_same(found[0], moved, type(native)) for moved in found[1:])

    def _again(self, read: Callable[[Any], Any], side: float) -> Any:
        """The array that another call keeps."""
        from .function import Context

        context = Context()
        context.needs_input_grad = tuple(self.tracked)
        args = [_moved(x, side) if tracked and side else x for x, tracked in zip(self.args, self.tracked, strict=True)]
        with set_grad_enabled(False):
            self.cls.forward(context, *args)
        return _native(read(context))


def _same(one: Any, two: Any, kind: type) -> bool:
    if one is two:
        return True
    if type(one) is not kind or type(two) is not kind or tuple(one.shape) != tuple(two.shape):  # type: ignore[attr-defined]
        return False
    xp = BY_TYPE[kind].xp
    return bool(xp.all((one == two) | ((one != one) & (two != two))))  # nan is like nan


def _moved(x: Any, side: float) -> Any:
    """The input, moved by half of its digits."""
    backend, a = BY_TYPE[type(x._native)], x._native
    xp = backend.xp
    step = side * (
        2.0**-12 if backend.dtype_of(a).itemsize in (2, 4) or backend.dtype_of(a).name == "complex64" else 2.0**-26
    )
    return make(backend.as_array(xp.astype(a + (xp.abs(a) + 1.0) * step, a.dtype, copy=False)))


def _made(value: Any, args: Sequence[Any]) -> bool:
    """Whether a value is an array of floating-point numbers without a graph, and no argument."""
    tracked = isinstance(value, Value) and value._tracked
    return not tracked and _native(value) is not None and not any(value is x for x in args)


def attributes(context: Any, args: Sequence[Any]) -> list[str]:
    """Names of a context's attributes that hold such arrays."""
    names = []
    for name, value in context.__dict__.items():
        if name[0] != "_" and name != "needs_input_grad":
            found: list[bool] = []

            def look(part: Any, found: list[bool] = found) -> Any:
                found.append(_made(part, args))
                return part

            _map(look, value)
            if any(found):
                names.append(name)
    return names


def barred_attributes(context: Any, kept: Kept, names: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Name -> (what an attribute holds, the same with arrays behind bars)."""
    out = {}
    for name in names:
        value = context.__dict__.get(name)
        places = count()

        def bar(part: Any, name: str = name, places: Iterator[int] = places) -> Any:
            place = next(places)
            if not _made(part, kept.args):
                return part
            return kept.behind_bar(_native(part), lambda other: _part(other.__dict__[name], place))

        out[name] = value, _map(bar, value)
    return out


def _part(value: Any, place: int) -> Any:
    parts: list[Any] = []

    def collect(part: Any) -> Any:
        parts.append(part)
        return part

    _map(collect, value)
    return parts[place]
