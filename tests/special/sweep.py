"""A function at all special points at once, compared with `precise.expected`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations_with_replacement, product

import numpy

import rustorch
from tests.special.precise import Expected, Function, expected
from tests.support.target import Target, host


def points(dtype: str, function: Function) -> list[tuple[float, ...]]:
    """Points of special numbers of a dtype. For several arguments, all combinations of fewer numbers."""
    arity = function.arity
    info = numpy.finfo(dtype)
    tiny, huge = float(info.smallest_normal), float(info.max)
    few = [0.0, tiny, 1.0, huge, numpy.inf]
    if function.numbers is not None:
        return list(product([float(numpy.asarray(x, dtype)) for x in function.numbers], repeat=arity))
    if arity == 1:
        few += [
            float(info.eps),
            1e-3,
            0.5,
            1 - float(info.epsneg),
            3.0,
            9.0,
            20.0,
            50.0,
            1e4,
            1e10,
            1e-10,
            2e7,
            1e20,
            1e-20,
            huge**0.5,
        ]
    else:
        few += [0.75, 30.0, float(numpy.sqrt(numpy.asarray(huge, dtype)))]
    values = [float(numpy.asarray(x, dtype)) for x in few]
    return list(product([*values, *(-x for x in values), numpy.nan], repeat=arity))


def derivatives(
    function: Function, at: Sequence[tuple[float, ...]], dtype: str, backend: Target
) -> list[numpy.ndarray]:
    """The value, first and second derivatives in the order of `Expected`, each an array over the points."""
    columns = numpy.asarray(at, dtype).T
    xs = [backend.variable(column, requires_grad=True) for column in columns]
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("error")
        out = function.call(*xs)
        first = rustorch.grad([rustorch.sum(out)], xs, create_graph=True)
        second = []
        for i, j in combinations_with_replacement(range(len(xs)), 2):
            start = first[i]
            if start.requires_grad:
                second.append(rustorch.grad([rustorch.sum(start)], [xs[j]], allow_unused=True, retain_graph=True)[0])
            else:
                second.append(None)
    zero = numpy.zeros(len(at), dtype)
    return [zero if x is None else host(x) for x in (out, *first, *second)]


def _close(got: float, wanted: float, ulps: float, dtype: str, scale: float, flushes: bool) -> bool:
    if flushes and numpy.isinf(wanted):  # a reciprocal of a number that was flushed to 0, or 0 times infinity
        return True
    if numpy.isnan(wanted) or numpy.isnan(got):
        return bool(numpy.isnan(wanted) and numpy.isnan(got))
    if got == wanted:
        return True
    info = numpy.finfo(dtype)
    if numpy.isinf(wanted) or numpy.isinf(got):  # an overflow within rounding of the largest number
        return bool(min(abs(got), abs(wanted)) >= float(info.max) * (1 - ulps * float(info.eps)) and got * wanted > 0)
    allowed = ulps * max(
        float(numpy.spacing(numpy.asarray(abs(wanted), dtype))), float(info.smallest_subnormal), scale * float(info.eps)
    )
    # numbers below the smallest normal number may be flushed to 0 in a step of the computation
    return abs(got - wanted) <= max(allowed, ulps * float(info.smallest_normal) if flushes else 0.0)


def _wanted(function: Function, point: tuple[float, ...], dtype: str) -> list[float | None]:
    """The expected numbers at a point. None accepts any number."""
    n = function.arity
    count = 1 + n + n * (n + 1) // 2
    if numpy.isnan(point).any():
        # a derivative that depends on nan is nan; any other one is accepted
        first = [None if function.linear or n > 1 else numpy.nan] * n
        return [numpy.nan if n == 1 else None, *first, *[None] * (count - 1 - n)]
    special = function.kinks(*point)
    if special is None:
        return [None] * count
    if special is not ...:
        return list(special)
    e: Expected = expected(function, point, dtype)
    if numpy.isnan(e.value):  # outside of the domain
        return [numpy.nan] + [None] * (count - 1)
    return [e.value, *e.first, *e.second]


def faults(function: Function, dtype: str, backend: Target, at: Sequence[tuple[float, ...]] | None = None) -> list[str]:
    """A line for each number that differs from the expected one."""
    at = points(dtype, function) if at is None else at
    got = derivatives(function, at, dtype, backend)
    slack = 1 if backend.device == "cpu" else 8  # the functions of other libraries are less exact than NumPy's
    flushes = not backend.device.startswith(("cpu", "strict", "torch"))  # these flush subnormal numbers to 0
    lines = []
    for k, point in enumerate(at):
        for n, value in enumerate(_wanted(function, point, dtype)):
            order = 0 if n == 0 else 1 if n <= function.arity else 2
            number = float(got[n][k])
            ulps = function.ulps[order] * slack
            if value is not None and not _close(
                number, value, ulps, dtype, function.scale(*point) if order or function.value_too else 0.0, flushes
            ):
                lines.append(
                    f"{function.name}{point} {dtype}: {_label(n, function.arity)} is {number!r}, expected {value!r}"
                )
    return lines


def _label(n: int, arity: int) -> str:
    if n == 0:
        return "value"
    if n <= arity:
        return f"d/dx{n}"
    i, j = list(combinations_with_replacement(range(1, arity + 1), 2))[n - 1 - arity]
    return f"d2/dx{i}dx{j}"
