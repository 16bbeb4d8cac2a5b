"""What agents may do to a process, from outside: each misdeed ends as its code at its step, and harms nobody else.

One server, a hostile program over MCP and a hostile server over HTTP; every process has the step that meets the misdeed
and a step after it, whose agent writes down each call that it gets.
"""

import gzip
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import psutil
import pytest
from mcp import Client

from acceptance.building import NUMBER, PROGRAMS, SHARED_PROGRAMS, TEXT, HomeBuilder, record
from acceptance.driving import call, server, until_settled
from measuring import peak_memory, percentile
from performing.fleet import Script, ScriptedServer, closed_port, says, scripted_server
from performing.http_misdeeds import endless, fifty_megabytes, half, resets, silent, trickles
from process_orchestrator.home import Home

pytestmark = pytest.mark.anyio

RSS_GROWTH_MAX: Final = 60_000_000
ATTEMPT_S: Final = 1
KILL_GRACE_S: Final = 2.0
STARTS_S: Final = 1.0
"""For the start of the agent's program, which its first call waits for."""

NEIGHBOUR_RUNS: Final = 100
ROUNDS: Final = 4
NOISE_S: Final = 0.1
"""What a machine of two cores may add by itself, while nothing but this test runs on it."""


class Misdeed(NamedTuple):
    """How a call must end. `rule` is a keyword of the output schema."""

    name: str
    code: str
    blame: str = "agent"
    pointer: str | None = None
    rule: str | None = None


def told(misdeed: Misdeed) -> str:
    return misdeed.name


MISMATCHES: Final = (
    Misdeed("wrong_type", "output_mismatch", pointer="/total", rule="type"),
    Misdeed("missing_field", "output_mismatch", pointer="/total", rule="required"),
    Misdeed("extra_field", "output_mismatch", pointer="/tip", rule="additionalProperties"),
)
ANSWERS: Final = {
    "good": '{"total": 1}',
    "wrong_type": '{"total": "a lot"}',
    "missing_field": "{}",
    "extra_field": '{"total": 1, "tip": 2}',
}

STDIO: Final = (
    *MISMATCHES,
    Misdeed("nan", "not_finite"),
    Misdeed("infinite", "not_finite"),
    Misdeed("twice", "duplicate_key"),
    Misdeed("deep", "too_deep"),
    Misdeed("deep_text", "too_deep"),
    Misdeed("huge", "too_large"),
    Misdeed("huge_late_id", "too_large"),
    Misdeed("text", "output_mismatch", pointer="/text", rule="additionalProperties"),
    Misdeed("text_for_json", "not_json"),
    Misdeed("garbage", "not_json", blame="transport"),
    Misdeed("garbage_line", "not_json", blame="transport"),
    Misdeed("cut", "not_json"),
    Misdeed("no_envelope", "output_mismatch"),
    Misdeed("fail", "undeclared_error"),
    Misdeed("die", "lost", blame="transport"),
)
MUTE: Final = ("stdio_silent", "http_silent", "http_trickle")
TIMEOUT: Final = Misdeed("mute", "timeout", blame="transport")

STDIO_BINDS: Final[dict[str, dict[str, Any]]] = {
    **{name: {"tool": "json", "input": {"text": text}} for name, text in ANSWERS.items()},
    "silent": {"tool": "silent"},
    "text_for_json": {"tool": "text", "result": "json"},
}

