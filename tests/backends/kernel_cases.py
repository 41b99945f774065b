"""Arguments for every kernel: ordinary numbers, infinities, nan and empty arrays."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import numpy

from rustorch.backends.kernels import FAMILIES, KERNELS
from rustorch.backends.kernels.pooling import Window

INF, NAN = numpy.inf, numpy.nan


def draw(*shape: int) -> numpy.ndarray:
    """Normal random numbers, the same for each call with one shape."""
    return numpy.random.default_rng(sum(shape) + len(shape)).standard_normal(shape)


EDGES = numpy.array([[1.0, INF, -INF], [NAN, 0.0, -0.0], [-1000.0, 1000.0, 2.0]])
ROWS = numpy.array([[1.0, 2.0, 3.0], [1000.0, -1000.0, 0.0], [-INF, -INF, 1.0]])
#: Probabilities.
UNIT = numpy.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25], [1e-13, 0.75, 1.0]])
I = numpy.array  # noqa: E741 - indices
#: The kernels that may write into their arguments.
IN_PLACE = {*FAMILIES["optim"], "adafactor", "muon", "running_moments"}
#: Windows side by side; overlapping windows, padded before and beyond the end; bins of different lengths.
TILES = (Window(4, 2, 2, 2), Window(4, 2, 2, 2))
OVERLAPS = (Window(5, 3, 3, 2, 1), Window(4, 2, 3, 3, 1))
BINS = (Window(3, 2, 2), Window(5, 2, 3))

#: Kernel -> several sets of arguments. Those that the kernel takes by name stand at the end, in its order.
CASES: dict[str, list[tuple]] = {
    # the second one is longer than a piece of the NumPy version
    "erf": [(EDGES,), (numpy.linspace(-7, 7, 9000),), (draw(0, 2),), (numpy.array(-0.3),), (draw(4, 3).T,)],
    "gelu": [(EDGES,), (numpy.linspace(-7, 7, 9000),), (draw(0, 2),), (numpy.array(-1.0),), (draw(4, 3).T,)],
    "gelu_grad": [
        (draw(3, 3), EDGES, EDGES),
        (draw(9000), draw(9000), 0.5 * draw(9000)),
        (draw(0, 2),) * 3,
        (numpy.array(2.0),) * 3,
        (draw(3, 4), draw(4, 3).T, 0.7 * draw(4, 3).T),
        (draw(2), numpy.zeros(2), numpy.zeros(2)),
    ],
    "zero_gradient": [(EDGES, EDGES), (draw(2, 3), draw(3)), (draw(0), draw(0))],
    "tanh_slope": [(EDGES,), (numpy.linspace(-400, 400, 40000),), (draw(0, 2),), (numpy.array(-0.3),), (draw(4, 3).T,)],
    **{
        name: [(EDGES,), (1e200 * EDGES,), (draw(0, 2),), (numpy.array(0.5),), (draw(4, 3).T,)]
        for name in ("sqrt_one_minus_square", "sqrt_one_plus_square", "sqrt_square_minus_one")
    },
    **{
        name: [
            (EDGES, EDGES.T),
            (EDGES, EDGES),
            (EDGES, 1.0),
            (2.0, EDGES),
            (draw(4, 3), 1e30 * draw(3)),
            (1e-30 * draw(3), 1e-30 * draw(2, 3)),
            (numpy.array(1.0), numpy.array(0.0)),
            (draw(0, 2), draw(2)),
        ]
        for name in ("hypot_slope", "atan2_slope", "logaddexp_slope")
    },
    "pow_slope": [
        (abs(EDGES), EDGES.T),
        (EDGES, EDGES),
        (EDGES, 3.0),
        (EDGES, -0.1),
        (2.0, EDGES),
        (1e-30 * abs(draw(4, 3)), draw(3)),
        (numpy.array(0.0), numpy.array(0.0)),
        (draw(0, 2), draw(2)),
    ],
    "small_power": [(EDGES, n) for n in range(-2, 5)] + [(draw(0, 2), 3), (numpy.array(-0.3), -2), (draw(4, 3).T, 4)],
    "prelu_slope": [
        (EDGES, draw(3)),
        (draw(2, 3, 4), draw(3, 1)),
        (draw(4), numpy.array(0.25)),
        (draw(0, 2), draw(2)),
        (draw(4, 3).T, draw(3, 1)),
    ],
    "gaussian": [
        (EDGES, 0.5),
        (numpy.linspace(-30, 30, 70000), 1.0),
        (draw(0, 2), 0.5),
        (numpy.array(-1.0), 1.0),
        (draw(4, 3).T, 0.5),
    ],
    "exp_of_sum": [
        (numpy.linspace(-800, 700, 3000), numpy.linspace(2, -2, 3000)),
        (EDGES[numpy.isfinite(EDGES)] % 64, draw(1)),
        (draw(0, 2), draw(2)),
        (numpy.array(-1.0), numpy.array(0.25)),
        (draw(4, 3).T, draw(3, 1)),
    ],
    "gelu_tail": [
        (numpy.linspace(-1, 1, 70000),),
        (draw(0, 2),),
        (numpy.array(-1.0),),
        (draw(4, 3).T / 4,),
    ],
    "index_add": [
        (draw(4, 2), I([0, 2, 0, -1]), (3, 2), 0),
        (draw(2, 4), I([0, 0, 0, 1]), (2, 3), -1),
        (draw(0, 2), I([], dtype="int64"), (3, 2), 0),
        (draw(4, 0), I([0, 1, 0, 1]), (3, 0), 0),
        (EDGES, I([1, 1, 0]), (2, 3), 0),
    ],
    "scatter_add": [
        (draw(2, 3), I([[0, 0, 1], [3, -1, 3]]), (2, 4), 1),
        (draw(2, 3), I([[0, 1, 1], [0, 1, 0]]), (5, 3), 0),
        (draw(0, 3), I([[]], dtype="int64").reshape(0, 1), (0, 4), 1),
        (draw(2, 2), I([[1, 1]]), (2, 3), 1),
    ],
    "overwrite": [
        (draw(4), draw(3), I([2, 0, 2])),
        (draw(3), draw(0), I([], dtype="int64")),
        (draw(0), draw(0), I([], dtype="int64")),
        (draw(2), draw(1), I([1])),
        (EDGES[0], EDGES[1], I([1, 1, 1])),
    ],
    "ctc_loss": [
        (-abs(draw(3, 2, 3)), I([[1, 1], [2, 9]]), I([3, 2]), I([2, 1]), 0),
        (-abs(draw(1, 1, 2)), I([[]], dtype="int64"), I([1]), I([0]), 1),
    ],
    "ctc_loss_grad": [
        (
            draw(2),
            -abs(draw(3, 2, 3)),
            I([[1, 1], [2, 9]]),
            I([3, 2]),
            I([2, 1]),
            0,
            abs(draw(2)),
            -9 * abs(draw(3, 2, 5)),
        ),
    ],
    "vector_norm": [
        (draw(3, 4), (1,), 2, False),
        (draw(3, 4), (0,), 3, True),
        (draw(2, 3, 4), (0, 2), 1.5, False),
        (draw(3, 4).T, (0, 1), -2, False),
        (EDGES, (1,), 2, False),
        (EDGES, (0,), -1, False),
        (1e200 * EDGES, (1,), 2, True),
        (draw(0, 2), (0,), 2, False),
        (draw(3), (0,), INF, False),
        (1e-200 * draw(20000), (0,), 2, False),
    ],
    "arange_like": [(I([2, 0], dtype="int64"), 3), (I([2, 0], dtype="int32"), 0)],
    "put_add": [
        (draw(3), (3, 2), (slice(None), 1)),
        (draw(2), (2, 3), (..., -1)),
        (draw(4), (3,), I([0, 2, 0, 2])),
        (draw(2), (3,), I([True, False, True])),
        (draw(0), (3,), (slice(2, 1),)),
        (draw(2, 3), (2, 3), ...),
        (numpy.array(2.0), (2, 2), (1, 0)),
    ],
    "put": [
        (draw(2, 3), draw(3), (0, ...)),
        (draw(3), 5.0, I([True, False, True])),
        (EDGES, EDGES[0, :], (slice(None), slice(0, 3))),
    ],
    "cofactors": [
        (draw(3, 3),),
        (draw(2, 1, 1),),
        (draw(0, 0),),
        (draw(0, 2, 2),),
        (numpy.zeros((2, 3, 3)),),
        (numpy.outer(draw(3), draw(3)),),
        (numpy.stack([draw(2, 2), I([[1.0, 2.0], [2.0, 4.0]]), numpy.eye(2)]),),
        (numpy.diag([1e-30, 1.0, 0.0]),),
    ],
    "conv": [
        (draw(2, 1, 2), draw(1, 1, 3), None, (1,), ((9, 8),), (1,), 1),
        (draw(2, 3, 5), draw(4, 3, 2), draw(4), (1,), ((1, 0),), (2,), 1),
        (draw(2, 4, 5, 4), draw(2, 2, 3, 2), None, (1, 1), ((1, 1), (2, 0)), (1, 2), 2),
        (draw(1, 2, 3, 4, 3), draw(2, 1, 2, 2, 3), draw(2), (2, 1, 1), ((1, 0), (-1, 0), (1, 1)), (1, 1, 1), 2),
        (draw(2, 1, 300), draw(4, 1, 3), draw(4), (1,), ((1, 1),), (1,), 1),
        (draw(3, 2, 20, 16), draw(4, 1, 1, 2), None, (1, 1), ((0, 0), (1, 0)), (1, 1), 2),
        (draw(0, 2, 3), draw(2, 2, 2), draw(2), (1,), ((0, 0),), (1,), 1),
        (EDGES.reshape(1, 3, 3), draw(1, 3, 1), None, (1,), ((1, -2),), (1,), 1),
    ],
    "conv_grad_input": [
        (draw(2, 4, 4), draw(4, 3, 2), (5,), (1,), ((1, 0),), (2,), 1),
        (draw(2, 2, 3, 2), draw(2, 2, 3, 2), (6, 4), (2, 3), ((1, 0), (1, 0)), (1, 1), 2),
        (draw(1, 2, 2, 2, 2), draw(2, 1, 1, 2, 1), (5, 3, 2), (3, 1, 1), ((0, -1), (0, 0), (0, 0)), (1, 1, 2), 2),
        (draw(2, 1, 2), draw(1, 1, 2), (7,), (2,), ((0, -3),), (1,), 1),
        (draw(0, 2, 2), draw(2, 2, 2), (4,), (2,), ((0, 0),), (1,), 1),
    ],
    "conv_grad_weight": [
        (draw(2, 4, 4), draw(2, 3, 5), (2,), (1,), ((1, 0),), (2,), 1),
        (draw(2, 2, 3, 2), draw(2, 4, 5, 4), (3, 2), (2, 3), ((1, 1), (1, 0)), (1, 1), 2),
        (draw(2, 4, 300), draw(2, 1, 599), (3,), (2,), ((1, 1),), (1,), 1),
        (draw(3, 4, 20, 16), draw(3, 2, 20, 16), (1, 2), (1, 1), ((0, 0), (1, 0)), (1, 1), 2),
        (draw(0, 2, 2), draw(0, 3, 3), (2,), (1,), ((0, 0),), (1,), 1),
    ],
    "conv_grad_weight_bias": [
        (draw(2, 4, 4), draw(2, 3, 5), (2,), (1,), ((1, 0),), (2,), 1),
        (draw(2, 2, 3, 2), draw(2, 4, 5, 4), (3, 2), (2, 3), ((1, 1), (1, 0)), (1, 1), 2),
        (draw(3, 4, 20, 16), draw(3, 4, 20, 16), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4),
        (draw(0, 2, 2), draw(0, 3, 3), (2,), (1,), ((0, 0),), (1,), 1),
    ],
    "pad_constant": [
        (draw(2, 3), ((1, 2), (0, 1)), 0),
        (draw(3, 4, 5), ((0, 0), (2, 0), (0, 0)), 1.5),
        (draw(3, 4, 5), ((-1, 2), (1, -2), (-2, -1)), -3.0),
        (draw(2, 4), ((0, 0), (3, -5)), 0.5),
        (draw(2, 4), ((0, 0), (-5, 3)), 0.5),
        (draw(2, 4), ((0, 0), (0, 0)), 0.5),
        (draw(2, 4), ((-1, 0), (0, -1)), 0.5),
        (draw(2, 3, 2, 3, 2), ((1, 0), (0, 0), (0, 1), (0, 0), (2, 2)), NAN),
        (EDGES.reshape(-1), ((1, 1),), INF),
        (draw(0, 3), ((1, 0), (0, 2)), 2.0),
        (draw(2, 3), ((-2, 0), (0, 1)), 2.0),
        (numpy.array(1.0), (), 2.0),
    ],
    "max_pool": [
        (draw(2, 4, 4), TILES),
        (draw(2, 5, 4), OVERLAPS),
        (draw(3, 5), BINS),
        (draw(0, 4, 4), TILES),
        (EDGES, (Window(3, 3, 2, 1, 1),)),
        (draw(7, 7).T, (Window(7, 3, 2, 2, 0, 2),)),
        (numpy.ones((1, 5)), (Window(5, 3, 2, 2),)),
        (numpy.round(draw(4, 6, 8)), (Window(6, 2, 3, 3), Window(8, 4, 2, 2))),
    ],
    "max_pool_indices": [
        (I([[0, 3], [1, 2]], dtype="uint8"), TILES),
        (I([[4, 2], [6, 5], [0, 2]], dtype="uint8"), OVERLAPS),
        (I([[0, 0], [1, 2]], dtype="int32"), BINS),
    ],
    "max_pool_gather": [
        (draw(4, 4), I([[0, 3], [1, 2]], dtype="uint8"), TILES),
        (draw(3, 5), I([[1], [2], [0]], dtype="int32"), (Window(5, 1, 5, 5),)),
    ],
    "max_pool_grad": [
        (draw(2, 2, 2), I([[[0, 3], [1, 2]], [[2, 2], [0, 1]]], dtype="uint8"), TILES),
        (EDGES[:2, :2], I([[0, 3], [1, 2]], dtype="uint8"), TILES),
        (EDGES, I([[0, 1, 1], [1, 0, 1], [0, 0, 0]], dtype="uint8"), (Window(6, 3, 2, 2),)),
        (draw(3, 2), I([[4, 4], [4, 3], [1, 4]], dtype="uint8"), OVERLAPS),
        (draw(2, 2), I([[0, 1], [1, 0]], dtype="uint8"), BINS),
        (draw(3, 3).T, I([[0, 1, 1], [1, 0, 1], [0, 0, 0]], dtype="uint8"), (Window(7, 3, 2, 2, 0, 2),)),
        (draw(0, 2, 2), numpy.zeros((0, 2, 2), "uint8"), TILES),
        (draw(2, 1), I([[299], [3]], dtype="int32"), (Window(300, 1, 300, 1),)),
    ],
    "max_unpool": [
        (draw(2, 2), I([[3, 0], [1, 2]]), 4),
        (draw(1, 3), I([[2, 0, 2]]), 3),
        (draw(0, 2), numpy.zeros((0, 2), "int64"), 3),
    ],
    "avg_pool": [
        (draw(2, 4, 4), TILES, 4),
        (draw(2, 5, 4), OVERLAPS, 3),
        (draw(2, 20), (Window(20, 2, 9, 9),), 9.0),
        (draw(0, 4, 4), TILES, 1),
        (EDGES, (Window(3, 3, 2, 1, 1),), 2),
        (draw(3, 4), (Window(4, 4, 1, 1),), 1),
        (draw(3, 4), (Window(4, 2, 1, 3),), 2),
    ],
    "avg_pool_grad": [
        (draw(2, 2, 2), TILES, 4),
        (draw(2, 3, 2), OVERLAPS, 3),
        (draw(2, 2), (Window(20, 2, 9, 9),), 9.0),
        (draw(0, 2, 2), TILES, 1),
        (EDGES, (Window(3, 3, 2, 1, 1),), 2),
        (draw(3, 4), (Window(4, 4, 1, 1),), 1),
        (draw(3, 2), (Window(4, 2, 1, 3),), 2),
        (draw(3, 2), (Window(5, 2, 3, 3, 1),), 2),
    ],
    "linear": [
        (draw(2, 3), draw(4, 3), draw(4)),
        (draw(3), draw(4, 3), None),
        (draw(2, 2, 3), draw(4, 3), draw(4)),
        (draw(0, 3), draw(4, 3), draw(4)),
    ],
    "linear_grad_weight": [
        (draw(2, 4), draw(2, 3)),
        (draw(4), draw(3)),
        (draw(2, 2, 4), draw(2, 2, 3)),
        (draw(0, 4), draw(0, 3)),
    ],
    "linear_grad_weight_bias": [
        (draw(2, 4), draw(2, 3)),
        (draw(4), draw(3)),
        (draw(2, 2, 4), draw(2, 2, 3)),
        (draw(0, 4), draw(0, 3)),
        (draw(3, 0), draw(3, 2)),
        (EDGES.reshape(-1, 1), draw(EDGES.size, 2)),
    ],
    "apply_mask": [
        (EDGES, I([0.0, 2.0] * 99)[: len(EDGES)]),
        (draw(2, 3, 4), abs(draw(2, 3, 1))),
        (I([INF, NAN, 1.0]), I([0.0])),
        (draw(0, 2), draw(0, 1)),
        (I(NAN), I(0.0)),
    ],
    "relu": [(EDGES,), (numpy.linspace(-1, 1, 40000),), (draw(0, 2),), (numpy.array(-1.0),)],
    "relu_grad": [
        (draw(3, 3), EDGES),
        (EDGES, draw(3, 3)),
        (draw(0),) * 2,
        (numpy.array(2.0), numpy.array(1.0)),
        # large enough for the way that masks bits
        (numpy.tile(EDGES, (30, 50)), draw(90, 150)),
        (draw(150, 90).T, numpy.tile(EDGES, (30, 50))),
        (numpy.tile(EDGES, (30, 50)).astype("float32"), draw(90, 150).astype("float32")),
    ],
    "sigmoid": [(EDGES,), (draw(0, 2),), (numpy.array(-1.0),)],
    "logsumexp_grad": [
        (draw(3, 1), draw(3, 4), draw(3, 1), 1),
        (draw(1, 4), draw(3, 4), draw(1, 4), 0),
        (draw(3, 1), ROWS, draw(3, 1), 1),
        (draw(2, 1), I([[INF, 1.0], [-INF, -INF]]), I([[INF], [-INF]]), 1),
        (draw(0, 1), draw(0, 3), draw(0, 1), 1),
    ],
    "softmax": [(draw(0, 3), 0), (draw(3, 4), 1), (draw(3, 4), 0), (ROWS, 1), (draw(0, 3), 1)],
    "log_softmax": [(draw(3, 4), 1), (draw(3, 4), 0), (ROWS, 1), (draw(0, 3), 1)],
    "softmax_grad": [
        (draw(3, 4), abs(draw(3, 4)), 1),
        (draw(3, 2, 4), abs(draw(3, 2, 4)), 0),
        (ROWS, abs(draw(3, 3)), -1),
        (draw(0, 3), draw(0, 3), 1),
    ],
    "log_softmax_grad": [
        (draw(3, 4), -abs(draw(3, 4)), 1),
        (draw(3, 4), -abs(draw(3, 4)), 0),
        (draw(0, 3), draw(0, 3), 1),
    ],
    "logsumexp": [
        (draw(0, 3), 0),
        (draw(3, 4), 1),
        (ROWS, 1),
        (numpy.full((1, 2), -INF), 1),
        (numpy.array([[INF, 1.0]]), 1),
        (EDGES, 1),
        (draw(0, 3), 1),
    ],
    "mse_grad": [
        (numpy.array(1.5), draw(2, 3), draw(2, 3), 0.25),
        (numpy.array(1.5), EDGES, EDGES.T, 2.0),
        (numpy.array(NAN), draw(0), draw(0), 2.0),
    ],
    "mse": [(draw(2, 3), draw(2, 3), 6), (draw(2, 3), draw(3), 1), (draw(0), draw(0), 1)],
    "cross_entropy": [
        (draw(3, 4), I([0, 3, 1]), None, None, "mean"),
        (draw(3, 4), I([0, 3, 1]), None, None, "none"),
        (draw(3, 4), I([0, 3, 1]), I([0.0, 1.0, 2.0, 3.0]), None, "mean"),
        (draw(3, 4), I([0, -7, 1]), I([0.0, 1.0, 2.0, 3.0]), -7, "mean"),
        (draw(3, 4), I([2, 3, 2]), None, 2, "mean"),
        (draw(3, 4), I([-1, 3, -1]), None, -1, "sum"),
        (draw(3, 4), I([9, 3, 1]), None, 9, "none"),
        (draw(3, 4), abs(draw(3, 4)), None, None, "mean"),
        (I([[INF, 1.0], [1.0, 2.0]]), I([1, 0]), I([1.0, 0.0]), None, "sum"),
        (draw(3, 4), abs(draw(3, 4)), None, None, "none"),
        (draw(4, 3).T, I([0, 3, 1]), None, None, "mean"),
        (draw(0, 4), I([], dtype="int64"), None, None, "sum"),
        (draw(3, 40), I([0, 39, 1]), None, None, "mean"),
        (draw(3, 40), I([0, -100, 1]), None, -100, "mean"),
        (draw(3, 40), abs(draw(3, 40)), None, None, "mean"),
        (EDGES, I([-100, -100, 1]), None, -100, "mean"),
        (EDGES, I([-100, -100, -100]), None, -100, "mean"),
        (EDGES, I([0, 1, 2]), I([1.0, 0.0, 0.0]), 0, "none"),
        (I([[-INF, 1.0], [-INF, -INF], [3.0, 2.0]]), I([[0.0, 1.0], [0.0, 0.0], [0.5, 0.5]]), None, None, "none"),
        (numpy.tile(I([-INF, 1.0]), (1, 40)), numpy.tile(I([0.0, 1.0]), (1, 40)), None, None, "sum"),
        (abs(EDGES.reshape(1, 9)), I([1]), None, 1, "sum"),
        (numpy.full((1, 40), -INF), I([1]), None, None, "none"),
        (draw(5000, 2), I([0, 1] * 2500), None, None, "mean"),
    ],
    "cross_entropy_grad": [
        (numpy.array(1.5), abs(draw(3, 4)), abs(draw(3)) + 2, I([0, 3, 1]), None, 3, None),
        (draw(3), abs(draw(3, 4)), abs(draw(3)) + 2, I([0, 3, 1]), None, None, None),
        (
            numpy.array(1.5),
            abs(draw(3, 4)),
            abs(draw(3)) + 2,
            I([0, 3, 1]),
            I([0.0, 1.0, 2.0, 3.0]),
            numpy.array(3.0),
            None,
        ),
        (
            numpy.array(1.5),
            abs(draw(3, 4)),
            abs(draw(3)) + 2,
            I([0, -7, 1]),
            I([0.0, 1.0, 2.0, 3.0]),
            numpy.array(3.0),
            -7,
        ),
        (draw(3), abs(draw(3, 4)), abs(draw(3)) + 2, I([2, 3, 2]), None, None, 2),
        (numpy.array(1.5), abs(draw(3, 4)), abs(draw(3)) + 2, abs(draw(3, 4)), None, 3, None),
        (numpy.array(1.5), abs(draw(3, 4)), abs(draw(3)) + 2, I([-7, -7, -7]), None, numpy.array(0.0), -7),
        (I([INF, NAN, 1.0]), abs(draw(3, 4)), abs(draw(3)) + 2, I([-7, -7, 1]), None, None, -7),
        # with many classes, the matrix is kept the other way round
        (numpy.array(1.5), abs(draw(3, 40)), abs(draw(3)) + 2, I([0, 39, 1]), None, 3, None),
        (draw(3), abs(draw(3, 40)), abs(draw(3)) + 2, abs(draw(3, 40)), None, None, None),
    ],
    "gaussian_nll_slope": [
        (EDGES, abs(draw(3, 3))),
        (draw(2, 3), abs(draw(3))),
        (draw(0), draw(0)),
        (draw(3, 3), abs(EDGES)),
    ],
    "quotient": [
        (I([1.0, -1.0, 0.0, NAN, 3.0, 0.0]), I([0.0, 0.0, 0.0, 0.0, 2.0, 2.0])),
        (numpy.array(0.0), numpy.array(0.0)),
    ],
    "quotient_or_zero": [
        (I([1.0, INF, 0.0, NAN, 3.0]), I([0.0, 0.0, 0.0, 0.0, 2.0])),
        (numpy.array(1.0), numpy.array(0.0)),
    ],
    "reduced_huber": [(draw(2, 3), 0.5, "mean"), (EDGES, 2.0, "sum"), (draw(4, 3).T, 0.5, "sum")],
    "reduced_smooth_l1": [(draw(2, 3), 0.5, "mean"), (EDGES, 2.0, "sum"), (draw(4, 3).T, 0.5, "sum")],
    "reduced_binary_cross_entropy": [(UNIT, UNIT.T, "mean"), (UNIT, 1 - UNIT, "sum"), (I([NAN]), I([0.5]), "sum")],
    "reduced_binary_cross_entropy_with_logits": [
        (draw(3, 3), UNIT, None, "mean"),
        (EDGES, 1 - UNIT, 3 * UNIT, "sum"),
        (draw(3, 3), UNIT, UNIT[0], "mean"),
    ],
    "huber": [(EDGES, 2.0), (draw(2, 3), 0.5), (draw(0), 1.0)],
    "huber_grad": [(draw(3, 3), EDGES, 2.0), (draw(2, 3), draw(2, 3), 0.5), (numpy.array(2.0), numpy.array(0.1), 1.0)],
    "smooth_l1": [(EDGES, 2.0), (draw(2, 3), 0.5), (draw(0), 1.0), (draw(4, 3).T, 1e-30)],
    "smooth_l1_grad": [(draw(3, 3), EDGES, 2.0), (draw(2, 3), draw(2, 3), 0.5), (draw(2, 3), draw(2, 3), 1e-30)],
    "binary_cross_entropy": [(UNIT, UNIT.T), (UNIT, 1 - UNIT), (draw(0), draw(0)), (I([1e-30, 0.5]), I([0.0, NAN]))],
    "binary_cross_entropy_grad": [
        (draw(3, 3), UNIT, UNIT.T),
        (draw(3, 3), UNIT, 1 - UNIT),
        (draw(0), draw(0), draw(0)),
    ],
    "binary_cross_entropy_grad_target": [(draw(3, 3), UNIT), (draw(0), draw(0)), (draw(2), I([1e-30, 0.5]))],
    "binary_cross_entropy_with_logits": [
        (EDGES, UNIT, None),
        (EDGES, 1 - UNIT, 3 * UNIT),
        (EDGES, UNIT, UNIT[0]),
        (draw(0), draw(0), None),
    ],
    "binary_cross_entropy_with_logits_grad": [
        (draw(3, 3), EDGES, UNIT, None),
        (draw(3, 3), EDGES, 1 - UNIT, 3 * UNIT),
        (draw(3, 3), EDGES, UNIT, UNIT[0]),
        (draw(0),) * 3 + (None,),
    ],
    "layer_norm": [
        (draw(3, 4), draw(4), draw(4), 1, 1e-5),
        (draw(2, 3, 4), None, None, 2, 0.1),
        (draw(0, 3), draw(3), None, 1, 1e-5),
        (draw(4), None, draw(4), 1, 1e-5),
    ],
    "layer_norm_grad": [
        (draw(3, 4), draw(3, 4) + 1, draw(3, 1), abs(draw(3, 1)), draw(4), 1),
        (draw(2, 3, 4), draw(2, 3, 4), draw(2, 1, 1), draw(2, 1, 1), None, 2),
        (draw(2, 3, 4).transpose(0, 2, 1), draw(2, 4, 3), draw(2, 1, 1), draw(2, 1, 1), draw(4, 3), 2),
        (draw(4), draw(4), draw(1), draw(1), draw(4), 1),
    ],
    "running_moments": [
        (draw(3), abs(draw(3)), draw(3), abs(draw(3)), 0.1, 1.5),
        (None, draw(3), draw(3), draw(3), 0.0, 1.0),
        (draw(3), None, draw(3), draw(3), 1.0, 2.0),
        (*draw(4, 700), numpy.array(0.25), 1.5),
        (*draw(4, 3, 2)[:, :, 0], 0.5, 1.5),
    ],
    "rms_norm": [(draw(3, 4), draw(4), 1, 1e-5), (draw(2, 3, 4), None, 2, 0.1), (draw(0, 3), draw(3), 1, 1e-5)],
    "rms_norm_grad": [
        (draw(3, 4), draw(3, 4) + 1, draw(3, 1), draw(4), 1),
        (draw(2, 3, 4), draw(2, 3, 4), draw(2, 1, 1), None, 2),
    ],
    "group_norm": [
        (draw(2, 4, 3), draw(4), draw(4), 2, 1e-5),
        (draw(2, 6), draw(6), None, 3, 1e-5),
        (draw(3, 4, 2, 2).transpose(0, 1, 3, 2), None, None, 1, 0.1),
        (draw(2, 3, 2, 2), None, draw(3), 3, 1e-5),
    ],
    "group_norm_grad": [
        (draw(2, 4, 3), draw(2, 4, 3) + 1, draw(4, 1), abs(draw(4, 1)), draw(4), 2),
        (draw(2, 6), draw(2, 6), draw(6, 1), draw(6, 1), draw(6), 3),
        (draw(3, 2, 4).transpose(1, 2, 0), draw(2, 4, 3), draw(2, 1), draw(2, 1), None, 1),
    ],
    "batch_norm": [
        (draw(3, 4), draw(4), draw(4), 1e-5),
        (draw(2, 3, 2, 2), None, None, 0.1),
        (draw(3, 2, 4).transpose(1, 2, 0), draw(4), None, 1e-5),
    ],
    "batch_norm_grad": [
        (draw(3, 4), draw(3, 4) + 1, draw(4), abs(draw(4)), draw(4)),
        (draw(2, 3, 2, 2), draw(2, 3, 2, 2), draw(3), draw(3), None),
        (draw(3, 2, 4).transpose(1, 2, 0), draw(2, 4, 3), draw(4), draw(4), draw(4)),
    ],
    "rnn_steps": [
        (draw(3, 2, 4), draw(2, 4), draw(4, 4), False, "tanh"),
        (draw(3, 2, 4), draw(2, 4), draw(4, 4), True, "relu"),
        (draw(2, 0, 4), draw(0, 4), draw(4, 4), False, "tanh"),
        (draw(3, 2, 4), None, draw(4, 4), True, "tanh"),
    ],
    "rnn_steps_grad": [
        (draw(3, 2, 4), draw(2, 4), draw(4, 4), draw(3, 2, 4), False, "tanh"),
        (draw(3, 2, 4), draw(2, 4), draw(4, 4), draw(3, 2, 4), True, "relu"),
        (draw(3, 2, 4), None, draw(4, 4), draw(3, 2, 4), False, "relu"),
    ],
    "lstm_steps": [
        (draw(3, 2, 8), draw(2, 2), draw(2, 2), draw(8, 2), None, False),
        (draw(3, 2, 8), draw(2, 1), draw(2, 2), draw(8, 1), draw(1, 2), True),
        (100 * draw(1, 2, 8), draw(2, 2), draw(2, 2), draw(8, 2), None, True),
        (draw(2, 0, 8), draw(0, 2), draw(0, 2), draw(8, 2), None, False),
        (draw(3, 2, 8), None, None, draw(8, 1), draw(1, 2), False),
        (draw(3, 2, 8), None, draw(2, 2), draw(8, 2), None, True),
    ],
    "lstm_steps_grad": [
        (
            draw(3, 2, 2),
            draw(2, 2),
            draw(2, 2),
            draw(2, 2),
            draw(8, 2),
            None,
            draw(3, 2, 2),
            draw(3, 2, 8),
            draw(3, 2, 2),
            draw(3, 2, 2),
            False,
        ),
        (
            draw(3, 2, 1),
            draw(2, 2),
            draw(2, 1),
            draw(2, 2),
            draw(8, 1),
            draw(1, 2),
            draw(3, 2, 1),
            draw(3, 2, 8),
            draw(3, 2, 2),
            draw(3, 2, 2),
            True,
        ),
        (
            draw(3, 2, 2),
            draw(2, 2),
            None,
            None,
            draw(8, 2),
            None,
            draw(3, 2, 2),
            draw(3, 2, 8),
            draw(3, 2, 2),
            draw(3, 2, 2),
            True,
        ),
    ],
    "gru_steps": [
        (draw(3, 2, 6), draw(2, 2), draw(6, 2), draw(6), False),
        (draw(3, 2, 6), draw(2, 2), draw(6, 2), None, True),
        (draw(3, 2, 6), None, draw(6, 2), draw(6), True),
    ],
    "gru_steps_grad": [
        (draw(3, 2, 2), draw(2, 2), draw(6, 2), draw(6), draw(3, 2, 2), draw(3, 2, 6), draw(3, 2, 2), False),
        (draw(3, 2, 2), draw(2, 2), draw(6, 2), None, draw(3, 2, 2), draw(3, 2, 6), draw(3, 2, 2), True),
        (draw(3, 2, 2), None, draw(6, 2), draw(6), draw(3, 2, 2), draw(3, 2, 6), draw(3, 2, 2), False),
    ],
    "attention": [
        (draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 2), None, None, 0.5, False, False),
        (draw(3, 4), draw(5, 4), draw(5, 2), draw(3, 5), abs(draw(3, 5)), 2.0, False, False),
        (draw(2, 4), draw(3, 4), draw(3, 2), I([[0.0, -INF, 1.0], [-INF, -INF, -INF]]), None, 0.5, False, False),
        (draw(2, 4), draw(0, 4), draw(0, 2), None, None, 0.5, False, False),
        (draw(0, 4), draw(3, 4), draw(3, 2), None, None, 0.5, False, False),
        (draw(1, 2, 4), draw(1, 3, 4), draw(1, 3, 2), draw(2, 2, 3), None, 0.5, False, False),
        (draw(4, 4), draw(3, 4), draw(3, 2), None, None, 0.5, True, False),
        (draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 2), draw(3, 5), abs(draw(2, 3, 5)), 0.5, True, True),
    ],
    "attention_grad": [
        (
            draw(2, 3, 2),
            draw(2, 3, 4),
            draw(2, 5, 4),
            draw(2, 5, 2),
            None,
            None,
            draw(2, 3, 2),
            draw(2, 3, 5),
            0.5,
            False,
            False,
        ),
        (
            draw(3, 2),
            draw(3, 4),
            draw(5, 4),
            draw(5, 2),
            None,
            abs(draw(3, 5)),
            draw(3, 2),
            draw(3, 5),
            2.0,
            False,
            False,
        ),
        (
            *(draw(3, 2), draw(3, 4), draw(5, 4), draw(5, 2), draw(3, 5), None, draw(3, 2), draw(3, 5)),
            *(2.0, False, True),
        ),
    ],
    # updates: a matrix, the numbers of a step in the middle, every branch; and one that several blocks are needed for
    "sgd": [
        (draw(3), draw(2, 3)[0], None, 0.1, 0.0, 0.0, 0.0, False, False),
        (draw(3), draw(2, 3)[0], None, 0.1, 0.9, 0.0, 0.01, False, True),
        (draw(3), draw(2, 3)[0], draw(3, 3)[0], 0.1, 0.9, 0.5, 0.01, False, False),
        (draw(3), draw(2, 3)[0], draw(3, 3)[0], 0.1, 0.9, 0.0, 0.0, True, True),
        (draw(0), draw(0), None, 0.1, 0.9, 0.0, 0.0, True, False),
        (draw(3, 50000), draw(50000, 3).T, None, 0.1, 0.9, 0.0, 0.1, True, False),
    ],
    "adam": [
        (*draw(3, 2, 3), draw(2, 3) ** 2, None, 0.1, 0.9, 0.99, 1e-3, 0.0, False, False, 0.3, 0.03),
        (*draw(3, 2, 3), draw(2, 3) ** 2, draw(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, False, True, 0.3, 0.03),
        (
            draw(3, 50000),
            draw(50000, 3).T,
            draw(3, 50000),
            draw(3, 50000) ** 2,
            None,
            0.1,
            0.9,
            0.99,
            1e-3,
            0.1,
            True,
            True,
            0.3,
            0.03,
        ),
        (*draw(3, 140000), draw(140000) ** 2, draw(140000) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, False, False, 0.3, 0.03),
        (draw(0), draw(0), draw(0), draw(0), None, 0.1, 0.9, 0.99, 1e-3, 0.1, False, False, 0.3, 0.03),
    ],
    "nadam": [
        (*draw(3, 2, 3), draw(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, False, True, 0.03, 0.4, 0.7),
        (*draw(3, 2, 3), draw(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, True, False, 0.03, 0.4, 0.7),
    ],
    "radam": [
        (*draw(3, 2, 3), draw(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, False, True, 0.3, 0.0),
        (*draw(3, 2, 3), draw(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, True, False, 0.3, 0.4),
    ],
    "adamax": [(*draw(3, 2, 3), abs(draw(2, 3)), 0.1, 0.9, 0.99, 1e-3, 0.1, m, 0.3) for m in (False, True)],
    "adagrad": [(draw(3, 50000), draw(50000, 3).T, draw(3, 50000) ** 2, 0.1, 1e-3, 0.1, m) for m in (False, True)],
    "adadelta": [(*draw(2, 2, 3), draw(2, 3) ** 2, draw(2, 3) ** 2, 0.1, 0.9, 1e-3, 0.1, m) for m in (False, True)],
    "rmsprop": [
        (*draw(2, 2, 3), 1 + draw(2, 3) ** 2, None, None, 0.1, 0.9, 1e-3, 0.1, 0.0, False),
        (*draw(2, 2, 3), 9 + draw(2, 3) ** 2, draw(2, 3), draw(2, 3), 0.1, 0.9, 1e-3, 0.0, 0.5, True),
    ],
    "rprop": [(*draw(3, 2, 3), abs(draw(2, 3)), 0.5, 1.2, 0.1, 1.0, m) for m in (False, True)],
    "asgd": [(*draw(3, 2, 3), 0.99, 0.1, 0.3, 0.1, m) for m in (False, True)],
    "adafactor": [
        (*draw(2, 2, 3, 4), abs(draw(2, 3, 1)), abs(draw(2, 1, 4)), None, 0.1, 0.3, 1e-3, 1e-2, 1.0, 0.1, 0.1, False),
        (*draw(2, 2, 3), abs(draw(2, 1)), abs(draw(1, 3)), None, 0.1, 0.3, 1e-3, 1e-2, 1.0, 0.1, 0.0, True),
        (*draw(2, 5), None, None, draw(5) ** 2, 0.1, 0.3, 1e-3, 1e-2, 1.0, 0.1, 0.1, True),
    ],
    "muon": [
        (*draw(3, 2, 3), 0.1, 0.99, 0.9, True, (3.4445, -4.775, 2.0315), 2, 1e-7),
        (*draw(3, 3, 2), 0.1, 0.99, 0.9, False, (2.0, -1.5, 0.5), 5, 1e-7),
    ],
    "total_norm": [
        (2.0, draw(2, 3), draw(4)),
        (INF, draw(2, 3), -abs(draw(4))),
        (1.0, draw(3)),
        (3.0, draw(2, 3), numpy.array(2.0)),
        (2.0, draw(3, 50000), draw(9, 9).T),
    ],
    "centered": [
        (draw(3, 1), draw(3, 4), (1,)),
        (draw(1, 4), draw(3, 4), 0),
        (draw(1, 3, 1), draw(2, 3, 4), (0, 2)),
        (numpy.array(2.0), draw(3, 4), None),
        (draw(3, 1), EDGES, 1),
        (draw(0, 1), draw(0, 2), (1,)),
        (draw(40, 1), draw(40, 300), (1,)),
    ],
    "extreme_grad": [
        (draw(3, 1), ROWS, I([[3.0], [1000.0], [1.0]]), (1,)),
        (draw(1, 3), I([[1.0, NAN, 2.0], [1.0, NAN, 3.0]]), I([[1.0, NAN, 3.0]]), 0),
        (draw(1, 2, 1), I([[[1.0, 5.0], [INF, 2.0]], [[5.0, 5.0], [INF, 0.0]]]), I([[[5.0], [INF]]]), (0, 2)),
        (numpy.array(2.0), I([[0.0, -0.0], [-1.0, 0.0]]), numpy.array(0.0), None),
        (draw(0, 1), draw(0, 2), draw(0, 1), (1,)),
        (draw(40, 1), numpy.tile(draw(40, 60), 5), draw(40, 60).max(1, keepdims=True), (1,)),
    ],
    "clip_by_norm": [
        (1.0, I(5.0), draw(2, 3), draw(4)),
        (9.0, I(5.0), draw(2, 3), numpy.array(2.0)),
        (0.5, I(2.0), draw(3, 50000), draw(9, 9).T),
    ],
}
#: Parameters of an activation's kernel -> arguments: of a function of x alone, and of a gradient that takes g and x.
_ACTIVATION = {
    ("x",): [(EDGES,), (numpy.linspace(-30, 30, 70000),), (draw(0, 2),), (numpy.array(-1.0),), (draw(4, 3).T,)],
    ("g", "x"): [
        (draw(3, 3), EDGES),
        (numpy.array(2.0), draw(70000)),
        (draw(0, 2),) * 2,
        (numpy.array(2.0), numpy.array(-1.0)),
        (draw(3, 4), draw(4, 3).T),
    ],
}
# A new activation needs a line in CASES only if it has an option, or if its gradient takes something else than g and x.
for _name in FAMILIES["activation"]:
    _parameters = tuple(signature(KERNELS[_name]).parameters)[1:]
    if _name not in CASES and _parameters in _ACTIVATION:
        CASES[_name] = _ACTIVATION[_parameters]


def converted(value: Any, make: Any) -> Any:
    """An argument with ``make`` applied to its arrays, which may be parts of a tuple."""
    if isinstance(value, tuple) and any(isinstance(part, numpy.ndarray) for part in value):
        return tuple(converted(part, make) for part in value)
    return make(value) if isinstance(value, numpy.ndarray) else value


def as_list(out: Any) -> list:
    """A kernel's results: one array, or a tuple of them."""
    return list(out) if isinstance(out, tuple) else [out]


def call(name: str, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What the kernel ``name``, or a version of it, returns for the arguments of a case, as a list.

    ``function`` takes no namespace. The last arguments are passed by name if the kernel takes them so.
    """
    named = [p.name for p in signature(KERNELS[name]).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    count = len(arguments) - len(named)
    return as_list(function(*arguments[:count], **dict(zip(named, arguments[count:], strict=True))))
