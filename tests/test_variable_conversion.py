"""Variables as Python numbers and NumPy arrays: conversions that warn, raise, or are silent."""

from __future__ import annotations

import cmath
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd import GradientLostWarning
from tests.support.target import Target


@pytest.fixture
def told() -> Iterator[list]:
    """The warnings that are given, all of them."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield found


def test_gradient_lost_warning_is_a_user_warning() -> None:
    assert issubclass(GradientLostWarning, UserWarning)
    assert "GradientLostWarning" in rustorch.autograd.__all__


LOSING: dict[str, Callable[[Any], Any]] = {
    "float": lambda x: float(x),
    "int": lambda x: int(x),
    "complex": lambda x: complex(x),
    "math.exp": lambda x: math.exp(x),
    "cmath.exp": lambda x: cmath.exp(x),
    "math.floor": lambda x: math.floor(x),
    "into an array": lambda x: numpy.zeros(2).__setitem__(0, x**2),
    "into an array of integers": lambda x: numpy.zeros(2, "int64").__setitem__(0, x),
}


@pytest.mark.parametrize("name", LOSING)
def test_converting_a_tracked_variable_to_a_number_warns(name: str, backend: Target) -> None:
    x = backend.variable(2.0, requires_grad=True)
    with pytest.warns(GradientLostWarning, match=r"its gradient ends here. Write x.item\(\) or x.detach\(\)") as found:
        LOSING[name](x)
    assert len(found) == 1
    assert found[0].filename == __file__
    assert f"{__file__}:{found[0].lineno}" in str(found[0].message)
    LOSING[name](x.detach())
    with rustorch.no_grad():
        LOSING[name](x)


SILENT: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "bool": lambda x: bool(x),
    "comparison": lambda x: x > 1 and x < 3,
    "an f-string": lambda x: f"{x:.3f} {x}",
    "format": lambda x: "{:.2f}".format(x),  # noqa: UP032 - it is what is tested
    "percent": lambda x: "%.3f %d" % (x, 3),  # noqa: UP031 - it is what is tested
    "repr and print": lambda x: print(x, repr(x)),
    "a log": lambda x: logging.getLogger("rustorch.test").warning("loss %.3f", x),
    "detached": lambda x: math.exp(x.detach()),
    "a hash": lambda x: hash(x),
}


@pytest.mark.parametrize("name", SILENT)
def test_item_formatting_and_comparisons_do_not_warn(name: str, backend: Target, told: list) -> None:
    SILENT[name](backend.variable(2.0, requires_grad=True))
    assert not told


def test_each_line_warns_once(told: list) -> None:
    x = rustorch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    array = numpy.zeros(3)
    for i in range(3):
        array[i] = x[i] ** 2
    assert len(told) == 1
    math.exp(x[0])
    assert len(told) == 2
    assert told[1].lineno == told[0].lineno + 2
    numpy.testing.assert_array_equal(array, [1.0, 4.0, 9.0])


def test_lines_warn_again_after_a_change_of_filters() -> None:
    x = rustorch.tensor(1.0, requires_grad=True)
    for _ in range(2):
        with pytest.warns(GradientLostWarning):
            float(x)
    for _ in range(2):  # an error every time
        with pytest.raises(GradientLostWarning):
            float(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientLostWarning)
        assert float(x) == 1.0


def test_the_warning_names_the_first_line_outside_of_rustorch(told: list) -> None:
    x = rustorch.tensor(0.5, requires_grad=True)
    rustorch.nn.functional.leaky_relu(rustorch.tensor([-1.0]), x)
    assert [found.filename for found in told] == [__file__]


def test_scipy_quad_of_a_tracked_function_warns(told: list) -> None:
    integrate = pytest.importorskip("scipy.integrate")
    a = rustorch.tensor(2.0, requires_grad=True, dtype="float64")
    value, _ = integrate.quad(lambda t: a * t, 0.0, 1.0)
    assert value == pytest.approx(1.0)
    assert [found.category for found in told] == [GradientLostWarning]


def test_schedulers_and_optimizers_read_losses_without_a_warning(told: list) -> None:
    w = rustorch.tensor([1.0], requires_grad=True)
    optimizer = rustorch.SGD([w], lr=0.1)
    rustorch.optim.lr_scheduler.ReduceLROnPlateau(optimizer).step((w * w).sum())
    lbfgs = rustorch.optim.LBFGS([w])

    def closure() -> Any:
        lbfgs.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    lbfgs.step(closure)
    assert not told


INTO_NUMPY: dict[str, Callable[[Any], Any]] = {
    "asarray": lambda x: numpy.asarray(x),
    "a slice": lambda x: numpy.zeros(2).__setitem__(slice(None), x),
    "a list": lambda x: numpy.asarray([x[0], 1.0]),
    "concatenate": lambda x: numpy.concatenate([x, x]),
    "clip": lambda x: numpy.clip(x, 0, 1),
    "full": lambda x: numpy.full(2, x[0]),
}


@pytest.mark.parametrize("name", INTO_NUMPY)
def test_numpy_arrays_refuse_tracked_values(name: str) -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="would lose its gradient"):
        INTO_NUMPY[name](x)
    INTO_NUMPY[name](x.detach())


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "std", "var", "max", "min", "all", "any"])
def test_errors_of_numpy_reductions_name_the_function_of_rustorch(name: str) -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=rf"numpy\.{name} does not compute with Variables; write rustorch\.{name}\(x\)"):
        getattr(numpy, name)(x)


# -- Tensor(2, 3) ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sizes", [(2, 3), (2, 3, 4), ([1.0], 1), ([1.0], "cuda"), ([1.0], 0.5)])
def test_sizes_in_place_of_data_are_refused(sizes: tuple) -> None:
    with pytest.raises(
        TypeError, match=r"the second argument is requires_grad, True or False.*rustorch\.empty\(\(2, 3\)\)"
    ):
        rustorch.Tensor(*sizes)


@pytest.mark.parametrize("flag", [True, numpy.True_])
def test_requires_grad_must_be_a_boolean(flag: Any) -> None:
    assert rustorch.Variable([1.0], flag).requires_grad
    assert not rustorch.Variable([1.0], not flag).requires_grad
    assert rustorch.Tensor([1.0, 2.0], [2, 1]).shape == (2, 1)
