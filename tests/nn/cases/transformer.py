"""Cases of transformers, in evaluation where they have dropout, because random numbers differ."""

from __future__ import annotations

from typing import Any

import numpy

from tests.nn.case import Case

from .activation import normal
from .attention import CAUSAL, PADDING, attention

SMALL: dict[str, Any] = {"dim_feedforward": 3, "dropout": 0.0}


def _encoder(nn: Any) -> Any:
    layer = nn.TransformerEncoderLayer(4, 2, batch_first=True, activation="gelu", norm_first=True, **SMALL)
    return nn.TransformerEncoder(layer, 2, nn.LayerNorm(4), enable_nested_tensor=False)


CASES = [
    Case(
        "TransformerEncoderLayer",
        (4, 2),
        {**SMALL, "norm_first": True, "activation": "gelu"},
        inputs=attention((3, 2, 4), src_mask=CAUSAL, is_causal=True),
    ),
    Case(
        "TransformerEncoderLayer",
        (4, 2, 3, 0.5),
        {"batch_first": True, "bias": False},
        train=False,
        inputs=attention((2, 4, 4), src_key_padding_mask=PADDING),
    ),
    Case("TransformerEncoderLayer", (4, 2), SMALL, inputs=normal(3, 4), variant="unbatched"),
    Case(
        "TransformerDecoderLayer",
        (4, 2),
        {**SMALL, "batch_first": True},
        inputs=attention((2, 3, 4), (2, 4, 4), tgt_mask=CAUSAL, memory_key_padding_mask=PADDING),
    ),
    Case(
        "TransformerDecoderLayer",
        (4, 2),
        {**SMALL, "norm_first": True, "layer_norm_eps": 0.1},
        inputs=attention((3, 2, 4), (4, 2, 4), memory_mask=numpy.linspace(-1, 1, 12).reshape(3, 4)),
    ),
    Case("TransformerEncoder", build=_encoder, inputs=attention((2, 3, 4), mask=CAUSAL, is_causal=True)),
    Case(
        "TransformerDecoder",
        build=lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, **SMALL), 2),
        inputs=attention((3, 2, 4), (2, 2, 4)),
    ),
    Case(
        "Transformer",
        (4, 2, 1, 1),
        {**SMALL, "batch_first": True},
        inputs=attention(
            (2, 4, 4), (2, 3, 4), tgt_mask=CAUSAL, src_key_padding_mask=PADDING, memory_key_padding_mask=PADDING
        ),
    ),
]
