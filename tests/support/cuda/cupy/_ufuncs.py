"""CuPy's ufuncs. CuPy's own rule chooses the loop from CuPy's own table, and NumPy computes it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy

import cupy

from . import _device, _indexing, _memory
from ._array import ndarray, quiet, wrap
from ._log import launch
from ._subnormals import flushing

_SCALARS = (bool, int, float, complex)
#: Ufuncs that read or write bits, for which a subnormal number stays what it is.
_BITS = {"copysign", "signbit", "nextafter", "isnan", "isinf", "isfinite"}


class Loop:
    """One loop of a ufunc: the dtypes of its operands and of its results."""

    def __init__(self, types: str):
        given, made = types.split("->")
        self.given = [numpy.dtype(char) for char in given]
        self.made = [numpy.dtype(char) for char in made]


class ufunc:
    """An elementwise function. A call is one launch.

    Raises
    ------
    TypeError
        For operands that are neither arrays of a GPU nor numbers, and for dtypes without a loop.
    """

    __module__ = "cupy"

    def __init__(self, name: str, loops: list[str]):
        self.__name__ = self.name = name
        self.types = loops
        self._loops = [Loop(types) for types in loops]
        self.nin, self.nout = len(self._loops[0].given), len(self._loops[0].made)
        self.nargs = self.nin + self.nout
        self._compute = _COMPUTE.get(name) or getattr(numpy, name)
        self._flushes = name not in _BITS

    def __repr__(self) -> str:
        return f"<ufunc 'cupy_{self.name}'>"

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> Any:
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(
                f"Wrong number of arguments for {self.name!r}. It must be either {self.nin} or {self.nargs} (with "
                f"outputs), but given {len(args)}."
            )
        given, outs = args[: self.nin], list(args[self.nin :])
        if out is not None:
            if outs:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            outs = list(out) if isinstance(out, tuple) else [out]
        for value in (*given, *outs):
            _operand(value)
        for result in outs:
            if not isinstance(result, ndarray):
                raise TypeError("Output arguments type must be cupy.ndarray")
        operands = [_copied_if_it_overlaps(value, outs) for value in given]
        shape = numpy.broadcast_shapes(*[value.shape for value in (*operands, *outs) if isinstance(value, ndarray)])
        loop = self._loop(operands, None if dtype is None else numpy.dtype(dtype))
        for result, made in zip(outs, loop.made, strict=False):
            if result.shape != shape:
                raise ValueError("Out shape is mismatched")
            if not numpy.can_cast(made, result.dtype, casting):
                raise TypeError(
                    f"output operand: cannot cast {made} to {result.dtype} according to the rule {casting!r}"
                )
        launch(self.name, int(numpy.prod(shape)))
        results = self._results(loop, operands)
        if not outs:
            made = [wrap(_memory.holding(r if r.shape == shape else numpy.broadcast_to(r, shape))) for r in results]
            return made[0] if self.nout == 1 else tuple(made)
        with quiet():
            for array, result in zip(outs, results, strict=True):
                array._values[...] = result
        return outs[0] if self.nout == 1 else tuple(outs)

    def _results(self, loop: Loop, operands: list[Any]) -> list[numpy.ndarray]:
        with quiet():
            # NumPy and CuPy raise the same error for a number that does not fit the dtype
            values = [
                v._values.astype(t, copy=False) if isinstance(v, ndarray) else numpy.asarray(v, t)
                for v, t in zip(operands, loop.given, strict=True)
            ]
            with flushing(self._flushes and any(t.char in "fF" for t in (*loop.given, *loop.made))):
                results = self._compute(*values)
            several = results if isinstance(results, tuple) else (results,)
            return [numpy.asarray(r).astype(t, copy=False) for r, t in zip(several, loop.made, strict=True)]

    def _loop(self, operands: list[Any], dtype: numpy.dtype | None) -> Loop:
        if dtype is not None:
            chosen = next((loop for loop in self._loops if all(t == dtype for t in loop.made)), None)
            types: Any = dtype
        else:
            types = tuple([_dtype(value) for value in operands])
            weak = tuple([type(value) if type(value) in _SCALARS else None for value in operands])
            chosen = _chosen(self, types, weak if _numbers_are_weak(types, weak) else (None,) * self.nin)
        if chosen is None:
            raise TypeError(f"Wrong type ({types}) of arguments for cupy_{self.name}; it has {' '.join(self.types)}")
        return chosen

    # -- other ways to call a ufunc ------------------------------------------------------------------------------------
    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """Apply the ufunc in place to the elements at ``indices``. A repeated index applies it repeatedly."""
        if self.name not in _indexing.ATOMIC:
            raise NotImplementedError(f"`cupy_{self.name}.at` is not supported yet")
        _indexing.scatter(a, indices, b, self.name)

    def reduce(
        self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> ndarray:
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.name}.reduce` is not supported yet")
        return (cupy.sum if self.name == "add" else cupy.prod)(array, axis, dtype, out, keepdims)

    def outer(self, A: Any, B: Any, **options: Any) -> Any:
        A, B = cupy.array(A), cupy.array(B)
        return self(A.reshape(A.shape + (1,) * B.ndim), B, **options)


def _operand(value: Any) -> None:
    if isinstance(value, ndarray):
        _device.check(value)
    elif type(value) not in _SCALARS and not isinstance(value, numpy.generic):
        raise TypeError(f"Unsupported type {type(value)}")


def _copied_if_it_overlaps(value: Any, outs: list[Any]) -> Any:
    """Copy an operand that shares memory with an output but is another array."""
    if isinstance(value, ndarray) and any(
        value is not o and numpy.may_share_memory(value._values, o._values) for o in outs
    ):
        return value.copy()
    return value


# -- choice of the loop ------------------------------------------------------------------------------------------------
def _dtype(value: Any) -> numpy.dtype:
    if isinstance(value, (ndarray, numpy.generic)):
        return value.dtype
    return numpy.dtype({bool: "?", int: "int64", float: "float64", complex: "complex128"}[type(value)])


def _rank(kind: str) -> int:
    return {"b": 0, "i": 1, "u": 1}.get(kind, 2)


def _numbers_are_weak(types: tuple, weak: tuple) -> bool:
    """Whether Python's numbers take the arrays' dtype.

    They do if there are arrays, and no number has a higher kind than all arrays.
    """
    of_arrays = [_rank(t.kind) for t, number in zip(types, weak, strict=True) if number is None]
    of_numbers = [_rank(t.kind) for t, number in zip(types, weak, strict=True) if number is not None]
    return bool(of_arrays and of_numbers) and max(of_arrays) >= max(of_numbers)


@functools.cache
def _chosen(function: ufunc, types: tuple, weak: tuple) -> Loop | None:
    """The first loop to whose dtypes all operands can be cast, as in CuPy's ``_guess_routine_from_in_types``."""
    for loop in function._loops:
        if all(_can_be(t, number, target) for t, number, target in zip(types, weak, loop.given, strict=True)):
            return loop
    return None


