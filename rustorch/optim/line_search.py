"""The line search of L-BFGS: it finds a step length that satisfies the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..typing import Array


class Point(NamedTuple):
    """A point on the line: its distance ``t``, its loss and gradient, and the slope of the loss along the line."""

    t: float
    loss: float
    gradient: Array
    slope: float


def _cubic(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """The minimum of the cubic through two points with their slopes, clipped to bounds. Without a minimum, the middle
    of the bounds.
    """
    if a.t > b.t:
        a, b = b, a
    low, high = bounds or (a.t, b.t)
    if a.t != b.t:
        d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
        square = d1 * d1 - a.slope * b.slope
        if square >= 0:
            d2 = math.sqrt(square)
            if below := b.slope - a.slope + 2 * d2:
                return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / below), low), high)
    return (low + high) / 2


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    *,
    size: float,
    tolerance: float,
    max_points: int,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> Point:
    """Search a point along a line from ``start``, which is at distance 0; the first one to try is at ``t``.

    The search ends at a point whose loss is at most ``start.loss + c1 * t * start.slope``, and whose slope is at most
    ``c2 * abs(start.slope)`` in size.

    Parameters
    ----------
    evaluate : callable
        Returns the point at a distance.
    size : float
        The largest component of the direction.
    tolerance : float
        The search ends when the bracket times ``size`` is shorter than this.
    max_points : int
        How many points are tried after the first one.

    Returns
    -------
    Point
        The point that satisfies both conditions, or the best one of the bracket.

    Notes
    -----
    Source: Nocedal and Wright, "Numerical Optimization", 2006, algorithms 3.5 and 3.6; with the safeguards of M.
    Schmidt's minFunc, from which PyTorch's line search has its constants.
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + c1 * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    # find a bracket: go further until a point is too far
    before, new, n_points = start, evaluate(t), 0
    while n_points < max_points:
        if too_high(new) or (n_points > 1 and new.loss >= before.loss):
            break
        if flat(new):
            return new
        if new.slope >= 0:
            break
        t = _cubic(before, new, (new.t + 0.01 * (new.t - before.t), 10 * new.t))
        before, new, n_points = new, evaluate(t), n_points + 1
    else:
        before = start

    # zoom into the bracket, of which `low` is the end with the lower loss
    low, high = (before, new) if before.loss <= new.loss else (new, before)
    was_near_end = False
    while n_points < max_points and abs(high.t - low.t) * size >= tolerance:
        t = _cubic(low, high)
        left, right = sorted((low.t, high.t))
        margin = 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            was_near_end = False
        elif was_near_end or not left < t < right:  # near an end twice in a row
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            was_near_end = False
        else:
            was_near_end = True
        new, n_points = evaluate(t), n_points + 1
        if too_high(new) or new.loss >= low.loss:
            high = new
            if high.loss < low.loss:
                low, high = high, low
        elif flat(new):
            return new
        else:
            if new.slope * (high.t - low.t) >= 0:
                high = low
            low = new
    return low
