"""Public data for the examples: fetched once, checked, kept in a cache folder."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

CHUNK = 1 << 16  # bytes between two looks at the progress bar


def cache_folder(name: str) -> Path:
    """The folder for a data set's files: in $XDG_CACHE_HOME where that is set, in ~/.cache otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rustorch" / name


def fetch(url: str, sha256: str, target: Path, otherwise: str, unpack: Callable[[bytes], bytes] | None = None) -> Path:
    """Bring a file from a URL, unless it is there: checked first, it appears whole or not at all.

    Parameters
    ----------
    url : str
        Where it comes from.
    sha256 : str
        The checksum, as hexadecimal digits, of what is kept: the unpacked content where `unpack` is given.
    target : Path
        Where it is kept. A file with this checksum is left as it is, without a look at the network; another one is
        replaced.
    otherwise : str
        What to do where it cannot be had, such as "get input.txt by other means and name it, as in --data FILE"; ends
        each error.
    unpack : callable, optional
        Makes the content of what was fetched, for example `gzip.decompress`.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    ValueError
        If the file cannot be fetched, is damaged, is another one, or cannot be written.
    """
    if target.is_file() and _checksum(target.read_bytes()) == sha256:
        return target
    try:
        content = _download(url, target.name)
        if unpack is not None:
            content = unpack(content)
    # URLError and BadGzipFile are OSErrors; an answer that breaks off is an HTTPException, a packed file that does an
    # EOFError
    except (OSError, EOFError, http.client.HTTPException, zlib.error) as error:
        raise ValueError(f"{url} cannot be fetched ({error}); {otherwise}") from error
    if _checksum(content) != sha256:
        raise ValueError(f"{url} is not the file that it was: its checksum differs; {otherwise}")
    try:
        _write(target, content)
    except OSError as error:
        raise ValueError(f"{url} cannot be kept in {target.parent} ({error}); {otherwise}") from error
    return target


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(url: str, name: str) -> bytes:
    content = bytearray()
    with urllib.request.urlopen(url, timeout=30) as answer:
        length = getattr(answer, "length", None)  # unknown: none was announced, or it is no HTTP
        with tqdm(desc=name, total=length, unit="B", unit_scale=True) as bar:
            while chunk := answer.read(CHUNK):
                content += chunk
                bar.update(len(chunk))
    if (
        length is not None and len(content) < length
    ):  # http.client lets an answer that breaks off pass for whole, read in pieces
        raise EOFError(f"it broke off after {len(content):,} of {length:,} bytes")
    return bytes(content)


def _write(target: Path, content: bytes) -> None:
    """Under a passing name first: whoever looks sees the whole file or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        path = Path(part.name)
    try:
        path.write_bytes(content)
        path.replace(target)
    except BaseException:
        path.unlink()
        raise
