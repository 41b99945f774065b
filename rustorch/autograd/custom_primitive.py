"""custom_primitive: operations of a program's own, from a forward function and its rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .primitive import Primitive, Rule


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
