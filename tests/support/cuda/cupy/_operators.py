"""The operators and methods of ``ndarray`` that are functions of CuPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

import cupy

from ._array import ndarray


def _operator(name: str, reflected: bool) -> Callable:
    def operator(self: ndarray, other: Any) -> Any:
        if not isinstance(other, ndarray):
            function = getattr(other, "__array_ufunc__", numpy)
            if function is None or (function is numpy and not isinstance(other, (bool, int, float, complex))):
                return NotImplemented  # Python then calls the operator of the other operand
        function = getattr(cupy, name)
        return function(other, self) if reflected else function(self, other)

    return operator


def _in_place(name: str) -> Callable:
    return lambda self, other: getattr(cupy, name)(self, other, self)


def _method(name: str) -> Callable:
    def method(self: ndarray, *args: Any, **options: Any) -> Any:
        return getattr(cupy, name)(self, *args, **options)

    return method


_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "lshift": "left_shift",
    "rshift": "right_shift",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
_METHODS = (
    "all", "any", "argmax", "argmin", "argsort", "clip", "conj", "conjugate", "cumprod", "cumsum", "dot", "max", "mean",
    "min", "nonzero", "prod", "ptp", "repeat", "round", "searchsorted", "std", "sum", "trace", "var",
)  # fmt: skip


def add_to_ndarray() -> None:
    """Add the operators and methods to ``ndarray``."""
    for short, name in _BINARY.items():
        setattr(ndarray, f"__{short}__", _operator(name, False))
        setattr(ndarray, f"__r{short}__", _operator(name, True))
        setattr(ndarray, f"__i{short}__", _in_place(name))
    for short, name in (_COMPARISONS | {"matmul": "matmul", "divmod": "divmod"}).items():
        setattr(ndarray, f"__{short}__", _operator(name, False))
    ndarray.__rmatmul__ = _operator("matmul", True)
    for short, name in _UNARY.items():
        setattr(ndarray, f"__{short}__", _method(name))
    for name in _METHODS:
        setattr(ndarray, name, _method(name))
    ndarray.__hash__ = None
