"""Reading: where a process stands, what happened, what is asked, and that nothing sensitive gets out."""

from __future__ import annotations

import re
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.home import (
    ASSERTED,
    CANARY,
    INVOICE,
    PASSPHRASE,
    REVIEWER,
    Desk,
    Fleet,
    answering,
    failing,
    open_desk,
)
from process_orchestrator.core.errors import EngineError, RefusedError, StorageFullError
from process_orchestrator.core.facts.values import FailureClass, Status
from process_orchestrator.views import models as m
from process_orchestrator.views.models import Caller, ResolveRequest
from process_orchestrator.views.text import view_text

pytestmark = pytest.mark.anyio

BROKEN = answering({"number": "LB-1", "vendor": {"name": 7, "iban": CANARY}, "lines": [], "total": 1.0})


async def refusal(call: Any) -> RefusedError:
    with pytest.raises(RefusedError) as raised:
        await call
    return raised.value


# --- state ---------------------------------------------------------------------------------------------------------


async def test_ids_are_read_generously(desk: Desk) -> None:
    view = await desk.settled()

    for given in (view.process_id.upper(), f"  '{view.process_id}'\n", f"process://{view.process_id}/state"):
        assert (await desk.orchestrator.state(given)).process_id == view.process_id


async def test_an_unknown_process_names_the_nearest(desk: Desk) -> None:
    view = await desk.settled()

    error = await refusal(desk.orchestrator.state("p_" + "a" * 26))

    assert error.code == "UNKNOWN_PROCESS"
    assert view.process_id in error.do
    assert (await refusal(desk.orchestrator.state("nonsense"))).code == "UNKNOWN_PROCESS"


async def test_another_principals_process_answers_as_unknown(desk: Desk) -> None:
    view = await desk.settled()
    other = Caller(principal="mallory")

    error = await refusal(desk.orchestrator.state(view.process_id, caller=other))

    assert error.code == "UNKNOWN_PROCESS"
    assert view.process_id not in error.do
    assert (await desk.orchestrator.processes(caller=other)).processes == []
    assert (await desk.orchestrator.escalations(status="all", caller=other)).escalations == []


async def test_a_wait_returns_when_something_changed(tmp_path: Path) -> None:
    release = anyio.Event()

    async def slow(arguments: dict[str, Any], told: Any) -> Any:
        await release.wait()
        return {"allowed": True}

    async with open_desk(tmp_path, fleet=Fleet(doing={"policy": slow})) as desk:
        view = await desk.submit()
        process = await desk.host.wait(view.process_id, since=view.version, timeout_s=5)
        release.set()
        with anyio.fail_after(5):
            after = await desk.orchestrator.state(view.process_id, wait_s=20, since=process.seq)
        assert after.version > process.seq


async def test_a_wait_of_an_ended_process_returns_at_once(desk: Desk) -> None:
    view = await desk.settled()

    with anyio.fail_after(1):
        again = await desk.orchestrator.state(view.process_id, wait_s=20, since=view.version)

    assert again.version == view.version


async def test_an_over_long_wait_and_a_version_from_the_future_are_corrected_and_named(desk: Desk) -> None:
    view = await desk.settled()

    again = await desk.orchestrator.state(view.process_id, wait_s=300, since=10_000)

    assert any("wait_s" in warning for warning in again.warnings)
    assert any("since" in warning for warning in again.warnings)


async def test_a_poll_that_has_seen_the_newest_version_is_held(desk: Desk) -> None:
    view = await desk.settled("review")
    before = anyio.current_time()

    await desk.orchestrator.state(view.process_id, since=view.version)

    assert 1.5 < anyio.current_time() - before < 5
    before = anyio.current_time()
    await desk.orchestrator.state(view.process_id, since=view.version - 1)
    assert anyio.current_time() - before < 1


async def test_a_waiting_process_says_not_to_poll(desk: Desk) -> None:
    view = await desk.settled("review")

    assert (view.status, view.why, view.poll_after_ms) == ("waiting_human", "human", 60_000)
    assert view.wait_until == view.escalations[0].deadline_at
    assert view.next_actions[0].tool == "list_escalations"
    assert view.next_actions[0].command == f"orchestrator resolve {view.escalations[0].escalation_id}"


