"""vjp, jvp and hvp: products of vectors with Jacobians and Hessians, without the matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.modes import mode
from ..pytree import tree_flatten, tree_unflatten
from .gradients import value_and_gradient
from .transform import Call, Pushed, gradients_of, inputs, like, released, tracked


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function, and the function that multiplies a vector with its Jacobian from the left.

    Parameters
    ----------
    func : callable
        Takes the primals. Returns a Variable or a tree of them; with ``has_aux``, a pair of that and any other value.
    *primals : Variable, array or float, or tree of them
    has_aux : bool

    Returns
    -------
    (output, vjp_fn) or (output, vjp_fn, aux)
        ``vjp_fn(cotangents)`` takes a tree like the output, and returns a tuple with a tree for each primal. It can be
        called any number of times.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, 2.0])
    >>> out, vjp_fn = rustorch.func.vjp(lambda x: x * x, x)
    >>> vjp_fn(rustorch.tensor([1.0, 10.0]))[0].tolist()
    [2.0, 40.0]
    """
    call = Call("vjp", func, primals, {}, tuple(range(len(primals))), has_aux)

    def vjp_fn(cotangents: Any) -> tuple[Any, ...]:
        starts = like("vjp", cotangents, call.structure, call.outs, "cotangents")
        create_graph = (mode.enabled and call.outer) or tracked(starts)
        products: tuple[Any, ...] = call.arranged(gradients_of(call.outs, call.fresh, starts, create_graph))
        return products

    out = released(call.result, call.outer)
    return (out, vjp_fn, released(call.aux, call.outer)) if has_aux else (out, vjp_fn)


def jvp(
    func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], *, has_aux: bool = False
) -> tuple[Any, ...]:
    """The value of a function, and its Jacobian times a vector.

    Parameters
    ----------
    func : callable
    primals, tangents : tuple
        The arguments, and a direction for each: Variables, arrays, floats or trees of them, with the same structure,
        shapes and devices.
    has_aux : bool

    Returns
    -------
    (output, product) or (output, product, aux)

    Examples
    --------
    >>> import rustorch
    >>> out, product = rustorch.func.jvp(rustorch.sin, (rustorch.tensor(0.0),), (rustorch.tensor(3.0),))
    >>> out.item(), product.item()
    (0.0, 3.0)
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise TypeError(
            f"jvp: primals and tangents are tuples, not {type(primals).__name__} and {type(tangents).__name__}"
        )
    call = Call("jvp", func, primals, {}, tuple(range(len(primals))), has_aux)
    directions = like("jvp", tangents, tree_flatten(primals)[1], call.fresh, "tangents")
    product = tree_unflatten(Pushed(call)(directions), call.structure)
    out = released(call.result, call.outer)
    return (out, product, released(call.aux, call.outer)) if has_aux else (out, product)


def hvp(func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """The value of a function, and its Hessian times a vector, in the time of two reverse passes.

    Parameters
    ----------
    func : callable
        Returns a real number, a Variable of shape ().
    primals, tangents : tuple
        As for `jvp`.

    Returns
    -------
    (output, products)
        A product for each primal.

    Examples
    --------
    >>> import rustorch
    >>> x, v = rustorch.tensor([1.0, 2.0]), rustorch.tensor([1.0, 1.0])
    >>> value, (product,) = rustorch.func.hvp(lambda x: (x**3).sum(), (x,), (v,))
    >>> value.item(), product.tolist()
    (9.0, [6.0, 12.0])
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise TypeError(
            f"hvp: primals and tangents are tuples, not {type(primals).__name__} and {type(tangents).__name__}"
        )
    numbers = tuple(range(len(primals)))
    models = [model for i, primal in enumerate(primals) for model in inputs("hvp", primal, f"argument {i}", False)[0]]
    directions = like("hvp", tangents, tree_flatten(primals)[1], models, "tangents")

    def first(*xs: Any) -> Any:
        return value_and_gradient("hvp", func, numbers, False, xs, {})[:2]

    call = Call("hvp", first, primals, {}, numbers, True)
    create = (mode.enabled and call.outer) or tracked(directions)
    products = call.arranged(gradients_of(call.outs, call.fresh, directions, create))
    return released(call.aux, call.outer), products
