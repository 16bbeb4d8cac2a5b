"""Ten plans that go round and round, each stopped within three repeats; fifty that only look so, none stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec.structs import replace

from core.journeys import (
    ALPHA,
    BETA,
    GAMMA,
    GATE,
    PROCESS,
    TRANSIENT,
    Journey,
    failed,
    mapped,
    plan_of,
    ref,
    refused,
    step,
    writing,
)
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Repeat
from process_orchestrator.core.facts.values import (
    ApprovalMode,
    Assurance,
    Decision,
    EscalationKind,
    Idempotency,
    OnFailure,
    Status,
    StepKind,
)
from process_orchestrator.core.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from process_orchestrator.core.facts.specs import PlanFacts, StepFacts

AGENTS: Final = (ALPHA, BETA, GAMMA)
EVENTS_MAX: Final = 3000
ONCE: Final = replace(TRANSIENT, max_attempts=1)
PATIENT: Final = replace(TRANSIENT, max_attempts=12)


class World:
    """Answers every order. What it answers is told by functions of the number of the call, counted from 1."""

    def __init__(
        self,
        plan: PlanFacts | None,
        *,
        digest: Callable[[c.PrepareCall], str] = lambda order: order.unit,
        answer: Callable[[c.InvokeAgent, int], e.Event | None] = lambda _order, _times: None,
        decide: Callable[[EscalationKind, int], Decision] = lambda _kind, _times: Decision.RETRY,
        items: int = 3,
        rounds: int = 1,
        plans: Callable[[int], e.PlanChecked] | None = None,
        **fields: Any,
    ) -> None:
        self.digest, self.answer, self.decision, self.items, self.plans = digest, answer, decide, items, plans
        self.rounds = rounds
        self.begun: dict[str, int] = {}  # digest -> calls under it that were no second try
        self.proposals = self.asked = self.made = 0
        self.digests: dict[str, str] = {}
        self.journey = Journey(plan, **fields)

    def run(self) -> World:
        """Go on until the process ends or somebody asks whether it loops."""
        for _ in range(EVENTS_MAX):
            due = list(self.journey.unanswered.due.values())
            if self.journey.state.finished or self.stopped:
                return self
            if due:
                self.journey.tell(self.answered(due[0]))
            else:
                self.human()
        raise AssertionError("it goes on for ever")

    @property
    def stopped(self) -> bool:
        return any(one.open and one.kind is EscalationKind.LOOP for one in self.journey.state.escalations.values())

    def human(self) -> None:
        question = next(one for one in self.journey.state.escalations.values() if one.open)
        self.asked += 1
        decision = self.decision(question.kind, self.asked)
        number = int(question.id.rpartition("e")[2])
        self.journey.decide(decision, number, agent=AGENTS[self.asked % 2].name, usd_micros=1_000_000)

    def answered(self, order: c.Command) -> e.Event:
        match order:
            case c.PrepareCall(unit=unit, round=int(number)) if number > self.rounds:
                return e.StepSkipped(at=0, unit=unit, reason="until")
            case c.PrepareCall(call=call, tried=tried, only_agent=only):
                agent = next(one for one in AGENTS if one.name not in tried and only in (None, one.name))
                self.digests[call] = self.digest(order)
                gate = GATE if order.step == "gated" else None
                digest = self.digests[call]
                return e.CallPrepared(at=0, call=call, agent=agent, input=ref("in"), digest=digest, gate=gate)
            case c.OpenMap(step=name):
                return e.MapOpened(at=0, step=name, count=self.items, digest="map")
            case c.CollectItems(step=name):
                return e.ItemsCollected(at=0, step=name, output=ref("list"))
            case c.InvokeAgent(call=call):
                self.made += 1
                self.begun[self.digests[call]] = self.begun.get(self.digests[call], 0) + 1
                succeeded = e.CallSucceeded(at=0, call=call, output=ref(call), usd_micros=1, ms=1)
                return self.answer(order, self.made) or succeeded
            case c.StartTimer(timer=timer):
                self.journey.passes(10)
                return e.TimerFired(at=0, timer=timer)
            case c.OpenEscalation(escalation=escalation):
                return e.EscalationOpened(at=0, escalation=escalation, package=ref("package"))
            case c.ProposePlan(round=number):
                self.proposals += 1
                return e.PlanProposed(at=0, plan=ref(f"plan-{self.proposals}"), round=number)
            case c.CheckPlan():
                assert self.plans is not None
                return self.plans(self.proposals)
            case _:
                return e.OutputBuilt(at=0, output=ref("output"))


def chain(*steps: StepFacts) -> PlanFacts:
    """The steps one after the other."""
    return plan_of(
        *(replace(one, needs=(before.id,)) for one, before in zip(steps[1:], steps, strict=False)), *steps[:1]
    )


def steps(count: int, **fields: Any) -> list[StepFacts]:
    return [step(f"s{number}", **fields) for number in range(count)]


def same(_order: c.PrepareCall) -> str:
    return "same"


def in_turn(order: c.PrepareCall) -> str:
    return "ab"[int(order.step[1:]) % 2]


def always(code: str, **fields: Any) -> Callable[[c.InvokeAgent, int], e.Event | None]:
    return lambda order, _times: failed(order.call, code, **fields)


def fails_for_good(order: c.InvokeAgent, _times: int) -> e.Event:
    return refused(order.call)


def bad_plan(sha256: str) -> e.PlanChecked:
    return e.PlanChecked(at=0, ok=False, plan_sha256=sha256, report=ref("report"))


def good_plan(sha256: str) -> e.PlanChecked:
    return e.PlanChecked(at=0, ok=True, plan=replace(plan_of(step("a")), sha256=sha256), report=ref("report"))


LOOPING: Final[dict[str, Callable[[], World]]] = {
    "a chain of equal calls": lambda: World(chain(*steps(10)), digest=same),
    "equal calls beside each other": lambda: World(plan_of(*steps(10)), digest=same),
    "two calls that take turns": lambda: World(chain(*steps(20)), digest=in_turn),
    "equal writes, skipped one after the other": lambda: World(
        chain(*[writing(f"s{n}", retry=ONCE, on_failure={"else": OnFailure.SKIP}, bound_by=()) for n in range(9)]),
        digest=same,
        answer=fails_for_good,
    ),
    "a human who retries for ever": lambda: World(plan_of(step("a", retry=ONCE)), answer=fails_for_good),
    "a human who sends it from agent to agent": lambda: World(
        plan_of(step("a", retry=ONCE, agents=AGENTS)),
        answer=fails_for_good,
        decide=lambda _kind, _times: Decision.USE_AGENT,
    ),
    "a human who retries what may have been done": lambda: World(
        plan_of(writing("a", idempotency=Idempotency.UNSAFE, retry=ONCE)),
        answer=lambda order, _times: e.CallLost(at=0, call=order.call),
    ),
    "a planner that proposes the same bad plan": lambda: World(None, plans=lambda _number: bad_plan("p")),
    "a planner that never finds a plan": lambda: World(None, plans=lambda number: bad_plan(f"p{number}")),
    "a planner whose rejected plan comes again": lambda: World(
        None,
        plans=lambda _number: good_plan("p"),
        approval=ApprovalMode.PLAN,
        decide=lambda _kind, _times: Decision.REJECT,
    ),
    "a process inside itself": lambda: World(plan_of(step("a")), lineage=(PROCESS,)),
    "a process too deep inside others": lambda: World(plan_of(step("a")), lineage=("p1", "p2", "p3", "p4")),
}


@pytest.mark.parametrize("shape", list(LOOPING))
def test_a_plan_that_loops_is_stopped_within_three_repeats(shape: str) -> None:
    world = LOOPING[shape]().run()
    assert world.stopped
    assert world.proposals <= 3
    assert all(times <= 3 for times in world.begun.values())
    assert world.journey.state.status is Status.WAITING_HUMAN or world.journey.state.live_calls
    question = next(one for one in world.journey.state.escalations.values() if one.kind is EscalationKind.LOOP)
    assert question.decisions == (Decision.RETRY, Decision.ABORT)
    assert world.journey.broken_rules() == ()


def busy(times_busy: int, **fields: Any) -> Callable[[c.InvokeAgent, int], e.Event | None]:
    return lambda order, times: failed(order.call, **fields) if times <= times_busy else None


def flaky(every: int) -> Callable[[c.InvokeAgent, int], e.Event | None]:
    return lambda order, times: failed(order.call) if times % every else None


def retried_by_a_human(tries: int) -> World:
    return World(
        plan_of(step("a", retry=ONCE)), answer=lambda order, times: refused(order.call) if times < tries else None
    )


LEGITIMATE: Final[dict[str, Callable[[], World]]] = {
    **{
        f"polling by retry, ready after {times}": lambda times=times: World(
            plan_of(step("a", retry=PATIENT)), answer=busy(times)
        )
        for times in range(1, 12)
    },
    **{
        f"asked to wait {times} times": lambda times=times: World(
            plan_of(step("a", retry=PATIENT)), answer=busy(times, retry_after_ms=50)
        )
        for times in (2, 5, 9)
    },
    **{
        f"an open circuit {times} times": lambda times=times: World(
            plan_of(step("a")), answer=busy(times, code="circuit_open", retry_after_ms=5)
        )
        for times in (1, 4, 8, 16)
    },
    **{f"a map of {count} equal items": lambda count=count: World(plan_of(mapped("a")), digest=same, items=count)
       for count in (0, 1, 4, 5, 7, 20, 90)},
    **{
        f"{count} equal items that fail now and then": lambda count=count: World(
            plan_of(mapped("a", retry=TRANSIENT)), digest=same, items=count, answer=flaky(2)
        )
        for count in (2, 6, 18, 40)
    },
    **{
        f"{count} maps of the same items, one after the other": lambda count=count: World(
            chain(*(mapped(f"m{number}") for number in range(count))), digest=same, items=4
        )
        for count in (2, 5, 9)
    },
    **{f"{count} equal calls in one plan": lambda count=count: World(chain(*steps(count)), digest=same)
       for count in (1, 2, 3)},
    **{f"{count} steps of one contract, each with its own arguments": lambda count=count: World(chain(*steps(count)))
       for count in (5, 10, 30)},
    **{f"{count} agents, each tried to the end": lambda count=count: World(
        plan_of(step("a", agents=AGENTS[:count], retry=TRANSIENT)), answer=busy(3 * (count - 1)))
       for count in (2, 3)},
    **{f"a human who retries {tries - 1} times": lambda tries=tries: retried_by_a_human(tries) for tries in (2, 3)},
    **{
        f"a write that is lost {times} times under its key": lambda times=times: World(
            plan_of(writing("a", retry=PATIENT)),
            answer=lambda order, made: e.CallLost(at=0, call=order.call) if made <= times else None,
        )
        for times in (1, 4, 7)
    },
    "a human who answers the same question ten times": lambda: World(
        chain(*steps(10, human=True)), digest=same, decide=lambda _kind, _times: Decision.ANSWER
    ),
    "ten equal waits": lambda: World(chain(*steps(10, kind=StepKind.WAIT, wait_ms=5)), digest=same),
    "a repeat of fifty rounds": lambda: World(
        plan_of(step("a", repeat=Repeat(max=60, every_ms=5))), digest=same, rounds=50
    ),
    "an approval that is given anew for each try": lambda: World(
        plan_of(writing("gated", retry=TRANSIENT)), answer=busy(2), decide=lambda _kind, _times: Decision.APPROVE
    ),
    "a plan that is mended twice": lambda: World(
        None, plans=lambda number: bad_plan(f"p{number}") if number < 3 else good_plan("p3")
    ),
    "a plan of another planner after a rejection": lambda: World(
        None,
        plans=lambda number: good_plan(f"p{number}"),
        approval=ApprovalMode.PLAN,
        decide=lambda _kind, times: Decision.REJECT if times < 3 else Decision.APPROVE,
    ),
    "a process as deep as may be": lambda: World(plan_of(step("a")), lineage=("p1", "p2", "p3")),
}  # fmt: skip


def test_there_are_ten_that_loop_and_fifty_that_do_not() -> None:
    assert len(LOOPING) >= 10
    assert len(LEGITIMATE) >= 50


@pytest.mark.parametrize("shape", list(LEGITIMATE))
def test_a_plan_that_makes_progress_is_not_stopped(shape: str) -> None:
    world = LEGITIMATE[shape]().run()
    assert world.journey.state.status is Status.COMPLETED
    assert world.journey.broken_rules() == ()


# --- what stops, and what a human may grant ----------------------------------------------------------------------


def test_a_call_that_loops_is_stopped_before_anybody_approves_it_and_says_why() -> None:
    world = World(chain(*steps(9)), digest=same).run()
    unit = next(unit for unit in world.journey.state.units.values() if unit.escalation is not None)
    assert unit.failure is not None
    assert (unit.id, unit.failure.code, unit.failure.blame, unit.failure.rule) == ("s3", "loop", "policy", "same_call")
    assert (world.made, unit.failure.call) == (3, "s3.1")
    [ask] = [order for order in world.journey.orders if isinstance(order, c.OpenEscalation)]
    assert (ask.code, ask.rule) == ("loop", "same_call")


def test_a_human_grants_one_more_and_only_one() -> None:
    world = World(chain(*steps(9)), digest=same).run()
    world.journey.decide(Decision.RETRY)
    assert world.run().made == 4
    assert (world.stopped, len(world.journey.state.escalations)) == (True, 2)
    assert world.journey.decide(Decision.ABORT, 2).state.status is Status.FAILED


def test_a_granted_call_is_tried_as_often_as_any() -> None:
    world = World(plan_of(step("a", retry=TRANSIENT)), answer=lambda order, _times: failed(order.call)).run()
    assert world.made == 9
    world.journey.decide(Decision.RETRY, world.journey.state.escalations_opened)
    assert (world.run().made, world.stopped) == (12, True)


def test_how_often_is_a_limit_of_the_process() -> None:
    assert World(chain(*steps(9)), digest=same, limits=Limits(same_call=1)).run().made == 1
    assert World(chain(*steps(9)), digest=same, limits=Limits(same_call=9)).run().made == 9


def test_a_process_that_is_too_deep_begins_nothing_until_a_human_lets_it() -> None:
    journey = Journey(plan_of(step("a"), type_level=Assurance.A1), lineage=("p1",) * 4)
    question = journey.question()
    assert (question.kind, question.unit, question.min_assurance) == (EscalationKind.LOOP, None, Assurance.A1)
    [ask] = journey.last
    assert isinstance(ask, c.OpenEscalation)
    assert (ask.code, ask.rule) == ("loop", "depth")
    journey.decide(Decision.RETRY)
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["a.1"]
    aborted = Journey(plan_of(step("a")), lineage=(PROCESS,)).decide(Decision.ABORT)
    assert (aborted.state.status, len(aborted.state.units)) == (Status.FAILED, 0)


def test_a_plan_that_comes_again_is_no_progress_though_rounds_are_left() -> None:
    world = World(None, plans=lambda _number: bad_plan("p"), limits=Limits(replans=9)).run()
    assert world.proposals == 2
    failure = world.journey.state.stage_failure
    assert failure is not None
    assert (failure.rule, failure.detail) == ("no_progress", ref("report"))
    world.journey.decide(Decision.RETRY)
    assert world.run().proposals == 3


def test_a_check_that_names_no_plan_is_remembered_as_none() -> None:
    unnamed = e.PlanChecked(at=0, ok=False, report=ref("report"))
    world = World(None, plans=lambda _number: unnamed, limits=Limits(replans=2)).run()
    assert (world.proposals, world.journey.state.plans_seen) == (3, ())
