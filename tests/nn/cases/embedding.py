"""Cases of embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from tests.nn.case import Case


def _rows(*shape: int, of: int = 7) -> Callable[[Any], tuple[Any, ...]]:
    return lambda rng: (rng.integers(0, of, shape),)


def _bags(*offsets: int, n: int = 6, weighed: bool = False) -> Callable[[Any], tuple[Any, ...]]:
    def inputs(rng: Any) -> tuple[Any, ...]:
        given = (rng.integers(0, 7, n), numpy.array(offsets))
        return (*given, rng.standard_normal(n)) if weighed else given

    return inputs


CASES = [
    Case("Embedding", (7, 3), inputs=_rows(2, 4)),
    Case("Embedding", (7, 3), {"padding_idx": -2, "scale_grad_by_freq": True}, inputs=_rows(9), everywhere=True),
    Case("Embedding", (7, 3), {"max_norm": 0.4, "norm_type": 1.5}, inputs=_rows(5), everywhere=True),
    Case("Embedding", (7, 3), inputs=lambda rng: (numpy.array(3),), variant="one"),
    Case("EmbeddingBag", (7, 3), inputs=_bags(0, 2, 2, 5)),
    Case("EmbeddingBag", (7, 3), {"padding_idx": 1}, inputs=_rows(3, 4)),
    Case("EmbeddingBag", (7, 3), {"mode": "sum", "include_last_offset": True}, inputs=_bags(0, 2, 6, weighed=True)),
    Case("EmbeddingBag", (7, 3), {"mode": "sum", "max_norm": 0.4}, inputs=_rows(2, 3)),
    Case("EmbeddingBag", (7, 3), {"scale_grad_by_freq": True}),  # (PyTorch 2.13 divides by the count of another row)
    Case("EmbeddingBag", (7, 3), {"mode": "max"}, inputs=_bags(0, 1, 1, 4), everywhere=True),
    Case("EmbeddingBag", (7, 3), {"mode": "max", "padding_idx": 0}, inputs=_bags(0, 2, n=8)),
    Case("EmbeddingBag", (7, 3), {"mode": "max"}, inputs=_rows(2, 3), variant="rows"),
]
