"""nn.init: distributions, filling in place without recording, and bad arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import init
from tests.support.target import Target

SHAPE = (300, 200)  # 60,000 numbers: moments within a percent
UNIFORM: dict[str, tuple[Callable[[Any], Any], float]] = {
    "uniform": (lambda w: init.uniform_(w, -0.3, 0.3), 0.3),
    "xavier": (lambda w: init.xavier_uniform_(w), math.sqrt(6 / 500)),
    "xavier, gain": (lambda w: init.xavier_uniform_(w, gain=2.0), 2 * math.sqrt(6 / 500)),
    "kaiming": (lambda w: init.kaiming_uniform_(w), math.sqrt(6 / 200)),
    "kaiming, out": (lambda w: init.kaiming_uniform_(w, mode="fan_out"), math.sqrt(6 / 300)),
    "kaiming as in Linear": (lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)), 1 / math.sqrt(200)),
    "kaiming, tanh": (lambda w: init.kaiming_uniform_(w, nonlinearity="tanh"), 5 / 3 * math.sqrt(3 / 200)),
}
NORMAL: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "normal": (lambda w: init.normal_(w, 2.0, 0.5), 2.0, 0.5),
    "standard": (lambda w: init.normal_(w), 0.0, 1.0),
    "xavier": (lambda w: init.xavier_normal_(w), 0.0, math.sqrt(2 / 500)),
    "kaiming": (lambda w: init.kaiming_normal_(w), 0.0, math.sqrt(2 / 200)),
    "kaiming, linear": (
        lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="linear"),
        0.0,
        1 / math.sqrt(300),
    ),
}


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_functions_fill_up_to_their_bound(name: str, backend: Target) -> None:
    fill, bound = UNIFORM[name]
    w = rustorch.zeros(SHAPE, device=backend.device)
    assert fill(w) is w
    values = backend.numpy(w)
    assert 0.999 * bound < abs(values).max() <= bound * (1 + 1e-6)  # float32
    assert abs(values.mean()) < 4 * bound / math.sqrt(3 * values.size)  # four standard errors
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)


@pytest.mark.parametrize("name", NORMAL)
def test_normal_functions_have_the_right_mean_and_deviation(name: str, backend: Target) -> None:
    fill, mean, std = NORMAL[name]
    w = rustorch.zeros(SHAPE, device=backend.device)
    assert fill(w) is w
    values = backend.numpy(w)
    assert abs(values.mean() - mean) < 4 * std / math.sqrt(values.size)
    assert values.std() == pytest.approx(std, rel=0.015)  # five standard errors
    assert abs(values - mean).max() > 3.5 * std  # a uniform distribution would have no such tails


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_constant_functions_fill_with_one_number(dtype: str, backend: Target) -> None:
    w = rustorch.zeros((2, 3), dtype=dtype, device=backend.device)
    for fill, value in ((init.ones_, 1), (init.zeros_, 0), (lambda w: init.constant_(w, 3), 3)):
        assert fill(w) is w
        numpy.testing.assert_array_equal(backend.numpy(w), numpy.full((2, 3), value))
        assert w.dtype == getattr(rustorch, dtype)


def test_a_parameter_is_filled_in_place_and_stays_a_leaf(backend: Target) -> None:
    p = nn.Parameter(rustorch.zeros((3, 2), device=backend.device, dtype=rustorch.float64))
    for fill in (init.uniform_, init.normal_, init.ones_, init.zeros_, init.xavier_uniform_, init.kaiming_normal_):
        assert fill(p) is p
        assert (p.requires_grad, p.grad_fn, p.dtype, p.device) == (True, None, rustorch.float64, backend.device)


@pytest.mark.parametrize(
    "fill",
    [
        init.uniform_,
        init.normal_,
        init.xavier_uniform_,
        init.kaiming_normal_,
        init.orthogonal_,
        lambda w: init.sparse_(w, 0.5),
        lambda w: w if w.dtype.kind == "c" else init.trunc_normal_(w),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_one_seed_gives_equal_numbers_on_every_backend(fill: Callable, dtype: str, backend: Target) -> None:
    filled = []
    for device in (backend.device, "cpu"):
        rustorch.manual_seed(2)
        filled.append(backend.numpy(fill(rustorch.zeros((3, 4), dtype=dtype, device=device))))
    assert filled[0].dtype == filled[1].dtype
    numpy.testing.assert_array_equal(*filled)


def test_fan_in_and_fan_out_include_the_kernel() -> None:
    w = rustorch.zeros((8, 4, 5, 5))
    init.xavier_uniform_(w)
    assert abs(w.data).max() == pytest.approx(math.sqrt(6 / (12 * 25)), rel=0.01)


@pytest.mark.parametrize(
    ("nonlinearity", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("selu", None, 0.75),
        ("leaky_relu", None, math.sqrt(2 / (1 + 1e-4))),
        ("leaky_relu", 0.5, math.sqrt(1.6)),
        ("leaky_relu", 0, math.sqrt(2)),
    ],
)
def test_gains_equal_pytorchs(nonlinearity: str, param: float | None, gain: float) -> None:
    assert init.calculate_gain(nonlinearity, param) == pytest.approx(gain, rel=1e-15)


@pytest.mark.parametrize(
    ("fill", "shape", "dtype", "error", "message"),
    [
        (init.xavier_uniform_, (3,), "float32", ValueError, r"at least two dimensions, not the shape \(3,\)"),
        (init.kaiming_normal_, (), "float32", ValueError, r"at least two dimensions, not the shape \(\)"),
        (
            lambda w: init.kaiming_uniform_(w, mode="fan"),
            (3, 2),
            "float32",
            ValueError,
            "mode is 'fan_in' or 'fan_out', not 'fan'",
        ),
        (
            lambda w: init.kaiming_uniform_(w, nonlinearity="x"),
            (3, 2),
            "float32",
            ValueError,
            "unknown nonlinearity 'x'; known are",
        ),
        (init.uniform_, (3,), "int64", TypeError, "random weights of dtype int64: only floating-point"),
        (init.normal_, (3,), "bool", TypeError, "random weights of dtype bool"),
        (
            init.trunc_normal_,
            (3,),
            "complex64",
            TypeError,
            "trunc_normal_ is of real floating-point numbers, not of complex64",
        ),
        (
            lambda w: init.trunc_normal_(w, std=0.0),
            (3,),
            "float32",
            ValueError,
            "std is positive and a below b; got std=0.0",
        ),
        (
            lambda w: init.trunc_normal_(w, a=1.0, b=1.0),
            (3,),
            "float32",
            ValueError,
            "a below b; got std=1.0, a=1.0, b=1.0",
        ),
        (init.eye_, (3,), "float32", ValueError, r"eye_ fills a matrix, not a Variable of shape \(3,\)"),
        (
            init.dirac_,
            (3, 2),
            "float32",
            ValueError,
            r"dirac_ fills a convolution's weight, of 3 to 5 dimensions, not .* \(3, 2\)",
        ),
        (
            lambda w: init.dirac_(w, 2),
            (3, 2, 1),
            "float32",
            ValueError,
            "dirac_: 2 groups do not divide the 3 output channels",
        ),
        (init.orthogonal_, (3,), "float32", ValueError, "orthogonal_ fills two dimensions at least"),
        (lambda w: init.sparse_(w, 0.5), (3,), "float32", ValueError, "sparse_ fills a matrix"),
        (
            lambda w: init.sparse_(w, 1.5),
            (3, 2),
            "float32",
            ValueError,
            "sparsity is a fraction between 0 and 1, not 1.5",
        ),
    ],
)
def test_bad_arguments_raise_and_fill_nothing(
    fill: Any, shape: tuple, dtype: str, error: type[Exception], message: str
) -> None:
    w = rustorch.ones(shape, dtype=dtype)
    with pytest.raises(error, match=message):
        fill(w)
    assert rustorch.all(w == rustorch.ones(shape, dtype=dtype)).item()


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0.0, 1.0, -2.0, 2.0), (0.0, 0.02, -2.0, 2.0), (1.0, 1.0, 2.0, 4.0), (0.0, 1.0, -0.1, 0.3)],
)
def test_truncated_normal_numbers_have_the_right_mean_and_deviation(
    mean: float, std: float, a: float, b: float
) -> None:
    w = rustorch.zeros(20000)
    assert init.trunc_normal_(w, mean, std, a, b) is w
    values = w.data
    assert a <= values.min()
    assert values.max() <= b
    x = numpy.linspace(max(a, mean - 8 * std), min(b, mean + 8 * std), 20001)
    density = numpy.exp(-(((x - mean) / std) ** 2) / 2)
    center = (x * density).sum() / density.sum()
    spread = math.sqrt(((x - center) ** 2 * density).sum() / density.sum())
    assert abs(values.mean() - center) < 4 * spread / math.sqrt(values.size)
    assert values.std() == pytest.approx(spread, rel=0.03)


@pytest.mark.parametrize(("shape", "groups"), [((4, 3, 3), 1), ((4, 2, 3, 2), 2), ((2, 4, 1, 3, 5), 1)])
def test_dirac_and_eye_equal_pytorchs(shape: tuple, groups: int, backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to compare with")
    w = rustorch.ones(shape, device=backend.device)
    numpy.testing.assert_array_equal(
        backend.numpy(init.dirac_(w, groups)), torch.nn.init.dirac_(torch.ones(shape), groups).numpy()
    )
    w = rustorch.ones(shape[:2], device=backend.device)
    numpy.testing.assert_array_equal(backend.numpy(init.eye_(w)), torch.nn.init.eye_(torch.ones(shape[:2])).numpy())


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 2), (6, 1, 2)])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_orthogonal_matrices_are_orthogonal(shape: tuple, dtype: str, backend: Target) -> None:
    w = nn.Parameter(rustorch.zeros(shape, dtype=dtype, device=backend.device))
    assert init.orthogonal_(w, gain=2.0) is w
    x = backend.numpy(w).reshape(shape[0], -1)
    product = x @ x.conj().T if x.shape[0] <= x.shape[1] else x.conj().T @ x
    numpy.testing.assert_allclose(product, 4 * numpy.eye(len(product)), atol=1e-12)
    assert init.orthogonal_(rustorch.zeros((0, 3))).shape == (0, 3)


def test_sparse_fills_a_part_of_every_column_with_zeros(backend: Target) -> None:
    w = rustorch.ones((10, 200), device=backend.device)
    values = backend.numpy(init.sparse_(w, 0.25, std=0.1))
    assert ((values == 0).sum(axis=0) == 3).all()
    assert len({tuple(column) for column in (values == 0).T}) > 20
    assert values[values != 0].std() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda x: init.uniform_(x, 2.0, 1.0), ValueError, "uniform_: numbers are from a to b; got a=2.0 above b=1.0"),
        (lambda x: init.uniform_(x, 0.0, numpy.inf), ValueError, "uniform_: b is finite, not inf"),
        (lambda x: init.uniform_(x, numpy.nan), ValueError, "uniform_: a is finite, not nan"),
        (lambda x: init.uniform_(x, "0"), TypeError, "uniform_: a is a number, not '0'"),
        (lambda x: init.normal_(x, 0.0, -1.0), ValueError, "normal_: std must be at least 0, not -1.0"),
        (lambda x: init.normal_(x, 0.0, numpy.nan), ValueError, "normal_: std is finite, not nan"),
        (lambda x: init.normal_(x, None), TypeError, "normal_: mean is a number, not None"),
        (lambda x: init.trunc_normal_(x, numpy.nan), ValueError, "trunc_normal_: mean is finite, not nan"),
        (
            lambda x: init.trunc_normal_(x, 0.0, 1.0, None),
            TypeError,
            "trunc_normal_: the bounds are numbers, not None and 2.0",
        ),
        (lambda x: init.xavier_uniform_(x, -1.0), ValueError, "uniform_: numbers are from a to b"),
    ],
)
def test_impossible_distributions_are_refused_before_drawing(call: Any, kind: type[Exception], text: str) -> None:
    x, before = rustorch.ones((2, 2)), rustorch.get_rng_state().tolist()
    with pytest.raises(kind, match="^" + re.escape(text)):
        call(x)
    assert x.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert rustorch.get_rng_state().tolist() == before
