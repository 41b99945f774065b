"""The ways to spread a training, with clipping, checkpoints and synchronized batch norm, train as one process does."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from rustorch.autograd.checkpoint import checkpoint
from rustorch.nn.parallel import DistributedDataParallel, fully_shard
from tests.support.distributed_training import BATCH, batch, loss_of, make, share

pytestmark = pytest.mark.ranks

STEPS = 30
ADAMW = {"lr": 0.003, "eps": 1e-5}


class Checkpointed(nn.Module):
    """A layer that backward computes again."""

    def __init__(self, layer: Any):
        super().__init__()
        self.layer = layer

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return checkpoint(lambda x: self.layer(x, **kwargs), *args)


def new(name: str, checkpoints: bool) -> Any:
    """A network with the same initial weights in every call."""
    rustorch.manual_seed(0)
    model = make(rustorch, name)
    if checkpoints:
        layers = model.blocks if name == "gpt" else model
        for i in (0, 1):
            layers[i] = Checkpointed(layers[i])
    return model


def spread(way: str, model: Any) -> tuple[Any, Any]:
    """What to call in place of the network, and an optimizer."""
    if way == "fully_shard":
        for block in getattr(model, "blocks", ()):
            fully_shard(block)
        fully_shard(model)
        return model, optim.AdamW(model.parameters(), **ADAMW)
    ddp = DistributedDataParallel(model, bucket_cap_mb=1e-4)
    if way == "DDP":
        return ddp, optim.AdamW(ddp.parameters(), **ADAMW)
    return ddp, optim.ZeroRedundancyOptimizer(list(ddp.parameters()), optim.AdamW, **ADAMW)


@pytest.mark.parametrize("way", ["DDP", "DDP and ZeRO", "fully_shard"])
@pytest.mark.parametrize(("name", "checkpoints"), [("cnn", True), ("gpt", False), ("gpt", True), ("mlp", True)])
def test_losses_and_norms_of_gradients(name: str, checkpoints: bool, way: str, dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    alone = new(name, checkpoints)
    model, optimizer = spread(way, nn.SyncBatchNorm.convert_sync_batchnorm(new(name, checkpoints)))
    optimizer_alone = optim.AdamW(alone.parameters(), **ADAMW)
    own = share(BATCH, rank, size)
    for step in range(STEPS):
        inputs, classes = batch(name, step)
        found = []
        for trained, by, x, y in (
            (alone, optimizer_alone, inputs, classes),
            (model, optimizer, inputs[own], classes[own]),
        ):
            by.zero_grad()
            loss = loss_of(rustorch, trained, x, y) / y.size
            loss.backward()
            norm = nn.utils.clip_grad_norm_(trained.parameters(), 0.1)
            by.step()
            found.append(numpy.array([loss.item(), float(norm)]))
        expected, (loss_of_rank, norm_of_rank) = found
        total = numpy.array(loss_of_rank)
        dist.all_reduce(total, "avg")
        numpy.testing.assert_allclose([float(total), norm_of_rank], expected, rtol=1e-12, atol=1e-12)
