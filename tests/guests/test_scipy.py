"""Gradients through unmodified SciPy, against PyTorch's through the same functions of SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from tests.support.differences import check
from tests.support.target import Target

special = pytest.importorskip("scipy.special")
stats = pytest.importorskip("scipy.stats")
optimize = pytest.importorskip("scipy.optimize")
integrate = pytest.importorskip("scipy.integrate")

#: What takes Variables and can be differentiated through; docs/howto/guests.md lists it.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "special.logsumexp": lambda x: special.logsumexp(x),
    "special.softmax": lambda x: special.softmax(x),
    "special.log_softmax": lambda x: special.log_softmax(x),
    "special.xlogy": lambda x: special.xlogy(x, x),
    "stats.zscore": lambda x: stats.zscore(x),
    "stats.gzscore": lambda x: stats.gzscore(x),
    "stats.zmap": lambda x: stats.zmap(x, x),
    "stats.skew": lambda x: stats.skew(x),
    "stats.kurtosis": lambda x: stats.kurtosis(x),
    "stats.moment": lambda x: stats.moment(x, 3),
    "stats.variation": lambda x: stats.variation(x),
    "stats.gmean": lambda x: stats.gmean(x),
    "stats.hmean": lambda x: stats.hmean(x),
    "stats.pmean": lambda x: stats.pmean(x, 3),
    "stats.sem": lambda x: stats.sem(x),
    "stats.tmean": lambda x: stats.tmean(x),
    "stats.tvar": lambda x: stats.tvar(x),
    "stats.tstd": lambda x: stats.tstd(x),
    "stats.circmean": lambda x: stats.circmean(x),
    "stats.circvar": lambda x: stats.circvar(x),
    "stats.kstat": lambda x: stats.kstat(x),
    "integrate.trapezoid": lambda x: integrate.trapezoid(x),
    "optimize.rosen": lambda x: optimize.rosen(x),
}

X = numpy.array([0.3, 1.2, 0.7, 2.1, 0.9, 1.6])
#: Weights that make one number of many: a plain sum of z-scores is constant.
W = numpy.array([1.0, -2.0, 0.5, 3.0, 0.25, -1.0])


def _gradient(function: Callable[[Any], Any]) -> numpy.ndarray:
    x = rustorch.Variable(X.copy(), requires_grad=True)
    y = function(x)
    assert isinstance(y, rustorch.Variable)
    (rustorch.sum(y * W) if y.ndim else y).backward()
    return x.grad


#: SciPy writes into a value that torch's own gradient of these needs, so torch refuses; its own functions stand in.
OF_TORCH = {
    "special.logsumexp": lambda torch, x: torch.logsumexp(x, 0),
    "special.log_softmax": lambda torch, x: torch.log_softmax(x, 0),
}


# torch warns once that its asarray, which SciPy calls, has changed
@pytest.mark.filterwarnings("ignore:torch.asarray:UserWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_equal_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    y = OF_TORCH[name](torch, x) if name in OF_TORCH else FUNCTIONS[name](x)
    (torch.sum(y * torch.tensor(W)) if y.ndim else y).backward()
    assert abs(x.grad).max() > 1e-3
    numpy.testing.assert_allclose(_gradient(FUNCTIONS[name]), x.grad.numpy(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients(name: str, backend: Target) -> None:
    y = FUNCTIONS[name](backend.variable(X))
    numpy.testing.assert_allclose(backend.numpy(y), FUNCTIONS[name](X), rtol=1e-12)
    check(FUNCTIONS[name], [X], backend)


@pytest.mark.parametrize("name", ["expit", "erf", "gammaln", "entr"])
def test_compiled_functions_raise_instead_of_losing_the_gradient(name: str) -> None:
    x = rustorch.Variable(X.copy(), requires_grad=True)
    with pytest.raises(RuntimeError, match=r"requires grad would lose its gradient"):
        getattr(special, name)(x)


def test_minimize_takes_a_loss_with_its_gradient() -> None:
    def loss(z: numpy.ndarray) -> tuple[float, numpy.ndarray]:
        v = rustorch.Variable(z, requires_grad=True)
        out = rustorch.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)
        out.backward()
        return out.item(), v.grad

    found = optimize.minimize(loss, numpy.zeros(5), jac=True, method="L-BFGS-B")
    assert found.success
    numpy.testing.assert_allclose(found.x, numpy.ones(5), atol=1e-4)


# -- what works with Variables and computes no gradient of its own -----------------------------------------------------
def _pair(name: str) -> tuple[Any, Any, Any]:
    module = pytest.importorskip(f"scipy.{name}")
    return module, rustorch.Variable(numpy.array([1.0, 2.0])), numpy.array([1.0, 2.0])


def _same(found: Any, expected: Any) -> None:
    assert isinstance(found, rustorch.Variable)
    assert found.dtype == expected.dtype
    numpy.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivative(dtype: str) -> None:
    differentiate, x, a = _pair("differentiate")
    x, a = x.astype(dtype), a.astype(dtype)
    found, expected = differentiate.derivative(rustorch.exp, x), differentiate.derivative(numpy.exp, a)
    assert found.success.numpy().all()
    assert found.df.dtype == dtype
    numpy.testing.assert_allclose(found.df.numpy(), expected.df, rtol=1e-12 if dtype == "float64" else 1e-5)


def test_jacobian_and_hessian() -> None:
    differentiate, x, _ = _pair("differentiate")
    found = differentiate.jacobian(lambda v: rustorch.stack([v[0] ** 2, v[0] * v[1]]), x)
    numpy.testing.assert_allclose(found.df.numpy(), [[2.0, 0.0], [2.0, 1.0]], atol=1e-9)
    found = differentiate.hessian(lambda v: v[0] ** 2 * v[1], x)
    numpy.testing.assert_allclose(found.ddf.numpy(), [[4.0, 2.0], [2.0, 0.0]], atol=1e-6)


def test_elementwise_roots_and_minima() -> None:
    elementwise, x, a = _pair("optimize.elementwise")
    for name, function, ends in (
        ("find_root", lambda v: v**2 - 2, (0, 2)),
        ("find_minimum", lambda v: (v - 1.5) ** 2, (0, 1, 3)),
    ):
        found = getattr(elementwise, name)(function, tuple([x * 0 + end for end in ends]))
        expected = getattr(elementwise, name)(function, tuple([a * 0 + end for end in ends]))
        assert found.success.numpy().all()
        _same(found.x, expected.x)
    found = elementwise.bracket_root(lambda v: v**2 - 2, x * 0, x * 0 + 1)
    expected = elementwise.bracket_root(lambda v: v**2 - 2, a * 0, a * 0 + 1)
    _same(found.bracket[0], expected.bracket[0])
    found = elementwise.bracket_minimum(lambda v: (v - 1.5) ** 2, x * 0)
    expected = elementwise.bracket_minimum(lambda v: (v - 1.5) ** 2, a * 0)
    _same(found.bracket[1], expected.bracket[1])


def test_cubature() -> None:
    integrate, x, _ = _pair("integrate")
    found = integrate.cubature(lambda v: rustorch.sum(v, axis=-1), x * 0, x * 0 + 1)
    assert found.estimate.item() == pytest.approx(1.0)
