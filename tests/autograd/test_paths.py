"""The fast paths of `recording` and `engine` do what the general path does: random programs run through both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import numpy
import pytest
from hypothesis import strategies as st

import rustorch
from rustorch.autograd import engine, recording
from rustorch.autograd.graph import FAST_TYPES, VARIABLES, Node, general_path
from tests.support.target import Target, host

F = rustorch.nn.functional

#: What a program is made of: functions of one value, of two, and of a value and a number.
UNARY: dict[str, Callable] = {
    "exp": lambda x: rustorch.exp(x * 0.1),
    "tanh": rustorch.tanh,
    "negative": lambda x: -x,
    "square": rustorch.square,
    "sign": rustorch.sign,
    "floor": rustorch.floor,
    "sum": lambda x: x.sum(),
    "sum of rows": lambda x: rustorch.sum(x, axis=-1, keepdims=True),
    "mean": rustorch.mean,
    "relu": F.relu,
    "softmax": lambda x: F.softmax(x, dim=-1),
    "transpose": lambda x: x.mT,
    "index": lambda x: x[:1],
    "index array": lambda x: rustorch.take(x, rustorch.asarray([0, 0, 1], device=x.device), axis=0),
    "max": lambda x: rustorch.max(x, axis=0, keepdims=True),
    "layer_norm": lambda x: F.layer_norm(x, (x.shape[-1],)),
    "unstack": lambda x: rustorch.unstack(x)[-1] * rustorch.unstack(x)[0] + rustorch.zeros_like(x),
    "svd": lambda x: rustorch.linalg.svd(x, full_matrices=False)[1].sum() + x,
    "astype": lambda x: x.astype(rustorch.float32).astype(rustorch.float64),
    "greater": lambda x: rustorch.where(x > 0, x, 0.5 * x),
    "detach": lambda x: x.detach() * x,
}
BINARY: dict[str, Callable] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (y * y + 1.0),
    "maximum": rustorch.maximum,
    "matmul": lambda x, y: x @ y,
    "linear": lambda x, y: F.linear(x, y),
    "mse": lambda x, y: F.mse_loss(x, y),
    "concat": lambda x, y: rustorch.concat([x, y]),
    "atan2": rustorch.atan2,
}
NUMBER: dict[str, Callable] = {
    "add": lambda x, n: x + n,
    "reflected subtract": lambda x, n: n - x,
    "multiply": lambda x, n: n * x,
    "divide": lambda x, n: x / n,
    "maximum": rustorch.maximum,
    "compare": lambda x, n: x * (x < n),
    "NumPy scalar": lambda x, n: x * numpy.float32(n),
    "NumPy array": lambda x, n: x + numpy.full((1, 3), n),
}

step = st.one_of(
    st.tuples(st.just("unary"), st.sampled_from(sorted(UNARY)), st.integers(0, 9)),
    st.tuples(st.just("binary"), st.sampled_from(sorted(BINARY)), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(
        st.just("number"),
        st.sampled_from(sorted(NUMBER)),
        st.integers(0, 9),
        st.sampled_from([2, -1, 0.5, True, 1j, 10**30]),
    ),
)


def run(program: list[tuple], device: str, requires: tuple[bool, bool, bool], options: dict[str, Any]) -> list[Any]:
    """What a program computes and records: values, the graph, gradients, and the errors of steps that fail."""
    rng = numpy.random.default_rng(0)
    values = [
        rustorch.asarray(rng.normal(size=shape), device=device, dtype=rustorch.float64).detach()
        for shape in ((2, 3), (3, 3), (1, 3))
    ]
    for value, needed in zip(values, requires, strict=True):
        value.requires_grad_(needed)
    leaves = list(values)
    report: list[Any] = []
    for kind, name, *arguments in program:
        try:
            if kind == "unary":
                out = UNARY[name](values[arguments[0] % len(values)])
            elif kind == "binary":
                out = BINARY[name](values[arguments[0] % len(values)], values[arguments[1] % len(values)])
            else:
                out = NUMBER[name](values[arguments[0] % len(values)], arguments[1])
        except Exception as error:
            report.append((type(error), str(error)))
            continue
        values.append(out)
        report.append((described(out), graph_of(out, leaves)))
    result = values[-1]
    try:
        if options["create_graph"]:
            (first,) = rustorch.grad(result.sum(), leaves[0], create_graph=True, retain_graph=options["retain_graph"])
            report.append(described(first))
            (rustorch.sum(first * first) + result.sum()).backward(retain_graph=options["retain_graph"])
        else:
            result.sum().backward(retain_graph=options["retain_graph"])
            if options["twice"]:
                result.sum().backward()
    except Exception as error:
        report.append((type(error), str(error)))
    report.append([None if leaf.grad is None else described(rustorch.asarray(leaf.grad)) for leaf in leaves])
    return report


def described(x: Any) -> tuple:
    return type(x), x.shape, str(x.dtype), x.device, x.requires_grad, host(x).tobytes()


def graph_of(x: Any, leaves: list[Any]) -> list[tuple]:
    """The nodes that a value depends on, with what each saved, numbered in the order of a walk."""
    numbers: dict[int, int] = {}
    found: list[tuple] = []

    def visit(node: Any) -> Any:
        if type(node) is not Node:
            return None if node is None else next((i for i, leaf in enumerate(leaves) if leaf is node), "other leaf")
        if node.seq not in numbers:
            numbers[node.seq] = len(numbers)
            parents = [visit(parent) for parent in node.parents]
            saved = [host(v).tobytes() if hasattr(v, "shape") else repr(v) for v in node.saved or ()]
            rules = [call[0] for call in node.plan.calls]
            found.append((node.primitive.name, parents, saved, rules, tuple(node.shape), str(node.dtype)))
        return ("node", numbers[node.seq])

    visit(x._node or x)
    return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the general path and the fast backward were taken."""
    counts = {"general": 0, "fast backward": 0}
    general, fast = recording.general, engine._propagate_fast

    def counting(name: str, function: Callable) -> Callable:
        def run(*args: Any) -> Any:
            counts[name] += 1
            return function(*args)

        return run

    monkeypatch.setattr(recording, "general", counting("general", general))
    monkeypatch.setattr(engine, "_propagate_fast", counting("fast backward", fast))
    return counts


