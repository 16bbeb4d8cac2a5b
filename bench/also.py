"""What else is promised of speed, measured of ours alone: `./dev bench --also` prints it as one table.

Each measure runs in a process of its own, since memory is a figure. No peer stands beside these: what counts is the
promise, or the share of a whole that was measured in the same process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from harness import SCHEMA_IN, SCHEMA_OUT, SUMMARY, _bounded, cpu_s, pct, step_input
from peer_ours import Ours, process, registry_of
from process_orchestrator.assemble import Fleet, Mode, open_engine
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.schemas.validate import Validator, encode_body, parse_body
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.ports import EscalationQuery, Page, ProcessQuery
from process_orchestrator.hosting import chain

HERE = Path(__file__).resolve().parent
PARKED = 100_000
JOURNAL_ROWS = 1_000_000
MEMORY_AT = (10_000, 50_000, PARKED)
PAGES = 200
CALLS = 300
COLD_STARTS = 5


def rss_mb() -> float:
    return psutil.Process().memory_info().rss / 1e6


def median_ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 2)


async def timed(call: Callable[[], Awaitable[object]], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - started)
    return taken


async def paged(what: str, call: Callable[[], Awaitable[Page]]) -> dict[str, float]:
    """Time one page, which must have something on it."""
    assert (await call()).items
    taken = await timed(call, PAGES)
    return {f"{what}, median ms": median_ms(taken), f"{what}, p99 ms": round(pct(taken, 0.99) * 1000, 2)}


async def parked(folder: Path) -> dict[str, float]:
    """Park many processes for a person, then page through them, then again beside a long journal."""
    ours = Ours(folder, "FULL", "")
    await ours.start()
    row: dict[str, float] = {}
    try:
        await _bounded([ours.park(f"warm-{i}") for i in range(1000)], 50)
        before, started = rss_mb(), time.perf_counter()
        for batch in range(0, PARKED, 2000):  # the driver of the benchmark must not be what grows
            await _bounded([ours.park(f"p-{i}") for i in range(batch, batch + 2000)], 50)
            ours.parked_ids.clear()
            if batch + 2000 in MEMORY_AT:
                row[f"memory from 1,000 to {batch + 2000:,} parked, MB"] = round(rss_mb() - before, 1)
        row[f"parked processes a second, {PARKED:,} of them"] = round(PARKED / (time.perf_counter() - started))
        long = (await ours.run("long", 200)).spec.process_id
        processes, questions = ProcessQuery(limit=100), EscalationQuery(limit=100)
        row |= await paged("page of 100 processes", lambda: ours.host.processes(processes))
        row |= await paged("page of 100 open escalations", lambda: ours.host.escalations(questions))
    finally:
        await ours.stop()
    lengthen(folder / "orchestrator.db")
    at = f"at {JOURNAL_ROWS:,} journal rows"
    async with open_engine(folder, Fleet(lambda: ours.registry, home=folder), mode=Mode.READ) as host:
        row |= await paged(f"page of 100 processes {at}", lambda: host.processes(processes))
        row |= await paged(f"page of 100 rows of a trace {at}", lambda: host.journal(long, after=0, limit=100))
    return row


def lengthen(database: Path) -> None:
    """Copy rows of the journal under other ids until there are enough: who reads pages does not look at the chain."""
    with sqlite3.connect(database) as connection:
        names = [name for _, name, *_ in connection.execute("PRAGMA table_info(journal)") if name != "id"]
        columns = ", ".join(names)
        copied = ", ".join("? || process" if name == "process" else name for name in names)
        last_id = connection.execute("SELECT max(id) FROM journal").fetchone()[0]
        number = 0
        while connection.execute("SELECT max(id) FROM journal").fetchone()[0] < JOURNAL_ROWS:
            number += 1
            connection.execute(
                f"INSERT INTO journal ({columns}) SELECT {copied} FROM journal WHERE id <= ?", (f"{number}-", last_id)
            )


async def shares(folder: Path) -> dict[str, float]:
    """Say what of a step's CPU is validation, and what the chain."""
    ours = Ours(folder, "FULL", "")
    await ours.start()
    try:
        for index in range(20):
            await ours.run(f"warm-{index}", 5)
        before = cpu_s()
        await _bounded([ours.run(f"s-{index}", 5) for index in range(400)], 50)
        step_us = (cpu_s() - before) / 400 / 5 * 1e6
    finally:
        await ours.stop()
    with sqlite3.connect(folder / "orchestrator.db") as connection:
        rows, size = connection.execute("SELECT count(*), avg(length(turn)) FROM journal").fetchone()
    turn, rows_a_step = bytes(int(size)), rows / (420 * 5)
    given, answered = encode_body(step_input("p", 1)), encode_body(answer())
    takes, gives = Validator(SCHEMA_IN), Validator(SCHEMA_OUT)

    def validate() -> None:
        takes.problems(parse_body(given))
        gives.problems(parse_body(answered))

    def link() -> None:
        chain.link(bytes(32), bytes(32), row_id=1, process="p_" + "a" * 26, seq=1, at=1, turn=turn)

    return {
        "CPU of a step, us": round(step_us),
        "of it validation of both bodies, %": round(each_us(validate) / step_us * 100, 1),
        "of it the chain, %": round(each_us(link) * rows_a_step / step_us * 100, 1),
    }


