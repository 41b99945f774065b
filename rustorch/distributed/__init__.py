"""Several processes: groups of ranks, and the exchanges between them, under the names of torch.distributed.

A program that was started by ``mpiexec -n 4 python -m mpi4py train.py`` runs four times. Each process is a rank of a
group, and calls the same collectives in the same order::

    import rustorch.distributed as dist

    dist.init_process_group()
    x = rustorch.ones(3) * dist.get_rank()
    dist.all_reduce(x)          # the sum over all ranks, on every rank

MPI carries arrays on the host (``pip install 'rustorch[mpi]'``), NCCL carries arrays on GPUs. Without a launcher there
is one rank.
"""

from __future__ import annotations

from .collectives import (
    all_gather_into_tensor,
    all_reduce,
    all_to_all_single,
    barrier,
    broadcast,
    reduce,
    reduce_scatter_tensor,
)
from .group import (
    ProcessGroup,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    is_initialized,
    local_rank,
)
from .hierarchical import new_hierarchical_group
from .lists import all_gather, all_to_all, gather, reduce_scatter, scatter
from .messages import all_gather_object, broadcast_object, irecv, isend, recv, send
from .reduce_op import ReduceOp
from .shard import Shard
from .start import destroy_process_group, init_process_group, is_available, new_group
from .tracing import Timeline, trace
from .work import Work

__all__ = [
    "ProcessGroup", "ReduceOp", "Shard", "Timeline", "Work", "all_gather", "all_gather_into_tensor",
    "all_gather_object", "all_reduce", "all_to_all", "all_to_all_single", "barrier", "broadcast", "broadcast_object",
    "destroy_process_group", "gather", "get_backend", "get_global_rank", "get_group_rank",
    "get_process_group_ranks", "get_rank", "get_world_size", "init_process_group", "irecv", "is_available",
    "is_initialized", "isend", "local_rank", "new_group", "new_hierarchical_group", "recv", "reduce",
    "reduce_scatter", "reduce_scatter_tensor", "scatter", "send", "trace",
]  # fmt: skip
