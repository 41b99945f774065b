"""ZeroRedundancyOptimizer: any optimizer, with its state spread over the ranks of a process group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from ..variable import Variable
from . import states
from .lbfgs import LBFGS
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..distributed.group import ProcessGroup
    from .optimizer import Params
    from .zero_lbfgs import InPieces

# The methods below import rustorch.distributed and the modules beside this one when they are called, so that `import
# rustorch` stays fast.

__all__ = ["ZeroRedundancyOptimizer"]

#: The entries of a group that say which parameters it has. All others are options.
_MEMBERS = ("params", "param_names")


class ZeroRedundancyOptimizer(Optimizer):
    """Any optimizer, with its state spread over the ranks of a process group.

    Each parameter is owned by one rank. Only the owner keeps the state of the parameter. It updates the parameter, and
    sends it to the other ranks. With N ranks, each one keeps about 1/N of the state. The parameters after a step are
    those of the plain optimizer, bit for bit.

    `LBFGS` is different, because it has one state for all parameters. Each rank keeps a piece of it, and all make the
    same step. Dot products are summed over the ranks, which rounds them differently. The line search uses the mean of
    the ranks' losses.

    All ranks make the optimizer with the same parameters in the same order, and call its methods together. Gradients
    must be equal on all ranks, as after backward of `nn.parallel.DistributedDataParallel`. `nn.utils.clip_grad_norm_`
    works as with a plain optimizer.

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`. A parameter is not split between ranks, so a very large one limits how much memory is saved.
    optimizer_class : type
        A subclass of `Optimizer`, such as ``rustorch.Adam``.
    process_group : ProcessGroup, optional
        Default: all ranks.
    parameters_as_bucket_view : bool
        Whether the parameters of a rank become views of one array. Sending this array needs no copies.
    overlap_with_ddp : bool
        PyTorch's argument; only False is supported.
    **defaults
        The options of ``optimizer_class``.

    Attributes
    ----------
    optim : Optimizer
        The optimizer of the parameters that this rank owns.
    param_groups : list of dict
        The groups with the parameters of all ranks. Change options here, not in ``optim``.
    state : dict
        Variable -> its state, for the parameters that this rank owns.
    process_group : ProcessGroup

    Raises
    ------
    RuntimeError
        If there is no process group.
    ValueError
        If the parameters differ between the ranks, this rank is not in the group, or a parameter is a shard of
        `nn.parallel.fully_shard`, whose state is spread already; else as ``optimizer_class``. All ranks raise an error.
    TypeError
        If ``optimizer_class`` is no optimizer; else as ``optimizer_class``.

    Notes
    -----
    Source: Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020, stage 1.

    Examples
    --------
    >>> import rustorch
    >>> import rustorch.distributed as dist
    >>> from rustorch import nn, optim
    >>> dist.init_process_group()
    >>> model = nn.Linear(3, 2)
    >>> optimizer = optim.ZeroRedundancyOptimizer(model.parameters(), optim.Adam, lr=0.01)
    >>> model(rustorch.ones((4, 3))).sum().backward()
    >>> optimizer.step()

    Save it from all ranks together. The file can be loaded into `Adam`, and on another number of ranks:

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "checkpoint.safetensors")
    ...     rustorch.save({"model": model, "optimizer": optimizer}, path, rank=0)
    ...     optimizer.load_state_dict(rustorch.load(path)["optimizer"])
    >>> dist.destroy_process_group()
    """

    # The base class's __init__ is not called: optimizer_class checks the options and parameters.
    def __init__(
        self,
        params: Params,
        optimizer_class: type[Optimizer],
        process_group: ProcessGroup | None = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ) -> None:
        from ..distributed.group import get_rank, resolved
        from .zero_exchange import Exchange

        group = resolved(process_group, self._name)
        if group.rank < 0:
            raise ValueError(
                f"{self._name}: rank {get_rank()} is not in the group of ranks {group.ranks}; its members "
                f"alone make the optimizer"
            )
        if not isinstance(optimizer_class, type) or not issubclass(optimizer_class, Optimizer):
            raise TypeError(
                f"{self._name}: optimizer_class is a subclass of Optimizer, such as rustorch.Adam, not "
                f"{optimizer_class!r}; options follow by name, as in {self._name}(params, rustorch.Adam, lr=0.01)"
            )
        if issubclass(optimizer_class, ZeroRedundancyOptimizer):
            raise TypeError(f"{self._name}: optimizer_class is the optimizer whose state is spread, not {self._name}")
        if overlap_with_ddp:
            raise ValueError(f"{self._name}: overlap_with_ddp=True is not supported; step() sends the parameters")
        self.process_group = group
        self.param_groups = []
        self.steps = 0
        self._owners: dict[Variable, int] = {}
        self._exchange = Exchange(group, parameters_as_bucket_view)
        self._collected: dict[int, dict[str, Any]] | None = None
        if issubclass(optimizer_class, LBFGS):
            from .zero_lbfgs import in_pieces

            optimizer_class = in_pieces(optimizer_class)
        with self._together() as described:
            self.optim = optimizer_class(params, **defaults)
            described += self._exchange.describe(self.optim.param_groups, 0)
        self.defaults, self.added_options = self.optim.defaults, self.optim.added_options
        #: The local optimizer, if the ranks have pieces of the state of all parameters, not parameters of their own.
        self._in_pieces: InPieces | None = None
        if issubclass(optimizer_class, LBFGS):
            self._in_pieces = cast("InPieces", self.optim)
            self._in_pieces.group = group
        self._take_over()

    @property
    def _rank(self) -> int:
        """This rank, among all ranks."""
        return self.process_group.ranks[self.process_group.rank]

    @property
    def state(self) -> dict[Variable, dict[str, Any]]:
        """Variable -> its state, for the parameters that this rank owns."""
        return self.optim.state

    @state.setter
    def state(self, state: dict[Variable, dict[str, Any]]) -> None:
        self.optim.state = state

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError if an option of a group is out of range for the optimizer of this rank."""
        self.optim.check(options)

    def load_entry(
        self, p: Variable, entries: Mapping[str, Any], options: dict[str, Any], differences: list[str]
    ) -> dict[str, Any]:
        """The state of a parameter, checked on every rank, so that all of them load or refuse it; kept by its owner."""
        loaded = self.optim.load_entry(p, entries, options, differences)
        return loaded if self._owners[p] == self.process_group.rank else {}

    # -- groups --------------------------------------------------------------------------------------------------------
    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters, and spread them over the ranks. The others keep their owners. All ranks call it.

        Parameters
        ----------
        param_group : dict
            "params", a Variable or an iterable of them or of (name, Variable) pairs, and any options.

        Raises
        ------
        ValueError, TypeError
            As the class. No group is added then, on any rank.
        """
        count = len(self.param_groups)
        own = [group["params"] for group in self.optim.param_groups]
        try:
            for group, local in zip(self.param_groups, self.optim.param_groups, strict=True):
                local["params"] = group["params"]  # a parameter of another rank must not be added again
            with self._together() as described:
                self.optim.add_param_group(param_group)
                described += self._exchange.describe(self.optim.param_groups[count:], count)
        except BaseException:
            del self.optim.param_groups[count:]
            raise
        finally:
            for local, params in zip(self.optim.param_groups, own, strict=False):
                local["params"] = params
        self._take_over()

    @contextmanager
    def _together(self) -> Iterator[list[str]]:
        """Run a block on all ranks, and raise an error on all of them if it fails on one, or if the lines of text that
        the blocks append to the list differ.
        """
        described: list[str] = []
        failure: Exception | None = None
        try:
            yield described
        except Exception as error:
            failure = error
        self._exchange.compare(described, failure)

    def _take_over(self) -> None:
        """Give the new groups of ``optim`` to the whole optimizer, and leave ``optim`` what this rank owns."""
        rank = self.process_group.rank
        for local in self.optim.param_groups[len(self.param_groups) :]:
            whole = dict(local)
            if self._in_pieces is None:
                self._owners.update(self._exchange.spread(whole["params"]))
            else:
                self._owners.update(dict.fromkeys(whole["params"], rank))
            self.param_groups.append(whole)
            is_own = [self._owners[p] == rank for p in whole["params"]]
            for name in _MEMBERS:
                if name in local:
                    local[name] = [value for value, keep in zip(whole[name], is_own, strict=True) if keep]
        # the owners in the order of the parameters, which is that of the exchange
        self._owners = {p: self._owners[p] for p in self._parameters()}
        self.state = {p: entries for p, entries in self.state.items() if self._owners[p] == rank}
        self._collected = None
        if self._in_pieces is None:
            self._exchange.arrange(self._owners)

    # -- the step ------------------------------------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that this rank owns, and exchange all parameters. All ranks call it.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss again, calls backward and returns the loss.

        Returns
        -------
        Variable or None
            What the closure returned on this rank.

        Raises
        ------
        RuntimeError
            If the shape, dtype or device of a gradient is not that of its parameter.
        """
        for group, local in zip(self.param_groups, self.optim.param_groups, strict=True):
            local.update({name: value for name, value in group.items() if name not in _MEMBERS})
        loss = self.optim.step(closure)
        self._collected = None
        if self._in_pieces is None:
            self._exchange.share(self._owners)
        self.steps += 1
        return loss

    # -- state ---------------------------------------------------------------------------------------------------------
    def _numbered(self) -> dict[int, dict[str, Any]]:
        """The number of each parameter that this rank owns -> its state."""
        return {i: self.state[p] for i, p in enumerate(self._parameters()) if p in self.state}

    def _groups(self) -> list[dict[str, Any]]:
        """The groups with the parameters' numbers."""
        numbers = {p: i for i, p in enumerate(self._parameters())}
        return [{**group, "params": [numbers[p] for p in group["params"]]} for group in self.param_groups]

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Bring the state of all ranks to one, for its `state_dict`. All ranks call it.

        The copies are in the memory of the host. They are deleted by the next step.

        Parameters
        ----------
        to : int
            The rank, within all ranks, that gets the state.

        Raises
        ------
        ValueError
            If the group has no such rank.
        """
        from . import zero_state

        group = self.process_group
        group.position(to, f"{self._name}.consolidate_state_dict")
        if self._in_pieces is not None:
            whole = self._in_pieces.whole_state(self._numbered())
            self._collected = whole if self._rank == to else None
            return
        devices = {i: p.device for i, p in enumerate(self._parameters())}
        self._collected = zero_state.collect(self._numbered(), devices, group, to)

    def state_dict(self) -> dict[str, Any]:
        """The options and the state of all ranks, in PyTorch's layout, on the rank that `consolidate_state_dict` chose.

        Any optimizer of the same class can load it, also a plain one. In a group of one rank, it needs no
        `consolidate_state_dict`, and shares the memory of the optimizer's state.

        Raises
        ------
        RuntimeError
            If this rank does not have the state of all ranks after the last step.
        """
        if self._collected is not None:
            state = self._collected
        elif self.process_group.size > 1:
            raise RuntimeError(
                f"{self._name}: rank {self._rank} does not have the state of all ranks after the last step. Call "
                f"consolidate_state_dict(to={self._rank}) on all ranks first, and state_dict() on this rank alone; or "
                f"save the optimizer from all ranks at once, with rustorch.save(optimizer, path, rank=0)"
            )
        else:
            return self.local_state_dict()
        return {"state": dict(state), "param_groups": self._groups()}

    def local_state_dict(self) -> dict[str, Any]:
        """The options and the state, of which the arrays are those of this rank alone. All ranks call it.

        Together, the results of all ranks make the whole state. `rustorch.save` takes them for an optimizer that all
        ranks save together, with ``sharded=True`` or with a ``rank``.

        Returns
        -------
        dict
            In the layout of `state_dict`. Numbers are those of all parameters, and arrays those of the parameters that
            this rank owns: Variables that share the memory of the state.
        """
        from . import zero_state

        own = self._numbered()
        if self._in_pieces is not None:
            return {"state": self._in_pieces.pieces(own), "param_groups": self._groups()}
        described, _ = zero_state.described_everywhere(own, self.process_group)
        state: dict[int, dict[str, Any]] = {}
        for one in described:
            state.update(zero_state.without_arrays(one))
        for number, entries in own.items():
            if number in state:
                state[number] = {name: states.public(value) for name, value in entries.items() if value is not None}
        return {"state": dict(sorted(state.items())), "param_groups": self._groups()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Replace the options and the state by those of a state_dict of the same class of optimizer: plain, or spread
        over any number of ranks, or PyTorch's.

        Parameters
        ----------
        state_dict : mapping
            The state of all parameters. Each rank copies what belongs to its own.

        Raises
        ------
        ValueError
            If the state belongs to other parameters or to another optimizer. The message lists the differences, and
            nothing is loaded.
        """
        groups, state = states.load(self, state_dict, states.options_of(Optimizer))
        rank = self.process_group.rank
        self.state = {p: entries for p, entries in state.items() if self._owners[p] == rank}
        for group, loaded in zip(self.param_groups, groups, strict=True):
            group.update(loaded)
        self._collected = None
