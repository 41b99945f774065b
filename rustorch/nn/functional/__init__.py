"""The layers' functions, without their parameters: PyTorch's names and arguments."""

from __future__ import annotations

from importlib import import_module

from .activation import *  # noqa: F403
from .adaptive_pooling import *  # noqa: F403
from .attention import *  # noqa: F403
from .batchnorm import *  # noqa: F403
from .classification import *  # noqa: F403
from .convolution import *  # noqa: F403
from .ctc import *  # noqa: F403
from .distance import *  # noqa: F403
from .dropout import *  # noqa: F403
from .embedding import *  # noqa: F403
from .folding import *  # noqa: F403
from .fractional_pooling import *  # noqa: F403
from .likelihood import *  # noqa: F403
from .linear import *  # noqa: F403
from .linear_loss import *  # noqa: F403
from .loss import *  # noqa: F403
from .margin_loss import *  # noqa: F403
from .max_pooling import *  # noqa: F403
from .multi_head_attention import *  # noqa: F403
from .normalization import *  # noqa: F403
from .padding import *  # noqa: F403
from .pooling import *  # noqa: F403
from .rectifier import *  # noqa: F403
from .recurrent import *  # noqa: F403
from .recurrent_cells import *  # noqa: F403
from .resize import *  # noqa: F403
from .response_norm import *  # noqa: F403
from .sampling import *  # noqa: F403
from .shuffle import *  # noqa: F403

#: The files with public functions. Some have the name of a function here: `dropout`, `embedding`, `linear`.
_FILES = (
    "activation", "adaptive_pooling", "attention", "batchnorm", "classification", "convolution", "ctc", "distance",
    "dropout", "embedding", "folding", "fractional_pooling", "likelihood", "linear", "linear_loss", "loss",
    "margin_loss", "max_pooling", "multi_head_attention", "normalization", "padding", "pooling", "rectifier",
    "recurrent", "recurrent_cells", "resize", "response_norm", "sampling", "shuffle",
)  # fmt: skip

__all__ = [name for file in _FILES for name in import_module(f"{__name__}.{file}").__all__]
