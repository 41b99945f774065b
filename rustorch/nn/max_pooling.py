"""Pooling: the largest value of every window; and these values put back where they were."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .functional.sizes import sizes_of
from .pooling import Pool

__all__ = ["MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxPool(Pool):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode
        self._check(kernel_size=1, stride=1, padding=0, dilation=1)

    def forward(self, input: Any) -> Any:
        """The maxima of windows of the input (n, channels, ...), or of one sample; with return_indices, their places,
        too.
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
    """The largest value of every window of an axis; see `rustorch.nn.functional.max_pool1d`.

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        Default: the kernel size.
    padding : int
        Of -inf, at most half of the kernel.
    dilation : int
        The distance between a window's values.
    return_indices : bool
        Whether to return the values' positions, too, as `MaxUnpool1d` takes them.
    ceil_mode : bool
        Whether a last window may reach beyond the end.

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
        Of -inf, at most half of the kernel.
    dilation : int or pair of int
        The distance between a window's values.
    return_indices : bool
        Whether to return the values' positions, too, as `MaxUnpool2d` takes them.
    ceil_mode : bool
        Whether a last window may reach beyond the end.

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
        Of -inf, at most half of the kernel.
    dilation : int or triple of int
        The distance between a window's values.
    return_indices : bool
        Whether to return the values' positions, too, as `MaxUnpool3d` takes them.
    ceil_mode : bool
        Whether a last window may reach beyond the end.

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
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, *, device: str | None = None, dtype: Any = None
    ):
        super().__init__(device=device, dtype=dtype)
        name = type(self).__name__
        self.kernel_size = sizes_of(name, "kernel_size", kernel_size, self._axes)
        self.stride = self.kernel_size if stride is None else sizes_of(name, "stride", stride, self._axes)
        self.padding = sizes_of(name, "padding", padding, self._axes, 0)

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """The values at the places that ``indices`` name, zeros elsewhere; ``output_size`` are the sizes before
        pooling.
        """
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The values of `MaxPool1d` put back where they were, and zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding : int
        Those of the `MaxPool1d` that it undoes. It is called with that layer's two outputs, and with ``output_size``
        where several sizes are pooled to one.

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
    """The values of `MaxPool2d` put back where they were, and zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding : int or pair of int
        Those of the `MaxPool2d` that it undoes. It is called with that layer's two outputs, and with ``output_size``
        where several sizes are pooled to one.

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
    """The values of `MaxPool3d` put back where they were, and zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding : int or triple of int
        Those of the `MaxPool3d` that it undoes. It is called with that layer's two outputs, and with ``output_size``
        where several sizes are pooled to one.

    Examples
    --------
    >>> import rustorch
    >>> values, indices = rustorch.MaxPool3d(2, return_indices=True)(rustorch.ones((1, 2, 8, 8, 8)))
    >>> rustorch.MaxUnpool3d(2)(values, indices).shape
    (1, 2, 8, 8, 8)
    """

    _axes = 3
    _function = staticmethod(F.max_unpool3d)
