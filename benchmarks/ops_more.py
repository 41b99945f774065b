"""More functions for `ops` to time, beside the 40 of its table: every activation, and some that took long once."""

from __future__ import annotations

from typing import Any

from .ops_inputs import Input, integers, normal, target
from .ops_table import LARGE, LARGE_IMAGES, SMALL, SMALL_IMAGES, Function, Operation, Prepare, function, layer

_ACTIVATIONS = (
    "relu6", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "leaky_relu", "elu", "selu",
    "softplus", "softsign", "logsigmoid", "tanhshrink", "mish", "glu",
)  # fmt: skip


def _of_numbers(name: str, prepare: Prepare, *others: Any) -> Operation:
    """A function of an array, and of others of its shape."""
    sizes = ([normal(*size), *[other(*size) for other in others]] for size in (SMALL, LARGE))
    return Operation(name, prepare, *sizes)


def _of_images(name: str, **options: Any) -> Operation:
    return Operation(name, layer(name, **options), [normal(*SMALL_IMAGES)], [normal(*LARGE_IMAGES)])


def _classes(rows: int, classes: int) -> list[Input]:
    return [normal(rows, classes), integers(classes, rows)]


def _divergence(library: Any) -> Function:
    return lambda x, y: library.nn.functional.kl_div(x, y, reduction="sum")


def _operations() -> list[Operation]:
    return [
        *[_of_numbers(name, layer(name)) for name in _ACTIVATIONS],
        _of_numbers("sin", function("sin")),
        _of_numbers("cos", function("cos")),
        _of_numbers("kl_div", _divergence, target),
        Operation(
            "cross_entropy, smoothed labels",
            layer("cross_entropy", label_smoothing=0.1),
            _classes(64, 10),
            _classes(512, 8192),
        ),
        _of_images("pad", pad=(2, 2, 2, 2), mode="reflect"),
        _of_images("unfold", kernel_size=3),
        _of_images("interpolate", scale_factor=2, mode="bilinear"),
        _of_images("adaptive_avg_pool2d", output_size=7),
    ]


#: The functions by name.
MORE = {operation.name: operation for operation in _operations()}
