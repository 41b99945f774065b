"""save and load: objects are loaded as they were saved, bit for bit; errors for objects that cannot be saved."""

from __future__ import annotations

import collections
import enum
import gc
import json
import math
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import array_shapes, arrays

import rustorch
from rustorch import nn
from rustorch.backends import dtypes
from rustorch.serialization import source
from tests.support.saved import assert_same, bits, header, round_trip
from tests.support.target import Target


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "saved.safetensors"


@pytest.fixture(params=["mapped", "read"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Map files of every size, or read them at once."""
    monkeypatch.setattr(source, "_MAPPED_FROM", 0 if request.param == "mapped" else math.inf)
    return request.param


# -- arrays ------------------------------------------------------------------------------------------------------------
FORMS = {
    "contiguous": lambda x: x,
    "0-d": lambda x: x[1, 2],
    "empty": lambda x: x[:0],
    "empty in two": lambda x: x[:0, :, None][:, :0],
    "columns": lambda x: x[:, 1:3],
    "backwards": lambda x: x[::-1, ::-2],
    "transposed": lambda x: x.T,
    "broadcast": lambda x: numpy.broadcast_to(x[:, None], (5, 3, 4)),
    "read-only": lambda x: numpy.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
}


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_every_dtype_in_every_memory_layout_is_loaded_bit_for_bit(
    dtype: Any, rng: numpy.random.Generator, file: Path, reading: str
) -> None:
    value = bits(rng, dtype, (5, 4))
    arrays = {name: numpy.asarray(form(value)) for name, form in FORMS.items()}
    assert_same(round_trip(arrays, file), arrays)
    nested = {"deep": [arrays, (rustorch.Variable(value[0]),)]}
    assert_same(round_trip(nested, file), {"deep": [arrays, (value[0],)]})


def test_arrays_of_every_backend_are_loaded_on_their_device(
    backend: Target, rng: numpy.random.Generator, file: Path, reading: str
) -> None:
    values = {str(dtype): bits(rng, dtype, (3, 2)) for dtype in dtypes.ALL}
    values |= {"scalar": numpy.array(2.5), "empty": numpy.zeros((0, 2))}
    tree = {"variables": {name: backend.variable(x, x.dtype) for name, x in values.items()},
            "arrays": [backend.array(x, x.dtype) for x in values.values()], "number": 3}  # fmt: skip
    loaded = round_trip(tree, file, device=backend.device)
    assert {x.device for x in [*loaded["variables"].values(), *loaded["arrays"]]} == {backend.device}
    assert_same(loaded, {"variables": values, "arrays": list(values.values()), "number": 3})
    with rustorch.set_default_device(backend.device):
        assert rustorch.load(file)["arrays"][0].device == backend.device
    assert rustorch.load(file, "cpu")["arrays"][0].device == "cpu"


def test_gradient_tracking_and_shared_memory_are_not_saved(file: Path) -> None:
    x = rustorch.ones(3).requires_grad_()
    tree = {"leaf": x, "computed": x * 2, "view": x.detach()[1:], "again": x}
    loaded = round_trip(tree, file)
    assert {name: value.tolist() for name, value in loaded.items()} == {
        "leaf": [1.0] * 3,
        "computed": [2.0] * 3,
        "view": [1.0] * 2,
        "again": [1.0] * 3,
    }
    assert not any(value.requires_grad for value in loaded.values())
    with rustorch.no_grad():
        loaded["leaf"] += 1
    assert loaded["again"].tolist() == [1.0] * 3


# -- other values ------------------------------------------------------------------------------------------------------
PLAIN = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**200),
    10**5000,
    0.1,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    1j,
    complex(-0.0, math.nan),
    complex(math.inf, -0.0),
    "",
    "text",
    'λ\n\0"\\',
    "\ud800",
    b"",
    b"\x00\xff",
    [],
    (),
    {},
    [[]],
    ((),),
    {"": {}},
    {"a": None},
    {1: "one", "1": "text", None: 0, 2.5: 0, (1, ("a", None)): 0, b"k": 1, 1j: 2},
    {0: {True: 1}},
    {"tensor": "weight"},
    {"dict": {}, "items": []},
    ["mixed", (1, [2.0, {3: (4j,)}])],
]


def test_values_other_than_arrays_are_loaded_as_saved(file: Path) -> None:
    for value in [*PLAIN, PLAIN, tuple(PLAIN), dict(enumerate(PLAIN))]:
        assert_same(round_trip(value, file), value)


_ARRAYS = arrays(strategies.sampled_from(dtypes.ALL), array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
_LEAVES = strategies.one_of(
    *(
        getattr(strategies, kind)()
        for kind in ("none", "booleans", "integers", "floats", "complex_numbers", "text", "binary")
    ),
    _ARRAYS,
)
_KEYS = strategies.one_of(
    strategies.text(max_size=3), strategies.integers(-9, 9), strategies.tuples(strategies.text(max_size=2))
)
_TREES = strategies.recursive(
    _LEAVES,
    lambda inner: strategies.lists(inner) | strategies.dictionaries(_KEYS, inner) | strategies.lists(inner).map(tuple),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(_TREES)
def test_nested_objects_are_loaded_as_saved(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    assert_same(round_trip(tree, tmp_path_factory.getbasetemp() / "anything.safetensors"), tree)


class Point(NamedTuple):
    x: int
    y: float


class Color(enum.IntEnum):
    RED = 1


def test_subclasses_and_numpy_scalars_are_loaded_as_plain_values(file: Path) -> None:
    tree = {
        "ordered": collections.OrderedDict(b=1, a=2),
        "default": collections.defaultdict(list, {1: [2]}),
        "named": Point(1, 2.0),
        "enum": Color.RED,
        "scalars": [
            numpy.float64(0.1),
            numpy.float32(0.1),
            numpy.int64(3),
            numpy.uint64(2**64 - 1),
            numpy.bool_(True),
            numpy.complex64(1j),
            numpy.str_("s"),
            numpy.float16(0.5),
        ],
        numpy.int64(7): numpy.float32("nan"),
    }
    expected = {"ordered": {"b": 1, "a": 2}, "default": {1: [2]}, "named": (1, 2.0), "enum": 1,
                "scalars": [0.1, float(numpy.float32(0.1)), 3, 2**64 - 1, True, 1j, "s", 0.5], 7: math.nan}  # fmt: skip
    assert_same(round_trip(tree, file), expected)


def test_nesting_is_allowed_up_to_200_levels(file: Path) -> None:
    def nested(depth: int) -> Any:
        return rustorch.ones(1) if not depth else {"a": nested(depth - 1)} if depth % 2 else [nested(depth - 1)]

    loaded = round_trip(nested(200), file)
    for depth in range(200, 0, -1):
        loaded = loaded["a"] if depth % 2 else loaded[0]
    assert loaded.tolist() == [1.0]
    with pytest.raises(ValueError, match=r"nested more than 200 deep, or contains itself: the object\[0\]\['a'\]"):
        rustorch.save([nested(201)], file)


class Custom:
    def __init__(self, state: Any) -> None:
        self.state = state

    def state_dict(self) -> Any:
        return self.state


def test_objects_with_state_dict_are_saved_as_their_state(file: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = rustorch.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(rustorch.ones((4, 2))).sum().backward()
    optimizer.step()
    loaded = round_trip({"model": model, "optimizer": optimizer, "own": [Custom({"inner": Custom({"x": 1})})]}, file)
    assert_same(loaded["model"], model.state_dict())
    assert_same(loaded["optimizer"], optimizer.state_dict())
    assert loaded["own"] == [{"inner": {"x": 1}}]
    assert {"model.0.weight", "model.1.running_mean", "optimizer.state.0.momentum_buffer"} <= set(header(file))
    assert_same(round_trip(model, file), model.state_dict())


def test_a_resumed_training_is_equal_bit_for_bit(backend: Target, file: Path) -> None:
    def start() -> tuple[nn.Module, Any]:
        rustorch.manual_seed(1)
        model = nn.Sequential(
            nn.Linear(3, 4, device=backend.device), nn.Dropout(0.5), nn.Linear(4, 1, device=backend.device)
        )
        return model, rustorch.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def steps(model: nn.Module, optimizer: Any, n: int) -> list[float]:
        losses = []
        for _ in range(n):
            optimizer.zero_grad()
            loss = (model(rustorch.randn(8, 3, device=backend.device)) ** 2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    model, optimizer = start()
    steps(model, optimizer, 3)
    random = {device: rustorch.get_rng_state(device) for device in {"cpu", backend.device}}
    rustorch.save({"model": model, "optimizer": optimizer, "random": random, "step": 3}, file, metadata={"run": "1"})
    expected = steps(model, optimizer, 3)

    model, optimizer = start()
    saved = rustorch.load(file, device=backend.device)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    for device, state in saved["random"].items():
        rustorch.set_rng_state(state, device)
    assert steps(model, optimizer, 3) == expected


def test_load_state_dict_of_another_model_lists_the_differences_and_loads_nothing(file: Path) -> None:
    rustorch.save(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), file)
    model = nn.Sequential(nn.Linear(2, 4))
    before = model[0].weight.data.copy(), model[0].bias.data.copy()
    with pytest.raises(RuntimeError) as error:
        model.load_state_dict(rustorch.load(file))
    assert str(error.value).splitlines() == [
        "load_state_dict: nothing was loaded into Sequential:",
        "  unexpected: 1.weight",
        "  unexpected: 1.bias",
        "  shape of 0.weight: (3, 2) given, (4, 2) needed",
        "  shape of 0.bias: (3,) given, (4,) needed",
    ]
    rustorch.save({"model": model, "step": 1}, file)
    with pytest.raises(
        RuntimeError, match=r"missing: 0.weight\n  missing: 0.bias\n  unexpected: model\n  unexpected: step"
    ):
        model.load_state_dict(rustorch.load(file))
    with pytest.raises(
        RuntimeError,
        match=r"value of 0.weight: an array holds numbers; 'x' .*\n  value of 0.bias: an array holds numbers",
    ):
        model.load_state_dict({"0.weight": "x", "0.bias": None})
    assert (model[0].weight.data == before[0]).all() and (model[0].bias.data == before[1]).all()


# -- the file ----------------------------------------------------------------------------------------------------------
def test_a_flat_dict_of_arrays_becomes_a_file_without_structure(file: Path) -> None:
    arrays = {
        "z": numpy.ones(3, "float32"),
        "a.b": numpy.zeros(2, "int8"),
        "": numpy.array(True),
        "λ": numpy.ones((1, 0)),
    }
    rustorch.save(arrays, file)
    assert list(header(file)) == list(arrays), "the file has other names"
    assert (8 + int.from_bytes(file.read_bytes()[:8], "little")) % 64 == 0
    assert list(rustorch.load(file)) == list(arrays)
    rustorch.save({}, file)
    assert rustorch.load(file) == header(file) == {}


def test_names_in_nested_objects_are_unique_paths(file: Path) -> None:
    x = numpy.arange(2)
    tree = {"a": {"b": x, 0: x + 1, "0": x + 2}, "a.b": x + 3, "__metadata__": x + 4, "\ud800": x + 5, "l": [(x + 6,)]}
    assert_same(round_trip(tree, file), tree)
    assert set(header(file)) == {"a.b", "a.0", "a.0.0", "a.b.0", "__metadata__.0", "\\ud800", "l.0.0", "__metadata__"}
    assert_same(round_trip(x, file), x)
    assert set(header(file)) == {"tensor", "__metadata__"}


def test_metadata_is_loaded_as_saved(file: Path) -> None:
    rustorch.save({"w": numpy.ones(2)}, file)
    assert rustorch.load_metadata(file) == {}
    strings = {"format": "pt", "λ": "", "text": '{"not": "parsed"}'}
    rustorch.save({"w": numpy.ones(2)}, file, metadata=strings)
    assert rustorch.load_metadata(file) == header(file)["__metadata__"] == strings
    assert list(rustorch.load(file)) == ["w"]
    more = {**strings, "epoch": 3, "best": math.inf, "config": {"width": 128, "sizes": [1, 2], "name": None}}
    for value in ({"w": numpy.ones(2)}, [1, numpy.ones(2, "complex128")]):
        rustorch.save(value, file, metadata=more)
        assert rustorch.load_metadata(file) == more
        assert_same(rustorch.load(file), value)


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        ([1], TypeError, "metadata is a dict of strings or of what JSON can hold, not list"),
        ({1: "a"}, TypeError, "names of metadata are strings, not 1"),
        ({"a": {1, 2}}, TypeError, "metadata['a'] is neither a string nor what JSON can hold"),
        ({"a": numpy.ones(2)}, TypeError, "metadata['a'] is neither a string nor what JSON can hold"),
        ({"rustorch": "x"}, ValueError, "the name 'rustorch' in metadata is rustorch's own"),
        ({"a": "\ud800"}, ValueError, "metadata['a'] is no Unicode text"),
    ],
)
def test_bad_metadata_is_refused(file: Path, metadata: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        rustorch.save({}, file, metadata=metadata)
    assert message in str(caught.value) and str(caught.value).startswith("save: ")
    assert not file.exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"a": [1, {2}]},
            "the object['a'][1] is of type set, which a file cannot hold; it takes arrays, numbers, strings",
        ),
        (len, "the object is of type builtin_function_or_method"),
        ([nn.Linear], "the object[0] is of type type"),
        (
            {"a": numpy.array(["x"])},
            "the object['a'] is no array that can be saved: arrays of dtype <U1 hold no numbers",
        ),
        ([numpy.array([None])], "the object[0] is no array that can be saved: arrays of dtype object"),
        ([numpy.ma.array([1], mask=[True])], "would lose its mask"),
        (numpy.datetime64("2026-11-22"), "the object is of type datetime64"),
        ({nn.ReLU(): 1}, "the object has a key of type ReLU; keys are strings, numbers and tuples"),
        ({(rustorch.ones(1),): 1}, "the object has a key of type tuple"),
    ],
)
def test_values_that_cannot_be_saved_are_refused(file: Path, value: Any, message: str) -> None:
    rustorch.save(1, file)
    with pytest.raises(TypeError) as error:
        rustorch.save(value, file)
    assert message in str(error.value) and str(error.value).startswith("save: ")
    assert rustorch.load(file) == 1 and list(file.parent.iterdir()) == [file]


def test_paths_may_be_text_bytes_or_pathlib(tmp_path: Path) -> None:
    for path in (tmp_path / "a b é.st", str(tmp_path / "text"), bytes(tmp_path / "bytes")):
        rustorch.save({"x": 1}, path)
        assert rustorch.load(path) == {"x": 1} and rustorch.load_metadata(path) == {}
    for function in (rustorch.load, rustorch.load_metadata, lambda path: rustorch.save(1, path)):
        with pytest.raises(TypeError, match=r"a path is a string or a pathlib\.Path, not int"):
            function(3)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        rustorch.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="unknown device 'gpu'"):
        rustorch.load(tmp_path / "text", "gpu")


# -- memory ------------------------------------------------------------------------------------------------------------
def test_save_and_load_do_not_copy_contiguous_arrays(file: Path) -> None:
    state = {str(i): numpy.full((500, 1000), i, "float32") for i in range(10)}
    mixed = {"columns": numpy.ones((500, 2000), "float32")[:, ::2], "rows": [numpy.ones((500, 1000), "float32").T]}
    rustorch.save({}, file)  # the first save imports modules
    rustorch.load(file)
    tracemalloc.start()
    try:
        rustorch.save({"state": state, "epoch": 1}, file)
        loaded = rustorch.load(file)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        assert loaded["state"]["3"][7, 7].item() == 3.0
        rustorch.save(mixed, file.with_name("mixed"))
        assert tracemalloc.get_traced_memory()[1] < 3 << 20, "more than one array is copied at a time"
    finally:
        tracemalloc.stop()


def test_writing_to_loaded_arrays_does_not_change_the_file(file: Path, reading: str) -> None:
    rustorch.save({"x": numpy.zeros(1000), "y": numpy.zeros(1000)}, file)
    before = file.read_bytes()
    first, second = rustorch.load(file), rustorch.load(file)
    first["x"][...] = 1.0
    assert first["x"].data.flags.writeable and first["x"].data.flags.aligned
    assert [value.sum().item() for value in (first["x"], first["y"], second["x"])] == [1000.0, 0.0, 0.0]
    assert file.read_bytes() == before
    rustorch.save(first, file)  # replaces the mapped file
    assert (second["x"].data == 0).all() and (rustorch.load(file)["x"].data == 1).all()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_a_file_is_closed_with_its_last_array(file: Path, reading: str) -> None:
    rustorch.save({"x": [numpy.zeros(10), {"y": numpy.ones(10, "bool")}], "z": 1}, file)
    before = len(list(Path("/proc/self/fd").iterdir()))
    gc.disable()
    try:
        for _ in range(5):
            array = rustorch.load(file)["x"][1]["y"]
            file.with_name("broken").write_bytes(file.read_bytes()[:-1])
            with pytest.raises(ValueError, match="cut short"):
                rustorch.load(file.with_name("broken"))
        del array
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    finally:
        gc.enable()


@pytest.mark.skipif(sys.platform == "win32", reason="files are not mapped on Windows")
def test_a_file_larger_than_memory_can_be_loaded(file: Path) -> None:
    size = 1 << 36
    head = json.dumps({"big": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    head += b" " * (-len(head) % 8)
    with file.open("wb") as out:
        out.write(len(head).to_bytes(8, "little") + head)
        try:
            out.truncate(8 + len(head) + size)  # the file has a size, but no data on the disk
        except OSError as error:
            pytest.skip(f"no file of 64 GiB here: {error}")
    big = rustorch.load(file)["big"]
    assert big.size == size // 4 and big[-1].item() == 0.0
    big[-1] = 1.0
    assert big[-1].item() == 1.0


def test_importing_rustorch_does_not_import_modules_for_files() -> None:
    names = ("json", "mmap", "fcntl", "safetensors", "rustorch.serialization.tree", "rustorch.backends.buffers")
    script = (
        f"import sys, numpy; before = set(sys.modules); import rustorch; print(set({names!r}) & (set(sys.modules) - "
        f"before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
