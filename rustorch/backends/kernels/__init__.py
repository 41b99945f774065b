"""Every kernel in plain Array API: the versions that the backends' overrides are tested against.

A kernel is a numerical routine that the standard lacks, or that deserves a version tuned by hand. Its plain version
takes the namespace as its first argument. So it runs on every array library, under tracing, and on Variables too (with
rustorch as the namespace). A backend with a better version has a function of the same name and parameters, without the
namespace, in a file of the same name: ``kernels/softmax.py``, ``numpy/softmax.py``, ``cupy/softmax.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

#: Family, which is also the file's name -> its kernels.
FAMILIES: dict[str, tuple[str, ...]] = {
    "activation": (
        "relu", "relu_grad", "sigmoid", "sigmoid_grad", "silu", "silu_grad", "mish", "mish_grad", "tanh_softplus",
        "tanh_softplus_grad", "tanhshrink", "prelu_slope", "erf", "exp_of_sum", "gaussian", "gelu", "gelu_grad",
        "gelu_tail", "gelu_tanh", "gelu_tanh_grad", "gelu_tanh_gate_grad",
    ),
    "attention": ("attention", "attention_grad"),
    "convolution": ("conv", "conv_grad_input", "conv_grad_weight", "conv_grad_weight_bias"),
    "ctc": ("ctc_loss", "ctc_loss_grad"),
    "elementwise": (
        "small_power", "pow_slope", "tanh_slope", "hypot_slope", "atan2_slope", "logaddexp_slope",
        "sqrt_one_minus_square", "sqrt_one_plus_square", "sqrt_square_minus_one", "zero_gradient", "apply_mask",
    ),
    "indexing": ("arange_like", "index_add", "scatter_add", "put", "put_add", "overwrite"),
    "linalg": ("vector_norm", "cofactors"),
    "linear": ("linear", "linear_grad_weight", "linear_grad_weight_bias"),
    "loss": (
        "mse", "mse_grad", "huber", "huber_grad", "smooth_l1", "smooth_l1_grad", "cross_entropy", "cross_entropy_grad",
        "binary_cross_entropy", "binary_cross_entropy_grad", "binary_cross_entropy_grad_target",
        "binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits_grad", "gaussian_nll_slope", "quotient",
        "quotient_or_zero", "reduced_huber", "reduced_smooth_l1", "reduced_binary_cross_entropy",
        "reduced_binary_cross_entropy_with_logits",
    ),
    "normalization": (
        "layer_norm", "layer_norm_grad", "rms_norm", "rms_norm_grad", "group_norm", "group_norm_grad", "batch_norm",
        "batch_norm_grad", "running_moments",
    ),
    "optim": (
        "sgd", "adam", "nadam", "radam", "adamax", "adagrad", "adadelta", "rmsprop", "rprop", "asgd",
    ),
    "adafactor": ("adafactor",),
    "muon": ("muon",),
    "padding": ("pad_constant",),
    "clipping": ("total_norm", "clip_by_norm"),
    "pooling": (
        "max_pool", "max_pool_indices", "max_pool_gather", "max_pool_grad", "max_unpool", "avg_pool", "avg_pool_grad",
    ),
    "recurrent": (
        "rnn_steps", "rnn_steps_grad", "lstm_steps", "lstm_steps_grad", "gru_steps", "gru_steps_grad",
    ),
    "softmax": ("softmax", "softmax_grad", "log_softmax", "log_softmax_grad", "logsumexp", "logsumexp_grad"),
    "statistical": ("centered", "extreme_grad"),
}  # fmt: skip

#: Name of a kernel -> its plain version.
KERNELS: dict[str, Callable[..., Any]] = {
    name: getattr(import_module(f"{__name__}.{family}"), name) for family, names in FAMILIES.items() for name in names
}
