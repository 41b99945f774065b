"""Mean and p-norm pooling, and the base class of all pooling layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from . import functional as F
from .functional.sizes import sizes_of
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d", "LPPool2d", "LPPool3d"]


class Pool(Stateless):
    """The base of pooling layers: the number of pooled dimensions, the function, and the check of sizes."""

    _axes: int
    _function: Callable[..., Variable]

    def _check(self, **smallest: int) -> None:
        """Check the attributes of these names: sizes that are at least ``smallest``. None passes.

        Raises
        ------
        TypeError, ValueError
            If an attribute is not a size, or is smaller.
        """
        for name, least in smallest.items():
            if getattr(self, name) is not None:
                sizes_of(type(self).__name__, name, getattr(self, name), self._axes, least)


class _AvgPool(Pool):
    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override
        self._check(kernel_size=1, stride=1, padding=0)
        if divisor_override == 0:
            raise ValueError(f"{type(self).__name__}: divisor_override is a divisor and must not be 0")

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) or (C, ...) -> the same, with the number of windows as spatial sizes."""
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(Pool):
    """The mean of every window of the last dimension; see `rustorch.nn.functional.avg_pool1d`.

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        Default: the kernel size.
    padding : int
        How many zeros to add at both ends; at most half of the kernel.
    ceil_mode : bool
        Whether the last window may reach beyond the end.
    count_include_pad : bool
        Whether the zeros of the padding count as values.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AvgPool1d(3, stride=2, padding=1)(rustorch.ones((1, 2, 8))).shape
    (1, 2, 4)
    """

    _axes = 1

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.kernel_size = sizes_of(type(self).__name__, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else sizes_of(type(self).__name__, "stride", stride, 1)
        self.padding = sizes_of(type(self).__name__, "padding", padding, 1, 0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, L) or (C, L) -> the same, with the number of windows as length."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of every window of height and width; see `rustorch.nn.functional.avg_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        Default: the kernel size.
    padding : int or pair of int
        How many zeros to add at both ends; at most half of the kernel.
    ceil_mode : bool
        Whether the last window may reach beyond the end.
    count_include_pad : bool
        Whether the zeros of the padding count as values.
    divisor_override : int, optional
        Divide every sum by this number instead of the number of values.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AvgPool2d(3, stride=2, padding=1)(rustorch.ones((1, 2, 8, 8))).shape
    (1, 2, 4, 4)
    """

    _axes = 2
    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of every window of depth, height and width; see `rustorch.nn.functional.avg_pool3d`.

    Parameters
    ----------
    kernel_size : int or triple of int
    stride : int or triple of int, optional
        Default: the kernel size.
    padding : int or triple of int
        How many zeros to add at both ends; at most half of the kernel.
    ceil_mode : bool
        Whether the last window may reach beyond the end.
    count_include_pad : bool
        Whether the zeros of the padding count as values.
    divisor_override : int, optional
        Divide every sum by this number instead of the number of values.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AvgPool3d(3, stride=2, padding=1)(rustorch.ones((1, 2, 8, 8, 8))).shape
    (1, 2, 4, 4, 4)
    """

    _axes = 3
    _function = staticmethod(F.avg_pool3d)


class _LPPool(Pool):
    def __init__(
        self,
        norm_type: float,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        ceil_mode: bool = False,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode
        self._check(kernel_size=1, stride=1)
        if norm_type == 0:
            raise ValueError(f"{type(self).__name__}: norm_type is the power p of the norm, not 0")

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) or (C, ...) -> the same, with the number of windows as spatial sizes."""
        return self._function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}"
        return f"norm_type={self.norm_type}, {sizes}, ceil_mode={self.ceil_mode}"


class LPPool1d(_LPPool):
    """``sum(x**p)**(1/p)`` of every window of the last dimension; see `rustorch.nn.functional.lp_pool1d`.

    Parameters
    ----------
    norm_type : float
        The power p of the norm; not 0.
    kernel_size : int
    stride : int, optional
        Default: the kernel size.
    ceil_mode : bool
        Whether the last window may reach beyond the end.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.LPPool1d(2, 2)(rustorch.ones((1, 2, 8))).shape
    (1, 2, 4)
    """

    _axes = 1
    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """``sum(x**p)**(1/p)`` of every window of height and width; see `rustorch.nn.functional.lp_pool2d`.

    Parameters
    ----------
    norm_type : float
        The power p of the norm; not 0.
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        Default: the kernel size.
    ceil_mode : bool
        Whether the last window may reach beyond the end.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.LPPool2d(2, 2)(rustorch.ones((1, 2, 8, 8))).shape
    (1, 2, 4, 4)
    """

    _axes = 2
    _function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """``sum(x**p)**(1/p)`` of every window of depth, height and width; see `rustorch.nn.functional.lp_pool3d`.

    Parameters
    ----------
    norm_type : float
        The power p of the norm; not 0.
    kernel_size : int or triple of int
    stride : int or triple of int, optional
        Default: the kernel size.
    ceil_mode : bool
        Whether the last window may reach beyond the end.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.LPPool3d(2, 2)(rustorch.ones((1, 2, 8, 8, 8))).shape
    (1, 2, 4, 4, 4)
    """

    _axes = 3
    _function = staticmethod(F.lp_pool3d)
