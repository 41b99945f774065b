"""Cases of averaged weights with their options, for rustorch and for PyTorch.

A case gives the arguments of an ``AveragedModel`` of a library. `run` averages the weights of six steps, and then
computes new statistics of batch norm. After a change of a case, run ``python -m tests.reference.make swa_utils``, which
writes PyTorch's numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from . import cases

STEPS = 6
#: Name -> a function that makes the arguments of AveragedModel from a library's ``swa_utils``.
TABLE: dict[str, Callable[[Any], dict[str, Any]]] = {
    "default": lambda utils: {},
    "default, buffers": lambda utils: {"use_buffers": True},
    "get_swa_avg_fn": lambda utils: {"avg_fn": utils.get_swa_avg_fn()},
    "get_swa_multi_avg_fn": lambda utils: {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
    "get_ema_avg_fn": lambda utils: {"avg_fn": utils.get_ema_avg_fn()},
    "get_ema_avg_fn(0.3), buffers": lambda utils: {"avg_fn": utils.get_ema_avg_fn(0.3), "use_buffers": True},
    "get_ema_multi_avg_fn": lambda utils: {"multi_avg_fn": utils.get_ema_multi_avg_fn()},
    "get_ema_multi_avg_fn(0.9), buffers": lambda utils: {
        "multi_avg_fn": utils.get_ema_multi_avg_fn(0.9),
        "use_buffers": True,
    },
    "get_ema_multi_avg_fn(0.25)": lambda utils: {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.25)},
    "get_ema_multi_avg_fn(0)": lambda utils: {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.0)},
    "a function of one's own": lambda utils: {
        "avg_fn": lambda average, current, n: (n * average + current * 2) / (n + 2)
    },
}


def weights(shapes: dict[str, tuple[int, ...]], step: int) -> dict[str, numpy.ndarray]:
    """The state of the model after a step."""
    state = {}
    for i, (name, shape) in enumerate(shapes.items()):
        value = cases.numbers(shape, start=0.7 * i + 0.4 * step)
        if name.endswith("num_batches_tracked"):
            value = numpy.asarray(3 * step + 2)
        state[name] = numpy.abs(value) + 0.5 if name.endswith("running_var") else value
    return state


def model(nn: Any) -> Any:
    """A model with and without buffers in its layers."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()


def run(
    name: str,
    nn: Any,
    utils: Any,
    new: Callable[[Any], Any],
    host: Callable[[Any], Any],
    placed: Callable[[Any], Any] = lambda m: m,
) -> dict[str, Any]:
    """The averages after all steps, and the statistics of batch norm after ``update_bn``, as lists."""
    net = placed(model(nn))
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    averaged = utils.AveragedModel(net, **TABLE[name](utils))
    for step in range(STEPS):
        net.load_state_dict({key: new(value) for key, value in weights(shapes, step).items()})
        averaged.update_parameters(net)
    result = {key: host(value).tolist() for key, value in averaged.state_dict().items()}
    batches = [new(cases.numbers((5, 3), start=float(i))) for i in range(3)]
    utils.update_bn([batches[0], (batches[1], None), [batches[2]]], averaged)
    statistics = {f"update_bn: {key}": host(value).tolist() for key, value in averaged.module[1].named_buffers()}
    return result | statistics
