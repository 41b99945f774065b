"""Device strings, moves between devices, and the default device."""

from __future__ import annotations

import threading

import numpy
import pytest

import rustorch
from rustorch import backends
from rustorch.backends import registry
from tests.support.target import Target


@pytest.mark.parametrize("name", ["gpu", "cpu:0", "cpu:1", "", "CPU", "mps", "jax:1", "strict:nowhere"])
def test_an_unknown_device_is_refused(name: str) -> None:
    if ":" in name and name.partition(":")[0] in ("jax", "strict"):
        pytest.importorskip({"jax": "jax", "strict": "array_api_strict"}[name.partition(":")[0]])
    before = rustorch.get_default_device()
    for call in (
        lambda: rustorch.zeros(2, device=name),
        lambda: rustorch.Variable([1.0], device=name),
        lambda: rustorch.tensor([1.0]).to(device=name),
        lambda: rustorch.set_default_device(name),
    ):
        with pytest.raises(ValueError, match="nowhere" if "nowhere" in name else "unknown device"):
            call()
    assert rustorch.get_default_device() == before


def test_a_device_must_be_a_string() -> None:
    with pytest.raises(TypeError, match="a device is a string such as 'cpu' or 'cuda:1', not 0 of type int"):
        rustorch.zeros(2, device=0)


def test_cuda_where_it_cannot_be_used_says_why() -> None:
    if rustorch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert rustorch.cuda.device_count() == 0
    with pytest.raises(RuntimeError, match=r"(?i)cupy|gpu|cuda") as failure:
        rustorch.zeros(2, device="cuda")
    assert "cuda" in str(failure.value)
    with pytest.raises(RuntimeError):
        rustorch.tensor([1.0]).cuda()
    with pytest.raises(RuntimeError):
        rustorch.cuda.synchronize()


def test_cuda_without_cupy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(registry, "import_module", missing)
    monkeypatch.delitem(registry._LOADED, "cuda", raising=False)
    for device in [name for name in registry._CANONICAL if name.startswith("cuda")]:
        monkeypatch.delitem(registry._CANONICAL, device)
    with pytest.raises(
        RuntimeError,
        match=r"device 'cuda' cannot be used: CuPy is not installed: pip install cupy-cuda13x, or cupy-cuda12x",
    ):
        rustorch.zeros(2, device="cuda")


def test_new_arrays_are_on_the_named_device(backend: Target) -> None:
    d = backend.device
    made = [
        rustorch.zeros((2,), device=d),
        rustorch.ones(2, device=d),
        rustorch.full((2,), 3, device=d),
        rustorch.empty(2, device=d),
        rustorch.arange(3, device=d),
        rustorch.linspace(0, 1, 3, device=d),
        rustorch.eye(2, device=d),
        rustorch.asarray([1.0], device=d),
        rustorch.Variable([1.0], device=d),
        rustorch.tensor([1.0], device=d),
        rustorch.rand(2, device=d),
        rustorch.randn(2, device=d),
        rustorch.randint(5, device=d),
        rustorch.randperm(3, device=d),
    ]
    assert [x.device for x in made] == [d] * len(made)
    like = made[0]
    assert [f(like).device for f in (rustorch.zeros_like, rustorch.ones_like, rustorch.empty_like)] == [d] * 3
    assert rustorch.full_like(like, 2).device == d


def test_a_native_array_decides_its_device_and_shares_its_memory(backend: Target) -> None:
    native = backend.array([1.0, 2.0])
    x = rustorch.Variable(native)
    assert x.device == backend.device
    assert type(x.data) is type(native)
    y = rustorch.asarray(native)
    if backend.device in ("cpu", "jax"):
        assert x.data is native
        assert y.data is native
    elif backend.device == "torch":
        assert x.data.data_ptr() == native.data_ptr()
    if backend.device == "cpu":
        assert numpy.shares_memory(rustorch.asarray(native[1:]).data, native)
    if backend.device != "jax":
        native[0] = 7.0
        assert float(backend.numpy(x)[0]) == 7.0


def test_to_the_same_device_returns_the_same_variable(backend: Target) -> None:
    x = backend.variable([1.0])
    assert x.to(backend.device) is x
    assert x.to(device=backend.device) is x
    assert x.to(x.dtype) is x
    assert x.to("float64") is x