def _can_be(dtype: numpy.dtype, number: type | None, target: numpy.dtype) -> bool:
    if numpy.can_cast(dtype, target):
        return True
    return number is not None and numpy.result_type(number(0), target) == target


# -- where CuPy differs from NumPy -------------------------------------------------------------------------------------
def _power(x: Any, y: Any) -> Any:
    """Powers of integers. NumPy refuses negative exponents; CuPy gives 0, and 1 or -1 for powers of these two."""
    if x.dtype.kind not in "iu":
        return numpy.power(x, y)
    if x.dtype.kind == "u":
        return numpy.power(x, y)
    negative = numpy.where(x == 1, 1, numpy.where(x == -1, numpy.where(y % 2 == 0, 1, -1), 0))
    return numpy.where(y < 0, negative, numpy.power(x, numpy.maximum(y, 0)))


_COMPUTE: dict[str, Any] = {"power": _power, "pow": _power}


@functools.cache
def table() -> dict[str, ufunc]:
    """Every ufunc of CuPy, by name."""
    ufuncs: dict[str, ufunc] = {}
    for line in Path(__file__).with_name("ufuncs.txt").read_text().splitlines():
        name, _, loops = line.partition(": ")
        if not line.startswith("#"):
            ufuncs[name] = ufunc(name, loops.split())
    return ufuncs
