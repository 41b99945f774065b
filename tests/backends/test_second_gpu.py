"""Everything works on a GPU that is not the current one: on "cuda:1", while "cuda" is.

With ``CUPY_STAND_IN_GPUS=2`` the stand-in for CuPy has two GPUs; one that lies on the wrong one is an error to it. With
one of them, the last test of this file runs all others in a process that has two.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import backends, nn
from tests.nn.case import Case, Ours, evaluate
from tests.nn.cases import EVERYWHERE
from tests.reference import optim_cases
from tests.support.target import Target

F = nn.functional
HERE = "cuda:1"


@pytest.fixture(params=["cuda"])
def second(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The second GPU, while the first one is current, before and after."""
    try:
        backends.resolve(HERE)
    except RuntimeError as reason:
        pytest.skip(f"{HERE}: {reason}")
    import cupy

    request.node.user_properties.append(("backend", "cuda"))
    assert cupy.cuda.Device().id == 0
    yield Target(HERE)
    assert cupy.cuda.Device().id == 0


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{family}: {case.name}") for (family, _), case in EVERYWHERE.items()]
)
def test_layers(case: Case, second: Target) -> None:
    expected = evaluate(case, Ours(Target("cpu")))
    found = evaluate(case, Ours(second), expected.start)
    assert found.repr == expected.repr
    for name, value in expected.values.items():
        if value is None:
            assert found.values[name] is None
        else:
            numpy.testing.assert_allclose(found.values[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("cls", optim_cases.OPTIONS)
def test_optimizers(cls: str, second: Target) -> None:
    def trained(target: Target) -> dict[str, Any]:
        return optim_cases.train(
            rustorch,
            lambda array, tracked: target.variable(array, requires_grad=tracked),
            lambda p: target.numpy(p).tolist(),
            lambda parameters: getattr(rustorch, cls)(parameters, **optim_cases.OPTIONS[cls][-1]),
        )

    expected, found = trained(Target("cpu")), trained(second)
    for step, values in expected.items():
        for name, value in values.items():
            numpy.testing.assert_allclose(
                found[step][name], value, rtol=1e-9, atol=1e-10, err_msg=f"{name} after {step} steps"
            )


def _network() -> None:
    """A network with all kinds of layers trains, in float32, with its gradients clipped."""
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2),
        nn.AvgPool2d(2),
        nn.Flatten(2),
        nn.TransformerEncoderLayer(16, 4, 32, 0.1, "gelu", batch_first=True, norm_first=True),
        nn.Flatten(),
        nn.Linear(128, 10),
    ).to(HERE)
    optimizer = rustorch.AdamW(model.parameters())
    averaged = rustorch.optim.swa_utils.AveragedModel(model)
    for _ in range(2):
        optimizer.zero_grad()
        loss = F.cross_entropy(
            model(rustorch.randn(3, 1, 32, 32, device=HERE)), rustorch.tensor([0, 9, 4], device=HERE)
        )
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
        averaged.update_parameters(model)
    assert numpy.isfinite(loss.item())
    assert {p.device for p in (*model.state_dict().values(), *averaged.parameters())} == {HERE}
    copy.deepcopy(model).load_state_dict(model.state_dict())


def _in_place() -> list[float]:
    y = rustorch.arange(4, dtype=rustorch.float64, device=HERE)
    y += 1
    y *= y
    y[0] = 3
    y[y > 10] = 0.0
    y[rustorch.tensor([1], device=HERE)] = rustorch.tensor([7.0], dtype=rustorch.float64, device=HERE)
    return y.tolist()


def _x(*shape: int) -> rustorch.Variable:
    return rustorch.tensor(numpy.arange(1.0, 1 + numpy.prod(shape)).reshape(shape), device=HERE, requires_grad=True)


def _gradient(call: Callable[[Any], Any], *shape: int) -> Any:
    """That of a sum."""
    x = _x(*shape)
    call(x).sum().backward()
    assert rustorch.Variable(x.grad).device == HERE
    return rustorch.Variable(x.grad).tolist()


