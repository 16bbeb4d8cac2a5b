"""The command `replay`: recorded processes decided anew, without a call and without a write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.doors.cli.session import Exit, Session, command
from process_orchestrator.views.replay_view import replay_text


@command
async def replay_command(
    session: Session,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[PROCESS_IDS]", help="Without, all.")] = None,
    definitions: Annotated[
        Path | None,
        typer.Option("--definitions", metavar="DIR", help="Decide by the definitions of this home."),
    ] = None,
) -> Exit:
    """Decide recorded processes anew, by this version and today's definitions. Exit code 1 where any would differ."""
    registry = load_home(definitions.expanduser()) if definitions is not None else None
    async with session.orchestrator(Mode.READ) as orchestrator:
        view = await orchestrator.replay(tuple(ids or ()), registry=registry, caller=session.caller)
    session.show(view, replay_text)
    return Exit.FAILED if view.differing else Exit.OK
