"""Interpolation: images, sequences and volumes resized along one dimension after the other."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import floor
from struct import pack, unpack
from typing import TYPE_CHECKING, Any

from ... import ops
from ...backends import dtypes
from ...ops.from_data import constant
from .adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .checks import floating
from .sizes import tuple_of

if TYPE_CHECKING:
    from ...typing import ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

#: Mode -> the numbers of spatial dimensions that it takes.
_MODES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
}
#: The parameter of the cubic kernel in PyTorch and OpenCV.
_A = -0.75


# -- one dimension -----------------------------------------------------------------------------------------------------
def _taken(x: Variable, places: list[int], axis: int) -> Variable:
    """The elements at these places along an axis."""
    return ops.take(x, constant(places, x), axis=axis)


def _single(number: float) -> float:
    """The number in single precision, which PyTorch uses for places of nearest values of images of every dtype."""
    single: float = unpack("f", pack("f", number))[0]
    return single


def _nearest(x: Variable, axis: int, out: int, scale: float, shift: float) -> Variable:
    """``out`` elements along an axis, each equal to the nearest one of ``x``."""
    size = x.shape[axis]
    if out == size and not shift:
        return x
    # as in PyTorch, a doubled size means a scale of 0.5, even if the factor differs from 2
    scale = 0.5 if out == 2 * size and not shift else _single(scale)
    places = [min(floor(_single((i + shift) * scale)), size - 1) for i in range(out)]
    times, rest = divmod(out, size)
    if not rest and places == [i // times for i in range(out)]:
        # all values repeat equally often: no indices are needed, and the gradient is a sum
        repeated = ops.broadcast_to(
            ops.expand_dims(x, axis=axis + 1), (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
        )
        return ops.reshape(repeated, (*x.shape[:axis], out, *x.shape[axis + 1 :]))
    return _taken(x, places, axis)


def cubic_weights(t: Any, a: float = _A) -> tuple[Any, ...]:
    """The weights of the values at -1, 0, 1 and 2 for a place ``t`` in [0, 1], a number or a Variable.

    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """

    def near(d: Any) -> Any:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Any) -> Any:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _weighted(x: Variable, axis: int, out: int, scale: float, align_corners: bool, cubic: bool) -> Variable:
    """``out`` values along an axis, each a weighted sum of two or four neighbours. Outside, the end values repeat."""
    size = x.shape[axis]
    if out == size and not cubic:  # as in PyTorch, even if the factor differs from 1
        return x
    places: list[list[int]] = []
    weights: list[tuple[float, ...]] = []
    for i in range(out):
        source = i * scale if align_corners else (i + 0.5) * scale - 0.5
        if not cubic:
            source = max(source, 0.0)
        start = min(floor(source), size - 1)
        t = min(max(source - start, 0.0), 1.0)
        near = (-1, 0, 1, 2) if cubic else (0, 1)
        if 0 < t < 1:
            places.append([min(max(start + k, 0), size - 1) for k in near])
            weights.append(cubic_weights(t) if cubic else (1 - t, t))
        else:  # at a value of x: take it alone, because 0 times an infinite neighbour is nan
            places.append([min(start + int(t), size - 1)] * len(near))
            weights.append((1 / len(near),) * len(near))
    shape = (out,) + (1,) * (x.ndim - 1 - axis)
    total: Variable | None = None
    for k in range(4 if cubic else 2):
        weight = ops.reshape(constant([w[k] for w in weights], x, x.dtype), shape)
        part = _taken(x, [place[k] for place in places], axis) * weight
        total = part if total is None else total + part
    assert total is not None
    return total


def _smooth(x: Variable, axis: int, out: int, scale: float, cubic: bool) -> Variable:
    """``out`` values along an axis, each a weighted sum of all values under a kernel.

    The kernel is as wide as the distance of two results. Source: resize of PIL, whose cubic kernel has a = -0.5.
    """
    size, wide = x.shape[axis], max(scale, 1.0)
    support = (2 if cubic else 1) * wide
    windows, rows = [], []
    for i in range(out):
        center = scale * (i + 0.5)
        first, last = max(int(center - support + 0.5), 0), min(int(center + support + 0.5), size)
        distances = [abs(j - center + 0.5) / wide for j in range(first, last)]
        if cubic:
            weights = [cubic_weights(d % 1, -0.5)[1 - int(d)] if d < 2 else 0.0 for d in distances]
        else:
            weights = [max(1 - d, 0.0) for d in distances]
        total = sum(weights) or 1.0
        windows.append(range(first, last))
        rows.append([weight / total for weight in weights])
    most = max(map(len, windows))
    places = [[window[min(k, len(window) - 1)] for k in range(most)] for window in windows]
    shape = (out, most) + (1,) * (x.ndim - 1 - axis)
    used = ops.reshape(
        constant([[k < len(row) and row[k] != 0 for k in range(most)] for row in rows], x, dtypes.bool), shape
    )
    each = ops.reshape(constant([row + [0.0] * (most - len(row)) for row in rows], x, x.dtype), shape)
    values = _taken(x, [place for window in places for place in window], axis)
    values = ops.reshape(values, (*x.shape[:axis], out, most, *x.shape[axis + 1 :]))
    # replace what a kernel does not cover, because 0 times an infinite value is nan
    return ops.sum(ops.where(used, values, ops.zeros_like(values)) * each, axis=axis + 1)


# -- all dimensions ----------------------------------------------------------------------------------------------------
def _factors(scale_factor: float | Sequence[float] | None, n: int) -> tuple[float, ...]:
    """One factor for each spatial dimension. Raises ValueError unless all are positive and finite."""
    given: tuple[Any, ...] = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * n
    if len(given) != n or any(isinstance(factor, bool) or not isinstance(factor, (int, float)) for factor in given):
        raise ValueError(
            f"interpolate: scale_factor is a number or {n} of them for {n} spatial dimensions, not {scale_factor!r}"
        )
    if not all(0 < factor < float("inf") for factor in given):
        raise ValueError(f"interpolate: scale_factor is positive and finite, not {scale_factor!r}")
    return tuple([float(factor) for factor in given])


def interpolate(
    input: ArrayLike,
    size: Sizes | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Variable:
    """An image, a sequence or a volume, resized.

    Value ``i`` of the output lies at ``(i + 0.5) * scale - 0.5`` of the input. Here ``scale`` is the input's size
    divided by the output's size, or ``1 / scale_factor``. "linear", "bilinear" and "trilinear" interpolate between the
    two neighbours along every dimension; "bicubic" uses four neighbours and Keys' cubic kernel (a = -0.75).
    "nearest-exact" takes the nearest value, "nearest" the value at ``floor(i * scale)``. "area" takes the means of
    bins, see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, *sizes)
        One, two or three spatial dimensions.
    size : int or sequence of int, optional
        The sizes of the output. Give either this or ``scale_factor``.
    scale_factor : float or sequence of float, optional
        The output's size is the input's size times this factor, rounded down.
    mode : {"nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear"}
        "linear" is for one spatial dimension, "bilinear" and "bicubic" for two, "trilinear" for three.
    align_corners : bool, optional
        For the linear and cubic modes: whether the outermost values of input and output lie at the same places. Then
        value ``i`` lies at ``i * (size - 1) / (out - 1)``.
    recompute_scale_factor : bool, optional
        Whether ``scale`` is the quotient of the sizes, even if a ``scale_factor`` was given.
    antialias : bool
        For "bilinear" and "bicubic": whether to smooth an image that becomes smaller, with kernels as wide as the
        distance of two pixels of the output.

    Raises
    ------
    ValueError
        If the options do not fit the input or each other.
    TypeError
        If the input has no floating-point dtype, or a size is not an integer.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.asarray([[[0.0, 1.0, 4.0]]])
    >>> rustorch.nn.functional.interpolate(x, scale_factor=2).tolist()
    [[[0.0, 0.0, 1.0, 1.0, 4.0, 4.0]]]
    >>> rustorch.nn.functional.interpolate(x, 5, mode="linear", align_corners=True).tolist()
    [[[0.0, 0.5, 1.0, 2.5, 4.0]]]
    """
    input = floating(input, "interpolate")
    n = input.ndim - 2
    if n not in (1, 2, 3):
        raise ValueError(
            f"interpolate: the input has 1 to 3 spatial dimensions after batch and channels; its shape is {input.shape}"
        )
    if 0 in input.shape[1:]:
        raise ValueError(f"interpolate: only the batch may be of size 0; the input's shape is {input.shape}")
    if mode not in _MODES:
        raise ValueError(f"interpolate: mode is one of {', '.join(map(repr, _MODES))}, not {mode!r}")
    if n not in _MODES[mode]:
        raise ValueError(
            f"interpolate: {mode!r} is for {_MODES[mode][0] + 2} dimensions; the input's shape is {input.shape}"
        )
    interpolates = mode in ("linear", "bilinear", "bicubic", "trilinear")
    if align_corners is not None and not interpolates:
        raise ValueError(
            f"interpolate: align_corners is for 'linear', 'bilinear', 'bicubic' and 'trilinear', not for {mode!r}"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias is for 'bilinear' and 'bicubic', not for {mode!r}")
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "interpolate: give either size or scale_factor, " + ("one of them" if size is None else "not both")
        )
    old_sizes = input.shape[2:]
    factors: tuple[float, ...] | None = None
    if size is not None:
        if recompute_scale_factor:
            raise ValueError(
                "interpolate: recompute_scale_factor is for a scale_factor; with a size there is nothing to compute "
                "again"
            )
        sizes = tuple_of("interpolate", "size", size, n)
    else:
        factors = _factors(scale_factor, n)
        sizes = tuple([floor(length * factor) for length, factor in zip(old_sizes, factors, strict=True)])
        if min(sizes) < 1:
            raise ValueError(
                f"interpolate: with scale_factor {scale_factor} an input of shape {input.shape} would have sizes "
                f"{sizes}"
            )
        if recompute_scale_factor:
            factors = None
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[n - 1](input, sizes)
    for i, out in enumerate(sizes):
        if align_corners:
            scale = (old_sizes[i] - 1) / (out - 1) if out > 1 else 0.0
        else:
            scale = old_sizes[i] / out if factors is None else 1 / factors[i]
        if antialias:
            input = _smooth(input, 2 + i, out, scale, mode == "bicubic")
        elif interpolates:
            input = _weighted(input, 2 + i, out, scale, bool(align_corners), mode == "bicubic")
        else:
            input = _nearest(input, 2 + i, out, scale, 0.5 if mode == "nearest-exact" else 0.0)
    return input


def _warn_deprecated(name: str, instead: str) -> None:
    warnings.warn(f"{name} is deprecated; write {instead}", UserWarning, stacklevel=3)


def upsample(
    input: ArrayLike,
    size: Sizes | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Variable:
    """Deprecated, as in PyTorch: use `interpolate`. It raises the errors of `interpolate`."""
    _warn_deprecated("upsample", "interpolate")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: ArrayLike, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None
) -> Variable:
    """Deprecated, as in PyTorch: use `interpolate`."""
    _warn_deprecated("upsample_nearest", "interpolate")
    return interpolate(input, size, scale_factor)


def upsample_bilinear(
    input: ArrayLike, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None
) -> Variable:
    """Deprecated, as in PyTorch: use `interpolate` with mode "bilinear" and ``align_corners=True``."""
    _warn_deprecated("upsample_bilinear", 'interpolate with mode="bilinear" and align_corners=True')
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)
