"""All ranks save one object together: into a folder with a file of each, or into one file; and load it again."""

from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends import buffers, dtypes
from rustorch.distributed.shard import Shard, Sharding, piece_of
from rustorch.nn.parallel import fully_shard
from rustorch.serialization import atomic, source, together
from rustorch.serialization import folder as folders
from tests.support import jobs
from tests.support.saved import assert_same, bits, bounds
from tests.support.target import Target

#: The sizes of arrays: 0-d, empty, fewer elements than ranks, a length that no number of ranks divides.
SHAPES = [(), (0, 3), (1,), (2,), (7, 5), (4, 3, 2)]


@pytest.fixture
def shared(dist: ModuleType, tmp_path: Path) -> Path:
    """One folder for all ranks."""
    return Path(dist.broadcast_object(str(tmp_path)))


def shard(dist: ModuleType, value: Any) -> Shard:
    """This rank's piece of an array."""
    start, stop = bounds(value.size, dist.get_rank(), dist.get_world_size())
    return Shard(value.reshape(-1)[start:stop], value.shape, start)


def content(folder: Path) -> dict[str, bytes]:
    """The files in a folder."""
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


#: The two ways to save together.
FORMS: list[dict[str, Any]] = [{"sharded": True}, {"rank": 0}]
form = pytest.mark.parametrize("options", FORMS, ids=["folder", "file"])


