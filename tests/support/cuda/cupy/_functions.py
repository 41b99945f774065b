"""CuPy's functions: NumPy's functions of the same names, with CuPy's signatures and errors.

A call counts as one launch, even where CuPy launches several kernels.
"""

from __future__ import annotations

import ast
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy

import cupy

from . import _device
from ._array import ndarray, quiet, unwrap, view, view_or_copy, wrapped
from ._log import launch, record
from ._subnormals import flushing

#: Functions that return a view. They launch nothing unless they have to copy.
VIEWS = {
    "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_to", "diagonal", "expand_dims", "flip",
    "fliplr", "flipud", "hsplit", "matrix_transpose", "moveaxis", "permute_dims", "ravel", "real", "reshape",
    "rollaxis", "rot90", "split", "squeeze", "swapaxes", "transpose", "vsplit",
}  # fmt: skip
#: Functions that read shapes and dtypes alone.
METADATA = {
    "can_cast",
    "common_type",
    "iscomplexobj",
    "isrealobj",
    "isscalar",
    "may_share_memory",
    "ndim",
    "shape",
    "shares_memory",
}
#: Functions that make the host wait, mostly because the shape of their result depends on values.
WAITING = {
    "argwhere", "bincount", "compress", "digitize", "extract", "flatnonzero", "histogram", "histogram2d", "histogramdd",
    "in1d", "intersect1d", "isin", "nonzero", "percentile", "quantile", "ravel_multi_index", "setdiff1d", "setxor1d",
    "union1d", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "unravel_index",
}  # fmt: skip
#: Functions that CuPy takes from NumPy.
FROM_NUMPY = ("broadcast_shapes", "isdtype", "issubdtype", "promote_types")


# -- signatures --------------------------------------------------------------------------------------------------------
def _parameters(definition: ast.FunctionDef) -> inspect.Signature:
    Parameter, given = inspect.Parameter, definition.args
    positional = [(a.arg, Parameter.POSITIONAL_ONLY) for a in given.posonlyargs]
    positional += [(a.arg, Parameter.POSITIONAL_OR_KEYWORD) for a in given.args]
    first = len(positional) - len(given.defaults)
    parameters = [
        Parameter(n, kind, default=Parameter.empty if i < first else None) for i, (n, kind) in enumerate(positional)
    ]
    if given.vararg:
        parameters.append(Parameter(given.vararg.arg, Parameter.VAR_POSITIONAL))
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        parameters.append(
            Parameter(argument.arg, Parameter.KEYWORD_ONLY, default=Parameter.empty if default is None else None)
        )
    if given.kwarg:
        parameters.append(Parameter(given.kwarg.arg, Parameter.VAR_KEYWORD))
    return inspect.Signature(parameters)


@functools.cache
def signatures(module: str = "") -> dict[str, inspect.Signature]:
    """The signatures of the functions of CuPy, or of one of its modules."""
    body: Any = ast.parse(Path(__file__).with_name("signatures.pyi").read_text()).body
    if module:
        (body,) = [part.body for part in body if isinstance(part, ast.ClassDef) and part.name == module]
    return {part.name: _parameters(part) for part in body if isinstance(part, ast.FunctionDef)}


def checked(function: Callable, name: str, module: str = "") -> Callable:
    """A function that takes only the arguments that CuPy's function of this name takes."""
    signature = signatures(module)[name]
    full = f"cupy.{module}{'.' * bool(module)}{name}"

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            signature.bind(*args, **options)
        except TypeError as error:
            raise TypeError(f"{full}: {error}; CuPy 14.2 has {full}{signature}") from None
        return function(*args, **options)

    call.__name__, call.__module__, call.__signature__ = name, "cupy", signature
    return call


# -- NumPy's functions on device memory --------------------------------------------------------------------------------
def refuse_host_arrays(name: str, values: Any) -> None:
    """Raise for arrays of other libraries, also in lists. CuPy does not copy them to the GPU."""
    for value in values:
        if isinstance(value, (list, tuple)):
            refuse_host_arrays(name, value)
        elif hasattr(value, "__array_namespace__") and not isinstance(value, (ndarray, numpy.generic)):
            raise TypeError(f"cupy.{name}: Unsupported type {type(value)}")


