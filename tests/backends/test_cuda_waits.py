"""Layers, losses, optimizers and gradient clipping do not wait for the GPU, and copy nothing to it.

A wait costs more than the kernels it waits for, because the queue of launches runs empty. The stand-in for CuPy counts
waits and copies. The cases are the tables of the other tests, so no layer or optimizer is left out. Those that must
wait are listed here with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.nn.case import Case, Ours, build, leaves, mapped
from tests.nn.cases import TABLE
from tests.reference import cases, optim_cases
from tests.support.launches import Counts, counted
from tests.support.target import Target

pytestmark = pytest.mark.usefixtures("stand_in")

#: Layers whose calls wait, with the reason. A key is a class, or the name of a single case.
WAITING = {
    "AdaptiveLogSoftmaxWithLoss": "shapes depend on the number of samples in each cluster, which is on the GPU",
    "CTCLoss() in a row": "a shape depends on the length of the longest target, which is on the GPU",
}
#: Optimizers whose steps wait, with the reason.
WAITING_OPTIMIZERS = {"LBFGS": "its line search depends on the loss"}

CASES = [
    pytest.param(case, id=f"{family}: {case.name}") for (family, _), case in TABLE.items() if case.inputs is not None
]


def _counted(call: Callable[[], Any]) -> Counts:
    """The counts of a call, after its kernels are compiled and the state of an optimizer exists."""
    for _ in range(2):
        call()
    with counted() as counts:
        call()
    return counts


def _training(case: Case, library: Ours) -> Callable[[], None]:
    """A function that calls a layer and, if the output has gradients, runs backward."""
    module = build(case, library)

    def given(x: Any) -> Any:
        return library.new(x, x.dtype.kind == "f") if isinstance(x, numpy.ndarray) else x

    args, kwargs = mapped(given, case.arrays())
    if case.prepare is not None:
        args = case.prepare(library.nn.functional, *args)

    def call() -> None:
        module.zero_grad()
        inputs = mapped(lambda x: x * 1 if isinstance(x, rustorch.Variable) and x.requires_grad else x, args)
        outputs = [
            out for out in leaves(module(*inputs, **kwargs)) if isinstance(out, rustorch.Variable) and out.requires_grad
        ]
        if outputs:
            sum([out.sum() for out in outputs]).backward(retain_graph=case.prepare is not None)

    return call


def test_the_table_has_every_layer() -> None:
    layers = {name for name in nn.__all__ if isinstance(cls := getattr(nn, name), type) and issubclass(cls, nn.Module)}
    assert {case.cls for _, case in TABLE.items()} >= layers - {
        "Module",
        "ModuleList",
        "ModuleDict",
        "ParameterList",
        "ParameterDict",
    }
    assert set(WAITING) <= {name for case in TABLE.values() for name in (case.cls, case.name)}


@pytest.mark.parametrize("case", CASES)
def test_a_layer_does_not_wait(case: Case, cuda: Target) -> None:
    counts = _counted(_training(case, Ours(cuda)))
    reason = WAITING.get(case.cls, WAITING.get(case.name))
    assert bool(counts.waiting) == (reason is not None), (
        counts.waiting or f"it no longer waits, but the table says: {reason}"
    )


@pytest.mark.parametrize("name", optim_cases.table())
def test_a_step_does_not_wait(name: str, cuda: Target) -> None:
    cls, options = optim_cases.table()[name]
    if cls in WAITING_OPTIMIZERS:
        pytest.skip(f"{cls}: {WAITING_OPTIMIZERS[cls]}")
    parameters = [cuda.variable(array, requires_grad=True) for array in cases.sgd_start()]
    try:
        optimizer = getattr(rustorch, cls)(parameters, **options)
    except ValueError:  # Muon takes matrices alone
        optimizer = getattr(rustorch, cls)(parameters[:1], **options)
    for p in parameters:
        p.grad = cuda.array(numpy.ones(p.shape))
    counts = _counted(optimizer.step)
    assert counts.launches
    assert not counts.waiting


CLIPPING: dict[str, Callable[[list[Any]], Any]] = {
    "clip_grad_norm_": lambda parameters: nn.utils.clip_grad_norm_(parameters, 1.0),
    "clip_grad_norm_ of infinity": lambda parameters: nn.utils.clip_grad_norm_(parameters, 1.0, norm_type=float("inf")),
    "clip_grad_norm_ of 3": lambda parameters: nn.utils.clip_grad_norm_(parameters, 1.0, norm_type=3.0),
    "clip_grad_value_": lambda parameters: nn.utils.clip_grad_value_(parameters, 0.5),
    "get_total_norm": lambda parameters: nn.utils.get_total_norm([p.grad for p in parameters]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CLIPPING)
def test_clipping_gradients_does_not_wait(name: str, dtype: str, cuda: Target) -> None:
    parameters = list(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).to(cuda.device, dtype=dtype).parameters())
    for p in parameters:
        p.grad = cuda.array(numpy.ones(p.shape), dtype)
    counts = _counted(lambda: CLIPPING[name](parameters))
    assert counts.launches
    assert not counts.waiting


#: Operations of ordinary programs, which must not wait.
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "a training step's own operations": lambda x, i: ((x @ x.T).sum() * 2 - x.mean()).backward(),
    "indexing by integers": lambda x, i: x[i].sum().backward(),
    "writing a number": lambda x, i: x.detach().__setitem__(0, 1.0),
    "writing an array": lambda x, i: x.detach().__setitem__(i, x.detach()[i]),
    "where": lambda x, i: rustorch.where(x > 0, x, 0.0).sum().backward(),
    "the second derivative": lambda x, i: rustorch.grad(rustorch.grad((x**3).sum(), x, create_graph=True)[0].sum(), x),
    "random numbers": lambda x, i: rustorch.randn(3, device="cuda") + rustorch.rand(3, device="cuda"),
    "integers and permutations": lambda x, i: (
        rustorch.randint(0, 9, (3,), device="cuda"),
        rustorch.randperm(5, device="cuda"),
    ),
    "new arrays": lambda x, i: (
        rustorch.zeros(3, device="cuda"),
        rustorch.full((2,), 1.5, device="cuda"),
        rustorch.arange(3, device="cuda"),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_ordinary_operation_does_not_wait(name: str, cuda: Target) -> None:
    x = cuda.variable(numpy.arange(12.0).reshape(3, 4), requires_grad=True)
    i = cuda.variable([0, 2], rustorch.int64)
    assert not _counted(lambda: OPERATIONS[name](x, i)).waiting


def test_indexing_by_a_mask_waits(cuda: Target) -> None:
    """It must wait: the shape of the result depends on values on the GPU."""
    x = cuda.variable([1.0, -2.0])
    assert _counted(lambda: x[x > 0]).syncs == {"mask index": 1}
