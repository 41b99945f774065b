"""What all optimizers have in common: parameters, groups, the step, the learning rate, the state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.reference import cases
from tests.support.target import Target


def _leaf(target: Target, *values: float) -> nn.Parameter:
    return nn.Parameter(target.array(values or (1.0, -2.0)))


def _descend(target: Target, optimizer: rustorch.SGD, parameters: list[Any], steps: int) -> None:
    factor = target.variable(cases.numbers((4, 3)))
    for _ in range(steps):
        optimizer.zero_grad()
        cases.sgd_loss(rustorch, factor, *parameters).backward()
        optimizer.step()


# -- which parameters --------------------------------------------------------------------------------------------------
BAD_PARAMETERS: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "none": (lambda p: [], ValueError, r"SGD got no parameters; pass model.parameters\(\) or a list of Variables"),
    "an empty iterator": (lambda p: iter(()), ValueError, "SGD got no parameters"),
    "an empty group": (lambda p: [{"params": []}], ValueError, "SGD got a group without parameters"),
    "twice in a group": (lambda p: [p, p], ValueError, r"SGD: parameter 1 \(shape \(2,\)\) is listed twice"),
    "twice across groups": (
        lambda p: [{"params": [p]}, {"params": p}],
        ValueError,
        r"parameter 0 \(shape \(2,\)\) is listed twice",
    ),
    "computed": (
        lambda p: [p, p * 2],
        ValueError,
        r"parameter 1 was computed \(.*multiply.*\); only leaves can be optimized",
    ),
    "an array": (lambda p: [numpy.ones(2)], TypeError, "SGD optimizes Variables; parameter 0 is ndarray"),
    "a number": (lambda p: [p, 1.0], TypeError, "SGD optimizes Variables; parameter 1 is float"),
    "one alone": (lambda p: p, TypeError, "an iterable of Variables or of dicts, not one Parameter"),
    "a dict alone": (lambda p: {"params": [p]}, TypeError, "an iterable of Variables or of dicts, not one dict"),
    "no group": (lambda p: [{"param": [p]}], TypeError, "SGD: a group is a dict with 'params'"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_bad_parameters_raise_and_do_not_change(name: str, backend: Target) -> None:
    make, error, message = BAD_PARAMETERS[name]
    p = _leaf(backend)
    with pytest.raises(error, match=message):
        rustorch.SGD(make(p), lr=0.1)
    assert p.tolist() == [1.0, -2.0]
    assert p.grad is None


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        (lambda p: {"params": [p]}, ValueError, "is listed twice"),
        (lambda p: {"params": [nn.Parameter([1.0]), 3]}, TypeError, "parameter 1 is int"),
        (lambda p: [p], TypeError, "a group is a dict with 'params'"),
        (lambda p: {"params": []}, ValueError, "a group without parameters"),
    ],
)
def test_a_bad_group_is_not_added(group: Any, error: type[Exception], message: str) -> None:
    p = nn.Parameter([1.0])
    optimizer = rustorch.SGD([p], lr=0.1)
    with pytest.raises(error, match=message):
        optimizer.add_param_group(group(p))
    assert [list(map(id, g["params"])) for g in optimizer.param_groups] == [[id(p)]]


def test_a_group_without_an_option_has_the_default() -> None:
    optimizer = rustorch.SGD(
        [{"params": [nn.Parameter([1.0])], "lr": 0.5}, {"params": nn.Parameter([2.0])}], lr=0.1, momentum=0.9
    )
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    assert [group["momentum"] for group in optimizer.param_groups] == [0.9, 0.9]
    assert repr(optimizer).count("Parameter Group") == 2


# -- the step ----------------------------------------------------------------------------------------------------------
def test_a_parameter_without_a_gradient_does_not_change(backend: Target) -> None:
    p, q = _leaf(backend), _leaf(backend, 3.0, 4.0)
    optimizer = rustorch.SGD([p, q], lr=0.5, momentum=0.9, weight_decay=0.1)
    q.grad = backend.array([1.0, 1.0])
    optimizer.step()
    assert p.tolist() == [1.0, -2.0]
    assert q.tolist() != [3.0, 4.0]
    assert list(optimizer.state) == [q]


def test_a_step_returns_the_value_of_the_closure(backend: Target) -> None:
    p = _leaf(backend)
    optimizer = rustorch.SGD([p], lr=0.25)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with rustorch.no_grad():  # the closure still records
        assert optimizer.step(closure).item() == 5.0
    assert p.tolist() == [0.5, -1.0]
    assert optimizer.step() is None


def test_zero_grad_deletes_gradients_or_sets_them_to_zero(backend: Target) -> None:
    p, untouched = _leaf(backend), _leaf(backend)
    optimizer = rustorch.SGD([p, untouched], lr=0.25)
    (p * p).sum().backward()
    old = p.grad
    optimizer.zero_grad(set_to_none=False)
    numpy.testing.assert_array_equal(backend.numpy(p.grad), [0.0, 0.0])
    numpy.testing.assert_array_equal(backend.numpy(old), [2.0, -4.0])  # the old array is not written to
    assert untouched.grad is None
    optimizer.zero_grad()
    assert p.grad is None


def test_backward_raises_after_a_step_changed_a_saved_value(backend: Target) -> None:
    p = _leaf(backend)
    optimizer = rustorch.SGD([p], lr=0.25)
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    if backend.device == "jax":  # the step made a new array, so the saved value has not changed
        loss.backward()
        return
    with pytest.raises(RuntimeError, match=r"multiply: an array that its gradient needs .* was changed in place"):
        loss.backward()


def test_a_gradient_on_another_device_raises_and_no_parameter_changes() -> None:
    pytest.importorskip("array_api_strict")
    p = nn.Parameter([1.0, 2.0])
    (p * p).sum().backward()
    optimizer = rustorch.SGD([p], lr=0.1, momentum=0.9)
    gradient = p.grad
    p.zero_grad()
    p.data = rustorch.Variable(p.data, device="strict").data
    p._grad = gradient  # the setter would refuse it
    with pytest.raises(
        RuntimeError,
        match=r"a parameter \(2,\) float32 on 'strict' has a gradient \(2,\) float32 on 'cpu'; convert .* No parameter",
    ):
        optimizer.step()
    assert p.tolist() == [1.0, 2.0]
    assert optimizer.state == {}


# -- the learning rate -------------------------------------------------------------------------------------------------
def test_the_learning_rate_of_all_groups_is_set_at_once() -> None:
    optimizer = rustorch.SGD([{"params": [nn.Parameter([1.0])]}, {"params": [nn.Parameter([1.0])], "lr": 0.5}], lr=0.1)
    assert optimizer.lr == 0.1
    optimizer.lr = 0.25
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
    optimizer.set_lr(0)
    assert optimizer.lr == 0


@pytest.mark.parametrize("lr", [math.nan, math.inf, -1.0, "1", None, True])
def test_a_bad_learning_rate_is_not_set(lr: Any) -> None:
    optimizer = rustorch.SGD([{"params": [nn.Parameter([1.0])]}, {"params": [nn.Parameter([1.0])], "lr": 0.5}], lr=0.1)
    with pytest.raises(
        ValueError, match=f"SGD: lr is a finite number that is not negative, not {lr!r}".replace(".", "\\.")
    ):
        optimizer.set_lr(lr)
    with pytest.raises(ValueError, match="lr is a finite number"):
        optimizer.lr = lr
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]


# -- state -------------------------------------------------------------------------------------------------------------
def test_a_resumed_run_is_the_same_bit_for_bit(backend: Target) -> None:
    def start() -> tuple[list[Any], rustorch.SGD]:
        parameters = [backend.variable(array, requires_grad=True) for array in cases.sgd_start()]
        return parameters, rustorch.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True)

    through, optimizer = start()
    _descend(backend, optimizer, through, 20)

    first, optimizer = start()
    _descend(backend, optimizer, first, 10)
    state = copy.deepcopy(optimizer.state_dict())
    resumed = [backend.variable(backend.numpy(p), requires_grad=True) for p in first]
    optimizer = rustorch.SGD(resumed, lr=1.0)
    optimizer.load_state_dict(state)
    assert optimizer.lr == 0.05
    _descend(backend, optimizer, resumed, 10)
    for one, other in zip(through, resumed, strict=True):
        numpy.testing.assert_array_equal(backend.numpy(one), backend.numpy(other))


def test_a_loaded_state_is_a_copy(backend: Target) -> None:
    p, q = _leaf(backend), _leaf(backend)
    one, other = rustorch.SGD([p], lr=0.1, momentum=0.9), rustorch.SGD([q], lr=0.1, momentum=0.9)
    p.grad = backend.array([1.0, 2.0])
    one.step()
    other.load_state_dict(one.state_dict())
    p.grad = backend.array([5.0, 5.0])
    one.step()
    assert backend.numpy(other.state[q]["momentum_buffer"]).tolist() == [1.0, 2.0]
    one.param_groups[0]["lr"] = 7.0
    assert other.lr == 0.1


def test_state_dicts_have_the_layout_of_pytorch(backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to make a state")
    theirs = [torch.tensor(array, requires_grad=True) for array in cases.sgd_start()]
    ours = [backend.variable(array, requires_grad=True) for array in cases.sgd_start()]
    options = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
    their_optimizer, factor = torch.optim.SGD(theirs, **options), torch.tensor(cases.numbers((4, 3)))

    def their_steps(n: int) -> None:
        for _ in range(n):
            their_optimizer.zero_grad()
            cases.sgd_loss(torch, factor, *theirs).backward()
            their_optimizer.step()

    their_steps(5)
    optimizer = rustorch.SGD(ours, lr=1.0)
    optimizer.load_state_dict(their_optimizer.state_dict())
    assert optimizer.lr == 0.05
    for p, value in zip(ours, theirs, strict=True):
        p.data = backend.array(value.detach().numpy())
    their_steps(5)
    _descend(backend, optimizer, ours, 5)
    for p, value in zip(ours, theirs, strict=True):
        numpy.testing.assert_allclose(backend.numpy(p), value.detach().numpy(), rtol=1e-12, atol=1e-13)
    state, their_state = optimizer.state_dict(), their_optimizer.state_dict()
    assert list(state) == list(their_state) == ["state", "param_groups"]
    assert {key: set(entries) for key, entries in state["state"].items()} == {
        0: {"momentum_buffer"},
        1: {"momentum_buffer"},
    }
    assert state["param_groups"][0]["params"] == their_state["param_groups"][0]["params"] == [0, 1]


def _trained(target: Target) -> tuple[list[nn.Parameter], rustorch.SGD]:
    parameters = [_leaf(target), _leaf(target, 1.0, 2.0, 3.0)]
    optimizer = rustorch.SGD(parameters, lr=0.1, momentum=0.9)
    for p in parameters:
        p.grad = target.array(numpy.ones(p.shape))
    optimizer.step()
    return parameters, optimizer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s["param_groups"].append({"params": [2]}),
            "the state of other parameters or another .* loaded:\n  2 groups, here 1",
        ),
        (lambda s: s["param_groups"][0]["params"].pop(), "loaded:\n  group 0: 1 parameters, here 2"),
        (lambda s: s["state"].update({5: {}}), "loaded:\n  state of a parameter 5, which no group has"),
        (
            lambda s: s["state"][1].update(momentum_buffer=numpy.ones(2)),
            r"loaded:\n  parameter 1: momentum_buffer has shape \(2,\), here \(3,\)",
        ),
        (
            lambda s: s["state"][1].update(exp_avg=numpy.ones(3)),
            "loaded:\n  parameter 1: exp_avg, which is unknown here",
        ),
        (lambda s: s["param_groups"][0].update(lr=math.nan), "loaded:\n  group 0: SGD: lr is a finite number"),
        (lambda s: s["param_groups"][0].pop("nesterov"), "loaded:\n  group 0: no nesterov"),
        (lambda s: s.pop("state"), "a state_dict has 'state' and 'param_groups', this is a dict of 'param_groups'"),
    ],
)
def test_a_state_of_other_parameters_raises_and_nothing_is_loaded(change: Any, message: str, backend: Target) -> None:
    parameters, optimizer = _trained(backend)
    before = ([p.tolist() for p in parameters], repr(optimizer), copy.deepcopy(optimizer.state_dict()["state"]))
    state = optimizer.state_dict()
    state["param_groups"] = copy.deepcopy(state["param_groups"])
    state["param_groups"][0]["lr"] = 0.7
    state["state"][0] = {"momentum_buffer": numpy.array([8.0, 8.0])}
    change(state)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()["state"]
    assert ([p.tolist() for p in parameters], repr(optimizer)) == before[:2]
    for key, entries in before[2].items():
        assert after[key]["momentum_buffer"].tolist() == entries["momentum_buffer"].tolist()


# -- a user's optimizer ----------------------------------------------------------------------------------------------
class Signs(rustorch.Optimizer):
    """A step of fixed length, counted."""

    def __init__(self, params: Any, lr: float):
        super().__init__(params, {"lr": lr})

    def update(self, xp: Any, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]) -> Any:
        state["steps"] = state.get("steps", 0) + 1
        return p - options["lr"] * xp.sign(g)


def test_a_subclass_that_defines_update_makes_steps(backend: Target) -> None:
    p = _leaf(backend)
    optimizer = Signs([p], lr=0.5)
    for _ in range(2):
        p.grad = backend.array([3.0, -0.1])
        optimizer.step()
    assert p.tolist() == [0.0, -1.0]
    assert optimizer.state_dict()["state"] == {0: {"steps": 2}}


def test_the_base_class_has_no_update() -> None:
    p = nn.Parameter([1.0])
    p.grad = numpy.array([1.0], dtype="float32")
    with pytest.raises(NotImplementedError):
        rustorch.Optimizer([p], {"lr": 0.1}).step()
