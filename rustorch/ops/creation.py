"""New arrays. Where no device is named they are made on the default device; floating-point numbers are float32 by default."""

from __future__ import annotations

from typing import Any

from ..autograd.check import adopt, is_scalar
from ..autograd.graph import Value, make
from ..autograd.primitive import Primitive
from ..backends import default_device, device_of, dtypes, from_dlpack_array, get, of, resolve, shared, transfer
from ..backends.convert import host_array
from .data_type import astype
from .helpers import sizes_of

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid", "ones", "ones_like",
    "tensor", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip

_to_device = Primitive("to_device", lambda xp, x, /, device, source: transfer(x, device), register=False,
                       x=lambda xp, g, source: _moved(g, source))  # fmt: skip
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
def _holds_variable(data: Any) -> bool:
    if isinstance(data, (list, tuple)):
        return any(_holds_variable(item) for item in data)
    return isinstance(data, Value)


def _stacked(data: Any, device: str | None) -> Any:
    """Nested lists that hold Variables, joined: their gradients go on to them."""
    from .manipulation import stack

    if isinstance(data, Value):
        return data
    return stack([_stacked(item, device) for item in data]) if isinstance(data, (list, tuple)) else asarray(data, device=device)


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
    if _holds_variable(data):
        raise TypeError("a list that holds Variables is not data: join them with rustorch.stack, which keeps their gradients")
    device = resolve(device)
    return get(device).from_numpy(host_array(data, dtype), device)


