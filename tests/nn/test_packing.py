"""Sequences of different lengths: padding, packing, and recurrent layers on packed sequences."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn.utils import rnn
from tests.nn.case import Ours, Theirs, _start
from tests.support.differences import check
from tests.support.errors import Bad, check_error
from tests.support.target import Target

CPU = Target("cpu")
LENGTHS = [2, 5, 1, 5]
DATA = numpy.random.default_rng(0).standard_normal((5, 4, 3))

LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {"nonlinearity": "relu"}),
    ("RNN", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("GRU", {}),
    ("GRU", {"num_layers": 2, "bidirectional": True}),
    ("LSTM", {"bias": False, "batch_first": True}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 2}),
]


def _torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is the oracle")


def _run(
    library: Ours | Theirs, name: str, options: dict[str, Any], order: list[int] | None, with_state: bool
) -> dict[str, Any]:
    """The output, states and gradients of a layer on packed sequences. ``order`` sorts them from long to short."""
    layer = library.placed(getattr(library.nn, name)(3, 4, **options))
    state = {key: library.numpy(value) for key, value in layer.state_dict().items()}
    layer.load_state_dict({key: library.new(value) for key, value in _start(state).items()})
    data, lengths = (DATA, LENGTHS) if order is None else (DATA[:, order], [LENGTHS[i] for i in order])
    first = options.get("batch_first", False)
    x = library.new(numpy.moveaxis(data, 0, 1).copy() if first else data.copy(), True)
    tools = library.nn.utils.rnn
    packed = tools.pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=order is not None)
    rows = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    hx: Any = None
    if with_state:
        sizes = [options.get("proj_size", 4), 4][: 2 if name == "LSTM" else 1]
        states = [library.new(numpy.cos(numpy.arange(rows * 4.0 * n)).reshape(rows, 4, n), True) for n in sizes]
        hx = tuple(states) if name == "LSTM" else states[0]
    out, ends = layer(packed, hx)
    padded, padded_lengths = tools.pad_packed_sequence(out, batch_first=first, padding_value=0.5, total_length=6)
    assert padded_lengths.tolist() == lengths
    results = {"output": padded} | {f"state {i}": end for i, end in enumerate(ends if name == "LSTM" else [ends])}
    total: Any = 0.0
    for value in results.values():
        total = total + (value * value).sum()
    total.backward()
    gradients = {"of the input": x.grad} | {f"of {key}": p.grad for key, p in layer.named_parameters()}
    if with_state:
        gradients |= {f"of state {i}": state.grad for i, state in enumerate(states)}
    return {key: library.numpy(value) for key, value in (results | gradients).items()}


@pytest.mark.parametrize(("name", "options"), LAYERS, ids=str)
@pytest.mark.parametrize("order", [None, [1, 3, 0, 2]], ids=["unsorted", "sorted"])
@pytest.mark.parametrize("with_state", [False, True])
def test_layers_on_packed_sequences_equal_pytorchs(
    name: str, options: dict[str, Any], order: list[int] | None, with_state: bool
) -> None:
    _torch()
    actual, expected = (_run(library, name, options, order, with_state) for library in (Ours(CPU), Theirs()))
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        numpy.testing.assert_allclose(actual[key], value, rtol=1e-9, atol=1e-11, err_msg=key)


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
def test_a_packed_sequence_gives_the_results_of_a_single_one(name: str, backend: Target) -> None:
    layer = getattr(nn, name)(3, 4, bidirectional=True).double().to(backend.device)
    lengths = [2, 1] if backend.device == "jax" else LENGTHS  # jax compiles again for every length
    sequences = [backend.variable(DATA[:n, i]) for i, n in enumerate(lengths)]
    out, ends = layer(rnn.pack_sequence(sequences, enforce_sorted=False))
    for i, (sequence, one) in enumerate(zip(sequences, rnn.unpack_sequence(out), strict=True)):
        alone, alone_ends = layer(sequence)
        numpy.testing.assert_allclose(backend.numpy(one), backend.numpy(alone), rtol=1e-9, atol=1e-12)
        for end, other in zip(ends, alone_ends, strict=True) if name == "LSTM" else [(ends, alone_ends)]:
            numpy.testing.assert_allclose(backend.numpy(end[:, i, :]), backend.numpy(other), rtol=1e-9, atol=1e-12)


def test_second_derivatives_of_a_layer_on_packed_sequences() -> None:
    layer = nn.GRU(3, 2, bidirectional=True).double()

    def run(x: Any) -> Any:
        return layer(rnn.pack_padded_sequence(x, [3, 1]))[0].data

    check(run, [DATA[:3, :2]], CPU, order=2)


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_packing_equals_pytorchs(enforce_sorted: bool, batch_first: bool, backend: Target) -> None:
    torch = _torch()
    lengths = sorted(LENGTHS, reverse=True) if enforce_sorted else LENGTHS
    data = numpy.moveaxis(DATA, 0, 1) if batch_first else DATA
    found = rnn.pack_padded_sequence(
        backend.variable(data), backend.variable(lengths, "int64"), batch_first, enforce_sorted
    )
    expected = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(data), torch.tensor(lengths), batch_first, enforce_sorted
    )
    numpy.testing.assert_array_equal(backend.numpy(found.data), expected.data.numpy())
    assert found.batch_sizes.tolist() == expected.batch_sizes.tolist()
    assert found.batch_sizes.device == "cpu" and found.batch_sizes.dtype == "int64"
    assert (found.sorted_indices is None) is (expected.sorted_indices is None) is enforce_sorted
    if not enforce_sorted:
        assert found.sorted_indices.tolist() == [1, 3, 0, 2]
        assert found.unsorted_indices.tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_padding_equals_pytorchs(side: str, batch_first: bool, backend: Target) -> None:
    torch = _torch()
    parts = [DATA[:n, i] for i, n in enumerate(LENGTHS)]
    found = rnn.pad_sequence([backend.variable(part) for part in parts], batch_first, -1.0, side)
    expected = torch.nn.utils.rnn.pad_sequence([torch.tensor(part) for part in parts], batch_first, -1.0, side)
    numpy.testing.assert_array_equal(backend.numpy(found), expected.numpy())
    if side == "right":
        for part, back in zip(parts, rnn.unpad_sequence(found, LENGTHS, batch_first), strict=True):
            numpy.testing.assert_array_equal(backend.numpy(back), part)


def test_moving_a_packed_sequence_keeps_its_order(backend: Target) -> None:
    packed = rnn.pack_sequence([rustorch.tensor([4.0]), rustorch.tensor([1.0, 2.0])], enforce_sorted=False).to(
        backend.device
    )
    assert packed.data.device == packed.sorted_indices.device == packed.unsorted_indices.device == backend.device
    assert packed.batch_sizes.device == "cpu"
    assert packed.to(rustorch.float64).data.dtype == "float64"
    assert [x.tolist() for x in rnn.unpack_sequence(packed)] == [[4.0], [1.0, 2.0]]
    assert isinstance(packed, tuple) and len(packed) == 4
    assert rnn.invert_permutation(None) is None


_x = CPU.variable(DATA)
_layer = nn.LSTM(3, 4).double()
_packed = rnn.pack_padded_sequence(_x, [5, 4, 2, 2])
BAD: dict[str, Bad] = {
    "unsorted": (
        lambda: rnn.pack_padded_sequence(_x, LENGTHS),
        ValueError,
        r"pack_padded_sequence: lengths must be sorted from the longest to the shortest, unlike \[2, 5, 1, 5\]; or "
        "write enforce_sorted=False",
    ),
    "zero": (
        lambda: rnn.pack_padded_sequence(_x, [3, 2, 1, 0]),
        ValueError,
        r"lengths are from 1 to the number of steps, 5, not \[3, 2, 1, 0\]",
    ),
    "long": (
        lambda: rnn.pack_padded_sequence(_x, [6, 2, 1, 1]),
        ValueError,
        "lengths are from 1 to the number of steps, 5",
    ),
    "count": (lambda: rnn.pack_padded_sequence(_x, [2, 1]), ValueError, "there are 4 sequences and 2 lengths"),
    "floats": (lambda: rnn.pack_padded_sequence(_x, [5.0, 2.0, 1.0, 1.0]), TypeError, "lengths are integers, not"),
    "rank": (
        lambda: rnn.pack_padded_sequence(_x[0, 0], [1]),
        ValueError,
        r"two dimensions at least, \(steps, batch, ...\), not the shape \(3,\)",
    ),
    "nothing": (
        lambda: rnn.pack_padded_sequence(_x[:, :0], []),
        ValueError,
        r"there is no sequence in an input of shape \(5, 0, 3\)",
    ),
    "not packed": (
        lambda: rnn.pad_packed_sequence(_x),
        TypeError,
        "pad_packed_sequence: a PackedSequence is unpacked, not Variable",
    ),
    "total": (
        lambda: rnn.pad_packed_sequence(_packed, total_length=4),
        ValueError,
        "total_length is at least.*5, not 4",
    ),
    "sizes": (
        lambda: rnn.pad_packed_sequence(rnn.PackedSequence(_x[0], CPU.variable([1, 2], "int64"))),
        ValueError,
        r"batch_sizes are positive, do not rise, and sum to the 4 rows of the data, not \[1, 2\]",
    ),
    "no sizes": (lambda: rnn.PackedSequence(_x), ValueError, "PackedSequence: batch_sizes is missing"),
    "no sequence": (lambda: rnn.pad_sequence([]), ValueError, "pad_sequence: there is no sequence"),
    "other sizes": (lambda: rnn.pad_sequence([_x[0], _x[0, :, :2]]), ValueError, r"these are \(4, 3\), \(4, 2\)"),
    "side": (
        lambda: rnn.pad_sequence([_x], padding_side="top"),
        ValueError,
        "padding_side is 'right' or 'left', not 'top'",
    ),
    "unpad": (lambda: rnn.unpad_sequence(_x, [1]), ValueError, "unpad_sequence: there are 4 sequences and 1 lengths"),
    "features": (
        lambda: _layer(_packed.with_data(_packed.data[:, :2])),
        ValueError,
        r"LSTM: packed sequences have 3 features in each step; got data of the shape \(13, 2\)",
    ),
    "state": (
        lambda: _layer(_packed, (_x[:1, :3], _x[:1, :3])),
        ValueError,
        r"LSTM: for .* the hidden state has shape \(1, 4, 4\), not \(1, 3, 3\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_and_teaches(name: str) -> None:
    check_error(BAD[name])
