"""Handles of exchanges that run in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Work"]


class Request(Protocol):
    """An exchange in progress, as an `Exchange` returns it."""

    def wait(self) -> None:
        """Return when the exchange is done."""

    def done(self) -> bool:
        """Whether it is done. Asking may be what moves its data."""


class Done:
    """An exchange that is complete already."""

    def wait(self) -> None:
        """Return at once."""

    def done(self) -> bool:
        """True."""
        return True


class Work:
    """An exchange in progress: that of a collective with ``async_op=True``, of `isend`, or of `irecv`.

    Its arrays belong to the exchange until `wait` returns: do not read or write them before.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> total = rustorch.ones(3)
    >>> work = dist.all_reduce(total, async_op=True)
    >>> work.wait()
    True
    >>> dist.destroy_process_group()
    """

    def __init__(self, request: Request, finish: Callable[[], None] | None = None):
        self._request: Request | None = request
        self._finish = finish

    def wait(self) -> bool:
        """Wait until the exchange is done.

        Returns
        -------
        bool
            True. On a GPU the host does not wait: what is launched on the current stream from now on runs after the
            exchange.
        """
        if self._request is not None:
            self._request.wait()
            self._end()
        return True

    def is_completed(self) -> bool:
        """Whether the exchange is done. MPI moves arrays on the host only during such calls: call it now and then."""
        if self._request is not None and self._request.done():
            self._end()
        return self._request is None

    def progress(self) -> bool:
        """Move the data on, and return whether all have moved. The results reach the arrays in `wait`."""
        return self._request is None or self._request.done()

    def _end(self) -> None:
        self._request = None
        finish, self._finish = self._finish, None
        if finish is not None:
            finish()
