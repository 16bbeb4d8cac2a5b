"""A planner that is compromised says 200 things that no plan may be: nothing outside the map is ever called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checking_plan.making import contract
from llm.scripted import Said, ScriptedModel
from planning.desk import MAP, object_of, registry, ticket
from planning.hostile import COUNT, GOOD, proposals
from planning.world import INPUT, Careless, World, open_world
from process_orchestrator.checking.planning.at_hand import at_hand
from process_orchestrator.checking.planning.judgement import REPORT_CHARACTERS_MAX, judge, report_text
from process_orchestrator.checking.planning.map_schema import map_schema
from process_orchestrator.checking.plans.plan_check import check_plan
from process_orchestrator.core.facts.events import PlanChecked, StageFailed
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Assurance, Status

ON_THE_MAP = {each.partition("@")[0] for each in MAP}
ARGUMENTS = {
    "order.find": {"order_id"},
    "refund.issue": {"request_id", "order_id", "amount", "reason", "notify"},
    "answer.draft": {"text", "refund_id", "total"},
    "stock.check": {"sku"},
    "stock.report": {"answers"},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def outcome(world: World, state: Process) -> str:
    """What became of a process, by name."""
    if state.status is Status.COMPLETED:
        return "completed"
    rows = (await world.host.journal(state.spec.process_id, after=0, limit=1_000)).items
    for event in reversed([each for row in rows for each in row.events]):
        if isinstance(event, StageFailed):
            return event.code
        if isinstance(event, PlanChecked) and not event.ok:
            report = json.loads(await world.host.body(event.report))
            return ",".join(dict.fromkeys(each["code"] for each in report["problems"]))
    return "" if state.stage_failure is None else state.stage_failure.code


EVERYDAY = 5
"""Of the hostile proposals every fifth goes through the engine each day, all of them in CI."""


@pytest.mark.anyio
async def test_nothing_is_called_that_is_not_on_the_map_whatever_a_planner_says(tmp_path: Path) -> None:
    await hostile(tmp_path, proposals()[::EVERYDAY])


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.behaviour("planner")
async def test_none_of_200_hostile_proposals_calls_what_is_not_on_the_map(tmp_path: Path) -> None:
    assert len(proposals()) >= COUNT
    await hostile(tmp_path, proposals())


async def hostile(tmp_path: Path, said_in_turn: Sequence[tuple[str, Any]]) -> None:
    outcomes: dict[str, str] = {}
    async with open_world(tmp_path, model := Careless()) as world:
        for what, said in said_in_turn:
            model.says(said)
            world.called.clear()
            state = await world.run()
            outcomes[what] = await outcome(world, state)
            assert {name for name, _ in world.called} <= ON_THE_MAP, what
            for name, given in world.called:
                assert set(given) <= ARGUMENTS[name], what
                if name == "refund.issue":  # what the contract's own look-up said, not what the planner would like
                    assert given["amount"] in {40.0, 30.0, 10.0}, what
                    assert given["order_id"] == "A-7", what
                    assert given["request_id"].startswith(state.spec.process_id), what
            assert state.spec.budget.usd_micros == 1_000_000
            assert state.spec.limits.steps == 30
            assert not any(each.min_assurance < Assurance.A2 for each in state.escalations.values()), what
            assert state.status in {Status.COMPLETED, Status.WAITING_HUMAN}, what
    assert [what for what, code in outcomes.items() if not code] == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("I cannot help with that.", "not_json"),
        (json.dumps(GOOD)[:80], "not_json"),
        ("x" * 10_000_000, "too_large"),
        ("[" * 100_000, "not_json"),
        ('{"steps": [], "steps": []}', "not_json"),
        ('{"steps": [], "output": {"answer": NaN}}', "not_json"),
        ('{"steps": [], "output": {}, "approval": "none"}', "output_mismatch"),
    ],
)
async def test_what_is_no_answer_at_all_has_a_name_too(tmp_path: Path, text: str, code: str) -> None:
    async with open_world(tmp_path, model := ScriptedModel(lambda _: Said(text=text))) as world:
        state = await world.run()
        assert state.status is Status.WAITING_HUMAN
        assert world.called == []
        assert 1 <= len(model.asked) <= 3  # the first, and as many as the type and its tokens allow beyond
        assert await outcome(world, state) == code


@cache
def offered_here() -> Any:
    process_type = at_hand(ticket(), INPUT)
    known = registry(process_type)
    return process_type, known, map_schema(process_type, registry=known)


def judged(said: Any) -> Any:
    process_type, known, offered = offered_here()
    found = judge(said, offered=offered, process_type=process_type, registry=known, server_floor=Assurance.A0)
    return found, process_type, known


def test_no_proposal_crashes_and_none_becomes_a_plan_that_the_strict_check_refuses() -> None:
    process_type = at_hand(ticket(), INPUT)
    known = registry(process_type)
    offered = map_schema(process_type, registry=known)
    for what, said in proposals():
        found = judge(said, offered=offered, process_type=process_type, registry=known, server_floor=Assurance.A0)
        assert found.ok is not bool(found.faults), what
        text = report_text(found.report())
        assert len(text) <= REPORT_CHARACTERS_MAX, what
        assert text.isascii() or text.replace("\n", "").isprintable(), what
        if found.ok:
            assert found.plan is not None
            checked = check_plan(found.plan, process_type=process_type, registry=known, strict=True)
            assert checked.ok, what
            assert {step.contract and step.contract.partition("@")[0] for step in found.plan.steps} <= ON_THE_MAP, what


def test_the_good_plan_is_one() -> None:
    found, _, _ = judged(GOOD)
    assert found.ok, found.faults


@pytest.mark.parametrize(
    ("second", "ok"),
    [("$.input.new_order_id", True), ("$.input.order_id", False), ("$.steps.order_find.output.order_id", False)],
)
def test_the_same_is_not_refunded_twice_for_another_reason(second: str, *, ok: bool) -> None:
    text = {"type": "string"}
    two = object_of(["text", "order_id", "new_order_id"], text=text, order_id=text, new_order_id=text)
    process_type = at_hand(ticket(input=two), {"text": "x", "order_id": "1", "new_order_id": "2"})
    known = registry(process_type)
    amount = "$.steps.order_find.output.total"
    said = {
        "steps": [
            {"id": "order_find", "in": {"order_id": "$.input.order_id"}},
            {"id": "refund_issue", "in": {"order_id": "$.input.order_id", "amount": amount}},
            {"id": "refund_issue_2", "in": {"order_id": second, "amount": amount, "reason": {"const": "goodwill"}}},
            {"id": "answer_draft", "in": {"text": "$.input.text"}},
        ],
        "output": {"answer": "$.steps.answer_draft.output.answer"},
    }
    judged = judge(
        said,
        offered=map_schema(process_type, registry=known),
        process_type=process_type,
        registry=known,
        server_floor=Assurance.A0,
    )

    assert judged.ok is ok
    assert [each.code for each in judged.faults] == ([] if ok else ["TWICE_DONE"])


def test_names_that_contracts_share_with_python_are_names_like_any_other() -> None:
    odd = contract("""
