"""A convolutional network learns to read handwritten digits.

    python docs/examples/mnist_cnn.py                        fetch MNIST's 10,000 test images once (1.6 MB), and train
                                                             on 8,000 of them
    python docs/examples/mnist_cnn.py --data DIR             read MNIST's files from a folder instead
    python docs/examples/mnist_cnn.py --plot cnn.png         draw loss, accuracy and the filters of the first layer
    python docs/examples/mnist_cnn.py --device cuda          on a GPU

The network has two convolutions. After five passes over 8,000 images it recognises at least 97 of 100 test images. The
program uses the functions of digits.py for files, batches and training, and those of fetching.py for the download.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
from digits import CLASSES, Digits, Epoch, load, positive, to_device, train_epoch
from fetching import cache_folder, fetch
from tqdm import tqdm

import rustorch
from rustorch import Variable, nn

SIDE = 28  # pixels
SOURCE = "https://ossci-datasets.s3.amazonaws.com/mnist/"
#: The two files, and the SHA-256 of their unpacked content.
CHECKSUMS = {
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


# -- data --------------------------------------------------------------------------------------------------------------
def mnist() -> Path:
    """The folder with MNIST's test images and their labels. Missing files are fetched.

    Raises
    ------
    ValueError
        If a file cannot be fetched, or has another content.
    """
    folder = cache_folder("mnist")
    otherwise = (
        f"get {' and '.join(f'{name}.gz' for name in CHECKSUMS)} by other means and name their folder, as in --data DIR"
    )
    for name, checksum in CHECKSUMS.items():
        fetch(f"{SOURCE}{name}.gz", checksum, folder / name, otherwise, unpack=gzip.decompress)
    return folder


# -- the model and its training ----------------------------------------------------------------------------------------
class Network(nn.Module):
    """Takes rows of pixels, (n, 784), and returns logits of the digits, (n, 10)."""

    def __init__(self, device: str):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * (SIDE // 4) ** 2, 128),
            nn.ReLU(),
            nn.Linear(128, CLASSES),
        ).to(device)

    def forward(self, rows: Variable) -> Variable:
        return self.layers(rustorch.reshape(rows, (rows.shape[0], 1, SIDE, SIDE)))


@rustorch.no_grad()
def accuracy(model: nn.Module, digits: Digits, batch_size: int) -> float:
    """The share of images with the right prediction, computed batch by batch to save memory."""
    model.eval()
    correct = 0
    for start in range(0, len(digits), batch_size):
        batch = slice(start, min(start + batch_size, len(digits)))
        predicted = rustorch.argmax(model(digits.images[batch, :]), axis=1)
        correct += rustorch.count_nonzero(predicted == digits.labels[batch]).item()
    model.train()
    return correct / len(digits)


def train(
    model: nn.Module, optimizer: rustorch.Optimizer, digits: Digits, test: Digits, epochs: int, batch: int
) -> list[Epoch]:
    history = []
    first_lr = optimizer.lr
    for number in tqdm(range(1, epochs + 1), desc="training", unit="epoch"):
        optimizer.lr = first_lr * (1 - (number - 1) / epochs)  # falls to almost 0, so that training converges
        history.append(Epoch(train_epoch(model, optimizer, digits, batch), accuracy(model, test, batch)))
        tqdm.write(f"epoch {number:3}   loss {history[-1].loss:.4f}   test accuracy {history[-1].accuracy:.2%}")
    return history


# -- the picture -------------------------------------------------------------------------------------------------------
def plot(file: Path, history: list[Epoch], filters: np.ndarray) -> None:
    """Draw loss and accuracy on the left, and the filters of the first layer on the right."""
    from matplotlib.figure import Figure  # without pyplot: needs no display

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(6, 5))
    epochs = range(1, len(history) + 1)
    curves = {
        "training loss": [epoch.loss for epoch in history],
        "test accuracy in %": [100 * epoch.accuracy for epoch in history],
    }
    for axes, (title, values) in zip(left.subplots(1, 2), curves.items(), strict=True):
        axes.plot(epochs, values, "o-", markersize=3)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)

    limit = np.abs(filters).max()
    for axes, kernel in zip(right.subplots(4, 8).flat, filters, strict=True):
        axes.imshow(kernel, cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set_axis_off()
    right.suptitle("Filters of the first layer: red is negative, blue positive")
    figure.savefig(file, dpi=120)


# -- the program -------------------------------------------------------------------------------------------------------
def main(arguments: list[str] | None = None) -> float:
    """Run the program; returns the last test accuracy."""
    parser = argparse.ArgumentParser(description="Train a convolutional network on handwritten digits.")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, cuda:1, jax, torch or strict")
    parser.add_argument("--epochs", type=positive, default=5, help="passes over the training data")
    parser.add_argument("--batch-size", type=positive, default=64, help="images per step")
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate of the first epoch")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights and the order of the images")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="a folder with MNIST's idx files; default: a cache, filled once"
    )
    parser.add_argument("--images", type=positive, metavar="N", help="use only the first N images, for a quick run")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result into a file such as cnn.png")
    options = parser.parse_args(arguments)
    try:
        rustorch.manual_seed(options.seed)
        rustorch.empty(0, device=options.device)  # raises if the device cannot be used, before any download
        if options.plot is not None and not options.plot.parent.is_dir():
            raise ValueError(f"--plot {options.plot}: there is no folder {options.plot.parent}")
        parts = load(options.data or mnist())
        if parts[0][0].shape[1:] != (SIDE, SIDE):
            raise ValueError(f"the network is for images of {SIDE} x {SIDE} pixels, not for {parts[0][0].shape[1:]}")
        model = Network(options.device)
        optimizer = rustorch.SGD(model.parameters(), lr=options.lr, momentum=0.9)
        training, test = [
            to_device(images[: options.images], labels[: options.images], options.device) for images, labels in parts
        ]
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    print(f"{len(training):,} images to learn from, {len(test):,} to test on; device {options.device}")
    history = train(model, optimizer, training, test, options.epochs, options.batch_size)
    print(f"test accuracy: {history[-1].accuracy:.2%}")
    if options.plot is not None:
        plot(options.plot, history, np.asarray(model.layers[0].weight.detach().cpu())[:, 0])
        print(f"picture: {options.plot}")
    return history[-1].accuracy


if __name__ == "__main__":
    main()
