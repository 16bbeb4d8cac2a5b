"""The pool itself: places, pace, agents that change or go while calls run, agents in this process, health."""

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from performing.fleet import Directory, agent, failing, one_call, open_pool, stdio, tool, until
from process_orchestrator.checking.documents.definitions import AgentLimits, Circuit, Serve, Transport
from process_orchestrator.checking.plans.plan_document import PinnedAgent
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import ContractPin, FailureClass
from process_orchestrator.core.ports import InProcessCall

PROMISE = PinnedAgent(name="tools", sha256="pinned", bind={})
CONTRACT = ContractPin(name="ledger.post", version="1.0.0", sha256="c")


async def test_waiting_for_a_place_costs_a_call_nothing_of_its_own_time(tmp_path: Path) -> None:
    narrow = stdio("narrow", "sdk_tools.py", limits=AgentLimits(concurrency=1))
    async with open_pool(Directory(narrow), tmp_path) as pool:
        await tool(pool, "narrow", "add", a=0, b=0)
        answers: list[Any] = []

        async def crowded_out() -> None:
            answers.append((await tool(pool, "narrow", "add", 600, a=1, b=2)).value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: tool(pool, "narrow", "slow", seconds=0.8))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(crowded_out)
            await anyio.wait_all_tasks_blocked()
            assert pool.health()[0].waiting == 1
    assert len(answers) == 1


async def test_calls_keep_the_agents_pace(tmp_path: Path) -> None:
    paced = stdio("paced", "hostile.py", limits=AgentLimits(per_s=20.0))
    async with open_pool(Directory(paced), tmp_path) as pool:
        await tool(pool, "paced", "echo")
        started = anyio.current_time()
        for _ in range(4):
            await tool(pool, "paced", "echo")
        assert anyio.current_time() - started >= 0.15


async def test_a_new_definition_serves_the_next_call_and_lets_the_old_one_finish(tmp_path: Path) -> None:
    directory = Directory(stdio("tools", "sdk_tools.py"))
    async with open_pool(directory, tmp_path) as pool:
        await tool(pool, "tools", "add", a=0, b=0)
        slept: list[Any] = []

        async def long_call() -> None:
            slept.append((await tool(pool, "tools", "slow", seconds=1.0)).value)

        old = pool.health()[0].pid
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(long_call)
            await anyio.wait_all_tasks_blocked()
            directory.put(stdio("tools", "hostile.py"))
            assert (await tool(pool, "tools", "echo", a=1)).value == {"a": 1}
        assert slept == [{"slept": 1.0}]
        assert pool.health()[0].pid != old


async def test_an_agent_taken_from_the_registry_is_not_called_any_more(tmp_path: Path) -> None:
    directory = Directory(stdio("tools", "hostile.py"))
    async with open_pool(directory, tmp_path) as pool:
        await tool(pool, "tools", "echo")
        directory.remove("tools")
        assert (await failing(pool, "tools", "echo")).code == "unreachable"
        assert pool.standing(PROMISE, CONTRACT).gone == "is not registered"


@pytest.mark.parametrize("kind", ["model", "human"])
async def test_kinds_that_cannot_be_called_here_say_so(tmp_path: Path, kind: str) -> None:
    async with open_pool(Directory(agent("other", Transport(kind=kind))), tmp_path) as pool:
        error = await failing(pool, "other", "x")
    assert (error.code, error.class_) == ("unreachable", FailureClass.PERMANENT)
    assert kind in error.message


async def test_an_agent_in_this_process_learns_its_call_and_shadows_the_registry(tmp_path: Path) -> None:
    heard: list[InProcessCall] = []

    async def inner(arguments: dict[str, Any], call: InProcessCall) -> Any:
        heard.append(call)
        return arguments

    async with open_pool(Directory(stdio("inner", "hostile.py")), tmp_path, {"inner": inner}) as pool:
        bind = {"input": {"path": "$.file"}}
        assert (await pool.call("inner", bind, {"file": "a", "n": 1}, one_call())).value == {"path": "a", "n": 1}
        assert pool.health()[0].kind == "in_process"
    assert heard == [InProcessCall(process="p_x", call="post.1", contract="ledger.post@1.0.0", key="p_x/post/g1")]


async def test_health_tells_what_calls_have_shown(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("tools", "hostile.py")), tmp_path) as pool:
        assert pool.health()[0].health == "idle"
        await tool(pool, "tools", "echo")
        await failing(pool, "tools", "fail")
        shown = pool.health()[0]
        assert (shown.health, shown.calls, shown.failures) == ("down", 2, 1)
        assert "undeclared_error" in str(shown.last_error)
        await tool(pool, "tools", "echo")
        assert pool.health()[0].health == "up"


