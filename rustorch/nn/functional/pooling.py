"""Pooling: the mean or the p-norm of each window; and the checks that all kinds of pooling share."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from ... import ops
from ...ops import network
from ...ops.arguments import real_number
from ...ops.from_data import constant
from ...ops.linalg.norms import root_of_sum, safe_range
from ...ops.windows import Window, Windows
from .checks import floating, real
from .sizes import sizes_of

if TYPE_CHECKING:
    from ...typing import ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d"]


# -- checks ------------------------------------------------------------------------------------------------------------
def images(name: str, input: ArrayLike, n: int) -> Variable:
    """The input as a Variable: (channels, ...) or (batch, channels, ...) with ``n`` spatial dimensions.

    Raises
    ------
    ValueError
        If it has another number of dimensions, or a dimension other than the batch has size 0.
    """
    input = floating(input, name)
    axes = ", ".join([f"size{i}" for i in range(1, n + 1)] if n > 1 else ["size"])
    if input.ndim not in (n + 1, n + 2):
        raise ValueError(
            f"{name}: the input is (batch, channels, {axes}) or (channels, {axes}), of {n + 2} or {n + 1} dimensions; "
            f"its shape is {input.shape}"
        )
    if 0 in input.shape[-n - 1 :]:
        raise ValueError(f"{name}: only the batch may be of size 0; the input's shape is {input.shape}")
    return input


def ordered(name: str, input: ArrayLike, n: int) -> Variable:
    """`images` of real numbers: complex numbers have no order."""
    input = images(name, input, n)
    if input.dtype.kind != "f":
        raise TypeError(f"{name}: numbers of {input.dtype} have no order; take the maximum of their rustorch.abs")
    return input


def windows_over(
    name: str,
    shape: tuple[int, ...],
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    n: int,
) -> Windows:
    """The windows over the last ``n`` dimensions of a shape. Raises TypeError or ValueError for impossible sizes."""
    kernel = sizes_of(name, "kernel_size", kernel_size, n)
    default_stride = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    steps = kernel if default_stride else sizes_of(name, "stride", stride, n)
    pads = sizes_of(name, "padding", padding, n, 0)
    gaps = sizes_of(name, "dilation", dilation, n)
    windows = []
    for size, k, step, pad, gap in zip(shape[-n:], kernel, steps, pads, gaps, strict=True):
        covered = (k - 1) * gap + 1
        if 2 * pad > covered:
            raise ValueError(f"{name}: padding is at most half of the kernel, but {pad} is more than half of {covered}")
        out = (size + 2 * pad - covered + (step - 1 if ceil_mode else 0)) // step + 1
        if ceil_mode and (out - 1) * step >= size + pad:  # the last window would start in the padding after the input
            out -= 1
        if out < 1:
            raise ValueError(
                f"{name}: a kernel that covers {covered} values does not fit into an axis of size {size} with padding "
                f"{pad}; the input's shape is {tuple(shape)}"
            )
        windows.append(Window(size, out, k, step, pad, gap))
    return tuple(windows)


# -- means -------------------------------------------------------------------------------------------------------------
def _counts(window: Window, count_include_pad: bool) -> list[int]:
    """The number of values in each window's mean. Places beyond the padding never count."""
    low, high = (-window.padding, window.size + window.padding) if count_include_pad else (0, window.size)
    starts = [o * window.stride - window.padding for o in range(window.out)]
    return [min(start + window.kernel, high) - max(start, low) for start in starts]


