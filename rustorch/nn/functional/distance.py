"""Distances and similarities of vectors, and losses made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ... import ops
from ...autograd.check import broadcastable
from ...ops.arguments import one_axis
from ...ops.from_data import constant
from ...ops.linalg import vector_norm
from .checks import adopt, at_least, check_reduction, real, reduced, reduction_of
from .targets import signs

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["cosine_embedding_loss", "cosine_similarity", "margin_ranking_loss", "pairwise_distance", "pdist",
           "triplet_margin_loss", "triplet_margin_with_distance_loss"]  # fmt: skip

#: PyTorch adds the square of this number to squared lengths in cosine_embedding_loss.
_LEAST_LENGTH = 1e-6


def _vectors(name: str, *given: ArrayLike) -> list[Variable]:
    """The inputs as Variables of real numbers. Raises ValueError unless their shapes broadcast."""
    inputs = [real(x, name) for x in given]
    if not broadcastable([x.shape for x in inputs]):
        raise ValueError(
            f"{name}: the inputs have shapes {', '.join(str(x.shape) for x in inputs)}, which do not broadcast"
        )
    return inputs


def cosine_similarity(x1: ArrayLike, x2: ArrayLike, dim: int = 1, eps: float = 1e-8) -> Variable:
    """The cosine of the angle between vectors: ``sum(x1 * x2) / (max(norm(x1), eps) * max(norm(x2), eps))``.

    Parameters
    ----------
    x1, x2 : Variable or array
        Their shapes broadcast. Arrays without dimensions are vectors of one element.
    dim : int
        The dimension of the broadcast shape along which the vectors lie.
    eps : float
        The smallest length to divide by.

    Returns
    -------
    Variable
        Of the broadcast shape without ``dim``.

    Raises
    ------
    IndexError
        If there is no such dimension.
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([[3.0, 0.0]]), rustorch.tensor([[5.0, 0.0]])
    >>> rustorch.nn.functional.cosine_similarity(x, y).tolist()
    [1.0]
    """
    x1, x2 = ops.broadcast_arrays(*_vectors("cosine_similarity", x1, x2))
    axis = one_axis(dim, max(x1.ndim, 1), "cosine_similarity")
    if not x1.ndim:
        x1, x2 = ops.expand_dims(x1, axis=0), ops.expand_dims(x2, axis=0)
    lengths = [at_least(vector_norm(x, axis=axis, keepdims=True), eps) for x in (x1, x2)]
    # divide before the product: a product of large numbers overflows, and one of small numbers underflows
    return ops.sum(x1 / lengths[0] * (x2 / lengths[1]), axis=axis)


def pairwise_distance(
    x1: ArrayLike, x2: ArrayLike, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Variable:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Parameters
    ----------
    x1, x2 : Variable or array, (..., d)
        Their shapes broadcast. Arrays without dimensions are vectors of one element.
    p : float
        The order of the norm; it may be infinite.
    eps : float
        Added to every difference, so that no distance is 0, where the norm has no derivative.
    keepdim : bool
        Whether to keep the last dimension, with size 1.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([[0.0, 0.0]]), rustorch.tensor([[3.0, 4.0]])
    >>> rustorch.nn.functional.pairwise_distance(x, y, eps=0.0).tolist()
    [5.0]
    """
    x1, x2 = _vectors("pairwise_distance", x1, x2)
    d = x1 - x2 + eps
    return (
        vector_norm(d, axis=-1, keepdims=keepdim, ord=p) if d.ndim else vector_norm(ops.expand_dims(d, axis=0), ord=p)
    )


def pdist(input: ArrayLike, p: float = 2.0) -> Variable:
    """The p-norms of the differences of all pairs of rows: (0, 1), (0, 2), ..., (1, 2), ...

    Parameters
    ----------
    input : Variable or array, (n, d)
    p : float
        The order of the norm, at least 0; it may be infinite.

    Returns
    -------
    Variable, (n * (n - 1) / 2,)

    Raises
    ------
    ValueError
        If the input has not two dimensions, or ``p`` is negative.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.pdist(rustorch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]])).tolist()
    [5.0, 4.0, 3.0]
    """
    x = real(input, "pdist")
    if x.ndim != 2:
        raise ValueError(f"pdist: the input is (n, d), not of shape {x.shape}")
    if not p >= 0:
        raise ValueError(f"pdist: p must be at least 0, not {p!r}")
    n = x.shape[0]
    pairs = [[i for i in range(n) for _ in range(i + 1, n)], [j for i in range(n) for j in range(i + 1, n)]]
    one, two = (ops.take(x, constant(places, x), axis=0) for places in pairs)
    return vector_norm(one - two, axis=-1, ord=p)