HTTP: Final = (
    *MISMATCHES,
    Misdeed("nan", "not_finite"),
    Misdeed("twice", "duplicate_key"),
    Misdeed("deep", "too_deep"),
    Misdeed("huge", "too_large"),
    Misdeed("endless", "too_large"),
    Misdeed("gzip_bomb", "not_json"),
    Misdeed("text_as_json", "not_json"),
    Misdeed("text", "output_mismatch", pointer="/text", rule="additionalProperties"),
    Misdeed("half", "lost", blame="transport"),
    Misdeed("reset", "lost", blame="transport"),
    Misdeed("status_500", "undeclared_error"),
    Misdeed("status_502", "undeclared_error"),
)
SCRIPTS: Final[dict[str, Script]] = {
    **{name: says(text.encode()) for name, text in ANSWERS.items()},
    "nan": says(b'{"total": NaN}'),
    "twice": says(b'{"total": 1, "total": 2}'),
    "deep": says(b'{"total": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "huge": fifty_megabytes,
    "endless": endless,
    "gzip_bomb": says(gzip.compress(b"0" * 1_000_000) * 300, headers="Content-Encoding: gzip\r\n"),
    "text_as_json": says(b"all is well"),
    "text": says(b"all is well", kind="text/plain"),
    "trickle": trickles,
    "silent": silent,
    "half": half,
    "reset": resets,
    "status_500": says({"error": "boom"}, status=500),
    "status_502": says({"error": "bad gateway"}, status=502),
}
QUICK: Final = (
    *(
        "stdio_nan",
        "stdio_deep",
        "stdio_huge",
        "stdio_garbage",
        "stdio_huge_late_id",
        "stdio_die",
        "stdio_garbage_line",
    ),
    *("http_deep", "http_huge", "http_endless", "http_gzip_bomb", "http_half", "http_status_502"),
)
"""Misdeeds that keep the engine busy; those that keep it waiting cost a neighbour nothing."""


class Arena:
    """A running server, and what one looks at from outside it."""

    def __init__(self, client: Client, home: Home, log: Path) -> None:
        self.client, self.home, self.log = client, home, log
        self.engine = next(
            child for child in psutil.Process().children() if str(home.path) in " ".join(child.cmdline())
        )
        self.rss_before = 0
        self._runs = 0

    async def run(self, process_type: str) -> dict[str, Any]:
        """One process to its end; its view, with `tag`, which its second step hands to the witness."""
        self._runs += 1
        tag = f"{process_type}-{self._runs}"
        submitted = await call(self.client, "submit_process", process_type=process_type, input={"tag": tag}, wait_s=20)
        return {**await until_settled(self.client, submitted["process_id"]), "tag": tag}

    def witnessed(self, tag: str) -> bool:
        """Whether the step after the misdeed was called in that run."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return any(json.loads(line)["tag"] == tag for line in lines)


def built_home(path: Path, log: Path, web: ScriptedServer) -> Home:
    """One contract and one process type per misdeed, all alike but for what the agent does."""
    build = HomeBuilder(path)
    given = record({"tag": TEXT})
    names = {f"stdio_{name}": {"tool": name} for name in (misdeed.name for misdeed in STDIO)}
    names |= {f"stdio_{name}": bind for name, bind in STDIO_BINDS.items()}
    web_names = {f"http_{name}": {"method": "POST", "path": f"/{name}"} for name in SCRIPTS}
    for name in (*names, *web_names, "stdio_deaf", "http_refused"):
        build.contract(
            f"desk.{name}",
            given=given,
            answer=record({"total": NUMBER}),
            timeout={"attempt_s": ATTEMPT_S, "total_s": 30},
            retry={"max_attempts": 1},
        )
        build.process(
            f"meet_{name}",
            {"id": "ask", "contract": f"desk.{name}", "in": {"tag": "$.input.tag"}},
            {
                "id": "then",
                "contract": "witness.note",
                "in": {"tag": "$.input.tag", "total": "$.steps.ask.output.total"},
            },
            given=given,
            on_failure="fail",
        )
    build.contract("witness.note", given=record({"tag": TEXT}, total=NUMBER), answer=record({"noted": {}}))
    build.process("neighbour", {"id": "note", "contract": "witness.note", "in": {"tag": "$.input.tag"}}, given=given)
    hostile = SHARED_PROGRAMS / "hostile.py"
    build.stdio_agent("hostile", hostile, serves={f"desk.{name}": bind for name, bind in names.items()})
    build.stdio_agent("hangs", hostile, serves={"desk.stdio_deaf": {"tool": "deaf"}})
    build.http_agent("web", web.url, serves={f"desk.{name}": bind for name, bind in web_names.items()})
    gone = f"http://127.0.0.1:{closed_port()}"
    build.http_agent("gone", gone, serves={"desk.http_refused": {"method": "POST", "path": "/"}})
    build.stdio_agent("witness", PROGRAMS / "witness.py", str(log), serves={"witness.note": {"tool": "note"}})
    web.scripts.update({f"/{name}": script for name, script in SCRIPTS.items()})
    return build.built()


@pytest.fixture(scope="module")
async def arena(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Arena]:
    folder = tmp_path_factory.mktemp("hostile")
    async with scripted_server() as web:
        home = built_home(folder / "home", folder / "witness.log", web)
        async with Client(server(home)) as client:
            arena = Arena(client, home, folder / "witness.log")
            for process_type in ("meet_stdio_good", "meet_http_good", "neighbour"):
                view = await arena.run(process_type)
                assert view["status"] == "completed", view
            arena.rss_before = arena.engine.memory_info().rss
            yield arena


async def failure_of(arena: Arena, view: dict[str, Any]) -> dict[str, Any]:
    """The trace's entry of the one call that was made."""
    page = await call(arena.client, "list_trace", process_id=view["process_id"], step="ask", data=True)
    failed = [entry for entry in page["entries"] if entry["event"] == "CallFailed"]
    assert [entry["call"] for entry in failed] == ["ask.1"]
    return failed[0]


async def meets(arena: Arena, process_type: str, misdeed: Misdeed) -> dict[str, Any]:
    """Let a process meet a misdeed; its view, held against how it must end."""
    with peak_memory(arena.engine, before=arena.rss_before) as peak:
        view = await arena.run(process_type)
    error = view["error"]
    assert view["status"] == "failed"
    assert (error["code"], error["blame"], error["step"]) == (misdeed.code, misdeed.blame, "ask")
    assert (error.get("pointer"), error.get("rule")) == (misdeed.pointer, misdeed.rule)
    assert not arena.witnessed(view["tag"])
    entry = await failure_of(arena, view)
    assert (entry["verdict"], entry["blame"], entry["step"]) == (misdeed.code, misdeed.blame, "ask")
    assert peak.bytes < RSS_GROWTH_MAX
    return view


async def test_after_a_good_answer_the_next_step_is_called(arena: Arena) -> None:
    for process_type in ("meet_stdio_good", "meet_http_good"):
        view = await arena.run(process_type)
        assert view["status"] == "completed"
        assert arena.witnessed(view["tag"])


@pytest.mark.behaviour("P5-bounded")
@pytest.mark.parametrize("misdeed", STDIO, ids=told)
async def test_each_misdeed_over_mcp_ends_as_its_code_and_the_next_step_is_never_called(
    arena: Arena, misdeed: Misdeed
) -> None:
    await meets(arena, f"meet_stdio_{misdeed.name}", misdeed)


@pytest.mark.behaviour("P5-bounded")
@pytest.mark.parametrize("misdeed", HTTP, ids=told)
async def test_each_misdeed_over_http_ends_as_its_code_and_the_next_step_is_never_called(
    arena: Arena, misdeed: Misdeed
) -> None:
    await meets(arena, f"meet_http_{misdeed.name}", misdeed)


async def test_an_agent_that_is_not_there_was_not_reached(arena: Arena) -> None:
    await meets(arena, "meet_http_refused", Misdeed("refused", "unreachable", blame="transport"))


@pytest.mark.behaviour("P5-deadline")
@pytest.mark.parametrize("name", MUTE)
async def test_a_mute_agent_costs_its_deadline_and_no_more_than_a_second(arena: Arena, name: str) -> None:
    started = time.perf_counter()
    view = await meets(arena, f"meet_{name}", TIMEOUT)
    assert ATTEMPT_S <= time.perf_counter() - started < ATTEMPT_S + 1 + KILL_GRACE_S
    failed = await failure_of(arena, view)
    assert ATTEMPT_S * 1000 <= failed["ms"] < (ATTEMPT_S + 1) * 1000


@pytest.mark.slow
@pytest.mark.behaviour("P5-deadline")
async def test_an_agent_that_hangs_as_a_whole_is_ended_within_a_second_and_the_kill_grace(arena: Arena) -> None:
    before = {child.pid for child in arena.engine.children()}
    started = time.perf_counter()
    await meets(arena, "meet_stdio_deaf", TIMEOUT)
    (hung,) = [child for child in arena.engine.children() if child.pid not in before]
    left_s = started + ATTEMPT_S + 1 + KILL_GRACE_S + STARTS_S - time.perf_counter()
    _, alive = await anyio.to_thread.run_sync(psutil.wait_procs, [hung], left_s)
    assert not alive


@pytest.mark.slow
@pytest.mark.behaviour("P5-bounded")
async def test_a_process_beside_hostile_agents_is_not_slowed(arena: Arena) -> None:
    """Undisturbed and beside misdeeds in turn, so that whatever else the machine does weighs on both alike."""
    alone: list[float] = []
    beside: list[float] = []
    met = 0

    async def neighbours(times: list[float], *, until_met: int = 0) -> None:
        runs = 0
        while runs < NEIGHBOUR_RUNS // ROUNDS or met < until_met:
            runs += 1
            started = time.perf_counter()
            view = await arena.run("neighbour")
            times.append(time.perf_counter() - started)
            assert view["status"] == "completed"

    async def misbehave() -> None:
        nonlocal met
        while True:
            assert (await arena.run(f"meet_{QUICK[met % len(QUICK)]}"))["status"] == "failed"
            met += 1

    for round_number in range(1, ROUNDS + 1):
        await neighbours(alone)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(misbehave)
            await neighbours(beside, until_met=round_number * len(QUICK) // ROUNDS)
            tasks.cancel_scope.cancel()
    figures = {
        "alone": [round(percentile(alone, share) * 1000, 1) for share in (0.5, 0.99)],
        "beside": [round(percentile(beside, share) * 1000, 1) for share in (0.5, 0.99)],
        "misdeeds": met,
    }
    print(f"a process with one quick agent, p50 and p99 in ms: {figures}")
    assert percentile(beside, 0.99) < 3 * percentile(alone, 0.99) + NOISE_S, figures
