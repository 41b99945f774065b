"""Operations of users' own: `custom_primitive` in this library's style, `Function` in PyTorch's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..backends import BY_TYPE, Array, device_of
from .check import adopt
from .engine import ALIAS
from .function_saved import Kept, attributes, barred_attributes
from .graph import Node, Value, make, record
from .modes import mode, set_grad_enabled
from .primitive import Primitive, Rule
from .recording import floating, node_of_several, outputs_of, watch_call
from .writes import writes


def custom_primitive(
    name: str,
    forward: Callable[..., Any],
    *,
    joint: Rule | None = None,
    aux: tuple[str, ...] = (),
    recompute: bool = True,
    multiple: bool = False,
    **rules: Any,
) -> Primitive:
    """An operation with gradients of every order, from a forward function and one rule per input.

    Parameters
    ----------
    name : str
        What errors call it.
    forward : callable
        ``forward(xp, x, y, /, option)``: names before the slash are native arrays, the others options; ``xp`` is the
        arrays' own namespace. With functions of ``xp`` alone it runs on every device.
    joint : callable, optional
        One rule for all inputs, ``joint(xp, g, ...)``, which returns a gradient (or None) per input.
    aux : tuple of str
        Names of by-products: ``forward`` returns a tuple of the output and these, and rules may name them.
    recompute : bool
        Whether second derivatives compute by-products anew; False if they do not depend smoothly on the inputs.
    multiple : bool
        Whether the output is a tuple of arrays; ``g`` and ``out`` are tuples then.
    **rules : callable
        ``rule(xp, g, ...)`` by the input's name. It takes what it names: inputs, options, ``out``, by-products,
        ``<input>_shape``; nothing else is kept for it. It uses functions of ``xp``, which is rustorch itself when it is
        differentiated again.

    Returns
    -------
    callable
        Of Variables; options by position.

    Raises
    ------
    TypeError
        If ``forward`` or a rule has parameters that do not say what they are, or a rule belongs to no input.

    Examples
    --------
    >>> import rustorch
    >>> square = rustorch.custom_primitive("square", lambda xp, x, /: x * x, x=lambda xp, g, x: 2 * g * x)
    >>> x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    >>> square(x).sum().backward()
    >>> x.grad
    array([2., 4.], dtype=float32)
    """
    code = getattr(forward, "__code__", None)
    if code is None or code.co_posonlyargcount < 2 or code.co_varnames[0] != "xp":
        raise TypeError(
            f"{name}: forward is a Python function forward(xp, x, /, option): xp first, and a slash after the arrays"
        )
    if joint is None and not rules:
        raise TypeError(f"{name}: give a rule for an input, as in {code.co_varnames[1]}=lambda xp, g: ..., or joint=")
    if joint is not None and rules:
        raise TypeError(f"{name}: joint is one rule for all inputs; rules for {sorted(rules)} would never run")
    return Primitive(
        name, forward, joint=joint, aux=aux, recompute=recompute, multiple=multiple, register=False, **rules
    )


# -- PyTorch's style ---------------------------------------------------------------------------------------------------
class Context:
    """What `Function.forward` leaves for `Function.backward`: saved Variables, and attributes of any name.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of forward.
    """

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._to_save: tuple[Any, ...] = ()
        self._constant: set[int] = set()
        # one entry per saved value: (array, where it came from, its place if it is neither input nor output), or the
        # number of an output, whose node would close a cycle
        self._saved: list[Any] = []
        self._kept: Kept | None = None  # where there are such values, or attributes that are
        self._attributes: list[str] = []
        self._plain: dict[str, tuple[Any, Any]] = {}  # attributes as they were, while others stand in for them
        self._seq = 0
        self._outs: tuple[Any, ...] | None = None  # the outputs, while backward runs
        self._recorded = False

    def save_for_backward(self, *values: Any) -> None:
        """Keep inputs or outputs of forward (or None) for backward, which finds them in ``saved_tensors``."""
        for value in values:
            if value is not None and not isinstance(value, Value):
                raise TypeError(
                    f"save_for_backward takes Variables and None, not {type(value).__name__}; keep others as ctx.name "
                    f"= value"
                )
        self._to_save = values

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Say which outputs of forward have no gradient; integers have none anyway."""
        self._constant = {id(output) for output in outputs}

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved, in order."""
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
        """What was saved, but for outputs, with names; for `detect_writes`."""
        return [(f"saved value {i}", entry[0]) for i, entry in enumerate(self._saved) if type(entry) is tuple]

    def _bar(self) -> None:
        """Let attributes that hold arrays be behind bars."""
        if self._kept is not None and self._attributes:
            self._plain = barred_attributes(self, self._kept, self._attributes)
            self.__dict__.update({name: pair[1] for name, pair in self._plain.items()})

    def _unbar(self) -> None:
        """Undo `_bar`, where backward has not set the attribute itself."""
        for name, (plain, barred) in self._plain.items():
            if self.__dict__.get(name) is barred:
                self.__dict__[name] = plain
        self._plain = {}

    def _input(self, native: Array, source: Any, place: int | None) -> Any:
        if self._seq < writes.last and writes.since(self._seq, native):
            raise RuntimeError(
                f"a Variable of shape {tuple(native.shape)} that was saved for backward was changed in place after the "
                f"call; save a "
                f"clone() instead"
            )
        if place is not None and self._recorded and self._kept is not None:
            return self._kept.behind_bar(native, lambda other: other._to_save[place])
        if source is None or not self._recorded:
            return make(native)
        if type(source) is Node:
            return make(native, source)
        return source if source._native is native else make(native, Node(ALIAS.plan(1), (source,), (), native))


class Function:
    """An operation with a forward and a backward of one's own, as in PyTorch: subclass it, and call ``apply``.

    ``forward(ctx, *args)`` gets the arguments of ``apply``; what it computes is not recorded. ``backward(ctx,
    *gradients)`` gets a gradient per output and returns one per argument of forward, None for those that need none. It
    is recorded if it is differentiated again; decorate it with `once_differentiable` where that would be wrong.

    Notes
    -----
    What backward computes from inputs and outputs that were saved has derivatives of every order. An array of
    floating-point numbers that is neither, saved or kept as an attribute, has no graph behind it. A second derivative
    that needs its own raises RuntimeError: compute the array anew in backward, or return it as an output, too. To tell
    a constant, such as a mask, from the others, forward is then called again with inputs moved a little. Where there
    are such arrays, the inputs are kept with them.

    Examples
    --------
    >>> import rustorch
    >>> class Exp(rustorch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         out = rustorch.exp(x)
    ...         ctx.save_for_backward(out)
    ...         return out
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (out,) = ctx.saved_tensors
    ...         return g * out
    >>> x = rustorch.tensor(0.0, requires_grad=True)
    >>> Exp.apply(x).backward()
    >>> x.grad.item()
    1.0
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """What the operation computes; subclasses define it."""
        raise NotImplementedError("a Function defines forward(ctx, *args) as a staticmethod")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The gradients of the arguments; subclasses define it."""
        raise NotImplementedError("a Function defines backward(ctx, *gradients) as a staticmethod")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the operation.

        Raises
        ------
        TypeError
            If forward returns anything but a Variable or a tuple of Variables.
        """
        ctx = Context()
        tracked = tuple([isinstance(x, Value) and x._tracked and mode.enabled for x in args])
        ctx.needs_input_grad = tracked
        with set_grad_enabled(False):
            result = cls.forward(ctx, *args)
        several = isinstance(result, tuple)
        outs = result if several else (result,)
        for out in outs:
            if not isinstance(out, Value):
                raise TypeError(
                    f"{cls.__name__}.forward returns a Variable or a tuple of them, not {type(out).__name__}"
                )
        natives = tuple([out._native for out in outs])
        fixed = [
            id(out) in ctx._constant or not floating(BY_TYPE[type(a)], a) for out, a in zip(outs, natives, strict=True)
        ]
        if not any(tracked) or all(fixed):
            made = tuple([make(a) for a in natives])
            return made if several else made[0]
        places = {id(out): i for i, out in enumerate(outs)}
        inputs = {id(x): x for x in args if isinstance(x, Value)}
        own = False
        for place, value in enumerate(ctx._to_save):
            if value is None:
                ctx._saved.append(None)
            elif id(value) in places and id(value) not in inputs:
                ctx._saved.append(places[id(value)])
            elif id(value) in inputs:
                ctx._saved.append((value._native, (value._node or value) if value._tracked else None, None))
            else:
                floats = floating(BY_TYPE[type(value._native)], value._native)
                ctx._saved.append((value._native, None, place if floats else None))
                own |= floats
        keeps_out = any(isinstance(entry, int) for entry in ctx._saved)
        ctx._to_save, ctx._constant = (), set()
        plan = _primitive(cls, len(args), keeps_out, several).plan(0)  # type: ignore[arg-type] # a class has a hash
        parents = tuple([(x._node or x) if needed else None for x, needed in zip(args, tracked, strict=True)])
        shapes = tuple(
            [
                (tuple(x._native.shape), device_of(x._native)) if needed else None
                for x, needed in zip(args, tracked, strict=True)
            ]
        )
        ctx._attributes = attributes(ctx, args)
        if own or ctx._attributes:
            ctx._kept = Kept(cls, args, tracked, parents)
        out = natives if several else natives[0]
        saved = plan.pick((*args, ctx, shapes, out))
        plan = watch_call(plan.primitive, out, plan, saved)
        if several:
            node = node_of_several(plan, parents, saved, natives)
            ctx._seq = node.seq
            return outputs_of(node, natives, fixed)
        made_one = record(out, plan, parents, saved)
        ctx._seq = made_one._node.seq  # type: ignore[union-attr]
        return made_one


@functools.lru_cache(maxsize=256)
def _primitive(cls: type[Function], count: int, keeps_out: bool, several: bool) -> Primitive:
    """The operation of a Function called with so many arguments: its joint rule calls ``backward``."""

    def with_out(xp: Any, g: Any, context: Any, shapes: Any, out: Any) -> list[Any]:
        return _run_backward(cls, g, context, shapes, out)

    def without(xp: Any, g: Any, context: Any, shapes: Any) -> list[Any]:
        return _run_backward(cls, g, context, shapes, None)

    names = tuple(f"argument {i}" for i in range(count))
    return Primitive(
        cls.__name__,
        lambda xp: None,
        joint=with_out if keeps_out else without,
        multiple=several,
        register=False,
        signature=(names, ("context", "shapes")),
    )


def _variables(values: Any) -> tuple[Any, ...]:
    listed = values if type(values) in (tuple, list) else (values,)
    return tuple([v if isinstance(v, Value) else make(v) for v in listed])


def _run_backward(cls: type[Function], g: Any, context: Context, shapes: Sequence[Any], out: Any) -> list[Any]:
    """What a Function's backward returns, checked: native arrays in mode 1, Variables in mode 2."""
    first = g[0] if type(g) in (tuple, list) else g
    recorded = isinstance(first, Value)
    context._recorded = recorded
    context._outs = None if out is None else _variables(out)
    if recorded:
        context._bar()
    try:
        with set_grad_enabled(recorded):
            result = cls.backward(context, *_variables(g))
    finally:
        context._outs = None
        context._unbar()
    found = result if isinstance(result, (tuple, list)) else (result,)
    where = f"{cls.__name__}.backward"
    if len(found) != len(shapes):
        raise RuntimeError(
            f"{where} returned {len(found)} gradients, but forward takes {len(shapes)} arguments: one for each, or None"
        )
    checked: list[Any] = []
    for i, (gradient, wanted) in enumerate(zip(found, shapes, strict=True)):
        if gradient is None or wanted is None:
            checked.append(None)
            continue
        try:
            gradient = adopt(gradient, where)
        except TypeError as error:
            raise TypeError(
                f"{where} returned a {type(gradient).__name__} as the gradient of argument {i}, not a Variable"
            ) from error
        if tuple(gradient._native.shape) != wanted[0]:
            raise RuntimeError(
                f"{where} returned a gradient of shape {tuple(gradient._native.shape)} for argument {i}, whose shape "
                f"is {wanted[0]}"
            )
        if device_of(gradient._native) != wanted[1]:
            raise RuntimeError(
                f"{where} returned a gradient on {device_of(gradient._native)!r} for argument {i}, which is on "
                f"{wanted[1]!r}"
            )
        checked.append(gradient if recorded else gradient._native)
    return checked


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """For a `Function.backward` that cannot be differentiated itself: a second derivative through it raises.

    Examples
    --------
    >>> import rustorch
    >>> class Double(rustorch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...
    ...     @staticmethod
    ...     @rustorch.autograd.once_differentiable
    ...     def backward(ctx, g):
    ...         return rustorch.asarray(g.data * 2)
    """

    @functools.wraps(backward)
    def once(ctx: Context, *gradients: Any) -> Any:
        recorded, ctx._recorded = ctx._recorded, False
        ctx._unbar()
        outs = ctx._outs
        sources = [value._node or value for value in (*gradients, *(outs or ())) if value._tracked]
        sources += [entry[1] for entry in ctx._saved if type(entry) is tuple and entry[1] is not None]
        if ctx._kept is not None:
            sources += [parent for parent in ctx._kept.parents if parent is not None]
        ctx._outs = None if outs is None else tuple([out.detach() for out in outs])
        with set_grad_enabled(False):
            result = backward(ctx, *[g.detach() for g in gradients])
        if not recorded:
            return result
        several = isinstance(result, (tuple, list))
        barred = [
            g if g is None else _barred(adopt(g, "backward"), sources, backward)
            for g in (result if several else [result])
        ]
        return tuple(barred) if several else barred[0]

    return once


def _barred(gradient: Any, sources: Sequence[Any], backward: Callable[..., Any]) -> Any:
    """The gradient with a place in the graph, behind these nodes and leaves, that nobody gets past."""
    name = backward.__qualname__

    def joint(xp: Any, g: Any) -> list[Any]:
        raise RuntimeError(
            f"{name} is marked once_differentiable, so there is no second derivative through it; write it with "
            f"functions of rustorch on "
            f"Variables, and take the mark away"
        )

    if not sources:
        return gradient
    bar = Primitive(
        name, lambda xp: None, joint=joint, register=False, signature=(tuple(map(str, range(len(sources)))), ())
    )
    return record(gradient._native, bar.plan(0), tuple(sources), ())
