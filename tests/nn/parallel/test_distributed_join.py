"""DistributedDataParallel.join: the ranks have different numbers of batches."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn.parallel import DistributedDataParallel
from tests.support.distributed_models import averaged, batch, network, squares
from tests.support.target import Target

pytestmark = pytest.mark.ranks

TINY = 1e-4


def state(module: nn.Module) -> dict[str, Any]:
    return {name: value.tolist() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("by_all", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_ranks_train_until_the_last_batch(dist: ModuleType, backend: Target, by_all: bool, first: bool) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    counts = [2 + (r if first else size - 1 - r) for r in range(size)]  # rank 0 ends first, or last
    ddp = DistributedDataParallel(network(backend), bucket_cap_mb=TINY)
    optimizer = rustorch.optim.SGD(ddp.parameters(), lr=0.1)
    with ddp.join(divide_by_initial_world_size=by_all):
        for step in range(counts[rank]):
            optimizer.zero_grad()
            squares(ddp(batch(backend, rank, step))).backward()
            optimizer.step()
    alone = network(backend)
    plain = rustorch.optim.SGD(alone.parameters(), lr=0.1)
    for step in range(max(counts)):

        def loss(r: int, module: Any, step: int = step) -> rustorch.Variable:
            return squares(module(batch(backend, r, step)))

        active = [r for r in range(size) if step < counts[r]]
        now = {name: value.clone() for name, value in alone.state_dict().items()}

        def build(now: dict[str, Any] = now) -> nn.Module:
            module = network(backend)
            module.load_state_dict(now)
            return module

        factor = len(active) / size if by_all else 1.0
        for (_, p), g in zip(
            alone.named_parameters(), averaged(build, [partial(loss, r) for r in active]).values(), strict=True
        ):
            assert g is not None
            p.grad = backend.variable(g * factor)
        plain.step()
    for name, value in alone.state_dict().items():
        numpy.testing.assert_allclose(
            backend.numpy(ddp.state_dict()[f"module.{name}"]), backend.numpy(value), rtol=1e-12, atol=1e-14
        )
    squares(ddp(batch(backend, rank))).backward()  # outside of it, all take part again
    if ddp._reducer is not None:
        assert ddp._reducer.divisor == size
        assert ddp._join is None


def test_buffers_unused_parameters_and_no_sync(dist: ModuleType, backend: Target) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.one, self.other = nn.BatchNorm1d(3), nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return squares((self.one if dist.get_rank() % 2 else self.other)(self.norm(x)))

    rank, size = dist.get_rank(), dist.get_world_size()
    rustorch.manual_seed(0)
    module = Model().to(device=backend.device, dtype=rustorch.float64)
    ddp = DistributedDataParallel(module, find_unused_parameters=True)
    optimizer = rustorch.optim.SGD(ddp.parameters(), lr=0.1)
    with ddp.join():
        for step in range(1 + 2 * rank):
            with ddp.no_sync():
                ddp(batch(backend, rank, step)).backward()
            with rustorch.no_grad():
                ddp(batch(backend, rank, step))
            ddp(batch(backend, rank, step)).backward()
            optimizer.step()
            optimizer.zero_grad()
    states = dist.all_gather_object(state(module))
    assert all(other == states[0] for other in states)
    if rank == size - 1:  # the last one sees all its batches: two forwards with and one without gradients for each
        assert module.norm.num_batches_tracked is not None
        assert int(module.norm.num_batches_tracked) == 3 * (1 + 2 * rank)


def test_a_rank_without_any_batch(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(network(backend, seed=rank), static_graph=True)
    with ddp.join():
        for step in range(3 if rank else 0):
            squares(ddp(batch(backend, rank, step))).backward()
    with ddp.join():
        for step in range(2):
            squares(ddp(batch(backend, rank, step))).backward()
    states = dist.all_gather_object(state(ddp))
    assert len(states) == size
    assert all(other == states[0] for other in states)


def test_early_termination_raises_on_all_ranks(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(network(backend))
    steps = 0

    def loop() -> None:
        nonlocal steps
        with ddp.join(throw_on_early_termination=True):
            for step in range(2 + rank):
                squares(ddp(batch(backend, rank, step))).backward()
                steps += 1

    if size == 1:
        loop()
    else:
        with pytest.raises(RuntimeError, match=f"1 of {size} ranks have no batch left"):
            loop()
    assert steps == 2
    squares(ddp(batch(backend, rank))).backward()


def test_join_may_be_switched_off_and_is_entered_once(dist: ModuleType, backend: Target) -> None:
    ddp = DistributedDataParallel(network(backend))
    with ddp.join(enable=False):
        assert ddp._join is None
        squares(ddp(batch(backend, dist.get_rank()))).backward()
    if dist.get_world_size() > 1:
        with ddp.join():
            with pytest.raises(RuntimeError, match=r"inside of join\(\) already"), ddp.join():
                pass
            assert ddp._join is not None
    with pytest.raises(ZeroDivisionError), ddp.join():
        raise ZeroDivisionError
    assert ddp._join is None


def test_join_refuses_layers_that_wait_for_all_ranks(dist: ModuleType, backend: Target) -> None:
    model = nn.Sequential(nn.Linear(3, 2, device=backend.device), nn.SyncBatchNorm(2, device=backend.device))
    ddp = DistributedDataParallel(model)
    if dist.get_world_size() > 1:
        with (
            pytest.raises(RuntimeError, match=r"\['1'\] are SyncBatchNorm, whose forward waits for all ranks"),
            ddp.join(),
        ):
            pass
    assert ddp._join is None
