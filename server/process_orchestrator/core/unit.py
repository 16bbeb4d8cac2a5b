"""The life of a unit, read top to bottom. An absent pair is stale: it changes nothing.

Needs no event: a unit leaves `waiting` when its last need closes (`schedule`), and any live phase when the process
fails fast or is cancelled (`ending`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from process_orchestrator.core import (
    budget,
    calling,
    children,
    ending,
    escalate,
    failures,
    keys,
    loops,
    maps,
    pauses,
    redriven,
    resolve,
    rounds,
    schedule,
    settle,
    thinking,
)
from process_orchestrator.core.facts.events import (
    CallFailed,
    CallLost,
    CallPrepared,
    CallSucceeded,
    ChildFinished,
    EscalationResolved,
    Event,
    ItemsCollected,
    MapOpened,
    StageFailed,
    StepSkipped,
    TimerFired,
)
from process_orchestrator.core.facts.state import Attempt, Failure, Unit
from process_orchestrator.core.facts.values import EscalationKind, Outcome, Phase, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from process_orchestrator.core.draft import Draft


def subject(draft: Draft, event: Event) -> Unit | None:
    """The unit that an event is about, if it still waits for just this event."""
    match event:
        case CallPrepared() | CallSucceeded() | CallFailed() | CallLost() | ChildFinished():
            unit = draft.units.get(keys.unit_of_call(event.call))
            if unit is None or event.call != keys.call_id(unit.id, unit.call):
                return None
            if _answers_otherwise(unit, event):
                return None
            return None if unit.whole and not unit.skipping else unit
        case MapOpened():
            return _map_unit(draft, event.step)
        case ItemsCollected():
            return _collecting_unit(draft, event.step)
        case StageFailed(stage=Stage.MAP, step=str(step)):
            unit = _map_unit(draft, step)
            return unit if unit is not None and unit.phase is Phase.PREPARING else None
        case StageFailed(stage=Stage.COLLECT, step=str(step)):
            return _collecting_unit(draft, step)
        case StepSkipped():
            unit = draft.units.get(event.unit)
            return unit if unit is not None and unit.undoes is None else None
        case TimerFired():
            unit = draft.units.get(keys.unit_of_call(keys.owner_of_timer(event.timer)))
            return unit if unit is not None and unit.timer == event.timer else None
        case EscalationResolved():
            return draft.units.get(draft.escalations[event.escalation].unit or "")
        case _:
            return None


def _answers_otherwise(unit: Unit, event: Event) -> bool:
    """Whether the call is answered by another kind of event: a child ends, a call is answered."""
    return isinstance(event, ChildFinished) is (unit.child is None) and unit.phase is Phase.CALLING


def _map_unit(draft: Draft, step: str) -> Unit | None:
    unit = draft.units.get(step)
    return unit if unit is not None and draft.is_map(unit) and not unit.skipping else None


def _collecting_unit(draft: Draft, step: str) -> Unit | None:
    unit = _map_unit(draft, step)
    return unit if unit is not None and unit.collecting else None


def _prepared(draft: Draft, unit: Unit, event: CallPrepared) -> None:
    if unit.skipping:  # a performer that knows no defaults: the agent is not called for a step that is skipped
        schedule.close(draft, replace(unit, phase=Phase.SKIPPED))
        return
    tried, attempts, former = unit.agents_tried, unit.attempts, unit.agent
    if former is not None and former.name != event.agent.name and event.agent.name not in tried:
        tried, attempts = (*tried, former.name), 1
    begins = not unit.series_begun
    unit = replace(
        unit,
        agent=event.agent,
        agents_tried=tried,
        attempts=attempts,
        input=event.input,
        digest=event.digest,
        reserve_usd_micros=event.reserve_usd_micros,
        gate=event.gate,
        series_begun=True,
    )
    if redriven.settled(draft, unit) or (begins and loops.stopped(draft, unit)):
        return
    pauses.before_call(draft, unit)


def _skipped(draft: Draft, unit: Unit, event: StepSkipped) -> None:
    until_met = event.reason == rounds.UNTIL and unit.round is not None and unit.round > 1
    schedule.close(draft, replace(unit, phase=Phase.SKIPPED, output=event.output, until_met=until_met))


def _opened(draft: Draft, unit: Unit, event: MapOpened) -> None:
    unit = replace(unit, count=event.count, digest=event.digest, input=event.items, gate=event.gate)
    if event.count > draft.spec.limits.map_items:
        settle.settle_by_plan(draft, replace(unit, count=None), failures.of_code("over_budget", unit, rule="map_items"))
    elif unit.gate is not None and unit.approved_digest != unit.digest:
        escalate.ask(draft, unit, EscalationKind.APPROVAL)
    else:
        maps.open_items(draft, unit)


def _succeeded(draft: Draft, unit: Unit, event: CallSucceeded) -> None:
    unit = budget.settled(draft, unit, event)
    schedule.close(draft, replace(unit, phase=Phase.DONE, output=event.output, failure=None, outcome_unknown=False))


def _failed(draft: Draft, unit: Unit, event: CallFailed) -> None:
    if unit.phase is Phase.CALLING:
        unit = budget.settled(draft, unit, event)
    failure = failures.of_call(unit, event)
    _settle(
        draft,
        _counted(draft, unit, failure, ms=event.ms),
        failure,
        settle.Trial(now=draft.now, jitter=event.jitter, retry_after_ms=event.retry_after_ms),
    )


def _lost(draft: Draft, unit: Unit, event: CallLost) -> None:
    unit = budget.settled(draft, unit, event)
    failure = failures.of_code("lost", unit, call=event.call)
    trial = settle.Trial(now=draft.now, jitter=event.jitter)
    _settle(draft, _counted(draft, unit, failure, ms=0), failure, trial)


def _settle(draft: Draft, unit: Unit, failure: Failure, trial: settle.Trial) -> None:
    if draft.ending and unit.undoes is None:
        ending.call_ended(draft, unit, failure)
    elif unit.skipping:  # the default of a step to be skipped cannot be evaluated: only a human can go on
        escalate.ask(draft, unit, EscalationKind.FAILED)
    else:
        settle.settle(draft, unit, failure, trial)


def _counted(draft: Draft, unit: Unit, failure: Failure, *, ms: int) -> Unit:
    """The unit with a failed try in its books; one that failed in preparing was tried at no agent."""
    agent = unit.agent.name if unit.agent is not None and unit.phase is Phase.CALLING else ""
    attempt = Attempt(call=failure.call or "", agent=agent, code=failure.code, ms=ms)
    kept = draft.spec.limits.tried_kept
    return replace(
        unit,
        failure=failure,
        tried=(*unit.tried, attempt)[-kept:],
        outcome_unknown=unit.outcome_unknown or failure.outcome is Outcome.UNKNOWN,
    )


def _collected(draft: Draft, unit: Unit, event: ItemsCollected) -> None:
    schedule.close(draft, replace(unit, phase=Phase.DONE, output=event.output, collecting=False, failure=None))


def _stage_failed(draft: Draft, unit: Unit, event: StageFailed) -> None:
    thinking.pay(draft, event.usage, held=None, code=None)
    settle.settle_by_plan(draft, replace(unit, collecting=False), failures.of_stage(event))


def _waited(draft: Draft, unit: Unit, event: TimerFired) -> None:
    draft.timer_over(event.timer)
    if keys.is_pause(event.timer):
        pauses.over(draft, unit)
    else:
        calling.prepare(draft, unit)


class Rule(NamedTuple):
    """What an event does to a unit in a phase, and every phase the unit may be in afterwards."""

    do: Callable[[Draft, Unit, Any], None]
    leads_to: tuple[Phase, ...]


_BY_PLAN: Final = (Phase.ESCALATED, Phase.PREPARING, Phase.SKIPPED, Phase.FAILED)
"""The fifth line of the settle table; preparing evaluates the default of a step to be skipped."""

_OR_REPLANNED: Final = (*_BY_PLAN, Phase.WAITING)
"""The same, where a model may make another plan first: the step waits for that."""

_SETTLED: Final = (Phase.BACKOFF, *_OR_REPLANNED)

NEXT: Final[Mapping[tuple[Phase, type[Event]], Rule]] = {
    (Phase.PREPARING, StepSkipped): Rule(_skipped, (Phase.SKIPPED,)),
    (Phase.PREPARING, CallPrepared): Rule(
        _prepared, (Phase.BACKOFF, Phase.ASKING, Phase.CALLING, Phase.DONE, *_BY_PLAN)
    ),
    (Phase.PREPARING, MapOpened): Rule(_opened, (Phase.ASKING, Phase.CALLING, *_BY_PLAN)),
    (Phase.PREPARING, CallFailed): Rule(_failed, _SETTLED),
    (Phase.PREPARING, StageFailed): Rule(_stage_failed, _OR_REPLANNED),
    (Phase.ASKING, EscalationResolved): Rule(resolve.about_unit, (Phase.CALLING, *_BY_PLAN)),
    (Phase.CALLING, CallSucceeded): Rule(_succeeded, (Phase.DONE,)),
    (Phase.CALLING, CallFailed): Rule(_failed, _SETTLED),
    (Phase.CALLING, CallLost): Rule(_lost, _SETTLED),
    (Phase.CALLING, ChildFinished): Rule(children.finished, (Phase.DONE, *_OR_REPLANNED)),
    (Phase.CALLING, ItemsCollected): Rule(_collected, (Phase.DONE,)),
    (Phase.CALLING, StageFailed): Rule(_stage_failed, _OR_REPLANNED),
    (Phase.BACKOFF, TimerFired): Rule(_waited, (Phase.DONE, Phase.ASKING, Phase.CALLING, *_BY_PLAN)),
    (Phase.ESCALATED, EscalationResolved): Rule(
        resolve.about_unit, (Phase.PREPARING, Phase.CALLING, Phase.DONE, Phase.SKIPPED, Phase.FAILED)
    ),
}
