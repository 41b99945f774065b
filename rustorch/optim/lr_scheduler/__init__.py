"""Schedules of the learning rate, under PyTorch's names: each sets the rates of an optimizer's groups when its ``step``
is called.
"""

from __future__ import annotations

from .composite import ChainedScheduler, SequentialLR
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from .cyclic import CyclicLR, OneCycleLR
from .decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from .function import LambdaLR, MultiplicativeLR
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler

_LRScheduler = LRScheduler  # what programs of older PyTorch derive from

__all__ = [
    "LRScheduler",
    "LambdaLR", "MultiplicativeLR",
    "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR",
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts",
    "CyclicLR", "OneCycleLR",
    "SequentialLR", "ChainedScheduler",
    "ReduceLROnPlateau",
]  # fmt: skip