def margin_ranking_loss(
    input1: ArrayLike,
    input2: ArrayLike,
    target: ArrayLike,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``max(0, -y * (x1 - x2) + margin)``, small if x1 is larger where the target y is 1, and x2 where y is -1.

    Parameters
    ----------
    input1, input2, target : Variable or array
        They have the same number of dimensions, and their shapes broadcast. The target may be of integers.
    margin : float
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([3.0, 1.0]), rustorch.tensor([1.0, 2.0])
    >>> rustorch.nn.functional.margin_ranking_loss(x, y, rustorch.tensor([1, 1]), reduction="none").tolist()
    [0.0, 1.0]
    """
    name = "margin_ranking_loss"
    reduction = reduction_of(name, reduction, size_average, reduce)
    input1, input2 = _vectors(name, input1, input2)
    target = signs(name, target, input1, keep=True)
    if not (input1.ndim == input2.ndim == target.ndim):
        raise ValueError(
            f"{name}: the inputs and the target need equally many dimensions; their shapes are {input1.shape}, "
            f"{input2.shape}, {target.shape}"
        )
    _vectors(name, input1, input2, target)
    return reduced(ops.clip(margin - target * (input1 - input2), min=0), reduction)


def _scaled(x: Variable) -> tuple[Variable, Variable]:
    """Vectors and their lengths, ``sqrt(sum(x * x) + _LEAST_LENGTH**2)``, both divided by the largest element.

    So no square overflows. The divisor counts as a constant: the quotient of both results does not depend on it.
    """
    if not x.shape[-1]:
        return x, ops.sum(x, axis=-1) + _LEAST_LENGTH
    top = ops.clip(ops.max(ops.abs(x.detach()), axis=-1, keepdims=True), min=_LEAST_LENGTH)
    least = ops.squeeze(_LEAST_LENGTH / top, axis=-1)
    x = x / top
    return x, ops.sqrt(ops.sum(x * x, axis=-1) + least * least)


def cosine_embedding_loss(
    input1: ArrayLike,
    input2: ArrayLike,
    target: ArrayLike,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``1 - cos(x1, x2)`` for targets of 1, ``max(0, cos(x1, x2) - margin)`` for targets of -1.

    Parameters
    ----------
    input1, input2 : Variable or array, (n, d) or (d,)
        Their shapes broadcast.
    target : Variable or array, (n,) or ()
        1 for vectors that should be similar, -1 for others; it may be of integers.
    margin : float
        In [-1, 1].
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([[1.0, 0.0]]), rustorch.tensor([[0.0, 1.0]])
    >>> rustorch.nn.functional.cosine_embedding_loss(x, y, rustorch.tensor([1])).item()
    1.0
    """
    name = "cosine_embedding_loss"
    reduction = reduction_of(name, reduction, size_average, reduce)
    input1, input2 = _vectors(name, input1, input2)
    target = signs(name, target, input1)
    if target.ndim not in (0, 1) or {input1.ndim, input2.ndim} != {target.ndim + 1}:
        raise ValueError(
            f"{name}: inputs (n, d) need a target (n,), and inputs (d,) a target (); their shapes are {input1.shape}, "
            f"{input2.shape} and {target.shape}"
        )
    if not broadcastable([input1.shape[:-1], input2.shape[:-1], target.shape]):
        raise ValueError(f"{name}: {target.shape} targets for vectors of the shapes {input1.shape} and {input2.shape}")
    (one, length1), (two, length2) = _scaled(input1), _scaled(input2)
    cosine = ops.sum(one * two, axis=-1) / (length1 * length2)
    zero = ops.zeros_like(cosine)
    loss = ops.where(target == 1, 1 - cosine, zero) + ops.where(target == -1, ops.clip(cosine - margin, min=0), zero)
    return reduced(loss, reduction)


def triplet_margin_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``max(0, d(a, p) - d(a, n) + margin)`` for the distances d of the anchor a to the positive p and the negative n.

    Parameters
    ----------
    anchor, positive, negative : Variable or array, (n, d) or (d,)
    margin : float
        Positive.
    p, eps : float
        As for `pairwise_distance`, which is d.
    swap : bool
        Whether to use the negative's distance to the positive, where it is smaller than that to the anchor.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes do not fit, or the margin is not positive.

    Source: Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional neural
    networks", 2016.

    Examples
    --------
    >>> import rustorch
    >>> a, p, n = (rustorch.tensor([x]) for x in ([0.0, 0.0], [3.0, 4.0], [0.0, 5.0]))
    >>> rustorch.nn.functional.triplet_margin_loss(a, p, n, eps=0.0).item()
    1.0
    """
    reduction = reduction_of("triplet_margin_loss", reduction, size_average, reduce)
    return _triplet(
        "triplet_margin_loss",
        anchor,
        positive,
        negative,
        lambda x, y: pairwise_distance(x, y, p, eps),
        margin,
        swap,
        reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    *,
    distance_function: Callable[[Variable, Variable], Variable] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Variable:
    """`triplet_margin_loss` with any distance function.

    Parameters
    ----------
    anchor, positive, negative : Variable or array
        All have the same shape.
    distance_function : callable, optional
        A function of two Variables; default: `pairwise_distance`.
    margin : float
        Positive.
    swap : bool
        Whether to use the negative's distance to the positive, where it is smaller than that to the anchor.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes do not fit, or the margin is not positive.

    Examples
    --------
    >>> import rustorch
    >>> a, p, n = (rustorch.tensor([x]) for x in ([0.0, 0.0], [3.0, 4.0], [0.0, 5.0]))
    >>> largest = lambda x, y: rustorch.max(rustorch.abs(x - y), axis=-1)
    >>> rustorch.nn.functional.triplet_margin_with_distance_loss(a, p, n, distance_function=largest).item()
    0.0
    """
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet("triplet_margin_with_distance_loss", anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    name: str,
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    distance: Callable[[Variable, Variable], Variable],
    margin: float,
    swap: bool,
    reduction: str,
) -> Variable:
    check_reduction(name, reduction)
    if not margin > 0:
        raise ValueError(f"{name}: the margin is positive, not {margin}")
    anchor, positive, negative = _vectors(name, anchor, positive, negative)
    if not (anchor.ndim == positive.ndim == negative.ndim):
        raise ValueError(
            f"{name}: anchor, positive and negative need equally many dimensions; their shapes are {anchor.shape}, "
            f"{positive.shape}, {negative.shape}"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return reduced(ops.clip(margin - (far - adopt(near, name)), min=0), reduction)
