"""Intake in a real engine over a database: two at once, a stop in the middle, and what is seen meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from llm.scripted import Hang, Said, ScriptedModel
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.home import Home, seed_home
from process_orchestrator.llm.port import Prompt
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import SubmitRequest

pytestmark = pytest.mark.anyio

TASK = "What is new in /srv/git/shop? Show me the plan first."


def reads(prompt: Prompt) -> Any:
    if "enum" in prompt.schema["properties"].get("process_type", {}):
        return Said(data={"process_type": "release_report"}, probability=0.99)
    return {**dict.fromkeys(prompt.schema["properties"]), "repo_path": "/srv/git/shop"}


def light(script: Any) -> ScriptedModel:
    return ScriptedModel(script, tiers=(Tier.LIGHT,))


@asynccontextmanager
async def opened(folder: Path, model: ScriptedModel) -> AsyncGenerator[Orchestrator]:
    home = Home(path=folder / "home", state=folder / "state")
    if not home.path.exists():
        seed_home(home)
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE, model=model) as orchestrator:
        yield orchestrator


async def test_what_intake_finds_is_pinned_and_waits_for_its_plan_to_be_approved(tmp_path: Path) -> None:
    async with opened(tmp_path, light(reads)) as orchestrator:
        view = await orchestrator.submit(SubmitRequest(task=TASK, wait_s=10))
        why = await orchestrator.why(view.process_id)
        report = await orchestrator.report(view.process_id)
    async with opened(tmp_path, light({})) as orchestrator:  # all of it stands in the database
        after = await orchestrator.state(view.process_id)

    assert (view.status, view.process_type, view.classified_by, view.planned_by) == (
        "waiting_human",
        "release_report",
        "model",
        "fixed",
    )
    assert [each.kind for each in view.escalations] == ["plan"]
    assert (view.cost.budget_usd, [each.value for each in view.requirements or ()]) == ("0.10", ["plan"])
    assert (after.status, after.process_type, after.step.total) == ("waiting_human", "release_report", 4)
    assert why.status == "waiting_human"
    assert "model" in report


async def test_two_at_once_with_one_key_are_one_process_that_is_read_once(tmp_path: Path) -> None:
    model = light(reads)
    seen: list[str] = []
    async with opened(tmp_path, model) as orchestrator:

        async def submit() -> None:
            view = await orchestrator.submit(SubmitRequest(task=TASK, idempotency_key="k", wait_s=10))
            seen.append(view.process_id)

        async with anyio.create_task_group() as both:
            both.start_soon(submit)
            both.start_soon(submit)

    assert len(set(seen)) == 1
    assert len(model.asked) == 2


async def test_an_engine_that_stops_in_mid_intake_asks_again_when_it_is_back(tmp_path: Path) -> None:
    async with opened(tmp_path, light({"intake": Hang()})) as orchestrator:
        view = await orchestrator.submit(SubmitRequest(task=TASK, wait_s=0))
        thinking = await orchestrator.state(view.process_id, wait_s=2, since=view.version)
    async with opened(tmp_path, light(reads)) as orchestrator:
        after = await orchestrator.state(view.process_id, wait_s=10, since=thinking.version)
        while after.status in {"queued", "running"}:
            after = await orchestrator.state(view.process_id, wait_s=10, since=after.version)

    assert (thinking.status, thinking.why) in {("running", "model"), ("queued", "queue")}
    assert (after.status, after.process_type, [each.kind for each in after.escalations]) == (
        "waiting_human",
        "release_report",
        ["plan"],
    )


async def test_a_process_that_was_read_can_be_replayed_without_a_model(tmp_path: Path) -> None:
    async with opened(tmp_path, light(reads)) as orchestrator:
        view = await orchestrator.submit(SubmitRequest(task=TASK, wait_s=10))
        replayed = await orchestrator.replay([view.process_id])

    assert replayed.differing == 0
    assert [each.first_row for each in replayed.processes] == [None]
