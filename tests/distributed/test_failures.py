"""A rank that fails, or that does not come, ends the job at once, with a report that says which one and where."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import jobs

PROGRAM = """
import os, signal, sys, time
import numpy as np
import rustorch.distributed as dist

dist.init_process_group(timeout=float(sys.argv[2]))
rank = dist.get_rank()

def evaluate():
    time.sleep(100)

def hold_the_lock():
    import re
    re.match(r"(a+)+$", "a" * 40 + "b")

dist.all_reduce(np.ones(3))
if rank == 1:
    time.sleep(0.2)
    print(f"failed at {time.time()}", flush=True)
    match sys.argv[1]:
        case "raises": raise KeyError("the disk is full")
        case "is killed": os.kill(os.getpid(), signal.SIGKILL)
        case "exits": sys.exit(0)
        case "exits with 3": sys.exit(3)
        case "exits without cleaning up": os._exit(0)
        case "sleeps": evaluate()
        case "does not answer": hold_the_lock()
        case "is elsewhere": dist.barrier(group=dist.new_group())
        case "makes no group": sys.exit(0)
        case "receives": dist.recv(np.ones(1), 0)
    sys.exit(0)
if sys.argv[1] == "is elsewhere":
    dist.new_group()
if sys.argv[1] == "makes no group":
    dist.new_group([0])
if sys.argv[1] == "receives":
    sys.exit(0)
dist.all_reduce(np.ones(3))  # waits for rank 1
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(PROGRAM)
    return path


def seconds_since_failure(out: str) -> float:
    """The time between the failure of rank 1 and now, when the job has ended."""
    found = re.search(r"failed at ([\d.]+)", out)
    assert found is not None, out
    return time.time() - float(found[1])


@pytest.mark.parametrize(
    ("way", "ranks"),
    [
        ("raises", 2),
        ("raises", 3),
        ("is killed", 3),
        ("exits", 3),
        ("exits with 3", 2),
        ("exits without cleaning up", 3),
    ],
)
def test_a_rank_that_fails_ends_the_job(program: Path, way: str, ranks: int) -> None:
    done = jobs.run(program, ranks, way, "600")
    assert seconds_since_failure(done.stdout) < 2
    if "without" not in way:  # the launcher ends that job itself, with the status of the rank
        assert done.returncode != 0
    assert done.stderr.count("KeyError: 'the disk is full'") == done.stderr.count("Traceback") == (way == "raises")
    if way == "exits":  # with another status, mpi4py may be the first to end the job
        assert done.stderr.count("rank 1 left the program after 1 collectives of this group; rank 0 waits") == 1
        assert re.search(
            r"rank 0: waits in collective 2, all_reduce\(float64 \(3,\), sum\), called at .*train.py:\d+", done.stderr
        )
        assert "rank 1: has left the program" in done.stderr


def test_a_program_without_mpi4py_in_its_command_ends_as_well() -> None:
    source = (
        "import numpy, sys, rustorch.distributed as dist; dist.init_process_group(); sys.argv[1:]\n"
        "if dist.get_rank() == 1: raise KeyError('the disk is full')\n"
        "dist.all_reduce(numpy.ones(3))"
    )
    done = jobs.run(source, 2)
    assert done.returncode != 0
    assert done.stderr.count("KeyError: 'the disk is full'") == done.stderr.count("Traceback") == 1


@pytest.mark.parametrize(
    ("way", "line"),
    [
        ("sleeps", r"rank 1: has called 1 collectives, and is at .*train.py:10 in evaluate"),
        ("does not answer", r"rank 1: does not answer: it is stopped, or a function that holds the interpreter's lock"),
        ("is elsewhere", r"rank 1: has called 2 collectives, and waits in another group, in collective 1, barrier\(\)"),
    ],
)
def test_a_rank_that_never_comes_is_named(program: Path, way: str, line: str) -> None:
    done = jobs.run(program, 3, way, "1")
    assert done.returncode != 0
    assert re.search(line, done.stderr), done.stderr
    assert re.search(r"collective [123], \w+\(.*\) has not ended after 1 s", done.stderr)
    assert re.search(r"rank 2: waits in collective [123], \w+\(.*\), called at .*train.py:\d+ in <module>", done.stderr)
    assert done.stderr.count("rustorch.distributed:") == 1


