"""The command `orchestrator`: its commands put together, nothing more."""

from __future__ import annotations

import typer

from process_orchestrator import __version__
from process_orchestrator.doors.cli import author_commands, decide_commands, operate_commands, run_commands

RUN, DECIDE, AUTHOR, OPERATE = "Run", "Decide", "Author", "Operate"


def build_app() -> typer.Typer:
    """Put the commands together, in the order in which a newcomer meets them."""
    app = typer.Typer(
        name="orchestrator",
        help="Runs multi-step, multi-agent processes by contracts, not blind calls.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_version)
    for name, command in (
        ("demo", operate_commands.demo_command),
        ("init", operate_commands.init_command),
        ("serve", operate_commands.serve_command),
        ("run", run_commands.run_command),
        ("submit", run_commands.submit_command),
        ("state", run_commands.state_command),
        ("trace", run_commands.trace_command),
        ("why", run_commands.why_command),
        ("cancel", run_commands.cancel_command),
    ):
        app.command(name, rich_help_panel=RUN)(command)
    app.add_typer(author_commands.processes_app, name="processes", rich_help_panel=RUN)
    app.command("escalations", rich_help_panel=DECIDE)(decide_commands.escalations_command)
    app.command("resolve", rich_help_panel=DECIDE)(decide_commands.resolve_command)
    app.add_typer(decide_commands.reviewers_app, name="reviewers", rich_help_panel=DECIDE)
    app.command("check", rich_help_panel=AUTHOR)(author_commands.check_command)
    app.add_typer(author_commands.contracts_app, name="contracts", rich_help_panel=AUTHOR)
    app.add_typer(author_commands.agents_app, name="agents", rich_help_panel=AUTHOR)
    app.command("verify", rich_help_panel=OPERATE)(operate_commands.verify_command)
    app.command("doctor", rich_help_panel=OPERATE)(operate_commands.doctor_command)
    return app


def _version(
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; the entry point of both scripts."""
    build_app()()
