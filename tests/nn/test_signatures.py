"""Layers and functionals take PyTorch's arguments: the same names, in the same order, with the same defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from rustorch import nn

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")

#: Names whose arguments are not compared, and why.
EXCEPT = {
    "RNN": "PyTorch's takes *args",
    "LSTM": "PyTorch's takes *args",
    "GRU": "PyTorch's takes *args",
    "Module": "takes no arguments here",
    "Sequential": "takes any number of modules",
    "Parameter": "is written in C++",
    "Buffer": "PyTorch's takes *args",
    "multi_head_attention_forward": "has batch_first, and neither static_k nor static_v",
}


def _arguments(function: Any) -> list[tuple[str, Any]] | None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # a function written in C++
        return None
    arguments = [
        (p.name, p.default) for p in signature.parameters.values() if p.name not in ("self", "device", "dtype")
    ]
    return [
        (name, default.__name__ if callable(default) and default is not inspect.Parameter.empty else default)
        for name, default in arguments
        if name not in ("args", "kwargs")
    ]


CLASSES = [name for name in nn.__all__ if isinstance(getattr(torch.nn, name, None), type) and name not in EXCEPT]
FUNCTIONS = [name for name in nn.functional.__all__ if hasattr(torch.nn.functional, name) and name not in EXCEPT]


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_takes_pytorchs_arguments(name: str) -> None:
    assert _arguments(getattr(nn, name).__init__) == _arguments(getattr(torch.nn, name).__init__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_pytorchs_arguments(name: str) -> None:
    theirs = getattr(torch.nn.functional, name)
    expected = _arguments(theirs)
    dispatched = expected == [] and hasattr(theirs, "__wrapped__")
    if expected is None or dispatched or list(inspect.signature(theirs).parameters) == ["args", "kwargs"]:
        pytest.skip("PyTorch's function has no signature to compare with")
    assert _arguments(getattr(nn.functional, name)) == expected
