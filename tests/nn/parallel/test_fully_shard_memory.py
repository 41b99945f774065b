"""fully_shard: the memory of each rank."""

from __future__ import annotations

from pathlib import Path

from tests.support import jobs

PROGRAM = Path(jobs.__file__).with_name("memory_of_gpt.py")


def _peak(ranks: int, how: str) -> int:
    """The largest peak among the ranks, in bytes."""
    job = jobs.run(PROGRAM, ranks, how)
    assert job.returncode == 0, job.stderr
    return int(job.stdout)


def test_a_gpt_of_twelve_layers_on_four_ranks_needs_at_most_two_fifths() -> None:
    assert _peak(4, "spread") <= 0.4 * _peak(1, "plain")
