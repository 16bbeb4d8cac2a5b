"""`contracts import`: from what somebody has to drafts in the home, and what a person must decide about them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from process_orchestrator.checking.importers.draft import Outcome
from process_orchestrator.checking.importers.write import bring_in
from process_orchestrator.doors.cli.a2a_skills import drafted
from process_orchestrator.doors.cli.import_text import outcome_text
from process_orchestrator.doors.cli.mcp_tools import listed
from process_orchestrator.doors.cli.session import Session, command, print_json
from process_orchestrator.views.text import clean

import_app = typer.Typer(help="Bring in what you have: each operation or tool becomes the draft of a contract.")

AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="What to call the agent; else made of the source.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", metavar="NAMES", help="Only these, by commas; * stands for any part.")
]
UpdateOption = Annotated[
    bool, typer.Option("--update", help="Take over what is new at the source; what people wrote stays.")
]


def chosen(only: list[str] | None) -> tuple[str, ...]:
    """What --only names, each once."""
    return tuple(dict.fromkeys(part.strip() for each in only or () for part in each.split(",") if part.strip()))


def show_outcome(session: Session, outcome: Outcome) -> None:
    """Print what an import has done, and what to decide next."""
    if session.json:
        print_json(msgspec.to_builtins(outcome))
    else:
        session.out.print(clean(outcome_text(outcome, options=session.options)), markup=False)


@import_app.command("mcp", context_settings={"ignore_unknown_options": False})
@command
async def import_mcp_command(
    session: Session,
    target: Annotated[
        list[str] | None,
        typer.Argument(metavar="[URL | -- COMMAND ...]", help="An address, or behind -- the command that starts it."),
    ] = None,
    agent: AgentOption = None,
    only: OnlyOption = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME[=VALUE]", help="A variable that it needs; without VALUE from yours."),
    ] = None,
    bearer: Annotated[
        str | None, typer.Option("--bearer", metavar="SECRET", help="Where its token lies: env:NAME or file:PATH.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", metavar="NAME=SECRET", help="A header with a secret: X-Key=env:NAME."),
    ] = None,
    query: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="NAME=SECRET", help="The same in the address: key=env:NAME."),
    ] = None,
    update: UpdateOption = False,
    timeout_s: Annotated[float, typer.Option("--timeout", metavar="S", help="Give up after so many seconds.")] = 120,
) -> None:
    """Import the tools of an MCP server: `contracts import mcp -- uvx mcp-server-time`, or an address."""
    given: dict[str, Any] = {"env": env or [], "bearer": bearer, "header": header or [], "query": query or []}
    draft = await listed(
        session, target or [], given, agent=agent, only=chosen(only), update=update, timeout_s=timeout_s
    )
    show_outcome(session, bring_in(draft, session.home.path, update=update))


@import_app.command("a2a")
@command
async def import_a2a_command(
    session: Session,
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="Of the agent, or of its card; none with --update.")
    ] = None,
    agent: AgentOption = None,
    only: OnlyOption = None,
    bearer: Annotated[
        str | None, typer.Option("--bearer", metavar="SECRET", help="Where its token lies: env:NAME or file:PATH.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", metavar="NAME=SECRET", help="A header with a secret: X-Key=env:NAME."),
    ] = None,
    update: UpdateOption = False,
    timeout_s: Annotated[float, typer.Option("--timeout", metavar="S", help="Give up after so many seconds.")] = 30,
) -> None:
    """Import the skills of an A2A agent from its card; the schemas are for a person to write."""
    secrets = (bearer, header or [])
    draft = await drafted(
        session, url, secrets=secrets, agent=agent, only=chosen(only), update=update, timeout_s=timeout_s
    )
    show_outcome(session, bring_in(draft, session.home.path, update=update))
