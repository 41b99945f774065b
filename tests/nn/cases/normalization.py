"""Cases of normalization."""

from __future__ import annotations

from tests.nn.case import Case

from .activation import normal

CASES = [
    Case("BatchNorm1d", (3,), inputs=normal(4, 3)),
    Case("BatchNorm1d", (3,), {"momentum": None, "bias": False}, inputs=normal(4, 3, 2)),
    Case("BatchNorm1d", (3,), {"affine": False, "eps": 0.1}, inputs=normal(2, 3, 2), train=False),
    Case("BatchNorm2d", (2,), {"momentum": 0.3}, inputs=normal(2, 2, 3, 2)),
    Case("BatchNorm2d", (2,), inputs=normal(2, 2, 3, 2), train=False),
    Case("BatchNorm2d", (2,), {"track_running_stats": False}, inputs=normal(2, 2, 3, 2), train=False),
    Case("BatchNorm3d", (2,), inputs=normal(2, 2, 2, 1, 2)),
    Case("SyncBatchNorm", (3,), {"momentum": None}, inputs=normal(4, 3)),
    Case("SyncBatchNorm", (2,), {"eps": 0.1}, inputs=normal(2, 2, 3, 2), train=False),
    Case("SyncBatchNorm", (2,), {"track_running_stats": False, "affine": False}, inputs=normal(2, 2, 2, 1, 2)),
    Case("InstanceNorm1d", (3,), inputs=normal(2, 3, 4)),
    Case("InstanceNorm1d", (3,), {"affine": True, "track_running_stats": True}, inputs=normal(2, 3, 4)),
    Case("InstanceNorm1d", (3,), {"affine": True}, inputs=normal(3, 4), variant="unbatched"),
    Case("InstanceNorm2d", (2,), {"affine": True}, inputs=normal(2, 2, 3, 2)),
    Case("InstanceNorm2d", (2,), {"track_running_stats": True}, inputs=normal(2, 2, 3, 2), train=False),
    Case(
        "InstanceNorm2d",
        (2,),
        {"momentum": 0.3, "track_running_stats": True},
        inputs=normal(2, 3, 2),
        variant="unbatched",
    ),
    Case("InstanceNorm3d", (2,), inputs=normal(2, 2, 2, 1, 2)),
    Case("LayerNorm", (4,), inputs=normal(2, 3, 4)),
    Case("LayerNorm", ((3, 2),), {"bias": False, "eps": 0.1}, inputs=normal(2, 3, 2)),
    Case("LayerNorm", (4,), {"elementwise_affine": False}, inputs=normal(4)),
    Case("GroupNorm", (2, 4), inputs=normal(3, 4, 2, 2)),
    Case("GroupNorm", (1, 4), {"affine": False}, inputs=normal(2, 4)),
    Case("GroupNorm", (4, 4), {"bias": False}, inputs=normal(2, 4, 3)),
    Case("RMSNorm", (4,), inputs=normal(2, 3, 4)),
    Case("RMSNorm", ((3, 2),), {"eps": 0.1, "elementwise_affine": False}, inputs=normal(2, 3, 2)),
    Case("LocalResponseNorm", (2,), inputs=normal(2, 4, 3)),
    Case("LocalResponseNorm", (3,), {"alpha": 0.5, "beta": 0.5, "k": 2.0}, inputs=normal(1, 2, 2, 2)),
    Case("LocalResponseNorm", (5,), inputs=normal(1, 3, 2, 2, 1)),
]
