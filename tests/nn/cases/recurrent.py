"""Cases of recurrent layers and cells."""

from __future__ import annotations

from typing import Any

from tests.nn.case import Case

from .activation import normal


def _pair(*shape: int) -> Any:
    """An input and a pair of states, (2, 2, 4) each."""
    return lambda rng: (rng.standard_normal(shape), (rng.standard_normal((2, 2, 4)), rng.standard_normal((2, 2, 4))))


def _two(*shapes: tuple[int, ...]) -> Any:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


CASES = [
    Case("LSTM", (3, 4), {"num_layers": 2}, inputs=_pair(3, 2, 3)),
    Case("LSTM", (3, 4), {"bidirectional": True, "batch_first": True}, inputs=_pair(2, 3, 3)),
    Case(
        "LSTM",
        (3, 4),
        {"num_layers": 2, "bidirectional": True, "proj_size": 2, "dropout": 0.5},
        train=False,
        inputs=lambda rng: (
            rng.standard_normal((3, 2, 3)),
            (rng.standard_normal((4, 2, 2)), rng.standard_normal((4, 2, 4))),
        ),
    ),
    Case("LSTM", (3, 4), {"bias": False}, inputs=normal(3, 3), variant="unbatched"),
    Case("LSTM", (3, 4), {"num_layers": 2, "dropout": 1.0}, inputs=normal(3, 2, 3)),
    Case("GRU", (3, 4), {"num_layers": 2, "bidirectional": True}, inputs=_two((3, 2, 3), (4, 2, 4))),
    Case("GRU", (3, 4), {"bias": False, "batch_first": True}, inputs=normal(2, 3, 3)),
    Case("GRU", (3, 4), inputs=_two((3, 3), (1, 4)), variant="unbatched"),
    Case("RNN", (3, 4), {"num_layers": 2, "bidirectional": True}, inputs=_two((3, 2, 3), (4, 2, 4))),
    Case("RNN", (3, 4, 1, "relu"), {"batch_first": True}, inputs=normal(2, 3, 3)),
    Case("RNN", (3, 4), {"bias": False}, inputs=normal(1, 3), variant="unbatched"),
    Case(
        "LSTMCell",
        (3, 4),
        inputs=lambda rng: (rng.standard_normal((2, 3)), (rng.standard_normal((2, 4)), rng.standard_normal((2, 4)))),
    ),
    Case("LSTMCell", (3, 4), {"bias": False}, inputs=normal(3), variant="unbatched"),
    Case("GRUCell", (3, 4), inputs=_two((2, 3), (2, 4))),
    Case("GRUCell", (3, 4, False), inputs=_two((3,), (4,)), variant="unbatched"),
    Case("RNNCell", (3, 4), inputs=_two((2, 3), (2, 4))),
    Case("RNNCell", (3, 4, False, "relu"), inputs=normal(3), variant="unbatched"),
]
