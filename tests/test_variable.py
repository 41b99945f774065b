"""Variable: construction, attributes, and conversion to other types."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch import Variable
from tests.support.target import Target


# -- construction ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1, "int64", ()),
        (1.5, "float32", ()),
        (True, "bool", ()),
        (1j, "complex64", ()),
        ([], "float32", (0,)),
        ([[1, 2]], "int64", (1, 2)),
        ([1, 2.5], "float32", (2,)),
        ([1.0, 2j], "complex64", (2,)),
        (((True,), (False,)), "bool", (2, 1)),
        ([[], []], "float32", (2, 0)),
        (numpy.float64(2), "float64", ()),
        ([numpy.float64(2)], "float64", (1,)),
        (numpy.arange(3, dtype="int8"), "int8", (3,)),
    ],
)
def test_data_decides_dtype_and_shape(data: object, dtype: str, shape: tuple) -> None:
    x = Variable(data)
    assert (x.dtype.name, x.shape, x.device) == (dtype, shape, "cpu")
    assert (x.ndim, x.size) == (len(shape), int(numpy.prod(shape)))
    assert not x.requires_grad
    assert x.is_leaf
    assert x.grad is None
    assert x.grad_fn is None


def test_dtype_and_device_may_be_named(backend: Target) -> None:
    x = Variable([1, 2], requires_grad=True, device=backend.device, dtype=rustorch.float64)
    assert (x.dtype, x.device, x.requires_grad) == (rustorch.float64, backend.device, True)
    assert Variable(x.detach(), dtype="float32").dtype == rustorch.float32
    assert Variable([1], dtype=float).dtype == rustorch.float32


@pytest.mark.parametrize("data", [[[1, 2], [3]], [1, [2]], [[1.0], [2.0, 3.0], []]])
def test_ragged_lists_are_refused(data: list) -> None:
    for make in (Variable, rustorch.asarray, rustorch.tensor):
        with pytest.raises(ValueError, match="ragged data: the nested sequences differ in length"):
            make(data)


@pytest.mark.parametrize("data", ["text", ["a", "b"], object(), [1, object()], None, [1, None], {1: 2}, {1, 2}])
def test_data_that_is_no_number_is_refused(data: object) -> None:
    for make in (Variable, rustorch.asarray, rustorch.tensor):
        with pytest.raises(TypeError, match=r"an array holds numbers; .* is none"):
            make(data)


def test_a_list_of_variables_is_refused() -> None:
    with pytest.raises(TypeError, match=r"rustorch\.stack, which keeps their gradients"):
        Variable([rustorch.tensor(1.0), rustorch.tensor(2.0)])


def test_an_integer_beyond_int64_needs_a_dtype() -> None:
    with pytest.raises(ValueError, match="does not fit into int64"):
        Variable(2**63)
    assert Variable(2**63, dtype=rustorch.uint64).item() == 2**63


def test_values_that_are_no_dtype_are_refused() -> None:
    with pytest.raises(TypeError, match=r"'nothing' is not a data type; use one of rustorch\.bool"):
        Variable([1.0], dtype="nothing")


def test_a_variable_of_a_variable_shares_its_memory() -> None:
    x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    y = Variable(x)
    assert y.data is x.data
    assert not y.requires_grad


# -- requires_grad -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "int64"])
def test_integers_cannot_require_grad(dtype: str, backend: Target) -> None:
    with pytest.raises(
        RuntimeError, match=rf"only floating-point and complex Variables.*{dtype}.*astype\(rustorch\.float32\)"
    ):
        backend.variable([1, 0], dtype, requires_grad=True)
    x = backend.variable([1, 0], dtype)
    with pytest.raises(RuntimeError, match="only floating-point"):
        x.requires_grad_()
    with pytest.raises(RuntimeError, match="only floating-point"):
        x.requires_grad = True
    assert not x.requires_grad


def test_requires_grad_can_be_switched_on_a_leaf(backend: Target) -> None:
    x = backend.variable([1.0])
    assert x.requires_grad_() is x
    assert (x * 2).requires_grad
    x.requires_grad = False
    assert not (x * 2).requires_grad
    y = x.requires_grad_() * 2
    assert y.requires_grad_() is y
    with pytest.raises(RuntimeError, match=r"a computed Variable requires grad because its inputs do; use detach\(\)"):
        y.requires_grad_(False)
    assert not y.is_leaf
    assert y.grad_fn is not None


# -- data and grad -----------------------------------------------------------------------------------------------------
def test_data_can_be_replaced_on_a_leaf(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    x.data = backend.array([3.0, 4.0, 5.0])
    assert x.shape == (3,)
    assert x.requires_grad
    with pytest.raises(RuntimeError, match="a Variable that requires grad cannot hold int64"):
        x.data = backend.array([1, 2], "int64")
    with pytest.raises(TypeError, match="an array is needed here, not list"):
        x.data = [1.0]
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        (x * 2).data = backend.array([1.0])
    numpy.testing.assert_array_equal(backend.numpy(x), [3.0, 4.0, 5.0])


def test_grad_must_fit_its_variable(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    x.grad = backend.array([3.0, 4.0])
    (x * 2).sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [5.0, 6.0])
    for wrong in (backend.array([1.0]), backend.array([1.0, 2.0], "float32")):
        with pytest.raises(ValueError, match=r"a gradient has its Variable's shape, dtype and device, \(2,\) float64"):
            x.grad = wrong
    with pytest.raises(TypeError, match="an array is needed here, not float"):
        x.grad = 1.0
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [5.0, 6.0])
    x.grad = None
    assert x.grad is None
    x.zero_grad()


def test_detach_shares_memory_and_clone_copies(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    y = (x * 2).detach()
    assert not y.requires_grad
    assert x.detach().data is x.data
    z = x.clone()
    assert z.requires_grad
    z.sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [1.0, 1.0])
    w = x.detach().clone()
    w[0] = 9.0
    numpy.testing.assert_array_equal(backend.numpy(x), [1.0, 2.0])


# -- values out --------------------------------------------------------------------------------------------------------
def test_item_and_tolist_return_python_values(backend: Target) -> None:
    assert backend.variable([[2.5]]).item() == 2.5
    assert type(backend.variable(3, "int64").item()) is int
    assert type(backend.variable(True, "bool").item()) is bool
    assert backend.variable(1 + 2j, "complex128").item() == 1 + 2j
    assert backend.variable([[1, 2], [3, 4]], "int64").tolist() == [[1, 2], [3, 4]]
    assert backend.variable(1.5).tolist() == 1.5
    assert backend.variable([1.0], requires_grad=True).item() == 1.0
    with pytest.raises(ValueError, match=r"item\(\) is of one element; the shape \(2,\) has 2"):
        backend.variable([1.0, 2.0]).item()


def test_variables_of_one_element_convert_to_python_numbers(backend: Target) -> None:
    x = backend.variable(2.0)
    assert (float(x), int(x), bool(x), complex(x)) == (2.0, 2, True, 2 + 0j)
    assert float(backend.variable([[2.0]])) == 2.0
    assert not backend.variable(0, "int64")
    assert [10, 20, 30][backend.variable(1, "int64")] == 20
    for kind in (float, int, complex):
        with pytest.raises(TypeError, match=rf"{kind.__name__}\(\) is of one element; the shape \(2,\) has 2"):
            kind(backend.variable([1.0, 2.0]))
    for ambiguous in ([1.0, 2.0], []):
        with pytest.raises(ValueError, match=r"ambiguous; use rustorch\.any or rustorch\.all"):
            bool(backend.variable(ambiguous))
    for no_index in (backend.variable(1.0), backend.variable([1], "int64")):
        with pytest.raises(TypeError, match="only an integer without dimensions is an index"):
            no_index.__index__()


def test_a_variable_has_length_iteration_and_membership(backend: Target) -> None:
    x = backend.variable([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert len(x) == 2
    rows = list(x)
    assert [row.shape for row in rows] == [(2,), (2,)]
    (rows[1] * 2).sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [[0.0, 0.0], [2.0, 2.0]])
    scalar = backend.variable(1.0)
    with pytest.raises(TypeError, match="no length"):
        len(scalar)
    with pytest.raises(TypeError, match="cannot be iterated"):
        iter(scalar)


def test_repr_and_format_show_values_and_notes(backend: Target) -> None:
    where = "" if backend.device == "cpu" else f", device={backend.device!r}"
    assert repr(backend.variable([1.0, 2.0], "float32")) == f"Variable([1., 2.]{where})"
    assert (
        repr(backend.variable([1.0], "float64", requires_grad=True))
        == f"Variable([1.], dtype=float64{where}, requires_grad=True)"
    )
    x = backend.variable([[1.0], [2.0]], "float32", requires_grad=True)
    assert repr(x * 2) == f"Variable([[2.],\n          [4.]]{where}, grad_fn=<multiply>)"
    assert f"{backend.variable(1.23456):.2f}" == "1.23"
    assert str(backend.variable([1], "int64")) == f"Variable([1]{where})"


def test_hash_is_identity() -> None:
    x, y = rustorch.tensor([1.0]), rustorch.tensor([1.0])
    assert len({x, y, x}) == 2


def test_t_mt_real_and_imag_are_those_of_the_standard(backend: Target) -> None:
    x = backend.variable([[1.0, 2.0, 3.0]], requires_grad=True)
    assert x.T.shape == (3, 1)
    assert backend.variable(numpy.zeros((2, 3, 4))).mT.shape == (2, 4, 3)
    with pytest.raises(ValueError, match=r"T is of two dimensions, not of the shape \(1,\)"):
        _ = backend.variable([1.0]).T
    with pytest.raises(ValueError, match="at least two dimensions"):
        _ = backend.variable([1.0]).mT
    z = backend.variable([1 + 2j], "complex128")
    assert (z.real.item(), z.imag.item()) == (1.0, 2.0)


def test_the_namespace_is_rustorch() -> None:
    x = rustorch.tensor([1.0])
    assert x.__array_namespace__() is rustorch
    assert x.__array_namespace__(api_version=rustorch.__array_api_version__) is rustorch
    with pytest.raises(ValueError, match=r"not '1999\.01'"):
        x.__array_namespace__(api_version="1999.01")
