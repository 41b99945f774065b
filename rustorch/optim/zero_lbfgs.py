"""L-BFGS with its state in pieces: each rank has one piece of every flat array, and all ranks make the same step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import distributed as dist
from .. import ops
from ..autograd.graph import make
from ..backends import BY_TYPE, device_of, dtypes
from ..distributed.shard import Shard
from . import states
from .lbfgs import LBFGS

if TYPE_CHECKING:
    from ..distributed.group import ProcessGroup
    from ..typing import Array, Namespace

__all__ = ["InPieces", "in_pieces"]


#: A subclass of LBFGS -> the same with its state in pieces.
_classes: dict[type[LBFGS], type[InPieces]] = {}


def in_pieces(optimizer_class: type[LBFGS]) -> type[InPieces]:
    """A subclass of LBFGS with its state in pieces, under the same name."""
    if optimizer_class not in _classes:
        _classes[optimizer_class] = type(optimizer_class.__name__, (InPieces, optimizer_class), {})
    return _classes[optimizer_class]


class InPieces(LBFGS):
    """L-BFGS whose flat arrays have the elements ``start`` to ``stop`` of those of the plain optimizer.

    Gradients and parameters are whole on every rank. Dot products are summed over the ranks, and the direction is
    gathered before the parameters move. So all ranks make the same decisions, and the same step.
    """

    group: ProcessGroup

    def _bounds(self) -> tuple[int, int, int, int]:
        """The number of elements of a flat array, of the longest piece, and this piece's first and last."""
        size = sum(p.size for p in self._parameters())
        longest = -(-size // self.group.size)
        start = min(self.group.rank * longest, size)
        return size, longest, start, min(start + longest, size)

    def _piece(self, flat: Array) -> Array:
        *_, start, stop = self._bounds()
        return BY_TYPE[type(flat)].xp.asarray(flat[start:stop], copy=True)

    def _whole(self, piece: Array) -> Array:
        """The flat array of which every rank has a piece. All ranks call it."""
        size, longest, start, stop = self._bounds()
        backend, device = BY_TYPE[type(piece)], device_of(piece)
        dtype = backend.dtype_of(piece)
        padding = ops.zeros(longest - (stop - start), dtype=dtype, device=device)
        gathered = ops.zeros(longest * self.group.size, dtype=dtype, device=device)
        dist.all_gather_into_tensor(gathered, ops.concat([make(piece), padding]), self.group)
        return gathered._native[:size]

    def _move(self, xp: Namespace, start: list[Array], t: float, d: Array) -> None:
        super()._move(xp, start, t, self._whole(d))

    # -- numbers of all ranks ------------------------------------------------------------------------------------------
    def _of_all_ranks(self, value: float) -> list[float]:
        """The numbers of all ranks, in their order, so that what follows from them is the same everywhere."""
        if self.group.size == 1:
            return [value]
        device = self._parameters()[0].device
        gathered = ops.zeros(self.group.size, dtype=dtypes.float64, device=device)
        own = ops.asarray([value], dtype=dtypes.float64, device=device)
        dist.all_gather_into_tensor(gathered, own, self.group)
        numbers: list[float] = gathered.tolist()
        return numbers

    def _dot(self, xp: Namespace, a: Array, b: Array) -> float:
        return sum(self._of_all_ranks(super()._dot(xp, a, b)))

    def _total(self, xp: Namespace, x: Array) -> float:
        return sum(self._of_all_ranks(super()._total(xp, x)))

    def _largest(self, xp: Namespace, x: Array) -> float:
        numbers = self._of_all_ranks(super()._largest(xp, x) if x.shape[0] else 0.0)
        return math.nan if any(map(math.isnan, numbers)) else max(numbers)

    def _loss(self, xp: Namespace, loss: float) -> float:
        """The mean of the ranks' losses: that of the whole batch, to which gradients averaged by DDP belong."""
        return sum(self._of_all_ranks(loss)) / self.group.size

    # -- state ---------------------------------------------------------------------------------------------------------
    def whole_state(self, state: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """The state with whole arrays, copied to the memory of the host. All ranks call it."""
        return _changed(state, lambda piece: ops.asarray(make(self._whole(piece)).to("cpu"), copy=True))

    def pieces(self, state: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """The state as `save` takes it from each rank: pieces with their places, or in a world of one whole arrays."""
        size, _, start, _ = self._bounds()
        if self.group.size == 1:
            return _changed(state, states.public)
        return _changed(state, lambda piece: Shard(piece, (size,), start))


def _changed(state: dict[int, dict[str, Any]], change: Callable[[Array], Any]) -> dict[int, dict[str, Any]]:
    """The state with other values in place of the arrays."""

    def entry(value: Any) -> Any:
        if type(value) is list:
            return [entry(v) for v in value]
        return change(value) if type(value) in BY_TYPE else value

    return {
        number: {name: entry(value) for name, value in entries.items() if value is not None}
        for number, entries in state.items()
    }
