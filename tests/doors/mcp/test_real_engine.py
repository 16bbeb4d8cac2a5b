"""The door over the real engine, agents and database: every answer keeps its declared schema, every address is read."""

import json
from collections.abc import AsyncGenerator
from importlib import resources
from typing import Any, Literal

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.types import ElicitResult, TextResourceContents

from process_orchestrator.assemble import open_orchestrator
from process_orchestrator.doors.change_feed import ChangeFeed
from process_orchestrator.doors.mcp_server import build_server
from process_orchestrator.home import Home, seed_home
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.settings import Settings

pytestmark = pytest.mark.anyio


def invoice(name: str) -> dict[str, str]:
    return {
        "document": (resources.files("process_orchestrator.doors") / "demo_data" / name).read_text(encoding="utf-8")
    }


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def changes() -> ChangeFeed:
    return ChangeFeed()


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory, changes: ChangeFeed) -> AsyncGenerator[Orchestrator]:
    """One for all tests: its agents, real programs, are started once. Each test leaves no question open behind it."""
    path = tmp_path_factory.mktemp("engine") / "home"
    home = Home(path=path, state=path / "state")
    seed_home(home)
    async with open_orchestrator(home, Settings(), listener=changes.changed) as orchestrator:
        yield orchestrator


class Checked:
    """A client whose every structured result is held against the declared schema."""

    def __init__(self, client: Client, schemas: dict[str, Any]) -> None:
        self.client, self.schemas = client, schemas

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        Draft202012Validator(self.schemas[tool]).validate(result.structured_content)
        assert len(result.content[0].model_dump_json().encode()) < 20_000
        assert result.structured_content is not None
        assert result.is_error is ("status" not in result.structured_content and "error" in result.structured_content)
        return result.structured_content


async def checked(client: Client) -> Checked:
    return Checked(client, {tool.name: tool.output_schema for tool in (await client.list_tools()).tools})


