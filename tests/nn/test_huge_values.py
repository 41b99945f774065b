"""Normalization of numbers whose squares overflow or underflow: the result does not depend on the input's scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.nn import functional as F
from tests.support.target import Target

LAYERS: dict[str, Callable[..., Any]] = {
    "layer_norm": lambda x, eps: F.layer_norm(x, (4,), eps=eps),
    "rms_norm": lambda x, eps: F.rms_norm(x, (4,), eps=eps),
    "group_norm": lambda x, eps: F.group_norm(rustorch.reshape(x, (2, 2, 2)), 1, eps=eps),
    "instance_norm": lambda x, eps: F.instance_norm(rustorch.reshape(x, (1, 2, 4)), eps=eps),
    "batch_norm": lambda x, eps: F.batch_norm(rustorch.matrix_transpose(x), None, None, training=True, eps=eps),
}
HOST = numpy.asarray([[3.0, -1.0, 0.5, 2.0], [1.0, 2.0, -4.0, 0.25]])
UPPER = numpy.asarray([[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, -1.0, 2.0]])
SCALES = {"float32": (1e20, 1e34), "float64": (1e200, 1e304)}
EACH = pytest.mark.parametrize(("dtype", "scale"), [(dtype, scale) for dtype in SCALES for scale in SCALES[dtype]])


@EACH
@pytest.mark.parametrize("name", LAYERS)
def test_the_output_does_not_depend_on_the_scale_of_the_input(
    backend: Target, name: str, dtype: str, scale: float
) -> None:
    small = HOST.astype(dtype)
    huge = small * numpy.asarray(scale, dtype)
    x, y = backend.variable(small, dtype, requires_grad=True), backend.variable(huge, dtype, requires_grad=True)
    upper = backend.variable(UPPER, dtype)
    with numpy.errstate(over="ignore"):  # the variance of batch norm overflows
        plain, out = LAYERS[name](x, 1e-30), LAYERS[name](y, 1e-5)
    tolerance = 16 * numpy.finfo(dtype).eps
    numpy.testing.assert_allclose(backend.numpy(out), backend.numpy(plain), rtol=tolerance, atol=tolerance)
    for value in (plain, out):
        rustorch.sum(value * rustorch.reshape(upper, value.shape)).backward()
    numpy.testing.assert_allclose(
        backend.numpy(y.grad) * numpy.asarray(scale, dtype), backend.numpy(x.grad), rtol=1e-5, atol=8 * tolerance
    )


@pytest.mark.parametrize("name", LAYERS)
def test_huge_rows_do_not_change_other_rows(backend: Target, name: str) -> None:
    alone = HOST.astype("float32")
    mixed = alone * numpy.asarray([[1.0], [1e25]], "float32")
    with numpy.errstate(over="ignore"):
        got = [
            backend.numpy(LAYERS[name](backend.variable(host, "float32"), 1e-5)).reshape(-1) for host in (alone, mixed)
        ]
    first = slice(None, None, 2) if name == "batch_norm" else slice(0, 4)
    numpy.testing.assert_allclose(got[1][first], got[0][first], rtol=1e-6)
    assert numpy.isfinite(got[1]).all()


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "instance_norm", "group_norm"])
def test_tiny_numbers_without_eps(backend: Target, name: str) -> None:
    got = [backend.numpy(LAYERS[name](backend.variable(HOST * scale, "float32"), 0.0)) for scale in (1.0, 1e-30)]
    numpy.testing.assert_allclose(got[1], got[0], rtol=1e-5)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "batch_norm"])
def test_second_derivatives_of_huge_numbers(backend: Target, name: str) -> None:
    """The second derivative of ``f(c * x)`` in x is ``c ** 2`` times the second derivative of f at ``c * x``."""
    results = []
    for scale in (1.0, 1e14):
        t = backend.variable(numpy.asarray(scale), "float32", requires_grad=True)
        base, upper = backend.variable(HOST / 4, "float32"), backend.variable(UPPER, "float32")
        x = base * t + backend.variable(HOST[::-1] * scale, "float32")
        out = LAYERS[name](x, 1e-30 if scale == 1 else 1e-5)
        (first,) = rustorch.grad(rustorch.sum(out * rustorch.reshape(upper, out.shape)), t, create_graph=True)
        (second,) = rustorch.grad(first, t)
        results.append((float(first.item()) * scale, float(second.item()) * scale * scale))
    numpy.testing.assert_allclose(results[1], results[0], rtol=1e-3)


@pytest.mark.parametrize("scale", [1.0, 1e20, 1e30])
def test_local_response_norm_of_huge_numbers(backend: Target, scale: float) -> None:
    host = numpy.asarray([[[1.0], [2.0], [-3.0]], [[0.5], [0.25], [1.0]]])
    x = backend.variable(host * numpy.asarray([scale, 1.0]).reshape(2, 1, 1), "float32", requires_grad=True)
    out = F.local_response_norm(x, 3)
    out.sum().backward()
    wide = rustorch.tensor(host * numpy.asarray([scale, 1.0]).reshape(2, 1, 1), dtype="float64", requires_grad=True)
    expected = F.local_response_norm(wide, 3)
    expected.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(out), expected.detach().data, rtol=1e-5)
    numpy.testing.assert_allclose(backend.numpy(x.grad), wide.grad, rtol=1e-4, atol=1e-30)
