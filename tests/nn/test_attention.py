"""Attention: its formula, PyTorch's values, derivatives of first and second order, bad input."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.support.differences import check
from tests.support.target import Target

SEEN = numpy.asarray([[True, False, True], [False, False, False]])


def _drawn(rng: numpy.random.Generator, *shapes: tuple[int, ...]) -> list[numpy.ndarray]:
    return [rng.uniform(-1, 1, shape) for shape in shapes]


def test_attention_computes_its_formula(backend: Target, rng: numpy.random.Generator) -> None:
    q, k, v, mask = _drawn(rng, (2, 2, 3), (2, 4, 3), (2, 4, 5), (2, 4))
    out = F.scaled_dot_product_attention(*[backend.variable(x) for x in (q, k, v, mask)], scale=0.7)
    weights = numpy.exp(0.7 * q @ k.swapaxes(1, 2) + mask)
    expected = weights / weights.sum(axis=-1, keepdims=True) @ v
    numpy.testing.assert_allclose(backend.numpy(out), expected, rtol=1e-12)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"is_causal": True},
    {"scale": 0.3},
    {"attn_mask": SEEN},
    {"attn_mask": numpy.linspace(-1, 1, 12).reshape(2, 1, 2, 3)},
    {"enable_gqa": True},
    {"dropout_p": 1.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=[" ".join(options) for options in OPTIONS])
def test_values_and_gradients_equal_pytorchs(options: dict[str, Any], rng: numpy.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    heads = 2 if "enable_gqa" in options else 4
    arrays = _drawn(rng, (2, 4, 2, 4), (2, heads, 3, 4), (2, heads, 3, 5))
    g = rng.normal(size=(2, 4, 2, 5))

    def run(new: Callable[..., Any], function: Callable[..., Any]) -> list[Any]:
        leaves = [new(x) for x in arrays]
        for leaf in leaves:
            leaf.requires_grad_()
        out = function(*leaves, **{key: new(x) if isinstance(x, numpy.ndarray) else x for key, x in options.items()})
        (out * new(g)).sum().backward()
        return [out.detach(), *(leaf.grad for leaf in leaves)]

    theirs = run(torch.tensor, torch.nn.functional.scaled_dot_product_attention)
    ours = run(rustorch.Variable, F.scaled_dot_product_attention)
    for have, want in zip(ours, theirs, strict=True):
        numpy.testing.assert_allclose(numpy.asarray(have), want.numpy(), rtol=1e-9, atol=1e-12)


KEPT = numpy.asarray([[2.0, 0.0], [2.0, 2.0]])


def _hidden(like: Any) -> Any:
    return rustorch.asarray([[0.0, -numpy.inf], [-numpy.inf, -numpy.inf]], dtype=like.dtype, device=like.device)


PRIMITIVES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "plain": (
        lambda q, k, v: network.attention(q, k, v, None, None, 0.5, False, False),
        [(1, 2, 2), (1, 3, 2), (1, 3, 1)],
    ),
    "added": (
        lambda q, k, v, m: network.attention(q, k, v, m, None, 0.5, False, True),
        [(2, 1, 2), (2, 2, 2), (2, 2, 1), (1, 2)],
    ),
    "causal": (
        lambda q, k, v: network.attention(q, k, v, None, None, 0.5, True, False),
        [(1, 3, 2), (1, 2, 2), (1, 2, 1)],
    ),
    "hidden": (
        lambda q, k, v: network.attention(q, k, v, _hidden(q), None, 0.5, False, False),
        [(2, 2), (2, 2), (2, 1)],
    ),
    "dropped": (
        lambda q, k, v: network.attention(
            q, k, v, None, rustorch.asarray(KEPT, dtype=q.dtype, device=q.device), 0.5, False, False
        ),
        [(2, 2), (2, 2), (2, 1)],
    ),
}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_gradients_of_first_and_second_order(name: str, backend: Target, rng: numpy.random.Generator) -> None:
    call, shapes = PRIMITIVES[name]
    check(call, _drawn(rng, *shapes), backend, order=2)


def test_leading_dimensions_broadcast(rng: numpy.random.Generator) -> None:
    q, k, v = _drawn(rng, (2, 1, 2, 3), (4, 2, 3), (2, 4, 2, 1))
    out = F.scaled_dot_product_attention(q, k, v)
    full = F.scaled_dot_product_attention(numpy.broadcast_to(q, (2, 4, 2, 3)), numpy.broadcast_to(k, (2, 4, 2, 3)), v)
    numpy.testing.assert_allclose(out.data, full.data, rtol=1e-12)
    check(lambda *xs: F.scaled_dot_product_attention(*xs), [q[:, :, :1], k[:2], v[:, :2]], Target("cpu"))


def test_a_query_that_sees_no_key_gives_zeros(backend: Target) -> None:
    x = backend.variable(numpy.ones((2, 3)), requires_grad=True)
    out = F.scaled_dot_product_attention(
        x, x, x, backend.variable(numpy.asarray([[True, True], [False, False]]), "bool")
    )
    out.sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(out), [[1, 1, 1], [0, 0, 0]])
    assert numpy.isfinite(backend.numpy(x.grad)).all()
    none = F.scaled_dot_product_attention(x, x[:0, :], x[:0, :])
    numpy.testing.assert_array_equal(backend.numpy(none), numpy.zeros((2, 3)))


def test_need_weights_does_not_change_the_output(rng: numpy.random.Generator) -> None:
    layer = nn.MultiheadAttention(4, 2, dtype=rustorch.float64)
    x = rustorch.Variable(rng.standard_normal((3, 2, 4)))
    shown, weights = layer(x, x, x)
    hidden, nothing = layer(x, x, x, need_weights=False)
    assert nothing is None
    numpy.testing.assert_allclose(shown.data, hidden.data, rtol=1e-12)
    numpy.testing.assert_allclose(weights.data.sum(axis=-1), numpy.ones((2, 3)), rtol=1e-12)


def test_dropout_of_weights_applies_only_in_training(rng: numpy.random.Generator) -> None:
    layer = nn.MultiheadAttention(4, 2, dropout=0.5, dtype=rustorch.float64)
    x = rustorch.Variable(rng.standard_normal((5, 2, 4)))
    for options in ({"need_weights": False}, {}):
        layer.train()
        assert not rustorch.all(layer(x, x, x, **options)[0] == layer(x, x, x, **options)[0])
        layer.eval()
        assert rustorch.all(layer(x, x, x, **options)[0] == layer(x, x, x, **options)[0])


def test_projections_have_pytorchs_initial_distribution() -> None:
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = (6 / (64 + 192)) ** 0.5
    assert bound * 0.98 < abs(layer.in_proj_weight.data).max() <= bound * (1 + 1e-6)
    assert not layer.in_proj_bias.data.any()
    assert not layer.out_proj.bias.data.any()
    assert layer.bias_k.data.any()


# -- bad input ---------------------------------------------------------------------------------------------------------
def _v(*shape: int, dtype: str = "float32") -> rustorch.Variable:
    return rustorch.zeros(shape, dtype=dtype)


_sdpa = F.scaled_dot_product_attention


def _mha(q: rustorch.Variable, k: rustorch.Variable, **options: Any) -> Any:
    return nn.MultiheadAttention(4, 2)(q, k, k, **options)


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: _sdpa(_v(2, 3), _v(2, 4), _v(2, 4)),
        ValueError,
        "scaled_dot_product_attention needs query (..., queries, size), key (..., keys, size) and value (..., keys, "
        "values); got query (2, 3), key (2, 4), value (2, 4)",
    ),
    (
        lambda: _sdpa(_v(2, 2, 3), _v(3, 2, 3), _v(3, 2, 3)),
        ValueError,
        "scaled_dot_product_attention: the leading dimensions do not broadcast",
    ),
    (
        lambda: _sdpa(_v(2, 3), _v(4, 3), _v(4, 3), _v(2, 3)),
        ValueError,
        "scaled_dot_product_attention: attn_mask has shape (2, 3), which does not broadcast to the scores' (2, 4)",
    ),
    (
        lambda: _sdpa(_v(2, 3), _v(4, 3), _v(4, 3), _v(2, 4, dtype="int64")),
        TypeError,
        "scaled_dot_product_attention: attn_mask is of bools or of floating-point numbers, not of int64",
    ),
    (
        lambda: _sdpa(_v(2, 3), _v(4, 3), _v(4, 3), _v(2, 4), is_causal=True),
        ValueError,
        "scaled_dot_product_attention: is_causal excludes attn_mask; add a causal mask to attn_mask instead",
    ),
    (
        lambda: _sdpa(_v(3, 2, 3), _v(2, 2, 3), _v(2, 2, 3), enable_gqa=True),
        ValueError,
        "scaled_dot_product_attention: with enable_gqa the heads are",
    ),
    (
        lambda: _sdpa(_v(2, 3), _v(2, 3), _v(2, 3), dropout_p=1.5),
        ValueError,
        "scaled_dot_product_attention: p is a probability between 0 and 1, not 1.5",
    ),
    (
        lambda: _sdpa(_v(2, 3, dtype="int64"), _v(2, 3), _v(2, 3)),
        TypeError,
        "scaled_dot_product_attention is of floating-point numbers",
    ),
    (lambda: nn.MultiheadAttention(6, 4), ValueError, "MultiheadAttention: 6 features cannot be divided among 4 heads"),
    (lambda: nn.MultiheadAttention(4, 0), ValueError, "MultiheadAttention: num_heads is a positive integer, not 0"),
    (
        lambda: nn.MultiheadAttention(4, 2, dropout=2),
        ValueError,
        "MultiheadAttention: dropout is a share in [0, 1], not 2",
    ),
    (
        lambda: _mha(_v(3, 2, 5), _v(3, 2, 4)),
        ValueError,
        "MultiheadAttention: the query has 4 features; got the shape (3, 2, 5)",
    ),
    (
        lambda: nn.MultiheadAttention(4, 2, kdim=3)(_v(2, 4), _v(2, 4), _v(2, 4)),
        ValueError,
        "MultiheadAttention: the key has 3 features; got the shape (2, 4)",
    ),
    (
        lambda: _mha(_v(3, 2, 4), _v(3, 4)),
        ValueError,
        "MultiheadAttention: query, key and value have three dimensions, or two without batch; got (3, 2, 4), (3, 4), "
        "(3, 4)",
    ),
    (
        lambda: _mha(_v(3, 2, 4), _v(3, 1, 4)),
        ValueError,
        "MultiheadAttention: query (3, 2, 4) and key (3, 1, 4) differ in the size of the batch",
    ),
    (
        lambda: nn.MultiheadAttention(4, 2)(_v(3, 2, 4), _v(3, 2, 4), _v(5, 2, 4)),
        ValueError,
        "MultiheadAttention: there is a value for each key; got key (3, 2, 4) and value (5, 2, 4)",
    ),
    (
        lambda: _mha(_v(3, 2, 4), _v(5, 2, 4), attn_mask=_v(5, 3)),
        ValueError,
        "MultiheadAttention: attn_mask is (queries, keys), (3, 5), or (batch * heads, queries, keys), (4, 3, 5); got "
        "(5, 3)",
    ),
    (
        lambda: _mha(_v(3, 2, 4), _v(5, 2, 4), key_padding_mask=_v(5, 2, dtype="bool")),
        ValueError,
        "MultiheadAttention: key_padding_mask is (batch, keys), (2, 5); got (5, 2)",
    ),
    (
        lambda: _mha(_v(3, 4), _v(5, 4), key_padding_mask=_v(1, 5)),
        ValueError,
        "MultiheadAttention: key_padding_mask is (keys,), (5,); got (1, 5)",
    ),
    (
        lambda: _mha(_v(3, 4), _v(3, 4), is_causal=True),
        ValueError,
        "MultiheadAttention: is_causal promises that attn_mask is a causal mask; give this attn_mask, too",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD, ids=[f"{i}-{text[:40]}" for i, (_, _, text) in enumerate(BAD)])
def test_errors_name_the_bad_argument(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match="^" + re.escape(text)):
        call()
