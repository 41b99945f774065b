"""checkpoint: a part of the forward pass whose intermediate values backward computes again instead of saving them.

The part is recorded like any other, and its nodes stay in the graph. When the part has run, the saved values of its
nodes are dropped. Each node gets a `Ticket` instead, and a plan whose rules ask the ticket for the values. The first
ticket that is asked runs the function again, and takes the values from the nodes of that run. The engine does the rest
as without a checkpoint: hooks, gradients of some inputs, and derivatives of every order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from ..backends import default_device, rng_restore, rng_snapshot, set_default_device
from ..pytree import tree_flatten, tree_leaves, tree_unflatten
from .graph import Node, Value, make, next_seq
from .modes import enable_grad, mode
from .tickets import Redeeming, Ticket
from .writes import writes


class _Repeating(threading.local):
    """Whether this thread is calling a function again, for backward."""

    on = False


_repeating = _Repeating()

#: Functions that are called when a checkpoint begins. Each returns a function that makes a context for repetitions.
surroundings: list[Callable[[], Callable[[], AbstractContextManager[Any]]]] = []


def is_repeating() -> bool:
    """Whether a checkpointed function is being called again for backward. Running statistics must ignore that call."""
    return _repeating.on


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    preserve_rng_state: bool = True,
    use_reentrant: bool = False,
    **kwargs: Any,
) -> Any:
    """Return ``function(*args, **kwargs)``, and save only the arguments: backward calls the function again.

    This takes the time of a second forward pass, and saves the memory for the values between the arguments and the
    results. If n layers are called in sqrt(n) checkpoints, backward needs memory for about 2 sqrt(n) of them (Chen et
    al., "Training Deep Nets with Sublinear Memory Cost", 2016, arXiv:1604.06174).

    Gradients of every order equal those of the call without a checkpoint. They reach all that the function reads: its
    arguments, and the parameters of layers. Under `no_grad` the function is called without a checkpoint.

    Parameters
    ----------
    function : callable
        It must do the same in both calls: draw random numbers from rustorch alone, and read nothing that changes in
        between. Its other effects, such as printing, happen twice. The running statistics of batch and instance norm,
        and the power iteration of spectral norm, advance in the first call only.
    *args, **kwargs : trees of Variables, and anything else
        Arguments of the function.
    preserve_rng_state : bool
        Whether the second call draws the same random numbers as the first one, on every device. The generators' states
        are the same before and after it. A function that draws no random numbers does not need this.
    use_reentrant : bool
        Accepted for programs written for PyTorch; only False is supported.

    Returns
    -------
    object
        The function's result: a Variable, or a tree of Variables and other values.

    Raises
    ------
    ValueError
        If ``use_reentrant`` is true.
    RuntimeError
        In backward, if the second call differs from the first one, or an array that the function read has changed.

    Examples
    --------
    >>> import rustorch
    >>> layers = [rustorch.Linear(4, 4) for _ in range(9)]
    >>> def block(x, start):
    ...     for layer in layers[start : start + 3]:
    ...         x = rustorch.tanh(layer(x))
    ...     return x
    >>> x = rustorch.ones((2, 4))
    >>> for start in (0, 3, 6):
    ...     x = rustorch.checkpoint(block, x, start)
    >>> x.sum().backward()
    >>> layers[0].weight.grad.shape
    (4, 4)
    """
    if use_reentrant:
        raise ValueError("checkpoint: use_reentrant=True is PyTorch's older way, which loses gradients; leave it out")
    if not mode.enabled:
        return function(*args, **kwargs)
    segment = Segment(function, args, kwargs, preserve_rng_state)
    result = function(*args, **kwargs)
    segment.drop(result)
    return result


class SegmentTicket(Ticket):
    """A ticket for values that were dropped. The first one of a segment that is asked computes them again."""

    __slots__ = ("place", "segment")

    def __init__(self, segment: Segment, place: int):
        super().__init__()
        self.segment = segment
        self.place = place

    def find(self) -> tuple[Any, ...]:
        return self.segment.take(self.place)


class Segment:
    """One call of `checkpoint`: it can repeat the call, and compare the repetition with the first call.

    It refers to no node of its call, because those own the segment through their tickets.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], preserve: bool):
        self.function = function
        leaves, self.structure = tree_flatten((args, kwargs))
        # Keep the array and the place in the graph of each Variable, and not the Variable: a write gives it another
        # array and another node, which may own this segment. A leaf that requires grad is its own place.
        self.given = [
            (leaf._native, leaf._node or (leaf if leaf._tracked else None)) if isinstance(leaf, Value) else (leaf, leaf)
            for leaf in leaves
        ]
        self.values = [isinstance(leaf, Value) for leaf in leaves]
        self.device = default_device()
        self.surroundings = [capture() for capture in surroundings]
        self.random = rng_snapshot() if preserve else None
        self.nodes: list[tuple[Any, ...]] = []
        self.read: list[tuple[Value, Any]] = []
        self.kept: dict[int, tuple[Any, ...]] = {}
        self.start = self.end = next_seq()

    # -- the first call ------------------------------------------------------------------------------------------------
    def drop(self, result: Any) -> None:
        """Replace the saved values of the nodes of this call by tickets."""
        self.end = next_seq()
        nodes = _recorded(result, self.start)
        plans: dict[int, Redeeming] = {}
        self.nodes = _described(nodes, self.start)
        leaves = {id(p): p for node in nodes for p in node.parents if isinstance(p, Value) and p._since < self.start}
        self.read = [(leaf, leaf._native) for leaf in leaves.values()]
        for place, node in enumerate(nodes):
            # a node without parents was freed
            if not node.saved or not node.parents or node.plan.primitive.keeps_saved:
                continue
            plan = node.plan
            if type(plan) is not Redeeming:
                plan = plans.get(id(plan)) or plans.setdefault(id(plan), Redeeming(plan))
            node.plan, node.saved = plan, (SegmentTicket(self, place),)

    # -- the second call -----------------------------------------------------------------------------------------------
    def take(self, place: int) -> tuple[Any, ...]:
        """The saved values of the node at this place, from a repetition. Each repetition gives them once."""
        if place not in self.kept:
            self.kept = self._repeat()
        return _values(self.kept.pop(place))

    def _repeat(self) -> dict[int, tuple[Any, ...]]:
        """Call the function again; returns the saved values of its nodes, by place."""
        self._check_unchanged()
        arguments, options = tree_unflatten([self._argument(i) for i in range(len(self.given))], self.structure)
        before = None if self.random is None else rng_snapshot()
        outer, _repeating.on = _repeating.on, True
        try:
            if self.random is not None:
                rng_restore(self.random)
            with ExitStack() as stack:
                for context in self.surroundings:
                    stack.enter_context(context())
                again = next_seq()
                with enable_grad(), set_default_device(self.device):
                    result = self.function(*arguments, **options)
        finally:
            _repeating.on = outer
            if before is not None:
                rng_restore(before)
        del arguments, options
        nodes = _recorded(result, again)
        self._compare(nodes, again)
        return self._saved_by(nodes, again)

    def _saved_by(self, nodes: list[Node], again: int) -> dict[int, tuple[Any, ...]]:
        """The saved values of the nodes of a repetition, by place."""
        saved = {}
        for place, node in enumerate(nodes):
            if not node.saved:
                continue
            for value in node.saved if self.end < writes.last else ():
                if writes.since(self.end, value) and not writes.since(again, value):
                    raise _changed(value)
            writes.check(node, node.saved)
            saved[place] = node.saved
        return saved

    def _argument(self, i: int) -> Any:
        """Argument i of the first call, with its place in the graph."""
        native, place = self.given[i]
        if not self.values[i]:
            return native
        return place if isinstance(place, Value) else make(native, place)

    def _check_unchanged(self) -> None:
        """Raise RuntimeError if an array that the function read was changed after the first call began."""
        for leaf, native in self.read:
            if leaf._native is not native:
                raise _changed(native)
        if self.start < writes.last:
            for array in [*[given[0] for given in self.given], *[read[1] for read in self.read]]:
                if writes.since(self.start, array):
                    raise _changed(array)

    def _compare(self, nodes: list[Node], again: int) -> None:
        """Raise RuntimeError unless a repetition, which began at ``again``, recorded the same calls as the first."""
        if len(nodes) != len(self.nodes):
            raise _other(f"it recorded {len(nodes)} operations instead of {len(self.nodes)}")
        for (name, shape, dtype, *inputs), (now, now_shape, now_dtype, *now_inputs) in zip(
            self.nodes, _described(nodes, again), strict=True
        ):
            if now != name:
                raise _other(f"it recorded {now} instead of {name}")
            if (now_shape, now_dtype) != (shape, dtype):
                raise _other(
                    f"{name} returned shape {now_shape}, dtype {now_dtype} instead of shape {shape}, dtype {dtype}"
                )
            if now_inputs != inputs:
                raise _other(f"{name} was called with other inputs")


