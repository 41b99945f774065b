"""A program for several ranks: the peak of the memory in which one of them trains a GPT with fully_shard."""

from __future__ import annotations

import sys
import tracemalloc

import numpy

import rustorch
import rustorch.distributed as dist
from rustorch.nn.parallel import fully_shard
from tests.support.sharded_models import Gpt, loss_of

#: The size of the model: twelve layers, most of whose memory is that of parameters.
LAYERS, WIDTH, WORDS, LENGTH = 12, 128, 64, 8


def train(spread: bool, layers: int = LAYERS, width: int = WIDTH) -> None:
    """Three steps of Adam on this rank's part of a batch of four."""
    rustorch.manual_seed(0)
    model = Gpt(layers, width, WORDS, LENGTH)
    if spread:
        for block in model.blocks:
            fully_shard(block)
        fully_shard(model)
    optimizer = rustorch.optim.Adam(model.parameters(), lr=1e-3)
    rows = 4 // dist.get_world_size()
    tokens = numpy.random.default_rng(0).integers(0, WORDS, (4, LENGTH))
    x = rustorch.asarray(tokens[dist.get_rank() * rows : (dist.get_rank() + 1) * rows])
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(model(x)).backward()
        optimizer.step()


def main() -> None:
    dist.init_process_group()
    spread = sys.argv[1] == "spread"
    train(spread, 1, 8)  # imports what it needs
    tracemalloc.start()
    train(spread)
    peaks = dist.all_gather_object(tracemalloc.get_traced_memory()[1])
    if dist.get_rank() == 0:
        print(max(peaks))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
