"""What agents have billed since a moment, and what calls under way may cost: read from the journal, newest first.

Nothing is kept: the journal knows it all. A day's rows are read once an engine, where an agent has a daily cap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.core.budget import billed
from process_orchestrator.core.facts.events import CallFailed, CallLost, CallPrepared, CallSucceeded
from process_orchestrator.core.ports import Bill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_orchestrator.core.facts.events import Event
    from process_orchestrator.hosting.journal_view import JournalView

CLOCK_STEP_MS: Final = 3_600_000
"""How far a clock may have been set back without hiding rows behind it."""

_INVOKED: Final = "InvokeAgent "


class _Gathered:
    """What the rows so far say of calls, by process and call."""

    def __init__(self) -> None:
        self.prepared: dict[str, CallPrepared] = {}
        self.answers: dict[str, CallSucceeded | CallFailed | CallLost] = {}
        self.invoked: set[str] = set()
        self.over: set[str] = set()  # answered before the moment


def bills_since(view: JournalView, since: int) -> tuple[Bill, ...]:
    """One bill a call that was answered since, or that was made since and has no answer. `since` is epoch ms."""
    gathered = _Gathered()
    for process, row in view.rows_backwards():
        if row.at < since - CLOCK_STEP_MS:
            break
        for event in row.events:
            _note(gathered, process, event, since=since)
        for decision in row.decisions:
            if decision.startswith(_INVOKED):
                gathered.invoked.add(f"{process}/{decision.removeprefix(_INVOKED)}")
    return tuple(_bills(view, gathered))


def _note(gathered: _Gathered, process: str, event: Event, *, since: int) -> None:
    if isinstance(event, CallPrepared):
        gathered.prepared[f"{process}/{event.call}"] = event
    elif isinstance(event, CallSucceeded | CallFailed | CallLost):
        slot = f"{process}/{event.call}"
        if event.at >= since:
            gathered.answers.setdefault(slot, event)
        else:
            gathered.over.add(slot)


def _bills(view: JournalView, gathered: _Gathered) -> Iterator[Bill]:
    for slot in (gathered.invoked - gathered.over) | gathered.answers.keys():
        answer = gathered.answers.get(slot)
        prepared = gathered.prepared.get(slot) or _prepared_before(view, slot)
        if prepared is None:  # it failed before it was prepared, so nobody was called
            continue
        worst = prepared.reserve_usd_micros or 0
        cost = worst if answer is None else billed(answer, worst) or 0
        yield Bill(agent=prepared.agent.name, slot=slot, usd_micros=cost, open=answer is None)


def _prepared_before(view: JournalView, slot: str) -> CallPrepared | None:
    """How a call was prepared that then waited, for a person or for its turn, since before the moment."""
    process, _, call = slot.partition("/")
    for row in view.every_row(process):
        for event in row.events:
            if isinstance(event, CallPrepared) and event.call == call:
                return event
    return None
