"""The results and requests of every use case, as data: field names are public interface (tools, CLI, console alike).

Not the rendering: that stands in the other files of this room. Without a value a `Stated` field is null, any other
optional field is absent. Times are RFC 3339 UTC with milliseconds, money is a plain decimal string in US dollars.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from process_orchestrator.views.definition_models import (
    AgentDetail,
    AgentRow,
    CheckReportView,
    ContractDetail,
    ContractRow,
    Description,
    FileReport,
    HowToDecide,
    MapRow,
    NextAction,
    PlanRow,
    ProblemView,
    ProcessTypeDetail,
    ProcessTypeRow,
    Simpler,
    Validation,
    ValueProblemView,
    VerdictView,
)
from process_orchestrator.views.view import Json, Request, Stated, View, brief_schema, output_schema

__all__ = [
    "AgentDetail",
    "AgentRow",
    "Caller",
    "Candidate",
    "CheckReportView",
    "ContractDetail",
    "ContractRow",
    "CostView",
    "CutView",
    "Description",
    "ErrorBody",
    "ErrorView",
    "EscalationPage",
    "EscalationView",
    "EscalationWhy",
    "EvidenceView",
    "FailureView",
    "FileReport",
    "HowToDecide",
    "Json",
    "MapRow",
    "NextAction",
    "OptionView",
    "ParagraphView",
    "PlanRow",
    "PrecedentView",
    "ProblemView",
    "ProcessPage",
    "ProcessRowView",
    "ProcessTypeDetail",
    "ProcessTypeRow",
    "ProcessView",
    "Progress",
    "Recorded",
    "RecordedResolution",
    "Request",
    "Resolution",
    "ResolveRequest",
    "Simpler",
    "StepView",
    "SubmitRequest",
    "TraceEntry",
    "TracePage",
    "TriedView",
    "Validation",
    "ValueProblemView",
    "VerdictView",
    "View",
    "WhyView",
    "brief_schema",
    "output_schema",
]

# --- process -----------------------------------------------------------------------------------------------------


class Progress(View):
    done: int
    total: int


class StepView(View):
    id: str
    contract: Stated[str] = None
    agent: Stated[str] = None
    status: str
    attempts: int
    why: str | None = None
    wait_until: str | None = None
    cost_usd: str | None = None
    items: Progress | None = None
    rounds: Progress | None = None
    author: str | None = None
    child: str | None = None


class CostView(View):
    spent_usd: str
    reserved_usd: str
    budget_usd: str
    tokens: int
    unknown_calls: int


class FailureView(View):
    """How a process failed: at which step, whose fault, by which rule."""

    code: str
    blame: str
    step: Stated[str] = None
    call: Stated[str] = None
    pointer: Stated[str] = None
    rule: Stated[str] = None
    message: Stated[str] = None


# --- escalation --------------------------------------------------------------------------------------------------


class EscalationWhy(View):
    """The rule that asked, and the seq of the event that opened the question."""

    rule: str
    seq: Stated[int] = None


class OptionView(View):
    decision: str
    consequence: str
    needs: Literal["A0", "A1", "A2", "A3"]
    cost_usd: str | None = None
    data_schema: dict[str, Json] | None = None


class EvidenceView(View):
    label: str
    from_: Literal["agent", "input", "engine"] = Field(alias="from")
    value: Json = None
    uri: str

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)


class TriedView(View):
    agent: str
    attempt: int
    code: str
    ms: int


class ParagraphView(View):
    """Prose of a language model about a question: no fact, no advice, no part of what is asked."""

    text: str
    written_by: Literal["model"]
    model: str


class PrecedentView(View):
    """How a question about the same contract, kind and failure was decided before. It binds nobody."""

    escalation_id: str
    kind: str
    code: Stated[str] = None
    decision: str
    by: str
    channel: str
    assurance: str
    at: str
    uri: str


class RecordedResolution(View):
    decision: str
    data: Stated[Json] = None
    note: Stated[str] = None
    by: str
    channel: str
    assurance: str
    at: str
    effect: list[int] = []


class EscalationView(View):
    """A question to a person. Rows of listings leave out evidence, tried, precedents and the options' schemas."""

    escalation_id: str
    process_id: str
    step: Stated[str] = None
    call: Stated[str] = None
    kind: str
    question: str
    why: EscalationWhy
    goal: str
    paragraph: ParagraphView | None = None
    options: list[OptionView] = []
    precedents: list[PrecedentView] | None = None
    evidence: list[EvidenceView] | None = None
    tried: list[TriedView] | None = None
    blame: str | None = None
    spent_usd: str
    role: str
    required_assurance: Literal["A0", "A1", "A2", "A3"]
    opened_at: str
    deadline_at: str | None = None
    reminded_at: str | None = None
    on_deadline: str
    version: int
    status: Literal["open", "resolved", "withdrawn"]
    how_to_decide: list[HowToDecide] = []
    resolution: RecordedResolution | None = None
    warnings: list[str] = []


