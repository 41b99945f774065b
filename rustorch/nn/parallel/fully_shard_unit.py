"""A unit of fully_shard: the parameters that are gathered and freed together."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ... import distributed as dist
from ...autograd.checkpoint import is_repeating
from ...autograd.modes import mode
from ...backends import BY_TYPE, Array
from ..parameter import Parameter
from .fully_shard_call import Call, Gathered, state
from .fully_shard_flat import Flat, Gradients

__all__ = ["Unit"]


class Unit:
    """The parameters of a module that no inner unit has.

    Attributes
    ----------
    name : str
        The module's class, for errors.
    flats : list of Flat
        The parameters by dtype, device, and whether they require grad.
    reshard : bool or None
        Whether the whole parameters are freed after forward. None: unless this is the outermost call.
    sync : bool
        Whether backward averages the gradients.
    kept : dict
        Number of a flat array -> gradients of backwards with ``sync`` off.
    """

    def __init__(
        self, name: str, parameters: list[tuple[str, Parameter]], group: dist.ProcessGroup, reshard: bool | None
    ):
        self.name = name
        self.group = group
        self.reshard = reshard
        self.sync = True
        self.kept: dict[int, Gradients] = {}
        together: dict[Any, list[tuple[str, Parameter]]] = {}
        for named in parameters:
            p = named[1]
            together.setdefault((p.dtype, p.device, p.requires_grad), []).append(named)
        self.flats = [Flat(named, group) for named in together.values()]
        self._next: weakref.ref[Unit] | None = None  # the unit after this one in the latest forward...
        self._before: weakref.ref[Unit] | None = None  # ... and the one before
        self._repeats = False  # whether a checkpoint in backward calls this unit
        self._ahead: Gathered | None = None
        self._summoned: list[Array] | None = None  # the whole parameters, while they are shown outside of forward
        self._gradients: list[list[Any]] = []
        for flat in self.flats:
            flat.hide()

    # -- a call --------------------------------------------------------------------------------------------------------
    def run(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the module's forward with whole parameters."""
        if not self.flats or any(call.unit is self for call in state.running):
            return forward(*args, **kwargs)
        if self._summoned is not None:
            if mode.enabled and any(p.requires_grad for flat in self.flats for p in flat.params):
                raise RuntimeError(
                    f"fully_shard: {self.name} was called inside of summon_full_params(), where gradients are not "
                    f"spread over the ranks; call it outside, or under no_grad()"
                )
            return forward(*args, **kwargs)
        outermost, repeating = not state.running, is_repeating()
        if outermost and not repeating:
            self._clear()
        call = self._begin(repeating)
        try:
            state.running.append(call)
            call.show()
            output = forward(*args, **kwargs)
        finally:
            state.running.remove(call)
            call.hide()
            if outermost and not repeating:
                self._clear()
        call.check_unchanged()
        if not repeating and (self.reshard if self.reshard is not None else not outermost):
            call.release_after_forward(output)
        return output

    def _begin(self, repeating: bool) -> Call:
        """Gather the parameters, and start with those of the next unit."""
        gathered, self._ahead = self._ahead or Gathered(self), None
        if repeating:  # this call comes from a checkpoint in backward, where the unit before is next
            call = Call(self, None, gathered)
            self._repeats = True
            before = None if self._before is None else self._before()
            if before is not None and before._repeats:
                before._gather_ahead()
            return call
        call = Call(self, state.last, gathered)
        if state.last is not None:
            state.last.unit._next, self._before = weakref.ref(self), weakref.ref(state.last.unit)
        state.last = call
        following = None if self._next is None else self._next()
        if following is not None:
            following._gather_ahead()
        return call

    def _gather_ahead(self) -> None:
        """Start to gather the parameters, because this unit is used next."""
        if self._ahead is None and self._summoned is None and not any(call.unit is self for call in state.running):
            self._ahead = Gathered(self)
            state.ahead.append(self)

    def _clear(self) -> None:
        """At both ends of the outermost call: let go of what was gathered ahead and not used."""
        state.last = None
        for unit in state.ahead:
            if unit._ahead is not None:
                unit._ahead.wait()
                unit._ahead = None
        state.ahead.clear()

    # -- whole parameters outside of forward ---------------------------------------------------------------------------
    def summon(self) -> None:
        """Show the whole parameters, without gradients."""
        if state.running:
            raise RuntimeError(
                f"fully_shard: the whole parameters of {self.name} cannot be summoned while forward runs, which has "
                f"whole parameters already"
            )
        if self._summoned is not None:
            raise RuntimeError(f"fully_shard: the whole parameters of {self.name} are summoned already")
        self._summoned = Gathered(self).wait()
        if self.group.size == 1:  # these are the pieces themselves, and a change may have to be undone
            self._summoned = [BY_TYPE[type(full)].xp.asarray(full, copy=True) for full in self._summoned]
        for flat, full in zip(self.flats, self._summoned, strict=True):
            self._gradients.append([p._grad for p in flat.params])
            for p, view in zip(flat.params, flat.views(full), strict=True):
                p._native, p._grad, p._sharding = view, None, None

    def dismiss(self, writeback: bool) -> None:
        """Show the pieces again; with ``writeback``, with the values that the whole parameters have now."""
        fulls, self._summoned = self._summoned or [], None
        gradients, self._gradients = self._gradients, []
        natives = [[p._native for p in flat.params] for flat in self.flats]
        for flat, grads in zip(self.flats, gradients, strict=True):
            flat.hide()
            for p, g in zip(flat.params, grads, strict=True):
                p._grad = g
        if writeback:
            for flat, arrays in zip(self.flats, natives, strict=True):
                flat.check_shapes(arrays)
            for flat, full, arrays in zip(self.flats, fulls, natives, strict=True):
                flat.write(full, arrays)

    @property
    def is_summoned(self) -> bool:
        """Whether the whole parameters are shown outside of forward."""
        return self._summoned is not None