def test_a_rank_that_makes_no_group_is_noticed(program: Path) -> None:
    done = jobs.run(program, 2, "makes no group", "600")
    assert done.returncode != 0
    assert re.search(r"rank 0: waits in collective 2, new_group\(\[0\]\), called at .*train.py:\d+", done.stderr), (
        done.stderr
    )


def test_a_receiver_is_told_that_the_sender_has_left(program: Path) -> None:
    done = jobs.run(program, 2, "receives", "600")
    assert done.returncode != 0
    assert "rank 0 left the program, and rank 1 waits for it" in done.stderr
    assert re.search(r"rank 1: waits in recv\(float64 \(1,\), src=0, tag=0\), called at .*train.py", done.stderr)


def test_a_rank_that_leaves_after_its_part_ends_nothing() -> None:
    source = (
        "import numpy, time, rustorch.distributed as dist\n"
        "dist.init_process_group(timeout=10)\n"
        "x = numpy.full(2, float(dist.get_rank()))\n"
        "if dist.get_rank() == 0: dist.send(x, 1)\n"
        "if dist.get_rank() == 1: time.sleep(0.5); dist.recv(x, 0)\n"
        "if dist.get_rank() == 1: time.sleep(0.5); print('the end', x)\n"
    )
    done = jobs.run(source, 2)
    assert (done.returncode, done.stdout.strip()) == (0, "the end [0. 0.]"), done.stderr


def test_a_handle_that_nobody_waits_for_ends_nothing() -> None:
    source = (
        "import numpy, time, rustorch.distributed as dist\n"
        "dist.init_process_group(timeout=0.5)\n"
        "kept = dist.all_reduce(numpy.ones(2), async_op=True)\n"
        "dist.barrier(async_op=True)\n"
        "time.sleep(1.5)\n"
        "dist.destroy_process_group(); print('the end')\n"
    )
    done = jobs.run(source, 2)
    assert (done.returncode, done.stdout.count("the end")) == (0, 2), done.stderr


def test_polling_for_a_rank_that_does_not_come_ends() -> None:
    source = (
        "import numpy, time, rustorch.distributed as dist\n"
        "dist.init_process_group(timeout=0.5)\n"
        "if dist.get_rank(): time.sleep(100)\n"
        "work = dist.all_reduce(numpy.ones(2), async_op=True)\n"
        "while not work.is_completed(): time.sleep(0.01)\n"
    )
    done = jobs.run(source, 2)
    assert done.returncode != 0
    assert "all_reduce(float64 (2,), sum, async_op=True) has not ended after 0.5 s" in done.stderr


def test_mpiexec_of_another_mpi_is_noticed() -> None:
    jobs.mpiexec()  # skips without mpi4py
    program = "import rustorch.distributed as dist; dist.init_process_group()"
    env = jobs.environment(OMPI_COMM_WORLD_SIZE="4")  # as if four such processes were started by an mpiexec of Open MPI
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "the launcher started 4 processes, but MPI sees one in each: mpiexec belongs to another MPI" in done.stderr


def test_a_group_can_be_started_again() -> None:
    source = (
        "import numpy, rustorch.distributed as dist\n"
        "for seconds in (10, 20):\n"
        "    dist.init_process_group(timeout=seconds)\n"
        "    x = numpy.ones(1)\n"
        "    dist.all_reduce(x, group=dist.new_group())\n"
        "    dist.destroy_process_group()\n"
        "    print(f'{x} {dist.is_initialized()}')\n"
    )
    done = jobs.run(source, 2)
    assert done.stdout.count("[2.] False") == 4, done.stderr
