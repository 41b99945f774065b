"""rustorch.grad: gradients of every order as return values."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch.nn import functional as F
from tests.support.target import Target


def test_grad_sets_no_grad_attribute_and_frees_the_graph(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    (g,) = rustorch.grad(y, x)
    numpy.testing.assert_allclose(backend.numpy(g), [2.0, 4.0])
    assert x.grad is None
    assert not g.requires_grad
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        rustorch.grad(y, x)


def test_inputs_may_be_computed_and_outputs_several(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    y = x * 3
    gy, gx = rustorch.grad([(y * y).sum(), y.sum()], [y, x])
    numpy.testing.assert_allclose(backend.numpy(gy), [7.0, 13.0])
    numpy.testing.assert_allclose(backend.numpy(gx), [21.0, 39.0])


def test_an_output_may_be_an_input(backend: Target) -> None:
    x = backend.variable(2.0, requires_grad=True)
    y = x * x
    (g,) = rustorch.grad(y, y)
    assert float(backend.numpy(g)) == 1.0
    (g,) = rustorch.grad(x, x)
    assert float(backend.numpy(g)) == 1.0


def test_grad_outputs_scale_the_gradients_and_are_checked(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    (g,) = rustorch.grad(x * x, x, grad_outputs=backend.variable([1.0, 10.0]))
    numpy.testing.assert_allclose(backend.numpy(g), [2.0, 40.0])
    (g,) = rustorch.grad([x * x, x.sum()], x, grad_outputs=[backend.array([1.0, 10.0]), None])
    numpy.testing.assert_allclose(backend.numpy(g), [3.0, 41.0])
    with pytest.raises(ValueError, match="1 grad_outputs for 2 outputs"):
        rustorch.grad([x * x, x * 2], x, grad_outputs=[backend.array([1.0, 1.0])])
    with pytest.raises(ValueError, match=r"shape \(3,\), the value \(2,\)"):
        rustorch.grad(x * x, x, grad_outputs=backend.array([1.0, 1.0, 1.0]))
    with pytest.raises(RuntimeError, match="gradient must be given"):
        rustorch.grad(x * x, x)


def test_unused_inputs_raise_or_give_none_and_untracked_inputs_raise(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    unused = backend.variable([1.0], requires_grad=True)
    y = (x * x).sum()
    with pytest.raises(RuntimeError, match=r"input 1; pass allow_unused=True"):
        rustorch.grad(y, [x, unused], retain_graph=True)
    g, none = rustorch.grad(y, [x, unused], allow_unused=True)
    assert none is None
    numpy.testing.assert_allclose(backend.numpy(g), [2.0, 4.0])
    with pytest.raises(RuntimeError, match="input 0 does not require grad"):
        rustorch.grad(x.sum(), backend.variable(1.0))
    with pytest.raises(TypeError, match="inputs are Variables, not float"):
        rustorch.grad(x.sum(), [1.0])


@pytest.mark.parametrize("name", ["sin", "exp", "cube", "tanh", "product", "division"])
def test_derivatives_up_to_the_fourth(name: str, backend: Target) -> None:
    at = 0.7
    t = numpy.tanh(at)
    s = 1 - t * t
    function, expected = {
        "sin": (rustorch.sin, [numpy.cos(at), -numpy.sin(at), -numpy.cos(at), numpy.sin(at)]),
        "exp": (rustorch.exp, [numpy.exp(at)] * 4),
        "cube": (lambda x: x**3, [3 * at**2, 6 * at, 6.0, 0.0]),
        "tanh": (rustorch.tanh, [s, -2 * t * s, -2 * s * (1 - 3 * t * t), 8 * t * s * (2 - 3 * t * t)]),
        "product": (
            lambda x: rustorch.sin(x) * x,
            [
                numpy.sin(at) + at * numpy.cos(at),
                2 * numpy.cos(at) - at * numpy.sin(at),
                -3 * numpy.sin(at) - at * numpy.cos(at),
                -4 * numpy.cos(at) + at * numpy.sin(at),
            ],
        ),
        "division": (lambda x: 1 / x, [-(at**-2), 2 * at**-3, -6 * at**-4, 24 * at**-5]),
    }[name]
    x = backend.variable(at, requires_grad=True)
    y = function(x)
    for order, want in enumerate(expected, 1):
        (y,) = rustorch.grad(y, x, create_graph=True)
        numpy.testing.assert_allclose(backend.numpy(y), want, rtol=1e-10, atol=1e-10, err_msg=f"order {order}")


def test_a_second_derivative_of_a_linear_function_raises(backend: Target) -> None:
    """The gradient of a linear function depends on no input."""
    x = backend.variable([1.0, -2.0], requires_grad=True)
    (first,) = rustorch.grad((2 * x).sum(), x, create_graph=True)
    with pytest.raises(
        RuntimeError, match=r"^grad: this value does not depend on anything that requires grad; make a leaf"
    ):
        rustorch.grad(first.sum(), x)
    with pytest.raises(RuntimeError, match=r"^backward: this value does not depend on anything that requires grad"):
        first.sum().backward()
    assert x.grad is None
    # the transform returns zero, the derivative of a constant
    hessian = rustorch.func.hessian(lambda x: (2 * x).sum())(x.detach())
    numpy.testing.assert_array_equal(backend.numpy(hessian), numpy.zeros((2, 2)))


#: Functions whose gradients depend on x and are locally constant in it.
PIECEWISE = {
    "abs": rustorch.abs,
    "clip": lambda x: rustorch.clip(x, -1, 1),
    "constant": rustorch.sign,
    "max": lambda x: rustorch.max(x, axis=1),
    "maximum": lambda x: rustorch.maximum(x, 0 * x.detach()),
    "pooling": lambda x: F.max_pool1d(x, 2),
    "both": lambda x: rustorch.minimum(x, 0.5 * x),
    "product of one": lambda x: rustorch.clip(x, -1, 1) * 3,
    "sort": rustorch.sort,
    **{
        name: getattr(F, name)
        for name in ("relu", "leaky_relu", "hardtanh", "hardshrink", "softshrink", "relu6", "hardsigmoid", "rrelu")
    },
    "rrelu in training": lambda x: F.rrelu(x, training=True),
    "threshold": lambda x: F.threshold(x, 0.1, 2.0),
    "prelu": lambda x: F.prelu(x, 0.25 * rustorch.ones_like(x[0, :1])),
    "prelu that learns": lambda x: F.prelu(
        x, rustorch.Variable(rustorch.full_like(x[0, :1].detach(), 0.25).data, requires_grad=True)
    ),
}


@pytest.mark.parametrize("name", PIECEWISE)
def test_derivatives_of_piecewise_linear_functions_are_zeros(name: str, backend: Target) -> None:
    """They are zeros in every order, as PyTorch has them for most functions, and no error."""
    x = backend.variable([[1.0, -2.0, 0.0, 0.3, 7.0, -3.0]], requires_grad=True)
    (y,) = rustorch.grad(PIECEWISE[name](x).sum(), x, create_graph=True)
    for _ in range(3):
        (y,) = rustorch.grad(y.sum(), x, create_graph=True)
        numpy.testing.assert_array_equal(backend.numpy(y), numpy.zeros((1, 6)))


def test_hardswish_is_square_between_its_corners(backend: Target) -> None:
    x = backend.variable([-4.0, -1.0, 2.0, 5.0], requires_grad=True)
    (first,) = rustorch.grad(F.hardswish(x).sum(), x, create_graph=True)
    (second,) = rustorch.grad(first.sum(), x, create_graph=True)
    (third,) = rustorch.grad(second.sum(), x)
    numpy.testing.assert_allclose(backend.numpy(second), [0.0, 1 / 3, 1 / 3, 0.0], rtol=1e-15)
    numpy.testing.assert_array_equal(backend.numpy(third), numpy.zeros(4))


def test_a_second_derivative_without_create_graph_raises(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    (first,) = rustorch.grad((x**3).sum(), x)
    with pytest.raises(RuntimeError, match=r"^grad: this value does not depend on anything that requires grad"):
        rustorch.grad(first.sum(), x)
    with pytest.raises(RuntimeError, match=r"^grad: this value does not depend on anything that requires grad"):
        rustorch.grad(rustorch.argmax(x), x)  # an index has no derivative at all


def test_a_gradient_penalty_reaches_the_parameters(backend: Target) -> None:
    w = backend.variable([2.0, -1.0], requires_grad=True)
    x = backend.variable([0.5, 3.0], requires_grad=True)
    (g,) = rustorch.grad((w * x * x).sum(), x, create_graph=True)
    (g * g).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(w.grad), 8 * numpy.array([2.0, -1.0]) * numpy.array([0.5, 3.0]) ** 2)


def test_create_graph_inside_no_grad_and_after_it(backend: Target) -> None:
    x = backend.variable(2.0, requires_grad=True)
    y = x**3
    with rustorch.no_grad():
        (g,) = rustorch.grad(y, x, create_graph=True)
        assert not rustorch.is_grad_enabled()
    assert rustorch.is_grad_enabled()
    (second,) = rustorch.grad(g, x)
    assert float(backend.numpy(second)) == pytest.approx(12.0)


def test_an_error_in_backward_leaves_the_mode_as_it_was(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)

    def fail(g: rustorch.Variable) -> None:
        raise ValueError("a hook failed")

    y = x * x
    y.register_hook(fail)
    for call in (
        lambda: y.sum().backward(),
        lambda: rustorch.grad(y.sum(), x),
        lambda: rustorch.grad(y.sum(), x, create_graph=True),
    ):
        with pytest.raises(ValueError, match="a hook failed"):
            call()
        assert rustorch.is_grad_enabled()
    assert x.grad is None
