"""Adafactor of any number of parameters in four launches: each needs what the one before it added up."""

from __future__ import annotations

import cupy

from .launch import THREADS
from .tables import CHUNK, PARTS, SUMS, Contiguous, Tables, Tensor

#: Rows of a matrix that one block adds up along its columns, at least; and how many such blocks there are for 32
#: columns, at most.
LEAST, MOST = 256, 64

# A parameter is a stack of matrices, or a vector, for which there is no ``rows``. Arrays: p, g, rows, columns,
# variance, and scratch for sums: along the columns of each part of the rows, the mean of ``rows``, and the squares of p
# and of u in each of PARTS blocks. Sizes: of the parameter, rows, columns, parts of the rows, PARTS, threads that share
# a row, and those that share the mean of ``rows``.
_SOURCE = """
__device__ T toward(T start, T end, T weight) {
    return weight < (T)0.5 ? start + weight * (end - start) : end - (end - start) * (1 - weight);
}
__device__ T above(T x, T least) { return x > least ? x : least; }  // least for nan, too

struct Stack {
    T *p, *g, *rows, *columns, *variance, *partial, *shared, *sums;
    I n, high, wide, stack, chunks, parts;
    int lanes, shared_lanes;

    __device__ Stack(const Table& table, const Place& at) {
        p = ARRAY(0), g = ARRAY(1), rows = ARRAY(2), columns = ARRAY(3), variance = ARRAY(4);
        n = SIZE(0), high = SIZE(1), wide = SIZE(2), chunks = SIZE(3), parts = SIZE(4);
        lanes = (int)SIZE(5), shared_lanes = (int)SIZE(6);
        stack = n / (high * wide);
        partial = ARRAY(5), shared = partial + stack * wide * chunks, sums = shared + stack;
    }
    // The step of an element before it is scaled; of a vector, its variance moves on first.
    __device__ T direction(I i, T g, T least, T least_square) const {
        T estimate;
        if (rows) {
            I matrix = i / (high * wide);
            estimate = rows[i / wide] / larger(shared[matrix], least) * columns[matrix * wide + i % wide];
        } else {
            estimate = variance[i];
        }
        return g / sqrt(larger(estimate, least_square));
    }
};

extern "C" __global__ void adafactor_means(Table table, T keep) {
    Place at(table);
    Stack s(table, at);
    I each = 256 / s.lanes, total = s.stack * s.high, along = (total + each - 1) / each;
    if (at.block < along) {
        I row = at.block * each + threadIdx.x / s.lanes;
        int lane = threadIdx.x % s.lanes;
        T mean = 0;
        if (row < total)
            for (I j = lane; j < s.wide; j += s.lanes) mean += s.g[row * s.wide + j] * s.g[row * s.wide + j];
        mean = sum(mean, s.lanes) / (T)s.wide;
        if (row < total && !lane) s.rows[row] = toward(s.rows[row], mean, keep);
        return;
    }
    // 32 columns of a part of the rows: eight threads share each
    __shared__ T found[256];
    I number = at.block - along, chunk = number % s.chunks, each_chunk = (s.high + s.chunks - 1) / s.chunks;
    I column = number / s.chunks * 32 + threadIdx.x % 32;
    T squares = 0;
    if (column < s.stack * s.wide) {
        const T* g = s.g + column / s.wide * (s.high * s.wide) + column % s.wide;
        I end = (chunk + 1) * each_chunk < s.high ? (chunk + 1) * each_chunk : s.high;
        for (I row = chunk * each_chunk + threadIdx.x / 32; row < end; row += 8) squares += g[row * s.wide] * g[row * s.wide];
    }
    found[threadIdx.x] = squares;
    __syncthreads();
    if (threadIdx.x < 32 && column < s.stack * s.wide) {
        for (int i = 1; i < 8; i++) squares += found[threadIdx.x + 32 * i];
        s.partial[chunk * (s.stack * s.wide) + column] = squares;
    }
}

extern "C" __global__ void adafactor_columns(Table table, T keep) {
    Place at(table);
    Stack s(table, at);
    I total = s.stack * s.wide, along = (total + 255) / 256;
    if (at.block < along) {
        I column = at.block * (I)256 + threadIdx.x;
        if (column >= total) return;
        T squares = 0;
        for (I chunk = 0; chunk < s.chunks; chunk++) squares += s.partial[chunk * total + column];
        s.columns[column] = toward(s.columns[column], squares / (T)s.high, keep);
        return;
    }
    I matrix = (at.block - along) * (I)(256 / s.shared_lanes) + threadIdx.x / s.shared_lanes;
    int lane = threadIdx.x % s.shared_lanes;
    T mean = 0;
    if (matrix < s.stack)
        for (I j = lane; j < s.high; j += s.shared_lanes) mean += s.rows[matrix * s.high + j];
    mean = sum(mean, s.shared_lanes) / (T)s.high;
    if (matrix < s.stack && !lane) s.shared[matrix] = mean;
}

extern "C" __global__ void adafactor_norms(Table table, T keep, T least, T least_square) {
    Place at(table);
    Stack s(table, at);
    T of_p = 0, of_u = 0;
    for (I i = at.block * (I)256 + threadIdx.x; i < s.n; i += s.parts * 256) {
        T g = s.g[i];
        if (s.variance) s.variance[i] = toward(s.variance[i], g * g, keep);
        T u = s.direction(i, g, least, least_square);
        of_p += s.p[i] * s.p[i];
        of_u += u * u;
    }
    of_p = sum(of_p, 256);
    of_u = sum(of_u, 256);
    if (!threadIdx.x) {
        s.sums[at.block] = of_p;
        s.sums[s.parts + at.block] = of_u;
    }
}

extern "C" __global__ void adafactor_step(Table table, T least, T least_square, T least_size, T longest, T d, T shrink, T sign) {
    Place at(table);
    Stack s(table, at);
    T root = sqrt((T)s.n);
    T of_p = sqrt(sum(threadIdx.x < s.parts ? s.sums[threadIdx.x] : (T)0, 256));
    T of_u = sqrt(sum(threadIdx.x < s.parts ? s.sums[s.parts + threadIdx.x] : (T)0, 256));
    T step = sign * longest * above(of_p / root, least_size) / above(of_u / (root * d), (T)1);
    EACH(i, s.n) s.p[i] = shrink * s.p[i] - step * s.direction(i, s.g[i], least, least_square);
}
"""
_TABLES = Tables(SUMS + _SOURCE, arrays=6, sizes=7, numbers=7)


