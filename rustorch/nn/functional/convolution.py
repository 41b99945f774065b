"""Convolutions and transposed convolutions in one, two and three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import ops
from ...ops import network
from .checks import adopt, floating
from .dtype_checks import one_dtype
from .sizes import batched, same_padding, tuple_of

if TYPE_CHECKING:
    from ...typing import ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def _operands(
    name: str, n: int, input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None, outs: int, groups: int
) -> tuple[Variable, Variable, Variable | None, int]:
    """Input, weight, bias and groups, checked. ``outs`` is the dimension of output channels in the weight, 0 or 1."""
    input = floating(adopt(input, name, (weight,)), name)
    weight = floating(adopt(weight, name, (input,)), name)
    (groups,) = tuple_of(name, "groups", groups, 1)
    if weight.ndim != n + 2 or 0 in weight.shape:
        raise ValueError(f"{name}: the weight has {n + 2} dimensions, none of them empty; its shape is {weight.shape}")
    if weight.shape[0] % groups:
        which = "output" if outs == 0 else "input"
        raise ValueError(f"{name}: groups={groups} do not divide the {weight.shape[0]} {which} channels of the weight")
    channels = weight.shape[1] * groups if outs == 0 else weight.shape[0]
    if input.ndim in (n + 1, n + 2) and input.shape[-n - 1] != channels:
        raise ValueError(
            f"{name}: a weight of shape {weight.shape} with groups={groups} takes {channels} channels; the input of "
            f"shape {input.shape} has {input.shape[-n - 1]}"
        )
    if bias is not None:
        bias = floating(adopt(bias, name, (input,)), name)
        count = weight.shape[0] if outs == 0 else weight.shape[1] * groups
        if bias.shape != (count,):
            raise ValueError(f"{name}: the bias has shape {bias.shape}, but there are {count} output channels")
    dtype = input._native.dtype
    if dtype is not weight._native.dtype or (bias is not None and dtype is not bias._native.dtype):
        one_dtype(name, input=input, weight=weight, bias=bias)
    return input, weight, bias, groups


def _conv(
    n: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> Variable:
    name = f"conv{n}d"
    input, weight, bias, groups = _operands(name, n, input, weight, bias, 0, groups)
    stride, dilation = tuple_of(name, "stride", stride, n), tuple_of(name, "dilation", dilation, n)
    kernel = tuple(weight.shape[2:])
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"{name}: padding is 'same', 'valid' or sizes, not {padding!r}")
        if padding == "same" and stride != (1,) * n:
            raise ValueError(f"{name}: padding='same' is for a stride of 1, not {stride}")
        pairs = same_padding(kernel, dilation) if padding == "same" else ((0, 0),) * n
    else:
        pairs = tuple([(size, size) for size in tuple_of(name, "padding", padding, n, least=0)])
    input, had_samples = batched(name, input, n)
    padded = tuple([size + sum(pair) for size, pair in zip(input.shape[2:], pairs, strict=True)])
    reached = tuple([d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)])
    if any(r > p for r, p in zip(reached, padded, strict=True)):
        raise ValueError(
            f"{name}: a kernel of sizes {kernel} with dilation {dilation} reaches over {reached}, more than the padded "
            f"input has: {padded}"
        )
    out = network.conv(input, weight, bias, stride, pairs, dilation, groups)
    return out if had_samples else ops.squeeze(out, axis=0)


def conv1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Variable:
    """Convolution over one dimension (in mathematics: cross-correlation).

    ``out[n, c, o] = bias[c] + sum over i, k of weight[c, i, k] * input[n, i, stride * o + dilation * k - padding]``.
    Beyond its ends the input is 0. With groups, i runs over the input channels of c's group.

    Parameters
    ----------
    input : Variable or array, (samples, in_channels, length) or (in_channels, length)
    weight : Variable or array, (out_channels, in_channels / groups, kernel)
    bias : Variable or array, (out_channels,), optional
    stride : int or tuple
        The distance from one position of the kernel to the next.
    padding : int, tuple, "same" or "valid"
        The number of zeros before and after the input. "valid" means none. "same", for a stride of 1, makes the output
        as long as the input; an odd number of zeros has one more after than before.
    dilation : int or tuple
        The distance from one element of the kernel to the next.
    groups : int
        The channels are divided into this number of groups, each with its own part of the weight.

    Returns
    -------
    Variable, (samples, out_channels, out_length) or (out_channels, out_length)
        Where ``out_length = (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1``.

    Raises
    ------
    ValueError
        If shapes, groups or options do not fit, or the kernel is larger than the padded input.
    TypeError
        If the arrays do not have one floating-point dtype, or sizes are not integers.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> F.conv1d(rustorch.tensor([[1.0, 2.0, 4.0, 8.0]]), rustorch.tensor([[[-1.0, 1.0]]])).tolist()
    [[1.0, 2.0, 4.0]]
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Variable:
    """Convolution over two dimensions. See `conv1d`; all sizes may differ between the dimensions.

    Parameters
    ----------
    input : Variable or array, (samples, in_channels, height, width) or (in_channels, height, width)
    weight : Variable or array, (out_channels, in_channels / groups, kernel_height, kernel_width)
    bias : Variable or array, (out_channels,), optional
    stride, padding, dilation, groups
        As in `conv1d`.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> F.conv2d(rustorch.ones((2, 3, 8, 8)), rustorch.ones((4, 3, 3, 3)), stride=2, padding=1).shape
    (2, 4, 4, 4)
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Variable:
    """Convolution over three dimensions. See `conv1d`; all sizes may differ between the dimensions.

    Parameters
    ----------
    input : Variable or array, (samples, in_channels, depth, height, width) or (in_channels, depth, height, width)
    weight : Variable or array, (out_channels, in_channels / groups, kernel_depth, kernel_height, kernel_width)
    bias : Variable or array, (out_channels,), optional
    stride, padding, dilation, groups
        As in `conv1d`.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> F.conv3d(rustorch.ones((1, 4, 4, 4)), rustorch.ones((2, 1, 3, 3, 3)), padding="same").shape
    (2, 4, 4, 4)
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    n: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Variable:
    name = f"conv_transpose{n}d"
    input, weight, bias, groups = _operands(name, n, input, weight, bias, 1, groups)
    stride, dilation = tuple_of(name, "stride", stride, n), tuple_of(name, "dilation", dilation, n)
    padding = tuple_of(name, "padding", padding, n, least=0)
    extra = tuple_of(name, "output_padding", output_padding, n, least=0)
    for e, s, d in zip(extra, stride, dilation, strict=True):
        if e >= max(s, d):
            raise ValueError(
                f"{name}: output_padding is smaller than the stride or the dilation, {stride} and {dilation}; it is "
                f"{extra}"
            )
    input, had_samples = batched(name, input, n)
    if 0 in input.shape[2:]:
        raise ValueError(f"{name}: the input is empty, its shape is {input.shape}")
    kernel = tuple(weight.shape[2:])
    size = smallest_output(tuple(input.shape[2:]), kernel, stride, padding, dilation)
    size = tuple([least + e for least, e in zip(size, extra, strict=True)])
    if min(size) < 1:
        raise ValueError(
            f"{name}: an input of shape {input.shape} would have an output of sizes {size}: the padding is too large"
        )
    pairs = tuple([(p, p - e) for p, e in zip(padding, extra, strict=True)])
    out = network.conv_grad_input(input, weight, size, stride, pairs, dilation, groups)
    if bias is not None:
        out = out + ops.reshape(bias, (bias.shape[0], *[1] * n))
    return out if had_samples else ops.squeeze(out, axis=0)


def smallest_output(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    """The sizes of a transposed convolution's output for an output padding of 0."""
    each = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple([(length - 1) * s - 2 * p + d * (k - 1) + 1 for length, k, s, p, d in each])


def conv_transpose1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Variable:
    """Transposed convolution over one dimension: the gradient of `conv1d` in its input, as a function of its own.

    Each element of the input is multiplied by the kernel. The products are added up, each ``stride`` after the last.
    ``out[n, c, p] = bias[c] + sum of weight[i, c, k] * input[n, i, o]`` over all i, o and k with
    ``p = stride * o + dilation * k - padding``.

    Parameters
    ----------
    input : Variable or array, (samples, in_channels, length) or (in_channels, length)
    weight : Variable or array, (in_channels, out_channels / groups, kernel)
    bias : Variable or array, (out_channels,), optional
    stride : int or tuple
    padding : int or tuple
        The number of elements to leave out at both ends.
    output_padding : int or tuple
        The number of elements to add at the end. It chooses among the lengths that `conv1d` maps to one length. It must
        be smaller than the stride or the dilation.
    groups : int
    dilation : int or tuple

    Returns
    -------
    Variable, (samples, out_channels, out_length) or (out_channels, out_length)
        Where ``out_length = (length - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1``.

    Raises
    ------
    ValueError
        If shapes, groups or options do not fit.
    TypeError
        If the arrays do not have one floating-point dtype, or sizes are not integers.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> F.conv_transpose1d(rustorch.tensor([[1.0, 2.0]]), rustorch.tensor([[[1.0, 1.0, 1.0]]]), stride=2).tolist()
    [[1.0, 1.0, 3.0, 2.0, 2.0]]
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Variable:
    """Transposed convolution over two dimensions. See `conv_transpose1d`.

    Parameters
    ----------
    input : Variable or array, (samples, in_channels, height, width) or (in_channels, height, width)
    weight : Variable or array, (in_channels, out_channels / groups, kernel_height, kernel_width)
    bias : Variable or array, (out_channels,), optional
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose1d`.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> F.conv_transpose2d(rustorch.ones((2, 4, 5, 5)), rustorch.ones((4, 3, 2, 2)), stride=2).shape
    (2, 3, 10, 10)
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Variable:
    """Transposed convolution over three dimensions. See `conv_transpose1d`.

    Parameters
    ----------
    input : Variable or array, (samples, in_channels, depth, height, width) or (in_channels, depth, height, width)
    weight : Variable or array, (in_channels, out_channels / groups, kernel_depth, kernel_height, kernel_width)
    bias : Variable or array, (out_channels,), optional
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose1d`.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> x, w = rustorch.ones((1, 2, 2, 2)), rustorch.ones((1, 1, 2, 2, 2))
    >>> F.conv_transpose3d(x, w, stride=2, output_padding=1).shape
    (1, 5, 5, 5)
    """
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
