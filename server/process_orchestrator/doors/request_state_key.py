"""The key that seals what a client carries between the rounds of one question; kept, so that a restart loses none.

One per state folder, shared by all doors of a home. Not a credential: it proves that we wrote a state, never who asks.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

FILE_NAME: Final = "request_state.key"
KEY_BYTES: Final = 32


def request_state_key(state_dir: Path) -> bytes:
    """Read the key, or create it readable by its owner alone; doors that start at once agree on one."""
    path = state_dir / FILE_NAME
    if not path.exists():
        draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            if not path.exists():
                _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        message = f"{path} is no key of {KEY_BYTES} bytes; remove it, and questions asked before are asked again"
        raise ValueError(message)
    return key


def _publish(draft: Path, path: Path) -> None:
    """Give the finished file its name; the first door wins."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
