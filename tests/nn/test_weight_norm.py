"""Weight norm of rows of zeros, and of huge and tiny directions."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.support.target import Target


@pytest.mark.parametrize("dim", [0, None])
def test_a_row_of_zeros_has_finite_derivatives(backend: Target, dim: int | None) -> None:
    layer = nn.Linear(2, 2, bias=False, device=backend.device)
    with rustorch.no_grad():
        layer.weight[...] = backend.variable(
            [[0.0, 0.0], [3.0, 4.0]] if dim == 0 else [[0.0, 0.0], [0.0, 0.0]], "float32"
        )
    nn.utils.weight_norm(layer, dim=dim)
    numpy.testing.assert_allclose(
        backend.numpy(layer.weight), [[0, 0], [3, 4]] if dim == 0 else numpy.zeros((2, 2)), rtol=1e-6
    )
    x = backend.variable([[1.0, 2.0]], "float32", requires_grad=True)
    parameters = list(layer.parameters())
    first = rustorch.grad(rustorch.sum(layer(x) ** 2), parameters, create_graph=True)
    for g in first:
        assert backend.numpy(g).reshape(-1)[0] == 0
    second = rustorch.grad(sum(rustorch.sum(g * g) for g in first), parameters, allow_unused=True)
    for g in [*first, *[g for g in second if g is not None]]:
        assert numpy.isfinite(backend.numpy(g)).all()


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_the_norm_of_the_direction_does_not_matter(backend: Target, scale: float) -> None:
    layer = nn.utils.weight_norm(nn.Linear(2, 1, bias=False, device=backend.device))
    size, direction = layer.parameters()
    with rustorch.no_grad():
        size[...], direction[...] = (
            backend.variable([[5.0]], "float32"),
            backend.variable(numpy.asarray([[3.0, 4.0]]) * scale, "float32"),
        )
    numpy.testing.assert_allclose(backend.numpy(layer.weight), [[3.0, 4.0]], rtol=1e-6)
