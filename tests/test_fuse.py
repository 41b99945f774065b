"""fuse: functions of the user's as loops, their gradients, what stays the plain function, and what is refused."""

from __future__ import annotations

import copy
import functools
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy
import pytest

import rustorch
from rustorch import fuse
from rustorch.backends.numba.availability import wanted
from rustorch.nn import functional as F
from tests.support.launches import counted
from tests.support.target import Target

#: Elements of most arrays here: enough for a loop.
MANY = 4096
FLOATS = ["float32", "float64"]


@pytest.fixture
def compiled() -> Iterator[None]:
    """Loops are compiled before the first call returns; skipped without Numba."""
    if not wanted():
        pytest.skip("Numba is not installed, or turned off")
    from rustorch.backends.numba import kernel

    before, kernel.PATIENT = kernel.PATIENT, 0
    yield
    kernel.PATIENT = before


def draw(*shape: int, dtype: str = "float64", seed: int = 0, requires_grad: bool = False) -> rustorch.Variable:
    """A Variable on the CPU."""
    values = numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return rustorch.Variable(values, requires_grad=requires_grad)


@fuse
def swish(x: Any, beta: Any) -> Any:
    """The product of x and a sigmoid."""
    return x / (1 + rustorch.exp(-beta * x))


def in_place_of(f: Callable[..., Any]) -> tuple[fuse, Callable[..., Any]]:  # type: ignore[valid-type]
    """A fused function, and the function itself."""
    return fuse(f), f


def derivatives(f: Callable[..., Any], arrays: list[Any], *rest: Any) -> list[Any]:
    """The result, its gradients in mode 1 and 2, and second gradients; None where there is none."""
    out = f(*arrays, *rest)
    found = [out]
    tracked = [x for x in arrays if x.requires_grad]
    if not out.requires_grad:
        return found
    weights = waves(out)
    found += rustorch.grad((f(*arrays, *rest) * weights).sum(), tracked, allow_unused=True)
    first = rustorch.grad((out * weights).sum(), tracked, create_graph=True, allow_unused=True)
    found += first
    sums = [(g * waves(g)).sum() for g in first if g is not None and g.requires_grad]
    if sums:
        total = sums[0]
        for one in sums[1:]:
            total = total + one
        found += rustorch.grad(total, tracked, allow_unused=True)
    return found


def waves(like: Any) -> Any:
    """Different numbers of the shape, dtype and device of an array."""
    values = numpy.cos(numpy.arange(like.size, dtype="float64")).reshape(like.shape)
    return rustorch.Variable(values, device=like.device, dtype=like.dtype)


def check(got: list[Any], expected: list[Any], tolerance: float = 2e4) -> None:
    """Compare results of `derivatives`; ``tolerance`` is in units in the last place of a number of usual size."""
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert (a is None) == (b is None)
        if a is None:
            continue
        assert (a.shape, a.dtype, a.requires_grad) == (b.shape, b.dtype, b.requires_grad)
        x, y = numpy.asarray(a.detach().cpu().data), numpy.asarray(b.detach().cpu().data)
        if x.dtype == bool:
            numpy.testing.assert_array_equal(x, y)
            continue
        usual = numpy.abs(y)[numpy.isfinite(y)].mean() if numpy.isfinite(y).any() else 1.0
        limit = tolerance * numpy.finfo(x.dtype).eps
        numpy.testing.assert_allclose(x, y, rtol=limit, atol=limit * max(usual, 1e-30))


# -- loops and their gradients -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_of_three_orders_are_loops(dtype: str, compiled: None) -> None:
    x = draw(MANY, dtype=dtype, requires_grad=True)
    assert swish.explain(x, 1.5) == "one loop of 4 operations, and one for its gradients"
    y, z = swish(x, 1.5), swish.__wrapped__(x, 1.5)
    assert repr(y.grad_fn).startswith("<swish node")
    check([y], [z], 8)
    for _ in range(3):
        (y,), (z,) = (rustorch.grad((v * v).sum(), x, create_graph=True) for v in (y, z))
        check([y], [z], 100)


