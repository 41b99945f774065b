"""saved_tensors_hooks: what is packed and unpacked, and that gradients of every order stay the same."""

from __future__ import annotations

import threading
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.autograd import Function, saved_tensors_hooks
from rustorch.nn import functional as F
from tests.support.cycles import leaves_none
from tests.support.target import Target


class Store:
    """Packs arrays as numbers of entries in a list on the host."""

    def __init__(self, device: str):
        self.device = device
        self.arrays: list[Any] = []
        self.unpacked: list[int] = []

    def pack(self, value: Any) -> int:
        self.arrays.append((value.cpu().data.copy(), value.dtype))
        return len(self.arrays) - 1

    def unpack(self, place: int) -> Any:
        self.unpacked.append(place)
        array, dtype = self.arrays[place]
        return rustorch.asarray(array, dtype=dtype).to(device=self.device)


PROGRAMS = {
    "elementwise": lambda x, w: (rustorch.tanh(x * w) / (x + 2)).sum(),
    "products": lambda x, w: (rustorch.matmul(x, rustorch.exp(w)) @ x.T).sum(),
    "several outputs": lambda x, w: sum(rustorch.sin(part).sum() for part in rustorch.unstack(x * w)),
    "joined": lambda x, w: (rustorch.concat([x, w * w, x]) ** 2).sum(),
    "reductions": lambda x, w: (rustorch.max(x * w, axis=1) * rustorch.std(x, axis=1)).sum(),
    "locally constant gradients": lambda x, w: (
        rustorch.maximum(x, w).sum() + rustorch.clip(x * x, 0.2, 0.5).sum() + rustorch.min(w, axis=0).sum()
    ),
    "layers": lambda x, w: F.max_pool2d(F.linear(x, w, w[0])[None, None], 2).sum(),
    "checkpoint": lambda x, w: (rustorch.checkpoint(lambda a: rustorch.sin(a * w) * a, x) * x).sum(),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_gradients_equal_those_without_hooks(program: Any, backend: Target) -> None:
    rng = numpy.random.default_rng(1)
    at = [rng.uniform(0.3, 1.0, (3, 3)) for _ in range(2)]
    results = []
    for packs in (False, True):
        x, w = (backend.variable(a, "float64", requires_grad=True) for a in at)
        store = Store(backend.device)
        if packs:
            with saved_tensors_hooks(store.pack, store.unpack):
                out = program(x, w)
            assert store.arrays and not store.unpacked
        else:
            out = program(x, w)
        first = rustorch.grad(out, [x, w], create_graph=True)
        second = rustorch.grad(sum((g * g).sum() for g in first), [x, w], retain_graph=True)
        out.backward()
        assert bool(store.unpacked) is packs
        results.append([backend.numpy(v) for v in (out, *first, *second, x.grad, w.grad)])
    for one, two in zip(*results, strict=True):
        numpy.testing.assert_array_equal(one, two)


def test_a_function_packs_what_it_saves(backend: Target) -> None:
    class Cube(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x, x * x)
            return x * x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, square = ctx.saved_tensors
            return g * (square * 3 + 0 * x)

    store = Store(backend.device)
    x = backend.variable([1.0, 2.0], "float64", requires_grad=True)
    with saved_tensors_hooks(store.pack, store.unpack):
        y = Cube.apply(x)
    assert len(store.arrays) == 2
    y.sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [3.0, 12.0])
    assert store.unpacked == [0, 1]


def test_a_model_trains_with_packed_values(backend: Target) -> None:
    gradients = []
    for packs in (False, True):
        rustorch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
        model.to(backend.device)
        x = backend.variable(numpy.linspace(-1, 1, 72).reshape(2, 1, 6, 6), "float32")
        store = Store(backend.device)
        if packs:
            with saved_tensors_hooks(store.pack, store.unpack):
                loss = model(x).square().sum()
        else:
            loss = model(x).square().sum()
        loss.backward()
        gradients.append([backend.numpy(p.grad) for p in model.parameters()])
    for one, two in zip(*gradients, strict=True):
        numpy.testing.assert_array_equal(one, two)


