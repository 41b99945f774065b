"""The texts in a file beside the arrays: the user's metadata, and rustorch's own entry with the structure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import header

__all__ = ["json_names_of", "own_entry", "texts_of", "values_of", "whole_header"]

#: The name of rustorch's own entry in a file's metadata.
_OWN_ENTRY = "rustorch"
#: The version of that entry.
_VERSION = 1


def texts_of(metadata: Any) -> dict[str, str]:
    """The user's metadata as strings: a string as it is, another value as JSON."""
    texts: dict[str, str] = {}
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"save: metadata is a dict of strings or of what JSON can hold, not {type(metadata).__name__}")
    for name, value in (metadata or {}).items():
        if not isinstance(name, str):
            raise TypeError(f"save: names of metadata are strings, not {name!r}")
        if name == _OWN_ENTRY:
            raise ValueError(f"save: the name {_OWN_ENTRY!r} in metadata is rustorch's own; take another one")
        try:
            texts[name] = value if isinstance(value, str) else json.dumps(value)
            (name + texts[name]).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"save: metadata[{name!r}] is no Unicode text: {error}") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"save: metadata[{name!r}] is neither a string nor what JSON can hold: {error}") from error
    return texts


def json_names_of(metadata: Mapping[str, Any] | None) -> list[str]:
    """The names of the user's metadata that are stored as JSON."""
    return [name for name, value in (metadata or {}).items() if not isinstance(value, str)]


def values_of(texts: Mapping[str, str], json_names: Any) -> dict[str, Any]:
    """The user's metadata."""
    return {
        name: json.loads(text) if name in json_names else text for name, text in texts.items() if name != _OWN_ENTRY
    }


def whole_header(
    described: dict[str, tuple[str, tuple[int, ...]]],
    node: Any,
    is_plain: bool,
    texts: Mapping[str, str],
    json_names: list[str],
) -> tuple[bytes, list[str]]:
    """The header of a file with an object, and the names of its tensors in the order of their bytes.

    Parameters
    ----------
    described : dict
        Name -> (name of the dtype, shape) of each tensor.
    node : object
        The structure of the object as JSON.
    is_plain : bool
        Whether the file needs no structure.
    texts : mapping of str to str
        The user's metadata.
    json_names : list of str
        The names of those that are JSON.
    """
    own: dict[str, Any] = {} if is_plain else {"tree": node}
    if json_names:
        own["json"] = json_names
    texts = dict(texts)
    if own:
        texts[_OWN_ENTRY] = json.dumps({"version": _VERSION, **own}, separators=(",", ":"))
    return header.write(described, texts)


def own_entry(texts: Mapping[str, str]) -> dict[str, Any]:
    """rustorch's own entry in a file's metadata; an empty dict if there is none."""
    if _OWN_ENTRY not in texts:
        return {}
    entry = header.parse(texts[_OWN_ENTRY])
    if (
        not isinstance(entry, dict)
        or type(entry.get("version")) is not int
        or not isinstance(entry.get("json", []), list)
    ):
        raise ValueError(f"the entry {_OWN_ENTRY!r} of its metadata is not what rustorch writes")
    if entry["version"] > _VERSION:
        raise ValueError(
            f"a newer rustorch wrote it, in version {entry['version']} of the structure; this one reads up to "
            f"{_VERSION}"
        )
    return entry
