"""Jobs of two processes with a GPU each, on the stand-in for CuPy: started by mpiexec, and by torchrun's variables."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gpu.stand_in import needs_compiler
from tests.support import jobs

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for NCCL needs Linux"),
]

STAND_IN = jobs.ROOT / "tests" / "support" / "cuda"
START = """
import os, sys, time, warnings
import numpy, rustorch, cupy
import rustorch.distributed as dist

def print(*values):
    os.write(1, (" ".join(map(str, values)) + "\\n").encode())  # in one piece, so that lines of ranks do not mix

def kind(x):
    return dist.group.state.group.exchange_for(x.data, "test").name

def refused(call, error, *words):
    try:
        call()
    except error as raised:
        missing = [word for word in words if word not in str(raised)]
        assert not missing, f"{missing} not in: {raised}"
        return
    raise AssertionError("nothing was refused")
"""
COLLECTIVES = """
dist.init_process_group(BACKEND, timeout=30)
rank, size = dist.get_rank(), dist.get_world_size()
device = f"cuda:{dist.local_rank() % rustorch.cuda.device_count()}"
x = rustorch.ones(3, device=device) * (rank + 1)
dist.all_reduce(x, "avg")
assert x.tolist() == [1.5] * 3, x
y = rustorch.zeros((2, 3), device=device)
dist.all_gather_into_tensor(y, x + rank)
assert y.tolist() == [[1.5] * 3, [2.5] * 3], y
out, into = rustorch.full((3,), float(rank), device=device), rustorch.zeros(3, device=device)
works = [dist.isend(out, 1 - rank), dist.irecv(into, 1 - rank)]
for work in works:
    work.wait()
assert into.tolist() == [1.0 - rank] * 3, into
group = dist.new_group([1])
if rank == 1:
    dist.all_reduce(x, group=group)
assert dist.all_gather_object(rank) == [0, 1]
print(kind(x), dist.get_backend())
dist.destroy_process_group()
assert not dist.is_initialized()
"""


def environment(gpus: int = 2, **changes: str) -> dict[str, str]:
    return {"CUPY_STAND_IN_GPUS": str(gpus), "PYTHONPATH": f"{jobs.ROOT}:{STAND_IN}", **changes}


def with_mpi(program: str, gpus: int = 2, **changes: str) -> list[str]:
    """The lines that both ranks print under mpiexec."""
    done = jobs.run(START + program, 2, env=environment(gpus, **changes))
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(done.stdout.split("\n"))[1:]


class Torchrun:
    """Processes that get the variables of torchrun, and no launcher of MPI."""

    def __init__(self, program: str, *places: tuple[int, str]):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = str(listener.getsockname()[1])
        self.processes = []
        for rank, token in places:
            variables = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "RUSTORCH_TOKEN": token}
            variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", START + program],
                    env=jobs.environment(**environment(**variables)),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )

    def end(self, timeout: float = 150) -> list[tuple[int, str, str]]:
        """The exit status and the output of each process."""
        try:
            return [(process.wait(timeout), *process.communicate()) for process in self.processes]  # type: ignore[misc]
        finally:
            for process in self.processes:
                process.kill()
                process.communicate()


# -- how jobs start ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", [None, "nccl"])
def test_under_mpiexec_gpus_exchange_by_nccl(engine: str | None) -> None:
    lines = with_mpi(COLLECTIVES.replace("BACKEND", repr(engine)))
    assert lines == [f"nccl {engine or 'mpi'}"] * 2


def test_ranks_that_share_a_gpu_exchange_through_the_host() -> None:
    assert with_mpi(COLLECTIVES.replace("BACKEND", "None"), gpus=1) == ["mpi mpi"] * 2


def test_torchruns_variables_start_nccl_without_mpi() -> None:
    program = "sys.modules['mpi4py'] = None\n" + COLLECTIVES.replace("BACKEND", "None")
    token = secrets.token_hex(16)
    for status, out, err in Torchrun(program, (0, token), (1, token)).end():
        assert status == 0, err
        assert out == "nccl nccl\n"


def test_torchrun_itself_starts_nccl(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torchrun comes with PyTorch")
    program = tmp_path / "train.py"
    program.write_text(START + COLLECTIVES.replace("BACKEND", "None"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(program)]
    variables = jobs.environment(**environment(RUSTORCH_TOKEN=secrets.token_hex(16)))
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nccl nccl\n" * 2


def test_models_train_without_mpi(tmp_path: Path) -> None:
    program = f"""
