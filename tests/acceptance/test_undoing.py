"""Effects are taken back from outside: real servers, a real agent with books of its own, kill -9 while undoing."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from mcp import Client

from acceptance.building import PROGRAMS, TEXT, TEXTS, HomeBuilder, record
from acceptance.driving import call, run_cli, server, until_settled
from acceptance.engines import Watch, engine_of, no_agents
from process_orchestrator.home import Home

pytestmark = [pytest.mark.anyio, pytest.mark.behaviour("undoing")]

BOOK: Final = {"const": ["book"]}
KEYED: Final[dict[str, Any]] = {
    "given": record({"ref": TEXT, "script": TEXTS, "request_id": TEXT}),
    "answer": record({"id": {"type": "integer"}}),
    "kind": "write",
    "idempotency": {"key": "request_id"},
    "retry": {"max_attempts": 3, "on": ["transient", "timeout", "lost"], "initial_s": 0.05, "max_s": 0.1},
}
UNDO_REF: Final = {"let": {"ref": "$.input.ref", "id": "$.output.id"}, "expr": "'undo ' + ref + ' ' + string(id)"}


def built_home(path: Path) -> Home:
    """`order.make` is taken back by `order.void`, as slowly as the script of the process says; nothing voids `seal`."""
    build = HomeBuilder(path)
    undo = {"contract": "order.void", "in": {"ref": UNDO_REF, "script": "$.input.script"}}
    build.contract("order.make", **KEYED, effects={"kind": "write", "undo": undo})
    build.contract("order.void", **KEYED)
    build.contract("order.seal", **KEYED)
    build.contract(
        "order.check", given=record({"ref": TEXT, "script": TEXTS}), answer=record({"id": {"type": "integer"}})
    )
    bound = {name: {"tool": "books"} for name in ("order.make", "order.void", "order.seal", "order.check")}
    build.stdio_agent("books", PROGRAMS / "books.py", "{state}/books.db", serves=bound)
    given = record({"first": TEXT, "lines": TEXTS, "script": TEXTS})
    first = {"id": "first", "contract": "order.make", "in": {"ref": "$.input.first", "script": "$.input.script"}}
    lines = {
        "id": "lines",
        "contract": "order.make",
        "for_each": "$.input.lines",
        "parallel": 1,
        "after": ["first"],
        "in": {"ref": "$.item", "script": "$.input.script"},
    }
    seal = {
        "id": "seal",
        "contract": "order.seal",
        "after": ["lines"],
        "in": {"ref": {"const": "seal"}, "script": BOOK},
    }
    check = {
        "id": "check",
        "contract": "order.check",
        "in": {"ref": {"const": "check"}, "script": {"const": ["boom"]}},
        "on_failure": "compensate",
    }
    build.process("ordering", first, lines, {**check, "after": ["lines"]}, given=given)
    build.process("sealing", first, lines, seal, {**check, "after": ["seal"]}, given=given)
    return build.built()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return built_home(tmp_path / "home")


@asynccontextmanager
async def opened(home: Home) -> AsyncGenerator[Client]:
    async with Client(server(home)) as client:
        yield client


class Called(NamedTuple):
    """One call as the agent wrote it down."""

    ref: str
    key: str


def calls(home: Home, table: str = "call") -> list[Called]:
    books = home.state / "books.db"
    if not books.exists():
        return []
    with closing(sqlite3.connect(f"{books.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute(
                f"SELECT ref, key FROM {table} ORDER BY number"
            ).fetchall()  # two names of our own
        except sqlite3.OperationalError:  # its tables are not made yet
            return []
    return [Called(*row) for row in rows]


def undone(home: Home, table: str = "call") -> list[Called]:
    return [each for each in calls(home, table) if each.ref.startswith("undo ")]


async def submitted(client: Client, process_type: str, script: str = "book") -> str:
    given = {"first": "a", "lines": ["b", "c"], "script": [script]}
    return (await call(client, "submit_process", process_type=process_type, input=given))["process_id"]


async def test_what_was_done_is_undone_the_last_first_and_told(home: Home) -> None:
    async with opened(home) as client:
        process_id = await submitted(client, "ordering")
        view = await until_settled(client, process_id)
        assert (view["status"], view["error"]["code"], view["error"]["step"]) == ("failed", "undeclared_error", "check")
        assert (view["undone"], view["left"]) == (["lines[1]", "lines[0]", "first"], [])
        assert {row["id"]: row["status"] for row in view["steps"]} == {
            "first": "undone",
            "lines": "undone",
            "check": "failed",
        }
        assert [each.ref for each in undone(home)] == ["undo c 3", "undo b 2", "undo a 1"]
        assert undone(home)[0].key == f"{process_id}/lines[1]!undo/g1"
        trace = await call(client, "list_trace", process_id=process_id, limit=100)
        told = [(row["call"], row["contract"]) for row in trace["entries"] if row["event"] == "CallSucceeded"]
        assert told[-3:] == [(f"{unit}!undo.1", "order.void@1.0.0") for unit in ("lines[1]", "lines[0]", "first")]
        report = await call(client, "get_state", process_id=process_id, include=["report", "diagram"])
        assert "Undone: `lines[1]`, `lines[0]`, `first`" in report["report"]
        assert "Then: what had been done was undone." in report["report"]
        assert "Then: nothing followed." not in report["report"]
    code, printed, _ = run_cli(home, "why", process_id)
    assert code == 0, printed
    code, report, _ = run_cli(home, "verify")
    assert (code, report["ok"]) == (0, True), report


async def test_what_nothing_undoes_is_asked_about_and_named(home: Home) -> None:
    async with opened(home) as client:
        view = await until_settled(client, await submitted(client, "sealing"))
        assert view["status"] == "waiting_human"
        (question,) = view["escalations"]
        assert (question["kind"], question["step"]) == ("undo_failed", "seal")
        assert [option["decision"] for option in question["options"]] == ["skip", "abort"]
        assert "The effect of step seal was not undone" in question["question"]
        whole = await call(client, "list_escalations", escalation_id=question["escalation_id"])
        labels = [entry["label"] for entry in whole["escalations"][0]["evidence"]]
        assert {"arguments of the call to be undone", "its answer"} <= set(labels)
        await call(client, "resolve_escalation", escalation_id=question["escalation_id"], decision="skip")
        view = await until_settled(client, view["process_id"])
        assert (view["status"], view["undone"], view["left"]) == (
            "failed",
            ["lines[1]", "lines[0]", "first"],
            ["seal"],
        )
        assert [row["status"] for row in view["steps"] if row["id"] == "seal"] == ["done"]


@pytest.mark.slow
@pytest.mark.parametrize("begun", [1, 2, 3])
async def test_a_server_killed_while_it_undoes_is_followed_by_one_that_undoes_the_rest(home: Home, begun: int) -> None:
    async with opened(home) as client:
        process_id = await submitted(client, "ordering", script="slow")
        await Watch(server=await engine_of(home), seen=lambda: len(undone(home)) == begun).kill()
    await no_agents(home)
    async with opened(home) as client:
        view = await until_settled(client, process_id)
    assert (view["status"], view["undone"], view["left"]) == ("failed", ["lines[1]", "lines[0]", "first"], [])
    # Asked perhaps twice under one key, done once: each undo has one key for ever.
    booked = undone(home, "booking")
    assert sorted(each.ref for each in booked) == ["undo a 1", "undo b 2", "undo c 3"]
    assert [each.key for each in booked] == [
        f"{process_id}/{unit}!undo/g1" for unit in ("lines[1]", "lines[0]", "first")
    ]
    assert len([each for each in calls(home, "booking") if not each.ref.startswith("undo ")]) == 4
    code, report, _ = run_cli(home, "verify")
    assert (code, report["ok"]) == (0, True), report
