"""``cupy.cuda.nccl``: exchanges between the processes that hold the GPUs, over sockets of this machine.

It refuses what NCCL refuses, and fails where NCCL would hang or give wrong numbers: ranks that make different calls,
memory of another GPU or beyond the end of an array, a stream of another GPU, an exchange that is not ordered after the
kernels that made its arrays, and memory that is written, read or freed before somebody has waited for the exchange.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import secrets
import threading
import time
import weakref
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, NamedTuple

import numpy

from .. import _stream
from .._device import current
from .._log import LOG, Event
from .._memory import BLOCKS, GUARD, PATTERN, Block

available = os.environ.get("CUPY_STAND_IN_NCCL") != "0"

NCCL_INT8, NCCL_UINT8, NCCL_INT32, NCCL_UINT32, NCCL_INT64, NCCL_UINT64 = 0, 1, 2, 3, 4, 5
NCCL_FLOAT16, NCCL_FLOAT32, NCCL_FLOAT64, NCCL_BFLOAT16 = 6, 7, 8, 9
NCCL_CHAR, NCCL_INT, NCCL_HALF, NCCL_FLOAT, NCCL_DOUBLE = 0, 2, 6, 7, 8
NCCL_SUM, NCCL_PROD, NCCL_MAX, NCCL_MIN, NCCL_AVG = 0, 1, 2, 3, 4

_DTYPES = ("int8", "uint8", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")
_OPS: tuple[Any, ...] = (numpy.add, numpy.multiply, numpy.maximum, numpy.minimum)
_ERRORS = (
    "SUCCESS", "UNHANDLED_CUDA_ERROR", "SYSTEM_ERROR", "INTERNAL_ERROR", "INVALID_ARGUMENT", "INVALID_USAGE",
    "REMOTE_ERROR",
)  # fmt: skip
#: Seconds in which the ranks of a new communicator have to come.
_PATIENCE = 30


class NcclError(RuntimeError):
    """An error of NCCL."""

    def __init__(self, status: int):
        self.status = status
        super().__init__(f"NCCL_ERROR_{_ERRORS[status]}: {_ERRORS[status].lower().replace('_', ' ')}")

    def __reduce__(self) -> Any:
        return type(self), (self.status,)


def get_build_version() -> int:
    return 22707


def get_version() -> int:
    return 22707


def get_unique_id() -> bytes:
    return secrets.token_hex(64).encode()


# -- memory ------------------------------------------------------------------------------------------------------------
class _Memory(NamedTuple):
    """A part of an allocation. It does not keep the memory alive."""

    block: weakref.ref[Block]
    start: int
    size: int

    def bytes(self) -> numpy.ndarray:
        block = self.block()
        assert block is not None, "memory was freed before anybody had waited for the exchange that uses it"
        return numpy.asarray(block)[self.start : self.start + self.size]

    def overlaps(self, other: _Memory) -> bool:
        same = self.block() is not None and self.block() is other.block()
        return same and self.start < other.start + other.size and other.start < self.start + self.size


def _memory(name: str, address: int, size: int, device: int) -> _Memory:
    """The memory of a call's argument, after the check that it exists on this GPU."""
    for start, block in list(BLOCKS.items()):
        end = start + block.size - 2 * GUARD
        if start <= address < end:
            assert block.device == device, f"{name}: the array lies on GPU {block.device}, the communicator on {device}"
            assert address + size <= end, f"{name}: {size} bytes go beyond the end of an array of {end - start} bytes"
            return _Memory(weakref.ref(block), address - start + GUARD, size)
    raise NcclError(4)


# -- calls -------------------------------------------------------------------------------------------------------------
class _Call(NamedTuple):
    """What a communicator was asked to do."""

    name: str
    source: _Memory | None
    target: _Memory | None
    dtype: str
    #: The number of elements, then the reduction and the root, or the peer.
    details: tuple[Any, ...]


class _Group(threading.local):
    depth = 0

    def __init__(self) -> None:
        self.calls: list[tuple[NcclCommunicator, _Call, _stream.Stream]] = []


_group = _Group()


def groupStart() -> None:
    _group.depth += 1


def groupEnd() -> None:
    if not _group.depth:
        raise NcclError(5)
    _group.depth -= 1
    if not _group.depth:
        calls, _group.calls = _group.calls, []
        _run(calls)


