"""However a process ends, its trace says why: the entry that ended it names code, blame and step, or who decided."""

from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple

import pytest
from mcp import Client

from acceptance.building import NUMBER, SHARED_PROGRAMS, TEXT, HomeBuilder, record
from acceptance.driving import ENDED, call, server, until_settled

pytestmark = [pytest.mark.anyio, pytest.mark.behaviour("P8")]

NOTHING: Final = record({})
NOTE: Final = "the vendor asked us to wait"
READ: Final = {"timeout": {"attempt_s": 30, "total_s": 60}, "retry": {"max_attempts": 1}}


class Ended(NamedTuple):
    view: dict[str, Any]
    entries: list[dict[str, Any]]

    @property
    def last(self) -> dict[str, Any]:
        return self.entries[-1]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["event"] == event]

    def status_of(self, step: str) -> str:
        return next(row["status"] for row in self.view["steps"] if row["id"] == step)


def build_types(build: HomeBuilder) -> None:
    """One process type per way to end; `bad` answers outside its contract, `good` within, `silent` never."""
    for name, kind in (("good", "read"), ("bad", "read"), ("silent", "read"), ("book", "write")):
        rest: dict[str, Any] = READ if kind == "read" else {"errors": {"closed": {"class": "denied"}}}
        build.contract(f"desk.{name}", given=NOTHING, answer=record({"total": NUMBER}), kind=kind, **rest)
    build.contract("desk.refuse", given=NOTHING, answer=NOTHING, kind="write", errors={"closed": {"class": "denied"}})
    good = {"tool": "json", "input": {"text": '{"total": 1}'}}
    build.stdio_agent(
        "hostile",
        SHARED_PROGRAMS / "hostile.py",
        serves={
            "desk.good": good,
            "desk.book": good,
            "desk.bad": {"tool": "json", "input": {"text": '{"total": "a lot"}'}},
            "desk.silent": {"tool": "silent"},
            "desk.refuse": {
                "tool": "fail",
                "input": {"text": "closed for today"},
                "errors": {"closed": {"text": "closed"}},
            },
        },
    )
    bad = {"id": "ask", "contract": "desk.bad", "in": {}}
    book = {"id": "post", "contract": "desk.book", "in": {}}
    for word in ("fail", "escalate", "skip", "compensate"):
        build.process(f"by_{word}", book, {**bad, "after": ["post"], "on_failure": word}, given=NOTHING)
    refuse = {"id": "post", "contract": "desk.refuse", "in": {}}
    build.process("by_code", {**refuse, "on_failure": {"closed": "fail", "else": "skip"}}, given=NOTHING)
    build.process("by_default", {**bad, "on_failure": "skip", "default": {"total": 0}}, given=NOTHING)
    build.process("approved", {**book, "approval": {"role": "approver"}}, given=NOTHING)
    build.process("long", {"id": "wait", "contract": "desk.silent", "in": {}}, given=NOTHING)
    build.process(
        "beside", {**bad, "on_failure": "fail"}, {"id": "wait", "contract": "desk.silent", "in": {}}, given=NOTHING
    )
    build.process(
        "items",
        {"id": "each", "contract": "desk.bad", "for_each": "$.input.names", "in": {}, "on_failure": "fail"},
        given=record({"names": {"type": "array", "items": TEXT}}),
    )
    build.process(
        "no_output",
        {"id": "ask", "contract": "desk.good", "in": {}},
        given=NOTHING,
        output=record({"total": {**NUMBER, "maximum": 0}}),
        plan={
            "steps": [{"id": "ask", "contract": "desk.good", "in": {}}],
            "output": {"total": "$.steps.ask.output.total"},
        },
    )


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Client]:
    build = HomeBuilder(tmp_path_factory.mktemp("endings") / "home")
    build_types(build)
    async with Client(server(build.built())) as client:
        yield client


async def started(client: Client, process_type: str, **given: Any) -> dict[str, Any]:
    view = await call(client, "submit_process", process_type=process_type, input=given)
    return await call(client, "get_state", process_id=view["process_id"])


async def asked(client: Client, process_type: str) -> dict[str, Any]:
    view = await until_settled(client, (await started(client, process_type))["process_id"])
    assert view["status"] == "waiting_human"
    return view


async def decided(client: Client, view: dict[str, Any], decision: str) -> Ended:
    (question,) = view["escalations"]
    resolved = await call(
        client, "resolve_escalation", escalation_id=question["escalation_id"], decision=decision, note=NOTE
    )
    assert resolved["status"] == "resolved"
    return await end_of(client, view["process_id"])


async def end_of(client: Client, process_id: str) -> Ended:
    view = await until_settled(client, process_id)
    assert view["status"] in ENDED
    page = await call(client, "list_trace", process_id=process_id, limit=100)
    assert page.get("next_after") is None
    reported = await call(client, "get_state", process_id=process_id, include=["report"])
    if view["status"] == "failed":
        assert view["error"]["code"] in reported["report"]
    assert view["status"] in reported["report"]
    return Ended(view, page["entries"])


async def ended(client: Client, process_type: str, **given: Any) -> Ended:
    return await end_of(client, (await started(client, process_type, **given))["process_id"])


async def test_completed_ends_with_the_output_that_was_built(client: Client) -> None:
    run = await decided(client, await asked(client, "approved"), "approve")
    assert run.view["status"] == "completed"
    assert run.last["event"] == "OutputBuilt"
    approval = run.of("EscalationResolved")[0]
    assert "approve" in approval["summary"]
    assert NOTE in approval["summary"]


