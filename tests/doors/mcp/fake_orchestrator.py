"""The use cases with answers written out: the same methods and views as the real ones, no engine below."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import anyio

from process_orchestrator.core.errors import EngineError, OrchestratorError, RefusedError
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.orchestrator import LOCAL, Orchestrator
from process_orchestrator.views.estimate_models import EstimateRequest, EstimateView, RangeView
from process_orchestrator.views.models import (
    AgentDetail,
    AgentRow,
    Caller,
    Candidate,
    CheckReportView,
    ContractDetail,
    ContractRow,
    CostView,
    Description,
    ErrorBody,
    ErrorView,
    EscalationPage,
    EscalationView,
    EscalationWhy,
    EvidenceView,
    FailureView,
    HowToDecide,
    MapRow,
    NextAction,
    OptionView,
    ProcessPage,
    ProcessRowView,
    ProcessTypeDetail,
    ProcessTypeRow,
    ProcessView,
    Progress,
    Recorded,
    RecordedResolution,
    Resolution,
    ResolveRequest,
    StepView,
    SubmitRequest,
    TraceEntry,
    TracePage,
    Validation,
    ValueProblemView,
)

PROCESS = "p_aaaaaaaaaaaaaaaaaaaaaaaaaa"
ESCALATION = f"{PROCESS}.e1"
NOON = "2026-11-22T12:00:00.000Z"

APPROVE = OptionView(decision="approve", consequence="The invoice is posted.", needs="A1", cost_usd="0.02")
REJECT = OptionView(decision="reject", consequence="The process ends as rejected.", needs="A0")
RETRY = OptionView(
    decision="retry",
    consequence="The step is called again.",
    needs="A1",
    data_schema={"type": "object", "properties": {"fresh_key": {"type": "boolean"}}, "additionalProperties": False},
)
ANSWER = OptionView(
    decision="answer",
    consequence="The process goes on with this.",
    needs="A0",
    data_schema={
        "type": "object",
        "properties": {
            "cost_centre": {"type": "string", "description": "Four digits.", "pattern": "^[0-9]{4}$"},
            "urgency": {"type": "string", "enum": ["low", "high"]},
            "note": {"type": "string"},
        },
        "required": ["cost_centre"],
    },
)
NESTED = OptionView(
    decision="use_output",
    consequence="The step counts as done with this output.",
    needs="A1",
    data_schema={
        "type": "object",
        "properties": {"lines": {"type": "array", "items": {"type": "object"}}},
        "required": ["lines"],
    },
)
STRONG = OptionView(decision="approve", consequence="The money is paid.", needs="A2")


def process(**changes: Any) -> ProcessView:
    view = ProcessView(
        process_id=PROCESS,
        process_type="invoice_approval",
        status="running",
        version=3,
        classified_by="caller",
        planned_by="fixed",
        step=Progress(done=1, total=3),
        steps=[
            StepView(id="read", contract="document.read", agent="document_desk", status="done", attempts=1),
            StepView(
                id="lines", contract="policy.check", status="calling", attempts=2, items=Progress(done=1, total=4)
            ),
        ],
        cost=CostView(spent_usd="0.01", reserved_usd="0.00", budget_usd="1.00", tokens=0, unknown_calls=0),
        next_actions=[NextAction(tool="get_state", args={"process_id": PROCESS}, reason="It runs on.")],
        poll_after_ms=1000,
        resources=[f"process://{PROCESS}/state"],
        created_at=NOON,
        updated_at=NOON,
    )
    return view.model_copy(update=changes)


def escalation(*options: OptionView, **changes: Any) -> EscalationView:
    view = EscalationView(
        escalation_id=ESCALATION,
        process_id=PROCESS,
        step="post",
        kind="approval",
        question="Post invoice 4711 over 12,000.00 EUR?",
        why=EscalationWhy(rule="amount over 10000", seq=9),
        goal="Close invoice 4711.",
        options=list(options or (APPROVE, REJECT)),
        evidence=[
            EvidenceView.model_validate(
                {"label": "total", "from": "input", "value": 12000, "uri": f"process://{PROCESS}/steps/post/input"}
            )
        ],
        tried=[],
        spent_usd="0.01",
        role="approver",
        required_assurance="A1",
        opened_at=NOON,
        deadline_at="2026-11-24T12:00:00.000Z",
        on_deadline="reject",
        version=1,
        status="open",
        how_to_decide=[HowToDecide(channel="cli", command=f"orchestrator resolve {ESCALATION}")],
    )
    return view.model_copy(update=changes)


def resolved(decision: str, *, assurance: str, channel: str) -> EscalationView:
    record = RecordedResolution(decision=decision, by="local", channel=channel, assurance=assurance, at=NOON)
    return escalation(status="resolved", version=2, resolution=record)


@dataclass
class Seen:
    """What reached the use cases."""

    submits: list[SubmitRequest] = field(default_factory=list[SubmitRequest])
    resolves: list[tuple[ResolveRequest, Proof]] = field(default_factory=list[tuple[ResolveRequest, Proof]])
    callers: list[Caller] = field(default_factory=list[Caller])
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list[tuple[str, Mapping[str, Any]]])


class FakeOrchestrator(Orchestrator):
    """One process, one escalation. `failure` is raised by whatever is called next; `hang` makes it never answer."""

    def __init__(self) -> None:
        self.view = process()
        self.question = escalation()
        self.later: tuple[ProcessView, ...] = ()
        self.failure: Exception | None = None
        self.hang = False
        self.seen = Seen()

    async def _enter(self, name: str, caller: Caller = LOCAL, **arguments: Any) -> None:
        self.seen.calls.append((name, arguments))
        self.seen.callers.append(caller)
        if self.hang:
            await anyio.sleep_forever()
        if self.failure is not None:
            raise self.failure

    def _known(self, process_id: str) -> None:
        if process_id != PROCESS:
            self._unknown("UNKNOWN_PROCESS", f"there is no process {process_id}.", "call list_processes.")

    def _unknown(self, code: str, message: str, do: str) -> NoReturn:
        raise RefusedError(code, message, do=do, details={"nearest": ["invoice_approval"]})

    async def submit(self, request: SubmitRequest, *, caller: Caller = LOCAL) -> ProcessView:
        await self._enter("submit", caller)
        self.seen.submits.append(request)
        return self.view

    async def state(
        self,
        process_id: str,
        *,
        wait_s: float = 0,
        since: int | None = None,
        include: Sequence[str] = (),
        caller: Caller = LOCAL,
    ) -> ProcessView:
        await self._enter("state", caller, wait_s=wait_s, since=since, include=include)
        self._known(process_id)
        if wait_s and self.later:
            self.view = self.later[-1]
        return self.view.model_copy(update={"diagram": "flowchart TD"}) if "diagram" in include else self.view

    async def trace(
        self,
        process_id: str,
        *,
        step: str | None = None,
        kind: str | None = None,
        data: bool = False,
        after: int = 0,
        limit: int = 20,
        caller: Caller = LOCAL,
    ) -> TracePage:
        await self._enter("trace", caller, step=step, kind=kind, data=data, after=after, limit=limit)
        self._known(process_id)
        entry = TraceEntry(seq=after + 1, at=NOON, event="CallSucceeded", kind="call", step="read", summary="read it")
        if data:
            entry = entry.model_copy(update={"output": {"total": 12000}})
        return TracePage(process_id=process_id, entries=[entry], next_after=after + 1 if after < 2 else None)

    async def resolve(self, request: ResolveRequest, *, proof: Proof, caller: Caller = LOCAL) -> Resolution:
        await self._enter("resolve", caller)
        self.seen.resolves.append((request, proof))
        view = await self.escalation(request.escalation_id)
        if view.status != "open":
            raise RefusedError(
                "ALREADY_RESOLVED",
                f"{view.escalation_id} is resolved.",
                do="call get_state.",
                details={"record": view},
            )
        answer = Resolution(status="still_waiting", escalation=view, process_id=PROCESS, process_status="waiting_human")
        if request.decision is None:
            return answer
        option = next(option for option in view.options if option.decision == request.decision)
        strength = {ProofKind.ARGUMENT: "A0", ProofKind.ELICITATION: "A1"}[proof.kind]
        if option.needs > strength:
            return answer.model_copy(
                update={"status": "needs_human", "required": option.needs, "how": view.how_to_decide}
            )
        recorded = Recorded(by="local", channel=proof.kind.value, assurance=strength, at=NOON)
        self.question = resolved(request.decision, assurance=strength, channel=proof.kind.value)
        return answer.model_copy(
            update={
                "status": "resolved",
                "escalation": self.question,
                "process_status": "running",
                "recorded": recorded,
            }
        )

    async def escalations(
        self,
        *,
        status: Literal["open", "resolved", "all"] = "open",
        process_id: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
        caller: Caller = LOCAL,
    ) -> EscalationPage:
        await self._enter("escalations", caller, status=status, limit=limit)
        return EscalationPage(escalations=[self.question.model_copy(update={"evidence": None, "tried": None})])

    async def escalation(self, escalation_id: str, *, caller: Caller = LOCAL) -> EscalationView:
        if escalation_id != ESCALATION:
            self._unknown("UNKNOWN_ESCALATION", f"there is no escalation {escalation_id}.", "call list_escalations.")
        return self.question

    async def processes(
        self,
        *,
        status: str | None = None,
        process_type: str | None = None,
        label: str | None = None,
        since: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
        caller: Caller = LOCAL,
    ) -> ProcessPage:
        await self._enter("processes", caller, status=status, limit=limit)
        row = ProcessRowView(
            process_id=PROCESS,
            process_type="invoice_approval",
            status="running",
            version=3,
            step=Progress(done=1, total=3),
            cost_usd="0.01",
            created_at=NOON,
            updated_at=NOON,
        )
        return ProcessPage(processes=[row])

    async def cancel(self, process_id: str, reason: str, *, caller: Caller = LOCAL) -> ProcessView:
        await self._enter("cancel", caller, reason=reason)
        self._known(process_id)
        self.view = process(status="cancelled", version=4)
        return self.view

    async def estimate(self, request: EstimateRequest, *, caller: Caller = LOCAL) -> EstimateView:
        await self._enter("estimate", caller, request=request)
        cost = RangeView(low="0.02", likely="0.04", high="0.11")
        return EstimateView(
            answer="About 0.04 USD (0.02 to 0.11) a case.",
            process_type=request.process_type,
            case_usd=cost,
            total_usd=cost,
            cases=1,
            lower_bound=False,
            runs=0,
        )

    async def describe(
        self, process_type: str | None = None, *, contract: str | None = None, agent: str | None = None
    ) -> Description:
        await self._enter("describe", process_type=process_type, contract=contract, agent=agent)
        type_row = ProcessTypeRow(
            name="invoice_approval",
            version="1.0.0",
            summary="Approve and post an invoice.",
            input_required=["invoice"],
            plan="fixed",
            map=[MapRow(contract="ledger.post", agents=["ledger"])],
        )
        contract_row = ContractRow(
            name="ledger.post",
            version="1.2.0",
            summary="Post an invoice.",
            effect="write",
            approval=True,
            status="active",
            agents=["ledger"],
        )
        agent_row = AgentRow(
            name="ledger", summary="The ledger.", kind="mcp", serves=["ledger.post@1.2.0"], pin="not pinned"
        )
        if contract is not None:
            if contract.partition("@")[0] != "ledger.post":
                self._unknown("UNKNOWN_CONTRACT", f"there is no contract {contract}.", "call describe_agents.")
            whole = ContractDetail(**dict(contract_row), input={}, output={}, errors={}, definition={})
            return Description(contract=whole, models="rules")
        if process_type is not None:
            if process_type.partition("@")[0] != "invoice_approval":
                self._unknown("UNKNOWN_PROCESS_TYPE", f"there is no {process_type}.", "call describe_agents.")
            detail = ProcessTypeDetail(**dict(type_row), input={}, output={}, budget_usd="1.00", definition={})
            return Description(process_type=detail, models="rules")
        if agent is not None:
            known = AgentDetail(**dict(agent_row), prefer=1, concurrency=1, pin="unpinned", definition={})
            return Description(agent=known, models="rules")
        return Description(process_types=[type_row], contracts=[contract_row], agents=[agent_row], models="rules")

    async def validate(
        self,
        *,
        contract: str | None = None,
        version: str | None = None,
        direction: str | None = None,
        payload: Any = None,
        definition: str | None = None,
    ) -> Validation:
        await self._enter("validate", contract=contract, direction=direction, payload=payload, definition=definition)
        if definition is not None:
            return Validation(valid=True, report=CheckReportView(ok=True, files=[], plans=[]))
        problem = ValueProblemView(
            pointer="/amount", schema_pointer="/properties/amount", rule="type", message="is no number", got="string"
        )
        return Validation(valid=False, errors=[problem])

    async def report(self, process_id: str, *, caller: Caller = LOCAL) -> str:
        self._known(process_id)
        return "# Invoice 4711"

    async def diagram(self, process_id: str, *, caller: Caller = LOCAL) -> str:
        self._known(process_id)
        return "flowchart TD"

    async def step_body(
        self, process_id: str, step: str, part: Literal["input", "output"], *, caller: Caller = LOCAL
    ) -> Any:
        self._known(process_id)
        return {"step": step, "part": part}

    async def changes(self, process_id: str, *, caller: Caller = LOCAL) -> AsyncGenerator[ProcessView]:
        yield self.view
        for view in self.later:
            self.view = view
            yield view
        if self.view.status == "running":
            await anyio.sleep_forever()

    def error_view(self, error: OrchestratorError) -> ErrorView:
        match error:
            case RefusedError():
                body = ErrorBody(
                    code=error.code,
                    message=error.message,
                    do=error.do,
                    pointer=error.pointer,
                    record=error.details.get("record"),  # type: ignore[arg-type]  # written above
                    nearest=error.details.get("nearest"),  # type: ignore[arg-type]
                    candidates=error.details.get("candidates"),  # type: ignore[arg-type]
                )
            case EngineError():
                body = ErrorBody(code=error.code, message=error.message, do="try again.")
            case _:
                body = ErrorBody(code=error.code, message=f"{error}.", do="make room, then try again.")
        return ErrorView(error=body)


FAILED = process(
    status="failed",
    version=9,
    error=FailureView(code="output_contract", blame="agent", step="lines", pointer="/amount", rule="type"),
)
CANDIDATE = Candidate(process_type="invoice_approval", summary="Approve an invoice.", input_required=["invoice"])
