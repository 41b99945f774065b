"""Counts a training step's launches, waits for the GPU and copies from the host. It needs no GPU.

A new process counts on the stand-in for CuPy in ``tests/support/cuda``, which needs a C++ compiler. Counts are the same
on every machine. ``tests/gpu/test_launches.py`` compares them with the limits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rustorch
from rustorch import nn, optim

from . import adam, cnn, gpt, lstm, mlp

F = nn.functional
DEVICE = "cuda"
ROOT = Path(__file__).parents[1]
STAND_IN = ROOT / "tests" / "support" / "cuda"


@dataclass(frozen=True)
class Case:
    """One call whose launches are counted.

    Attributes
    ----------
    make : callable
        Makes a function. Its third call is counted.
    limit : int, optional
        The largest number of launches allowed.
    torch : int, optional
        The launches of PyTorch eager, counted by its profiler.
    """

    make: Callable[[], Callable[[], object]]
    limit: int | None = None
    torch: int | None = None


@dataclass(frozen=True)
class Counts:
    """The counts of one call.

    Attributes
    ----------
    launches, waits, copies : int
    where : tuple of str
        For each wait and each copy: its name, and the lines that asked for it.
    """

    launches: int
    waits: int
    copies: int
    where: tuple[str, ...] = ()


# -- training steps ----------------------------------------------------------------------------------------------------
def _recurrent() -> Callable[[], object]:
    layer = nn.LSTM(lstm.FEATURES, lstm.HIDDEN).to(DEVICE)
    x = rustorch.randn(lstm.STEPS, 4, lstm.FEATURES, device=DEVICE)

    def both() -> None:
        layer.zero_grad()
        rustorch.sum(layer(x)[0]).backward()

    return both


STEPS = {
    "MLP [784, 256, 128, 10], SGD": Case(
        lambda: mlp.rustorch_step([784, 256, 128, 10], 64, DEVICE), limit=22, torch=21
    ),
    "the same, Adam": Case(lambda: mlp.step([784, 256, 128, 10], 64, "Adam").rustorch_step(DEVICE)),
    f"MLP {adam.SIZES}, Adam": Case(lambda: adam.step().rustorch_step(DEVICE)),
    "CNN, SGD with momentum": Case(lambda: cnn.step(4).rustorch_step(DEVICE), limit=45, torch=33),
    "GPT, SGD": Case(lambda: gpt.step("SGD", 2).rustorch_step(DEVICE)),
    "GPT, AdamW": Case(lambda: gpt.step("AdamW", 2).rustorch_step(DEVICE), limit=110, torch=113),
    f"LSTM, {lstm.STEPS} steps, forward and backward": Case(_recurrent, limit=140),
}


# -- single updates ----------------------------------------------------------------------------------------------------
def _small() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)).to(DEVICE)


def _with_gradients(parameters: list[Any]) -> list[Any]:
    for p in parameters:
        p.grad = rustorch.randn(*p.shape, device=DEVICE).data
    return parameters


def _update(name: str, matrices_only: bool = False) -> Callable[[], Callable[[], object]]:
    def make() -> Callable[[], object]:
        parameters = [p for p in _small().parameters() if p.ndim == 2 or not matrices_only]
        return getattr(optim, name)(_with_gradients(parameters)).step

    return make


def _clipping() -> Callable[[], object]:
    parameters = _with_gradients(list(_small().parameters()))
    return lambda: nn.utils.clip_grad_norm_(parameters, 1.0)


UPDATES = {
    **{f"{name} on 4 parameters": Case(_update(name)) for name in ("SGD", "Adam", "AdamW", "RMSprop")},
    "Adafactor on 4 parameters": Case(_update("Adafactor"), limit=40),
    "Muon on 2 matrices": Case(_update("Muon", matrices_only=True), limit=40),
    "clip_grad_norm_ on 4 parameters": Case(_clipping),
}


# -- losses and layers -------------------------------------------------------------------------------------------------
def _loss(loss: Callable[..., Any]) -> Case:
    """A small perceptron with this loss, forward and backward."""

    def make() -> Callable[[], object]:
        network, x = _small(), rustorch.randn(4, 8, device=DEVICE)
        target, labels = rustorch.rand(4, 8, device=DEVICE), rustorch.tensor([1, 2, 3, 4], device=DEVICE)

        def both() -> None:
            network.zero_grad()
            out = loss(network(x), target, labels)
            (out if not out.ndim else rustorch.sum(out)).backward()

        return both

    return Case(make)


def _layer(make: Callable[[], nn.Module], *shape: int, backward: bool = True) -> Case:
    """A layer on random numbers, forward and (with ``backward``) backward."""

    def prepare() -> Callable[[], object]:
        layer, x = make().to(DEVICE), rustorch.randn(*shape, device=DEVICE)

        def call() -> None:
            layer.zero_grad()
            out = layer(x)
            if backward:
                rustorch.sum(out).backward()

        return call

    return Case(prepare)


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x, need_weights=False)[0]


def _embedding() -> Callable[[], object]:
    layer, indices = nn.Embedding(10, 8).to(DEVICE), rustorch.tensor([1, 2, 3, 4], device=DEVICE)

    def both() -> None:
        layer.zero_grad()
        rustorch.sum(layer(indices)).backward()

    return both


def _activated(name: str, out: Any, *_: Any) -> Any:
    return getattr(F, name)(out)


LAYERS = {
    "two Linear with ReLU, and sum": _loss(lambda out, *_: out),
    "the same with cross_entropy": _loss(lambda out, target, labels: F.cross_entropy(out, labels)),
    "... log_softmax and nll_loss": _loss(lambda out, target, labels: F.nll_loss(F.log_softmax(out, 1), labels)),
    "... mse_loss": _loss(lambda out, target, labels: F.mse_loss(out, target)),
    "... l1_loss": _loss(lambda out, target, labels: F.l1_loss(out, target)),
    "... smooth_l1_loss": _loss(lambda out, target, labels: F.smooth_l1_loss(out, target)),
    "... huber_loss": _loss(lambda out, target, labels: F.huber_loss(out, target)),
    "... binary_cross_entropy_with_logits": _loss(
        lambda out, target, labels: F.binary_cross_entropy_with_logits(out, target)
    ),
    **{
        f"... {name}, and sum": _loss(partial(_activated, name))
        for name in ("relu6", "hardtanh", "dropout", "gelu", "silu", "leaky_relu", "softplus", "normalize")
    },
    "... tanh, and sum": _loss(lambda out, *_: rustorch.tanh(out)),
    "... abs, and sum": _loss(lambda out, *_: rustorch.abs(out)),
    "... clip, and sum": _loss(lambda out, *_: rustorch.clip(out, -1, 1)),
    "... layer_norm, and sum": _loss(lambda out, *_: F.layer_norm(out, (8,))),
    "Embedding": Case(_embedding),
    "BatchNorm1d in training, forward": _layer(lambda: nn.BatchNorm1d(8), 4, 8, backward=False),
    "Dropout, forward": _layer(lambda: nn.Dropout(0.5), 4, 8, backward=False),
    "MultiheadAttention, forward": _layer(_Attention, 3, 5, 8, backward=False),
    "MultiheadAttention": _layer(_Attention, 3, 5, 8),
}

#: All cases by title.
CASES = {**STEPS, **UPDATES, **LAYERS}


# -- counting ----------------------------------------------------------------------------------------------------------
def _count(case: Case) -> Counts:
    from tests.support.launches import counted

    call = case.make()
    for _ in range(2):  # kernels are compiled, and an optimizer makes its state
        call()
    with counted() as counts:
        call()
    return Counts(counts.launches.total(), counts.syncs.total(), counts.copies.total(), tuple(counts.waiting))


def _child() -> None:
    """Count in this process, where ``cupy`` is the stand-in, and print the counts for `measure`."""
    out: dict[str, Any] = {}
    for title, case in CASES.items():
        try:
            out[title] = astuple(_count(case))
        except Exception as error:
            out[title] = f"{type(error).__name__}: {error}"
    print(json.dumps(out))


def environment() -> dict[str, str]:
    """Environment variables for a process in which ``cupy`` is the stand-in."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(STAND_IN), str(ROOT)])}


