"""register_hook and retain_grad."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from tests.support.target import Target


def test_a_hook_of_a_leaf_sees_and_replaces_its_gradient(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(backend.numpy(g).copy()))
    x.register_hook(lambda g: g * 10)
    (x * x + x).sum().backward()
    numpy.testing.assert_allclose(seen, [[3.0, 5.0]])  # once, with everything that arrived
    numpy.testing.assert_allclose(backend.numpy(x.grad), [30.0, 50.0])


def test_a_hook_gets_an_array_without_dimensions_as_an_array(backend: Target) -> None:
    x = backend.variable(1.0, requires_grad=True)
    x.register_hook(lambda g: g * 10)
    (x * 2 + x * 3).backward()
    assert float(backend.numpy(x.grad)) == 50.0


def test_a_hook_of_a_computed_value_changes_what_flows_on(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.register_hook(lambda g: -g)
    (y * y).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [-18.0, -36.0])


def test_hooks_run_in_order_and_can_be_removed(backend: Target) -> None:
    x = backend.variable(1.0, requires_grad=True)
    calls: list[str] = []
    first = x.register_hook(lambda g: calls.append("first"))
    with x.register_hook(lambda g: calls.append("second")):
        (x * 2).backward()
    first.remove()
    first.remove()  # a second time does nothing
    (x * 2).backward()
    assert calls == ["first", "second"]


def test_a_hook_takes_part_in_second_derivatives(backend: Target) -> None:
    x = backend.variable(2.0, requires_grad=True)
    y = x**3
    y.register_hook(lambda g: g * 2)
    (g,) = rustorch.grad(y, x, create_graph=True)
    (second,) = rustorch.grad(g, x)
    assert float(backend.numpy(second)) == pytest.approx(24.0)


def test_a_hook_that_returns_no_variable_or_another_shape_raises(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    with x.register_hook(lambda g: 3), pytest.raises(TypeError, match="a hook returns a Variable or None, not int"):
        x.sum().backward()
    with x.register_hook(lambda g: g[:1]), pytest.raises(ValueError, match=r"shape \(1,\) for one of \(2,\)"):
        x.sum().backward()
    assert x.grad is None


def test_hooks_of_untracked_values_are_refused(backend: Target) -> None:
    with pytest.raises(RuntimeError, match="does not require grad"):
        backend.variable(1.0).register_hook(print)
    with pytest.raises(RuntimeError, match="does not require grad"):
        backend.variable(1.0).retain_grad()


def test_retain_grad_keeps_the_gradient_of_a_computed_value(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    y = x * 3
    assert not y.is_leaf
    y.retain_grad()
    y.register_hook(lambda g: g * 2)  # what is retained is what flows on
    (y * y).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(y.grad), [12.0, 24.0])
    numpy.testing.assert_allclose(backend.numpy(x.grad), [36.0, 72.0])
    x.retain_grad()  # of a leaf: nothing to do
    z = x * 2
    z.sum().backward()
    assert z.grad is None