async def test_compensation_ends_with_the_decision_about_what_nothing_undoes(client: Client) -> None:
    run = await decided(client, await asked(client, "by_compensate"), "skip")
    assert (run.view["status"], run.view["error"]["code"]) == ("failed", "output_mismatch")
    assert (run.view["undone"], run.view["left"]) == ([], ["post"])
    assert (run.last["event"], run.last["step"]) == ("EscalationResolved", "post")
    assert "skip" in run.last["summary"]


async def test_failed_by_the_plans_word_ends_with_the_failed_call(client: Client) -> None:
    run = await ended(client, "by_fail")
    error = run.view["error"]
    assert (run.view["status"], error["code"], error["blame"]) == ("failed", "output_mismatch", "agent")
    assert (run.last["event"], run.last["verdict"], run.last["blame"]) == ("CallFailed", "output_mismatch", "agent")
    assert (run.last["step"], run.last["call"]) == (error["step"], error["call"]) == ("ask", "ask.1")
    assert "/total" in run.last["summary"]
    assert run.view["left"] == ["post"]


async def test_failed_by_a_code_of_its_own_ends_with_that_code(client: Client) -> None:
    run = await ended(client, "by_code")
    assert (run.view["error"]["code"], run.last["event"], run.last["verdict"]) == ("closed", "CallFailed", "closed")


async def test_aborted_ends_with_the_decision_after_the_failure_it_was_about(client: Client) -> None:
    run = await decided(client, await asked(client, "by_escalate"), "abort")
    assert (run.view["status"], run.view["error"]["code"], run.view["error"]["blame"]) == (
        "failed",
        "aborted",
        "policy",
    )
    assert [entry["event"] for entry in run.entries[-3:]] == ["CallFailed", "EscalationOpened", "EscalationResolved"]
    assert "output_mismatch" in run.entries[-3]["summary"]
    assert "abort about ask" in run.last["summary"]
    assert NOTE in run.last["summary"]


async def test_rejected_ends_with_the_decision_and_its_note(client: Client) -> None:
    run = await decided(client, await asked(client, "approved"), "reject")
    error = run.view["error"]
    assert (run.view["status"], error["code"], error["blame"], error["step"]) == (
        "failed",
        "rejected",
        "policy",
        "post",
    )
    assert run.last["event"] == "EscalationResolved"
    assert "reject about post" in run.last["summary"]
    assert NOTE in run.last["summary"]


async def test_skipped_by_a_person_completes_and_says_who_skipped(client: Client) -> None:
    run = await decided(client, await asked(client, "by_escalate"), "skip")
    assert (run.view["status"], run.status_of("ask")) == ("completed", "skipped")
    assert "skip about ask" in run.of("EscalationResolved")[0]["summary"]


@pytest.mark.parametrize("process_type", ["by_skip", "by_default"])
async def test_skipped_by_the_plans_word_completes_and_shows_the_failure(client: Client, process_type: str) -> None:
    run = await ended(client, process_type)
    assert (run.view["status"], run.status_of("ask")) == ("completed", "skipped")
    assert [entry["verdict"] for entry in run.of("CallFailed")] == ["output_mismatch"]
    assert run.last["event"] == "OutputBuilt"


async def test_a_default_that_stands_in_after_a_failure_says_so(client: Client) -> None:
    run = await ended(client, "by_default")
    (skipped,) = run.of("StepSkipped")
    assert "default" in skipped["summary"]
    assert "condition is false" not in skipped["summary"]


async def test_cancelled_ends_with_the_request_and_what_became_of_the_call(client: Client) -> None:
    view = await started(client, "long")
    while view["steps"][0]["status"] != "calling":
        view = await call(client, "get_state", process_id=view["process_id"], wait_s=1, since=view["version"])
    await call(client, "cancel_process", process_id=view["process_id"], reason=NOTE)
    run = await end_of(client, view["process_id"])
    assert run.view["status"] == "cancelled"
    request, *after = run.entries[-2:]
    assert (request["event"], NOTE in request["summary"]) == ("CancelRequested", True)
    assert [(entry["event"], entry["call"], entry["verdict"]) for entry in after] == [("CallLost", "wait.1", "lost")]


async def test_cancelled_before_anything_is_decided_ends_with_the_request(client: Client) -> None:
    view = await asked(client, "approved")
    await call(client, "cancel_process", process_id=view["process_id"], reason=NOTE)
    run = await end_of(client, view["process_id"])
    assert (run.view["status"], run.last["event"]) == ("cancelled", "CancelRequested")
    assert NOTE in run.last["summary"]


async def test_failed_beside_a_call_that_is_cut_off_shows_both(client: Client) -> None:
    run = await ended(client, "beside")
    assert (run.view["error"]["code"], run.view["error"]["step"]) == ("output_mismatch", "ask")
    failed, lost = run.entries[-2:]
    assert (failed["event"], failed["step"], failed["verdict"]) == ("CallFailed", "ask", "output_mismatch")
    assert (lost["event"], lost["step"], lost["verdict"]) == ("CallLost", "wait", "lost")


async def test_failed_at_an_item_names_the_item(client: Client) -> None:
    run = await ended(client, "items", names=["a"])
    assert (run.view["error"]["code"], run.view["error"]["call"]) == ("output_mismatch", "each[0].1")
    assert (run.last["verdict"], run.last["call"]) == ("output_mismatch", "each[0].1")


async def test_failed_at_the_output_ends_with_the_failed_stage(client: Client) -> None:
    run = await ended(client, "no_output")
    error = run.view["error"]
    assert (run.view["status"], error["code"], error["blame"]) == ("failed", "output_mismatch", "planner")
    assert (run.last["event"], run.last["verdict"], run.last["blame"]) == ("StageFailed", "output_mismatch", "planner")
