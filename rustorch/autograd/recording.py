"""Calling a primitive: compute its output, and record the call if a gradient may be asked for.

`general` is the definition of what a call does. The fast paths below it do the same for the most frequent calls with
less work, and leave every other call to `general`. tests/autograd/test_paths.py runs random programs through both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..backends import BY_TYPE, MULTI_DEVICE, Array, Backend, of
from ..backends.promotion import PYTHON_SCALARS
from .check import (
    adopt,
    common_backend,
    explain,
    known_real,
    no_array,
    promotable,
    refuse_complex,
    weak_number,
)
from .graph import FAST_TYPES, VARIABLES, Node, general_path, make, record
from .modes import mode, switched

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from ..variable import Variable
    from .primitive import Plan, Primitive


class Watch(Protocol):
    """A function that sees every call of every thread, for as long as `watched_by` has it.

    It gets the primitive, the output (a tuple where there are several), the plan with which the call will be recorded
    (None if it will not), and the values that are saved. It returns the plan and the saved values to record with: the
    same, or a plan whose rules do more, and what these rules take.
    """

    def __call__(
        self, primitive: Primitive, out: Any, plan: Plan | None, saved: tuple[Any, ...]
    ) -> tuple[Plan | None, tuple[Any, ...]]: ...


class _Watches:
    """The watches in use, each with the number of contexts that use it."""

    def __init__(self) -> None:
        self.count: dict[Watch, int] = {}
        self.functions: tuple[Watch, ...] = ()

    def change(self, watch: Watch, by: int) -> None:
        with general_path._lock:
            self.count[watch] = self.count.get(watch, 0) + by
            if not self.count[watch]:
                del self.count[watch]
            self.functions = tuple(self.count)


_watches = _Watches()


class watched_by(general_path):
    """A context in which ``watch`` sees every call, in every thread. All calls take the general path meanwhile."""

    def __init__(self, watch: Watch):
        self._watch = watch

    def __enter__(self) -> None:
        _watches.change(self._watch, 1)
        super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__()
        _watches.change(self._watch, -1)


# -- the general path --------------------------------------------------------------------------------------------------
def general(primitive: Primitive, args: tuple[Any, ...]) -> tuple[Any, Sequence[Any]]:
    """Call a primitive on its inputs and options, in the order of its forward function's parameters.

    Returns
    -------
    (Variable or tuple of Variables, sequence of arrays)
        The output or outputs, and the by-products.
    """
    arity = primitive.arity
    natives: list[Any] = []
    parents: list[Any] = []
    array_type: Any = None
    mask, bit, several_devices = 0, 1, False  # the mask has a bit for each input that requires grad
    for x in args[:arity]:
        if type(x) in VARIABLES:
            a = x._native
            natives.append(a)
            if x._tracked:
                mask |= bit
                parents.append(x._node or x)
            else:
                parents.append(None)
            if array_type is None:
                array_type = type(a)
                several_devices = BY_TYPE[array_type].multi_device
            elif type(a) is not array_type or several_devices:
                array_type = common_backend(primitive.name, args[:arity])
        elif x is None or type(x) in PYTHON_SCALARS:
            natives.append(x)
            parents.append(None)
        else:
            return general(primitive, (*_adopted(primitive, args), *args[arity:]))
        bit += bit
    if array_type is None:
        raise TypeError(no_array(primitive.name, args[0]))
    if primitive.real:
        refuse_complex(primitive.name, *natives)
    options = args[arity:]
    try:
        out = (primitive.bound.get(array_type) or primitive.bind(array_type))(*natives, *options)
    except Exception as error:
        raise explain(primitive.name, natives, error) from error
    by_products: Sequence[Any] = ()
    if primitive.aux:
        out, *by_products = out
    if primitive.multiple:
        out = tuple([_as_array(a, array_type) for a in out])
    elif type(out) is not array_type:
        out = _as_array(out, array_type)
    plan: Plan | None = None
    saved: tuple[Any, ...] = ()
    if mask and (not switched.off or mode.on):
        plan = primitive.plans.get(mask) or primitive.plan(mask)
        if plan.runs:
            values = (*natives, *options, out, *by_products)
            if plan.shapes:
                values += tuple([getattr(a, "shape", None) for a in natives])
            saved = plan.pick(values)
        else:
            plan = None
    for watch in _watches.functions:
        plan, saved = watch(primitive, out, plan, saved)
    if primitive.multiple:
        return _several(out, plan, tuple(parents), saved), by_products
    return (make(out) if plan is None else record(out, plan, tuple(parents), saved)), by_products


def _adopted(primitive: Primitive, args: tuple[Any, ...]) -> list[Any]:
    """The inputs, with Variables in place of bare arrays."""
    return [
        x if x is None or type(x) in PYTHON_SCALARS else adopt(x, primitive.name, args) for x in args[: primitive.arity]
    ]


def _as_array(out: Any, array_type: type) -> Array:
    """The output as an array: NumPy and CuPy return scalars for results without dimensions."""
    if type(out) is array_type:
        return out
    return (of(out) or BY_TYPE[array_type]).as_array(out)  # an array on another device is of another type, too


def _several(
    outs: tuple[Any, ...], plan: Plan | None, parents: tuple[Any, ...], saved: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Variables around the outputs of one call."""
    if plan is None or not outs:
        return tuple([make(a) for a in outs])
    constant = [not floating(of(a), a) for a in outs]  # an index or a permutation has no gradient
    return outputs_of(node_of_several(plan, parents, saved, outs), outs, constant)


