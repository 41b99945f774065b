"""Loss layers: options, buffers, and bad targets, which change nothing."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.reference import cases
from tests.support.target import Target

LOGITS = cases.numbers((4, cases.CLASSES), scale=3.0)
CLASSES = [0, 2, 1, 2]


def _equal(target: Target, one: rustorch.Variable, other: rustorch.Variable) -> None:
    numpy.testing.assert_array_equal(target.numpy(one), target.numpy(other))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_layers_compute_their_functions(reduction: str, backend: Target) -> None:
    x, labels = backend.variable(LOGITS), backend.variable(CLASSES, "int64")
    y = backend.variable(cases.numbers((4, cases.CLASSES), 0.5))
    _equal(backend, nn.MSELoss(reduction)(x, y), F.mse_loss(x, y, reduction))
    _equal(
        backend, nn.CrossEntropyLoss(reduction=reduction)(x, labels), F.cross_entropy(x, labels, reduction=reduction)
    )


def test_cross_entropy_loss_passes_every_option_on(backend: Target) -> None:
    x, labels = backend.variable(LOGITS), backend.variable([0, 2, 1, -7], "int64")
    weight = backend.variable(cases.CLASS_WEIGHTS)
    criterion = nn.CrossEntropyLoss(weight, ignore_index=-7, reduction="sum", label_smoothing=0.25)
    _equal(backend, criterion(x, labels), F.cross_entropy(x, labels, weight, None, -7, None, "sum", 0.25))
    # each option changes the loss
    for less in ({"ignore_index": 1}, {"label_smoothing": 0.0}, {"reduction": "mean"}):
        options: dict[str, Any] = {"ignore_index": -7, "reduction": "sum", "label_smoothing": 0.25} | less
        target = backend.variable([0, 2, 1, 1], "int64") if "ignore_index" in less else labels
        assert F.cross_entropy(x, target, weight, **options).item() != criterion(x, labels).item()


def test_the_weight_is_a_buffer_that_moves_with_the_loss(backend: Target) -> None:
    criterion = nn.CrossEntropyLoss(numpy.asarray(cases.CLASS_WEIGHTS)).to(backend.device)
    assert list(criterion.state_dict()) == ["weight"]
    assert list(criterion.parameters()) == []
    assert criterion.weight.device == backend.device
    x, labels = backend.variable(LOGITS), backend.variable(CLASSES, "int64")
    _equal(backend, criterion(x, labels), F.cross_entropy(x, labels, backend.variable(cases.CLASS_WEIGHTS)))
    assert nn.CrossEntropyLoss().state_dict() == {}
    assert (
        nn.CrossEntropyLoss(cases.CLASS_WEIGHTS, device=backend.device, dtype="float32").weight.dtype
        == rustorch.float32
    )


def test_a_string_as_first_argument_is_the_reduction() -> None:
    assert nn.CrossEntropyLoss("sum").reduction == "sum"
    assert nn.CrossEntropyLoss("sum").weight is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.MSELoss("max"), "MSELoss: reduction is 'mean', 'sum' or 'none', not 'max'"),
        (lambda: nn.CrossEntropyLoss("max"), "CrossEntropyLoss: reduction is 'mean', 'sum' or 'none', not 'max'"),
        (
            lambda: nn.CrossEntropyLoss(label_smoothing=-0.1),
            r"CrossEntropyLoss: label_smoothing is in \[0, 1\], not -0.1",
        ),
    ],
)
def test_bad_options_raise_when_the_loss_is_made(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("criterion", "target", "error", "message"),
    [
        (
            nn.CrossEntropyLoss(),
            (numpy.array([0, 3]), "int64"),
            IndexError,
            "class index 3 is out of range for 3 classes",
        ),
        (
            nn.CrossEntropyLoss(),
            (numpy.ones((2, 4)), "float32"),
            ValueError,
            r"of the input's shape \(2, 3\), not \(2, 4\)",
        ),
        (nn.CrossEntropyLoss(), (numpy.array([[0], [1]]), "int64"), ValueError, r"have shape \(2,\), not \(2, 1\)"),
        (
            nn.MSELoss(),
            (numpy.ones(2), "float32"),
            ValueError,
            r"has shape \(2, 3\) and the target \(2,\); they must be equal",
        ),
    ],
)
def test_a_bad_target_raises_and_the_model_stays_as_it_was(
    criterion: Any, target: Any, error: type[Exception], message: str, backend: Target
) -> None:
    if error is IndexError and not backend.library.readable:
        pytest.skip("cuda: nobody reads the classes; the loss is nan, tested with the functions")
    model = nn.Linear(2, 3, device=backend.device)
    model(backend.variable([[1.0, 2.0]], "float32")).sum().backward()
    optimizer = rustorch.SGD(model.parameters(), lr=0.1, momentum=0.9)
    optimizer.step()

    def everything() -> Any:
        return (
            [p.tolist() for p in model.parameters()],
            [backend.numpy(p.grad).tolist() for p in model.parameters()],
            [backend.numpy(entries["momentum_buffer"]).tolist() for entries in optimizer.state.values()],
        )

    before, out = everything(), model(backend.variable([[1.0, 2.0], [0.0, 1.0]], "float32"))
    with pytest.raises(error, match=message):
        criterion(out, backend.variable(*target)).backward()
    assert everything() == before
    out.sum().backward()  # the failed loss has not freed the graph of the output


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 2, 4), (3, 4), None), r"the input has shape \(in_features,\) or"),
        (((4,), (3, 2, 4), None), r"not \(4,\) and \(3, 2, 4\)"),
        (((2, 4), (3, 4), (4,)), r"the bias has shape \(4,\), but a weight of shape \(3, 4\) needs \(3,\)"),
        (((2, 5), (3, 4), None), r"linear: the input has shape \(2, 5\)"),
    ],
)
def test_linear_cross_entropy_names_shapes_that_do_not_fit(shapes: tuple, message: str) -> None:
    x, weight, bias = (None if shape is None else rustorch.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        rustorch.nn.functional.linear_cross_entropy(x, weight, rustorch.tensor([0, 1]), linear_bias=bias)


def test_linear_cross_entropy_loss_refuses_unsupported_options() -> None:
    for options, message in (
        ({"weight": [1.0, 2.0]}, r"the weight has shape \(2,\), but there are 3 classes"),
        ({"label_smoothing": 1.5}, "label_smoothing is in"),
        ({"options": object()}, "the only one here is None"),
        ({"reduction": "max"}, "reduction is 'mean'"),
    ):
        with pytest.raises(ValueError, match=message):
            rustorch.nn.LinearCrossEntropyLoss(4, 3, **options)


# -- PyTorch's old words for the reduction, and weights ----------------------------------------------------------------
def test_deprecated_arguments_choose_the_reduction_and_warn() -> None:
    x, y = rustorch.tensor([1.0, 3.0]), rustorch.tensor([0.0, 0.0])
    for size_average, reduce, reduction in (
        (True, None, "mean"),
        (False, None, "sum"),
        (None, False, "none"),
        (False, True, "sum"),
    ):
        with pytest.warns(
            UserWarning, match=f"mse_loss: size_average and reduce are deprecated; write reduction='{reduction}'"
        ):
            out = F.mse_loss(x, y, size_average, reduce)
        assert out.tolist() == F.mse_loss(x, y, reduction=reduction).tolist()
        with pytest.warns(UserWarning, match="NLLLoss: size_average"):
            assert nn.NLLLoss(None, size_average, -100, reduce).reduction == reduction


def test_the_reduction_may_be_the_first_argument_as_in_rustorch() -> None:
    assert nn.MSELoss("sum").reduction == "sum"
    assert nn.KLDivLoss("batchmean").reduction == "batchmean"
    with pytest.raises(ValueError, match="L1Loss: reduction is 'mean', 'sum' or 'none', not 'max'"):
        nn.L1Loss("max")


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weights_of_elements_equal_pytorchs(name: str, reduction: str, backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x, y, weight = (cases.numbers((3, 4), start=start) for start in (0.1, 0.7, 1.3))
    expected = getattr(torch.nn.functional, name)(
        *map(torch.tensor, (x, y)), reduction=reduction, weight=torch.tensor(weight)
    )
    found = getattr(F, name)(*map(backend.variable, (x, y)), reduction=reduction, weight=backend.variable(weight))
    numpy.testing.assert_allclose(backend.numpy(found), expected.numpy(), rtol=1e-12)
