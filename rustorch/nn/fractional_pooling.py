"""Max pooling to a given output size, with windows at random positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt
from . import functional as F
from .functional.fractional_pooling import one_of, ratios
from .functional.sizes import sizes_of
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]


class _FractionalMaxPool(Stateless):
    _axes: int
    _function: Callable[..., Any]
    _random_samples: Variable | None

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        output_size: int | Sequence[int] | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: ArrayLike | None = None,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        name, n = type(self).__name__, self._axes
        one_of(name, output_size, output_ratio)
        self.kernel_size = sizes_of(name, "kernel_size", kernel_size, n)
        self.return_indices = return_indices
        self.output_size = None if output_size is None else sizes_of(name, "output_size", output_size, n)
        self.output_ratio = None if output_ratio is None else ratios(name, output_ratio, n)
        self.register_buffer("_random_samples", None if _random_samples is None else adopt(_random_samples, name))

    def forward(self, input: ArrayLike) -> Variable | Any:
        """input: (N, C, ...) or (C, ...) -> the same, with spatial sizes ``output_size``.

        With ``return_indices``, the result is (values, positions), both of this shape.
        """
        return self._function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest values of windows of height and width that begin at random positions; see
    `rustorch.nn.functional.fractional_max_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
    output_size : int or pair of int, optional
        Give either ``output_size`` or ``output_ratio``.
    output_ratio : float or pair of float, optional
        The size of the output divided by the size of the input, between 0 and 1.
    return_indices : bool
        Whether to return the positions of the values too.
    _random_samples : Variable or array, (batch, channels, 2), optional
        Random numbers in [0, 1) to use in every call. By default each call draws new ones, also in evaluation.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.FractionalMaxPool2d(2, output_size=5)(rustorch.ones((1, 2, 8, 8))).shape
    (1, 2, 5, 5)
    """

    _axes = 2
    _function = staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest values of windows of depth, height and width that begin at random positions; see
    `rustorch.nn.functional.fractional_max_pool3d`.

    Parameters
    ----------
    kernel_size : int or triple of int
    output_size : int or triple of int, optional
        Give either ``output_size`` or ``output_ratio``.
    output_ratio : float or triple of float, optional
        The size of the output divided by the size of the input, between 0 and 1.
    return_indices : bool
        Whether to return the positions of the values too.
    _random_samples : Variable or array, (batch, channels, 3), optional
        Random numbers in [0, 1) to use in every call. By default each call draws new ones, also in evaluation.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.FractionalMaxPool3d(2, output_ratio=0.5)(rustorch.ones((1, 2, 8, 8, 8))).shape
    (1, 2, 4, 4, 4)
    """

    _axes = 3
    _function = staticmethod(F.fractional_max_pool3d)
