"""Datasets and functions for worker processes, which import this module: it imports little."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy

import rustorch
from rustorch.data import Dataset, IterableDataset, get_worker_info, sharing


class Numbers(Dataset):
    """A dataset whose samples are the results of a function of the index."""

    def __init__(self, n: int, function: Callable[[int], Any] = int):
        self.n, self.function = n, function

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        return self.function(i)


class Point(NamedTuple):
    x: Any
    y: Any


def varied(i: int) -> Any:
    """A sample with arrays of many kinds."""
    large = numpy.arange(i, i + 600.0, dtype="float32").reshape(20, 30)
    return {
        "large": large,
        "small": large[0, :3].copy(),
        "transposed": large.T,
        "complex": large[:2] * 1j,
        "flag": i % 2 == 0,
        "number": i,
        "real": i / 2,
        "name": f"sample {i}",
        "point": Point(numpy.bool_(i), [numpy.zeros((0, 3)), numpy.uint8(i)]),
    }


def image(i: int) -> Any:
    return numpy.full((40, 50), i, "float32")


def strided(i: int) -> Any:
    """Variables whose elements do not lie one after another."""
    block = numpy.arange(i, i + 4000.0).reshape(2, 40, 50)
    return (
        rustorch.asarray(block[:, ::2]),
        rustorch.asarray(numpy.moveaxis(block, 0, 1)),
        rustorch.asarray(block[0, 0, 0]),
    )


def environment(i: int) -> dict[str, Any]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "OTHER")
    return {name: os.environ.get(name) for name in names}


def growing(i: int) -> Any:
    return numpy.full(1000 * (i % 7 + 1), i)


def native(samples: list[int]) -> Any:
    """A collate_fn whose result holds native arrays, one of them not contiguous."""
    block = numpy.repeat(numpy.array(samples)[:, None], 600, 1)
    return {"c": block, "strided": block[:, ::2], "read-only": numpy.broadcast_to(block[:, :1], (len(samples), 600))}


def identity(x: Any) -> Any:
    return x


# -- what goes wrong ---------------------------------------------------------------------------------------------------
class TwoArguments(Exception):
    """An error that unpickling cannot make again."""

    def __init__(self, one: int, two: int):
        super().__init__(f"{one} and {two}")


def broken_at_13(i: int) -> int:
    if i == 13:
        raise ValueError(f"sample {i} is broken")
    return i


def raises(kind: str, i: int) -> int:
    if i != 2:
        return i
    if kind == "two arguments":
        raise TwoArguments(1, 2)
    if kind == "local":

        class Local(Exception):
            pass

        raise Local("from a function")
    if kind == "chained":
        try:
            raise KeyError("the cause")
        except KeyError as error:
            raise ValueError("the effect") from error
    raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt, "StopIteration": StopIteration}[kind](
        "why"
    )


def dies(how: str, i: int) -> Any:
    if i != 5:
        return image(i)
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(60)
    return None


def sleeps_at_3(i: int) -> int:
    if i == 3:
        time.sleep(60)
    return i


def unpicklable(samples: list[int]) -> Any:
    return lambda: samples


def broken_collate(samples: list[int]) -> Any:
    return samples[0] / 0


def broken_init(worker: int) -> None:
    raise OSError(f"no database for worker {worker}")


def without_shared_memory(worker: int) -> None:
    """A worker_init_fn after which no segment can be made."""
    sharing.create_segment = lambda name, size: None


# -- what workers know -------------------------------------------------------------------------------------------------
_initialised: list[int] = []


def remember(worker: int) -> None:
    _initialised.append(worker)


class Introspective(Dataset):
    """What a worker knows of itself."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int) -> dict[str, Any]:
        info = get_worker_info()
        assert info is not None and info.dataset is self
        return {
            "i": i, "pid": os.getpid(), "id": info.id, "count": info.num_workers, "seed": info.seed,
            "init": list(_initialised), "grad": rustorch.is_grad_enabled(), "device": rustorch.get_default_device(),
        }  # fmt: skip


def drawn(i: int) -> list[float]:
    """Random numbers of all sources."""
    torch = sys.modules.get("torch")
    return [
        random.random(), numpy.random.rand(), rustorch.rand(1).item(),  # noqa: NPY002
        0.0 if torch is None else torch.rand(1).item(),
    ]  # fmt: skip


class Changing(Dataset):
    """Its samples show how often this copy was read. It writes into its array."""

    def __init__(self) -> None:
        self.reads = 0
        self.array = numpy.zeros((4, 1000))

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Any:
        self.reads += 1
        before = self.array.sum()
        self.array[i] = 1
        return self.reads, before


class Gradients(Dataset):
    """Leaves that require gradients, or values that were computed from one."""

    def __init__(self, computed: bool):
        self.computed = computed

    def __len__(self) -> int:
        return 2

    def __getitem__(self, i: int) -> Any:
        leaf = rustorch.Variable(numpy.full(1000, float(i)), requires_grad=True)
        return leaf * 2 if self.computed else leaf


class OnDevice(Dataset):
    """Arrays of a backend and a number."""

    def __init__(self, device: str):
        self.device = device

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> Any:
        return rustorch.asarray(numpy.full((30, 10), i, "float32"), device=self.device), i


# -- streams -----------------------------------------------------------------------------------------------------------
class Split(IterableDataset):
    """The numbers below n, split over the workers: worker w yields w, w + workers, ..."""

    def __init__(self, n: int):
        self.n = n

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        return (
            iter(range(self.n)) if info is None else itertools.islice(range(self.n), info.id, self.n, info.num_workers)
        )


class Uneven(IterableDataset):
    """Worker w yields w + 1 numbers, from 10 * w."""

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        assert info is not None
        return iter(range(10 * info.id, 10 * info.id + info.id + 1))


class Whole(IterableDataset):
    """The same numbers from every worker."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


class BrokenStream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        yield 1
        raise OSError("the line is cut")


class RandomStream(IterableDataset):
    """Three random numbers for each worker."""

    def __iter__(self) -> Iterator[float]:
        get_worker_info()
        return (random.random() for _ in range(3))


# -- counting and nesting ----------------------------------------------------------------------------------------------
def first(batch: list[Any]) -> Any:
    """A collate_fn for batches of one sample."""
    return batch[0]


def add_to(counter: Any, i: int) -> int:
    """Count a read in a number that processes share."""
    with counter.get_lock():
        counter.value += 1
        return int(counter.value)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition does not hold after 20 seconds"
        time.sleep(0.005)


def nested(i: int) -> int:
    """A sample that needs worker processes."""
    from rustorch.data import DataLoader

    return len(list(DataLoader(range(3), num_workers=1, worker="process")))
