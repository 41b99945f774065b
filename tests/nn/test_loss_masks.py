"""Losses leave out ignored classes, weights of 0 and probabilities of 0, even if these elements are nan or infinite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support.target import Target

INF, NAN = numpy.inf, numpy.nan
DTYPES = ["float32", "float64"]


def _cross_entropy(x: Any, y: Any, **options: Any) -> Any:
    return F.cross_entropy(x, y, **options)


def _nll(x: Any, y: Any, **options: Any) -> Any:
    return F.nll_loss(F.log_softmax(x, 1), y, **options)


def _smooth(x: Any, y: Any, **options: Any) -> Any:
    return F.cross_entropy(x, y, label_smoothing=0.25, **options)


CLASS_LOSSES = pytest.mark.parametrize(
    "loss", [_cross_entropy, _nll, _smooth], ids=["cross_entropy", "nll_loss", "label_smoothing"]
)


@CLASS_LOSSES
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_mean_of_ignored_rows_is_nan_with_gradient_0(loss: Callable[..., Any], dtype: str, backend: Target) -> None:
    x = backend.variable([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]], dtype, requires_grad=True)
    target = backend.variable([-100, -100], "int64")
    mean = loss(x, target)
    assert numpy.isnan(mean.item())
    mean.backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), numpy.zeros((2, 3)))
    assert loss(x, target, reduction="sum").item() == 0
    numpy.testing.assert_array_equal(backend.numpy(loss(x, target, reduction="none")), [0, 0])


@CLASS_LOSSES
@pytest.mark.parametrize("classes", [3, 40])
@pytest.mark.parametrize("spoiled", [-INF, INF, NAN])
@pytest.mark.parametrize("whole", [True, False])
def test_an_ignored_row_equals_an_absent_row(
    loss: Callable[..., Any], classes: int, spoiled: float, whole: bool, backend: Target
) -> None:
    if loss is _nll:
        pytest.skip("log_softmax comes first, and is of every row")
    rows = numpy.random.default_rng(classes).standard_normal((3, classes))
    rows[1, slice(None) if whole else 0] = spoiled
    x, rest = backend.variable(rows, requires_grad=True), backend.variable(rows[[0, 2]], requires_grad=True)
    found = loss(x, backend.variable([2, -100, 1], "int64"))
    expected = loss(rest, backend.variable([2, 1], "int64"))
    assert found.item() == pytest.approx(expected.item(), rel=1e-14)
    (first,) = rustorch.grad([found], [x], create_graph=True)
    (other,) = rustorch.grad([expected], [rest], create_graph=True)
    (second,) = rustorch.grad([rustorch.sum(first[::2, ...] * first[::2, ...])], [x], retain_graph=True)
    (another,) = rustorch.grad([rustorch.sum(other * other)], [rest])
    found.backward()
    for got, want in ((x.grad, other), (second, another)):
        got = backend.numpy(got)
        numpy.testing.assert_array_equal(got[1], numpy.zeros(classes))
        numpy.testing.assert_allclose(got[[0, 2]], backend.numpy(want), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_row_of_weight_0_equals_an_absent_row(reduction: str, backend: Target) -> None:
    x = backend.variable([[-INF, 1.0], [1.0, 2.0]], requires_grad=True)
    loss = F.cross_entropy(x, backend.variable([0, 1], "int64"), backend.variable([0.0, 2.0]), reduction=reduction)
    loss.sum().backward()
    assert numpy.isfinite(backend.numpy(loss)).all()
    numpy.testing.assert_array_equal(backend.numpy(x.grad)[0], [0, 0])


@pytest.mark.parametrize("classes", [3, 40])
def test_a_class_of_target_0_and_probability_0_costs_nothing(classes: int, backend: Target) -> None:
    rows = numpy.zeros((2, classes))
    rows[:, 0] = -INF
    target = numpy.full((2, classes), 1 / (classes - 1))
    target[:, 0] = 0
    x = backend.variable(rows, requires_grad=True)
    loss = F.cross_entropy(x, backend.variable(target))
    assert loss.item() == pytest.approx(numpy.log(classes - 1))
    loss.backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), numpy.zeros((2, classes)), atol=1e-16)
    assert F.cross_entropy(x, backend.variable(numpy.ones((2, classes)) / classes)).item() == INF


def test_ignore_index_is_refused_for_probabilities() -> None:
    x, y = rustorch.zeros((2, 3)), rustorch.full((2, 3), 1 / 3)
    for call in (lambda: F.cross_entropy(x, y, ignore_index=0), lambda: nn.CrossEntropyLoss(ignore_index=1)(x, y)):
        with pytest.raises(ValueError, match="ignore_index is not supported for class probabilities"):
            call()
    assert F.cross_entropy(x, y, ignore_index=-1).item() == F.cross_entropy(x, y).item()


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_infinite_difference_of_weight_0_is_left_out(name: str, dtype: str, backend: Target) -> None:
    x, weight = backend.variable([INF, -INF, 3.0], dtype, requires_grad=True), backend.variable([0.0, 0.0, 2.0], dtype)
    loss = getattr(F, name)(x, backend.variable([0.0, 1.0, 1.0], dtype), weight=weight)
    loss.backward()
    assert loss.item() == {"mse_loss": 4.0, "l1_loss": 2.0, "huber_loss": 1.0}[name]
    numpy.testing.assert_allclose(
        backend.numpy(x.grad), [0, 0, {"mse_loss": 4.0, "l1_loss": 1.0, "huber_loss": 2 / 3}[name]], rtol=1e-6
    )


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_the_mean_with_all_weights_0_is_nan_with_gradient_0(name: str, backend: Target) -> None:
    x = backend.variable([1.0, 3.0], requires_grad=True)
    loss = getattr(F, name)(x, backend.variable([0.0, 1.0]), weight=backend.variable([0.0, 0.0]))
    assert numpy.isnan(loss.item())
    loss.backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [0, 0])


def test_a_weight_of_0_has_a_gradient(backend: Target) -> None:
    weight = backend.variable([0.0, 1.0], requires_grad=True)
    x = backend.variable([1.0, 3.0], requires_grad=True)
    (slope,) = rustorch.grad(
        [F.mse_loss(x, x.detach() - 2, weight=weight, reduction="sum")], [weight], create_graph=True
    )
    numpy.testing.assert_array_equal(backend.numpy(slope.detach()), [4, 4])
    (second,) = rustorch.grad([rustorch.sum(slope)], [x])
    numpy.testing.assert_array_equal(backend.numpy(second), [4, 4])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div_of_a_probability_of_0_is_0(log_target: bool, dtype: str, backend: Target) -> None:
    x = backend.variable([[-INF, -1.0]], dtype, requires_grad=True)
    target = backend.variable([[-INF, 0.0] if log_target else [0.0, 1.0]], dtype, requires_grad=True)
    loss = F.kl_div(x, target, reduction="none", log_target=log_target)
    numpy.testing.assert_array_equal(backend.numpy(loss.detach()), [[0, 1]])
    first = rustorch.grad([rustorch.sum(loss)], [x, target], create_graph=True)
    numpy.testing.assert_array_equal(backend.numpy(first[0].detach()), [[0, -1]])
    numpy.testing.assert_array_equal(backend.numpy(first[1].detach()), [[0, 2]])
    (second,) = rustorch.grad([rustorch.sum(first[1])], [target])
    assert backend.numpy(second)[0, 1] == (3 if log_target else 1)


def test_kl_div_of_a_negative_probability_is_nan(backend: Target) -> None:
    loss = F.kl_div(backend.variable([0.0, -1.0]), backend.variable([-0.5, 1.0]), reduction="none")
    numpy.testing.assert_array_equal(backend.numpy(loss), [NAN, 1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinite_logits_that_predict_the_target_cost_nothing(dtype: str, backend: Target) -> None:
    x = backend.variable([INF, -INF, INF, -INF], dtype, requires_grad=True)
    y = backend.variable([1.0, 0.0, 0.0, 1.0], dtype)
    expected, slopes = [0, 0, INF, INF], [0, 0, 1, -1]
    for loss in (
        F.binary_cross_entropy_with_logits(x, y, reduction="none"),
        F.multilabel_soft_margin_loss(
            rustorch.expand_dims(x, axis=1), rustorch.expand_dims(y, axis=1), reduction="none"
        ),
        F.soft_margin_loss(x, 2 * y - 1, reduction="none"),
    ):
        numpy.testing.assert_array_equal(backend.numpy(loss.detach()), expected)
        (first,) = rustorch.grad([rustorch.sum(loss)], [x])
        numpy.testing.assert_array_equal(backend.numpy(first), slopes)


def test_a_weight_of_0_leaves_out_infinite_logits(backend: Target) -> None:
    x, weight = backend.variable([INF, 0.0], requires_grad=True), backend.variable([0.0, 1.0])
    loss = F.binary_cross_entropy_with_logits(x, backend.variable([0.0, 1.0]), weight, reduction="sum")
    loss.backward()
    assert loss.item() == pytest.approx(numpy.log(2))
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [0, -0.5])


def test_probabilities_of_0_and_1_with_weight_0_are_left_out(backend: Target) -> None:
    x = backend.variable([0.0, 1.0, 0.5], requires_grad=True)
    loss = F.binary_cross_entropy(
        x, backend.variable([1.0, 0.0, 1.0]), backend.variable([0.0, 0.0, 1.0]), reduction="sum"
    )
    loss.backward()
    assert loss.item() == pytest.approx(numpy.log(2))
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [0, 0, -2])


@pytest.mark.parametrize("p", [1, 2])
def test_margin_losses_of_infinite_scores(p: int, backend: Target) -> None:
    x = backend.variable([[INF, 1.0, 2.0], [1.0, -INF, 1.0]], requires_grad=True)
    loss = F.multi_margin_loss(x, backend.variable([0, 0], "int64"), p)
    loss.backward()
    assert loss.item() == pytest.approx(1 / 6)
    numpy.testing.assert_allclose(backend.numpy(x.grad), [[0, 0, 0], [-p / 6, 0, p / 6]])
    several = F.multilabel_margin_loss(x, backend.variable([[0, -1, 0], [0, -1, 0]], "int64"))
    assert several.item() == pytest.approx(1 / 6)


def test_poisson_loss_of_rates_0_and_infinity(backend: Target) -> None:
    x = backend.variable([-INF, INF, INF], requires_grad=True)
    loss = F.poisson_nll_loss(x, backend.variable([0.0, 0.0, 2.0]), reduction="none")
    numpy.testing.assert_array_equal(backend.numpy(loss.detach()), [0, INF, INF])
    (slope,) = rustorch.grad([rustorch.sum(loss)], [x])
    numpy.testing.assert_array_equal(backend.numpy(slope), [0, INF, INF])
    counts = F.poisson_nll_loss(
        backend.variable([0.0, INF]), backend.variable([0.0, 2.0]), log_input=False, eps=0.0, reduction="none"
    )
    numpy.testing.assert_array_equal(backend.numpy(counts), [0, INF])


def test_ctc_without_alignment_is_infinite_with_gradient_0(backend: Target) -> None:
    logs = numpy.log(numpy.full((3, 2, 3), 1 / 3))
    logs[:, 0, 1] = -INF
    x = backend.variable(logs, requires_grad=True)
    arguments = (backend.variable([[1], [2]], "int64"), (3, 3), (1, 1))
    losses = F.ctc_loss(x, *arguments, reduction="none")
    assert backend.numpy(losses.detach())[0] == INF
    F.ctc_loss(x, *arguments, reduction="sum", zero_infinity=True).backward()
    grad = backend.numpy(x.grad)
    numpy.testing.assert_array_equal(grad[:, 0, :], 0)
    assert numpy.isfinite(grad).all()
