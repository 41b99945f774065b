"""Worker processes of a loader: their start, their messages, and their end. The first loader with them imports this."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import secrets
import signal
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import Any

from ..autograd.modes import is_grad_enabled
from ..backends import default_device
from . import sharing
from .batches import Recipe
from .worker import DONE, Parcel, Pass, Reply, run

#: Seconds that workers have to finish their batch when the loop ends early. Then they are terminated.
_GRACE = 2.0
#: The largest number of batches in shared memory that the loop may keep. It gets copies of further ones.
_LENT = 3
#: The launchers of MPICH, Intel MPI, Open MPI and MVAPICH, and Slurm.
_VARIABLES_OF_MPI = ("PMI", "OMPI_", "MPI_LOCAL", "MPIR_", "MV2_", "HYDRA_", "HYDI_", "MPIEXEC_")
_VARIABLES_OF_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_HINTS = {
    "SIGKILL": "; the system kills processes when memory runs out: use fewer workers or smaller batches",
    "SIGBUS": "; shared memory may have run out",
}


@contextlib.contextmanager
def _environment_of_workers() -> Iterator[None]:
    """Start processes in this context. They do not get the variables that tell MPI which rank this is: workers are no
    ranks, and MPI would end the job when a worker imports it. They compute with one thread, because they share the
    cores. Ctrl-C waits until they handle it.
    """
    removed = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_VARIABLES_OF_MPI)}
    added = [name for name in _VARIABLES_OF_THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    before = None
    if hasattr(signal, "pthread_sigmask"):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        os.environ.update(removed)
        for name in added:
            os.environ.pop(name, None)
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Team:
    """The processes, and what has to be ended and removed with them. It does not refer to its `Workers`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.prefix = f"rustorch{os.getpid():x}_{secrets.token_hex(3)}_"  # short: macOS allows 30 characters
        self.start: sharing.Segment | None = None
        self.processes: list[Any] = []
        self.tasks: list[Connection] = []
        self.results: list[Connection] = []
        self.segments: list[dict[int, sharing.Segment]] = []
        self.made: list[int] = []  # how many segments each worker has told of
        self.freed: list[deque[int]] = []  # slots that the worker may use again
        self.lent = 0
        self.closed = False

    def prefix_of(self, worker: int) -> str:
        return f"{self.prefix}{worker}_"

    def add_segment(self, worker: int, slot: int, name: str) -> None:
        """Open a new segment of a worker. It replaces the one in the same slot."""
        opened = sharing.open_segment(name)
        if opened is None:
            raise RuntimeError(f"DataLoader: somebody removed the shared memory {name!r} of worker {worker}")
        self.made[worker] += 1
        if (replaced := self.segments[worker].pop(slot, None)) is not None:
            replaced.unlink()
        self.segments[worker][slot] = opened

    def release(self, worker: int, slot: int) -> None:
        """The batch in this slot is no longer needed."""
        self.lent -= 1
        self.freed[worker].append(slot)

    def close(self) -> None:
        """End the processes, and remove their shared memory."""
        if self.closed or os.getpid() != self.pid:  # a forked process has no part in this
            return
        self.closed = True
        for tasks, results in zip(self.tasks, self.results, strict=True):
            with contextlib.suppress(OSError):
                tasks.send(None)
            tasks.close()
            results.close()
        deadline = monotonic() + _GRACE
        for end in (lambda process: None, lambda process: process.terminate(), lambda process: process.kill()):
            running = [process for process in self.processes if process.is_alive()]
            for process in running:
                end(process)
            for process in running:
                process.join(max(0.0, deadline - monotonic()))
            deadline = monotonic() + _GRACE
        for process in self.processes:
            with contextlib.suppress(ValueError):  # it still runs, because the system cannot end it now
                process.close()
        self._unlink()

    def _unlink(self) -> None:
        if self.start is not None:
            self.start.unlink()
        for worker, segments in enumerate(self.segments):
            for segment in segments.values():
                segment.unlink()
            segments.clear()
            # segments that nobody told of, because the worker or the loop ended first
            while (untold := sharing.open_segment(f"{self.prefix_of(worker)}{self.made[worker]}")) is not None:
                untold.unlink()
                self.made[worker] += 1