#: What is done, and what it gives; None for whatever it gives.
OPERATIONS: dict[str, tuple[Callable[[], Any], Any]] = {
    "a network": (_network, None),
    "writes in place": (_in_place, [3.0, 7.0, 9.0, 0.0]),
    "where": (lambda: _gradient(lambda x: rustorch.where(x > 2, x, 0.0), 3), [0.0, 0.0, 1.0]),
    "concat": (lambda: _gradient(lambda x: rustorch.concat([x, x]), 2), [2.0, 2.0]),
    "an output without a gradient": (lambda: _gradient(lambda x: rustorch.linalg.eigh(x @ x.mT)[0], 2, 2), None),
    "stack": (lambda: _gradient(lambda x: rustorch.stack([x, x]), 2), [2.0, 2.0]),
    "indices": (lambda: _gradient(lambda x: x[rustorch.tensor([0, 1, 1], device=HERE)], 3), [1.0, 2.0, 0.0]),
    "a mask": (lambda: _gradient(lambda x: x[x > 1.5], 3), [0.0, 1.0, 1.0]),
    "take_along_axis": (
        lambda: _gradient(lambda x: rustorch.take_along_axis(x, rustorch.argsort(x)), 3),
        [1.0, 1.0, 1.0],
    ),
    "the second derivative": (lambda: _second_derivative(), [6.0, 12.0]),
    "sums of Python": (lambda: sum([_x(2), _x(2)]).tolist(), [2.0, 4.0]),
    "iteration": (lambda: [float(v) for v in _x(3).detach()], [1.0, 2.0, 3.0]),
    "a truth": (lambda: bool((_x(3) > 2.5).any()), True),
    "repr": (lambda: "cuda:1" in repr(_x(2)), True),
    "like": (
        lambda: [f(_x(2)).device for f in (rustorch.zeros_like, rustorch.ones_like, rustorch.empty_like)],
        [HERE] * 3,
    ),
    "fft": (lambda: rustorch.fft.fft(rustorch.ones(4, device=HERE)).tolist(), [4, 0, 0, 0]),
    "sorting": (lambda: rustorch.sort(rustorch.tensor([3.0, 1.0], device=HERE)).tolist(), [1.0, 3.0]),
    "unique": (lambda: rustorch.unique_values(rustorch.tensor([1, 1, 2], device=HERE)).tolist(), [1, 2]),
    "init": (lambda: nn.init.orthogonal_(nn.Linear(3, 3).to(HERE).weight).device, HERE),
    "random numbers": (
        lambda: {
            f.device
            for f in (
                rustorch.randn(2, device=HERE),
                rustorch.randint(3, device=HERE),
                rustorch.randperm(3, device=HERE),
                rustorch.rand(2, device=HERE),
            )
        },
        {HERE},
    ),
    "checkpoint": (lambda: _gradient(lambda x: rustorch.checkpoint(lambda a: F.dropout(a, 0.5), x), 3), None),
    "gradcheck": (lambda: rustorch.gradcheck(lambda a: a * a, _x(2)), True),
    "func": (lambda: rustorch.func.grad(lambda a: (a * a).sum())(_x(2).detach()).tolist(), [2.0, 4.0]),
    "a seed": (lambda: _seeded() == _seeded(), True),
    "there and back": (lambda: _gradient(lambda x: (x.to("cuda") * 2).to(HERE), 2), [2.0, 2.0]),
    "to the host": (lambda: (_x(2).to("cpu") * 2).tolist(), [2.0, 4.0]),
}


def _second_derivative() -> Any:
    x = _x(2)
    (first,) = rustorch.grad((x**3).sum(), x, create_graph=True)
    return rustorch.grad(first.sum(), x)[0].tolist()


def _seeded() -> list[float]:
    rustorch.manual_seed(3)
    return rustorch.rand(3, device=HERE).tolist()


@pytest.mark.parametrize("what", OPERATIONS)
def test_operations(what: str, second: Target) -> None:
    call, expected = OPERATIONS[what]
    found = call()
    assert expected is None or found == expected


@pytest.mark.parametrize("name", ["cholesky", "det", "eigh", "inv", "qr", "slogdet", "svd", "pinv", "matrix_rank"])
def test_linear_algebra(name: str, second: Target) -> None:
    found = getattr(rustorch.linalg, name)(rustorch.eye(3, device=HERE) * 2)
    assert {part.device for part in (found if isinstance(found, tuple) else (found,))} == {HERE}


def test_operands_on_two_gpus_are_refused(second: Target) -> None:
    x, y = rustorch.ones(2, device="cuda"), rustorch.ones(2, device=HERE)
    message = r"operands are on different devices, 'cuda' and 'cuda:1'.*\.to\('cuda'\)"
    for call in (lambda: x + y, lambda: x @ y, lambda: rustorch.concat([x, y]), lambda: rustorch.where(x > 0, x, y)):
        with pytest.raises(RuntimeError, match=message):
            call()
    with pytest.raises(RuntimeError, match="'cuda' and the index on 'cuda:1'"):
        x[rustorch.tensor([0], device=HERE)]
    with pytest.raises(RuntimeError, match="different devices"):
        nn.Linear(2, 2).to(HERE)(x)


def test_in_a_process_of_its_own_with_two_gpus(stand_in: ModuleType) -> None:
    if rustorch.cuda.device_count() > 1:
        pytest.skip("there are two GPUs: the tests above ran")
    root = Path(__file__).parents[2]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--stand-in",
        "--backend",
        "cuda",
        "--require-backend",
        "cuda",
        str(Path(__file__).relative_to(root)),
    ]
    environment = os.environ | {"CUPY_STAND_IN_GPUS": "2"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
