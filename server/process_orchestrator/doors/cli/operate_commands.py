"""Commands that operate an installation: serve, init, demo. Those of its database are in `database_commands`."""

from __future__ import annotations

import gc
import json
import logging
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.doors.change_feed import ChangeFeed
from process_orchestrator.doors.claude_desktop import config_block, config_path, merge_config
from process_orchestrator.doors.cli.session import (
    Exit,
    HomeOption,
    JsonOption,
    StateOption,
    open_session,
    print_json,
    run,
)
from process_orchestrator.home import seed_home
from process_orchestrator.hosting.reviewers import Reviewers


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
            gc.freeze()  # what is loaded by now is never garbage: no round of the collector need look at it again
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
