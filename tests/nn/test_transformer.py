"""Transformers: copies of layers, masks, derivatives, initial values and bad input."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.support.differences import check
from tests.support.target import Target

SMALL: dict[str, Any] = {"dim_feedforward": 3, "dropout": 0.0, "dtype": rustorch.float64}


def test_first_and_second_derivatives_of_an_encoder_layer(rng: numpy.random.Generator) -> None:
    layer = nn.TransformerEncoderLayer(2, 1, norm_first=True, activation="gelu", **SMALL)
    check(layer, [rng.standard_normal((2, 1, 2))], Target("cpu"), order=2)


def test_an_encoder_holds_copies_of_the_layer(rng: numpy.random.Generator) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, **SMALL)
    stack = nn.TransformerEncoder(layer, 2)
    first, second = stack.layers
    assert first is not layer
    assert first.linear1.weight is not second.linear1.weight
    x = rustorch.Variable(rng.standard_normal((3, 2, 4)))
    before = layer(x)
    assert rustorch.all(stack(x) == layer(before))
    with rustorch.no_grad():
        first.linear1.weight[...] = 0.0
    assert rustorch.all(layer(x) == before)
    assert rustorch.all(second(x) == before)


def test_the_causal_mask_is_infinite_above_the_diagonal(backend: Target) -> None:
    mask = nn.Transformer.generate_square_subsequent_mask(3, device=backend.device, dtype=rustorch.float64)
    assert (mask.device, mask.dtype) == (backend.device, rustorch.float64)
    numpy.testing.assert_array_equal(backend.numpy(mask), numpy.triu(numpy.full((3, 3), -numpy.inf), 1))


def test_the_causal_mask_hides_later_positions(rng: numpy.random.Generator) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, **SMALL)
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    x = rng.standard_normal((3, 1, 4))
    y = x.copy()
    y[2] *= -1
    one, other = (layer(rustorch.Variable(a), mask, is_causal=True).data for a in (x, y))
    numpy.testing.assert_allclose(one[:2], other[:2], rtol=1e-12)
    assert not numpy.allclose(one[2], other[2])


def test_an_activation_can_be_any_function() -> None:
    x = rustorch.ones((2, 1, 4), dtype=rustorch.float64)
    layer = nn.TransformerEncoderLayer(4, 2, activation=nn.ReLU(), **SMALL)
    named = nn.TransformerEncoderLayer(4, 2, activation="relu", **SMALL)
    named.load_state_dict(layer.state_dict())
    assert rustorch.all(layer(x) == named(x))
    named.activation = lambda x: x * 0
    assert not rustorch.all(layer(x) == named(x))


def test_dropout_applies_only_in_training() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.5)
    x = rustorch.ones((3, 2, 8))
    assert not rustorch.all(model(x, x) == model(x, x))
    model.eval()
    assert rustorch.all(model(x, x) == model(x, x))


def test_initial_values_are_in_pytorchs_range() -> None:
    model = nn.Transformer(32, 2, 1, 1, 64)
    bound = (6 / (32 + 64)) ** 0.5
    for layer in (model.encoder.layers[0].linear1, model.decoder.layers[0].linear2):
        assert bound * 0.95 < abs(layer.weight.data).max() <= bound * (1 + 1e-6)
    assert not model.encoder.layers[0].self_attn.in_proj_bias.data.any()


def test_a_custom_encoder_is_used() -> None:
    class Encoder(nn.Module):
        def forward(self, src: Any, **masks: Any) -> Any:
            return src * 2

    encoder = Encoder()
    model = nn.Transformer(4, 2, 1, 1, 3, custom_encoder=encoder)
    assert model.encoder is encoder
    assert model(rustorch.ones((2, 1, 4)), rustorch.ones((2, 1, 4))).shape == (2, 1, 4)


def _v(*shape: int) -> rustorch.Variable:
    return rustorch.zeros(shape)


_tiny = (4, 2, 1, 1, 3)
BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: nn.TransformerEncoderLayer(4, 3),
        ValueError,
        "MultiheadAttention: 4 features cannot be divided among 3 heads",
    ),
    (
        lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"),
        ValueError,
        "TransformerEncoderLayer: activation is 'relu', 'gelu' or a function, not 'tanh'",
    ),
    (
        lambda: nn.TransformerDecoderLayer(4, 2, activation=3),
        TypeError,
        "TransformerDecoderLayer: activation is 'relu', 'gelu' or a function, not 3",
    ),
    (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 3), -1),
        ValueError,
        "TransformerEncoder: num_layers is a number of layers, not -1",
    ),
    (
        lambda: nn.Transformer(*_tiny)(_v(3, 2, 4), _v(3, 1, 4)),
        ValueError,
        "Transformer: src (3, 2, 4) and tgt (3, 1, 4) are batches of different sizes",
    ),
    (
        lambda: nn.Transformer(*_tiny)(_v(3, 2, 5), _v(3, 2, 5)),
        ValueError,
        "Transformer: src (3, 2, 5) and tgt (3, 2, 5) need 4 features",
    ),
    (
        lambda: nn.Transformer(*_tiny)(_v(3, 2, 4), _v(5, 2, 4), tgt_mask=_v(3, 3)),
        ValueError,
        "MultiheadAttention: attn_mask is",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD, ids=[text[:40] for _, _, text in BAD])
def test_bad_input_raises_and_names_the_layer(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match="^" + re.escape(text)):
        call()
