"""Images made larger, and channels and pixels that change places."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .functional.sizes import tuple_of
from .module import Stateless

__all__ = [
    "ChannelShuffle",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Stateless):
    """An image, a sequence or a volume of another size; see `rustorch.nn.functional.interpolate`.

    Parameters
    ----------
    size : int or sequence of int, optional
        The output's; either this or ``scale_factor``.
    scale_factor : float or sequence of float, optional
        How often the input's size the output's is, rounded down.
    mode : {"nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear"}
    align_corners : bool, optional
        For the weighing modes: whether the outermost values of input and output lie at the same places.
    recompute_scale_factor : bool, optional
        Whether the scale is the sizes' quotient, also where a ``scale_factor`` was given that does not divide evenly.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Upsample(scale_factor=2, mode="bilinear")(rustorch.ones((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor: Any = tuple([float(factor) for factor in scale_factor])
        else:
            self.scale_factor = None if scale_factor is None else float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Any:
        """The input (n, channels, ...) in its new size."""
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
        The output's; either this or ``scale_factor``.
    scale_factor : float or pair of float, optional

    Examples
    --------
    >>> import rustorch
    >>> rustorch.UpsamplingNearest2d(scale_factor=2)(rustorch.asarray([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None, *, device: str | None = None, dtype: Any = None):
        super().__init__(size, scale_factor, device=device, dtype=dtype)


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and ``align_corners=True``.

    Parameters
    ----------
    size : int or pair of int, optional
        The output's; either this or ``scale_factor``.
    scale_factor : float or pair of float, optional

    Examples
    --------
    >>> import rustorch
    >>> rustorch.UpsamplingBilinear2d((1, 3))(rustorch.asarray([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.5, 2.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None, *, device: str | None = None, dtype: Any = None):
        super().__init__(size, scale_factor, "bilinear", True, device=device, dtype=dtype)


class PixelShuffle(Stateless):
    """Channels moved into pixels: (..., c * r * r, h, w) becomes (..., c, h * r, w * r); see
    `rustorch.nn.functional.pixel_shuffle`.

    Parameters
    ----------
    upscale_factor : int
        r.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.PixelShuffle(2)(rustorch.ones((1, 12, 2, 3))).shape
    (1, 3, 4, 6)
    """

    def __init__(self, upscale_factor: int, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        (self.upscale_factor,) = tuple_of("PixelShuffle", "upscale_factor", upscale_factor, 1)

    def forward(self, input: Any) -> Any:
        """The input (..., channels * r * r, height, width) as (..., channels, height * r, width * r)."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Stateless):
    """Pixels moved into channels: (..., c, h * r, w * r) becomes (..., c * r * r, h, w); see
    `rustorch.nn.functional.pixel_unshuffle`.

    Parameters
    ----------
    downscale_factor : int
        r.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.PixelUnshuffle(2)(rustorch.ones((1, 3, 4, 6))).shape
    (1, 12, 2, 3)
    """

    def __init__(self, downscale_factor: int, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        (self.downscale_factor,) = tuple_of("PixelUnshuffle", "downscale_factor", downscale_factor, 1)

    def forward(self, input: Any) -> Any:
        """The input (..., channels, height * r, width * r) as (..., channels * r * r, height, width)."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Stateless):
    """Channels of several groups in turn; see `rustorch.nn.functional.channel_shuffle`.

    Parameters
    ----------
    groups : int

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ChannelShuffle(2)(rustorch.ones((1, 4, 2, 2))).shape
    (1, 4, 2, 2)
    """

    def __init__(self, groups: int, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        (self.groups,) = tuple_of("ChannelShuffle", "groups", groups, 1)

    def forward(self, input: Any) -> Any:
        """The input (n, channels, ...) with its channels in another order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
