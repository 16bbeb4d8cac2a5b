"""The codes that the interface names, written out: a test never reads the table that it checks."""

from __future__ import annotations

from typing import Final

BY_THE_REQUEST: Final = (
    "UNKNOWN_PROCESS",
    "UNKNOWN_ESCALATION",
    "UNKNOWN_PROCESS_TYPE",
    "UNKNOWN_CONTRACT",
    "UNKNOWN_STEP",
    "UNKNOWN_AGENT",
    "LINEAGE_REFUSED",
    "INPUT_MISMATCH",
    "AMBIGUOUS_TASK",
    "NEEDS_MODEL",
    "KEY_REUSED",
    "VERSION_CONFLICT",
    "ALREADY_RESOLVED",
    "DECISION_NOT_ALLOWED",
    "BUDGET_INVALID",
    "REPEAT_REFUSED",
    "BAD_ARGUMENT",
    "TOO_LARGE",
)
"""What a request is refused with that should have been another."""

BY_THE_ENGINE: Final = ("STORAGE_FULL", "ENGINE_UNAVAILABLE", "ENGINE_VERSION")
"""What is answered where the request may be right and nothing can be done with it now."""
