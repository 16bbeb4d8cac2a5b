"""Every limit of a process, with its unit and default.

All effective limits are written into ProcessStarted and read from nowhere else by the core, so a new default never
changes an old run.
"""

from __future__ import annotations

from typing import Final

from process_orchestrator.core.facts.values import Fact

CORE_VERSION: Final = 1
"""Meaning of the events. Raised when a fold of an old journal would decide otherwise."""

PROCESSES_RUNNING_MAX: Final = 100
"""Processes that one embedded engine drives at once; others are queued."""

TOOL_CALL_S_MAX: Final = 25
"""Longest that a tool call of ours may take: desktop hosts cut calls at about 60 s."""

BODY_BYTES_MAX: Final = 1_000_000
"""Default cap of one body, in bytes. A contract may raise it."""

BODY_DEPTH_MAX: Final = 64
"""Default cap of nesting: native validators crash at about 20,000 levels."""


class Limits(Fact, kw_only=True):
    """Limits of one process."""

    steps: int = 30  # steps in a plan
    replans: int = 2  # plans beyond the first
    same_call: int = 3  # calls with one digest
    depth: int = 3  # processes above this one
    deliveries: int = 20  # hand-overs of one call to the performer without an answer
    open_escalations: int = 20  # further units wait
    map_items: int = 10_000  # items of one mapped step
    calls: int = 100  # calls of the whole process, retries included
    total_ms: int = 3_600_000  # time in status running
    tried_kept: int = 20  # newest ended tries of a unit that are kept as evidence


class ChildLimits(Fact, kw_only=True):
    """Limits of one program that the engine starts for an agent. 0: none."""

    memory_mb: int = 2048  # writable memory of one process
    open_files: int = 4096
    processes: int = 16_384  # counted by the system over all programs of the same user


CHILD_LIMITS: Final = ChildLimits()

PIN_CHECK_S: Final = 600.0
"""How long what an agent offers counts as compared with its pin, while it says nothing of a change."""
"""Of an installation whose settings say nothing."""
