"""The keys of ``x[key]``: brought to native arrays, taken apart by axes, and where a library has less than NumPy,
turned into positions.

NumPy's rules: slices and None stay where they stand. Integer arrays, and masks as the arrays of integers that
``nonzero`` finds for them, broadcast together; as soon as there is one, plain integers belong to them, too. Their axes
come where the first of them stands, or in front of all others if something stands between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt
from ..autograd.graph import Value
from ..backends import Array, Backend, device_of, of
from ..backends.convert import nests
from ..backends.promotion import is_numpy_scalar
from .data_type import broadcast_shapes
from .from_data import asarray
from .nested_lists import holds_arrays

if TYPE_CHECKING:
    from ..typing import Namespace

_KEYS = "an integer, a slice, None, Ellipsis, or an integer or boolean array"
#: What stands at an axis, or between axes: (axis, part). None and Ellipsis have no axis, nor has a mask of no
#: dimensions.
Part = tuple[int | None, Any]


def native(key: Any, x: Value) -> Any:
    """A key with native arrays of x's device in place of Variables and lists."""
    if type(key) is tuple:
        return tuple([_part(part, x) for part in key])
    return _part(key, x)


def _part(key: Any, x: Value) -> Any:
    """One part of a key. Lists, and sequences within a tuple, are arrays of integers or booleans, as in NumPy."""
    if key is None or key is Ellipsis or isinstance(key, int):
        return key
    if isinstance(key, slice):
        if any(isinstance(part, Value) for part in (key.start, key.stop, key.step)):
            return slice(
                *[part.__index__() if isinstance(part, Value) else part for part in (key.start, key.stop, key.step)]
            )
        return key
    if nests(type(key)):
        key = asarray(key, device=None if holds_arrays(key) else device_of(x._native))
        if not key.size and key.dtype.kind != "b":
            key = key.astype("int64")
    if hasattr(key, "__index__") and (not hasattr(key, "shape") or is_numpy_scalar(key)):
        return key.__index__()
    if not isinstance(key, Value) and of(key) is None:
        raise IndexError(f"an index is {_KEYS}, not {key!r} of type {type(key).__name__}")
    key = adopt(key, "indexing", (x,))
    if key.dtype.kind not in "iub":
        raise IndexError(f"an index is {_KEYS}, not {key.dtype}")
    if key.device != device_of(x._native):
        raise RuntimeError(
            f"indexing: the array is on {device_of(x._native)!r} and the index on {key.device!r}; move the index with "
            f".to({device_of(x._native)!r})"
        )
    return key._native


def _is_array(part: Any) -> bool:
    return hasattr(part, "dtype")


def _is_mask(part: Any) -> bool:
    return isinstance(part, bool) or (_is_array(part) and "bool" in str(part.dtype))


def kinds(key: Any) -> set[str]:
    """What is in a key: "integer", "slice", "backwards" (its step), "new"; "array", or "pointer" if it has no
    dimensions, and "narrow" if it is not int64; "mask", or "switch" if it has no dimensions.
    """
    found = set()
    for part in key if type(key) is tuple else (key,):
        if part is None:
            found.add("new")
        elif _is_mask(part):
            found.add("mask" if getattr(part, "ndim", 0) else "switch")
        elif isinstance(part, slice):
            found.add("backwards" if (part.step or 1) < 0 else "slice")
        elif _is_array(part):
            found.add("array" if part.ndim else "pointer")
            if str(part.dtype).rpartition(".")[2] != "int64":
                found.add("narrow")
        elif part is not Ellipsis:
            found.add("integer")
    return found


def by_axis(key: Any, shape: Sequence[int]) -> list[Part]:
    """The parts of a key, with a slice for every axis that is left out at the end, or that an Ellipsis stands for,
    behind it.
    """
    parts = list(key) if type(key) is tuple else [key]
    places = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(places) > 1:
        raise IndexError("indexing: a key has one Ellipsis at most")
    sizes = [
        0 if part is None or part is Ellipsis else (getattr(part, "ndim", 0) if _is_mask(part) else 1) for part in parts
    ]
    missing = len(shape) - sum(sizes)
    if missing < 0:
        raise IndexError(
            f"indexing: the key is for {len(shape) - missing} axes, the array of shape {tuple(shape)} has {len(shape)}"
        )
    at = places[0] + 1 if places else len(parts)
    parts[at:at], sizes[at:at] = [slice(None)] * missing, [1] * missing
    axis, found = 0, []
    for part, size in zip(parts, sizes, strict=True):
        found.append((axis if size else None, part))
        axis += size
    return found


