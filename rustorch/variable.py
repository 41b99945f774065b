"""Variable: an array with a gradient and a place in the graph, and its methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from . import ops
from .autograd import engine, graph, hooks, leaf_hooks
from .autograd.check import native_of
from .autograd.graph import Node, Value, make
from .backends import BY_TYPE, Array, device_of, dtypes, of
from .ops.from_data import clone, native_array, to_device
from .ops.indexing import getitem, setitem
from .ops.interchange import Interchange
from .ops.operators import Operators
from .rustorch_names import VariableNames, shape_or_requires_grad

if TYPE_CHECKING:
    from .typing import ArrayLike, DTypeLike

__all__ = ["Variable"]


class Variable(Operators, Interchange, VariableNames, Value):
    """An array that knows how it was computed, so that gradients can flow back through it.

    Parameters
    ----------
    data : array, number, nested lists of numbers, or Variable
        An array's memory is shared, not copied: a NumPy array lives on "cpu", a CuPy array on its GPU.
    requires_grad : bool
        Whether `backward` computes its gradient and stores it in ``grad``.
    device : str, optional
        "cpu", "cuda", "cuda:1", ... Default: the device of an array; for Python numbers, the default device.
    dtype : dtype, optional
        Default: the dtype of an array; bool, int64, float32 or complex64 for Python numbers.

    Attributes
    ----------
    data : array
        The native array itself.
    grad : array or None
        The gradient, a native array of the same shape, dtype and device. Each backward adds to it until `zero_grad`.
    requires_grad : bool
    is_leaf : bool
        Whether no recorded operation computed it.

    Raises
    ------
    TypeError
        If ``data`` holds something that is no number, or ``requires_grad`` is neither true nor false.
    ValueError
        If nested lists are ragged, or the device is unknown.
    RuntimeError
        If the device is known but cannot be used, or integers are to require a gradient.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.Variable([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    __array_ufunc__ = None  # NumPy defers: ndarray + Variable calls Variable.__radd__
    __array_priority__ = 1000  # the same for libraries that ask for a priority

    def __init__(
        self,
        data: ArrayLike | Sequence[Any],
        requires_grad: bool = False,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        if isinstance(data, Value):
            data = data._native
        if type(requires_grad) is not bool:
            data, requires_grad = shape_or_requires_grad(
                type(self).__name__, data, requires_grad, lambda: native_array(data, dtype, device)
            )
        self._native = native_array(data, dtype, device)
        if requires_grad:
            self.requires_grad_(True)

    # -- attributes --------------------------------------------------------------------------------------------------
    @property
    def data(self) -> Array:
        """The native array itself. Writing into it is not recorded."""
        return self._native

    @data.setter
    def data(self, value: ArrayLike) -> None:
        native = value._native if isinstance(value, Value) else native_of(value)
        if self._node is not None:
            raise RuntimeError("data of a computed Variable cannot be replaced; detach() it first")
        if self._tracked and not dtypes.is_floating(BY_TYPE[type(native)].dtype_of(native)):
            raise RuntimeError(f"a Variable that requires grad cannot hold {BY_TYPE[type(native)].dtype_of(native)}")
        self._native = native

    @property
    def grad(self) -> Array | None:
        """The gradient, a native array of the same shape, dtype and device, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Variable | Array | None) -> None:
        if value is None:
            self._grad = None
            return
        native = value._native if isinstance(value, Value) else native_of(value)
        gradient = make(native)
        if gradient.shape != self.shape or gradient.dtype != self.dtype or gradient.device != self.device:
            raise ValueError(
                f"a gradient has its Variable's shape, dtype and device, {self.shape} {self.dtype} on {self.device!r}; "
                f"this one is {gradient.shape} {gradient.dtype} on {gradient.device!r}"
            )
        self._grad = native

    @property
    def requires_grad(self) -> bool:
        """Whether backward computes its gradient. Settable on a leaf of floating-point numbers."""
        return self._tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation computed it."""
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that computed it, or None for a leaf."""
        return self._node

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return tuple(self._native.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        count: int = self._native.ndim
        return count

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self._native.shape)

    @property
    def dtype(self) -> Any:
        """The dtype, a NumPy one on every device."""
        return BY_TYPE[type(self._native)].dtype_of(self._native)

    @property
    def device(self) -> str:
        """The device that holds the memory: "cpu", "cuda", "cuda:1", ..."""
        return device_of(self._native)

    @property
    def T(self) -> Variable:
        """The transpose of a matrix.

        Raises
        ------
        ValueError
            If it does not have two dimensions.
        """
        if self._native.ndim != 2:
            raise ValueError(f"T is of two dimensions, not of the shape {self.shape}; see mT and permute_dims")
        return ops.matrix_transpose(self)

    @property
    def mT(self) -> Variable:
        """The array with the last two dimensions exchanged."""
        return ops.matrix_transpose(self)

    @property
    def real(self) -> Variable:
        """The real part."""
        return ops.real(self)

    @property
    def imag(self) -> Variable:
        """The imaginary part."""
        return ops.imag(self)

    def __repr__(self) -> str:
        backend = of(self._native)
        assert backend is not None
        notes = []
        if self.dtype not in dtypes.DEFAULTS.values():
            notes.append(f"dtype={self.dtype}")
        if self.device != "cpu":
            notes.append(f"device={self.device!r}")
        if self._node is not None:
            notes.append(f"grad_fn=<{self._node.primitive.name}>")
        elif self._tracked:
            notes.append("requires_grad=True")
        name = type(self).__name__
        return f"{name}({', '.join([backend.text(self._native, len(name) + 1), *notes])})"

    # -- text and parts ----------------------------------------------------------------------------------------------
    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.ndim == 0 else format(repr(self), spec)

    def __len__(self) -> int:
        if not self._native.ndim:
            raise TypeError("a Variable without dimensions has no length")
        count: int = self._native.shape[0]
        return count

    def __iter__(self) -> Iterator[Variable]:
        if not self._native.ndim:
            raise TypeError("a Variable without dimensions cannot be iterated")
        return iter(ops.unstack(self))

    __hash__ = object.__hash__

    def __getstate__(self) -> dict[str, Any]:
        """The attributes that copies and pickles of a leaf hold: all but its hooks, its number in the graph, and its
        group of ranks. The copy of a piece is an array for itself.
        """
        if self._node is not None:
            raise RuntimeError(
                "a computed Variable is not copied or pickled with its graph; use clone() inside it, or detach() it "
                "first"
            )
        left_out = ("_hooks", "_post_hooks", "_since", "_sharding")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    # -- other devices and dtypes ------------------------------------------------------------------------------------
    def to(self, target: DTypeLike = None, *, device: str | None = None, dtype: DTypeLike = None) -> Variable:
        """The same values on another device or in another dtype; itself if nothing changes. Gradients flow back.

        Parameters
        ----------
        target : device string or dtype
            One of the two by position.
        device : str, optional
        dtype : dtype, optional
        """
        if target is not None:
            if isinstance(target, str) and not dtypes.is_name(target):
                device = target
            else:
                dtype = target
        out: Any = self
        if device is not None:
            out = to_device(out, device)
        return out if dtype is None else ops.astype(out, dtype, copy=False)

    def to_device(self, device: str, /, *, stream: Any = None) -> Variable:
        """The same values on another device: the standard's name for `to`."""
        if stream is not None:
            raise ValueError("to_device takes no stream; make the stream you want the library's current one instead")
        return to_device(self, device)

    def cpu(self) -> Variable:
        """The same values on "cpu"."""
        return to_device(self, "cpu")

    def cuda(self, index: int | None = None) -> Variable:
        """The same values on a GPU: the first, or the one with this number."""
        return to_device(self, "cuda" if index is None else f"cuda:{index}")

    def astype(self, dtype: DTypeLike, copy: bool = True) -> Variable:
        """The same values in another dtype, as `rustorch.astype`."""
        return ops.astype(self, dtype, copy=copy)

    def float(self) -> Variable:
        """The same values in float32."""
        return ops.astype(self, dtypes.float32, copy=False)

    def double(self) -> Variable:
        """The same values in float64."""
        return ops.astype(self, dtypes.float64, copy=False)

    def detach(self) -> Variable:
        """A Variable with the same memory outside the graph."""
        return make(self._native)

    def clone(self) -> Variable:
        """A copy inside the graph: gradients flow back through it."""
        return clone(self)

    # -- gradients -----------------------------------------------------------------------------------------------------
    def requires_grad_(self, requires_grad: bool = True) -> Variable:
        """Set ``requires_grad`` of this leaf; returns the Variable.

        Raises
        ------
        RuntimeError
            If it holds integers or booleans, or is not a leaf.
        """
        if requires_grad and not dtypes.is_floating(self.dtype):
            raise RuntimeError(
                f"only floating-point and complex Variables can require gradients, this one is {self.dtype}; convert "
                f"it, as in x.astype(rustorch.float32)"
            )
        if self._node is not None:
            if not requires_grad:
                raise RuntimeError(
                    "a computed Variable requires grad because its inputs do; use detach() to leave the graph"
                )
            return self
        if not requires_grad:
            self._tracked = False
        elif not self._tracked:
            graph.track(self)
        return self

    def backward(self, gradient: ArrayLike | None = None, retain_graph: bool = False) -> None:
        """Compute the gradients of all leaves that this value was computed from, and add them to their ``grad``.

        Parameters
        ----------
        gradient : Variable or array of this shape, optional
            The gradient of this value. Default: 1, for a value of one element.
        retain_graph : bool
            Keep the graph for another backward. By default backward frees it.

        Raises
        ------
        RuntimeError
            If this value does not require grad, a gradient is needed and missing, or the graph was freed.
        ValueError
            If ``gradient`` has another shape.
        """
        engine.run_backward(self, engine.start_of(self, gradient, "backward"), retain_graph)

    def zero_grad(self) -> None:
        """Set ``grad`` to None."""
        self._grad = None

    def retain_grad(self) -> None:
        """Let backward store the gradient of this computed Variable in ``grad``, as it does for leaves."""
        hooks.retain(self)

    def register_hook(self, hook: Callable[[Variable], Variable | None]) -> hooks.Removable:
        """Call ``hook(gradient)`` whenever backward has computed the gradient of this Variable.

        Parameters
        ----------
        hook : callable
            Gets the gradient as a Variable. A Variable that it returns replaces the gradient; None leaves it.

        Returns
        -------
        Removable
            Its ``remove()`` takes the hook away.
        """
        return hooks.register(self, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Variable], None]) -> leaf_hooks.RemovableLeafHook:
        """Call ``hook(self)`` in each backward as soon as ``grad`` of this leaf is complete, while backward goes on.

        Parameters
        ----------
        hook : callable
            Gets this Variable, whose ``grad`` it may read, replace or set to None. It returns None.

        Returns
        -------
        RemovableLeafHook
            Its ``remove()`` takes the hook away.

        Raises
        ------
        RuntimeError
            If this Variable is computed, or does not require grad.

        Examples
        --------
        >>> import rustorch
        >>> x = rustorch.Variable([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
        >>> (x * x).sum().backward()
        [2. 4.]
        """
        return leaf_hooks.watch(self, hook)

    # -- indexing ------------------------------------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Variable:
        return getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        setitem(self, key, value)


graph.set_variable_class(Variable)
