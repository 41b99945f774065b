"""Pooling to a given size: the mean or the largest value of every bin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def _bins(name: str, input: Variable, output_size: Any, n: int) -> tuple[Window, ...]:
    """The bins of every spatial axis; None stands for the input's size."""
    have = input.shape[-n:]
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if len(given) == n:
        given = tuple([size if wanted is None else wanted for wanted, size in zip(given, have, strict=True)])
    wanted = tuple_of(name, "output_size", given, n)
    return tuple([bins(size, out) for size, out in zip(have, wanted, strict=True)])


def _means(x: Variable, window: Window, axis: int) -> Variable:
    """The means of bins of different lengths: their values in a row, added up bin by bin."""
    starts = [o * window.size // window.out for o in range(window.out)]
    ends = [-((o + 1) * window.size // -window.out) for o in range(window.out)]
    places = [i for start, end in zip(starts, ends, strict=True) for i in range(start, end)]
    owners = [o for o, (start, end) in enumerate(zip(starts, ends, strict=True)) for _ in range(start, end)]
    values = ops.take(x, constant(places, x), axis=axis)
    shape = (*x.shape[:axis], window.out, *x.shape[axis + 1 :])
    sums = index_add.call(values, constant(owners, x), shape, axis)
    lengths = constant([float(end - start) for start, end in zip(starts, ends, strict=True)], x, x.dtype)
    return sums / ops.reshape(lengths, (window.out,) + (1,) * (x.ndim - 1 - axis))


def _adaptive_avg_pool(n: int, input: ArrayLike, output_size: Any) -> Variable:
    name = f"adaptive_avg_pool{n}d"
    input = images(name, input, n)
    windows = _bins(name, input, output_size, n)
    # bins of one length are windows like any others; the rest comes after them, axis by axis
    regular = tuple([window if window.stride else Window(window.size, window.size, 1, 1) for window in windows])
    divisor = 1
    for window in regular:
        divisor *= window.kernel
    out = network.avg_pool.call(input, regular, divisor) if any(window.stride for window in windows) else input
    for i, window in enumerate(windows):
        if not window.stride:
            out = _means(out, window, input.ndim - n + i)
    return out


def adaptive_avg_pool1d(input: ArrayLike, output_size: Any) -> Variable:
    """The means of ``output_size`` bins of an axis; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, size) or (channels, size)
    output_size : int
    """
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input: ArrayLike, output_size: Any) -> Variable:
    """The means of bins, as many as the output shall have.

    Bin ``i`` of ``out`` over an axis of ``size`` values is from ``floor(i * size / out)`` to before ``ceil((i + 1) *
    size / out)``: neighbours overlap where the one number does not divide the other.

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
        If the input is not of floating-point numbers, or a size no integer.

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


def adaptive_avg_pool3d(input: ArrayLike, output_size: Any) -> Variable:
    """The means of bins of three axes; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    output_size : int or triple of int or None
    """
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(n: int, input: ArrayLike, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{n}d"
    input = ordered(name, input, n)
    return largest(input, _bins(name, input, output_size, n), return_indices)


def adaptive_max_pool1d(input: ArrayLike, output_size: Any, return_indices: bool = False) -> Any:
    """The largest values of ``output_size`` bins of an axis; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, size) or (channels, size)
    output_size : int
    """
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: ArrayLike, output_size: Any, return_indices: bool = False) -> Any:
    """The largest values of bins, as many as the output shall have; the bins are those of `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    output_size : int or pair of int or None
        None stands for the input's size.
    return_indices : bool
        Whether to return where each value is, too: positions in the flattened height and width.

    Raises
    ------
    ValueError
        If the input's shape or a size does not fit.
    TypeError
        If the input is not of real floating-point numbers, or a size no integer.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.asarray([[[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]])
    >>> rustorch.nn.functional.adaptive_max_pool2d(x, (1, 2)).tolist()
    [[[4.0, 8.0]]]
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: ArrayLike, output_size: Any, return_indices: bool = False) -> Any:
    """The largest values of bins of three axes; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    output_size : int or triple of int or None
    """
    return _adaptive_max_pool(3, input, output_size, return_indices)
