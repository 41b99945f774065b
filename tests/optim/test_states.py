"""The state of every optimizer: exchange with PyTorch, resumed training, complex parameters, memory."""

from __future__ import annotations

import copy
import tracemalloc
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from tests.reference import cases, optim_cases
from tests.support.target import Target

TABLE = optim_cases.table()
#: Class -> its case with the most options.
FULLEST = {
    cls: max((name for name in TABLE if TABLE[name][0] == cls), key=lambda name: len(TABLE[name][1]))
    for cls in optim_cases.OPTIONS
}
STEPWISE = [cls for cls in optim_cases.OPTIONS if cls not in ("LBFGS", "Adafactor", "Muon")]


def _steps(library: Any, optimizer: Any, factor: Any, parameters: list[Any], n: int) -> None:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = library.sum(library.sin(library.matmul(factor, parameters[0])) ** 2)
        loss.backward()
        return loss

    for _ in range(n):
        optimizer.step(closure)


@pytest.mark.parametrize("name", TABLE)
def test_a_run_is_resumed_from_pytorchs_state_and_pytorch_resumes_it(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to make a state")
    from tests.reference.make import in_double

    cls, options = TABLE[name]
    options = {**options, "lr": 0.01}
    factor, start = cases.numbers((4, 3)), cases.sgd_start()[0]
    with in_double():
        theirs = torch.tensor(start, requires_grad=True)
        their_optimizer = getattr(torch.optim, cls)([theirs], **options)
        _steps(torch, their_optimizer, torch.tensor(factor), [theirs], 3)
        ours = rustorch.Variable(theirs.detach().numpy().copy(), requires_grad=True)
        optimizer = getattr(rustorch, cls)([ours])
        optimizer.load_state_dict(their_optimizer.state_dict())
        assert optimizer.lr == 0.01
        _steps(torch, their_optimizer, torch.tensor(factor), [theirs], 3)
        _steps(rustorch, optimizer, rustorch.Variable(factor), [ours], 3)
        numpy.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-9, atol=1e-10)

        def tensors(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: tensors(v) for key, v in value.items()}
            if isinstance(value, list):
                return [tensors(v) for v in value]
            return torch.tensor(value.data) if isinstance(value, rustorch.Variable) else value

        state = tensors(optimizer.state_dict())
        entries = their_optimizer.state_dict()["state"].get(0, {})
        assert set(state["state"].get(0, {})) == {key for key in entries if entries[key] is not None} - {"al"}
        assert set(state["param_groups"][0]) >= set(optimizer.defaults)
        for key, value in their_optimizer.param_groups[0].items():
            state["param_groups"][0].setdefault(key, value)
        again = getattr(torch.optim, cls)([theirs], lr=1.0)
        again.load_state_dict(state)
        _steps(torch, again, torch.tensor(factor), [theirs], 3)
        _steps(rustorch, optimizer, rustorch.Variable(factor), [ours], 3)
        numpy.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("cls", FULLEST)
def test_a_resumed_run_is_the_same_bit_for_bit(cls: str, backend: Target) -> None:
    options = TABLE[FULLEST[cls]][1]
    factor = backend.variable(cases.numbers((4, 3)))

    def start(array: numpy.ndarray, **options: Any) -> tuple[Any, Any]:
        p = backend.variable(array, requires_grad=True)
        return p, getattr(rustorch, cls)([p], **options)

    through, optimizer = start(cases.sgd_start()[0], **options)
    _steps(rustorch, optimizer, factor, [through], 6)
    first, optimizer = start(cases.sgd_start()[0], **options)
    _steps(rustorch, optimizer, factor, [first], 3)
    state = copy.deepcopy(optimizer.state_dict())
    resumed, optimizer = start(backend.numpy(first))
    optimizer.load_state_dict(state)
    _steps(rustorch, optimizer, factor, [resumed], 3)
    numpy.testing.assert_array_equal(backend.numpy(through), backend.numpy(resumed))


