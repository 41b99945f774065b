"""A step of several parameters computes the same as the plain version for each one, for every memory layout."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from rustorch.backends import kernels
from tests.reference import cases, optim_cases
from tests.support.launches import counted, is_stand_in
from tests.support.target import Target

TABLE = {name: case for name, case in optim_cases.table().items() if case[0] != "LBFGS"}
CLASSES = list(dict.fromkeys(cls for cls, _ in TABLE.values()))
#: The first case of each class, and its case with the most options.
SELECTED = [[name for name in TABLE if TABLE[name][0] == cls] for cls in CLASSES]
SELECTED = list(
    dict.fromkeys(name for names in SELECTED for name in (names[0], max(names, key=lambda name: len(TABLE[name][1]))))
)
#: Vectors, matrices and a stack of them; empty, with one element, and with enough elements for many blocks.
SHAPES = [(4,), (3, 4), (2, 3, 5), (), (0, 3), (1, 1), (3, 1500), (5, 2), (3, 4)]
MATRICES = [(3, 4), (4, 3), (3, 4), (1, 1), (5, 5), (3, 1500), (4, 3)]
#: Classes whose update needs means over the parameter, which an empty parameter does not have.
WITH_MEANS = {"Adafactor", "Muon"}
DTYPES = ["float64", "float32"]


def _shapes(cls: str) -> list[tuple[int, ...]]:
    return MATRICES if cls == "Muon" else [shape for shape in SHAPES if cls not in WITH_MEANS or 0 not in shape]


def _plain(cls: str) -> Any:
    """The optimizer with the plain version of its kernel, which it calls for one parameter after the other."""
    base: Any = getattr(optim, cls)

    def update(self: Any, xp: Any, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]) -> Any:
        kernel = partial(kernels.KERNELS[self.kernel], xp)
        new, *results = self.call_kernel(kernel, xp, p, g, state, options)
        state.update({name: value for name, value in zip(self.state_names, results, strict=True) if value is not None})
        return new

    return type(cls, (base,), {"update": update})


def _assert_same(backend: Target, actual: Any, expected: Any, what: str = "") -> None:
    """Assert that two lists of arrays have the same shapes, dtypes and, up to rounding, values."""
    for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
        a, b = backend.numpy(a), numpy.asarray(b) if isinstance(b, list) else backend.numpy(b)
        tolerance = 1e-12 if a.dtype == "float64" else 1e-5
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        numpy.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=f"{what} {i}")


def _arrays(optimizer: Any, p: Any) -> list[Any]:
    return [value for value in optimizer.state[p].values() if hasattr(value, "shape")]


def _numbers(optimizer: Any, p: Any) -> list[float]:
    return [value for value in optimizer.state[p].values() if not hasattr(value, "shape")]


@pytest.fixture
def stand_in(backend: Target) -> None:
    """Skip the test where launches cannot be counted."""
    if backend.device != "cuda" or not is_stand_in():
        pytest.skip("launches are counted on the stand-in for CuPy")


def _step(optimizer: Any) -> tuple[int, int]:
    """How many launches a step makes, and how often it waits for the GPU or copies from the host."""
    with counted() as counts:
        optimizer.step()
    return counts.launches.total(), len(counts.waiting)


# -- the numbers -------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # Adadelta's infinite rho, among others
@pytest.mark.parametrize("name", SELECTED)
def test_each_parameter_is_updated_as_by_the_plain_version(name: str, backend: Target) -> None:
    """The parameters have two dtypes and made different numbers of steps. Some have no gradient."""
    cls, options = TABLE[name]
    shapes = [(shape, dtype) for dtype in DTYPES for shape in _shapes(cls)]
    start = [cases.numbers(shape, 0.3 * i) for i, (shape, _) in enumerate(shapes)]
    host = Target("cpu")
    ours = [backend.variable(a, dtype, requires_grad=True) for a, (_, dtype) in zip(start, shapes, strict=True)]
    theirs = [host.variable(a, dtype, requires_grad=True) for a, (_, dtype) in zip(start, shapes, strict=True)]
    one, other = getattr(optim, cls)(ours, **options), _plain(cls)(theirs, **options)
    for step in range(3):
        for i, (shape, dtype) in enumerate(shapes):
            g = cases.numbers(shape, 0.7 * i + step)
            has_gradient = (i + step) % 3 or step == 2
            ours[i].grad = backend.array(g, dtype) if has_gradient else None
            theirs[i].grad = host.array(g, dtype) if has_gradient else None
        one.step()
        other.step()
    _assert_same(backend, ours, theirs, "parameter")
    for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        assert list(one.state[p]) == list(other.state[q])
        _assert_same(backend, _arrays(one, p), _arrays(other, q), f"parameter {i}: state")
        assert _numbers(one, p) == _numbers(other, q)


def _views(backend: Target, dtype: str) -> list[tuple[Any, Any]]:
    """Arrays, each with a view of it: with steps, transposed, a part, and the array itself."""
    bases = [backend.array(cases.numbers((6, 8), 0.1 * i), dtype) for i in range(4)]
    return [
        (bases[0], bases[0][:, ::2]),
        (bases[1], bases[1].T),
        (bases[2], bases[2][1:4, 2:7]),
        (bases[3], bases[3]),
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cls", CLASSES)
def test_views_are_updated_in_place(cls: str, dtype: str, backend: Target) -> None:
    options = {"momentum": 0.9} if cls == "SGD" else {}
    host = Target("cpu")
    bases, views = zip(*_views(backend, dtype), strict=True)
    before = [backend.numpy(base).copy() for base in bases]
    ours = [rustorch.Variable(view, requires_grad=True) for view in views]
    theirs = [host.variable(backend.numpy(view), dtype, requires_grad=True) for view in views]
    one, other = getattr(optim, cls)(ours, **options), _plain(cls)(theirs, **options)
    natives = [p.data for p in ours]
    for step in range(2):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = cases.numbers(p.shape, 0.5 * i + step)
            # a gradient can be transposed too
            p.grad = backend.array(g, dtype) if i % 2 else backend.array(g.T.copy(), dtype).T
            q.grad = host.array(g, dtype)
        one.step()
        other.step()
    _assert_same(backend, ours, theirs)
    for p, q in zip(ours, theirs, strict=True):
        _assert_same(backend, _arrays(one, p), _arrays(other, q))
    if not backend.library.mutable:
        return
    assert all(p.data is native for p, native in zip(ours, natives, strict=True)), "in place"
    outside = numpy.ones((6, 8), bool), numpy.ones((6, 8), bool)
    outside[0][:, ::2] = False
    outside[1][1:4, 2:7] = False
    for number, mask in ((0, outside[0]), (2, outside[1])):
        numpy.testing.assert_array_equal(backend.numpy(bases[number])[mask], before[number][mask])
        assert (backend.numpy(bases[number])[~mask] != before[number][~mask]).all()


def _many(dtype: str) -> list[Any]:
    """Small arrays, some of which are transposed, read-only, empty, or without dimensions; and a large one."""
    shapes = [(4,), (3, 4), (), (2, 3, 5), (0, 3), (1, 1), (7,), (7,), (3, 2), (100, 50), (5,), (2, 2)]
    arrays = [numpy.asarray(cases.numbers(shape, 0.3 * i), dtype) for i, shape in enumerate(shapes)]
    arrays[1] = arrays[1].T
    arrays[6].flags.writeable = False
    return arrays


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        *[(cls, {}) for cls in CLASSES if cls not in WITH_MEANS],
        ("SGD", {"momentum": 0.9}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ],
)
def test_many_small_parameters_on_the_cpu(cls: str, options: dict[str, Any], dtype: str) -> None:
    """They are updated as one. Two groups have different learning rates, and one parameter starts late."""
    ours, theirs = ([rustorch.Variable(a, requires_grad=True) for a in _many(dtype)] for _ in range(2))
    natives = [p.data for p in ours]
    one, other = (
        make([{"params": ps[:9], "lr": 0.02}, {"params": ps[9:]}], **options)
        for make, ps in ((getattr(optim, cls), ours), (_plain(cls), theirs))
    )
    for step in range(3):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = numpy.asarray(cases.numbers(p.shape, 0.7 * i + step), dtype)
            p.grad, q.grad = (g, g.copy()) if step or i != 3 else (None, None)
        one.step()
        other.step()
    host = Target("cpu")
    _assert_same(host, ours, theirs, "parameter")
    for i, (p, q, native) in enumerate(zip(ours, theirs, natives, strict=True)):
        _assert_same(host, _arrays(one, p), _arrays(other, q), f"parameter {i}: state")
        assert _numbers(one, p) == _numbers(other, q)
        assert (p.data is native) == native.flags.writeable
    assert natives[6].tolist() == _many(dtype)[6].tolist(), "read-only"


@pytest.mark.parametrize("cls", ["SGD", "Adam", "RMSprop"])
def test_foreign_writes_into_small_parameters_and_their_state_are_seen(cls: str) -> None:
    """Arrays of the state stay the same objects, and what a program writes into them counts."""
    parameters = [rustorch.Variable(numpy.full(3, 1.0 + i), requires_grad=True) for i in range(10)]
    alone = [rustorch.Variable(numpy.full(3, 1.0 + i), requires_grad=True) for i in range(10)]
    options: dict[str, Any] = {"momentum": 0.9} if cls == "SGD" else {}
    one = getattr(optim, cls)(parameters, **options)
    others = [getattr(optim, cls)([p], **options) for p in alone]
    kept: list[Any] = []
    for step in range(4):
        for p, q in zip(parameters, alone, strict=True):
            p.grad, q.grad = numpy.full(3, 0.5 + step), numpy.full(3, 0.5 + step)
        one.step()
        for other in others:
            other.step()
        if step == 1:
            for optimizer, p in ((one, parameters[4]), (others[4], alone[4])):
                p.data[1] = 7.0
                name, state = next((name, a) for name, a in optimizer.state[p].items() if hasattr(a, "shape"))
                state[0] = 3.0
                optimizer.state[p][name] = state.copy()
            kept = [_arrays(one, p) for p in parameters]
    _assert_same(Target("cpu"), parameters, alone)
    for before, p in zip(kept, parameters, strict=True):
        assert all(a is b for a, b in zip(before, _arrays(one, p), strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(700, 40), (70, 3, 5), (2, 2, 600, 3), (2, 3000), (40_000,), (1, 9), (9, 1)])
def test_adafactor_sums_long_rows_and_columns(shape: tuple[int, ...], dtype: str, backend: Target) -> None:
    host, start, g = Target("cpu"), cases.numbers(shape), cases.numbers(shape, 0.7)
    p, q = backend.variable(start, dtype, requires_grad=True), host.variable(start, dtype, requires_grad=True)
    one, other = optim.Adafactor([p], weight_decay=0.1), _plain("Adafactor")([q], weight_decay=0.1)
    for _ in range(2):
        p.grad, q.grad = backend.array(g, dtype), host.array(g, dtype)
        one.step()
        other.step()
    _assert_same(backend, [p], [q])
    _assert_same(backend, _arrays(one, p), _arrays(other, q))


def test_nan_does_not_reach_other_parameters(backend: Target) -> None:
    """A nan in one gradient changes no other parameter of the launch."""
    for cls in ("SGD", "Adam", "Adafactor", "Muon"):
        parameters = [backend.variable(cases.numbers((2, 3)), requires_grad=True) for _ in range(3)]
        for i, p in enumerate(parameters):
            p.grad = backend.array(numpy.full((2, 3), numpy.nan if i == 1 else 0.5))
        with numpy.errstate(invalid="ignore"):
            getattr(optim, cls)(parameters).step()
        first, second, third = [numpy.isnan(backend.numpy(p)) for p in parameters]
        assert second.all(), cls
        assert not first.any(), cls
        assert not third.any(), cls


# -- updates of users --------------------------------------------------------------------------------------------------
class Shrinking(rustorch.Adam):
    """Adam, whose new parameters are multiplied by 0.99."""

    def update(self, xp: Any, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]) -> Any:
        return super().update(xp, p, g, state, options) * 0.99


class Halved(rustorch.SGD):
    """SGD with half of the gradient, which counts its updates."""

    def update(self, xp: Any, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]) -> Any:
        state["times"] = state.get("times", 0) + 1
        return super().update(xp, p, 0.5 * g, state, options)


class Own(rustorch.Adam):
    """A subclass of Adam with an update that has nothing in common with Adam's."""

    def update(self, xp: Any, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]) -> Any:
        return p - options["lr"] * xp.sign(g)


