"""A script that uses only the official MCP client over stdio, in both protocol eras.

One home; on it for each era two servers: one for a client that can elicit, and one for a client that cannot. The first
of them is the engine, the others are doors to it.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import ElicitResult

from acceptance.driving import PROGRAM, call, document, environment, server, until_settled
from process_orchestrator.home import Home, seed_home

ERAS = ("auto", "legacy")

pytestmark = pytest.mark.anyio


class Person:
    """Sits at the host application and answers its forms."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, context: Any, params: Any) -> ElicitResult:
        del context
        self.asked.append(params.message)
        return ElicitResult(action="accept", content={"decision": "approve", "note": "fine"})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Clients(NamedTuple):
    """A client that elicits, one that does not, and the person behind the first."""

    asking: Client
    plain: Client
    person: Person


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    made = Home(path=folder, state=folder / "state")
    seed_home(made)
    made.make_state()
    return made


@pytest.fixture(scope="module")
async def clients_of(home: Home) -> AsyncIterator[dict[str, Clients]]:
    """The clients of each era, all there at once: so the agents are started once."""
    async with AsyncExitStack() as stack:
        there: dict[str, Clients] = {}
        for era in ERAS:
            person = Person()
            asking = Client(server(home), mode=era, elicitation_callback=person.answer)
            plain = Client(server(home), mode=era)
            there[era] = Clients(
                await stack.enter_async_context(asking), await stack.enter_async_context(plain), person
            )
        yield there


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def clients(clients_of: dict[str, Clients], era: str) -> Clients:
    return clients_of[era]


@pytest.mark.behaviour("scripts")
async def test_a_script_describes_submits_watches_and_reads_the_trace(clients: Clients, era: str) -> None:
    client = clients.asking
    described = await call(client, "describe_agents")
    assert {row["name"] for row in described["process_types"]} >= {"invoice_approval", "release_report"}
    started = time.perf_counter()
    submitted = await call(
        client,
        "submit_process",
        process_type="invoice_approval",
        input={"document": document("straight.xml")},
        idempotency_key=f"invoice-1, {era}",
    )
    assert time.perf_counter() - started < 1.0
    view = await until_settled(client, submitted["process_id"])
    assert (view["status"], view["output"]["posted"]) == ("completed", True)
    trace = await call(client, "list_trace", process_id=view["process_id"], step="post", data=True)
    prepared = next(entry for entry in trace["entries"] if entry["event"] == "CallPrepared")
    booked = next(entry for entry in trace["entries"] if entry["event"] == "CallSucceeded")
    assert prepared["input"]["invoice_number"] == "HF-2026-0117"
    assert booked["output"]["id"] == view["output"]["posting_id"]
    index = await client.read_resource("contracts://index")
    names = json.dumps([content.model_dump(mode="json") for content in index.contents])
    assert "ledger.post" in names


async def test_a_person_approves_through_the_host_application(clients: Clients) -> None:
    client, person = clients.asking, clients.person
    view = await submit_large(client)
    escalation = view["escalations"][0]["escalation_id"]
    resolved = await call(client, "resolve_escalation", escalation_id=escalation)
    assert resolved["status"] == "resolved"
    assert resolved["recorded"]["assurance"] == "A1"
    assert len(person.asked) == 1
    assert (await until_settled(client, view["process_id"]))["status"] == "completed"


@pytest.mark.behaviour("P9")
async def test_a_model_cannot_approve_by_an_argument_but_may_reject(clients: Clients) -> None:
    client = clients.plain
    view = await submit_large(client)
    escalation = view["escalations"][0]["escalation_id"]
    needed = await call(client, "resolve_escalation", escalation_id=escalation, decision="approve")
    assert (needed["status"], needed["required"]) == ("needs_human", "A1")
    assert any(escalation in (way.get("command") or "") for way in needed["how"])
    rejected = await call(client, "resolve_escalation", escalation_id=escalation, decision="reject", note="no")
    assert (rejected["status"], rejected["recorded"]["assurance"]) == ("resolved", "A0")
    ended = await until_settled(client, view["process_id"])
    assert ended["status"] == "failed"
    assert (ended["error"]["code"], ended["error"]["blame"]) == ("rejected", "policy")


async def submit_large(client: Any) -> dict[str, Any]:
    submitted = await call(
        client, "submit_process", process_type="invoice_approval", input={"document": document("large.xml")}
    )
    view = await until_settled(client, submitted["process_id"])
    assert view["status"] == "waiting_human"
    return view


async def test_every_result_keeps_its_declared_schema_and_every_error_has_its_code(clients: Clients) -> None:
    client = clients.asking
    wrong = [
        ("get_state", {"process_id": "p_nothing"}, "UNKNOWN_PROCESS"),
        ("list_trace", {"process_id": "p_nothing"}, "UNKNOWN_PROCESS"),
        ("cancel_process", {"process_id": "p_nothing", "reason": "-"}, "UNKNOWN_PROCESS"),
        ("resolve_escalation", {"escalation_id": "p_x.e1", "decision": "approve"}, "UNKNOWN_ESCALATION"),
        ("submit_process", {"process_type": "invoice_aproval", "input": {}}, "UNKNOWN_PROCESS_TYPE"),
        ("submit_process", {"process_type": "invoice_approval", "input": {}}, "INPUT_MISMATCH"),
        ("submit_process", {"task": "please sing"}, "AMBIGUOUS_TASK"),
        ("submit_process", {}, "BAD_ARGUMENT"),
        ("describe_agents", {"contract": "ledger.pots"}, "UNKNOWN_CONTRACT"),
        ("describe_agents", {"agent": "ledgre"}, "UNKNOWN_AGENT"),
        ("validate_contract", {"contract": "nope", "direction": "input", "payload": {}}, "UNKNOWN_CONTRACT"),
    ]
    schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
    for tool, arguments, code in wrong:
        result = await client.call_tool(tool, arguments)
        assert result.is_error, (tool, arguments)
        assert isinstance(result.structured_content, dict)
        assert result.structured_content["error"]["code"] == code
        assert result.content[0].text.startswith(f"{code}: ")  # type: ignore[union-attr]
        assert " Do: " in result.content[0].text  # type: ignore[union-attr]
        jsonschema.validate(result.structured_content, schemas[tool] or {})
    for tool, arguments in (
        ("describe_agents", {}),
        ("list_processes", {}),
        ("list_escalations", {"status": "all"}),
        ("validate_contract", {"contract": "policy.check", "direction": "input", "payload": {}}),
    ):
        result = await client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        jsonschema.validate(result.structured_content, schemas[tool] or {})


@pytest.mark.behaviour("config")
async def test_the_example_config_starts_a_server_that_answers(home: Home) -> None:
    example = Path(__file__).resolve().parents[2] / "claude_desktop_config.example.json"
    text = example.read_text(encoding="utf-8")
    text = text.replace("/ABSOLUTE/PATH/process-orchestrator/.venv/bin/orchestrator", str(PROGRAM))
    text = text.replace("/ABSOLUTE/PATH/orchestrator-home", str(home.path))
    block = json.loads(text)["mcpServers"]["process-orchestrator"]
    parameters = StdioServerParameters(command=block["command"], args=block["args"], env=environment())
    async with Client(parameters) as client:
        described = await call(client, "describe_agents")
    assert described["agents"]
