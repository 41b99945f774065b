"""The parts that all transforms share: a call on fresh Variables, its gradients, and products in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

from .. import autograd, ops
from ..autograd.engine import ALIAS
from ..autograd.graph import Node, Value, make, track
from ..autograd.modes import enable_grad, mode, set_grad_enabled
from ..backends import of
from ..backends.promotion import PYTHON_SCALARS
from ..pytree import Structure, tree_flatten, tree_map, tree_unflatten
from ..variable import Variable


def fresh(x: Variable, recorded: bool) -> Variable:
    """A Variable with the same memory and a new place in the graph: the identity of ``x`` if that is recorded."""
    if x._tracked and recorded:
        return make(x._native, Node(ALIAS.plan(1), (x._node or x,), (), x._native))
    out = make(x._native)
    track(out)
    return out


def inputs(name: str, tree: Any, where: str, recorded: bool) -> tuple[list[Variable], Structure]:
    """Fresh Variables for the leaves of an argument, and its structure."""
    leaves, structure = tree_flatten(tree)
    values = [
        variable_of(name, leaf, path, leaf is tree) for leaf, path in zip(leaves, structure.paths(where), strict=True)
    ]
    return [fresh(value, recorded) for value in values], structure


def variable_of(name: str, leaf: Any, path: str, whole: bool) -> Variable:
    """A leaf of an argument as a Variable: an array of any library keeps its memory, a float gets the shape ().

    A float that is only a part of an argument is refused: in a list or dict of weights it may be a setting, and a list
    of floats may stand for an array.
    """
    if isinstance(leaf, Variable):
        value = leaf
    elif type(leaf) in PYTHON_SCALARS and not whole:
        raise TypeError(
            f"{name}: {path} is a {type(leaf).__name__} in a tree; if it shall have a derivative, pass "
            f"rustorch.asarray(...)"
        )
    elif type(leaf) in (int, bool):
        raise TypeError(
            f"{name}: {path} is the {type(leaf).__name__} {leaf}, which has no derivatives; write {float(leaf)}"
        )
    elif type(leaf) in PYTHON_SCALARS or of(leaf) is not None:
        try:
            value = ops.asarray(leaf)
        except TypeError as error:
            raise TypeError(f"{name}: {path} has no derivatives: {error}") from error
    else:
        raise TypeError(
            f"{name}: {path} is a {type(leaf).__name__}; derivatives are of Variables, arrays and numbers, so pass "
            f"rustorch.asarray(...)"
        )
    if value.dtype.kind not in "fcV":
        raise TypeError(
            f"{name}: {path} holds {value.dtype}, which has no derivatives; convert it, as in "
            f"x.astype(rustorch.float64)"
        )
    return value


def results(name: str, tree: Any, what: str = "output") -> tuple[list[Variable], Structure]:
    """The Variables in a function's result, and its structure."""
    leaves, structure = tree_flatten(tree)
    for leaf, path in zip(leaves, structure.paths(what), strict=True):
        if not isinstance(leaf, Variable):
            raise TypeError(
                f"{name}: the function must return Variables; {path} is a {type(leaf).__name__}, {leaf!r:.60}"
            )
    if not leaves:
        raise TypeError(f"{name}: the function must return Variables; {what} is {tree!r}")
    return leaves, structure


def leads_out(values: Sequence[Any], fresh: Sequence[Variable]) -> bool:
    """Whether any value was computed from a tracked leaf that is none of these fresh Variables."""
    known = {id(x._node or x) for x in fresh if x._node is None}
    stack: list[Any] = [v._node or v for v in values if isinstance(v, Value) and v._tracked]
    seen: set[int] = set()
    while stack:
        place = stack.pop()
        if id(place) in seen or id(place) in known:
            continue
        seen.add(id(place))
        if type(place) is not Node:
            return True
        stack.extend([parent for parent in place.parents if parent is not None])
    return False


def released(tree: Any, keep: bool) -> Any:
    """The tree for the caller. It leaves the graph, unless ``keep`` says that the caller can differentiate it."""
    return tree if keep else tree_map(lambda x: x.detach() if isinstance(x, Variable) else x, tree)


def with_aux(name: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    """A function's result as (output, auxiliary output); the latter is None without ``has_aux``."""
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"{name}: with has_aux=True the function returns (output, aux), not {type(result).__name__}")
    return result


