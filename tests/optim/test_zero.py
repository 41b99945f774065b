"""ZeroRedundancyOptimizer: parameters are those of the plain optimizer, and each rank keeps its part of the state."""

from __future__ import annotations

from types import MappingProxyType, ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from rustorch.optim import lr_scheduler
from tests.reference import cases, optim_cases
from tests.support.target import Target

pytestmark = pytest.mark.ranks

Zero = optim.ZeroRedundancyOptimizer
TABLE = optim_cases.table()
#: The case with the most options of each class whose parameters are updated one by one.
FULLEST = [
    max((name for name in TABLE if TABLE[name][0] == cls), key=lambda name: len(TABLE[name][1]))
    for cls in optim_cases.OPTIONS
    if cls != "LBFGS"
]
#: Matrices, vectors and a scalar; empty, small, and large enough for a message of its own (64 KiB).
SHAPES: list[tuple[int, ...]] = [(3, 4), (4,), (), (0, 3), (130, 80), (2, 3, 5), (9000,), (5, 2)]
MATRICES: list[tuple[int, ...]] = [(3, 4), (130, 80), (4, 3), (5, 5), (1, 1)]


def shapes_of(cls: str) -> list[tuple[int, ...]]:
    if cls == "Muon":
        return MATRICES
    return [shape for shape in SHAPES if cls != "Adafactor" or 0 not in shape]


def parameters_on(backend: Target, shapes: list[tuple[int, ...]], dtype: str = "float64") -> list[Any]:
    return [
        backend.variable(cases.numbers(shape, 0.1 * i), dtype, requires_grad=True) for i, shape in enumerate(shapes)
    ]


def set_gradients(backend: Target, params: list[Any], step: int, dtype: str = "float64") -> None:
    """Gradients that differ from step to step, and are those of all ranks together, as with DDP."""
    for i, p in enumerate(params):
        p.grad = backend.array(cases.numbers(tuple(p.shape), 0.7 * step + 0.2 * i), dtype)


def assert_same(backend: Target, actual: list[Any], expected: list[Any]) -> None:
    for a, b in zip(actual, expected, strict=True):
        numpy.testing.assert_array_equal(backend.numpy(a), backend.numpy(b))


