"""Every backend's kernels against the one plain version, at ordinary numbers and at infinities, nan and
nothing at all.
"""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from rustorch.backends.kernels import FAMILIES, KERNELS
from rustorch.backends.kernels.pooling import Window
from tests.support.target import Target

INF, NAN = numpy.inf, numpy.nan


def _f(*shape: int) -> numpy.ndarray:
    return numpy.random.default_rng(sum(shape) + len(shape)).standard_normal(shape)


EDGES = numpy.array([[1.0, INF, -INF], [NAN, 0.0, -0.0], [-1000.0, 1000.0, 2.0]])
ROWS = numpy.array([[1.0, 2.0, 3.0], [1000.0, -1000.0, 0.0], [-INF, -INF, 1.0]])
#: Probabilities.
UNIT = numpy.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25], [1e-13, 0.75, 1.0]])
I = numpy.array  # noqa: E741 - indices
#: The kernels that may write into their arguments.
IN_PLACE = {*FAMILIES["optim"], "running_moments"}
#: Windows side by side; ones that overlap, with padding before and beyond the end; bins of different lengths.
TILES = (Window(4, 2, 2, 2), Window(4, 2, 2, 2))
OVERLAPS = (Window(5, 3, 3, 2, 1), Window(4, 2, 3, 3, 1))
BINS = (Window(3, 2, 2), Window(5, 2, 3))

