"""The state of a Module: its parameters and buffers by name, to save and to load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import ops
from ..autograd.modes import no_grad
from ..variable import Variable
from .hooks import Hooked
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module


def _detached(value: Variable) -> Any:
    """A parameter or buffer for a state_dict."""
    if value._sharding is None:
        return value.detach()
    from ..distributed.shard import Shard  # most programs have no pieces

    return Shard(value.data, value._sharding.shape, value._sharding.start)


def _piece(value: Any, target: Variable) -> Variable:
    """The elements of a whole array or a piece that belong to this rank's piece of a parameter."""
    from ..distributed.shard import piece_of

    return piece_of(value, target._sharding)


class _IncompatibleKeys(NamedTuple):
    """The names that `Stateful.load_state_dict` did not find on one of both sides."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Stateful(Hooked):
    """The tables of a Module: its parameters, its buffers and its children."""

    # name -> value, in the order of assignment. The values are attributes too, so that reading them costs nothing more.
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Variable | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers: set[str]  # names of buffers that are not part of the state

    def _state(self, prefix: str = "") -> Iterator[tuple[str, Variable]]:
        """All parameters and persistent buffers by name. A shared parameter comes under each of its names."""
        for name, value in self._parameters.items():
            if value is not None:
                yield prefix + name, value
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers:
                yield prefix + name, buffer
        for name, module in self._modules.items():
            if module is not None:
                yield from module._state(f"{prefix}{name}.")

    def state_dict(self, prefix: str = "", keep_vars: bool = False) -> dict[str, Variable]:
        """Parameters and buffers by their dotted names.

        Parameters
        ----------
        prefix : str
            What every name begins with.
        keep_vars : bool
            Whether to return the parameters and buffers themselves. By default they are detached from the graph, and
            share the memory.

        Returns
        -------
        dict of str to Variable
            With a `distributed.Shard` for each parameter that `parallel.fully_shard` spreads over the ranks.
        """
        return {name: value if keep_vars else _detached(value) for name, value in self._state(prefix)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> _IncompatibleKeys:
        """Copy values into the parameters and buffers, by name. Each keeps its device and dtype.

        Parameters
        ----------
        state_dict : mapping of str to Variable, array or Shard
            From `state_dict`, from PyTorch's ``state_dict()``, or any other arrays by name.
        strict : bool
            Whether the names must be exactly the names of this module.

        Returns
        -------
        (missing_keys, unexpected_keys)

        Raises
        ------
        RuntimeError
            If shapes differ, if values are not arrays, or with ``strict`` if names differ. The message lists all
            differences. Nothing is loaded then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict takes a dict of arrays by name, not {type(state_dict).__name__}")
        own = dict(self._state())
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        differences = []
        values: dict[str, Variable] = {}
        for name, target in own.items():
            if name in state_dict:
                try:
                    if target._sharding is not None:
                        values[name] = _piece(state_dict[name], target)
                        continue
                    value = Variable(state_dict[name])
                except (TypeError, ValueError) as error:
                    differences.append(f"value of {name}: {error}")
                    continue
                if value.shape != target.shape:
                    differences.append(f"shape of {name}: {value.shape} given, {target.shape} needed")
                elif value.dtype.kind == "c" != target.dtype.kind:
                    differences.append(f"dtype of {name}: {value.dtype} given, {target.dtype} needed")
                else:
                    values[name] = value
        if strict:
            names = [f"missing: {name}" for name in missing] + [f"unexpected: {name}" for name in unexpected]
            differences = names + differences
        if differences:
            raise RuntimeError(
                f"load_state_dict: nothing was loaded into {type(self).__name__}:\n  " + "\n  ".join(differences)
            )
        with no_grad():
            for name, value in values.items():
                target = own[name]
                target[...] = ops.astype(value, target.dtype, copy=False).to(target.device)
        return _IncompatibleKeys(missing, unexpected)
