"""Dropout, its random masks, and Gumbel-softmax."""

from __future__ import annotations

import math
import warnings
from numbers import Real
from typing import TYPE_CHECKING

from ... import ops
from ...backends import dtypes
from ...ops import network
from ...ops.arguments import one_axis
from ...ops.indexing import assign
from ...random import dropout_mask, rand
from .checks import adopt, floating, real

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = [
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "gumbel_softmax",
]  # fmt: skip

#: Minus the limit of SELU far below 0: its scale times its alpha.
_ALPHA = 1.7580993408473766


def check_probability(name: str, p: float) -> None:
    """Raise ValueError unless p is a probability."""
    if not isinstance(p, Real):
        raise TypeError(f"{name}: p is a probability between 0 and 1, not {p!r}")
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p is a probability between 0 and 1, not {p}")


def drawn_mask(shape: tuple[int, ...], p: float, like: Variable, scale: float | None = None) -> Variable:
    """A random mask: 0 with probability ``p``, else ``scale``, in the dtype and on the device of ``like``.

    The default of ``scale`` is ``1 / (1 - p)``. A p of 1 needs no random numbers, and draws none.
    """
    if p == 1:
        return ops.zeros(shape, dtype=like.dtype, device=like.device)
    return dropout_mask(shape, like.dtype, like.device, p, 1 / (1 - p) if scale is None else scale)


def _features(x: Variable) -> tuple[int, ...]:
    """The shape of a mask of whole channels."""
    return (*x.shape[:2], *(1,) * (x.ndim - 2))


def _dropped(x: Variable, shape: tuple[int, ...], p: float, alpha: bool) -> Variable:
    if p == 1 or not alpha:
        return network.apply_mask.call(x, drawn_mask(shape, p, x))
    mask = drawn_mask(shape, p, x, 1.0)
    scale = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p))
    return network.apply_mask.call(x, mask * scale) + ((mask - 1) * (_ALPHA * scale) + _ALPHA * scale * p)


def _run(
    name: str, input: ArrayLike, p: float, training: bool, inplace: bool, features: bool = False, alpha: bool = False
) -> Variable:
    check_probability(name, p)
    x = adopt(input, name)
    if not training or p == 0 or not x.size:
        return x
    floating(x, name)
    shape = _features(x) if features else x.shape
    if inplace:
        assign(x, lambda: _dropped(x, shape, p, alpha), f"{name}(inplace=True)")
        return x
    return _dropped(x, shape, p, alpha)


def dropout(input: ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False) -> Variable:
    """Zero each element with probability p, and divide the others by ``1 - p``: the expected value does not change.

    A zeroed element is 0 and has a gradient of 0, even if it was infinite or nan.

    Parameters
    ----------
    input : Variable or array
    p : float
        In [0, 1].
    training : bool
        Whether to zero elements. Otherwise the input is returned.
    inplace : bool
        Whether to write the output into the input.

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If p is not in [0, 1]. No random number is drawn then.
    TypeError
        If in training the input has no floating-point dtype.

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Examples
    --------
    >>> import rustorch
    >>> out = rustorch.nn.functional.dropout(rustorch.ones(100), 0.5)
    >>> sorted(set(out.tolist()))
    [0.0, 2.0]
    """
    return _run("dropout", input, p, training, inplace)


def _sample(name: str, input: ArrayLike, p: float, training: bool, inplace: bool, single: int, batch: int) -> Variable:
    """Dropout of whole channels. The input is (channels, ...) or (n, channels, ...).

    It has ``single`` dimensions in the first case, and ``batch`` in the second one.
    """
    check_probability(name, p)
    x = adopt(input, name)
    if x.ndim not in (single, batch):
        raise ValueError(f"{name}: the input has shape {x.shape}; it takes {single} or {batch} dimensions")
    if x.ndim == batch or not training:
        return _run(name, x, p, training, inplace, features=True)
    if inplace:
        floating(x, name)
        assign(x, lambda: _run(name, x[None], p, training, False, features=True)[0], f"{name}(inplace=True)")
        return x
    return _run(name, x[None], p, training, False, features=True)[0]


def dropout1d(input: ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False) -> Variable:
    """`dropout` of whole channels of (channels, length) or (n, channels, length).

    Parameters
    ----------
    input : Variable or array
    p : float
        In [0, 1].
    training, inplace : bool
        As for `dropout`.

    Raises
    ------
    ValueError
        If p is not in [0, 1], or the input has another number of dimensions. No random number is drawn then.

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015.
    """
    return _sample("dropout1d", input, p, training, inplace, 2, 3)


