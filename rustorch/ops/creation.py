"""New arrays. Where no device is named they are made on the default device; floating-point numbers are float32 by
default.
"""

from __future__ import annotations

from typing import Any

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
from .number_ranges import arange, linspace, made, number

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid",
    "ones", "ones_like", "tensor", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip


# -- from nothing ------------------------------------------------------------------------------------------------------
def zeros(shape: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """Zeros of a shape."""
    return made("zeros", device, dtype, dtypes.float32, sizes_of("zeros", shape))


def ones(shape: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """Ones of a shape."""
    return made("ones", device, dtype, dtypes.float32, sizes_of("ones", shape))


def empty(shape: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """An array of a shape whose elements nobody has written yet."""
    return made("empty", device, dtype, dtypes.float32, sizes_of("empty", shape))


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """An array of a shape with one number everywhere.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : number, or Variable or array without dimensions
        A Variable gets the sum of the gradients; dtype and device are its own, unless they are named.
    dtype : dtype, optional
        Default: bool, int64, float32 or complex64, by the kind of the number.
    device : str, optional

    Raises
    ------
    ValueError
        If ``fill_value`` has dimensions.
    OverflowError
        If the number does not fit into the dtype.
    """
    sizes = sizes_of("full", shape)
    if nested_lists.is_array(fill_value):
        return _filled("full", sizes, fill_value, dtype, device)
    value = number("full", "a fill value", fill_value)
    target = dtype_of_numbers([type(value)]) if dtype is None else dtypes.as_dtype(dtype)
    fits(value, target)
    return made("full", device, target, target, sizes, value)


def _filled(name: str, sizes: tuple[int, ...], value: Any, dtype: Any, device: Any) -> Any:
    value = adopt(value, name)
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


def _like(name: str, x: Any, dtype: Any, device: Any) -> tuple[Any, str, Any]:
    x = adopt(x, name)
    return x, device_of(x._native) if device is None else resolve(device), x.dtype if dtype is None else dtype


def zeros_like(x: Any, /, *, dtype: Any = None, device: str | None = None) -> Any:
    """Zeros of another array's shape, dtype and device."""
    x, device, dtype = _like("zeros_like", x, dtype, device)
    return zeros(x.shape, dtype=dtype, device=device)


def ones_like(x: Any, /, *, dtype: Any = None, device: str | None = None) -> Any:
    """Ones of another array's shape, dtype and device."""
    x, device, dtype = _like("ones_like", x, dtype, device)
    return ones(x.shape, dtype=dtype, device=device)


def empty_like(x: Any, /, *, dtype: Any = None, device: str | None = None) -> Any:
    """An unwritten array of another array's shape, dtype and device."""
    x, device, dtype = _like("empty_like", x, dtype, device)
    return empty(x.shape, dtype=dtype, device=device)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """One number everywhere, in another array's shape, dtype and device; otherwise as `full`.

    Raises
    ------
    TypeError
        If a Variable that requires grad shall become integers.
    """
    named = dtype is not None
    x, device, dtype = _like("full_like", x, dtype, device)
    if nested_lists.is_array(fill_value):
        if not named:
            keeps_gradient("full_like(x, value)", fill_value, dtype)
        return _filled("full_like", x.shape, fill_value, dtype, device)
    return full(x.shape, fill_value, dtype=dtype, device=device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: str | None = None) -> Any:
    """Ones on the k-th diagonal, zeros elsewhere."""
    rows = integer("eye", "n_rows", n_rows)
    rows, columns = sizes_of("eye", (rows, rows if n_cols is None else n_cols))
    return made("eye", device, dtype, dtypes.float32, rows, columns, integer("eye", "k", k))


def meshgrid(*arrays: Any, indexing: str = "xy") -> tuple:
    """Coordinate arrays of a grid, from one-dimensional coordinates.

    Parameters
    ----------
    *arrays : Variable or array, (n_i,)
    indexing : {"xy", "ij"}
        Whether the first coordinate runs along the second axis (xy) or the first (ij).
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    axes = [adopt(x, "meshgrid", arrays) for x in arrays]
    for x in axes:
        if x.ndim != 1:
            raise ValueError(f"meshgrid: coordinates have one dimension, not the shape {x.shape}")
    places = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        places[0], places[1] = 1, 0
    shape = [0] * len(axes)
    for place, x in zip(places, axes, strict=True):
        shape[place] = x.shape[0]
    return tuple(
        [
            broadcast_to(reshape(x, tuple([x.shape[0] if i == place else 1 for i in range(len(axes))])), tuple(shape))
            for place, x in zip(places, axes, strict=True)
        ]
    )


# -- triangles ---------------------------------------------------------------------------------------------------------
_tril = Primitive("tril", lambda xp, x, /, k: xp.tril(x, k=k), x=lambda xp, g, k: xp.tril(g, k=k))
_triu = Primitive("triu", lambda xp, x, /, k: xp.triu(x, k=k), x=lambda xp, g, k: xp.triu(g, k=k))


def _matrix(x: Any, name: str) -> Any:
    x = adopt(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name} needs at least two dimensions, not the shape {x.shape}")
    return x


def tril(x: Any, /, *, k: int = 0) -> Any:
    """The lower triangle of matrices, the k-th diagonal included; zeros above."""
    return _tril(_matrix(x, "tril"), integer("tril", "k", k))


def triu(x: Any, /, *, k: int = 0) -> Any:
    """The upper triangle of matrices, the k-th diagonal included; zeros below."""
    return _triu(_matrix(x, "triu"), integer("triu", "k", k))
