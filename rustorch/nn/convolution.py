"""Convolution layers, and the base class that they share with transposed convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import ops
from ..rustorch_names import dilation_or_bias
from . import functional as F
from . import init
from .functional.sizes import same_padding, tuple_of
from .module import Module
from .parameter import Parameter

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["Conv1d", "Conv2d", "Conv3d"]

_MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(Module):
    """The base of all six layers: checks of the sizes, parameters, repr."""

    bias: Parameter | None
    dimensions: int
    transposed: bool

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int],
        padding: int | Sequence[int] | str,
        output_padding: int | Sequence[int],
        dilation: int | Sequence[int],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: str | None,
        dtype: DTypeLike,
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
                allowed = "sizes" if self.transposed else "'same', 'valid' or sizes"
                raise ValueError(f"{name}: padding is {allowed}, not {padding!r}")
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


class _Conv(Convolution):
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: DTypeLike = None,
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

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C_in, ...) or (C_in, ...) -> (N, C_out, ...) or (C_out, ...)."""
        function = getattr(F, f"conv{self.dimensions}d")
        if self.padding_mode == "zeros":
            output: Variable = function(
                input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )
            return output
        padded = F.pad(input, self._pad_sizes(), self.padding_mode)
        output = function(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return output

    def _pad_sizes(self) -> tuple[int, ...]:
        """The padding in the order of `functional.pad`: the last dimension first."""
        if self.padding == "same":
            pairs = same_padding(self.kernel_size, self.dilation)
        else:
            pairs = tuple(
                [(size, size) for size in ((0,) * self.dimensions if self.padding == "valid" else self.padding)]
            )
        return tuple([size for pair in reversed(pairs) for size in pair])


class Conv1d(_Conv):
    """Convolution over one dimension, as `functional.conv1d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or tuple
    stride : int or tuple
        The distance between neighbouring positions of the kernel.
    padding : int, tuple, "same" or "valid"
        How many elements to add at both ends. "same" adds so many that the output has the length of the input,
        "valid" adds none.
    dilation : int or tuple
        The distance between neighbouring elements of the kernel.
    groups : int
        The number of groups of channels. Each group is convolved separately. It divides both numbers of channels.
    bias : bool
        Whether to add a bias.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        Which elements to add, see `functional.pad`.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels / groups, kernel)
        Initially uniform in [-k, k] with k = 1 / sqrt(in_channels / groups * kernel), as PyTorch's.
    bias : Parameter, (out_channels,), or None
        Initially uniform in the same interval.

    Raises
    ------
    ValueError
        If sizes are too small or do not match. In a call, if the input has the wrong number of dimensions or channels,
        or is smaller than the kernel.
    TypeError
        If sizes are not integers.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Conv1d(2, 4, 3, padding="same")
    >>> layer(rustorch.ones((8, 2, 10))).shape
    (8, 4, 10)
    """

    dimensions = 1


class Conv2d(_Conv):
    """Convolution over two dimensions, as `functional.conv2d`; arguments as for `Conv1d`. Each size is one integer for
    both dimensions, or one for each.

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
    """Convolution over three dimensions, as `functional.conv3d`; arguments as for `Conv1d`. Each size is one
    integer for all dimensions, or one for each.

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