async def test_rows_leave_out_evidence_tried_and_schemas(desk: Desk) -> None:
    [row] = (await desk.settled("review")).escalations

    assert (row.evidence, row.tried, [option.data_schema for option in row.options]) == (None, None, [None] * 3)
    assert row.question == "Is this invoice in order?"


async def test_plan_report_and_diagram_come_where_asked_for(desk: Desk) -> None:
    view = await desk.settled()

    full = await desk.orchestrator.state(view.process_id, include=("plan", "report", "diagram"))

    assert full.plan is not None
    assert [step["id"] for step in full.plan["steps"]] == ["read", "lines", "post"]
    assert full.report == await desk.orchestrator.report(view.process_id)
    assert full.diagram == await desk.orchestrator.diagram(view.process_id)
    assert (view.plan, view.report, view.diagram) == (None, None, None)
    assert (await refusal(desk.orchestrator.state(view.process_id, include=("all",)))).code == "BAD_ARGUMENT"


async def test_a_large_output_is_named_not_shown_but_whole_on_the_command_line(tmp_path: Path) -> None:
    long = answering({"id": "L" * 300_000, "total": 100.0})
    async with open_desk(tmp_path, fleet=Fleet(doing={"ledger": long})) as desk:
        view = await desk.settled()

        assert (view.truncated, view.output) == (True, None)
        assert any(f"orchestrator state {view.process_id} --json" in warning for warning in view.warnings)
        whole = await desk.orchestrator.state(view.process_id, caller=Caller(channel="cli"))
        assert len(whole.output["id"]) == 300_000


async def test_changes_end_with_the_process(desk: Desk) -> None:
    view = await desk.submit()
    with anyio.fail_after(5):
        async with aclosing(desk.orchestrator.changes(view.process_id)) as changes:
            seen = [each async for each in changes]

    assert seen[-1].status == "completed"
    assert [each.version for each in seen] == sorted({each.version for each in seen})


# --- trace ---------------------------------------------------------------------------------------------------------


async def test_the_trace_has_one_entry_per_event_in_order(desk: Desk) -> None:
    view = await desk.settled()

    page = await desk.orchestrator.trace(view.process_id, limit=100)

    assert [entry.seq for entry in page.entries] == list(range(1, view.version + 1))
    assert page.entries[0].event == "ProcessStarted"
    assert page.next_after is None
    read = [entry for entry in page.entries if entry.step == "read"]
    assert [(entry.event, entry.call, entry.agent, entry.contract, entry.verdict) for entry in read] == [
        ("CallPrepared", "read.1", "reader", "doc.read@1.0.0", "ok"),
        ("CallSucceeded", "read.1", "reader", "doc.read@1.0.0", "ok"),
    ]
    assert read[1].cost_usd == "0.002"


async def test_the_trace_is_paged_without_gap_or_repeat(desk: Desk) -> None:
    view = await desk.settled()
    seqs: list[int] = []
    agents: set[str | None] = set()
    after: int | None = 0
    while after is not None:
        page = await desk.orchestrator.trace(view.process_id, after=after, limit=1)
        seqs += [entry.seq for entry in page.entries]
        agents |= {entry.agent for entry in page.entries if entry.event == "CallSucceeded"}
        after = page.next_after

    assert seqs == list(range(1, view.version + 1))
    assert agents == {"reader", "policy", "ledger"}


async def test_the_trace_is_filtered_by_step_unit_and_kind(desk: Desk) -> None:
    view = await desk.settled()

    async def calls(**only: Any) -> set[str | None]:
        return {entry.call for entry in (await desk.orchestrator.trace(view.process_id, limit=100, **only)).entries}

    assert await calls(step="lines") == {None, "lines[0].1", "lines[1].1"}
    assert await calls(step="lines[1]") == {"lines[1].1"}
    assert await calls(kind="process") == {None}


async def test_with_data_a_step_shows_input_and_output_masked(desk: Desk) -> None:
    view = await desk.settled()

    page = await desk.orchestrator.trace(view.process_id, step="read", data=True)

    assert page.entries[0].input == {"text": "an invoice"}
    assert page.entries[1].output["vendor"] == {"name": "Holm & Falk", "iban": "[sensitive]"}
    booked = await desk.orchestrator.trace(view.process_id, step="post", data=True)
    assert booked.entries[0].input["iban"] == "[sensitive]"


