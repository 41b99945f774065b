"""docs/examples/mnist_cnn.py: as a program on made-up digits, and how it fetches the real ones."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy
import pytest

for package in ("matplotlib", "tqdm"):
    pytest.importorskip(package, reason=f"the example needs {package}: pip install 'rustorch[examples]'")

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "examples" / "mnist_cnn.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as a module."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    spec = importlib.util.spec_from_file_location("mnist_cnn_example", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(n: int, side: int = 28) -> dict[str, bytes]:
    """MNIST's test files with images that are easy to tell apart: the digit is where the bright rows are."""
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
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


# -- the program ---------------------------------------------------------------------------------------------------------
def test_a_short_run_on_a_backend(backend, tmp_path):
    if backend.device == "jax":
        pytest.skip("it compiles four hundred operations one by one, for half a minute; the layers' own tests run on it")
    picture = tmp_path / "cnn.png"
    written(tmp_path, files(10))
    process = run("--data", tmp_path, "--device", backend.device, "--epochs", 1, "--batch-size", 8, "--plot", picture)
    assert process.returncode == 0, process.stderr
    assert f"8 images to learn from, 2 to test on; device {backend.device}" in process.stdout
    assert re.search(r"^epoch +1 +loss \d+\.\d+ +test accuracy [\d.]+%$", process.stdout, re.MULTILINE)
    assert "training: 100%" in process.stderr  # the progress bar
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_it_learns(tmp_path):
    written(tmp_path, files(250))
    first, second = (run("--data", tmp_path, "--epochs", 3, "--batch-size", 16, "--lr", 0.02, "--images", 150) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert "150 images to learn from, 50 to test on" in first.stdout
    assert "test accuracy: 100.00%" in first.stdout
    assert len(re.findall(r"^epoch", first.stdout, re.MULTILINE)) == 3
    assert first.stdout == second.stdout  # one seed, one run


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
def test_what_cannot_be_done_is_said_in_a_line(arguments, message, tmp_path):
    written(tmp_path, files(20, side=20))
    process = run(*[argument.format(tmp_path) for argument in arguments])
    assert process.returncode == 2
    assert message in process.stderr
    assert "Traceback" not in process.stderr


# -- the files -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def source(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the public source, with files that the example expects."""
    folder = tmp_path / "source"
    folder.mkdir()
    content = files(20)
    written(folder, content)
    monkeypatch.setattr(example, "SOURCE", folder.as_uri() + "/")
    monkeypatch.setattr(
        example, "CHECKSUMS", {name: hashlib.sha256(gzip.decompress(data)).hexdigest() for name, data in content.items()}
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_files_are_fetched_once(example, source):
    folder = example.cache_folder()
    example.fetch(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(files(20))
    for path in source.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
        path.unlink()
    example.fetch(folder)  # nothing to fetch from any more
    (images, _), (test_images, _) = example.load(folder)
    assert (len(images), len(test_images)) == (16, 4)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "cannot be fetched"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "cannot be fetched"),
        (lambda path: path.write_bytes(b"<html>not found</html>"), "cannot be fetched"),
        (lambda path: path.write_bytes(gzip.compress(b"something else")), "its checksum differs"),
    ],
)
def test_another_file_is_refused_and_not_kept(damage, message, example, source):
    damage(source / "t10k-labels-idx1-ubyte.gz")
    folder = example.cache_folder()
    with pytest.raises(ValueError, match=f"t10k-labels-idx1-ubyte.gz.* {message}.*--data DIR"):
        example.fetch(folder)
    assert [path.name for path in folder.iterdir()] == ["t10k-images-idx3-ubyte.gz"]
