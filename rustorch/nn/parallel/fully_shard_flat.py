"""The parameters of one dtype of a unit of fully_shard as one flat array, of which each rank has an equal piece."""

from __future__ import annotations

from math import prod
from typing import Any

from ... import distributed as dist
from ...autograd.writes import writes
from ...backends import Array, device_of, of
from ...distributed.shard import Sharding
from ..parameter import Parameter

__all__ = ["Flat", "Gradients"]


class Flat:
    """Parameters one after the other in one array. The last rank's piece is padded to the size of the others.

    Attributes
    ----------
    params : list of Parameter
    shapes : list of tuple of int
        The shapes of the whole parameters.
    bounds : list of (int, int)
        Where each parameter lies in the flat array.
    chunk : int
        The size of a rank's piece.
    local : native array
        This rank's piece. The array of each parameter is a view of it.
    """

    def __init__(self, named: list[tuple[str, Parameter]], group: dist.ProcessGroup):
        self.names = [name for name, _ in named]
        self.params = [p for _, p in named]
        self.group = group
        self.shapes = [p.shape for p in self.params]
        self.bounds: list[tuple[int, int]] = []
        stop = 0
        for shape in self.shapes:
            self.bounds.append((stop, stop + prod(shape)))
            stop += prod(shape)
        self.total = stop
        self.chunk = -(-stop // group.size)
        first = self.chunk * group.rank
        #: Of each parameter, the elements of this rank's piece: they begin at this place of the flattened parameter...
        self.own: list[tuple[int, int]] = []
        #: ... and of the piece.
        self.places: list[int] = []
        for start, stop in self.bounds:
            low = min(max(first, start), stop)
            high = max(min(first + self.chunk, stop), low)
            self.own.append((low - start, high - start))
            self.places.append(low - first if high > low else 0)
        self.shardings = [
            Sharding(shape, start, stop, group) for shape, (start, stop) in zip(self.shapes, self.own, strict=True)
        ]
        self.pieces: list[Array] = []
        self._distribute()

    def _distribute(self) -> None:
        """Give each rank its piece of rank 0's values."""
        like = self.params[0]._native
        backend: Any = of(like)
        xp, size = backend.xp, self.group.size
        with backend.guard(like):
            self.local = backend.new("zeros", device_of(like), like.dtype, (self.chunk,))
            parts: list[Array] | None = None
            if self.group.rank == 0:
                padded = backend.new("zeros", device_of(like), like.dtype, (size * self.chunk,))
                for p, (start, stop) in zip(self.params, self.bounds, strict=True):
                    padded[start:stop] = xp.reshape(p._native, (-1,))
                parts = [padded[r * self.chunk : (r + 1) * self.chunk] for r in range(size)]
            dist.scatter(self.local, parts, src=self.group.ranks[0], group=self.group)
        self._cut()

    def _cut(self) -> None:
        """Make the views that the parameters have."""
        self.pieces = [
            self.local[place : place + stop - start] for place, (start, stop) in zip(self.places, self.own, strict=True)
        ]

    def hide(self) -> None:
        """Give each parameter its piece."""
        for p, piece, sharding in zip(self.params, self.pieces, self.shardings, strict=True):
            p._native, p._node, p._sharding = piece, None, sharding

    def current(self) -> Array:
        """This rank's piece, with arrays that parameters were given since: another device, dtype or values."""
        if all(p._native is piece for p, piece in zip(self.params, self.pieces, strict=True)):
            return self.local
        natives = [p._native for p in self.params]
        for name, native, (start, stop) in zip(self.names, natives, self.own, strict=True):
            if tuple(native.shape) != (stop - start,):
                raise RuntimeError(
                    f"fully_shard: the data of {name} was replaced with an array of shape {tuple(native.shape)}; this "
                    f"rank has a piece of shape {(stop - start,)}. Write whole parameters inside of "
                    f"summon_full_params()"
                )
            if native.dtype != natives[0].dtype or device_of(native) != device_of(natives[0]):
                raise RuntimeError(
                    f"fully_shard: {name} is of {native.dtype} on {device_of(native)!r}, and {self.names[0]} of "
                    f"{natives[0].dtype} on {device_of(natives[0])!r}; convert and move all parameters of the module"
                )
        backend: Any = of(natives[0])
        with backend.guard(natives[0]):
            self.local = backend.new("zeros", device_of(natives[0]), natives[0].dtype, (self.chunk,))
            self._cut()
            for piece, native in zip(self.pieces, natives, strict=True):
                piece[...] = native
        for p, piece in zip(self.params, self.pieces, strict=True):
            p._native = piece
        return self.local

    def gather(self) -> tuple[Array, dist.Work | None]:
        """Start to gather the pieces of all ranks; returns the flat array, and the handle of the exchange.

        In a group of one rank, the piece itself is the flat array.
        """
        local = self.current()
        if self.group.size == 1:
            return local, None
        backend: Any = of(local)
        with backend.guard(local):
            full = backend.new("empty", device_of(local), local.dtype, (self.chunk * self.group.size,))
        return full, dist.all_gather_into_tensor(full, local, group=self.group, async_op=True)

    def views(self, full: Array) -> list[Array]:
        """The whole parameters in the flat array."""
        if full is not self.local:
            writes.forget(full)  # the exchange noted a write into an array that is new
        xp: Any = of(full).xp  # type: ignore[union-attr]
        return [
            xp.reshape(full[start:stop], shape) for shape, (start, stop) in zip(self.shapes, self.bounds, strict=True)
        ]

    def check_shapes(self, natives: list[Array]) -> None:
        """Raise ValueError unless these arrays have the shapes of the whole parameters."""
        for name, native, shape in zip(self.names, natives, self.shapes, strict=True):
            if tuple(native.shape) != shape:
                raise ValueError(
                    f"fully_shard: the data of {name} was replaced with an array of shape {tuple(native.shape)}; its "
                    f"shape is {shape}. No parameter of the unit was changed"
                )

    def write(self, full: Array, natives: list[Array]) -> None:
        """Take this rank's piece from whole parameters: views of ``full``, or other arrays of their shapes."""
        backend: Any = of(full)
        with backend.guard(full):
            for native, (start, stop), shape in zip(natives, self.bounds, self.shapes, strict=True):
                if backend.owner(native) is not backend.owner(full):
                    backend.xp.reshape(full[start:stop], shape)[...] = native
            first = self.chunk * self.group.rank
            self.local[...] = full[first : first + self.chunk]
        writes.note_all([self.local])


class Gradients:
    """The gradients of one backward as a flat array, in rows: one for each rank's piece.

    Behind the piece, each row has a place for each parameter, which is not zero if a rank has a gradient of it.
    """

    def __init__(self, flat: Flat, like: Array):
        backend: Any = of(like)
        self.flat = flat
        self.rows = backend.new("zeros", device_of(like), like.dtype, (flat.group.size, flat.chunk + len(flat.params)))
        self.used: set[int] = set()

    def add(self, i: int, g: Array) -> None:
        """Write the gradient of a whole parameter, or add it to an earlier one."""
        flat, rows = self.flat, self.rows
        backend: Any = of(g)
        start, stop = flat.bounds[i]
        with backend.guard(g):
            values = backend.xp.reshape(g, (-1,))
            if stop > start:
                for rank in range(start // flat.chunk, (stop - 1) // flat.chunk + 1):
                    base = rank * flat.chunk
                    low, high = max(start, base), min(stop, base + flat.chunk)
                    if i in self.used:
                        rows[rank, low - base : high - base] += values[low - start : high - start]
                    else:
                        rows[rank, low - base : high - base] = values[low - start : high - start]
            rows[:, flat.chunk + i] = 1
        self.used.add(i)

    def merge(self, earlier: Gradients) -> None:
        """Add the gradients of an earlier backward."""
        if earlier.rows.shape != self.rows.shape or earlier.rows.dtype != self.rows.dtype:
            raise RuntimeError(
                f"fully_shard: gradients that wait for an exchange are of {earlier.rows.dtype}, and these of "
                f"{self.rows.dtype}; convert the module after a backward that exchanges"
            )
        backend: Any = of(self.rows)
        with backend.guard(self.rows):
            self.rows += earlier.rows
        self.used |= earlier.used

    def average(self) -> list[Array | None]:
        """This rank's pieces of the means over all ranks; None for a parameter that no rank used."""
        flat, rows = self.flat, self.rows
        backend: Any = of(rows)
        with backend.guard(rows):
            out = backend.xp.reshape(rows, (-1,))
            if flat.group.size > 1:
                whole, out = out, backend.new("empty", device_of(rows), rows.dtype, (rows.shape[1],))
                dist.reduce_scatter_tensor(out, whole, dist.ReduceOp.AVG, group=flat.group)
                writes.forget(out)
            flags: Any = None
            if len(self.used) < len(flat.params):  # a rank that used all of them need not read what others did
                flags = backend.to_numpy(out[flat.chunk :])
        return [
            out[place : place + stop - start] if flags is None or flags[i] else None
            for i, (place, (start, stop)) in enumerate(zip(flat.places, flat.own, strict=True))
        ]
