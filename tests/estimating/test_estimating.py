"""What it would cost, through the use cases: of types, tasks and figures; nothing begins, nobody is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from estimating.kinds import INVOICES, REPORTS
from estimating.simulated import CALLER, Kind, World, runs, shipped, simulated
from line.test_line import made_up, process_type
from llm.scripted import PRICES, Hang, ScriptedModel, failing
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.errors import EngineError, RefusedError
from process_orchestrator.core.ports import Host, ProcessQuery
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.views.estimate_models import EstimateRequest, EstimateView
from process_orchestrator.views.estimate_view import estimate_text, history_text
from process_orchestrator.views.models import Caller, SubmitRequest

Work = Callable[[Orchestrator, World, Host], Awaitable[Any]]


def never(prompt: Any) -> Any:
    raise AssertionError(f"a model was asked: {prompt.purpose}")


def made(**case: Any) -> Registry:
    contracts, agents = made_up()
    kind = process_type({"name": "made up", "in": "order_id!", "out": "total!:number", **case})
    return Registry.of(contracts=contracts, processes=[kind], agents=agents)


def said(
    *requests: dict[str, Any], kind: Kind = INVOICES, registry: Registry | None = None, model: Any = None
) -> list[EstimateView]:
    async def work(orchestrator: Orchestrator, world: World, host: Host) -> list[EstimateView]:
        del world
        found = [await orchestrator.estimate(EstimateRequest.model_validate(each)) for each in requests]
        assert (await host.processes(ProcessQuery(limit=1))).items == ()
        return found

    with_model = kind if model is None else replace(kind, model=lambda: model)
    return simulated(with_model, work, registry=registry)


def refused(request: dict[str, Any]) -> RefusedError:
    with pytest.raises(RefusedError) as error:
        said(request)
    return error.value


# --- of a type ---------------------------------------------------------------------------------------------------


@pytest.mark.behaviour("estimate-free")
def test_an_estimate_starts_nothing_and_asks_no_model() -> None:
    model = ScriptedModel(never)
    by_type, by_task, without_plan = said(
        {"process_type": "invoice_approval", "input": {"document": "Invoice 1"}, "cases": 500},
        {"task": "Please book the attached invoice", "input": {"document": "Invoice 1"}},
        {"process_type": "resolve_ticket"},
        model=model,
    )
    assert model.asked == []
    assert by_type.case_usd.low == "0.0027"
    assert [step.step for step in by_type.steps] == ["extract", "vendor", "lines", "review", "post", "brief"]
    assert by_type.steps[2].usd.payload() == {"low": "0.0002", "likely": "0.002", "high": "0.06"}
    assert by_type.verdict is not None
    assert by_type.verdict.kind == "orchestrate"
    assert by_type.single_call_usd is None
    assert "step lines runs over 10 items (at most 100 by its maxItems)" in by_type.assumptions
    assert by_task.process_type == "invoice_approval"
    assert by_task.next_actions[0].reason == "Starts it. Rules found this type in the task."
    assert without_plan.planned_by is None
    assert without_plan.case_usd.high == "0.50"


def test_the_models_of_stages_are_part_of_the_price() -> None:
    (found,) = said({"process_type": "resolve_ticket", "task": "Where is my order?"}, model=ScriptedModel(never))
    stages = {each.step: each for each in found.steps if each.what.startswith("model ")}
    assert set(stages) == {"intake", "plan", "brief"}
    assert stages["plan"].calls.payload() == {"low": 1.0, "likely": 1.0, "high": 3.0}
    assert PRICES == (250_000, 2_000_000)  # 1,100 tokens in and 80 out
    assert stages["plan"].usd.likely == "0.000435"
    assert found.answer.startswith("About ")


def test_a_model_without_a_price_makes_a_lower_bound() -> None:
    (found,) = said({"process_type": "resolve_ticket"}, model=ScriptedModel(never, price=None))
    assert found.lower_bound
    assert found.answer.startswith("At least ")
    assert any("model strong" in each for each in found.unknowns)


HALVES: dict[str, Any] = {"in": "order_id!", "out": "total!:number, place!", "map": ["order.find", "shipment.track"]}
"""A task of which two agents know one half each."""
WRITES: dict[str, Any] = {
    "in": "order_id!, text!",
    "out": "total!:number, noted!:boolean, cancelled!:boolean",
    "map": ["order.find", "order.note", "order.cancel"],
}
"""One that changes things: what writes is never added to what a model proposes."""


def planned(script: Any, case: dict[str, Any] = HALVES, **more: str) -> tuple[EstimateView, ScriptedModel]:
    """The estimate of a made-up type without a plan, for which the model is asked."""
    model = ScriptedModel(script)
    asked = {"process_type": "made_up", "input": {"order_id": "SO-1", **more}, "plan": True}
    (found,) = said(asked, registry=made(**case), model=model)
    return found, model


def test_with_plan_a_model_makes_one_and_that_is_priced() -> None:
    found, model = planned({"plan": {"steps": ["order_find", "shipment_track"], "output": {}}})
    assert model.purposes() == ["plan"]
    assert found.planned_by == "model"
    assert found.plan is not None
    assert [step["contract"] for step in found.plan["steps"]] == ["order.find@1.0.0", "shipment.track@1.0.0"]
    assert [each.step for each in found.steps] == ["order_find", "shipment_track", "plan"]
    assert [each.usd.likely for each in found.steps[:2]] == ["0.001", "0.001"]
    assert found.warnings[0].startswith("Asking the model for this plan took 0.00")
    assert found.verdict is not None
    assert found.verdict.kind == "orchestrate"


def test_a_plan_that_cannot_be_had_is_told() -> None:
    assert refused({"process_type": "resolve_ticket", "plan": True}).code == "NEEDS_MODEL"
    with pytest.raises(RefusedError) as error:
        planned({"plan": failing("rate_limited")})
    assert error.value.code == "NEEDS_MODEL"
    assert "rate_limited" in error.value.message
    found, model = planned({"plan": {"steps": ["order_find"], "output": {}}}, WRITES, text="late")
    assert model.purposes() == ["plan"] * 3
    assert found.planned_by is None
    assert found.warnings[0].startswith("No plan of the model passed the check; asking it took 0.00")


def test_a_planning_model_that_takes_too_long_for_a_tool_call_is_left_alone() -> None:
    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        del world, host
        asked = {"process_type": "made_up", "input": {"order_id": "SO-1"}, "plan": True}
        with pytest.raises(RefusedError) as error:
            await orchestrator.estimate(EstimateRequest.model_validate(asked), caller=Caller(channel="mcp"))
        return error.value

    slow = replace(INVOICES, model=lambda: ScriptedModel({"plan": Hang()}, timeout_s=120))
    error = simulated(slow, work, registry=made(**HALVES))
    assert error.message == "the model has made no plan in 20 s, and a tool call may not last longer."
    assert "orchestrator estimate made_up --plan" in error.do


def test_a_fixed_plan_is_shown_without_a_model() -> None:
    model = ScriptedModel(never)
    (found,) = said({"process_type": "release_report", "plan": True}, model=model)
    assert model.asked == []
    assert found.plan is not None
    assert [step["id"] for step in found.plan["steps"]] == ["status", "log", "diff", "write"]


def test_lists_and_conditions_of_the_input_are_not_guessed() -> None:
    steps = [
        {"id": "look", "contract": "stock.check", "for_each": "$.input.skus", "in": {"sku": "$.item"}},
        {"id": "cancel", "contract": "order.cancel", "in": {"order_id": "x"}, "when": "$.input.sure"},
    ]
    home = made(**{"in": "skus!:[text], sure:boolean", "out": ""}, steps=steps, output={})
    three, none, guessed = said(
        {"process_type": "made_up", "input": {"skus": ["a", "b", "c"], "sure": True}},
        {"process_type": "made_up", "input": {"skus": [], "sure": False}},
        {"process_type": "made_up"},
        registry=home,
    )
    assert (three.case_usd.low, three.case_usd.likely) == ("0.004", "0.004")
    assert (none.case_usd.low, none.case_usd.high) == ("0.00", "0.00")
    assert guessed.case_usd.likely == "0.011"
    assert any("10 items (100 at most, since nothing bounds it)" in each for each in guessed.assumptions)


def test_what_cannot_be_estimated_is_refused_with_what_to_do() -> None:
    assert refused({}).do.startswith("give process_type (and input), a task, or figures")
    assert refused({"input": {}}).message == "input or plan is given, and nothing says of which process type."
    assert refused({"process_type": "invoice_aproval"}).code == "UNKNOWN_PROCESS_TYPE"
    assert refused({"task": "Sing me a song"}).code == "AMBIGUOUS_TASK"
    assert refused({"task": "x" * 30_000}).code == "TOO_LARGE"
    assert refused({"process_type": "invoice_approval", "input": {"document": 1}}).code == "INPUT_MISMATCH"
    assert refused({"process_type": "invoice_approval", "cases": 0}).pointer == "/cases"


# --- where the line is -------------------------------------------------------------------------------------------


def test_what_would_do_instead_is_told_with_its_price_and_what_is_lost() -> None:
    step = {"id": "cancel", "contract": "order.cancel", "in": {"order_id": "$.input.order_id"}}
    output = {"done": "$.steps.cancel.output.cancelled"}
    home = made(out="done!:boolean", steps=[step], output=output)
    answers = replace(INVOICES, process_type="made_up", answer=lambda *_: {"cancelled": True})

    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        del world, host
        before = await orchestrator.estimate(EstimateRequest(process_type="made_up"))
        request = SubmitRequest(process_type="made_up", input={"order_id": "1"}, wait_s=20)
        return before, await orchestrator.submit(request, caller=CALLER)

    before, view = simulated(answers, work, registry=home)
    assert before.single_call_usd == "0.001"
    for verdict in (before.verdict, view.verdict):
        assert verdict.kind == "single_call"
        (simpler,) = verdict.simpler
        assert (simpler.what, simpler.est_usd) == ("call order.cancel of agent program directly", "0.001")
        assert simpler.loses[0] == "the check of input and output against the contract"
    assert "Simpler: call order.cancel of agent program directly for 0.001 USD; without" in estimate_text(before)


def test_the_time_of_a_direct_call_comes_from_runs() -> None:
    step = {"id": "find", "contract": "order.find", "in": {"order_id": "$.input.order_id"}}
    home = made(steps=[step], output={"total": "$.steps.find.output.total"})
    order = {"order_id": "1", "total": 5.0, "status": "open", "email": "a@example.com", "lines": []}
    quick = replace(INVOICES, process_type="made_up", given=lambda _: {"order_id": "1"}, answer=lambda *_: order)

    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        outcomes = await runs(orchestrator, host, world, 25)
        return outcomes, await orchestrator.history("made_up")

    outcomes, history = simulated(quick, work, registry=home)
    assert outcomes[0].said.verdict.simpler[0].est_ms is None
    assert outcomes[-1].said.verdict.simpler[0].est_ms > 100
    assert outcomes[-1].said.runs == 24
    text = history_text(history)
    assert text.startswith("made_up 1.0.0: 25 runs, ")
    assert "of 5 runs cost what was said before" in text


# --- after -------------------------------------------------------------------------------------------------------


def test_nothing_is_said_of_types_that_never_ran() -> None:
    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        del world, host
        return await orchestrator.history()

    view = simulated(REPORTS, work)
    assert view.types == []
    assert history_text(view).startswith("No run has ended yet")


def test_a_type_is_described_with_what_its_runs_took() -> None:
    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        await runs(orchestrator, host, world, 3)
        return await orchestrator.describe("release_report"), await orchestrator.describe("invoice_approval")

    ran, never_ran = simulated(REPORTS, work)
    assert ran.process_type.history[0].runs == 3
    assert ran.process_type.history[0].inside_share is None
    assert never_ran.process_type.history == []


def test_every_shipped_type_can_be_estimated() -> None:
    names = [each.name for each in shipped().processes]
    found = said(*({"process_type": name} for name in names))
    assert [each.process_type for each in found] == names
    assert not any(each.lower_bound for each in found)


def test_prices_and_types_are_told_while_nobody_can_say_what_ran() -> None:
    class Gone:
        """A host whose engine does not answer."""

        async def processes(self, query: ProcessQuery) -> Any:
            raise EngineError("ENGINE_UNAVAILABLE", f"no answer about {query.process_type}")

    async def ask() -> Any:
        host: Any = Gone()
        orchestrator = Orchestrator(host, shipped, Compiler())
        asked = EstimateRequest(process_type="release_report")
        return await orchestrator.estimate(asked), await orchestrator.describe("release_report")

    found, described = anyio.run(ask)
    assert found.case_usd.high == "0.00"
    assert found.warnings[0].startswith("Earlier runs cannot be read (no answer about release_report)")
    assert described.process_type.history == []


def test_a_report_sets_what_a_run_took_beside_what_was_to_be_expected() -> None:
    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        outcomes = await runs(orchestrator, host, world, 22)
        early = await orchestrator.report(outcomes[0].ended.process_id)
        return outcomes, early, await orchestrator.report(outcomes[-1].ended.process_id)

    outcomes, early, late = simulated(INVOICES, work)
    assert " 0.0055 USD was likely, 0.0027 to 0.0735 (by contracts and prices" in early
    said = outcomes[-1].said.case_usd
    assert f" {said.likely} USD was likely, {said.low} to {said.high} (by 21 earlier runs" in late
