"""A first check of a GPU: ``python -m tests.gpu.smoke``.

It prints a line for each check: ``ok``, or what is wrong. A check that fails does not stop the next one. Then come the
probes, whose "no" is an answer and not a failure. The exit status is 1 if a check failed. It also runs on the stand-in
for CuPy, where some lines say that they need a GPU.

It is among the tests because it checks this checkout and not an installed package. It is a program and not a test, so
that it says as much as possible where pytest or half of the library is broken.
"""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from collections.abc import Callable


def attempt(name: str, check: Callable[[], object], bad: str = "WRONG") -> bool:
    """Run a check and print its line. Return whether it is ok."""
    from tests.gpu.checks import NeedsGPU

    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = check()
            word, text = "ok", "" if result is None else str(result)
        except NeedsGPU:
            word, text = "--", "needs a GPU"
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)[::-1][:5]
            where = " <- ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames)
            word, text = bad, f"{type(error).__name__}: {' '.join(str(error).split())[:400]}   [{where}]"
    for message in dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught):
        text += f"   (warned: {message[:150]})"
    print(f"{word:6}{name:26}{time.perf_counter() - start:7.2f} s  {text}", flush=True)
    return word != bad


def main() -> int:
    """Run all checks and probes. Return how many checks failed."""
    from tests.gpu.checks import CHECKS

    failed = sum(not attempt(name, check) for name, check in CHECKS.items())
    try:
        from tests.gpu.probes import probes

        cases = probes()
    except Exception:  # for example, a check has broken the context of the GPU
        print(f"the probes cannot run: {traceback.format_exc()}")
        return failed + 1
    for name, probe in cases.items():
        attempt(name, probe, bad="no")
    print(f"{failed} of {len(CHECKS)} checks failed" if failed else f"all {len(CHECKS)} checks are ok")
    return failed


if __name__ == "__main__":
    try:
        sys.exit(1 if main() else 0)
    except ImportError as error:
        sys.exit(f"nothing could be checked: {error}")
