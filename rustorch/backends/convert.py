"""Arrays from Python data: numbers and nested lists, with the standard's default dtypes.

Python's numbers are weak. If arrays or NumPy's scalars stand beside them in a list, those decide the dtype, and the
numbers are converted to it. Only the kind can rise: integers beside a float become float32, float64 beside a complex
number becomes complex128. `promotion` has the rules.
"""

from __future__ import annotations

from array import array as _buffer
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy

from .dtypes import COMPLEX, admit, as_dtype, complex128
from .promotion import PYTHON_SCALARS, dtype_of_numbers, is_number, raised_by_numbers
from .symbols import Number

_NO_NESTING = (str, bytes, bytearray, memoryview, _buffer)


def nests(kind: type) -> bool:
    """Whether the items of a type's values become elements of an array, as those of lists, tuples and ranges do."""
    return issubclass(kind, (list, tuple)) or (issubclass(kind, Sequence) and not issubclass(kind, _NO_NESTING))


def examples(data: Any) -> dict[type, Any]:
    """The types of the elements of nested sequences -> one element of each type."""
    kind = type(data)
    if kind is range:
        return {int: 0}
    if not nests(kind):
        return {kind: data}
    one_of_each = dict(zip(map(type, data), data, strict=False))
    nested = {item_type for item_type in one_of_each if nests(item_type)}
    if nested:
        one_of_each = {item_type: item for item_type, item in one_of_each.items() if item_type not in nested}
        for item in data:
            if type(item) in nested:
                one_of_each.update(examples(item))
    return one_of_each


