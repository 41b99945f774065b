"""A small user program for type checkers: each ``assert_type`` states what an editor must know."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np

import rustorch
from rustorch import Variable, nn, optim
from rustorch.data import ArrayDataset, DataLoader
from rustorch.nn import functional as F
from rustorch.optim.lr_scheduler import StepLR


class Network(nn.Module):
    """A user's own module: its call has the signature of its ``forward``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, width)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 1, bias=False)

    def forward(self, x: Variable, scale: float = 1.0) -> Variable:
        hidden = self.hidden(x)
        assert_type(hidden, Variable)
        return self.out(F.relu(self.norm(hidden))) * scale


def creation_and_functions() -> None:
    x = rustorch.Variable(np.ones((4, 3)), requires_grad=True)
    y = rustorch.tensor([1.0, 2.0, 3.0], dtype=rustorch.float32, device="cpu")
    assert_type(x, Variable)
    assert_type(y, Variable)
    assert_type(rustorch.zeros((2, 3)), Variable)
    assert_type(rustorch.arange(3), Variable)
    assert_type(rustorch.randn(2, 3), Variable)
    assert_type(rustorch.exp(x), Variable)
    assert_type(rustorch.add(x, y), Variable)
    assert_type(rustorch.where(x > 0, x, y), Variable)
    assert_type(rustorch.sum(x, axis=0, keepdims=True), Variable)
    assert_type(rustorch.matmul(x, rustorch.permute_dims(x, (1, 0))), Variable)
    assert_type(rustorch.concat([x, x], axis=0), Variable)
    assert_type(rustorch.linalg.solve(rustorch.eye(3), y), Variable)
    assert_type(rustorch.fft.fft(y), Variable)
    assert_type(rustorch.exp(np.ones(3)), Variable)


def methods_and_operators(x: Variable) -> None:
    assert_type(x * 2 + 1, Variable)
    assert_type(2 - x, Variable)
    assert_type(x @ x, Variable)
    assert_type(-x, Variable)
    assert_type(x > 0, Variable)
    assert_type(x[0, 1:], Variable)
    assert_type(x.T, Variable)
    assert_type(x.sum(), Variable)
    assert_type(x.mean(axis=0), Variable)
    assert_type(x.reshape(2, -1), Variable)
    assert_type(x.detach(), Variable)
    assert_type(x.to("cpu"), Variable)
    assert_type(x.shape, tuple[int, ...])
    assert_type(x.ndim, int)
    assert_type(x.device, str)
    assert_type(x.requires_grad, bool)
    assert_type(x.is_leaf, bool)
    for row in x:
        assert_type(row, Variable)
    number: float = x.sum().item()
    print(float(x.sum()) + number)


def layers(x: Variable) -> None:
    assert_type(nn.Linear(3, 4)(x), Variable)
    assert_type(nn.Linear(3, 4).weight, nn.Parameter)
    assert_type(nn.Conv2d(3, 8, kernel_size=3, padding=1)(x), Variable)
    assert_type(nn.BatchNorm1d(3)(x), Variable)
    assert_type(nn.Dropout(0.5)(x), Variable)
    assert_type(nn.Embedding(10, 4)(x), Variable)
    # a Variable in most programs: an editor completes its methods
    assert_type(nn.MaxPool2d(2)(x), Variable | Any)
    assert_type(nn.Sequential(nn.Linear(3, 4), nn.ReLU())(x), Variable | Any)
    output, (h, c) = nn.LSTM(3, 5, num_layers=2, batch_first=True)(x)
    assert_type(output, Variable | Any)
    assert_type(h, Variable)
    assert_type(c, Variable)
    output, h = nn.GRU(3, 5)(x)
    assert_type(output, Variable | Any)
    assert_type(h, Variable)
    nn.Sequential(nn.Linear(3, 4), nn.Tanh())(x).sum().backward()
    layer = rustorch.Linear(3, 4)  # layers and optimizers have their names in rustorch, too
    assert_type(layer(x), Variable)
    assert_type(rustorch.SGD(layer.parameters(), lr=0.1), optim.SGD)


def functions_of_layers(x: Variable, target: Variable) -> None:
    assert_type(F.relu(x), Variable)
    assert_type(F.linear(x, x), Variable)
    assert_type(F.softmax(x, dim=-1), Variable)
    assert_type(F.cross_entropy(x, target), Variable)
    assert_type(F.mse_loss(x, target, reduction="sum"), Variable)
    assert_type(F.scaled_dot_product_attention(x, x, x), Variable)


def gradients(x: Variable) -> None:
    assert_type(rustorch.grad(x.sum(), [x]), tuple[Variable, ...])
    assert_type(x.backward(), None)
    with rustorch.no_grad():
        x.zero_grad()


def training() -> None:
    rustorch.manual_seed(0)
    model = Network(8)
    inputs = np.ones((16, 3), dtype="float32")
    loader = DataLoader(ArrayDataset(inputs, inputs[:, :1]), batch_size=4, shuffle=True)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = StepLR(optimizer, step_size=10)
    loss_of = nn.MSELoss()
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            assert_type(loss, Variable)
            loss.backward()
            optimizer.step()
        schedule.step()
    model(rustorch.zeros((1, 3)), scale=2.0).sum().backward()
    for parameter in model.parameters():
        assert_type(parameter, nn.Parameter)
    assert_type(model.train(), Network)
    assert_type(model.eval().to("cpu"), Network)
    assert_type(optimizer.lr, float)
    rustorch.save(model.state_dict(), "model.safetensors")


if __name__ == "__main__":
    creation_and_functions()
    training()
