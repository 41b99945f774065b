"""docs/examples/digits.py: the program on every backend, and its reader of idx files with wrong headers."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy
import pytest

from tests.support import examples

for package in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(package, reason=f"the example needs {package}: pip install '.[examples]'")


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as a module."""
    return examples.module("digits", monkeypatch)


def run(*arguments: object) -> subprocess.CompletedProcess:
    return examples.run("digits.py", *arguments)


def accuracy_of(process: subprocess.CompletedProcess) -> float:
    accuracy = re.search(r"^test accuracy: ([\d.]+)%$", process.stdout, re.MULTILINE)
    assert accuracy, process.stdout
    return float(accuracy[1])


def idx(array: numpy.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """The bytes of an idx file whose header has the shape ``shape``."""
    shape = array.shape if shape is None else shape
    return bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4) for n in shape) + array.astype("uint8").tobytes()


def mnist_like(folder: Path, n: int = 40, part: str = "t10k", labels: numpy.ndarray | None = None) -> None:
    """Write images that are easy to distinguish: the number of the bright column is the digit."""
    labels = numpy.arange(n) % 10 if labels is None else labels
    images = numpy.zeros((n, 4, 10))
    images[numpy.arange(n), :, numpy.arange(n) % 10] = 255
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))


# -- the program -------------------------------------------------------------------------------------------------------
def test_short_run_learns_on_every_backend(backend, tmp_path):
    picture = tmp_path / "digits.png"
    process = run("--device", backend.device, "--epochs", 2, "--batch-size", 64, "--plot", picture)
    assert process.returncode == 0, process.stderr
    assert f"device {backend.device}" in process.stdout
    assert len(re.findall(r"^epoch +\d+ +loss \d+\.\d+ +test accuracy [\d.]+%$", process.stdout, re.MULTILINE)) == 2
    assert accuracy_of(process) > 50  # guessing gives 10
    assert "training: 100%" in process.stderr  # the progress bar
    examples.assert_picture(picture)


def test_default_run_reaches_its_accuracy_on_the_cpu():
    started = time.perf_counter()
    process = run()
    seconds = time.perf_counter() - started
    assert process.returncode == 0, process.stderr
    assert accuracy_of(process) >= 97
    # 15 s on two free cores; a busy machine can take longer
    assert seconds < 60, f"{seconds:.0f} s"


def test_the_same_seed_repeats_a_run():
    first, second, other = (run("--epochs", 1, "--seed", seed).stdout for seed in (3, 3, 4))
    assert first == second
    assert first != other


def test_trains_on_a_folder_of_idx_files(tmp_path):
    mnist_like(tmp_path)
    process = run("--data", tmp_path, "--epochs", 30, "--batch-size", 8)
    assert process.returncode == 0, process.stderr
    assert "32 images to learn from, 8 to test on" in process.stdout
    assert accuracy_of(process) == 100


def test_training_part_and_test_part_are_both_read(digits, tmp_path):
    mnist_like(tmp_path, 20, "t10k")
    mnist_like(tmp_path, 50, "train")
    (images, labels), (test_images, test_labels) = digits.load(tmp_path)
    assert images.shape == (50, 4, 10) and labels.shape == (50,)
    assert test_images.shape == (20, 4, 10) and test_labels.shape == (20,)
    assert images.dtype == numpy.float32 and images.max() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--data", "{}/nowhere"], "nowhere: no such folder"),
        (["--data", "{}"], "no digits in it"),
        (["--plot", "{}/nowhere/a.png"], "there is no folder"),
        (["--epochs", "0"], "'0' is no positive whole number"),
        (["--batch-size", "many"], "'many' is no positive whole number"),
        (["--lr", "-1"], "lr is a finite number that is not negative, not -1.0"),
        (["--seed", "-1"], "a seed is an integer that is not negative, not -1"),
    ],
)
def test_bad_arguments_end_with_one_line(arguments, message, tmp_path):
    process = run(*[argument.format(tmp_path) for argument in arguments])
    examples.assert_refused(process, message)


