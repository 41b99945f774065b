"""A call of a unit of fully_shard: it gathers the parameters for forward and again for backward, and frees them.

While forward runs, each parameter is the output of a node: the node COLLECT, behind which all parameters of the call
have the node AVERAGE, whose rule runs when backward is through with the unit. After forward, the nodes of the call give
up the gathered arrays that they saved, and get tickets instead. The first ticket that backward redeems gathers again.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from ... import distributed as dist
from ...autograd.checkpoint import surroundings
from ...autograd.graph import Node, Value, next_seq
from ...autograd.primitive import Primitive
from ...autograd.tickets import Redeeming, Ticket
from ...autograd.writes import writes
from ...backends import Array, of
from ...pytree import tree_leaves
from .fully_shard_flat import Gradients

if TYPE_CHECKING:
    from .fully_shard_unit import Unit

__all__ = ["Call", "Gathered", "state"]


class _State(threading.local):
    """The calls of this thread: those that run, and the latest one of the outermost call."""

    def __init__(self) -> None:
        self.running: list[Call] = []
        self.last: Call | None = None
        self.ahead: list[Unit] = []  # units whose parameters are gathered ahead of use


state = _State()


class Gathered:
    """The flat arrays of a unit, on their way or complete."""

    def __init__(self, unit: Unit):
        self._fulls: list[Array] = []
        self._works: list[dist.Work] = []
        for flat in unit.flats:
            full, work = flat.gather()
            self._fulls.append(full)
            if work is not None:
                self._works.append(work)

    def wait(self) -> list[Array]:
        """The complete arrays."""
        while self._works:
            self._works.pop().wait()
        return self._fulls

    def __del__(self) -> None:
        if self._works and dist.is_initialized():  # nobody used the arrays, but the exchange still writes into them
            self.wait()


# -- the nodes of a call -----------------------------------------------------------------------------------------------
def _collect(xp: Any, g: Any, index: int, call: Call) -> Any:
    """Copy the gradient of a whole parameter to those of the call; an empty array takes its place."""
    if isinstance(g, Value):
        raise RuntimeError(
            "fully_shard: gradients of gradients would need the parameters of all ranks again; compute them (with "
            "create_graph=True) on a module without fully_shard"
        )
    return call.collect(index, g)


def _average(xp: Any, g: Any, call: Call) -> list[Any]:
    return call.average()


_COLLECT = Primitive("all_gather", lambda xp, x, /, index, call: x, register=False, x=_collect)
_AVERAGE = Primitive(
    "reduce_scatter", lambda xp, call: None, joint=_average, multiple=True, register=False, signature=((), ("call",))
)
_COLLECT.keeps_saved = _AVERAGE.keeps_saved = True
_AVERAGE.builtin = True  # its gradients are new arrays


class Call:
    """One call of a unit's module.

    Attributes
    ----------
    unit : Unit
    previous : Call or None
        The call before, in the same outermost call: backward needs its parameters next.
    fulls : list of array or None
        The flat arrays, while they are gathered.
    """

    def __init__(self, unit: Unit, previous: Call | None, gathered: Gathered):
        self.unit = unit
        self.previous = previous
        self.fulls: list[Array] | None = gathered.wait()
        self.locals = [flat.local for flat in unit.flats]
        self.views = self._views()
        self._arriving: Gathered | None = None
        self._gradients: dict[int, Gradients] = {}
        self._tickets = 0
        self._left = 0
        self.repeated = False  # whether checkpoints inside of it are repeated in backward, and read the parameters
        self.seq = next_seq()
        self._made: list[list[Node | None]] | None = self._make_nodes()
        # the nodes know the call: a reference from here would close a cycle
        self._nodes = [[None if node is None else weakref.ref(node) for node in nodes] for nodes in self._made]

    def _views(self) -> list[list[Array]]:
        assert self.fulls is not None
        return [flat.views(full) for flat, full in zip(self.unit.flats, self.fulls, strict=True)]

    def _make_nodes(self) -> list[list[Node | None]]:
        """A node of COLLECT for each parameter that requires grad."""
        pairs = [(f, i, p) for f, flat in enumerate(self.unit.flats) for i, p in enumerate(flat.params)]
        self.tracked = [(f, i) for f, i, p in pairs if p._tracked]
        nodes: list[list[Node | None]] = [[None] * len(flat.params) for flat in self.unit.flats]
        if self.tracked:
            like = self.views[self.tracked[0][0]][self.tracked[0][1]]
            parents = tuple([p for _, _, p in pairs if p._tracked])
            behind = Node(_AVERAGE.plan(0), parents, (self,), like)
            behind.shape = tuple([(0,)] * len(parents))  # what COLLECT passes on is empty
            behind.dtype = tuple([self.views[f][i].dtype for f, i in self.tracked])
            for number, (f, i) in enumerate(self.tracked):
                nodes[f][i] = Node(_COLLECT.plan(1), (behind,), (number, self), self.views[f][i])
        return nodes

    # -- forward -------------------------------------------------------------------------------------------------------
    def show(self) -> None:
        """Give each parameter its whole array, computed by its node."""
        for flat, views, nodes in zip(self.unit.flats, self.views, self._nodes, strict=True):
            for p, view, node in zip(flat.params, views, nodes, strict=True):
                p._native, p._node, p._sharding = view, None if node is None else node(), None

    def hide(self) -> None:
        """Give each parameter its piece again."""
        self._made = None
        for flat in self.unit.flats:
            flat.hide()

    def check_unchanged(self) -> None:
        """Raise RuntimeError if forward wrote into a whole parameter: the values would be lost."""
        for flat, full in zip(self.unit.flats, self.fulls or (), strict=True):
            if self.seq < writes.last and writes.since(self.seq, full):
                raise RuntimeError(
                    f"fully_shard: forward of {self.unit.name} wrote into one of its parameters "
                    f"({', '.join(flat.names)}), and whole parameters are freed after forward. Change them outside of "
                    f"forward, inside of summon_full_params(). An Embedding with max_norm cannot be spread"
                )

    def release_after_forward(self, output: Any) -> None:
        """Let go of the gathered arrays: what the calls of forward saved of them becomes tickets."""
        assert self.fulls is not None
        known = {id(_owner(full)): f for f, full in enumerate(self.fulls)}
        identities = {id(view): (f, i) for f, views in enumerate(self.views) for i, view in enumerate(views)}
        plans: dict[int, Redeeming] = {}
        for node in _recorded(output, self.seq):
            if not node.saved or node.plan.primitive.keeps_saved or isinstance(node.saved[0], Ticket):
                continue
            values = tuple([self._packed(value, known, identities) for value in node.saved])
            if all(one is two for one, two in zip(values, node.saved, strict=True)):
                continue
            plan = plans.get(id(node.plan)) or plans.setdefault(id(node.plan), Redeeming(node.plan))
            node.plan, node.saved = plan, (_Ticket(self, node.plan.primitive.name, values),)
            self._tickets += 1
        self._left = self._tickets
        self.free()

    def _packed(self, value: Any, known: dict[int, int], identities: dict[int, tuple[int, int]]) -> Any:
        """A function that finds the array again in the gathered arrays; the value itself if it is no part of them."""
        if type(value) is tuple:
            parts = tuple([self._packed(part, known, identities) for part in value])
            return value if all(one is two for one, two in zip(parts, value, strict=True)) else parts
        place = identities.get(id(value))
        if place is not None:
            f, i = place
            return _Part(lambda call: call.views[f][i])
        if not hasattr(value, "shape") or of(value) is None:
            return value
        found = known.get(id(_owner(value)))
        make = None if found is None or self.fulls is None else same_view(value, self.fulls[found])
        if found is None or make is None:
            return value
        assert self.fulls is not None
        number, again = found, make
        return _Part(lambda call: again(call.fulls[number]))

    def free(self) -> None:
        """Let go of the gathered arrays."""
        self.fulls, self.views, self._arriving = None, [], None

    # -- backward ------------------------------------------------------------------------------------------------------
    def ahead(self) -> None:
        """Start to gather, if backward will need the arrays."""
        if self.fulls is None and self._arriving is None and self._left:
            self._arriving = Gathered(self.unit)

    def materialize(self, name: str) -> None:
        """Gather the parameters again, if they are not here, and start with those that backward needs next."""
        self._check_pieces(name)
        if self.fulls is None:
            gathered, self._arriving = self._arriving or Gathered(self.unit), None
            self.fulls = gathered.wait()
            self.views = self._views()
            if self.previous is not None:
                self.previous.ahead()

    def _check_pieces(self, name: str) -> None:
        for flat, local in zip(self.unit.flats, self.locals, strict=True):
            if flat.current() is not local or (self.seq < writes.last and writes.since(self.seq, local)):
                raise RuntimeError(
                    f"{name}: the parameters of {self.unit.name}, which its gradient needs, were changed after "
                    f"forward; call backward before optimizer.step()"
                )

    def redeemed(self) -> None:
        """Count a ticket. After the last one, backward needs the arrays no more."""
        if self._left == 0:  # backward comes again, after one with retain_graph
            self._left = self._tickets
        self._left -= 1
        if self._left == 0 and not self.repeated:
            self.free()

    def collect(self, number: int, g: Array) -> Array:
        """Keep the gradient of a whole parameter. Returns an empty array."""
        f, i = self.tracked[number]
        flat = self.unit.flats[f]
        gradients = self._gradients.get(f)
        if gradients is None:
            gradients = self._gradients[f] = Gradients(flat, g)
        gradients.add(i, g)
        return flat.local[:0]

    def average(self) -> list[Any]:
        """The mean gradients of this rank's pieces, for the parameters that require grad."""
        unit = self.unit
        self.free()
        gradients, self._gradients = self._gradients, {}
        found: dict[tuple[int, int], Any] = {}
        for f, flat in enumerate(unit.flats):
            if not any(part == f for part, _ in self.tracked):
                continue
            total = gradients.pop(f, None) or Gradients(flat, flat.local)
            kept = unit.kept.pop(f, None)
            if kept is not None:
                total.merge(kept)
            if not unit.sync:
                unit.kept[f] = total
                continue
            for i, g in enumerate(total.average()):
                found[f, i] = g
        return [found.get(place) for place in self.tracked]


