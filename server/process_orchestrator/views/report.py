"""The closing report in Markdown: asked, done by whom, failed and settled how, decided by whom, at what cost.

Rendered from state and trace on demand, never stored. All that agents or people wrote is escaped to literal text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core.facts.values import Status
from process_orchestrator.views.formats import counted, markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.views.models import EscalationView, ProcessView, TraceEntry


def report(
    state: Process, view: ProcessView, *, trace: Sequence[TraceEntry], escalations: Sequence[EscalationView]
) -> str:
    """The report of a process as it stands; of one that still runs it says so."""
    sections = [
        _heading(state, view),
        _asked(state, view),
        _steps(view),
        _failures(view, trace),
        _decisions(escalations),
        _cost(view),
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
        f"- Asked by: {markdown(state.spec.principal)}",
        f"- From {view.created_at} to {view.updated_at}",
    ]
    if view.label:
        rows.append(f"- Label: {markdown(view.label)}")
    return "\n".join(["## Asked", "", *rows])


def _steps(view: ProcessView) -> str:
    if not view.steps:
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
    return "\n".join(lines)


def _failures(view: ProcessView, trace: Iterable[TraceEntry]) -> str:
    """Every failed call with what followed it at the same step."""
    entries = list(trace)
    lines: list[str] = []
    for place, entry in enumerate(entries):
        if entry.kind != "call" or entry.verdict in (None, "ok"):
            continue
        lines.append(f"- {entry.at} {markdown(entry.summary)} Then: {_settled(view, entry, entries[place + 1 :])}.")
    return "\n".join(["## Failed, and how it was settled", "", *lines]) if lines else ""


def _settled(view: ProcessView, failed: TraceEntry, later: Iterable[TraceEntry]) -> str:
    for entry in later:
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


def _decisions(escalations: Iterable[EscalationView]) -> str:
    lines: list[str] = []
    for each in escalations:
        question = f"- **{markdown(each.question)}** (`{each.escalation_id}`, because {markdown(each.why.rule)})"
        if each.paragraph is not None:
            by = f"written by a model ({markdown(each.paragraph.model)}), no fact and no advice"
            beside = [f"  - {by}: {markdown(each.paragraph.text)}"]
        else:
            beside = []
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


def _cost(view: ProcessView) -> str:
    cost = view.cost
    lines = ["## Cost", "", f"- Spent: {cost.spent_usd} USD of {cost.budget_usd} USD, {cost.tokens} tokens"]
    if cost.unknown_calls:
        lines.append(f"- The price of {counted(cost.unknown_calls, 'call')} is unknown: the sum is a lower bound")
    return "\n".join(lines)
