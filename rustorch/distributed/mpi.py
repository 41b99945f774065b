"""Exchanges through MPI, on NumPy arrays in the memory of the host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..backends import Array
from .exchange import Exchange
from .mpi_requests import PIECE, Pieces, Several, Unfinished, start_latest
from .work import Done, Request

__all__ = ["Control", "MpiExchange", "launched", "start"]

_MISSING = (
    "rustorch.distributed exchanges arrays between processes through MPI, and mpi4py cannot be imported: "
    "pip install 'rustorch[mpi]' (mpi4py, and an MPI where the system has none)"
)


def _mpi() -> Any:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py is there, its MPI is not
        raise RuntimeError(f"{_MISSING} ({error})") from error
    return MPI


def launched(count: int) -> Any:
    """MPI's communicator of all processes, after the check that a launcher's ``count`` processes are in it."""
    world = _mpi().COMM_WORLD
    if count > 1 and world.size == 1:
        raise RuntimeError(
            f"the launcher started {count} processes, but MPI sees one in each: mpiexec belongs to another MPI than "
            f"mpi4py uses ({_mpi().Get_library_version().splitlines()[0].strip()}); start with the mpiexec that lies "
            f"beside this Python"
        )
    return world


def start(count: int = 1) -> MpiExchange:
    """The exchange of all processes that a launcher started.

    Raises
    ------
    RuntimeError
        If mpi4py is missing, or if the launcher belongs to another MPI.
    """
    return MpiExchange(launched(count).Dup())


def rank_and_size(exchange: MpiExchange) -> tuple[int, int]:
    """This process's rank, and the number of ranks."""
    return exchange.rank, exchange.size


