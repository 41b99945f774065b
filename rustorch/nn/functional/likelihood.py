"""Losses that are likelihoods and divergences of distributions."""

from __future__ import annotations

from math import log, nan, pi
from typing import Any

from ... import ops
from ...autograd.check import adopt, broadcastable
from ...ops import network
from ...variable import Variable
from .checks import at_least, check_reduction, known, real, reduced, reduction_of
from .targets import pair, together

__all__ = ["gaussian_nll_loss", "kl_div", "poisson_nll_loss"]


def kl_div(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Variable:
    """``y * (log(y) - x)``, the parts of the Kullback-Leibler divergence, for log-probabilities x and probabilities y.

    Parameters
    ----------
    input : Variable or array
        Log-probabilities.
    target : Variable or array, of the input's shape
        Probabilities; where one is 0, the part is 0, whatever the input is, and of a negative one it is nan. The wider
        of two dtypes is that of the result.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean", the sum over the first size (or 1, of a number), is the divergence itself; "mean" is over all
        elements.
    log_target : bool
        Whether the target holds log-probabilities; -inf is that of 0.

    Raises
    ------
    TypeError
        If one is complex or of integers.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([[0.0, -2.0]]), rustorch.tensor([[0.0, 1.0]])
    >>> rustorch.nn.functional.kl_div(x, y, reduction="batchmean").item()
    2.0
    """
    reduction = reduction_of("kl_div", reduction, size_average, reduce, ("batchmean",))
    input, target = pair("kl_div", input, target)
    loss = (network.kl_div_of_logs if log_target else network.kl_div)(input, target)
    if reduction != "batchmean":
        return reduced(loss, reduction)
    if not input.ndim:
        return loss
    return ops.sum(loss) * nan if not input.shape[0] else ops.sum(loss) / input.shape[0]


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """Minus the log-likelihood of counts from a Poisson distribution: ``exp(x) - y * x``, or ``x - y * log(x + eps)``.

    Parameters
    ----------
    input : Variable or array
        The logarithm of the expected count, or with ``log_input=False`` the expected count.
    target : Variable or array, of the input's shape
        Counts; integers, too. The wider of two floating-point dtypes is that of the result.
    full : bool
        Whether to add Stirling's approximation of ``log(y!)``, for y above 1: ``y * log(y) - y + log(2 * pi * y) / 2``.
    eps : float
        What keeps the logarithm finite.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.poisson_nll_loss(rustorch.tensor([0.0, 0.0]), rustorch.tensor([3, 5])).item()
    1.0
    """
    reduction = reduction_of("poisson_nll_loss", reduction, size_average, reduce)
    input, target = pair("poisson_nll_loss", input, target, "iuf")
    loss = network.poisson_nll_of_logs(input, target) if log_input else network.poisson_nll(input, target, float(eps))
    if full:
        small = target <= 1
        y = ops.where(small, ops.ones_like(target), target)
        loss = loss + ops.where(small, ops.zeros_like(y), y * (ops.log(y) - 1) + 0.5 * (ops.log(y) + log(2 * pi)))
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Variable:
    """Minus the log-likelihood of normal numbers: ``(log(v) + (x - y)**2 / v) / 2`` for a mean x and a variance v.

    Parameters
    ----------
    input, target : Variable or array
        Their shapes broadcast, and the widest dtype is that of the result; a target of integers gets the input's.
    var : Variable, array or float
        Variances, of the input's shape, of that shape without its last dimension, or with one size of 1 in it.
    full : bool
        Whether to add the constant ``log(2 * pi) / 2``.
    eps : float
        The least variance: a smaller one counts as this, and its gradient as if it did not.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If shapes do not fit, a variance is known to be negative, or ``eps`` is not positive.

    Source: Nix & Weigend, "Estimating the mean and variance of the target probability distribution", 1994.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([0.0, 0.0]), rustorch.tensor([2.0, 4.0])
    >>> rustorch.nn.functional.gaussian_nll_loss(x, y, 1.0).item()
    5.0
    """
    name = "gaussian_nll_loss"
    check_reduction(name, reduction)
    if not eps > 0:
        raise ValueError(f"{name}: eps is positive, not {eps}")
    input = real(input, name)
    target = adopt(target, name, (input,))
    var = ops.full_like(input, float(var)) if isinstance(var, (int, float)) else adopt(var, name, (input,))
    if not broadcastable([input.shape, target.shape]):
        raise ValueError(
            f"{name}: the input has shape {input.shape} and the target {target.shape}, which do not broadcast"
        )
    if var.shape != input.shape:
        if var.shape == input.shape[:-1] and input.ndim:
            var = ops.expand_dims(var, axis=-1)
        elif var.ndim != input.ndim or [n for n, m in zip(var.shape, input.shape, strict=True) if n != m] != [1]:
            raise ValueError(
                f"{name}: var is of the input's shape {input.shape}, or without its last dimension, or with a 1 in it, "
                f"not {var.shape}"
            )
    if known(var, lambda v: v < 0):
        raise ValueError(f"{name}: a variance in var is negative")
    input, target = together(name, "target", input, target, "iuf")
    input, var = together(name, "var", input, var)
    loss = network.gaussian_nll(input - target, at_least(var, eps))
    return reduced(loss + 0.5 * log(2 * pi) if full else loss, reduction)
