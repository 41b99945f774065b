"""Values and derivatives of a formula in mpmath's arithmetic: the reference that float32 and float64 are held against.

Derivatives are central differences with a step of ``2**-1200`` at thousands of bits, so no rule of rustorch's is used, and no rule
could be wrong here in the same way. An infinite argument is two huge numbers, one the square of the other: what both round to
is the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import mpmath
import numpy
from mpmath import mpf

Formula = Callable[..., Any]

#: Powers of two that stand for infinity: beyond float64 even after a square root.
_HUGE = 2200, 3300
#: Bits of the numbers: room for the largest float64 (or for infinity's stand-ins), the step, and the square of the step.
_BITS = 12000
#: The step is 2**-1200: shorter than any scale on which ``x1 ** x2`` changes for a huge exponent.
_STEP = 1200
#: The step at the edge of a domain, where a derivative may be infinite: beyond float64 even after a square root.
_EDGE = 4000


@dataclass(frozen=True, eq=False)
class Function:
    """A function of rustorch's with its formula.

    Attributes
    ----------
    name : str
    call : callable
        Takes Variables, elementwise.
    formula : callable
        The same of mpmath's numbers, one a time.
    arity : int
    kinks : callable, optional
        Takes a point, returns what holds there instead of the formula: a tuple (value, first derivatives, second derivatives) in which
        None demands nothing, or None if nothing is demanded, or ... where the formula holds. The reason stands beside it.
    linear : bool
        Whether no derivative looks at its argument, so that a derivative at nan is no nan.
    ulps : tuple of float
        How far value, first and second derivatives may be off, in units of the last place.
    scale : callable, optional
        Takes a point, returns what derivatives are differences of: an absolute error of ``ulps`` units of its last place passes, too.
    numbers : tuple of float, optional
        What each argument is, other than the usual special numbers.
    """

    name: str
    call: Callable[..., Any]
    formula: Formula
    arity: int = 1
    kinks: Callable[..., Any] = lambda *point: ...
    linear: bool = False
    ulps: tuple[float, float, float] = (8, 16, 32)
    scale: Callable[..., float] = lambda *point: 0.0
    numbers: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Expected:
    """Value, first derivatives and second derivatives ``[i, j]``, i <= j, at a point, rounded to a dtype."""

    value: float
    first: tuple[float, ...]
    second: tuple[float, ...]


def _evaluate(formula: Formula, point: Sequence[Any]) -> Any:
    """A real number, or nan where the formula has none."""
    try:
        out = formula(*point)
    except (ZeroDivisionError, ValueError, OverflowError):
        return mpmath.nan
    return mpmath.nan if isinstance(out, mpmath.mpc) and out.imag != 0 else mpf(getattr(out, "real", out))


def _derivatives(formula: Formula, point: Sequence[Any]) -> list[Any]:
    """Value, first and second derivatives. Where one side of a point is outside of the domain, differences of the other side."""
    h = [(min(abs(x), 1) if x else mpf(1)) * mpf(2) ** -_STEP for x in point]

    def at(*shifts: tuple[int, int]) -> Any:
        moved = list(point)
        for i, n in shifts:
            moved[i] = moved[i] + n * h[i]
        return _evaluate(formula, moved)

    value, first, pure = at(), [], []
    for i in range(len(point)):
        left, right = at((i, -1)), at((i, 1))
        if mpmath.isnan(left) == mpmath.isnan(right):
            first.append((right - left) / (2 * h[i]))
            pure.append((left - 2 * value + right) / h[i] ** 2)
            continue
        usual, h[i] = h[i], mpf(2) ** -_EDGE
        side = 1 if mpmath.isnan(left) else -1
        near, far = at((i, side)), at((i, 2 * side))
        first.append(side * (near - value) / h[i])
        pure.append((value - 2 * near + far) / h[i] ** 2)
        h[i] = usual
    second = []
    for i, j in combinations_with_replacement(range(len(point)), 2):
        if i == j:
            second.append(pure[i])
        else:
            corners = [((1, 1), 1), ((1, -1), -1), ((-1, 1), -1), ((-1, -1), 1)]
            second.append(sum(at((i, a), (j, b)) * sign for (a, b), sign in corners) / (4 * h[i] * h[j]))
    return [value, *first, *second]


def _number(x: float, power: int) -> Any:
    return (1 if x > 0 else -1) * mpf(2) ** power if numpy.isinf(x) else mpf(float(x))


def _limit(one: Any, two: Any, dtype: str) -> float:
    """What a number tends to that is ``one`` at a huge argument and ``two`` at its square."""
    near, far = rounded(one, dtype), rounded(two, dtype)
    if near == far or numpy.isnan(far):
        return far
    if abs(far - near) <= 8 * numpy.spacing(numpy.abs(numpy.asarray(far, dtype)).astype(dtype)):
        return far
    if abs(two) > abs(one) and (two > 0) == (one > 0):
        return numpy.inf if two > 0 else -numpy.inf
    return numpy.nan


def rounded(x: Any, dtype: str) -> float:
    """An mpmath number as a number of ``dtype``: infinite beyond its range."""
    with numpy.errstate(all="ignore"):
        return float(numpy.asarray(float(x)).astype(dtype))


@cache
def expected(function: Function, point: tuple[float, ...], dtype: str) -> Expected:
    """The reference at a point of ``dtype``'s numbers."""
    n = function.arity
    if numpy.isnan(point).any():
        pairs = n * (n + 1) // 2
        return Expected(numpy.nan, (numpy.nan,) * n, (numpy.nan,) * pairs)
    infinite = bool(numpy.isinf(point).any())
    with mpmath.workprec(_BITS):
        one = _derivatives(function.formula, [_number(x, _HUGE[0]) for x in point])
        if infinite:
            two = _derivatives(function.formula, [_number(x, _HUGE[1]) for x in point])
            numbers = [_limit(a, b, dtype) for a, b in zip(one, two, strict=True)]
        else:
            numbers = [rounded(a, dtype) for a in one]
    return Expected(numbers[0], tuple(numbers[1 : 1 + n]), tuple(numbers[1 + n :]))
