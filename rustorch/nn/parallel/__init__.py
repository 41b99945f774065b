"""Training on several processes: every rank has a part of the batch, and the whole module or a piece of it."""

from __future__ import annotations

from .distributed import DistributedDataParallel
from .fully_shard import FSDPModule, fully_shard

__all__ = ["DistributedDataParallel", "FSDPModule", "fully_shard"]
