"""Numbers at equal distances: arange and linspace. Gradients pass to their ends and steps."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt, common_backend, number_of
from ..autograd.graph import Value, make
from ..backends import default_device, device_of, dtypes, get, resolve
from . import nested_lists
from .arguments import integer, sizes_of
from .data_type import astype
from .joining import concat
from .manipulation import reshape

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["arange", "linspace"]


def new_array(name: str, device: str | None, dtype: DTypeLike, default: Any, *args: Any) -> Variable:
    """The array that the standard's function ``name`` makes on a device of these arguments."""
    device = default_device() if device is None else resolve(device)
    backend = get(device)
    native = backend.native_dtype(default if dtype is None else dtype)
    return make(backend.new(name, device, native, *args))


def python_number(name: str, what: str, value: Any) -> Any:
    """The argument ``what`` of the function ``name`` as a Python number.

    Raises
    ------
    TypeError
        If the value is not a number of Python or NumPy.
    """
    number = number_of(value)
    if number is None:
        raise TypeError(
            f"{name}: {what} is a number or an array without dimensions, not {value!r} of type {type(value).__name__}"
        )
    return number


def arange(
    start: ArrayLike,
    /,
    stop: ArrayLike | None = None,
    step: ArrayLike = 1,
    *,
    dtype: DTypeLike = None,
    device: str | None = None,
) -> Variable:
    """Numbers from ``start`` in steps of ``step``, without ``stop``. With one argument, from 0 to that number.

    Parameters
    ----------
    start, stop, step : number, or Variable or array without dimensions
        Their values are read, because they decide how many numbers there are. Gradients pass to ``start`` and ``step``.
    dtype : dtype, optional
        Default: the dtype of the arrays; for numbers, int64 or float32 by their kind.
    device : str, optional
        Default: the device of the arrays; for numbers, the default device.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If ``step`` is 0, or an array has dimensions.
    """
    if stop is None:
        start, stop = 0, start
    given = {"start": start, "stop": stop, "step": step}
    if any(map(nested_lists.is_array, given.values())):
        return _arange_of_arrays(given, dtype, device)
    numbers = [python_number("arange", name, value) for name, value in given.items()]
    if numbers[2] == 0:
        raise ValueError("arange: step is 0")
    default = dtypes.float32 if any(isinstance(n, float) for n in numbers) else dtypes.int64
    return new_array("arange", device, dtype, default, *numbers)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: DTypeLike = None, device: str | None = None, endpoint: bool = True
) -> Variable:
    """``num`` numbers at equal distances from ``start`` to ``stop``.

    Parameters
    ----------
    start, stop : number, or Variable or array without dimensions
        Gradients pass to both.
    num : int
    dtype : dtype, optional
        Default: the dtype of the arrays; for numbers, float32 or complex64.
    device : str, optional
        Default: the device of the arrays; for numbers, the default device.
    endpoint : bool
        Whether ``stop`` is the last number. If not, it is left out.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If ``num`` is negative, or an array has dimensions.
    """
    (count,) = sizes_of("linspace", integer("linspace", "num", num))
    given = {"start": start, "stop": stop}
    if any(map(nested_lists.is_array, given.values())):
        return _linspace_of_arrays(given, count, dtype, device, endpoint)
    numbers = [python_number("linspace", name, value) for name, value in given.items()]
    default = dtypes.complex64 if any(isinstance(n, complex) for n in numbers) else dtypes.float32
    return new_array("linspace", device, dtype, default, *numbers, count, endpoint)


# -- between arrays ----------------------------------------------------------------------------------------------------
def _on_one_device(name: str, given: dict[str, Any], device: str | None) -> tuple[list[Any], Any, str]:
    """The arguments of the function ``name``, their common dtype and their device.

    Arrays become Variables on the device. Python numbers stay as they are.
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


def _as_dtype(value: Any, dtype: DTypeLike, device: str) -> Variable:
    if isinstance(value, Value):
        return astype(value, dtype, copy=False)
    return nested_lists.variable_of_numbers(value, dtype, device)


def _arange_of_arrays(given: dict[str, Any], dtype: DTypeLike, device: str | None) -> Variable:
    """`arange` of ``start``, ``stop`` and ``step``, if one or more of them are arrays."""
    values, natural, device = _on_one_device("arange", given, device)
    numbers = [value.item() if isinstance(value, Value) else value for value in values]
    if any(isinstance(number, complex) for number in numbers):
        raise TypeError(f"arange: {' to '.join(map(str, numbers[:2]))} is no range of real numbers; see linspace")
    start, stop, step = numbers
    target = natural if dtype is None else dtypes.as_dtype(dtype)
    if target.kind in "iub" or step == 0 or not (isinstance(values[0], Value) or isinstance(values[2], Value)):
        return arange(start, stop, step, dtype=target, device=device)  # no argument has a gradient
    indices = arange(max(0, ceil((stop - start) / step)), dtype=dtypes.int64, device=device)
    return _as_dtype(values[0], target, device) + astype(indices, target) * _as_dtype(values[2], target, device)


def _linspace_of_arrays(
    given: dict[str, Any], num: int, dtype: DTypeLike, device: str | None, endpoint: bool
) -> Variable:
    """`linspace` from ``start`` to ``stop``, if one or both of them are arrays."""
    values, natural, device = _on_one_device("linspace", given, device)
    target = natural if dtype is None else dtypes.as_dtype(dtype)
    floating = target if dtypes.is_floating(target) else dtypes.float32
    start, stop = [_as_dtype(value, floating, device) for value in values]
    real_dtype = dtypes.float64 if floating in (dtypes.float64, dtypes.complex128) else dtypes.float32
    fractions = linspace(0.0, 1.0, num, dtype=real_dtype, device=device, endpoint=endpoint)
    out = start + (stop - start) * fractions
    if endpoint and num > 1:  # the last number is ``stop`` itself, without rounding
        out = concat([out[:-1], reshape(stop, (1,))])
    return out if dtype is None else astype(out, target, copy=False)
