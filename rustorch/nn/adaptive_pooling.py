"""Pooling to a given output size: the mean or the largest value of each bin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import functional as F
from .functional.sizes import tuple_of
from .pooling import Pool

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
]


class _AdaptivePool(Pool):
    def __init__(
        self, output_size: int | Sequence[int | None] | None, *, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__(device=device, dtype=dtype)
        self.output_size = output_size
        sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * self._axes
        tuple_of(type(self).__name__, "output_size", tuple([1 if size is None else size for size in sizes]), self._axes)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) or (C, ...) -> the same, with spatial sizes ``output_size``."""
        return self._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """Divide the last dimension into ``output_size`` bins and take the mean of each; see
    `rustorch.nn.functional.adaptive_avg_pool1d`.

    Parameters
    ----------
    output_size : int
        The number of bins.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveAvgPool1d(3)(rustorch.ones((1, 2, 8))).shape
    (1, 2, 3)
    """

    _axes = 1
    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptivePool):
    """Divide height and width into ``output_size`` bins and take the mean of each; see
    `rustorch.nn.functional.adaptive_avg_pool2d`.

    Parameters
    ----------
    output_size : int or pair of int or None
        The number of bins in each dimension. None keeps the size of the input.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveAvgPool2d(3)(rustorch.ones((1, 2, 8, 8))).shape
    (1, 2, 3, 3)
    """

    _axes = 2
    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptivePool):
    """Divide depth, height and width into ``output_size`` bins and take the mean of each; see
    `rustorch.nn.functional.adaptive_avg_pool3d`.

    Parameters
    ----------
    output_size : int or triple of int or None
        The number of bins in each dimension. None keeps the size of the input.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveAvgPool3d(3)(rustorch.ones((1, 2, 8, 8, 8))).shape
    (1, 2, 3, 3, 3)
    """

    _axes = 3
    _function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_AdaptivePool):
    _function: Callable[..., Any]

    def __init__(
        self,
        output_size: int | Sequence[int | None] | None,
        return_indices: bool = False,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(output_size, device=device, dtype=dtype)
        self.return_indices = return_indices

    def forward(self, input: ArrayLike) -> Variable | Any:
        """input: (N, C, ...) or (C, ...) -> the same, with spatial sizes ``output_size``.

        With ``return_indices``, the result is (values, positions), both of this shape.
        """
        return self._function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Divide the last dimension into ``output_size`` bins and take the largest value of each; see
    `rustorch.nn.functional.adaptive_max_pool1d`.

    Parameters
    ----------
    output_size : int
        The number of bins.
    return_indices : bool
        Whether to return the positions of the values too.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveMaxPool1d(3)(rustorch.ones((1, 2, 8))).shape
    (1, 2, 3)
    """

    _axes = 1
    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Divide height and width into ``output_size`` bins and take the largest value of each; see
    `rustorch.nn.functional.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size : int or pair of int or None
        The number of bins in each dimension. None keeps the size of the input.
    return_indices : bool
        Whether to return the positions of the values too.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveMaxPool2d(3)(rustorch.ones((1, 2, 8, 8))).shape
    (1, 2, 3, 3)
    """

    _axes = 2
    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Divide depth, height and width into ``output_size`` bins and take the largest value of each; see
    `rustorch.nn.functional.adaptive_max_pool3d`.

    Parameters
    ----------
    output_size : int or triple of int or None
        The number of bins in each dimension. None keeps the size of the input.
    return_indices : bool
        Whether to return the positions of the values too.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveMaxPool3d(3)(rustorch.ones((1, 2, 8, 8, 8))).shape
    (1, 2, 3, 3, 3)
    """

    _axes = 3
    _function = staticmethod(F.adaptive_max_pool3d)