def assert_same_state(actual: Any, expected: Any) -> None:
    """Assert that two state_dicts have the same structure, types and, bit for bit, values."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key in expected:
            assert_same_state(actual[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert type(actual) is type(expected)
        for a, b in zip(actual, expected, strict=True):
            assert_same_state(a, b)
    elif isinstance(expected, rustorch.Variable):
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
        numpy.testing.assert_array_equal(numpy.asarray(actual.to("cpu")), numpy.asarray(expected.to("cpu")))
    else:
        assert type(actual) is type(expected)
        assert actual == expected


def whole_state(dist: ModuleType, optimizer: Any, to: int = 0) -> Any:
    """The state_dict on rank ``to``, None on the others."""
    optimizer.consolidate_state_dict(to)
    return optimizer.state_dict() if dist.get_rank() == to else None


# -- steps -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("as_views", [False, True])
@pytest.mark.parametrize("name", FULLEST)
def test_parameters_and_state_are_those_of_the_plain_optimizer(
    name: str, as_views: bool, dist: ModuleType, backend: Target
) -> None:
    cls, options = TABLE[name]
    mine, plain = (parameters_on(backend, shapes_of(cls)) for _ in range(2))
    optimizer = Zero(mine, getattr(optim, cls), parameters_as_bucket_view=as_views, **options)
    reference = getattr(optim, cls)(plain, **options)
    for step in range(3):
        set_gradients(backend, mine, step)
        set_gradients(backend, plain, step)
        optimizer.step()
        reference.step()
        assert_same(backend, mine, plain)
    assert (optimizer.steps, optimizer.lr, optimizer.defaults) == (3, reference.lr, reference.defaults)
    for to in range(dist.get_world_size()):
        found = whole_state(dist, optimizer, to)
        if found is not None:
            assert_same_state(found, reference.state_dict())


@pytest.mark.parametrize("dtype", ["float32", "complex128", "complex64"])
@pytest.mark.parametrize("as_views", [False, True])
def test_dtypes(dtype: str, as_views: bool, dist: ModuleType, backend: Target) -> None:
    mine, plain = (parameters_on(backend, SHAPES, dtype) + parameters_on(backend, SHAPES) for _ in range(2))
    optimizer, reference = Zero(mine, optim.Adam, parameters_as_bucket_view=as_views, lr=0.1), optim.Adam(plain, lr=0.1)
    for step in range(2):
        for params in (mine, plain):
            set_gradients(backend, params[: len(SHAPES)], step, dtype)
            set_gradients(backend, params[len(SHAPES) :], step)
        optimizer.step()
        reference.step()
    assert_same(backend, mine, plain)


def test_each_parameter_has_one_owner_and_the_bytes_are_spread(dist: ModuleType, backend: Target) -> None:
    size = dist.get_world_size()
    params = parameters_on(backend, [(8, 8)] * 4 * size + [(8,)] * 4 * size)
    optimizer = Zero(params, optim.Adam)
    set_gradients(backend, params, 0)
    optimizer.step()
    owned = dist.all_gather_object([i for i, p in enumerate(params) if p in optimizer.state])
    assert sorted(i for one in owned for i in one) == list(range(len(params)))
    assert {len(one) for one in owned} == {8}
    assert sum(p.size for p in optimizer.state) == 4 * 64 + 4 * 8
    assert [p for group in optimizer.optim.param_groups for p in group["params"]] == list(optimizer.state)


def test_more_ranks_than_parameters(dist: ModuleType, backend: Target) -> None:
    mine, plain = (parameters_on(backend, [(2, 2)]) for _ in range(2))
    optimizer, reference = Zero(mine, optim.SGD, lr=0.1, momentum=0.9), optim.SGD(plain, lr=0.1, momentum=0.9)
    for step in range(3):
        set_gradients(backend, mine, step)
        set_gradients(backend, plain, step)
        optimizer.step()
        reference.step()
    assert_same(backend, mine, plain)
    found = whole_state(dist, optimizer)
    if found is not None:
        assert_same_state(found, reference.state_dict())


def test_the_owner_decides_and_the_others_receive(dist: ModuleType, backend: Target) -> None:
    """Only the owner of a parameter updates it: what another rank has in its place does not count."""
    params = parameters_on(backend, [(3, 3), (200, 50), (3,)])
    optimizer = Zero(params, optim.SGD, lr=0.5)
    set_gradients(backend, params, dist.get_rank())  # differ from rank to rank
    expected = [backend.numpy(p) - 0.5 * backend.numpy(p.grad) for p in params]
    optimizer.step()
    everyone = dist.all_gather_object([backend.numpy(p).tolist() for p in params])
    assert all(one == everyone[0] for one in everyone)
    for group in optimizer.optim.param_groups:
        for p in group["params"]:
            index = next(i for i, q in enumerate(params) if q is p)
            numpy.testing.assert_array_equal(backend.numpy(p), expected[index])


@pytest.mark.parametrize("as_views", [False, True])
def test_frozen_and_unused_parameters_do_not_change(as_views: bool, dist: ModuleType, backend: Target) -> None:
    mine, plain = (parameters_on(backend, SHAPES) for _ in range(2))
    for params in (mine, plain):
        params[1].requires_grad = params[4].requires_grad = False
    optimizer = Zero(mine, optim.Adam, parameters_as_bucket_view=as_views, lr=0.1)
    reference = optim.Adam(plain, lr=0.1)
    for step in range(4):
        if step == 2:  # thawed
            for params in (mine, plain):
                params[1].requires_grad = params[4].requires_grad = True
        for params in (mine, plain):
            set_gradients(backend, params, step)
            for p in params:
                if not p.requires_grad:
                    p.grad = None
            params[0].grad = params[6].grad = None
        optimizer.step()
        reference.step()
        assert_same(backend, mine, plain)
    found = whole_state(dist, optimizer)
    if found is not None:
        assert_same_state(found, reference.state_dict())


@pytest.mark.parametrize("as_views", [False, True])
def test_memory_layouts_may_differ_between_the_ranks(as_views: bool, dist: ModuleType) -> None:
    def parameters() -> list[Any]:
        arrays = [cases.numbers((60, 200), 0.1), cases.numbers((3, 4), 0.2), cases.numbers((100, 100), 0.3)]
        return [rustorch.Variable(array, requires_grad=True) for array in arrays]

    mine, plain = parameters(), parameters()
    if dist.get_rank() % 2 == 0:
        for p in mine:
            p.data = numpy.asfortranarray(p.data)
    else:
        mine[0].data.flags.writeable = False
    optimizer, reference = Zero(mine, optim.SGD, parameters_as_bucket_view=as_views, lr=0.1), optim.SGD(plain, lr=0.1)
    for step in range(2):
        for params in (mine, plain):
            for i, p in enumerate(params):
                p.grad = cases.numbers(tuple(p.shape), 0.3 * step + i)
        optimizer.step()
        reference.step()
        for p, q in zip(mine, plain, strict=True):
            numpy.testing.assert_array_equal(p.data, q.data)


def test_parameters_become_views_of_one_array_and_stay_right_after_they_are_replaced(dist: ModuleType) -> None:
    params = [rustorch.Variable(cases.numbers(shape), requires_grad=True) for shape in [(3, 5), (7,), (4, 4), (2,)] * 4]
    values = [p.data.copy() for p in params]
    optimizer = Zero(params, optim.SGD, parameters_as_bucket_view=True, lr=1.0)
    for p, value in zip(params, values, strict=True):
        numpy.testing.assert_array_equal(p.data, value)
    if dist.get_world_size() > 1:
        assert len({id(p.data.base) for p in params}) == dist.get_world_size()
    params[0].data = numpy.ones((3, 5))  # as a user may
    kept = params[1].data
    for p in params:
        p.grad = numpy.ones(p.shape)
    optimizer.step()
    numpy.testing.assert_array_equal(params[0].data, numpy.zeros((3, 5)))
    numpy.testing.assert_array_equal(params[1].data, values[1] - 1)
    if dist.get_world_size() > 1:
        assert len({id(p.data.base) for p in params}) == dist.get_world_size()
    assert kept.shape == (7,)


def test_a_saved_value_that_a_step_changes_raises_at_backward(dist: ModuleType, backend: Target) -> None:
    for as_views in (False, True):
        params = parameters_on(backend, [(3, 3), (3, 3), (3, 3)])
        optimizer = Zero(params, optim.SGD, parameters_as_bucket_view=as_views, lr=0.1)
        x = backend.variable(cases.numbers((3, 3)), requires_grad=True)
        losses = [rustorch.sum(x @ p) for p in params]
        set_gradients(backend, params, 0)
        optimizer.step()
        for loss in losses:
            if backend.library.mutable:
                with pytest.raises(RuntimeError, match="changed in place"):
                    loss.backward()


# -- what surrounds the step -------------------------------------------------------------------------------------------
def test_groups_schedules_and_options(dist: ModuleType, backend: Target) -> None:
    mine, plain = (parameters_on(backend, [(4, 3), (3,), (6, 2), (2,), (5, 5)]) for _ in range(2))

    def made(params: list[Any], build: Any) -> Any:
        groups = [{"params": params[:2], "lr": 0.2}, {"params": iter(params[2:4]), "weight_decay": 0.3}]
        return build(groups)

    optimizer = made(mine, lambda groups: Zero(groups, optim.Adam, lr=0.1))
    reference = made(plain, lambda groups: optim.Adam(groups, lr=0.1))
    schedules: list[Any] = [lr_scheduler.OneCycleLR(one, [0.5, 0.4], total_steps=20) for one in (optimizer, reference)]
    for step in range(6):
        if step == 3:
            optimizer.param_groups[1]["eps"] = reference.param_groups[1]["eps"] = 1e-2
        if step == 4:
            for one, params in ((optimizer, mine), (reference, plain)):
                one.add_param_group({"params": params[4], "lr": 0.05, "initial_lr": 0.05})
                schedules = [lr_scheduler.ExponentialLR(each, 0.9) for each in (optimizer, reference)]
        for one, params, schedule in zip((optimizer, reference), (mine, plain), schedules, strict=True):
            one.zero_grad()
            assert all(p.grad is None for p in params)
            set_gradients(backend, params[: 5 if step >= 4 else 4], step)
            one.step()
            schedule.step()
        assert_same(backend, mine, plain)
        assert optimizer.lr == reference.lr
    optimizer.set_lr(0.25)
    reference.lr = 0.25
    for one, params in ((optimizer, mine), (reference, plain)):
        set_gradients(backend, params, 9)
        one.step()
        one.zero_grad(set_to_none=False)
    assert_same(backend, mine, plain)
    assert not any(backend.numpy(p.grad).any() for p in mine)
    assert repr(optimizer) == repr(reference).replace("Adam (", "ZeroRedundancyOptimizer (")
    found = whole_state(dist, optimizer)
    if found is not None:
        assert_same_state(found, reference.state_dict())


def test_names_of_parameters(dist: ModuleType) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = Zero(model.named_parameters(), optim.Adam)
    assert optimizer.param_groups[0]["param_names"] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    local = optimizer.optim.param_groups[0]
    named = dict(model.named_parameters())
    assert [named[name] for name in local["param_names"]] == local["params"]


def test_a_closure_runs_once_and_its_loss_is_returned(dist: ModuleType, backend: Target) -> None:
    mine, plain = (parameters_on(backend, [(4, 3), (3,)]) for _ in range(2))
    calls: list[int] = []

    def closure_of(params: list[Any], optimizer: Any) -> Any:
        def closure() -> Any:
            calls.append(1)
            optimizer.zero_grad()
            loss = rustorch.sum((rustorch.sum(params[0], axis=0) + params[1]) ** 2)
            loss.backward()
            return loss

        return closure

    optimizer, reference = Zero(mine, optim.Adam, lr=0.1), optim.Adam(plain, lr=0.1)
    for _ in range(3):
        calls.clear()
        with rustorch.no_grad():
            loss = optimizer.step(closure_of(mine, optimizer))
        assert len(calls) == 1
        assert loss.item() == reference.step(closure_of(plain, reference)).item()
    assert_same(backend, mine, plain)


def test_an_optimizer_of_a_user(dist: ModuleType, backend: Target) -> None:
    class Counting(rustorch.Optimizer):
        """With state of many kinds, and an option that old states lack."""

        added_options = MappingProxyType({"lr": 0.2})

        def __init__(self, params: Any, lr: float = 0.1):
            super().__init__(params, {"lr": lr})

        def start(self, xp: Any, p: Any, options: dict[str, Any]) -> dict[str, Any]:
            return {"count": 0, "label": "a", "past": [], "flag": True, "none": None, "scale": 0.1, "mean": 0 * p}

        def update(self, xp: Any, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]) -> Any:
            state["count"] += 1
            state["past"] = [*state["past"], g][-2:]
            state["mean"] = sum(state["past"][1:], state["past"][0]) / 2
            return p - options["lr"] * state["mean"]

    mine, plain = (parameters_on(backend, [(4, 3), (3,), (2, 2), (1,)]) for _ in range(2))
    optimizer, reference = Zero(mine, Counting, lr=0.2), Counting(plain, lr=0.2)
    for step in range(3):
        set_gradients(backend, mine, step)
        set_gradients(backend, plain, step)
        optimizer.step()
        reference.step()
    assert_same(backend, mine, plain)
    found = whole_state(dist, optimizer)
    if found is not None:
        assert_same_state(found, reference.state_dict())
    old = {**reference.state_dict(), "state": {}}
    del old["param_groups"][0]["lr"]
    optimizer.load_state_dict(old)
    assert optimizer.lr == 0.2


def test_a_smaller_group(dist: ModuleType) -> None:
    size = dist.get_world_size()
    members = list(range(max(1, size - 1)))[::-1]
    group = dist.new_group(members)
    params = [rustorch.Variable(cases.numbers((3, i + 1)), requires_grad=True) for i in range(5)]
    if dist.get_rank() not in members:
        with pytest.raises(
            ValueError, match=rf"rank {size - 1} is not in the group of ranks \(.*\); its members alone make the optim"
        ):
            Zero(params, optim.Adam, process_group=group)
        return
    before = [p.data.copy() for p in params]
    optimizer = Zero(params, optim.SGD, process_group=group, lr=1.0, momentum=0.5)
    for p in params:
        p.grad = numpy.ones(p.shape)
    optimizer.step()
    for p, old in zip(params, before, strict=True):
        numpy.testing.assert_array_equal(p.data, old - 1)
    optimizer.consolidate_state_dict(to=members[0])
    if dist.get_rank() == members[0]:
        assert list(optimizer.state_dict()["state"]) == list(range(5))
    if size > 1:
        with pytest.raises(ValueError, match=rf"rank {size - 1} is not in the group"):
            optimizer.consolidate_state_dict(to=size - 1)
