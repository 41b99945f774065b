"""Values and derivatives of a formula in mpmath's arithmetic, with which results in float32 and float64 are compared.

Derivatives are central differences with a tiny step at up to thousands of bits. They use no rule of rustorch, so they
cannot repeat a mistake in a rule. An infinite argument is replaced by two huge numbers, of which one is the square of
the other: if the results for both round to the same number, it is the limit.
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

#: The step at the edge of a domain, where a derivative may be infinite: beyond float64 even after a square root.
_EDGE = 4000


@dataclass(frozen=True, eq=False)
class Function:
    """A function of rustorch with its formula.

    Attributes
    ----------
    name : str
    call : callable
        Takes Variables, elementwise.
    formula : callable
        The same function of single numbers of mpmath.
    arity : int
    kinks : callable, optional
        Takes a point and returns what is expected there instead of the formula: a tuple (value, first derivatives,
        second derivatives), in which None accepts any number; None if everything is accepted; or ... if the formula
        holds. A comment gives the reason.
    linear : bool
        Whether no derivative depends on the argument, so that a derivative at nan is not nan.
    ulps : tuple of float
        The errors allowed for value, first and second derivatives, in units of the last place.
    scale : callable, optional
        Takes a point and returns the size of the numbers whose differences the derivatives are. An absolute error of
        ``ulps`` units of its last place is allowed, too.
    value_too : bool
        Whether ``scale`` holds for the value, too.
    numbers : tuple of float, optional
        The arguments, in place of the usual special numbers.
    step : int
        The step of differences is ``2 ** -step``. It is much smaller than the scale on which the function changes.
    huge : tuple of int
        Powers of two that stand for infinity. They are beyond float64 even after a square root.
    """

    name: str
    call: Callable[..., Any]
    formula: Formula
    arity: int = 1
    kinks: Callable[..., Any] = lambda *point: ...
    linear: bool = False
    ulps: tuple[float, float, float] = (8, 16, 32)
    scale: Callable[..., float] = lambda *point: 0.0
    value_too: bool = False
    numbers: tuple[float, ...] | None = None
    step: int = 1200
    huge: tuple[int, int] = (2200, 3300)


@dataclass(frozen=True)
class Expected:
    """The value, first derivatives and second derivatives ``[i, j]`` with i <= j at a point, rounded to a dtype."""

    value: float
    first: tuple[float, ...]
    second: tuple[float, ...]


def _evaluate(formula: Formula, point: Sequence[Any]) -> Any:
    """The formula at a point as a real number, or nan if it has none."""
    try:
        out = formula(*point)
    except (ZeroDivisionError, ValueError, OverflowError):
        return mpmath.nan
    return mpmath.nan if isinstance(out, mpmath.mpc) and out.imag != 0 else mpf(getattr(out, "real", out))


def _derivatives(formula: Formula, point: Sequence[Any], step: int) -> list[Any]:
    """The value, first and second derivatives. At the edge of a domain they are differences on one side."""
    h = [(min(abs(x), 1) if x else mpf(1)) * mpf(2) ** -step for x in point]

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
        side = 1 if mpmath.isnan(left) else -1
        usual, h[i] = h[i], mpf(2) ** -_EDGE
        with mpmath.workprec(2 * _EDGE + 300):
            start, near, far = at(), at((i, side)), at((i, 2 * side))
            first.append(side * (near - start) / h[i])
            pure.append((start - 2 * near + far) / h[i] ** 2)
        h[i] = usual
    second = []
    for i, j in combinations_with_replacement(range(len(point)), 2):
        if i == j:
            second.append(pure[i])
        else:
            corners = [((1, 1), 1), ((1, -1), -1), ((-1, 1), -1), ((-1, -1), 1)]
            second.append(sum(at((i, a), (j, b)) * sign for (a, b), sign in corners) / (4 * h[i] * h[j]))
    return [value, *first, *second]


def _bits(function: Function, point: Sequence[float], infinite: bool) -> int:
    """The bits for squares of the largest number and of the smallest step, and for results as small as float64 has."""
    exponents = [abs(int(e)) for x, e in zip(point, numpy.frexp(point)[1], strict=True) if x and not numpy.isinf(x)]
    return 2 * function.step + 1500 + max(4 * max(exponents, default=0), 3 * function.huge[1] if infinite else 0)


def _number(x: float, power: int) -> Any:
    return (1 if x > 0 else -1) * mpf(2) ** power if numpy.isinf(x) else mpf(float(x))


def _limit(one: Any, two: Any, dtype: str) -> float:
    """The limit at infinity of a result that is ``one`` at a huge argument and ``two`` at its square, or nan."""
    near, far = rounded(one, dtype), rounded(two, dtype)
    if near == far or numpy.isnan(far):
        return far
    if abs(far - near) <= 8 * numpy.spacing(numpy.abs(numpy.asarray(far, dtype)).astype(dtype)):
        return far
    if abs(two) > abs(one) and (two > 0) == (one > 0):
        return numpy.inf if two > 0 else -numpy.inf
    return numpy.nan


def rounded(x: Any, dtype: str) -> float:
    """A number of mpmath rounded to a dtype. It is infinite beyond the range."""
    with numpy.errstate(all="ignore"):
        return float(numpy.asarray(float(x)).astype(dtype))


@cache
def expected(function: Function, point: tuple[float, ...], dtype: str) -> Expected:
    """The expected numbers at a point whose coordinates are numbers of the dtype."""
    n = function.arity
    if numpy.isnan(point).any():
        pairs = n * (n + 1) // 2
        return Expected(numpy.nan, (numpy.nan,) * n, (numpy.nan,) * pairs)
    infinite = bool(numpy.isinf(point).any())
    with mpmath.workprec(_bits(function, point, infinite)):
        one = _derivatives(function.formula, [_number(x, function.huge[0]) for x in point], function.step)
        if infinite:
            two = _derivatives(function.formula, [_number(x, function.huge[1]) for x in point], function.step)
            numbers = [_limit(a, b, dtype) for a, b in zip(one, two, strict=True)]
        else:
            numbers = [rounded(a, dtype) for a in one]
    return Expected(numbers[0], tuple(numbers[1 : 1 + n]), tuple(numbers[1 + n :]))
