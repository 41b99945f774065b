"""Cross-entropy in one pass over the logits each way, and elementwise losses as fused loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from ..kernels import loss as plain
from ..numpy.loss import FEW, over, total_loss
from .fusing import Fused, fused
from .kernel import LEAST, Kernel, flat
from .softmax import BLOCK, exponentials, largest
from .softmax_columns import INF, finite_or_zero
from .summing import Summed

if TYPE_CHECKING:
    from ..base import Array
    from .mathematics import exp, log
    from .reductions import larger, plus, scratch

    T: Any = float

NAN = float("nan")
#: About how many additions an element takes.
_COST = 4
#: The number of rows that are worked on together where there are few classes.
ROWS = 64
BUFFER = ROWS * FEW
#: Elements below which NumPy serves.
_LEAST = LEAST // _COST


def _row_weight(number: int, n: int, weight: Any, has_weight: int, ignore: int, ignores: int) -> Any:
    """What a row counts for: 0 if its class is the one to ignore, nan if its class does not exist."""
    if ignores != 0 and number == ignore:
        return T(0)
    if number < 0 or number >= n:
        return T(NAN)
    return weight[number] if has_weight != 0 else T(1)


def _cross_entropy(
    x: Any,
    target: Any,
    weight: Any,
    losses: Any,
    counts: Any,
    tops: Any,
    p: Any,
    totals: Any,
    n: int,
    has_weight: int,
    ignore: int,
    ignores: int,
    start: int,
    stop: int,
) -> None:
    """A class for each row. ``counts`` is what the rows count for."""
    for r in range(start, stop):
        row, terms = x[r * n : r * n + n], p[r * n : r * n + n]
        top = largest(row)
        count = _row_weight(target[r], n, weight, has_weight, ignore, ignores)
        counts[r] = count
        if count == T(0) and not abs(top) < T(INF):  # nan and infinity of a row that counts 0 must not spread
            for i in range(terms.size):
                terms[i] = T(1)
            losses[r], tops[r], totals[r] = T(0), T(0), T(n)
        else:
            top = finite_or_zero(top)
            total = T(exponentials(row, terms, top))
            tops[r], totals[r] = top, total
            hot = target[r] if 0 <= target[r] < n else 0
            loss = log(total) - (row[hot] - top)
            losses[r] = T(0) if count == T(0) else loss * count


def _few_classes(
    x: Any,
    target: Any,
    weight: Any,
    losses: Any,
    counts: Any,
    tops: Any,
    p: Any,
    totals: Any,
    n: int,
    has_weight: int,
    ignore: int,
    ignores: int,
    rows: int,
    start: int,
    stop: int,
) -> None:
    """As `_cross_entropy`, for blocks of rows: their logits stand class by class on the stack, and so does ``p``."""
    logits = scratch(T(0), BUFFER)
    for block in range(start, stop):
        first, size = block * ROWS, min(ROWS, rows - block * ROWS)
        top, total, loss = tops[first : first + size], totals[first : first + size], losses[first : first + size]
        for i in range(size):
            row = x[(first + i) * n : (first + i) * n + n]
            for j in range(row.size):
                logits[j * ROWS + i] = row[j]
        for i in range(top.size):
            top[i] = T(-INF)
            total[i] = T(0)
        for j in range(n):
            values = logits[j * ROWS : j * ROWS + size]
            for i in range(top.size):
                top[i] = larger(top[i], values[i])
        for i in range(size):
            number = target[first + i]
            count = _row_weight(number, n, weight, has_weight, ignore, ignores)
            counts[first + i] = count
            if not abs(top[i]) < T(INF):
                top[i] = T(0)
                if count == T(0):  # nan and infinity of a row that counts 0 must not spread
                    for j in range(n):
                        logits[j * ROWS + i] = T(0)
            loss[i] = top[i] - logits[(number if 0 <= number < n else 0) * ROWS + i]
        for j in range(n):
            values, terms = logits[j * ROWS : j * ROWS + size], p[j * rows + first : j * rows + first + size]
            for i in range(terms.size):
                term = exp(values[i] - top[i])
                terms[i] = term
                total[i] += term
        for i in range(total.size):
            loss[i] += log(total[i])
        for i in range(size):
            count = counts[first + i]
            loss[i] = T(0) if count == T(0) else loss[i] * count


def _soft_cross_entropy(
    x: Any, target: Any, losses: Any, tops: Any, p: Any, totals: Any, n: int, start: int, stop: int
) -> None:
    """A weight for each row and class."""
    for r in range(start, stop):
        row, terms, shares = x[r * n : r * n + n], p[r * n : r * n + n], target[r * n : r * n + n]
        top = finite_or_zero(largest(row))
        total = T(exponentials(row, terms, top))
        tops[r], totals[r] = top, total
        log_sum, sum_ = log(total), 0.0
        for begin in range(0, n, BLOCK):
            values, weights = row[begin : begin + BLOCK], shares[begin : begin + BLOCK]
            part = T(0)
            for i in range(values.size):
                loss = log_sum - (values[i] - top)
                product = weights[i] * loss
                impossible = (weights[i] == T(0)) & (abs(loss) == T(INF))  # 0 times infinity counts as 0
                part = plus(part, T(0) if impossible else product)
            sum_ += part
        losses[r] = T(sum_)


def _cross_entropy_grad(
    g: Any,
    p: Any,
    totals: Any,
    target: Any,
    weight: Any,
    dx: Any,
    n: int,
    each: int,
    has_weight: int,
    ignore: int,
    ignores: int,
    start: int,
    stop: int,
) -> None:
    """There is one g, or (if ``each`` is 1) one for each row."""
    for r in range(start, stop):
        terms, y = p[r * n : r * n + n], dx[r * n : r * n + n]
        count = _row_weight(target[r], n, weight, has_weight, ignore, ignores)
        slope = T(0) if count == T(0) else g[r * each] * count
        factor = slope / totals[r]
        for i in range(y.size):
            y[i] = terms[i] * factor
        hot = target[r] if 0 <= target[r] < n else 0
        y[hot] = slope * (terms[hot] / totals[r] - T(1))


def _soft_cross_entropy_grad(
    g: Any, p: Any, totals: Any, target: Any, dx: Any, n: int, each: int, start: int, stop: int
) -> None:
    for r in range(start, stop):
        terms, y, shares = p[r * n : r * n + n], dx[r * n : r * n + n], target[r * n : r * n + n]
        sum_ = 0.0
        for begin in range(0, n, BLOCK):
            weights = shares[begin : begin + BLOCK]
            part = T(0)
            for i in range(weights.size):
                part = plus(part, weights[i])
            sum_ += part
        factor, slope = T(sum_) / totals[r], g[r * each]
        for i in range(y.size):
            y[i] = slope * (terms[i] * factor - shares[i])


_HARD = Kernel(_cross_entropy, "T[] i8[] T[]? T[] T[] T[] T[] T[] int int int int")
_FEW = Kernel(_few_classes, "T[] i8[] T[]? T[] T[] T[] T[] T[] int int int int int")
_SOFT = Kernel(_soft_cross_entropy, "T[] T[] T[] T[] T[] T[] int")
_HARD_GRAD = Kernel(_cross_entropy_grad, "T[] T[] T[] i8[] T[]? T[] int int int int int")
_SOFT_GRAD = Kernel(_soft_cross_entropy_grad, "T[] T[] T[] T[] T[] int int")


def _kernel(hard: Kernel, soft: Kernel, x: Array, target: Array, weight: Array | None) -> Any:
    """The compiled kernel for these targets; None where NumPy should serve."""
    if target.ndim == 2:
        return soft.of(x.dtype, _COST * x.size) if target.dtype is x.dtype else None
    if weight is not None and weight.dtype is not x.dtype:
        return None
    return hard.of(x.dtype, _COST * x.size)


def _options(target: Array, weight: Array | None, ignore: int | None) -> tuple[Any, ...]:
    """The arguments of targets that are classes: two arrays, and then numbers."""
    classes = flat(target.astype("int64", copy=False))
    if weight is not None:
        weight = flat(weight)
    return classes, weight, int(weight is not None), 0 if ignore is None else ignore, int(ignore is not None)


def cross_entropy(x: Array, target: Array, weight: Array | None, ignore: int | None, reduction: str) -> Any:
    """As the plain version. The probabilities of few classes are stored class by class."""
    size = x.size
    if size < _LEAST:
        return NotImplemented
    rows, n = x.shape
    few = n <= FEW and target.ndim == 1
    launch = _kernel(_FEW if few else _HARD, _SOFT, x, target, weight)
    if launch is None:
        return NotImplemented
    x = flat(x)
    loss, counts, top, total = [numpy.empty(rows, x.dtype) for _ in range(4)]
    p = numpy.empty((n, rows) if few else (rows, n), x.dtype)
    if target.ndim == 2:
        launch(rows, _COST * size, x, flat(target), loss, top, p, total, n)
    else:
        classes, weight, *numbers = _options(target, weight, ignore)
        if few:
            numbers.append(rows)
        items = -(-rows // ROWS) if few else rows
        launch(items, _COST * size, x, classes, weight, loss, counts, top, p, total, n, *numbers)
    if few:
        p = p.T
    if reduction == "none":
        return loss, top, p, total, None
    divisor: Any = 1 if reduction == "sum" else rows
    if reduction == "mean" and target.ndim == 1 and not weight is ignore is None:
        divisor = numpy.add.reduce(counts)
    return over(total_loss(loss), divisor), top, p, total, divisor


def cross_entropy_grad(
    g: Array, p: Array, total: Array, target: Array, weight: Array | None, divisor: Any, ignore: int | None
) -> Array:
    """As the plain version. NumPy serves where the probabilities are stored class by class."""
    size = p.size
    if size < _LEAST or not p.flags.c_contiguous or not g.dtype is total.dtype is p.dtype:
        return NotImplemented
    launch = _kernel(_HARD_GRAD, _SOFT_GRAD, p, target, weight)
    if launch is None:
        return NotImplemented
    rows, n = p.shape
    each = int(divisor is None)
    g = flat(numpy.asarray(g if divisor is None else over(g, divisor), p.dtype))
    p, total, dx = flat(p), flat(total), numpy.empty(p.shape, p.dtype)
    if target.ndim == 2:
        launch(rows, _COST * size, g, p, total, flat(target), dx, n, each)
    else:
        classes, weight, *numbers = _options(target, weight, ignore)
        launch(rows, _COST * size, g, p, total, classes, weight, dx, n, each, *numbers)
    return dx


# -- elementwise losses ------------------------------------------------------------------------------------------------
_SQUARES = Summed(plain.squared_difference, 1 << 14)


def mse(x: Array, target: Array, divisor: float) -> Array:
    total = _SQUARES(x, target)
    return total if total is NotImplemented else total / divisor


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    """An override for the mean or sum of a loss. The function's last argument says which."""
    summed = Summed(function)

    def reduced(*args: Any) -> Any:
        *values, reduction = args
        total = summed(*values)
        return total / values[0].size if reduction == "mean" and total is not NotImplemented else total

    return reduced


#: Losses whose means and sums are made in one loop.
_SUMMED = (
    plain.huber,
    plain.smooth_l1,
    plain.binary_cross_entropy,
    plain.binary_cross_entropy_with_logits,
)

OVERRIDES: dict[str, Callable[..., Any]] = {
    "cross_entropy": cross_entropy,
    "cross_entropy_grad": cross_entropy_grad,
    "mse": mse,
    "mse_grad": Fused(plain.mse_grad, 1 << 16),
    **{f"reduced_{function.__name__}": _reduced(function) for function in _SUMMED},
    **fused(
        plain.huber,
        plain.huber_grad,
        plain.smooth_l1,
        plain.smooth_l1_grad,
        plain.binary_cross_entropy,
        plain.binary_cross_entropy_grad,
        plain.binary_cross_entropy_grad_target,
        plain.binary_cross_entropy_with_logits,
        plain.binary_cross_entropy_with_logits_grad,
        plain.gaussian_nll_slope,
    ),
}
