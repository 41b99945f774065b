"""gradcheck and gradgradcheck: correct rules pass, and deliberately wrong rules are found."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd.primitive import Primitive
from tests.support.target import Target


def _primitive(rule: Any) -> Primitive:
    return Primitive("cube", lambda xp, x, /: x * x * x, register=False, x=rule)


RIGHT = _primitive(lambda xp, g, x: 3 * g * x * x)
TWICE = _primitive(lambda xp, g, x: 6 * g * x * x)
SIGN = _primitive(lambda xp, g, x: -3 * g * x * x)
NONE = _primitive(None)  # as a rule that was forgotten: the output is silently a constant
NAN = _primitive(lambda xp, g, x: g * x * float("nan"))
LAST = _primitive(lambda xp, g, x: 3 * g * x * x + g * xp.astype(xp.arange(x.shape[0], device=x.device) == 2, x.dtype))
#: A rule whose first derivative is correct, but does not depend on x in mode 2.
CONSTANT = _primitive(lambda xp, g, x: g * 3.0 * getattr(x, "detach", lambda: x)() ** 2)


def _x(backend: Target, **kwargs: Any) -> rustorch.Variable:
    return backend.variable([0.5, -1.5, 2.0], requires_grad=True, **kwargs)


def test_correct_rules_pass_in_both_orders(backend: Target) -> None:
    assert rustorch.gradcheck(RIGHT, _x(backend))
    assert rustorch.gradgradcheck(RIGHT, [_x(backend)])


@pytest.mark.parametrize("wrong", [TWICE, SIGN, NONE, NAN, LAST], ids=["twice", "sign", "none", "nan", "one element"])
def test_wrong_rules_are_found(wrong: Primitive) -> None:
    x = _x(Target("cpu"))
    assert not rustorch.gradcheck(wrong, x, raise_exception=False)
    with pytest.raises(RuntimeError, match=r"gradcheck: the gradient of output 0 .* in input 0"):
        rustorch.gradcheck(wrong, x)


def test_the_message_names_the_place_and_both_numbers() -> None:
    with pytest.raises(RuntimeError, match=r"element 2\) in input 0 .* at element 2: .* 13.0, .* (12.0|11.99)"):
        rustorch.gradcheck(LAST, _x(Target("cpu")))


def test_a_wrong_second_derivative_is_found_by_the_second_check_alone() -> None:
    x = _x(Target("cpu"))
    assert rustorch.gradcheck(CONSTANT, x)
    assert not rustorch.gradgradcheck(CONSTANT, x, raise_exception=False)
    with pytest.raises(RuntimeError, match=r"^gradgradcheck: "):
        rustorch.gradgradcheck(CONSTANT, x)


def test_complex_numbers_and_several_inputs_and_outputs_are_checked() -> None:
    z = rustorch.tensor([1 + 2j, -0.5 + 0.25j], dtype=rustorch.complex128, requires_grad=True)
    w = rustorch.tensor([0.5, 2.0], dtype=rustorch.float64, requires_grad=True)
    assert rustorch.gradcheck(lambda z, w: (z * z * w, rustorch.abs(z)), (z, w))
    assert rustorch.gradgradcheck(lambda z, w: [z * z * w, rustorch.real(z) * w], (z, w))
    conjugated = _primitive(lambda xp, g, x: 3 * g * x * x)  # without the conjugate: right for real numbers alone
    assert not rustorch.gradcheck(conjugated, z, raise_exception=False)


def test_inputs_without_grad_and_integer_outputs_are_not_checked() -> None:
    x, w = _x(Target("cpu")), rustorch.tensor([1.0, 2.0, 3.0], dtype=rustorch.float64)
    assert rustorch.gradcheck(lambda x, w: (NONE(w) * x, rustorch.argmax(x)), (x, w))
    assert rustorch.gradgradcheck(lambda x, w: (NONE(w) * x * x, rustorch.argmax(x)), (x, w))


def test_the_callers_inputs_do_not_change() -> None:
    x = _x(Target("cpu"))
    before = x.data.copy()
    rustorch.gradcheck(RIGHT, x)
    rustorch.gradgradcheck(RIGHT, x)
    numpy.testing.assert_array_equal(x.data, before)
    assert x.grad is None


def test_gradgradcheck_takes_grad_outputs() -> None:
    x, start = _x(Target("cpu")), rustorch.tensor([1.0, -1.0, 2.0], dtype=rustorch.float64)
    assert rustorch.gradgradcheck(RIGHT, x, start)
    assert not start.requires_grad
    with pytest.raises(ValueError, match=r"2 grad_outputs for 1 outputs"):
        rustorch.gradgradcheck(RIGHT, x, [start, start])


def test_inputs_that_cannot_be_checked_raise() -> None:
    x = _x(Target("cpu"))
    with pytest.raises(TypeError, match=r"input 0 is float32, .* double\(\)"):
        rustorch.gradcheck(RIGHT, x.detach().float().requires_grad_())
    with pytest.raises(ValueError, match=r"none of the 1 inputs requires grad; .*requires_grad=True"):
        rustorch.gradcheck(RIGHT, x.detach())
    with pytest.raises(TypeError, match=r"input 0 is a float, not a Variable"):
        rustorch.gradcheck(RIGHT, 2.0)
    with pytest.raises(TypeError, match=r"returned a float as output 0"):
        rustorch.gradcheck(lambda x: 1.0, x)


def test_it_agrees_with_pytorch_about_what_is_right_and_wrong() -> None:
    torch = pytest.importorskip("torch")
    x = _x(Target("cpu"))
    theirs = torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64, requires_grad=True)
    for ours, function in ((RIGHT, lambda x: x**3), (NONE, lambda x: x.detach() ** 2 * x)):
        assert rustorch.gradcheck(ours, x, raise_exception=False) == torch.autograd.gradcheck(
            function, theirs, raise_exception=False
        )
