"""Tests of Philox on CUDA: published numbers, an independent NumPy version of every draw, counters, and statistics."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from math import prod
from types import ModuleType
from typing import Any

import numpy
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import rustorch
from rustorch import backends
from tests.support.target import host

KEY, STREAM = 0x0123456789ABCDEF, 0xFEDCBA9876543210


@pytest.fixture(params=["cuda"])
def random(request: pytest.FixtureRequest) -> ModuleType:
    """The module under test."""
    try:
        backends.resolve(request.param)
    except RuntimeError as reason:
        pytest.skip(f"cuda: {reason}")
    from rustorch.backends.cupy import random

    return random


@pytest.fixture
def log(random: ModuleType) -> list:
    """The log of launches and waits of the stand-in for CuPy, empty at first."""
    events = getattr(sys.modules["cupy"], "LOG", None)
    if events is None:
        pytest.skip("cuda: launches are counted on the stand-in for CuPy only")
    events.clear()
    return events


def philox(key: int, stream: int, counter: int, n: int) -> numpy.ndarray:
    """The words of n counters, (n, 4), by the rounds of the paper in NumPy."""
    half, low = numpy.uint64(32), numpy.uint64(0xFFFFFFFF)
    counters = numpy.array([(counter + i) % 2**64 for i in range(n)], "uint64")
    c = [
        counters & low,
        counters >> half,
        numpy.full(n, stream & 0xFFFFFFFF, "uint64"),
        numpy.full(n, stream >> 32, "uint64"),
    ]
    for i in range(10):
        k0, k1 = ((part + i * bump) % 2**32 for part, bump in ((key % 2**32, 0x9E3779B9), (key >> 32, 0xBB67AE85)))
        p, q = numpy.uint64(0xD2511F53) * c[0], numpy.uint64(0xCD9E8D57) * c[2]
        c = [(q >> half) ^ c[1] ^ numpy.uint64(k0), q & low, (p >> half) ^ c[3] ^ numpy.uint64(k1), p & low]
    return numpy.stack(c, axis=1).astype("uint32")


def as_uint64(words: numpy.ndarray) -> numpy.ndarray:
    """Pairs of words as 64-bit integers."""
    low, high = words.reshape(-1, 2).astype("uint64").T
    return low | high << numpy.uint64(32)


#: Key, 128-bit counter, words: from kat_vectors of Random123, by the authors of Philox.
PUBLISHED = [
    (0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (2**64 - 1, 2**128 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (0x299F31D0A4093822, 0x0370734413198A2E85A308D3243F6A88, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("key", "counter", "expected"), PUBLISHED)
def test_words_are_those_that_were_published(key: int, counter: int, expected: str, random: ModuleType) -> None:
    stream, start = counter >> 64, counter % 2**64
    for words in (random.Generator(key, stream, start).words(1).get(), philox(key, stream, start, 1)):
        assert " ".join(f"{word:08x}" for word in words[0]) == expected


@pytest.mark.parametrize("start", [0, 2**32 - 5, 2**64 - 300], ids=["zero", "across 32 bits", "wraps around"])
def test_words_of_many_counters_agree_with_numpy(start: int, random: ModuleType) -> None:
    generator = random.Generator(KEY, STREAM, start)
    assert_array_equal(generator.words(700).get(), philox(KEY, STREAM, start, 700))
    assert generator.counter == (start + 700) % 2**64


SHAPES = [(), (1,), (3,), (4,), (5,), (2, 3, 4), (1027,), (0,), (2, 0)]


@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_numbers_are_the_upper_bits_of_words(shape: tuple[int, ...], random: ModuleType) -> None:
    n = prod(shape)
    words = philox(KEY, STREAM, 7, n)
    for dtype, bits, source in (
        ("float32", 24, words.reshape(-1) >> 8),
        ("float64", 53, as_uint64(words) >> numpy.uint64(11)),
    ):
        actual = random.Generator(KEY, STREAM, 7).uniform(shape, numpy.dtype(dtype)).get()
        assert (actual.shape, actual.dtype) == (shape, dtype)
        assert_array_equal(actual.reshape(-1), source[:n] * 0.5**bits)
    for dtype, part in (("complex64", "float32"), ("complex128", "float64")):
        real, actual = (
            random.Generator(KEY, STREAM, 7).uniform(shape, numpy.dtype(name)).get() for name in (part, dtype)
        )
        assert actual.dtype == dtype
        assert_array_equal(actual, real)


def box_muller(words: numpy.ndarray, dtype: str) -> numpy.ndarray:
    if dtype == "float32":
        u, v = words.reshape(-1, 2).T
        u, v = numpy.float32(u) * numpy.float32(0.5**32) + numpy.float32(0.5**33), (v >> 8) * 0.5**24
    else:
        u, v = (as_uint64(words) >> numpy.uint64(11)).reshape(-1, 2).T.astype("float64")
        u, v = (u + 1) * 0.5**53, v * 0.5**53
    length, angle = numpy.sqrt(-2 * numpy.log(numpy.float64(u))), 2 * numpy.pi * v
    return numpy.stack([length * numpy.cos(angle), length * numpy.sin(angle)], axis=1).reshape(-1)


@pytest.mark.parametrize("shape", SHAPES)
def test_normal_numbers_follow_the_method_of_box_and_muller(shape: tuple[int, ...], random: ModuleType) -> None:
    n = prod(shape)
    words = philox(KEY, STREAM, 7, 2 * n)
    for dtype, near in (("float32", 3e-6), ("float64", 1e-13)):
        actual = random.Generator(KEY, STREAM, 7).normal(shape, numpy.dtype(dtype)).get()
        assert (actual.shape, actual.dtype) == (shape, dtype)
        assert_allclose(actual.reshape(-1), box_muller(words, dtype)[:n], rtol=near, atol=near)
        dtype = {"float32": "complex64", "float64": "complex128"}[dtype]
        actual = random.Generator(KEY, STREAM, 7).normal(shape, numpy.dtype(dtype)).get()
        assert (actual.shape, actual.dtype) == (shape, dtype)
        parts = numpy.stack([actual.real, actual.imag], axis=-1).reshape(-1)
        assert_allclose(parts, box_muller(words, parts.dtype.name)[: 2 * n] * 0.5**0.5, rtol=near, atol=near)


RANGES = [
    ("int64", 0, 1),
    ("int64", -3, 4),
    ("int64", 0, 10**9),
    ("int64", -5, 2**40),
    ("int64", 0, 2**63),
    ("int64", -(2**63), 2**63),
    ("int64", -(2**63), 2**62),
    ("uint64", 2**63 + 5, 2**63 + 9),
    ("uint64", 0, 2**64),
    ("uint64", 1, 2**64),
    ("int32", -(2**31), 2**31),
    ("uint32", 2**31, 2**32),
    ("int16", -300, 300),
    ("uint16", 65535, 65536),
    ("int8", -128, 128),
    ("uint8", 254, 256),
    ("uint8", 0, 256),
]


@pytest.mark.parametrize(("dtype", "low", "high"), RANGES)
def test_integers_are_scaled_from_128_bits(dtype: str, low: int, high: int, random: ModuleType) -> None:
    actual = random.Generator(KEY, STREAM, 7).integers(low, high, (3, 111), numpy.dtype(dtype)).get()
    assert (actual.shape, actual.dtype) == ((3, 111), dtype)
    pairs = as_uint64(philox(KEY, STREAM, 7, 333)).reshape(-1, 2).tolist()
    assert actual.reshape(-1).tolist() == [
        low + ((first + (second << 64)) * (high - low) >> 128) for first, second in pairs
    ]


def test_integers_take_other_dtypes_and_refuse_ranges_beyond_a_dtype(random: ModuleType) -> None:
    generator = random.Generator(KEY, STREAM, 7)
    for dtype in ("float32", "float64", "complex64", "bool"):
        values = generator.integers(0, 2, (50,), numpy.dtype(dtype)).get()
        assert values.dtype == dtype
        assert set(values.tolist()) == {0, 1}
    before = generator.packed()
    for dtype, low, high in (
        ("int64", 0, 2**63 + 1),
        ("float64", 0, 2**63 + 1),
        ("uint8", -1, 3),
        ("int64", -(2**63) - 1, 0),
    ):
        with pytest.raises(
            ValueError, match=rf"\[{low}, {high}\) goes beyond the integers of {dtype.replace('float', 'int')}"
        ):
            generator.integers(low, high, (2,), numpy.dtype(dtype))
    assert generator.integers(0, 5, (0, 3), numpy.dtype("int8")).shape == (0, 3)
    assert generator.packed() == before


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_a_permutation_sorts_random_keys(n: int, random: ModuleType) -> None:
    actual = random.Generator(KEY, STREAM, 7).permutation(n).get()
    assert actual.dtype == "int64"
    assert_array_equal(actual, numpy.argsort(as_uint64(philox(KEY, STREAM, 7, -(-n // 2)))[:n]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("p", [0.0, 1e-9, 0.1, 1 / 3, 0.5, 0.125 + 1e-16, 0.9999])
def test_a_mask_compares_uniform_numbers_with_p(p: float, dtype: str, random: ModuleType) -> None:
    """The mask on the CPU does the same."""
    for shape in SHAPES:
        actual = random.Generator(KEY, STREAM, 7).mask(shape, numpy.dtype(dtype), p, 1 / (1 - p)).get()
        u = random.Generator(KEY, STREAM, 7).uniform(shape, numpy.dtype("float32")).get()
        assert (actual.shape, actual.dtype) == (shape, dtype)
        assert_array_equal(actual, (u >= numpy.float32(p)).astype(dtype) * numpy.dtype(dtype).type(1 / (1 - p)))


def test_the_mask_on_the_cpu_compares_uniform_numbers_with_p() -> None:
    cpu = backends.get("cpu")
    for dtype, p, shape in itertools.product(
        ("float32", "float64", "complex64"), (0.25, 1 / 3), ((), (5,), (2, 0), (40, 3))
    ):
        cpu.seed(5)
        actual = cpu.mask(shape, numpy.dtype(dtype), "cpu", p, 3.0)
        after = cpu.rng_state("cpu")
        cpu.seed(5)
        u = cpu.uniform(shape, numpy.dtype("float32"), "cpu")
        assert (type(actual), actual.shape, actual.dtype) == (numpy.ndarray, shape, dtype)
        assert_array_equal(actual, (u >= numpy.float32(p)) * 3.0)
        assert_array_equal(after, cpu.rng_state("cpu"))


# -- counters ----------------------------------------------------------------------------------------------------------
#: A draw, and the number of counters that it uses.
DRAWS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "words": (lambda g: g.words(5), 5),
    "uniform": (lambda g: g.uniform((9,), numpy.dtype("float32")), 3),
    "uniform of float64": (lambda g: g.uniform((9,), numpy.dtype("float64")), 5),
    "normal": (lambda g: g.normal((4,), numpy.dtype("float32")), 1),
    "normal of float64": (lambda g: g.normal((4,), numpy.dtype("float64")), 2),
    "normal of complex64": (lambda g: g.normal((4,), numpy.dtype("complex64")), 2),
    "normal of complex128": (lambda g: g.normal((4,), numpy.dtype("complex128")), 4),
    "mask": (lambda g: g.mask((13,), numpy.dtype("float64"), 0.5, 2.0), 4),
    "integers": (lambda g: g.integers(0, 5, (3,), numpy.dtype("int8")), 3),
    "permutation": (lambda g: g.permutation(5), 3),
    "nothing": (
        lambda g: [
            g.words(0),
            g.uniform((0,), numpy.dtype("float32")),
            g.normal((2, 0), numpy.dtype("complex64")),
            g.mask((0,), numpy.dtype("float64"), 0.5, 2.0),
            g.permutation(0),
        ],
        0,
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_one_launch_and_advances_the_counter_by_what_it_uses(
    name: str, random: ModuleType, log: list
) -> None:
    draw, used = DRAWS[name]
    generator = random.Generator(KEY, STREAM, 2**64 - 1)
    draw(generator)
    assert (generator.key, generator.stream, generator.counter) == (KEY, STREAM, (2**64 - 1 + used) % 2**64)
    launches = [name for kind, name, *_ in log if kind == "launch"]
    assert len(launches) == {"nothing": 0, "permutation": 2}.get(name, 1), launches
    assert [event for event in log if event[0] in ("sync", "h2d")] == []


def test_an_element_depends_on_its_index_alone(random: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not depend on the size of the draw or of a block."""
    from rustorch.backends.cupy import launch

    def drawn(n: int) -> list[numpy.ndarray]:
        one = [random.Generator(KEY, STREAM, 7) for _ in range(4)]
        real, double = numpy.dtype("float32"), numpy.dtype("float64")
        return [
            a.get()
            for a in (
                one[0].uniform((n,), real),
                one[1].normal((n,), double),
                one[2].integers(0, 99, (n,), real),
                one[3].mask((n,), double, 0.5, 2.0),
            )
        ]

    many = drawn(3001)
    for n in (1, 2, 1023):
        for few, all_ in zip(drawn(n), many, strict=True):
            assert_array_equal(few, all_[:n])
    monkeypatch.setattr(launch, "THREADS", 32)
    for other, all_ in zip(drawn(3001), many, strict=True):
        assert_array_equal(other, all_)


