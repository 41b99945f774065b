"""Fold and Unfold: the elements of sliding windows as columns, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import functional as F
from .functional.sizes import tuple_of
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["Fold", "Unfold"]


class Unfold(Stateless):
    """The elements of a sliding window at each position, as columns; see `functional.unfold`.

    Parameters
    ----------
    kernel_size, dilation, padding, stride : int or pair of int
        The sizes of the window and how it moves.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Unfold(3, padding=1)(rustorch.ones((2, 4, 5, 5))).shape
    (2, 36, 25)
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        options = {
            "kernel_size": (kernel_size, 1),
            "dilation": (dilation, 1),
            "padding": (padding, 0),
            "stride": (stride, 1),
        }
        for name, (value, least) in options.items():
            tuple_of(type(self).__name__, name, value, 2, least)
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, H, W) or (C, H, W) -> (N, C * K, P) or (C * K, P).

        K is the number of elements in a window, P the number of its positions.
        """
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Unfold):
    """Add columns to the positions of a sliding window: the transpose of `Unfold`; see `functional.fold`.

    Parameters
    ----------
    output_size : int or pair of int
        The height and the width of the image.
    kernel_size, dilation, padding, stride : int or pair of int
        The sizes of the window and how it moves.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Fold(output_size=(5, 5), kernel_size=3, padding=1)(rustorch.ones((2, 36, 25))).shape
    (2, 4, 5, 5)
    """

    def __init__(
        self,
        output_size: int | Sequence[int],
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(kernel_size, dilation, padding, stride, device=device, dtype=dtype)
        tuple_of(type(self).__name__, "output_size", output_size, 2)
        self.output_size = output_size

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C * K, P) or (C * K, P) -> (N, C, H, W) or (C, H, W).

        K is the number of elements in a window, P the number of its positions.
        """
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
