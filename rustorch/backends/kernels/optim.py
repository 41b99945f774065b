"""One step of each optimizer for one parameter, in plain code; Adafactor and Muon have files of their own.

A step takes the parameter ``p``, its gradient ``g`` and the arrays of its state by position, and numbers by keyword. It
returns the new parameter and the new state. An override may write into all of these arrays but the gradient, and return
them: a caller never uses the old ones again. A caller computes what depends on the number of the step, such as Adam's
bias corrections, in double precision.

An update in ELEMENTWISE treats each element of a parameter by itself, so an override may run it block by block or as
one fused loop. All its arrays have the parameter's shape. It uses operators and functions of the standard alone, and
branches on its numbers alone, never on the elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace

#: The updates that treat each element of a parameter by itself.
ELEMENTWISE = ("adadelta", "adagrad", "adam", "adamax", "asgd", "nadam", "radam", "rmsprop", "rprop", "sgd")


def _direction(p: Array, g: Array, weight_decay: float, maximize: bool) -> Array:
    """The gradient to descend along: ``g``, or ``-g`` to maximize, plus ``weight_decay * p``."""
    if maximize:
        g = -g
    return g + weight_decay * p if weight_decay else g


def _moments(
    p: Array,
    g: Array,
    mean: Array,
    square: Array,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> tuple[Array, Array, Array, Array]:
    """What NAdam and RAdam begin with: weight decay of either kind, and the running means of the gradient and of
    its square. Returns ``p``, ``g``, ``mean`` and ``square``.
    """
    if decoupled:
        p = (1 - lr * weight_decay) * p
        weight_decay = 0
    g = _direction(p, g, weight_decay, maximize)
    return p, g, mean + (1 - beta1) * (g - mean), beta2 * square + (1 - beta2) * (g * g)


def sgd(
    xp: Namespace,
    p: Array,
    g: Array,
    buffer: Array | None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> tuple[Array, Array | None]:
    """Take one step of gradient descent with momentum.

    ``buffer`` is the running direction, or None before the first step and without momentum::

        g = g + weight_decay * p                              # -g + weight_decay * p to maximize
        buffer = momentum * buffer + (1 - dampening) * g      # first step: buffer = g
        p = p - lr * buffer                                   # nesterov: p - lr * (g + momentum * buffer)

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, equations 1 to
    4; in PyTorch's form, where the buffer does not contain the learning rate.
    """
    g = _direction(p, g, weight_decay, maximize)
    if momentum:
        buffer = xp.asarray(g, copy=True) if buffer is None else momentum * buffer + (1 - dampening) * g
        if nesterov:
            p, lr = p - lr * g, lr * momentum
        g = buffer
    return p - lr * g, buffer


def adam(
    xp: Namespace,
    p: Array,
    g: Array,
    mean: Array,
    square: Array,
    top: Array | None,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    correction1: float,
    correction2: float,
) -> tuple[Array, Array, Array, Array | None]:
    """Take one step of Adam; of AdamW if ``decoupled``.

    In step ``t``, ``correction1`` is ``1 - beta1**t`` and ``correction2`` is ``1 - beta2**t``::

        g = g + weight_decay * p                              # decoupled: p = (1 - lr * weight_decay) * p
        mean = beta1 * mean + (1 - beta1) * g
        square = beta2 * square + (1 - beta2) * g**2
        p = p - lr * (mean / correction1) / (sqrt(square / correction2) + eps)

    AMSGrad divides by the root of ``top = max(top, square)``, the largest ``square`` so far. Otherwise ``top`` is None.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014, algorithm 1; ``decoupled``: Loshchilov
    and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2; AMSGrad: Reddi et al., "On the Convergence
    of Adam and Beyond", 2018, algorithm 2.
    """
    if decoupled:
        p = (1 - lr * weight_decay) * p
        weight_decay = 0
    # both corrections are moved out of the quotient, and the gradient is multiplied once for both means: fewer passes
    part, root = (1 - beta1) * _direction(p, g, weight_decay, maximize), correction2**0.5
    mean = beta1 * mean + part
    square = beta2 * square + (1 - beta2) / (1 - beta1) ** 2 * (part * part)
    if top is not None:
        top = xp.maximum(top, square)
    quotient = mean / (xp.sqrt(square if top is None else top) + eps * root)
    return p - lr * root / correction1 * quotient, mean, square, top


def nadam(
    xp: Namespace,
    p: Array,
    g: Array,
    mean: Array,
    square: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    correction2: float,
    gradient_weight: float,
    mean_weight: float,
) -> tuple[Array, Array, Array]:
    """Take one step of NAdam: Adam with Nesterov's momentum.

    With ``mean`` and ``square`` as in `adam`::

        p = p - lr * (gradient_weight * g + mean_weight * mean) / (sqrt(square / correction2) + eps)

    In step ``t``, ``correction2`` is ``1 - beta2**t``. With the momentum ``mu[t]`` of a step and ``product[t] = mu[1] *
    ... * mu[t]``, ``gradient_weight`` is ``(1 - mu[t]) / (1 - product[t])`` and ``mean_weight`` is ``mu[t + 1] / (1 -
    product[t + 1])``.

    Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016.
    """
    p, g, mean, square = _moments(p, g, mean, square, lr, beta1, beta2, weight_decay, decoupled, maximize)
    root = xp.sqrt(square / correction2) + eps
    return p - lr * ((gradient_weight * g + mean_weight * mean) / root), mean, square


def radam(
    xp: Namespace,
    p: Array,
    g: Array,
    mean: Array,
    square: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    correction1: float,
    rectification: float,
) -> tuple[Array, Array, Array]:
    """Take one step of RAdam: Adam that steps along the mean alone while the variance is not known well enough.

    With ``mean`` and ``square`` as in `adam`, and ``correction1 = 1 - beta1**t`` in step ``t``::

        p = p - lr * (mean / correction1) * rectification / (sqrt(square) + eps)
        p = p - lr * (mean / correction1)                     # where rectification is 0

    ``rectification`` contains ``sqrt(1 - beta2**t)``, which corrects the root.

    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2019, algorithm 2.
    """
    p, g, mean, square = _moments(p, g, mean, square, lr, beta1, beta2, weight_decay, decoupled, maximize)
    step = rectification * mean / (xp.sqrt(square) + eps) if rectification else mean
    return p - lr / correction1 * step, mean, square


def adamax(
    xp: Namespace,
    p: Array,
    g: Array,
    mean: Array,
    largest: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
    correction1: float,
) -> tuple[Array, Array, Array]:
    """Take one step of Adamax: Adam with a running maximum of the gradients' sizes.

    ``correction1`` is ``1 - beta1**t`` in step ``t``::

        g = g + weight_decay * p
        mean = beta1 * mean + (1 - beta1) * g
        largest = max(beta2 * largest, abs(g) + eps)
        p = p - lr * (mean / correction1) / largest

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014, algorithm 2.
    """
    g = _direction(p, g, weight_decay, maximize)
    mean = mean + (1 - beta1) * (g - mean)
    largest = xp.maximum(beta2 * largest, xp.abs(g) + eps)
    return p - lr / correction1 * (mean / largest), mean, largest


def adagrad(
    xp: Namespace, p: Array, g: Array, total: Array, *, lr: float, eps: float, weight_decay: float, maximize: bool
) -> tuple[Array, Array]:
    """Take one step of Adagrad.

    ``total`` is the sum of all squared gradients::

        g = g + weight_decay * p
        total = total + g**2
        p = p - lr * g / (sqrt(total) + eps)

    Source: Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    2011, figure 1.
    """
    g = _direction(p, g, weight_decay, maximize)
    total = total + g * g
    return p - lr * (g / (xp.sqrt(total) + eps)), total


def adadelta(
    xp: Namespace,
    p: Array,
    g: Array,
    square: Array,
    step_square: Array,
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> tuple[Array, Array, Array]:
    """Take one step of Adadelta.

    ``square`` is the running mean of the squared gradients, ``step_square`` that of the squared steps::

        g = g + weight_decay * p
        square = rho * square + (1 - rho) * g**2
        step = sqrt(step_square + eps) / sqrt(square + eps) * g
        step_square = rho * step_square + (1 - rho) * step**2
        p = p - lr * step

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1.
    """
    g = _direction(p, g, weight_decay, maximize)
    square = rho * square + (1 - rho) * (g * g)
    step = xp.sqrt(step_square + eps) / xp.sqrt(square + eps) * g
    step_square = rho * step_square + (1 - rho) * (step * step)
    return p - lr * step, square, step_square


def rmsprop(
    xp: Namespace,
    p: Array,
    g: Array,
    square: Array,
    mean: Array | None,
    buffer: Array | None,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    maximize: bool,
) -> tuple[Array, Array, Array | None, Array | None]:
    """Take one step of RMSprop.

    ``mean`` is the running mean of the gradients for the centered form, else None. ``buffer`` is the running direction
    for momentum, else None::

        g = g + weight_decay * p
        square = alpha * square + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        step = g / (sqrt(square - mean**2) + eps)             # without a mean: g / (sqrt(square) + eps)
        buffer = momentum * buffer + step
        p = p - lr * buffer                                   # without a buffer: p - lr * step

    Source: Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012; the centered form with momentum: Graves,
    "Generating Sequences With Recurrent Neural Networks", 2013, equations 38 to 41. As in PyTorch, ``eps`` stands
    outside of the root.
    """
    g = _direction(p, g, weight_decay, maximize)
    square = alpha * square + (1 - alpha) * (g * g)
    if mean is None:
        variance = square
    else:
        mean = mean + (1 - alpha) * (g - mean)
        variance = square - mean * mean
    step = g / (xp.sqrt(variance) + eps)
    if buffer is not None:
        step = buffer = momentum * buffer + step
    return p - lr * step, square, mean, buffer


def rprop(
    xp: Namespace,
    p: Array,
    g: Array,
    previous: Array,
    size: Array,
    *,
    shrink: float,
    grow: float,
    smallest: float,
    largest: float,
    maximize: bool,
) -> tuple[Array, Array, Array]:
    """Take one step of Rprop.

    ``previous`` is the last gradient, and 0 where its sign had changed. ``size`` is the length of each element's step::

        size = size * grow where g * previous > 0, size * shrink where g * previous < 0, else size
        size = clip(size, smallest, largest)
        previous = g = 0 where g * previous < 0, else g
        p = p - sign(g) * size

    An element whose gradient is nan does not move, as in PyTorch.

    Source: Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm",
    1993. As in PyTorch, a step whose gradient has changed its sign is left out, not taken back: the variant iRprop- of
    Igel and Huesken, "Improving the Rprop Learning Algorithm", 2000.
    """
    if maximize:
        g = -g
    agreement = g * previous
    size = xp.where(agreement > 0, size * grow, xp.where(agreement < 0, size * shrink, size))
    size = xp.clip(size, smallest, largest)
    g = xp.where(agreement < 0, xp.zeros_like(g), g)
    step = xp.where(g > 0, size, xp.where(g < 0, -size, xp.zeros_like(size)))
    return p - step, g, size


def asgd(
    xp: Namespace,
    p: Array,
    g: Array,
    average: Array,
    *,
    decay: float,
    eta: float,
    mu: float,
    weight_decay: float,
    maximize: bool,
) -> tuple[Array, Array]:
    """Take one step of averaged gradient descent.

    ``average`` is the running mean of the parameter, ``mu`` the weight of its newest value, and ``decay`` is ``1 -
    lambd * eta``::

        g = g + weight_decay * p
        p = decay * p - eta * g
        average = average + mu * (p - average)

    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; with the step sizes of
    Bottou, "Stochastic Gradient Descent Tricks", 2012.
    """
    g = _direction(p, g, weight_decay, maximize)
    p = decay * p - eta * g
    return p, average + mu * (p - average)
