"""Questions to humans: which are asked, which decisions each offers, how many are open at once, how they close.

Not what an answer does: that is `resolve`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import bounds, deadlines, keys, orders
from process_orchestrator.core.assurance import highest
from process_orchestrator.core.facts.state import Escalation
from process_orchestrator.core.facts.values import Assurance, Decision, EscalationKind, Money, OnFailure, Phase, Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import EscalationOpened, EscalationResolved
    from process_orchestrator.core.facts.specs import StepFacts
    from process_orchestrator.core.facts.state import Failure, Unit

DECISIONS: Final[Mapping[EscalationKind, tuple[Decision, ...]]] = {
    EscalationKind.APPROVAL: (Decision.APPROVE, Decision.REJECT, Decision.ABORT),
    EscalationKind.FAILED: (
        Decision.RETRY,
        Decision.RETRY_WITH_INPUT,
        Decision.USE_OUTPUT,
        Decision.USE_AGENT,
        Decision.SKIP,
        Decision.ABORT,
    ),
    EscalationKind.OUTCOME_UNKNOWN: (Decision.USE_OUTPUT, Decision.RETRY, Decision.SKIP, Decision.ABORT),
    EscalationKind.TASK: (Decision.ANSWER, Decision.REJECT, Decision.ABORT),
    EscalationKind.PLAN: (Decision.APPROVE, Decision.REJECT, Decision.ABORT),
    EscalationKind.INTAKE: (Decision.CHOOSE_TYPE, Decision.ABORT),
    EscalationKind.BUDGET: (Decision.RAISE_BUDGET, Decision.ABORT),
    EscalationKind.LOOP: (Decision.RETRY, Decision.ABORT),
    EscalationKind.DRIFT: (Decision.RETRY, Decision.ABORT),
    EscalationKind.UNDO_FAILED: (Decision.RETRY, Decision.SKIP, Decision.ABORT),
}
"""Every decision of a kind, in the order shown. `offered` leaves out what is not allowed now."""

_WITHOUT_UNIT: Final = (Decision.RETRY, Decision.ABORT)
"""What can be decided about a failed stage of the process."""

_NEEDS_A_CALL: Final = frozenset({Decision.RETRY, Decision.RETRY_WITH_INPUT, Decision.USE_AGENT})


def offered(kind: EscalationKind, *, unit: Unit, step: StepFacts, may_call: bool) -> tuple[Decision, ...]:
    """The decisions of a kind that are allowed for this unit as it stands."""
    if kind is EscalationKind.UNDO_FAILED and not unit.call:  # nothing is declared that could be called
        return DECISIONS[kind][1:]
    if kind not in (EscalationKind.FAILED, EscalationKind.OUTCOME_UNKNOWN):
        return DECISIONS[kind]
    whole_map = step.is_map and unit.item is None
    checkable = step.contract is not None and not whole_map  # data is checked against the contract of a call
    allowed = {
        Decision.RETRY_WITH_INPUT: checkable and not unit.outcome_unknown,
        Decision.USE_OUTPUT: checkable,
        Decision.USE_AGENT: not whole_map and _other_agent_may(unit, step),
        Decision.SKIP: may_skip(unit, step),
    }
    return tuple(
        decision
        for decision in DECISIONS[kind]
        if allowed.get(decision, True) and (may_call or decision not in _NEEDS_A_CALL)
    )


def _other_agent_may(unit: Unit, step: StepFacts) -> bool:
    if unit.outcome_unknown and not keys.repeatable(step):
        return False
    if unit.agent is None:  # it failed before one was chosen
        return len(step.agents) > 1
    return any(agent.name != unit.agent.name for agent in step.agents)


def may_skip(unit: Unit, step: StepFacts) -> bool:
    """Whether no later step, of the plan as it is followed now, lacks what this one would have given."""
    if unit.skipping:  # its default was tried and cannot be evaluated
        return False
    if unit.item is not None:  # a hole in the list is what the plan check foresaw, or nobody reads the list
        return step.item_failure is OnFailure.SKIP or not step.bound_by
    return step.has_default or not step.bound_by


def ask(draft: Draft, unit: Unit, kind: EscalationKind) -> None:
    """Put a unit before a human; it waits for a free place while too many questions are open."""
    phase = Phase.ASKING if kind is EscalationKind.APPROVAL else Phase.ESCALATED
    unit = draft.put(
        replace(unit, phase=phase, wants=kind, escalation=None, timer=None, wait_until=None, why=Why.HUMAN)
    )
    if draft.escalations_waiting or full(draft):
        draft.escalations_waiting += (unit.id,)
    else:
        open_question(draft, unit, kind)


def full(draft: Draft) -> bool:
    """Whether no further question may be open."""
    return draft.escalations_open >= draft.spec.limits.open_escalations


def let_in(draft: Draft) -> None:
    """Open the questions of waiting units, in order, while there are free places."""
    while draft.escalations_waiting and not full(draft):
        unit = draft.units[draft.escalations_waiting[0]]
        draft.escalations_waiting = draft.escalations_waiting[1:]
        assert unit.wants is not None
        open_question(draft, unit, unit.wants)


def open_question(draft: Draft, unit: Unit, kind: EscalationKind) -> None:
    """Open the question about a unit; there is a free place for it."""
    step = draft.facts(unit)
    level, role = step.decision_level, step.role
    if kind is EscalationKind.TASK:
        level = step.answer_level
    elif kind is EscalationKind.APPROVAL and unit.gate is not None:
        level, role = highest(level, unit.gate.min_assurance), unit.gate.role
    escalation = _register(
        draft,
        Escalation(
            id="",
            kind=kind,
            unit=unit.id,
            step=unit.step,
            call=keys.call_id(unit.id, unit.call) if unit.call else None,
            digest=unit.digest,
            decisions=offered(kind, unit=unit, step=step, may_call=_may_call(draft, unit)),
            min_assurance=level,
            answer_level=step.answer_level,
            role=role,
            contract_sha256=step.contract.sha256 if step.contract is not None else None,
            money=_money(draft, unit) if kind is EscalationKind.BUDGET else None,
        ),
    )
    draft.put(replace(unit, escalation=escalation.id))


def _may_call(draft: Draft, unit: Unit) -> bool:
    """Whether another call of this unit is not refused at once."""
    unpriced = unit.failure is not None and unit.failure.rule == bounds.UNKNOWN
    return not unpriced and bounds.exhausted(draft) is None


def _money(draft: Draft, unit: Unit) -> Money:
    """How the budget stands now: what the question says stays as it was said."""
    return Money(
        needed_usd_micros=unit.reserve_usd_micros or 0,
        spent_usd_micros=draft.usd_micros,
        reserved_usd_micros=draft.reserved_usd_micros,
        cap_usd_micros=draft.spec.budget.usd_micros,
    )


def ask_about_process(
    draft: Draft, kind: EscalationKind, failure: Failure | None = None, *, money: Money | None = None
) -> None:
    """Ask about the process as a whole: its plan, its intake, a stage that failed. Takes no place of a unit's."""
    plan = draft.plan or draft.spec.plan  # one that was given may not be begun yet
    draft.stage, draft.stage_failure = None, failure
    _register(
        draft,
        Escalation(
            id="",
            kind=kind,
            digest=plan.sha256 if plan is not None and kind is EscalationKind.PLAN else None,
            decisions=_WITHOUT_UNIT if kind is EscalationKind.FAILED else DECISIONS[kind],
            min_assurance=highest(plan.server_floor, plan.type_level) if plan is not None else Assurance.A2,
            role=plan.role if plan is not None else "approver",
            money=money,
        ),
    )


