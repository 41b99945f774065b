"""Max pooling, and its partial inverse, max unpooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import functional as F
from .functional.sizes import sizes_of
from .pooling import Pool

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxPool(Pool):
    _function: Callable[..., Any]

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode
        self._check(kernel_size=1, stride=1, padding=0, dilation=1)

    def forward(self, input: ArrayLike) -> Variable | Any:
        """input: (N, C, ...) or (C, ...) -> the same, with the number of windows as spatial sizes.

        With ``return_indices``, the result is (values, positions), both of this shape.
        """
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest value of every window of the last dimension; see `rustorch.nn.functional.max_pool1d`.

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        Default: the kernel size.
    padding : int
        How many times to add -inf at both ends; at most half of the kernel.
    dilation : int
        The distance between neighbouring values of a window.
    return_indices : bool
        Whether to return the positions of the values too, in the form that `MaxUnpool1d` takes.
    ceil_mode : bool
        Whether the last window may reach beyond the end.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.MaxPool1d(3, stride=2, padding=1)(rustorch.ones((1, 2, 8))).shape
    (1, 2, 4)
    """

    _axes = 1
    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest value of every window of height and width; see `rustorch.nn.functional.max_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        Default: the kernel size.
    padding : int or pair of int
        How many times to add -inf at both ends; at most half of the kernel.
    dilation : int or pair of int
        The distance between neighbouring values of a window.
    return_indices : bool
        Whether to return the positions of the values too, in the form that `MaxUnpool2d` takes.
    ceil_mode : bool
        Whether the last window may reach beyond the end.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.MaxPool2d(3, stride=2, padding=1)(rustorch.ones((1, 2, 8, 8))).shape
    (1, 2, 4, 4)
    """

    _axes = 2
    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest value of every window of depth, height and width; see `rustorch.nn.functional.max_pool3d`.

    Parameters
    ----------
    kernel_size : int or triple of int
    stride : int or triple of int, optional
        Default: the kernel size.
    padding : int or triple of int
        How many times to add -inf at both ends; at most half of the kernel.
    dilation : int or triple of int
        The distance between neighbouring values of a window.
    return_indices : bool
        Whether to return the positions of the values too, in the form that `MaxUnpool3d` takes.
    ceil_mode : bool
        Whether the last window may reach beyond the end.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.MaxPool3d(3, stride=2, padding=1)(rustorch.ones((1, 2, 8, 8, 8))).shape
    (1, 2, 4, 4, 4)
    """

    _axes = 3
    _function = staticmethod(F.max_pool3d)


class _MaxUnpool(Pool):
    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        name = type(self).__name__
        self.kernel_size = sizes_of(name, "kernel_size", kernel_size, self._axes)
        self.stride = self.kernel_size if stride is None else sizes_of(name, "stride", stride, self._axes)
        self.padding = sizes_of(name, "padding", padding, self._axes, 0)

    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> Variable:
        """input, indices: (N, C, ...) or (C, ...) -> the same, with spatial sizes ``output_size``.

        By default these are the smallest sizes that max pooling turns into the sizes of the input.
        """
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Put the values of `MaxPool1d` back to their positions, with zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding : int
        The arguments of the `MaxPool1d` to undo. The call takes both outputs of that layer, and ``output_size``,
        because several input sizes give the same pooled size.

    Examples
    --------
    >>> import rustorch
    >>> values, indices = rustorch.MaxPool1d(2, return_indices=True)(rustorch.ones((1, 2, 8)))
    >>> rustorch.MaxUnpool1d(2)(values, indices).shape
    (1, 2, 8)
    """

    _axes = 1
    _function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Put the values of `MaxPool2d` back to their positions, with zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding : int or pair of int
        The arguments of the `MaxPool2d` to undo. The call takes both outputs of that layer, and ``output_size``,
        because several input sizes give the same pooled size.

    Examples
    --------
    >>> import rustorch
    >>> values, indices = rustorch.MaxPool2d(2, return_indices=True)(rustorch.ones((1, 2, 8, 8)))
    >>> rustorch.MaxUnpool2d(2)(values, indices).shape
    (1, 2, 8, 8)
    """

    _axes = 2
    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Put the values of `MaxPool3d` back to their positions, with zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding : int or triple of int
        The arguments of the `MaxPool3d` to undo. The call takes both outputs of that layer, and ``output_size``,
        because several input sizes give the same pooled size.

    Examples
    --------
    >>> import rustorch
    >>> values, indices = rustorch.MaxPool3d(2, return_indices=True)(rustorch.ones((1, 2, 8, 8, 8)))
    >>> rustorch.MaxUnpool3d(2)(values, indices).shape
    (1, 2, 8, 8, 8)
    """

    _axes = 3
    _function = staticmethod(F.max_unpool3d)
