"""full, arange and linspace of Variables: values, gradients, dtypes and devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from tests.support.target import Target

r = rustorch


def test_full_of_a_variable(backend: Target) -> None:
    x = backend.variable([2.0, 3.0], requires_grad=True)
    out = r.full((2, 3), x[1])
    assert (out.dtype, out.device, out.shape) == (rustorch.float64, backend.device, (2, 3))
    assert backend.numpy(out).tolist() == [[3.0] * 3] * 2
    weights = backend.variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    (out * weights).sum().backward()
    assert backend.numpy(x.grad).tolist() == [0.0, 21.0]
    assert r.gradcheck(lambda x: r.full(3, x[0] * x[1]) ** 2, x)
    assert r.full(numpy.int64(2), x[0], dtype="float32").dtype == rustorch.float32
    assert r.full_like(weights, x[0].float()).dtype == rustorch.float64
    out[0, 0] = 7.0  # it shares no memory with itself
    assert backend.numpy(out).tolist() == [[7.0, 3.0, 3.0], [3.0] * 3]


def test_full_of_scalars(backend: Target) -> None:
    d = backend.device
    for value, dtype in (
        (numpy.float64(1.5), "float32"),
        (numpy.float32(1.5), "float32"),
        (numpy.int32(1), "int64"),
        (numpy.True_, "bool"),
        (numpy.complex128(1j), "complex64"),
        (True, "bool"),
        (2, "int64"),
        (2.5, "float32"),
    ):
        out = r.full(numpy.int64(2), value, device=d)
        assert (out.dtype.name, out.device) == (dtype, d)
        assert backend.numpy(out).tolist() == [value, value]
    array = backend.array(0.1)
    assert backend.numpy(r.full(2, array)).tolist() == [0.1, 0.1]


ENDS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[float, float], Any]]] = {
    "linspace": (lambda a, b: r.linspace(a, b, 5), lambda a, b: numpy.linspace(a, b, 5)),
    "without the end": (
        lambda a, b: r.linspace(a, b, 5, endpoint=False),
        lambda a, b: numpy.linspace(a, b, 5, endpoint=False),
    ),
    "from a number": (lambda a, b: r.linspace(-1, b, 4), lambda a, b: numpy.linspace(-1, b, 4)),
    "to a number": (lambda a, b: r.linspace(a, 0.1, numpy.int64(4)), lambda a, b: numpy.linspace(a, 0.1, 4)),
    "one": (lambda a, b: r.linspace(a, b, 1), lambda a, b: numpy.linspace(a, b, 1)),
    "none": (lambda a, b: r.linspace(a, b, 0), lambda a, b: numpy.linspace(a, b, 0)),
    "arange": (lambda a, b: r.arange(a, 4.0), lambda a, b: numpy.arange(a, 4.0)),
    "steps": (lambda a, b: r.arange(a, 4, b / 2), lambda a, b: numpy.arange(a, 4, b / 2)),
    "backwards": (lambda a, b: r.arange(5, a, -b), lambda a, b: numpy.arange(5.0, a, -b)),
    "nothing": (lambda a, b: r.arange(b, a), lambda a, b: numpy.arange(b, a)),
}


@pytest.mark.parametrize("name", ENDS)
def test_ends_and_steps_have_gradients(name: str, backend: Target) -> None:
    function, numpys = ENDS[name]
    a, b = backend.variable(0.3, requires_grad=True), backend.variable(1.7, requires_grad=True)
    out = function(a, b)
    assert (out.dtype, out.device) == (rustorch.float64, backend.device)
    numpy.testing.assert_allclose(backend.numpy(out), numpys(0.3, 1.7), rtol=1e-15, atol=1e-15)
    assert rustorch.gradcheck(lambda a, b: function(a, b) * function(a, b) + 0 * (a + b), (a, b))
    narrow = function(a.float(), b.float())
    assert narrow.dtype == rustorch.float32


def test_the_last_number_is_exactly_the_end(backend: Target) -> None:
    a, b = backend.variable(0.1, "float32", requires_grad=True), backend.variable(0.7, "float32", requires_grad=True)
    for n in range(2, 40):
        assert backend.numpy(r.linspace(a, b, n))[[0, -1]].tolist() == [numpy.float32(0.1), numpy.float32(0.7)]
    r.linspace(a, b, 5).sum().backward()
    numpy.testing.assert_allclose([backend.numpy(a.grad), backend.numpy(b.grad)], 2.5, rtol=1e-6)


def test_dtypes_of_ends(backend: Target) -> None:
    x, i = backend.variable(1.0), backend.variable(3, "int64")
    assert r.arange(i).dtype == rustorch.int64
    assert backend.numpy(r.arange(0, i, numpy.int64(2))).tolist() == [0, 2]
    assert r.linspace(0, i, 3).dtype == rustorch.float32
    assert r.linspace(x, 1j, 3).dtype == rustorch.complex128
    assert r.linspace(x, numpy.float32(2), 3, dtype="float32").dtype == rustorch.float32
    assert r.arange(x.float(), numpy.float64(3)).dtype == rustorch.float32
    assert r.arange(numpy.float32(0.5), 2).tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: r.full(2, x),
            ValueError,
            r"full: a fill value has no dimensions, this one has the shape \(2,\); write rustorch",
        ),
        (
            lambda x: r.full(2, "a"),
            TypeError,
            "full: a fill value is a number or an array without dimensions, not 'a' of type str",
        ),
        (
            lambda x: r.full(2, None),
            TypeError,
            "full: a fill value is a number or an array without dimensions, not None",
        ),
        (lambda x: r.full(2, 1e300), OverflowError, r"1e\+300 does not fit into float32"),
        (lambda x: r.full(2, 300, dtype="int8"), OverflowError, "300 does not fit into int8"),
        (lambda x: r.linspace(x, 1, 3), ValueError, r"linspace: start is one number, not an array of the shape \(2,\)"),
        (lambda x: r.linspace(0, 1, -1), ValueError, "linspace: sizes are not negative"),
        (
            lambda x: r.linspace("a", 1, 3),
            TypeError,
            "linspace: start is a number or an array without dimensions, not 'a'",
        ),
        (lambda x: r.arange(x[0], 4, 0), ValueError, "arange: step is 0"),
        (lambda x: r.arange(x[0] * 1j, 4), TypeError, "arange: .* is no range of real numbers"),
        (lambda x: r.arange([1]), TypeError, r"arange: stop is a number or an array without dimensions, not \[1\]"),
    ],
)
def test_wrong_arguments_raise(call: Callable, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call(rustorch.tensor([1.0, 2.0]))
