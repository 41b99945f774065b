"""The context of a `Function`: what forward saves for backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backends import Array
from .engine import ALIAS
from .function_saved import Kept, attributes_behind_barriers
from .graph import Node, Value, make
from .writes import writes


class Context:
    """What `Function.forward` passes to `Function.backward`: saved Variables, and attributes of any name.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        Whether each argument of forward needs a gradient.
    """

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._to_save: tuple[Any, ...] = ()
        self._constant: set[int] = set()  # ids of the outputs without gradients
        # An entry for each saved value. For an output, it is the number of the output: its node would close a reference
        # cycle. For other values it is (array, node or leaf, place); the place is None for an input of forward.
        self._saved: list[Any] = []
        self._kept: Kept | None = None  # set if there are arrays that are neither inputs nor outputs
        self._attributes: list[str] = []  # names of the attributes that hold such arrays
        self._plain: dict[str, tuple[Any, Any]] = {}  # name -> (attribute, the same with barriers), while those are set
        self._seq = 0  # the number of the node
        self._outs: tuple[Any, ...] | None = None  # the outputs, while backward runs
        self._recorded = False  # whether backward runs in mode 2

    def save_for_backward(self, *values: Any) -> None:
        """Save inputs or outputs of forward (or None) for backward, which reads them from ``saved_tensors``."""
        for value in values:
            if value is not None and not isinstance(value, Value):
                raise TypeError(
                    f"save_for_backward takes Variables and None, not {type(value).__name__}; keep others as ctx.name "
                    f"= value"
                )
        self._to_save = values

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Declare which outputs of forward have no gradient. Integers never have one."""
        self._constant = {id(output) for output in outputs}

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved values, in the order in which they were given."""
        found: list[Any] = []
        for entry in self._saved:
            if entry is None:
                found.append(None)
            elif isinstance(entry, int):
                assert self._outs is not None
                found.append(self._outs[entry])
            else:
                found.append(self._input(*entry))
        return tuple(found)

    def saved_arrays(self) -> list[tuple[str, Array]]:
        """The saved arrays except for outputs, with names; for `detect_writes`."""
        entries = [(f"saved value {i}", entry[0]) for i, entry in enumerate(self._saved) if type(entry) is tuple]
        return [(name, array) for name, array in entries if not hasattr(array, "packed")]

    def pack(self, function: Callable[[Array], Any]) -> None:
        """Replace the saved arrays, except for outputs, by what a function returns for them.

        Backward reads each from the method ``array(name)`` of that.
        """
        self._saved = [(function(entry[0]), *entry[1:]) if type(entry) is tuple else entry for entry in self._saved]

    def set_barriers(self) -> None:
        """Put attributes that hold arrays behind barriers; see `Kept.behind_barrier`."""
        if self._kept is not None and self._attributes:
            self._plain = attributes_behind_barriers(self, self._kept, self._attributes)
            self.__dict__.update({name: pair[1] for name, pair in self._plain.items()})

    def remove_barriers(self) -> None:
        """Undo `set_barriers`, except for attributes that backward has set itself."""
        for name, (plain, behind_barrier) in self._plain.items():
            if self.__dict__.get(name) is behind_barrier:
                self.__dict__[name] = plain
        self._plain = {}

    def _input(self, native: Array, source: Any, place: int | None) -> Any:
        """A saved array as a Variable, with its place in the graph if backward runs in mode 2."""
        if hasattr(native, "packed"):
            native = native.array("saved_tensors")
        if self._seq < writes.last and writes.since(self._seq, native):
            raise RuntimeError(
                f"a Variable of shape {tuple(native.shape)} that was saved for backward was changed in place after the "
                f"call; save a clone() instead"
            )
        if place is not None and self._recorded and self._kept is not None:
            return self._kept.behind_barrier(native, lambda other: other._to_save[place])
        if source is None or not self._recorded:
            return make(native)
        if type(source) is Node:
            return make(native, source)
        return source if source._native is native else make(native, Node(ALIAS.plan(1), (source,), (), native))
