"""The command `redrive`: one ended process is taken up and watched, or all of a label."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.batches import finish, rows_of
from process_orchestrator.doors.cli.run_commands import InputOption, watch
from process_orchestrator.doors.cli.session import (
    Exit,
    Session,
    command,
    read_json,
)
from process_orchestrator.orchestrator import RedriveRequest
from process_orchestrator.views.batch_view import RefusedRow, refused_row
from process_orchestrator.views.error_view import error_view


@command
async def redrive_command(
    session: Session,
    process_id: Annotated[
        str | None, typer.Argument(metavar="[PROCESS_ID]", help="One that failed or was cancelled.")
    ] = None,
    from_step: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Run this step and all that needs it again, done or not."),
    ] = None,
    input_file: InputOption = None,
    again: Annotated[
        list[str] | None, typer.Option("--again", metavar="STEP", help="Its effect may happen a second time.")
    ] = None,
    pinned: Annotated[
        bool, typer.Option("--pinned", help="Keep the definitions it was pinned to, not those of the files.")
    ] = False,
    key: Annotated[str | None, typer.Option("--key", help="Make another process than the first redrive made.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Redrive every process of this label.")] = None,
    status: Annotated[str, typer.Option("--status", help="With --label: failed or cancelled.")] = "failed",
    follow_on: Annotated[
        bool, typer.Option("--follow", help="Stay while a human is waited for, until the process has ended.")
    ] = False,
) -> Exit:
    """Take up a process that failed or was cancelled: what was done is taken over, the rest runs."""
    session.need_definitions()
    asked = RedriveRequest(
        process_id=process_id or "",
        from_step=from_step,
        input=read_json(input_file),
        again=tuple(again or ()),
        pinned=pinned,
        key=key,
    )
    if process_id is None:
        return await _all(session, asked, label=label, status=status)
    if label is not None:
        raise RefusedError("BAD_ARGUMENT", "a process and a label are given.", do="give one of them.")
    async with session.orchestrator(Mode.DRIVE) as orchestrator:
        view = await orchestrator.redrive(asked, caller=session.caller)
        return await watch(session, orchestrator, view, follow_on=follow_on)


async def _all(session: Session, asked: RedriveRequest, *, label: str | None, status: str) -> Exit:
    """Take up every ended process of a label that none has taken up yet, and see each to its end or question."""
    if label is None:
        raise RefusedError(
            "BAD_ARGUMENT", "neither a process nor a label is given.", do="give PROCESS_ID, or --label LABEL for all."
        )
    if asked.input is not None or asked.key is not None:
        raise RefusedError("BAD_ARGUMENT", "--input and --key are for one process.", do="leave them out with --label.")
    made: dict[str, str] = {}
    refused: list[RefusedRow] = []
    async with session.orchestrator(Mode.DRIVE) as orchestrator:
        ended = await orchestrator.unfinished(label, status=status, caller=session.caller)
        for process_id in ended:
            try:
                view = await orchestrator.redrive(replace(asked, process_id=process_id), caller=session.caller)
            except RefusedError as error:
                refused.append(refused_row(error_view(error).error, process_id))
            else:
                made[view.process_id] = process_id
        rows = await rows_of(session, orchestrator, made, follow=True)
    return finish(session, rows, refused, label=label, given=len(ended))
