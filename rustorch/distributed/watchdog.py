"""A thread that ends the job when a rank fails, so that no rank waits for ever.

Ranks wait in calls of MPI that nothing can interrupt. So a thread looks at the record of the collectives several times
a second. It ends the job, with a report, if a rank that others wait for has left the program, or has not come for the
whole time limit. An exception that the program does not catch ends the job as well, after its traceback.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from typing import Any

from .calls import Call, Calls, line_of
from .group import state

#: Seconds between two looks at the record.
_PERIOD = 0.1
#: How many seconds a rank has to answer the question what it is doing.
_PATIENCE = 1.0
#: Seconds between the last line that this process writes and the end of the job: the launcher passes on the line.
_FLUSH = 0.1


class Watchdog:
    """The thread of one process, and the hooks that tell the other ranks how this process ends.

    Parameters
    ----------
    control : mpi.Control
        Messages between the ranks, beside the exchanges.
    timeout : float
        The seconds that a rank may be late.
    """

    def __init__(self, control: Any, timeout: float):
        self._control = control
        self._timeout = timeout
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rustorch.distributed", daemon=True)
        self._main = threading.main_thread().ident
        self._gone: dict[int, dict[str, int]] = {}  # rank -> how many collectives of each group it had called
        self._answers: dict[int, dict[str, Any]] = {}
        self._asked = 0.0
        self._before: Any = None

    def start(self) -> None:
        """Begin to watch."""
        self._before = sys.excepthook
        sys.excepthook = self._failed
        atexit.register(self._leave)
        if self._control.usable:
            self._thread.start()

    def stop(self) -> None:
        """End it. All ranks call this, after a barrier."""
        self._end_thread()
        atexit.unregister(self._leave)
        if sys.excepthook == self._failed:
            sys.excepthook = self._before
        while self._control.receive() is not None:
            pass
        self._control.close()

    def _end_thread(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    # -- how this process ends -----------------------------------------------------------------------------------------
    def _failed(self, *exc: Any) -> None:
        """An exception that nobody caught: show it, and end the job."""
        self._before(*exc)
        self._abort()

    def _leave(self) -> None:
        """The program of this rank is over: the others may be waiting for it."""
        self._end_thread()
        counts = {str(calls.key): calls.count for calls in _all_calls()}
        for rank in range(self._control.size):
            if rank != self._control.rank:
                self._control.send(rank, {"gone": counts})

    def _abort(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(_FLUSH)
        self._control.abort()

    # -- the thread ----------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            self._read_messages()
            for calls in _all_calls():
                call = calls.oldest()
                if call is not None:
                    self._look_at(calls, call)

    def _read_messages(self) -> None:
        while (found := self._control.receive()) is not None:
            rank, message = found
            if "gone" in message:
                self._gone[rank] = message["gone"]
            elif "ask" in message:
                self._control.send(rank, {"answer": self._status(message["ask"])})
            elif "answer" in message:
                self._answers[rank] = message["answer"]

    def _status(self, key: int) -> dict[str, Any]:
        """What this rank is doing, for a rank that waits in a group."""
        calls = next((calls for calls in _all_calls() if calls.key == key), None)
        call = calls.oldest() if calls is not None else None
        other = next(filter(None, [others.oldest() for others in _all_calls()]), None)
        frame = sys._current_frames().get(self._main or 0)
        return {
            "count": calls.count if calls is not None else 0,
            "waits": None if call is None else [str(call), call.line],
            "elsewhere": None if other is None else f"{other}, called at {other.line}",
            "line": line_of(frame),
        }

    def _look_at(self, calls: Calls, call: Call) -> None:
        """End the job if a member of the group has left it, or if the time is over."""
        own = self._control.rank
        gone = [rank for rank in call.partners if rank in self._gone]
        for rank in gone:
            count = self._gone[rank].get(str(calls.key), 0)
            if count < call.number:
                self._report(
                    f"rank {rank} left the program after {count} collectives of this group; rank {own} waits for it",
                    calls,
                    call,
                )
        waited = time.monotonic() - (call.since or 0.0)
        if not call.number and len(gone) == len(call.partners) and waited > _PATIENCE:  # what was sent has arrived
            self._report(f"rank {gone[0]} left the program, and rank {own} waits for it", calls, call)
        if waited > self._timeout:
            self._report(f"{call} has not ended after {self._timeout:g} s", calls, call)

    def _report(self, reason: str, calls: Calls, call: Call) -> None:
        """Ask all members what they do, and print it; the first rank that waits prints, and ends the job."""
        own = self._control.rank
        self._answers.clear()
        for rank in calls.ranks:
            if rank != own and rank not in self._gone:
                self._control.send(rank, {"ask": calls.key})
        until = time.monotonic() + _PATIENCE
        expected = [rank for rank in calls.ranks if rank != own and rank not in self._gone]
        while time.monotonic() < until and not all(rank in self._answers for rank in expected):
            self._read_messages()
            time.sleep(0.01)
        self._answers[own] = self._status(calls.key)
        waiting = [rank for rank, answer in sorted(self._answers.items()) if answer["waits"] or answer["elsewhere"]]
        if waiting and waiting[0] != own:  # that rank prints the same report; if it cannot, this one does
            until = time.monotonic() + 3 * _PATIENCE
            while time.monotonic() < until and not self._stop.is_set():
                self._read_messages()
                time.sleep(0.05)
        lines = [f"rustorch.distributed: {reason}. What {_name(calls)} do:"]
        lines += [f"  rank {rank}: {self._line(rank)}" for rank in calls.ranks]
        lines.append(
            "Every rank must call the same collectives in the same order; init_process_group(debug=True) compares them "
            "all. The job ends."
        )
        print("\n".join(lines), file=sys.stderr)
        self._abort()

    def _line(self, rank: int) -> str:
        if rank in self._gone:
            return "has left the program"
        answer = self._answers.get(rank)
        if answer is None:
            return "does not answer: it is stopped, or a function that holds the interpreter's lock runs"
        if answer["waits"]:
            text, line = answer["waits"]
            return f"waits in {text}, called at {line}"
        where = (
            f"waits in another group, in {answer['elsewhere']}" if answer["elsewhere"] else f"is at {answer['line']}"
        )
        return f"has called {answer['count']} collectives, and {where}"


def _name(calls: Calls) -> str:
    return "all ranks" if state.group is not None and calls is state.group.calls else f"the ranks {calls.ranks}"


def _all_calls() -> list[Calls]:
    world = state.group
    return [] if world is None else [world.calls, *[group.calls for group in state.others if group.rank >= 0]]
