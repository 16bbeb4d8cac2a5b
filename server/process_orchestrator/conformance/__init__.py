"""What must hold of every journal, checked over its events alone, by tests, simulations and `verify`.

The rules are told here a second time and in other words than the core's, so that both would have to be wrong alike. The
core is used to fold and to learn what was ordered; whether that was right is judged here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.conformance.money import hold, models, money
from process_orchestrator.conformance.seen import Seen
from process_orchestrator.core.assurance import sufficient
from process_orchestrator.core.facts.commands import (
    Command,
    InvokeAgent,
    StartChild,
    StartTimer,
    StopTimer,
)
from process_orchestrator.core.facts.events import (
    CallFailed,
    CallLost,
    CallPrepared,
    CallSucceeded,
    ChildFinished,
    EscalationResolved,
    Event,
    PlanChecked,
    ProcessStarted,
    TimerFired,
)
from process_orchestrator.core.facts.values import (
    Decision,
    Effect,
    EscalationKind,
    Fact,
    Idempotency,
    Outcome,
    Phase,
    Status,
)
from process_orchestrator.core.keys import call_id, is_undo, step_of_unit, unit_of_call
from process_orchestrator.core.process import apply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from process_orchestrator.core.facts.specs import PlanFacts, StepFacts
    from process_orchestrator.core.facts.state import Process, Unit
    from process_orchestrator.core.ports import JournalRow

_ENDED: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
_GRANTS_TRIES: Final = frozenset({Decision.RETRY, Decision.RETRY_WITH_INPUT, Decision.USE_AGENT})
_WAS_DONE: Final = frozenset({Phase.DONE, Phase.UNDOING})
_CHANGES_THE_WORLD: Final = frozenset({Effect.WRITE, Effect.IRREVERSIBLE})


class Violation(Fact, kw_only=True):
    """A rule that a journal breaks, at the event of this seq."""

    seq: int
    rule: str
    message: str


def gaps(rows: Sequence[JournalRow]) -> tuple[Violation, ...]:
    """Where the seq of a journal's rows is not gapless from 1."""
    found: list[Violation] = []
    expected = 0
    for row in rows:
        expected += len(row.events)
        if row.seq != expected:
            message = f"row ends with seq {row.seq}, its events end with {expected}"
            found.append(Violation(seq=row.seq, rule="gapless_seq", message=message))
            expected = row.seq
    return tuple(found)


def violations(events: Sequence[Event], *, projection: Process | None = None) -> tuple[Violation, ...]:
    """Every broken rule, in the order of the journal. `projection`, where given, must equal the fold."""
    seen, found = Seen(), list[Violation]()
    state: Process | None = None
    for seq, event in enumerate(events, start=1):
        before, transition = state, apply(state, event)
        state = transition.state
        if isinstance(event, ProcessStarted):
            _begin(event, seen)
        problems = (
            *_intent(event, seen),
            *_resolutions(event, seen),
            *_outcomes(event, seen, before),
            *_approvals(event, seen, before),
            *money(event, seen, before, state),
            *models(transition.commands, seen),
            *_calls(transition.commands, seen, state),
            *_replanned(event, seen, before, state),
            *_outputs(before, state, seen),
            *_undoing(before, state, seen),
            *_timers(event, transition.commands, seen),
            *_sequence(state, seq),
            *_end(state, seen),
        )
        found.extend(Violation(seq=seq, rule=rule, message=message) for rule, message in problems)
    if projection is not None and state != projection:
        found.append(Violation(seq=len(events), rule="projection", message="the fold is not the given state"))
    return tuple(found)


def _begin(event: ProcessStarted, seen: Seen) -> None:
    """What a redriven process did already is as unsettled as what this one might do."""
    effects = {step.id: step.effect for step in event.spec.plan.steps} if event.spec.plan is not None else {}
    for unit, earlier in event.spec.earlier.items():
        if earlier.acted and effects.get(step_of_unit(unit)) in _CHANGES_THE_WORLD:
            seen.earlier[unit], seen.unsettled[unit] = earlier, earlier.key


def _sequence(state: Process, seq: int) -> Iterator[tuple[str, str]]:
    if state.seq != seq:
        yield "gapless_seq", f"state has seq {state.seq} after {seq} events"


