"""Padding: larger, or smaller, at the ends of the last one, two or three dimensions."""

from __future__ import annotations

from typing import Any

from ..autograd.check import adopt
from .functional.padding import padded
from .functional.sizes import batched, tuple_of
from .module import Stateless

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Stateless):
    dimensions: int
    mode: str

    def __init__(self, padding: Any, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        self.padding = tuple_of(type(self).__name__, "padding", padding, 2 * self.dimensions, least=None)

    def forward(self, input: Any) -> Any:
        """The input (n, channels, ...), or one sample of it, with more, or less, at the ends of its last dimensions."""
        name = type(self).__name__
        input = adopt(input, name)
        batched(name, input, self.dimensions)  # raises for another rank
        return padded(name, input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: Any, value: float, *, device: str | None = None, dtype: Any = None):
        super().__init__(padding, device=device, dtype=dtype)
        self.value = value

    def forward(self, input: Any) -> Any:
        """The input with the value at the ends of its last dimensions, or with less there."""
        return padded(type(self).__name__, input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any, *, device: str | None = None, dtype: Any = None):
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
    """A constant before and after along the last dimension: of ``a b c`` with two at both ends, ``v v a b c v v``.

    Parameters
    ----------
    padding : int or 2 of them
        (left, right), or one for both. Negative ones leave elements out.
    value : number
        The constant.

    Raises
    ------
    ValueError
        If the padding has another length; when called, if it does not fit the input.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ConstantPad1d((1, 2), 5.0)(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[5.0, 1.0, 2.0, 3.0, 5.0, 5.0]]
    """

    dimensions = 1


class ConstantPad2d(_ConstantPad):
    """A constant before and after along the last two dimensions; as `ConstantPad1d`.

    Parameters
    ----------
    padding : int or 4 of them
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
    """A constant before and after along the last three dimensions; as `ConstantPad1d`.

    Parameters
    ----------
    padding : int or 6 of them
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
    """Zeros before and after along the last dimension.

    Parameters
    ----------
    padding : int or 2 of them
        (left, right), or one for both. Negative ones leave elements out.

    Raises
    ------
    ValueError
        If the padding has another length; when called, if it does not fit the input.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ZeroPad1d((1, 2))(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]]
    """

    dimensions = 1


class ZeroPad2d(_ZeroPad):
    """Zeros before and after along the last two dimensions; as `ZeroPad1d`.

    Parameters
    ----------
    padding : int or 4 of them
        (left, right, top, bottom), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ZeroPad2d((1, 2, 0, 1))(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class ZeroPad3d(_ZeroPad):
    """Zeros before and after along the last three dimensions; as `ZeroPad1d`.

    Parameters
    ----------
    padding : int or 6 of them
        (left, right, top, bottom, front, back), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ZeroPad3d((1, 2, 0, 1, 0, 0))(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3


class ReflectionPad1d(_ReflectionPad):
    """The last dimension mirrored at the ends: of ``a b c`` with two at both ends, ``c b a b c b a``.

    Parameters
    ----------
    padding : int or 2 of them
        (left, right), or one for both. Negative ones leave elements out. Each is less than the dimension's size.

    Raises
    ------
    ValueError
        If the padding has another length; when called, if it does not fit the input, (samples, channels, length) or
        (channels, length).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReflectionPad1d((1, 2))(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    dimensions = 1


class ReflectionPad2d(_ReflectionPad):
    """The last two dimensions mirrored at the ends; as `ReflectionPad1d`.

    Parameters
    ----------
    padding : int or 4 of them
        (left, right, top, bottom), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReflectionPad2d((1, 2, 0, 1))(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class ReflectionPad3d(_ReflectionPad):
    """The last three dimensions mirrored at the ends; as `ReflectionPad1d`.

    Parameters
    ----------
    padding : int or 6 of them
        (left, right, top, bottom, front, back), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReflectionPad3d((1, 2, 0, 1, 0, 0))(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3


class ReplicationPad1d(_ReplicationPad):
    """The elements at the ends of the last dimension repeated: of ``a b c`` with two at both ends, ``a a a b c c c``.

    Parameters
    ----------
    padding : int or 2 of them
        (left, right), or one for both. Negative ones leave elements out.

    Raises
    ------
    ValueError
        If the padding has another length; when called, if it does not fit the input, (samples, channels, length) or
        (channels, length).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReplicationPad1d((1, 2))(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0, 3.0]]
    """

    dimensions = 1


class ReplicationPad2d(_ReplicationPad):
    """The elements at the ends of the last two dimensions repeated; as `ReplicationPad1d`.

    Parameters
    ----------
    padding : int or 4 of them
        (left, right, top, bottom), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReplicationPad2d((1, 2, 0, 1))(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class ReplicationPad3d(_ReplicationPad):
    """The elements at the ends of the last three dimensions repeated; as `ReplicationPad1d`.

    Parameters
    ----------
    padding : int or 6 of them
        (left, right, top, bottom, front, back), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReplicationPad3d((1, 2, 0, 1, 0, 0))(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3


class CircularPad1d(_CircularPad):
    """The last dimension continued from the other end: of ``a b c`` with two at both ends, ``b c a b c a b``.

    Parameters
    ----------
    padding : int or 2 of them
        (left, right), or one for both. Negative ones leave elements out. Each is at most the dimension's size.

    Raises
    ------
    ValueError
        If the padding has another length; when called, if it does not fit the input, (samples, channels, length) or
        (channels, length).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CircularPad1d((1, 2))(rustorch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]]
    """

    dimensions = 1


class CircularPad2d(_CircularPad):
    """The last two dimensions continued from the other end; as `CircularPad1d`.

    Parameters
    ----------
    padding : int or 4 of them
        (left, right, top, bottom), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CircularPad2d((1, 2, 0, 1))(rustorch.ones((1, 3, 4))).shape
    (1, 4, 7)
    """

    dimensions = 2


class CircularPad3d(_CircularPad):
    """The last three dimensions continued from the other end; as `CircularPad1d`.

    Parameters
    ----------
    padding : int or 6 of them
        (left, right, top, bottom, front, back), or one for all.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CircularPad3d((1, 2, 0, 1, 0, 0))(rustorch.ones((1, 2, 3, 4))).shape
    (1, 2, 4, 7)
    """

    dimensions = 3
