"""How worker processes end: errors, killed workers, timeouts, loops and programs that end early. Nothing is left."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rustorch.data import DataLoader
from tests.data import process_samples as samples
from tests.data.process_leftovers import nothing_left, segments, workers
from tests.data.test_processes import FAST, loader, numbers

ROOT = Path(__file__).parents[2]

kills = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that kill")


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    if FAST == "forkserver":
        multiprocessing.set_forkserver_preload(["rustorch.data.worker", "tests.data.process_samples"])
    with nothing_left():
        yield


# -- errors ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("persistent", [False, True])
def test_an_error_is_raised_in_place_of_its_batch(persistent: bool) -> None:
    data = loader(samples.Numbers(40, samples.broken_at_13), 2, num_workers=3, persistent_workers=persistent)
    for _ in range(2):  # after an error, the next epoch works
        seen = []
        passing = iter(data)
        with pytest.raises(ValueError, match="sample 13 is broken") as caught:
            for batch in passing:
                seen.append(batch.tolist())
        assert str(caught.value) == "sample 13 is broken"
        assert seen == [[i, i + 1] for i in range(0, 12, 2)]
        assert list(passing) == []
        (note,) = caught.value.__notes__
        assert note.startswith(
            "The traceback in worker process 0 of the DataLoader:\nTraceback (most recent call last)"
        )
        assert 'raise ValueError(f"sample {i} is broken")' in note and "in __getitem__" in note
        assert note in "".join(traceback.format_exception(caught.value))
        assert workers() == ([] if not persistent else [f"rustorch data {i}" for i in (0, 1, 2)])
        del caught


@pytest.mark.parametrize(
    ("kind", "error", "message", "note"),
    [
        ("two arguments", RuntimeError, "DataLoader: worker process 0 raised TwoArguments: 1 and 2", "TwoArguments: 1"),
        ("local", RuntimeError, "worker process 0 raised raises.<locals>.Local: from a function", "Local: from a"),
        ("chained", ValueError, "the effect", "KeyError: 'the cause'"),
        ("SystemExit", SystemExit, "why", "SystemExit: why"),
        ("KeyboardInterrupt", KeyboardInterrupt, "why", "KeyboardInterrupt: why"),
        ("StopIteration", RuntimeError, "the dataset or collate_fn raised StopIteration", "StopIteration: why"),
    ],
)
def test_errors_of_any_type_are_raised_in_the_loop(
    kind: str, error: type[BaseException], message: str, note: str
) -> None:
    data = loader(samples.Numbers(4, partial(samples.raises, kind)), 1)
    with pytest.raises(error, match=message) as caught:
        list(data)
    assert note in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"collate_fn": samples.broken_collate}, ZeroDivisionError, "division by zero"),
        ({"worker_init_fn": samples.broken_init}, OSError, "no database for worker 0"),
        ({"collate_fn": samples.unpicklable}, TypeError, "a batch cannot be sent from its worker process to the loop"),
        ({"sampler": [0, 5]}, IndexError, "range object index out of range"),
    ],
)
def test_errors_of_every_part_are_raised_in_the_loop(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        list(loader(range(4), **options))
    assert "in worker process" in caught.value.__notes__[0]


def test_errors_of_samplers_and_streams_come_after_the_batches_before_them() -> None:
    def order() -> Any:
        yield from [0, 1, 2]
        raise KeyError("no more")

    seen = []
    with pytest.raises(KeyError, match="no more"):
        for batch in loader(range(9), sampler=order()):
            seen.append(batch.item())
    assert seen == [0, 1, 2]
    seen = []
    with pytest.raises(OSError, match="the line is cut"):
        for batch in loader(samples.BrokenStream(), 1, num_workers=1):
            seen.append(batch.tolist())
    assert seen == [[1]]


# -- workers that die --------------------------------------------------------------------------------------------------
@kills
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("SIGKILL", r"was killed by SIGKILL while it made batch 5; the system kills processes when memory runs out"),
        ("SIGSEGV", r"was killed by SIGSEGV while it made batch 5$"),
        ("SIGBUS", r"was killed by SIGBUS while it made batch 5; shared memory may have run out$"),
        ("exit", r"ended with exit code 7 while it made batch 5$"),
    ],
)
def test_a_worker_that_dies_is_named_with_the_reason(how: str, message: str) -> None:
    data, seen = loader(samples.Numbers(9, partial(samples.dies, how)), 1, persistent_workers=True), []
    with pytest.raises(RuntimeError, match=rf"^DataLoader: worker process 1 \(pid \d+\) {message}"):
        for batch in data:
            seen.append(int(batch.data[0, 0, 0]))
    assert seen == [0, 1, 2, 3, 4]
    assert workers() == []
    assert segments() == set()
    assert int(next(iter(data)).data[0, 0, 0]) == 0  # the next epoch starts new processes


@kills
def test_a_worker_that_was_killed_between_two_batches_is_noticed() -> None:
    data = loader(samples.Numbers(100, samples.image), 1, num_workers=1)
    with pytest.raises(RuntimeError, match="was killed by SIGKILL while"):
        for batch in data:
            assert batch.shape == (1, 40, 50)
            (child,) = [child for child in multiprocessing.active_children() if child.name.startswith("rustorch data")]
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)


@kills
def test_a_worker_that_died_between_two_epochs_is_noticed() -> None:
    data = loader(range(3), 1, num_workers=1, persistent_workers=True)
    assert numbers(data) == [[0], [1], [2]]
    (child,) = [child for child in multiprocessing.active_children() if child.name.startswith("rustorch data")]
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="was killed by SIGKILL"):
        list(data)
    assert numbers(data) == [[0], [1], [2]]


def test_a_batch_that_takes_too_long_is_an_error() -> None:
    start = time.monotonic()
    data, seen = loader(samples.Numbers(9, samples.sleeps_at_3), 1, timeout=1.5), []
    message = r"worker process 1 \(pid \d+\) did not send batch 3 within the timeout of 1.5 seconds; find out"
    with pytest.raises(RuntimeError, match=message):
        for batch in data:
            seen.append(batch.item())
    assert seen == [0, 1, 2]
    assert time.monotonic() - start < 20


# -- loops that end early ----------------------------------------------------------------------------------------------
def test_leaving_the_loop_ends_the_processes() -> None:
    data = samples.Numbers(400, samples.image)
    for i, _ in enumerate(loader(data)):
        assert len(workers()) == 2
        if i == 3:
            break
    assert workers() == []
    with pytest.raises(ZeroDivisionError):
        for _ in loader(data):
            _ = 1 / 0
    passing: list[Any] = [iter(loader(data))]
    next(passing[0])
    passing.append(passing)  # a cycle, which only the collector frees
    del passing
    gc.collect()


def test_a_busy_worker_is_terminated_when_the_loop_ends() -> None:
    start = time.monotonic()
    for batch in loader(samples.Numbers(9, samples.sleeps_at_3), 1):
        if batch.item() == 1:
            break
    assert workers() == []
    assert time.monotonic() - start < 20  # and not 60


def test_collecting_a_loader_ends_its_persistent_processes() -> None:
    gc.disable()
    try:
        data = loader(samples.Numbers(40, samples.image), persistent_workers=True)
        for _ in data:
            break
        assert len(workers()) == 2
        del data, _
        assert workers() == []
    finally:
        gc.enable()


# -- programs that end -------------------------------------------------------------------------------------------------
PROGRAM = """
import os, sys, time
from rustorch.data import DataLoader
from tests.data import process_samples as samples

