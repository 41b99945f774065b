"""Primitive: checks of a definition, and errors of wrong rules."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd.primitive import Primitive
from tests.support.differences import check
from tests.support.target import Target


def _primitive(name: str = "test_op", **rules: Any) -> Primitive:
    return Primitive(name, lambda xp, x, y, /, scale: x * y * scale, register=False, **rules)


def test_a_rule_for_an_input_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match=r"test_op: rules for \['z'\], but the inputs are \['x', 'y'\]"):
        _primitive(z=lambda xp, g: g)


def test_a_rule_that_names_an_unknown_value_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"test_op: a rule takes xp, g, and any of .*'scale', 'out'.*\['xp', 'g', 'w'\]"
    ):
        _primitive(x=lambda xp, g, w: g)
    with pytest.raises(TypeError, match=r"takes xp, g"):
        _primitive(x=lambda g: g)


def test_a_correct_primitive_has_first_and_second_derivatives(backend: Target) -> None:
    right = _primitive(x=lambda xp, g, y, scale: g * y * scale, y=lambda xp, g, x, scale: g * x * scale)
    at = [numpy.array([1.0, 2.0]), numpy.array([3.0, -1.0])]
    check(lambda x, y: right(x, y, 2.0), at, backend, order=2)


def test_only_what_the_rules_of_tracked_inputs_name_is_kept() -> None:
    primitive = _primitive(x=lambda xp, g, y: g * y, y=lambda xp, g, x_shape: g)
    x, y = rustorch.tensor([1.0, 2.0]), rustorch.tensor([3.0, 4.0])
    assert primitive(x, y, 1.0).grad_fn is None
    assert primitive(x.clone().requires_grad_(), y, 1.0).grad_fn.saved == (y.data,)
    assert primitive(x, y.clone().requires_grad_(), 1.0).grad_fn.saved == ((2,),)


def test_an_input_without_a_rule_gets_no_gradient() -> None:
    primitive = _primitive(x=lambda xp, g, y: g * y)
    y = rustorch.tensor([3.0, 4.0], requires_grad=True)
    assert not primitive(rustorch.tensor([1.0, 2.0]), y, 1.0).requires_grad


WRONG = {
    "a factor": lambda xp, g, y, scale: g * y * scale * 1.001,
    "a sign": lambda xp, g, y, scale: -g * y * scale,
    "an option forgotten": lambda xp, g, y: g * y,
    "one element": lambda xp, g, y, scale: xp.concat([g[:1] * y[:1] * scale, g[1:]]),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_the_difference_checker_finds_a_wrong_rule(mistake: str, backend: Target) -> None:
    wrong = _primitive(x=WRONG[mistake], y=lambda xp, g, x, scale: g * x * scale)
    at = [numpy.array([1.0, 2.0]), numpy.array([3.0, -1.5])]
    with pytest.raises(AssertionError, match="grad of input 0"):
        check(lambda x, y: wrong(x, y, 2.0), at, backend)


def test_the_difference_checker_finds_a_rule_that_is_right_in_first_order_only(backend: Target) -> None:
    def detached(xp: Any, g: Any, out: Any) -> Any:
        """A rule whose result does not depend on x in mode 2, though it should."""
        return g * (out.detach() if isinstance(out, rustorch.Variable) else out)

    half = Primitive("half", lambda xp, x, /: xp.exp(x), register=False, x=detached)
    at = [numpy.array([0.3, 0.7])]
    check(half, at, backend, order=1)
    with pytest.raises(AssertionError, match="second derivative in input 0"):
        check(half, at, backend, order=2)


def test_the_difference_checker_finds_a_missing_conjugate() -> None:
    wrong = Primitive("test_square", lambda xp, x, /: x * x, register=False, x=lambda xp, g, x: g * 2 * x)
    with pytest.raises(AssertionError, match="grad of input 0"):
        check(wrong, [numpy.array([1.0 + 2.0j])], Target("cpu"))


def test_a_rule_that_returns_a_wrong_shape_is_named(backend: Target) -> None:
    wrong = _primitive(x=lambda xp, g, y: g[:1], y=lambda xp, g, x: xp.reshape(g, (2, 1)))
    x, y = backend.variable([1.0, 2.0, 3.0], requires_grad=True), backend.variable([1.0, 1.0, 1.0])
    with pytest.raises(
        RuntimeError, match=r"test_op: the rule of input 'x' returned a gradient of shape \(1,\).*\(3,\)"
    ):
        wrong(x, y, 1.0).sum().backward()
    assert x.grad is None
    a, b = backend.variable([1.0, 2.0]), backend.variable([1.0, 1.0], requires_grad=True)
    with pytest.raises(
        RuntimeError, match=r"test_op: the rule of input 'y' returned a gradient of shape \(2, 1\).*\(2,\)"
    ):
        wrong(a, b, 1.0).sum().backward()


def test_a_failing_forward_names_the_operation_the_shapes_and_the_dtypes(backend: Target) -> None:
    x, y = backend.variable([1.0, 2.0, 3.0]), backend.variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"multiply: shapes \(3,\) and \(2,\) do not broadcast"):
        x * y
    fails = Primitive("test_fails", lambda xp, x, /: 1 / 0, register=False)
    with pytest.raises(RuntimeError, match=r"test_fails of float64\(3,\): division by zero"):
        fails(x)


def test_a_call_without_an_array_is_refused() -> None:
    with pytest.raises(TypeError, match=r"add needs at least one array; got the Python numbers 1 and 2"):
        rustorch.add(1, 2)
    with pytest.raises(TypeError, match=r"sin takes Variables, arrays and Python numbers, not list.*rustorch\.asarray"):
        rustorch.sin([1.0, 2.0])


def test_a_rule_that_calls_no_kernel_says_what_it_may_call() -> None:
    odd = Primitive("odd", lambda xp, x, /: xp.exp(x), x=lambda xp, g, x: xp.odd_grad(g, x), register=False)
    x = rustorch.tensor([1.0], requires_grad=True)
    with pytest.raises(
        AttributeError, match=r"xp\.odd_grad: a rule may call the functions of the standard and the kernels"
    ):
        rustorch.grad(odd(x).sum(), x, create_graph=True)


# -- pairs: one rule for a weight and a bias ---------------------------------------------------------------------------
def _paired(calls: list[str]) -> Primitive:
    def both(xp: Any, g: Any, x: Any) -> Any:
        calls.append("both")
        return g * x, xp.sum(g, axis=0)

    def of_weight(xp: Any, g: Any, x: Any) -> Any:
        calls.append("weight")
        return g * x

    def of_bias(xp: Any, g: Any) -> Any:
        calls.append("bias")
        return g

    return Primitive(
        "scaled", lambda xp, x, weight, bias, /: x * weight + bias, x=lambda xp, g, weight: g * weight,
        weight=of_weight, bias=of_bias, pair=both, register=False,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["backward", "general", "create_graph"])
@pytest.mark.parametrize("computed", [False, True])
def test_a_pair_has_one_rule_if_both_are_tracked(path: str, computed: bool, backend: Target) -> None:
    """On both paths of the engine, for leaves and for computed weights and biases."""
    calls: list[str] = []
    scaled = _paired(calls)
    at = [numpy.array([[1.0, 2.0], [3.0, 4.0]]), numpy.array([[0.5, -1.0], [2.0, 1.0]]), numpy.array([1.0, -2.0])]
    leaves = [backend.variable(a, "float64", requires_grad=True) for a in at]
    x, weight, bias = [leaf * 2.0 for leaf in leaves] if computed else leaves
    out = scaled(x, weight, bias).sum()
    if path == "backward":
        out.backward()
        found = [leaf.grad for leaf in leaves]
    else:
        found = rustorch.grad(out, leaves, create_graph=path == "create_graph")
    factor = 2.0 if computed else 1.0
    expected = [factor**2 * at[1], factor**2 * at[0], factor * numpy.full(2, 2.0)]
    for gradient, value in zip(found, expected, strict=True):
        numpy.testing.assert_array_equal(backend.numpy(gradient), value)
    assert calls == ["both"]


def test_one_of_a_pair_has_its_own_rule(backend: Target) -> None:
    calls: list[str] = []
    scaled = _paired(calls)
    x, weight, bias = (backend.variable([[1.0, 2.0]], "float64", requires_grad=True) for _ in range(3))
    scaled(x.detach(), weight.detach(), bias).sum().backward()
    scaled(x, weight, bias.detach()).sum().backward()
    out = scaled(x, weight, bias).sum()  # both are tracked, and one gradient is asked for
    for create_graph in (False, True):
        (of_bias,) = rustorch.grad(out, bias, retain_graph=True, create_graph=create_graph)
        (of_weight,) = rustorch.grad(out, weight, retain_graph=True, create_graph=create_graph)
        assert (backend.numpy(of_bias).tolist(), backend.numpy(of_weight).tolist()) == ([[1.0, 1.0]], [[1.0, 2.0]])
    assert calls == ["bias", "weight"] + ["bias", "weight"] * 2
    assert [backend.numpy(v.grad).tolist() for v in (x, weight, bias)] == [[[1.0, 2.0]]] * 2 + [[[1.0, 1.0]]]


def test_a_pair_has_second_derivatives(backend: Target) -> None:
    check(
        _paired([]), [numpy.array([[1.0, 2.0]]), numpy.array([[0.5, -1.0]]), numpy.array([1.0, 3.0])], backend, order=2
    )


def test_the_gradient_of_a_bias_depends_on_no_value() -> None:
    x, weight = (rustorch.tensor([[1.0, 2.0]], requires_grad=True) for _ in range(2))
    bias = rustorch.tensor([1.0], requires_grad=True)
    of_weight, of_bias = rustorch.grad(
        rustorch.nn.functional.linear(x, weight, bias).sum(), [weight, bias], create_graph=True
    )
    assert of_weight.requires_grad and not of_bias.requires_grad


def test_a_rule_of_a_pair_that_takes_something_else_is_refused() -> None:
    expected = r"test_op: a pair needs a rule for each of the inputs \['x', 'y'\]; the rule of the pair takes what"
    for rules in (
        {"x": lambda xp, g, y: g, "y": lambda xp, g: g, "pair": lambda xp, g, x: (g, g)},
        {"x": lambda xp, g, y: g, "y": lambda xp, g, x: g, "pair": lambda xp, g, y: (g, g)},
        {"x": lambda xp, g: g, "pair": lambda xp, g: (g, g)},
        {"x": lambda xp, g: g, "y": lambda xp, g: g, "pair": lambda xp, g: (g, g), "joint": lambda xp, g: (g, g)},
    ):
        with pytest.raises(TypeError, match=expected):
            _primitive(**rules)
    with pytest.raises(TypeError, match=r"one: a pair needs a rule for each of the inputs \['x'\]"):
        Primitive("one", lambda xp, x, /: x, register=False, x=lambda xp, g: g, pair=lambda xp, g: (g, g))
