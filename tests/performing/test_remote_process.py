"""A process of another orchestrator whose orchestrator goes away, or refuses questions, once it was started."""

from typing import Any

import anyio
import pytest

from performing.fleet import one_call
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass, Outcome
from process_orchestrator.performing.answer import Reply
from process_orchestrator.performing.remote_process import RemoteProcess

PROCESS_ID = "p_" + "a" * 26
BUSY: dict[str, Any] = {"process_id": PROCESS_ID, "status": "running", "version": 1}
DONE: dict[str, Any] = {"process_id": PROCESS_ID, "status": "completed", "truncated": True}
BIND: dict[str, Any] = {"process": "booking", "errors": {"no_room": {"text": "UNKNOWN_PROCESS:"}}}
GONE = AgentCallError("unreachable", "the agent has forgotten the session")


def told(code: str) -> Reply:
    return Reply(structured={"error": {"code": code}}, text=f"{code}: no.", failed=True)


async def nothing_read(_uri: str) -> bytes:
    raise AssertionError("nothing is read here")


async def ended(*said: Reply | AgentCallError, wait_to_read: AgentCallError | None = None) -> AgentCallError:
    answers = list(said)

    async def ask(_tool: str, _given: dict[str, Any]) -> Reply:
        answer = answers.pop(0)
        if isinstance(answer, AgentCallError):
            raise answer
        return answer

    async def read(_uri: str) -> bytes:
        assert wait_to_read is not None
        raise wait_to_read

    with pytest.raises(AgentCallError) as raised:
        await RemoteProcess(ask, read, BIND, one_call()).run({})
    return raised.value


async def test_what_cannot_be_followed_any_more_may_have_been_done() -> None:
    error = await ended(Reply(structured=BUSY), GONE)
    assert (error.code, error.class_, error.outcome) == ("lost", None, Outcome.UNKNOWN)
    assert PROCESS_ID in error.message
    error = await ended(Reply(structured=DONE), wait_to_read=GONE)
    assert (error.code, error.outcome) == ("lost", Outcome.UNKNOWN)


async def test_a_refused_question_is_no_error_of_the_contract() -> None:
    error = await ended(Reply(structured=BUSY), told("UNKNOWN_PROCESS"))
    facts = (error.code, error.class_, error.outcome)
    assert facts == ("undeclared_error", FailureClass.PERMANENT, Outcome.UNKNOWN)


async def test_what_was_never_started_was_not_done() -> None:
    assert (await ended(GONE)).code == "unreachable"
    assert (await ended(told("UNKNOWN_PROCESS_TYPE"))).outcome == Outcome.NOT_DONE


async def test_a_process_that_was_accepted_is_known_to_be() -> None:
    async def ask(tool: str, _given: dict[str, Any]) -> Reply:
        if tool == "get_state":
            await anyio.sleep_forever()
        return Reply(structured=BUSY)

    remote = RemoteProcess(ask, nothing_read, BIND, one_call())
    assert not remote.is_started
    with anyio.move_on_after(0.01):
        await remote.run({})
    assert remote.is_started
