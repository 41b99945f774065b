"""NumPy's scalars in place of Python's numbers: they are weak beside arrays, and its integers count as integers."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.support.target import Target

r = rustorch
F = nn.functional

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
NUMPY_SCALARS = [
    numpy.float64(2.5),
    numpy.float32(2.5),
    numpy.int64(2),
    numpy.int8(2),
    numpy.uint8(2),
    numpy.longdouble(2.5),
]


@pytest.mark.parametrize("scalar", NUMPY_SCALARS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("op", OPERATORS + COMPARISONS, ids=lambda op: op.__name__)
def test_a_scalar_does_not_widen_an_array(op: Callable, scalar: Any, backend: Target) -> None:
    for dtype in ("float32", "float64"):
        x = backend.variable([1.5, 3.0], dtype)
        number = scalar.item() if type(scalar) is not numpy.longdouble else float(scalar)
        for got, want in ((op(x, scalar), op(x, number)), (op(scalar, x), op(number, x))):
            assert isinstance(got, rustorch.Variable)
            assert (got.dtype, got.device) == (want.dtype, backend.device)
            numpy.testing.assert_array_equal(backend.numpy(got), backend.numpy(want))


def test_a_network_stays_in_float32(backend: Target) -> None:
    q = backend.variable([2.0, 4.0], "float32", requires_grad=True)
    y = q / numpy.sqrt(8)
    assert y.dtype == rustorch.float32
    y /= numpy.float64(2)
    assert y.dtype == rustorch.float32
    y.sum().backward()
    assert numpy.asarray(backend.numpy(q.grad)).dtype == numpy.float32
    for out in (
        rustorch.maximum(q, numpy.float64(3)),
        rustorch.where(q > 3, q, numpy.float64(0)),
        rustorch.clip(q, numpy.float64(0)),
        rustorch.hypot(numpy.float64(3), q),
        rustorch.full_like(q, numpy.float64(3)),
        rustorch.logaddexp(q, numpy.float64(1)),
    ):
        assert out.dtype == rustorch.float32
    assert rustorch.result_type(q, numpy.float64(1)) == rustorch.float32
    assert (q * backend.variable(2.0)).dtype == rustorch.float64  # an array without dimensions counts


def test_complex_and_boolean_scalars(backend: Target) -> None:
    x, b = backend.variable([1.0, 2.0], "float32"), backend.variable([True, False], "bool")
    assert (x * numpy.complex128(1j)).dtype == (numpy.complex128(1j) * x).dtype == rustorch.complex64
    assert backend.numpy(b & numpy.True_).tolist() == backend.numpy(numpy.True_ & b).tolist() == [True, False]
    with pytest.raises(TypeError, match="add: a Python bool and an array of real floating-point dtype mix kinds"):
        x + numpy.True_


@pytest.mark.parametrize("scalar", [numpy.float64(2.5), numpy.float32(2.5), numpy.complex64(1j)])
def test_a_scalar_of_a_higher_kind_is_refused(scalar: Any, backend: Target) -> None:
    i = backend.variable([1, 2], "int64")
    for op in (lambda: i * scalar, lambda: scalar * i, lambda: rustorch.maximum(i, scalar)):
        with pytest.raises(
            TypeError, match=r"mix kinds, which the Array API standard leaves undefined; convert the array first"
        ):
            op()
    with pytest.raises(TypeError, match="mix kinds"):
        i[0] = scalar


def test_scalars_among_themselves_keep_their_dtypes() -> None:
    assert rustorch.maximum(numpy.float64(1), numpy.float64(2)).dtype == rustorch.float64
    assert rustorch.asarray(numpy.float64(1)).dtype == rustorch.float64
    assert rustorch.result_type(numpy.float64(1), 2.0) == rustorch.float64
    condition = rustorch.asarray([True, False])
    assert rustorch.where(condition, numpy.float64(1), numpy.float64(2)).dtype == rustorch.float64


def test_searchsorted_takes_scalars(backend: Target) -> None:
    x = backend.variable([1.0, 2.0, 3.0], "float32")
    assert rustorch.searchsorted(x, numpy.float64(2.5)).item() == 2
    assert backend.numpy(rustorch.isin(x, numpy.float64(2))).tolist() == [False, True, False]


def test_numbers_of_classes_that_extend_pythons() -> None:
    class Two(enum.IntEnum):
        TWO = 2

    x = rustorch.tensor([1.0, 2.0])
    assert (x * Two.TWO).tolist() == (Two.TWO * x).tolist() == [2.0, 4.0]


# -- integers ----------------------------------------------------------------------------------------------------------
INTEGERS: dict[str, Callable[[Any, Any], Any]] = {
    "roll": lambda x, J: r.roll(x, J(1), axis=J(0)),
    "roll of several": lambda x, J: r.roll(x, (J(1), J(1)), axis=(J(0), J(1))),
    "roll of all": lambda x, J: r.roll(x, J(1)),
    "expand_dims": lambda x, J: r.expand_dims(x, axis=J(0)),
    "repeat": lambda x, J: r.repeat(x, J(2), axis=J(1)),
    "tile": lambda x, J: r.tile(x, (J(2), J(1))),
    "reshape": lambda x, J: r.reshape(x, (J(3), J(-1))),
    "permute_dims": lambda x, J: r.permute_dims(x, (J(1), J(0))),
    "moveaxis": lambda x, J: r.moveaxis(x, J(0), J(1)),
    "flip": lambda x, J: r.flip(x, axis=J(0)),
    "stack": lambda x, J: r.stack([x, x], axis=J(1)),
    "concat": lambda x, J: r.concat([x, x], axis=J(1)),
    "sum": lambda x, J: r.sum(x, axis=J(1)),
    "cumulative_sum": lambda x, J: r.cumulative_sum(x, axis=J(1)),
    "diff": lambda x, J: r.diff(x, n=J(1), axis=J(1)),
    "tensordot": lambda x, J: r.tensordot(x, x.T, axes=J(1)),
    "sort": lambda x, J: r.sort(x, axis=J(1)),
    "broadcast_to": lambda x, J: r.broadcast_to(x, (J(1), J(2), J(3))),
    "tril": lambda x, J: r.tril(x, k=J(1)),
    "fft": lambda x, J: r.abs(r.fft.fft(x, n=J(4), axis=J(1))),
    "diagonal": lambda x, J: r.linalg.diagonal(x, offset=J(1)),
    "matrix_power": lambda x, J: r.linalg.matrix_power(x[:, :2], J(2)),
    "softmax": lambda x, J: F.softmax(x, J(1)),
    "max_pool1d": lambda x, J: F.max_pool1d(x, J(2), J(1)),
    "pad": lambda x, J: F.pad(x, (J(1), J(1))),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_numpys_integers_are_integers(name: str) -> None:
    data = numpy.array([[3.0, 1.0, 2.0], [0.5, 4.0, 1.0]])
    found = []
    for integer in (int, numpy.int64, numpy.uint8 if "reshape" not in name else numpy.int8):
        x = rustorch.tensor(data, requires_grad=True)
        out = INTEGERS[name](x, integer)
        out.sum().backward()
        found.append((out.tolist(), x.grad.tolist()))
    assert found[0] == found[1] == found[2]


def test_numpys_integers_in_creation_and_layers(backend: Target) -> None:
    n = numpy.int64
    d = backend.device
    assert r.zeros((n(2), n(1)), device=d).shape == (*r.empty(n(2), device=d).shape, 1)
    assert backend.numpy(r.eye(n(2), n(3), k=n(1), device=d)).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert backend.numpy(r.linspace(n(0), n(1), n(3), device=d)).tolist() == [0, 0.5, 1]
    assert r.arange(n(3), device=d).dtype == rustorch.int64
    assert backend.numpy(r.arange(numpy.float32(0.5), 3, device=d)).tolist() == [0.5, 1.5, 2.5]
    x = r.ones((n(4), n(3)), device=d)
    for layer in (
        nn.Linear(n(3), n(2), device=d),
        nn.LSTM(n(3), n(2), device=d),
        nn.LayerNorm(n(3), device=d),
        nn.BatchNorm1d(n(3), device=d),
        nn.PReLU(n(3), device=d),
        nn.Unflatten(n(1), (n(3), n(1))),
    ):
        layer(x)
    nn.MultiheadAttention(n(4), n(2), device=d)
    nn.Embedding(n(3), n(2), device=d)
    rustorch.manual_seed(n(1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: r.zeros(2.5), r"^zeros: a shape is an integer or a tuple of integers, not 2\.5"),
        (lambda: r.zeros(numpy.array([2, 3])), r"^zeros: a shape is an integer or a tuple of integers, not array"),
        (lambda: r.linspace(0, 1, 2.5), r"^linspace: num is an integer, not 2\.5 of type float"),
        (lambda: r.eye(2, k=0.5), r"^eye: k is an integer, not 0\.5"),
        (lambda: r.eye("a"), r"^eye: n_rows is an integer, not 'a'"),
        (lambda: r.fft.fftfreq(2.5), r"fftfreq: n is an integer, not 2\.5"),
        (lambda: r.repeat(r.ones(2), 2.5), r"^repeat: a number of times is an integer, not 2\.5"),
        (lambda: r.roll(r.ones(2), 2.5), r"^roll: a shift is an integer, not 2\.5"),
        (
            lambda: r.broadcast_shapes("text"),
            r"^broadcast_shapes: a shape is an integer or a tuple of integers, not 'text'",
        ),
        (lambda: r.astype(r.ones(2), None), r"^None is not a data type"),
        (lambda: r.result_type(None), r"^None is not a data type"),
    ],
)
def test_other_values_than_integers_raise(call: Callable, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


OPTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "leaky_relu": lambda x, n: F.leaky_relu(x, n(0.1)),
    "celu": lambda x, n: F.celu(x, n(0.5)),
    "softplus": lambda x, n: F.softplus(x, n(2), n(20)),
    "layer_norm": lambda x, n: F.layer_norm(x, (2,), eps=n(1e-5)),
    "normalize": lambda x, n: F.normalize(x, p=n(3), eps=n(1e-5)),
    "pad": lambda x, n: F.pad(x, (1, 1), value=n(3)),
    "cosine_similarity": lambda x, n: F.cosine_similarity(x, x * x, eps=n(1e-5)),
    "pairwise_distance": lambda x, n: F.pairwise_distance(x, x * x, p=n(3), eps=n(1e-5)),
    "smooth_l1_loss": lambda x, n: F.smooth_l1_loss(x, x * x, beta=n(0.5)),
    "gaussian_nll_loss": lambda x, n: F.gaussian_nll_loss(x, x * 0, x * x, eps=n(1e-5)),
    "scaled_dot_product_attention": lambda x, n: F.scaled_dot_product_attention(x, x, x, scale=n(0.5)),
    "avg_pool2d": lambda x, n: F.avg_pool2d(x[None], 2, divisor_override=n(3)),
    "vector_norm": lambda x, n: r.linalg.vector_norm(x, ord=n(3)),
    "var": lambda x, n: r.var(x, correction=n(1)),
    "std": lambda x, n: r.std(x, correction=n(1)),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_scalars_as_options_do_not_change_the_dtype(name: str, backend: Target) -> None:
    data = [[1.0, -2.0], [0.5, 3.0]]
    found = []
    for kind in (numpy.float64, float):
        x = backend.variable(data, "float32", requires_grad=True)
        out = OPTIONS[name](x, kind)
        out.sum().backward()
        assert out.dtype == rustorch.float32
        found.append((backend.numpy(out).tolist(), backend.numpy(x.grad).tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: r.var(x, correction="one"), "var: correction is a number, not 'one'|could not convert"),
        (lambda x: r.std(x, correction=None), "std: correction is a number, not None of type NoneType"),
        (lambda x: r.linalg.vector_norm(x, ord=[2]), r"vector_norm: ord is a number, not \[2\] of type list"),
    ],
)
def test_options_that_are_not_numbers_raise(call: Callable, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call(rustorch.ones((2, 2)))
