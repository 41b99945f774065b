"""Losses of empty arrays, and the dtypes and shapes of targets and weights that PyTorch takes or refuses."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch.nn import functional as F
from tests.support.target import Target

PAIRS = [
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "kl_div", "poisson_nll_loss", "soft_margin_loss", "hinge_embedding_loss",
]  # fmt: skip
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def _is_of_nothing(loss: Any, x: Any, reduction: str, shape: tuple[int, ...], backend: Target) -> None:
    """Assert that a loss of no elements is nan, 0 or empty, and that its gradient has the input's shape."""
    found = backend.numpy(loss.detach())
    assert found.shape == (shape if reduction == "none" else ())
    numpy.testing.assert_array_equal(found, numpy.full(found.shape, numpy.nan if reduction == "mean" else 0.0))
    loss.sum().backward()
    assert tuple(x.grad.shape) == x.shape


@REDUCTIONS
@pytest.mark.parametrize("shape", [(0, 2), (2, 0), (0,)])
@pytest.mark.parametrize("name", PAIRS)
def test_losses_of_empty_pairs(name: str, shape: tuple[int, ...], reduction: str, backend: Target) -> None:
    x = backend.variable(numpy.zeros(shape), requires_grad=True)
    _is_of_nothing(
        getattr(F, name)(x, backend.variable(numpy.zeros(shape)), reduction=reduction), x, reduction, shape, backend
    )


@REDUCTIONS
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize(
    ("shape", "target"), [((0, 5), (0,)), ((5, 0), (5,)), ((0, 5, 2), (0, 2)), ((2, 5, 0), (2, 0))], ids=str
)
def test_losses_of_no_rows_or_no_classes(
    name: str, shape: tuple[int, ...], target: tuple, reduction: str, backend: Target
) -> None:
    x = backend.variable(numpy.zeros(shape), requires_grad=True)
    classes = backend.variable(numpy.full(target, -100), "int64")
    _is_of_nothing(getattr(F, name)(x, classes, reduction=reduction), x, reduction, target, backend)


@REDUCTIONS
@pytest.mark.parametrize("shape", [(5, 0), (0, 5)])
def test_cross_entropy_of_empty_probabilities(shape: tuple[int, int], reduction: str, backend: Target) -> None:
    x = backend.variable(numpy.zeros(shape), requires_grad=True)
    loss = F.cross_entropy(x, backend.variable(numpy.zeros(shape)), reduction=reduction)
    _is_of_nothing(loss, x, reduction, shape[:1], backend)


def test_a_class_index_without_classes_raises() -> None:
    for loss in (F.cross_entropy, F.nll_loss):
        with pytest.raises(IndexError, match="class index 0 is out of range for 0 classes"):
            loss(rustorch.zeros((5, 0)), rustorch.zeros(5, dtype=rustorch.int64))


@REDUCTIONS
def test_other_losses_of_empty_input(reduction: str, backend: Target) -> None:
    def zeros(*shape: int, dtype: str = "float64") -> Any:
        return backend.variable(numpy.zeros(shape), dtype, requires_grad=dtype == "float64")

    for call in (
        lambda x: F.multi_margin_loss(x, zeros(0, dtype="int64"), reduction=reduction),
        lambda x: F.multilabel_margin_loss(x, zeros(0, 3, dtype="int64"), reduction=reduction),
        lambda x: F.multilabel_soft_margin_loss(x, zeros(0, 3), reduction=reduction),
        lambda x: F.cosine_embedding_loss(x, zeros(0, 3), zeros(0), reduction=reduction),
        lambda x: F.triplet_margin_loss(x, zeros(0, 3), zeros(0, 3), reduction=reduction),
    ):
        x = zeros(0, 3)
        _is_of_nothing(call(x), x, reduction, (0,), backend)
    x = zeros(0, 3)
    _is_of_nothing(F.gaussian_nll_loss(x, zeros(0, 3), 1.0, reduction=reduction), x, reduction, (0, 3), backend)


def test_kl_div_of_a_batch(backend: Target) -> None:
    x = backend.variable([0.5, 1.0])
    assert F.kl_div(x, rustorch.ones_like(x), reduction="batchmean").item() == -0.75
    assert F.kl_div(x[0], rustorch.ones_like(x)[0], reduction="batchmean").item() == -0.5
    nothing = backend.variable(numpy.zeros((0, 2)))
    assert numpy.isnan(F.kl_div(nothing, nothing, reduction="batchmean").item())


def test_arrays_without_dimensions_are_vectors_of_one_element(backend: Target) -> None:
    x, y = backend.variable(-3.0, requires_grad=True), backend.variable(2.0)
    assert F.cosine_similarity(x, y, dim=0).item() == F.cosine_similarity(x, y, dim=-1).item() == -1
    assert F.normalize(x, dim=0).item() == F.normalize(x, dim=-1).item() == -1
    assert F.pairwise_distance(x, y, eps=0.0).item() == 5
    assert F.multi_margin_loss(x, backend.variable(0, "int64"), reduction="none").item() == 0
    assert F.multilabel_margin_loss(x, backend.variable(0, "int64")).item() == 0
    assert F.triplet_margin_loss(x, x, y, eps=0.0).item() == 0
    for call in (F.cosine_similarity, lambda a, b: F.normalize(a)):
        with pytest.raises(IndexError, match="axis 1 is out of range"):
            call(x, y)
    F.cosine_similarity(x, y, dim=0).backward()
    assert numpy.shape(x.grad) == ()


