"""The command `doctor`: looks at an installation and says of each thing whether it is well, else what to do."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from process_orchestrator import __version__
from process_orchestrator.checking.documents.model_agents import KIND
from process_orchestrator.checking.documents.pins import LOCK_FILE, PinState, PinVerdict, state_of
from process_orchestrator.checking.loading.lint_map import tier_problems
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.doors.cli.database_commands import first_bad
from process_orchestrator.doors.cli.doctor_models import asked_rows, finding, model_rows
from process_orchestrator.doors.cli.session import (
    Exit,
    Session,
    command,
    print_json,
)
from process_orchestrator.git_history import found_git, has_commit
from process_orchestrator.hosting.backup import last_backup
from process_orchestrator.hosting.database import reading
from process_orchestrator.hosting.database_file import DATABASE_FILE, SCHEMA_VERSION
from process_orchestrator.hosting.disk_room import SCARCE_BYTES, free_bytes
from process_orchestrator.hosting.remote_host import engine_health
from process_orchestrator.hosting.reviewers import Reviewers
from process_orchestrator.hosting.verification import verify
from process_orchestrator.views.formats import one_line

if TYPE_CHECKING:
    from collections.abc import Collection

    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.core.facts.values import Tier
    from process_orchestrator.core.ports import AgentHealth
    from process_orchestrator.home import Home
    from process_orchestrator.hosting.backup import BackupReport

VERIFIED_ROWS_MAX: Final = 20_000
"""Rows of a journal that is verified whole here, a few seconds; a longer one is left to `verify`."""
OLD_BACKUP_DAYS: Final = 7
MEGABYTE: Final = 1_000_000
DAY_S: Final = 86_400


@command
async def doctor_command(
    session: Session,
    models: Annotated[
        bool, typer.Option("--models", help="Ask each model that is set up for one word; it is paid.")
    ] = False,
) -> Exit:
    """Look at this installation: versions, definitions, models, database, engine; each finding says what to do."""
    findings = await _findings(session)
    if models:
        findings += await asked_rows(session.settings)
    if session.json:
        print_json({"ok": all(row["ok"] for row in findings), "findings": findings})
    else:
        for row in findings:
            session.out.print(f"{'ok ' if row['ok'] else 'BAD'}  {row['what']}: {row['found']}", markup=False)
    return Exit.OK if all(row["ok"] for row in findings) else Exit.FAILED


async def _findings(session: Session) -> list[dict[str, Any]]:
    home = session.home
    registry = load_home(home.path)
    errors = [problem for problem in registry.problems if problem.level == "error"]
    reviewers = [reviewer.name for reviewer in Reviewers(home.state).active()]
    rows = [
        finding(
            "version", f"{__version__} on Python {sys.version.split()[0]}, mcp {importlib.metadata.version('mcp')}"
        ),
        finding("home", str(home.path), ok=home.has_definitions, do="run `orchestrator init`"),
        finding(
            "definitions",
            f"{len(registry.processes)} process types, {len(registry.contracts)} contracts, "
            f"{len(registry.agents)} agents, {len(errors)} errors",
            ok=not errors,
            do="run `orchestrator check`",
        ),
        *model_rows(session.settings, environment=os.environ),
        *_model_agents(registry, {setup.tier for setup in session.settings.models.setups}),
        finding("reviewers", ", ".join(reviewers) or "none. Do: `orchestrator reviewers add NAME` to approve at A2"),
    ]
    if session.has_database:
        rows.extend(await _database(home))
    else:
        rows.append(finding("database", "none yet; the first process makes it"))
    rows.append(_pins(registry))
    rows.append(finding("git", _git(home)))
    return rows


def _model_agents(registry: Registry, tiers: Collection[Tier]) -> list[dict[str, Any]]:
    """Agents that are models, and those of them whose tier nobody has set up. None: no finding."""
    agents = [agent for agent in registry.agents if agent.transport.kind == KIND]
    if not agents:
        return []
    lacking = "; ".join(f"{each.message}. Do: {each.fix}" for each in tier_problems(registry, tiers))
    return [finding("model agents", lacking or f"{len(agents)} agents, each with a model for its tier")]


async def _database(home: Home) -> list[dict[str, Any]]:
    with reading(home.state) as view:
        assert view is not None
        rows = (view.last_row() or (0, b""))[0]
        aside = view.set_aside()
    backed_up = last_backup(home.state)
    health = await engine_health(home.state)
    running = f"running, version {health.version}, pid {health.pid}" if health else None
    return [
        await _journal(home, rows, backed_up),
        _storage(home, health.storage if health else None),
        finding("backup", _backup(backed_up)),
        finding("engine", running or "none running; `run`, `demo` and `serve` start one"),
        *([agents_row(health.agents), drift_row(health.agents)] if health else []),
        finding(
            "set aside",
            f"{len(aside)} processes" + "".join(f"; {process}: {why}" for process, why in list(aside.items())[:3]),
            ok=not aside,
            do="read the engine's log, run `orchestrator verify`; the next start of an engine tries them again",
        ),
    ]


def agents_row(agents: tuple[AgentHealth, ...]) -> dict[str, Any]:
    """Those that the engine does not call now, because they do not answer."""
    shut = [f"{each.agent}: circuit {each.circuit}, {each.last_error}" for each in agents if each.circuit != "closed"]
    waiting = sum(each.waiting for each in agents)
    found = "; ".join(shut) or f"{len(agents)} agents, {waiting} calls wait for a place"
    return finding("agents", found, ok=not shut, do="read their logs in the folder `logs` of the state folder")


def drift_row(agents: tuple[AgentHealth, ...]) -> dict[str, Any]:
    """Those whose live definitions are not what was pinned, as far as the engine has compared them."""
    pins = {each.agent: each.pin for each in agents if each.pin is not None}
    changed = [f"{name}: {one_line(pin)}" for name, pin in pins.items() if pin != PinVerdict.SAME]
    found = "; ".join(changed) or f"{len(pins)} agents compared with their pins, none differs"
    return finding(
        "drift", found, ok=not changed, do="run `orchestrator agents drift`, then accept it or have it put right"
    )


def _pins(registry: Registry) -> dict[str, Any]:
    """Whose live definitions a person has accepted."""
    if registry.pins.broken is not None:
        return finding("pins", f"{LOCK_FILE}: {registry.pins.broken}", ok=False, do="run `orchestrator check`")
    states = {agent.name: state_of(agent, registry.pins) for agent in registry.agents}
    bare = [name for name, state in states.items() if state is PinState.NOT_PINNED]
    pinned = sum(state is PinState.PINNED for state in states.values())
    rest = f"; not pinned: {', '.join(bare)}. Do: `orchestrator agents pin`" if bare else ""
    return finding("pins", f"{pinned} agents pinned{rest}")


def _git(home: Home) -> str:
    git = found_git()
    if git is None:
        return "not found: versions of changed definitions are not compared with the last commit"
    if not has_commit(home.path):
        return f"{git}; the home is in no repository with a commit, so versions are compared with none"
    return f"{git}; `check` compares the versions of changed definitions with the last commit"


async def _journal(home: Home, rows: int, backed_up: BackupReport | None) -> dict[str, Any]:
    if rows > VERIFIED_ROWS_MAX:
        return finding(
            "database", f"schema {SCHEMA_VERSION}, {rows} rows, not verified here: run `orchestrator verify`"
        )
    published = (backed_up.rows, backed_up.head) if backed_up else None
    report = await verify(home.state, published=published)
    if not report.ok:
        return finding("database", first_bad(report), ok=False, do="run `orchestrator verify`")
    return finding("database", f"schema {SCHEMA_VERSION}, {report.rows} rows, chain head {report.head}")


def _storage(home: Home, stalled: str | None) -> dict[str, Any]:
    size = sum(file.stat().st_size for file in home.state.glob(f"{DATABASE_FILE}*"))
    free = free_bytes(home.state)
    room = f"database {_megabytes(size)}, free {_megabytes(free)}"
    if stalled is not None:
        return finding("storage", f"{room}; {stalled}", ok=False)
    return finding("storage", room, ok=free >= SCARCE_BYTES, do="free some space")


def _backup(made: BackupReport | None) -> str:
    if made is None:
        return "none yet. Do: `orchestrator backup`"
    days = (dt.datetime.now(dt.UTC).timestamp() - made.at / 1000) / DAY_S
    when = dt.datetime.fromtimestamp(made.at / 1000, dt.UTC).isoformat(timespec="seconds")
    old = f"; {days:.0f} days old. Do: `orchestrator backup`" if days > OLD_BACKUP_DAYS else ""
    return f"{when}, {made.rows} rows, {made.file}{old}"


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:,.1f} MB"
