"""What a caller says of a redrive. Apart from `redriving`, which loads what only a redrive needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RedriveRequest:
    """Which ended process, and what is to be different.

    `from_step` runs again with all that needs it, done or not; without it what is not done runs. `input` replaces the
    whole input. `again` names steps whose effect may happen a second time. `pinned` keeps the definitions that the
    process was pinned to; else those of the files hold. `key` makes another process than the first redrive made.
    """

    process_id: str
    from_step: str | None = None
    input: Any = None
    again: tuple[str, ...] = ()
    pinned: bool = False
    key: str | None = None
    label: str | None = None
