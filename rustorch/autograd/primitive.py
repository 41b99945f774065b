"""What an operation is: a forward function and a gradient rule per differentiable input, all written against ``xp``.

A rule's parameters say what it needs: ``xp``, ``g``, then any of the forward's inputs and options by name, ``out`` for
the output, the names in ``aux`` for by-products of the forward, and ``<input>_shape`` for a shape alone. Only what the
rules of the tracked inputs name is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from types import MethodType
from typing import Any

from ..backends import BY_TYPE, Array, Backend, Namespace, of
from ..backends.kernels import KERNELS
from ..backends.promotion import PYTHON_SCALARS
from .check import adopt, common_backend, explain, mixed_kinds, no_array, operands
from .graph import VARIABLES, Node, make, mode, record, switched

Rule = Callable[..., Any]


#: Every primitive by name; kernels among them are what ``xp.<kernel>`` means when rules run on Variables.
REGISTRY: dict[str, Primitive] = {}


#: Dtypes that are known not to be complex, by identity: a library has one object for each.
_REAL: dict[int, Any] = {}


def refuse_complex(name: str, *natives: Any) -> None:
    """Raise TypeError if an array is of complex numbers."""
    for a in natives:
        dtype = getattr(a, "dtype", None)
        if dtype is None or id(dtype) in _REAL:
            continue
        found = BY_TYPE[type(a)].dtype_of(a)
        if found.kind == "c":
            raise TypeError(f"{name} is of real numbers, not of {found}; take their real part, as in rustorch.real(x)")
        if len(_REAL) < 1000:  # as many as there could be, should a library make new ones all the time
            _REAL[id(dtype)] = dtype


class Plan:
    """For one set of tracked inputs of a primitive: what to keep, and which rules to run on it.

    Attributes
    ----------
    keep : sequence of int
        Which of the call's values (inputs, options, output, by-products, shapes) are saved, in this order.
    calls : sequence of (input, rule, count, first, second, indices)
        Rules to run. ``indices`` say which of the saved values the rule takes, ``count`` how many; the first two stand
        beside them, so that a rule of up to two values is called without unpacking.
    runs : bool
        Whether there is a rule at all: without one nothing is recorded.
    """

    __slots__ = ("calls", "joint", "keep", "pick", "primitive", "runs", "shapes")

    def __init__(self, primitive: Primitive, mask: int):
        self.primitive = primitive
        wanted = [i for i in range(len(primitive.rules)) if mask >> i & 1 and primitive.rules[i] is not None]
        tables = [primitive.needs[i] for i in wanted] if primitive.joint is None else [primitive.joint_needs]
        if (
            primitive.aux and primitive.recompute
        ):  # create_graph computes by-products anew, from all that the forward was given
            tables.append(list(range(primitive.arity + primitive.n_options)))
        self.keep = sorted({index for table in tables for index in table})
        self.shapes = any(index >= primitive.n_values for index in self.keep)
        self.pick = _picker(self.keep)
        place = {index: i for i, index in enumerate(self.keep)}
        self.calls: list[tuple[int, Any, int, int, int, tuple[int, ...]]] = []
        for i in wanted if primitive.joint is None else []:
            indices = tuple([place[index] for index in primitive.needs[i]])
            first, second = (*indices, 0, 0)[:2]
            self.calls.append((i, primitive.rules[i], len(indices), first, second, indices))
        self.runs = bool(self.calls) or primitive.joint is not None
        self.joint = None if primitive.joint is None else tuple(place[index] for index in primitive.joint_needs)


def _picker(keep: list[int]) -> Callable[[tuple], tuple]:
    if not keep:
        return lambda values: ()
    if len(keep) == 1:
        first = keep[0]
        return lambda values: (values[first],)
    return itemgetter(*keep)


class Primitive:
    """An operation with gradients of every order.

    Parameters
    ----------
    name : str
        The name of the function it implements; for a kernel, the kernel's.
    forward : callable
        ``forward(xp, x, y, /, option)``: names before the slash are arrays (or None), the others are options. Returns
        the output, or with ``aux`` a tuple of the output and the by-products.
    joint : callable, optional
        One rule for all inputs instead of one each: ``joint(xp, g, ...)`` returns a gradient (or None) per input.
    aux : sequence of str
        Names of the by-products that rules may ask for.
    recompute : bool
        Whether by-products depend smoothly on the inputs, so that second derivatives compute them anew. False for
        indices.
    multiple : bool
        Whether the output is a tuple of arrays; ``g`` and ``out`` are tuples then.
    signature : (inputs, options), optional
        The names, where ``forward`` takes any number of arrays.
    **rules : callable
        A rule per differentiable input, by the input's name.
    """

    def __init__(
        self,
        name: str,
        forward: Callable,
        *,
        joint: Rule | None = None,
        aux: tuple[str, ...] = (),
        recompute: bool = True,
        multiple: bool = False,
        register: bool = True,
        signature: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
        **rules: Rule | None,
    ):
        self.name = name
        self.__name__ = name
        self.forward = forward
        self.aux = aux
        self.multiple = multiple
        self.recompute = recompute
        #: Whether it is the library's own: the gradients that a joint rule returns are new arrays then, or ``g`` itself
        self.builtin = register
        code = forward.__code__
        names = list(code.co_varnames[1 : code.co_argcount])
        self.arity = code.co_posonlyargcount - 1
        if signature is not None:
            names, self.arity = [*signature[0], *signature[1]], len(signature[0])
        self.inputs = tuple(names[: self.arity])
        self.n_options = len(names) - self.arity
        unknown = set(rules) - set(self.inputs)
        if unknown:
            raise TypeError(f"{name}: rules for {sorted(unknown)}, but the inputs are {list(self.inputs)}")
        values = [*names, "out", *aux]
        self.n_values = len(values)
        values += [f"{x}_shape" for x in self.inputs]
        self.values = values
        self.rules = [rules.get(x) for x in self.inputs]
        self.needs = [[] if rule is None else self._needs(rule) for rule in self.rules]
        self.joint = joint
        self.joint_needs = [] if joint is None else self._needs(joint)
        #: Whether it is of real numbers alone, and refuses complex ones
        self.real = False
        self._single = self.arity == 1 and not aux and not multiple
        self._plans: dict[int, Plan] = {}
        self._bound: dict[type, Callable] = {}
        if register:
            REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def _needs(self, rule: Rule) -> list[int]:
        code = rule.__code__
        names = code.co_varnames[: code.co_argcount]
        try:
            if names[:2] != ("xp", "g"):
                raise ValueError
            return [self.values.index(name) for name in names[2:]]
        except ValueError:
            raise TypeError(
                f"{self.name}: a rule takes xp, g, and any of {self.values}; this one takes {list(names)}"
            ) from None

    def plan(self, mask: int) -> Plan:
        """The plan for the inputs whose bits are set."""
        found = self._plans.get(mask)
        if found is None:
            found = self._plans[mask] = Plan(self, mask)
        return found

    def bind(self, kind: type, backend: Backend) -> Callable:
        """The forward function for one backend's arrays."""
        # a method of xp, as it were: cheaper to call than a partial
        bound = self._bound[kind] = backend.bind(MethodType(self.forward, backend.xp))
        return bound

    def call(self, x: Any, *others: Any) -> Any:
        """The operation on these inputs and options, in the order of the forward's parameters."""
        if not self._single or type(x) not in VARIABLES:
            return self._of_any((x, *others))
        # one array, one output: without the generality
        a = x._native
        kind = type(a)
        if self.real and id(a.dtype) not in _REAL:
            refuse_complex(self.name, a)
        try:
            out = (self._bound.get(kind) or self.bind(kind, BY_TYPE[kind]))(a, *others)
        except Exception as error:
            raise explain(self.name, (a,), error) from error
        if (
            type(out) is not kind
        ):  # a scalar that a 0-d array decayed to, or an array of the library that it was moved to
            out = (BY_TYPE.get(type(out)) or of(out) or BY_TYPE[kind]).as_array(out)
        if x._tracked and (not switched.off or mode.on):
            plan = self._plans.get(1) or self.plan(1)
            if plan.runs:
                return record(out, plan, (x._node or x,), plan.pick((a, *others, out, a.shape)))
        return make(out)

    __call__ = call

    def _of_any(self, args: tuple) -> Any:
        arity = self.arity
        natives: list[Any] = []
        parents: list[Any] = []
        kind: Any = None
        mask, bit, several = 0, 1, False
        for x in args[:arity]:
            if type(x) in VARIABLES:
                a = x._native
                natives.append(a)
                if x._tracked:
                    mask |= bit
                    parents.append(x._node or x)
                else:
                    parents.append(None)
                if kind is None:
                    kind = type(a)
                    several = BY_TYPE[kind].multi_device
                elif type(a) is not kind or several:
                    kind = common_backend(self.name, args[:arity])
            elif x is None or type(x) in PYTHON_SCALARS:
                natives.append(x)
                parents.append(None)
            else:
                return self(
                    *[v if v is None or type(v) in PYTHON_SCALARS else adopt(v, self.name, args) for v in args[:arity]],
                    *args[arity:],
                )
            bit += bit
        if kind is None:
            raise TypeError(no_array(self.name, args[0]))
        if self.real:
            refuse_complex(self.name, *natives)
        try:
            out = (self._bound.get(kind) or self.bind(kind, BY_TYPE[kind]))(*natives, *args[arity:])
        except Exception as error:
            raise explain(self.name, natives, error) from error
        aux: Any = ()
        if self.aux:
            out, *aux = out
        if self.multiple:
            return self._record_many(out, aux, kind, natives, args, parents, mask)
        if type(out) is not kind:  # as above
            out = (of(out) or BY_TYPE[kind]).as_array(out)
        if mask and (not switched.off or mode.on):
            plan = self._plans.get(mask) or self.plan(mask)
            if plan.runs:
                values = (*natives, *args[arity:], out, *aux)
                if plan.shapes:
                    values += tuple([getattr(a, "shape", None) for a in natives])
                return record(out, plan, tuple(parents), plan.pick(values))
        return make(out)

    def _record_many(
        self, outs: Any, aux: Any, kind: type, natives: list, args: tuple, parents: list, mask: int
    ) -> tuple:
        backend = BY_TYPE[kind]
        outs = tuple([a if type(a) is kind else backend.as_array(a) for a in outs])
        plan = self.plan(mask)
        if not (mask and mode.enabled and plan.runs and outs):
            return tuple([make(a) for a in outs])
        values = (*natives, *args[self.arity :], outs, *aux, *[getattr(a, "shape", None) for a in natives])
        node = Node(plan, tuple(parents), plan.pick(values), outs[0])
        node.shape = tuple([a.shape for a in outs])
        node.dtype = tuple([a.dtype for a in outs])
        # an integer output (an index, a permutation) has no gradient
        return tuple(
            [
                make(a, Node(SELECT.plan(1), (node,), (i,), a)) if floating(backend, a) else make(a)
                for i, a in enumerate(outs)
            ]
        )


