"""The command `contracts verify`, which asks whether an agent keeps a contract."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from process_orchestrator.assemble import verify_agent
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.session import Exit, Session, command
from process_orchestrator.views.verify_view import VerifyView, junit_xml, verify_text


@command
async def verify_contract_command(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A contract: a name, or name@version.")],
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="A", help="Who is called; without, the one agent that serves it.")
    ] = None,
    cases: Annotated[
        int, typer.Option("--cases", metavar="N", help="So many valid inputs, and twice as many broken.")
    ] = 30,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="S", help="The same inputs again; without, new ones.")
    ] = None,
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="Only this case, such as valid-7.")] = None,
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Also call what writes or cannot be undone. Never on real data.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the report as JUnit XML too.")
    ] = None,
) -> Exit:
    """Call an agent with examples, generated and broken inputs, and judge every answer. Exit code 1 if any fails."""
    # Heavy, and wanted here alone: calling agents is not loaded for commands that only look.
    from process_orchestrator.usecases.verifying import VerifyRequest  # noqa: PLC0415

    session.need_definitions()
    request = VerifyRequest(
        contract=name,
        agent=agent,
        count=cases,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        allow_writes=allow_writes,
        only=case,
        options=session.options,
    )
    if junit is not None and not junit.expanduser().absolute().parent.is_dir():
        raise _unwritable(junit, "its folder does not exist")  # said before the agent is called, not after
    view = await verify_agent(session.home, request, session.settings)
    if junit is not None:
        _write(junit, view)
    session.show(view, verify_text)
    return Exit.OK if view.ok else Exit.FAILED


def _write(file: Path, view: VerifyView) -> None:
    try:
        file.expanduser().write_text(junit_xml(view), encoding="utf-8")
    except OSError as error:
        raise _unwritable(file, error.strerror or type(error).__name__) from error


def _unwritable(file: Path, reason: str) -> RefusedError:
    message = f"{file} cannot be written: {reason}."
    return RefusedError("BAD_ARGUMENT", message, do="name a file in a folder that exists.")
