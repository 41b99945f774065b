"""Data types: conversion, promotion, limits, and questions about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..autograd.check import adopt, number_of
from ..autograd.graph import Value
from ..autograd.primitive import Primitive
from ..backends import dtypes, of, resolve
from ..backends.base import info
from ..backends.promotion import PYTHON_SCALARS, is_numpy_scalar, promoted, promoted_with
from .arguments import shape_of

__all__ = ["astype", "broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]

_astype = Primitive(
    "astype", lambda xp, x, /, dtype, copy: xp.astype(x, dtype, copy=copy), register=False, x=lambda xp, g: g
)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: str | None = None) -> Any:
    """The elements converted to another dtype. A gradient is converted back.

    Parameters
    ----------
    x : Variable or array
    dtype : dtype
    copy : bool
        False: ``x`` itself where nothing needs to change.
    device : str, optional
        Where the result shall be; default: where ``x`` is.

    Returns
    -------
    Variable
        Integers and booleans are cut off from the graph: they have no gradients.

    Raises
    ------
    TypeError
        From complex to real: take ``real`` or ``abs`` instead.
    """
    x = adopt(x, "astype")
    target = dtypes.as_dtype(dtype)
    if not copy and x.dtype == target and device is None:
        return x
    if x.dtype.kind == "c" and target.kind not in "cb":
        raise TypeError(f"astype: {x.dtype} to {target} would drop the imaginary part; take rustorch.real(x) first")
    out = _convert(x, target, copy)
    return out if device is None else out.to(resolve(device))


def _convert(x: Any, target: Any, copy: bool) -> Any:
    native = of(x._native).native_dtype(target)  # type: ignore[union-attr]
    if dtypes.is_floating(target):
        return _astype(x, native, copy)
    return _astype(x.detach(), native, copy)


def _dtype(value: Any) -> Any:
    if isinstance(value, Value):
        return value.dtype
    return dtypes.as_dtype(
        value if isinstance(value, type) else getattr(value, "dtype", value)
    )  # numpy.float32 has a dtype, too


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether the promotion rules lead from one dtype (or an array's dtype) to another."""
    source, target = _dtype(from_), dtypes.as_dtype(to)
    try:
        return promoted(source, target) == target
    except TypeError:
        return False


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that the promotion rules give for these arrays, dtypes and Python numbers.

    NumPy scalars beside arrays or dtypes are weak, like Python numbers; among themselves they promote by their dtypes.

    Raises
    ------
    TypeError
        If the standard leaves the mixture undefined.
    ValueError
        If there is nothing but Python numbers, or nothing at all.
    """
    values = arrays_and_dtypes
    if any(type(value) not in PYTHON_SCALARS and not is_numpy_scalar(value) for value in values):
        values = tuple([value if (number := number_of(value)) is None else number for value in values])
    numbers = [type(value) for value in values if type(value) in PYTHON_SCALARS]
    given = [_dtype(value) for value in values if type(value) not in PYTHON_SCALARS]
    if not given:
        raise ValueError("result_type needs at least one array or dtype")
    out = given[0]
    for dtype in given[1:]:
        out = promoted(out, dtype)
    for number in numbers:
        out = promoted_with(out, number)
    return out


@dataclass(frozen=True)
class _FloatInfo:
    """Machine limits of a floating-point dtype; for a complex one, of its parts."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


@dataclass(frozen=True)
class _IntegerInfo:
    """Machine limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


#: The answers of `finfo` so far. Layers ask in every call.
_FLOAT_INFOS: dict[Any, _FloatInfo] = {}


def finfo(type: Any, /) -> _FloatInfo:
    """Machine limits of a floating-point dtype, or of an array's: bits, eps, max, min, smallest_normal, dtype."""
    dtype = _dtype(type)
    limits = _FLOAT_INFOS.get(dtype)
    if limits is None:
        if not dtypes.is_floating(dtype):
            raise TypeError(f"finfo is of floating-point dtypes, not {dtype}; see iinfo")
        limits = _FLOAT_INFOS[dtype] = _FloatInfo(*info(dtype))
    return limits


def iinfo(type: Any, /) -> _IntegerInfo:
    """Machine limits of an integer dtype, or of an array's: bits, max, min, dtype."""
    dtype = _dtype(type)
    if dtype.kind not in "iu":
        raise TypeError(f"iinfo is of integer dtypes, not {dtype}; see finfo")
    return _IntegerInfo(*info(dtype))


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, a name such as "real floating" or "numeric", or a tuple of these.

    Raises
    ------
    ValueError
        If the name is not one of the standard's.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"unknown kind {kind!r}; the standard has {', '.join(map(repr, _KINDS))}")
        return dtypes.as_dtype(dtype).kind in _KINDS[kind]
    return dtypes.as_dtype(dtype) == dtypes.as_dtype(kind)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to.

    Raises
    ------
    ValueError
        If they do not broadcast.
    """
    out = []
    shapes = tuple([shape if type(shape) is tuple else shape_of(shape, "broadcast_shapes") for shape in shapes])
    for axis in range(max(map(len, shapes), default=0)):
        sizes = {shape[-1 - axis] for shape in shapes if len(shape) > axis} - {1}
        if len(sizes) > 1:
            raise ValueError(f"shapes {' and '.join(str(tuple(s)) for s in shapes)} do not broadcast")
        out.append(sizes.pop() if sizes else 1)
    return tuple(reversed(out))
