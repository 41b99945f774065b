"""Gradients on their way through the graph: brought to each value's shape and dtype, added up, led to targets."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappush
from typing import Any

from ..backends import BY_TYPE, Array, Backend, Namespace, of
from .graph import Node, Value


class Pending:
    """The sum of the gradients that have arrived at each node and leaf so far.

    Attributes
    ----------
    heap : list of int
        The negative numbers of the nodes that have a gradient: the latest call comes first.
    nodes : dict
        Number of a node -> [node, gradient, whether the gradient's memory belongs to nothing else].
    leaves : dict
        id of a leaf -> [leaf, gradient, whether the gradient's memory belongs to nothing else].
    """

    __slots__ = ("create_graph", "heap", "leaves", "nodes", "variables")

    def __init__(self, variables: Namespace | None):
        self.variables = variables  # the namespace of rules in mode 2; None in mode 1
        self.create_graph = variables is not None
        self.heap: list[int] = []
        self.nodes: dict[int, list[Any]] = {}
        self.leaves: dict[int, list[Any]] = {}

    def add(self, to: Any, g: Any, owned: bool, by: Any, argument: int) -> None:
        """Bring a gradient to the shape and dtype of a node or leaf, and add it to the gradient there.

        Parameters
        ----------
        to : Node or leaf Value
        g : native array in mode 1, Variable in mode 2
        owned : bool
            Whether the memory of ``g`` belongs to nothing else, so that it may be written into.
        by : Node or None
            The node whose rule computed the gradient; None for a gradient that backward starts from.
        argument : int
            The number of the input that the rule belongs to.
        """
        if type(to) is Node:
            like: Any = to
            table, key = self.nodes, to.seq
            if type(to.dtype) is tuple:
                self._add_to_many(to, g, by)
                return
        else:
            like = to._native
            table, key = self.leaves, id(to)
        if g.shape != like.shape:
            g, owned = _unbroadcast(self.xp(g), g, like.shape, by, argument), True
        native = g._native if self.create_graph else g
        if native.dtype is not like.dtype and native.dtype != like.dtype:
            g, owned = self.cast(g, native, like.dtype), True
        entry = table.get(key)
        if entry is None:
            table[key] = [to, g, owned]
            if like is to:
                heappush(self.heap, -key)
        elif self.create_graph:
            entry[1] = entry[1] + g
        else:
            _accumulate(entry, g, owned)

    def several_devices(self, g: Any) -> bool:
        """Whether a gradient may be on another device than the current one: then it needs `add_on_device`."""
        return not self.create_graph and backend_of(g[0] if type(g) is tuple else g).multi_device

    def add_on_device(self, to: Any, g: Any, owned: bool, by: Any, argument: int) -> None:
        """`add`, with the gradient's device as the current one."""
        with backend_of(g).guard(g):
            self.add(to, g, owned, by, argument)

    def _add_to_many(self, node: Node, g: Any, by: Node) -> None:
        entry = self.nodes.get(node.seq)
        if entry is None:
            entry = self.nodes[node.seq] = [node, [None] * len(node.shape), False]
            heappush(self.heap, -node.seq)
        index = by.saved[0]  # type: ignore[index]
        entry[1][index] = g if entry[1][index] is None else entry[1][index] + g

    def xp(self, g: Any) -> Namespace:
        """The namespace that computes with a gradient."""
        return backend_of(g).xp if self.variables is None else self.variables

    def cast(self, g: Any, native: Array, dtype: Any) -> Any:
        """The gradient in another dtype. A real value takes the real part of a complex gradient."""
        xp, backend = self.xp(g), backend_of(native)
        if backend.dtype_of(native).kind == "c" and backend.public_dtype(dtype).kind != "c":
            g = xp.real(g)
        return xp.astype(g, backend.public_dtype(dtype) if self.create_graph else dtype)


def _accumulate(entry: list[Any], g: Array, owned: bool) -> None:
    """Add ``g`` to the gradient of an entry, in place if the memory of one of the two belongs to nothing else."""
    total = entry[1]
    backend = backend_of(total)
    if backend.mutable and total.ndim:
        if entry[2] and backend.owns(total):
            total += g
            return
        if owned and backend.owns(g):
            g += total
            entry[1], entry[2] = g, True
            return
    entry[1], entry[2] = total + g, True


def put(pending: Pending, node: Node, g: Array, owned: bool) -> None:
    """Add a gradient of the node's shape and dtype to the one that is pending there."""
    entry = pending.nodes.get(node.seq)
    if entry is None:
        pending.nodes[node.seq] = [node, g, owned]
        heappush(pending.heap, -node.seq)
    else:
        _accumulate(entry, g, owned)


def put_at_leaf(leaves: dict[int, list[Any]], leaf: Value, g: Array, owned: bool, xp: Any) -> bool:
    """Add a gradient to the one of a leaf, if it has the leaf's dtype, and its shape or additional dimensions before
    it, as that of a bias. Returns whether it did: `Pending.add` is for all others, and takes three times as long.
    """
    native = leaf._native
    if g.dtype is not native.dtype:
        return False
    if g.shape == native.shape:
        entry = leaves.get(id(leaf))
        if entry is None:
            leaves[id(leaf)] = [leaf, g, owned]
        else:
            _accumulate(entry, g, owned)
        return True
    lead = g.ndim - native.ndim
    if lead <= 0 or g.shape[lead:] != native.shape or id(leaf) in leaves:
        return False
    leaves[id(leaf)] = [leaf, xp.sum(g, axis=tuple(range(lead))), True]
    return True


def put_second(pending: Pending, node: Node, k: int, pair: tuple[Array, Array], arrived: Array, xp: Any) -> Array:
    """Add the second gradient of a pair to the one of input ``k``, and return the first."""
    to, (first, g) = node.parents[k], pair
    owned = g is not arrived
    if type(to) is Node or not put_at_leaf(pending.leaves, to, g, owned, xp):
        pending.add(to, g, owned, node, k)
    return first


def _unbroadcast(xp: Any, g: Any, shape: tuple[int, ...], by: Any, argument: int) -> Any:
    """Sum over the dimensions that broadcasting added or stretched."""
    lead = g.ndim - len(shape)
    if lead > 0 and g.shape[lead:] == shape:
        return xp.sum(g, axis=tuple(range(lead)))
    if lead >= 0:
        stretched = [i for i, size in enumerate(shape, lead) if size == 1 and g.shape[i] != 1]
        out = (
            xp.sum(g, axis=tuple(range(lead)) + tuple(stretched), keepdims=bool(stretched)) if lead or stretched else g
        )
        if lead and stretched:
            out = xp.reshape(out, out.shape[lead:])
        if tuple(out.shape) == tuple(shape):
            return out
    raise RuntimeError(
        f"{name_of(by)}: the rule of input {_input(by, argument)!r} returned a gradient of shape {tuple(g.shape)} for "
        f"an input of shape {tuple(shape)}"
    )


def leading_to(roots: Sequence[tuple[Value, Any]], targets: Sequence[Value]) -> dict[int, bool]:
    """The nodes and leaves on the ways from the roots to the targets.

    Returns
    -------
    dict
        id of the node or leaf -> whether it leads further, to another target.
    """
    nodes: dict[int, Node] = {}
    stack: list[Any] = [value._node or value for value, _ in roots]
    while stack:
        node = stack.pop()
        if type(node) is Node and node.seq not in nodes:
            nodes[node.seq] = node
            stack.extend([parent for parent in node.parents if parent is not None])
    needed = {id(target._node or target): False for target in targets}
    for node in nodes.values():
        if node.saved is None and id(node) not in needed:  # a freed node has lost its parents
            raise freed(node)
    for seq in sorted(nodes):
        node = nodes[seq]
        if any(parent is not None and id(parent) in needed for parent in node.parents):
            needed[id(node)] = True
    return needed


def backend_of(array: Array) -> Backend:
    """The backend of a native array."""
    return BY_TYPE.get(type(array)) or of(array)  # type: ignore[return-value] # an array always has one


def freed(node: Node) -> RuntimeError:
    """The error for a node that an earlier backward has freed."""
    return RuntimeError(
        f"the graph behind {node.primitive.name} was freed by an earlier backward; to go through it again, call the "
        f"earlier one with retain_graph=True"
    )


def name_of(node: Any) -> str:
    """The name of a node's primitive, for errors."""
    return node.primitive.name if type(node) is Node else "backward"


def _input(node: Any, argument: int) -> str:
    if type(node) is not Node:
        return "gradient"
    inputs = node.primitive.inputs
    return inputs[argument] if argument < len(inputs) else str(argument)
