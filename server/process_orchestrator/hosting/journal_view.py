"""Reads of a journal over one connection: rows, bodies, listings. Synchronous; one thread at a time.

Knows the statements, not the database library: `journal` opens the connection and turns its errors into ours.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from process_orchestrator.core.errors import RefusedError, StorageError
from process_orchestrator.core.ports import (
    DefinitionBody,
    EscalationQuery,
    EscalationRow,
    JournalRow,
    Page,
    ProcessQuery,
    ProcessRow,
)
from process_orchestrator.hosting.turns import decode_plan, decode_turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from process_orchestrator.core.facts.specs import PlanFacts

ROW_ID_MAX: Final = 2**63 - 1
ROWS_AT_ONCE: Final = 500
"""Rows fetched by one statement: statements stay short, so that the log can be checkpointed beneath readers."""
PAGE_MAX: Final = 100
PLANS_KEPT: Final = 64


class Cursor(Protocol):
    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    def execute(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ..., /) -> Cursor: ...


class RawRow(NamedTuple):
    """A journal row as stored."""

    id: int
    process: str
    seq: int
    at: int
    turn: bytes
    chain: bytes


class TimerRow(NamedTuple):
    """A live timer."""

    process: str
    timer: str
    fire_at: int


class JournalView:
    """All reads. Raises StorageError for a row that cannot be read."""

    def __init__(self, connection: Connection, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = statements
        self._plans: OrderedDict[str, PlanFacts] = OrderedDict()

    def rows(self, process: str, *, after: int, limit: int) -> list[JournalRow]:
        """At most `limit` rows of a process whose seq is over `after`, oldest first."""
        found = self._connection.execute(self._sql["rows_of_process"], (process, after, limit)).fetchall()
        return [self.decode(process, seq, at, turn) for seq, at, turn in found]

    def every_row(self, process: str) -> Iterator[JournalRow]:
        """All rows of a process, oldest first, read a few hundred at a time."""
        after = 0
        while found := self.rows(process, after=after, limit=ROWS_AT_ONCE):
            yield from found
            after = found[-1].seq
            if len(found) < ROWS_AT_ONCE:
                return

    def every_numbered_row(self, process: str) -> Iterator[tuple[int, JournalRow]]:
        """All rows of a process with their ids, oldest first."""
        after = 0
        statement = self._sql["numbered_rows_of_process"]
        while found := self._connection.execute(statement, (process, after, ROWS_AT_ONCE)).fetchall():
            for row_id, seq, at, turn in found:
                yield row_id, self.decode(process, seq, at, turn)
            after = found[-1][1]

    def every_process(self) -> Iterator[str]:
        """Every process that has a row, by its id."""
        after = ""
        while found := self._connection.execute(self._sql["processes_after"], (after, ROWS_AT_ONCE)).fetchall():
            yield from (row[0] for row in found)
            after = found[-1][0]

    def rows_backwards(self) -> Iterator[tuple[str, JournalRow]]:
        """The rows of all processes with their process, the newest first, read a few hundred at a time."""
        before = ROW_ID_MAX
        while found := self._connection.execute(self._sql["rows_backwards"], (before, ROWS_AT_ONCE)).fetchall():
            for _, process, seq, at, turn in found:
                yield process, self.decode(process, seq, at, turn)
            before = found[-1][0]

    def decode(self, process: str, seq: int, at: int, turn: bytes) -> JournalRow:
        try:
            read = decode_turn(turn, self.plan_facts)
        except (msgspec.DecodeError, IndexError, TypeError) as error:
            raise StorageError(f"the journal row of {process} with seq {seq} cannot be read: {error}") from error
        return JournalRow(seq=seq, at=at, events=read.events, decisions=read.decisions, digest=read.digest)

    def plan_facts(self, sha256: str) -> PlanFacts:
        """Pinned PlanFacts; the newest few are remembered. Raises StorageError where they are missing."""
        plan = self._plans.get(sha256)
        if plan is None:
            body = self.definition(sha256)
            if body is None:
                raise StorageError(f"the pinned plan {sha256} is missing from the database")
            plan = self._plans[sha256] = decode_plan(body.data)
            if len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        return plan

    def rows_in_order(self, *, after_id: int, limit: int = ROWS_AT_ONCE) -> list[RawRow]:
        """Rows of all processes in the order they were written."""
        found = self._connection.execute(self._sql["rows_in_order"], (after_id, limit)).fetchall()
        return [RawRow(*row) for row in found]

    def last_row(self) -> tuple[int, bytes] | None:
        """Id and chain link of the newest row."""
        return self._connection.execute(self._sql["last_row"]).fetchone()

    def version(self, process: str) -> int | None:
        """Seq of a process's newest row; None for one that does not exist."""
        return self._connection.execute(self._sql["version_of_process"], (process,)).fetchone()[0]

    def artifact(self, sha256: str) -> bytes | None:
        found = self._connection.execute(self._sql["artifact"], (bytes.fromhex(sha256),)).fetchone()
        return None if found is None else found[0]

    def definition(self, sha256: str) -> DefinitionBody | None:
        found = self._connection.execute(self._sql["definition"], (sha256,)).fetchone()
        if found is None:
            return None
        sha256, kind, name, version, data = found
        return DefinitionBody(sha256=sha256, kind=kind, name=name, version=version, data=data)

    def meta(self, key: str) -> str | None:
        found = self._connection.execute(self._sql["get_meta"], (key,)).fetchone()
        return None if found is None else found[0]

    def set_aside(self) -> dict[str, str]:
        """The processes that their engine set aside, and why."""
        return dict(self._connection.execute(self._sql["set_aside"]).fetchall())

    def due_processes(self) -> list[str]:
        """Processes for which an engine has something to do, oldest first."""
        return [row[0] for row in self._connection.execute(self._sql["due_processes"]).fetchall()]

    def timers(self, until: int) -> tuple[list[TimerRow], int | None]:
        """The timers that are due until then, and when the first one after that is."""
        found = self._connection.execute(self._sql["timers_until"], (until,)).fetchall()
        later = self._connection.execute(self._sql["first_timer_after"], (until,)).fetchone()
        return [TimerRow(*row) for row in found], later[0]

    def escalations_of(self, process: str) -> list[EscalationRow]:
        found = self._connection.execute(self._sql["escalations_of_process"], (process,)).fetchall()
        return [_escalation(row) for row in found]

    def resolved_of_kind(self, kind: str, *, principal: str, limit: int) -> list[tuple[str, str]]:
        """The newest questions of a kind that were decided, of one principal: each with its process."""
        parameters = {"kind": kind, "principal": principal, "limit": limit}
        return self._connection.execute(self._sql["resolved_of_kind"], parameters).fetchall()

    def process_row(self, process: str) -> tuple[ProcessRow, bool] | None:
        """A process as listed, and whether an engine has something to do for it."""
        found = self._connection.execute(self._sql["process_row"], (process,)).fetchone()
        return None if found is None else (_process((*found[:-1], False)), bool(found[-1]))

    def timers_of(self, process: str) -> dict[str, int]:
        """When each live timer of a process fires."""
        return dict(self._connection.execute(self._sql["timers_of_process"], (process,)).fetchall())

    def listed_without_rows(self) -> str | None:
        """A process that a projection names and the journal does not know."""
        found = self._connection.execute(self._sql["listed_without_rows"]).fetchone()
        return None if found is None else found[0]

    def has_artifact(self, sha256: str) -> bool:
        return self._connection.execute(self._sql["has_artifact"], (bytes.fromhex(sha256),)).fetchone() is not None

    def every_artifact(self) -> Iterator[tuple[str, bytes]]:
        for sha256, data in self._connection.execute(self._sql["every_artifact"]):
            if not isinstance(sha256, bytes) or not isinstance(data, bytes):
                raise StorageError("a stored body has lost its name or its content")
            yield sha256.hex(), data

    def every_definition(self) -> Iterator[DefinitionBody]:
        for sha256, kind, name, version, data in self._connection.execute(self._sql["every_definition"]):
            if not isinstance(sha256, str) or not isinstance(data, bytes):
                raise StorageError("a pinned definition has lost its name or its content")
            yield DefinitionBody(sha256=sha256, kind=kind, name=name, version=version, data=data)

    def processes(self, query: ProcessQuery) -> Page[ProcessRow]:
        limit = max(1, min(query.limit, PAGE_MAX))
        parameters = {name: getattr(query, name) for name in _PROCESS_FILTERS} | {"limit": limit + 1}
        created, after_id = _cursor(query.cursor, 2)
        parameters |= {"after_created": created, "after_id": after_id}
        # By their index, where ids are asked for: a look at one process asks for its own.
        statement = "processes" if query.prefix is None else "processes_by_prefix"
        found = self._connection.execute(self._sql[statement], parameters).fetchall()
        items = tuple(_process(row) for row in found[:limit])
        more = f"{items[-1].created_at}:{items[-1].process_id}" if len(found) > limit else None
        return Page(items=items, next=more)

    def escalations(self, query: EscalationQuery) -> Page[EscalationRow]:
        limit = max(1, min(query.limit, PAGE_MAX))
        rank, due, opened, after_id = _cursor(query.cursor, 4)
        parameters: dict[str, Any] = {
            "process_id": query.process_id,
            "role": query.role,
            "after_rank": rank,
            "after_due": due,
            "after_opened": opened,
            "after_id": after_id,
            "limit": limit + 1,
        }
        found = self._questions(query.status, parameters)
        items = tuple(_escalation(row[:9]) for row in found[:limit])
        more = None
        if len(found) > limit:
            last = found[limit - 1]
            more = f"{last[9]}:{last[10]}:{last[7]}:{last[0]}"
        return Page(items=items, next=more)

    def _questions(self, status: str, parameters: dict[str, Any]) -> list[Any]:
        """The escalations of a page. Open ones are read in order from their index, of 100,000 no more than a page."""
        if parameters["process_id"] is not None or status != "open":
            statement = "escalations" if parameters["process_id"] is None else "escalations_within_process"
            return self._connection.execute(self._sql[statement], {**parameters, "status": status}).fetchall()
        found: list[Any] = []
        for statement in ("open_escalations_dated", "open_escalations_undated"):
            left = parameters["limit"] - len(found)
            found += self._connection.execute(self._sql[statement], {**parameters, "limit": left}).fetchall()
        return found


_PROCESS_FILTERS: Final = ("status", "process_type", "label", "principal", "input_sha256", "since", "prefix")


def _cursor(text: str | None, parts: int) -> tuple[Any, ...]:
    """A page cursor: numbers and last an id, joined by colons. All None for the first page."""
    if text is None:
        return (None,) * parts
    found = text.split(":", parts - 1)
    try:
        return (*(int(part) for part in found[:-1]), found[parts - 1])
    except (ValueError, IndexError):
        raise RefusedError(
            "BAD_ARGUMENT", f"{text!r} is no cursor of this listing.", do="leave `cursor` out for the first page."
        ) from None


def _process(row: Sequence[Any]) -> ProcessRow:
    fields: dict[str, Any] = dict(zip(ProcessRow.__struct_fields__, row, strict=True))
    fields["set_aside"] = bool(fields["set_aside"])
    return ProcessRow(**fields)


def _escalation(row: Sequence[Any]) -> EscalationRow:
    return EscalationRow(**dict(zip(EscalationRow.__struct_fields__, row, strict=True)))
