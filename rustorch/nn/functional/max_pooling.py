"""Max pooling: the largest value of each window; and unpooling, which puts these values back to their places."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Literal, overload

from ... import ops
from ...backends import dtypes
from ...ops import network
from ...ops.indexing import extent, readable
from ...ops.windows import Windows
from .checks import adopt
from .pooling import images, ordered, windows_over
from .sizes import sizes_of

if TYPE_CHECKING:
    from ...typing import ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d"]


def largest(input: Variable, windows: Windows, return_indices: bool) -> Variable | tuple[Variable, Variable]:
    """The largest value of each window, and with ``return_indices`` its index in the flattened spatial dimensions."""
    if not return_indices:
        return network.max_pool.call(input, windows)
    which = network.max_pool_which.call(input, windows)
    indices = ops.astype(network.max_pool_indices.call(which, windows), dtypes.int64)
    return network.max_pool_gather.call(input, which, windows), indices


def _max_pool(
    n: int,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    return_indices: bool,
) -> Variable | tuple[Variable, Variable]:
    name = f"max_pool{n}d"
    input = ordered(name, input, n)
    windows = windows_over(name, input.shape, kernel_size, stride, padding, dilation, ceil_mode, n)
    for w in windows:
        if w.padding and w.dilation > 1:
            first = range(-w.padding, w.out * w.stride - w.padding, w.stride)
            if any(not any(0 <= start + k * w.dilation < w.size for k in range(w.kernel)) for start in first):
                raise ValueError(
                    f"{name}: with dilation {w.dilation} and padding {w.padding} a window holds no value of a "
                    f"dimension of size {w.size}"
                )
    return largest(input, windows, return_indices)


@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Variable: ...
@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Variable | tuple[Variable, Variable]: ...
def max_pool1d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Variable | tuple[Variable, Variable]:
    """The largest value of each window along one dimension; see `max_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, size) or (channels, size)
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Variable: ...
@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Variable | tuple[Variable, Variable]: ...
def max_pool2d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Variable | tuple[Variable, Variable]:
    """The largest value of each window.

    If several values are largest, the first one gets the gradient. A window with a nan gives nan.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The distance from one window to the next; default: the kernel size, so that windows lie side by side.
    padding : int or pair of int
        The number of values of -inf before and after; at most half of the kernel.
    dilation : int or pair of int
        The distance from one value of a window to the next.
    ceil_mode : bool
        Whether the last window may reach beyond the end.
    return_indices : bool
        Whether to return the indices of the values, too: positions in the flattened height and width, for
        `max_unpool2d`.

    Returns
    -------
    Variable, (..., floor or ceil((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1), ...)
        With ``return_indices``, a tuple of this one and the indices, of int64.

    Raises
    ------
    ValueError
        If the input's shape or a size does not fit.
    TypeError
        If the input has no real floating-point dtype, or a size is not an integer.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.asarray([[[1.0, 2.0, 0.0, 1.0], [4.0, 3.0, 5.0, 0.0]]])
    >>> rustorch.nn.functional.max_pool2d(x, 2).tolist()
    [[[4.0, 5.0]]]
    >>> rustorch.nn.functional.max_pool2d(x, 2, return_indices=True)[1].tolist()
    [[[4, 6]]]
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Variable: ...
@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Variable | tuple[Variable, Variable]: ...
def max_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Variable | tuple[Variable, Variable]:
    """The largest value of each window over three dimensions; see `max_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# -- unpooling ---------------------------------------------------------------------------------------------------------
def _max_unpool(
    n: int,
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    output_size: Sequence[int] | None,
) -> Variable:
    name = f"max_unpool{n}d"
    input = images(name, input, n)
    indices = adopt(indices, name, (input,))
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices are integers, not {indices.dtype}")
    if indices.shape != input.shape:
        raise ValueError(
            f"{name}: the input has shape {input.shape} and the indices {indices.shape}; they must be equal"
        )
    kernel = sizes_of(name, "kernel_size", kernel_size, n)
    steps = kernel if stride is None or stride == () else sizes_of(name, "stride", stride, n)
    pads = sizes_of(name, "padding", padding, n, 0)
    have = input.shape[-n:]
    sizes = tuple(
        [(size - 1) * step + k - 2 * pad for size, step, k, pad in zip(have, steps, kernel, pads, strict=True)]
    )
    if output_size is not None:
        given = tuple(output_size)[-n:] if len(tuple(output_size)) == n + 2 else output_size
        given = sizes_of(name, "output_size", given, n)
        if any(not usual - step < size < usual + step for usual, step, size in zip(sizes, steps, given, strict=True)):
            raise ValueError(
                f"{name}: output_size must differ from {sizes} by less than the stride {steps}; it is {given}"
            )
        sizes = given
    if min(sizes) < 1:
        raise ValueError(
            f"{name}: the output would have sizes {sizes}; padding {pads} is too much for kernels of {kernel}"
        )
    size = prod(sizes)
    lowest, highest = extent(indices)
    if lowest is not None and highest is not None and (lowest < 0 or highest >= size):
        raise IndexError(
            f"{name}: index {lowest if lowest < 0 else highest} is out of range for an output of sizes {sizes}"
        )
    rows = (prod(input.shape[:-n]), prod(have))
    if not readable(indices):  # give a value with an index out of range a place after the last row, which is ignored
        valid = ops.logical_and(indices >= 0, indices < size)
        indices = ops.where(valid, indices, ops.full_like(indices, rows[0] * size))
        input = ops.where(valid, input, ops.zeros_like(input))  # so that its gradient is 0
    out = network.max_unpool.call(ops.reshape(input, rows), ops.reshape(indices, rows), size)
    return ops.reshape(out, (*input.shape[:-n], *sizes))


def max_unpool1d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Variable:
    """Zeros, with the values of `max_pool1d` put back to their places; see `max_unpool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, size) or (channels, size)
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Variable:
    """Zeros, with the values of `max_pool2d` put back to their places.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    indices : Variable or array of integers
        The indices from ``max_pool2d(..., return_indices=True)``, of the input's shape.
    kernel_size, stride, padding : int or pair of int
        The arguments of `max_pool2d`.
    output_size : sequence of int, optional
        The sizes before the pooling: height and width, or all four sizes. Default:
        ``(size - 1) * stride - 2 * padding + kernel_size``. Pooling maps several sizes to one.

    Raises
    ------
    IndexError
        If an index is out of range. (On "cuda" and under tracing the indices are not read, because the program would
        have to wait. On "cuda" such a value is left out.)
    ValueError
        If shapes or sizes do not fit.
    TypeError
        If the indices are not integers.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> values, indices = F.max_pool2d(rustorch.asarray([[[1.0, 2.0], [4.0, 3.0]]]), 2, return_indices=True)
    >>> F.max_unpool2d(values, indices, 2).tolist()
    [[[0.0, 0.0], [4.0, 0.0]]]
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Variable:
    """Zeros, with the values of `max_pool3d` put back to their places; see `max_unpool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    """
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