if __name__ == "__main__":
    loader = DataLoader(samples.Numbers(10**6, samples.image), 2, num_workers=2, worker="process", {options})
    passing = iter(loader)
    next(passing)
    {body}
"""


def start(tmp_path: Path, source: str, **options: Any) -> subprocess.Popen:
    """Start a program in a process group of its own."""
    program = tmp_path / "program.py"
    program.write_text(source, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(program)], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, **options,
    )  # fmt: skip


def alive(pids: list[int]) -> list[int]:
    """Which of these processes run. Zombies do not."""
    running = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            running.append(pid)
    return running


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ("pass", ""),
        ("raise SystemExit(0)", "persistent_workers=True"),
        ("kept = next(passing); loader.passing = passing; loader.me = loader; del loader, passing", ""),
        ("import rustorch.data.processes as p; p.kept = passing, next(passing)", "persistent_workers=True"),
        ("pid = os.fork() if hasattr(os, 'fork') else 1; pid or os._exit(0); next(passing)", ""),
    ],
)
def test_programs_exit_in_the_middle_of_an_epoch(body: str, options: str, tmp_path: Path) -> None:
    process = start(tmp_path, PROGRAM.format(body=body, options=options))
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (0, "", "")
    assert segments(process.pid) == set()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are listed in /proc, which Linux has")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL", "SIGTERM"])
def test_nothing_outlives_a_program_that_is_killed(name: str, tmp_path: Path) -> None:
    number = signal.Signals[name]
    body = (
        "print(*[p.pid for p in loader._workers._team.processes], flush=True); next(passing)\n"
        "    for _ in passing: time.sleep(0.01)"
    )
    process = start(tmp_path, PROGRAM.format(body=body, options="persistent_workers=True"))
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2 and alive(pids) == pids and segments(process.pid)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: all processes get it
    else:
        os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    samples.wait_for(lambda: alive(pids) == [] and segments(process.pid) == set())
    if number == signal.SIGINT:
        assert errors.count("Traceback (most recent call last)") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    else:
        assert "Traceback" not in errors


def test_a_program_without_a_guard_is_told_to_have_one(tmp_path: Path) -> None:
    source = "from rustorch.data import DataLoader\nlist(DataLoader(range(3), num_workers=1, worker='process'))\n"
    process = start(tmp_path, source)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a worker process imports this program, and the program would start workers again" in errors
    assert errors.rstrip().endswith('under `if __name__ == "__main__":`, because each of them imports it')


def test_classes_of_a_prompt_are_refused_with_the_reason() -> None:
    source = (
        "from rustorch.data import DataLoader\n"
        "class Data(list): pass\n"
        "try: list(DataLoader(Data([1]), num_workers=1, worker='process'))\n"
        "except AttributeError as error: print(error, error.__notes__[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert "Can't get attribute 'Data'" in done.stdout, done.stderr
    assert "define these in a module that can be imported, not at a prompt" in done.stdout


def test_many_epochs_leave_nothing_behind() -> None:
    data = DataLoader(
        samples.Numbers(6, samples.image), 2, num_workers=1, worker="process", multiprocessing_context=FAST
    )
    for _ in range(5):
        assert len(list(data)) == 3
        assert (workers(), segments()) == ([], set())