def test_threads_never_share_a_counter(random: ModuleType) -> None:
    generator = random.Generator(KEY, STREAM)
    drawn: list[numpy.ndarray] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [
            threading.Thread(target=lambda: drawn.extend([generator.words(3).get() for _ in range(40)]))
            for _ in range(6)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(before)
    assert generator.counter == 6 * 40 * 3
    assert sorted(map(tuple, numpy.concatenate(drawn).tolist())) == sorted(
        map(tuple, philox(KEY, STREAM, 0, 720).tolist())
    )


def test_threads_that_draw_first_at_the_same_time_share_one_generator(random: ModuleType) -> None:
    cuda = backends.get("cuda")
    start = threading.Barrier(6)
    for attempt in range(20):
        rustorch.manual_seed(attempt)
        drawn: list[float] = []

        def work(drawn: list[float] = drawn) -> None:
            start.wait()
            drawn.extend(host(cuda.uniform((4,), numpy.dtype("float64"), "cuda")).tolist())

        workers = [threading.Thread(target=work) for _ in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(set(drawn)) == 24


# -- states ------------------------------------------------------------------------------------------------------------
def test_states_are_bytes_on_the_host_and_need_no_launch(random: ModuleType, log: list) -> None:
    rustorch.manual_seed(3)
    cuda = backends.get("cuda")
    cuda.uniform((5,), numpy.dtype("float32"), "cuda")
    log.clear()
    state, snapshot = cuda.rng_state("cuda"), cuda.rng_snapshot()
    cuda.set_rng_state(state, "cuda")
    cuda.rng_restore(snapshot)
    assert (type(state), state.shape, state.dtype) == (numpy.ndarray, (28,), "uint8")
    assert log == []
    key, stream = numpy.random.SeedSequence(3, spawn_key=(0,)).generate_state(2, numpy.uint64).tolist()
    assert state[:24].tobytes() == b"".join(part.to_bytes(8, "little") for part in (key, stream, 2))


def test_set_state_refuses_other_bytes(random: ModuleType) -> None:
    state = random.Generator(KEY, STREAM, 7).packed()
    again = random.Generator.unpacked(state)
    assert (again.key, again.stream, again.counter) == (KEY, STREAM, 7)
    for size in (0, 27, 29, 37):
        with pytest.raises(ValueError, match=f"^a state of this generator has 28 bytes, not {size}$"):
            random.Generator.unpacked(bytes(size))
    broken = [bytes(28), *[state[:i] + bytes([state[i] ^ 1]) + state[i + 1 :] for i in range(28)]]
    for wrong in broken:
        with pytest.raises(ValueError, match=r"^these bytes are no state of this generator$"):
            random.Generator.unpacked(wrong)


def test_a_snapshot_can_be_restored_twice(random: ModuleType) -> None:
    cuda, dtype = backends.get("cuda"), numpy.dtype("float32")
    cuda.uniform((3,), dtype, "cuda")
    snapshot = cuda.rng_snapshot()
    first = host(cuda.uniform((9,), dtype, "cuda"))
    for _ in range(2):
        cuda.rng_restore(snapshot)
        assert_array_equal(host(cuda.uniform((9,), dtype, "cuda")), first)


# -- statistics --------------------------------------------------------------------------------------------------------
def test_numbers_of_different_gpus_and_seeds_are_not_correlated(random: ModuleType) -> None:
    generators = [random.Generator.seeded(seed, number) for seed in (0, 1, 2**200, (0, 1)) for number in (0, 1, 7)]
    drawn = [g.uniform((4000,), numpy.dtype("float64")).get() for g in generators]
    assert len({(g.key, g.stream) for g in generators}) == len(generators)
    between = numpy.corrcoef(drawn) - numpy.eye(len(drawn))
    assert abs(between).max() < 5 / numpy.sqrt(4000)  # five standard errors


def test_uniform_numbers_are_uniform(random: ModuleType) -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = random.Generator.seeded(1, 0)
    for dtype in ("float32", "float64"):
        x = generator.uniform((40_000,), numpy.dtype(dtype)).get().astype("float64")
        counts = numpy.histogram(x, 100, (0, 1))[0]
        assert stats.chisquare(counts).pvalue > 1e-3
        assert abs(x.mean() - 0.5) < 4 / numpy.sqrt(12 * x.size)
        pairs = numpy.histogram2d(x[::2], x[1::2], 10, [(0, 1), (0, 1)])[0]
        assert stats.chisquare(pairs.reshape(-1)).pvalue > 1e-3
        for lag in (1, 2, 3, 4, 8):
            assert abs(numpy.corrcoef(x[:-lag], x[lag:])[0, 1]) < 4 / numpy.sqrt(x.size)
        after = generator.uniform((40_000,), numpy.dtype(dtype)).get().astype("float64")
        assert abs(numpy.corrcoef(x, after)[0, 1]) < 4 / numpy.sqrt(x.size)


def test_normal_numbers_are_normal(random: ModuleType) -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = random.Generator.seeded(2, 0)
    for dtype in ("float32", "float64"):
        x = generator.normal((40_000,), numpy.dtype(dtype)).get().astype("float64")
        assert numpy.isfinite(x).all()
        assert stats.kstest(x, "norm").pvalue > 1e-3
        assert abs((x**4).mean() - 3) < 4 * numpy.sqrt(96 / x.size)
        for lag in (1, 2, 3):
            assert abs(numpy.corrcoef(x[:-lag], x[lag:])[0, 1]) < 4 / numpy.sqrt(x.size)
            assert abs(numpy.corrcoef(x[:-lag] ** 2, x[lag:] ** 2)[0, 1]) < 4 / numpy.sqrt(x.size)
    z = generator.normal((40_000,), numpy.dtype("complex128")).get()
    assert abs(numpy.corrcoef(z.real, z.imag)[0, 1]) < 4 / numpy.sqrt(z.size)


def test_integers_and_permutations_are_uniform(random: ModuleType) -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = random.Generator.seeded(3, 0)
    for low, high in ((0, 7), (-50, 50), (-(2**62), 2**63)):
        x = generator.integers(low, high, (20_000,), numpy.dtype("int64")).get()
        counts = numpy.bincount([(value - low) * 7 // (high - low) for value in x.tolist()], minlength=7)
        expected = (
            [sum(1 for v in range(100) if v * 7 // 100 == i) for i in range(7)] if high == 50 else numpy.full(7, 1)
        )
        assert stats.chisquare(counts, numpy.array(expected) / sum(expected) * x.size).pvalue > 1e-3
    orders = numpy.bincount([int(generator.permutation(3).get() @ [9, 3, 1]) for _ in range(600)])
    assert stats.chisquare(orders[orders > 0]).pvalue > 1e-3
    assert (orders > 0).sum() == 6
