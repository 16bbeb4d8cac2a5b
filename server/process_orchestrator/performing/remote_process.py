"""A process type of another orchestrator as an agent's work: submitted under the call's key, followed to its end.

Knows the tools that an orchestrator offers, not how they are reached. The key makes it safe to be broken off: whoever
submits again under it meets the same process. What waits for a person there is a person's here: the failure says where
the question stands. What the answer is worth is judged by contract, as any agent's.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import msgspec

from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.values import FailureClass, Outcome
from process_orchestrator.performing.answer import Reply, declared_code, refusal
from process_orchestrator.performing.links import AgentCall

WAIT_S: Final = 20
"""How long the other orchestrator is asked to hold an answer; it holds none longer than 25 s."""

PAUSE_S: Final = 0.2
"""Between two looks: one that answers at once, whatever it was asked, must not be asked in a circle."""

STOP_S: Final = 1.5
"""Longest that asking it to cancel may take; the engine gives a cancelled call two."""

PROCESS_ID: Final = re.compile(r"p_[a-z2-7]{26}")
UNDER_WAY: Final = frozenset({"queued", "running"})
ENDED_BADLY: Final = frozenset({"failed", "cancelled"})
ELSEWHERE_BUSY: Final = frozenset({"ENGINE_UNAVAILABLE", "ENGINE_VERSION", "STORAGE_FULL"})
"""Refusals that pass: its engine is away, or cannot write."""

QUESTIONS_SHOWN: Final = 5

Ask = Callable[[str, dict[str, Any]], Awaitable[Reply]]
Read = Callable[[str], Awaitable[bytes]]


class RemoteProcess:
    """One process there, for one call here. `ask` calls a tool of the other orchestrator, `read` reads a resource."""

    def __init__(self, ask: Ask, read: Read, bind: dict[str, Any], call: AgentCall) -> None:
        self._ask, self._read, self._bind, self._call = ask, read, bind, call
        self.process_id: str | None = None

    @property
    def is_started(self) -> bool:
        """Whether the other orchestrator has said that it has the process."""
        return self.process_id is not None

    async def run(self, arguments: dict[str, Any]) -> Reply:
        """Start it, or meet it again, and wait for its end. Raises AgentCallError."""
        wanted = {
            "process_type": self._bind["process"],
            "input": arguments,
            "idempotency_key": self._call.key,
        }  # without waiting: whoever knows its id can cancel it
        reply = await self._ask("submit_process", wanted)
        if reply.failed:
            raise self._refused(reply)
        view = self._view(reply)
        while view["status"] in UNDER_WAY:
            looked = {"process_id": self.process_id, "since": view.get("version"), "wait_s": WAIT_S}
            try:
                reply = await self._ask("get_state", looked)
            except AgentCallError as error:
                raise self._out_of_sight(error) from error
            if not reply.failed:
                view = self._view(reply)
            elif _code(reply) not in ELSEWHERE_BUSY:
                raise self._out_of_sight(refusal(reply, {}))  # says nothing of the work: no error of the contract
            if view["status"] in UNDER_WAY:
                await anyio.sleep(PAUSE_S)
        return await self._end(view)

    async def stop(self) -> None:
        """Ask it to cancel what was started for a call that nobody waits for any more."""
        if self.process_id is None:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_S):
            reason = f"process {self._call.process}, which asked for it, does not wait for it any more"
            try:
                await self._ask("cancel_process", {"process_id": self.process_id, "reason": reason})
            except AgentCallError:  # it cannot be reached: it goes on, and its own budget and deadlines hold
                return

    def _view(self, reply: Reply) -> dict[str, Any]:
        """What a tool says of the process. Raises AgentCallError where that is no view of this one."""
        view = reply.structured
        if isinstance(view, dict):
            known, status = view.get("process_id"), view.get("status")
            fits = isinstance(known, str) and PROCESS_ID.fullmatch(known) and self.process_id in {None, known}
            if fits and status in {*UNDER_WAY, *ENDED_BADLY, "completed", "waiting_human"}:
                self.process_id = known
                return view
        message = "the answer is no view of the process; is this agent an orchestrator?"
        raise AgentCallError("output_mismatch", message, answer=view if view is not msgspec.UNSET else reply.text)

    async def _end(self, view: dict[str, Any]) -> Reply:
        if view["status"] == "waiting_human":
            raise self._needs_human(view)
        if view["status"] in ENDED_BADLY:
            raise self._failed(view)
        if not view.get("truncated"):
            return Reply(structured=view.get("output"))
        try:
            data = await self._read(f"process://{self.process_id}/steps/-/output")
        except AgentCallError as error:
            raise self._out_of_sight(error) from error
        try:
            return Reply(structured=parse_body(data, max_bytes=self._call.output_bytes, depth=self._call.depth))
        except BodyError as error:
            raise AgentCallError(error.code, error.message) from error

    def _out_of_sight(self, error: AgentCallError) -> AgentCallError:
        """A failure to ask for what was started: it goes on there, whether we hear of it or not."""
        return AgentCallError(
            "lost" if error.code == "unreachable" else error.code,
            f"process {self.process_id} was started there, but: {error.message}",
            class_=error.class_,
            outcome=Outcome.UNKNOWN,
            answer=error.answer,
            stderr=error.stderr,
        )

    def _refused(self, reply: Reply) -> AgentCallError:
        """It was not started: a refusal says so before anything is stored, unless its engine is away."""
        refused, code = refusal(reply, self._bind), _code(reply)
        if code is None or refused.code != "undeclared_error":
            return refused
        if code in ELSEWHERE_BUSY:
            refused.class_ = FailureClass.TRANSIENT
            return refused
        refused.outcome = Outcome.NOT_DONE
        if code == "INPUT_MISMATCH":
            refused.class_ = FailureClass.INVALID_INPUT
        return refused

    def _failed(self, view: dict[str, Any]) -> AgentCallError:
        """Its end as a failure of ours: surely without effect only where it names none that was left."""
        error = view.get("error")
        error = error if isinstance(error, dict) else {}
        told = ": ".join(str(each) for each in (error.get("code"), error.get("message")) if each) or "without a reason"
        declared = declared_code(told, None, self._bind)
        return AgentCallError(
            declared or "undeclared_error",
            f"process {self.process_id} there is {view['status']}: {told}",
            class_=None if declared is not None else FailureClass.PERMANENT,
            outcome=Outcome.NOT_DONE if view.get("left") == [] else Outcome.UNKNOWN,
            answer={name: view.get(name) for name in ("process_id", "status", "error", "undone", "left")},
        )

    def _needs_human(self, view: dict[str, Any]) -> AgentCallError:
        rows = view.get("escalations")
        known = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        asked = [row for row in known if row.get("status") == "open"][:QUESTIONS_SHOWN]
        first = asked[0] if asked else {}
        question = f"{first.get('escalation_id')}: {first.get('question')}" if first else "it does not say what"
        return AgentCallError(
            "undeclared_error",
            f"process {self.process_id} waits for a person there ({question}). Do: have it decided there, then retry",
            class_=FailureClass.NEEDS_HUMAN,
            outcome=Outcome.UNKNOWN,
            answer={
                "process_id": self.process_id,
                "status": view["status"],
                "escalations": [
                    {name: row.get(name) for name in ("escalation_id", "kind", "question", "role", "how_to_decide")}
                    for row in asked
                ],
            },
        )


def _code(reply: Reply) -> str | None:
    """The code of an orchestrator's refusal; None for any other error."""
    given = reply.structured
    error = given.get("error") if isinstance(given, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None
