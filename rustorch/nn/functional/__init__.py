"""The layers' functions, without their parameters: PyTorch's names and arguments."""

from __future__ import annotations

from . import (
    activation,
    adaptive_pooling,
    attention,
    classification,
    convolution,
    ctc,
    distance,
    folding,
    fractional_pooling,
    likelihood,
    linear_loss,
    lookup,
    loss,
    masks,
    max_pooling,
    normalization,
    padding,
    pooling,
    rectifier,
    recurrent,
    resize,
    response_norm,
    sampling,
    shuffle,
)
from . import linear as affine
from .activation import *  # noqa: F403
from .adaptive_pooling import *  # noqa: F403
from .attention import *  # noqa: F403
from .classification import *  # noqa: F403
from .convolution import *  # noqa: F403
from .ctc import *  # noqa: F403
from .distance import *  # noqa: F403
from .folding import *  # noqa: F403
from .fractional_pooling import *  # noqa: F403
from .likelihood import *  # noqa: F403
from .linear import *  # noqa: F403
from .linear_loss import *  # noqa: F403
from .lookup import *  # noqa: F403
from .loss import *  # noqa: F403
from .masks import *  # noqa: F403
from .max_pooling import *  # noqa: F403
from .normalization import *  # noqa: F403
from .padding import *  # noqa: F403
from .pooling import *  # noqa: F403
from .rectifier import *  # noqa: F403
from .recurrent import *  # noqa: F403
from .resize import *  # noqa: F403
from .response_norm import *  # noqa: F403
from .sampling import *  # noqa: F403
from .shuffle import *  # noqa: F403

__all__ = [
    name
    for file in (
        folding,
        activation,
        distance,
        classification,
        adaptive_pooling,
        affine,
        linear_loss,
        attention,
        convolution,
        ctc,
        likelihood,
        lookup,
        loss,
        masks,
        fractional_pooling,
        max_pooling,
        normalization,
        response_norm,
        padding,
        pooling,
        rectifier,
        recurrent,
        resize,
        sampling,
        shuffle,
    )
    for name in file.__all__
]