async def read(client: Client, address: str) -> str:
    (content,) = (await client.read_resource(address)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


async def test_what_names_nothing_or_no_amount_has_its_code_and_the_nearest(
    engine: Orchestrator, mode: Literal["auto", "legacy"]
) -> None:
    async with Client(build_server(engine), mode=mode) as client:
        call = await checked(client)
        task = {"process_type": "invoice_approval", "input": invoice("large.xml"), "wait_s": 25}
        view = await call("submit_process", **task)
        process_id, escalation_id = view["process_id"], view["escalations"][0]["escalation_id"]
        assert view["escalations"][0]["why"]["seq"] == view["version"]
        for amount in (0, -1, 1000):
            refused = await call("submit_process", **{**task, "budget_usd": amount})
            assert (refused["error"]["code"], refused["error"]["pointer"]) == ("BUDGET_INVALID", "/budget_usd")
        for unknown in ("zzz", "p_aaaaaaaaaaaaaaaaaaaaaaaaaa"):
            refused = await call("get_state", process_id=unknown)
            assert (refused["error"]["code"], refused["error"]["nearest"][0]) == ("UNKNOWN_PROCESS", process_id)
        for unknown in ("zzz", "p_aaaaaaaaaaaaaaaaaaaaaaaaaa.e1", f"{process_id}.e7"):
            refused = await call("resolve_escalation", escalation_id=unknown)
            assert (refused["error"]["code"], refused["error"]["nearest"][0]) == ("UNKNOWN_ESCALATION", escalation_id)
        refused = await call("list_trace", process_id=process_id, step="pots")
        assert (refused["error"]["code"], refused["error"]["nearest"][0]) == ("UNKNOWN_STEP", "post")
        assert len(refused["error"]["nearest"]) == 3
        package = await call("list_escalations", escalation_id=escalation_id)
        assert package["next_actions"][0]["tool"] == "resolve_escalation"
        page = await call("list_trace", process_id=process_id, kind="call", limit=2)
        following = await call("list_trace", **page["next_actions"][0]["args"])
        assert [entry["seq"] for entry in following["entries"]] == [4, 5]
        await call("resolve_escalation", escalation_id=escalation_id, decision="reject", note="too dear")
        ended = await call("get_state", process_id=process_id, wait_s=5)
        assert ended["error"]["message"] == "rejected by local (argument, A0): too dear"


async def test_a_whole_life_keeps_every_declared_schema(engine: Orchestrator, mode: Literal["auto", "legacy"]) -> None:
    async with Client(build_server(engine), mode=mode) as client:
        call = await checked(client)
        view = await call(
            "submit_process", process_type="invoice_approval", input=json.dumps(invoice("large.xml")), wait_s=25
        )
        process_id = view["process_id"]
        assert view["status"] == "waiting_human"
        assert "input came as a string" in view["warnings"][0]
        full = await call("get_state", process_id=process_id, include=["plan", "report", "diagram"])
        assert {"plan", "report", "diagram"} <= full.keys()
        escalation_id = view["escalations"][0]["escalation_id"]
        package = await call("list_escalations", escalation_id=escalation_id)
        assert package["escalations"][0]["evidence"]
        assert (await call("list_escalations"))["escalations"][0]["escalation_id"] == escalation_id
        waiting = await call("resolve_escalation", escalation_id=escalation_id)
        assert (waiting["status"], waiting["escalation"]["version"]) == ("still_waiting", 1)
        other = await call("resolve_escalation", escalation_id=escalation_id, decision="reject", version=7)
        assert other["error"]["code"] == "VERSION_CONFLICT"
        rejected = await call("resolve_escalation", escalation_id=escalation_id, decision="reject", note="no")
        assert rejected["status"] == "resolved"
        late = await call("resolve_escalation", escalation_id=escalation_id, decision="approve")
        assert late["error"]["record"]["resolution"]["decision"] == "reject"
        ended = await call("get_state", process_id=process_id, wait_s=20, since=view["version"])
        while ended["status"] == "running":
            ended = await call("get_state", process_id=process_id, wait_s=20, since=ended["version"])
        assert (ended["status"], ended["error"]["code"]) == ("failed", "rejected")
        cancelled = await call("cancel_process", process_id=process_id, reason="too late")
        assert cancelled["warnings"]
        step = (await call("list_trace", process_id=process_id, step="extract", data=True))["entries"]
        assert any("output" in entry for entry in step)
        assert (await call("list_processes", status="failed"))["processes"][0]["process_id"] == process_id
        for name in ({}, {"process_type": "invoice_approval"}, {"contract": "ledger.post"}, {"agent": "ledger"}):
            assert (await call("describe_agents", **name))["models"] == "rules"
        payload = await call("validate_contract", contract="ledger.post", direction="input", payload="{}")
        assert payload["valid"] is False
        definition = await call("validate_contract", definition="contract: x")
        assert definition["report"]["ok"] is False


async def test_a_decline_through_the_host_leaves_the_question_open(
    engine: Orchestrator, mode: Literal["auto", "legacy"]
) -> None:
    answers = ["decline", "cancel"]

    async def refuse(context: Any, params: Any) -> ElicitResult:
        return ElicitResult.model_validate({"action": answers.pop(0)})

    async with Client(build_server(engine), mode=mode, elicitation_callback=refuse) as client:
        call = await checked(client)
        view = await call("submit_process", process_type="invoice_approval", input=invoice("large.xml"), wait_s=25)
        escalation_id = view["escalations"][0]["escalation_id"]
        declined = await call("resolve_escalation", escalation_id=escalation_id, decision="Approve")
        closed = await call("resolve_escalation", escalation_id=escalation_id)
        after = await call("get_state", process_id=view["process_id"])
        await call("cancel_process", process_id=view["process_id"], reason="asked enough")
    assert (declined["status"], closed["status"]) == ("refused", "still_waiting")
    assert (after["status"], after["version"]) == ("waiting_human", view["version"])


async def test_every_address_that_a_process_names_is_read(
    engine: Orchestrator, mode: Literal["auto", "legacy"]
) -> None:
    async with Client(build_server(engine), mode=mode) as client:
        call = await checked(client)
        view = await call("submit_process", process_type="invoice_approval", input=invoice("large.xml"), wait_s=25)
        for address in view["resources"]:
            assert await read(client, address)
        process_id = view["process_id"]
        assert json.loads(await read(client, f"process://{process_id}/steps/extract/output"))["currency"] == "EUR"
        lines = (await read(client, f"process://{process_id}/trace")).splitlines()
        assert json.loads(lines[0])["event"] == "ProcessStarted"
        as_contract = json.loads(await read(client, "contracts://invoice_approval/1.0.0"))
        assert as_contract == json.loads(await read(client, "processes://invoice_approval/1.0.0"))
        assert json.loads(await read(client, "contracts://ledger.post/1.0.0"))["effect"] == "write"
        await call("cancel_process", process_id=process_id, reason="read enough")


async def test_every_committed_change_reaches_a_subscriber(engine: Orchestrator, changes: ChangeFeed) -> None:
    async with Client(build_server(engine, changes=changes)) as client:
        call = await checked(client)
        view = await call("submit_process", process_type="invoice_approval", input=invoice("large.xml"), wait_s=25)
        escalation_id = view["escalations"][0]["escalation_id"]
        watched = {f"process://{view['process_id']}/state", f"escalation://{escalation_id}"}
        heard: set[str] = set()
        with anyio.fail_after(20):
            async with client.listen(resource_subscriptions=sorted(watched)) as events:
                await call("resolve_escalation", escalation_id=escalation_id, decision="reject")
                async for event in events:
                    heard.add(event.uri)  # type: ignore[union-attr]  # only resources are watched
                    if heard == watched:
                        break
    assert heard == watched
