"""Commands for those who write definitions: check, contracts, processes, agents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from process_orchestrator.assemble import Mode, open_agents
from process_orchestrator.checking.loader import load_home
from process_orchestrator.checking.report import check_report
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.run_commands import list_processes
from process_orchestrator.doors.cli.session import (
    Exit,
    HomeOption,
    JsonOption,
    Session,
    StateOption,
    open_session,
    print_json,
    read_json_file,
    run,
)
from process_orchestrator.usecases.definitions import report_view
from process_orchestrator.views import text

contracts_app = typer.Typer(help="Contracts: what each capability takes, gives, costs and does.", no_args_is_help=True)
processes_app = typer.Typer(help="Processes, newest first; `processes show TYPE` prints a process type.")
agents_app = typer.Typer(help="Agents: who keeps the contracts.", no_args_is_help=True)


def check_command(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILES]")] = None,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check definitions: what is wrong, where, and how to mend it. Exit code 2 on any error."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> Exit:
        for file in files or ():
            if not file.exists():
                raise RefusedError("BAD_ARGUMENT", f"{file} does not exist.", do="name a definition file or a folder.")
        chosen = [file.absolute() for file in files] if files else None
        report = check_report(load_home(session.home.path), files=chosen)
        view = report_view(report)
        session.show(view, text.view_text(view))
        return Exit.OK if view.ok else Exit.REFUSED

    run(session, work)


def _show_definition(session: Session, definition: dict[str, Any]) -> None:
    if session.json:
        print_json(definition)
    else:
        session.out.print_json(json.dumps(definition))


@contracts_app.command("show")
def show_contract(
    name: Annotated[str, typer.Argument(help="A name, or name@version.")],
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a contract with all defaults filled in."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        async with session.orchestrator(Mode.READ) as orchestrator:
            found = (await orchestrator.describe(contract=name)).contract
            _show_definition(session, found.definition if found else {})

    run(session, work)


@processes_app.callback(invoke_without_command=True)
def processes_command(
    context: typer.Context,
    status: Annotated[str | None, typer.Option("--status")] = None,
    process_type: Annotated[str | None, typer.Option("--type")] = None,
    label: Annotated[str | None, typer.Option("--label")] = None,
    limit: Annotated[int, typer.Option("--limit")] = 20,
    cursor: Annotated[str | None, typer.Option("--cursor")] = None,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """List processes, newest first."""
    if context.invoked_subcommand is not None:
        return
    session = open_session(home, state, as_json=as_json)
    list_processes(session, status=status, process_type=process_type, label=label, limit=limit, cursor=cursor)


@processes_app.command("show")
def show_process_type(
    name: Annotated[str, typer.Argument(metavar="TYPE")],
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a process type with all defaults filled in."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        async with session.orchestrator(Mode.READ) as orchestrator:
            found = (await orchestrator.describe(name)).process_type
            _show_definition(session, found.definition if found else {})

    run(session, work)


@agents_app.command("list")
def list_agents(home: HomeOption = None, state: StateOption = None, as_json: JsonOption = False) -> None:
    """List the agents and what they serve."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        async with session.orchestrator(Mode.READ) as orchestrator:
            index = await orchestrator.describe()
            if session.json:
                print_json({"agents": [row.payload() for row in index.agents or []]})
                return
            for row in index.agents or []:
                session.out.print(f"{row.name:22} {row.kind:10} {', '.join(row.serves)}", markup=False)

    run(session, work)


@agents_app.command("call")
def call_agent(
    agent: Annotated[str, typer.Argument()],
    tool: Annotated[str, typer.Argument(help="An MCP tool, or METHOD:/path of an HTTP agent.")],
    input_file: Annotated[str | None, typer.Option("--input", metavar="JSON|FILE")] = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="S")] = 30,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call one tool of an agent directly, outside any process and contract, and print its answer."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        inline = input_file is not None and input_file.lstrip().startswith("{")
        arguments = json.loads(input_file) if inline and input_file else read_json_file(input_file)
        session.home.make_state()
        async with open_agents(session.home) as pool:
            answer = await pool.call_tool_raw(agent, tool, arguments or {}, timeout_s=timeout)
            print_json(answer) if session.json else session.out.print_json(json.dumps(answer))

    run(session, work)
