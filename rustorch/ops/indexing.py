"""Reading and writing elements by position; their transposes, which add where positions repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.check import adopt
from ..autograd.graph import Value, mode, writes
from ..autograd.primitive import Primitive
from ..backends import BY_TYPE, device_of, of
from .data_type import broadcast_shapes
from .helpers import one_axis
from .manipulation import flip

__all__ = ["take", "take_along_axis"]


# -- kernels: the transposes are primitives too, so that every order of derivative exists ----------------------------------
index_add = Primitive(
    "index_add",
    lambda xp, values, indices, /, shape, axis: xp.index_add(values, indices, shape, axis),
    values=lambda xp, g, indices, axis: xp.take(g, indices, axis=axis),
)
scatter_add = Primitive(
    "scatter_add",
    lambda xp, values, indices, /, shape, axis: xp.scatter_add(values, indices, shape, axis),
    values=lambda xp, g, indices, axis: xp.take_along_axis(g, indices, axis=axis),
)
put_add = Primitive(
    "put_add",
    lambda xp, values, /, shape, key: xp.put_add(values, shape, key),
    values=lambda xp, g, key: g[key],
)


def _along(g_shape: tuple[int, ...], x_shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The shape of x after broadcasting with the indices in all axes but one."""
    axis %= len(x_shape)
    return (*g_shape[:axis], x_shape[axis], *g_shape[axis + 1 :])


_take = Primitive(
    "take",
    lambda xp, x, indices, /, axis: xp.take(x, indices, axis=axis),
    x=lambda xp, g, indices, x_shape, axis: xp.index_add(g, indices, x_shape, axis),
)
_take_along_axis = Primitive(
    "take_along_axis",
    lambda xp, x, indices, /, axis: xp.take_along_axis(x, indices, axis=axis),
    x=lambda xp, g, indices, x_shape, axis: xp.scatter_add(g, indices, _along(g.shape, x_shape, axis), axis),
)
_getitem = Primitive(
    "getitem",
    lambda xp, x, /, key: x[key],
    x=lambda xp, g, x_shape, key: xp.put_add(g, x_shape, key),
)
put = Primitive(
    "put",
    lambda xp, x, value, /, key: xp.put(x, value, key),
    x=lambda xp, g, key: xp.put(g, 0, key),
    value=lambda xp, g, key: g[key],
)


def _indices(value: Any, name: str, x: Any) -> Any:
    indices = adopt(value, name, (x,))
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices are integers, not {indices.dtype}")
    return indices


def extent(indices: Any) -> tuple[int | None, int | None]:
    """The smallest and largest of some integers, or (None, None) where there are none or they cannot be read at once."""
    return of(indices._native).extent(indices._native)  # type: ignore[union-attr]


def within(indices: Any, size: int) -> bool:
    """Whether these are int64 indices, and known to lie in [0, size)."""
    return of(indices._native).within(indices._native, size)  # type: ignore[union-attr]