def floating(backend: Backend | None, array: Array) -> bool:
    """Whether an array's values have gradients."""
    return backend is not None and backend.dtype_of(array).kind in "fcV"


def node_of_several(plan: Plan, parents: tuple[Any, ...], saved: tuple[Any, ...], outs: tuple[Any, ...]) -> Node:
    """The node of a call with several outputs: its shape and dtype are tuples."""
    node = Node(plan, parents, saved, outs[0])
    node.shape = tuple([a.shape for a in outs])
    node.dtype = tuple([a.dtype for a in outs])
    return node


def outputs_of(node: Node, outs: tuple[Any, ...], constant: Sequence[bool]) -> tuple[Any, ...]:
    """Variables around the outputs of a node. Gradients come back through a node of SELECT for each output."""
    select = type(node.primitive).select
    return tuple(
        [
            make(a) if fixed else make(a, Node(select, (node,), (i,), a))
            for i, (a, fixed) in enumerate(zip(outs, constant, strict=True))
        ]
    )


def watch_call(primitive: Primitive, out: Any, plan: Plan, saved: tuple[Any, ...]) -> tuple[Plan, tuple[Any, ...]]:
    """Let the watches see a call that is recorded by other means than `general`. Returns what to record it with."""
    for watch in _watches.functions:
        plan, saved = watch(primitive, out, plan, saved)  # type: ignore[assignment]
    return plan, saved


# -- the fast paths ----------------------------------------------------------------------------------------------------
def function_of(primitive: Primitive) -> Callable[..., Any]:
    """The function that calls a primitive on its inputs and options, by position."""
    if not primitive.multiple and primitive.arity == 1 and not primitive.aux:
        return _function_of_one(primitive)
    if not primitive.multiple and primitive.arity == 3:
        return _function_of_three(primitive)
    return lambda *args: general(primitive, args)[0]


def _function_of_one(primitive: Primitive) -> Callable[..., Any]:
    """`function_of` for one array, options, and one output without by-products."""
    name, bound, plans = primitive.name, primitive.bound, primitive.plans

    def function(x: Any, *options: Any) -> Any:
        if type(x) not in FAST_TYPES:
            return general(primitive, (x, *options))[0]
        a = x._native
        array_type = type(a)
        if primitive.real and id(a.dtype) not in known_real:
            refuse_complex(name, a)
        try:
            forward = bound.get(array_type) or primitive.bind(array_type)
            out = forward(a, *options) if options else forward(a)
        except Exception as error:
            raise explain(name, (a,), error) from error
        if type(out) is not array_type:
            out = _as_array(out, array_type)
        if x._tracked and (not switched.off or mode.on):
            plan = plans.get(1) or primitive.plan(1)
            if plan.runs:
                values = (a, *options, out, a.shape) if options or plan.shapes else (a, out)
                return record(out, plan, (x._node or x,), plan.pick(values))
        return make(out)

    return function


def _function_of_three(primitive: Primitive) -> Callable[..., Any]:
    """`function_of` for three arrays, the last of which is often None, and one output. So layers such as `linear` take
    two thirds of the steps of `general`.
    """
    name, has_aux, bound, plans = primitive.name, bool(primitive.aux), primitive.bound, primitive.plans

    def function(x1: Any, x2: Any, x3: Any, *options: Any) -> Any:
        if type(x1) not in FAST_TYPES or type(x2) not in FAST_TYPES or (x3 is not None and type(x3) not in FAST_TYPES):
            return general(primitive, (x1, x2, x3, *options))[0]
        a, b, c = x1._native, x2._native, None if x3 is None else x3._native
        array_type = type(a)
        if type(b) is not array_type or not (c is None or type(c) is array_type) or array_type in MULTI_DEVICE:
            return general(primitive, (x1, x2, x3, *options))[0]
        if primitive.real and (id(a.dtype) not in known_real or id(b.dtype) not in known_real or c is not None):
            refuse_complex(name, a, b, c)
        try:
            out = (bound.get(array_type) or primitive.bind(array_type))(a, b, c, *options)
        except Exception as error:
            raise explain(name, (a, b, c), error) from error
        by_products: Sequence[Any] = ()
        if has_aux:
            out, *by_products = out
        if type(out) is not array_type:
            out = _as_array(out, array_type)
        tracked1, tracked2, tracked3 = x1._tracked, x2._tracked, x3 is not None and x3._tracked
        if (tracked1 or tracked2 or tracked3) and (not switched.off or mode.on):
            mask = tracked1 + 2 * tracked2 + 4 * tracked3
            plan = plans.get(mask) or primitive.plan(mask)
            if plan.runs:
                values = (a, b, c, *options, out, *by_products)
                if plan.shapes:
                    values += (a.shape, b.shape, None if c is None else c.shape)
                parents = (
                    x1._node or x1 if tracked1 else None,
                    x2._node or x2 if tracked2 else None,
                    x3._node or x3 if tracked3 else None,
                )
                return record(out, plan, parents, plan.pick(values))
        return make(out)

    return function


