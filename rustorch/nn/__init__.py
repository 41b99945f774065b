"""Layers, losses and containers under PyTorch's names, with `functional`, `init` and `utils`."""

from __future__ import annotations

import typing as _typing
from importlib import import_module as _import_module

from . import functional, init, parallel, utils  # noqa: F401
from .activation import *  # noqa: F403
from .adaptive_pooling import *  # noqa: F403
from .adaptive_softmax import *  # noqa: F403
from .attention import *  # noqa: F403
from .batchnorm import *  # noqa: F403
from .classification import *  # noqa: F403
from .container import *  # noqa: F403
from .convolution import *  # noqa: F403
from .distance import *  # noqa: F403
from .dropout import *  # noqa: F403
from .embedding import *  # noqa: F403
from .flatten import *  # noqa: F403
from .folding import *  # noqa: F403
from .fractional_pooling import *  # noqa: F403
from .likelihood import *  # noqa: F403
from .linear import *  # noqa: F403
from .linear_loss import *  # noqa: F403
from .loss import *  # noqa: F403
from .max_pooling import *  # noqa: F403
from .module import *  # noqa: F403
from .normalization import *  # noqa: F403
from .padding import *  # noqa: F403
from .parameter import *  # noqa: F403
from .parameters import *  # noqa: F403
from .pooling import *  # noqa: F403
from .rectifier import *  # noqa: F403
from .recurrent import *  # noqa: F403
from .recurrent_cells import *  # noqa: F403
from .resize import *  # noqa: F403
from .sync_batchnorm import *  # noqa: F403
from .thresholds import *  # noqa: F403
from .transformer import *  # noqa: F403
from .transformer_layers import *  # noqa: F403
from .transposed_convolution import *  # noqa: F403

if not _typing.TYPE_CHECKING:  # type checkers cannot read a computed list; without one, they take all public names
    _FILES = (
        "activation", "adaptive_pooling", "adaptive_softmax", "attention", "batchnorm", "classification",
        "container", "convolution", "distance", "dropout", "embedding", "flatten", "folding",
        "fractional_pooling", "likelihood", "linear", "linear_loss", "loss", "max_pooling", "module",
        "normalization", "padding", "parameter", "parameters", "pooling", "rectifier", "recurrent",
        "recurrent_cells", "resize", "sync_batchnorm", "thresholds", "transformer", "transformer_layers",
        "transposed_convolution",
    )  # fmt: skip
    __all__ = [name for file in _FILES for name in _import_module(f"{__name__}.{file}").__all__]
