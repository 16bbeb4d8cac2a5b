"""The parts of a process's life that are no call of an agent: intake, planning, building the output.

One stage at a time waits for an answer; its command can be given again from the state alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import ending, escalate, failures, loops, orders, schedule
from process_orchestrator.core.facts.specs import Budget, PlanFacts
from process_orchestrator.core.facts.values import (
    ApprovalMode,
    Blame,
    EscalationKind,
    Fact,
    OnFailure,
    Ref,
    Stage,
    TypePin,
)
from process_orchestrator.core.limits import Limits

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import (
        EscalationResolved,
        OutputBuilt,
        PlanChecked,
        PlanProposed,
        StageFailed,
        TaskClassified,
    )
    from process_orchestrator.core.facts.values import Usage


def start(draft: Draft) -> None:
    """Begin, unless the process stands too deep inside others."""
    if loops.too_deep(draft.spec):
        loops.ask_about_depth(draft)
    else:
        begin(draft)


def begin(draft: Draft) -> None:
    """Begin with intake where type or input is yet to be found in the task, else with the plan, else with planning."""
    spec = draft.spec
    if spec.type is None or (spec.input is None and spec.task is not None):
        _await(draft, Stage.INTAKE)
    elif spec.plan is not None:
        follow(draft, spec.plan)
    else:
        propose(draft, plan_round=1)


def follow(draft: Draft, plan: PlanFacts) -> None:
    """Adopt a plan, and begin it unless it must be approved first."""
    draft.stage = None
    draft.adopt(plan)
    if draft.spec.approval is ApprovalMode.PLAN:
        draft.plan_approved = False
        escalate.ask_about_process(draft, EscalationKind.PLAN)
    else:
        schedule.begin_ready(draft)


def classified(draft: Draft, event: TaskClassified) -> bool:
    if draft.stage is not Stage.INTAKE:
        return False
    bill(draft, event.usage)
    found = Found(
        pin=event.process_type,
        input=event.input,
        by=event.by,
        plan=event.plan,
        budget=event.budget,
        limits=event.limits,
    )
    take_type(draft, found)
    return True


def chosen(draft: Draft, event: EscalationResolved) -> None:
    """A human has chosen the type."""
    assert event.process_type is not None  # admitted
    found = Found(
        pin=event.process_type,
        input=event.data,
        by="human",
        plan=event.plan,
        budget=event.budget,
        limits=event.limits,
    )
    take_type(draft, found)


class Found(Fact, kw_only=True):
    """What a process turned out to be. Budget and limits are those it started with where none are given."""

    pin: TypePin
    input: Ref | None
    by: str
    plan: PlanFacts | None
    budget: Budget | None
    limits: Limits | None


def take_type(draft: Draft, found: Found) -> None:
    """Go on as a process of this type, with this input."""
    spec = draft.spec
    draft.spec = replace(
        spec,
        type=found.pin,
        input=found.input,
        classified_by=found.by,
        budget=found.budget or spec.budget,
        limits=found.limits or spec.limits,
    )
    plan = found.plan or (spec.plan if spec.type == found.pin else None)
    if plan is not None:
        follow(draft, plan)
    else:
        propose(draft, plan_round=1)


def propose(draft: Draft, *, plan_round: int) -> None:
    """Ask for a plan."""
    draft.plan_round, draft.plan_proposed = plan_round, None
    _await(draft, Stage.PLAN)


def propose_again(draft: Draft) -> bool:
    """Ask for another plan, if a round is left. A plan that was given has no rounds."""
    if not 0 < draft.plan_round <= draft.spec.limits.replans:
        return False
    propose(draft, plan_round=draft.plan_round + 1)
    return True


def proposed(draft: Draft, event: PlanProposed) -> bool:
    if draft.stage is not Stage.PLAN or draft.plan_proposed is not None or event.round != draft.plan_round:
        return False
    bill(draft, event.usage)
    draft.plan_proposed = event.plan
    _await(draft, Stage.PLAN)
    return True


def checked(draft: Draft, event: PlanChecked) -> bool:
    if draft.stage is not Stage.PLAN or draft.plan_proposed is None:
        return False
    draft.plan_proposed, draft.plan_report = None, event.report
    if loops.seen_before(draft, event.plan.sha256 if event.plan is not None else event.plan_sha256):
        loops.ask_about_plan(draft, event.report)
    elif event.ok and event.plan is not None:
        follow(draft, event.plan)
    elif not propose_again(draft):
        loops.ask_about_plan(draft, event.report)
    return True


def output_built(draft: Draft, event: OutputBuilt) -> bool:
    if draft.stage is not Stage.OUTPUT:
        return False
    draft.stage, draft.output = None, event.output
    ending.complete(draft)
    return True


def failed(draft: Draft, event: StageFailed) -> bool:
    """A stage of the process failed. `map` and `collect` belong to their step, see `unit`."""
    if event.stage is Stage.BRIEF:  # the package goes without prose
        bill(draft, event.usage)
        return True
    if event.stage is not draft.stage:
        return False
    bill(draft, event.usage)
    failure = failures.of_stage(event)
    if event.stage is Stage.INTAKE:
        escalate.ask_about_process(draft, EscalationKind.INTAKE, failure)
    elif event.stage is Stage.OUTPUT:
        plan = draft.plan
        undo = plan is not None and plan.on_failure is OnFailure.COMPENSATE
        ending.fail(draft, replace(failure, blame=Blame.PLANNER), compensate=undo)
    elif not propose_again(draft):
        escalate.ask_about_process(draft, EscalationKind.FAILED, failure)
    return True


def bill(draft: Draft, usage: Usage) -> None:
    """Count what a model billed; rules cost nothing and say nothing."""
    if usage.usd_micros is not None or usage.tokens is not None:
        draft.bill(usd_micros=usage.usd_micros, tokens=usage.tokens)


def _await(draft: Draft, stage: Stage) -> None:
    draft.stage = stage
    draft.order(orders.stage_command(draft, stage))
