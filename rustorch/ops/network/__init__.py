"""Primitives that layers and losses are made of, by family; nn.functional dresses them."""

from __future__ import annotations

from ...autograd.primitive import Primitive
from .activation import *  # noqa: F403
from .attention import *  # noqa: F403
from .convolution import *  # noqa: F403
from .core import *  # noqa: F403
from .lookup import *  # noqa: F403
from .loss import *  # noqa: F403
from .normalization import *  # noqa: F403
from .pooling import *  # noqa: F403
from .recurrent import *  # noqa: F403

#: Those that take complex numbers, with the right conjugates in their rules. All others refuse them.
OF_COMPLEX = frozenset((
    "avg_pool", "avg_pool_grad", "conv", "conv_grad_input", "conv_grad_weight", "embedding", "gru_steps", "apply_mask",
    "linear", "linear_grad_weight", "lstm_steps", "max_unpool", "rnn_steps", "sigmoid", "sigmoid_grad", "tanhshrink",
))  # fmt: skip

for _primitive in [value for value in globals().values() if isinstance(value, Primitive)]:
    _primitive.real = _primitive.name not in OF_COMPLEX
del _primitive