def measure() -> dict[str, Counts | str]:
    """The counts by title. For a case that failed, the value is the text of its error.

    Raises
    ------
    RuntimeError
        If nothing could be counted. The message has the process's output.
    """
    command = [sys.executable, "-m", "benchmarks.launches"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"nothing could be counted: {done.stderr.strip()}")
    results = json.loads(done.stdout.splitlines()[-1])
    return {title: counts if isinstance(counts, str) else Counts(*counts) for title, counts in results.items()}


def beyond(case: Case, counts: Counts | str) -> str:
    """The limits that the counts exceed, as text. It is empty if there are none."""
    if isinstance(counts, str):
        return counts
    wrong = []
    if case.limit is not None and counts.launches > case.limit:
        wrong.append(f"{counts.launches} launches, at most {case.limit} are allowed")
    if counts.waits:
        wrong.append(f"{counts.waits} waits for the GPU")
    if counts.copies:
        wrong.append(f"{counts.copies} copies from the host")
    wrong += dict.fromkeys(counts.where)
    return "; ".join(wrong)


def run() -> int:
    """Print a table of the counts.

    Returns
    -------
    int
        How many cases exceed their limits, wait for the GPU, or copy from the host.
    """
    results = measure()
    failed = 0
    for heading, cases in (
        ("training step", STEPS),
        ("update", UPDATES),
        ("losses and layers, forward and backward", LAYERS),
    ):
        print(f"\n{heading:44}launches  limit  torch  waits  copies from the host")
        for title, case in cases.items():
            counts = results[title]
            if isinstance(counts, str):
                print(f"{title:44}FAILED {counts}")
            else:
                limit, torch = ("" if number is None else number for number in (case.limit, case.torch))
                line = f"{title:44}{counts.launches:8}{limit:7}{torch:7}{counts.waits:7}{counts.copies:7}"
                print(line + ("   too many" if beyond(case, counts) else ""))
            failed += bool(beyond(case, counts))
    return failed


if __name__ == "__main__":
    _child()
