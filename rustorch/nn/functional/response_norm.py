"""Local response normalization over neighbouring channels, and normalization of vectors to length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import ops
from ...ops import linalg
from ...ops.arguments import one_axis
from ...ops.linalg.norms import safe_range
from .checks import adopt
from .normalization import together

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["local_response_norm", "normalize"]


def local_response_norm(
    input: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Variable:
    """``x / (k + alpha / size * s) ** beta``, where s is the sum of squares over ``size`` neighbouring channels.

    Parameters
    ----------
    input : Variable or array, (n, channels, d1, ...)
    size : int
        The number of neighbouring channels, the channel included; positive. If it is even, one more neighbour lies
        before the channel than after it.
    alpha, beta, k : float

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If the input has fewer than three dimensions, or the size is not positive.

    Source: Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", 2012,
    section 3.3. Here alpha is divided by the size, as in PyTorch.
    """
    x: Variable = together("local_response_norm", input)[0]
    if x.ndim < 3:
        raise ValueError(
            f"local_response_norm: the input has shape {x.shape}; it needs three dimensions at least, (n, channels, "
            f"...)"
        )
    if size < 1:
        raise ValueError(f"local_response_norm: the size is a positive number of channels, not {size}")
    n, channels, *rest = x.shape
    before, after = (ops.zeros((n, m, *rest), dtype=x.dtype, device=x.device) for m in (size // 2, (size - 1) // 2))
    y = x
    unit: Variable | None = None
    if x.size:  # divide samples whose squares might overflow by their largest number, which counts as a constant
        top = ops.max(ops.abs(x.detach()), axis=tuple(range(1, x.ndim)), keepdims=True)
        huge = ops.logical_and(top > safe_range(x.dtype, 2)[1], top < float("inf"))
        unit = ops.where(huge, top, ops.ones_like(top))
        y = x / unit
    squares = ops.concat([before, y * y, after], axis=1)
    total = squares[:, :channels]
    for i in range(1, size):
        total = total + squares[:, i : i + channels]
    if unit is None:
        return x / (total * (alpha / size) + k) ** beta
    return x / unit**beta / (total * (alpha / size) + k / unit / unit) ** beta / unit**beta


def normalize(input: ArrayLike, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None) -> Variable:
    """``x / max(norm(x), eps)``, with the norm along a dimension.

    Parameters
    ----------
    input : Variable or array
    p : float
        The order of the norm.
    dim : int
    eps : float
        The smallest divisor, so that nothing is divided by 0.
    out : None
        PyTorch's argument; only None is allowed.

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    IndexError
        If there is no such dimension.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.normalize(rustorch.tensor([3.0, 4.0]), dim=0)
    Variable([0.6, 0.8])
    """
    if out is not None:
        raise ValueError("normalize: out must be None; results are new Variables")
    x = adopt(input, "normalize")
    if x.dtype.kind not in "fc":
        raise TypeError(
            f"normalize is of floating-point numbers, not of {x.dtype}; convert them, as in x.astype(rustorch.float32)"
        )
    axis = one_axis(dim, max(x.ndim, 1), "normalize")
    # an input without dimensions is a vector of one element
    norm = linalg.vector_norm(x, axis=axis, keepdims=True, ord=p) if x.ndim else ops.abs(x)
    return x / ops.clip(norm, min=eps)
