"""The parts of a process's life that are no call of an agent: intake, planning, building the output.

One stage at a time waits for an answer; its command can be given again from the state alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import (
    bounds,
    briefs,
    ending,
    escalate,
    failures,
    loops,
    orders,
    replan,
    schedule,
    settle,
    thinking,
)
from process_orchestrator.core.facts.specs import Budget, PlanFacts
from process_orchestrator.core.facts.values import (
    ApprovalMode,
    Blame,
    Decision,
    EscalationKind,
    Fact,
    OnFailure,
    Ref,
    Stage,
    TypePin,
)
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.narrowing import lower_budget, lower_limits

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import (
        EscalationResolved,
        OutputBuilt,
        PlanChecked,
        PlanProposed,
        StageFailed,
        TaskClassified,
        TimerFired,
    )
    from process_orchestrator.core.facts.state import Failure


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
        _think(draft, Stage.INTAKE)
    elif spec.plan is not None:
        follow(draft, spec.plan)
    else:
        propose(draft, plan_round=1)


def follow(draft: Draft, plan: PlanFacts) -> None:
    """Adopt a plan, and begin it unless it must be approved first."""
    draft.stage = None
    if draft.plan is None:
        draft.adopt(plan)
    else:
        replan.adopt(draft, plan)
    if draft.spec.approval is ApprovalMode.PLAN:
        draft.plan_approved = False
        escalate.ask_about_process(draft, EscalationKind.PLAN)
    else:
        take_up(draft)


def take_up(draft: Draft) -> None:
    """The plan stands: what may begin begins."""
    replan.over(draft)
    schedule.begin_ready(draft)


def classified(draft: Draft, event: TaskClassified) -> bool:
    if not _is_awaited(draft, Stage.INTAKE):
        return False
    thinking.answered(draft, event.usage)
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
    """What a process turned out to be. Budget and limits are those of the type: they lower what it started with."""

    pin: TypePin
    input: Ref | None
    by: str
    plan: PlanFacts | None
    budget: Budget | None
    limits: Limits | None


def take_type(draft: Draft, found: Found) -> None:
    """Go on as a process of this type, with this input, and with no more than the process started with.

    A type that was known keeps the word of who found it: only its input was looked for.
    """
    spec, budget, limits = draft.spec, draft.spec.budget, draft.spec.limits
    if found.budget is not None:
        raised = _raised(draft)  # what humans have added so far stays added
        asked = replace(budget, usd_micros=budget.usd_micros - raised)
        budget = lower_budget(asked, found.budget)
        budget = replace(budget, usd_micros=budget.usd_micros + raised)
    draft.spec = replace(
        spec,
        type=found.pin,
        input=found.input,
        classified_by=found.by if spec.type != found.pin else spec.classified_by,
        budget=budget,
        limits=limits if found.limits is None else lower_limits(limits, found.limits),
    )
    plan = found.plan or (spec.plan if spec.type == found.pin else None)
    if plan is not None:
        follow(draft, plan)
    else:
        propose(draft, plan_round=1)


def _raised(draft: Draft) -> int:
    """What humans have added to the budget."""
    answers = (escalation.resolution for escalation in draft.escalations.values())
    raises = (answer for answer in answers if answer is not None and answer.decision is Decision.RAISE_BUDGET)
    return sum(answer.usd_micros or 0 for answer in raises)


def propose(draft: Draft, *, plan_round: int, rejected: EscalationResolved | None = None) -> None:
    """Ask for a plan; where one is followed, for what is left of it."""
    draft.plan_round, draft.plan_proposed = plan_round, None
    if draft.plan is not None:
        replan.begin(draft)
    thinking.afresh(draft)
    if rejected is not None:
        draft.thinking = replace(draft.thinking, rejected=True, note=rejected.note)
    _think(draft, Stage.PLAN)


def propose_again(draft: Draft, *, rejected: EscalationResolved | None = None) -> bool:
    """Ask for another plan, if a round is left."""
    if not replan.round_left(draft):
        return False
    propose(draft, plan_round=draft.plan_round + 1, rejected=rejected)
    return True


def proposed(draft: Draft, event: PlanProposed) -> bool:
    if not _is_awaited(draft, Stage.PLAN) or draft.plan_proposed is not None or event.round != draft.plan_round:
        return False
    thinking.answered(draft, event.usage)
    draft.plan_proposed = event.plan
    draft.order(orders.stage_command(draft, Stage.PLAN))
    return True


def checked(draft: Draft, event: PlanChecked) -> bool:
    if draft.stage is not Stage.PLAN or draft.plan_proposed is None:
        return False
    draft.plan_proposed, draft.plan_report = None, event.report
    if loops.seen_before(draft, event.plan.sha256 if event.plan is not None else event.plan_sha256):
        loops.ask_about_plan(draft, event.report)
    elif event.ok and event.plan is not None and replan.keeps(draft, event.plan):
        follow(draft, event.plan)
    elif propose_again(draft):
        pass
    elif _may_do_without(draft):
        _do_without(draft)
    else:
        loops.ask_about_plan(draft, event.report)
    return True


def _think(draft: Draft, stage: Stage) -> None:
    """Have a stage's model asked, or go on as after its failure."""
    failure = thinking.ask(draft, stage)
    if failure is not None:
        _leads_nowhere(draft, stage, failure)


