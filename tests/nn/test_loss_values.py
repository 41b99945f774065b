"""Losses and distances at the ends of the range: no overflow, underflow or cancellation, also in second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.nn import functional as F
from tests.support.target import Target

INF = numpy.inf


def _orders(loss: Callable[..., Any], x: float, dtype: str, backend: Target) -> list[float]:
    """Value, first and second derivative at a number."""
    at = backend.variable([x], dtype, requires_grad=True)
    out = loss(at)
    (first,) = rustorch.grad([rustorch.sum(out)], [at], create_graph=True)
    (second,) = rustorch.grad([rustorch.sum(first)], [at])
    return [float(backend.numpy(a.detach())[0]) for a in (out, first, rustorch.asarray(second))]


def _of(name: str, target: float, **options: Any) -> Callable[..., Any]:
    return lambda x: getattr(F, name)(x, rustorch.full_like(x, target), reduction="none", **options)


#: a loss, its input, and its value and derivatives there
EDGES = [
    (_of("smooth_l1_loss", 0.0, beta=1e-30), 2.0, (2.0, 1.0, 0.0)),
    (_of("smooth_l1_loss", 0.0, beta=1e-30), 0.0, (0.0, 0.0, 1e30)),
    (_of("smooth_l1_loss", 0.0, beta=1e-40), 3e38, (3e38, 1.0, 0.0)),
    (_of("smooth_l1_loss", 0.0, beta=1e20), 1e30, (1e30 - 5e19, 1.0, 0.0)),
    (_of("smooth_l1_loss", 0.0, beta=2.0), -2.0, (1.0, -1.0, 0.0)),
    (_of("huber_loss", 0.0, delta=1e300), 1e10, (5e19, 1e10, 1.0)),
    (_of("huber_loss", 0.0, delta=2.0), 2.0, (2.0, 2.0, 0.0)),
    (_of("binary_cross_entropy_with_logits", 0.0), -30.0, (9.357622968839e-14, 9.357622968839e-14, 9.357622968838e-14)),
    (_of("binary_cross_entropy_with_logits", 1.0), 30.0, (9.357622968839e-14, -9.357622968839e-14, 9.357622968838e-14)),
    (_of("binary_cross_entropy_with_logits", 0.5), 1e-10, (0.6931471805599453, 2.5e-11, 0.25)),
    (_of("binary_cross_entropy_with_logits", 0.5), 1e30, (5e29, 0.5, 0.0)),
    (_of("binary_cross_entropy", 1.0), 1e-6, (13.815510557964, -1e6, 1e12)),
    (_of("binary_cross_entropy", 0.0), 1e-6, (1.00000050000033e-6, 1.000001000001, 1.000002000003)),
    (_of("poisson_nll_loss", 1.0), 1e-20, (1.0, 1e-20, 1.0)),
    (_of("poisson_nll_loss", 2.0, log_input=False), 1e4, (1e4 - 2 * numpy.log(1e4), 0.9998, 2e-8)),
    (_of("soft_margin_loss", -1.0), 1e3, (1e3, 1.0, 0.0)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", range(len(EDGES)))
def test_values_and_derivatives_at_the_ends_of_the_range(case: int, dtype: str, backend: Target) -> None:
    loss, x, expected = EDGES[case]
    found = _orders(loss, x, dtype, backend)
    numpy.testing.assert_allclose(found, expected, rtol=2e-6 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize("size", [3e19, 1e-25, 1.0])
def test_cosine_similarity_does_not_depend_on_lengths(size: float, backend: Target) -> None:
    x = backend.variable([[size, 0.0]], "float32", requires_grad=True)
    y = backend.variable([[size, size]], "float32")
    out = F.cosine_similarity(x, y, eps=1e-30)
    (slope,) = rustorch.grad([rustorch.sum(out)], [x])
    numpy.testing.assert_allclose(backend.numpy(out.detach()), [0.5**0.5], rtol=1e-6)
    numpy.testing.assert_allclose(backend.numpy(slope), [[0.0, 0.5**0.5 / size]], rtol=1e-5)


def test_vectors_shorter_than_eps_are_divided_by_it(backend: Target) -> None:
    x = backend.variable([[1e-4, 0.0]], requires_grad=True)
    out = F.cosine_similarity(x, backend.variable([[2.0, 0.0]]), eps=1e-2)
    out.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(out), [1e-2])
    assert numpy.isfinite(backend.numpy(x.grad)).all()


@pytest.mark.parametrize("size", [1e25, 1.0])
def test_cosine_embedding_loss_of_large_and_small_vectors(size: float, backend: Target) -> None:
    x = backend.variable([[size, 0.0]], "float32", requires_grad=True)
    y = backend.variable([[0.0, 2 * size]], "float32")
    loss = F.cosine_embedding_loss(x, y, backend.variable([1.0], "float32"))
    loss.backward()
    assert loss.item() == 1
    numpy.testing.assert_allclose(backend.numpy(x.grad), [[0.0, -1 / size]], rtol=1e-6)


def test_cosine_embedding_loss_of_a_zero_vector(backend: Target) -> None:
    x = backend.variable([[0.0, 0.0]], requires_grad=True)
    loss = F.cosine_embedding_loss(x, backend.variable([[3.0, 4.0]]), backend.variable([1.0]))
    (slope,) = rustorch.grad([loss], [x], create_graph=True)
    numpy.testing.assert_allclose(backend.numpy(slope.detach()), [[-0.6e6, -0.8e6]], rtol=1e-6)
    (second,) = rustorch.grad([rustorch.sum(slope)], [x])
    assert numpy.isfinite(backend.numpy(second)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [1.5, 2.0, 100.0])
def test_distances_of_any_order_do_not_overflow(p: float, dtype: str, backend: Target) -> None:
    for size in (1e20, 1e-20):
        x = backend.variable([[3 * size, 4 * size]], dtype, requires_grad=True)
        out = F.pairwise_distance(x, rustorch.zeros_like(x), p=p, eps=0.0)
        (slope,) = rustorch.grad([rustorch.sum(out)], [x])
        length = (3**p + 4**p) ** (1 / p)
        numpy.testing.assert_allclose(backend.numpy(out.detach()), [size * length], rtol=1e-5)
        numpy.testing.assert_allclose(
            backend.numpy(slope), [[(3 / length) ** (p - 1), (4 / length) ** (p - 1)]], rtol=1e-4, atol=1e-30
        )


@pytest.mark.parametrize("size", [1e20, 1e-20, 1.0])
def test_normalize_takes_vectors_of_any_length(size: float, backend: Target) -> None:
    x = backend.variable([[3 * size, 4 * size]], "float32")
    numpy.testing.assert_allclose(backend.numpy(F.normalize(x, eps=1e-30)), [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("variance", [1e-6, 1.0, 1e30, INF])
def test_gaussian_loss_of_large_and_small_variances(variance: float, backend: Target) -> None:
    d = 1e20 if variance == 1e30 else 2.0
    x, v = (backend.variable([a], "float32", requires_grad=True) for a in (d, variance))
    loss = F.gaussian_nll_loss(x, backend.variable([0.0], "float32"), v)
    first = rustorch.grad([loss], [x, v])
    numpy.testing.assert_allclose(loss.item(), 0.5 * (numpy.log(variance) + d / variance * d), rtol=1e-6)
    numpy.testing.assert_allclose(backend.numpy(first[0]), [d / variance], rtol=1e-6)
    numpy.testing.assert_allclose(backend.numpy(first[1]), [0.5 * (1 / variance - (d / variance) ** 2)], rtol=1e-5)


def test_at_least_is_exact_at_infinity_and_far_below(backend: Target) -> None:
    from rustorch.nn.functional.checks import at_least

    x = backend.variable([INF, -1e30, 2.0, numpy.nan], "float32", requires_grad=True)
    out = at_least(x, 0.5)
    numpy.testing.assert_array_equal(backend.numpy(out.detach()), numpy.asarray([INF, 0.5, 2.0, numpy.nan], "float32"))
    (slope,) = rustorch.grad([rustorch.sum(out)], [x])
    numpy.testing.assert_array_equal(backend.numpy(slope), [1, 1, 1, 1])


def test_kl_div_of_log_targets_keeps_its_derivative(backend: Target) -> None:
    target = backend.variable([-1.0], "float32", requires_grad=True)
    loss = F.kl_div(backend.variable([1e-6], "float32"), target, reduction="sum", log_target=True)
    loss.backward()
    numpy.testing.assert_allclose(backend.numpy(target.grad), [-1e-6 * numpy.exp(-1.0)], rtol=1e-6)
