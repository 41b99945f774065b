"""The loops of batch norm, for Numba."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .kernel import Kernel
from .normalization_rows import factor_for, largest, root_of, squares_of, standardize, sum_of, sums_of_gradient

if TYPE_CHECKING:
    T: Any = float


# -- channels of planes ------------------------------------------------------------------------------------------------
def _moments(x, c, channels, samples, size, scale):
    """The mean and the variance of a channel times a scale."""
    count = T(samples) * T(size)
    total = T(0.0)
    for s in range(samples):
        k = (s * channels + c) * size
        total += sum_of(x[k : k + size], scale)
    mean = total / count
    total = T(0.0)
    for s in range(samples):
        k = (s * channels + c) * size
        total += squares_of(x[k : k + size], scale, mean)
    return mean, total / count


def _planes(x, weight, bias, out, means, variances, rstds, channels, samples, size, eps, least, large, shrink,
            scales, shifts, start, stop):  # fmt: skip
    for c in range(start, stop):
        scale = T(1.0)
        mean, square = _moments(x, c, channels, samples, size, scale)
        if not (square < T(float("inf")) and square >= least):
            top = T(0.0)
            for s in range(samples):
                k = (s * channels + c) * size
                other = largest(x[k : k + size])
                top = other if other > top else top
            scale = factor_for(top, eps, large, shrink)
            mean, square = _moments(x, c, channels, samples, size, scale)
        rstd = root_of(square, eps, scale)
        means[c], variances[c], rstds[c] = mean / scale, square / scale / scale, rstd * scale
        factor, shift = rstd * weight[c] if scales else rstd, bias[c] if shifts else T(0.0)
        for s in range(samples):
            k = (s * channels + c) * size
            standardize(x[k : k + size], out[k : k + size], scale, mean, factor, shift)


def _planes_grad(g, x, means, rstds, weight, dx, dweight, dbias, channels, samples, size, scales, start, stop):
    count = T(samples) * T(size)
    for c in range(start, stop):
        mean, rstd = means[c], rstds[c]
        total, dot = T(0.0), T(0.0)
        for s in range(samples):
            k = (s * channels + c) * size
            part, product = sums_of_gradient(g[k : k + size], x[k : k + size], mean)
            total += part
            dot += product
        dbias[c], dweight[c] = total, dot * rstd
        factor = rstd * weight[c] if scales else rstd
        slope, shift = dot * rstd * rstd / count, total / count
        for s in range(samples):
            k = (s * channels + c) * size
            given, plane, target = g[k : k + size], x[k : k + size], dx[k : k + size]
            for i in range(target.size):
                target[i] = factor * (given[i] - shift - (plane[i] - mean) * slope)


PLANES = Kernel(_planes, "T[] T[]? T[]? T[] T[] T[] T[] int int int T T T T int int", sums=True)
PLANES_GRAD = Kernel(_planes_grad, "T[] T[] T[] T[] T[]? T[] T[] T[] int int int int", sums=True)


# -- channels of one element -------------------------------------------------------------------------------------------
def _add_columns(x, scale, total, samples, channels, low, high):
    """The sums of a block of channels, four samples at a time."""
    end = samples - samples % 4
    for s in range(0, end, 4):
        j, k, m, n = s * channels, (s + 1) * channels, (s + 2) * channels, (s + 3) * channels
        a, b, c, d = x[j + low : j + high], x[k + low : k + high], x[m + low : m + high], x[n + low : n + high]
        for i in range(total.size):
            total[i] += (a[i] * scale[i] + b[i] * scale[i]) + (c[i] * scale[i] + d[i] * scale[i])
    for s in range(end, samples):
        row = x[s * channels + low : s * channels + high]
        for i in range(total.size):
            total[i] += row[i] * scale[i]


def _add_column_squares(x, scale, mean, total, samples, channels, low, high):
    """The sums of the squares of what is centered."""
    end = samples - samples % 4
    for s in range(0, end, 4):
        j, k, m, n = s * channels, (s + 1) * channels, (s + 2) * channels, (s + 3) * channels
        a, b, c, d = x[j + low : j + high], x[k + low : k + high], x[m + low : m + high], x[n + low : n + high]
        for i in range(total.size):
            p, q, u, v = a[i] * scale[i], b[i] * scale[i], c[i] * scale[i], d[i] * scale[i]
            p, q, u, v = p - mean[i], q - mean[i], u - mean[i], v - mean[i]
            total[i] += (p * p + q * q) + (u * u + v * v)
    for s in range(end, samples):
        row = x[s * channels + low : s * channels + high]
        for i in range(total.size):
            p = row[i] * scale[i] - mean[i]
            total[i] += p * p


def _columns(x, weight, bias, out, means, variances, rstds, work, channels, samples, block, eps, least, large, shrink,
             scales, shifts, start, stop):  # fmt: skip
    for item in range(start, stop):
        low = item * block
        high = min(low + block, channels)
        mean, square, rstd = means[low:high], variances[low:high], rstds[low:high]
        scale, factor = work[low:high], work[channels + low : channels + high]
        shift = work[2 * channels + low : 2 * channels + high]
        for i in range(scale.size):
            scale[i] = T(1.0)
        again = True
        while again:
            for i in range(mean.size):
                mean[i] = T(0.0)
            for i in range(square.size):
                square[i] = T(0.0)
            _add_columns(x, scale, mean, samples, channels, low, high)
            for i in range(mean.size):
                mean[i] /= T(samples)
            _add_column_squares(x, scale, mean, square, samples, channels, low, high)
            again = False
            for i in range(square.size):
                square[i] /= T(samples)
                if scale[i] == T(1.0) and not (square[i] < T(float("inf")) and square[i] >= least):
                    top = T(0.0)
                    for s in range(samples):
                        size = abs(x[s * channels + low + i])
                        top = size if size > top else top
                    scale[i] = factor_for(top, eps, large, shrink)
                    again = again or scale[i] != T(1.0)
        for i in range(rstd.size):
            rstd[i] = root_of(square[i], eps, scale[i])
            factor[i] = rstd[i] * weight[low + i] if scales else rstd[i]
            shift[i] = bias[low + i] if shifts else T(0.0)
        for s in range(samples):
            row, y = x[s * channels + low : s * channels + high], out[s * channels + low : s * channels + high]
            for i in range(y.size):
                y[i] = (row[i] * scale[i] - mean[i]) * factor[i] + shift[i]
        for i in range(mean.size):
            mean[i] /= scale[i]
            square[i] = square[i] / scale[i] / scale[i]
            rstd[i] *= scale[i]


def _columns_grad(g, x, means, rstds, weight, dx, dweights, dbiases, work, channels, samples, block, scales, start,
                  stop):  # fmt: skip
    for item in range(start, stop):
        low = item * block
        high = min(low + block, channels)
        mean, rstd, dweight, dbias = means[low:high], rstds[low:high], dweights[low:high], dbiases[low:high]
        slope, factor = work[low:high], work[channels + low : channels + high]
        shift = work[2 * channels + low : 2 * channels + high]
        for i in range(dweight.size):
            dweight[i] = T(0.0)
        for i in range(dbias.size):
            dbias[i] = T(0.0)
        for s in range(samples):
            given, row = g[s * channels + low : s * channels + high], x[s * channels + low : s * channels + high]
            for i in range(dweight.size):
                dweight[i] += given[i] * (row[i] - mean[i])
                dbias[i] += given[i]
        for i in range(dweight.size):
            dweight[i] *= rstd[i]
            slope[i] = dweight[i] * rstd[i] / T(samples)
            shift[i] = dbias[i] / T(samples)
            factor[i] = rstd[i] * weight[low + i] if scales else rstd[i]
        for s in range(samples):
            k = s * channels
            given, row, target = g[k + low : k + high], x[k + low : k + high], dx[k + low : k + high]
            for i in range(target.size):
                target[i] = factor[i] * (given[i] - shift[i] - (row[i] - mean[i]) * slope[i])


COLUMNS = Kernel(_columns, "T[] T[]? T[]? T[] T[] T[] T[] T[] int int int T T T T int int", sums=True)
COLUMNS_GRAD = Kernel(_columns_grad, "T[] T[] T[] T[] T[]? T[] T[] T[] T[] int int int int", sums=True)
