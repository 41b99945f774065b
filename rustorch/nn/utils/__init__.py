"""Tools for training: clip gradients, pack parameters into one vector, fuse layers, parametrize weights."""

from __future__ import annotations

from . import clip_grad, convert_parameters, fusion, parametrizations, parametrize, rnn  # noqa: F401
from .clip_grad import *  # noqa: F403
from .convert_parameters import *  # noqa: F403
from .fusion import *  # noqa: F403
from .parametrizations import *  # noqa: F403

__all__ = [name for file in (clip_grad, convert_parameters, fusion, parametrizations) for name in file.__all__]
