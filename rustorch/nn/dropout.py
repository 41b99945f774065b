"""Dropout layers: in training they zero random elements or channels, in evaluation they change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import functional as F
from .functional.dropout import check_probability
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class Dropout(Stateless):
    """In training, zero each element with probability p and divide the others by ``1 - p``. In evaluation, return the
    input.

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Parameters
    ----------
    p : float
        The probability, in [0, 1].
    inplace : bool
        Whether to write the output into the input.

    Raises
    ------
    ValueError
        If p is not in [0, 1].

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.Dropout(0.5)
    >>> sorted(set(layer(rustorch.ones(100)).tolist()))
    [0.0, 2.0]
    >>> layer.eval()(rustorch.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        check_probability(type(self).__name__, p)
        self.p = p
        self.inplace = inplace

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, in training with random elements zeroed."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """`Dropout` of whole channels of (channels, length) or (n, channels, length).

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015.

    Examples
    --------
    >>> import rustorch
    >>> out = rustorch.nn.Dropout1d(0.5)(rustorch.ones((9, 4)))
    >>> all(len(set(channel)) == 1 for channel in out.tolist())
    True
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, L) or (C, L) -> the same shape, in training with random channels zeroed."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropout):
    """`Dropout` of whole channels of (n, channels, height, width); three dimensions are (n, channels, length), with a
    warning.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.Dropout2d(0.5)(rustorch.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, H, W) -> the same shape, in training with random channels zeroed."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(Dropout):
    """`Dropout` of whole channels of (channels, depth, height, width) or (n, channels, depth, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.Dropout3d(0.5)(rustorch.ones((2, 3, 2, 2, 2))).shape
    (2, 3, 2, 2, 2)
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, D, H, W) or (C, D, H, W) -> the same shape, in training with random channels zeroed."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(Dropout):
    """Dropout for `SELU`: dropped elements get the lowest value of SELU. Mean and variance stay the same.

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.AlphaDropout(0.1)(rustorch.ones((2, 3))).shape
    (2, 3)
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, in training with random elements dropped."""
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(Dropout):
    """`AlphaDropout` of whole channels of (n, channels, ...).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.FeatureAlphaDropout(0.1)(rustorch.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) -> the same shape, in training with random channels dropped."""
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
