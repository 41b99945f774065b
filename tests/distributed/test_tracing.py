"""The timeline of backward and exchanges, on every rank."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rustorch
from rustorch import nn
from rustorch.distributed import tracing

pytestmark = pytest.mark.ranks


@pytest.fixture
def folder(dist: ModuleType) -> Iterator[Path]:
    """One folder for all ranks."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(dist.broadcast_object(made))
        dist.barrier()  # rank 0's folder is removed when all have read it


def bars(events: list[dict[str, Any]], rank: int, name: str) -> list[tuple[float, float]]:
    """Begin and end of the bars of a rank with this name."""
    return sorted(
        (event["ts"], event["ts"] + event["dur"])
        for event in events
        if event["ph"] == "X" and event["pid"] == rank and event["name"].startswith(name)
    )


def read(file: Path, dist: ModuleType) -> list[dict[str, Any]]:
    dist.barrier()
    return json.loads(file.read_text(encoding="utf-8"))["traceEvents"]


def test_one_file_shows_the_collectives_and_spans_of_all_ranks(dist, folder):
    file = folder / "step.json"
    with dist.trace(str(file)) as timeline:
        with timeline.span("read", size=3):
            timeline.moment("here", rank=timeline.rank)
        dist.all_reduce(rustorch.ones(5))
        work = dist.all_reduce(rustorch.ones(6), async_op=True)
        work.wait()
        dist.barrier()
    events = read(file, dist)
    for rank in range(dist.get_world_size()):
        (read_bar,) = bars(events, rank, "read")
        first, second = bars(events, rank, "all_reduce(")
        assert read_bar[0] <= read_bar[1] <= first[0] <= first[1] <= second[0] <= second[1]
        assert len(bars(events, rank, "barrier")) == 1
        (moment,) = [event for event in events if event["ph"] == "i" and event["pid"] == rank]
        assert (moment["name"], moment["args"]) == ("here", {"rank": rank})
        names = [
            event["args"]["name"]
            for event in events
            if event["ph"] == "M" and event["pid"] == rank and "name" in event["args"]
        ]
        assert names[0].startswith(f"rank {rank} (")
        assert names[1:] == ["computing", "exchange 1"]
    (shown,) = {event["args"]["line"] for event in events if event["name"].startswith("all_reduce(float32 (6,)")}
    assert "test_tracing.py" in shown


def test_exchanges_that_overlap_are_in_rows_of_their_own(dist, folder):
    file = folder / "rows.json"
    with dist.trace(file):
        works = [dist.all_reduce(rustorch.ones(n), async_op=True) for n in (2, 3)]
        for work in works:
            work.wait()
        dist.all_reduce(rustorch.ones(4))
    rows = {event["name"].split(",")[0]: event["tid"] for event in read(file, dist) if event["name"].startswith("all")}
    assert list(rows.values()) == [1, 2, 1]


def test_first_bucket_is_exchanged_while_backward_goes_on(dist, folder):
    """Three layers of more than the first bucket's MiB each."""
    file = folder / "backward.json"
    model = nn.Sequential(*[nn.Linear(600, 600) for _ in range(3)])
    model = nn.parallel.DistributedDataParallel(model, bucket_cap_mb=1)
    x = rustorch.randn(64, 600)
    for _ in range(2):  # the order of the buckets is agreed upon in the second backward
        model(x).mean().backward()
    with dist.trace(file):
        model(x).mean().backward()
    events = read(file, dist)
    size = dist.get_world_size()
    for rank in range(size):
        assert len(bars(events, rank, "forward")) == 1
        if size == 1:
            assert bars(events, rank, "backward") == []  # nothing is exchanged, and nothing is watched
            continue
        (forward,), (backward,) = bars(events, rank, "forward"), bars(events, rank, "backward")
        (waiting,) = bars(events, rank, "wait for exchanges")
        exchanges = bars(events, rank, "all_reduce")
        assert len(exchanges) == len(model._reducer.buckets) >= 3
        assert forward[1] <= backward[0] < exchanges[0][0] < exchanges[1][0] < backward[1] <= waiting[0]
        assert max(end for _, end in exchanges) <= waiting[1]


def test_collectives_of_smaller_groups_are_shown(dist, folder):
    group = dist.new_group([0])
    with dist.trace(folder / "group.json"):
        if dist.get_rank() == 0:
            dist.all_reduce(rustorch.ones(7), group=group)
    events = read(folder / "group.json", dist)
    assert len(bars(events, 0, "all_reduce(float32 (7,)")) == 1
    assert {event["pid"] for event in events if event["ph"] == "X"} == {0}


def test_chosen_ranks_are_shown_alone(dist, folder):
    last = dist.get_world_size() - 1
    with dist.trace(folder / "last.json", ranks=[last]):
        dist.barrier()
    assert {event["pid"] for event in read(folder / "last.json", dist)} == {last}
    with pytest.raises(ValueError, match="rank 99 is not in the group"), dist.trace(folder / "none.json", ranks=[99]):
        pass
    with dist.trace(folder / "empty.json", ranks=[]):
        pass
    assert read(folder / "empty.json", dist) == []


def test_the_watch_over_collectives_goes_on_counting(dist, folder):
    group = tracing.world("test")
    calls, before = group.calls, group.calls.count
    with dist.trace(folder / "count.json"):
        dist.all_reduce(rustorch.ones(2))
        work = dist.all_reduce(rustorch.ones(3), async_op=True)
    work.wait()
    assert group.calls is calls
    assert (calls.count, calls.oldest()) == (before + 5, None)  # two, and three for the trace itself


def test_an_error_leaves_the_events_of_each_rank_in_a_file_of_its_own(dist, folder):
    with pytest.raises(ZeroDivisionError), dist.trace(folder / "broken.json") as timeline, timeline.span("divide"):
        dist.barrier()
        1 / 0  # noqa: B018
    assert tracing.active is None
    dist.barrier()
    names = sorted(os.listdir(folder))
    assert names == [f"broken.rank{rank}.json" for rank in range(dist.get_world_size())]
    for rank, name in enumerate(names):
        assert len(bars(read(folder / name, dist), rank, "divide")) == 1


def test_bad_use_is_refused_on_all_ranks_and_leaves_nothing(dist, folder):
    with pytest.raises(FileNotFoundError, match=r"trace: there is no folder .*nowhere"):
        dist.trace(folder / "nowhere" / "a.json").__enter__()
    with pytest.raises(FileNotFoundError, match=r"trace: .* is a folder"):
        dist.trace(folder).__enter__()
    with dist.trace(folder / "outer.json"):
        with pytest.raises(RuntimeError, match="another trace is being recorded"):
            dist.trace(folder / "inner.json").__enter__()
        dist.barrier()
    dist.barrier()
    assert os.listdir(folder) == ["outer.json"]


def test_without_a_process_group_it_says_what_to_call():
    if rustorch.distributed.is_initialized():
        pytest.skip("mpiexec started this process: the group exists")
    with pytest.raises(RuntimeError, match=r"trace: there is no process group; call .*init_process_group\(\) first"):
        rustorch.distributed.trace("a.json").__enter__()