def _in_range(name: str, indices: Any, size: int, axis: int) -> None:
    """Libraries differ in what an index out of range does (some wrap, some clamp): it raises here, wherever it can be read."""
    lowest, highest = extent(indices)
    if lowest is not None and (lowest < -size or highest >= size):  # type: ignore[operator]
        worst = lowest if lowest < -size else highest
        raise IndexError(f"{name}: index {worst} is out of range for axis {axis} of size {size}")


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Slices of ``x`` along an axis; a slice taken twice gets both gradients.

    Parameters
    ----------
    x : Variable or array
    indices : integer array, (k,)
    axis : int, optional
        Needed for more than one dimension.

    Raises
    ------
    IndexError
        If an index is out of range.
    """
    x = adopt(x, "take")
    indices = _indices(indices, "take", x)
    if indices.ndim != 1:
        raise ValueError(f"take: indices of shape {indices.shape}; the standard takes one dimension of them")
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take: name the axis of an array of {x.ndim} dimensions")
        axis = 0
    axis = one_axis(axis, x.ndim)
    _in_range("take", indices, x.shape[axis], axis)
    return _take(x, indices, axis)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """Elements picked along an axis, by an index for every other position.

    Parameters
    ----------
    x : Variable or array
    indices : integer array
        Of as many dimensions as ``x``, broadcast against it in all axes but one.
    axis : int

    Raises
    ------
    IndexError
        If an index is out of range.
    """
    x = adopt(x, "take_along_axis")
    indices = _indices(indices, "take_along_axis", x)
    axis = one_axis(axis, x.ndim)
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_axis: indices of {indices.ndim} dimensions for an array of {x.ndim}")
    broadcast_shapes((*x.shape[:axis], 1, *x.shape[axis + 1 :]), (*indices.shape[:axis], 1, *indices.shape[axis + 1 :]))
    _in_range("take_along_axis", indices, x.shape[axis], axis)
    return _take_along_axis(x, indices, axis)


# -- x[key] and x[key] = value -----------------------------------------------------------------------------------------------
def _native_key(key: Any, x: Value) -> Any:
    """A key with native arrays of x's device in place of Variables and lists."""
    if type(key) is tuple:
        return tuple([_native_key(part, x) for part in key])
    if key is None or key is Ellipsis or isinstance(key, (int, slice)):
        if isinstance(key, slice) and any(isinstance(part, Value) for part in (key.start, key.stop, key.step)):
            return slice(*[part.__index__() if isinstance(part, Value) else part for part in (key.start, key.stop, key.step)])
        return key
    if isinstance(key, list):
        from .creation import asarray

        key = asarray(key, device=device_of(x._native))
        if not key.size:
            key = key.astype("int64")
    if hasattr(key, "__index__") and not hasattr(key, "shape"):
        return key.__index__()
    key = adopt(key, "indexing", (x,))
    if key.dtype.kind not in "iub":
        raise IndexError(f"an index is an integer, a slice, None, Ellipsis, or an integer or boolean array, not {key.dtype}")
    if key.device != device_of(x._native):
        raise RuntimeError(
            f"indexing: the array is on {device_of(x._native)!r} and the index on {key.device!r}; move the index with "
            f".to({device_of(x._native)!r})"
        )
    return key._native


def _steps_back(key: Any) -> bool:
    return any(isinstance(part, slice) and (part.step or 1) < 0 for part in (key if type(key) is tuple else (key,)))


def _places(key: Any, ndim: int) -> list[tuple[int, Any]]:
    """The parts of a key, each with the first axis that it indexes."""
    parts = key if type(key) is tuple else (key,)
    sizes = [
        0 if part is None or part is Ellipsis else part.ndim if "bool" in str(getattr(part, "dtype", "")) else 1 for part in parts
    ]
    axis, found = 0, []
    for part, size in zip(parts, sizes, strict=True):
        found.append((axis, part))
        axis += ndim - sum(sizes) if part is Ellipsis else size
    return found


def _forward(key: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple]:
    """``(axes, key)``: the key with positive steps that picks the same elements once the array is flipped along the axes."""
    axes, parts = [], []
    for axis, part in _places(key, len(shape)):
        if isinstance(part, slice) and (part.step or 1) < 0:
            start, stop, step = part.indices(shape[axis])
            count, first = len(range(start, stop, step)), shape[axis] - 1 - start
            part = slice(first, first + (count - 1) * -step + 1, -step) if count else slice(0, 0)
            axes.append(axis)
        parts.append(part)
    return tuple(axes), tuple(parts)


def _within(key: Any, x: Value) -> None:
    """Raise for integers that are out of range, where the library would take another element instead."""
    shape = tuple(x._native.shape)
    for axis, part in _places(key, len(shape)):
        if type(part) is int or (hasattr(part, "dtype") and "int" in str(part.dtype)):
            if axis >= len(shape):
                raise IndexError(f"indexing: more indices than the {len(shape)} dimensions of shape {shape}")
            lowest, highest = (part, part) if type(part) is int else of(part).extent(part)  # type: ignore[union-attr]
            if lowest is not None and (lowest < -shape[axis] or highest >= shape[axis]):
                raise IndexError(
                    f"indexing: index {highest if highest >= shape[axis] else lowest} is out of range for axis {axis} of size {shape[axis]}"
                )


