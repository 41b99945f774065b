"""DistributedDataParallel where each rank has a GPU of its own: NCCL exchanges the buckets.

``CUPY_STAND_IN_GPUS=2 mpiexec -n 2 python -m pytest --stand-in --backend cuda tests/nn/parallel`` runs it on two ranks
without a GPU.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import pytest

import rustorch
from rustorch import nn
from rustorch.nn.parallel import DistributedDataParallel
from tests.support.distributed_models import averaged, batch, check_gradients, network, squares
from tests.support.target import Target

pytestmark = pytest.mark.ranks


@pytest.fixture
def own(dist: ModuleType, cuda: Target) -> Target:
    """The GPU of this rank."""
    if rustorch.cuda.device_count() < dist.get_world_size():
        pytest.skip(f"needs a GPU for each of {dist.get_world_size()} ranks")
    return Target(f"cuda:{dist.get_rank()}")


@pytest.mark.parametrize("find_unused", [False, True])
def test_backward_averages_gradients_by_nccl(dist: ModuleType, own: Target, find_unused: bool) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()

    def loss(r: int, module: Any) -> rustorch.Variable:
        return squares(module(batch(own, r)))

    losses = [partial(loss, r) for r in range(size)]
    ddp = DistributedDataParallel(
        network(own), device_ids=[rank], bucket_cap_mb=1e-4, find_unused_parameters=find_unused
    )
    for _ in range(2):
        ddp.zero_grad()
        losses[rank](ddp).backward()
        check_gradients(own, ddp.module, averaged(lambda: network(own), losses))
    weight = ddp.module[0].weight
    assert rustorch.Variable(weight.grad).device == weight.device


def test_buffers_join_and_no_sync_by_nccl(dist: ModuleType, own: Target) -> None:
    rank = dist.get_rank()
    rustorch.manual_seed(rank)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).to(device=own.device)
    ddp = DistributedDataParallel(module)
    optimizer = rustorch.optim.SGD(ddp.parameters(), lr=0.1)
    with ddp.join():
        for step in range(1 + rank):
            with ddp.no_sync():
                squares(ddp(batch(own, rank, step).float())).backward()
            squares(ddp(batch(own, rank, step).float())).backward()
            optimizer.step()
            optimizer.zero_grad()
    states = dist.all_gather_object({name: value.tolist() for name, value in ddp.state_dict().items()})
    assert all(state == states[0] for state in states)
