"""no_grad, enable_grad, set_grad_enabled: as context managers, as decorators, in generators, per thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import rustorch
from rustorch.autograd import graph


def test_modes_work_as_context_managers() -> None:
    x = rustorch.tensor(1.0, requires_grad=True)
    with rustorch.no_grad():
        assert not rustorch.is_grad_enabled()
        assert not (x * 2).requires_grad
        with rustorch.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_an_exception_restores_the_mode() -> None:
    with pytest.raises(KeyError), rustorch.no_grad():
        raise KeyError
    assert rustorch.is_grad_enabled()


def test_one_object_can_be_entered_again_and_inside_itself() -> None:
    off = rustorch.no_grad()
    with off, off:
        assert not rustorch.is_grad_enabled()
    assert rustorch.is_grad_enabled()
    with off:
        assert not rustorch.is_grad_enabled()
    assert rustorch.is_grad_enabled()


DECORATORS = {
    "bare": lambda: rustorch.no_grad,
    "called": lambda: rustorch.no_grad(),
    "set": lambda: rustorch.set_grad_enabled(False),
}


@pytest.mark.parametrize("kind", DECORATORS)
def test_modes_work_as_decorators(kind: str) -> None:
    @DECORATORS[kind]()
    def function(n: int, *, by: int = 1) -> tuple[bool, int]:
        """Its docstring."""
        return rustorch.is_grad_enabled(), n * by

    assert rustorch.is_grad_enabled()
    assert function(2, by=3) == (False, 6)
    assert function(1) == (False, 1)
    assert rustorch.is_grad_enabled()
    assert function.__doc__ == "Its docstring."
    assert function.__name__ == "function"


def test_a_decorated_function_that_raises_restores_the_mode() -> None:
    @rustorch.no_grad
    def function() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        function()
    assert rustorch.is_grad_enabled()


def test_a_generator_is_in_its_mode_and_its_caller_is_not() -> None:
    @rustorch.no_grad()
    def generate() -> Iterator[bool]:
        got = yield rustorch.is_grad_enabled()
        assert got == "sent"
        yield rustorch.is_grad_enabled()
        return "returned"

    steps = generate()
    assert next(steps) is False
    assert rustorch.is_grad_enabled()
    assert steps.send("sent") is False
    assert rustorch.is_grad_enabled()
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value == "returned"


def test_a_generator_can_catch_what_is_thrown_and_cleans_up_when_closed() -> None:
    cleaned = []

    @rustorch.no_grad()
    def generate() -> Iterator[str]:
        try:
            try:
                yield "first"
            except KeyError:
                yield "caught"
        finally:
            cleaned.append(rustorch.is_grad_enabled())

    steps = generate()
    assert next(steps) == "first"
    assert steps.throw(KeyError()) == "caught"
    steps.close()
    assert cleaned == [False]
    assert rustorch.is_grad_enabled()


def test_set_grad_enabled_switches_at_once_or_for_a_while() -> None:
    rustorch.set_grad_enabled(False)
    assert not rustorch.is_grad_enabled()
    rustorch.set_grad_enabled(True)
    assert rustorch.is_grad_enabled()
    with rustorch.set_grad_enabled(False):
        assert not rustorch.is_grad_enabled()
        with rustorch.set_grad_enabled(True):
            assert rustorch.is_grad_enabled()
        assert not rustorch.is_grad_enabled()
    assert rustorch.is_grad_enabled()


def test_the_mode_is_each_threads_own() -> None:
    seen: list[bool] = []
    with rustorch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(rustorch.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]

    thread = threading.Thread(target=lambda: rustorch.set_grad_enabled(False))
    thread.start()
    thread.join()
    assert rustorch.is_grad_enabled()


def test_a_thread_that_ended_without_recording_changes_nothing_for_others() -> None:
    def end() -> None:
        rustorch.no_grad().__enter__()

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    x = rustorch.tensor([1.0], requires_grad=True)
    assert (x * 2).requires_grad and rustorch.tanh(x).requires_grad
    with rustorch.no_grad():
        assert not (x * 2).requires_grad and not rustorch.tanh(x).requires_grad
    assert rustorch.sum(x).requires_grad


def test_a_recorded_node_is_what_node_makes() -> None:
    """`record` sets the fields of a node without the call of its constructor."""
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    node = rustorch.tanh(x).grad_fn
    made = graph.Node(node.plan, node.parents, node.saved, node.saved[0])
    for name in set(graph.Node.__slots__) - {"__weakref__", "seq"}:
        assert getattr(made, name) is getattr(node, name) or getattr(made, name) == getattr(node, name), name
