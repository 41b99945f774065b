"""The Array API standard, chapter by chapter: tables of primitives, each derivative beside its function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    constants,
    creation,
    data_type,
    elementwise,
    indexing,
    manipulation,
    searching,
    sets,
    sorting,
    statistical,
    utility,
)
from . import fft as _fft  # noqa: F401
from . import linalg as _linalg  # noqa: F401
from . import network as _network  # noqa: F401
from .constants import *  # noqa: F403
from .creation import *  # noqa: F403
from .data_type import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .indexing import *  # noqa: F403
from .interchange import API_VERSIONS as API_VERSIONS
from .interchange import public_namespace as public_namespace
from .linalg import products
from .linalg.products import *  # noqa: F403
from .manipulation import *  # noqa: F403
from .searching import *  # noqa: F403
from .sets import *  # noqa: F403
from .sorting import *  # noqa: F403
from .statistical import *  # noqa: F403
from .utility import *  # noqa: F403

CHAPTERS = (
    constants,
    creation,
    data_type,
    elementwise,
    indexing,
    products,
    manipulation,
    searching,
    sets,
    sorting,
    statistical,
    utility,
)

if not TYPE_CHECKING:  # a type checker cannot read a computed list; without one, it exports all public names
    __all__ = [name for chapter in CHAPTERS for name in chapter.__all__]