class EscalationPage(View):
    escalations: list[EscalationView]
    next_cursor: str | None = None
    next_actions: list[NextAction] = []
    warnings: list[str] = []


class Recorded(View):
    """Who decided, how it reached us, how strong the proof is."""

    by: str
    channel: str
    assurance: str
    at: str


class Resolution(View):
    """Answer to a resolve."""

    status: Literal["resolved", "needs_human", "still_waiting", "refused"]
    escalation: EscalationView
    process_id: str
    process_status: str
    recorded: Recorded | None = None
    required: Literal["A0", "A1", "A2", "A3"] | None = None
    how: list[HowToDecide] | None = None
    expires_at: str | None = None
    message: str | None = None
    next_actions: list[NextAction] = []
    warnings: list[str] = []


class RequirementView(View):
    """What the task's own words ask for: `value` in US dollars, milliseconds, or the word of an approval mode."""

    kind: Literal["budget", "deadline", "approval"]
    quote: str
    value: str


class ProcessView(View):
    """Where a process stands. `version` is its seq; `plan`, `report`, `diagram` only where asked for."""

    process_id: str
    process_type: Stated[str] = None
    label: Stated[str] = None
    status: Literal["queued", "running", "waiting_human", "completed", "failed", "cancelled"]
    why: Stated[str] = None
    wait_until: str | None = None
    version: int
    verdict: Stated[VerdictView] = None
    task: Stated[str] = None
    classified_by: str
    planned_by: Stated[str] = None
    requirements: list[RequirementView] | None = None
    step: Progress
    steps: list[StepView] = []
    escalations: list[EscalationView] = []
    cost: CostView
    output: Json = None
    error: FailureView | None = None
    undone: list[str] = []
    left: list[str] = []
    redrives: str | None = None
    next_actions: list[NextAction] = []
    poll_after_ms: int
    resources: list[str] = []
    warnings: list[str] = []
    truncated: bool = False
    created_at: str
    updated_at: str
    plan: dict[str, Json] | None = None
    report: str | None = None
    diagram: str | None = None


class ProcessRowView(View):
    process_id: str
    process_type: Stated[str] = None
    label: Stated[str] = None
    status: str
    why: Stated[str] = None
    version: int
    step: Progress
    cost_usd: str
    created_at: str
    updated_at: str


class ProcessPage(View):
    processes: list[ProcessRowView]
    next_cursor: str | None = None
    next_actions: list[NextAction] = []
    warnings: list[str] = []


# --- trace -------------------------------------------------------------------------------------------------------


class CutView(View):
    """A part that was cut: which field, its whole size, where the whole is read."""

    field: Literal["input", "output", "detail"]
    bytes: int
    uri: str


