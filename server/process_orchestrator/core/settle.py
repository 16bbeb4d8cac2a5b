"""The settle table: what follows when a call has failed. Five lines, read in order, the first that fits.

`decide` is pure and knows nothing of a process; `settle` carries its verdict out. The outcome of a failure decides
before its class does: what may have happened already is never done again on its own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import calling, ending, escalate, keys, orders, replan, schedule
from process_orchestrator.core.facts.state import Failure
from process_orchestrator.core.facts.values import (
    Blame,
    EscalationKind,
    Fact,
    FailureClass,
    Idempotency,
    OnFailure,
    Outcome,
    Phase,
    Why,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.specs import RetryFacts, StepFacts
    from process_orchestrator.core.facts.state import Unit

UNASKED: Final[Mapping[str, Why]] = {"circuit_open": Why.CIRCUIT, "rate_limited": Why.RATE_LIMIT}
"""Codes of calls that no agent was asked, and what the unit waits for instead."""

DRIFTED: Final = "drifted"


class Settlement(StrEnum):
    """What follows."""

    ASK_OUTCOME = "outcome_unknown"  # a human must find out whether the effect happened
    RETRY = "retry"  # the same agent again, later
    RETRY_UNCOUNTED = "retry_uncounted"  # no agent could be asked; that was no try
    FALL_BACK = "fall_back"  # the next agent that serves the contract
    ASK_DRIFT = "drift"  # the agent's live definition is not the pinned one
    ASK = "escalate"
    SKIP = "skip"
    FAIL = "fail"
    COMPENSATE = "compensate"


class Trial(Fact, kw_only=True):
    """When and how a call failed, as far as the next try depends on it. `jitter` is 0 to 999."""

    now: int
    jitter: int = 0
    retry_after_ms: int | None = None


_BY_WORD: Final[Mapping[OnFailure, Settlement]] = {
    OnFailure.ESCALATE: Settlement.ASK,
    OnFailure.SKIP: Settlement.SKIP,
    OnFailure.FAIL: Settlement.FAIL,
    OnFailure.COMPENSATE: Settlement.COMPENSATE,
}


def decide(unit: Unit, step: StepFacts, failure: Failure, trial: Trial) -> Settlement:
    """The verdict on a failed call. `unit` has the failure counted in already."""
    # 1: it may have been done, and nothing makes a second time harmless
    if failure.outcome is Outcome.UNKNOWN and not keys.repeatable(step) and step.idempotency is not Idempotency.KEYED:
        return Settlement.ASK_OUTCOME
    # 2: the same agent may do better later
    unasked = failure.code in UNASKED
    in_time = ends_in_time(unit, step, trial)
    if not unasked and _is_retried(unit, step.retry, failure) and in_time:
        return Settlement.RETRY
    # 3: another agent may do better now
    if _may_fall_back(unit, step, failure):
        return Settlement.FALL_BACK
    if unasked and in_time:
        return Settlement.RETRY_UNCOUNTED
    # 4: only a human can mend it
    if failure.code == DRIFTED:
        return Settlement.ASK_DRIFT
    if failure.class_ is FailureClass.NEEDS_HUMAN:
        return Settlement.ASK
    # 5: as the plan says
    return _BY_WORD[on_failure(unit, step, failure)]


def on_failure(unit: Unit, step: StepFacts, failure: Failure) -> OnFailure:
    """The plan's word for a failure: by exact code, then by class, then `else`; an item may have its own."""
    if unit.item is not None and step.item_failure is not None:
        return step.item_failure
    words = step.on_failure
    word = words.get(failure.code)
    if word is None and failure.class_ is not None:
        word = words.get(failure.class_)
    return word if word is not None else words.get("else", OnFailure.ESCALATE)


def _is_retried(unit: Unit, retry: RetryFacts, failure: Failure) -> bool:
    return unit.attempts < retry.max_attempts and (failure.code in retry.on or failure.class_ in retry.on)


def delay_ms(retry: RetryFacts, *, attempts: int, trial: Trial) -> int:
    """How long to wait before the next try, after `attempts` of them: full jitter, but never before `retry_after`."""
    try:
        backoff = min(float(retry.max_ms), retry.initial_ms * retry.factor ** max(0, attempts - 1))
    except OverflowError:
        backoff = float(retry.max_ms)
    if retry.jitter:
        backoff = backoff * trial.jitter / 1000
    return max(int(backoff), trial.retry_after_ms or 0)


def ends_in_time(unit: Unit, step: StepFacts, trial: Trial) -> bool:
    """Whether the next try would end inside the contract's total, humans' time not counted."""
    first = unit.first_invoked_at if unit.first_invoked_at is not None else trial.now
    delay = delay_ms(step.retry, attempts=unit.attempts, trial=trial)
    return trial.now + delay + step.attempt_ms <= first + unit.waited_ms + step.total_ms


