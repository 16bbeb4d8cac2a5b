"""Every refusal of the product has one of the codes that the interface names."""

from __future__ import annotations

import re
from pathlib import Path

from doors.mcp.interface import BY_THE_ENGINE, BY_THE_REQUEST
from process_orchestrator.core.errors import PUBLIC_CODES

NAMED = {*BY_THE_REQUEST, *BY_THE_ENGINE}
SOURCES = Path(__file__).parents[3] / "server" / "process_orchestrator"
AN_ANSWER = "NEEDS_HUMAN"  # doors make a result of it


def test_the_codes_are_those_of_the_interface() -> None:
    assert set(PUBLIC_CODES) == NAMED


def test_no_refusal_has_another_code() -> None:
    made = re.compile(r"""(?:RefusedError|Refusal|refuse)\(\s*(?:code=)?["']([A-Z_]{4,})["']""")
    found = {code for file in SOURCES.rglob("*.py") for code in made.findall(file.read_text(encoding="utf-8"))}
    assert len(found) > 10
    assert found <= {*NAMED, AN_ANSWER}
