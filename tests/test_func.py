"""Transforms of functions: derivatives known by formula and from torch.func, nesting, trees, and errors."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
import pytest

import rustorch
from rustorch import func
from tests.support.target import Target

X = [0.5, -1.5, 2.0]


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass
class Weights:
    scale: Any
    shift: Any


def _x(data: Any = X, **kwargs: Any) -> rustorch.Variable:
    return rustorch.tensor(data, dtype=rustorch.float64, **kwargs)


def _close(actual: rustorch.Variable, expected: Any) -> None:
    # in float64, only the order of a few additions differs
    numpy.testing.assert_allclose(Target("cpu").numpy(actual), expected, rtol=1e-12, atol=1e-12)


# -- each transform ----------------------------------------------------------------------------------------------------
def test_every_transform_on_every_backend(backend: Target) -> None:
    x, v = backend.variable(X), backend.variable([1.0, 2.0, -1.0])
    a = numpy.array(X)

    def cubes(x: Any) -> Any:
        return (x**3).sum()

    close = numpy.testing.assert_allclose
    for actual, expected in (
        (func.grad(cubes)(x), 3 * a**2),
        (func.value_and_grad(cubes)(x)[0], (a**3).sum()),
        (func.vjp(lambda x: x**3, x)[1](v)[0], 3 * a**2 * [1, 2, -1]),
        (func.jvp(lambda x: x**3, (x,), (v,))[1], 3 * a**2 * [1, 2, -1]),
        (func.jacrev(lambda x: x**3)(x), numpy.diag(3 * a**2)),
        (func.jacfwd(lambda x: x**3)(x), numpy.diag(3 * a**2)),
        (func.hessian(cubes)(x), numpy.diag(6 * a)),
        (func.hvp(cubes, (x,), (v,))[1][0], 6 * a * [1, 2, -1]),
    ):
        assert actual.device == x.device and actual.dtype == x.dtype
        assert not actual.requires_grad
        close(backend.numpy(actual), expected, rtol=1e-12)


def test_argnums_and_aux() -> None:
    x, y = _x(), _x([1.0, 2.0, 3.0])

    def f(x: Any, y: Any, power: int = 1) -> Any:
        return (x * y**power).sum(), {"inner": x * y, "text": "aux"}

    gradient, aux = func.grad(f, has_aux=True)(x, y)
    _close(gradient, y.data)
    assert aux["text"] == "aux" and not aux["inner"].requires_grad
    (dx, dy), _ = func.grad(f, argnums=(0, -1), has_aux=True)(x, y)
    _close(dx, y.data)
    _close(dy, x.data)
    (value, aux), dy = func.value_and_grad(f, 1, has_aux=True)(x, y, power=2)
    _close(dy, 2 * x.data * y.data)
    _close(value, (x.data * y.data**2).sum())
    dy, (value, aux) = func.grad_and_value(f, 1, has_aux=True)(x, y, power=2)
    _close(dy, 2 * x.data * y.data)


def test_arguments_and_results_may_be_trees() -> None:
    tree = {"p": Pair(_x(), [_x([2.0])]), "w": Weights(_x([3.0]), None)}

    def f(tree: Any) -> Any:
        return (tree["p"].a * tree["p"].b[0] * tree["w"].scale).sum()

    g = func.grad(f)(tree)
    assert isinstance(g["p"], Pair) and isinstance(g["w"], Weights) and g["w"].shift is None
    _close(g["p"].a, [6.0, 6.0, 6.0])
    _close(g["p"].b[0], [3.0 * sum(X)])
    _close(g["w"].scale, [2.0 * sum(X)])
    jacobian = func.jacrev(lambda t: {"sum": t["a"] + t["b"], "product": t["a"] * t["b"]})(
        {"a": _x([2.0]), "b": _x([5.0])}
    )
    _close(jacobian["product"]["a"], [[5.0]])
    _close(jacobian["sum"]["b"], [[1.0]])
    second = func.hessian(lambda t: (t["a"] ** 2 * t["b"]).sum())({"a": _x([2.0]), "b": _x([5.0])})
    _close(second["a"]["a"], [[10.0]])
    _close(second["a"]["b"], [[4.0]])
    _close(second["b"]["b"], [[0.0]])


def test_derivatives_of_unused_arguments_are_zero() -> None:
    x, y = _x(), _x([1.0])
    _close(func.grad(lambda x, y: (y * y).sum())(x, y), [0.0, 0.0, 0.0])
    _close(func.jvp(lambda x: _x([7.0]), (x,), (x,))[1], [0.0])
    _close(func.jacrev(lambda x: _x([7.0]))(x), [[0.0, 0.0, 0.0]])
    _close(func.hessian(lambda x: x.sum())(x), numpy.zeros((3, 3)))


# -- nesting -----------------------------------------------------------------------------------------------------------
def test_nested_gradients_are_higher_derivatives() -> None:
    f, expected = rustorch.sin, [numpy.sin, numpy.cos, lambda x: -numpy.sin(x), lambda x: -numpy.cos(x)]
    for order in range(1, 5):
        f = func.grad(f)
        _close(f(_x(0.7)), expected[order % 4](0.7))


def test_an_inner_transform_keeps_its_dependence_on_the_outer_variable() -> None:
    # d/dy of (d/dx of x * y**2) = 2 y: the derivatives in x and y must not be mixed up or lost
    inner = lambda y: func.grad(lambda x: x * y * y)(_x(3.0))  # noqa: E731
    _close(func.grad(inner)(_x(5.0)), 10.0)
    # a well-known case: d/dx (x * d/dy (x + y)) at y = 1 is 1
    _close(func.grad(lambda x: x * func.grad(lambda y: x + y)(_x(1.0)))(_x(1.0)), 1.0)
    # the inner argument's dependence on the outer one counts once: d/dx (x * d/dx x**2) = 4 x
    _close(func.grad(lambda x: x * func.grad(lambda z: z * z)(x))(_x(3.0)), 12.0)


@pytest.mark.parametrize("outer", ["jacrev", "jacfwd"])
@pytest.mark.parametrize("inner", ["jacrev", "jacfwd", "grad", "vjp", "jvp"])
def test_every_pair_of_transforms_can_be_nested(outer: str, inner: str) -> None:
    def f(x: Any) -> Any:
        return (rustorch.sin(x) * x[0] * x).sum()

    first = {
        "jacrev": func.jacrev(f),
        "jacfwd": func.jacfwd(f),
        "grad": func.grad(f),
        "vjp": lambda x: func.vjp(f, x)[1](_x(1.0))[0],
        "jvp": lambda x: rustorch.stack([func.jvp(f, (x,), (unit,))[1] for unit in rustorch.unstack(_x(numpy.eye(3)))]),
    }[inner]
    expected = func.hessian(f)(_x())
    _close(getattr(func, outer)(first)(_x()), expected.data)
    numpy.testing.assert_allclose(expected.data, expected.data.T, rtol=1e-12, atol=1e-12)


def test_differentiating_through_the_vector_of_a_product() -> None:
    x = _x()
    _close(func.grad(lambda v: func.vjp(lambda x: x**2, x)[1](v)[0].sum())(_x([1.0, 1.0, 1.0])), 2 * x.data)
    _close(func.grad(lambda v: func.jvp(lambda x: x**2, (x,), (v,))[1].sum())(_x([1.0, 1.0, 1.0])), 2 * x.data)
    _close(func.jacrev(lambda v: func.hvp(lambda x: (x**3).sum(), (x,), (v,))[1][0])(x), numpy.diag(6 * x.data))


def test_backward_goes_through_a_transform_to_leaves_outside() -> None:
    w, x = _x(2.0, requires_grad=True), _x(3.0, requires_grad=True)
    value, g = func.value_and_grad(lambda x: w * x**3)(x)
    assert g.requires_grad and value.requires_grad
    (g + value).backward()
    _close(rustorch.asarray(w.grad), 3 * 9.0 + 27.0)
    _close(rustorch.asarray(x.grad), 2 * 6 * 3.0 + 2 * 3 * 9.0)


def test_no_grad_outside_cuts_the_outer_graph_only() -> None:
    w = _x(2.0, requires_grad=True)
    with rustorch.no_grad():
        g = func.grad(lambda x: w * x**2)(_x(3.0))
    _close(g, 12.0)
    assert not g.requires_grad
    assert w.grad is None


def test_a_transform_frees_its_graph_without_the_collector() -> None:
    seen: list[weakref.ref] = []

    def f(x: Any) -> Any:
        y = x * x
        seen.append(weakref.ref(y.grad_fn))
        return y.sum()

    gc.disable()
    try:
        func.grad(f)(_x())
        func.hessian(f)(_x())
        assert len(seen) == 2 and all(ref() is None for ref in seen)
    finally:
        gc.enable()


# -- torch.func --------------------------------------------------------------------------------------------------------
#: The first use of torch.func imports code that warns about another part of PyTorch.
TORCH_WARNS = pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")


@TORCH_WARNS
def test_results_equal_those_of_torch_func() -> None:
    torch = pytest.importorskip("torch")
    a, b = numpy.linspace(-1, 1, 6).reshape(2, 3), numpy.linspace(0.5, 2, 3)

    def make(lib: Any) -> Any:
        return lambda x, y: lib.tanh(x) @ (y * y * x[0])

    args, torch_args = [_x(a), _x(b)], [torch.tensor(a), torch.tensor(b)]
    for name in ("jacrev", "jacfwd"):
        for argnums in (0, 1, (1, 0)):
            actual = getattr(func, name)(make(rustorch), argnums)(*args)
            expected = getattr(torch.func, name)(make(torch), argnums)(*torch_args)
            assert isinstance(actual, tuple) == isinstance(expected, tuple)
            for g, w in zip(
                actual if isinstance(actual, tuple) else [actual],
                expected if isinstance(expected, tuple) else [expected],
                strict=True,
            ):
                _close(g, w.numpy())
    v = numpy.array([1.0, -2.0])
    for g, w in zip(
        func.vjp(make(rustorch), *args)[1](_x(v)),
        torch.func.vjp(make(torch), *torch_args)[1](torch.tensor(v)),
        strict=True,
    ):
        _close(g, w.numpy())
    actual = func.jvp(make(rustorch), tuple(args), (_x(a + 1), _x(b - 1)))
    expected = torch.func.jvp(make(torch), tuple(torch_args), (torch.tensor(a + 1), torch.tensor(b - 1)))
    for g, w in zip(actual, expected, strict=True):
        _close(g, w.numpy())
    actual = func.hessian(lambda x, y: make(rustorch)(x, y).sum(), argnums=(0, 1))(*args)
    expected = torch.func.hessian(lambda x, y: make(torch)(x, y).sum(), argnums=(0, 1))(*torch_args)
    for row, expected_row in zip(actual, expected, strict=True):
        for g, w in zip(row, expected_row, strict=True):
            _close(g, w.numpy())


@TORCH_WARNS
def test_complex_products_equal_those_of_torch_func() -> None:
    torch = pytest.importorskip("torch")
    z, t = numpy.array([1 + 2j, -0.5j]), numpy.array([0.5 - 1j, 2 + 0j])
    ours, direction = rustorch.asarray(z), rustorch.asarray(t)
    for f in (lambda z: z * z, lambda z: z * z.conj() if hasattr(z, "conj") else z * rustorch.conj(z)):
        _close(
            func.jvp(f, (ours,), (direction,))[1], torch.func.jvp(f, (torch.tensor(z),), (torch.tensor(t),))[1].numpy()
        )
        _close(
            func.vjp(f, ours)[1](direction)[0],
            torch.func.vjp(f, torch.tensor(z))[1](torch.tensor(t))[0].resolve_conj().numpy(),
        )


# -- errors ------------------------------------------------------------------------------------------------------------
def test_errors_name_a_bad_result_of_the_function() -> None:
    x = _x()
    with pytest.raises(
        ValueError, match=r"grad: .* real number, shape \(\); it returned float64 of shape \(3,\)\. .*sum"
    ):
        func.grad(lambda x: x * 2)(x)
    with pytest.raises(TypeError, match=r"grad: the function must return Variables; output is a float, 1\.0"):
        func.grad(lambda x: 1.0)(x)
    with pytest.raises(TypeError, match=r"value_and_grad: the function must return one Variable, not \(\*, \*\)"):
        func.value_and_grad(lambda x: (x.sum(), x))(x)
    with pytest.raises(TypeError, match=r"grad: with has_aux=True the function returns \(output, aux\), not Variable"):
        func.grad(lambda x: x.sum(), has_aux=True)(x)
    with pytest.raises(
        TypeError, match=r"jacrev: the function must return Variables; output\['b'\]\[1\] is a str, 'no'"
    ):
        func.jacrev(lambda x: {"a": x, "b": (x, "no")})(x)
    with pytest.raises(TypeError, match=r"jacfwd: complex numbers have no one Jacobian"):
        func.jacfwd(lambda x: x * 1j)(rustorch.asarray([1j]))


def test_errors_name_a_bad_result_on_every_backend(backend: Target) -> None:
    x = backend.variable(X)
    one = {name: getattr(func, name) for name in ("grad", "value_and_grad")}
    many = {name: getattr(func, name) for name in ("jacrev", "jacfwd", "hessian")}
    many |= {"vjp": lambda f: lambda x: func.vjp(f, x), "jvp": lambda f: lambda x: func.jvp(f, (x,), (x,))}
    for name, transform in one.items():
        for f, what in (
            (lambda x: x * 2, r"float64 of shape \(3,\)"),
            (lambda x: x[:0], r"float64 of shape \(0,\)"),
            (lambda x: (x * 1j).sum(), r"complex128 of shape \(\)"),
        ):
            with pytest.raises(
                ValueError, match=rf"{name}: the function must return a real number, shape \(\); it returned {what}"
            ):
                transform(f)(x)
    for name, transform in (one | many).items():
        for f, what in (
            (lambda x: 1.0, "output is a float, 1.0"),
            (lambda x: x.data, "output is a "),
            (lambda x: None, "output is None"),
            (lambda x: (x.sum(), "text"), r"output\[1\] is a str, 'text'"),
        ):
            with pytest.raises(TypeError, match=rf"^{name}: the function must return Variables; {what}"):
                transform(f)(x)
    assert not x.requires_grad


def test_errors_name_arguments_without_derivatives() -> None:
    with pytest.raises(TypeError, match=r"grad: argument 0\['a'\]\[1\] is a float"):
        func.grad(lambda t: t["a"][0].sum())({"a": [_x(), 2.0]})
    with pytest.raises(TypeError, match=r"argument 0 holds int64, which has no derivatives"):
        func.grad(lambda x: x.sum())(rustorch.asarray([1, 2]))
    with pytest.raises(ValueError, match=r"argnums=2, but the function was called with 1 positional"):
        func.grad(lambda x: x.sum(), 2)(_x())
    with pytest.raises(ValueError, match=r"names an argument twice"):
        func.grad(lambda x, y: x.sum(), (0, -2))(_x(), _x())
    with pytest.raises(TypeError, match=r"argnums is an integer or a tuple of integers, not 'x'"):
        func.grad(lambda x: x.sum(), "x")(_x())


def test_vectors_of_another_structure_or_shape_are_refused() -> None:
    x = _x()
    _, vjp_fn = func.vjp(lambda x: {"a": x * 2}, x)
    with pytest.raises(ValueError, match=r"vjp: cotangents must have the structure \{'a': \*\}, not \*"):
        vjp_fn(x)
    with pytest.raises(ValueError, match=r"cotangents\['a'\] has shape \(1,\) on 'cpu', but belongs to \(3,\)"):
        vjp_fn({"a": _x([1.0])})
    with pytest.raises(ValueError, match=r"jvp: tangents must have the structure \(\*,\), not \(\*, \*\)"):
        func.jvp(lambda x: x, (x,), (x, x))
    with pytest.raises(TypeError, match=r"jvp: primals and tangents are tuples, not Variable and Variable"):
        func.jvp(lambda x: x, x, x)  # type: ignore[arg-type]


# -- functional_call ---------------------------------------------------------------------------------------------------
def _net() -> rustorch.Module:
    return rustorch.Sequential(rustorch.Linear(3, 4), rustorch.Tanh(), rustorch.Linear(4, 2)).double()


def test_functional_call_uses_the_given_parameters_and_restores_its_own() -> None:
    net, x = _net(), _x([X])
    own = dict(net.named_parameters())
    before = net(x)
    doubled = {name: p.detach() * 2 for name, p in own.items()}
    actual = func.functional_call(net, doubled, x)
    assert not numpy.allclose(actual.data, before.data)
    assert all(net.state_dict()[name].data is p.data for name, p in own.items())
    assert [id(p) for p in net.parameters()] == [id(p) for p in own.values()]
    net.load_state_dict(doubled)
    _close(actual, net(x).data)


def test_gradients_of_functional_call_equal_those_of_backward() -> None:
    net, x = _net(), _x([X, X[::-1]])
    parameters = dict(net.named_parameters())
    g = func.grad(lambda p: func.functional_call(net, p, (x,)).sum())(parameters)
    net(x).sum().backward()
    for name, p in parameters.items():
        _close(g[name], p.grad)


def test_functional_call_restores_the_parameters_after_an_error() -> None:
    net = _net()
    own = dict(net.named_parameters())
    other = {name: p.detach() * 2 for name, p in own.items()}
    for wrong, error, message in (
        ((other, _x([[1.0]])), ValueError, "linear"),
        (({"2.wrong": own["2.bias"]}, _x([X])), KeyError, r"no parameter or buffer \['2.wrong'\]; it has \['0.weight'"),
        (([other, {"0.bias": own["0.bias"]}], _x([X])), ValueError, "'0.bias' is given twice"),
        (({"0.bias": 1.0}, _x([X])), TypeError, "'0.bias' is a float, not a Variable"),
    ):
        with pytest.raises(error, match=message):
            func.functional_call(net, *wrong)
        assert [id(p) for p in net.parameters()] == [id(p) for p in own.values()]
        assert net[0].weight is own["0.weight"]
    with pytest.raises(KeyError, match=r"no value is given for \['0.bias'"):
        func.functional_call(net, {"0.weight": own["0.weight"]}, _x([X]), strict=True)


def test_functional_call_replaces_tied_parameters_and_buffers() -> None:
    class Tied(rustorch.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = rustorch.Linear(3, 3, bias=False).double()
            self.two = self.one
            self.again = rustorch.Linear(3, 3, bias=False).double()
            self.again.weight = self.one.weight
            self.register_buffer("shift", _x([0.0, 0.0, 0.0]))

        def forward(self, x: Any, scale: float = 1.0) -> Any:
            return self.again(self.two(x)) * scale + self.shift

    net, eye = Tied(), _x(numpy.eye(3))
    actual = func.functional_call(net, ({"one.weight": eye * 2}, {"shift": _x([1.0, 1.0, 1.0])}), _x(X), {"scale": 0.5})
    _close(actual, 2 * numpy.array(X) + 1)
    _close(
        func.functional_call(net, {"one.weight": eye, "again.weight": eye * 3}, _x(X), tie_weights=False),
        3 * numpy.array(X),
    )
    with pytest.raises(ValueError, match="tied to another name"):
        func.functional_call(net, {"one.weight": eye, "again.weight": eye * 3}, _x(X))
    _close(net.shift, [0.0, 0.0, 0.0])