def _avg_pool(
    name: str,
    n: int,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Variable:
    input = images(name, input, n)
    windows = windows_over(name, input.shape, kernel_size, stride, padding, 1, ceil_mode, n)
    if divisor_override is not None:
        if divisor_override == 0:
            raise ValueError(f"{name}: divisor_override is a divisor and must not be 0")
        return network.avg_pool.call(input, windows, real_number(name, "divisor_override", divisor_override))
    counts = [_counts(window, count_include_pad) for window in windows]
    whole = [count == [window.kernel] * window.out for count, window in zip(counts, windows, strict=True)]
    out = network.avg_pool.call(
        input, windows, prod([w.kernel for w, is_whole in zip(windows, whole, strict=True) if is_whole])
    )
    for i, is_whole in enumerate(whole):
        if not is_whole:
            divisor = constant([float(count) for count in counts[i]], out, out.dtype)
            out = out / ops.reshape(divisor, (len(counts[i]),) + (1,) * (n - 1 - i))
    return out


def avg_pool1d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Variable:
    """The mean of each window along one dimension; see `avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, size) or (channels, size)
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Variable:
    """The mean of each window.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The distance from one window to the next; default: the kernel size.
    padding : int or pair of int
        The number of zeros before and after; at most half of the kernel.
    ceil_mode : bool
        Whether the last window may reach beyond the end. Places beyond the padding do not count.
    count_include_pad : bool
        Whether the zeros of the padding count as values.
    divisor_override : int, optional
        The divisor of all sums, instead of the number of values.

    Returns
    -------
    Variable, (..., floor or ceil((size + 2 * padding - kernel_size) / stride + 1), ...)

    Raises
    ------
    ValueError
        If the input's shape or a size does not fit, or the divisor is 0.
    TypeError
        If the input has no floating-point dtype, or a size is not an integer.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.asarray([[[1.0, 2.0, 0.0], [4.0, 3.0, 5.0]]])
    >>> rustorch.nn.functional.avg_pool2d(x, 2, stride=1).tolist()
    [[[2.5, 2.5]]]
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Variable:
    """The mean of each window over three dimensions; see `avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    """
    return _avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


# -- p-norms -----------------------------------------------------------------------------------------------------------
def _lp_pool(
    n: int,
    input: ArrayLike,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None,
    ceil_mode: bool,
) -> Variable:
    name = f"lp_pool{n}d"
    if norm_type == 0:
        raise ValueError(f"{name}: norm_type is the power p of the norm, not 0")
    kernel = sizes_of(name, "kernel_size", kernel_size, n)
    x, p, scale = images(name, real(input, name), n), float(norm_type), None
    if p > 0 and p != 1 and x.dtype.kind == "f" and 0 not in x.shape:
        top = ops.max(ops.abs(x.detach()), axis=tuple(range(-n, 0)), keepdims=True)
        least, most = safe_range(x.dtype, p)
        unsafe = ops.logical_and(ops.logical_or(top < least, top > most), ops.logical_and(top > 0, top < float("inf")))
        # Divide planes whose powers might overflow or underflow by their largest number. For derivatives it is a
        # constant, because the result does not depend on it.
        scale = ops.where(unsafe, top, ops.ones_like(top))
        x = x / scale
    sums = _avg_pool(name, n, ops.pow(x, p), kernel, stride, 0, ceil_mode, True, None) * prod(kernel)
    if scale is None:
        return sums if p == 1 else ops.pow(sums, 1 / p)
    return root_of_sum(sums, p) * scale


def lp_pool1d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Variable:
    """The p-norm of each window along one dimension; see `lp_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, size) or (channels, size)
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Variable:
    """The p-norm of each window, ``sum(x**p)**(1/p)``: for p = 1 the sum, for large p nearly the maximum.

    As in PyTorch, the powers are powers of x and not of ``abs(x)``: with an odd p negative numbers may give nan. A
    window of zeros has a gradient of 0, or of 1 for p = 1. Its second derivatives are those of
    `rustorch.linalg.vector_norm`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    norm_type : float
        The p of the norm.
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The distance from one window to the next; default: the kernel size.
    ceil_mode : bool
        Whether the last window may reach beyond the end. Each missing value then counts as the mean of the others.

    Raises
    ------
    ValueError
        If the input's shape or a size does not fit, or p is 0.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Variable:
    """The p-norm of each window over three dimensions; see `lp_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)
