"""Clip gradients: by the norm of all of them together, or each value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.modes import no_grad
from ...ops import linalg
from ...ops.inspection import run_kernel
from ...variable import Variable

if TYPE_CHECKING:
    from ...distributed.group import ProcessGroup

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _with_gradients(parameters: Variable | Iterable[Variable]) -> list[Variable]:
    """The parameters that have a gradient."""
    listed = [parameters] if isinstance(parameters, Variable) else list(parameters)
    return [parameter for parameter in listed if parameter.grad is not None]


def _grouped(values: Iterable[Variable]) -> list[list[Variable]]:
    """The Variables in groups of one device and dtype. One kernel call takes a whole group."""
    groups: dict[Any, list[Variable]] = {}
    for x in values:
        groups.setdefault((x.device, x.dtype), []).append(x)
    return list(groups.values())


def _norm(values: list[Variable], order: float) -> Variable:
    """The norm of all values of the Variables, which have one device and dtype. None of them is empty."""
    if values[0].dtype.kind not in "fc":
        return linalg.vector_norm(ops.stack([linalg.vector_norm(x, ord=order) for x in values]), ord=order)
    natives = [x.data for x in values]
    return Variable(run_kernel("total_norm", order, *natives, like=natives[0]))


def _norms(values: list[Variable], order: float, device: str) -> list[Variable]:
    """Norms, of which the norm is that of all values: one for each device and dtype. Orders that are not above 0 depend
    on where one array ends, and need a norm for each.
    """
    filled = [x for x in values if x.size]
    if order > 0:
        return [_norm(group, order).to(device) for group in _grouped(filled)]
    return [linalg.vector_norm(x, ord=order).to(device) for x in filled]


def _together(norms: list[Variable], order: float, device: str) -> Variable:
    """The norm of norms. Order 0 counts those that are not 0, as in PyTorch."""
    if len(norms) > 1 or (norms and order == 0):
        return linalg.vector_norm(ops.stack(norms), ord=order)
    return norms[0] if norms else ops.zeros((), device=device)


def _norms_over_ranks(
    parameters: list[Variable], values: list[Variable | None], order: float, group: ProcessGroup
) -> list[Variable]:
    """Norms that stand for those of whole arrays, of which every rank of a group has a piece.

    Parameters
    ----------
    parameters : list of Variables
        The parameters that are spread over this group: as many on all ranks.
    values : list of Variables or None
        This rank's pieces of the arrays that the norm is of: the parameters or their gradients.
    """
    from ...distributed import all_gather_into_tensor

    device = parameters[0].device
    dtype = ops.result_type(*{_real_dtype(p) for p in parameters})
    if order > 0:  # one number for all pieces of this rank
        pieces = [_together(_norms([x for x in values if x is not None], order, device), order, device)]
    else:
        nothing = ops.full((), float("inf") if order < 0 else 0.0, dtype=dtype, device=device)
        pieces = [nothing if x is None or not x.size else linalg.vector_norm(x, ord=order) for x in values]
    own = ops.stack([ops.astype(x.to(device), dtype) for x in pieces])
    gathered = ops.zeros((group.size, *own.shape), dtype=dtype, device=device)
    all_gather_into_tensor(gathered, own, group)
    norms = ops.sum(gathered, axis=0) if order == 0 else linalg.vector_norm(gathered, axis=0, ord=order)
    return [norms[i] for i in range(norms.shape[0])]


def _total_norm(
    parameters: list[Variable], values: list[Variable | None], norm_type: float, error_if_nonfinite: bool
) -> Variable:
    """The norm of all values together. A value belongs to a parameter, and is a piece of an array if its parameter is
    one; None stands for a gradient that there is not.
    """
    groups = dict.fromkeys(p._sharding.group for p in parameters if p._sharding is not None)
    with no_grad():
        device = next((x.device for x in values if x is not None), parameters[0].device)
        pairs = list(zip(parameters, values, strict=True))
        whole = [x for p, x in pairs if p._sharding is None and x is not None]
        norms = _norms(whole, norm_type, device)
        for group in groups:
            spread = [(p, x) for p, x in pairs if p._sharding is not None and p._sharding.group is group]
            over_ranks = _norms_over_ranks([p for p, _ in spread], [x for _, x in spread], norm_type, group)
            norms += [norm.to(device) for norm in over_ranks]
        total = _together(norms, norm_type, device)
    if error_if_nonfinite and not ops.isfinite(total).item():
        raise RuntimeError(
            f"the total norm of order {norm_type} is {total.item()}: a gradient is not finite, so it cannot be "
            f"clipped; error_if_nonfinite=False scales the gradients by it all the same"
        )
    return total


def get_total_norm(
    tensors: Variable | Iterable[Any],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Variable:
    """The norm of all values together, as if they were one vector.

    Parameters
    ----------
    tensors : Variable or array, or iterable of them
    norm_type : float
        The order of the norm. ``float("inf")`` or "inf" stands for the largest absolute value.
    error_if_nonfinite : bool
        Whether to raise if the norm is nan or infinite.
    foreach : bool, optional
        PyTorch's argument. It changes nothing.

    Returns
    -------
    Variable, ()
        The norm, on the device of the first tensor. 0 if there are no tensors. Parameters that `parallel.fully_shard`
        has spread over ranks count as whole, and all ranks call this; of their gradients, which are plain arrays, it
        is the norm of this rank's pieces.

    Raises
    ------
    RuntimeError
        If the norm is not finite, with ``error_if_nonfinite``.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.utils.get_total_norm([rustorch.tensor([3.0]), rustorch.tensor([[4.0]])])
    Variable(5.)
    """
    norm_type = float(norm_type)  # programs written for PyTorch pass "inf" too
    values = [
        x if isinstance(x, Variable) else Variable(x) for x in ([tensors] if isinstance(tensors, Variable) else tensors)
    ]
    if not values:
        return ops.zeros(())
    return _total_norm(values, [x.detach() for x in values], norm_type, error_if_nonfinite)


def clip_grads_with_norm_(
    parameters: Variable | Iterable[Variable], max_norm: float, total_norm: Variable, foreach: bool | None = None
) -> None:
    """Scale all gradients by ``max_norm / total_norm`` if this is less than 1.

    Parameters
    ----------
    parameters : Variable or iterable of them
        Parameters without a gradient are ignored.
    max_norm : float
    total_norm : Variable, ()
        The norm of all gradients, from `get_total_norm`.
    foreach : bool, optional
        PyTorch's argument. It changes nothing.
    """
    with no_grad():
        for group in _grouped(_with_gradients(parameters)):
            total = total_norm.to(device=group[0].device, dtype=_real_dtype(group[0]))
            gradients = [parameter.grad for parameter in group]
            clipped = run_kernel("clip_by_norm", float(max_norm), total.data, *gradients, like=gradients[0])
            for parameter, gradient in zip(group, clipped, strict=True):
                parameter.grad = Variable(gradient)


def _real_dtype(parameter: Variable) -> Any:
    """The dtype of a parameter, or of its real part if it is complex."""
    return ops.real(parameter.detach()).dtype if parameter.dtype.kind == "c" else parameter.dtype


def clip_grad_norm_(
    parameters: Variable | Iterable[Variable],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Variable:
    """Scale all gradients so that the norm of all of them together is at most ``max_norm``.

    Call it between ``backward()`` and ``optimizer.step()``. The scaled gradients are new arrays, so that a gradient
    that was taken from ``grad`` before does not change. With `parallel.fully_shard`, whose gradients are pieces, the
    norm is that of the whole gradients: all ranks call it with the same parameters.

    Parameters
    ----------
    parameters : Variable or iterable of them
        Parameters without a gradient are ignored.
    max_norm : float
    norm_type : float
        The order of the norm. ``float("inf")`` or "inf" stands for the largest absolute value.
    error_if_nonfinite : bool
        Whether to raise if the norm is nan or infinite. The gradients do not change then.
    foreach : bool, optional
        PyTorch's argument. It changes nothing.

    Returns
    -------
    Variable, ()
        The norm before clipping.

    Raises
    ------
    RuntimeError
        If the norm is not finite, with ``error_if_nonfinite``.

    Source: Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.

    Examples
    --------
    >>> import rustorch
    >>> p = rustorch.tensor([3.0, 4.0], requires_grad=True)
    >>> (p * p / 2).sum().backward()
    >>> rustorch.nn.utils.clip_grad_norm_(p, max_norm=1.0)
    Variable(5.)
    >>> [round(float(g), 3) for g in p.grad]
    [0.6, 0.8]
    """
    listed = [parameters] if isinstance(parameters, Variable) else list(parameters)
    if all(p._sharding is None for p in listed):
        total = get_total_norm([p.grad for p in listed if p.grad is not None], norm_type, error_if_nonfinite)
    else:
        gradients = [None if p.grad is None else Variable(p.grad) for p in listed]
        total = _total_norm(listed, gradients, float(norm_type), error_if_nonfinite)
    clip_grads_with_norm_(listed, max_norm, total)
    return total


def clip_grad_value_(parameters: Variable | Iterable[Variable], clip_value: float, foreach: bool | None = None) -> None:
    """Clip each value of the gradients to [-clip_value, clip_value].

    Parameters
    ----------
    parameters : Variable or iterable of them
        Parameters without a gradient are ignored.
    clip_value : float
    foreach : bool, optional
        PyTorch's argument. It changes nothing.

    Examples
    --------
    >>> import rustorch
    >>> p = rustorch.tensor([3.0, -4.0], requires_grad=True)
    >>> (p * p / 2).sum().backward()
    >>> rustorch.nn.utils.clip_grad_value_(p, 3.5)
    >>> p.grad.tolist()
    [3.0, -3.5]
    """
    limit = float(clip_value)
    with no_grad():
        for parameter in _with_gradients(parameters):
            parameter.grad = ops.clip(Variable(parameter.grad), -limit, limit)
