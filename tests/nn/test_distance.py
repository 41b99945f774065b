"""Losses and distances: second derivatives, ignored rows, extreme values, bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.reference import cases
from tests.support.differences import check
from tests.support.errors import Bad, check_error
from tests.support.target import Target

CPU = Target("cpu")
X, Y, Z = (cases.numbers((3, 4), start) for start in (0.0, 0.7, 1.9))
P, Q = (0.5 + 0.4 * numpy.sin(x) for x in (X, Y))
ONES = [1, -1, 1]
LABELS = [[3, 0, -1, 1], [1, -1, 0, 0], [0, 1, 2, 3]]


def _v(data: Any, dtype: str = "float64") -> rustorch.Variable:
    return CPU.variable(data, dtype)


SECOND_ORDER: dict[str, tuple[Callable[..., Any], list[numpy.ndarray]]] = {
    "l1": (lambda x, y: F.l1_loss(x * x, y), [X, Y]),
    "smooth_l1": (lambda x, y: F.smooth_l1_loss(x, y, beta=0.8), [X, Y]),
    "huber": (lambda x, y: F.huber_loss(x, y, "none", 0.8), [X, Y]),
    "bce": (F.binary_cross_entropy, [P, Q]),
    "bce with logits": (lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w), [X, Q, P]),
    "kl_div": (F.kl_div, [X, P]),
    "kl_div of logs": (lambda x, y: F.kl_div(x, y, log_target=True), [X, Y]),
    "poisson": (F.poisson_nll_loss, [X, P]),
    "poisson of counts": (lambda x, y: F.poisson_nll_loss(x, y, log_input=False, full=True), [P, Q + 2]),
    "gaussian": (F.gaussian_nll_loss, [X, Y, P]),
    "soft_margin": (lambda x: F.soft_margin_loss(x, _v(numpy.sign(Y))), [X]),
    "hinge_embedding": (lambda x: F.hinge_embedding_loss(x * x, _v(numpy.sign(Y))), [X]),
    "nll": (lambda x: F.nll_loss(x * x, _v([0, -100, 2], "int64"), _v([1.0, 2.0, 0.5, 1.0])), [X]),
    "multi_margin": (lambda x: F.multi_margin_loss(x, _v([0, 3, 2], "int64"), p=2), [X]),
    "multilabel_margin": (lambda x: F.multilabel_margin_loss(x * x, _v(LABELS, "int64")), [X]),
    "multilabel_soft_margin": (F.multilabel_soft_margin_loss, [X, P]),
    "cosine_similarity": (F.cosine_similarity, [X, Y]),
    "pairwise_distance": (lambda x, y: F.pairwise_distance(x, y, 3.0), [X, Y]),
    "margin_ranking": (lambda x, y: F.margin_ranking_loss(x * x, y, _v(numpy.sign(Z))), [X, Y]),
    "cosine_embedding": (lambda x, y: F.cosine_embedding_loss(x, y, _v(ONES, "int64"), -0.9), [X, Y]),
    "triplet": (lambda x, y, z: F.triplet_margin_loss(x, y, z, margin=4.0, swap=True), [X, Y, Z]),
}


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_first_and_second_derivatives_equal_central_differences(name: str) -> None:
    call, at = SECOND_ORDER[name]
    check(call, [x[:, :3] for x in at] if name == "triplet" else at, CPU, order=2)


# -- extremes ----------------------------------------------------------------------------------------------------------
def test_probabilities_of_0_and_1_cost_100_at_most(backend: Target) -> None:
    x = backend.variable([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    losses = F.binary_cross_entropy(x, backend.variable([0.0, 1.0, 1.0, 0.0]), reduction="none")
    numpy.testing.assert_array_equal(backend.numpy(losses), [0, 0, 100, 100])
    losses.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [0, 0, -1e12, 1e12])


def test_logits_of_10000_do_not_overflow_in_float32(backend: Target) -> None:
    x = backend.variable([1e4, -1e4], "float32", requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, backend.variable([0.0, 1.0], "float32"))
    loss.backward()
    assert loss.item() == 1e4
    numpy.testing.assert_allclose(backend.numpy(x.grad), [0.5, -0.5])


def test_huge_differences_do_not_overflow() -> None:
    x = CPU.variable([1e30, -1e30], "float32", requires_grad=True)
    loss = F.huber_loss(x, _v([0.0, 0.0], "float32"), "none", 2.0)
    loss.sum().backward()
    numpy.testing.assert_allclose(CPU.numpy(loss), [2e30, 2e30], rtol=1e-6)
    numpy.testing.assert_array_equal(CPU.numpy(x.grad), [2, -2])


def test_an_ignored_row_with_nan_or_infinity_does_not_change_the_loss(backend: Target) -> None:
    logs = backend.variable([[numpy.nan, -numpy.inf], [-1.0, -2.0]], requires_grad=True)
    loss = F.nll_loss(logs, backend.variable([-100, 1], "int64"))
    loss.backward()
    assert loss.item() == 2.0
    numpy.testing.assert_array_equal(backend.numpy(logs.grad), [[0, 0], [0, -1]])


def test_kl_div_of_a_target_probability_of_0_is_0(backend: Target) -> None:
    x, y = backend.variable([[-1.0, -2.0]]), backend.variable([[0.0, 1.0]], requires_grad=True)
    loss = F.kl_div(x, y, "sum")
    loss.backward()
    assert loss.item() == 2.0
    assert numpy.isfinite(backend.numpy(y.grad)).all()


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8"])
def test_targets_may_have_integer_dtypes(dtype: str) -> None:
    x = _v(numpy.log([[0.25, 0.75]]))
    assert F.nll_loss(x, _v([1], dtype)).item() == pytest.approx(-numpy.log(0.75))
    assert F.poisson_nll_loss(_v([0.0]), _v([3], dtype)).item() == 1.0


def test_a_variance_below_eps_has_the_gradient_of_eps(backend: Target) -> None:
    var = backend.variable([1e-9], requires_grad=True)
    F.gaussian_nll_loss(backend.variable([1.0]), backend.variable([1.0]), var, eps=0.5).backward()
    numpy.testing.assert_allclose(backend.numpy(var.grad), [1.0])


def test_weights_are_buffers_that_are_saved_and_move(backend: Target) -> None:
    criterion = nn.BCEWithLogitsLoss(weight=numpy.ones(2), pos_weight=numpy.ones(2)).to(backend.device)
    assert list(criterion.state_dict()) == ["weight", "pos_weight"]
    assert criterion.pos_weight.device == backend.device
    assert nn.NLLLoss().state_dict() == nn.BCELoss().state_dict() == {}


# -- bad input ---------------------------------------------------------------------------------------------------------
_x, _short = _v(numpy.ones((2, 3))), _v(numpy.ones(3))
_labels = _v([0, 1], "int64")
PAIRS = [
    "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div",
    "poisson_nll_loss", "soft_margin_loss", "hinge_embedding_loss", "multilabel_soft_margin_loss",
]  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_losses_refuse_different_shapes_and_complex_numbers(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"{name}: the input has shape \(2, 3\) and the target \(3,\); they must be equal"
    ):
        getattr(F, name)(_x, _short)
    with pytest.raises(TypeError, match=f"{name} is of floating-point numbers, not of int64"):
        getattr(F, name)(_v([[1]], "int64"), _v([[1.0]]))
    with pytest.raises(ValueError, match=f"{name}: reduction is 'mean', 'sum' or 'none', not 'max'"):
        getattr(F, name)(_x, _x, reduction="max")


BAD: dict[str, Bad] = {
    "bce range": (
        lambda: F.binary_cross_entropy(_v([1.5]), _v([1.0])),
        ValueError,
        r"binary_cross_entropy: inputs are probabilities, in \[0, 1\].*_with_logits",
    ),
    "bce integers": (lambda: nn.BCELoss()(_v([0.5]), _v([1], "int64")), TypeError, "float64 and int64"),
    "bce weight": (
        lambda: F.binary_cross_entropy_with_logits(_short, _short, _v(numpy.ones((2, 3)))),
        ValueError,
        r"a weight of shape \(2, 3\) does not broadcast to the input's shape \(3,\)",
    ),
    "bce pos_weight": (
        lambda: F.binary_cross_entropy_with_logits(_short, _short, pos_weight=_v(numpy.ones((2, 3)))),
        ValueError,
        r"with_logits: a pos_weight of shape \(2, 3\) does not broadcast",
    ),
    "beta": (lambda: F.smooth_l1_loss(_x, _x, beta=-1), ValueError, "smooth_l1_loss: beta must be at least 0, not -1"),
    "SmoothL1Loss": (lambda: nn.SmoothL1Loss(beta=-1), ValueError, "SmoothL1Loss: beta must be at least 0"),
    "delta": (lambda: F.huber_loss(_x, _x, delta=0), ValueError, "huber_loss: delta is positive, not 0"),
    "HuberLoss": (lambda: nn.HuberLoss(delta=0), ValueError, "HuberLoss: delta is positive"),
    "KLDivLoss": (lambda: nn.KLDivLoss("max"), ValueError, "KLDivLoss: reduction is 'mean'"),
    "var shape": (
        lambda: F.gaussian_nll_loss(_x, _x, _v([1.0])),
        ValueError,
        r"gaussian_nll_loss: var is of the input's shape \(2, 3\).*not \(1,\)",
    ),
    "var negative": (
        lambda: F.gaussian_nll_loss(_short, _short, _v([1.0, -1.0, 1.0])),
        ValueError,
        "a variance in var is negative",
    ),
    "eps": (lambda: nn.GaussianNLLLoss(eps=0), ValueError, "GaussianNLLLoss: eps is positive, not 0"),
    "class": (
        lambda: F.nll_loss(_x, _v([0, 3], "int64")),
        IndexError,
        "nll_loss: class index 3 is out of range for 3 classes",
    ),
    "class negative": (
        lambda: nn.NLLLoss()(_x, _v([0, -1], "int64")),
        IndexError,
        "nll_loss: class index -1 is out of range",
    ),
    "class floats": (
        lambda: F.nll_loss(_x, _v([0.0, 1.0])),
        TypeError,
        "nll_loss: class indices are integers, not of float64",
    ),
    "class shape": (
        lambda: F.nll_loss(_x, _v([0], "int64")),
        ValueError,
        r"nll_loss: class indices for an input of shape \(2, 3\) have shape \(2,\), not \(1,\)",
    ),
    "class weight": (
        lambda: F.nll_loss(_x, _labels, _v([1.0])),
        ValueError,
        r"nll_loss: the weight has shape \(1,\), but there are 3",
    ),
    "nll scalar": (
        lambda: F.nll_loss(_v(1.0), _labels),
        ValueError,
        "nll_loss: the input needs a dimension of classes",
    ),
    "p": (lambda: F.multi_margin_loss(_x, _labels, p=3), ValueError, "multi_margin_loss: p is 1 or 2, not 3"),
    "MultiMarginLoss": (lambda: nn.MultiMarginLoss(3), ValueError, "MultiMarginLoss: p is 1 or 2, not 3"),
    "multi_margin class": (
        lambda: F.multi_margin_loss(_x, _v([0, 3], "int64")),
        IndexError,
        "multi_margin_loss: class index 3 is out",
    ),
    "multi_margin rank": (
        lambda: F.multi_margin_loss(_v(numpy.ones((2, 3, 4))), _labels),
        ValueError,
        r"the input is \(classes,\) or \(n, classes\) with at least one class, not of shape \(2, 3, 4\)",
    ),
    "multilabel class": (
        lambda: F.multilabel_margin_loss(_short, _v([0, 3, -1], "int64")),
        IndexError,
        "class index 3 is out of range",
    ),
    "multilabel shape": (lambda: F.multilabel_margin_loss(_x, _labels), ValueError, r"have shape \(2, 3\), not \(2,\)"),
    "cosine shapes": (
        lambda: F.cosine_similarity(_x, _v(numpy.ones((2, 4)))),
        ValueError,
        r"cosine_similarity: the inputs have shapes \(2, 3\), \(2, 4\), which do not broadcast",
    ),
    "cosine dim": (lambda: nn.CosineSimilarity(2)(_x, _x), IndexError, "axis 2 is out of range"),
    "ranking": (
        lambda: F.margin_ranking_loss(_x, _x, _v([1.0, 1.0])),
        ValueError,
        r"margin_ranking_loss.*\(2, 3\), \(2, 3\), \(2,\)",
    ),
    "cosine target": (
        lambda: F.cosine_embedding_loss(_x, _x, _v(1)),
        ValueError,
        r"cosine_embedding_loss: inputs \(n, d\) need a target \(n,\).*and \(\)",
    ),
    "signs": (
        lambda: F.soft_margin_loss(_short, _v([True, False, True], "bool")),
        TypeError,
        "numbers 1 and -1, not of bool",
    ),
    "margin": (
        lambda: F.triplet_margin_loss(_x, _x, _x, margin=0),
        ValueError,
        "triplet_margin_loss: the margin is positive, not 0",
    ),
    "TripletMarginLoss": (lambda: nn.TripletMarginLoss(-1.0), ValueError, "TripletMarginLoss: the margin is positive"),
    "Triplet...": (
        lambda: nn.TripletMarginWithDistanceLoss(margin=0),
        ValueError,
        "WithDistanceLoss: the margin is positive",
    ),
    "triplet": (
        lambda: F.triplet_margin_loss(_x, _short, _x),
        ValueError,
        "anchor, positive and negative need equally many dimensions",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_and_says_what_to_write(name: str) -> None:
    check_error(BAD[name])


# -- all pairs ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, numpy.inf])
def test_pdist_equals_pytorchs(p: float, backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    rows = numpy.random.default_rng(0).standard_normal((5, 3))
    x, other = backend.variable(rows, requires_grad=True), torch.tensor(rows, requires_grad=True)
    out, expected = F.pdist(x, p), torch.nn.functional.pdist(other, p)
    numpy.testing.assert_allclose(backend.numpy(out), expected.detach().numpy(), rtol=1e-12)
    out.sum().backward()
    expected.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), other.grad.numpy(), rtol=1e-10)


def test_pdist_of_one_row_is_empty_and_bad_input_raises() -> None:
    assert F.pdist(CPU.variable([[1.0, 2.0]])).shape == (0,)
    with pytest.raises(ValueError, match=r"pdist: the input is \(n, d\), not of shape \(2,\)"):
        F.pdist(CPU.variable([1.0, 2.0]))
    with pytest.raises(ValueError, match="pdist: p must be at least 0, not -1"):
        F.pdist(CPU.variable([[1.0]]), -1)