def _two(backend: Target) -> list[nn.Parameter]:
    parameters = [nn.Parameter(backend.array([1.0, -2.0])), nn.Parameter(backend.array([[3.0]]))]
    parameters[0].grad, parameters[1].grad = backend.array([0.5, -1.0]), backend.array([[2.0]])
    return parameters


def test_a_users_update_is_called_for_each_parameter(backend: Target) -> None:
    (p, q), adam = _two(backend), _two(backend)
    optim.Adam(adam, lr=0.1).step()
    optimizer = Shrinking([p, q], lr=0.1)
    optimizer.step()
    _assert_same(backend, [p, q], [0.99 * backend.numpy(a) for a in adam])
    assert [optimizer.state[a]["step"] for a in (p, q)] == [1, 1]
    p, q = _two(backend)
    halved = Halved([p, q], lr=0.1, momentum=0.9)
    halved.step()
    halved.step()  # momentum: 0.9 times the first, and the second
    _assert_same(backend, [p, q], [[1 - 0.145 * 0.5, -2 + 0.145], [[3 - 0.145 * 2]]])
    assert [halved.state[a]["times"] for a in (p, q)] == [2, 2]
    p, q = _two(backend)
    own = Own([p, q], lr=0.5)
    own.step()
    _assert_same(backend, [p, q], [[0.5, -1.5], [[2.5]]])
    assert own.state[p]["step"] == 0


