"""The program `orchestrator`, as it is installed: what is fit for a program of its own, and not for who imports us."""

from __future__ import annotations

import gc
from typing import Final, NoReturn

OBJECTS_BETWEEN_ROUNDS: Final = (50_000, 20, 100)
"""What the garbage collector waits for, by generation. Python's own values, made for less memory than there is today,
have it look at every module while modules are loaded: a quarter of the time until `serve` answers."""


def main() -> NoReturn:
    """The entry point of both scripts."""
    gc.set_threshold(*OBJECTS_BETWEEN_ROUNDS)
    # Loading it is what takes the time.
    from process_orchestrator.doors.cli.main import main as run  # noqa: PLC0415

    run()
