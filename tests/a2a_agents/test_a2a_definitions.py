"""A home that uses an A2A agent, as a newcomer writes it: checked, run, asked about; and cards as the SDK reads them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from a2a.client.card_resolver import parse_agent_card
from a2a.server.request_handlers.response_helpers import agent_card_to_dict

from a2a_agents.serving import a2a_server, card
from formats.writing import opened, problems, write_home
from process_orchestrator.checking.a2a_card import card_url, read_card
from process_orchestrator.core.errors import CardError

HOME = """
    contract: invoice.book
    version: 1.0.0
    summary: Book an invoice.
    input:  {type: object, required: [do], properties: {do: {type: string}, say: {type: string}, key: {type: string}}}
    output: {type: object, required: [total], properties: {total: {type: number}, id: {type: integer}}}
    errors:
      no_vendor: {class: not_found}
    effects: {kind: write}
    idempotency: {key: key}
    ---
    process: booking
    version: 1.0.0
    summary: Book an invoice.
    input:  {type: object, required: [do], properties: {do: {type: string}, say: {type: string}}}
    output: {type: object}
    plan:
      steps: [{id: book, contract: invoice.book, in: {do: $.input.do, say: $.input.say}, on_failure: {needs_human: escalate, else: fail}}]
      output: {booked: {first: [$.steps.book.output, {const: null}]}}
    ---
    agent: ledger
    summary: Keeps books.
    transport: {kind: a2a, card: "URL", allow_loopback: true}
    serves: [{contract: invoice.book@^1, bind: BIND}]
"""
SOUND = "{skill: book, errors: {no_vendor: {state: failed, text: vendor}}}"


def home(url: str = "https://ledger.example", bind: str = SOUND) -> str:
    return HOME.replace("URL", url).replace("BIND", bind)


@pytest.mark.anyio
async def test_a_process_calls_an_a2a_agent_under_a_contract(tmp_path: Path) -> None:
    async with a2a_server() as server, opened(write_home(tmp_path, home(server.url))) as use:
        booked = await use.run("booking", {"do": "work"})
        declared = await use.run("booking", {"do": "failed", "say": "no such vendor"})
        asking = await use.run("booking", {"do": "requires_input", "say": "Which cost centre?"})
        package = await use.orchestrator.escalation(asking.escalations[0].escalation_id)
    assert booked.output == {"booked": {"total": 1, "id": 5}}
    assert declared.error is not None
    assert (declared.error.code, declared.error.blame) == ("no_vendor", "agent")
    assert (asking.status, asking.escalations[0].kind) == ("waiting_human", "failed")
    answers = [each.value for each in package.evidence or [] if each.label == "answer as received"]
    assert answers == [{"state": "input-required", "said": "Which cost centre?"}]


@pytest.mark.parametrize(
    ("bind", "told"),
    [
        (SOUND, None),
        ("{skill: book, text: say, result: data, input: {a: $.do}}", None),
        ("{tool: book}", "BIND_KIND agents_registry/ledger.agent.yaml /serves/0/bind: an agent of kind a2a is bound by skill"),
        ("{skill: book, result: structured}", "BAD_VALUE agents_registry/ledger.agent.yaml /serves/0/bind/result:"),
        ("{skill: book, errors: {no_vendor: {state: completed}}}", "BAD_VALUE agents_registry/ledger.agent.yaml /serves/0/bind/errors/no_vendor/state:"),
    ],
)  # fmt: skip
def test_a_bind_of_an_a2a_agent_names_a_skill(tmp_path: Path, bind: str, told: str | None) -> None:
    found = [line for line in problems(write_home(tmp_path, home(bind=bind))) if line.startswith("error")]
    assert [line.startswith(f"error {told}") for line in found[:1]] == ([] if told is None else [True])


@pytest.mark.parametrize("versions", [("1.0",), ("0.3",), ("0.3", "1.0"), ("1.0", "0.3")])
def test_a_card_reads_as_the_sdk_reads_it(versions: tuple[str, ...]) -> None:
    written = agent_card_to_dict(card("https://ledger.example/rpc", *versions))
    theirs = parse_agent_card(copy.deepcopy(written))
    ours = read_card(written)
    assert (ours.name, ours.version) == (theirs.name, theirs.version)
    assert [each.version for each in ours.interfaces] == [each.protocol_version for each in theirs.supported_interfaces]
    assert [each.id for each in ours.skills] == [each.id for each in theirs.skills]
    assert ours.skills[0].input_modes == ("application/json",)
    assert ours.skills[1].output_modes == ("text/plain",)
    assert ours.interface().version == max(versions)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://a.example", "https://a.example/.well-known/agent-card.json"),
        ("https://a.example/", "https://a.example/.well-known/agent-card.json"),
        ("https://a.example/agents/7/card.json", "https://a.example/agents/7/card.json"),
    ],
)
def test_a_card_lies_at_the_known_place_unless_another_is_named(written: str, read: str) -> None:
    assert card_url(written) == read


@pytest.mark.parametrize(
    "value", [None, [], {}, {"skills": [5]}, {"skills": [{"name": "x"}]}, {"skills": [{"id": ""}]}, {"skills": [{}] * 1001}]
)  # fmt: skip
def test_a_card_that_is_none_is_refused_in_words(value: Any) -> None:
    with pytest.raises(CardError):
        read_card(value)
