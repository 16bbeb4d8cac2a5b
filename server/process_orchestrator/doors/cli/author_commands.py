"""Commands for those who write definitions: check, contracts, processes, agents."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.checking.loading.lint_map import tier_problems
from process_orchestrator.checking.loading.loader import load_home, load_text
from process_orchestrator.checking.loading.report import check_report
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.activate_commands import activate_command
from process_orchestrator.doors.cli.call_commands import call_agent_command
from process_orchestrator.doors.cli.diff_commands import diff_command
from process_orchestrator.doors.cli.import_commands import import_app
from process_orchestrator.doors.cli.import_openapi_commands import import_openapi_command
from process_orchestrator.doors.cli.new_commands import new_contract_command, new_process_command
from process_orchestrator.doors.cli.pin_commands import drift_command, pin_command
from process_orchestrator.doors.cli.run_commands import list_processes
from process_orchestrator.doors.cli.session import (
    Exit,
    HomeOption,
    JsonOption,
    Session,
    StateOption,
    command,
    open_session,
    print_json,
)
from process_orchestrator.git_history import changed_since_commit
from process_orchestrator.usecases.definitions import report_view
from process_orchestrator.views import text
from process_orchestrator.views.models import CheckReportView
from process_orchestrator.views.text_definitions import description_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.views.models import Description

contracts_app = typer.Typer(help="Contracts: what each capability takes, gives, costs and does.")
processes_app = typer.Typer(help="Processes, newest first; `processes show TYPE` prints a process type.")
agents_app = typer.Typer(help="Agents: who keeps the contracts.")
import_app.command("openapi")(import_openapi_command)
contracts_app.command("new")(new_contract_command)
processes_app.command("new")(new_process_command)
contracts_app.add_typer(import_app, name="import")
contracts_app.command("activate")(activate_command)
contracts_app.command("diff")(diff_command)
agents_app.command("call")(call_agent_command)
agents_app.command("pin")(pin_command)
agents_app.command("drift")(drift_command)


# --- check -------------------------------------------------------------------------------------------------------


@command
async def check_command(
    session: Session,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]", help="Definition files or folders; without, the home.")
    ] = None,
    bindings: Annotated[
        bool, typer.Option("--bindings", help="Name every binding of every plan, those that always fit too.")
    ] = False,
) -> Exit:
    """Check definitions: what is wrong, where, and how to mend it. Exit code 2 on any error."""
    if not files:
        session.need_definitions()
    view = _checked(session, files or [])
    session.show(view, lambda report: text.check_text(_seen_from_here(report, session.home.path), bindings=bindings))
    return Exit.OK if view.ok else Exit.REFUSED


def _checked(session: Session, files: Iterable[Path]) -> CheckReportView:
    """The report of the home, or of the files named; those that lie outside it are checked beside its definitions."""
    registry = _against_last_commit(load_home(session.home.path), session.home.path)
    tiers = {setup.tier for setup in session.settings.models.setups}
    registry = registry.with_problems(tuple(tier_problems(registry, tiers)))
    inside: list[str] = []
    outside: list[Path] = []
    named = list(files)
    for file in named:
        if not file.exists():
            raise RefusedError("BAD_ARGUMENT", f"{file} does not exist.", do="name a definition file or a folder.")
        found = _of_home(file, registry)
        if not found and file.is_dir():
            raise RefusedError(
                "BAD_ARGUMENT",
                f"{file} holds no definitions of the home {session.home.path}.",
                do=f"run `orchestrator check --home {file}` if it is a home of its own.",
            )
        inside += found
        outside += [] if found else [file]
    if not named:
        return report_view(check_report(registry))
    reports = [report_view(check_report(registry, list(dict.fromkeys(inside))))] if inside else []
    reports += [
        report_view(load_text(_text_of(file), name=str(file.absolute()), registry=registry)) for file in outside
    ]
    return CheckReportView(
        ok=all(report.ok for report in reports),
        files=[each for report in reports for each in report.files],
        plans=[each for report in reports for each in report.plans],
    )


def _against_last_commit(registry: Registry, home: Path) -> Registry:
    """The registry, with a problem for each definition that changed and does not say so by its version."""
    before = changed_since_commit(home)
    if not before:
        return registry
    from process_orchestrator.checking.changes.bumps import bump_problems  # noqa: PLC0415 - 10 ms that only a change pays

    return registry.with_problems(bump_problems(registry, before))


def _of_home(file: Path, registry: Registry) -> list[str]:
    """The names under which the registry holds a file, or all files of a folder."""
    wanted = file.resolve()
    return [name for name, each in registry.files.items() if Path(each.path).resolve().is_relative_to(wanted)]


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise RefusedError(
            "BAD_ARGUMENT", f"{file} cannot be read: {error.strerror}.", do="make it readable, then run it again."
        ) from error


def _seen_from_here(view: CheckReportView, home: Path) -> CheckReportView:
    """The same report with paths as the current folder sees them, so that a terminal or editor can open them."""
    here = Path.cwd()

    def seen(file: str) -> str:
        path = home / file
        return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)

    files = [each.model_copy(update={"file": seen(each.file)}) for each in view.files]
    return view.model_copy(update={"files": files})


# --- show --------------------------------------------------------------------------------------------------------


def _show_definition(session: Session, definition: Any) -> None:
    if session.json:
        print_json(definition)
    else:
        session.out.print_json(json.dumps(definition))


def _show_index(session: Session, index: Description, part: str) -> None:
    """The rows of one part of the index: process_types, contracts or agents."""
    rows = getattr(index, part) or []
    if session.json:
        print_json({part: [row.payload() for row in rows]})
        return
    kept = {each: None for each in ("process_types", "contracts", "agents") if each != part}
    lines = description_text(index.model_copy(update={**kept, "next_actions": [], "problems": []})).splitlines()
    session.out.print(text.clean("\n".join(lines[1:-1])) if rows else f"none in {session.home.path}", markup=False)


@contracts_app.command("show")
@command
async def show_contract(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A name, or name@version.")] = None,
) -> None:
    """Print a contract with all defaults filled in; without a name, list the contracts."""
    async with session.orchestrator(Mode.READ) as orchestrator:
        described = await orchestrator.describe(contract=name)
        if described.contract is None:
            _show_index(session, described, "contracts")
        else:
            _show_definition(session, described.contract.definition)
            for each in described.contract.todo if described.contract.status != "active" else []:
                session.note(f"to decide before a plan may use it: {each}")


@processes_app.callback(invoke_without_command=True)
def processes_command(
    context: typer.Context,
    status: Annotated[
        str | None, typer.Option("--status", help="queued, running, waiting_human, completed, failed or cancelled.")
    ] = None,
    process_type: Annotated[str | None, typer.Option("--type", help="Only those of this process type.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Only those with this label.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only those since then: 2026-11-22T09:00:00Z.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many, up to 100.")] = 20,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Where the page before this one ended.")] = None,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """List processes, newest first."""
    if context.invoked_subcommand is not None:
        return
    session = open_session(home, state, as_json=as_json)
    filters = {"status": status, "process_type": process_type, "label": label, "since": since, "cursor": cursor}
    list_processes(session, filters, limit=limit)


@processes_app.command("show")
@command
async def show_process_type(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="A name, or name@version.")] = None,
) -> None:
    """Print a process type with all defaults filled in; without a name, list the process types."""
    async with session.orchestrator(Mode.READ) as orchestrator:
        described = await orchestrator.describe(name)
        if described.process_type is None:
            _show_index(session, described, "process_types")
        else:
            _show_definition(session, described.process_type.definition)


# --- agents ------------------------------------------------------------------------------------------------------


@agents_app.command("list")
@command
async def list_agents(
    session: Session,
) -> None:
    """List the agents and what they serve."""
    async with session.orchestrator(Mode.READ) as orchestrator:
        _show_index(session, await orchestrator.describe(), "agents")
