"""What this namespace can do, for programs that ask."""

from __future__ import annotations

from typing import Any

from ..backends import default_device, dtypes, get, loaded
from .data_type import isdtype

__all__ = ["__array_namespace_info__"]

_ROLES = {"real floating": "f", "complex floating": "c", "integral": "i", "indexing": "i"}


class _Info:
    """The answers of `__array_namespace_info__`."""

    def capabilities(self) -> dict[str, Any]:
        """Boolean masks may index, shapes may depend on values, and an array has at most 64 dimensions."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device of new arrays."""
        return default_device()

    def default_dtypes(self, *, device: str | None = None) -> dict[str, Any]:
        """The dtypes of new arrays, by "real floating", "complex floating", "integral" and "indexing": the same on
        every device.
        """
        get(device or default_device())  # names what is wrong with a device that is none
        return {role: dtypes.DEFAULTS[kind] for role, kind in _ROLES.items()}

    def devices(self) -> tuple[str, ...]:
        """The devices of the libraries that are loaded; another one joins when its device is named or its array
        arrives.
        """
        return tuple([device for backend in loaded() for device in backend.devices()])

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes by name.

        Parameters
        ----------
        device : str, optional
            Where; default: the default device.
        kind : str or tuple of str, optional
            Only those of these kinds: "bool", "signed integer", "unsigned integer", "integral", "real floating",
            "complex floating", "numeric".

        Raises
        ------
        ValueError
            If the kind or the device is unknown.
        """
        backend = get(device or default_device())
        found = {}
        for name, dtype in dtypes.NAMES.items():
            try:
                backend.native_dtype(dtype)
            except (KeyError, AttributeError):  # the library lacks it
                continue
            if kind is None or isdtype(dtype, kind):
                found[name] = dtype
        return found


def __array_namespace_info__() -> _Info:
    """What the namespace can do, as an object with the methods capabilities, default_device, default_dtypes, devices
    and dtypes.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float32')
    """
    return _Info()
