"""A small GPT learns to write like Shakespeare, one character after the other.

    python docs/examples/char_gpt.py                     fetch tiny Shakespeare once (1.1 MB), train, and write a sample
    python docs/examples/char_gpt.py --data FILE         learn from another text, in UTF-8
    python docs/examples/char_gpt.py --plot gpt.png      draw the losses and the learning rate
    python docs/examples/char_gpt.py --device cuda       on a GPU

A network of two transformer layers reads 64 characters. At each of them it predicts the probability of every possible
next character. It learns from nine tenths of the text, with AdamW and a learning rate that rises once and falls. The
last tenth of the text tests it. fetching.py downloads the text.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from digits import positive
from fetching import cache_folder, fetch
from tqdm import tqdm

import rustorch
from rustorch import Variable, nn
from rustorch.data import ArrayDataset, DataLoader, RandomSampler
from rustorch.optim.lr_scheduler import OneCycleLR

WIDTH, HEADS, LAYERS, CONTEXT = 128, 4, 2, 64
VALIDATION_SHARE = 0.1  # share of the text for validation: its end
SOURCE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
CHECKSUM = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class History(NamedTuple):
    """The losses and learning rates of a training, step by step.

    The validation losses are pairs of the number of the step and the loss after it.
    """

    training: list[float]
    rates: list[float]
    validation: list[tuple[int, float]]


# -- data --------------------------------------------------------------------------------------------------------------
def shakespeare() -> Path:
    """The file of tiny Shakespeare, fetched if it is missing.

    Raises
    ------
    ValueError
        If it cannot be fetched, or has another content.
    """
    otherwise = "get input.txt by other means and name it, as in --data FILE"
    return fetch(SOURCE, CHECKSUM, cache_folder("tinyshakespeare") / "input.txt", otherwise)


def read(file: Path) -> tuple[str, ArrayDataset, ArrayDataset]:
    """The distinct characters of a text, and its windows for training and for validation.

    A sample is a window of the text, as numbers of characters, and the same window one character later: the next
    character at each position.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: no text in UTF-8 ({error})") from error
    letters, codes = np.unique(np.array(list(text)), return_inverse=True)
    split = len(codes) - round(VALIDATION_SHARE * len(codes))
    if len(codes) - split <= CONTEXT:
        shortest = round((CONTEXT + 1) / VALIDATION_SHARE)
        raise ValueError(f"{file}: a text of {len(codes):,} characters is too short; it needs {shortest:,}")
    training, validation = [
        np.lib.stride_tricks.sliding_window_view(part, CONTEXT + 1)  # shares the memory of the text
        for part in (codes[:split], codes[split:])
    ]
    validation = validation[::CONTEXT]  # without overlap: each character is predicted once
    return "".join(letters), *[ArrayDataset(windows[:, :-1], windows[:, 1:]) for windows in (training, validation)]


# -- the model and its training ----------------------------------------------------------------------------------------
class GPT(nn.Module):
    """Takes numbers of characters, (batch, n), and returns logits of the next character, (batch, n, characters)."""

    def __init__(self, characters: int):
        super().__init__()
        self.characters = nn.Embedding(characters, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH))
        self.head = nn.Linear(WIDTH, characters, bias=False)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT))  # hides later characters

    def forward(self, codes: Variable) -> Variable:
        n = codes.shape[1]
        x = self.characters(codes) + self.positions.weight[:n, :]
        return self.head(self.layers(x, self.mask[:n, :n], is_causal=True))


def loss_of(model: nn.Module, codes: Variable, following: Variable) -> Variable:
    """The mean of ``-log p`` of the next characters, in nats."""
    logits = model(codes)
    return nn.functional.cross_entropy(logits.reshape((-1, logits.shape[-1])), following.reshape((-1,)))


@rustorch.no_grad()
def validate(model: nn.Module, batches: DataLoader) -> float:
    model.eval()
    total = sum(loss_of(model, *batch) * batch[0].shape[0] for batch in batches)  # the last batch can be smaller
    model.train()
    return total.item() / len(batches.dataset)