class _Part:
    """A saved array that is a part of the gathered arrays."""

    __slots__ = ("find",)

    def __init__(self, find: Callable[[Any], Array]):
        self.find = find


class _Ticket(Ticket):
    """A ticket for saved values of which some are parts of the gathered arrays."""

    __slots__ = ("call", "name", "values")

    def __init__(self, call: Call, name: str, values: tuple[Any, ...]):
        super().__init__()
        self.call = call
        self.name = name
        self.values = values

    def find(self) -> tuple[Any, ...]:
        self.call.materialize(self.name)
        found = tuple([self._found(value) for value in self.values])
        self.call.redeemed()
        return found

    def _found(self, value: Any) -> Any:
        if type(value) is _Part:
            return value.find(self.call)
        return tuple([self._found(part) for part in value]) if type(value) is tuple else value


def _owner(array: Array) -> Any:
    backend: Any = of(array)
    return backend.owner(array)


def same_view(array: Array, flat: Array) -> Callable[[Array], Array] | None:
    """A function that returns the same view of another flat array. None for a view that leaves out elements between."""
    backend: Any = of(array)
    xp, shape, ndim = backend.xp, tuple(array.shape), array.ndim
    offset, strides = backend.offset(array, flat), backend.strides(array)
    if offset is None or len(strides) != ndim or array.dtype != flat.dtype:
        return None
    order = sorted(range(ndim), key=lambda axis: -strides[axis])
    expected = flat.itemsize
    for axis in reversed(order):
        if shape[axis] != 1 and strides[axis] != expected:
            return None
        expected *= shape[axis]
    stored = tuple([shape[axis] for axis in order])
    size = expected // flat.itemsize
    back = tuple([order.index(axis) for axis in range(ndim)])

    def view(other: Array) -> Array:
        out = xp.reshape(other[offset : offset + size], stored)
        return xp.permute_dims(out, back) if back != tuple(range(ndim)) else out

    return view


