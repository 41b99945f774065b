"""The Array API standard, chapter by chapter: tables of primitives, each derivative beside its function."""

from __future__ import annotations

import sys
from typing import Any

from . import (
    constants,
    creation,
    data_type,
    elementwise,
    indexing,
    linear_algebra,
    manipulation,
    network,  # noqa: F401
    searching,
    sorting,
    statistical,
    utility,
)
from .constants import *  # noqa: F403
from .creation import *  # noqa: F403
from .data_type import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .indexing import *  # noqa: F403
from .linear_algebra import *  # noqa: F403
from .manipulation import *  # noqa: F403
from .searching import *  # noqa: F403
from .sorting import *  # noqa: F403
from .statistical import *  # noqa: F403
from .utility import *  # noqa: F403

#: Revisions of the standard that Variables may be asked to speak.
API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")

CHAPTERS = (
    constants,
    creation,
    data_type,
    elementwise,
    indexing,
    linear_algebra,
    manipulation,
    searching,
    sorting,
    statistical,
    utility,
)

__all__ = [name for chapter in CHAPTERS for name in chapter.__all__]


def public_namespace(api_version: str | None) -> Any:
    """The module that ``Variable.__array_namespace__`` returns.

    Raises
    ------
    ValueError
        If the revision of the standard is not one that rustorch speaks.
    """
    if api_version is not None and api_version not in API_VERSIONS:
        raise ValueError(f"rustorch speaks the Array API revisions {', '.join(API_VERSIONS)}, not {api_version!r}")
    return sys.modules["rustorch"]
