"""Ranks with a GPU each save together, on the stand-in for CuPy: with MPI, and with NCCL alone."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy
import pytest

import rustorch
from tests.distributed.test_nccl_jobs import Torchrun, with_mpi
from tests.gpu.stand_in import needs_compiler
from tests.support.saved import assert_same

pytestmark = needs_compiler

SAVE = """
from rustorch.distributed import Shard
dist.init_process_group(BACKEND, timeout=30)
rank = dist.get_rank()
x = rustorch.arange(10.0, device=f"cuda:{rank}") * 0.5
state = {"shard": Shard(x[3 * rank : 3 + 7 * rank], (10,), 3 * rank), "x": x, "own": {rank: x[:rank]}, "last": None}
if rank == 1:
    state["last"] = numpy.ones(3, dtype=bool)  # on the host
rustorch.save(state, PATH, rank=0)
rustorch.save(state, PATH + ".folder", sharded=True)
print("saved", dist.get_backend())
dist.destroy_process_group()
"""


def check(path: Path) -> None:
    x = numpy.arange(10, dtype="float32") * 0.5
    expected = {"shard": x, "x": x, "own": {0: x[:0], 1: x[:1]}, "last": numpy.ones(3, dtype=bool)}
    assert_same(rustorch.load(path), expected)
    assert_same(rustorch.load(f"{path}.folder"), expected)


@pytest.mark.parametrize("engine", [None, "nccl"])
def test_under_mpiexec(engine: str | None, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    lines = with_mpi(SAVE.replace("BACKEND", repr(engine)).replace("PATH", repr(str(path))))
    assert lines == [f"saved {engine or 'mpi'}"] * 2
    check(path)


def test_with_nccl_alone(tmp_path: Path) -> None:
    path = tmp_path / "saved"
    program = "sys.modules['mpi4py'] = None\n" + SAVE.replace("BACKEND", "None").replace("PATH", repr(str(path)))
    token = secrets.token_hex(16)
    for status, out, err in Torchrun(program, (0, token), (1, token)).end():
        assert status == 0, err
        assert out == "saved nccl\n"
    check(path)
