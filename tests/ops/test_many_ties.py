"""The gradients of max and min with more equal elements than float32 can count one by one."""

from __future__ import annotations

import numpy

import rustorch


def test_more_ties_than_float32_counts() -> None:
    n = (1 << 24) + 8
    x = rustorch.Variable(numpy.ones((n, 2), "float32"), requires_grad=True)
    for extreme in (rustorch.max, rustorch.min):
        (gradient,) = rustorch.grad(extreme(x, axis=0).sum(), x)
        assert gradient.dtype == rustorch.float32
        assert (gradient.data == numpy.float32(1 / n)).all()


def test_seventy_thousand_ties() -> None:
    x = rustorch.Variable(numpy.ones((70_000, 2), "float32"), requires_grad=True)
    rustorch.max(x, axis=0).sum().backward()
    numpy.testing.assert_allclose(x.grad, numpy.full((70_000, 2), 1 / 70_000), rtol=1e-6)
