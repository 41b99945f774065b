"""Writes docs/reference/table.md, by trying every function on every backend: ``python -m tests.table``.

What the tables of specs.py and values.py promise is what the tests hold; a test compares the committed page with that
promise. So a function that fails here has a dash and its reason on the page, and fails that test until its spec says
so.
"""

from __future__ import annotations

import sys
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy

from docs import make_reference as make
from rustorch import backends
from tests.specs import INTERNAL, SPECS, Spec
from tests.support.differences import check
from tests.support.target import Target
from tests.support.values import assert_cpus_value, assert_numpys_value
from tests.values import VALUES, Value

FILE = make.FOLDER / make.TABLE
BACKENDS = ("cpu", "strict", "jax", "torch", "cuda")
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
    """The page."""
    links = make.Links(make.pages())
    (page,) = [
        page for page in make.pages() if page.name == "constants"
    ]  # the table is of no module: any page's links do
    lines = [
        "# Which derivatives each function has, on which device",
        "",
        "Written by `python -m tests.table`, which tries each of them. The tests do the same, with more shapes.",
        "",
        "| sign | what was tried |",
        "| --- | --- |",
        "| v | the value: that of device `cpu`, which the tests compare with PyTorch's; without derivatives, that of "
        "NumPy's function |",
        "| 1 | the first derivative in each input, against central differences |",
        "| 2 | the second derivative, against central differences of the first |",
        "| c | the derivatives of complex numbers, in the same way |",
        f"| {NOTHING} | there is none, for the reason in the last column |",
        "",
        "An empty cell: not run, for want of such a device.",
        "",
    ]
    for title, table in (("Functions of the standard", public), ("What operators and layers are made of", internal)):
        lines += [
            f"## {title}",
            "",
            f"| function | {' | '.join(BACKENDS)} | why not |",
            "| --- " * (len(BACKENDS) + 2) + "|",
        ]
        for row in table:
            name = links.text(f"`{row.name}`", page) if table is public else f"`{row.name}`"
            lines.append(f"| {name} | {' | '.join(row.cells)} | {'; '.join(row.reasons)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Try everything, write the page; the exit status is 1 if something failed that the specs promise."""
    devices = []
    for name in BACKENDS:
        try:
            devices.append(backends.resolve(name))
        except RuntimeError as reason:
            if name != "cuda":
                print(f"{name}: {reason}: the table needs it", file=sys.stderr)
                return 1
    warnings.simplefilter("error")
    text = written(*rows(tried, devices))
    FILE.write_text(text, encoding="utf-8")
    if text != written(*rows(promised, devices)):
        print(f"something failed: see the last column of {FILE}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
