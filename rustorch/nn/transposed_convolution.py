"""Transposed convolution layers: the gradients of convolutions with respect to their input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..autograd.check import adopt
from . import functional as F
from .convolution import Convolution
from .functional.convolution import smallest_output
from .functional.sizes import tuple_of

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvTranspose(Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
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
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: ArrayLike, output_size: int | Sequence[int] | None = None) -> Variable:
        """input: (N, C_in, ...) or (C_in, ...) -> (N, C_out, ...) or (C_out, ...).

        The spatial sizes of the result are ``output_size`` if it is given.
        """
        function = getattr(F, f"conv_transpose{self.dimensions}d")
        output_padding = self.output_padding
        if output_size is not None:
            output_padding = self._output_padding(input, output_size)
        output: Variable = function(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )
        return output

    def _output_padding(self, input: ArrayLike, output_size: int | Sequence[int]) -> tuple[int, ...]:
        """The output padding that gives the output the spatial sizes ``output_size``."""
        name, n = type(self).__name__, self.dimensions
        shape = adopt(input, name).shape
        sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,)
        if len(sizes) == len(shape):
            sizes = sizes[-n:]
        sizes = tuple_of(name, "output_size", sizes, n)
        smallest = smallest_output(tuple(shape[-n:]), self.kernel_size, self.stride, self.padding, self.dilation)
        largest = tuple([size + s - 1 for size, s in zip(smallest, self.stride, strict=True)])
        output_padding = tuple([size - low for size, low in zip(sizes, smallest, strict=True)])
        if any(not 0 <= extra < s for extra, s in zip(output_padding, self.stride, strict=True)):
            raise ValueError(
                f"{name}: an input of shape {shape} gives output sizes from {smallest} to {largest}, not {sizes}"
            )
        return output_padding


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one dimension, as `functional.conv_transpose1d`: the gradient of `Conv1d` with
    respect to its input.

    A call can name the ``output_size``: the spatial sizes or the whole shape of the output. The layer then computes the
    output padding.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or tuple
    stride : int or tuple
        The distance in the output between the kernels of neighbouring input elements.
    padding : int or tuple
        How many elements to remove at both ends of the output.
    output_padding : int or tuple
        How many elements to add at the end of the output.
    groups : int
        The number of groups of channels. Each group is convolved separately. It divides both numbers of channels.
    bias : bool
    dilation : int or tuple
        The distance between neighbouring elements of the kernel.
    padding_mode : {"zeros"}
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels / groups, kernel)
        Initially uniform in [-k, k] with k = 1 / sqrt(out_channels / groups * kernel), as PyTorch's.
    bias : Parameter, (out_channels,), or None
        Initially uniform in the same interval.

    Raises
    ------
    ValueError
        If sizes are too small or do not match. In a call, if the input has the wrong number of dimensions or channels.
    TypeError
        If sizes are not integers.

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
    """Transposed convolution over two dimensions, as `functional.conv_transpose2d`; arguments as for
    `ConvTranspose1d`.

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
    """Transposed convolution over three dimensions, as `functional.conv_transpose3d`; arguments as for
    `ConvTranspose1d`.

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
