"""Values and gradients against PyTorch's: real and complex ones of the spec table, and the conventions at kinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.ops import network
from tests.specs import INTERNAL, SPECS, Spec
from tests.support.differences import listed, weights
from tests.support.target import host

torch = pytest.importorskip("torch")

CASES = [
    pytest.param(spec, dtype, id=f"{spec.id}-{dtype}")
    for spec in [*SPECS, *INTERNAL]
    if spec.torch is not None
    for dtype in spec.dtypes
]


def _rustorch(call: Callable[..., Any], arrays: list[numpy.ndarray]) -> tuple[list, list]:
    xs = [rustorch.Variable(a.copy(), requires_grad=True) for a in arrays]
    outs = listed(call(*xs))
    starts = weights([out.shape for out in outs], [out.dtype for out in outs])
    return [host(out) for out in outs], [host(g) for g in rustorch.grad(outs, xs, starts)]


def _torch(call: Callable[..., Any], arrays: list[numpy.ndarray]) -> tuple[list, list]:
    xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    outs = call(*xs)
    outs = list(outs) if isinstance(outs, (tuple, list)) else [outs]
    starts = weights([tuple(out.shape) for out in outs], [out.detach().resolve_conj().numpy().dtype for out in outs])
    gradients = torch.autograd.grad(outs, xs, [torch.from_numpy(start) for start in starts])
    return [out.detach().resolve_conj().numpy() for out in outs], [g.numpy(force=True) for g in gradients]


def _same(ours: tuple[list, list], theirs: tuple[list, list]) -> None:
    for what, mine, other in zip(("value", "gradient"), ours, theirs, strict=True):
        assert len(mine) == len(other)
        for a, b in zip(mine, other, strict=True):
            assert a.dtype == b.dtype
            numpy.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=what)


@pytest.mark.parametrize(("spec", "dtype"), CASES)
def test_values_and_gradients_are_those_of_pytorch(spec: Spec, dtype: str, rng: numpy.random.Generator) -> None:
    arrays = spec.arrays(dtype, rng)
    _same(_rustorch(spec.call, arrays), _torch(lambda *xs: spec.torch(torch, *xs), arrays))


#: (id, ours, theirs, inputs): where a derivative does not exist, and PyTorch's answer is the convention.
KINKS: list[tuple[str, Callable[..., Any], Callable[..., Any], list[Any]]] = [
    ("abs", rustorch.abs, torch.abs, [[-1.0, 0.0, -0.0, 2.0]]),
    ("abs complex", rustorch.abs, torch.abs, [[0j, 3 + 4j]]),
    ("sign", rustorch.sign, torch.sign, [[-1.0, 0.0, 2.0]]),
    ("sign complex", rustorch.sign, torch.sgn, [[0j, 3 + 4j]]),
    ("maximum ties", rustorch.maximum, torch.maximum, [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]),
    ("minimum ties", rustorch.minimum, torch.minimum, [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]),
    ("max ties", rustorch.max, torch.amax, [[3.0, 1.0, 3.0, 3.0]]),
    ("min ties", rustorch.min, torch.amin, [[1.0, 1.0, 3.0, 1.0]]),
    (
        "max ties in rows",
        lambda x: rustorch.max(x, axis=1),
        lambda x: torch.amax(x, 1),
        [[[3.0, 3.0, 1.0], [2.0, 1.0, 2.0]]],
    ),
    ("pow 0 at 0", lambda x: x**0, lambda x: x**0, [[0.0, 1.0]]),
    ("pow 1 at 0", lambda x: x**1, lambda x: x**1, [[0.0, -1.0]]),
    ("pow 2 at 0", lambda x: x**2.0, lambda x: x**2.0, [[0.0, -1.0]]),
    ("pow of arrays at 0", rustorch.pow, torch.pow, [[0.0, 0.0, 0.0, 2.0], [0.0, 1.0, 2.0, 0.0]]),
    ("0 to a power", lambda x: 0.0**x, lambda x: 0.0**x, [[0.0, 1.0, 2.0]]),
    ("pow of negative base", lambda x: x**3.0, lambda x: x**3.0, [[-2.0, -0.5]]),
    ("prod of one zero", rustorch.prod, torch.prod, [[2.0, 0.0, 3.0]]),
    ("prod of two zeros", rustorch.prod, torch.prod, [[2.0, 0.0, 0.0, 3.0]]),
    (
        "prod of zeros in rows",
        lambda x: rustorch.prod(x, axis=1),
        lambda x: torch.prod(x, 1),
        [[[0.0, 2.0], [0.0, 0.0]]],
    ),
    ("cumulative_prod of zeros", rustorch.cumulative_prod, lambda x: torch.cumprod(x, 0), [[2.0, 0.0, 3.0, 0.0, 5.0]]),
    ("std at 0", rustorch.std, lambda x: torch.std(x, correction=0), [[2.0, 2.0, 2.0]]),
    ("var at 0", rustorch.var, lambda x: torch.var(x, correction=0), [[2.0, 2.0, 2.0]]),
    ("sort of ties", rustorch.sort, lambda x: torch.sort(x, stable=True)[0], [[2.0, 1.0, 2.0, 1.0]]),
    (
        "sort of ties, descending",
        lambda x: rustorch.sort(x, descending=True),
        lambda x: torch.sort(x, descending=True, stable=True)[0],
        [[2.0, 1.0, 2.0, 1.0]],
    ),
    (
        "take_along_axis of repeats",
        lambda x: rustorch.take_along_axis(x, rustorch.asarray([1, 1, 1, 0])),
        lambda x: torch.take_along_dim(x, torch.tensor([1, 1, 1, 0])),
        [[1.0, 2.0]],
    ),
    (
        "clip at its edges",
        lambda x: rustorch.clip(x, 0.0, 1.0),
        lambda x: torch.clip(x, 0.0, 1.0),
        [[-1.0, 0.0, 0.5, 1.0, 2.0]],
    ),
    ("relu", network.relu, torch.relu, [[-1.0, 0.0, 1.0]]),
    (
        "where of nan",
        lambda x: rustorch.where(x > 0, x, x * 2),
        lambda x: torch.where(x > 0, x, x * 2),
        [[-1.0, 0.0, 1.0]],
    ),
    ("sqrt at 0", rustorch.sqrt, torch.sqrt, [[0.0, 4.0]]),
    ("log of negative", rustorch.log, torch.log, [[-1.0, 4.0]]),
    ("logaddexp of big", rustorch.logaddexp, torch.logaddexp, [[1000.0, -1000.0, 3.0], [1000.0, 0.0, 4.0]]),
    ("sigmoid of big", network.sigmoid, torch.sigmoid, [[-800.0, 800.0, 0.0]]),
    ("softmax of big", lambda x: network.softmax(x, 0), lambda x: torch.softmax(x, 0), [[1000.0, 0.0, -1000.0]]),
    (
        "log_softmax of big",
        lambda x: network.log_softmax(x, 0),
        lambda x: torch.log_softmax(x, 0),
        [[1000.0, 0.0, -1000.0]],
    ),
    ("atan2 on the axes", rustorch.atan2, torch.atan2, [[0.0, 1.0, -1.0], [1.0, 0.0, 0.0]]),
    ("hypot on the axes", rustorch.hypot, torch.hypot, [[0.0, 3.0], [2.0, 0.0]]),
    ("copysign", rustorch.copysign, torch.copysign, [[1.0, -2.0, 0.0, 3.0], [-1.0, -1.0, -1.0, 2.0]]),
    ("remainder of negatives", rustorch.remainder, torch.remainder, [[-3.5, 3.5, -3.5], [2.0, -2.0, -2.0]]),
]


@pytest.mark.parametrize(("ours", "theirs", "inputs"), [pytest.param(*case[1:], id=case[0]) for case in KINKS])
def test_conventions_where_no_derivative_exists(
    ours: Callable[..., Any], theirs: Callable[..., Any], inputs: list[Any]
) -> None:
    arrays = [numpy.asarray(x) for x in inputs]
    with numpy.errstate(all="ignore"):
        _same(_rustorch(ours, arrays), _torch(theirs, arrays))


def test_a_difference_from_pytorch_is_noticed() -> None:
    arrays = [numpy.asarray([1.0, 2.0])]
    with pytest.raises(AssertionError, match="gradient"):
        _same(_rustorch(lambda x: x * x.detach(), arrays), _torch(lambda x: x * x, arrays))
