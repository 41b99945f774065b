"""Trains the networks of `distributed_training` with PyTorch's DistributedDataParallel and gloo: a program of one rank.

``python -m tests.support.torch_ddp folder rank size`` trains every case. Rank 0 writes ``<case>.npz`` into the folder:
the initial parameters and buffers as ``0/name``, and those after step n as ``n/name``.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy

from .distributed_training import BATCH, batch, loss_of, make, share

ROOT = Path(__file__).parents[2]
STEPS = 15


class Case(NamedTuple):
    """A network, how it is trained, and with which options of DistributedDataParallel."""

    network: str
    optimizer: str = "SGD"
    rate: float = 0.1
    pieces: int = 1
    clip: float = 0.0
    frozen: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (BATCH,)
    options: Mapping[str, Any] = MappingProxyType({})


CASES = {
    "mlp": Case("mlp", options={"bucket_cap_mb": 1e-4}),
    "mlp, Adam, accumulation, clipping": Case("mlp", "Adam", 0.01, pieces=3, clip=0.05),
    "mlp, uneven batches": Case("mlp", sizes=(BATCH, 7)),
    "mlp, frozen, static graph": Case("mlp", frozen=("0.weight", "2.bias"), options={"static_graph": True}),
    "cnn, batch norm of each rank": Case("cnn"),
    "cnn, own statistics": Case("cnn", options={"broadcast_buffers": False}),
    "gpt": Case("gpt", options={"find_unused_parameters": True}),
    "gpt, AdamW, views": Case("gpt", "AdamW", 0.003, options={"gradient_as_bucket_view": True}),
    "lstm": Case("lstm", clip=0.1),
}


def train(library: Any, case: Case, wrap: Callable[..., Any], model: Any, rank: int, size: int) -> Any:
    """Train a network on this rank, and yield after each step. The same code trains with rustorch and with torch."""
    for name, p in model.named_parameters():
        p.requires_grad_(name not in case.frozen)
    ddp = wrap(model, **case.options)
    optimizer = getattr(library.optim, case.optimizer)(
        [p for p in ddp.parameters() if p.requires_grad],
        lr=case.rate,
        **({"momentum": 0.9} if case.optimizer == "SGD" else {"eps": 1e-5}),
    )
    for step in range(STEPS):
        inputs, classes = batch(case.network, step, case.sizes[step % len(case.sizes)])
        own = share(len(inputs), rank, size)
        inputs, classes = inputs[own], classes[own]
        optimizer.zero_grad()
        for i in range(case.pieces):
            part = share(len(inputs), i, case.pieces)
            with ddp.no_sync() if i < case.pieces - 1 else contextlib.nullcontext():
                (loss_of(library, ddp, inputs[part], classes[part]) / classes.size).backward()
        if case.clip:
            library.nn.utils.clip_grad_norm_(ddp.parameters(), case.clip)
        optimizer.step()
        yield


def start(folder: Path, size: int) -> dict[str, dict[str, numpy.ndarray]]:
    """Train with PyTorch on several ranks, and return what rank 0 wrote, by case."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", __name__, str(folder)]
    ranks = [
        subprocess.Popen([*command, str(rank), str(size)], env=env, stderr=subprocess.PIPE, text=True)
        for rank in range(size)
    ]
    try:
        for process in ranks:
            _, err = process.communicate(timeout=150)
            if process.returncode:
                raise RuntimeError(f"PyTorch ended with status {process.returncode}:\n{err}")
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    results = {}
    for name in CASES:
        with numpy.load(folder / f"{name}.npz") as file:
            results[name] = dict(file)
    return results


def main(folder: Path, rank: int, size: int) -> None:
    """Train all cases with PyTorch."""
    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    for name, case in CASES.items():
        torch.manual_seed(0)
        model = make(torch, case.network)
        written: dict[str, numpy.ndarray] = {}

        def note(step: int, model: Any = model, written: dict[str, numpy.ndarray] = written) -> None:
            written.update({f"{step}/{key}": value.numpy().copy() for key, value in model.state_dict().items()})

        note(0)
        trained = train(torch, case, torch.nn.parallel.DistributedDataParallel, model, rank, size)
        for step, _ in enumerate(trained, 1):
            note(step)
        if rank == 0:
            numpy.savez(folder / f"{name}.npz", **written)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
