"""Recreates the listings of a database (process, escalation, timer) from its journal, in one transaction.

They are folds, so nothing is lost with them. The journal itself is never touched: what is wrong in it stays wrong, and
`verify` names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
import msgspec

from process_orchestrator.core.errors import EngineError, StorageError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.hosting.database import rewriting
from process_orchestrator.hosting.database_file import check_database_file
from process_orchestrator.hosting.folding import CORE, Core
from process_orchestrator.hosting.lock import try_lock
from process_orchestrator.hosting.projection import Listed, columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.hosting.database import WritingConnection
    from process_orchestrator.hosting.journal_view import JournalView

NAMED_MAX: Final = 20
"""Processes that a report names, at most."""
OF_ONE: Final = ("drop_process", "drop_escalations", "drop_timers")
OF_NONE: Final = ("drop_unknown_processes", "drop_unknown_escalations", "drop_unknown_timers")


class RebuildReport(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """What a rebuild did. `unreadable` are processes whose rows cannot be folded: their listings stay as they were."""

    processes: int
    mended: int
    removed: int  # rows of listings without a process in the journal
    unreadable: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return msgspec.to_builtins(self)


async def rebuild(state: Path, *, core: Core = CORE, progress: Callable[[int], None] | None = None) -> RebuildReport:
    """Rebuild the listings of a state folder, in a thread, under the engine's lock.

    Raises EngineError ENGINE_UNAVAILABLE while an engine holds it, StorageError for a database that cannot be trusted.
    """
    return await anyio.to_thread.run_sync(lambda: rebuild_now(state, core=core, progress=progress))


def rebuild_now(state: Path, *, core: Core = CORE, progress: Callable[[int], None] | None = None) -> RebuildReport:
    """As `rebuild`, in the thread of the caller."""
    if not check_database_file(state, migrates=True):
        return RebuildReport(processes=0, mended=0, removed=0)
    lock = try_lock(state)
    if lock is None:
        raise EngineError(
            "ENGINE_UNAVAILABLE",
            "ENGINE_UNAVAILABLE: an engine holds this home, and only it may write. "
            "Do: end it (quit the assistant, stop `serve`), then try again.",
        )
    try:
        with rewriting(state) as (connection, sql, view):
            return _Rebuilding(connection, sql, view, core).all(progress)
    finally:
        lock.close()


class _Rebuilding:
    """One rebuild, within its transaction."""

    def __init__(self, connection: WritingConnection, sql: Mapping[str, str], view: JournalView, core: Core) -> None:
        self._connection, self._sql, self._view, self._core = connection, sql, view, core

    def all(self, progress: Callable[[int], None] | None) -> RebuildReport:
        processes = mended = 0
        unreadable: list[str] = []
        for process in self._view.every_process():
            processes += 1
            try:
                mended += self._one(process)
            except StorageError:
                unreadable.append(process)
            if progress is not None:
                progress(processes)
        removed = sum(self._connection.execute(self._sql[name]).rowcount for name in OF_NONE)
        return RebuildReport(
            processes=processes, mended=mended, removed=removed, unreadable=tuple(unreadable[:NAMED_MAX])
        )

    def _one(self, process: str) -> bool:
        """Whether the listings of a process were not its fold, and now are."""
        listed = self._fold(process)
        view = self._view
        escalations = {row.escalation_id: row for row in view.escalations_of(process)}
        if (view.process_row(process), escalations, view.timers_of(process)) == (
            listed.process,
            listed.escalations,
            listed.timers,
        ):
            return False
        for name in OF_ONE:
            self._connection.execute(self._sql[name], (process,))
        if listed.process is not None:
            row, due = listed.process
            self._connection.execute(self._sql["put_process"], columns(row, due=due))
        for row in listed.escalations.values():
            self._connection.execute(self._sql["put_escalation"], msgspec.structs.astuple(row))
        for timer, fire_at in listed.timers.items():
            self._connection.execute(self._sql["put_timer"], (process, timer, fire_at))
        return True

    def _fold(self, process: str) -> Listed:
        state: Process | None = None
        listed = Listed()
        for row in self._view.every_row(process):
            before = state
            for event in row.events:
                transition = self._core.apply(state, event)
                state = transition.state
                listed.event(event, transition.commands)
            if state is not None:
                listed.turn(before, state)
        return listed
