"""Looks at a database file before SQLite does: may it be trusted? Reads bytes only, so a refused file stays untouched.

Not a check of its content: `verification` reads every row. docs/journal-format.md names the fields read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.chain import CHAIN_KEY_FILE

DATABASE_FILE: Final = "orchestrator.db"
APPLICATION_ID: Final = 0x50724F72  # "PrOr"
SCHEMA_VERSION: Final = 1

MAGIC: Final = b"SQLite format 3\x00"
HEADER_BYTES: Final = 100


def check_database_file(state: Path) -> bool:
    """Whether there is a database. Raises StorageError, naming the file, for one that cannot be trusted."""
    path = state / DATABASE_FILE
    if not path.exists():
        if (state / CHAIN_KEY_FILE).exists():
            raise StorageError(
                f"{path} is missing, but {state / CHAIN_KEY_FILE} says that there was one. "
                "Do: restore it from a backup, or remove that key to begin with an empty journal."
            )
        return False
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise StorageError(f"{path} is no SQLite database: its header is damaged. Do: restore it from a backup.")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise StorageError(
            f"{path} belongs to another program (application id {application:#010x}). Do: choose another state folder."
        )
    version = int.from_bytes(header[60:64], "big")
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"{path} has schema {version}, this is schema {SCHEMA_VERSION}. Do: use the newer command that wrote it."
        )
    _check_length(path, header)
    return True


def _check_length(path: Path, header: bytes) -> None:
    """A file shorter than its header says was cut, unless a write-ahead log may still hold the rest."""
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size > 0:
        return
    page = int.from_bytes(header[16:18], "big")
    size = (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    if path.stat().st_size < size:
        raise StorageError(f"{path} is cut: {path.stat().st_size} bytes of {size}. Do: restore it from a backup.")
