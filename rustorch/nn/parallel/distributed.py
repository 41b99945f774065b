"""DistributedDataParallel: a module that every rank trains on a part of the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ... import distributed as dist
from ...autograd.modes import is_grad_enabled
from ...distributed import tracing
from ...distributed.group import resolved
from ...ops.inspection import resolved_device
from ...pytree import tree_map
from ...variable import Variable
from ..module import Module
from .buckets import broadcast_together
from .join import Join
from .reducer import Reducer, is_watched

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """Train a module on several ranks: each computes the gradients of its own batch, and backward averages them.

    The ranks start with rank 0's parameters and buffers. In backward, gradients are collected in buckets, and a bucket
    is exchanged as soon as it is full, while backward goes on with earlier layers. When ``backward()`` returns, every
    rank has the same gradients. All ranks then make the same optimizer step, and the parameters stay equal. If the loss
    is the mean over a rank's batch, and all batches have the same size, the gradients are those of the mean over all
    batches together.

    With one rank, a call only calls the module.

    Parameters
    ----------
    module : Module
        It stays reachable as ``ddp.module``. Its parameters stay the same objects, so an optimizer may be made before
        or after.
    device_ids : sequence of one int or str, optional
        The device of the module, to which Variables among the arguments of a call are moved. Default: arguments stay
        where they are, and the module may be on several devices.
    output_device : int or str, optional
        Accepted if it is the same device.
    dim : int
        Accepted for programs written for PyTorch: the batch is not split.
    broadcast_buffers : bool
        Whether each forward first replaces buffers, such as running means, with those of rank 0.
    init_sync : bool
        Whether the ranks compare their parameters, and then copy the parameters and buffers of rank 0.
    process_group : ProcessGroup, optional
        The ranks. Default: all.
    bucket_cap_mb : float
        The size of a bucket in MiB. Larger buckets are exchanged faster, smaller ones earlier.
    find_unused_parameters : bool
        Whether a loss may depend on only some of the parameters. They may differ between ranks. This costs one more
        small exchange in each backward. A parameter that no rank uses keeps its gradient.
    gradient_as_bucket_view : bool
        Whether ``grad`` is a part of the bucket. This saves memory and a copy, but the next backward replaces its
        values. False gives each gradient memory of its own. (PyTorch's default is False.)
    static_graph : bool
        Whether each loss depends on the same parameters as the first one. Parameters that no loss depends on are found
        in the first backward.

    Raises
    ------
    RuntimeError
        If there is no process group; if the parameters differ between the ranks (with the differences, on every rank);
        if no parameter requires a gradient, or one belongs to another DistributedDataParallel.
    ValueError
        If ``device_ids``, ``output_device`` or ``bucket_cap_mb`` cannot be used.

    Notes
    -----
    If the loss does not depend on all parameters, `backward` raises a RuntimeError that names the others, unless
    ``find_unused_parameters`` is set. `rustorch.grad` with respect to parameters raises an error, because only the
    attribute ``grad`` gets averaged gradients. All ranks must call forward and backward equally often. If they have
    different numbers of batches, see `join`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> model = rustorch.nn.parallel.DistributedDataParallel(rustorch.Linear(3, 1))
    >>> optimizer = rustorch.optim.SGD(model.parameters(), lr=0.1)
    >>> model(rustorch.ones((4, 3))).mean().backward()
    >>> optimizer.step()
    >>> list(model.state_dict())
    ['module.weight', 'module.bias']
    >>> dist.destroy_process_group()
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[int | str] | None = None,
        output_device: int | str | None = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        init_sync: bool = True,
        process_group: dist.ProcessGroup | None = None,
        bucket_cap_mb: float = 25,
        find_unused_parameters: bool = False,
        gradient_as_bucket_view: bool = True,
        static_graph: bool = False,
    ):
        if not isinstance(module, Module):
            raise TypeError(f"DistributedDataParallel: module is a Module, not {type(module).__name__}")
        group = resolved(process_group, "DistributedDataParallel")
        if group.rank < 0:
            raise ValueError(f"DistributedDataParallel: rank {dist.get_rank()} is not in the group {group.ranks}")
        if not bucket_cap_mb > 0:
            raise ValueError(f"DistributedDataParallel: bucket_cap_mb is above 0, not {bucket_cap_mb}")
        named = list(module.named_parameters())
        if not any(p.requires_grad for _, p in named):
            raise RuntimeError(
                f"DistributedDataParallel: no parameter of {type(module).__name__} requires a gradient, so that there "
                f"is nothing to exchange; call the module itself"
            )
        for name, p in named:
            if is_watched(p):
                raise RuntimeError(f"DistributedDataParallel: {name} belongs to another DistributedDataParallel")
            if p._sharding is not None:
                raise RuntimeError(f"DistributedDataParallel: {name} is spread over the ranks by fully_shard")
        device = _device(module, device_ids, output_device)
        if init_sync and group.size > 1:
            _check_equal(module, group)
            values = [*[p for _, p in named], *module.buffers()]
            broadcast_together(values, dist.get_global_rank(group, 0), group)
        super().__init__()
        self.module = module
        self.device_ids = None if device is None else [device]
        self.output_device = device
        self.dim = dim
        self.process_group = group
        self.broadcast_buffers = bool(broadcast_buffers)
        self.bucket_cap_mb = bucket_cap_mb
        self.find_unused_parameters = bool(find_unused_parameters)
        self.gradient_as_bucket_view = bool(gradient_as_bucket_view)
        self.static_graph = bool(static_graph)
        self.require_backward_grad_sync = True
        self._syncs_buffers = True
        self._join: Join | None = None
        self._connect()

    def _connect(self) -> None:
        """Let backward exchange the gradients."""
        named = list(self.module.named_parameters())
        self._frozen = [(name, p) for name, p in named if not p.requires_grad]
        tables = [module._buffers for module in self.module.modules()]
        self._buffer_places = [(table, name) for table in tables for name in table]
        self._reducer: Reducer | None = None
        if self.process_group.size > 1:
            self._reducer = Reducer(
                [(name, p) for name, p in named if p.requires_grad],
                self.process_group,
                int(self.bucket_cap_mb * 2**20),
                self.find_unused_parameters,
                self.static_graph,
                self.gradient_as_bucket_view,
            )

    # -- a call --------------------------------------------------------------------------------------------------------
    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Call the module with these arguments.

        With gradients enabled it also decides, as in PyTorch, whether the next backward exchanges the gradients: not
        inside of `no_sync`.
        """
        if self._reducer is not None:
            self._prepare(self._reducer)
        if self.device_ids is not None:
            inputs, kwargs = self._moved(inputs), self._moved(kwargs)
        if tracing.active is not None:
            with tracing.active.span("forward"):
                return self.module(*inputs, **kwargs)
        return self.module(*inputs, **kwargs)

    def _moved(self, values: Any) -> Any:
        device = self.output_device
        return tree_map(lambda value: value.to(device=device) if isinstance(value, Variable) else value, values)

    def _prepare(self, reducer: Reducer) -> None:
        """What all ranks do before a forward, together."""
        recording = is_grad_enabled()
        for name, p in self._frozen:
            if p.requires_grad:
                raise RuntimeError(
                    f"DistributedDataParallel: {name} required no gradient when the module was wrapped, and does now; "
                    f"its gradient would not be exchanged. Wrap the module anew after requires_grad_()"
                )
        if self._join is not None and not recording:
            return  # a rank without batches does not know of this forward
        source = dist.get_global_rank(self.process_group, 0)
        if self._join is not None:
            source = self._join.announce(self.require_backward_grad_sync)
        if self._syncs_buffers and self.broadcast_buffers:
            self._broadcast_buffers(source)
        # as in PyTorch, buffers that no forward has changed since are not sent again
        self._syncs_buffers = recording and self.require_backward_grad_sync
        if recording:
            reducer.exchanges = self.require_backward_grad_sync

    def _broadcast_buffers(self, source: int) -> None:
        """Replace the buffers with those of a rank of the world."""
        if self._buffer_places:  # looked up once, because a search of all modules takes long for each forward
            found = [table.get(name) for table, name in self._buffer_places]
            buffers = list({id(buffer): buffer for buffer in found if buffer is not None}.values())
            if buffers:
                broadcast_together(buffers, source, self.process_group)

    # -- accumulation and uneven batches -------------------------------------------------------------------------------
    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """A context in which gradients add up on each rank, and are not exchanged.

        Put forward and backward inside of the context. The first forward and backward after it exchange the sum.

        Examples
        --------
        >>> import rustorch, rustorch.distributed as dist
        >>> dist.init_process_group()
        >>> model = rustorch.nn.parallel.DistributedDataParallel(rustorch.Linear(3, 1))
        >>> batches = [rustorch.ones((2, 3)) for _ in range(4)]
        >>> with model.no_sync():
        ...     for x in batches[:-1]:
        ...         model(x).mean().backward()
        >>> model(batches[-1]).mean().backward()
        >>> dist.destroy_process_group()
        """
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def join(
        self, divide_by_initial_world_size: bool = True, enable: bool = True, throw_on_early_termination: bool = False
    ) -> AbstractContextManager[None]:
        """A context for a loop in which the ranks have different numbers of batches.

        A rank that leaves the loop early takes part in the exchanges of the others with zeros, until all have left.
        Then all ranks get the parameters and buffers of a rank that was among the last.

        Such a rank knows only the exchanges of this module's forward and backward. Other exchanges in the loop would
        wait for it for ever: those of `nn.SyncBatchNorm`, of `optim.ZeroRedundancyOptimizer`, and your own.

        Parameters
        ----------
        divide_by_initial_world_size : bool
            Whether gradients are divided by the number of all ranks, or by the number of those that still have batches.
        enable : bool
            Whether the context does anything. False saves its small exchange in each forward.
        throw_on_early_termination : bool
            Whether all ranks raise RuntimeError as soon as one has no batch left.

        Returns
        -------
        context manager

        Examples
        --------
        >>> import rustorch, rustorch.distributed as dist
        >>> dist.init_process_group()
        >>> model = rustorch.nn.parallel.DistributedDataParallel(rustorch.Linear(3, 1))
        >>> with model.join():
        ...     for x in [rustorch.ones((2, 3))] * (3 + dist.get_rank()):
        ...         model(x).mean().backward()
        >>> dist.destroy_process_group()
        """
        return Join(self, divide_by_initial_world_size, enable, throw_on_early_termination)

    # -- copies --------------------------------------------------------------------------------------------------------
    def __getstate__(self) -> dict[str, Any]:
        """The attributes of a copy: all but the group and the buckets."""
        left_out = ("_reducer", "process_group", "_join", "_frozen", "_buffer_places")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["process_group"] = resolved(None, "DistributedDataParallel")
        self.__dict__["_join"] = None
        self._connect()

    def extra_repr(self) -> str:
        return ""


def _device(module: Module, device_ids: Any, output_device: Any) -> str | None:
    """The one device of ``device_ids``, after the check that the module is there."""
    if device_ids is None and output_device is None:
        return None
    ids = list(device_ids) if device_ids is not None else []
    if len(ids) != 1:
        raise ValueError(
            f"DistributedDataParallel: device_ids has one device, the one of this rank, as in "
            f"[rustorch.distributed.local_rank()]; these are {device_ids}"
        )
    device, output = [
        resolved_device(f"cuda:{name}" if isinstance(name, int) else name)
        for name in (ids[0], ids[0] if output_device is None else output_device)
    ]
    if device != output:
        raise ValueError(f"DistributedDataParallel: output_device {output!r} is the device of device_ids, {device!r}")
    for name, p in module.named_parameters():
        if p.device != device:
            raise ValueError(
                f"DistributedDataParallel: {name} is on {p.device!r}, and device_ids is {ids}; move the module first, "
                f"as in module.to({device!r}), or leave device_ids out"
            )
    return device


def _check_equal(module: Module, group: dist.ProcessGroup) -> None:
    """Raise RuntimeError on every rank unless all ranks have the same parameters and buffers."""
    own = [f"{name} {p.dtype} {p.shape}{'' if p.requires_grad else ' frozen'}" for name, p in module.named_parameters()]
    own += [f"{name} {value.dtype} {value.shape} buffer" for name, value in module.named_buffers()]
    import hashlib  # only a job of several ranks pays for these imports
    import json

    digests = dist.all_gather_object(hashlib.sha256(json.dumps(own).encode()).hexdigest(), group)
    if len(set(digests)) == 1:
        return
    other = next(rank for rank in range(group.size) if digests[rank] != digests[0])
    lists = dist.all_gather_object(own if group.rank in (0, other) else [], group)
    first, second = lists[0], lists[other]
    raise RuntimeError(
        f"DistributedDataParallel: all ranks need the same parameters and buffers in the same order, and those of "
        f"ranks 0 and {other} differ.\n"
        f"  only on rank 0: {[p for p in first if p not in second] or 'none'}\n"
        f"  only on rank {other}: {[p for p in second if p not in first] or 'none'}\n"
        f"  all of rank 0: {first}\n"
        f"  all of rank {other}: {second}"
    )