def test_missing_device_ends_with_one_line(tmp_path):
    """A library that cannot be imported, as an example of a missing device."""
    (tmp_path / "cupy.py").write_text("raise ImportError('no such luck')")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(examples.FOLDER)!r}]; import digits; digits.main()"
    process = subprocess.run(
        [sys.executable, "-c", code, "--device", "cuda"],
        capture_output=True,
        text=True,
        env=examples.environment(),
        timeout=300,
    )
    assert process.returncode == 2
    assert "device 'cuda' cannot be used: CuPy is not installed" in process.stderr
    assert "Traceback" not in process.stderr


# -- the reader --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3, 2, 4), (5,), (0,), (0, 28, 28)])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_reader_returns_the_written_array(digits, tmp_path, shape, ending):
    array = numpy.arange(numpy.prod(shape), dtype="uint8").reshape(shape)
    path = tmp_path / f"some-idx{ending}"
    path.write_bytes(gzip.compress(idx(array)) if ending else idx(array))
    read = digits.read_idx(path)
    assert read.shape == shape and read.dtype == numpy.uint8
    numpy.testing.assert_array_equal(read, array)


TEN = numpy.arange(10, dtype="uint8")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file of unsigned bytes"),
        (b"\0\0", "not an idx file of unsigned bytes"),
        (b"GIF89a", "not an idx file of unsigned bytes"),
        (b"\0\0\x0d\x01" + bytes(8), "not an idx file of unsigned bytes"),  # an idx file of floats
        (b"\0\0\x08\x03" + bytes(6), r"the header promises 0 bytes for the shape \(0, 0\), but the file holds 0"),
        (idx(TEN)[:-1], r"promises 10 bytes for the shape \(10,\), but the file holds 9"),
        (idx(TEN) + b"!", r"promises 10 bytes for the shape \(10,\), but the file holds more"),
        (idx(TEN, (2**32 - 1,) * 3), "promises 79,228,162,458,924,105,385,300,197,375 bytes .* but the file holds 10"),
        (idx(TEN, (2**31, 1, 1)), "promises 2,147,483,648 bytes .* but the file holds 10"),
        (idx(TEN, (0, 28)), r"promises 0 bytes for the shape \(0, 28\), but the file holds more"),
    ],
)
def test_wrong_headers_are_refused(digits, tmp_path, content, message, packed):
    path = tmp_path / ("some-idx.gz" if packed else "some-idx")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=message) as error:
        digits.read_idx(path)
    assert str(path) in str(error.value)


def test_large_size_in_a_header_allocates_no_memory(digits, tmp_path):
    import tracemalloc

    path = tmp_path / "some-idx"
    path.write_bytes(idx(TEN, (2**31, 1, 1)))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="promises 2,147,483,648 bytes"):
            digits.read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20  # one or two chunks of one megabyte, not two gigabytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:30] + b"\xff" * 8 + b[38:], lambda b: b"no gzip at all"]
)
def test_damaged_gzip_files_are_refused(digits, tmp_path, damage):
    path = tmp_path / "some-idx.gz"
    path.write_bytes(damage(gzip.compress(idx(numpy.random.default_rng(0).integers(0, 256, 2000)))))
    with pytest.raises(ValueError, match="damaged or incomplete gzip file"):
        digits.read_idx(path)


def test_labels_that_do_not_match_are_refused(digits, tmp_path):
    for labels in (numpy.arange(39) % 10, numpy.full(40, 10)):
        mnist_like(tmp_path, labels=labels)
        with pytest.raises(
            ValueError, match=r"are no images and their digits 0 to 9: they have the shapes \(40, 4, 10\) and"
        ):
            digits.load(tmp_path)


def test_parts_with_different_image_sizes_are_refused(digits, tmp_path):
    mnist_like(tmp_path, 20, "t10k")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(numpy.zeros((10, 5, 5))))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(TEN))
    with pytest.raises(ValueError, match="the images of its two parts have different sizes"):
        digits.load(tmp_path)


def test_training_and_test_digits_are_disjoint_and_complete(digits):
    (images, labels), (test_images, test_labels) = digits.load(None)
    assert len(labels) + len(test_labels) == 1797
    assert len(test_labels) == 359  # a fifth
    assert len(images) == len(labels) and len(test_images) == len(test_labels)
    assert set(labels) == set(test_labels) == set(range(10))