sys.modules['mpi4py'] = None
from rustorch import nn, optim
from tests.gpu import ranks
ranks.main()

dist.init_process_group("nccl", timeout=60)
rank, device = dist.get_rank(), f"cuda:{{dist.get_rank()}}"
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)).to(device)
model = nn.parallel.DistributedDataParallel(nn.SyncBatchNorm.convert_sync_batchnorm(model))
steps = optim.ZeroRedundancyOptimizer(model.parameters(), optim.Adam, lr=0.1)
for _ in range(3):
    steps.zero_grad()
    rustorch.sum(model(rustorch.randn(5, 4, device=device)) ** 2).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    steps.step()
weights = dist.all_gather_object([p.tolist() for p in model.parameters()])
assert weights[0] == weights[1]
whole = nn.parallel.fully_shard(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)).to(device))
rustorch.sum(whole(rustorch.ones((5, 4), device=device))).backward()
optim.Adam(whole.parameters()).step()
rustorch.save(whole.state_dict(), {str(tmp_path / "sharded")!r}, sharded=True)
assert sorted(rustorch.load({str(tmp_path / "sharded")!r})) == ["0.bias", "0.weight", "1.bias", "1.weight"]
dist.destroy_process_group()
"""
    token = secrets.token_hex(16)
    ends = Torchrun(program, (0, token), (1, token)).end()
    for status, _, err in ends:
        assert status == 0, err
    assert ends[0][1] == "2 ranks on 2 GPUs exchange by nccl\n"


# -- errors ------------------------------------------------------------------------------------------------------------
def test_ranks_that_share_a_gpu_are_named_where_nccl_was_asked_for() -> None:
    program = """
dist.init_process_group("nccl", timeout=60)
x = rustorch.ones(3, device="cuda")
for _ in range(2):
    refused(lambda: dist.all_reduce(x), RuntimeError, "NCCL cannot connect the 2 ranks: ranks 0, 1 have arrays on the "
            "same GPU, 'cuda'; give each rank a GPU of its own")
assert x.tolist() == [1.0] * 3
y = rustorch.ones(3, device=f"cuda:{dist.get_rank()}")
dist.all_reduce(y)
assert y.tolist() == [2.0] * 3
print("ok")
dist.destroy_process_group()
"""
    assert with_mpi(program) == ["ok", "ok"]


def test_a_missing_nccl_is_named_once_and_the_host_exchanges() -> None:
    program = """
dist.init_process_group(timeout=30)
rank = dist.get_rank()
x = rustorch.ones(3, device=f"cuda:{rank}")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    dist.all_reduce(x)
    dist.all_reduce(x)
assert x.tolist() == [4.0] * 3
print(rank, [str(warning.message) for warning in caught])
dist.destroy_process_group()
"""
    first, second = with_mpi(program, CUPY_STAND_IN_NCCL="0")
    assert first == (
        "0 ['arrays on GPUs are exchanged through the memory of the host, which is slow: on rank 0, NCCL is not "
        "installed: pip install nvidia-nccl-cu13']"
    )
    assert second == "1 []"


WITHOUT_MPI = """
sys.modules['mpi4py'] = None
dist.init_process_group(timeout=30)
rank = dist.get_rank()
x = rustorch.ones(3, device=f"cuda:{rank}")
refused(lambda: dist.all_reduce(numpy.ones(3)), ValueError, "NCCL exchanges arrays on GPUs, and this one is on 'cpu'")
refused(lambda: dist.recv(x), ValueError, "recv: without MPI, NCCL receives from a rank that is named, as in src=0")
refused(lambda: dist.isend(x, 1 - rank, tag=4), ValueError, "send: without MPI, NCCL has no tags, not even 4")
refused(lambda: dist.init_process_group(), RuntimeError, "exists already")
dist.all_reduce(x)
assert x.tolist() == [2.0] * 3
print("ok")
dist.destroy_process_group()
"""


def test_what_nccl_alone_cannot_do_is_refused() -> None:
    token = secrets.token_hex(16)
    for status, out, err in Torchrun(WITHOUT_MPI, (0, token), (1, token)).end():
        assert status == 0, err
        assert out == "ok\n"


def test_a_wrong_token_ends_the_process_that_has_it_alone(tmp_path: Path) -> None:
    program = f"""
seen = {str(tmp_path / "seen")!r}
try:
    dist.init_process_group(timeout=30)
except RuntimeError:
    open(seen, "w").close()
    raise
while not os.path.exists(seen):
    time.sleep(0.05)
