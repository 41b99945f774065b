"""Layers that join dimensions into one, and split one into several."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from numbers import Integral
from typing import TYPE_CHECKING

from .. import ops
from ..autograd.check import adopt
from ..ops.arguments import one_axis
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["Flatten", "Unflatten"]


class Flatten(Stateless):
    """Join the dimensions from ``start_dim`` to ``end_dim``, both included, into one.

    Parameters
    ----------
    start_dim : int
        The first dimension to join. With 1, the default, the batch stays.
    end_dim : int
        The last dimension to join.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, A, B, ...) -> (N, A * B * ...), with other arguments the dimensions that they name."""
        x = adopt(input, "Flatten")
        shape = x.shape
        first, last = (one_axis(dim, len(shape) or 1, "Flatten") for dim in (self.start_dim, self.end_dim))
        if last < first:
            raise ValueError(
                f"{type(self).__name__}: start_dim={self.start_dim} comes after end_dim={self.end_dim} in shape {shape}"
            )
        return ops.reshape(x, (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Stateless):
    """Split one dimension into several.

    Parameters
    ----------
    dim : int
        The dimension to split.
    unflattened_size : tuple or list of int
        The sizes of the new dimensions. One of them may be -1: it is computed from the others.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Unflatten(1, (2, 5))(rustorch.ones((3, 10))).shape
    (3, 2, 5)
    """

    def __init__(
        self, dim: int, unflattened_size: Sequence[int], *, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__(device=device, dtype=dtype)
        if not isinstance(dim, (int, Integral)) or isinstance(dim, bool):
            raise TypeError(f"{type(self).__name__}: dim is an integer, not {dim!r}")
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"{type(self).__name__}: unflattened_size is a tuple of sizes, not {unflattened_size!r}")
        for i, size in enumerate(unflattened_size):
            if not isinstance(size, (int, Integral)) or isinstance(size, bool):
                raise TypeError(
                    f"{type(self).__name__}: unflattened_size is a tuple of integers, but there is {size!r} at {i}"
                )
        if any(size < -1 for size in unflattened_size) or list(unflattened_size).count(-1) > 1:
            raise ValueError(
                f"{type(self).__name__}: sizes are not negative, and one may be -1, not as in {unflattened_size!r}"
            )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: ArrayLike) -> Variable:
        """input: (..., A * B, ...) -> (..., A, B, ...), where dimension ``dim`` is split."""
        x = adopt(input, "Unflatten")
        shape, sizes = x.shape, list(self.unflattened_size)
        axis = one_axis(self.dim, len(shape), "Unflatten")
        known = prod(size for size in sizes if size != -1)
        if -1 in sizes:
            if not known:
                raise ValueError(
                    f"{type(self).__name__}: dimension {axis} of shape {shape} cannot become "
                    f"{tuple(self.unflattened_size)}: -1 can be any size beside a 0"
                )
            sizes[sizes.index(-1)] = shape[axis] // known
        if prod(sizes) != shape[axis]:
            raise ValueError(
                f"{type(self).__name__}: dimension {axis} of shape {shape} cannot become "
                f"{tuple(self.unflattened_size)}: {shape[axis]} is not their product"
            )
        return ops.reshape(x, (*shape[:axis], *sizes, *shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
