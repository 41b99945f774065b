"""What the graph is made of: values, nodes, and whether recording is on."""

from __future__ import annotations

import functools
import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..backends import Array, Backend, of

if TYPE_CHECKING:
    from ..variable import Variable
    from .primitive import Plan, Primitive

#: Numbers nodes and writes in the order in which they happen; creation order is a topological order of the graph.
next_seq = itertools.count(1).__next__

#: The types that operations take apart without conversion: Variable and its subclasses.
VARIABLES: set[type] = set()


class Value:
    """An array, whether it is tracked, and its place in the graph: what Variable is to the engine.

    Class attributes are the defaults, so that making an untracked result sets one attribute.
    """

    _native: Array
    _tracked: bool = False
    _node: Node | None = None
    _grad: Array | None = None
    _hooks: dict[int, Callable] | None = None  # of a leaf; a node has its own
    _since: int = 0  # of a tracked leaf: its place in the order of all calls

    if TYPE_CHECKING:  # whatever else a Variable has

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        VARIABLES.add(cls)


class Node:
    """One recorded call of a primitive.

    Attributes
    ----------
    plan : Plan
        Which rules backward will run, and on which of the saved values.
    parents : tuple of Node, leaf Value or None
        Where each input came from; None for inputs that need no gradient.
    saved : tuple or None
        The values that the rules name; None once backward has freed them.
    seq : int
        Its place in the order of all calls.
    shape, dtype
        Of the output, in the backend's own terms: every gradient that arrives is brought to them.
    """

    __slots__ = ("__weakref__", "dtype", "hooks", "parents", "plan", "saved", "seq", "shape")

    def __init__(self, plan: Plan, parents: tuple, saved: tuple | None, out: Array):
        self.plan = plan
        self.parents = parents
        self.saved = saved
        self.seq = next_seq()
        self.shape = out.shape
        self.dtype = out.dtype
        self.hooks: dict[int, Callable] | None = None

    @property
    def primitive(self) -> Primitive:
        return self.plan.primitive

    def __repr__(self) -> str:
        return f"<{self.plan.primitive.name} node {self.seq}>"


# -- grad mode ---------------------------------------------------------------------------------------------------------
class _Mode(threading.local):
    """Whether this thread records. Looking into a thread's own variables costs as much as a small dictionary's work, so
    that callers ask it only while some thread has switched it off.
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
    """How many threads do not record. (One that ends while it does not is counted on: then `mode` is asked
    more often.)
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

    def __call__(self, function: Callable) -> Callable:
        """The function, run in this mode. A generator function is in this mode whenever its body runs."""
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

    def __new__(cls, function: Callable | None = None) -> Any:
        switch = super().__new__(cls)
        if function is None:
            return switch
        switch.__init__()  # type: ignore[misc]
        return switch(function)


class enable_grad(no_grad):
    """Record again inside `no_grad`: a context manager and decorator."""

    _to = True


class set_grad_enabled(_Switch):
    """Switch recording on or off in this thread, at once; as a context manager, for a while; or as a decorator.

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

    def __call__(self, function: Callable) -> Callable:
        mode.enabled = self._before.pop()  # as a decorator it switches nothing now
        return super().__call__(function)


def _swap(to: bool) -> bool:
    before, mode.enabled = mode.enabled, to
    return before


# -- writes in place ---------------------------------------------------------------------------------------------------
class _Writes:
    """Which arrays rustorch wrote into, and when: a node whose kept values changed later must not be replayed.

    A write costs one dictionary entry; a call costs nothing, and backward one comparison per node as long as
    nothing was written after the call.
    """

    def __init__(self) -> None:
        self.last = 0
        self._seqs: dict[int, tuple[int, weakref.ref]] = {}

    def note_all(self, arrays: Sequence[Array]) -> None:
        """These arrays have been written into, just now."""
        seq = next_seq()
        seqs = self._seqs
        for array in arrays:
            known = seqs.get(id(array))
            if known is not None and known[1]() is array:  # what stood for this memory before stands for it again
                seqs[id(array)] = (seq, known[1])
            else:
                self._note(of(array), array, seq)  # type: ignore[arg-type]
        self.last = seq

    def _note(self, backend: Backend, array: Array, seq: int) -> None:
        # the owner may be a foreign object that cannot be watched; then the array itself stands for the memory
        for owner in (backend.owner(array), array):
            key = id(owner)
            known = self._seqs.get(key)
            try:
                ref = known[1] if known else weakref.ref(owner, partial(self._forget, key))
            except TypeError:
                continue
            self._seqs[key] = (seq, ref)
            return

    def _forget(self, key: int, ref: weakref.ref) -> None:
        self._seqs.pop(key, None)

    def since(self, seq: int, value: Any) -> bool:
        """Whether ``value``, kept by node ``seq``, was written into afterwards."""
        backend = of(value)
        if backend is None:
            return False
        seqs = self._seqs
        written = seqs.get(id(backend.owner(value))) or seqs.get(id(value))
        return written is not None and written[0] > seq

    def check(self, node: Node, saved: tuple) -> None:
        """Raise RuntimeError if something that ``node`` kept was written into after its call."""
        for value in saved:
            if self.since(node.seq, value):
                raise RuntimeError(
                    f"{node.primitive.name}: an array that its gradient needs (shape {tuple(value.shape)}) was changed "
                    f"in place "
                    f"after the call; change a clone() instead, or call backward before the change"
                )


writes = _Writes()


# -- making Variables from below ---------------------------------------------------------------------------------------
_new = object.__new__
_cls: type = Value


def set_variable_class(cls: type) -> None:
    """Called once by variable.py: floors below it make Variables without importing it."""
    global _cls
    _cls = cls


def make(native: Array, node: Node | None = None) -> Variable:
    """A Variable around a native array, at a place in the graph."""
    out: Any = _new(_cls)
    out._native = native
    if node is not None:
        out._node = node
        out._tracked = True
    return out


def track(leaf: Any) -> None:
    """From here on, gradients shall reach this leaf."""
    leaf._tracked = True
    leaf._since = next_seq()


def record(out: Array, plan: Plan, parents: tuple, saved: tuple) -> Variable:
    """A Variable around an output, and the node of the call that computed it: `make` and `Node` in one frame."""
    node = _new(Node)
    node.plan = plan
    node.parents = parents
    node.saved = saved
    node.seq = next_seq()
    node.shape = out.shape
    node.dtype = out.dtype
    node.hooks = None
    variable: Any = _new(_cls)
    variable._native = out
    variable._node = node
    variable._tracked = True
    return variable
