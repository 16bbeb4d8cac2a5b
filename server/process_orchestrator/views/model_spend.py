"""What language models took in one process, by stage: pure sums over its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from process_orchestrator.core.facts.values import Usage
    from process_orchestrator.core.trace import Numbered

AGENTS: Final = "agents"
"""Calls of agents that count tokens."""

_ORDER: Final = (Stage.INTAKE.value, Stage.PLAN.value, AGENTS, Stage.BRIEF.value)


@dataclass(slots=True, kw_only=True)
class Spend:
    """The answers of one stage. `unknown` are those that nobody priced; `usd_micros` is then a lower bound."""

    stage: str
    answers: int = 0
    tokens: int = 0
    usd_micros: int = 0
    unknown: int = 0


def model_spend(events: Iterable[Numbered]) -> list[Spend]:
    """One row for each stage that asked a model and was told what that took, in the order of a process's life."""
    rows: dict[str, Spend] = {}
    for each in events:
        found = _used(each.event)
        if found is None:
            continue
        stage, tokens, usd_micros = found
        row = rows.setdefault(stage, Spend(stage=stage))
        row.answers += 1
        row.tokens += tokens or 0
        row.usd_micros += usd_micros or 0
        row.unknown += usd_micros is None
    return [rows[stage] for stage in _ORDER if stage in rows]


def _used(event: e.Event) -> tuple[str, int | None, int | None] | None:
    match event:
        case e.TaskClassified(usage=usage):
            return _of(Stage.INTAKE, usage)
        case e.PlanProposed(usage=usage):
            return _of(Stage.PLAN, usage)
        case e.BriefWritten(usage=usage):
            return _of(Stage.BRIEF, usage)
        case e.StageFailed(usage=usage):
            return _of(event.stage, usage)
        case e.CallSucceeded() | e.CallFailed() if event.tokens is not None:
            return AGENTS, event.tokens, event.usd_micros
        case _:
            return None


def _of(stage: Stage, usage: Usage) -> tuple[str, int | None, int | None] | None:
    """Rules take nothing, and a model that was not reached says nothing."""
    if usage.tokens is None and usage.usd_micros is None:
        return None
    return stage.value, usage.tokens, usage.usd_micros
