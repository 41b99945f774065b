"""Every kernel in plain Array API: the one version that the backends' overrides are held against.

A kernel is a numerical routine that the standard lacks, or that is worth a hand-tuned version. Its plain version
takes the namespace as its first argument, so it also runs on Variables (with rustorch as the namespace) and under
tracing; a backend that has something better names it in its ``overrides``, without that argument.
"""

from __future__ import annotations

from collections.abc import Callable

from . import (
    activation,
    attention,
    convolution,
    ctc,
    elementwise,
    indexing,
    linalg,
    linear,
    loss,
    normalization,
    optim,
    pooling,
    recurrent,
    softmax,
)

_FAMILIES = (
    activation, attention, convolution, ctc, elementwise, indexing, linalg, linear, loss, normalization, optim, pooling,
    recurrent, softmax,
)  # fmt: skip
#: name -> plain version
KERNELS: dict[str, Callable] = {name: getattr(module, name) for module in _FAMILIES for name in module.__all__}
