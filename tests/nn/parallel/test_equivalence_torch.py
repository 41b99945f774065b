"""DistributedDataParallel trains as PyTorch's does with gloo: parameters and buffers after every step."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.nn.parallel import DistributedDataParallel
from tests.support.distributed_training import make
from tests.support.torch_ddp import CASES, STEPS, start, train

pytestmark = [
    pytest.mark.ranks,
    pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed to be compared with"),
]

#: What PyTorch computed for this number of ranks. One start of PyTorch trains all cases.
_known: dict[int, dict[str, dict[str, Any]]] = {}


@pytest.fixture
def theirs(dist: ModuleType) -> Iterator[dict[str, dict[str, numpy.ndarray]]]:
    """PyTorch's parameters and buffers, by case."""
    size = dist.get_world_size()
    if size not in _known:
        folder = Path(dist.broadcast_object(tempfile.mkdtemp(prefix="torch_ddp_") if dist.get_rank() == 0 else None))
        results: Any = None
        if dist.get_rank() == 0:
            try:
                found = start(folder, size)
                results = {
                    name: {key: [value.tolist(), str(value.dtype)] for key, value in case.items()}
                    for name, case in found.items()
                }
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                results = str(error)
            finally:
                shutil.rmtree(folder)
        while folder.exists():  # a rank that waits in a collective would take a core from PyTorch
            time.sleep(0.05)
        results = dist.broadcast_object(results)
        if isinstance(results, str):
            pytest.fail(results)
        _known[size] = {
            name: {key: numpy.array(*value) for key, value in case.items()} for name, case in results.items()
        }
    yield _known[size]


@pytest.mark.parametrize("name", CASES)
def test_every_step_is_that_of_pytorch(
    name: str, dist: ModuleType, theirs: dict[str, dict[str, numpy.ndarray]]
) -> None:
    case, expected = CASES[name], theirs[name]
    model = make(rustorch, case.network)
    keys = [key.removeprefix("0/") for key in expected if key.startswith("0/")]
    assert list(model.state_dict()) == keys
    model.load_state_dict({key: rustorch.asarray(expected[f"0/{key}"]) for key in keys})
    trained = train(rustorch, case, DistributedDataParallel, model, dist.get_rank(), dist.get_world_size())
    for step, _ in enumerate(trained, 1):
        own_statistics = case.network == "cnn" and dist.get_rank() > 0  # what was written is rank 0's
        for key in keys:
            if own_statistics and "running" in key:
                continue
            numpy.testing.assert_allclose(
                model.state_dict()[key].data,
                expected[f"{step}/{key}"],
                rtol=1e-10,
                atol=1e-12,
                err_msg=f"{key} after {step} steps",
            )
    assert step == STEPS
    assert any(numpy.any(expected[f"{STEPS}/{key}"] != expected[f"0/{key}"]) for key in keys)
