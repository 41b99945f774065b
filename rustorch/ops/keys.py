"""The keys of ``x[key]``: converted to native arrays, split into parts, and turned into positions.

Positions serve libraries that have fewer kinds of keys than NumPy. They follow NumPy's rules: slices and None stay
where they are. A mask counts as the integer arrays that ``nonzero`` finds for it. Integer arrays broadcast together,
and plain integers join them as soon as there is one. The axes of the broadcast arrays are where the first of them is,
or in front of all other axes if another part is between them.
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
#: A part of a key with its axis: (axis, part). None, Ellipsis and masks without dimensions have no axis.
Part = tuple[int | None, Any]


def native(key: Any, x: Value) -> Any:
    """A key in which native arrays on the device of ``x`` replace Variables and lists."""
    if type(key) is tuple:
        return tuple([_part(part, x) for part in key])
    return _part(key, x)


def _part(key: Any, x: Value) -> Any:
    """One part of a key. As in NumPy, lists are arrays of integers or booleans, and so are sequences within a tuple."""
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
    if hasattr(key, "__index__") and (not hasattr(key, "shape") or (is_numpy_scalar(key) and key.dtype.kind != "b")):
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
    """The kinds of the parts of a key, by which a backend says whether it has such keys.

    "integer", "slice" or "negative step" (a slice with one), "new axis" (None); "array", or "0-d array" if it has no
    dimensions, and "not int64" beside either; "mask", or "0-d mask" if it has no dimensions.
    """
    found = set()
    for part in key if type(key) is tuple else (key,):
        if part is None:
            found.add("new axis")
        elif _is_mask(part):
            found.add("mask" if getattr(part, "ndim", 0) else "0-d mask")
        elif isinstance(part, slice):
            found.add("negative step" if (part.step or 1) < 0 else "slice")
        elif _is_array(part):
            found.add("array" if part.ndim else "0-d array")
            if str(part.dtype).rpartition(".")[2] != "int64":
                found.add("not int64")
        elif part is not Ellipsis:
            found.add("integer")
    return found


def by_axis(key: Any, shape: Sequence[int]) -> list[Part]:
    """The parts of a key with their axes.

    Axes that the key leaves out at its end, or that an Ellipsis stands for, get a slice. These slices follow the
    Ellipsis.
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


def has_empty_mask(backend: Backend, parts: Sequence[Part], shape: Sequence[int]) -> bool:
    """Check the parts of a key, and say whether one of them is an empty mask of another size than its axes.

    As in NumPy, a mask without elements may have the size 0 for any axis. Few libraries take such a mask.

    Raises
    ------
    IndexError
        If an integer is out of range and can be read, or a mask has another shape than its axes.
    """
    found = False
    for axis, part in parts:
        if axis is None or isinstance(part, slice):
            continue
        if _is_mask(part):
            mask, sizes = tuple(part.shape), tuple(shape[axis : axis + part.ndim])
            if any(m not in (0, n) for m, n in zip(mask, sizes, strict=True)):
                raise IndexError(f"indexing: a mask of shape {mask} for axes of sizes {sizes}")
            found = found or mask != sizes
            continue
        lowest, highest = backend.extent(part) if _is_array(part) else (part, part)
        if lowest is not None and (lowest < -shape[axis] or highest >= shape[axis]):  # type: ignore[operator]
            worst = lowest if lowest < -shape[axis] else highest
            raise IndexError(f"indexing: index {worst} is out of range for axis {axis} of size {shape[axis]}")
    return found


def standard_key(parts: Sequence[Part], shape: Sequence[int]) -> tuple[Any, ...]:
    """A key of integers, slices and None as the standard has it: a part for each axis, and slices within their axes."""
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
    """The positions of the elements of ``x[key]`` in the flattened ``x``: int64, in the shape of ``x[key]``.

    Parameters
    ----------
    xp : Namespace
        A namespace of native arrays.
    parts : sequence of (axis, part)
        From `by_axis`, and checked by `has_empty_mask`.
    shape : tuple of int
        The shape of ``x``.
    like : array
        Any int64 array on the device.
    """
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    parts = [one for part in parts for one in _without_mask(xp, part, like)]
    has_arrays = any(_is_array(part) and part.ndim for _, part in parts)
    # An Ellipsis separates its neighbours, even if it stands for no axis.
    joined = [i for i, (_, part) in enumerate(parts) if has_arrays and (isinstance(part, int) or _is_array(part))]
    joined_shape = broadcast_shapes(*[tuple(getattr(parts[i][1], "shape", ())) for i in joined])
    at = (joined[0] if joined[-1] - joined[0] + 1 == len(joined) else 0) if joined else None
    sizes: list[int] = []  # the shape of the result
    terms: list[tuple[int, int, Array]] = []  # (first dimension, number of dimensions, offsets along them)
    offset, first_joined = 0, 0
    for i, (axis, part) in enumerate([*parts, (None, Ellipsis)]):
        if i == at:
            first_joined = len(sizes)
            sizes += joined_shape
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
            offsets = xp.where(part < 0, part + shape[axis], part) * strides[axis]
            terms.append((first_joined, len(joined_shape), offsets))
    out = xp.reshape(xp.arange_like(like, 1) + offset, (1,) * len(sizes))
    for first, count, term in terms:
        # A term with fewer dimensions broadcasts: it is aligned with the last of its dimensions.
        before, after = first + count - term.ndim, len(sizes) - first - count
        out = out + xp.reshape(term, (1,) * before + tuple(term.shape) + (1,) * after)
    return xp.broadcast_to(out, tuple(sizes))


def _without_mask(xp: Namespace, part: Part, like: Array) -> list[Part]:
    """The part, or the integer arrays that stand for it if it is a mask."""
    axis, value = part
    if not _is_mask(value):
        return [part]
    if axis is None:  # a mask without dimensions adds an axis of size 1 or 0
        return [(None, xp.arange_like(like, 1 if bool(value) else 0))]
    return [(axis + i, indices) for i, indices in enumerate(xp.nonzero(value))]
