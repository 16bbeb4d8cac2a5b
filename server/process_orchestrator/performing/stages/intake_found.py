"""What intake found before it had to ask a person: written with its failure, shown as evidence of the question."""

from __future__ import annotations

from typing import Any, Final

from process_orchestrator.checking.schemas.validate import encode_body, ref_of
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.core.ports import Body

Json = Any

TASK_CHARACTERS_MAX: Final = 2000
FIELD: Final = "intake"


class Found(Fact, frozen=True, kw_only=True):
    """As far as intake came. `read` is masked where its type marks it; `missing` are names."""

    task: str
    process_type: str | None = None
    said: str | None = None  # the type that a model named without being sure
    candidates: tuple[dict[str, Json], ...] = ()
    read: Json = None
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def detail_of(message: str, found: Found) -> Body:
    """The body of a StageFailed."""
    task = found.task[:TASK_CHARACTERS_MAX]
    shown = {
        "task": task if len(task) == len(found.task) else f"{task}… ({len(found.task)} characters)",
        "process_type": found.process_type,
        "said": found.said,
        "candidates": list(found.candidates),
        "read": found.read,
        "dropped": list(found.dropped),
        "missing": list(found.missing),
    }
    kept = {name: value for name, value in shown.items() if value not in (None, [], {})}
    data = encode_body({"errors": [{"message": message}], FIELD: kept})
    return Body(ref=ref_of(data), data=data)


def shown_of(detail: dict[str, Json]) -> list[tuple[str, str, Json]]:
    """Label, origin and value of each thing that intake found, as evidence."""
    found = detail.get(FIELD)
    if not isinstance(found, dict):
        return []
    rows = (
        ("the task", "input", "task"),
        ("process type", "engine", "process_type"),
        ("process type that the model named, unsure of it", "agent", "said"),
        ("process types that may be meant", "engine", "candidates"),
        ("what was read out of the task", "agent", "read"),
        ("what was said and does not stand in the task", "engine", "dropped"),
        ("what the task lacks", "engine", "missing"),
    )
    return [(label, origin, found[name]) for label, origin, name in rows if name in found]
