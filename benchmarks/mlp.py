"""One training step of a multilayer perceptron: Linear, ReLU, cross-entropy, SGD."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy

from .steps import Step


def _data(
    sizes: list[int], batch: int
) -> tuple[list[tuple[numpy.ndarray, numpy.ndarray]], numpy.ndarray, numpy.ndarray]:
    generator = numpy.random.default_rng(0)
    layers = [
        (generator.uniform(-1, 1, (n_out, n_in)).astype("float32") / n_in**0.5, numpy.zeros(n_out, "float32"))
        for n_in, n_out in itertools.pairwise(sizes)
    ]
    return (
        layers,
        generator.standard_normal((batch, sizes[0])).astype("float32"),
        generator.integers(0, sizes[-1], batch),
    )


def network(nn: Any, sizes: list[int]) -> Any:
    """Linear layers with ReLU between them, from the layers of ``nn``, a module of rustorch or PyTorch."""
    pairs = [(nn.Linear(n_in, n_out), nn.ReLU()) for n_in, n_out in itertools.pairwise(sizes)]
    return nn.Sequential(*[layer for pair in pairs for layer in pair][:-1])


def step(sizes: list[int], batch: int, optimizer: str = "SGD") -> Step:
    """The step for libraries that have layers."""
    _, images, labels = _data(sizes, batch)
    return Step(lambda nn: network(nn, sizes), (images,), labels, optimizer)


def rustorch_step(sizes: list[int], batch: int, device: str = "cpu") -> Callable[[], object]:
    """The step in rustorch."""
    return step(sizes, batch).rustorch_step(device)


def torch_step(sizes: list[int], batch: int, device: str = "cpu") -> Callable[[], object]:
    """The step in PyTorch."""
    return step(sizes, batch).torch_step(device)


def jax_step(sizes: list[int], batch: int) -> Callable[[], object]:
    """The step in JAX, compiled."""
    import jax
    import jax.numpy as jnp

    layers, images, labels = _data(sizes, batch)

    def loss(layers: list, x: jax.Array, y: jax.Array) -> jax.Array:
        for i, (weight, bias) in enumerate(layers):
            x = x @ weight.T + bias
            x = jax.nn.relu(x) if i < len(layers) - 1 else x
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], axis=1))

    @jax.jit
    def update(layers: list, x: jax.Array, y: jax.Array) -> list:
        return jax.tree.map(lambda p, g: p - 0.01 * g, layers, jax.grad(loss)(layers, x, y))

    state = [[(jnp.asarray(w), jnp.asarray(b)) for w, b in layers]]
    x, y = jnp.asarray(images), jnp.asarray(labels)

    def step() -> None:
        state[0] = jax.block_until_ready(update(state[0], x, y))

    return step


def autograd_step(sizes: list[int], batch: int) -> Callable[[], object]:
    """The step in autograd."""
    import autograd
    import autograd.numpy as anp

    layers, x, y = _data(sizes, batch)
    rows = numpy.arange(batch)

    def loss(layers: list) -> object:
        h = x
        for i, (weight, bias) in enumerate(layers):
            h = anp.dot(h, weight.T) + bias
            h = anp.maximum(h, 0) if i < len(layers) - 1 else h
        h = h - anp.max(h, axis=1, keepdims=True)
        return -anp.mean((h - anp.log(anp.sum(anp.exp(h), axis=1, keepdims=True)))[rows, y])

    gradient = autograd.grad(loss)

    def step() -> None:
        for (weight, bias), (gw, gb) in zip(layers, gradient(layers), strict=True):
            weight -= 0.01 * gw
            bias -= 0.01 * gb

    return step


def mygrad_step(sizes: list[int], batch: int) -> Callable[[], object]:
    """The step in MyGrad."""
    import mygrad
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    arrays, x, y = _data(sizes, batch)
    layers = [(mygrad.tensor(w), mygrad.tensor(b)) for w, b in arrays]

    def step() -> None:
        h = x
        for i, (weight, bias) in enumerate(layers):
            h = mygrad.matmul(h, weight.T) + bias
            h = relu(h) if i < len(layers) - 1 else h
        softmax_crossentropy(h, y).backward()
        for pair in layers:
            for p in pair:
                p.data -= 0.01 * p.grad
                p.null_grad()

    return step


def functions(sizes: list[int], batch: int) -> dict[str, Callable[[], object]]:
    """The step in each library that is installed."""
    out = {"rustorch": rustorch_step(sizes, batch)}
    makers = {"torch": torch_step, "jax (jit)": jax_step, "autograd": autograd_step, "mygrad": mygrad_step}
    for name, make in makers.items():
        try:
            out[name] = make(sizes, batch)
        except ImportError:
            continue
    return out