def train(model: nn.Module, schedule: OneCycleLR, training: DataLoader, validation: DataLoader) -> History:
    """One pass over the training batches, with the optimizer of the schedule."""
    optimizer = schedule.optimizer
    losses, rates, validations = [], [], []
    every = max(1, len(training) // 10)
    for step, (codes, following) in enumerate(tqdm(training, desc="training", unit="step"), 1):
        rates.append(optimizer.lr)
        optimizer.zero_grad()
        loss = loss_of(model, codes, following)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())  # stays on the device: reading it would wait for a GPU
        if step % every == 0 or step == len(training):
            validations.append((step, validate(model, validation)))
            mean = sum(losses[-every:]).item() / min(every, len(losses))
            tqdm.write(f"step {step:5}   training loss {mean:.3f}   validation loss {validations[-1][1]:.3f}")
    return History([loss.item() for loss in losses], rates, validations)


@rustorch.no_grad()
def write(model: nn.Module, letters: str, start: str, length: int, device: str) -> str:
    """Continue a text: draw each next character with the probability that the model predicts."""
    model.eval()
    codes = [letters.index(letter) for letter in start]
    for _ in tqdm(range(length), desc="writing", unit="character"):
        logits = model(rustorch.tensor([codes[-CONTEXT:]], device=device))[0, -1, :]
        cumulative = rustorch.cumulative_sum(nn.functional.softmax(logits, dim=0))
        codes.append(rustorch.count_nonzero(cumulative < rustorch.rand(1, device=device) * cumulative[-1]).item())
    return "".join(letters[code] for code in codes)


# -- the picture -------------------------------------------------------------------------------------------------------
def plot(file: Path, history: History) -> None:
    """Draw the losses, and the learning rate below them."""
    from matplotlib.figure import Figure  # without pyplot: needs no display

    figure = Figure(figsize=(8, 6), layout="constrained")
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    steps = range(1, len(history.training) + 1)
    losses.plot(steps, history.training, color="tab:blue", linewidth=0.5, label="training, each batch")
    losses.plot(*zip(*history.validation, strict=True), "o-", color="tab:orange", label="validation")
    losses.set_ylabel("loss in nats per character")
    losses.legend()
    rates.plot(steps, history.rates, color="tab:green")
    rates.set_ylabel("learning rate")
    rates.set_xlabel("step")
    figure.savefig(file, dpi=120)


# -- the program -------------------------------------------------------------------------------------------------------
def main(arguments: list[str] | None = None) -> float:
    """Run the program; returns the last validation loss."""
    parser = argparse.ArgumentParser(description="Train a small GPT on the characters of a text.")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, cuda:1, jax, torch or strict")
    parser.add_argument("--steps", type=positive, default=1500, help="training steps")
    parser.add_argument("--batch-size", type=positive, default=16, help=f"windows of {CONTEXT} characters per step")
    parser.add_argument("--lr", type=float, default=5e-3, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights, the batches and the sample")
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="a text to learn from; default: tiny Shakespeare, fetched once"
    )
    parser.add_argument(
        "--sample", type=positive, default=400, metavar="N", help="how many characters to write at the end"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result into a file such as gpt.png")
    options = parser.parse_args(arguments)
    try:
        rustorch.manual_seed(options.seed)
        rustorch.empty(0, device=options.device)  # raises if the device cannot be used, before any download
        if options.plot is not None and not options.plot.parent.is_dir():
            raise ValueError(f"--plot {options.plot}: there is no folder {options.plot.parent}")
        letters, training, validation = read(options.data or shakespeare())
        model = GPT(len(letters)).to(options.device)
        sampler = RandomSampler(training, replacement=True, num_samples=options.steps * options.batch_size)
        batches = DataLoader(training, options.batch_size, sampler=sampler, device=options.device)
        validation_batches = DataLoader(validation, options.batch_size, device=options.device)
        optimizer = rustorch.AdamW(model.parameters(), lr=options.lr, weight_decay=0.1)
        schedule = OneCycleLR(optimizer, max_lr=options.lr, total_steps=options.steps)
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    n = sum(p.size for p in model.parameters())
    print(f"{n:,} parameters, {len(training):,} windows of text to learn from; device {options.device}")
    history = train(model, schedule, batches, validation_batches)
    print(f"validation loss: {history.validation[-1][1]:.3f} nats")
    print(write(model, letters, "\n" if "\n" in letters else letters[0], options.sample, options.device))
    if options.plot is not None:
        plot(options.plot, history)
        print(f"picture: {options.plot}")
    return history.validation[-1][1]


if __name__ == "__main__":
    main()
