"""docs/examples/mnist_cnn.py: the program on made-up digits, and the download of the real ones."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
from pathlib import Path
from types import ModuleType

import numpy
import pytest

from tests.support import examples
from tests.support.website import website

for package in ("matplotlib", "tqdm"):
    pytest.importorskip(package, reason=f"the example needs {package}: pip install '.[examples]'")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as a module."""
    return examples.module("mnist_cnn", monkeypatch)


def files(n: int, side: int = 28) -> dict[str, bytes]:
    """MNIST's test files with images that are easy to distinguish: the position of the bright rows is the digit."""
    labels = numpy.arange(n) % 10
    images = numpy.zeros((n, side, side), "uint8")
    for row in range(2):
        images[numpy.arange(n), 2 * labels + row, :] = 255
    packed = {}
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4) for size in array.shape)
        packed[f"t10k-{name}-ubyte.gz"] = gzip.compress(header + array.astype("uint8").tobytes())
    return packed


def written(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess:
    return examples.run("mnist_cnn.py", *arguments)


# -- the program -------------------------------------------------------------------------------------------------------
def test_short_run_on_every_backend(backend, tmp_path):
    if backend.device == "jax":
        pytest.skip(
            "it compiles four hundred operations one by one, for half a minute; the layers' own tests run on it"
        )
    picture = tmp_path / "cnn.png"
    written(tmp_path, files(10))
    process = run("--data", tmp_path, "--device", backend.device, "--epochs", 1, "--batch-size", 8, "--plot", picture)
    assert process.returncode == 0, process.stderr
    assert f"8 images to learn from, 2 to test on; device {backend.device}" in process.stdout
    assert re.search(r"^epoch +1 +loss \d+\.\d+ +test accuracy [\d.]+%$", process.stdout, re.MULTILINE)
    assert "training: 100%" in process.stderr  # the progress bar
    examples.assert_picture(picture)


def test_network_learns(tmp_path):
    written(tmp_path, files(250))
    first, second = (
        run("--data", tmp_path, "--epochs", 3, "--batch-size", 16, "--lr", 0.02, "--images", 150) for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    assert "150 images to learn from, 50 to test on" in first.stdout
    assert "test accuracy: 100.00%" in first.stdout
    assert len(re.findall(r"^epoch", first.stdout, re.MULTILINE)) == 3
    assert first.stdout == second.stdout  # the same seed repeats a run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--data", "{}/nowhere"], "nowhere: no such folder"),
        (["--plot", "{}/nowhere/a.png"], "there is no folder"),
        (["--epochs", "0"], "'0' is no positive whole number"),
        (["--data", "{}"], "the network is for images of 28 x 28 pixels, not for (20, 20)"),
    ],
)
def test_bad_arguments_end_with_one_line(arguments, message, tmp_path):
    written(tmp_path, files(20, side=20))
    process = run(*[argument.format(tmp_path) for argument in arguments])
    examples.assert_refused(process, message)


# -- the files ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def public(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The files that the example expects. Its cache is `tmp_path / "rustorch" / "mnist"`."""
    content = files(20)
    checksums = {
        name.removesuffix(".gz"): hashlib.sha256(gzip.decompress(data)).hexdigest() for name, data in content.items()
    }
    monkeypatch.setattr(example, "CHECKSUMS", checksums)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return content


def test_files_are_fetched_once(example, public, tmp_path, monkeypatch, capsys):
    asked: list[str] = []
    with website(public, asked) as address:
        monkeypatch.setattr(example, "SOURCE", address)
        for _ in range(2):
            example.main(["--epochs", "1", "--batch-size", "8"])
            assert "16 images to learn from, 4 to test on" in capsys.readouterr().out
    assert sorted(asked) == sorted(public)
    cached = {path.name: path.read_bytes() for path in (tmp_path / "rustorch" / "mnist").iterdir()}
    assert cached == {name.removesuffix(".gz"): gzip.decompress(data) for name, data in public.items()}


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (None, r"cannot be fetched \(HTTP Error 404: Not Found\)"),
        (files(20)["t10k-labels-idx1-ubyte.gz"][:-20], r"cannot be fetched \(Compressed file ended .*\)"),
        (b"<html>not found</html>", r"cannot be fetched \(Not a gzipped file .*\)"),
        (gzip.compress(b"something else"), "is not the file that it was: its checksum differs"),
    ],
    ids=["404", "truncated gzip", "no gzip", "checksum"],
)
def test_file_with_another_checksum_is_refused_and_not_kept(
    damaged, message, example, public, tmp_path, monkeypatch, capsys
):
    labels = "t10k-labels-idx1-ubyte.gz"
    served = {name: data for name, data in (public | {labels: damaged}).items() if data is not None}
    with website(served) as address:
        monkeypatch.setattr(example, "SOURCE", address)
        with pytest.raises(SystemExit, match=r"^2$"):
            example.main([])
    remedy = f"get t10k-images-idx3-ubyte.gz and {labels} by other means and name their folder, as in --data DIR"
    assert re.search(f": {address}{labels} {message}; {remedy}\n$", capsys.readouterr().err)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["t10k-images-idx3-ubyte"]
