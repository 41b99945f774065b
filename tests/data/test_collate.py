"""default_collate and default_convert: the same results as PyTorch, on every backend, and errors for bad samples."""

from __future__ import annotations

import collections
from typing import Any, NamedTuple

import numpy
import pytest

import rustorch
from rustorch.data import DataLoader, default_collate, default_convert
from rustorch.data.collate import move
from tests.support.target import Target


class Point(NamedTuple):
    x: Any
    y: Any


class Tagged(dict):
    """A dict with an attribute beside its items."""

    tag = "none"


class Fixed(collections.abc.Mapping):
    """A read-only mapping."""

    def __init__(self, items: Any):
        self._items = dict(items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Any:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def tagged() -> Tagged:
    out = Tagged(a=1)
    out.tag = "some"
    return out


IMAGE = numpy.arange(6.0, dtype="float32").reshape(2, 3)

#: Samples that PyTorch collates to the same result.
SAMPLES: dict[str, list] = {
    "integers": [1, 2, 3],
    "floats": [1.5, 2.0],
    "floats and integers": [1.5, 2],
    "booleans": [True, False],
    "booleans and integers": [True, 2],
    "text": ["a", "b"],
    "bytes": [b"a", b"b"],
    "arrays": [IMAGE, IMAGE + 1],
    "integer arrays": [numpy.arange(3), numpy.arange(3, 6)],
    "boolean arrays": [numpy.array([True, False])] * 3,
    "0-d arrays": [numpy.array(1.0), numpy.array(2.0)],
    "empty arrays": [numpy.zeros((0, 2)), numpy.zeros((0, 2))],
    "arrays of two precisions": [numpy.zeros(2, "float32"), numpy.ones(2)],
    "NumPy's scalars": [numpy.float32(1.0), numpy.float32(2.0)],
    "NumPy's integers": [numpy.int32(1), numpy.int32(2)],
    "NumPy's float64": [numpy.float64(1.0), numpy.float64(2.0)],
    "tuples": [(IMAGE, 1, "a"), (IMAGE, 2, "b")],
    "lists": [[IMAGE, 1], [IMAGE, 2]],
    "one": [(IMAGE, 1)],
    "dicts": [{"image": IMAGE, "label": 1}, {"image": IMAGE, "label": 2, "more": 3}],
    "named tuples": [Point(1, 2.0), Point(3, 4.0)],
    "nested": [{"a": (1, [IMAGE, {"b": "x"}])}, {"a": (2, [IMAGE, {"b": "y"}])}],
    "a dict with an attribute": [tagged(), tagged()],
    "a read-only mapping": [Fixed({"a": 1}), Fixed({"a": 2})],
    "ranges": [range(3), range(3, 6)],
    "ordered dicts": [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    "deques": [collections.deque([1, 2]), collections.deque([3, 4])],
}


def equal(actual: Any, expected: Any) -> bool:
    """Whether both are the same containers, text and numbers, with Variables in place of PyTorch's tensors."""
    if type(expected).__name__ == "Tensor":
        assert isinstance(actual, rustorch.Variable)
        assert (actual.device, actual.dtype.name) == ("cpu", str(expected.dtype).removeprefix("torch."))
        assert actual.shape == tuple(expected.shape)
        return actual.tolist() == expected.tolist()
    assert type(actual) is type(expected)
    if isinstance(expected, collections.abc.Mapping):
        return list(actual) == list(expected) and all(equal(actual[key], expected[key]) for key in expected)
    if isinstance(expected, collections.abc.Sequence) and not isinstance(expected, (str, bytes)):
        return len(actual) == len(expected) and all(map(equal, actual, expected))
    return actual == expected


@pytest.mark.parametrize("name", SAMPLES)
def test_results_equal_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch.utils.data", reason="PyTorch is not installed")
    assert equal(default_collate(SAMPLES[name]), torch.default_collate(SAMPLES[name]))
    assert equal(default_convert(SAMPLES[name]), torch.default_convert(SAMPLES[name]))


def test_results_are_as_documented() -> None:
    image, label, name = default_collate(SAMPLES["tuples"])
    assert (image.shape, image.dtype) == ((2, 2, 3), rustorch.float32)
    assert (label.dtype, label.tolist()) == (rustorch.int64, [1, 2])
    assert name == ("a", "b")
    assert default_collate([1.0, 2.0]).dtype == rustorch.float64
    assert default_collate([1j, 2.0]).dtype == rustorch.complex128
    assert default_collate([True, False]).dtype == rustorch.bool
    assert default_collate([Point(1, 2), Point(3, 4)]).y.tolist() == [2, 4]
    assert default_collate([tagged(), tagged()]).tag == "some"
    assert default_collate(SAMPLES["dicts"]).keys() == {"image", "label"}


def test_arrays_are_stacked_on_every_backend(backend: Target) -> None:
    for shape in ((2, 3), (0, 2), ()):
        arrays = [numpy.full(shape, float(i)) for i in range(3)]
        native = default_collate([backend.array(x) for x in arrays])
        variables = default_collate([backend.variable(x) for x in arrays])
        for out in (native, variables):
            assert (out.device, out.dtype) == (backend.device, rustorch.float64)
            numpy.testing.assert_array_equal(backend.numpy(out), numpy.stack(arrays))
    both = default_collate([backend.array([1.0]), backend.variable([2.0])])
    assert both.tolist() == [[1.0], [2.0]]


def test_gradients_flow_to_the_samples(backend: Target) -> None:
    x = [backend.variable([float(i)], requires_grad=True) for i in range(3)]
    batch = default_collate([(v, 1) for v in x])[0]
    (batch * batch).sum().backward()
    assert [float(backend.numpy(v.grad)[0]) for v in x] == [0.0, 2.0, 4.0]


def test_numbers_go_to_the_default_device(backend: Target) -> None:
    with rustorch.set_default_device(backend.device):
        assert default_collate([1, 2]).device == backend.device
        (batch,) = DataLoader([1.0, 2.0], batch_size=2, num_workers=1)
    assert batch.device == backend.device


def test_move_changes_the_device_of_all_arrays(backend: Target) -> None:
    batch = [numpy.ones(2), {"a": rustorch.ones(1), "b": "text", "c": (3, None, numpy.float32(1))}]
    out = move(batch, backend.device)
    assert isinstance(out[0], rustorch.Variable)
    assert (out[0].device, out[1]["a"].device) == (backend.device, backend.device)
    assert (out[1]["b"], out[1]["c"]) == ("text", (3, None, numpy.float32(1)))
    assert isinstance(batch[0], numpy.ndarray)


def test_default_convert_makes_variables_of_arrays(backend: Target) -> None:
    out = default_convert((backend.array([1.0]), 2, "a", Point(numpy.ones(1), None), object))
    assert isinstance(out, list)
    assert (out[0].device, out[0].tolist()) == (backend.device, [1.0])
    assert out[1:3] == [2, "a"]
    assert isinstance(out[3], Point) and out[3].x.tolist() == [1.0] and out[3].y is None
    assert out[4] is object


BAD: list[tuple[list, type[Exception], str]] = [
    ([numpy.zeros((3, 2)), numpy.zeros((3, 4)), numpy.zeros((3, 2))], ValueError,
     r"samples of different shapes, \(3, 2\) and \(3, 4\), cannot be stacked; .* collate_fn"),
    ([numpy.zeros(1), numpy.zeros(2), numpy.zeros(())], ValueError, r"different shapes, \(\), \(1,\) and \(2,\)"),
    ([rustorch.zeros(1), rustorch.zeros(2)], ValueError, r"different shapes, \(1,\) and \(2,\)"),
    ([[1, 2], [3]], ValueError, "samples of different lengths, 1 and 2, .* collate_fn"),
    ([{"a": 1}, {"b": 2}], ValueError, r"sample 0 has the key 'a', sample 1 has not: \['b'\]"),
    ([{"a": 1}, 3], ValueError, "sample 0 has the key 'a', sample 1 has not: int"),
    ([None, None], TypeError, "not of NoneType; give the DataLoader a collate_fn"),
    ([object(), object()], TypeError, "not of object"),
    ([{1}, {2}], TypeError, "not of set"),
    ([1, None], TypeError, "None of type NoneType is none"),
    ([1, "a"], TypeError, "'a' of type str is none"),
    ([numpy.zeros(2), None], TypeError, "sample 1 has NoneType where sample 0 has an array; .* collate_fn"),
    ([numpy.zeros(2), [1, 2]], TypeError, "sample 1 has list where sample 0 has an array"),
    ([numpy.array(["a"]), numpy.array(["b"])], TypeError, "hold no numbers"),
    ([numpy.ma.masked_array([1.0], [True])] * 2, TypeError, "would lose its mask"),
    ([], ValueError, "a batch of no samples"),
]  # fmt: skip


@pytest.mark.parametrize(("samples", "error", "message"), BAD)
def test_samples_that_do_not_match_are_refused(samples: list, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        default_collate(samples)
    for workers in (0, 1):
        if samples:
            with pytest.raises(error, match=message):
                list(DataLoader(samples, batch_size=len(samples), num_workers=workers))


def test_samples_on_two_devices_are_refused(backend: Target) -> None:
    if backend.device == "cpu":
        pytest.skip("cpu: the same device twice")
    with pytest.raises(RuntimeError, match="different devices"):
        default_collate([backend.variable([1.0]), rustorch.asarray([1.0], dtype=rustorch.float64)])
