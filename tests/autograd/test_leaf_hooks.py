"""register_post_accumulate_grad_hook, and watchers of several leaves."""

from __future__ import annotations

import copy
import functools
import gc
import weakref
from collections.abc import Sequence
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd import leaf_hooks
from rustorch.autograd.graph import general_path
from tests.support.cycles import leaves_none
from tests.support.target import Target


@pytest.fixture(params=["fast", "general"], autouse=True)
def path(request: pytest.FixtureRequest) -> Any:
    """Each test runs on the fast path of backward and on the general one."""
    if request.param == "fast":
        yield
        return
    with general_path():
        yield


def test_a_hook_sees_the_complete_gradient(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    seen: list[Any] = []
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append((leaf, backend.numpy(leaf.grad).copy())))
    for _ in range(2):
        (x * x + x * 3).sum().backward()
    assert [leaf is x for leaf, _ in seen] == [True, True]
    numpy.testing.assert_allclose([g for _, g in seen], [[5.0, 7.0], [10.0, 14.0]])


def test_hooks_run_while_backward_goes_on(backend: Target) -> None:
    first, second = (backend.variable([1.0, 2.0], requires_grad=True) for _ in range(2))
    plain = backend.variable([1.0, 2.0], requires_grad=True)
    order: list[str] = []
    y = plain * first
    y.register_hook(lambda g: order.append("rules before y"))

    def note(name: str, leaf: rustorch.Variable) -> None:
        order.append(name)

    for name, leaf in ("first", first), ("second", second):
        leaf.register_post_accumulate_grad_hook(functools.partial(note, name))
    (y * second).sum().backward()
    assert order == ["second", "rules before y", "first"]
    numpy.testing.assert_allclose(backend.numpy(plain.grad), [1.0, 4.0])


def test_a_leaf_of_several_calls_is_complete_after_the_earliest(backend: Target) -> None:
    shared, other = (backend.variable([1.0, 2.0], requires_grad=True) for _ in range(2))
    order: list[str] = []
    shared.register_post_accumulate_grad_hook(lambda _: order.append("shared"))
    other.register_post_accumulate_grad_hook(lambda _: order.append("other"))
    (((shared * 2) * other) * shared).sum().backward()
    assert order == ["other", "shared"]
    numpy.testing.assert_allclose(backend.numpy(shared.grad), [4.0, 16.0])
    numpy.testing.assert_allclose(backend.numpy(other.grad), [2.0, 8.0])


def test_hooks_run_in_order_after_those_of_the_gradient_and_can_be_removed(backend: Target) -> None:
    x = backend.variable(1.0, requires_grad=True)
    calls: list[str] = []
    gc.collect()  # hooks of leaves from other tests go now, and not while this test counts
    before = leaf_hooks.registered.count
    first = x.register_post_accumulate_grad_hook(lambda _: calls.append("first"))
    x.register_hook(lambda g: calls.append("gradient") or g * 10)  # type: ignore[func-returns-value]
    with x.register_post_accumulate_grad_hook(lambda leaf: calls.append(f"second {float(backend.numpy(leaf.grad))}")):
        (x * 2).backward()
    first.remove()
    first.remove()
    (x * 2).backward()
    assert calls == ["gradient", "first", "second 20.0", "gradient"]
    assert leaf_hooks.registered.count == before


def test_a_hook_may_replace_the_gradient(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)

    def clear(leaf: rustorch.Variable) -> None:
        leaf.grad = None

    x.register_post_accumulate_grad_hook(clear)
    (x * x).sum().backward()
    assert x.grad is None


