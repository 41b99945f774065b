"""grad and value_and_grad: gradients of functions that return one real number."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..variable import Variable
from .transform import Call, gradients_of, released


def value_and_gradient(
    name: str, func: Callable[..., Any], argnums: Any, has_aux: bool, args: Any, kwargs: Any
) -> tuple[Any, Any, Any]:
    """The gradient, the value, and the auxiliary output of a function. Errors begin with ``name``."""
    call = Call(name, func, args, kwargs, argnums, has_aux)
    if not isinstance(call.result, Variable):
        raise TypeError(
            f"{name}: the function must return one Variable, not {call.structure}; see vjp and jacrev for more"
        )
    if call.result.shape != () or call.result.dtype.kind == "c":
        raise ValueError(
            f"{name}: the function must return a real number, shape (); it returned {call.result.dtype} of shape "
            f"{call.result.shape}. Reduce it, as in .sum(), or use vjp or jacrev"
        )
    gradients = gradients_of(call.outs, call.fresh, [None], call.outer)
    return call.arranged(gradients), released(call.result, call.outer), released(call.aux, call.outer)


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that computes the gradient of ``func``.

    Parameters
    ----------
    func : callable
        Returns a real number, a Variable of shape (). With ``has_aux`` it returns a pair of that and any other value.
    argnums : int or tuple of int
        The positional arguments to differentiate in: Variables, arrays and floats, or trees of them (dicts, lists,
        tuples, named tuples, dataclasses). The function gets Variables in their places.
    has_aux : bool

    Returns
    -------
    callable
        Takes the arguments of ``func``. Returns the gradient as a tree like the argument (a tuple of them for a tuple
        of argnums). With ``has_aux`` it returns a pair of that and the other value.

    Raises
    ------
    TypeError, ValueError
        In a call, if ``func`` returns anything else, or an argument holds a value that has no derivative.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.func import grad
    >>> x = rustorch.tensor(2.0)
    >>> grad(lambda x: x**3)(x).item(), grad(grad(lambda x: x**3))(x).item()
    (12.0, 12.0)
    """

    @functools.wraps(func, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        result, _, aux = value_and_gradient("grad", func, argnums, has_aux, args, kwargs)
        return (result, aux) if has_aux else result

    return gradient


def value_and_grad(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """As `grad`, for a function that returns ``(value, gradient)``, or with ``has_aux`` ``((value, aux), gradient)``.

    Examples
    --------
    >>> import rustorch
    >>> weights = {"a": rustorch.ones(2), "b": rustorch.ones(2)}
    >>> value, gradient = rustorch.func.value_and_grad(lambda w: (w["a"] * w["b"]).sum())(weights)
    >>> value.item(), gradient["a"].tolist()
    (2.0, [1.0, 1.0])
    """

    @functools.wraps(func, updated=())
    def both(*args: Any, **kwargs: Any) -> Any:
        gradient, value, aux = value_and_gradient("value_and_grad", func, argnums, has_aux, args, kwargs)
        return ((value, aux), gradient) if has_aux else (value, gradient)

    return both


def grad_and_value(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """As `value_and_grad` in another order: ``(gradient, value)``, with ``has_aux`` ``(gradient, (value, aux))``."""

    @functools.wraps(func, updated=())
    def both(*args: Any, **kwargs: Any) -> Any:
        gradient, value, aux = value_and_gradient("grad_and_value", func, argnums, has_aux, args, kwargs)
        return (gradient, (value, aux)) if has_aux else (gradient, value)

    return both