def on_device(name: str, function: Callable, label: str = "") -> Callable:
    """A function of NumPy for arrays of a GPU."""

    def call(*args: Any, **options: Any) -> Any:
        refuse_host_arrays(label + name, [*args, *options.values()])
        arrays = list(_arrays([*args, *options.values()]))
        if name in WAITING and not label:
            record("sync", name)
        out = options.pop("out", None)
        with quiet(), warnings.catch_warnings(), flushing(any(a.dtype.char in "fF" for a in arrays)):
            warnings.simplefilter("ignore")
            result = function(*[unwrap(a) for a in args], **{key: unwrap(value) for key, value in options.items()})
        if name in VIEWS:
            return _parts(result, arrays[0])
        if name in METADATA:
            return result
        made = wrapped(result)
        launch(label + name, max([_size(made), *[a.size for a in arrays]]) if arrays else 1)
        return made if out is None else _written(made, out)

    return call


def _arrays(values: Any) -> Iterator[ndarray]:
    for value in values:
        if isinstance(value, ndarray):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _arrays(value)


def _size(result: Any) -> int:
    return result.size if isinstance(result, ndarray) else 1


def _parts(result: Any, of: ndarray) -> Any:
    if isinstance(result, (list, tuple)):
        return type(result)([_parts(part, of) for part in result])
    return view_or_copy(result, of)


def _written(result: ndarray, out: Any) -> ndarray:
    if not isinstance(out, ndarray):
        raise TypeError("Output arguments type must be cupy.ndarray")
    _device.check(out)
    if out.shape != result.shape:
        raise ValueError("Out shape is mismatched")
    out._values[...] = result._values
    return out


@functools.cache
def table() -> dict[str, Callable]:
    """The functions by name: this module's own versions, else NumPy's."""
    functions = {name: getattr(numpy, name) for name in FROM_NUMPY}
    for name in signatures():
        if (function := _CUPYS.get(name)) is not None:
            functions[name] = checked(function, name)
        elif hasattr(numpy, name):
            functions[name] = checked(on_device(name, getattr(numpy, name)), name)
    return functions


