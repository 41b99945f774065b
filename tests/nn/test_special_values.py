"""Layers with infinite, nan and empty input: left-out elements have no effect, and empty batches pass every layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support.target import Target

INF, NAN = math.inf, math.nan


# -- dropout selects ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [INF, -INF, NAN, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dropped_element_is_0_with_gradient_0_even_if_not_finite(value: float, dtype: str, backend: Target) -> None:
    rustorch.manual_seed(3)
    x = backend.variable(numpy.full((8, 8), value), dtype, requires_grad=True)
    out = F.dropout(x, 0.5)
    found = backend.numpy(out.detach())
    dropped = found == 0
    assert 0 < dropped.sum() < 64
    numpy.testing.assert_array_equal(found[~dropped], 2 * value)
    out.backward(backend.variable(numpy.full((8, 8), INF), dtype))
    numpy.testing.assert_array_equal(backend.numpy(x.grad), numpy.where(dropped, 0.0, INF))


@pytest.mark.parametrize("value", [INF, NAN, 2.0])
def test_a_dropped_channel_is_0_even_if_not_finite(value: float, backend: Target) -> None:
    rustorch.manual_seed(3)
    for function, shape in ((F.dropout1d, (8, 8, 3)), (F.dropout2d, (8, 8, 2, 2)), (F.dropout3d, (8, 8, 2, 2, 1))):
        found = backend.numpy(function(backend.variable(numpy.full(shape, value)), 0.5)).reshape(64, -1)
        dropped = (found == 0).all(axis=1)
        assert 0 < dropped.sum() < 64
        numpy.testing.assert_array_equal(found[~dropped], 2 * value)


@pytest.mark.parametrize("function", [F.alpha_dropout, F.feature_alpha_dropout])
def test_alpha_dropout_drops_to_one_value_even_if_not_finite(function: Callable, backend: Target) -> None:
    found = []
    for value in (0.0, INF, NAN):
        rustorch.manual_seed(3)
        found.append(backend.numpy(function(backend.variable(numpy.full((8, 8), value)), 0.5, True)))
    dropped = numpy.isfinite(found[1])
    assert 0 < dropped.sum() < 64
    for other in found[1:]:
        numpy.testing.assert_array_equal(numpy.isfinite(other), dropped)
        numpy.testing.assert_array_equal(other[dropped], found[0][dropped])


@pytest.mark.parametrize(
    "function",
    [
        F.dropout,
        F.dropout1d,
        lambda x, p: F.alpha_dropout(x, p, True),
        lambda x, p: F.feature_alpha_dropout(x, p, True),
    ],
)
def test_a_probability_of_1_leaves_zeros(function: Callable, backend: Target) -> None:
    x = backend.variable([[INF, NAN], [1.0, -INF]], requires_grad=True)
    out = function(x, 1.0)
    numpy.testing.assert_array_equal(backend.numpy(out.detach()), 0.0)
    out.sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), 0.0)


def test_the_gradient_of_dropout_has_a_gradient(backend: Target) -> None:
    rustorch.manual_seed(3)
    x = backend.variable(numpy.arange(1.0, 9.0), requires_grad=True)
    (first,) = rustorch.grad(rustorch.sum(F.dropout(x, 0.5) ** 3), x, create_graph=True)
    (second,) = rustorch.grad(rustorch.sum(first), x)
    kept = backend.numpy(first.detach()) != 0
    numpy.testing.assert_allclose(backend.numpy(second), numpy.where(kept, 48 * numpy.arange(1.0, 9.0), 0.0))


# -- images ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["linear", "bilinear", "bicubic", "trilinear"])
@pytest.mark.parametrize("align_corners", [True, False])
def test_resizing_to_the_same_size_keeps_infinities(mode: str, align_corners: bool, backend: Target) -> None:
    n = {"linear": 1, "trilinear": 3}.get(mode, 2)
    x = numpy.asarray([1.0, INF, 3.0, NAN, -INF, 1e300, -0.0, 8.0])[: 2**n].reshape(1, 1, *[2] * n)
    out = F.interpolate(backend.variable(x), (2,) * n, mode=mode, align_corners=align_corners)
    numpy.testing.assert_array_equal(backend.numpy(out), x)


@pytest.mark.filterwarnings(
    "ignore:invalid value:RuntimeWarning"
)  # NumPy's, of infinity - infinity between the corners
def test_interpolation_ignores_neighbours_of_weight_0(backend: Target) -> None:
    x = backend.variable([[[1.0, INF, 3.0, NAN, 5.0]]], requires_grad=True)
    out = F.interpolate(x, 9, mode="linear", align_corners=True)
    numpy.testing.assert_array_equal(backend.numpy(out.detach())[0, 0], [1.0, INF, INF, INF, 3.0, NAN, NAN, NAN, 5.0])
    (out[0, 0, 0] + out[0, 0, 4] + out[0, 0, 8]).backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad)[0, 0], [1.0, 0.0, 1.0, 0.0, 1.0])
    corner = F.interpolate(backend.variable([[[[1.0, INF], [NAN, 4.0]]]]), 3, mode="bicubic", align_corners=True)
    numpy.testing.assert_array_equal(backend.numpy(corner)[0, 0, ::2, ::2], [[1.0, INF], [NAN, 4.0]])


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialiasing_spreads_infinity_only_under_the_kernel(mode: str, backend: Target) -> None:
    x = numpy.ones((1, 1, 4, 32))
    x[..., 31] = INF
    x[..., 0] = NAN
    found = backend.numpy(F.interpolate(backend.variable(x), (4, 16), mode=mode, antialias=True))
    numpy.testing.assert_allclose(found[..., 4:12], 1.0)
    assert not numpy.isfinite(found[..., [0, 15]]).any()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's, of infinite places
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding_mode", ["border", "reflection"])
def test_a_nan_place_is_the_first_pixel_as_in_pytorch(mode: str, padding_mode: str, backend: Target) -> None:
    x = backend.variable(numpy.arange(1.0, 10.0).reshape(1, 1, 3, 3), requires_grad=True)
    grid = backend.variable([[[[NAN, 0.0], [0.0, NAN], [NAN, NAN], [-INF, 0.0], [1e30, 0.0]]]], requires_grad=True)
    out = F.grid_sample(x, grid, mode, padding_mode, align_corners=True)
    numpy.testing.assert_array_equal(backend.numpy(out.detach())[0, 0, 0, :4], [4.0, 2.0, 1.0, 4.0])
    if mode == "bilinear":
        out[..., :3].sum().backward()
        numpy.testing.assert_array_equal(backend.numpy(grid.grad)[0, 0], [[0, 3], [1, 0], [0, 0], [0, 0], [0, 0]])


# -- rows of a table ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        ([[3.0, 4.0], [0.0, 0.0]], {"max_norm": 1.0}, [[0.6, 0.8], [0.0, 0.0]]),
        ([[3.0, 4.0], [0.0, 0.0]], {"max_norm": 0.0}, [[0.0, 0.0], [0.0, 0.0]]),
        ([[3.0, 4.0], [INF, 0.0]], {"max_norm": INF}, [[3.0, 4.0], [INF, 0.0]]),
        ([[3e38, 3e38], [1e30, -1e30]], {"max_norm": 1.0}, [[0.5**0.5] * 2, [0.5**0.5, -(0.5**0.5)]]),
        ([[3e38, 1e38], [1e-30, 1e-30]], {"max_norm": 2.0, "norm_type": 1.0}, [[1.5, 0.5], [1e-30, 1e-30]]),
        ([[3.0, -4.0], [1.0, 0.5]], {"max_norm": 2.0, "norm_type": INF}, [[1.5, -2.0], [1.0, 0.5]]),
        ([[INF, 1.0], [NAN, 2.0]], {"max_norm": 1.0}, [[NAN, 0.0], [NAN, 2.0]]),
    ],
)
def test_rows_are_scaled_down_without_overflow(
    rows: list, options: dict[str, Any], expected: list, backend: Target
) -> None:
    table, indices = backend.variable(rows, "float32"), backend.variable([0, 1], "int64")
    out = F.embedding(indices, table, **options)
    numpy.testing.assert_allclose(backend.numpy(out), numpy.asarray(expected, "float32"), rtol=3e-6)
    numpy.testing.assert_array_equal(backend.numpy(table), backend.numpy(out))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_bag_ignores_its_padding_even_if_not_finite(mode: str, backend: Target) -> None:
    for value in (INF, NAN):
        table = backend.variable([[1.0, 2.0], [value, -value]], requires_grad=True)
        options: dict[str, Any] = {"mode": mode, "padding_idx": 1}
        if mode == "sum":
            options["per_sample_weights"] = backend.variable([[1.0, 0.0]], requires_grad=True)
        out = F.embedding_bag(backend.variable([[0, 1]], "int64"), table, **options)
        numpy.testing.assert_array_equal(backend.numpy(out.detach()), [[1.0, 2.0]])
        out.sum().backward()
        numpy.testing.assert_array_equal(backend.numpy(table.grad), [[1.0, 1.0], [0.0, 0.0]])
        if mode == "sum":
            numpy.testing.assert_array_equal(backend.numpy(options["per_sample_weights"].grad), [[3.0, 0.0]])


# -- nothing -----------------------------------------------------------------------------------------------------------
#: A layer, the shapes of its inputs, and the shape of its output.
EMPTY: list[tuple[Callable[[], nn.Module], list[tuple[int, ...]], tuple[int, ...]]] = [
    (lambda: nn.Linear(3, 2), [(0, 3)], (0, 2)),
    (lambda: nn.Linear(3, 2), [(2, 0, 3)], (2, 0, 2)),
    (lambda: nn.Linear(3, 0), [(2, 3)], (2, 0)),
    (lambda: nn.Bilinear(3, 3, 2), [(0, 3), (0, 3)], (0, 2)),
    (lambda: nn.Conv1d(3, 2, 2), [(0, 3, 5)], (0, 2, 4)),
    (lambda: nn.Conv2d(3, 2, 2, padding=1, padding_mode="reflect"), [(0, 3, 5, 5)], (0, 2, 6, 6)),
    (lambda: nn.Conv3d(3, 2, 2), [(0, 3, 5, 5, 5)], (0, 2, 4, 4, 4)),
    (lambda: nn.ConvTranspose1d(3, 2, 2), [(0, 3, 5)], (0, 2, 6)),
    (lambda: nn.ConvTranspose2d(3, 2, 2), [(0, 3, 5, 5)], (0, 2, 6, 6)),
    (lambda: nn.RNN(3, 4), [(5, 0, 3)], (5, 0, 4)),
    (lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True), [(5, 0, 3)], (5, 0, 8)),
    (lambda: nn.LSTM(3, 4, proj_size=2), [(5, 0, 3)], (5, 0, 2)),
    (lambda: nn.GRU(3, 4, batch_first=True), [(0, 5, 3)], (0, 5, 4)),
    (lambda: nn.RNNCell(3, 4), [(0, 3)], (0, 4)),
    (lambda: nn.LSTMCell(3, 4), [(0, 3)], (0, 4)),
    (lambda: nn.GRUCell(3, 4), [(0, 3)], (0, 4)),
    (lambda: nn.TransformerEncoderLayer(4, 2, 8), [(3, 0, 4)], (3, 0, 4)),
    (lambda: nn.TransformerDecoderLayer(4, 2, 8), [(3, 0, 4), (2, 0, 4)], (3, 0, 4)),
    (lambda: nn.Dropout(), [(0,)], (0,)),
    (lambda: nn.Dropout(), [(2, 0)], (2, 0)),
    (lambda: nn.Dropout1d(), [(0, 3, 4)], (0, 3, 4)),
    (lambda: nn.Dropout2d(), [(0, 3, 2, 2)], (0, 3, 2, 2)),
    (lambda: nn.AlphaDropout(), [(0, 3)], (0, 3)),
    (lambda: nn.ConstantPad1d(1, 2.0), [(0, 3, 2)], (0, 3, 4)),
    (lambda: nn.ConstantPad1d(1, 2.0), [(2, 3, 0)], (2, 3, 2)),
    (lambda: nn.ReflectionPad1d(1), [(0, 3, 2)], (0, 3, 4)),
    (lambda: nn.ReplicationPad2d(1), [(0, 3, 2, 2)], (0, 3, 4, 4)),
    (lambda: nn.CircularPad1d(1), [(0, 3, 2)], (0, 3, 4)),
    (lambda: nn.Upsample(3), [(0, 3, 2)], (0, 3, 3)),
    (lambda: nn.Upsample(3, mode="bicubic"), [(0, 3, 2, 2)], (0, 3, 3, 3)),
    (lambda: nn.PixelShuffle(2), [(0, 4, 2, 2)], (0, 1, 4, 4)),
    (lambda: nn.Unfold(2), [(0, 3, 4, 4)], (0, 12, 9)),
    (lambda: nn.Fold(3, 2), [(0, 4, 4)], (0, 1, 3, 3)),
    (lambda: nn.Flatten(), [(0, 3, 2)], (0, 6)),
]


@pytest.mark.parametrize(("make", "shapes", "expected"), EMPTY)
def test_an_empty_batch_goes_through(make: Callable, shapes: list, expected: tuple, backend: Target) -> None:
    layer = make().to(device=backend.device)
    inputs = [backend.variable(numpy.zeros(shape), "float32", requires_grad=True) for shape in shapes]
    out = layer(*inputs)
    out = out[0] if isinstance(out, tuple) else out
    assert (out.shape, out.dtype) == (expected, rustorch.float32)
    out.sum().backward()
    for x in inputs:
        assert x.grad.shape == x.shape
    for parameter in layer.parameters():
        assert parameter.grad is None or not backend.numpy(parameter.grad).any() or not out.size


@pytest.mark.parametrize("make", [lambda: nn.RNN(3, 4), lambda: nn.LSTM(3, 4), lambda: nn.GRU(3, 4)])
def test_a_sequence_without_steps_raises(make: Callable, backend: Target) -> None:
    with pytest.raises(ValueError, match="a sequence needs at least one step"):
        make().to(device=backend.device)(backend.variable(numpy.zeros((0, 2, 3)), "float32"))


def test_embedding_of_no_indices_and_of_one_index(backend: Target) -> None:
    layer = nn.Embedding(4, 3, padding_idx=0, max_norm=1.0, device=backend.device)
    for shape in ((0,), (2, 0), ()):
        out = layer(backend.variable(numpy.ones(shape), "int64"))
        assert out.shape == (*shape, 3)
        out.sum().backward()
    for mode in ("sum", "mean", "max"):
        indices, offsets = backend.variable([], "int64"), backend.variable([0, 0], "int64")
        out = F.embedding_bag(indices, backend.variable(numpy.ones((4, 3))), offsets, mode=mode)
        numpy.testing.assert_array_equal(backend.numpy(out), numpy.zeros((2, 3)))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(("queries", "keys", "batch"), [(0, 3, 2), (3, 0, 2), (0, 0, 2), (3, 2, 0)])
def test_attention_of_empty_queries_or_keys(
    queries: int, keys: int, batch: int, need_weights: bool, backend: Target
) -> None:
    layer = nn.MultiheadAttention(4, 2, device=backend.device)
    query = backend.variable(numpy.ones((queries, batch, 4)), "float32", requires_grad=True)
    key = backend.variable(numpy.ones((keys, batch, 4)), "float32")
    out, weights = layer(query, key, key, need_weights=need_weights)
    numpy.testing.assert_array_equal(backend.numpy(out.detach()) * (not keys), numpy.zeros((queries, batch, 4)))
    assert (weights.shape if need_weights else weights) == ((batch, queries, keys) if need_weights else None)
    out.sum().backward()
    assert query.grad.shape == query.shape
