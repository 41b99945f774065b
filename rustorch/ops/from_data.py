"""Variables made of data: numbers, nested lists and other arrays; copies, and moves between devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.graph import VARIABLES, Value, make
from ..autograd.modes import mode
from ..autograd.primitive import Primitive
from ..backends import device_of, dtypes, from_dlpack_array, get, of, resolve, shared, transfer
from ..backends.convert import host_array
from ..backends.promotion import PYTHON_SCALARS, is_numpy_scalar
from . import nested_lists
from .data_type import astype

if TYPE_CHECKING:
    from ..typing import Array, DTypeLike
    from ..variable import Variable

__all__ = ["asarray", "from_dlpack", "tensor"]

_to_device = Primitive(
    "to_device",
    lambda xp, x, /, device, source: transfer(x, device),
    register=False,
    x=lambda xp, g, source: _moved(g, source),
)
_clone = Primitive("clone", lambda xp, x, /: xp.asarray(x, copy=True), register=False, x=lambda xp, g: g)


def _moved(g: Array, device: str) -> Array:
    return to_device(g, device) if type(g) in VARIABLES else transfer(g, device)


def to_device(x: Variable, device: str | None) -> Variable:
    """``x`` on a device: ``x`` itself if it is there already, else a copy. Gradients pass back through the copy."""
    source, target = device_of(x._native), resolve(device)
    return x if source == target else _to_device(x, target, source)


def clone(x: Variable) -> Variable:
    """A copy with a place in the graph."""
    return _clone(x)


# -- from data ---------------------------------------------------------------------------------------------------------
#: Types of data that are no arrays.
_DATA_OF_PYTHON = (*PYTHON_SCALARS, list, tuple)


def native_array(data: Any, dtype: DTypeLike, device: str | None) -> Array:
    """A native array of data that is not a Variable. It shares an array's memory if nothing has to change."""
    backend = None if isinstance(data, _DATA_OF_PYTHON) and not is_numpy_scalar(data) else of(data)
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
        out = nested_lists.variable_of_list(data, dtype)
        return (out if device is None else to_device(out, device))._native
    return nested_lists.variable_of_numbers(data, dtype, device)._native


def asarray(obj: Any, /, *, dtype: DTypeLike = None, device: str | None = None, copy: bool | None = None) -> Variable:
    """A Variable of an array, a number or a nested list. A Variable keeps its place in the graph.

    Parameters
    ----------
    obj : Variable, array, number, or nested lists of numbers, arrays and Variables
        Variables in lists are stacked and keep their gradients. Tuples, ranges and other sequences count as lists.
    dtype : dtype, optional
        Default: the dtype of an array; bool, int64, float32 or complex64 for Python numbers. In lists, Python numbers
        are weak: the arrays and NumPy scalars beside them decide the dtype, unless a number is of a higher kind (a
        float among integers).
    device : str, optional
        Default: the device of an array; for Python numbers, the default device.
    copy : bool, optional
        True: always copy. False: never copy, and raise ValueError if a copy is needed. None: share memory where
        possible.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If lists are ragged, or ``copy=False`` and a copy is needed.
    TypeError
        If an element of a list is not a number.
    OverflowError
        If a number does not fit into the dtype, as 1e300 does not fit into float32.
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
        out: Variable = obj  # type: ignore[assignment] # every Value is a Variable
    elif nested_lists.holds_arrays(obj):
        out = nested_lists.variable_of_list(obj, dtype)
    else:
        is_array = of(obj) is not None and not is_numpy_scalar(obj)  # dtype and device of an array are changed below
        if copy is False and is_array:
            _refuse_foreign_byte_order("asarray", obj)
        out = make(native_array(obj, None if is_array else dtype, None if is_array else device))
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


def _refuse_foreign_byte_order(name: str, array: Any) -> None:
    """Refuse ``copy=False`` for an array whose bytes are in another order than this machine's."""
    if not getattr(array.dtype, "isnative", True):
        raise ValueError(f"{name}: copy=False, but bytes of {array.dtype} are in another order than this machine's")


def constant(values: Any, like: Variable, dtype: DTypeLike = dtypes.int64) -> Variable:
    """Numbers on the device of ``like``, for functions that compute with them. Callers must not write into them.

    Parameters
    ----------
    values : nested lists of numbers, or NumPy array
        They follow from shapes and options alone, not from the values of arrays.
    like : Variable
    dtype : dtype
    """
    device = device_of(like._native)
    return make(get(device).constant(host_array(values, dtype), device))


def tensor(data: Any, dtype: DTypeLike = None, device: str | None = None, requires_grad: bool = False) -> Variable:
    """A new leaf with a copy of the data, as ``torch.tensor`` makes it.

    Parameters
    ----------
    data : number, nested lists of numbers, or array
        Tuples, ranges, deques and other sequences count as lists. Variables in lists must not require grad.
    dtype : dtype, optional
        Default as in `asarray`.
    device : str, optional
    requires_grad : bool

    Returns
    -------
    Variable

    Raises
    ------
    TypeError
        If a list holds a Variable that requires grad, because its gradient would be lost; or an element that is not a
        number.
    ValueError, OverflowError
        As `asarray`.
    """
    if mode.enabled and nested_lists.holds_tracked(data):
        raise TypeError(
            "tensor makes leaves, and a list that holds Variables that require grad cannot become one: join them with "
            "rustorch.stack or asarray, which keep their gradients; or take x.detach()"
        )
    out = asarray(data.detach() if isinstance(data, Value) else data, dtype=dtype, device=device, copy=True)
    return out.requires_grad_() if requires_grad else out


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Variable:
    """A Variable around the memory of an object that speaks DLPack, such as an array of another library.

    Parameters
    ----------
    x : object with ``__dlpack__`` and ``__dlpack_device__``
    device : str, optional
        Default: the device of its library ("torch" for a tensor of PyTorch), or "cpu" or "cuda" if rustorch does not
        know the library. Memory of the host or of the same GPU is shared with NumPy, CuPy and PyTorch; other memory is
        copied. PyTorch gets a copy of memory that is read-only or has a negative stride, because it supports neither.
        A read-only array that stays on its device stays read-only.
    copy : bool, optional
        True: always copy. False: raise ValueError if a copy is needed.

    Returns
    -------
    Variable

    Raises
    ------
    AttributeError
        If ``x`` does not speak DLPack.
    BufferError
        If ``x`` is a Variable that requires grad.
    ValueError
        If ``copy=False`` and a copy is needed, or the memory is neither the host's nor a GPU's.

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
        _refuse_foreign_byte_order("from_dlpack", x)
    if device is None or resolve(device) == device_of(native):
        return clone(make(native)) if copy else make(native)
    shared_native = None if copy else shared(native, resolve(device))
    if shared_native is not None:
        return make(shared_native)
    if copy is False:
        raise ValueError(f"from_dlpack: copy=False, but moving data from {device_of(native)!r} to {device!r} copies it")
    return to_device(make(native), device)