def _recorded(output: Any, start: int) -> list[Node]:
    """The nodes after call ``start`` that the Variables of a tree depend on."""
    stack: list[Any] = [leaf._node for leaf in tree_leaves(output) if isinstance(leaf, Value)]
    nodes: dict[int, Node] = {}
    while stack:
        node = stack.pop()
        if type(node) is Node and node.seq > start and node.seq not in nodes:
            nodes[node.seq] = node
            stack.extend(node.parents)
    return list(nodes.values())


# -- checkpoints inside of a unit --------------------------------------------------------------------------------------
def _capture() -> Callable[[], AbstractContextManager[None]]:
    """When a checkpoint begins: the calls that run now, whose parameters its repetition reads."""
    calls = tuple(state.running)
    for call in calls:
        call.repeated = True
    return lambda: _shown(calls)


@contextmanager
def _shown(calls: tuple[Call, ...]) -> Iterator[None]:
    """The parameters of these calls, gathered and with the nodes that they had in forward."""
    shown: list[Call] = []
    try:
        for call in calls:
            if call not in state.running:
                call.materialize("checkpoint")
                call.show()
                shown.append(call)
                state.running.append(call)
        yield
    finally:
        for call in shown:
            state.running.remove(call)
            call.hide()


surroundings.append(_capture)
