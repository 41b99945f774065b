"""Numbers at equal distances. Between arrays without dimensions, gradients go on to the ends and the step."""

from __future__ import annotations

from math import ceil
from typing import Any

from ..autograd.check import adopt, common_backend, number_of
from ..autograd.graph import Value, make
from ..backends import default_device, device_of, dtypes, get, resolve
from . import nested_lists
from .arguments import integer, sizes_of
from .data_type import astype
from .joining import concat
from .manipulation import reshape

__all__ = ["arange", "linspace"]


def made(name: str, device: str | None, dtype: Any, default: Any, *args: Any) -> Any:
    """What a backend's function of this name makes of the arguments."""
    device = default_device() if device is None else resolve(device)
    backend = get(device)
    native = backend.native_dtype(default if dtype is None else dtype)
    return make(backend.new(name, device, native, *args))


def number(name: str, what: str, value: Any) -> Any:
    """A Python number, of any number that is no array."""
    found = number_of(value)
    if found is None:
        raise TypeError(
            f"{name}: {what} is a number or an array without dimensions, not {value!r} of type {type(value).__name__}"
        )
    return found


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: str | None = None) -> Any:
    """Numbers from ``start`` (0, if it is the only one given) in steps, ``stop`` excluded; int64 or float32 by their
    kind.

    Parameters
    ----------
    start, stop, step : number, or Variable or array without dimensions
        Their values are read, for they decide how many numbers there are. Gradients go on to ``start`` and ``step``;
        dtype and device are those of the arrays, unless they are named.
    dtype : dtype, optional
    device : str, optional

    Raises
    ------
    ValueError
        If ``step`` is 0, or an array has dimensions.
    """
    if stop is None:
        start, stop = 0, start
    given = {"start": start, "stop": stop, "step": step}
    if any(map(nested_lists.is_array, given.values())):
        return _arange(given, dtype, device)
    start, stop, step = [number("arange", name, value) for name, value in given.items()]
    if step == 0:
        raise ValueError("arange: step is 0")
    default = dtypes.float32 if any(isinstance(n, float) for n in (start, stop, step)) else dtypes.int64
    return made("arange", device, dtype, default, start, stop, step)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: str | None = None, endpoint: bool = True
) -> Any:
    """``num`` numbers at equal distances from ``start`` to ``stop``; without ``endpoint``, ``stop`` is left out.

    Parameters
    ----------
    start, stop : number, or Variable or array without dimensions
        Gradients go on to both; dtype and device are those of the arrays, unless they are named.
    num : int
    dtype : dtype, optional
        Default: float32 or complex64.
    device : str, optional
    endpoint : bool

    Raises
    ------
    ValueError
        If ``num`` is negative, or an array has dimensions.
    """
    (count,) = sizes_of("linspace", integer("linspace", "num", num))
    given = {"start": start, "stop": stop}
    if any(map(nested_lists.is_array, given.values())):
        return _linspace(given, count, dtype, device, endpoint)
    start, stop = [number("linspace", name, value) for name, value in given.items()]
    default = dtypes.complex64 if isinstance(start, complex) or isinstance(stop, complex) else dtypes.float32
    return made("linspace", device, dtype, default, start, stop, count, endpoint)


# -- between arrays ----------------------------------------------------------------------------------------------------
def _brought(name: str, given: dict[str, Any], device: Any) -> tuple[list[Any], Any, str]:
    """Python numbers as they are and arrays as Variables on one device; the dtype that all have together, and the
    device.
    """
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
    dtype = nested_lists.natural_dtype(values)
    return [value.to(device) if isinstance(value, Value) else value for value in values], dtype, device


def _of_dtype(value: Any, dtype: Any, device: str) -> Any:
    return (
        astype(value, dtype, copy=False) if isinstance(value, Value) else nested_lists.of_numbers(value, dtype, device)
    )


def _arange(given: dict[str, Any], dtype: Any, device: Any) -> Any:
    """`arange` of ``start``, ``stop`` and ``step``, of which one or more are arrays."""
    values, natural, device = _brought("arange", given, device)
    numbers = [value.item() if isinstance(value, Value) else value for value in values]
    if any(isinstance(number, complex) for number in numbers):
        raise TypeError(f"arange: {' to '.join(map(str, numbers[:2]))} is no range of real numbers; see linspace")
    start, stop, step = numbers
    target = natural if dtype is None else dtypes.as_dtype(dtype)
    if target.kind in "iub" or step == 0 or not (isinstance(values[0], Value) or isinstance(values[2], Value)):
        return arange(start, stop, step, dtype=target, device=device)  # nothing has a gradient
    places = arange(max(0, ceil((stop - start) / step)), dtype=dtypes.int64, device=device)
    return _of_dtype(values[0], target, device) + astype(places, target) * _of_dtype(values[2], target, device)


def _linspace(given: dict[str, Any], num: int, dtype: Any, device: Any, endpoint: bool) -> Any:
    """`linspace` from ``start`` to ``stop``, of which one or both are arrays."""
    values, natural, device = _brought("linspace", given, device)
    target = natural if dtype is None else dtypes.as_dtype(dtype)
    floating = target if dtypes.is_floating(target) else dtypes.float32
    start, stop = [_of_dtype(value, floating, device) for value in values]
    parts = dtypes.float64 if floating in (dtypes.float64, dtypes.complex128) else dtypes.float32
    shares = linspace(0.0, 1.0, num, dtype=parts, device=device, endpoint=endpoint)
    out = start + (stop - start) * shares
    if endpoint and num > 1:  # the end itself, not what rounding leaves of it
        out = concat([out[:-1], reshape(stop, (1,))])
    return out if dtype is None else astype(out, target, copy=False)
