"""save and load with open files: in memory, on the disk, pipes, and objects with only read or write."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import rustorch
from tests.support.target import Target

TREE = {"a": numpy.arange(6.0).reshape(2, 3), "b": [1, (None, "x")], "empty": numpy.zeros((0, 2)), "c": numpy.array(1j)}


def assert_is_tree(loaded: Any) -> None:
    assert loaded["a"].tolist() == TREE["a"].tolist()
    assert loaded["b"] == [1, (None, "x")]
    assert (loaded["empty"].shape, loaded["c"].item()) == ((0, 2), 1j)


def saved_bytes(obj: Any = TREE, **options: Any) -> bytes:
    memory = io.BytesIO()
    rustorch.save(obj, memory, **options)
    return memory.getvalue()


def test_save_and_load_with_a_file_in_memory(backend: Target) -> None:
    memory = io.BytesIO()
    rustorch.save({"x": backend.variable([1.0, 2.0])}, memory)
    memory.seek(0)
    loaded = rustorch.load(memory, backend.device)["x"]
    assert (loaded.device, loaded.tolist()) == (backend.device, [1.0, 2.0])
    loaded[0] = 7.0  # the loaded array does not share memory with the file
    memory.seek(0)
    assert rustorch.load(memory)["x"].tolist() == [1.0, 2.0]


def test_an_open_file_gets_the_same_bytes_as_a_path(tmp_path: Path) -> None:
    rustorch.save(TREE, tmp_path / "x", metadata={"k": [1]})
    assert (tmp_path / "x").read_bytes() == saved_bytes(metadata={"k": [1]})


OPENERS: dict[str, Callable[[Path, str], Any]] = {
    "buffered": lambda path, mode: open(path, mode),  # noqa: SIM115
    "unbuffered": lambda path, mode: open(path, mode, buffering=0),  # noqa: SIM115
    "gzip": lambda path, mode: gzip.open(path, mode),  # noqa: SIM115
}


@pytest.mark.parametrize("kind", OPENERS)
def test_save_and_load_with_open_files_on_the_disk(kind: str, tmp_path: Path) -> None:
    big = rustorch.arange(300_000.0)
    with OPENERS[kind](tmp_path / "x", "wb") as file:
        rustorch.save(TREE, file)
        rustorch.save(big, file)
    with OPENERS[kind](tmp_path / "x", "rb") as file:
        assert_is_tree(rustorch.load(file))
        assert rustorch.load(file).tolist() == big.tolist()
        assert not file.closed
    with tempfile.NamedTemporaryFile(dir=tmp_path) as wrapped, tempfile.TemporaryFile(dir=tmp_path) as bare:
        for file in (wrapped, bare):
            rustorch.save(TREE, file)
            file.seek(0)
            assert_is_tree(rustorch.load(file))


def test_several_objects_can_follow_each_other_in_a_file() -> None:
    memory = io.BytesIO()
    memory.write(b"title\n")
    for i in range(3):
        rustorch.save({"step": i, "x": rustorch.ones(i)}, memory, metadata={"step": i})
    memory.write(b"end")
    memory.seek(6)
    for i in range(3):
        before = memory.tell()
        assert rustorch.load_metadata(memory) == {"step": i}
        assert memory.tell() == before
        loaded = rustorch.load(memory)
        assert (loaded["step"], loaded["x"].shape) == (i, (i,))
    assert memory.read() == b"end"


def test_a_failed_load_restores_the_position_of_the_file() -> None:
    complete = saved_bytes()
    for broken in (b"", complete[:5], complete[:20], complete[:-1], b"\x80\x04." * 20, b"PK\x03\x04" + bytes(40)):
        memory = io.BytesIO(b"..." + broken)
        memory.seek(3)
        with pytest.raises(ValueError, match=r"^load: the BytesIO cannot be read: "):
            rustorch.load(memory)
        assert memory.tell() == 3


def test_save_and_load_with_a_pipe() -> None:
    tree = {**TREE, "big": rustorch.ones(100_000)}
    out, into = os.pipe()

    def write() -> None:
        with open(into, "wb") as file:
            rustorch.save(tree, file)

    writer = threading.Thread(target=write)
    writer.start()
    with open(out, "rb") as file:
        loaded = rustorch.load(file)
    writer.join()
    assert_is_tree(loaded)
    assert loaded["big"].shape == (100_000,)


class Writer:
    """An object with only ``write``, which takes at most 7 bytes at a time."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, piece: memoryview) -> int:
        self.written += piece[:7]
        return min(len(piece), 7)


class Reader:
    """An object with only ``read``, which returns at most 7 bytes at a time."""

    def __init__(self, contents: bytes) -> None:
        self._memory = io.BytesIO(contents)

    def read(self, n: int = -1) -> bytes:
        return self._memory.read(min(n, 7))


def test_objects_with_only_read_or_write_are_files() -> None:
    writer = Writer()
    rustorch.save(TREE, writer)  # type: ignore[arg-type]
    assert bytes(writer.written) == saved_bytes()
    assert_is_tree(rustorch.load(Reader(bytes(writer.written))))  # type: ignore[arg-type]


def test_files_open_for_text_or_in_the_wrong_mode_are_refused(tmp_path: Path) -> None:
    memory = io.StringIO()
    with pytest.raises(TypeError, match=r"^save: the StringIO is open for text; .*'wb'.*io\.BytesIO\(\)"):
        rustorch.save(TREE, memory)  # type: ignore[arg-type]
    assert memory.getvalue() == ""
    with pytest.raises(TypeError, match=r"^load: the StringIO is open for text; .*'rb'"):
        rustorch.load(memory)  # type: ignore[arg-type]
    (tmp_path / "x").write_bytes(saved_bytes())
    with open(tmp_path / "x") as file, pytest.raises(TypeError, match="open for text"):
        rustorch.load(file)  # type: ignore[arg-type]
    with open(tmp_path / "x", "rb") as file, pytest.raises(ValueError, match=r"^save: .* is not open for writing"):
        rustorch.save(TREE, file)
    with open(tmp_path / "y", "wb") as file, pytest.raises(ValueError, match=r"^load: .* is not open for reading"):
        rustorch.load(file)
    with pytest.raises(ValueError, match="not open for reading"):
        rustorch.load(file)
    with pytest.raises(TypeError, match=r"a path is a string or a pathlib\.Path, not int"):
        rustorch.load(3)  # type: ignore[arg-type]


def test_an_object_that_cannot_be_saved_writes_nothing() -> None:
    memory = io.BytesIO()
    with pytest.raises(TypeError, match="cannot hold"):
        rustorch.save({"a": rustorch.ones(2), "b": object()}, memory)
    assert memory.getvalue() == b""
