"""Layers take input of their parameters' dtype only: other dtypes raise an error that says how to convert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.data import ArrayDataset, DataLoader
from rustorch.nn import functional as F
from tests.support.target import Target

#: A function from a shape to a Variable, of the first dtype and of the other one.
Make = Callable[..., rustorch.Variable]


def _moved(layer: nn.Module, like: rustorch.Variable) -> nn.Module:
    """A layer whose parameters have the dtype and the device of ``like``."""
    return layer.to(device=like.device, dtype=like.dtype)


#: Calls with arrays of one dtype, made by ``f``, and arrays of another dtype, made by ``g``.
MIXED: dict[str, Callable[[Make, Make], Any]] = {
    "linear, weight": lambda f, g: F.linear(f(2, 3), g(4, 3)),
    "linear, bias": lambda f, g: F.linear(f(2, 3), f(4, 3), g(4)),
    "linear of a vector, bias": lambda f, g: F.linear(f(3), f(4, 3), g(4)),
    "linear without rows": lambda f, g: F.linear(f(0, 3), g(4, 3)),
    "bilinear, weight": lambda f, g: F.bilinear(f(2, 3), f(2, 3), g(4, 3, 3)),
    "bilinear, second input": lambda f, g: F.bilinear(f(2, 3), g(2, 3), f(4, 3, 3)),
    "bilinear, bias": lambda f, g: F.bilinear(f(2, 3), f(2, 3), f(4, 3, 3), g(4)),
    "conv1d, weight": lambda f, g: F.conv1d(f(2, 3, 5), g(4, 3, 2)),
    "conv2d, bias": lambda f, g: F.conv2d(f(2, 3, 5, 5), f(4, 3, 2, 2), g(4)),
    "conv3d, weight": lambda f, g: F.conv3d(f(1, 1, 2, 2, 2), g(1, 1, 1, 1, 1)),
    "conv_transpose1d, weight": lambda f, g: F.conv_transpose1d(f(2, 3, 5), g(3, 4, 2)),
    "conv_transpose2d, bias": lambda f, g: F.conv_transpose2d(f(2, 3, 5, 5), f(3, 4, 2, 2), g(4)),
    "conv_transpose3d, weight": lambda f, g: F.conv_transpose3d(f(1, 1, 2, 2, 2), g(1, 1, 1, 1, 1)),
    "scaled_dot_product_attention, key": lambda f, g: F.scaled_dot_product_attention(
        f(2, 3, 4), g(2, 3, 4), f(2, 3, 4)
    ),
    "scaled_dot_product_attention, value": lambda f, g: F.scaled_dot_product_attention(
        f(2, 3, 4), f(2, 3, 4), g(2, 3, 4)
    ),
    "layer_norm, weight": lambda f, g: F.layer_norm(f(2, 3), 3, g(3)),
    "layer_norm, bias": lambda f, g: F.layer_norm(f(2, 3), 3, f(3), g(3)),
    "group_norm, weight": lambda f, g: F.group_norm(f(2, 4, 3), 2, g(4), g(4)),
    "group_norm, bias": lambda f, g: F.group_norm(f(2, 4, 3), 2, f(4), g(4)),
    "batch_norm, weight": lambda f, g: F.batch_norm(f(2, 4), f(4), f(4), g(4), f(4), training=True),
    "batch_norm, bias": lambda f, g: F.batch_norm(f(2, 4), f(4), f(4), f(4), g(4)),
    "batch_norm, running_mean": lambda f, g: F.batch_norm(f(2, 4), g(4), f(4), training=True),
    "batch_norm, running_var": lambda f, g: F.batch_norm(f(2, 4), f(4), g(4)),
    "instance_norm, weight": lambda f, g: F.instance_norm(f(2, 4, 3), None, None, g(4), g(4)),
    "prelu, weight": lambda f, g: F.prelu(f(2, 4), g(4)),
    "grid_sample, grid": lambda f, g: F.grid_sample(f(1, 1, 3, 3), g(1, 2, 2, 2), align_corners=True),
    "embedding_bag, per_sample_weights": lambda f, g: F.embedding_bag(
        numpy.asarray([[0, 1]]) if f().device == "cpu" else rustorch.asarray([[0, 1]], device=f().device),
        f(3, 4),
        mode="sum",
        per_sample_weights=g(1, 2),
    ),
    "linear_cross_entropy, weight": lambda f, g: F.linear_cross_entropy(
        f(2, 3), g(4, 3), rustorch.asarray([1, 2], device=f().device)
    ),
    "Linear": lambda f, g: _moved(nn.Linear(3, 4), g())(f(2, 3)),
    "Linear without bias": lambda f, g: _moved(nn.Linear(3, 4, bias=False), g())(f(2, 3)),
    "Bilinear": lambda f, g: _moved(nn.Bilinear(3, 3, 4), g())(f(2, 3), f(2, 3)),
    "Conv1d": lambda f, g: _moved(nn.Conv1d(3, 4, 2, padding=1, padding_mode="circular"), g())(f(2, 3, 5)),
    "Conv2d": lambda f, g: _moved(nn.Conv2d(3, 4, 2), g())(f(2, 3, 5, 5)),
    "Conv3d": lambda f, g: _moved(nn.Conv3d(1, 1, 1), g())(f(1, 1, 2, 2, 2)),
    "ConvTranspose1d": lambda f, g: _moved(nn.ConvTranspose1d(3, 4, 2), g())(f(2, 3, 5)),
    "ConvTranspose2d": lambda f, g: _moved(nn.ConvTranspose2d(3, 4, 2), g())(f(2, 3, 5, 5)),
    "ConvTranspose3d": lambda f, g: _moved(nn.ConvTranspose3d(1, 1, 1), g())(f(1, 1, 2, 2, 2)),
    "LayerNorm": lambda f, g: _moved(nn.LayerNorm(3), g())(f(2, 3)),
    "GroupNorm": lambda f, g: _moved(nn.GroupNorm(2, 4), g())(f(2, 4)),
    "BatchNorm1d": lambda f, g: _moved(nn.BatchNorm1d(4), g())(f(2, 4)),
    "BatchNorm1d in use": lambda f, g: _moved(nn.BatchNorm1d(4), g()).eval()(f(2, 4)),
    "BatchNorm1d without weights": lambda f, g: _moved(nn.BatchNorm1d(4, affine=False), g())(f(2, 4)),
    "BatchNorm2d": lambda f, g: _moved(nn.BatchNorm2d(4), g())(f(2, 4, 3, 3)),
    "BatchNorm3d": lambda f, g: _moved(nn.BatchNorm3d(4), g())(f(2, 4, 1, 2, 2)),
    "InstanceNorm1d": lambda f, g: _moved(nn.InstanceNorm1d(4, affine=True), g())(f(2, 4, 3)),
    "PReLU": lambda f, g: _moved(nn.PReLU(), g())(f(2, 4)),
    "AdaptiveLogSoftmaxWithLoss": lambda f, g: _moved(nn.AdaptiveLogSoftmaxWithLoss(4, 6, [3]), g())(
        f(2, 4), rustorch.asarray([1, 5], device=f().device)
    ),
    "RNN": lambda f, g: _moved(nn.RNN(3, 4), g())(f(2, 1, 3)),
    "RNN, state": lambda f, g: _moved(nn.RNN(3, 4), f())(f(2, 1, 3), g(1, 1, 4)),
    "LSTM": lambda f, g: _moved(nn.LSTM(3, 4, num_layers=2), g())(f(2, 1, 3)),
    "LSTM, hidden state": lambda f, g: _moved(nn.LSTM(3, 4), f())(f(2, 1, 3), (g(1, 1, 4), f(1, 1, 4))),
    "LSTM, cell state": lambda f, g: _moved(nn.LSTM(3, 4), f())(f(2, 1, 3), (f(1, 1, 4), g(1, 1, 4))),
    "GRU": lambda f, g: _moved(nn.GRU(3, 4, bidirectional=True), g())(f(2, 1, 3)),
    "GRU, state": lambda f, g: _moved(nn.GRU(3, 4), f())(f(2, 1, 3), g(1, 1, 4)),
    "rnn_tanh, w_hh": lambda f, g: F.rnn_tanh(f(2, 1, 3), None, [f(4, 3), g(4, 4), f(4), f(4)]),
    "rnn_relu, b_ih": lambda f, g: F.rnn_relu(f(2, 1, 3), None, [f(4, 3), f(4, 4), g(4), f(4)]),
    "gru, b_hh": lambda f, g: F.gru(f(2, 1, 3), None, [f(12, 3), f(12, 4), f(12), g(12)]),
    "RNNCell": lambda f, g: _moved(nn.RNNCell(3, 4), g())(f(1, 3)),
    "RNNCell, state": lambda f, g: _moved(nn.RNNCell(3, 4), f())(f(1, 3), g(1, 4)),
    "LSTMCell": lambda f, g: _moved(nn.LSTMCell(3, 4), g())(f(1, 3)),
    "LSTMCell, cell state": lambda f, g: _moved(nn.LSTMCell(3, 4), f())(f(1, 3), (f(1, 4), g(1, 4))),
    "GRUCell": lambda f, g: _moved(nn.GRUCell(3, 4), g())(f(1, 3)),
    "gru_cell, bias": lambda f, g: F.gru_cell(f(1, 3), None, f(12, 3), f(12, 4), g(12), g(12)),
    "MultiheadAttention": lambda f, g: _moved(nn.MultiheadAttention(4, 2), g())(*[f(3, 1, 4)] * 3),
    "MultiheadAttention, key": lambda f, g: _moved(nn.MultiheadAttention(4, 2), f())(
        f(3, 1, 4), g(3, 1, 4), f(3, 1, 4)
    ),
    "MultiheadAttention, value": lambda f, g: _moved(nn.MultiheadAttention(4, 2), f())(
        f(3, 1, 4), f(3, 1, 4), g(3, 1, 4)
    ),
    "TransformerEncoderLayer": lambda f, g: _moved(nn.TransformerEncoderLayer(4, 2, 8), g())(f(3, 1, 4)),
    "TransformerDecoderLayer": lambda f, g: _moved(nn.TransformerDecoderLayer(4, 2, 8), g())(f(3, 1, 4), f(3, 1, 4)),
    "TransformerDecoderLayer, memory": lambda f, g: _moved(nn.TransformerDecoderLayer(4, 2, 8), f())(
        f(3, 1, 4), g(3, 1, 4)
    ),
    "Transformer": lambda f, g: _moved(nn.Transformer(4, 2, 1, 1, 8), g())(f(3, 1, 4), f(3, 1, 4)),
    "Sequential": lambda f, g: _moved(nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 4)), g())(f(2, 3)),
}

#: Calls that compute in the input's dtype for every other dtype, as in PyTorch.
CONVERTED: dict[str, Callable[[Make, Make], Any]] = {
    "rms_norm, weight": lambda f, g: F.rms_norm(f(2, 3), 3, g(3)),
    "RMSNorm": lambda f, g: _moved(nn.RMSNorm(3), g())(f(2, 3)),
    "instance_norm, running statistics": lambda f, g: F.instance_norm(f(2, 4, 3), g(4), g(4)),
    "instance_norm, in use": lambda f, g: F.instance_norm(f(2, 4, 3), g(4), g(4), use_input_stats=False),
}


def _makers(target: Target, *dtypes: str) -> list[Make]:
    return [lambda *shape, dtype=dtype: target.variable(numpy.ones(shape), dtype) for dtype in dtypes]


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")], ids="-".join)
@pytest.mark.parametrize("name", MIXED)
def test_two_dtypes_raise_an_error_that_names_both(name: str, dtypes: tuple[str, str], backend: Target) -> None:
    before = rustorch.get_rng_state().tolist()
    with pytest.raises(TypeError, match=rf"{dtypes[0]}.*{dtypes[1]}|{dtypes[1]}.*{dtypes[0]}") as caught:
        MIXED[name](*_makers(backend, *dtypes))
    assert "Convert the" in str(caught.value)
    assert "x.float()" in str(caught.value) or "x.double()" in str(caught.value)
    if name[0].islower():  # layers draw their parameters
        assert rustorch.get_rng_state().tolist() == before


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")], ids="-".join)
@pytest.mark.parametrize("name", CONVERTED)
def test_some_functions_convert_to_the_dtype_of_the_input(name: str, dtypes: tuple[str, str], backend: Target) -> None:
    assert CONVERTED[name](*_makers(backend, *dtypes)).dtype == dtypes[0]


@pytest.mark.parametrize("name", MIXED)
def test_all_cases_work_with_one_dtype(name: str, backend: Target) -> None:
    for dtype in ("float32", "float64"):
        out = MIXED[name](*_makers(backend, dtype, dtype))
        assert (out if isinstance(out, rustorch.Variable) else out[0]).dtype == dtype


def test_the_message_names_both_cures() -> None:
    for call, text in (
        (
            lambda: nn.Linear(2, 1)(rustorch.ones((1, 2), dtype="float64")),
            "linear: the input is of float64 and the weight of float32; layers do not convert silently. Convert the "
            "input, as in "
            'x.float() (of a NumPy array: x.astype("float32")), or the model, as in model.double()',
        ),
        (
            lambda: nn.Linear(2, 1).double()(rustorch.ones((1, 2))),
            "linear: the input is of float32 and the weight of float64; layers do not convert silently. Convert the "
            "input, as in "
            'x.double() (of a NumPy array: x.astype("float64")), or the model, as in model.float()',
        ),
        (
            lambda: nn.Linear(2, 1)(rustorch.ones((1, 2), dtype="int64")),
            "linear: the input is of int64 and the weight of float32; layers do not convert silently. Convert the "
            "input, as in "
            'x.float() (of a NumPy array: x.astype("float32"))',
        ),
        (
            lambda: nn.Linear(2, 1)(rustorch.ones((1, 2), dtype="complex64")),
            "linear: the input is of complex64 and the weight of float32; layers do not convert silently. Convert the "
            "input, as in rustorch.real(x), or the model, as in model.to(rustorch.complex64)",
        ),
        (
            lambda: F.grid_sample(rustorch.ones((1, 1, 2, 2)), numpy.ones((1, 1, 1, 2)), align_corners=True),
            "grid_sample: the input is of float32 and the grid of float64; layers do not convert silently. Convert "
            "the grid, as in x.float()",
        ),
    ):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).split("\n")[0] == text


def test_both_cures_work() -> None:
    x, model = rustorch.ones((3, 2), dtype="float64"), nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    assert model(x.float()).dtype == rustorch.float32
    assert model(x.numpy().astype("float32")).dtype == rustorch.float32
    assert model.double()(x).dtype == rustorch.float64


def test_a_loader_of_float64_arrays_raises_and_names_the_cure() -> None:
    data = ArrayDataset(numpy.ones((4, 2)), numpy.ones((4, 1)))
    model = nn.Linear(2, 1)
    for x, y in DataLoader(data, batch_size=2):
        with pytest.raises(TypeError, match=r"x\.float\(\).*model\.double\(\)"):
            model(x)
        assert F.mse_loss(model(x.float()), y.float()).dtype == rustorch.float32


@pytest.mark.parametrize(
    "layer", [nn.LSTM(3, 4), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.MultiheadAttention(3, 1, dropout=0.5)]
)
def test_a_failed_call_changes_nothing(layer: nn.Module) -> None:
    before, state = (
        rustorch.get_rng_state().tolist(),
        {name: value.clone() for name, value in layer.state_dict().items()},
    )
    x = rustorch.ones((2, 3), dtype="float64" if state else "int64")
    with pytest.raises(TypeError):
        layer(*[x] * (3 if isinstance(layer, nn.MultiheadAttention) else 1))
    assert rustorch.get_rng_state().tolist() == before
    for name, value in layer.state_dict().items():
        numpy.testing.assert_array_equal(value.data, state[name].data)


@pytest.mark.parametrize("need_weights", [True, False])
def test_masks_are_of_bools_float32_or_the_querys_dtype(need_weights: bool, backend: Target) -> None:
    for dtype in ("float32", "float64"):
        layer = nn.MultiheadAttention(4, 2, device=backend.device, dtype=dtype)
        x = backend.variable(numpy.ones((3, 1, 4)), dtype)
        for kind in {"bool", "float32", dtype}:
            mask, padding = backend.variable(numpy.zeros((3, 3)), kind), backend.variable(numpy.zeros((1, 3)), kind)
            assert layer(x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=need_weights)[0].dtype == dtype
            assert F.scaled_dot_product_attention(x, x, x, mask[:1, :1]).dtype == dtype
    x, wide = backend.variable(numpy.ones((3, 1, 4)), "float32"), backend.variable(numpy.zeros((3, 3)))
    layer = nn.MultiheadAttention(4, 2, device=backend.device)
    with pytest.raises(
        TypeError, match=r"MultiheadAttention: the query is of float32 and the attn_mask of float64.*x\.float\(\)"
    ):
        layer(x, x, x, attn_mask=wide, need_weights=need_weights)
    with pytest.raises(TypeError, match=r"the query is of float32 and the key_padding_mask of float64.*x\.float\(\)"):
        layer(x, x, x, key_padding_mask=wide[:1], need_weights=need_weights)
    with pytest.raises(
        TypeError, match=r"scaled_dot_product_attention: the query is of float32 and the attn_mask of float64"
    ):
        F.scaled_dot_product_attention(x, x, x, wide[:1, :1])


def test_losses_promote_input_and_target_as_pytorch_does(backend: Target) -> None:
    f, g = _makers(backend, "float32", "float64")
    for function in (F.cosine_similarity, F.pairwise_distance):
        assert function(f(2, 3), g(2, 3)).dtype == rustorch.float64


# -- the dtype of a layer ----------------------------------------------------------------------------------------------
LAYERS: dict[str, tuple[Any, ...]] = {
    "Linear": (2, 2),
    "Bilinear": (2, 2, 2),
    "Conv1d": (2, 2, 1),
    "Conv2d": (2, 2, 1),
    "ConvTranspose2d": (2, 2, 1),
    "Embedding": (2, 2),
    "EmbeddingBag": (2, 2),
    "RNN": (2, 2),
    "LSTM": (2, 2),
    "GRU": (2, 2),
    "LSTMCell": (2, 2),
    "MultiheadAttention": (4, 2),
    "TransformerEncoderLayer": (4, 2, 8),
    "Transformer": (4, 2, 1, 1, 8),
    "LayerNorm": (2,),
    "RMSNorm": (2,),
    "GroupNorm": (1, 2),
    "BatchNorm1d": (2,),
    "InstanceNorm1d": (2,),
    "PReLU": (),
    "AdaptiveLogSoftmaxWithLoss": (4, 4, [2]),
    "ReLU": (),
    "Dropout": (),
    "MSELoss": (),
    "Softmax": (0,),
    "MaxPool1d": (2,),
    "ZeroPad1d": (1,),
    "Identity": (),
}
#: Layers without parameters, or layers that accept and ignore every argument.
WITHOUT = {"InstanceNorm1d", "ReLU", "Dropout", "MSELoss", "Softmax", "MaxPool1d", "ZeroPad1d", "Identity"}


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - {"Identity"}))
def test_layers_refuse_float16(name: str) -> None:
    for dtype in ("float16", numpy.float16):
        with pytest.raises(TypeError, match="float16"):
            getattr(nn, name)(*LAYERS[name], dtype=dtype)


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - WITHOUT))
def test_parameters_must_have_floating_point_dtypes(name: str) -> None:
    for dtype in ("int64", "bool"):
        with pytest.raises(
            RuntimeError, match=f"only floating-point and complex Variables can require gradients, this one is {dtype}"
        ):
            getattr(nn, name)(*LAYERS[name], dtype=dtype)


def test_a_model_is_not_converted_to_float16_or_integers() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for dtype in ("float16", "int64", "bool"):
        with pytest.raises(TypeError, match=dtype):
            model.to(dtype)
    assert {parameter.dtype.name for parameter in model.parameters()} == {"float32"}