async def test_what_is_cut_is_named_with_its_size_and_reachable_whole(tmp_path: Path) -> None:
    long = {**INVOICE, "lines": [{"name": f"line {number}", "amount": 1.0} for number in range(500)]}
    async with open_desk(tmp_path, fleet=Fleet(doing={"reader": answering(long)})) as desk:
        view = await desk.settled("reading")

        page = await desk.orchestrator.trace(view.process_id, step="read", data=True)

        [cut] = page.entries[1].cut or []
        assert (cut.field, cut.uri) == ("output", f"process://{view.process_id}/steps/read/output")
        assert cut.bytes > 4096
        whole = await desk.orchestrator.step_body(view.process_id, "read", "output")
        assert len(whole["lines"]) == 500
        assert whole["vendor"]["iban"] == "[sensitive]"


async def test_a_bad_answer_stands_in_the_trace_as_received_but_masked(tmp_path: Path) -> None:
    async with open_desk(tmp_path, fleet=Fleet(doing={"reader": BROKEN, "backup": BROKEN})) as desk:
        view = await desk.settled("reading")

        page = await desk.orchestrator.trace(view.process_id, step="read", data=True)
        failed = next(entry for entry in page.entries if entry.event == "CallFailed")

        assert (failed.verdict, failed.blame) == ("output_mismatch", "agent")
        assert failed.output["vendor"] == {"name": 7, "iban": "[sensitive]"}
        assert failed.detail["errors"][0]["pointer"] == "/vendor/name"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"step": "nowhere"}, "UNKNOWN_STEP"),
        ({"kind": "thoughts"}, "BAD_ARGUMENT"),
        ({"data": True}, "BAD_ARGUMENT"),
    ],
)
async def test_a_trace_of_what_is_not_there_is_refused(desk: Desk, arguments: dict[str, Any], code: str) -> None:
    view = await desk.settled()

    assert (await refusal(desk.orchestrator.trace(view.process_id, **arguments))).code == code


async def test_a_body_that_is_not_there_is_refused(desk: Desk) -> None:
    view = await desk.settled("review")

    assert (await refusal(desk.orchestrator.step_body(view.process_id, "nowhere", "input"))).code == "UNKNOWN_STEP"
    assert (await refusal(desk.orchestrator.step_body(view.process_id, "ask", "output"))).code == "UNKNOWN_STEP"
    assert (await refusal(desk.orchestrator.step_body(view.process_id, "-", "output"))).code == "UNKNOWN_STEP"
    assert await desk.orchestrator.step_body(view.process_id, "ask", "input") == {"number": "LB-1"}


async def test_the_process_itself_has_bodies_too(desk: Desk) -> None:
    view = await desk.settled()

    assert await desk.orchestrator.step_body(view.process_id, "-", "input") == {"text": "an invoice"}
    output = await desk.orchestrator.step_body(view.process_id, "-", "output")
    assert output == view.output
    assert output["vendor"]["iban"] == "[sensitive]"


# --- why and report ------------------------------------------------------------------------------------------------


async def test_why_shows_the_failing_call_alone_and_the_next_command(tmp_path: Path) -> None:
    illegible = failing("illegible", "smudged", class_=FailureClass.PERMANENT, stderr="Traceback: smudge")
    async with open_desk(tmp_path, fleet=Fleet(doing={"reader": illegible})) as desk:
        view = await desk.settled()
        question = view.escalations[0].escalation_id

        why = await desk.orchestrator.why(view.process_id)

        assert (why.failed, why.step, why.call, why.agent, why.code) == (True, "read", "read.1", "reader", "illegible")
        assert (why.request, why.outcome, why.escalation_id) == ({"text": "an invoice"}, "not_done", question)
        assert why.stderr == "Traceback: smudge"
        assert why.next_command == f"orchestrator resolve {question}"
        await desk.orchestrator.resolve(ResolveRequest(escalation_id=question, decision="abort"), proof=ASSERTED)
        ended = await desk.orchestrator.why(view.process_id)
        assert ended.next_command == f"orchestrator redrive {ended.process_id}"


async def test_why_names_the_last_call_that_went_well(tmp_path: Path) -> None:
    closed = failing("closed", class_=FailureClass.PERMANENT)
    async with open_desk(tmp_path, fleet=Fleet(doing={"ledger": closed})) as desk:
        view = await desk.settled()

        why = await desk.orchestrator.why(view.process_id)

        assert (why.call, why.last_ok) == ("post.1", "lines[1].1")
        assert why.request["iban"] == "[sensitive]"


