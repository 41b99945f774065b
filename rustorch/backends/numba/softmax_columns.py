"""Softmax, log_softmax and logsumexp along an axis that is not the last: bodies of kernels.

An item is a block of neighbouring columns. Its maxima and sums stand on the stack, and the block stays in the cache
while it is read again. For an array of shape (outer, n, inner), a block has ``width`` of the ``inner`` columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .mathematics import exp, log1p
    from .reductions import larger, less_one, scratch

    T: Any = float

INF = math.inf
#: The number of rows whose sum is made in the array's dtype. The sums of blocks are added up in float64.
BLOCK = 64
#: The largest number of columns of a block.
WIDTH = 256


def finite_or_zero(x: Any) -> Any:
    """The number itself, or 0 if it is not finite."""
    return x if abs(x) < T(INF) else T(0)


def _maxima(x: Any, first: int, n: int, inner: int, tops: Any) -> None:
    for i in range(tops.size):
        tops[i] = T(-INF)
    for j in range(n):
        row = x[first + j * inner : first + j * inner + tops.size]
        for i in range(tops.size):
            tops[i] = larger(tops[i], row[i])


def _shifted_exponentials(x: Any, out: Any, first: int, n: int, inner: int, tops: Any, totals: Any) -> None:
    """Write ``exp(x - top)``, and the inverses of its sums into ``tops``."""
    for i in range(totals.size):
        totals[i] = 0.0
    for j in range(n):
        at = first + j * inner
        row, y = x[at : at + tops.size], out[at : at + tops.size]
        for i in range(y.size):
            y[i] = exp(row[i] - tops[i])
        for i in range(y.size):
            totals[i] += y[i]
    for i in range(tops.size):
        tops[i] = T(1 / totals[i])


def _log_sums(x: Any, first: int, n: int, inner: int, tops: Any, terms: Any, others: Any) -> None:
    """``log(sum(exp(x - top)))`` into ``terms``. A largest term of 1 is added by log1p."""
    all_counts = scratch(T(0), WIDTH)
    counts = all_counts[: tops.size]
    for i in range(others.size):
        others[i] = 0.0
        counts[i] = T(-1)
    for j in range(n):
        row = x[first + j * inner : first + j * inner + tops.size]
        for i in range(row.size):
            shifted = row[i] - tops[i]
            is_top = T(shifted == T(0))
            terms[i] = exp(shifted) - is_top
            counts[i] += is_top
        for i in range(others.size):
            others[i] += terms[i]
    for i in range(terms.size):
        terms[i] = log1p(T(others[i] + counts[i]))


def softmax(x: Any, out: Any, n: int, inner: int, width: int, blocks: int, start: int, stop: int) -> None:
    all_tops, all_totals = scratch(T(0), WIDTH), scratch(0.0, WIDTH)
    for item in range(start, stop):
        block = item % blocks
        first, size = item // blocks * n * inner + block * width, min(width, inner - block * width)
        tops, totals = all_tops[:size], all_totals[:size]
        _maxima(x, first, n, inner, tops)
        _shifted_exponentials(x, out, first, n, inner, tops, totals)
        for j in range(n):
            y = out[first + j * inner : first + j * inner + size]
            for i in range(y.size):
                y[i] *= tops[i]


def softmax_grad(g: Any, out: Any, dx: Any, n: int, inner: int, width: int, blocks: int, start: int, stop: int) -> None:
    all_means, all_rests, all_totals = scratch(T(0), WIDTH), scratch(T(0), WIDTH), scratch(0.0, WIDTH)
    for item in range(start, stop):
        block = item % blocks
        first, size = item // blocks * n * inner + block * width, min(width, inner - block * width)
        means, rests, totals = all_means[:size], all_rests[:size], all_totals[:size]
        for i in range(size):
            rests[i] = T(0)
        _weighted_columns(g, out, first, n, inner, rests, means, totals)
        _weighted_columns(g, out, first, n, inner, means, rests, totals)
        for j in range(n):
            at = first + j * inner
            slope, p, y = g[at : at + size], out[at : at + size], dx[at : at + size]
            for i in range(y.size):
                y[i] = p[i] * ((slope[i] - means[i]) - rests[i])


def _weighted_columns(x: Any, weight: Any, first: int, n: int, inner: int, means: Any, sums: Any, totals: Any) -> None:
    """``sum((x - mean) * weight)`` into ``sums``."""
    for i in range(totals.size):
        totals[i] = 0.0
    for begin in range(0, n, BLOCK):
        for i in range(sums.size):
            sums[i] = T(0)
        for j in range(begin, min(begin + BLOCK, n)):
            at = first + j * inner
            values, weights = x[at : at + means.size], weight[at : at + means.size]
            for i in range(values.size):
                sums[i] += (values[i] - means[i]) * weights[i]
        for i in range(sums.size):
            totals[i] += sums[i]
    for i in range(sums.size):
        sums[i] = T(totals[i])


def log_softmax(x: Any, out: Any, n: int, inner: int, width: int, blocks: int, start: int, stop: int) -> None:
    all_tops, all_terms, all_totals = scratch(T(0), WIDTH), scratch(T(0), WIDTH), scratch(0.0, WIDTH)
    for item in range(start, stop):
        block = item % blocks
        first, size = item // blocks * n * inner + block * width, min(width, inner - block * width)
        tops, terms = all_tops[:size], all_terms[:size]
        _maxima(x, first, n, inner, tops)
        _log_sums(x, first, n, inner, tops, terms, all_totals[:size])
        for j in range(n):
            at = first + j * inner
            row, y = x[at : at + size], out[at : at + size]
            for i in range(y.size):
                y[i] = (row[i] - tops[i]) - terms[i]


def log_softmax_grad(
    g: Any, out: Any, dx: Any, n: int, inner: int, width: int, blocks: int, start: int, stop: int
) -> None:
    all_sums, all_totals = scratch(T(0), WIDTH), scratch(0.0, WIDTH)
    for item in range(start, stop):
        block = item % blocks
        first, size = item // blocks * n * inner + block * width, min(width, inner - block * width)
        sums, totals = all_sums[:size], all_totals[:size]
        for i in range(size):
            totals[i] = 0.0
        for j in range(n):
            slope = g[first + j * inner : first + j * inner + size]
            for i in range(slope.size):
                totals[i] += slope[i]
        for i in range(size):
            sums[i] = T(totals[i])
        for j in range(n):
            at = first + j * inner
            slope, p, y = g[at : at + size], out[at : at + size], dx[at : at + size]
            for i in range(y.size):
                power = exp(p[i])
                y[i] = -(slope[i] * less_one(power, p[i])) - power * (sums[i] - slope[i])


def logsumexp(x: Any, out: Any, n: int, inner: int, width: int, blocks: int, start: int, stop: int) -> None:
    all_tops, all_terms, all_totals = scratch(T(0), WIDTH), scratch(T(0), WIDTH), scratch(0.0, WIDTH)
    for item in range(start, stop):
        row, block = item // blocks, item % blocks
        size = min(width, inner - block * width)
        tops, terms = all_tops[:size], all_terms[:size]
        _maxima(x, row * n * inner + block * width, n, inner, tops)
        for i in range(size):
            tops[i] = finite_or_zero(tops[i])
        _log_sums(x, row * n * inner + block * width, n, inner, tops, terms, all_totals[:size])
        y = out[row * inner + block * width : row * inner + block * width + size]
        for i in range(y.size):
            y[i] = terms[i] + tops[i]


def logsumexp_grad(
    g: Any, x: Any, out: Any, dx: Any, n: int, inner: int, width: int, blocks: int, start: int, stop: int
) -> None:
    all_tops, all_totals = scratch(T(0), WIDTH), scratch(0.0, WIDTH)
    for item in range(start, stop):
        group, block = item // blocks, item % blocks
        first, size = group * n * inner + block * width, min(width, inner - block * width)
        tops, totals = all_tops[:size], all_totals[:size]
        at = group * inner + block * width
        slope, log = g[at : at + size], out[at : at + size]
        _maxima(x, first, n, inner, tops)
        for i in range(log.size):
            tops[i] = T(0) if abs(log[i]) == T(INF) else tops[i]
            totals[i] = 0.0
        for j in range(n):
            row, y = x[first + j * inner : first + j * inner + size], dx[first + j * inner : first + j * inner + size]
            for i in range(y.size):  # elements of infinity share the gradient
                attained = T(0) if row[i] == log[i] else T(-INF)
                y[i] = exp((attained if abs(log[i]) == T(INF) else row[i]) - tops[i])
            for i in range(y.size):
                totals[i] += y[i]
        for i in range(log.size):
            tops[i] = T(1 / totals[i])
        for j in range(n):
            y = dx[first + j * inner : first + j * inner + size]
            for i in range(y.size):
                y[i] = (T(0) if log[i] == T(-INF) else slope[i]) * (y[i] * tops[i])
