"""The state of an optimizer whose parts are on several ranks: brought to one rank, or described on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .. import distributed as dist
from .. import ops
from ..autograd.graph import Value, make
from ..backends import BY_TYPE, of
from ..backends.dtypes import as_dtype

if TYPE_CHECKING:
    from ..distributed.group import ProcessGroup
    from ..typing import Array

__all__ = ["collect", "described_everywhere", "without_arrays"]

#: Per parameter's number, the description of its entries by name.
Descriptions = dict[int, dict[str, Any]]


# -- descriptions: what can be sent as text ----------------------------------------------------------------------------
def _describe(value: Any, arrays: list[Array]) -> dict[str, Any]:
    """An entry of a state without the numbers in its arrays, which are appended to ``arrays``."""
    native = value._native if isinstance(value, Value) else value
    if (backend := of(native)) is not None:
        native = backend.as_array(native)  # it may be a scalar of NumPy
        arrays.append(native)
        return {"shape": list(native.shape), "dtype": str(backend.dtype_of(native))}
    if isinstance(value, (list, tuple)):
        return {"list": [_describe(v, arrays) for v in value]}
    return {"value": value}


def _rebuild(described: dict[str, Any], array: Callable[[dict[str, Any]], Any]) -> Any:
    """The entry of a description. ``array`` returns the array of a description with a shape and a dtype."""
    if "list" in described:
        return [_rebuild(one, array) for one in described["list"]]
    return described["value"] if "value" in described else array(described)


def _has_arrays(described: dict[str, Any]) -> bool:
    return "shape" in described or any(map(_has_arrays, described.get("list", ())))


def described_everywhere(
    state: dict[int, dict[str, Any]], group: ProcessGroup
) -> tuple[list[Descriptions], dict[int, list[Array]]]:
    """For each rank of the group, the descriptions of its states; and the arrays of this rank's own.

    Parameters
    ----------
    state : dict
        The number of a parameter -> its state.
    group : ProcessGroup
    """
    own: dict[int, list[Array]] = {}
    described = []
    for number, entries in state.items():
        own[number] = []
        names = [[name, _describe(value, own[number])] for name, value in entries.items() if value is not None]
        if names:
            described.append([number, names])
    all_ranks = dist.all_gather_object(described, group)
    return [{number: dict(names) for number, names in one} for one in all_ranks], own


def without_arrays(descriptions: Descriptions) -> dict[int, dict[str, Any]]:
    """The entries of states that have no arrays."""

    def never(described: dict[str, Any]) -> Any:
        raise AssertionError

    return {
        number: {name: _rebuild(one, never) for name, one in entries.items() if not _has_arrays(one)}
        for number, entries in descriptions.items()
    }


# -- to one rank -------------------------------------------------------------------------------------------------------
def collect(
    state: dict[int, dict[str, Any]], devices: dict[int, str], group: ProcessGroup, to: int
) -> dict[int, dict[str, Any]] | None:
    """The states of all ranks, on one rank and in the memory of the host; None on the others. All ranks call it.

    Parameters
    ----------
    state : dict
        The number of a parameter -> its state, for the parameters of this rank.
    devices : dict
        The number of a parameter -> its device, for all parameters.
    group : ProcessGroup
    to : int
        A rank of the world.
    """
    descriptions, own = described_everywhere(state, group)
    if devices and dist.get_backend(group) == "nccl":  # only a collective connects the GPUs, and below are messages
        dist.all_reduce(ops.zeros(1, device=next(iter(devices.values()))), group=group)
    here = group.ranks[group.rank]
    collected: dict[int, dict[str, Any]] = {}
    owners = sorted((number, rank) for rank, one in enumerate(descriptions) for number in one)
    for number, rank in owners:
        source = group.ranks[rank]
        arrays = iter(own.get(number, ())) if source == here else None
        if source == here != to:
            for native in own[number]:
                _send(native, to, group)
        elif here == to:
            collected[number] = {
                name: _rebuild(one, _taker(arrays, devices[number], source, group))
                for name, one in descriptions[rank][number].items()
            }
    return collected if here == to else None


def _taker(
    arrays: Iterator[Array] | None, device: str, source: int, group: ProcessGroup
) -> Callable[[dict[str, Any]], Any]:
    """A function that returns a copy of the next array, on the host: of this rank's own, or from another rank."""

    def take(described: dict[str, Any]) -> Any:
        if arrays is not None:
            return ops.asarray(make(next(arrays)).to("cpu"), copy=True)
        value = ops.zeros(tuple(described["shape"]), dtype=as_dtype(described["dtype"]), device=device)
        if value.size:
            dist.recv(value, source, group)
        return value.to("cpu")

    return take


def _send(native: Array, to: int, group: ProcessGroup) -> None:
    xp = BY_TYPE[type(native)].xp
    if all(native.shape):
        with BY_TYPE[type(native)].guard(native):
            contiguous = xp.reshape(xp.reshape(native, (-1,)), native.shape)
        dist.send(make(contiguous), to, group)
