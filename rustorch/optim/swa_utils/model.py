"""AveragedModel, whose weights are averages of another model's weights, and update_bn for its batch norms."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from ... import ops
from ...autograd.modes import no_grad
from ...backends import dtypes
from ...nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, Module
from ...variable import Variable
from .averages import AverageFn, MultiAverageFn, get_swa_multi_avg_fn, numbers, store

__all__ = ["AveragedModel", "update_bn"]


class AveragedModel(Module):
    """A copy of a model whose parameters are the averages of the model's parameters in all calls of
    `update_parameters`.

    The first call copies the parameters. Each further call applies ``multi_avg_fn`` or ``avg_fn``. Without these
    functions all calls have equal weights: ``average = average + (current - average) / (n_averaged + 1)``.

    Parameters
    ----------
    model : Module
        The model to copy, without its gradients.
    device : str, optional
        The device of the averages. Default: that of the model.
    avg_fn : callable, optional
        ``avg_fn(average, current, n)`` returns the new average of one Variable after n calls; see `get_ema_avg_fn`
        and `get_swa_avg_fn`.
    multi_avg_fn : callable, optional
        ``multi_avg_fn(averages, currents, n)`` writes the new averages of a list of Variables of one dtype in place;
        see `get_ema_multi_avg_fn` and `get_swa_multi_avg_fn`.
    use_buffers : bool
        Whether buffers are averaged too. Otherwise they are copied from the model in each call.

    Attributes
    ----------
    module : Module
        The copy.
    n_averaged : Variable of shape ()
        How many calls were averaged.

    Raises
    ------
    TypeError
        If the model is not a Module, or a function is not callable.
    ValueError
        If both functions are given.

    Notes
    -----
    The ``state_dict`` does not contain the functions. The running statistics of batch norms do not fit to averaged
    weights: compute new ones with `update_bn`, or average them with ``use_buffers=True``.

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018, algorithm 1;
    Polyak and
    Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992.

    Examples
    --------
    >>> import rustorch
    >>> model = rustorch.Linear(1, 1, bias=False)
    >>> averaged = rustorch.optim.swa_utils.AveragedModel(model)
    >>> for weight in (1.0, 2.0, 6.0):
    ...     with rustorch.no_grad():
    ...         model.weight[...] = weight
    ...     averaged.update_parameters(model)
    >>> averaged(rustorch.tensor([[2.0]])).item(), averaged.n_averaged.item()
    (6.0, 3)
    >>> list(averaged.state_dict())
    ['n_averaged', 'module.weight']
    """

    module: Module
    n_averaged: Variable

    def __init__(
        self,
        model: Module,
        device: str | None = None,
        avg_fn: AverageFn | None = None,
        multi_avg_fn: MultiAverageFn | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model, Module):
            raise TypeError(
                f"AveragedModel averages a Module of rustorch, not {type(model).__module__}.{type(model).__qualname__}"
            )
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: Only one of avg_fn and multi_avg_fn should be provided")
        for name, function in (("avg_fn", avg_fn), ("multi_avg_fn", multi_avg_fn)):
            if function is not None and not callable(function):
                raise TypeError(f"AveragedModel: {name} is a function, not {function!r}")
        self.module = copy.deepcopy(model)
        self.module.zero_grad()
        if device is not None:
            self.module.to(device=device)
        self.register_buffer("n_averaged", ops.zeros((), device=device, dtype=dtypes.int64))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged copy of the model returns for these arguments; shapes as for the model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Update the averages with the parameters of a model.

        Parameters
        ----------
        model : Module
            The model that was copied, or one with parameters and buffers of the same names and shapes.

        Raises
        ------
        TypeError
            If the model is not a Module.
        ValueError
            If names or shapes differ. The message lists the differences, and the averages do not change.
        """
        self._check_same(model)
        with no_grad():
            count = int(self.n_averaged)
            pairs = list(zip(self.module.parameters(), model.parameters(), strict=True))
            buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
            if self.use_buffers:
                pairs += buffers  # type: ignore[arg-type]
            moved = [(average, current.detach().to(average.device)) for average, current in pairs]
            if count == 0:
                for average, current in moved:
                    store(average, current)
            elif self.avg_fn is not None:
                news = [self.avg_fn(numbers(average), numbers(current), count) for average, current in moved]
                for (average, _), new in zip(moved, news, strict=True):
                    store(average, new)
            else:
                update = self.multi_avg_fn or get_swa_multi_avg_fn()
                for averages, currents in _by_device_and_dtype(moved):
                    update(averages, currents, count)
            if not self.use_buffers:
                for own, current in buffers:
                    store(own, current.detach())
            self.n_averaged[...] = count + 1

    def _check_same(self, model: Module) -> None:
        """Raise unless a model has the parameters and buffers of the one that was copied."""
        if not isinstance(model, Module):
            raise TypeError(
                f"update_parameters takes a Module of rustorch, not {type(model).__module__}.{type(model).__qualname__}"
            )
        expected, given = (
            {name: tuple(value.shape) for name, value in [*module.named_parameters(), *module.named_buffers()]}
            for module in (self.module, model)
        )
        wrong = [
            f"{name}: shape {given.get(name, 'missing')} given, {expected.get(name, 'none')} needed"
            for name in expected | given
            if expected.get(name) != given.get(name)
        ]
        if wrong:
            raise ValueError(
                "update_parameters: this is another model than the one that is averaged:\n  " + "\n  ".join(wrong)
            )


def _by_device_and_dtype(
    pairs: Iterable[tuple[Variable, Variable]],
) -> list[tuple[list[Variable], list[Variable]]]:
    """Averages and current values, in lists of one device and dtype each."""
    groups: dict[Any, tuple[list[Variable], list[Variable]]] = {}
    for average, current in pairs:
        averages, currents = groups.setdefault((average.device, average.dtype), ([], []))
        averages.append(average)
        currents.append(current)
    return list(groups.values())


def update_bn(loader: Iterable[Any], model: Module, device: str | None = None) -> None:
    """Compute new running statistics of all batch norms, as means over the batches of one pass.

    Parameters
    ----------
    loader : iterable of Variables or arrays, or of lists or tuples whose first item is one
        The batches.
    model : Module
        It is called with each batch, in training mode and under `no_grad`.
    device : str, optional
        The device to which the batches are moved first.

    Raises
    ------
    TypeError
        If the model is not a Module.
    ValueError
        If there is no batch. After this and any other error, the statistics are those before the call.

    Notes
    -----
    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018, section 3.2.

    Examples
    --------
    >>> import rustorch
    >>> model = rustorch.nn.Sequential(rustorch.nn.BatchNorm1d(1))
    >>> rustorch.optim.swa_utils.update_bn([rustorch.tensor([[1.0], [3.0]]), rustorch.tensor([[5.0], [7.0]])], model)
    >>> model[0].running_mean
    Variable([4.])
    """
    if not isinstance(model, Module):
        raise TypeError(
            f"update_bn takes a Module of rustorch, not {type(model).__module__}.{type(model).__qualname__}"
        )
    norms = [module for module in model.modules() if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d))]
    if not norms:
        return
    modes = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    buffers = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]
    done = False
    try:
        model.train()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else Variable(x).to(device))
                done = True
        if not done:
            raise ValueError("update_bn: the loader gave no batch; a generator that has been used up gives none")
    except BaseException:
        for buffer, before in buffers:
            buffer[...] = before
        raise
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode
