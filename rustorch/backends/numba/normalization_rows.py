"""The loops of layer norm and RMS norm, and what they share with batch norm, for Numba."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .kernel import Kernel

if TYPE_CHECKING:
    from .mathematics import sqrt

    T: Any = float


# -- parts of loops ----------------------------------------------------------------------------------------------------
def sum_of(x, scale):
    total = T(0.0)
    for i in range(x.size):
        total += x[i] * scale
    return total


def squares_of(x, scale, mean):
    total = T(0.0)
    for i in range(x.size):
        d = x[i] * scale - mean
        total += d * d
    return total


def largest(x):
    """The largest absolute value."""
    top = T(0.0)
    for i in range(x.size):
        size = abs(x[i])
        top = size if size > top else top
    return top


def factor_for(top, eps, large, shrink):
    """As `kernels.normalization._scale`."""
    if top > large:
        return shrink
    if eps == T(0.0) and top < T(1.0) / large:
        return T(1.0) / shrink
    return T(1.0)


def root_of(square, eps, scale):
    """``1 / sqrt(square + eps * scale**2)``. The scale is above 1 only where eps is 0; its square may be infinite."""
    return T(1.0) / sqrt(square + (eps * scale * scale if scale < T(1.0) else eps))


def standardize(x, out, scale, mean, factor, shift):
    for i in range(x.size):
        out[i] = (x[i] * scale - mean) * factor + shift


def sums_of_gradient(g, x, mean):
    """The sum of a gradient, and its sum with ``x - mean`` as weights."""
    total, dot = T(0.0), T(0.0)
    for i in range(g.size):
        total += g[i]
        dot += g[i] * (x[i] - mean)
    return total, dot


# -- rows --------------------------------------------------------------------------------------------------------------
def _moments(row, eps, least, large, shrink, centers):
    """The scale, and the mean and the variance of the scaled row."""
    count = T(row.size)
    scale = T(1.0)
    mean = sum_of(row, scale) / count if centers else T(0.0)
    square = squares_of(row, scale, mean) / count
    if not (square < T(float("inf")) and square >= least):
        scale = factor_for(largest(row), eps, large, shrink)
        mean = sum_of(row, scale) / count if centers else T(0.0)
        square = squares_of(row, scale, mean) / count
    return scale, mean, square


def _rows(x, weight, bias, out, means, rstds, n, eps, least, large, shrink, scales, shifts, centers, start, stop):
    w, b = weight[:n], bias[:n]
    for r in range(start, stop):
        row, y = x[r * n : r * n + n], out[r * n : r * n + n]
        scale, mean, square = _moments(row, eps, least, large, shrink, centers)
        rstd = root_of(square, eps, scale)
        rstds[r] = rstd * scale
        if centers:
            means[r] = mean / scale
        if scales and shifts:
            for i in range(y.size):
                y[i] = (row[i] * scale - mean) * rstd * w[i] + b[i]
        elif scales:
            for i in range(y.size):
                y[i] = (row[i] * scale - mean) * rstd * w[i]
        else:
            standardize(row, y, scale, mean, rstd, T(0.0))
            if shifts:
                for i in range(y.size):
                    y[i] += b[i]


def _rows_grad(g, x, means, rstds, weight, dx, sums, n, rows, chunks, scales, centers, start, stop):
    w = weight[:n]
    for k in range(start, stop):
        dw, db = sums[2 * k * n : (2 * k + 1) * n], sums[(2 * k + 1) * n : (2 * k + 2) * n]
        if scales:
            for i in range(dw.size):
                dw[i] = T(0.0)
            for i in range(db.size):
                db[i] = T(0.0)
        for r in range(rows * k // chunks, rows * (k + 1) // chunks):
            given, row, out = g[r * n : r * n + n], x[r * n : r * n + n], dx[r * n : r * n + n]
            mean, rstd = means[r] if centers else T(0.0), rstds[r]
            total, dot = T(0.0), T(0.0)
            if scales:
                for i in range(given.size):
                    t = given[i] * ((row[i] - mean) * rstd)
                    total += given[i] * w[i]
                    dot += t * w[i]
                    dw[i] += t
                    db[i] += given[i]
            else:
                for i in range(given.size):
                    total += given[i]
                    dot += given[i] * ((row[i] - mean) * rstd)
            total = total / T(n) if centers else T(0.0)
            dot = dot / T(n)
            if scales:
                for i in range(out.size):
                    out[i] = rstd * (given[i] * w[i] - total - (row[i] - mean) * rstd * dot)
            else:
                for i in range(out.size):
                    out[i] = rstd * (given[i] - total - (row[i] - mean) * rstd * dot)


ROWS = Kernel(_rows, "T[] T[]? T[]? T[] T[]? T[] int T T T T int int int", sums=True)
ROWS_GRAD = Kernel(_rows_grad, "T[] T[] T[]? T[] T[]? T[] T[] int int int int int", sums=True)


# -- groups of channels ------------------------------------------------------------------------------------------------
def _groups(x, weight, bias, out, means, rstds, groups, width, size, eps, least, large, shrink, scales, shifts, start,
            stop):  # fmt: skip
    n = width * size
    for r in range(start, stop):
        scale, mean, square = _moments(x[r * n : r * n + n], eps, least, large, shrink, True)
        rstd = root_of(square, eps, scale)
        means[r], rstds[r] = mean / scale, rstd * scale
        for c in range(width):
            k, channel = r * n + c * size, r % groups * width + c
            factor, shift = rstd * weight[channel] if scales else rstd, bias[channel] if shifts else T(0.0)
            standardize(x[k : k + size], out[k : k + size], scale, mean, factor, shift)


def _groups_grad(g, x, means, rstds, weight, dx, dots, sums, groups, width, size, scales, start, stop):
    n = width * size
    for r in range(start, stop):
        mean, rstd = means[r], rstds[r]
        total, dot = T(0.0), T(0.0)
        for c in range(width):
            k = r * n + c * size
            part, product = sums_of_gradient(g[k : k + size], x[k : k + size], mean)
            product *= rstd
            dots[r * width + c], sums[r * width + c] = product, part
            w = weight[r % groups * width + c] if scales else T(1.0)
            total += w * part
            dot += w * product
        shift, slope = total / T(n) * rstd, dot / T(n) * rstd * rstd
        for c in range(width):
            k = r * n + c * size
            factor = rstd * weight[r % groups * width + c] if scales else rstd
            given, plane, target = g[k : k + size], x[k : k + size], dx[k : k + size]
            for i in range(target.size):
                target[i] = factor * given[i] - shift - (plane[i] - mean) * slope


GROUPS = Kernel(_groups, "T[] T[]? T[]? T[] T[] T[] int int int T T T T int int", sums=True)
GROUPS_GRAD = Kernel(_groups_grad, "T[] T[] T[] T[] T[]? T[] T[] T[] int int int int", sums=True)
