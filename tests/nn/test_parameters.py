"""ParameterList and ParameterDict: what becomes a parameter, reading, changing, repr and state."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

import rustorch
from rustorch import nn


def test_a_list_turns_variables_into_parameters_and_keeps_other_objects() -> None:
    parameter = nn.Parameter(rustorch.ones(2))
    values = nn.ParameterList([parameter, rustorch.ones(3), "text"])
    assert values[0] is parameter
    assert isinstance(values[1], nn.Parameter)
    assert values[1].requires_grad
    assert values[-1] == "text"
    assert len(values) == 3
    assert list(values) == [values[0], values[1], "text"]
    assert [name for name, _ in values.named_parameters()] == ["0", "1"]
    part = values[::2]
    assert type(part) is nn.ParameterList
    assert list(part) == [parameter, "text"]
    values[1] = nn.Parameter(rustorch.zeros(1))
    assert values.state_dict()["1"].tolist() == [0.0]
    assert values.append(rustorch.ones(1)) is values
    values += [rustorch.ones(1), 5]
    assert [name for name, _ in values.named_parameters()] == ["0", "1", "3", "4"]


def test_a_dict_turns_variables_into_parameters_and_keeps_other_objects() -> None:
    values = nn.ParameterDict({"b": rustorch.ones(2), "a": nn.Parameter(rustorch.ones(3)), "c": 3})
    assert list(values) == ["a", "b", "c"]  # a plain dict is sorted
    assert list(nn.ParameterDict(OrderedDict(b=values["b"], a=values["a"]))) == ["b", "a"]
    assert list(nn.ParameterDict([("b", values["b"]), ("a", 1)])) == ["b", "a"]
    assert list(reversed(values)) == ["c", "b", "a"]
    assert isinstance(values["b"], nn.Parameter)
    assert [name for name, _ in values.named_parameters()] == ["a", "b"]
    assert list(values.keys()) == ["a", "b", "c"]
    assert values.get("x") is None
    assert values.get("c", 4) == 3
    assert values.setdefault("c", 4) == 3
    assert values.setdefault("d", 4) == 4
    assert values.pop("d") == 4
    assert values.popitem() == ("c", 3)
    assert "c" not in values
    clone = values.copy()
    assert clone["a"] is values["a"]
    both = values | {"z": rustorch.ones(1)}
    assert list(both) == ["a", "b", "z"]
    values |= {"z": rustorch.ones(1)}
    assert len(values) == 3
    assert [key for key, _ in values.items()] == list(values)
    assert len(list(values.values())) == 3
    del values["a"]
    assert "a" not in values.state_dict()
    values.clear()
    assert len(values) == 0
    assert list(nn.ParameterDict.fromkeys(["x", "y"], 1).items()) == [("x", 1), ("y", 1)]


def test_repr_and_state_names_equal_pytorchs_except_for_dtype_names() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to compare with")

    def build(nn: Any, Variable: Any) -> list[Any]:
        one, two = nn.Linear(2, 3).weight, nn.Linear(2, 1).bias
        net = nn.Module()
        net.list = nn.ParameterList([one, two, "x"])
        net.dict = nn.ParameterDict({"b": one, "a": two})
        return [net.list, net.dict, nn.ParameterList([one]), net]

    for ours, theirs in zip(build(nn, rustorch.Variable), build(torch.nn, torch.Tensor), strict=True):
        text = repr(theirs).replace("torch.FloatTensor", "float32").replace("torch.float32", "float32")
        assert repr(ours) == text
        assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.ParameterList(rustorch.ones(2)), TypeError, "takes an iterable of values, not Variable"),
        (lambda: nn.ParameterList(3), TypeError, "takes an iterable of values, not int"),
        (lambda: nn.ParameterList([1])[1], IndexError, "has 1 values; there is none at 1"),
        (lambda: nn.ParameterList([1]).__setitem__(-2, 1), IndexError, "there is none at -2"),
        (lambda: nn.ParameterList()(1), RuntimeError, "ParameterList cannot be called"),
        (lambda: nn.ParameterDict()(1), RuntimeError, "ParameterDict cannot be called"),
        (lambda: nn.ParameterDict({"a.b": 1}), KeyError, "a string with no dot in it"),
        (lambda: nn.ParameterDict([(1, 2)]), KeyError, "a string with no dot in it"),
        (lambda: nn.ParameterDict({"keys": 1}), KeyError, "has an attribute 'keys' already"),
        (lambda: nn.ParameterDict({"training": 1}), KeyError, "has an attribute 'training' already"),
        (lambda: nn.ParameterDict()["x"], KeyError, "x"),
        (lambda: nn.ParameterDict().pop("x"), KeyError, "x"),
        (lambda: nn.ParameterDict().popitem(), KeyError, "empty"),
    ],
)
def test_bad_use_raises(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
