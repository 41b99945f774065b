"""detect_anomaly: its errors name the operation and the line, and it leaves nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd.graph import FAST_TYPES, VARIABLES
from rustorch.nn import functional as F
from tests.support.target import Target


def _line_of(text: str) -> str:
    """``file:line`` of the only line of this file that ends with the mark."""
    lines = [
        i
        for i, line in enumerate(Path(__file__).read_text(encoding="utf-8").splitlines(), 1)
        if line.rstrip().endswith(f"# {text}")
    ]
    assert len(lines) == 1
    return f"test_anomaly.py:{lines[0]}: "


def test_the_error_names_the_operation_and_the_line_of_a_bad_result(backend: Target) -> None:
    x = backend.variable([1.0, -1.0, 0.0], requires_grad=True)
    with pytest.raises(RuntimeError) as caught, numpy.errstate(all="ignore"), rustorch.detect_anomaly():
        y = x * 2
        y = rustorch.log(y)  # forward
    assert "the result of log holds nan (1 of 3 elements); log was called at " in str(caught.value)
    assert _line_of("forward") in str(caught.value)


def test_the_error_names_the_input_and_the_line_of_a_bad_gradient(backend: Target) -> None:
    x = backend.variable([1.0, 0.0], requires_grad=True)
    with pytest.raises(RuntimeError) as caught, numpy.errstate(all="ignore"), rustorch.detect_anomaly():
        y = rustorch.sqrt(x * 1.0)  # backward
        y.sum().backward()
    assert "the gradient of sqrt in input 'x' holds inf (1 of 2 elements)" in str(caught.value)
    assert _line_of("backward") in str(caught.value)
    assert x.grad is None


def test_results_that_are_not_recorded_are_checked_too() -> None:
    with (
        pytest.raises(RuntimeError, match=r"the result of divide holds inf \(1 of 1 elements\); divide"),
        numpy.errstate(all="ignore"),
        rustorch.detect_anomaly(),
    ):
        rustorch.tensor(1.0) / rustorch.tensor(0.0)
    with (
        pytest.raises(RuntimeError, match="the result of log holds nan"),
        numpy.errstate(all="ignore"),
        rustorch.detect_anomaly(),
    ):
        rustorch.log(rustorch.tensor(-1.0))


@pytest.mark.parametrize("create_graph", [False, True])
def test_joint_rules_and_calls_with_several_outputs_are_checked(create_graph: bool) -> None:
    bad = rustorch.custom_primitive("bad", lambda xp, x, y, /: x + y, joint=lambda xp, g: (g, g * float("nan")))
    x = rustorch.tensor([1.0], requires_grad=True)
    with rustorch.detect_anomaly():
        out = bad(x * 1.0, x * 1.0).sum()
        with pytest.raises(RuntimeError, match=r"the gradient of bad in input 'y' holds nan"):
            rustorch.grad(out, x, create_graph=create_graph)
        parts = rustorch.unstack(rustorch.stack([x, x]))
        (parts[0] * parts[1]).sum().backward()
    numpy.testing.assert_array_equal(x.grad, [2.0])


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("start", "name", "alone"),
    [
        ([[3e30]], "weight", False),
        ([[3e30]], "weight", True),
        ([[3e38], [3e38]], "bias", False),
        ([[float("-inf")], [1.0]], "bias", True),
    ],
)
def test_both_gradients_of_a_pair_are_checked(start: Any, name: str, alone: bool, create_graph: bool) -> None:
    x = rustorch.full((len(start), 1), 3e30 if name == "weight" else 0.5)
    weight, bias = (rustorch.zeros(shape).requires_grad_() for shape in ((1, 1), (1,)))
    with rustorch.detect_anomaly(), numpy.errstate(all="ignore"):
        out = F.linear(x, weight, bias)
        with pytest.raises(RuntimeError, match=f"the gradient of linear in input '{name}' holds inf"):
            of = [weight if name == "weight" else bias] if alone else [weight, bias]
            rustorch.grad(out, of, rustorch.asarray(start), create_graph=create_graph)
        if name == "bias" and not alone:  # what nobody asks for is not computed
            x[...] = 0.0
            (of_weight,) = rustorch.grad(F.linear(x, weight, bias), weight, rustorch.asarray(start))
            assert of_weight.tolist() == [[0.0]]


def test_the_backward_of_a_function_is_checked() -> None:
    class Bad(rustorch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1.0

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return rustorch.asarray(g.data * numpy.float32("nan"))

    x = rustorch.tensor([1.0], requires_grad=True)
    with rustorch.detect_anomaly():
        out = Bad.apply(x).sum()
    with pytest.raises(RuntimeError, match=r"the gradient of Bad in input 'argument 0' holds nan"):
        out.backward()


def test_infinities_pass_with_infinity_false() -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    mask = rustorch.asarray([True, False])
    with rustorch.detect_anomaly(infinity=False):
        rustorch.nn.functional.softmax(rustorch.where(mask, x, float("-inf")), dim=-1).sum().backward()
        with pytest.raises(RuntimeError, match="holds nan"), numpy.errstate(all="ignore"):
            rustorch.sqrt(x - 5)
    assert x.grad is not None


def test_gradients_do_not_change_and_the_fast_paths_come_back_afterwards() -> None:
    def step() -> Any:
        x = rustorch.tensor([[1.0, 2.0]], requires_grad=True)
        rustorch.tanh(rustorch.concat([x, x * x])).sum().backward()
        return x.grad

    plain = step()
    with rustorch.detect_anomaly():
        with rustorch.detect_anomaly():
            inside = step()
        assert not FAST_TYPES
    numpy.testing.assert_array_equal(inside, plain)
    with pytest.raises(ZeroDivisionError), rustorch.detect_anomaly():
        raise ZeroDivisionError
    assert FAST_TYPES == VARIABLES


def test_other_threads_are_not_checked() -> None:
    results: list[Any] = []
    with numpy.errstate(all="ignore"), rustorch.detect_anomaly():

        def other() -> None:
            with numpy.errstate(all="ignore"):
                results.append(rustorch.log(rustorch.tensor(-1.0, requires_grad=True)).item())

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(results) == 1 and results[0] != results[0]
