"""`rustorch.arange` and `rustorch.linspace` between arrays without dimensions: gradients go on to the ends and the step."""

from __future__ import annotations

from math import ceil
from typing import Any

from ..autograd.check import adopt, common_backend, number_of
from ..autograd.graph import Value
from ..backends import device_of, dtypes
from . import lists
from .data_type import astype


def _brought(name: str, given: dict[str, Any], device: Any) -> tuple[list[Any], Any, str]:
    """Python numbers as they are and arrays as Variables on one device; the dtype that all have together, and the device."""
    from .creation import to_device

    values = []
    for what, value in given.items():
        number = number_of(value)
        values.append(adopt(value, name) if number is None else number)
        shape = getattr(values[-1], "shape", ())
        if shape:
            raise ValueError(f"{name}: {what} is one number, not an array of the shape {shape}")
    arrays = [value for value in values if isinstance(value, Value)]
    common_backend(name, arrays)
    device = device_of(arrays[0]._native) if device is None else device
    dtype = lists.natural_dtype(values)
    return [to_device(value, device) if isinstance(value, Value) else value for value in values], dtype, device


def _of_dtype(value: Any, dtype: Any, device: str) -> Any:
    return astype(value, dtype, copy=False) if isinstance(value, Value) else lists.of_numbers(value, dtype, device)


def arange(given: dict[str, Any], dtype: Any, device: Any) -> Any:
    """`rustorch.arange` of ``start``, ``stop`` and ``step``, of which one or more are arrays."""
    from . import creation

    values, natural, device = _brought("arange", given, device)
    numbers = [value.item() if isinstance(value, Value) else value for value in values]
    if any(isinstance(number, complex) for number in numbers):
        raise TypeError(f"arange: {' to '.join(map(str, numbers[:2]))} is no range of real numbers; see linspace")
    start, stop, step = numbers
    target = natural if dtype is None else dtypes.as_dtype(dtype)
    if target.kind in "iub" or step == 0 or not (isinstance(values[0], Value) or isinstance(values[2], Value)):
        return creation.arange(start, stop, step, dtype=target, device=device)  # nothing has a gradient
    places = creation.arange(max(0, ceil((stop - start) / step)), dtype=dtypes.int64, device=device)
    return _of_dtype(values[0], target, device) + astype(places, target) * _of_dtype(values[2], target, device)


def linspace(given: dict[str, Any], num: int, dtype: Any, device: Any, endpoint: bool) -> Any:
    """`rustorch.linspace` from ``start`` to ``stop``, of which one or both are arrays."""
    from . import creation
    from .manipulation import concat, reshape

    values, natural, device = _brought("linspace", given, device)
    target = natural if dtype is None else dtypes.as_dtype(dtype)
    floating = target if dtypes.is_floating(target) else dtypes.float32
    start, stop = [_of_dtype(value, floating, device) for value in values]
    parts = dtypes.float64 if floating in (dtypes.float64, dtypes.complex128) else dtypes.float32
    shares = creation.linspace(0.0, 1.0, num, dtype=parts, device=device, endpoint=endpoint)
    out = start + (stop - start) * shares
    if endpoint and num > 1:  # the end itself, not what rounding leaves of it
        out = concat([out[:-1], reshape(stop, (1,))])
    return out if dtype is None else astype(out, target, copy=False)