async def test_why_of_a_process_without_a_failure_says_what_it_waits_for(desk: Desk) -> None:
    done, waiting = await desk.settled(), await desk.settled("review")

    assert (await desk.orchestrator.why(done.process_id)).failed is False
    why = await desk.orchestrator.why(waiting.process_id)
    assert why.next_command == f"orchestrator resolve {waiting.escalations[0].escalation_id}"


async def test_the_report_says_who_did_what_what_failed_and_who_decided(tmp_path: Path) -> None:
    illegible = failing("illegible", "<script>alert(1)</script> [click](http://x)", class_=FailureClass.PERMANENT)
    fleet = Fleet(doing={"reader": illegible})
    async with open_desk(tmp_path, fleet=fleet) as desk:
        desk.reviewers.add("ana", PASSPHRASE)
        view = await desk.settled(task="Book *this* <b>now</b>")
        fleet.doing.clear()
        question = ResolveRequest(
            escalation_id=view.escalations[0].escalation_id, decision="retry", note="the scan was replaced | `x`"
        )
        await desk.orchestrator.resolve(question, proof=REVIEWER)
        await desk.host.until(view.process_id, Status.COMPLETED)

        report = await desk.orchestrator.report(view.process_id)

    assert report.startswith("# booking: completed")
    assert "illegible" in report
    assert "Then: a person was asked" in report
    assert "**retry** by ana" in report
    assert "A2-local" in report
    assert "0.005 USD of 0.50 USD" in report
    for markup in ("<script", "<b>", "[click]", "*this", "| `x"):
        assert re.search(rf"(?<!\\){re.escape(markup)}", report) is None


async def test_the_diagram_shows_every_step_with_its_status(desk: Desk) -> None:
    view = await desk.settled("review")

    lines = (await desk.orchestrator.diagram(view.process_id)).splitlines()

    assert lines[0] == "flowchart TD"
    assert '  n0["read<br/>doc.read at reader<br/>done"]:::good' in lines
    assert '  n1["ask<br/>desk.review at approver<br/>escalated: human"]:::human' in lines
    assert "  n0 --> n1" in lines


# --- questions -----------------------------------------------------------------------------------------------------


async def test_a_package_has_everything_needed_to_decide(tmp_path: Path) -> None:
    large = {**INVOICE, "total": 5000.0}
    async with open_desk(tmp_path, fleet=Fleet(doing={"reader": answering(large)})) as desk:
        view = await desk.settled()

        question = await desk.orchestrator.escalation(view.escalations[0].escalation_id)

        assert question.question == "May step post call ledger.post (Book one invoice) with exactly these arguments?"
        assert question.why.rule == "ledger.post 1.0.0 demands approval when input.total > 1000.0"
        assert question.why.seq is not None
        assert question.goal == "booking: The booking process."
        approve = question.options[0]
        assert (approve.decision, approve.needs, approve.cost_usd, approve.data_schema) == (
            "approve",
            "A2",
            "0.001",
            None,
        )
        assert approve.consequence == (
            "Book one invoice: calls ledger.post at agent ledger with exactly these arguments. "
            "It changes the world; nothing is declared that undoes it."
        )
        labels = {each.label: each for each in question.evidence or []}
        arguments = labels["arguments of the call"]
        assert arguments.from_ == "agent"
        assert (arguments.value["total"], arguments.value["iban"]) == (5000.0, "[sensitive]")
        assert labels["input of the process"].from_ == "input"
        assert (question.role, question.required_assurance, question.on_deadline) == ("approver", "A2", "reject")


async def test_a_map_is_asked_about_with_all_its_items(desk: Desk) -> None:
    view = await desk.settled("reminders")

    question = await desk.orchestrator.escalation(view.escalations[0].escalation_id)

    items = next(each for each in question.evidence or [] if each.label == "the 2 items")
    assert items.value == [
        {"item": 0, "value": {"name": "paper", "amount": 40.0}},
        {"item": 1, "value": {"name": "ink", "amount": 60.0}},
    ]
    assert question.options[0].data_schema is not None
    assert question.options[0].data_schema["properties"]["reject"]["items"]["maximum"] == 1


