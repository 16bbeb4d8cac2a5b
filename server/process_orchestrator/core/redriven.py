"""A process that takes up an ended one: what was done there is taken over, and never done a second time by itself.

What the ended process did stands in the spec, by unit. Whether it still counts is asked of each call when its arguments
are known, by their digest: nothing is assumed of steps that come later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import escalate, failures, keys, schedule
from process_orchestrator.core.facts.values import Effect, EscalationKind, Idempotency, Phase

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.specs import Earlier, ProcessSpec, StepFacts
    from process_orchestrator.core.facts.state import Process, Unit


def author(spec: ProcessSpec) -> str:
    """Who gave an output that was taken over."""
    return f"redrive of {spec.redrives}"


def taken_over(state: Process, call: str) -> bool:
    """Whether a call was prepared and not made, because an earlier process had its answer."""
    unit = state.units.get(keys.unit_of_call(call))
    if unit is None or unit.author is None or unit.author != author(state.spec):
        return False
    return call == keys.call_id(unit.id, unit.call)


def settled(draft: Draft, unit: Unit) -> bool:
    """Close a unit whose call was prepared by what is known of it, or ask; False where the call may be made.

    The same arguments: the recorded output is taken over. An effect that is not to be repeated, or whose arguments
    have changed, is before a human first.
    """
    earlier = _counts(draft, unit)
    if earlier is None:
        return False
    if unit.digest == earlier.planned and (earlier.skipped or earlier.output is not None):
        _take_over(draft, unit, earlier)
        return True
    if not _must_ask(unit, earlier, draft.facts(unit)):
        return False
    failure = failures.of_code("done_before", unit, call=keys.call_id(unit.id, unit.call))
    escalate.ask(draft, replace(unit, failure=failure), EscalationKind.OUTCOME_UNKNOWN)
    return True


def retried(draft: Draft, unit: Unit) -> Unit:
    """The unit after a human has decided that its call is made.

    Other arguments never go under the earlier key; but a key of this process whose outcome is unknown is kept.
    """
    earlier = _counts(draft, unit)
    if earlier is None:
        return unit
    kept = unit.calls_total > 0 or unit.digest == earlier.digest
    return replace(unit, earlier_settled=True, outcome_unknown=unit.outcome_unknown and kept)


def _counts(draft: Draft, unit: Unit) -> Earlier | None:
    """What was done earlier, until a human has decided about it. What was undone there says nothing of undoing here."""
    if unit.earlier_settled or unit.undoes is not None:
        return None
    return draft.spec.earlier.get(unit.id)


def _take_over(draft: Draft, unit: Unit, earlier: Earlier) -> None:
    if earlier.skipped:
        schedule.skip(draft, unit)
        return
    schedule.close(
        draft,
        replace(
            unit,
            phase=Phase.DONE,
            output=earlier.output,
            failure=None,
            outcome_unknown=False,
            author=author(draft.spec),
        ),
    )


def _must_ask(unit: Unit, earlier: Earlier, step: StepFacts) -> bool:
    if not earlier.acted or step.effect in (Effect.NONE, Effect.READ):
        return False
    if step.child is not None:  # what a child does again no agent recognises: its calls have keys of their own
        return True
    return unit.digest != earlier.digest or not (keys.repeatable(step) or step.idempotency is Idempotency.KEYED)
