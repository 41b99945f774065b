"""Buckets: gradients that are exchanged together, in one array for each bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from ... import distributed as dist
from ...autograd.modes import no_grad
from ...backends import Array, Backend, device_of, of
from ...variable import Variable

__all__ = ["Bucket", "broadcast_together", "plan"]

#: The first bucket is small, so that the exchange begins early.
FIRST_BYTES = 2**20

#: Values are broadcast in pieces of this size, so that the copies need little memory.
BROADCAST_BYTES = 25 * 2**20


def plan(parameters: Sequence[Variable], order: Sequence[int], cap: int) -> list[list[int]]:
    """Which parameters come into which bucket.

    Parameters
    ----------
    parameters : sequence of Variable
    order : sequence of int
        The numbers of the parameters, in the order in which their gradients are expected.
    cap : int
        A bucket is full when it has this many bytes. The first one is full with 1 MiB.

    Returns
    -------
    list of list of int
        Numbers of parameters of one dtype and device each, in the order in which the buckets are expected to be full.
    """
    buckets: list[list[int]] = []
    open_buckets: dict[tuple[Any, str], tuple[list[int], int]] = {}
    limit = min(cap, FIRST_BYTES)
    for i in order:
        p = parameters[i]
        key = (p.dtype, p.device)
        members, size = open_buckets.pop(key, ([], 0))
        members.append(i)
        size += p.size * p.dtype.itemsize
        if size >= limit:
            buckets.append(members)
            limit = cap
        else:
            open_buckets[key] = (members, size)
    rest = [members for members, _ in open_buckets.values()]
    place = {i: n for n, i in enumerate(order)}
    return sorted([*buckets, *rest], key=lambda members: place[members[-1]])


class Bucket:
    """The gradients of some parameters, one behind the other in one array.

    Parameters
    ----------
    parameters : sequence of Variable
        Of one dtype and one device.
    numbers : sequence of int
        Their numbers in the list of all parameters.

    Attributes
    ----------
    views : list of array or None
        For each parameter its part of the array, in the parameter's shape. None where the library's arrays cannot be
        changed: there each exchange makes new arrays.
    missing : int
        How many gradients have not arrived yet in this backward.
    """

    def __init__(self, parameters: Sequence[Variable], numbers: Sequence[int]):
        self.numbers = list(numbers)
        self.parameters = list(parameters)
        self.backend: Backend = of(parameters[0].data)  # type: ignore[assignment] # a Variable's array has a backend
        self.device = parameters[0].device
        self.sizes = [p.size for p in parameters]
        self.nbytes = sum(self.sizes) * parameters[0].dtype.itemsize
        self.missing = len(self.parameters)
        dtype = self.backend.native_dtype(parameters[0].dtype)
        self.flat: Any = None
        self.views: list[Array | None] = [None] * len(self.parameters)
        self._scaled: list[Array | None] = [None] * len(self.parameters)
        self._work: dist.Work | None = None
        if self.backend.mutable:
            self.flat = self.backend.new("zeros", self.device, dtype, (sum(self.sizes),))
            with self.backend.guard(self.flat):
                self.views = list(self._parts(self.flat))

    def _parts(self, flat: Array) -> Iterator[Array]:
        """The parts of an array of all gradients, each in the shape of its parameter."""
        start = 0
        for p, size in zip(self.parameters, self.sizes, strict=True):
            yield self.backend.xp.reshape(flat[start : start + size], tuple(p._native.shape))
            start += size

    def put(self, place: int, gradient: Array | None, factor: float) -> None:
        """Write ``gradient * factor`` into a place; zeros for None."""
        self.missing -= 1
        view = self.views[place]
        backend = self.backend
        if view is None:
            like = self.parameters[place]._native
            with backend.guard(like):
                self._scaled[place] = backend.xp.zeros_like(like) if gradient is None else gradient * factor
            return
        with backend.guard(view):
            if gradient is None:
                view[...] = 0
            elif gradient is view:
                view *= factor
            else:
                backend.scale_into(view, gradient, factor)

    def start(self, group: dist.ProcessGroup) -> None:
        """Begin to add the bucket up over all ranks."""
        if self.flat is None or not self.backend.mutable:
            xp = self.backend.xp
            flat = xp.concat([xp.reshape(part, (-1,)) for part in self._scaled])
            self.flat, self._scaled = Variable(flat), [None] * len(self.parameters)
        self._work = dist.all_reduce(self.flat, group=group, async_op=True)

    def advance(self) -> bool:
        """Move the data on; returns whether the exchange is done."""
        # not is_completed(), which notes the write: then each later rule would look up whether its values were changed
        return self._work is None or self._work.progress()

    def wait(self) -> list[Array]:
        """Wait for the exchange, and return the sum of each gradient."""
        if self._work is not None:
            self._work.wait()
            self._work = None
        if self.backend.mutable:
            return self.views
        parts, self.flat = list(self._parts(self.flat.data)), None
        return parts


def broadcast_together(values: Sequence[Variable], src: int, group: dist.ProcessGroup) -> None:
    """Replace the values on all ranks with those of rank ``src`` (a rank of the world), several in one message."""
    sends = dist.get_rank() == src
    for several in _batches(values):
        messages = []
        for members in several:
            backend: Any = of(members[0].data)
            xp = backend.xp
            with backend.guard(members[0].data):
                flat = Variable(xp.concat([xp.reshape(value.data, (-1,)) for value in members]))
                before = None if sends or not backend.readable else xp.asarray(flat.data, copy=True)
            messages.append((members, flat, before, dist.broadcast(flat, src, group, async_op=True)))
        for members, flat, before, work in messages:
            work.wait()  # type: ignore[union-attr] # with async_op there is a handle
            if not sends:
                _write(members, flat.data, before)


def _write(values: Sequence[Variable], flat: Array, before: Array | None) -> None:
    """Write the parts of an array into these values, unless they are equal already.

    A write that changes nothing would still make the values unusable for the gradients of earlier calls.
    """
    backend: Any = of(flat)
    xp = backend.xp
    with backend.guard(flat), no_grad():
        if before is not None and bool(xp.all(before == flat)):
            return
        start = 0
        for value in values:
            value[...] = xp.reshape(flat[start : start + value.size], value.shape)
            start += value.size


def _batches(values: Sequence[Variable]) -> Iterator[list[list[Variable]]]:
    """The pieces of the values, as many at once as `BROADCAST_BYTES` allows."""
    batch: list[list[Variable]] = []
    size = 0
    for piece in _pieces(values):
        nbytes = sum(prod(value.shape) * value.dtype.itemsize for value in piece)
        if batch and size + nbytes > BROADCAST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += nbytes
    if batch:
        yield batch


def _pieces(values: Sequence[Variable]) -> Iterator[list[Variable]]:
    """The values in groups of one dtype and device, of at most `BROADCAST_BYTES` where a group has several."""
    kinds: dict[tuple[Any, str], list[Variable]] = {}
    for value in values:
        kinds.setdefault((value.dtype, device_of(value.data)), []).append(value)
    for members in kinds.values():
        piece: list[Variable] = []
        size = 0
        for value in members:
            nbytes = prod(value.shape) * value.dtype.itemsize
            if piece and size + nbytes > BROADCAST_BYTES:
                yield piece
                piece, size = [], 0
            piece.append(value)
            size += nbytes
        yield piece
