"""Checks that functions of layers and losses share, and the reductions of losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import nan
from typing import TYPE_CHECKING, Protocol

from ... import ops
from ...autograd import check
from ...backends import dtypes
from ...ops import network
from ...ops.complex_numbers import is_complex
from ...ops.indexing import assign, extent, readable
from ...rustorch_names import reduction_first

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


class _Adopt(Protocol):
    def __call__(self, value: object, name: str, args: Sequence[object] = (), /) -> Variable: ...


#: The value as a Variable: itself, or one around a native array. ``name`` is the function's name for errors.
adopt: _Adopt = check.adopt


def floating(input: ArrayLike, name: str) -> Variable:
    """The input as a Variable. Raises TypeError unless it has a floating-point dtype, real or complex."""
    input = adopt(input, name)
    if input.dtype.kind not in "fc":
        raise TypeError(
            f"{name} is of floating-point numbers, not of {input.dtype}; convert them, as in x.astype(rustorch.float32)"
        )
    return input


def real(input: ArrayLike, name: str) -> Variable:
    """The input as a Variable. Raises TypeError unless it has a real floating-point dtype."""
    input = floating(input, name)
    real_only(name, input)
    return input


def real_only(name: str, *values: Variable | None) -> None:
    """Raise TypeError if one of the values is complex."""
    for x in values:
        if x is not None and is_complex(x._native):
            raise TypeError(
                f"{name} is of real numbers, not of {x.dtype}; take their real part, as in rustorch.real(x)"
            )


def in_place(input: Variable, compute: Callable[[], Variable], name: str) -> Variable:
    """Write ``compute()`` into the input, and return the input."""
    assign(input, compute, f"{name}(inplace=True)")
    return input


def mixing(name: str, input: Variable, other: Variable) -> None:
    """Raise TypeError if the standard does not promote the two dtypes."""
    if input._native.dtype is not other._native.dtype:
        try:
            ops.result_type(input.dtype, other.dtype)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None


def at_least(x: Variable, least: float) -> Variable:
    """``max(x, least)``. The gradient passes everywhere, also where ``least`` is larger, as in PyTorch."""
    return network.at_least(x, float(least))


def known(x: Variable, condition: Callable[[Variable], Variable]) -> bool:
    """Whether a condition holds for some element. False where values cannot be read, or not without waiting."""
    return readable(x) and extent(ops.astype(condition(x.detach()), dtypes.int64))[1] == 1


def check_reduction(name: str, reduction: str) -> None:
    """Raise ValueError unless the reduction is one that all losses have."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def reduction_of(
    name: str, reduction: str, size_average: bool | None, reduce: bool | None, more: tuple[str, ...] = ()
) -> str:
    """The reduction of a loss, also from PyTorch's old arguments; ``more`` are reductions that this loss alone has.

    Raises
    ------
    ValueError
        If the loss has no such reduction.
    TypeError
        If an old argument is not True, False or None.
    """
    if size_average is not None:
        size_average, reduction = reduction_first(size_average, reduction)
    if size_average is None and reduce is None:
        if reduction not in more:
            check_reduction(name, reduction)
        return reduction
    for word, given in (("size_average", size_average), ("reduce", reduce)):
        if given is not None and not isinstance(given, bool):
            raise TypeError(
                f"{name}: {word} is True, False or None, not {given!r}; name the reduction, as in reduction='sum'"
            )
    reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"{name}: size_average and reduce are deprecated; write reduction={reduction!r}", UserWarning, stacklevel=3
    )
    return reduction


def reduced(values: Variable, reduction: str) -> Variable:
    """The mean of losses (nan if there are none), their sum, or the losses."""
    if reduction == "mean":
        return values.mean() if values.size else values.sum() * nan
    return values.sum() if reduction == "sum" else values