def _intent(event: Event, seen: Seen) -> Iterator[tuple[str, str]]:
    """An answer of an agent needs an intent before it; what failed without one surely was not sent."""
    if isinstance(event, CallPrepared):
        seen.prepared.add(event.call)
    elif isinstance(event, ChildFinished):
        if event.call not in seen.children:
            yield "intent", f"{event.call} ended but was never started"
        seen.answered.add(event.call)
    elif isinstance(event, CallSucceeded | CallLost) and event.call not in seen.invoked:
        yield "intent", f"{event.call} was answered but never ordered"
    elif isinstance(event, CallFailed) and event.outcome is Outcome.UNKNOWN and event.call not in seen.invoked:
        yield "intent", f"{event.call} may have done something but was never ordered"


def _resolutions(event: Event, seen: Seen) -> Iterator[tuple[str, str]]:
    if not isinstance(event, EscalationResolved):
        return
    if event.escalation in seen.resolved:
        yield "resolved_once", f"{event.escalation} was resolved twice"
    seen.resolved.add(event.escalation)


def _outcomes(event: Event, seen: Seen, before: Process | None) -> Iterator[tuple[str, str]]:
    """Keep the books of unknown outcomes; a call answers once."""
    if isinstance(event, CallSucceeded | CallFailed | CallLost):
        call, unit = event.call, unit_of_call(event.call)
        order = seen.invoked.get(call)
        if order is None or call in seen.answered:
            return
        seen.answered.add(call)
        unknown = isinstance(event, CallLost) or (isinstance(event, CallFailed) and event.outcome is Outcome.UNKNOWN)
        if isinstance(event, CallSucceeded):
            seen.unsettled.pop(unit, None)
        elif unknown and order.effect in _CHANGES_THE_WORLD:
            seen.unsettled.setdefault(unit, order.key)
            seen.unsure.add(unit)
        if isinstance(event, CallFailed) and event.code in {"circuit_open", "rate_limited"}:
            seen.tries[unit, order.agent.name] -= 1  # no agent was asked: that was no try
    elif isinstance(event, EscalationResolved) and before is not None:
        escalation = before.escalations.get(event.escalation)
        if escalation is None or escalation.unit is None or not escalation.open:
            return
        asked = escalation.kind is EscalationKind.OUTCOME_UNKNOWN
        if event.decision is Decision.RETRY and (asked or escalation.kind is EscalationKind.UNDO_FAILED):
            seen.unsure.discard(escalation.unit)
        if event.decision is Decision.RETRY and asked:
            earlier = seen.earlier.pop(escalation.unit, None)
            if event.fresh_key or (earlier is not None and earlier.digest != escalation.digest):
                seen.unsettled.pop(escalation.unit, None)
        for unit, agent in tuple(seen.tries):
            if unit == escalation.unit and event.decision in _GRANTS_TRIES:
                del seen.tries[unit, agent]
    yield from ()


def _approvals(event: Event, seen: Seen, before: Process | None) -> Iterator[tuple[str, str]]:
    """Keep the books of what must be approved, and of what was: which arguments, and how surely by a human."""
    if before is None:
        return
    if isinstance(event, CallPrepared):
        seen.digests[event.call] = event.digest
        unit = before.units.get(unit_of_call(event.call))
        awaited = unit is not None and unit.phase is Phase.PREPARING and call_id(unit.id, unit.call) == event.call
        if awaited and event.gate is not None:
            seen.gated[event.call] = event.gate, event.digest
    elif isinstance(event, EscalationResolved):
        escalation = before.escalations.get(event.escalation)
        if escalation is None or escalation.unit is None or not escalation.open:
            return
        if event.decision is Decision.RETRY_WITH_INPUT:
            seen.overridden.add(escalation.unit)
        elif event.decision is Decision.APPROVE and escalation.digest is not None:
            seen.approved.setdefault(_of_rounds(escalation.unit), {})[escalation.digest] = event.assurance
    yield from ()


