"""Broken files raise a ValueError that names the file and the mistake, with little memory."""

from __future__ import annotations

import json
import pickle
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.pytree import tree_leaves
from rustorch.serialization import source


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "broken.safetensors"


def file_bytes(head: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with this header and data; ``length`` replaces the true length of the header."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def description(start: int, stop: int, dtype: Any = "F32", shape: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "dtype": dtype,
        "shape": [(stop - start) // 4] if shape is None else shape,
        "data_offsets": [start, stop],
        **more,
    }


def own_entry(**entry: Any) -> dict[str, Any]:
    return {"a": description(0, 8), "__metadata__": {"rustorch": json.dumps({"version": 1, **entry})}}


A = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is no safetensors file, or was cut short: it has 0 bytes, and the shortest one has 10"),
    "seven bytes": (b"1234567", "it has 7 bytes"),
    "Python code": (b"import numpy as np\n", "promise a header of 7935470578271546729 bytes, and 11 follow"),
    "a zip archive": (
        b"PK\x03\x04\x00\x00\x08\x08" * 4,
        "it is a zip archive, as torch.save and numpy.savez write; in PyTorch, safetens",
    ),
    "a pickle": (pickle.dumps({"a": [1.5] * 100}), "it is a pickle, which may run any code when it is read"),
    "an .npy file": (b"\x93NUMPY\x01\x00v\x00", "it is an .npy file; numpy.load reads it"),
    "a length beyond the file": (
        file_bytes({}, length=2**63),
        "promise a header of 9223372036854775808 bytes, and 2 follow",
    ),
    "a length one too long": (file_bytes({}, length=3), "promise a header of 3 bytes, and 2 follow"),
    "a length too short": (
        file_bytes({"a": description(0, 4)}, b"1234", 20),
        "its header is no JSON that the format allows",
    ),
    "a length of 0": (file_bytes({}, length=0), "its header is no JSON"),
    "bytes that are no text": (
        file_bytes(b'{"\xff":1}'),
        "its header is no JSON that the format allows: 'utf-8' codec",
    ),
    "half a pair of surrogates": (file_bytes(b'{"\\ud800":{}}'), "a name or text in its header is no Unicode"),
    "half a pair of surrogates in the metadata": (
        file_bytes(b'{"__metadata__":{"a":"\\ud800"}}'),
        "a name or text in its header is no Unicode",
    ),
    "a list": (file_bytes([]), "its header is no JSON object, but a list"),
    "NaN": (file_bytes(b'{"a":NaN}'), "NaN is no JSON"),
    "a number of 5000 digits": (file_bytes(b'{"a":%s}' % (b"1" * 5000)), "its header is no JSON"),
    "deep lists": (file_bytes(b"[" * 100_000), "nested too deeply"),
    "deep objects": (file_bytes(b'{"a":' * 100_000), "nested too deeply"),
    "a name twice": (file_bytes(b"{%s,%s}" % (A, A), b"1234"), "the name 'a' stands in it twice"),
    "a field twice": (file_bytes(b'{"a":{"dtype":"F32","dtype":"F32"}}'), "the name 'dtype' stands in it twice"),
    "metadata twice": (
        file_bytes(b'{"__metadata__":{},"__metadata__":{}}'),
        "the name '__metadata__' stands in it twice",
    ),
    "no description": (file_bytes({"a": 3}), "the tensor 'a' is described by no JSON object, but by 3"),
    "no dtype": (file_bytes({"a": {"shape": [], "data_offsets": [0, 0]}}), "the tensor 'a' has the dtype None"),
    "an unknown dtype": (
        file_bytes({"a": description(0, 4, "F99")}, b"1234"),
        "the tensor 'a' has the dtype 'F99'; those that can be read",
    ),
    "float8": (
        file_bytes({"a": description(0, 4, "F8_E4M3", [4])}, b"1234"),
        "the dtype 'F8_E4M3'; those that can be read are BOOL, U8, I8",
    ),
    "no shape": (
        file_bytes({"a": {"dtype": "F32", "data_offsets": [0, 0]}}),
        "the tensor 'a' has the shape None, which is none",
    ),
    "a negative size": (file_bytes({"a": description(0, 4, shape=[-1])}, b"1234"), "the shape [-1], which is none"),
    "a size of 1.0": (file_bytes({"a": description(0, 4, shape=[1.0])}, b"1234"), "the shape [1.0], which is none"),
    "a size of true": (file_bytes({"a": description(0, 4, shape=[True])}, b"1234"), "the shape [True], which is none"),
    "a size of 2 ** 65": (file_bytes({"a": description(0, 0, shape=[0, 2**65])}), "which is none"),
    "a size of 2 ** 62, and 0": (
        file_bytes({"a": description(0, 0, shape=[0, 2**62])}),
        "the tensor 'a' of shape (0, 4611686018427387904) is",
    ),
    "100 dimensions": (file_bytes({"a": description(0, 4, shape=[1] * 100)}, b"1234"), "which is none"),
    "a million huge sizes": (file_bytes({"a": description(0, 4, shape=[2**62] * 100_000)}, b"1234"), "which is none"),
    "a shape of another size": (
        file_bytes({"a": description(0, 4, shape=[2])}, b"1234"),
        "the tensor 'a' has 4 bytes, where the shape (2,) of F32 needs 8",
    ),
    "a product beyond 64 bits": (file_bytes({"a": description(0, 4, shape=[2**62, 8])}, b"1234"), "of F32 needs"),
    "no offsets": (file_bytes({"a": {"dtype": "F32", "shape": []}}), "the tensor 'a' has the data_offsets None"),
    "three offsets": (
        file_bytes({"a": {**description(0, 4), "data_offsets": [0, 4, 4]}}, b"1234"),
        "which are not a begin and an end",
    ),
    "offsets backwards": (
        file_bytes({"a": {**description(0, 4), "data_offsets": [4, 0]}}, b"1234"),
        "which are not a begin and an end",
    ),
    "a negative offset": (
        file_bytes({"a": {**description(0, 4), "data_offsets": [-4, 0]}}, b"1234"),
        "which are not a begin and an end",
    ),
    "an offset out of range": (
        file_bytes({"a": description(0, 8)}, b"1234"),
        "the tensor 'a' ends at byte 8, but 4 bytes follow the header",
    ),
    "overlap": (
        file_bytes({"a": description(0, 8), "b": description(4, 12)}, b"1234" * 3),
        "'a' and 'b' overlap: 'b' starts at byte 4, before 8",
    ),
    "the same offsets twice": (
        file_bytes({"a": description(0, 4), "b": description(0, 4)}, b"1234"),
        "the tensors 'a' and 'b' overlap",
    ),
    "a gap": (
        file_bytes({"a": description(0, 4), "b": description(8, 12)}, b"1234" * 3),
        "there is a gap of 4 bytes before the tensor 'b'",
    ),
    "bytes after the last tensor": (
        file_bytes({"a": description(0, 4)}, b"12345"),
        "its tensors have 4 bytes in all, but 5 follow the header",
    ),
    "a bool of 2": (
        file_bytes({"a": description(0, 2, "BOOL", [2])}, b"\x01\x02"),
        "bytes of a bool that are neither 0 nor 1",
    ),
    "metadata that is a list": (file_bytes({"__metadata__": []}), "its __metadata__ is no JSON object of strings"),
    "metadata of numbers": (file_bytes({"__metadata__": {"a": 1}}), "its __metadata__ is no JSON object of strings"),
    "structure: no JSON": (file_bytes({"__metadata__": {"rustorch": "{"}}), "Expecting property name"),
    "structure: a list": (
        file_bytes({"__metadata__": {"rustorch": "[]"}}),
        "'rustorch' of its metadata is not what rustorch writes",
    ),
    "structure: newer": (
        file_bytes({"__metadata__": {"rustorch": '{"version":2}'}}),
        "a newer rustorch wrote it, in version 2",
    ),
    "structure: deep": (
        file_bytes(own_entry(tree=0) | {"__metadata__": {"rustorch": "[" * 100_000}}, b"12345678"),
        "nested too deeply",
    ),
}
TREES: list[tuple[Any, str]] = [
    (None, "its structure has no place for the tensors 'a'"),
    ({"tensor": "b"}, "its structure names the tensor 'b' twice, or the file has none of this name"),
    ([{"tensor": "a"}, {"tensor": "a"}], "names the tensor 'a' twice"),
    ({"tensor": ["a", "complex128"]}, "its structure calls the tensor 'a' of float32 and shape (2,) one of complex128"),
    *[
        (tree, "its structure has a part that rustorch does not write")
        for tree in (
            {},
            {"x": 1},
            {"tensor": "a", "dict": {}},
            {"tensor": 1},
            {"tensor": ["a"]},
            {"tensor": ["a", "int8"]},
            {"dict": []},
            {"items": [1]},
            {"items": [[1, 2, 3]]},
            {"items": [[[], 1]]},
            {"items": [[1, 2], [1, 3]]},
            {"items": [[{"tensor": "a"}, 1]]},
            {"tuple": {}},
            {"int": 1},
            {"float": "1"},
            {"complex": [1, 2, 3]},
            {"complex": ["a", 1.0]},
            {"bytes": 1},
        )
    ],
    ({"int": "x"}, "invalid literal"),
    ({"bytes": "xy"}, "non-hexadecimal"),
]
BROKEN |= {
    f"structure: {json.dumps(tree)}": (file_bytes(own_entry(tree=tree), b"12345678"), message)
    for tree, message in TREES
}


