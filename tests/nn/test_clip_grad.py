"""Clipping the norm of gradients: many gradients, several dtypes and devices, and the number of launches on a GPU."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch.nn import utils
from tests.reference import cases
from tests.support.launches import counted, is_stand_in
from tests.support.target import Target

INF = float("inf")


def _parameters(backend: Target, shapes: list[tuple[int, ...]], dtypes: tuple[str, ...] = ("float64",)) -> list[Any]:
    parameters = []
    for i, shape in enumerate(shapes):
        dtype = dtypes[i % len(dtypes)]
        parameters.append(backend.variable(numpy.zeros(shape), dtype, requires_grad=True))
        parameters[-1].grad = backend.array(cases.numbers(shape, 0.3 * i), dtype)
    return parameters


@pytest.mark.parametrize("order", [1.0, 2.0, 2.5, INF])
@pytest.mark.parametrize("dtypes", [("float64",), ("float32",), ("float64", "float32")])
def test_the_norm_is_that_of_all_gradients_together(order: float, dtypes: tuple[str, ...], backend: Target) -> None:
    parameters = _parameters(backend, [(3, 4), (), (0, 3), (2, 1500), (5,), (2, 3, 4)], dtypes)
    before = [p.grad for p in parameters]
    values = [backend.numpy(g).astype("float64") for g in before]
    expected = numpy.linalg.norm(numpy.concatenate([v.reshape(-1) for v in values]), order)
    total = utils.clip_grad_norm_(parameters, 0.5, order)
    tolerance = 1e-12 if dtypes == ("float64",) else 1e-5
    numpy.testing.assert_allclose(backend.numpy(total), expected, rtol=tolerance)
    assert total.dtype == max(dtypes, key=lambda name: name == "float64")
    for p, g, v in zip(parameters, before, values, strict=True):
        numpy.testing.assert_allclose(
            backend.numpy(p.grad), v * (0.5 / (expected + 1e-6)), rtol=tolerance, atol=tolerance
        )
        assert p.grad.dtype == g.dtype
        numpy.testing.assert_array_equal(
            backend.numpy(g), v.astype(backend.numpy(g).dtype)
        )  # the old array is unchanged


@pytest.mark.parametrize("dtypes", [("float64",), ("float64", "float32")])
def test_order_0_counts_the_gradients_that_are_not_zero(dtypes: tuple[str, ...], backend: Target) -> None:
    parameters = _parameters(backend, [(3, 4), (2,), (5,), (4, 1)], dtypes)
    parameters[1].grad = backend.array(numpy.zeros(2), parameters[1].dtype)
    assert utils.clip_grad_norm_(parameters, 1e9, 0.0).item() == 3
    assert utils.clip_grad_norm_(parameters[:1], 1e9, 0.0).item() == 1


def test_gradients_need_not_be_contiguous(backend: Target) -> None:
    p = backend.variable(numpy.zeros((3, 4)), requires_grad=True)
    values = cases.numbers((4, 3))
    p.grad = backend.array(values).T
    assert utils.clip_grad_norm_([p], 1.0).item() == pytest.approx(numpy.linalg.norm(values))
    numpy.testing.assert_allclose(backend.numpy(p.grad), values.T / (numpy.linalg.norm(values) + 1e-6), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [numpy.nan, INF])
@pytest.mark.parametrize("order", [2.0, INF])
def test_a_gradient_that_is_not_finite_shows_in_the_norm(value: float, order: float, backend: Target) -> None:
    parameters = _parameters(backend, [(3, 4), (5,)])
    parameters[0].grad = backend.array(numpy.full((3, 4), value))
    total = utils.clip_grad_norm_(parameters, 1.0, order)
    numpy.testing.assert_array_equal(backend.numpy(total), value)
    # as in PyTorch: the others become 0 if the norm is infinite, nan if it is nan
    numpy.testing.assert_array_equal(
        backend.numpy(parameters[1].grad), numpy.full(5, numpy.nan if value != INF else 0.0)
    )


def test_integers_are_refused() -> None:
    with pytest.raises(TypeError, match="vector_norm is of floating-point arrays, not int64"):
        utils.get_total_norm([rustorch.asarray([1, 2])])


def test_gradients_on_two_devices_are_clipped_by_one_norm() -> None:
    pytest.importorskip("array_api_strict")
    parameters = [_parameters(Target(device), [(2,)])[0] for device in ("cpu", "strict")]
    for p, value in zip(parameters, (3.0, 4.0), strict=True):
        p.grad = Target(p.device).array([value, 0.0])
    total = utils.clip_grad_norm_(parameters, 1.0)
    assert (total.item(), total.device) == (5.0, "cpu")
    assert [[round(g, 4) for g in rustorch.Variable(p.grad).tolist()] for p in parameters] == [[0.6, 0.0], [0.8, 0.0]]


@pytest.mark.parametrize(("count", "launches"), [(4, 3), (200, 5)])
def test_many_gradients_are_clipped_in_few_launches(count: int, launches: int, backend: Target) -> None:
    if backend.device != "cuda" or not is_stand_in():
        pytest.skip("launches are counted on the stand-in for CuPy")
    parameters = _parameters(backend, [(3, 4)] * count)
    with counted() as counts:
        utils.clip_grad_norm_(parameters, 1.0)
    assert counts.launches.total() == launches  # one launch takes a table of limited size
    assert counts.waiting == []
    values = numpy.stack([backend.numpy(p.grad) for p in parameters])
    assert numpy.linalg.norm(values) == pytest.approx(1.0, rel=1e-6)
