"""How earlier questions about the same contract and failure were decided: looked for in the journal, newest first.

Bounded: of the questions of a kind only the newest are looked at, each by folding its own process up to the decision.
Nothing is kept, and nothing of another principal is read.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from process_orchestrator.core import deadlines
from process_orchestrator.core.errors import StorageError
from process_orchestrator.core.facts.events import EscalationResolved
from process_orchestrator.core.ports import Precedent
from process_orchestrator.core.process import apply

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.ports import PrecedentQuery
    from process_orchestrator.hosting.journal_view import JournalView

SHOWN_MAX: Final = 5
LOOKED_AT_MAX: Final = 40
"""Questions that are looked at more closely."""

ROWS_OF_ONE_MAX: Final = 400
ROWS_MAX: Final = 2000
"""Rows that are folded of one process, and of all: a decision later in a longer one is no precedent."""


def precedents_of(view: JournalView, query: PrecedentQuery) -> tuple[Precedent, ...]:
    """At most five, the newest first. None where the process is not listed yet: whose it is, is not known then."""
    listed = view.process_row(query.process)
    if listed is None:
        return ()
    found: list[Precedent] = []
    left = ROWS_MAX
    for escalation, process in view.resolved_of_kind(query.kind, principal=listed[0].principal, limit=LOOKED_AT_MAX):
        if escalation == query.escalation:
            continue
        with suppress(StorageError):  # a process that cannot be read is no precedent
            told, rows = _told(view, process, escalation, query, most=min(left, ROWS_OF_ONE_MAX))
            found += [told] if told is not None else []
            left -= rows
        if len(found) == SHOWN_MAX or left <= 0:
            break
    return tuple(sorted(found, key=lambda each: each.at, reverse=True))


def _told(
    view: JournalView, process: str, escalation: str, query: PrecedentQuery, *, most: int
) -> tuple[Precedent | None, int]:
    """The decision about one question, where that was about the same; and how many rows that took."""
    state: Process | None = None
    read = 0
    for row in view.rows(process, after=0, limit=most):
        read += 1
        for event in row.events:
            if isinstance(event, EscalationResolved) and event.escalation == escalation and state is not None:
                return _same(state, event, query), read
            state = apply(state, event).state
    return None, read


def _same(state: Process, resolved: EscalationResolved, query: PrecedentQuery) -> Precedent | None:
    asked = state.escalations.get(resolved.escalation)
    unit = state.units.get(asked.unit) if asked is not None and asked.unit is not None else None
    if asked is None or unit is None or asked.kind.value != query.kind or resolved.channel == deadlines.CHANNEL:
        return None
    contract, code = state.facts(unit).contract, unit.failure.code if unit.failure is not None else None
    if contract is None or contract.name != query.contract or code != query.code:
        return None
    return Precedent(
        escalation=asked.id,
        kind=asked.kind.value,
        code=code,
        decision=resolved.decision.value,
        by=resolved.by,
        channel=resolved.channel,
        assurance=resolved.assurance.value,
        at=resolved.at,
    )
