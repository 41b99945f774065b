"""jacrev, jacfwd and hessian: full matrices of derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import ops
from ..pytree import tree_unflatten
from ..variable import Variable
from .transform import Call, Pushed, gradients_of, released


def _units(like: Variable) -> Iterator[Variable]:
    """For each element of a Variable, an array with 1 at its place and 0 elsewhere."""
    places = ops.arange(like.size, device=like.device)
    for k in range(like.size):
        yield ops.reshape(ops.astype(places == k, like.dtype), like.shape)


def _real(name: str, values: Sequence[Variable]) -> None:
    """Refuse complex numbers."""
    if any(v.dtype.kind == "c" for v in values):
        raise TypeError(
            f"{name}: complex numbers have no one Jacobian; use vjp or jvp, or differentiate real and imaginary parts"
        )


def _block(rows: Sequence[Variable], shape: tuple[int, ...], like: Variable) -> Variable:
    """The derivatives of one output in one input, from their rows. Without rows, they are empty."""
    if not rows:
        return ops.zeros(shape, dtype=like.dtype, device=like.device)
    return ops.reshape(ops.stack(rows), shape)


def _jacobian(
    name: str, func: Callable[..., Any], argnums: Any, has_aux: bool, forward: bool, args: Any, kwargs: Any
) -> Any:
    call = Call(name, func, args, kwargs, argnums, has_aux)
    outs, ins = call.outs, call.fresh
    _real(name, [*outs, *ins])
    pushed = Pushed(call) if forward else None
    blocks: list[list[Variable]] = [[] for _ in outs]  # [output][input]
    if pushed is not None:
        zeros = [ops.zeros_like(x).detach() for x in ins]
        for i, x in enumerate(ins):
            columns = [pushed([*zeros[:i], unit, *zeros[i + 1 :]]) for unit in _units(x)]
            for k, out in enumerate(outs):
                across = _block([column[k] for column in columns], (x.size, *out.shape), out)
                axes = (*range(1, out.ndim + 1), 0)
                blocks[k].append(ops.reshape(ops.permute_dims(across, axes), (*out.shape, *x.shape)))
    else:
        for k, out in enumerate(outs):
            rows = [gradients_of([out], ins, [unit], call.outer) for unit in _units(out)]
            blocks[k] = [_block([row[i] for row in rows], (*out.shape, *x.shape), x) for i, x in enumerate(ins)]
    jacobian = tree_unflatten([call.arranged(row) for row in blocks], call.structure)
    return (jacobian, released(call.aux, call.outer)) if has_aux else jacobian


def jacrev(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that computes the Jacobian, by one reverse pass per element of the output.

    Parameters
    ----------
    func : callable
        Takes real Variables, also in place of arrays and floats. Returns a Variable or a tree of them; with
        ``has_aux``, a pair of that and any other value.
    argnums : int or tuple of int
        The positional arguments to differentiate in.
    has_aux : bool

    Returns
    -------
    callable
        Returns the Jacobian, of shape ``output.shape + input.shape``. For trees, it is the tree of the output with the
        tree of the argument at each leaf (a tuple of these for a tuple of argnums).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.func.jacrev(lambda x: x * x)(rustorch.tensor([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    return functools.wraps(func, updated=())(
        lambda *args, **kwargs: _jacobian("jacrev", func, argnums, has_aux, False, args, kwargs)
    )


def jacfwd(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `jacrev`, by one pass per element of the input. It is cheaper if the output is larger than the input."""
    return functools.wraps(func, updated=())(
        lambda *args, **kwargs: _jacobian("jacfwd", func, argnums, has_aux, True, args, kwargs)
    )


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that computes the second derivatives: the Jacobian of the Jacobian.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.func.hessian(lambda x: (x**3).sum())(rustorch.tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """

    def first(*args: Any, **kwargs: Any) -> Any:
        return _jacobian("hessian", func, argnums, False, False, args, kwargs)

    return functools.wraps(func, updated=())(
        lambda *args, **kwargs: _jacobian("hessian", first, argnums, False, False, args, kwargs)
    )
