"""The closing report in Markdown: asked, done by whom, failed and settled how, decided by whom, at what cost.

Rendered from state and trace on demand, never stored. All that agents or people wrote is escaped to literal text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.facts.values import Status
from process_orchestrator.core.money import usd
from process_orchestrator.core.trace import OK
from process_orchestrator.views.formats import counted, markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from process_orchestrator.core.facts.specs import Requirement
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.views.model_spend import Spend
    from process_orchestrator.views.models import EscalationView, ProcessView, TraceEntry

THOUGHT: Final = frozenset({"TaskClassified", "PlanProposed", "PlanChecked"})
WANTED: Final = {"budget": "a budget of", "deadline": "an end within", "approval": "approval:"}
SPENT_ON: Final = {"intake": "reading the task", "plan": "planning", "agents": "as agents", "brief": "paragraphs"}
SUMMARY_CHARACTERS: Final = 500
PARAGRAPH_CHARACTERS: Final = 700


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a report is made of beside state and view. `against` says how the cost stands to the estimate."""

    trace: Sequence[TraceEntry]
    escalations: Sequence[EscalationView]
    spend: Sequence[Spend] = ()
    against: str | None = None


def report(state: Process, view: ProcessView, told: Told) -> str:
    """The report of a process as it stands; of one that still runs it says so."""
    sections = [
        _heading(state, view),
        _asked(state, view),
        _planned(view, told.trace),
        _steps(state, view),
        _failures(view, told.trace),
        _decisions(told.escalations),
        _cost(view, told),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _heading(state: Process, view: ProcessView) -> str:
    name = view.process_type or "a task without a type"
    ended = state.status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
    lines = [f"# {markdown(name)}: {view.status}{'' if ended else ' (not ended yet)'}", "", f"`{view.process_id}`"]
    if view.error is not None:
        error = view.error
        step = f" at step {markdown(error.step)}" if error.step else ""
        message = f": {markdown(error.message)}" if error.message else ""
        lines += ["", f"Failed{step} with `{error.code}`, blame {error.blame}{message}"]
    if state.cancel_reason:
        lines += ["", f"Cancelled: {markdown(state.cancel_reason)}"]
    if view.left:
        lines += ["", f"Effects that stay: {', '.join(f'`{unit}`' for unit in view.left)}"]
    if view.undone:
        lines += ["", f"Undone: {', '.join(f'`{unit}`' for unit in view.undone)}"]
    return "\n".join(lines)


def _asked(state: Process, view: ProcessView) -> str:
    pin = f"{state.spec.type.name} {state.spec.type.version}" if state.spec.type else "none yet"
    rows = [
        f"- Task: {markdown(view.task) if view.task else 'given as a process type'}",
        f"- Process type: {markdown(pin)} (found by: {view.classified_by}, planned: {view.planned_by or 'not yet'})",
        *_required(state),
        f"- Asked by: {markdown(state.spec.principal)}",
        f"- From {view.created_at} to {view.updated_at}",
    ]
    if view.label:
        rows.append(f"- Label: {markdown(view.label)}")
    return "\n".join(["## Asked", "", *rows])


def _required(state: Process) -> list[str]:
    """What the task's own words asked for beside its input."""
    return [
        f"- The task asks for {WANTED.get(each.kind, each.kind)} {markdown(_value_of(each))}: "
        f"\u201c{markdown(each.quote)}\u201d"
        for each in state.spec.requirements
    ]


def _value_of(requirement: Requirement) -> str:
    if requirement.kind == "budget":
        return f"{requirement.value} USD"
    if requirement.kind == "deadline" and requirement.value.isdecimal():
        return f"{int(requirement.value) / 1000:g} s"
    return requirement.value


def _planned(view: ProcessView, trace: Sequence[TraceEntry]) -> str:
    """How type and plan were found, where that took more than a rule: who said what, and what the check said to it."""
    thought = [each for each in trace if each.event in THOUGHT or _of_stage(each)]
    if not thought:
        return ""
    proposed = sum(each.event == "PlanProposed" for each in thought)
    refused = sum(each.event == "PlanChecked" and each.verdict != OK for each in thought)
    lines = ["## Read and planned", ""]
    if proposed:
        rounds = f"{counted(proposed, 'proposal')} of a model, {refused} refused by the check"
        lines += [f"Planned by: {view.planned_by or 'nobody yet'} ({rounds}).", ""]
    lines += [f"- {each.at} {markdown(each.summary, limit=SUMMARY_CHARACTERS)}" for each in thought]
    return "\n".join(lines)


def _of_stage(entry: TraceEntry) -> bool:
    """Whether reading the task or planning has failed."""
    return entry.event == "StageFailed" and entry.kind in {"plan", "process"}


def _steps(state: Process, view: ProcessView) -> str:
    """A row per step; those that another plan has replaced had their calls and their price too."""
    replaced = state.replanning.replaced.values()
    if not view.steps and not replaced:
        return ""
    lines = ["## Done", "", "| step | contract | agent | status | calls | cost (USD) |", "|---|---|---|---|---|---|"]
    for step in view.steps:
        status = f"{step.status} ({step.why})" if step.why else step.status
        if step.items:
            status = f"{status}, {step.items.done} of {step.items.total} items"
        if step.rounds:
            status = f"{status}, {step.rounds.done} of at most {step.rounds.total} rounds"
        cells = (step.id, step.contract or "", step.agent or "", status, str(step.attempts), step.cost_usd or "-")
        lines.append("| " + " | ".join(markdown(cell) for cell in cells) + " |")
    for unit in replaced:
        why = f"replaced by another plan ({unit.failure.code})" if unit.failure else "replaced by another plan"
        cost = "-" if unit.unknown_calls and not unit.usd_micros else usd(unit.usd_micros)
        cells = (unit.id, "", unit.agent.name if unit.agent else "", why, str(unit.calls_total), cost)
        lines.append("| " + " | ".join(markdown(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _failures(view: ProcessView, trace: Iterable[TraceEntry]) -> str:
    """Every failed call with what followed it at the same step."""
    entries = list(trace)
    lines: list[str] = []
    for place, entry in enumerate(entries):
        if not (entry.kind == "call" or _of_stage(entry)) or entry.verdict in (None, OK):
            continue
        lines.append(f"- {entry.at} {markdown(entry.summary)} Then: {_settled(view, entry, entries[place + 1 :])}.")
    return "\n".join(["## Failed, and how it was settled", "", *lines]) if lines else ""


def _settled(view: ProcessView, failed: TraceEntry, later: Iterable[TraceEntry]) -> str:
    if _of_stage(failed):
        return _stage_settled(later)
    for entry in later:
        if entry.event == "PlanProposed":
            return "a model was asked for another plan of what was left"
        if entry.step != failed.step or entry.step is None:
            continue
        match entry.event:
            case "CallPrepared":
                same = entry.agent == failed.agent
                return (
                    f"called again at {markdown(entry.agent or '?')}"
                    if same
                    else f"called {markdown(entry.agent or '?')}"
                )
            case "EscalationOpened":
                return "a person was asked"
            case "StepSkipped":
                return "the step was skipped"
            case _:
                continue
    if view.undone and view.error is not None and view.error.call == failed.call:
        return "what had been done was undone"
    return "nothing followed"


def _stage_settled(later: Iterable[TraceEntry]) -> str:
    """What followed where a task could not be read, or no plan be made."""
    for entry in later:
        match entry.event:
            case "PlanProposed":
                return "a model proposed another plan"
            case "TaskClassified":
                return "the task was read again"
            case "EscalationOpened" if entry.step is None:
                return "a person was asked"
            case "StageFailed" if _of_stage(entry):
                return "it was tried again"
            case _:
                continue
    return "nothing followed"


def _decisions(escalations: Iterable[EscalationView]) -> str:
    lines: list[str] = []
    for each in escalations:
        question = f"- **{markdown(each.question)}** (`{each.escalation_id}`, because {markdown(each.why.rule)})"
        beside = [*_paragraph(each), *_precedents(each)]
        resolution = each.resolution
        if resolution is None:
            lines += [f"{question}: {each.status}", *beside]
            continue
        note = f"; note: {markdown(resolution.note)}" if resolution.note else ""
        proof = "asserted, no person proven" if resolution.assurance == "A0" else resolution.assurance
        lines.append(
            f"{question}: **{resolution.decision}** by {markdown(resolution.by)} "
            f"({markdown(resolution.channel)}, {proof}) at {resolution.at}{note}"
        )
        lines += beside
    return "\n".join(["## Decided by people", "", *lines]) if lines else ""


def _paragraph(question: EscalationView) -> list[str]:
    if question.paragraph is None:
        return []
    by = f"written by a model ({markdown(question.paragraph.model)}), no fact and no advice"
    return [f"  - {by}: {markdown(question.paragraph.text, limit=PARAGRAPH_CHARACTERS)}"]


def _precedents(question: EscalationView) -> list[str]:
    """How the same was decided before, as far as that was shown with the question."""
    return [
        f"  - decided before: {each.decision} by {markdown(each.by)} ({markdown(each.channel)}, {each.assurance}) "
        f"at {each.at}, `{each.escalation_id}`"
        for each in question.precedents or ()
    ]


def _cost(view: ProcessView, told: Told) -> str:
    cost = view.cost
    lines = ["## Cost", "", f"- Spent: {cost.spent_usd} USD of {cost.budget_usd} USD, {cost.tokens} tokens"]
    if cost.unknown_calls:
        lines.append(f"- The price of {counted(cost.unknown_calls, 'call')} is unknown: the sum is a lower bound")
    if told.against is not None:
        lines.append(f"- Against the estimate: {told.against}")
    for each in told.spend:
        priced = each.answers - each.unknown
        price = f"{usd(each.usd_micros)} USD" if priced else "at an unknown price"
        least = f" (the price of {counted(each.unknown, 'answer')} is unknown)" if each.unknown and priced else ""
        lines.append(
            f"- Models, {SPENT_ON[each.stage]}: {counted(each.answers, 'answer')}, {each.tokens} tokens, {price}{least}"
        )
    return "\n".join(lines)
