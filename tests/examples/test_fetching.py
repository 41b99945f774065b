"""docs/examples/fetching.py, with a web server on this machine instead of the public ones."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.website import website

pytest.importorskip("tqdm", reason="the examples need tqdm: pip install '.[examples]'")

TEXT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n" * 4000  # more than one chunk
CHECKSUM = hashlib.sha256(TEXT).hexdigest()
OTHERWISE = "name the file, as in --data FILE"


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs" / "examples")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return importlib.import_module("fetching")


def test_file_is_fetched_once(fetching, tmp_path, capsys):
    asked: list[str] = []
    target = tmp_path / "new" / "folder" / "input.txt"
    with website({"input.txt": TEXT}, asked) as address:
        for _ in range(2):
            assert fetching.fetch(address + "input.txt", CHECKSUM, target, OTHERWISE) == target
            assert target.read_bytes() == TEXT
    assert asked == ["input.txt"]
    assert [path.name for path in target.parent.iterdir()] == ["input.txt"]
    assert re.search(r"input\.txt: 100%.*244k/244k", capsys.readouterr().err)  # the progress bar


def test_packed_file_is_kept_unpacked(fetching, tmp_path):
    target = tmp_path / "input.txt"
    with website({"input.txt.gz": gzip.compress(TEXT)}) as address:
        fetching.fetch(address + "input.txt.gz", CHECKSUM, target, OTHERWISE, unpack=gzip.decompress)
    assert target.read_bytes() == TEXT


def test_damaged_copy_is_fetched_again(fetching, tmp_path):
    target = tmp_path / "input.txt"
    target.write_bytes(TEXT[:100])
    with website({"input.txt": TEXT}) as address:
        fetching.fetch(address + "input.txt", CHECKSUM, target, OTHERWISE)
    assert target.read_bytes() == TEXT


@pytest.mark.parametrize(
    ("served", "cut", "message"),
    [
        ({}, 0, r"cannot be fetched \(HTTP Error 404: Not Found\)"),
        ({"input.txt.gz": gzip.compress(b"something else")}, 0, "is not the file that it was: its checksum differs"),
        ({"input.txt.gz": gzip.compress(TEXT)[:-20]}, 0, r"cannot be fetched \(Compressed file ended before.*\)"),
        ({"input.txt.gz": b"<html>Please log in.</html>"}, 0, r"cannot be fetched \(Not a gzipped file.*\)"),
        (
            {"input.txt.gz": bytes(range(10, 20)) * 20000},
            50_000,
            r"cannot be fetched \(it broke off after 150,000 of 200,000 bytes\)",
        ),
        ({"input.txt.gz": b""}, 0, "is not the file that it was: its checksum differs"),
    ],
    ids=["404", "checksum", "truncated gzip", "another format", "broken connection", "empty"],
)
@pytest.mark.parametrize("before", [None, b"an old copy"])
def test_refused_file_is_not_kept(fetching, tmp_path, served, cut, message, before):
    target = tmp_path / "cache" / "input.txt"
    if before is not None:
        target.parent.mkdir()
        target.write_bytes(before)
    with website(served, cut=cut) as address:
        whole = f"^{address}input.txt.gz {message}; {OTHERWISE}$"
        with pytest.raises(ValueError, match=whole):
            fetching.fetch(address + "input.txt.gz", CHECKSUM, target, OTHERWISE, unpack=gzip.decompress)
    left = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == ({} if before is None else {"input.txt": before})


def test_missing_server_raises(fetching, tmp_path):
    with website({}) as address:
        pass  # the port is free again
    with pytest.raises(ValueError, match=rf"^{address}input.txt cannot be fetched \(.*refused.*\); {OTHERWISE}$"):
        fetching.fetch(address + "input.txt", CHECKSUM, tmp_path / "input.txt", OTHERWISE)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_cache_raises(fetching, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file, not a folder")
    with (
        website({"input.txt": TEXT}) as address,
        pytest.raises(ValueError, match=rf"cannot be kept in .*cache .*; {OTHERWISE}$"),
    ):
        fetching.fetch(address + "input.txt", CHECKSUM, tmp_path / "cache" / "input.txt", OTHERWISE)


def test_full_disk_leaves_no_temporary_file(fetching, tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with (
        website({"input.txt": TEXT}) as address,
        pytest.raises(ValueError, match=rf"No space left on device.*; {OTHERWISE}$"),
    ):
        fetching.fetch(address + "input.txt", CHECKSUM, tmp_path / "input.txt", OTHERWISE)
    assert list(tmp_path.iterdir()) == []


def test_cache_folder_follows_xdg_cache_home(fetching, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetching.cache_folder("mnist") == tmp_path / "rustorch" / "mnist"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert fetching.cache_folder("mnist") == Path.home() / ".cache" / "rustorch" / "mnist"
