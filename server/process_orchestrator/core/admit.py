"""May this outside event enter? Compares hashes, versions and levels only: bodies were checked before.

The order is the law: whoever comes late learns who won, before anything is said about his own request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.core.assurance import required_assurance, sufficient
from process_orchestrator.core.escalate import may_skip
from process_orchestrator.core.facts.events import EscalationResolved
from process_orchestrator.core.facts.state import Escalation, Refusal
from process_orchestrator.core.facts.values import Decision, EscalationKind
from process_orchestrator.core.money import usd

if TYPE_CHECKING:
    from process_orchestrator.core.facts.events import OutsideEvent
    from process_orchestrator.core.facts.state import Process

RAISE_USD_MICROS_MAX: Final = 1_000_000_000_000_000
"""Most that one answer adds, a billion dollars: sums of it stay far from what a journal can hold."""

_CHECKED_DATA: Final = frozenset({Decision.RETRY_WITH_INPUT, Decision.USE_OUTPUT, Decision.ANSWER})


def admit(state: Process, event: OutsideEvent) -> Refusal | None:
    """Why an outside event may not enter, or None. A cancel always may: of an ended process it changes nothing."""
    if not isinstance(event, EscalationResolved):
        return None
    escalation = state.escalations.get(event.escalation)
    if escalation is None:
        return Refusal(code="UNKNOWN_ESCALATION", message=f"no escalation {event.escalation} in this process")
    if not escalation.open:
        said = "withdrawn" if escalation.withdrawn else "resolved"
        return Refusal(code="ALREADY_RESOLVED", message=f"{escalation.id} was {said} already", record=escalation)
    if state.set_aside is not None and state.set_aside != escalation.id:
        return Refusal(
            code="DECISION_NOT_ALLOWED",
            message=f"the process is set aside: {state.set_aside} must be decided first",
            record=escalation,
        )
    if event.version is not None and event.version != escalation.version:
        return Refusal(
            code="VERSION_CONFLICT",
            message=f"{escalation.id} has version {escalation.version}, not {event.version}",
            record=escalation,
        )
    if event.decision not in escalation.decisions:
        offered = ", ".join(escalation.decisions)
        return Refusal(
            code="DECISION_NOT_ALLOWED", message=f"{event.decision} is not one of {offered}", record=escalation
        )
    need = required_assurance(
        event.decision,
        kind=escalation.kind,
        level=escalation.min_assurance,
        answer_level=escalation.answer_level,
    )
    if not sufficient(event.assurance, need):
        return Refusal(
            code="NEEDS_HUMAN",
            message=f"{event.decision} needs {need}, this is {event.assurance}",
            required=need,
            record=escalation,
        )
    return _data_refused(escalation, event) or _argument_refused(state, escalation, event)


def _data_refused(escalation: Escalation, event: EscalationResolved) -> Refusal | None:
    """Data must have been checked against the very definition that is pinned."""
    if event.decision in _CHECKED_DATA:
        pinned = escalation.contract_sha256
    elif event.decision is Decision.CHOOSE_TYPE and event.process_type is not None:
        pinned = event.process_type.sha256
    elif event.decision is Decision.CHOOSE_TYPE:
        return Refusal(code="INPUT_MISMATCH", message="choose_type needs a process type", record=escalation)
    else:
        return None
    if event.data is None or pinned is None or event.checked != pinned:
        return Refusal(
            code="INPUT_MISMATCH",
            message=f"{event.decision} needs data that was checked against {pinned}",
            record=escalation,
        )
    return None


def _argument_refused(state: Process, escalation: Escalation, event: EscalationResolved) -> Refusal | None:
    """What a decision names must exist, and an amount must be one."""
    if event.decision is Decision.USE_AGENT and event.agent not in _serving(state, escalation):
        return Refusal(code="UNKNOWN_AGENT", message=f"no agent {event.agent} serves this contract", record=escalation)
    if event.decision is Decision.RAISE_BUDGET and not 0 < (event.usd_micros or 0) <= RAISE_USD_MICROS_MAX:
        message = f"raise_budget needs an amount over 0, at most {usd(RAISE_USD_MICROS_MAX)} USD"
        return Refusal(code="BUDGET_INVALID", message=message, record=escalation)
    if event.decision is Decision.SKIP and _is_used(state, escalation):
        message = f"another plan uses what {escalation.unit} gives: it cannot be skipped any more"
        return Refusal(code="DECISION_NOT_ALLOWED", message=message, record=escalation)
    if not event.reject_items or event.decision is not Decision.APPROVE:
        return None
    count = state.units[escalation.unit].count if escalation.unit is not None else None
    if escalation.kind is not EscalationKind.APPROVAL or count is None:
        return Refusal(code="BAD_ARGUMENT", message="only a map has items to reject", record=escalation)
    if not all(0 <= item < count for item in event.reject_items):
        return Refusal(code="BAD_ARGUMENT", message=f"items are 0 to {count - 1}", record=escalation)
    return None


def _is_used(state: Process, escalation: Escalation) -> bool:
    """Whether a step that was offered to be skipped is bound by a plan that was made since then."""
    unit = state.units[escalation.unit] if escalation.unit is not None else None
    return unit is not None and unit.undoes is None and not may_skip(unit, state.facts(unit))


def _serving(state: Process, escalation: Escalation) -> tuple[str, ...]:
    assert escalation.unit is not None  # only a failed unit offers another agent
    return tuple(agent.name for agent in state.facts(state.units[escalation.unit]).agents)
