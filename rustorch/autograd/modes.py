"""Grad mode: whether calls are recorded in this thread, and the context managers that switch it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any


class _Mode(threading.local):
    """Whether this thread records.

    Reading a thread-local attribute takes about as long as the rest of a call's bookkeeping. So a call reads it only
    while `switched` says that some thread does not record.
    """

    on = True

    @property
    def enabled(self) -> bool:
        return self.on

    @enabled.setter
    def enabled(self, to: bool) -> None:
        if to is not self.on:
            with _lock:
                switched.off += -1 if to else 1
            self.on = to


class _Switched:
    """How many threads do not record.

    A thread that ends with recording off stays counted. Nothing goes wrong then: calls read `mode` more often.
    """

    __slots__ = ("off",)

    def __init__(self) -> None:
        self.off = 0


mode = _Mode()
switched = _Switched()
_lock = threading.Lock()


def is_grad_enabled() -> bool:
    """Whether operations on tracked Variables are being recorded in this thread."""
    return mode.enabled


class _Switch:
    """A context manager and decorator that sets the grad mode of this thread and restores it."""

    _to: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.enabled)
        mode.enabled = self._to

    def __exit__(self, *exc: object) -> None:
        mode.enabled = self._before.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, run in this mode. The body of a generator function runs in this mode, too."""
        to = self._to
        if function.__code__.co_flags & 0x20 if hasattr(function, "__code__") else False:

            @functools.wraps(function)
            def steps(*args: Any, **kwargs: Any) -> Any:
                body = function(*args, **kwargs)
                send: Any = None
                thrown: BaseException | None = None
                while True:
                    with set_grad_enabled(to):
                        try:
                            item = body.send(send) if thrown is None else body.throw(thrown)
                        except StopIteration as stop:
                            return stop.value
                    send = thrown = None
                    try:
                        send = yield item
                    except GeneratorExit:
                        with set_grad_enabled(to):
                            body.close()
                        raise
                    except BaseException as error:
                        thrown = error

            return steps

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            before, mode.enabled = mode.enabled, to
            try:
                return function(*args, **kwargs)
            finally:
                mode.enabled = before

        return run


class no_grad(_Switch):
    """Record nothing: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    >>> with rustorch.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _to = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        switch = super().__new__(cls)
        if function is None:
            return switch
        switch.__init__()  # type: ignore[misc]
        return switch(function)


class enable_grad(no_grad):
    """Record again inside `no_grad`: a context manager and decorator."""

    _to = True


class set_grad_enabled(_Switch):
    """Switch recording on or off in this thread: at once, inside a ``with`` block, or in a decorated function.

    Parameters
    ----------
    mode : bool
    """

    def __init__(self, mode: bool):
        super().__init__()
        self._to = bool(mode)
        self._before.append(_swap(self._to))
        self._entered = False

    def __enter__(self) -> None:
        if self._entered:  # a second use of the same object
            super().__enter__()
        self._entered = True

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        mode.enabled = self._before.pop()  # as a decorator it switches nothing now
        return super().__call__(function)


def _swap(to: bool) -> bool:
    before, mode.enabled = mode.enabled, to
    return before
