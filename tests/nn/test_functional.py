"""nn.functional: PyTorch's values, second derivatives, extreme logits, bad input."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.nn import functional as F
from tests.reference import cases, load
from tests.support.differences import check
from tests.support.target import Target

#: Both sides compute in float64. Their sums have another order, which costs a few roundings.
EXACT = {"rtol": 1e-12, "atol": 1e-13}


def _against_pytorch(case: dict[str, Any], expected: dict[str, Any], target: Target) -> None:
    arrays = {
        key: target.variable(array, array.dtype, requires_grad=key in case["tracked"])
        for key, array in case["arrays"].items()
    }
    out = getattr(F, case["function"])(**arrays, **case["options"])
    numpy.testing.assert_allclose(target.numpy(out), expected["output"], **EXACT)
    assert (out.shape, out.dtype, out.device) == (numpy.shape(expected["output"]), rustorch.float64, target.device)
    out.backward(target.variable(cases.output_gradient(out.shape)))
    for key in case["tracked"]:
        numpy.testing.assert_allclose(target.numpy(arrays[key].grad), expected["gradients"][key], **EXACT, err_msg=key)


@pytest.mark.parametrize("name", cases.functional())
def test_output_and_gradients_equal_pytorchs(name: str, backend: Target) -> None:
    _against_pytorch(cases.functional()[name], load("functional")[name], backend)


def test_cross_entropy_equals_pytorchs(backend: Target) -> None:
    for name, case in cases.cross_entropy().items():
        try:
            _against_pytorch(case, load("cross_entropy")[name], backend)
        except AssertionError as error:
            raise AssertionError(f"case {name}: {error}") from error


# -- second order ------------------------------------------------------------------------------------------------------
_A = cases.numbers


def _indices(target: Target, data: Any = (0, 2)) -> rustorch.Variable:
    return target.variable(data, "int64")


SECOND_ORDER: dict[str, tuple[Callable[..., Any], list[numpy.ndarray]]] = {
    "linear": (lambda t, x, w, b: F.linear(x, w, b), [_A((2, 3)), _A((2, 3), 0.3), _A((2,), 0.8)]),
    "linear of a vector": (lambda t, x, w: F.linear(x, w), [_A((3,)), _A((2, 3), 0.3)]),
    "relu": (lambda t, x: F.relu(x) * x, [_A((4,))]),
    "sigmoid": (lambda t, x: F.sigmoid(x), [_A((4,))]),
    "tanh": (lambda t, x: F.tanh(x), [_A((4,))]),
    "softmax": (lambda t, x: F.softmax(x, -1), [_A((2, 3))]),
    "log_softmax": (lambda t, x: F.log_softmax(x, 0), [_A((3, 2))]),
    "mse_loss": (lambda t, x, y: F.mse_loss(x, y), [_A((2, 2)), _A((2, 2), 0.7)]),
    "mse_loss none": (lambda t, x, y: F.mse_loss(x, y, reduction="none"), [_A((3,)), _A((3,), 0.7)]),
    "cross_entropy": (lambda t, x: F.cross_entropy(x, _indices(t)), [_A((2, 3))]),
    "cross_entropy none": (lambda t, x: F.cross_entropy(x, _indices(t), reduction="none"), [_A((2, 3))]),
    "cross_entropy weight": (
        lambda t, x: F.cross_entropy(x, _indices(t), t.variable(cases.CLASS_WEIGHTS)),
        [_A((2, 3))],
    ),
    "cross_entropy ignored": (lambda t, x: F.cross_entropy(x, _indices(t, (-100, 1))), [_A((2, 3))]),
    "cross_entropy smooth": (lambda t, x: F.cross_entropy(x, _indices(t), label_smoothing=0.3), [_A((2, 3))]),
    "cross_entropy of one row": (lambda t, x: F.cross_entropy(x, _indices(t, 1)), [_A((3,))]),
    "cross_entropy of pixels": (
        lambda t, x: F.cross_entropy(x, _indices(t, [[0, 2]]), reduction="sum"),
        [_A((1, 3, 2))],
    ),
    "cross_entropy probabilities": (
        lambda t, x, y: F.cross_entropy(x, y),
        [_A((2, 3)), cases.probabilities((2, 3), 1)],
    ),
    "cross_entropy probabilities none": (
        lambda t, x, y: F.cross_entropy(x, y, reduction="none", label_smoothing=0.2),
        [_A((2, 3)), cases.probabilities((2, 3), 1)],
    ),
}


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_first_and_second_derivatives_equal_central_differences(name: str, backend: Target) -> None:
    call, at = SECOND_ORDER[name]
    check(lambda *xs: call(backend, *xs), at, backend, order=2)


# -- extremes ----------------------------------------------------------------------------------------------------------
def test_logits_of_10000_do_not_overflow_in_float32(backend: Target) -> None:
    logits = backend.variable([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], "float32", requires_grad=True)
    losses = F.cross_entropy(logits, _indices(backend, (1, 2)), reduction="none")
    # the first row predicts the wrong class by a margin of 2e4; in the second row two classes are equal
    numpy.testing.assert_allclose(backend.numpy(losses), [2e4, numpy.log(2)], rtol=1e-6)
    losses.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(logits.grad), [[1, -1, 0], [0, 0.5, -0.5]], atol=1e-7)


def test_softmax_and_sigmoid_do_not_overflow_in_float32(backend: Target) -> None:
    x = backend.variable([1e4, -1e4, 1e4], "float32", requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numpy.testing.assert_allclose(backend.numpy(F.softmax(x, 0)), [0.5, 0, 0.5], rtol=1e-6)
        numpy.testing.assert_allclose(
            backend.numpy(F.log_softmax(x, 0)), numpy.log(0.5) - numpy.array([0, 2e4, 0]), rtol=1e-6
        )
        out = F.sigmoid(x)
        numpy.testing.assert_array_equal(backend.numpy(out), [1, 0, 1])
        (F.log_softmax(x, 0) + out).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [-0.5, 1, -0.5], atol=1e-6)


def test_an_ignored_row_with_nan_or_infinity_does_not_change_the_loss(backend: Target) -> None:
    logits = backend.variable([[numpy.nan, numpy.inf, 0.0], [1.0, 2.0, 3.0]], requires_grad=True)
    loss = F.cross_entropy(logits, _indices(backend, (-100, 2)))
    expected = numpy.log(numpy.exp([1.0, 2.0, 3.0]).sum()) - 3.0
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_the_mean_of_no_losses_is_nan_as_in_pytorch(backend: Target) -> None:
    logits = backend.variable([[1.0, 2.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of 0 / 0
        assert numpy.isnan(F.cross_entropy(logits, _indices(backend, (-100,))).item())
    assert F.cross_entropy(logits, _indices(backend, (-100,)), reduction="sum").item() == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "uint64"])
@pytest.mark.parametrize("weight", [None, cases.CLASS_WEIGHTS])
def test_class_indices_may_have_any_integer_dtype(dtype: str, weight: list[float] | None, backend: Target) -> None:
    logits = backend.variable([[1.0, 2.0, 0.5], [0.0, -1.0, 2.0]], requires_grad=True)
    weight_ = None if weight is None else backend.variable(weight)
    expected = F.cross_entropy(logits.detach(), _indices(backend, (0, 2)), weight_)
    loss = F.cross_entropy(logits, backend.variable([0, 2], dtype), weight_)
    loss.backward()
    assert loss.item() == expected.item()
    assert logits.grad is not None


def test_a_gradient_keeps_the_single_precision_of_its_variable(backend: Target) -> None:
    logits = backend.variable([[1.0, 2.0, 0.5]], "float32", requires_grad=True)
    loss = F.cross_entropy(
        logits, _indices(backend, (0,)), backend.variable(cases.CLASS_WEIGHTS, "float32"), label_smoothing=0.1
    )
    loss.backward()
    assert loss.dtype == rustorch.float32
    assert rustorch.Variable(logits.grad).dtype == rustorch.float32


# -- in place, and without a dimension ---------------------------------------------------------------------------------
def test_relu_in_place_returns_its_input(backend: Target) -> None:
    x = backend.variable([-1.0, 2.0])
    assert F.relu_(x) is x
    assert x.tolist() == [0.0, 2.0]


def test_relu_in_place_keeps_the_graph_of_its_input(backend: Target) -> None:
    x = backend.variable([-1.0, 2.0], requires_grad=True)
    y = x * 3
    assert F.relu(y, inplace=True) is y
    y.sum().backward()
    assert x.grad is not None
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [0.0, 3.0])


def test_relu_in_place_refuses_a_leaf_that_requires_grad(backend: Target) -> None:
    x = backend.variable([-1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"relu\(inplace=True\) on a leaf that requires grad.*no_grad"):
        F.relu_(x)
    assert x.tolist() == [-1.0, 2.0]
    assert x.grad_fn is None


def test_softmax_without_dim_warns_and_chooses_as_pytorch_does(backend: Target) -> None:
    x = backend.variable(cases.numbers((2, 3)))
    with pytest.warns(UserWarning, match="softmax without dim.*dim=-1") as caught:
        out = F.softmax(x)
    assert caught[0].filename == __file__
    numpy.testing.assert_array_equal(backend.numpy(out), backend.numpy(F.softmax(x, 1)))
    with pytest.warns(UserWarning, match="log_softmax without dim"):
        out = F.log_softmax(x[0, :])
    numpy.testing.assert_array_equal(backend.numpy(out), backend.numpy(F.log_softmax(x[0, :], 0)))


def test_softmax_computes_in_the_given_dtype(backend: Target) -> None:
    x = backend.variable([1, 2, 3], "int32")
    assert F.softmax(x, 0, dtype=rustorch.float64).dtype == rustorch.float64
    assert F.log_softmax(x, 0, dtype="float32").dtype == rustorch.float32


def test_functions_take_native_arrays(backend: Target) -> None:
    x, w = backend.array([[1.0, -2.0]]), backend.array([[3.0, 1.0]])
    assert F.linear(x, w).tolist() == [[1.0]]
    assert F.relu(x).tolist() == [[1.0, 0.0]]
    assert F.mse_loss(x, backend.variable([[0.0, 0.0]])).item() == 2.5
    assert F.cross_entropy(x, backend.array([0], "int64")).item() == pytest.approx(numpy.log1p(numpy.exp(-3)))


# -- bad input ---------------------------------------------------------------------------------------------------------
def _x(*shape: int, dtype: str = "float32") -> Callable[[Target], rustorch.Variable]:
    return lambda t: rustorch.ones(shape, dtype=dtype, device=t.device)


_i = _indices
BAD: dict[str, tuple[Callable[[Target], Any], type[Exception], str]] = {
    "linear features": (
        lambda t: F.linear(_x(2, 4)(t), _x(2, 3)(t)),
        ValueError,
        r"linear: the input has shape \(2, 4\), but a weight of shape \(2, 3\) takes 3 features",
    ),
    "linear scalar": (lambda t: F.linear(_x()(t), _x(2, 3)(t)), ValueError, r"the input has shape \(\)"),
    "linear bias": (
        lambda t: F.linear(_x(2, 3)(t), _x(2, 3)(t), _x(3)(t)),
        ValueError,
        r"linear: the bias has shape \(3,\), but a weight of shape \(2, 3\) has 2 outputs",
    ),
    "linear integers": (
        lambda t: F.linear(_x(2, 3, dtype="int64")(t), _x(2, 3)(t)),
        TypeError,
        r"the input is of int64 and the weight of float32.*x\.float\(\)",
    ),
    "linear list": (lambda t: F.linear([1.0], _x(1, 1)(t)), TypeError, "not list.*rustorch.asarray"),
    "sigmoid integers": (
        lambda t: F.sigmoid(_x(2, dtype="int64")(t)),
        TypeError,
        "sigmoid is of floating.*not of int64.*astype",
    ),
    "softmax integers": (
        lambda t: F.softmax(_x(2, dtype="int64")(t), 0),
        TypeError,
        "softmax is of floating.*not of int64",
    ),
    "softmax scalar": (lambda t: F.softmax(_x()(t), 1), IndexError, "softmax: axis 1 is out of range"),
    "softmax dim": (lambda t: F.softmax(_x(2)(t), 1), IndexError, "axis 1 is out of range for an array of 1 dim"),
    "log_softmax scalar": (lambda t: F.log_softmax(_x()(t), 1), IndexError, "log_softmax: axis 1 is out of range"),
    "mse shapes": (
        lambda t: F.mse_loss(_x(3, 1)(t), _x(3)(t)),
        ValueError,
        r"mse_loss: the input has shape \(3, 1\) and the target \(3,\); they must be equal",
    ),
    "mse reduction": (
        lambda t: F.mse_loss(_x(3)(t), _x(3)(t), "max"),
        ValueError,
        "mse_loss: reduction is 'mean', 'sum' or 'none', not 'max'",
    ),
    "mse kinds": (lambda t: F.mse_loss(_x(3)(t), _x(3, dtype="bool")(t)), TypeError, "float32 and bool.*astype"),
    "mse integers": (
        lambda t: F.mse_loss(_x(3, dtype="int64")(t), _x(3, dtype="int64")(t)),
        TypeError,
        "mse_loss is of floating",
    ),
    "class too large": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t, (0, 3))),
        IndexError,
        "cross_entropy: class index 3 is out of range for 3 classes",
    ),
    "class negative": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t, (0, -1))),
        IndexError,
        "cross_entropy: class index -1 is out of range for 3 classes",
    ),
    "class beside an ignored one": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t, (-100, 5))),
        IndexError,
        "class index 5 is out of range for 3",
    ),
    "class with weights": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t, (3, 0)), _x(3)(t)),
        IndexError,
        "class index 3 is out of range",
    ),
    "class with smoothing": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t, (3, 0)), label_smoothing=0.1),
        IndexError,
        "class index 3 is out of",
    ),
    "float target": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _x(2)(t)),
        ValueError,
        r"a target of float32 is class probabilities, of the input's shape \(2, 3\), not \(2,\); class indices "
        r"are integers",
    ),
    "indices' shape": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t, (0, 1, 2))),
        ValueError,
        r"class indices for an input of shape \(2, 3\) have shape \(2,\), not \(3,\)",
    ),
    "boolean target": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _x(2, dtype="bool")(t)),
        TypeError,
        "class indices.*or probabilities.*not bool",
    ),
    "weight's shape": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t), _x(2)(t)),
        ValueError,
        r"the weight has shape \(2,\), but there are 3 classes",
    ),
    "smoothing": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t), label_smoothing=1.5),
        ValueError,
        r"label_smoothing is in \[0, 1\], not 1.5",
    ),
    "cross_entropy reduction": (
        lambda t: F.cross_entropy(_x(2, 3)(t), _i(t), reduction="max"),
        ValueError,
        "cross_entropy: reduction is 'mean'",
    ),
    "integer logits": (
        lambda t: F.cross_entropy(_x(2, 3, dtype="int64")(t), _i(t)),
        TypeError,
        "cross_entropy is of floating.*not of int64",
    ),
    "no classes": (lambda t: F.cross_entropy(_x()(t), _i(t, 0)), ValueError, "the input needs a dimension of classes"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_and_says_what_to_write(name: str, backend: Target) -> None:
    call, error, message = BAD[name]
    if name.startswith("class ") and not backend.library.readable:
        assert numpy.isnan(backend.numpy(call(backend).detach()))
        return
    with pytest.raises(error, match=message):
        call(backend)


@pytest.mark.parametrize("call", [F.linear, F.mse_loss, F.cross_entropy])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operands_on_two_devices_raise_and_name_both(call: Callable, dtype: str, backend: Target) -> None:
    other = "strict" if backend.device == "cpu" else "cpu"
    if other == "strict":
        pytest.importorskip("array_api_strict")
    x = backend.variable(numpy.ones((2, 2)), "float32", requires_grad=True)
    y = rustorch.ones((2, 2), dtype=dtype, device=other)
    with pytest.raises(
        RuntimeError, match=rf"different devices, '{backend.device}' and '{other}'.*\.to\('{backend.device}'\)"
    ):
        call(x, y)
    assert x.grad is None
