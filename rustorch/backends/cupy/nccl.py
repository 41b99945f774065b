"""NCCL: exchanges between GPUs, each launched on a stream of its own.

A `Communicator` connects the GPUs of several processes, one GPU each. Its calls return at once. What they exchange is
ordered after what was launched before on the current stream, and what is launched after `Pending.wait` is ordered after
the exchange; the host waits for neither.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import cupy

from ..base import Array

__all__ = ["Communicator", "Pending", "bus", "new_id", "why_not"]


def _load() -> Any:
    """CuPy's module for NCCL. Where the library is missing, it warns and has no functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `why_not` says the same
        from cupy.cuda import nccl
    return nccl


def why_not() -> str:
    """Why NCCL cannot be used in this process, or nothing if it can."""
    try:
        if _load().available:
            return ""
    except ImportError:
        pass
    major = cupy.cuda.runtime.runtimeGetVersion() // 1000
    return f"NCCL is not installed: pip install nvidia-nccl-cu{major}"


def new_id() -> bytes:
    """The 128 bytes by which the ranks of a new communicator find each other. One rank makes them."""
    return bytes([value & 0xFF for value in _load().get_unique_id()])  # CuPy 13 returns a tuple of signed numbers


def bus(array: Array) -> str:
    """The place of an array's GPU in its machine, which differs between GPUs also where a process sees only one."""
    return str(array.device.pci_bus_id)


class Pending:
    """An exchange in progress."""

    def __init__(self, communicator: Communicator, arrays: Sequence[Array]):
        self._communicator = communicator
        #: Their memory must not be given to others before the exchange is done.
        self.arrays: Sequence[Array] = arrays
        self.event: Any = None

    def wait(self) -> None:
        """Let what is launched from now on, on the current stream, run after the exchange. The host does not wait."""
        if self.event is None:
            self._communicator.flush()
        if self.arrays:
            with self._communicator.gpu:
                cupy.cuda.get_current_stream().wait_event(self.event)
            self.arrays = ()

    def done(self) -> bool:
        """Whether the exchange is done."""
        if self.event is None:
            self._communicator.flush()
        if self.event.done:
            self.arrays = ()
            return True
        self._communicator.check()
        return False

    def synchronize(self) -> None:
        """Let the host wait until the exchange is done."""
        if self.event is None:
            self._communicator.flush()
        self.event.synchronize()
        self.arrays = ()


class Communicator:
    """The GPUs of some processes, connected by NCCL.

    Arrays lie on this process's GPU and are contiguous. All ranks make the same calls, in the same order.

    Parameters
    ----------
    size : int
        The number of ranks.
    unique_id : bytes
        What one rank got from `new_id`.
    rank : int
        This process's rank among them.
    number : int
        The GPU of this process.

    Raises
    ------
    RuntimeError
        If NCCL cannot connect them.
    """

    def __init__(self, size: int, unique_id: bytes, rank: int, number: int):
        self._nccl = nccl = _load()
        self.rank, self.size = rank, size
        self.gpu = cupy.cuda.Device(number)
        self._types = {
            "int8": nccl.NCCL_INT8, "uint8": nccl.NCCL_UINT8, "int32": nccl.NCCL_INT32, "uint32": nccl.NCCL_UINT32,
            "int64": nccl.NCCL_INT64, "uint64": nccl.NCCL_UINT64, "float16": nccl.NCCL_FLOAT16,
            "float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64,
        }  # fmt: skip
        self._ops = {"sum": nccl.NCCL_SUM, "product": nccl.NCCL_PROD, "min": nccl.NCCL_MIN, "max": nccl.NCCL_MAX}
        #: What is not known to be done: its end, what it is, when it began, and what refers to its arrays.
        self._running: deque[tuple[Any, str, float, Sequence[Pending]]] = deque()
        self._later: list[tuple[Pending, Callable[[int], None]]] = []
        with self.gpu:
            with self._explained("the connection of the ranks"):
                try:
                    self._comm = nccl.NcclCommunicator(size, unique_id, rank)
                except TypeError:  # CuPy 13
                    signed = tuple([value - 256 if value > 127 else value for value in unique_id])
                    self._comm = nccl.NcclCommunicator(size, signed, rank)
            self._stream = cupy.cuda.Stream(non_blocking=True)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Any:
        try:
            yield
        except self._nccl.NcclError as error:
            raise RuntimeError(
                f"NCCL failed in {what}, on rank {self.rank} of {self.size} with GPU {self.gpu.id}: {error}; the "
                f"environment variable NCCL_DEBUG=INFO makes it say more"
            ) from error

    def check(self) -> None:
        """Raise RuntimeError if an exchange has failed, such as one with a process that has ended."""
        with self._explained("an exchange"):
            self._comm.check_async_error()

    def close(self) -> None:
        """Free the communicator, after the exchanges that were started. All ranks call it."""
        self.flush()
        with self.gpu:
            self._stream.synchronize()
            self._comm.destroy()
        self._running.clear()

    def abort(self) -> None:
        """Stop the exchanges that wait for other ranks. The communicator cannot be used any more."""
        self._later.clear()
        self._comm.abort()

    def oldest(self) -> tuple[str, float] | None:
        """What the oldest exchange that still runs is, and when it began, by ``time.monotonic``. Any thread may ask."""
        for event, what, since, _ in list(self._running):
            if not event.done:
                return what, since
        return None

    # -- launches ------------------------------------------------------------------------------------------------------
    def _launch(self, what: str, arrays: Sequence[Array], enqueue: Callable[[int], None]) -> Pending:
        self.flush()
        pending = Pending(self, arrays)
        self._enqueue(what, [pending], enqueue)
        return pending

    def _enqueue(self, what: str, pending: Sequence[Pending], enqueue: Callable[[int], None]) -> None:
        """Launch on the own stream, after what the current stream has to do first."""
        while self._running and self._running[0][0].done:
            self._running.popleft()
        self.check()
        with self.gpu:
            before = cupy.cuda.Event(disable_timing=True)
            before.record(cupy.cuda.get_current_stream())
            self._stream.wait_event(before)
            with self._explained(what):
                enqueue(self._stream.ptr)
            after = cupy.cuda.Event(disable_timing=True)
            after.record(self._stream)
        for one in pending:
            one.event = after
        self._running.append((after, what, time.monotonic(), pending))

    @contextlib.contextmanager
    def _group(self) -> Any:
        """The calls in this context are one launch: none of them waits for another one."""
        self._nccl.groupStart()
        try:
            yield
        finally:
            self._nccl.groupEnd()

    def flush(self) -> None:
        """Launch what `send` and `recv` have put off."""
        if self._later:
            later, self._later = self._later, []

            def enqueue(stream: int) -> None:
                with self._group():
                    for _, call in later:
                        call(stream)

            self._enqueue("send and recv", [pending for pending, _ in later], enqueue)

    # -- reductions ----------------------------------------------------------------------------------------------------
    def _reduction(self, array: Array, op: str) -> tuple[Any, Any, int, int] | None:
        """The array, or a copy in a dtype that NCCL adds up; its code; the code of the reduction; elements for each of
        the array's. None for a reduction that NCCL does not have.
        """
        dtype = array.dtype
        if dtype.kind == "b":
            name = {"sum": "max", "product": "min"}.get(op, op)  # booleans are bytes with the values 0 and 1
            return array, self._types["uint8"], self._ops[name], 1
        if dtype.kind == "c":
            part = "float32" if dtype.itemsize == 8 else "float64"
            return (array, self._types[part], self._ops["sum"], 2) if op == "sum" else None
        if dtype.name in self._types:
            return array, self._types[dtype.name], self._ops[op], 1
        if dtype.name in ("int16", "uint16"):
            with self.gpu:
                return array.astype("int32"), self._types["int32"], self._ops[op], 1
        raise TypeError(f"NCCL does not exchange arrays of {dtype}")

    def all_reduce(self, array: Array, op: str) -> Pending:
        """Replace ``array`` with its "sum", "product", "min" or "max" over all ranks."""
        found = self._reduction(array, op)
        if found is None:
            return self._product(array, array, None)
        wide, dtype, code, parts = found

        def enqueue(stream: int) -> None:
            self._comm.allReduce(wide.data.ptr, wide.data.ptr, wide.size * parts, dtype, code, stream)
            self._write_back(array, wide)

        return self._launch("all_reduce", (array, wide), enqueue)

    def reduce(self, array: Array, root: int, op: str) -> Pending:
        """The same on rank ``root`` alone."""
        found = self._reduction(array, op)
        if found is None:
            return self._product(array, array, root)
        wide, dtype, code, parts = found

        def enqueue(stream: int) -> None:
            self._comm.reduce(wide.data.ptr, wide.data.ptr, wide.size * parts, dtype, code, root, stream)
            if self.rank == root:
                self._write_back(array, wide)

        return self._launch("reduce", (array, wide), enqueue)

    def reduce_scatter(self, output: Array, values: Array, op: str) -> Pending:
        """Write this rank's part of the reduction of ``values`` into ``output``."""
        found = self._reduction(values, op)
        if found is None:
            return self._product(output, values, None)
        wide, dtype, code, parts = found
        with self.gpu:
            part = output if wide is values else cupy.empty(output.shape, wide.dtype)

        def enqueue(stream: int) -> None:
            self._comm.reduceScatter(wide.data.ptr, part.data.ptr, part.size * parts, dtype, code, stream)
            self._write_back(output, part)

        return self._launch("reduce_scatter", (output, part, wide), enqueue)

    def _write_back(self, array: Array, wide: Array) -> None:
        """Convert a result to the array's dtype, on the stream of the exchange."""
        if wide is not array:
            with self._stream:
                array[...] = wide

    def _product(self, output: Array, values: Array, root: int | None) -> Pending:
        """The product of complex arrays, which NCCL does not have, from the arrays of all ranks."""
        with self.gpu:
            every = cupy.empty((self.size, values.size), values.dtype)

        def enqueue(stream: int) -> None:
            self._comm.allGather(values.data.ptr, every.data.ptr, values.nbytes, self._types["uint8"], stream)
            if root in (None, self.rank):
                first = 0 if output is values else self.rank * output.size
                with self._stream:
                    part = every[:, first : first + output.size]
                    output[...] = cupy.prod(part, axis=0).reshape(output.shape)

        return self._launch("product of complex arrays", (output, values, every), enqueue)

    # -- copies: bytes, so that every dtype can be sent ----------------------------------------------------------------
    def broadcast(self, array: Array, root: int) -> Pending:
        """Replace ``array`` with that of rank ``root``."""
        pointer, code = array.data.ptr, self._types["uint8"]

        def enqueue(stream: int) -> None:
            self._comm.broadcast(pointer, pointer, array.nbytes, code, root, stream)

        return self._launch("broadcast", (array,), enqueue)

    def all_gather(self, output: Array, array: Array) -> Pending:
        """Write the arrays of all ranks one after the other into ``output``."""

        def enqueue(stream: int) -> None:
            self._comm.allGather(array.data.ptr, output.data.ptr, array.nbytes, self._types["uint8"], stream)

        return self._launch("all_gather", (output, array), enqueue)

    def _parts(self, array: Array) -> list[Array]:
        """One part of the elements for each rank."""
        with self.gpu:
            return list(array.reshape(self.size, -1))

    def _send(self, array: Array, to: int, stream: int) -> None:
        self._comm.send(array.data.ptr, array.nbytes, self._types["uint8"], to, stream)

    def _recv(self, array: Array, source: int, stream: int) -> None:
        self._comm.recv(array.data.ptr, array.nbytes, self._types["uint8"], source, stream)

    def gather(self, output: Array | None, array: Array, root: int) -> Pending:
        """The same as `all_gather` on rank ``root`` alone; ``output`` is None on the others."""

        def enqueue(stream: int) -> None:
            with self._group():
                self._send(array, root, stream)
                for rank, part in enumerate([] if output is None else self._parts(output)):
                    self._recv(part, rank, stream)

        return self._launch("gather", (output, array), enqueue)

    def scatter(self, array: Array, values: Array | None, root: int) -> Pending:
        """Write this rank's part of ``values`` on rank ``root`` into ``array``; ``values`` is None on the others."""

        def enqueue(stream: int) -> None:
            with self._group():
                for rank, part in enumerate([] if values is None else self._parts(values)):
                    self._send(part, rank, stream)
                self._recv(array, root, stream)

        return self._launch("scatter", (array, values), enqueue)

    def all_to_all(self, output: Array, values: Array) -> Pending:
        """Send part r of ``values`` to rank r, and write what arrives from rank r into part r of ``output``."""

        def enqueue(stream: int) -> None:
            with self._group():
                for rank, (part, place) in enumerate(zip(self._parts(values), self._parts(output), strict=True)):
                    self._send(part, rank, stream)
                    self._recv(place, rank, stream)

        return self._launch("all_to_all", (output, values), enqueue)

    # -- from one rank to another --------------------------------------------------------------------------------------
    def send(self, array: Array, to: int) -> Pending:
        """Send an array to a rank, once the caller waits or starts another exchange.

        It is put off so that two ranks which both send first and then receive do not wait for each other forever.
        """
        return self._put_off(array, lambda stream: self._send(array, to, stream))

    def recv(self, array: Array, source: int) -> Pending:
        """Receive an array from a rank, as `send` sends it."""
        return self._put_off(array, lambda stream: self._recv(array, source, stream))

    def _put_off(self, array: Array, call: Callable[[int], None]) -> Pending:
        pending = Pending(self, (array,))
        self._later.append((pending, call))
        return pending
