"""What an operation is: a forward function and a gradient rule per differentiable input, all written against ``xp``.

The parameters of a rule name what the rule needs: ``xp``, ``g``, then any of the forward's inputs and options, ``out``
for the output, the names in ``aux`` for by-products of the forward, and ``<input>_shape`` for a shape alone. A call
saves only what the rules of its tracked inputs name. `recording` says how a call is computed and recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..backends import BY_TYPE, Namespace
from ..backends.kernels import KERNELS
from ..backends.promotion import PYTHON_SCALARS
from . import recording
from .check import adopt

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from ..variable import Variable

Rule = Callable[..., Any]

#: Every primitive of the library by name. In a rule that runs on Variables, ``xp.<kernel>`` is such a primitive.
REGISTRY: dict[str, Primitive] = {}


#: An input, its rule, and which of the saved values the rule takes. See `Plan`.
Call = tuple[int, Any, int, int, int, tuple[int, ...]]


class Plan:
    """What a call of a primitive saves, and which rules backward runs, for one set of tracked inputs.

    Attributes
    ----------
    keep : sequence of int
        Indices of the call's values (inputs, options, output, by-products, shapes) that are saved, in this order.
    keeps_pair : bool
        Whether it keeps the first two values, which are the inputs of a binary function, and no others.
    pick : callable
        Returns the saved values, given all of the call's values.
    shapes : bool
        Whether shapes are among the saved values.
    calls : sequence of (input, rule, count, first, second, indices)
        The rules to run. ``indices`` are those of the saved values that the rule takes, ``count`` is their number;
        the first two stand beside them, so that the engine calls a rule of up to two values without unpacking.
    pair : int
        The first of the two inputs whose gradients one of these rules returns, as a tuple; -1 if none does.
    alone : sequence of (input, rule, count, first, second, indices)
        The rules of these two, for a backward that needs only one of them.
    joint : tuple of int or None
        Indices of the saved values that the joint rule takes, if there is one.
    runs : bool
        Whether there is a rule at all: without one nothing is recorded.
    """

    __slots__ = ("alone", "calls", "joint", "keep", "keeps_pair", "pair", "pick", "primitive", "runs", "shapes")

    def __init__(self, primitive: Primitive, mask: int):
        self.primitive = primitive
        wanted = [i for i in range(len(primitive.rules)) if mask >> i & 1 and primitive.rules[i] is not None]
        rules = [(i, primitive.rules[i], primitive.needs[i]) for i in wanted]
        self.pair, alone, last = -1, rules[:0], primitive.arity - 1
        if primitive.pair is not None and wanted[-2:] == [last - 1, last]:
            self.pair, alone = last - 1, rules[-2:]
            # it runs first: then no other gradient of this call is pending when it returns two
            rules = [(last - 1, primitive.pair, primitive.pair_needs), *rules[:-2]]
        tables = [needs for _, _, needs in rules] if primitive.joint is None else [primitive.joint_needs]
        if primitive.aux and primitive.recompute:
            # create_graph computes the by-products anew, from all inputs and options
            tables.append(list(range(primitive.arity + primitive.n_options)))
        self.keep = sorted({index for table in tables for index in table})
        self.shapes = any(index >= primitive.n_values for index in self.keep)
        self.keeps_pair = self.keep == [0, 1]
        self.pick = _picker(self.keep)
        place = {index: i for i, index in enumerate(self.keep)}
        self.calls: list[Call] = []
        self.alone: list[Call] = []
        for calls, those in ((self.calls, rules), (self.alone, alone)) if primitive.joint is None else ():
            for i, rule, needs in those:
                indices = tuple([place[index] for index in needs])
                first, second = (*indices, 0, 0)[:2]
                calls.append((i, rule, len(indices), first, second, indices))
        self.runs = bool(self.calls) or primitive.joint is not None
        self.joint = None if primitive.joint is None else tuple(place[index] for index in primitive.joint_needs)


def _picker(keep: list[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
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
    pair : callable, optional
        One rule for the last two inputs, such as a weight and a bias. It runs instead of their own rules if both are
        tracked: ``pair(xp, g, ...)`` returns both gradients. It takes the same values as the weight's own rule. The
        bias's own rule takes ``xp`` and ``g`` alone.
    aux : sequence of str
        Names of the by-products. Rules may name them, and `with_by_products` returns them to the caller.
    recompute : bool
        Whether by-products depend smoothly on the inputs, so that second derivatives compute them anew. False for
        indices.
    multiple : bool
        Whether the output is a tuple of arrays; ``g`` and ``out`` are tuples then.
    register : bool
        Whether rules reach the primitive as ``xp.<name>``; False for those that are not the library's own.
    signature : (inputs, options), optional
        The names, where ``forward`` takes any number of arrays.
    **rules : callable
        A rule per differentiable input, by the input's name.
    """

    #: The plan of `SELECT` for the outputs of primitives that have several.
    select: ClassVar[Plan]

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        *,
        joint: Rule | None = None,
        pair: Rule | None = None,
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
        #: Whether it is the library's own
        self.builtin = register
        #: Whether no array that a joint rule returns is used elsewhere, unless it is ``g``
        self.fresh = register
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
        self.pair = pair
        self.pair_needs = [] if pair is None else self._needs(pair)
        if pair is not None and (joint is not None or None in self.rules or self.needs[-2:] != [self.pair_needs, []]):
            raise TypeError(
                f"{name}: a pair needs a rule for each of the inputs {list(self.inputs)}; the rule of the pair takes "
                f"what that of the last but one takes, and the last one's takes xp and g"
            )
        #: Whether others read what its nodes saved, so that `checkpoint` must not drop it
        self.keeps_saved = False
        #: Whether it takes real numbers alone and refuses complex ones
        self.real = False
        #: Set of tracked inputs, a bit for each -> its plan
        self.plans: dict[int, Plan] = {}
        #: Type of an array -> the forward function, bound to the namespace of the array's backend
        self.bound: dict[type, Callable[..., Any]] = {}
        #: Calls the primitive as `__call__` does
        self.call: Callable[..., Variable] = recording.function_of(self)
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
        found = self.plans.get(mask)
        if found is None:
            found = self.plans[mask] = Plan(self, mask)
        return found

    def bind(self, array_type: type) -> Callable[..., Any]:
        """The forward function for the arrays of one backend, ready to be called without ``xp``."""
        backend = BY_TYPE[array_type]
        # a method of xp is cheaper to call than a partial
        function = self.bound[array_type] = backend.bind(MethodType(self.forward, backend.xp))
        return function

    def __call__(self, *args: Any) -> Variable:
        return self.call(*args)

    def with_by_products(self, *args: Any) -> tuple[Variable, Sequence[Any]]:
        """Call the primitive and return the output and the by-products, as native arrays in the order of ``aux``."""
        return recording.general(self, args)


#: Leads from one output of a primitive with several outputs to its node. The engine puts the gradient at ``index``.
SELECT = Primitive("select", lambda xp, x, /, index: x, register=False, x=lambda xp, g, index: g)
SELECT.keeps_saved = True
Primitive.select = SELECT.plan(1)


# -- functions of the standard -----------------------------------------------------------------------------------------
class UnaryFunction(Protocol):
    """A function of one array."""

    __name__: str

    def __call__(self, x: ArrayLike, /) -> Variable: ...


class BinaryFunction(Protocol):
    """A function of two arrays, or of an array and a Python number.

    Attributes
    ----------
    operator : callable
        The same function for operators such as ``x1 + x2``: it returns NotImplemented for an operand that no backend
        knows, so that Python asks the operand's class.
    """

    __name__: str
    operator: Callable[[Any, Any], Variable]

    def __call__(self, x1: ArrayLike, x2: ArrayLike, /) -> Variable: ...


def unary(name: str, rule: Rule | None) -> UnaryFunction:
    """The function of one array that ``xp.<name>`` is, with its rule."""
    primitive = Primitive(name, lambda xp, x, /: getattr(xp, name)(x), x=rule)
    function: UnaryFunction = _named(recording.unary_function(primitive), name)
    return function


def binary(name: str, rule1: Rule | None, rule2: Rule | None) -> BinaryFunction:
    """The function of two arrays (or an array and a Python number) that ``xp.<name>`` is, with its rules."""
    primitive = Primitive(name, lambda xp, x1, x2, /: getattr(xp, name)(x1, x2), x1=rule1, x2=rule2)
    operator = recording.binary_operator(primitive)

    def function(x1: Any, x2: Any, /) -> Any:
        out = operator(x1, x2)
        return _refuse(name, x1, x2) if out is NotImplemented else out

    named: BinaryFunction = _named(function, name)
    named.operator = operator
    return named


def _refuse(name: str, *operands: Any) -> None:
    """Raise TypeError for the operand that is no array: `adopt` says what to write instead."""
    for x in operands:
        if type(x) not in PYTHON_SCALARS:
            adopt(x, name, operands)


def _named(function: Any, name: str) -> Any:
    function.__name__ = function.__qualname__ = name
    return function


def variable_namespace(module: Any) -> Namespace:
    """``xp`` for rules that run on Variables: the kernels' primitives, and the functions of rustorch itself."""

    def find(name: str) -> Any:
        if name in KERNELS:
            primitive = REGISTRY.get(name)
            # a primitive returns its output alone; a rule that calls a kernel with by-products needs all of them
            return partial(KERNELS[name], namespace) if primitive is None or primitive.aux else primitive
        try:
            return getattr(module, name)
        except AttributeError:
            raise AttributeError(
                f"xp.{name}: a rule may call the functions of the standard and the kernels in backends/kernels; {name} "
                f"is neither. Make it a kernel, and for its own derivatives a primitive of the same name"
            ) from None

    namespace: Namespace = Namespace("rustorch", find)
    return namespace
