"""What the graph is made of: values and nodes, and the functions with which lower modules make Variables."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..backends import Array

if TYPE_CHECKING:
    from ..variable import Variable
    from .leaf_hooks import LeafHooks
    from .primitive import Plan, Primitive

#: Numbers nodes and writes in the order in which they happen; creation order is a topological order of the graph.
next_seq = itertools.count(1).__next__

#: The types whose arrays operations take out without conversion: Variable and its subclasses.
VARIABLES: set[type] = set()

#: The same types while the fast paths of `recording` and `engine` are allowed, else empty. A fast path asks this set
#: instead of VARIABLES, so that it costs nothing to switch all of them off.
FAST_TYPES: set[type] = set()


class general_path:
    """A context in which every call and every backward, in all threads, takes the general path."""

    _lock = threading.Lock()
    _active = 0

    def __enter__(self) -> None:
        with self._lock:
            general_path._active += 1
            FAST_TYPES.clear()

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            general_path._active -= 1
            if not general_path._active:
                FAST_TYPES.update(VARIABLES)


class _Hooked:
    """Whether a leaf has ever had a hook. Until then, backward does not look for hooks of leaves."""

    __slots__ = ("leaves",)

    def __init__(self) -> None:
        self.leaves = False


hooked = _Hooked()


class Value:
    """What the engine knows of a Variable: an array, whether it is tracked, and its place in the graph.

    The class attributes are the defaults, so that making an untracked result sets one attribute.
    """

    _native: Array
    _tracked: bool = False
    _node: Node | None = None
    _grad: Array | None = None
    _hooks: dict[int, Callable[..., Any]] | None = None  # the hooks of a leaf; those of a computed value are its node's
    _post_hooks: LeafHooks | None = None  # the hooks of a leaf that run when its gradient is complete
    _since: int = 0  # for a tracked leaf, its number in the order of all calls
    _sharding: Any = None  # which piece of a parameter the array is; None if it is the whole parameter

    if TYPE_CHECKING:  # the other attributes of a Variable

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        with general_path._lock:
            VARIABLES.add(cls)
            if not general_path._active:
                FAST_TYPES.add(cls)


class Node:
    """One recorded call of a primitive.

    Attributes
    ----------
    plan : Plan
        Which rules backward runs, and on which of the saved values.
    parents : tuple of Node, leaf Value or None
        Where each input came from; None for inputs that need no gradient.
    saved : tuple or None
        The values that the rules name; None once backward has freed them.
    seq : int
        Its number in the order of all calls.
    shape, dtype
        Those of the output, in the backend's own terms. Every gradient that arrives is brought to them.
    """

    __slots__ = ("__weakref__", "dtype", "hooks", "parents", "plan", "saved", "seq", "shape")

    def __init__(self, plan: Plan, parents: tuple[Any, ...], saved: tuple[Any, ...] | None, out: Array):
        self.plan = plan
        self.parents = parents
        self.saved = saved
        self.seq = next_seq()
        self.shape = out.shape
        self.dtype = out.dtype
        self.hooks: dict[int, Callable[..., Any]] | None = None

    @property
    def primitive(self) -> Primitive:
        return self.plan.primitive

    def __repr__(self) -> str:
        return f"<{self.plan.primitive.name} node {self.seq}>"


# -- making Variables below variable.py --------------------------------------------------------------------------------
_new = object.__new__
_cls: type = Value


def set_variable_class(cls: type) -> None:
    """Tell `make` and `record` the class of Variables. variable.py, which imports this module, calls it once."""
    global _cls
    _cls = cls


def make(native: Array, node: Node | None = None) -> Variable:
    """A Variable around a native array; with a node, the output of the call that the node recorded."""
    out: Variable = _new(_cls)
    out._native = native
    if node is not None:
        out._node = node
        out._tracked = True
    return out


def record(out: Array, plan: Plan, parents: tuple[Any, ...], saved: tuple[Any, ...]) -> Variable:
    """``make(out, Node(plan, parents, saved, out))`` without its two calls: a fast path records with it."""
    node = _new(Node)
    node.plan = plan
    node.parents = parents
    node.saved = saved
    node.seq = next_seq()
    node.shape = out.shape
    node.dtype = out.dtype
    node.hooks = None
    variable: Variable = _new(_cls)
    variable._native = out
    variable._node = node
    variable._tracked = True
    return variable


def track(leaf: Any) -> None:
    """Let gradients reach this leaf from here on."""
    leaf._tracked = True
    leaf._since = next_seq()
