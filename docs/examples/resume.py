"""A training that continues from its last checkpoint after it was killed, with the same numbers, bit for bit.

    python docs/examples/resume.py                               train on scikit-learn's handwritten digits; kill it,
                                                                 and run it again
    python docs/examples/resume.py --kill-after 300              the process kills itself (SIGKILL) after 300 steps
    python docs/examples/resume.py --compare --plot resume.png   train again without interruption; draw both curves
    python docs/examples/resume.py --data DIR                    train on MNIST's files instead

The file resume.safetensors has everything that the next step depends on: model, optimizer, schedule, random numbers,
the position in the data, and the losses so far. Remove it to start from the beginning. The functions of digits.py load
and evaluate the data.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping
from itertools import chain, pairwise, repeat
from pathlib import Path
from typing import Any

from digits import CLASSES, Digits, accuracy, load, positive, to_device
from tqdm import tqdm

import rustorch
from rustorch import Variable, nn
from rustorch.data import ArrayDataset, DataLoader
from rustorch.optim.lr_scheduler import OneCycleLR

WIDTH = 512


# -- the training ------------------------------------------------------------------------------------------------------
class Training:
    """Everything that the next step depends on. `state_dict` returns it for a file, `load_state_dict` reads it back."""

    def __init__(self, digits: Digits, steps: int, batch_size: int, lr: float, seed: int, device: str):
        rustorch.manual_seed(seed)
        self.model = nn.Sequential(
            nn.Linear(digits.images.shape[1], WIDTH),
            nn.ReLU(),
            nn.Dropout(0.2),  # draws random numbers in every step
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(WIDTH, CLASSES),
        ).to(device)
        self.optimizer = rustorch.AdamW(self.model.parameters(), lr=lr)
        self.schedule = OneCycleLR(self.optimizer, max_lr=lr, total_steps=steps)
        self.loader = DataLoader(ArrayDataset(*digits), batch_size, shuffle=True)
        self.devices = sorted({"cpu", device})
        self.losses: list[float] = []
        self.starts: list[int] = []  # the steps at which a process started

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "loader": self.loader,
            "random": {device: rustorch.get_rng_state(device) for device in self.devices},
            "losses": self.losses,
            "starts": self.starts,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in ("model", "optimizer", "schedule", "loader"):
            getattr(self, name).load_state_dict(state[name])
        for device, numbers in state["random"].items():
            rustorch.set_rng_state(numbers, device)
        self.losses, self.starts = state["losses"], state["starts"]

    def step(self, images: Variable, labels: Variable) -> None:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.losses.append(loss.item())


class Checkpoint:
    """The file of a training with certain settings."""

    def __init__(self, file: Path, settings: dict[str, Any]):
        self.file, self.settings = file, settings

    def save(self, training: Training) -> None:
        """Replace the file in one step. A kill during this call leaves the old file whole."""
        rustorch.save(training, self.file, metadata={"settings": self.settings})

    def load_into(self, training: Training) -> None:
        """Continue the training of the file.

        Raises
        ------
        ValueError
            If the file is no checkpoint, or belongs to a training with other settings.
        """
        saved = rustorch.load_metadata(self.file).get("settings")
        if saved != self.settings:
            content = "no checkpoint of this program"
            if isinstance(saved, dict):
                differences = [
                    f"{name} {saved.get(name)}, not {value}"
                    for name, value in self.settings.items()
                    if saved.get(name) != value
                ]
                content = f"a training with {', '.join(differences)}"
            raise ValueError(
                f"{self.file}: {content}; remove it to start from the beginning, or name another file, as in "
                "--checkpoint FILE"
            )
        training.load_state_dict(rustorch.load(self.file))


def train(training: Training, steps: int, checkpoint: Checkpoint | None, every: int, kill_after: int | None) -> None:
    """Continue up to a number of steps, with a checkpoint after every `every` steps, or without checkpoints."""
    first = len(training.losses)
    training.starts.append(first)
    batches = chain.from_iterable(repeat(training.loader))  # epoch after epoch
    numbers = tqdm(range(first + 1, steps + 1), initial=first, total=steps, desc="training", unit="step")
    for step, batch in zip(numbers, batches, strict=False):
        training.step(*batch)
        if step - first == kill_after:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has only SIGTERM
        if checkpoint is not None and (step % every == 0 or step == steps):
            checkpoint.save(training)


def first_difference(one: Training, other: Training) -> str | None:
    """The first difference between two trainings, or None. All bits of the numbers are compared."""
    for step, losses in enumerate(zip(one.losses, other.losses, strict=True), 1):
        if losses[0].hex() != losses[1].hex():
            return f"the loss of step {step}: {losses[0]} and {losses[1]}"
    for (name, p), q in zip(one.model.named_parameters(), other.model.parameters(), strict=True):
        if p.detach().cpu().numpy().tobytes() != q.detach().cpu().numpy().tobytes():
            return f"the final {name}"
    return None


# -- the picture -------------------------------------------------------------------------------------------------------
def plot(file: Path, training: Training, whole: Training | None) -> None:
    """Draw the losses in one colour per process, over those of the uninterrupted training if there is one."""
    from matplotlib.figure import Figure  # without pyplot: needs no display

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    if whole is not None:
        axes.plot(range(1, len(whole.losses) + 1), whole.losses, color="lightgrey", linewidth=5, label="uninterrupted")
    ends = [*training.starts, len(training.losses)]
    for process, (first, last) in enumerate(pairwise(ends), 1):
        axes.plot(range(first + 1, last + 1), training.losses[first:last], linewidth=0.8, label=f"process {process}")
        if process > 1:
            axes.axvline(first + 0.5, color="black", linestyle=":", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss of the batch")
    axes.legend()
    figure.savefig(file, dpi=120)


# -- the program -------------------------------------------------------------------------------------------------------
def main(arguments: list[str] | None = None) -> float:
    """Run the program; returns the test accuracy."""
    parser = argparse.ArgumentParser(description="Train on handwritten digits, starting from the last checkpoint.")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, cuda:1, jax, torch or strict")
    parser.add_argument("--steps", type=positive, default=2000, help="training steps")
    parser.add_argument("--batch-size", type=positive, default=32, help="images per step")
    parser.add_argument("--lr", type=float, default=0.002, help="the highest learning rate")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the initial weights, the dropout and the order of the images"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="a folder with MNIST's idx files, instead of scikit-learn's digits"
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", default=Path("resume.safetensors"), help="the file to continue from"
    )
    parser.add_argument("--every", type=positive, default=20, metavar="N", help="steps from one checkpoint to the next")
    parser.add_argument("--kill-after", type=positive, metavar="N", help="let the process kill itself after N steps")
    parser.add_argument("--compare", action="store_true", help="train again without interruption: is it the same?")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curve into a file such as resume.png")
    options = parser.parse_args(arguments)
    settings = {name: getattr(options, name) for name in ("steps", "batch_size", "lr", "seed", "device")}
    checkpoint = Checkpoint(options.checkpoint, {**settings, "data": options.data and str(options.data)})
    try:
        rustorch.empty(0, device=options.device)  # raises if the device cannot be used, before any data is read
        for name, file in (("plot", options.plot), ("checkpoint", options.checkpoint)):
            if file is not None and not file.parent.is_dir():
                raise ValueError(f"--{name} {file}: there is no folder {file.parent}")
        digits, test = [to_device(images, labels, options.device) for images, labels in load(options.data)]
        training = Training(digits, **settings)
        if options.checkpoint.exists():
            checkpoint.load_into(training)
        checkpoint.save(training)  # raises if the folder is not writable, before training
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    done = len(training.losses)
    start = f"{'continues after' if done else 'starts at'} step {done:,} of {options.steps:,}"
    print(f"{start}; checkpoint {options.checkpoint}", flush=True)
    if done < options.steps:
        train(training, options.steps, checkpoint, options.every, options.kill_after)
    training.model.eval()
    share = accuracy(training.model, test)
    print(f"test accuracy: {share:.2%}")
    whole = None
    if options.compare:
        whole = Training(digits, **settings)
        train(whole, options.steps, None, options.every, None)
        difference = first_difference(training, whole)
        if difference is not None:
            parser.exit(1, f"{parser.prog}: interrupted and uninterrupted training differ in {difference}\n")
        print(
            f"the same, bit for bit: {options.steps:,} losses and the weights of {len(training.starts)} processes and "
            f"of one"
        )
    if options.plot is not None:
        plot(options.plot, training, whole)
        print(f"picture: {options.plot}")
    return share


if __name__ == "__main__":
    main()
