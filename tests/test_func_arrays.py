"""Transforms of functions with native arrays, NumPy's scalars and floats as arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import func
from tests.support.target import Target

X = numpy.array([1.0, 2.0, 3.0])


def cubes(x: Any) -> Any:
    assert isinstance(x, rustorch.Variable)
    return (x**3).sum()


def test_transforms_take_native_arrays(backend: Target) -> None:
    a, v = backend.array(X), backend.array(numpy.ones(3))
    for actual, expected in (
        (func.grad(cubes)(a), 3 * X**2),
        (func.value_and_grad(cubes)(a)[1], 3 * X**2),
        (func.grad_and_value(cubes)(a)[0], 3 * X**2),
        (func.jacrev(lambda x: x**2)(a), numpy.diag(2 * X)),
        (func.jacfwd(lambda x: x**2)(a), numpy.diag(2 * X)),
        (func.hessian(cubes)(a), numpy.diag(6 * X)),
        (func.jvp(lambda x: x**2, (a,), (v,))[1], 2 * X),
        (func.vjp(lambda x: x**2, a)[1](v)[0], 2 * X),
        (func.hvp(cubes, (a,), (v,))[1][0], 6 * X),
        (func.grad(lambda x: func.grad(cubes)(x).sum())(a), 6 * X),
        (func.grad(lambda tree: cubes(tree["w"]) + tree["b"][0].sum())({"w": a, "b": [v]})["w"], 3 * X**2),
    ):
        assert (actual.device, actual.dtype) == (backend.device, rustorch.float64)
        numpy.testing.assert_allclose(backend.numpy(actual), expected)
    numpy.testing.assert_array_equal(backend.numpy(rustorch.asarray(a)), X)  # the transforms did not change it


def test_transforms_take_floats_and_numpy_scalars(backend: Target) -> None:
    def cube(x: Any) -> Any:
        assert (x.shape, x.device) == ((), backend.device)
        return x**3

    with rustorch.set_default_device(backend.device):
        for x, dtype in (
            (2.0, rustorch.float32),
            (numpy.float64(2.0), rustorch.float64),
            (numpy.float32(2.0), rustorch.float32),
        ):
            if backend.device != "cpu" and type(x) is not float:
                continue  # NumPy's scalars are on the host
            results = [
                func.grad(cube)(x), func.jacrev(cube)(x), func.jacfwd(cube)(x), func.jvp(cube, (x,), (1.0,))[1],
                func.vjp(cube, x)[1](1.0)[0],
            ]  # fmt: skip
            assert [(r.item(), r.dtype) for r in results] == [(12.0, dtype)] * 5
            assert [r.item() for r in (func.hessian(cube)(x), func.hvp(cube, (x,), (1.0,))[1][0])] == [12.0, 12.0]
    assert func.grad(lambda x, y: x * y, (0, 1))(2.0, 3.0)[0].item() == 3.0


TRANSFORMS: dict[str, Callable[[Callable, Any], Any]] = {
    "grad": lambda f, x: func.grad(f)(x),
    "value_and_grad": lambda f, x: func.value_and_grad(f)(x),
    "grad_and_value": lambda f, x: func.grad_and_value(f)(x),
    "jacrev": lambda f, x: func.jacrev(f)(x),
    "jacfwd": lambda f, x: func.jacfwd(f)(x),
    "hessian": lambda f, x: func.hessian(f)(x),
    "vjp": lambda f, x: func.vjp(f, x),
    "jvp": lambda f, x: func.jvp(f, (x,), (x,)),
    "hvp": lambda f, x: func.hvp(f, (x,), (x,)),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_errors_name_the_called_transform(name: str) -> None:
    transform = TRANSFORMS[name]
    for x, message in (
        (2, rf"^{name}: argument 0 is the int 2, which has no derivatives; write 2\.0"),
        (True, rf"^{name}: argument 0 is the bool True"),
        (numpy.arange(3), rf"^{name}: argument 0 holds int64, which has no derivatives; convert it, as in x\.astype"),
        (numpy.ones(2, "float16"), rf"^{name}: argument 0 has no derivatives: .*float16.*65504"),
        ("text", rf"^{name}: argument 0 is a str; derivatives are of Variables, arrays and numbers"),
        ([1.0, 2.0], rf"^{name}: argument 0\[0\] is a float in a tree; .*rustorch\.asarray"),
    ):
        with pytest.raises(TypeError, match=message):
            transform(lambda x: x, x)
    with pytest.raises(TypeError, match=rf"^{name}: the function must return"):
        transform(lambda x: 1.0, X)
    if name in ("jacrev", "jacfwd", "hessian"):
        with pytest.raises(TypeError, match=rf"^{name}: complex numbers have no one Jacobian"):
            transform(lambda x: x, X + 1j)


def test_tangents_of_another_type_or_shape_are_refused() -> None:
    for transform in (func.jvp, func.hvp):
        with pytest.raises(TypeError, match=r": tangents\[0\] is a str, not a Variable, an array or a number"):
            transform(cubes, (X,), ("up",))
        with pytest.raises(ValueError, match=r": tangents\[0\] has shape \(\) on 'cpu', but belongs to \(3,\)"):
            transform(cubes, (X,), (1.0,))