def _recorded(result: Any, start: int) -> list[Node]:
    """The nodes after call ``start`` that the Variables of a tree depend on, in an order that the graph determines."""
    stack: list[Any] = [leaf._node for leaf in reversed(tree_leaves(result)) if isinstance(leaf, Value)]
    nodes: dict[int, Node] = {}
    while stack:
        node = stack.pop()
        if type(node) is Node and node.seq > start and node.seq not in nodes:
            nodes[node.seq] = node
            stack.extend(reversed(node.parents))
    return list(nodes.values())


def _described(nodes: list[Node], start: int) -> list[tuple[Any, ...]]:
    """The operation, shape, dtype, saved values and parents of each node of a call that began at ``start``.

    They must be equal in both calls of the function.
    """
    places = {node.seq: place for place, node in enumerate(nodes)}

    def parent(node: Any) -> Any:
        if type(node) is Node and node.seq in places:
            return places[node.seq]
        # a leaf that the function makes is a new one in each call
        return "own leaf" if isinstance(node, Value) and node._since > start else ("outside", id(node))

    described = []
    for node in nodes:
        plan: Any = node.plan.plan if type(node.plan) is Redeeming else node.plan
        described.append(
            (plan.primitive.name, tuple(node.shape), node.dtype, plan.keep, [parent(p) for p in node.parents])
        )
    return described


def _values(saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """The saved values. In a checkpoint inside a checkpoint, a node has a ticket for them."""
    return saved[0].redeem() if isinstance(saved[0], Ticket) else saved


def _other(what: str) -> RuntimeError:
    return RuntimeError(
        f"checkpoint: called again for backward, the function did not do the same: {what}. It must draw random numbers "
        f"from rustorch alone (with preserve_rng_state=True), and read what does not change; hand a variable of a loop "
        f"over as an argument"
    )


def _changed(array: Any) -> RuntimeError:
    return RuntimeError(
        f"checkpoint: an array that the function read (shape {tuple(array.shape)}) was changed after the call began, "
        f"so that the function cannot be called again for backward; change a clone() instead, or call backward before "
        f"the change"
    )
