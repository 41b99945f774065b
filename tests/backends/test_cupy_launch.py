"""Launches and copies on CUDA: copies of views, stacks, sums of many rows, scatter-add, and gradients."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support.launches import counted, is_stand_in
from tests.support.target import Target

# -- contiguous --------------------------------------------------------------------------------------------------------
VIEWS = {
    "heads": lambda a: a.reshape(2, 6, 4, 5).transpose(0, 2, 1, 3),
    "transposed": lambda a: a.reshape(12, 20).T,
    "every second": lambda a: a[::2],
    "backwards": lambda a: a.reshape(8, 30)[::-1, ::-3],
    "repeated": lambda a: (
        numpy.broadcast_to(a[:3, None], (3, 7)) if isinstance(a, numpy.ndarray) else a[:3, None].repeat(7, 1)
    ),
    "contiguous": lambda a: a,
}


@pytest.mark.parametrize(
    "names",
    [
        ("heads", "transposed", "every second", "backwards"),
        ("contiguous", "heads", "transposed"),
        ("heads",),
        ("contiguous",),
        ("repeated", "backwards"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_contiguous_copies_all_views_in_one_launch(names: tuple[str, ...], dtype: str, cuda: Target) -> None:
    from rustorch.backends.cupy.launch import contiguous

    host = numpy.arange(240.0).astype(dtype)
    native = cuda.array(host, dtype)
    views = [VIEWS[name](native) for name in names]
    with counted() if is_stand_in() else pytest.MonkeyPatch.context() as counts:
        actual = contiguous(*views)
    for name, view, copy in zip(names, views, actual, strict=True):
        assert copy.flags.c_contiguous
        assert (copy is view) == view.flags.c_contiguous
        numpy.testing.assert_array_equal(cuda.numpy(copy), VIEWS[name](host))
    if is_stand_in():
        assert counts.launches.total() == any(not view.flags.c_contiguous for view in views)


def test_contiguous_copies_views_of_five_axes_or_two_dtypes_one_by_one(cuda: Target) -> None:
    from rustorch.backends.cupy.launch import contiguous

    host = numpy.arange(32.0)
    views = [cuda.array(host).reshape(2, 2, 2, 2, 2).T, cuda.array(host, "float32").reshape(4, 8).T]
    for copy, view in zip(contiguous(*views), views, strict=True):
        assert copy.flags.c_contiguous
        numpy.testing.assert_array_equal(cuda.numpy(copy), cuda.numpy(view))


def test_contiguous_copies_a_view_that_is_given_twice_once(cuda: Target) -> None:
    from rustorch.backends.cupy.launch import contiguous

    host = numpy.arange(240.0).reshape(2, 6, 4, 5)
    view, other = cuda.array(host).transpose((0, 2, 1, 3)), cuda.array(host.reshape(12, 20)).T
    for names in ((view, view), (view, view, view), (view, other, view)):
        actual = contiguous(*names)
        for given, copy in zip(names, actual, strict=True):
            assert copy.flags.c_contiguous
            numpy.testing.assert_array_equal(cuda.numpy(copy), cuda.numpy(given))
        assert actual[0] is actual[-1] or names[0] is not names[-1]
    q = rustorch.permute_dims(cuda.variable(host, requires_grad=True), (0, 2, 1, 3))
    on_cpu = Target("cpu").variable(host.transpose(0, 2, 1, 3))
    out, expected = F.scaled_dot_product_attention(q, q, q), F.scaled_dot_product_attention(on_cpu, on_cpu, on_cpu)
    numpy.testing.assert_allclose(cuda.numpy(out), expected.data, rtol=1e-12)
    out.sum().backward()


#: Arrays, the axis of their stack, and the number of launches.
STACKS = {
    "three": ([lambda a: a] * 3, 0, 1),
    "two views": ([lambda a: a.T, lambda a: a.reshape(20, 12)], 0, 1),
    "four of one element": ([lambda a: a[1:2, 1:2].reshape(())] * 4, -1, 1),
    "along the last axis": ([lambda a: a] * 2, -1, 2),
    "five": ([lambda a: a] * 5, 0, 5),
    "one": ([lambda a: a], 0, 1),
    "two empty ones": ([lambda a: a[:0]] * 2, 0, 0),
    "two dtypes": ([lambda a: a, lambda a: a.astype("complex128")], -3, 2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("name", STACKS)
def test_a_stack_of_a_few_arrays_is_one_launch(name: str, dtype: str, cuda: Target) -> None:
    parts, axis, launches = STACKS[name]
    host = numpy.arange(240.0).reshape(12, 20).astype(dtype).real.astype(dtype)
    native = cuda.array(host, dtype)
    given = [part(native) for part in parts]
    with counted() if is_stand_in() else pytest.MonkeyPatch.context() as counts:
        actual = cuda.library.xp.stack(given, axis=axis)
    expected = numpy.stack([part(host) for part in parts], axis=axis)
    assert actual.dtype == expected.dtype
    numpy.testing.assert_array_equal(cuda.numpy(actual), expected)
    if is_stand_in():
        assert counts.launches.total() == (launches and len(parts) if dtype == "complex64" else launches)


@pytest.mark.usefixtures("stand_in")
def test_joining_more_than_eight_arrays_is_one_launch_and_one_copy(cuda: Target) -> None:
    parts = [cuda.array([float(i)]) for i in range(9)]
    with counted() as counts:
        actual = cuda.library.xp.concat(parts)
    assert cuda.numpy(actual).tolist() == list(range(9))
    assert (counts.launches.total(), counts.copies.total(), counts.syncs.total()) == (1, 1, 0)


# -- sums of many rows -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"ignore_index": 1}, {"reduction": "sum"}, {"weight": True}])
def test_cross_entropy_of_many_rows_is_summed_by_several_blocks(
    options: dict, cuda: Target, monkeypatch: pytest.MonkeyPatch, rng: numpy.random.Generator
) -> None:
    from rustorch.backends.cupy import loss as cupy_loss

    x, y = rng.standard_normal((10_000, 3)), rng.integers(0, 3, 10_000)
    given = {**options, "weight": None if "weight" not in options else [0.5, 1.0, 2.0]}

    def loss(target: Target) -> tuple[numpy.ndarray, numpy.ndarray]:
        weight = None if given["weight"] is None else target.variable(given["weight"])
        leaf = target.variable(x, requires_grad=True)
        out = F.cross_entropy(leaf, target.variable(y, "int64"), **{**given, "weight": weight})
        out.backward()
        return target.numpy(out.detach()), target.numpy(leaf.grad)

    expected = loss(Target("cpu"))
    monkeypatch.setattr(cupy_loss, "ONE_BLOCK", 100)
    for on_cuda, on_cpu in zip(loss(cuda), expected, strict=True):
        numpy.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-11)


# -- scatter-add: small integers are added in a wider dtype, complex numbers part by part -----
@pytest.mark.parametrize(
    "dtype",
    [
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ],
)
def test_values_of_every_dtype_are_added_at_repeated_indices(dtype: str, cuda: Target) -> None:
    values, rows = (
        numpy.arange(12).reshape(4, 3) * (2j if dtype.startswith("complex") else 1),
        numpy.array([2, 0, 2, -1]),
    )
    expected = numpy.zeros((5, 3), dtype)
    numpy.add.at(expected, rows, values.astype(dtype))
    given, places = cuda.array(values, dtype), cuda.array(rows, "int64")
    xp = cuda.library.xp
    for actual in (
        xp.index_add(given, places, (5, 3), 0),
        xp.scatter_add(given, xp.broadcast_to(places[:, None], (4, 3)), (5, 3), 0),
        xp.put_add(given, (5, 3), places),
    ):
        assert actual.dtype == dtype
        numpy.testing.assert_array_equal(cuda.numpy(actual), expected)


# -- classes and rows that do not exist: no read outside of an array, and no wait ---
@pytest.mark.parametrize("function", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("wrong", [3, -1, 10**12, -(2**62)])
def test_the_loss_of_a_class_that_does_not_exist_is_nan(function: object, wrong: int, cuda: Target) -> None:
    x = cuda.variable([[1.0, 2.0, 3.0]] * 3, requires_grad=True)
    y = cuda.variable([0, wrong, -100], "int64")
    losses = function(x, y, reduction="none")  # type: ignore[operator]
    assert numpy.isnan(cuda.numpy(losses.detach())).tolist() == [False, True, False]
    losses.sum().backward()
    assert numpy.isnan(cuda.numpy(x.grad)).any(axis=1).tolist()[0::2] == [False, False]
    assert numpy.isnan(cuda.numpy(function(x, y).detach()))  # type: ignore[operator]
    if function is F.cross_entropy:
        assert numpy.isnan(cuda.numpy(x.grad)[1]).all()


def test_embedding_indices_out_of_range_wrap_around(cuda: Target) -> None:
    table = cuda.variable([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], requires_grad=True)
    out = F.embedding(cuda.variable([3, -1, 10**6 * 3 + 1], "int64"), table)
    assert out.tolist() == [[0.0, 1.0], [4.0, 5.0], [2.0, 3.0]]
    out.sum().backward()
    assert cuda.numpy(table.grad).tolist() == [[1.0, 1.0]] * 3


@pytest.mark.usefixtures("stand_in")
def test_checks_of_classes_and_rows_do_not_wait(cuda: Target) -> None:
    x, y = cuda.variable(numpy.ones((2, 3)), requires_grad=True), cuda.variable([0, 2], "int64")
    table = nn.Embedding(3, 2).to("cuda")
    with counted() as counts:
        (F.cross_entropy(x, y) + F.nll_loss(x, y) + F.multi_margin_loss(x, y) + table(y).sum()).backward()
        F.one_hot(y, 3)
    assert (counts.syncs.total(), counts.copies.total()) == (0, 0), counts.waiting
    with counted() as counts:
        F.one_hot(y)
    assert counts.syncs.total() == 1  # the number of classes depends on the values


# -- gradients ---------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("stand_in")
def test_gradients_of_layer_norm_are_not_copied(cuda: Target) -> None:
    norm = nn.LayerNorm(4).to("cuda")
    x = rustorch.randn(3, 4, device="cuda", requires_grad=True)
    norm(x).sum().backward()
    for leaf in (x, *norm.parameters()):
        leaf.grad = None
    with counted() as counts:
        norm(x).sum().backward()
    assert counts.launches["copy"] == 0, counts
    assert len({leaf.grad.data.ptr for leaf in (x, *norm.parameters())}) == 3


@pytest.mark.usefixtures("stand_in")
def test_backward_reuses_the_one_that_it_starts_from(cuda: Target) -> None:
    x = rustorch.tensor([1.0, 1.0], device="cuda", requires_grad=True)
    x.sum().backward()
    with counted() as counts:
        x.sum().backward()
    assert "ones" not in str(counts.launches)
    assert cuda.numpy(x.grad).tolist() == [2.0, 2.0]
