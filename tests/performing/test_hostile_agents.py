"""What an agent over stdio may do to us, and the code as which each ends."""

import time
from pathlib import Path

import anyio
import psutil
import pytest

from measuring import peak_memory
from performing.fleet import Directory, agent, failing, one_call, open_pool, stdio, tool, until
from process_orchestrator.checking.documents.definitions import Transport
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Blame
from process_orchestrator.performing.child_process import KILL_GRACE_S

RSS_GROWTH_MAX = 30_000_000


@pytest.mark.behaviour("P5-bounded")
@pytest.mark.parametrize(
    ("misdeed", "code"),
    [
        ("nan", "not_finite"),
        ("infinite", "not_finite"),
        ("twice", "duplicate_key"),
        ("deep", "too_deep"),
        ("deep_text", "too_deep"),
        ("huge", "too_large"),
        ("huge_late_id", "too_large"),
        ("cut", "not_json"),
        ("garbage", "not_json"),
        ("garbage_line", "not_json"),
        ("no_envelope", "output_mismatch"),
        ("wrong_result", "output_mismatch"),
        ("rpc_error", "undeclared_error"),
        ("forged", "undeclared_error"),
        ("fail", "undeclared_error"),
        ("die", "lost"),
    ],
)
async def test_each_misdeed_ends_as_its_code_and_the_agent_serves_on(tmp_path: Path, misdeed: str, code: str) -> None:
    async with open_pool(Directory(stdio("hostile", "hostile.py")), tmp_path) as pool:
        await tool(pool, "hostile", "echo")
        with peak_memory() as peak:
            error = await failing(pool, "hostile", misdeed)
        assert error.code == code
        assert peak.bytes < RSS_GROWTH_MAX
        assert (await tool(pool, "hostile", "echo", total=1)).value == {"total": 1}


async def test_garbage_on_stdout_is_the_transports_fault_and_kept_as_evidence(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("hostile", "hostile.py")), tmp_path) as pool:
        error = await failing(pool, "hostile", "garbage")
    assert error.blame is Blame.TRANSPORT
    assert "zzzz" in str(error.answer)


async def test_a_little_noise_on_stdout_is_skipped(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("hostile", "hostile.py")), tmp_path) as pool:
        answer = await tool(pool, "hostile", "chatty")
    assert answer.value == {"total": 1}
    assert "starting up" in str(answer.stderr)


async def test_answers_to_unknown_calls_and_second_answers_are_ignored(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("hostile", "hostile.py")), tmp_path) as pool:
        assert (await tool(pool, "hostile", "strange")).value == {"total": 1}
        assert (await tool(pool, "hostile", "echo", a=2)).value == {"a": 2}


async def test_plain_text_becomes_a_text_field(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("hostile", "hostile.py")), tmp_path) as pool:
        assert (await tool(pool, "hostile", "text")).value == {"text": "All is well, I booked it."}


@pytest.mark.behaviour("P5-deadline")
async def test_silence_ends_at_the_deadline_and_spares_the_agents_other_calls(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("hostile", "hostile.py")), tmp_path) as pool:
        before = (await tool(pool, "hostile", "environment")).value["pid"]
        started = time.monotonic()
        error = await failing(pool, "hostile", "silent", timeout_ms=300)
        assert error.code == "timeout"
        assert time.monotonic() - started < 1.3
        assert (await tool(pool, "hostile", "environment")).value["pid"] == before


@pytest.mark.behaviour("P5-deadline")
@pytest.mark.parametrize("misdeed", ["blocked", "deaf"])
async def test_an_agent_that_hangs_as_a_whole_is_ended_within_a_second_and_the_grace(
    tmp_path: Path, misdeed: str
) -> None:
    async with open_pool(Directory(stdio("hostile", "hostile.py")), tmp_path) as pool:
        hung = psutil.Process((await tool(pool, "hostile", "environment")).value["pid"])
        error = await failing(pool, "hostile", misdeed, timeout_ms=200)
        assert error.code == "timeout"
        await until(lambda: not hung.is_running(), within_s=1 + KILL_GRACE_S)
        assert (await tool(pool, "hostile", "echo")).value == {}


