"""Commands, written from a state alone.

The same lines serve `apply`, which gives an order, and `outstanding`, which gives it again after a crash: so both are
equal by construction. Whether an order is due is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import keys
from process_orchestrator.core.facts.commands import (
    BuildOutput,
    CancelCall,
    CheckPlan,
    ClassifyTask,
    CollectItems,
    InvokeAgent,
    OpenEscalation,
    OpenMap,
    PlanContext,
    PrepareCall,
    ProposePlan,
    Source,
    StartChild,
    StartTimer,
    UndoneCall,
    WriteBrief,
)
from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.values import ApprovalMode, EscalationKind, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.state import Escalation, Failure, Standing, Unit
    from process_orchestrator.core.facts.values import Ref


def _undone(standing: Standing, unit: Unit) -> UndoneCall | None:
    if unit.undoes is None:
        return None
    done = standing.units[unit.undoes]
    return UndoneCall(unit=done.id, input=done.input, output=done.output)


def sources_of(standing: Standing, seen: Iterable[str]) -> dict[str, Source]:
    """Steps as bindings may see them."""
    sources: dict[str, Source] = {}
    for step in seen:
        unit = standing.units[step]
        code = unit.failure.code if unit.failure is not None else None
        sources[step] = Source(status=unit.phase, output=unit.output, code=code)
    return sources


def _context(standing: Standing, seen: Iterable[str]) -> PlanContext:
    sources = sources_of(standing, seen)
    return PlanContext(
        plan=standing.plan.sha256 if standing.plan is not None else "",
        type=standing.spec.type,
        input=standing.spec.input,
        sources=sources,
    )


def key_of(standing: Standing, unit: Unit) -> str:
    """The key of a unit's present generation; that of an earlier process until the unit has one of its own."""
    earlier = standing.spec.earlier.get(unit.id) if unit.generation == 0 else None
    return earlier.key if earlier is not None else keys.key(standing.spec.process_id, unit.id, unit.generation)


def prepare_call(standing: Standing, unit: Unit) -> PrepareCall:
    step, process = standing.facts(unit), standing.spec.process_id
    return PrepareCall(
        process=process,
        call=keys.call_id(unit.id, unit.call),
        unit=unit.id,
        step=unit.step,
        item=unit.item,
        round=unit.round,
        last_output=_last_output(standing, unit),
        key=key_of(standing, unit),
        tried=unit.agents_tried,
        only_agent=keys.bound_agent(unit, step),
        approval=standing.spec.approval,
        context=_context(standing, step.needs),
        override=unit.override,
        default_only=unit.skipping,
        undoes=_undone(standing, unit),
    )


def _last_output(standing: Standing, unit: Unit) -> Ref | None:
    """What the round before this one gave."""
    if unit.round is None or unit.round == 1:
        return None
    return standing.units[keys.round_id(unit.step, unit.round - 1)].output


def open_map(standing: Standing, unit: Unit) -> OpenMap:
    return OpenMap(
        process=standing.spec.process_id,
        step=unit.step,
        approval=standing.spec.approval,
        context=_context(standing, standing.facts(unit).needs),
    )


def collect_items(standing: Standing, unit: Unit) -> CollectItems:
    """The items' outputs in order; a skipped item is a hole."""
    items = (standing.units[keys.item_id(unit.step, item)] for item in range(unit.items_next))
    return CollectItems(process=standing.spec.process_id, step=unit.step, outputs=tuple(item.output for item in items))


def build_output(standing: Standing) -> BuildOutput:
    assert standing.plan is not None
    steps = (step.id for step in standing.plan.steps)
    return BuildOutput(process=standing.spec.process_id, context=_context(standing, steps))


def invoke_agent(standing: Standing, unit: Unit) -> InvokeAgent:
    step, process = standing.facts(unit), standing.spec.process_id
    # A checked plan gives every called step a contract; CallPrepared has set agent and input.
    assert step.contract is not None
    assert unit.agent is not None
    assert unit.input is not None
    return InvokeAgent(
        process=process,
        call=keys.call_id(unit.id, unit.call),
        unit=unit.id,
        step=unit.step,
        agent=unit.agent,
        contract=step.contract,
        key=key_of(standing, unit),
        input=unit.input,
        timeout_ms=step.attempt_ms,
        effect=step.effect,
        idempotency=step.idempotency,
        free=step.free,
        lineage=standing.spec.lineage,
    )


def start_child(standing: Standing, unit: Unit) -> StartChild:
    """A child's spec is the parent's word: its own type's bounds, and never more money than is held back for it."""
    child, own = standing.facts(unit).child, standing.spec
    assert child is not None
    assert unit.child is not None
    call, allotment = keys.call_id(unit.id, unit.call), unit.reserve_usd_micros or 0
    strict = own.budget.unknown == "refuse"
    every_step = own.approval is ApprovalMode.EVERY_STEP
    spec = ProcessSpec(
        process_id=unit.child,
        principal=own.principal,
        request_sha256=unit.digest or "",
        lineage=(*own.lineage, own.process_id),
        parent_call=call,
        input=unit.input,
        type=child.type,
        budget=replace(child.budget, usd_micros=allotment, unknown="refuse" if strict else child.budget.unknown),
        approval=ApprovalMode.EVERY_STEP if every_step else ApprovalMode.POLICY,
        limits=replace(child.limits, depth=min(child.limits.depth, own.limits.depth)),
        core_version=own.core_version,
        models={stage: worst for stage, worst in own.models.items() if stage == Stage.BRIEF},  # its plan is given
    )
    return StartChild(
        process=own.process_id, call=call, child=unit.child, spec=spec, plan=child.plan, usd_micros=allotment
    )


