"""Broken folders of a sharded save raise a ValueError that names the folder and the mistake, and read no other file."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.serialization import together
from tests.support.saved import assert_same

NAMES = [f"part-{digit * 16}-{rank:05d}.safetensors" for rank, digit in enumerate("ab")]
X = numpy.arange(12.0).reshape(4, 3)


def tensor(start: int, stop: int, shape: list[int] | None = None, dtype: str = "F64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape or [(stop - start) // 8], "data_offsets": [start, stop]}


def write_part(path: Path, head: dict[str, Any], data: bytes) -> None:
    """A safetensors file."""
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of two ranks: of ``x`` each has a half, and the second one has ``y``."""
    folder = tmp_path / "saved"
    folder.mkdir()
    halves = X[:2].tobytes(), X[2:].tobytes()
    write_part(folder / NAMES[0], {"x": tensor(0, 48)}, halves[0])
    write_part(folder / NAMES[1], {"x": tensor(0, 48), "y": tensor(48, 64)}, halves[1] + numpy.ones(2).tobytes())
    index = {
        "rustorch": 1,
        "metadata": {"step": "3"},
        "json": ["step"],
        "files": [[name, (folder / name).stat().st_size] for name in NAMES],
        "tensors": {
            "x": {"dtype": "float64", "shape": [4, 3], "sharded": True, "pieces": [[0, 6], [1, 12]]},
            "y": {"dtype": "float64", "shape": [2], "sharded": False, "pieces": [[1, 2]]},
        },
        "tree": {"dict": {"x": {"tensor": "x"}, "y": {"tensor": "y"}}},
    }
    (folder / together.INDEX).write_text(json.dumps(index))
    return folder


def change(folder: Path, action: Callable[[Any], Any]) -> None:
    """Change the index."""
    path = folder / together.INDEX
    index = json.loads(path.read_text())
    action(index)
    path.write_text(json.dumps(index))


def refuse(folder: Path, message: str) -> None:
    """Assert that the folder is refused, whole and in pieces."""
    with pytest.raises(ValueError, match=message) as error:
        rustorch.load(folder)
    assert str(error.value).startswith(f"load: the folder {str(folder)!r} cannot be read: ")
    with pytest.raises(ValueError, match="cannot be read: "):
        rustorch.load(folder, sharded=True)["x"].elements(0, 12)


def test_the_folder_is_what_rustorch_writes(dist: ModuleType, folder: Path) -> None:
    assert_same(rustorch.load(folder), {"x": X, "y": numpy.ones(2)})
    assert rustorch.load_metadata(folder) == {"step": 3}
    rustorch.save({"x": X, "y": numpy.ones(2)}, folder, {"step": 3}, sharded=True)
    assert sorted(json.loads((folder / together.INDEX).read_text())) == [
        "files", "json", "metadata", "rustorch", "tensors", "tree",
    ]  # fmt: skip


# -- the index ---------------------------------------------------------------------------------------------------------
def setting(*path: Any) -> Callable[[Any], Any]:
    """A change that sets the value at a path of the index: the last argument."""

    def action(index: Any) -> None:
        for key in path[:-2]:
            index = index[key]
        index[path[-2]] = path[-1]

    return action


def x_of(**values: Any) -> Callable[[Any], Any]:
    """A change of the description of ``x``."""
    return lambda index: index["tensors"]["x"].update(values)


