"""The arrays that a `Function` saves and that are neither inputs nor outputs: constants, or an error in mode 2.

Such an array has no graph, because forward is not recorded. A first derivative needs none. In mode 2, where backward is
recorded, the array stands behind a barrier: a node that depends on the inputs. Its rule raises RuntimeError, unless the
array does not change with the inputs.
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
    """The floating-point array that a value is or holds; None for everything else."""
    native = value._native if isinstance(value, Value) else value
    backend = of(native)
    return native if backend is not None and hasattr(native, "shape") and floating(backend, native) else None


def _map(function: Callable[..., Any], value: Any) -> Any:
    """Apply a function to all items in lists, tuples and dicts. Return the value itself if no item changes."""
    if type(value) in (list, tuple):
        items = [_map(function, item) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else type(value)(items)
    if type(value) is dict:
        changed = {key: _map(function, item) for key, item in value.items()}
        return value if all(changed[key] is value[key] for key in value) else changed
    return function(value)


class Kept:
    """A call of a Function that kept arrays besides inputs and outputs. It can be repeated to see if these change.

    Parameters
    ----------
    cls : type
        The Function.
    context_class : type
        The class of its contexts.
    args : tuple
        The arguments of the call.
    tracked : tuple of bool
        Whether each argument requires grad.
    parents : tuple of Node, leaf Value or None
        The places of the arguments in the graph.
    """

    def __init__(
        self,
        cls: Any,
        context_class: type,
        args: tuple[Any, ...],
        tracked: Sequence[bool],
        parents: tuple[Any, ...],
    ):
        self.cls = cls
        self.context_class = context_class
        self.tracked = tracked
        self.parents = parents
        self.args = tuple([make(x._native) if isinstance(x, Value) else x for x in args])

    def behind_barrier(self, native: Any, read: Callable[[Any], Any]) -> Any:
        """A Variable around a kept array. A gradient through it raises RuntimeError, unless the array is constant.

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
                    f"a second derivative needs its own: compute it anew in {name}.backward from saved inputs, or "
                    f"return it as an output of {name}.forward and save that with save_for_backward"
                )
            return [xp.zeros_like(make(like) if isinstance(g, Value) else like) for like in likes]

        names = tuple([str(i) for i in range(len(places))])
        barrier = Primitive(
            f"{name}'s saved value", lambda xp: None, joint=joint, register=False, signature=(names, ())
        )
        return record(native, barrier.plan(0), places, ())

    def changes(self, native: Any, read: Callable[[Any], Any]) -> bool:
        """Whether the array changes if the inputs change a little to either side. A mask or a constant does not."""
        state = rng_snapshot()
        arrays = []
        try:
            for side in (0.0, 1.0, -1.0):
                rng_restore(state)  # the same random numbers three times
                arrays.append(self._again(read, side))
        except Exception:  # forward refuses such inputs, or keeps other arrays: they depend on the inputs
            return True
        finally:
            rng_restore(state)
        return not any(_same(arrays[0], moved, type(native)) for moved in arrays[1:])

    def _again(self, read: Callable[[Any], Any], side: float) -> Any:
        """The same array from another call, with inputs that are moved a little to one side."""
        context = self.context_class()
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
    return bool(xp.all((one == two) | ((one != one) & (two != two))))  # nan equals nan here


def _moved(x: Any, side: float) -> Any:
    """The input, changed in the second half of its digits."""
    backend, a = BY_TYPE[type(x._native)], x._native
    xp = backend.xp
    step = side * (
        2.0**-12 if backend.dtype_of(a).itemsize in (2, 4) or backend.dtype_of(a).name == "complex64" else 2.0**-26
    )
    return make(backend.as_array(xp.astype(a + (xp.abs(a) + 1.0) * step, a.dtype, copy=False)))


def _made(value: Any, args: Sequence[Any]) -> bool:
    """Whether a value is a floating-point array without a graph, and no argument of the call."""
    tracked = isinstance(value, Value) and value._tracked
    return not tracked and _native(value) is not None and not any(value is x for x in args)


def attributes(context: Any, args: Sequence[Any]) -> list[str]:
    """Names of the attributes of a context that hold such arrays."""
    names = []
    for name, value in context.__dict__.items():
        if name[0] != "_" and name != "needs_input_grad":
            results: list[bool] = []

            def check(part: Any, results: list[bool] = results) -> Any:
                results.append(_made(part, args))
                return part

            _map(check, value)
            if any(results):
                names.append(name)
    return names


def attributes_behind_barriers(context: Any, kept: Kept, names: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Name -> (the attribute, the same with its arrays behind barriers)."""
    out = {}
    for name in names:
        value = context.__dict__.get(name)
        places = count()

        def put_behind(part: Any, name: str = name, places: Iterator[int] = places) -> Any:
            place = next(places)
            if not _made(part, kept.args):
                return part
            return kept.behind_barrier(_native(part), lambda other: _part(other.__dict__[name], place))

        out[name] = value, _map(put_behind, value)
    return out


def _part(value: Any, place: int) -> Any:
    parts: list[Any] = []

    def collect(part: Any) -> Any:
        parts.append(part)
        return part

    _map(collect, value)
    return parts[place]
