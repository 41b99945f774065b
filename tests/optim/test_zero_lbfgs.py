"""L-BFGS under ZeroRedundancyOptimizer: each rank has a piece of the state, and all make the plain optimizer's step."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from tests.reference import cases, optim_cases
from tests.support.target import Target

from .test_zero import Zero, parameters_on

pytestmark = pytest.mark.ranks

TABLE = {name: options for name, (cls, options) in optim_cases.table().items() if cls == "LBFGS"}
SHAPES: list[tuple[int, ...]] = [(3, 2), (2,), (), (4, 3)]


def mean(values: list[Any]) -> Any:
    return sum(values[1:], start=values[0]) / len(values)


def closure_of(params: list[Any], optimizer: Any, target: float, calls: list[int] | None = None) -> Any:
    """A convex loss, for which rounding errors do not grow."""

    def closure() -> Any:
        if calls is not None:
            calls.append(1)
        optimizer.zero_grad()
        loss = mean([rustorch.sum(rustorch.sqrt(1 + (p - target) ** 2)) for p in params])
        loss.backward()
        return loss

    return closure


def assert_close(backend: Target, actual: list[Any], expected: list[Any]) -> None:
    for a, b in zip(actual, expected, strict=True):
        numpy.testing.assert_allclose(backend.numpy(a), backend.numpy(b), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", TABLE)
def test_the_steps_are_those_of_the_plain_optimizer(name: str, dist: ModuleType, backend: Target) -> None:
    mine, plain = (parameters_on(backend, SHAPES) for _ in range(2))
    optimizer, reference = Zero(mine, optim.LBFGS, **TABLE[name]), optim.LBFGS(plain, **TABLE[name])
    calls: list[int] = []
    expected_calls: list[int] = []
    for _ in range(2):
        loss = optimizer.step(closure_of(mine, optimizer, 0.7, calls))
        expected = reference.step(closure_of(plain, reference, 0.7, expected_calls))
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        assert_close(backend, mine, plain)
    assert calls == expected_calls
    everyone = dist.all_gather_object([backend.numpy(p).tolist() for p in mine])
    assert all(one == everyone[0] for one in everyone)  # bit for bit
    size = sum(p.size for p in mine) if backend.device != "torch" else 21
    pieces = dist.all_gather_object(int(optimizer.state[mine[0]]["d"].shape[0]))
    assert sum(pieces) == size
    assert max(pieces) <= -(-size // dist.get_world_size())
    if dist.get_world_size() == 1:
        for p, q in zip(mine, plain, strict=True):
            numpy.testing.assert_array_equal(backend.numpy(p), backend.numpy(q))


def test_the_loss_of_all_ranks_decides(dist: ModuleType, backend: Target) -> None:
    """Each rank has its own part of the batch, and gradients are averaged, as DDP does."""
    rank, size = dist.get_rank(), dist.get_world_size()
    data = [backend.variable(cases.numbers((4, 3), 0.4 * r)) for r in range(size)]
    mine, plain = (parameters_on(backend, [(3, 2)]) for _ in range(2))
    options: dict[str, Any] = {"line_search_fn": "strong_wolfe", "max_iter": 5}
    optimizer, reference = Zero(mine, optim.LBFGS, **options), optim.LBFGS(plain, **options)

    def loss_of(x: Any, p: Any) -> Any:
        return rustorch.mean(rustorch.sqrt(1 + (rustorch.matmul(x, p) - 1) ** 2))

    def closure() -> Any:
        optimizer.zero_grad()
        loss = loss_of(data[rank], mine[0])
        loss.backward()
        gradient = rustorch.Variable(mine[0].grad)
        dist.all_reduce(gradient, "avg")
        mine[0].grad = gradient
        return loss

    def whole() -> Any:
        reference.zero_grad()
        loss = mean([loss_of(x, plain[0]) for x in data])
        loss.backward()
        return loss

    for _ in range(3):
        loss = optimizer.step(closure)
        reference.step(whole)
        assert_close(backend, mine, plain)
    assert loss.shape == ()


@pytest.mark.parametrize("how", ["consolidate", "sharded", "rank"])
def test_a_state_goes_on(how: str, dist: ModuleType, backend: Target, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_iter": 3, "history_size": 4, "line_search_fn": "strong_wolfe"}
    mine, plain = (parameters_on(backend, SHAPES) for _ in range(2))
    optimizer, reference = Zero(mine, optim.LBFGS, **options), optim.LBFGS(plain, **options)
    for _ in range(2):
        optimizer.step(closure_of(mine, optimizer, 0.7))
        reference.step(closure_of(plain, reference, 0.7))
    if how == "consolidate":
        for to in range(dist.get_world_size()):
            optimizer.consolidate_state_dict(to)
            if dist.get_rank() == to:
                state = optimizer.state_dict()
            elif dist.get_world_size() > 1:
                with pytest.raises(RuntimeError, match="does not have the state of all ranks"):
                    optimizer.state_dict()
    else:
        path = Path(dist.broadcast_object(str(tmp_path))) / "checkpoint"
        rustorch.save({"optimizer": optimizer}, path, **({"sharded": True} if how == "sharded" else {"rank": 0}))
        state = rustorch.load(path)["optimizer"]
        dist.barrier()
    expected = reference.state_dict()
    assert state["param_groups"] == expected["param_groups"]
    assert state["state"][0].keys() == expected["state"][0].keys()
    for name in ("d", "prev_flat_grad"):
        numpy.testing.assert_allclose(
            backend.numpy(state["state"][0][name]), backend.numpy(expected["state"][0][name]), rtol=1e-9, atol=1e-10
        )
    both = [backend.numpy(p).copy() for p in mine]
    others = [[backend.variable(values, requires_grad=True) for values in both] for _ in range(2)]
    spread, alone = Zero(others[0], optim.LBFGS), optim.LBFGS(others[1])
    spread.load_state_dict(state)
    alone.load_state_dict(state)
    for params, one in ((mine, optimizer), *zip(others, (spread, alone), strict=True)):
        for _ in range(2):
            one.step(closure_of(params, one, 0.7))
    assert_close(backend, others[0], mine)
    assert_close(backend, others[1], mine)
    bad = {**state, "state": {0: {**state["state"][0], "d": numpy.zeros(3)}}}
    before = dict(spread.state[others[0][0]])
    with pytest.raises(ValueError, match=r"ZeroRedundancyOptimizer.load_state_dict: (.|\n)*nothing was loaded"):
        spread.load_state_dict(bad)
    assert dict(spread.state[others[0][0]]) == before


def test_a_step_that_fails_changes_nothing(dist: ModuleType, backend: Target) -> None:
    params = parameters_on(backend, SHAPES)
    optimizer = Zero(params, optim.LBFGS, max_iter=5)
    optimizer.step(closure_of(params, optimizer, 0.7))
    values = [backend.numpy(p).copy() for p in params]
    state = dict(optimizer.state[params[0]])
    good, calls = closure_of(params, optimizer, 0.3), []

    def failing() -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyError("data")
        return good()

    with pytest.raises(KeyError, match="data"):
        optimizer.step(failing)
    for p, value in zip(params, values, strict=True):
        numpy.testing.assert_array_equal(backend.numpy(p), value)
    assert optimizer.state[params[0]] == state
    assert optimizer.steps == 1


def test_bad_calls(dist: ModuleType, backend: Target) -> None:
    params = parameters_on(backend, SHAPES)
    optimizer = Zero(params, optim.LBFGS)
    assert repr(optimizer).startswith("ZeroRedundancyOptimizer (")
    assert isinstance(optimizer.optim, optim.LBFGS)
    with pytest.raises(TypeError, match="step needs a closure"):
        optimizer.step()
    with pytest.raises(ValueError, match="LBFGS has one group of parameters"):
        optimizer.add_param_group({"params": parameters_on(backend, [(2,)])})
    with pytest.raises(ValueError, match="LBFGS: line_search_fn is 'strong_wolfe' or None"):
        Zero(params, optim.LBFGS, line_search_fn="armijo")
    with pytest.raises(ValueError, match="LBFGS has no steps for complex parameters"):
        Zero([nn.Parameter(backend.array([1j], "complex128"))], optim.LBFGS)
