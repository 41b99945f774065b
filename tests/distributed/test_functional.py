"""Collectives with gradients: values, and derivatives of first and second order, against one process's computation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.distributed import functional
from tests.support.target import Target

pytestmark = pytest.mark.ranks

Variables = Sequence[rustorch.Variable]


def mean(xs: Variables) -> rustorch.Variable:
    return sum(xs[1:], start=xs[0]) / len(xs)


def product(xs: Variables) -> rustorch.Variable:
    return rustorch.prod(rustorch.stack(list(xs)), axis=0)


def on(rank: int, wanted: int, value: rustorch.Variable) -> rustorch.Variable:
    """The value on one rank, and zeros on the others."""
    return value if rank == wanted else value * 0.0


def rows(x: rustorch.Variable, rank: int, size: int) -> rustorch.Variable:
    """A rank's part of an array."""
    n = x.shape[0] // size
    return x[rank * n : (rank + 1) * n, ...]


#: Name -> the collective, and what it computes from the inputs of all ranks. Inputs have shape (2 * ranks, 3). ``last``
#: is the last rank.
CASES: dict[str, tuple[Callable[[Any, int, int], Any], Callable[[Variables, int, int, int], Any]]] = {
    "all_reduce": (lambda x, size, last: functional.all_reduce(x), lambda xs, rank, size, last: sum(xs)),
    "all_reduce, avg": (lambda x, size, last: functional.all_reduce(x, "mean"), lambda xs, rank, size, last: mean(xs)),
    "all_reduce, product": (
        lambda x, size, last: functional.all_reduce(x, "product"),
        lambda xs, rank, size, last: product(xs),
    ),
    "all_reduce, max": (
        lambda x, size, last: functional.all_reduce(x, "max"),
        lambda xs, rank, size, last: rustorch.max(rustorch.stack(list(xs)), axis=0),
    ),
    "all_reduce, min": (
        lambda x, size, last: functional.all_reduce(x, "min"),
        lambda xs, rank, size, last: rustorch.min(rustorch.stack(list(xs)), axis=0),
    ),
    "broadcast": (lambda x, size, last: functional.broadcast(x, last), lambda xs, rank, size, last: xs[last]),
    "reduce": (
        lambda x, size, last: functional.reduce(x, last),
        lambda xs, rank, size, last: on(rank, last, sum(xs)),  # type: ignore[arg-type]
    ),
    "reduce, avg": (
        lambda x, size, last: functional.reduce(x, last, "avg"),
        lambda xs, rank, size, last: on(rank, last, mean(xs)),
    ),
    "all_gather": (
        lambda x, size, last: rustorch.concat(functional.all_gather(x)),
        lambda xs, rank, size, last: rustorch.concat(list(xs)),
    ),
    "all_gather_into_tensor": (
        lambda x, size, last: functional.all_gather_into_tensor(x),
        lambda xs, rank, size, last: rustorch.concat(list(xs)),
    ),
    "reduce_scatter": (
        lambda x, size, last: functional.reduce_scatter([rows(x, i, size) for i in range(size)]),
        lambda xs, rank, size, last: rows(sum(xs), rank, size),  # type: ignore[arg-type]
    ),
    "reduce_scatter_tensor, avg": (
        lambda x, size, last: functional.reduce_scatter_tensor(x, "avg"),
        lambda xs, rank, size, last: rows(mean(xs), rank, size),
    ),
    "gather": (
        lambda x, size, last: rustorch.concat(functional.gather(x, last)),
        lambda xs, rank, size, last: on(rank, last, rustorch.concat(list(xs))),
    ),
    "scatter": (
        lambda x, size, last: functional.scatter([rows(x, i, size) for i in range(size)], last),
        lambda xs, rank, size, last: rows(xs[last], rank, size),
    ),
    "all_to_all": (
        lambda x, size, last: rustorch.concat(functional.all_to_all([rows(x, i, size) for i in range(size)])),
        lambda xs, rank, size, last: rustorch.concat([rows(x, rank, size) for x in xs]),
    ),
    "all_to_all_single": (
        lambda x, size, last: functional.all_to_all_single(x),
        lambda xs, rank, size, last: rustorch.concat([rows(x, rank, size) for x in xs]),
    ),
}


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_of_two_orders(name: str, dtype: str, backend: Target, dist: ModuleType) -> None:
    if dtype == "complex128" and name.endswith(("max", "min")):
        with pytest.raises(ValueError, match="complex numbers have no order"):
            functional.all_reduce(rustorch.ones(2, dtype=rustorch.complex64), name[-3:])
        return
    collective, definition = CASES[name]
    rank, size = dist.get_rank(), dist.get_world_size()
    last = size - 1
    rng = numpy.random.default_rng(3)
    inputs, directions = (
        [rng.uniform(0.5, 1.5, (2 * size, 3)) * (1 if dtype == "float64" else 1 + 0.5j) for _ in range(size)]
        for _ in range(2)
    )

    def real(x: Any) -> Any:
        return x.sum() if dtype == "float64" else rustorch.real(x).sum()

    # on this rank, with the collective
    x = backend.variable(inputs[rank], dtype, requires_grad=True)
    out = collective(x, size, last)
    loss = real((rank + 1.0) * out * out * out)
    (first,) = rustorch.grad(loss, x, create_graph=True)
    (second,) = rustorch.grad(real(first * backend.variable(directions[rank], dtype)), x)

    # all ranks, in this process
    xs = [backend.variable(values, dtype, requires_grad=True) for values in inputs]
    outs = [definition(xs, r, size, last) for r in range(size)]
    total = sum(real((r + 1.0) * o * o * o) for r, o in enumerate(outs))
    total = total + sum(real(0.0 * x * x * x) for x in xs)  # each input has a gradient, if only of zeros
    firsts = rustorch.grad(total, xs, create_graph=True)
    along = sum(real(g * backend.variable(d, dtype)) for g, d in zip(firsts, directions, strict=True))
    seconds = rustorch.grad(along, xs)
    for found, expected in ((out, outs[rank]), (first, firsts[rank]), (second, seconds[rank])):
        numpy.testing.assert_allclose(backend.numpy(found), backend.numpy(expected), rtol=1e-12, atol=1e-13)

    # backward on native arrays
    y = backend.variable(inputs[rank], dtype, requires_grad=True)
    out = collective(y, size, last)
    real((rank + 1.0) * out * out * out).backward()
    numpy.testing.assert_allclose(backend.numpy(y.grad), backend.numpy(firsts[rank]), rtol=1e-12, atol=1e-13)
    numpy.testing.assert_array_equal(backend.numpy(y), inputs[rank])


