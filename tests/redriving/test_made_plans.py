"""A plan that a model made stands in no file: who takes its process up, or decides it anew, goes by what was pinned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm.scripted import ScriptedModel
from orchestrator.home import (
    AGENTS,
    CONTRACTS,
    PASSPHRASE,
    PROCESSES,
    READ,
    REVIEWER,
    Desk,
    Fleet,
    failing,
    open_desk,
    process_type,
)
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import AgentCallError, ModelError
from process_orchestrator.core.facts.values import Status, Tier
from process_orchestrator.llm.port import Prompt
from process_orchestrator.usecases.redrive_request import RedriveRequest
from process_orchestrator.views.models import ProcessView, ResolveRequest, SubmitRequest

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


async def test_a_planner_that_was_waited_for_is_waited_for_again_when_its_process_is_replayed(tmp_path: Path) -> None:
    def absent_once(prompt: Prompt) -> Any:
        if not waited:
            waited.append(True)
            raise ModelError("unreachable", "nobody is there")
        return plans(prompt)

    waited: list[bool] = []
    async with open_desk(tmp_path, registry=REGISTRY, model=ScriptedModel(absent_once, tiers=(Tier.STRONG,))) as desk:
        view = await ended(desk)
        replayed = await desk.orchestrator.replay([view.process_id])

    assert view.status == "completed"
    assert [(each.differences, each.undecided) for each in replayed.processes] == [([], False)]


async def test_the_money_for_a_paragraph_comes_free_in_a_replay_too(tmp_path: Path) -> None:
    """Else the next call would not fit beside it, and the replay would ask for money."""
    reading = {"id": "again", "contract": "doc.read", "in": {"text": "$.steps.read.output.number"}}
    rereading = process_type(
        "rereading",
        plan={"steps": [READ, reading], "output": {"total": "$.steps.again.output.total"}},
        budget={"usd": 0.0065},
    )
    registry = Registry.of(CONTRACTS, (*PROCESSES, rereading), AGENTS)
    writer = ScriptedModel(lambda _prompt: {"paragraph": "It failed."}, tiers=(Tier.MID,), price=(100_000, 100_000))
    fleet = Fleet(doing={"reader": failing("illegible"), "backup": failing("illegible")})
    async with open_desk(tmp_path, fleet=fleet, registry=registry, model=writer) as desk:
        desk.reviewers.add("ana", PASSPHRASE)
        view = await desk.orchestrator.submit(SubmitRequest(process_type="rereading", input={"text": "x"}))
        await desk.host.until(view.process_id, Status.WAITING_HUMAN)
        while not (state := await desk.host.state(view.process_id)).usd_micros > 2000:
            await desk.host.wait(view.process_id, since=state.seq, timeout_s=5)
        fleet.doing.clear()
        request = ResolveRequest(escalation_id=f"{view.process_id}.e1", decision="retry")
        await desk.orchestrator.resolve(request, proof=REVIEWER)
        await desk.host.until(view.process_id, Status.COMPLETED, Status.WAITING_HUMAN)
        done = await desk.orchestrator.state(view.process_id)
        replayed = await desk.orchestrator.replay([view.process_id])

    assert done.status == "completed"
    assert [(each.differences, each.undecided) for each in replayed.processes] == [([], False)]
