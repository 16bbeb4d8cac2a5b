"""A plan looked at before it is followed: whose it is, what the check says, and that nothing was started."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llm.scripted import failing
from planning.desk import object_of, ticket
from planning.world import INPUT, TASK, Careless, World, open_world
from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.core.ports import ProcessQuery
from process_orchestrator.llm.port import Answer, Model, NoModel, Prompt
from process_orchestrator.orchestrator import Orchestrator, Surroundings
from process_orchestrator.views.plan_ahead import PlanRequest, plan_ahead_text

pytestmark = pytest.mark.anyio

PLAN: dict[str, Any] = {
    "output": {},
    "steps": [
        "order_find",
        {"id": "refund_issue", "in": {"reason": {"const": "lost"}}},
        {"id": "answer_draft", "in": {"text": "$.input.text"}},
    ],
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def door(folder: Path, model: Model, *types: ProcessType) -> AsyncGenerator[tuple[Orchestrator, World]]:
    async with open_world(folder, model, *types) as world:
        around = Surroundings(model=model)
        yield Orchestrator(world.host, lambda: world.registry, Compiler(), surroundings=around), world


async def test_a_plan_that_a_model_would_make_is_shown_and_nothing_is_started(tmp_path: Path) -> None:
    async with door(tmp_path, Careless({"steps": ["disk_wipe"]}, PLAN)) as (orchestrator, world):
        view = await orchestrator.plan(PlanRequest(task=TASK, process_type="ticket", input=INPUT))
        assert (view.ok, view.planned_by, view.rounds) == (True, "model", 2)
        assert [each["id"] for each in view.steps] == ["order_find", "refund_issue", "answer_draft"]
        assert view.steps[1]["in"]["amount"] == "$.steps.order_find.output.total"
        assert view.steps[1]["approval"] is True
        assert {each["verdict"] for each in view.bindings} == {"always"}
        assert view.verdict == "orchestrate"
        assert view.calls_max is not None
        text = plan_ahead_text(view)
        assert "refund_issue: refund.issue@1.0.0 by bank (write, approval)" in text
        assert "Nothing was started" in text
        assert json.loads(json.dumps(view.payload()))["output"]["answer"] == "$.steps.answer_draft.output.answer"
        assert world.called == []
        assert (await world.host.processes(ProcessQuery(limit=5))).items == ()


async def test_a_plan_that_no_round_makes_sound_is_shown_with_what_is_wrong(tmp_path: Path) -> None:
    async with door(tmp_path, Careless({"steps": ["disk_wipe"], "output": {}})) as (orchestrator, _):
        view = await orchestrator.plan(PlanRequest(task=TASK, process_type="ticket"))
        assert (view.ok, view.rounds) == (False, 3)
        assert [each["code"] for each in view.problems] == ["NOT_OFFERED"]
        assert "takes for granted" in view.warnings[0]
        assert "x NOT_OFFERED" in plan_ahead_text(view)


async def test_fixed_plans_and_single_calls_ask_no_model(tmp_path: Path) -> None:
    look_up = ticket(
        process="look_up",
        input=object_of(["order_id"], order_id={"type": "string"}),
        output=object_of(["total"], total={"type": "number"}),
    )
    step = {"id": "a", "contract": "stock.check", "in": {"sku": "$.input.sku"}}
    fixed = ticket(
        process="fixed",
        input=object_of(["sku"], sku={"type": "string"}),
        output=object_of(["there"], there={"type": "boolean"}),
        plan={"steps": [step], "output": {"there": "$.steps.a.output.there"}},
    )
    async with door(tmp_path, NoModel(), look_up, fixed) as (orchestrator, _):
        assert (await orchestrator.plan(PlanRequest(process_type="look_up"))).planned_by == "single_call"
        view = await orchestrator.plan(PlanRequest(process_type="fixed"))
        assert view.planned_by == "fixed"
        assert "No model was asked" in plan_ahead_text(view)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (PlanRequest(), "BAD_ARGUMENT"),
        (PlanRequest(process_type="tickets"), "UNKNOWN_PROCESS_TYPE"),
        (PlanRequest(task="Sing a song"), "AMBIGUOUS_TASK"),
        (PlanRequest(process_type="ticket", input={"order_id": 7}), "INPUT_MISMATCH"),
        (PlanRequest(process_type="ticket", task="x" * 30_000, input=INPUT), "TOO_LARGE"),
        (PlanRequest(process_type="ticket", input=INPUT), "NEEDS_MODEL"),
    ],
)
async def test_what_cannot_be_planned_is_refused_by_name(tmp_path: Path, request_: PlanRequest, code: str) -> None:
    async with door(tmp_path, NoModel()) as (orchestrator, _):
        with pytest.raises(RefusedError) as refused:
            await orchestrator.plan(request_)
        assert refused.value.code == code


async def test_a_model_that_cannot_be_had_is_a_refusal(tmp_path: Path) -> None:
    class Away(Careless):
        async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
            raise failing("unreachable", "nobody is there")

    async with door(tmp_path, Away()) as (orchestrator, _):
        with pytest.raises(RefusedError, match="unreachable"):
            await orchestrator.plan(PlanRequest(process_type="ticket", input=INPUT, task=TASK))
