"""Plain elementwise functions as compiled loops over NumPy's arrays. See `rustorch.backends.fusing`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from inspect import signature
from math import isinf, isnan, prod
from typing import Any

import numpy

from ..fusing import Language, Loop
from ..symbols import Unfit
from .kernel import LEAST, Kernel, order_in_memory
from .products import whole

_CALLS = ("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos", "cosh", "erf", "exp",
          "exp_of_sum", "expm1", "floor", "fmod", "gelu_tail", "hypot", "log", "log10", "log1p", "log2", "pow", "sign",
          "sin", "sinh", "sqrt", "tan", "tanh", "trunc")  # fmt: skip
_TWO = frozenset({"atan2", "copysign", "exp_of_sum", "fmod", "hypot", "pow"})
_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "greater": ">", "less_equal": "<=",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=", "logical_and": "&", "logical_or": "|", "logical_xor": "^",
}  # fmt: skip


def _literal(value: float) -> str:
    if isnan(value):
        return 'T(float("nan"))'
    return f'T(float("{value}"))' if isinf(value) else f"T({value!r})"


PYTHON = Language(
    operations={
        **{name: f"{name}({{0}}, {{1}})" if name in _TWO else f"{name}({{0}})" for name in _CALLS},
        **{name: f"{{0}} {sign} {{1}}" for name, sign in _SIGNS.items()},
        "abs": "abs({0})",
        "negative": "-{0}",
        "logical_not": "not {0}",
        "isnan": "{0} != {0}",
        "isinf": 'abs({0}) == T(float("inf"))',
        "isfinite": 'abs({0}) < T(float("inf"))',
        "signbit": "copysign(T(1.0), {0}) < T(0.0)",
        "round": "rint({0})",
        "value": "{0}",
        "number": "T(1.0) if {0} else T(0.0)",
        "maximum": "{1} if ({0} <= {1}) | ({1} != {1}) else {0}",
        "minimum": "{1} if ({0} >= {1}) | ({1} != {1}) else {0}",
        "at_least": "{1} if {0} < {1} else {0}",
        "at_most": "{1} if {0} > {1} else {0}",
        "where": "{1} if {0} else {2}",
    },
    literal=_literal,
    assign="{0} = {1}",
    assign_truth="{0} = {1}",
)
#: Operations that take as long as many additions.
_SLOW = frozenset(_CALLS) - {"abs", "ceil", "copysign", "floor", "sign", "sqrt", "trunc"}


def cost_of(loop: Loop) -> int:
    """About how many additions an element takes."""
    return 1 + sum([8 if line.operation in _SLOW else 1 for line in loop.lines]) // 6


class Variant:
    """The compiled loop of a function for one kind of arguments.

    Parameters
    ----------
    plain : callable
        ``plain(xp, *arrays, *numbers)``. It returns a tuple, in which None stands for a result that there is not, or a
        list of one result.
    kinds : str
        A letter for each array: ``v`` for one element an item, ``s`` for one element for all items of a row, ``m`` and
        ``n`` for the same with truth values, and ``-`` for None.
    numbers : sequence of float or bool
        The numbers of a call; the loop serves all calls in which the same ones are true.
    rows : bool
        Whether the items are rows, whose elements lie at places of their own in each array. Otherwise they are the
        elements of flat arrays.
    targets : sequence of int, optional
        For each result, the array that it is written into, or -1 for an array of its own.
    """

    def __init__(
        self,
        plain: Callable[..., Any],
        kinds: str,
        numbers: Sequence[Any],
        rows: bool,
        targets: Sequence[int] | None = None,
        name: str | None = None,
    ):
        variables = [None if kind == "-" else f"e{i}" for i, kind in enumerate(kinds)]
        truths = [f"e{i}" for i, kind in enumerate(kinds) if kind in "mn"]
        outputs: Any = None

        def traced(xp: Any, *values: Any) -> Any:
            nonlocal outputs
            outputs = plain(xp, *values)
            return outputs

        self.loop = loop = Loop(traced, variables, numbers, truths)
        #: Whether the function returns one array, and not a tuple.
        self.single = not isinstance(outputs, tuple)
        self.cost = cost_of(loop)
        #: Whether each result is a truth value; None for a result that there is not.
        self.truths = [None if out is None else getattr(out, "is_truth", False) for out in loop.outputs]
        if targets is None:
            targets = [-1] * len(loop.outputs)
        text, tokens = _source(loop, kinds, rows, targets)
        names: dict[str, Any] = {}
        exec(text, names)  # written above; no part of it comes from outside
        self.kernel = Kernel(names["loop"], tokens, name=name or plain.__name__)
        self.of = self.kernel.of

    def values(self, numbers: Sequence[Any]) -> list[float]:
        """The constants for the numbers of a call."""
        return [float(value) for value in self.loop.values(numbers)]

    def outputs(self, shape: Any, dtype: Any) -> tuple[list[Any], list[Any]]:
        """New arrays for the results, with None where there is none, and without."""
        outs = [None if truth is None else numpy.empty(shape, _BOOL if truth else dtype) for truth in self.truths]
        return outs, [out for out in outs if out is not None]


def _source(loop: Loop, kinds: str, rows: bool, targets: Sequence[int]) -> tuple[str, str]:
    """The text of the loop, and the types of its arguments: arrays, results of their own, constants; for rows, then
    the places of the arrays' rows, and the sizes.
    """
    parameters, tokens, before, inside = [], [], [], []
    used = {i for i, kind in enumerate(kinds) if kind != "-"}
    for i in sorted(used):
        parameters.append(f"a{i}")
        tokens.append("u1[]" if kinds[i] in "mn" else "T[]")
        place = f"a * p{i} + b * q{i}"
        if kinds[i] in "vm":
            before.append(f"x{i} = a{i}[{place}:{place} + length]" if rows else f"x{i} = a{i}[start:stop]")
            inside.append(f"e{i} = x{i}[i]" + (" != 0" if kinds[i] == "m" else ""))
        else:
            before.append(f"e{i} = a{i}[{place if rows else 0}]" + (" != 0" if kinds[i] == "n" else ""))
    results = loop.results(PYTHON)
    inside += loop.body(PYTHON)
    size = None
    for j, (result, target) in enumerate(zip(results, targets, strict=True)):
        if result is None:
            continue
        if target < 0:
            parameters.append(f"r{j}")
            tokens.append("u1[]" if getattr(loop.outputs[j], "is_truth", False) else "T[]")
            before.append(f"y{j} = r{j}[r * length:r * length + length]" if rows else f"y{j} = r{j}[start:stop]")
            inside.append(f"y{j}[i] = {result}")
            size = size or f"y{j}"
        else:
            inside.append(f"x{target}[i] = {result}")
            size = size or f"x{target}"
    for i in range(len(loop.constants)):
        parameters.append(f"c{i}")
        tokens.append("T")
    if rows:
        for i in sorted(used):
            parameters += [f"p{i}", f"q{i}"]
            tokens += ["int", "int"]
        parameters += ["columns", "length"]
        tokens += ["int", "int"]
    body = "\n".join([f"        {line}" for line in inside])
    heads = "\n".join([f"        {line}" if rows else f"    {line}" for line in before])
    arguments = ", ".join([*parameters, "start", "stop"])
    if not rows:
        text = f"def loop({arguments}):\n{heads}\n    for i in range({size}.size):\n{body}\n"
    else:
        body = "\n".join([f"    {line}" for line in body.split("\n")])
        text = (
            f"def loop({arguments}):\n    for r in range(start, stop):\n        a = r // columns\n"
            f"        b = r - a * columns\n{heads}\n        for i in range({size}.size):\n{body}\n"
        )
    return text, " ".join(tokens)


_FLOATS = {numpy.dtype("float32"), numpy.dtype("float64")}
_BOOL = numpy.dtype("bool")
_NUMBERS = frozenset({int, float, bool})
#: Elements of a row below which views are copied, so that their rows become one.
_SHORT = 16
#: The largest number of variants of one function. Beyond, NumPy serves.
_MOST = 64


class Fused:
    """A plain elementwise function that runs as one compiled loop, where that is possible and worth it.

    A call returns NotImplemented where NumPy should serve: for small arrays, for other dtypes than float32 and float64
    (and bool), for values of other types than arrays, numbers and None, while the loop is not compiled, and if the
    function does more than a loop can.

    Parameters
    ----------
    plain : callable
        ``plain(xp, *values)``. It returns an array, or a tuple.
    least : int
        The number of elements from which a loop is worth it.
    bakes : bool
        Whether Python's numbers become part of the loop: each new one then needs a new loop. It is for functions that
        look at a number's value.
    """

    def __init__(self, plain: Callable[..., Any], least: int = LEAST, bakes: bool = False):
        self.__name__ = plain.__name__
        self.__doc__ = plain.__doc__
        form = signature(plain)
        self.__signature__ = form.replace(parameters=list(form.parameters.values())[1:])
        self.least, self.arity = least, len(self.__signature__.parameters)
        self._plain, self._bakes = plain, bakes
        self._variants: dict[Any, Variant | None] = {}

    def __call__(self, *args: Any, **options: Any) -> Any:
        if options:
            return NotImplemented
        arrays: list[Any] = []
        numbers: list[Any] = []
        kinds, dtype, shape, same = "", None, None, True
        for a in args:
            if type(a) is numpy.ndarray:
                if not arrays:
                    dtype, shape = a.dtype, a.shape
                    same = dtype in _FLOATS
                elif a.dtype is not dtype or a.shape != shape:
                    same = False
                arrays.append(a)
                kinds += "v"
            elif a is None:
                kinds += "-"
            elif type(a) in _NUMBERS:
                numbers.append(a)
                kinds += "#"
            elif isinstance(a, numpy.generic):  # NumPy's scalar for an array without dimensions
                arrays.append(numpy.asarray(a))
                kinds += "v"
                same = False
            else:
                return NotImplemented
        if not arrays:
            return NotImplemented
        if not same or not all(a.flags.c_contiguous for a in arrays):
            strides = arrays[0].strides
            order = order_in_memory(arrays[0]) if same and all(a.strides == strides for a in arrays) else None
            if order is None:
                return self._broadcast(arrays, numbers, kinds)
            return _moved_back(self(*[a.transpose(order) if type(a) is numpy.ndarray else a for a in args]), order)
        size = arrays[0].size
        if size < self.least:
            return NotImplemented
        variant = self.variant(kinds, numbers, False)
        launch = None if variant is None else variant.of(dtype, size)
        if launch is None or variant is None:
            return NotImplemented
        outs, results = variant.outputs(shape, dtype)
        launch(size, size * variant.cost, *map(aligned, arrays), *results, *variant.values(numbers))
        return outs[0] if variant.single else tuple(outs)

    def variant(self, kinds: str, numbers: Sequence[Any], rows: bool) -> Variant | None:
        """The loop for this kind of arguments; None if the function cannot be one."""
        key = (kinds, rows, *(numbers if self._bakes else [(type(n) is bool, bool(n)) for n in numbers]))
        if key not in self._variants:
            if len(self._variants) >= _MOST:
                return None
            try:
                self._variants[key] = Variant(
                    self._by_position(kinds, numbers),
                    kinds.replace("#", ""),
                    [] if self._bakes else numbers,
                    rows,
                    name=self.__name__,
                )
            except (TypeError, AttributeError, KeyError, Unfit):  # more than a loop of elements: NumPy serves
                self._variants[key] = None
        return self._variants[key]

    def _by_position(self, kinds: str, numbers: Sequence[Any]) -> Callable[..., tuple[Any, ...]]:
        """The function of the arrays, then the numbers. It returns a tuple, or a single result in a list."""
        plain, baked = self._plain, list(numbers) if self._bakes else None
        count = len(kinds) - kinds.count("#")

        def function(xp: Any, *values: Any) -> Any:
            arrays, rest = iter(values[:count]), iter(baked if baked is not None else values[count:])
            out = plain(xp, *[next(rest) if kind == "#" else next(arrays) for kind in kinds])
            return out if isinstance(out, tuple) else [out]

        return function

    def _broadcast(self, arrays: Sequence[Any], numbers: Sequence[Any], kinds: str) -> Any:
        """The call for arrays of different shapes, for views, and with bool among them."""
        dtypes = {a.dtype for a in arrays} - {_BOOL}
        if len(dtypes) != 1 or not dtypes <= _FLOATS:
            return NotImplemented
        (dtype,) = dtypes
        shape = _broadcast_shapes(*[a.shape for a in arrays])
        size = prod(shape)
        if size < self.least:
            return NotImplemented
        given = [aligned(_without_repeats(a)) for a in arrays]
        plan = rows_of(shape, given)
        if plan is None or plan[0][2] < _SHORT:
            given = [numpy.ascontiguousarray(a) for a in given]
            plan = rows_of(shape, given)
        if plan is None:
            return NotImplemented
        (first, columns, length), places, vectors = plan
        rows = first * columns > 1
        letters = iter([
            ("m" if vector else "n") if a.dtype == _BOOL else ("v" if vector else "s")
            for a, vector in zip(given, vectors, strict=True)
        ])  # fmt: skip
        variant = self.variant("".join([next(letters) if kind == "v" else kind for kind in kinds]), numbers, rows)
        launch = None if variant is None else variant.of(dtype, size)
        if launch is None or variant is None:
            return NotImplemented
        outs, results = variant.outputs(shape, dtype)
        layout = [*[n for place in places for n in place], columns, length] if rows else []
        items = first * columns if rows else length
        launch(items, size * variant.cost, *given, *results, *variant.values(numbers), *layout)
        return outs[0] if variant.single else tuple(outs)


_broadcast_shapes = lru_cache(maxsize=1024)(numpy.broadcast_shapes)


def aligned(x: Any) -> Any:
    """The array, or a copy of it if its elements do not lie at multiples of their size."""
    return x if x.flags.aligned else x.copy()


def _moved_back(out: Any, order: Sequence[int]) -> Any:
    """Results with their axes in the order of the call. In memory, they keep the order of the arrays, as in NumPy."""
    if type(out) is tuple:
        return tuple([_moved_back(one, order) for one in out])
    return out if out is None or out is NotImplemented else out.transpose(numpy.argsort(order))


def _without_repeats(x: Any) -> Any:
    """The array with size 1 along axes on which all elements are the same in memory, as in the gradient of a sum."""
    if 0 not in x.strides or not x.size:
        return x
    return x[tuple([slice(0, 1) if stride == 0 else slice(None) for stride in x.strides])]


def rows_of(
    shape: Sequence[int], arrays: Sequence[Any]
) -> tuple[tuple[int, int, int], tuple[tuple[int, int], ...], tuple[bool, ...]] | None:
    """How arrays, broadcast to ``shape``, look as rows of three axes.

    Returns
    -------
    (first, columns, length), places, vectors
        The axes; for each array, how far its rows are apart along the first two; and whether it has the last axis. None
        if three axes are not enough, if the elements of a row do not lie side by side, or for steps backwards.
    """
    return _rows_of(tuple(shape), tuple([(a.shape, a.strides, a.itemsize) for a in arrays]))


@lru_cache(maxsize=1024)  # a program computes with the same layouts again and again
def _rows_of(
    shape: tuple[int, ...], layouts: tuple[tuple[tuple[int, ...], tuple[int, ...], int], ...]
) -> tuple[tuple[int, int, int], tuple[tuple[int, int], ...], tuple[bool, ...]] | None:
    for sizes, strides, itemsize in layouts:
        if not whole([step for n, step in zip(sizes, strides, strict=True) if n > 1], itemsize):
            return None
    steps = [
        [0] * (len(shape) - len(sizes))
        + [0 if n == 1 else step // itemsize for n, step in zip(sizes, strides, strict=True)]
        for sizes, strides, itemsize in layouts
    ]
    count = len(layouts)
    axes: list[tuple[int, list[int]]] = []
    for i, n in enumerate(shape):
        own = [step[i] for step in steps]
        if n == 1:
            continue
        if axes and all(before == n * step for before, step in zip(axes[-1][1], own, strict=True)):
            axes[-1] = axes[-1][0] * n, own
        else:
            axes.append((n, own))
    if len(axes) > 3:
        return None
    axes = [(1, [0] * count)] * (3 - len(axes)) + axes
    (first, a), (columns, b), (length, c) = axes
    if max(c, default=0) > 1:
        return None
    return (first, columns, length), tuple(zip(a, b, strict=True)), tuple([step == 1 for step in c])


def fused(*functions: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Overrides for plain elementwise functions."""
    return {function.__name__: Fused(function) for function in functions}
