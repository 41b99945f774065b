"""Layers that resize images, exchange channels and pixels, and shuffle channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import functional as F
from .functional.sizes import tuple_of
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = [
    "ChannelShuffle",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Stateless):
    """Resize a sequence, an image or a volume; see `rustorch.nn.functional.interpolate`.

    Parameters
    ----------
    size : int or sequence of int, optional
        The spatial sizes of the output. Give either ``size`` or ``scale_factor``.
    scale_factor : float or tuple of float, optional
        The size of the output divided by the size of the input. The result is rounded down.
    mode : {"nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear"}
    align_corners : bool, optional
        For "linear", "bilinear", "bicubic" and "trilinear": whether the corners of input and output coincide.
    recompute_scale_factor : bool, optional
        Whether to compute the scale from the rounded sizes instead of using ``scale_factor``.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Upsample(scale_factor=2, mode="bilinear")(rustorch.ones((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor: float | tuple[float, ...] | None = tuple([float(factor) for factor in scale_factor])
        else:
            self.scale_factor = None if scale_factor is None else float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) -> the same, with the new spatial sizes."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        given = f"size={self.size!r}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{given}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode "nearest".

    Parameters
    ----------
    size : int or pair of int, optional
        The spatial sizes of the output. Give either ``size`` or ``scale_factor``.
    scale_factor : float or pair of float, optional

    Examples
    --------
    >>> import rustorch
    >>> rustorch.UpsamplingNearest2d(scale_factor=2)(rustorch.asarray([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(size, scale_factor, device=device, dtype=dtype)


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and ``align_corners=True``.

    Parameters
    ----------
    size : int or pair of int, optional
        The spatial sizes of the output. Give either ``size`` or ``scale_factor``.
    scale_factor : float or pair of float, optional

    Examples
    --------
    >>> import rustorch
    >>> rustorch.UpsamplingBilinear2d((1, 3))(rustorch.asarray([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.5, 2.0]]]]
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(size, scale_factor, "bilinear", True, device=device, dtype=dtype)


class PixelShuffle(Stateless):
    """Move channels into pixels: (..., c * r * r, h, w) becomes (..., c, h * r, w * r); see
    `rustorch.nn.functional.pixel_shuffle`.

    Parameters
    ----------
    upscale_factor : int
        The factor r.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.PixelShuffle(2)(rustorch.ones((1, 12, 2, 3))).shape
    (1, 3, 4, 6)
    """

    def __init__(self, upscale_factor: int, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        (self.upscale_factor,) = tuple_of(type(self).__name__, "upscale_factor", upscale_factor, 1)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (..., C * r * r, H, W) -> (..., C, H * r, W * r)."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Stateless):
    """Move pixels into channels: (..., c, h * r, w * r) becomes (..., c * r * r, h, w); see
    `rustorch.nn.functional.pixel_unshuffle`.

    Parameters
    ----------
    downscale_factor : int
        The factor r.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.PixelUnshuffle(2)(rustorch.ones((1, 3, 4, 6))).shape
    (1, 12, 2, 3)
    """

    def __init__(self, downscale_factor: int, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        (self.downscale_factor,) = tuple_of(type(self).__name__, "downscale_factor", downscale_factor, 1)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (..., C, H * r, W * r) -> (..., C * r * r, H, W)."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Stateless):
    """Interleave the channels of several groups; see `rustorch.nn.functional.channel_shuffle`.

    Parameters
    ----------
    groups : int

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ChannelShuffle(2)(rustorch.ones((1, 4, 2, 2))).shape
    (1, 4, 2, 2)
    """

    def __init__(self, groups: int, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        (self.groups,) = tuple_of(type(self).__name__, "groups", groups, 1)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) -> the same shape, with its channels in another order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
