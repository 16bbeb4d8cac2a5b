"""The results and requests of every use case, as data: field names are public interface (tools, CLI, console alike).

Not the rendering: that stands in the other files of this room. An optional field without a value is absent from the
payload, never null. Times are RFC 3339 UTC with milliseconds, money is a plain decimal string in US dollars.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

Json = Any  # a JSON value


class View(BaseModel):
    """Root of every result."""

    model_config = ConfigDict(frozen=True)

    def payload(self) -> dict[str, Any]:
        """The structured result: JSON values only, fields without a value left out."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)


class Request(BaseModel):
    """Root of every request; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _OutputSchema(GenerateJsonSchema):
    """Absent instead of null, and no titles: a model reads these schemas, so every word costs."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        produced = super().default_schema(schema)
        if produced.get("default", ...) is None:
            produced.pop("default")
        return produced

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  named by pydantic
        return False


def output_schema(view: type[View]) -> dict[str, Any]:
    """JSON Schema 2020-12 of a result: object root, no union at the root."""
    schema = view.model_json_schema(mode="serialization", schema_generator=_OutputSchema, by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
        part.pop("description", None)
    return schema


# --- shared parts ------------------------------------------------------------------------------------------------


class NextAction(View):
    """What to do next: a tool with its arguments, a command for a terminal, or both."""

    tool: str | None = None
    args: dict[str, Json] | None = None
    command: str | None = None
    reason: str


class HowToDecide(View):
    """A way by which a person can decide; carries no authority itself."""

    channel: Literal["cli", "console"]
    command: str | None = None
    url: str | None = None


class ProblemView(View):
    """One problem of a definition file."""

    level: str
    code: str
    file: str | None = None
    line: int
    pointer: str
    message: str
    fix: str


class ValueProblemView(View):
    """Where a value breaks a schema. `got` is a type or size, never the value."""

    pointer: str
    schema_pointer: str
    rule: str
    message: str
    expected: Json = None
    got: Json = None


# --- process -----------------------------------------------------------------------------------------------------


class Progress(View):
    done: int
    total: int


class Simpler(View):
    """What would close the task without orchestration."""

    what: str
    est_usd: str | None = None
    est_ms: int | None = None
    loses: list[str] = []


class VerdictView(View):
    kind: Literal["orchestrate", "single_call"]
    reasons: list[str] = []
    simpler: list[Simpler] = []


class StepView(View):
    id: str
    contract: str | None = None
    agent: str | None = None
    status: str
    attempts: int
    why: str | None = None
    wait_until: str | None = None
    cost_usd: str | None = None
    items: Progress | None = None


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
    step: str | None = None
    call: str | None = None
    pointer: str | None = None
    rule: str | None = None
    message: str | None = None


# --- escalation --------------------------------------------------------------------------------------------------


class EscalationWhy(View):
    """The rule that asked, and the seq of the event that opened the question."""

    rule: str
    seq: int | None = None


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


class RecordedResolution(View):
    decision: str
    data: Json = None
    note: str | None = None
    by: str
    channel: str
    assurance: str
    at: str
    effect: list[int] = []


class EscalationView(View):
    """A question to a person. Rows of listings leave out evidence, tried and the options' schemas."""

    escalation_id: str
    process_id: str
    step: str | None = None
    call: str | None = None
    kind: str
    question: str
    why: EscalationWhy
    goal: str
    options: list[OptionView] = []
    evidence: list[EvidenceView] | None = None
    tried: list[TriedView] | None = None
    blame: str | None = None
    spent_usd: str
    role: str
    required_assurance: Literal["A0", "A1", "A2", "A3"]
    opened_at: str
    deadline_at: str | None = None
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


class ProcessView(View):
    """Where a process stands. `version` is its seq; `plan`, `report`, `diagram` only where asked for."""

    process_id: str
    process_type: str | None = None
    label: str | None = None
    status: Literal["queued", "running", "waiting_human", "completed", "failed", "cancelled"]
    why: str | None = None
    wait_until: str | None = None
    version: int
    verdict: VerdictView | None = None
    task: str | None = None
    classified_by: str
    planned_by: str | None = None
    step: Progress
    steps: list[StepView] = []
    escalations: list[EscalationView] = []
    cost: CostView
    output: Json = None
    error: FailureView | None = None
    undone: list[str] = []
    left: list[str] = []
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
    process_type: str | None = None
    label: str | None = None
    status: str
    why: str | None = None
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
    step: str | None = None
    call: str | None = None
    agent: str | None = None
    why_agent: str | None = None
    contract: str | None = None
    ms: int | None = None
    tokens: int | None = None
    cost_usd: str | None = None
    verdict: str | None = None
    blame: str | None = None
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
    escalation_id: str | None = None
    next_command: str
    next_actions: list[NextAction] = []
    warnings: list[str] = []


# --- definitions -------------------------------------------------------------------------------------------------


class MapRow(View):
    contract: str
    agents: list[str]


class ProcessTypeRow(View):
    name: str
    version: str
    summary: str
    input_required: list[str]
    plan: Literal["fixed", "made"]
    map: list[MapRow]


class ContractRow(View):
    name: str
    version: str
    summary: str
    effect: str
    approval: bool
    status: str
    agents: list[str]


class AgentRow(View):
    name: str
    summary: str
    kind: str
    serves: list[str]
    health: str | None = None
    circuit: str | None = None


class ProcessTypeDetail(ProcessTypeRow):
    input: dict[str, Json]
    output: dict[str, Json]
    verdict: VerdictView | None = None
    budget_usd: str
    definition: dict[str, Json]
    checks: list[ProblemView] = []


class ContractDetail(ContractRow):
    input: dict[str, Json]
    output: dict[str, Json]
    errors: dict[str, Json]
    price_usd: str | None = None
    definition: dict[str, Json]


class AgentDetail(AgentRow):
    prefer: int
    concurrency: int
    pin: str
    last_error: str | None = None
    definition: dict[str, Json]


class Description(View):
    """Index of all definitions, or one of them whole. `models` is "rules" where no model is configured."""

    process_types: list[ProcessTypeRow] | None = None
    contracts: list[ContractRow] | None = None
    agents: list[AgentRow] | None = None
    process_type: ProcessTypeDetail | None = None
    contract: ContractDetail | None = None
    agent: AgentDetail | None = None
    models: str
    problems: list[ProblemView] = []
    next_actions: list[NextAction] = []
    warnings: list[str] = []


class FileReport(View):
    file: str
    problems: list[ProblemView]


class PlanRow(View):
    process: str
    version: str
    step: str
    argument: str
    verdict: str
    producer: str | None = None
    consumer: str | None = None
    witness: Json = None
    message: str | None = None


class CheckReportView(View):
    """The object that `check --json` prints."""

    ok: bool
    files: list[FileReport]
    plans: list[PlanRow]


class Validation(View):
    """Whether a payload keeps a contract; `report` only for a definition."""

    valid: bool
    errors: list[ValueProblemView] = []
    report: CheckReportView | None = None
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
