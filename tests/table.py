"""The table of derivatives: which derivatives each function has, on which device.

The documentation shows what the tables in specs/ and values.py promise, and the tests hold these promises.
``python -m tests.table`` tries every function on every backend and prints each row that breaks its promise.
"""

from __future__ import annotations

import sys
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy

from rustorch import backends
from tests.specs import INTERNAL, SPECS, Spec
from tests.support.differences import check
from tests.support.target import BACKENDS, Target
from tests.support.values import assert_cpus_value, assert_numpys_value
from tests.values import VALUES, Value

#: Value, first derivative, second derivative, both of them of complex numbers.
SIGNS = ("v", "1", "2", "c")
NOTHING = "-"

#: Tries one thing about one function on one device: None if it holds, or the reason why not.
Trial = Callable[[str, "Spec | Value", str], "str | None"]


@dataclass(frozen=True)
class Row:
    """What is known of a function.

    Attributes
    ----------
    name : str
    cells : tuple of str
        A sign or a dash for each of `SIGNS`, by backend; "" where it was not run.
    reasons : tuple of str
        Why there are dashes.
    """

    name: str
    cells: tuple[str, ...]
    reasons: tuple[str, ...]


# -- trials ------------------------------------------------------------------------------------------------------------
def promised(sign: str, case: Spec | Value, device: str) -> str | None:
    """That the tests pass."""
    if isinstance(case, Value):
        return None if sign == "v" else f"no derivative: {case.why}"
    if sign == "c":
        return None if "complex128" in case.dtypes else "real numbers only"
    return "second derivatives are not tested" if sign == "2" and case.order < 2 else None


def tried(sign: str, case: Spec | Value, device: str) -> str | None:
    """What comes out now."""
    missing = promised(sign, case, device)
    if missing:
        return missing
    try:
        _try(sign, case, Target(device))
    except Exception as error:
        words = str(error).split()
        return f"{device}: {case.name}: {type(error).__name__} {' '.join(words[:12])}"
    return None


def _try(sign: str, case: Spec | Value, target: Target) -> None:
    if isinstance(case, Value):
        assert_numpys_value(case, target)
        return
    dtypes = (
        {"v": case.dtypes, "c": ("complex128",)}.get(sign) or [d for d in case.dtypes if d == "float64"] or case.dtypes
    )
    for dtype in dtypes:
        arrays = case.arrays(dtype, numpy.random.default_rng(zlib.crc32(case.id.encode())))
        if sign == "v":
            assert_cpus_value(case, arrays, target)
        else:
            order = {"1": 1, "2": 2, "c": case.order}[sign]
            check(case.call, arrays, target, order=order, **case.tolerance)


# -- rows --------------------------------------------------------------------------------------------------------------
def _row(name: str, cases: Sequence[Spec | Value], trial: Trial, devices: Iterable[str]) -> Row:
    """A function has a sign if all of its cases that can run have it; a complex one needs one case, and no other that
    fails.
    """
    cells: list[str] = []
    reasons: list[str] = []
    for device in BACKENDS:
        cell = ""
        skipped = [case for case in cases if isinstance(case, Spec) and device in case.skip and device in devices]
        reasons += [case.skip[device] for case in skipped if isinstance(case, Spec)]
        running = [case for case in cases if case not in skipped]
        for sign in SIGNS if device in devices else ():
            found = [trial(sign, case, device) for case in running]
            if sign == "c" and None in found:
                found = [reason for reason in found if reason != "real numbers only"]
            missing = [reason for reason in found if reason]
            cell += sign if running and not missing else NOTHING
            reasons += missing
        cells.append(cell)
    return Row(name, tuple(cells), tuple(dict.fromkeys(reasons)))


def _by_name(cases: Iterable[Spec | Value]) -> dict[str, list[Spec | Value]]:
    found: dict[str, list[Spec | Value]] = {}
    for case in cases:
        found.setdefault(case.name, []).append(case)
    return found


def rows(trial: Trial, devices: Iterable[str]) -> tuple[list[Row], list[Row]]:
    """Of the public functions, and of what operators and layers are made of."""
    public, internal = _by_name([*SPECS, *VALUES]), _by_name(INTERNAL)
    return (
        [_row(name, public[name], trial, devices) for name in sorted(public, key=lambda name: ("." in name, name))],
        [_row(name, internal[name], trial, devices) for name in sorted(internal)],
    )


# -- the page ----------------------------------------------------------------------------------------------------------
def written(public: list[Row], internal: list[Row]) -> str:
    """The page, in MyST Markdown. Names of public functions link to their descriptions."""
    lines = [
        "# Derivatives",
        "",
        "Which derivatives each function has, on which device. The tests hold every cell of this table, with "
        "more shapes. The tests of `cuda` run on a stand-in for CuPy.",
        "",
        "| sign | what the tests check |",
        "| --- | --- |",
        "| v | the value. Device `cpu` is compared with PyTorch, the other devices with `cpu`. Functions without a "
        "derivative are compared with NumPy |",
        "| 1 | the first derivative in each input, against central differences |",
        "| 2 | the second derivative, against central differences of the first |",
        "| c | the derivatives of complex numbers, in the same way |",
        f"| {NOTHING} | not there, for the reason in the last column |",
        "",
    ]
    for title, table in (("Functions of the standard", public), ("Primitives behind operators and layers", internal)):
        lines += [
            f"## {title}",
            "",
            f"| function | {' | '.join(BACKENDS)} | why not |",
            "| --- " * (len(BACKENDS) + 2) + "|",
        ]
        for row in table:
            name = f"{{py:obj}}`{row.name} <rustorch.{row.name}>`" if table is public else f"`{row.name}`"
            lines.append(f"| {name} | {' | '.join(row.cells)} | {'; '.join(row.reasons)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Try everything and print the rows that break their promise; the exit status is 1 if there are any."""
    devices = []
    for name in BACKENDS:
        try:
            devices.append(backends.resolve(name))
        except RuntimeError as reason:
            print(f"{name} is not tried: {reason}", file=sys.stderr)
    warnings.simplefilter("error")
    found, expected = rows(tried, devices), rows(promised, devices)
    broken = [row for i in (0, 1) for row, promise in zip(found[i], expected[i], strict=True) if row != promise]
    for row in broken:
        print(f"{row.name}: {' '.join(cell or '(not tried)' for cell in row.cells)}: {'; '.join(row.reasons)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
