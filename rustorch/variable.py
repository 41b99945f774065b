"""Variable: an array, plus ``requires_grad``, ``grad``, and its place in the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from . import ops
from .autograd import engine, graph, hooks
from .autograd.check import native_of
from .autograd.graph import Node, Value, make
from .backends import BY_TYPE, Array, device_of, dtypes, of
from .ops.from_data import clone, native_array, to_device
from .ops.indexing import getitem, setitem
from .ops.interchange import Interchange
from .ops.operators import Operators
from .rustorch_names import VariableNames, filled, switch

__all__ = ["Variable"]


class Variable(Operators, Interchange, VariableNames, Value):
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : array, number, nested lists of numbers, or Variable
        An array's memory is shared, not copied: a NumPy array lives on "cpu", a CuPy array on its GPU.
    requires_grad : bool
        Whether `backward` shall bring its gradient to ``grad``. A list or tuple in its place is the shape that the
        numbers in ``data`` fill, as in RusTorch's ``Tensor(data, shape)``.
    device : str, optional
        Where it shall live: "cpu", "cuda", "cuda:1", ... Default: where an array is; for Python numbers, the default
        device.
    dtype : dtype, optional
        Default: that of an array; bool, int64, float32 or complex64 for Python numbers.

    Attributes
    ----------
    data : array
        The native array itself.
    grad : array or None
        The gradient, a native array of the same shape, dtype and device; it adds up until `zero_grad`.
    requires_grad : bool
    is_leaf : bool
        Whether it was made by the user and not by an operation that is recorded.

    Raises
    ------
    TypeError
        If ``data`` holds something that is no number, or ``requires_grad`` is neither true nor false.
    ValueError
        If nested lists are ragged, the numbers do not fill the shape, or the device is unknown.
    RuntimeError
        If the device is known but cannot be used, or integers shall require a gradient.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.Variable([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    __array_ufunc__ = None  # numpy defers: ndarray + Variable calls Variable.__radd__
    __array_priority__ = 1000  # the same, for libraries that ask this way

    def __init__(
        self, data: Any, requires_grad: bool | Sequence[int] = False, device: str | None = None, dtype: Any = None
    ):
        shaped = isinstance(requires_grad, (list, tuple))
        tracked = requires_grad is not False and not shaped and switch(type(self).__name__, data, requires_grad)
        if isinstance(data, Value):
            data = data._native
        self._native = native_array(data, dtype, device)
        if shaped:
            self._native = filled(self._native, requires_grad)  # type: ignore[arg-type]
        elif tracked:
            self.requires_grad_(True)

    # -- what it is --------------------------------------------------------------------------------------------------
    @property
    def data(self) -> Array:
        return self._native

    @data.setter
    def data(self, value: Any) -> None:
        native = value._native if isinstance(value, Value) else native_of(value)
        if self._node is not None:
            raise RuntimeError("data of a computed Variable cannot be replaced; detach() it first")
        if self._tracked and not dtypes.is_floating(BY_TYPE[type(native)].dtype_of(native)):
            raise RuntimeError(f"a Variable that requires grad cannot hold {BY_TYPE[type(native)].dtype_of(native)}")
        self._native = native

    @property
    def grad(self) -> Array | None:
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            self._grad = None
            return
        native = value._native if isinstance(value, Value) else native_of(value)
        theirs = make(native)
        if theirs.shape != self.shape or theirs.dtype != self.dtype or theirs.device != self.device:
            raise ValueError(
                f"a gradient has its Variable's shape, dtype and device, {self.shape} {self.dtype} on {self.device!r}; "
                f"this one "
                f"is {theirs.shape} {theirs.dtype} on {theirs.device!r}"
            )
        self._grad = native

    @property
    def requires_grad(self) -> bool:
        return self._tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made it, or None for a leaf."""
        return self._node

    @property
    def shape(self) -> tuple[int, ...]:
        """The size along each axis."""
        return tuple(self._native.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._native.ndim

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
        """Where the memory is: "cpu", "cuda", "cuda:1", ..."""
        return device_of(self._native)

    @property
    def T(self) -> Variable:
        """The transpose of a matrix.

        Raises
        ------
        ValueError
            If it has not two dimensions.
        """
        if self._native.ndim != 2:
            raise ValueError(f"T is of two dimensions, not of the shape {self.shape}; see mT and permute_dims")
        return ops.matrix_transpose(self)

    @property
    def mT(self) -> Variable:
        """The transpose of the last two axes."""
        return ops.matrix_transpose(self)

    @property
    def real(self) -> Variable:
        """The real part."""
        return ops.real(self)

    @property
    def imag(self) -> Variable:
        """The imaginary part of complex numbers."""
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
        return self._native.shape[0]

    def __iter__(self) -> Iterator[Variable]:
        if not self._native.ndim:
            raise TypeError("a Variable without dimensions cannot be iterated")
        return iter(ops.unstack(self))

    __hash__ = object.__hash__

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles of a leaf hold: everything but its hooks, and since when it is tracked."""
        if self._node is not None:
            raise RuntimeError(
                "a computed Variable is not copied or pickled with its graph; use clone() inside it, or detach() it "
                "first"
            )
        return {name: value for name, value in self.__dict__.items() if name not in ("_hooks", "_since")}

    # -- elsewhere, otherwise ------------------------------------------------------------------------------------------
    def to(self, target: Any = None, *, device: str | None = None, dtype: Any = None) -> Variable:
        """On another device, or in another dtype; itself, if it is so already. Gradients find their way back.

        Parameters
        ----------
        target : device string or dtype
            Either, without its name.
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
        """The standard's spelling of `to`."""
        if stream is not None:
            raise ValueError("to_device: streams are the library's own; make the one you want current instead")
        return to_device(self, device)

    def cpu(self) -> Variable:
        """On "cpu"."""
        return to_device(self, "cpu")

    def cuda(self, index: int | None = None) -> Variable:
        """On a GPU."""
        return to_device(self, "cuda" if index is None else f"cuda:{index}")

    def astype(self, dtype: Any, copy: bool = True) -> Variable:
        """In another dtype; as `rustorch.astype`."""
        return ops.astype(self, dtype, copy=copy)

    def float(self) -> Variable:
        """In float32."""
        return ops.astype(self, dtypes.float32, copy=False)

    def double(self) -> Variable:
        """In float64."""
        return ops.astype(self, dtypes.float64, copy=False)

    def detach(self) -> Variable:
        """The same memory, outside the graph."""
        return make(self._native)

    def clone(self) -> Variable:
        """A copy, inside the graph."""
        return clone(self)

    # -- gradients -----------------------------------------------------------------------------------------------------
    def requires_grad_(self, requires_grad: bool = True) -> Variable:
        """Switch tracking of this leaf on or off; returns the Variable.

        Raises
        ------
        RuntimeError
            If it holds integers or booleans, or is not a leaf.
        """
        if requires_grad and not dtypes.is_floating(self.dtype):
            raise RuntimeError(
                f"only floating-point and complex Variables can require gradients, this one is {self.dtype}; convert "
                f"it, as in "
                f"x.astype(rustorch.float32)"
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

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Bring the gradient of this value to every leaf that it was computed from, adding to their ``grad``.

        Parameters
        ----------
        gradient : Variable or array of this shape, optional
            What to start from; needed unless there is one element, whose default is 1.
        retain_graph : bool
            Keep the graph for another backward. By default it is freed on the way.

        Raises
        ------
        RuntimeError
            If nothing here requires grad, a gradient is needed and missing, or the graph was freed.
        ValueError
            If ``gradient`` has another shape.
        """
        engine.run_backward(self, engine.start_of(self, gradient, "backward"), retain_graph)

    def zero_grad(self) -> None:
        """Forget the gradient: ``grad`` is None."""
        self._grad = None

    def retain_grad(self) -> None:
        """Let backward keep the gradient of this computed Variable in ``grad``, too."""
        hooks.retain(self)

    def register_hook(self, hook: Callable[[Variable], Variable | None]) -> hooks.Removable:
        """Call ``hook(gradient)`` whenever the gradient of this Variable has been computed; what it returns replaces
        it.

        Returns
        -------
        Removable
            Whose ``remove()`` takes the hook away.
        """
        return hooks.register(self, hook)

    # -- indexing ------------------------------------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Variable:
        return getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        setitem(self, key, value)


graph.set_variable_class(Variable)
