"""The closing report: what was asked, thought, done, settled, decided, and what it took beside what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from llm.scripted import Said, ScriptedModel
from model_agents.drafting import GOOD, registry
from orchestrator.home import CANARY, Desk, open_desk
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget, Fit, PlanFacts, ProcessSpec, Requirement
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Blame, Ref, Stage, Tier, TypePin, Usage
from process_orchestrator.core.trace import Numbered
from process_orchestrator.views.model_spend import Spend, model_spend
from process_orchestrator.views.process_view import ProcessBodies, process_view
from process_orchestrator.views.report import Told, report
from process_orchestrator.views.trace_view import EntryBodies, Known, trace_entry

pytestmark = pytest.mark.anyio

REF = Ref(sha256="1" * 64, bytes=12)
PIN = TypePin(name="resolve_ticket", version="1.0.0", sha256="2" * 64)
PLAN = PlanFacts(sha256="3" * 64, steps=(), fit=Fit(verdict="orchestrate", reasons=("two steps depend on each other",)))
USAGE = Usage(usd_micros=700, tokens=500, ms=3)
REFUSED = {
    "ok": False,
    "problems": [
        {"code": "NOT_ON_MAP", "pointer": "/steps/0", "message": "`mail.steal` is not on the map"},
        {"code": "NEVER_FITS", "pointer": "/steps/1/in/x", "message": "a number is no text"},
        {"code": "NEVER_FITS", "pointer": "/steps/2/in/x", "message": "a number is no text"},
    ],
}
FITS = {
    "ok": True,
    "bindings": [{"verdict": "always"}, {"verdict": "always"}, {"verdict": "sometimes"}, {"verdict": "unknown"}],
    "dropped": [{"what": "order_find_2", "why": "nobody uses it"}],
}
EVENTS: list[tuple[Any, Any]] = [
    (e.TaskClassified(at=1, process_type=PIN, input=REF, by="model", usage=USAGE, budget=Budget(usd_micros=500_000)), None),
    (e.PlanProposed(at=2, plan=REF, round=1, usage=USAGE), None),
    (e.PlanChecked(at=3, ok=False, report=REF), REFUSED),
    (e.StageFailed(at=4, stage=Stage.PLAN, code="timeout", blame=Blame.TRANSPORT, message="no answer", usage=Usage(ms=9)), None),
    (e.PlanProposed(at=5, plan=REF, round=2, usage=Usage(tokens=400)), None),
    (e.PlanChecked(at=6, ok=True, plan=PLAN, report=REF, fit=PLAN.fit), FITS),
]  # fmt: skip
NUMBERED = [Numbered(seq=seq, event=event) for seq, (event, _) in enumerate(EVENTS, 1)]


def rendered() -> str:
    asked = (
        Requirement(kind="budget", quote="at most 50 cents", value="0.5"),
        Requirement(kind="deadline", quote="within <b>ten</b> minutes", value="600000"),
        Requirement(kind="approval", quote="ask me before", value="every_step"),
    )
    spec = ProcessSpec(process_id="p_x", principal="ana", request_sha256="r", type=PIN, requirements=asked)
    state = Process(spec=spec, seq=6, now=6, created_at=1, updated_at=6, plan=PLAN, plan_round=2)
    trace = [
        trace_entry(each, Known(state=state), EntryBodies(report=found))
        for each, (_, found) in zip(NUMBERED, EVENTS, strict=True)
    ]
    told = Told(trace=trace, escalations=[], spend=model_spend(NUMBERED), against="0.01 USD, as estimated")
    return report(state, process_view(state, ProcessBodies(task="Help.")), told)


def test_it_says_what_the_task_itself_asked_for() -> None:
    text = rendered()

    assert "- The task asks for a budget of 0.5 USD: “at most 50 cents”" in text
    assert r"- The task asks for an end within 600 s: “within \<b\>ten\</b\> minutes”" in text
    assert "- The task asks for approval: every_step: “ask me before”".replace("every_step", "every_step") in text


def test_it_says_who_read_and_planned_and_what_the_check_found() -> None:
    lines = rendered().splitlines()

    assert "Planned by: model (2 proposals of a model, 1 refused by the check)." in lines
    [refused] = [line for line in lines if "does not fit" in line and line.startswith("- 1970") and "Then" not in line]
    assert r"NOT_ON_MAP at /steps/0: \`mail.steal\` is not on the map; NEVER_FITS at /steps/1/in/x" in refused
    assert refused.endswith("(and 1 more)")
    [fits] = [line for line in lines if "fits its contracts" in line]
    assert "(bindings: 2 always, 1 sometimes, 1 unknown). Left out as needless: order_find_2." in fits
    assert fits.endswith("Verdict orchestrate: two steps depend on each other.")
    assert any("Classified as resolve_ticket 1.0.0 by model. Budget 0.50 USD." in line for line in lines)


def test_it_says_how_what_failed_before_any_call_was_settled() -> None:
    text = rendered()

    assert "Stage plan failed: timeout, blame transport. no answer Then: a model proposed another plan." in text


def test_it_says_what_models_took_by_stage_and_how_the_cost_stands_to_the_estimate() -> None:
    text = rendered()

    assert "- Against the estimate: 0.01 USD, as estimated" in text
    assert "- Models, reading the task: 1 answer, 500 tokens, 0.0007 USD" in text
    assert "- Models, planning: 2 answers, 900 tokens, 0.0007 USD (the price of 1 answer is unknown)" in text


def test_what_nobody_priced_is_a_lower_bound_and_what_took_nothing_is_no_row() -> None:
    rules = e.TaskClassified(at=1, process_type=PIN, input=REF, by="rules")

    assert model_spend([Numbered(seq=1, event=rules)]) == []
    assert model_spend(NUMBERED) == [
        Spend(stage="intake", answers=1, tokens=500, usd_micros=700),
        Spend(stage="plan", answers=2, tokens=900, usd_micros=700, unknown=1),
    ]
    failed = msgspec.structs.replace(EVENTS[3][0], stage=Stage.BRIEF, usage=USAGE)
    assert [row.stage for row in model_spend([Numbered(seq=1, event=failed)])] == ["brief"]


async def test_the_report_of_an_ended_process_stands_beside_its_estimate(desk: Desk) -> None:
    view = await desk.settled()

    text = await desk.orchestrator.report(view.process_id)

    assert view.status == "completed"
    assert "- Against the estimate: 0.003 USD, " in text
    assert "Models," not in text
    assert CANARY not in text


async def test_what_models_took_as_agents_is_a_row_of_its_own(tmp_path: Path) -> None:
    model = ScriptedModel({"agent": Said(data=GOOD, tokens_in=800, tokens_out=50)}, tiers=[Tier.LIGHT])
    async with open_desk(tmp_path, registry=registry(), model=model) as desk:
        view = await desk.settled("drafting")
        text = await desk.orchestrator.report(view.process_id)
        trace = await desk.orchestrator.trace(view.process_id)

    assert "- Models, as agents: 1 answer, 850 tokens, 0.0003 USD" in text
    assert [each.tokens for each in trace.entries if each.event == "CallSucceeded"] == [None, 850]
