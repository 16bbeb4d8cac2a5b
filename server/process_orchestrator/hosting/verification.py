"""Verifies a journal: its chain, its order, its bodies, and that folding it gives its decisions and its listings.

Read-only; works beside an engine. It names the first row that is wrong. A tail that was cut off shows only against a
head that was published before (stderr log of the engine, `doctor`). docs/journal-format.md says what each check means.
"""

from __future__ import annotations

import hashlib
import re
import struct
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
import msgspec

from process_orchestrator.core.errors import StorageError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.hosting.chain import CHAIN_KEY_FILE, GENESIS, link, read_key
from process_orchestrator.hosting.database import reading, reading_file
from process_orchestrator.hosting.folding import CORE, Core
from process_orchestrator.hosting.packing import unpack
from process_orchestrator.hosting.projection import Listed
from process_orchestrator.hosting.turns import decisions_of, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.ports import JournalRow
    from process_orchestrator.hosting.journal_view import JournalView, RawRow

    Progress = Callable[[str, int, int], None]

_REF: Final = re.compile(rb'"sha256":"([0-9a-f]{64})","bytes":')


class BadRow(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """What is wrong first. `id` is the row's place in the journal, where it is about a row."""

    id: int | None = None
    process: str | None = None
    seq: int | None = None
    what: str


class VerifyReport(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """What a verification found. `head` is the chain link of the last row, to be published."""

    ok: bool
    rows: int
    head: str
    first_bad: BadRow | None = None

    def as_json(self) -> dict[str, Any]:
        return msgspec.to_builtins(self)


class _BadError(Exception):
    """Ends a verification at the first thing that is wrong."""

    def __init__(self, bad: BadRow) -> None:
        super().__init__(bad.what)
        self.bad = bad


async def verify(
    state: Path,
    *,
    core: Core = CORE,
    published: tuple[int, str] | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Verify the journal of a state folder, in a thread and in bounded memory.

    `published` is a head noted before, (rows, hex): a journal that no longer holds it was cut. `progress` is told in
    that thread what is checked, how much of it is done, and out of how much. Raises StorageError for a database that
    cannot be opened at all.
    """
    return await anyio.to_thread.run_sync(lambda: verify_now(state, core=core, published=published, progress=progress))


def verify_now(
    state: Path,
    *,
    core: Core = CORE,
    published: tuple[int, str] | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """As `verify`, in the thread of the caller."""
    with reading(state) as view:
        if view is None:
            return VerifyReport(ok=True, rows=0, head=GENESIS.hex())
        return _report(_Checks(view, core, published, progress), state, whole=True)


def verify_copy(file: Path, state: Path) -> VerifyReport:
    """Verify the chain and the bodies of a copy of the database of `state`, with the key of that folder."""
    with reading_file(file) as view:
        return _report(_Checks(view, CORE, None, None), state, whole=False)


def _report(checks: _Checks, state: Path, *, whole: bool) -> VerifyReport:
    try:
        checks.chain(state)
        checks.bodies()
        if whole:
            checks.processes()
    except _BadError as error:
        return VerifyReport(ok=False, rows=checks.rows, head=checks.head.hex(), first_bad=error.bad)
    except StorageError as error:
        return VerifyReport(ok=False, rows=checks.rows, head=checks.head.hex(), first_bad=BadRow(what=str(error)))
    return VerifyReport(ok=True, rows=checks.rows, head=checks.head.hex())


class _Checks:
    """The checks, in the order in which their findings explain each other."""

    def __init__(
        self,
        view: JournalView,
        core: Core,
        published: tuple[int, str] | None,
        progress: Progress | None,
    ) -> None:
        self._view = view
        self._core = core
        self._published = published
        self._tell = progress or _nobody
        self.rows = 0
        self.head = GENESIS

    def chain(self, state: Path) -> None:
        """Every row follows the one before it, and names the bodies it came with."""
        last = self._view.last_row()
        if last is None:
            self._check_published()
            return
        key = read_key(state / CHAIN_KEY_FILE)
        while rows := self._view.rows_in_order(after_id=self.rows):
            for row in rows:
                self._link(key, row)
                self._check_published()
            self._tell("chain", self.rows, last[0])
        if self._published is not None and self.rows < self._published[0]:
            what = f"{self._published[0]} rows were published, {self.rows} are left: the tail was cut"
            raise _BadError(BadRow(what=what))

    def _link(self, key: bytes, row: RawRow) -> None:
        if row.id != self.rows + 1:
            what = f"the row before it is gone: {self.rows + 1} was expected"
            raise _BadError(BadRow(id=row.id, process=row.process, seq=row.seq, what=what))
        try:
            here = link(key, self.head, row_id=row.id, process=row.process, seq=row.seq, at=row.at, turn=row.turn)
        except (TypeError, AttributeError, struct.error):  # a field of another type was put there
            here = b""
        if here != row.chain:
            what = "its chain is broken: it, or its place, was changed"
            raise _BadError(BadRow(id=row.id, process=row.process, seq=row.seq, what=what))
        self.rows, self.head = row.id, here
        try:
            turn = unpack(row.turn)
        except msgspec.DecodeError as error:
            raise _BadError(BadRow(id=row.id, process=row.process, seq=row.seq, what=str(error))) from error
        for sha256 in set(_REF.findall(turn)):
            if not self._view.has_artifact(sha256.decode()):
                what = f"the body {sha256.decode()} that it names is missing"
                raise _BadError(BadRow(id=row.id, process=row.process, seq=row.seq, what=what))

    def _check_published(self) -> None:
        if self._published is not None and self._published[0] == self.rows and self.head.hex() != self._published[1]:
            raise _BadError(BadRow(id=self.rows, what="it is not the row whose chain head was published"))

    def bodies(self) -> None:
        """Every body and definition is what its name says."""
        for sha256, data in self._view.every_artifact():
            if hashlib.sha256(data).hexdigest() != sha256:
                raise _BadError(BadRow(what=f"the body {sha256} was changed"))
        for body in self._view.every_definition():
            if hashlib.sha256(body.data).hexdigest() != body.sha256:
                raise _BadError(BadRow(what=f"the definition {body.name} ({body.kind}, {body.sha256}) was changed"))

    def processes(self) -> None:
        """Every process folds to its decisions and to its rows in the listings; nothing else is listed."""
        folded = 0
        for process in self._view.every_process():
            folded += self._process(process)
            self._tell("folds", folded, self.rows)
        if folded != self.rows:
            raise _BadError(BadRow(what=f"{self.rows} rows were written, {folded} belong to a process by the index"))
        if unknown := self._view.listed_without_rows():
            raise _BadError(BadRow(process=unknown, what="it is listed, but no row of it is in the journal"))

    def _process(self, process: str) -> int:
        """Fold one process; returns how many rows it has."""
        state: Process | None = None
        listed = Listed()
        rows = 0
        for row_id, row in self._view.every_numbered_row(process):
            rows += 1
            state = self._turn(BadRow(id=row_id, process=process, seq=row.seq, what=""), state, row, listed)
        if self._view.process_row(process) != listed.process:
            raise _BadError(BadRow(process=process, what="its row in the listing of processes is not its fold"))
        if {row.escalation_id: row for row in self._view.escalations_of(process)} != listed.escalations:
            raise _BadError(BadRow(process=process, what="its rows in the listing of escalations are not its fold"))
        if self._view.timers_of(process) != listed.timers:
            raise _BadError(BadRow(process=process, what="its rows in the list of timers are not its fold"))
        return rows

    def _turn(self, place: BadRow, state: Process | None, row: JournalRow, listed: Listed) -> Process:
        """Fold one row and compare: gapless seq, equal decisions."""
        before = state
        commands: list[Command] = []
        for event in row.events:
            transition = self._core.apply(state, event)
            state = transition.state
            listed.event(event, transition.commands)
            commands.extend(transition.commands)
        if state is None or state.seq != row.seq:
            found = 0 if state is None else state.seq
            raise _BadError(msgspec.structs.replace(place, what=f"its seq is {row.seq}, its events lead to {found}"))
        if decisions_of(commands) != row.decisions or digest_of(commands) != row.digest:
            raise _BadError(msgspec.structs.replace(place, what="its decisions are not those that its events lead to"))
        listed.turn(before, state)
        return state


def _nobody(_what: str, _done: int, _total: int) -> None:
    """Nobody asked how far it is."""
