"""New arrays. Where no device is named they are made on the default device; floating-point numbers are float32 by
default.
"""

from __future__ import annotations

from typing import Any

from ..autograd.check import adopt, is_scalar, keeps_gradient
from ..autograd.graph import Value, make, mode
from ..autograd.primitive import Primitive
from ..backends import device_of, dtypes, from_dlpack_array, get, of, resolve, shared, transfer
from ..backends.convert import PLAIN, fits, host_array
from ..backends.dtypes import DEFAULTS
from . import lists
from .data_type import astype
from .helpers import integer, sizes_of
from .ranges import arange, linspace, made, number

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid",
    "ones", "ones_like", "tensor", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip

_to_device = Primitive(
    "to_device",
    lambda xp, x, /, device, source: transfer(x, device),
    register=False,
    x=lambda xp, g, source: _moved(g, source),
)
_clone = Primitive("clone", lambda xp, x, /: xp.asarray(x, copy=True), register=False, x=lambda xp, g: g)


def _moved(g: Any, device: str) -> Any:
    return to_device(g, device) if isinstance(g, Value) else transfer(g, device)


def to_device(x: Any, device: Any) -> Any:
    """The Variable on a device: itself if it is there; else a copy, through which a gradient finds its way back."""
    here, there = device_of(x._native), resolve(device)
    return x if here == there else _to_device(x, there, here)


def clone(x: Any) -> Any:
    """A copy with a place in the graph."""
    return _clone(x)


# -- from data ---------------------------------------------------------------------------------------------------------
def native_array(data: Any, dtype: Any, device: Any) -> Any:
    """A native array of any data but a Variable: an array's own memory if nothing has to change."""
    backend = None if isinstance(data, (bool, int, float, complex, list, tuple)) and not is_scalar(data) else of(data)
    if backend is not None and not is_scalar(data):
        native = backend.adopt(data)
        if device is not None:
            native = transfer(native, resolve(device))
        if dtype is None:
            return native
        backend = of(native)
        target = dtypes.as_dtype(dtype)
        if backend.dtype_of(native) == target:  # type: ignore[union-attr]
            return native
        return astype(make(native), target)._native
    if lists.holds_variables(data):
        raise TypeError(
            "a list that holds Variables is not data: join them with rustorch.stack, which keeps their gradients"
        )
    if lists.holds_arrays(data):
        out = lists.joined(data, dtype)
        return (out if device is None else to_device(out, device))._native
    return lists.of_numbers(data, dtype, device)._native


