"""Arrays of data: of numbers, nested lists and other arrays; arrays moved between devices, and copied."""

from __future__ import annotations

from typing import Any

from ..autograd.graph import Value, make, mode
from ..autograd.primitive import Primitive
from ..backends import device_of, dtypes, from_dlpack_array, get, of, resolve, shared, transfer
from ..backends.convert import host_array
from ..backends.promotion import is_numpy_scalar
from . import nested_lists
from .data_type import astype

__all__ = ["asarray", "from_dlpack", "tensor"]

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
    backend = (
        None if isinstance(data, (bool, int, float, complex, list, tuple)) and not is_numpy_scalar(data) else of(data)
    )
    if backend is not None and not is_numpy_scalar(data):
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
    if nested_lists.holds_variables(data):
        raise TypeError(
            "a list that holds Variables is not data: join them with rustorch.stack, which keeps their gradients"
        )
    if nested_lists.holds_arrays(data):
        out = nested_lists.joined(data, dtype)
        return (out if device is None else to_device(out, device))._native
    return nested_lists.of_numbers(data, dtype, device)._native


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
    elif nested_lists.holds_arrays(obj):
        out = nested_lists.joined(obj, dtype)
    else:
        given = of(obj) is not None and not is_numpy_scalar(obj)  # an array: what it has to go through is seen below
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
    if mode.enabled and nested_lists.holds_tracked(data):
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
