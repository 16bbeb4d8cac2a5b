"""Asking the user through the host: what is recorded, and above all what is not."""

from typing import Any

import anyio
import pytest
from mcp.types import ElicitRequestFormParams, ElicitResult, ErrorData

from doors.mcp.conftest import Connect
from doors.mcp.fake_orchestrator import (
    ANSWER,
    APPROVE,
    ESCALATION,
    NESTED,
    PROCESS,
    REJECT,
    RETRY,
    STRONG,
    FakeOrchestrator,
    escalation,
    resolved,
)
from process_orchestrator.core.ports import ProofKind
from process_orchestrator.doors import mcp_server

pytestmark = pytest.mark.anyio


class Host:
    """A host that answers every form in one way and keeps what it was shown."""

    def __init__(self, action: str, content: dict[str, Any] | None = None) -> None:
        self.action, self.content = action, content
        self.shown: list[ElicitRequestFormParams] = []

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        self.shown.append(params)
        return ElicitResult.model_validate({"action": self.action, "content": self.content})


async def ask(connect: Connect, host: Host | None, **arguments: Any) -> dict[str, Any]:
    async with connect(elicitation=host) as client:
        result = await client.call_tool("resolve_escalation", {"escalation_id": ESCALATION, **arguments})
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def test_an_accepted_form_is_recorded_as_the_users(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    host = Host("accept", {"decision": "approve", "note": "it is in order"})
    answer = await ask(connect, host)
    assert answer["status"] == "resolved"
    assert answer["recorded"]["assurance"] == "A1"
    ((request, proof),) = orchestrator.seen.resolves
    assert proof.kind is ProofKind.ELICITATION
    assert (request.decision, request.note, request.version, request.data) == ("approve", "it is in order", 1, None)
    assert len(host.shown) == 1


async def test_a_declined_form_records_nothing(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    answer = await ask(connect, Host("decline"))
    assert answer["status"] == "refused"
    assert "recorded" not in answer
    assert all(request.decision is None for request, _ in orchestrator.seen.resolves)


async def test_a_closed_form_records_nothing(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    answer = await ask(connect, Host("cancel"))
    assert answer["status"] == "still_waiting"
    assert answer["escalation"]["evidence"][0]["label"] == "total"
    assert all(request.decision is None for request, _ in orchestrator.seen.resolves)


@pytest.mark.parametrize(
    "content", [{}, {"decision": "pay_twice"}, {"decision": 7}, {"note": "approve"}, None], ids=str
)
async def test_a_form_without_one_of_its_decisions_records_nothing(
    connect: Connect, orchestrator: FakeOrchestrator, content: dict[str, Any] | None
) -> None:
    answer = await ask(connect, Host("accept", content), decision="approve")
    assert answer["status"] == "still_waiting"
    assert all(request.decision is None for request, _ in orchestrator.seen.resolves)


async def test_a_host_without_forms_gets_the_package(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    answer = await ask(connect, None)
    assert answer["status"] == "still_waiting"
    assert [option["decision"] for option in answer["escalation"]["options"]] == ["approve", "reject"]


async def test_a_host_without_forms_learns_how_a_person_decides(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    answer = await ask(connect, None, decision="approve")
    assert answer["status"] == "needs_human"
    assert answer["required"] == "A1"
    assert answer["how"] == [{"channel": "cli", "command": f"orchestrator resolve {ESCALATION}"}]
    ((_, proof),) = orchestrator.seen.resolves
    assert proof.kind is ProofKind.ARGUMENT


async def test_a_models_argument_is_never_logged_as_a_humans_consent(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    host = Host("accept", {"decision": "approve"})
    answer = await ask(connect, host, decision="reject", note="the user said no")
    assert answer["status"] == "resolved"
    assert answer["recorded"]["assurance"] == "A0"
    ((request, proof),) = orchestrator.seen.resolves
    assert (request.decision, proof.kind) == ("reject", ProofKind.ARGUMENT)
    assert host.shown == []


async def test_of_what_the_model_suggests_the_decision_itself_is_never_filled_in(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.question = escalation(APPROVE, RETRY, REJECT)
    host = Host("accept", {"decision": "reject"})
    answer = await ask(connect, host, decision="retry", data={"fresh_key": True}, note="try again")
    assert answer["status"] == "resolved"
    ((request, proof),) = orchestrator.seen.resolves
    assert (request.decision, request.data, request.note, proof.kind) == ("reject", None, None, ProofKind.ELICITATION)
    properties = host.shown[0].requested_schema["properties"]
    assert "default" not in properties["decision"]
    assert "The assistant understood you to say: retry. Choose yourself." in host.shown[0].message
    assert properties["fresh_key"]["default"] is True
    assert properties["note"]["default"] == "try again"


async def test_a_field_that_the_user_cleared_is_not_filled_in_again(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.question = escalation(APPROVE, RETRY, REJECT)
    await ask(connect, Host("accept", {"decision": "retry"}), decision="retry", data={"fresh_key": True})
    ((request, _),) = orchestrator.seen.resolves
    assert (request.decision, request.data) == ("retry", {})


async def test_an_approval_that_needs_more_is_not_asked_through_the_host(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.question = escalation(STRONG, REJECT)
    host = Host("accept", {"decision": "approve"})
    answer = await ask(connect, host, decision="approve")
    assert answer["status"] == "needs_human"
    assert answer["required"] == "A2"
    assert host.shown == []


async def test_the_form_offers_only_what_it_can_prove_and_show(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.question = escalation(STRONG, NESTED, REJECT, ANSWER)
    host = Host("accept", {"decision": "answer", "cost_centre": "4400", "answer_note": "mine"})
    await ask(connect, host)
    (params,) = host.shown
    assert params.requested_schema["properties"] == {
        "decision": {"type": "string", "title": "Decision", "enum": ["reject", "answer"]},
        "cost_centre": {"type": "string", "description": "For answer. Four digits."},
        "urgency": {"type": "string", "enum": ["low", "high"], "description": "For answer."},
        "answer_note": {"type": "string", "description": "For answer."},
        "note": {"type": "string", "title": "Note", "description": "In your own words; may be left empty."},
    }
    assert params.requested_schema["required"] == ["decision"]
    assert "reject: The process ends as rejected." in params.message
    assert "total (from input): 12000" in params.message
    ((request, _),) = orchestrator.seen.resolves
    assert (request.decision, request.data) == ("answer", {"cost_centre": "4400", "note": "mine"})


async def test_data_that_a_form_cannot_show_are_not_confirmed_by_one(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    partial = APPROVE.model_copy(
        update={"data_schema": {"type": "object", "properties": {"reject": {"type": "array"}}}}
    )
    orchestrator.question = escalation(partial, REJECT)
    host = Host("accept", {"decision": "approve"})
    answer = await ask(connect, host, decision="approve", data={"reject": [3]})
    assert answer["status"] == "needs_human"
    assert host.shown == []
    assert (await ask(connect, host, decision="approve"))["status"] == "resolved"


async def test_a_question_that_is_resolved_meanwhile_is_not_decided_again(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    class Slow(Host):
        async def __call__(self, context: Any, params: Any) -> ElicitResult:
            orchestrator.question = resolved("reject", assurance="A2", channel="passphrase")
            return await super().__call__(context, params)

    async with connect(elicitation=Slow("accept", {"decision": "approve"})) as client:
        result = await client.call_tool("resolve_escalation", {"escalation_id": ESCALATION, "decision": "approve"})
    assert result.is_error
    assert result.structured_content is not None
    assert result.structured_content["error"]["code"] == "ALREADY_RESOLVED"
    assert result.structured_content["error"]["record"]["resolution"]["decision"] == "reject"


async def test_an_answer_counts_for_the_version_that_was_shown(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    class Slow(Host):
        async def __call__(self, context: Any, params: Any) -> ElicitResult:
            if not self.shown:
                orchestrator.question = escalation(version=2, question="Post invoice 4712?")
            return await super().__call__(context, params)

    host = Slow("accept", {"decision": "approve"})
    await ask(connect, host)
    shown_last = host.shown[-1].message
    recorded = [request for request, _ in orchestrator.seen.resolves if request.decision is not None]
    assert [f"version {request.version}" in shown_last for request in recorded] == [True]


async def test_a_host_that_fails_to_ask_leaves_the_question_open(
    connect: Connect, orchestrator: FakeOrchestrator, mode: str
) -> None:
    async def broken(context: Any, params: Any) -> ErrorData:
        return ErrorData(code=-32603, message="the window is gone")

    if mode == "auto":
        pytest.skip("the client itself ends the call there: nothing reaches the server")
    async with connect(elicitation=broken) as client:
        result = await client.call_tool("resolve_escalation", {"escalation_id": ESCALATION})
    assert result.structured_content is not None
    assert result.structured_content["status"] == "still_waiting"


async def test_a_user_who_never_answers_leaves_the_question_open(
    connect: Connect, orchestrator: FakeOrchestrator, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode == "auto":
        pytest.skip("no call stays open there while the user thinks")
    monkeypatch.setattr(mcp_server, "QUESTION_S_MAX", 0.05)

    async def silent(context: Any, params: Any) -> ElicitResult:
        await anyio.sleep_forever()
        raise AssertionError

    async with connect(elicitation=silent) as client:
        with anyio.fail_after(10):
            result = await client.call_tool("resolve_escalation", {"escalation_id": ESCALATION})
    assert result.structured_content is not None
    assert result.structured_content["status"] == "still_waiting"
    assert result.structured_content["message"] == "The user did not answer in time."


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"escalation_id": "p_x.e9"}, "UNKNOWN_ESCALATION"),
        ({"escalation_id": ESCALATION, "wait": 1}, "BAD_ARGUMENT"),
    ],
)
async def test_a_faulty_call_is_answered_before_anyone_is_asked(
    connect: Connect, arguments: dict[str, Any], code: str
) -> None:
    host = Host("accept", {"decision": "approve"})
    async with connect(elicitation=host) as client:
        result = await client.call_tool("resolve_escalation", arguments)
    assert result.structured_content is not None
    assert result.structured_content["error"]["code"] == code
    assert host.shown == []


async def test_a_process_may_not_ask_its_own_question_away(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    host = Host("accept", {"decision": "approve"})
    above: Any = {"process-orchestrator/lineage": [PROCESS]}
    async with connect(elicitation=host) as client:
        await client.call_tool("resolve_escalation", {"escalation_id": ESCALATION}, meta=above)
    assert host.shown == []
    assert orchestrator.seen.callers[-1].lineage == (PROCESS,)


async def test_a_question_of_another_version_than_the_user_saw_is_not_asked(connect: Connect) -> None:
    host = Host("accept", {"decision": "approve"})
    await ask(connect, host, decision="approve", version=7)
    assert host.shown == []