@pytest.mark.parametrize("other", STEPWISE)
@pytest.mark.parametrize("cls", STEPWISE)
def test_the_state_of_another_optimizer_is_refused(cls: str, other: str) -> None:
    def trained(cls: str) -> tuple[Any, Any]:
        p = nn.Parameter([1.0, -2.0])
        optimizer = getattr(rustorch, cls)([p], **TABLE[FULLEST[cls]][1])
        p.grad = numpy.array([0.5, 1.0], "float32")
        optimizer.step()
        return p, optimizer

    (p, optimizer), (_, other_optimizer) = trained(cls), trained(other)
    before, entries = repr(optimizer), dict(optimizer.state[p])
    layouts = {"AdamW": "Adam"}
    if layouts.get(cls, cls) == layouts.get(other, other):
        optimizer.load_state_dict(other_optimizer.state_dict())
        return
    with pytest.raises(
        ValueError,
        match=f"{cls}.load_state_dict: the state of other parameters or another optimizer; nothing was loaded",
    ):
        optimizer.load_state_dict(other_optimizer.state_dict())
    assert repr(optimizer) == before
    assert all(optimizer.state[p][name] is entries[name] for name in entries)


#: A change of the state of an Adam, and the message of the error.
MALFORMED: list[tuple[Any, str]] = [
    (lambda s: s["state"][0].update(exp_avg=None), r"parameter 0: exp_avg is None, here an array of shape \(2,\)"),
    (lambda s: s["state"][0].update(exp_avg=0.5), r"parameter 0: exp_avg has shape \(\), here \(2,\)"),
    (lambda s: s["state"][0].update(exp_avg="x"), r"parameter 0: exp_avg is 'x', here an array of shape \(2,\)"),
    (
        lambda s: s["state"][0].update(exp_avg=numpy.ones(2, "complex128")),
        "parameter 0: exp_avg: .*would drop the imaginary part",
    ),
    (lambda s: s["state"][0].update(step="x"), "parameter 0: step is 'x', here a number"),
    (lambda s: s["state"][0].update(step=None), "parameter 0: step is None, here a number"),
    (lambda s: s["state"][0].update(step=numpy.ones(2)), r"parameter 0: step is array\(\[1., 1.\]\), here a number"),
    *[
        (
            change,
            "'param_groups' is a list of dicts, each with a list of 'params', and 'state' a dict of dicts; nothing was "
            "loaded",
        )
        for change in (
            lambda s: s.update(state=None),
            lambda s: s["state"].update({0: None}),
            lambda s: s.update(param_groups=None),
            lambda s: s.update(param_groups={"lr": 1.0}),
            lambda s: s["param_groups"][0].pop("params"),
        )
    ],
]


@pytest.mark.parametrize(("change", "message"), MALFORMED)
def test_a_malformed_state_is_refused_and_nothing_is_loaded(change: Any, message: str) -> None:
    p = nn.Parameter([1.0, -2.0])
    optimizer = optim.Adam([p])
    p.grad = numpy.array([0.5, 1.0], "float32")
    optimizer.step()
    before, entries = repr(optimizer), dict(optimizer.state[p])
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0]["lr"] = 0.7
    change(state)
    with pytest.raises(ValueError, match=f"Adam.load_state_dict: (.|\n)*{message}"):
        optimizer.load_state_dict(state)
    assert repr(optimizer) == before
    assert all(optimizer.state[p][name] is entries[name] for name in entries)


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name][0] in STEPWISE])
def test_a_complex_parameter_is_updated_as_a_pair_of_real_ones(name: str, backend: Target) -> None:
    cls, options = TABLE[name]
    values = cases.numbers((2, 3)) + 1j * cases.numbers((2, 3), 0.7)
    z = rustorch.Variable(backend.array(values, "complex128"), requires_grad=True)
    pair = backend.variable(numpy.stack([values.real, values.imag]), requires_grad=True)
    one, other = getattr(rustorch, cls)([z], **options), getattr(rustorch, cls)([pair], **options)
    for i in range(4):
        g = cases.numbers((2, 3), 0.3 * i) + 1j * cases.numbers((2, 3), 0.5 * i)
        z.grad, pair.grad = backend.array(g, "complex128"), backend.array(numpy.stack([g.real, g.imag]))
        one.step()
        other.step()
    assert z.dtype == rustorch.complex128
    actual, expected = backend.numpy(z), backend.numpy(pair)
    numpy.testing.assert_allclose(numpy.stack([actual.real, actual.imag]), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("cls", [cls for cls in STEPWISE if cls != "Muon"])
def test_a_complex_number_is_updated_as_a_pair_of_real_ones(cls: str, backend: Target) -> None:
    z = backend.variable(1 + 2j, "complex128", requires_grad=True)
    pair = backend.variable([1.0, 2.0], requires_grad=True)
    optimizers = [getattr(optim, cls)([p], lr=0.1) for p in (z, pair)]
    for _ in range(3):
        z.grad, pair.grad = backend.array(0.5 - 0.1j, "complex128"), backend.array([0.5, -0.1])
        for optimizer in optimizers:
            optimizer.step()
    assert z.shape == ()
    numpy.testing.assert_allclose([backend.numpy(z).real, backend.numpy(z).imag], backend.numpy(pair), rtol=1e-14)


@pytest.mark.parametrize("cls", ["Adam", "Adagrad", "Rprop", "RMSprop"])
def test_states_of_complex_parameters_are_those_of_pytorch(cls: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to be asked")
    values = cases.numbers((4,)) + 1j * cases.numbers((4,), 0.7)
    options = {"initial_accumulator_value": 0.5} if cls == "Adagrad" else {}
    ours, theirs = rustorch.Variable(values.copy(), requires_grad=True), torch.tensor(values, requires_grad=True)
    optimizer, their_optimizer = (
        getattr(rustorch, cls)([ours], **options),
        getattr(torch.optim, cls)([theirs], **options),
    )
    for i in range(3):
        g = cases.numbers((4,), 0.3 * i) + 1j * cases.numbers((4,), 0.5 * i)
        ours.grad, theirs.grad = g, torch.tensor(g)
        optimizer.step()
        their_optimizer.step()
    numpy.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-12)
    for key, value in their_optimizer.state_dict()["state"][0].items():
        numpy.testing.assert_allclose(optimizer.state_dict()["state"][0][key], value.numpy(), rtol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name][0] != "LBFGS"])
