"""The state of ZeroRedundancyOptimizer: whole, in pieces, on another number of ranks; its memory; and bad input."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from tests.support import jobs
from tests.support.target import Target

from .test_zero import (
    FULLEST,
    TABLE,
    Zero,
    assert_same,
    assert_same_state,
    parameters_on,
    set_gradients,
    shapes_of,
    whole_state,
)


def _steps(backend: Target, params: list[Any], optimizer: Any, steps: range) -> None:
    for step in steps:
        set_gradients(backend, params, step)
        optimizer.step()


@pytest.mark.ranks
@pytest.mark.parametrize("name", FULLEST)
def test_a_whole_state_resumes_both_kinds(name: str, dist: ModuleType, backend: Target) -> None:
    """From the spread optimizer to the plain one, and back."""
    cls, options = TABLE[name]
    shapes = shapes_of(cls)
    params, expected = parameters_on(backend, shapes), parameters_on(backend, shapes)
    optimizer = Zero(params, getattr(optim, cls), **options)
    reference = getattr(optim, cls)(expected, **options)
    _steps(backend, params, optimizer, range(2))
    _steps(backend, expected, reference, range(2))
    state = whole_state(dist, optimizer)
    if state is not None:
        plain = [backend.variable(backend.numpy(p), requires_grad=True) for p in params]
        resumed = getattr(optim, cls)(plain)
        resumed.load_state_dict(state)
        _steps(backend, plain, resumed, range(2, 4))
    spread = [backend.variable(backend.numpy(p), requires_grad=True) for p in params]
    resumed_spread = Zero(spread, getattr(optim, cls))
    resumed_spread.load_state_dict(reference.state_dict())
    _steps(backend, spread, resumed_spread, range(2, 4))
    _steps(backend, expected, reference, range(2, 4))
    assert_same(backend, spread, expected)
    if state is not None:
        assert_same(backend, plain, expected)
    found = whole_state(dist, resumed_spread)
    if found is not None:
        assert_same_state(found, reference.state_dict())


@pytest.mark.ranks
def test_the_pieces_of_all_ranks_make_the_whole_state(dist: ModuleType, backend: Target) -> None:
    params, expected = (parameters_on(backend, shapes_of("ASGD")) for _ in range(2))
    optimizer, reference = Zero(params, optim.ASGD, lr=0.1), optim.ASGD(expected, lr=0.1)
    _steps(backend, params, optimizer, range(2))
    _steps(backend, expected, reference, range(2))
    piece, whole = optimizer.local_state_dict(), reference.state_dict()
    assert piece["param_groups"] == whole["param_groups"]
    assert list(piece["state"]) == list(whole["state"])
    arrays = {i for i, entries in piece["state"].items() if "ax" in entries}
    assert arrays == {i for i, p in enumerate(params) if p in optimizer.state}
    for number, entries in whole["state"].items():
        numbers = {name: value for name, value in entries.items() if name != "ax"}
        assert {name: piece["state"][number][name] for name in numbers} == numbers
        if number in arrays:
            assert_same_state(piece["state"][number]["ax"], entries["ax"])
            assert piece["state"][number]["ax"].data is optimizer.state[params[number]]["ax"]
    assert sorted(i for one in dist.all_gather_object(list(arrays)) for i in one) == list(range(len(params)))


@pytest.mark.ranks
@pytest.mark.parametrize("how", [{"sharded": True}, {"rank": 0}])
@pytest.mark.parametrize("cls", ["SGD", "Adam", "Adafactor", "Muon"])
def test_it_is_saved_by_all_ranks_together(
    how: dict[str, Any], cls: str, dist: ModuleType, tmp_path: Path, backend: Target
) -> None:
    path = Path(dist.broadcast_object(str(tmp_path))) / "checkpoint"
    params, expected = (parameters_on(backend, shapes_of(cls)) for _ in range(2))
    optimizer, reference = Zero(params, getattr(optim, cls), lr=0.1), getattr(optim, cls)(expected, lr=0.1)
    _steps(backend, params, optimizer, range(2))
    _steps(backend, expected, reference, range(2))
    rustorch.save({"optimizer": optimizer, "step": 2}, path, **how)
    loaded = rustorch.load(path)
    assert_same_state(loaded["optimizer"], reference.state_dict())
    resumed = Zero(params, getattr(optim, cls))
    resumed.load_state_dict(loaded["optimizer"])
    _steps(backend, params, resumed, range(2, 4))
    _steps(backend, expected, reference, range(2, 4))
    assert_same(backend, params, expected)
    dist.barrier()  # rank 0 deletes the folder


@pytest.mark.ranks
def test_the_whole_state_is_that_of_the_last_step(dist: ModuleType, backend: Target) -> None:
    params = parameters_on(backend, [(3, 3), (3,)])
    optimizer = Zero(params, optim.Adam)
    _steps(backend, params, optimizer, range(1))
    rank, size = dist.get_rank(), dist.get_world_size()
    message = (
        rf"ZeroRedundancyOptimizer: rank {rank} does not have the state of all ranks after the last step. "
        rf"Call consolidate_state_dict\(to={rank}\) on all ranks first"
    )
    optimizer.consolidate_state_dict(to=size - 1)
    if rank == size - 1:
        state = optimizer.state_dict()
        for entries in state["state"].values():
            assert entries["exp_avg"].device == "cpu"
    else:
        with pytest.raises(RuntimeError, match=message):
            optimizer.state_dict()
    _steps(backend, params, optimizer, range(1, 2))
    if rank == size - 1:
        assert [entries["step"] for entries in state["state"].values()] == [1, 1]  # a copy
    if size > 1:
        with pytest.raises(RuntimeError, match=message):
            optimizer.state_dict()
    else:
        assert optimizer.state_dict()["state"][0]["step"] == 2
    with pytest.raises(ValueError, match=rf"consolidate_state_dict: rank {size} is not in the group"):
        optimizer.consolidate_state_dict(to=size)


@pytest.mark.ranks
def test_states_that_do_not_fit_change_nothing_on_any_rank(dist: ModuleType, backend: Target) -> None:
    params = parameters_on(backend, [(3, 3), (3,), (4, 2), (2,)])
    optimizer = Zero(params, optim.Adam, lr=0.1)
    _steps(backend, params, optimizer, range(2))
    optimizer.consolidate_state_dict()
    good = rustorch.optim.Adam(parameters_on(backend, [(3, 3), (3,), (4, 2), (2,)]), lr=0.5).state_dict()
    zeros = {(3, 3): 0, (3,): 1, (4, 2): 2, (2,): 3}
    good["state"] = {
        i: {"step": 9, "exp_avg": numpy.zeros(shape), "exp_avg_sq": numpy.zeros(shape)} for shape, i in zeros.items()
    }
    before = {p: dict(entries) for p, entries in optimizer.state.items()}
    for number in range(4):  # whoever owns it, every rank refuses it
        bad = {**good, "state": {**good["state"], number: {**good["state"][number], "exp_avg": numpy.zeros((7, 7))}}}
        with pytest.raises(
            ValueError, match=rf"^ZeroRedundancyOptimizer.load_state_dict(.|\n)*parameter {number}: exp"
        ):
            optimizer.load_state_dict(bad)
    sgd = optim.SGD(parameters_on(backend, [(3, 3), (3,), (4, 2), (2,)]), lr=0.5)
    with pytest.raises(ValueError, match="group 0: no betas"):
        optimizer.load_state_dict(sgd.state_dict())
    with pytest.raises(ValueError, match="lr is a finite number that is not negative"):
        optimizer.load_state_dict({**good, "param_groups": [{**good["param_groups"][0], "lr": -1.0}]})
    assert optimizer.lr == 0.1
    assert {p: dict(entries) for p, entries in optimizer.state.items()} == before
    if dist.get_rank() == 0:
        assert optimizer.state_dict()["state"][0]["step"] == 2
    optimizer.load_state_dict(good)
    assert optimizer.lr == 0.5
    assert all(entries["step"] == 9 for entries in optimizer.state.values())
    assert set(optimizer.state) == set(before)


# -- bad input ---------------------------------------------------------------------------------------------------------
@pytest.mark.ranks
def test_bad_arguments(dist: ModuleType, backend: Target) -> None:
    params = parameters_on(backend, [(3, 3), (3,)])
    for wrong in ("Adam", None, rustorch.Variable, nn.Linear):
        with pytest.raises(TypeError, match="optimizer_class is a subclass of Optimizer, such as "):
            Zero(params, wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="optimizer_class is the optimizer whose state is spread, not ZeroRed"):
        Zero(params, Zero)
    with pytest.raises(ValueError, match="overlap_with_ddp=True is not supported"):
        Zero(params, optim.Adam, overlap_with_ddp=True)
    with pytest.raises(TypeError, match="'momentums'"):
        Zero(params, optim.Adam, momentums=0.1)
    with pytest.raises(ValueError, match="Adam: lr is a finite number that is not negative, not -1"):
        Zero(params, optim.Adam, lr=-1)
    with pytest.raises(ValueError, match="Adam got no parameters"):
        Zero([], optim.Adam)
    with pytest.raises(ValueError, match="Muon is for real matrices; parameter 1 has shape"):
        Zero(params, optim.Muon)
    with pytest.raises(TypeError, match="group must come from new_group"):
        Zero(params, optim.Adam, process_group="all")  # type: ignore[arg-type]
    spread = nn.Linear(3, 2)
    nn.parallel.fully_shard(spread)
    with pytest.raises(
        ValueError, match="parameter 0 of group 0 is spread over the ranks by fully_shard, with its state"
    ):
        Zero(spread.parameters(), optim.Adam)
    optimizer = Zero(params, optim.Adam)
    more = parameters_on(backend, [(2, 2)])
    for group, error in (
        ({"params": params}, r"parameter 0 \(shape \(3, 3\)\) is listed twice"),
        ({"params": [*more, *more]}, r"parameter 1 \(shape \(2, 2\)\) is listed twice"),
        ({"params": more, "lr": -1.0}, "lr is a finite number that is not negative"),
    ):
        with pytest.raises(ValueError, match=error):
            optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == len(optimizer.optim.param_groups) == 1
    optimizer.add_param_group({"params": more})
    set_gradients(backend, [*params, *more], 0)
    optimizer.step()
    owned = dist.all_gather_object(len(optimizer.state))
    assert sum(owned) == 3


@pytest.mark.ranks
def test_ranks_that_differ_all_raise(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        return
    last = rank == size - 1
    shapes: list[tuple[int, ...]] = [(3, 3), (3,)]
    everyone = parameters_on(backend, shapes)
    first_line = "ZeroRedundancyOptimizer: all ranks need the same parameters in the same order, and nothing was added"
    with pytest.raises(ValueError, match=first_line) as caught:
        Zero(parameters_on(backend, shapes[: 1 if last else 2]), optim.Adam)
    assert "1 parameters" in str(caught.value)
    assert "2 parameters" in str(caught.value)
    with pytest.raises(ValueError, match=first_line) as caught:
        Zero(parameters_on(backend, [(3, 4) if last else (4, 3)]), optim.Adam)
    assert "group 0, parameter 0: (3, 4) float64" in str(caught.value)
    assert "group 0, parameter 0: (4, 3) float64" in str(caught.value)
    with pytest.raises(ValueError, match=first_line):
        Zero(parameters_on(backend, shapes, "float32" if last else "float64"), optim.Adam)
    everyone[0].requires_grad = last
    with pytest.raises(ValueError, match=r"\(3, 3\) float64, frozen"):
        Zero(everyone, optim.Adam)
    everyone[0].requires_grad = True
    own = "Adam: lr is a finite number that is not negative, not -1"
    other = f"rank {size - 1} raised an error; no parameters were added on any rank"
    with pytest.raises(ValueError, match=own if last else other):
        Zero(everyone, optim.Adam, lr=-1 if last else 0.1)
    optimizer = Zero(everyone, optim.Adam)
    with pytest.raises(ValueError, match=first_line):
        optimizer.add_param_group({"params": parameters_on(backend, [(2,) if last else (5,)])})
    assert len(optimizer.param_groups) == len(optimizer.optim.param_groups) == 1
    optimizer.add_param_group({"params": parameters_on(backend, [(2,)])})
    assert len(optimizer.param_groups) == 2


def test_without_a_process_group() -> None:
    with pytest.raises(RuntimeError, match="ZeroRedundancyOptimizer: there is no process group; call "):
        Zero([nn.Parameter([1.0])], optim.Adam)


# -- jobs --------------------------------------------------------------------------------------------------------------
TRAIN = textwrap.dedent(
    """
    import sys
    import rustorch, rustorch.distributed as dist
    from rustorch import nn, optim
    from tests.reference import cases

    file, start, stop = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    dist.init_process_group()
    rustorch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3)).to(rustorch.float64)
    params = list(model.parameters())
    optimizer = optim.ZeroRedundancyOptimizer(params, optim.Adam, lr=0.01)
    if start:
        state = rustorch.load(file)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for step in range(start, stop):
        optimizer.zero_grad()
        (model(rustorch.Variable(cases.numbers((4, 5), 0.3 * step))) ** 2).sum().backward()
        nn.utils.clip_grad_norm_(params, 0.5)
        optimizer.step()
    optimizer.consolidate_state_dict()
    if dist.get_rank() == 0:
        rustorch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    dist.destroy_process_group()
    """
)


def test_a_state_goes_on_on_another_number_of_ranks(tmp_path: Path) -> None:
    def train(file: str, ranks: int, start: int, stop: int) -> Any:
        done = jobs.run(TRAIN, ranks, str(tmp_path / file), str(start), str(stop))
        assert done.returncode == 0, done.stderr
        return rustorch.load(tmp_path / file)

    expected = train("alone", 1, 0, 4)
    train("moved", 3, 0, 2)
    assert_same_state(train("moved", 2, 2, 4), expected)


MEMORY = textwrap.dedent(
    """
    import gc, sys, tracemalloc
    import rustorch, rustorch.distributed as dist
    from rustorch import nn, optim

    dist.init_process_group()
    model = nn.Sequential(*[nn.Linear(200, 200) for _ in range(16)])
    params = list(model.parameters())
    spread = sys.argv[1] == "spread"
    views = len(sys.argv) > 2
    build = optim.ZeroRedundancyOptimizer if spread else (lambda params, cls, parameters_as_bucket_view: cls(params))
    optimizer = build(params, optim.Adam, parameters_as_bucket_view=views)
    for p in params:
        p.grad = rustorch.ones(p.shape)
    optim.Adam(params, lr=0.0).step()  # what a process loads or compiles once is no state
    gc.collect()
    tracemalloc.start()
    optimizer.step()
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    optimizer.step()
    peak = tracemalloc.get_traced_memory()[1]
    found = dist.all_gather_object([kept, peak])
    if dist.get_rank() == 0:
        print(found)
    dist.destroy_process_group()
    """
)


@pytest.mark.parametrize("arguments", [["plain"], ["spread"], ["spread", "views"]])
def test_memory_of_each_rank(arguments: list[str]) -> None:
    """Adam has two arrays for each parameter. With N ranks, a rank keeps 1/N of them, and a step needs little more."""
    ranks = {"plain": 1, "spread": 4, "views": 2}[arguments[-1]]
    done = jobs.run(MEMORY, ranks, *arguments)
    assert done.returncode == 0, done.stderr
    state = 2 * 4 * 16 * (200 * 200 + 200) / ranks
    found = json.loads(done.stdout)
    assert len(found) == ranks
    for kept, peak in found:
        assert 0.95 * state < kept < 1.1 * state
        assert peak < 1.1 * state + 2 * 4 * 200 * 200