class MpiExchange(Exchange):
    """The collectives of one MPI communicator."""

    name = "mpi"
    checked = True

    def __init__(self, comm: Any):
        self._mpi = _mpi()
        self.rank: int = comm.rank
        self.size: int = comm.size
        self._messages = comm  # for arrays from rank to rank
        self._headers = comm.Dup()  # what is sent is announced here
        self._receives: list[_Receive] = []
        self._announced: list[tuple[int, int, list[Any]]] = []  # rank, tag and header of arrays not received yet

    @property
    def _comm(self) -> Any:
        """The communicator for the next collective."""
        start_latest()
        return self._messages

    # -- reductions ----------------------------------------------------------------------------------------------------
    def _op(self, array: Array, op: str) -> Any:
        mpi = self._mpi
        if array.dtype.kind == "b":
            return {"sum": mpi.LOR, "max": mpi.LOR, "product": mpi.LAND, "min": mpi.LAND}[op]
        return {"sum": mpi.SUM, "max": mpi.MAX, "product": mpi.PROD, "min": mpi.MIN}[op]

    def all_reduce(self, array: Array, op: str) -> Request:
        if not array.size:
            return Done()
        wide, finish = _widened(array)
        flat = wide.reshape(-1)
        step = max(1, PIECE // flat.dtype.itemsize)
        comm, in_place, native_op = self._comm, self._mpi.IN_PLACE, self._op(wide, op)
        if flat.size <= step:
            return Several((comm.Iallreduce(in_place, flat, native_op),), (flat,), finish)

        def piece(i: int) -> Callable[[], Any]:
            return lambda: comm.Iallreduce(in_place, flat[i : i + step], native_op)

        return Pieces([piece(i) for i in range(0, flat.size, step)], flat, finish)

    def reduce(self, array: Array, root: int, op: str) -> Request:
        if not array.size:
            return Done()
        wide, finish = _widened(array)
        native_op = self._op(wide, op)
        if self.rank == root:
            return Several([self._comm.Ireduce(self._mpi.IN_PLACE, wide, native_op, root)], (wide,), finish)
        return Several([self._comm.Ireduce(wide, None, native_op, root)], (wide,))

    def reduce_scatter(self, output: Array, values: Array, op: str) -> Request:
        if not values.size:
            return Done()
        wide, _ = _widened(values)
        wide_output, finish = _widened(output)
        request = self._comm.Ireduce_scatter_block(wide, wide_output, self._op(wide, op))
        return Several([request], (wide, wide_output), finish)

    # -- copies: bytes, so that every dtype can be sent ----------------------------------------------------------------
    def _bytes(self, array: Array | None) -> Any:
        return None if array is None else [array, self._mpi.BYTE]

    def broadcast(self, array: Array, root: int) -> Request:
        return Several([self._comm.Ibcast(self._bytes(array), root)], (array,)) if array.size else Done()

    def all_gather(self, output: Array, array: Array) -> Request:
        if not array.size:
            return Done()
        return Several([self._comm.Iallgather(self._bytes(array), self._bytes(output))], (array, output))

    def gather(self, output: Array | None, array: Array, root: int) -> Request:
        if not array.size:
            return Done()
        return Several([self._comm.Igather(self._bytes(array), self._bytes(output), root)], (array, output))

    def scatter(self, array: Array, values: Array | None, root: int) -> Request:
        if not array.size:
            return Done()
        return Several([self._comm.Iscatter(self._bytes(values), self._bytes(array), root)], (array, values))

    def all_to_all(self, output: Array, values: Array) -> Request:
        if not values.size:
            return Done()
        return Several([self._comm.Ialltoall(self._bytes(values), self._bytes(output))], (values, output))

    # -- from one rank to another --------------------------------------------------------------------------------------
    def send(self, array: Array, to: int, tag: int) -> Request:
        start_latest()
        header = json.dumps(_header(array)).encode()
        requests = [self._headers.Isend([header, self._mpi.BYTE], to, tag)]
        requests.append(self._messages.Isend(self._bytes(array), to, tag))
        return Several(requests, (header, array), before=start_latest)

    def recv(self, array: Array, source: int | None, tag: int) -> tuple[Request, Callable[[], int]]:
        start_latest()
        receive = _Receive(self, array, source, tag)
        self._receives.append(receive)
        receive.start(wait=False)
        return receive, receive.came_from

    def _next_header(self, source: int | None, tag: int, wait: bool) -> tuple[int, list[Any]] | None:
        """The rank and the header of the next array from a rank (or from any), or None if there is none yet."""
        for i, (rank, known_tag, header) in enumerate(self._announced):
            if known_tag == tag and source in (None, rank):
                del self._announced[i]
                return rank, header
        mpi, comm = self._mpi, self._headers
        rank = mpi.ANY_SOURCE if source is None else source
        status = mpi.Status()
        message = comm.Mprobe(rank, tag, status) if wait else comm.Improbe(rank, tag, status)
        if message is None:
            return None
        data = bytearray(status.Get_count(mpi.BYTE))
        message.Recv([data, mpi.BYTE])
        return status.Get_source(), json.loads(bytes(data))

    # -- everything else -----------------------------------------------------------------------------------------------
    def barrier(self) -> Request:
        return Several([self._comm.Ibarrier()])

    def gather_bytes(self, data: bytes) -> list[bytes]:
        return [bytes(part) for part in _gathered(self._mpi, self._comm, data)]

    def broadcast_bytes(self, data: bytes, root: int) -> bytes:
        size = bytearray(len(data).to_bytes(8, "little"))
        self._comm.Bcast([size, self._mpi.BYTE], root)
        buffer = bytearray(data) if self.rank == root else bytearray(int.from_bytes(size, "little"))
        self._comm.Bcast([buffer, self._mpi.BYTE], root)
        return bytes(buffer)

    def agree(self, number: int) -> bool:
        both = memoryview(bytearray(16)).cast("q")
        both[0], both[1] = number, -number
        self._comm.Allreduce(self._mpi.IN_PLACE, [both, self._mpi.INT64_T], self._mpi.MAX)
        return both[0] == -both[1]

    def split(self, members: tuple[int, ...] | None) -> Exchange | None:
        member = members is not None and self.rank in members
        color = members[0] if member and members is not None else self._mpi.UNDEFINED
        comm = self._comm.Split(color, members.index(self.rank) if member and members is not None else 0)
        return MpiExchange(comm) if member else None

    def nodes(self) -> list[int]:
        """For every rank, the lowest rank on its host: ranks with the same number share memory."""
        shared = self._comm.Split_type(self._mpi.COMM_TYPE_SHARED, self.rank)
        first = shared.bcast(self.rank, 0)
        shared.Free()
        return [int.from_bytes(part, "little") for part in self.gather_bytes(first.to_bytes(8, "little"))]

    def close(self) -> None:
        self._headers.Free()
        self._comm.Free()


class _Receive(Unfinished):
    """An array on its way to this rank. Its header comes first, and is compared with the array that waits for it."""

    def __init__(self, exchange: MpiExchange, array: Array, source: int | None, tag: int):
        super().__init__((array,))
        self._exchange = exchange
        self._array = array
        self._tag = tag
        self._request: Any = None
        self.source = source

    def start(self, wait: bool) -> bool:
        """Receive the header, then start to receive the array. Earlier receives come first."""
        exchange = self._exchange
        if self not in exchange._receives:  # it has raised an error before
            exchange._receives.append(self)
        for earlier in exchange._receives[: exchange._receives.index(self)]:
            same = None in (earlier.source, self.source) or earlier.source == self.source
            if same and earlier._tag == self._tag and not earlier.start(wait):
                return False
        found = exchange._next_header(self.source, self._tag, wait)
        if found is None:
            return False
        rank, header = found
        exchange._receives.remove(self)
        if header != _header(self._array):
            exchange._announced.insert(0, (rank, self._tag, header))
            self._end()
            (dtype, shape), (own_dtype, own_shape) = header, _header(self._array)
            raise ValueError(
                f"recv: rank {rank} sends an array of {dtype} of shape {tuple(shape)}, and the array to receive it in "
                f"is {own_dtype} of shape {tuple(own_shape)}; receive it in one like it"
            )
        self.source = rank
        self._request = exchange._messages.Irecv(exchange._bytes(self._array), rank, self._tag)
        return True

    def came_from(self) -> int:
        """The rank that has sent the array."""
        assert self.source is not None
        return self.source

    def wait(self) -> None:
        start_latest()
        if self._request is None:
            self.start(wait=True)
        self._request.Wait()
        self._end()

    def done(self) -> bool:
        if (self._request is None and not self.start(wait=False)) or not self._request.Test():
            return False
        self._end()
        return True

    def remove_if_done(self) -> None:
        if self._request is not None:  # before that, a wrong header raises an error, which belongs to `wait`
            self.done()


def _header(array: Array) -> list[Any]:
    return [str(array.dtype), list(array.shape)]


def _widened(array: Array) -> tuple[Array, Any]:
    """The array, or a copy in float32 if MPI cannot add up its dtype, and what writes the copy back."""
    if array.dtype.char != "e" and array.dtype.kind != "V":  # float16, and bfloat16 by the package ml_dtypes
        return array, None
    wide = array.astype("float32")

    def write_back() -> None:
        array[...] = wide.astype(array.dtype)

    return wide, write_back


def _gathered(mpi: Any, comm: Any, data: bytes) -> list[memoryview]:
    sizes = memoryview(bytearray(8 * comm.size)).cast("q")
    comm.Allgather([len(data).to_bytes(8, "little"), mpi.BYTE], [sizes, mpi.BYTE])
    counts = list(sizes)
    buffer = bytearray(sum(counts))
    comm.Allgatherv([data, mpi.BYTE], [buffer, counts, mpi.BYTE])
    starts = [sum(counts[:rank]) for rank in range(comm.size)]
    return [memoryview(buffer)[start : start + count] for start, count in zip(starts, counts, strict=True)]


class Control:
    """Short messages between all ranks beside the exchanges, for the thread that watches over them."""

    def __init__(self, count: int):
        self._mpi = _mpi()
        self._comm = launched(count).Dup()
        self._sent: list[tuple[Any, bytes]] = []  # requests, with the bytes that MPI still reads
        self.rank: int = self._comm.rank
        self.size: int = self._comm.size
        #: Whether another thread may call MPI while an exchange waits.
        self.usable: bool = self._mpi.Query_thread() == self._mpi.THREAD_MULTIPLE

    def send(self, rank: int, message: dict[str, Any]) -> None:
        """Send a message. It does not wait for the other rank."""
        data = json.dumps(message).encode()
        self._sent = [(request, sent) for request, sent in self._sent if not request.Test()]
        self._sent.append((self._comm.Isend([data, self._mpi.BYTE], rank), data))

    def receive(self) -> tuple[int, dict[str, Any]] | None:
        """The rank and the message of the next message that has arrived, or None."""
        status = self._mpi.Status()
        message = self._comm.Improbe(self._mpi.ANY_SOURCE, self._mpi.ANY_TAG, status)
        if message is None:
            return None
        data = bytearray(status.Get_count(self._mpi.BYTE))
        message.Recv([data, self._mpi.BYTE])
        return status.Get_source(), json.loads(bytes(data))

    def abort(self) -> None:
        """End the whole job at once, with exit status 1."""
        self._mpi.COMM_WORLD.Abort(1)

    def close(self) -> None:
        """Free the communicator. All ranks call it, when no message is on its way."""
        self._comm.Free()
