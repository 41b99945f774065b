"""``x[key]`` and ``x[key] = value`` as in CuPy.

Indices wrap around, a mask makes the host wait, and a list is copied to the GPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

import cupy

from . import _device
from ._log import launch, record


class Key(NamedTuple):
    """A key for the NumPy array behind an array.

    Attributes
    ----------
    parts : tuple
        The key for NumPy.
    arrays : list of numpy.ndarray
        The parts that are arrays. If there are any, the result is a copy.
    """

    parts: tuple[Any, ...]
    arrays: list[numpy.ndarray]

    @property
    def has_mask(self) -> bool:
        return any(array.dtype.kind == "b" for array in self.arrays)


def key_of(array: Any, key: Any) -> Key:
    """Read a key as CuPy does.

    Raises
    ------
    IndexError
        If a part is not an integer, a slice, an ellipsis, None, or an array of integers or booleans.
    """
    parts = [_part(part) for part in (key if type(key) is tuple else (key,))]
    taken = sum(part.ndim if _is_mask(part) else part is not None and part is not Ellipsis for part in parts)
    axis, wrapped = 0, []
    for part in parts:
        if part is Ellipsis:
            axis += array.ndim - taken
        elif _is_mask(part):
            axis += part.ndim
        elif part is not None:
            # a GPU does not check the range: an index that is out of range wraps around
            if isinstance(part, numpy.ndarray) and axis < array.ndim and array.shape[axis]:
                part = part.astype(numpy.int64) % array.shape[axis]
            axis += 1
        wrapped.append(part)
    return Key(tuple(wrapped), [part for part in wrapped if isinstance(part, numpy.ndarray)])


def _is_mask(part: Any) -> bool:
    return isinstance(part, numpy.ndarray) and part.dtype.kind == "b"


def _part(part: Any) -> Any:
    if part is None or part is Ellipsis or (isinstance(part, (int, numpy.integer)) and not isinstance(part, bool)):
        return part
    if isinstance(part, slice):  # the host reads an array in a slice
        return slice(*[None if bound is None else bound.__index__() for bound in (part.start, part.stop, part.step)])
    if isinstance(part, (list, tuple, bool, numpy.bool_, numpy.ndarray)):
        part = cupy.array(part, numpy.int32 if isinstance(part, (list, tuple)) and not len(part) else None)
    if not isinstance(part, cupy.ndarray):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are "
            "valid indices"
        )
    if part.dtype.kind not in "iub":
        raise IndexError(f"arrays used as indices must be of integer or boolean type. (actual: {part.dtype.type})")
    _device.check(part)
    return part._values


def get(array: Any, key: Any) -> Any:
    """``array[key]``: a copy if the key has an array, else a view."""
    from ._array import view, wrapped

    read = key_of(array, key)
    if not read.arrays:
        parts = read.parts if Ellipsis in read.parts else (*read.parts, ...)
        return view(array._values[parts], array)  # with an ellipsis, NumPy never returns a scalar
    _device.check(array)
    if read.has_mask:
        record("sync", "mask index")
    out = numpy.asarray(array._values[read.parts])
    launch("take", out.size)
    return wrapped(out)


def put(array: Any, key: Any, value: Any) -> None:
    """``array[key] = value``. The value is a number or an array of a GPU."""
    from ._array import quiet

    if isinstance(value, numpy.ndarray) and value.ndim:
        raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
    if isinstance(value, (list, tuple)):
        raise ValueError("lists cannot be assigned: make a cupy.ndarray of them")
    read = key_of(array, key)
    _device.check(array)
    if isinstance(value, cupy.ndarray):
        _device.check(value)
        new = value._values
        if array.dtype.kind != "c" and new.dtype.kind == "c":
            new = value.astype(array.dtype)._values  # warns, as CuPy does
    else:
        new = numpy.asarray(value, array.dtype)
    if read.has_mask:
        record("sync", "mask index")
    with quiet():
        if read.arrays and not read.has_mask:
            _put_backwards(array._values, read.parts, new)
            return
        launch("setitem", array._values[read.parts].size)
        array._values[read.parts] = new


def _put_backwards(values: numpy.ndarray, parts: tuple[Any, ...], new: numpy.ndarray) -> None:
    """Write in the opposite order to NumPy.

    If two values are written to one place, a GPU may write either one last. No test should rely on which one.
    """
    places = numpy.arange(values.size).reshape(values.shape)[parts]
    while new.ndim > places.ndim and new.shape[0] == 1:
        new = new[0]
    spread = numpy.broadcast_to(new, places.shape)
    launch("setitem", places.size)
    values.flat[places.reshape(-1)[::-1]] = spread.reshape(-1)[::-1].astype(values.dtype)


def scatter(array: Any, key: Any, value: Any, operation: str) -> None:
    """``cupy.add.at`` and similar functions.

    With an array of integers as key, they use atomic operations, which exist for some dtypes only.
    """
    read = key_of(array, key)
    if read.arrays and not read.has_mask and array.dtype.name not in ATOMIC[operation]:
        listed = ", ".join(ATOMIC[operation])
        raise TypeError(f"cupy.{operation}.at only supports {listed} as data type (got {array.dtype})")
    if isinstance(value, (numpy.ndarray, list, tuple)):
        raise TypeError(f"cupy.{operation}.at: unsupported type {type(value)}")
    _device.check(array)
    if read.has_mask:
        record("sync", "mask index")
    if isinstance(value, cupy.ndarray):
        value = value.astype(array.dtype, copy=False)
        _device.check(value)
        value = value._values
    launch(f"{operation}.at", array._values[read.parts].size)
    getattr(numpy, operation).at(array._values, read.parts, value)


_INTEGERS = ("int32", "uint32")
_WITH_INT64 = (*_INTEGERS, "int64", "uint64")
#: The dtypes of atomic operations, by ufunc.
ATOMIC: dict[str, tuple[str, ...]] = {
    "add": ("int32", "int64", "float16", "float32", "float64", "uint32", "uint64"),
    "subtract": _INTEGERS,
    "maximum": (*_WITH_INT64, "float32", "float64"),
    "minimum": (*_WITH_INT64, "float32", "float64"),
    "bitwise_and": _WITH_INT64,
    "bitwise_or": _WITH_INT64,
    "bitwise_xor": _WITH_INT64,
}
