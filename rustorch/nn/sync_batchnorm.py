"""SyncBatchNorm: batch normalization with the mean and the variance of the batches of all ranks together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .. import distributed, ops
from ..autograd.checkpoint import is_repeating
from ..distributed.group import resolved
from ..distributed.normalization import batch_norm
from .batchnorm import _BatchNorm
from .functional.batchnorm import running_variables, update_running
from .functional.dtype_checks import one_dtype
from .functional.normalization import check_channels, check_eps, together
from .module import Module

if TYPE_CHECKING:
    from ..distributed import ProcessGroup
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["SyncBatchNorm"]

AnyModule = TypeVar("AnyModule", bound=Module)


class SyncBatchNorm(_BatchNorm):
    """Batch normalization with the mean and the variance of the batches of all ranks together.

    `BatchNorm1d` and its like normalize by the batch of one rank, which is small if there are many ranks. In training,
    this layer exchanges its moments in each forward, and two sums per channel in backward. So the ranks compute what
    one process would compute for the whole batch. Their batches may have different sizes, and some may be empty. In
    evaluation, with one rank, and without a process group it is the ordinary batch norm.

    Parameters
    ----------
    num_features : int
        The number of channels.
    eps : float
    momentum : float, or None
        The weight of a new batch in the running statistics. None makes them the means over all batches.
    affine : bool
        Whether to multiply by a weight and add a bias.
    track_running_stats : bool
        Whether to keep running statistics. Without them, evaluation uses the statistics of the rank's own batch.
    process_group : ProcessGroup, optional
        The ranks whose batches are normalized together. Default: all.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.
    bias : bool
        Whether to add a bias beside the weight.

    Attributes
    ----------
    weight, bias : Parameter, (num_features,), or None
        Initially ones and zeros. Their gradients are those of the rank's own batch, which
        `nn.parallel.DistributedDataParallel` averages.
    running_mean, running_var : Variable, (num_features,), or None
        Equal on all ranks.
    num_batches_tracked : Variable of shape (), or None

    Raises
    ------
    ValueError
        If the input is not (n, channels, ...), or if all ranks together have one value per channel in training. (On a
        GPU the latter is not noticed, because the host would have to wait.)

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> layer = rustorch.nn.SyncBatchNorm(2)
    >>> layer(rustorch.tensor([[1.0, 5.0], [3.0, 9.0]])).shape
    (2, 2)
    >>> dist.destroy_process_group()
    """

    _input_shapes = ("(n, channels, ...)",)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: ProcessGroup | None = None,
        device: str | None = None,
        dtype: DTypeLike = None,
        *,
        bias: bool = True,
    ):
        if process_group is not None:
            resolved(process_group, "SyncBatchNorm")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _checked_shape(self, input: Any) -> tuple[int, ...]:
        shape = tuple(input.shape)
        if len(shape) < 2:
            raise ValueError(f"SyncBatchNorm: the input has shape {shape}; it takes (n, channels, ...)")
        return shape

    def forward(self, input: ArrayLike) -> Variable:
        """input: (n, channels, ...) -> the same shape, each channel normalized over the batches of all ranks."""
        if not (self.training and distributed.is_initialized()):
            return super().forward(input)
        group = resolved(self.process_group, "SyncBatchNorm")
        if group.rank < 0:
            raise ValueError(f"SyncBatchNorm: rank {distributed.get_rank()} is not in the group of ranks {group.ranks}")
        if group.size == 1:
            return super().forward(input)
        shape = self._checked_shape(input)
        tracked = self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if tracked else (None, None)
        x, weight, bias = together("SyncBatchNorm", input, self.weight, self.bias)
        check_channels("SyncBatchNorm", shape[1], running_mean=mean, running_var=var, weight=weight, bias=bias)
        check_eps("SyncBatchNorm", self.eps, training=True)
        running = running_variables("SyncBatchNorm", mean, var)
        one_dtype("SyncBatchNorm", input=x, running_mean=mean, running_var=var)
        count = self.num_batches_tracked + 1 if tracked and not is_repeating() else None
        momentum: float | Variable = 0.0 if self.momentum is None else self.momentum
        if count is not None and self.momentum is None:  # then the running statistics are means over all batches
            momentum = 1 / ops.astype(count, self.running_mean.dtype)
        if weight is None and bias is not None:
            weight = ops.ones_like(bias)  # one rule computes the gradients of both
        out, moments, moved = batch_norm(x, weight, bias, float(self.eps), group)
        if moved is not False and not is_repeating():
            update_running(*running, *moments, momentum if moved is True else moved * momentum, 1.0)
        if count is not None:
            self.num_batches_tracked[...] = count
        return out

    @classmethod
    def convert_sync_batchnorm(cls, module: AnyModule, process_group: ProcessGroup | None = None) -> AnyModule:
        """Replace every batch norm in a module with a SyncBatchNorm, and return the module.

        Parameters
        ----------
        module : Module
            It is changed in place. If it is a batch norm itself, the returned layer replaces it.
        process_group : ProcessGroup, optional
            The ranks whose batches are normalized together. Default: all.

        Returns
        -------
        Module
            The new layers have the same parameters and statistics as the old ones: the same objects, so that an
            optimizer may be made before or after. Hooks of the old layers are not taken over.

        Examples
        --------
        >>> import rustorch
        >>> from rustorch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        >>> model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        >>> type(model[1]).__name__
        'SyncBatchNorm'
        """
        if not isinstance(module, Module):
            raise TypeError(f"convert_sync_batchnorm: module is a Module, not {type(module).__name__}")
        if process_group is not None:
            resolved(process_group, "convert_sync_batchnorm")
        converted: AnyModule = cls._converted(module, process_group, {})
        return converted

    @classmethod
    def _converted(cls, module: Any, group: ProcessGroup | None, done: dict[int, Any]) -> Any:
        """`convert_sync_batchnorm`; ``done`` has what replaces the modules seen so far, by their id."""
        if id(module) in done:
            return done[id(module)]
        new = done[id(module)] = cls._like(module, group) if isinstance(module, _BatchNorm) else module
        for name, child in module._modules.items():
            if child is not None:
                converted = cls._converted(child, group, done)
                if new is not module or converted is not child:
                    new.add_module(name, converted)
        return new

    @classmethod
    def _like(cls, layer: _BatchNorm, group: ProcessGroup | None) -> SyncBatchNorm:
        """A layer with the parameters and statistics of a batch norm."""
        new = cls(layer.num_features, layer.eps, layer.momentum, False, False, group)
        new.affine, new.track_running_stats, new.training = layer.affine, layer.track_running_stats, layer.training
        new.weight, new.bias = layer.weight, layer.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            new.register_buffer(name, getattr(layer, name), name not in layer._non_persistent_buffers)
        return new