def gradients_of(
    outs: Sequence[Variable], ins: Sequence[Variable], starts: Sequence[Any], create: bool
) -> list[Variable]:
    """Gradients with zeros for the inputs that no output depends on. The graph is not freed."""
    pairs = [(out, start) for out, start in zip(outs, starts, strict=True) if out._tracked]
    gradients: Sequence[Any] = [None] * len(ins)
    if pairs and ins:
        gradients = autograd.grad(
            [out for out, _ in pairs],
            ins,
            [start for _, start in pairs],
            retain_graph=True,
            create_graph=create,
            allow_unused=True,
        )
    return [ops.zeros_like(x) if g is None else g for g, x in zip(gradients, ins, strict=True)]


def chosen(name: str, argnums: Any, args: Sequence[Any]) -> tuple[int, ...]:
    """The numbers of the arguments to differentiate in, none of them negative."""
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    if not numbers or not all(isinstance(n, Integral) and not isinstance(n, bool) for n in numbers):
        raise TypeError(f"{name}: argnums is an integer or a tuple of integers, not {argnums!r}")
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise ValueError(
                f"{name}: argnums={argnums!r}, but the function was called with {len(args)} positional arguments"
            )
    positive = tuple(n % len(args) for n in numbers)
    if len(set(positive)) < len(positive):
        raise ValueError(f"{name}: argnums={argnums!r} names an argument twice")
    return positive


class Call:
    """One call of a function with fresh Variables in place of the chosen arguments.

    Attributes
    ----------
    fresh : list of Variable
        Those in place of the leaves of the chosen arguments.
    result, aux : object
        The output and the auxiliary output.
    outs : list of Variable
        The leaves of the output; ``structure`` is its structure.
    outer : bool
        Whether the output depends on tracked leaves outside of the call, so that gradients must be recorded.
    """

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        argnums: Any,
        has_aux: bool,
    ):
        numbers = chosen(name, argnums, args)
        self.recorded = mode.enabled
        self.fresh: list[Variable] = []
        self.parts: list[tuple[int, Structure]] = []
        self.single = not isinstance(argnums, tuple)
        given = list(args)
        for n in numbers:
            leaves, structure = inputs(name, args[n], f"argument {n}", self.recorded)
            self.fresh += leaves
            self.parts.append((len(leaves), structure))
            given[n] = tree_unflatten(leaves, structure)
        with enable_grad():
            self.result, self.aux = with_aux(name, func(*given, **kwargs), has_aux)
        self.outs, self.structure = results(name, self.result)
        aux = tree_flatten(self.aux)[0]
        self.outer = self.recorded and leads_out([*self.outs, *aux], self.fresh)

    def arranged(self, values: Sequence[Any]) -> Any:
        """A value for each fresh Variable, as trees like the arguments."""
        trees, start = [], 0
        for count, structure in self.parts:
            trees.append(tree_unflatten(values[start : start + count], structure))
            start += count
        return trees[0] if self.single else tuple(trees)


def like(name: str, tree: Any, structure: Structure, models: Sequence[Variable], what: str) -> list[Variable]:
    """The leaves of a tree of vectors, after the check that it has the structure and shapes of the Variables."""
    leaves, actual = tree_flatten(tree)
    if actual != structure:
        raise ValueError(f"{name}: {what} must have the structure {structure}, not {actual}")
    for i, (leaf, model, path) in enumerate(zip(leaves, models, structure.paths(what), strict=True)):
        if type(leaf) in PYTHON_SCALARS:
            leaf = leaves[i] = ops.asarray(leaf, dtype=model.dtype, device=model.device)
        elif not isinstance(leaf, Variable):
            if of(leaf) is None:
                raise TypeError(f"{name}: {path} is a {type(leaf).__name__}, not a Variable, an array or a number")
            leaf = leaves[i] = ops.asarray(leaf)
        if leaf.shape != model.shape or leaf.device != model.device:
            raise ValueError(
                f"{name}: {path} has shape {leaf.shape} on {leaf.device!r}, but belongs to {model.shape} on "
                f"{model.device!r}"
            )
    return [ops.astype(leaf, model.dtype, copy=False) for leaf, model in zip(leaves, models, strict=True)]


def tracked(values: Sequence[Variable]) -> bool:
    """Whether calls are recorded, and one of the values requires grad."""
    return mode.enabled and any(v._tracked for v in values)


class Pushed:
    """Forward mode as two reverse passes: ``J^T u`` is linear in u, and its gradient in u, times t, is ``J t``."""

    def __init__(self, call: Call):
        self.call = call
        self.u = [fresh(ops.zeros_like(out).detach(), False) for out in call.outs]
        with set_grad_enabled(True):
            self.pulled = gradients_of(call.outs, call.fresh, self.u, True)

    def __call__(self, tangents: Sequence[Variable]) -> list[Variable]:
        create = (mode.enabled and self.call.outer) or tracked(tangents)
        return gradients_of(self.pulled, self.u, tangents, create)
