"""Unpack a source archive of rustorch: ``python unpack.py ARCHIVE FOLDER``, in the clone that it was built from.

It fails if the archive lacks a file that git tracks: the tests and the docs must run from the archive, too.
"""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

archive, folder = map(Path, sys.argv[1:])
with tarfile.open(archive) as file:
    file.extractall(folder, filter="data")
(inner,) = folder.iterdir()  # the archive's one folder, such as rustorch-0.1.0
for entry in inner.iterdir():
    shutil.move(entry, folder / entry.name)
inner.rmdir()
tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
if missing := [name for name in tracked if not (folder / name).is_file()]:
    sys.exit(f"{archive.name} lacks files that git tracks; see MANIFEST.in: {', '.join(missing)}")