async def test_a_raw_call_of_what_has_no_tools_says_so(tmp_path: Path) -> None:
    async with open_pool(Directory(agent("desk", Transport(kind="http", url="http://127.0.0.1:9"))), tmp_path) as pool:
        with pytest.raises(AgentCallError, match="no MCP agent"):
            await pool.call_tool_raw("desk", "x", {})
        with pytest.raises(AgentCallError, match="no agent"):
            await pool.tools("nobody")


async def test_leaving_the_pool_does_not_wait_for_an_agent_that_never_connects(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("mute", "hostile.py", "mute")), tmp_path) as pool:
        await failing(pool, "mute", "echo", timeout_ms=100)
        started = anyio.current_time()
    assert anyio.current_time() - started < 5


async def test_a_call_that_is_cancelled_gives_its_place_back(tmp_path: Path) -> None:
    narrow = stdio("narrow", "hostile.py", limits=AgentLimits(concurrency=1))
    async with open_pool(Directory(narrow), tmp_path) as pool:
        await tool(pool, "narrow", "echo")
        with anyio.move_on_after(0.1):
            await tool(pool, "narrow", "silent")
        assert (await tool(pool, "narrow", "echo", a=1)).value == {"a": 1}


async def test_an_agent_that_dies_between_calls_is_started_anew_unseen(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("tools", "hostile.py")), tmp_path) as pool:
        await tool(pool, "tools", "echo")
        await failing(pool, "tools", "die")
        await until(lambda: pool.health()[0].pid is None)
        assert (await tool(pool, "tools", "echo", a=1)).value == {"a": 1}


@pytest.mark.parametrize(
    ("served", "gone"),
    [
        ("ledger.post@^1", None),
        ("ledger.post@1.0.0", None),
        ("ledger.post", None),
        ("ledger.post@^2", "does not serve ledger.post@1.0.0 any more"),
        ("ledger.post@1.0.1", "does not serve ledger.post@1.0.0 any more"),
        ("ledger.posts@^1", "does not serve ledger.post@1.0.0 any more"),
    ],
)
async def test_an_agent_that_was_redefined_is_asked_only_while_it_serves_the_pinned_version(
    tmp_path: Path, served: str, gone: str | None
) -> None:
    changed = msgspec.structs.replace(
        stdio("tools", "hostile.py"), promise_sha256="new", serves=(Serve(contract=served, bind={}),)
    )
    async with open_pool(Directory(changed), tmp_path) as pool:
        assert pool.standing(PROMISE, CONTRACT).gone == gone


async def test_a_circuit_opens_after_calls_without_answer_and_one_call_tries_whether_the_agent_is_back(
    tmp_path: Path,
) -> None:
    rules = Circuit(failures=2, window_ms=60_000, open_ms=300)
    fragile = msgspec.structs.replace(stdio("tools", "hostile.py"), circuit=rules)
    async with open_pool(Directory(fragile), tmp_path) as pool:
        await tool(pool, "tools", "echo")
        for _ in range(2):
            assert (await failing(pool, "tools", "die")).code == "lost"
        refused = await failing(pool, "tools", "echo")
        assert (refused.code, pool.health()[0].circuit) == ("circuit_open", "open")
        assert 0 < (refused.retry_after_ms or 0) <= 300
        await until(lambda: pool.health()[0].circuit == "half_open")
        assert (await tool(pool, "tools", "echo", a=1)).value == {"a": 1}
        assert pool.health()[0].circuit == "closed"


async def test_an_error_that_an_agent_answers_opens_no_circuit(tmp_path: Path) -> None:
    fragile = msgspec.structs.replace(stdio("tools", "hostile.py"), circuit=Circuit(failures=1))
    async with open_pool(Directory(fragile), tmp_path) as pool:
        await failing(pool, "tools", "fail")
        assert pool.health()[0].circuit == "closed"


async def test_what_will_never_work_opens_no_circuit(tmp_path: Path) -> None:
    never = msgspec.structs.replace(agent("other", Transport(kind="model")), circuit=Circuit(failures=1))
    async with open_pool(Directory(never), tmp_path) as pool:
        assert [(await failing(pool, "other", "x")).code for _ in range(2)] == ["unreachable", "unreachable"]


async def test_a_probe_that_is_cancelled_leaves_the_next_call_to_probe(tmp_path: Path) -> None:
    rules = Circuit(failures=1, open_ms=50)
    fragile = msgspec.structs.replace(stdio("tools", "hostile.py"), circuit=rules)
    async with open_pool(Directory(fragile), tmp_path) as pool:
        await tool(pool, "tools", "echo")
        await failing(pool, "tools", "die")
        await until(lambda: pool.health()[0].circuit == "half_open")
        with anyio.move_on_after(1.0):
            await tool(pool, "tools", "silent")
        assert (await tool(pool, "tools", "echo", a=1)).value == {"a": 1}
