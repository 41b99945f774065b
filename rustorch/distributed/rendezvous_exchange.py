"""What ranks without MPI exchange on the host: bytes, through the rendezvous."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ..backends import Array
from .exchange import Exchange
from .rendezvous import Rendezvous, read
from .work import Done, Request

__all__ = ["RendezvousControl", "RendezvousExchange", "start"]


def start(timeout: float = 600.0, environment: Mapping[str, str] = os.environ) -> RendezvousExchange:
    """Connect this process with the others that a launcher such as torchrun has started, and wait for all of them.

    Raises
    ------
    ValueError, RuntimeError, TimeoutError
        As `read` and `Rendezvous` say.
    """
    launch = read(environment)
    rendezvous = Rendezvous(launch, timeout) if launch.size > 1 else None
    if rendezvous is not None:
        try:
            rendezvous.meet("the start", range(launch.size), b"", timeout)
        except BaseException:
            rendezvous.close(0)
            raise
    return RendezvousExchange(rendezvous, tuple(range(launch.size)), launch.rank, timeout)


class RendezvousExchange(Exchange):
    """What a group without MPI exchanges on the host: bytes alone. Its arrays are on GPUs, and NCCL exchanges them.

    Parameters
    ----------
    rendezvous : Rendezvous or None
        None in a world of one.
    members : tuple of int
        The ranks of the group, in the world.
    rank : int
        This process's rank in the world.
    timeout : float
        The seconds after which a missing rank is named.
    """

    name = "nccl"

    def __init__(self, rendezvous: Rendezvous | None, members: tuple[int, ...], rank: int, timeout: float):
        self._rendezvous = rendezvous
        self._members = members
        self._owns = rendezvous is not None and len(members) == rendezvous.size
        self.timeout = timeout
        self.rank, self.size = members.index(rank), len(members)
        self._name = ""
        self._count = 0

    def gather_bytes(self, data: bytes) -> list[bytes]:
        if self._rendezvous is None or self.size == 1:
            return [data]
        self._count += 1
        key = f"{self._name or 'world'}: exchange {self._count}"
        return self._rendezvous.meet(key, self._members, data, self.timeout)

    def broadcast_bytes(self, data: bytes, root: int) -> bytes:
        return self.gather_bytes(data if self.rank == root else b"")[root]

    def barrier(self) -> Request:
        self.gather_bytes(b"")
        return Done()

    def split(self, members: tuple[int, ...] | None) -> RendezvousExchange | None:
        self._count += 1  # as on the ranks that are not in the new group
        if members is None or self.rank not in members:
            return None
        ranks = tuple(self._members[r] for r in members)
        group = RendezvousExchange(self._rendezvous, ranks, self._members[self.rank], self.timeout)
        group._owns = False
        # ranks may be split into several groups in one call: the first member tells them apart
        group._name = f"{self._name or 'group'}/{self._count} from {ranks[0]}"
        return group

    def close(self) -> None:
        if self._owns and self._rendezvous is not None:
            self._rendezvous.close()

    def control(self) -> RendezvousControl:
        """A second connection of this rank, for the thread that watches over the ranks."""
        assert self._rendezvous is not None
        return RendezvousControl(self._rendezvous.second(self.timeout))

    # -- arrays --------------------------------------------------------------------------------------------------------
    def _refuse(self, array: Array | None) -> Request:
        raise ValueError(
            "without MPI, arrays are exchanged by NCCL, and this one is not on a GPU; move it with .to('cuda'), or "
            "start the program by mpiexec -n 4 python -m mpi4py program.py"
        )

    def all_reduce(self, array: Array, op: str) -> Request:
        return self._refuse(array)

    def reduce(self, array: Array, root: int, op: str) -> Request:
        return self._refuse(array)

    def broadcast(self, array: Array, root: int) -> Request:
        return self._refuse(array)

    def all_gather(self, output: Array, array: Array) -> Request:
        return self._refuse(array)

    def gather(self, output: Array | None, array: Array, root: int) -> Request:
        return self._refuse(array)

    def scatter(self, array: Array, values: Array | None, root: int) -> Request:
        return self._refuse(array)

    def reduce_scatter(self, output: Array, values: Array, op: str) -> Request:
        return self._refuse(array=values)

    def all_to_all(self, output: Array, values: Array) -> Request:
        return self._refuse(values)

    def send(self, array: Array, to: int, tag: int) -> Request:
        return self._refuse(array)

    def recv(self, array: Array, source: int | None, tag: int) -> tuple[Request, Callable[[], int]]:
        return self._refuse(array), lambda: -1


class RendezvousControl:
    """Short messages between all ranks beside the exchanges, for the thread that watches over them."""

    usable = True

    def __init__(self, rendezvous: Rendezvous):
        self._rendezvous = rendezvous
        self.rank, self.size = rendezvous.rank, rendezvous.size
        self._arrived: deque[tuple[int, dict[str, Any]]] = deque()
        self._known_to_be_gone: set[int] = set()
        self._asked = 0.0
        #: Seconds between two questions for mail: many ranks must not keep rank 0 busy.
        self._period = 0.1 + self.size / 2000

    def _exchange(self, *letter: Any) -> None:
        """Send a message, if there is one, and take what has arrived. The end of rank 0 counts as a message of it."""
        self._asked = time.monotonic()
        try:
            letters = self._rendezvous.mail(*letter)
        except RuntimeError:
            letters = [{"from": 0, "message": {"ended": True}}]
        for one in letters:
            rank, message = one["from"], one["message"]
            if "gone" in message or "ended" in message:
                if rank not in self._known_to_be_gone:
                    self._arrived.append((rank, {"gone": message.get("gone", {})}))
                self._known_to_be_gone.add(rank)
            else:
                self._arrived.append((rank, message))

    def send(self, rank: int, message: dict[str, Any]) -> None:
        """Send a message. It does not wait for the other rank."""
        self._exchange(rank, message)

    def receive(self) -> tuple[int, dict[str, Any]] | None:
        """The rank and the message of the next message that has arrived, or None."""
        if not self._arrived and time.monotonic() - self._asked > self._period:
            self._exchange()
        return self._arrived.popleft() if self._arrived else None

    def abort(self) -> None:
        """End this process at once, with exit status 1. The others see that it has ended, and end as well."""
        os._exit(1)

    def close(self) -> None:
        """End the connection. The other ranks do not take it for a failure."""
        with contextlib.suppress(RuntimeError):
            self._rendezvous.say_goodbye()
        self._rendezvous.close()
