"""Jobs of several ranks that are killed at random moments: no save harms the one before, and a training goes on."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import rustorch
from tests.support import jobs

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")

#: Ends this process without a warning after so many seconds.
KILL = """
def kill_after(seconds):
    import os, signal, threading
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()
"""

# -- saves -------------------------------------------------------------------------------------------------------------
#: Saves one step after another. The process, or the given rank of the job, is killed while it does.
SAVES = (
    KILL
    + """
import os, sys
import numpy, rustorch
import rustorch.distributed as dist
from rustorch.distributed.shard import Shard
from tests.support.saved import bounds

path, form, victim, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
dist.init_process_group()
rank, size = dist.get_rank(), dist.get_world_size()


def save(step):
    start, stop = bounds(50_001, rank, size)
    state = {
        "step": step,
        "shard": Shard(numpy.full(stop - start, step), (50_001,), start),
        "whole": [numpy.full(n, step) for n in (3, 20_000, 0)],
        "own": {rank: numpy.full(rank + 1, step)},
    }
    rustorch.save(state, path, {"step": step}, **({"sharded": True} if form == "folder" else {"rank": 0}))


step = rustorch.load(path)["step"] if os.path.exists(path) and os.listdir(os.path.dirname(path)) else 0
for _ in range(3):
    save(step := step + 1)
dist.barrier()
if victim < 0:
    sys.exit()
if rank == victim:
    kill_after(seconds)
while True:
    save(step := step + 1)
"""
)


def check_saved(path: Path, size: int) -> int:
    """Check that a checkpoint is one of those that were saved, with all of its parts, and return its step."""
    loaded = rustorch.load(path)
    step = loaded["step"]
    assert rustorch.load_metadata(path) == {"step": step}
    assert set(loaded["own"]) == set(range(size))
    for array in [loaded["shard"], *loaded["whole"], *loaded["own"].values()]:
        assert (array.data == step).all(), "the checkpoint mixes two saves"
    assert isinstance(step, int)
    return step


@posix
@pytest.mark.parametrize("form", ["folder", "file"])
def test_a_killed_rank_leaves_a_complete_checkpoint(form: str, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    rng, step = random.Random(form), 0
    for victim in (1, 0):
        done = jobs.run(SAVES, 2, str(path), form, str(victim), str(rng.uniform(0, 0.05)))
        assert done.returncode != 0
        found = check_saved(path, 2)
        assert found >= step + 3, done.stderr
        step = found
    done = jobs.run(SAVES, 2, str(path), form, "-1", "0")
    assert done.returncode == 0 and check_saved(path, 2) == step + 3, done.stderr
    assert len(list(tmp_path.iterdir())) == 1
    if form == "folder":
        assert len(list(path.iterdir())) == 3, "a save removes what killed ones have left"


#: A process imports rustorch. Each of its children saves a folder in a loop until it is killed.
CHILDREN = """
import os, random, signal, sys, time
import numpy, rustorch

rustorch.distributed.init_process_group()
folder, rounds = sys.argv[1], int(sys.argv[2])
rng = random.Random(0)


def save(step):
    arrays = {str(i): numpy.full(n, step, "int64") for i, n in enumerate((3, 60_000, 0, 100_000))}
    rustorch.save({"step": step, "arrays": arrays}, folder, metadata={"step": step}, sharded=True)


start = time.perf_counter()
for last in range(5):
    save(last)
