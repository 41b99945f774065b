"""Whole trainings: the losses of PyTorch, constant memory, and two threads at the same time."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.autograd.graph import Node
from tests.reference import cases, load
from tests.support.target import Target


def _model(target: Target, dtype: Any = rustorch.float64) -> nn.Module:
    model = cases.ARCHITECTURES["mlp"](nn).to(target.device, dtype=dtype)
    model.load_state_dict(cases.train_start())
    return model


def _train(target: Target, model: nn.Module, steps: int) -> list[float]:
    rows, labels = cases.train_data()
    x, y = target.variable(rows), target.variable(labels, "int64")
    criterion = nn.CrossEntropyLoss()
    optimizer = rustorch.SGD(model.parameters(), **cases.TRAIN_OPTIONS)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses


def test_losses_and_weights_of_100_steps_equal_those_of_pytorch(backend: Target) -> None:
    model = _model(backend)
    losses = _train(backend, model, cases.TRAIN_STEPS)
    # a training amplifies rounding errors: from 1e-16 at the start to about 1e-13 after 100 steps
    numpy.testing.assert_allclose(losses, load("training")["losses"], rtol=1e-10, atol=1e-12)
    for name, value in model.state_dict().items():
        numpy.testing.assert_allclose(
            backend.numpy(value), load("training")["state"][name], rtol=1e-9, atol=1e-10, err_msg=name
        )


def test_the_same_seed_gives_the_same_training(backend: Target) -> None:
    def run() -> list[float]:
        rustorch.manual_seed(9)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(backend.device, dtype=rustorch.float64)
        return _train(backend, model, 10)

    assert run() == run()


# -- memory ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _nodes() -> int:
    return sum(type(thing) is Node for thing in gc.get_objects())


def _growth(target: Target, model: nn.Module) -> tuple[int, int]:
    """How many bytes more are in use after 2000 steps than after 20, and how much higher the peak is."""
    tracemalloc.start()
    try:
        _train(target, model, 20)
        at_start, peak_at_start = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        _train(target, model, 2000)
        at_end, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return at_end - at_start, peak - peak_at_start


def test_memory_stays_flat_without_the_garbage_collector(without_collector: None) -> None:
    target = Target("cpu")
    model, nodes = _model(target), _nodes()
    _train(target, model, 20)  # fill the caches
    # The least of three measurements: threads of a parallel test run may allocate meanwhile, and a leak is in each one.
    in_use, peak = map(min, zip(*[_growth(target, model) for _ in range(3)], strict=True))
    # each step keeps a float of 24 bytes and 8 bytes in the list; a leaked node per step would be 2000 times 300 bytes
    kept = 2000 * 40
    assert in_use < 20_000
    assert peak < kept + 20_000
    assert _nodes() == nodes


def test_no_node_outlives_its_step(backend: Target, without_collector: None) -> None:
    model, nodes = _model(backend), _nodes()
    _train(backend, model, 20)
    assert _nodes() == nodes


def test_the_count_of_nodes_detects_a_graph_that_is_alive(without_collector: None) -> None:
    nodes = _nodes()
    kept = rustorch.tensor([1.0], requires_grad=True) * 2
    assert _nodes() == nodes + 1
    del kept
    assert _nodes() == nodes


def test_second_derivatives_free_their_graph(backend: Target, without_collector: None) -> None:
    nodes = _nodes()
    for _ in range(5):
        x = backend.variable([1.0, 2.0], requires_grad=True)
        (g,) = rustorch.grad(nn.functional.cross_entropy(x, backend.variable(1, "int64")), x, create_graph=True)
        (g * g).sum().backward()
        del x, g
    assert _nodes() == nodes


# -- threads -----------------------------------------------------------------------------------------------------------
def test_two_threads_train_two_models_with_the_same_losses_as_one_thread(backend: Target) -> None:
    def models() -> list[nn.Module]:
        rustorch.manual_seed(4)
        return [
            nn.Sequential(nn.Linear(4, 8), act(), nn.Linear(8, 3)).to(backend.device, dtype=rustorch.float64)
            for act in (nn.Tanh, nn.ReLU)
        ]

    expected = [_train(backend, model, 30) for model in models()]
    results: dict[int, Any] = {}
    barrier = threading.Barrier(3)

    def work(i: int, model: nn.Module) -> None:
        try:
            barrier.wait(timeout=30)
            results[i] = _train(backend, model, 30)
        except BaseException as error:
            results[i] = error

    def distract() -> None:  # the grad mode of this thread must not change that of others
        barrier.wait(timeout=30)
        with rustorch.no_grad():
            while len(results) < 2:
                assert not rustorch.is_grad_enabled()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(models())]
    threads.append(threading.Thread(target=distract))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert [results[0], results[1]] == expected
    assert expected[0] != expected[1]
