"""The training steps by name. `threads`, `memory` and `first_step` run them in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from . import adam, cnn, gpt, gpt_written_out, lstm, mlp, resnet
from .steps import Step

#: Sizes of the layers, and batch.
MLPS: dict[str, tuple[list[int], int]] = {
    "small": ([2, 4, 2], 32),
    "medium": ([784, 256, 128, 10], 64),
    "large": ([1024, 1024, 1024, 10], 1024),
}


class Network(NamedTuple):
    """A network: what it is, and its training step."""

    title: str
    step: Callable[[], Step]


NETWORKS: dict[str, Network] = {
    **{
        name: Network(f"an MLP {sizes}, batch {batch}", partial(mlp.step, sizes, batch))
        for name, (sizes, batch) in MLPS.items()
    },
    "cnn": Network("a CNN on 28 x 28 pixels, batch 64", cnn.step),
    "resnet": Network("ResNet-18 on 64 x 64 pixels, batch 8", resnet.step),
    "gpt": Network("a GPT of 2 layers, width 128, 64 tokens, batch 8", gpt.step),
    "gpt_written_out": Network("the GPT with attention, softmax and GELU written out", gpt_written_out.step),
    "adamw": Network("the GPT with AdamW", partial(gpt.step, "AdamW")),
    "lstm": Network("an LSTM, 64 features, 128 hidden, 32 steps, batch 32", lstm.step),
    "adam": Network(f"an MLP {adam.SIZES} with Adam, batch {adam.BATCH}", adam.step),
}