def elements(data: Any, place: str = "data", into: list[Any] | None = None) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of nested sequences, and their elements in a flat list.

    Raises
    ------
    ValueError
        If the sequences are ragged; the message says where.
    """
    flat: list[Any] = [] if into is None else into
    if not nests(type(data)):
        flat.append(data)
        return tuple(getattr(data, "shape", ())), flat
    first: tuple[int, ...] | None = None
    for i, item in enumerate(data):
        shape = elements(item, f"{place}[{i}]", flat)[0]
        if first is None:
            first = shape
        elif shape != first:
            raise ValueError(
                f"ragged data: the nested sequences differ in length: {place}[{i}] has the shape {shape}, and "
                f"{place}[0] the shape {first}; pad them to one length first"
            )
    return (len(data), *(first or ())), flat


def host_array(data: Any, dtype: Any = None) -> numpy.ndarray:
    """Numbers, or nested sequences of them, as a NumPy array.

    Parameters
    ----------
    data : number, or nested lists, tuples and other sequences of numbers
    dtype : dtype, optional
        Default: that of the arrays and NumPy scalars among them, which the kinds of Python's numbers may raise; of
        Python's numbers alone bool, int64, float32 or complex64.

    Raises
    ------
    ValueError
        If the sequences are ragged, or integers do not fit into int64 and no dtype is named.
    OverflowError
        If a number does not fit into the dtype.
    TypeError
        If they hold something that is no number, or complex numbers are to become real.
    """
    one_of_each = examples(data)
    numbers = [kind for kind in one_of_each if is_number(kind)]
    plain = len(numbers) == len(one_of_each)  # Python's numbers alone
    target = None if dtype is None else as_dtype(dtype)
    if target is None and plain:
        target = dtype_of_numbers(numbers)
    try:
        array = numpy.asarray(data)
    except ValueError as error:
        elements(data)  # raises if they are ragged, and says where
        raise ValueError(f"cannot make an array of {type(data).__name__}: {error}") from error
    if array.size and array.dtype.kind in "Ouf" and plain and set(numbers) <= {int, bool}:  # integers beyond int64
        return _large_integers(data, target, dtype)
    if array.dtype.kind == "O" and plain:
        array = numpy.asarray(data, complex128 if target in COMPLEX else numpy.float64)
    if array.dtype.kind not in "biufcV" or array.dtype.names:
        culprit = next(
            (value for value in one_of_each.values() if not isinstance(value, (*PYTHON_SCALARS, numpy.generic))), data
        )
        raise TypeError(
            f"an array holds numbers; {culprit!r} of type {type(culprit).__name__} is none{_as_list(culprit)}"
        )
    if target is None and numbers:
        strong = [value.dtype for value in elements(data)[1] if hasattr(value, "dtype")]
        if strong:
            target = raised_by_numbers(admitted(numpy.result_type(*strong)), numbers)
            array = _each_converted(data, target, array)
    if target is not None:
        return array if array.dtype == target else converted(array, target)
    admitted(array.dtype)
    return array


def admitted(dtype: numpy.dtype) -> numpy.dtype:
    """The dtype, after the check that rustorch computes with it. For bfloat16, the backend checks."""
    if dtype.name != "bfloat16":
        admit(dtype)
    return dtype


def _as_list(culprit: Any) -> str:
    """Advice for an iterable that is no sequence."""
    if isinstance(culprit, Iterable) and not isinstance(culprit, (str, bytes, Mapping)):
        return f"; write list(...) around the {type(culprit).__name__} if it holds the numbers"
    return ""


def _large_integers(data: Any, target: Any, named: Any) -> numpy.ndarray:
    """An array of integers that are too large for int64."""
    if named is None:
        worst = max(elements(data)[1], key=abs)
        raise ValueError(f"{worst!r} does not fit into int64; name a dtype, as in dtype=rustorch.uint64")
    return _each_converted(data, target, None)


def _each_converted(data: Any, target: numpy.dtype, array: numpy.ndarray | None) -> numpy.ndarray:
    """An array of a dtype to which each element is converted by itself. A common dtype first could cost digits."""
    try:
        with numpy.errstate(over="raise", invalid="raise"):
            return numpy.asarray(data, dtype=target)
    except (OverflowError, FloatingPointError) as error:
        raise OverflowError(
            f"a number in {_short(data)} does not fit into {target} ({error}); name a dtype that holds it"
        ) from error
    except TypeError:  # complex numbers do not become real
        if array is None:
            raise
        return converted(array, target)


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else f"{text[:57]}..."


def converted(array: numpy.ndarray, target: numpy.dtype) -> numpy.ndarray:
    """An array converted to another dtype.

    Raises
    ------
    OverflowError
        If a number does not fit into it.
    TypeError
        If complex numbers are to become real.
    """
    kinds = array.dtype.kind + target.kind
    if kinds[0] == "c" and kinds[1] not in "cb":
        raise TypeError(
            f"complex numbers do not fit into {target}, their imaginary part would be lost; take their real part first"
        )
    if kinds[0] in "iu" and kinds[1] in "iu" and array.size and not numpy.can_cast(array.dtype, target):
        limits = numpy.iinfo(target)
        for worst in (int(array.min()), int(array.max())):
            if not limits.min <= worst <= limits.max:
                raise OverflowError(f"{worst} does not fit into {target}; name a dtype that holds it")
    try:
        with numpy.errstate(over="raise", invalid="raise"):
            return array.astype(target, copy=False)
    except FloatingPointError:
        with numpy.errstate(all="ignore"):
            result = array.astype(target)
            if kinds[1] in "iu":
                wrong = result != numpy.trunc(array)
            else:
                wrong = numpy.isfinite(array) & ~numpy.isfinite(result)
        wider = "complex128" if kinds[1] == "c" else "float64"
        raise OverflowError(
            f"{array[wrong].flat[0].item()!r} does not fit into {target}; name a dtype that holds it, as in "
            f"dtype=rustorch.{wider}"
        ) from None


def fits(number: Any, dtype: numpy.dtype) -> None:
    """Raise OverflowError if a finite Python number does not fit into a dtype."""
    if isinstance(number, Number) or (type(number) is not complex and 0 <= number <= 127):
        return
    host_array(number, dtype)
