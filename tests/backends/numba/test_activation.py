"""Activations and elementwise losses: one compiled loop each way, with the numbers of the plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends.numba import fusing
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.support.compiled import draw

INF, NAN = numpy.inf, numpy.nan
EDGES = [0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 0.5, -0.5, 1e-30, -1e-30, 25.0, -25.0, 3e30, -3e30, INF, -INF, NAN]
#: Function, and its loops forward and backward.
ONE: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), ("leaky_relu", "leaky_relu_rule")),
    "threshold": (lambda x: F.threshold(x, 0.5, 2.0), ("threshold", "threshold_rule")),
    "relu6": (F.relu6, ("hardtanh", "hardtanh_rule")),
    "hardtanh": (lambda x: F.hardtanh(x, -2.0, 0.5), ("hardtanh", "hardtanh_rule")),
    "hardsigmoid": (F.hardsigmoid, ("hardsigmoid", "hardsigmoid_rule")),
    "hardswish": (F.hardswish, ("_hardswish", "_hardswish_rule")),
    "hardshrink": (F.hardshrink, ("hardshrink", "hardshrink_rule")),
    "softshrink": (F.softshrink, ("softshrink", "softshrink_rule")),
    "softsign": (F.softsign, ("_softsign", "_softsign_rule")),
    "softplus": (lambda x: F.softplus(x, 2.0, 10.0), ("_softplus", "softplus_rule")),
    "logsigmoid": (F.logsigmoid, ("log_sigmoid", "log_sigmoid_rule")),
    "elu": (lambda x: F.elu(x, 0.5), ("elu", "elu_rule")),
    "celu": (lambda x: F.celu(x, 2.0), ("elu", "elu_rule")),
    "selu": (F.selu, ("elu", "elu_rule")),
    "tanhshrink": (F.tanhshrink, ("tanhshrink", "_tanhshrink_rule")),
}


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the functions that ran as compiled loops."""
    names: set[str] = set()
    usual = fusing.Fused.__call__

    def watched(self: Any, *args: Any, **options: Any) -> Any:
        out = usual(self, *args, **options)
        if out is not NotImplemented:
            names.add(self.__name__)
        return out

    monkeypatch.setattr(fusing.Fused, "__call__", watched)
    return names


def _both(function: Callable[..., Any], arrays: list[Any], device: str) -> list[Any]:
    """The result and the gradients."""
    inputs = [rustorch.tensor(a, requires_grad=True, device=device) for a in arrays]
    with numpy.errstate(all="ignore"):
        out = function(*inputs)
        out.backward(rustorch.tensor(draw(out.shape, arrays[0].dtype, seed=1), device=device))
    return [rustorch.asarray(a).to("cpu").data for a in (out.detach(), *[x.grad for x in inputs])]


def _compare(function: Callable[..., Any], arrays: list[Any]) -> None:
    """Device "strict" computes the plain functions. Both compute in the same dtype."""
    for result, expected in zip(*[_both(function, arrays, device) for device in ("cpu", "strict")], strict=True):
        assert result.dtype == expected.dtype
        unit = 8 * numpy.finfo(result.dtype).eps
        numpy.testing.assert_allclose(result, expected, rtol=unit, atol=unit)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ONE)