def answer() -> dict[str, object]:
    return {"step": 1, "ok": True, "summary": SUMMARY, "score": 0.93, "items": ["alpha", "beta"]}


def each_us(call: Callable[[], object], times: int = 5000) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times * 1e6


async def big_body(folder: Path) -> dict[str, float]:
    """Carry a body of a megabyte through ten steps."""
    text = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
    carry = {
        "contract": "bench.carry", "version": "1.0.0", "summary": "Hands a text on.",
        "input": text, "output": text, "effects": {"kind": "read"}, "limits": {"output_bytes": 2_000_000},
    }  # fmt: skip
    carrier = {
        "agent": "carrier", "summary": "hands on", "transport": {"kind": "in_process"},
        "serves": [{"contract": "bench.carry"}], "limits": {"output_bytes": 2_000_000},
    }  # fmt: skip
    steps = [
        {
            "id": f"s{i}",
            "contract": "bench.carry",
            "in": {"text": f"$.steps.s{i - 1}.output.text" if i else "$.input.task", "step": i},  # else it is a loop
        }
        for i in range(10)
    ]
    definition = process("carry", steps, {"text": "$.steps.s9.output.text"}, 10)

    class Carrying(Ours):
        async def work(self, arguments, _call):
            return {"text": arguments["text"]}

        def plan(self, _definition):
            registry = Registry.of(
                [definition_from_dict("contract", carry)],
                [definition_from_dict("process", definition)],
                [definition_from_dict("agent", {**carrier, "agent": "worker"})],
            )
            self.registry = registry
            found = registry.process("carry")
            return found, registry.plan(found, server_floor=Assurance.A0)

    ours = Carrying(folder, "FULL", "")
    await ours.start()
    try:
        await ours.end(await ours.begin("small", definition, {"task": "x"}))
        before = rss_mb()
        peak, running = before, asyncio.create_task(_begin_and_end(ours, definition))
        while not running.done():
            peak = max(peak, rss_mb())
            await asyncio.sleep(0.001)
        await running
    finally:
        await ours.stop()
    return {"peak memory over idle, 1 MB body through ten steps, MB": round(peak - before, 1)}


async def _begin_and_end(ours: Ours, definition: dict) -> None:
    await ours.end(await ours.begin("big", definition, {"task": "x" * 1_000_000}))


