"""Sub-processes: a step that starts a process of its own and waits for it. How much it may take, how deep, how it ends.

To its parent a child is a call: prepared, asked about, paid for, cut off like one. What it may spend is held back whole
and what it did not spend comes back with its end, so one budget holds for the tree without shared state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import failures, schedule, settle
from process_orchestrator.core.facts.state import Attempt
from process_orchestrator.core.facts.values import Phase, Status

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import ChildFinished
    from process_orchestrator.core.facts.specs import ChildFacts
    from process_orchestrator.core.facts.state import Failure, Unit

DEPTH: Final = "depth"
"""The rule that stops processes which start processes without end."""


def too_deep(draft: Draft, child: ChildFacts) -> bool:
    """Whether a child would have more processes above it than it, or this process, allows."""
    return len(draft.spec.lineage) + 1 > min(child.limits.depth, draft.spec.limits.depth)


def refuse_depth(draft: Draft, unit: Unit) -> None:
    """A child that would be too deep is a loop; no human can allow it, so the plan says what follows."""
    settle.settle_by_plan(draft, unit, failures.of_code("loop", unit, rule=DEPTH))


def finished(draft: Draft, unit: Unit, event: ChildFinished) -> None:
    """The child has ended: what it spent is paid, and its end is this step's."""
    unit = _paid(draft, unit, event)
    if event.status is Status.COMPLETED and event.output is not None:
        schedule.close(draft, replace(unit, phase=Phase.DONE, output=event.output, failure=None))
        return
    failure = failures.of_child(unit, event)
    unit = _failed(draft, unit, failure)
    if draft.ending:
        draft.put(replace(unit, phase=Phase.FAILED if unit.child_left else Phase.SKIPPED))
    else:
        settle.settle_by_plan(draft, unit, failure)


def _paid(draft: Draft, unit: Unit, event: ChildFinished) -> Unit:
    draft.call_over(unit)
    draft.bill(usd_micros=event.usd_micros, tokens=event.tokens)
    draft.unknown_calls += event.unknown_calls
    return replace(
        unit,
        usd_micros=unit.usd_micros + event.usd_micros,
        tokens=unit.tokens + event.tokens,
        unknown_calls=unit.unknown_calls + event.unknown_calls,
        child_left=(*unit.child_left, *event.left),
    )


def _failed(draft: Draft, unit: Unit, failure: Failure) -> Unit:
    """The unit with its failed child in its books."""
    agent = unit.agent.name if unit.agent is not None else ""
    attempt = Attempt(call=failure.call or "", agent=agent, code=failure.code, ms=0)
    return replace(unit, failure=failure, tried=(*unit.tried, attempt)[-draft.spec.limits.tried_kept :])
