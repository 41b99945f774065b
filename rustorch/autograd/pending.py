"""Gradients that have arrived: brought to the form of what they belong to, and added up."""

from __future__ import annotations

from heapq import heappush
from typing import Any

from ..backends import BY_TYPE, Array, Backend, Namespace, of
from .graph import Node


class Pending:
    """Gradients that have arrived, by node or leaf, until everything that contributes has run."""

    __slots__ = ("create_graph", "heap", "leaves", "nodes", "variables")

    def __init__(self, variables: Namespace | None):
        self.variables = variables  # what rules compute with in mode 2; None in mode 1
        self.create_graph = variables is not None
        self.heap: list[int] = []
        self.nodes: dict[int, list] = {}  # seq -> [node, gradient, whether the buffer is ours]
        self.leaves: dict[int, list] = {}  # id -> [leaf, gradient, whether the buffer is ours]

    def add(self, to: Any, g: Any, owned: bool, by: Any, argument: int) -> None:
        """Bring a gradient to the shape and dtype of what it belongs to, and add it to what is there."""
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
        """Whether gradients may lie on another device than the current one, and have to be added with
        `add_on_device`.
        """
        return not self.create_graph and backend_of(g[0] if type(g) is tuple else g).multi_device

    def add_on_device(self, to: Any, g: Any, owned: bool, by: Any, argument: int) -> None:
        """`add` on the gradient's own device."""
        with backend_of(g).guard(g):
            self.add(to, g, owned, by, argument)

    def _add_to_many(self, node: Node, g: Any, by: Node) -> None:
        entry = self.nodes.get(node.seq)
        if entry is None:
            entry = self.nodes[node.seq] = [node, [None] * len(node.shape), False]
            heappush(self.heap, -node.seq)
        index = by.saved[0]  # type: ignore[index]
        entry[1][index] = g if entry[1][index] is None else entry[1][index] + g

    def xp(self, g: Any) -> Any:
        return self.variables if self.create_graph else backend_of(g).xp

    def cast(self, g: Any, native: Array, dtype: Any) -> Any:
        """The gradient of a real value is the real part; then the value's own precision."""
        xp, backend = self.xp(g), backend_of(native)
        if backend.dtype_of(native).kind == "c" and backend.public_dtype(dtype).kind != "c":
            g = xp.real(g)
        return xp.astype(g, backend.public_dtype(dtype) if self.create_graph else dtype)


def _accumulate(entry: list, g: Array, owned: bool) -> None:
    """``entry``'s gradient plus ``g``, written into whichever of the two buffers is ours."""
    there = entry[1]
    backend = backend_of(there)
    if backend.mutable and there.shape:
        if entry[2] and backend.owns(there):
            there += g
            return
        if owned and backend.owns(g):
            g += there
            entry[1], entry[2] = g, True
            return
    entry[1], entry[2] = there + g, True


def _unbroadcast(xp: Any, g: Any, shape: tuple[int, ...], by: Any, argument: int) -> Any:
    """Sum over the axes that broadcasting added or stretched."""
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
        f"an input "
        f"of shape {tuple(shape)}"
    )


def backend_of(array: Array) -> Backend:
    """The backend of something that is an array for certain."""
    return BY_TYPE.get(type(array)) or of(array)  # type: ignore[return-value]


def name_of(node: Any) -> str:
    return node.primitive.name if type(node) is Node else "backward"


def _input(node: Any, argument: int) -> str:
    if type(node) is not Node:
        return "gradient"
    inputs = node.primitive.inputs
    return inputs[argument] if argument < len(inputs) else str(argument)