@pytest.mark.parametrize("name", BROKEN)
def test_errors_name_the_file_and_the_mistake(name: str, file: Path) -> None:
    written, message = BROKEN[name]
    file.write_bytes(written)
    with pytest.raises(ValueError) as error:
        rustorch.load(file)
    assert str(error.value).startswith(f"load: {str(file)!r} cannot be read: ")
    assert message in str(error.value)
    assert len(str(error.value)) < 1000


def test_folders_and_devices_are_refused(tmp_path: Path) -> None:
    for function in (rustorch.load, rustorch.load_metadata):
        with pytest.raises(ValueError, match="cannot be read: it is a folder"):
            function(tmp_path)
    if Path("/dev/zero").exists():
        with pytest.raises(ValueError, match="'/dev/zero' cannot be read: it is no ordinary file"):
            rustorch.load("/dev/zero")


def test_a_too_long_header_is_refused_before_it_is_read(file: Path) -> None:
    with file.open("wb") as out:
        out.write((150_000_000).to_bytes(8, "little"))
        out.truncate(200_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match="its header of 150000000 bytes is longer than the format allows, 100000000"
        ):
            rustorch.load(file)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_load_metadata_checks_only_the_header(file: Path) -> None:
    file.write_bytes(BROKEN["a name twice"][0])
    with pytest.raises(ValueError, match=r"load_metadata: .* the name 'a' stands in it twice"):
        rustorch.load_metadata(file)
    file.write_bytes(file_bytes({"a": description(0, 4, "F8_E4M3", [4]), "__metadata__": {"format": "pt"}}, b"1234"))
    assert rustorch.load_metadata(file) == {"format": "pt"}, "only the header is read"