def in_range(backend: Backend, parts: Sequence[Part], shape: Sequence[int]) -> bool:
    """Raise for integers that are out of range, wherever they can be read, and for masks of another shape.

    A mask without elements may have the size 0 for any axis, as in NumPy. Returns whether there is one, which few
    libraries take.
    """
    nothing = False
    for axis, part in parts:
        if axis is None or isinstance(part, slice):
            continue
        if _is_mask(part):
            mask, sizes = tuple(part.shape), tuple(shape[axis : axis + part.ndim])
            if any(m not in (0, n) for m, n in zip(mask, sizes, strict=True)):
                raise IndexError(f"indexing: a mask of shape {mask} for axes of sizes {sizes}")
            nothing = nothing or mask != sizes
            continue
        lowest, highest = backend.extent(part) if _is_array(part) else (part, part)
        if lowest is not None and (lowest < -shape[axis] or highest >= shape[axis]):  # type: ignore[operator]
            worst = lowest if lowest < -shape[axis] else highest
            raise IndexError(f"indexing: index {worst} is out of range for axis {axis} of size {shape[axis]}")
    return nothing


def plain(parts: Sequence[Part], shape: Sequence[int]) -> tuple:
    """A key of integers, slices and None as the standard has it: something for each axis, and slices that end within
    it.
    """
    key: list[Any] = []
    for axis, part in parts:
        if isinstance(part, slice):
            start, stop, step = part.indices(shape[axis])  # type: ignore[index]
            inside = len(range(start, stop, step)) > 0
            part = slice(start, stop if stop >= 0 else None, step) if inside else slice(0, 0)
        if part is not Ellipsis:
            key.append(part)
    return tuple(key)


def positions(xp: Namespace, parts: Sequence[Part], shape: Sequence[int], like: Array) -> Array:
    """Where in the flattened array the elements of ``x[key]`` lie: int64, in the shape of ``x[key]``.

    Parameters
    ----------
    xp : Namespace
        Of native arrays.
    parts : sequence of (axis, part)
        As `by_axis` returns them, and `in_range` has seen them.
    shape : tuple of int
        Of x.
    like : array
        Any int64 array on the device.
    """
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    parts = [one for part in parts for one in _without_mask(xp, part, like)]
    fancy = any(_is_array(part) and part.ndim for _, part in parts)
    # an Ellipsis stands between its neighbours even where it stands for nothing
    joined = [i for i, (_, part) in enumerate(parts) if fancy and (isinstance(part, int) or _is_array(part))]
    together = broadcast_shapes(*[tuple(getattr(parts[i][1], "shape", ())) for i in joined])
    at = (joined[0] if joined[-1] - joined[0] + 1 == len(joined) else 0) if joined else None
    # the dimensions of the result: (size, index along it) for each, the joined ones at their place
    sizes: list[int] = []
    terms: list[tuple[int, int, Array]] = []  # (number of the first dimension, dimensions, offsets)
    offset, first = 0, 0
    for i, (axis, part) in enumerate([*parts, (None, Ellipsis)]):
        if i == at:
            first = len(sizes)
            sizes += together
        if part is None:
            sizes.append(1)
        elif isinstance(part, slice):
            start, stop, step = part.indices(shape[axis])  # type: ignore[index]
            count = len(range(start, stop, step))
            offset += start * strides[axis] if count else 0  # type: ignore[index]
            terms.append((len(sizes), 1, xp.arange_like(like, count) * (step * strides[axis])))  # type: ignore[index]
            sizes.append(count)
        elif part is not Ellipsis and axis is not None and not _is_array(part):
            offset += (part + shape[axis] if part < 0 else part) * strides[axis]
    for axis, part in parts:
        if axis is not None and _is_array(part):
            part = xp.astype(part, like.dtype)
            terms.append((first, len(together), xp.where(part < 0, part + shape[axis], part) * strides[axis]))
    out = xp.reshape(xp.arange_like(like, 1) + offset, (1,) * len(sizes))
    for begin, count, term in terms:
        # a term's own dimensions end where those that it belongs to end
        lead, rest = begin + count - term.ndim, len(sizes) - begin - count
        out = out + xp.reshape(term, (1,) * lead + tuple(term.shape) + (1,) * rest)
    return xp.broadcast_to(out, tuple(sizes))


def _without_mask(xp: Namespace, part: Part, like: Array) -> list[Part]:
    axis, value = part
    if not _is_mask(value):
        return [part]
    if axis is None:  # it adds an axis of one element, or of none
        return [(None, xp.arange_like(like, 1 if bool(value) else 0))]
    return [(axis + i, found) for i, found in enumerate(xp.nonzero(value))]