def test_a_step_allocates_at_most_one_array_of_the_parameters_size(name: str) -> None:
    cls, options = TABLE[name]
    # the Gram matrix of a wide matrix is small
    p = nn.Parameter(numpy.ones((8, 100_000) if cls == "Muon" else (800, 1000), "float32"))
    p.grad = numpy.full(p.shape, 0.1, "float32")
    optimizer = getattr(rustorch, cls)([p], **options)
    optimizer.step()  # makes the state
    data = p.data
    arrays = {key: value for key, value in optimizer.state[p].items() if isinstance(value, numpy.ndarray)}
    tracemalloc.start()
    try:
        optimizer.step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    allowed = 2.1 if cls == "Muon" else 1.1  # a product of matrices cannot overwrite its factor
    assert peak < allowed * p.data.nbytes
    assert p.data is data, "in place"
    assert all(optimizer.state[p][key] is value for key, value in arrays.items()), "in place"


def test_named_parameters_are_accepted() -> None:
    model = nn.Linear(2, 1)
    optimizer = optim.Adam(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"] == list(model.parameters())


def test_a_gradient_of_another_dtype_changes_no_parameter() -> None:
    p, q = nn.Parameter([1.0]), nn.Parameter([2.0])
    optimizer = optim.Adam([p, q])
    p.grad, q.grad = numpy.ones(1, "float32"), numpy.ones(1, "float32")
    q.data = q.data.astype("float64")
    with pytest.raises(
        RuntimeError, match=r"Adam: a parameter \(1,\) float64 on 'cpu' has a gradient \(1,\) float32 on 'cpu'; convert"
    ):
        optimizer.step()
    assert (p.tolist(), q.tolist(), optimizer.state, optimizer.steps) == ([1.0], [2.0], {}, 0)
    with pytest.raises(ValueError, match=r"a gradient has its Variable's shape, dtype and device"):
        p.grad = numpy.ones(1, "float64")


@pytest.mark.parametrize(
    ("cls", "later"), [("RMSprop", {"momentum": 0.5}), ("RMSprop", {"centered": True}), ("Adam", {"amsgrad": True})]
)
def test_an_option_can_be_switched_on_between_steps(cls: str, later: dict[str, Any], backend: Target) -> None:
    p = backend.variable(numpy.array([1.0, -2.0]), requires_grad=True)
    optimizer = getattr(rustorch, cls)([p])
    for options in ({}, later, later):
        optimizer.param_groups[0].update(options)
        p.grad = backend.array([0.5, 1.0])
        optimizer.step()
    assert len(optimizer.state[p]) == len(optimizer.start(rustorch, p, optimizer.param_groups[0]))
