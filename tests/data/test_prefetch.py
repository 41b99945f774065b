"""Background threads: batches in order, a limited number ahead, errors with tracebacks, and threads that end."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import rustorch
from rustorch.data import DataLoader, Dataset, IterableDataset


def working() -> list[str]:
    """The names of the loaders' threads that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rustorch data")]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, at most 10 seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition does not hold after 10 seconds"
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def _all_threads_end() -> Iterator[None]:
    assert working() == []
    yield
    wait_for(lambda: working() == [])


class Recorded(Dataset):
    """A dataset of numbers that records its indices and threads, and calls ``act`` with each index."""

    def __init__(self, n: int = 40, act: Callable[[int], Any] = lambda i: None):
        self.n, self.act, self.read, self.threads = n, act, [], set()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> int:
        self.read.append(i)
        self.threads.add(threading.current_thread())
        self.act(i)
        return i


def fail_at(index: int) -> Callable[[int], None]:
    """A function that raises ValueError for one index."""

    def act(i: int) -> None:
        if i == index:
            raise ValueError(f"sample {i} is broken")

    return act


def test_batches_come_in_order_when_some_take_longer() -> None:
    data = Recorded(act=lambda i: time.sleep(0.001 * (i * 7 % 5)))
    assert [batch.tolist() for batch in DataLoader(data, 2, num_workers=4)] == [[i, i + 1] for i in range(0, 40, 2)]
    assert len(data.threads) == 4
    assert threading.current_thread() not in data.threads


def test_without_workers_the_loop_makes_each_batch_on_demand() -> None:
    data = Recorded()
    passing = iter(DataLoader(data, 2))
    next(passing)
    assert data.read == [0, 1]
    assert data.threads == {threading.current_thread()}


@pytest.mark.parametrize(("workers", "factor"), [(1, 1), (1, 3), (2, 2), (3, None)])
def test_threads_prepare_at_most_the_allowed_number_of_batches(workers: int, factor: int | None) -> None:
    data = Recorded(400)
    passing = iter(DataLoader(data, 4, num_workers=workers, prefetch_factor=factor))
    assert data.read == []
    for received in range(1, 6):
        next(passing)
        ahead = received + workers * (factor or 2)
        wait_for(lambda ahead=ahead: len(data.read) == 4 * ahead)
        time.sleep(0.005)
        assert len(data.read) == 4 * ahead
    assert len(working()) == workers


def test_threads_run_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=10)
    assert len(list(DataLoader(Recorded(8, lambda i: barrier.wait()), num_workers=2))) == 8


def test_an_error_is_raised_with_its_traceback() -> None:
    seen = []
    with pytest.raises(ValueError, match="sample 13 is broken") as caught:
        for batch in DataLoader(Recorded(act=fail_at(13)), 2, num_workers=3):
            seen.append(batch.tolist())
    assert seen == [[i, i + 1] for i in range(0, 12, 2)]
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].name == "act"
    assert frames[-1].line is not None and "is broken" in frames[-1].line
    assert "__getitem__" in {frame.name for frame in frames}
    assert working() == []


def test_an_error_ends_the_loop_and_the_next_loop_works() -> None:
    data = Recorded(6, fail_at(2))
    loader = DataLoader(data, num_workers=2)
    passing = iter(loader)
    assert [next(passing).item(), next(passing).item()] == [0, 1]
    with pytest.raises(ValueError, match="sample 2 is broken"):
        next(passing)
    assert list(passing) == []
    data.act = lambda i: None
    assert [batch.item() for batch in loader] == list(range(6))


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError])
def test_errors_of_any_type_are_raised_in_the_loop(error: type[BaseException]) -> None:
    def act(i: int) -> None:
        raise error("for a reason")

    with pytest.raises(error, match="for a reason"):
        list(DataLoader(Recorded(act=act), num_workers=2))


def test_leaving_the_loop_ends_the_threads() -> None:
    for batch in DataLoader(Recorded(4000), num_workers=3):
        assert len(working()) == 3
        if batch.item() == 5:
            break
    wait_for(lambda: working() == [])
    with pytest.raises(ZeroDivisionError):
        for batch in DataLoader(Recorded(4000), num_workers=3):
            batch.item() / 0
    wait_for(lambda: working() == [])


