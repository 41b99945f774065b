"""Layers, losses and containers under PyTorch's names; `functional` and `init` beside them."""

from __future__ import annotations

from . import activation, container, flatten, functional, init, linear, loss, module, parameter  # noqa: F401
from .activation import *  # noqa: F403
from .container import *  # noqa: F403
from .flatten import *  # noqa: F403
from .linear import *  # noqa: F403
from .loss import *  # noqa: F403
from .module import *  # noqa: F403
from .parameter import *  # noqa: F403

__all__ = [name for file in (activation, container, flatten, linear, loss, module, parameter) for name in file.__all__]
