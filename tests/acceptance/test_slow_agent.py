"""A 40-second agent beside a host application that gives up on a tool call after a while: no call may outlast 26 s.

The one exception is a call in which the host shows its user a form: it waits for the person.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from mcp import Client
from mcp.types import ElicitResult

from acceptance.building import SHARED_PROGRAMS, HomeBuilder, record
from acceptance.driving import ENDED, server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AGENT_S: Final = 40
LONGEST_CALL_S: Final = 26
TOOLS: Final = {"submit_process", "get_state", "list_trace", "resolve_escalation", "cancel_process"}


class TimedClient:
    """A client that notes how long its calls take."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.longest: dict[str, float] = {}

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        started = time.perf_counter()
        result = await self._client.call_tool(tool, arguments)
        self.longest[tool] = max(self.longest.get(tool, 0.0), time.perf_counter() - started)
        assert not result.is_error, result.content
        assert isinstance(result.structured_content, dict)
        return result.structured_content


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncGenerator[list[TimedClient]]:
    """Three servers on one home: the engine, a door to it in the older era, and one whose user is slow to answer."""
    build = HomeBuilder(tmp_path / "home")
    nothing = record({})
    build.contract("slow.work", given=nothing, answer=record({"slept": {"type": "number"}}), timeout={"attempt_s": 60})
    build.stdio_agent(
        "sleeper",
        SHARED_PROGRAMS / "sdk_tools.py",
        serves={"slow.work": {"tool": "slow", "input": {"seconds": AGENT_S}}},
    )
    build.contract("clerk.say", given=nothing, answer=record({"said": {"type": "string"}}))
    build.human_agent("clerk", role="clerk", serves=["clerk.say"])
    build.process("slow", {"id": "work", "contract": "slow.work", "in": {}}, given=nothing)
    build.process("asking", {"id": "say", "contract": "clerk.say", "in": {}}, given=nothing)
    build.process(
        "slow_and_asking",
        {"id": "work", "contract": "slow.work", "in": {}},
        {"id": "say", "contract": "clerk.say", "in": {}},
        given=nothing,
    )
    home = build.built()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Client(server(home), mode="auto"))
        door = await stack.enter_async_context(Client(server(home), mode="legacy"))
        slow_user = await stack.enter_async_context(
            Client(server(home), mode="legacy", elicitation_callback=answers_slowly)
        )
        yield [TimedClient(engine), TimedClient(door), TimedClient(slow_user)]


async def answers_slowly(context: Any, params: Any) -> ElicitResult:
    await anyio.sleep(AGENT_S)
    return ElicitResult(action="accept", content={"decision": "reject"})


async def completes(client: TimedClient) -> None:
    """Submitted with the longest wait, polled with the longest wait, looked at meanwhile."""
    started = time.perf_counter()
    view = await client.call("submit_process", process_type="slow", input={}, wait_s=25)
    assert view["status"] == "running"
    name = view["process_id"]
    while view["status"] not in ENDED:
        await client.call("list_trace", process_id=name)
        view = await client.call("get_state", process_id=name, wait_s=25, since=view["version"])
    assert view["status"] == "completed"
    assert time.perf_counter() - started >= AGENT_S


async def cancels(client: TimedClient) -> None:
    """Cancelled while the agent works: the answer says how it stands, it does not wait for the agent."""
    view = await client.call("submit_process", process_type="slow", input={})
    while view["steps"][0]["status"] != "calling":
        view = await client.call("get_state", process_id=view["process_id"], wait_s=1, since=view["version"])
    view = await client.call("cancel_process", process_id=view["process_id"], reason="the user changed their mind")
    while view["status"] not in ENDED:
        view = await client.call("get_state", process_id=view["process_id"], wait_s=25, since=view["version"])
    assert view["status"] == "cancelled"


async def asks(client: TimedClient) -> None:
    """A question is answered while another step of the same process still works."""
    view = await client.call("submit_process", process_type="slow_and_asking", input={})
    while not view["escalations"]:
        view = await client.call("get_state", process_id=view["process_id"], wait_s=25, since=view["version"])
    question = view["escalations"][0]["escalation_id"]
    looked = await client.call("resolve_escalation", escalation_id=question)
    assert looked["status"] in {"needs_human", "still_waiting"}
    resolved = await client.call(
        "resolve_escalation", escalation_id=question, decision="answer", data={"said": "go on"}
    )
    assert resolved["status"] == "resolved"
    while view["status"] not in ENDED:
        view = await client.call("get_state", process_id=view["process_id"], wait_s=25, since=view["version"])
    assert view["status"] == "completed"


async def lets_the_user_think(client: TimedClient) -> None:
    """While the host's form stands before its user, the other calls of that connection go on."""
    view = await client.call("submit_process", process_type="asking", input={})
    while not view["escalations"]:
        view = await client.call("get_state", process_id=view["process_id"], wait_s=25, since=view["version"])
    question = view["escalations"][0]["escalation_id"]
    looks = 0
    async with anyio.create_task_group() as tasks:

        async def look_around() -> None:
            nonlocal looks
            while True:
                await client.call("get_state", process_id=view["process_id"], wait_s=1, since=view["version"])
                looks += 1

        tasks.start_soon(look_around)
        resolved = await client.call("resolve_escalation", escalation_id=question)
        assert (resolved["status"], resolved["recorded"]["assurance"]) == ("resolved", "A1")
        tasks.cancel_scope.cancel()
    assert client.longest.pop("resolve_escalation") >= AGENT_S
    assert looks > AGENT_S / 2


async def test_no_tool_call_outlasts_26_seconds_and_the_process_completes(doors: list[TimedClient]) -> None:
    *full, slow_user = doors
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lets_the_user_think, slow_user)
        for client in full:
            for story in (completes, cancels, asks):
                tasks.start_soon(story, client)
    for client in doors:
        print(f"longest calls in s: { {tool: round(took, 2) for tool, took in client.longest.items()} }")
        assert max(client.longest.values()) < LONGEST_CALL_S
    for client in full:
        assert client.longest.keys() == TOOLS
        assert client.longest["get_state"] > 10