def test_arrays_of_every_shape_and_memory_order(backend: Target, dist: ModuleType) -> None:
    size = dist.get_world_size()
    for shape in ((), (0,), (2, 0, 3), (1,)):
        x = backend.variable(numpy.ones(shape), requires_grad=True)
        total = functional.all_reduce(x)
        assert total.shape == shape
        total.sum().backward()
        numpy.testing.assert_array_equal(backend.numpy(x.grad), numpy.full(shape, float(size)))
        assert [part.shape for part in functional.all_gather(x)] == [shape] * size
    transposed = backend.variable(numpy.arange(6.0).reshape(2, 3)).T
    numpy.testing.assert_array_equal(
        backend.numpy(functional.all_reduce(transposed)), size * numpy.arange(6.0).reshape(2, 3).T
    )


def test_integers_are_exchanged_without_gradients(dist: ModuleType) -> None:
    total = functional.all_reduce(rustorch.asarray([1, 2]))
    assert total.dtype == rustorch.int64
    assert total.tolist() == [dist.get_world_size(), 2 * dist.get_world_size()]
    assert not total.requires_grad
    assert functional.all_reduce(rustorch.asarray([2], dtype=rustorch.int8), "prod").dtype == rustorch.int8


def test_an_equal_largest_value_shares_its_gradient(dist: ModuleType) -> None:
    x = rustorch.tensor([2.0], requires_grad=True)
    functional.all_reduce(x, "max").sum().backward()
    numpy.testing.assert_allclose(x.grad, [1.0], rtol=1e-6)  # a share of 1 / ranks, from each of the ranks' values


def test_a_smaller_group(dist: ModuleType) -> None:
    last = dist.get_world_size() - 1
    group = dist.new_group([last])
    if dist.get_rank() == last:
        x = rustorch.tensor([3.0], requires_grad=True)
        (functional.all_reduce(x, group=group) * functional.broadcast(x, last, group)).sum().backward()
        assert rustorch.Variable(x.grad).tolist() == [6.0]
    else:
        with pytest.raises(ValueError, match="is not in the group"):
            functional.all_reduce(rustorch.ones(1), group=group)


def test_bad_calls(dist: ModuleType) -> None:
    size = dist.get_world_size()
    x = rustorch.ones((2 * size + 1, 2))
    with pytest.raises(ValueError, match=r"all_reduce: op is ReduceOp.SUM"):
        functional.all_reduce(x, "median")
    with pytest.raises(ValueError, match=r"reduce: gradients are for ReduceOp.SUM and AVG"):
        functional.reduce(x, 0, "max")
    with pytest.raises(ValueError, match=r"rank 99 is not in the group"):
        functional.broadcast(x, 99)
    with pytest.raises(ValueError, match=r"has no first size to join; use all_gather"):
        functional.all_gather_into_tensor(rustorch.ones(()))
    with pytest.raises(ValueError, match=rf"reduce_scatter: a list of {size} arrays is needed, .* not {size + 1} of"):
        functional.reduce_scatter([x] * (size + 1))
    with pytest.raises(ValueError, match=r"scatter: a list of .* not Variable"):
        functional.scatter(x)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"all_gather takes Variables, arrays and Python numbers, not list"):
        functional.all_gather([1.0])
    with pytest.raises(TypeError, match=r"group must come from new_group\(\), not int"):
        functional.all_reduce(x, group=3)  # type: ignore[arg-type]
    if size > 1:
        with pytest.raises(ValueError, match=r"reduce_scatter_tensor: the first size is divided among"):
            functional.reduce_scatter_tensor(x)
        with pytest.raises(ValueError, match=r"all_to_all: all arrays have one shape and dtype"):
            functional.all_to_all([x, *[x[:1]] * (size - 1)])
        with pytest.raises(ValueError, match=r"shape and dtype, in the same order"):
            functional.all_reduce(rustorch.ones(1 + dist.get_rank()))


def test_a_collective_needs_a_process_group() -> None:
    import rustorch.distributed

    if not rustorch.distributed.is_initialized():
        with pytest.raises(RuntimeError, match=r"call rustorch.distributed.init_process_group\(\) first"):
            functional.all_reduce(rustorch.ones(1))