dist.barrier()
x = rustorch.ones(3, device=f"cuda:{{dist.get_rank()}}")
dist.all_reduce(x)
assert x.tolist() == [2.0] * 3
print("ok")
dist.destroy_process_group()
"""
    token = secrets.token_hex(16)
    first, second, wrong = Torchrun(program, (0, token), (1, token), (1, "x" + token)).end()
    for status, out, err in (first, second):
        assert status == 0, err
        assert out == "ok\n"
    assert wrong[0] == 1
    assert "RuntimeError: rank 1 and rank 0 at 127.0.0.1:" in wrong[2]
    assert "have different tokens" in wrong[2]


@pytest.mark.parametrize("end", ["raise KeyError('the disk is full')", "os.kill(os.getpid(), 9)", "sys.exit(0)"])
def test_the_end_of_a_rank_ends_the_others(end: str) -> None:
    program = f"""
dist.init_process_group(timeout=60)
dist.barrier()
if dist.get_rank() == 1:
    {end}
dist.barrier()
"""
    token, start = secrets.token_hex(16), time.monotonic()
    (status, _, err), (other, _, other_err) = Torchrun(program, (0, token), (1, token)).end()
    assert status == 1
    assert "rank 1 has ended, and does not come to 'world: exchange 2' any more" in err or "rank 1 left the" in err
    assert other in (1, -9, 0)
    assert other_err.count("KeyError: 'the disk is full'") == ("KeyError" in end)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("launcher", ["mpiexec", "torchrun"])
def test_a_rank_that_does_not_come_is_named(launcher: str) -> None:
    program = """
dist.init_process_group(timeout=6)
x = rustorch.ones(3, device=f"cuda:{dist.get_rank()}")
dist.all_reduce(x)
def evaluate():
    time.sleep(15)
if dist.get_rank() == 1:
    evaluate()
dist.all_reduce(x)
"""
    if launcher == "mpiexec":
        done = jobs.run(START + program, 2, env=environment())
        status, err = done.returncode, done.stderr
    else:
        token = secrets.token_hex(16)
        (status, _, err), _ = Torchrun(program, (0, token), (1, token)).end()
    assert status != 0
    # the first collective connected the GPUs
    assert "rustorch.distributed: collective 3, all_reduce(float32 (3,), sum) has not ended after 6 s" in err
    assert "rank 0: waits in collective 3, all_reduce(float32 (3,), sum), called at <string>:" in err
    assert "rank 1: has called 2 collectives, and is at <string>:" in err
    assert "in evaluate" in err


def test_an_exchange_that_hangs_on_the_gpu_is_named() -> None:
    """On a GPU a call returns at once, and the program waits when it reads the result."""
    program = """
from rustorch.backends.cupy import nccl
dist.init_process_group(timeout=1)
x = rustorch.ones(3, device=f"cuda:{dist.get_rank()}")
dist.all_reduce(x)
cupy._stream._LATE = 10**9
def read(x):
    time.sleep(60)
if dist.get_rank() == 0:
    wait, nccl.Pending.wait = nccl.Pending.wait, lambda self: None
dist.all_reduce(x)
read(x)
"""
    done = jobs.run(START + program, 2, env=environment())
    assert done.returncode != 0
    text = "collective 3, or an earlier one: all_reduce runs on the GPU"
    assert f"rustorch.distributed: {text} has not ended after 1 s" in done.stderr
    assert f"rank 0: waits in {text}, called at <string>:" in done.stderr
    assert "in read" in done.stderr


def test_a_token_is_needed() -> None:
    ((status, _, err),) = Torchrun("dist.init_process_group()", (0, "")).end()
    assert status == 1
    assert "ValueError: the environment variable RUSTORCH_TOKEN is missing" in err


def test_calls_that_differ_are_told_in_debug_mode() -> None:
    program = """
dist.init_process_group(timeout=30, debug=True)
rank = dist.get_rank()
x = rustorch.ones(3 + rank, device=f"cuda:{rank}")
refused(lambda: dist.all_reduce(x), ValueError, "The calls differ, and nothing was exchanged", "(3,)", "(4,)")
y = rustorch.ones(3, device=f"cuda:{rank}")
dist.all_reduce(y)
assert y.tolist() == [2.0] * 3
print("ok")
dist.destroy_process_group()
"""
    assert with_mpi(program) == ["ok", "ok"]
    token = secrets.token_hex(16)
    for status, out, err in Torchrun(program, (0, token), (1, token)).end():
        assert status == 0, err
        assert out == "ok\n"
