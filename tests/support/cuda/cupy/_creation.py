"""Functions that make arrays. Copies from the host's memory are logged."""

from __future__ import annotations

import functools
from typing import Any

import numpy

from . import _memory
from ._array import ndarray, quiet, supported, unwrap, view, wrap, wrapped
from ._functions import checked, refuse_host_arrays
from ._log import launch, record


def array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """An array from a number, a list, an array of the host, or an array of this or another GPU."""
    if subok:
        raise NotImplementedError
    if isinstance(obj, ndarray):
        return _of_device(obj, dtype, copy, order or "K", ndmin)
    if isinstance(obj, (list, tuple)) and _has_device_arrays(obj):
        launch("stack")
        return wrapped(numpy.array(unwrap(obj), dtype))
    host = numpy.array(obj, dtype, ndmin=ndmin)
    supported(host.dtype)
    keeps_f = order in ("K", "A", None) and isinstance(obj, numpy.ndarray) and obj.flags.fnc
    made = wrap(_memory.holding(host, "F" if order == "F" or keeps_f else "C"))
    if host.ndim:
        record("h2d", "array")
    else:
        launch("fill")  # a kernel gets the number as an argument
    if blocking:
        record("sync", "array")
    return made


def _of_device(obj: ndarray, dtype: Any, copy: Any, order: str, ndmin: int) -> ndarray:
    from ._device import current

    source = obj if obj._device == current() else obj.copy()
    dtype = obj.dtype if dtype is None else supported(dtype)
    flags = source.flags
    fits = order == "K" or (flags.f_contiguous if order == "F" else flags.c_contiguous)
    made = source if dtype == source.dtype and fits and (not copy or source is not obj) else source.astype(dtype, order)
    if copy is False and made is not obj:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    if ndmin > made.ndim:
        made = view(made._values.reshape((1,) * (ndmin - made.ndim) + made.shape), made)
    return made


def _has_device_arrays(obj: Any) -> bool:
    return isinstance(obj, ndarray) or (
        isinstance(obj, (list, tuple)) and any(_has_device_arrays(part) for part in obj)
    )


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    return array(a, dtype, copy, order, blocking=blocking)


def _contiguous(order: str) -> Any:
    def make(a: Any, dtype: Any = None) -> ndarray:
        if not isinstance(a, ndarray):
            raise TypeError(
                f"Argument 'a' has incorrect type (expected cupy._core.core._ndarray_base, got {type(a).__name__})"
            )
        made = array(a, dtype, None, order)
        return made if made.ndim else made.reshape(1)

    return make


def asnumpy(a: Any, stream: Any = None, order: Any = "C", out: Any = None, *, blocking: bool = True) -> numpy.ndarray:
    return a.get() if isinstance(a, ndarray) else numpy.asarray(a)


# -- uninitialised, or filled with one number --------------------------------------------------------------------------
def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Memory that is not written yet: it reads as nan, or as -1 for integers."""
    return wrap(_memory.uninitialised(shape, dtype, order))


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _filled(empty(shape, dtype, order), 0, "zeros")


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _filled(empty(shape, dtype, order), 1, "ones")


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    refuse_host_arrays("full", [fill_value])
    if dtype is None:
        dtype = fill_value.dtype if isinstance(fill_value, ndarray) else numpy.array(fill_value).dtype
    return _filled(empty(shape, dtype, order), fill_value, "full")


def empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    if not isinstance(prototype, ndarray):
        raise TypeError(f"cupy.empty_like: Unsupported type {type(prototype)}")
    form = numpy.empty_like(prototype._values, dtype, order=order, shape=shape)
    values = _memory.holding(form, "K" if order in "KA" else order)
    block = _memory.block_of(values)
    assert block is not None
    block[...] = _memory.PATTERN
    if values.dtype.kind == "b":
        values[...] = True
    return wrap(values)


def zeros_like(a: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    return _filled(empty_like(a, dtype, order, subok, shape), 0, "zeros")


def ones_like(a: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    return _filled(empty_like(a, dtype, order, subok, shape), 1, "ones")


def full_like(
    a: ndarray, fill_value: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    refuse_host_arrays("full_like", [fill_value])
    return _filled(empty_like(a, dtype, order, subok, shape), fill_value, "full")


def _filled(made: ndarray, value: Any, name: str) -> ndarray:
    launch(name, made.size)
    with quiet():
        made._values[...] = unwrap(value)
    return made


# -- sequences ---------------------------------------------------------------------------------------------------------
def _sequence(name: str) -> Any:
    def make(*args: Any, **options: Any) -> ndarray:
        refuse_host_arrays(name, [*args, *options.values()])
        made = getattr(numpy, name)(
            *[unwrap(a) for a in args], **{key: unwrap(value) for key, value in options.items()}
        )
        launch(name, made.size)
        return wrapped(made)

    return make


class _Wrapper:
    """The DLPack capsule of another library's array, declared as memory of the host so that NumPy reads it."""

    def __init__(self, capsule: Any):
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def from_dlpack(x: Any, /, *, device: Any = None, copy: Any = None) -> ndarray:
    """An array that shares the memory of another library's array on a GPU."""
    kind, number = (int(part) for part in x.__dlpack_device__())
    if kind != 2:
        raise BufferError(
            "CPU arrays cannot be directly imported to CuPy. Use `cupy.array(numpy.from_dlpack(input))` instead."
        )
    record("other", "from_dlpack")
    try:
        capsule = x.__dlpack__(stream=1, max_version=(1, 0))
    except TypeError:  # an older producer
        capsule = x.__dlpack__(stream=1)
    made = wrap(numpy.from_dlpack(_Wrapper(capsule)))
    made._device = number
    return made


def iinfo(dtype: Any) -> numpy.iinfo:
    return numpy.iinfo(dtype.dtype if isinstance(dtype, ndarray) else dtype)


def finfo(dtype: Any) -> numpy.finfo:
    return numpy.finfo(dtype.dtype if isinstance(dtype, ndarray) else dtype)


def get_array_module(*args: Any) -> Any:
    import cupy

    return cupy if any(isinstance(a, ndarray) for a in args) else numpy


_WITH_SIGNATURES = {
    "array": array,
    "asarray": asarray,
    "asanyarray": asarray,
    "ascontiguousarray": _contiguous("C"),
    "asfortranarray": _contiguous("F"),
    "asnumpy": asnumpy,
    "empty": empty,
    "empty_like": empty_like,
    "full": full,
    "full_like": full_like,
    "ones": ones,
    "ones_like": ones_like,
    "zeros": zeros,
    "zeros_like": zeros_like,
    "arange": _sequence("arange"),
    "eye": _sequence("eye"),
    "get_array_module": get_array_module,
    "identity": _sequence("identity"),
    "linspace": _sequence("linspace"),
    "tri": _sequence("tri"),
}


@functools.cache
def table() -> dict[str, Any]:
    """The functions of this module, by name."""
    functions = {name: checked(function, name) for name, function in _WITH_SIGNATURES.items()}
    return functions | {"from_dlpack": from_dlpack, "iinfo": iinfo, "finfo": finfo}
