"""What takes a step's effect back, seen as a step of its own: so every rule for calls holds for undoing calls too.

Not when or in which order that happens: that is `compensate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core.assurance import highest
from process_orchestrator.core.facts.specs import StepFacts
from process_orchestrator.core.facts.values import OnFailure, StepKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.core.facts.specs import Undo

_ASK: Final[Mapping[str, OnFailure]] = {"else": OnFailure.ESCALATE}


def undoing(step: StepFacts) -> StepFacts:
    """The step that undoes a step. Where nothing is declared that does, it has no contract and no agent."""
    undo = step.undo
    if undo is None:
        return StepFacts(
            id=step.id,
            kind=StepKind.CALL,
            effect=step.effect,
            on_failure=dict(_ASK),
            decision_level=step.decision_level,
            role=step.role,
        )
    return replace(
        _declared(step, undo),
        decision_level=highest(step.decision_level, undo.decision_level),
        answer_level=undo.answer_level,
        role=undo.role or step.role,
    )


def _declared(step: StepFacts, undo: Undo) -> StepFacts:
    return StepFacts(
        id=step.id,
        kind=StepKind.HUMAN if undo.human else StepKind.CALL,
        contract=undo.contract,
        effect=undo.effect,
        idempotency=undo.idempotency,
        attempt_ms=undo.attempt_ms,
        total_ms=undo.total_ms,
        retry=undo.retry,
        errors=undo.errors,
        agents=undo.agents,
        on_failure=dict(_ASK),
        human=undo.human,
    )