async def test_an_agent_that_never_completes_the_handshake_was_not_reached(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("mute", "hostile.py", "mute")), tmp_path) as pool:
        error = await failing(pool, "mute", "echo", timeout_ms=300)
    assert error.code == "unreachable"


async def test_an_agent_that_exits_at_once_was_not_reached_and_its_last_words_are_kept(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("exits", "hostile.py", "exits")), tmp_path) as pool:
        error = await failing(pool, "exits", "echo")
        assert error.code == "unreachable"
        assert "no configuration" in str(error.stderr)
        assert "no configuration" in (tmp_path / "logs" / "exits.log").read_text()


async def test_a_program_that_is_not_there_was_not_reached(tmp_path: Path) -> None:
    missing = Transport(kind="mcp_stdio", command=("/nowhere/at-all",))
    async with open_pool(Directory(agent("missing", missing)), tmp_path) as pool:
        assert (await failing(pool, "missing", "echo")).code == "unreachable"


@pytest.mark.behaviour("P5-bounded")
async def test_a_healthy_neighbour_is_not_slowed(tmp_path: Path) -> None:
    directory = Directory(stdio("hostile", "hostile.py"), stdio("healthy", "hostile.py"))
    async with open_pool(directory, tmp_path) as pool:
        await tool(pool, "healthy", "echo")
        slowest = 0.0

        async def misbehave() -> None:
            for misdeed in ("huge", "deep", "garbage", "huge_late_id", "die", "garbage_line"):
                await failing(pool, "hostile", misdeed)

        async def work() -> None:
            nonlocal slowest
            for _ in range(150):
                started = time.perf_counter()
                await tool(pool, "healthy", "echo", a=1)
                slowest = max(slowest, time.perf_counter() - started)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(misbehave)
            tasks.start_soon(work)
    assert slowest < 0.5


async def test_a_crash_ends_the_concurrent_calls_of_that_agent_as_lost_and_no_others(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("hostile", "hostile.py")), tmp_path) as pool:
        await tool(pool, "hostile", "echo")
        codes: list[str] = []

        async def wait_for_nothing() -> None:
            codes.append((await failing(pool, "hostile", "silent")).code)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait_for_nothing)
            await anyio.wait_all_tasks_blocked()
            codes.append((await failing(pool, "hostile", "die")).code)
    assert codes == ["lost"] * 4


async def test_an_agent_sees_only_the_listed_environment_and_runs_beside_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_TEST_SECRET", "s3cret-of-ours")
    listed = stdio("listed", "hostile.py", env={"DATA": "{state}/x.db"})
    async with open_pool(Directory(listed), tmp_path) as pool:
        seen = (await tool(pool, "listed", "environment")).value
    assert "ORCHESTRATOR_TEST_SECRET" not in seen["names"]
    assert "DATA" in seen["names"]
    assert Path(seen["cwd"]) == Path(__file__).parent / "agents"


async def test_a_secret_that_an_agent_gives_away_is_masked_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_TOKEN", "canary-7f3a")
    async with open_pool(Directory(stdio("leaky", "hostile.py", env={"TOKEN": "env:LEDGER_TOKEN"})), tmp_path) as pool:
        answer = await tool(pool, "leaky", "leak")
        raw = await pool.call_tool_raw("leaky", "leak", {})
        log = tmp_path / "logs" / "leaky.log"
        await until(lambda: log.exists() and "[secret]" in log.read_text())
    assert answer.value == {"token": "[secret]"}
    assert "canary" not in f"{raw}{log.read_text()}"


async def test_a_missing_secret_means_that_nothing_was_sent(tmp_path: Path) -> None:
    async with open_pool(
        Directory(stdio("poor", "hostile.py", env={"TOKEN": "env:NOT_SET_ANYWHERE"})), tmp_path
    ) as pool:
        error = await failing(pool, "poor", "echo")
    assert (error.code, "NOT_SET_ANYWHERE" in error.message) == ("unreachable", True)


async def test_an_unregistered_agent_is_unreachable(tmp_path: Path) -> None:
    async with open_pool(Directory(), tmp_path) as pool:
        with pytest.raises(AgentCallError) as raised:
            await pool.call("nobody", {"tool": "x"}, {}, one_call())
    assert raised.value.code == "unreachable"
