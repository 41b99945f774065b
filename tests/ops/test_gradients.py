"""Every line of the spec table against central differences, on every backend."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from tests.specs import CONSTANTS, INTERNAL, NOT_DIFFERENTIABLE, SPECS, Spec, public_functions
from tests.support.differences import check, listed
from tests.support.target import Target

ALL = [*SPECS, *INTERNAL]
CASES = [pytest.param(spec, dtype, id=f"{spec.id}-{dtype}") for spec in ALL for dtype in spec.dtypes]
SHAPES = [pytest.param(spec, shapes, id=f"{spec.id}-{shapes}") for spec in ALL for shapes in spec.shapes]


def _skip(spec: Spec, backend: Target) -> None:
    if backend.device in spec.skip:
        pytest.skip(spec.skip[backend.device])


def test_every_public_function_is_in_exactly_one_table() -> None:
    differentiable = {spec.name for spec in SPECS}
    tables = [differentiable, set(NOT_DIFFERENTIABLE), set(CONSTANTS)]
    assert set.union(*tables) == public_functions()
    assert sum(map(len, tables)) == len(set.union(*tables)), "a name stands in two tables"
    ids = [spec.id for spec in ALL]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "name", sorted(NOT_DIFFERENTIABLE & {"equal", "less", "isnan", "signbit", "nextafter", "argmax", "argsort"})
)
def test_functions_without_derivative_record_nothing(name: str, backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    function = getattr(rustorch, name)
    out = function(x, x) if name in ("equal", "less", "nextafter") else function(x)
    assert not out.requires_grad
    assert out.grad_fn is None


@pytest.mark.parametrize(("spec", "dtype"), CASES)
def test_gradients_of_first_and_second_order(
    spec: Spec, dtype: str, backend: Target, rng: numpy.random.Generator
) -> None:
    _skip(spec, backend)
    check(spec.call, spec.arrays(dtype, rng), backend, order=spec.order, **spec.tolerance)


@pytest.mark.parametrize(("spec", "shapes"), SHAPES)
def test_shapes_that_broadcast_or_are_empty(
    spec: Spec, shapes: tuple, backend: Target, rng: numpy.random.Generator
) -> None:
    _skip(spec, backend)
    check(spec.call, spec.arrays(spec.dtypes[0], rng, shapes), backend, **spec.tolerance)


@pytest.mark.parametrize("spec", [pytest.param(spec, id=spec.id) for spec in ALL])
def test_a_gradient_keeps_the_single_precision_of_its_variable(
    spec: Spec, backend: Target, rng: numpy.random.Generator
) -> None:
    _skip(spec, backend)
    dtype = {"float64": "float32", "complex128": "complex64"}[spec.dtypes[0]]
    xs = [backend.variable(a, dtype, requires_grad=True) for a in spec.arrays(spec.dtypes[0], rng)]
    outs = listed(spec.call(*xs))
    gradients = rustorch.grad(outs, xs, [rustorch.ones_like(out) for out in outs], create_graph=True)
    total = outs[0]
    total.backward(rustorch.ones_like(total))
    for x, g in zip(xs, gradients, strict=True):
        assert (g.shape, g.dtype, g.device) == (x.shape, rustorch.backends.dtypes.as_dtype(dtype), backend.device)
        if x.grad is not None:  # backward ran from one output alone, which may not depend on x
            kept = rustorch.Variable(x.grad)
            assert (kept.shape, kept.dtype, kept.device) == (x.shape, x.dtype, x.device)


@pytest.mark.parametrize("spec", [pytest.param(spec, id=spec.id) for spec in ALL])
def test_views_have_the_gradients_of_contiguous_arrays(
    spec: Spec, backend: Target, rng: numpy.random.Generator
) -> None:
    _skip(spec, backend)
    if backend.device == "jax":
        pytest.skip("jax: arrays have no strides")
    arrays = spec.arrays(spec.dtypes[0], rng)

    def gradients(natives: list) -> list[numpy.ndarray]:
        xs = [rustorch.Variable(a, requires_grad=True) for a in natives]
        outs = listed(spec.call(*xs))
        return [backend.numpy(g) for g in rustorch.grad(outs, xs, [rustorch.ones_like(out) for out in outs])]

    expected = gradients([backend.array(a, a.dtype) for a in arrays])
    # every second element of an array twice as long; and a transposed one
    strided = [backend.array(numpy.repeat(a, 2, axis=-1), a.dtype)[..., ::2] for a in arrays]
    backwards = [
        backend.library.xp.permute_dims(backend.array(a.T, a.dtype), tuple(range(a.ndim))[::-1]) for a in arrays
    ]
    for natives in (strided, backwards):
        for got, want in zip(gradients(natives), expected, strict=True):
            numpy.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
