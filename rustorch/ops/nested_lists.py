"""Nested lists that hold arrays: joined to one array of one dtype, through which gradients go on to the Variables.

Python's numbers in them are weak, as beside arrays elsewhere: see `rustorch.backends.convert`, which makes arrays of
numbers alone.
"""

from __future__ import annotations

from typing import Any

from ..autograd.check import adopt, common_backend
from ..autograd.graph import Value, make
from ..backends import device_of, dtypes, get, of, resolve
from ..backends.convert import elements, examples, host_array, nests
from ..backends.promotion import is_number, is_numpy_scalar, promoted, promoted_with_scalar, raised_by_numbers
from .data_type import astype
from .joining import stack


def is_array(value: Any) -> bool:
    """Whether a value is a Variable or an array, and no scalar of NumPy's."""
    return isinstance(value, Value) or (of(value) is not None and not is_numpy_scalar(value))


def holds_variables(data: Any) -> bool:
    """Whether there is a Variable in nested sequences."""
    return nests(type(data)) and any(issubclass(kind, Value) for kind in examples(data))


def holds_tracked(data: Any) -> bool:
    """Whether there is a Variable that requires grad in nested sequences."""
    return holds_variables(data) and any(isinstance(leaf, Value) and leaf._tracked for leaf in elements(data)[1])


def holds_arrays(data: Any) -> bool:
    """Whether there is something in nested sequences that NumPy cannot join: a Variable, or an array of another
    library.
    """
    if not nests(type(data)):
        return False
    return any(
        is_array(value) and (isinstance(value, Value) or of(value) is not get("cpu"))
        for value in examples(data).values()
    )


def natural_dtype(leaves: list) -> Any:
    """The dtype of a list: of its arrays and NumPy scalars, raised by numbers of a higher kind; float32 where there is
    nothing.
    """
    out: Any = None
    for leaf in leaves:
        if is_array(leaf):
            theirs = adopt(leaf, "asarray").dtype
            out = theirs if out is None else promoted(out, theirs)
    for leaf in leaves:
        if is_numpy_scalar(leaf):
            out = leaf.dtype if out is None else promoted_with_scalar(out, leaf.dtype)
    numbers = [type(leaf) for leaf in leaves if is_number(type(leaf))]
    return (
        raised_by_numbers(dtypes.bool if numbers else dtypes.float32, numbers)
        if out is None
        else raised_by_numbers(out, numbers)
    )


def joined(data: Any, dtype: Any = None) -> Any:
    """One Variable of nested sequences in which there are arrays, on the device of these.

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
        If the standard leaves the mixture of dtypes undefined, or there is something that is no number.
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
    return _built(data, target, device_of(arrays[0]._native))


def _built(data: Any, dtype: Any, device: str) -> Any:
    if is_array(data):
        return astype(adopt(data, "asarray"), dtype, copy=False)
    if any(map(is_array, examples(data).values())):
        return stack([_built(item, dtype, device) for item in data])
    return of_numbers(data, dtype, device)


def of_numbers(data: Any, dtype: Any, device: str) -> Any:
    """A Variable of numbers alone; each is converted once."""
    device = resolve(device)
    return make(get(device).from_numpy(host_array(data, dtype), device))
