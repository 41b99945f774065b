"""New arrays: zeros, ones, constants, identity matrices, grids and triangles.

Without a device, arrays are made on the default device. Without a dtype, floating-point numbers are float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..autograd.check import adopt, keeps_gradient
from ..autograd.primitive import Primitive
from ..backends import device_of, dtypes, resolve
from ..backends.convert import fits
from ..backends.promotion import dtype_of_numbers
from . import nested_lists
from .arguments import integer, sizes_of
from .data_type import astype
from .from_data import asarray, clone, from_dlpack, tensor, to_device
from .manipulation import broadcast_to, reshape
from .number_ranges import arange, linspace, new_array, python_number

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike, Shape
    from ..variable import Variable

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid",
    "ones", "ones_like", "tensor", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip


# -- of a shape --------------------------------------------------------------------------------------------------------
def zeros(shape: int | Sequence[int], *, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """An array of zeros.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : dtype, optional
        Default: float32.
    device : str, optional
        Default: the default device.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If a size is negative.
    """
    return new_array("zeros", device, dtype, dtypes.float32, sizes_of("zeros", shape))


def ones(shape: int | Sequence[int], *, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """An array of ones; parameters as in `zeros`."""
    return new_array("ones", device, dtype, dtypes.float32, sizes_of("ones", shape))


def empty(shape: int | Sequence[int], *, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """An array whose elements are arbitrary until they are written; parameters as in `zeros`."""
    return new_array("empty", device, dtype, dtypes.float32, sizes_of("empty", shape))


def full(
    shape: int | Sequence[int], fill_value: ArrayLike, *, dtype: DTypeLike = None, device: str | None = None
) -> Variable:
    """An array with one number everywhere.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : number, or Variable or array without dimensions
        The gradient of a Variable is the sum of the gradients of all elements.
    dtype : dtype, optional
        Default: the dtype of a Variable or array; for a number bool, int64, float32 or complex64, by its kind.
    device : str, optional
        Default: the device of a Variable or array; for a number, the default device.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If ``fill_value`` has dimensions.
    OverflowError
        If the number does not fit into the dtype.
    """
    sizes = sizes_of("full", shape)
    if nested_lists.is_array(fill_value):
        return _filled_with_array("full", sizes, fill_value, dtype, device)
    value = python_number("full", "a fill value", fill_value)
    target = dtype_of_numbers([type(value)]) if dtype is None else dtypes.as_dtype(dtype)
    fits(value, target)
    return new_array("full", device, target, target, sizes, value)


def _filled_with_array(
    name: str, sizes: Shape, fill_value: ArrayLike, dtype: DTypeLike, device: str | None
) -> Variable:
    value = adopt(fill_value, name)
    if value.ndim:
        raise ValueError(
            f"{name}: a fill value has no dimensions, this one has the shape {value.shape}; write "
            f"rustorch.broadcast_to(x, {sizes})"
        )
    if device is not None:
        value = to_device(value, device)
    if dtype is not None:
        value = astype(value, dtype, copy=False)
    return clone(broadcast_to(value, sizes))


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DTypeLike = None, device: str | None = None
) -> Variable:
    """A matrix with ones on its k-th diagonal and zeros elsewhere.

    Parameters
    ----------
    n_rows : int
    n_cols : int, optional
        Default: ``n_rows``.
    k : int
        0 is the main diagonal; positive diagonals are above it, negative ones below.
    dtype : dtype, optional
        Default: float32.
    device : str, optional

    Returns
    -------
    Variable
        Of shape (n_rows, n_cols).
    """
    rows = integer("eye", "n_rows", n_rows)
    rows, columns = sizes_of("eye", (rows, rows if n_cols is None else n_cols))
    return new_array("eye", device, dtype, dtypes.float32, rows, columns, integer("eye", "k", k))


# -- of the shape of another array -------------------------------------------------------------------------------------
def _like(name: str, x: ArrayLike, dtype: DTypeLike, device: str | None) -> tuple[Variable, str, DTypeLike]:
    """``x`` as a Variable, and the device and dtype of an array like it."""
    x = adopt(x, name)
    return x, device_of(x._native) if device is None else resolve(device), x.dtype if dtype is None else dtype


def zeros_like(x: ArrayLike, /, *, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """Zeros with the shape, dtype and device of another array."""
    x, device, dtype = _like("zeros_like", x, dtype, device)
    return zeros(x.shape, dtype=dtype, device=device)


def ones_like(x: ArrayLike, /, *, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """Ones with the shape, dtype and device of another array."""
    x, device, dtype = _like("ones_like", x, dtype, device)
    return ones(x.shape, dtype=dtype, device=device)


def empty_like(x: ArrayLike, /, *, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """An array as from `empty`, with the shape, dtype and device of another array."""
    x, device, dtype = _like("empty_like", x, dtype, device)
    return empty(x.shape, dtype=dtype, device=device)


def full_like(
    x: ArrayLike, /, fill_value: ArrayLike, *, dtype: DTypeLike = None, device: str | None = None
) -> Variable:
    """One number everywhere, with the shape, dtype and device of another array; otherwise as `full`.

    Raises
    ------
    TypeError
        If the fill value requires grad and the result is an array of integers.
    """
    dtype_is_given = dtype is not None
    x, device, dtype = _like("full_like", x, dtype, device)
    if nested_lists.is_array(fill_value):
        if not dtype_is_given:
            keeps_gradient("full_like(x, value)", fill_value, dtype)
        return _filled_with_array("full_like", x.shape, fill_value, dtype, device)
    return full(x.shape, fill_value, dtype=dtype, device=device)


# -- grids and triangles -----------------------------------------------------------------------------------------------
def meshgrid(*arrays: ArrayLike, indexing: str = "xy") -> tuple[Variable, ...]:
    """The coordinates of the points of a grid, one array for each dimension of the grid.

    Parameters
    ----------
    *arrays : Variable or array, (n_i,)
        The coordinates along each dimension.
    indexing : {"xy", "ij"}
        Whether the first coordinate changes along the second axis ("xy") or along the first axis ("ij").

    Returns
    -------
    tuple of Variable
        All have the shape of the grid: (n_1, n_0, n_2, ...) for "xy", (n_0, n_1, n_2, ...) for "ij".
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    coordinates = [adopt(x, "meshgrid", arrays) for x in arrays]
    for x in coordinates:
        if x.ndim != 1:
            raise ValueError(f"meshgrid: coordinates have one dimension, not the shape {x.shape}")
    axes = list(range(len(coordinates)))
    if indexing == "xy" and len(axes) > 1:
        axes[0], axes[1] = 1, 0
    shape = [0] * len(axes)
    for axis, x in zip(axes, coordinates, strict=True):
        shape[axis] = x.shape[0]
    return tuple(
        [
            broadcast_to(reshape(x, tuple([x.shape[0] if i == axis else 1 for i in range(len(axes))])), tuple(shape))
            for axis, x in zip(axes, coordinates, strict=True)
        ]
    )


_tril = Primitive("tril", lambda xp, x, /, k: xp.tril(x, k=k), x=lambda xp, g, k: xp.tril(g, k=k))
_triu = Primitive("triu", lambda xp, x, /, k: xp.triu(x, k=k), x=lambda xp, g, k: xp.triu(g, k=k))


def _matrices_of(x: ArrayLike, name: str) -> Variable:
    x = adopt(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name} needs at least two dimensions, not the shape {x.shape}")
    return x


def tril(x: ArrayLike, /, *, k: int = 0) -> Variable:
    """The lower triangles of matrices, (..., m, n), with the k-th diagonal; zeros above it."""
    return _tril(_matrices_of(x, "tril"), integer("tril", "k", k))


def triu(x: ArrayLike, /, *, k: int = 0) -> Variable:
    """The upper triangles of matrices, (..., m, n), with the k-th diagonal; zeros below it."""
    return _triu(_matrices_of(x, "triu"), integer("triu", "k", k))
