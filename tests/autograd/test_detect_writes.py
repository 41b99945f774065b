"""detect_writes: arrays that a program changes directly between a call and its backward."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd import Function, detect_writes
from rustorch.autograd.graph import FAST_TYPES, VARIABLES
from tests.support.target import Target

MESSAGE = (
    r"{}: {}, an array of float64 and shape \({}\), was changed after the call, .*Call backward first.*copy=True.* "
    r"was called at "
)


def message(name: str, argument: str, shape: str = "2,") -> str:
    return MESSAGE.format(name, argument, shape)


def rewrite(array: Any, value: float = 7.0) -> None:
    """Write into a native array without rustorch."""
    getattr(array, "_array", array)[...] = value


@pytest.fixture
def mutable(backend: Target) -> Target:
    if backend.device == "jax":
        pytest.skip("jax: arrays are never written in place")
    return backend


def test_the_error_names_an_array_that_was_filled_again(mutable: Target) -> None:
    x, buffer = mutable.variable([1.0, 2.0], requires_grad=True), mutable.array([3.0, 4.0])
    with detect_writes():
        y = (x * rustorch.asarray(buffer)).sum()
    rewrite(buffer)
    with pytest.raises(RuntimeError, match=message("multiply", "x2")) as raised:
        y.backward()
    assert x.grad is None
    assert Path(__file__).name in str(raised.value)


def test_without_it_the_wrong_gradient_comes_without_an_error(mutable: Target) -> None:
    x, buffer = mutable.variable([1.0, 2.0], requires_grad=True), mutable.array([3.0, 4.0])
    y = (x * rustorch.asarray(buffer)).sum()
    rewrite(buffer)
    y.backward()
    numpy.testing.assert_array_equal(mutable.numpy(x.grad), [7.0, 7.0])


def test_writes_into_a_leafs_data_and_into_an_output_raise(mutable: Target) -> None:
    x = mutable.variable([1.0, 2.0], requires_grad=True)
    with detect_writes():
        y = rustorch.sin(x)
        rewrite(x.data)
        with pytest.raises(RuntimeError, match=message("sin", "x")):
            y.sum().backward()
        y = rustorch.exp(x)
        rewrite(y.data)
        with pytest.raises(RuntimeError, match=message("exp", "out")):
            y.sum().backward()
        w, b = mutable.variable([[1.0, 2.0]], requires_grad=True), mutable.variable([0.0], requires_grad=True)
        given = mutable.array([[1.0, 2.0]])
        y = rustorch.nn.functional.linear(rustorch.asarray(given), w, b)
        rewrite(given)
        with pytest.raises(RuntimeError, match=message("linear", "x", "1, 2")):
            y.sum().backward()


def test_arrays_that_no_rule_saves_may_change(mutable: Target) -> None:
    x, buffer = mutable.variable([1.0, 2.0], requires_grad=True), mutable.array([3.0, 4.0])
    with detect_writes():
        y = (x + rustorch.asarray(buffer)).sum()  # add keeps nothing
        rewrite(buffer)
        y.backward()
        z = (x * rustorch.asarray(buffer)).sum()
        z.backward()
        rewrite(buffer, 9.0)  # after its last use
        (x * rustorch.asarray(buffer)).sum().backward()
        (x * rustorch.asarray(buffer).clone()).sum()
    numpy.testing.assert_array_equal(mutable.numpy(x.grad), [17.0, 17.0])
    y = (x * rustorch.asarray(buffer, copy=True)).sum()  # outside of it, and the cure
    rewrite(buffer)
    y.backward()
    numpy.testing.assert_array_equal(mutable.numpy(x.grad), [26.0, 26.0])


def test_only_the_saved_values_of_the_requested_gradient_are_compared() -> None:
    x, w = (rustorch.tensor([1.0, 2.0], dtype=rustorch.float64, requires_grad=True) for _ in range(2))
    with detect_writes():
        y = (x * w).sum()
        x.data[:] = 5.0
    (g,) = rustorch.grad(y, x, retain_graph=True)
    assert g.tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match=message("multiply", "x1")):
        rustorch.grad(y, w)


def test_an_array_with_its_old_values_raises_nothing() -> None:
    x, buffer = rustorch.tensor([1.0, 2.0], dtype=rustorch.float64, requires_grad=True), numpy.array([3.0, 4.0])
    with detect_writes():
        y = (x * rustorch.asarray(buffer)).sum()
        buffer += 1.0
        buffer -= 1.0
    y.backward()


def test_writes_before_a_second_derivative_raise(mutable: Target) -> None:
    x, buffer = mutable.variable([1.0, 2.0], requires_grad=True), mutable.array([3.0, 4.0])
    with detect_writes():
        y = (x * x * rustorch.asarray(buffer)).sum()
        (first,) = rustorch.grad(y, x, create_graph=True)
        (second,) = rustorch.grad(first.sum(), x, retain_graph=True)
        numpy.testing.assert_array_equal(mutable.numpy(second), [6.0, 8.0])
        rewrite(buffer)
        with pytest.raises(RuntimeError, match=message("multiply", "x2")):
            rustorch.grad(y, x, create_graph=True)
        z = x * x * x
        (first,) = rustorch.grad(z.sum(), x, create_graph=True)
        rewrite(x.data)
        with pytest.raises(RuntimeError, match=r"multiply: x[12], an array"):  # recorded by the first backward
            rustorch.grad(first.sum(), x)


def test_by_products_that_mode_2_computes_anew_raise_nothing(mutable: Target) -> None:
    rng = numpy.random.default_rng(0)
    x = mutable.variable(rng.standard_normal((4, 3)), requires_grad=True)
    with detect_writes():
        y = rustorch.nn.functional.layer_norm(x, (3,))
        y = rustorch.nn.functional.cross_entropy(y, rustorch.asarray([0, 1, 2, 0], device=mutable.device))
        (first,) = rustorch.grad(y, x, create_graph=True)
        (first * first).sum().backward()
    assert x.grad is not None


def test_networks_train_to_the_same_numbers(mutable: Target) -> None:
    rustorch.manual_seed(0)
    model = rustorch.nn.Sequential(
        rustorch.nn.Linear(3, 8, device=mutable.device),
        rustorch.nn.ReLU(),
        rustorch.nn.Dropout(0.5),
        rustorch.nn.Linear(8, 2, device=mutable.device),
    )
    optimizer = rustorch.optim.Adam(model.parameters())
    x = rustorch.rand(4, 3, device=mutable.device)
    with detect_writes(), detect_writes():
        for _ in range(3):
            optimizer.zero_grad()
            model(x).sum().backward()
            optimizer.step()  # writes into parameters after their last use


def test_writes_between_the_two_calls_of_a_checkpoint_raise(mutable: Target) -> None:
    x, buffer = mutable.variable([1.0, 2.0], requires_grad=True), mutable.array([3.0, 4.0])
    part = lambda x: rustorch.exp(x * rustorch.asarray(buffer)).sum()  # noqa: E731
    with detect_writes():
        rustorch.checkpoint(part, x).backward()
        y = rustorch.checkpoint(part, x)
        rewrite(buffer)
        with pytest.raises(RuntimeError, match="was changed after the call"):
            y.backward()


def test_writes_into_saved_values_of_a_function_raise() -> None:
    class Scaled(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, scale: Any) -> Any:
            ctx.save_for_backward(scale)
            return x * scale

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0], None

    x, buffer = rustorch.tensor([1.0, 2.0], dtype=rustorch.float64, requires_grad=True), numpy.array([3.0, 4.0])
    with detect_writes():
        Scaled.apply(x, rustorch.asarray(buffer)).sum().backward()
        y = Scaled.apply(x, rustorch.asarray(buffer)).sum()
        buffer[:] = 0.0
        with pytest.raises(RuntimeError, match=message("Scaled", "saved value 0")):
            y.backward()


def test_writes_through_views_and_into_one_of_several_outputs_raise() -> None:
    buffer = numpy.arange(8.0).reshape(2, 4)
    x = rustorch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=rustorch.float64, requires_grad=True)
    with detect_writes():
        y = (x * rustorch.asarray(buffer[:, ::2])).sum()
        buffer[:, 1] = -1.0  # between the elements of the view
        y.backward(retain_graph=True)
        buffer[0, 2] = -1.0
        with pytest.raises(RuntimeError, match=message("multiply", "x2", "2, 2")):
            y.backward()
        values, vectors = rustorch.linalg.eigh(x)
        vectors.data[...] = 0.0
        with pytest.raises(RuntimeError, match=r"eigh: out\[1\], an array"):
            values.sum().backward()


def test_it_applies_to_one_thread_and_the_fast_paths_come_back_afterwards() -> None:
    x, buffer = rustorch.tensor([1.0, 2.0], requires_grad=True), numpy.array([3.0, 4.0], "float32")
    found: list[Any] = []

    def other() -> None:
        y = (x * rustorch.asarray(buffer)).sum()
        buffer[:] += 1.0
        found.append(rustorch.grad(y, x))

    with detect_writes():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with rustorch.detect_anomaly():
            y = (x * rustorch.asarray(buffer)).sum()
        assert not FAST_TYPES
        buffer[:] += 1.0
        with pytest.raises(RuntimeError, match="was changed after the call"):
            y.backward()
    assert found
    assert FAST_TYPES == VARIABLES
    with rustorch.detect_anomaly():
        with detect_writes():
            pass
        with pytest.raises(RuntimeError, match="the result of multiply holds inf"):
            x * float("inf")


def test_arrays_of_jax_are_not_read() -> None:
    pytest.importorskip("jax")
    x = rustorch.tensor([1.0, 2.0], device="jax", requires_grad=True)
    with detect_writes():
        (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
