"""Networks and batches that rustorch trains on one process, rustorch trains on several ranks, and PyTorch trains, too.

The networks are written against a library: rustorch or torch. A batch is a function of the network's name and the step,
so that every rank can compute the whole one. The loss is a sum over samples, which the caller divides.
"""

from __future__ import annotations

from typing import Any

import numpy

#: The number of samples of a batch: 1, 2, 3 and 4 ranks share it evenly.
BATCH = 12
_VOCABULARY, _LENGTH, _WIDTH = 7, 5, 8


def make(library: Any, name: str) -> Any:
    """A network in float64. rustorch and torch initialize it with different numbers."""
    return {"mlp": _mlp, "cnn": _cnn, "gpt": _gpt, "lstm": _lstm}[name](library).double()


def _mlp(library: Any) -> Any:
    nn = library.nn
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))


def _cnn(library: Any) -> Any:
    nn = library.nn
    # A bias before a batch norm has no effect. Its gradient would be rounding errors, which Adam divides by their size.
    first = [nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(3, 4, 2, bias=False), nn.BatchNorm2d(4, momentum=None), nn.Tanh()]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16, 3))


def _gpt(library: Any) -> Any:
    """A decoder of two blocks. The embedding and the last layer share their weight."""
    nn = library.nn

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(_VOCABULARY, _WIDTH)
            self.positions = nn.Embedding(_LENGTH, _WIDTH)
            options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
            self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(_WIDTH, 2, 16, **options) for _ in range(2)])
            self.norm = nn.LayerNorm(_WIDTH)
            self.head = nn.Linear(_WIDTH, _VOCABULARY, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.positions(library.arange(_LENGTH))
            later = library.asarray(numpy.triu(numpy.ones((_LENGTH, _LENGTH), dtype=bool), 1))
            for block in self.blocks:
                x = block(x, src_mask=later)
            return library.reshape(self.head(self.norm(x)), (-1, _VOCABULARY))

    return GPT()


def _lstm(library: Any) -> Any:
    nn = library.nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 5, num_layers=2, batch_first=True)
            self.out = nn.Linear(5, 3)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(x)[0][:, -1, :])

    return Classifier()


def batch(name: str, step: int, n: int = BATCH) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The inputs and the classes of a step: n samples."""
    rng = numpy.random.default_rng([len(name), step])
    if name == "gpt":
        text = rng.integers(0, _VOCABULARY, (n, _LENGTH + 1))
        return text[:, :-1], text[:, 1:]
    shape = {"mlp": (4,), "cnn": (1, 6, 6), "lstm": (4, 3)}[name]
    return rng.normal(size=(n, *shape)), rng.integers(0, 3, n)


def share(n: int, rank: int, size: int) -> slice:
    """The samples of a rank: as even as possible, the first ranks have one more. There may be none."""
    each, rest = divmod(n, size)
    start = rank * each + min(rank, rest)
    return slice(start, start + each + (rank < rest))


def loss_of(library: Any, model: Any, inputs: numpy.ndarray, classes: numpy.ndarray) -> Any:
    """The cross entropy, summed over the samples and positions."""
    target = library.asarray(classes.reshape(-1))
    return library.nn.functional.cross_entropy(model(library.asarray(inputs)), target, reduction="sum")
