"""Python data as arrays: lists and numbers, with the standard's default dtypes.

Python's numbers are weak. Where arrays or NumPy's scalars stand beside them in a list, these decide the dtype, and the
numbers are converted to it once. Only the kind can rise: integers beside a float become float32, float64 beside a
complex number complex128.
"""

from __future__ import annotations

from array import array as _buffer
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy

from .dtypes import COMPLEX, admit, as_dtype, complex128
from .promotion import PYTHON_SCALARS, dtype_of_numbers, is_number, raised_by_numbers

_NO_NESTING = (str, bytes, bytearray, memoryview, _buffer)


def nests(kind: type) -> bool:
    """Whether values of a type are sequences whose items become elements: lists, tuples, ranges, deques, ..."""
    return issubclass(kind, (list, tuple)) or (issubclass(kind, Sequence) and not issubclass(kind, _NO_NESTING))


def examples(data: Any) -> dict[type, Any]:
    """What stands in nested sequences: the types of their elements, and one element of each type."""
    kind = type(data)
    if kind is range:
        return {int: 0}
    if not nests(kind):
        return {kind: data}
    found = dict(zip(map(type, data), data, strict=False))
    inner = {one for one in found if nests(one)}
    if inner:
        found = {one: value for one, value in found.items() if one not in inner}
        for item in data:
            if type(item) in inner:
                found.update(examples(item))
    return found


def elements(data: Any, place: str = "data", into: list | None = None) -> tuple[tuple[int, ...], list]:
    """The shape of nested sequences, and their elements in a flat list.

    Raises
    ------
    ValueError
        If the sequences are ragged; the message says where.
    """
    found: list = [] if into is None else into
    if not nests(type(data)):
        found.append(data)
        return tuple(getattr(data, "shape", ())), found
    first: tuple[int, ...] | None = None
    for i, item in enumerate(data):
        shape = elements(item, f"{place}[{i}]", found)[0]
        if first is None:
            first = shape
        elif shape != first:
            raise ValueError(
                f"ragged data: the nested sequences differ in length: {place}[{i}] has the shape {shape}, and "
                f"{place}[0] the shape {first}; pad them to one length first"
            )
    return (len(data), *(first or ())), found


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
        If there is something in them that is no number, or complex numbers shall become real.
    """
    found = examples(data)
    numbers = [kind for kind in found if is_number(kind)]
    plain = len(numbers) == len(found)
    target = None if dtype is None else as_dtype(dtype)
    if target is None and plain:
        target = dtype_of_numbers(numbers)
    try:
        array = numpy.asarray(data)
    except ValueError as error:
        elements(data)  # raises if they are ragged, and says where
        raise ValueError(f"cannot make an array of {type(data).__name__}: {error}") from error
    if array.size and array.dtype.kind in "Ouf" and plain and set(numbers) <= {int, bool}:  # integers beyond int64
        return _large(data, target, dtype)
    if array.dtype.kind == "O" and plain:
        array = numpy.asarray(data, complex128 if target in COMPLEX else numpy.float64)
    if array.dtype.kind not in "biufcV" or array.dtype.names:
        culprit = next(
            (value for value in found.values() if not isinstance(value, (*PYTHON_SCALARS, numpy.generic))), data
        )
        raise TypeError(
            f"an array holds numbers; {culprit!r} of type {type(culprit).__name__} is none{_as_list(culprit)}"
        )
    if target is None and numbers:
        strong = [value.dtype for value in elements(data)[1] if hasattr(value, "dtype")]
        if strong:
            target = raised_by_numbers(admitted(numpy.result_type(*strong)), numbers)
            array = _filled(data, target, array)
    if target is not None:
        return array if array.dtype == target else converted(array, target)
    admitted(array.dtype)
    return array


def admitted(dtype: numpy.dtype) -> numpy.dtype:
    """The dtype, if rustorch computes with it; of bfloat16 the backend says whether it does."""
    if dtype.name != "bfloat16":
        admit(dtype)
    return dtype


def _as_list(culprit: Any) -> str:
    if isinstance(culprit, Iterable) and not isinstance(culprit, (str, bytes, Mapping)):
        return f"; write list(...) around the {type(culprit).__name__} if it holds the numbers"
    return ""


def _large(data: Any, target: Any, named: Any) -> numpy.ndarray:
    """Integers of which NumPy made something else than int64."""
    if named is None:
        worst = max(elements(data)[1], key=abs)
        raise ValueError(f"{worst!r} does not fit into int64; name a dtype, as in dtype=rustorch.uint64")
    return _filled(data, target, None)


def _filled(data: Any, target: numpy.dtype, array: numpy.ndarray | None) -> numpy.ndarray:
    """Each element straight to the dtype: on the way over a common one, integers could lose digits."""
    try:
        with numpy.errstate(over="raise", invalid="raise"):
            return numpy.asarray(data, dtype=target)
    except (OverflowError, FloatingPointError) as error:
        raise OverflowError(
            f"a number in {_short(data)} does not fit into {target} ({error}); name a dtype that holds it"
        ) from error
    except TypeError:  # complex numbers into real ones
        if array is None:
            raise
        return converted(array, target)


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else f"{text[:57]}..."


def converted(array: numpy.ndarray, target: numpy.dtype) -> numpy.ndarray:
    """The numbers in another dtype.

    Raises
    ------
    OverflowError
        If one does not fit.
    TypeError
        From complex to real.
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
            back = array.astype(target)
            wrong = back != numpy.trunc(array) if kinds[1] in "iu" else numpy.isfinite(array) & ~numpy.isfinite(back)
        wider = "complex128" if kinds[1] == "c" else "float64"
        raise OverflowError(
            f"{array[wrong].flat[0].item()!r} does not fit into {target}; name a dtype that holds it, as in "
            f"dtype=rustorch.{wider}"
        ) from None


def fits(number: Any, dtype: numpy.dtype) -> None:
    """Raise OverflowError if a finite Python number does not fit into a dtype."""
    if type(number) is not complex and 0 <= number <= 127:
        return
    host_array(number, dtype)
