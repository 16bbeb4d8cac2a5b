"""Nothing sensitive is told to a model, even where the check of the plan has let it through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from model_agents.drafting import DRAFT, GOOD, READ, draft_contract, light, writer
from orchestrator.home import AGENTS, CANARY, CONTRACTS, PASSPHRASE, REVIEWER, open_desk, process_type
from process_orchestrator.checking.documents.definitions import Contract, ProcessType
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.facts.events import CallFailed
from process_orchestrator.core.facts.values import Assurance, Blame, Outcome, Phase, Status
from process_orchestrator.views.models import ResolveRequest

pytestmark = pytest.mark.anyio

OPEN_DRAFT: dict[str, Any] = {
    **DRAFT,
    "input": {"type": "object", "properties": {"number": {"type": "string"}, "iban": {"type": "string"}}},
    "ensures": [],
    "idempotency": "unsafe",
    "retry": {"max_attempts": 1},
}


def unmarked(contract: Contract) -> Contract:
    return replace(contract, sensitive=(), sensitivity=None)


def past_the_check(types: list[ProcessType], *, draft: Contract) -> Registry:
    """Plans that were checked by who knew no marks, and are run by who does: each pins the contracts as they are."""
    contracts = (*CONTRACTS, draft)
    blind = Registry.of([unmarked(each) for each in contracts], types, (*AGENTS, writer()))
    plans = {(each.source.sha256, Assurance.A0): blind.plan(each, server_floor=Assurance.A0) for each in types}
    assert all(plan.facts is not None for plan in plans.values()), [plan.problems for plan in plans.values()]
    return Registry(contracts=contracts, processes=types, agents=(*AGENTS, writer()), plans=plans)


def type_of(*steps: dict[str, Any], name: str = "drafting", **rest: Any) -> ProcessType:
    plan = {"steps": list(steps), "output": {"last": f"$.steps.{steps[-1]['id']}.status"}}
    return process_type(name, plan=plan, escalation={"min_assurance": "A1"}, **rest)


def step(**given: Any) -> dict[str, Any]:
    return {"id": "draft", "contract": "mail.draft", "in": given}


IBAN = "$.steps.read.output.vendor.iban"
PART = process_type(
    "part",
    input={"type": "object", "properties": {"iban": {"type": "string"}, "number": {"type": "string"}}},
    plan={"steps": [step(iban="$.input.iban", number="$.input.number")], "output": {"text": "$.steps.draft.status"}},
)
WAYS: dict[str, list[dict[str, Any]]] = {
    "bound": [step(iban=IBAN)],
    "in a whole object": [step(vendor="$.steps.read.output.vendor")],
    "as items of a list": [{**step(iban="$.item.iban"), "for_each": ["$.steps.read.output.vendor"]}],
    "by a default": [
        {
            "id": "check",
            "contract": "desk.review",
            "in": {"number": "$.steps.read.output.number"},
            "when": {"let": {"n": "$.steps.read.output.number"}, "expr": "n == 'x'"},
            "default": {"accepted": True, "comment": IBAN},
        },
        step(iban="$.steps.check.output.comment"),
    ],
    "into a part": [{"id": "go", "process": "part", "in": {"iban": IBAN, "number": "x"}}],
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_sensitive_value_does_not_get_to_the_model(tmp_path: Path, way: str) -> None:
    model = light({"agent": GOOD})
    draft = definition_from_dict("contract", OPEN_DRAFT)
    known = past_the_check([PART, type_of(READ, *WAYS[way])], draft=draft)
    async with open_desk(tmp_path, registry=known, model=model) as desk:
        view = await desk.settled("drafting")
        page = await desk.host.journal(view.process_id, after=0, limit=100)

    failed = [event for row in page.items for event in row.events if isinstance(event, CallFailed)]
    assert [(each.code, each.blame, each.outcome) for each in failed] == [
        ("sensitive_to_model", Blame.PLANNER, Outcome.NOT_DONE)
    ]
    assert (view.status, model.asked) == ("waiting_human", [])
    assert CANARY not in (failed[0].message or "")


@pytest.mark.parametrize("given", [{"number": "$.steps.read.output.number"}, {"vendor": "$.steps.read.output.lines"}])
async def test_what_is_not_marked_gets_there(tmp_path: Path, given: dict[str, str]) -> None:
    model = light({"agent": GOOD})
    draft = definition_from_dict("contract", OPEN_DRAFT)
    async with open_desk(
        tmp_path, registry=past_the_check([type_of(READ, step(**given))], draft=draft), model=model
    ) as desk:
        assert (await desk.settled("drafting")).status == "completed"


async def test_a_part_is_started_where_what_is_marked_comes_to_no_model(tmp_path: Path) -> None:
    draft = definition_from_dict("contract", OPEN_DRAFT)
    go = {"id": "go", "process": "part", "in": {"number": "$.steps.read.output.number"}}
    known = past_the_check([PART, type_of(READ, go)], draft=draft)
    async with open_desk(tmp_path, registry=known) as desk:  # its host starts no parts; that it is ordered is enough
        view = await desk.submit("drafting")
        state = await desk.host.until(view.process_id, Status.RUNNING)
        while "go.1" not in state.live_calls:
            state = await desk.host.wait(view.process_id, since=state.seq, timeout_s=2)

    assert state.units["go"].phase is Phase.CALLING


async def test_what_a_person_gives_in_place_of_the_input_is_looked_at_too(tmp_path: Path) -> None:
    model = light({"agent": {"subject": "Reminder", "text": "It is open."}})
    draft = draft_contract(data={"sensitive": ["/input/iban"]}, retry={"max_attempts": 1})
    known = past_the_check([type_of(READ, step(number="$.steps.read.output.number"))], draft=draft)
    async with open_desk(tmp_path, registry=known, model=model) as desk:
        desk.reviewers.add("ana", PASSPHRASE)
        view = await desk.settled("drafting")
        data = {"number": "LB-1", "iban": CANARY}
        request = ResolveRequest(
            escalation_id=view.escalations[0].escalation_id, decision="retry_with_input", data=data
        )
        await desk.orchestrator.resolve(request, proof=REVIEWER)
        page = await desk.host.journal(view.process_id, after=0, limit=100)

    failed = [event for row in page.items for event in row.events if isinstance(event, CallFailed)]
    assert [each.code for each in failed] == ["ensures_failed", "sensitive_to_model"]
    assert CANARY not in model.text_asked()
