"""Deciding: every decision's data and effect, who may decide, and who comes late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.home import (
    ASSERTED,
    CANARY,
    ELICITED,
    INVOICE,
    PASSPHRASE,
    REVIEWER,
    Desk,
    Fleet,
    answering,
    failing,
    open_desk,
)
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import FailureClass, Outcome, Status
from process_orchestrator.core.ports import Proof
from process_orchestrator.views.models import Caller, ProcessView, Resolution, ResolveRequest

pytestmark = pytest.mark.anyio

LARGE = {**INVOICE, "total": 5000.0}
ILLEGIBLE = failing("illegible", class_=FailureClass.PERMANENT)
UNSURE = failing("timeout", "no answer")


async def resolve(
    desk: Desk, escalation_id: str, decision: str | None = None, *, proof: Proof = REVIEWER, **rest: Any
) -> Resolution:
    caller = rest.pop("caller", Caller())
    request = ResolveRequest(escalation_id=escalation_id, decision=decision, **rest)
    return await desk.orchestrator.resolve(request, proof=proof, caller=caller)


async def refused(desk: Desk, escalation_id: str, decision: str, **rest: Any) -> RefusedError:
    with pytest.raises(RefusedError) as raised:
        await resolve(desk, escalation_id, decision, **rest)
    return raised.value


async def asked(desk: Desk, process_type: str = "booking", **rest: Any) -> str:
    """Submit until a person is asked; the id of the one question."""
    view = await desk.settled(process_type, **rest)
    [row] = view.escalations
    return row.escalation_id


async def ended(desk: Desk, escalation_id: str) -> ProcessView:
    process_id = escalation_id.partition(".")[0]
    await desk.host.until(process_id, Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.WAITING_HUMAN)
    return await desk.orchestrator.state(process_id)


def waiting(**doing: Any) -> Fleet:
    return Fleet(doing=doing)


# --- approval ------------------------------------------------------------------------------------------------------


async def test_approving_books_with_the_very_arguments_shown(tmp_path: Path) -> None:
    async with open_desk(tmp_path, fleet=waiting(reader=answering(LARGE))) as desk:
        desk.reviewers.add("ana", PASSPHRASE)
        question = await asked(desk)

        resolution = await resolve(desk, question, "approve", note="checked with the buyer")

        assert resolution.status == "resolved"
        assert resolution.recorded is not None
        assert (resolution.recorded.by, resolution.recorded.channel, resolution.recorded.assurance) == (
            "ana",
            "passphrase",
            "A2-local",
        )
        view = await ended(desk, question)
        assert (view.status, view.output["id"]) == ("completed", "L-LB-1")
        [(_, arguments, told)] = [call for call in desk.fleet.calls if call[0] == "ledger"]
        assert (arguments["total"], arguments["request_id"]) == (5000.0, told.key)


@pytest.mark.parametrize(("decision", "code"), [("reject", "rejected"), ("abort", "aborted")])
async def test_rejecting_and_aborting_need_no_proof_and_call_nothing(tmp_path: Path, decision: str, code: str) -> None:
    async with open_desk(tmp_path, fleet=waiting(reader=answering(LARGE))) as desk:
        question = await asked(desk)

        resolution = await resolve(desk, question, decision, proof=ASSERTED)

        assert resolution.status == "resolved"
        view = await ended(desk, question)
        assert (view.status, view.error.code if view.error else None) == ("failed", code)
        assert "ledger" not in [name for name, _, _ in desk.fleet.calls]


@pytest.mark.behaviour("P9")
@pytest.mark.parametrize("proof", [ASSERTED, ELICITED])
async def test_approving_without_enough_proof_is_needs_human_and_records_nothing(tmp_path: Path, proof: Proof) -> None:
    async with open_desk(tmp_path, fleet=waiting(reader=answering(LARGE))) as desk:
        desk.reviewers.add("ana", PASSPHRASE)
        question = await asked(desk)

        resolution = await resolve(desk, question, "approve", proof=proof)

        assert (resolution.status, resolution.required, resolution.recorded) == ("needs_human", "A2", None)
        assert [way.command for way in resolution.how or []] == [f"orchestrator resolve {question} --as REVIEWER"]
        assert resolution.expires_at == resolution.escalation.deadline_at
        assert resolution.message is None
        assert (await desk.orchestrator.escalation(question)).status == "open"


async def test_without_any_reviewer_it_says_how_to_add_one(tmp_path: Path) -> None:
    async with open_desk(tmp_path, fleet=waiting(reader=answering(LARGE))) as desk:
        resolution = await resolve(desk, await asked(desk), "approve", proof=ASSERTED)

    assert resolution.message is not None
    assert "no reviewer exists" in resolution.message.lower()
    assert "orchestrator reviewers add NAME" in resolution.message


async def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path, fleet=waiting(reader=answering(LARGE))) as desk:
        error = await refused(desk, await asked(desk), "approve")

    assert error.code == "BAD_ARGUMENT"


async def test_some_items_of_a_map_may_be_left_out(desk: Desk) -> None:
    question = await asked(desk, "reminders")

    resolution = await resolve(desk, question, "approve", proof=ELICITED, data={"reject": [1]})

    assert resolution.status == "resolved"
    assert resolution.escalation.resolution is not None
    assert resolution.escalation.resolution.data == {"reject": [1]}
    view = await ended(desk, question)
    assert (view.status, view.output) == ("completed", {"sent": [{"sent": True}, None]})


@pytest.mark.parametrize(
    "data", [{"reject": [2]}, {"reject": [-1]}, {"reject": ["1"]}, {"reject": [True]}, {"items": [1]}, [1]]
)
async def test_items_that_are_not_there_are_refused(desk: Desk, data: Any) -> None:
    error = await refused(desk, await asked(desk, "reminders"), "approve", proof=ELICITED, data=data)

    assert error.code == "INPUT_MISMATCH"


# --- failed --------------------------------------------------------------------------------------------------------


async def failed_reading(desk: Desk) -> str:
    desk.fleet.doing.update(reader=ILLEGIBLE)
    desk.reviewers.add("ana", PASSPHRASE)
    return await asked(desk, "reading")


async def test_retry_calls_again(desk: Desk) -> None:
    question = await failed_reading(desk)
    desk.fleet.doing.clear()

    assert (await resolve(desk, question, "retry")).status == "resolved"

    view = await ended(desk, question)
    assert (view.status, view.output, view.steps[0].attempts) == ("completed", {"number": "LB-1"}, 2)


async def test_retry_with_input_calls_with_what_was_given(desk: Desk) -> None:
    question = await failed_reading(desk)
    desk.fleet.doing.clear()

    await resolve(desk, question, "retry_with_input", data={"text": "a better scan"})

    assert (await ended(desk, question)).status == "completed"
    assert desk.fleet.calls[-1][1] == {"text": "a better scan"}


async def test_use_output_takes_the_answer_of_a_person(desk: Desk) -> None:
    question = await failed_reading(desk)
    calls = len(desk.fleet.calls)

    await resolve(desk, question, "use_output", data={**INVOICE, "number": "typed"})

    view = await ended(desk, question)
    assert (view.status, view.output) == ("completed", {"number": "typed"})
    assert len(desk.fleet.calls) == calls


async def test_use_agent_asks_the_named_one(desk: Desk) -> None:
    question = await failed_reading(desk)

    await resolve(desk, question, "use_agent", data={"agent": "Backup"})

    assert (await ended(desk, question)).status == "completed"
    assert desk.fleet.calls[-1][0] == "backup"


async def test_skip_puts_the_default_in(desk: Desk) -> None:
    question = await failed_reading(desk)

    await resolve(desk, question, "skip")

    view = await ended(desk, question)
    assert (view.status, view.output, view.steps[0].status) == ("completed", {"number": "0"}, "skipped")


@pytest.mark.parametrize(
    ("decision", "data", "code", "pointer"),
    [
        ("retry", {"agent": "backup"}, "INPUT_MISMATCH", "/agent"),
        ("retry", {"fresh_key": True}, "INPUT_MISMATCH", "/fresh_key"),
        ("retry", {"fresh_key": "yes"}, "INPUT_MISMATCH", "/fresh_key"),
        ("retry_with_input", None, "INPUT_MISMATCH", None),
        ("retry_with_input", {"text": ""}, "INPUT_MISMATCH", "/text"),
        ("retry_with_input", {"text": "x", "more": 1}, "INPUT_MISMATCH", "/more"),
        ("use_output", {"number": "1"}, "INPUT_MISMATCH", "/vendor"),
        ("use_output", None, "INPUT_MISMATCH", None),
        ("use_output", "text", "INPUT_MISMATCH", ""),
        ("use_output", {"number": "x" * 1_100_000}, "TOO_LARGE", ""),
        ("use_agent", {"agent": "ledger"}, "UNKNOWN_AGENT", "/agent"),
        ("use_agent", None, "UNKNOWN_AGENT", "/agent"),
        ("skip", {"text": "x"}, "INPUT_MISMATCH", "/text"),
        ("abort", {"text": "x"}, "INPUT_MISMATCH", "/text"),
        ("approve", None, "DECISION_NOT_ALLOWED", None),
        ("raise_budget", {"usd": "1.00"}, "DECISION_NOT_ALLOWED", None),
        ("perhaps", None, "DECISION_NOT_ALLOWED", None),
    ],
)
async def test_data_that_does_not_fit_is_refused_and_the_question_stays(
    desk: Desk, decision: str, data: Any, code: str, pointer: str | None
) -> None:
    question = await failed_reading(desk)

    error = await refused(desk, question, decision, data=data)

    assert (error.code, error.pointer) == (code, pointer)
    assert (await desk.orchestrator.escalation(question)).status == "open"


async def test_decisions_are_read_generously(desk: Desk) -> None:
    question = await failed_reading(desk)

    assert (
        await resolve(desk, f" `{question.upper()}` ", " Use-Agent ", data={"agent": "backup"})
    ).status == "resolved"


# --- outcome unknown -----------------------------------------------------------------------------------------------


async def unsure_posting(desk: Desk) -> str:
    """A keyed write is tried again under its key, so a person is asked only once its tries are used up."""
    desk.reviewers.add("ana", PASSPHRASE)
    desk.fleet.doing.update(ledger=UNSURE)
    return await asked(desk)


async def test_an_answer_must_fulfil_what_the_contract_ensures(desk: Desk) -> None:
    question = await unsure_posting(desk)

    error = await refused(desk, question, "use_output", data={"id": "L-1", "total": 99.0})

    assert error.code == "INPUT_MISMATCH"
    assert "same_total" in error.message
    await resolve(desk, question, "use_output", data={"id": "L-1", "total": 100.0})
    assert (await ended(desk, question)).output["id"] == "L-1"


async def test_a_retry_goes_under_the_same_key(desk: Desk) -> None:
    question = await unsure_posting(desk)
    desk.fleet.doing.clear()

    await resolve(desk, question, "retry")

    assert (await ended(desk, question)).status == "completed"
    keys = [told.key for name, _, told in desk.fleet.calls if name == "ledger"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_what_cannot_be_repeated_warns_and_does_not_offer_other_arguments(desk: Desk) -> None:
    desk.fleet.doing.update(post_office=failing("timeout", "no answer", outcome=Outcome.UNKNOWN))
    first = await asked(desk, "reminders")
    await resolve(desk, first, "approve", proof=ELICITED)
    await ended(desk, first)

    page = await desk.orchestrator.escalations(process_id=first.partition(".")[0])
    row = await desk.orchestrator.escalation(page.escalations[0].escalation_id)

    assert row.kind == "outcome_unknown"
    assert {option.decision for option in row.options}.isdisjoint({"retry_with_input", "use_agent"})
    assert any("may already have happened" in warning for warning in row.warnings)
    retry = next(option for option in row.options if option.decision == "retry")
    assert "takes effect twice" in retry.consequence


async def test_a_fresh_key_may_be_asked_for_where_the_outcome_is_unknown(desk: Desk) -> None:
    desk.fleet.doing.update(post_office=failing("timeout", "no answer", outcome=Outcome.UNKNOWN))
    first = await asked(desk, "reminders")
    await resolve(desk, first, "approve", proof=ELICITED)
    await ended(desk, first)
    page = await desk.orchestrator.escalations(process_id=first.partition(".")[0])
    desk.fleet.doing.clear()

    for row in page.escalations:
        assert (
            await resolve(desk, row.escalation_id, "retry", proof=ELICITED, data={"fresh_key": True})
        ).status == "resolved"

    assert (await ended(desk, first)).status == "completed"


# --- tasks and plans -----------------------------------------------------------------------------------------------


async def test_a_person_answers_a_task_and_it_is_checked_like_any_agents_answer(desk: Desk) -> None:
    question = await asked(desk, "review")

    assert (await refused(desk, question, "answer", proof=ASSERTED, data={"accepted": "yes"})).pointer == "/accepted"
    resolution = await resolve(desk, question, "answer", proof=ASSERTED, data={"accepted": True, "comment": "fine"})

    assert resolution.recorded is not None
    assert resolution.recorded.assurance == "A0"
    assert (await ended(desk, question)).output == {"accepted": True}


async def test_a_plan_is_approved_by_a_person(desk: Desk) -> None:
    desk.reviewers.add("ana", PASSPHRASE)
    question = await asked(desk, approval="plan")

    await resolve(desk, question, "approve")

    assert (await ended(desk, question)).status == "completed"


async def test_a_rejected_plan_ends_the_process(desk: Desk) -> None:
    question = await asked(desk, approval="plan")

    await resolve(desk, question, "reject", proof=ASSERTED)

    assert (await ended(desk, question)).status == "failed"


# --- who may decide, and when --------------------------------------------------------------------------------------


async def test_without_a_decision_the_package_comes_back_and_nothing_is_recorded(desk: Desk) -> None:
    question = await asked(desk, "review")

    resolution = await resolve(desk, question)

    assert (resolution.status, resolution.recorded) == ("still_waiting", None)
    assert resolution.escalation.evidence
    assert (await desk.orchestrator.escalation(question)).status == "open"


async def test_a_changed_question_is_not_answered(desk: Desk) -> None:
    question = await asked(desk, "review")

    error = await refused(desk, question, "reject", proof=ASSERTED, version=7)

    assert error.code == "VERSION_CONFLICT"
    assert desk.orchestrator.error_view(error).error.record is not None


@pytest.mark.behaviour("P3")
async def test_who_comes_late_learns_who_won_even_with_wrong_data(desk: Desk) -> None:
    question = await asked(desk, "review")
    await resolve(desk, question, "answer", proof=ASSERTED, data={"accepted": True}, note="first")

    error = await refused(desk, question, "answer", proof=ASSERTED, data={"accepted": "nonsense"})

    assert error.code == "ALREADY_RESOLVED"
    record = desk.orchestrator.error_view(error).error.record
    assert record is not None
    assert record.resolution is not None
    assert (record.resolution.decision, record.resolution.note, record.resolution.data) == (
        "answer",
        "first",
        {"accepted": True},
    )


@pytest.mark.behaviour("P3")
async def test_fifty_resolves_at_once_have_one_winner(desk: Desk) -> None:
    question = await asked(desk, "review")
    outcomes: list[str] = []

    async def one(number: int) -> None:
        try:
            answer = {"accepted": number % 2 == 0}
            outcomes.append((await resolve(desk, question, "answer", proof=ASSERTED, data=answer)).status)
        except RefusedError as error:
            outcomes.append(error.code if desk.orchestrator.error_view(error).error.record else "no record")

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, number)

    assert sorted(outcomes) == ["ALREADY_RESOLVED"] * 49 + ["resolved"]


async def test_a_withdrawn_question_says_so(desk: Desk) -> None:
    question = await asked(desk, "review")
    await desk.orchestrator.cancel(question.partition(".")[0], "no longer needed")

    error = await refused(desk, question, "reject", proof=ASSERTED)

    assert error.code == "ALREADY_RESOLVED"
    assert "withdrawn" in error.message


async def test_a_process_does_not_answer_its_own_questions(desk: Desk) -> None:
    question = await asked(desk, "review")
    caller = Caller(lineage=(question.partition(".")[0],))

    assert (await refused(desk, question, "reject", proof=ASSERTED, caller=caller)).code == "LINEAGE_REFUSED"


@pytest.mark.parametrize("given", ["e1", "p_x.e1", "p_aaaaaaaaaaaaaaaaaaaaaaaaaa.e1", ""])
async def test_a_question_that_is_not_there_is_refused(desk: Desk, given: str) -> None:
    assert (await refused(desk, given, "reject", proof=ASSERTED)).code == "UNKNOWN_ESCALATION"


async def test_an_unknown_number_names_the_open_questions(desk: Desk) -> None:
    question = await asked(desk, "review")

    error = await refused(desk, question.replace(".e1", ".e9"), "reject", proof=ASSERTED)

    assert error.code == "UNKNOWN_ESCALATION"
    assert question in error.do


async def test_another_principals_question_answers_as_unknown(desk: Desk) -> None:
    question = await asked(desk, "review")

    error = await refused(desk, question, "reject", proof=ASSERTED, caller=Caller(principal="mallory"))

    assert error.code == "UNKNOWN_ESCALATION"


async def test_a_note_is_kept_and_bounded(desk: Desk) -> None:
    question = await asked(desk, "review")

    assert (await refused(desk, question, "reject", proof=ASSERTED, note="x" * 2001)).code == "TOO_LARGE"


# --- cancel --------------------------------------------------------------------------------------------------------


async def test_cancel_ends_a_waiting_process(desk: Desk) -> None:
    view = await desk.settled("review")

    after = await desk.orchestrator.cancel(f" {view.process_id.upper()} ", "the user asked")

    assert (after.status, after.escalations, after.warnings) == ("cancelled", [], [])


async def test_cancelling_an_ended_process_is_its_view_with_a_warning(desk: Desk) -> None:
    view = await desk.settled()

    after = await desk.orchestrator.cancel(view.process_id, "too late")

    assert after.status == "completed"
    assert "completed already" in after.warnings[0]


async def test_cancel_needs_a_reason_and_is_not_for_the_process_itself(desk: Desk) -> None:
    view = await desk.settled("review")

    with pytest.raises(RefusedError) as empty:
        await desk.orchestrator.cancel(view.process_id, "  ")
    with pytest.raises(RefusedError) as own:
        await desk.orchestrator.cancel(view.process_id, "x", caller=Caller(lineage=(view.process_id,)))

    assert (empty.value.code, own.value.code) == ("BAD_ARGUMENT", "LINEAGE_REFUSED")


async def test_what_a_person_gives_is_masked_where_it_is_sensitive(desk: Desk) -> None:
    question = await failed_reading(desk)

    resolution = await resolve(desk, question, "use_output", data=INVOICE)

    assert CANARY not in resolution.model_dump_json()
