"""Commands that operate an installation: serve, init, doctor, demo. Those of its database are `database_commands`."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from process_orchestrator import __version__
from process_orchestrator.assemble import Mode, engine_answers
from process_orchestrator.checking.loader import load_home
from process_orchestrator.doors.change_feed import ChangeFeed
from process_orchestrator.doors.claude_desktop import config_block, config_path, merge_config
from process_orchestrator.doors.cli.database_commands import first_bad
from process_orchestrator.doors.cli.session import (
    Exit,
    HomeOption,
    JsonOption,
    Session,
    StateOption,
    open_session,
    print_json,
    run,
)
from process_orchestrator.home import Home, seed_home
from process_orchestrator.hosting.reviewers import Reviewers
from process_orchestrator.hosting.verification import verify


def serve_command(
    home: HomeOption = None,
    state: StateOption = None,
) -> None:
    """Speak MCP on stdin and stdout, and drive the processes of this home. Logs go to stderr."""
    session = open_session(home, state, as_json=False)

    async def work() -> None:
        if not session.home.has_definitions:
            seeded = seed_home(session.home)
            session.note(f"seeded {session.home.path} with {len(seeded)} shipped files")
        # Imported here because the MCP SDK costs about a second, which no other command should pay.
        from process_orchestrator.doors.mcp_server import serve_stdio  # noqa: PLC0415

        # Before the SDK sees an unconfigured logger and installs a handler of its own.
        logging.basicConfig(
            stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
        )
        changes = ChangeFeed()
        async with session.orchestrator(Mode.DRIVE, listener=changes.changed) as orchestrator:
            await serve_stdio(orchestrator, state_dir=session.home.state, changes=changes)

    run(session, work)


def init_command(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where; without, as --home says.")] = None,
    claude_desktop: Annotated[
        bool, typer.Option("--claude-desktop", help="Add this server to Claude Desktop's config; keeps a backup.")
    ] = False,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a home: copy the shipped definitions there, keep what exists, print what to put into your assistant."""
    session = open_session(folder or home, state, as_json=as_json)

    async def work() -> None:
        written = seed_home(session.home)
        session.home.make_state()
        merged = merge_config(session.home) if claude_desktop else None
        if session.json:
            print_json(
                {
                    "home": str(session.home.path),
                    "files_written": len(written),
                    "config": config_block(session.home),
                    "claude_desktop": str(merged.path) if merged else None,
                    "backup": str(merged.backup) if merged and merged.backup else None,
                }
            )
            return
        here = shlex.quote(str(session.home.path))
        session.out.print(f"Home: {session.home.path} ({len(written)} files written)", markup=False, soft_wrap=True)
        if merged is not None:
            beside = f" The file as it was: {merged.backup}." if merged.backup else ""
            said = f"This server stands in {merged.path}.{beside} Restart Claude Desktop."
            session.out.print(said, markup=False, soft_wrap=True)
        else:
            session.out.print(f"\nFor Claude Desktop, put this into {config_path()}:", markup=False)
            session.out.print_json(json.dumps(config_block(session.home)))
        if not Reviewers(session.home.state).active():
            session.out.print(
                f"\nNo reviewer exists yet. To approve what needs A2: orchestrator reviewers add NAME --home {here}",
                markup=False,
                soft_wrap=True,
            )
        session.out.print(f"Next: orchestrator check --home {here}", markup=False, soft_wrap=True)

    run(session, work)


def doctor_command(home: HomeOption = None, state: StateOption = None, as_json: JsonOption = False) -> None:
    """Look at this installation: versions, definitions, database, engine, reviewers; each finding says what to do."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> Exit:
        findings = await _findings(session)
        if session.json:
            print_json({"ok": all(row["ok"] for row in findings), "findings": findings})
        else:
            for row in findings:
                session.out.print(f"{'ok ' if row['ok'] else 'BAD'}  {row['what']}: {row['found']}", markup=False)
        return Exit.OK if all(row["ok"] for row in findings) else Exit.FAILED

    run(session, work)


async def _findings(session: Session) -> list[dict[str, Any]]:
    home = session.home
    registry = load_home(home.path)
    errors = [problem for problem in registry.problems if problem.level == "error"]
    reviewers = [reviewer.name for reviewer in Reviewers(home.state).active()]
    rows = [
        _row("version", f"{__version__} on Python {sys.version.split()[0]}, mcp {importlib.metadata.version('mcp')}"),
        _row("home", str(home.path), ok=home.has_definitions, do="run `orchestrator init`"),
        _row(
            "definitions",
            f"{len(registry.processes)} process types, {len(registry.contracts)} contracts, "
            f"{len(registry.agents)} agents, {len(errors)} errors",
            ok=not errors,
            do="run `orchestrator check`",
        ),
        _row("models", "rules mode: no model is configured, and none is needed for fixed plans"),
        _row("reviewers", ", ".join(reviewers) or "none. Do: `orchestrator reviewers add NAME` to approve at A2"),
    ]
    rows.extend(await _engine_findings(home))
    git = shutil.which("git")
    rows.append(_row("git", git or "not found: release_report needs it", ok=True))
    return rows


async def _engine_findings(home: Home) -> list[dict[str, Any]]:
    if not (home.state / "orchestrator.db").exists():
        return [_row("database", "none yet; the first process makes it")]
    report = await verify(home.state)
    detail = f"{report.rows} rows, chain head {report.head}" if report.ok else first_bad(report)
    running = await engine_answers(home)
    return [
        _row("database", detail, ok=report.ok, do="run `orchestrator verify`"),
        _row("engine", "running" if running else "none running; `run`, `demo` and `serve` start one"),
    ]


def _row(what: str, found: str, *, ok: bool = True, do: str = "") -> dict[str, Any]:
    return {"what": what, "found": found if ok or not do else f"{found}. Do: {do}", "ok": ok}


def demo_command(
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Make its home here: a new or empty folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the payables process on three invoices in a home of its own: straight, broken contract, human approval."""
    session = open_session(keep, None, as_json=as_json)

    async def work() -> Exit:
        # Imported here: only this command tells the story.
        from process_orchestrator.doors.demo import run_demo  # noqa: PLC0415

        return await run_demo(session, keep=keep)

    run(session, work)
