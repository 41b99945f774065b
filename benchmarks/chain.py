"""Four operations on 8 elements, forward and backward, which measure the overhead of calls."""

from __future__ import annotations

from collections.abc import Callable

import numpy

import rustorch


def functions() -> dict[str, Callable[[], object]]:
    """``sum(tanh(x * y + x))`` with its gradients, in each library that is installed."""
    generator = numpy.random.default_rng(0)
    a, b = generator.standard_normal((2, 8)).astype("float32")
    out: dict[str, Callable[[], object]] = {}

    x, y = rustorch.Variable(a, requires_grad=True), rustorch.Variable(b, requires_grad=True)

    def rustorch_chain() -> None:
        rustorch.sum(rustorch.tanh(x * y + x)).backward()
        x.zero_grad()
        y.zero_grad()

    out["rustorch"] = rustorch_chain
    try:
        import torch
    except ImportError:
        pass
    else:
        tx, ty = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)

        def torch_chain() -> None:
            torch.sum(torch.tanh(tx * ty + tx)).backward()
            tx.grad = ty.grad = None

        out["torch"] = torch_chain
    try:
        import jax
    except ImportError:
        pass
    else:
        step = jax.jit(jax.grad(lambda x, y: jax.numpy.sum(jax.numpy.tanh(x * y + x)), argnums=(0, 1)))
        out["jax (jit)"] = lambda: jax.block_until_ready(step(a, b))
    try:
        import autograd
        import autograd.numpy as anp
    except ImportError:
        pass
    else:
        gradient = autograd.grad(lambda xy: anp.sum(anp.tanh(xy[0] * xy[1] + xy[0])))
        out["autograd"] = lambda: gradient((a, b))
    try:
        import mygrad
    except ImportError:
        pass
    else:
        mx, my = mygrad.tensor(a), mygrad.tensor(b)
        out["mygrad"] = lambda: mygrad.sum(mygrad.tanh(mx * my + mx)).backward()
    return out
