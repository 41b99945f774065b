"""Exchanges through MPI that are on their way: what waits for them, and keeps their arrays alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

__all__ = ["PIECE", "Pieces", "Several", "Unfinished", "start_latest"]

#: Long arrays are reduced in pieces of this many bytes, a few at a time. MPI's scratch buffers stay small then, and in
#: the cache: 100 MB on two ranks take half of the time of one call.
PIECE = 1 << 22
_PIECES_AT_A_TIME = 2


class Unfinished:
    """An exchange that MPI has not finished.

    It stays here until then with its arrays, also if the program has dropped its handle: MPI still reads and writes
    them, and mpi4py does not keep them alive.
    """

    _all: ClassVar[dict[int, Unfinished]] = {}
    #: A new exchange removes those that are done if so many are here. Most are removed when the program waits for them.
    _limit = 32

    def __init__(self, arrays: Sequence[Any], finish: Callable[[], None] | None = None):
        self._arrays = arrays
        self._finish = finish
        if len(self._all) >= Unfinished._limit:
            for other in list(self._all.values()):
                other.remove_if_done()
            Unfinished._limit = max(32, 2 * len(self._all))
        self._all[id(self)] = self

    def done(self) -> bool:
        """Whether MPI has finished it."""
        raise NotImplementedError

    def remove_if_done(self) -> None:
        """Remove it from here if MPI has finished it."""
        self.done()

    def _end(self) -> None:
        self._all.pop(id(self), None)
        self._arrays = ()
        finish, self._finish = self._finish, None
        if finish is not None:
            finish()


class Pieces(Unfinished):
    """An exchange in pieces, which start in order, a few at a time.

    All ranks must start all collectives in the same order, and another rank may wait for this exchange before it comes
    to what this rank waits for next. So every other exchange, of all communicators, first calls `start_latest`.
    """

    latest: Pieces | None = None

    def __init__(self, pieces: Sequence[Callable[[], Any]], array: Any, finish: Callable[[], None] | None):
        super().__init__((array,), finish)
        Pieces.latest = self
        self._later = deque(pieces)
        self._flying: deque[Any] = deque()
        self._start(_PIECES_AT_A_TIME)

    def _start(self, most: int) -> None:
        while self._later and len(self._flying) < most:
            self._flying.append(self._later.popleft()())

    def wait(self) -> None:
        while self._flying:
            self._flying.popleft().Wait()
            self._start(_PIECES_AT_A_TIME)
        self._end()

    def done(self) -> bool:
        while self._flying and self._flying[0].Test():
            self._flying.popleft()
            self._start(_PIECES_AT_A_TIME)
        if self._flying:
            return False
        self._end()
        return True


def start_latest() -> None:
    """Start all pieces of the latest exchange in pieces."""
    pieces, Pieces.latest = Pieces.latest, None
    if pieces is not None:
        pieces._start(len(pieces._flying) + len(pieces._later))


class Several(Unfinished):
    """Several MPI requests as one, and what to do before waiting for them and when they are done."""

    def __init__(
        self,
        requests: Sequence[Any],
        arrays: Sequence[Any] = (),
        finish: Callable[[], None] | None = None,
        before: Callable[[], None] | None = None,
    ):
        super().__init__(arrays, finish)
        self._requests = requests
        self._before = before

    def wait(self) -> None:
        if self._before is not None:
            self._before()
        for request in self._requests:
            request.Wait()
        self._end()

    def done(self) -> bool:
        if all(request.Test() for request in self._requests):
            self._end()
            return True
        return False

    def _end(self) -> None:
        self._requests = ()
        super()._end()
