"""The same elements in another shape or order, or repeated."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt, number_of
from ..autograd.primitive import Primitive
from ..backends import of
from .arguments import axes_of, integer, one_axis, shape_of, sizes_of
from .data_type import broadcast_shapes
from .from_data import asarray
from .joining import concat, stack

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, Namespace
    from ..variable import Variable

__all__ = [
    "broadcast_arrays", "broadcast_to", "concat", "expand_dims", "flip", "moveaxis", "permute_dims", "repeat",
    "reshape", "roll", "squeeze", "stack", "tile", "unstack",
]  # fmt: skip


# -- rules and primitives ----------------------------------------------------------------------------------------------
def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def _repeat_rule(xp: Namespace, g: Array, x_shape: tuple[int, ...], repeats: Any, axis: int) -> Array:
    if isinstance(repeats, int):
        split = xp.reshape(g, (*x_shape[:axis], x_shape[axis], repeats, *x_shape[axis + 1 :]))
        return xp.sum(split, axis=axis + 1)
    sources = xp.repeat(xp.arange(x_shape[axis], device=g.device), repeats)
    return xp.index_add(g, sources, x_shape, axis)


_reshape = Primitive(
    "reshape",
    lambda xp, x, /, shape, copy: xp.reshape(x, shape, copy=copy),
    x=lambda xp, g, x_shape: xp.reshape(g, x_shape),
)
_permute_dims = Primitive(
    "permute_dims",
    lambda xp, x, /, axes: xp.permute_dims(x, axes),
    x=lambda xp, g, axes: xp.permute_dims(g, _inverse(axes)),
)
_broadcast_to = Primitive("broadcast_to", lambda xp, x, /, shape: xp.broadcast_to(x, shape), x=lambda xp, g: g)
_flip = Primitive("flip", lambda xp, x, /, axis: xp.flip(x, axis=axis), x=lambda xp, g, axis: xp.flip(g, axis=axis))
_roll = Primitive(
    "roll",
    lambda xp, x, /, shift, axis: xp.roll(x, shift, axis=axis),
    x=lambda xp, g, shift, axis: xp.roll(
        g, -shift if isinstance(shift, int) else tuple([-s for s in shift]), axis=axis
    ),
)
_repeat = Primitive("repeat", lambda xp, x, /, repeats, axis: xp.repeat(x, repeats, axis=axis), x=_repeat_rule)
_unstack = Primitive(
    "unstack",
    lambda xp, x, /, axis: tuple(xp.unstack(x, axis=axis)),
    multiple=True,
    x=lambda xp, g, axis: xp.stack(list(g), axis=axis),
)


# -- functions ---------------------------------------------------------------------------------------------------------
def reshape(x: ArrayLike, /, shape: int | Sequence[int], *, copy: bool | None = None) -> Variable:
    """The same elements, in the same order, in another shape.

    Parameters
    ----------
    x : Variable or array
    shape : int or tuple of int
        One size may be -1: it is computed from the other sizes.
    copy : bool, optional
        True: always copy. False: never copy, and raise ValueError if a copy is needed. None: copy where needed.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If the number of elements differs, or ``copy=False`` and a copy is needed.
    """
    x = adopt(x, "reshape")
    shape = shape_of(shape, "reshape")
    known, size = prod([n for n in shape if n != -1]), x.size
    if -1 in shape and shape.count(-1) == 1 and known and not size % known:
        shape = tuple([size // known if n == -1 else n for n in shape])
    elif known != size or any(n < 0 for n in shape):
        raise ValueError(f"reshape: {size} elements of shape {x.shape} do not fill the shape {shape}")
    try:
        return _reshape(x, shape, copy)
    except (RuntimeError, ValueError) as error:
        if copy is not False:
            raise
        raise ValueError(f"reshape: copy=False, but {x.shape} to {shape} needs a copy of this memory") from error


def permute_dims(x: ArrayLike, /, axes: Sequence[int]) -> Variable:
    """The axes in another order. Axis ``i`` of the result is axis ``axes[i]`` of ``x``."""
    x = adopt(x, "permute_dims")
    order = axes_of(tuple(axes), x.ndim)
    if len(order) != x.ndim:
        raise ValueError(
            f"permute_dims: axes {tuple(axes)} must name each of the {x.ndim} axes of shape {x.shape} once"
        )
    return _permute_dims(x, order)


def moveaxis(x: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int], /) -> Variable:
    """Move axes to other places. The other axes keep their order.

    Parameters
    ----------
    x : Variable or array
    source : int or sequence of int
        The axes of ``x`` that move.
    destination : int or sequence of int
        Where these axes are in the result.
    """
    x = adopt(x, "moveaxis")
    sources, destinations = axes_of(source, x.ndim), axes_of(destination, x.ndim)
    if len(sources) != len(destinations):
        raise ValueError(f"moveaxis: {len(sources)} source axes and {len(destinations)} destinations")
    order = [i for i in range(x.ndim) if i not in sources]
    for place, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(place, axis)
    return _permute_dims(x, tuple(order))


def expand_dims(x: ArrayLike, /, axis: int | Sequence[int] = 0) -> Variable:
    """Insert axes of size 1. They are the axes ``axis`` of the result.

    Raises
    ------
    IndexError
        If an axis is out of range for the result.
    """
    x = adopt(x, "expand_dims")
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    new_axes = axes_of(axis, x.ndim + count)
    sizes = iter(x.shape)
    return _reshape(x, tuple([1 if i in new_axes else next(sizes) for i in range(x.ndim + count)]), None)


def squeeze(x: ArrayLike, /, axis: int | Sequence[int]) -> Variable:
    """Remove axes of size 1.

    Raises
    ------
    ValueError
        If one of the axes has another size.
    """
    x = adopt(x, "squeeze")
    axes = axes_of(axis, x.ndim)
    for i in axes:
        if x.shape[i] != 1:
            raise ValueError(f"squeeze: axis {i} of shape {x.shape} has size {x.shape[i]}, not 1")
    return _reshape(x, tuple([n for i, n in enumerate(x.shape) if i not in axes]), None)


def broadcast_to(x: ArrayLike, /, shape: Sequence[int]) -> Variable:
    """The array broadcast to a shape, without a copy.

    Raises
    ------
    ValueError
        If the array does not broadcast to this shape.
    """
    x = adopt(x, "broadcast_to")
    shape = sizes_of("broadcast_to", shape)
    if broadcast_shapes(x.shape, shape) != shape:
        raise ValueError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}")
    return _broadcast_to(x, shape)


def broadcast_arrays(*arrays: ArrayLike) -> tuple[Variable, ...]:
    """Broadcast arrays against one another. All results have the same shape."""
    variables = [adopt(x, "broadcast_arrays", arrays) for x in arrays]
    shape = broadcast_shapes(*[x.shape for x in variables])
    return tuple([broadcast_to(x, shape) for x in variables])


def flip(x: ArrayLike, /, *, axis: int | Sequence[int] | None = None) -> Variable:
    """Reverse the order of the elements along axes. None means all axes."""
    x = adopt(x, "flip")
    return _flip(x, axes_of(axis, x.ndim))


def roll(x: ArrayLike, /, shift: int | Sequence[int], *, axis: int | Sequence[int] | None = None) -> Variable:
    """Move elements along axes. Elements that leave the array at one end enter it at the other end.

    Parameters
    ----------
    x : Variable or array
    shift : int or tuple of int
        The number of places to move, for each axis.
    axis : int, tuple of int, or None
        None: roll the flattened array, and restore its shape.

    Returns
    -------
    Variable
        Of the shape of ``x``.
    """
    x = adopt(x, "roll")
    if axis is None and isinstance(shift, (tuple, list)):
        raise ValueError(
            f"roll: {len(shift)} shifts, but no axes; name them, or give one shift for the flattened array"
        )
    if isinstance(shift, (tuple, list)):
        shift = tuple([integer("roll", "a shift", n) for n in shift])
    else:
        shift = integer("roll", "a shift", shift)
    if axis is not None:
        axis = tuple([one_axis(a, x.ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))])
        shift = shift if isinstance(shift, tuple) else (shift,) * len(axis)
        if len(shift) != len(axis):
            raise ValueError(f"roll: {len(shift)} shifts for {len(axis)} axes")
    return _roll(x, shift, axis)


def repeat(x: ArrayLike, repeats: Any, /, *, axis: int | None = None) -> Variable:
    """Repeat each element.

    Parameters
    ----------
    x : Variable or array
    repeats : int, or integer array of shape (1,) or (n,)
        How often each element is repeated. One number for all, or one for each of the n elements along the axis.
    axis : int, optional
        None: repeat the elements of the flattened array.

    Returns
    -------
    Variable
    """
    x = adopt(x, "repeat")
    if axis is None:
        x, axis = reshape(x, (-1,)) if x.size else reshape(x, (0,)), 0
    axis = one_axis(axis, x.ndim)
    if isinstance(repeats, (list, tuple)):
        repeats = asarray(repeats, device=x.device)
    if (number := number_of(repeats)) is not None:
        lowest: int | None = (repeats := integer("repeat", "a number of times", number))
    else:
        repeats = adopt(repeats, "repeat", (x,))
        if repeats.dtype.kind not in "iu":
            raise TypeError(f"repeat: repeats are integers, not {repeats.dtype}")
        if repeats.ndim > 1 or (repeats.ndim and repeats.shape[0] not in (1, x.shape[axis])):
            raise ValueError(f"repeat: {repeats.shape} repeats for {x.shape[axis]} places along axis {axis}")
        lowest = of(repeats._native).extent(repeats._native)[0]  # type: ignore[union-attr]
        repeats = int(repeats) if repeats.size == 1 else repeats._native
    if lowest is not None and lowest < 0:
        raise ValueError(f"repeat: {lowest} is no number of times")
    return _repeat(x, repeats, axis)


def tile(x: ArrayLike, repetitions: Sequence[int], /) -> Variable:
    """Repeat the whole array along each axis, as often as ``repetitions`` says."""
    x = adopt(x, "tile")
    times = sizes_of("tile", repetitions)
    n = max(x.ndim, len(times))
    times, shape = (1,) * (n - len(times)) + times, (1,) * (n - x.ndim) + tuple(x.shape)
    pairs = tuple([size for i in range(n) for size in (1, shape[i])])
    repeated = broadcast_to(reshape(x, pairs), tuple([size for i in range(n) for size in (times[i], shape[i])]))
    return reshape(repeated, tuple([times[i] * shape[i] for i in range(n)]))


def unstack(x: ArrayLike, /, *, axis: int = 0) -> tuple[Variable, ...]:
    """Split the array along an axis into a tuple of arrays without this axis."""
    x = adopt(x, "unstack")
    return tuple(_unstack(x, one_axis(axis, x.ndim)))
