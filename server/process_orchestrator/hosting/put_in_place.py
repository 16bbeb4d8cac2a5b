"""Gives a finished file its name, so that after a power cut it is there whole or not at all."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def put_in_place(draft: Path, path: Path) -> None:
    """Rename a synced draft; returns once the name is durable. Both are in one folder."""
    draft.replace(path)
    if sys.platform == "win32":
        return  # a folder cannot be opened there; the system writes names through
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