OUTSIDE = [
    "../other.safetensors", "/etc/passwd", "part-aaaaaaaaaaaaaaaa-00000.safetensors/../../x", "x.safetensors", "",
    "..", "part-aaaaaaaaaaaaaaaa-00000.safetensors\n", "part-AAAAAAAAAAAAAAAA-00000.safetensors", together.INDEX,
    "part-aaaaaaaaaaaaaaaa-0000\u0660.safetensors", "part-aaaaaaaaaaaaaaaa-00000.safetensors\0",
]  # fmt: skip
BROKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    **{f"the file {name!r}": (setting("files", 0, 0, name), "such a name is not what rustorch") for name in OUTSIDE},
    "a number for a file name": (setting("files", 0, 0, 3), "names the file 3; such a name"),
    "no version": (setting("rustorch", "1"), "its index.json is not what rustorch writes"),
    "version true": (setting("rustorch", True), "its index.json is not what rustorch writes"),
    "a newer version": (setting("rustorch", 2), "a newer rustorch wrote it, in version 2; this one reads up to 1"),
    "no files": (setting("files", {}), "has no list of files"),
    "a file without a size": (setting("files", 0, NAMES[0]), "for the name and the size of a file"),
    "a negative size": (setting("files", 0, 1, -1), "for the name and the size of a file"),
    "a size of text": (setting("files", 0, 1, "9"), "for the name and the size of a file"),
    "another size": (setting("files", 1, 1, 9), rf"the file '{NAMES[1]}': it has \d+ bytes, not the 9 of index.json"),
    "a file twice": (setting("files", 1, 0, NAMES[0]), "names a file twice"),
    "a missing file": (
        setting("files", 1, 0, f"part-{'c' * 16}-00001.safetensors"),
        "'part-c+-00001.*', which is missing",
    ),
    "no tensors": (setting("tensors", []), "has no object of tensors"),
    "a tensor that is a number": (
        setting("tensors", "x", 3),
        "the tensor 'x' is described by no JSON object, but by 3",
    ),
    "no shape": (x_of(shape=None), "the tensor 'x' has the shape None, which is none"),
    "a negative dimension": (x_of(shape=[-4, -3]), r"the tensor 'x' has the shape \[-4, -3\], which is none"),
    "100 dimensions": (x_of(shape=[1] * 100), "the shape"),
    "a shape with more elements": (
        x_of(shape=[4, 4]),
        r"'x' of shape \(4, 4\) has no piece with its elements 12 to 16",
    ),
    "a shape with fewer elements": (
        x_of(shape=[3, 3]),
        "'x' of 9 elements has a piece from element 6 to 12, which is none",
    ),
    "a huge shape": (x_of(shape=[2**62] * 64), "has no piece with its elements 12 to"),
    "a huge shape without elements": (x_of(shape=[0, 2**62], pieces=[[0, 0]]), "the file .* has a tensor of float64"),
    "an unknown dtype": (x_of(dtype="object"), "the tensor 'x' has the dtype 'object', which rustorch does not write"),
    "a dtype that only others write": (x_of(dtype="bfloat16"), "which rustorch does not write"),
    "a number as dtype": (x_of(dtype=8), "the tensor 'x' has the dtype 8, which"),
    "another dtype": (
        x_of(dtype="int64"),
        r"has a tensor of float64 and shape \(6,\) of the name 'x', where index.json has",
    ),
    "a complex dtype": (x_of(dtype="complex128"), r"where index.json has a tensor of float64 and shape \(6, 2\)"),
    "sharded by text": (x_of(sharded="yes"), "which are none"),
    "no pieces": (x_of(pieces=[]), r"has no piece with its elements 0 to 12"),
    "pieces of text": (x_of(pieces="01"), "the tensor 'x' has the pieces '01', which are none"),
    "a missing piece": (x_of(pieces=[[0, 6]]), "has no piece with its elements 6 to 12"),
    "an overlap": (x_of(pieces=[[0, 6], [1, 6], [1, 12]]), "has a piece from element 6 to 6, which is none"),
    "pieces backwards": (x_of(pieces=[[1, 12], [0, 6]]), "has a piece from element 12 to 6, which is none"),
    "a piece beyond the end": (x_of(pieces=[[0, 6], [1, 13]]), "has a piece from element 6 to 13"),
    "pieces of other sizes": (
        x_of(pieces=[[0, 5], [1, 12]]),
        r"shape \(6,\) of the name 'x', where .* shape \([57],\)",
    ),
    "a file number out of range": (x_of(pieces=[[0, 6], [2, 12]]), "a piece in file number 2, of 2 files"),
    "a negative file number": (x_of(pieces=[[-1, 6], [1, 12]]), "a piece in file number -1, of 2 files"),
    "a file number of true": (x_of(pieces=[[True, 6], [1, 12]]), "has a piece "),
    "a piece of three numbers": (x_of(pieces=[[0, 0, 6], [1, 12]]), "has a piece "),
    "two pieces in one file": (x_of(pieces=[[0, 6], [0, 12]]), "the tensor 'x' has two pieces in one file"),
    "a tensor that no file has": (
        lambda index: index["tensors"].update(z=index["tensors"]["y"]),
        "has no tensor of the name 'z', where index.json has a tensor of float64",
    ),
    "a tensor that the index lacks": (lambda index: index["tensors"].pop("y"), "where index.json has no tensor"),
    "a tensor without a place": (lambda index: index["tree"]["dict"].pop("y"), "has no place for the tensors 'y'"),
    "a tensor in two places": (
        setting("tree", "dict", "z", {"tensor": "y"}),
        "its structure names the tensor 'y' twice",
    ),
    "another dtype in the structure": (
        setting("tree", "dict", "y", {"tensor": ["y", "complex128"]}),
        "its structure calls the tensor 'y' of float64 one of complex128",
    ),
    "a structure of another kind": (setting("tree", {"call": "os.system"}), "a part that rustorch does not write"),
    "no metadata": (setting("metadata", 3), "is no JSON object of strings"),
    "metadata that is no text": (setting("metadata", "step", 3), "is no JSON object of strings"),
    "JSON metadata without a value": (setting("json", ["other"]), "calls metadata JSON that it does not have"),
    "JSON metadata of numbers": (setting("json", [[]]), "calls metadata JSON that it does not have"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_index_is_refused(case: str, folder: Path) -> None:
    action, message = BROKEN[case]
    before = {entry.name: entry.read_bytes() for entry in folder.iterdir()}
    change(folder, action)
    if case == "a file twice":
        shutil.copy(folder / NAMES[0], folder / NAMES[1])
    if case in ("a tensor that the index lacks", "a tensor that no file has"):
        change(folder, lambda index: index["tree"]["dict"].update(z={"tensor": "z"}))
    refuse(folder, message)
    assert all((folder / name).read_bytes() == content for name, content in before.items() if name != together.INDEX
               and case != "a file twice")  # fmt: skip


TEXTS = {
    "nothing": ("", "its index.json is no JSON that rustorch writes"),
    "a list": ("[]", "its index.json is not what rustorch writes"),
    "half of it": ('{"rustorch": 1, "files": [', "its index.json is no JSON that rustorch writes"),
    "deep lists": ("[" * 100_000, "nested too deeply"),
    "a name twice": ('{"rustorch": 1, "rustorch": 1}', "the name 'rustorch' stands in it twice"),
    "NaN": ('{"rustorch": NaN}', "NaN is no JSON"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_an_index_that_is_no_json_is_refused(case: str, folder: Path) -> None:
    text, message = TEXTS[case]
    (folder / together.INDEX).write_text(text)
    refuse(folder, message)


def test_a_structure_that_is_nested_too_deeply_is_refused(folder: Path) -> None:
    text = (folder / together.INDEX).read_text()
    (folder / together.INDEX).write_text(
        text.replace('"tree": {', '"tree": {"tuple": ' + "[" * 500 + "]" * 500 + ', "x": {')
    )
    with pytest.raises(ValueError, match="cannot be read"):
        rustorch.load(folder)


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / together.INDEX).write_bytes(b'{"\xff": 1}')
    refuse(folder, "its index.json is no JSON that rustorch writes: 'utf-8' codec")


def test_a_huge_index_is_not_read(folder: Path) -> None:
    with open(folder / together.INDEX, "r+b") as file:
        file.truncate(1 << 40)
    tracemalloc.start()
    try:
        refuse(folder, "its index.json has 1099511627776 bytes, which is more than rustorch writes")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_shape_does_not_cost_its_memory(folder: Path) -> None:
    change(folder, x_of(shape=[1 << 40], pieces=[[0, 6], [1, 1 << 40]]))
    tracemalloc.start()
    try:
        refuse(folder, "where index.json has a tensor of float64")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


# -- the files ---------------------------------------------------------------------------------------------------------
def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    refuse(tmp_path, "it is a folder without index.json: no checkpoint, or the first save into it was not completed")
    with pytest.raises(ValueError, match=r"load_metadata: the folder .* without index\.json"):
        rustorch.load_metadata(tmp_path)
    (tmp_path / together.INDEX).mkdir()
    refuse(tmp_path, "it is a folder")


@pytest.mark.parametrize("number", [0, 1])
def test_every_byte_of_a_missing_or_short_file_counts(number: int, folder: Path) -> None:
    path = folder / NAMES[number]
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=rf"the file '{NAMES[number]}': it has {len(content) - 1} bytes, not the"):
        rustorch.load(folder)
    path.unlink()
    with pytest.raises(ValueError, match=f"its index.json names the file '{NAMES[number]}', which is missing"):
        rustorch.load(folder)


def test_a_file_with_more_tensors_is_refused(folder: Path) -> None:
    write_part(folder / NAMES[0], {"x": tensor(0, 48), "w": tensor(48, 56)}, bytes(56))
    change(folder, setting("files", 0, 1, (folder / NAMES[0]).stat().st_size))
    with pytest.raises(
        ValueError, match=r"has a tensor of float64 and shape \(1,\) of the name 'w', where index.json has no"
    ):
        rustorch.load(folder)


def test_a_broken_file_is_refused(folder: Path) -> None:
    content = bytearray((folder / NAMES[0]).read_bytes())
    content[:8] = (1 << 40).to_bytes(8, "little")
    (folder / NAMES[0]).write_bytes(content)
    with pytest.raises(ValueError, match=f"the file '{NAMES[0]}': it is no safetensors file, or was cut short"):
        rustorch.load(folder)


def test_pieces_with_wrong_bools_are_refused(dist: ModuleType, folder: Path) -> None:
    rustorch.save({"x": numpy.array([True, False])}, folder, sharded=True)
    (part,) = (entry for entry in folder.iterdir() if entry.name != together.INDEX)
    part.write_bytes(part.read_bytes()[:-1] + b"\x02")
    with pytest.raises(
        ValueError, match=r"the tensor 'x' of shape \(2,\) is no array: bytes of a bool that are neither"
    ):
        rustorch.load(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_in_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / NAMES[0]).unlink()
    os.mkfifo(folder / NAMES[0])
    with pytest.raises(ValueError, match=f"the file '{NAMES[0]}': it is no ordinary file"):
        rustorch.load(folder)


def test_random_changes_of_the_index_are_refused_or_load_an_object(folder: Path) -> None:
    text = (folder / together.INDEX).read_bytes()
    rng = numpy.random.default_rng(0)
    n_loaded = 0
    for _ in range(400):
        changed = bytearray(text)
        for _ in range(rng.integers(1, 4)):
            position = rng.integers(len(changed))
            changed[position : position + rng.integers(0, 3)] = bytes([rng.choice(list(b'0123456789[]{},:"-xyef'))])
        (folder / together.INDEX).write_bytes(changed)
        try:
            rustorch.load(folder)
            n_loaded += 1
        except ValueError as error:
            assert str(error).startswith("load: the folder")
    assert n_loaded < 200
