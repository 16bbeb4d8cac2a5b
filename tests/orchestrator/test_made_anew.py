"""What people are told of a plan that was made anew, and of one that no model could make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.journeys import Journey, ref
from llm.scripted import ScriptedModel
from orchestrator.home import AGENTS, CONTRACTS, PROCESSES, READ, Fleet, failing, open_desk, process_type
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.events import StageFailed
from process_orchestrator.core.facts.values import Blame, Stage, Status, Tier
from process_orchestrator.llm.port import Prompt
from process_orchestrator.views.formats import timestamp
from process_orchestrator.views.models import SubmitRequest
from process_orchestrator.views.process_view import ProcessBodies, process_view

pytestmark = pytest.mark.anyio

FILING = process_type(
    "filing",
    contracts=["doc.read@^1", "ledger.post@^1"],
    output={
        "type": "object",
        "additionalProperties": False,
        "required": ["sum"],
        "properties": {"sum": {"type": "number"}},
    },
    limits={"replans": 2},
    on_failure="fail",
)
REGISTRY = Registry.of(CONTRACTS, (*PROCESSES, FILING), AGENTS)
BOOKED = {"id": "ledger_post", "in": {"iban": "$.input.text"}}


def books_then_only_reads(prompt: Prompt) -> Any:
    """Where booking has failed, the total is told as it was read."""
    if "has failed for good" in prompt.messages[-1].content:
        return {"steps": [], "output": {"sum": "$.steps.doc_read.output.total"}}
    return {"steps": ["doc_read", BOOKED], "output": {"sum": "$.steps.ledger_post.output.total"}}


async def test_the_report_says_that_another_plan_was_made_and_what_the_one_before_has_cost(tmp_path: Path) -> None:
    fleet = Fleet(doing={"ledger": failing("closed")})
    model = ScriptedModel(books_then_only_reads, tiers=(Tier.STRONG,))
    async with open_desk(tmp_path, fleet=fleet, registry=REGISTRY, model=model) as desk:
        view = await desk.orchestrator.submit(SubmitRequest(process_type="filing", input={"text": "x"}))
        await desk.host.until(view.process_id, Status.COMPLETED, Status.FAILED, Status.WAITING_HUMAN)
        report = await desk.orchestrator.report(view.process_id)
    assert "# filing: completed" in report
    assert "closed, blame agent. it does not work Then: a model was asked for another plan of what was left." in report
    assert "| ledger_post |  | ledger | replaced by another plan (closed) | 1 | 0.001 |" in report


@pytest.mark.parametrize(
    ("error", "because", "do"),
    [
        (ModelError("not_json", "no JSON"), "what the planning model said cannot be used", "doctor --models"),
        (ModelError("not_configured", "no key"), "is not set up so that it can be asked", "doctor --models"),
        (ModelError("refused", "I will not"), "will not answer this", "other words"),
    ],
)
async def test_why_blames_the_model_that_was_to_make_a_plan_and_no_agent(
    tmp_path: Path, error: ModelError, because: str, do: str
) -> None:
    def fails(_prompt: Prompt) -> Any:
        raise error

    async with open_desk(tmp_path, registry=REGISTRY, model=ScriptedModel(fails, tiers=(Tier.STRONG,))) as desk:
        view = await desk.orchestrator.submit(SubmitRequest(process_type="filing", input={"text": "x"}))
        await desk.host.until(view.process_id, Status.WAITING_HUMAN)
        why = await desk.orchestrator.why(view.process_id)
    assert why.fault is not None
    assert because in why.fault.because
    assert do in why.fault.do


async def test_a_plan_that_comes_again_is_told_with_the_limit_that_bounds_it(tmp_path: Path) -> None:
    """There is no limit of the name of the rule."""
    said = {"steps": ["doc_read", "ledger_post"], "output": {"sum": "$.steps.ledger_post.output.total"}}
    model = ScriptedModel(lambda _prompt: said, tiers=(Tier.STRONG,))
    async with open_desk(tmp_path, registry=REGISTRY, model=model) as desk:
        view = await desk.orchestrator.submit(SubmitRequest(process_type="filing", input={"text": "x"}))
        await desk.host.until(view.process_id, Status.WAITING_HUMAN)
        why = await desk.orchestrator.why(view.process_id)
    assert why.fault is not None
    assert "raise limits.replans of filing" in why.fault.do
    assert f"orchestrator state {view.process_id} --include report" in why.fault.do


async def test_a_task_whose_input_a_model_has_read_is_set_against_an_estimate_with_that_in_it(tmp_path: Path) -> None:
    """Its type was named by the caller, so nothing but the number of questions tells that one was asked."""
    amounts = process_type(
        "amounts",
        input={
            "type": "object",
            "required": ["amount"],
            "additionalProperties": False,
            "properties": {"amount": {"type": "number"}},
        },
        plan={
            "steps": [{**READ, "in": {"text": "x"}}, {"id": "again", "contract": "doc.read", "in": {"text": "y"}}],
            "output": {"total": "$.steps.again.output.total"},
        },
    )
    registry = Registry.of(CONTRACTS, (*PROCESSES, amounts), AGENTS)
    model = ScriptedModel(lambda _prompt: {"amount": 250}, tiers=(Tier.LIGHT,), price=(20_000_000, 20_000_000))
    async with open_desk(tmp_path, registry=registry, model=model) as desk:
        view = await desk.orchestrator.submit(SubmitRequest(process_type="amounts", task="The amount is 250."))
        await desk.host.until(view.process_id, Status.COMPLETED)
        report = await desk.orchestrator.report(view.process_id)
    assert "as estimated" in report


def test_a_process_that_waits_for_a_model_says_until_when() -> None:
    journey = Journey(None, task=ref("task"), models={"plan": 0})
    journey.tell(StageFailed(at=0, stage=Stage.PLAN, code="rate_limited", blame=Blame.TRANSPORT, retry_after_ms=60_000))
    view = process_view(journey.state, ProcessBodies())
    assert (view.why, view.wait_until) == ("rate_limit", timestamp(journey.state.now + 60_000))
