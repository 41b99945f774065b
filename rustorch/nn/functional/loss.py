"""Losses that compare an input with a target of its shape."""

from __future__ import annotations

from math import log, pi
from typing import Any

from ... import ops
from ...autograd.check import adopt
from ...ops import network
from ...variable import Variable
from .checks import at_least, check_reduction, known, pair, real, reduced, signs

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div",
    "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
]  # fmt: skip


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Variable:
    """Squared differences: their mean, their sum, or each.

    Parameters
    ----------
    input, target : Variable or array
        Of one shape.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ: broadcasting (n, 1) against (n,) would compare everything with everything.
    """
    check_reduction("mse_loss", reduction)
    input, target = pair("mse_loss", input, target)
    if reduction == "none" or input.dtype.kind == "c":
        d = input - target
        return d * d if reduction == "none" else d.mean() if reduction == "mean" and not input.size else reduced(d * d, reduction)
    return network.mse.call(input, target, input.size if reduction == "mean" else 1)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Variable:
    """Absolute differences: their mean, their sum, or each; the gradient where there is none is 0.

    Parameters
    ----------
    input, target : Variable or array
        Of one shape.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.l1_loss(rustorch.tensor([1.0, 5.0]), rustorch.tensor([2.0, 2.0])).item()
    2.0
    """
    check_reduction("l1_loss", reduction)
    input, target = pair("l1_loss", input, target)
    return reduced(ops.abs(input - target), reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Variable:
    """``d * d / (2 * beta)`` for differences d nearer to 0 than ``beta``, ``abs(d) - beta / 2`` for others.

    Parameters
    ----------
    input, target : Variable or array
        Of one shape.
    reduction : {"mean", "sum", "none"}
    beta : float
        Not negative; 0 gives `l1_loss`.

    Raises
    ------
    ValueError
        If the shapes differ, or ``beta`` is negative.

    Source: Girshick, "Fast R-CNN", 2015, equation 3.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.smooth_l1_loss(rustorch.tensor([0.5, 3.0]), rustorch.tensor([0.0, 0.0]), "none").tolist()
    [0.125, 2.5]
    """
    check_reduction("smooth_l1_loss", reduction)
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta is not negative, as {beta} is")
    if not beta:
        return l1_loss(input, target, reduction)
    input, target = pair("smooth_l1_loss", real(input, "smooth_l1_loss"), target)
    return reduced(network.huber(input - target, float(beta)) / beta, reduction)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Variable:
    """``d * d / 2`` for differences d nearer to 0 than ``delta``, ``delta * (abs(d) - delta / 2)`` for others.

    Parameters
    ----------
    input, target : Variable or array
        Of one shape.
    reduction : {"mean", "sum", "none"}
    delta : float
        Positive.

    Raises
    ------
    ValueError
        If the shapes differ, or ``delta`` is not positive.

    Source: Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.huber_loss(rustorch.tensor([0.5, 3.0]), rustorch.tensor([0.0, 0.0]), "none", 2.0).tolist()
    [0.125, 4.0]
    """
    check_reduction("huber_loss", reduction)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta is positive, not {delta}")
    input, target = pair("huber_loss", real(input, "huber_loss"), target)
    return reduced(network.huber(input - target, float(delta)), reduction)


def _weighed(name: str, loss: Variable, weight: Any) -> Variable:
    """Each loss times its weight, whose shape must broadcast to theirs."""
    if weight is None:
        return loss
    out = loss * adopt(weight, name, (loss,))
    if out.shape != loss.shape:
        raise ValueError(f"{name}: a weight of shape {weight.shape} does not broadcast to the input's shape {loss.shape}")
    return out


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Variable:
    """``-y * log(x) - (1 - y) * log(1 - x)`` for probabilities x; logarithms are -100 at least.

    Parameters
    ----------
    input : Variable or array
        Probabilities, as of `sigmoid`. For what goes into the sigmoid, `binary_cross_entropy_with_logits` is more precise.
    target : Variable or array, of the input's shape
        Probabilities, usually 0 and 1.
    weight : Variable or array, optional
        What each element counts; it broadcasts to the input's shape.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If an input is known to be outside [0, 1], or shapes do not fit.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.binary_cross_entropy(rustorch.tensor([0.0, 1.0]), rustorch.tensor([1.0, 1.0])).item()
    50.0
    """
    name = "binary_cross_entropy"
    check_reduction(name, reduction)
    input, target = pair(name, real(input, name), target)
    plain = input.detach()
    if known(ops.logical_or(plain < 0, plain > 1)):
        raise ValueError(f"{name}: inputs are probabilities, in [0, 1]; for logits there is binary_cross_entropy_with_logits")
    return reduced(_weighed(name, network.binary_cross_entropy(input, target), weight), reduction)


def binary_cross_entropy_with_logits(input: Any, target: Any, weight: Any = None, reduction: str = "mean",
                                     pos_weight: Any = None) -> Variable:  # fmt: skip
    """``-p * y * log(sigmoid(x)) - (1 - y) * log(1 - sigmoid(x))``, stable for any x.

    Parameters
    ----------
    input : Variable or array
        Logits.
    target : Variable or array, of the input's shape
        Probabilities, usually 0 and 1.
    weight : Variable or array, optional
        What each element counts; it broadcasts to the input's shape.
    reduction : {"mean", "sum", "none"}
    pos_weight : Variable or array, optional
        The p of the equation: what a target of 1 counts; it broadcasts to the input's shape.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([-1000.0, 1000.0]), rustorch.tensor([1.0, 1.0])
    >>> rustorch.nn.functional.binary_cross_entropy_with_logits(x, y).item()
    500.0
    """
    name = "binary_cross_entropy_with_logits"
    check_reduction(name, reduction)
    input, target = pair(name, real(input, name), target)
    positive = network.log_sigmoid(input)
    if pos_weight is not None:
        pos_weight = adopt(pos_weight, name, (input,))
        positive = _weighed(f"{name}: pos_weight", positive, 1 + (pos_weight - 1) * target)
    return reduced(_weighed(name, (1 - target) * input - positive, weight), reduction)


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Variable:
    """``y * (log(y) - x)``, the parts of the Kullback-Leibler divergence, for log-probabilities x and probabilities y.

    Parameters
    ----------
    input : Variable or array
        Log-probabilities.
    target : Variable or array, of the input's shape
        Probabilities; where one is 0, the part is 0.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean", the sum over the first size, is the divergence itself; "mean" is over all elements.
    log_target : bool
        Whether the target holds log-probabilities.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([[0.0, -2.0]]), rustorch.tensor([[0.0, 1.0]])
    >>> rustorch.nn.functional.kl_div(x, y, reduction="batchmean").item()
    2.0
    """
    if reduction != "batchmean":
        check_reduction("kl_div", reduction)
    input, target = pair("kl_div", real(input, "kl_div"), target)
    if log_target:
        loss = ops.exp(target) * (target - input)
    else:
        none = target <= 0
        loss = target * (ops.log(ops.where(none, ops.ones_like(target), target)) - input)
    if reduction != "batchmean":
        return reduced(loss, reduction)
    if not input.ndim:
        raise ValueError("kl_div: reduction='batchmean' divides by the first size, but the input's shape is ()")
    return ops.sum(loss) / input.shape[0]


def poisson_nll_loss(input: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8,
                     reduction: str = "mean") -> Variable:  # fmt: skip
    """Minus the log-likelihood of counts from a Poisson distribution: ``exp(x) - y * x``, or ``x - y * log(x + eps)``.

    Parameters
    ----------
    input : Variable or array
        The logarithm of the expected count, or with ``log_input=False`` the expected count.
    target : Variable or array, of the input's shape
        Counts; integers, too.
    full : bool
        Whether to add Stirling's approximation of ``log(y!)``, for y above 1: ``y * log(y) - y + log(2 * pi * y) / 2``.
    eps : float
        What keeps the logarithm finite.
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
    check_reduction("poisson_nll_loss", reduction)
    input = real(input, "poisson_nll_loss")
    input, target = pair("poisson_nll_loss", input, signs("poisson_nll_loss", target, input))
    loss = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        small = target <= 1
        y = ops.where(small, ops.ones_like(target), target)
        loss = loss + ops.where(small, ops.zeros_like(y), y * ops.log(y) - y + 0.5 * ops.log(2 * pi * y))
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Variable:
    """Minus the log-likelihood of normal numbers: ``(log(v) + (x - y)**2 / v) / 2`` for a mean x and a variance v.

    Parameters
    ----------
    input, target : Variable or array
        Of one shape.
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
    input, target = pair(name, real(input, name), target)
    var = ops.full_like(input, float(var)) if isinstance(var, (int, float)) else adopt(var, name, (input,))
    if var.shape != input.shape:
        if var.shape == input.shape[:-1] and input.ndim:
            var = ops.expand_dims(var, axis=-1)
        elif var.ndim != input.ndim or [n for n, m in zip(var.shape, input.shape, strict=True) if n != m] != [1]:
            raise ValueError(
                f"{name}: var is of the input's shape {input.shape}, or without its last dimension, or with a 1 in it, not {var.shape}"
            )
    if known(var.detach() < 0):
        raise ValueError(f"{name}: a variance in var is negative")
    var = at_least(var, eps)
    d = input - target
    loss = 0.5 * (ops.log(var) + d * d / var)
    return reduced(loss + 0.5 * log(2 * pi) if full else loss, reduction)


def soft_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Variable:
    """``log(1 + exp(-y * x))`` for targets y of 1 and -1.

    Parameters
    ----------
    input, target : Variable or array
        Of one shape; the target may be of integers.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.soft_margin_loss(rustorch.tensor([-1000.0, 1000.0]), rustorch.tensor([1, 1])).item()
    500.0
    """
    name = "soft_margin_loss"
    check_reduction(name, reduction)
    input = real(input, name)
    input, target = pair(name, input, signs(name, target, input))
    return reduced(-network.log_sigmoid(input * target), reduction)


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Variable:
    """``x`` for targets of 1, ``max(0, margin - x)`` for targets of -1: distances of what is alike, and of what is not.

    Parameters
    ----------
    input, target : Variable or array
        Of one shape; the target may be of integers.
    margin : float
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.hinge_embedding_loss(rustorch.tensor([2.0, 0.5]), rustorch.tensor([1, -1]), reduction="none").tolist()
    [2.0, 0.5]
    """
    name = "hinge_embedding_loss"
    check_reduction(name, reduction)
    input = real(input, name)
    input, target = pair(name, input, signs(name, target, input))
    zero = ops.zeros_like(input)
    loss = ops.where(target == 1, zero, ops.clip(margin - input, min=0)) + ops.where(target == -1, zero, input)
    return reduced(loss, reduction)
