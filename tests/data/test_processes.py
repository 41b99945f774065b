"""Worker processes: the same batches in the same order as without workers, through shared memory."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.data import (
    ArrayDataset,
    DataLoader,
    DistributedSampler,
    WorkerInfo,
    default_collate,
    get_worker_info,
    sharing,
)
from rustorch.pytree import tree_flatten
from tests.data import process_samples as samples
from tests.data.process_leftovers import LISTED, nothing_left, open_files, segments, workers
from tests.support.target import Target

#: Forks of a server that has imported rustorch start fast. Other tests here use "spawn", the default.
FAST = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    if FAST == "forkserver":
        multiprocessing.set_forkserver_preload(["rustorch.data.worker", "tests.data.process_samples"])
    with nothing_left():
        yield


def loader(dataset: Any, *args: Any, **options: Any) -> DataLoader:
    """A loader with two worker processes that start fast."""
    return DataLoader(
        dataset, *args, **{"num_workers": 2, "worker": "process", "multiprocessing_context": FAST, **options}
    )


def plain(batch: Any) -> Any:
    """A batch as a comparable value: arrays as lists with their type, dtype and device."""
    leaves, structure = tree_flatten(batch)
    return [
        (type(x), str(x.dtype), x.device, x.tolist()) if isinstance(x, (rustorch.Variable, numpy.ndarray)) else x
        for x in leaves
    ], structure


# -- batches -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("context", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
def test_batches_equal_those_without_workers(context: str) -> None:
    data = samples.Numbers(11, samples.varied)
    expected = DataLoader(data, 3, shuffle=True, seed=3)
    actual = loader(data, 3, shuffle=True, seed=3, persistent_workers=True, multiprocessing_context=context)
    for _ in range(2):
        assert [plain(batch) for batch in actual] == [plain(batch) for batch in expected]
    assert len(workers()) == 2
    del actual
    assert workers() == []


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        (ArrayDataset(numpy.arange(7000.0).reshape(7, 1000), numpy.arange(7)), {"batch_size": 3}),
        (ArrayDataset(numpy.arange(7000.0).reshape(7, 1000)), {"batch_size": 2, "drop_last": True}),
        (range(1200), {"batch_size": 500, "collate_fn": samples.native}),
        (samples.Numbers(3, samples.image), {"batch_size": None}),
        (samples.Numbers(3, samples.strided), {"batch_size": None}),
        (samples.Numbers(0), {}),
        (["a", "b"], {"sampler": [1, 0, 1]}),
        (range(9), {"batch_sampler": [[8, 1], [5]]}),
    ],
)
def test_loaders_of_every_kind_equal_those_without_workers(dataset: Any, options: dict[str, Any]) -> None:
    actual = [plain(batch) for batch in loader(dataset, num_workers=3, **options)]
    assert actual == [plain(batch) for batch in DataLoader(dataset, **options)]


def test_arrays_come_in_shared_memory_without_a_copy() -> None:
    passing = iter(loader(samples.Numbers(12, samples.image), 2))
    batch = next(passing)
    assert segments() != set() or not LISTED
    assert type(batch) is rustorch.Variable and batch.data.flags.writeable and not batch.data.flags.owndata
    assert batch.data.ctypes.data % 64 == 0
    view = batch.data[1, 3:]
    batch.data[:] += 100
    del batch
    for _ in itertools.islice(passing, 4):
        pass
    assert (view == 101).all()  # a view keeps the memory from being used again
    del passing
    assert segments() == set()
    assert (view == 101).all()  # and mapped


def test_batches_that_the_loop_keeps_are_never_overwritten() -> None:
    data, files = loader(samples.Numbers(200, samples.image), 2, persistent_workers=True), open_files()
    kept = list(data)
    n_segments, n_files = len(segments()), open_files()
    assert n_segments <= 2 * 2 + 4  # in work, and in the hands of the loop
    assert n_files - files < 4 * n_segments + 20  # not one for each batch
    kept += list(data)
    assert len(segments()) <= n_segments + 2
    for i, batch in enumerate(kept):
        assert (batch.data == numpy.array([2 * i % 200, 2 * i % 200 + 1])[:, None, None]).all()
    del data
    assert (kept[-1].data[1] == 199).all()


def test_a_loop_that_keeps_nothing_uses_the_same_memory_again() -> None:
    data = loader(samples.Numbers(60, samples.image), 2, persistent_workers=True)
    addresses = {batch.data.ctypes.data for _ in range(2) for batch in data}
    assert len(addresses) <= 8
    assert len(segments()) <= 8


def test_batches_may_grow() -> None:
    data, names = loader(samples.Numbers(21, samples.growing), 1, persistent_workers=True), set()
    for _ in range(2):
        for i, batch in enumerate(data):
            assert batch.shape == (1, 1000 * (i % 7 + 1)) and (batch.data == i).all()
            names |= segments()
    assert len(segments()) <= 8 < (len(names) if LISTED else 9)  # segments that were too small have been replaced


def test_batches_arrive_if_there_is_no_shared_memory() -> None:
    data = samples.Numbers(11, samples.varied)
    without = loader(data, 3, worker_init_fn=samples.without_shared_memory)
    passing = iter(without)
    first = next(passing)
    assert segments() == set()
    batches = [plain(first), *[plain(batch) for batch in passing]]
    assert batches == [plain(batch) for batch in DataLoader(data, 3)]
    first["large"].data[:] = 0  # writable, as ever


def test_a_segment_without_room_is_refused_before_it_is_written() -> None:
    name = f"rustorch_test{id(object()):x}"
    assert sharing.create_segment(name, 1 << 40) is None
    assert sharing.open_segment(name) is None
    segment = sharing.create_segment(name, 1000)
    assert segment is not None
    try:
        assert sharing.create_segment(name, 1000) is None  # it exists
    finally:
        segment.unlink()


def test_large_arrays_of_the_dataset_are_shared_and_each_worker_has_its_own_changes() -> None:
    data = samples.Changing()
    passing = iter(loader(data, 1, num_workers=2, prefetch_factor=1))
    first = next(passing)
    assert any(name.endswith("start") for name in segments()) or not LISTED
    seen = [(batch[0].item(), batch[1].item()) for batch in (first, *passing)]
    # samples 0 and 2 are of one worker, 1 and 3 of the other
    assert seen == [(1, 0.0), (1, 0.0), (2, 1000.0), (2, 1000.0)]
    assert data.reads == 0 and not data.array.any()


def test_a_dataset_without_shared_memory_is_sent_through_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "create_segment", lambda name, size: None)
    seen = [batch[1].item() for batch in loader(samples.Changing(), 1, num_workers=1)]
    assert seen == [0.0, 1000.0, 2000.0, 3000.0]


def test_queues_of_multiprocessing_go_to_the_workers() -> None:
    counter = multiprocessing.get_context(FAST).Value("i", 0)
    data = samples.Numbers(4, partial(samples.add_to, counter))
    assert sorted(batch.item() for batch in loader(data, 1)) == [1, 2, 3, 4]
    assert counter.value == 4


@pytest.mark.parametrize("computed", [False, True])
def test_leaves_keep_requires_grad_and_graphs_are_refused(computed: bool) -> None:
    passing = loader(samples.Gradients(computed), 2, collate_fn=samples.identity)
    if computed:
        with pytest.raises(TypeError, match="cannot be sent from its worker process to the loop: a computed Variable"):
            list(passing)
        return
    ((first, second),) = passing
    assert (first.requires_grad, second.requires_grad, second.tolist()) == (True, True, [1.0] * 1000)


def test_arrays_stay_on_their_devices_or_go_to_the_device(backend: Target) -> None:
    data = samples.OnDevice(backend.device)
    for x, y in loader(data, 3):
        assert (x.device, y.device, x.shape) == (backend.device, "cpu", (3, 30, 10))
        assert [int(x[k, 0, 0].item()) for k in range(3)] == y.tolist()
    for x, y in loader(samples.OnDevice("cpu"), 3, device=backend.device):
        assert (x.device, y.device) == (backend.device, backend.device)
        assert [int(x[k, 0, 0].item()) for k in range(3)] == y.tolist()


def test_at_most_the_allowed_number_of_batches_is_made_ahead() -> None:
    counter = multiprocessing.get_context(FAST).Value("i", 0)
    data = loader(samples.Numbers(40, partial(samples.add_to, counter)), 1, num_workers=2, prefetch_factor=3)
    passing = iter(data)
    for received in range(1, 5):
        next(passing)
        samples.wait_for(lambda n=received + 6: counter.value == n)
    assert counter.value == 10


# -- seeds, states, what workers know ----------------------------------------------------------------------------------
def test_workers_know_who_they_are() -> None:
    def known(epochs: int = 1, **options: Any) -> list[dict[str, Any]]:
        passes = loader(samples.Introspective(), 1, collate_fn=samples.first, **options)
        return [batch for _ in range(epochs) for batch in passes]

    assert get_worker_info() is None
    with rustorch.no_grad():
        seen = known(num_workers=3, seed=4, worker_init_fn=samples.remember)
    assert [one["i"] for one in seen] == list(range(12))
    assert [one["id"] for one in seen] == [0, 1, 2] * 4  # in turn
    assert {one["count"] for one in seen} == {3}
    assert [one["init"] for one in seen] == [[one["id"]] for one in seen]
    assert len({one["pid"] for one in seen}) == len({one["seed"] for one in seen}) == 3
    assert {(one["grad"], one["device"]) for one in seen} == {(False, "cpu")}
    again = known(num_workers=3, seed=4, epochs=2, persistent_workers=True)
    assert [one["seed"] for one in again[:12]] == [one["seed"] for one in seen]
    assert len({one["pid"] for one in again}) == 3 and {one["grad"] for one in again} == {True}
    fresh = known(epochs=2, num_workers=1, seed=4)
    assert len({one["pid"] for one in fresh}) == len({one["seed"] for one in fresh}) == 2
    assert get_worker_info() is None
    info = WorkerInfo(0, 2, 7, None)
    assert (info.id, info.num_workers, info.seed, info.dataset) == (0, 2, 7, None)


def test_workers_get_one_thread_and_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"OMP_NUM_THREADS": "3", "PMI_RANK": "1", "OMPI_COMM_WORLD_RANK": "1", "OTHER": "kept"}
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    (seen,) = loader(samples.Numbers(1, samples.environment), None, num_workers=1, multiprocessing_context="spawn")
    assert seen == {
        "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PMI_RANK": None,
        "OMPI_COMM_WORLD_RANK": None, "OTHER": "kept",
    }  # fmt: skip
    assert dict(os.environ) == before


def test_random_numbers_follow_from_seed_epoch_rank_and_batch_alone() -> None:
    def draws(n_workers: int, **options: Any) -> list[Any]:
        options = {"shuffle": True, "seed": 5, **options}
        passes = loader(samples.Numbers(8, samples.drawn), 2, num_workers=n_workers, **options)
        return [[row.tolist() for row in batch] for _ in range(2) for batch in passes]

    first = draws(2, persistent_workers=True)
    assert draws(3) == first  # the number of workers does not matter
    columns = list(zip(*itertools.chain.from_iterable(zip(*batch, strict=True) for batch in first), strict=True))
    for column in columns[:3]:  # Python's, NumPy's, rustorch's
        assert len(set(column)) == 16
    resumed = loader(samples.Numbers(8, samples.drawn), 2, shuffle=True)
    resumed.load_state_dict({"seed": 5, "epoch": 0, "batches": 3})
    assert [[row.tolist() for row in batch] for _ in range(2) for batch in resumed] == first[3:]
    assert draws(1, seed=6) != first
    by_rank = [draws(1, shuffle=False, sampler=DistributedSampler(range(8), 2, rank, False)) for rank in range(2)]
    assert not {row[0][0] for row in by_rank[0]} & {row[0][0] for row in by_rank[1]}
    state = rustorch.get_rng_state().tolist()
    draws(1)
    assert rustorch.get_rng_state().tolist() == state


def test_a_loader_without_a_seed_draws_one_for_its_processes() -> None:
    rustorch.manual_seed(1)
    made = [loader(range(4)).seed, loader(range(4)).seed]
    rustorch.manual_seed(1)
    assert [loader(range(4)).seed, loader(range(4)).seed] == made
    assert made[0] != made[1]
    state = rustorch.get_rng_state().tolist()
    assert loader(range(4), seed=3).seed == 3
    assert loader(range(4), num_workers=0).seed == 0
    assert rustorch.get_rng_state().tolist() == state


def test_a_resumed_run_gets_exactly_the_unseen_batches() -> None:
    whole = [batch.tolist() for batch in DataLoader(range(11), 2, shuffle=True, seed=9)]
    first = loader(range(11), 2, shuffle=True, seed=9, persistent_workers=True)
    seen = [batch.tolist() for batch in itertools.islice(first, 2)]
    state = first.state_dict()
    assert state == {"seed": 9, "epoch": 0, "batches": 2}  # prepared batches do not count
    second = loader(range(11), 2, shuffle=True, num_workers=1)
    second.load_state_dict(state)
    assert seen + [batch.tolist() for batch in second] == whole
    # the processes of the first loader have batches of the pass that was left; they are dropped
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]


# -- streams -----------------------------------------------------------------------------------------------------------
def numbers(passes: DataLoader) -> list[Any]:
    return [batch.tolist() if isinstance(batch, rustorch.Variable) else batch for batch in passes]


def test_each_worker_reads_its_part_of_a_stream() -> None:
    assert numbers(loader(samples.Split(10), 2)) == [[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]]
    assert numbers(loader(samples.Split(10), 2, drop_last=True)) == [[0, 2], [1, 3], [4, 6], [5, 7]]
    assert numbers(loader(samples.Split(3), None)) == [0, 1, 2]
    assert numbers(loader(samples.Split(0), 2)) == []
    persistent = loader(samples.Uneven(), 1, num_workers=3, persistent_workers=True)
    for _ in range(2):  # a worker whose stream has ended is passed over
        assert numbers(persistent) == [[0], [10], [20], [11], [21], [22]]


@pytest.mark.parametrize("stop", range(7))
def test_a_stream_is_resumed_within_an_epoch(stop: int) -> None:
    expected = [[0], [10], [20], [11], [21], [22]]
    passes = loader(samples.Uneven(), 1, num_workers=3)
    passes.load_state_dict({"seed": 1, "epoch": 0, "batches": stop})
    assert numbers(passes) == expected[stop:]


def test_random_numbers_of_streams_follow_from_the_seed() -> None:
    first = numbers(loader(samples.RandomStream(), 1, seed=1))
    assert numbers(loader(samples.RandomStream(), 1, seed=1)) == first
    assert len({number for batch in first for number in batch}) == 6
    assert numbers(loader(samples.RandomStream(), 1, seed=2)) != first


def test_copies_of_a_stream_warn() -> None:
    with pytest.warns(
        UserWarning, match="each of the 2 worker processes read its own copy of the iterable dataset"
    ) as w:
        assert numbers(loader(samples.Whole(), 1)) == [[0], [0], [1], [1], [2], [2]]
    assert w[0].filename == __file__
    # one worker has one copy, and a worker_init_fn may split the samples
    assert numbers(loader(samples.Whole(), 1, num_workers=1)) == [[0], [1], [2]]
    assert len(numbers(loader(samples.Whole(), 1, worker_init_fn=samples.remember))) == 6


# -- memory ------------------------------------------------------------------------------------------------------------
def _exhaust(passes: DataLoader) -> None:
    assert len(list(passes)) == 20


def _leave(passes: DataLoader) -> None:
    for _ in passes:
        break


def _fail(passes: DataLoader) -> None:
    passes.dataset.function = samples.broken_at_13
    try:
        list(passes)
    except ValueError as error:
        assert "13" in str(error)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("use", [_exhaust, _leave, _fail])
def test_there_are_no_reference_cycles(use: Callable[[DataLoader], None], persistent: bool) -> None:
    gc.collect()
    gc.disable()
    try:
        data = samples.Numbers(40, samples.image)
        passes = loader(data, 2, num_workers=1, persistent_workers=persistent)
        use(passes)
        dead = weakref.ref(data), weakref.ref(passes)
        del data, passes
        assert [ref() for ref in dead] == [None, None]
    finally:
        gc.enable()


def test_only_the_loop_keeps_a_batch_alive() -> None:
    passing = iter(loader(samples.Numbers(6, samples.image), 1, num_workers=1, prefetch_factor=1))
    batch = next(passing)
    dead = weakref.ref(batch)
    del batch
    next(passing)
    assert dead() is None


# -- processes that stay -----------------------------------------------------------------------------------------------
def test_persistent_workers_stay_and_others_end_with_the_epoch() -> None:
    once = loader(range(4))
    assert len(list(once)) == 4
    assert workers() == []
    stay = loader(range(4), persistent_workers=True)
    passing = iter(stay)
    assert next(passing).item() == 0
    other = iter(stay)  # the processes are in use: this pass gets its own
    assert next(other).item() == 0
    assert len(workers()) == 4
    assert [batch.item() for batch in other] == [batch.item() for batch in passing] == [1, 2, 3]
    assert len(workers()) == 2
    pids = {child.pid for child in multiprocessing.active_children()}
    for _ in range(2):
        for batch in stay:
            if batch.item() == 1:
                break
        assert {child.pid for child in multiprocessing.active_children()} == pids
    assert [batch.item() for batch in stay] == [0, 1, 2, 3]
    del passing, other, stay
    assert workers() == []


# -- arguments ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"worker": "fiber"}, ValueError, 'worker is "thread" or "process", not \'fiber\''),
        ({"worker_init_fn": 3}, TypeError, "a worker_init_fn is a function of a worker's number, not int"),
        ({"multiprocessing_context": "thread"}, ValueError, "multiprocessing_context is one of spawn, fork"),
        ({"multiprocessing_context": 3}, TypeError, "multiprocessing_context is a string or a context .*, not int"),
        ({"timeout": -1}, ValueError, "timeout is a number of seconds, or 0 for no limit, not -1"),
        ({"timeout": "5"}, ValueError, "timeout is a number of seconds, or 0 for no limit, not '5'"),
        ({"timeout": float("nan")}, ValueError, "timeout is a number of seconds, or 0 for no limit, not nan"),
        ({"persistent_workers": 1}, ValueError, "persistent_workers is True or False, not 1"),
        ({"persistent_workers": True, "num_workers": 0}, ValueError, "persistent_workers needs num_workers > 0"),
        ({"worker": "thread", "worker_init_fn": print}, TypeError, 'worker_init_fn needs worker="process"'),
    ],
)  # fmt: skip
def test_bad_arguments_raise_and_draw_no_random_numbers(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = rustorch.get_rng_state().tolist()
    with pytest.raises(error, match=f"DataLoader: {message}"):
        loader(range(4), **options)
    assert rustorch.get_rng_state().tolist() == before


def test_attributes_have_the_given_values_and_defaults() -> None:
    made = loader(
        range(3), timeout=2, persistent_workers=True, worker_init_fn=samples.remember, multiprocessing_context="spawn"
    )
    assert (made.worker, made.timeout, made.persistent_workers, made.worker_init_fn, made.multiprocessing_context) == (
        "process", 2, True, samples.remember, "spawn",
    )  # fmt: skip
    default = DataLoader(range(3))
    assert (default.worker, default.timeout, default.persistent_workers, default.worker_init_fn) == (
        "thread", 0, False, None,
    )  # fmt: skip
    assert made.collate_fn is default_collate


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"dataset": samples.Numbers(3, lambda i: i)}, "the dataset"),
        ({"dataset": (i for i in range(3))}, "the dataset"),
        ({"collate_fn": lambda batch: batch}, "collate_fn"),
        ({"worker_init_fn": lambda worker: None}, "worker_init_fn"),
    ],
)
def test_what_cannot_be_pickled_is_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(TypeError, match=f"DataLoader: {what} cannot be sent to a worker process: .*lambda|generator"):
        list(loader(**{"dataset": range(3), **options}))


def test_workers_are_refused_in_workers() -> None:
    data = samples.Numbers(2, samples.nested)
    with pytest.raises(RuntimeError, match="a worker process cannot start processes of its own; use num_workers=0"):
        list(loader(data))


def test_modules_for_processes_are_imported_only_with_processes() -> None:
    code = (
        "import sys; from rustorch.data import DataLoader, get_worker_info; list(DataLoader(range(3), num_workers=1));"
        "list(DataLoader(range(3), worker='process'));"
        "assert not {'multiprocessing', 'rustorch.data.processes', 'rustorch.data.worker'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