@hypothesis.settings(max_examples=150, deadline=None, derandomize=True)
@hypothesis.given(
    program=st.lists(step, min_size=1, max_size=8),
    requires=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    options=st.fixed_dictionaries({name: st.booleans() for name in ("create_graph", "retain_graph", "twice")}),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs_give_the_same_on_both_paths(
    program: list[tuple], requires: tuple[bool, bool, bool], options: dict[str, bool]
) -> None:
    fast = run(program, "cpu", requires, options)
    with general_path():
        general = run(program, "cpu", requires, options)
    assert fast == general


@pytest.mark.parametrize("name", sorted(UNARY))
def test_every_unary_step_gives_the_same_on_both_paths(name: str, backend: Target) -> None:
    both_paths([("unary", name, 0)], backend)


@pytest.mark.parametrize("name", sorted(BINARY))
def test_every_binary_step_gives_the_same_on_both_paths(name: str, backend: Target) -> None:
    both_paths([("binary", name, 1, 1), ("binary", name, 0, 2)], backend)


@pytest.mark.parametrize("name", sorted(NUMBER))
@pytest.mark.parametrize("number", [2, 0.5, True, 1j])
def test_every_step_with_a_number_gives_the_same_on_both_paths(name: str, number: Any, backend: Target) -> None:
    both_paths([("number", name, 0, number)], backend)


def both_paths(program: list[tuple], backend: Target) -> None:
    for requires in ((True, True, True), (False, True, False)):
        for create_graph in (False, True):
            options = {"create_graph": create_graph, "retain_graph": False, "twice": False}
            with numpy.errstate(all="ignore"):
                fast = run(program, backend.device, requires, options)
                with general_path():
                    general = run(program, backend.device, requires, options)
            assert fast == general


def test_no_grad_gives_the_same_on_both_paths(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    for _ in range(2):
        with rustorch.no_grad():
            values = [rustorch.exp(x), x + x, x * 2.0, F.relu(x)]
            with general_path():
                values += [rustorch.exp(x), x + x, x * 2.0, F.relu(x)]
        assert not any(value.requires_grad for value in values)


def test_ordinary_programs_take_the_fast_paths(counted: dict[str, int]) -> None:
    """Otherwise the tests above would compare the general path with itself."""
    x = rustorch.tensor([[1.0, 2.0]], requires_grad=True)
    (F.relu(rustorch.exp(x) * x + 2.0)).sum().backward()
    assert counted == {"general": 0, "fast backward": 1}


def test_the_switch_turns_every_fast_path_off(counted: dict[str, int]) -> None:
    x = rustorch.tensor([[1.0, 2.0]], requires_grad=True)
    with general_path():
        assert not FAST_TYPES
        (F.relu(rustorch.exp(x) * x + 2.0)).sum().backward()
    assert counted == {"general": 5, "fast backward": 0}
    assert FAST_TYPES == VARIABLES


def test_a_class_defined_on_the_general_path_takes_the_fast_paths_later() -> None:
    with general_path():

        class Own(rustorch.Variable):
            pass

        assert Own not in FAST_TYPES
    assert Own in FAST_TYPES
