"""Module: its tree of parameters, buffers and children, its state, its device and dtype, and copies."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.reference import cases, load
from tests.support.target import Target


class Net(nn.Module):
    """A module with children, parameters and buffers, a parameter with two names and a layer with two names."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.scale = nn.Parameter(rustorch.ones(3, **options))
        self.first = nn.Linear(2, 3, **options)
        self.register_buffer("count", rustorch.zeros((), **options))
        self.register_buffer("scratch", rustorch.zeros(2, **options), persistent=False)
        self.inner = nn.Sequential(nn.Linear(3, 3, bias=False, **options), nn.Tanh())
        self.again = self.first
        self.tied = self.scale

    def forward(self, x: Any) -> Any:
        return self.inner(self.first(x)) * self.scale


def _values(module: nn.Module) -> dict[str, Any]:
    return {name: value.tolist() for name, value in module.state_dict().items()}


# -- the tree ----------------------------------------------------------------------------------------------------------
def test_parameters_come_in_order_and_once() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias", "inner.0.weight"]
    assert [id(p) for p in net.parameters()] == [
        id(p) for p in (net.scale, net.first.weight, net.first.bias, net.inner[0].weight)
    ]
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in net.named_parameters(prefix="net")][1] == "net.first.weight"
    assert next(net.parameters(recurse=False)) is net.scale


def test_buffers_children_and_modules_come_in_order_and_once() -> None:
    net = Net()
    assert [name for name, _ in net.named_buffers()] == ["count", "scratch"]
    assert list(map(id, net.buffers())) == [id(net.count), id(net.scratch)]
    assert [name for name, _ in net.named_children()] == ["first", "inner"]
    assert list(map(id, net.children())) == [id(net.first), id(net.inner)]
    assert [name for name, _ in net.named_modules()] == ["", "first", "inner", "inner.0", "inner.1"]
    assert next(net.modules()) is net


def test_apply_calls_children_before_their_parent() -> None:
    net, names = Net(), []
    assert net.apply(lambda module: names.append(type(module).__name__)) is net
    assert names == ["Linear", "Linear", "Tanh", "Sequential", "Net"]


def test_train_and_eval_set_all_modules_below() -> None:
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())
    net.inner.train(False)
    assert net.training
    assert not net.inner[0].training


def test_zero_grad_removes_all_gradients_or_fills_them_with_zeros(backend: Target) -> None:
    net = Net(device=backend.device)
    net(backend.variable([[1.0, 2.0]], "float32")).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    for p in net.parameters():
        numpy.testing.assert_array_equal(backend.numpy(p.grad), numpy.zeros(p.shape))
        assert rustorch.Variable(p.grad).device == backend.device
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_requires_grad_sets_all_parameters() -> None:
    net = Net()
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(rustorch.ones((1, 2))).requires_grad


# -- attributes --------------------------------------------------------------------------------------------------------
def test_an_attribute_is_registered_when_it_becomes_a_parameter_or_module() -> None:
    net = nn.Module()
    net.x = 1
    net.x = nn.Parameter(rustorch.ones(2))
    assert list(dict(net.named_parameters())) == ["x"]
    net.x = None
    assert net.x is None
    assert list(net.parameters()) == []
    net.x = nn.Parameter(rustorch.ones(3))
    assert next(net.parameters()).shape == (3,)
    del net.x
    assert not hasattr(net, "x")
    net.x = nn.Linear(1, 1)
    assert list(dict(net.named_children())) == ["x"]
    net.plain = rustorch.ones(2)
    assert list(net.buffers()) == []


def test_assigning_to_a_buffer_keeps_it_a_buffer() -> None:
    net = Net()
    net.count = numpy.float32(3.0) * numpy.ones((), "float32")
    assert isinstance(net.count, rustorch.Variable)
    assert net.state_dict()["count"].item() == 3.0
    net.count = None
    assert "count" not in net.state_dict()


def test_a_replaced_parameter_is_named_once() -> None:
    net = Net()
    net.scale = nn.Parameter(rustorch.zeros(3))
    assert [name for name, _ in net.named_parameters()].count("scale") == 1
    assert net.state_dict()["scale"].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda net: setattr(net, "scale", rustorch.ones(3)),
            TypeError,
            "'scale' holds a Parameter; assign one or None, not Variable",
        ),
        (lambda net: setattr(net, "first", 3), TypeError, "'first' holds a Module; assign one or None, not int"),
        (lambda net: net.register_parameter("p", rustorch.ones(2)), TypeError, "parameter 'p' is a Parameter or None"),
        (lambda net: net.add_module("m", rustorch.tanh), TypeError, "module 'm' is a Module or None"),
        (lambda net: net.register_buffer("first", rustorch.ones(2)), KeyError, "has an attribute 'first' already"),
        (lambda net: net.register_parameter("forward", None), KeyError, "has an attribute 'forward' already"),
        (lambda net: net.register_buffer("a.b", rustorch.ones(2)), KeyError, "with no dot in it, not 'a.b'"),
        (lambda net: net.add_module("", nn.Tanh()), KeyError, "a name is a string"),
    ],
)
def test_bad_attributes_raise_and_change_nothing(change: Any, error: type[Exception], message: str) -> None:
    net = Net()
    before, names = _values(net), set(vars(net))
    with pytest.raises(error, match=message):
        change(net)
    assert _values(net) == before
    assert set(vars(net)) == names