async def test_an_answer_form_has_the_contracts_schema_and_no_engine_field(tmp_path: Path) -> None:
    closed = failing("closed", class_=FailureClass.PERMANENT)
    async with open_desk(tmp_path, fleet=Fleet(doing={"ledger": closed})) as desk:
        view = await desk.settled()

        question = await desk.orchestrator.escalation(view.escalations[0].escalation_id)
        schemas = {option.decision: option.data_schema for option in question.options}

        assert "request_id" not in (schemas["retry_with_input"] or {})["properties"]
        assert (schemas["use_output"] or {})["required"] == ["id", "total"]
        assert question.tried is not None
        assert [(each.agent, each.attempt, each.code) for each in question.tried] == [("ledger", 1, "closed")]
        assert question.blame == "agent"


async def test_listings_of_questions_are_filtered(desk: Desk) -> None:
    open_one, closed_one = await desk.settled("review"), await desk.settled("review", input={"text": "two"})
    await desk.orchestrator.resolve(
        ResolveRequest(
            escalation_id=closed_one.escalations[0].escalation_id, decision="answer", data={"accepted": False}
        ),
        proof=ASSERTED,
    )

    async def ids(**only: Any) -> list[str]:
        return [row.process_id for row in (await desk.orchestrator.escalations(**only)).escalations]

    assert await ids() == [open_one.process_id]
    assert await ids(status="resolved") == [closed_one.process_id]
    assert set(await ids(status="all")) == {open_one.process_id, closed_one.process_id}
    assert await ids(process_id=closed_one.process_id) == []
    assert (await refusal(desk.orchestrator.escalations(status="some"))).code == "BAD_ARGUMENT"  # type: ignore[arg-type]


async def test_a_resolved_question_keeps_its_record_and_effect(desk: Desk) -> None:
    view = await desk.settled("review")
    name = view.escalations[0].escalation_id
    await desk.orchestrator.resolve(
        ResolveRequest(escalation_id=name, decision="answer", data={"accepted": True}, note="fine"), proof=ASSERTED
    )

    record = (await desk.orchestrator.escalation(name)).resolution

    assert record is not None
    assert (record.decision, record.data, record.note, record.by, record.assurance) == (
        "answer",
        {"accepted": True},
        "fine",
        "local",
        "A0",
    )
    trace = await desk.orchestrator.trace(view.process_id, limit=100)
    events = {entry.seq: entry.event for entry in trace.entries}
    assert record.effect
    assert events[record.effect[0] - 1] == "EscalationResolved"


# --- listings ------------------------------------------------------------------------------------------------------


async def test_listings_of_processes_are_filtered_and_paged(desk: Desk) -> None:
    first = await desk.settled("review", label="a")
    second = await desk.settled(label="b")

    async def ids(**only: Any) -> list[str]:
        return [row.process_id for row in (await desk.orchestrator.processes(**only)).processes]

    assert await ids() == [second.process_id, first.process_id]
    assert await ids(status="waiting_human") == [first.process_id]
    assert await ids(process_type="booking") == [second.process_id]
    assert await ids(label="a") == [first.process_id]
    assert await ids(since="2100-01-01") == []
    page = await desk.orchestrator.processes(limit=1)
    assert page.next_cursor is not None
    assert await ids(limit=1, cursor=page.next_cursor) == [first.process_id]
    assert (await refusal(desk.orchestrator.processes(status="dead"))).code == "BAD_ARGUMENT"
    assert (await refusal(desk.orchestrator.processes(since="yesterday"))).code == "BAD_ARGUMENT"


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageFullError("no room"), "STORAGE_FULL"),
        (EngineError("ENGINE_UNAVAILABLE", "no answer in 5 s"), "ENGINE_UNAVAILABLE"),
        (EngineError("ENGINE_VERSION", "engine 0.3.1 holds this home"), "ENGINE_VERSION"),
        (RefusedError("BAD_ARGUMENT", "no", do="yes", pointer="/x"), "BAD_ARGUMENT"),
    ],
)
async def test_every_error_has_a_code_and_says_what_to_do(desk: Desk, error: Any, code: str) -> None:
    view = desk.orchestrator.error_view(error)

    assert view.error.code == code
    assert view.error.do
    assert view_text(view).startswith(f"{code}: ")


# --- nothing sensitive ---------------------------------------------------------------------------------------------


