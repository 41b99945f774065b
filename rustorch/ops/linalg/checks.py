"""Arguments of ``linalg`` as Variables: floating-point numbers, matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...autograd.check import adopt
from ...backends import dtypes

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


def matrices_of(x: ArrayLike, name: str, square: bool = False) -> Variable:
    """The argument of the function ``name`` as a Variable of floating-point matrices."""
    x = adopt(x, name)
    shape = tuple(x.shape)
    if len(shape) < 2:
        raise ValueError(f"{name} needs at least two dimensions, not the shape {shape}")
    if square and shape[-1] != shape[-2]:
        raise ValueError(f"{name} is of square matrices, not of the shape {shape}")
    if not dtypes.is_floating(x.dtype):
        raise TypeError(f"{name} is of floating-point arrays, not {x.dtype}; convert with x.astype(rustorch.float32)")
    return x


def floating_of(x: ArrayLike, name: str) -> Variable:
    """The argument of the function ``name`` as a Variable of floating-point numbers."""
    x = adopt(x, name)
    if not dtypes.is_floating(x.dtype):
        raise TypeError(f"{name} is of floating-point arrays, not {x.dtype}; convert with x.astype(rustorch.float32)")
    return x