def test_assigning_before_init_raises_and_names_the_missing_call() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) in Early before assigning 'layer'"):
        Early()


def test_calling_a_module_without_forward_raises() -> None:
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        nn.Module()(1)


# -- state -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", cases.ARCHITECTURES)
def test_repr_and_state_names_equal_pytorchs(name: str) -> None:
    model = cases.ARCHITECTURES[name](nn)
    assert repr(model) == load("architectures")[name]["repr"]
    state = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert list(state.items()) == list(load("architectures")[name]["state"].items())


def test_the_state_has_shared_parameters_under_each_name_and_no_buffer_that_is_not_persistent() -> None:
    state = Net().state_dict()
    assert list(state) == [
        "scale",
        "tied",
        "count",
        "first.weight",
        "first.bias",
        "inner.0.weight",
        "again.weight",
        "again.bias",
    ]
    assert next(iter(Net().state_dict(prefix="net."))) == "net.scale"


def test_the_state_is_detached_and_shares_memory(backend: Target) -> None:
    net = Net(device=backend.device)
    state = net.state_dict()
    assert not any(value.requires_grad for value in state.values())
    assert state["scale"].data is net.scale.data


def test_loading_copies_values_and_keeps_device_and_dtype(backend: Target) -> None:
    net = Net(device=backend.device, dtype=rustorch.float64)
    parameters = list(net.parameters())
    donor = Net()  # on the host, in float32
    donor.scale.data = numpy.array([1.0, 2.0, 3.0], dtype="float32")
    donor.count = rustorch.asarray(7.0)
    state = donor.state_dict() | {"tied": donor.scale.data}
    assert net.load_state_dict(state) == ([], [])
    assert list(map(id, net.parameters())) == list(map(id, parameters))
    assert _values(net) == {key: rustorch.Variable(value).tolist() for key, value in state.items()}
    for value in (*net.parameters(), net.count):
        assert (value.device, value.dtype) == (backend.device, rustorch.float64)
    with rustorch.no_grad():
        donor.scale[...] = 0.0
    assert net.scale.tolist() == [1.0, 2.0, 3.0]


def test_a_state_of_pytorch_loads(backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to make a state")
    theirs, ours = cases.ARCHITECTURES["mlp"](torch.nn), cases.ARCHITECTURES["mlp"](nn).to(backend.device)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    x = cases.numbers((2, 4))
    expected = theirs(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    # float32: sums of eight products in another order
    numpy.testing.assert_allclose(backend.numpy(ours(backend.variable(x, "float32"))), expected, rtol=1e-5, atol=1e-6)


def test_loading_lists_all_errors_and_then_loads_nothing(backend: Target) -> None:
    net = Net(device=backend.device)
    before = _values(net)
    state = {name: value + 1 for name, value in net.state_dict().items()}
    del state["count"], state["again.bias"]
    state["first.weight"] = rustorch.ones((3, 5))
    state["scale"] = rustorch.ones(4)
    state["surplus"] = rustorch.ones(1)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value).splitlines() == [
        "load_state_dict: nothing was loaded into Net:",
        "  missing: count",
        "  missing: again.bias",
        "  unexpected: surplus",
        "  shape of scale: (4,) given, (3,) needed",
        "  shape of first.weight: (3, 5) given, (3, 2) needed",
    ]
    assert _values(net) == before


def test_without_strict_names_may_differ_but_shapes_may_not() -> None:
    net = Net()
    keys = net.load_state_dict({"scale": numpy.array([4.0, 5.0, 6.0]), "surplus": numpy.ones(2)}, strict=False)
    assert keys.missing_keys == [
        "tied",
        "count",
        "first.weight",
        "first.bias",
        "inner.0.weight",
        "again.weight",
        "again.bias",
    ]
    assert keys.unexpected_keys == ["surplus"]
    assert net.scale.tolist() == [4.0, 5.0, 6.0]
    before = _values(net)
    with pytest.raises(
        RuntimeError, match=r"nothing was loaded into Net:\n  shape of first.bias: \(2,\) given, \(3,\) needed$"
    ):
        net.load_state_dict({"scale": numpy.zeros(3), "first.bias": numpy.ones(2)}, strict=False)
    assert _values(net) == before


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ([("scale", 1)], TypeError, "load_state_dict takes a dict of arrays by name, not list"),
        ({"scale": numpy.ones(3) * 1j}, RuntimeError, "dtype of scale: complex128 given, float32 needed"),
    ],
)
def test_a_bad_state_raises_and_loads_nothing(state: Any, error: type[Exception], message: str) -> None:
    net = Net()
    before = _values(net)
    with pytest.raises(error, match=message):
        net.load_state_dict(state, strict=False)
    assert _values(net) == before


