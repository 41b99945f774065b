"""Cases that PyTorch computes for the committed numbers, and rustorch in the tests.

The two libraries have the same names and arguments, so a case is data: the name of a function, its arrays and its
options. The arrays come from a formula, because the numbers of a random generator may change between releases.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy

CLASSES = 3
#: Shape of the logits -> class indices, of the same shape without the dimension of the classes.
LOGITS: dict[tuple[int, ...], Any] = {
    (CLASSES,): 2,
    (4, CLASSES): [0, 2, 1, 2],
    (2, CLASSES, 2): [[1, 0], [2, 2]],
    (2, CLASSES, 2, 2): [[[0, 1], [2, 0]], [[2, 2], [1, 0]]],
}
CLASS_WEIGHTS = [0.5, 1.25, 2.0]


def numbers(shape: tuple[int, ...], start: float = 0.0, scale: float = 1.5) -> numpy.ndarray:
    """Irregular numbers from -scale to scale, without 0."""
    steps = numpy.arange(math.prod(shape), dtype=numpy.float64)
    return (scale * numpy.sin(1.7 * steps + 0.9 + start)).reshape(shape)


def probabilities(shape: tuple[int, ...], axis: int) -> numpy.ndarray:
    """Positive numbers that sum to 1 along an axis."""
    positive = numpy.exp(numbers(shape, start=0.4))
    return positive / positive.sum(axis=axis, keepdims=True)


def _case(function: str, arrays: dict[str, Any], tracked: tuple[str, ...], **options: Any) -> dict[str, Any]:
    return {"function": function, "arrays": arrays, "tracked": tracked, "options": options}


def functional() -> dict[str, dict[str, Any]]:
    """Functions of nn.functional other than cross_entropy: name of the case -> case."""
    cases = {}
    for shape in ((3,), (2, 3), (2, 2, 3)):
        arrays = {"input": numbers(shape), "weight": numbers((4, 3), 0.3), "bias": numbers((4,), 0.8)}
        cases[f"linear-{shape}"] = _case("linear", arrays, ("input", "weight", "bias"))
        del (without := dict(arrays))["bias"]
        cases[f"linear-{shape}-without-bias"] = _case("linear", without, ("input", "weight"))
    for name in ("relu", "sigmoid", "tanh"):
        for shape in ((), (5,), (2, 3)):
            cases[f"{name}-{shape}"] = _case(name, {"input": numbers(shape, scale=4.0)}, ("input",))
    for name in ("softmax", "log_softmax"):
        for shape, dim in (((4,), 0), ((3, 4), 1), ((3, 4), 0), ((2, 3, 2), -2)):
            cases[f"{name}-{shape}-{dim}"] = _case(name, {"input": numbers(shape, scale=4.0)}, ("input",), dim=dim)
    for shape, reduction in itertools.product(((), (4,), (2, 3)), ("mean", "sum", "none")):
        arrays = {"input": numbers(shape), "target": numbers(shape, 0.7)}
        cases[f"mse_loss-{shape}-{reduction}"] = _case("mse_loss", arrays, ("input", "target"), reduction=reduction)
    return cases


def cross_entropy() -> dict[str, dict[str, Any]]:
    """Every combination of shape, kind of target, weight, ignored index, smoothing and reduction."""
    cases = {}
    for shape, weighted, smoothing, reduction in itertools.product(
        LOGITS, (False, True), (0.0, 0.2), ("mean", "sum", "none")
    ):
        logits = {"input": numbers(shape, scale=3.0)}
        weight = {"weight": numpy.asarray(CLASS_WEIGHTS)} if weighted else {}
        options = {"label_smoothing": smoothing, "reduction": reduction}
        name = f"{shape}-{'weighted-' if weighted else ''}{'smooth-' if smoothing else ''}{reduction}"
        for ignored, change in (("", {}), ("ignore-1-", {"ignore_index": 1}), ("ignore-default-", {})):
            indices = numpy.asarray(LOGITS[shape], dtype=numpy.int64)
            if ignored == "ignore-default-":
                if not indices.ndim:
                    continue  # the only row is ignored: another test covers the mean of no row
                indices[tuple([0] * indices.ndim)] = -100
            arrays = {**logits, "target": indices, **weight}
            cases[f"indices-{ignored}{name}"] = _case("cross_entropy", arrays, ("input",), **options, **change)
        target = probabilities(shape, 0 if len(shape) == 1 else 1)
        arrays = {**logits, "target": target, **weight}
        cases[f"probabilities-{name}"] = _case("cross_entropy", arrays, ("input", "target"), **options)
    return cases


def output_gradient(shape: tuple[int, ...]) -> numpy.ndarray:
    """The gradient of an output from which backward starts."""
    return numbers(shape, start=2.1, scale=1.0)


# -- modules -----------------------------------------------------------------------------------------------------------
#: Name -> a function that makes the model from a library's ``nn``.
ARCHITECTURES: dict[str, Callable[[Any], Any]] = {
    "linear": lambda nn: nn.Linear(2, 3),
    "without_bias": lambda nn: nn.Linear(2, 3, bias=False),
    "relu": lambda nn: nn.ReLU(),
    "relu_in_place": lambda nn: nn.ReLU(inplace=True),
    "activations": lambda nn: nn.Sequential(
        nn.Sigmoid(), nn.Tanh(), nn.Softmax(dim=1), nn.LogSoftmax(dim=-1), nn.Flatten()
    ),
    "mlp": lambda nn: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)),
    "nested": lambda nn: nn.Sequential(
        nn.Sequential(nn.Linear(2, 3), nn.Tanh()), nn.Sequential(nn.Sequential(nn.Linear(3, 1)))
    ),
    "list": lambda nn: nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 4, bias=False)]),
    "empty": lambda nn: nn.Sequential(),
    "losses": lambda nn: nn.Sequential(nn.MSELoss(), nn.CrossEntropyLoss()),
}


# -- optimizers --------------------------------------------------------------------------------------------------------
SGD_LR = 0.05
SGD_STEPS = 60
SGD_COMPARED_STEPS = (1, 2, 10, SGD_STEPS)  # the steps after which parameters are compared


def sgd() -> dict[str, dict[str, Any]]:
    """Every allowed combination of SGD's options."""
    cases = {}
    for momentum, dampening, decay, nesterov, maximize in itertools.product(
        (0.0, 0.9), (0.0, 0.3), (0.0, 0.05), (False, True), (False, True)
    ):
        if nesterov and (not momentum or dampening):
            continue
        options = {
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        cases["-".join(f"{k}={v}" for k, v in options.items() if v) or "plain"] = options
    return cases


#: The options of two groups.
SGD_GROUPS: tuple[dict[str, Any], dict[str, Any]] = ({"lr": 0.1, "momentum": 0.5}, {"weight_decay": 0.1})


def sgd_start() -> tuple[numpy.ndarray, numpy.ndarray]:
    """The initial parameters: a matrix and a vector."""
    return numbers((3, 2), 0.2), numbers((2,), 1.1)


def sgd_loss(library: Any, factor: Any, weight: Any, bias: Any) -> Any:
    """A smooth loss with a minimum and a maximum, so that maximizing converges too.

    ``factor`` is an array of the library made from ``numbers((4, 3))``.
    """
    return library.sum(library.cos(library.matmul(factor, weight) + bias))


# -- training ----------------------------------------------------------------------------------------------------------
TRAIN_STEPS = 100
TRAIN_OPTIONS = {"lr": 0.1, "momentum": 0.9}


def train_data() -> tuple[numpy.ndarray, numpy.ndarray]:
    """16 rows of 4 numbers, and the class of each row, which depends on its numbers."""
    rows = numbers((16, 4))
    return rows, numpy.argmax(rows[:, :3] + 0.5 * rows[:, 1:], axis=1)


def train_start() -> dict[str, numpy.ndarray]:
    """The initial state of ``ARCHITECTURES["mlp"]``."""
    return {
        "0.weight": numbers((8, 4), 0.1, 0.5),
        "0.bias": numbers((8,), 0.6, 0.5),
        "2.weight": numbers((3, 8), 1.3, 0.35),
        "2.bias": numbers((3,), 1.9, 0.35),
    }
