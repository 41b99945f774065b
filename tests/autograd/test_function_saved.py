"""Functions that save intermediates: a second derivative through them raises, unless they are constant."""

from __future__ import annotations

import pickle
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd import Function, once_differentiable
from tests.support.target import Target

MESSAGE = (
    r"saved an array of shape \(2,\) that is neither an input nor an output, and a second derivative .*"
    r"compute it anew in .*output"
)


class Saved(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        inner = rustorch.exp(x)
        ctx.save_for_backward(inner)
        return inner * 1.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0]


class Attribute(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.inner = rustorch.exp(x)
        return ctx.inner * 1.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.inner


class Native(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.inner = rustorch.exp(x).data
        return rustorch.exp(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * rustorch.asarray(ctx.inner)


class Nested(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.parts = {"inner": [x, (rustorch.exp(x), 2)]}
        return rustorch.exp(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.parts["inner"][1][0]


class OutputAsAttribute(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.inner = rustorch.exp(x)
        return ctx.inner

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.inner


class InputsMemory(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.x = x.data
        return rustorch.exp(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * rustorch.exp(rustorch.asarray(ctx.x))


WRONG = [Saved, Attribute, Native, Nested, OutputAsAttribute, InputsMemory]
X = numpy.array([0.5, -1.5])


@pytest.mark.parametrize("function", WRONG)
def test_a_second_derivative_through_a_saved_intermediate_raises(function: type[Function], backend: Target) -> None:
    x = backend.variable(X, requires_grad=True)
    (first,) = rustorch.grad(function.apply(x).sum(), x, create_graph=True)
    numpy.testing.assert_allclose(backend.numpy(first), numpy.exp(X))
    with pytest.raises(RuntimeError, match=rf"{function.__name__} {MESSAGE}"):
        rustorch.grad(first.sum(), x)
    with pytest.raises(RuntimeError, match=MESSAGE):  # hidden behind a part that has a derivative
        rustorch.func.hessian(lambda x: (function.apply(x) + x * x).sum())(x)


@pytest.mark.parametrize("function", WRONG)
def test_a_first_derivative_may_use_saved_intermediates(function: type[Function], backend: Target) -> None:
    x = backend.variable(X, requires_grad=True)
    out = function.apply(x).sum()
    out.backward(retain_graph=True)
    out.backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), 2 * numpy.exp(X))
    # this second derivative, in the gradient that arrives, does not need it
    y = backend.variable(X, requires_grad=True)
    (first,) = rustorch.grad((function.apply(x) * y).sum(), x, create_graph=True)
    (mixed,) = rustorch.grad(first.sum(), y)
    numpy.testing.assert_allclose(backend.numpy(mixed), numpy.exp(X))


class Masked(Function):
    """A Function that keeps arrays which are locally constant in x: masks, random numbers, constants."""

    weights = numpy.array([2.0, 3.0])

    @staticmethod
    def forward(ctx: Any, x: Any, scale: Any) -> Any:
        mask = rustorch.astype(x > 0, x.dtype)
        noise = rustorch.rand(2, dtype=x.dtype, device=x.device)
        weights = rustorch.asarray(Masked.weights, device=x.device)
        ctx.save_for_backward(x, mask, x > 0, scale)
        ctx.noise, ctx.weights, ctx.index = noise, weights.data, rustorch.argmax(x)
        return x * x * x * mask * noise * weights * scale

    @staticmethod
    def backward(ctx: Any, g: Any, *_: Any) -> Any:
        x, mask, positive, scale = ctx.saved_tensors
        g = rustorch.where(positive, g, 0.0 * g)
        return 3.0 * x * x * g * mask * ctx.noise * rustorch.asarray(ctx.weights) * scale, None


def test_a_second_derivative_may_use_saved_masks_noise_and_constants(backend: Target) -> None:
    x, scale = backend.variable([0.5, 2.0], requires_grad=True), backend.variable([1.0, 2.0])
    out = Masked.apply(x, scale)
    after = rustorch.rand(3, device=backend.device).tolist()
    (first,) = rustorch.grad(out.sum(), x, create_graph=True)
    (second,) = rustorch.grad(first.sum(), x, create_graph=True)
    numpy.testing.assert_allclose(backend.numpy(second), 2 * backend.numpy(first) / numpy.array([0.5, 2.0]))
    rustorch.manual_seed(1)
    expected = rustorch.rand(2, device=backend.device).tolist()
    rustorch.manual_seed(1)
    rustorch.grad(second.sum(), x, retain_graph=True)
    assert rustorch.rand(2, device=backend.device).tolist() == expected  # to look is to draw nothing
    assert after


def test_integers_and_booleans_are_constants() -> None:
    class Chosen(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x, x > 0)
            ctx.order = rustorch.argsort(x)
            return x * x * (x > 0).astype(x.dtype)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, positive = ctx.saved_tensors
            return rustorch.where(positive, 2.0 * g * x, 0.0 * g)

    x = rustorch.tensor(X, requires_grad=True)
    hessian = rustorch.func.hessian(lambda x: Chosen.apply(x).sum())(x)
    numpy.testing.assert_array_equal(hessian.numpy(), numpy.diag([2.0, 0.0]))


def test_the_two_remedies_of_the_message_work() -> None:
    class Returned(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            inner = rustorch.exp(x)
            ctx.save_for_backward(inner)
            return inner * 1.0, inner

        @staticmethod
        def backward(ctx: Any, g: Any, again: Any) -> Any:
            return (g + again) * ctx.saved_tensors[0]

    class Anew(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.x = x
            return rustorch.exp(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * rustorch.exp(ctx.x)

    x = rustorch.tensor(X, requires_grad=True)
    for call in (lambda x: Returned.apply(x)[0], Anew.apply):
        assert rustorch.gradcheck(call, x)
        assert rustorch.gradgradcheck(call, x)


def test_once_differentiable_gets_plain_arrays_and_its_second_derivative_raises() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.inner = numpy.exp(x.data)
            return rustorch.asarray(ctx.inner.copy())

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            assert type(ctx.inner) is numpy.ndarray
            return rustorch.asarray(numpy.multiply(g.data, ctx.inner))

    x = rustorch.tensor(X, requires_grad=True)
    (first,) = rustorch.grad(Once.apply(x).sum(), x, create_graph=True)
    numpy.testing.assert_array_equal(first.detach().numpy(), numpy.exp(X))
    with pytest.raises(RuntimeError, match="marked once_differentiable"):
        rustorch.grad((first + x * x).sum(), x)


def test_attributes_that_backward_sets_on_the_context_stay() -> None:
    class Counting(Attribute):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            ctx.calls = getattr(ctx, "calls", 0) + 1
            seen.append((ctx.calls, type(ctx.inner)))
            return g * ctx.inner

    seen: list[Any] = []
    x = rustorch.tensor(X, requires_grad=True)
    out = Counting.apply(x).sum()
    rustorch.grad(out, x, create_graph=True)
    rustorch.grad(out, x)
    assert seen == [(1, rustorch.Variable), (2, rustorch.Variable)]
    assert pickle.loads(pickle.dumps(x)).tolist() == X.tolist()
