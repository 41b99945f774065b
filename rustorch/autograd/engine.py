"""Backward: run the rules of recorded calls in reverse order, and free what was saved.

In mode 1 the rules run on native arrays with the backend's namespace. In mode 2 (``create_graph``) the very same rules
run on Variables with rustorch as the namespace, so that what they compute is recorded and can be differentiated again.

`propagate` is the definition of backward. `_propagate_fast` beside it does the same for the most frequent case with
less work; tests/autograd/test_paths.py runs random programs through both. `pending` undoes broadcasting and adds up the
gradients that arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop
from math import prod
from typing import Any

from ..backends import BY_TYPE, Array, Namespace, device_of, of
from .check import adopt
from .constant_gradients import dependent
from .graph import FAST_TYPES, Node, Value, hooked, make
from .leaf_hooks import refuse, registered, schedule
from .modes import mode
from .pending import Pending, backend_of, freed, leading_to, name_of, put, put_at_leaf, put_second
from .primitive import SELECT, Call, Plan, Primitive
from .recording import floating
from .tickets import Redeemed, Redeeming
from .writes import writes

#: The namespace of mode 2; set once by the public face.
_variables: Namespace

#: Leads from a Variable made around a saved array to the leaf whose array it was.
ALIAS = Primitive("alias", lambda xp, x, /: x, register=False, x=lambda xp, g: g)


def set_variable_namespace(namespace: Namespace) -> None:
    """Tell the engine the namespace of mode 2. rustorch's public face, which imports this module, calls it once."""
    global _variables
    _variables = namespace


# -- the general path --------------------------------------------------------------------------------------------------
def propagate(
    roots: Sequence[tuple[Value, Any]],
    retain_graph: bool,
    create_graph: bool,
    targets: Sequence[Value] | None = None,
) -> dict[int, Any]:
    """Run the rules of all calls that ``roots`` depend on, the latest call first.

    Parameters
    ----------
    roots : sequence of (Value, gradient)
    retain_graph, create_graph : bool
    targets : sequence of Value, optional
        Compute only what leads to these, and return their gradients; else return the gradients of all leaves.

    Returns
    -------
    dict
        id of a leaf -> [leaf, gradient, whether the gradient's memory belongs to nothing else]; for targets, id of the
        target's node or leaf -> the same.
    """
    if len(roots) == 1 and targets is None and not create_graph and FAST_TYPES and type(roots[0][0]._node) is Node:
        return _propagate_fast(roots[0][0]._node, roots[0][1], retain_graph)
    pending = Pending(_variables if create_graph else None)
    if registered.count:
        if targets is None:
            schedule([value for value, _ in roots], roots[0][1], pending, _finish)
        else:
            refuse(targets)
    needed = None if targets is None else leading_to(roots, targets)
    target_seqs = () if targets is None else {t._node.seq for t in targets if t._node is not None}
    target_gradients: dict[int, Any] = {}
    for value, g in roots:
        to = value._node or value
        if needed is None or id(to) in needed:
            (pending.add_on_device if pending.several_devices(g) else pending.add)(to, g, False, None, 0)
    while pending.heap:
        node, g, _ = pending.nodes.pop(-heappop(pending.heap))
        if node.hooks is not None:
            g = _run_hooks(node.hooks, g, create_graph)
        if node.seq in target_seqs:
            target_gradients[id(node)] = [node, g, False]
            if not needed[id(node)]:  # type: ignore[index]
                continue
        _run_rules(node, g, _saved_by(node), pending, needed)
        if not retain_graph:
            node.saved, node.parents = None, ()
    _run_leaf_hooks(pending.leaves, create_graph)
    pending.leaves.update(target_gradients)
    return pending.leaves


def _saved_by(node: Node) -> tuple[Any, ...]:
    """What a node saved, after the check that it is still there and unchanged."""
    saved = node.saved
    if saved is None:
        raise freed(node)
    if node.seq < writes.last:
        writes.check(node, saved)
    return saved


