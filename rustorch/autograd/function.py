"""Function: operations with their own forward and backward, in PyTorch's style."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..backends import BY_TYPE, device_of
from .check import adopt
from .function_context import Context
from .function_saved import Kept, attributes
from .graph import Value, make, record
from .modes import mode, set_grad_enabled
from .primitive import Primitive
from .recording import floating, node_of_several, outputs_of, watch_call

__all__ = ["Context", "Function", "once_differentiable"]


class Function:
    """An operation with its own forward and backward, as in PyTorch: subclass it, and call ``apply``.

    ``forward(ctx, *args)`` gets the arguments of ``apply``; its operations are not recorded. ``backward(ctx,
    *gradients)`` gets a gradient per output and returns one per argument of forward, None for those that need none. Its
    operations are recorded if it is to be differentiated again; if that would give wrong numbers, decorate it with
    `once_differentiable`.

    Notes
    -----
    What backward computes from saved inputs and outputs has derivatives of every order. A floating-point array that is
    neither, and is saved or kept as an attribute, has no graph. A second derivative through such an array raises
    RuntimeError, unless the array is constant, such as a mask: compute the array anew in backward, or return it as an
    output, too. To find out whether it is constant, rustorch calls forward again with inputs that are changed a little;
    it keeps the inputs for that.

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
        """Compute the output, a Variable or a tuple of them. Subclasses define it."""
        raise NotImplementedError("a Function defines forward(ctx, *args) as a staticmethod")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Compute the gradients of forward's arguments. Subclasses define it."""
        raise NotImplementedError("a Function defines backward(ctx, *gradients) as a staticmethod")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the operation: run forward, and record the call if an argument requires grad.

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
        has_own_arrays = _save(ctx, outs, args)
        keeps_out = any(isinstance(entry, int) for entry in ctx._saved)
        plan = _primitive(cls, len(args), keeps_out, several).plan(0)  # type: ignore[arg-type] # a class has a hash
        parents = tuple([(x._node or x) if needed else None for x, needed in zip(args, tracked, strict=True)])
        shapes = tuple(
            [
                (tuple(x._native.shape), device_of(x._native)) if needed else None
                for x, needed in zip(args, tracked, strict=True)
            ]
        )
        ctx._attributes = attributes(ctx, args)
        if has_own_arrays or ctx._attributes:
            ctx._kept = Kept(cls, Context, args, tracked, parents)
        out = natives if several else natives[0]
        saved = plan.pick((*args, ctx, shapes, out))
        plan, saved = watch_call(plan.primitive, out, plan, saved)
        if several:
            node = node_of_several(plan, parents, saved, natives)
            ctx._seq = node.seq
            return outputs_of(node, natives, fixed)
        made_one = record(out, plan, parents, saved)
        ctx._seq = made_one._node.seq  # type: ignore[union-attr]
        return made_one


def _save(ctx: Context, outs: Sequence[Any], args: Sequence[Any]) -> bool:
    """Turn the values of ``save_for_backward`` into entries of ``ctx._saved``.

    Returns
    -------
    bool
        Whether a floating-point array among them is neither an input nor an output.
    """
    places = {id(out): i for i, out in enumerate(outs)}
    inputs = {id(x) for x in args if isinstance(x, Value)}
    has_own_arrays = False
    for place, value in enumerate(ctx._to_save):
        if value is None:
            ctx._saved.append(None)
        elif id(value) in inputs:
            ctx._saved.append((value._native, (value._node or value) if value._tracked else None, None))
        elif id(value) in places:
            ctx._saved.append(places[id(value)])
        else:
            is_floating = floating(BY_TYPE[type(value._native)], value._native)
            ctx._saved.append((value._native, None, place if is_floating else None))
            has_own_arrays |= is_floating
    ctx._to_save, ctx._constant = (), set()
    return has_own_arrays


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
    """Run a Function's backward and check its gradients: native arrays in mode 1, Variables in mode 2."""
    first = g[0] if type(g) in (tuple, list) else g
    recorded = isinstance(first, Value)
    context._recorded = recorded
    context._outs = None if out is None else _variables(out)
    if recorded:
        context.set_barriers()
    try:
        with set_grad_enabled(recorded):
            result = cls.backward(context, *_variables(g))
    finally:
        context._outs = None
        context.remove_barriers()
    gradients = result if isinstance(result, (tuple, list)) else (result,)
    where = f"{cls.__name__}.backward"
    if len(gradients) != len(shapes):
        raise RuntimeError(
            f"{where} returned {len(gradients)} gradients, but forward takes {len(shapes)} arguments: one for each, or "
            f"None"
        )
    checked: list[Any] = []
    for i, (gradient, expected) in enumerate(zip(gradients, shapes, strict=True)):
        if gradient is None or expected is None:
            checked.append(None)
            continue
        try:
            gradient = adopt(gradient, where)
        except TypeError as error:
            raise TypeError(
                f"{where} returned a {type(gradient).__name__} as the gradient of argument {i}, not a Variable"
            ) from error
        if tuple(gradient._native.shape) != expected[0]:
            raise RuntimeError(
                f"{where} returned a gradient of shape {tuple(gradient._native.shape)} for argument {i}, whose shape "
                f"is {expected[0]}"
            )
        if device_of(gradient._native) != expected[1]:
            raise RuntimeError(
                f"{where} returned a gradient on {device_of(gradient._native)!r} for argument {i}, which is on "
                f"{expected[1]!r}"
            )
        checked.append(gradient if recorded else gradient._native)
    return checked


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a `Function.backward` that cannot be differentiated: a second derivative through it raises RuntimeError.

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
        ctx.remove_barriers()
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
        gradients_out = [
            g if g is None else _behind_barrier(adopt(g, "backward"), sources, backward)
            for g in (result if several else [result])
        ]
        return tuple(gradients_out) if several else gradients_out[0]

    return once


def _behind_barrier(gradient: Any, sources: Sequence[Any], backward: Callable[..., Any]) -> Any:
    """The gradient behind a node that depends on these nodes and leaves, and whose rule raises."""
    name = backward.__qualname__

    def joint(xp: Any, g: Any) -> list[Any]:
        raise RuntimeError(
            f"{name} is marked once_differentiable, so there is no second derivative through it; write it with "
            f"functions of rustorch on Variables, and take the mark away"
        )

    if not sources:
        return gradient
    barrier = Primitive(
        name, lambda xp: None, joint=joint, register=False, signature=(tuple(map(str, range(len(sources)))), ())
    )
    return record(gradient._native, barrier.plan(0), tuple(sources), ())
