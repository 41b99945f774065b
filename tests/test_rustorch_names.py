"""Programs in the manner of RusTorch's bindings, on every backend, and each of the names that are kept for them."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import rustorch
from rustorch import rustorch_names
from tests.support.target import Target

#: Prints what a program of theirs looks at, and checks it.
FITTING = """
import rustorch

features = rustorch.Variable(rustorch.Tensor([0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [3, 2]), requires_grad=False)
labels = rustorch.Variable.from_tensor(rustorch.tensor([[1.0], [0.0], [1.0]]), requires_grad=False)
assert isinstance(features, rustorch.Tensor) and isinstance(labels, rustorch.Variable)

hidden = rustorch.Linear(2, 8, True)
out = rustorch.Linear(hidden.output_size, 1, bias=True)
print(f"{hidden}: {hidden.input_size} -> {hidden.output_size} -> {out.output_size}")

weights = [hidden.weight, hidden.bias, out.weight, out.bias]
print(f"numbers to learn: {sum(weight.numel for weight in weights)}")
first = rustorch.SGD(weights, 0.1, 0.0)
second = rustorch.Adam(weights, lr=0.01, betas=(0.8, 0.95), eps=1e-7, weight_decay=0.0, amsgrad=False)
print(f"SGD {first.learning_rate}; Adam {second.learning_rate} {second.beta1} {second.beta2} {second.eps}", end=" ")
print(second.weight_decay)

criterion, relu, sigmoid = rustorch.MSELoss(), rustorch.ReLU(), rustorch.Sigmoid()
for optimizer in (first, second):
    for epoch in range(5):
        optimizer.zero_grad()
        loss = criterion(sigmoid(out(relu(hidden(features)))), labels)
        loss.backward()
        optimizer.step()
        print(f"loss {loss.item():.6f} of shape {tuple(loss.data.shape)}")
    if hasattr(optimizer, "step_count"):
        print(f"steps: {optimizer.step_count}")

second.set_lr(0.005)
print(f"afterwards: {second.learning_rate}")
"""

LAYERS = """
import rustorch

image = rustorch.Variable(rustorch.Tensor([float(i) for i in range(2 * 3 * 4 * 4)], [2, 3, 4, 4]), requires_grad=False)
conv = rustorch.Conv2d(in_channels=3, out_channels=4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=True)
norm = rustorch.BatchNorm2d(4, 1e-5, 0.1, True)
pool = rustorch.MaxPool2d((2, 2), (2, 2), (0, 0))
flatten = rustorch.Flatten(1, -1)
drop = rustorch.Dropout(0.5, False)
dense = rustorch.Linear(16, 3, True)
for layer in (norm, drop):
    layer.train()
scores = dense(drop(flatten(pool(norm(conv(image))))))
for layer in (norm, drop):
    layer.eval()
shapes = f"{tuple(image.data.shape)} to {tuple(scores.data.shape)}"
print(f"{shapes}; kernel {conv.kernel_size}, {norm.num_features} features, dropout {drop.p}")
loss = rustorch.CrossEntropyLoss()(scores, rustorch.tensor([0, 2]))
loss.backward()
print(f"loss {loss.numel} number; gradient of shape {tuple(dense.weight.grad.shape)}")
"""

GRADIENTS = """
import rustorch

zeros, ones = rustorch.zeros([2, 3]), rustorch.ones([2, 3])
print(f"{zeros.shape} {zeros.ndim} {zeros.numel} {(zeros + ones * ones).numel}")
with rustorch.no_grad():
    inside = rustorch.Variable(ones, requires_grad=True)
x = rustorch.Variable(rustorch.tensor([2.0]), requires_grad=True)
print(f"gradient {rustorch.grad([x * x], [x], retain_graph=False, create_graph=False)[0].tolist()}")
y = x.clone()
y.retain_grad()
y.register_hook(lambda gradient: gradient * 2)
(y * 3.0).sum().backward()
print(f"{y.detach().requires_grad} {x.grad is not None}")
x.zero_grad()
print(x.grad)
try:
    rustorch.Tensor([], [2, 3])
except ValueError as error:
    print(f"refused: {error}")
"""


def _printed(program: str, backend: Target, capsys: pytest.CaptureFixture[str]) -> list[str]:
    rustorch.manual_seed(0)
    with rustorch.set_default_device(backend.device):
        exec(program, {})
    return capsys.readouterr().out.splitlines()


# -- programs ----------------------------------------------------------------------------------------------------------
def test_a_training_with_the_names_of_the_bindings(backend: Target, capsys: pytest.CaptureFixture[str]) -> None:
    lines = _printed(FITTING, backend, capsys)
    assert lines[:3] == [
        "Linear(in_features=2, out_features=8, bias=True): 2 -> 8 -> 1",
        "numbers to learn: 33",
        "SGD 0.1; Adam 0.01 0.8 0.95 1e-07 0.0",
    ]
    losses = [float(found[1]) for line in lines if (found := re.match(r"loss ([0-9.]+) of shape \(\)", line))]
    assert len(losses) == 10
    assert losses[-1] < losses[0]
    assert lines[-2:] == ["steps: 5", "afterwards: 0.005"]


def test_the_layers_of_the_bindings(backend: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert _printed(LAYERS, backend, capsys) == [
        "(2, 3, 4, 4) to (2, 3); kernel (3, 3), 4 features, dropout 0.5",
        "loss 1 number; gradient of shape (3, 16)",
    ]


def test_gradients_with_the_names_of_the_bindings(backend: Target, capsys: pytest.CaptureFixture[str]) -> None:
    *lines, refused = _printed(GRADIENTS, backend, capsys)
    assert lines == ["(2, 3) 2 6 6", "gradient [4.0]", "False True", "None"]
    assert refused.startswith("refused: Tensor(data, shape): the shape (2, 3) has 6 places, data 0 numbers")


# -- Tensor ------------------------------------------------------------------------------------------------------------
def test_tensor_is_variable() -> None:
    assert rustorch.Tensor is rustorch.Variable
    assert rustorch.Tensor([1.0, 2.0], True).requires_grad
    assert repr(rustorch.Tensor([1.0])) == "Variable([1.])"


@pytest.mark.parametrize("shape", [[2, 3], (3, 2), [6], (1, 6, 1), [0, 6]])
def test_tensor_takes_a_shape(shape: Any, backend: Target) -> None:
    data = [] if 0 in shape else [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    made = rustorch.Tensor(data, shape, device=backend.device)
    assert made.shape == tuple(shape)
    assert made.device == backend.device
    assert made.dtype == rustorch.float32
    assert not made.requires_grad
    assert rustorch.reshape(made, (-1,)).tolist() == data


def test_tensor_of_one_number_and_no_sizes() -> None:
    assert rustorch.Tensor([3.0], []).shape == ()


def test_a_shape_for_a_variable_shares_its_memory() -> None:
    x = rustorch.tensor([1.0, 2.0, 3.0, 4.0])
    made = rustorch.Tensor(x, [2, 2])
    x[3] = 9.0
    assert made.tolist() == [[1.0, 2.0], [3.0, 9.0]]


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        (
            [3],
            ValueError,
            "Tensor(data, shape): the shape (3,) has 3 places, data 2 numbers; rustorch.tensor takes nested lists, and "
            "no shape",
        ),
        (
            [],
            ValueError,
            "Tensor(data, shape): the shape () has 1 places, data 2 numbers; rustorch.tensor takes nested lists, and "
            "no shape",
        ),
        ([-1], ValueError, "Tensor(data, shape): no size is negative, but (-1,) has one; rustorch.reshape takes a -1"),
        (
            [-1, -2],
            ValueError,
            "Tensor(data, shape): no size is negative, but (-1, -2) has one; rustorch.reshape takes a -1",
        ),
        ([2.0], TypeError, "Tensor(data, shape): a shape holds integers, not [2.0]; requires_grad is True or False"),
        (
            (True, 2),
            TypeError,
            "Tensor(data, shape): a shape holds integers, not (True, 2); requires_grad is True or False",
        ),
    ],
)
def test_shapes_that_data_does_not_fill(shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message) + "$"):
        rustorch.Tensor([1.0, 2.0], shape)


def test_a_parameter_takes_no_shape() -> None:
    made = rustorch.nn.Parameter([1.0, 2.0], [2, 1])  # type: ignore[arg-type]
    assert made.shape == (2,)
    assert made.requires_grad


# -- Variable ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("requires_grad", [False, True])
def test_from_tensor(requires_grad: bool, backend: Target) -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True, device=backend.device)
    made = rustorch.Variable.from_tensor(x * 2.0, requires_grad)
    assert type(made) is rustorch.Variable
    assert made.is_leaf
    assert made.requires_grad is requires_grad
    assert made.device == backend.device
    assert made.tolist() == [2.0, 4.0]
    assert not rustorch.Variable.from_tensor(x).requires_grad
    assert rustorch.Variable.from_tensor(x).data is x.data


def test_from_tensor_of_a_subclass() -> None:
    made = rustorch.nn.Parameter.from_tensor(rustorch.ones(2))
    assert type(made) is rustorch.nn.Parameter
    assert not made.requires_grad


def test_integers_from_tensor_cannot_require_grad() -> None:
    with pytest.raises(
        RuntimeError, match="only floating-point and complex Variables can require gradients, this one is int64"
    ):
        rustorch.Variable.from_tensor(rustorch.tensor([1, 2]), requires_grad=True)


@pytest.mark.parametrize(("shape", "number"), [((2, 3), 6), ((), 1), ((0, 4), 0)])
def test_numel_is_read_or_called(shape: tuple[int, ...], number: int, backend: Target) -> None:
    x = rustorch.zeros(shape, device=backend.device)
    assert x.numel == number
    assert x.numel() == number
    assert type(x.numel()) is int
    assert f"{x.numel}" == str(number)


# -- optimizers --------------------------------------------------------------------------------------------------------
def _leaf() -> rustorch.Variable:
    return rustorch.tensor([1.0, -2.0], requires_grad=True)


@pytest.mark.parametrize(
    "name", [name for name in rustorch.optim.__all__ if name not in ("Optimizer", "ZeroRedundancyOptimizer")]
)
def test_every_optimizer_has_a_learning_rate(name: str) -> None:
    x = rustorch.ones((2, 2)).requires_grad_()
    optimizer = getattr(rustorch, name)([x], lr=0.25)
    assert optimizer.learning_rate == 0.25
    optimizer.set_lr(0.5)
    assert optimizer.learning_rate == optimizer.lr == 0.5


@pytest.mark.parametrize("cls", [rustorch.Adam, rustorch.AdamW])
def test_options_of_adam(cls: type[rustorch.Adam]) -> None:
    optimizer = cls([_leaf()], lr=0.1, betas=(0.7, 0.8), eps=1e-3, weight_decay=0.25)
    optimizer.add_param_group({"params": _leaf(), "betas": (0.1, 0.2), "eps": 1.0, "weight_decay": 0.0})
    assert (optimizer.beta1, optimizer.beta2, optimizer.eps, optimizer.weight_decay) == (0.7, 0.8, 1e-3, 0.25)
    optimizer.param_groups[0]["betas"] = (0.5, 0.75)
    assert (optimizer.beta1, optimizer.beta2) == (0.5, 0.75)


def _trained(steps: int) -> tuple[rustorch.Variable, rustorch.Adam]:
    x = _leaf()
    optimizer = rustorch.Adam([x], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    return x, optimizer


def test_step_count_counts_steps() -> None:
    assert [_trained(steps)[1].step_count for steps in range(4)] == [0, 1, 2, 3]


def test_step_count_counts_steps_without_gradients() -> None:
    optimizer = rustorch.Adam([_leaf()])
    optimizer.step()
    optimizer.step()
    assert optimizer.step_count == 2


def test_step_count_goes_on_from_a_loaded_state() -> None:
    x, fresh = _trained(0)
    fresh.load_state_dict(_trained(3)[1].state_dict())
    assert fresh.step_count == 3
    (x * x).sum().backward()
    fresh.step()
    assert fresh.step_count == 4


# -- read-only ---------------------------------------------------------------------------------------------------------
NEW_SIZE = "make a new Linear(in_features, out_features) for another size"
BETAS = "set group['betas'] = (beta1, beta2) of each group in optimizer.param_groups"
READ_ONLY = {
    ("Linear", "input_size"): NEW_SIZE,
    ("Linear", "output_size"): NEW_SIZE,
    ("Variable", "numel"): "it follows from the shape",
    ("SGD", "learning_rate"): "set optimizer.lr, or call optimizer.set_lr(lr)",
    ("Adam", "learning_rate"): "set optimizer.lr, or call optimizer.set_lr(lr)",
    ("Adam", "beta1"): BETAS,
    ("AdamW", "beta2"): BETAS,
    ("Adam", "eps"): "set group['eps'] of each group in optimizer.param_groups",
    ("Adam", "weight_decay"): "set group['weight_decay'] of each group in optimizer.param_groups",
    ("Adam", "step_count"): "step() counts, and load_state_dict takes over the count of the state that it loads",
}


def _owner(name: str) -> Any:
    if name == "Variable":
        return _leaf()
    return rustorch.Linear(2, 3) if name == "Linear" else getattr(rustorch, name)([_leaf()])


@pytest.mark.parametrize(("owner", "name"), READ_ONLY)
def test_aliases_are_read_only(owner: str, name: str) -> None:
    object = _owner(owner)
    before = getattr(object, name)
    message = f"{owner}.{name}, a name of RusTorch's, is read-only; {READ_ONLY[owner, name]}"
    with pytest.raises(AttributeError, match=f"^{re.escape(message)}$"):
        setattr(object, name, 0.5)
    with pytest.raises(AttributeError, match=f"^{re.escape(message)}$"):
        delattr(object, name)
    assert getattr(object, name) == before


def test_every_alias_is_tried() -> None:
    kinds = [
        value
        for name, value in vars(rustorch_names).items()
        if inspect.isclass(value) and name in rustorch_names.__all__
    ]
    aliases = {name for kind in kinds for name, value in vars(kind).items() if isinstance(value, property)}
    assert aliases == {name for _, name in READ_ONLY}
