"""The second door to the same bytes: resources, their completion, and word of changes."""

import json
from typing import Any, cast

import anyio
import pytest
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextResourceContents

from doors.mcp.conftest import Connect
from doors.mcp.fake_orchestrator import ESCALATION, PROCESS, FakeOrchestrator
from process_orchestrator.core.errors import EngineError
from process_orchestrator.doors.change_feed import ChangeFeed

pytestmark = pytest.mark.anyio

TEMPLATES = [
    "contracts://{name}/{version}",
    "processes://{name}/{version}",
    "process://{process_id}/state",
    "process://{process_id}/trace",
    "process://{process_id}/diagram",
    "process://{process_id}/steps/{step}/input",
    "process://{process_id}/steps/{step}/output",
    "escalation://{escalation_id}",
    "report://{process_id}",
]


async def read(client: Client, address: str) -> str:
    (content,) = (await client.read_resource(address)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


async def test_three_indexes_and_nine_templates_are_listed(connect: Connect) -> None:
    async with connect() as client:
        listed = [str(each.uri) for each in (await client.list_resources()).resources]
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
    assert listed == ["contracts://index", "processes://index", "agents://index"]
    assert templates == TEMPLATES


async def test_the_contract_index_lists_process_types_too(connect: Connect) -> None:
    async with connect() as client:
        index = json.loads(await read(client, "contracts://index"))
        processes = json.loads(await read(client, "processes://index"))
        agents = json.loads(await read(client, "agents://index"))
    assert [each["name"] for each in index["contracts"]] == ["ledger.post"]
    assert [each["name"] for each in index["process_types"]] == ["invoice_approval"]
    assert processes["process_types"] == index["process_types"]
    assert [each["name"] for each in agents["agents"]] == ["ledger"]


async def test_each_definition_is_read_by_name_and_version(connect: Connect) -> None:
    async with connect() as client:
        contract = json.loads(await read(client, "contracts://ledger.post/1.2.0"))
        as_contract = json.loads(await read(client, "contracts://invoice_approval/1.0.0"))
        as_type = json.loads(await read(client, "processes://invoice_approval/1.0.0"))
        with pytest.raises(MCPError) as other_version:
            await client.read_resource("contracts://ledger.post/1.1.0")
    assert (contract["name"], contract["version"]) == ("ledger.post", "1.2.0")
    assert as_contract == as_type
    assert other_version.value.error.code == -32602


async def test_what_belongs_to_a_process_is_read_under_its_id(connect: Connect) -> None:
    async with connect() as client:
        assert json.loads(await read(client, f"process://{PROCESS}/state"))["process_id"] == PROCESS
        trace = await read(client, f"process://{PROCESS}/trace")
        assert await read(client, f"process://{PROCESS}/diagram") == "flowchart TD"
        assert await read(client, f"report://{PROCESS}") == "# Invoice 4711"
        assert json.loads(await read(client, f"escalation://{ESCALATION}"))["version"] == 1
    assert [json.loads(line)["seq"] for line in trace.splitlines()] == [1, 2, 3]


@pytest.mark.parametrize("step", ["lines[3]", "lines%5B3%5D"])
async def test_the_body_of_one_item_of_a_step_is_read(connect: Connect, step: str) -> None:
    async with connect() as client:
        body = json.loads(await read(client, f"process://{PROCESS}/steps/{step}/output"))
    assert body == {"step": "lines[3]", "part": "output"}


@pytest.mark.parametrize(
    "address", ["process://p_other/state", "escalation://p_other.e1", "report://p_other", "nowhere://at/all"]
)
async def test_an_address_without_anything_behind_it_is_not_found(connect: Connect, address: str) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as missing:
            await client.read_resource(address)
    assert missing.value.error.code == -32602


async def test_a_resource_that_cannot_be_read_now_says_so(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    orchestrator.failure = EngineError("ENGINE_UNAVAILABLE", "the engine does not answer.")
    async with connect() as client:
        with pytest.raises(MCPError) as failed:
            await client.read_resource(f"process://{PROCESS}/state")
    assert failed.value.error.code == -32603
    assert "the engine does not answer" in failed.value.error.message


COMPLETIONS = [
    ("process://{process_id}/state", "process_id", "p_a", {}, [PROCESS]),
    ("process://{process_id}/state", "process_id", "p_b", {}, []),
    ("process://{process_id}/steps/{step}/input", "step", "", {"process_id": PROCESS}, ["read", "lines"]),
    ("process://{process_id}/steps/{step}/input", "step", "", {"process_id": "p_other"}, []),
    ("escalation://{escalation_id}", "escalation_id", "", {}, [ESCALATION]),
    ("contracts://{name}/{version}", "name", "", {}, ["ledger.post", "invoice_approval"]),
    ("contracts://{name}/{version}", "version", "1", {"name": "ledger.post"}, ["1.2.0"]),
    ("processes://{name}/{version}", "name", "", {}, ["invoice_approval"]),
    ("review_escalation", "escalation_id", "p_", {}, [ESCALATION]),
    ("draft_process_type", "task", "a", {}, []),
]


@pytest.mark.parametrize(("address", "argument", "typed", "known", "expected"), COMPLETIONS)
async def test_ids_names_and_versions_are_completed(
    connect: Connect, address: str, argument: str, typed: str, known: dict[str, str], expected: list[str]
) -> None:
    reference: Any = (
        ResourceTemplateReference(type="ref/resource", uri=address)
        if "://" in address
        else PromptReference(type="ref/prompt", name=address)
    )
    async with connect() as client:
        answer = await client.complete(reference, {"name": argument, "value": typed}, context_arguments=known)
    assert answer.completion.values == expected


async def test_a_burst_of_changes_reaches_a_subscriber_as_one_word(
    connect: Connect, changes: ChangeFeed, mode: str
) -> None:
    if mode == "legacy":
        pytest.skip("that revision has no listen")
    watched = [f"process://{PROCESS}/state", f"escalation://{ESCALATION}"]
    async with connect() as client:
        with anyio.fail_after(10):
            async with client.listen(resource_subscriptions=watched) as events:
                for seq in range(50):
                    changes.changed(PROCESS, seq, [ESCALATION])
                changes.changed("p_other", 1, [])
                first, second = await anext(events), await anext(events)
                heard = [cast("Any", first).uri, cast("Any", second).uri]
                changes.changed(PROCESS, 51, [])
                third = cast("Any", await anext(events)).uri
    assert heard == watched
    assert third == watched[0]


async def test_changes_from_another_thread_are_heard(changes: ChangeFeed) -> None:
    heard: list[tuple[str, ...]] = []
    with anyio.fail_after(10):
        batches = changes.batches()
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                heard.append(await anext(batches))
                await batches.aclose()

            group.start_soon(listen)
            while not heard:
                await anyio.to_thread.run_sync(changes.changed, PROCESS, 1, [ESCALATION])
    assert heard == [
        (
            f"process://{PROCESS}/state",
            f"process://{PROCESS}/trace",
            f"process://{PROCESS}/diagram",
            f"report://{PROCESS}",
            f"escalation://{ESCALATION}",
        )
    ]
