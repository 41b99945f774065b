"""Cases of upsampling and of shuffles."""

from __future__ import annotations

from tests.nn.case import Case

from .activation import normal

CASES = [
    Case("Upsample", kwargs={"scale_factor": 2, "mode": "bilinear"}, inputs=normal(1, 2, 2, 3)),
    Case("Upsample", kwargs={"scale_factor": 2}, inputs=normal(2, 1, 3), everywhere=True),
    Case("Upsample", ((5, 4),), {"mode": "nearest"}, normal(1, 2, 3, 3), everywhere=True),
    Case("Upsample", kwargs={"scale_factor": (1.5, 2.0, 3.0)}, inputs=normal(1, 1, 3, 2, 2)),
    Case("Upsample", kwargs={"scale_factor": (1.3, 2.7)}, inputs=normal(1, 1, 5, 6)),
    Case("Upsample", (7,), {"mode": "nearest-exact"}, normal(1, 2, 3)),
    Case("Upsample", ((2, 5),), {"mode": "nearest-exact"}, normal(1, 1, 5, 3)),
    Case("Upsample", (5,), {"mode": "area"}, normal(1, 2, 3)),
    Case("Upsample", kwargs={"scale_factor": 0.7, "mode": "area"}, inputs=normal(1, 1, 5, 4)),
    Case("Upsample", ((2, 4, 1),), {"mode": "area"}, normal(1, 1, 4, 2, 3)),
    Case("Upsample", (5,), {"mode": "linear"}, normal(2, 2, 3)),
    Case("Upsample", (5,), {"mode": "linear", "align_corners": True}, normal(2, 2, 3)),
    Case("Upsample", kwargs={"scale_factor": 1.4, "mode": "linear"}, inputs=normal(1, 2, 6)),
    Case(
        "Upsample",
        kwargs={"scale_factor": 1.4, "mode": "linear", "recompute_scale_factor": True},
        inputs=normal(1, 2, 6),
    ),
    Case("Upsample", ((1, 4),), {"mode": "bilinear", "align_corners": True}, normal(1, 2, 3, 3)),
    Case("Upsample", kwargs={"scale_factor": (0.5, 1.2), "mode": "bilinear"}, inputs=normal(1, 2, 4, 4)),
    Case("Upsample", ((5, 2),), {"mode": "bicubic"}, normal(1, 2, 3, 4), everywhere=True),
    Case("Upsample", ((5, 7),), {"mode": "bicubic", "align_corners": True}, normal(1, 1, 4, 4)),
    Case("Upsample", kwargs={"scale_factor": 1.6, "mode": "bicubic"}, inputs=normal(1, 1, 3, 4)),
    Case("Upsample", ((3, 2, 4),), {"mode": "trilinear"}, normal(1, 1, 2, 3, 2)),
    Case(
        "Upsample",
        kwargs={"scale_factor": 1.5, "mode": "trilinear", "align_corners": True},
        inputs=normal(1, 1, 2, 3, 2),
    ),
    Case("UpsamplingNearest2d", kwargs={"scale_factor": 2}, inputs=normal(1, 2, 2, 3)),
    Case("UpsamplingNearest2d", ((3, 5),), inputs=normal(1, 2, 2, 3)),
    Case("UpsamplingBilinear2d", kwargs={"scale_factor": 2}, inputs=normal(1, 2, 2, 3)),
    Case("UpsamplingBilinear2d", ((3, 5),), inputs=normal(1, 2, 2, 3)),
    Case("PixelShuffle", (2,), inputs=normal(2, 8, 2, 3)),
    Case("PixelShuffle", (3,), inputs=normal(9, 1, 2)),
    Case("PixelUnshuffle", (2,), inputs=normal(2, 2, 4, 2)),
    Case("PixelUnshuffle", (3,), inputs=normal(2, 1, 1, 3, 6)),
    Case("ChannelShuffle", (2,), inputs=normal(2, 6, 2, 2)),
    Case("ChannelShuffle", (3,), inputs=normal(1, 6, 2)),
]