def _replanned(event: Event, seen: Seen, before: Process | None, state: Process) -> Iterator[tuple[str, str]]:
    """Another plan changes nothing of what was done or begun, and takes no effect out of sight."""
    if not isinstance(event, PlanChecked) or before is None or before.plan is None or before.plan is state.plan:
        return
    for unit in before.units.values():
        if unit.phase is Phase.WAITING:
            for tried in [key for key in seen.tries if key[0] == unit.id]:
                del seen.tries[tried]
            if unit.id in seen.unsure:
                yield "replan", f"{unit.id} may have acted, and another plan takes its place"
            continue
        kept = state.units.get(unit.id)
        if kept is None or (kept.phase, kept.output, kept.call) != (unit.phase, unit.output, unit.call):
            yield "replan", f"{unit.id} was {unit.phase}, and another plan changed it"
        elif before.plan.steps[unit.place].contract != _step(state, kept.step).contract:
            yield "replan", f"{unit.id} was {unit.phase}, and another plan gives it another contract"


def _unapproved(call: str, seen: Seen) -> bool:
    """Whether a call that needs an approval goes out without it. That of a map covers what its items were then."""
    gate, digest = seen.gated.get(call, (None, ""))
    if gate is None:
        return False
    unit, step = _of_rounds(unit_of_call(call)), step_of_unit(unit_of_call(call))
    given = seen.approved.get(unit, {}).get(digest)
    item = unit != step and not is_undo(unit)
    if given is None and item and unit not in seen.overridden:
        given = next(iter(seen.approved.get(step, {}).values()), None)
    return given is None or not sufficient(given, gate.min_assurance)


def _done_before(command: InvokeAgent, seen: Seen) -> bool:
    """Whether a call makes an effect of a redriven process a second time, by itself."""
    earlier = seen.earlier.get(command.unit)
    if earlier is None:
        return False
    return command.idempotency is Idempotency.UNSAFE or seen.digests.get(command.call) != earlier.digest


def _of_rounds(unit: str) -> str:
    """What an approval is for: the rounds of a repeated step (`poll#1`, `poll#2`) share those of equal arguments."""
    return unit.partition("#")[0]


def _calls(commands: Sequence[Command], seen: Seen, state: Process) -> Iterator[tuple[str, str]]:
    for command in commands:
        if isinstance(command, StartChild):
            yield from _started(command, seen)
        if not isinstance(command, InvokeAgent):
            continue
        yield from _ordered(command.call, seen)
        seen.invoked[command.call] = command
        unsettled = seen.unsettled.get(command.unit)
        if unsettled is not None and command.key != unsettled:
            yield "key", f"{command.call} has key {command.key} while {unsettled} is unsettled"
        if command.unit in seen.unsure and command.idempotency is Idempotency.UNSAFE:
            yield "repeat", f"{command.call} may repeat what an earlier call did, and nobody has said that it may"
        if _done_before(command, seen):
            yield "repeat", f"{command.call} repeats what an earlier process did, and nobody has said that it may"
        yield from hold(command.call, seen.reserves.get(command.call) or 0, seen)
        agent = command.agent.name
        seen.tries[command.unit, agent] = seen.tries.get((command.unit, agent), 0) + 1
        allowed = _tries(_step(state, command.step), command.unit)
        if seen.tries[command.unit, agent] > allowed:
            yield "attempts", f"{command.call} is try {seen.tries[command.unit, agent]} of {allowed} at {agent}"
        if state.calls > state.spec.limits.calls and not is_undo(command.unit):
            yield "calls", f"{command.call} is call {state.calls} of {state.spec.limits.calls}"


def _ordered(call: str, seen: Seen) -> Iterator[tuple[str, str]]:
    """What holds of everything that goes out under the id of a call."""
    if call not in seen.prepared:
        yield "intent", f"{call} is called without a journaled intent"
    if call in seen.invoked or call in seen.children:
        yield "intent", f"{call} is ordered twice"
    if _unapproved(call, seen):
        yield "approval", f"{call} needs an approval of just these arguments, and has none"


def _started(command: StartChild, seen: Seen) -> Iterator[tuple[str, str]]:
    """A child is ordered like a call, keeps to what is held back for it, and knows who is above it."""
    yield from _ordered(command.call, seen)
    yield from hold(command.call, command.usd_micros, seen)
    seen.children[command.call] = command
    spec = command.spec
    if unit_of_call(command.call) in seen.earlier:
        yield "repeat", f"{command.child} does again what an earlier process left, and nobody has said that it may"
    if spec.budget.usd_micros > command.usd_micros:
        yield "cap", f"{command.child} may spend {spec.budget.usd_micros}, {command.usd_micros} is held back for it"
    if spec.lineage[-1:] != (command.process,) or len(spec.lineage) > spec.limits.depth:
        yield "lineage", f"{command.child} has {spec.lineage} above it, at most {spec.limits.depth} may be"


