"""Work shared by Python threads: each part is done once, errors and contexts arrive, BLAS's threads are restored."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy
import pytest

from rustorch.backends import threads
from rustorch.backends.kernels.pooling import Window
from rustorch.backends.numpy import activation, convolution, linear, normalization, pooling, standard

threadpoolctl = pytest.importorskip(
    "threadpoolctl", reason="threadpoolctl is not installed: everything runs in one thread"
)


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads on every machine, for work of any size."""
    threads._dismiss()
    monkeypatch.setattr(threads, "_chosen", 2)
    monkeypatch.setattr(threads, "LEAST", 0)
    monkeypatch.setattr(linear, "LEAST", 0)
    threads.spread(2, 1e9, lambda start, stop: None)  # the first call may load libraries that have a BLAS, too
    yield
    threads._dismiss()


def _limits() -> list[int]:
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
def test_each_sample_is_computed_once(n: int) -> None:
    before = _limits()
    done: list[int] = []
    threads.spread(n, 1e9, lambda start, stop: done.extend(range(start, stop)))
    assert sorted(done) == list(range(n))
    assert _limits() == before


def test_results_are_in_order() -> None:
    assert threads.spread(5, 1e9, lambda start, stop: (start, stop)) == [(0, 2), (2, 5)]


@pytest.mark.parametrize("bad", [0, 2])
def test_an_error_is_raised_after_all_threads_are_done(bad: int) -> None:
    before = _limits()

    def work(start: int, stop: int) -> None:
        if start == bad:
            raise ZeroDivisionError(f"part {start}")

    with pytest.raises(ZeroDivisionError, match=f"part {bad}"):
        threads.spread(4, 1e9, work)
    assert _limits() == before


def test_threads_have_the_errstate_of_the_caller() -> None:
    x = numpy.zeros(4)
    with numpy.errstate(divide="ignore"):
        assert threads.spread(4, 1e9, lambda start, stop: numpy.divide(1, x[start:stop]).sum()) == [
            numpy.inf,
            numpy.inf,
        ]
    with numpy.errstate(divide="raise"), pytest.raises(FloatingPointError):
        threads.spread(4, 1e9, lambda start, stop: numpy.divide(1, x[start:stop]))


def test_nested_work_does_not_wait_for_itself() -> None:
    inner = threads.spread(4, 1e9, lambda start, stop: threads.spread(4, 1e9, lambda a, b: b - a))
    assert sum(map(sum, inner)) == 8


def test_several_callers_restore_the_threads_of_blas() -> None:
    before = _limits()
    callers = [
        threading.Thread(target=lambda: [threads.spread(4, 1e9, lambda a, b: None) for _ in range(20)])
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert _limits() == before


def test_several_threads_compute_the_numbers_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = numpy.random.default_rng(0)
    x, w, g = rng.standard_normal((5, 4, 6, 6)), rng.standard_normal((6, 2, 3, 3)), rng.standard_normal((5, 6, 3, 3))
    options = ((2, 2), ((1, 1), (1, 1)), (1, 1), 2)
    a, b = rng.standard_normal((7, 5)), rng.standard_normal((5, 9))
    long, gain, wide = rng.standard_normal((3, 5, 16, 16)), rng.standard_normal(5), rng.standard_normal((1, 1, 3, 3))
    images, windows = rng.standard_normal((5, 4, 6, 6)).astype("float32"), (Window(6, 3, 2, 2),) * 2

    def results() -> list[numpy.ndarray]:
        return [
            convolution.conv(x, w, None, *options),
            convolution.conv_grad_weight(g, x, (3, 3), *options),
            convolution.conv_grad_input(g, w, (6, 6), *options),
            linear.matmul(a, b),
            linear.matmul(b.T, a.T),
            # each sample has a product of its own, because it has fewer inputs than outputs
            convolution.conv(
                long[:, :1], numpy.repeat(wide, 9, 0), gain[:1].repeat(9), (1, 1), ((1, 1), (1, 1)), (1, 1), 1
            ),
            convolution.conv_grad_weight(
                long.repeat(2, 1)[:, :9], long[:, :1], (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1
            ),
            standard.sum(long.repeat(100, 0), axis=(0, 2, 3)),
            *(pooled := pooling.max_pool(images, windows)),
            pooling.max_pool_grad(pooled[0], pooled[1], windows),
            activation.relu_grad(long.repeat(2, 0), long.repeat(2, 0)),
            *(normal := normalization.batch_norm(long, gain, gain, 1e-5)),
            *normalization.batch_norm_grad(-long, long, normal[1], normal[3], gain),
        ]

    in_two_threads = results()
    monkeypatch.setattr(threads, "LEAST", 1e30)
    monkeypatch.setattr(linear, "LEAST", 1e30)
    in_one_thread = results()
    for one, two in zip(in_one_thread, in_two_threads, strict=True):
        numpy.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
    numpy.testing.assert_allclose(in_one_thread[7], long.repeat(100, 0).sum((0, 2, 3)), rtol=1e-10)


def test_blocks_cover_the_range_once() -> None:
    for n, size in ((0, 3), (1, 3), (3, 3), (10, 3), (10, 100)):
        done: list[range] = []
        threads.in_blocks(n, 1e9, size, lambda *block, done=done: done.append(range(*block)))
        assert sorted(i for block in done for i in block) == list(range(n))
        assert all(len(block) <= size for block in done)


def test_threads_are_in_use_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    threads.spread(4, 1e9, lambda start, stop: None)
    assert threads.in_use()
    now = threads.monotonic() + threads.PAUSE * 2
    monkeypatch.setattr(threads, "monotonic", lambda: now)
    assert not threads.in_use()
    threads.spread(4, 1e9, lambda start, stop: None, mark_in_use=False)
    assert not threads.in_use()
    threads.spread(4, 1e9, lambda start, stop: None)
    assert threads.in_use()


def test_without_threadpoolctl_there_is_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "threadpoolctl", None)
    monkeypatch.setattr(threads, "_blas", None)
    monkeypatch.setattr(threads, "_last_used", float("-inf"))
    assert threads.spread(4, 1e9, lambda start, stop: (start, stop)) == [(0, 4)]
    assert not threads.in_use()
