"""One epoch of a DataLoader: 60,000 images of 28 x 28 pixels with labels, shuffled, in batches of 64."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy

from rustorch import data

IMAGES, SIDE, BATCH = 60_000, 28, 64


class Samples:
    """A dataset written in Python: it has a length, and its items are (image, label)."""

    def __init__(self, images: Any, labels: Any):
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.images[i], self.labels[i]


def _epoch(loader: Any) -> Callable[[], object]:
    def epoch() -> None:
        count = 0
        for images, _ in loader:
            count += images.shape[0]
        assert count == IMAGES

    return epoch


def functions(arrays: bool, workers: int) -> dict[str, Callable[[], object]]:
    """The loader of each library that is installed, on the same numbers.

    Parameters
    ----------
    arrays : bool
        If true, the dataset holds whole arrays (TensorDataset in PyTorch). Otherwise its items are made one by one.
    workers : int
        The number of workers: threads in rustorch, processes in PyTorch.
    """
    generator = numpy.random.default_rng(0)
    images = generator.standard_normal((IMAGES, SIDE, SIDE), dtype="float32")
    labels = generator.integers(0, 10, IMAGES)
    options: dict[str, Any] = {"batch_size": BATCH, "shuffle": True, "num_workers": workers}
    samples = Samples(images, labels.tolist())
    out = {"rustorch": _epoch(data.DataLoader(data.ArrayDataset(images, labels) if arrays else samples, **options))}
    with contextlib.suppress(ImportError):
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        dataset = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels)) if arrays else samples
        out["torch"] = _epoch(DataLoader(dataset, **options))
    return out
