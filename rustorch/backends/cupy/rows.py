"""Rows of an array, for CUDA functions that sum along an axis: where a row's elements are, which threads share it."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from .launch import THREADS, Source


class Rows(NamedTuple):
    """The rows of an array.

    Element j of row r is at ``r // inner * outer_step + r % inner + j // plane * plane_step + j % plane * step``.

    Attributes
    ----------
    total : int
        The number of rows.
    size : int
        The number of elements of a row.
    inner : int
        The number of rows whose first elements are neighbours.
    outer_step, plane, plane_step, step : int
        See the formula above.
    """

    total: int
    size: int
    inner: int
    outer_step: int
    plane: int
    plane_step: int
    step: int


def along(shape: tuple[int, ...], axis: int) -> Rows:
    """The rows along an axis."""
    axis %= len(shape)
    size, inner = shape[axis], prod(shape[axis + 1 :])
    return Rows(prod(shape) // size, size, inner, size * inner, size, 0, inner)


def trailing(shape: tuple[int, ...], n: int) -> Rows:
    """The rows that the last ``n`` axes make together."""
    size = prod(shape[len(shape) - n :])
    return along((prod(shape) // size, size), 1)


def channels(shape: tuple[int, ...]) -> Rows:
    """A row for each index of axis 1, over all other axes."""
    samples, count, size = *shape[:2], prod(shape[2:])
    return along(shape, 0) if size == 1 else Rows(count, samples * size, 1, size, size, count * size, 1)


def launch_rows(source: Source, name: str, rows: Rows, *args: Any) -> None:
    """Call a function whose body starts with ``Row row(rows)``. Its launch bounds must be 4 * THREADS.

    A thread gets at least four elements of its row. Neighbouring threads share a row. Where the elements of a row are
    apart in memory, neighbouring threads take neighbouring rows instead.
    """
    threads = 4 * THREADS if rows.size >= 16 * THREADS else THREADS
    lanes = min(_power_of_two(-(-rows.size // 4)), threads // min(_power_of_two(rows.inner), 8))
    source.launch_blocks(name, -(-rows.total // (threads // lanes)), threads, (*rows, lanes), *args)


def _power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << (n - 1).bit_length()


ROWS = """
struct Rows { I total, size, inner, outer_step, plane, plane_step, step, lanes; };

__device__ T larger(T a, T b) { return a > b || a != a ? a : b; }  // nan is larger than everything
__device__ T finite_or_0(T x) { return x - x == 0 ? x : 0; }

// A thread's part of a row: elements lane, lane + rows.lanes, ... below n. For a thread without a row, n is 0. It must
// still take part in every sum and maximum, since these are barriers.
struct Row {
    Rows rows;
    I number, start, n;
    int lane, slot;

    __device__ Row(Rows rows) : rows(rows) {
        int lanes = (int)rows.lanes, t = threadIdx.x, each = blockDim.x / lanes;
        bool neighbours_take_rows = rows.inner > 1;
        int local = neighbours_take_rows ? t % each : t / lanes;
        lane = neighbours_take_rows ? t / each : t % lanes;
        slot = local * lanes + lane;
        number = (I)blockIdx.x * each + local;
        n = number < rows.total ? rows.size : 0;
        if (!n) number = 0;  // functions may read at `number`
        start = number / rows.inner * rows.outer_step + number % rows.inner;
    }
    __device__ I at(I j) const {
        return start + (j < rows.plane ? j * rows.step : j / rows.plane * rows.plane_step + j % rows.plane * rows.step);
    }
    // Whether this thread writes the result of its row.
    __device__ bool is_first() const { return n && !lane; }

    __device__ T reduce(T x, bool largest) const {
        __shared__ T shared[1024];
        shared[slot] = x;
        for (int step = (int)rows.lanes / 2; step; step /= 2) {
            __syncthreads();
            if (slot % (int)rows.lanes < step)
                shared[slot] = largest ? larger(shared[slot], shared[slot + step]) : shared[slot] + shared[slot + step];
        }
        __syncthreads();
        x = shared[slot - slot % (int)rows.lanes];
        __syncthreads();  // all threads must have read before the next reduction writes
        return x;
    }
    __device__ T sum(T x) const { return reduce(x, false); }
    __device__ T largest(T x) const { return reduce(x, true); }
};
#define EACH(j) for (I j = row.lane; j < row.n; j += row.rows.lanes)

// The largest element of a row.
__device__ T maximum(const Row& row, const T* x) {
    T top = 0;
    EACH(j) top = j == row.lane ? x[row.at(j)] : larger(x[row.at(j)], top);
    return row.largest(top);
}
"""
