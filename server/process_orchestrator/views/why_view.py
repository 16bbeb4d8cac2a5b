"""The failing call alone: what was asked, what came back, what is wrong with it, whose fault, and the next command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.documents.masking import cut
from process_orchestrator.core.facts.values import Blame, EscalationKind, Phase, Status
from process_orchestrator.core.trace import only_reads
from process_orchestrator.views.models import NextAction, WhyView

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Escalation, Failure, Process, Unit
    from process_orchestrator.views.models import FaultView, TraceEntry

SHOWN_BYTES: Final = 16_384
"""Most that is shown of a request or an answer."""


STAGES: Final = frozenset({EscalationKind.FAILED, EscalationKind.LOOP})
"""Questions about the process as a whole that a failure led to; what intake asks is no failure."""

SET_ASIDE: Final = (
    "No call has failed, but the process is set aside: the engine met a fault with it. Nothing of it goes on."
)


@dataclass(frozen=True, kw_only=True)
class Culprit:
    """The unit whose failure stands in the way, with its open question if it has one."""

    unit: Unit | None
    failure: Failure
    question: Escalation | None


@dataclass(frozen=True, kw_only=True)
class WhyBodies:
    """Bodies of the failing call, masked. `entry` is its CallFailed, `last_ok` the last good call before it."""

    request: Any = None
    answer: Any = None
    errors: tuple[Any, ...] = ()
    stderr: str | None = None
    entry: TraceEntry | None = None
    last_ok: str | None = None


def culprit(state: Process) -> Culprit | None:
    """What to look at: the failure that ended the process, else the open question's, else the newest one that waits."""
    questions = [each for each in state.escalations.values() if each.open]
    if state.failing is not None:
        unit = _unit_of(state, state.failing)
        return Culprit(unit=unit, failure=state.failing, question=next(iter(questions), None))
    for question in questions:
        if question.unit is None and question.kind in STAGES and state.stage_failure is not None:
            return Culprit(unit=None, failure=state.stage_failure, question=question)
        unit = state.units.get(question.unit) if question.unit else None
        if unit is not None and unit.failure is not None:
            return Culprit(unit=unit, failure=unit.failure, question=question)
    if state.status is Status.CANCELLED:  # a call that was cut off by that is no cause of anything
        return None
    for unit in reversed(state.units.values()):
        if unit.failure is not None and unit.phase in (Phase.BACKOFF, Phase.FAILED, Phase.ESCALATED):
            return Culprit(unit=unit, failure=unit.failure, question=None)
    return None


def _unit_of(state: Process, failure: Failure) -> Unit | None:
    if failure.call is not None:
        return state.units.get(failure.call.rpartition(".")[0])
    return state.units.get(failure.step) if failure.step else None


def why_view(state: Process, found: Culprit | None, bodies: WhyBodies, *, fault: FaultView | None = None) -> WhyView:
    """The view of the failing call; where nothing has failed it says what the process waits for, and why it does."""
    process_id = state.spec.process_id
    name = state.spec.type.name if state.spec.type else None
    command, reason = _next(state, found)
    faulty = found is None and fault is not None and fault.party == Blame.US
    if faulty and state.set_aside is None:
        command, reason = (
            "orchestrator verify",
            "It is tried again at the engine's next start; this looks for the cause.",
        )
    action = NextAction(command=command, reason=reason)
    if found is None:
        return WhyView(
            process_id=process_id,
            process_type=name,
            status=state.status.value,
            failed=False,
            message=SET_ASIDE if faulty else _waits_for(state),
            fault=fault,
            escalation_id=next((each.id for each in state.escalations.values() if each.open), None),
            next_command=command,
            next_actions=[action],
        )
    failure, entry = found.failure, bodies.entry
    request, request_cut = cut(bodies.request, limit=SHOWN_BYTES)
    answer, answer_cut = cut(bodies.answer, limit=SHOWN_BYTES)
    return WhyView(
        process_id=process_id,
        process_type=name,
        status=state.status.value,
        failed=True,
        step=found.unit.id if found.unit else failure.step,
        call=failure.call,
        agent=(entry.agent if entry else None) or (found.unit.agent.name if found.unit and found.unit.agent else None),
        contract=entry.contract if entry else None,
        code=failure.code,
        failure_class=failure.class_.value if failure.class_ else None,
        blame=failure.blame.value,
        outcome=failure.outcome.value,
        only_reads=failure.call is not None and only_reads(failure.call, state),
        pointer=failure.pointer,
        rule=failure.rule,
        message=failure.message,
        at=entry.at if entry else None,
        ms=entry.ms if entry else None,
        request=request,
        answer=answer,
        errors=list(bodies.errors),
        stderr=bodies.stderr,
        last_ok=bodies.last_ok,
        fault=fault,
        escalation_id=found.question.id if found.question else None,
        next_command=command,
        next_actions=[action],
        warnings=[*_effects(state), *([_cut_warning(state, found)] if request_cut or answer_cut else [])],
    )


def _effects(state: Process) -> list[str]:
    """What became of the effects of a process that ends before its time."""
    told = [f"Undone: {', '.join(state.undone)}."] if state.undone else []
    return [*told, f"Effects that stay: {', '.join(state.left)}."] if state.left else told


def _cut_warning(state: Process, found: Culprit) -> str:
    unit = found.unit.id if found.unit else "…"
    return f"Request or answer is cut; the whole: process://{state.spec.process_id}/steps/{unit}/input and …/output."


def _waits_for(state: Process) -> str:
    if state.status in (Status.COMPLETED, Status.CANCELLED):
        return f"Nothing failed; the process is {state.status.value}."
    return f"Nothing has failed; the process is {state.status.value}" + (f" ({state.why.value})." if state.why else ".")


def _next(state: Process, found: Culprit | None) -> tuple[str, str]:
    """The one command that helps, and why."""
    process_id = state.spec.process_id
    question = found.question if found else next((each for each in state.escalations.values() if each.open), None)
    if question is not None:
        return f"orchestrator resolve {question.id}", "A person must decide how it goes on."
    if state.status not in (Status.FAILED, Status.CANCELLED):
        return f"orchestrator state {process_id}", "It goes on by itself."
    if state.plan is None:
        name = state.spec.type.name if state.spec.type else "TYPE"
        return f"orchestrator run {name} --input FILE", "It ended before it had a plan: start again."
    again = f"orchestrator redrive {process_id}"
    if found is not None and found.failure.blame is Blame.CALLER:
        at = f" at {found.failure.pointer}" if found.failure.pointer else ""
        return f"{again} --input FILE", f"Correct the input{at}; what does not depend on it is taken over."
    if found is not None and found.failure.blame is Blame.PLANNER:
        return again, "A binding of the plan is at fault: mend the process type first; `check` says whether it fits."
    return again, "Once the cause is mended, this goes on from there; what is done is taken over, not called again."
