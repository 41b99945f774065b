"""The CTC loss: its sum over all alignments, derivatives, targets without an alignment, bad input."""

from __future__ import annotations

import itertools
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
TIMES, CLASSES = 4, 3
LOGS = (
    -numpy.abs(cases.numbers((TIMES, 2, CLASSES))) - 0.1
)  # not normalized, because the derivative treats all of them as independent


def _counted(logs: numpy.ndarray, labels: tuple[int, ...]) -> float:
    """Minus the logarithm of the sum of the probabilities of all paths that give the labels."""
    total = 0.0
    for path in itertools.product(range(CLASSES), repeat=len(logs)):
        runs = [label for label, _ in itertools.groupby(path)]
        if tuple(label for label in runs if label) == labels:
            total += numpy.exp(sum(logs[t, label] for t, label in enumerate(path)))
    return -numpy.log(total)


def _check_sum(labels: tuple[int, ...], target: Target) -> None:
    loss = F.ctc_loss(
        target.variable(LOGS[:, 0]), target.variable(labels, "int64"), TIMES, len(labels), reduction="none"
    )
    assert loss.shape == ()
    assert loss.item() == pytest.approx(_counted(LOGS[:, 0], labels), rel=1e-12)


@pytest.mark.parametrize("labels", [(), (1,), (1, 1), (1, 2, 1), (1, 1, 2)])
def test_loss_sums_over_all_alignments(labels: tuple[int, ...]) -> None:
    _check_sum(labels, CPU)


def test_loss_sums_over_all_alignments_on_every_backend(backend: Target) -> None:
    _check_sum((2, 1), backend)


def _loss(x: Any, **options: Any) -> Any:
    labels, lengths = CPU.variable([[1, 1], [2, 0]], "int64"), CPU.variable([4, 3], "int64")
    return F.ctc_loss(x, labels, lengths, (2, 1), reduction="none", **options)


def test_first_and_second_derivatives_equal_central_differences() -> None:
    check(_loss, [LOGS], CPU, order=2)


def test_a_loss_without_alignment_is_infinite_or_0_and_has_gradient_0(backend: Target) -> None:
    for zero, expected in ((False, numpy.inf), (True, 0.0)):
        x = backend.variable(LOGS, requires_grad=True)
        # two equal labels need a blank between them, so two times are not enough
        loss = F.ctc_loss(
            x, backend.variable([[1, 1], [1, 2]], "int64"), (2, 2), (2, 2), reduction="none", zero_infinity=zero
        )
        assert loss.tolist()[0] == expected
        loss.sum().backward()
        gradient = backend.numpy(x.grad)
        numpy.testing.assert_array_equal(gradient[:, 0], 0)
        numpy.testing.assert_allclose(gradient[:2, 1], [[0, -1, 0], [0, 0, -1]], atol=1e-12)
        numpy.testing.assert_array_equal(gradient[2:], 0)


def test_a_class_of_probability_0_makes_no_nan() -> None:
    with numpy.errstate(divide="ignore"):
        logs = numpy.log([[[0.5, 0.5, 0.0]], [[0.5, 0.5, 0.0]], [[1.0, 0.0, 0.0]]])
    x = CPU.variable(logs, requires_grad=True)
    loss = F.ctc_loss(x, CPU.variable([[1]], "int64"), (3,), (1,), reduction="sum")
    loss.backward()
    assert numpy.exp(-loss.item()) == pytest.approx(0.75)
    assert numpy.isfinite(CPU.numpy(x.grad)).all()


def test_long_inputs_do_not_underflow_in_float32() -> None:
    x = CPU.variable(numpy.log(numpy.full((500, 1, 4), 0.25)), "float32", requires_grad=True)
    loss = F.ctc_loss(x, CPU.variable(numpy.resize([1, 2, 3], (1, 100)), "int64"), (500,), (100,))
    loss.backward()
    gradient = CPU.numpy(x.grad)
    # at each time the gradients of all classes sum to -1; the mean divides by the 100 labels
    numpy.testing.assert_allclose(gradient.sum(axis=2), -0.01, rtol=1e-3)