def test_packed_arrays_are_let_go() -> None:
    x = rustorch.Variable([1.0] * 3, requires_grad=True)
    with saved_tensors_hooks(lambda value: None, lambda nothing: rustorch.full(3, 2.0)):
        y = rustorch.exp(rustorch.sin(x) * 2)
    y.sum().backward()
    numpy.testing.assert_allclose(x.grad, numpy.full(3, 2 * 2 * numpy.cos(2.0)), rtol=1e-6)  # cos at what was unpacked
    with pytest.raises(RuntimeError, match="freed"):
        y.sum().backward()


def test_the_innermost_context_packs_and_other_threads_do_not() -> None:
    x = rustorch.Variable([1.0, 1.0], requires_grad=True)
    outer, inner = Store("cpu"), Store("cpu")
    with saved_tensors_hooks(outer.pack, outer.unpack):
        thread = threading.Thread(target=lambda: rustorch.sin(x))
        thread.start()
        thread.join()
        assert not outer.arrays
        with saved_tensors_hooks(inner.pack, inner.unpack):
            rustorch.sin(x)
        assert (len(outer.arrays), len(inner.arrays)) == (0, 1)
        rustorch.sin(x)
        with rustorch.no_grad():
            rustorch.sin(x)
        assert (len(outer.arrays), len(inner.arrays)) == (1, 1)
    rustorch.sin(x)
    assert len(outer.arrays) == 1


def test_hooks_record_nothing_and_leave_no_cycles() -> None:
    x = rustorch.Variable([1.0, 1.0], requires_grad=True)
    seen = []

    def pack(value: Any) -> Any:
        assert not value.requires_grad and not rustorch.is_grad_enabled()
        seen.append(value.shape)
        return value * 1

    def work() -> None:
        seen.clear()
        with saved_tensors_hooks(pack, lambda packed: packed):
            (x * x).sum().backward()
        assert seen == [(2,), (2,)]

    assert leaves_none(work)


def test_wrong_hooks_raise() -> None:
    with pytest.raises(TypeError, match="takes two functions, pack_hook and unpack_hook, not int"):
        saved_tensors_hooks(len, 3)  # type: ignore[arg-type]
    x = rustorch.Variable([1.0, 1.0], requires_grad=True)
    cases = [
        (lambda packed: "text", TypeError, "sin: unpack_hook returned a str"),
        (lambda packed: rustorch.ones(3), ValueError, r"float32 and shape \(3,\) on 'cpu'; the one that was packed is"),
        (lambda packed: rustorch.ones(2, dtype=rustorch.float64), ValueError, "returned an array of float64"),
    ]
    for unpack, error, message in cases:
        with saved_tensors_hooks(lambda value: 0, unpack):
            y = rustorch.sin(x).sum()
        with pytest.raises(error, match=message):
            y.backward()
        assert x.grad is None


def test_an_array_that_changes_after_it_was_packed_raises() -> None:
    w = rustorch.ones(2)
    x = rustorch.Variable([1.0, 1.0], requires_grad=True)
    with saved_tensors_hooks(lambda value: value, lambda value: value):
        y = (x * w).sum()
    w[0] = 5.0
    with pytest.raises(RuntimeError, match=r"multiply: an array that its gradient needs .* was changed in place"):
        y.backward()


def test_an_error_in_pack_records_nothing() -> None:
    def pack(value: Any) -> Any:
        raise OSError("the disk is full")

    x = rustorch.Variable([1.0, 1.0], requires_grad=True)
    with pytest.raises(OSError, match="full"), saved_tensors_hooks(pack, pack):
        rustorch.sin(x)
    assert rustorch.sin(x).grad_fn is not None
    rustorch.sin(x).sum().backward()
    assert x.grad is not None
