"""The exclusive lock of a state folder: whoever holds it is the engine, the only program that writes the database.

The operating system holds it for the life of the program, kill -9 included. What an engine does is `embedded`'s.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE: Final = "engine.lock"

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _take(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class EngineLock:
    """A held lock. Closing it, or the end of the program, lets it go. The file itself stays."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def try_lock(state: Path) -> EngineLock | None:
    """Take the lock of a state folder, or None at once where another program holds it. Raises StorageError."""
    path = state / LOCK_FILE
    try:
        # Not inherited by agents: a child that outlives us must not keep the home locked.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error}. Do: make the state folder writable.") from error
    if _take(descriptor):
        return EngineLock(descriptor)
    os.close(descriptor)
    return None
