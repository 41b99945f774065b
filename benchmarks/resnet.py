"""One training step of ResNet-18 on images of 64 x 64 pixels, batch 8, 1,000 classes."""

from __future__ import annotations

from typing import Any

import numpy

from .steps import Step

SIDE, BATCH, CLASSES = 64, 8, 1000
#: Channels and stride of the eight blocks. Each has two convolutions.
BLOCKS = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))


def _convolution(nn: Any, channels_in: int, channels_out: int, kernel: int, stride: int) -> Any:
    """A convolution without a bias, and batch norm."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def _block_class(nn: Any) -> Any:
    """The class of a residual block: two 3x3 convolutions, whose result is added to the input."""

    class Block(nn.Module):
        def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
            super().__init__()
            self.first = _convolution(nn, channels_in, channels_out, 3, stride)
            self.second = _convolution(nn, channels_out, channels_out, 3, 1)
            same = stride == 1 and channels_in == channels_out
            self.shortcut = nn.Identity() if same else _convolution(nn, channels_in, channels_out, 1, stride)
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.relu(self.second(self.relu(self.first(x))) + self.shortcut(x))

    return Block


def model(nn: Any) -> Any:
    """The network, from the layers of rustorch or PyTorch."""
    block = _block_class(nn)
    blocks, channels_in = [], 64
    for channels_out, stride in BLOCKS:
        blocks.append(block(channels_in, channels_out, stride))
        channels_in = channels_out
    return nn.Sequential(
        _convolution(nn, 3, 64, 7, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, CLASSES),
    )


def step(batch: int = BATCH) -> Step:
    """The step, with SGD with momentum."""
    generator = numpy.random.default_rng(0)
    images = generator.standard_normal((batch, 3, SIDE, SIDE), "float32")
    return Step(model, (images,), generator.integers(0, CLASSES, batch), "SGD", {"momentum": 0.9})
