"""Muon: parameters of one shape are one stack of matrices, so that many take as many launches as one."""

from __future__ import annotations

import cupy

from .launch import Array, Source, product
from .tables import CHUNK, PARTS, SUMS, Contiguous, Tables, Tensor

#: The most bytes of scratch buffers at a time, but for those of one matrix.
ROOM = 1 << 28

# Arrays: p, g, the momentum, x, and the sums of its squares in each of PARTS blocks. Sizes: of the parameter, and
# PARTS.
_TABLES = Tables(
    SUMS
    + """
extern "C" __global__ void muon_start(Table table, T gain, T momentum, T nesterov) {
    Place at(table);
    T *g = ARRAY(1), *buffer = ARRAY(2), *x = ARRAY(3), squares = 0;
    I n = SIZE(0), parts = SIZE(1);
    for (I i = at.block * (I)256 + threadIdx.x; i < n; i += parts * 256) {
        T b = buffer[i] + gain * (g[i] - buffer[i]);
        buffer[i] = b;
        x[i] = b = nesterov != 0 ? g[i] + momentum * (b - g[i]) : b;
        squares += b * b;
    }
    squares = sum(squares, 256);
    if (!threadIdx.x) ARRAY(4)[at.block] = squares;
}

extern "C" __global__ void muon_normalize(Table table, T eps) {
    Place at(table);
    T *x = ARRAY(3), *sums = ARRAY(4);
    T norm = larger(sqrt(sum(threadIdx.x < SIZE(1) ? sums[threadIdx.x] : (T)0, 256)), eps);
    EACH(i, SIZE(0)) x[i] = x[i] / norm;
}

extern "C" __global__ void muon_step(Table table, T lr, T decay) {
    Place at(table);
    T *p = ARRAY(0), *x = ARRAY(3);
    EACH(i, SIZE(0)) p[i] = decay * p[i] - lr * x[i];
}
""",
    arrays=5,
    sizes=2,
    numbers=3,
)

_POLYNOMIAL = Source("""
extern "C" __global__ void muon_polynomial(I total, I n, T a, T b, const T* gram, T* out) {
    I i = (I)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < total) out[i] = b * gram[i] + (i / n % n == i % n ? a : 0);
}
""")


def steps(
    calls: list[tuple[Array, ...]],
    lr: float,
    decay: float,
    momentum: float,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    times: int,
    eps: float,
) -> list[tuple]:
    """The step of each of (p, g, buffer), which hold something and have one shape and dtype."""
    high, wide = calls[0][0].shape
    one = calls[0][0].itemsize * (2 * high * wide + 2 * min(high, wide) ** 2)
    together = max(ROOM // one, 1)
    for start in range(0, len(calls), together):
        _stack(calls[start : start + together], lr, decay, momentum, nesterov, coefficients, times, eps)
    return [(p, buffer) for p, _, buffer in calls]


def _stack(
    calls: list[tuple[Array, ...]],
    lr: float,
    decay: float,
    momentum: float,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    times: int,
    eps: float,
) -> None:
    memory, p = Contiguous(), calls[0][0]
    parts, chunks = min(-(-p.size // CHUNK), PARTS), -(-p.size // CHUNK)
    given = [(memory.writes(p), memory.reads(g), memory.writes(buffer)) for p, g, buffer in calls]
    x, sums = cupy.empty((len(calls), *p.shape), p.dtype), cupy.empty((len(calls), parts), p.dtype)

    def lines(x: Array, blocks: int) -> list[Tensor]:
        return [Tensor([*arrays, x[i], sums[i]], [p.size, parts], blocks) for i, arrays in enumerate(given)]

    _TABLES.run("muon_start", lines(x, parts), 1 - momentum, momentum, float(nesterov))
    _TABLES.run("muon_normalize", lines(x, chunks), eps)
    _TABLES.run("muon_step", lines(_iterated(x, coefficients, times), chunks), lr, decay)
    memory.finish()


def _iterated(x: Array, coefficients: tuple[float, float, float], times: int) -> Array:
    """Newton-Schulz iterations of a stack of matrices, which is overwritten: ``(a + b * gram + c * gram @
    gram) @ x``.
    """
    high, wide = x.shape[1:]
    side, tall = min(high, wide), high > wide
    other, gram, factor = cupy.empty_like(x), *[cupy.empty((len(x), side, side), x.dtype) for _ in range(2)]
    a, b, c = coefficients
    for _ in range(times):
        transposed = x.swapaxes(1, 2)
        product(*(transposed, x) if tall else (x, transposed), out=gram)
        _POLYNOMIAL.launch_threads(gram.size, "muon_polynomial", side, a, b, gram, factor)
        product(gram, gram, factor, scale=c, keep=1.0)
        product(*(x, factor) if tall else (factor, x), out=other)
        x, other = other, x
    return x
