"""Schedules of the learning rate, under PyTorch's names: each sets the learning rates of an optimizer's groups."""

from __future__ import annotations

from .composite import ChainedScheduler, SequentialLR
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from .cyclic import CyclicLR
from .decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from .function import LambdaLR, MultiplicativeLR
from .one_cycle import OneCycleLR
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler

_LRScheduler = LRScheduler  # the base class in programs for older versions of PyTorch

__all__ = [
    "LRScheduler",
    "LambdaLR", "MultiplicativeLR",
    "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR",
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts",
    "CyclicLR", "OneCycleLR",
    "SequentialLR", "ChainedScheduler",
    "ReduceLROnPlateau",
]  # fmt: skip
