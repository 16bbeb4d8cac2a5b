"""The chain over journal rows: an HMAC of each row and of the one before it, and the keys of a state folder.

It names an edited, deleted or reordered row, and a cut tail against a published head. It proves nothing against who
holds the key.
"""

from __future__ import annotations

import hmac
import os
import secrets
import struct
from pathlib import Path
from typing import Final

from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.put_in_place import put_in_place

CHAIN_KEY_FILE: Final = "chain.key"
HOME_KEY_FILE: Final = "home.key"
KEY_BYTES: Final = 32
GENESIS: Final = bytes(32)
"""What the first row is chained to."""
_FIXED: Final = struct.Struct(">QQqI")


def link(key: bytes, previous: bytes, *, row_id: int, process: str, seq: int, at: int, turn: bytes) -> bytes:
    """HMAC-SHA256 over the previous link and one row; lengths are covered, so that fields cannot flow together."""
    name = process.encode()
    return hmac.digest(key, b"".join((previous, _FIXED.pack(row_id, seq, at, len(name)), name, turn)), "sha256")


def read_key(path: Path) -> bytes:
    """A key of the state folder. Raises StorageError where it is missing or not whole."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        raise StorageError(f"{path} is missing. Do: restore it from the backup that holds the journal.") from None
    if len(key) != KEY_BYTES:
        raise StorageError(f"{path} is damaged: {len(key)} bytes, not {KEY_BYTES}. Do: restore it from a backup.")
    return key


def make_key(path: Path) -> bytes:
    """Create a key, readable by its owner alone and whole or not there; an existing one is read."""
    if path.exists():
        return read_key(path)
    key = secrets.token_bytes(KEY_BYTES)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    put_in_place(draft, path)
    return key
