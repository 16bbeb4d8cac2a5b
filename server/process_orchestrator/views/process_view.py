"""Renders where a process stands, from core state and the few bodies it names. Pure, and decides nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.core.facts.values import Decision, EscalationKind, Phase, Status, Why
from process_orchestrator.core.money import usd
from process_orchestrator.core.status import shown_phase
from process_orchestrator.views.escalation_view import EscalationBodies, Places, assurance_label, escalation_view
from process_orchestrator.views.formats import counted, one_line, timestamp
from process_orchestrator.views.models import (
    CostView,
    FailureView,
    ProcessRowView,
    ProcessView,
    Progress,
    RequirementView,
    Simpler,
    StepView,
    VerdictView,
)
from process_orchestrator.views.next_actions import Below, decide_below, look_below, next_actions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from process_orchestrator.core.facts.specs import Fit, StepFacts
    from process_orchestrator.core.facts.state import Failure, Process, Unit
    from process_orchestrator.core.ports import ProcessRow
    from process_orchestrator.views.models import EscalationView

OUTPUT_BYTES_MAX: Final = 256_000
"""A larger output is named, not shown: a host application would refuse or drown in it."""

SET_ASIDE: Final = (
    "The engine met a fault with this process and set it aside: nothing of it goes on until the next start. "
    "Its log names the fault; `orchestrator verify` looks for what is amiss."
)
POLL_MS: Final = 1000
POLL_HUMAN_MS: Final = 60_000
ENDED: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
ENDED_BY_PERSON: Final = frozenset({"rejected", "aborted"})
ASKING: Final = frozenset({Phase.ASKING, Phase.ESCALATED})


@dataclass(frozen=True, kw_only=True)
class ProcessBodies:
    """What the state only references. `output` is masked already; `output_bytes` is its whole size."""

    task: str | None = None
    output: Any = None
    output_bytes: int = 0
    escalations: Mapping[str, EscalationBodies] = field(default_factory=dict[str, EscalationBodies])
    unplanned_type: bool = False  # its type has no plan of its own


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What a caller asked for beside the view, and what the use case wants to say. `whole`: never leave output out."""

    warnings: Sequence[str] = ()
    simpler: Sequence[Simpler] = ()  # what would do instead of the plan, with its price
    set_aside: bool = False
    whole: bool = False
    plan: dict[str, Any] | None = None
    report: str | None = None
    diagram: str | None = None

    @property
    def said(self) -> tuple[str, ...]:
        """All warnings, the gravest first."""
        return (SET_ASIDE, *self.warnings) if self.set_aside else tuple(self.warnings)


def process_view(
    state: Process,
    bodies: ProcessBodies,
    *,
    places: Places | None = None,
    extras: Extras | None = None,
    below: Sequence[Below] = (),
) -> ProcessView:
    spec, more = state.spec, extras or Extras()
    process_id = spec.process_id
    rows = [
        escalation_view(state, each, bodies.escalations.get(each.id, EscalationBodies()), whole=False, places=places)
        for each in state.escalations.values()
        if each.open
    ]
    too_large = bodies.output_bytes > OUTPUT_BYTES_MAX and not more.whole
    return ProcessView(
        process_id=process_id,
        process_type=type_name(state),
        label=spec.label,
        status=state.status.value,
        why=Why.ENGINE.value if more.set_aside else state.why.value if state.why else None,
        wait_until=_wait_until(state),
        version=state.seq,
        verdict=verdict_view(state.plan.fit, more.simpler) if state.plan and state.plan.fit else None,
        task=bodies.task,
        classified_by=spec.classified_by,
        planned_by=_planned_by(state, bodies),
        requirements=requirement_views(state) or None,
        step=Progress(done=state.steps_done, total=len(state.plan.steps) if state.plan else 0),
        steps=steps_view(state),
        escalations=rows,
        cost=_cost(state),
        output=None if too_large else bodies.output,
        error=_error(state),
        undone=list(state.undone),
        left=list(state.left),
        redrives=spec.redrives,
        next_actions=[*decide_below(below), *next_actions(state, rows), *look_below(below)],
        poll_after_ms=poll_after_ms(state),
        resources=_resources(state, rows),
        warnings=[*more.said, *_warnings(state, bodies, too_large=too_large)],
        truncated=too_large,
        created_at=timestamp(state.created_at),
        updated_at=timestamp(state.updated_at),
        plan=more.plan,
        report=more.report,
        diagram=more.diagram,
    )


