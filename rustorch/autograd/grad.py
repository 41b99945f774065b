"""``rustorch.grad``: gradients as return values. With ``create_graph`` they can be differentiated again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from .engine import propagate, start_of
from .graph import Value, make
from .modes import set_grad_enabled
from .pending import backend_of

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from ..variable import Variable


def _listed(values: Any, name: str) -> list[Any]:
    listed = [values] if isinstance(values, Value) else list(values)
    for value in listed:
        if not isinstance(value, Value):
            raise TypeError(f"grad: {name} are Variables, not {type(value).__name__}")
    return listed


@overload
def grad(
    outputs: Variable | Sequence[Variable],
    inputs: Variable | Sequence[Variable],
    grad_outputs: ArrayLike | Sequence[ArrayLike | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: Literal[False] = False,
) -> tuple[Variable, ...]: ...


@overload
def grad(
    outputs: Variable | Sequence[Variable],
    inputs: Variable | Sequence[Variable],
    grad_outputs: ArrayLike | Sequence[ArrayLike | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Variable | None, ...]: ...


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Gradients of outputs with respect to inputs, as return values: no ``.grad`` changes.

    Parameters
    ----------
    outputs : Variable or sequence of Variables
    inputs : Variable or sequence of Variables
        Leaves or computed Variables from which the outputs were computed.
    grad_outputs : Variable, array, or sequence of them (or None), optional
        A gradient per output to start from; default 1, for outputs of one element.
    retain_graph : bool, optional
        Keep the graph; default: ``create_graph``.
    create_graph : bool
        Record the computation of the gradients, so that they can be differentiated again.
    allow_unused : bool
        Return None for an input that no output depends on, instead of raising.

    Returns
    -------
    tuple of Variable (or None)
        One per input, of its shape, dtype and device.

    Raises
    ------
    RuntimeError
        If an output requires no grad, an input requires none or is unused, or the graph was freed.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor(3.0, requires_grad=True)
    >>> (first,) = rustorch.grad(x**3, x, create_graph=True)
    >>> (second,) = rustorch.grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    outs, ins = _listed(outputs, "outputs"), _listed(inputs, "inputs")
    if grad_outputs is None or isinstance(grad_outputs, Value) or not isinstance(grad_outputs, Sequence):
        starts: list[Any] = [grad_outputs] * len(outs) if grad_outputs is None else [grad_outputs]
    else:
        starts = list(grad_outputs)
    if len(starts) != len(outs):
        raise ValueError(f"grad: {len(starts)} grad_outputs for {len(outs)} outputs")
    for i, x in enumerate(ins):
        if not x._tracked:
            raise RuntimeError(f"grad: input {i} does not require grad")
    roots = []
    for out, start in zip(outs, starts, strict=True):
        native = start_of(out, start, "grad")
        if not create_graph:
            roots.append((out, native))
        elif isinstance(start, Value) and start._native is native:
            roots.append((out, start))
        else:
            roots.append((out, make(native)))
    keep = create_graph if retain_graph is None else retain_graph
    with set_grad_enabled(create_graph):
        found = propagate(roots, keep, create_graph, ins)
    gradients: list[Any] = []
    for i, x in enumerate(ins):
        entry = found.get(id(x._node or x))
        if entry is None:
            if not allow_unused:
                raise RuntimeError(
                    f"grad: no output was computed from input {i}; pass allow_unused=True to get None for it"
                )
            gradients.append(None)
        else:
            gradients.append(entry[1] if create_graph else _own(x, entry))
    return tuple(gradients)


def _own(x: Value, entry: list[Any]) -> Any:
    """A gradient as a Variable whose memory belongs to nothing else."""
    backend = backend_of(entry[1])
    native = backend.as_array(entry[1]) if type(entry[1]) is not type(x._native) else entry[1]
    return make(native if entry[2] and backend.owns(native) else backend.xp.asarray(native, copy=True))
