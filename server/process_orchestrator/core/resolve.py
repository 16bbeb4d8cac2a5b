"""What each human decision does, once it was admitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import (
    budget,
    calling,
    compensate,
    ending,
    escalate,
    failures,
    gate,
    keys,
    loops,
    maps,
    redriven,
    rounds,
    schedule,
    settle,
    stage,
)
from process_orchestrator.core.facts.values import Decision, EscalationKind, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import EscalationResolved
    from process_orchestrator.core.facts.state import Failure, Unit


def about_process(draft: Draft, event: EscalationResolved) -> None:
    """A decision about the plan, the intake or a failed stage."""
    escalation = draft.escalations[event.escalation]
    escalate.resolved(draft, escalation, event)
    failure, draft.stage_failure = draft.stage_failure, None
    if event.decision is Decision.APPROVE:
        draft.plan_approved = True
        stage.take_up(draft)
    elif event.decision is Decision.REJECT:
        if not stage.propose_again(draft, rejected=event):
            ending.fail(draft, failures.of_code("rejected"))
    elif event.decision is Decision.RETRY:
        _retry_stage(draft, failure)
    elif event.decision is Decision.CHOOSE_TYPE:
        stage.chosen(draft, event)
    elif event.decision is Decision.RAISE_BUDGET:
        assert event.usd_micros is not None  # admitted
        budget.raise_cap(draft, event.usd_micros)
        stage.go_on(draft)
    else:
        ending.abort(draft)


def _retry_stage(draft: Draft, failure: Failure | None) -> None:
    """Plan anew; where that was a loop, one round more. A process that was stopped before its start is started."""
    rule = failure.rule if failure is not None else None
    if rule == loops.DEPTH:
        stage.begin(draft)
    else:
        stage.propose(draft, plan_round=draft.plan_round + 1 if rule == loops.NO_PROGRESS else 1)


def about_unit(draft: Draft, unit: Unit, event: EscalationResolved) -> None:
    """A decision about one unit."""
    escalation = draft.escalations[event.escalation]
    escalate.resolved(draft, escalation, event)
    if event.decision is Decision.RETRY and escalation.kind is EscalationKind.OUTCOME_UNKNOWN:
        unit = redriven.retried(draft, unit)
        if event.fresh_key:
            unit = replace(unit, outcome_unknown=False)  # a human answers for it that nothing was done
    _DO[event.decision](draft, unit, event)


def _approve(draft: Draft, unit: Unit, event: EscalationResolved) -> None:
    """The exact arguments are approved; the call is made under the key it was prepared with."""
    unit = replace(unit, approved_digest=unit.digest)
    if draft.is_map(unit):
        maps.open_items(draft, replace(unit, rejected=tuple(sorted(set(event.reject_items)))))
    else:
        gate.proceed(draft, unit)


def _reject(draft: Draft, unit: Unit, _event: EscalationResolved) -> None:
    settle.settle_rejected(draft, unit, failures.of_code("rejected", unit))


def _retry(draft: Draft, unit: Unit, event: EscalationResolved) -> None:
    if not draft.is_map(unit):
        granted = draft.escalations[event.escalation].kind is EscalationKind.LOOP
        fresh = _afresh(draft, unit)
        calling.prepare(draft, loops.begun(fresh) if granted else fresh)
    elif maps.all_closed(unit):
        maps.collect(draft, unit)
    else:
        schedule.open_map(draft, unit)


def _retry_with_input(draft: Draft, unit: Unit, event: EscalationResolved) -> None:
    calling.prepare(draft, replace(_afresh(draft, unit), override=event.data, approved_digest=None))


def _use_output(draft: Draft, unit: Unit, event: EscalationResolved) -> None:
    schedule.close(
        draft,
        replace(
            unit,
            phase=Phase.DONE,
            output=event.data,
            failure=None,
            outcome_unknown=False,
            author=event.by,
            author_assurance=event.assurance,
        ),
    )


def _use_agent(draft: Draft, unit: Unit, event: EscalationResolved) -> None:
    calling.prepare(draft, replace(_afresh(draft, unit), only_agent=event.agent))


def _skip(draft: Draft, unit: Unit, _event: EscalationResolved) -> None:
    schedule.skip(draft, unit)


def _abort(draft: Draft, unit: Unit, _event: EscalationResolved) -> None:
    if unit.undoes is not None:
        compensate.stop(draft, unit)
    else:
        ending.abort(draft, unit)


def _raise_budget(draft: Draft, unit: Unit, event: EscalationResolved) -> None:
    assert event.usd_micros is not None  # admitted
    draft.put(replace(unit, escalation=None))
    budget.raise_cap(draft, event.usd_micros)


def _afresh(draft: Draft, unit: Unit) -> Unit:
    rounds.allow_more(draft, unit)
    bound = unit.outcome_unknown and not keys.repeatable(draft.facts(unit))
    return calling.afresh(unit, keep_agent=bound)


_DO: Final[Mapping[Decision, Callable[[Draft, Unit, EscalationResolved], None]]] = {
    Decision.APPROVE: _approve,
    Decision.REJECT: _reject,
    Decision.RETRY: _retry,
    Decision.RETRY_WITH_INPUT: _retry_with_input,
    Decision.USE_OUTPUT: _use_output,
    Decision.ANSWER: _use_output,
    Decision.USE_AGENT: _use_agent,
    Decision.SKIP: _skip,
    Decision.RAISE_BUDGET: _raise_budget,
    Decision.ABORT: _abort,
}
"""choose_type is never offered for a unit."""
