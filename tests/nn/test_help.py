"""What help() and an editor show of the ``forward`` of layers and losses: shapes, arguments and types."""

from __future__ import annotations

import inspect
import re

import pytest

from rustorch import nn

#: Containers that cannot be called.
CONTAINERS = {nn.Module, nn.ModuleDict, nn.ModuleList, nn.ParameterDict, nn.ParameterList}
LAYERS = [
    value
    for name in nn.__all__
    if inspect.isclass(value := getattr(nn, name)) and issubclass(value, nn.Module) and value not in CONTAINERS
]
#: The arguments that can be anything.
ANYTHING = {(nn.Sequential, "input"): "what the first module takes"}
#: The names of the inputs, and behind the arrow the shape of the output: "input, target: (N, C) -> ()".
SHAPES = re.compile(r"\w+(, \w+)*: .* -> ")


def _parameters(layer: type[nn.Module]) -> list[inspect.Parameter]:
    return list(inspect.signature(layer.forward).parameters.values())[1:]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_forward_names_its_arguments(layer: type[nn.Module]) -> None:
    parameters = _parameters(layer)
    assert parameters
    assert all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_docstring_of_a_forward_begins_with_shapes(layer: type[nn.Module]) -> None:
    docstring = inspect.getdoc(layer.forward) or ""
    assert docstring != inspect.getdoc(nn.Module.forward)
    shapes = docstring.splitlines()[0]
    assert SHAPES.match(shapes), shapes
    assert shapes.startswith(_parameters(layer)[0].name), shapes


@pytest.mark.parametrize("layer", LAYERS)
def test_a_forward_has_types(layer: type[nn.Module]) -> None:
    types = {parameter.name: parameter.annotation for parameter in _parameters(layer)}
    untyped = [name for name, kind in types.items() if kind in (inspect.Parameter.empty, "Any")]
    assert [name for name in untyped if (layer, name) not in ANYTHING] == []
    assert "Variable" in layer.forward.__annotations__["return"] or layer is nn.AdaptiveLogSoftmaxWithLoss


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_help_of_recurrent_layers_describes_input_output_and_state(layer: type[nn.Module]) -> None:
    docstring = inspect.getdoc(layer.forward) or ""
    for words in ("input : Variable", "hx : ", "Returns", "output : Variable", "batch_first", "PackedSequence"):
        assert words in docstring, words


def test_help_of_lstm_names_both_states() -> None:
    assert "(h_0, c_0)" in (inspect.getdoc(nn.LSTM.forward) or "")
    assert str(inspect.signature(nn.LSTM.forward)) == (
        "(self, input: 'ArrayLike | PackedSequence', hx: 'tuple[ArrayLike, ArrayLike] | None' = None) -> "
        "'tuple[Variable | Any, tuple[Variable, Variable]]'"
    )
