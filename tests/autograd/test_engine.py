"""backward: freed graphs, refused calls, and the memory of gradients."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref

import numpy
import pytest

import rustorch
from tests.support.target import Target


def _leaf(backend: Target, data: object = (1.0, 2.0, 3.0), dtype: str = "float64") -> rustorch.Variable:
    return backend.variable(data, dtype, requires_grad=True)


# -- freeing and accumulating ------------------------------------------------------------------------------------------
def test_backward_frees_the_graph_and_a_second_one_says_what_to_do(backend: Target) -> None:
    x = _leaf(backend)
    y = (x * x).sum()
    y.backward()
    first = backend.numpy(x.grad).copy()
    with pytest.raises(RuntimeError, match=r"retain_graph=True"):
        y.backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), first)  # nothing was added by the refused one
    assert y.grad_fn.saved is None
    assert y.grad_fn.parents == ()


def test_retain_graph_keeps_it_and_gradients_add_up(backend: Target) -> None:
    x = _leaf(backend)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [4.0, 8.0, 12.0])
    x.zero_grad()
    assert x.grad is None


def test_a_value_used_many_times_gets_all_of_its_gradients(backend: Target) -> None:
    x = _leaf(backend)
    y = x * 2
    z = y + y * y + x
    z.backward(backend.array([1.0, 10.0, 100.0]))
    numpy.testing.assert_allclose(backend.numpy(x.grad), (3 + 8 * numpy.array([1.0, 2.0, 3.0])) * [1, 10, 100])


def test_a_deep_graph_needs_no_recursion() -> None:
    x = rustorch.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1
    del y  # freeing must not recurse either


def test_a_deep_graph_that_is_thrown_away_needs_no_recursion() -> None:
    y = rustorch.tensor(1.0, requires_grad=True)
    for _ in range(100_000):
        y = y + 1.0
    del y


# -- where backward starts ---------------------------------------------------------------------------------------------
def test_more_than_one_element_needs_a_gradient(backend: Target) -> None:
    x = _leaf(backend)
    y = x * 2
    with pytest.raises(
        RuntimeError, match=r"backward: a gradient must be given for a value of shape \(3,\).*\.sum\(\)"
    ):
        y.backward()
    assert x.grad is None
    y.backward(gradient=backend.variable([1.0, 0.0, -1.0]))
    numpy.testing.assert_allclose(backend.numpy(x.grad), [2.0, 0.0, -2.0])


def test_one_element_of_any_shape_needs_none(backend: Target) -> None:
    x = backend.variable([[3.0]], requires_grad=True)
    (x * x).backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), [[6.0]])


def test_a_gradient_of_another_shape_is_refused(backend: Target) -> None:
    x = _leaf(backend)
    with pytest.raises(ValueError, match=r"the gradient has shape \(2,\), the value \(3,\)"):
        (x * 2).backward(backend.array([1.0, 2.0]))
    assert x.grad is None


def test_backward_of_an_untracked_value_is_refused(backend: Target) -> None:
    y = backend.variable(1.0) * 2
    with pytest.raises(RuntimeError, match=r"requires_grad=True"):
        y.backward()
    with rustorch.no_grad():
        z = _leaf(backend).sum()
    with pytest.raises(RuntimeError, match=r"no_grad"):
        z.backward()


def test_a_leaf_is_its_own_value(backend: Target) -> None:
    x = backend.variable(2.0, requires_grad=True)
    x.backward()
    x.backward(backend.array(3.0))
    assert float(backend.numpy(x.grad)) == 4.0


def test_a_gradient_from_another_device_is_refused() -> None:
    pytest.importorskip("array_api_strict")
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"the gradient is on 'strict', the value on 'cpu'"):
        (x * 2).backward(rustorch.ones(2, device="strict"))
    assert x.grad is None


# -- whose memory ------------------------------------------------------------------------------------------------------
def _share(a: object, b: object) -> bool:
    if isinstance(a, numpy.ndarray):
        return numpy.shares_memory(a, b)
    if type(a).__module__ == "torch":
        return a.data_ptr() == b.data_ptr()
    if hasattr(a, "_array"):  # array-api-strict wraps a NumPy array
        return numpy.shares_memory(a._array, b._array)
    return False  # nobody can write into the memory of jax


def test_two_gradients_never_share_memory(backend: Target) -> None:
    x, y = _leaf(backend), _leaf(backend)
    (x + y).backward(backend.array([1.0, 2.0, 3.0]))
    assert not _share(x.grad, y.grad)
    x, y = _leaf(backend), _leaf(backend)
    (x + y).sum().backward()
    assert not _share(x.grad, y.grad)
    numpy.testing.assert_allclose(backend.numpy(y.grad), [1.0, 1.0, 1.0])


def test_a_gradient_does_not_share_the_memory_it_was_started_with(backend: Target) -> None:
    x = _leaf(backend)
    start = backend.array([1.0, 2.0, 3.0])
    (x + 0.0).backward(start)
    assert not _share(x.grad, start)
    (x + 0.0).backward(start)  # accumulates into .grad
    numpy.testing.assert_allclose(backend.numpy(start), [1.0, 2.0, 3.0])
    (g,) = rustorch.grad(x + 0.0, x, start)
    assert not _share(g.data, start)


def test_views_of_one_gradient_become_arrays_of_their_own(backend: Target) -> None:
    x, y = _leaf(backend), _leaf(backend)
    rustorch.concat([x, y]).sum().backward()
    rustorch.reshape(x, (3, 1)).sum().backward()
    assert not _share(x.grad, y.grad)
    numpy.testing.assert_allclose(backend.numpy(x.grad), [2.0, 2.0, 2.0])
    numpy.testing.assert_allclose(backend.numpy(y.grad), [1.0, 1.0, 1.0])


def test_accumulation_writes_into_no_array_with_another_owner(backend: Target) -> None:
    x = _leaf(backend)
    y = x * 1.0
    seen = []
    y.register_hook(lambda g: seen.append(g))
    (y + y).sum().backward()
    (y_grad,) = seen
    before = backend.numpy(y_grad).copy()
    (x * 5.0).sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(y_grad), before)


# -- dtypes ------------------------------------------------------------------------------------------------------------
def test_each_gradient_has_its_own_precision(backend: Target) -> None:
    x, y = _leaf(backend, dtype="float32"), _leaf(backend, dtype="float64")
    z = x * y
    assert z.dtype == rustorch.float64
    z.sum().backward()
    assert rustorch.Variable(x.grad).dtype == rustorch.float32
    assert rustorch.Variable(y.grad).dtype == rustorch.float64
    numpy.testing.assert_allclose(backend.numpy(x.grad), [1.0, 2.0, 3.0])


def test_a_python_number_does_not_change_the_dtype_of_the_gradient(backend: Target) -> None:
    x = _leaf(backend, dtype="float32")
    y = (x * 2.5 + 1) / 3.0
    assert y.dtype == rustorch.float32
    y.sum().backward()
    assert rustorch.Variable(x.grad).dtype == rustorch.float32


def test_the_gradient_of_a_real_value_through_complex_numbers_is_real(backend: Target) -> None:
    x = _leaf(backend)
    z = x * backend.variable([1 + 2j, 3j, 2.0], "complex128")
    rustorch.real(z * rustorch.conj(z)).sum().backward()
    assert rustorch.Variable(x.grad).dtype == rustorch.float64
    numpy.testing.assert_allclose(backend.numpy(x.grad), [2 * 5 * 1.0, 2 * 9 * 2.0, 2 * 4 * 3.0])


# -- memory ------------------------------------------------------------------------------------------------------------
def test_graphs_are_no_reference_cycles(backend: Target) -> None:
    x = _leaf(backend)
    gc.collect()
    gc.disable()
    try:
        y = rustorch.exp(x * 2).sum()
        node = weakref.ref(y.grad_fn)
        (g,) = rustorch.grad(y, x, create_graph=True)
        (g * g).sum().backward()
        del y, g
        assert node() is None
    finally:
        gc.enable()


def test_memory_stays_flat_without_the_garbage_collector() -> None:
    w = rustorch.tensor(numpy.full((8, 8), 0.1), requires_grad=True)
    x = rustorch.tensor(numpy.ones((4, 8)))

    def steps(n: int) -> None:
        for _ in range(n):
            w.grad = None
            loss = rustorch.square(rustorch.tanh(x @ w) - 1.0).mean()
            loss.backward(retain_graph=True)
            rustorch.grad(loss, w, create_graph=True)
            with rustorch.no_grad():
                w[...] = w - 0.01 * rustorch.Variable(w.grad)

    steps(50)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        steps(2_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 20_000, f"{after - before} bytes more after 2,000 steps"  # a step makes more than 5,000


def test_only_what_a_rule_names_is_kept(backend: Target) -> None:
    x = _leaf(backend)
    assert rustorch.add(x, x).grad_fn.saved == ()
    y = rustorch.exp(x * 1.0)
    assert len(y.grad_fn.saved) == 1
    assert y.grad_fn.saved[0] is y.data


# -- threads -----------------------------------------------------------------------------------------------------------
def test_two_threads_train_two_functions() -> None:
    found: dict[int, numpy.ndarray] = {}
    start = threading.Barrier(2)

    def train(target: float) -> None:
        w = rustorch.tensor(numpy.zeros(4), requires_grad=True)
        start.wait()
        for _ in range(300):
            w.zero_grad()
            rustorch.square(w - target).sum().backward()
            with rustorch.no_grad():
                w[...] = w - 0.1 * rustorch.Variable(w.grad)
        found[int(target)] = w.data

    threads = [threading.Thread(target=train, args=(t,)) for t in (3.0, -5.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for target in (3, -5):
        numpy.testing.assert_allclose(found[target], target, rtol=1e-6)
