"""Options out of range raise in a new optimizer, in a new group and in a loaded state; nothing changes."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import pytest

import rustorch
from rustorch import nn, optim

NAMES = [name for name in optim.__all__ if name not in ("Optimizer", "ZeroRedundancyOptimizer")]
#: Class -> its options that must not be negative.
NOT_NEGATIVE = {
    "ASGD": ("lr", "lambd", "t0", "weight_decay"),
    "Adadelta": ("lr", "eps", "weight_decay"),
    "Adafactor": ("lr", "weight_decay", "d"),
    "Adagrad": ("lr", "lr_decay", "eps", "weight_decay", "initial_accumulator_value"),
    "Adam": ("lr", "eps", "weight_decay"),
    "AdamW": ("lr", "eps", "weight_decay"),
    "Adamax": ("lr", "eps", "weight_decay"),
    "LBFGS": ("lr", "tolerance_grad", "tolerance_change"),
    "Muon": ("lr", "weight_decay", "momentum", "eps"),
    "NAdam": ("lr", "eps", "weight_decay", "momentum_decay"),
    "RAdam": ("lr", "eps", "weight_decay"),
    "RMSprop": ("lr", "alpha", "eps", "weight_decay", "momentum"),
    "Rprop": ("lr",),
    "SGD": ("lr", "momentum", "dampening", "weight_decay"),
}
WITH_BETAS = ("Adam", "AdamW", "Adamax", "NAdam", "RAdam")
#: Class, options, and the message after the class's name.
OTHER_CASES: list[tuple[str, dict[str, Any], str]] = [
    *[
        (cls, {"betas": betas}, f"betas is a pair of numbers from 0 to below 1, not {betas!r}")
        for cls in WITH_BETAS
        for betas in ((1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, math.nan), (0.9,), 0.9, ("0.9", 0.9), None)
    ],
    ("ASGD", {"alpha": math.inf}, "alpha is a finite number, not inf"),
    ("Adadelta", {"rho": 1.1}, "rho is a number from 0 to 1, not 1.1"),
    ("Adadelta", {"rho": math.nan}, "rho is a number from 0 to 1, not nan"),
    ("Adafactor", {"beta2_decay": 0.1}, "beta2_decay is not above 0, not 0.1"),
    ("Adafactor", {"beta2_decay": math.nan}, "beta2_decay is a finite number, not nan"),
    ("Adafactor", {"d": 0.5}, "d is at least 1, not 0.5"),
    ("Adafactor", {"eps": (None, -1.0)}, "eps is a finite number that is not negative, not -1.0"),
    (
        "Adafactor",
        {"eps": (-1.0, 0.1)},
        "eps is a pair of numbers that are not negative, the first may be None, not (-1.0, 0.1)",
    ),
    ("Adafactor", {"eps": 0.1}, "eps is a pair of numbers that are not negative, the first may be None, not 0.1"),
    ("LBFGS", {"max_iter": 0}, "max_iter is an integer of at least 1, not 0"),
    ("LBFGS", {"max_iter": 2.0}, "max_iter is an integer of at least 1, not 2.0"),
    ("LBFGS", {"max_eval": -1}, "max_eval is an integer of at least 1, not -1"),
    ("LBFGS", {"history_size": 0}, "history_size is an integer of at least 1, not 0"),
    ("LBFGS", {"line_search_fn": "armijo"}, "line_search_fn is 'strong_wolfe' or None, not 'armijo'"),
    ("Muon", {"ns_steps": 0}, "ns_steps is an integer of at least 1, not 0"),
    ("Muon", {"ns_steps": 100}, "ns_steps is below 100, not 100"),
    ("Muon", {"ns_coefficients": (1.0, 2.0)}, "ns_coefficients are three finite numbers, not (1.0, 2.0)"),
    (
        "Muon",
        {"ns_coefficients": (1.0, 2.0, math.nan)},
        "ns_coefficients are three finite numbers, not (1.0, 2.0, nan)",
    ),
    ("Muon", {"adjust_lr_fn": "other"}, "adjust_lr_fn is None, 'original' or 'match_rms_adamw', not 'other'"),
    ("Rprop", {"etas": (1.2, 0.5)}, "etas is a pair of factors below and above 1, not (1.2, 0.5)"),
    ("Rprop", {"etas": (0.0, 1.2)}, "etas is a pair of factors below and above 1, not (0.0, 1.2)"),
    ("Rprop", {"step_sizes": (1.0, 0.1)}, "step_sizes is a pair of sizes, the smaller one first, not (1.0, 0.1)"),
]
CASES = [
    *[
        (cls, {name: value}, f"{name} is a finite number that is not negative, not {value!r}")
        for cls, names in NOT_NEGATIVE.items()
        for name in names
        for value in (-0.1, math.nan, math.inf, "0.1", None, True)
    ],
    *OTHER_CASES,
]


def _parameter() -> nn.Parameter:
    return nn.Parameter([[1.0, 2.0]])


def test_every_optimizer_has_cases() -> None:
    assert sorted(NOT_NEGATIVE) == sorted(NAMES)


@pytest.mark.parametrize(("name", "options", "message"), CASES, ids=lambda value: str(value)[:60])
def test_bad_options_raise(name: str, options: dict[str, Any], message: str) -> None:
    cls, p = getattr(rustorch, name), _parameter()
    match = re.escape(f"{name}: {message}")
    with pytest.raises(ValueError, match=match):
        cls([p], **options)
    optimizer = cls([p])
    before, lr = repr(optimizer), optimizer.lr
    if name != "LBFGS":
        with pytest.raises(ValueError, match=match):
            optimizer.add_param_group({"params": [_parameter()], **options})
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0].update({"lr": 0.7} | options)
    with pytest.raises(ValueError, match=match):
        optimizer.load_state_dict(state)
    assert (repr(optimizer), optimizer.lr, len(optimizer.param_groups)) == (before, lr, 1)
    assert p.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_checked(name: str) -> None:
    cls, p = getattr(rustorch, name), _parameter()
    with pytest.raises(ValueError, match=f"{name} got no parameters; pass model.parameters"):
        cls([])
    with pytest.raises(ValueError, match=rf"{name}: parameter 1 \(shape \(1, 2\)\) is listed twice"):
        cls([p, p])
    for params in (None, p, nn.Linear(1, 1)):
        type_name = type(params).__name__
        with pytest.raises(
            TypeError,
            match=rf"params is an iterable of Variables or of dicts, not one {type_name}; model.parameters\(\) is one",
        ):
            cls(params)
    with pytest.raises(TypeError, match=f"{name} optimizes Variables; parameter 0 is float"):
        cls([1.0])
    with pytest.raises(TypeError, match=r"(has no option|unexpected keyword argument) 'momentums'"):
        cls([p], momentums=0.1)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("LBFGS", "Muon")])
def test_hints_of_pytorch_have_no_effect(name: str) -> None:
    p = _parameter()
    optimizer = getattr(rustorch, name)([p], foreach=True, fused=None, capturable=False, differentiable=False)
    assert "foreach" not in optimizer.param_groups[0]
    with pytest.raises(ValueError, match=f"{name}: steps are not differentiable; write the update with"):
        getattr(rustorch, name)([p], differentiable=True)


@pytest.mark.parametrize("name", ["Adafactor", "LBFGS", "Muon"])
def test_complex_parameters_are_refused(name: str) -> None:
    p = nn.Parameter(rustorch.asarray([[1j]]))
    with pytest.raises(ValueError, match=f"{name} .*parameter 0 .*complex64"):
        getattr(rustorch, name)([p])


@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2)])
def test_muon_refuses_parameters_that_are_not_matrices(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Muon is for real matrices; parameter 1 has shape .* leave it to AdamW"):
        optim.Muon([_parameter(), nn.Parameter(rustorch.ones(shape))])


def test_lbfgs_refuses_a_second_group_and_a_second_device() -> None:
    p = _parameter()
    optimizer = optim.LBFGS([p])
    with pytest.raises(ValueError, match="LBFGS has one group of parameters"):
        optimizer.add_param_group({"params": [_parameter()]})
    with pytest.raises(ValueError, match="LBFGS has one group of parameters"):
        optim.LBFGS([{"params": [p]}, {"params": [_parameter()]}])
    pytest.importorskip("array_api_strict")
    with pytest.raises(ValueError, match="LBFGS: parameters on cpu and strict; move all of them to one device"):
        optim.LBFGS([p, nn.Parameter(rustorch.ones(2, device="strict"))])