class Workers:
    """Worker processes of a loader. They end when this object is closed or collected, and with the interpreter.

    Parameters
    ----------
    recipe : Recipe
        How batches are made.
    count : int
        The number of processes.
    init : callable or None
        Each worker calls it with its number, once.
    context : str, multiprocessing context or None
        How processes are started. Default: "spawn".
    timeout : float
        The largest number of seconds to wait for a batch; 0 for no limit.
    """

    def __init__(self, recipe: Recipe, count: int, init: Callable[[int], Any] | None, context: Any, timeout: float):
        current: Any = multiprocessing.current_process()
        if getattr(current, "_inheriting", False):
            raise RuntimeError(
                "DataLoader: a worker process imports this program, and the program would start workers again. Put "
                'what the program does under `if __name__ == "__main__":`, or use worker="thread"'
            )
        if current.daemon:
            raise RuntimeError(
                'DataLoader: a worker process cannot start processes of its own; use num_workers=0 or worker="thread" '
                "in it"
            )
        if context is None or isinstance(context, str):
            context = multiprocessing.get_context(context or "spawn")
        self.count, self.timeout = count, timeout
        self.n_passes = 0
        self.warns_of_copies = recipe.is_stream and count > 1 and init is None
        self.user: weakref.ref[Any] | None = None  # the pass that uses these workers
        self._heard: set[int] = set()  # the workers that have answered
        self._team = team = _Team()
        self.close = weakref.finalize(self, team.close)
        try:
            parcel = _parcel(team, recipe, init, context)
            for worker in range(count):
                self._start(worker, context, parcel)
        except BaseException:
            self.close()
            raise

    def _start(self, worker: int, context: Any, parcel: Parcel) -> None:
        team = self._team
        take_tasks, tasks = context.Pipe(duplex=False)
        results, send_results = context.Pipe(duplex=False)
        team.tasks.append(tasks)
        team.results.append(results)
        team.segments.append({})
        team.made.append(0)
        team.freed.append(deque())
        process = context.Process(
            target=run,
            args=(worker, self.count, take_tasks, send_results, team.prefix_of(worker), parcel),
            name=f"rustorch data {worker}",
            daemon=True,
        )
        try:
            with _environment_of_workers():
                process.start()
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise _unpicklable("the dataset, collate_fn or worker_init_fn", error) from error
        finally:
            take_tasks.close()
            send_results.close()
        team.processes.append(process)

    @property
    def is_free(self) -> bool:
        """Whether a new pass can use them: they run, and no other pass is using them."""
        return not self._team.closed and (self.user is None or self.user() is None)

    @property
    def is_closed(self) -> bool:
        return self._team.closed

    def begin(self, key: tuple[int, ...]) -> int:
        """Begin a pass, and return its number. The workers skip what is left of the pass before it."""
        self.n_passes += 1
        for worker in range(self.count):
            self._send(worker, Pass(self.n_passes, key, default_device(), is_grad_enabled()))
        return self.n_passes

    def send(self, worker: int, number: int, item: Any, is_skipped: bool) -> None:
        """Send a task to a worker."""
        freed, queue = [], self._team.freed[worker]
        while queue:
            freed.append(queue.popleft())
        self._send(worker, (self.n_passes, number, item, is_skipped, freed))

    def _send(self, worker: int, message: Any) -> None:
        with contextlib.suppress(OSError):  # the worker has died: `receive` says so when its batch is due
            self._team.tasks[worker].send(message)

    def receive(self, worker: int, number: int) -> Reply:
        """The next reply of a worker, which is due because of task ``number``, with the batch in place of its pickle.

        Raises
        ------
        RuntimeError
            If the worker has died, or does not answer in time. Then all workers are ended.
        """
        team = self._team
        connection, sentinel = team.results[worker], team.processes[worker].sentinel
        ready = wait([connection, sentinel], self.timeout or None)
        if not ready:
            pid = team.processes[worker].pid
            self.close()
            raise RuntimeError(
                f"DataLoader: worker process {worker} (pid {pid}) did not send batch {number} within the timeout of "
                f"{self.timeout:g} seconds; find out what its dataset waits for, or use a longer timeout"
            )
        if connection not in ready and not connection.poll():
            raise self._died(worker, number)
        try:
            reply: Reply = connection.recv()
            arrays = [] if reply.slot is not None else [bytearray(connection.recv_bytes()) for _ in reply.sizes]
        except (EOFError, OSError):
            raise self._died(worker, number) from None
        self._heard.add(worker)
        return self._opened(worker, reply, arrays)

    def _opened(self, worker: int, reply: Reply, arrays: list[Any]) -> Reply:
        """The reply with its batch unpickled, which may be upon the shared memory."""
        team, slot = self._team, reply.slot
        if slot is not None and reply.segment is not None:
            team.add_segment(worker, slot, reply.segment)
        if reply.outcome != DONE or reply.value is None:
            return reply
        is_lent = False
        if slot is not None:
            memory = sharing.view(team.segments[worker][slot])
            team.lent += 1
            if is_lent := reply.of_pass == self.n_passes and team.lent <= _LENT:
                # An array, or any view of it, keeps `memory` alive. When the last one is gone, the slot is free again.
                weakref.finalize(memory, team.release, worker, slot).atexit = False
                arrays = sharing.parts(memory, reply.sizes)
            elif reply.of_pass == self.n_passes:
                arrays = [bytearray(part) for part in sharing.parts(memory, reply.sizes)]
            del memory
        try:
            batch = sharing.unpack(reply.value, arrays) if reply.of_pass == self.n_passes else None
        finally:
            if slot is not None and not is_lent:
                team.release(worker, slot)
        return Reply(reply.of_pass, reply.number, DONE, (batch,))

    def _died(self, worker: int, number: int) -> RuntimeError:
        """The error for a worker that has ended; ends the others, too."""
        process = self._team.processes[worker]
        process.join(_GRACE)
        pid, code = process.pid, process.exitcode
        self.close()
        reason, hint = f"ended with exit code {code}", ""
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
            reason, hint = f"was killed by {name}", _HINTS.get(name, "")
        elif worker not in self._heard:
            hint = (
                "; the output above may have the reason. A program with worker processes does its work under "
                '`if __name__ == "__main__":`, because each of them imports it'
            )
        return RuntimeError(
            f"DataLoader: worker process {worker} (pid {pid}) {reason} while it made batch {number}{hint}"
        )


