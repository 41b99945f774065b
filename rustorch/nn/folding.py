"""Fold and Unfold: sliding windows as columns, and back."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .functional.sizes import tuple_of
from .module import Stateless

__all__ = ["Fold", "Unfold"]


class Unfold(Stateless):
    """What a sliding window sees at each of its places, as columns; as `functional.unfold`.

    Parameters
    ----------
    kernel_size, dilation, padding, stride : int or pair of int
        Of the window.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Unfold(3, padding=1)(rustorch.ones((2, 4, 5, 5))).shape
    (2, 36, 25)
    """

    def __init__(
        self,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(device=device, dtype=dtype)
        given = {
            "kernel_size": (kernel_size, 1),
            "dilation": (dilation, 1),
            "padding": (padding, 0),
            "stride": (stride, 1),
        }
        for what, (value, least) in given.items():
            tuple_of(type(self).__name__, what, value, 2, least)
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Any) -> Any:
        """The input (n, channels, height, width) as columns, (n, channels * kernel elements, places)."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Unfold):
    """Columns laid back to where a sliding window saw them, and added up; as `functional.fold`: the transpose of
    `Unfold`.

    Parameters
    ----------
    output_size : int or pair of int
        Height and width of the image.
    kernel_size, dilation, padding, stride : int or pair of int
        Of the window.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Fold(output_size=(5, 5), kernel_size=3, padding=1)(rustorch.ones((2, 36, 25))).shape
    (2, 4, 5, 5)
    """

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(kernel_size, dilation, padding, stride, device=device, dtype=dtype)
        tuple_of("Fold", "output_size", output_size, 2)
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        """The columns (n, channels * kernel elements, places), added up as images (n, channels, height, width)."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