def unary_function(primitive: Primitive) -> Callable[[ArrayLike], Variable]:
    """The function of one array that calls a primitive whose forward is a function of ``xp`` with the same name."""
    name, plan = primitive.name, primitive.plan(1)
    bound: dict[type, Callable[..., Any]] = {}
    runs, keeps_x, keeps_out = plan.runs, 0 in plan.keep, 1 in plan.keep

    def function(x: Any, /) -> Any:
        if type(x) not in FAST_TYPES:
            return general(primitive, (x,))[0]
        a = x._native
        array_type = type(a)
        try:
            out = (bound.get(array_type) or _bind(bound, name, array_type))(a)
        except Exception as error:
            raise explain(name, (a,), error) from error
        if type(out) is not array_type:
            out = BY_TYPE[array_type].as_array(out)
        if x._tracked and runs and (not switched.off or mode.on):
            saved = ((a, out) if keeps_out else (a,)) if keeps_x else ((out,) if keeps_out else ())
            return record(out, plan, (x._node or x,), saved)
        return make(out)

    return function


def binary_operator(primitive: Primitive) -> Callable[[Any, Any], Variable]:
    """The function of two arrays, or an array and a Python number, that calls a primitive as `unary_function` does.

    It serves operators such as ``x1 + x2`` and returns NotImplemented for an operand that no backend knows.
    """
    name, first, second, both = primitive.name, primitive.plan(1), primitive.plan(2), primitive.plan(3)
    bound: dict[type, Callable[..., Any]] = {}

    def operator(x1: Any, x2: Any, /) -> Any:
        if type(x1) in FAST_TYPES and type(x2) in FAST_TYPES:
            a, b = x1._native, x2._native
            array_type = type(a)
            if type(b) is not array_type or a.dtype is not b.dtype or array_type in MULTI_DEVICE:
                return _call_promoted(primitive, x1, x2)
            tracked1, tracked2 = x1._tracked, x2._tracked
        elif type(x1) in FAST_TYPES and type(x2) in PYTHON_SCALARS:
            a, b = x1._native, x2
            weak_number(name, b, a)
            array_type, tracked1, tracked2 = type(a), x1._tracked, False
        elif type(x2) in FAST_TYPES and type(x1) in PYTHON_SCALARS:
            a, b = x1, x2._native
            weak_number(name, a, b)
            array_type, tracked1, tracked2 = type(b), False, x2._tracked
        else:
            return _call_promoted(primitive, x1, x2)
        try:
            out = (bound.get(array_type) or _bind(bound, name, array_type))(a, b)
        except Exception as error:
            raise explain(name, (a, b), error) from error
        if type(out) is not array_type:
            out = BY_TYPE[array_type].as_array(out)
        if (tracked1 or tracked2) and (not switched.off or mode.on):
            plan = (both if tracked2 else first) if tracked1 else second
            if plan.runs:
                parents = (x1._node or x1 if tracked1 else None, x2._node or x2 if tracked2 else None)
                saved = (a, b) if plan.keeps_pair else plan.pick((a, b, out)) if plan.keep else ()
                return record(out, plan, parents, saved)
        return make(out)

    return operator


def _call_promoted(primitive: Primitive, x1: Any, x2: Any) -> Any:
    """The general path of a binary operator: check how the operands promote, then call."""
    operands = promotable(primitive.name, x1, x2)
    return NotImplemented if operands is None else general(primitive, operands)[0]


def _bind(bound: dict[type, Callable[..., Any]], name: str, array_type: type) -> Callable[..., Any]:
    """Bind the function of this name of the namespace for an array type, and keep it in ``bound``."""
    backend = BY_TYPE[array_type]
    function = bound[array_type] = backend.bind(backend.function(name))
    return function
