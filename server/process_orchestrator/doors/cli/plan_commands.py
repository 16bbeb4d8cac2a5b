"""The plan of a task before it is followed, on a terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.doors.cli.run_commands import InputOption
from process_orchestrator.doors.cli.session import Exit, Session, command, read_json
from process_orchestrator.views.plan_ahead import PlanRequest, plan_ahead_text


@command
async def plan_command(
    session: Session,
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="The task in plain words.")] = None,
    type_: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="The process type; without it the rules find one.")
    ] = None,
    input_file: InputOption = None,
) -> Exit:
    """Show the plan that a task would be done by, and what the check says of it. Starts nothing."""
    session.need_definitions()
    async with session.orchestrator(Mode.READ) as orchestrator:
        request = PlanRequest(task=task, process_type=type_, input=read_json(input_file))
        view = await orchestrator.plan(request)
    session.show(view, plan_ahead_text)
    return Exit.OK if view.ok else Exit.REFUSED
