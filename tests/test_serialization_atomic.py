"""A save is complete or changes nothing: killed processes, full disks, missing folders, simultaneous saves."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.serialization import atomic

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "saved.safetensors"


def files(folder: Path) -> set[str]:
    """The names in a folder."""
    return {entry.name for entry in folder.iterdir()}


# -- killed processes --------------------------------------------------------------------------------------------------
#: A process imports rustorch. Each of its children saves in a loop until it is killed.
KILLED_SAVES = """
import os, random, signal, sys, time
import numpy, rustorch

folder, rounds = sys.argv[1], int(sys.argv[2])
path = os.path.join(folder, "saved.safetensors")
rng = random.Random(0)


def save(step):
    arrays = {str(i): numpy.full(n, step, "int64") for i, n in enumerate((3, 60_000, 0, 100_000))}
    rustorch.save({"step": step, "arrays": arrays}, path, metadata={"step": step})


start = time.perf_counter()
for last in range(5):
    save(last)
longest = min(3 * (time.perf_counter() - start) / 5, 0.1)
for _ in range(rounds):
    child = os.fork()
    if not child:
        step = last
        while True:
            save(step := step + 1)
    time.sleep(rng.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    loaded = rustorch.load(path)
    assert loaded["step"] >= last and rustorch.load_metadata(path) == {"step": loaded["step"]}
    assert all((array.data == loaded["step"]).all() for array in loaded["arrays"].values()), "the file mixes two saves"
    assert len(os.listdir(folder)) <= 2, "temporary files of killed processes are not removed"
    last = loaded["step"]
save(last + 1)
assert os.listdir(folder) == ["saved.safetensors"]
print("saved", last)
"""


@posix
def test_a_process_killed_100_times_leaves_a_complete_old_or_new_file(tmp_path: Path) -> None:
    # a fork does not copy the threads of BLAS, and newer versions of Python warn about them
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED_SAVES, str(tmp_path), "100"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 10, "too few saves were complete: the test shows nothing"


@posix
def test_only_abandoned_temporary_files_are_removed(file: Path) -> None:
    fd, in_use = atomic._create(str(file.parent), 0o666)
    try:
        abandoned = file.parent / f".rustorch-{'0' * 16}.tmp"
        abandoned.write_bytes(b"left by a killed process")
        other = file.parent / ".rustorch-mine.tmp"
        other.write_bytes(b"of another program")
        link = file.parent / f".rustorch-{'1' * 16}.tmp"
        link.symlink_to(other)
        rustorch.save({"x": 1}, file)
        assert files(file.parent) == {file.name, Path(in_use).name, other.name, link.name}
    finally:
        os.close(fd)
    rustorch.save({"x": 2}, file)
    assert files(file.parent) == {file.name, other.name, link.name}


def test_without_locks_old_temporary_files_are_removed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "fcntl", None)
    old, new = (file.parent / f".rustorch-{digit * 16}.tmp" for digit in "01")
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    rustorch.save({"x": 1}, file)
    assert files(file.parent) == {file.name, new.name}
    assert rustorch.load(file) == {"x": 1}


def test_simultaneous_saves_and_loads_see_complete_files(file: Path) -> None:
    rustorch.save({"x": numpy.zeros(50_000)}, file)
    errors: list[BaseException] = []

    def run(action: Any) -> None:
        try:
            for _ in range(10):
                action()
        except BaseException as error:
            errors.append(error)

    def read() -> None:
        x = rustorch.load(file)["x"].data
        assert (x == x[0]).all()

    writers = [lambda i=i: rustorch.save({"x": numpy.full(50_000, i)}, file) for i in range(3)]
    threads = [threading.Thread(target=run, args=(action,)) for action in (*writers, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and files(file.parent) == {file.name}


# -- errors ------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit the size of files to this number of bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@posix
def test_a_file_beyond_the_size_limit_changes_nothing(file: Path) -> None:
    rustorch.save({"x": 1}, file)
    before = file.read_bytes()
    with file_size_limit(200_000), pytest.raises(OSError) as error:
        rustorch.save({"x": numpy.zeros(100_000)}, file)
    assert error.value.errno == errno.EFBIG and error.value.filename == str(file)
    assert file.read_bytes() == before and files(file.parent) == {file.name}


@pytest.mark.parametrize("function", ["write", "fsync", "replace"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_full_disk_changes_nothing(function: str, exists: bool, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if exists:
        rustorch.save({"x": 1}, file)
    calls = []

    def full(*args: Any) -> Any:
        calls.append(args)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(OSError, match="save has changed nothing") as error:
            rustorch.save({"x": numpy.zeros(100_000)}, file)
    assert calls and error.value.errno == errno.ENOSPC and error.value.filename == str(file)
    assert files(file.parent) == ({file.name} if exists else set())
    assert not exists or rustorch.load(file) == {"x": 1}


def test_partial_writes_are_continued(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, memoryview(data)[:50_001]))
    x = numpy.arange(100_000)
    rustorch.save({"x": x, "y": [1]}, file)
    assert (rustorch.load(file)["x"].data == x).all()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interruption_changes_nothing(error: type[BaseException], file: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"0" * 100_000
        raise error

    rustorch.save({"x": 1}, file)
    with pytest.raises(error):
        atomic.replace(str(file), pieces())
    assert rustorch.load(file) == {"x": 1} and files(file.parent) == {file.name}


def test_paths_that_cannot_be_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    for path, kind in [("missing/a", FileNotFoundError), ("file/a", NotADirectoryError), ("folder", IsADirectoryError)]:
        if sys.platform == "win32" and path == "file/a":
            kind = FileNotFoundError
        with pytest.raises(kind, match="save has changed nothing") as error:
            rustorch.save({"x": 1}, tmp_path / path)
        assert error.value.filename == str(tmp_path / path)
    assert files(tmp_path) == {"file", "folder"} and files(tmp_path / "folder") == set()
    if sys.platform != "win32":
        with pytest.raises(OSError, match="it exists and is no ordinary file; save has changed nothing: '/dev/null'"):
            rustorch.save({"x": 1}, "/dev/null")


def test_a_write_protected_folder_or_file_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rustorch.save({"x": 1}, file)

    def refuse(*args: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), args[0])

    for name, function in [("open", refuse), ("access", lambda path, mode: False)]:
        with monkeypatch.context() as patch:
            patch.setattr(os, name, function)
            with pytest.raises(PermissionError, match="save has changed nothing") as error:
                rustorch.save({"x": 2}, file)
        assert error.value.filename == str(file)
        assert rustorch.load(file) == {"x": 1} and files(file.parent) == {file.name}


# -- permissions, links, names -----------------------------------------------------------------------------------------
@posix
def test_a_replaced_file_keeps_its_permissions(file: Path) -> None:
    before = os.umask(0o027)
    try:
        rustorch.save({"x": 1}, file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o640, "a new file has other permissions"
        for mode in (0o600, 0o666, 0o755):
            file.chmod(mode)
            rustorch.save({"x": 2}, file)
            assert stat.S_IMODE(file.stat().st_mode) == mode, "the replaced file has other permissions"
    finally:
        os.umask(before)


@posix
def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link, dangling, folder = (
        tmp_path / "real" / "a",
        tmp_path / "link",
        tmp_path / "dangling",
        tmp_path / "folder",
    )
    rustorch.save({"x": 1}, target)
    link.symlink_to(target)
    dangling.symlink_to(Path("real") / "b")
    folder.symlink_to("real")
    rustorch.save({"x": 2}, link)
    rustorch.save({"x": 3}, dangling)
    rustorch.save({"x": 4}, folder / "c")
    assert link.is_symlink() and dangling.is_symlink() and folder.is_symlink()
    assert [rustorch.load(tmp_path / "real" / name)["x"] for name in "abc"] == [2, 3, 4]
    assert files(tmp_path / "real") == {"a", "b", "c"}
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="save has changed nothing"):
        rustorch.save({"x": 5}, tmp_path / "one")


def test_names_may_have_up_to_255_characters(tmp_path: Path) -> None:
    rustorch.save({"x": 1}, tmp_path / ("a" * 255))
    assert rustorch.load(tmp_path / ("a" * 255)) == {"x": 1}
    if sys.platform != "win32":
        with pytest.raises(OSError, match="save has changed nothing"):
            rustorch.save({"x": 1}, tmp_path / ("a" * 256))
    assert files(tmp_path) == {"a" * 255}
