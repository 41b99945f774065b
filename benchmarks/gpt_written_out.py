"""One training step of the GPT of `gpt`, as people write it out: attention and GELU from the functions of arrays.

Attention is two products, a causal mask and a softmax of exponentials and sums. GELU is its formula with tanh. The
projections, the embeddings and layer norm are the library's layers.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy

from .gpt import BATCH, HEADS, LAYERS, TOKENS, VOCABULARY, WIDTH
from .steps import Step


def gelu(library: Any, x: Any) -> Any:
    """GELU by its approximation with tanh."""
    return 0.5 * x * (1.0 + library.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def softmax(library: Any, x: Any) -> Any:
    """The softmax of each row."""
    largest = library.amax(x, -1, True) if library.__name__ == "torch" else library.max(x, axis=-1, keepdims=True)
    exponentials = library.exp(x - largest)
    return exponentials / library.sum(exponentials, axis=-1, keepdims=True)


def attention(library: Any, q: Any, k: Any, v: Any, mask: Any) -> Any:
    """Attention of (batch, heads, tokens, features). ``mask`` is added to the products of queries and keys."""
    return softmax(library, library.matmul(q, k.mT) / math.sqrt(q.shape[-1]) + mask) @ v


def _block_class(nn: Any, library: Any) -> Any:
    """The class of a layer of the network."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
            self.projection = nn.Linear(WIDTH, WIDTH)
            self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def heads(self, x: Any) -> Any:
            return library.moveaxis(library.reshape(x, (*x.shape[:2], HEADS, WIDTH // HEADS)), 1, 2)

        def forward(self, x: Any, mask: Any) -> Any:
            h = self.norm1(x)
            q, k, v = (self.heads(layer(h)) for layer in (self.query, self.key, self.value))
            x = x + self.projection(library.reshape(library.moveaxis(attention(library, q, k, v, mask), 1, 2), x.shape))
            return x + self.narrow(gelu(library, self.wide(self.norm2(x))))

    return Block


def model(nn: Any) -> Any:
    """The network, from the layers and functions of rustorch or PyTorch, whose ``nn`` is given."""
    library = sys.modules[nn.__name__.removesuffix(".nn")]
    block = _block_class(nn, library)

    class WrittenOut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, WIDTH)
            self.positions = nn.Embedding(TOKENS, WIDTH)
            self.blocks = nn.ModuleList([block() for _ in range(LAYERS)])
            self.norm = nn.LayerNorm(WIDTH)
            self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

        def forward(self, tokens: Any, positions: Any, mask: Any) -> Any:
            x = self.tokens(tokens) + self.positions(positions)
            for layer in self.blocks:
                x = layer(x, mask)
            return library.reshape(self.head(self.norm(x)), (-1, VOCABULARY))

    return WrittenOut()


def step(batch: int = BATCH) -> Step:
    """The step, with SGD. The target of each token is the next one, and the mask hides all later tokens."""
    text = numpy.random.default_rng(0).integers(0, VOCABULARY, (batch, TOKENS + 1))
    mask = numpy.triu(numpy.full((TOKENS, TOKENS), -numpy.inf, "float32"), 1)
    return Step(model, (text[:, :-1].copy(), numpy.arange(TOKENS), mask), text[:, 1:].reshape(-1))
