"""Cases of every optimizer with its options, and 50 steps of training, for rustorch and for PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import cases

STEPS = 50
#: The steps after which parameters are compared.
COMPARED_STEPS = (1, 2, 9, STEPS)

_DECAY = {"weight_decay": 0.1}
_MAXIMIZE = {"maximize": True}
_DECOUPLED = {"weight_decay": 0.1, "decoupled_weight_decay": True}
_BETAS = {"betas": (0.6, 0.9), "eps": 1e-3}

#: Class -> the options of its cases.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "ASGD": [
        {"lr": 0.05},
        {"lr": 0.05, "lambd": 0.1, "alpha": 0.5},
        {"lr": 0.05, "t0": 5},
        {"lr": 0.05, "t0": 0, **_DECAY},
        {"lr": 0.05, **_MAXIMIZE},
    ],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.6, "eps": 1e-3}, _DECAY, _MAXIMIZE, {"lr": 0.05, "rho": 1.0}, {"lr": 0.0}],
    "Adafactor": [
        {},
        {"lr": 0.3, "eps": (1e-2, 0.1)},
        {"beta2_decay": -0.3, "d": 2.0},
        {"lr": 0.1, **_DECAY},
        {"lr": 0.1, **_MAXIMIZE},
        {"lr": 1.0, "eps": (None, 0.0)},
        {"lr": 0.1, "d": 1.5, **_DECAY, **_MAXIMIZE},
    ],
    "Adagrad": [
        {"lr": 0.1},
        {"lr": 0.1, "lr_decay": 0.1},
        {"lr": 0.1, "initial_accumulator_value": 0.5},
        {"lr": 0.1, "eps": 0.1},
        {"lr": 0.1, **_DECAY},
        {"lr": 0.1, **_MAXIMIZE},
    ],
    "Adam": [
        {},
        {"lr": 0.05},
        {"lr": 0.05, **_BETAS},
        {"lr": 0.05, "amsgrad": True, **_BETAS},
        {"lr": 0.05, **_DECAY},
        {"lr": 0.05, **_MAXIMIZE},
        {"lr": 0.05, **_DECOUPLED},
        {"lr": 0.05, "amsgrad": True, **_DECAY, **_MAXIMIZE},
        {"lr": 0.05, "betas": (0.0, 0.0)},
        {"lr": 0.05, **_DECAY, **_MAXIMIZE},
        {"lr": 0.05, **_DECOUPLED, **_MAXIMIZE},
    ],
    "AdamW": [
        {},
        {"lr": 0.05},
        {"lr": 0.05, **_BETAS, **_DECAY},
        {"lr": 0.05, "amsgrad": True},
        {"lr": 0.05, "weight_decay": 0.0},
        {"lr": 0.05, **_MAXIMIZE},
    ],
    "Adamax": [{}, {"lr": 0.05, **_BETAS}, {"lr": 0.05, **_DECAY}, {"lr": 0.05, **_MAXIMIZE}],
    "LBFGS": [
        {"lr": 0.1},
        {"lr": 0.1, "max_iter": 3, "history_size": 2},
        {"line_search_fn": "strong_wolfe", "max_iter": 2},
        {"lr": 0.1, "line_search_fn": "strong_wolfe", "max_iter": 1},
        {"lr": 0.1, "max_iter": 5, "max_eval": 2},
        {"lr": 0.1, "tolerance_grad": 0.1, "tolerance_change": 1e-3},
    ],
    "Muon": [
        {},
        {"lr": 0.05, "weight_decay": 0.0},
        {"lr": 0.02, "momentum": 0.5},
        {"lr": 0.05, "nesterov": False},
        {"lr": 0.05, "adjust_lr_fn": "match_rms_adamw"},
        {"lr": 0.05, "adjust_lr_fn": "original"},
        {"lr": 0.05, "ns_coefficients": (2.0, -1.5, 0.5), "ns_steps": 3, "eps": 0.1},
    ],
    "NAdam": [
        {},
        {"lr": 0.05, **_BETAS},
        {"lr": 0.05, "momentum_decay": 0.1},
        {"lr": 0.05, **_DECAY},
        {"lr": 0.05, **_DECOUPLED},
        {"lr": 0.05, **_MAXIMIZE},
    ],
    "RAdam": [
        {},
        {"lr": 0.05, **_BETAS},
        {"lr": 0.05, **_DECAY},
        {"lr": 0.05, **_DECOUPLED},
        {"lr": 0.05, **_MAXIMIZE},
    ],
    "RMSprop": [
        {},
        {"alpha": 0.6, "eps": 1e-3},
        {"momentum": 0.5},
        {"centered": True},
        {"centered": True, "momentum": 0.5, **_DECAY},
        _MAXIMIZE,
    ],
    "Rprop": [{}, {"lr": 0.1, "etas": (0.3, 1.5)}, {"lr": 0.1, "step_sizes": (0.02, 0.2)}, {"lr": 0.1, **_MAXIMIZE}],
    "SGD": [
        {"lr": 0.05},
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.3},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
        {"lr": 0.05, **_DECAY, **_MAXIMIZE},
    ],
}


def table() -> dict[str, tuple[str, dict[str, Any]]]:
    """Name of the case -> class and options."""
    return {
        f"{cls}({', '.join(f'{k}={v}' for k, v in options.items())})": (cls, options)
        for cls, all_options in OPTIONS.items()
        for options in all_options
    }


def _convex(library: Any, factor: Any, weight: Any, bias: Any) -> Any:
    """A convex loss for L-BFGS. With the other loss, a rounding error of the first step grows a million times in 50
    steps.
    """
    z = library.matmul(factor, weight) + bias
    return library.sum(library.sqrt(1 + z * z)) + 0.1 * (library.sum(weight * weight) + library.sum(bias * bias))


def train(
    library: Any, make: Callable[..., Any], show: Callable[[Any], list], build: Callable[[list[Any]], Any]
) -> dict[str, Any]:
    """Train with a library, and return the parameters after some of the steps.

    Parameters
    ----------
    library : module
        rustorch or torch.
    make : callable
        ``make(array, requires_grad)`` returns a tensor.
    show : callable
        ``show(tensor)`` returns its numbers as a list.
    build : callable
        ``build(parameters)`` returns an optimizer.
    """
    factor = make(cases.numbers((4, 3)), False)
    weight, bias = (make(array, True) for array in cases.sgd_start())
    try:
        optimizer = build([weight, bias])
    except ValueError:  # Muon takes matrices only
        optimizer = build([weight])

    loss_of = _convex if type(optimizer).__name__ == "LBFGS" else cases.sgd_loss

    def closure() -> Any:
        optimizer.zero_grad()
        loss = loss_of(library, factor, weight, bias)
        loss.backward()
        return loss

    parameters_after = {}
    for step in range(1, STEPS + 1):
        optimizer.step(closure)
        if step in COMPARED_STEPS:
            parameters_after[str(step)] = {"weight": show(weight), "bias": show(bias)}
    return parameters_after
