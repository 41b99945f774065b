"""Hooks of Modules: functions that see, and may replace, what goes in and comes out, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.function import Function
from ..autograd.graph import Value, mode, next_seq
from ..autograd.hooks import Removable


class _Tables:
    """The hooks of one Module, in the order in which they are called."""

    def __init__(self) -> None:
        self.pre: dict[int, Any] = {}
        self.post: dict[int, Any] = {}
        self.backward_pre: dict[int, Any] = {}
        self.backward: dict[int, Any] = {}


def _note(error: Exception, module: Any) -> None:
    """Say in the traceback which of a model's layers it was: the innermost with its settings, those around it
    by name.
    """
    text = ""
    if not getattr(error, "__notes__", None):
        try:
            text = f"({module.extra_repr()})"
        except Exception:  # a layer that cannot even describe itself: the first error is the one to read
            text = ""
    error.add_note(f"in {type(module).__name__}{text}")


class Hooked:
    """What can be called with hooks around it."""

    _hooks: _Tables | None = None  # as long as there is none, a call costs one look

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of this module for these inputs; a subclass defines it, and a call of the module runs it, with the
        hooks.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is not None:
                return _called(self, self._hooks, args, kwargs)
            if len(args) == 1 and not kwargs:  # the usual call, without unpacking
                return self.forward(args[0])
            return self.forward(*args, **kwargs)
        except Exception as error:
            _note(error, self)
            raise

    def _add_hook(self, table: str, entry: Any, prepend: bool) -> Removable:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", _Tables())
        hooks = getattr(self._hooks, table)
        others = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        key = next_seq()
        hooks[key] = entry
        hooks.update(others)
        return Removable(hooks, key)

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> Removable:
        """Call ``hook(module, args)`` before each forward; what it returns, if not None, replaces the arguments.

        Parameters
        ----------
        hook : callable
            With ``with_kwargs`` it is ``hook(module, args, kwargs)``, and returns None or both.
        prepend : bool
            Whether it comes before those that are there.
        with_kwargs : bool

        Returns
        -------
        Removable
            Whose ``remove()`` takes the hook away.

        Examples
        --------
        >>> import rustorch
        >>> layer = rustorch.nn.Flatten(0)
        >>> with layer.register_forward_pre_hook(lambda module, args: args[0] * 2):
        ...     layer(rustorch.ones(2)).tolist()
        [2.0, 2.0]
        """
        return self._add_hook("pre", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> Removable:
        """Call ``hook(module, args, output)`` after each forward; what it returns, if not None, replaces the output.

        Parameters
        ----------
        hook : callable
            With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``.
        prepend : bool
            Whether it comes before those that are there.
        with_kwargs : bool
        always_call : bool
            Whether it is called after an exception, too, with None as the output.

        Returns
        -------
        Removable
            Whose ``remove()`` takes the hook away.

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
        return self._add_hook("post", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> Removable:
        """Call ``hook(module, grad_output)`` when the gradients of the outputs are there; what it returns replaces
        them.

        Parameters
        ----------
        hook : callable
            ``grad_output`` is a tuple: the gradient of each output, None for what is no tracked Variable.
        prepend : bool
            Whether it comes before those that are there.

        Returns
        -------
        Removable
        """
        return self._add_hook("backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> Removable:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are there; what it returns
        replaces them.

        Parameters
        ----------
        hook : callable
            The gradients are tuples: one for each positional argument or output, None for what is no tracked Variable.
            If no argument is tracked, it is called when the gradients of the outputs are there.
        prepend : bool
            Whether it comes before those that are there.

        Returns
        -------
        Removable
            Whose ``remove()`` takes the hook away.

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


def _called(module: Hooked, hooks: _Tables, args: tuple, kwargs: dict) -> Any:
    """A call with all that is registered."""
    called: set[int] = set()
    try:
        for hook, with_kwargs in list(hooks.pre.values()):
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
        watch = _Watch(module, hooks) if mode.enabled and (hooks.backward or hooks.backward_pre) else None
        if watch is not None:
            args = watch.inputs(args)
        output = module.forward(*args, **kwargs)
        for key, (hook, with_kwargs, _) in list(hooks.post.items()):
            called.add(key)
            result = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
            output = output if result is None else result
        return output if watch is None else watch.outputs(output)
    except Exception:
        for key, (hook, with_kwargs, always) in list(hooks.post.items()):
            if always and key not in called:
                hook(module, args, kwargs, None) if with_kwargs else hook(module, args, None)
        raise


class _Passed(Function):
    """Values as they are, and a function that sees their gradients on the way back."""

    @staticmethod
    def forward(ctx: Any, seen: Callable, *values: Any) -> tuple:
        ctx.seen = seen
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple:
        return (None, *ctx.seen(gradients))


class _Watch:
    """One call of a Module whose gradients are waited for, at its outputs first and then at its inputs."""

    def __init__(self, module: Hooked, hooks: _Tables):
        self._module = module
        self._hooks = hooks
        self._count = 0  # of positional arguments
        self._in: list[int] = []  # which of the arguments, and of the outputs, are tracked
        self._out: list[int] = []
        self._size = 0  # of the outputs
        self._grad_output: tuple | None = None

    def inputs(self, args: tuple) -> tuple:
        self._count, self._in = len(args), _tracked(args)
        return _passing(args, self._in, self._of_inputs)

    def outputs(self, output: Any) -> Any:
        several = isinstance(output, (tuple, list))
        values = tuple(output) if several else (output,)
        self._size, self._out = len(values), _tracked(values)
        passed = _passing(values, self._out, self._of_outputs)
        if not several:
            return passed[0]
        return type(output)(*passed) if hasattr(output, "_fields") else type(output)(passed)

    def _of_outputs(self, gradients: Sequence) -> Sequence:
        found = _placed(gradients, self._out, self._size)
        for hook in list(self._hooks.backward_pre.values()):
            found = _replaced("backward pre-hook", hook(self._module, found), found)
        if self._in:
            self._grad_output = found
        else:
            for hook in list(self._hooks.backward.values()):
                if hook(self._module, (None,) * self._count, found) is not None:
                    raise RuntimeError(
                        f"a backward hook of {type(self._module).__name__} has no gradient to replace: no input is "
                        f"tracked"
                    )
        return [found[i] for i in self._out]

    def _of_inputs(self, gradients: Sequence) -> Sequence:
        # kept any longer, a recorded gradient would close a cycle
        grad_output, self._grad_output = self._grad_output, None
        if grad_output is None:  # a second derivative may come here past the outputs
            return gradients
        found = _placed(gradients, self._in, self._count)
        for hook in list(self._hooks.backward.values()):
            found = _replaced("backward hook", hook(self._module, found, grad_output), found)
        return [found[i] for i in self._in]


def _tracked(values: Sequence) -> list[int]:
    return [i for i, value in enumerate(values) if isinstance(value, Value) and value._tracked]


def _passing(values: tuple, places: list[int], seen: Callable) -> tuple:
    if not places:
        return values
    out = list(values)
    for i, value in zip(places, _Passed.apply(seen, *[values[i] for i in places]), strict=True):
        out[i] = value
    return tuple(out)


def _placed(gradients: Sequence, places: list[int], size: int) -> tuple:
    out: list[Any] = [None] * size
    for i, gradient in zip(places, gradients, strict=True):
        out[i] = gradient
    return tuple(out)


def _replaced(what: str, result: Any, before: tuple) -> tuple:
    """What a hook returned in the place of gradients."""
    if result is None:
        return before
    given = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(given) != len(before):
        raise RuntimeError(
            f"a {what} returns as many gradients as it was given, {len(before)}, or None; this one returned "
            f"{len(given)}"
        )
    return given
