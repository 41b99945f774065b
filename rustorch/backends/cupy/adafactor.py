"""Adafactor on CuPy: any number of parameters in four launches, each of which needs the sums of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy

from .launch import THREADS
from .tables import CHUNK, PARTS, SUMS, Contiguous, Tables, Tensor

#: The fewest rows of a matrix that one block sums up along its columns.
MIN_ROWS = 256
#: The most blocks that share the sums of 32 columns.
MAX_CHUNKS = 64

# A parameter is a stack of ``stack`` matrices of ``height`` rows and ``width`` columns, or a vector, whose ``rows`` is
# null.
# Arrays: p, g, rows, columns, variance, and a scratch buffer. The scratch buffer holds the sums of squares of each
# column in each chunk of rows, the mean of ``rows`` of each matrix, and the sums of squares of p and of u in each part.
# Sizes: of p, height, width, chunks of rows, parts of p, threads that share a row, threads that share a column.
_SOURCE = """
__device__ T interpolate(T start, T end, T weight) {
    return weight < (T)0.5 ? start + weight * (end - start) : end - (end - start) * (1 - weight);
}
__device__ T at_least(T x, T minimum) { return x > minimum ? x : minimum; }  // nan becomes the minimum

struct Stack {
    T *p, *g, *rows, *columns, *variance, *column_sums, *row_means, *square_sums;
    I n, height, width, stack, chunks, parts;
    int row_lanes, column_lanes;

    __device__ Stack(const Table& table, const Place& at) {
        p = ARRAY(0), g = ARRAY(1), rows = ARRAY(2), columns = ARRAY(3), variance = ARRAY(4);
        n = SIZE(0), height = SIZE(1), width = SIZE(2), chunks = SIZE(3), parts = SIZE(4);
        row_lanes = (int)SIZE(5), column_lanes = (int)SIZE(6);
        stack = n / (height * width);
        column_sums = ARRAY(5), row_means = column_sums + stack * width * chunks, square_sums = row_means + stack;
    }
    // u of an element: its gradient divided by the root of its variance.
    __device__ T direction(I i, T g, T eps1, T eps1_squared) const {
        T estimate;
        if (rows) {
            I matrix = i / (height * width);
            estimate = rows[i / width] / larger(row_means[matrix], eps1) * columns[matrix * width + i % width];
        } else {
            estimate = variance[i];
        }
        return g / sqrt(larger(estimate, eps1_squared));
    }
};

// The new ``rows``, and the sums of squares along the columns in each chunk of rows.
extern "C" __global__ void adafactor_means(Table table, T new_weight) {
    Place at(table);
    Stack s(table, at);
    I rows_per_block = 256 / s.row_lanes, total = s.stack * s.height;
    I row_blocks = (total + rows_per_block - 1) / rows_per_block;
    if (at.block < row_blocks) {
        I row = at.block * rows_per_block + threadIdx.x / s.row_lanes;
        int lane = threadIdx.x % s.row_lanes;
        T mean = 0;
        if (row < total)
            for (I j = lane; j < s.width; j += s.row_lanes) mean += s.g[row * s.width + j] * s.g[row * s.width + j];
        mean = sum(mean, s.row_lanes) / (T)s.width;
        if (row < total && !lane) s.rows[row] = interpolate(s.rows[row], mean, new_weight);
        return;
    }
    // A block treats 32 columns of one chunk of rows. Eight threads share each column.
    __shared__ T shared_squares[256];
    I number = at.block - row_blocks, chunk = number % s.chunks;
    I rows_per_chunk = (s.height + s.chunks - 1) / s.chunks;
    I column = number / s.chunks * 32 + threadIdx.x % 32;
    T squares = 0;
    if (column < s.stack * s.width) {
        const T* g = s.g + column / s.width * (s.height * s.width) + column % s.width;
        I end = (chunk + 1) * rows_per_chunk < s.height ? (chunk + 1) * rows_per_chunk : s.height;
        for (I row = chunk * rows_per_chunk + threadIdx.x / 32; row < end; row += 8)
            squares += g[row * s.width] * g[row * s.width];
    }
    shared_squares[threadIdx.x] = squares;
    __syncthreads();
    if (threadIdx.x < 32 && column < s.stack * s.width) {
        for (int i = 1; i < 8; i++) squares += shared_squares[threadIdx.x + 32 * i];
        s.column_sums[chunk * (s.stack * s.width) + column] = squares;
    }
}

