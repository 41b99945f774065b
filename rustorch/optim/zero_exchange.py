"""How ZeroRedundancyOptimizer spreads parameters over the ranks, and sends their new values to all of them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from .. import distributed as dist
from .. import ops
from ..autograd.graph import make
from ..autograd.writes import writes
from ..backends import BY_TYPE, device_of
from ..variable import Variable
from . import stepping

if TYPE_CHECKING:
    from ..distributed.group import ProcessGroup
    from ..typing import Array

_NAME = "ZeroRedundancyOptimizer"
#: Parameters with fewer bytes are sent together with others, because each message costs time of its own.
SMALL = 1 << 16
#: The parameters in a bucket begin at multiples of so many elements, where loops over them are fast.
ALIGNMENT = 16


def size_of(p: Variable) -> int:
    """The number of bytes of a parameter."""
    return int(prod(p._native.shape) * p.dtype.itemsize)


class Exchange:
    """Sends the parameters of every rank to all others.

    Parameters
    ----------
    group : ProcessGroup
    as_views : bool
        Whether the parameters of one owner, device and dtype become views of one array, which is sent without a copy.
    """

    def __init__(self, group: ProcessGroup, as_views: bool):
        self._group = group
        self._as_views = as_views
        self._buckets: list[_Bucket] = []
        #: The bytes that each rank owns, of parameters that require grad (True) and of others (False), without state.
        self._loads = {True: [0] * group.size, False: [0] * group.size}

    def describe(self, groups: list[dict[str, Any]], first: int) -> list[str]:
        """A line about each parameter of groups, of which the first has the number ``first``."""
        lines = []
        for i, group in enumerate(groups, first):
            for j, p in enumerate(group["params"]):
                if p._sharding is not None:
                    raise ValueError(
                        f"{_NAME}: parameter {j} of group {i} is spread over the ranks by fully_shard, with its state; "
                        f"use the optimizer itself"
                    )
                frozen = "" if p.requires_grad else ", frozen"
                lines.append(f"group {i}, parameter {j}: {tuple(p.shape)} {p.dtype}{frozen}")
        return lines

    def compare(self, described: list[str], failure: Exception | None) -> None:
        """Raise ``failure``; or ValueError, if another rank failed or has described other parameters."""
        all_ranks = dist.all_gather_object(None if failure else described, self._group)
        if failure is not None:
            raise failure
        own_rank = self._group.ranks[self._group.rank]
        for rank, other in zip(self._group.ranks, all_ranks, strict=True):
            if other is None:
                raise ValueError(f"{_NAME}: rank {rank} raised an error; no parameters were added on any rank")
            if other != described:
                pairs = [(a, b) for a, b in zip(described, other, strict=False) if a != b]
                a, b = pairs[0] if pairs else (f"{len(described)} parameters", f"{len(other)} parameters")
                raise ValueError(
                    f"{_NAME}: all ranks need the same parameters in the same order, and nothing was added. Rank "
                    f"{own_rank} has {len(described)} and rank {rank} has {len(other)}; the first difference is:\n"
                    f"  rank {own_rank}: {a}\n  rank {rank}: {b}"
                )

    def spread(self, params: list[Variable]) -> dict[Variable, int]:
        """The owner of each parameter: the largest ones come first, each to the rank with the fewest bytes so far."""
        owners = {}
        for p in sorted(params, key=size_of, reverse=True):
            load = self._loads[p._tracked]
            owners[p] = rank = load.index(min(load))
            load[rank] += size_of(p)
        return owners

    def share(self, owners: dict[Variable, int]) -> None:
        """Replace every parameter by that of its owner. The owners, and what is frozen, are the same on all ranks."""
        handles: list[Any] = []
        packs: list[tuple[list[Variable], Variable]] = []
        for (owner, *_), params in _kinds(owners).items():
            source = self._group.ranks[owner]
            for buffer, packed in self._buffers(params):
                handles.append(dist.broadcast(buffer, source, self._group, async_op=True))
                if owner != self._group.rank and packed:
                    packs.append((packed, buffer))
        for handle in handles:
            handle.wait()
        written: list[Array] = []
        for packed, buffer in packs:
            written += _unpack(packed, buffer._native)
        if written:
            writes.note_all(written)

    def _buffers(self, params: list[Variable]) -> list[tuple[Any, list[Variable]]]:
        """The buffers to exchange for parameters of one owner, device and dtype, each with the parameters of which it
        is a copy. The number and sizes of buffers depend on shapes and dtypes alone, so that all ranks have the same.
        """
        if self._as_views and (bucket := self._bucket(params)) is not None:
            return [(bucket.flat, [])]
        small = [p for p in params if size_of(p) < SMALL]
        large = [p for p in params if size_of(p) >= SMALL]
        buffers = [(p, []) if _can_receive(p._native) else (_pack([p]), [p]) for p in large]
        return [*buffers, (_pack(small), small)] if small else buffers

    def arrange(self, owners: dict[Variable, int]) -> None:
        """Make the parameters views, if they are to be."""
        if self._as_views:
            for params in _kinds(owners).values():
                self._bucket(params)

    def _bucket(self, params: list[Variable]) -> _Bucket | None:
        """The bucket of these parameters: a new one if one of them was frozen or thawed or has got another array. None
        if this library's arrays cannot be views.
        """
        for bucket in self._buckets:
            if bucket.holds(params):
                return bucket
        if not BY_TYPE[type(params[0]._native)].mutable:
            return None
        members = set(params)
        self._buckets = [bucket for bucket in self._buckets if members.isdisjoint(bucket.params)]
        self._buckets.append(bucket := _Bucket(params))
        return bucket


class _Bucket:
    """One flat array, and the parameters that are views of it."""

    def __init__(self, params: list[Variable]):
        self.params = params
        starts, stop = [], 0
        for p in params:
            starts.append(stop)
            stop += -(-prod(p._native.shape) // ALIGNMENT) * ALIGNMENT
        backend = BY_TYPE[type(first := params[0]._native)]
        with backend.guard(first):
            self.flat = ops.zeros(stop, dtype=params[0].dtype, device=device_of(first))._native
            self.views = []
            for p, start in zip(params, starts, strict=True):
                view = backend.xp.reshape(self.flat[start : start + prod(p._native.shape)], p._native.shape)
                view[...] = p._native
                self.views.append(view)
        for p, view in zip(params, self.views, strict=True):
            p._native = view

    def holds(self, params: list[Variable]) -> bool:
        """Whether exactly these parameters are the views."""
        return len(params) == len(self.views) and all(
            p._native is view for p, view in zip(params, self.views, strict=True)
        )


def _kinds(owners: dict[Variable, int]) -> dict[tuple[int, str, str], list[Variable]]:
    """The parameters that a step may have changed, by owner, device and dtype."""
    kinds: dict[tuple[int, str, str], list[Variable]] = {}
    for p, owner in owners.items():
        if (p._tracked or p._grad is not None) and prod(p._native.shape):
            kinds.setdefault((owner, device_of(p._native), str(p.dtype)), []).append(p)
    return kinds


def _can_receive(native: Array) -> bool:
    """Whether an exchange can write into an array, or the Variable around it can get a new one."""
    backend = BY_TYPE[type(native)]
    return backend.contiguous(native) and (backend.writable(native) or not backend.mutable)


def _pack(params: list[Variable]) -> Variable:
    """A flat copy of the values of parameters."""
    backend = BY_TYPE[type(first := params[0]._native)]
    with backend.guard(first):
        return make(backend.xp.concat([backend.xp.reshape(p._native, (-1,)) for p in params]))


def _unpack(params: list[Variable], flat: Array) -> list[Array]:
    """Give parameters the values of a flat array. Returns the arrays that were written in place."""
    backend = BY_TYPE[type(flat)]
    written, stop = [], 0
    with backend.guard(flat):
        for p in params:
            start, stop = stop, stop + prod(p._native.shape)
            new = backend.xp.reshape(flat[start:stop], p._native.shape)
            if stepping.write(p, native := p._native, new):
                written.append(native)
    return written