async def test_a_sensitive_value_stands_in_no_view_though_it_is_stored(tmp_path: Path) -> None:
    large = {**INVOICE, "total": 5000.0}
    async with open_desk(tmp_path, fleet=Fleet(doing={"reader": answering(large)})) as desk:
        desk.reviewers.add("ana", PASSPHRASE)
        use = desk.orchestrator
        view = await desk.settled()
        name, process_id = view.escalations[0].escalation_id, view.process_id
        shown: list[m.View | str] = [view, await use.escalation(name), await use.escalations()]
        shown.append(await use.resolve(ResolveRequest(escalation_id=name, decision="approve"), proof=REVIEWER))
        await desk.host.until(process_id, Status.COMPLETED)
        shown += [
            await use.state(process_id, include=("plan", "report", "diagram")),
            *[await use.trace(process_id, step=step, data=True, limit=100) for step in ("read", "lines", "post")],
            await use.trace(process_id, limit=100),
            await use.escalations(status="all"),
            await use.why(process_id),
            await use.report(process_id),
            str([await use.step_body(process_id, step, "output") for step in ("read", "lines", "post")]),
            str([await use.step_body(process_id, step, "input") for step in ("read", "lines", "post")]),
        ]
        texts = [each if isinstance(each, str) else each.model_dump_json() + view_text(each) for each in shown]

        assert CANARY.encode() in desk.host.everything_stored()
        assert [text for text in texts if CANARY in text] == []


# --- processes that ended badly --------------------------------------------------------------------------------------


@pytest.mark.behaviour("P8")
async def test_a_failed_process_says_why_everywhere(tmp_path: Path) -> None:
    closed = failing("closed", "the books are closed", class_=FailureClass.PERMANENT)
    async with open_desk(tmp_path, fleet=Fleet(doing={"ledger": closed})) as desk:
        question = (await desk.settled()).escalations[0].escalation_id
        process_id = question.partition(".")[0]
        await desk.orchestrator.resolve(ResolveRequest(escalation_id=question, decision="abort"), proof=ASSERTED)

        view = await desk.orchestrator.state(process_id)
        report = await desk.orchestrator.report(process_id)
        last = (await desk.orchestrator.trace(process_id, limit=100)).entries[-1]

    assert (view.status, view.poll_after_ms) == ("failed", 0)
    assert view.error is not None
    assert (view.error.code, view.error.blame) == ("aborted", "policy")
    assert view.next_actions[0].command == f"orchestrator why {process_id}"
    assert "Failed" in report
    assert "`aborted`, blame policy" in report
    assert last.event == "EscalationResolved"
    assert f"Error {view.error.code}" in view_text(view)


@pytest.mark.behaviour("P8")
async def test_a_cancelled_process_says_who_and_why(desk: Desk) -> None:
    view = await desk.settled("review", label="march")
    cancelled = await desk.orchestrator.cancel(view.process_id, "the vendor *withdrew*")

    report = await desk.orchestrator.report(view.process_id)
    trace = await desk.orchestrator.trace(view.process_id, kind="process")

    assert (cancelled.status, cancelled.error) == ("cancelled", None)
    assert r"Cancelled: the vendor \*withdrew\*" in report
    assert "withdrawn" in report
    assert "- Label: march" in report
    assert trace.entries[-1].summary == "Cancel requested by local: the vendor *withdrew*"
    assert (await desk.orchestrator.why(view.process_id)).message == "Nothing failed; the process is cancelled."


async def test_effects_that_stay_are_named(tmp_path: Path) -> None:
    unsure = failing("timeout", "no answer")
    async with open_desk(tmp_path, fleet=Fleet(doing={"ledger": unsure})) as desk:
        view = await desk.settled()
        await desk.orchestrator.resolve(
            ResolveRequest(escalation_id=view.escalations[0].escalation_id, decision="abort"), proof=ASSERTED
        )
        ended = await desk.orchestrator.state(view.process_id)

        assert ended.left == ["post"]
        assert "Effects that stay: post." in view_text(ended)
        assert "Effects that stay: `post`" in await desk.orchestrator.report(view.process_id)


async def test_a_retry_or_a_fallback_stands_in_the_report(tmp_path: Path) -> None:
    unreachable = failing("unreachable", "nobody there")
    async with open_desk(tmp_path, fleet=Fleet(doing={"reader": unreachable})) as desk:
        view = await desk.settled("reading")

        report = await desk.orchestrator.report(view.process_id)

    assert (view.status, view.steps[0].agent, view.steps[0].attempts) == ("completed", "backup", 2)
    assert "Then: called backup." in report
