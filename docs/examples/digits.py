"""A small network learns to read handwritten digits.

    python docs/examples/digits.py                           scikit-learn's 1,797 digits of 8 x 8 pixels
    python docs/examples/digits.py --plot digits.png         the same, with a picture of the curves and some predictions
    python docs/examples/digits.py --data DIR --device cuda  MNIST's original files, on a GPU

All computations run on the device that --device names. The data goes there once, before training, and only two numbers
per epoch come back.
"""

from __future__ import annotations

import argparse
import gzip
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

import rustorch
from rustorch import Variable, nn

CLASSES = 10
TEST_SHARE = 0.2  # share of the images for testing, if the data has no test part


class Digits(NamedTuple):
    """Images as rows of numbers from 0 to 1, and the digit of each image."""

    images: Variable  # (n, height * width), float32
    labels: Variable  # (n,), int64

    def __len__(self) -> int:
        return self.labels.shape[0]


class Epoch(NamedTuple):
    """The result of one pass over the training data."""

    loss: float  # mean over the training images
    accuracy: float  # share of the test images with the right prediction


# -- data: NumPy arrays on the host ------------------------------------------------------------------------------------
def read_idx(path: Path) -> np.ndarray:
    """The array in a file of MNIST's idx format, gzipped or not.

    The header can be wrong. So memory is allocated only for bytes that the file really has.

    Raises
    ------
    ValueError
        If the file is no idx file of bytes, or is longer or shorter than its header says.
    """
    content = bytearray()
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4)
            if len(header) < 4 or header[:3] != b"\0\0\x08":
                raise ValueError(f"{path}: not an idx file of unsigned bytes; those begin with the bytes 00 00 08")
            sizes = file.read(4 * header[3])
            shape = tuple(int.from_bytes(sizes[i : i + 4]) for i in range(0, len(sizes), 4))
            expected = math.prod(shape)
            while len(content) <= expected and (chunk := file.read(1 << 20)):
                content += chunk
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: a damaged or incomplete gzip file ({error})") from error
    if len(sizes) != 4 * header[3] or len(content) != expected:
        found = "more" if len(content) > expected else f"{len(content):,}"
        raise ValueError(
            f"{path}: the header promises {expected:,} bytes for the shape {shape}, but the file holds {found}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def find_idx(folder: Path, part: str, what: str) -> Path | None:
    """The file with the images or labels of a part ("train" or "t10k"), under any of its usual names."""
    dimensions = {"images": 3, "labels": 1}[what]
    names = [f"{part}-{what}{dot}idx{dimensions}-ubyte{ending}" for dot in "-." for ending in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def load_mnist(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images and labels of each part of MNIST in a folder, the training part first."""
    if not folder.is_dir():
        raise ValueError(f"--data {folder}: no such folder")
    parts = []
    for part in ("train", "t10k"):
        paths = [find_idx(folder, part, what) for what in ("images", "labels")]
        if None not in paths:
            images, labels = [read_idx(path) for path in paths if path is not None]
            fit = images.ndim == 3 and images.size and labels.shape == images.shape[:1]
            if not fit or len(labels) < 2 or labels.max() >= CLASSES:
                raise ValueError(
                    f"{paths[0]} and {paths[1]} are no images and their digits 0 to 9: they have the shapes "
                    f"{images.shape} and {labels.shape}"
                )
            parts.append((images / np.float32(255), labels))
    if len({images.shape[1:] for images, _ in parts}) > 1:
        raise ValueError(f"--data {folder}: the images of its two parts have different sizes")
    if not parts:
        raise ValueError(
            f"--data {folder}: no digits in it; it needs t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or the "
            f"same two of train-, gzipped (.gz) or not"
        )
    return parts


def load(folder: Path | None) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Training and test data. Without a test part, the last fifth of the images is the test data."""
    if folder is None:
        from sklearn.datasets import load_digits  # slow to import, so only if needed

        bunch = load_digits()
        # Digits of one writer are neighbours in the data, so shuffle first. The seed is fixed: every run tests on the
        # same images.
        order = np.random.default_rng(0).permutation(len(bunch.target))
        parts = [(bunch.images[order] / np.float32(16), bunch.target[order])]
    else:
        parts = load_mnist(folder)
    if len(parts) == 2:
        return parts[0], parts[1]
    images, labels = parts[0]
    n = len(labels) - max(1, round(TEST_SHARE * len(labels)))
    return (images[:n], labels[:n]), (images[n:], labels[n:])


def to_device(images: np.ndarray, labels: np.ndarray, device: str) -> Digits:
    """Move images and labels to the device: the only transfer of the program."""
    rows = images.reshape(len(images), -1)
    return Digits(
        rustorch.tensor(rows, dtype=rustorch.float32, device=device),
        rustorch.tensor(labels, dtype=rustorch.int64, device=device),
    )


# -- the model and its training ----------------------------------------------------------------------------------------
def make_model(pixels: int, device: str) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(pixels, 128, device=device),
        nn.ReLU(),
        nn.Linear(128, 64, device=device),
        nn.ReLU(),
        nn.Linear(64, CLASSES, device=device),
    )


@rustorch.no_grad()
def predict(model: nn.Module, images: Variable) -> Variable:
    """The digit that the model predicts for each image."""
    return rustorch.argmax(model(images), axis=1)


def accuracy(model: nn.Module, digits: Digits) -> float:
    return rustorch.count_nonzero(predict(model, digits.images) == digits.labels).item() / len(digits)


def train_epoch(model: nn.Module, optimizer: rustorch.Optimizer, digits: Digits, batch_size: int) -> float:
    """One pass over the data in random order; returns the mean loss."""
    loss_of = nn.CrossEntropyLoss()
    order = rustorch.randperm(len(digits), device=digits.labels.device)
    images, labels = rustorch.take(digits.images, order, axis=0), rustorch.take(digits.labels, order, axis=0)
    total = rustorch.zeros((), device=labels.device)  # stays on the device: reading it would wait for a GPU
    for start in range(0, len(digits), batch_size):
        batch = slice(start, min(start + batch_size, len(digits)))  # the standard does not define longer slices
        optimizer.zero_grad()
        loss = loss_of(model(images[batch, :]), labels[batch])
        loss.backward()
        optimizer.step()
        total = total + loss.detach() * (batch.stop - batch.start)
    return total.item() / len(digits)


def train(
    model: nn.Module, optimizer: rustorch.Optimizer, digits: Digits, test: Digits, epochs: int, batch: int
) -> list[Epoch]:
    history = []
    first_lr = optimizer.lr
    for number in tqdm(range(1, epochs + 1), desc="training", unit="epoch"):
        optimizer.lr = first_lr * (1 - (number - 1) / epochs)  # falls to almost 0, so that training converges
        history.append(Epoch(train_epoch(model, optimizer, digits, batch), accuracy(model, test)))
        tqdm.write(f"epoch {number:3}   loss {history[-1].loss:.4f}   test accuracy {history[-1].accuracy:.2%}")
    return history


# -- the picture -------------------------------------------------------------------------------------------------------
def plot(file: Path, history: list[Epoch], images: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> None:
    """Draw the curves on the left, and test images with their predictions on the right."""
    from matplotlib.figure import Figure  # without pyplot: needs no display

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(5, 6))

    epochs = range(1, len(history) + 1)
    losses = left.subplots()
    losses.plot(epochs, [epoch.loss for epoch in history], "o-", color="tab:blue", markersize=3)
    losses.set_xlabel("epoch")
    losses.xaxis.get_major_locator().set_params(integer=True)
    losses.set_ylabel("training loss", color="tab:blue")
    losses.set_ylim(bottom=0)
    shares = losses.twinx()
    shares.plot(epochs, [100 * epoch.accuracy for epoch in history], "s-", color="tab:orange", markersize=3)
    shares.set_ylabel("test accuracy in %", color="tab:orange")
    left.suptitle("Training")

    rows, columns = 4, 8
    for axes, image, label, prediction in zip(
        right.subplots(rows, columns).flat, images, labels, predictions, strict=False
    ):
        axes.imshow(image, cmap="gray_r")
        title = str(prediction) if prediction == label else f"{prediction}, not {label}"
        axes.set_title(title, fontsize=9, color="black" if prediction == label else "tab:red")
    for axes in right.axes:
        axes.set_axis_off()
    right.suptitle("Predictions for test images")
    figure.savefig(file, dpi=120)


# -- the program -------------------------------------------------------------------------------------------------------
def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)


def main(arguments: list[str] | None = None) -> float:
    """Run the program; returns the last test accuracy."""
    parser = argparse.ArgumentParser(description="Train a small network on handwritten digits.")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, cuda:1, jax, torch or strict")
    parser.add_argument("--epochs", type=positive, default=20, help="passes over the training data")
    parser.add_argument("--batch-size", type=positive, default=32, help="images per step")
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate of the first epoch")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights and the order of the images")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="a folder with MNIST's idx files, instead of scikit-learn's digits"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result into a file such as digits.png")
    options = parser.parse_args(arguments)
    try:
        rustorch.manual_seed(options.seed)
        rustorch.empty(0, device=options.device)  # raises if the device cannot be used, before any data is read
        if options.plot is not None and not options.plot.parent.is_dir():
            raise ValueError(f"--plot {options.plot}: there is no folder {options.plot.parent}")
        parts = load(options.data)
        model = make_model(parts[0][0][0].size, options.device)
        optimizer = rustorch.SGD(model.parameters(), lr=options.lr, momentum=0.9)
        training, test = [to_device(images, labels, options.device) for images, labels in parts]
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    print(f"{len(training):,} images to learn from, {len(test):,} to test on; device {options.device}")
    history = train(model, optimizer, training, test, options.epochs, options.batch_size)
    print(f"test accuracy: {history[-1].accuracy:.2%}")
    if options.plot is not None:
        images, labels = parts[1]
        shown = to_device(images[:32], labels[:32], options.device)
        plot(options.plot, history, images, labels, np.asarray(predict(model, shown.images).cpu()))
        print(f"picture: {options.plot}")
    return history[-1].accuracy


if __name__ == "__main__":
    main()
