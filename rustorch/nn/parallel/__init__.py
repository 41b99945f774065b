"""Training on several processes: every rank has the whole module and a part of the batch."""

from __future__ import annotations

from .distributed import DistributedDataParallel
from .fully_shard import FSDPModule, fully_shard

__all__ = ["DistributedDataParallel", "FSDPModule", "fully_shard"]
