"""Makes a backup of a live database: one moment of it in one file, verified before it gets its name.

Reads only, so it works beside an engine. The keys of the state folder are not in it. Restoring is a copy by hand, with
the engine stopped: docs/operating.md.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
import msgspec

from process_orchestrator.core.errors import RefusedError, StorageError, StorageFullError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.hosting.database import copy_database
from process_orchestrator.hosting.database_file import DATABASE_FILE, check_database_file
from process_orchestrator.hosting.disk_room import why_not_writable
from process_orchestrator.hosting.kept_copies import BACKUP, copy_name
from process_orchestrator.hosting.verification import verify_copy

if TYPE_CHECKING:
    from collections.abc import Callable

NOTE_FILE: Final = "last_backup.json"
"""What the newest backup held: `doctor` holds the journal against its head."""


class BackupReport(Fact, frozen=True, kw_only=True):
    """A finished backup. `head` is the chain link of its last row; `at` in epoch milliseconds."""

    file: str
    at: int
    bytes: int
    rows: int
    head: str

    def as_json(self) -> dict[str, Any]:
        return msgspec.to_builtins(self)


async def backup(
    state: Path, file: Path | None = None, *, progress: Callable[[int, int], None] | None = None
) -> BackupReport:
    """Back a database up, in a thread. Without `file` into the folder `backups` of the state folder.

    `progress` is told in that thread how many pages of how many are copied. Raises RefusedError BAD_ARGUMENT where
    there is nothing to back up or the file is there, StorageError where the copy cannot be made or does not verify.
    """
    return await anyio.to_thread.run_sync(lambda: backup_now(state, file, progress=progress))


def backup_now(
    state: Path, file: Path | None = None, *, progress: Callable[[int, int], None] | None = None
) -> BackupReport:
    """As `backup`, in the thread of the caller."""
    if not check_database_file(state):
        raise RefusedError("BAD_ARGUMENT", f"{state} holds no database yet.", do="name another home with --home.")
    target = file.absolute() if file is not None else copy_name(state, BACKUP)
    if target.exists():
        raise RefusedError("BAD_ARGUMENT", f"{target} is there already.", do="name a file that is not.")
    if not target.parent.is_dir():
        raise RefusedError("BAD_ARGUMENT", f"{target.parent} is no folder.", do="make it, or name another file.")
    draft = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        copy_database(state / DATABASE_FILE, draft, progress=progress)
        report = verify_copy(draft, state)
        if report.first_bad is not None:
            raise StorageError(
                f"the copy of {state / DATABASE_FILE} does not verify: {report.first_bad.what}. "
                "Do: run `orchestrator verify`; keep the backups that you have."
            )
        draft.replace(target)
    except OSError as error:
        raise StorageFullError(
            f"STORAGE_FULL: {target} cannot be written: {why_not_writable(target, error.strerror or str(error))}"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    made = BackupReport(
        file=str(target),
        at=round(dt.datetime.now(dt.UTC).timestamp() * 1000),
        bytes=target.stat().st_size,
        rows=report.rows,
        head=report.head,
    )
    _note(state, made)
    return made


def last_backup(state: Path) -> BackupReport | None:
    """The newest backup that was made of a state folder, as it was noted then."""
    try:
        return msgspec.json.decode((state / NOTE_FILE).read_bytes(), type=BackupReport)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _note(state: Path, made: BackupReport) -> None:
    draft = state / f"{NOTE_FILE}.{os.getpid()}.new"
    try:
        draft.write_bytes(msgspec.json.encode(made))
        draft.replace(state / NOTE_FILE)
    except OSError:  # the disk of the state folder is full, which is when backups are made: the backup stands
        draft.unlink(missing_ok=True)
