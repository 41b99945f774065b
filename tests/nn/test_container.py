"""Sequential, ModuleList and ModuleDict."""

from __future__ import annotations

from typing import Any

import pytest

import rustorch
from rustorch import nn
from tests.support.target import Target


def _layers(n: int = 3) -> list[nn.Linear]:
    return [nn.Linear(2, 2) for _ in range(n)]


def test_sequential_calls_each_module_with_the_output_before(backend: Target) -> None:
    first, second = (nn.Linear(2, 2, device=backend.device) for _ in range(2))
    x = backend.variable([[1.0, -2.0]], "float32")
    out = nn.Sequential(first, nn.Tanh(), second)(x)
    assert out.tolist() == second(rustorch.tanh(first(x))).tolist()
    assert nn.Sequential()(x) is x


def test_sequential_takes_a_dict_of_names() -> None:
    model = nn.Sequential({"hidden": nn.Linear(2, 3), "act": nn.ReLU(), "out": nn.Linear(3, 1)})
    assert list(model.state_dict()) == ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]
    assert model[0] is model.hidden
    assert model[-1] is model.out
    assert model(rustorch.ones((1, 2))).shape == (1, 1)
    del model[1]
    assert [name for name, _ in model.named_children()] == ["hidden", "out"]
    model[0] = nn.Tanh()
    assert repr(model.hidden) == "Tanh()"


def test_a_slice_of_a_sequential_keeps_the_names() -> None:
    model = nn.Sequential(*[nn.Linear(1, n) for n in (1, 2, 3, 4)])
    part = model[1:]
    assert list(part.state_dict()) == ["1.weight", "1.bias", "2.weight", "2.bias", "3.weight", "3.bias"]
    assert part[0] is model[1]
    assert part[-1] is model[3]
    assert list(part[1:].state_dict()) == ["2.weight", "2.bias", "3.weight", "3.bias"]
    assert [name for name, _ in nn.Sequential({"a": nn.ReLU(), "b": nn.Tanh()})[1:].named_children()] == ["b"]
    other = nn.Linear(1, 9)
    part[0] = other
    assert part[0] is other
    part.append(model[1])  # it gets a new name, so that no module of the slice is replaced
    assert [name for name, _ in part.named_children()] == ["1", "2", "3", "4"]
    del part[-1], part[0]
    assert [(name, child.out_features) for name, child in part.named_children()] == [("0", 3), ("1", 4)]


@pytest.mark.parametrize("make", [lambda layers: nn.Sequential(*layers), nn.ModuleList])
class TestLists:
    def test_modules_are_read_by_index_and_slice(self, make: Any) -> None:
        layers = _layers()
        model = make(layers)
        assert len(model) == 3
        assert list(model) == layers
        assert model[0] is layers[0]
        assert model[-1] is layers[2]
        assert type(model[1:]) is type(model)
        assert list(model[1:]) == layers[1:]
        # as in PyTorch, a slice of a Sequential keeps the names
        second = "2" if isinstance(model, nn.Sequential) else "1"
        assert list(model[::2].state_dict()) == ["0.weight", "0.bias", f"{second}.weight", f"{second}.bias"]

    def test_modules_are_replaced_and_deleted(self, make: Any) -> None:
        layers, other = _layers(), nn.Linear(2, 2, bias=False)
        model = make(layers)
        model[1] = other
        assert list(model) == [layers[0], other, layers[2]]
        model[-1] = layers[1]
        assert list(model) == [layers[0], other, layers[1]]
        del model[0]
        assert list(model) == [other, layers[1]]
        assert list(model.state_dict()) == ["0.weight", "1.weight", "1.bias"]
        del model[0:1]
        assert list(model) == [layers[1]]
        del model[-1]
        assert len(model) == 0

    def test_modules_are_appended_inserted_and_extended(self, make: Any) -> None:
        layers = _layers(4)
        model = make(layers[:1])
        assert model.append(layers[3]) is model
        assert model.insert(1, layers[1]) is model
        assert model.extend(layers[2:3]) is model
        assert list(model) == [layers[0], layers[1], layers[3], layers[2]]
        assert [name for name, _ in model.named_children()] == ["0", "1", "2", "3"]

    def test_a_list_can_be_extended_by_itself(self, make: Any) -> None:
        model = make(_layers(2))
        model.extend(model)
        assert len(model) == 4
        assert len(list(model.parameters())) == 4  # two layers, under two names each

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (lambda m: m[3], IndexError, "has 3 modules; there is none at 3"),
            (lambda m: m[-4], IndexError, "has 3 modules; there is none at -4"),
            (lambda m: m.__setitem__(3, nn.Tanh()), IndexError, "has 3 modules; there is none at 3"),
            (lambda m: m.__delitem__(3), IndexError, "has 3 modules; there is none at 3"),
            (lambda m: m["0"], TypeError, "str"),
            (lambda m: m.append(3), TypeError, "Module"),
            (lambda m: m.insert(0, "x"), TypeError, "holds Modules, not str"),
            (lambda m: m.__setitem__(0, 3), TypeError, "Module"),
        ],
    )
    def test_bad_positions_and_members_raise(
        self, make: Any, change: Any, error: type[Exception], message: str
    ) -> None:
        layers = _layers()
        model = make(layers)
        with pytest.raises(error, match=message):
            change(model)
        assert list(model) == layers


