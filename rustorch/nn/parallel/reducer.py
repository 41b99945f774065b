"""Reducer: averages the gradients of a module over the ranks, while backward goes on with the layers before."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

from ... import distributed as dist
from ...autograd.graph import Value
from ...autograd.leaf_hooks import RemovableLeafHook, Watcher, watch
from ...backends import Array, Backend, dtypes, of
from ...distributed import tracing
from ...variable import Variable
from .buckets import Bucket, plan

__all__ = ["Reducer", "is_watched"]


class _Hook(Watcher):
    """What the parameters know of their reducer: a weak reference, so that no cycle keeps a dropped module alive."""

    def __init__(self, reducer: Reducer):
        self._reducer = weakref.ref(reducer)

    def begin(self, leaves: Sequence[Value]) -> None:
        reducer = self._reducer()
        if reducer is not None:
            reducer.begin(leaves)

    def ready(self, leaf: Value) -> None:
        reducer = self._reducer()
        if reducer is not None and reducer.running:
            reducer.ready(leaf)

    def end(self) -> None:
        reducer = self._reducer()
        if reducer is not None and reducer.running:
            reducer.end()

    def refuse(self, leaf: Value) -> None:
        reducer = self._reducer()
        if reducer is not None:
            raise RuntimeError(
                f"grad: {reducer.name_of(leaf)} is a parameter of a DistributedDataParallel module, which averages "
                f"gradients over the ranks in backward() alone; its gradient as a return value, and the gradient of a "
                f"gradient, would be those of this rank's batch. Call backward(), or grad() on the module inside "
                f"(ddp.module) before it is wrapped"
            )


def is_watched(parameter: Value) -> bool:
    """Whether a reducer averages the gradient of this parameter."""
    hooks = parameter._post_hooks
    return bool(hooks) and any(isinstance(hook, _Hook) and hook._reducer() is not None for hook in hooks.values())  # type: ignore[union-attr] # it is true


def _remove(handles: Sequence[RemovableLeafHook]) -> None:
    for handle in handles:
        handle.remove()


class Reducer:
    """Averages gradients over the ranks of a group.

    Parameters
    ----------
    named : sequence of (str, Variable)
        The parameters to train: the same ones on all ranks.
    group : ProcessGroup
    cap : int
        The size of a bucket in bytes.
    find_unused : bool
        Whether a loss may depend on a part of the parameters, on each rank another one.
    static : bool
        Whether the parameters that a loss depends on are the same in each backward.
    as_views : bool
        Whether ``grad`` becomes a part of the bucket.

    Attributes
    ----------
    exchanges : bool
        Whether the next backward exchanges gradients. The module sets it in each forward.
    divisor : int
        What the sums are divided by.
    running : bool
        Whether a backward is being exchanged.
    """

    def __init__(
        self,
        named: Sequence[tuple[str, Variable]],
        group: dist.ProcessGroup,
        cap: int,
        find_unused: bool,
        static: bool,
        as_views: bool,
    ):
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.group = group
        self.cap = cap
        self.static = static
        self.finds_unused = find_unused or static
        self.as_views = as_views
        self.exchanges = True
        self.divisor = group.size
        self.running = False
        self._number = {id(p): i for i, p in enumerate(self.parameters)}
        self.buckets: list[Bucket] = []
        self._place: list[Any] = []  # for each parameter, its bucket and its place in it
        self._arrived: set[int] = set()
        self._next = 0
        self._flying: deque[Bucket] = deque()
        self._unused: list[int] = []
        self._touched: set[int] = set()  # the parameters that backwards without an exchange have reached since the last
        self._static_unused: list[int] | None = None  # of this rank's first backward
        self._flags: Any = None  # for each parameter, whether the loss of any rank depends on it
        self._flags_work: dist.Work | None = None
        self._never_used: set[int] | None = None  # the parameters without a flag
        self._bar: tracing.Span | None = None  # of this backward, while a trace is recorded
        hook = _Hook(self)
        handles = [watch(p, hook) for p in self.parameters]
        weakref.finalize(self, _remove, handles).atexit = False

    def _layout(self, reached: Sequence[int]) -> None:
        """Make the buckets, in the first backward that exchanges gradients.

        Rank 0 says in which order its gradients will be complete. The order never changes later, so that a run which
        goes on from a checkpoint adds the same numbers in the same order. Where each backward may reach other
        parameters, their order in the module says it.

        Parameters
        ----------
        reached : sequence of int
            The numbers of the parameters, in the order in which this rank's gradients will be complete.
        """
        order = list(reversed(range(len(self.parameters))))
        if not self.finds_unused:
            known = set(reached)
            order = [*reached, *[i for i in order if i not in known]]
            order = dist.broadcast_object(order, dist.get_global_rank(self.group, 0), self.group)
        self.buckets = [
            Bucket([self.parameters[i] for i in members], members) for members in plan(self.parameters, order, self.cap)
        ]
        self._place = [None] * len(self.parameters)
        for bucket in self.buckets:
            for place, i in enumerate(bucket.numbers):
                self._place[i] = (bucket, place)

    def name_of(self, parameter: Value) -> str:
        """The parameter's name in the module."""
        return self.names[self._number[id(parameter)]]

    # -- one backward --------------------------------------------------------------------------------------------------
    def begin(self, leaves: Sequence[Value]) -> None:
        """Prepare the buckets for a backward that reaches these parameters."""
        self._abandon()
        reached = [self._number[id(leaf)] for leaf in leaves]
        if not self.exchanges:
            if self.finds_unused:
                self._touched.update(reached)
            return
        known = set(reached)
        unused = [i for i in range(len(self.parameters)) if i not in known]
        self._check_unused(unused)
        if tracing.active is not None:
            self._bar = tracing.active.begin("backward")
        self._start(reached, unused)

    def _check_unused(self, unused: Sequence[int]) -> None:
        """Raise RuntimeError if the loss does not depend on parameters on which it should."""
        if self.static and self._static_unused is not None and self._static_unused != unused:
            changed = [self.names[i] for i in sorted(set(unused) ^ set(self._static_unused))]
            raise RuntimeError(
                f"DistributedDataParallel: with static_graph=True each loss depends on the same parameters; this "
                f"backward differs from the first one in {changed} (rank {self.group.rank}). Nothing was exchanged; "
                f"pass find_unused_parameters=True instead"
            )
        missing = [] if self.finds_unused else [self.names[i] for i in unused if self.parameters[i]._tracked]
        if missing:
            raise RuntimeError(
                f"DistributedDataParallel: on rank {self.group.rank} the value that backward starts from does not "
                f"depend on {len(missing)} of {len(self.parameters)} parameters: {missing}. Nothing was exchanged. "
                f"Compute one loss from all outputs of the module; or pass find_unused_parameters=True; or freeze "
                f"them with requires_grad_(False) before the module is wrapped"
            )

    def _start(self, reached: Sequence[int], unused: list[int], empty: bool = False) -> None:
        if not self.buckets:
            self._layout(reached)
        for bucket in self.buckets:
            bucket.missing = len(bucket.parameters)
        self.running = True
        self._next = 0
        self._arrived = set()
        self._unused = unused
        if self.finds_unused and not (self.static and self._never_used is not None):
            self._exchange_flags(unused)
        for i in unused:
            self._fill(i, empty)
        self._launch()

    def _exchange_flags(self, unused: Sequence[int]) -> None:
        """Begin to find out which parameters no rank's loss depends on, those of `no_sync` before included."""
        first = self.parameters[0]._native
        backend: Backend = of(first)  # type: ignore[assignment] # a Variable's array has a backend
        missing = set(unused) - self._touched
        self._touched = set()
        flags = [0 if i in missing else 1 for i in range(len(self.parameters))]
        self._flags = Variable(flags, device=backend.device_of(first), dtype=dtypes.int32)
        self._flags_work = dist.all_reduce(self._flags, dist.ReduceOp.MAX, self.group, async_op=True)

    def _fill(self, i: int, empty: bool = False) -> None:
        """Put the gradient that exists, or zeros, where no gradient arrives in this backward."""
        bucket, place = self._place[i]
        p, gradient = self.parameters[i], None if empty else self.parameters[i]._grad
        view = bucket.views[place]
        if gradient is not None and gradient is view:  # it stays as it is if no rank has a gradient
            with bucket.backend.guard(gradient):
                p._grad = bucket.backend.xp.asarray(gradient, copy=True)
        bucket.put(place, gradient, 1.0 / self.divisor)

    def ready(self, leaf: Value) -> None:
        """Put a complete gradient into its bucket, and exchange the buckets that are full."""
        i = self._number[id(leaf)]
        bucket, place = self._place[i]
        gradient, view = leaf._grad, bucket.views[place]
        if view is not None and gradient is not None and (gradient.shape, gradient.dtype) != (view.shape, view.dtype):
            raise RuntimeError(
                f"DistributedDataParallel: the gradient of {self.names[i]} is {gradient.dtype} "
                f"{tuple(gradient.shape)}, and was {view.dtype} {tuple(view.shape)} when the module was wrapped; "
                f"convert a module before you wrap it"
            )
        self._arrived.add(i)
        bucket.put(place, gradient, 1.0 / self.divisor)
        if self.as_views and view is not None:
            leaf._grad = view
        if bucket.missing == 0:
            self._launch()
        elif self._flying and self._flying[0].advance():
            self._flying.popleft()

    def _launch(self) -> None:
        """Start the exchange of full buckets. All ranks start them in the same order."""
        while self._next < len(self.buckets) and self.buckets[self._next].missing == 0:
            bucket = self.buckets[self._next]
            self._next += 1
            bucket.start(self.group)
            self._flying.append(bucket)

    def end(self) -> None:
        """Wait for all buckets, and give each parameter its averaged gradient."""
        if self._bar is not None:
            self._bar = self._bar.followed_by("wait for exchanges")
        if len(self._arrived) + len(self._unused) < len(self.parameters):  # a rule returned no gradient
            for i in set(range(len(self.parameters))).difference(self._arrived, self._unused):
                self._fill(i)
            self._launch()
        never_used = self._wait_for_flags()
        kept = set(self._unused) if never_used is None else never_used
        if self.static and self._static_unused is None:
            self._static_unused = self._unused
        for bucket in self.buckets:
            for i, total in zip(bucket.numbers, bucket.wait(), strict=True):
                if i not in kept:
                    self._give(self.parameters[i], total, bucket)
        self._flying.clear()
        self.running = False
        if self._bar is not None:
            self._bar.end()
            self._bar = None

    def _wait_for_flags(self) -> set[int] | None:
        """The parameters that no rank's loss depends on, so that their gradients stay as they are; None if unknown."""
        if self._flags_work is not None:
            self._flags_work.wait()
            self._never_used = {i for i, flag in enumerate(self._flags.tolist()) if not flag}
            self._flags_work = self._flags = None
        return self._never_used

    def _give(self, p: Variable, total: Array, bucket: Bucket) -> None:
        """Store the averaged gradient of a parameter."""
        old, backend = p._grad, bucket.backend
        if old is total:
            return
        if self.as_views or not backend.mutable:
            p._grad = total
            return
        with backend.guard(total):
            if old is None or not backend.writable(old):
                p._grad = backend.xp.asarray(total, copy=True)
            else:
                old[...] = total

    def _abandon(self) -> None:
        """Wait for the exchanges of a backward that an error ended, so that the next one begins anew."""
        if self.running:
            self.running = False
            self._bar = None
            self._wait_for_flags()
            for bucket in self.buckets[: self._next]:
                bucket.wait()
            self._flying.clear()

    # -- a rank that has no batch left ---------------------------------------------------------------------------------
    def shadow(self) -> None:
        """Take part in the exchanges of one backward of the other ranks, with zeros."""
        self._abandon()
        self._start([], list(range(len(self.parameters))), empty=True)
        self._wait_for_flags()
        for bucket in self.buckets:
            bucket.wait()
        self._flying.clear()
        self.running = False
