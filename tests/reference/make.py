"""Compute the committed numbers with PyTorch: run ``python -m tests.reference.make``.

With names behind it, the command writes the files of these names alone. A test compares the committed numbers with new
ones where PyTorch is installed.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tests.nn.case import Case, digest, evaluate_by_pytorch
from tests.nn.cases import FAMILIES

from . import cases, lr_scheduler_cases, optim_cases, swa_cases


def _tensor(array: Any, tracked: bool = False) -> torch.Tensor:
    return torch.tensor(array).requires_grad_(tracked)


def functions(table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The output and the gradients of every case."""
    results = {}
    for name, case in table.items():
        arrays = {key: _tensor(array, key in case["tracked"]) for key, array in case["arrays"].items()}
        out = getattr(torch.nn.functional, case["function"])(**arrays, **case["options"])
        out.backward(_tensor(cases.output_gradient(tuple(out.shape))))
        results[name] = {
            "output": out.tolist(),
            "gradients": {key: arrays[key].grad.tolist() for key in case["tracked"]},
        }
    return results


def architectures() -> dict[str, Any]:
    """The repr of every architecture, and the keys and shapes of its state."""
    results = {}
    for name, build in cases.ARCHITECTURES.items():
        model = build(torch.nn)
        results[name] = {
            "repr": repr(model),
            "state": {key: list(value.shape) for key, value in model.state_dict().items()},
        }
    return results


def optimizers() -> dict[str, Any]:
    """The parameters after some of the steps, for every combination of options and for two groups."""
    factor = _tensor(cases.numbers((4, 3)))

    def run(build: Any) -> dict[str, Any]:
        parameters = [_tensor(array, True) for array in cases.sgd_start()]
        optimizer = build(parameters)
        parameters_after = {}
        for step in range(1, cases.SGD_STEPS + 1):
            optimizer.zero_grad()
            cases.sgd_loss(torch, factor, *parameters).backward()
            optimizer.step()
            if step in cases.SGD_COMPARED_STEPS:
                parameters_after[str(step)] = {"weight": parameters[0].tolist(), "bias": parameters[1].tolist()}
        return parameters_after

    results = {
        name: run(lambda parameters, options=options: torch.optim.SGD(parameters, lr=cases.SGD_LR, **options))
        for name, options in cases.sgd().items()
    }
    first, second = cases.SGD_GROUPS
    results["groups"] = run(
        lambda parameters: torch.optim.SGD(
            [{"params": [parameters[0]], **first}, {"params": [parameters[1]], **second}], lr=cases.SGD_LR
        )
    )
    return results


@contextlib.contextmanager
def in_double() -> Iterator[None]:
    """Let PyTorch's optimizers compute in float64. This includes Muon, which otherwise always iterates in bfloat16."""
    bfloat16 = torch.Tensor.bfloat16
    torch.set_default_dtype(torch.float64)
    torch.Tensor.bfloat16 = torch.Tensor.clone  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = bfloat16  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float32)


def all_optimizers() -> dict[str, Any]:
    """The parameters after some of the steps, for every case of every optimizer."""
    with in_double():
        return {
            name: optim_cases.train(
                torch,
                _tensor,
                torch.Tensor.tolist,
                lambda params, cls=cls, kw=kw: getattr(torch.optim, cls)(params, **kw),
            )
            for name, (cls, kw) in optim_cases.table().items()
        }


def training() -> dict[str, Any]:
    """The loss before every step, and the state after the last one."""
    model = cases.ARCHITECTURES["mlp"](torch.nn).double()
    model.load_state_dict({name: torch.tensor(array) for name, array in cases.train_start().items()})
    rows, labels = map(torch.tensor, cases.train_data())
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), **cases.TRAIN_OPTIONS)
    losses = []
    for _ in range(cases.TRAIN_STEPS):
        optimizer.zero_grad()
        loss = criterion(model(rows), labels)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return {"losses": losses, "state": {name: value.tolist() for name, value in model.state_dict().items()}}


def schedules() -> dict[str, Any]:
    """The learning rates and momenta of every schedule, after some of 200 steps."""
    library = lr_scheduler_cases.Theirs()
    return {
        name: lr_scheduler_cases.digest(lr_scheduler_cases.run(case, library))
        for name, case in lr_scheduler_cases.TABLE.items()
    }


def averages() -> dict[str, Any]:
    """The averaged weights and the statistics of batch norm, for every function of averages."""
    utils = torch.optim.swa_utils
    return {
        name: swa_cases.run(name, torch.nn, utils, torch.tensor, lambda t: t.detach().numpy())
        for name in swa_cases.TABLE
    }


def modules(family: list[Case]) -> dict[str, Any]:
    """A digest of the repr, the state, the outputs and the gradients of every layer."""
    return {case.name: digest(case, evaluate_by_pytorch(case)) for case in family}


def everything(names: Sequence[str] = ()) -> dict[str, Any]:
    """Name of a file -> its content, for these names or for all."""
    parts: dict[str, Callable[[], Any]] = {
        "functional": lambda: functions(cases.functional()),
        "cross_entropy": lambda: functions(cases.cross_entropy()),
        "architectures": architectures,
        "sgd": optimizers,
        "optim": all_optimizers,
        "lr_scheduler": schedules,
        "swa_utils": averages,
        "training": training,
        **{f"nn_{name}": partial(modules, family) for name, family in FAMILIES.items()},
    }
    return {name: parts[name]() for name in names or parts}


def main(names: Sequence[str]) -> None:
    """Write one file for each name."""
    for name, content in everything(names).items():
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
        (Path(__file__).parent / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
