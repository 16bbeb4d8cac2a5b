"""`contracts import openapi`: an OpenAPI document, from a file or an address, as drafts in the home."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import anyio.to_thread
import typer
from msgspec.structs import replace

from process_orchestrator.checking.importers.existing import previous_selection
from process_orchestrator.checking.importers.fetch import read_source
from process_orchestrator.checking.importers.foreign_document import read_foreign
from process_orchestrator.checking.importers.naming import valid_name
from process_orchestrator.checking.importers.openapi import agent_name, chosen_part, draft_of
from process_orchestrator.checking.importers.openapi_check import checked
from process_orchestrator.checking.importers.openapi_server import Reach
from process_orchestrator.checking.importers.write import bring_in, refuse_early
from process_orchestrator.doors.cli.import_commands import AgentOption, UpdateOption, chosen, show_outcome
from process_orchestrator.doors.cli.session import Session, command


@command
async def import_openapi_command(
    session: Session,
    source: Annotated[str, typer.Argument(metavar="FILE|URL", help="An OpenAPI 3.0 or 3.1 document, JSON or YAML.")],
    agent: AgentOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="GET,/orders*", help="Methods, paths or operationIds; * stands for any part."),
    ] = None,
    update: UpdateOption = False,
    auth: Annotated[
        str | None, typer.Option("--auth", metavar="SCHEME", help="Which of its security schemes the agent uses.")
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Import what can be read of a document that is not valid.")
    ] = False,
    bearer: Annotated[
        str | None,
        typer.Option("--bearer", metavar="SECRET", help="Token for the URL alone: env:NAME or file:PATH."),
    ] = None,
    allow_loopback: Annotated[
        bool, typer.Option("--allow-loopback", help="URL and API may be on this machine, over plain http.")
    ] = False,
) -> None:
    """Import the operations of an OpenAPI document as drafts of contracts, and the HTTP agent that keeps them."""
    read = await read_source(source, bearer=bearer, allow_loopback=allow_loopback)
    value = await anyio.to_thread.run_sync(partial(read_foreign, read.data, source=read.shown))
    name = valid_name(agent, otherwise="api") if agent else agent_name(value, source=read.shown)
    refuse_early(session.home.path, name, update=update)
    selection = chosen(only)
    if update and not selection:
        selection = previous_selection(session.home.path, name)
    reach = Reach(address=read.address, allow_loopback=allow_loopback, auth=auth)
    make = partial(draft_of, value, source=read.shown, agent=name, only=selection, reach=reach)
    draft = await anyio.to_thread.run_sync(make)
    part = chosen_part(value, source=read.shown, only=selection)
    notes = await anyio.to_thread.run_sync(partial(checked, part, source=read.shown, lenient=lenient))
    draft = replace(draft, left_out=(*notes, *draft.left_out))
    show_outcome(session, bring_in(draft, session.home.path, update=update))
