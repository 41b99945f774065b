"""Files of rustorch are read by the safetensors library and PyTorch, and the other way round."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.backends import dtypes
from rustorch.serialization import source
from tests.support.saved import assert_same, bits, round_trip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "saved.safetensors"


def test_the_safetensors_library_reads_and_writes_the_same_files(rng: numpy.random.Generator, file: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {str(dtype): bits(rng, dtype, (3, 2)) for dtype in dtypes.ALL if dtype != dtypes.complex128}
    rustorch.save(arrays, file, metadata={"a": "b"})
    loaded = safetensors.load_file(file)
    assert_same({name: rustorch.Variable(loaded[name]) for name in arrays}, arrays)
    safetensors.save_file(arrays, file, {"a": "b"})
    loaded = rustorch.load(file)
    assert_same({name: loaded[name] for name in arrays}, arrays)
    assert rustorch.load_metadata(file) == {"a": "b"}
    rustorch.save({"model": {"w": arrays["float32"]}, "step": [1], "z": numpy.array([1 + 2j])}, file)
    loaded = safetensors.load_file(file)
    assert set(loaded) == {"model.w", "z"} and loaded["z"].tolist() == [[1.0, 2.0]]


def test_weights_are_exchanged_with_pytorch(file: Path) -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    layer, torch_layer = nn.LSTM(3, 4), torch.nn.LSTM(3, 4)
    rustorch.save(layer, file)
    torch_layer.load_state_dict(safetensors.load_file(file))
    x = rustorch.randn(5, 2, 3)
    difference = layer(x)[0].detach().numpy() - torch_layer(torch.tensor(x.numpy()))[0].detach().numpy()
    assert abs(difference).max() < 1e-6
    safetensors.save_file(torch.nn.LSTM(3, 4).state_dict(), file)
    assert layer.load_state_dict(rustorch.load(file)) == ([], [])


@pytest.mark.parametrize("mapped_from", [0, 1 << 40], ids=["mapped", "read"])
def test_half_precision_of_pytorch_becomes_float32_exactly(
    file: Path, mapped_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MAPPED_FROM", mapped_from)
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    every_bit_pattern = torch.arange(-(2**15), 2**15).to(torch.int16)
    tensors = {
        "bf16": every_bit_pattern.view(torch.bfloat16),
        "f16": every_bit_pattern.clone().view(torch.float16).reshape(2, -1),
    }
    safetensors.save_file(tensors, file)
    for name, loaded in rustorch.load(file).items():
        expected = tensors[name].to(torch.float32).numpy()
        assert loaded.dtype == rustorch.float32 and loaded.data.flags.writeable
        numpy.testing.assert_array_equal(loaded.data, expected)


def test_tensors_and_modules_of_pytorch_can_be_saved(file: Path) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 3)
    assert_same(round_trip(layer, file), {name: value.numpy() for name, value in layer.state_dict().items()})
    with pytest.raises(
        TypeError,
        match=r"^save: the object\[0\] is an array of (torch\.)?bfloat16, which cannot be saved; convert it first",
    ):
        rustorch.save([torch.ones(2, dtype=torch.bfloat16)], file)