# -- devices and dtypes -----------------------------------------------------------------------------------------------
def test_to_moves_parameters_buffers_and_gradients_but_keeps_the_objects(backend: Target) -> None:
    net = Net()
    net(rustorch.ones((1, 2))).sum().backward()
    parameters, before = list(net.parameters()), _values(net)
    gradients = [rustorch.Variable(p.grad).tolist() for p in parameters]
    assert net.to(backend.device) is net
    assert list(map(id, net.parameters())) == list(map(id, parameters))
    assert net.tied is net.scale
    assert _values(net) == before
    for value in (*net.parameters(), *net.buffers()):
        assert value.device == backend.device
    assert [rustorch.Variable(p.grad).tolist() for p in net.parameters()] == gradients
    assert {rustorch.Variable(p.grad).device for p in net.parameters()} == {backend.device}
    assert all(p.is_leaf and p.requires_grad for p in net.parameters())
    net(backend.variable([[1.0, 2.0]], "float32")).sum().backward()
    assert {value.device for value in (*net.cpu().parameters(), *net.buffers())} == {"cpu"}
    assert _values(net) == before


def test_to_converts_floating_point_values_only(backend: Target) -> None:
    net = Net(device=backend.device)
    net.register_buffer("steps", rustorch.zeros((), dtype=rustorch.int64, device=backend.device))
    for convert, dtype in (
        (lambda: net.to(rustorch.float64), rustorch.float64),
        (lambda: net.to(dtype="float32"), rustorch.float32),
        (lambda: net.double(), rustorch.float64),
        (lambda: net.float(), rustorch.float32),
        (lambda: net.to("float64"), rustorch.float64),
    ):
        assert convert() is net
        assert {p.dtype for p in net.parameters()} == {dtype}
        assert net.count.dtype == dtype
        assert net.steps.dtype == rustorch.int64
        assert {p.device for p in net.parameters()} == {backend.device}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dtype": rustorch.int32}, TypeError, "converts parameters to floating-point dtypes, not to int32"),
        ({"device": "nowhere"}, ValueError, "unknown device 'nowhere'"),
        ({"device": "cpu:3"}, ValueError, "unknown device 'cpu:3'"),
    ],
)
def test_a_bad_device_or_dtype_raises_and_moves_nothing(arguments: dict, error: type[Exception], message: str) -> None:
    net = Net()
    arrays = [id(value.data) for value in (*net.parameters(), *net.buffers())]
    with pytest.raises(error, match=message):
        net.to(**arguments)
    assert [id(value.data) for value in (*net.parameters(), *net.buffers())] == arrays


# -- copies ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"]
)
def test_a_copy_has_equal_values_and_shares_nothing(copied: Any) -> None:
    net = Net()
    clone = copied(net)
    assert _values(clone) == _values(net)
    assert repr(clone) == repr(net)
    assert clone.tied is clone.scale
    assert clone.again is clone.first
    assert not {id(p) for p in net.parameters()} & {id(p) for p in clone.parameters()}
    assert all(type(p) is nn.Parameter and p.requires_grad for p in clone.parameters())
    assert "scratch" not in clone.state_dict()
    before = _values(net)
    with rustorch.no_grad():
        for p in clone.parameters():
            p[...] = 0.0
    assert _values(net) == before
    clone(rustorch.ones((1, 2))).sum().backward()
    assert all(p.grad is None for p in net.parameters())


def test_a_deep_copy_stays_on_the_device(backend: Target) -> None:
    net = Net(device=backend.device)
    clone = copy.deepcopy(net)
    assert {p.device for p in clone.parameters()} == {backend.device}
    assert _values(clone) == _values(net)


def test_a_module_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        net = Net()
        net(rustorch.ones((1, 2))).sum().backward()
        reference = weakref.ref(net)
        del net
        assert reference() is None
    finally:
        gc.enable()


def test_shared_modules_come_under_each_name_without_remove_duplicate() -> None:
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, shared)
    assert [name for name, _ in model.named_modules()] == ["", "0"]
    assert [name for name, _ in model.named_modules(remove_duplicate=False)] == ["", "0", "1"]
    assert len(list(model.modules())) == 2 and len(list(model.modules(remove_duplicate=False))) == 3
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    names = ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert [name for name, _ in model.named_parameters(remove_duplicate=False)] == names
    norms = nn.Sequential(*[nn.BatchNorm1d(1)] * 2)
    assert len(list(norms.named_buffers(remove_duplicate=False))) == 2 * len(list(norms.named_buffers()))
    state = model.state_dict(keep_vars=True)
    assert list(state) == names and state["1.bias"] is shared.bias
