"""The arguments of DataLoader: which there are, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks import checked_bool, checked_integer

#: Arguments of PyTorch's loader that have no effect here.
_IGNORED = ("pin_memory", "pin_memory_device", "in_order")
#: Arguments of PyTorch's loader that are refused -> what an error says about them.
_REFUSED = {"generator": "the order of the epochs follows from seed=..."}
_START_METHODS = ("spawn", "fork", "forkserver")


def check_hints(hints: Mapping[str, Any]) -> None:
    """Refuse unknown arguments, and those of PyTorch that cannot be ignored."""
    for what, value in hints.items():
        if what not in _IGNORED and (what not in _REFUSED or value is not None):
            raise TypeError(
                f"DataLoader has no argument {what!r}" + (f": {_REFUSED[what]}" if what in _REFUSED else "")
            )


def checked_prefetch_factor(value: int | None, num_workers: int) -> int | None:
    """The number of batches that each worker may be ahead; None without workers."""
    if not num_workers:
        if value is not None:
            raise ValueError("DataLoader: prefetch_factor needs num_workers > 0")
        return None
    return 2 if value is None else checked_integer("DataLoader", "prefetch_factor", value, 1)


def check_kinds(sampler: Any, batch_sampler: Any, collate_fn: Any) -> None:
    """Refuse samplers that are no iterables, and a collate_fn that is no function."""
    for what, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value is not None and not hasattr(value, "__iter__"):
            raise TypeError(f"DataLoader: a {what} is an iterable of indices, not {type(value).__name__}")
    if collate_fn is not None and not callable(collate_fn):
        raise TypeError(f"DataLoader: a collate_fn is a function of a list of samples, not {type(collate_fn).__name__}")


def names_of_true(**conditions: bool) -> str:
    """The names of the conditions that hold, separated by commas."""
    return ", ".join([name for name, holds in conditions.items() if holds])


def check_worker_options(num_workers: int, worker: Any, init: Any, context: Any, timeout: Any, persistent: Any) -> None:
    """Refuse wrong arguments about workers. Those about processes do not matter for threads."""
    if worker not in ("thread", "process"):
        raise ValueError(f'DataLoader: worker is "thread" or "process", not {worker!r}')
    if worker == "thread":
        if init is not None:
            raise TypeError(
                'DataLoader: worker_init_fn needs worker="process"; threads share the dataset, which is as it was made'
            )
        return
    if init is not None and not callable(init):
        raise TypeError(f"DataLoader: a worker_init_fn is a function of a worker's number, not {type(init).__name__}")
    if isinstance(context, str) and context not in _START_METHODS:
        raise ValueError(
            f"DataLoader: multiprocessing_context is one of {', '.join(_START_METHODS)}, or a context of "
            f"multiprocessing, not {context!r}"
        )
    if context is not None and not isinstance(context, str) and not hasattr(context, "Process"):
        raise TypeError(
            f"DataLoader: multiprocessing_context is a string or a context of multiprocessing, not "
            f"{type(context).__name__}"
        )
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 <= timeout < float("inf"):
        raise ValueError(f"DataLoader: timeout is a number of seconds, or 0 for no limit, not {timeout!r}")
    if checked_bool("DataLoader", "persistent_workers", persistent) and not num_workers:
        raise ValueError("DataLoader: persistent_workers needs num_workers > 0")


def part_of(sampler: Any) -> int:
    """Which part of the samples a sampler yields: the number of its rank, or of this process among its group."""
    rank = getattr(sampler, "rank", None)
    if rank is None:
        from .. import distributed

        return distributed.get_rank() if distributed.is_initialized() else 0
    return checked_integer("DataLoader", "rank of the sampler", rank)