async def mcp_overhead(folder: Path) -> dict[str, float]:
    """Compare a read over MCP and stdio with the emptiest tool of the SDK."""
    from mcp import Client, StdioServerParameters  # noqa: PLC0415 - only this measure speaks MCP

    bare = folder / "bare_server.py"
    bare.write_text(
        "from mcp.server import MCPServer\n"
        "server = MCPServer('bare')\n"
        "@server.tool()\n"
        "def nothing(text: str) -> dict[str, str]:\n"
        "    return {'text': text}\n"
        "server.run('stdio')\n"
    )
    home = folder / "home"
    orchestrator = Path(sys.executable).with_name("orchestrator")
    subprocess.run([orchestrator, "init", str(home)], check=True, capture_output=True)
    servers = {
        "ours": (str(orchestrator), ["serve", "--home", str(home)], "list_processes", {}),
        "bare": (sys.executable, [str(bare)], "nothing", {"text": "x"}),
    }
    taken: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(Client(StdioServerParameters(command=command, args=arguments)))
            for name, (command, arguments, *_) in servers.items()
        }
        for _ in range(3):
            for name, (*_, tool, arguments) in servers.items():
                client = clients[name]
                taken.setdefault(name, []).extend(
                    await timed(lambda c=client, t=tool, a=arguments: c.call_tool(t, a), CALLS // 3)
                )
    ours, floor = median_ms(taken["ours"]), median_ms(taken["bare"])
    return {"MCP call over stdio (list_processes), ms": ours, "the SDK's emptiest tool over stdio, ms": floor}


ECHO = """
import json, sys
TOOL = {"name": "echo", "inputSchema": {"type": "object"}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answer = {"capabilities": {}}
    if asked["method"] == "initialize":
        version = asked["params"]["protocolVersion"]
        answer = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "e", "version": "1"}}
    elif asked["method"] == "tools/list":
        answer = {"tools": [TOOL]}
    elif asked["method"] == "tools/call":
        text = asked["params"]["arguments"]["text"]
        answer = {"content": [{"type": "text", "text": text}], "structuredContent": {"text": text}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": answer}), flush=True)
"""
SAID = """{type: object, required: [text], properties: {text: {type: string}}}"""
ECHO_HOME = {
    "agents_registry/echo.py": ECHO,
    "agents_registry/echo.agent.yaml": """
agent: echo
summary: Says again what it is told.
transport: {kind: mcp_stdio, command: ["{python}", echo.py]}
serves:
  - {contract: bench.echo@^1, bind: {tool: echo, result: structured}}
""",
    "contracts/bench.echo.contract.yaml": f"""
contract: bench.echo
version: 1.0.0
summary: Says a text again.
input: {SAID}
output: {SAID}
effects: {{kind: read}}
""",
    "contracts/echo.process.yaml": f"""
process: echo
version: 1.0.0
summary: Says a text again.
input: {SAID}
output: {SAID}
plan:
  steps:
    - {{id: again, contract: bench.echo@^1, in: {{text: $.input.text}}}}
  output: {{text: $.steps.again.output.text}}
""",
}


async def cold_serve(folder: Path) -> dict[str, float]:
    """Start `serve` in a new home, submit over MCP and stdio, and wait until that process has finished."""
    from mcp import Client, StdioServerParameters  # noqa: PLC0415 - as in `mcp_overhead`

    orchestrator = str(Path(sys.executable).with_name("orchestrator"))
    wall, cpu = [], []
    for number in range(COLD_STARTS):
        home = folder / f"home-{number}"
        for name, text in ECHO_HOME.items():
            file = home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        server = StdioServerParameters(command=orchestrator, args=["serve", "--home", str(home)])
        started = time.perf_counter()
        async with Client(server) as client:
            body = {"process_type": "echo", "input": {"text": "x"}, "idempotency_key": "k", "wait_s": 30}
            view = (await client.call_tool("submit_process", body)).structured_content
            assert view["status"] == "completed", view
            wall.append(time.perf_counter() - started)
            (serving,) = psutil.Process().children()
            cpu.append(sum(serving.cpu_times()[:2]))
    return {
        "from the start of `serve` to the first finished process, s": round(statistics.median(wall), 2),
        "CPU of `serve` until then, s": round(statistics.median(cpu), 2),
    }


async def plan_check(_folder: Path) -> dict[str, float]:
    """Check and compile a plan of 50 steps."""
    steps = [
        {
            "id": f"s{i}",
            "contract": "bench.work",
            "in": {"task": "$.input.task", "step": i, "context": {"prev": f"$.steps.s{i - 1}.output.step" if i else 0}},
        }
        for i in range(50)
    ]
    taken = []
    for number in range(20):
        registry = registry_of([process(f"fifty{number}", steps, {"last": "$.steps.s49.output.step"}, 50)])
        found = registry.process(f"fifty{number}")
        started = time.perf_counter()
        registry.plan(found, server_floor=Assurance.A0)
        taken.append(time.perf_counter() - started)
    return {"plan check of 50 steps, every binding proven, ms": median_ms(taken)}


MEASURES = {
    "parked": parked,
    "shares": shares,
    "big_body": big_body,
    "mcp_overhead": mcp_overhead,
    "cold_serve": cold_serve,
    "plan_check": plan_check,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measures", nargs="*", help=f"of {', '.join(MEASURES)}; none: all")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(MEASURES[arguments.one](Path(folder)))))
        return
    print("| also measured | figure |\n|---|---|")
    for name in arguments.measures or MEASURES:
        done = subprocess.run([sys.executable, __file__, "--one", name], stdout=subprocess.PIPE, text=True, check=True)
        for what, figure in json.loads(done.stdout.strip().splitlines()[-1]).items():
            print(f"| {what} | {figure:,} |", flush=True)


if __name__ == "__main__":
    main()