def ask_about_drift(draft: Draft) -> str:
    """Ask whether the process goes on with what this core decides. What it waits for else stays as it is."""
    plan = draft.plan or draft.spec.plan
    level = highest(plan.server_floor, plan.type_level) if plan is not None else Assurance.A2
    role = plan.role if plan is not None else "approver"
    kind = EscalationKind.DRIFT
    asked = Escalation(id="", kind=kind, decisions=DECISIONS[kind], min_assurance=level, role=role)
    return _register(draft, asked).id


def _register(draft: Draft, escalation: Escalation) -> Escalation:
    """Number an escalation, give it its deadline, order its package computed and its timer started."""
    draft.escalations_opened += 1
    draft.escalations_open += 1
    number = keys.escalation_id(draft.spec.process_id, draft.escalations_opened)
    escalation = deadlines.given(draft, replace(escalation, id=number, opened_at=draft.now))
    draft.put_escalation(escalation)
    draft.order(orders.open_escalation(draft, escalation))
    deadlines.start(draft, escalation)
    return escalation


def packaged(draft: Draft, event: EscalationOpened) -> bool:
    """Note the evidence package of an open escalation. It was part of the question: no change of its version."""
    escalation = draft.escalations.get(event.escalation)
    if escalation is None or not escalation.open or escalation.package is not None:
        return False
    draft.put_escalation(
        replace(escalation, package=event.package, schema_sha256=event.schema_sha256, opened_seq=draft.before.seq + 1)
    )
    return True


def resolved(draft: Draft, escalation: Escalation, resolution: EscalationResolved) -> None:
    """Close an escalation with its answer; a timer that gave it is over already."""
    draft.escalations_open -= 1
    if resolution.channel != deadlines.CHANNEL:
        deadlines.stop(draft, escalation)
    draft.put_escalation(
        replace(
            escalation,
            open=False,
            version=escalation.version + 1,
            resolution=resolution,
            resolved_seq=draft.before.seq + 1,
        )
    )


def withdraw_all(draft: Draft) -> None:
    """Close every open escalation without an answer: nothing is left to decide."""
    draft.escalations_waiting = ()
    draft.escalations_open = 0
    for escalation in tuple(draft.escalations.values()):
        if escalation.open:
            deadlines.stop(draft, escalation)
            draft.put_escalation(replace(escalation, open=False, withdrawn=True, version=escalation.version + 1))
