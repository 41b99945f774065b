"""Distances and similarities of vectors, and the losses that compare them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import ops
from ...autograd.check import adopt, broadcastable
from ...ops.arguments import one_axis
from ...ops.from_data import constant
from ...ops.linalg import vector_norm
from ...variable import Variable
from .checks import at_least, check_reduction, real, reduced, reduction_of
from .targets import signs

__all__ = ["cosine_embedding_loss", "cosine_similarity", "margin_ranking_loss", "pairwise_distance", "pdist",
           "triplet_margin_loss", "triplet_margin_with_distance_loss"]  # fmt: skip

#: The square of it is what PyTorch adds to squared lengths in cosine_embedding_loss.
_LEAST = 1e-6


def _vectors(name: str, *given: Any) -> list[Variable]:
    """Inputs of real numbers whose shapes broadcast and whose dtypes mix."""
    inputs = [real(x, name) for x in given]
    if not broadcastable([x.shape for x in inputs]):
        raise ValueError(
            f"{name}: the inputs have shapes {', '.join(str(x.shape) for x in inputs)}, which do not broadcast"
        )
    return inputs


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Variable:
    """``sum(x1 * x2) / (max(norm(x1), eps) * max(norm(x2), eps))`` along a dimension: the cosine of the angle between
    vectors.

    Parameters
    ----------
    x1, x2 : Variable or array
        Their shapes broadcast; numbers are vectors of one element.
    dim : int
        Where the vectors lie, in the broadcast shape.
    eps : float
        The least length to divide by.

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
    # divided before they are multiplied: a product of large numbers is infinite, and one of small ones 0
    return ops.sum(x1 / lengths[0] * (x2 / lengths[1]), axis=axis)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Variable:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Parameters
    ----------
    x1, x2 : Variable or array, (..., d)
        Their shapes broadcast; numbers are vectors of one element.
    p : float
        Of the norm; infinity, too.
    eps : float
        Added to every difference: no distance is 0, where it has no derivative.
    keepdim : bool
        Whether the last dimension stays, with size 1.

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


def pdist(input: Any, p: float = 2.0) -> Variable:
    """The p-norms of the differences of all pairs of rows: (0, 1), (0, 2), ..., (1, 2), ...

    Parameters
    ----------
    input : Variable or array, (n, d)
    p : float
        Not negative; `inf`, too.

    Returns
    -------
    Variable, (n * (n - 1) / 2,)

    Raises
    ------
    ValueError
        If the input is no matrix, or ``p`` is negative.

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
        raise ValueError(f"pdist: p is not negative, as {p!r} is")
    n = x.shape[0]
    pairs = [[i for i in range(n) for _ in range(i + 1, n)], [j for i in range(n) for j in range(i + 1, n)]]
    one, two = (ops.take(x, constant(places, x), axis=0) for places in pairs)
    return vector_norm(one - two, axis=-1, ord=p)


def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``max(0, -y * (x1 - x2) + margin)``: the first is to be larger where the target y is 1, the second where it is
    -1.

    Parameters
    ----------
    input1, input2, target : Variable or array
        Of as many dimensions, of shapes that broadcast; the target may be of integers.
    margin : float
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
            f"{name}: the inputs and the target have as many dimensions, not the shapes {input1.shape}, "
            f"{input2.shape}, {target.shape}"
        )
    _vectors(name, input1, input2, target)
    return reduced(ops.clip(margin - target * (input1 - input2), min=0), reduction)


def _scaled(x: Variable) -> tuple[Variable, Variable]:
    """Vectors over their largest element (or the least length), and ``sqrt(sum(x * x) + least**2)`` over it: squares do
    not overflow.

    The divisor is a constant to derivatives, for the quotient of both does not depend on it.
    """
    if not x.shape[-1]:
        return x, ops.sum(x, axis=-1) + _LEAST
    top = ops.clip(ops.max(ops.abs(x.detach()), axis=-1, keepdims=True), min=_LEAST)
    least = ops.squeeze(_LEAST / top, axis=-1)
    x = x / top
    return x, ops.sqrt(ops.sum(x * x, axis=-1) + least * least)


def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
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
        1 for what is alike, -1 for what is not; integers, too.
    margin : float
        In [-1, 1].
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
            f"{name}: inputs of (n, d) have a target of (n,), inputs of (d,) one of (); these are {input1.shape}, "
            f"{input2.shape} and "
            f"{target.shape}"
        )
    if not broadcastable([input1.shape[:-1], input2.shape[:-1], target.shape]):
        raise ValueError(f"{name}: {target.shape} targets for vectors of the shapes {input1.shape} and {input2.shape}")
    (one, length1), (two, length2) = _scaled(input1), _scaled(input2)
    cosine = ops.sum(one * two, axis=-1) / (length1 * length2)
    zero = ops.zeros_like(cosine)
    loss = ops.where(target == 1, 1 - cosine, zero) + ops.where(target == -1, ops.clip(cosine - margin, min=0), zero)
    return reduced(loss, reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``max(0, d(a, p) - d(a, n) + margin)`` for `pairwise_distance` d: the positive is to be nearer to the anchor.

    Parameters
    ----------
    anchor, positive, negative : Variable or array, (n, d) or (d,)
    margin : float
        Positive.
    p, eps : float
        Of the distance.
    swap : bool
        Whether the negative's distance to the positive counts, where it is the smaller one.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Variable:
    """`triplet_margin_loss` with a distance of one's own.

    Parameters
    ----------
    anchor, positive, negative : Variable or array
        Of one shape.
    distance_function : callable, optional
        Of two Variables; default: `pairwise_distance`.
    margin : float
        Positive.
    swap : bool
        Whether the negative's distance to the positive counts, where it is the smaller one.
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
    name: str, anchor: Any, positive: Any, negative: Any, distance: Callable, margin: float, swap: bool, reduction: str
) -> Variable:
    check_reduction(name, reduction)
    if not margin > 0:
        raise ValueError(f"{name}: the margin is positive, not {margin}")
    anchor, positive, negative = _vectors(name, anchor, positive, negative)
    if not (anchor.ndim == positive.ndim == negative.ndim):
        raise ValueError(
            f"{name}: anchor, positive and negative have as many dimensions, not the shapes {anchor.shape}, "
            f"{positive.shape}, "
            f"{negative.shape}"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return reduced(ops.clip(margin - (far - adopt(near, name)), min=0), reduction)
