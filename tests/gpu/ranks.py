"""A program for ``mpiexec -n 2``: ranks that train on GPUs get the weights of one process. It prints one line.

Each rank takes a GPU of its own if there are enough, and NCCL exchanges the gradients. Otherwise the ranks share one,
and the gradients go through the memory of the host.
"""

from __future__ import annotations

from typing import Any

import numpy

import rustorch
import rustorch.distributed as dist
from rustorch import nn


def trained(wrap: Any, x: Any, y: Any) -> list[numpy.ndarray]:
    """The weights of a small network after ten steps."""
    rustorch.manual_seed(0)
    model = wrap(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to(x.device))
    optimizer = rustorch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(10):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return [p.detach().to("cpu").data for p in model.parameters()]


def main() -> None:
    dist.init_process_group(timeout=60)
    rank, size = dist.get_rank(), dist.get_world_size()
    device = f"cuda:{dist.local_rank() % rustorch.cuda.device_count()}"
    x = rustorch.Variable(numpy.random.default_rng(0).standard_normal((4 * size, 8)).astype("float32"), device=device)
    y = rustorch.arange(4 * size, device=device) % 4
    part = slice(4 * rank, 4 * rank + 4)
    found = trained(nn.parallel.DistributedDataParallel, x[part], y[part])
    expected = trained(lambda model: model, x, y)
    for one, other in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    engine = dist.group.world().exchange_for(x.data, "ranks").name
    if rank == 0:
        print(f"{size} ranks on {min(size, rustorch.cuda.device_count())} GPUs exchange by {engine}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
