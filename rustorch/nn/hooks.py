"""Hooks of Modules: functions that see the inputs, outputs and gradients of a call, and may replace them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from ..autograd.function import Function
from ..autograd.graph import Value, next_seq
from ..autograd.hooks import Removable
from ..autograd.modes import mode

_Arguments = ParamSpec("_Arguments")
_Output = TypeVar("_Output", covariant=True)
_Gradients = tuple[Any, ...]  # native arrays or Variables, and None for what is not tracked


class _HasForward(Protocol[_Arguments, _Output]):
    """A Module, as a type checker sees it: what ``forward`` takes and returns."""

    def forward(self, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Output: ...


class _HookTables:
    """The hooks of one Module, each table in the order of the calls."""

    def __init__(self) -> None:
        self.forward_pre: dict[int, Any] = {}
        self.forward: dict[int, Any] = {}
        self.backward_pre: dict[int, Any] = {}
        self.backward: dict[int, Any] = {}


def _add_note(error: Exception, module: Any) -> None:
    """Name the layer in the traceback: the innermost one with its settings, the ones around it by name alone."""
    settings = ""
    if not getattr(error, "__notes__", None):
        try:
            settings = f"({module.extra_repr()})"
        except Exception:  # extra_repr may fail too, but the first error is the one to show
            settings = ""
    error.add_note(f"in {type(module).__name__}{settings}")


class Hooked:
    """A callable that runs ``forward`` and its hooks."""

    _hooks: _HookTables | None = None  # None until the first hook, so that a call without hooks costs one test

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output of this module. Each subclass defines it; a call of the module runs it and the hooks."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    if TYPE_CHECKING:  # the arguments and the result of a call are those of ``forward``

        def __call__(
            self: _HasForward[_Arguments, _Output], *args: _Arguments.args, **kwargs: _Arguments.kwargs
        ) -> _Output: ...

    else:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            try:
                if self._hooks is not None:
                    return _call_with_hooks(self, self._hooks, args, kwargs)
                if len(args) == 1 and not kwargs:  # most calls: passing one argument is faster than unpacking
                    return self.forward(args[0])
                return self.forward(*args, **kwargs)
            except Exception as error:
                _add_note(error, self)
                raise

    def _add_hook(self, table: str, entry: Any, prepend: bool) -> Removable:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", _HookTables())
        hooks = getattr(self._hooks, table)
        others = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        key = next_seq()
        hooks[key] = entry
        hooks.update(others)
        return Removable(hooks, key)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> Removable:
        """Call ``hook(module, args)`` before each forward. A result other than None replaces the arguments.

        Parameters
        ----------
        hook : callable
            With ``with_kwargs``, the call is ``hook(module, args, kwargs)``. It returns None or (args, kwargs).
        prepend : bool
            Whether to call this hook before the hooks that exist already.
        with_kwargs : bool
            Whether the hook takes the keyword arguments too.

        Returns
        -------
        Removable
            Its method ``remove()`` removes the hook.

        Examples
        --------
        >>> import rustorch
        >>> layer = rustorch.nn.Flatten(0)
        >>> with layer.register_forward_pre_hook(lambda module, args: args[0] * 2):
        ...     layer(rustorch.ones(2)).tolist()
        [2.0, 2.0]
        """
        return self._add_hook("forward_pre", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> Removable:
        """Call ``hook(module, args, output)`` after each forward. A result other than None replaces the output.

        Parameters
        ----------
        hook : callable
            With ``with_kwargs``, the call is ``hook(module, args, kwargs, output)``.
        prepend : bool
            Whether to call this hook before the hooks that exist already.
        with_kwargs : bool
            Whether the hook takes the keyword arguments too.
        always_call : bool
            Whether to call the hook after an exception too. The output is None then.

        Returns
        -------
        Removable
            Its method ``remove()`` removes the hook.

        Examples
        --------
        >>> import rustorch
        >>> shapes = []
        >>> layer = rustorch.nn.Linear(2, 3)
        >>> handle = layer.register_forward_hook(lambda module, args, output: shapes.append(output.shape))
        >>> _ = layer(rustorch.ones((4, 2)))
        >>> handle.remove()
        >>> shapes
        [(4, 3)]
        """
        return self._add_hook("forward", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Removable:
        """Call ``hook(module, grad_output)`` when backward has the gradients of the outputs. A result replaces them.

        Parameters
        ----------
        hook : callable
            ``grad_output`` is a tuple with the gradient of each output. It is None for an output that is not tracked.
        prepend : bool
            Whether to call this hook before the hooks that exist already.

        Returns
        -------
        Removable
            Its method ``remove()`` removes the hook.
        """
        return self._add_hook("backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Removable:
        """Call ``hook(module, grad_input, grad_output)`` when backward has the gradients of the inputs. A result
        replaces ``grad_input``.

        Parameters
        ----------
        hook : callable
            Both gradients are tuples: one gradient for each positional argument or output, None for those that are
            not tracked. If no argument is tracked, the call comes when backward has the gradients of the outputs.
        prepend : bool
            Whether to call this hook before the hooks that exist already.

        Returns
        -------
        Removable
            Its method ``remove()`` removes the hook.

        Examples
        --------
        >>> import rustorch
        >>> layer = rustorch.nn.Tanh()
        >>> handle = layer.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_output[0] * 10,))
        >>> x = rustorch.tensor([0.0, 0.0], requires_grad=True)
        >>> layer(x).sum().backward()
        >>> x.grad.tolist()
        [10.0, 10.0]
        """
        return self._add_hook("backward", hook, prepend)


def _call_with_hooks(module: Any, hooks: _HookTables, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the forward pre-hooks, forward, and the forward hooks; let the backward hooks see the gradients."""
    called: set[int] = set()
    try:
        for hook, with_kwargs in list(hooks.forward_pre.values()):
            if with_kwargs:
                result = hook(module, args, kwargs)
                if result is not None:
                    if not (isinstance(result, tuple) and len(result) == 2):
                        raise RuntimeError(
                            f"a forward pre-hook with kwargs returns None or (args, kwargs), not {result!r}"
                        )
                    args, kwargs = result
            else:
                result = hook(module, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)
        has_backward_hooks = mode.enabled and (hooks.backward or hooks.backward_pre)
        backward = _BackwardHooks(module, hooks) if has_backward_hooks else None
        if backward is not None:
            args = backward.inputs(args)
        output = module.forward(*args, **kwargs)
        for key, (hook, with_kwargs, _) in list(hooks.forward.items()):
            called.add(key)
            result = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
            output = output if result is None else result
        return output if backward is None else backward.outputs(output)
    except Exception:
        for key, (hook, with_kwargs, always_call) in list(hooks.forward.items()):
            if always_call and key not in called:
                hook(module, args, kwargs, None) if with_kwargs else hook(module, args, None)
        raise


