"""Names the copies of a database that are kept beside it, finds them, and prunes those of migrations."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

COPIES_FOLDER: Final = "backups"
BACKUP: Final = "backup"
BEFORE_MIGRATION: Final = "before-schema-"
PRIVATE_FOLDER: Final = 0o700


def copy_name(state: Path, kind: str) -> Path:
    """A file name that is free, in the folder of copies, which is made: `backups/KIND-20261122T181500Z.db`."""
    folder = state / COPIES_FOLDER
    folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    candidate, number = folder / f"{kind}-{stamp}.db", 1
    while candidate.exists():
        number += 1
        candidate = folder / f"{kind}-{stamp}-{number}.db"
    return candidate


def copies(state: Path, kind: str) -> list[Path]:
    """Copies of one kind, oldest first."""
    folder = state / COPIES_FOLDER
    found = folder.glob(f"{kind}*.db") if folder.is_dir() else ()
    return sorted(found, key=lambda file: (file.stat().st_mtime_ns, file.name))


def prune(state: Path, kind: str, *, keep: int) -> None:
    """Remove all but the newest copies of one kind. A backup that a person asked for is never removed."""
    for file in copies(state, kind)[:-keep]:
        file.unlink(missing_ok=True)