# -- dtypes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *[(name, "float64") for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "kl_div", "poisson_nll_loss")],
        *[(name, "float32") for name in ("huber_loss", "soft_margin_loss", "hinge_embedding_loss")],
    ],
)
def test_a_float64_target_with_a_float32_input(name: str, dtype: str, backend: Target) -> None:
    x = backend.variable([0.25, 0.5], "float32", requires_grad=True)
    loss = getattr(F, name)(x, backend.variable([1.0, 1.0], "float64"))
    assert str(loss.dtype) == dtype
    loss.backward()
    assert backend.numpy(x.grad).dtype == "float32"


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
@pytest.mark.parametrize("name", ["mse_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss"])
def test_targets_may_be_of_integers(name: str, kind: str, backend: Target) -> None:
    x = backend.variable([0.25, 0.5], "float32")
    given, wanted = (getattr(F, name)(x, backend.variable([1, 0], dtype)) for dtype in (kind, "float32"))
    assert given.dtype == rustorch.float32
    assert given.item() == wanted.item()


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"])
def test_probabilities_must_not_be_of_integers(name: str) -> None:
    with pytest.raises(TypeError, match="mix kinds"):
        getattr(F, name)(rustorch.asarray([0.5]), rustorch.asarray([1]))


def test_binary_cross_entropy_refuses_two_dtypes() -> None:
    with pytest.raises(
        TypeError, match="the input is of float32 and the target of float64; they must be equal, convert one"
    ):
        F.binary_cross_entropy(rustorch.zeros(2), rustorch.zeros(2, dtype=rustorch.float64))


def test_class_weights_must_have_the_dtype_of_the_logits(backend: Target) -> None:
    x, y = backend.variable([[1.0, 2.0]], "float32"), backend.variable([1], "int64")
    weight = backend.variable([1.0, 2.0], "float64")
    for loss in (F.cross_entropy, F.nll_loss, lambda x, y, w: F.multi_margin_loss(x, y, weight=w)):
        with pytest.raises(TypeError, match="the input is of float32 and the weight of float64"):
            loss(x, y, weight)
    shares = backend.variable([[0.5, 0.5]], "float64")
    assert (
        F.cross_entropy(x, shares).dtype
        == F.cross_entropy(x, shares.astype(rustorch.float32), weight).dtype
        == rustorch.float64
    )


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "l1_loss"])
def test_complex_numbers_are_refused(name: str) -> None:
    z = rustorch.asarray([0.5 + 0.5j])
    for x, y in ((z, z), (rustorch.asarray([0.5]), z)):
        with pytest.raises(TypeError, match=r"real numbers|not of complex"):
            getattr(F, name)(x, y)


def test_l1_takes_complex_numbers(backend: Target) -> None:
    z = backend.variable([3 + 4j], "complex128", requires_grad=True)
    loss = F.l1_loss(z, backend.variable([0.0]))
    loss.backward()
    assert loss.item() == 5
    numpy.testing.assert_allclose(backend.numpy(z.grad), [0.6 + 0.8j])


# -- weights and variances ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (2, 3)])
def test_weights_of_multilabel_soft_margin_loss_broadcast(shape: tuple[int, ...], backend: Target) -> None:
    x = numpy.linspace(-1, 1, 6).reshape(2, 3)
    y, weight = (
        numpy.asarray([[1, 0, 1], [0, 0, 1]]),
        1 + numpy.arange(float(numpy.prod(shape, dtype=int))).reshape(shape),
    )
    found = F.multilabel_soft_margin_loss(
        backend.variable(x), backend.variable(y, "int64"), backend.variable(weight), reduction="none"
    )
    expected = (numpy.logaddexp(0, numpy.where(y == 1, -x, x)) * weight).mean(axis=1)
    numpy.testing.assert_allclose(backend.numpy(found), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (2,), (2, 1), (1, 3)])
def test_variances_broadcast(shape: tuple[int, ...], backend: Target) -> None:
    x, y, var = (
        numpy.arange(6.0).reshape(2, 3),
        numpy.ones((2, 3)),
        1 + numpy.arange(float(numpy.prod(shape))).reshape(shape),
    )
    full = var[:, None] if shape == (2,) else var
    expected = 0.5 * (numpy.log(full) + (x - y) ** 2 / full) + numpy.zeros((2, 3))
    for target in (y, y[:1], y[0]):
        found = F.gaussian_nll_loss(*map(backend.variable, (x, target, var)), reduction="none")
        numpy.testing.assert_allclose(backend.numpy(found), expected, rtol=1e-12)


def test_the_variance_may_be_a_number(backend: Target) -> None:
    x, y = backend.variable([0.0, 0.0], "float32"), backend.variable([2, 4], "int64")
    assert F.gaussian_nll_loss(x, y, 1.0).item() == F.gaussian_nll_loss(x, y, 1).item() == 5
    assert F.gaussian_nll_loss(x, y, backend.variable(1.0)).dtype == rustorch.float64
    with pytest.raises(ValueError, match=r"the input has shape \(2,\) and the target \(3,\), which do not broadcast"):
        F.gaussian_nll_loss(x, rustorch.zeros(3, device=backend.device), 1.0)
