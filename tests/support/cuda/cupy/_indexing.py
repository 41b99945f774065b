"""``x[key]`` and ``x[key] = value`` as CuPy has them: indices wrap around, masks wait for the host, lists are copied to
the GPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

import cupy

from . import _device
from ._log import launch, record


class Key(NamedTuple):
    """A key for the array that stands for one of CuPy's.

    Attributes
    ----------
    parts : tuple
        What NumPy's array is indexed with.
    arrays : list of numpy.ndarray
        Those parts of it that are arrays: with any, the result is a copy.
    """

    parts: tuple[Any, ...]
    arrays: list[numpy.ndarray]

    @property
    def has_mask(self) -> bool:
        return any(array.dtype.kind == "b" for array in self.arrays)


def key_of(array: Any, key: Any) -> Key:
    """A key as CuPy reads it.

    Raises
    ------
    IndexError
        If a part of it is neither an integer, a slice, an ellipsis, None, nor an array of integers or booleans.
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
            # what is out of range is not found on a GPU: it wraps around
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
    if isinstance(part, slice):  # an array in it is read by the host
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
    """``array[key]``: a view, or a copy if there is an array in the key."""
    from ._array import view, wrapped

    found = key_of(array, key)
    if not found.arrays:
        parts = found.parts if Ellipsis in found.parts else (*found.parts, ...)
        return view(array._values[parts], array)  # with an ellipsis, NumPy returns an array in any case
    _device.check(array)
    if found.has_mask:
        record("sync", "mask index")
    out = numpy.asarray(array._values[found.parts])
    launch("take", out.size)
    return wrapped(out)


def put(array: Any, key: Any, value: Any) -> None:
    """``array[key] = value``, for a value that is a number or an array of a GPU."""
    from ._array import quiet

    if isinstance(value, numpy.ndarray) and value.ndim:
        raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
    if isinstance(value, (list, tuple)):
        raise ValueError("lists cannot be assigned: make a cupy.ndarray of them")
    found = key_of(array, key)
    _device.check(array)
    if isinstance(value, cupy.ndarray):
        _device.check(value)
        given = value._values
        if array.dtype.kind != "c" and given.dtype.kind == "c":
            given = value.astype(array.dtype)._values  # warns, as CuPy does
    else:
        given = numpy.asarray(value, array.dtype)
    if found.has_mask:
        record("sync", "mask index")
    with quiet():
        if found.arrays and not found.has_mask:
            _put_backwards(array._values, found.parts, given)
            return
        launch("setitem", array._values[found.parts].size)
        array._values[found.parts] = given


def _put_backwards(values: numpy.ndarray, parts: tuple[Any, ...], given: numpy.ndarray) -> None:
    """The other way around than NumPy: of values for one place, any can be the last one on a GPU, and a test should not
    rely on which.
    """
    places = numpy.arange(values.size).reshape(values.shape)[parts]
    while given.ndim > places.ndim and given.shape[0] == 1:
        given = given[0]
    spread = numpy.broadcast_to(given, places.shape)
    launch("setitem", places.size)
    values.flat[places.reshape(-1)[::-1]] = spread.reshape(-1)[::-1].astype(values.dtype)


def scatter(array: Any, key: Any, value: Any, operation: str) -> None:
    """``cupy.add.at`` and its like: with an array of integers as key, in atomic operations, which there are for some
    dtypes only.
    """
    found = key_of(array, key)
    if found.arrays and not found.has_mask and array.dtype.name not in ATOMIC[operation]:
        listed = ", ".join(ATOMIC[operation])
        raise TypeError(f"cupy.{operation}.at only supports {listed} as data type (got {array.dtype})")
    if isinstance(value, (numpy.ndarray, list, tuple)):
        raise TypeError(f"cupy.{operation}.at: unsupported type {type(value)}")
    _device.check(array)
    if found.has_mask:
        record("sync", "mask index")
    if isinstance(value, cupy.ndarray):
        value = value.astype(array.dtype, copy=False)
        _device.check(value)
        value = value._values
    launch(f"{operation}.at", array._values[found.parts].size)
    getattr(numpy, operation).at(array._values, found.parts, value)


_INTEGERS = ("int32", "uint32")
_LONG = (*_INTEGERS, "int64", "uint64")
#: The dtypes of atomic operations, by ufunc.
ATOMIC: dict[str, tuple[str, ...]] = {
    "add": ("int32", "int64", "float16", "float32", "float64", "uint32", "uint64"),
    "subtract": _INTEGERS,
    "maximum": (*_LONG, "float32", "float64"),
    "minimum": (*_LONG, "float32", "float64"),
    "bitwise_and": _LONG,
    "bitwise_or": _LONG,
    "bitwise_xor": _LONG,
}
