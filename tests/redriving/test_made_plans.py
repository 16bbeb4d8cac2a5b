"""A plan that a model made stands in no file: who takes its process up, or decides it anew, goes by what was pinned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm.scripted import ScriptedModel
from orchestrator.home import AGENTS, CONTRACTS, PROCESSES, Desk, Fleet, open_desk, process_type
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Status, Tier
from process_orchestrator.llm.port import Prompt
from process_orchestrator.usecases.redrive_request import RedriveRequest
from process_orchestrator.views.models import ProcessView, SubmitRequest

pytestmark = pytest.mark.anyio

NOTING = process_type(
    "noting",
    contracts=["doc.read@^1"],
    output={
        "type": "object",
        "additionalProperties": False,
        "required": ["title", "sum"],
        "properties": {"title": {"type": "string"}, "sum": {"type": "number"}},
    },
    limits={"replans": 0},
    on_failure="fail",
)
REGISTRY = Registry.of(CONTRACTS, (*PROCESSES, NOTING), AGENTS)


def plans(prompt: Prompt) -> Any:
    """The one plan that there is, in as many words as are asked for."""
    values = {"title": "$.steps.doc_read.output.number", "sum": "$.steps.doc_read.output.total"}
    asked = prompt.schema["properties"]["output"]["properties"]
    return {"steps": ["doc_read"], "output": {name: values[name] for name in asked}}


def planner() -> ScriptedModel:
    return ScriptedModel(plans, tiers=(Tier.STRONG,))


async def ended(desk: Desk) -> ProcessView:
    view = await desk.orchestrator.submit(SubmitRequest(process_type="noting", input={"text": "x"}, wait_s=5))
    await desk.host.until(view.process_id, Status.COMPLETED, Status.FAILED, Status.WAITING_HUMAN)
    return await desk.orchestrator.state(view.process_id)


async def test_a_process_whose_made_plan_failed_is_taken_up_under_that_plan(tmp_path: Path) -> None:
    async def broken(arguments: dict[str, Any], told: Any) -> Any:
        raise AgentCallError("illegible", "cannot be read")

    model, fleet = planner(), Fleet(doing={"reader": broken})
    async with open_desk(tmp_path, fleet=fleet, registry=REGISTRY, model=model) as desk:
        failed = await ended(desk)
        fleet.doing.clear()
        again = await desk.orchestrator.redrive(RedriveRequest(process_id=failed.process_id))
        await desk.host.until(again.process_id, Status.COMPLETED)
        done = await desk.orchestrator.state(again.process_id)

    assert (failed.status, failed.planned_by) == ("failed", "model")
    assert (done.status, done.output) == ("completed", {"title": "LB-1", "sum": 100.0})
    assert len(model.asked) == 1  # nobody planned again


async def test_a_made_plan_is_replayed_as_it_was_proposed_and_checked(tmp_path: Path) -> None:
    model = planner()
    async with open_desk(tmp_path, registry=REGISTRY, model=model) as desk:
        view = await ended(desk)
        replayed = await desk.orchestrator.replay([view.process_id])

    assert (view.status, view.planned_by) == ("completed", "model")
    assert [(each.differences, each.undecided) for each in replayed.processes] == [([], False)]
    assert len(model.asked) == 1