def _lanes(size: int) -> int:
    """Threads that share a row: each has four elements or more."""
    return min(1 << ((size + 3) // 4 - 1).bit_length(), THREADS)


def steps(
    calls: list[tuple],
    lr: float,
    keep: float,
    eps1: float,
    eps2: float,
    d: float,
    rho: float,
    weight_decay: float,
    maximize: bool,
) -> list[tuple]:
    """The step of each of (p, g, rows, columns, variance), which hold something and have one dtype."""
    memory = Contiguous()
    means, columns, norms, updates = [], [], [], []
    for p, g, *state in calls:
        high, wide = p.shape[-2:] if state[2] is None else (1, p.size)
        stack = p.size // (high * wide)
        chunks = min(-(-high // LEAST), MOST)
        parts = min(-(-p.size // CHUNK), PARTS)
        lanes, shared_lanes = _lanes(wide), _lanes(high)
        scratch = cupy.empty(stack * (wide * chunks + 1) + 2 * parts, p.dtype)
        arrays = [memory.writes(p), memory.reads(g), *[memory.writes(a) for a in state], scratch]
        sizes = [p.size, high, wide, chunks, parts, lanes, shared_lanes]
        if state[2] is None:
            along = -(-stack * high // (THREADS // lanes))
            means.append(Tensor(arrays, sizes, along + -(-stack * wide // 32) * chunks))
            columns.append(Tensor(arrays, sizes, -(-stack * wide // THREADS) + -(-stack // (THREADS // shared_lanes))))
        norms.append(Tensor(arrays, sizes, parts))
        updates.append(Tensor(arrays, sizes, -(-p.size // CHUNK)))
    _TABLES.run("adafactor_means", means, keep)
    _TABLES.run("adafactor_columns", columns, keep)
    _TABLES.run("adafactor_norms", norms, keep, eps1, eps1 * eps1)
    _TABLES.run(
        "adafactor_step", updates, eps1, eps1 * eps1, eps2, rho, d, 1 - lr * weight_decay, -1.0 if maximize else 1.0
    )
    memory.finish()
    return [(p, *state) for p, _, *state in calls]
