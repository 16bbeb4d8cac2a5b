"""Says why a file cannot be written now, and how much room there is. Asks the operating system, not SQLite."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "win32":
    import resource

SCARCE_BYTES: Final = 50_000_000
"""Free room under which an operator is told, in bytes."""
LITTLE_BYTES: Final = 1_000_000
"""Free room that may be too little for one transaction, in bytes."""


def free_bytes(folder: Path) -> int:
    """Room that is left for this user on the file system of a folder."""
    return shutil.disk_usage(folder).free


def why_not_writable(path: Path, said: str) -> str:
    """The likeliest reason in words, and what to do. `said` is how SQLite put it."""
    folder = path.parent
    if _mounted_read_only(folder):
        return f"its file system is read-only ({said}). Do: make it writable again."
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return f"this user may not write it ({said}). Do: give the state folder back to its user."
    if free_bytes(folder) < LITTLE_BYTES:
        return f"there is no room ({said}). Do: free some space on the disk of {folder}."
    limit = _largest_file()
    if limit is not None and any(size + LITTLE_BYTES > limit for size in _sizes(path)):
        return f"no file of this program may pass {limit} bytes ({said}). Do: raise the file-size limit (ulimit -f)."
    return f"there is no room ({said}). Do: free some space on the disk of {folder}, or raise the quota or limit."


def _sizes(path: Path) -> list[int]:
    """Sizes of a database and of its log."""
    return [file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists()]


def _mounted_read_only(folder: Path) -> bool:
    if sys.platform == "win32":
        return False
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _largest_file() -> int | None:
    if sys.platform == "win32":
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit
