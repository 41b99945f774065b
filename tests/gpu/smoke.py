"""A first look at a GPU: ``python -m tests.gpu.smoke``.

A line for each check says ``ok`` or what is wrong, and none stops the next one; then come the probes, whose "no" is an
answer and no failure. The exit status is 1 if a check failed. It also runs on the stand-in for CuPy, where some lines
say that they need a GPU.

It stands with the tests, for it checks this checkout and not an installed package; and it is a program of its own and
no test, because it has to say as much as it can where pytest or half of the library is broken.
"""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from collections.abc import Callable


def attempt(name: str, check: Callable[[], object], bad: str = "WRONG") -> bool:
    """Run a check and print its line; False if it failed."""
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
    """Run all checks and probes; how many checks failed."""
    from tests.gpu.checks import CHECKS

    failed = sum(not attempt(name, check) for name, check in CHECKS.items())
    try:
        from tests.gpu.probes import probes

        asked = probes()
    except Exception:  # no context is left on the GPU, for example
        print(f"the probes cannot be run: {traceback.format_exc()}")
        return failed + 1
    for name, probe in asked.items():
        attempt(name, probe, bad="no")
    print(f"{failed} of {len(CHECKS)} checks failed" if failed else f"all {len(CHECKS)} checks are ok")
    return failed


if __name__ == "__main__":
    try:
        sys.exit(1 if main() else 0)
    except ImportError as error:
        sys.exit(f"nothing could be checked: {error}")
