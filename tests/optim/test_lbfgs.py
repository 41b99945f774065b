"""L-BFGS finds minima, limits the calls of its closure, and changes nothing when the closure fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from tests.support.target import Target


def _rosenbrock(optimizer: Any, x: Any, calls: list[float]) -> Callable[[], Any]:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        calls.append(loss.item())
        return loss

    return closure


def test_finds_the_minimum_of_the_rosenbrock_function(backend: Target) -> None:
    x = backend.variable(numpy.array([-1.5, 2.0]), requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe")
    calls: list[float] = []
    for _ in range(3):
        optimizer.step(_rosenbrock(optimizer, x, calls))
    numpy.testing.assert_allclose(backend.numpy(x), [1.0, 1.0], rtol=1e-5)
    assert len(calls) < 100
    assert optimizer.state[x]["func_evals"] == len(calls)


def test_a_step_returns_the_first_loss_and_limits_its_evaluations() -> None:
    x = rustorch.tensor([-1.5, 2.0], requires_grad=True, dtype=rustorch.float64)
    for search in (None, "strong_wolfe"):
        optimizer = optim.LBFGS([x], lr=1e-3, max_iter=20, max_eval=4, line_search_fn=search)
        calls: list[float] = []
        with rustorch.no_grad():  # the closure still records
            loss = optimizer.step(_rosenbrock(optimizer, x, calls))
        assert loss.item() == calls[0]
        assert len(calls) in (4, 5)


def test_a_step_without_a_closure_or_a_loss_raises() -> None:
    x = nn.Parameter([1.0])
    optimizer = optim.LBFGS([x])
    with pytest.raises(TypeError, match=r"LBFGS.step needs a closure, .* def closure\(\): optimizer.zero_grad\(\)"):
        optimizer.step()
    with pytest.raises(TypeError, match="LBFGS: the closure returned None; it returns the loss"):
        optimizer.step(lambda: None)
    assert x.tolist() == [1.0]
    assert optimizer.state == {}


@pytest.mark.parametrize("fails_at", [0, 1, 3, 5])
def test_a_closure_that_fails_changes_nothing(fails_at: int, backend: Target) -> None:
    x = backend.variable(numpy.array([-1.5, 2.0]), requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=5, line_search_fn="strong_wolfe")
    calls: list[float] = []
    closure = _rosenbrock(optimizer, x, calls)
    optimizer.step(closure)
    before, state = backend.numpy(x).copy(), dict(optimizer.state[x])
    history = [backend.numpy(y).copy() for y in state["old_dirs"]]
    calls.clear()

    def failing() -> Any:
        if len(calls) == fails_at:
            raise ZeroDivisionError("an error of the user")
        return closure()

    with pytest.raises(ZeroDivisionError, match="an error of the user"):
        optimizer.step(failing)
    numpy.testing.assert_array_equal(backend.numpy(x), before)
    assert optimizer.state[x] == state or list(optimizer.state[x]) == list(state)
    assert optimizer.state[x]["n_iter"] == state["n_iter"]
    for current, old in zip(optimizer.state[x]["old_dirs"], history, strict=True):
        numpy.testing.assert_array_equal(backend.numpy(current), old)


def test_parameters_without_a_gradient_do_not_change() -> None:
    x, y = rustorch.tensor([3.0], requires_grad=True), rustorch.tensor([5.0], requires_grad=True)
    optimizer = optim.LBFGS([x, y], lr=0.5)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert abs(x.item()) < 1e-3
    assert y.tolist() == [5.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(d=numpy.ones(3)), r"d has shape \(3,\), here \(2,\)"),
        (lambda s: s.update(exp_avg=numpy.ones(2)), "exp_avg, which is unknown here"),
        (lambda s: s.pop("old_dirs"), "no old_dirs"),
        (lambda s: s.update(d="x"), r"d is 'x', here an array of shape \(2,\)"),
        (lambda s: s.update(t="x"), "t is 'x', here a number"),
        (lambda s: s.update(old_stps=5), "old_stps is 5, here a list"),
        (lambda s: s["old_stps"].append(numpy.ones(2)), "old_dirs, old_stps and ro of different lengths"),
    ],
)
def test_a_malformed_state_is_refused(change: Callable[[Any], Any], message: str) -> None:
    x = rustorch.tensor([-1.5, 2.0], requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=3)
    optimizer.step(_rosenbrock(optimizer, x, []))
    state = optimizer.state_dict()
    change(state["state"][0])
    before = dict(optimizer.state[x])
    with pytest.raises(ValueError, match=f"nothing was loaded:\n  parameter 0: {message}"):
        optimizer.load_state_dict(state)
    assert optimizer.state[x].keys() == before.keys()
    assert all(optimizer.state[x][name] is before[name] for name in before)
