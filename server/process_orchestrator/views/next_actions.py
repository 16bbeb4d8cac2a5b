"""What a caller does next, told in every result: tool with arguments, and the command that does the same on a terminal.

Who asks what and when is here; `process_view` and the use cases put it into their results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.core.facts.values import Status
from process_orchestrator.views.models import NextAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.views.models import EscalationView

WAIT_S: Final = 20


@dataclass(frozen=True, kw_only=True)
class Below:
    """A process that one of this process's steps started and waits for, and its open question if it has one."""

    step: str
    process_id: str
    escalation_id: str | None = None
    kind: str | None = None


def see_question(escalation_id: str, reason: str) -> NextAction:
    """A question with its whole package; on a terminal, where it is also answered."""
    return NextAction(
        tool="list_escalations",
        args={"escalation_id": escalation_id},
        command=f"orchestrator resolve {escalation_id}",
        reason=reason,
    )


def see_process(process_id: str, reason: str, **how: Any) -> NextAction:
    return NextAction(
        tool="get_state",
        args={"process_id": process_id, **how},
        command=f"orchestrator state {process_id}",
        reason=reason,
    )


def see_trace(process_id: str, reason: str, **which: Any) -> NextAction:
    """The trace, or `which` part of it."""
    return NextAction(
        tool="list_trace",
        args={"process_id": process_id, **which},
        command=f"orchestrator trace {process_id}",
        reason=reason,
    )


def next_actions(state: Process, open_rows: Sequence[EscalationView]) -> list[NextAction]:
    """What is done next about a process and its own questions."""
    process_id = state.spec.process_id
    match state.status:
        case Status.QUEUED | Status.RUNNING:
            reason = "It runs on without you; this returns when something has changed."
            return [*_decide(open_rows), see_process(process_id, reason, wait_s=WAIT_S, since=state.seq)]
        case Status.WAITING_HUMAN:
            return _decide(open_rows)
        case Status.COMPLETED:
            reason = "It is completed; the report says what was done, by whom and at what cost."
            return [see_process(process_id, reason, include=["report"])]
        case Status.FAILED:
            return [_see_failure(state)]
        case Status.CANCELLED:
            return [see_trace(process_id, "It was cancelled; the trace says what had been done until then.")]


def _decide(rows: Sequence[EscalationView]) -> list[NextAction]:
    said = "A person must decide ({}): show the user this question, then resolve_escalation."
    return [see_question(row.escalation_id, said.format(row.kind)) for row in rows]


def decide_below(below: Sequence[Below]) -> list[NextAction]:
    """What a person must decide below comes first: nothing goes on without it, however long a caller polls."""
    said = "A person must decide ({}) in the process that step {} started."
    return [
        see_question(each.escalation_id, said.format(each.kind, each.step))
        for each in below
        if each.escalation_id is not None
    ]


def look_below(below: Sequence[Below]) -> list[NextAction]:
    """The processes that a process waits for and that ask nobody."""
    return [
        see_process(each.process_id, f"Step {each.step} waits for this process.")
        for each in below
        if each.escalation_id is None
    ]


def _see_failure(state: Process) -> NextAction:
    process_id, failure = state.spec.process_id, state.failing
    which = {"step": failure.step, "data": True} if failure and failure.step else {}
    blamed = f" ({failure.code}, blame {failure.blame.value})" if failure else ""
    return NextAction(
        tool="list_trace",
        args={"process_id": process_id, **which},
        command=f"orchestrator why {process_id}",
        reason=f"It failed{blamed}; this shows the failing call with its data.",
    )