def test_an_update_set_on_an_instance_is_used(backend: Target) -> None:
    p, q = _two(backend)
    optimizer = optim.Adam([p, q])
    optimizer.update = lambda xp, p, g, state, options: p - g  # type: ignore[method-assign]
    optimizer.step()
    _assert_same(backend, [p, q], [[0.5, -1.0], [[1.0]]])


def test_a_users_call_of_the_kernel_is_used(backend: Target) -> None:
    class Doubled(rustorch.SGD):
        def call_kernel(self, kernel: Any, xp: Any, p: Any, g: Any, state: dict[str, Any], options: Any) -> Any:
            return super().call_kernel(kernel, xp, p, 2 * g, state, options)

    p, q = _two(backend)
    Doubled([p, q], lr=0.5).step()
    _assert_same(backend, [p, q], [[0.5, -1.0], [[1.0]]])


def test_a_step_without_kernel_and_update_raises(backend: Target) -> None:
    (p, q), optimizer = _two(backend), None
    optimizer = rustorch.Optimizer([p, q], {"lr": 0.1})
    with pytest.raises(NotImplementedError, match="Optimizer does not define a step: write its method update"):
        optimizer.step()
    assert optimizer.steps == 0


# -- one after the other, where arrays are not written in place --------------------------------------------------------
def test_parameters_of_two_libraries_are_updated_in_one_step() -> None:
    pytest.importorskip("array_api_strict")
    parameters = [
        Target(device).variable([1.0, 2.0], requires_grad=True) for device in ("cpu", "strict", "cpu", "strict")
    ]
    for p in parameters:
        p.grad = Target(p.device).array([1.0, -1.0])
    optim.SGD(parameters, lr=0.5).step()
    assert [p.tolist() for p in parameters] == [[0.5, 2.5]] * 4