def dropout2d(input: ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False) -> Variable:
    """`dropout` of whole channels of (n, channels, height, width); parameters as in `dropout1d`.

    An input of three dimensions counts as (n, channels, length), as in PyTorch, with a warning: see `dropout1d`.
    """
    check_probability("dropout2d", p)
    x = adopt(input, "dropout2d")
    if x.ndim == 3:
        warnings.warn(
            "dropout2d takes an input of three dimensions as (n, channels, length); use dropout1d for that",
            UserWarning,
            stacklevel=2,
        )
    elif x.ndim != 4:
        raise ValueError(f"dropout2d: the input has shape {x.shape}; it takes (n, channels, height, width)")
    return _run("dropout2d", x, p, training, inplace, features=True)


def dropout3d(input: ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False) -> Variable:
    """`dropout` of whole channels of (channels, depth, height, width) or (n, channels, depth, height, width).

    The parameters are those of `dropout1d`.
    """
    return _sample("dropout3d", input, p, training, inplace, 4, 5)


def alpha_dropout(input: ArrayLike, p: float = 0.5, training: bool = False, inplace: bool = False) -> Variable:
    """Dropout for SELU: dropped elements become the limit of SELU far below 0. Mean and variance do not change.

    Parameters
    ----------
    input : Variable or array
    p : float
        In [0, 1].
    training, inplace : bool
        As for `dropout`.

    Raises
    ------
    ValueError
        If p is not in [0, 1]. No random number is drawn then.

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return _run("alpha_dropout", input, p, training, inplace, alpha=True)


def feature_alpha_dropout(input: ArrayLike, p: float = 0.5, training: bool = False, inplace: bool = False) -> Variable:
    """`alpha_dropout` of whole channels of (n, channels, ...); parameters as for `alpha_dropout`."""
    check_probability("feature_alpha_dropout", p)
    x = adopt(input, "feature_alpha_dropout")
    if x.ndim < 2 and training:
        raise ValueError(
            f"feature_alpha_dropout: the input has shape {x.shape}; it needs two dimensions at least, (n, channels, "
            f"...)"
        )
    return _run("feature_alpha_dropout", x, p, training, inplace, features=True, alpha=True)


def gumbel_softmax(
    logits: ArrayLike, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Variable:
    """Random, differentiable draws of classes: ``softmax((logits + g) / tau)`` with Gumbel-distributed g.

    Parameters
    ----------
    logits : Variable or array
        Log-probabilities. They need not be normalized.
    tau : float
        Positive. The smaller it is, the nearer each result is to a single class.
    hard : bool
        Whether to return 1 for the largest class and 0 for the others, with the gradient of the softmax.
    eps : float
        PyTorch's argument; it has no effect.
    dim : int
        The dimension of the classes.

    Returns
    -------
    Variable, of the logits' shape

    Raises
    ------
    ValueError
        If ``tau`` is not positive. No random number is drawn then.

    Source: Jang, Gu & Poole, 2017, arXiv:1611.01144; Maddison, Mnih & Teh, 2017, arXiv:1611.00712.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.gumbel_softmax(rustorch.tensor([0.0, 100.0, 0.0]), hard=True).tolist()
    [0.0, 1.0, 0.0]
    """
    name = "gumbel_softmax"
    x = real(logits, name)
    if not tau > 0:
        raise ValueError(f"{name}: tau is a divisor and must be positive, not {tau!r}")
    if not x.ndim:
        raise ValueError(f"{name}: the logits need a dimension of classes; their shape is ()")
    axis = one_axis(dim, x.ndim, name)
    # uniform numbers in [0, 1); a 0 would give infinity, and CuPy rounds numbers below the smallest normal one to 0
    u = rand(x.shape, dtype=dtypes.float32, device=x.device)
    minus_gumbel = ops.log(-ops.log(ops.clip(u, min=ops.finfo(u.dtype).smallest_normal, max=1 - 1e-7)))
    soft = network.softmax((x - ops.astype(minus_gumbel, x.dtype, copy=False)) / tau, axis)
    if not hard:
        return soft
    best = ops.argmax(soft.detach(), axis=axis, keepdims=True)
    shape = tuple([x.shape[axis] if i == axis else 1 for i in range(x.ndim)])
    places = ops.reshape(ops.arange(x.shape[axis], dtype=best.dtype, device=x.device), shape)
    return ops.astype(best == places, x.dtype) - soft.detach() + soft
