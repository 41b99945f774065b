"""Shuffles: channels turned into pixels, pixels into channels, and channels of several groups interleaved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import ops
from .checks import adopt
from .sizes import tuple_of

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def _image(name: str, input: ArrayLike) -> Variable:
    input = adopt(input, name)
    if input.ndim < 3:
        raise ValueError(f"{name}: the input is (..., channels, height, width); its shape is {input.shape}")
    return input


def pixel_shuffle(input: ArrayLike, upscale_factor: int) -> Variable:
    """Move channels into pixels: (..., c * r * r, h, w) becomes (..., c, h * r, w * r).

    ``out[c, h * r + i, w * r + j] = input[(c * r + i) * r + j, h, w]``. Source: Shi et al., "Real-time single image and
    video super-resolution using an efficient sub-pixel convolutional network", 2016.

    Parameters
    ----------
    input : Variable or array, (..., channels, height, width)
    upscale_factor : int
        The r of the shapes.

    Raises
    ------
    ValueError
        If the square of ``upscale_factor`` does not divide the number of channels, or the input has fewer than three
        dimensions.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.pixel_shuffle(rustorch.asarray([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    input = _image("pixel_shuffle", input)
    (r,) = tuple_of("pixel_shuffle", "upscale_factor", upscale_factor, 1)
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise ValueError(
            f"pixel_shuffle: the number of channels must be a multiple of {r} * {r}; the input's shape is {input.shape}"
        )
    n = len(lead)
    out = ops.reshape(input, (*lead, channels // (r * r), r, r, height, width))
    out = ops.permute_dims(out, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return ops.reshape(out, (*lead, channels // (r * r), height * r, width * r))


def pixel_unshuffle(input: ArrayLike, downscale_factor: int) -> Variable:
    """Move pixels into channels: (..., c, h * r, w * r) becomes (..., c * r * r, h, w), the inverse of `pixel_shuffle`.

    Parameters
    ----------
    input : Variable or array, (..., channels, height, width)
    downscale_factor : int
        The r of the shapes.

    Raises
    ------
    ValueError
        If ``downscale_factor`` does not divide height and width, or the input has fewer than three dimensions.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.pixel_unshuffle(rustorch.ones((3, 4, 6)), 2).shape
    (12, 2, 3)
    """
    input = _image("pixel_unshuffle", input)
    (r,) = tuple_of("pixel_unshuffle", "downscale_factor", downscale_factor, 1)
    *lead, channels, height, width = input.shape
    if height % r or width % r:
        raise ValueError(
            f"pixel_unshuffle: height and width must be multiples of {r}; the input's shape is {input.shape}"
        )
    n = len(lead)
    out = ops.reshape(input, (*lead, channels, height // r, r, width // r, r))
    out = ops.permute_dims(out, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return ops.reshape(out, (*lead, channels * r * r, height // r, width // r))


def channel_shuffle(input: ArrayLike, groups: int) -> Variable:
    """Interleave the channels of several groups: channel ``k`` of group ``g`` becomes channel ``k * groups + g``.

    Source: Zhang et al., "ShuffleNet: an extremely efficient convolutional neural network for mobile devices", 2018.

    Parameters
    ----------
    input : Variable or array, (batch, channels, ...)
        At least three dimensions.
    groups : int
        The number of groups.

    Raises
    ------
    ValueError
        If ``groups`` does not divide the number of channels, or the input has fewer than three dimensions.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.asarray([[[1.0], [2.0], [3.0], [4.0]]])
    >>> rustorch.nn.functional.channel_shuffle(x, 2).tolist()
    [[[1.0], [3.0], [2.0], [4.0]]]
    """
    input = adopt(input, "channel_shuffle")
    (groups,) = tuple_of("channel_shuffle", "groups", groups, 1)
    if input.ndim < 3:
        raise ValueError(
            f"channel_shuffle: the input is (batch, channels, ...) of at least 3 dimensions; its shape is {input.shape}"
        )
    batch, channels, *rest = input.shape
    if channels % groups:
        raise ValueError(
            f"channel_shuffle: the number of channels must be a multiple of groups={groups}; the input's shape is "
            f"{input.shape}"
        )
    out = ops.reshape(input, (batch, groups, channels // groups, *rest))
    return ops.reshape(ops.moveaxis(out, 1, 2), (batch, channels, *rest))
