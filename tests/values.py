"""Functions without derivatives, each with a call that gives the same value with NumPy's function of that name.

A call takes a namespace, a function that makes arrays of nested lists, and a device for functions that make new arrays.
So the same line runs on Variables of every backend, and on NumPy arrays with array-api-compat's namespace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BOOLEANS, INTEGERS, NEW, NO_ARRAYS = "booleans", "integers", "new arrays", "no arrays"
ROUNDING = "defined by how numbers are rounded"

_A, _B = [[1.0, -2.0, 0.0], [4.0, 2.0, -2.0]], [[1.0, 2.0, -1.0], [0.0, 2.0, 3.0]]
_ODD = [1.0, float("nan"), float("inf"), -float("inf"), -0.0]
_I, _J = [6, 5, 12], [3, 1, 2]
_T, _F = [[True, False], [True, True]], [[True, True], [False, False]]

#: namespace, maker of arrays, device -> an array, a tuple of them, or what else the function gives
Call = Callable[[Any, Callable[..., Any], Any], Any]


@dataclass(frozen=True)
class Value:
    """A function without a derivative.

    Attributes
    ----------
    name : str
    why : str
        Why it has no derivative: what its results are.
    call : callable
    """

    name: str
    why: str
    call: Call


def _same(why: str, values: tuple, *names: str) -> list[Value]:
    """Functions that take the same arrays."""
    return [Value(name, why, lambda xp, new, device, name=name: getattr(xp, name)(*map(new, values))) for name in names]


def _filled(why: str, *names: str) -> list[Value]:
    """Functions of these names, and their variants with ``_like``."""
    return [
        *[
            Value(
                name, why, lambda xp, new, device, name=name: getattr(xp, name)((2, 3), dtype=xp.int32, device=device)
            )
            for name in names
        ],
        *[
            Value(f"{name}_like", why, lambda xp, new, device, name=name: getattr(xp, f"{name}_like")(new(_A)))
            for name in names
        ],
    ]


def _shape_of(function: Callable[..., Any]) -> Call:
    """The shape and dtype of an array whose elements are not written yet."""
    return lambda xp, new, device: (lambda x: (tuple(x.shape), x.dtype))(function(xp, new, device))


def _limits(of: Any) -> tuple:
    return of.bits, *(float(getattr(of, name)) for name in ("eps", "max", "min", "smallest_normal")), of.dtype


VALUES = [
    *_same(BOOLEANS, (_A, _B), "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *_same(BOOLEANS, (_T, _F), "logical_and", "logical_or", "logical_xor"),
    *_same(BOOLEANS, (_T,), "logical_not"),
    *_same(BOOLEANS, (_ODD,), "isfinite", "isinf", "isnan", "signbit"),
    Value("isin", BOOLEANS, lambda xp, new, device: xp.isin(new(_I), new(_J), invert=True)),
    Value("all", BOOLEANS, lambda xp, new, device: xp.all(new(_T), axis=0)),
    Value("any", BOOLEANS, lambda xp, new, device: xp.any(new(_F), axis=1, keepdims=True)),
    *_same(INTEGERS, (_I, _J), "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"),
    *_same(INTEGERS, (_I,), "bitwise_invert"),
    Value("argmax", INTEGERS, lambda xp, new, device: xp.argmax(new(_A), axis=1)),
    Value("argmin", INTEGERS, lambda xp, new, device: xp.argmin(new(_A), axis=0, keepdims=True)),
    Value("argsort", INTEGERS, lambda xp, new, device: xp.argsort(new(_A), axis=-1, descending=True)),
    Value("count_nonzero", INTEGERS, lambda xp, new, device: xp.count_nonzero(new(_A), axis=1)),
    Value("nonzero", INTEGERS, lambda xp, new, device: xp.nonzero(new(_A))),
    Value(
        "searchsorted",
        INTEGERS,
        lambda xp, new, device: xp.searchsorted(new([1.0, 2.0, 2.0, 5.0]), new([2.0, 0.0]), side="right"),
    ),
    Value(
        "linalg.matrix_rank",
        INTEGERS,
        lambda xp, new, device: xp.linalg.matrix_rank(new([_A, _B, [[1.0, 2.0, 3.0]] * 2])),
    ),
    Value("nextafter", ROUNDING, lambda xp, new, device: xp.nextafter(new(_A), new(_B))),
    Value("arange", NEW, lambda xp, new, device: xp.arange(1, 8, 3, device=device)),
    Value(
        "linspace",
        NEW,
        lambda xp, new, device: xp.linspace(0.0, 1.0, 5, dtype=xp.float64, device=device, endpoint=False),
    ),
    Value("eye", NEW, lambda xp, new, device: xp.eye(2, 3, k=1, dtype=xp.float64, device=device)),
    *_filled(NEW, "zeros", "ones"),
    Value("full", NEW, lambda xp, new, device: xp.full((2,), 2.5, dtype=xp.float64, device=device)),
    Value("full_like", NEW, lambda xp, new, device: xp.full_like(new(_I), 7)),
    Value("empty", NEW, _shape_of(lambda xp, new, device: xp.empty((2, 0), dtype=xp.float64, device=device))),
    Value("empty_like", NEW, _shape_of(lambda xp, new, device: xp.empty_like(new(_I)))),
    Value("fft.fftfreq", NEW, lambda xp, new, device: xp.fft.fftfreq(5, d=0.5, dtype=xp.float64, device=device)),
    Value("fft.rfftfreq", NEW, lambda xp, new, device: xp.fft.rfftfreq(5, d=0.5, dtype=xp.float64, device=device)),
    Value(
        "tensor", NEW, lambda xp, new, device: getattr(xp, "tensor", xp.asarray)(_A, dtype=xp.float64, device=device)
    ),
    Value("from_dlpack", NEW, lambda xp, new, device: xp.from_dlpack(new(_A))),
    Value("broadcast_shapes", NO_ARRAYS, lambda xp, new, device: xp.broadcast_shapes((2, 1), (3,), ())),
    Value(
        "can_cast", NO_ARRAYS, lambda xp, new, device: (xp.can_cast(xp.int8, xp.int32), xp.can_cast(xp.int64, xp.int8))
    ),
    Value("finfo", NO_ARRAYS, lambda xp, new, device: _limits(xp.finfo(xp.float32))),
    Value("iinfo", NO_ARRAYS, lambda xp, new, device: (lambda i: (i.bits, i.max, i.min, i.dtype))(xp.iinfo(xp.int16))),
    Value(
        "isdtype",
        NO_ARRAYS,
        lambda xp, new, device: (xp.isdtype(xp.int8, "integral"), xp.isdtype(xp.bool, ("numeric", xp.float32))),
    ),
    Value(
        "result_type",
        NO_ARRAYS,
        lambda xp, new, device: (xp.result_type(new(_I), xp.uint8), xp.result_type(new(_A), 1)),
    ),
]
