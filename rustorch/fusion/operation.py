"""A function that was traced, for one kind of arguments: its loops, and the same of its gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import error as NotAFloat
from typing import Any

from ..autograd.engine import ALIAS
from ..autograd.grad import grad
from ..autograd.graph import Value, make, record, track
from ..autograd.modes import mode, set_grad_enabled
from ..autograd.primitive import Primitive
from ..autograd.recording import node_of_several, outputs_of, watch_call
from ..backends import Backend, of
from ..backends.dtypes import bool as BOOL
from ..ops import astype, broadcast_shapes, zeros_like
from .tracing import Function, Trace, place_of, plain_of


class Operation:
    """A function of Variables, numbers and None that runs as one loop, and whose gradients do.

    A call returns NotImplemented where the function itself should be called.

    Parameters
    ----------
    function : callable
        Of values by position. It returns a tuple of Variables and None.
    name : str
    kinds : str
        A letter for each value; see `Trace`.
    dtype : dtype
        That of all arrays but those of truth values.
    whole : bool
        Whether it is known that all results have the shape to which all arrays broadcast.

    Raises
    ------
    Exception
        Whatever the function raises on symbols. It is no loop then.
    """

    def __init__(self, function: Function, name: str, kinds: str, dtype: Any, whole: bool = False):
        self.function, self.name, self.kinds, self.dtype = function, name, kinds, dtype
        self._plain = plain_of(function, dtype, name)
        self.trace = Trace(self._plain, kinds)
        self.whole = whole or self.trace.whole
        #: The places of the arrays, of the results that there are, and of those that have gradients.
        self.arrays = [i for i, kind in enumerate(kinds) if kind != "#"]
        self.present = [i for i, truth in enumerate(self.trace.truths) if truth is not None]
        self.smooth = [i for i, truth in enumerate(self.trace.truths) if truth is False]
        self._loops: dict[str, Callable[..., Any] | None] = {}
        self._primitives: dict[int, Primitive | None] = {}
        #: Set of tracked arrays -> why there is no loop for their gradients.
        self.problems: dict[int, str] = {}

    def loop(self, backend: Backend) -> Callable[..., Any] | None:
        """The loop for the arrays of a backend."""
        if backend.name not in self._loops:
            self._loops[backend.name] = backend.fused(self._plain)
        return self._loops[backend.name]

    def __call__(self, *values: Any) -> Any:
        mask, bit = 0, 1
        parents: list[Any] = []
        natives: list[Any] = []
        for kind, value in zip(self.kinds, values, strict=True):
            if kind == "#":
                natives.append(value)
                continue
            if value is None:
                natives.append(None)
                parents.append(None)
            else:
                natives.append(value._native)
                parents.append((value._node or value) if value._tracked else None)
                if value._tracked:
                    mask |= bit
            bit += bit
        primitive = self.primitive(mask) if mask and self.smooth and mode.enabled else None
        if mask in self.problems and primitive is None and mode.enabled:
            return NotImplemented  # the library records what the function does
        outs = self._run(natives)
        if outs is NotImplemented:
            return NotImplemented
        if primitive is None:
            return tuple([None if out is None else make(out) for out in outs])
        return self._record(primitive, tuple(parents), natives, outs)

    def _run(self, natives: Sequence[Any]) -> Any:
        """The results as native arrays, from the loop."""
        first = next(a for kind, a in zip(self.kinds, natives, strict=True) if kind in "vm" and a is not None)
        backend = of(first)
        assert backend is not None
        loop = self.loop(backend)
        if loop is None or not (self.whole or self.trace.fits(natives, broadcast_shapes)):
            return NotImplemented
        if backend.multi_device:
            devices = {backend.device_of(natives[i]) for i in self.arrays if natives[i] is not None}
            if len(devices) > 1:
                return NotImplemented
        try:
            with backend.guard(first):
                outs = loop(*natives)
        except (ArithmeticError, NotAFloat):  # from a number, such as 1 / 0: the function raises its own error
            return NotImplemented
        return outs

    def _record(self, primitive: Primitive, parents: tuple[Any, ...], natives: Sequence[Any], outs: Any) -> Any:
        """Variables around the results, with a node."""
        found = tuple([outs[i] for i in self.present])
        several = len(found) > 1
        out = found if several else found[0]
        arrays = [natives[i] for i in self.arrays]
        numbers = tuple([v for kind, v in zip(self.kinds, natives, strict=True) if kind == "#"])
        plan = primitive.plan(0)
        plan, saved = watch_call(primitive, out, plan, plan.pick((*arrays, numbers, out)))
        if several:
            node = node_of_several(plan, parents, saved, found)
            made = outputs_of(node, found, [i not in self.smooth for i in self.present])
        else:
            made = (record(out, plan, parents, saved),)
        results = dict(zip(self.present, made, strict=True))
        return tuple([results.get(i) for i in range(len(outs))])

    # -- gradients -----------------------------------------------------------------------------------------------------
    def primitive(self, mask: int) -> Primitive | None:
        """What is recorded if these arrays are tracked. None if no result depends on them, or there is no loop."""
        if mask not in self._primitives:
            try:
                self._primitives[mask] = self._differentiated(mask)
            except Exception as error:  # the library's own rules serve instead
                self._primitives[mask] = None
                self.problems[mask] = f"{error}{place_of(error)}"
        return self._primitives[mask]

    def _differentiated(self, mask: int) -> Primitive | None:
        wanted = [i for k, i in enumerate(self.arrays) if mask >> k & 1 and self.kinds[i] == "v"]
        function, count = self._gradient(wanted), len(self.smooth)
        name, starts = f"the gradient of {self.name}", "v" * count
        reached: set[int] = set()
        needed = Trace(plain_of(_reaching(function, reached), self.dtype, name), starts + self.kinds).needed
        uses = [needed[count + i] or count + i in reached for i in range(len(self.kinds))]
        kinds = "".join([kind if use else "-" for kind, use in zip(self.kinds, uses, strict=True)])
        gradient = Operation(function, name, starts + kinds, self.dtype, whole=True)
        if all(truth is None for truth in gradient.trace.truths):
            return None
        names = [f"x{i}" for i in self.arrays]
        used = [f"x{i}" for i in self.arrays if kinds[i] != "-"]

        def rule(g: Any, arrays: Sequence[Any], numbers: Sequence[Any]) -> list[Any]:
            rest, elements = iter(numbers), iter(arrays)
            values = [next(rest) if kind == "#" else next(elements) for kind in self.kinds]
            starts = [g[self.present.index(i)] for i in self.smooth] if isinstance(g, tuple) else [g]
            found = gradient.differentiate(*starts, *values)
            by_place = dict(zip(wanted, found, strict=True))
            return [by_place.get(i) for i in self.arrays]

        text = (
            f"def joint(xp, g, {''.join([f'{n}, ' for n in used])}numbers):\n"
            f"    return rule(g, ({''.join([f'{n}, ' if n in used else 'None, ' for n in names])}), numbers)\n"
        )
        known: dict[str, Any] = {"rule": rule}
        exec(text, known)  # written above; no part of it comes from outside
        primitive = Primitive(
            self.name,
            lambda xp: None,
            joint=known["joint"],
            multiple=len(self.present) > 1,
            register=False,
            signature=(tuple(names), ("numbers",)),
        )
        primitive.fresh = True
        return primitive

    def differentiate(self, *values: Any) -> tuple[Any, ...]:
        """The results for native arrays, as native arrays, or for Variables: from the loop, or by the function."""
        recorded = any(isinstance(v, Value) for v in values)
        given = values
        if not recorded:
            given = tuple([_variable(v) if kind in "vm" else v for kind, v in zip(self.kinds, values, strict=True)])
        outs = self(*given)
        if outs is NotImplemented:
            outs = self.function(*given)
        return tuple(outs) if recorded else tuple([None if out is None else out._native for out in outs])

    def _gradient(self, wanted: Sequence[int]) -> Function:
        """The gradients in the values at these places: a function of the results' gradients, then the values."""
        count, kinds, function, smooth = len(self.smooth), self.kinds, self.function, self.smooth

        def gradient(*values: Any) -> tuple[Any, ...]:
            starts, given = values[:count], list(values[count:])
            records = mode.enabled and any(isinstance(v, Value) and v._tracked for v in values)
            for i, kind in enumerate(kinds):
                if given[i] is None and kind in "vm":  # any numbers will do
                    given[i] = zeros_like(starts[0])
                    given[i] = astype(given[i], BOOL) if kind == "m" else given[i]
            with set_grad_enabled(True):
                for i in wanted:
                    given[i] = _tracked(given[i])
                outs = function(*given)
                reached = [(outs[j], g) for j, g in zip(smooth, starts, strict=True) if outs[j]._tracked]
            if not reached:
                return (None,) * len(wanted)
            return grad(
                [out for out, _ in reached],
                [given[i] for i in wanted],
                [g for _, g in reached],
                create_graph=records,
                allow_unused=True,
            )

        return gradient