longest = min(3 * (time.perf_counter() - start) / 5, 0.1)
for _ in range(rounds):
    child = os.fork()
    if not child:
        step = last
        while True:
            save(step := step + 1)
    time.sleep(rng.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    loaded = rustorch.load(folder)
    assert loaded["step"] >= last and rustorch.load_metadata(folder) == {"step": loaded["step"]}
    arrays = loaded["arrays"].values()
    assert all((array.data == loaded["step"]).all() for array in arrays), "the folder mixes two saves"
    assert len(os.listdir(folder)) <= 4, "files of killed processes are not removed"
    last = loaded["step"]
save(last + 1)
assert len(os.listdir(folder)) == 2
print("saved", last)
"""


@posix
def test_a_process_killed_60_times_leaves_a_complete_old_or_new_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN, str(tmp_path / "saved"), "60"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 10, "too few saves were complete: the test shows nothing"


# -- trainings ---------------------------------------------------------------------------------------------------------
#: A training that saves after each step, and goes on from what it finds.
TRAINING = (
    KILL
    + """
import json, os, sys, time
import numpy, rustorch
import rustorch.distributed as dist
from rustorch import nn, optim
from rustorch.data import ArrayDataset, DataLoader, DistributedSampler
from rustorch.nn.parallel import DistributedDataParallel, fully_shard

path, kind = sys.argv[1:3]
(steps, victim, killed_after), (dropout, moment) = map(int, sys.argv[3:6]), map(float, sys.argv[6:])
dist.init_process_group()
rank, size = dist.get_rank(), dist.get_world_size()
random = numpy.random.default_rng(0)
data = ArrayDataset(random.normal(size=(40, 6)), random.normal(size=(40, 2)))
rustorch.manual_seed(0)
network = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Dropout(dropout), nn.Linear(9, 2)).to(dtype=rustorch.float64)
rustorch.manual_seed(rank)  # each rank drops other elements
if kind == "zero":
    model = DistributedDataParallel(network)
    optimizer = optim.ZeroRedundancyOptimizer(model.parameters(), optim.Adam, lr=0.05)
else:
    model = fully_shard(network)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
loader = DataLoader(data, batch_size=8 // size, sampler=DistributedSampler(data, seed=7))
parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}
step = 0
if os.path.exists(os.path.join(path, "index.json")):
    saved = rustorch.load(path, sharded=kind == "fully_shard")
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    if rank in saved["random"]:
        rustorch.set_rng_state(saved["random"][rank])
    step = saved["step"]
start = step
dist.barrier()
while step < steps:
    for x, y in loader:
        before = time.perf_counter()
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        scheduler.step()
        step += 1
        rustorch.save({**parts, "step": step, "random": {rank: rustorch.get_rng_state()}}, path, sharded=True)
        if rank == victim and step == start + killed_after:
            kill_after(moment * (time.perf_counter() - before))  # at a random moment of the next step
        if step == steps:
            break
if kind == "fully_shard":
    network.unshard()
if rank == 0:
    print(json.dumps({"start": start, "weights": [p.data.ravel().tolist() for p in network.parameters()]}))
"""
)


def train(
    path: Path, kind: str, ranks: int, dropout: float, victim: int = -1, killed_after: int = 0, moment: float = 0
) -> Any:
    """Train up to step 40, or until a rank is killed in the step that follows ``killed_after`` others; the moment is a
    part of the time of a step. Returns what the job prints, or else the step of the checkpoint.
    """
    done = jobs.run(TRAINING, ranks, *map(str, (path, kind, 40, victim, killed_after, dropout, moment)))
    assert (done.returncode == 0) == (victim < 0), done.stderr
    return json.loads(done.stdout) if victim < 0 else rustorch.load(path)["step"]


@posix
def test_a_killed_training_goes_on_bit_for_bit_on_the_same_number_of_ranks(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", "zero", 2, 0.2)
    rng, step = random.Random(1), 0
    for victim in (1, 0):
        killed_at = train(tmp_path / "killed", "zero", 2, 0.2, victim, rng.randrange(1, 9), rng.random())
        assert step < killed_at < 40
        step = killed_at
    resumed = train(tmp_path / "killed", "zero", 2, 0.2)
    assert whole["start"] == 0 and resumed["start"] == step
    assert resumed["weights"] == whole["weights"]


@posix
@pytest.mark.parametrize("kind", ["zero", "fully_shard"])
def test_a_killed_training_goes_on_on_other_numbers_of_ranks(kind: str, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", kind, 1, 0.0)
    rng, step = random.Random(2), 0
    for ranks in (2, 4, 1):
        killed_at = train(tmp_path / "killed", kind, ranks, 0.0, ranks - 1, rng.randrange(1, 9), rng.random())
        assert step < killed_at < 40
        step = killed_at
    resumed = train(tmp_path / "killed", kind, 2, 0.0)
    assert resumed["start"] == step
    for weights, expected in zip(resumed["weights"], whole["weights"], strict=True):
        numpy.testing.assert_allclose(weights, expected, rtol=0, atol=1e-12)
