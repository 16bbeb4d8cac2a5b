"""Every command of the performer with in-process agents: what goes in, and the one event that comes out."""

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from performing.desk import Desk, honest, open_desk
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.commands import BuildOutput, ClassifyTask, CollectItems, OpenMap, StartTimer
from process_orchestrator.core.facts.events import (
    CallFailed,
    CallPrepared,
    CallSucceeded,
    ItemsCollected,
    MapOpened,
    OutputBuilt,
    StageFailed,
    StepSkipped,
)
from process_orchestrator.core.facts.specs import Gate
from process_orchestrator.core.facts.values import (
    ApprovalMode,
    Assurance,
    Blame,
    Effect,
    FailureClass,
    Idempotency,
    Outcome,
    Stage,
)
from process_orchestrator.core.ports import InProcessCall

PLAIN = {"total": 12.5, "vendor": "ACME"}


def answers(value: Any) -> Any:
    async def agent(_arguments: dict[str, Any], _call: InProcessCall) -> Any:
        return value

    return agent


def fails(code: str, **details: Any) -> Any:
    async def agent(_arguments: dict[str, Any], _call: InProcessCall) -> Any:
        raise AgentCallError(code, f"it is {code}", **details)

    return agent


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# PrepareCall


async def test_a_prepared_call_holds_arguments_key_digest_price_and_the_reason_for_its_agent(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.prepare(desk.context(PLAIN))
        assert isinstance(event, CallPrepared)
        assert desk.read(event.input) == PLAIN | {"request_id": "p_x/post/g1"}
        assert (event.agent.name, event.why_agent) == ("ledger", "the only agent that serves this contract")
        assert (event.reserve_usd_micros, event.gate) == (2000, None)


async def test_the_digest_names_contract_and_arguments_but_not_the_key(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        first = await desk.prepare(desk.context(PLAIN))
        other_key = await desk.prepare(desk.context(PLAIN), key="p_x/post/g2")
        other_total = await desk.prepare(desk.context(PLAIN | {"total": 13}))
    assert first.digest == other_key.digest != other_total.digest
    assert first.input != other_key.input


async def test_what_breaks_the_input_contract_is_the_callers_fault_where_it_comes_from_the_input_alone(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.prepare(desk.context({"total": "a lot", "vendor": "ACME"}))
        assert isinstance(event, CallFailed)
        assert (event.code, event.blame, event.pointer, event.rule) == (
            "input_mismatch",
            Blame.CALLER,
            "/total",
            "type",
        )
        assert event.outcome is Outcome.NOT_DONE
        assert "a lot" not in str(event.message)
        assert desk.read(event.detail)["errors"][0]["pointer"] == "/total"


async def test_what_breaks_the_input_contract_is_the_planners_fault_where_it_comes_from_a_step(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        context = desk.context(PLAIN | {"go": True}, post={"id": "L-1", "total": "much"})
        event = await desk.prepare(context, "again")
    assert (event.code, event.blame, event.pointer) == ("input_mismatch", Blame.PLANNER, "/total")


async def test_a_missing_required_binding_names_its_argument(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.prepare(desk.context({"total": 1.5}))
    assert (event.code, event.blame, event.outcome) == ("missing_binding", Blame.CALLER, Outcome.NOT_DONE)


async def test_a_requirement_that_does_not_hold_stops_the_call(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.prepare(desk.context(PLAIN | {"total": -1.0}))
    assert (event.code, event.rule, event.blame) == ("requires_failed", "positive", Blame.CALLER)


async def test_an_approval_is_asked_where_the_contract_says_so(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.prepare(desk.context(PLAIN | {"total": 2000.0}))
    assert event.gate == Gate(role="approver", min_assurance=Assurance.A1)


async def test_every_step_mode_asks_for_every_effect(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.prepare(desk.context(PLAIN), approval=ApprovalMode.EVERY_STEP)
    assert event.gate is not None


async def test_a_condition_that_does_not_hold_skips_the_step_with_its_default(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.prepare(desk.context(PLAIN | {"go": False}, post={"id": "L", "total": 1.0}), "again")
        assert isinstance(event, StepSkipped)
        assert (event.reason, desk.read(event.output)) == ("condition", {"id": "none", "total": 0.5})


async def test_the_default_alone_is_evaluated_when_it_is_asked_for(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.prepare(desk.context(PLAIN), "again", default_only=True)
        bare = await desk.prepare(desk.context(PLAIN), "post", default_only=True)
    assert (event.reason, event.output is None) == ("default", False)
    assert (bare.reason, bare.output) == ("default", None)


async def test_a_humans_whole_input_replaces_the_bindings_and_its_key_field(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        plain = await desk.prepare(desk.context(PLAIN))
        override = desk.store.put(PLAIN | {"request_id": "forged"})
        event = await desk.prepare(desk.context({"total": 1, "vendor": "other"}), override=override)
        assert desk.read(event.input) == PLAIN | {"request_id": "p_x/post/g1"}
    assert event.digest == plain.digest


async def test_agents_are_asked_in_order_and_those_that_are_gone_are_passed_over(tmp_path: Path) -> None:
    async with open_desk(tmp_path, spare=honest) as desk:
        context = desk.context(PLAIN)
        first = await desk.prepare(context)
        second = await desk.prepare(context, tried=("ledger",))
        bound = await desk.prepare(context, only_agent="spare")
        none = await desk.prepare(context, tried=("ledger", "spare"))
        gone = await desk.prepare(context, only_agent="nobody")
    assert (first.agent.name, first.why_agent) == ("ledger", "first of 2 by preference")
    assert (second.agent.name, second.why_agent) == ("spare", "next of 2 by preference: ledger was tried")
    assert bound.agent.name == "spare"
    assert (none.code, none.outcome, gone.code) == ("unreachable", Outcome.NOT_DONE, "unreachable")


# InvokeAgent


async def test_an_answer_that_keeps_the_contract_is_stored_with_its_price(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await desk.call()
        assert isinstance(event, CallSucceeded)
        assert desk.read(event.output) == {"id": "L-1", "total": 12.5}
        assert event.usd_micros == 2000


async def test_an_unknown_price_stays_unknown(tmp_path: Path) -> None:
    async with open_desk(tmp_path, prices={"cost": {"model_tokens": {"in": 1, "out": 1}}}) as desk:
        assert (await desk.call()).usd_micros is None


@pytest.mark.parametrize(
    ("answer", "code", "pointer", "rule"),
    [
        ({"id": "L-1", "total": "12.5"}, "output_mismatch", "/total", "type"),
        ({"id": "L-1"}, "output_mismatch", "/total", "required"),
        ({"id": "L-1", "total": 12.5, "note": "hi"}, "output_mismatch", "/note", "additionalProperties"),
        ("All is well.", "output_mismatch", "", "type"),
        ({"id": "L-1", "total": 13.5}, "ensures_failed", None, "same_total"),
        ({"id": "L-1", "total": float("nan")}, "not_finite", "/total", None),
        ({"id": nested(100), "total": 1}, "too_deep", None, None),
        ({"id": "x" * 200_000, "total": 1}, "too_large", None, None),
        ({"id": {1, 2}, "total": 1}, "not_json", None, None),
    ],
)
async def test_a_broken_answer_ends_as_its_code_blamed_on_the_agent_with_an_unknown_outcome(
    tmp_path: Path, answer: Any, code: str, pointer: str | None, rule: str | None
) -> None:
    async with open_desk(tmp_path, answers(answer)) as desk:
        event = await desk.call()
    assert isinstance(event, CallFailed)
    assert (event.code, event.pointer, event.rule) == (code, pointer, rule)
    assert (event.class_, event.blame, event.outcome) == (FailureClass.CONTRACT, Blame.AGENT, Outcome.UNKNOWN)
    assert event.usd_micros == 2000
    assert event.jitter == 7
    assert len(event.message or "") <= 300


async def test_the_evidence_of_a_broken_answer_holds_the_answer_and_every_problem(tmp_path: Path) -> None:
    async with open_desk(tmp_path, answers({"id": 1, "total": "x"})) as desk:
        event = await desk.call()
        assert isinstance(event, CallFailed)
        detail = desk.read(event.detail)
    assert detail["answer"] == {"id": 1, "total": "x"}
    assert {error["pointer"] for error in detail["errors"]} == {"/id", "/total"}


async def test_a_declared_error_has_its_declared_class_and_its_wait(tmp_path: Path) -> None:
    async with open_desk(tmp_path, fails("busy", retry_after_ms=5000)) as desk:
        event = await desk.call()
    assert isinstance(event, CallFailed)
    assert (event.code, event.class_, event.outcome) == ("busy", FailureClass.TRANSIENT, Outcome.NOT_DONE)
    assert event.retry_after_ms == 5000


async def test_a_wait_that_the_contract_does_not_declare_is_not_honoured(tmp_path: Path) -> None:
    async with open_desk(tmp_path, fails("closed", retry_after_ms=5000)) as desk:
        event = await desk.call()
    assert isinstance(event, CallFailed)
    assert (event.class_, event.retry_after_ms) == (FailureClass.DENIED, None)


async def test_an_error_that_the_contract_does_not_declare_is_undeclared(tmp_path: Path) -> None:
    async with open_desk(tmp_path, fails("out_of_paper")) as desk:
        event = await desk.call()
    assert isinstance(event, CallFailed)
    assert (event.code, event.blame, event.outcome) == ("undeclared_error", Blame.AGENT, Outcome.UNKNOWN)
    assert "out_of_paper" in str(event.message)


async def test_an_exception_in_an_agent_is_an_undeclared_error(tmp_path: Path) -> None:
    async def clumsy(arguments: dict[str, Any], _call: InProcessCall) -> Any:
        return arguments["nothing"]

    async with open_desk(tmp_path, clumsy) as desk:
        event = await desk.call()
    assert isinstance(event, CallFailed)
    assert (event.code, "KeyError" in str(event.message)) == ("undeclared_error", True)


@pytest.mark.behaviour("P5-deadline")
async def test_silence_ends_at_the_deadline(tmp_path: Path) -> None:
    async def silent(_arguments: dict[str, Any], _call: InProcessCall) -> Any:
        await anyio.sleep_forever()

    async with open_desk(tmp_path, silent) as desk:
        prepared = await desk.prepare(desk.context(PLAIN))
        event = await desk.invoke(prepared, timeout_ms=50)
    assert isinstance(event, CallFailed)
    assert (event.code, event.class_, event.blame) == ("timeout", FailureClass.TIMEOUT, Blame.TRANSPORT)
    assert (event.outcome, 50 <= event.ms < 1000) == (Outcome.UNKNOWN, True)


async def test_an_agent_that_changes_its_arguments_changes_nobody_elses(tmp_path: Path) -> None:
    async def vandal(arguments: dict[str, Any], _call: InProcessCall) -> Any:
        total = arguments.pop("total")
        arguments.clear()
        return {"id": "L-1", "total": total}

    async with open_desk(tmp_path, vandal) as desk:
        prepared = await desk.prepare(desk.context(PLAIN))
        for _ in range(2):
            assert isinstance(await desk.invoke(prepared), CallSucceeded)


@pytest.mark.behaviour("P2-unsafe")
async def test_a_second_delivery_of_what_must_not_be_repeated_is_not_sent(tmp_path: Path) -> None:
    calls: list[str] = []

    async def counted(arguments: dict[str, Any], call: InProcessCall) -> Any:
        calls.append(call.key)
        return await honest(arguments, call)

    async with open_desk(tmp_path, counted) as desk:
        prepared = await desk.prepare(desk.context(PLAIN))
        event = await desk.invoke(prepared, delivery=2, idempotency=Idempotency.UNSAFE)
        assert isinstance(event, CallFailed)
        assert (event.code, event.outcome, calls) == ("lost", Outcome.UNKNOWN, [])
        assert isinstance(await desk.invoke(prepared, delivery=2), CallSucceeded)
        await desk.invoke(prepared, delivery=2, effect=Effect.READ, idempotency=Idempotency.UNSAFE)
    assert calls == ["p_x/post/g1"] * 2


async def test_an_agent_that_dies_of_a_cancellation_of_its_own_is_lost_and_leaves_no_call_open(tmp_path: Path) -> None:
    async def broken_off(_arguments: dict[str, Any], _call: InProcessCall) -> Any:
        raise asyncio.CancelledError  # as out of a future that somebody else cancelled

    async with open_desk(tmp_path, broken_off) as desk:
        with anyio.fail_after(5):
            event = await desk.call()
    assert isinstance(event, CallFailed)
    assert (event.code, event.outcome) == ("lost", Outcome.UNKNOWN)


async def test_a_call_that_is_cancelled_by_its_caller_stays_cancelled(tmp_path: Path) -> None:
    async def slow(_arguments: dict[str, Any], _call: InProcessCall) -> Any:
        scope.cancel()
        await anyio.sleep_forever()

    events: list[object] = []
    async with open_desk(tmp_path, slow) as desk:
        with anyio.CancelScope() as scope:
            events.append(await desk.call())
    assert scope.cancelled_caught
    assert events == []


@pytest.mark.behaviour("P2-once")
@pytest.mark.parametrize("code", ["busy", "unreachable"])
async def test_a_refusal_at_a_second_delivery_does_not_say_that_the_first_did_nothing(
    tmp_path: Path, code: str
) -> None:
    async with open_desk(tmp_path, fails(code)) as desk:
        prepared = await desk.prepare(desk.context(PLAIN))
        events = [await desk.invoke(prepared, delivery=delivery) for delivery in (1, 2)]
    assert [event.outcome for event in events if isinstance(event, CallFailed)] == [Outcome.NOT_DONE, Outcome.UNKNOWN]


async def test_text_of_an_agent_cannot_steer_a_terminal(tmp_path: Path) -> None:
    async def loud(_arguments: dict[str, Any], _call: InProcessCall) -> Any:
        raise AgentCallError("busy", "\x1b[31mred\x07 \u202egnp.exe\n half a pair: \ud800" + "x" * 1000)

    async with open_desk(tmp_path, loud) as desk:
        event = await desk.call()
    assert isinstance(event, CallFailed)
    assert event.message is not None
    assert event.message.isprintable()
    assert len(event.message) <= 300


# Maps, lists, results


async def opened(desk: Desk, lines: Any, mode: ApprovalMode = ApprovalMode.POLICY) -> Any:
    context = desk.context(PLAIN | {"lines": lines}, post={"id": "L", "total": 1.0})
    return (await desk.perform(OpenMap(process="p_x", step="lines", approval=mode, context=context))).event


async def test_a_map_is_opened_with_its_count_and_one_approval_for_all(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await opened(desk, [2.0, 5000.0, 0.5])
        assert isinstance(event, MapOpened)
        assert (event.count, desk.read(event.items)) == (3, [2.0, 5000.0, 0.5])
        assert event.gate == Gate(role="approver", min_assurance=Assurance.A1)
        assert (await opened(desk, [2.0, 3.0])).gate is None
        assert (await opened(desk, [2.0, 3.0])).digest != (await opened(desk, [3.0, 2.0])).digest


async def test_items_are_prepared_one_by_one_each_with_its_own_condition(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        context = desk.context(PLAIN | {"lines": [2.0, 0.5]}, post={"id": "L", "total": 1.0})
        first = await desk.prepare(context, "lines", unit="lines[0]", item=0, key="k0")
        second = await desk.prepare(context, "lines", unit="lines[1]", item=1, key="k1")
        assert desk.read(first.input) == {"total": 2.0, "vendor": "ACME", "request_id": "k0"}
    assert (second.unit, second.reason) == ("lines[1]", "condition")


async def test_a_list_that_is_none_fails_the_map(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = await opened(desk, "no list")
    assert isinstance(event, StageFailed)
    assert (event.stage, event.step, event.blame) == (Stage.MAP, "lines", Blame.CALLER)


async def test_outputs_are_collected_in_order_with_null_for_a_skipped_item(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        outputs = (desk.store.put({"b": 1, "a": "é"}), None, desk.store.put([3]))
        event = (await desk.perform(CollectItems(process="p_x", step="lines", outputs=outputs))).event
        assert isinstance(event, ItemsCollected)
        assert desk.read(event.output) == [{"b": 1, "a": "é"}, None, [3]]
        assert event.output == desk.store.put([{"b": 1, "a": "é"}, None, [3]])


async def test_the_output_is_built_and_checked_against_the_type(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        good = desk.context(PLAIN, post={"id": "L-1", "total": 1.0})
        event = (await desk.perform(BuildOutput(process="p_x", context=good))).event
        assert isinstance(event, OutputBuilt)
        assert desk.read(event.output) == {"id": "L-1"}
        bad = desk.context(PLAIN, post={"id": 7, "total": 1.0})
        event = (await desk.perform(BuildOutput(process="p_x", context=bad))).event
    assert isinstance(event, StageFailed)
    assert (event.stage, event.code, event.blame) == (Stage.OUTPUT, "output_mismatch", Blame.PLANNER)
    assert event.pointer == "/id"


async def test_what_needs_a_model_fails_its_stage_with_a_clear_code(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        event = (await desk.perform(ClassifyTask(process="p_x", task=None, input=None))).event
        assert isinstance(event, StageFailed)
        assert (event.stage, event.code) == (Stage.INTAKE, "no_model")
        with pytest.raises(TypeError):
            await desk.perform(StartTimer(process="p_x", timer="t", fire_at=0))
