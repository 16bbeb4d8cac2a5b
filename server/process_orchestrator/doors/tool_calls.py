"""The ten tools over the use cases: arguments in, a view out. Knows no MCP; `mcp_server` translates.

No wait here is longer than the ceiling of a tool call leaves room for, and a process that was started is answered with
even where waiting for it fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio

from process_orchestrator.checking.estimating.figures import NAMES
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.limits import TOOL_CALL_S_MAX
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.doors.arguments import Arguments
from process_orchestrator.doors.decision_form import FormAnswer
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.views.escalation_view import answer_action
from process_orchestrator.views.estimate_models import EstimateRequest
from process_orchestrator.views.models import (
    Caller,
    EscalationPage,
    EscalationView,
    ProcessView,
    Resolution,
    ResolveRequest,
    SubmitRequest,
    View,
)

WAIT_S_MAX: Final = TOOL_CALL_S_MAX - 1
"""Longest that a call waits for news: the answer itself takes time too."""

ReportProgress = Callable[[int, int, str], Awaitable[None]]
"""Tells the host how far a process is: steps done, steps in all, status."""


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """One call: who asks, what for, and where to report progress (None where nobody listens)."""

    arguments: Arguments
    caller: Caller
    progress: ReportProgress | None = None

    def __getitem__(self, name: str) -> Any:
        return self.arguments.values[name]

    def given(self, *names: str) -> dict[str, Any]:
        """Those of `names` that were given."""
        return {name: self.arguments.values[name] for name in names if name in self.arguments.values}


class ToolCalls:
    """One method per tool. Raises RefusedError, EngineError and StorageError."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator
        self._tools: dict[str, Callable[[ToolCall], Awaitable[View]]] = {
            "submit_process": self._submit,
            "get_state": self._state,
            "list_trace": self._trace,
            "resolve_escalation": self.resolve,
            "list_escalations": self._escalations,
            "list_processes": self._processes,
            "cancel_process": self._cancel,
            "estimate_cost": self._estimate,
            "describe_agents": self._describe,
            "validate_contract": self._validate,
        }

    async def call(self, tool: str, call: ToolCall) -> View:
        """Carry out one call; what was corrected in its arguments is named in the answer's warnings."""
        return _with_warnings(await self._tools[tool](call), call.arguments.warnings)

    async def _submit(self, call: ToolCall) -> ProcessView:
        names = ("task", "process_type", "input", "budget_usd", "approval", "idempotency_key", "label")
        view = await self._orchestrator.submit(SubmitRequest(**call.given(*names)), caller=call.caller)
        wait_s = min(call.arguments.get("wait_s", 0), WAIT_S_MAX)
        if wait_s <= 0 or not _goes_on(view):
            return view
        latest = await self._follow(view, wait_s, call)
        return _with_warnings(latest, view.warnings)

    async def _follow(self, view: ProcessView, wait_s: float, call: ToolCall) -> ProcessView:
        """The state at the end, at a question, or after `wait_s`; at worst the view that stands."""
        latest = view
        with anyio.move_on_after(wait_s):
            views = self._orchestrator.changes(view.process_id, caller=call.caller)
            async with aclosing(views) as changes:
                async for latest in changes:
                    await _report(call, latest)
        return latest

    async def _state(self, call: ToolCall) -> ProcessView:
        wait_s = min(call.arguments.get("wait_s", 0), WAIT_S_MAX)
        if call.progress is not None and wait_s > 0:
            now = await self._orchestrator.state(call["process_id"], caller=call.caller)
            await _report(call, now)
        view = await self._orchestrator.state(
            call["process_id"], wait_s=wait_s, caller=call.caller, **call.given("since", "include")
        )
        if wait_s > 0:
            await _report(call, view)
        return view

    async def _trace(self, call: ToolCall) -> View:
        options = call.given("step", "kind", "data", "after", "limit")
        return await self._orchestrator.trace(call["process_id"], caller=call.caller, **options)

    async def resolve(self, call: ToolCall) -> Resolution:
        """Record what the calling model passed on: the weakest proof there is."""
        request = ResolveRequest(**call.given("escalation_id", "decision", "data", "note", "version"))
        proof = Proof(kind=ProofKind.ARGUMENT, principal=call.caller.principal)
        return await self._orchestrator.resolve(request, proof=proof, caller=call.caller)

    async def resolve_by_form(self, call: ToolCall, answer: FormAnswer, *, version: int) -> Resolution:
        """Record what the user chose in the host's form, for the version of the question that the form showed."""
        request = ResolveRequest(
            escalation_id=call["escalation_id"],
            decision=answer.decision,
            data=answer.data,
            note=answer.note,
            version=version,
        )
        proof = Proof(kind=ProofKind.ELICITATION, principal=call.caller.principal)
        resolution = await self._orchestrator.resolve(request, proof=proof, caller=call.caller)
        return _with_warnings(resolution, call.arguments.warnings)

    async def leave_open(self, call: ToolCall, *, refused: bool, message: str) -> Resolution:
        """The question as it stands, nothing recorded."""
        without_answer = replace(
            call, arguments=Arguments(values=call.given("escalation_id"), warnings=call.arguments.warnings)
        )
        resolution = await self.resolve(without_answer)
        status = "refused" if refused else "still_waiting"
        resolution = resolution.model_copy(update={"status": status, "message": message})
        return _with_warnings(resolution, call.arguments.warnings)

    async def escalation(self, call: ToolCall) -> EscalationView:
        """The whole package that `call` is about."""
        return await self._orchestrator.escalation(call["escalation_id"], caller=call.caller)

    async def _escalations(self, call: ToolCall) -> View:
        if "escalation_id" in call.arguments.values:
            view = await self.escalation(call)
            process_id = call.arguments.get("process_id", view.process_id)
            if process_id != view.process_id:
                raise RefusedError(
                    "UNKNOWN_ESCALATION",
                    f"process {process_id} has no escalation {view.escalation_id}.",
                    do="call list_escalations with process_id alone.",
                )
            actions = [answer_action(view)] if view.status == "open" else []
            return EscalationPage(escalations=[view], next_actions=actions)
        options = call.given("status", "process_id", "limit", "cursor")
        return await self._orchestrator.escalations(caller=call.caller, **options)

    async def _processes(self, call: ToolCall) -> View:
        options = call.given("status", "process_type", "label", "since", "limit", "cursor")
        return await self._orchestrator.processes(caller=call.caller, **options)

    async def _cancel(self, call: ToolCall) -> View:
        return await self._orchestrator.cancel(call["process_id"], call["reason"], caller=call.caller)

    async def _estimate(self, call: ToolCall) -> View:
        figures = call.given(*NAMES)
        request = EstimateRequest(**figures, **call.given("task", "process_type", "input", "plan"))
        return await self._orchestrator.estimate(request, caller=call.caller)

    async def _describe(self, call: ToolCall) -> View:
        return await self._orchestrator.describe(**call.given("process_type", "contract", "agent"))

    async def _validate(self, call: ToolCall) -> View:
        options = call.given("contract", "version", "direction", "payload", "definition")
        return await self._orchestrator.validate(**options)


def _goes_on(view: ProcessView) -> bool:
    return view.status in ("queued", "running")


async def _report(call: ToolCall, view: ProcessView) -> None:
    if call.progress is not None:
        await call.progress(view.step.done, view.step.total, view.status if view.why is None else view.why)


def _with_warnings(view: Any, warnings: Any) -> Any:
    new = [warning for warning in warnings if warning not in view.warnings]
    return view.model_copy(update={"warnings": [*view.warnings, *new]}) if new else view
