"""Where the line is, over labelled tasks: how often `single_call` is right, how many it finds, and which it gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from estimating.simulated import Kind, Outcome, World, runs, simulated
from llm.scripted import ScriptedModel
from process_orchestrator.checking.documents.definitions import Agent, Contract, ProcessType
from process_orchestrator.checking.documents.shape import agent_from, contract_from, process_from
from process_orchestrator.checking.estimating.verdict import verdict_of
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.ports import Host
from process_orchestrator.orchestrator import Orchestrator

CASES: Final = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text(encoding="utf-8"))
ROOT: Final = Path(__file__).resolve().parents[2]
WRONG: Final = {
    "two contracts that both find it",  # which one is meant is no question of a rule
    "a number under another name",  # no schema says that two names mean the same
}
"""What the rule gets wrong, and why; a case more or less is to be looked at."""


def schema(text: str, *, open_: bool = False) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, kind = part.partition(":")
        if name.endswith("!"):
            required.append(name := name.removesuffix("!"))
        properties[name] = shape(kind or "string")
    closed = {} if open_ else {"additionalProperties": False}
    return {"type": "object", "properties": properties, "required": required, **closed}


def shape(kind: str) -> dict[str, Any]:
    if kind == "[]":
        return {"type": "array", "items": {"type": "object"}}
    if kind == "[text]":
        return {"type": "array", "items": {"type": "string"}}
    if kind == "[1]":
        return {"type": "array", "items": {"type": "string"}, "maxItems": 1}
    return {"type": kind}


def contract(name: str, given: dict[str, Any]) -> Contract:
    effects: dict[str, Any] = {"kind": given.get("effects", "read")}
    if "undo" in given:
        effects["undo"] = {"contract": given["undo"], "in": {"posting": "$.output.posting"}}
    approval = given.get("approval")
    written: dict[str, Any] = {
        "contract": name,
        "version": "1.0.0",
        "summary": "For a test.",
        "input": schema(given["in"], open_="open" in given),
        "output": schema(given["out"], open_="open" in given),
        "effects": effects,
        "status": given.get("status", "active"),
        "cost": {"per_call_usd": 0.001},
    }
    if written["status"] == "draft":
        written["todo"] = ["what it does"]
    if given.get("natural"):
        written["idempotency"] = "natural"
    if approval is not None:
        written["approval"] = "always" if approval == "always" else {"when": {"expr": approval}}
    return contract_from(written, path=f"{name}.contract.yaml")


def agent(name: str, transport: dict[str, Any], serves: list[dict[str, Any]]) -> Agent:
    written = {"agent": name, "summary": "For a test.", "transport": transport, "serves": serves}
    return agent_from(written, path=f"{name}.agent.yaml")


@cache
def made_up() -> tuple[tuple[Contract, ...], tuple[Agent, ...]]:
    known = CASES["contracts"]
    served = [name for name, given in known.items() if given.get("served", True)]
    programs = [{"contract": f"{name}@^1", "bind": {"tool": "run"}} for name in served if "human" not in known[name]]
    people = [{"contract": f"{name}@^1"} for name in served if "human" in known[name]]
    agents = (
        agent("program", {"kind": "mcp_stdio", "command": ["true"]}, programs),
        agent("clerk", {"kind": "human", "role": "clerk"}, people),
    )
    return tuple(contract(name, given) for name, given in known.items()), agents


@cache
def shipped() -> Registry:
    return load_home(ROOT)


def process_type(case: dict[str, Any]) -> ProcessType:
    written: dict[str, Any] = {
        "process": "made_up",
        "version": "1.0.0",
        "summary": case["name"],
        "input": schema(case["in"]),
        "output": schema(case["out"]),
    }
    if "map" in case:
        written["contracts"] = [f"{name}@^1" for name in case["map"]]
    if "steps" in case:
        written["plan"] = {"steps": case["steps"], "output": case["output"]}
    return process_from(written, path="made_up.process.yaml")


def judged(case: dict[str, Any]) -> str:
    if "shipped" in case:
        found = shipped().process(case["shipped"])
        assert found is not None
        return verdict_of(found, registry=shipped(), server_floor=Assurance.A0).fit.verdict
    contracts, agents = made_up()
    kind = process_type(case)
    registry = Registry.of(contracts=contracts, processes=[kind], agents=agents)
    return verdict_of(kind, registry=registry, server_floor=Assurance.A0).fit.verdict


@cache
def verdicts() -> dict[str, tuple[str, str]]:
    """What is expected and what is said, by case."""
    return {case["name"]: (case["expects"], judged(case)) for case in CASES["cases"]}


def test_the_labelled_set_is_large_enough_and_each_case_says_why() -> None:
    cases = CASES["cases"]
    assert len(verdicts()) == len(cases) >= 60
    assert all(case["why"] and case["expects"] in {"single_call", "orchestrate"} for case in cases)
    assert 25 <= sum(case["expects"] == "single_call" for case in cases) <= len(cases) - 25


def test_every_fixed_plan_of_the_set_passes_the_check() -> None:
    contracts, agents = made_up()
    for case in CASES["cases"]:
        if "steps" in case:
            kind = process_type(case)
            registry = Registry.of(contracts=contracts, processes=[kind], agents=agents)
            problems = registry.plan(kind).problems
            assert [each.message for each in problems if each.level == "error"] == [], case["name"]


@pytest.mark.behaviour("line")
def test_precision_and_recall_of_single_call(record_property: Callable[[str, object], None]) -> None:
    pairs = verdicts().values()
    right = sum(expected == said == "single_call" for expected, said in pairs)
    precision = right / sum(said == "single_call" for _, said in pairs)
    recall = right / sum(expected == "single_call" for expected, _ in pairs)
    for name, value in (("cases", len(pairs)), ("precision", precision), ("recall", recall)):
        record_property(name, f"{value:.3f}")
    assert precision == 1.0  # who is sent to one call is never left with half of the work
    assert recall >= 0.95


def test_what_the_rule_gets_wrong_is_known() -> None:
    assert {name for name, (expected, said) in verdicts().items() if expected != said} == WRONG


@pytest.mark.behaviour("line")
def test_no_model_is_paid_where_one_call_closes_the_task() -> None:
    """A type without a plan: where the line is, is asked before any model that plans, at submit as in an estimate."""
    found = {"order_id": "SO-1", "total": 5.0, "status": "open", "email": "a@example.com", "lines": []}
    model = ScriptedModel(lambda prompt: pytest.fail(f"a model was asked: {prompt.purpose}"))
    kind = Kind(
        process_type="made_up", given=lambda _: {"order_id": "SO-1"}, answer=lambda *_: found, model=lambda: model
    )
    case = next(case for case in CASES["cases"] if case["name"] == "find an order")
    contracts, agents = made_up()
    registry = Registry.of(contracts=contracts, processes=[process_type(case)], agents=agents)

    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Outcome:
        return (await runs(orchestrator, host, world, 1))[0]

    outcome = simulated(kind, work, registry=registry)
    assert (outcome.ended.status, outcome.ended.planned_by) == ("completed", "single_call")
    for verdict in (outcome.said.verdict, outcome.ended.verdict):
        assert verdict.kind == "single_call"
        assert verdict.simpler[0].what == "call order.find of agent program directly"
        assert verdict.simpler[0].est_usd == "0.001"
    assert outcome.said.planned_by == "single_call"
    assert model.asked == []
