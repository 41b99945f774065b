"""What carries arrays between the ranks of a group: the interface, and the exchange of a world of one.

An exchange gets arrays that were checked: contiguous, of one shape and dtype on all ranks, in the memory that it works
on. Ranks are numbers within the group. Every method but `barrier` starts the exchange and returns a `Request`, whose
``wait`` ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backends import Array, of
from .work import Done, Request

__all__ = ["Alone", "Exchange"]


class Exchange:
    """The collectives of one group.

    Attributes
    ----------
    name : str
        The name of the engine: "mpi", "nccl" or "alone".
    on_host : bool
        Whether the arrays are NumPy arrays; else they are CuPy arrays on this rank's GPU. Arrays of other libraries,
        and of other memory, are copied to the host and back around an exchange that works there.
    checked : bool
        Whether comparing the calls of all ranks before an exchange is cheap.
    """

    name: str
    on_host = True
    checked = False

    def all_reduce(self, array: Array, op: str) -> Request:
        """Replace ``array`` with the reduction over all ranks; ``op`` is "sum", "product", "min" or "max"."""
        raise NotImplementedError

    def reduce(self, array: Array, root: int, op: str) -> Request:
        """The same on rank ``root`` alone; the other ranks' arrays do not change."""
        raise NotImplementedError

    def broadcast(self, array: Array, root: int) -> Request:
        """Replace ``array`` with that of rank ``root``."""
        raise NotImplementedError

    def all_gather(self, output: Array, array: Array) -> Request:
        """Write the arrays of all ranks one after the other into ``output``, which has as many elements as they."""
        raise NotImplementedError

    def gather(self, output: Array | None, array: Array, root: int) -> Request:
        """The same on rank ``root`` alone; ``output`` is None on the others."""
        raise NotImplementedError

    def scatter(self, array: Array, values: Array | None, root: int) -> Request:
        """Write the part of ``values`` on rank ``root`` that belongs to this rank into ``array``."""
        raise NotImplementedError

    def reduce_scatter(self, output: Array, values: Array, op: str) -> Request:
        """Write the part of the reduction of ``values`` that belongs to this rank into ``output``."""
        raise NotImplementedError

    def all_to_all(self, output: Array, values: Array) -> Request:
        """Send part r of ``values`` to rank r, and write what arrives from rank r into part r of ``output``."""
        raise NotImplementedError

    def send(self, array: Array, to: int, tag: int) -> Request:
        """Send an array to one rank."""
        raise NotImplementedError

    def recv(self, array: Array, source: int | None, tag: int) -> tuple[Request, Callable[[], int]]:
        """Receive into ``array`` from one rank, or from any for None.

        Also returns a function that says which rank it came from, once it has arrived.
        """
        raise NotImplementedError

    def barrier(self) -> Request:
        """An exchange of nothing, which is done when all ranks have started it."""
        raise NotImplementedError

    def gather_bytes(self, data: bytes) -> list[bytes]:
        """The bytes of every rank, on every rank. Waits."""
        raise NotImplementedError

    def broadcast_bytes(self, data: bytes, root: int) -> bytes:
        """The bytes of rank ``root``. Waits."""
        raise NotImplementedError

    def agree(self, number: int) -> bool:
        """Whether all ranks pass the same number below 2 ** 63. Waits."""
        numbers = self.gather_bytes(number.to_bytes(8, "little"))
        return len(set(numbers)) == 1

    def split(self, members: tuple[int, ...] | None) -> Exchange | None:
        """The exchange of a smaller group, for its members; None for others. All ranks of this group call it."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what the exchange holds. All its ranks call it."""


class Alone(Exchange):
    """The exchange of a group of one rank, for arrays of every library and memory."""

    name = "alone"
    on_host = False

    def all_reduce(self, array: Array, op: str) -> Request:
        return Done()

    def reduce(self, array: Array, root: int, op: str) -> Request:
        return Done()

    def broadcast(self, array: Array, root: int) -> Request:
        return Done()

    def all_gather(self, output: Array, array: Array) -> Request:
        return _copied(output, array)

    def gather(self, output: Array | None, array: Array, root: int) -> Request:
        return _copied(output, array)

    def scatter(self, array: Array, values: Array | None, root: int) -> Request:
        return _copied(array, values)

    def reduce_scatter(self, output: Array, values: Array, op: str) -> Request:
        return _copied(output, values)

    def all_to_all(self, output: Array, values: Array) -> Request:
        return _copied(output, values)

    def barrier(self) -> Request:
        return Done()

    def gather_bytes(self, data: bytes) -> list[bytes]:
        return [data]

    def broadcast_bytes(self, data: bytes, root: int) -> bytes:
        return data

    def agree(self, number: int) -> bool:
        return True

    def split(self, members: tuple[int, ...] | None) -> Exchange | None:
        return Alone() if members else None


def _copied(output: Any, array: Any) -> Request:
    backend, other = of(output), of(array)
    assert backend is not None and other is not None
    if other is not backend:  # the library's arrays cannot be changed, so that the output is one on the host
        array = other.to_numpy(array)
    with backend.guard(output):
        output[...] = backend.xp.reshape(array, output.shape)
    return Done()
