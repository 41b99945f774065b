"""Fusing a batch norm into the layer before it."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.reference import cases
from tests.support.errors import Bad, check_error
from tests.support.target import Target

CASES: dict[str, tuple[Any, Any, Any, tuple[int, ...]]] = {
    "Conv2d": (lambda: nn.Conv2d(2, 3, 2), lambda: nn.BatchNorm2d(3), nn.utils.fuse_conv_bn_eval, (2, 2, 4, 4)),
    "without biases": (lambda: nn.Conv1d(2, 3, 2, bias=False), lambda: nn.BatchNorm1d(3, affine=False),
                       nn.utils.fuse_conv_bn_eval, (2, 2, 4)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 2), lambda: nn.BatchNorm2d(3),
                        lambda conv, bn: nn.utils.fuse_conv_bn_eval(conv, bn, transpose=True), (2, 2, 4, 4)),
    "Linear": (lambda: nn.Linear(2, 3), lambda: nn.BatchNorm1d(3), nn.utils.fuse_linear_bn_eval, (4, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_fused_layer_computes_what_both_layers_compute(name: str, backend: Target) -> None:
    layer, norm, fuse, shape = CASES[name]
    pair = nn.Sequential(layer(), norm()).double().to(backend.device)
    x = backend.variable(cases.numbers(shape))
    pair(x)  # updates the running statistics
    pair.eval()
    before = {key: backend.numpy(value).tolist() for key, value in pair.state_dict().items()}
    fused = fuse(pair[0], pair[1])
    numpy.testing.assert_allclose(backend.numpy(fused(x)), backend.numpy(pair(x)), rtol=1e-10, atol=1e-12)
    assert type(fused) is type(pair[0]) and fused.weight.requires_grad and fused.bias.requires_grad
    assert {key: backend.numpy(value).tolist() for key, value in pair.state_dict().items()} == before


def test_layers_in_training_or_of_other_sizes_are_refused() -> None:
    conv, norm = nn.Conv2d(1, 3, 2).eval(), nn.BatchNorm2d(3).eval()
    bad: list[Bad] = [
        (lambda: nn.utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3)), ValueError,
         r"fuse_conv_bn_eval: both layers must be in evaluation; call .eval"),
        (lambda: nn.utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(2).eval()), ValueError,
         "the layer has 3 outputs, the batch norm 2 features"),
        (lambda: nn.utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3, track_running_stats=False).eval()), ValueError,
         "the batch norm has no running statistics"),
        (lambda: nn.utils.fuse_linear_bn_eval(nn.Linear(1, 2), norm), ValueError, "fuse_linear_bn_eval: both layers"),
    ]  # fmt: skip
    for case in bad:
        check_error(case)
    assert rustorch.all(norm.running_mean == 0)
