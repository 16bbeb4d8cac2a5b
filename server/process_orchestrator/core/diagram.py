"""The life of a unit drawn from its transition table, for docs/core-transitions.md."""

from __future__ import annotations

from typing import Final

from process_orchestrator.core.facts.values import Phase
from process_orchestrator.core.unit import NEXT

_WITHOUT_EVENT: Final = (
    (Phase.WAITING, Phase.PREPARING, "all needs closed"),
    (Phase.WAITING, Phase.CALLING, "all needs closed, repeat"),
    (Phase.WAITING, Phase.SKIPPED, "fail-fast, cancel"),
    (Phase.WAITING, Phase.ESCALATED, "it had failed, and no other plan came"),
    (Phase.WAITING, Phase.FAILED, "it had failed, and no other plan came"),
    (Phase.ESCALATED, Phase.CALLING, "the money it waited for is there"),
    (Phase.DONE, Phase.UNDOING, "compensation reached it"),
    (Phase.UNDOING, Phase.UNDONE, "its undo is done"),
    (Phase.UNDOING, Phase.DONE, "a human left it"),
)

_MEANS: Final = (
    "Written by `process_orchestrator.core.diagram.page()`; a test compares. An absent pair changes nothing."
)


def diagram() -> str:
    """The transitions as a Mermaid state diagram: one arrow per pair of phases, with the events that lead over it."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {(start, end): [label] for start, end, label in _WITHOUT_EVENT}
    for (phase, event), rule in NEXT.items():
        for end in rule.leads_to:
            arrows.setdefault((phase, end), []).append(event.__name__)
    lines = [f"    {start} --> {end}: {', '.join(labels)}" for (start, end), labels in arrows.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Phase.WAITING}", *lines])


def table() -> str:
    """The transitions as a Markdown table, in the order of the source."""
    rows = [f"| {phase} | {event.__name__} | {', '.join(rule.leads_to)} |" for (phase, event), rule in NEXT.items()]
    return "\n".join(["| phase | event | leads to |", "|---|---|---|", *rows])


def page() -> str:
    """The whole page."""
    return (
        "# The life of a unit\n\n"
        f"{_MEANS}\n"
        "Cancel and fail-fast stop every live phase: what calls stays until it has answered, all else is skipped.\n"
        "A question's deadline that has passed is an EscalationResolved too, made by a timer: reject or abort.\n"
        "A step of a model's plan that failed for good waits for a plan of what is left, which has other steps in its "
        "place.\n"
        "What undoes a unit is a unit of its own with this same life (`post!undo`); while it lives, the one that it "
        "undoes is `undoing`.\n\n"
        f"{table()}\n\n```mermaid\n{diagram()}\n```\n"
    )
