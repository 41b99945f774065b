"""Pooling to a given size: the mean or the largest value of every bin."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .functional.sizes import tuple_of
from .pooling import Pool

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
]


class _AdaptivePool(Pool):
    def __init__(self, output_size: Any, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        self.output_size = output_size
        given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * self._axes
        tuple_of(type(self).__name__, "output_size", tuple([1 if size is None else size for size in given]), self._axes)

    def forward(self, input: Any) -> Any:
        """The means of bins of the input (n, channels, ...), or of one sample: as many as output_size says."""
        return self._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of as many bins of an axis as the output shall have; see
    `rustorch.nn.functional.adaptive_avg_pool1d`.

    Parameters
    ----------
    output_size : int
        How many bins.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveAvgPool1d(3)(rustorch.ones((1, 2, 8))).shape
    (1, 2, 3)
    """

    _axes = 1
    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of as many bins of height and width as the output shall have; see
    `rustorch.nn.functional.adaptive_avg_pool2d`.

    Parameters
    ----------
    output_size : int or pair of int or None
        How many bins; None stands for the input's size.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveAvgPool2d(3)(rustorch.ones((1, 2, 8, 8))).shape
    (1, 2, 3, 3)
    """

    _axes = 2
    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptivePool):
    """The means of as many bins of depth, height and width as the output shall have; see
    `rustorch.nn.functional.adaptive_avg_pool3d`.

    Parameters
    ----------
    output_size : int or triple of int or None
        How many bins; None stands for the input's size.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveAvgPool3d(3)(rustorch.ones((1, 2, 8, 8, 8))).shape
    (1, 2, 3, 3, 3)
    """

    _axes = 3
    _function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: Any, return_indices: bool = False, *, device: str | None = None, dtype: Any = None):
        super().__init__(output_size, device=device, dtype=dtype)
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        """The maxima of bins of the input (n, channels, ...), or of one sample; with return_indices, their
        places, too.
        """
        return self._function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest values of as many bins of an axis as the output shall have; see
    `rustorch.nn.functional.adaptive_max_pool1d`.

    Parameters
    ----------
    output_size : int
        How many bins.
    return_indices : bool
        Whether to return the values' positions, too.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveMaxPool1d(3)(rustorch.ones((1, 2, 8))).shape
    (1, 2, 3)
    """

    _axes = 1
    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest values of as many bins of height and width as the output shall have; see
    `rustorch.nn.functional.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size : int or pair of int or None
        How many bins; None stands for the input's size.
    return_indices : bool
        Whether to return the values' positions, too.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveMaxPool2d(3)(rustorch.ones((1, 2, 8, 8))).shape
    (1, 2, 3, 3)
    """

    _axes = 2
    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest values of as many bins of depth, height and width as the output shall have; see
    `rustorch.nn.functional.adaptive_max_pool3d`.

    Parameters
    ----------
    output_size : int or triple of int or None
        How many bins; None stands for the input's size.
    return_indices : bool
        Whether to return the values' positions, too.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.AdaptiveMaxPool3d(3)(rustorch.ones((1, 2, 8, 8, 8))).shape
    (1, 2, 3, 3, 3)
    """

    _axes = 3
    _function = staticmethod(F.adaptive_max_pool3d)
