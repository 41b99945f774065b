"""From an array through a layer to a gradient: run this file first when everything fails."""

from __future__ import annotations

import numpy

import rustorch
from tests.support.target import Target


def test_from_an_array_through_a_layer_to_a_gradient(backend: Target) -> None:
    layer = rustorch.Linear(2, 1, device=backend.device)
    layer.load_state_dict({"weight": numpy.array([[2.0, -3.0]]), "bias": numpy.array([0.5])})
    x = rustorch.Variable(backend.array([[1.0, 2.0], [4.0, 1.0]], "float32"), requires_grad=True)

    out = rustorch.ReLU()(layer(x))  # the layer returns -3.5 and 5.5
    loss = rustorch.MSELoss()(out, backend.variable([[1.0], [1.0]], "float32"))
    loss.backward()

    assert out.device == layer.weight.device == backend.device
    numpy.testing.assert_array_equal(backend.numpy(out), [[0.0], [5.5]])
    assert loss.item() == (1.0 + 4.5**2) / 2
    # the derivative of the loss is 4.5 in the second output, and 0 in the first, where ReLU is 0
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [[0.0, 0.0], [9.0, -13.5]])
    numpy.testing.assert_array_equal(backend.numpy(layer.weight.grad), [[18.0, 4.5]])
    numpy.testing.assert_array_equal(backend.numpy(layer.bias.grad), [4.5])


def test_steps_of_the_optimizer_reduce_the_loss(backend: Target) -> None:
    layer = rustorch.Linear(2, 1, device=backend.device)
    optimizer = rustorch.SGD(layer.parameters(), lr=0.05)
    x, y = backend.variable([[1.0, 2.0], [3.0, 4.0]], "float32"), backend.variable([[1.0], [0.0]], "float32")
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = rustorch.MSELoss()(layer(x), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses[0] > losses[1] > losses[2]
