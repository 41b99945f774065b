"""The programs of the first specification, word for word, and the signatures of the classes in them."""

from __future__ import annotations

import inspect
import itertools
import re

import pytest

import rustorch
from tests.support.target import Target

GOAL = """
# 目標: 完全なニューラルネットワークトレーニング
import rustorch

# データとラベル
X = rustorch.Variable(rustorch.tensor([[1.0, 2.0], [3.0, 4.0]]), requires_grad=False)
y = rustorch.Variable(rustorch.tensor([[1.0], [0.0]]), requires_grad=False)

# モデル構築
linear1 = rustorch.Linear(2, 4, True)
relu = rustorch.ReLU()
linear2 = rustorch.Linear(4, 1, True)
sigmoid = rustorch.Sigmoid()

# 順伝播
h1 = linear1(X)
h1_relu = relu(h1)
h2 = linear2(h1_relu)
output = sigmoid(h2)

# Loss計算
criterion = rustorch.MSELoss()
loss = criterion(output, y)

# オプティマイザー
optimizer = rustorch.SGD([linear1.weight, linear1.bias, linear2.weight, linear2.bias], lr=0.01)

# トレーニングループ
for epoch in range(100):
    optimizer.zero_grad()

    # Forward pass
    h1 = linear1(X)
    h1_relu = relu(h1)
    h2 = linear2(h1_relu)
    output = sigmoid(h2)

    # Loss計算
    loss = criterion(output, y)

    # Backward pass
    loss.backward()

    # パラメータ更新
    optimizer.step()

    if epoch % 10 == 0:
        print(f"Epoch {epoch}: Loss = {loss.data}")
"""

COMPLETE_TRAINING = """
# test_phase3.py
def test_complete_training():
    # データ準備
    X = rustorch.Variable(rustorch.tensor([[1.0, 2.0], [3.0, 4.0]]), requires_grad=False)
    y = rustorch.Variable(rustorch.tensor([[1.0], [0.0]]), requires_grad=False)

    # モデル
    linear = rustorch.Linear(2, 1, True)
    sigmoid = rustorch.Sigmoid()

    # Loss function
    criterion = rustorch.MSELoss()

    # Optimizer
    optimizer = rustorch.SGD([linear.weight, linear.bias], lr=0.01)

    # トレーニングループ
    for epoch in range(10):
        optimizer.zero_grad()

        output = sigmoid(linear(X))
        loss = criterion(output, y)
        loss.backward()
        optimizer.step()

        print(f"Epoch {epoch}: Loss = {loss.data}")
"""


def _losses(printed: str) -> dict[int, float]:
    lines = re.findall(r"^Epoch (\d+): Loss = \D*([0-9.]+(?:e-?\d+)?)", printed, re.MULTILINE)
    return {int(epoch): float(loss) for epoch, loss in lines}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_loss_of_the_goal_program_falls(seed: int, backend: Target, capsys: pytest.CaptureFixture[str]) -> None:
    rustorch.manual_seed(seed)
    with rustorch.set_default_device(backend.device):
        exec(GOAL, {})
    losses = _losses(capsys.readouterr().out)
    assert list(losses) == list(range(0, 100, 10))
    values = list(losses.values())
    assert all(later < earlier for earlier, later in itertools.pairwise(values)), losses


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_loss_of_the_complete_training_program_falls(
    seed: int, backend: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    rustorch.manual_seed(seed)
    names = {"rustorch": rustorch}
    exec(COMPLETE_TRAINING, names)
    with rustorch.set_default_device(backend.device):
        names["test_complete_training"]()  # type: ignore[operator]
    losses = _losses(capsys.readouterr().out)
    assert list(losses) == list(range(10))
    values = list(losses.values())
    assert all(later < earlier for earlier, later in itertools.pairwise(values)), losses


# -- signatures --------------------------------------------------------------------------------------------------------
def _leaf() -> rustorch.Variable:
    return rustorch.tensor([1.0, -2.0], requires_grad=True)


def test_sgd_takes_parameters_then_lr_then_momentum() -> None:
    x = _leaf()
    assert list(inspect.signature(rustorch.SGD).parameters)[1:3] == ["lr", "momentum"]
    optimizer = rustorch.SGD([x], 0.5, 0.9)
    assert optimizer.param_groups[0]["momentum"] == 0.9
    assert rustorch.SGD([_leaf()], lr=0.5).param_groups[0]["momentum"] == 0.0
    (x * x).sum().backward()
    assert optimizer.step() is None
    assert x.tolist() == [0.0, 0.0]
    assert optimizer.zero_grad() is None
    assert x.grad is None


def test_the_learning_rate_is_a_property_with_a_setter() -> None:
    optimizer = rustorch.SGD([_leaf()], lr=0.5)
    assert optimizer.lr == 0.5
    assert optimizer.set_lr(0.25) is None
    assert optimizer.lr == 0.25
    optimizer.lr = 0.125
    assert optimizer.param_groups[0]["lr"] == 0.125


@pytest.mark.parametrize("loss", [rustorch.MSELoss, rustorch.CrossEntropyLoss])
def test_losses_take_a_reduction_and_have_call_and_forward(loss: type) -> None:
    input = rustorch.tensor([[1.0, 2.0], [0.0, 3.0]])
    target = rustorch.tensor([[0.0, 1.0], [0.5, 0.5]])
    for criterion, expected in ((loss(), "mean"), (loss("sum"), "sum"), (loss(reduction="none"), "none")):
        assert criterion.reduction == expected
        assert criterion(input, target).tolist() == criterion.forward(input, target).tolist()
    assert loss("sum")(input, target).item() == pytest.approx(loss(reduction="none")(input, target).sum().item())


@pytest.mark.parametrize("activation", [rustorch.ReLU, rustorch.Sigmoid, rustorch.Tanh])
def test_activations_have_call_and_forward(activation: type) -> None:
    layer = activation()
    assert layer(_leaf()).tolist() == layer.forward(_leaf()).tolist()
    assert list(layer.parameters()) == []


def test_relu_takes_inplace() -> None:
    assert rustorch.ReLU().inplace is False
    x = rustorch.tensor([1.0, -2.0])
    assert rustorch.ReLU(True)(x) is x
    assert x.tolist() == [1.0, 0.0]
    assert rustorch.ReLU(inplace=False)(x) is not x
