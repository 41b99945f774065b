"""Cases of convolutions and transposed convolutions."""

from __future__ import annotations

from tests.nn.case import Case

from .activation import normal

CASES = [
    Case("Conv1d", (2, 4, 3), {"padding": 1}, inputs=normal(2, 2, 5)),
    Case("Conv1d", (2, 4, 3), {"stride": 2, "padding": (2,), "bias": False}, inputs=normal(2, 6), variant="unbatched"),
    Case("Conv1d", (2, 2, (3,)), {"padding": "same", "dilation": 2}, inputs=normal(2, 2, 6)),
    Case("Conv1d", (2, 3, 3), {"padding": 2, "padding_mode": "circular"}, inputs=normal(2, 2, 5)),
    Case("Conv1d", (2, 3, 3), {"padding": 9}, inputs=normal(1, 2, 2)),
    Case("Conv2d", (2, 4, 3), {"padding": 1, "groups": 2}, inputs=normal(2, 2, 4, 5)),
    Case(
        "Conv2d", (2, 3, (2, 3)), {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}, inputs=normal(3, 2, 5, 4)
    ),
    Case("Conv2d", (1, 2, 3), {"stride": 3}, inputs=normal(2, 1, 8, 8)),
    Case("Conv2d", (3, 3, 3), {"groups": 3, "padding": 1, "stride": 2}, inputs=normal(3, 5, 4), variant="unbatched"),
    Case("Conv2d", (2, 3, (2, 4)), {"padding": "same", "padding_mode": "reflect"}, inputs=normal(1, 2, 4, 5)),
    Case("Conv2d", (2, 3, 2), {"padding": (1, 2), "padding_mode": "replicate"}, inputs=normal(1, 2, 3, 3)),
    Case("Conv2d", (2, 3, 2), {"padding": "valid"}, inputs=normal(1, 2, 3, 3)),
    Case("Conv2d", (2, 3, 1), inputs=normal(2, 2, 3, 3)),
    Case("Conv2d", (2, 3, 1), {"padding": 1, "stride": 2}, inputs=normal(0, 2, 3, 3), variant="no samples"),
    Case("Conv3d", (2, 2, 2), {"padding": (1, 0, 1)}, inputs=normal(1, 2, 2, 3, 2)),
    Case("Conv3d", (1, 2, (1, 2, 3)), {"stride": (1, 2, 1), "padding": 1, "bias": False}, inputs=normal(1, 2, 3, 4)),
    Case("Conv3d", (2, 2, 3), {"padding": 1, "padding_mode": "reflect", "groups": 2}, inputs=normal(1, 2, 2, 3, 2)),
    Case("ConvTranspose1d", (2, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}, inputs=normal(2, 2, 4)),
    Case(
        "ConvTranspose1d",
        (2, 3, 3),
        {"stride": 3},
        inputs=lambda rng: (rng.standard_normal((2, 4)), {"output_size": (14,)}),
    ),
    Case("ConvTranspose1d", (2, 4, 2), {"dilation": 3, "output_padding": 2, "groups": 2}, inputs=normal(2, 2, 4)),
    Case(
        "ConvTranspose2d", (2, 4, (2, 3)), {"stride": (1, 2), "padding": (0, 1), "groups": 2}, inputs=normal(2, 2, 3, 3)
    ),
    Case(
        "ConvTranspose2d",
        (2, 3, 3),
        {"stride": 2, "padding": 1, "output_padding": (1, 0), "bias": False},
        inputs=normal(2, 2, 3),
    ),
    Case("ConvTranspose2d", (2, 1, 3), inputs=normal(2, 2, 2, 2)),
    Case(
        "ConvTranspose2d",
        (2, 1, 2),
        {"stride": 2},
        inputs=lambda rng: (rng.standard_normal((1, 2, 2, 2)), [1, 1, 5, 4]),
    ),
    Case("ConvTranspose3d", (2, 1, 2), {"stride": (1, 2, 1), "padding": (1, 0, 0)}, inputs=normal(1, 2, 2, 2, 2)),
    Case(
        "ConvTranspose3d",
        (1, 2, 2),
        {"stride": 2, "output_padding": (1, 0, 1), "dilation": 2},
        inputs=normal(1, 1, 2, 2),
    ),
]
