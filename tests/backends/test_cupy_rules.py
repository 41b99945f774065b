"""Elementwise functions and their rules on CUDA: one launch each way, with the numbers of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.support.launches import counted, is_stand_in
from tests.support.target import Target

EDGES = [0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 0.5, 1e-30, 25.0, -25.0, 3e30, -3e30, numpy.inf, -numpy.inf, numpy.nan]
ONE: dict[str, Callable[[Any], Any]] = {
    "leaky_relu": F.leaky_relu, "threshold": lambda x: F.threshold(x, 0.5, 2.0), "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish, "hardshrink": F.hardshrink, "softshrink": F.softshrink,
    "softsign": F.softsign, "softplus": F.softplus, "logsigmoid": F.logsigmoid, "elu": F.elu, "celu": F.celu,
    "selu": F.selu, "tanhshrink": F.tanhshrink, "tanh": rustorch.tanh, "sqrt": rustorch.sqrt, "log1p": rustorch.log1p,
    "pow": lambda x: x**2.5,
}  # fmt: skip


def _both(function: Callable[..., Any], arrays: list[Any], device: str) -> tuple[list[Any], list[int]]:
    """The result and the gradients; and the launches of each."""
    inputs = [rustorch.tensor(a, requires_grad=True, device=device) for a in arrays]
    launches = []
    with numpy.errstate(all="ignore"):
        with counted() if is_stand_in() else pytest.MonkeyPatch.context() as forward:
            out = function(*inputs)
        g = rustorch.ones_like(out.detach())
        with counted() if is_stand_in() else pytest.MonkeyPatch.context() as backward:
            gradients = rustorch.autograd.grad(out, inputs, g)
    if is_stand_in():
        launches = [forward.launches.total(), backward.launches.total()]
    return [rustorch.asarray(a).to("cpu").data for a in (out.detach(), *gradients)], launches


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_array_are_one_launch_each_way(name: str, cuda: Target) -> None:
    x = numpy.asarray(EDGES, "float32")
    results, launches = _both(ONE[name], [x], "cuda")
    expected, _ = _both(ONE[name], [x], "cpu")
    for result, other in zip(results, expected, strict=True):
        numpy.testing.assert_allclose(result, other, rtol=1e-6, atol=1e-6)
    if is_stand_in():
        assert launches == [1, 1]


def test_functions_of_two_arrays_are_one_launch_for_each_gradient(cuda: Target) -> None:
    x, y = numpy.random.default_rng(0).uniform(0.5, 2.0, (2, 6, 8)).astype("float32")
    for function in (
        lambda a, b: F.kl_div(a, b, reduction="none"),
        lambda a, b: F.kl_div(a, b, reduction="none", log_target=True),
        lambda a, b: F.poisson_nll_loss(a, b, reduction="none"),
        lambda a, b: F.poisson_nll_loss(a, b, log_input=False, reduction="none"),
        network.weighed,
        network.gaussian_nll,
        lambda a, b: a**b,
        rustorch.maximum,
    ):
        results, launches = _both(function, [x, y], "cuda")
        expected, _ = _both(function, [x, y], "cpu")
        for result, other in zip(results, expected, strict=True):
            numpy.testing.assert_allclose(result, other, rtol=2e-6, atol=1e-6)
        if is_stand_in():
            assert launches == [1, 2]


def test_both_halves_of_a_gated_linear_unit_have_one_launch(cuda: Target) -> None:
    x = numpy.random.default_rng(0).uniform(-2.0, 2.0, (6, 8)).astype("float32")
    for dim in (0, 1):
        results, launches = _both(lambda a, dim=dim: F.glu(a, dim), [x], "cuda")
        expected, _ = _both(lambda a, dim=dim: F.glu(a, dim), [x], "cpu")
        for result, other in zip(results, expected, strict=True):
            numpy.testing.assert_allclose(result, other, rtol=2e-6, atol=1e-6)
        if is_stand_in():
            assert launches == [1, 3]  # two copies join the two gradients


def test_a_rule_that_is_no_loop_runs_as_it_is_written(cuda: Target) -> None:
    x = rustorch.tensor([3.0 + 4.0j, 1.0j], requires_grad=True, device="cuda")
    rustorch.sum(rustorch.real(rustorch.tanh(x))).backward()
    y = rustorch.tensor([3.0 + 4.0j, 1.0j], requires_grad=True)
    rustorch.sum(rustorch.real(rustorch.tanh(y))).backward()
    numpy.testing.assert_allclose(cuda.numpy(x.grad), y.grad, rtol=1e-6)


def test_what_is_no_loop_is_tried_once(cuda: Target) -> None:
    from rustorch.backends.cupy.fusing import Fused

    calls = []

    def reverse(xp: Any, x: Any) -> Any:
        calls.append(x)
        return xp.flip(x)

    fused = Fused(reverse)
    native = cuda.array(numpy.ones(3), "float32")
    assert fused(native) is fused(native) is NotImplemented
    assert len(calls) == 1
