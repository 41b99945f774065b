"""Cases of attention with many heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from tests.nn.case import Case

#: Hides the keys after the query.
CAUSAL = numpy.triu(numpy.ones((3, 3), dtype=bool), 1)
PADDING = numpy.asarray([[False, False, True, False], [False, True, True, False]])


def self_attention(*shape: int, **options: Any) -> Callable[[Any], tuple[Any, ...]]:
    """One array as query, key and value."""

    def inputs(rng: Any) -> tuple[Any, ...]:
        x = rng.standard_normal(shape)
        return x, x, x, options

    return inputs


def attention(*shapes: tuple[int, ...], **options: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Numbers of these shapes for query, key and value."""
    return lambda rng: (*(rng.standard_normal(shape) for shape in shapes), options)


CASES = [
    Case("MultiheadAttention", (4, 2), inputs=attention((3, 2, 4), (4, 2, 4), (4, 2, 4), key_padding_mask=PADDING)),
    Case(
        "MultiheadAttention",
        (4, 2),
        {"batch_first": True},
        inputs=self_attention(2, 3, 4, attn_mask=CAUSAL, need_weights=False, is_causal=True),
    ),
    Case(
        "MultiheadAttention",
        (4, 2),
        {"batch_first": True},
        variant="padding and mask",
        inputs=attention(
            (2, 3, 4),
            (2, 4, 4),
            (2, 4, 4),
            key_padding_mask=PADDING,
            attn_mask=numpy.triu(numpy.ones((3, 4), bool), 3),
            need_weights=False,
        ),
    ),
    Case(
        "MultiheadAttention",
        (4, 2),
        {"kdim": 3, "vdim": 5, "bias": False},
        inputs=attention((3, 2, 4), (4, 2, 3), (4, 2, 5), average_attn_weights=False),
    ),
    Case(
        "MultiheadAttention",
        (4, 2),
        {"add_bias_kv": True, "add_zero_attn": True},
        inputs=self_attention(3, 2, 4, attn_mask=CAUSAL),
    ),
    Case(
        "MultiheadAttention",
        (4, 4),
        {"add_bias_kv": True},
        inputs=self_attention(3, 4, need_weights=False),
        variant="unbatched",
    ),
    Case(
        "MultiheadAttention",
        (4, 2, 0.5),
        train=False,
        inputs=attention(
            (3, 4),
            (4, 4),
            (4, 4),
            attn_mask=numpy.linspace(-1, 1, 24).reshape(2, 3, 4),
            key_padding_mask=PADDING[0].astype(float),
        ),
    ),
    Case("MultiheadAttention", (4, 1, 1.0), inputs=attention((3, 1, 4), (2, 1, 4), (2, 1, 4), need_weights=False)),
]
