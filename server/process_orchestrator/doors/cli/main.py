"""The command `orchestrator`: its commands put together, nothing more."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.exceptions import TyperException

from process_orchestrator import __version__
from process_orchestrator.doors.cli import (
    author_commands,
    database_commands,
    decide_commands,
    doctor,
    estimate_commands,
    fake_commands,
    operate_commands,
    plan_commands,
    redrive_commands,
    replay_commands,
    run_commands,
    verify_commands,
)
from process_orchestrator.doors.cli.session import INTERRUPTED, report_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUN, DECIDE, AUTHOR, OPERATE = "Run", "Decide", "Author", "Operate"


def build_app() -> typer.Typer:
    """Put the commands together, in the order in which a newcomer meets them."""
    app = typer.Typer(
        name="orchestrator",
        help="Runs multi-step, multi-agent processes by contracts, not blind calls.",
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_top)
    for name, command in (
        ("demo", operate_commands.demo_command),
        ("init", operate_commands.init_command),
        ("serve", operate_commands.serve_command),
        ("run", run_commands.run_command),
        ("submit", run_commands.submit_command),
        ("plan", plan_commands.plan_command),
        ("estimate", estimate_commands.estimate_command),
        ("state", run_commands.state_command),
        ("trace", run_commands.trace_command),
        ("why", run_commands.why_command),
        ("cancel", run_commands.cancel_command),
        ("redrive", redrive_commands.redrive_command),
    ):
        app.command(name, rich_help_panel=RUN)(command)
    app.add_typer(author_commands.processes_app, name="processes", rich_help_panel=RUN)
    app.command("escalations", rich_help_panel=DECIDE)(decide_commands.escalations_command)
    app.command("resolve", rich_help_panel=DECIDE)(decide_commands.resolve_command)
    app.add_typer(decide_commands.reviewers_app, name="reviewers", rich_help_panel=DECIDE)
    app.command("check", rich_help_panel=AUTHOR)(author_commands.check_command)
    author_commands.contracts_app.command("fake")(fake_commands.fake_contracts_command)
    author_commands.contracts_app.command("verify")(verify_commands.verify_contract_command)
    app.add_typer(author_commands.contracts_app, name="contracts", rich_help_panel=AUTHOR)
    app.add_typer(author_commands.agents_app, name="agents", rich_help_panel=AUTHOR)
    app.command("replay", rich_help_panel=OPERATE)(replay_commands.replay_command)
    app.command("verify", rich_help_panel=OPERATE)(database_commands.verify_command)
    app.command("backup", rich_help_panel=OPERATE)(database_commands.backup_command)
    app.command("rebuild", rich_help_panel=OPERATE)(database_commands.rebuild_command)
    app.command("doctor", rich_help_panel=OPERATE)(doctor.doctor_command)
    return app


def _top(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@cache
def _command() -> Callable[..., Any]:
    """The commands, read from their functions once: that takes tens of milliseconds."""
    return typer.main.get_command(build_app())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; the entry point of both scripts. Leaves with the command's exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _command()(args=given, prog_name="orchestrator", standalone_mode=False)
    except TyperException as error:
        path = getattr(getattr(error, "ctx", None), "command_path", "orchestrator")
        code = report_usage(error.format_message(), do=f"run `{path} --help`.", as_json="--json" in given)
    except typer.Abort:
        sys.stderr.write("\n")
        code = INTERRUPTED
    sys.exit(code or 0)