def _run(calls: list[tuple[NcclCommunicator, _Call, _stream.Stream]]) -> None:
    """Run the calls of a group: the collectives, then all sends and receives at once."""
    between = [call for call in calls if call[1].name in ("send", "recv")]
    for comm, call, stream in calls:
        if call.name not in ("send", "recv"):
            comm._collective(call, stream)
    sends = [(comm, call) for comm, call, _ in between if call.name == "send"]
    own: list[tuple[NcclCommunicator, tuple[Any, ...]]] = []
    outgoing = []
    for comm, call in sends:
        message = ("send", call.dtype, call.details[0], call.source.bytes().tobytes() if call.source else b"")
        (peer,) = call.details[1:]
        if peer == comm._rank:
            own.append((comm, message))
        else:
            outgoing.append((comm._peers[peer], message))
    thread = threading.Thread(target=lambda: [peer.send(message) for peer, message in outgoing])
    thread.start()
    for comm, call, stream in between:
        if call.name == "recv":
            comm._receive(call, own, stream)
        else:
            comm._note(call, stream, None)
    thread.join()
    assert not own, "a rank sends to itself, and receives nothing in the same group: NCCL hangs"


class NcclConfig:
    """Options of a communicator."""

    def __init__(self, split_share: int = 0):
        self.split_share = split_share


