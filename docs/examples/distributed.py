"""Several processes train one network: each computes the gradients of its part of every batch.

    mpiexec -n 2 python -m mpi4py docs/examples/distributed.py                MNIST's convolutional network
    mpiexec -n 2 python -m mpi4py docs/examples/distributed.py --model gpt    a small GPT on tiny Shakespeare
    mpiexec -n 4 python -m mpi4py docs/examples/distributed.py --device cuda  each process takes a GPU of its machine
    python docs/examples/distributed.py                                       the same program in one process
    ... --trace step.json         a timeline of backward and exchanges, for https://ui.perfetto.dev
    ... --plot run.png            draw the curves, and the time of a step
    ... --save run.safetensors    save after each epoch, and go on from there if the file exists

The networks and the data are those of mnist_cnn.py and char_gpt.py. The result does not depend on the number of
processes, up to rounding. At the end the program measures how much faster they are together than one of them alone.
Give each process one thread, as in `OMP_NUM_THREADS=1 mpiexec -n 2 ...`, or else they compete for the processors.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import char_gpt
import mnist_cnn
from digits import load, positive
from tqdm import tqdm

import rustorch
import rustorch.distributed as dist
from rustorch import Variable, nn
from rustorch.data import ArrayDataset, DataLoader, DistributedSampler, Subset
from rustorch.nn.parallel import DistributedDataParallel

Batch = tuple[Variable, Variable]
Result = TypeVar("Result")


class Task(NamedTuple):
    """What is learned from what."""

    make: Callable[[], nn.Module]
    loss_of: Callable[[nn.Module, Variable, Variable], Variable]  # the mean over a batch
    score_of: Callable[[nn.Module, Variable, Variable], Variable]  # the sum over a batch
    score: str  # its name and its format
    training: ArrayDataset
    test: ArrayDataset
    batch_size: int
    optimizer: Callable[..., rustorch.Optimizer]


# -- the tasks ---------------------------------------------------------------------------------------------------------
def on_one_process_first(fetch: Callable[[], Path]) -> Path:
    """Fetch a file on one process of each machine; the others find it there."""
    try:
        if dist.local_rank() == 0:
            fetch()
    finally:
        dist.barrier()
    return fetch()


def digits_task(options: argparse.Namespace, device: str) -> Task:
    parts = load(options.data or on_one_process_first(mnist_cnn.mnist))
    training, test = [
        ArrayDataset(
            images[: options.samples].reshape(-1, mnist_cnn.SIDE**2), labels[: options.samples].astype("int64")
        )
        for images, labels in parts
    ]
    return Task(
        lambda: mnist_cnn.Network(device),
        lambda model, images, labels: nn.functional.cross_entropy(model(images), labels),
        lambda model, images, labels: rustorch.count_nonzero(rustorch.argmax(model(images), axis=1) == labels),
        "test accuracy {:.2%}",
        training,
        test,
        options.batch_size or 64,
        lambda parameters: rustorch.SGD(parameters, lr=options.lr or 0.05, momentum=0.9),
    )


def text_task(options: argparse.Namespace, device: str) -> Task:
    letters, training, test = char_gpt.read(options.data or on_one_process_first(char_gpt.shakespeare))
    return Task(
        lambda: char_gpt.GPT(len(letters)).to(device),
        char_gpt.loss_of,
        lambda model, codes, following: char_gpt.loss_of(model, codes, following) * codes.shape[0],
        "validation loss {:.3f}",
        training,
        test,
        options.batch_size or 16,
        lambda parameters: rustorch.AdamW(parameters, lr=options.lr or 1e-3, weight_decay=0.1),
    )


# -- training ----------------------------------------------------------------------------------------------------------
@rustorch.no_grad()
def evaluate(task: Task, model: nn.Module, device: str) -> float:
    """The mean score of the test samples. Each process computes it for every n-th sample."""
    model.eval()
    own = Subset(task.test, range(dist.get_rank(), len(task.test), dist.get_world_size()))
    total = rustorch.zeros((), device=device)
    for batch in DataLoader(own, task.batch_size, device=device):
        total += task.score_of(model, *batch).astype(rustorch.float32)
    dist.all_reduce(total)
    model.train()
    return total.item() / len(task.test)


def train_epoch(
    task: Task, model: nn.Module, optimizer: rustorch.Optimizer, batches: DataLoader, limit: int | None, device: str
) -> tuple[float, int]:
    """The mean loss of an epoch over all processes, and the number of its steps."""
    total, steps = rustorch.zeros((), device=device), 0
    number = len(batches) if limit is None else min(limit, len(batches))
    progress = tqdm(desc="training", unit="step", total=number, disable=dist.get_rank() > 0)
    for batch in itertools.islice(batches, number):
        optimizer.zero_grad()
        loss = task.loss_of(model, *batch)
        loss.backward()  # averages the gradients of all processes
        optimizer.step()
        total += loss.detach()  # stays on the device: reading it would wait for a GPU
        steps += 1
        progress.update()
    progress.close()
    dist.all_reduce(total, "avg")
    return total.item() / steps, steps


def train(task: Task, options: argparse.Namespace, device: str) -> list[tuple[float, float]]:
    """Train on all processes; returns the loss and the score of each epoch."""
    plain = nn.SyncBatchNorm.convert_sync_batchnorm(task.make())
    model = DistributedDataParallel(plain)
    optimizer = task.optimizer(model.parameters())
    sampler = DistributedSampler(task.training, seed=options.seed)
    batches = DataLoader(task.training, task.batch_size // dist.get_world_size(), sampler=sampler, device=device)
    first = 0
    if options.save is not None and options.save.exists():
        state = rustorch.load(options.save)
        plain.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
    history = []
    for epoch in range(first, options.epochs):
        sampler.set_epoch(epoch)
        start = time.perf_counter()
        loss, steps = train_epoch(task, model, optimizer, batches, options.steps, device)
        rate = steps * task.batch_size / (time.perf_counter() - start)
        history.append((loss, evaluate(task, plain, device)))
        score = task.score.format(history[-1][1])
        report(f"epoch {epoch + 1:3}   loss {loss:.4f}   {score}   {rate:,.0f} samples a second")
        if options.save is not None:
            state = {"model": plain.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}
            rustorch.save(state, options.save, rank=0)
    if options.trace is not None:
        with dist.trace(options.trace):
            train_epoch(task, model, optimizer, batches, 3, device)
        report(f"timeline: {options.trace}")
    return history


def processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"


def report(line: str) -> None:
    """Print a line on one process."""
    if dist.get_rank() == 0:
        tqdm.write(line)


# -- scaling -----------------------------------------------------------------------------------------------------------
def seconds_of_a_step(task: Task, model: nn.Module, batch: Batch, repeats: int = 10) -> float:
    """The median time of a step."""
    optimizer = task.optimizer(model.parameters())
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        optimizer.zero_grad()
        task.loss_of(model, *batch).backward()
        optimizer.step()
        if rustorch.cuda.is_available():
            rustorch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def measure_scaling(task: Task, device: str) -> tuple[float, float]:
    """The seconds of a step of one process, while the others wait, and of a step of all of them."""
    rank, size = dist.get_rank(), dist.get_world_size()
    whole = next(iter(DataLoader(task.training, task.batch_size, device=device)))
    alone = seconds_of_a_step(task, task.make(), whole) if rank == 0 else 0.0
    dist.barrier()
    part = tuple(x[rank * x.shape[0] // size : (rank + 1) * x.shape[0] // size, ...] for x in whole)
    together = seconds_of_a_step(
        task, DistributedDataParallel(nn.SyncBatchNorm.convert_sync_batchnorm(task.make())), part
    )
    report(
        f"a step of {whole[0].shape[0]} samples takes {alone * 1e3:.1f} ms on 1 process and {together * 1e3:.1f} ms on "
        f"{processes(size)}: {alone / together:.2f} times as fast"
    )
    return alone, together


# -- the picture -------------------------------------------------------------------------------------------------------
def plot(file: Path, task: Task, history: list[tuple[float, float]], seconds: tuple[float, float]) -> None:
    """Draw the loss, the score, and the time of a step on one process and on all of them."""
    from matplotlib.figure import Figure  # without pyplot: needs no display

    figure = Figure(figsize=(11, 4), layout="constrained")
    epochs = range(1, len(history) + 1)
    left, middle, right = figure.subplots(1, 3)
    for axes, title, values in zip(
        (left, middle), ("training loss", task.score.split(" {")[0]), zip(*history, strict=True), strict=True
    ):
        axes.plot(epochs, values, "o-", markersize=3)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    bars = {processes(number): 1e3 * once for number, once in zip((1, dist.get_world_size()), seconds, strict=True)}
    right.bar(list(bars), list(bars.values()), width=0.5)
    right.set_title("milliseconds of a step")
    figure.savefig(file, dpi=120)


# -- the program -------------------------------------------------------------------------------------------------------
def read_options(arguments: list[str] | None) -> tuple[argparse.Namespace, str]:
    """The options, and this process's device."""
    parser = argparse.ArgumentParser(description="Train a network on several processes.")
    parser.add_argument("--model", choices=["cnn", "gpt"], default="cnn", help="what to train")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: a GPU for each process")
    parser.add_argument("--epochs", type=positive, default=3, help="passes over the data")
    parser.add_argument("--steps", type=positive, help="end each epoch after that many steps; --model gpt: 300")
    parser.add_argument("--batch-size", type=positive, help="samples of a step on all processes together")
    parser.add_argument("--lr", type=float, help="learning rate")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights and of the order of the data")
    parser.add_argument("--samples", type=positive, help="use only the first N images, for a quick run")
    parser.add_argument("--data", type=Path, help="a folder with MNIST's files, or a text for --model gpt")
    parser.add_argument("--save", type=Path, metavar="FILE", help="the file to go on from, and to save to")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="draw a timeline of three more steps")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result into a file such as run.png")
    options = parser.parse_args(arguments)
    rustorch.manual_seed(options.seed)
    device = options.device
    if device == "cuda":
        device = f"cuda:{dist.local_rank() % max(1, rustorch.cuda.device_count())}"
    rustorch.empty(0, device=device)  # raises if the device cannot be used, before any download
    for name, file in (("save", options.save), ("trace", options.trace), ("plot", options.plot)):
        if file is not None and not file.parent.is_dir():
            raise ValueError(f"--{name} {file}: there is no folder {file.parent}")
    if options.model == "gpt" and options.steps is None:
        options.steps = 300
    return options, device


