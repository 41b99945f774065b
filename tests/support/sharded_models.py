"""Models for tests of fully_shard, and the same model on one process to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

import rustorch
from rustorch import nn
from rustorch.nn.parallel import fully_shard


class Block(nn.Module):
    """A layer of a small GPT."""

    def __init__(self, width: int, checkpointed: bool = False):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.checkpointed = checkpointed

    def forward(self, x: Any) -> Any:
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        y = self.norm2(x)
        return x + (rustorch.checkpoint(self.inner, y) if self.checkpointed else self.inner(y))


class Gpt(nn.Module):
    """A small GPT. The weight of the embedding is that of the output layer, too."""

    def __init__(self, layers: int = 2, width: int = 8, words: int = 11, length: int = 5, checkpointed: str = ""):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(rustorch.randn((length, width)) * 0.1)
        self.blocks = nn.ModuleList([Block(width, checkpointed == "inside") for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight
        self.checkpointed = checkpointed

    def forward(self, tokens: Any) -> Any:
        x = self.words(tokens) + self.places
        for block in self.blocks:
            x = rustorch.checkpoint(block, x) if self.checkpointed == "outside" else block(x)
        return self.head(self.norm(x))


class Recurrent(nn.Module):
    """Two LSTMs and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.LSTM(3, 4, batch_first=True)
        self.second = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        x, _ = self.first(x)
        x, _ = self.second(x)
        return self.head(x[:, -1, :])


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 3))


def cnn() -> nn.Module:
    layers = [nn.Conv2d(1, 3, 3), nn.ReLU(), nn.GroupNorm(3, 3), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2)]
    return nn.Sequential(*layers)


#: Name -> (makes the model, the shape of a batch of one sample, the modules that become units before the whole model)
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], Callable[[Any], list[nn.Module]]]] = {
    "mlp": (mlp, (5,), lambda m: [m[0], m[2]]),
    "cnn": (cnn, (1, 6, 6), lambda m: [m[0], m[3]]),
    "gpt": (Gpt, (5,), lambda m: list(m.blocks)),
    "lstm": (Recurrent, (4, 3), lambda m: [m.first, m.second]),
}


def shard(model: Any, inner: list[nn.Module], **options: Any) -> Any:
    """The model with these modules as units, and itself."""
    for module in inner:
        fully_shard(module, **options)
    return fully_shard(model, **options)


def made(name: str, device: str = "cpu", seed: int = 0) -> Any:
    """A model of the table in float64."""
    rustorch.manual_seed(seed)
    return MODELS[name][0]().to(device=device, dtype=rustorch.float64)


def batch(name: str, step: int, rank: int, size: int, device: str = "cpu") -> Any:
    """A rank's batch of a step."""
    rng = numpy.random.default_rng([step, rank])
    shape = (size, *MODELS[name][1])
    values = rng.integers(0, 11, shape) if name == "gpt" else rng.normal(size=shape)
    return rustorch.asarray(values).to(device=device)


def loss_of(out: Any) -> Any:
    """A loss, as a mean over the batch."""
    return (rustorch.sin(out) ** 2 + out * 0.1).mean()
