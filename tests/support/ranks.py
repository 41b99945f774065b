"""Tests that run on several ranks: ``mpiexec -n 2 python -m pytest``, a plugin that conftest.py registers.

A test with the marker ``ranks`` runs on every rank, and all ranks make the same collectives. Without mpiexec it runs in
a world of one. Under mpiexec only these tests are collected, rank 0 prints, and a test fails on rank 0 if it failed on
any rank.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import rustorch.distributed as distributed

_FOLDER: pytest.StashKey[tempfile.TemporaryDirectory[str]] = pytest.StashKey()
_FAILED: pytest.StashKey[list[str]] = pytest.StashKey()
#: The seconds after which a rank that does not come to a collective ends the run.
_TIMEOUT = 60


def size() -> int:
    """How many ranks mpiexec started; 1 without mpiexec."""
    return int(os.environ.get("PMI_SIZE") or os.environ.get("OMPI_COMM_WORLD_SIZE") or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the ranks, let rank 0 alone print, and let all show why a run that hangs is ended."""
    if size() > 1:
        distributed.init_process_group(timeout=_TIMEOUT)
        # a folder of its own for each rank: pytest removes old ones at its end, and would do so in each other's way
        session.config.stash[_FOLDER] = folder = tempfile.TemporaryDirectory()
        session.config._tmp_path_factory._given_basetemp = Path(folder.name) / "pytest"  # type: ignore[attr-defined]
        plugins = session.config.pluginmanager
        if distributed.get_rank() > 0:
            plugins.unregister(name="terminalreporter")
        capture = plugins.get_plugin("capturemanager")
        capture.stop_global_capturing()
        capture._method = "no"
        capture.start_global_capturing()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End them together."""
    if size() > 1 and distributed.is_initialized():
        distributed.destroy_process_group()
        config.stash[_FOLDER].cleanup()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under mpiexec, leave out the tests that are not for several ranks."""
    if size() > 1:
        left_out = [item for item in items if item.get_closest_marker("ranks") is None]
        items[:] = [item for item in items if item.get_closest_marker("ranks") is not None]
        config.hook.pytest_deselected(items=left_out)
        names = distributed.all_gather_object([item.nodeid for item in items])
        if any(other != names[0] for other in names):
            raise pytest.UsageError("the ranks collected different tests")


@pytest.fixture
def dist() -> Iterator[ModuleType]:
    """rustorch.distributed, with a process group: all ranks of mpiexec, or one."""
    alone = size() == 1
    if alone:
        distributed.init_process_group()
    yield distributed
    if alone and distributed.is_initialized():
        distributed.destroy_process_group()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Let rank 0 report what failed on other ranks."""
    report: pytest.TestReport = yield  # type: ignore[assignment, misc]
    if size() == 1:
        return report  # type: ignore[return-value]
    if report.failed:
        item.stash.setdefault(_FAILED, []).append(report.longreprtext)
    if report.when == "teardown":
        others = _gathered(item.stash.get(_FAILED, []))
        failed = [f"on rank {rank}:\n{text}" for rank, texts in enumerate(others) if rank for text in texts]
        if failed and distributed.get_rank() == 0:
            report.outcome = "failed"
            report.longrepr = "\n\n".join(failed)
    return report  # type: ignore[return-value]


def _gathered(texts: list[str]) -> list[list[str]]:
    """The texts of all ranks. A rank that failed comes here early: it tries until the others have come."""
    while True:
        try:
            return distributed.all_gather_object(texts)
        except ValueError:
            continue
