"""How a process ends before its output is built: fail-fast, cancel, and the order that is then put into what is left.

Calls that are under way are cut off, and the end waits until each has said what became of it. Taking effects back
has its place between the stop and `finish`: that is `compensate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import briefs, escalate, failures, keys, orders, thinking
from process_orchestrator.core.facts.commands import Finish, StopTimer
from process_orchestrator.core.facts.values import Effect, OnFailure, Outcome, Phase, Status

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Failure, Unit


def fail(draft: Draft, failure: Failure, *, compensate: bool = False) -> None:
    """Fail fast: the first failure is the process's error. `compensate`: what is done is undone before the end."""
    draft.failing, draft.compensating = failure, compensate
    _stop(draft)


def abort(draft: Draft, unit: Unit | None = None) -> None:
    """Fail fast by a human's word; what is done stays done unless the type says otherwise."""
    compensate = draft.plan is not None and draft.plan.on_abort == OnFailure.COMPENSATE
    fail(draft, failures.of_code("aborted", unit), compensate=compensate)


def fail_unit(draft: Draft, unit: Unit, failure: Failure, *, compensate: bool) -> None:
    """Fail fast because a unit failed for good; a step fails with its item or round."""
    draft.put(replace(unit, phase=Phase.FAILED, failure=failure, collecting=False, why=None))
    if unit.item is not None or unit.round is not None:
        draft.put(replace(draft.units[unit.step], phase=Phase.FAILED, failure=failure))
    fail(draft, failure, compensate=compensate)


def cancel(draft: Draft, reason: str) -> bool:
    """Cancel, unless the process is ending already: then False."""
    if draft.ending:
        return False
    draft.cancelling, draft.cancel_reason = True, reason
    draft.compensating = draft.plan is not None and draft.plan.on_cancel == OnFailure.COMPENSATE
    _stop(draft)
    return True


def _stop(draft: Draft) -> None:
    """Nothing new begins: what has not begun is skipped, what is under way is told to stop."""
    process = draft.spec.process_id
    thinking.stop(draft)
    briefs.stop(draft)
    draft.stage = draft.set_aside = None
    draft.replanning = replace(draft.replanning, failure=None, asked=False, sources={})
    escalate.withdraw_all(draft)
    for timer in draft.live_timers:
        draft.order(StopTimer(process=process, timer=timer))
    draft.live_timers = ()
    draft.budget_waiting = ()
    for unit in draft.units.values():
        phase = _stopped(unit)
        if phase is not unit.phase:
            draft.put(replace(unit, phase=phase, collecting=False, timer=None, wait_until=None, why=None))
    for call in draft.live_calls:
        draft.order(orders.cancel_call(draft, draft.units[keys.unit_of_call(call)]))


def _stopped(unit: Unit) -> Phase:
    if unit.phase in (Phase.PREPARING, Phase.ASKING, Phase.BACKOFF):
        return Phase.SKIPPED
    if unit.phase in (Phase.WAITING, Phase.ESCALATED):  # what failed stays failed: the report must not call it skipped
        return Phase.SKIPPED if unit.failure is None else Phase.FAILED
    if unit.phase is Phase.CALLING and unit.whole:
        return Phase.SKIPPED
    return unit.phase


def call_ended(draft: Draft, unit: Unit, failure: Failure) -> None:
    """A call that was cut off has failed: where it surely did nothing, its unit counts as skipped."""
    phase = Phase.SKIPPED if failure.outcome is Outcome.NOT_DONE else Phase.FAILED
    draft.put(replace(unit, phase=phase))


def finish(draft: Draft) -> None:
    """Close the process; nothing is live any more."""
    briefs.stop(draft)
    draft.finished = True
    draft.status = Status.CANCELLED if draft.cancelling else Status.FAILED
    draft.why = None
    draft.left = tuple(unit.id for unit in draft.units.values() if left_an_effect(draft, unit))
    failing = draft.failing
    draft.order(
        Finish(
            process=draft.spec.process_id,
            status=draft.status,
            code=failing.code if failing is not None else "cancelled",
            unit=failing.unit if failing is not None else None,
        )
    )


def complete(draft: Draft) -> None:
    """Close the process with its output. One that was set aside meanwhile has nothing left to decide."""
    draft.set_aside = None
    briefs.stop(draft)
    escalate.withdraw_all(draft)
    draft.finished, draft.status, draft.why = True, Status.COMPLETED, None
    draft.order(Finish(process=draft.spec.process_id, status=Status.COMPLETED, output=draft.output))


def left_an_effect(draft: Draft, unit: Unit) -> bool:
    """Whether a unit changed the world, or may have, and nothing took it back. Undoing adds nothing to that."""
    if unit.undoes is not None or unit.whole:
        return False
    if draft.facts(unit).effect not in (Effect.WRITE, Effect.IRREVERSIBLE):
        return False
    return unit.phase in (Phase.DONE, Phase.UNDOING) or unit.outcome_unknown or bool(unit.child_left)
