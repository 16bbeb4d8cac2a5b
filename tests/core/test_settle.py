"""The settle table, line by line, written out here a second time."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from core.journeys import (
    ALPHA,
    BETA,
    GAMMA,
    PROCESS,
    TRANSIENT,
    Journey,
    broken,
    failed,
    mapped,
    plan_of,
    ref,
    refused,
    step,
    undoable,
    writing,
)
from process_orchestrator.core import settle
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import DeclaredError, RetryFacts, StepFacts
from process_orchestrator.core.facts.state import Failure, Unit
from process_orchestrator.core.facts.values import (
    AgentPin,
    Blame,
    Decision,
    Effect,
    EscalationKind,
    FailureClass,
    Idempotency,
    OnFailure,
    Outcome,
    Phase,
    Status,
    Why,
)
from process_orchestrator.core.limits import Limits

NOT_DONE, UNKNOWN = Outcome.NOT_DONE, Outcome.UNKNOWN


def verdict(facts: StepFacts, **given: Any) -> str:
    """What the table says of a failure of a unit that calls alpha: fields of trial, failure and unit, by name."""
    trial: dict[str, Any] = {"now": 1000}
    failure: dict[str, Any] = {
        "code": "busy",
        "class_": FailureClass.TRANSIENT,
        "blame": Blame.AGENT,
        "outcome": NOT_DONE,
    }
    unit: dict[str, Any] = {"phase": Phase.CALLING, "agent": ALPHA, "attempts": 1}
    unit["outcome_unknown"] = given.get("outcome") is UNKNOWN
    for name, value in given.items():
        owner = trial if name in ("now", "retry_after_ms") else unit if name in Unit.__struct_fields__ else failure
        owner[name] = value
    settlement = settle.decide(Unit(id="a", step="a", **unit), facts, Failure(**failure), settle.Trial(**trial))
    return settlement.value


def unsafe(**fields: Any) -> StepFacts:
    return step("a", effect=Effect.WRITE, idempotency=Idempotency.UNSAFE, **fields)


# --- line 1 ------------------------------------------------------------------------------------------------------


@pytest.mark.behaviour("P2-unsafe")
@pytest.mark.parametrize(
    ("effect", "idempotency", "asked"),
    [
        (Effect.NONE, Idempotency.UNSAFE, False),
        (Effect.READ, Idempotency.UNSAFE, False),
        (Effect.WRITE, Idempotency.UNSAFE, True),
        (Effect.IRREVERSIBLE, Idempotency.UNSAFE, True),
        (Effect.WRITE, Idempotency.NATURAL, False),
        (Effect.WRITE, Idempotency.KEYED, False),
        (Effect.IRREVERSIBLE, Idempotency.KEYED, False),
    ],
)
def test_an_unknown_outcome_is_asked_about_where_a_repeat_may_double_it(
    effect: Effect, idempotency: Idempotency, *, asked: bool
) -> None:
    facts = step("a", effect=effect, idempotency=idempotency)
    said = verdict(facts, code="timeout", class_=FailureClass.TIMEOUT, blame=Blame.TRANSPORT, outcome=UNKNOWN)
    assert said == ("outcome_unknown" if asked else "retry")


def test_what_surely_did_nothing_is_tried_again_even_where_a_repeat_may_double_it() -> None:
    assert verdict(unsafe()) == "retry"


# --- line 2 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "code", "class_", "retried"),
    [
        (("transient",), "busy", FailureClass.TRANSIENT, True),
        (("busy",), "busy", FailureClass.CONFLICT, True),
        (("timeout",), "busy", FailureClass.TRANSIENT, False),
        ((), "busy", FailureClass.TRANSIENT, False),
        (("lost",), "lost", FailureClass.LOST, True),
    ],
)
def test_a_failure_is_retried_by_its_code_or_class(
    on: tuple[str, ...], code: str, class_: FailureClass, *, retried: bool
) -> None:
    facts = step("a", retry=replace(TRANSIENT, on=on))
    assert (verdict(facts, code=code, class_=class_) == "retry") is retried


@pytest.mark.parametrize(("attempts", "expected"), [(1, "retry"), (2, "retry"), (3, "escalate"), (4, "escalate")])
def test_an_agent_is_tried_as_often_as_the_policy_says(attempts: int, expected: str) -> None:
    assert verdict(step("a"), attempts=attempts) == expected


@pytest.mark.parametrize(
    ("total_ms", "waited_ms", "now", "retry_after_ms", "expected"),
    [
        (10_000, 0, 1000, None, "retry"),  # 1000 + 0 + 4000 <= 1000 + 10000
        (4_000, 0, 1000, None, "retry"),  # to the millisecond
        (3_999, 0, 1000, None, "escalate"),
        (10_000, 0, 8000, None, "escalate"),  # 8000 + 4000 > 11000
        (10_000, 1000, 8000, None, "retry"),  # a human took one of these seconds
        (10_000, 0, 1000, 7000, "escalate"),  # the agent asks for more patience than there is
        (10_000, 0, 1000, 6000, "retry"),
    ],
)
def test_a_retry_must_end_inside_the_contracts_total(
    total_ms: int, waited_ms: int, now: int, retry_after_ms: int | None, expected: str
) -> None:
    facts = step("a", attempt_ms=4000, total_ms=total_ms)
    said = verdict(facts, now=now, first_invoked_at=1000, waited_ms=waited_ms, retry_after_ms=retry_after_ms)
    assert said == expected


def test_the_total_counts_from_now_where_no_agent_was_called_yet() -> None:
    assert verdict(step("a", attempt_ms=4000, total_ms=4000), now=99_000, first_invoked_at=None) == "retry"


@pytest.mark.parametrize(
    ("attempts", "jitter", "retry_after_ms", "expected"),
    [
        (1, 999, None, 999),
        (1, 500, None, 500),
        (1, 0, None, 0),
        (2, 500, None, 1000),
        (3, 500, None, 2000),
        (4, 500, None, 2500),  # max_ms 5000
        (9, 999, None, 4995),
        (0, 500, None, 500),
        (5000, 500, None, 2500),  # far beyond what a float holds
        (1, 500, 20_000, 20_000),
        (3, 500, 100, 2000),
    ],
)
def test_backoff_grows_by_its_factor_under_full_jitter_and_never_beats_retry_after(
    attempts: int, jitter: int, retry_after_ms: int | None, expected: int
) -> None:
    trial = settle.Trial(now=0, jitter=jitter, retry_after_ms=retry_after_ms)
    assert settle.delay_ms(TRANSIENT, attempts=attempts, trial=trial) == expected


def test_backoff_without_jitter_is_exact() -> None:
    retry = RetryFacts(initial_ms=1000, factor=3.0, max_ms=60_000, jitter=False)
    delays = [settle.delay_ms(retry, attempts=number, trial=settle.Trial(now=0, jitter=1)) for number in (1, 2, 3, 9)]
    assert delays == [1000, 3000, 9000, 60_000]


def test_a_backoff_is_a_timer_and_its_firing_the_next_call_under_a_new_key() -> None:
    journey = Journey(plan_of(step("a"))).fails("a.1", failed("a.1", jitter=500))
    assert journey.last == (c.StartTimer(process=PROCESS, timer="a.1/retry", fire_at=1500),)
    assert (journey.state.status, journey.state.why, journey.unit("a").why) == (Status.RUNNING, Why.RETRY, Why.RETRY)
    journey.passes(500)
    journey.timer("a.1/retry")
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.call, prepare.key, prepare.tried, prepare.only_agent) == ("a.2", f"{PROCESS}/a/g2", (), None)
    assert journey.state.live_timers == ()
    journey.done("a.2")
    assert (journey.unit("a").failure, len(journey.unit("a").tried)) == (None, 1)


def test_an_agent_that_asks_for_patience_is_given_it() -> None:
    journey = Journey(plan_of(step("a"))).fails("a.1", failed("a.1", retry_after_ms=9000, jitter=1))
    assert journey.last == (c.StartTimer(process=PROCESS, timer="a.1/retry", fire_at=10_000),)
    assert journey.state.why == Why.RATE_LIMIT


def test_while_one_unit_works_and_another_backs_off_the_agent_is_waited_for() -> None:
    journey = Journey(plan_of(step("a"), step("b"))).fails("a.1", failed("a.1"))
    assert journey.state.why == Why.ENGINE
    journey.prepared("b.1")
    assert journey.state.why == Why.AGENT


def test_only_the_newest_tries_are_kept_as_evidence() -> None:
    journey = Journey(plan_of(step("a", retry=replace(TRANSIENT, max_attempts=5))), limits=Limits(tried_kept=2))
    for number in (1, 2, 3):
        journey.fails(f"a.{number}", failed(f"a.{number}")).timer(f"a.{number}/retry")
    kept = [(attempt.call, attempt.agent, attempt.code, attempt.ms) for attempt in journey.unit("a").tried]
    assert kept == [("a.2", "alpha", "busy", 7), ("a.3", "alpha", "busy", 7)]


# --- line 3 ------------------------------------------------------------------------------------------------------

TWO = (ALPHA, BETA)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "fall_back"),
        ({"blame": Blame.TRANSPORT}, "fall_back"),
        ({"blame": Blame.CALLER}, "escalate"),
        ({"blame": Blame.PLANNER}, "escalate"),
        ({"blame": Blame.POLICY}, "escalate"),
        ({"code": "undeclared_error", "class_": FailureClass.PERMANENT}, "fall_back"),
        ({"code": "no_such_vendor", "class_": FailureClass.PERMANENT}, "escalate"),  # declared: every agent says so
        ({"agents_tried": ("beta",)}, "escalate"),
        ({"only_agent": "alpha"}, "escalate"),
        ({"phase": Phase.PREPARING}, "escalate"),  # no agent was called
        ({"agent": None}, "escalate"),
        ({"agent": AgentPin(name="beta", sha256="b"), "agents_tried": ("alpha",)}, "escalate"),
    ],
)
def test_another_agent_is_asked_where_the_fault_is_the_agents(given: dict[str, Any], expected: str) -> None:
    errors = {
        "busy": DeclaredError(class_=FailureClass.TRANSIENT),
        "no_such_vendor": DeclaredError(class_=FailureClass.PERMANENT),
    }
    facts = step("a", agents=TWO, errors=errors)
    assert verdict(facts, attempts=3, **given) == expected


@pytest.mark.parametrize(
    ("effect", "idempotency", "expected"),
    [
        (Effect.READ, Idempotency.UNSAFE, "fall_back"),
        (Effect.NONE, Idempotency.UNSAFE, "fall_back"),
        (Effect.WRITE, Idempotency.NATURAL, "fall_back"),
        (Effect.WRITE, Idempotency.KEYED, "escalate"),  # another agent does not know the key
    ],
)
def test_no_other_agent_is_asked_to_do_what_may_be_done_already(
    effect: Effect, idempotency: Idempotency, expected: str
) -> None:
    facts = step("a", agents=TWO, effect=effect, idempotency=idempotency)
    lost: dict[str, Any] = {"code": "lost", "class_": FailureClass.LOST, "blame": Blame.TRANSPORT, "outcome": UNKNOWN}
    assert verdict(facts, attempts=3, **lost) == expected
    # an earlier call may have done it, though this one surely did not
    assert verdict(facts, attempts=3, outcome_unknown=True) == expected


def test_the_next_agent_starts_with_all_its_tries() -> None:
    journey = Journey(plan_of(step("a", agents=(ALPHA, BETA, GAMMA), retry=replace(TRANSIENT, max_attempts=1))))
    journey.fails("a.1", failed("a.1"))
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.call, prepare.tried, journey.unit("a").attempts) == ("a.2", ("alpha",), 1)
    journey.fails("a.2", failed("a.2"), agent=BETA)
    assert journey.ordered(c.PrepareCall)[0].tried == ("alpha", "beta")
    journey.fails("a.3", failed("a.3"), agent=GAMMA)
    assert journey.phase("a") == "escalated"
    assert [attempt.agent for attempt in journey.unit("a").tried] == ["alpha", "beta", "gamma"]
    assert journey.broken_rules() == ()


def test_an_agent_chosen_by_the_performer_between_tries_gets_its_own_count() -> None:
    journey = Journey(plan_of(step("a", agents=TWO, retry=replace(TRANSIENT, max_attempts=2))))
    journey.fails("a.1", failed("a.1")).timer("a.1/retry").prepared("a.2", agent=BETA)
    assert (journey.unit("a").attempts, journey.unit("a").agents_tried) == (1, ("alpha",))
    journey.tell(failed("a.2")).timer("a.2/retry")
    # going back to an agent that was left gives it no new tries
    journey.prepared("a.3", agent=ALPHA)
    assert (journey.unit("a").attempts, journey.unit("a").agents_tried) == (2, ("alpha",))


def test_a_key_that_may_have_been_used_stays_with_its_agent() -> None:
    journey = Journey(plan_of(writing("a", agents=TWO)))
    assert journey.ordered(c.PrepareCall)[0].only_agent is None
    journey.fails("a.1", failed("a.1", "timeout", class_=FailureClass.TIMEOUT, outcome=UNKNOWN)).timer("a.1/retry")
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.only_agent, prepare.key) == ("alpha", f"{PROCESS}/a/g1")


# --- no agent could be asked -------------------------------------------------------------------------------------


def test_an_open_circuit_is_waited_out_without_counting_a_try() -> None:
    journey = Journey(plan_of(step("a", retry=replace(TRANSIENT, max_attempts=1, on=()))))
    for number in (1, 2, 3):
        circuit = failed(f"a.{number}", "circuit_open", blame=Blame.TRANSPORT, retry_after_ms=30_000)
        journey.tell(circuit)
        assert (journey.phase("a"), journey.state.why, journey.unit("a").attempts) == ("backoff", Why.CIRCUIT, 0)
        journey.passes(30_000)
        journey.timer(f"a.{number}/retry")
    assert [attempt.agent for attempt in journey.unit("a").tried] == ["", "", ""]


def test_a_place_at_an_agent_is_waited_for_without_counting_a_try_and_at_no_other_agent() -> None:
    journey = Journey(plan_of(step("a", agents=TWO, retry=replace(TRANSIENT, max_attempts=1))))
    for number in (1, 2, 3):
        journey.fails(f"a.{number}", failed(f"a.{number}", "rate_limited", blame=Blame.POLICY, retry_after_ms=5000))
        assert (journey.phase("a"), journey.state.why, journey.unit("a").attempts) == ("backoff", Why.RATE_LIMIT, 0)
        journey.passes(5000)
        journey.timer(f"a.{number}/retry")
    assert [attempt.agent for attempt in journey.unit("a").tried] == ["alpha", "alpha", "alpha"]


def test_a_place_that_does_not_come_free_in_the_contracts_total_is_settled_as_the_plan_says() -> None:
    facts = step("a", total_ms=40_000, on_failure={"else": OnFailure.FAIL})
    assert verdict(facts, code="rate_limited", blame=Blame.POLICY, retry_after_ms=60_000) == "fail"


def test_a_circuit_that_opens_under_a_call_sends_it_to_another_agent() -> None:
    facts = step("a", agents=TWO)
    assert verdict(facts, code="circuit_open", blame=Blame.TRANSPORT) == "fall_back"
    assert verdict(facts, code="circuit_open", blame=Blame.TRANSPORT, agents_tried=("beta",)) == "retry_uncounted"


def test_a_circuit_that_stays_open_too_long_is_settled_as_the_plan_says() -> None:
    facts = step("a", total_ms=40_000, on_failure={"else": OnFailure.FAIL})
    assert verdict(facts, code="circuit_open", phase=Phase.PREPARING, retry_after_ms=60_000) == "fail"


# --- lines 4 and 5 -----------------------------------------------------------------------------------------------


def test_what_needs_a_human_goes_to_one_whatever_the_plan_says() -> None:
    facts = step("a", on_failure={"else": OnFailure.FAIL})
    assert verdict(facts, code="limit_exceeded", class_=FailureClass.NEEDS_HUMAN) == "escalate"


def test_a_drifted_agent_stops_for_a_human_whatever_the_plan_says() -> None:
    facts = step("a", on_failure={"else": OnFailure.SKIP})
    drifted: dict[str, Any] = {"code": "drifted", "class_": FailureClass.PERMANENT, "blame": Blame.CONTRACT}
    assert verdict(facts, **drifted) == "drift"
    journey = Journey(plan_of(step("a"))).tell(refused("a.1", "drifted", blame=Blame.CONTRACT))
    assert journey.question().kind == EscalationKind.DRIFT
    journey.decide(Decision.RETRY)
    assert journey.phase("a") == "preparing"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"else": "escalate"}, "escalate"),
        ({"else": "fail"}, "fail"),
        ({"else": "skip"}, "skip"),
        ({"else": "compensate"}, "compensate"),
        ({"else": "fail", "permanent": "skip"}, "skip"),
        ({"else": "fail", "permanent": "skip", "gone": "escalate"}, "escalate"),
        ({"else": "fail", "gone": "skip"}, "skip"),
        ({"else": "fail", "busy": "skip"}, "fail"),
        ({}, "escalate"),
    ],
)
def test_the_plan_is_looked_up_by_code_then_class_then_else(words: dict[str, str], expected: str) -> None:
    facts = step("a", on_failure={key: OnFailure(word) for key, word in words.items()})
    assert verdict(facts, code="gone", class_=FailureClass.PERMANENT) == expected


def test_a_failure_without_a_class_is_looked_up_by_its_code() -> None:
    unit, failure = Unit(id="a", step="a"), Failure(code="gone", blame=Blame.AGENT)
    facts = step("a", on_failure={"else": OnFailure.FAIL, "permanent": OnFailure.SKIP})
    assert settle.on_failure(unit, facts, failure) == OnFailure.FAIL


def test_items_have_their_own_word() -> None:
    facts = mapped("a", item_failure=OnFailure.SKIP, on_failure={"else": OnFailure.FAIL})
    gone: dict[str, Any] = {"code": "gone", "class_": FailureClass.PERMANENT}
    assert verdict(facts, item=3, **gone) == "skip"
    assert verdict(facts, **gone) == "fail"
    assert verdict(replace(facts, item_failure=None), item=3, **gone) == "fail"


def test_a_failure_that_is_skipped_lets_the_next_step_see_its_code() -> None:
    journey = Journey(plan_of(step("a", on_failure={"else": OnFailure.SKIP}), step("b", needs=("a",))))
    journey.fails("a.1", refused("a.1"))
    [prepare] = journey.ordered(c.PrepareCall)
    assert prepare.context.sources == {"a": c.Source(status=Phase.SKIPPED, code="unknown_vendor")}


def test_a_failure_that_is_skipped_with_a_default_has_it_evaluated_first() -> None:
    plan = plan_of(step("a", on_failure={"else": OnFailure.SKIP}, has_default=True), step("b", needs=("a",)))
    journey = Journey(plan).fails("a.1", refused("a.1"))
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.call, prepare.default_only) == ("a.2", True)
    journey.tell(e.StepSkipped(at=0, unit="a", reason="default", output=ref("default")))
    [after] = journey.ordered(c.PrepareCall)
    assert after.context.sources == {"a": c.Source(status=Phase.SKIPPED, output=ref("default"), code="unknown_vendor")}


def test_a_default_that_cannot_be_evaluated_goes_to_a_human_who_cannot_skip_again() -> None:
    plan = plan_of(step("a", on_failure={"else": OnFailure.SKIP}, has_default=True))
    journey = Journey(plan).fails("a.1", refused("a.1"))
    journey.tell(refused("a.2", "condition_error", blame=Blame.PLANNER))
    assert journey.phase("a") == "escalated"
    assert Decision.SKIP not in journey.question().decisions
    journey.decide(Decision.RETRY)
    assert journey.ordered(c.PrepareCall)[0].default_only is False


def test_a_performer_that_knows_no_defaults_gets_no_agent_called_for_a_skipped_step() -> None:
    plan = plan_of(step("a", on_failure={"else": OnFailure.SKIP}, has_default=True))
    journey = Journey(plan).fails("a.1", refused("a.1")).prepared("a.2")
    assert journey.ordered(c.InvokeAgent) == []
    assert (journey.phase("a"), journey.unit("a").output) == ("skipped", None)


def test_a_failed_item_that_is_skipped_leaves_a_hole_and_the_rest_goes_on() -> None:
    journey = Journey(plan_of(mapped("lines", item_failure=OnFailure.SKIP, has_default=True))).opened("lines", 2)
    journey.fails("lines[0].1", refused("lines[0].1")).done("lines[1].1")
    assert journey.last == (c.CollectItems(process=PROCESS, step="lines", outputs=(None, ref("lines[1].1-out"))),)


def test_a_failed_item_fails_its_map_and_the_process() -> None:
    plan = plan_of(mapped("lines", on_failure={"else": OnFailure.FAIL}), step("b", needs=("lines",)))
    journey = Journey(plan).opened("lines", 3).done("lines[0].1").fails("lines[1].1", refused("lines[1].1"))
    assert journey.phases() == {
        "lines": "failed",
        "b": "skipped",
        "lines[0]": "done",
        "lines[1]": "failed",
        "lines[2]": "skipped",
    }
    finish = journey.last[-1]
    assert isinstance(finish, c.Finish)
    assert (finish.status, finish.code, finish.unit) == (Status.FAILED, "unknown_vendor", "lines[1]")


def test_compensate_fails_fast_and_fail_leaves_what_is_done() -> None:
    for word, begun in ((OnFailure.COMPENSATE, ["a!undo"]), (OnFailure.FAIL, [])):
        plan = plan_of(undoable("a"), step("b", needs=("a",), on_failure={"else": word}))
        journey = Journey(plan).done("a.1").fails("b.1", refused("b.1"))
        assert [order.unit for order in journey.ordered(c.PrepareCall)] == begun
        assert journey.state.failing is not None
        assert journey.state.left == (() if begun else ("a",))


def test_a_broken_answer_of_a_write_is_asked_again_only_where_the_policy_says_and_under_its_key() -> None:
    retry = replace(TRANSIENT, on=("contract",))
    journey = Journey(plan_of(writing("a", retry=retry))).fails("a.1", broken("a.1")).timer("a.1/retry")
    assert journey.ordered(c.PrepareCall)[0].key == f"{PROCESS}/a/g1"
    once = Journey(plan_of(writing("a"))).fails("a.1", broken("a.1"))
    assert once.phase("a") == "escalated"
