"""Plans of the support desk by real models: the 1.5B plans them, the 0.5B tries to.

Gates are asserted; how many plans are right is told, and is to be 8 of 10 for the larger one. Every day from a cassette;
`./dev real-model` asks the models themselves, `./dev real-model --record` keeps what they say.
"""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from domains.planned import TASKS
from domains.running import ROOT
from process_orchestrator.checking.documents.definitions import Plan
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.planning.at_hand import at_hand
from process_orchestrator.checking.plans.compile import compile_plan
from process_orchestrator.checking.plans.plan_document import decode_plan
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.hosting.journal import JournalReader
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.views.models import Caller, ProcessView, SubmitRequest
from real_model.fetch import WEIGHTS
from real_model.serving import absent, serving
from real_model.thinking import TAPES, desk, live, replayed

MODE: Final = os.environ.get("REAL_MODEL", "")
"""Set by `./dev real-model`: whole | record | quick (a part, in CI: none of these)."""

pytestmark = [pytest.mark.slow] if MODE else []

PLANNED: Final = [each for each in TASKS if each.get("planned")]
MODELS: Final = tuple(each.name for each in WEIGHTS)
RESTING: Final = frozenset({"completed", "failed", "cancelled", "waiting_human"})
CALLER: Final = Caller(channel="cli")
GIVEN_UP: Final = frozenset({"failed", "loop"})
"""Kinds of the question that a process asks when no plan was good enough."""


@asynccontextmanager
async def thinking(name: str, folder: Path) -> AsyncGenerator[Orchestrator]:
    """An engine whose strong tier is this model: recorded, or asked itself."""
    tape = TAPES / f"support_{name}.jsonl"
    if not MODE:
        if not tape.exists():
            pytest.skip(f"{tape.name} is not recorded. Do: ./dev real-model --record")
        model = replayed(name, tape)
        async with desk(folder, model) as orchestrator:
            yield orchestrator
        assert model.missed == [], "prompts have changed since they were recorded. Do: ./dev real-model --record"
        return
    weights = next(each for each in WEIGHTS if each.name == name)
    if (why := absent(weights)) is not None:
        pytest.fail(why)
    if MODE == "record":
        tape.unlink(missing_ok=True)
    with serving(weights) as served:
        kept = tape if MODE == "record" else None
        async with desk(folder, live(name, served.api_base, tape=kept)) as orchestrator:
            yield orchestrator


async def planned(orchestrator: Orchestrator, task: dict[str, Any]) -> ProcessView:
    """Plan one task, its input given, and stop before the first call."""
    request = SubmitRequest(process_type=task["type"], task=task["task"], input=task["input"], approval="plan")
    view = await orchestrator.submit(request, caller=CALLER)
    while view.status not in RESTING:
        view = await orchestrator.state(view.process_id, wait_s=20, since=view.version, caller=CALLER)
    return await orchestrator.state(view.process_id, include=("plan",), caller=CALLER)


@pytest.mark.skipif(MODE == "quick", reason="test_thinking tries a part")
@pytest.mark.parametrize("name", MODELS)
async def test_no_faulty_plan_reaches_dispatch_and_the_share_that_is_right_is_told(name: str, tmp_path: Path) -> None:
    right: list[str] = []
    told: list[str] = []
    async with thinking(name, tmp_path) as orchestrator:
        for task in PLANNED:
            view = await planned(orchestrator, task)
            (question,) = [each for each in view.escalations if each.status == "open"]
            assert question.kind in {"plan", *GIVEN_UP}, task["id"]
            used = [str(step.contract).partition("@")[0] for step in view.steps]
            if question.kind == "plan":
                assert await faults(view, task, tmp_path) == [], task["id"]
            if question.kind == "plan" and does(task, used):
                right.append(task["id"])
            told.append(f"{task['id']}: {question.kind} {', '.join(used)}")
    share = f"\n{name}: {len(right)} of {len(PLANNED)} plans are right"
    sys.stderr.write("\n  ".join([share, *told]) + "\n")


def does(task: dict[str, Any], used: list[str]) -> bool:
    """Whether these contracts do a task: all that it needs, and nothing that it must not."""
    choices: list[list[str]] = task.get("choose", [])
    known = {*task["needs"], *task["may"], *(name for names in choices for name in names)}
    return {*task["needs"]} <= {*used} <= known and all({*names} & {*used} for names in choices)


async def faults(view: ProcessView, task: dict[str, Any], folder: Path) -> list[str]:
    """What the strict check says of the plan that was pinned, asked once more beside the engine."""
    registry = load_home(ROOT)
    process_type = registry.process(task["type"])
    assert process_type is not None
    assert view.plan is not None
    sha256 = str(view.plan["sha256"])
    async with JournalReader(folder / "state") as reader:
        pinned = await reader.read(lambda rows: rows.definition(sha256), empty=None)
    assert pinned is not None
    document = decode_plan(pinned.data)
    compiled = compile_plan(
        Plan(steps=tuple(each.step for each in document.steps), output=document.result),
        process_type=at_hand(process_type, task["input"]),
        registry=registry,
        server_floor=Assurance.A0,
        strict=True,
    )
    listed = {each.partition("@")[0] for each in process_type.contracts}
    strange = [str(step.contract) for step in view.steps if str(step.contract).partition("@")[0] not in listed]
    return strange + [f"{each.code} {each.pointer}" for each in compiled.problems if each.level == "error"]