def _step(state: Process, step: str) -> StepFacts:
    steps = state.plan.steps if state.plan is not None else ()
    return next(facts for facts in steps if facts.id == step)


def _tries(step: StepFacts, unit: str) -> int:
    if is_undo(unit):
        return step.undo.retry.max_attempts if step.undo is not None else 0
    return step.retry.max_attempts


def _undoing(before: Process | None, state: Process, seen: Seen) -> Iterator[tuple[str, str]]:
    """Effects are taken back only at the end, one at a time, each once, the last one first."""
    known = before.units if before is not None else {}
    if known is state.units:
        return
    for unit in state.units.values():
        former = known.get(unit.id)
        if former is unit or unit.undoes is None:
            continue
        if former is None and not state.cancelling and state.failing is None:
            yield "undo", f"{unit.id} begins while the process goes on"
        if former is None and unit.phase is Phase.PREPARING and unit.undoes not in seen.accepted:
            yield "undo", f"{unit.id} begins although {unit.undoes} was never done"
        if former is None and unit.undoes in seen.done:
            later = seen.done[seen.done.index(unit.undoes) + 1 :][:1]
            if later and f"{later[0]}!undo" not in state.units:
                yield "undo", f"{unit.id} begins before {later[0]}!undo"
        if unit.phase is Phase.CALLING and len(state.live_calls) > 1:
            yield "undo", f"{unit.id} is called beside {state.live_calls}"


def _timers(event: Event, commands: Sequence[Command], seen: Seen) -> Iterator[tuple[str, str]]:
    """Keep the books of timers. A timer that is started again is one timer."""
    if isinstance(event, TimerFired):
        seen.timers.discard(event.timer)
    for command in commands:
        if isinstance(command, StartTimer):
            seen.timers.add(command.timer)
        elif isinstance(command, StopTimer):
            seen.timers.discard(command.timer)
    yield from ()


def _outputs(before: Process | None, state: Process, seen: Seen) -> Iterator[tuple[str, str]]:
    """A closed unit keeps the one output that closed it."""
    for unit in state.units.values():
        former = before.units.get(unit.id) if before is not None else None
        if former is unit:
            continue
        if former is not None and former.phase in _WAS_DONE and former.output != unit.output:
            yield "one_output", f"{unit.id} was done and its output changed"
        if unit.phase in _WAS_DONE and (former is None or former.phase not in _WAS_DONE):
            if unit.undoes is None and state.plan is not None and _changed_the_world(unit, state.plan):
                seen.done.append(unit.id)
            seen.accepted[unit.id] = seen.accepted.get(unit.id, 0) + 1
            if unit.output is None:
                yield "one_output", f"{unit.id} is done without an output"
            if seen.accepted[unit.id] > 1:
                yield "one_output", f"{unit.id} was done twice"


def _changed_the_world(unit: Unit, plan: PlanFacts) -> bool:
    """Whether a done unit has an effect of its own: a mapped or repeated step has only those of its items, rounds."""
    step = plan.steps[unit.place]
    whole = unit.id == unit.step and (step.is_map or step.repeat is not None)
    return step.effect in _CHANGES_THE_WORLD and not whole


def _end(state: Process, seen: Seen) -> Iterator[tuple[str, str]]:
    if state.status not in _ENDED:
        return
    unanswered = sorted({*seen.invoked, *seen.children} - seen.answered)
    if unanswered or state.live_calls:
        yield "end", f"ended with live calls {unanswered or state.live_calls}"
    if state.live_timers or seen.timers:
        yield "end", f"ended with live timers {state.live_timers or sorted(seen.timers)}"
    still_open = [escalation.id for escalation in state.escalations.values() if escalation.open]
    if still_open:
        yield "end", f"ended with open escalations {still_open}"
    if len(set(state.undone)) != len(state.undone) or set(state.undone) & set(state.left):
        yield "undo", f"ended with {state.undone} undone and {state.left} left"
    missed = [unit for unit in state.undone if f"{unit}!undo" not in seen.accepted]
    if missed:
        yield "undo", f"ended with {missed} undone, and no undo of them was done"