# -- where CuPy differs from NumPy -------------------------------------------------------------------------------------
def _take(a: Any, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    if not isinstance(a, ndarray):
        raise TypeError(f"cupy.take: Unsupported type {type(a)}")
    if isinstance(indices, numpy.ndarray):
        raise TypeError("cupy.take: the indices are an array of the host")
    if isinstance(indices, (list, tuple)):
        indices = cupy.array(indices, int)
    places, values = unwrap(indices), unwrap(a)
    length = a.size if axis is None else a.shape[axis]
    if not length and numpy.size(places):
        raise IndexError("cannot do a non-empty take from an empty axes.")
    result = wrapped(numpy.asarray(numpy.take(values, places, axis, mode="wrap" if length else "raise")))
    launch("take", result.size)
    return result if out is None else _written(result, out)


def _take_along_axis(a: ndarray, indices: ndarray, axis: int | None) -> ndarray:
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if axis is None:
        a, axis = a.ravel(), 0
    if a.ndim != indices.ndim:
        raise ValueError("`indices` and `a` must have the same number of dimensions")
    places = unwrap(indices).astype(numpy.int64)
    result = wrapped(numpy.take_along_axis(unwrap(a), places % a.shape[axis] if a.shape[axis] else places, axis))
    launch("take_along_axis", result.size)
    return result


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if (x is None) != (y is None):
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    if not isinstance(condition, ndarray):
        raise AttributeError(f"{type(condition).__name__!r} object has no attribute 'astype'")
    if x is None:
        return cupy.nonzero(condition)
    refuse_host_arrays("where", [x, y])
    condition = condition.astype(bool, copy=False)
    result = wrapped(numpy.where(unwrap(condition), unwrap(x), unwrap(y)))
    launch("where", result.size)
    return result


def _joined(name: str) -> Callable:
    def join(tup: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind") -> ndarray:
        parts = tuple(tup)
        for part in parts:
            if not isinstance(part, ndarray):
                raise TypeError(f"Only cupy arrays can be {'stacked' if name == 'stack' else 'concatenated'}")
        result = wrapped(getattr(numpy, name)([unwrap(part) for part in parts], axis, dtype=dtype, casting=casting))
        _log_joining(name, parts, result)
        return result if out is None else _written(result, out)

    return join


def _log_joining(name: str, parts: tuple[ndarray, ...], result: ndarray) -> None:
    """Log what CuPy does to join arrays.

    It copies each array in a launch of its own. For more than 8 small arrays it makes one launch, and copies their
    addresses to the GPU.
    """
    if len(parts) <= 8 or any(part.dtype != result.dtype for part in parts) or result.nbytes >= 2**21 * len(parts):
        for part in parts:
            launch(name, part.size)
        return
    record("h2d", name)
    launch(name, result.size)


def _sorted(a: ndarray, axis: Any = -1, kind: Any = None) -> ndarray:
    out, axis = (a.flatten(), -1) if axis is None else (a.copy(), axis)
    out.sort(axis, kind)
    return out


def _argsort(a: ndarray, axis: Any = -1, kind: Any = None) -> ndarray:
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    launch("argsort", a.size)
    return wrapped(numpy.argsort(unwrap(a), axis, kind="stable"))


def _matmul(*args: Any, **options: Any) -> ndarray:
    arrays, outs = args[:2], args[2:]
    if len(arrays) < 2 or set(options) - {"out"}:
        raise TypeError(
            f"cupy.matmul: the stand-in takes two arrays and out, not {len(args)} arguments and {sorted(options)}"
        )
    for array in arrays:
        if not isinstance(array, ndarray):
            raise TypeError(f"cupy.matmul: Unsupported type {type(array)}")
    x, y = arrays
    if x.ndim > 2 or y.ndim > 2:  # for stacks, CuPy copies operands that are not contiguous
        for array in arrays:
            launch("matmul-copy", array.size * (not array.flags.c_contiguous))
    with quiet():
        result = wrapped(numpy.asarray(numpy.matmul(unwrap(x), unwrap(y))))
    launch("matmul", result.size)
    out = outs[0] if outs else options.get("out")
    return result if out is None else _written(result, out)


def _clip(a: ndarray, a_min: Any, a_max: Any, out: Any = None) -> ndarray:
    refuse_host_arrays("clip", [a, a_min, a_max])
    if a.dtype.kind == "c":
        raise TypeError(f"Wrong type ({a.dtype}) of arguments for cupy_clip")
    if a_min is None and a_max is None:
        raise ValueError("array_clip: must set either max or min")
    with quiet():
        result = wrapped(numpy.clip(unwrap(a), unwrap(a_min), unwrap(a_max)))
    launch("clip", result.size)
    return result if out is None else _written(result, out)


def _broadcast_arrays(*args: ndarray) -> list[ndarray]:
    return [
        view(part, array) for part, array in zip(numpy.broadcast_arrays(*[unwrap(a) for a in args]), args, strict=True)
    ]


def _unstack(x: ndarray, /, *, axis: int = 0) -> tuple[ndarray, ...]:
    return tuple(cupy.moveaxis(x, axis, 0))


def _repeat(a: ndarray, repeats: Any, axis: Any = None) -> ndarray:
    if isinstance(repeats, ndarray):
        record("sync", "repeat")
    result = wrapped(numpy.repeat(unwrap(a), unwrap(repeats), axis))
    launch("repeat", result.size)
    return result


def _result_type(*arrays_and_dtypes: Any) -> numpy.dtype:
    return numpy.result_type(*[x.dtype if isinstance(x, ndarray) else x for x in arrays_and_dtypes])


def _copyto(dst: ndarray, src: Any, casting: Any = "same_kind", where: Any = None) -> None:
    refuse_host_arrays("copyto", [src, where])
    launch("copyto", dst.size)
    numpy.copyto(unwrap(dst), unwrap(src), casting=casting, where=True if where is None else unwrap(where))


_CUPYS: dict[str, Callable] = {
    "argsort": _argsort,
    "broadcast_arrays": _broadcast_arrays,
    "clip": _clip,
    "concat": _joined("concatenate"),
    "concatenate": _joined("concatenate"),
    "copyto": _copyto,
    "matmul": _matmul,
    "repeat": _repeat,
    "result_type": _result_type,
    "sort": _sorted,
    "stack": _joined("stack"),
    "take": _take,
    "take_along_axis": _take_along_axis,
    "unstack": _unstack,
    "where": _where,
    "astype": lambda x, dtype, /, *, copy=True: x.astype(dtype, copy=copy),
    "copy": lambda a, order="K": a.copy(order),
}