def test_gradients_pass_gradcheck(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rustorch.backends.numba.fusing.LEAST", 1)
    monkeypatch.setattr("rustorch.backends.numba.kernel.LEAST", 1)
    monkeypatch.setattr("rustorch.backends.numba.fusing.Fused.__init__.__defaults__", (1, False), raising=False)
    f = fuse(lambda x, y: rustorch.tanh(x * y) + rustorch.hypot(x, y + 2) * x**3)
    x, y = draw(4, 3, requires_grad=True), draw(3, seed=1, requires_grad=True)
    assert rustorch.gradcheck(f, (x, y)) and rustorch.gradgradcheck(f, (x, y))
    assert "loop of" in f.explain(draw(MANY), draw(MANY))


def test_backward_fills_grad_like_the_plain_function(compiled: None) -> None:
    x = draw(MANY, requires_grad=True)
    swish(x, 1.5).sum().backward()
    got, x.grad = x.grad, None
    swish.__wrapped__(x, 1.5).sum().backward()
    numpy.testing.assert_allclose(got, x.grad, rtol=1e-13)


SHAPES = [
    [(64, 128), (128,)], [(64, 1), (1, 128)], [(64, 128), ()], [(4, 32, 64), (32, 1)], [(2, 8, 4, 64), (8, 1, 64)],
    [(MANY,), (MANY,)], [(3, 5, 7, 11, 13), (3, 1, 7, 1, 13)],
]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_shapes_broadcast_and_gradients_have_the_shapes_of_arguments(shapes: list[Any], compiled: None) -> None:
    fused, plain = in_place_of(lambda x, y: rustorch.exp(-x * x) * y + rustorch.where(y > x, x, 2 * y))
    arrays = [draw(*shape, seed=i, requires_grad=True) for i, shape in enumerate(shapes)]
    check(derivatives(fused, arrays), derivatives(plain, arrays), 100)


def test_views_read_only_and_native_arrays(compiled: None) -> None:
    fused, plain = in_place_of(lambda x, y: x * rustorch.sin(y))
    a = numpy.random.default_rng(0).standard_normal((128, 64))
    frozen = a.copy()
    frozen.flags.writeable = False
    for x, y in ((a.T, a.T), (a[::2, ::2], a[1::2, ::2]), (frozen, frozen), (a[::-1], a)):
        got = fused(x, y)
        assert isinstance(got, rustorch.Variable)
        expected = plain(rustorch.Variable(x), rustorch.Variable(y))
        numpy.testing.assert_allclose(got.data, expected.data, rtol=1e-14)


def test_one_array_for_two_arguments(compiled: None) -> None:
    fused, plain = in_place_of(lambda x, y: x * x * y)
    x = draw(MANY, requires_grad=True)
    check(derivatives(lambda x: fused(x, x), [x]), derivatives(lambda x: plain(x, x), [x]), 100)


def test_several_results(compiled: None) -> None:
    def parts(x: Any, y: Any) -> Any:
        return x * y, x > y, rustorch.exp(x) + y

    fused = fuse(parts)
    x, y = draw(MANY, requires_grad=True), draw(MANY, seed=1, requires_grad=True)
    outs, expected = fused(x, y), parts(x, y)
    assert type(outs) is tuple and [out.requires_grad for out in outs] == [True, False, True]
    check(list(outs), list(expected), 8)
    for pick in ((0,), (2,), (0, 2)):
        (got, wanted_) = ([sum((f(x, y)[i] * 2 for i in pick), 0 * x)] for f in (fused, parts))
        check(list(rustorch.grad(got[0].sum(), (x, y))), list(rustorch.grad(wanted_[0].sum(), (x, y))), 100)


class Pair(NamedTuple):
    first: Any
    second: Any


def test_a_named_tuple_stays_one(compiled: None) -> None:
    out = fuse(lambda x: Pair(x + 1, x - 1))(draw(MANY))
    assert type(out) is Pair and float(out.first.data[0] - out.second.data[0]) == pytest.approx(2)


def test_truth_values_as_arguments_and_results(compiled: None) -> None:
    fused, plain = in_place_of(lambda x, keep: rustorch.where(keep & (x > 0) | ~keep, x, -2 * x))
    x, keep = draw(64, 64, requires_grad=True), draw(64, seed=1) > 0
    assert fused.explain(x, keep).startswith("one loop")
    check(derivatives(fused, [x], keep), derivatives(plain, [x], keep), 10)
    out = fuse(lambda x: rustorch.isnan(x) | (x >= 0.5))(x)
    assert out.dtype == rustorch.bool and bool((out.data == (x.data >= 0.5)).all())


def test_what_is_linear_keeps_no_array(compiled: None) -> None:
    x, y = draw(MANY, requires_grad=True), draw(MANY, requires_grad=True)
    out = fuse(lambda x, y: 2 * x - y / 3)(x, y)
    assert not any(isinstance(value, numpy.ndarray) for value in out.grad_fn.saved)
    out = fuse(lambda x, y: x * x + y)(x, y)
    assert sum(isinstance(value, numpy.ndarray) for value in out.grad_fn.saved) == 1


def test_zero_gradients_depend_on_their_arguments_as_in_the_plain_function(compiled: None) -> None:
    for f in (lambda x: rustorch.floor(x), lambda x: F.relu(x) + x, lambda x: 3 * x, lambda x: rustorch.zeros_like(x)):
        x = draw(MANY, requires_grad=True)
        check(derivatives(fuse(f), [x]), derivatives(f, [x]), 8)


# -- numbers and constants ---------------------------------------------------------------------------------------------
def test_a_new_number_needs_no_new_loop(compiled: None) -> None:
    f = fuse(lambda x, a: x * (1 - a) + rustorch.clip(x, -a, a) ** a)
    x = rustorch.Variable(numpy.linspace(0.1, 2, MANY))
    for a in (0.5, 2, 3.25, numpy.float64(0.125)):
        check([f(x, a)], [f.__wrapped__(x, a)], 8)
    assert len(f._operations) == 1


def test_numbers_are_computed_with_in_double_precision(compiled: None) -> None:
    x = rustorch.Variable(numpy.ones(MANY, "float32"))
    out = fuse(lambda x, a: x * (1 - a))(x, 0.99999999)
    numpy.testing.assert_allclose(out.data, 1e-8, rtol=1e-6)


def test_errors_of_numbers_are_those_of_python(compiled: None) -> None:
    f = fuse(lambda x, a: x * (1 / a))
    with pytest.raises(ZeroDivisionError):
        f(draw(MANY), 0)
    f(draw(MANY), 2)


def test_constants_are_part_of_the_loop(compiled: None) -> None:
    def f(x: Any, how: str, weights: tuple = (1.0, 2.0), flag: bool = False, none: Any = None) -> Any:
        x = rustorch.sin(x) if how == "sin" else rustorch.cos(x)
        return -x if flag else x * weights[0] + x**3 * weights[1] + (0 if none is None else 1)

    fused, x = fuse(f), draw(MANY)
    for args, options in (
        (("sin",), {}), (("cos",), {}), (("sin", (3.0, 1.0)), {}), (("sin",), {"flag": True}),
        (("cos",), {"none": "no"}),
    ):  # fmt: skip
        check([fused(x, *args, **options)], [f(x, *args, **options)], 8)
    assert len(fused._operations) == 5
    check([fused(how="sin", x=x)], [f(x, "sin")], 8)


SCALE = 2.0


def test_numbers_from_outside_may_change(compiled: None) -> None:
    global SCALE
    inner, x = 3.0, draw(MANY)

    def helper(x: Any) -> Any:
        return x * SCALE

    fused = fuse(lambda x: helper(x) + inner)
    numpy.testing.assert_allclose(fused(x).data, x.data * 2 + 3)
    SCALE, inner = 5.0, 7.0
    numpy.testing.assert_allclose(fused(x).data, x.data * 5 + 7)
    SCALE = 2.0


def test_a_number_that_changes_all_the_time_ends_in_the_plain_function(
    compiled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rustorch.fusion.function.MOST", 3)
    step, x = 0, draw(MANY)
    fused = fuse(lambda x: x + step)
    for step in range(5):
        numpy.testing.assert_array_equal(fused(x).data, x.data + step)
    assert "pass numbers that change as arguments" in fused.explain(x)


# -- functions of all kinds --------------------------------------------------------------------------------------------
class Model:
    """Has methods that are fused."""

    def __init__(self, slope: float):
        self.slope = slope

    @fuse
    def __call__(self, x: Any) -> Any:
        return rustorch.where(x > 0, x, self.slope * x)

    @staticmethod
    @fuse
    def double(x: Any) -> Any:
        return 2 * x


def test_methods(compiled: None) -> None:
    x = draw(MANY)
    for slope in (0.5, 0.25):
        model = Model(slope)
        numpy.testing.assert_array_equal(model(x).data, numpy.where(x.data > 0, x.data, slope * x.data))
        model.slope = 2.0
        numpy.testing.assert_array_equal(model(x).data, numpy.where(x.data > 0, x.data, 2 * x.data))
    numpy.testing.assert_array_equal(Model.double(x).data, 2 * x.data)


def test_objects_that_are_called_partials_and_bound_methods(compiled: None) -> None:
    x, layer = draw(MANY), rustorch.nn.LeakyReLU(0.5)
    fused = fuse(layer)
    assert fused.explain(x).startswith("one loop")
    for slope in (0.5, 0.25):
        layer.negative_slope = slope
        numpy.testing.assert_array_equal(fused(x).data, layer(x).data)
    model = Model(0.5)
    method = fuse(Model.__call__.__wrapped__.__get__(model))
    for slope in (0.5, 0.25):
        model.slope = slope
        numpy.testing.assert_array_equal(method(x).data, numpy.where(x.data > 0, x.data, slope * x.data))
    check([fuse(functools.partial(swish.__wrapped__, beta=2.0))(x)], [swish.__wrapped__(x, 2.0)], 8)


def test_fused_functions_inside_of_fused_functions(compiled: None) -> None:
    outer = fuse(lambda x: swish(x, 2.0) + swish(-x, 0.5))
    x = draw(MANY, requires_grad=True)
    assert outer.explain(x).startswith("one loop")
    check(derivatives(outer, [x]), derivatives(outer.__wrapped__, [x]), 100)


def test_the_namespace_of_an_array_and_custom_operations_can_be_traced(compiled: None) -> None:
    cube = rustorch.custom_primitive("cube", lambda xp, x, /: x * x * x, x=lambda xp, g, x: 3 * g * x * x)

    class Exp(rustorch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            out = rustorch.exp(x)
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0]

    def f(x: Any) -> Any:
        xp = x.__array_namespace__()
        with rustorch.no_grad():
            shift = xp.abs(x)
        return xp.cos(x) + cube(x) + Exp.apply(x) + F.gelu(x) + shift + x.detach()

    x = draw(MANY, requires_grad=True)
    fused = fuse(f)
    assert fused.explain(x).startswith("one loop")
    check(derivatives(fused, [x]), derivatives(f, [x]), 100)


def test_no_grad_checkpoint_and_transforms(compiled: None) -> None:
    x = draw(MANY, requires_grad=True)
    with rustorch.no_grad():
        assert not swish(x, 1.0).requires_grad
    expected = rustorch.grad(swish.__wrapped__(x, 1.0).sum(), x)[0]
    check(list(rustorch.grad(rustorch.checkpoint(lambda x: swish(x, 1.0), x).sum(), x)), [expected], 100)
    check([rustorch.func.grad(lambda x: swish(x, 1.0).sum())(x.detach())], [expected], 100)
    v = draw(MANY, seed=3)
    _, tangent = rustorch.func.jvp(lambda x: swish(x, 1.0), (x.detach(),), (v,))
    check([tangent], [expected.detach() * v], 100)


def test_copies_pickles_and_names() -> None:
    assert swish.__name__ == "swish" and swish.__doc__ == "The product of x and a sigmoid."
    assert pickle.loads(pickle.dumps(swish)) is swish
    assert copy.copy(swish) is swish and copy.deepcopy(swish) is swish and fuse(swish) is swish
    again = pickle.loads(pickle.dumps(fuse(numpy.positive)))
    assert again.__wrapped__ is numpy.positive
    with pytest.raises(TypeError, match="fuse takes a function, not int"):
        fuse(3)  # type: ignore[arg-type]


def test_threads_trace_one_function_once(compiled: None) -> None:
    f, x, outs = fuse(lambda x: rustorch.sin(x) * 3), draw(MANY), []
    threads = [threading.Thread(target=lambda: outs.append(f(x))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outs) == 6 and len(f._operations) == 1
    check(outs, [f.__wrapped__(x)] * 6, 8)


# -- what stays the plain function -------------------------------------------------------------------------------------
def test_it_computes_the_same_on_every_backend(backend: Target) -> None:
    fused, plain = in_place_of(lambda x, y, a: rustorch.tanh(x * a) + rustorch.where(x > y, y * y, x))
    values = numpy.random.default_rng(0).standard_normal((2, 40, 60))
    for dtype in FLOATS:
        arrays = [backend.variable(v, dtype, requires_grad=True) for v in (values[0], values[1, 0])]
        check(derivatives(fused, arrays, 1.5), derivatives(plain, arrays, 1.5), 200)
    if backend.device in ("strict", "jax", "torch"):
        assert fused.explain(*arrays, 1.5) == f"the function itself: there are no loops on device {backend.device!r}"


def test_one_launch_on_a_gpu(cuda: Target, stand_in: Any) -> None:
    f = fuse(
        lambda x, y: rustorch.tanh(x * y) + rustorch.where(x > y, y, x),
    )
    x, y = (cuda.variable(numpy.random.default_rng(i).standard_normal(50), requires_grad=True) for i in range(2))
    f(x, y).sum().backward()
    assert f.explain(x, y).startswith("one launch")
    with counted() as forward:
        out = f(x, y)
    assert sum(forward.launches.values()) == 1, forward
    g = cuda.array(numpy.ones(50))
    with counted() as backward:
        rustorch.grad(out, (x, y), g)
    assert backward.launches["rustorch_the_gradient_of_lambda"] == sum(backward.launches.values()) == 1, backward


OTHERS: dict[str, tuple[Callable[..., Any], Callable[[], list[Any]], str]] = {
    "small": (lambda x: x + 1, lambda: [draw(3)], "3 elements are too few for a loop"),
    "empty": (lambda x: x + 1, lambda: [draw(0, 5)], "0 elements are too few for a loop"),
    "two dtypes": (
        lambda x, y: x * y,
        lambda: [draw(MANY), draw(MANY, dtype="float32")],
        "a loop computes with arrays of float32 or of float64, not of float32 and float64",
    ),
    "integers": (lambda x: x + 1, lambda: [rustorch.arange(MANY)], "a loop computes with arrays of float32 or of"),
    "complex": (lambda x: x * 1j, lambda: [rustorch.ones(MANY, dtype="complex64")], "a loop computes with arrays of"),
    "bool alone": (lambda x: ~x, lambda: [draw(MANY) > 0], "not of bool alone"),
    "no array": (lambda a: rustorch.asarray(a), lambda: [2.0], "there is no array among its arguments"),
    "other precision": (
        lambda x: x.astype(rustorch.float32) * 2,
        lambda: [draw(MANY)],
        "it converts to float32, beside arrays of float64",
    ),
    "default dtype": (
        lambda x: rustorch.where(x > 0, 0.1, 0.2) * x,
        lambda: [draw(MANY)],
        "it makes an array of float32 beside arrays of float64",
    ),
    "shapes of results": (
        lambda x, y: (x + 1, y + 1),
        lambda: [draw(MANY), draw(1)],
        "its results have different shapes",
    ),
    "unused": (lambda x, y: x + 1, lambda: [draw(3), draw(MANY, 1)], "its results have different shapes"),
    "unknown shape": (
        lambda x, y: x + rustorch.zeros_like(y),
        lambda: [draw(3), draw(MANY, 1)],
        "its results have different shapes",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_calls_run_the_function_itself(name: str, compiled: None) -> None:
    function, make, reason = OTHERS[name]
    args = make()
    fused, explained = fuse(function), fuse(function).explain(*args)
    assert explained.startswith("the function itself: ") and reason in explained
    got, expected = fused(*args), function(*args)
    for a, b in zip(*[out if isinstance(out, tuple) else (out,) for out in (got, expected)], strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        numpy.testing.assert_array_equal(a.data, b.data)


def test_without_numba_it_is_the_function_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rustorch.backends.numpy.backend.wanted", lambda: False)
    f, x = fuse(lambda x: rustorch.sin(x) * 2), draw(MANY, requires_grad=True)
    assert f.explain(x).startswith("the function itself: there are no loops without Numba")
    check(derivatives(f, [x]), derivatives(f.__wrapped__, [x]), 1)


# -- what is refused ---------------------------------------------------------------------------------------------------
CLOSED_OVER = numpy.ones(MANY)


def _write(x: Any) -> Any:
    x += 1
    return x


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "sum": (lambda x: x - x.sum(), "sum is not elementwise"),
    "mean": (lambda x: x - rustorch.mean(x), "mean is not elementwise"),
    "matmul": (lambda x: x @ x, "matmul"),
    "softmax": (lambda x: F.softmax(x, 0), "not elementwise"),
    "reshape": (lambda x: x.reshape(-1, 1), "reshape"),
    "index": (lambda x: x[0], "takes no part of an array"),
    "shape": (lambda x: x / x.shape[0], "asks? for none|can ask for none"),
    "size": (lambda x: x / x.size, "can ask for none"),
    "ndim": (lambda x: x * x.ndim, "can ask for none"),
    "branch on an element": (lambda x: x if x > 0 else -x, "branch"),
    "float": (lambda x: float(x) * 2, "branch"),
    "item": (lambda x: x * x.item(), "values|branch"),
    "print": (lambda x: print(x) or x, "printed"),
    "integer result": (lambda x: x.astype(rustorch.int64), "it converts to int64"),
    "complex result": (lambda x: x.astype(rustorch.complex128), "it converts to complex128"),
    "a number as the result": (lambda x: 2.0, "returns a value of type float"),
    "a list as the result": (lambda x: [x], "returns a value of type list"),
    "nothing": (lambda x: None, "it returns a value of type NoneType"),
    "no results": (lambda x: (), "it returns nothing"),
    "an array from outside": (lambda x: x * CLOSED_OVER, "not among its arguments"),
    "a Variable from outside": (lambda x: x * rustorch.ones(MANY), "not among its arguments"),
    "random numbers": (lambda x: x + rustorch.rand(MANY), "not among its arguments"),
    "dropout": (lambda x: F.dropout(x, 0.5), "random numbers"),
    "writes": (_write, "put is not elementwise|it writes into an argument"),
    "arithmetic with booleans": (lambda x: x * ((x > 0) + (x > 1)).astype(x.dtype), "arithmetic with booleans"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("size", [MANY, 3])
def test_what_is_not_elementwise_is_refused_with_its_line(name: str, size: int) -> None:
    function, message = REFUSED[name]
    fused = fuse(function)
    for call in (fused, fused, fused.explain):
        with pytest.raises(TypeError, match=message) as error:
            call(draw(size) + 3)
        assert str(error.value).startswith(f"fuse({function.__name__}): ")
    if name not in ("a number as the result", "a list as the result", "nothing", "no results", "writes"):
        assert f"{__file__}, line " in str(error.value)


def test_a_branch_on_a_number_is_refused() -> None:
    for function in (lambda x, a: x if a > 0 else -x, lambda x, a: x if a else -x, lambda x, a: x * int(a)):
        with pytest.raises(TypeError, match=r"fuse\(<lambda>\): .*line"):
            fuse(function)(draw(MANY), 2.0)


def test_arguments_that_no_loop_takes() -> None:
    f = fuse(lambda x, more: x)
    for bad in ([1.0], {"a": 1}, 1j):
        with pytest.raises(TypeError, match=r"fuse\(<lambda>\): it takes arrays, numbers and constants"):
            f(draw(MANY), bad)


def test_errors_of_the_function_are_its_own() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fuse(lambda x: x.nothing)(draw(MANY))
    with pytest.raises(TypeError, match="positional argument"):
        fuse(lambda x: x)(draw(MANY), 2.0)
    with pytest.raises(ValueError, match="broadcast"):
        fuse(lambda x, y: x + y)(draw(MANY), draw(MANY - 1))
    pytest.importorskip("array_api_strict")
    with pytest.raises(RuntimeError, match="different devices"):
        fuse(lambda x, y: x + y)(draw(MANY), draw(MANY).to("strict"))
