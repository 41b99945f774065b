"""checkpoint: gradients of every order equal those of a plain call, memory is saved, and differing calls raise."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import checkpoint, nn
from rustorch.autograd import Function
from tests.support.target import Target


def plain(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """The plain call that checkpoint is compared with."""
    return function(*args, **kwargs)


def _same(function: Callable, backend: Target, *shapes: tuple[int, ...]) -> None:
    """``function(run, *xs)``, a real number, has the same value and gradients with either way to run its parts."""
    rng = numpy.random.default_rng(5)
    at = [rng.uniform(0.2, 1.0, shape) for shape in shapes]
    results = []
    for run in (plain, checkpoint):
        xs = [backend.variable(a, requires_grad=True) for a in at]
        rustorch.manual_seed(3)
        out = function(run, *xs)
        out.backward()
        after = rustorch.rand(2, device=backend.device)
        results.append([backend.numpy(v) for v in (out, *[x.grad for x in xs], after)])
    for one, two in zip(*results, strict=True):
        numpy.testing.assert_array_equal(one, two)


def test_gradients_reach_arguments_and_captured_variables(backend: Target) -> None:
    def program(run: Callable, x: Any, w: Any, v: Any) -> Any:
        hidden = rustorch.exp(w)  # computed outside, read inside

        def part(h: Any) -> Any:
            return rustorch.tanh(rustorch.matmul(h, hidden)) * rustorch.sin(v) + h

        for _ in range(3):
            x = run(part, x)
        return (x * hidden[0, ...] * v).sum()

    _same(program, backend, (2, 3), (3, 3), (3,))


def test_a_module_trains_as_without_a_checkpoint(backend: Target) -> None:
    x, y = backend.variable([[0.1, -0.3], [0.5, 0.2]], "float32"), backend.variable([[1.0], [0.0]], "float32")
    losses = []
    for run in (plain, checkpoint):
        rustorch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).to(backend.device)
        optimizer = rustorch.SGD(model.parameters(), lr=0.1, momentum=0.9)
        history = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = ((run(model, x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        losses.append(history)
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]


def test_arguments_may_be_trees_options_and_other_values(backend: Target) -> None:
    def part(tree: Any, power: int, *, scale: Any, name: str) -> Any:
        a, (b, nothing) = tree["a"], tree["b"]
        assert nothing is None and name == "part"
        return {"sum": a * scale + b**power, "rest": [rustorch.exp(a), name]}, a.shape

    def program(run: Callable, a: Any, b: Any, scale: Any) -> Any:
        out, shape = run(part, {"a": a, "b": (b, None)}, 3, scale=scale, name="part")
        assert out["rest"][1] == "part" and shape == (3,)
        return (out["sum"] * out["rest"][0]).sum()

    _same(program, backend, (3,), (3,), ())


def test_a_function_may_return_outputs_that_are_not_used(backend: Target) -> None:
    def part(x: Any) -> tuple:
        return rustorch.sqrt(x), x * 2, rustorch.argmax(x), x

    x = backend.variable([0.0, 4.0], requires_grad=True)
    root, double, place, same = checkpoint(part, x)
    assert not place.requires_grad
    assert same is x
    double.sum().backward()  # the infinite slope of the root does not get in
    assert backend.numpy(x.grad).tolist() == [2.0, 2.0]
    with numpy.errstate(invalid="ignore"):
        (g,) = rustorch.grad(root, x, backend.variable([0.0, 1.0]), retain_graph=True)
    assert backend.numpy(g)[1] == 0.25


def test_operations_with_several_outputs_have_their_gradients(backend: Target) -> None:
    def part(x: Any) -> Any:
        values, vectors = rustorch.linalg.eigh(x + rustorch.matrix_transpose(x))
        return rustorch.matmul(vectors, vectors * values)

    _same(lambda run, x: (run(part, x) * x).sum(), backend, (3, 3))


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * g * x * x


def _parts() -> Iterator[tuple[str, Callable]]:
    yield "elementwise", lambda x: rustorch.tanh(x * x) / rustorch.exp(x)
    yield "matrices", lambda x: rustorch.matmul(rustorch.matmul(x, x), rustorch.sin(x))
    yield "softmax", lambda x: rustorch.Softmax(dim=1)(x) * rustorch.sum(x * x, axis=0)
    yield "indexing", lambda x: x[..., 0] * x[1, ...] + rustorch.take(x, rustorch.argsort(x[0, ...]), axis=1)[0, ...]
    yield "locally constant gradients", lambda x: rustorch.maximum(x, x * x) + rustorch.clip(x, 0.25, 0.5)
    yield "a Function", lambda x: Cube.apply(rustorch.sin(x)) * x
    yield "many outputs", lambda x: rustorch.linalg.qr(x)[0] * rustorch.linalg.qr(x)[1]
    yield (
        "nested",
        lambda x: (
            checkpoint(lambda y: checkpoint(rustorch.tanh, y * y) * checkpoint(Cube.apply, y), rustorch.exp(x)) * x
        ),
    )
    yield "a derivative inside", lambda x: rustorch.func.grad(lambda y: (rustorch.sin(y) * x).sum())(x * x)


PARTS = dict(_parts())


@pytest.mark.parametrize("name", PARTS)
def test_second_derivatives_equal_those_without_a_checkpoint(name: str, backend: Target) -> None:
    """Compare second derivatives with differences of first ones, and first ones with differences of values."""
    x = backend.variable(numpy.array([[0.7, 0.2], [0.3, 0.9]]), requires_grad=True)
    assert rustorch.gradgradcheck(lambda x: checkpoint(PARTS[name], x), x)


@pytest.mark.parametrize("name", PARTS)
def test_third_derivatives_equal_those_without_a_checkpoint(name: str, backend: Target) -> None:
    found = []
    for run in (plain, checkpoint):
        x = backend.variable(numpy.array([[0.7, 0.2], [0.3, 0.9]]), requires_grad=True)
        g = run(PARTS[name], x).sum()
        for _ in range(2):
            (g,) = rustorch.grad((g * x).sum(), x, create_graph=True)
        (g,) = rustorch.grad((g * g).sum(), x)
        found.append(backend.numpy(g))
    numpy.testing.assert_allclose(found[1], found[0], rtol=1e-11, atol=1e-11)


def test_grad_of_some_inputs_equals_that_without_a_checkpoint(backend: Target) -> None:
    x, w = (backend.variable([[0.5, 0.25], [1.0, -1.0]], requires_grad=True) for _ in range(2))
    middle = x * 3
    out = checkpoint(lambda h: rustorch.matmul(rustorch.tanh(h), w), middle).sum()
    gx, gm = rustorch.grad(out, [x, middle], retain_graph=True)
    numpy.testing.assert_array_equal(backend.numpy(gx), 3 * backend.numpy(gm))
    assert x.grad is None and w.grad is None
    (gw,) = rustorch.grad(out, w)
    expected = numpy.tanh(3 * backend.numpy(x)).sum(0)[:, None] * numpy.ones(2)
    numpy.testing.assert_allclose(backend.numpy(gw), expected, rtol=1e-12)


def test_backward_runs_twice_with_retain_graph(backend: Target) -> None:
    calls = []

    def part(x: Any) -> Any:
        calls.append(1)
        return rustorch.exp(rustorch.sin(x)) * x

    x = backend.variable([0.5, 1.5], requires_grad=True)
    out = checkpoint(part, x).sum()
    assert len(calls) == 1
    out.backward(retain_graph=True)
    once = backend.numpy(x.grad).copy()
    assert len(calls) == 2
    out.backward()
    assert len(calls) == 3
    numpy.testing.assert_array_equal(backend.numpy(x.grad), 2 * once)
    with pytest.raises(RuntimeError, match=r"was freed by an earlier backward.*retain_graph=True"):
        out.backward()
    assert len(calls) == 3


def test_one_backward_calls_the_function_once_more(backend: Target) -> None:
    calls = {"outer": 0, "inner": 0}

    def inner(x: Any) -> Any:
        calls["inner"] += 1
        return rustorch.tanh(x) * x

    def outer(x: Any) -> Any:
        calls["outer"] += 1
        return checkpoint(inner, checkpoint(inner, rustorch.exp(x)))

    x = backend.variable([0.5, 0.1], requires_grad=True)
    checkpoint(outer, x).sum().backward()
    assert calls == {"outer": 2, "inner": 6}  # each of two: forward, in the repetition of outer, and in its own


def test_the_function_is_called_once_where_nothing_is_recorded(backend: Target) -> None:
    calls = []

    def part(x: Any) -> Any:
        calls.append(rustorch.is_grad_enabled())
        return rustorch.exp(x)

    x = backend.variable([1.0], requires_grad=True)
    with rustorch.no_grad():
        assert not checkpoint(part, x).requires_grad
    assert not checkpoint(part, x.detach()).requires_grad
    assert checkpoint(lambda: "no Variable") == "no Variable"
    out = checkpoint(part, x)
    with rustorch.no_grad():
        out.backward()
    assert calls == [False, True, True, True]


# -- random numbers ----------------------------------------------------------------------------------------------------
def _dropout(x: Any) -> Any:
    keep = rustorch.astype(rustorch.rand(x.shape, device=x.device) < 0.5, x.dtype)
    return rustorch.exp(x) * keep * rustorch.randint(1, 9, x.shape, device=x.device).astype(x.dtype)


def test_the_second_call_draws_the_same_numbers_and_restores_the_generators(backend: Target) -> None:
    def program(run: Callable, x: Any) -> Any:
        for _ in range(3):
            x = run(lambda x: run(_dropout, rustorch.sin(x)) + _dropout(x * 0.1), x)
        return x.sum()

    _same(program, backend, (40,))


def test_the_second_call_makes_the_same_initial_weights(backend: Target) -> None:
    def part(x: Any) -> Any:
        return rustorch.tanh(nn.Linear(3, 3, device=backend.device)(x.float()))

    _same(lambda run, x: run(part, x).double().sum(), backend, (2, 3))


def test_without_preserve_rng_state_the_second_call_draws_other_numbers(backend: Target) -> None:
    x = backend.variable(numpy.ones(200), requires_grad=True)
    out = checkpoint(
        lambda x: rustorch.exp(x) * rustorch.rand(200, device=x.device).double(), x, preserve_rng_state=False
    )
    state = rustorch.get_rng_state(backend.device).tolist()
    out.sum().backward()
    assert backend.numpy(x.grad).tolist() != backend.numpy(out).tolist()
    assert rustorch.get_rng_state(backend.device).tolist() != state


def test_a_failure_in_the_second_call_restores_generators_and_modes(backend: Target) -> None:
    calls = []

    def part(x: Any) -> Any:
        calls.append(rustorch.rand(1, device=backend.device))
        if len(calls) > 1:
            raise ZeroDivisionError("on purpose")
        return rustorch.exp(x)

    x = backend.variable([1.0], requires_grad=True)
    out = checkpoint(part, x)
    state = rustorch.get_rng_state(backend.device).tolist()
    with pytest.raises(ZeroDivisionError, match="on purpose"), rustorch.no_grad():
        out.backward()
    assert rustorch.get_rng_state(backend.device).tolist() == state
    assert rustorch.is_grad_enabled()
    assert x.grad is None


def test_the_second_call_has_the_default_device_of_the_first(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    with rustorch.set_default_device(backend.device):
        out = checkpoint(lambda x: rustorch.exp(x) * rustorch.asarray([1.0, 2.0], dtype=x.dtype), x)
    out.sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), numpy.exp([1.0, 2.0]) * [1.0, 2.0], rtol=1e-12)


# -- hooks, and values inside ------------------------------------------------------------------------------------------
def test_hooks_get_the_same_gradients_as_without_a_checkpoint(backend: Target) -> None:
    def program(run: Callable) -> list:
        seen: list = []
        x, w = backend.variable([0.5, 1.0], requires_grad=True), backend.variable([2.0, 3.0], requires_grad=True)
        w.register_hook(lambda g: seen.append(("w", backend.numpy(g).tolist())))
        x.register_hook(lambda g: g * 10)

        def part(h: Any) -> Any:
            inner = rustorch.exp(h)
            inner.register_hook(lambda g: seen.append(("inner", backend.numpy(g).tolist())) or g * 2)
            return inner * w

        out = run(part, x * 2)
        out.register_hook(lambda g: seen.append(("out", backend.numpy(g).tolist())))
        (out + w).sum().backward()
        return [seen, backend.numpy(x.grad).tolist(), backend.numpy(w.grad).tolist()]

    assert program(checkpoint) == program(plain)


def test_values_stored_outside_the_function_have_their_gradients(backend: Target) -> None:
    store = []

    def part(x: Any) -> Any:
        store.append(rustorch.exp(x))
        return rustorch.sin(store[-1])

    x = backend.variable([0.3, 0.6], requires_grad=True)
    out = checkpoint(part, x)
    store[0].retain_grad()
    (out * store[0]).sum().backward()
    e = numpy.exp(backend.numpy(x))
    numpy.testing.assert_allclose(backend.numpy(store[0].grad), numpy.cos(e) * e + numpy.sin(e), rtol=1e-12)


def test_the_function_may_write_in_place(backend: Target) -> None:
    def part(x: Any) -> Any:
        scale = rustorch.zeros_like(x).detach()
        scale[...] = 2.0  # not recorded, into an array of the function's own
        y = rustorch.exp(x) * scale
        y[0] = x[1] * 3  # recorded
        return y

    _same(lambda run, x: (run(part, x) ** 2).sum(), backend, (3,))


def test_the_function_may_write_into_its_argument(backend: Target) -> None:
    def part(h: Any) -> Any:
        h[0] = h[1] * h[2]
        return rustorch.exp(h)

    _same(lambda run, x: run(part, x * 2).sum(), backend, (3,))


def test_detect_anomaly_finds_anomalies_in_a_checkpoint(backend: Target) -> None:
    x = backend.variable([0.0, 1.0], requires_grad=True)
    with numpy.errstate(divide="ignore"), rustorch.detect_anomaly():
        out = checkpoint(lambda x: rustorch.sqrt(x) * 2, x).sum()
        with pytest.raises(RuntimeError, match=r"the gradient of sqrt in input 'x' holds inf"):
            out.backward()


# -- memory ------------------------------------------------------------------------------------------------------------
def _peak(step: Callable[[], None]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_peak_memory_falls_with_the_square_root() -> None:
    """Of 36 layers, a plain call saves all outputs; 6 checkpoints save 6 inputs and the 6 outputs of one of them."""
    x = rustorch.randn(1 << 17, requires_grad=True)
    array = x.data.nbytes

    def block(h: Any, layers: int) -> Any:
        for _ in range(layers):
            h = rustorch.tanh(h)
        return h

    def step(run: Callable, times: int) -> None:
        h = x
        for _ in range(times):
            h = run(block, h, 36 // times)
        h.sum().backward()
        x.grad = None

    alone, several = _peak(lambda: step(plain, 1)), _peak(lambda: step(checkpoint, 6))
    nested = _peak(
        lambda: step(
            lambda block, h, n: checkpoint(lambda h: [h := checkpoint(block, h, n // 3) for _ in range(3)][-1], h), 3
        )
    )
    assert alone > 36 * array
    assert several < 15.5 * array
    assert nested < 12.5 * array


def test_a_retained_graph_drops_the_recomputed_values() -> None:
    x = rustorch.randn(1 << 17, requires_grad=True)

    def block(h: Any) -> Any:
        for _ in range(20):
            h = rustorch.tanh(h)
        return h

    out = checkpoint(block, x).sum()
    tracemalloc.start()
    out.backward(retain_graph=True)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak > 20 * x.data.nbytes
    assert after < 3 * x.data.nbytes  # the gradient, and little else


def test_memory_is_freed_without_the_garbage_collector(backend: Target) -> None:
    gc.collect()
    gc.disable()
    try:
        watched = []

        def part(h: Any, w: Any) -> Any:
            inner = rustorch.exp(h)
            watched.append(weakref.ref(inner._node))
            h[0] = w[0]
            return checkpoint(rustorch.tanh, inner * w) * h

        w = backend.variable([1.0, 2.0], requires_grad=True)
        for retain in (False, True):
            h = backend.variable([0.5, 0.25])
            out = checkpoint(part, h.detach() * w, w).sum()
            out.backward(retain_graph=retain)
        del out, h
        assert [node() for node in watched] == [None] * 4
    finally:
        gc.enable()


# -- what cannot be repeated -------------------------------------------------------------------------------------------
def _turns(*parts: Callable) -> Callable:
    """A function that differs in each call."""
    turns = iter(parts)
    return lambda x: next(turns)(x)


CHANGES = {
    "another shape": (
        (lambda x: rustorch.exp(x), lambda x: rustorch.exp(x[:1])),
        r"recorded 2 operations instead of 1",
    ),
    "another size": (
        (lambda x: rustorch.tanh(x[:2]), lambda x: rustorch.tanh(x[:1])),
        r"tanh returned shape \(1,\), dtype .*float64 instead of shape \(2,\)",
    ),
    "another operation": ((rustorch.exp, rustorch.sin), "recorded sin instead of exp"),
    "another number of inputs": ((lambda x: x * x, lambda x: x * 2.0), "multiply was called with other inputs"),
    "other inputs": (
        (lambda x: x[:2] * x[1:], lambda x: (lambda y: y * y)(x[:2])),
        "recorded 2 operations instead of 3",
    ),
    "nothing": ((rustorch.exp, lambda x: x.detach()), "recorded 0 operations instead of 1"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_second_call_that_differs_raises(name: str, backend: Target) -> None:
    parts, message = CHANGES[name]
    x = backend.variable([1.0, 2.0, 3.0], requires_grad=True)
    out = checkpoint(_turns(*parts), x)
    with pytest.raises(
        RuntimeError, match=rf"^checkpoint: called again for backward, .* the same: (it )?{message}"
    ) as failure:
        out.sum().backward()
    assert "hand a variable of a loop over as an argument" in str(failure.value)
    assert x.grad is None


def test_a_changed_loop_variable_raises(backend: Target) -> None:
    """Backward would call all of these functions with the last layer, and gradients would be silently wrong."""
    layers = [nn.Linear(2, 2, device=backend.device) for _ in range(3)]
    h = backend.variable([[1.0, 2.0]], "float32")
    for layer in layers:
        h = checkpoint(lambda h: rustorch.tanh(layer(h)), h)  # noqa: B023 - on purpose
    with pytest.raises(
        RuntimeError, match=r"linear was called with other inputs.*hand a variable of a loop over as an argument"
    ):
        h.sum().backward()
    h = x = backend.variable([1.0], requires_grad=True)
    for _ in range(2):
        h = checkpoint(lambda: rustorch.tanh(h))  # noqa: B023 - on purpose
    with pytest.raises(RuntimeError, match="tanh was called with other inputs"):
        h.sum().backward()
    assert x.grad is None


def test_leaves_made_by_the_function_are_no_difference(backend: Target) -> None:
    def part(x: Any) -> Any:
        own = rustorch.zeros_like(x).detach().requires_grad_()
        return checkpoint(lambda y: rustorch.exp(y + own) * own + y * y, x)

    _same(lambda run, x: run(part, x).sum(), backend, (3,))


def test_a_change_of_an_array_that_the_function_read_raises(backend: Target) -> None:
    x, w = backend.variable([1.0, 2.0]), backend.variable([3.0, 4.0], requires_grad=True)
    message = (
        r"^checkpoint: an array that the function read \(shape \(2,\)\) was changed after the call began.*clone\(\)"
    )

    def part(h: Any, constant: Any = 1.0) -> Any:
        return rustorch.exp(h * w * constant)

    out = checkpoint(part, x)
    with rustorch.no_grad():
        w *= 2
    with pytest.raises(RuntimeError, match=message):
        out.sum().backward()
    out = checkpoint(part, x)
    w.data = backend.array([1.0, 2.0])
    with pytest.raises(RuntimeError, match=message):
        out.sum().backward()
    if backend.library.mutable:
        out = checkpoint(part, x)
        x[0] = 5.0
        with pytest.raises(RuntimeError, match=message):
            out.sum().backward()
        captured = backend.variable([1.0, 1.0])
        out = checkpoint(lambda h: part(h, captured), x)
        captured[...] = 2.0
        with pytest.raises(RuntimeError, match=message):
            out.sum().backward()
    assert w.grad is None


def test_an_argument_written_into_under_no_grad_raises(backend: Target) -> None:
    if not backend.library.mutable:
        pytest.skip(f"{backend.device}: its arrays cannot be written")
    x, w = backend.variable([1.0, 2.0]), backend.variable([3.0, 4.0], requires_grad=True)

    def part(h: Any) -> Any:
        h += 1.0
        return rustorch.exp(h * w)

    out = checkpoint(part, x)
    with pytest.raises(RuntimeError, match="was changed after the call began"):
        out.sum().backward()


def test_use_reentrant_is_refused() -> None:
    assert checkpoint(lambda: 1, use_reentrant=False) == 1
    with pytest.raises(
        ValueError, match="use_reentrant=True is PyTorch's older way, which loses gradients; leave it out"
    ):
        checkpoint(lambda: 1, use_reentrant=True)
    assert rustorch.autograd.checkpoint is checkpoint