def _run_leaf_hooks(leaves: dict[int, list[Any]], create_graph: bool) -> None:
    for entry in leaves.values():
        if entry[0]._hooks is not None:
            entry[1], entry[2] = _run_hooks(entry[0]._hooks, entry[1], create_graph), False


def _finish(entry: list[Any]) -> None:
    """Run the hooks of a leaf whose gradient is complete, and store the gradient."""
    leaf, g, owned = entry
    if leaf._hooks is not None:
        g, owned = _run_hooks(leaf._hooks, g, False), False
    store(leaf, g, owned)


def _run_rules(node: Node, g: Any, saved: tuple[Any, ...], pending: Pending, needed: dict[Any, Any] | None) -> None:
    if type(g) is list:
        g = _filled(g, node, pending)
    if pending.create_graph:
        _replay(node, _variables, g, wrapped(node, node.plan, saved), pending, needed)
        return
    first = g[0] if type(g) is tuple else g
    backend = backend_of(first)
    with backend.guard(first):
        _replay(node, backend.xp, g, saved, pending, needed)


def _replay(
    node: Node, xp: Any, g: Any, saved: tuple[Any, ...], pending: Pending, needed: dict[Any, Any] | None
) -> None:
    plan, parents = node.plan, node.parents
    add = pending.add_on_device if pending.several_devices(g) else pending.add
    if plan.joint is not None:
        joint: Any = plan.primitive.joint
        values = [saved[i] for i in plan.joint]
        gradients = joint(xp, g, *values)
        if len(gradients) != len(parents):
            raise RuntimeError(
                f"{name_of(node)}: the joint rule returned {len(gradients)} gradients for {len(parents)} inputs"
            )
        for k, parent in enumerate(parents):
            r = gradients[k]
            if parent is not None and r is not None and (needed is None or id(parent) in needed):
                if pending.create_graph:
                    r = dependent(r, node, plan.primitive.joint_needs, values, xp)
                add(parent, r, plan.primitive.fresh and _is_new(r, g, gradients), node, k)
        return
    for k, rule, _, _, _, indices in _needed_calls(plan, parents, needed):
        values = [saved[i] for i in indices]
        r = rule(xp, g, *values)
        is_pair = k == plan.pair and type(r) is tuple
        for i, part in enumerate(r if is_pair else (r,), k):
            if pending.create_graph:
                part = dependent(part, node, plan.primitive.needs[i], values if i == k else (), xp)
            add(parents[i], part, part is not g, node, i)


def _needed_calls(plan: Plan, parents: Sequence[Any], needed: dict[Any, Any] | None) -> Sequence[Call]:
    """The rules whose gradients are needed; of a pair of which only one is, that one's own."""
    if needed is None:
        return plan.calls
    calls = plan.calls
    if plan.pair >= 0 and not all(id(parents[k]) in needed for k, *_ in plan.alone):
        calls = [*plan.alone, *calls[1:]]
    return [call for call in calls if id(parents[call[0]]) in needed]


def _is_new(r: Any, g: Any, gradients: Sequence[Any]) -> bool:
    """Whether a joint rule made a new array for this gradient: neither ``g``, nor the gradient of another input."""
    arrived = g if type(g) is tuple else (g,)
    return not any(r is part for part in arrived) and sum(r is other for other in gradients) == 1


def _filled(gradients: list[Any], node: Node, pending: Pending) -> tuple[Any, ...]:
    """One gradient for each output of a call with several outputs: zeros where none arrived."""
    like = next(g for g in gradients if g is not None)
    native = like._native if pending.create_graph else like
    xp, backend = pending.xp(like), backend_of(native)
    out = []
    with backend.guard(native):
        for g, shape, dtype in zip(gradients, node.shape, node.dtype, strict=True):
            if g is None:
                g = xp.zeros(
                    tuple(shape),
                    dtype=backend.public_dtype(dtype) if pending.create_graph else dtype,
                    device=getattr(like, "device", None),  # a scalar of NumPy before 2.1 has none
                )
            out.append(g)
    return tuple(out)


