"""How far to go along a direction: a point that satisfies the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A place on the line: how far it is, the loss there, its gradient, and the slope along the line."""

    t: float
    loss: float
    gradient: Any
    slope: float


def _cubic(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two points with their slopes is smallest, within bounds; their middle where there is no
    such place.
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
    most: int,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> Point:
    """Search from ``start`` (at t = 0), first at ``t``.

    The loss falls by ``c1`` of what the slope promises at least, and the slope is down to ``c2`` of what it was.

    Parameters
    ----------
    evaluate : callable
        The point at a distance.
    size : float
        The largest component of the direction: a bracket below ``tolerance`` in units of it is not divided further.
    most : int
        How many points are tried after the first one.

    Notes
    -----
    Source: Nocedal and Wright, "Numerical Optimization", 2006, algorithms 3.5 and 3.6, with the safeguards of M.
    Schmidt's minFunc, whose numbers PyTorch's line search has, too.
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + c1 * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    # a bracket: on the way out, until it went too far
    before, new, tried = start, evaluate(t), 0
    while tried < most:
        if too_high(new) or (tried > 1 and new.loss >= before.loss):
            break
        if flat(new):
            return new
        if new.slope >= 0:
            break
        t = _cubic(before, new, (new.t + 0.01 * (new.t - before.t), 10 * new.t))
        before, new, tried = new, evaluate(t), tried + 1
    else:
        before = start

    # zoom into it; `low` is the end with the lower loss
    low, high = (before, new) if before.loss <= new.loss else (new, before)
    stuck = False
    while tried < most and abs(high.t - low.t) * size >= tolerance:
        t = _cubic(low, high)
        left, right = sorted((low.t, high.t))
        margin = 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            stuck = False
        elif stuck or not left < t < right:  # close to an end for the second time
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            stuck = False
        else:
            stuck = True
        new, tried = evaluate(t), tried + 1
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
