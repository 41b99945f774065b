"""The layers' functions, without their parameters: PyTorch's names and arguments."""

from __future__ import annotations

from . import activation, loss
from . import linear as affine
from .activation import *  # noqa: F403
from .linear import *  # noqa: F403
from .loss import *  # noqa: F403

__all__ = [name for file in (activation, affine, loss) for name in file.__all__]