def read_task(options: argparse.Namespace, device: str) -> Task:
    """The task, with its data."""
    task = {"cnn": digits_task, "gpt": text_task}[options.model](options, device)
    if task.batch_size % dist.get_world_size():
        raise ValueError(f"--batch-size {task.batch_size} cannot be divided by {processes(dist.get_world_size())}")
    return task


def on_all(step: Callable[..., Result], *arguments: Any) -> Result:
    """The result of a step that all processes take. If it fails on one of them, the first process says why, and all
    end.
    """
    written, result, status = io.StringIO(), None, None
    try:
        with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
            result = step(*arguments)
    except SystemExit as end:  # from argparse
        status = end.code
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        status = 2
        print(f"{Path(sys.argv[0]).name}: {error}", file=written)
    answers = dist.all_gather_object((status, written.getvalue()))
    status, text = next((answer for answer in answers if answer[0] is not None), answers[0])
    if dist.get_rank() == 0:
        print(text, end="", flush=True, file=sys.stdout if status == 0 else sys.stderr)
    if status is not None:
        dist.barrier()  # the first process that ends with an error ends the others at once
        raise SystemExit(status)
    return cast(Result, result)


def main(arguments: list[str] | None = None) -> list[tuple[float, float]]:
    """Run the program; returns the loss and the score of each epoch."""
    dist.init_process_group()
    options, device = on_all(read_options, arguments)
    task = on_all(read_task, options, device)
    report(
        f"{processes(dist.get_world_size())}, {task.batch_size} samples a step, {len(task.training):,} to learn from; "
        f"device {options.device}"
    )
    history = train(task, options, device)
    seconds = measure_scaling(task, device)
    if options.plot is not None and history and dist.get_rank() == 0:
        plot(options.plot, task, history, seconds)
        report(f"picture: {options.plot}")
    dist.destroy_process_group()
    return history


if __name__ == "__main__":
    main()
