"""The plan as a Mermaid flowchart, each step coloured by where it stands. Text only; drawing is the reader's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.views.models import StepView

CLASS_OF_STATUS: Final = {
    "waiting": "idle",
    "preparing": "live",
    "calling": "live",
    "backoff": "live",
    "undoing": "live",
    "asking": "human",
    "escalated": "human",
    "done": "good",
    "skipped": "left",
    "undone": "left",
    "failed": "bad",
}
STYLES: Final = (
    "classDef idle fill:#f4f4f5,stroke:#a1a1aa,color:#3f3f46",
    "classDef live fill:#dbeafe,stroke:#2563eb,color:#1e3a8a",
    "classDef human fill:#fef3c7,stroke:#d97706,color:#78350f",
    "classDef good fill:#dcfce7,stroke:#16a34a,color:#14532d",
    "classDef left fill:#f4f4f5,stroke:#a1a1aa,color:#71717a,stroke-dasharray:4",
    "classDef bad fill:#fee2e2,stroke:#dc2626,color:#7f1d1d",
)


def diagram(state: Process, steps: list[StepView]) -> str:
    """A flowchart from top to bottom. Nodes are numbered, so that no name of a step is read as Mermaid's own word."""
    if state.plan is None:
        return 'flowchart TD\n  n0["no plan yet"]\n'
    number = {step.id: f"n{place}" for place, step in enumerate(state.plan.steps)}
    nodes = (f'  {number[row.id]}["{_label(row)}"]:::{CLASS_OF_STATUS[row.status]}' for row in steps)
    lines = ["flowchart TD", *nodes]
    for step in state.plan.steps:
        lines.extend(f"  {number[need]} --> {number[step.id]}" for need in step.needs if need in number)
    lines.extend(f"  {style}" for style in STYLES)
    return "\n".join(lines) + "\n"


def _label(row: StepView) -> str:
    status = f"{row.status}: {row.why}" if row.why else row.status
    if row.items is not None:
        status = f"{status}, {row.items.done}/{row.items.total}"
    if row.rounds is not None:
        status = f"{status}, round {row.rounds.done}/{row.rounds.total}"
    who = " at ".join(part for part in (row.contract, row.agent) if part)
    return "<br/>".join(_plain(part) for part in (row.id, who, status) if part)


def _plain(text: str) -> str:
    """Letters, digits and the few marks our names use; anything else could end the label."""
    return re.sub(r"[^\w .,:/@\[\]#!-]", "", text).replace("[", "#91;").replace("]", "#93;")
