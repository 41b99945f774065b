"""Padding layers: add elements at the ends of the last one, two or three dimensions, or remove some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..autograd.check import adopt
from .functional.padding import padded
from .functional.sizes import batched, tuple_of
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Stateless):
    dimensions: int
    mode: str

    def __init__(self, padding: int | Sequence[int], *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        self.padding = tuple_of(type(self).__name__, "padding", padding, 2 * self.dimensions, least=None)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) or (C, ...) -> the same, with the padding added to its spatial sizes."""
        name = type(self).__name__
        x = adopt(input, name)
        batched(name, x, self.dimensions)  # raises for another number of dimensions
        return padded(name, x, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(
        self, padding: int | Sequence[int], value: float, *, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__(padding, device=device, dtype=dtype)
        self.value = value

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same, with the padding added to its last sizes."""
        return padded(type(self).__name__, input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: int | Sequence[int], *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(padding, 0.0, device=device, dtype=dtype)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPad(_Pad):
    mode = "reflect"


class _ReplicationPad(_Pad):
    mode = "replicate"


class _CircularPad(_Pad):
    mode = "circular"


class ConstantPad1d(_ConstantPad):
    """Add a constant at both ends of the last dimension: two at each end turn ``a b c`` into ``v v a b c v v``.

    Parameters
    ----------
    padding : int or 2 int
        (left, right), or one for both. Negative sizes remove elements.
    value : number
        The constant.

    Raises
    ------
    ValueError
        If there are not 2 sizes. In a call, if the input is too small for the padding.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ConstantPad1d((1, 2), 5.0)(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[5.0, 1.0, 2.0, 3.0, 5.0, 5.0]]
    """

    dimensions = 1


class ConstantPad2d(_ConstantPad):
    """Add a constant at both ends of the last two dimensions; see `ConstantPad1d`.

    Parameters
    ----------
    padding : int or 4 int
        (left, right, top, bottom), or one for all.
    value : number
        The constant.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ConstantPad2d((1, 2, 0, 1), 5.0)(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class ConstantPad3d(_ConstantPad):
    """Add a constant at both ends of the last three dimensions; see `ConstantPad1d`.

    Parameters
    ----------
    padding : int or 6 int
        (left, right, top, bottom, front, back), or one for all.
    value : number
        The constant.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ConstantPad3d((1, 2, 0, 1, 0, 0), 5.0)(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3


class ZeroPad1d(_ZeroPad):
    """Add zeros at both ends of the last dimension.

    Parameters
    ----------
    padding : int or 2 int
        (left, right), or one for both. Negative sizes remove elements.

    Raises
    ------
    ValueError
        If there are not 2 sizes. In a call, if the input is too small for the padding.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ZeroPad1d((1, 2))(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]]
    """

    dimensions = 1


class ZeroPad2d(_ZeroPad):
    """Add zeros at both ends of the last two dimensions; see `ZeroPad1d`.

    Parameters
    ----------
    padding : int or 4 int
        (left, right, top, bottom), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ZeroPad2d((1, 2, 0, 1))(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class ZeroPad3d(_ZeroPad):
    """Add zeros at both ends of the last three dimensions; see `ZeroPad1d`.

    Parameters
    ----------
    padding : int or 6 int
        (left, right, top, bottom, front, back), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ZeroPad3d((1, 2, 0, 1, 0, 0))(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3


class ReflectionPad1d(_ReflectionPad):
    """Mirror the last dimension at both ends: two elements at each end turn ``a b c`` into ``c b a b c b a``.

    Parameters
    ----------
    padding : int or 2 int
        (left, right), or one for both. Negative sizes remove elements. Each is smaller than the dimension.

    Raises
    ------
    ValueError
        If there are not 2 sizes. In a call, if the input is neither (samples, channels, length) nor (channels, length),
        or is too small for the padding.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReflectionPad1d((1, 2))(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    dimensions = 1


class ReflectionPad2d(_ReflectionPad):
    """Mirror the last two dimensions at both ends; see `ReflectionPad1d`.

    Parameters
    ----------
    padding : int or 4 int
        (left, right, top, bottom), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReflectionPad2d((1, 2, 0, 1))(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class ReflectionPad3d(_ReflectionPad):
    """Mirror the last three dimensions at both ends; see `ReflectionPad1d`.

    Parameters
    ----------
    padding : int or 6 int
        (left, right, top, bottom, front, back), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReflectionPad3d((1, 2, 0, 1, 0, 0))(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3


class ReplicationPad1d(_ReplicationPad):
    """Repeat the elements at both ends of the last dimension: twice turns ``a b c`` into ``a a a b c c c``.

    Parameters
    ----------
    padding : int or 2 int
        (left, right), or one for both. Negative sizes remove elements.

    Raises
    ------
    ValueError
        If there are not 2 sizes. In a call, if the input is neither (samples, channels, length) nor (channels, length),
        or is too small for the padding.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReplicationPad1d((1, 2))(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0, 3.0]]
    """

    dimensions = 1


class ReplicationPad2d(_ReplicationPad):
    """Repeat the elements at both ends of the last two dimensions; see `ReplicationPad1d`.

    Parameters
    ----------
    padding : int or 4 int
        (left, right, top, bottom), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReplicationPad2d((1, 2, 0, 1))(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class ReplicationPad3d(_ReplicationPad):
    """Repeat the elements at both ends of the last three dimensions; see `ReplicationPad1d`.

    Parameters
    ----------
    padding : int or 6 int
        (left, right, top, bottom, front, back), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReplicationPad3d((1, 2, 0, 1, 0, 0))(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3


class CircularPad1d(_CircularPad):
    """Continue the last dimension from its other end: two elements at each end turn ``a b c`` into ``b c a b c a b``.

    Parameters
    ----------
    padding : int or 2 int
        (left, right), or one for both. Negative sizes remove elements. Each is at most the size of the dimension.

    Raises
    ------
    ValueError
        If there are not 2 sizes. In a call, if the input is neither (samples, channels, length) nor (channels, length),
        or is too small for the padding.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CircularPad1d((1, 2))(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]]
    """

    dimensions = 1


class CircularPad2d(_CircularPad):
    """Continue the last two dimensions from their other ends; see `CircularPad1d`.

    Parameters
    ----------
    padding : int or 4 int
        (left, right, top, bottom), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CircularPad2d((1, 2, 0, 1))(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class CircularPad3d(_CircularPad):
    """Continue the last three dimensions from their other ends; see `CircularPad1d`.

    Parameters
    ----------
    padding : int or 6 int
        (left, right, top, bottom, front, back), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CircularPad3d((1, 2, 0, 1, 0, 0))(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3