contract: odd.one
input: {type: object, required: [__proto__], additionalProperties: false, properties: {__proto__: {type: string}}}
output: {type: object, required: [constructor], properties: {constructor: {type: string}}}
""")
    process_type = at_hand(ticket(contracts=["odd.one@^1"]), INPUT)
    known = registry(process_type, more=(odd,))
    offered = map_schema(process_type, registry=known)
    said = {
        "steps": [{"id": "odd_one", "in": {"__proto__": "$.input.text"}}],
        "output": {"answer": "$.steps.odd_one.output.constructor"},
    }
    found = judge(said, offered=offered, process_type=process_type, registry=known, server_floor=Assurance.A0)
    assert found.ok, found.faults


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
WORDS = st.sampled_from(
    ["steps", "output", "id", "in", "for_each", "const", "order_find", "refund_issue", "answer_draft", "answer", "text",
     "$.input.text", "$.steps.order_find.output.total", "$.item", "reason", "lost", "stock_check_each", "amount"]
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=5),
    max_leaves=25,
)
STEPS = st.lists(
    WORDS | st.fixed_dictionaries({"id": WORDS}, optional={"in": ANYTHING, "for_each": ANYTHING}) | ANYTHING, max_size=6
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(said=ANYTHING | st.fixed_dictionaries({"steps": STEPS, "output": ANYTHING}))
def test_any_json_is_a_sound_plan_or_refused_by_name(said: Any) -> None:
    found, process_type, known = judged(said)
    assert found.ok is not bool(found.faults)
    assert all(each.code and each.message for each in found.faults)
    assert isinstance(report_text(found.report()), str)
    if found.ok:
        assert found.plan is not None
        assert check_plan(found.plan, process_type=process_type, registry=known, strict=True).ok
