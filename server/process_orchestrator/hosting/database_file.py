"""Looks at a database file before SQLite does: may it be trusted? Reads bytes only, so a refused file stays untouched.

Not a check of its content: `verification` reads every row. docs/journal-format.md names the fields read here.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.chain import CHAIN_KEY_FILE

DATABASE_FILE: Final = "orchestrator.db"
APPLICATION_ID: Final = 0x50724F72  # "PrOr"
SCHEMA_VERSION: Final = 1

MAGIC: Final = b"SQLite format 3\x00"
HEADER_BYTES: Final = 100
PAGE_SIZES: Final = frozenset(2**power for power in range(9, 17))
ROLLBACK_MODE: Final = 1
"""Byte 18 of a file that is written without a write-ahead log: a backup of ours, or one that is being made."""


def check_database_file(state: Path, *, migrates: bool = False) -> bool:
    """Whether there is a database. Raises StorageError, naming the file, for one that cannot be trusted.

    One of an older schema is for those alone who bring it to the newest (`migrates`).
    """
    path = state / DATABASE_FILE
    kind = _kind_of(path)
    if kind is None:
        if (state / CHAIN_KEY_FILE).exists():
            raise StorageError(
                f"{path} is missing, but {state / CHAIN_KEY_FILE} says that there was one. "
                "Do: restore it from a backup, or remove that key to begin with an empty journal."
            )
        return False
    if not stat.S_ISREG(kind):
        raise StorageError(
            f"{path} is no plain file: by a link two state folders could write one database. "
            "Do: put the database itself there, or name its own folder with --state."
        )
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror}. Do: run this as the user to whom it belongs."
        ) from error
    _check_header(path, header, migrates=migrates)
    _check_length(path, header)
    return True


def newer_schema(path: Path, found: int) -> StorageError:
    return StorageError(
        f"{path} has schema {found}, this is schema {SCHEMA_VERSION}. Do: use the newer command that wrote it."
    )


def _kind_of(path: Path) -> int | None:
    """The mode of what stands there, a link as itself; None where there is nothing."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"{path} cannot be looked at: {error.strerror}. Do: make the state folder readable."
        ) from error


def _check_header(path: Path, header: bytes, *, migrates: bool) -> None:
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC) or _page_bytes(header) not in PAGE_SIZES:
        raise StorageError(f"{path} is no SQLite database: its header is damaged. Do: restore it from a backup.")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise StorageError(
            f"{path} belongs to another program (application id {application:#010x}). Do: choose another state folder."
        )
    version = int.from_bytes(header[60:64], "big")
    if version > SCHEMA_VERSION:
        raise newer_schema(path, version)
    if version == 0:
        raise StorageError(f"{path} names no schema: its header is damaged. Do: restore it from a backup.")
    if version < SCHEMA_VERSION and not migrates:
        raise StorageError(
            f"{path} has schema {version}, this is schema {SCHEMA_VERSION}. Do: start an engine once "
            "(`orchestrator serve`): it keeps a copy and brings the database to the newest schema."
        )
    if header[18] == ROLLBACK_MODE and _log_bytes(path):
        raise StorageError(
            f"{path}-wal is the log of another state of this database, as after a restore from a backup. "
            f"Do: move {path.name}-wal and {path.name}-shm away."
        )


def _page_bytes(header: bytes) -> int:
    page = int.from_bytes(header[16:18], "big")
    return 65_536 if page == 1 else page


def _log_bytes(path: Path) -> int:
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0


def _check_length(path: Path, header: bytes) -> None:
    """A file shorter than its header says was cut, unless a write-ahead log may still hold the rest."""
    if _log_bytes(path):
        return
    size = _page_bytes(header) * int.from_bytes(header[28:32], "big")
    if path.stat().st_size < size:
        raise StorageError(f"{path} is cut: {path.stat().st_size} bytes of {size}. Do: restore it from a backup.")
