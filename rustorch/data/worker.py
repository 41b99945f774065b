"""The program of a worker process: it makes batches of a loader and sends them back through shared memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any

from ..autograd.modes import set_grad_enabled
from ..backends import keyed_seed, seed_global_generators, set_default_device
from ..backends.threads import use_one_thread
from ..random import manual_seed
from . import sharing
from .batches import BatchMaker, Recipe, StreamBatches
from .worker_info import WorkerInfo, set_worker_info, was_asked

#: Separate the random numbers of workers and of their batches from other uses of the same seed.
_WORKERS, _BATCHES = 3, 4

#: How a task ended: with a batch, with an error, or because the stream has no more samples.
DONE, FAILED, EXHAUSTED = range(3)

#: Held while a segment is made, until the process that removes forgotten segments knows it.
_creating = threading.Lock()


def _exit() -> None:
    """End this process at once, because the loop's process has ended."""
    with _creating:
        os._exit(1)


@dataclass(frozen=True)
class Parcel:
    """What all workers of a loader get at their start: a pickle of the recipe and of worker_init_fn.

    Attributes
    ----------
    data : bytes
    sizes : tuple of int
        The sizes of the arrays that the pickle leaves out.
    name : str or None
        The segment with these arrays; None if they are in ``arrays``.
    arrays : tuple of bytes
    contents : tuple or None
        The recipe and worker_init_fn themselves, if they can only be pickled while a process is started.
    """

    data: bytes = b""
    sizes: tuple[int, ...] = ()
    name: str | None = None
    arrays: tuple[bytes, ...] = ()
    contents: tuple[Recipe, Callable[[int], Any] | None] | None = None

    def open(self) -> Any:
        """The recipe and worker_init_fn."""
        if self.contents is not None:
            return self.contents
        if self.name is None:
            return sharing.unpack(self.data, [bytearray(array) for array in self.arrays])
        return sharing.unpack(self.data, sharing.parts(sharing.private_copy(self.name), self.sizes))


@dataclass(frozen=True)
class Pass:
    """What belongs to one pass of a loader: sent to its workers before the tasks.

    Attributes
    ----------
    number : int
        Counts the passes of these workers. Replies that belong to an earlier pass are dropped.
    key : tuple of int
        The seed, the epoch and the rank. Seeds of workers and batches follow from them.
    device : str
        The default device.
    recording : bool
        Whether gradients are recorded.
    """

    number: int
    key: tuple[int, ...]
    device: str
    recording: bool


@dataclass(frozen=True)
class Reply:
    """The answer to a task.

    Attributes
    ----------
    of_pass, number : int
        The pass and the number of the task.
    outcome : {DONE, FAILED, EXHAUSTED}
    value : object
        DONE: the pickle of the batch. FAILED: the pickle of the error or None, its text, and its traceback. EXHAUSTED:
        whether the dataset or worker_init_fn asked for `get_worker_info`.
    sizes : tuple of int
        The sizes of the batch's arrays.
    slot : int or None
        Which segment of this worker has the arrays. None: they follow through the pipe.
    segment : str or None
        The name of the segment, if it is new in this slot.
    """

    of_pass: int
    number: int
    outcome: int
    value: Any
    sizes: tuple[int, ...] = ()
    slot: int | None = None
    segment: str | None = None


class _Slots:
    """The segments of a worker. A slot is used again when the loop has freed the batch in it."""

    def __init__(self, prefix: str):
        self.prefix = prefix
        self.segments: list[sharing.Segment] = []
        self.free: set[int] = set()
        self.made = 0

    def place(self, size: int) -> tuple[int | None, str | None]:
        """A free slot with room for this many bytes, and the name of its segment if that is new; else two None."""
        fitting = [slot for slot in self.free if self.segments[slot].size >= size]
        if fitting:
            slot = min(fitting, key=lambda slot: self.segments[slot].size)
            self.free.discard(slot)
            return slot, None
        with _creating:
            segment = sharing.create_segment(f"{self.prefix}{self.made}", size)
        if segment is None:
            return None, None
        self.made += 1
        if self.free:  # replace a segment that is too small; the loop's process removes its name
            slot = self.free.pop()
            self.segments[slot] = segment
        else:
            slot = len(self.segments)
            self.segments.append(segment)
        return slot, segment.name


class _Inbox:
    """The messages for this worker. A thread receives them, so that the loop's process never waits to send one.

    The thread also ends this process when the loop's process has ended.
    """

    def __init__(self, tasks: Connection):
        self.tasks = tasks
        self.messages: SimpleQueue[Any] = SimpleQueue()
        self.current = 0  # the number of the latest pass; tasks of earlier ones are skipped
        threading.Thread(target=self._receive, name="rustorch inbox", daemon=True).start()

    def _receive(self) -> None:
        parent: Any = multiprocessing.parent_process()
        while True:
            if self.tasks not in wait([self.tasks, parent.sentinel]):
                _exit()
            try:
                message = self.tasks.recv()
            except (EOFError, OSError):
                _exit()
            if isinstance(message, Pass):
                self.current = message.number
            self.messages.put(message)
            if message is None:
                return


