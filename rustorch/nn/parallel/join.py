"""Join: a rank without batches takes part in the exchanges of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import distributed as dist
from ...backends import dtypes
from ...variable import Variable
from ..sync_batchnorm import SyncBatchNorm
from .buckets import broadcast_together

if TYPE_CHECKING:
    from .distributed import DistributedDataParallel

__all__ = ["Join"]


class Join:
    """The context that ``DistributedDataParallel.join`` returns. See there."""

    def __init__(self, ddp: DistributedDataParallel, by_all: bool, enable: bool, throws: bool):
        self._ddp = ddp
        self._by_all = by_all
        self._enable = enable and ddp._reducer is not None
        self._throws = throws
        self._group: Any = ddp.process_group

    def __enter__(self) -> None:
        if self._enable:
            if self._ddp._join is not None:
                raise RuntimeError("DistributedDataParallel.join: the module is inside of join() already")
            waiting = [name for name, module in self._ddp.module.named_modules() if isinstance(module, SyncBatchNorm)]
            if waiting:
                raise RuntimeError(
                    f"DistributedDataParallel.join: {waiting} are SyncBatchNorm, whose forward waits for all ranks, "
                    f"also for those without batches; give all ranks as many batches, as DistributedSampler does"
                )
            self._ddp._join = self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if not self._enable:
            return
        ddp = self._ddp
        try:
            if kind is None:
                self._shadow()
        finally:
            ddp._join = None
            if ddp._reducer is not None:
                ddp._reducer.divisor = self._group.size

    def announce(self, exchanges: bool) -> int:
        """Say before a forward that this rank has a batch.

        Parameters
        ----------
        exchanges : bool
            Whether the backward will exchange gradients.

        Returns
        -------
        int
            The rank of the world whose buffers are taken.
        """
        active, _, source = self._count(1, exchanges)
        self._check_early(active)
        return source

    def _count(self, active: int, exchanges: bool) -> tuple[int, bool, int]:
        """How many ranks have a batch, whether their backward exchanges gradients, and the first of these ranks."""
        rank = dist.get_rank()
        sums = Variable([active, int(exchanges)], dtype=dtypes.int64, device="cpu")
        first = Variable([rank if active else 2**31], dtype=dtypes.int64, device="cpu")
        device = self._device()
        sums, first = sums.to(device), first.to(device)
        dist.all_reduce(sums, dist.ReduceOp.SUM, self._group)
        dist.all_reduce(first, dist.ReduceOp.MIN, self._group)
        count, exchanging = sums.tolist()
        reducer = self._ddp._reducer
        if reducer is not None:
            reducer.divisor = self._group.size if self._by_all else max(count, 1)
        return count, exchanging > 0, first.tolist()[0]

    def _device(self) -> str:
        """Where the counts are exchanged: NCCL needs them on a GPU."""
        return "cpu" if dist.get_backend(self._group) != "nccl" else next(self._ddp.module.parameters()).device

    def _check_early(self, active: int) -> None:
        if self._throws and active < self._group.size:
            raise RuntimeError(
                f"DistributedDataParallel.join: {self._group.size - active} of {self._group.size} ranks have no batch "
                f"left, and throw_on_early_termination is set"
            )

    def _shadow(self) -> None:
        """Take part in the exchanges of the ranks that still have batches, then take over the parameters."""
        ddp, last = self._ddp, True
        while True:
            active, exchanges, source = self._count(0, False)
            if not active:
                break
            self._check_early(active)
            last = False
            if ddp._syncs_buffers and ddp.broadcast_buffers:
                ddp._broadcast_buffers(source)
            ddp._syncs_buffers = exchanges
            if exchanges and ddp._reducer is not None:
                ddp._reducer.shadow()
        rank = Variable([dist.get_rank() if last else 2**31], dtype=dtypes.int64, device="cpu").to(self._device())
        dist.all_reduce(rank, dist.ReduceOp.MIN, self._group)
        values = [*ddp.module.parameters(), *ddp.module.buffers()]
        broadcast_together(values, rank.tolist()[0], self._group)
