"""The windows of pooling, one description for each dimension, as the kernels of pooling take them."""

from __future__ import annotations

from ..backends.kernels.pooling import Window, Windows, bins

__all__ = ["Window", "Windows", "bins"]
