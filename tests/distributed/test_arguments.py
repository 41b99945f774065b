"""Calls that must raise, with the exact reason, and change nothing."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch

ranks = pytest.mark.ranks


@ranks
def test_calls_before_the_start_or_twice(dist: ModuleType) -> None:
    for backend in (None, "mpi", "nccl"):
        with pytest.raises(RuntimeError, match="init_process_group: the process group exists already; call it once"):
            dist.init_process_group(backend)


def test_nothing_works_without_a_group() -> None:
    import rustorch.distributed as dist

    assert not dist.is_initialized()
    assert dist.is_available()
    x = numpy.ones(2)
    for function, arguments in [
        (dist.all_reduce, (x,)),
        (dist.broadcast, (x, 0)),
        (dist.all_gather, ([x], x)),
        (dist.send, (x, 1)),
        (dist.barrier, ()),
        (dist.broadcast_object, (1,)),
        (dist.new_group, ()),
        (dist.get_rank, ()),
        (dist.get_world_size, ()),
        (dist.destroy_process_group, ()),
    ]:
        with pytest.raises(
            RuntimeError, match=r"there is no process group; call rustorch.distributed.init_process_group"
        ):
            function(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"backend": "gloo"},
            r"unknown backend 'gloo'; use 'mpi' \(on CPUs, where PyTorch has 'gloo'\) or 'nccl', or None",
        ),
        ({"timeout": 0}, "timeout is a number of seconds above 0, not 0"),
        ({"timeout": "1"}, "timeout is a number of seconds above 0, not '1'"),
        ({"timeout": float("nan")}, "timeout is a number of seconds above 0, not nan"),
        ({"debug": "yes"}, "debug is True, False or None, not 'yes'"),
    ],
)
def test_a_wrong_start_starts_nothing(arguments: dict[str, Any], message: str) -> None:
    import rustorch.distributed as dist

    with pytest.raises(ValueError, match=message):
        dist.init_process_group(**arguments)
    assert not dist.is_initialized()


def test_mpi_without_mpi4py_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import rustorch.distributed as dist

    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(RuntimeError, match=r"mpi4py cannot be imported: pip install 'rustorch\[mpi\]'"):
        dist.init_process_group("mpi")
    assert not dist.is_initialized()


BAD: list[tuple[Any, type[Exception], str]] = [
    ([1.0], TypeError, "tensor must be a Variable or an array, not list"),
    (3.0, TypeError, "tensor must be a Variable or an array, not float"),
    (None, TypeError, "tensor must be a Variable or an array, not NoneType"),
    (
        numpy.arange(6.0).reshape(2, 3).T,
        ValueError,
        r"tensor of shape \(3, 2\) is not contiguous \(strides \(8, 24\)\)",
    ),
    (numpy.arange(6.0)[::2], ValueError, r"tensor of shape \(3,\) is not contiguous"),
    (numpy.broadcast_to(numpy.ones(1), (3,)), ValueError, r"tensor of shape \(3,\) is not contiguous"),
    (numpy.frombuffer(b"12345678"), ValueError, "tensor is read-only; exchange a copy"),
]


@ranks
@pytest.mark.parametrize(("x", "error", "message"), BAD)
def test_arrays_that_cannot_be_exchanged(dist: ModuleType, x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"all_reduce: {message}"):
        dist.all_reduce(x)
    with pytest.raises(error, match=f"broadcast: {message}"):
        dist.broadcast(x, 0)


@ranks
def test_values_that_the_graph_tracks_are_refused(dist: ModuleType) -> None:
    leaf = rustorch.Variable(numpy.ones(3), requires_grad=True)
    with pytest.raises(
        RuntimeError, match=r"all_reduce: tensor was computed from values that require grad.*\.detach\(\)"
    ):
        dist.all_reduce(leaf * 2.0)
    with rustorch.no_grad():
        dist.all_reduce(leaf * 2.0)
    dist.all_reduce(leaf)
    assert leaf.tolist() == [dist.get_world_size()] * 3


@ranks
def test_a_value_that_backward_needs_was_exchanged(dist: ModuleType) -> None:
    leaf = rustorch.Variable(numpy.ones(3), requires_grad=True)
    out = rustorch.sum(leaf * leaf)
    dist.all_reduce(leaf)
    with pytest.raises(RuntimeError, match="was changed in place after the call"):
        out.backward()


@ranks
@pytest.mark.parametrize("op", ["add", "median", None, 3, "SUM "])
def test_unknown_reductions(dist: ModuleType, op: Any) -> None:
    x = numpy.ones(2)
    with pytest.raises(ValueError, match=r"all_reduce: op is ReduceOp.SUM, AVG, PRODUCT, MIN or MAX, or such a name"):
        dist.all_reduce(x, op)
    assert x.tolist() == [1.0, 1.0]


@ranks
def test_the_average_of_integers_is_refused(dist: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"the average of int64 arrays is no int64; use ReduceOp.SUM"):
        dist.all_reduce(numpy.ones(2, "int64"), "mean")


@ranks
def test_ranks_outside_of_the_group(dist: ModuleType) -> None:
    size = dist.get_world_size()
    x = numpy.ones(2)
    for rank in (size, -1):
        for call in (
            lambda r: dist.broadcast(x, r),
            lambda r: dist.reduce(x, r),
            lambda r: dist.send(x, r),
            lambda r: dist.recv(x, r),
            lambda r: dist.scatter(x, None, r),
            lambda r: dist.gather(x, None, r),
            lambda r: dist.broadcast_object(1, r),
            lambda r: dist.new_group([r]),
        ):
            with pytest.raises(ValueError, match=rf"rank {rank} is not in the group, which has the ranks \(0,"):
                call(rank)
    with pytest.raises(TypeError, match="broadcast: a rank is an int, not float"):
        dist.broadcast(x, 0.0)
    with pytest.raises(TypeError, match=r"all_reduce: group must come from new_group\(\), not int"):
        dist.all_reduce(x, group=3)
    for ranks in ([], [0, 0]):
        with pytest.raises(ValueError, match="new_group: a group has at least one rank, and each once"):
            dist.new_group(ranks)
    if size > 1:
        with pytest.raises(ValueError, match="isend: tag is an int from 0 to 32767, not -1"):
            dist.isend(x, (dist.get_rank() + 1) % size, tag=-1)
        with pytest.raises(ValueError, match=r"irecv: tag is an int from 0 to 32767, not 1\.5"):
            dist.irecv(x, tag=1.5)


@ranks
def test_lists_of_wrong_lengths_shapes_and_dtypes(dist: ModuleType) -> None:
    size = dist.get_world_size()
    x = numpy.ones(2)
    good = [numpy.zeros(2) for _ in range(size)]
    with pytest.raises(
        ValueError, match=rf"tensor_list must be a list of {size} arrays, one for each rank of the group; not"
    ):
        dist.all_gather(good[1:], x)
    with pytest.raises(ValueError, match="not ndarray"):
        dist.all_gather(numpy.zeros((size, 2)), x)
    with pytest.raises(
        ValueError, match=r"tensor_list\[0\] is float64 \(3,\), and the ranks exchange arrays of float64 \(2,\)"
    ):
        dist.all_gather([numpy.zeros(3), *good[1:]], x)
    with pytest.raises(ValueError, match=r"input_list\[0\] is float32 \(2,\)"):
        dist.reduce_scatter(x, [numpy.zeros(2, "float32"), *good[1:]])
    with pytest.raises(ValueError, match=r"all_gather_into_tensor: output_tensor has shape"):
        dist.all_gather_into_tensor(numpy.zeros(2 * size + 1), x)
    with pytest.raises(ValueError, match="both need one dtype and one device"):
        dist.reduce_scatter_tensor(x, numpy.zeros(2 * size, "float32"))
    with pytest.raises(ValueError, match="all_to_all_single: input is float64"):
        dist.all_to_all_single(numpy.zeros(size), numpy.zeros(2 * size))
    if dist.get_rank() == 1:
        with pytest.raises(ValueError, match="scatter_list is for rank 0, which sends; pass None on the other ranks"):
            dist.scatter(x, good)
        with pytest.raises(ValueError, match="gather_list is for rank 0, which receives; pass None on the other ranks"):
            dist.gather(x, good)
    assert x.tolist() == [1.0, 1.0]


@ranks
@pytest.mark.parametrize("differs", ["shape", "dtype", "reduction", "function", "root"])
def test_calls_that_differ_are_shown_on_every_rank(dist: ModuleType, differs: str) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        return
    last = rank == size - 1
    x = numpy.ones(3 if last and differs == "shape" else 2, "float32" if last and differs == "dtype" else "float64")
    with pytest.raises(ValueError, match="The calls differ, and nothing was exchanged") as caught:
        if differs == "root":
            dist.broadcast(x, size - 1 if last else 0)
        elif last and differs == "function":
            dist.broadcast(x, 0)
        else:
            dist.all_reduce(x, "max" if last and differs == "reduction" else "sum")
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == [f"  rank {r}" for r in range(size)]
    assert len({line.split(":", 1)[1] for line in lines}) == 2
    assert (x == 1).all()
    dist.all_reduce(numpy.ones(2))  # all go on


def test_debug_mode_compares_exchanges_in_the_background() -> None:
    from tests.support import jobs

    source = (
        "import numpy, rustorch.distributed as dist\n"
        "dist.init_process_group(timeout=20, debug={debug})\n"
        "x = numpy.ones(2 + dist.get_rank())\n"
        "try: dist.all_reduce(x, async_op=True)\n"
        "except ValueError as error: print(str(error).splitlines()[-1].strip(), flush=True)\n"
    )
    done = jobs.run(source.format(debug=True), 2)
    assert done.stdout.count("rank 1: all_reduce(float64 (3,), sum, async_op=True)") == 2
    done = jobs.run(source.format(debug=None), 2, env={"RUSTORCH_DISTRIBUTED_DEBUG": "1"})
    assert done.stdout.count("rank 1: all_reduce(float64 (3,), sum, async_op=True)") == 2
