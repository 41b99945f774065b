"""Primitives that layers and losses are made of, by family; nn.functional dresses them."""

from __future__ import annotations

from .core import *  # noqa: F403