def asarray(obj: Any, /, *, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Any:
    """A Variable of any array, number or nested list; a Variable stays in its graph.

    Parameters
    ----------
    obj : Variable, array, number, or nested lists of numbers, arrays and Variables
        Variables in lists are stacked, and keep their gradients. Tuples, ranges and other sequences count as lists.
    dtype : dtype, optional
        Default: that of an array; bool, int64, float32 or complex64 for Python numbers. In lists, Python numbers are
        weak: the dtype comes from the arrays and NumPy scalars beside them, unless a number is of a higher kind (a
        float among integers).
    device : str, optional
        Default: where an array is; for Python numbers, the default device.
    copy : bool, optional
        True: always copy. False: never, ValueError if it would be needed. None: share memory where possible.

    Raises
    ------
    ValueError
        If lists are ragged, or ``copy=False`` cannot be kept.
    TypeError
        If there is something in them that is no number.
    OverflowError
        If a number does not fit into the dtype, as 1e300 does not into float32.
    RuntimeError
        If arrays in a list are on different devices.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.asarray([[1, 2], [3, 4]])
    Variable([[1, 2],
              [3, 4]])
    >>> x = rustorch.tensor([1.0, 2.0], dtype=rustorch.float64, requires_grad=True)
    >>> rustorch.asarray([[x[0], 0], [0.1, x[1]]])
    Variable([[1. , 0. ],
              [0.1, 2. ]], dtype=float64, grad_fn=<stack>)
    """
    if isinstance(obj, Value):
        out: Any = obj
    elif lists.holds_arrays(obj):
        out = lists.joined(obj, dtype)
    else:
        given = of(obj) is not None and not is_scalar(obj)  # an array: what it has to go through is seen below
        if copy is False and given:
            _no_copy_of("asarray", obj)
        out = make(native_array(obj, None if given else dtype, None if given else device))
    source = out._native
    if device is not None:
        out = to_device(out, device)
    if dtype is not None:
        out = astype(out, dtype, copy=False)
    if copy is False and (out._native is not source or (not isinstance(obj, Value) and of(obj) is None)):
        raise ValueError("asarray: copy=False, but this data, dtype or device needs a copy")
    if copy and out._native is source:
        return clone(out)
    return out


def _no_copy_of(name: str, array: Any) -> None:
    """Refuse ``copy=False`` for the one kind of array that cannot be taken as it is."""
    if not getattr(array.dtype, "isnative", True):
        raise ValueError(f"{name}: copy=False, but bytes of {array.dtype} are in another order than this machine's")


def constant(values: Any, like: Any, dtype: Any = dtypes.int64) -> Any:
    """Numbers that follow from shapes and options alone, on the device of ``like``. Callers must not write
    into them.
    """
    device = device_of(like._native)
    return make(get(device).constant(host_array(values, dtype), device))


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Any:
    """A new leaf from data, always copied, as ``torch.tensor`` makes it.

    Parameters
    ----------
    data : number, nested lists of numbers, or array
        Tuples, ranges, deques and other sequences count as lists. Variables in them are read; they must not require
        grad.
    dtype : dtype, optional
        Default as in `asarray`.
    device : str, optional
    requires_grad : bool

    Raises
    ------
    TypeError
        If a list holds Variables that require grad, whose gradients would be lost; or something that is no number.
    ValueError, OverflowError
        As `asarray`.
    """
    if mode.enabled and lists.holds_tracked(data):
        raise TypeError(
            "tensor makes leaves, and a list that holds Variables that require grad is none: join them with "
            "rustorch.stack or "
            "asarray, which keep their gradients; or take x.detach()"
        )
    out = asarray(data.detach() if isinstance(data, Value) else data, dtype=dtype, device=device, copy=True)
    return out.requires_grad_() if requires_grad else out


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Any:
    """A Variable around the memory of any object that speaks DLPack (arrays of other libraries).

    Parameters
    ----------
    x : object with ``__dlpack__`` and ``__dlpack_device__``
    device : str, optional
        Default: the one of its library ("torch" for a tensor of PyTorch), "cpu" or "cuda" if rustorch does not know
        that. Memory of the host, or of the same GPU, is shared with NumPy, CuPy and PyTorch; elsewhere it is copied, as
        is memory that is read-only or steps backwards, for PyTorch knows neither. On its own device, a read-only array
        stays one.
    copy : bool, optional
        True: always copy; False: ValueError where a copy is needed.

    Raises
    ------
    AttributeError
        If ``x`` does not speak DLPack.
    BufferError
        If ``x`` is a Variable that requires grad.
    ValueError
        If ``copy=False`` cannot be held, or the memory is neither the host's nor a GPU's.

    Examples
    --------
    >>> import numpy as np
    >>> import rustorch
    >>> a = np.zeros(2)
    >>> x = rustorch.from_dlpack(a)
    >>> a[0] = 1.0
    >>> x
    Variable([1., 0.], dtype=float64)
    """
    if isinstance(x, Value) and x._tracked:
        raise BufferError("from_dlpack of a Variable that requires grad would lose its gradient; use .detach() first")
    native = x._native if isinstance(x, Value) else from_dlpack_array(x)
    if copy is False and hasattr(x, "dtype"):
        _no_copy_of("from_dlpack", x)
    if device is None or resolve(device) == device_of(native):
        return clone(make(native)) if copy else make(native)
    same = None if copy else shared(native, resolve(device))
    if same is not None:
        return make(same)
    if copy is False:
        raise ValueError(
            f"from_dlpack: copy=False, but the data is on {device_of(native)!r} and shall go to {device!r}"
        )
    return to_device(make(native), device)


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
    if lists.is_array(fill_value):
        return _filled("full", sizes, fill_value, dtype, device)
    value = number("full", "a fill value", fill_value)
    target = DEFAULTS["bifc"[PLAIN.index(type(value))]] if dtype is None else dtypes.as_dtype(dtype)
    fits(value, target)
    return made("full", device, target, target, sizes, value)


def _filled(name: str, sizes: tuple[int, ...], value: Any, dtype: Any, device: Any) -> Any:
    from .manipulation import broadcast_to

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
    if lists.is_array(fill_value):
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
    from .manipulation import broadcast_to, reshape

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