# -- what comes back ---------------------------------------------------------------------------------------------------
@pytest.mark.ranks
@pytest.mark.parametrize("mapped_from", [0, 1 << 40], ids=["mapped", "read"])
@form
def test_pieces_of_every_dtype_and_size_become_whole_again(
    dist: ModuleType, shared: Path, options: Any, mapped_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MAPPED_FROM", mapped_from)
    rng = numpy.random.default_rng(0)
    whole = {f"{dtype}{list(shape)}": bits(rng, dtype, shape) for dtype in dtypes.ALL for shape in SHAPES}
    rustorch.save({name: shard(dist, x) for name, x in whole.items()}, shared / "saved", **options)
    assert_same(rustorch.load(shared / "saved"), whole)
    if "sharded" in options:
        for name, piece in rustorch.load(shared / "saved", sharded=True).items():
            x, own = whole[name], shard(dist, whole[name])
            assert (piece.shape, piece.start, piece.stop, piece.dtype) == (x.shape, 0, x.size, x.dtype)
            assert piece.elements(own.start, own.stop).tobytes() == own.array.tobytes()
            assert piece.array.tobytes() == x.tobytes()


@pytest.mark.ranks
@form
def test_an_object_has_what_any_rank_has(dist: ModuleType, shared: Path, options: Any) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    state = {
        "everywhere": [numpy.arange(6.0), (True, "text", b"bytes", 2**70, float("nan"))],
        "here": {rank: numpy.full(rank + 1, rank), (rank, "number"): rank},
        "names": {f"rank {rank}": {"x": numpy.full((2, 2), rank)}},
        "last": numpy.ones(3, dtype="complex128") if rank == size - 1 else None,
        "different": rank,
        "losses": [0.5] * (rank + 1),
        "model": rustorch.nn.Linear(3, 2) if rank == 0 else {"more": numpy.zeros(2)},
    }
    for name, parameter in state["model"].named_parameters() if rank == 0 else ():
        parameter.data[...] = len(name)
    rustorch.save(state, shared / "saved", {"step": 3, "text": "é"}, **options)
    loaded = rustorch.load(shared / "saved")
    linear = {"weight": numpy.full((2, 3), 6, "float32"), "bias": numpy.full(2, 4, "float32")}
    here: dict[Any, Any] = {}
    for r in range(size):
        here |= {r: numpy.full(r + 1, r), (r, "number"): r}
    expected = {
        "everywhere": state["everywhere"],
        "here": here,
        "names": {f"rank {r}": {"x": numpy.full((2, 2), r)} for r in range(size)},
        "last": numpy.ones(3, dtype="complex128"),
        "different": 0,
        "losses": [0.5],
        "model": linear if size == 1 else {**linear, "more": numpy.zeros(2)},
    }
    assert_same(loaded, expected)
    assert rustorch.load_metadata(shared / "saved") == {"step": 3, "text": "é"}


@pytest.mark.ranks
def test_names_that_collide_on_other_ranks_stay_apart(dist: ModuleType, shared: Path) -> None:
    rank = dist.get_rank()
    state = {"a.b": numpy.zeros(1)} if rank == 0 else {"a": {"b": numpy.ones(2)}}
    rustorch.save(state, shared / "saved", sharded=True)
    expected: dict[str, Any] = {"a.b": numpy.zeros(1)}
    if dist.get_world_size() > 1:
        expected["a"] = {"b": numpy.ones(2)}
    assert_same(rustorch.load(shared / "saved"), expected)


@pytest.mark.ranks
def test_every_array_is_written_once_and_ranks_write_equally_much(dist: ModuleType, shared: Path) -> None:
    size = dist.get_world_size()
    state = {f"x{i}": numpy.zeros(100_000) for i in range(2 * size)}
    rustorch.save(state, shared / "saved", sharded=True)
    sizes = [entry.stat().st_size for entry in (shared / "saved").iterdir() if entry.name != together.INDEX]
    assert len(sizes) == size and all(1_600_000 <= n < 1_610_000 for n in sizes)
    rustorch.save(state, shared / "file", rank=size - 1)
    assert 800_000 * len(state) <= (shared / "file").stat().st_size < 801_000 * len(state)


@pytest.mark.ranks
def test_one_file_of_arrays_has_their_names_for_other_programs(dist: ModuleType, shared: Path) -> None:
    x = numpy.arange(12.0).reshape(4, 3)
    state: dict[str, Any] = {"weight": shard(dist, x)}
    if dist.get_rank() == 0:
        state["bias"] = numpy.ones(3)
    rustorch.save(state, shared / "saved", rank=0)
    numpy_of = pytest.importorskip("safetensors.numpy")
    loaded = numpy_of.load_file(str(shared / "saved"))
    assert sorted(loaded) == ["bias", "weight"] and (loaded["weight"] == x).all()


@pytest.mark.ranks
def test_pieces_longer_than_a_message_reach_the_file(
    dist: ModuleType, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "_MESSAGE", 1000)
    x = numpy.arange(5001)
    rustorch.save([shard(dist, x), x], shared / "saved", rank=0)
    assert_same(rustorch.load(shared / "saved"), [x, x])


@pytest.mark.ranks
@form
def test_arrays_of_every_backend(dist: ModuleType, shared: Path, options: Any, backend: Target) -> None:
    x = numpy.arange(10.0, dtype="float32").reshape(2, 5)
    start, stop = bounds(10, dist.get_rank(), dist.get_world_size())
    piece = backend.variable(x.reshape(-1)[start:stop], "float32")
    state = {"shard": Shard(piece, (2, 5), start), "x": backend.array(x, "float32")}
    rustorch.save(state, shared / "saved", **options)
    assert_same(rustorch.load(shared / "saved"), {"shard": x, "x": x})
    loaded = rustorch.load(shared / "saved", device=backend.device, sharded=True)
    assert loaded["shard"].device == loaded["x"].device == backend.device
    assert isinstance(loaded["shard"], Shard if "sharded" in options else rustorch.Variable)


@pytest.mark.ranks
@form
def test_a_group_saves_without_the_other_ranks(dist: ModuleType, shared: Path, options: Any) -> None:
    last = dist.get_world_size() - 1
    group = dist.new_group([last])
    if "rank" in options:
        options = {"rank": last}
    if dist.get_rank() == last:
        rustorch.save({"x": Shard(numpy.ones(4), (2, 2), 0)}, shared / "saved", group=group, **options)
    else:
        with pytest.raises(ValueError, match=r"save: rank \d is not in .*; only its members call it"):
            rustorch.save({"x": 1}, shared / "other", group=group, **options)
    dist.barrier()
    assert_same(rustorch.load(shared / "saved"), {"x": numpy.ones((2, 2))})
    assert not (shared / "other").exists()


def test_a_folder_is_loaded_in_pieces_on_another_number_of_ranks(tmp_path: Path) -> None:
    program = """
import sys, numpy, rustorch
import rustorch.distributed as dist
from rustorch.distributed.shard import Shard
from tests.support.saved import bounds
dist.init_process_group()
x = numpy.arange(23)
start, stop = bounds(23, dist.get_rank(), dist.get_world_size())
state = {"x": Shard(x[start:stop], (23, 1), start), "y": x, "rank": {dist.get_rank(): dist.get_rank()}}
rustorch.save(state, sys.argv[1], sharded=True)
rustorch.save(state, sys.argv[1] + ".file", rank=1)
"""
    done = jobs.run(program, 3, str(tmp_path / "saved"))
    assert done.returncode == 0, done.stderr
    x = numpy.arange(23)
    expected = {"x": x[:, None], "y": x, "rank": {0: 0, 1: 1, 2: 2}}
    assert len(list((tmp_path / "saved").iterdir())) == 4
    assert_same(rustorch.load(tmp_path / "saved"), expected)
    assert_same(rustorch.load(tmp_path / "saved.file"), expected)
    for size in (1, 2, 4, 5, 30):
        for rank in range(size):
            start, stop = bounds(23, rank, size)
            loaded = rustorch.load(tmp_path / "saved", sharded=True)
            piece = piece_of(loaded["x"], Sharding((23, 1), start, stop, None))
            assert_same(piece, x[start:stop])
            assert_same(loaded["y"], x)


# -- memory ------------------------------------------------------------------------------------------------------------
def test_a_rank_loads_its_pieces_alone(dist: ModuleType, tmp_path: Path) -> None:
    size = 1_000_000
    rustorch.save({str(i): Shard(numpy.ones(size), (size,), 0) for i in range(10)}, tmp_path / "saved", sharded=True)
    tracemalloc.start()
    try:
        loaded = rustorch.load(tmp_path / "saved", sharded=True)
        pieces = [shard.elements(250_000, 500_000) for shard in loaded.values()]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000, "pieces in a mapped file are not copied"
    for piece in pieces:
        assert piece.shape == (250_000,) and (piece == 1).all()
        piece[...] = 2  # in memory alone
    assert (rustorch.load(tmp_path / "saved")["0"].data == 1).all()


@pytest.mark.ranks
@pytest.mark.parametrize("options", [{"sharded": True}, {"rank": 0}], ids=["folder", "file"])
def test_no_rank_holds_more_than_one_array_of_the_others(
    dist: ModuleType, shared: Path, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "_MESSAGE", 1 << 18)
    last, rank = dist.get_world_size() - 1, dist.get_rank()
    state = {str(i): numpy.full(125_000, i * 1.0) for i in range(20)} if rank == last else {}
    tracemalloc.start()
    try:
        rustorch.save(state, shared / "saved", **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000, "20 arrays of 1 MB"
    assert [float(x.data[-1]) for x in rustorch.load(shared / "saved").values()] == list(range(20))


# -- errors ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def saved(dist: ModuleType, shared: Path, options: dict[str, Any]) -> Path:
    """A folder with a checkpoint ``saved``."""
    rustorch.save({"x": numpy.zeros(3), "own": {dist.get_rank(): numpy.ones(2)}}, shared / "saved", **options)
    dist.barrier()
    return shared


def all_files(shared: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(shared)): path.read_bytes() for path in shared.rglob("*") if path.is_file()}


@pytest.mark.ranks
@form
def test_what_one_rank_cannot_save_is_an_error_on_all(dist: ModuleType, saved: Path, options: Any) -> None:
    before = all_files(saved)
    last = dist.get_world_size() - 1
    state = {"x": [1, {2}] if dist.get_rank() == last else [1, 2]}
    for name in ("saved", "new"):
        if dist.get_rank() == last:
            with pytest.raises(TypeError, match=r"the object\['x'\]\[1\] is of type set"):
                rustorch.save(state, saved / name, **options)
        else:
            with pytest.raises(
                RuntimeError, match=rf"rank {last} failed, so that nothing was saved: TypeError: .* set"
            ):
                rustorch.save(state, saved / name, **options)
    dist.barrier()
    assert all_files(saved) == before and {entry.name for entry in saved.iterdir()} == {"saved"}


@pytest.mark.ranks
@form
def test_metadata_that_cannot_be_saved_is_an_error_on_all(dist: ModuleType, saved: Path, options: Any) -> None:
    before = all_files(saved)
    with pytest.raises(TypeError, match=r"metadata\['a'\] is neither a string nor what JSON can hold"):
        rustorch.save({"x": 1}, saved / "saved", {"a": {1}}, **options)
    dist.barrier()
    assert all_files(saved) == before


@pytest.mark.ranks
@pytest.mark.parametrize("function", ["write", "fsync", "replace"])
@form
def test_a_full_disk_on_one_rank_is_an_error_on_all_and_changes_nothing(
    dist: ModuleType, saved: Path, options: Any, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_files(saved)
    full_rank = dist.get_world_size() - 1 if "sharded" in options else 0

    def full(*args: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    state = {"x": shard(dist, numpy.zeros(100_000)), "own": {dist.get_rank(): numpy.zeros(50_000)}}
    for name in ("saved", "new"):
        with monkeypatch.context() as patch:
            if dist.get_rank() == full_rank:
                patch.setattr(os, function, full)
            with pytest.raises((OSError, RuntimeError)) as error:
                rustorch.save(state, saved / name, **options)
        if dist.get_rank() == full_rank:
            assert isinstance(error.value, OSError) and error.value.errno == errno.ENOSPC
        else:
            assert f"rank {full_rank} failed, so that nothing was saved: OSError" in str(error.value)
    dist.barrier()
    assert all_files(saved) == before and {entry.name for entry in saved.iterdir()} == {"saved"}
    rustorch.save(state, saved / "saved", **options)
    assert_same(rustorch.load(saved / "saved")["x"], numpy.zeros(100_000))


@pytest.mark.ranks
@form
def test_an_array_that_cannot_be_read_is_an_error_on_all(
    dist: ModuleType, saved: Path, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_files(saved)
    last = dist.get_world_size() - 1
    read = buffers.contents

    def lost(array: Any) -> Any:
        if array.shape == (7,):
            raise MemoryError("lost")
        return read(array)

    state = {dist.get_rank(): [numpy.ones(5), numpy.zeros(7 if dist.get_rank() == last else 6), numpy.ones(3)]}
    with monkeypatch.context() as patch:
        patch.setattr(together, "contents", lost)
        with pytest.raises(
            MemoryError if dist.get_rank() == last else RuntimeError, match=r"lost|rank . could not read"
        ):
            rustorch.save(state, saved / "saved", **options)
    dist.barrier()
    assert all_files(saved) == before
    rustorch.save(state, saved / "saved", **options)
    assert_same(rustorch.load(saved / "saved")[last][1], numpy.zeros(7))


@pytest.mark.parametrize("options", [{"sharded": True}], ids=["folder"])
def test_an_index_that_cannot_be_written_changes_nothing(
    dist: ModuleType, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_files(saved)
    replace = atomic.replace

    def full(path: str, pieces: Any) -> None:
        if path.endswith(together.INDEX):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(path, pieces)

    monkeypatch.setattr(together, "replace", full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        rustorch.save({"x": numpy.ones(3)}, saved / "saved", sharded=True)
    assert all_files(saved) == before


@pytest.mark.ranks
@form
def test_arrays_that_do_not_fit_together_are_refused(dist: ModuleType, saved: Path, options: Any) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    before = all_files(saved)
    one = numpy.zeros(size + 1)
    refused: list[tuple[Any, str]] = [
        ({"a": [Shard(one[:1], (2, size), rank)]}, rf"no rank has elements {size} to {2 * size} of the array 'a.0'"),
    ]
    if size > 1:
        refused += [
            ({"a": Shard(one[:2], (size + 1,), rank)}, "different parts of the array 'a' that overlap"),
            (
                {"a": {"b": numpy.zeros(rank)}},
                r"the object\['a'\]\['b'\] is an array of float64 and shape \(0,\) on rank 0",
            ),
            ({"a": numpy.zeros(2, "float32" if rank else "int8")}, r"int8 and shape \(2,\) on rank 0, and of float32"),
            (
                {"a": numpy.zeros(2) if rank else 3},
                r"\['a'\] has arrays, .* it is no array on rank 0, an array of float64",
            ),
            (
                {"a": [numpy.zeros(2)] * (rank + 1)},
                r"it is a list of 1 on rank 0, a list of 2 on rank 1.*\{rank: value\}",
            ),
            ({"a": [1, one] if rank else (1, one)}, "it is a tuple of 2 on rank 0, a list of 2 on rank 1"),
        ]
    for state, message in refused:
        with pytest.raises(ValueError, match=message):
            rustorch.save(state, saved / "saved", **options)
        with pytest.raises(ValueError, match=message):
            rustorch.save(state, saved / "new", **options)
    dist.barrier()
    assert all_files(saved) == before and {entry.name for entry in saved.iterdir()} == {"saved"}


@pytest.mark.ranks
def test_wrong_arguments_are_refused(dist: ModuleType, shared: Path) -> None:
    size = dist.get_world_size()
    with pytest.raises(ValueError, match=r"with sharded=True, into a folder, or with rank=0"):
        rustorch.save({}, shared / "x", sharded=True, rank=0)
    with pytest.raises(ValueError, match="give one of the two"):
        rustorch.save({}, shared / "x", group=dist.new_group())
    for options in FORMS:
        with pytest.raises(TypeError, match=r"a path is a string or a pathlib\.Path, not int"):
            rustorch.save({}, 3, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"save: rank {size} is not in the group"):
        rustorch.save({}, shared / "x", rank=size)
    with pytest.raises(TypeError, match="save: a rank is an int, not bool"):
        rustorch.save({}, shared / "x", rank=True)
    assert list(shared.iterdir()) == []


@pytest.mark.ranks
def test_paths_that_cannot_be_a_folder_are_refused(dist: ModuleType, shared: Path) -> None:
    if dist.get_rank() == 0:
        (shared / "file").write_text("kept")
    dist.barrier()
    refused = [("file", FileExistsError, "is a file, and"), ("missing/x", FileNotFoundError, "missing")]
    for name, kind, message in refused:
        with pytest.raises(kind if dist.get_rank() == 0 else RuntimeError, match=message):
            rustorch.save({"x": numpy.ones(3)}, shared / name, sharded=True)
    dist.barrier()
    assert content(shared) == {"file": b"kept"}


def test_a_piece_is_not_saved_by_one_rank_alone(tmp_path: Path) -> None:
    x = numpy.arange(6.0)
    with pytest.raises(
        TypeError, match=r"save: the object\['a'\]\[0\] is a part of an array, elements 2 to 4 of shape"
    ):
        rustorch.save({"a": [Shard(x[2:4], (2, 3), 2)]}, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    rustorch.save({"a": [Shard(x, (2, 3), 0)]}, tmp_path / "x")
    assert_same(rustorch.load(tmp_path / "x"), {"a": [x.reshape(2, 3)]})


def test_saving_together_needs_a_process_group(tmp_path: Path) -> None:
    assert not rustorch.distributed.is_initialized()
    for options in FORMS:
        with pytest.raises(RuntimeError, match=r"save: there is no process group; call .*init_process_group\(\) first"):
            rustorch.save({"x": 1}, tmp_path / "x", **options)
    assert list(tmp_path.iterdir()) == []


# -- a folder that is saved again --------------------------------------------------------------------------------------
@pytest.mark.ranks
def test_a_save_removes_files_of_earlier_and_killed_saves_alone(dist: ModuleType, shared: Path) -> None:
    folder = shared / "saved"
    rustorch.save({"x": numpy.ones(3)}, folder, sharded=True)
    if dist.get_rank() == 0:
        (folder / f"part-{'0' * 16}-00000.safetensors").write_bytes(b"left by a killed save")
        (folder / f".rustorch-{'0' * 16}.tmp").write_bytes(b"left by a killed save")
        (folder / "notes.txt").write_text("mine")
        (folder / "part-mine.safetensors").write_text("mine")
    dist.barrier()
    rustorch.save({"x": numpy.full(3, 2.0), "y": {dist.get_rank(): numpy.ones(1)}}, folder, sharded=True)
    dist.barrier()
    names = {entry.name for entry in folder.iterdir()}
    assert {"notes.txt", "part-mine.safetensors", together.INDEX} < names
    assert len(names) == 3 + dist.get_world_size()
    assert_same(rustorch.load(folder)["x"], numpy.full(3, 2.0))


def test_loaded_arrays_outlive_the_next_save(dist: ModuleType, tmp_path: Path) -> None:
    rustorch.save({"x": numpy.ones(1_000_000)}, tmp_path / "saved", sharded=True)
    loaded = rustorch.load(tmp_path / "saved")
    rustorch.save({"x": numpy.zeros(1_000_000)}, tmp_path / "saved", sharded=True)
    assert (loaded["x"].data == 1).all() and (rustorch.load(tmp_path / "saved")["x"].data == 0).all()


def test_pieces_are_read_before_the_next_save(dist: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    rustorch.save({"x": Shard(numpy.ones(4), (4,), 0)}, folder, sharded=True)
    loaded = rustorch.load(folder, sharded=True)["x"]
    assert repr(loaded) == "Shard(elements 0 to 4 of the shape (4,), float64 on 'cpu')"
    assert (loaded.elements(1, 3) == 1).all()
    again = rustorch.load(folder, sharded=True)["x"]
    rustorch.save({"x": 1}, folder, sharded=True)
    for shard in (loaded, again):
        with pytest.raises(
            ValueError, match=r"load: 'x' of the folder .* its file 'part-.*' was removed, perhaps by a"
        ):
            shard.elements(1, 3)


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(
    dist: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "saved"
    rustorch.save({"x": numpy.ones(3)}, folder, sharded=True)
    part, replaced = folders._Part, list[None]()

    def replace(*args: Any) -> Any:
        if len(replaced) < 3:
            replaced.append(None)
            rustorch.save({"x": numpy.full(3, len(replaced))}, folder, sharded=True)
        return part(*args)

    monkeypatch.setattr(folders, "_Part", replace)
    assert_same(rustorch.load(folder), {"x": numpy.full(3, 3)})
    assert len(replaced) == 3


# -- optimizers whose state is spread ----------------------------------------------------------------------------------
def trained(cls: Any) -> tuple[Any, Any]:
    """A module after three steps, and its optimizer."""
    rustorch.manual_seed(0)
    model = rustorch.nn.Sequential(rustorch.nn.Linear(3, 5), rustorch.nn.Linear(5, 2)).to(dtype=rustorch.float64)
    optimizer = cls(model.parameters())
    for step in range(3):
        optimizer.zero_grad()
        (model(rustorch.full((4, 3), step + 1.0, dtype=rustorch.float64)) ** 2).sum().backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.ranks
@form
def test_the_state_of_a_zero_optimizer_is_saved_by_all_ranks(dist: ModuleType, shared: Path, options: Any) -> None:
    def zero(parameters: Any) -> Any:
        return rustorch.optim.ZeroRedundancyOptimizer(parameters, rustorch.optim.Adam, lr=0.1)

    model, optimizer = trained(zero)
    _, plain = trained(lambda parameters: rustorch.optim.Adam(parameters, lr=0.1))
    rustorch.save({"model": model, "optimizer": optimizer, "list": [optimizer]}, shared / "saved", **options)
    loaded = rustorch.load(shared / "saved")
    expected = plain.state_dict()
    assert loaded["optimizer"]["state"].keys() == expected["state"].keys()
    for number, entries in expected["state"].items():
        assert_same(loaded["optimizer"]["state"][number], entries)
        assert_same(loaded["list"][0]["state"][number], entries)
    plain.load_state_dict(loaded["optimizer"])
    optimizer.load_state_dict(loaded["optimizer"])


@pytest.mark.ranks
@form
def test_an_error_beside_a_zero_optimizer_leaves_no_rank_waiting(dist: ModuleType, saved: Path, options: Any) -> None:
    before = all_files(saved)
    _, optimizer = trained(lambda parameters: rustorch.optim.ZeroRedundancyOptimizer(parameters, rustorch.optim.Adam))
    last = dist.get_world_size() - 1
    state = {"first": {1} if dist.get_rank() == last else 1, "optimizer": optimizer}
    with pytest.raises(TypeError if dist.get_rank() == last else RuntimeError, match="is of type set"):
        rustorch.save(state, saved / "saved", **options)
    if last > 0:
        with pytest.raises(ValueError, match=r"is saved by all of them; the ranks have \[1, .*0\] such objects"):
            rustorch.save({"optimizer": optimizer if dist.get_rank() == 0 else 1}, saved / "saved", **options)
    dist.barrier()
    assert all_files(saved) == before


# -- parameters that are spread ----------------------------------------------------------------------------------------
def spread_and_trained(n_steps: int, seed: int = 0) -> tuple[Any, Any]:
    """A module of `fully_shard` after some steps, and its optimizer."""
    rustorch.manual_seed(seed)
    layers = [rustorch.nn.Linear(3, 5), rustorch.nn.BatchNorm1d(5), rustorch.nn.Linear(5, 2)]
    model = rustorch.nn.Sequential(*layers).to(dtype=rustorch.float64)
    for part in (model[0], model[2], model):
        fully_shard(part)
    optimizer = rustorch.optim.Adam(model.parameters(), lr=0.1, amsgrad=True)
    train_more(model, optimizer, range(n_steps))
    return model, optimizer


def train_more(model: Any, optimizer: Any, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        x = rustorch.Variable(numpy.random.default_rng(step).normal(size=(4, 3)))
        (model(x) ** 2).sum().backward()
        optimizer.step()


@pytest.mark.ranks
@pytest.mark.parametrize("sharded", [False, True], ids=["whole", "lazy"])
@form
def test_a_fully_sharded_training_goes_on(dist: ModuleType, shared: Path, options: Any, sharded: bool) -> None:
    model, optimizer = spread_and_trained(3)
    parts = {"model": model, "optimizer": optimizer}
    rustorch.save(parts, shared / "saved", **options)
    train_more(model, optimizer, range(3, 6))
    resumed, resumed_optimizer = spread_and_trained(0, seed=1)
    saved = rustorch.load(shared / "saved", sharded=sharded)
    assert isinstance(saved["optimizer"]["state"][0]["exp_avg"], Shard if sharded and "sharded" in options else object)
    resumed.load_state_dict(saved["model"])
    resumed_optimizer.load_state_dict(saved["optimizer"])
    train_more(resumed, resumed_optimizer, range(3, 6))
    for (name, p), q in zip(model.named_parameters(), resumed.parameters(), strict=True):
        assert p.data.tobytes() == q.data.tobytes(), name
    dist.barrier()


@pytest.mark.ranks
@form
def test_a_fully_sharded_module_is_saved_as_a_whole_one(dist: ModuleType, shared: Path, options: Any) -> None:
    model, optimizer = spread_and_trained(2)
    rustorch.save({"model": model, "optimizer": optimizer}, shared / "saved", **options)
    loaded = rustorch.load(shared / "saved")
    with model.summon_full_params():
        whole = {name: p.data.copy() for name, p in model.named_parameters()}
    plain = rustorch.nn.Sequential(rustorch.nn.Linear(3, 5), rustorch.nn.BatchNorm1d(5), rustorch.nn.Linear(5, 2))
    plain.to(dtype=rustorch.float64).load_state_dict(loaded["model"])
    for name, p in plain.named_parameters():
        assert p.data.tobytes() == whole[name].tobytes(), name
    rustorch.optim.Adam(plain.parameters(), amsgrad=True).load_state_dict(loaded["optimizer"])
    for number, p in enumerate(plain.parameters()):
        entries = loaded["optimizer"]["state"][number]
        assert {name: entries[name].shape for name in entries if name != "step"} == dict.fromkeys(
            ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"), p.shape
        )
    dist.barrier()
