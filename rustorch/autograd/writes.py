"""The record of writes in place: backward must not use a saved value that was changed after the call."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..backends import Array, Backend, of
from .graph import Node, next_seq


class _Writes:
    """Which arrays rustorch wrote into, and when.

    A write costs one dictionary entry. A call costs nothing. Backward compares two numbers per node, and looks up the
    saved values only if something was written after the node's call.
    """

    def __init__(self) -> None:
        self.last = 0
        #: id of an array -> the number of its last write, and a reference to it.
        self._seqs: dict[int, list[Any]] = {}

    def note_all(self, arrays: Sequence[Array]) -> None:
        """Note that these arrays have just been written into."""
        seq = next_seq()
        seqs = self._seqs
        for array in arrays:
            known = seqs.get(id(array))
            if known is not None and known[1]() is array:  # an earlier write has found the key for this memory
                known[0] = seq
            else:
                self._note(of(array), array, seq)  # type: ignore[arg-type]
        self.last = seq

    def _note(self, backend: Backend, array: Array, seq: int) -> None:
        # an owner that is a foreign object may take no weak reference; then the array itself identifies the memory
        for owner in (backend.owner(array), array):
            key = id(owner)
            known = self._seqs.get(key)
            try:
                ref = known[1] if known else weakref.ref(owner, partial(self._forget, key))
            except TypeError:
                continue
            self._seqs[key] = [seq, ref]
            return

    def _forget(self, key: int, ref: weakref.ref[Any]) -> None:
        self._seqs.pop(key, None)

    def forget(self, array: Array) -> None:
        """Forget the writes into an array that was made a moment ago, and that no call has saved yet."""
        backend = of(array)
        for owner in (array if backend is None else backend.owner(array), array):
            self._seqs.pop(id(owner), None)

    def since(self, seq: int, value: Any) -> bool:
        """Whether the array ``value`` was written into after call number ``seq``."""
        backend = of(value)
        if backend is None:
            return False
        seqs = self._seqs
        written = seqs.get(id(backend.owner(value))) or seqs.get(id(value))
        return written is not None and written[0] > seq

    def check(self, node: Node, saved: tuple[Any, ...]) -> None:
        """Raise RuntimeError if one of the values that ``node`` saved was written into after the node's call."""
        for value in saved:
            if self.since(node.seq, value):
                raise RuntimeError(
                    f"{node.primitive.name}: an array that its gradient needs (shape {tuple(value.shape)}) was changed "
                    f"in place after the call; change a clone() instead, or call backward before the change"
                )


writes = _Writes()
