"""Adaptive pooling: the mean or the largest value of each bin, with a given number of bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

from ... import ops
from ...ops import network
from ...ops.from_data import constant
from ...ops.indexing import index_add
from ...ops.windows import Window, bins
from .max_pooling import largest
from .pooling import images, ordered
from .sizes import tuple_of

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]  # fmt: skip

#: The number of bins, for all dimensions or for each; None stands for the input's size.
_Sizes: TypeAlias = int | Sequence[int | None] | None


def _bins(name: str, input: Variable, output_size: _Sizes, n: int) -> tuple[Window, ...]:
    """The bins along each spatial dimension; None stands for the input's size."""
    sizes = input.shape[-n:]
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if len(given) == n:
        given = tuple([size if out is None else out for out, size in zip(given, sizes, strict=True)])
    outs = tuple_of(name, "output_size", given, n)
    return tuple([bins(size, out) for size, out in zip(sizes, outs, strict=True)])


def _means(x: Variable, window: Window, axis: int) -> Variable:
    """The means of bins of different lengths along an axis: take the values of all bins, and add them up bin by bin."""
    starts = [o * window.size // window.out for o in range(window.out)]
    ends = [-((o + 1) * window.size // -window.out) for o in range(window.out)]
    places = [i for start, end in zip(starts, ends, strict=True) for i in range(start, end)]
    owners = [o for o, (start, end) in enumerate(zip(starts, ends, strict=True)) for _ in range(start, end)]
    values = ops.take(x, constant(places, x), axis=axis)
    shape = (*x.shape[:axis], window.out, *x.shape[axis + 1 :])
    sums = index_add.call(values, constant(owners, x), shape, axis)
    lengths = constant([float(end - start) for start, end in zip(starts, ends, strict=True)], x, x.dtype)
    return sums / ops.reshape(lengths, (window.out,) + (1,) * (x.ndim - 1 - axis))


def _adaptive_avg_pool(n: int, input: ArrayLike, output_size: _Sizes) -> Variable:
    name = f"adaptive_avg_pool{n}d"
    input = images(name, input, n)
    windows = _bins(name, input, output_size, n)
    # bins of equal lengths are ordinary windows; other bins follow, one dimension after the other
    regular = tuple([window if window.stride else Window(window.size, window.size, 1, 1) for window in windows])
    divisor = 1
    for window in regular:
        divisor *= window.kernel
    out = network.avg_pool.call(input, regular, divisor) if any(window.stride for window in windows) else input
    for i, window in enumerate(windows):
        if not window.stride:
            out = _means(out, window, input.ndim - n + i)
    return out


def adaptive_avg_pool1d(input: ArrayLike, output_size: _Sizes) -> Variable:
    """The means of ``output_size`` bins along one dimension; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, size) or (channels, size)
    output_size : int
    """
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input: ArrayLike, output_size: _Sizes) -> Variable:
    """The means of bins, with one bin for each place of the output.

    Bin ``i`` of ``out`` bins over ``size`` values goes from ``floor(i * size / out)`` to
    ``ceil((i + 1) * size / out) - 1``. Neighbours overlap if ``out`` does not divide ``size``.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    output_size : int or pair of int or None
        None stands for the input's size.

    Returns
    -------
    Variable, (..., output_size, output_size)

    Raises
    ------
    ValueError
        If the input's shape or a size does not fit.
    TypeError
        If the input has no floating-point dtype, or a size is not an integer.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.asarray([[[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]])
    >>> rustorch.nn.functional.adaptive_avg_pool2d(x, 1).tolist()
    [[[4.0]]]
    >>> rustorch.nn.functional.adaptive_avg_pool2d(x, (None, 2)).tolist()
    [[[1.5, 4.0], [3.5, 6.0]]]
    """
    return _adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool3d(input: ArrayLike, output_size: _Sizes) -> Variable:
    """The means of bins over three dimensions; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    output_size : int or triple of int or None
    """
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(
    n: int, input: ArrayLike, output_size: _Sizes, return_indices: bool
) -> Variable | tuple[Variable, Variable]:
    name = f"adaptive_max_pool{n}d"
    input = ordered(name, input, n)
    return largest(input, _bins(name, input, output_size, n), return_indices)


@overload
def adaptive_max_pool1d(input: ArrayLike, output_size: _Sizes, return_indices: Literal[False] = False) -> Variable: ...
@overload
def adaptive_max_pool1d(
    input: ArrayLike, output_size: _Sizes, return_indices: bool = False
) -> Variable | tuple[Variable, Variable]: ...
def adaptive_max_pool1d(
    input: ArrayLike, output_size: _Sizes, return_indices: bool = False
) -> Variable | tuple[Variable, Variable]:
    """The largest values of ``output_size`` bins along one dimension; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, size) or (channels, size)
    output_size : int
    """
    return _adaptive_max_pool(1, input, output_size, return_indices)


@overload
def adaptive_max_pool2d(input: ArrayLike, output_size: _Sizes, return_indices: Literal[False] = False) -> Variable: ...
@overload
def adaptive_max_pool2d(
    input: ArrayLike, output_size: _Sizes, return_indices: bool = False
) -> Variable | tuple[Variable, Variable]: ...
def adaptive_max_pool2d(
    input: ArrayLike, output_size: _Sizes, return_indices: bool = False
) -> Variable | tuple[Variable, Variable]:
    """The largest values of bins, with one bin for each place of the output, as in `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    output_size : int or pair of int or None
        None stands for the input's size.
    return_indices : bool
        Whether to return the indices of the values, too: positions in the flattened height and width.

    Raises
    ------
    ValueError
        If the input's shape or a size does not fit.
    TypeError
        If the input has no real floating-point dtype, or a size is not an integer.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.asarray([[[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]])
    >>> rustorch.nn.functional.adaptive_max_pool2d(x, (1, 2)).tolist()
    [[[4.0, 8.0]]]
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


@overload
def adaptive_max_pool3d(input: ArrayLike, output_size: _Sizes, return_indices: Literal[False] = False) -> Variable: ...
@overload
def adaptive_max_pool3d(
    input: ArrayLike, output_size: _Sizes, return_indices: bool = False
) -> Variable | tuple[Variable, Variable]: ...
def adaptive_max_pool3d(
    input: ArrayLike, output_size: _Sizes, return_indices: bool = False
) -> Variable | tuple[Variable, Variable]:
    """The largest values of bins over three dimensions; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    output_size : int or triple of int or None
    """
    return _adaptive_max_pool(3, input, output_size, return_indices)
