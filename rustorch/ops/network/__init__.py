"""The primitives of layers and losses, one file a family. nn.functional checks their arguments and calls them."""

from __future__ import annotations

from ...autograd.primitive import Primitive
from .activation import *  # noqa: F403
from .attention import *  # noqa: F403
from .convolution import *  # noqa: F403
from .dropout import *  # noqa: F403
from .embedding import *  # noqa: F403
from .linear import *  # noqa: F403
from .loss import *  # noqa: F403
from .normalization import *  # noqa: F403
from .padding import *  # noqa: F403
from .pooling import *  # noqa: F403
from .recurrent import *  # noqa: F403
from .softmax import *  # noqa: F403

#: The primitives that take complex numbers: their rules conjugate where they must. All others refuse complex numbers.
OF_COMPLEX = frozenset((
    "apply_mask", "avg_pool", "avg_pool_grad", "conv", "conv_grad_input", "conv_grad_weight", "embedding", "gru_steps",
    "linear", "linear_grad_weight", "lstm_steps", "max_unpool", "pad_constant", "rnn_steps",
    "sigmoid", "sigmoid_grad", "tanhshrink",
))  # fmt: skip

for _primitive in [value for value in globals().values() if isinstance(value, Primitive)]:
    _primitive.real = _primitive.name not in OF_COMPLEX
del _primitive
