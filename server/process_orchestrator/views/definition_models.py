"""The results that are about definitions, and the parts that they share with results about processes."""

from __future__ import annotations

from typing import Literal

from process_orchestrator.views.view import Json, View


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


class MapRow(View):
    """What a step may name: a contract with those who keep it, or a process that the step starts."""

    contract: str | None = None
    process: str | None = None
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
    todo: list[str] = []


class AgentRow(View):
    name: str
    summary: str
    kind: str
    serves: list[str]
    pin: str  # same, or how it differs; pinned: not compared yet; not pinned; not comparable
    health: str | None = None
    circuit: str | None = None


class HistoryRow(View):
    """What the runs of one version of a type took, and how what was said before each held.

    `judged` of them had an estimate made of 20 runs or more; `inside` of these cost what it said, `inside_time` took
    as long.
    """

    process_type: str
    version: str
    runs: int
    mean_usd: str
    mean_calls: float
    mean_ms: int
    person_share: str
    failed_share: str
    unknown_price_runs: int
    judged: int
    inside: int
    inside_share: str | None = None
    inside_time: int
    inside_time_share: str | None = None


class ProcessTypeDetail(ProcessTypeRow):
    input: dict[str, Json]
    output: dict[str, Json]
    verdict: VerdictView | None = None
    budget_usd: str
    worst_case: str | None = None
    definition: dict[str, Json]
    checks: list[ProblemView] = []
    bindings: dict[str, int] = {}
    history: list[HistoryRow] = []


class ContractDetail(ContractRow):
    input: dict[str, Json]
    output: dict[str, Json]
    errors: dict[str, Json]
    price_usd: str | None = None
    definition: dict[str, Json]


class AgentDetail(AgentRow):
    prefer: int
    concurrency: int
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
