"""A definition with every default filled in, as `contracts show` and `processes show` print it."""

from __future__ import annotations

import json
from typing import Any

from process_orchestrator.checking.documents.defaults import filled
from process_orchestrator.checking.documents.definitions import Agent, Contract, ProcessType


def show(definition: Contract | ProcessType | Agent) -> dict[str, Any]:
    """The definition as one could have written it in full: it loads again, and means the same."""
    written = json.loads(definition.source.canonical)
    if isinstance(definition, Agent):
        return filled("agent", written)
    return filled("contract" if isinstance(definition, Contract) else "process", written)
