"""Shard: one rank's piece of an array that is spread over ranks; Sharding: which piece of a parameter a rank has."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd.graph import Value
from ..backends import BY_TYPE, device_of, of

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, DType, Shape
    from ..variable import Variable

__all__ = ["Shard", "Sharding", "piece_of"]


class Sharding(NamedTuple):
    """Which elements of a parameter this rank has: ``start`` to ``stop`` of the flattened global array, in C order.

    A parameter of `nn.parallel.fully_shard` has it as ``p._sharding`` while ``p.data`` is the piece, an array of one
    dimension. It is None while ``p.data`` is the whole array, as for every ordinary parameter.

    Attributes
    ----------
    shape : tuple of int
        The shape of the global array.
    start, stop : int
        The piece; it is empty where both are equal.
    group : ProcessGroup
        The ranks that have the pieces.
    """

    shape: Shape
    start: int
    stop: int
    group: Any


class Shard:
    """One rank's piece of an array: the elements from ``start`` on of the flattened global array, in C order.

    Parameters
    ----------
    array : Variable or native array of one dimension
        The elements. Its memory is shared.
    shape : tuple of int
        The shape of the global array.
    start : int
        The place of the first element in the flattened global array.

    Attributes
    ----------
    array : native array of one dimension
    shape : tuple of int
    start, stop : int
    dtype : dtype
    device : str

    Raises
    ------
    TypeError
        If ``array`` is not an array of a backend.
    ValueError
        If ``array`` does not have one dimension, or the piece does not lie in the global array.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.distributed import Shard
    >>> Shard(rustorch.zeros(3), shape=(2, 4), start=5)
    Shard(elements 5 to 8 of the shape (2, 4), float32 on 'cpu')
    """

    __slots__ = ("array", "shape", "start")

    def __init__(self, array: Array | ArrayLike, shape: Shape, start: int):
        native: Any = array._native if isinstance(array, Value) else array
        if of(native) is None:
            raise TypeError(f"Shard: the piece is an array or a Variable, not {type(array).__name__}")
        shape, start = tuple([int(n) for n in shape]), int(start)
        if len(native.shape) != 1:
            raise ValueError(f"Shard: the piece has one dimension, not the shape {tuple(native.shape)}")
        if min(shape, default=0) < 0 or start < 0 or start + native.shape[0] > prod(shape):
            raise ValueError(
                f"Shard: the elements {start} to {start + native.shape[0]} are not all in an array of shape {shape}, "
                f"which has {prod(shape)}"
            )
        self.array = native
        self.shape = shape
        self.start = start

    @property
    def stop(self) -> int:
        """The place after the last element in the flattened global array."""
        return self.start + int(self.array.shape[0])

    @property
    def dtype(self) -> DType:
        """The dtype of the elements."""
        return BY_TYPE[type(self.array)].dtype_of(self.array)

    @property
    def device(self) -> str:
        """The device that holds the piece."""
        return device_of(self.array)

    def elements(self, start: int, stop: int) -> Array:
        """Elements ``start`` to ``stop`` of the flattened global array, which are in this piece: a view."""
        return self.array[start - self.start : stop - self.start]

    def __repr__(self) -> str:
        return f"Shard(elements {self.start} to {self.stop} of the shape {self.shape}, {self.dtype} on {self.device!r})"


def piece_of(value: Any, sharding: Sharding) -> Variable:
    """The elements of a value that belong to a rank's piece of a parameter.

    Parameters
    ----------
    value : Shard, Variable or array
        A piece with at least these elements, or the whole array.
    sharding : Sharding

    Returns
    -------
    Variable
        One dimension.

    Raises
    ------
    ValueError
        If the global shape is another one, or a piece lacks elements.
    TypeError
        If the value is no array.
    """
    from ..variable import Variable

    shape, start, stop, _ = sharding
    if not isinstance(value, Shard):
        whole = Variable(value).detach()
        if whole.shape != shape:
            raise ValueError(f"{whole.shape} given, {shape} needed")
        return whole.reshape((-1,))[start:stop]
    if value.shape != shape:
        raise ValueError(f"a piece of {value.shape} given, {shape} needed")
    if not value.start <= start <= stop <= value.stop:
        raise ValueError(
            f"a piece with the elements {value.start} to {value.stop} given, {start} to {stop} needed; the pieces of "
            f"another number of ranks are put together by rustorch.load of the folder to which all of them saved"
        )
    return Variable(value.elements(start, stop)).detach()
