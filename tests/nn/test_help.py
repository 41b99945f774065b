"""What help() says of layers, losses, optimizers and loaders: of each method its own words, and arguments by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import rustorch
from rustorch import data, nn, optim

#: They only hold modules or parameters: whatever a program calls them with is refused.
CONTAINERS = {nn.Module, nn.ModuleDict, nn.ModuleList, nn.ParameterDict, nn.ParameterList}


def _classes(*modules: Any) -> Iterator[type]:
    for module in modules:
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isclass(found):
                yield found


LAYERS = [kind for kind in _classes(nn) if issubclass(kind, nn.Module) and kind not in CONTAINERS]


@pytest.mark.parametrize("kind", LAYERS)
def test_a_forward_says_what_it_computes_and_of_what(kind: type) -> None:
    documentation = inspect.getdoc(kind.forward)
    assert documentation and documentation != inspect.getdoc(nn.Module.forward)
    parameters = list(inspect.signature(kind.forward).parameters.values())
    assert len(parameters) > 1
    assert all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)


@pytest.mark.parametrize("kind", list(_classes(nn, optim, data, optim.lr_scheduler, optim.swa_utils)))
def test_every_public_method_is_documented(kind: type) -> None:
    assert inspect.getdoc(kind)
    for name in dir(kind):
        method = getattr(kind, name)
        if (
            name.startswith("_")
            or not callable(method)
            or not (getattr(method, "__module__", "") or "").startswith("rustorch")
        ):
            continue
        assert inspect.getdoc(method), f"{kind.__name__}.{name}"


def test_help_of_recurrent_layers_names_the_state() -> None:
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        documentation = inspect.getdoc(kind.forward) or ""
        for word in ("input : Variable", "hx : ", "Returns", "output : Variable", "batch_first", "PackedSequence"):
            assert word in documentation, word
    assert "(h_0, c_0)" in inspect.getdoc(rustorch.LSTM.forward)
    assert str(inspect.signature(rustorch.LSTM.forward)) == "(self, input: 'Any', hx: 'Any' = None) -> 'Any'"