def test_garbage_collection_of_the_iterator_ends_the_threads() -> None:
    passing = iter(DataLoader(Recorded(4000), num_workers=2))
    next(passing)
    del passing
    wait_for(lambda: working() == [])
    holder: list[Any] = [iter(DataLoader(Recorded(4000), num_workers=2))]
    next(holder[0])
    holder.append(holder)  # a cycle, which only the collector frees
    del holder
    gc.collect()
    wait_for(lambda: working() == [])


def test_leaving_the_loop_does_not_wait_long_for_a_busy_thread() -> None:
    free = threading.Event()

    def act(i: int) -> None:
        if i:
            free.wait(20)

    start = time.monotonic()
    for _ in DataLoader(Recorded(act=act), num_workers=2):
        break
    assert time.monotonic() - start < 5
    free.set()
    wait_for(lambda: working() == [])


@pytest.mark.parametrize(
    "program",
    [
        "passing = iter(loader); next(passing)",
        "for batch in loader: raise SystemExit(0)",
        "passing = iter(loader); next(passing); loader.passing = passing; loader.me = loader; del loader, passing",
        "import rustorch.data.prefetch as p; keep = []; passing = iter(loader); keep.append(passing); p.keep = keep; "
        "next(passing)",
    ],
)
def test_the_interpreter_exits_while_threads_work(program: str) -> None:
    code = f"from rustorch.data import DataLoader\nloader = DataLoader(range(10**6), 16, num_workers=3)\n{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _exhaust(loader: DataLoader) -> None:
    assert len(list(loader)) == 20


def _leave(loader: DataLoader) -> None:
    for _ in loader:
        break


def _fail(loader: DataLoader) -> None:
    loader.dataset.act = fail_at(30)
    try:
        list(loader)
    except ValueError as error:
        assert "30" in str(error)


class RecordedStream(Recorded, IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return (self[i] for i in range(self.n))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("use", [_exhaust, _leave, _fail])
@pytest.mark.parametrize("kind", [Recorded, RecordedStream])
def test_there_are_no_reference_cycles(kind: type[Recorded], use: Callable[[DataLoader], None], workers: int) -> None:
    gc.collect()
    gc.disable()
    try:
        data = kind()
        loader = DataLoader(data, 2, shuffle=kind is Recorded, num_workers=workers)
        use(loader)
        wait_for(lambda: working() == [])
        dead = weakref.ref(data), weakref.ref(loader)
        del data, loader
        assert [ref() for ref in dead] == [None, None]
    finally:
        gc.enable()


def test_only_the_loop_keeps_a_batch_alive() -> None:
    for workers in (0, 1):
        passing = iter(DataLoader(range(6), 1, num_workers=workers, prefetch_factor=1 if workers else None))
        batch = next(passing)
        dead = weakref.ref(batch)
        del batch
        next(passing)
        assert dead() is None
        del passing
        wait_for(lambda: working() == [])


def test_threads_use_grad_mode_and_default_device_of_the_loop() -> None:
    modes = []

    def act(i: int) -> None:
        modes.append((rustorch.is_grad_enabled(), rustorch.get_default_device()))

    with rustorch.no_grad():
        list(DataLoader(Recorded(2, act), num_workers=1))
    list(DataLoader(Recorded(2, act), num_workers=1))
    assert modes == [(False, "cpu")] * 2 + [(True, "cpu")] * 2


def test_two_loops_run_at_the_same_time() -> None:
    pairs = zip(DataLoader(Recorded(), 2, num_workers=2), DataLoader(Recorded(), 2, num_workers=2), strict=True)
    assert all(one.tolist() == two.tolist() for one, two in pairs)


def test_modules_for_threads_are_imported_only_with_workers() -> None:
    code = """
import sys, rustorch
assert "rustorch.data" not in sys.modules
from rustorch import *
assert data is sys.modules["rustorch.data"]
list(data.DataLoader(range(3)))
assert not {"rustorch.data.prefetch", "queue", "concurrent.futures", "multiprocessing"} & set(sys.modules), "imported"
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
