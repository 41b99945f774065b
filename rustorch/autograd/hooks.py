"""Hooks: functions that backward calls with a gradient, which they may replace."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from . import engine
from .graph import Value, hooked, next_seq


class Removable:
    """A handle of a hook that `Variable.register_hook` returns: it takes the hook away."""

    def __init__(self, hooks: dict[int, Callable[..., Any]], key: int):
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Removable:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register(value: Value, hook: Callable[..., Any]) -> Removable:
    """Call ``hook`` with the gradient of a leaf or of a computed value."""
    if not value._tracked:
        raise RuntimeError("register_hook() on a Variable that does not require grad")
    owner: Any = value if value._node is None else value._node
    name = "_hooks" if value._node is None else "hooks"
    hooks = getattr(owner, name)
    hooked.leaves = hooked.leaves or owner is value
    if hooks is None:
        hooks = {}
        setattr(owner, name, hooks)
    key = next_seq()
    hooks[key] = hook
    return Removable(hooks, key)


def retain(value: Value) -> None:
    """Let backward store the gradient of a computed value in its ``grad``."""
    if not value._tracked:
        raise RuntimeError("retain_grad() on a Variable that does not require grad")
    if value._node is None:
        return
    reference = weakref.ref(value)  # the node must not keep its value alive

    def keep(g: Any) -> None:
        alive = reference()
        if alive is not None:
            engine.store(alive, g._native, False)

    if value._node.hooks is None:
        value._node.hooks = {}
    value._node.hooks[0] = keep
