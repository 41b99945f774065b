"""Why tests were skipped, for the end of a run: what is missing, how many tests need it, and how to run them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from typing import NamedTuple


class Need(NamedTuple):
    """Something that tests need and that may not be installed.

    Attributes
    ----------
    name : str
        What the summary calls it.
    module : str
        The module that is there if it is installed.
    pattern : str
        A regular expression that the reasons of its skips match.
    remedy : str
        The command that makes these tests run.
    """

    name: str
    module: str
    pattern: str
    remedy: str


#: In this order: a reason counts for the first need that it matches.
NEEDS = (
    Need(
        "CuPy", "cupy", r"cupy|cuda", "pytest --stand-in --backend cuda -k cuda   (a stand-in for CuPy, without a GPU)"
    ),
    Need("PyTorch", "torch", r"torch", "pip install torch"),
    Need("JAX", "jax", r"\bjax|ml_dtypes", "pip install '.[backends]'"),
    Need("array-api-strict", "array_api_strict", r"\bstrict\b|array_api_strict", "pip install '.[backends]'"),
    Need("SciPy", "scipy", r"scipy", "pip install '.[guests]'"),
    Need("scikit-learn", "sklearn", r"sklearn", "pip install '.[guests]'"),
    Need("einops", "einops", r"einops", "pip install '.[guests]'"),
    Need("array-api-extra", "array_api_extra", r"array_api_extra", "pip install '.[guests]'"),
    Need("Numba", "numba", r"[nN]umba", "pip install '.[fast]'"),
    Need("mpi4py", "mpi4py", r"mpi4py|mpiexec", "pip install '.[mpi]'"),
    Need("PyYAML", "yaml", r"\byaml\b", "pip install '.[docs]'"),
    Need("pyright", "basedpyright", r"pyright", "pip install '.[dev]'"),
    Need("mypy", "mypy", r"mypy", "pip install '.[dev]'"),
)
OTHER = "other reasons"


def counted(reasons: Iterable[str], missing: Iterable[Need]) -> Counter[str]:
    """How many skips each missing need explains, by its name; the rest counts as `OTHER`."""
    patterns = [(need.name, re.compile(need.pattern, re.IGNORECASE)) for need in missing]
    counts: Counter[str] = Counter()
    for reason in reasons:
        counts[next((name for name, pattern in patterns if pattern.search(reason)), OTHER)] += 1
    return counts


def summary(reasons: Iterable[str]) -> list[str]:
    """The lines that say why tests were skipped; none if no test was."""
    missing = [need for need in NEEDS if find_spec(need.module) is None]
    counts = counted(reasons, missing)
    if not counts:
        return []
    absent = [need.name for need in missing if counts[need.name]]
    why = (
        f", most of them because {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed"
        if absent
        else ""
    )
    remedies = {need.name: need.remedy for need in missing} | {OTHER: "pytest -rs lists them"}
    width = max(map(len, counts))
    lines = [f"{counts.total():,} tests were skipped{why}. To run them:"]
    lines += [f"{count:8,}  {name:{width}}  {remedies[name]}" for name, count in counts.most_common()]
    return lines
