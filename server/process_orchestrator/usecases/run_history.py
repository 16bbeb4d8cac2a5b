"""Earlier runs of a process type, read from the host: a bounded look at the newest, folded from the journal.

No table of its own: at most a few hundred states are read, a run that is over never changes, and so each is read once
a process of ours. What the runs say is `checking.estimating.history`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import anyio

from process_orchestrator.checking.estimating.history import COUNTED, RUNS_LEAST, RUNS_MAX, Run, run_of
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.ports import ProcessQuery

if TYPE_CHECKING:
    from process_orchestrator.core.ports import Host, ProcessRow

RUNS_KEPT: Final = 4000
"""Runs remembered: some hundred bytes each."""
PAGE: Final = 100
TYPES_KEPT: Final = 200
USUAL_S: Final = 60.0
"""How long the usual time of a type is good for: views are asked for often, and it hardly changes."""
EVENTS_MAX: Final = 5000
"""Events of a run that is read whole; a longer one would hold up everybody, and is left out."""

EVENTS_IN_ALL_MAX: Final = 50_000
"""Events of all runs of one look, a second or two of work: of types with long runs the newest few are looked at."""


class RunHistory:
    """Reads runs of one host and remembers them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._runs: OrderedDict[str, Run | None] = OrderedDict()
        self._usual: dict[str, tuple[float, int | None]] = {}

    async def usual_ms(self, process_type: str, *, principal: str | None) -> int | None:
        """How long a run of a type is mostly at work; None where too few have ended. Looked up once a minute."""
        key, now = f"{principal or ''} {process_type}", anyio.current_time()
        known = self._usual.get(key)
        if known is None or now - known[0] > USUAL_S:
            if len(self._usual) >= TYPES_KEPT:
                self._usual.clear()
            runs = await self.runs(process_type, principal=principal, most=RUNS_LEAST)
            mean = None if len(runs) < RUNS_LEAST else sum(run.running_ms for run in runs) // len(runs)
            known = self._usual[key] = now, mean
        return known[1]

    async def runs(
        self, process_type: str, *, principal: str | None, before: int | None = None, most: int = RUNS_MAX
    ) -> tuple[Run, ...]:
        """The newest runs of a type that have ended and were started before a moment (epoch milliseconds)."""
        rows: list[ProcessRow] = []
        for status in COUNTED:
            rows += await self._rows(process_type, status.value, principal, before=before, most=most)
        rows.sort(key=lambda row: (row.created_at, row.process_id), reverse=True)
        found: list[Run] = []
        events = 0
        for row in rows[:most]:
            events += min(row.version, EVENTS_MAX)
            if events > EVENTS_IN_ALL_MAX and found:
                break
            run = await self._run(row)
            if run is not None:
                found.append(run)
        return tuple(found)

    async def _rows(
        self, process_type: str, status: str, principal: str | None, *, before: int | None, most: int
    ) -> list[ProcessRow]:
        rows: list[ProcessRow] = []
        cursor = None if before is None else f"{before}:"
        while len(rows) < most:
            query = ProcessQuery(
                status=status,
                process_type=process_type,
                principal=principal,
                limit=min(PAGE, most - len(rows)),
                cursor=cursor,
            )
            page = await self._host.processes(query)
            rows += page.items
            cursor = page.next
            if cursor is None:
                break
        return rows

    async def _run(self, row: ProcessRow) -> Run | None:
        name = row.process_id
        if name in self._runs:
            self._runs.move_to_end(name)
            return self._runs[name]
        try:
            run = run_of(await self._host.state(name)) if row.version <= EVENTS_MAX else None
        except RefusedError:  # listed, and gone or unreadable: it says nothing
            run = None
        self._runs[name] = run
        if len(self._runs) > RUNS_KEPT:
            self._runs.popitem(last=False)
        return run