def test_nothing_is_recorded_in_a_hook(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    recorded = []
    x.register_post_accumulate_grad_hook(lambda leaf: recorded.append((leaf * 2).requires_grad))
    (x * x).sum().backward()
    assert recorded == [False]
    assert rustorch.is_grad_enabled()


def test_a_leaf_without_a_gradient_has_no_call_of_its_hook(backend: Target) -> None:
    x, y = (backend.variable([1.0, 2.0], requires_grad=True) for _ in range(2))
    calls: list[Any] = []

    class Second(rustorch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            return b * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return None, g * 2

    x.register_post_accumulate_grad_hook(calls.append)
    y.register_post_accumulate_grad_hook(calls.append)
    Second.apply(x * 3, y).sum().backward()
    assert calls == [y] or (len(calls) == 1 and calls[0] is y)
    assert x.grad is None


def test_backward_from_a_leaf(backend: Target) -> None:
    x = backend.variable(2.0, requires_grad=True)
    calls: list[Any] = []
    x.register_post_accumulate_grad_hook(calls.append)
    x.backward()
    assert len(calls) == 1
    assert float(backend.numpy(x.grad)) == 1.0


def test_grad_calls_no_hooks(backend: Target) -> None:
    x = backend.variable(2.0, requires_grad=True)
    calls: list[Any] = []
    x.register_post_accumulate_grad_hook(calls.append)
    (g,) = rustorch.grad(x**3, x, create_graph=True)
    assert not calls
    g.backward()
    assert len(calls) == 1
    assert float(backend.numpy(x.grad)) == pytest.approx(12.0)


def test_a_checkpointed_part(backend: Target) -> None:
    w = backend.variable([1.0, 2.0], requires_grad=True)
    x = backend.variable([3.0, 4.0], requires_grad=True)
    seen: list[Any] = []
    w.register_post_accumulate_grad_hook(lambda leaf: seen.append(backend.numpy(leaf.grad).copy()))
    y = rustorch.checkpoint(lambda x: (x * w) * w, x)
    (y * w).sum().backward()
    numpy.testing.assert_allclose(seen, [[9.0, 48.0]])


def test_several_outputs(backend: Target) -> None:
    w = backend.variable([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    seen: list[Any] = []
    w.register_post_accumulate_grad_hook(lambda leaf: seen.append(backend.numpy(leaf.grad).copy()))
    a, b = rustorch.unstack(w * 2)
    (a * b).sum().backward()
    numpy.testing.assert_allclose(seen, [[[12.0, 16.0], [4.0, 8.0]]])


class Recorder(leaf_hooks.Watcher):
    """Writes down its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def begin(self, leaves: Sequence[Any]) -> None:
        self.calls.append(["begin", *[leaf.shape for leaf in leaves]])

    def ready(self, leaf: Any) -> None:
        self.calls.append(("ready", leaf.shape, leaf.grad is not None))

    def end(self) -> None:
        self.calls.append("end")

    def refuse(self, leaf: Any) -> None:
        raise RuntimeError(f"no gradient of {leaf.shape}")


def test_a_watcher_is_told_of_the_leaves_that_backward_reaches(backend: Target) -> None:
    leaves = [backend.variable(numpy.ones(n), requires_grad=True) for n in (1, 2, 3)]
    watcher = Recorder()
    for leaf in leaves:
        leaf_hooks.watch(leaf, watcher)
    ((leaves[0] * 2).sum() * leaves[1].sum()).backward()
    assert watcher.calls == [
        ["begin", (2,), (1,)],
        ("ready", (2,), True),
        ("ready", (1,), True),
        "end",
    ]
    with pytest.raises(RuntimeError, match=r"no gradient of \(3,\)"):
        rustorch.grad(leaves[2].sum(), leaves[2])


def test_a_watcher_that_refuses_at_the_beginning_changes_nothing(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)

    class Refusing(leaf_hooks.Watcher):
        def begin(self, leaves: Sequence[Any]) -> None:
            raise ValueError("not now")

    handle = leaf_hooks.watch(x, Refusing())
    loss = (x * x).sum()
    with pytest.raises(ValueError, match="not now"):
        loss.backward()
    assert x.grad is None
    handle.remove()
    loss.backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [2.0, 4.0])


def test_a_freed_graph_is_refused_before_the_first_hook(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    watcher = Recorder()
    leaf_hooks.watch(x, watcher)
    y = x * x
    y.sum().backward()
    del watcher.calls[:]
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        (y * 2).sum().backward()
    assert watcher.calls == []


def test_bad_calls(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        backend.variable(1.0).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="is for leaves"):
        (x * 2).register_post_accumulate_grad_hook(print)
    with (
        x.register_post_accumulate_grad_hook(lambda _: 3),  # type: ignore[arg-type]
        pytest.raises(TypeError, match="returns None, not int"),
    ):
        x.sum().backward()
    assert rustorch.is_grad_enabled()


def test_hooks_are_not_copied_and_not_counted_when_the_leaf_is_gone(backend: Target) -> None:
    gc.collect()  # leaves of other tests
    before = leaf_hooks.registered.count
    x = backend.variable([1.0, 2.0], requires_grad=True)
    handle = x.register_post_accumulate_grad_hook(lambda _: None)
    assert copy.deepcopy(x)._post_hooks is None
    assert leaf_hooks.registered.count == before + 1
    del x, handle
    gc.collect()
    assert leaf_hooks.registered.count == before


def test_a_backward_with_hooks_leaves_no_reference_cycles(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda _: None)
    y = x * x
    gone = weakref.ref(y._node)
    gc.disable()
    try:
        y.sum().backward()
        del y
        assert gone() is None
    finally:
        gc.enable()
    assert leaves_none(lambda: (x * 3).sum().backward())
