"""checkpoint: a part of the forward pass whose intermediate values are computed again when backward needs them.

The part is recorded as any other, and its nodes stay in the graph; but what they kept is dropped when the part is done.
In place of it each node gets a `Ticket`, and a plan whose rules redeem it: the first to do so lets the function run
again, and what the nodes of that run keep is what was dropped. So hooks, partial gradients and derivatives of every
order are the engine's, as without a checkpoint.
"""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..backends import default_device, rng_restore, rng_snapshot, set_default_device
from ..pytree import tree_flatten, tree_leaves, tree_unflatten
from . import engine
from .graph import Node, Value, make, next_seq
from .modes import enable_grad, mode
from .primitive import SELECT, Plan
from .writes import writes


class _Repeating(threading.local):
    """Whether this thread is in the second call of a function, the one for backward."""

    on = False


_repeating = _Repeating()


def is_repeating() -> bool:
    """Whether a checkpointed function is being called once more, for backward: what counts or averages its calls leaves
    this one out.
    """
    return _repeating.on


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    preserve_rng_state: bool = True,
    use_reentrant: bool = False,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, which keeps nothing for backward but its arguments: backward calls it once more.

    That costs the time of a second forward, and saves the memory of what lies between the arguments and the results: in
    n layers that are called in sqrt(n) checkpoints, backward needs memory for about 2 sqrt(n) of them (Chen et al.,
    "Training Deep Nets with Sublinear Memory Cost", 2016, arXiv:1604.06174).

    Gradients are those of the call without a checkpoint, of every order, and reach whatever the function reads:
    arguments, and the parameters of layers. Where nothing is recorded, the function is just called.

    Parameters
    ----------
    function : callable
        It must do the same when it is called again: draw random numbers from rustorch alone, and read nothing that has
        changed. Whatever else it does, printing or counting, it does twice; but the running statistics of batch and
        instance norm, and the power iteration of spectral norm, go on in the first call alone.
    *args, **kwargs : trees of Variables, and anything else
        For the function.
    preserve_rng_state : bool
        Whether it shall draw the same random numbers again, on every device, and leave no trace of that. A few bytes
        are kept for it; a function that draws nothing can do without.
    use_reentrant : bool
        For programs written for PyTorch; there is no other way here than that of False.

    Returns
    -------
    object
        What the function returned: a Variable, or a tree of them and other values.

    Raises
    ------
    ValueError
        If ``use_reentrant`` is true.
    RuntimeError
        At backward, if the function does not do the same again, or something that it read has been changed.

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


class Ticket:
    """What a node has in place of the values it kept."""

    __slots__ = ("node", "place", "saved", "segment")

    def __init__(self, node: Node, segment: Segment, place: int):
        self.node = weakref.ref(node)  # which owns this ticket
        self.segment = segment
        self.place = place
        self.saved: tuple[Any, ...] | None = None

    def redeem(self) -> tuple[Any, ...]:
        """The values, computed again unless that is done already."""
        if self.saved is None:
            self.saved = self.segment.take(self.place)
        return self.saved


class Redeeming(Plan):
    """A plan for nodes with tickets: the rules of another plan, on what a ticket is given for."""

    __slots__ = ("plan",)

    def __init__(self, plan: Plan):
        self.plan = plan
        # a ticket is handed on as an option is: as it stands
        self.keep, self.pick, self.shapes, self.runs = [plan.primitive.arity], plan.pick, False, plan.runs
        self.primitive, self.joint = plan.primitive, None
        last = len(plan.calls) - 1
        self.calls = [
            (k, self._rule(rule, indices, i == last), 1, 0, 0, (0,))
            for i, (k, rule, _, _, _, indices) in enumerate(plan.calls)
        ]
        if plan.joint is not None:
            self.primitive = copy.copy(plan.primitive)
            self.primitive.joint = self._rule(plan.primitive.joint, plan.joint, True)
            self.joint = (0,)

    def _rule(self, rule: Any, indices: Sequence[int], last: bool) -> Callable[..., Any]:
        plan = self.plan

        def redeeming(xp: Any, g: Any, ticket: Ticket) -> Any:
            saved = ticket.redeem()
            if isinstance(g[0] if type(g) is tuple else g, Value):
                # mode 2: a rule takes Variables that know where they came from
                saved = engine.wrapped(ticket.node(), plan, saved)  # type: ignore[arg-type] # the engine has the node at hand
            found = rule(xp, g, *[saved[i] for i in indices])
            if last:
                ticket.saved = None
            return found

        return redeeming


