"""Nested lists that hold arrays, joined to one Variable of one dtype.

Gradients pass through to the Variables in the lists. Python's numbers in the lists are weak, as beside arrays
elsewhere. `rustorch.backends.convert` makes arrays of lists that hold numbers alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt, common_backend
from ..autograd.graph import Value, make
from ..backends import device_of, dtypes, get, of, resolve
from ..backends.convert import elements, examples, host_array, nests
from ..backends.promotion import is_number, is_numpy_scalar, promoted, promoted_with_scalar, raised_by_numbers
from .data_type import astype
from .joining import stack

if TYPE_CHECKING:
    from ..typing import DTypeLike
    from ..variable import Variable


def is_array(value: Any) -> bool:
    """Whether a value is a Variable or an array. NumPy's scalars are not."""
    return isinstance(value, Value) or (of(value) is not None and not is_numpy_scalar(value))


def holds_variables(data: Any) -> bool:
    """Whether nested sequences hold a Variable."""
    return nests(type(data)) and any(issubclass(kind, Value) for kind in examples(data))


def holds_tracked(data: Any) -> bool:
    """Whether nested sequences hold a Variable that requires grad."""
    return holds_variables(data) and any(isinstance(leaf, Value) and leaf._tracked for leaf in elements(data)[1])


def holds_arrays(data: Any) -> bool:
    """Whether nested sequences hold what NumPy cannot join: a Variable, or an array of another library."""
    if not nests(type(data)):
        return False
    return any(
        is_array(value) and (isinstance(value, Value) or of(value) is not get("cpu"))
        for value in examples(data).values()
    )


def natural_dtype(leaves: list[Any]) -> Any:
    """The dtype of a list with these elements.

    Arrays and NumPy's scalars decide. Python numbers of a higher kind raise the dtype. An empty list is float32.
    """
    out: Any = None
    for leaf in leaves:
        if is_array(leaf):
            dtype = adopt(leaf, "asarray").dtype
            out = dtype if out is None else promoted(out, dtype)
    for leaf in leaves:
        if is_numpy_scalar(leaf):
            out = leaf.dtype if out is None else promoted_with_scalar(out, leaf.dtype)
    numbers = [type(leaf) for leaf in leaves if is_number(type(leaf))]
    if out is None:
        out = dtypes.bool if numbers else dtypes.float32
    return raised_by_numbers(out, numbers)


def variable_of_list(data: Any, dtype: DTypeLike = None) -> Variable:
    """One Variable of nested sequences that hold arrays, on the device of these arrays.

    Parameters
    ----------
    data : nested sequences of numbers, arrays and Variables
    dtype : dtype, optional
        Default: `natural_dtype`.

    Raises
    ------
    ValueError
        If the sequences are ragged.
    RuntimeError
        If arrays are on different devices.
    TypeError
        If the standard leaves the mixture of dtypes undefined, or an element is not a number.
    OverflowError
        If a number does not fit into the dtype.
    """
    leaves = elements(data)[1]
    for leaf in leaves:
        if not (is_array(leaf) or is_numpy_scalar(leaf) or is_number(type(leaf))):
            raise TypeError(f"an array holds numbers; {leaf!r} of type {type(leaf).__name__} is none")
    arrays = [adopt(leaf, "asarray") for leaf in leaves if is_array(leaf)]
    common_backend("asarray", arrays)
    target = natural_dtype(leaves) if dtype is None else dtypes.as_dtype(dtype)
    return _stacked(data, target, device_of(arrays[0]._native))


def _stacked(data: Any, dtype: Any, device: str) -> Variable:
    if is_array(data):
        return astype(adopt(data, "asarray"), dtype, copy=False)
    if any(map(is_array, examples(data).values())):
        return stack([_stacked(item, dtype, device) for item in data])
    return variable_of_numbers(data, dtype, device)


def variable_of_numbers(data: Any, dtype: DTypeLike, device: str | None) -> Variable:
    """A Variable of a number, or of nested sequences of numbers. Each number is converted once."""
    device = resolve(device)
    return make(get(device).from_numpy(host_array(data, dtype), device))