def test_read_only_parameters_get_new_arrays() -> None:
    fixed = numpy.array([1.0, 2.0])
    fixed.flags.writeable = False
    p, q = (
        rustorch.Variable(fixed, requires_grad=True),
        rustorch.tensor([1.0, 2.0], dtype=rustorch.float64, requires_grad=True),
    )
    free = q.data
    p.grad = q.grad = numpy.array([1.0, -1.0])
    for optimizer in (optim.SGD([p, q], lr=0.5), optim.Adam([p, q], lr=0.5)):
        optimizer.step()
    assert p.tolist() == q.tolist() != [1.0, 2.0]
    assert fixed.tolist() == [1.0, 2.0]
    assert q.data is free


# -- launches ----------------------------------------------------------------------------------------------------------
#: How many launches a step of two matrices and two vectors makes (Muon: of two matrices).
LAUNCHES = {**dict.fromkeys(CLASSES, 1), "Adafactor": 4, "Muon": 23}


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("cls", LAUNCHES)
def test_a_step_launches_as_often_for_many_parameters_as_for_one(cls: str, backend: Target) -> None:
    for times in (1, 2):
        shapes = [(8, 8), (8, 8), *[(8,), (8,)] * (cls != "Muon")] * times
        parameters = [backend.variable(cases.numbers(shape), "float32", requires_grad=True) for shape in shapes]
        for p in parameters:
            p.grad = backend.array(cases.numbers(p.shape, 0.5), "float32")
        optimizer = getattr(optim, cls)(parameters)
        optimizer.step()  # makes the state
        assert _step(optimizer) == (LAUNCHES[cls], 0)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("options", "launches"), [({}, 3), ({"momentum": 0.9}, 4)])
def test_more_parameters_than_a_table_holds_take_more_launches(
    options: dict[str, Any], launches: int, backend: Target
) -> None:
    starts = [cases.numbers((3,), 0.1 * i) for i in range(400)]
    parameters = [backend.variable(a, requires_grad=True) for a in starts]
    optimizer = optim.SGD(parameters, lr=0.5, **options)
    for _ in range(2):
        for p, a in zip(parameters, starts, strict=True):
            p.grad = backend.array(a)
        assert _step(optimizer) == (launches, 0)
    left = 1 - 0.5 * (2.9 if options else 2)
    _assert_same(backend, parameters, [left * a for a in starts])


