"""Downloads public data for the examples once, checks it, and keeps it in a cache folder."""

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

CHUNK = 1 << 16  # bytes between two updates of the progress bar


def cache_folder(name: str) -> Path:
    """The folder for the files of a data set: in $XDG_CACHE_HOME if that is set, otherwise in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rustorch" / name


def fetch(url: str, sha256: str, target: Path, otherwise: str, unpack: Callable[[bytes], bytes] | None = None) -> Path:
    """Download a file, unless it is already there. It is checked first, and appears whole or not at all.

    Parameters
    ----------
    url : str
        The address of the file.
    sha256 : str
        The checksum of the kept file, as hexadecimal digits. With `unpack`, it is that of the unpacked content.
    target : Path
        Where the file is kept. An existing file with this checksum is used without the network; another one is
        replaced.
    otherwise : str
        What to do if the download fails, such as "get input.txt by other means and name it, as in --data FILE". It is
        the end of each error message.
    unpack : callable, optional
        Makes the content from the downloaded bytes, for example `gzip.decompress`.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    ValueError
        If the file cannot be fetched, is damaged, has another checksum, or cannot be written.
    """
    if target.is_file() and _checksum(target.read_bytes()) == sha256:
        return target
    try:
        content = _download(url, target.name)
        if unpack is not None:
            content = unpack(content)
    # URLError and BadGzipFile are OSErrors. A broken answer is an HTTPException, a broken packed file an EOFError.
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
        length = getattr(answer, "length", None)  # None if the server does not send it
        with tqdm(desc=name, total=length, unit="B", unit_scale=True) as bar:
            while chunk := answer.read(CHUNK):
                content += chunk
                bar.update(len(chunk))
    # http.client raises no error if an answer ends too early while it is read in pieces
    if length is not None and len(content) < length:
        raise EOFError(f"it broke off after {len(content):,} of {length:,} bytes")
    return bytes(content)


def _write(target: Path, content: bytes) -> None:
    """Write the file under a temporary name first, so that others see the whole file or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        path = Path(part.name)
    try:
        path.write_bytes(content)
        path.replace(target)
    except BaseException:
        path.unlink()
        raise
