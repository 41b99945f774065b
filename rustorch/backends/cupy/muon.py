"""Muon on CuPy: parameters of one shape form one stack of matrices, which takes as many launches as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cupy

from .launch import Source, product
from .tables import CHUNK, PARTS, SUMS, Contiguous, Tables, Tensor

if TYPE_CHECKING:
    from ..base import Array

#: The most bytes of scratch buffers at a time. One matrix is treated even if it needs more.
ROOM = 1 << 28

# Arrays: p, g, the momentum, x, and the sum of squares of x in each block. Sizes: of p, and of the sums.
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

# a * identity + b * gram, for a stack of n x n matrices.
_POLYNOMIAL = Source("""
extern "C" __global__ void muon_polynomial(I total, I n, T a, T b, const T* gram, T* out) {
    I i = (I)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < total) out[i] = b * gram[i] + (i / n % n == i % n ? a : 0);
}
""")


def step_all(calls: Sequence[Sequence[Any]], **numbers: Any) -> list[tuple[Any, ...]]:
    """The step of each of (p, g, buffer), which are not empty and have one shape and dtype.

    ``numbers`` are those of the plain version in ``kernels/muon.py``.
    """
    rows, columns = calls[0][0].shape
    bytes_of_one = calls[0][0].itemsize * (2 * rows * columns + 2 * min(rows, columns) ** 2)
    at_once = max(ROOM // bytes_of_one, 1)
    for start in range(0, len(calls), at_once):
        _step_stack(calls[start : start + at_once], **numbers)
    return [(p, buffer) for p, _, buffer in calls]


def _step_stack(
    calls: Sequence[Sequence[Any]],
    *,
    lr: float,
    decay: float,
    momentum: float,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    iterations: int,
    eps: float,
) -> None:
    """The step of each of (p, g, buffer), in place, with scratch buffers for all of them."""
    memory, p = Contiguous(), calls[0][0]
    parts, chunks = min(-(-p.size // CHUNK), PARTS), -(-p.size // CHUNK)
    states = [(memory.writes(p), memory.reads(g), memory.writes(buffer)) for p, g, buffer in calls]
    x, sums = cupy.empty((len(calls), *p.shape), p.dtype), cupy.empty((len(calls), parts), p.dtype)

    def tensors(x: Array, blocks: int) -> list[Tensor]:
        return [Tensor([*state, x[i], sums[i]], [p.size, parts], blocks) for i, state in enumerate(states)]

    _TABLES.run("muon_start", tensors(x, parts), 1 - momentum, momentum, float(nesterov))
    _TABLES.run("muon_normalize", tensors(x, chunks), eps)
    _TABLES.run("muon_step", tensors(_orthogonalized(x, coefficients, iterations), chunks), lr, decay)
    memory.finish()


def _orthogonalized(x: Array, coefficients: tuple[float, float, float], iterations: int) -> Array:
    """A stack of matrices after the Newton-Schulz iterations ``x = (a + b * gram + c * gram @ gram) @ x``; ``x`` itself
    is overwritten.
    """
    rows, columns = x.shape[1:]
    side, tall = min(rows, columns), rows > columns
    other, gram, factor = cupy.empty_like(x), *[cupy.empty((len(x), side, side), x.dtype) for _ in range(2)]
    a, b, c = coefficients
    for _ in range(iterations):
        transposed = x.swapaxes(1, 2)
        product(*(transposed, x) if tall else (x, transposed), out=gram)
        _POLYNOMIAL.launch_threads(gram.size, "muon_polynomial", side, a, b, gram, factor)
        product(gram, gram, factor, scale=c, keep=1.0)
        product(*(x, factor) if tall else (factor, x), out=other)
        x, other = other, x
    return x
