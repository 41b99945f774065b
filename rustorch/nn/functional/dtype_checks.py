"""The check that input, parameters and states of a layer have one dtype: layers promote nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.check import common_backend
from ...backends import dtypes
from .checks import adopt

if TYPE_CHECKING:
    from ...typing import ArrayLike, DTypeLike
    from ...variable import Variable


__all__: list[str] = []

#: Names of parameters and buffers. If one of them has another dtype, the error says how to convert the model.
_PARAMETERS = frozenset(("weight", "bias", "bias_k", "bias_v", "running_mean", "running_var"))
_METHODS = {dtypes.float32: "float", dtypes.float64: "double"}


def one_dtype(name: str, **values: Variable | None) -> None:
    """Raise TypeError unless all values have the dtype of the first one: layers promote nothing, as in PyTorch.

    One float64 value would silently turn everything after it into float64, which takes twice the time. Call this only
    where two dtypes are not the same object: then the usual input costs no more than that comparison.
    """
    first, *words = values
    dtype = values[first].dtype  # type: ignore[union-attr]
    for word in words:
        value = values[word]
        if value is not None and value.dtype != dtype:
            common_backend(name, (values[first], value))  # report a different device first
            raise TypeError(_mismatch(name, first, dtype, word, value.dtype))


def in_dtype_of(value: ArrayLike, input: ArrayLike, name: str) -> Variable:
    """A value converted to the dtype of the input, if both are real floating-point numbers; else the value."""
    value, input = adopt(value, name, (input,)), adopt(input, name)
    return ops.astype(value, input.dtype, copy=False) if value.dtype.kind == input.dtype.kind == "f" else value


def _mismatch(name: str, first: str, dtype: DTypeLike, word: str, other: Any) -> str:
    """The error message for two dtypes that must be equal, with the line to write instead."""
    given = f"{name}: the {first} is of {dtype} and the {word} of {other}; layers do not convert silently"
    if word not in _PARAMETERS:
        how = f"x.{_METHODS[dtype]}()" if dtype in _METHODS else f"x.astype(rustorch.{dtype})"
        return f"{given}. Convert the {word}, as in {how}"
    if dtype.kind == "c" != other.kind:
        return f"{given}. Convert the {first}, as in rustorch.real(x), or the model, as in model.to(rustorch.{dtype})"
    if other not in _METHODS:
        return f"{given}. Convert the {first}, as in x.astype(rustorch.{other})"
    cure = f'{given}. Convert the {first}, as in x.{_METHODS[other]}() (of a NumPy array: x.astype("{other}"))'
    return f"{cure}, or the model, as in model.{_METHODS[dtype]}()" if dtype in _METHODS else cure
