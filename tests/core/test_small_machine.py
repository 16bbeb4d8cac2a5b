"""Every road through small plans: breadth first, each state once, every answer that a true world may give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from core.journeys import (
    ALPHA,
    BETA,
    GATE,
    TRANSIENT,
    Unanswered,
    broken,
    failed,
    mapped,
    parent,
    plan_of,
    ref,
    refused,
    repeated,
    resolution,
    spec_of,
    step,
    undo,
    undoable,
    waiting,
    writing,
)
from process_orchestrator.conformance import violations
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget, PlanFacts
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import (
    Assurance,
    Blame,
    Decision,
    Effect,
    Idempotency,
    OnFailure,
    Phase,
    Stage,
    Status,
)
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.outstanding import outstanding
from process_orchestrator.core.process import apply

if TYPE_CHECKING:
    from collections.abc import Iterator

TWICE = replace(TRANSIENT, max_attempts=2)
ONCE = replace(TRANSIENT, max_attempts=1, on=())
ENDED = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}

PLANS = {
    "two reads": (plan_of(step("a", retry=TWICE), step("b", needs=("a",), on_failure={"else": OnFailure.SKIP})), 10),
    "a keyed write with a fallback": (plan_of(writing("a", retry=TWICE, agents=(ALPHA, BETA))), 10),
    "an unsafe write": (plan_of(writing("a", idempotency=Idempotency.UNSAFE, retry=replace(TWICE, on=()))), 10),
    "a default": (plan_of(step("a", has_default=True, on_failure={"else": OnFailure.SKIP}, retry=TWICE)), 10),
    "a human after a write": (
        plan_of(writing("a", retry=replace(TWICE, on=())), step("b", needs=("a",), human=True)),
        9,
    ),
    "a map": (plan_of(mapped("a", parallel=1, retry=replace(TWICE, on=()), item_failure=OnFailure.SKIP)), 10),
    "a wait": (plan_of(waiting("a"), step("b", needs=("a",), retry=replace(TWICE, on=()))), 10),
    "rounds": (plan_of(repeated("a", most=2, retry=TWICE, has_default=True)), 11),
    "rounds of writes that fail fast": (
        plan_of(repeated("a", most=1, every_ms=0, effect=Effect.WRITE, on_failure={"else": OnFailure.FAIL})),
        10,
    ),
    "a child, and one that may be left out": (
        plan_of(parent("a"), parent("b", on_failure={"else": OnFailure.SKIP})),
        8,
    ),
    "children that want the same money": (plan_of(parent("a", usd_micros=4), parent("b", usd_micros=4)), 8),
    "two that fail fast": (
        plan_of(
            writing("a", retry=replace(TWICE, on=()), on_failure={"else": OnFailure.FAIL}),
            writing("b", retry=replace(TWICE, on=()), on_failure={"else": OnFailure.FAIL}),
        ),
        9,
    ),
    "two that cost more than there is": (
        plan_of(writing("a", retry=replace(TWICE, on=())), step("b", retry=replace(TWICE, on=()))),
        9,
    ),
    "two that are undone": (
        plan_of(
            undoable("a", retry=ONCE, undo=undo(retry=ONCE)),
            undoable(
                "b",
                needs=("a",),
                retry=ONCE,
                undo=undo(retry=ONCE, idempotency=Idempotency.UNSAFE),
                on_failure={"else": OnFailure.COMPENSATE},
            ),
            on_failure=OnFailure.COMPENSATE,
            on_cancel="compensate",
        ),
        11,
    ),
    "a question with a deadline": (
        plan_of(
            step("a", retry=replace(TWICE, on=())),
            step("b", needs=("a",), human=True, on_failure={"else": OnFailure.SKIP}),
            deadline_ms=60_000,
            on_deadline="role:chief",
        ),
        10,
    ),
    "a map that is undone": (
        plan_of(
            mapped(
                "a",
                parallel=1,
                effect=Effect.WRITE,
                idempotency=Idempotency.NATURAL,
                retry=ONCE,
                undo=undo(retry=ONCE),
                on_failure={"else": OnFailure.COMPENSATE},
            ),
            on_abort="compensate",
        ),
        11,
    ),
}
WIDE = {
    "two reads": 1,
    "rounds": 1,
    "a child, and one that may be left out": 1,
    "children that want the same money": 1,
    "two that cost more than there is": 2,
    "two that are undone": 2,
    "a question with a deadline": 1,
}
"""Plans with the most roads: so many of their last steps are left to the slow tests."""
BUDGETS = {
    "children that want the same money": Budget(usd_micros=4),
    "two that cost more than there is": Budget(usd_micros=5),
}
"""Plans that have less than they cost; every call may cost 3."""


class Place(NamedTuple):
    """Where a road has led: the state, what is due, and the events so far."""

    state: Process
    due: Unanswered
    events: tuple[e.Event, ...]


def answers_to(command: c.Command) -> Iterator[e.Event]:
    """All that may come back for a command."""
    match command:
        case c.PrepareCall(default_only=True, unit=unit, call=call):
            yield e.StepSkipped(at=0, unit=unit, reason="default", output=ref("default"))
            yield refused(call, "condition_error", blame=Blame.PLANNER)
        case c.PrepareCall(unit=unit, call=call, round=int(number), last_output=last) if number > 1:
            assert last is not None
            yield e.StepSkipped(at=0, unit=unit, reason="until")
            yield e.CallPrepared(at=0, call=call, agent=ALPHA, input=ref("in"), digest="digest")
            yield refused(call, "condition_error", blame=Blame.PLANNER)
        case c.PrepareCall(unit=unit, call=call, tried=tried, only_agent=only, undoes=undoes):
            agent = next(one for one in (ALPHA, BETA) if one.name not in tried and only in (None, one.name))
            for gate in (None, GATE):
                yield e.CallPrepared(
                    at=0,
                    call=call,
                    agent=agent,
                    input=ref("in"),
                    digest=f"{unit}-digest",
                    gate=gate,
                    reserve_usd_micros=3,
                )
            yield refused(call, "missing_binding", blame=Blame.PLANNER)
            if undoes is None:
                yield e.StepSkipped(at=0, unit=unit, reason="condition")
        case c.OpenMap(step=name):
            yield e.MapOpened(at=0, step=name, count=2, digest="m")
            yield e.MapOpened(at=0, step=name, count=2, digest="m", gate=GATE)
            yield e.MapOpened(at=0, step=name, count=0, digest="m")
            yield e.StageFailed(at=0, stage=Stage.MAP, step=name, code="missing_binding", blame=Blame.PLANNER)
        case c.CollectItems(step=name):
            yield e.ItemsCollected(at=0, step=name, output=ref("list"))
            yield e.StageFailed(at=0, stage=Stage.COLLECT, step=name, code="too_large", blame=Blame.AGENT)
        case c.StartChild(call=call) | c.CancelCall(call=call, child=str()):
            yield e.ChildFinished(at=0, call=call, status=Status.COMPLETED, output=ref(call), usd_micros=1)
            yield e.ChildFinished(at=0, call=call, status=Status.FAILED, code="busy", left=("post",))
            yield e.ChildFinished(at=0, call=call, status=Status.CANCELLED)
        case c.InvokeAgent(call=call) | c.CancelCall(call=call):
            yield e.CallSucceeded(at=0, call=call, output=ref(call), ms=1)
            yield failed(call)
            yield broken(call)
            yield e.CallLost(at=0, call=call)
        case c.StartTimer(timer=timer):
            yield e.TimerFired(at=0, timer=timer)
        case c.OpenEscalation(escalation=escalation):
            yield e.EscalationOpened(at=0, escalation=escalation, package=ref("package"))
        case _:
            yield e.OutputBuilt(at=0, output=ref("output"))
            yield e.StageFailed(at=0, stage=Stage.OUTPUT, code="output_mismatch", blame=Blame.AGENT)


def decisions_on(state: Process) -> Iterator[e.Event]:
    for question in state.escalations.values():
        if question.open and question.package is not None:
            for decision in question.decisions:
                fields: dict[str, Any] = {"assurance": Assurance.A3, "agent": "beta", "usd_micros": 3}
                yield replace(resolution(decision, **fields), escalation=question.id)
                if decision is Decision.RETRY:
                    yield replace(resolution(decision, fresh_key=True, **fields), escalation=question.id)


def onward(place: Place) -> Iterator[e.Event]:
    """Every event that may happen next; a package is there before anything else happens, being one turn."""
    packages = [order for order in place.due.due.values() if isinstance(order, c.OpenEscalation)]
    for command in packages or place.due.due.values():
        yield from answers_to(command)
    if not packages and not place.state.finished:
        yield from decisions_on(place.state)
        if not place.state.cancelling:
            yield e.CancelRequested(at=0, by="local", reason="", request_id="c")


def went(place: Place | None, event: e.Event) -> Place:
    transition = apply(place.state if place is not None else None, event)
    due = Unanswered(place.due if place is not None else None)
    due.answered(event, transition.state)
    due.ordered(transition.commands)
    return Place(transition.state, due, (*(place.events if place is not None else ()), event))


def sight(state: Process) -> bytes:
    """What tells two states apart: all but their number."""
    return msgspec.json.encode(replace(state, seq=0))


def check(place: Place) -> None:
    """What must hold at every place."""
    state = place.state
    assert sorted(map(repr, outstanding(state))) == sorted(map(repr, place.due.due.values()))
    assert (state.status in ENDED) is state.finished
    asked = [question for question in state.escalations.values() if question.open]
    if state.finished:
        assert (place.due.due, asked, list(state.live_calls), state.live_timers) == ({}, [], [], ())
        live = {Phase.WAITING, Phase.PREPARING, Phase.CALLING, Phase.BACKOFF, Phase.ASKING, Phase.ESCALATED}
        live |= {Phase.UNDOING}
        assert live.isdisjoint({unit.phase for unit in state.units.values()})
    else:
        assert place.due.due or asked, "a place that leads nowhere"
    if state.status is Status.COMPLETED:
        assert {unit.phase for unit in state.units.values()} <= {Phase.DONE, Phase.SKIPPED}
        assert state.output == ref("output")


@pytest.mark.parametrize("name", list(PLANS))
def test_every_road_through_a_small_plan_keeps_the_invariants(name: str) -> None:
    plan, depth = PLANS[name]
    walk(name, plan, depth - WIDE.get(name, 0))


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDE)
def test_every_longer_road_keeps_the_invariants_too(name: str) -> None:
    walk(name, *PLANS[name])


def walk(name: str, plan: PlanFacts, depth: int) -> None:
    """Go every road of so many events, and look at every place it leads to."""
    limits, budget = Limits(calls=4, open_escalations=1), BUDGETS.get(name, Budget())
    start = went(None, e.ProcessStarted(at=0, spec=spec_of(plan, limits=limits, budget=budget)))
    reached, seen, ends = [start], {sight(start.state)}, set[Status]()
    for _ in range(depth):
        further: list[Place] = []
        for place in reached:
            for event in onward(place):
                there = went(place, event)
                look = sight(there.state)
                if look not in seen:
                    seen.add(look)
                    check(there)
                    further.append(there)
                    ends.add(there.state.status)
                    if there.state.finished:
                        assert violations(there.events, projection=there.state) == ()
        reached = further
    assert ends >= ENDED