def getitem(x: Value, key: Any) -> Any:
    """``x[key]``"""
    backend = BY_TYPE[type(x._native)]
    if type(key) is not int and type(key) is not slice:
        key = _native_key(key, x)
    if not backend.checks_indices:
        _within(key, x)
    if not backend.negative_steps and _steps_back(key):
        axes, key = _forward(key, tuple(x._native.shape))
        x = flip(x, axis=axes)
    return _getitem(x, key)


def _writable(x: Value, others: Any, what: str) -> bool:
    """Whether a write into ``x`` has to be recorded; raises where it must not be."""
    recording = mode.enabled and (x._tracked or (isinstance(others, Value) and others._tracked))
    if recording and x._tracked and x._node is None:
        raise RuntimeError(
            f"{what} on a leaf that requires grad: its gradient would be that of a value it no longer has; write inside "
            f"rustorch.no_grad(), or into a clone()"
        )
    return recording


def _become(x: Value, out: Value) -> None:
    x._native, x._node, x._tracked = out._native, out._node, out._tracked


def assign(x: Any, compute: Callable[[], Any], what: str, other: Any = None) -> Any:
    """Let ``x`` become what ``compute()`` returns, from ``x`` and ``other``: in place, or with a place in the graph, as `setitem`.

    Returns ``x``, or NotImplemented if that is what was computed.
    """
    recording = _writable(x, other, what)
    out = compute()
    if out is NotImplemented:
        return out
    if out.shape != x.shape:
        raise ValueError(f"{what}: the result has shape {out.shape}, which does not fit into {x.shape}; write x = ... instead")
    if out.dtype != x.dtype:
        if not (out.dtype.kind == x.dtype.kind or (out.dtype.kind, x.dtype.kind) in (("f", "c"), ("u", "i"), ("i", "u"))):
            raise TypeError(f"{what}: the result is {out.dtype}, which {x.dtype} cannot hold; write x = ... instead")
        out = out.astype(x.dtype)
    if recording:
        _become(x, out)
    else:
        setitem(x, ..., out.detach())
    return x


def setitem(x: Value, key: Any, value: Any) -> None:
    """``x[key] = value``: in place, unless it has to be recorded; then ``x`` becomes a new array with a place in the graph."""
    recording = _writable(x, value, "x[key] = value")
    key = _native_key(key, x)
    backend = of(x._native)
    assert backend is not None
    if isinstance(value, (bool, int, float, complex)):
        stored: Any = value
    else:
        stored = adopt(value, "x[key] = value", (x,))
        if stored.device != device_of(x._native):
            raise RuntimeError(
                f"x[key] = value: operands are on different devices, {device_of(x._native)!r} and {stored.device!r}; move the "
                f"value with .to({device_of(x._native)!r})"
            )
        if stored.dtype != x.dtype:
            stored = stored.astype(x.dtype)
    if not backend.checks_indices:
        _within(key, x)
    flipped: tuple[int, ...] = ()
    if not backend.negative_steps and _steps_back(key):
        flipped, key = _forward(key, tuple(x._native.shape))
    if recording or not backend.writable(x._native):
        # outside recording (immutable arrays, or no_grad) a leaf stays a leaf
        out = flip(put(flip(x, axis=flipped), stored, key), axis=flipped) if flipped else put(x, stored, key)
        if recording:
            _become(x, out)
        else:
            x._native = out._native
        return
    if isinstance(stored, Value):
        stored = stored._native
    try:
        if flipped:  # a flipped copy is written into, and copied back
            copy = backend.xp.flip(x._native, axis=flipped)
            copy[key] = stored
            key, stored = ..., backend.xp.flip(copy, axis=flipped)
        x._native[key] = stored
    except ValueError as error:
        raise ValueError(f"x[key] = value: {error}") from error
    writes.note_all((x._native,))
