"""Convolutions and transposed convolutions."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..autograd.check import adopt
from ..rustorch_names import dilation_or_bias
from . import functional as F
from . import init
from .functional.convolution import smallest_output
from .functional.sizes import same_padding, tuple_of
from .module import Module
from .parameter import Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all six share: sizes, checks, parameters, text."""

    bias: Parameter | None
    dimensions: int
    transposed: bool

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        output_padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: str | None,
        dtype: Any,
    ):
        super().__init__()
        name, n = type(self).__name__, self.dimensions
        (self.in_channels,) = tuple_of(name, "in_channels", in_channels, 1)
        (self.out_channels,) = tuple_of(name, "out_channels", out_channels, 1)
        (self.groups,) = tuple_of(name, "groups", groups, 1)
        for channels, which in ((in_channels, "in_channels"), (out_channels, "out_channels")):
            if channels % groups:
                raise ValueError(f"{name}: groups={groups} do not divide {which}={channels}")
        self.kernel_size = tuple_of(name, "kernel_size", kernel_size, n)
        self.stride = tuple_of(name, "stride", stride, n)
        self.dilation = tuple_of(name, "dilation", dilation_or_bias(dilation), n)
        self.output_padding = tuple_of(name, "output_padding", output_padding, n, least=0)
        self.padding: Any = padding
        if isinstance(padding, str):
            if padding not in ("same", "valid") or self.transposed:
                given = "sizes" if self.transposed else "'same', 'valid' or sizes"
                raise ValueError(f"{name}: padding is {given}, not {padding!r}")
            if padding == "same" and self.stride != (1,) * n:
                raise ValueError(f"{name}: padding='same' is for a stride of 1, not {self.stride}")
        else:
            self.padding = tuple_of(name, "padding", padding, n, least=0)
        modes = _MODES[:1] if self.transposed else _MODES
        if padding_mode not in modes:
            raise ValueError(f"{name}: padding_mode is {' or '.join(map(repr, modes))}, not {padding_mode!r}")
        self.padding_mode = padding_mode
        rows, columns = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(ops.empty((rows, columns // groups, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(ops.empty((out_channels,), device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        n = self.dimensions
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * n:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * n:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * n:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_Convolution):
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            0,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Any) -> Any:
        """The input (n, in_channels, ...), or one sample of it, convolved: (n, out_channels, ...)."""
        function = getattr(F, f"conv{self.dimensions}d")
        if self.padding_mode == "zeros":
            return function(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        padded = F.pad(input, self._around(), self.padding_mode)
        return function(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _around(self) -> tuple[int, ...]:
        """The padding as `pad` takes it: the last dimension first."""
        if self.padding == "same":
            pairs = same_padding(self.kernel_size, self.dilation)
        else:
            pairs = tuple(
                [(size, size) for size in ((0,) * self.dimensions if self.padding == "valid" else self.padding)]
            )
        return tuple([size for pair in reversed(pairs) for size in pair])


class _ConvTranspose(_Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Any, output_size: Any = None) -> Any:
        """The output (n, out_channels, ...) of the input (n, in_channels, ...), or of one sample; in ``output_size``,
        if it is given.
        """
        function = getattr(F, f"conv_transpose{self.dimensions}d")
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Any, output_size: Any) -> tuple[int, ...]:
        """The output padding with which the output has the spatial sizes ``output_size``."""
        name, n = type(self).__name__, self.dimensions
        shape = adopt(input, name).shape
        wanted = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,)
        if len(wanted) == len(shape):
            wanted = wanted[-n:]
        wanted = tuple_of(name, "output_size", wanted, n)
        least = smallest_output(tuple(shape[-n:]), self.kernel_size, self.stride, self.padding, self.dilation)
        most = tuple([size + s - 1 for size, s in zip(least, self.stride, strict=True)])
        extra = tuple([size - low for size, low in zip(wanted, least, strict=True)])
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            raise ValueError(
                f"{name}: an input of shape {shape} gives output sizes from {least} to {most}, not {wanted}"
            )
        return extra


class Conv1d(_Conv):
    """Convolution over one dimension, as `functional.conv1d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or tuple
    stride : int or tuple
        Distance of neighbouring positions of the kernel.
    padding : int, tuple, "same" or "valid"
        What is added before and after; "same": so much that the output is as long as the input; "valid": nothing.
    dilation : int or tuple
        Distance of the kernel's elements.
    groups : int
        Into how many parts the channels are divided, each convolved by itself; it divides both numbers of channels.
    bias : bool
        Whether there is one.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What is added, see `functional.pad`.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels / groups, kernel)
        Initially uniform in [-k, k] with k = 1 / sqrt(in_channels / groups * kernel), as PyTorch's.
    bias : Parameter, (out_channels,), or None
        Initially likewise.

    Raises
    ------
    ValueError
        For sizes that are too small or do not fit; when called, for inputs of a wrong rank or number of channels, or
        smaller than the kernel.
    TypeError
        For sizes that are no integers.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Conv1d(2, 4, 3, padding="same")
    >>> layer(rustorch.ones((8, 2, 10))).shape
    (8, 4, 10)
    """

    dimensions = 1


class Conv2d(_Conv):
    """Convolution over two dimensions, as `functional.conv2d`; arguments as `Conv1d`, with a size for each dimension or
    one for both.

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels / groups, kernel_height, kernel_width)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Conv2d(1, 4, kernel_size=3, stride=2, padding=(1, 0))
    >>> layer
    Conv2d(1, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 0))
    >>> layer(rustorch.ones((8, 1, 28, 28))).shape
    (8, 4, 14, 13)
    """

    dimensions = 2


class Conv3d(_Conv):
    """Convolution over three dimensions, as `functional.conv3d`; arguments as `Conv1d`, with a size for each dimension
    or one for all.

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels / groups, kernel_depth, kernel_height, kernel_width)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Conv3d(1, 2, 3)(rustorch.ones((1, 1, 4, 5, 6))).shape
    (1, 2, 2, 3, 4)
    """

    dimensions = 3


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one dimension, as `functional.conv_transpose1d`: the gradient of `Conv1d` in its
    input.

    Called with ``output_size``, the spatial sizes or the whole shape of the output, it finds the output padding for
    them.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or tuple
    stride : int or tuple
        How far the products of neighbouring elements with the kernel are apart in the output.
    padding : int or tuple
        How many elements are left out at both ends.
    output_padding : int or tuple
        How many more elements there are at the end.
    groups : int
        Into how many parts the channels are divided; it divides both numbers of channels.
    bias : bool
    dilation : int or tuple
        Distance of the kernel's elements.
    padding_mode : {"zeros"}
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels / groups, kernel)
        Initially uniform in [-k, k] with k = 1 / sqrt(out_channels / groups * kernel), as PyTorch's.
    bias : Parameter, (out_channels,), or None
        Initially likewise.

    Raises
    ------
    ValueError
        For sizes that are too small or do not fit; when called, for inputs of a wrong rank or number of channels.
    TypeError
        For sizes that are no integers.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.ConvTranspose1d(4, 2, 3, stride=2, padding=1)
    >>> layer(rustorch.ones((8, 4, 5))).shape
    (8, 2, 9)
    >>> layer(rustorch.ones((8, 4, 5)), output_size=(10,)).shape
    (8, 2, 10)
    """

    dimensions = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over two dimensions, as `functional.conv_transpose2d`; arguments as `ConvTranspose1d`.

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels / groups, kernel_height, kernel_width)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ConvTranspose2d(4, 3, 2, stride=2)(rustorch.ones((8, 4, 7, 7))).shape
    (8, 3, 14, 14)
    """

    dimensions = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over three dimensions, as `functional.conv_transpose3d`; arguments as `ConvTranspose1d`.

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels / groups, kernel_depth, kernel_height, kernel_width)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ConvTranspose3d(2, 1, 3, output_padding=0)(rustorch.ones((1, 2, 2, 2, 2))).shape
    (1, 1, 4, 4, 4)
    """

    dimensions = 3
