"""What this namespace can do, and what layers need to know of devices and kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..backends import BY_TYPE, default_device, dtypes, get, loaded, resolve
from .data_type import isdtype

if TYPE_CHECKING:
    from ..backends import Array

__all__ = ["__array_namespace_info__"]

_ROLES = {"real floating": "f", "complex floating": "c", "integral": "i", "indexing": "i"}


class _Info:
    """The answers of `__array_namespace_info__`."""

    def capabilities(self) -> dict[str, Any]:
        """Whether masks may index and shapes may depend on values, and how many dimensions an array may have."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device of new arrays."""
        return default_device()

    def default_dtypes(self, *, device: str | None = None) -> dict[str, Any]:
        """The dtypes of new arrays for "real floating", "complex floating", "integral" and "indexing".

        They are the same on every device.
        """
        get(device or default_device())  # raises if there is no such device
        return {role: dtypes.DEFAULTS[kind] for role, kind in _ROLES.items()}

    def devices(self) -> tuple[str, ...]:
        """The devices of the libraries that are loaded. A library is loaded when its device or array is first used."""
        return tuple([device for backend in loaded() for device in backend.devices()])

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes that a device has, by name.

        Parameters
        ----------
        device : str, optional
            Default: the default device.
        kind : str or tuple of str, optional
            Only dtypes of these kinds: "bool", "signed integer", "unsigned integer", "integral", "real floating",
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
            except (KeyError, AttributeError):  # the library does not have this dtype
                continue
            if kind is None or isdtype(dtype, kind):
                found[name] = dtype
        return found


def __array_namespace_info__() -> _Info:
    """What this namespace can do.

    Returns
    -------
    object
        With the methods ``capabilities``, ``default_device``, ``default_dtypes``, ``devices`` and ``dtypes``.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float32')
    """
    return _Info()


def resolved_device(device: str | None) -> str:
    """The canonical name of a device that can be used: ``"cuda"`` for ``"cuda:0"``, the default device for None.

    Raises
    ------
    TypeError
        If ``device`` is not a string.
    ValueError
        If no device has this name.
    RuntimeError
        If the device cannot be used; the message says why and what to install.
    """
    return resolve(device)


def run_kernel(name: str, *arguments: Any, like: Array) -> Any:
    """Call a kernel on native arrays. Nothing is recorded for derivatives.

    Parameters
    ----------
    name : str
        The kernel's name in ``xp``.
    *arguments
        The kernel's arguments: native arrays, numbers and options.
    like : native array
        The kernel of this array's backend runs, on this array's device.

    Returns
    -------
    native array, or tuple of native arrays and Nones
        What the kernel returns. A library's scalar, which a sum of NumPy's may be, becomes an array of shape ().
    """
    backend = BY_TYPE[type(like)]
    with backend.guard(like):
        out = getattr(backend.xp, name)(*arguments)
    if isinstance(out, (tuple, list)):
        return tuple([None if array is None else backend.as_array(array) for array in out])
    return backend.as_array(out)
