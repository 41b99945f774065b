"""Random numbers: shapes, dtypes, distributions, seeds, states, and errors for bad arguments."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, random
from tests.support.target import Target


@pytest.mark.parametrize("draw", [rustorch.rand, rustorch.randn])
@pytest.mark.parametrize(
    ("sizes", "shape"),
    [((), ()), ((3,), (3,)), ((2, 3), (2, 3)), (((2, 3),), (2, 3)), (([2, 0],), (2, 0)), (((),), ())],
)
def test_sizes_may_be_arguments_or_one_tuple(draw: Callable, sizes: tuple, shape: tuple, backend: Target) -> None:
    x = draw(*sizes, device=backend.device)
    assert (x.shape, x.dtype, x.device, x.requires_grad) == (shape, rustorch.float32, backend.device, False)


@pytest.mark.parametrize("draw", [rustorch.rand, rustorch.randn])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_random_numbers_have_the_given_dtype(draw: Callable, dtype: str, backend: Target) -> None:
    x = draw(3, dtype=dtype, device=backend.device, requires_grad=True)
    assert x.dtype == getattr(rustorch, dtype)
    assert x.requires_grad
    assert x.is_leaf


def test_uniform_numbers_are_in_0_to_1_with_their_mean_and_variance(backend: Target) -> None:
    x = backend.numpy(rustorch.rand(20_000, device=backend.device))
    assert x.min() >= 0
    assert x.max() < 1
    # four standard errors for n = 20,000: of the mean, sqrt(1 / (12 n)), and of the variance, sqrt(1 / (180 n))
    assert abs(x.mean() - 0.5) < 4 / numpy.sqrt(12 * 20_000)
    assert abs(x.var() - 1 / 12) < 4 / numpy.sqrt(180 * 20_000)


def test_normal_numbers_have_mean_0_and_variance_1(backend: Target) -> None:
    x = backend.numpy(rustorch.randn(20_000, device=backend.device))
    assert abs(x.mean()) < 4 / numpy.sqrt(20_000)
    assert abs(x.var() - 1) < 4 * numpy.sqrt(2 / 20_000)
    z = backend.numpy(rustorch.randn(20_000, dtype=rustorch.complex128, device=backend.device))
    assert abs(z.real.var() - 0.5) < 4 * numpy.sqrt(0.5 / 20_000)
    assert abs(z.imag.var() - 0.5) < 4 * numpy.sqrt(0.5 / 20_000)


def test_randint_draws_from_the_half_open_range(backend: Target) -> None:
    x = rustorch.randint(-2, 3, (1000,), device=backend.device)
    assert (x.shape, x.dtype, x.device) == ((1000,), rustorch.int64, backend.device)
    assert set(backend.numpy(x).tolist()) == {-2, -1, 0, 1, 2}
    assert set(backend.numpy(rustorch.randint(2, size=(100,), device=backend.device)).tolist()) == {0, 1}
    small = rustorch.randint(254, 256, (100,), dtype=rustorch.uint8, device=backend.device)
    assert small.dtype == rustorch.uint8
    assert set(backend.numpy(small).tolist()) == {254, 255}
    assert rustorch.randint(5, size=3).shape == (3,)
    assert rustorch.randint(5).shape == ()


def test_a_permutation_has_every_integer_once(backend: Target) -> None:
    x = rustorch.randperm(50, device=backend.device)
    assert (x.dtype, x.device) == (rustorch.int64, backend.device)
    assert sorted(backend.numpy(x).tolist()) == list(range(50))
    assert backend.numpy(x).tolist() != list(range(50))
    empty = rustorch.randperm(0, device=backend.device)
    assert (empty.shape, empty.dtype) == ((0,), rustorch.int64)


DRAWS = {
    "rand": lambda device: rustorch.rand(4, device=device),
    "randn": lambda device: rustorch.randn(4, dtype=rustorch.float64, device=device),
    "randint": lambda device: rustorch.randint(10**9, size=(4,), device=device),
    "randperm": lambda device: rustorch.randperm(40, device=device),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_seed_gives_the_same_numbers(name: str, backend: Target) -> None:
    rustorch.manual_seed(3)
    first, second = (backend.numpy(DRAWS[name](backend.device)) for _ in range(2))
    rustorch.manual_seed(3)
    numpy.testing.assert_array_equal(backend.numpy(DRAWS[name](backend.device)), first)
    numpy.testing.assert_array_equal(backend.numpy(DRAWS[name](backend.device)), second)
    assert first.tolist() != second.tolist()
    rustorch.manual_seed(4)
    assert backend.numpy(DRAWS[name](backend.device)).tolist() != first.tolist()


def test_seed_returns_a_seed_that_repeats_the_numbers(backend: Target) -> None:
    number, x = random.seed(), backend.numpy(rustorch.rand(4, device=backend.device))
    assert random.seed() != number
    rustorch.manual_seed(number)
    numpy.testing.assert_array_equal(backend.numpy(rustorch.rand(4, device=backend.device)), x)


def test_initial_weights_are_independent_of_other_random_numbers(backend: Target) -> None:
    rustorch.manual_seed(5)
    alone = backend.numpy(nn.Linear(3, 2, device=backend.device).weight)
    rustorch.manual_seed(5)
    rustorch.rand(10)
    rustorch.randperm(10, device=backend.device)
    numpy.testing.assert_array_equal(backend.numpy(nn.Linear(3, 2, device=backend.device).weight), alone)
    rustorch.manual_seed(5)
    drawn = backend.numpy(rustorch.rand(6, device=backend.device))
    assert not numpy.intersect1d(drawn, (alone.reshape(-1) * numpy.sqrt(3) + 1) / 2).size, (
        "both come from the same generator"
    )


def test_threads_may_seed_and_draw_at_the_same_time() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for i in range(50):
                rustorch.manual_seed(i)
                assert rustorch.rand(3).shape == (3,)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: rustorch.rand(-1), ValueError, r"rand: sizes are not negative, as they are in \(-1,\)"),
    (lambda: rustorch.randn((2, -3)), ValueError, r"randn: sizes are not negative, as they are in \(2, -3\)"),
    (lambda: rustorch.rand(2.5), TypeError, "integer"),
    (
        lambda: rustorch.rand(2, dtype=rustorch.int64),
        TypeError,
        "rand: random numbers of dtype int64 are integers; use randint",
    ),
    (lambda: rustorch.randn(2, dtype=rustorch.bool), TypeError, "randn: random numbers of dtype bool"),
    (lambda: rustorch.rand(2, device="nowhere"), ValueError, "unknown device 'nowhere'"),
    (lambda: rustorch.randint(0), ValueError, r"randint: no integers in \[0, 0\)"),
    (lambda: rustorch.randint(3, 2, (1,)), ValueError, r"randint: no integers in \[3, 2\)"),
    (lambda: rustorch.randint(1.5, 3), TypeError, "integer"),
    (lambda: rustorch.randint(3, size=(-1,)), ValueError, "randint: sizes are not negative"),
    (
        lambda: rustorch.randint(257, dtype=rustorch.uint8),
        ValueError,
        r"randint: \[0, 257\) goes beyond the integers of uint8, 0 to 255",
    ),
    (lambda: rustorch.randint(-1, 2, dtype=rustorch.uint8), ValueError, "beyond the integers of uint8"),
    (lambda: rustorch.randperm(-1), ValueError, "randperm: n is a number of integers, not -1"),
    (lambda: rustorch.randperm(1.5), TypeError, "integer"),
    (lambda: rustorch.manual_seed(-1), ValueError, "an integer that is not negative, not -1"),
    (lambda: rustorch.manual_seed(1.0), ValueError, "an integer that is not negative, not 1.0"),
    (lambda: rustorch.manual_seed(True), ValueError, "an integer that is not negative, not True"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments_raise_and_draw_nothing(call: Callable, error: type[Exception], message: str) -> None:
    rustorch.manual_seed(8)
    expected = rustorch.rand(3).tolist()
    rustorch.manual_seed(8)
    with pytest.raises(error, match=message):
        call()
    assert rustorch.rand(3).tolist() == expected


# -- states ------------------------------------------------------------------------------------------------------------
def _numbers(device: str) -> list:
    # float32 uses half of a 64-bit number; the other half belongs to the state
    return [draw(device).cpu().tolist() for draw in DRAWS.values()] + [rustorch.rand(3, device=device).cpu().tolist()]


def test_set_rng_state_repeats_the_numbers(backend: Target) -> None:
    rustorch.rand(3, device=backend.device)
    state = rustorch.get_rng_state(backend.device)
    assert (state.dtype, state.ndim, state.device) == (rustorch.uint8, 1, "cpu")
    first, second = _numbers(backend.device), _numbers(backend.device)
    assert first != second
    for form in (state, state.numpy().copy(), rustorch.asarray(state, device=backend.device), bytes_of(state)):
        rustorch.set_rng_state(form, backend.device)
        numpy.testing.assert_array_equal(rustorch.get_rng_state(backend.device).numpy(), state.numpy())
        assert _numbers(backend.device) == first
        assert _numbers(backend.device) == second


def bytes_of(state: rustorch.Variable) -> numpy.ndarray:
    """The state as read from a file."""
    return numpy.frombuffer(state.numpy().tobytes(), numpy.uint8)


def test_each_device_has_a_state_of_its_own(backend: Target) -> None:
    if backend.device == "cpu":
        pytest.skip("cpu: the test compares another device with it")
    host_state, state = rustorch.get_rng_state("cpu"), rustorch.get_rng_state(backend.device)
    rustorch.rand(3, device=backend.device)
    assert host_state.tolist() == rustorch.get_rng_state().tolist()
    rustorch.rand(3)
    rustorch.set_rng_state(state, backend.device)
    assert host_state.tolist() != rustorch.get_rng_state().tolist()
    with rustorch.set_default_device(backend.device):
        assert rustorch.get_rng_state().tolist() == state.tolist()


def test_the_state_of_cpu_includes_the_generator_of_initial_weights(backend: Target) -> None:
    state = rustorch.get_rng_state("cpu")
    first = backend.numpy(nn.Linear(3, 2, device=backend.device).weight)
    rustorch.set_rng_state(state, "cpu")
    numpy.testing.assert_array_equal(backend.numpy(nn.Linear(3, 2, device=backend.device).weight), first)


def test_fork_rng_restores_the_states_of_all_devices(backend: Target) -> None:
    rustorch.manual_seed(4)
    before = [rustorch.get_rng_state(device).tolist() for device in ("cpu", backend.device)]
    with pytest.raises(ValueError, match="on purpose"), random.fork_rng():
        rustorch.manual_seed(0)
        assert rustorch.rand(2).tolist() == (rustorch.manual_seed(0), rustorch.rand(2).tolist())[1]
        rustorch.randn(3, device=backend.device)
        nn.Linear(2, 2)
        raise ValueError("on purpose")
    assert [rustorch.get_rng_state(device).tolist() for device in ("cpu", backend.device)] == before


def test_a_device_first_used_in_fork_rng_starts_from_the_seed_outside() -> None:
    program = """if True:
        import rustorch
        rustorch.manual_seed(4)
        with rustorch.random.fork_rng():
            rustorch.manual_seed(0)
            {use}
        print(rustorch.rand(2, device="strict").cpu().tolist())
    """
    pytest.importorskip("array_api_strict", reason="strict: not installed")
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program.format(use=use)], capture_output=True, text=True, check=True
        ).stdout
        for use in ("rustorch.rand(3, device='strict')", "pass")
    }
    assert len(outputs) == 1


def test_set_rng_state_refuses_bad_states_and_changes_nothing(backend: Target) -> None:
    device, state = backend.device, rustorch.get_rng_state(backend.device)
    before = [rustorch.get_rng_state(name).tolist() for name in ("cpu", device)]
    broken = state.numpy().copy()
    broken[-1] ^= 128
    for wrong, error, message in (
        (
            state[:-1],
            ValueError,
            f"set_rng_state: no state of '{device}', which get_rng_state.'{device}'. would return: a state of",
        ),
        (state[:0], ValueError, "not 0"),
        (
            state.astype("int64"),
            TypeError,
            "set_rng_state: a state is an array of uint8, as get_rng_state returns it, not of int64",
        ),
        ([1, 2], TypeError, "set_rng_state takes Variables, arrays"),
        (broken, ValueError, "these bytes are no state of this generator"),
        (numpy.zeros(state.size, "uint8"), ValueError, "these bytes are no state of this generator"),
    ):
        with pytest.raises(error, match=message):
            rustorch.set_rng_state(wrong, device)
        assert [rustorch.get_rng_state(name).tolist() for name in ("cpu", device)] == before
    with pytest.raises(ValueError, match="unknown device"):
        rustorch.get_rng_state("nowhere")
