"""Answers in every order, once and again, late and out of nowhere: the first one to a call counts, their order does not.

Exhaustive: all orders of the answers to four calls that are under way at once, for every mix of outcomes. Before and
after each of them everything stale is told as well: the same answer again, another one, answers to other calls.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations, product
from typing import Any, Final

import pytest
from msgspec.structs import replace

from core.journeys import ALPHA, PROCESS, Journey, failed, plan_of, ref, refused, repeated, resolution, step, writing
from process_orchestrator.conformance import violations
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Decision, OnFailure, Status
from process_orchestrator.core.outstanding import outstanding
from process_orchestrator.core.process import apply

CALLS: Final = ("a.2", "b.1", "c.1", "d.1")
ENDINGS: Final = ("good", "refused", "lost")


def answer(call: str, ending: str, *, told: str = "first") -> e.Event:
    if ending == "good":
        return e.CallSucceeded(at=0, call=call, output=ref(f"{call} {told}"), usd_micros=5, tokens=2, ms=3)
    return refused(call, usd_micros=0) if ending == "refused" else e.CallLost(at=0, call=call, jitter=0)


def four_under_way(on_failure: OnFailure) -> Journey:
    """Four calls at once; the first was lost before and is made again."""
    given: dict[str, Any] = {"on_failure": {"else": on_failure}, "has_default": True}
    names = ("a", "b", "c", "d")
    plan = plan_of(writing("a", **given), *(step(name, **given) for name in names[1:]), step("z", needs=names, **given))
    journey = Journey(plan).prepared("a.1").tell(e.CallLost(at=0, call="a.1", jitter=0))
    journey.passes(5000)
    journey.timer("a.1/retry").prepared("a.2")
    for name in names[1:]:
        journey.prepared(f"{name}.1")
    assert tuple(journey.state.live_calls) == CALLS
    return journey


STALE: Final[tuple[e.Event, ...]] = (
    answer("a.1", "good"),  # of a call that was lost, while its next is under way
    answer("a.1", "refused"),
    answer("a.1", "lost"),
    answer("a.3", "good"),  # of a call that was not made yet
    answer("z.1", "good"),
    answer("nobody.1", "good"),
    e.CallPrepared(at=0, call="a.2", agent=ALPHA, input=ref("other"), digest="other"),
    e.CallPrepared(at=0, call="b.1", agent=ALPHA, input=ref("other"), digest="other"),
    e.TimerFired(at=0, timer="a.1/retry"),
    e.ChildFinished(at=0, call="b.1", status=Status.COMPLETED, output=ref("other")),
    e.OutputBuilt(at=0, output=ref("other")),
    resolution(Decision.APPROVE, 9),
)


def stored_and_not_applied(state: Process, event: e.Event) -> None:
    """An event that nothing waits for leads to nothing, and is counted all the same."""
    after = apply(state, event)
    assert after.commands == ()
    assert after.state == replace(state, seq=state.seq + 1)


class Search:
    """Goes down every order of answers from a state; keeps what it came to, by outcome."""

    def __init__(self, endings: dict[str, str]) -> None:
        self._endings = endings
        self.ends: set[str] = set()
        self.orders = 0
        self.seen = 0

    def down(self, state: Process, events: list[e.Event], left: tuple[str, ...]) -> None:
        self.seen += 1
        for event in STALE:
            stored_and_not_applied(state, event)
        for call, ending in self._endings.items():
            if call not in left:  # it was answered: the same again, and every other answer, comes too late
                stored_and_not_applied(state, answer(call, ending))
                for other in ENDINGS:
                    stored_and_not_applied(state, answer(call, other, told="second"))
        if not left or state.finished:
            self.orders += 1
            self.ends.add(told(state))
            assert violations(events, projection=state) == ()
            return
        for call in left:
            event = answer(call, self._endings[call])
            transition = apply(state, event)
            assert call not in transition.state.live_calls
            assert len(set(map(repr, outstanding(transition.state)))) == len(list(outstanding(transition.state)))
            self.down(transition.state, [*events, event], tuple(each for each in left if each != call))


def told(state: Process) -> str:
    """What is the same whatever the order: not times, not the numbers of questions."""
    units = {
        name: (unit.phase.value, unit.output, unit.attempts, unit.failure.code if unit.failure is not None else None)
        for name, unit in sorted(state.units.items())
    }
    open_questions = sorted((each.kind.value, each.unit or "") for each in state.escalations.values() if each.open)
    return repr((units, open_questions, state.status, state.usd_micros, state.tokens, state.calls))


@pytest.mark.parametrize("on_failure", [OnFailure.ESCALATE, OnFailure.SKIP])
def test_four_answers_in_every_order_come_to_the_same_and_late_ones_to_nothing(on_failure: OnFailure) -> None:
    journey, orders = four_under_way(on_failure), 0
    for first, others in product(ENDINGS, combinations_with_replacement(ENDINGS, 3)):  # b, c and d are the same
        endings: dict[str, str] = dict(zip(CALLS, (first, *others), strict=True))
        search = Search(endings)
        search.down(journey.state, list(journey.events), CALLS)
        assert len(search.ends) == 1, endings
        orders += search.orders
    assert orders == 24 * 3 * 10


@pytest.mark.parametrize("order", list(permutations(CALLS)), ids=" ".join)
def test_after_an_answer_that_ends_the_process_the_others_are_heard_and_not_applied(order: tuple[str, ...]) -> None:
    """Fail-fast: what is under way is told to stop. What answers all the same is kept; the end waits for it."""
    journey = four_under_way(OnFailure.FAIL)
    first, *others = order
    journey.tell(answer(first, "refused"))
    assert {order.call for order in journey.ordered(c.CancelCall)} == set(others)
    for call in others:
        assert not journey.state.finished
        journey.tell(answer(call, "good")).tell(answer(call, "good", told="second"))
    assert (journey.state.status, journey.phase("z")) == (Status.FAILED, "skipped")
    ended = journey.state
    for call in order:
        for ending in ENDINGS:
            stored_and_not_applied(ended, answer(call, ending, told="third"))
    assert journey.broken_rules() == ()


def test_a_late_answer_of_a_round_or_of_a_try_before_is_not_the_answer_of_the_next() -> None:
    journey = Journey(plan_of(repeated("poll"))).fails("poll#1.1", failed("poll#1.1"))
    journey.passes(5000)
    journey.timer(journey.state.live_timers[0])
    stored_and_not_applied(journey.state, answer("poll#1.1", "good"))
    journey.prepared("poll#1.2")
    stored_and_not_applied(journey.state, answer("poll#1.1", "good"))
    journey.succeeded("poll#1.2").prepared("poll#2.1")
    journey.passes(20_000)
    journey.timer("poll#2.1/wait")
    for call in ("poll#1.1", "poll#1.2"):
        for ending in ENDINGS:
            stored_and_not_applied(journey.state, answer(call, ending, told="second"))
    assert tuple(journey.state.live_calls) == ("poll#2.1",)
    assert journey.state.spec.process_id == PROCESS
