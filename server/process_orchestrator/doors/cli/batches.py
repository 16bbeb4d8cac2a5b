"""Carries many processes to their ends, one totals line for all. Not one process: that is `run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.doors.cli.session import Exit
from process_orchestrator.views.batch_view import BatchView, batch_row, batch_text, batch_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from process_orchestrator.doors.cli.session import Session
    from process_orchestrator.orchestrator import Orchestrator
    from process_orchestrator.views.batch_view import BatchRow, RefusedRow

GOING: Final = ("queued", "running")
TOLD_EVERY: Final = 20
"""A line on stderr after every so many that need nothing more, and at the last."""


async def rows_of(
    session: Session, orchestrator: Orchestrator, made: Mapping[str, str], *, follow: bool
) -> list[BatchRow]:
    """How the processes stand, by what each was made from; with `follow` once each has ended or asks a person."""
    rows: list[BatchRow] = []
    for process_id, of in made.items():
        view = await orchestrator.state(process_id, caller=session.caller)
        while follow and view.status in GOING:
            view = await orchestrator.state(process_id, wait_s=20, since=view.version, caller=session.caller)
        rows.append(batch_row(view, of))
        if follow and (len(rows) % TOLD_EVERY == 0 or len(rows) == len(made)):
            session.note(f"{view.updated_at} {len(rows)} of {len(made)}")
    return rows


def finish(
    session: Session, rows: Sequence[BatchRow], refused: Sequence[RefusedRow], *, label: str | None, given: int
) -> Exit:
    """Print the totals and say with which code to leave: refused before failed before waiting."""
    view: BatchView = batch_view(rows, refused, label=label, given=given)
    session.show(view, batch_text)
    if view.refused:
        return Exit.REFUSED
    if view.failed:
        return Exit.FAILED
    return Exit.WAITING if view.waiting else Exit.OK
