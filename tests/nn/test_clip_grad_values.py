"""Clipping gradients that are huge, tiny, infinite or nan."""

from __future__ import annotations

import numpy
import pytest

from rustorch import nn
from tests.support.target import Target


def _parameters(backend: Target, *hosts: list[float]) -> list:
    parameters = [backend.variable(numpy.zeros(len(host)), "float32", requires_grad=True) for host in hosts]
    for parameter, host in zip(parameters, hosts, strict=True):
        parameter.grad = backend.variable(host, "float32")
    return parameters


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 0.5, numpy.inf])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e20, 1e30])
def test_the_norm_neither_overflows_nor_underflows(backend: Target, scale: float, norm_type: float) -> None:
    hosts = [[3.0, -4.0], [12.0]]
    parameters = _parameters(backend, *[[value * scale for value in host] for host in hosts])
    expected = numpy.linalg.norm(numpy.concatenate(hosts), norm_type)
    total = nn.utils.clip_grad_norm_(parameters, 1.0, norm_type)
    numpy.testing.assert_allclose(backend.numpy(total), expected * scale, rtol=1e-5)
    factor = 1 / expected if scale >= 1 else scale
    for parameter, host in zip(parameters, hosts, strict=True):
        numpy.testing.assert_allclose(backend.numpy(parameter.grad), numpy.asarray(host) * factor, rtol=1e-5)


def test_many_huge_gradients_do_not_overflow(backend: Target) -> None:
    (parameter,) = _parameters(backend, [1e20] * 40_000)
    numpy.testing.assert_allclose(backend.numpy(nn.utils.clip_grad_norm_([parameter], 2.0)), 2e22, rtol=1e-5)
    numpy.testing.assert_allclose(backend.numpy(parameter.grad), numpy.full(40_000, 0.01), rtol=1e-5)


@pytest.mark.parametrize("norm_type", [2.0, 3.0, numpy.inf])
def test_infinite_and_nan_gradients_give_pytorchs_results(backend: Target, norm_type: float) -> None:
    for bad, clipped in ((numpy.inf, [numpy.nan, 0.0]), (numpy.nan, [numpy.nan, numpy.nan])):
        parameters = _parameters(backend, [bad, 1.0])
        with pytest.raises(RuntimeError, match=r"nan|inf"):
            nn.utils.clip_grad_norm_(parameters, 1.0, norm_type, error_if_nonfinite=True)
        numpy.testing.assert_array_equal(backend.numpy(parameters[0].grad), [bad, 1.0])
        with numpy.errstate(invalid="ignore"):
            total = nn.utils.clip_grad_norm_(parameters, 1.0, norm_type)
        numpy.testing.assert_array_equal(backend.numpy(total), bad)
        numpy.testing.assert_array_equal(backend.numpy(parameters[0].grad), clipped)