def floating(backend: Backend, array: Array) -> bool:
    """Whether an array's values have gradients."""
    return backend.dtype_of(array).kind in "fcV"


#: The edge from one output of a many-valued primitive to its node; the engine puts the gradient in place ``index``.
SELECT = Primitive("select", lambda xp, x, /, index: x, register=False, x=lambda xp, g, index: g)


# -- the two shapes that nearly every call has, without the generality -------------------------------------------------
def _bind(name: str, bound: dict[type, Callable], kind: type) -> Callable:
    backend = BY_TYPE[kind]
    found = bound[kind] = backend.bind(backend.function(name))
    return found


def unary(name: str, rule: Rule | None) -> Callable:
    """The function of one array that ``xp.<name>`` is, recording ``rule``."""
    primitive = Primitive(name, lambda xp, x, /: getattr(xp, name)(x), x=rule)
    bound: dict[type, Callable] = {}
    plan = primitive.plan(1)
    runs = plan.runs
    keeps_x, keeps_out = 0 in plan.keep, 1 in plan.keep

    def function(x: Any, /) -> Any:
        if type(x) not in VARIABLES:
            x = adopt(x, name, (x,))
        a = x._native
        kind = type(a)
        try:
            out = (bound.get(kind) or _bind(name, bound, kind))(a)
        except Exception as error:
            raise explain(name, (a,), error) from error
        if type(out) is not kind:
            out = BY_TYPE[kind].as_array(out)
        if x._tracked and runs and (not switched.off or mode.on):
            saved = ((a, out) if keeps_out else (a,)) if keeps_x else ((out,) if keeps_out else ())
            return record(out, plan, (x._node or x,), saved)
        return make(out)

    return _dressed(function, name)


