"""Pooling by p-norms: windows of zeros, and numbers whose powers overflow or underflow."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch.func import hessian
from rustorch.nn import functional as F
from tests.support.target import Target


@pytest.mark.parametrize("p", [1, 2, 3, 4.0])
def test_windows_of_zeros_have_gradients_of_zero(backend: Target, p: float) -> None:
    x = backend.variable([[[0.0, 0.0, 3.0, 4.0]]], requires_grad=True)
    out = F.lp_pool1d(x, p, 2)
    out.sum().backward()
    norm = (3**p + 4**p) ** (1 / p)
    numpy.testing.assert_allclose(backend.numpy(out), [[[0, norm]]], rtol=1e-12)
    slopes = [(value / norm) ** (p - 1) for value in (3, 4)]
    numpy.testing.assert_allclose(backend.numpy(x.grad), [[[float(p == 1)] * 2 + slopes]], rtol=1e-12)


def test_the_square_of_a_window_of_zeros_has_a_hessian(backend: Target) -> None:
    found = hessian(lambda x: rustorch.sum(F.lp_pool1d(rustorch.reshape(x, (1, 1, 4)), 2, 2) ** 2))(
        backend.variable([0.0, 0.0, 1.0, 2.0])
    )
    numpy.testing.assert_allclose(backend.numpy(found), 2 * numpy.eye(4), atol=1e-12)


@pytest.mark.parametrize("p", [1, 2, 3.0, 10])
@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e20])
def test_the_result_scales_with_its_input(backend: Target, p: float, scale: float) -> None:
    host = numpy.asarray([[[[1.0, 2.0], [3.0, 4.0]]], [[[0.5, 0.25], [1.0, 0.0]]]])
    x = backend.variable(host * scale, "float32", requires_grad=True)
    out = F.lp_pool2d(x, p, 2)
    out.sum().backward()
    norms = (host**p).sum((2, 3), keepdims=True) ** (1 / p)
    numpy.testing.assert_allclose(backend.numpy(out), norms * scale, rtol=1e-5)
    numpy.testing.assert_allclose(backend.numpy(x.grad), (host / norms) ** (p - 1), rtol=1e-5, atol=1e-30)
