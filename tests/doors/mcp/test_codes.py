"""Every refusal of the product has one of the codes that the interface names."""

from __future__ import annotations

import re
from pathlib import Path

from process_orchestrator.core.errors import PUBLIC_CODES

SOURCES = Path(__file__).parents[3] / "server" / "process_orchestrator"
NAMED = [
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
    "STORAGE_FULL",
    "ENGINE_UNAVAILABLE",
    "ENGINE_VERSION",
]
AN_ANSWER = "NEEDS_HUMAN"  # doors make a result of it


def test_the_codes_are_those_of_the_interface() -> None:
    assert set(PUBLIC_CODES) == set(NAMED)


def test_no_refusal_has_another_code() -> None:
    made = re.compile(r"""(?:RefusedError|Refusal|refuse)\(\s*(?:code=)?["']([A-Z_]{4,})["']""")
    found = {code for file in SOURCES.rglob("*.py") for code in made.findall(file.read_text(encoding="utf-8"))}
    assert len(found) > 10
    assert found <= {*NAMED, AN_ANSWER}