def cancel_call(standing: Standing, unit: Unit) -> CancelCall:
    return CancelCall(process=standing.spec.process_id, call=keys.call_id(unit.id, unit.call), child=unit.child)


def start_timer(standing: Standing, unit: Unit) -> StartTimer:
    assert unit.timer is not None
    assert unit.wait_until is not None
    return StartTimer(process=standing.spec.process_id, timer=unit.timer, fire_at=unit.wait_until)


def escalation_timer(standing: Standing, escalation: Escalation) -> StartTimer | None:
    """The one timer of an open question: until somebody is reminded, then until its deadline."""
    kind, fire_at = keys.TimerKind.REMIND, escalation.remind_at
    if fire_at is None:
        kind, fire_at = keys.TimerKind.DEADLINE, escalation.deadline_at
    if fire_at is None:
        return None
    return StartTimer(process=standing.spec.process_id, timer=keys.timer_id(escalation.id, kind), fire_at=fire_at)


def open_escalation(standing: Standing, escalation: Escalation) -> OpenEscalation:
    """All that the evidence package is computed from. A question about the process itself has no unit."""
    unit = standing.units[escalation.unit] if escalation.unit is not None else None
    step = standing.facts(unit) if unit is not None else None
    failure = unit.failure if unit is not None else standing.stage_failure
    if unit is None and escalation.kind is EscalationKind.DRIFT:  # what happens beside it says nothing of it
        return OpenEscalation(
            process=standing.spec.process_id,
            escalation=escalation.id,
            kind=escalation.kind,
            decisions=escalation.decisions,
            min_assurance=escalation.min_assurance,
            role=escalation.role,
            deadline_at=escalation.deadline_at,
        )
    plan = standing.plan
    return OpenEscalation(
        process=standing.spec.process_id,
        escalation=escalation.id,
        kind=escalation.kind,
        unit=escalation.unit,
        step=escalation.step,
        call=escalation.call,
        digest=escalation.digest,
        contract=step.contract if step is not None else None,
        input=unit.input if unit is not None else standing.spec.input,
        detail=_detail(standing, unit, failure),
        code=failure.code if failure is not None else None,
        blame=failure.blame if failure is not None else None,
        rule=failure.rule if failure is not None else None,
        decisions=escalation.decisions,
        min_assurance=escalation.min_assurance,
        role=escalation.role,
        deadline_at=escalation.deadline_at,
        context=_context(standing, step.needs if step is not None else ()) if plan is not None else None,
        money=escalation.money,
        undoes=_undone(standing, unit) if unit is not None else None,
    )


def _detail(standing: Standing, unit: Unit | None, failure: Failure | None) -> Ref | None:
    """What is known beside the question: how it failed; of a plan, how it was checked."""
    if failure is not None:
        return failure.detail
    return standing.plan_report if unit is None else None


def stage_timer(standing: Standing) -> StartTimer:
    """Until a model that could not be had is asked again."""
    thinking = standing.thinking
    assert thinking.timer is not None
    assert thinking.wait_until is not None
    return StartTimer(process=standing.spec.process_id, timer=thinking.timer, fire_at=thinking.wait_until)


def write_brief(standing: Standing, escalation: Escalation) -> WriteBrief:
    assert escalation.package is not None
    return WriteBrief(process=standing.spec.process_id, escalation=escalation.id, package=escalation.package)


def stage_command(standing: Standing, stage: Stage) -> Command:
    """The command whose answer the process as a whole waits for: intake, plan or output."""
    spec = standing.spec
    if stage is Stage.INTAKE:
        return ClassifyTask(process=spec.process_id, task=spec.task, input=spec.input, process_type=spec.type)
    if stage is Stage.OUTPUT:
        return build_output(standing)
    sources, plan_round = standing.replanning.sources, standing.plan_round
    context = PlanContext(
        plan=standing.plan.sha256 if standing.plan is not None else "",
        type=spec.type,
        input=spec.input,
        sources=sources,
    )
    if standing.plan_proposed is not None:
        plan, kept = standing.plan_proposed, tuple(sources)
        return CheckPlan(process=spec.process_id, plan=plan, round=plan_round, context=context, kept=kept)
    failure = standing.replanning.failure
    return ProposePlan(
        process=spec.process_id,
        round=plan_round,
        context=context,
        report=standing.plan_report,
        task=spec.task,
        kept=tuple(sources),
        failed=failure.step if failure is not None else None,
        code=failure.code if failure is not None else None,
        message=failure.message if failure is not None else None,
        detail=failure.detail if failure is not None else None,
        rejected=standing.thinking.rejected,
        note=standing.thinking.note,
    )
