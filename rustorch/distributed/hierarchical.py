"""Exchanges in two levels: between the ranks of a node first, and then each part between the nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backends import Array, Backend, of
from .exchange import Exchange
from .group import ProcessGroup, state, world
from .start import new_group
from .work import Done, Request

__all__ = ["new_hierarchical_group"]


def new_hierarchical_group(ranks_per_node: int | None = None) -> ProcessGroup:
    """A group of all ranks whose large exchanges go through the network once for each node, not once for each rank.

    ``all_reduce`` has three steps. The ranks of each node add up, so that each of them has a part of the node's sum.
    The ranks with the same part add it up between the nodes. Then the ranks of each node gather the parts.
    ``reduce_scatter_tensor``, ``all_gather_into_tensor`` and ``broadcast`` work alike. All other collectives are those
    of `new_group`.

    It is faster in two cases: if a launcher deals the ranks to the nodes one by one (rank 0 on the first, rank 1 on the
    second, and so on), and if exchanges would go around a ring over many nodes. If each node has consecutive ranks, MPI
    exchanges in a similar order by itself. ``python -m benchmarks --only scaling`` computes what to expect. Arrays on
    the host are exchanged before the call returns, also with ``async_op=True``. Arrays on GPUs are exchanged in the
    background.

    Parameters
    ----------
    ranks_per_node : int, optional
        Consecutive ranks that count as a node. Default: the ranks on one machine are a node.

    Returns
    -------
    ProcessGroup
        For ``DistributedDataParallel(module, process_group=group)`` and the argument ``group`` of collectives. With one
        node, or one rank on each, it is the group that `new_group` makes. All ranks call it.

    Raises
    ------
    RuntimeError
        If there is no process group.
    ValueError
        If the nodes have different numbers of ranks.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> group = dist.new_hierarchical_group()
    >>> dist.all_reduce(rustorch.ones(3), group=group)
    >>> dist.destroy_process_group()
    """
    from .nccl import machine  # here, so that `import rustorch` stays fast

    everyone = world("new_hierarchical_group")
    own = machine() if ranks_per_node is None else _node_of(everyone, ranks_per_node)
    nodes: dict[str, list[int]] = {}
    with everyone.calls.during("new_hierarchical_group()"):
        for rank, data in enumerate(everyone.exchange.gather_bytes(str(own).encode())):
            nodes.setdefault(data.decode(), []).append(rank)
    members = list(nodes.values())
    local, count = len(members[0]), len(members)
    if any(len(ranks) != local for ranks in members):
        listed = "; ".join(str(ranks) for ranks in members)
        raise ValueError(
            f"new_hierarchical_group: every node needs the same number of ranks, and these are on the nodes: {listed}; "
            f"use new_group()"
        )
    if local == 1 or count == 1:
        return new_group()
    places = {rank: (node, place) for node, ranks in enumerate(members) for place, rank in enumerate(ranks)}
    with everyone.calls.during("new_hierarchical_group()"):
        group = _HierarchicalGroup(everyone, [places[rank] for rank in range(everyone.size)], members)
    state.others.append(group)
    return group


def _node_of(everyone: ProcessGroup, ranks_per_node: Any) -> str:
    """The node of this rank, if each has that many."""
    if type(ranks_per_node) is not int or ranks_per_node < 1 or everyone.size % ranks_per_node:
        raise ValueError(
            f"new_hierarchical_group: ranks_per_node is a whole number that divides the {everyone.size} ranks, not "
            f"{ranks_per_node!r}"
        )
    return str(everyone.rank // ranks_per_node)


class _HierarchicalGroup(ProcessGroup):
    """All ranks, with exchanges in two levels.

    Parameters
    ----------
    everyone : ProcessGroup
        The world.
    places : list of (int, int)
        For every rank its node, and its place there.
    members : list of list of int
        The ranks of each node.
    """

    def __init__(self, everyone: ProcessGroup, places: Sequence[tuple[int, int]], members: Sequence[Sequence[int]]):
        node, place = places[everyone.rank]
        flat = everyone.exchange.split(everyone.ranks)
        inside = everyone.exchange.split(tuple(members[node]))
        between = everyone.exchange.split(tuple(ranks[place] for ranks in members))
        assert flat is not None and inside is not None and between is not None
        self._levels = (inside, between)
        self._at = _Places(places, everyone.rank)
        host = _Hierarchical(flat, inside, between, self._at)
        super().__init__(everyone.ranks, everyone.rank, host, None, everyone.backend)

    def _connected(self, backend: Backend, array: Array) -> Exchange | None:
        if not self._gpu_tried:
            from .nccl import NcclExchange, connect

            flat = super()._connected(backend, array)
            if isinstance(flat, NcclExchange):
                from ..backends.cupy.ordered import Ordered

                at = self._at
                with self.calls.during("connect the GPUs by NCCL"):
                    inside = connect(self._levels[0], at.place, at.local, backend, array, required=True)
                    between = connect(self._levels[1], at.node, at.nodes, backend, array, required=True)
                assert inside is not None and between is not None
                levels = (flat, inside, between)
                self._watch_gpu(lambda: next(filter(None, [level.oldest() for level in levels]), None))
                self._gpu = _Hierarchical(flat, inside, between, at, Ordered(array).launch)
        return self._gpu


class _Places:
    """Where the ranks are.

    Attributes
    ----------
    all : sequence of (int, int)
        For every rank its node, and its place there.
    node, place : int
        Those of this rank.
    nodes, local : int
        How many nodes there are, and how many ranks each has.
    in_blocks, in_turn : bool
        Whether each node has consecutive ranks, or whether the ranks are dealt to the nodes one by one.
    """

    def __init__(self, places: Sequence[tuple[int, int]], rank: int):
        self.all = places
        self.node, self.place = places[rank]
        self.nodes = 1 + max(node for node, _ in places)
        self.local = 1 + max(place for _, place in places)
        self.in_blocks = list(places) == [divmod(r, self.local) for r in range(len(places))]
        self.in_turn = list(places) == [(r % self.nodes, r // self.nodes) for r in range(len(places))]


def _at_once(body: Callable[[], None], arrays: Sequence[Array]) -> Request:
    body()
    return Done()


class _Hierarchical(Exchange):
    """The collectives of all ranks, in two levels.

    Parameters
    ----------
    flat, inside, between : Exchange
        Those of all ranks, of this rank's node, and of the ranks with the same place on the other nodes.
    at : _Places
    launch : callable
        Calls a function that makes several exchanges, and returns the request of all of them.
    """

    def __init__(
        self,
        flat: Exchange,
        inside: Exchange,
        between: Exchange,
        at: _Places,
        launch: Callable[[Callable[[], None], Sequence[Array]], Request] = _at_once,
    ):
        self.name, self.on_host, self.checked = flat.name, flat.on_host, flat.checked
        self._flat = flat
        self._inside = inside
        self._between = between
        self._at = at
        self._launch = launch

    # -- in two levels -------------------------------------------------------------------------------------------------
    def all_reduce(self, array: Array, op: str) -> Request:
        at, backend = self._at, _backend(array)
        if array.size < at.local:
            return self._flat.all_reduce(array, op)

        def body() -> None:
            flat = backend.xp.reshape(array, (-1,))
            length = -(-array.size // at.local)  # of a part
            padded = flat if length * at.local == array.size else _new(backend, flat, length * at.local)
            if padded is not flat:
                padded[: array.size] = flat
            part = _new(backend, flat, length)
            self._inside.reduce_scatter(part, padded, op).wait()
            self._between.all_reduce(part, op).wait()
            self._inside.all_gather(padded, part).wait()
            if padded is not flat:
                flat[...] = padded[: array.size]

        with backend.guard(array):
            return self._launch(body, (array,))

    def reduce_scatter(self, output: Array, values: Array, op: str) -> Request:
        at, backend = self._at, _backend(values)
        if not values.size or not (at.in_blocks or at.in_turn):
            return self._flat.reduce_scatter(output, values, op)

        def body() -> None:
            part = _new(backend, values, at.nodes * output.size)
            self._inside.reduce_scatter(part, self._by_place(backend, values), op).wait()
            self._between.reduce_scatter(output, part, op).wait()

        with backend.guard(values):
            return self._launch(body, (output, values))

    def _by_place(self, backend: Backend, values: Array) -> Array:
        """The parts of all ranks, ordered by the place on the node, and then by the node."""
        at, xp = self._at, backend.xp
        if at.in_turn:
            return values
        blocks = xp.permute_dims(xp.reshape(values, (at.nodes, at.local, -1)), (1, 0, 2))
        return xp.asarray(blocks, copy=True, order="C")

    def all_gather(self, output: Array, array: Array) -> Request:
        at, backend = self._at, _backend(array)
        if not array.size or not (at.in_blocks or at.in_turn):
            return self._flat.all_gather(output, array)

        def body() -> None:
            xp = backend.xp
            of_place = _new(backend, array, at.nodes * array.size)
            self._between.all_gather(of_place, array).wait()
            if at.in_turn:
                self._inside.all_gather(output, of_place).wait()
                return
            every = _new(backend, array, output.size)
            self._inside.all_gather(every, of_place).wait()
            by_node = xp.permute_dims(xp.reshape(every, (at.local, at.nodes, -1)), (1, 0, 2))
            xp.reshape(output, (at.nodes, at.local, -1))[...] = by_node

        with backend.guard(array):
            return self._launch(body, (output, array))

    def broadcast(self, array: Array, root: int) -> Request:
        node, place = self._at.all[root]

        def body() -> None:
            if self._at.place == place:
                self._between.broadcast(array, node).wait()
            self._inside.broadcast(array, place).wait()

        with _backend(array).guard(array):
            return self._launch(body, (array,))

    # -- as in other groups --------------------------------------------------------------------------------------------
    def reduce(self, array: Array, root: int, op: str) -> Request:
        return self._flat.reduce(array, root, op)

    def gather(self, output: Array | None, array: Array, root: int) -> Request:
        return self._flat.gather(output, array, root)

    def scatter(self, array: Array, values: Array | None, root: int) -> Request:
        return self._flat.scatter(array, values, root)

    def all_to_all(self, output: Array, values: Array) -> Request:
        return self._flat.all_to_all(output, values)

    def send(self, array: Array, to: int, tag: int) -> Request:
        return self._flat.send(array, to, tag)

    def recv(self, array: Array, source: int | None, tag: int) -> tuple[Request, Callable[[], int]]:
        return self._flat.recv(array, source, tag)

    def barrier(self) -> Request:
        return self._flat.barrier()

    def gather_bytes(self, data: bytes) -> list[bytes]:
        return self._flat.gather_bytes(data)

    def broadcast_bytes(self, data: bytes, root: int) -> bytes:
        return self._flat.broadcast_bytes(data, root)

    def agree(self, number: int) -> bool:
        return self._flat.agree(number)

    def split(self, members: tuple[int, ...] | None) -> Exchange | None:
        return self._flat.split(members)

    def close(self) -> None:
        for exchange in (self._between, self._inside, self._flat):
            exchange.close()


def _backend(array: Array) -> Backend:
    backend = of(array)
    assert backend is not None
    return backend


def _new(backend: Backend, like: Array, size: int) -> Array:
    return backend.new("empty", backend.device_of(like), like.dtype, (size,))