// The new ``columns``, and the mean of ``rows`` of each matrix.
extern "C" __global__ void adafactor_columns(Table table, T new_weight) {
    Place at(table);
    Stack s(table, at);
    I total = s.stack * s.width, column_blocks = (total + 255) / 256;
    if (at.block < column_blocks) {
        I column = at.block * (I)256 + threadIdx.x;
        if (column >= total) return;
        T squares = 0;
        for (I chunk = 0; chunk < s.chunks; chunk++) squares += s.column_sums[chunk * total + column];
        s.columns[column] = interpolate(s.columns[column], squares / (T)s.height, new_weight);
        return;
    }
    I matrix = (at.block - column_blocks) * (I)(256 / s.column_lanes) + threadIdx.x / s.column_lanes;
    int lane = threadIdx.x % s.column_lanes;
    T mean = 0;
    if (matrix < s.stack)
        for (I j = lane; j < s.height; j += s.column_lanes) mean += s.rows[matrix * s.height + j];
    mean = sum(mean, s.column_lanes) / (T)s.height;
    if (matrix < s.stack && !lane) s.row_means[matrix] = mean;
}

// The new ``variance`` of a vector, and the sums of squares of p and of u in each part.
extern "C" __global__ void adafactor_norms(Table table, T new_weight, T eps1, T eps1_squared) {
    Place at(table);
    Stack s(table, at);
    T p_squares = 0, u_squares = 0;
    for (I i = at.block * (I)256 + threadIdx.x; i < s.n; i += s.parts * 256) {
        T g = s.g[i];
        if (s.variance) s.variance[i] = interpolate(s.variance[i], g * g, new_weight);
        T u = s.direction(i, g, eps1, eps1_squared);
        p_squares += s.p[i] * s.p[i];
        u_squares += u * u;
    }
    p_squares = sum(p_squares, 256);
    u_squares = sum(u_squares, 256);
    if (!threadIdx.x) {
        s.square_sums[at.block] = p_squares;
        s.square_sums[s.parts + at.block] = u_squares;
    }
}

extern "C" __global__ void adafactor_step(Table table, T eps1, T eps1_squared, T eps2, T rho, T d, T decay, T sign) {
    Place at(table);
    Stack s(table, at);
    T root_size = sqrt((T)s.n);
    T p_norm = sqrt(sum(threadIdx.x < s.parts ? s.square_sums[threadIdx.x] : (T)0, 256));
    T u_norm = sqrt(sum(threadIdx.x < s.parts ? s.square_sums[s.parts + threadIdx.x] : (T)0, 256));
    T step = sign * rho * at_least(p_norm / root_size, eps2) / at_least(u_norm / (root_size * d), (T)1);
    EACH(i, s.n) s.p[i] = decay * s.p[i] - step * s.direction(i, s.g[i], eps1, eps1_squared);
}
"""
_TABLES = Tables(SUMS + _SOURCE, arrays=6, sizes=7, numbers=7)


def _lanes(size: int) -> int:
    """How many threads share a row or column of this size: a power of two, with four elements or more for each."""
    return min(1 << ((size + 3) // 4 - 1).bit_length(), THREADS)


def step_all(
    calls: Sequence[Sequence[Any]],
    *,
    lr: float,
    new_weight: float,
    eps1: float,
    eps2: float,
    d: float,
    rho: float,
    weight_decay: float,
    maximize: bool,
) -> list[tuple[Any, ...]]:
    """The step of each of (p, g, rows, columns, variance), which are not empty and have one dtype."""
    memory = Contiguous()
    means, columns, norms, updates = [], [], [], []
    for p, g, *state in calls:
        height, width = p.shape[-2:] if state[2] is None else (1, p.size)
        stack = p.size // (height * width)
        chunks = min(-(-height // MIN_ROWS), MAX_CHUNKS)
        parts = min(-(-p.size // CHUNK), PARTS)
        row_lanes, column_lanes = _lanes(width), _lanes(height)
        scratch = cupy.empty(stack * (width * chunks + 1) + 2 * parts, p.dtype)
        arrays = [memory.writes(p), memory.reads(g), *[memory.writes(a) for a in state], scratch]
        sizes = [p.size, height, width, chunks, parts, row_lanes, column_lanes]
        if state[2] is None:
            row_blocks = -(-stack * height // (THREADS // row_lanes))
            column_blocks = -(-stack * width // THREADS)
            mean_blocks = -(-stack // (THREADS // column_lanes))
            means.append(Tensor(arrays, sizes, row_blocks + -(-stack * width // 32) * chunks))
            columns.append(Tensor(arrays, sizes, column_blocks + mean_blocks))
        norms.append(Tensor(arrays, sizes, parts))
        updates.append(Tensor(arrays, sizes, -(-p.size // CHUNK)))
    decay, sign = 1 - lr * weight_decay, -1.0 if maximize else 1.0
    _TABLES.run("adafactor_means", means, new_weight)
    _TABLES.run("adafactor_columns", columns, new_weight)
    _TABLES.run("adafactor_norms", norms, new_weight, eps1, eps1 * eps1)
    _TABLES.run("adafactor_step", updates, eps1, eps1 * eps1, eps2, rho, d, decay, sign)
    memory.finish()
    return [(p, *state) for p, _, *state in calls]