#: kernel -> arguments, several sets of them
CASES: dict[str, list[tuple]] = {
    # the second one is longer than a piece of the NumPy version
    "erf": [(EDGES,), (numpy.linspace(-7, 7, 9000),), (_f(0, 2),), (numpy.array(-0.3),), (_f(4, 3).T,)],
    "gelu": [(EDGES,), (numpy.linspace(-7, 7, 9000),), (_f(0, 2),), (numpy.array(-1.0),), (_f(4, 3).T,)],
    "gelu_grad": [
        (_f(3, 3), EDGES, EDGES),
        (_f(9000), _f(9000), 0.5 * _f(9000)),
        (_f(0, 2),) * 3,
        (numpy.array(2.0),) * 3,
        (_f(3, 4), _f(4, 3).T, 0.7 * _f(4, 3).T),
        (_f(2), numpy.zeros(2), numpy.zeros(2)),
    ],
    "zero_gradient": [(EDGES, EDGES), (_f(2, 3), _f(3)), (_f(0), _f(0))],
    "tanh_slope": [(EDGES,), (numpy.linspace(-400, 400, 40000),), (_f(0, 2),), (numpy.array(-0.3),), (_f(4, 3).T,)],
    **{
        name: [(EDGES,), (1e200 * EDGES,), (_f(0, 2),), (numpy.array(0.5),), (_f(4, 3).T,)]
        for name in ("sqrt_one_minus_square", "sqrt_one_plus_square", "sqrt_square_minus_one")
    },
    **{
        name: [
            (EDGES, EDGES.T),
            (EDGES, EDGES),
            (EDGES, 1.0),
            (2.0, EDGES),
            (_f(4, 3), 1e30 * _f(3)),
            (1e-30 * _f(3), 1e-30 * _f(2, 3)),
            (numpy.array(1.0), numpy.array(0.0)),
            (_f(0, 2), _f(2)),
        ]
        for name in ("hypot_slope", "atan2_slope", "logaddexp_slope")
    },
    "pow_slope": [
        (abs(EDGES), EDGES.T),
        (EDGES, EDGES),
        (EDGES, 3.0),
        (EDGES, -0.1),
        (2.0, EDGES),
        (1e-30 * abs(_f(4, 3)), _f(3)),
        (numpy.array(0.0), numpy.array(0.0)),
        (_f(0, 2), _f(2)),
    ],
    "small_power": [(EDGES, n) for n in range(-2, 5)] + [(_f(0, 2), 3), (numpy.array(-0.3), -2), (_f(4, 3).T, 4)],
    **{
        name: [(EDGES,), (numpy.linspace(-30, 30, 70000),), (_f(0, 2),), (numpy.array(-1.0),), (_f(4, 3).T,)]
        for name in ("gelu_tanh", "mish", "silu", "tanh_softplus", "tanhshrink")
    },
    **{
        name: [
            (_f(3, 3), EDGES),
            (numpy.array(2.0), _f(70000)),
            (_f(0, 2),) * 2,
            (numpy.array(2.0), numpy.array(-1.0)),
            (_f(3, 4), _f(4, 3).T),
        ]
        for name in (
            "gelu_tanh_gate_grad",
            "gelu_tanh_grad",
            "mish_grad",
            "sigmoid_grad",
            "silu_grad",
            "tanh_softplus_grad",
        )
    },
    "prelu_slope": [
        (EDGES, _f(3)),
        (_f(2, 3, 4), _f(3, 1)),
        (_f(4), numpy.array(0.25)),
        (_f(0, 2), _f(2)),
        (_f(4, 3).T, _f(3, 1)),
    ],
    "gaussian": [
        (EDGES, 0.5),
        (numpy.linspace(-30, 30, 70000), 1.0),
        (_f(0, 2), 0.5),
        (numpy.array(-1.0), 1.0),
        (_f(4, 3).T, 0.5),
    ],
    "index_add": [
        (_f(4, 2), I([0, 2, 0, -1]), (3, 2), 0),
        (_f(2, 4), I([0, 0, 0, 1]), (2, 3), -1),
        (_f(0, 2), I([], dtype="int64"), (3, 2), 0),
        (_f(4, 0), I([0, 1, 0, 1]), (3, 0), 0),
        (EDGES, I([1, 1, 0]), (2, 3), 0),
    ],
    "scatter_add": [
        (_f(2, 3), I([[0, 0, 1], [3, -1, 3]]), (2, 4), 1),
        (_f(2, 3), I([[0, 1, 1], [0, 1, 0]]), (5, 3), 0),
        (_f(0, 3), I([[]], dtype="int64").reshape(0, 1), (0, 4), 1),
        (_f(2, 2), I([[1, 1]]), (2, 3), 1),
    ],
    "overwrite": [
        (_f(4), _f(3), I([2, 0, 2])),
        (_f(3), _f(0), I([], dtype="int64")),
        (_f(0), _f(0), I([], dtype="int64")),
        (_f(2), _f(1), I([1])),
        (EDGES[0], EDGES[1], I([1, 1, 1])),
    ],
    "ctc_loss": [
        (-abs(_f(3, 2, 3)), I([[1, 1], [2, 9]]), I([3, 2]), I([2, 1]), 0),
        (-abs(_f(1, 1, 2)), I([[]], dtype="int64"), I([1]), I([0]), 1),
    ],
    "ctc_loss_grad": [
        (_f(2), -abs(_f(3, 2, 3)), I([[1, 1], [2, 9]]), I([3, 2]), I([2, 1]), 0, abs(_f(2)), -9 * abs(_f(3, 2, 5))),
    ],
    "vector_norm": [
        (_f(3, 4), (1,), 2, False),
        (_f(3, 4), (0,), 3, True),
        (_f(2, 3, 4), (0, 2), 1.5, False),
        (_f(3, 4).T, (0, 1), -2, False),
        (EDGES, (1,), 2, False),
        (EDGES, (0,), -1, False),
        (1e200 * EDGES, (1,), 2, True),
        (_f(0, 2), (0,), 2, False),
        (_f(3), (0,), INF, False),
        (1e-200 * _f(20000), (0,), 2, False),
    ],
    "arange_like": [(I([2, 0], dtype="int64"), 3), (I([2, 0], dtype="int32"), 0)],
    "put_add": [
        (_f(3), (3, 2), (slice(None), 1)),
        (_f(2), (2, 3), (..., -1)),
        (_f(4), (3,), I([0, 2, 0, 2])),
        (_f(2), (3,), I([True, False, True])),
        (_f(0), (3,), (slice(2, 1),)),
        (_f(2, 3), (2, 3), ...),
        (numpy.array(2.0), (2, 2), (1, 0)),
    ],
    "put": [
        (_f(2, 3), _f(3), (0, ...)),
        (_f(3), 5.0, I([True, False, True])),
        (EDGES, EDGES[0, :], (slice(None), slice(0, 3))),
    ],
    "cofactors": [
        (_f(3, 3),),
        (_f(2, 1, 1),),
        (_f(0, 0),),
        (_f(0, 2, 2),),
        (numpy.zeros((2, 3, 3)),),
        (numpy.outer(_f(3), _f(3)),),
        (numpy.stack([_f(2, 2), I([[1.0, 2.0], [2.0, 4.0]]), numpy.eye(2)]),),
        (numpy.diag([1e-30, 1.0, 0.0]),),
    ],
    "conv": [
        (_f(2, 1, 2), _f(1, 1, 3), None, (1,), ((9, 8),), (1,), 1),
        (_f(2, 3, 5), _f(4, 3, 2), _f(4), (1,), ((1, 0),), (2,), 1),
        (_f(2, 4, 5, 4), _f(2, 2, 3, 2), None, (1, 1), ((1, 1), (2, 0)), (1, 2), 2),
        (_f(1, 2, 3, 4, 3), _f(2, 1, 2, 2, 3), _f(2), (2, 1, 1), ((1, 0), (-1, 0), (1, 1)), (1, 1, 1), 2),
        (_f(2, 1, 300), _f(4, 1, 3), _f(4), (1,), ((1, 1),), (1,), 1),
        (_f(3, 2, 20, 16), _f(4, 1, 1, 2), None, (1, 1), ((0, 0), (1, 0)), (1, 1), 2),
        (_f(0, 2, 3), _f(2, 2, 2), _f(2), (1,), ((0, 0),), (1,), 1),
        (EDGES.reshape(1, 3, 3), _f(1, 3, 1), None, (1,), ((1, -2),), (1,), 1),
    ],
    "conv_grad_input": [
        (_f(2, 4, 4), _f(4, 3, 2), (5,), (1,), ((1, 0),), (2,), 1),
        (_f(2, 2, 3, 2), _f(2, 2, 3, 2), (6, 4), (2, 3), ((1, 0), (1, 0)), (1, 1), 2),
        (_f(1, 2, 2, 2, 2), _f(2, 1, 1, 2, 1), (5, 3, 2), (3, 1, 1), ((0, -1), (0, 0), (0, 0)), (1, 1, 2), 2),
        (_f(2, 1, 2), _f(1, 1, 2), (7,), (2,), ((0, -3),), (1,), 1),
        (_f(0, 2, 2), _f(2, 2, 2), (4,), (2,), ((0, 0),), (1,), 1),
    ],
    "conv_grad_weight": [
        (_f(2, 4, 4), _f(2, 3, 5), (2,), (1,), ((1, 0),), (2,), 1),
        (_f(2, 2, 3, 2), _f(2, 4, 5, 4), (3, 2), (2, 3), ((1, 1), (1, 0)), (1, 1), 2),
        (_f(2, 4, 300), _f(2, 1, 599), (3,), (2,), ((1, 1),), (1,), 1),
        (_f(3, 4, 20, 16), _f(3, 2, 20, 16), (1, 2), (1, 1), ((0, 0), (1, 0)), (1, 1), 2),
        (_f(0, 2, 2), _f(0, 3, 3), (2,), (1,), ((0, 0),), (1,), 1),
    ],
    "max_pool": [
        (_f(2, 4, 4), TILES),
        (_f(2, 5, 4), OVERLAPS),
        (_f(3, 5), BINS),
        (_f(0, 4, 4), TILES),
        (EDGES, (Window(3, 3, 2, 1, 1),)),
        (_f(7, 7).T, (Window(7, 3, 2, 2, 0, 2),)),
        (numpy.ones((1, 5)), (Window(5, 3, 2, 2),)),
        (numpy.round(_f(4, 6, 8)), (Window(6, 2, 3, 3), Window(8, 4, 2, 2))),
    ],
    "max_pool_indices": [
        (I([[0, 3], [1, 2]], dtype="uint8"), TILES),
        (I([[4, 2], [6, 5], [0, 2]], dtype="uint8"), OVERLAPS),
        (I([[0, 0], [1, 2]], dtype="int32"), BINS),
    ],
    "max_pool_gather": [
        (_f(4, 4), I([[0, 3], [1, 2]], dtype="uint8"), TILES),
        (_f(3, 5), I([[1], [2], [0]], dtype="int32"), (Window(5, 1, 5, 5),)),
    ],
    "max_pool_grad": [
        (_f(2, 2, 2), I([[[0, 3], [1, 2]], [[2, 2], [0, 1]]], dtype="uint8"), TILES),
        (EDGES[:2, :2], I([[0, 3], [1, 2]], dtype="uint8"), TILES),
        (EDGES, I([[0, 1, 1], [1, 0, 1], [0, 0, 0]], dtype="uint8"), (Window(6, 3, 2, 2),)),
        (_f(3, 2), I([[4, 4], [4, 3], [1, 4]], dtype="uint8"), OVERLAPS),
        (_f(2, 2), I([[0, 1], [1, 0]], dtype="uint8"), BINS),
        (_f(3, 3).T, I([[0, 1, 1], [1, 0, 1], [0, 0, 0]], dtype="uint8"), (Window(7, 3, 2, 2, 0, 2),)),
        (_f(0, 2, 2), numpy.zeros((0, 2, 2), "uint8"), TILES),
        (_f(2, 1), I([[299], [3]], dtype="int32"), (Window(300, 1, 300, 1),)),
    ],
    "max_unpool": [
        (_f(2, 2), I([[3, 0], [1, 2]]), 4),
        (_f(1, 3), I([[2, 0, 2]]), 3),
        (_f(0, 2), numpy.zeros((0, 2), "int64"), 3),
    ],
    "avg_pool": [
        (_f(2, 4, 4), TILES, 4),
        (_f(2, 5, 4), OVERLAPS, 3),
        (_f(2, 20), (Window(20, 2, 9, 9),), 9.0),
        (_f(0, 4, 4), TILES, 1),
        (EDGES, (Window(3, 3, 2, 1, 1),), 2),
        (_f(3, 4), (Window(4, 4, 1, 1),), 1),
        (_f(3, 4), (Window(4, 2, 1, 3),), 2),
    ],
    "avg_pool_grad": [
        (_f(2, 2, 2), TILES, 4),
        (_f(2, 3, 2), OVERLAPS, 3),
        (_f(2, 2), (Window(20, 2, 9, 9),), 9.0),
        (_f(0, 2, 2), TILES, 1),
        (EDGES, (Window(3, 3, 2, 1, 1),), 2),
        (_f(3, 4), (Window(4, 4, 1, 1),), 1),
        (_f(3, 2), (Window(4, 2, 1, 3),), 2),
        (_f(3, 2), (Window(5, 2, 3, 3, 1),), 2),
    ],
    "linear": [
        (_f(2, 3), _f(4, 3), _f(4)),
        (_f(3), _f(4, 3), None),
        (_f(2, 2, 3), _f(4, 3), _f(4)),
        (_f(0, 3), _f(4, 3), _f(4)),
    ],
    "linear_grad_weight": [(_f(2, 4), _f(2, 3)), (_f(4), _f(3)), (_f(2, 2, 4), _f(2, 2, 3)), (_f(0, 4), _f(0, 3))],
    "apply_mask": [
        (EDGES, I([0.0, 2.0] * 99)[: len(EDGES)]),
        (_f(2, 3, 4), abs(_f(2, 3, 1))),
        (I([INF, NAN, 1.0]), I([0.0])),
        (_f(0, 2), _f(0, 1)),
        (I(NAN), I(0.0)),
    ],
    "relu": [(EDGES,), (numpy.linspace(-1, 1, 40000),), (_f(0, 2),), (numpy.array(-1.0),)],
    "relu_grad": [
        (_f(3, 3), EDGES),
        (EDGES, _f(3, 3)),
        (_f(0),) * 2,
        (numpy.array(2.0), numpy.array(1.0)),
        # large enough for the way that masks bits
        (numpy.tile(EDGES, (30, 50)), _f(90, 150)),
        (_f(150, 90).T, numpy.tile(EDGES, (30, 50))),
        (numpy.tile(EDGES, (30, 50)).astype("float32"), _f(90, 150).astype("float32")),
    ],
    "sigmoid": [(EDGES,), (_f(0, 2),), (numpy.array(-1.0),)],
    "logsumexp_grad": [
        (_f(3, 1), _f(3, 4), _f(3, 1), 1),
        (_f(1, 4), _f(3, 4), _f(1, 4), 0),
        (_f(3, 1), ROWS, _f(3, 1), 1),
        (_f(2, 1), I([[INF, 1.0], [-INF, -INF]]), I([[INF], [-INF]]), 1),
        (_f(0, 1), _f(0, 3), _f(0, 1), 1),
    ],
    "softmax": [(_f(0, 3), 0), (_f(3, 4), 1), (_f(3, 4), 0), (ROWS, 1), (_f(0, 3), 1)],
    "log_softmax": [(_f(3, 4), 1), (_f(3, 4), 0), (ROWS, 1), (_f(0, 3), 1)],
    "softmax_grad": [
        (_f(3, 4), abs(_f(3, 4)), 1),
        (_f(3, 2, 4), abs(_f(3, 2, 4)), 0),
        (ROWS, abs(_f(3, 3)), -1),
        (_f(0, 3), _f(0, 3), 1),
    ],
    "log_softmax_grad": [(_f(3, 4), -abs(_f(3, 4)), 1), (_f(3, 4), -abs(_f(3, 4)), 0), (_f(0, 3), _f(0, 3), 1)],
    "logsumexp": [
        (_f(0, 3), 0),
        (_f(3, 4), 1),
        (ROWS, 1),
        (numpy.full((1, 2), -INF), 1),
        (numpy.array([[INF, 1.0]]), 1),
        (EDGES, 1),
        (_f(0, 3), 1),
    ],
    "mse": [(_f(2, 3), _f(2, 3), 6), (_f(2, 3), _f(3), 1), (_f(0), _f(0), 1)],
    "cross_entropy": [
        (_f(3, 4), I([0, 3, 1]), None, None, "mean"),
        (_f(3, 4), I([0, 3, 1]), None, None, "none"),
        (_f(3, 4), I([0, 3, 1]), I([0.0, 1.0, 2.0, 3.0]), None, "mean"),
        (_f(3, 4), I([0, -7, 1]), I([0.0, 1.0, 2.0, 3.0]), -7, "mean"),
        (_f(3, 4), I([2, 3, 2]), None, 2, "mean"),
        (_f(3, 4), I([-1, 3, -1]), None, -1, "sum"),
        (_f(3, 4), I([9, 3, 1]), None, 9, "none"),
        (_f(3, 4), abs(_f(3, 4)), None, None, "mean"),
        (I([[INF, 1.0], [1.0, 2.0]]), I([1, 0]), I([1.0, 0.0]), None, "sum"),
        (_f(3, 4), abs(_f(3, 4)), None, None, "none"),
        (_f(4, 3).T, I([0, 3, 1]), None, None, "mean"),
        (_f(0, 4), I([], dtype="int64"), None, None, "sum"),
        (_f(3, 40), I([0, 39, 1]), None, None, "mean"),
        (_f(3, 40), I([0, -100, 1]), None, -100, "mean"),
        (_f(3, 40), abs(_f(3, 40)), None, None, "mean"),
        (EDGES, I([-100, -100, 1]), None, -100, "mean"),
        (EDGES, I([-100, -100, -100]), None, -100, "mean"),
        (EDGES, I([0, 1, 2]), I([1.0, 0.0, 0.0]), 0, "none"),
        (I([[-INF, 1.0], [-INF, -INF], [3.0, 2.0]]), I([[0.0, 1.0], [0.0, 0.0], [0.5, 0.5]]), None, None, "none"),
        (numpy.tile(I([-INF, 1.0]), (1, 40)), numpy.tile(I([0.0, 1.0]), (1, 40)), None, None, "sum"),
        (abs(EDGES.reshape(1, 9)), I([1]), None, 1, "sum"),
        (numpy.full((1, 40), -INF), I([1]), None, None, "none"),
        (_f(5000, 2), I([0, 1] * 2500), None, None, "mean"),
    ],
    "cross_entropy_grad": [
        (numpy.array(1.5), abs(_f(3, 4)), abs(_f(3)) + 2, I([0, 3, 1]), None, 3, None),
        (_f(3), abs(_f(3, 4)), abs(_f(3)) + 2, I([0, 3, 1]), None, None, None),
        (
            numpy.array(1.5),
            abs(_f(3, 4)),
            abs(_f(3)) + 2,
            I([0, 3, 1]),
            I([0.0, 1.0, 2.0, 3.0]),
            numpy.array(3.0),
            None,
        ),
        (numpy.array(1.5), abs(_f(3, 4)), abs(_f(3)) + 2, I([0, -7, 1]), I([0.0, 1.0, 2.0, 3.0]), numpy.array(3.0), -7),
        (_f(3), abs(_f(3, 4)), abs(_f(3)) + 2, I([2, 3, 2]), None, None, 2),
        (numpy.array(1.5), abs(_f(3, 4)), abs(_f(3)) + 2, abs(_f(3, 4)), None, 3, None),
        (numpy.array(1.5), abs(_f(3, 4)), abs(_f(3)) + 2, I([-7, -7, -7]), None, numpy.array(0.0), -7),
        (I([INF, NAN, 1.0]), abs(_f(3, 4)), abs(_f(3)) + 2, I([-7, -7, 1]), None, None, -7),
        # with many classes, the matrix is kept the other way round
        (numpy.array(1.5), abs(_f(3, 40)), abs(_f(3)) + 2, I([0, 39, 1]), None, 3, None),
        (_f(3), abs(_f(3, 40)), abs(_f(3)) + 2, abs(_f(3, 40)), None, None, None),
    ],
    "gaussian_nll_slope": [(EDGES, abs(_f(3, 3))), (_f(2, 3), abs(_f(3))), (_f(0), _f(0)), (_f(3, 3), abs(EDGES))],
    "quotient": [
        (I([1.0, -1.0, 0.0, NAN, 3.0, 0.0]), I([0.0, 0.0, 0.0, 0.0, 2.0, 2.0])),
        (numpy.array(0.0), numpy.array(0.0)),
    ],
    "quotient_or_zero": [
        (I([1.0, INF, 0.0, NAN, 3.0]), I([0.0, 0.0, 0.0, 0.0, 2.0])),
        (numpy.array(1.0), numpy.array(0.0)),
    ],
    "huber": [(EDGES, 2.0), (_f(2, 3), 0.5), (_f(0), 1.0)],
    "huber_grad": [(_f(3, 3), EDGES, 2.0), (_f(2, 3), _f(2, 3), 0.5), (numpy.array(2.0), numpy.array(0.1), 1.0)],
    "smooth_l1": [(EDGES, 2.0), (_f(2, 3), 0.5), (_f(0), 1.0), (_f(4, 3).T, 1e-30)],
    "smooth_l1_grad": [(_f(3, 3), EDGES, 2.0), (_f(2, 3), _f(2, 3), 0.5), (_f(2, 3), _f(2, 3), 1e-30)],
    "binary_cross_entropy": [(UNIT, UNIT.T), (UNIT, 1 - UNIT), (_f(0), _f(0)), (I([1e-30, 0.5]), I([0.0, NAN]))],
    "binary_cross_entropy_grad": [(_f(3, 3), UNIT, UNIT.T), (_f(3, 3), UNIT, 1 - UNIT), (_f(0), _f(0), _f(0))],
    "binary_cross_entropy_with_logits": [
        (EDGES, UNIT, None),
        (EDGES, 1 - UNIT, 3 * UNIT),
        (EDGES, UNIT, UNIT[0]),
        (_f(0), _f(0), None),
    ],
    "binary_cross_entropy_with_logits_grad": [
        (_f(3, 3), EDGES, UNIT, None),
        (_f(3, 3), EDGES, 1 - UNIT, 3 * UNIT),
        (_f(3, 3), EDGES, UNIT, UNIT[0]),
        (_f(0),) * 3 + (None,),
    ],
    "layer_norm": [
        (_f(3, 4), _f(4), _f(4), 1, 1e-5),
        (_f(2, 3, 4), None, None, 2, 0.1),
        (_f(0, 3), _f(3), None, 1, 1e-5),
        (_f(4), None, _f(4), 1, 1e-5),
    ],
    "layer_norm_grad": [
        (_f(3, 4), _f(3, 4) + 1, _f(3, 1), abs(_f(3, 1)), _f(4), 1),
        (_f(2, 3, 4), _f(2, 3, 4), _f(2, 1, 1), _f(2, 1, 1), None, 2),
        (_f(2, 3, 4).transpose(0, 2, 1), _f(2, 4, 3), _f(2, 1, 1), _f(2, 1, 1), _f(4, 3), 2),
        (_f(4), _f(4), _f(1), _f(1), _f(4), 1),
    ],
    "running_moments": [
        (_f(3), abs(_f(3)), _f(3), abs(_f(3)), 0.1, 1.5),
        (None, _f(3), _f(3), _f(3), 0.0, 1.0),
        (_f(3), None, _f(3), _f(3), 1.0, 2.0),
        (*_f(4, 700), numpy.array(0.25), 1.5),
        (*_f(4, 3, 2)[:, :, 0], 0.5, 1.5),
    ],
    "rms_norm": [(_f(3, 4), _f(4), 1, 1e-5), (_f(2, 3, 4), None, 2, 0.1), (_f(0, 3), _f(3), 1, 1e-5)],
    "rms_norm_grad": [(_f(3, 4), _f(3, 4) + 1, _f(3, 1), _f(4), 1), (_f(2, 3, 4), _f(2, 3, 4), _f(2, 1, 1), None, 2)],
    "batch_norm": [
        (_f(3, 4), _f(4), _f(4), 1e-5),
        (_f(2, 3, 2, 2), None, None, 0.1),
        (_f(3, 2, 4).transpose(1, 2, 0), _f(4), None, 1e-5),
    ],
    "batch_norm_grad": [
        (_f(3, 4), _f(3, 4) + 1, _f(4), abs(_f(4)), _f(4)),
        (_f(2, 3, 2, 2), _f(2, 3, 2, 2), _f(3), _f(3), None),
        (_f(3, 2, 4).transpose(1, 2, 0), _f(2, 4, 3), _f(4), _f(4), _f(4)),
    ],
    "rnn_steps": [
        (_f(3, 2, 4), _f(2, 4), _f(4, 4), False, "tanh"),
        (_f(3, 2, 4), _f(2, 4), _f(4, 4), True, "relu"),
        (_f(2, 0, 4), _f(0, 4), _f(4, 4), False, "tanh"),
        (_f(3, 2, 4), None, _f(4, 4), True, "tanh"),
    ],
    "rnn_steps_grad": [
        (_f(3, 2, 4), _f(2, 4), _f(4, 4), _f(3, 2, 4), False, "tanh"),
        (_f(3, 2, 4), _f(2, 4), _f(4, 4), _f(3, 2, 4), True, "relu"),
        (_f(3, 2, 4), None, _f(4, 4), _f(3, 2, 4), False, "relu"),
    ],
    "lstm_steps": [
        (_f(3, 2, 8), _f(2, 2), _f(2, 2), _f(8, 2), None, False),
        (_f(3, 2, 8), _f(2, 1), _f(2, 2), _f(8, 1), _f(1, 2), True),
        (100 * _f(1, 2, 8), _f(2, 2), _f(2, 2), _f(8, 2), None, True),
        (_f(2, 0, 8), _f(0, 2), _f(0, 2), _f(8, 2), None, False),
        (_f(3, 2, 8), None, None, _f(8, 1), _f(1, 2), False),
        (_f(3, 2, 8), None, _f(2, 2), _f(8, 2), None, True),
    ],
    "lstm_steps_grad": [
        (
            _f(3, 2, 2),
            _f(2, 2),
            _f(2, 2),
            _f(2, 2),
            _f(8, 2),
            None,
            _f(3, 2, 2),
            _f(3, 2, 8),
            _f(3, 2, 2),
            _f(3, 2, 2),
            False,
        ),
        (
            _f(3, 2, 1),
            _f(2, 2),
            _f(2, 1),
            _f(2, 2),
            _f(8, 1),
            _f(1, 2),
            _f(3, 2, 1),
            _f(3, 2, 8),
            _f(3, 2, 2),
            _f(3, 2, 2),
            True,
        ),
        (_f(3, 2, 2), _f(2, 2), None, None, _f(8, 2), None, _f(3, 2, 2), _f(3, 2, 8), _f(3, 2, 2), _f(3, 2, 2), True),
    ],
    "gru_steps": [
        (_f(3, 2, 6), _f(2, 2), _f(6, 2), _f(6), False),
        (_f(3, 2, 6), _f(2, 2), _f(6, 2), None, True),
        (_f(3, 2, 6), None, _f(6, 2), _f(6), True),
    ],
    "gru_steps_grad": [
        (_f(3, 2, 2), _f(2, 2), _f(6, 2), _f(6), _f(3, 2, 2), _f(3, 2, 6), _f(3, 2, 2), False),
        (_f(3, 2, 2), _f(2, 2), _f(6, 2), None, _f(3, 2, 2), _f(3, 2, 6), _f(3, 2, 2), True),
        (_f(3, 2, 2), None, _f(6, 2), _f(6), _f(3, 2, 2), _f(3, 2, 6), _f(3, 2, 2), False),
    ],
    "attention": [
        (_f(2, 3, 4), _f(2, 5, 4), _f(2, 5, 2), None, None, 0.5),
        (_f(3, 4), _f(5, 4), _f(5, 2), _f(3, 5), abs(_f(3, 5)), 2.0),
        (_f(2, 4), _f(3, 4), _f(3, 2), I([[0.0, -INF, 1.0], [-INF, -INF, -INF]]), None, 0.5),
        (_f(2, 4), _f(0, 4), _f(0, 2), None, None, 0.5),
        (_f(0, 4), _f(3, 4), _f(3, 2), None, None, 0.5),
        (_f(1, 2, 4), _f(1, 3, 4), _f(1, 3, 2), _f(2, 2, 3), None, 0.5),
    ],
    "attention_grad": [
        (_f(2, 3, 2), _f(2, 3, 4), _f(2, 5, 4), _f(2, 5, 2), None, _f(2, 3, 2), _f(2, 3, 5), 0.5),
        (_f(3, 2), _f(3, 4), _f(5, 4), _f(5, 2), abs(_f(3, 5)), _f(3, 2), _f(3, 5), 2.0),
    ],
    # updates: a matrix, the numbers of a step in the middle, every branch; and one that several blocks are needed for
    "sgd": [
        (_f(3), _f(2, 3)[0], None, 0.1, 0.0, 0.0, 0.0, False, False),
        (_f(3), _f(2, 3)[0], None, 0.1, 0.9, 0.0, 0.01, False, True),
        (_f(3), _f(2, 3)[0], _f(3, 3)[0], 0.1, 0.9, 0.5, 0.01, False, False),
        (_f(3), _f(2, 3)[0], _f(3, 3)[0], 0.1, 0.9, 0.0, 0.0, True, True),
        (_f(0), _f(0), None, 0.1, 0.9, 0.0, 0.0, True, False),
        (_f(3, 50000), _f(50000, 3).T, None, 0.1, 0.9, 0.0, 0.1, True, False),
    ],
    "adam": [
        (*_f(3, 2, 3), _f(2, 3) ** 2, None, 0.1, 0.9, 0.99, 1e-3, 0.0, False, False, 0.3, 0.03),
        (*_f(3, 2, 3), _f(2, 3) ** 2, _f(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, False, True, 0.3, 0.03),
        (
            _f(3, 50000),
            _f(50000, 3).T,
            _f(3, 50000),
            _f(3, 50000) ** 2,
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
        (*_f(3, 140000), _f(140000) ** 2, _f(140000) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, False, False, 0.3, 0.03),
        (_f(0), _f(0), _f(0), _f(0), None, 0.1, 0.9, 0.99, 1e-3, 0.1, False, False, 0.3, 0.03),
    ],
    "nadam": [
        (*_f(3, 2, 3), _f(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, False, True, 0.03, 0.4, 0.7),
        (*_f(3, 2, 3), _f(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, True, False, 0.03, 0.4, 0.7),
    ],
    "radam": [
        (*_f(3, 2, 3), _f(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, False, True, 0.3, 0.0),
        (*_f(3, 2, 3), _f(2, 3) ** 2, 0.1, 0.9, 0.99, 1e-3, 0.1, True, False, 0.3, 0.4),
    ],
    "adamax": [(*_f(3, 2, 3), abs(_f(2, 3)), 0.1, 0.9, 0.99, 1e-3, 0.1, m, 0.3) for m in (False, True)],
    "adagrad": [(_f(3, 50000), _f(50000, 3).T, _f(3, 50000) ** 2, 0.1, 1e-3, 0.1, m) for m in (False, True)],
    "adadelta": [(*_f(2, 2, 3), _f(2, 3) ** 2, _f(2, 3) ** 2, 0.1, 0.9, 1e-3, 0.1, m) for m in (False, True)],
    "rmsprop": [
        (*_f(2, 2, 3), 1 + _f(2, 3) ** 2, None, None, 0.1, 0.9, 1e-3, 0.1, 0.0, False),
        (*_f(2, 2, 3), 9 + _f(2, 3) ** 2, _f(2, 3), _f(2, 3), 0.1, 0.9, 1e-3, 0.0, 0.5, True),
    ],
    "rprop": [(*_f(3, 2, 3), abs(_f(2, 3)), 0.5, 1.2, 0.1, 1.0, m) for m in (False, True)],
    "asgd": [(*_f(3, 2, 3), 0.99, 0.1, 0.3, 0.1, m) for m in (False, True)],
    "adafactor": [
        (*_f(2, 2, 3, 4), abs(_f(2, 3, 1)), abs(_f(2, 1, 4)), None, 0.1, 0.3, 1e-3, 1e-2, 1.0, 0.1, 0.1, False),
        (*_f(2, 2, 3), abs(_f(2, 1)), abs(_f(1, 3)), None, 0.1, 0.3, 1e-3, 1e-2, 1.0, 0.1, 0.0, True),
        (*_f(2, 5), None, None, _f(5) ** 2, 0.1, 0.3, 1e-3, 1e-2, 1.0, 0.1, 0.1, True),
    ],
    "muon": [
        (*_f(3, 2, 3), 0.1, 0.99, 0.9, True, (3.4445, -4.775, 2.0315), 2, 1e-7),
        (*_f(3, 3, 2), 0.1, 0.99, 0.9, False, (2.0, -1.5, 0.5), 5, 1e-7),
    ],
    "total_norm": [
        (2.0, _f(2, 3), _f(4)),
        (INF, _f(2, 3), -abs(_f(4))),
        (1.0, _f(3)),
        (3.0, _f(2, 3), numpy.array(2.0)),
        (2.0, _f(3, 50000), _f(9, 9).T),
    ],
    "limited": [
        (1.0, I(5.0), _f(2, 3), _f(4)),
        (9.0, I(5.0), _f(2, 3), numpy.array(2.0)),
        (0.5, I(2.0), _f(3, 50000), _f(9, 9).T),
    ],
}

PARAMS = [pytest.param(name, case, id=f"{name}-{i}") for name, cases in CASES.items() for i, case in enumerate(cases)]


def _copied(value: Any, make: Any) -> Any:
    if isinstance(value, tuple) and any(isinstance(part, numpy.ndarray) for part in value):
        return tuple(_copied(part, make) for part in value)
    return make(value) if isinstance(value, numpy.ndarray) else value


def _listed(out: Any) -> list:
    return list(out) if isinstance(out, tuple) else [out]


def test_every_kernel_has_cases() -> None:
    assert set(CASES) == set(KERNELS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinities and nan in the plain version on NumPy
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "case"), PARAMS)
def test_a_backends_kernel_is_the_plain_one(name: str, case: tuple, dtype: str, backend: Target) -> None:
    def native(a: numpy.ndarray) -> Any:
        return backend.array(a, dtype if a.dtype.kind == "f" else a.dtype)

    xp = backend.library.xp
    # where arrays cannot be written, NumPy shows what is meant: the plain put writes into its copy, and JAX compiles
    # each step alone
    reference = backend if backend.library.mutable else Target("cpu")
    given = [_copied(value, lambda a: reference.array(a, dtype if a.dtype.kind == "f" else a.dtype)) for value in case]
    plain = _listed(KERNELS[name](reference.library.xp, *given))
    arguments = [_copied(value, native) for value in case]
    fast = _listed(getattr(xp, name)(*arguments))
    assert len(plain) == len(fast)
    tolerance = {"float64": 1e-12, "float32": 1e-5}[dtype]
    for want, got in zip(plain, fast, strict=True):
        if want is None or isinstance(want, int):
            assert got == want
            continue
        want, got = backend.numpy(want), backend.numpy(got)
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        largest = abs(want[numpy.isfinite(want)]).max(initial=1)  # sums of many are compared with the largest of them
        numpy.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * largest)
    if name not in IN_PLACE:
        for before, after in zip(case, arguments, strict=True):
            if isinstance(before, numpy.ndarray):
                numpy.testing.assert_array_equal(backend.numpy(after), before.astype(backend.numpy(after).dtype))
