"""Python data as arrays: lists and numbers, with the standard's default dtypes."""

from __future__ import annotations

from typing import Any

import numpy

from .dtypes import DEFAULTS, as_dtype

PLAIN = (bool, int, float, complex)


def host_array(data: Any, dtype: Any = None) -> numpy.ndarray:
    """Numbers, or nested sequences of them, as a NumPy array.

    Parameters
    ----------
    data : number, or nested lists and tuples of numbers
    dtype : dtype, optional
        Default: bool, int64, float32 or complex64, by the kind of the numbers.

    Raises
    ------
    ValueError
        If the sequences are ragged.
    TypeError
        If there is something in them that is no number.
    """
    try:
        array = numpy.asarray(data)
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise ValueError(
                f"ragged data: the nested sequences differ in length ({error}); pad them to one length first"
            ) from error
        raise ValueError(f"cannot make an array of {type(data).__name__}: {error}") from error
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16:
        culprit = _culprit(data)
        raise TypeError(f"an array holds numbers; {culprit!r} of type {type(culprit).__name__} is none")
    if dtype is not None:
        return array.astype(as_dtype(dtype), copy=False)
    # numbers that came as NumPy's own (a list of numpy.float64 scalars) keep their dtype, as in numpy.asarray
    if (isinstance(data, (list, tuple)) or type(data) in PLAIN) and _is_plain(data):
        if array.dtype.kind == "u":  # an integer beyond int64
            raise ValueError(f"{data!r} does not fit into int64; name a dtype, as in dtype=rustorch.uint64")
        return array.astype(DEFAULTS[array.dtype.kind], copy=False)
    return array


def _is_plain(data: Any) -> bool:
    while isinstance(data, (list, tuple)):
        if not data:
            return True
        data = data[0]
    return type(data) in PLAIN


def _culprit(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        for item in data:
            if not isinstance(item, (bool, int, float, complex, numpy.generic)):
                return _culprit(item)
    return data
