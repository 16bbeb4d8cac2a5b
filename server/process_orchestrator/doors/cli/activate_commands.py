"""`contracts activate`: a person answers what is open in a draft, by name, and plans may use it from then on."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from process_orchestrator.checking.importers.deciding import Answers, Signed, activate
from process_orchestrator.doors.cli.import_text import activated_text
from process_orchestrator.doors.cli.session import Session, command, print_json
from process_orchestrator.views.text import clean


@command
async def activate_command(
    session: Session,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Drafts, as `contracts show` lists them; * for any part.")
    ],
    effects: Annotated[
        str | None,
        typer.Option("--effects", metavar="KIND", help="What it does to the world: none, read, write, irreversible."),
    ] = None,
    idempotency: Annotated[
        str | None,
        typer.Option("--idempotency", metavar="HOW", help="natural, unsafe, or the input field that takes a key."),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", metavar="POINTER", help="What is open there is right as it stands: /output."),
    ] = None,
) -> None:
    """Answer what is open in drafts, and let plans use them. Nothing is changed while anything stays open."""
    answers = Answers(effects=effects, idempotency=idempotency, accepted=tuple(accept or ()))
    done = activate(session.home.path, names, answers, signed())
    if session.json:
        print_json({"activated": [msgspec.to_builtins(each) for each in done]})
    else:
        session.out.print(clean(activated_text(done)), markup=False)


def signed() -> Signed:
    """Who runs this command, as the system knows them, and when."""
    try:
        by = getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in a container
        by = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return Signed(by=by, at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
