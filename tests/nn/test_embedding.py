"""Embeddings beyond the parity table: padding, second derivatives, given tables, bad input."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support import differences
from tests.support.errors import Bad, check_error
from tests.support.target import Target

CPU = Target("cpu")

I = numpy.array  # noqa: E741 - indices
ROWS = I([[0, 2], [2, 1]])


@pytest.mark.parametrize(
    "call",
    [
        lambda w: F.embedding(ROWS, w),
        lambda w: F.embedding_bag(ROWS, w * w),
        lambda w: F.embedding_bag(I([0, 2, 2, 1]), w * w, I([0, 1, 1]), mode="max", padding_idx=0),
    ],
)
def test_derivatives_of_first_and_second_order(call: Any, rng: numpy.random.Generator) -> None:
    differences.check(call, [rng.standard_normal((3, 2))], Target("cpu"), order=2)


def test_the_padding_row_is_zeros_and_does_not_change(backend: Target) -> None:
    layer = nn.Embedding(4, 2, padding_idx=-1, device=backend.device)
    assert layer.padding_idx == 3
    assert layer.weight[3].tolist() == [0.0, 0.0]
    layer(backend.variable([3, 1, 3], "int64")).sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(layer.weight.grad), [[0, 0], [1, 1], [0, 0], [0, 0]])


def test_scale_grad_by_freq_divides_the_gradients(backend: Target) -> None:
    w = backend.variable(numpy.ones((3, 1)), requires_grad=True)
    F.embedding(backend.variable(ROWS, "int64"), w, padding_idx=1, scale_grad_by_freq=True).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(w.grad), [[1], [0], [1]], rtol=1e-12)


def test_scale_grad_by_freq_divides_the_gradients_of_a_bag(backend: Target) -> None:
    w = backend.variable(numpy.ones((3, 1)), requires_grad=True)
    F.embedding_bag(
        backend.variable([0, 2, 2, 2], "int64"),
        w,
        backend.variable([0, 2], "int64"),
        mode="sum",
        scale_grad_by_freq=True,
    ).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(w.grad), [[1], [0], [1]], rtol=1e-12)


def test_empty_bags_and_no_indices_give_zeros(backend: Target) -> None:
    none = backend.variable(numpy.zeros(0), "int64")
    for mode in ("sum", "mean", "max"):
        w = backend.variable(numpy.ones((3, 2)), requires_grad=True)
        out = F.embedding_bag(none, w, backend.variable([0, 0], "int64"), mode=mode)
        assert out.tolist() == [[0.0, 0.0], [0.0, 0.0]]
        out.sum().backward()
        assert not backend.numpy(w.grad).any()
        assert F.embedding_bag(none, w, none, mode=mode).shape == (0, 2)
    assert F.embedding(none, w).shape == (0, 2)


def test_long_rows_are_scaled_down_in_place_if_their_index_is_used(backend: Target) -> None:
    layer = nn.Embedding(3, 2, max_norm=1.0, device=backend.device, dtype=rustorch.float64)
    nn.init.constant_(layer.weight, 3.0)
    weight = layer.weight
    layer(backend.variable([0, 2], "int64")).sum().backward()
    assert layer.weight is weight
    norms = numpy.linalg.norm(backend.numpy(weight), axis=1)
    numpy.testing.assert_allclose(norms, [1, 18**0.5, 1], rtol=1e-6)
    assert weight.requires_grad
    assert weight.is_leaf


def test_from_pretrained_takes_a_table(backend: Target) -> None:
    table = backend.variable(numpy.arange(6.0).reshape(3, 2))
    for cls in (nn.Embedding, nn.EmbeddingBag):
        layer = cls.from_pretrained(table, padding_idx=0)
        assert (layer.num_embeddings, layer.embedding_dim, layer.padding_idx) == (3, 2, 0)
        assert layer.weight.data is table.data
        assert not layer.weight.requires_grad
        assert cls.from_pretrained(table, freeze=False).weight.requires_grad
        with pytest.raises(ValueError, match=f"{cls.__name__}.from_pretrained: embeddings are \\(rows, features\\)"):
            cls.from_pretrained(table[0])


def test_indices_may_have_any_integer_dtype() -> None:
    for dtype in ("int32", "uint8", "int64"):
        assert nn.Embedding(4, 2)(numpy.array([1, 3], dtype)).shape == (2, 2)


W = rustorch.ones((3, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Embedding(3, 2)(I([0, 3])), IndexError, "embedding: index 3 is out of range for a table of 3 rows"),
        (lambda: nn.Embedding(3, 2)(I([0, -1])), IndexError, "embedding: index -1 is out of range"),
        (lambda: nn.Embedding(3, 2)(I([0.0])), TypeError, "embedding: indices are integers, not float64"),
        (lambda: nn.Embedding(-1, 2), ValueError, "Embedding: num_embeddings is a number that is not negative, not -1"),
        (
            lambda: nn.Embedding(3, 2, padding_idx=3),
            ValueError,
            "Embedding: padding_idx is a row of a table of 3, from -3 to 2, not 3",
        ),
        (lambda: nn.Embedding(3, 2, sparse=True), ValueError, "Embedding: sparse=True is not offered"),
        (
            lambda: nn.Embedding(3, 2, _weight=rustorch.ones((2, 2))),
            ValueError,
            r"Embedding: the weight has shape \(2, 2\), not \(3, 2\)",
        ),
        (lambda: F.embedding(I([0]), W[0]), ValueError, r"the weight has shape \(2,\); it is \(rows, features\)"),
        (lambda: F.embedding(I([0]), W, sparse=True), ValueError, "embedding: sparse=True is not offered"),
        (lambda: F.embedding(I([0]), numpy.ones((3, 2)), max_norm=1.0), TypeError, "the weight is changed in place"),
        (
            lambda: nn.EmbeddingBag(3, 2, mode="min"),
            ValueError,
            "EmbeddingBag: mode is 'sum', 'mean' or 'max', not 'min'",
        ),
        (lambda: F.embedding_bag(I([0]), W, I([0]), mode="x"), ValueError, "embedding_bag: mode is"),
        (lambda: nn.EmbeddingBag(3, 2)(I([0])), ValueError, "an input of one dimension needs offsets"),
        (lambda: nn.EmbeddingBag(3, 2)(I([[0]]), I([0])), ValueError, "it takes no offsets"),
        (
            lambda: nn.EmbeddingBag(3, 2)(I([[[0]]])),
            ValueError,
            r"the input has shape \(1, 1, 1\); it is \(bags, size\)",
        ),
        (
            lambda: nn.EmbeddingBag(3, 2)(I([0, 1]), I([1])),
            ValueError,
            r"offsets rise from 0 to at most the 2 indices; these are \[1\]",
        ),
        (lambda: nn.EmbeddingBag(3, 2)(I([0, 1]), I([0, 3])), ValueError, "offsets rise from 0"),
        (lambda: nn.EmbeddingBag(3, 2)(I([0, 1]), I([0, 2, 1])), ValueError, "offsets rise from 0"),
        (
            lambda: nn.EmbeddingBag(3, 2, include_last_offset=True)(I([0, 1]), I([0, 1])),
            ValueError,
            "the number of indices, 2, not 1",
        ),
        (lambda: nn.EmbeddingBag(3, 2)(I([0, 1]), I([[0]])), ValueError, r"offsets have shape \(bags,\), not \(1, 1\)"),
        (
            lambda: nn.EmbeddingBag(3, 2)(I([[0]]), None, I([[1.0]])),
            ValueError,
            "per_sample_weights are for mode='sum', not 'mean'",
        ),
        (
            lambda: F.embedding_bag(I([[0]]), W, mode="sum", per_sample_weights=W),
            ValueError,
            r"have the input's shape \(1, 1\)",
        ),
        (
            lambda: F.embedding_bag(I([[0]]), W, mode="max", scale_grad_by_freq=True),
            ValueError,
            "no meaning for mode='max'",
        ),
        (lambda: nn.EmbeddingBag(3, 2)(I([[3]])), IndexError, "embedding_bag: index 3 is out of range"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_failed_call_scales_no_row() -> None:
    layer = nn.Embedding(3, 2, max_norm=0.1)
    before = layer.weight.tolist()
    with pytest.raises(IndexError):
        layer(I([0, 5]))
    assert layer.weight.tolist() == before


def test_embedding_and_normalization_compile_under_jax(
    request: pytest.FixtureRequest, rng: numpy.random.Generator
) -> None:
    chosen = request.config.getoption("--backend")
    if chosen and "jax" not in chosen:
        pytest.skip("jax was not chosen")
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    rustorch.backends.resolve("jax")

    def gradient(w: Any, rows: Any, offsets: Any) -> Any:
        v = rustorch.Variable(w, requires_grad=True)
        bags = [F.embedding_bag(rows, v, offsets, mode=mode, padding_idx=1).sum() for mode in ("mean", "max")]
        normal = F.layer_norm(F.embedding(rows, v, padding_idx=0), 4) ** 3
        (bags[0] + bags[1] + normal.sum() + (F.batch_norm(v, None, None, training=True) ** 3).sum()).backward()
        return v.grad

    given = [jax.numpy.asarray(x) for x in (rng.standard_normal((5, 4)), I([1, 2, 0, 3]), I([0, 2]))]
    numpy.testing.assert_allclose(jax.jit(gradient)(*given), gradient(*given), rtol=1e-10, atol=1e-10)


# -- one_hot -----------------------------------------------------------------------------------------------------------
def test_one_hot(backend: Target) -> None:
    x = backend.variable([[0, 2], [1, 1]], "int64")
    for options in ({}, {"num_classes": 5}):
        out = F.one_hot(x, **options)
        classes = options.get("num_classes", 3)
        assert out.dtype == "int64"
        numpy.testing.assert_array_equal(backend.numpy(out), numpy.eye(classes)[[[0, 2], [1, 1]]])
    assert F.one_hot(x[:0], 3).shape == (0, 2, 3)


ONE_HOT_BAD: dict[str, Bad] = {
    "floats": (lambda: F.one_hot(CPU.variable([1.0])), TypeError, "one_hot: indices are integers, not float64"),
    "negative": (
        lambda: F.one_hot(CPU.variable([-1, 0], "int64")),
        IndexError,
        "one_hot: index -1 is out of range for 1 classes",
    ),
    "large": (
        lambda: F.one_hot(CPU.variable([3], "int64"), 3),
        IndexError,
        "one_hot: index 3 is out of range for 3 classes",
    ),
    "none": (
        lambda: F.one_hot(CPU.variable([], "int64")),
        ValueError,
        "one_hot: the number of classes does not follow",
    ),
    "classes": (
        lambda: F.one_hot(CPU.variable([0], "int64"), 0),
        ValueError,
        "one_hot: num_classes is at least 1, or -1, not 0",
    ),
}


@pytest.mark.parametrize("name", ONE_HOT_BAD)
def test_one_hot_refuses_bad_input(name: str) -> None:
    check_error(ONE_HOT_BAD[name])
