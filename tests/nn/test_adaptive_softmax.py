"""The adaptive softmax: probabilities, predictions, second derivatives, bad input."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.reference import cases
from tests.support.differences import check
from tests.support.errors import Bad, check_error
from tests.support.target import Target

CPU = Target("cpu")
TARGET = [0, 5, 3, 1, 6]


def _layer(device: str = "cpu") -> nn.AdaptiveLogSoftmaxWithLoss:
    rustorch.manual_seed(0)
    return nn.AdaptiveLogSoftmaxWithLoss(4, 7, [2, 4], div_value=2.0, device=device, dtype="float64")


def test_all_probabilities_sum_to_1_and_the_loss_takes_the_targets(backend: Target) -> None:
    layer, x = _layer(backend.device), backend.variable(cases.numbers((5, 4)))
    logs = backend.numpy(layer.log_prob(x))
    numpy.testing.assert_allclose(numpy.exp(logs).sum(axis=1), 1)
    output, loss = layer(x, backend.variable(TARGET, "int64"))
    numpy.testing.assert_allclose(backend.numpy(output), logs[numpy.arange(5), TARGET])
    assert loss.item() == pytest.approx(-logs[numpy.arange(5), TARGET].mean())
    numpy.testing.assert_array_equal(backend.numpy(layer.predict(x)), logs.argmax(axis=1))
    assert layer.predict(x[0]).item() == logs[0].argmax()


def test_predictions_and_probabilities_equal_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to be asked")
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(4, 7, [2, 4], div_value=2.0).double()
    layer, x = _layer(), cases.numbers((5, 4))
    layer.load_state_dict(theirs.state_dict())
    numpy.testing.assert_allclose(CPU.numpy(layer.log_prob(CPU.variable(x))), theirs.log_prob(torch.tensor(x)).detach())
    assert layer.predict(CPU.variable(x)).tolist() == theirs.predict(torch.tensor(x)).tolist()


def test_second_derivatives() -> None:
    layer = _layer()
    check(lambda x: layer(x, CPU.variable(TARGET, "int64")).output, [cases.numbers((5, 4))], CPU, order=2)


def test_an_unused_cluster_has_no_gradient() -> None:
    layer = _layer()
    layer(CPU.variable(cases.numbers((2, 4))), CPU.variable([0, 5], "int64")).loss.backward()
    assert [p.grad is None for p in layer.tail.parameters()] == [True, True, False, False]
    before = [p.tolist() for p in layer.parameters()]
    layer.reset_parameters()
    assert all(p.tolist() != old for p, old in zip(layer.parameters(), before, strict=True))


_x = CPU.variable(numpy.ones((2, 4)))
BAD: dict[str, Bad] = {
    "class": (
        lambda: _layer()(_x, CPU.variable([0, 7], "int64")),
        IndexError,
        "WithLoss: class index 7 is out of range for 7 classes",
    ),
    "target": (lambda: _layer()(_x, CPU.variable([0], "int64")), ValueError, r"have shape \(2,\), not \(1,\)"),
    "floats": (lambda: _layer()(_x, CPU.variable([0.0, 1.0])), TypeError, "class indices are integers, not of float64"),
    "features": (
        lambda: _layer()(_x[:, :3], CPU.variable([0, 1], "int64")),
        ValueError,
        r"is \(n, 4\) or \(4,\), not of shape \(2, 3\)",
    ),
    "nothing": (
        lambda: _layer()(_x[:0], CPU.variable([], "int64")),
        ValueError,
        "there is no sample to take a mean of",
    ),
    "order": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 7, [4, 2]),
        ValueError,
        r"cutoffs are increasing.*\[1, 6\], not \[4, 2\]",
    ),
    "none": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 7, []),
        ValueError,
        "cutoffs are increasing integers, at least one",
    ),
    "last": (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 7, [7]), ValueError, "cutoffs are increasing"),
    "zero": (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 7, [0, 3]), ValueError, "cutoffs are increasing"),
    "kind": (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 7, [2.5]), ValueError, "cutoffs are increasing"),  # type: ignore[list-item]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_and_says_what_to_write(name: str) -> None:
    check_error(BAD[name])
