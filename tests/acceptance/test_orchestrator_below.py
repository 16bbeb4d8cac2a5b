"""An orchestrator as the agent of another: two real servers, one below the other, and a real agent below both."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import pytest
from mcp import Client

from acceptance.building import PROGRAMS, TEXT, TEXTS, HomeBuilder, record
from acceptance.driving import PROGRAM, call, run_cli, server, until_settled
from process_orchestrator.home import Home

pytestmark = [pytest.mark.anyio, pytest.mark.behaviour("orchestrators")]

ID: Final = {"type": "integer"}
LONG: Final = 300_000  # characters: more than a view of a process shows


class Two(NamedTuple):
    above: Home
    below: Home


@pytest.fixture
def two(tmp_path: Path) -> Two:
    """`below` books; `above` has process types of one step each, bound to process types of `below`."""
    below = HomeBuilder(tmp_path / "below")
    keyed = record({"ref": TEXT, "script": TEXTS, "request_id": TEXT})
    below.contract(
        "order.make", given=keyed, answer=record({"id": ID}), kind="write", idempotency={"key": "request_id"}
    )
    below.stdio_agent("books", PROGRAMS / "books.py", "{state}/books.db", serves={"order.make": {"tool": "books"}})
    given = record({"ref": {**TEXT, "maxLength": 5}, "script": TEXTS})
    step = {"id": "book", "contract": "order.make", "in": {"ref": "$.input.ref", "script": "$.input.script"}}
    plan = {"output": {"id": "$.steps.book.output.id"}}
    answer = {"output": record({"id": ID})}
    failing = {**step, "on_failure": "fail"}
    below.process("booking", given=given, **answer, plan={"steps": [failing], **plan})
    asked = {**step, "approval": {"min_assurance": "A0"}}
    below.process("asked", given=given, **answer, plan={"steps": [asked], **plan})
    wait = {"id": "pause", "wait": {"seconds": 0.1}}
    echo = {"steps": [wait], "output": {"text": "$.input.text"}}
    below.process("echo", given=record({"text": TEXT}), output=record({"text": TEXT}), plan=echo)

    above = HomeBuilder(tmp_path / "above")
    wide = record({"ref": TEXT, "script": TEXTS})
    many = {"max_attempts": 8, "on": ["timeout", "transient"], "initial_s": 0.05, "max_s": 0.1}
    for name, attempt_s in (("booking", 20), ("asked", 20), ("hasty", 2)):
        above.contract(
            f"desk.{name}",
            given=wide,
            answer=record({"id": ID}),
            kind="write",
            idempotency="natural",
            retry=many,
            timeout={"attempt_s": attempt_s, "total_s": 60},
            errors={"no_room": {"class": "conflict"}},
        )
    above.contract("desk.echo", given=record({"text": TEXT}), answer=record({"text": TEXT}))
    boom = {"no_room": {"text": "undeclared_error.*boom"}}
    serves = {
        "desk.booking": {"process": "booking", "errors": boom},
        "desk.asked": {"process": "asked"},
        "desk.hasty": {"process": "booking"},
        "desk.echo": {"process": "echo"},
    }
    above.stdio_agent("desk", PROGRAM, "serve", "--home", str(below.home.path), serves=serves)
    for name in ("booking", "asked", "hasty"):
        step = {"id": "go", "contract": f"desk.{name}", "in": {"ref": "$.input.ref", "script": "$.input.script"}}
        output = {"id": "$.steps.go.output.id"}
        above.process(f"above_{name}", given=wide, output=record({"id": ID}), plan={"steps": [step], "output": output})
    step = {"id": "go", "contract": "desk.echo", "in": {"text": "$.input.text"}}
    output = {"size": {"let": {"text": "$.steps.go.output.text"}, "expr": "size(text)"}}
    above.process("above_echo", given=record({"text": TEXT}), plan={"steps": [step], "output": output})
    return Two(above.built(), below.built())


@asynccontextmanager
async def opened(home: Home) -> AsyncGenerator[Client]:
    async with Client(server(home)) as client:
        yield client


async def started(client: Client, process_type: str, *, ref: str = "a", script: str = "book") -> str:
    given = {"ref": ref, "script": [script]}
    return (await call(client, "submit_process", process_type=process_type, input=given))["process_id"]


def processes_below(two: Two) -> list[dict[str, Any]]:
    code, printed, told = run_cli(two.below, "processes")
    assert code == 0, told
    return printed["processes"]


async def test_a_process_there_is_a_call_here(two: Two) -> None:
    async with opened(two.above) as client:
        view = await until_settled(client, await started(client, "above_booking"))
        assert (view["status"], view["output"]) == ("completed", {"id": 1})
        (below,) = processes_below(two)
        assert (below["process_type"], below["status"]) == ("booking", "completed")


@pytest.mark.slow
async def test_its_failure_is_a_declared_error_where_the_binding_says_so(two: Two) -> None:
    async with opened(two.above) as client:
        view = await until_settled(client, await started(client, "above_booking", script="boom"))
        (question,) = view["escalations"]
        assert (view["status"], question["kind"]) == ("waiting_human", "failed")
        whole = await call(client, "list_escalations", escalation_id=question["escalation_id"])
        assert whole["escalations"][0]["tried"][0]["code"] == "no_room"


@pytest.mark.slow
async def test_an_input_that_it_refuses_was_surely_not_carried_out(two: Two) -> None:
    async with opened(two.above) as client:
        view = await until_settled(client, await started(client, "above_booking", ref="longer than five"))
        trace = await call(client, "list_trace", process_id=view["process_id"], step="go", data=True, limit=100)
        (failed,) = [row for row in trace["entries"] if row["event"] == "CallFailed"]
        assert "INPUT_MISMATCH" in failed["summary"]
        (question,) = view["escalations"]
        assert question["kind"] == "failed"  # not `outcome_unknown`
        assert processes_below(two) == []


@pytest.mark.slow
async def test_what_waits_for_a_person_there_is_a_persons_here_and_goes_on_under_the_same_key(two: Two) -> None:
    async with opened(two.above) as client:
        view = await until_settled(client, await started(client, "above_asked"))
        (question,) = view["escalations"]
        assert view["status"] == "waiting_human"
        whole = await call(client, "list_escalations", escalation_id=question["escalation_id"])
        told = str(whole["escalations"][0]["evidence"])
        (below,) = processes_below(two)
        asked_below = f"{below['process_id']}.e1"
        assert asked_below in told
        code, printed, _ = run_cli(two.below, "resolve", asked_below, "--decision", "approve")
        assert code == 0, printed
        await call(client, "resolve_escalation", escalation_id=question["escalation_id"], decision="retry")
        view = await until_settled(client, view["process_id"])
        assert (view["status"], view["output"]) == ("completed", {"id": 1})
        assert len(processes_below(two)) == 1


@pytest.mark.slow
async def test_a_try_that_is_too_short_is_followed_by_one_that_meets_the_same_process(two: Two) -> None:
    async with opened(two.above) as client:
        view = await until_settled(client, await started(client, "above_hasty", script="late"))
        assert (view["status"], view["output"]) == ("completed", {"id": 1})
        assert view["steps"][0]["attempts"] > 1
        assert len(processes_below(two)) == 1


@pytest.mark.slow
async def test_a_process_that_is_cancelled_cancels_what_it_started_below(two: Two) -> None:
    async with opened(two.above) as client:
        process_id = await started(client, "above_booking", script="late")
        with anyio.fail_after(20):
            while not processes_below(two):
                await anyio.sleep(0.05)
        view = await call(client, "cancel_process", process_id=process_id, reason="not wanted")
        view = await until_settled(client, process_id)
        assert view["status"] == "cancelled"
        with anyio.fail_after(20):
            while processes_below(two)[0]["status"] != "cancelled":
                await anyio.sleep(0.05)


@pytest.mark.slow
async def test_an_output_that_no_view_shows_is_read_whole(two: Two) -> None:
    async with opened(two.above) as client:
        given = {"text": "x" * LONG}
        submitted = await call(client, "submit_process", process_type="above_echo", input=given)
        view = await until_settled(client, submitted["process_id"])
        assert (view["status"], view["output"]) == ("completed", {"size": LONG})