def process_row(row: ProcessRow) -> ProcessRowView:
    """A process in a listing."""
    return ProcessRowView(
        process_id=row.process_id,
        process_type=row.process_type,
        label=row.label,
        status=row.status,
        why=Why.ENGINE.value if row.set_aside else row.why,
        version=row.version,
        step=Progress(done=row.steps_done, total=row.steps_total),
        cost_usd=usd(row.usd_micros),
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )


def type_name(state: Process) -> str | None:
    return state.spec.type.name if state.spec.type else None


def verdict_view(fit: Fit, simpler: Sequence[Simpler] = ()) -> VerdictView:
    """Whether orchestration is worth it. `simpler` is what would do instead, with its price where that is known."""
    return VerdictView(
        kind="single_call" if fit.verdict == "single_call" else "orchestrate",
        reasons=list(fit.reasons),
        simpler=list(simpler) or [Simpler(what=what) for what in fit.simpler],
    )


def failure_view(failure: Failure) -> FailureView:
    return FailureView(
        code=failure.code,
        blame=failure.blame.value,
        step=failure.step,
        call=failure.call,
        pointer=failure.pointer,
        rule=failure.rule,
        message=failure.message,
    )


def _error(state: Process) -> FailureView | None:
    """The failure of a failed process; of one that a person ended, who that was."""
    if state.failing is None or state.status is not Status.FAILED:
        return None
    shown = failure_view(state.failing)
    if shown.message is not None or shown.code not in ENDED_BY_PERSON:
        return shown
    answers = [each.resolution for each in state.escalations.values() if each.resolution is not None]
    ended = [each for each in answers if each.decision in (Decision.REJECT, Decision.ABORT)]
    if not ended:
        return shown
    last = max(ended, key=lambda each: each.at)
    proof = f"{last.channel}, {assurance_label(last.assurance, last.channel)}"
    note = f": {one_line(last.note)}" if last.note else ""
    return shown.model_copy(update={"message": f"{shown.code} by {last.by} ({proof}){note}"})


# --- steps -------------------------------------------------------------------------------------------------------


def steps_view(state: Process) -> list[StepView]:
    """One row per step of the plan, the items of a mapped step summed up in it."""
    if state.plan is None:
        return []
    units: dict[str, list[Unit]] = defaultdict(list)
    for unit in state.units.values():
        units[unit.step].append(unit)
    return [_step(step, units.get(step.id, [])) for step in state.plan.steps]


def _step(step: StepFacts, units: list[Unit]) -> StepView:
    own = next((unit for unit in units if unit.id == step.id), None)
    spent = sum(unit.usd_micros for unit in units)
    waits = [unit.wait_until for unit in units if unit.wait_until is not None and unit.phase is Phase.BACKOFF]
    called = [unit for unit in units if unit.calls_total]
    priced = called and not (spent == 0 and any(unit.unknown_calls for unit in called))
    return StepView(
        id=step.id,
        contract=step.contract.name if step.contract else step.child.type.name if step.child else None,
        agent=None if step.child else next((unit.agent.name for unit in units if unit.agent and unit.agent.name), None),
        status=(shown_phase(own) if own is not None else Phase.WAITING).value,
        attempts=sum(unit.calls_total for unit in units if unit.undoes is None),
        why=_why(units),
        wait_until=timestamp(min(waits)) if waits else None,
        cost_usd=usd(spent) if priced else None,
        items=Progress(done=own.items_done, total=own.count) if own and own.count is not None else None,
        child=_child(units),
        rounds=_rounds(own, units) if own is not None and own.rounds else None,
        author=own.author if own is not None else None,
    )


