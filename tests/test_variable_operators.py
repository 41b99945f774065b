"""Operators of Variables, native arrays and Python numbers, and the mixtures that are refused."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy
import pytest

import rustorch
from rustorch import Variable
from tests.support.target import Target

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
BITWISE = [operator.and_, operator.or_, operator.xor]
SHIFTS = [operator.lshift, operator.rshift]


@pytest.mark.parametrize("op", ARITHMETIC + COMPARISONS, ids=lambda op: op.__name__)
def test_operators_take_variables_arrays_and_numbers(op: Callable, backend: Target) -> None:
    a, b = numpy.array([1.5, 2.0, 3.5]), numpy.array([2.0, 2.0, 0.5])
    x, y = backend.variable(a), backend.variable(b)
    for got, want in (
        (op(x, y), op(a, b)),
        (op(x, 2.0), op(a, 2.0)),
        (op(2.0, x), op(2.0, a)),
        (op(x, 2), op(a, 2)),
        (op(3, x), op(3, a)),
        (op(x, y.data), op(a, b)),
    ):
        assert isinstance(got, Variable)
        assert got.device == backend.device
        assert got.dtype == want.dtype
        numpy.testing.assert_allclose(backend.numpy(got), want, rtol=1e-14)


@pytest.mark.parametrize("op", BITWISE + SHIFTS, ids=lambda op: op.__name__)
def test_bitwise_operators_are_the_functions(op: Callable, backend: Target) -> None:
    a, b = numpy.array([1, 6, 5]), numpy.array([3, 2, 1])
    x, y = backend.variable(a, "int64"), backend.variable(b, "int64")
    for got, want in ((op(x, y), op(a, b)), (op(x, 2), op(a, 2)), (op(2, x), op(2, a))):
        numpy.testing.assert_array_equal(backend.numpy(got), want)
    if op in BITWISE:
        t, f = backend.variable([True, False], "bool"), backend.variable([True, True], "bool")
        assert op(t, f).dtype == rustorch.bool
    numpy.testing.assert_array_equal(backend.numpy(~x), ~a)


def test_unary_operators_and_matrix_products_are_the_functions(backend: Target) -> None:
    x = backend.variable([[1.0, -2.0]])
    numpy.testing.assert_array_equal(backend.numpy(-x), [[-1.0, 2.0]])
    numpy.testing.assert_array_equal(backend.numpy(+x), [[1.0, -2.0]])
    numpy.testing.assert_array_equal(backend.numpy(abs(x)), [[1.0, 2.0]])
    numpy.testing.assert_array_equal(backend.numpy(x @ x.T), [[5.0]])
    numpy.testing.assert_array_equal(backend.numpy(x.data @ x.T if backend.device == "cpu" else x @ x.T), [[5.0]])
    with pytest.raises(ValueError, match=r"matmul: shapes \(1, 2\) and \(1, 2\) do not multiply"):
        x @ x


def test_operators_in_place_write_into_untracked_variables(backend: Target) -> None:
    x = backend.variable([1.0, 2.0])
    y, native = x, x.data
    y += 1.0
    y *= 2.0
    y -= 1.0
    y /= 2.0
    y **= 2
    assert y is x
    assert x.data is native or backend.device == "jax"  # immutable
    numpy.testing.assert_allclose(backend.numpy(x), [2.25, 6.25])


def test_operators_in_place_train_a_leaf_under_no_grad(backend: Target) -> None:
    w = backend.variable([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    with pytest.raises(RuntimeError, match=r"x -= y on a leaf that requires grad.*no_grad"):
        w -= 0.1
    numpy.testing.assert_array_equal(backend.numpy(w), [1.0, 2.0])
    same = w
    with rustorch.no_grad():
        w -= 0.1 * Variable(w.grad)
    assert w is same
    assert w.is_leaf
    assert w.requires_grad
    numpy.testing.assert_allclose(backend.numpy(w), [0.8, 1.6])


def test_operators_in_place_are_recorded_if_an_operand_is_tracked(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    h = x * 3
    h *= x
    total = backend.variable([0.0, 0.0])
    total += h
    total.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [6.0, 12.0])


def test_operators_in_place_keep_shape_and_kind(backend: Target) -> None:
    x = backend.variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"x \+= y: the result has shape \(2, 2\), which does not fit into \(2,\)"):
        x += backend.variable([[1.0, 2.0], [3.0, 4.0]])
    numpy.testing.assert_array_equal(backend.numpy(x), [1.0, 2.0])
    i = backend.variable([1, 2], "int64")
    with pytest.raises(TypeError, match="multiply: a Python float and an array of integer dtype mix kinds"):
        i *= 1.5
    numpy.testing.assert_array_equal(backend.numpy(i), [1, 2])


MIXED: dict[str, Callable[[Variable, Variable, Variable], object]] = {
    "a float number and an integer array": lambda f, i, b: i + 1.5,
    "an integer array and a float number, reflected": lambda f, i, b: 1.5 * i,
    "a complex number and an integer array": lambda f, i, b: i * 1j,
    "an integer array and a float array": lambda f, i, b: i + f,
    "a float array and an integer array": lambda f, i, b: f * i,
    "an integer number and booleans": lambda f, i, b: b + 1,
    "booleans and floats": lambda f, i, b: b * f,
    "a boolean number and integers": lambda f, i, b: i + True,
    "where of two kinds": lambda f, i, b: rustorch.where(b, f, i),
    "maximum of two kinds": lambda f, i, b: rustorch.maximum(f, i),
    "concat of two kinds": lambda f, i, b: rustorch.concat([f, i]),
}


@pytest.mark.parametrize("case", MIXED)
def test_mixed_kinds_are_refused(case: str, backend: Target) -> None:
    f, i, b = backend.variable([1.0, 2.0]), backend.variable([1, 2], "int64"), backend.variable([True, False], "bool")
    with pytest.raises(TypeError, match=r"mix kinds, which the Array API standard leaves undefined; convert .*astype"):
        MIXED[case](f, i, b)


@pytest.mark.parametrize(
    ("one", "two", "out"),
    [
        ("float32", "float64", "float64"),
        ("float32", "complex64", "complex64"),
        ("float64", "complex64", "complex128"),
        ("int8", "int32", "int32"),
        ("uint8", "int8", "int16"),
        ("int32", "int64", "int64"),
    ],
)
def test_operators_promote_dtypes(one: str, two: str, out: str, backend: Target) -> None:
    x, y = backend.variable([1], one), backend.variable([1], two)
    assert (x + y).dtype.name == out
    assert (y + x).dtype.name == out
    assert rustorch.result_type(x, y).name == out


@pytest.mark.parametrize(
    ("dtype", "number", "out"),
    [
        ("float32", 2, "float32"),
        ("float32", 2.5, "float32"),
        ("float32", 1j, "complex64"),
        ("float64", 1j, "complex128"),
        ("int8", 2, "int8"),
        ("complex64", 2.5, "complex64"),
    ],
)
def test_python_numbers_are_weak(dtype: str, number: complex, out: str, backend: Target) -> None:
    x = backend.variable([1], dtype)
    assert (x * number).dtype.name == out
    assert (number * x).dtype.name == out


def test_operators_of_unknown_classes_are_asked() -> None:
    class Other:
        def __radd__(self, other: object) -> str:
            return "mine"

    x = rustorch.tensor([1.0])
    assert x + Other() == "mine"
    with pytest.raises(TypeError):
        x + "text"
    with pytest.raises(TypeError):
        x + [1.0]  # noqa: RUF005 - the operator is what is tested
    assert (x == "text") is False
    assert (x != None) is True  # noqa: E711 - the operator is what is tested


def test_shapes_that_do_not_broadcast_are_refused(backend: Target) -> None:
    x, y = backend.variable(numpy.zeros((2, 3))), backend.variable(numpy.zeros((2, 4)))
    with pytest.raises(
        ValueError,
        match=r"add: shapes \(2, 3\) and \(2, 4\) do not broadcast; from the right, sizes must be equal or 1",
    ):
        x + y


REDUCTIONS = ["sum", "prod", "mean", "max", "min", "var", "std", "argmax", "argmin"]
METHODS = [*REDUCTIONS, "abs", "exp", "sqrt", "square", "sin", "cos", "tanh", "log"]


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_the_functions(name: str, backend: Target) -> None:
    x = backend.variable([[1.0, 2.0], [3.0, 5.0]])
    numpy.testing.assert_array_equal(backend.numpy(getattr(x, name)()), backend.numpy(getattr(rustorch, name)(x)))
    if name in REDUCTIONS:
        got = getattr(x, name)(axis=1, keepdims=True)
        numpy.testing.assert_array_equal(
            backend.numpy(got), backend.numpy(getattr(rustorch, name)(x, axis=1, keepdims=True))
        )


def test_shape_methods_are_the_functions(backend: Target) -> None:
    x = backend.variable(numpy.arange(6.0))
    assert x.reshape(2, 3).shape == x.reshape((2, 3)).shape == (2, 3)
    assert x.reshape(-1, 2).shape == (3, 2)
    assert x.reshape(1, 6).squeeze(0).shape == (6,)
    assert backend.variable([True, False], "bool").any().item() is True
    assert backend.variable([True, False], "bool").all().item() is False
    with pytest.raises(ValueError, match=r"reshape: 6 elements of shape \(6,\) do not fill the shape \(4,\)"):
        x.reshape(4)