# -- what the workers get ----------------------------------------------------------------------------------------------
def _unpicklable(what: str, error: Exception) -> TypeError:
    return TypeError(
        f"DataLoader: {what} cannot be sent to a worker process: {error}. Classes and functions that go to processes "
        f"are defined at the top level of a module, and objects hold no open files, locks or generators. Or use "
        f'worker="thread", which sends nothing'
    )


def _parcel(team: _Team, recipe: Recipe, init: Callable[[int], Any] | None, context: Any) -> Parcel:
    """What the workers get. Large arrays of the dataset go into one segment that all of them share."""
    if context.get_start_method() == "fork":
        return Parcel(contents=(recipe, init))
    try:
        data, buffers = sharing.pack((recipe, init))
    except Exception as error:
        if type(error) is RuntimeError and "through inheritance" in str(error):
            return Parcel(contents=(recipe, init))  # queues and locks of multiprocessing: pickled during each start
        for what, value in (("the dataset", recipe.dataset), ("collate_fn", recipe.collate), ("worker_init_fn", init)):
            try:
                sharing.pack(value)
            except Exception as its_error:
                raise _unpicklable(what, its_error) from error
        raise
    sizes = tuple([buffer.nbytes for buffer in buffers])
    if buffers:
        team.start = sharing.create_segment(f"{team.prefix}start", sharing.places(sizes)[1])
    if team.start is None:
        return Parcel(data, sizes, None, tuple([bytes(buffer) for buffer in buffers]))
    sharing.write(team.start, buffers)
    return Parcel(data, sizes, team.start.name)
