"""Tickets: a node saves one in place of its values, and backward asks it for them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from .primitive import Plan

__all__ = ["Redeemed", "Redeeming", "Ticket"]


class Ticket:
    """A node's only saved value: the promise of the values that were dropped or packed."""

    __slots__ = ("saved",)

    def __init__(self) -> None:
        self.saved: tuple[Any, ...] | None = None

    def redeem(self) -> tuple[Any, ...]:
        """The promised values. They are kept until the node's last rule has run."""
        if self.saved is None:
            self.saved = self.find()
        return self.saved

    def find(self) -> tuple[Any, ...]:
        """Get the promised values; each kind of ticket defines it."""
        raise NotImplementedError


class Redeemed(Ticket):
    """The values of a ticket as Variables with their places in the graph, for rules that run in mode 2.

    Parameters
    ----------
    saved : tuple
    plan : Plan
        The plan that saves these values.

    Attributes
    ----------
    by_index : dict
        Number of a value, among all values of the primitive -> the value.
    """

    __slots__ = ("by_index",)

    def __init__(self, saved: tuple[Any, ...], plan: Plan):
        self.saved = saved
        self.by_index: dict[int, Any] = (
            saved[0].by_index if isinstance(plan, Redeeming) else dict(zip(plan.keep, saved, strict=True))
        )


class Redeeming(Plan):
    """A plan for nodes with tickets: it runs the rules of another plan on the values that a ticket stands for."""

    __slots__ = ("plan",)

    def __init__(self, plan: Plan):
        self.plan = plan
        # the ticket takes the place of an option, which the engine passes on unchanged
        self.keep, self.pick, self.shapes, self.runs = [plan.primitive.arity], plan.pick, False, plan.runs
        self.primitive, self.joint, self.pair = plan.primitive, None, plan.pair
        last = len(plan.calls) - 1
        self.calls = [
            (k, _redeeming(rule, indices, i == last), 1, 0, 0, (0,))
            for i, (k, rule, _, _, _, indices) in enumerate(plan.calls)
        ]
        only = len(plan.calls) == 1  # then one of a pair is the last rule, too
        self.alone = [(k, _redeeming(rule, indices, only), 1, 0, 0, (0,)) for k, rule, *_, indices in plan.alone]
        if plan.joint is not None:
            self.primitive = copy.copy(plan.primitive)
            self.primitive.joint = _redeeming(plan.primitive.joint, plan.joint, True)
            self.joint = (0,)


def _redeeming(rule: Any, indices: Sequence[int], last: bool) -> Callable[..., Any]:
    """The rule, on the values of a ticket. The last rule of a node lets the values go."""

    def redeem_and_run(xp: Any, g: Any, ticket: Ticket) -> Any:
        saved = ticket.redeem()
        result = rule(xp, g, *[saved[i] for i in indices])
        if last:
            ticket.saved = None
        return result

    return redeem_and_run
