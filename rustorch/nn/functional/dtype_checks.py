"""Layers promote nothing: input, parameters and states are of one dtype, as in PyTorch."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...autograd.check import adopt, common_backend
from ...backends import dtypes
from ...variable import Variable

__all__: list[str] = []

#: What layers have in their own dtype: what to say of them is that the model can be converted.
_OF_LAYERS = frozenset(("weight", "bias", "bias_k", "bias_v", "running_mean", "running_var"))
_METHODS = {dtypes.float32: "float", dtypes.float64: "double"}


def one_dtype(name: str, **values: Variable | None) -> None:
    """Raise TypeError unless all have the dtype of the first: layers promote nothing, as in PyTorch.

    Float64 in one place would silently make everything after it float64, at twice the time. Call this where two dtypes
    are not the same object: the comparison is all that ordinary input costs.
    """
    first, *words = values
    dtype = values[first].dtype  # type: ignore[union-attr]
    for word in words:
        value = values[word]
        if value is not None and value.dtype != dtype:
            common_backend(name, (values[first], value))  # another device is the first thing to mend
            raise TypeError(_mismatch(name, first, dtype, word, value.dtype))


def in_dtype_of(value: Any, input: Any, name: str) -> Variable:
    """Real floating-point numbers in the dtype of the input, if that has such ones, too."""
    value, input = adopt(value, name, (input,)), adopt(input, name)
    return ops.astype(value, input.dtype, copy=False) if value.dtype.kind == input.dtype.kind == "f" else value


def _mismatch(name: str, first: str, dtype: Any, word: str, other: Any) -> str:
    """What to write where two dtypes meet that must be one."""
    given = f"{name}: the {first} is of {dtype} and the {word} of {other}; layers do not convert silently"
    if word not in _OF_LAYERS:
        how = f"x.{_METHODS[dtype]}()" if dtype in _METHODS else f"x.astype(rustorch.{dtype})"
        return f"{given}. Convert the {word}, as in {how}"
    if dtype.kind == "c" != other.kind:
        return f"{given}. Convert the {first}, as in rustorch.real(x), or the model, as in model.to(rustorch.{dtype})"
    if other not in _METHODS:
        return f"{given}. Convert the {first}, as in x.astype(rustorch.{other})"
    cure = f'{given}. Convert the {first}, as in x.{_METHODS[other]}() (of a NumPy array: x.astype("{other}"))'
    return f"{cure}, or the model, as in model.{_METHODS[dtype]}()" if dtype in _METHODS else cure
