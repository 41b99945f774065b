"""Only a process that trains changes how freed memory is kept."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rustorch.backends.numpy import memory

_PROGRAM = """
import numpy, rustorch
from rustorch.backends.numpy import memory
used = lambda: memory.keep_freed_memory.cache_info().currsize
layer = rustorch.Linear(3, 2)
layer(rustorch.Variable(numpy.ones((4, 3), "float32"))).sum().backward()
before = used()
rustorch.SGD(layer.parameters(), lr=0.1)
print(before, used())
"""


def _run(program: str, **environment: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return done.stdout.strip()


def test_the_first_optimizer_asks_for_it_and_nothing_before() -> None:
    assert _run(_PROGRAM) == "0 1"


@pytest.mark.parametrize(
    ("setting", "sizes"), [("1", [(1 << 25) - (1 << 13)]), ("0", []), (None, [(1 << 25) - (1 << 13)])]
)
def test_the_environment_turns_it_off(monkeypatch: pytest.MonkeyPatch, setting: str | None, sizes: list[int]) -> None:
    made: list[int] = []
    monkeypatch.setattr(memory.numpy, "empty", lambda size, dtype: made.append(size))
    if setting is None:
        monkeypatch.delenv("RUSTORCH_KEEP_MEMORY", raising=False)
    else:
        monkeypatch.setenv("RUSTORCH_KEEP_MEMORY", setting)
    memory.keep_freed_memory.__wrapped__()
    assert made == sizes
