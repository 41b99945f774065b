"""Function and custom_primitive: gradients of every order, and the errors of wrong definitions."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd import Function, once_differentiable
from tests.support.target import Target


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * g * x * x


class Exp(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        out = rustorch.exp(x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0]


class Polar(Function):
    """A Function that saves inputs and outputs, and takes an option and None."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any, scale: float) -> Any:
        r = rustorch.sqrt(x * x + y * y)
        ctx.scale = scale
        ctx.save_for_backward(x, None, y, r)
        return r * scale, rustorch.atan2(y, x), rustorch.argmax(r), r

    @staticmethod
    def backward(ctx: Any, g: Any, angle: Any, index: Any, again: Any) -> Any:
        x, nothing, y, r = ctx.saved_tensors
        assert nothing is None
        g = g * ctx.scale + again
        return g * x / r - angle * y / r**2, g * y / r + angle * x / r**2, None


def _x(*data: float) -> rustorch.Variable:
    return rustorch.tensor(list(data), dtype=rustorch.float64, requires_grad=True)


def test_a_function_on_every_backend(backend: Target) -> None:
    x = backend.variable([0.5, -1.5], requires_grad=True)
    y = Cube.apply(Exp.apply(x) * 1.0)
    y.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), 3 * numpy.exp(3 * numpy.array([0.5, -1.5])), rtol=1e-12)


@pytest.mark.parametrize("function", [Cube, Exp])
def test_derivatives_of_every_order(function: type[Function]) -> None:
    x = _x(0.5, -1.5)
    assert rustorch.gradcheck(function.apply, x)
    assert rustorch.gradgradcheck(function.apply, x)
    assert rustorch.gradgradcheck(lambda x: rustorch.grad(function.apply(x).sum(), x, create_graph=True), x)


def test_a_function_may_have_many_inputs_and_outputs() -> None:
    given = (_x(0.5, -1.5), _x(1.0, 2.0))
    call = lambda x, y: Polar.apply(x, y, 2.0)  # noqa: E731
    assert rustorch.gradcheck(call, given)
    assert rustorch.gradgradcheck(call, given)
    outs = call(*given)
    assert [out.requires_grad for out in outs] == [True, True, False, True]
    (outs[1].sum()).backward()  # the gradients of the other outputs are zeros
    assert given[0].grad is not None


def test_functions_work_inside_transforms() -> None:
    f = lambda x: Cube.apply(x).sum()  # noqa: E731
    numpy.testing.assert_allclose(rustorch.func.hessian(f)(_x(0.5, 2.0).detach()).data, numpy.diag([3.0, 12.0]))