class NcclCommunicator:
    """The GPUs of ``ndev`` processes."""

    def __init__(self, ndev: int, commId: bytes, rank: int, config: NcclConfig | None = None):
        if not isinstance(commId, bytes):
            raise TypeError(f"Argument 'commId' has incorrect type (expected bytes, got {type(commId).__name__})")
        if len(commId) != 128:
            raise ValueError(f"commId length {len(commId)} != 128.")
        if not 0 <= rank < ndev:
            raise NcclError(4)
        self._rank, self._size, self._device = rank, ndev, current()
        self._count = 0
        self._alive = True
        self._peers: dict[int, Connection] = {}
        if ndev > 1:
            self._connect(commId.decode()[:32])
        machines = self._together(("communicator", self._device, platform.node()))
        if len({place[1:] for place in machines}) < ndev:
            self.destroy()
            raise NcclError(5)  # two ranks share a GPU

    def _connect(self, name: str) -> None:
        """A connection to every other rank: this one calls those below, and those above call this one."""

        def place(rank: int) -> str:
            return f"\0rustorch-nccl-{name}-{rank}"

        deadline = time.monotonic() + _PATIENCE
        with contextlib.closing(Listener(place(self._rank), "AF_UNIX", self._size)) as listener:
            for rank in range(self._rank):
                while True:
                    try:
                        self._peers[rank] = Client(place(rank), "AF_UNIX")
                        break
                    except OSError:
                        if time.monotonic() > deadline:
                            raise NcclError(2) from None
                        time.sleep(0.01)
                self._peers[rank].send(self._rank)
            listener._listener._socket.settimeout(_PATIENCE)  # type: ignore[attr-defined]
            for _ in range(self._rank + 1, self._size):
                try:
                    connection = listener.accept()
                except OSError:
                    raise NcclError(2) from None
                self._peers[connection.recv()] = connection

    # -- what the processes send each other ----------------------------------------------------------------------------
    def _together(self, value: Any) -> list[Any]:
        """The values of all ranks."""
        if self._size == 1:
            return [value]
        try:
            if self._rank:
                self._peers[0].send(value)
                return list(self._peers[0].recv())
            values = [value, *[self._peers[rank].recv() for rank in range(1, self._size)]]
            for rank in range(1, self._size):
                self._peers[rank].send(values)
            return values
        except (OSError, EOFError, pickle.UnpicklingError):
            raise NcclError(6) from None

    def _collective(self, call: _Call, stream: _stream.Stream) -> None:
        self._count += 1
        data = call.source.bytes().tobytes() if call.source is not None else b""
        described = (call.name, call.dtype, *call.details)
        found = self._together((self._count, described, data))
        if any(len(other) != 3 or other[:2] != (self._count, described) for other in found):
            lines = "".join(f"\n  rank {rank}: {other[:2]}" for rank, other in enumerate(found))
            raise AssertionError(f"the ranks of a communicator make different calls, and NCCL hangs:{lines}")
        arrays = [numpy.frombuffer(other[2], call.dtype) for other in found]
        self._note(call, stream, self._result(call, arrays))

    def _result(self, call: _Call, arrays: list[numpy.ndarray]) -> numpy.ndarray | None:
        if call.name in ("broadcast", "bcast"):
            return arrays[call.details[1]]
        if call.name == "allGather":
            return numpy.concatenate(arrays)
        op = call.details[1]
        with numpy.errstate(all="ignore"):
            total = arrays[0].copy()
            for array in arrays[1:]:
                total = _OPS[0 if op == NCCL_AVG else op](total, array)
            if op == NCCL_AVG:
                total = (total / self._size).astype(call.dtype)
        if call.name == "reduceScatter":
            count = call.details[0]
            return total[self._rank * count : (self._rank + 1) * count]
        return None if call.name == "reduce" and call.details[2] != self._rank else total

    def _receive(self, call: _Call, own: list[Any], stream: _stream.Stream) -> None:
        count, peer = call.details
        if peer == self._rank:
            message = own.pop([comm is self for comm, _ in own].index(True))[1]
        else:
            try:
                message = self._peers[peer].recv()
            except (OSError, EOFError):
                raise NcclError(6) from None
        assert message[0] == "send", f"rank {self._rank} receives from {peer}, which calls {message[1]}: NCCL hangs"
        assert message[1:3] == (call.dtype, count), (
            f"rank {peer} sends {message[2]} of {message[1]}, and rank {self._rank} receives {count} of {call.dtype}"
        )
        self._note(call, stream, numpy.frombuffer(message[3], call.dtype))

    def _note(self, call: _Call, stream: _stream.Stream, result: numpy.ndarray | None) -> None:
        """Hide the result until somebody waits for the stream. Then check that nobody has used the memory before."""
        LOG.append(Event("launch", call.name))
        target = call.target if result is not None else None
        before = call.source.bytes().copy() if call.source is not None else None
        in_place = target is not None and call.source is not None and target.overlaps(call.source)
        hidden = None
        if target is not None:
            target.bytes()[...] = PATTERN
            hidden = target.bytes().copy()

        def finish() -> None:
            if before is not None and not in_place:
                assert call.source is not None
                changed = (call.source.bytes() != before).any()
                assert not changed, f"an array was written before anybody had waited for the {call.name} that reads it"
            if target is not None:
                assert result is not None
                assert (target.bytes() == hidden).all(), (
                    f"an array was written before anybody had waited for the {call.name} that writes it"
                )
                target.bytes()[...] = numpy.frombuffer(result.tobytes(), numpy.uint8)

        stream._add(finish, [memory for memory in (call.source, target) if memory is not None])

    # -- CuPy's methods ------------------------------------------------------------------------------------------------
    def _start(
        self, name: str, source: int, target: int, sizes: tuple[int, int], dtype: int, details: tuple[Any, ...], at: int
    ) -> None:
        """Check a call, then run it, at the end of its group if there is one. ``sizes`` count elements."""
        if not self._alive:
            raise NcclError(4)
        if not 0 <= dtype < len(_DTYPES):
            raise NcclError(4)
        item = numpy.dtype(_DTYPES[dtype]).itemsize
        stream = _stream.of_address(at)
        assert stream.device_id == self._device, (
            f"{name}: the stream belongs to GPU {stream.device_id}, the communicator to GPU {self._device}"
        )
        read = _memory(name, source, sizes[0] * item, self._device) if sizes[0] else None
        written = _memory(name, target, sizes[1] * item, self._device) if sizes[1] else None
        stream._check_order(name, [memory for memory in (read, written) if memory is not None])
        call = _Call(name, read, written, _DTYPES[dtype], details)
        _group.calls.append((self, call, stream))
        if not _group.depth:
            groupStart()
            groupEnd()

    def _root(self, root: int) -> int:
        if not 0 <= root < self._size:
            raise NcclError(4)
        return root

    def _op(self, op: int) -> int:
        if not 0 <= op <= NCCL_AVG:
            raise NcclError(4)
        return op

    def allReduce(self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, stream: int) -> None:
        self._start("allReduce", sendbuf, recvbuf, (count, count), datatype, (count, self._op(op)), stream)

    def reduce(self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, root: int, stream: int) -> None:
        sizes = (count, count if self._rank == root else 0)
        self._start("reduce", sendbuf, recvbuf, sizes, datatype, (count, self._op(op), self._root(root)), stream)

    def broadcast(self, sendbuff: int, recvbuff: int, count: int, datatype: int, root: int, stream: int) -> None:
        sizes = (count if self._rank == root else 0, count)
        self._start("broadcast", sendbuff, recvbuff, sizes, datatype, (count, self._root(root)), stream)

    def bcast(self, buff: int, count: int, datatype: int, root: int, stream: int) -> None:
        self.broadcast(buff, buff, count, datatype, root, stream)

    def reduceScatter(self, sendbuf: int, recvbuf: int, recvcount: int, datatype: int, op: int, stream: int) -> None:
        sizes = (recvcount * self._size, recvcount)
        self._start("reduceScatter", sendbuf, recvbuf, sizes, datatype, (recvcount, self._op(op)), stream)

    def allGather(self, sendbuf: int, recvbuf: int, count: int, datatype: int, stream: int) -> None:
        self._start("allGather", sendbuf, recvbuf, (count, count * self._size), datatype, (count,), stream)

    def send(self, sendbuf: int, count: int, datatype: int, peer: int, stream: int) -> None:
        self._start("send", sendbuf, 0, (count, 0), datatype, (count, self._root(peer)), stream)

    def recv(self, recvbuf: int, count: int, datatype: int, peer: int, stream: int) -> None:
        self._start("recv", 0, recvbuf, (0, count), datatype, (count, self._root(peer)), stream)

    def check_async_error(self) -> None:
        if not self._alive:
            raise NcclError(4)

    def rank_id(self) -> int:
        return self._rank

    def size(self) -> int:
        return self._size

    def device_id(self) -> int:
        return self._device

    def destroy(self) -> None:
        self._alive = False
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()

    abort = destroy
