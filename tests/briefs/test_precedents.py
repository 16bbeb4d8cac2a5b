"""Earlier decisions about the same contract and failure stand beside a question, newest first, and bind nobody."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from formats.writing import write_home
from process_orchestrator.assemble import open_orchestrator
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.ports import InProcessCall, Proof, ProofKind
from process_orchestrator.home import Home
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import Caller, EscalationView, ResolveRequest, SubmitRequest
from process_orchestrator.views.text import escalation_text

pytestmark = pytest.mark.anyio

HOME = """
    contract: thing.act
    version: 1.0.0
    summary: Act.
    input:  {type: object, properties: {how: {type: string}}}
    output: {type: object}
    errors: {closed: {class: permanent}, full: {class: permanent}}
    effects: {kind: read}
    approval: {when: {expr: "has(input.how) && input.how == 'ask'"}, min_assurance: A1}
    ---
    contract: other.act
    version: 1.0.0
    summary: Act.
    input:  {type: object, properties: {how: {type: string}}}
    output: {type: object}
    errors: {closed: {class: permanent}}
    effects: {kind: read}
    ---
    agent: desk
    summary: Acts.
    transport: {kind: http, base_url: "https://desk.example"}
    serves: [{contract: thing.act@^1, bind: {method: GET, path: /}}, {contract: other.act@^1, bind: {method: GET, path: /}}]
    ---
    process: acting
    version: 1.0.0
    summary: Act.
    input:  {type: object, properties: {how: {type: string}}}
    output: {type: object}
    escalation: {min_assurance: A1}
    plan: {steps: [{id: a, contract: thing.act, in: {how: $.input.how}}], output: {}}
    ---
    process: acting_too
    version: 1.0.0
    summary: Act.
    input:  {type: object, properties: {how: {type: string}}}
    output: {type: object}
    escalation: {min_assurance: A1}
    plan: {steps: [{id: other_name, contract: thing.act, in: {how: $.input.how}}], output: {}}
    ---
    process: other
    version: 1.0.0
    summary: Act.
    input:  {type: object, properties: {how: {type: string}}}
    output: {type: object}
    escalation: {min_assurance: A1}
    plan: {steps: [{id: a, contract: other.act, in: {how: $.input.how}}], output: {}}
"""
TERMINAL = Proof(kind=ProofKind.TERMINAL, principal="local")


async def desk(arguments: dict[str, Any], told: InProcessCall) -> Any:
    raise AgentCallError(arguments.get("how", "closed"), "it does not work")


@asynccontextmanager
async def opened(home: Home) -> AsyncGenerator[Orchestrator]:
    async with open_orchestrator(home, Settings(), in_process={"desk": desk}) as orchestrator:
        yield orchestrator


async def question(
    orchestrator: Orchestrator, how: str = "closed", process_type: str = "acting", principal: str = "local"
) -> EscalationView:
    """The question of a new process."""
    request = SubmitRequest(process_type=process_type, input={"how": how}, wait_s=10)
    view = await orchestrator.submit(request, caller=Caller(principal=principal))
    assert view.status == "waiting_human"
    name = view.escalations[0].escalation_id
    return await orchestrator.escalation(name, caller=Caller(principal=principal))


async def decided(orchestrator: Orchestrator, decision: str, *args: str, proof: Proof = TERMINAL) -> str:
    """A question that is decided; its id."""
    asked = await question(orchestrator, *args)
    request = ResolveRequest(escalation_id=asked.escalation_id, decision=decision)
    caller = Caller(principal=args[2] if len(args) > 2 else "local")
    assert (await orchestrator.resolve(request, proof=proof, caller=caller)).status == "resolved"
    return asked.escalation_id


async def test_the_newest_decisions_about_the_same_contract_and_failure_are_shown(tmp_path: Path) -> None:
    async with opened(write_home(tmp_path, HOME)) as orchestrator:
        assert (await question(orchestrator)).precedents == []
        ids = [await decided(orchestrator, "skip") for _ in range(3)]
        ids += [await decided(orchestrator, "abort", "closed", "acting_too") for _ in range(3)]
        await decided(orchestrator, "skip", "full")
        await decided(orchestrator, "skip", "closed", "other")
        asked = await question(orchestrator)

    assert asked.precedents is not None
    assert [each.escalation_id for each in asked.precedents] == ids[:0:-1]
    newest = asked.precedents[0]
    assert (newest.decision, newest.kind, newest.code) == ("abort", "failed", "closed")
    assert (newest.assurance, newest.channel, newest.uri) == ("A1", "terminal", f"escalation://{ids[-1]}")
    assert f"- abort by {newest.by} (terminal, A1) at {newest.at}: {newest.uri}" in escalation_text(asked)


async def test_nothing_is_lowered_by_how_often_it_was_decided_before(tmp_path: Path) -> None:
    async with opened(write_home(tmp_path, HOME)) as orchestrator:
        first = await question(orchestrator)
        for _ in range(3):
            await decided(orchestrator, "skip")
        asked = await question(orchestrator)
        request = ResolveRequest(escalation_id=asked.escalation_id, decision="skip")
        unproven = await orchestrator.resolve(request, proof=Proof(kind=ProofKind.ARGUMENT))

    assert len(asked.precedents or ()) == 3
    assert asked.required_assurance == first.required_assurance == "A1"
    assert [(each.decision, each.needs) for each in asked.options] == [
        (each.decision, each.needs) for each in first.options
    ]
    assert unproven.status == "needs_human"


async def test_what_was_decided_later_does_not_change_what_was_shown(tmp_path: Path) -> None:
    async with opened(write_home(tmp_path, HOME)) as orchestrator:
        early = await question(orchestrator)
        await decided(orchestrator, "skip")
        again = await orchestrator.escalation(early.escalation_id)

    assert again.precedents == []


async def test_nothing_of_another_principal_is_shown(tmp_path: Path) -> None:
    async with opened(write_home(tmp_path, HOME)) as orchestrator:
        await decided(orchestrator, "skip", "closed", "acting", "ana")
        mine = await question(orchestrator, "closed", "acting", "ben")
        hers = await question(orchestrator, "closed", "acting", "ana")

    assert (mine.precedents, len(hers.precedents or ())) == ([], 1)
