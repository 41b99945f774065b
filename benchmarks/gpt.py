"""One training step of a 2-layer GPT: width 128, 4 heads, 64 tokens, batch 8, no dropout."""

from __future__ import annotations

from typing import Any

import numpy

from .steps import Step

VOCABULARY, WIDTH, HEADS, LAYERS, TOKENS, BATCH = 65, 128, 4, 2, 64, 8


def model(nn: Any) -> Any:
    """The network, from the layers of rustorch or PyTorch.

    It takes tokens, positions and a mask, and returns a row of logits for each token.
    """

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, WIDTH)
            self.positions = nn.Embedding(TOKENS, WIDTH)
            layer = nn.TransformerEncoderLayer(
                WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            self.layers = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
            self.head = nn.Sequential(nn.Linear(WIDTH, VOCABULARY, bias=False), nn.Flatten(0, 1))

        def forward(self, tokens: Any, positions: Any, mask: Any) -> Any:
            return self.head(self.layers(self.tokens(tokens) + self.positions(positions), mask, is_causal=True))

    return GPT()


def step(optimizer: str = "SGD", batch: int = BATCH) -> Step:
    """The step. The target of each token is the next one, and the mask hides all later tokens."""
    text = numpy.random.default_rng(0).integers(0, VOCABULARY, (batch, TOKENS + 1))
    mask = numpy.triu(numpy.full((TOKENS, TOKENS), -numpy.inf, "float32"), 1)
    return Step(model, (text[:, :-1].copy(), numpy.arange(TOKENS), mask), text[:, 1:].reshape(-1), optimizer)