def _may_fall_back(unit: Unit, step: StepFacts, failure: Failure) -> bool:
    """Only where an agent was really called, and where no earlier call may have done the work already."""
    if unit.phase is not Phase.CALLING or unit.agent is None or unit.only_agent is not None:
        return False
    if failure.blame not in (Blame.AGENT, Blame.TRANSPORT):
        return False
    declared = step.errors.get(failure.code)
    if declared is not None and declared.class_ is not FailureClass.TRANSIENT:
        return False
    if unit.outcome_unknown and not keys.repeatable(step):
        return False
    tried = {*unit.agents_tried, unit.agent.name}
    return any(agent.name not in tried for agent in step.agents)


def settle(draft: Draft, unit: Unit, failure: Failure, trial: Trial) -> None:
    """Decide what follows a failed call, and begin it."""
    step = draft.facts(unit)
    verdict = decide(unit, step, failure, trial)
    if verdict is Settlement.RETRY:
        _back_off(draft, unit, trial, why=Why.RATE_LIMIT if trial.retry_after_ms else Why.RETRY)
    elif verdict is Settlement.RETRY_UNCOUNTED:
        _back_off(draft, unit, trial, why=UNASKED[failure.code], counted=False)
    elif verdict is Settlement.FALL_BACK:
        assert unit.agent is not None
        tried = (*unit.agents_tried, unit.agent.name)
        calling.prepare(draft, replace(unit, attempts=0, agents_tried=tried, agent=None))
    else:
        _end_tries(draft, unit, failure, verdict)


def settle_by_plan(draft: Draft, unit: Unit, failure: Failure) -> None:
    """Only the fifth line: for failures that neither another try nor another agent can mend."""
    unit = replace(unit, failure=failure)
    _end_tries(draft, unit, failure, _BY_WORD[on_failure(unit, draft.facts(unit), failure)])


def settle_rejected(draft: Draft, unit: Unit, failure: Failure) -> None:
    """Only the fifth line, and nobody is asked twice: a human has just said no."""
    unit = replace(unit, failure=failure)
    verdict = _BY_WORD[on_failure(unit, draft.facts(unit), failure)]
    _give_up(draft, unit, failure, Settlement.FAIL if verdict is Settlement.ASK else verdict)


def settle_unplanned(draft: Draft) -> None:
    """No other plan comes: what the plan says of the steps that failed holds, and what they held up goes on."""
    failed = tuple(replan.failed_units(draft))
    draft.replanning = replace(draft.replanning, failure=None, asked=False, sources={})
    for unit in failed:
        if unit.failure is not None and not draft.ending:
            _give_up(draft, unit, unit.failure, _BY_WORD[on_failure(unit, draft.facts(unit), unit.failure)])
    schedule.begin_ready(draft)


_QUESTIONS: Final[Mapping[Settlement, EscalationKind]] = {
    Settlement.ASK_OUTCOME: EscalationKind.OUTCOME_UNKNOWN,
    Settlement.ASK_DRIFT: EscalationKind.DRIFT,
    Settlement.ASK: EscalationKind.FAILED,
}


_FINAL: Final = frozenset({Settlement.ASK, Settlement.FAIL, Settlement.COMPENSATE})
"""What another plan may spare the process. A step that the plan lets be skipped holds nothing up."""


def _end_tries(draft: Draft, unit: Unit, failure: Failure, verdict: Settlement) -> None:
    """Before what the plan says of a failure is done, a model may be asked for another plan."""
    if not (verdict in _FINAL and replan.put_off(draft, unit, failure)):
        _give_up(draft, unit, failure, verdict)


def _give_up(draft: Draft, unit: Unit, failure: Failure, verdict: Settlement) -> None:
    question = _QUESTIONS.get(verdict)
    if unit.undoes is not None:  # whatever the reason: only a human can say that an effect stays
        escalate.ask(draft, unit, EscalationKind.UNDO_FAILED)
    elif question is not None:
        escalate.ask(draft, unit, question)
    elif verdict is Settlement.SKIP:
        schedule.skip(draft, unit)
    else:
        ending.fail_unit(draft, unit, failure, compensate=verdict is Settlement.COMPENSATE)


def _back_off(draft: Draft, unit: Unit, trial: Trial, *, why: Why, counted: bool = True) -> None:
    delay = delay_ms(draft.facts(unit).retry, attempts=unit.attempts, trial=trial)
    timer = keys.timer_id(keys.call_id(unit.id, unit.call), keys.TimerKind.RETRY)
    unit = draft.put(
        replace(
            unit,
            phase=Phase.BACKOFF,
            attempts=unit.attempts - (not counted),
            timer=timer,
            wait_until=draft.now + delay,
            why=why,
        )
    )
    draft.live_timers += (timer,)
    draft.order(orders.start_timer(draft, unit))