class _Passed(Function):
    """The identity; backward passes the gradients through a function."""

    @staticmethod
    def forward(ctx: Any, change: Callable[..., Any], *values: Any) -> tuple[Any, ...]:
        ctx.change = change
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        return (None, *ctx.change(gradients))


class _BackwardHooks:
    """The backward hooks of one call. Backward reaches the outputs first, then the inputs."""

    def __init__(self, module: Hooked, hooks: _HookTables):
        self._module = module
        self._hooks = hooks
        self._argument_count = 0
        self._tracked_arguments: list[int] = []
        self._output_count = 0
        self._tracked_outputs: list[int] = []
        self._grad_output: _Gradients | None = None

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, so wrapped that their gradients go through the hooks."""
        self._argument_count, self._tracked_arguments = len(args), _tracked(args)
        return _passed(args, self._tracked_arguments, self._change_input_gradients)

    def outputs(self, output: Any) -> Any:
        """The output, so wrapped that its gradients go through the hooks."""
        is_sequence = isinstance(output, (tuple, list))
        values = tuple(output) if is_sequence else (output,)
        self._output_count, self._tracked_outputs = len(values), _tracked(values)
        passed = _passed(values, self._tracked_outputs, self._change_output_gradients)
        if not is_sequence:
            return passed[0]
        return type(output)(*passed) if hasattr(output, "_fields") else type(output)(passed)

    def _change_output_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        grad_output = _filled(gradients, self._tracked_outputs, self._output_count)
        for hook in list(self._hooks.backward_pre.values()):
            grad_output = _replaced("backward pre-hook", hook(self._module, grad_output), grad_output)
        if self._tracked_arguments:
            self._grad_output = grad_output
        else:
            for hook in list(self._hooks.backward.values()):
                if hook(self._module, (None,) * self._argument_count, grad_output) is not None:
                    raise RuntimeError(
                        f"a backward hook of {type(self._module).__name__} has no gradient to replace: no input is "
                        f"tracked"
                    )
        return [grad_output[i] for i in self._tracked_outputs]

    def _change_input_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        # Forget the gradients of the outputs: a recorded gradient here would close a reference cycle.
        grad_output, self._grad_output = self._grad_output, None
        if grad_output is None:  # a second derivative may reach the inputs without the outputs
            return gradients
        grad_input = _filled(gradients, self._tracked_arguments, self._argument_count)
        for hook in list(self._hooks.backward.values()):
            grad_input = _replaced("backward hook", hook(self._module, grad_input, grad_output), grad_input)
        return [grad_input[i] for i in self._tracked_arguments]


def _tracked(values: Sequence[Any]) -> list[int]:
    """The indices of the tracked Variables."""
    return [i for i, value in enumerate(values) if isinstance(value, Value) and value._tracked]


def _passed(values: tuple[Any, ...], indices: list[int], change: Callable[..., Any]) -> tuple[Any, ...]:
    """The values. Backward passes the gradients of those at ``indices`` through ``change``."""
    if not indices:
        return values
    out = list(values)
    for i, value in zip(indices, _Passed.apply(change, *[values[i] for i in indices]), strict=True):
        out[i] = value
    return tuple(out)


def _filled(gradients: Sequence[Any], indices: list[int], size: int) -> _Gradients:
    """A tuple of ``size`` entries: the gradients at ``indices``, None elsewhere."""
    out: list[Any] = [None] * size
    for i, gradient in zip(indices, gradients, strict=True):
        out[i] = gradient
    return tuple(out)


def _replaced(what: str, result: Any, gradients: _Gradients) -> _Gradients:
    """The gradients, or what a hook returned instead of them."""
    if result is None:
        return gradients
    replacements = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(replacements) != len(gradients):
        raise RuntimeError(
            f"a {what} returns as many gradients as it was given, {len(gradients)}, or None; this one returned "
            f"{len(replacements)}"
        )
    return replacements
