"""Plain elementwise functions as one launch each. See `rustorch.backends.fusing`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from math import isinf, isnan
from typing import Any, NamedTuple

import cupy
import numpy

from ..fusing import Language, Loop
from ..kernels.activation import GELU_SHORT_TAIL, GELU_TAIL
from ..symbols import Unfit
from .launch import REAL

_FUNCTIONS = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos", "cosh", "erf", "exp",
    "expm1", "floor", "fmod", "hypot", "isinf", "isnan", "isfinite", "log", "log10", "log1p", "log2", "pow", "signbit",
    "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip
_TWO = frozenset({"atan2", "copysign", "fmod", "hypot", "pow"})
_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "greater": ">", "less_equal": "<=",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=", "logical_and": "&&", "logical_or": "||",
    "logical_xor": "!=",
}  # fmt: skip


def _literal(value: float) -> str:
    if isnan(value):
        return "(T)(0.0 / 0.0)"
    if isinf(value):
        return "(T)(1.0 / 0.0)" if value > 0 else "(T)(-1.0 / 0.0)"
    return f"(T){value!r}"


def _horner(coefficients: Sequence[float]) -> str:
    """A polynomial of ``{0}``. The coefficient of the highest power comes first."""
    text = _literal(coefficients[0])
    for a in coefficients[1:]:
        text = f"({text} * {{0}} + {_literal(a)})"
    return text


CUDA = Language(
    operations={
        **{name: f"{name}({{0}}, {{1}})" if name in _TWO else f"{name}({{0}})" for name in _FUNCTIONS},
        **{name: f"{{0}} {sign} {{1}}" for name, sign in _SIGNS.items()},
        "abs": "fabs({0})",
        "negative": "-{0}",
        "logical_not": "!{0}",
        "round": "rint({0})",
        "value": "{0}",
        "number": "(T){0}",
        "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}",
        "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
        "at_least": "{0} < {1} ? {1} : {0}",
        "at_most": "{0} > {1} ? {1} : {0}",
        "sign": "{0} != {0} ? {0} : (T)(({0} > 0) - ({0} < 0))",
        "where": "{0} ? {1} : {2}",
        "exp_of_sum": "exp({0} + {1}) * (1 + ({1} - (({0} + {1}) - {0})))",
        "gelu_tail": f"sizeof(T) == 4 ? {_horner(GELU_SHORT_TAIL)} : {_horner(GELU_TAIL)}",
    },
    literal=_literal,
    assign="T {0} = {1};",
    assign_truth="bool {0} = {1};",
)


class _Variant(NamedTuple):
    """The launch of a function for one kind of arguments. ``truths`` has None for a result that there is not."""

    loop: Loop
    launch: Callable[..., Any]
    truths: tuple[bool | None, ...]
    single: bool


_BOOL = numpy.dtype("bool")
_NUMBERS = frozenset({int, float, bool})


class Fused:
    """A plain elementwise function that runs as one launch.

    A call returns NotImplemented where the plain function should serve: for other dtypes than float32 and float64 (and
    bool), for arrays without elements, for values of other types than arrays, numbers and None, and if the function
    does more than a loop can.

    Parameters
    ----------
    plain : callable
        ``plain(xp, *values)``. It returns an array, or a tuple.
    bakes : bool
        Whether Python's numbers become part of the source: each new one then needs a new one.
    """

    def __init__(self, plain: Callable[..., Any], bakes: bool = False):
        self.__name__ = plain.__name__
        self.__doc__ = plain.__doc__
        form = signature(plain)
        parameters = [p.replace(kind=Parameter.POSITIONAL_ONLY) for p in list(form.parameters.values())[1:]]
        self.__signature__ = form.replace(parameters=parameters)
        self._plain, self._bakes = plain, bakes
        self._variants: dict[Any, _Variant | None] = {}

    def __call__(self, *args: Any) -> Any:
        arrays: list[Any] = []
        numbers: list[Any] = []
        kinds, dtypes = "", set()
        for a in args:
            if isinstance(a, cupy.ndarray):
                kinds += "m" if a.dtype == _BOOL else "v"
                dtypes.add(a.dtype)
                arrays.append(a)
            elif a is None:
                kinds += "-"
            elif type(a) in _NUMBERS:
                numbers.append(a)
                kinds += "#"
            else:
                return NotImplemented
        dtypes.discard(_BOOL)
        if len(dtypes) != 1 or not dtypes <= REAL.keys() or not all(a.size for a in arrays):
            return NotImplemented
        key = (kinds, *(numbers if self._bakes else [(type(n) is bool, bool(n)) for n in numbers]))
        if key not in self._variants:
            try:
                self._variants[key] = self._variant(kinds, numbers)
            except (TypeError, AttributeError, KeyError, Unfit):  # more than a loop of elements
                self._variants[key] = None
        variant = self._variants[key]
        if variant is None:
            return NotImplemented
        found = variant.launch(*arrays, *variant.loop.values(numbers))
        if variant.single:
            return found
        results = iter(found if isinstance(found, tuple) else (found,))
        return tuple([None if truth is None else next(results) for truth in variant.truths])

    def _variant(self, kinds: str, numbers: Sequence[Any]) -> _Variant:
        baked = list(numbers) if self._bakes else None
        names = [None if kind == "-" else f"e{i}" for i, kind in enumerate(kinds.replace("#", ""))]
        truths = [name for name, kind in zip(names, kinds.replace("#", ""), strict=True) if name and kind == "m"]
        single = True

        def traced(xp: Any, *values: Any) -> Any:
            nonlocal single
            elements, rest = iter(values[: len(names)]), iter(values[len(names) :] if baked is None else baked)
            out = self._plain(xp, *[next(rest) if kind == "#" else next(elements) for kind in kinds])
            single = not isinstance(out, tuple)
            return [out] if single else out

        loop = Loop(traced, names, [] if self._bakes else numbers, truths)
        inputs = [f"{'bool' if name in truths else 'T'} {name}" for name in names if name]
        inputs += [f"T c{i}" for i in range(len(loop.constants))]
        kinds_of_results = tuple([None if out is None else getattr(out, "is_truth", False) for out in loop.outputs])
        results = [(f"r{i}", text) for i, text in enumerate(loop.results(CUDA)) if text is not None]
        outputs = [f"{'bool' if kinds_of_results[int(name[1:])] else 'T'} {name}" for name, _ in results]
        body = "\n".join([*loop.body(CUDA), *[f"{name} = {text};" for name, text in results]])
        used = set(re.findall(r"\w+", body))
        body += "".join([f"\n(void){name};" for name in names if name and name not in used])  # the compiler's warning
        name = "rustorch_" + re.sub(r"\W+", "_", self.__name__).strip("_")
        launch = cupy.ElementwiseKernel(", ".join(inputs), ", ".join(outputs), body, name)
        return _Variant(loop, launch, kinds_of_results, single)
