"""``numpy.errstate(all="raise")``: NumPy's errors keep their type, in forward, in backward and in anomaly mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch

FORWARD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "exp": (lambda x: rustorch.exp(x), "overflow"),
    "log": (lambda x: rustorch.log(x), "divide by zero"),
    "divide": (lambda x: x / 0.0, "divide by zero|invalid"),
    "multiply": (lambda x: x * 1e38, "overflow"),
    "sum": (lambda x: rustorch.sum(rustorch.stack([x, x]) * 1e35 * 3e2, axis=0), "overflow"),
    "sqrt": (lambda x: rustorch.sqrt(-x), "invalid"),
    "softmax": (lambda x: rustorch.nn.functional.softmax(rustorch.log(x), 0), "divide by zero"),
}


@pytest.mark.parametrize("name", FORWARD)
def test_forward_raises_numpys_error(name: str) -> None:
    function, message = FORWARD[name]
    x = rustorch.tensor([1000.0, 0.0], requires_grad=True)
    for mode in (rustorch.enable_grad, rustorch.no_grad):
        with mode(), numpy.errstate(all="raise"), pytest.raises(FloatingPointError, match=message):
            function(x)


def test_backward_and_second_order_raise_numpys_error() -> None:
    x = rustorch.tensor([4.0, 0.0], requires_grad=True)
    y = rustorch.sqrt(x).sum()
    with numpy.errstate(all="raise"):
        for call in (
            lambda: y.backward(retain_graph=True),
            lambda: rustorch.grad(y, x, retain_graph=True),
            lambda: rustorch.grad(y, x, create_graph=True),
            lambda: rustorch.func.grad(lambda x: rustorch.sqrt(x).sum())(x),
        ):
            with pytest.raises(FloatingPointError, match="divide by zero"):
                call()
    assert x.grad is None
    with numpy.errstate(all="ignore"):
        y.backward()
    assert x.grad.tolist() == [0.25, numpy.inf]


def test_in_anomaly_mode_numpy_is_first() -> None:
    x = rustorch.tensor([4.0, 0.0], requires_grad=True)
    with rustorch.detect_anomaly():
        with numpy.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
            rustorch.log(x)
        y = rustorch.sqrt(x).sum()
        with numpy.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
            y.backward(retain_graph=True)
        with (
            numpy.errstate(all="ignore"),
            pytest.raises(RuntimeError, match="the gradient of sqrt in input 'x' holds inf"),
        ):
            y.backward()
    with rustorch.autograd.detect_writes():
        y = rustorch.sqrt(x).sum()
        with numpy.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
            y.backward()


def test_numbers_that_are_too_large_overflow() -> None:
    x = rustorch.tensor([1.0])
    with pytest.raises(OverflowError):
        rustorch.asarray(10**400, dtype=rustorch.float64)
    with pytest.raises(OverflowError):
        rustorch.asarray([1], dtype=rustorch.int8) + 10**30
    assert x.tolist() == [1.0]
