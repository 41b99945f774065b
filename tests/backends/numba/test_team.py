"""Threads that share compiled work: every item once, alone or together, through forks, interrupts and ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

import rustorch
from rustorch.backends import threads
from rustorch.backends.numba import kernel, team_work
from tests.support import compiled

from . import programs


def _count(x, start, stop):  # type: ignore[no-untyped-def]
    a = x[start:stop]
    for i in range(a.size):
        a[i] += T(1.0)  # type: ignore[name-defined] # noqa: F821


COUNT = kernel.Kernel(_count, "T[]")


@pytest.fixture(params=[1, 2, 3, 8])
def count(request: pytest.FixtureRequest) -> Iterator[int]:
    """A number of threads, which the machine need not have."""
    with compiled.threads(request.param):
        yield request.param


def _launch() -> object:
    launch = COUNT.of(numpy.dtype("float64"), 1 << 20)
    assert launch is not None
    return launch


@pytest.mark.parametrize("items", [1, 2, 3, 1000, 100_003])
def test_each_item_is_computed_once(count: int, items: int) -> None:
    launch = _launch()
    x = numpy.zeros(items)
    for _ in range(50):
        launch(items, 1 << 20, x)  # type: ignore[operator]
    assert (x == 50).all()


@pytest.mark.parametrize("own", [0, 1, 2])
@pytest.mark.parametrize(("items", "chunk"), [(12, 1), (12, 2), (13, 3), (2, 1), (100, 40)])
def test_a_thread_works_on_its_own_range_first(
    monkeypatch: pytest.MonkeyPatch, own: int, items: int, chunk: int
) -> None:
    """The compiled body, run as plain Python: one thread of three, while the others do nothing."""
    state = [0] * team_work.WORDS
    state[team_work.ITEMS], state[team_work.CHUNK], state[team_work.RANGES] = items, chunk, 3
    bounds = [items * i // 3 for i in range(4)]
    for i in range(3):
        state[team_work.NEXT + 8 * i] = bounds[i]
    done: list[int] = []

    def add(words: list[int], place: int, value: int) -> int:
        words[place] += value
        return words[place] - value

    def call(address: int, words: list[int], arguments: int, start: int, stop: int) -> None:
        done.extend(range(start, stop))

    monkeypatch.setattr(team_work, "atomic_add", add, raising=False)
    monkeypatch.setattr(team_work, "call_kernel", call, raising=False)
    team_work._work(state, own)
    mine = list(range(bounds[own], bounds[own + 1]))
    assert done[: len(mine)] == mine
    assert sorted(done) == list(range(items))


def test_threads_that_slept_take_part_again(count: int) -> None:
    launch = _launch()
    x = numpy.zeros(100_000)
    for _ in range(5):
        launch(x.size, x.size, x)  # type: ignore[operator]
        time.sleep(0.02)
        threads.spread(8, 1e9, lambda start, stop: None)
    assert (x == 5).all()


def test_several_callers_at_once(count: int) -> None:
    launch = _launch()
    arrays = [numpy.zeros(50_000) for _ in range(4)]

    def work(x: numpy.ndarray) -> None:
        for _ in range(200):
            launch(x.size, x.size, x)  # type: ignore[operator]
            threads.spread(3, 1e9, lambda start, stop: None)

    callers = [threading.Thread(target=work, args=(x,)) for x in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((x == 200).all() for x in arrays)


def test_compiled_work_inside_of_shared_python_work(count: int) -> None:
    launch = _launch()
    x = numpy.zeros((4, 50_000))

    def work(start: int, stop: int) -> None:
        for row in x[start:stop]:
            launch(row.size, row.size, row)  # type: ignore[operator]

    threads.spread(4, 1e9, work)
    assert (x == 1).all()


def test_the_number_of_threads_is_checked() -> None:
    before = rustorch.get_num_threads()
    for bad, kind in ((0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError), ("2", TypeError)):
        with pytest.raises(kind, match="set_num_threads takes"):
            rustorch.set_num_threads(bad)
    assert rustorch.get_num_threads() == before


def test_where_the_number_of_threads_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    monkeypatch.delenv("RUSTORCH_NUM_THREADS", raising=False)
    assert threads.default_num_threads() == 3
    monkeypatch.setenv("RUSTORCH_NUM_THREADS", "5")
    assert threads.default_num_threads() == 5
    monkeypatch.setenv("RUSTORCH_NUM_THREADS", "many")
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 7})
        assert threads.default_num_threads() == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own(tmp_path: Path) -> None:
    program = """
    import os
    for _ in range(3):
        add_one(x)
        child = os.fork()
        if not child:
            fine = all([bool((add_one(x) == x + 1).all()) for _ in range(10)])
            os._exit(0 if fine else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert (add_one(x) == x + 1).all()
    print("done")
    """
    assert programs.run(program, tmp_path) == "done"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_a_kernel_is_compiled(tmp_path: Path) -> None:
    program = """
    import os, time
    for pause in (0.0, 0.05, 0.3, 0.6):
        add_one(x[:5000])  # is compiled in the background now
        time.sleep(pause)
        child = os.fork()
        if not child:
            out = add_one(x)  # None, if the fork was too early
            os._exit(0 if out is None or (out == x + 1).all() else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert (add_one(x) == x + 1).all()
    print("done")
    """
    assert programs.run(program, tmp_path) == "done"


def test_two_threads_that_need_the_same_kernel_at_once(tmp_path: Path) -> None:
    program = """
    import threading
    results = []
    barrier = threading.Barrier(4)
    def work():
        barrier.wait()
        results.append(bool((add_one(x) == x + 1).all()))
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    print(results, kernel.STATE.compiled)
    """
    assert programs.run(program, tmp_path) == "[True, True, True, True] 4"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as on POSIX")
def test_an_interrupt_leaves_the_threads_usable(tmp_path: Path) -> None:
    program = """
    import signal
    assert (add_one(x) == x + 1).all()
    big = numpy.zeros(1 << 22, "float32")
    hits = 0
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for attempt in range(20):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.005)
            for _ in range(1000):
                add_one(big)
        except KeyboardInterrupt:
            hits += 1
        assert (add_one(x) == x + 1).all()
    print(hits)
    """
    assert programs.run(program, tmp_path) == "20"


def test_an_interpreter_ends_while_threads_are_awake(tmp_path: Path) -> None:
    for _ in range(3):
        assert programs.run("add_one(x)\nprint('done')", tmp_path) == "done"
    late = "import atexit\natexit.register(lambda: print(bool((add_one(x) == x + 1).all())))\nadd_one(x)"
    assert programs.run(late, tmp_path) == "True"


def test_handing_over_work_takes_microseconds() -> None:
    """15 us at most; the limit here is wide, because other processes may use the processors."""
    with compiled.threads(2):
        launch = _launch()
        x = numpy.zeros(64)
        times = []
        for _ in range(2000):
            start = time.perf_counter()
            launch(x.size, 1 << 20, x)  # type: ignore[operator]
            times.append(time.perf_counter() - start)
        assert sorted(times)[200] < 50e-6


def test_arrays_are_let_go_after_a_shared_call() -> None:
    import weakref

    with compiled.threads(2):
        x = numpy.zeros(200_000)
        _launch()(x.size, x.size, x)  # type: ignore[operator]
        seen = weakref.ref(x)
        del x
        assert seen() is None


def test_more_arguments_than_the_team_has_room_for() -> None:
    names = [f"a{i}" for i in range(200)]
    body = "".join([f"    out[0] += {name}\n" for name in names])
    space: dict[str, object] = {}
    exec(f"def wide(out, {', '.join(names)}, start, stop):\n{body}", space)
    wide = kernel.Kernel(space["wide"], "T[]" + " T" * 200)  # type: ignore[arg-type]
    launch = wide.of(numpy.dtype("float64"), 1 << 20)
    assert launch is not None
    out = numpy.zeros(1)
    launch(2, 1 << 20, out, *[float(i) for i in range(200)])
    assert out[0] == sum(range(200))
    _launch()(2, 1 << 20, numpy.zeros(2))  # type: ignore[operator]


def test_many_threads_are_cut_to_what_a_team_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MOST", 3)
    with compiled.threads(100):
        x = numpy.zeros(200_000)
        _launch()(x.size, x.size, x)  # type: ignore[operator]
        assert threads._team is not None and threads._team.count == 3 and threads._team.native is not None
        assert (x == 1).all()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as on POSIX")
def test_interrupts_at_any_moment_leave_nothing_locked(tmp_path: Path) -> None:
    program = """
    import signal, time
    from rustorch.backends import threads
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    hits = 0
    threads.LEAST = 0
    small = x[:40000]
    add_one(x)
    done = numpy.zeros(8)
    def work(start, stop):
        for i in range(start, stop):
            done[i] += 1
            time.sleep(0.0002)
    threads.spread(8, 1e9, work)
    end = time.monotonic() + 8
    i = 0
    while time.monotonic() < end:
        i += 1
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005 + (i % 50) * 1e-5)
            while True:
                add_one(small)
                threads.spread(8, 1e9, work)
        except KeyboardInterrupt:
            hits += 1
            before = done.copy()
            time.sleep(0.003 if i % 20 == 0 else 0)
            assert (done == before).all(), "a thread was still at work"
        team = threads._team
        assert not team.busy.locked() and (threads._blas is None or not threads._blas.known or not threads._blas._users)
    assert (add_one(x) == x + 1).all()
    print(hits > 100)
    """
    assert programs.run(program, tmp_path) == "True"
