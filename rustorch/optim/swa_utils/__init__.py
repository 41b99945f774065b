"""Averages of weights over the steps of a training: with equal weights (SWA) or decaying ones (EMA)."""

from __future__ import annotations

from .averages import get_ema_avg_fn, get_ema_multi_avg_fn, get_swa_avg_fn, get_swa_multi_avg_fn
from .model import AveragedModel, update_bn
from .schedule import SWALR

__all__ = [
    "AveragedModel", "SWALR", "update_bn", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
]  # fmt: skip