class Segment:
    """One call of `checkpoint`: how to repeat it, and how to tell that the repetition did the same.

    It knows no node of its own call: those own it, through their tickets.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], preserve: bool):
        self.function = function
        leaves, self.structure = tree_flatten((args, kwargs))
        # a Variable may become another by a write; its array and its place in the graph stay. One that is computed or
        # constant is not kept itself, since a write can make it lead to nodes that own this segment
        self.given = [
            (leaf._native, leaf._node or (leaf if leaf._tracked else None)) if isinstance(leaf, Value) else (leaf, leaf)
            for leaf in leaves
        ]
        self.values = [isinstance(leaf, Value) for leaf in leaves]
        self.device = default_device()
        self.random = rng_snapshot() if preserve else None
        self.nodes: list[tuple[Any, ...]] = []
        self.read: list[tuple[Value, Any]] = []
        self.kept: dict[int, tuple[Any, ...]] = {}
        self.start = self.end = next_seq()

    # -- the first call ------------------------------------------------------------------------------------------------
    def drop(self, result: Any) -> None:
        """Exchange what the nodes of this call kept for tickets."""
        self.end = next_seq()
        nodes = _recorded(result, self.start)
        plans: dict[int, Redeeming] = {}
        self.nodes = _described(nodes, self.start)
        leaves = {id(p): p for node in nodes for p in node.parents if isinstance(p, Value) and p._since < self.start}
        self.read = [(leaf, leaf._native) for leaf in leaves.values()]
        for place, node in enumerate(nodes):
            # an output's number is read by the engine itself; a node without parents was freed
            if not node.saved or not node.parents or node.plan.primitive is SELECT:
                continue
            plan = node.plan
            if type(plan) is not Redeeming:
                plan = plans.get(id(plan)) or plans.setdefault(id(plan), Redeeming(plan))
            node.plan, node.saved = plan, (Ticket(node, self, place),)

    # -- and the second ------------------------------------------------------------------------------------------------
    def take(self, place: int) -> tuple[Any, ...]:
        """What the node at this place kept; each is given away once in a repetition."""
        if place not in self.kept:
            self.kept = self._repeat()
        return _values(self.kept.pop(place))

    def _repeat(self) -> dict[int, tuple[Any, ...]]:
        self._unchanged()
        arguments, options = tree_unflatten([self._argument(i) for i in range(len(self.given))], self.structure)
        before = None if self.random is None else rng_snapshot()
        outer, _repeating.on = _repeating.on, True
        try:
            if self.random is not None:
                rng_restore(self.random)
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
        return self._kept(nodes, again)

    def _kept(self, nodes: list[Node], again: int) -> dict[int, tuple[Any, ...]]:
        """By place, what the nodes of a repetition kept."""
        kept = {}
        for place, node in enumerate(nodes):
            if not node.saved:
                continue
            for value in node.saved if self.end < writes.last else ():
                if writes.since(self.end, value) and not writes.since(again, value):
                    raise _changed(value)
            writes.check(node, node.saved)
            kept[place] = node.saved
        return kept

    def _argument(self, i: int) -> Any:
        native, place = self.given[i]
        if not self.values[i]:
            return native
        return place if isinstance(place, Value) else make(native, place)

    def _unchanged(self) -> None:
        for leaf, native in self.read:
            if leaf._native is not native:
                raise _changed(native)
        if self.start < writes.last:
            for array in [*[given[0] for given in self.given], *[read[1] for read in self.read]]:
                if writes.since(self.start, array):
                    raise _changed(array)

    def _compare(self, nodes: list[Node], again: int) -> None:
        """Raise unless the nodes of a repetition, which began at ``again``, are those of the first call."""
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
    """The nodes after ``start`` that lead to the Variables of a tree, in an order that the graph alone determines."""
    stack: list[Any] = [leaf._node for leaf in reversed(tree_leaves(result)) if isinstance(leaf, Value)]
    found: dict[int, Node] = {}
    while stack:
        node = stack.pop()
        if type(node) is Node and node.seq > start and node.seq not in found:
            found[node.seq] = node
            stack.extend(reversed(node.parents))
    return list(found.values())


def _described(nodes: list[Node], start: int) -> list[tuple[Any, ...]]:
    """What must be the same again, of the nodes of a call that began at ``start``: operation, shape and dtype, what is
    kept, parents.
    """
    places = {node.seq: place for place, node in enumerate(nodes)}

    def parent(of: Any) -> Any:
        if type(of) is Node and of.seq in places:
            return places[of.seq]
        # a leaf that the function made is another one each time
        return "own leaf" if isinstance(of, Value) and of._since > start else ("outside", id(of))

    described = []
    for node in nodes:
        plan: Any = node.plan.plan if type(node.plan) is Redeeming else node.plan
        described.append(
            (plan.primitive.name, tuple(node.shape), node.dtype, plan.keep, [parent(p) for p in node.parents])
        )
    return described


def _values(saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """What is behind the ticket of a checkpoint inside a checkpoint."""
    return saved[0].redeem() if type(saved[0]) is Ticket else saved


def _other(what: str) -> RuntimeError:
    return RuntimeError(
        f"checkpoint: called again for backward, the function did not do the same: {what}. It must draw random numbers "
        f"from rustorch alone "
        f"(with preserve_rng_state=True), and read what does not change; hand a variable of a loop over as an argument"
    )


def _changed(array: Any) -> RuntimeError:
    return RuntimeError(
        f"checkpoint: an array that the function read (shape {tuple(array.shape)}) was changed after the call began, "
        f"so that the function "
        f"cannot be called again for backward; change a clone() instead, or call backward before the change"
    )
