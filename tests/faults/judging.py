"""Judges what a run left: every journal, every listing, every acknowledgement, every deed of an agent."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from faults.catalogue import CHANGING, KEYED, UNSAFE
from faults.network import Deed
from process_orchestrator.conformance import gaps, violations
from process_orchestrator.core.facts.events import CancelRequested, EscalationResolved, Event
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Decision, EscalationKind, Status
from process_orchestrator.core.ports import JournalRow

AGAIN = frozenset({Decision.RETRY, Decision.RETRY_WITH_INPUT, Decision.USE_AGENT})


@dataclass(kw_only=True)
class Heard:
    """What people and clients were told is done."""

    started: set[str] = field(default_factory=set[str])
    resolved: dict[str, tuple[str, str, Decision]] = field(default_factory=dict[str, tuple[str, str, Decision]])
    cancelled: set[str] = field(default_factory=set[str])


def judge_process(process: str, rows: list[JournalRow], state: Process, deeds: Iterable[Deed]) -> list[str]:
    """What is wrong with one process."""
    events: list[Event] = [event for row in rows for event in row.events]
    found = [str(each) for each in (*gaps(rows), *violations(events, projection=state))]
    found += _deeds_wrong(state, events, deeds)
    found += _unexplained(state)
    return [f"{process}: {each}" for each in found]


def _deeds_wrong(state: Process, events: list[Event], deeds: Iterable[Deed]) -> list[str]:
    """Nothing is done twice that must not be, but where a human said so."""
    asked: dict[str, list[EscalationResolved]] = defaultdict(list)
    for event in events:
        if isinstance(event, EscalationResolved) and event.decision in AGAIN:
            asked[state.escalations[event.escalation].unit or ""].append(event)
    by_unit: dict[str, list[Deed]] = defaultdict(list)
    for deed in deeds:
        by_unit[deed.unit].append(deed)
    found: list[str] = []
    for unit, done in by_unit.items():
        contract, answers = done[0].contract, asked[unit]
        if contract == UNSAFE and len(done) > 1 + len(answers):
            found.append(f"{unit} was done {len(done)} times, {len(answers)} of them asked for")
        fresh = sum(_allows_another_key(state, event) for event in answers)
        if contract in KEYED and len(done) > 1 + fresh:
            found.append(f"{unit} was done under {sorted({deed.key for deed in done})}")
        others = sum(event.decision is Decision.RETRY_WITH_INPUT for event in answers)
        # A free read may go out before its turn is durable, and go out anew with what came after a crash.
        if contract in CHANGING and len({deed.given for deed in done}) > 1 + others:
            found.append(f"{unit} was done with {sorted({deed.given for deed in done})}")
    return found


def _allows_another_key(state: Process, event: EscalationResolved) -> bool:
    """A human asked for it, or gave other arguments when it was sure that nothing had been done."""
    unknown = state.escalations[event.escalation].kind is EscalationKind.OUTCOME_UNKNOWN
    return (event.fresh_key and unknown) or event.decision is Decision.RETRY_WITH_INPUT


def _unexplained(state: Process) -> list[str]:
    """Every end and every wait says why."""
    match state.status:
        case Status.COMPLETED if state.output is None:
            return ["completed without an output"]
        case Status.FAILED if state.failing is None or not state.failing.code:
            return ["failed, and nothing says why"]
        case Status.CANCELLED if not state.cancelling:
            return ["cancelled, and nobody asked for it"]
        case Status.WAITING_HUMAN if not any(each.open for each in state.escalations.values()):
            return ["waits for a human who was asked nothing"]
        case Status.RUNNING | Status.QUEUED if state.why is None:
            return [f"is {state.status}, and nothing says why"]
        case _:
            return []


def judge_acknowledged(heard: Heard, journals: dict[str, list[JournalRow]]) -> list[str]:
    """What was acknowledged stands in a journal."""
    found = [f"{process} was acknowledged and is gone" for process in sorted(heard.started - set(journals))]
    for request, (process, escalation, decision) in heard.resolved.items():
        events = [event for row in journals.get(process, []) for event in row.events]
        kept = [
            event
            for event in events
            if isinstance(event, EscalationResolved) and (event.request_id, event.escalation) == (request, escalation)
        ]
        if [event.decision for event in kept] != [decision]:
            found.append(f"{process}: {decision} of {escalation} was acknowledged, the journal has {kept}")
    for process in sorted(heard.cancelled):
        events = [event for row in journals.get(process, []) for event in row.events]
        if not any(isinstance(event, CancelRequested) for event in events):
            found.append(f"{process}: a cancel was acknowledged and is gone")
    return found