def _leads_nowhere(draft: Draft, stage: Stage, failure: Failure) -> None:
    """A stage has failed for good: a human is asked, unless there is a plan that says what follows."""
    if stage is Stage.INTAKE:
        escalate.ask_about_process(draft, EscalationKind.INTAKE, failure)
    elif _may_do_without(draft):
        _do_without(draft)
    else:
        escalate.ask_about_process(draft, EscalationKind.FAILED, failure)


def _may_do_without(draft: Draft) -> bool:
    """Whether the plan that is followed says what comes where no other one does; one that was rejected does not."""
    return draft.plan_approved and draft.replanning.failure is not None


def _do_without(draft: Draft) -> None:
    draft.stage = draft.plan_proposed = None
    settle.settle_unplanned(draft)


def waited(draft: Draft, event: TimerFired) -> bool:
    """A model that could not be had may be asked again."""
    if draft.thinking.timer != event.timer or draft.stage is None:
        return False
    draft.thinking = replace(draft.thinking, timer=None, wait_until=None, why=None)
    _think(draft, draft.stage)
    return True


def resumed(draft: Draft) -> None:
    """Another engine has taken over. It asks again for money that is there; a model that outlives none is given up."""
    stage = draft.stage
    if stage is None or not draft.thinking.held:
        return
    if not thinking.resumed(draft):
        thinking.answered(draft, thinking.NOTHING)
        _leads_nowhere(draft, stage, failures.of_code("lost"))
    elif not bounds.fits(draft, 0):  # what is held back for it is spent
        thinking.given_back(draft)
        _think(draft, stage)


def go_on(draft: Draft) -> None:
    """The budget was raised: the stage that lacked money is taken up again."""
    stage = draft.thinking.wants_money
    assert stage is not None  # only such a stage asks for money
    draft.thinking = replace(draft.thinking, wants_money=None)
    _think(draft, stage)


def _is_awaited(draft: Draft, stage: Stage) -> bool:
    """Whether a stage's answer is waited for; while its model rests none is."""
    return draft.stage is stage and draft.thinking.timer is None


def output_built(draft: Draft, event: OutputBuilt) -> bool:
    if draft.stage is not Stage.OUTPUT:
        return False
    draft.stage, draft.output = None, event.output
    ending.complete(draft)
    return True


def failed(draft: Draft, event: StageFailed) -> bool:
    """A stage of the process failed. `map` and `collect` belong to their step, see `unit`."""
    if event.stage is Stage.BRIEF:
        return briefs.failed(draft, event)
    if not _is_awaited(draft, event.stage):
        return False
    asked = draft.thinking.held  # else it was the check of a plan that failed
    thinking.answered(draft, event.usage, code=event.code)
    failure = failures.of_stage(event)
    if event.stage is Stage.OUTPUT:
        plan = draft.plan
        undo = plan is not None and plan.on_failure is OnFailure.COMPENSATE
        ending.fail(draft, replace(failure, blame=Blame.PLANNER), compensate=undo)
    elif asked and thinking.waits(draft, event):
        pass
    elif not (_may_do_better(event, asked=asked) and propose_again(draft)):
        _leads_nowhere(draft, event.stage, failure)
    return True


def _may_do_better(event: StageFailed, *, asked: bool) -> bool:
    """Whether another round of planning may end otherwise: a bad answer may, a model that is not there does not."""
    absent = event.code in thinking.UNAVAILABLE or event.code in thinking.NEVER
    return event.stage is Stage.PLAN and not (asked and absent)
