"""diff with n = 0, also with ``prepend`` and ``append``."""

from __future__ import annotations

import numpy

import rustorch
from tests.support.target import Target


def test_no_differences_leave_the_array_as_it_is(backend: Target) -> None:
    x, before = backend.variable([1.0, 4.0], requires_grad=True), backend.variable([5.0])
    for joined in ({}, {"prepend": before}, {"append": before}):
        found = rustorch.diff(x, n=0, **joined)
        numpy.testing.assert_array_equal(backend.numpy(found), [1.0, 4.0])
    found.sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [1.0, 1.0])
    numpy.testing.assert_array_equal(backend.numpy(rustorch.diff(x, prepend=before)), [-4.0, 3.0])