class TraceEntry(View):
    """One event. `detail` of a failed call holds its errors and the agent's last lines on stderr."""

    seq: int
    at: str
    event: str
    kind: Literal["process", "plan", "call", "escalation", "timer"]
    step: Stated[str] = None
    call: Stated[str] = None
    agent: Stated[str] = None
    why_agent: Stated[str] = None
    contract: Stated[str] = None
    ms: Stated[int] = None
    tokens: Stated[int] = None
    cost_usd: Stated[str] = None
    verdict: Stated[str] = None
    blame: Stated[str] = None
    summary: str
    input: Json = None
    output: Json = None
    detail: Json = None
    cut: list[CutView] | None = None


class TracePage(View):
    process_id: str
    entries: list[TraceEntry]
    next_after: int | None = None
    next_actions: list[NextAction] = []
    warnings: list[str] = []


class FaultSource(View):
    """A binding that made a value, and the contract under which it was made; none for `$.input`."""

    binding: str
    step: str | None = None
    contract: str | None = None
    contract_sha256: str | None = None


class LastGood(View):
    """The last call before a failure that went well."""

    call: str
    step: str | None = None
    agent: str | None = None
    contract: str | None = None
    contract_sha256: str | None = None
    at: str | None = None
    ms: int | None = None


class FaultView(View):
    """Whose fault it is (caller, planner, agent, contract, transport, policy, us), by which rule, where, what to do."""

    party: str
    because: str
    where: str
    do: str
    pointer: str | None = None
    rule: str | None = None
    contract: str | None = None
    contract_sha256: str | None = None
    sources: list[FaultSource] = []
    last_good: LastGood | None = None


class WhyView(View):
    """The failing call alone, with the exact command that comes next. `failed` is false where nothing has failed."""

    process_id: str
    process_type: str | None = None
    status: str
    failed: bool
    step: str | None = None
    call: str | None = None
    agent: str | None = None
    contract: str | None = None
    code: str | None = None
    failure_class: str | None = None
    blame: str | None = None
    outcome: str | None = None
    only_reads: bool = False  # then nothing was changed, whatever the outcome
    pointer: str | None = None
    rule: str | None = None
    message: str | None = None
    at: str | None = None
    ms: int | None = None
    request: Json = None
    answer: Json = None
    errors: list[Json] = []
    stderr: str | None = None
    last_ok: str | None = None
    fault: FaultView | None = None  # also of what waits for money, was cancelled, or was set aside
    escalation_id: str | None = None
    next_command: str
    next_actions: list[NextAction] = []
    warnings: list[str] = []


# --- errors ------------------------------------------------------------------------------------------------------


class Candidate(View):
    """A process type that might be meant, with the input it requires."""

    process_type: str
    summary: str
    input_required: list[str]


class ErrorBody(View):
    code: str
    message: str
    do: str
    pointer: str | None = None
    record: EscalationView | None = None
    errors: list[ValueProblemView] | None = None
    candidates: list[Candidate] | None = None
    nearest: list[str] | None = None


class ErrorView(View):
    error: ErrorBody


# --- requests ----------------------------------------------------------------------------------------------------


class Caller(Request):
    """Who asks, through which door, and for which processes above (sub-orchestration)."""

    principal: str = "local"
    lineage: tuple[str, ...] = ()
    channel: Literal["mcp", "cli", "console"] = "mcp"


class SubmitRequest(Request):
    """`warnings` names what the door corrected while reading the arguments; it is handed on in the view."""

    task: str | None = None
    process_type: str | None = None
    input: Json = None
    budget_usd: float | str | None = None
    approval: Literal["policy", "plan", "every_step"] = "policy"
    idempotency_key: str | None = None
    label: str | None = None
    wait_s: float = 0
    warnings: tuple[str, ...] = ()


class ResolveRequest(Request):
    """`data` is read by decision; `version` is the escalation's, not the process's."""

    escalation_id: str
    decision: str | None = None
    data: Json = None
    note: str | None = None
    version: int | None = None
    warnings: tuple[str, ...] = ()
