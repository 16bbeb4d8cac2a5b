"""Failures as the core writes them down: of a call, of a stage, of a lost call, of a rule or a human."""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core.codes import classify
from process_orchestrator.core.facts.state import Failure
from process_orchestrator.core.facts.values import Outcome

if TYPE_CHECKING:
    from process_orchestrator.core.facts.events import CallFailed, ChildFinished, StageFailed
    from process_orchestrator.core.facts.state import Unit


def of_call(unit: Unit, event: CallFailed) -> Failure:
    """What the performer says of a call; it has classified the code already."""
    return Failure(
        code=event.code,
        blame=event.blame,
        class_=event.class_,
        outcome=event.outcome,
        step=unit.step,
        unit=unit.id,
        call=event.call,
        pointer=event.pointer,
        rule=event.rule,
        message=event.message,
        detail=event.detail,
    )


def of_child(unit: Unit, event: ChildFinished) -> Failure:
    """How a child ended that did not complete. Its own journal is answered for: nothing about it is unknown."""
    code = event.code or "cancelled"
    facts = classify(code)
    return Failure(
        code=code,
        blame=event.blame or facts.blame,
        class_=event.class_ or facts.class_,
        outcome=Outcome.NOT_DONE,
        step=unit.step,
        unit=unit.id,
        call=event.call,
        message=event.message,
    )


def of_stage(event: StageFailed) -> Failure:
    """A stage calls no agent, so nothing was done."""
    return Failure(
        code=event.code,
        blame=event.blame,
        class_=classify(event.code).class_,
        outcome=Outcome.NOT_DONE,
        step=event.step,
        unit=event.step,
        pointer=event.pointer,
        message=event.message,
        detail=event.detail,
    )


def of_code(code: str, unit: Unit | None = None, *, call: str | None = None, rule: str | None = None) -> Failure:
    """What no performer reports: a call without an answer, a limit, a human's word. The code says the rest."""
    facts = classify(code)
    return Failure(
        code=code,
        blame=facts.blame,
        class_=facts.class_,
        outcome=facts.outcome,
        step=unit.step if unit is not None else None,
        unit=unit.id if unit is not None else None,
        call=call,
        rule=rule,
    )
