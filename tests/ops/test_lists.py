"""Lists of numbers, arrays and Variables: they become arrays of one dtype, and lose no digit and no gradient."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from tests.support.target import Target

f4, f8, i1, i8 = numpy.float32, numpy.float64, numpy.int8, numpy.int64

#: A list made of a float32 Variable x, a float64 Variable d and an int8 Variable i; the dtype, and the values.
MIXED: dict[str, tuple[Callable[[Any, Any, Any], Any], str, Any]] = {
    "a float before": (lambda x, d, i: [0.1, x[0]], "float32", [f4(0.1), f4(0.3)]),
    "a float behind": (lambda x, d, i: [x[0], 0.1], "float32", [f4(0.3), f4(0.1)]),
    "a float beside float64": (lambda x, d, i: [0.1, d[0]], "float64", [0.1, 0.3]),
    "both widths": (lambda x, d, i: [d[0], x[0], 0.1], "float64", [0.3, float(f4(0.3)), 0.1]),
    "nested": (lambda x, d, i: [[x[0], 0], [0, 1]], "float32", [[f4(0.3), 0], [0, 1]]),
    "rows": (lambda x, d, i: [d, [0.1, 2]], "float64", [[0.3, 0.4], [0.1, 2]]),
    "a tuple of lists": (lambda x, d, i: ([x[0]], [True]), "float32", [[f4(0.3)], [1]]),
    "a deque": (lambda x, d, i: deque([x[0], 1]), "float32", [f4(0.3), 1]),
    "nothing": (lambda x, d, i: [x[:0], []], "float32", [[], []]),
    "a NumPy scalar": (lambda x, d, i: [x[0], f8(0.1)], "float64", [float(f4(0.3)), 0.1]),
    "a NumPy integer": (lambda x, d, i: [x[0], i8(2)], "float32", [f4(0.3), 2]),
    "integers": (lambda x, d, i: [i[0], 5], "int8", [1, 5]),
    "integers and a float": (lambda x, d, i: [i[0], 0.5], "float32", [1, 0.5]),
    "integers and a NumPy float": (lambda x, d, i: [i[0], f8(0.1)], "float64", [1, 0.1]),
    "integers and a complex number": (lambda x, d, i: [i[0], 1j], "complex64", [1, 1j]),
    "a complex number": (lambda x, d, i: [d[0], 1j], "complex128", [0.3, 1j]),
    "booleans and a float": (lambda x, d, i: [i[0] > 0, 2.5], "float32", [1, 2.5]),
}


def _given(backend: Target) -> tuple[Any, Any, Any]:
    return (
        backend.variable([0.3, 0.4], "float32", requires_grad=True),
        backend.variable([0.3, 0.4], requires_grad=True),
        backend.variable([1, 2], "int8"),
    )


@pytest.mark.parametrize("name", MIXED)
def test_numbers_are_weak_beside_variables(name: str, backend: Target) -> None:
    make, dtype, values = MIXED[name]
    out = rustorch.asarray(make(*_given(backend)))
    assert (out.dtype.name, out.device) == (dtype, backend.device)
    numpy.testing.assert_array_equal(backend.numpy(out), numpy.asarray(values, dtype))


def test_gradients_go_on_to_the_variables(backend: Target) -> None:
    x, d, _ = _given(backend)
    weights = backend.variable([[1.0, 2.0], [3.0, 4.0]])
    (rustorch.asarray([[x[0], 0.5], [d[1], x[1]]]) * weights).sum().backward()
    assert backend.numpy(x.grad).tolist() == [1.0, 4.0]
    assert backend.numpy(d.grad).tolist() == [0.0, 3.0]
    assert rustorch.gradcheck(lambda d: rustorch.asarray([[d[0] * d[1], 2], [1, d[1]]]) ** 2, d)


NUMBERS: dict[str, tuple[Any, str, Any]] = {
    "a NumPy float behind": ([0.1, f8(0.2)], "float64", [0.1, 0.2]),
    "a NumPy float before": ([f8(0.2), 0.1], "float64", [0.2, 0.1]),
    "a narrow one": ([0.1, f4(0.2)], "float32", [f4(0.1), f4(0.2)]),
    "an integer beside it": ([1, f4(0.2)], "float32", [1, f4(0.2)]),
    "a NumPy integer": ([1, i1(2)], "int8", [1, 2]),
    "a NumPy integer and a float": ([0.5, i1(2)], "float32", [0.5, 2]),
    "a large one": ([numpy.uint64(2**63 + 1), 1], "uint64", [2**63 + 1, 1]),
    "two NumPy floats": ([f4(0.2), f8(0.1)], "float64", [float(f4(0.2)), 0.1]),
    "an array and a list": ([numpy.ones(2, "f"), [0.1, 2]], "float32", [[1, 1], [f4(0.1), 2]]),
    "a range": (range(3), "int64", [0, 1, 2]),
    "a deque": (deque([1, 2.5]), "float32", [1, 2.5]),
    "tuples": (((1, 2), [3, 4]), "int64", [[1, 2], [3, 4]]),
    "an integer beyond int64 and a float": ([2**70, 0.5], "float32", [f4(2.0**70), 0.5]),
}


@pytest.mark.parametrize("make", [rustorch.asarray, rustorch.tensor, rustorch.Variable])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_alone_have_the_default_dtypes(name: str, make: Callable) -> None:
    data, dtype, values = NUMBERS[name]
    out = make(data)
    assert out.dtype.name == dtype
    assert out.tolist() == numpy.asarray(values, dtype).tolist()


def test_a_named_dtype_takes_every_digit(backend: Target) -> None:
    x, d, _ = _given(backend)
    out = rustorch.asarray([0.1, x[0]], dtype="float64")
    assert backend.numpy(out).tolist() == [0.1, float(f4(0.3))]
    assert backend.numpy(rustorch.asarray([0.1, d[0]], dtype="float32")).tolist() == [float(f4(0.1)), float(f4(0.3))]


@pytest.mark.parametrize(
    ("data", "dtype", "message"),
    [
        (
            [1e300],
            None,
            r"^1e\+300 does not fit into float32; name a dtype that holds it, as in dtype=rustorch\.float64",
        ),
        (1e300, None, r"^1e\+300 does not fit into float32"),
        ([1e39j], None, r"^1e\+39j does not fit into complex64.*complex128"),
        ([300], "int8", r"^300 does not fit into int8"),
        ([[-1]], "uint8", r"^-1 does not fit into uint8"),
        ([1e300], "int64", r"^1e\+300 does not fit into int64"),
        ([float("nan")], "int64", r"^nan does not fit into int64"),
        ([2**70], "int64", r"does not fit into int64"),
        ([1000, i1(1)], None, r"does not fit into int8 \(.*1000"),
        ([1e300, f4(1)], None, r"does not fit into float32"),
    ],
)
def test_numbers_that_do_not_fit_raise(data: Any, dtype: Any, message: str) -> None:
    for make in (rustorch.asarray, rustorch.tensor, rustorch.Variable):
        with pytest.raises(OverflowError, match=message):
            make(data, dtype=dtype)
    assert rustorch.asarray([1e300], dtype="float64").item() == 1e300
    assert rustorch.asarray(float("inf")).item() == float("inf")


def test_numbers_that_do_not_fit_raise_beside_variables(backend: Target) -> None:
    x, _, i = _given(backend)
    for data, message in (
        ([x[0], 1e300], r"1e\+300 does not fit into float32"),
        ([i[0], 300], "300 does not fit into int8"),
    ):
        with pytest.raises(OverflowError, match=message):
            rustorch.asarray(data)


def test_lists_refuse_what_is_not_a_number(backend: Target) -> None:
    x, _, i = _given(backend)
    with pytest.raises(
        ValueError, match=r"ragged data: .* data\[1\] has the shape \(1,\), and data\[0\] the shape \(2,\)"
    ):
        rustorch.asarray([[x[0], 0], [0]])
    with pytest.raises(
        ValueError, match=r"ragged data: .* data\[0\]\[1\] has the shape \(2,\), and data\[0\]\[0\] the shape \(\)"
    ):
        rustorch.asarray([[1, [2, 3]]])
    with pytest.raises(TypeError, match=r"an array holds numbers; None of type NoneType is none"):
        rustorch.asarray([x[0], None])
    with pytest.raises(TypeError, match="float32 and int8 mix kinds"):
        rustorch.asarray([x[0], i[0]])
    for data in ((n for n in [1, 2]), {1, 2}):
        with pytest.raises(TypeError, match=rf"is none; write list\(\.\.\.\) around the {type(data).__name__}"):
            rustorch.tensor(data)
    with pytest.raises(TypeError, match="their imaginary part would be lost"):
        rustorch.asarray([1j], dtype="float32")


def test_tensor_reads_variables_without_a_graph(backend: Target) -> None:
    x = backend.variable([1.5, 2.5])
    for data in ([x[0], x[1]], (x[0], 2.5), deque([x[0], x[1]])):
        out = rustorch.tensor(data, requires_grad=True)
        assert out.is_leaf
        assert out.requires_grad
        assert (out.dtype, out.device) == (rustorch.float64, backend.device)
        assert backend.numpy(out).tolist() == [1.5, 2.5]
    tracked = backend.variable(1.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"a list that holds Variables that require grad .* rustorch\.stack"):
        rustorch.tensor([tracked])
    with rustorch.no_grad():
        assert rustorch.tensor([tracked]).is_leaf


# -- x[key] = values, x[keys] ------------------------------------------------------------------------------------------
def test_lists_are_written_into_variables(backend: Target) -> None:
    x = backend.variable(numpy.zeros((2, 3)))
    x[0, :2] = [1, 0.1]
    x[1] = (1, numpy.float32(0.5), backend.variable(0.25))
    x[:, 2] = range(7, 9)
    assert backend.numpy(x).tolist() == [[1, 0.1, 7], [1, 0.5, 8]]
    i = backend.variable([0, 0, 0], "int64")
    i[:2] = [1, 2]
    assert backend.numpy(i).tolist() == [1, 2, 0]


def test_variables_in_written_lists_get_their_gradients(backend: Target) -> None:
    v = backend.variable([2.0, 3.0], requires_grad=True)
    x = backend.variable([0.0, 0.0, 0.0])
    x[:2] = [v[1], 0.5]
    (x * backend.variable([5.0, 6.0, 7.0])).sum().backward()
    assert backend.numpy(v.grad).tolist() == [0.0, 5.0]
    assert backend.numpy(x).tolist() == [3.0, 0.5, 0.0]


REFUSED: dict[str, tuple[str, Any, type, str]] = {
    "a float into integers": ("int64", [1, 2.5], TypeError, "a Python float and an array of integer dtype mix kinds"),
    "a NumPy float into integers": (
        "int64",
        f8(2.5),
        TypeError,
        "a Python float and an array of integer dtype mix kinds",
    ),
    "complex into floats": ("float64", [1j, 1], TypeError, "would drop the imaginary part"),
    "too many": ("float64", [1, 2, 3], ValueError, "x.key. = value|put of"),
    "too large": ("int8", [1, 300], OverflowError, "300 does not fit into int8"),
    "one that is too large": ("uint8", -1, OverflowError, "-1 does not fit into uint8"),
    "too large for float32": ("float32", 1e300, OverflowError, r"1e\+300 does not fit into float32"),
    "no number": ("float64", [1, None], TypeError, "an array holds numbers; None of type NoneType is none"),
    "text": ("float64", "ab", TypeError, "'ab' is text"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_written_values_that_do_not_fit_raise(name: str, backend: Target) -> None:
    dtype, value, error, message = REFUSED[name]
    x = backend.variable([1, 2], dtype)
    with pytest.raises(error, match=message):
        x[:] = value
    assert backend.numpy(x).tolist() == [1, 2]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_integers_refuse_tracked_values(dtype: str, backend: Target) -> None:
    v, c = backend.variable(1.5, requires_grad=True), backend.variable([1, 0], dtype)
    for value in (v, [v, 1 if dtype != "bool" else True]):
        with pytest.raises(
            TypeError, match=rf"a value that requires grad would lose its gradient, and its fraction, in {dtype}"
        ):
            c[:] = value
    with pytest.raises(TypeError, match="would lose its gradient"):
        rustorch.full_like(c, v)
    assert backend.numpy(c).tolist() == [1, 0]
    with rustorch.no_grad():
        c[0] = v
    c[1] = v.detach()
    assert backend.numpy(c).tolist() == [1, 1]


KEYS: dict[str, tuple[Any, Any]] = {
    "a range and an array": ((range(3), numpy.array([0, 1, 1])), None),
    "a range and a list": ((range(3), [0, 1, 2]), None),
    "an empty list": ([], None),
    "an empty list in a tuple": ((slice(None), []), None),
    "a NumPy integer": (numpy.int64(1), None),
    "NumPy integers": ((numpy.int8(-1), numpy.uint8(2)), None),
    "NumPy integers in a slice": (slice(numpy.int64(0), numpy.int32(2)), None),
    "a NumPy boolean": (numpy.True_, None),
    "booleans": ([True, False, True], None),
    "tuples in a tuple": (((0, 1), (1, 2)), None),
    "a list of lists": ([[0, 1], [2, 0]], None),
    "a deque": (deque([2, 0]), [2, 0]),
    "a range": (range(2), None),
    "a range behind an Ellipsis": ((..., range(2)), None),
    "NumPy integers in a list": ([numpy.int64(1), 0], None),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_many_kinds(name: str, backend: Target) -> None:
    key, numpys = KEYS[name]
    on_device = (
        tuple([backend.array(k, "int64") if isinstance(k, numpy.ndarray) else k for k in key])
        if type(key) is tuple
        else key
    )
    a = numpy.arange(12.0).reshape(3, 4)
    x = backend.variable(a, requires_grad=True)
    want = a[key if numpys is None else numpys]
    out = x[on_device]
    numpy.testing.assert_array_equal(backend.numpy(out), want)
    out.sum().backward()
    counts = numpy.zeros((3, 4))
    numpy.add.at(counts, key if numpys is None else numpys, 1.0)
    numpy.testing.assert_array_equal(backend.numpy(x.grad), counts)
    y = x.detach().clone()
    y[on_device] = -1
    a[key if numpys is None else numpys] = -1
    numpy.testing.assert_array_equal(backend.numpy(y), a)


def test_variables_as_keys(backend: Target) -> None:
    x, i = backend.variable([1.0, 2.0, 3.0]), backend.variable([2, 0], "int64")
    assert x[i[0]].item() == 3.0
    assert backend.numpy(x[[i[0], i[1], 1]]).tolist() == [3.0, 1.0, 2.0]
    assert backend.numpy(x[i[1] : i[0]]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("key", [1.5, "a", numpy.float64(1), [0.5], {1}, (0, 1.5)])
def test_keys_of_other_types_raise(key: Any, backend: Target) -> None:
    x = backend.variable([[1.0, 2.0]])
    for use in (lambda: x[key], lambda: x.__setitem__(key, 1.0)):
        with pytest.raises(
            IndexError, match="an index is an integer, a slice, None, Ellipsis, or an integer or boolean array, not"
        ):
            use()