def test_an_input_of_length_0_has_loss_0_with_zero_infinity(backend: Target) -> None:
    x = backend.variable(LOGS)
    loss = F.ctc_loss(x, backend.variable([[1], [1]], "int64"), (0, 0), (0, 1), reduction="none", zero_infinity=True)
    assert loss.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_lengths_may_have_any_integer_dtype(dtype: str) -> None:
    x, labels = CPU.variable(LOGS), CPU.variable([[1], [2]], dtype)
    by_tuple = nn.CTCLoss()(x, labels, (4, 4), [1, 1])
    assert nn.CTCLoss()(x, labels, CPU.variable([4, 4], dtype), numpy.array([1, 1], dtype)).item() == by_tuple.item()
    assert nn.CTCLoss()(x, labels[:, 0], (4, 4), (1, 1)).item() == by_tuple.item()


_x = CPU.variable(LOGS)
_y = CPU.variable([[1, 2], [2, 0]], "int64")
BAD: dict[str, Bad] = {
    "longer": (
        lambda: F.ctc_loss(_x, _y, (4, 1), (2, 2)),
        ValueError,
        "ctc_loss: a target is longer than its input by 1, and has no alignment; with zero_infinity=True",
    ),
    "input length": (
        lambda: F.ctc_loss(_x, _y, (5, 4), (2, 1)),
        ValueError,
        r"ctc_loss: input_lengths are in \[0, 4\], for there are 4 times; one is 5",
    ),
    "target length": (
        lambda: F.ctc_loss(_x, _y, (4, 4), (3, 1)),
        ValueError,
        r"target_lengths are in \[0, 2\].*one is 3",
    ),
    "negative length": (
        lambda: F.ctc_loss(_x, _y, (4, 4), (-1, 1)),
        ValueError,
        r"target_lengths are in \[0, 2\].*one is -1",
    ),
    "lengths": (
        lambda: F.ctc_loss(_x, _y, (4, 4, 4), (2, 1)),
        ValueError,
        r"input_lengths have shape \(2,\), not \(3,\)",
    ),
    "float lengths": (
        lambda: F.ctc_loss(_x, _y, CPU.variable([4.0, 4.0]), (2, 1)),
        TypeError,
        "input_lengths are integers, not of float64",
    ),
    "label": (
        lambda: F.ctc_loss(_x, CPU.variable([[1, 3], [2, 0]], "int64"), (4, 4), (2, 1)),
        IndexError,
        "ctc_loss: label 3 is out of range for 3 classes",
    ),
    "float targets": (
        lambda: nn.CTCLoss()(_x, CPU.variable([[1.0], [1.0]]), (4, 4), (1, 1)),
        TypeError,
        "ctc_loss: targets are integers, not of float64",
    ),
    "targets": (
        lambda: F.ctc_loss(_x, _y[:1], (4, 4), (2, 1)),
        ValueError,
        r"for 2 samples targets are \(2, l\).*not of shape \(1, 2\)",
    ),
    "in a row": (
        lambda: F.ctc_loss(_x, _y[:, 0], (4, 4), (1, 2)),
        ValueError,
        r"ctc_loss: there are 2 labels, but target_lengths sum to 3",
    ),
    "blank": (
        lambda: F.ctc_loss(_x, _y, (4, 4), (2, 1), blank=3),
        ValueError,
        "ctc_loss: blank is one of 3 classes, not 3",
    ),
    "rank": (
        lambda: F.ctc_loss(_x[0, 0], _y, (4, 4), (2, 1)),
        ValueError,
        r"log_probs is \(t, n, classes\) or.*not of shape \(3,\)",
    ),
    "no times": (
        lambda: F.ctc_loss(_x[:0], _y, (0, 0), (0, 0)),
        ValueError,
        "ctc_loss: the input needs at least one time",
    ),
    "reduction": (lambda: nn.CTCLoss(reduction="max"), ValueError, "CTCLoss: reduction is 'mean'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_and_says_what_to_write(name: str) -> None:
    check_error(BAD[name])
    assert rustorch.all(_x == CPU.variable(LOGS))
