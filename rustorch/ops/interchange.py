"""The values of Variables as Python numbers, NumPy arrays and DLPack capsules; the namespace of Variables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from ..autograd.lost import warn_lost
from ..backends import of

#: The revisions of the standard that ``Variable.__array_namespace__`` accepts.
API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


def public_namespace(api_version: str | None) -> Any:
    """The module that ``Variable.__array_namespace__`` returns.

    Raises
    ------
    ValueError
        If rustorch does not have this revision of the standard.
    """
    if api_version is not None and api_version not in API_VERSIONS:
        raise ValueError(f"rustorch speaks the Array API revisions {', '.join(API_VERSIONS)}, not {api_version!r}")
    return sys.modules["rustorch"]


_Number = TypeVar("_Number", bool, int, float, complex)


class Interchange:
    """Methods that convert a Variable to something outside the graph. They raise or warn if a gradient is lost."""

    if TYPE_CHECKING:  # the attributes of Variable, of which this class is a base

        def __getattr__(self, name: str) -> Any: ...

    def item(self) -> Any:
        """The only element as a Python number outside the graph. Unlike ``float(x)`` it gives no
        `GradientLostWarning`.

        Raises
        ------
        ValueError
            If the Variable has not exactly one element.
        """
        if self.size != 1:
            raise ValueError(f"item() is of one element; the shape {self.shape} has {self.size}")
        return of(self._native).to_numpy(self._native).item()  # type: ignore[union-attr]

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return of(self._native).to_numpy(self._native).tolist()  # type: ignore[union-attr]

    def numpy(self) -> Any:
        """The elements as a NumPy array, which shares memory if possible.

        Raises
        ------
        RuntimeError
            If the Variable requires grad (use ``detach()``) or is not on "cpu" (use ``cpu()``).
        """
        self._may_leave("numpy()")
        return of(self._native).to_numpy(self._native)  # type: ignore[union-attr]

    def _may_leave(self, what: str) -> None:
        if self._tracked:
            raise RuntimeError(
                f"{what} of a Variable that requires grad would lose its gradient; use .detach() first, or .data"
            )
        if self.device != "cpu":
            raise RuntimeError(f"{what} is of Variables on 'cpu', this one is on {self.device!r}; use .cpu() first")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._may_leave("a NumPy array")
        return self._native.__array__(dtype, copy=copy)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The namespace whose functions take Variables: rustorch."""
        return public_namespace(api_version)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """The memory as a DLPack capsule. The options are those of the array's own method.

        Raises
        ------
        BufferError
            If the Variable requires grad, or the array cannot be exported to ``dl_device``.
        """
        if self._tracked:
            raise BufferError("DLPack of a Variable that requires grad would lose its gradient; use .detach() first")
        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        try:
            return self._native.__dlpack__(**{name: value for name, value in options.items() if value is not None})
        except TypeError:  # NumPy before 2.1 takes a stream alone
            if dl_device not in (None, self.__dlpack_device__()):
                raise BufferError(f"DLPack: {self.device!r} exports no array to the device {dl_device}") from None
            return (self._native.copy() if copy else self._native).__dlpack__(stream=stream)
        except (KeyError, ValueError, NotImplementedError) as error:  # older libraries, for an unknown device
            if dl_device is None:
                raise
            raise BufferError(f"DLPack: {self.device!r} exports no array to the device {dl_device}") from error

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self._native.__dlpack_device__()
        return device

    def _as_number(self, kind: type[_Number]) -> _Number:
        if self.size != 1:
            raise TypeError(f"{kind.__name__}() is of one element; the shape {self.shape} has {self.size}")
        if kind in (int, float) and self.dtype.kind == "c":
            raise TypeError(
                f"{kind.__name__}() of a complex number would drop its imaginary part; take x.real first, or complex(x)"
            )
        if self._tracked and kind is not bool:
            warn_lost(kind.__name__)
        return kind(self._native) if self._native.ndim == 0 else kind(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of {self.size} elements is ambiguous; use rustorch.any or rustorch.all")
        return self._as_number(bool)

    def __int__(self) -> int:
        return self._as_number(int)

    def __float__(self) -> float:
        return self._as_number(float)

    def __complex__(self) -> complex:
        return self._as_number(complex)

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise TypeError(f"only an integer without dimensions is an index, not {self.dtype} of shape {self.shape}")
        return self._as_number(int)
