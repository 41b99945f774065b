"""Hooks of leaves whose gradient is complete: backward calls them while it goes on with the calls before.

Backward runs the latest call first. So the gradient of a leaf is complete after the earliest call that uses the leaf.
Before backward starts, `schedule` looks these calls up, and puts a node of its own behind each. What has no such hooks
costs one comparison for each backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappush
from typing import Any

from .graph import Node, Value, next_seq
from .modes import mode
from .pending import Pending, freed

__all__ = ["LeafHooks", "RemovableLeafHook", "Watcher", "registered", "schedule", "watch"]


class _Registered:
    """How many of these hooks exist, in all threads."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


registered = _Registered()


class LeafHooks(dict[int, Any]):
    """The hooks of one leaf by number. They are counted until they are removed, or the leaf is gone."""

    __slots__ = ()

    def add(self, hook: Any) -> RemovableLeafHook:
        """Add a hook; returns the handle that removes it."""
        key = next_seq()
        self[key] = hook
        registered.count += 1
        return RemovableLeafHook(self, key)

    def discard(self, key: int) -> None:
        """Remove a hook. A second time does nothing."""
        if self.pop(key, None) is not None:
            registered.count -= 1

    def __del__(self) -> None:
        registered.count -= len(self)


class RemovableLeafHook:
    """A handle of a hook: it takes the hook away."""

    def __init__(self, hooks: LeafHooks, key: int):
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.discard(self._key)

    def __enter__(self) -> RemovableLeafHook:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class Watcher:
    """A hook of several leaves that is also told when a backward begins and ends.

    Its methods run in the grad mode in which backward was called.
    """

    def begin(self, leaves: Sequence[Value]) -> None:
        """Called before the first rule runs, with the watched leaves that the backward reaches. It may raise."""

    def ready(self, leaf: Value) -> None:
        """Called when ``leaf.grad`` is complete. It isn't called for a leaf at which no gradient arrives."""

    def end(self) -> None:
        """Called when all rules have run, and the gradients of all hooked leaves are stored."""

    def refuse(self, leaf: Value) -> None:
        """Called when `grad` is asked for the gradient of a watched leaf. It may raise."""


def watch(leaf: Value, hook: Any) -> RemovableLeafHook:
    """Call ``hook(leaf)``, or the methods of a `Watcher`, when the gradient of a leaf is complete.

    Raises
    ------
    RuntimeError
        If ``leaf`` does not require grad, or is not a leaf.
    """
    if leaf._node is not None:
        raise RuntimeError(
            "register_post_accumulate_grad_hook() is for leaves: the gradient of a computed Variable is not "
            "accumulated; see register_hook()"
        )
    if not leaf._tracked:
        raise RuntimeError("register_post_accumulate_grad_hook() on a Variable that does not require grad")
    if leaf._post_hooks is None:
        leaf._post_hooks = LeafHooks()
    return leaf._post_hooks.add(hook)


def refuse(targets: Sequence[Value]) -> None:
    """Ask the watchers of these leaves whether `grad` may compute their gradients."""
    for target in targets:
        for hook in list(target._post_hooks.values()) if target._post_hooks else ():
            if isinstance(hook, Watcher):
                hook.refuse(target)


def schedule(roots: Sequence[Value], seed: Any, pending: Pending, finish: Callable[[list[Any]], None]) -> None:
    """Arrange that the hooks run during the backward that starts now.

    Parameters
    ----------
    roots : sequence of Value
        Where backward starts.
    seed : native array
        Any gradient of this backward.
    pending : Pending
    finish : callable
        Runs the other hooks of a leaf on an entry of ``pending.leaves``, and stores the gradient.
    """
    first = _first_uses(roots)
    if not first:
        return
    groups: dict[float, list[Value]] = {}
    watched: dict[int, tuple[Watcher, list[Value]]] = {}
    for seq, leaf in sorted(first.values(), key=lambda use: -use[0]):
        groups.setdefault(seq - 0.5, []).append(leaf)
        for hook in leaf._post_hooks.values():  # type: ignore[union-attr] # it has some
            if isinstance(hook, Watcher):
                watched.setdefault(id(hook), (hook, []))[1].append(leaf)
    watchers = [watcher for watcher, _ in watched.values()]
    for watcher, leaves in watched.values():
        watcher.begin(leaves)
    _Firing(list(groups.items()), watchers, seed, pending, finish).push()


def _first_uses(roots: Sequence[Value]) -> dict[int, tuple[int, Value]]:
    """The hooked leaves that these values depend on: id -> (number of the earliest call that uses it, the leaf)."""
    first: dict[int, tuple[int, Value]] = {}
    seen: set[int] = set()
    stack: list[Node] = []
    for root in roots:
        if root._node is not None:
            stack.append(root._node)
        elif root._post_hooks:
            first[id(root)] = (1, root)
    while stack:
        node = stack.pop()
        seq = node.seq
        if seq in seen:
            continue
        seen.add(seq)
        if node.saved is None:
            raise freed(node)
        for parent in node.parents:
            if type(parent) is Node:
                stack.append(parent)
            elif parent is not None and parent._post_hooks and first.get(id(parent), (seq + 1,))[0] > seq:
                first[id(parent)] = (seq, parent)
    return first


class _Turn:
    """The plan of one node of `_Firing`."""

    __slots__ = ("primitive",)
    joint = ()
    calls = ()

    def __init__(self, primitive: _Firing):
        self.primitive = primitive


class _Firing:
    """The nodes behind which gradients are complete, as a primitive: its rule finishes the leaves whose turn it is."""

    name = "leaf hooks"
    joint_needs = ()
    builtin = fresh = True

    def __init__(
        self,
        groups: list[tuple[float, list[Value]]],
        watchers: list[Watcher],
        seed: Any,
        pending: Pending,
        finish: Callable[[list[Any]], None],
    ):
        self.groups = groups
        self.watchers = watchers
        self.seed = seed
        self.pending = pending
        self.finish = finish
        self.next = 0

    def push(self) -> None:
        """Put a node behind the next group of leaves, or behind all calls."""
        node: Any = Node(_Turn(self), (), (), self.seed)  # type: ignore[arg-type] # it has what the engine reads
        node.seq = self.groups[self.next][0] if self.next < len(self.groups) else 0.25
        self.pending.nodes[node.seq] = [node, self.seed, False]
        heappush(self.pending.heap, -node.seq)

    def joint(self, xp: Any, g: Any) -> tuple[()]:
        """Finish the leaves whose turn it is. There are no inputs, so it returns no gradients."""
        if self.next == len(self.groups):
            for watcher in self.watchers:
                watcher.end()
            return ()
        leaves = self.pending.leaves
        for leaf in self.groups[self.next][1]:
            entry = leaves.pop(id(leaf), None)
            if entry is None:
                continue
            self.finish(entry)
            for hook in tuple(leaf._post_hooks.values()) if leaf._post_hooks else ():
                if isinstance(hook, Watcher):
                    hook.ready(leaf)
                else:
                    _call(hook, leaf)
        self.next += 1
        if self.next < len(self.groups) or self.watchers:
            self.push()
        return ()


def _call(hook: Callable[[Value], Any], leaf: Value) -> None:
    """Call a user's hook, in which nothing is recorded."""
    before, mode.enabled = mode.enabled, False
    try:
        result = hook(leaf)
    finally:
        mode.enabled = before
    if result is not None:
        raise TypeError(
            f"a hook of register_post_accumulate_grad_hook returns None, not {type(result).__name__}; to change the "
            f"gradient, assign to {type(leaf).__name__}.grad"
        )