def test_a_module_list_is_concatenated_but_cannot_be_called() -> None:
    layers = _layers()
    both = nn.ModuleList(layers[:1]) + nn.ModuleList(layers[1:])
    assert list(both) == layers
    assert list(nn.ModuleList()) == []
    with pytest.raises(NotImplementedError, match="ModuleList defines no forward"):
        both(1)


@pytest.mark.parametrize("members", [(1,), (nn.Tanh(), "x"), ([nn.Tanh()],)])
def test_sequential_refuses_what_is_not_a_module(members: tuple) -> None:
    with pytest.raises(TypeError, match="Module"):
        nn.Sequential(*members)


def test_the_repr_of_a_list_equals_pytorchs() -> None:
    torch = pytest.importorskip("torch")

    def build(nn: Any) -> Any:
        block = [nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(2)]
        return nn.ModuleList([nn.Linear(2, 3), nn.Linear(2, 3), nn.ReLU(), *block, nn.ModuleList()])

    assert repr(build(rustorch.nn)) == repr(build(torch.nn))


def test_pop_removes_a_module_from_a_list() -> None:
    layers = _layers()
    for model in (nn.Sequential(*layers), nn.ModuleList(layers)):
        assert model.pop(1) is layers[1]
        assert list(model) == [layers[0], layers[2]]
        assert [name for name, _ in model.named_children()] == ["0", "1"]
        with pytest.raises(IndexError, match="there is none at 2"):
            model.pop(2)


def test_sequentials_are_concatenated_and_repeated() -> None:
    layers = _layers()
    model = nn.Sequential(*layers[:1]) + nn.Sequential(*layers[1:])
    assert type(model) is nn.Sequential
    assert list(model) == layers
    model += [layers[0]]
    assert list(model) == [*layers, layers[0]]
    assert list(nn.Sequential(*layers) * 2) == list(2 * nn.Sequential(*layers)) == layers * 2
    model = nn.Sequential(layers[0])
    model *= 3
    assert list(model) == [layers[0]] * 3
    with pytest.raises(ValueError, match="a positive number of times, not 0"):
        model * 0
    with pytest.raises(TypeError, match="Sequential holds Modules, not int"):
        model += [layers[1], 3]
    assert len(model) == 3
    several = nn.ModuleList(layers[:1])
    several += layers[1:]
    assert list(several) == layers


def test_a_module_dict_behaves_as_a_dict() -> None:
    a, b, c = _layers()
    model = nn.ModuleDict({"b": b, "a": a})
    assert list(model) == list(model.keys()) == ["b", "a"]
    assert list(model.values()) == [b, a]
    assert list(model.items()) == [("b", b), ("a", a)]
    assert "a" in model
    assert model["a"] is a
    model["c"] = c
    model.update([("a", b)])
    assert model["a"] is b
    model.update(nn.ModuleDict({"d": a}))
    assert len(model) == 4
    assert model.pop("d") is a
    del model["c"]
    assert list(model) == ["b", "a"]
    for call, error, message in (
        (lambda: model["x"], KeyError, "x"),
        (lambda: model.pop("x"), KeyError, "x"),
        (lambda: model.__delitem__("x"), KeyError, "x"),
        (lambda: model.__setitem__("x", 3), TypeError, "module 'x' is a Module or None, not int"),
        (lambda: model.__setitem__("x.y", a), KeyError, "no dot in it"),
        (lambda: model.__setitem__("keys", a), KeyError, "has an attribute 'keys' already"),
        (lambda: model(1), NotImplementedError, "ModuleDict defines no forward"),
    ):
        with pytest.raises(error, match=message):
            call()
    model.clear()
    assert len(model) == 0