def test_an_activation_is_one_loop_each_way(name: str, dtype: str, loops: set[str]) -> None:
    function, expected = ONE[name]
    _compare(function, [numpy.concatenate([numpy.asarray(EDGES, dtype), draw((9000,), dtype, scale=3.0)])])
    assert loops >= set(expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_of_two_arrays_are_one_loop_each_way(dtype: str, loops: set[str]) -> None:
    x, y = draw((90, 100), dtype), draw((90, 100), dtype, seed=2)
    _compare(lambda a: F.glu(a), [draw((90, 200), dtype)])
    _compare(lambda a: F.glu(a, 0), [draw((180, 100), dtype)])
    _compare(lambda a, b: F.prelu(a, b), [draw((9, 10, 100), dtype), draw((10,), dtype, seed=2)])
    _compare(lambda a, b: F.kl_div(a, b, reduction="none"), [x, abs(y)])
    _compare(lambda a, b: F.kl_div(a, b, reduction="none", log_target=True), [x, y])
    _compare(lambda a, b: F.poisson_nll_loss(a, b, reduction="none"), [x, abs(y)])
    _compare(lambda a, b: F.poisson_nll_loss(a, b, log_input=False, reduction="none"), [abs(x), abs(y)])
    _compare(lambda a, b: F.gaussian_nll_loss(a, b * 0, abs(b) + 1, reduction="none"), [x, y])
    _compare(lambda a, b: network.weighed(a, b), [x, y])
    expected = {"_glu", "_glu_rule", "prelu", "prelu_rule", "kl_div", "kl_div_rule", "_target_of_kl_div"}
    expected |= {"kl_div_of_logs", "kl_div_of_logs_rule", "poisson_nll_of_logs", "_rate_rule", "_poisson"}
    expected |= {"weighed", "weighed_rule"}
    expected |= {"_poisson_rule", "gaussian_nll", "gaussian_nll_rule"}
    assert loops >= expected


def test_second_derivatives_are_those_of_the_plain_functions() -> None:
    x = draw((9000,), "float64", scale=3.0)
    for function, _ in ONE.values():
        found = []
        for device in ("cpu", "strict"):
            v = rustorch.tensor(x, requires_grad=True, device=device)
            (g,) = rustorch.autograd.grad(rustorch.sum(function(v) ** 2), v, create_graph=True)
            (second,) = rustorch.autograd.grad(rustorch.sum(g**2), v)
            found.append(rustorch.asarray(second).to("cpu").data)
        numpy.testing.assert_allclose(*found, rtol=1e-12, atol=1e-12)


# -- where the elements lie --------------------------------------------------------------------------------------------
@pytest.fixture
def no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(x: Any) -> Any:
        raise AssertionError(f"an array of shape {x.shape} is copied")

    monkeypatch.setattr(fusing.numpy, "ascontiguousarray", refuse)


@pytest.mark.usefixtures("no_copies")
def test_rows_of_views_are_read_where_they_are() -> None:
    x = draw((60, 4, 100), "float32")
    for view in (x[:, 1], x[::2], x[:, :, 20:70], x[:, ::2, 20:70], x[:, 1:3], x.swapaxes(0, 1)):
        numpy.testing.assert_array_equal(fusing.Fused(lambda xp, a: a + 1, least=0)(view), view + 1)
        both = fusing.Fused(lambda xp, a, b: a * b, least=0)(view, view[:1])
        numpy.testing.assert_array_equal(both, view * view[:1])


@pytest.mark.usefixtures("no_copies")
def test_arrays_with_their_axes_in_another_order_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusing.Fused, "_broadcast", None)  # nothing there is called
    x, y = draw((6, 4, 10), "float32"), draw((6, 4, 10), "float32", seed=2)
    for order in ((2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1)):
        a, b = x.transpose(order), y.transpose(order)
        pair = fusing.Fused(lambda xp, one, other, factor: (one + factor, one * other > 0), least=0)(a, b, 2.0)
        for out, expected in zip(pair, (a + 2.0, a * b > 0), strict=True):
            numpy.testing.assert_array_equal(out, expected)
            assert numpy.argsort(out.strides).tolist() == numpy.argsort(a.strides).tolist()
    flat = draw((6, 1, 10), "float32").T
    numpy.testing.assert_array_equal(fusing.Fused(lambda xp, a: a + 1, least=0)(flat), flat + 1)


def test_other_views_are_copied_first(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = []
    usual = numpy.ascontiguousarray
    monkeypatch.setattr(fusing.numpy, "ascontiguousarray", lambda a: copied.append(a) or usual(a))
    x = draw((60, 4, 100), "float32")
    inside = numpy.zeros(200, [("numbers", "f4", 2), ("flag", "f4")])["numbers"][:, 0]
    views = [x[..., ::2], x[::-1], x[..., ::-1], x[..., :3], x[:, :, None, 5:9], x.T[:, ::2], inside]
    for view in views:
        numpy.testing.assert_array_equal(fusing.Fused(lambda xp, a: a + 1, least=0)(view), view + 1)
    assert len(copied) == len(views)


@pytest.mark.usefixtures("no_copies")
def test_steps_of_axes_with_one_element_do_not_count() -> None:
    x = draw((6, 40, 50), "float32")
    for one in (numpy.ones(5, "float32")[:1][::-1], numpy.ones((9, 5), "float32")[3:4, 2:3][::-1], x[::-1][:1, ::-40]):
        both = fusing.Fused(lambda xp, a, b: a + b, least=0)(x, one)
        numpy.testing.assert_array_equal(both, x + one)


# -- clip --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (0.0, None), (None, 0), (NAN, 1.0), (-1.0, NAN), (2.0, -1.0)])
def test_clip_in_a_loop_is_numpys(bounds: tuple[Any, Any]) -> None:
    x = numpy.asarray(EDGES, "float32")
    fused = fusing.Fused(lambda xp, a: xp.clip(a, *bounds), least=0)(x)
    numpy.testing.assert_array_equal(fused, numpy.clip(x, *bounds))