def test_nothing_is_recorded_without_need() -> None:
    seen = []

    class Spy(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            seen.append((ctx.needs_input_grad, rustorch.is_grad_enabled()))
            return x * y

    x = _x(1.0)
    assert not Spy.apply(x.detach(), x.detach()).requires_grad
    assert Spy.apply(x.detach(), x).requires_grad
    with rustorch.no_grad():
        assert not Spy.apply(x, x).requires_grad
    assert seen == [((False, False), False), ((False, True), False), ((False, False), False)]


def test_outputs_marked_as_constants_have_no_gradient() -> None:
    class Marked(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            mask = x * 0 + 1
            ctx.mark_non_differentiable(mask)
            return x * 2, mask

        @staticmethod
        def backward(ctx: Any, g: Any, _: Any) -> Any:
            return g * 2

    x = _x(1.0, 2.0)
    out, mask = Marked.apply(x)
    assert out.requires_grad and not mask.requires_grad
    (out * mask).sum().backward()
    numpy.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_no_cycle_keeps_what_was_saved() -> None:
    gc.disable()
    try:
        for function in (Cube.apply, Exp.apply, lambda x: Polar.apply(x, x, 1.0)[3]):
            y = function(_x(1.0))
            ref = weakref.ref(y.grad_fn)
            del y
            assert ref() is None
    finally:
        gc.enable()


def test_backward_frees_and_a_write_in_place_is_seen() -> None:
    x = _x(1.0, 2.0)
    y = Cube.apply(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()
    y = Cube.apply(x).sum()
    with rustorch.no_grad():
        x[0] = 5.0
    with pytest.raises(RuntimeError, match=r"saved for backward was changed in place"):
        y.backward()


# -- mistakes ----------------------------------------------------------------------------------------------------------
def _returning(*gradients: Any) -> type[Function]:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x * y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return gradients

    return Wrong


@pytest.mark.parametrize(
    ("gradients", "error", "message"),
    [
        ((rustorch.ones(2),), RuntimeError, r"Wrong\.backward returned 1 gradients, but forward takes 2 arguments"),
        ((rustorch.ones(2),) * 3, RuntimeError, r"returned 3 gradients, but forward takes 2"),
        ((rustorch.ones(1), None), RuntimeError, r"a gradient of shape \(1,\) for argument 0, whose shape is \(2,\)"),
        (
            (None, rustorch.ones((3, 2))),
            RuntimeError,
            r"a gradient of shape \(3, 2\) for argument 1, whose shape is \(2,\)",
        ),
        (("text", None), TypeError, r"returned a str as the gradient of argument 0"),
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_wrong_gradients_are_named(gradients: Any, error: type[Exception], message: str, create_graph: bool) -> None:
    x, y = _x(1.0, 2.0), _x(3.0, 4.0)
    out = _returning(*gradients).apply(x, y).sum()
    with pytest.raises(error, match=message):
        rustorch.grad(out, [x, y], create_graph=create_graph)


@pytest.mark.parametrize("create_graph", [False, True])
def test_wrong_gradients_are_named_on_every_backend(backend: Target, create_graph: bool) -> None:
    elsewhere = "cpu" if backend.device != "cpu" else "jax"
    try:
        rustorch.backends.resolve(elsewhere)
    except RuntimeError as reason:
        pytest.skip(f"{elsewhere}: {reason}")
    x, y = (backend.variable([1.0, 2.0], requires_grad=True) for _ in range(2))

    class Wrong(Function):
        gradients: Any = None

        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x * y

        @classmethod
        def backward(cls, ctx: Any, g: Any) -> Any:
            return cls.gradients(g)

    for gradients, error, message in (
        (lambda g: g, RuntimeError, r"Wrong\.backward returned 1 gradients, but forward takes 2 arguments"),
        (lambda g: (g, g, g), RuntimeError, r"returned 3 gradients, but forward takes 2"),
        (lambda g: (g[:1], g), RuntimeError, r"a gradient of shape \(1,\) for argument 0, whose shape is \(2,\)"),
        (
            lambda g: (g, rustorch.stack([g, g])),
            RuntimeError,
            r"of shape \(2, 2\) for argument 1, whose shape is \(2,\)",
        ),
        (lambda g: (1.0, g), TypeError, r"returned a float as the gradient of argument 0"),
        (
            lambda g: (g, g.to(elsewhere)),
            RuntimeError,
            rf"a gradient on '{elsewhere}' for argument 1, which is on '{backend.device}'",
        ),
    ):
        Wrong.gradients = staticmethod(gradients)
        out = Wrong.apply(x, y).sum()
        with pytest.raises(error, match=message):
            rustorch.grad(out, [x, y], create_graph=create_graph)
    wide = rustorch.custom_primitive("wide", lambda xp, x, /: x, x=lambda xp, g: g[:1])
    with pytest.raises(RuntimeError, match=r"wide: the rule of input 'x' returned a gradient of shape \(1,\)"):
        rustorch.grad(wide(x).sum(), x, create_graph=create_graph)
    short = rustorch.custom_primitive("short", lambda xp, x, y, /: x * y, joint=lambda xp, g: (g,))
    with pytest.raises(RuntimeError, match=r"short: the joint rule returned 1 gradients for 2 inputs"):
        rustorch.grad(short(x, y).sum(), [x, y], create_graph=create_graph)
    assert x.grad is None and y.grad is None


def test_forward_and_saving_are_checked() -> None:
    class NoVariable(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 1.0

    class SavesNumber(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(1.0)

    with pytest.raises(TypeError, match=r"NoVariable\.forward returns a Variable or a tuple of them, not float"):
        NoVariable.apply(_x(1.0))
    with pytest.raises(TypeError, match=r"not float; keep others as ctx\.name = value"):
        SavesNumber.apply(_x(1.0))
    with pytest.raises(NotImplementedError, match=r"defines forward\(ctx, \*args\)"):
        Function.apply(_x(1.0))


def test_a_backward_that_is_differentiable_once_says_so_the_second_time(backend: Target) -> None:
    class Host(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return rustorch.asarray(3 * g.data * ctx.saved_tensors[0].data ** 2)

    x = backend.variable([1.0, 2.0], requires_grad=True)
    assert rustorch.gradcheck(Host.apply, x)
    (g,) = rustorch.grad(Host.apply(x).sum(), x, create_graph=True)
    numpy.testing.assert_allclose(backend.numpy(g), [3.0, 12.0])
    with pytest.raises(
        RuntimeError, match=r"Host\.backward is marked once_differentiable, so there is no second derivative"
    ):
        g.sum().backward()


# -- custom_primitive --------------------------------------------------------------------------------------------------
def test_a_custom_primitive_has_every_order_on_every_backend(backend: Target) -> None:
    softplus = rustorch.custom_primitive(
        "softplus",
        lambda xp, x, /, beta: xp.log1p(xp.exp(beta * x)) / beta,
        x=lambda xp, g, x, beta: g / (1 + xp.exp(-beta * x)),
    )
    x = backend.variable([0.5, -1.5], requires_grad=True)
    call = lambda x: softplus(x, 2.0)  # noqa: E731
    assert rustorch.gradcheck(call, x)
    assert rustorch.gradgradcheck(call, x)


def test_a_custom_primitive_may_have_a_joint_rule() -> None:
    dot = rustorch.custom_primitive("dot", lambda xp, x, y, /: xp.sum(x * y), joint=lambda xp, g, x, y: (g * y, g * x))
    assert rustorch.gradgradcheck(dot, (_x(1.0, 2.0), _x(3.0, 4.0)))


def test_a_custom_primitive_refuses_wrong_definitions() -> None:
    rule = lambda xp, g: g  # noqa: E731
    for message, call in (
        ("xp first, and a slash", lambda: rustorch.custom_primitive("f", lambda xp, x: x, x=rule)),
        ("give a rule for an input, as in x=lambda", lambda: rustorch.custom_primitive("f", lambda xp, x, /: x)),
        (
            r"rules for \['y'\], but the inputs are \['x'\]",
            lambda: rustorch.custom_primitive("f", lambda xp, x, /: x, y=rule),
        ),
        ("would never run", lambda: rustorch.custom_primitive("f", lambda xp, x, /: x, joint=rule, x=rule)),
        (
            r"this one takes \['xp', 'g', 'z'\]",
            lambda: rustorch.custom_primitive("f", lambda xp, x, /: x, x=lambda xp, g, z: g),
        ),
    ):
        with pytest.raises(TypeError, match=message):
            call()


@pytest.mark.parametrize("create_graph", [False, True])
def test_wrong_gradients_of_a_custom_primitive_are_named(create_graph: bool) -> None:
    x, y = _x(1.0, 2.0), _x(3.0, 4.0)
    short = rustorch.custom_primitive("short", lambda xp, x, y, /: x * y, joint=lambda xp, g: (g,))
    with pytest.raises(RuntimeError, match=r"short: the joint rule returned 1 gradients for 2 inputs"):
        rustorch.grad(short(x, y).sum(), [x, y], create_graph=create_graph)
    wide = rustorch.custom_primitive("wide", lambda xp, x, /: x, x=lambda xp, g: g[:1])
    with pytest.raises(RuntimeError, match=r"wide: the rule of input 'x' returned a gradient of shape \(1,\)"):
        rustorch.grad(wide(x).sum(), x, create_graph=create_graph)
