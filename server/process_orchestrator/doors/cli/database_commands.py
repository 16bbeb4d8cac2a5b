"""Commands about the database of a home: verify, backup, rebuild. None of them runs a process."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.session import (
    Exit,
    Session,
    command,
    print_json,
)
from process_orchestrator.hosting.backup import backup
from process_orchestrator.hosting.rebuilding import rebuild
from process_orchestrator.hosting.verification import VerifyReport, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

PUBLISHED: Final = re.compile(r"(\d+):([0-9a-f]{64})")
TOLD_EVERY: Final = 1000
"""Rows between two words about progress on a terminal."""


@command
async def verify_command(
    session: Session,
    published: Annotated[
        str | None,
        typer.Option("--published", metavar="ROWS:HEAD", help="A head noted before: a tail cut since then shows."),
    ] = None,
) -> Exit:
    """Check the journal: its chain, its order, and that its fold gives what the tables say. Exit code 4 if not."""
    head = _head(published)
    with _progress(session) as tell:
        report = await verify(session.home.state, published=head, progress=tell)
    if session.json:
        print_json(report.as_json())
    elif report.ok:
        session.out.print(f"ok: {report.rows} rows, head {report.head}", markup=False)
    else:
        session.out.print(
            f"NOT ok: {first_bad(report)}. Do: keep the files, restore from a backup or ask who edited them; "
            "listings alone are mended by `orchestrator rebuild`.",
            markup=False,
        )
    return Exit.OK if report.ok else Exit.ENGINE


@command
async def backup_command(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A new file; without, in the state folder.")
    ] = None,
) -> None:
    """Copy the database, also while an engine runs, and verify the copy. The keys beside it are not in it."""
    with _progress(session) as tell:
        made = await backup(session.home.state, file, progress=lambda done, total: tell("pages", done, total))
    if session.json:
        print_json(made.as_json())
        return
    session.out.print(
        f"{made.file}: {made.bytes} bytes, {made.rows} rows, head {made.head}\n"
        f"Keep {session.home.state / 'chain.key'} and {session.home.state / 'home.key'} apart from it: "
        "without them it can be read, but neither verified nor continued.",
        markup=False,
        soft_wrap=True,
    )


@command
async def rebuild_command(
    session: Session,
) -> Exit:
    """Recreate the listings (processes, escalations, timers) from the journal. No engine may run meanwhile."""
    with _progress(session) as tell:
        report = await rebuild(session.home.state, progress=lambda done: tell("processes", done, done))
    if session.json:
        print_json(report.as_json())
    else:
        session.out.print(
            f"{report.processes} processes: {report.mended} mended, {report.removed} rows of none removed",
            markup=False,
        )
        if report.unreadable:
            session.out.print(
                f"Not readable, left as listed: {', '.join(report.unreadable)}. "
                "Do: run `orchestrator verify`, restore a backup.",
                markup=False,
            )
    return Exit.ENGINE if report.unreadable else Exit.OK


def first_bad(report: VerifyReport) -> str:
    """Say in one line what is wrong first, and where."""
    bad = report.first_bad
    if bad is None:
        return "no bad row"
    named = (("row", bad.id), ("process", bad.process), ("seq", bad.seq))
    place = ", ".join(f"{name} {value}" for name, value in named if value is not None)
    return f"{place}: {bad.what}" if place else bad.what


def _head(published: str | None) -> tuple[int, str] | None:
    if published is None:
        return None
    found = PUBLISHED.fullmatch(published)
    if found is None:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{published!r} is no head.",
            do="give ROWS:HEAD as `verify`, `backup` or `doctor` printed them, such as 17:0af3….",
        )
    return int(found[1]), found[2]


@contextmanager
def _progress(session: Session) -> Generator[Callable[[str, int, int], None]]:
    """Tells on a terminal's stderr how far a long look is; says nothing to a program."""
    if session.json or not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    told: dict[str, int] = {}

    def tell(what: str, done: int, total: int) -> None:
        if done - told.get(what, 0) >= TOLD_EVERY or done == total:
            told[what] = done
            sys.stderr.write(f"\r{what}: {done} of {total}\x1b[K")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if told:
            sys.stderr.write("\r\x1b[K")
