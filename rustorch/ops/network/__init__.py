"""Primitives that layers and losses are made of, by family; nn.functional dresses them."""

from __future__ import annotations

from .activation import *  # noqa: F403
from .attention import *  # noqa: F403
from .convolution import *  # noqa: F403
from .core import *  # noqa: F403
from .lookup import *  # noqa: F403
from .loss import *  # noqa: F403
from .normalization import *  # noqa: F403
from .pooling import *  # noqa: F403
from .recurrent import *  # noqa: F403
