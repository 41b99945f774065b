"""benchmarks/scaling.py: the model of a step on many ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import exchange, jobs
from benchmarks.scaling import (
    BUCKET,
    METHODS,
    WORKLOADS,
    Cluster,
    Link,
    Measured,
    Workload,
    buckets,
    cluster,
    ddp,
    sharded,
    tables,
    transformer,
    zero,
)

FAST, SLOW = Link(1e-6, 100e9), Link(10e-6, 1e9)


class Fixed:
    """A network on which an exchange takes a second a byte."""

    def seconds(self, exchange: str, ranks: int, size: float) -> float:
        return size


# -- exchanges ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", ["ring", "halving", "scattered", "hierarchical", "best"])
def test_one_rank_exchanges_nothing_and_a_sum_is_scattered_and_gathered(algorithm):
    network = Cluster(FAST, SLOW, 4, algorithm)
    assert network.seconds("all_reduce", 1, 1e9) == 0
    for ranks in (2, 4, 8, 64):
        parts = [network.seconds(exchange, ranks, 1e6) for exchange in ("reduce_scatter", "all_gather")]
        assert sum(parts) == pytest.approx(network.seconds("all_reduce", ranks, 1e6))
        assert min(parts) > 0


def test_a_ring_sends_every_byte_once_and_passes_every_rank():
    network = Cluster(FAST, SLOW, 8, "ring")
    assert network.seconds("all_gather", 8, 8e6) == pytest.approx(7 * (1e-6 + 1e6 / 100e9))
    assert network.seconds("all_gather", 16, 16e6) == pytest.approx(15 * (10e-6 + 1e6 / 1e9))


def test_halves_between_partners_take_the_logarithm_of_the_ranks_in_messages():
    network = Cluster(FAST, SLOW, 4, "halving")
    inside, between = 2 * 1e-6 + 0.75 * 1e6 / 100e9, 3 * 10e-6 + 0.875 * 1e6 / 1e9
    assert network.seconds("reduce_scatter", 32, 1e6) == pytest.approx(inside + between)


def test_hierarchy_pays_where_all_ranks_of_a_node_would_send_halves_through_its_connection():
    sizes = {
        name: Cluster(FAST, SLOW, 8, name).seconds("all_reduce", 512, 25e6) for name in ("scattered", "hierarchical")
    }
    assert 6 < sizes["scattered"] / sizes["hierarchical"] < 8
    ring = Cluster(FAST, SLOW, 8, "ring").seconds("all_reduce", 4096, 1e6)
    assert ring > 10 * Cluster(FAST, SLOW, 8, "hierarchical").seconds("all_reduce", 4096, 1e6)


def test_best_is_the_faster_one():
    times = {name: Cluster(FAST, SLOW, 8, name).seconds("all_gather", 64, 1e6) for name in ("ring", "halving", "best")}
    assert times["best"] == min(times["ring"], times["halving"])


def test_measured_times_lie_on_lines_between_the_sizes():
    network = Measured({2: {"all_reduce": {10: 1.0, 20: 3.0, 40: 4.0}}})
    assert [network.seconds("all_reduce", 2, size) for size in (5, 10, 15, 20, 30, 80)] == [
        0.0,
        1.0,
        2.0,
        3.0,
        3.5,
        6.0,
    ]
    assert network.seconds("all_reduce", 1, 20) == 0


# -- steps -------------------------------------------------------------------------------------------------------------
WORK = Workload(forward=2.0, backward=4.0, update=1.0, layers=[10.0, 30.0], state=2.0)


def test_buckets_fill_from_the_last_layer():
    assert buckets([10.0, 30.0], 25) == [(0.75, 30.0), (1.0, 10.0)]
    assert buckets([10.0, 10.0, 30.0, 10.0], 25) == [(pytest.approx(4 / 6), 40.0), (1.0, 20.0)]
    assert buckets([1.0, 1.0], 25) == [(1.0, 2.0)]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("overlaps", [True, False])
def test_one_rank_takes_its_own_time_and_memory(method, overlaps):
    alone = Workload(2.0, 4.0, 1.0, [10.0, 30.0], 2.0, 5.0, overlaps)
    assert method(alone, cluster(100), 1) == pytest.approx((7.0, 0.0, 40.0 * 4 + 5.0))


def test_gradients_are_exchanged_while_backward_goes_on():
    """The bucket of the last layer is full after three quarters of backward; both exchanges take a second a byte."""
    layers = [1.0, 3.0]
    overlapped = ddp(Workload(2.0, 400.0, 1.0, layers), Fixed(), 2)
    assert overlapped.waiting == pytest.approx(4.0)  # one bucket of 25 MB holds both
    big = Workload(2.0, 400.0, 1.0, [1e6 * 10, 1e6 * 30])
    network = Cluster(Link(0.0, 1e6), Link(0.0, 1e6), 8, "ring")  # 2 ranks: a second for a megabyte
    assert ddp(big, network, 2).waiting == pytest.approx(10.0)  # the first layer's; the last one's 30 s are hidden
    assert ddp(Workload(2.0, 400.0, 1.0, big.layers, overlaps=False), network, 2).waiting == pytest.approx(40.0)


def test_zero_divides_the_update_and_the_state_and_gathers_the_parameters():
    one, four = zero(WORK, Fixed(), 1), zero(WORK, Fixed(), 4)
    plain = ddp(WORK, Fixed(), 4)
    assert four.seconds == pytest.approx(plain.seconds - 1.0 + 1.0 / 4 + 40.0)
    assert one.memory - four.memory == pytest.approx(40.0 * 2 * 3 / 4)


def test_full_sharding_divides_all_memory_but_the_layers_in_use():
    twelve = transformer(parameters=12e6, layers=12, tokens=1024, flops=1e12, activations=0.0)
    costs = {ranks: sharded(twelve, cluster(400), ranks) for ranks in (1, 4)}
    assert costs[4].memory / costs[1].memory == pytest.approx(1 / 4 + 2 / 12 / 4)


def test_full_sharding_hides_what_is_gathered_while_layers_compute():
    """Layers compute for 10 s, and exchanges take 1 s: the rank waits for the first gather and the last scatter."""
    work = Workload(40.0, 40.0, 0.0, [1.0] * 4)
    assert sharded(work, Fixed(), 2).waiting == pytest.approx(2.0)
    assert sharded(Workload(40.0, 40.0, 0.0, [1.0] * 4, overlaps=False), Fixed(), 2).waiting == pytest.approx(12.0)
    slow = Workload(0.4, 0.4, 0.0, [1.0] * 4)  # the network is the limit
    assert sharded(slow, Fixed(), 2).seconds == pytest.approx(12.0, rel=0.05)


def test_more_bandwidth_never_costs_time():
    work = transformer(124e6, 12, 8192, 100e12, 0.0)
    for method in METHODS.values():
        for ranks in (8, 64, 512, 4096):
            times = [method(work, cluster(gigabits), ranks).seconds for gigabits in (25, 100, 400)]
            assert times == sorted(times, reverse=True)


def test_tables_have_a_line_for_each_network_and_number_of_ranks():
    text = tables()
    assert "nothing of this is measured" in text
    for gigabits in (25, 100, 400):
        for ranks in (8, 64, 512, 4096):
            assert text.count(f"\n  {gigabits:6} {ranks:6}") == 3  # two workloads, and the bucket


def test_page_shows_what_the_model_says():
    page = (Path(__file__).parents[1] / "docs" / "explanation" / "benchmarks.md").read_text(encoding="utf-8")
    work = WORKLOADS["a GPT of 124 M parameters"]
    for ranks in (8, 64, 512, 4096):
        for gigabits in (25, 100, 400):
            times = [method(work, cluster(gigabits), ranks).seconds for method in METHODS.values()]
            cells = " | ".join(f"{1e3 * seconds:.0f} ms" for seconds in times)
            assert f"\n| {gigabits} Gbit/s | {ranks:,} | {cells} |\n" in page
        levels = [cluster(100, name) for name in ("ring", "scattered", "halving", "hierarchical")]
        cells = " | ".join(f"{1e3 * level.seconds('all_reduce', ranks, BUCKET):.1f}" for level in levels)
        assert f"\n| {ranks:,} | {cells} |\n" in page


# -- figures of this machine -------------------------------------------------------------------------------------------
def test_exchanges_are_measured_on_ranks_that_the_program_starts():
    reason = jobs.missing()
    if reason is not None:
        pytest.skip(reason)
    figures = exchange.figures(2, 1, (8, 1 << 15))
    assert set(figures) > {"bare", "ratio", "all_reduce", "reduce_scatter", "all_gather"}
    for name, by_size in figures.items():
        assert list(by_size) == [8, 1 << 15], name
        assert min(by_size.values()) > 0
    assert Measured({2: figures}).seconds("all_gather", 2, 1000) > 0


def test_a_job_that_fails_says_why():
    reason = jobs.missing()
    if reason is not None:
        pytest.skip(reason)
    with pytest.raises(RuntimeError, match=r"on 2 ranks failed with status \d+:(.|\n)*invalid int value: 'many'"):
        jobs.run("benchmarks.exchange", 2, "many")


def test_line_is_the_latency_and_the_slope():
    assert exchange.line({10: 1.0, 20: 3.0, 30: 5.0}) == (1.0, pytest.approx(5.0))