def _child(units: Iterable[Unit]) -> str | None:
    """The process that the step started: the one that runs, else the last."""
    started = [unit for unit in units if unit.child is not None]
    live = [unit for unit in started if unit.phase is Phase.CALLING]
    return (live or started)[-1].child if started else None


def _rounds(own: Unit, units: Iterable[Unit]) -> Progress:
    """How many rounds of a repeated step are done, of how many it may take."""
    return Progress(
        done=sum(unit.round is not None and unit.phase is Phase.DONE for unit in units), total=own.rounds_max
    )


def _why(units: Iterable[Unit]) -> str | None:
    """Why the step waits, or the code by which it failed."""
    for unit in units:
        if unit.phase in ASKING:
            return "budget" if unit.wants is EscalationKind.BUDGET else "human"
        if unit.why is not None and unit.phase in (Phase.BACKOFF, Phase.CALLING, Phase.PREPARING):
            return unit.why.value
        if unit.failure is not None and unit.phase in (Phase.FAILED, Phase.SKIPPED):
            return unit.failure.code
    return None


# --- the rest of the view ----------------------------------------------------------------------------------------


def requirement_views(state: Process) -> list[RequirementView]:
    """What the task asks for beside its input; the quotes are its own words."""
    return [
        RequirementView.model_validate({"kind": each.kind, "quote": one_line(each.quote), "value": each.value})
        for each in state.spec.requirements
    ]


def _planned_by(state: Process, bodies: ProcessBodies) -> str | None:
    """Who made the plan. No round of planning: the type's file, or the rule that one contract closes the type."""
    if state.plan is None:
        return None
    if state.plan_round:
        return "model"
    if not bodies.unplanned_type:
        return "fixed"
    return "single_call" if state.plan.fit and state.plan.fit.verdict == "single_call" else "model"


def _cost(state: Process) -> CostView:
    return CostView(
        spent_usd=usd(state.usd_micros),
        reserved_usd=usd(state.reserved_usd_micros),
        budget_usd=usd(state.spec.budget.usd_micros),
        tokens=state.tokens,
        unknown_calls=state.unknown_calls,
    )


def _wait_until(state: Process) -> str | None:
    """When the next wait ends by itself, where nothing but waits is live."""
    if state.status in ENDED or state.live_calls:
        return None
    times = [unit.wait_until for unit in state.units.values() if unit.wait_until and unit.phase is Phase.BACKOFF]
    if state.thinking.wait_until is not None:  # for a model that could not be had
        times.append(state.thinking.wait_until)
    if state.status is Status.WAITING_HUMAN:
        times = [each.deadline_at for each in state.escalations.values() if each.open and each.deadline_at]
    return timestamp(min(times)) if times else None


def poll_after_ms(state: Process) -> int:
    """When it is worth looking again; 0: never, the process has ended."""
    if state.status in ENDED:
        return 0
    return POLL_HUMAN_MS if state.status is Status.WAITING_HUMAN else POLL_MS


def _resources(state: Process, rows: Sequence[EscalationView]) -> list[str]:
    process_id = state.spec.process_id
    own = [f"process://{process_id}/{part}" for part in ("state", "trace", "diagram")]
    return [*own, f"report://{process_id}", *(f"escalation://{row.escalation_id}" for row in rows)]


def _warnings(state: Process, bodies: ProcessBodies, *, too_large: bool) -> list[str]:
    warnings: list[str] = []
    if state.unknown_calls:
        calls = counted(state.unknown_calls, "call")
        warnings.append(f"The price of {calls} is unknown; the cost is a lower bound.")
    if too_large:
        warnings.append(
            f"The output has {bodies.output_bytes} bytes and is left out here. The whole: "
            f"`orchestrator state {state.spec.process_id} --json`, or process://{state.spec.process_id}/steps/-/output."
        )
    return warnings
