"""Spatial transformers: the values of images at the places of a grid, and grids from affine maps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.constant_gradients import FLAT
from ...backends import dtypes
from .checks import adopt, real
from .dtype_checks import one_dtype
from .resize import cubic_weights
from .sizes import tuple_of

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["affine_grid", "grid_sample"]

#: A place beyond this one is outside every image, and its number might not fit an index.
_FAR = 2.0**30


def _aligned(name: str, align_corners: bool | None) -> bool:
    """``align_corners``, or False with a warning if it is not given."""
    if align_corners is None:
        warnings.warn(f"{name}: align_corners is False where it is not given; name it", UserWarning, stacklevel=3)
    return bool(align_corners)


def affine_grid(theta: ArrayLike, size: Sequence[int], align_corners: bool | None = None) -> Variable:
    """The places to which affine maps send the pixels of an image, as a grid for `grid_sample`.

    Parameters
    ----------
    theta : Variable or array, (n, 2, 3) or (n, 3, 4)
        For each image a matrix that maps (x, y, 1) or (x, y, z, 1).
    size : sequence of int
        The output's shape, (n, channels, height, width) or (n, channels, depth, height, width).
    align_corners : bool, optional
        Whether -1 and 1 are the centres of the outermost pixels, instead of their outer edges. Without it: False, with
        a warning.

    Returns
    -------
    Variable, (n, height, width, 2) or (n, depth, height, width, 3)

    Raises
    ------
    ValueError
        If shapes do not fit.

    Source: Jaderberg et al., "Spatial transformer networks", 2015, equation 1.

    Examples
    --------
    >>> import rustorch
    >>> mirror = rustorch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> rustorch.nn.functional.affine_grid(mirror, (1, 1, 1, 3), align_corners=True).tolist()
    [[[[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]]]
    """
    name = "affine_grid"
    theta = real(theta, name)
    n = len(size) - 2
    if n not in (2, 3):
        raise ValueError(
            f"{name}: size is (n, channels, height, width) or (n, channels, depth, height, width), not {tuple(size)}"
        )
    sizes = tuple_of(name, "size", tuple(size), n + 2)
    if theta.shape != (sizes[0], n, n + 1):
        raise ValueError(f"{name}: for the size {sizes} theta has shape {(sizes[0], n, n + 1)}, not {theta.shape}")
    aligned = _aligned(name, align_corners)
    axes = []
    for length in reversed(sizes[2:]):
        last = (1.0 if aligned else (length - 1) / length) if length > 1 else 0.0
        axes.append(ops.linspace(-last, last, length, dtype=theta.dtype, device=theta.device))
    places = list(reversed(ops.meshgrid(*reversed(axes), indexing="ij")))  # x first
    base = ops.stack([*places, ops.ones_like(places[0])], axis=-1)
    flat = ops.reshape(base, (1, base.size // (n + 1), n + 1))
    return ops.reshape(ops.matmul(flat, ops.matrix_transpose(theta)), (sizes[0], *sizes[2:], n))


def _reflected(x: Variable, size: int, aligned: bool) -> Variable:
    """Places in pixels, reflected at the edges of the image until they lie inside."""
    low, high = (0.0, size - 1.0) if aligned else (-0.5, size - 0.5)
    span = high - low
    if not span:
        return x * 0.0
    x = ops.where(x < low, low - x, x - low)
    flips = ops.floor(x.detach() / span)
    rest = x - flips * span
    return ops.where(flips % 2 == 0, rest + low, high - rest)


def _padded(x: Variable, size: int, mode: str, aligned: bool) -> Variable:
    """Places in pixels, moved into the image if the mode asks for it. At the edges the gradient is 0, as in PyTorch."""
    if mode == "zeros":
        return x
    if mode == "reflection":
        x = _reflected(x, size, aligned)
    inside, edge = ops.logical_and(x > 0, x < size - 1), ops.astype(x >= size - 1, x.dtype) * (size - 1.0)
    return ops.where(inside, x, edge)  # as in PyTorch, nan becomes 0: both comparisons are false


def _whole(x: Variable) -> Variable:
    """Places as integers. Infinite, nan and very large ones become a place outside every image."""
    near = ops.logical_and(ops.isfinite(x), ops.abs(x) < _FAR)
    return ops.astype(ops.where(near, x, ops.full_like(x, -100.0)), dtypes.int64)


def _neighbours(x: Variable, size: int, mode: str, padding_mode: str, aligned: bool) -> list[tuple[Variable, Any]]:
    """The neighbouring pixels of places along one dimension, and their weights; None is a weight of 1."""
    x = (x + 1) / 2 * (size - 1) if aligned else ((x + 1) * size - 1) / 2
    if mode != "bicubic":
        x = _padded(x, size, padding_mode, aligned)
    if mode == "nearest":
        return [(ops.round(x.detach()), None)]
    start = ops.floor(x.detach())
    t = x - start
    if mode == "bilinear":
        return [(start, 1 - t), (start + 1, t)]
    near = [_padded(start + k, size, padding_mode, aligned) for k in (-1, 0, 1, 2)]
    return list(zip(near, cubic_weights(t), strict=True))


def grid_sample(
    input: ArrayLike,
    grid: ArrayLike,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Variable:
    """The values of an image at the places of a grid, interpolated between pixels.

    Parameters
    ----------
    input : Variable or array, (n, channels, height, width) or (n, channels, depth, height, width)
    grid : Variable or array, (n, out_height, out_width, 2) or (n, out_depth, out_height, out_width, 3)
        For each place of the output, its x, y (and z) in the input; -1 and 1 are the edges of the input.
    mode : {"bilinear", "nearest", "bicubic"}
        "bilinear" interpolates between two neighbours along each dimension, also with three dimensions. "bicubic" is
        for two dimensions. The gradient of "nearest" in the grid is 0.
    padding_mode : {"zeros", "border", "reflection"}
        The values beyond the edges: zeros, the pixel at the edge, or the reflected image.
    align_corners : bool, optional
        Whether -1 and 1 are the centres of the outermost pixels, instead of their outer edges. Without it: False, with
        a warning.

    Returns
    -------
    Variable, (n, channels, out_height, out_width) or (n, channels, out_depth, out_height, out_width)

    Raises
    ------
    ValueError
        If shapes do not fit, or a mode is unknown.
    TypeError
        If input and grid do not have one real floating-point dtype.

    Source: Jaderberg et al., "Spatial transformer networks", 2015, section 3.3.

    Examples
    --------
    >>> import rustorch
    >>> image, place = rustorch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]]), rustorch.tensor([[[[0.0, 1.0]]]])
    >>> rustorch.nn.functional.grid_sample(image, place, align_corners=True).tolist()
    [[[[2.5]]]]
    """
    name = "grid_sample"
    input = real(input, name)
    grid = real(adopt(grid, name, (input,)), name)
    n = input.ndim - 2
    if n not in (2, 3) or grid.ndim != input.ndim or grid.shape[0] != input.shape[0] or grid.shape[-1] != n:
        raise ValueError(
            f"{name}: an input of (n, channels, height, width) has a grid of (n, out_height, out_width, 2), one with a "
            f"depth a grid of (n, out_depth, out_height, out_width, 3); these are {input.shape} and {grid.shape}"
        )
    if 0 in input.shape[2:]:
        raise ValueError(f"{name}: the image is empty, its shape is {input.shape}")
    if mode not in ("bilinear", "nearest", "bicubic") or (mode == "bicubic" and n == 3):
        raise ValueError(f"{name}: mode is 'bilinear', 'nearest' or, in two dimensions, 'bicubic', not {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"{name}: padding_mode is 'zeros', 'border' or 'reflection', not {padding_mode!r}")
    one_dtype(name, input=input, grid=grid)
    aligned = _aligned(name, align_corners)
    batch, channels, *sizes = input.shape
    out = grid.shape[1:-1]
    pixels = 1
    for size in sizes:
        pixels *= size
    # a matrix with a row of channels for each pixel: a place takes a whole row
    rows = ops.reshape(ops.moveaxis(input, 1, -1), (batch * pixels, channels))
    first = ops.reshape(ops.arange(batch, dtype=dtypes.int64, device=input.device), (batch,) + (1,) * n) * pixels
    neighbours = [
        _neighbours(grid[..., n - 1 - axis], size, mode, padding_mode, aligned) for axis, size in enumerate(sizes)
    ]
    total: Any = None
    for corner in product(*neighbours):
        place, inside, weight = first, None, None
        step = pixels
        for (x, share), size in zip(corner, sizes, strict=True):
            step //= size
            index = _whole(x)
            within = ops.logical_and(index >= 0, index < size)
            inside = within if inside is None else ops.logical_and(inside, within)
            weight = share if weight is None else weight * share
            place = place + ops.clip(index, min=0, max=size - 1) * step
        assert inside is not None
        values = ops.reshape(
            ops.take(rows, ops.reshape(place, (-1,) if place.size else (0,)), axis=0), (batch, *out, channels)
        )
        values = ops.where(ops.expand_dims(inside, axis=-1), values, ops.zeros_like(values))
        part = values if weight is None else values * ops.expand_dims(weight, axis=-1)
        total = part if total is None else total + part
    if mode == "nearest":
        total = FLAT(total, grid)
    return ops.moveaxis(total, -1, 1)