#: What most functions of two arrays keep: both of them.
_BOTH = [0, 1]


def binary(name: str, rule1: Rule | None, rule2: Rule | None) -> Callable:
    """The function of two arrays (or an array and a Python number) that ``xp.<name>`` is, recording the rules.

    Its attribute ``operator`` is the same for use behind ``x1 + x2``: NotImplemented for an operand that no backend
    knows.
    """
    primitive = Primitive(name, lambda xp, x1, x2, /: getattr(xp, name)(x1, x2), x1=rule1, x2=rule2)
    bound: dict[type, Callable] = {}
    plans = [primitive.plan(mask) for mask in range(4)]

    def operator(x1: Any, x2: Any, /) -> Any:
        if type(x1) in VARIABLES and type(x2) in VARIABLES:
            a, b = x1._native, x2._native
            kind = type(a)
            if type(b) is not kind or BY_TYPE[kind].multi_device:
                kind = common_backend(name, (x1, x2))
            if a.dtype is not b.dtype:
                mixed_kinds(name, kind, a, b)
        else:
            given = operands(name, x1, x2)
            if given is None:
                return NotImplemented
            x1, x2, a, b, kind = given
        try:
            out = (bound.get(kind) or _bind(name, bound, kind))(a, b)
        except Exception as error:
            raise explain(name, (a, b), error) from error
        if type(out) is not kind:
            out = BY_TYPE[kind].as_array(out)
        if (x1._tracked or x2._tracked) and (not switched.off or mode.on):
            plan = plans[x1._tracked + 2 * x2._tracked]
            if plan.runs:
                parents = (x1._node or x1 if x1._tracked else None, x2._node or x2 if x2._tracked else None)
                keep = plan.keep
                return record(out, plan, parents, (a, b) if keep == _BOTH else plan.pick((a, b, out)) if keep else ())
        return make(out)

    def function(x1: Any, x2: Any, /) -> Any:
        out = operator(x1, x2)
        return _refuse(name, x1, x2) if out is NotImplemented else out

    function.operator = operator  # type: ignore[attr-defined]
    return _dressed(function, name)


def _refuse(name: str, *operands: Any) -> None:
    """Raise for operands of which one is no array: `adopt` says how."""
    for x in operands:
        if type(x) not in PYTHON_SCALARS:
            adopt(x, name, operands)


def _dressed(function: Callable, name: str) -> Callable:
    function.__name__ = function.__qualname__ = name
    return function


def variable_namespace(module: Any) -> Namespace:
    """``xp`` for rules that run on Variables: a kernel is the primitive of its name, the rest is the public face."""

    def find(name: str) -> Any:
        if name in KERNELS:
            primitive = REGISTRY.get(name)
            # one with by-products returns them only in its plain version
            return partial(KERNELS[name], namespace) if primitive is None or primitive.aux else primitive
        return getattr(module, name)

    namespace: Namespace = Namespace("rustorch", find)
    return namespace