def test_gradients_pass_through_a_move_to_another_device(backend: Target) -> None:
    x = rustorch.tensor([1.0, 2.0], dtype=rustorch.float64, requires_grad=True)
    moved = x.to(backend.device)
    assert moved.device == backend.device
    back = (moved * moved).cpu()
    assert back.device == "cpu"
    (back * 3).sum().backward()
    assert isinstance(x.grad, numpy.ndarray)
    numpy.testing.assert_allclose(x.grad, [6.0, 12.0])


def test_a_copy_on_the_host_shares_no_memory_with_its_source(backend: Target) -> None:
    if backend.device == "cpu":
        pytest.skip("cpu: is the host")
    x = backend.variable([1.0, 2.0])
    y = x.cpu()
    y[0] = 5.0
    numpy.testing.assert_array_equal(backend.numpy(x), [1.0, 2.0])


def test_second_derivatives_pass_through_a_move(backend: Target) -> None:
    x = rustorch.tensor([1.0, 2.0], dtype=rustorch.float64, requires_grad=True)
    (g,) = rustorch.grad((x.to(backend.device) ** 3).sum(), x, create_graph=True)
    assert g.device == "cpu"
    g.sum().backward()
    numpy.testing.assert_allclose(x.grad, [6.0, 12.0])


def test_to_takes_a_dtype_and_a_device(backend: Target) -> None:
    x = rustorch.tensor([1, 2]).to(device=backend.device, dtype=rustorch.float32)
    assert (x.device, x.dtype) == (backend.device, rustorch.float32)
    assert x.double().dtype == rustorch.float64
    assert x.to_device("cpu").device == "cpu"
    with pytest.raises(ValueError, match="stream"):
        x.to_device("cpu", stream=1)


def test_operands_on_two_devices_are_refused(backend: Target) -> None:
    if backend.device == "cpu":
        pytest.skip("cpu: needs a second device")
    x, y = rustorch.tensor([1.0, 2.0]), rustorch.tensor([3.0, 4.0], device=backend.device)
    message = rf"operands are on different devices, 'cpu' and '{backend.device}'.*\.to\('cpu'\)"
    calls = {
        "add": lambda: x + y,
        "matmul": lambda: x @ y,
        "concat": lambda: rustorch.concat([x, y]),
        "stack": lambda: rustorch.stack([x, y]),
        "where": lambda: rustorch.where(x > 0, x, y),
        "maximum": lambda: rustorch.maximum(x, y),
        "clip": lambda: rustorch.clip(x, y, None),
    }
    for name, call in calls.items():
        with pytest.raises(RuntimeError, match=rf"{name}: {message}"):
            call()
    with pytest.raises(RuntimeError, match=rf"'cpu' and the index on '{backend.device}'"):
        x[rustorch.asarray([0], device=backend.device)]
    with pytest.raises(RuntimeError, match=message):
        x + backend.array([1.0, 2.0])  # a native array is refused, too
    assert (x + 1.0).device == "cpu"


# -- the default device ------------------------------------------------------------------------------------------------
def test_the_default_device_holds_in_its_with_statement(backend: Target) -> None:
    with rustorch.set_default_device(backend.device):
        assert rustorch.get_default_device() == backend.device
        assert rustorch.zeros(2).device == backend.device
        assert rustorch.Variable([1.0]).device == backend.device
        assert rustorch.asarray(2.0).device == backend.device
        assert rustorch.rand(2).device == backend.device
        assert rustorch.Variable(numpy.zeros(1)).device == "cpu"  # an array stays where it is
    assert rustorch.zeros(2).device == "cpu"


def test_the_default_device_is_set_for_one_thread(backend: Target) -> None:
    try:
        rustorch.set_default_device(backend.device)
        assert rustorch.ones(1).device == backend.device
        seen: list[str] = []
        thread = threading.Thread(target=lambda: seen.append(rustorch.ones(1).device))
        thread.start()
        thread.join()
        assert seen == ["cpu"]  # each thread has its own
    finally:
        rustorch.set_default_device("cpu")


def test_status_has_a_line_for_every_family() -> None:
    rows = dict(backends.status())
    families = ["cpu", "cuda", "strict", "jax", "torch"]
    assert [family for family in rows if family in families] == families
    assert rows["cpu"].startswith("usable: NumPy")
    for state in rows.values():
        assert state.startswith(("usable: ", "not usable: "))