def asarray(obj: Any, /, *, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Any:
    """A Variable of any array, number or nested list; a Variable stays in its graph.

    Parameters
    ----------
    obj : Variable, array, number, or nested lists of numbers or Variables
        Variables in lists are stacked, and keep their gradients.
    dtype : dtype, optional
        Default: that of an array; bool, int64, float32 or complex64 for Python numbers.
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

    Examples
    --------
    >>> import rustorch
    >>> rustorch.asarray([[1, 2], [3, 4]])
    Variable([[1, 2],
              [3, 4]])
    """
    if isinstance(obj, Value):
        out: Any = obj
    elif _holds_variable(obj):
        out = _stacked(obj, device)
    else:
        given = of(obj) is not None and not is_scalar(obj)  # an array: what it has to go through is seen below
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


def constant(values: Any, like: Any, dtype: Any = dtypes.int64) -> Any:
    """Numbers that follow from shapes and options alone, on the device of ``like``. Callers must not write into them."""
    device = device_of(like._native)
    return make(get(device).constant(host_array(values, dtype), device))


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Any:
    """A new leaf from data, always copied, as ``torch.tensor`` makes it.

    Parameters
    ----------
    data : number, nested lists of numbers, or array
    dtype : dtype, optional
        Default as in `asarray`.
    device : str, optional
    requires_grad : bool
    """
    if isinstance(data, (list, tuple)) and _holds_variable(data):
        raise TypeError("tensor makes leaves, and a list that holds Variables is none: join them with rustorch.stack or asarray")
    out = asarray(data.detach() if isinstance(data, Value) else data, dtype=dtype, device=device, copy=True)
    return out.requires_grad_() if requires_grad else out


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Any:
    """A Variable around the memory of any object that speaks DLPack (arrays of other libraries).

    Parameters
    ----------
    x : object with ``__dlpack__`` and ``__dlpack_device__``
    device : str, optional
        Default: the one of its library ("torch" for a tensor of PyTorch), "cpu" or "cuda" if rustorch does not know that. Memory
        of the host, or of the same GPU, is shared with NumPy, CuPy and PyTorch; elsewhere it is copied.
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
    if device is None or resolve(device) == device_of(native):
        return clone(make(native)) if copy else make(native)
    same = None if copy else shared(native, resolve(device))
    if same is not None:
        return make(same)
    if copy is False:
        raise ValueError(f"from_dlpack: copy=False, but the data is on {device_of(native)!r} and shall go to {device!r}")
    return to_device(make(native), device)


# -- from nothing ----------------------------------------------------------------------------------------------------------
def _new(name: str, device: str | None, dtype: Any, default: Any, *args: Any) -> Any:
    device = default_device() if device is None else resolve(device)
    backend = get(device)
    native = backend.native_dtype(default if dtype is None else dtype)
    return make(backend.new(name, device, native, *args))


def zeros(shape: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """Zeros of a shape."""
    return _new("zeros", device, dtype, dtypes.float32, sizes_of("zeros", shape))


def ones(shape: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """Ones of a shape."""
    return _new("ones", device, dtype, dtypes.float32, sizes_of("ones", shape))


def empty(shape: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """An array of a shape whose elements nobody has written yet."""
    return _new("empty", device, dtype, dtypes.float32, sizes_of("empty", shape))


def _kind(value: Any) -> Any:
    kinds = ((bool, dtypes.bool), (int, dtypes.int64), (float, dtypes.float32), (complex, dtypes.complex64))
    for kind, dtype in kinds:
        if isinstance(value, kind):
            return dtype
    raise TypeError(f"a fill value is a Python number, not {value!r} of type {type(value).__name__}")


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """An array of a shape with one number everywhere."""
    return _new("full", device, dtype, _kind(fill_value), sizes_of("full", shape), fill_value)


def _like(x: Any, dtype: Any, device: Any) -> tuple[Any, str, Any]:
    x = adopt(x, "a _like function")
    return x, device_of(x._native) if device is None else resolve(device), x.dtype if dtype is None else dtype


def zeros_like(x: Any, /, *, dtype: Any = None, device: str | None = None) -> Any:
    """Zeros of another array's shape, dtype and device."""
    x, device, dtype = _like(x, dtype, device)
    return zeros(x.shape, dtype=dtype, device=device)


def ones_like(x: Any, /, *, dtype: Any = None, device: str | None = None) -> Any:
    """Ones of another array's shape, dtype and device."""
    x, device, dtype = _like(x, dtype, device)
    return ones(x.shape, dtype=dtype, device=device)


def empty_like(x: Any, /, *, dtype: Any = None, device: str | None = None) -> Any:
    """An unwritten array of another array's shape, dtype and device."""
    x, device, dtype = _like(x, dtype, device)
    return empty(x.shape, dtype=dtype, device=device)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """One number everywhere, in another array's shape, dtype and device."""
    x, device, dtype = _like(x, dtype, device)
    return full(x.shape, fill_value, dtype=dtype, device=device)


def arange(start: float, /, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: str | None = None) -> Any:
    """Numbers from ``start`` (0, if it is the only one given) in steps, ``stop`` excluded; int64 or float32 by their kind.

    Raises
    ------
    ValueError
        If ``step`` is 0.
    """
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ValueError("arange: step is 0")
    default = dtypes.float32 if any(isinstance(n, float) for n in (start, stop, step)) else dtypes.int64
    return _new("arange", device, dtype, default, start, stop, step)


def linspace(
    start: complex, stop: complex, /, num: int, *, dtype: Any = None, device: str | None = None, endpoint: bool = True
) -> Any:
    """``num`` numbers at equal distances from ``start`` to ``stop``; without ``endpoint``, ``stop`` is left out."""
    sizes_of("linspace", num)
    default = dtypes.complex64 if isinstance(start, complex) or isinstance(stop, complex) else dtypes.float32
    return _new("linspace", device, dtype, default, start, stop, num, endpoint)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: str | None = None) -> Any:
    """Ones on the k-th diagonal, zeros elsewhere."""
    rows, columns = sizes_of("eye", (n_rows, n_rows if n_cols is None else n_cols))
    return _new("eye", device, dtype, dtypes.float32, rows, columns, k)


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
    return tuple([
        broadcast_to(reshape(x, tuple([x.shape[0] if i == place else 1 for i in range(len(axes))])), tuple(shape))
        for place, x in zip(places, axes, strict=True)
    ])  # fmt: skip


# -- triangles ---------------------------------------------------------------------------------------------------------------
_tril = Primitive("tril", lambda xp, x, /, k: xp.tril(x, k=k), x=lambda xp, g, k: xp.tril(g, k=k))
_triu = Primitive("triu", lambda xp, x, /, k: xp.triu(x, k=k), x=lambda xp, g, k: xp.triu(g, k=k))


def _matrix(x: Any, name: str) -> Any:
    x = adopt(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name} needs at least two dimensions, not the shape {x.shape}")
    return x


def tril(x: Any, /, *, k: int = 0) -> Any:
    """The lower triangle of matrices, the k-th diagonal included; zeros above."""
    return _tril(_matrix(x, "tril"), k)


def triu(x: Any, /, *, k: int = 0) -> Any:
    """The upper triangle of matrices, the k-th diagonal included; zeros below."""
    return _triu(_matrix(x, "triu"), k)
