"""Losses from probability distributions: negative log-likelihoods and the Kullback-Leibler divergence."""

from __future__ import annotations

from math import log, nan, pi
from typing import TYPE_CHECKING

from ... import ops
from ...autograd.check import broadcastable
from ...ops import network
from .checks import adopt, at_least, check_reduction, known, real, reduced, reduction_of
from .targets import pair, together

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["gaussian_nll_loss", "kl_div", "poisson_nll_loss"]


def kl_div(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Variable:
    """``y * (log(y) - x)``, the terms of the Kullback-Leibler divergence, for log-probabilities x and probabilities y.

    Parameters
    ----------
    input : Variable or array
        Log-probabilities.
    target : Variable or array, of the input's shape
        Probabilities. Where one is 0, the term is 0 for every input; where one is negative, the term is nan. The
        result has the wider one of two dtypes.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" is the sum divided by the first size: the divergence itself. "mean" is the mean of all elements.
    log_target : bool
        Whether the target holds log-probabilities; -inf stands for the probability 0.

    Raises
    ------
    TypeError
        If input or target is complex or of integers.
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
    input: ArrayLike,
    target: ArrayLike,
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
        Counts, also as integers. The result has the wider one of two floating-point dtypes.
    full : bool
        Whether to add Stirling's approximation of ``log(y!)``, for y above 1: ``y * log(y) - y + log(2 * pi * y) / 2``.
    eps : float
        A small number that keeps the logarithm finite.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
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
    input: ArrayLike, target: ArrayLike, var: ArrayLike, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Variable:
    """Minus the log-likelihood of a normal distribution: ``(log(v) + (x - y)**2 / v) / 2``, mean x and variance v.

    Parameters
    ----------
    input, target : Variable or array
        Their shapes broadcast. The result has the widest dtype. Integers of the target are converted to the input's
        dtype.
    var : Variable, array or float
        Variances. Their shape is the input's; or the input's without its last dimension; or the input's with a 1 in
        place of one size.
    full : bool
        Whether to add the constant ``log(2 * pi) / 2``.
    eps : float
        The smallest variance: a smaller one is replaced by it. The gradient ignores the replacement.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If shapes do not fit, ``eps`` is not positive, or a variance is negative and can be read without waiting.

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