class _Worker:
    """The state of a worker between two tasks."""

    def __init__(self, id: int, count: int, results: Connection, prefix: str):
        self.id, self.count = id, count
        self.results = results
        self.slots = _Slots(prefix)
        self.recipe: Recipe
        self.init: Callable[[int], Any] | None
        self.broken: BaseException | None = None  # an error at the start, raised at every task
        self.started = False
        self.running: Pass
        self.make: BatchMaker
        self.stream: StreamBatches | None = None
        self.n_read = 0

    def open(self, parcel: Parcel) -> None:
        """Unpack what the loader sent."""
        try:
            self.recipe, self.init = parcel.open()
        except BaseException as error:
            self.broken = error
            error.add_note(
                "A worker process could not unpickle the dataset, collate_fn or worker_init_fn. Processes find classes "
                "and functions by their names, so define these in a module that can be imported, not at a prompt."
            )

    def begin(self, new: Pass) -> None:
        """Begin a pass. Before the first one, call worker_init_fn."""
        self.running = new
        self.stream, self.n_read = None, 0
        set_grad_enabled(new.recording)
        if self.broken is not None:
            return
        try:
            set_default_device(new.device)
            if self.started:
                return
            self.started = True
            seed = keyed_seed(new.key[0], _WORKERS, *new.key[1:], self.id)
            set_worker_info(WorkerInfo(self.id, self.count, seed, self.recipe.dataset))
            _seed(seed)
            if self.init is not None:
                self.init(self.id)
            self.make = self.recipe.maker()
        except BaseException as error:
            self.broken = error

    def answer(self, number: int, item: Any, is_skipped: bool) -> None:
        """Make a batch and send it."""
        try:
            reply, buffers = self._reply(number, item, is_skipped)
        except BaseException as error:  # SystemExit too: the process of the loop raises it
            reply, buffers = Reply(self.running.number, number, FAILED, _described(error)), []
        self.results.send(reply)
        if reply.slot is None:
            for buffer in buffers:
                self.results.send_bytes(buffer)

    def _reply(self, number: int, item: Any, is_skipped: bool) -> tuple[Reply, list[memoryview]]:
        if self.broken is not None:
            raise self.broken
        of_pass = self.running.number
        key = (number,) if not self.recipe.is_stream else (self.id, self.n_read)
        _seed(keyed_seed(self.running.key[0], _BATCHES, *self.running.key[1:], *key))
        if self.recipe.is_stream:
            if self.stream is None:
                self.stream = self.recipe.stream()
            item = self.stream.read()
            self.n_read += 1
            if not item:
                return Reply(of_pass, number, EXHAUSTED, was_asked()), []
        if is_skipped:
            return Reply(of_pass, number, DONE, None), []
        batch = self.make(item)
        try:
            data, buffers = sharing.pack(batch)
        except Exception as error:
            raise TypeError(
                f"DataLoader: a batch cannot be sent from its worker process to the loop: {error}"
            ) from error
        sizes = tuple([buffer.nbytes for buffer in buffers])
        slot, segment = self.slots.place(sharing.places(sizes)[1]) if buffers else (None, None)
        if slot is not None:
            sharing.write(self.slots.segments[slot], buffers)
        return Reply(of_pass, number, DONE, data, sizes, slot, segment), buffers


def _seed(seed: int) -> None:
    """Seed all random numbers of this process."""
    manual_seed(seed)
    seed_global_generators(seed)


def _described(error: BaseException) -> tuple[bytes | None, str, str]:
    """An error as a pickle, if it can be pickled; its type and text; and its traceback."""
    lines = "".join(traceback.format_exception(error))
    data = None
    with contextlib.suppress(Exception):
        data = pickle.dumps(error)
        pickle.loads(data)
    return data, f"{type(error).__qualname__}: {error}", lines


def _ignore_interrupts() -> None:
    """Let Ctrl-C interrupt the loop alone, which then ends the workers. Programs that a dataset starts keep theirs."""
    signal.signal(signal.SIGINT, lambda *_: None)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def run(id: int, count: int, tasks: Connection, results: Connection, prefix: str, parcel: Parcel) -> None:
    """Make batches until a None comes, or the loop's process ends.

    Parameters
    ----------
    id, count : int
        The number of this worker, and of all.
    tasks : Connection
        Brings a `Pass`, tasks ``(pass, number, item, skip, freed slots)``, or None.
    results : Connection
        Takes the replies.
    prefix : str
        The beginning of the names of this worker's segments.
    parcel : Parcel
    """
    _ignore_interrupts()
    use_one_thread()
    inbox = _Inbox(tasks)
    worker = _Worker(id, count, results, prefix)
    worker.open(parcel)
    del parcel
    with contextlib.suppress(BrokenPipeError):  # the loop's process has ended, or has closed the pipe
        while (message := inbox.messages.get()) is not None:
            if isinstance(message, Pass):
                worker.begin(message)
                continue
            of_pass, number, item, is_skipped, freed = message
            worker.slots.free.update(freed)
            if of_pass == inbox.current:
                worker.answer(number, item, is_skipped)
            del message, item
