"""Many processes at once: how many ended how, and which need somebody. One process is `models.ProcessView`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.views.formats import one_line
from process_orchestrator.views.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.views.models import ErrorBody, ProcessView

SHOWN_MAX: Final = 20
"""Rows of each kind that are shown as prose; JSON has them all."""
WORDS: Final = {
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "waiting_human": "waiting for a person",
    "running": "running",
    "queued": "queued",
}


class BatchRow(View):
    """A process that needs somebody: what it was made from, and how it stands."""

    process_id: str
    of: str
    status: str
    code: str | None = None
    escalation_id: str | None = None


class RefusedRow(View):
    """What made no process, and why."""

    of: str
    code: str
    message: str
    do: str


class BatchView(View):
    """`given` pieces of work became `processes`; `totals` counts those by status."""

    label: str | None = None
    given: int
    processes: int
    totals: dict[str, int]
    failed: list[BatchRow] = []
    waiting: list[BatchRow] = []
    refused: list[RefusedRow] = []
    next_command: str | None = None


def batch_row(view: ProcessView, of: str) -> BatchRow:
    """The row of a process, made from what `of` says."""
    asked = next((row.escalation_id for row in view.escalations if row.status == "open"), None)
    return BatchRow(
        process_id=view.process_id,
        of=of,
        status=view.status,
        code=view.error.code if view.error is not None else None,
        escalation_id=asked,
    )


def refused_row(error: ErrorBody, of: str) -> RefusedRow:
    return RefusedRow(of=of, code=error.code, message=error.message, do=error.do)


def batch_view(rows: Sequence[BatchRow], refused: Sequence[RefusedRow], *, label: str | None, given: int) -> BatchView:
    """Count rows by status. Two pieces of work may have met one process: it counts once."""
    once = {row.process_id: row for row in rows}.values()
    totals = {status: count for status in WORDS if (count := sum(row.status == status for row in once))}
    failed = [row for row in once if row.status in ("failed", "cancelled")]
    return BatchView(
        label=label,
        given=given,
        processes=len(once),
        totals=totals,
        failed=failed,
        waiting=[row for row in once if row.status == "waiting_human"],
        refused=list(refused),
        next_command=f"orchestrator redrive --label {label}" if failed and label else None,
    )


def batch_text(view: BatchView) -> str:
    """Totals first, then whom each of the rest needs; the next command last."""
    totals = ", ".join(f"{count} {WORDS[status]}" for status, count in view.totals.items()) or "none"
    refused = f", {len(view.refused)} refused" if view.refused else ""
    lines = [f"{view.given} given, {view.processes} process{'' if view.processes == 1 else 'es'}: {totals}{refused}."]
    lines += _some([f"- {row.of}: {row.code} {one_line(row.message)} Do: {one_line(row.do)}" for row in view.refused])
    lines += _some([f"- {row.of}: {row.process_id} {row.status}: {row.code or row.status}" for row in view.failed])
    lines += _some([f"- {row.of}: {row.process_id} asks {row.escalation_id or 'a person'}" for row in view.waiting])
    if view.next_command is not None:
        lines.append(f"Next: {view.next_command}")
    return "\n".join(lines)


def _some(lines: list[str]) -> list[str]:
    left = len(lines) - SHOWN_MAX
    return [*lines[:SHOWN_MAX], f"- and {left} more; --json shows all"] if left > 0 else lines
