"""What the threads of a team run between two pieces of work: they look for the next one without the interpreter.

A thread that has just worked stays awake for a moment, because the next piece of work usually comes soon: then it
starts within a microsecond, where waking a sleeping thread takes thirty. While it looks, it offers its processor to
every other thread (``yield``), above all to those of BLAS. The bodies here are compiled as kernels are.

The items are cut into ranges, one for each thread. A thread takes the pieces of its own range first, and then those of
the others. Its range is the same part of the items in each loop. So it often finds in its cache what it wrote in the
loop before.

The state of a team is an array of integers. A thread may be in the midst of a piece of work only while it is counted in
ACTIVE, and it enters only while OPEN holds the ticket of that work. So the work is over when OPEN is 0 and ACTIVE is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .atomics import atomic_add, atomic_exchange, atomic_load, atomic_store, call_bare, call_kernel

#: Places in the state. What different threads write often lies in different lines of the cache (8 words).
OPEN, ACTIVE, RANGES, LAST = 0, 8, 16, 24
ITEMS, CHUNK, WORKERS, WAKE, YIELD, SPINS, STOPPED = 25, 26, 27, 28, 29, 30, 31
#: The address of the kernel, and then its arguments.
KERNEL, ARGUMENTS = 32, 33
#: The words of each thread: whether it sleeps, why it returned, and the last ticket that it has served.
THREAD, ASLEEP, REASON, SERVED = 192, 0, 1, 2
#: Why a thread returns to the interpreter.
SLEEP, STOP, PYTHON = 0, 1, 2
#: The largest number of threads beside the caller's: WAKE has a bit for each.
MOST = 62
#: The next item of the caller's range, and of each thread's.
NEXT = THREAD + 8 * MOST
WORDS = NEXT + 8 * (MOST + 1)


def _work(state: Any, own: int) -> None:
    """Take all pieces that are left, first those of a thread's own range. The caller's is range 0."""
    chunk, items, ranges = state[CHUNK], state[ITEMS], state[RANGES]
    for i in range(ranges):
        number = (own + i) % ranges
        place, end = NEXT + 8 * number, items * (number + 1) // ranges
        start = atomic_add(state, place, chunk)
        while start < end:
            call_kernel(state[KERNEL], state, ARGUMENTS, start, min(start + chunk, end))
            start = atomic_add(state, place, chunk)


def begin(state: Any, items: int, chunk: int) -> None:
    """Offer a piece of work. It is done when this returns, unless WAKE is not 0: then these threads have to be woken,
    and `finish` has to be called.
    """
    state[ITEMS] = items
    state[CHUNK] = chunk
    ranges = min(state[WORKERS] + 1, max(1, items // chunk))  # so that a range has a whole piece
    state[RANGES] = ranges
    for i in range(ranges):
        atomic_store(state, NEXT + 8 * i, items * i // ranges)
    ticket = state[LAST] + 1
    state[LAST] = ticket
    atomic_store(state, OPEN, ticket)
    wake = 0
    for i in range(state[WORKERS]):
        place = THREAD + 8 * i + ASLEEP
        if atomic_load(state, place) == 1 and atomic_exchange(state, place, 0) == 1:
            wake |= 1 << i
    state[WAKE] = wake
    if wake == 0 and state[KERNEL] != 0:
        finish(state, 0, 0)


def finish(state: Any, _start: int, _stop: int) -> None:
    """Take part in the work, close it, and wait for the threads that are still in it."""
    if state[KERNEL] != 0:
        _work(state, 0)
    atomic_store(state, OPEN, 0)
    while atomic_load(state, ACTIVE) != 0:
        call_bare(state[YIELD])


def serve(state: Any, thread: int, _stop: int) -> None:
    """Take part in work until there is none for a while, or until there is some that needs the interpreter."""
    mine = THREAD + 8 * thread
    served = state[mine + SERVED]
    idle = 0
    reason = -1
    while reason < 0:
        ticket = atomic_load(state, OPEN)
        if atomic_load(state, STOPPED) != 0:
            reason = STOP
        elif ticket != 0 and ticket != served:
            idle = 0
            atomic_add(state, ACTIVE, 1)
            if atomic_load(state, OPEN) == ticket:
                served = ticket
                if state[KERNEL] == 0:
                    reason = PYTHON
                else:
                    _work(state, thread + 1)
            atomic_add(state, ACTIVE, -1)
        elif idle < state[SPINS]:
            idle += 1
            call_bare(state[YIELD])
        else:
            atomic_store(state, mine + ASLEEP, 1)
            ticket = atomic_load(state, OPEN)
            if (ticket == 0 or ticket == served) and atomic_load(state, STOPPED) == 0:
                reason = SLEEP
            elif atomic_exchange(state, mine + ASLEEP, 0) == 0:
                reason = SLEEP  # a caller has seen it asleep, and wakes it
            else:
                idle = 0
    state[mine + SERVED] = served
    state[mine + REASON] = reason