@pytest.mark.usefixtures("stand_in")
def test_calls_that_differ_have_launches_of_their_own(backend: Target) -> None:
    """Calls differ in numbers, in dtypes, and in whether a state exists."""
    parameters = [
        backend.variable(numpy.ones(3), dtype, requires_grad=True) for dtype in ("float64", "float64", "float32")
    ]
    optimizer = optim.SGD([{"params": parameters[:1], "lr": 0.5}, {"params": parameters[1:]}], momentum=0.9)
    for _ in range(2):
        for p in parameters:
            p.grad = backend.array(numpy.ones(3), p.dtype)
        assert _step(optimizer) == (3, 0)
    parameters[1].grad = None
    optimizer.step()
    parameters[1].grad = backend.array(numpy.ones(3))
    optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"]
    assert _step(optimizer) == (2, 0)
    adam = optim.Adam(parameters[:2])
    parameters[1].grad = None
    adam.step()
    parameters[1].grad = backend.array(numpy.ones(3))
    adam.start = lambda xp, p, options: {"step": 0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}
    adam.step()
    assert _step(adam) == (2, 0)  # the second parameter has made one step less


@pytest.mark.usefixtures("stand_in")
def test_muon_splits_large_stacks(backend: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    muon: ModuleType = sys.modules["rustorch.backends.cupy.muon"]
    monkeypatch.setattr(muon, "ROOM", 1)
    host = Target("cpu")
    ours = [backend.variable(cases.numbers((3, 4), 0.3 * i), requires_grad=True) for i in range(2)]
    theirs = [host.variable(cases.numbers((3, 4), 0.3 * i), requires_grad=True) for i in range(2)]
    for p, q in zip(ours, theirs, strict=True):
        p.grad, q.grad = backend.array(cases.numbers((3, 4), 0.5)), host.array(cases.numbers((3, 4), 0.5))
    optimizer, other = optim.Muon(ours), _plain("Muon")(theirs)
    optimizer.step()
    other.step()
    assert _step(optimizer) == (46, 0)
    other.step()
    _assert_same(backend, ours, theirs)


#: A program that trains parameters on two GPUs and on the CPU with one optimizer.
TWO_GPUS = """
import numpy, rustorch
from rustorch import optim
from rustorch.backends import device_of
devices = ["cuda", "cuda:1", "cpu", "cuda:1", "cuda"]
for cls in ("SGD", "Adam", "Adafactor", "Muon", "RMSprop"):
    results = []
    for places in (devices, ["cpu"] * 5):
        starts = [rustorch.arange(6, dtype=rustorch.float64, device=device) for device in places]
        parameters = [(rustorch.reshape(a, (2, 3)) - i).requires_grad_() for i, a in enumerate(starts)]
        optimizer = getattr(optim, cls)(parameters, lr=0.1)
        for _ in range(2):
            for p in parameters:
                p.grad = 1 + rustorch.eye(2, 3, dtype=rustorch.float64, device=p.device)
            optimizer.step()
        assert [p.device for p in parameters] == places
        for p in parameters:
            assert all(device_of(value) == p.device for value in optimizer.state[p].values() if hasattr(value, "shape"))
        results.append([p.detach().to("cpu").numpy() for p in parameters])
    numpy.testing.assert_allclose(*results, rtol=1e-12)
print("same")
"""


@pytest.mark.usefixtures("stand_in")
def test_parameters_on_two_gpus_and_on_the_cpu(backend: Target) -> None:
    import cupy

    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(Path(str(cupy.__file__)).parents[1]), str(root)])
    environment = {**os.environ, "CUPY_STAND_IN_GPUS": "2", "PYTHONPATH": path}
    process = subprocess.run(
        [sys.executable, "-c", TWO_GPUS], env=environment, cwd=root, capture_output=True, text=True
    )
    assert process.stdout == "same\n", process.stderr


def test_small_parameters_with_gradients_that_are_not_contiguous() -> None:
    rng = numpy.random.default_rng(0)
    values, gradients = rng.standard_normal((2, 8, 3, 4))
    results = []
    for turned in (False, True):
        parameters = [rustorch.Variable(v.copy(), requires_grad=True) for v in values]
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = g.T.copy().T if turned else g
        rustorch.Adam(parameters, lr=0.1).step()
        results.append([p.data for p in parameters])
    numpy.testing.assert_array_equal(*results)