def wrapped(node: Node, plan: Plan, saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """The saved values of a node as Variables with their places in the graph, for rules that run in mode 2."""
    if isinstance(plan, Redeeming):
        ticket = saved[0]
        values_of_ticket, ticket.saved = ticket.redeem(), None
        return (Redeemed(wrapped(node, plan.plan, values_of_ticket), plan.plan),)
    primitive = plan.primitive
    arity, out_at = primitive.arity, primitive.arity + primitive.n_options
    by_products: tuple[Any, ...] | None = None
    values: list[Any] = []
    for index, value in zip(plan.keep, saved, strict=True):
        backend = of(value) if hasattr(value, "shape") else None
        if type(value) is tuple and index == out_at and primitive.multiple:
            values.append(tuple([make(a, Node(SELECT.plan(1), (node,), (i,), a)) for i, a in enumerate(value)]))
        elif backend is None or isinstance(value, Value):
            values.append(value)
        elif index < arity:
            values.append(_as_input(node.parents[index], value))
        elif index < out_at:  # an option, such as the key of an index, stays what the call was given
            values.append(value)
        elif index == out_at:
            values.append(make(value, node))
        elif primitive.recompute and floating(backend, value):
            if by_products is None:  # computed again on Variables, by-products depend on the inputs
                by_products = primitive.forward(_variables, *values[:out_at])
            values.append(by_products[index - out_at])
        else:
            values.append(make(value))
    return tuple(values)


def _as_input(parent: Any, value: Array) -> Any:
    """A saved input as a Variable. It is the leaf itself, unless the leaf has another array by now."""
    if type(parent) is Node:
        return make(value, parent)
    if parent is None:
        return make(value)
    return parent if parent._native is value else make(value, Node(ALIAS.plan(1), (parent,), (), value))


def _run_hooks(hooks: dict[int, Callable[..., Any]], g: Any, create_graph: bool) -> Any:
    """The gradient after all hooks. The hook of ``retain_grad`` (key 0) runs last. Mode 2 records what they compute."""
    before, mode.enabled = mode.enabled, create_graph
    g = g if create_graph else backend_of(g).as_array(g)  # NumPy returns scalars for 0-d arrays
    try:
        for key in sorted(hooks, key=lambda key: (key == 0, key)):
            result = hooks[key](g if create_graph else make(g))
            if result is None:
                continue
            if not isinstance(result, Value):
                raise TypeError(f"a hook returns a Variable or None, not {type(result).__name__}")
            if tuple(result._native.shape) != tuple(g.shape):
                raise ValueError(
                    f"a hook returned a gradient of shape {tuple(result._native.shape)} for one of {tuple(g.shape)}"
                )
            g = result if create_graph else result._native
    finally:
        mode.enabled = before
    return g


# -- the fast path -----------------------------------------------------------------------------------------------------
def _propagate_fast(root: Any, g: Any, retain_graph: bool) -> dict[int, Any]:
    """`propagate` from one computed value to all leaves, in mode 1.

    It calls rules of up to three saved values without unpacking, stores a gradient that fits its node or leaf without a
    call of `Pending.add`, and needs neither heap nor table as long as only one node is pending, as in a chain of
    operations. Joint rules, several outputs and several devices go through `_run_rules`, as on the general path.
    """
    pending = Pending(None)
    heap, nodes, leaves = pending.heap, pending.nodes, pending.leaves
    if registered.count:
        schedule([make(g, root)], g, pending, _finish)
    single, single_g = root, g  # the pending node, while there is only one
    one_device, array_type = False, None
    xp: Any = None
    while True:
        if single is not None:
            node, g, single = single, single_g, None
        elif heap:
            node, g, _ = nodes.pop(-heappop(heap))
        else:
            break
        if node.hooks is not None:
            g = _run_hooks(node.hooks, g, False)
        saved, plan = node.saved, node.plan
        if saved is None or node.seq < writes.last:
            saved = _saved_by(node)
        if type(g) is not array_type:
            array_type = type(g)
            backend = BY_TYPE.get(array_type)  # None for the gradients of several outputs, which are a list
            one_device = backend is not None and not backend.multi_device
            xp = None if backend is None else backend.xp
        if plan.joint is not None or not one_device:
            _run_rules(node, g, saved, pending, None)
        else:
            for k, rule, count, i, j, indices in plan.calls:
                if count == 1:
                    r = rule(xp, g, saved[i])
                elif count == 0:
                    r = rule(xp, g)
                elif count == 2:
                    r = rule(xp, g, saved[i], saved[j])
                elif count == 3:
                    r = rule(xp, g, saved[i], saved[j], saved[indices[2]])
                else:
                    r = rule(xp, g, *map(saved.__getitem__, indices))
                to = node.parents[k]
                if k == plan.pair:
                    r = put_second(pending, node, k + 1, r, g, xp)
                if type(to) is Node:
                    fits = r.dtype is to.dtype and r.shape == to.shape
                    if single is not None:  # now there are two
                        put(pending, single, single_g, single_g is not g)
                        single = None
                    elif fits and not heap:
                        single, single_g = to, r
                        continue
                    if fits:
                        put(pending, to, r, r is not g)
                        continue
                elif put_at_leaf(leaves, to, r, r is not g, xp):
                    continue
                pending.add(to, r, r is not g, node, k)
        if not retain_graph:
            node.saved, node.parents = None, ()
    if hooked.leaves:
        _run_leaf_hooks(leaves, False)
    return leaves


# -- what users call ---------------------------------------------------------------------------------------------------
def start_of(output: Value, gradient: Any, name: str) -> Array:
    """The native gradient that backward starts from, after the check that it fits the output."""
    native = output._native
    if not output._tracked:
        raise RuntimeError(
            f"{name}: this value does not depend on anything that requires grad; make a leaf with requires_grad=True, "
            f"and compute outside no_grad()"
        )
    backend = BY_TYPE[type(native)]
    if gradient is None:
        shape = native.shape
        if shape and prod(shape) != 1:
            raise RuntimeError(
                f"{name}: a gradient must be given for a value of shape {tuple(shape)}; only one element has 1 by "
                f"default. Reduce it first, as in .sum(), or pass gradient="
            )
        return backend.one(native)
    start = adopt(gradient, name, (output,))
    if start.shape != tuple(native.shape):
        raise ValueError(f"{name}: the gradient has shape {start.shape}, the value {tuple(native.shape)}")
    if start.device != device_of(native):
        raise RuntimeError(f"{name}: the gradient is on {start.device!r}, the value on {device_of(native)!r}")
    if start.dtype != backend.dtype_of(native):
        start = start.astype(backend.dtype_of(native))
    return start._native


def run_backward(root: Any, seed: Any, retain_graph: bool) -> None:
    """``root.backward()``: add the gradients of all leaves that require grad to their ``grad``."""
    node = root._node
    if FAST_TYPES and type(node) is Node:
        leaves = _propagate_fast(node, seed, retain_graph)
    else:
        leaves = propagate(((root, seed),), retain_graph, False)
    for leaf, g, owned in leaves.values():
        if leaf._grad is None and owned and type(g) is type(leaf._native) and BY_TYPE[type(g)].owns(g):
            leaf._grad = g  # as `store` does, with fewer checks
        else:
            store(leaf, g, owned)


def store(leaf: Value, g: Array, owned: bool) -> None:
    """Add a gradient to ``leaf.grad``, which shares memory with nothing else."""
    backend = BY_TYPE.get(type(g)) or backend_of(g)
    total = leaf._grad
    if total is None:
        if type(g) is not type(leaf._native):
            g = backend.as_array(g)
        leaf._grad = g if owned and backend.owns(g) else backend.xp.asarray(g, copy=True)
    else:
        with backend.guard(g):
            if backend.writable(total) and total.shape and of(total) is backend:
                total += g
            else:
                leaf._grad = backend.as_array(total + g)