def _variable(native: Any) -> Any:
    backend = of(native)
    assert backend is not None
    return make(backend.as_array(native))  # NumPy returns scalars for gradients without dimensions


def _tracked(value: Any) -> Any:
    """The same array with a place of its own in the graph, so that gradients of two equal arguments stay apart."""
    if value._tracked:
        return ALIAS(value)
    leaf = make(value._native)
    track(leaf)
    return leaf


def _reaching(function: Function, reached: set[int]) -> Function:
    """The function, recorded: the places of the values that its results have derivatives in are put into ``reached``.

    Such a derivative may be 0 everywhere, and then the result does not need the value itself.
    """

    def recorded(*values: Any) -> tuple[Any, ...]:
        leaves = [_tracked(v) if isinstance(v, Value) and v.dtype != BOOL else v for v in values]
        with set_grad_enabled(True):
            outs = function(*leaves)
        places = {id(leaf): i for i, leaf in enumerate(leaves) if isinstance(leaf, Value)}
        stack: list[Any] = [out._node or out for out in outs if out is not None]
        seen: set[int] = set()
        while stack:
            node = stack.pop()
            if id(node) in seen or node is None:
                continue
            seen.add(id(node))
            if id(node) in places:
                reached.add(places[id(node)])
            stack.extend(getattr(node, "parents", ()))
        return outs

    return recorded
