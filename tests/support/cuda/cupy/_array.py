"""``cupy.ndarray``: a NumPy array whose values the host can only read by waiting for the GPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy

import cupy

from . import _device, _indexing, _memory
from ._log import launch, record
from ._subnormals import flushing


class Flags:
    """The flags of an array's memory that CuPy has. NumPy has more."""

    def __init__(self, array: ndarray):
        flags = array._values.flags
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, array._base is None

    def __getitem__(self, name: str) -> bool:
        return getattr(self, name.lower())


class ndarray:
    """An array in the memory of a GPU."""

    #: The NumPy array that holds the values, the number of the GPU, and the array of which this is a view.
    _values: numpy.ndarray
    _device: int
    _base: ndarray | None

    __array_priority__ = 100
    __hash__ = None
    __slots__ = ("__weakref__", "_base", "_device", "_values")
    __module__ = "cupy"

    def __new__(
        cls, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> ndarray:
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in has no arrays in given memory")
        return wrap(_memory.uninitialised(shape, dtype, order))

    # -- attributes ----------------------------------------------------------------------------------------------------
    shape = property(lambda self: self._values.shape, lambda self, shape: _set_shape(self, shape))
    dtype = property(lambda self: self._values.dtype)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    itemsize = property(lambda self: self._values.itemsize)
    nbytes = property(lambda self: self._values.nbytes)
    strides = property(lambda self: self._values.strides)
    base = property(lambda self: self._base)
    flags = property(Flags)
    device = property(lambda self: _device.Device(self._device))
    data = property(_memory.pointer)
    T = property(lambda self: self if self.ndim < 2 else view(self._values.T, self))

    @property
    def mT(self) -> ndarray:
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return view(self._values.mT, self)

    @property
    def real(self) -> ndarray:
        return view(self._values.real, self) if self.dtype.kind == "c" else self

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> ndarray:
        return view(self._values.imag, self) if self.dtype.kind == "c" else cupy.zeros(self.shape, self.dtype)

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("cupy.ndarray does not have imaginary part to set")
        self.imag[...] = value

    # -- copies to the host: they wait ---------------------------------------------------------------------------------
    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> numpy.ndarray:
        record("sync", "get")
        return numpy.array(self._values, order=order)

    def item(self) -> Any:
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self._read("item").item()

    def tolist(self) -> Any:
        return self._read("tolist").tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self._read("tobytes").tobytes(order)

    def _read(self, name: str) -> numpy.ndarray:
        record("sync", name)
        return self._values

    def __float__(self) -> float:
        return float(self._read("float"))

    def __int__(self) -> int:
        return int(self._read("int"))

    def __complex__(self) -> complex:
        return complex(self._read("complex"))

    def __index__(self) -> int:
        return self._read("index").__index__()

    def __bool__(self) -> bool:
        if not self.size:
            warnings.warn(
                "The truth value of an empty array is ambiguous. Returning False, but in future this will result in an "
                "error. Use `array.size > 0` to check that an array is not empty.",
                DeprecationWarning,
                stacklevel=2,
            )
            return False
        if self.size > 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        return bool(self._read("bool").reshape(()))

    def __repr__(self) -> str:
        return repr(self._read("repr"))

    def __str__(self) -> str:
        return str(self._read("str"))

    def __format__(self, form: str) -> str:
        return format(self._read("format"), form)

    def __array__(self, dtype: Any = None) -> numpy.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    def __reduce__(self) -> Any:
        return cupy.array, (self.get(order="A"),)

    # -- protocols -----------------------------------------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: numpy.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        function = getattr(cupy, ufunc.__name__, None)
        if method != "__call__":
            function = getattr(function, method, None)
        if "out" in options:
            (options["out"],) = options["out"]
        known = (ndarray, numpy.ndarray, numpy.generic, bool, int, float, complex)
        if function is None or not all(isinstance(x, known) for x in inputs):
            return NotImplemented
        return function(*inputs, **options)

    def __array_function__(self, function: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        named: Any = cupy
        for part in (*function.__module__.split(".")[1:], function.__name__):
            named = getattr(named, part, None)
        if named is None or named is function or not all(issubclass(t, (ndarray, numpy.ndarray)) for t in types):
            return NotImplemented
        return named(*args, **kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        import array_api_compat.cupy

        return array_api_compat.cupy

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        if dl_device == (1, 0):  # a copy to the host
            if copy is False:
                raise ValueError("GPU memory cannot be exported to CPU without copy.")
            return self._read("dlpack").copy().__dlpack__(max_version=max_version)
        if dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("unsupported device requested.")
        if copy is True:
            raise BufferError("copy=True only supported for copy to CPU.")
        if isinstance(stream, int) and stream < -1:
            raise ValueError(
                f"On CUDA, the valid stream for DLPack is -1, 1, 2, or any larger value, but {stream} was provided"
            )
        record("other", "dlpack")
        return self._values.__dlpack__(max_version=max_version)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._device

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        address = self._values.ctypes.data if self.size else 0
        strides = None if self._values.flags.c_contiguous else self.strides
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (address, False),
            "strides": strides,
            "version": 3,
        }

    # -- elements ------------------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> ndarray:
        return _indexing.get(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _indexing.put(self, key, value)

    def fill(self, value: Any) -> None:
        if isinstance(value, ndarray):
            _device.check(value)
            if value.ndim:
                raise ValueError("non-scalar cupy.ndarray cannot be used for fill")
            value = value._values.astype(self.dtype)
        else:
            value = numpy.asarray(value, self.dtype)
            if value.ndim:
                raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        launch("fill", self.size)
        self._values[...] = value

    def take(self, indices: Any, axis: int | None = None, out: Any = None) -> ndarray:
        return cupy.take(self, indices, axis, out)

    def scatter_add(self, slices: Any, value: Any) -> None:
        warnings.warn(
            "`ndarray.scatter_add` is deprecated. Please use `cupy.add.at` instead.", DeprecationWarning, stacklevel=2
        )
        cupy.add.at(self, slices, value)

    # -- copies and views ----------------------------------------------------------------------------------------------
    def copy(self, order: str = "C") -> ndarray:
        """A copy on the current GPU, also of an array of another GPU."""
        launch("copy", self.size)
        return wrap(_memory.holding(self._values, order))

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
    ) -> ndarray:
        for name, given in (("casting", casting), ("subok", subok)):
            if given is not None:
                raise TypeError(f"{name} is not supported yet")
        dtype = supported(dtype)
        values, flags = self._values, self._values.flags
        if (
            not copy
            and dtype == self.dtype
            and (order in "KA" or (flags.c_contiguous if order == "C" else flags.f_contiguous))
        ):
            return self
        if self.dtype.kind == "c" and dtype.kind not in "bc":
            warning = numpy.exceptions.ComplexWarning
            warnings.warn("Casting complex values to real discards the imaginary part", warning, stacklevel=2)
            values = values.real
        _device.check(self)
        launch("astype", self.size)
        with quiet(), flushing(dtype.char in "fF" and dtype != self.dtype):
            layout = {"A": "F" if flags.f_contiguous and not flags.c_contiguous else "C"}.get(order, order)
            return wrap(_memory.holding(values.astype(dtype), layout))

    def view(self, dtype: Any = None, type: Any = None) -> ndarray:
        return view(self._values.view() if dtype is None else self._values.view(dtype), self)

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> ndarray:
        if len(shape) == 1 and not isinstance(shape[0], (int, numpy.integer)):
            shape = tuple(shape[0])
        return view_or_copy(self._values.reshape(shape, order=order), self)

    def ravel(self, order: str = "C") -> ndarray:
        return view_or_copy(self._values.ravel(order), self)

    def flatten(self, order: str = "C") -> ndarray:
        launch("copy", self.size)
        return wrap(_memory.holding(self._values.flatten(order)))

    def transpose(self, *axes: Any) -> ndarray:
        return view(self._values.transpose(*axes), self)

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        return view(self._values.swapaxes(axis1, axis2), self)

    def squeeze(self, axis: Any = None) -> ndarray:
        return view(self._values.squeeze(axis), self)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        return view(self._values.diagonal(offset, axis1, axis2), self)

    def sort(self, axis: int = -1, kind: Any = None) -> None:
        if kind not in (None, "stable"):
            raise ValueError("kind can only be None or 'stable'")
        launch("sort", self.size)
        self._values.sort(axis, "stable")

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        with _device.Device(self._device):
            return self.copy()


# -- to and from NumPy's arrays ----------------------------------------------------------------------------------------
def wrap(values: numpy.ndarray, base: ndarray | None = None) -> ndarray:
    """An array on the current GPU from device memory."""
    array = object.__new__(ndarray)
    array._values, array._base, array._device = values, base, _device.current()
    return array


def view(values: numpy.ndarray, of: ndarray) -> ndarray:
    """A view of an array's memory."""
    array = wrap(values, of if of._base is None else of._base)
    array._device = of._device
    return array


def view_or_copy(values: numpy.ndarray, of: ndarray) -> ndarray:
    """An array from what NumPy returned: a view if it shares memory, else a copy, which is a launch."""
    if not values.size or numpy.may_share_memory(values, of._values):
        return view(values, of)
    launch("copy")
    return wrap(_memory.holding(values))


def unwrap(value: Any) -> Any:
    """An argument for NumPy. All arrays, also those in lists, must be on the current GPU."""
    if isinstance(value, ndarray):
        _device.check(value)
        return value._values
    if isinstance(value, (list, tuple)):
        return type(value)([unwrap(part) for part in value])
    return value


def wrapped(result: Any) -> Any:
    """A result of NumPy in device memory. Arrays and scalars become new arrays, also those in tuples and lists."""
    if isinstance(result, (numpy.ndarray, numpy.generic)):
        return wrap(_memory.holding(result))
    if isinstance(result, (tuple, list)):
        return (tuple if isinstance(result, tuple) else list)([wrapped(part) for part in result])
    return result


def supported(dtype: Any) -> numpy.dtype:
    """The dtype, if CuPy has it."""
    dtype = numpy.dtype(dtype)
    if dtype.kind not in "biufcV":
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


def quiet() -> Any:
    """A context in which NumPy does not warn of infinities and nan, as a GPU does not."""
    return numpy.errstate(all="ignore")


def _set_shape(array: ndarray, shape: Any) -> None:
    values = array._values.reshape(shape)
    if values.size and not numpy.may_share_memory(values, array._values):
        raise AttributeError(
            "Incompatible shape for in-place modification. Use `.reshape()` to make a copy with the desired shape."
        )
    array._values = values
