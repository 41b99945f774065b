"""Sums and maxima along rows of an array, wherever these lie: geometry for kernels in which some threads share each
row.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from .launch import THREADS, Source


class Rows(NamedTuple):
    """Element j of row r is at ``r // inner * outer + r % inner + j // plane * far + j % plane * near``."""

    total: int
    size: int
    inner: int
    outer: int
    plane: int
    far: int
    near: int


def along(shape: tuple[int, ...], axis: int) -> Rows:
    """The rows that lie along an axis."""
    axis %= len(shape)
    size, inner = shape[axis], prod(shape[axis + 1 :])
    return Rows(prod(shape) // size, size, inner, size * inner, size, 0, inner)


def trailing(shape: tuple[int, ...], n: int) -> Rows:
    """A row for all of the last ``n`` axes."""
    size = prod(shape[len(shape) - n :])
    return along((prod(shape) // size, size), 1)


def channels(shape: tuple[int, ...]) -> Rows:
    """A row for each place on axis 1."""
    samples, count, size = *shape[:2], prod(shape[2:])
    return along(shape, 0) if size == 1 else Rows(count, samples * size, 1, size, size, count * size, 1)


def launch(source: Source, name: str, rows: Rows, *args: Any) -> None:
    """Call a function that starts with ``Row row(rows)``; its launch bounds are the threads of the largest block.

    A thread gets four elements of its row or more. Neighbours share a row, or take neighbouring rows if the elements of
    one are apart.
    """
    threads = 4 * THREADS if rows.size >= 16 * THREADS else THREADS
    lanes = min(_power_of_two(-(-rows.size // 4)), threads // min(_power_of_two(rows.inner), 8))
    source.run(name, -(-rows.total // (threads // lanes)), threads, (*rows, lanes), *args)


def _power_of_two(n: int) -> int:
    """The first that is not smaller."""
    return 1 << (n - 1).bit_length()


ROWS = """
struct Rows { I total, size, inner, outer, plane, far, near, lanes; };

__device__ T larger(T a, T b) { return a > b || a != a ? a : b; }  // nan is larger than everything
__device__ T finite_or_0(T x) { return x - x == 0 ? x : 0; }

// A thread's part of a row: elements lane, lane + rows.lanes, ... below n. A thread without a row has none, and still has to come to
// every sum and maximum.
struct Row {
    Rows rows;
    I number, start, n;
    int lane, slot;

    __device__ Row(Rows rows) : rows(rows) {
        int lanes = (int)rows.lanes, t = threadIdx.x, each = blockDim.x / lanes;
        bool across = rows.inner > 1;
        int mine = across ? t % each : t / lanes;
        lane = across ? t / each : t % lanes;
        slot = mine * lanes + lane;
        number = (I)blockIdx.x * each + mine;
        n = number < rows.total ? rows.size : 0;
        if (!n) number = 0;  // it may be read there
        start = number / rows.inner * rows.outer + number % rows.inner;
    }
    __device__ I at(I j) const {
        return start + (j < rows.plane ? j * rows.near : j / rows.plane * rows.far + j % rows.plane * rows.near);
    }
    __device__ bool leads() const { return n && !lane; }

    __device__ T all(T x, bool largest) const {
        __shared__ T shared[1024];
        shared[slot] = x;
        for (int step = (int)rows.lanes / 2; step; step /= 2) {
            __syncthreads();
            if (slot % (int)rows.lanes < step)
                shared[slot] = largest ? larger(shared[slot], shared[slot + step]) : shared[slot] + shared[slot + step];
        }
        __syncthreads();
        x = shared[slot - slot % (int)rows.lanes];
        __syncthreads();  // before anybody writes again
        return x;
    }
    __device__ T sum(T x) const { return all(x, false); }
    __device__ T largest(T x) const { return all(x, true); }
};
#define EACH(j) for (I j = row.lane; j < row.n; j += row.rows.lanes)
"""
