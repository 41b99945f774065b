"""Data types: conversion, promotion, limits and kinds; the shape that shapes broadcast to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt, number_of
from ..autograd.graph import Value
from ..autograd.primitive import Primitive
from ..backends import dtypes, of, resolve
from ..backends.promotion import PYTHON_SCALARS, is_numpy_scalar, promoted, promoted_with
from .arguments import shape_of

if TYPE_CHECKING:
    from ..typing import ArrayLike, DType, DTypeLike, Shape
    from ..variable import Variable

__all__ = ["astype", "broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]

_astype = Primitive(
    "astype", lambda xp, x, /, dtype, copy: xp.astype(x, dtype, copy=copy), register=False, x=lambda xp, g: g
)


def astype(x: ArrayLike, dtype: DTypeLike, /, *, copy: bool = True, device: str | None = None) -> Variable:
    """The elements in another dtype. A gradient is converted back.

    Parameters
    ----------
    x : Variable or array
    dtype : dtype
    copy : bool
        False: ``x`` itself where nothing needs to change.
    device : str, optional
        The device of the result. Default: the device of ``x``.

    Returns
    -------
    Variable
        Of the shape of ``x``. Integers and booleans are outside the graph, because they have no gradients.

    Raises
    ------
    TypeError
        If ``x`` is complex and ``dtype`` is real: take ``real`` or ``abs`` instead.
    """
    x = adopt(x, "astype")
    target = dtypes.as_dtype(dtype)
    if not copy and x.dtype == target and device is None:
        return x
    if x.dtype.kind == "c" and target.kind not in "cb":
        raise TypeError(f"astype: {x.dtype} to {target} would drop the imaginary part; take rustorch.real(x) first")
    out = _convert(x, target, copy)
    return out if device is None else out.to(resolve(device))


def _convert(x: Variable, target: Any, copy: bool) -> Variable:
    native = of(x._native).native_dtype(target)  # type: ignore[union-attr]
    if dtypes.is_floating(target):
        return _astype(x, native, copy)
    return _astype(x.detach(), native, copy)


def _dtype_of(value: Any) -> Any:
    """The dtype of an array, or the dtype that a value names."""
    if isinstance(value, Value):
        return value.dtype
    if isinstance(value, type):  # numpy.float32 is a type whose attribute ``dtype`` is not a dtype
        return dtypes.as_dtype(value)
    return dtypes.as_dtype(getattr(value, "dtype", value))


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether an array or dtype can become another dtype by promotion.

    Parameters
    ----------
    from_ : Variable, array or dtype
    to : dtype
    """
    source, target = _dtype_of(from_), dtypes.as_dtype(to)
    try:
        return promoted(source, target) == target
    except TypeError:
        return False


def result_type(*arrays_and_dtypes: ArrayLike | DTypeLike) -> DType:
    """The dtype to which arrays, dtypes and Python numbers promote.

    NumPy scalars beside arrays or dtypes are weak, like Python numbers. NumPy scalars alone promote by their dtypes.

    Raises
    ------
    TypeError
        If the standard leaves the mixture undefined.
    ValueError
        If there is no array and no dtype.
    """
    values = arrays_and_dtypes
    if any(type(value) not in PYTHON_SCALARS and not is_numpy_scalar(value) for value in values):
        values = tuple([value if (number := number_of(value)) is None else number for value in values])
    numbers = [type(value) for value in values if type(value) in PYTHON_SCALARS]
    given = [_dtype_of(value) for value in values if type(value) not in PYTHON_SCALARS]
    if not given:
        raise ValueError("result_type needs at least one array or dtype")
    out: DType = given[0]
    for dtype in given[1:]:
        out = promoted(out, dtype)
    for number in numbers:
        out = promoted_with(out, number)
    return out


@dataclass(frozen=True)
class _FloatInfo:
    """Machine limits of a floating-point dtype. Those of a complex dtype are the limits of its real part."""

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
    """Machine limits of a floating-point dtype.

    Parameters
    ----------
    type : dtype, Variable or array

    Returns
    -------
    object
        With the attributes bits, eps, max, min, smallest_normal and dtype. Those of a complex dtype are the limits of
        its real part.

    Raises
    ------
    TypeError
        If the dtype is not floating-point.
    """
    dtype = _dtype_of(type)
    limits = _FLOAT_INFOS.get(dtype)
    if limits is None:
        if not dtypes.is_floating(dtype):
            raise TypeError(f"finfo is of floating-point dtypes, not {dtype}; see iinfo")
        limits = _FLOAT_INFOS[dtype] = _FloatInfo(*dtypes.limits_of(dtype))
    return limits


def iinfo(type: Any, /) -> _IntegerInfo:
    """Machine limits of an integer dtype.

    Parameters
    ----------
    type : dtype, Variable or array

    Returns
    -------
    object
        With the attributes bits, max, min and dtype.

    Raises
    ------
    TypeError
        If the dtype is not an integer dtype.
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "iu":
        raise TypeError(f"iinfo is of integer dtypes, not {dtype}; see finfo")
    return _IntegerInfo(*dtypes.limits_of(dtype))


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


def isdtype(dtype: DTypeLike, kind: Any) -> bool:
    """Whether a dtype is of a kind.

    Parameters
    ----------
    dtype : dtype
    kind : dtype, str or tuple
        A dtype; or "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating" or
        "numeric"; or a tuple of these, of which one must hold.

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


def broadcast_shapes(*shapes: int | Sequence[int]) -> Shape:
    """The shape to which arrays of these shapes broadcast.

    Raises
    ------
    ValueError
        If they do not broadcast.
    """
    out = []
    tuples = [shape if type(shape) is tuple else shape_of(shape, "broadcast_shapes") for shape in shapes]
    for axis in range(max(map(len, tuples), default=0)):
        sizes = {shape[-1 - axis] for shape in tuples if len(shape) > axis} - {1}
        if len(sizes) > 1:
            raise ValueError(f"shapes {' and '.join(map(str, tuples))} do not broadcast")
        out.append(sizes.pop() if sizes else 1)
    return tuple(reversed(out))