def test_unaligned_files_and_unknown_fields_are_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = numpy.arange(3, dtype="float64")
    head = {
        "byte": description(0, 1, "I8", [1]),
        "odd": description(1, 25, "F64", [3], note="of another program"),
        "__metadata__": None,
    }
    file.write_bytes(file_bytes(head, b"\xff" + values.tobytes()))  # the tensors are not aligned
    for mapped_from in (0, 1 << 20):
        monkeypatch.setattr(source, "_MAPPED_FROM", mapped_from)
        loaded = rustorch.load(file)
        assert loaded["byte"].tolist() == [-1] and loaded["odd"].tolist() == [0.0, 1.0, 2.0]
        assert loaded["odd"].data.flags.aligned and loaded["odd"].data.flags.writeable
    assert rustorch.load_metadata(file) == {}
    assert rustorch.load(file)["odd"].size == 3


# -- mutations ---------------------------------------------------------------------------------------------------------
INTERESTING = [0, 1, 2, 7, 8, 255, 2**16, 2**31 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1]


def mutated(original: bytes, rng: random.Random) -> bytes:
    """The bytes after one to three random changes of bits, bytes, digits, words or lengths."""
    out = bytearray(original)
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(9)
        head = 8 + min(int.from_bytes(out[:8], "little"), max(len(out) - 8, 0))
        spot = rng.randrange(head if rng.random() < 0.8 else max(len(out), 1)) if out else 0
        if kind == 0 and out:
            out[min(spot, len(out) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[spot:]
        elif kind == 2:
            del out[spot : spot + rng.randint(1, 40)]
        elif kind == 3:
            out[spot:spot] = rng.randbytes(rng.randint(1, 40))
        elif kind == 4:
            out[spot:spot] = out[spot : spot + rng.randint(1, 200)]
        elif kind == 5:
            out[:8] = rng.choice([*INTERESTING, len(out), len(out) - 8, len(out) - 9]).to_bytes(8, "little")
        elif kind == 6:
            digits = [i for i in range(8, min(head, len(out))) if chr(out[i]).isdigit()]
            if digits:
                i = rng.choice(digits)
                out[i : i + 1] = rng.choice(
                    [str(rng.choice(INTERESTING)).encode(), b"-1", b"1e99", b"NaN", b"null", b"[]", b"0.5"]
                )
        elif kind == 7:
            words = [
                b"F32",
                b"dtype",
                b"shape",
                b"data_offsets",
                b"tensor",
                b"dict",
                b"items",
                b"version",
                b"__metadata__",
                b"F64",
                b"I64",
            ]
            old, new = rng.sample(words, 2)
            out = bytearray(bytes(out).replace(old, new, rng.randint(1, 3)))
        else:
            i, j = sorted((rng.randrange(max(head, 1)), rng.randrange(max(head, 1))))
            out[i:j] = out[i:j][::-1]
    return bytes(out)


def mutations(folder: Path, n: int) -> Iterator[bytes]:
    """The bytes of n mutated files."""
    layer = rustorch.Linear(3, 2)
    bases = []
    for i, value in enumerate(
        [
            layer,
            {
                "model": layer,
                "state": {0: {"step": 3, "m": rustorch.ones(5)}},
                "t": (1, 2**70, 1j, None, [numpy.ones((2, 2), "complex128")]),
            },
            {
                "a": numpy.arange(6, dtype="int64"),
                "b": numpy.ones((2, 3), "bool"),
                "c": numpy.zeros((0, 4), "uint16"),
                "d": numpy.float32(1),
            },
        ]
    ):
        rustorch.save(value, folder / f"base{i}", metadata={"run": "7", "epoch": i})
        bases.append((folder / f"base{i}").read_bytes())
    rng = random.Random(0)
    for i in range(n):
        yield mutated(bases[i % len(bases)], rng)


@pytest.mark.parametrize("mapped_from", [0, 1 << 20], ids=["mapped", "read"])
def test_mutated_files_neither_crash_nor_use_much_memory(
    mapped_from: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MAPPED_FROM", mapped_from)
    try:
        from safetensors import SafetensorError, deserialize
    except ImportError:
        deserialize = None
    files = list(mutations(tmp_path, 2000))
    refused, wrong = 0, []
    tracemalloc.start()
    try:
        for i, written in enumerate(files):
            file = tmp_path / f"{i % 10}"
            file.unlink(missing_ok=True)  # do not write into a mapped file
            file.write_bytes(written)
            try:
                loaded = tree_leaves(rustorch.load(file))
            except ValueError as error:
                refused += 1
                assert str(error).startswith(f"load: {str(file)!r} cannot be read: ")
                continue
            for leaf in loaded:  # every byte of the arrays can be read
                assert not isinstance(leaf, rustorch.Variable) or leaf.data.tobytes() is not None
            if deserialize is not None:
                try:
                    deserialize(written)
                except SafetensorError as error:
                    wrong.append((i, error))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert 1000 < refused < 2000
    assert wrong == [], "rustorch loaded files that the safetensors library refuses"
