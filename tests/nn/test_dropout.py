"""Dropout in training: zeroed elements, the mean, the source of random numbers, bad input."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support.target import Target

ALL: dict[str, tuple[Any, tuple[int, ...]]] = {
    "Dropout": (F.dropout, (2, 3)),
    "Dropout1d": (F.dropout1d, (2, 3, 2)),
    "Dropout2d": (F.dropout2d, (2, 3, 2, 2)),
    "Dropout3d": (F.dropout3d, (2, 3, 2, 1, 2)),
    "AlphaDropout": (F.alpha_dropout, (2, 3)),
    "FeatureAlphaDropout": (F.feature_alpha_dropout, (2, 3, 2)),
}


def test_elements_are_zeroed_or_scaled_and_so_are_gradients(backend: Target) -> None:
    x = backend.variable(numpy.full((40, 50), 3.0), requires_grad=True)
    out = F.dropout(x, 0.2)
    values = backend.numpy(out)
    assert set(values.reshape(-1).round(12)) == {0.0, 3.75}
    assert abs((values == 0).mean() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 2000)  # four standard errors
    out.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), values / 3)
    assert not numpy.array_equal(values, backend.numpy(F.dropout(x, 0.2)))


@pytest.mark.parametrize(
    ("name", "shape"), [(n, s) for n, (_, s) in ALL.items() if n not in ("Dropout", "AlphaDropout")]
)
def test_whole_channels_are_zeroed(name: str, shape: tuple[int, ...], backend: Target) -> None:
    x = backend.variable(numpy.ones((20, 30, *shape[2:])))
    values = backend.numpy(getattr(nn, name)(0.5)(x))
    flat = values.reshape(20, 30, -1)
    assert (flat == flat[..., :1]).all()
    assert len(numpy.unique(flat.round(12))) == 2
    assert 0.4 < (flat[..., 0] == flat.min()).mean() < 0.6  # five standard errors


def test_a_sample_without_batch() -> None:
    for name, shape in (("Dropout1d", (40, 3)), ("Dropout3d", (40, 2, 1, 2))):
        values = getattr(nn, name)(0.5)(rustorch.ones(shape)).data.reshape(40, -1)
        assert (values == values[:, :1]).all()
        assert set(values.reshape(-1)) == {0.0, 2.0}
        x = rustorch.ones(shape)
        out = getattr(nn, name)(0.5, inplace=True)(x)
        assert out is x
        assert set(x.data.reshape(-1)) == {0.0, 2.0}


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = rustorch.randn(200, 300, dtype=rustorch.float64)
    values = F.alpha_dropout(x, 0.3, training=True).data
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    a = 1.7580993408473766
    dropped = -a * 0.7 / math.sqrt((a**2 * 0.3 + 1) * 0.7)  # the limit of SELU, scaled and shifted
    assert (abs(values - dropped) < 1e-12).mean() == pytest.approx(0.3, abs=0.01)  # five standard errors


@pytest.mark.parametrize("name", ALL)
def test_evaluation_returns_the_input_and_function_equals_layer(name: str, backend: Target) -> None:
    function, shape = ALL[name]
    layer = getattr(nn, name)(0.5)
    x = backend.variable(numpy.ones(shape))
    assert layer.eval()(x) is x
    state = rustorch.get_rng_state(backend.device)
    by_layer = backend.numpy(layer.train()(x))
    rustorch.set_rng_state(state, backend.device)
    numpy.testing.assert_array_equal(backend.numpy(function(x, 0.5, training=True)), by_layer)


@pytest.mark.parametrize("name", ALL)
def test_in_place_dropout_returns_its_input(name: str, backend: Target) -> None:
    function, shape = ALL[name]
    leaf = backend.variable(numpy.ones(shape), requires_grad=True)
    x = leaf * 1
    out = function(x, 0.5, training=True, inplace=True)
    assert out is x
    out.sum().backward()
    assert leaf.grad is not None
    with pytest.raises(RuntimeError, match="leaf"):
        function(leaf, 0.5, training=True, inplace=True)


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("name", ALL)
def test_a_bad_probability_raises_and_draws_nothing(name: str, p: float) -> None:
    function, shape = ALL[name]
    before = rustorch.get_rng_state().tolist()
    with pytest.raises(ValueError, match=f"{name}: p is a probability between 0 and 1, not {p}"):
        getattr(nn, name)(p)
    for training in (True, False):
        with pytest.raises(ValueError, match=f"p is a probability between 0 and 1, not {p}"):
            function(rustorch.ones(shape), p, training=training)
    assert rustorch.get_rng_state().tolist() == before


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.dropout(rustorch.ones(3, dtype=rustorch.int64)),
            TypeError,
            "dropout is of floating-point numbers, not of int64",
        ),
        (lambda: F.dropout([1.0]), TypeError, "dropout takes Variables, arrays"),
        (
            lambda: F.dropout1d(rustorch.ones(3)),
            ValueError,
            r"dropout1d: the input has shape \(3,\); it takes 2 or 3 dimensions",
        ),
        (
            lambda: F.dropout2d(rustorch.ones((2, 3))),
            ValueError,
            r"dropout2d: .* it takes \(n, channels, height, width\)",
        ),
        (lambda: F.dropout3d(rustorch.ones((2, 3, 1))), ValueError, "dropout3d: .* it takes 4 or 5 dimensions"),
        (lambda: F.feature_alpha_dropout(rustorch.ones(3), training=True), ValueError, "needs two dimensions at least"),
    ],
)
def test_bad_input_draws_nothing(call: Any, error: type[Exception], message: str) -> None:
    before = rustorch.get_rng_state().tolist()
    with pytest.raises(error, match=message):
        call()
    assert rustorch.get_rng_state().tolist() == before


def test_three_dimensions_of_dropout2d_warn() -> None:
    with pytest.warns(UserWarning, match="use dropout1d"):
        assert F.dropout2d(rustorch.ones((2, 3, 4))).shape == (2, 3, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_dtype_draws_the_same_random_numbers_of_the_device(dtype: str, backend: Target) -> None:
    for p in (0.25, 1 / 3):
        rustorch.manual_seed(6)
        out = F.dropout(backend.variable(numpy.full((7, 9), 3.0), dtype), p)
        rustorch.manual_seed(6)
        u = backend.numpy(rustorch.rand(7, 9, device=backend.device))
        expected = numpy.full((7, 9), 3.0, dtype) * ((u >= numpy.float32(p)) * numpy.dtype(dtype).type(1 / (1 - p)))
        numpy.testing.assert_array_equal(backend.numpy(out), expected)


def test_attention_draws_the_masks_of_dropout(backend: Target) -> None:
    x = backend.variable(numpy.zeros((2, 5, 4)))
    values = backend.variable(numpy.broadcast_to(numpy.eye(5), (2, 5, 5)).copy())
    rustorch.manual_seed(6)
    found = F.scaled_dot_product_attention(x, x, values, dropout_p=0.4)
    rustorch.manual_seed(6)
    expected = F.dropout(backend.variable(numpy.full((2, 5, 5), 0.2)), 0.4)
    numpy.testing.assert_allclose(backend.numpy(found), backend.numpy(expected), rtol=1e-14)
    numpy.testing.assert_array_equal(backend.numpy(F.scaled_dot_product_attention(x, x, values, dropout_p=1.0)), 0)


def test_dropout_needs_two_launches_and_one_for_the_gradient(backend: Target) -> None:
    log = getattr(sys.modules.get("cupy"), "LOG", None)
    if backend.device != "cuda" or log is None:
        pytest.skip(f"{backend.device}: launches are counted on the stand-in for CuPy")
    x = backend.variable(numpy.ones((40, 50)), "float32", requires_grad=True)
    g = backend.array(numpy.ones((40, 50)), "float32")
    log.clear()
    out = F.dropout(x, 0.2)
    assert [tuple(event)[:2] for event in log] == [("launch", "mask"), ("launch", "rustorch_apply_mask")]
    log.clear()
    out.backward(g)
    assert [tuple(event)[:2] for event in log] == [("launch", "rustorch_apply_mask")]
    heads = backend.variable(numpy.ones((2, 3, 4)), "float32")
    log.clear()
    F.scaled_dot_product_attention(heads, heads, heads)
    plain = len(log)
    log.clear()
    F.scaled_dot_product_attention(heads, heads, heads, dropout_p=0.2)
    assert len(log) <= plain + 2  # the mask, and a product with it


# -- draws from classes ------------------------------------------------------------------------------------------------
def test_gumbel_softmax_draws_classes_with_their_probabilities(backend: Target) -> None:
    rustorch.manual_seed(0)
    chances = numpy.array([0.2, 0.7, 0.1])
    logits = backend.variable(numpy.broadcast_to(numpy.log(chances), (4000, 3)).copy(), requires_grad=True)
    out = F.gumbel_softmax(logits, tau=0.5, hard=True)
    drawn = backend.numpy(out)
    assert set(numpy.unique(drawn.round(12))) == {0.0, 1.0}
    numpy.testing.assert_allclose(drawn.mean(axis=0), chances, atol=0.03)
    (out * backend.variable([1.0, 2.0, 3.0])).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(logits.grad).sum(axis=1), 0, atol=1e-10)  # as for every softmax
    assert numpy.abs(backend.numpy(logits.grad)).max() > 0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gumbel_softmax_is_finite_for_extreme_random_numbers(
    dtype: str, backend: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on GPUs, whose float32 has no numbers between 0 and the smallest normal one."""
    u = [0.0, 0.5, 1 - 2.0**-24]
    monkeypatch.setattr(backend.library, "uniform", lambda shape, dtype, device: backend.array([u], dtype))
    logits = numpy.array([0.0, 1.0, -14.0])
    found = backend.numpy(F.gumbel_softmax(backend.variable([logits], dtype)))
    g = -numpy.log(-numpy.log(numpy.clip(u, numpy.finfo("float32").smallest_normal, numpy.float32(1 - 1e-7))))
    expected = numpy.exp(g + logits)
    numpy.testing.assert_allclose(found, [expected / expected.sum()], rtol=1e-4)


def test_gumbel_softmax_is_soft_along_any_dimension(backend: Target) -> None:
    out = F.gumbel_softmax(backend.variable(numpy.zeros((3, 4, 2))), 2.0, dim=1)
    numpy.testing.assert_allclose(backend.numpy(out).sum(axis=1), 1)
    assert out.dtype == "float64"


def test_a_failed_gumbel_softmax_draws_no_random_numbers() -> None:
    before = rustorch.random.get_rng_state("cpu").tolist()
    x = rustorch.zeros((2, 3))
    for call, error, message in (
        (
            lambda: F.gumbel_softmax(x, 0.0),
            ValueError,
            "gumbel_softmax: tau is a divisor and must be positive, not 0.0",
        ),
        (lambda: F.gumbel_softmax(x, dim=2), IndexError, "gumbel_softmax: axis 2 is out of range"),
        (lambda: F.gumbel_softmax(rustorch.tensor([1, 2])), TypeError, "gumbel_softmax is of floating-point numbers"),
        (lambda: F.gumbel_softmax(rustorch.tensor(1.0)), ValueError, "gumbel_softmax: the logits need a dimension"),
    ):
        with pytest.raises(error, match=message):
            call()
    assert rustorch.random.get_rng_state("cpu").tolist() == before
