"""Definitions in memory: what a checked contract, process type or agent file says, all defaults filled in.

Made only by the loader (or by `assemble` for in-process agents). Immutable. Bindings and expressions are kept as
written (JSON values); `checking.bindings` reads them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from process_orchestrator.core.facts.specs import DeclaredError, RetryFacts
from process_orchestrator.core.facts.values import Assurance, Effect, Fact, Idempotency, OnFailure

Json = Any  # a JSON value; pyright cannot say it without recursion in msgspec


class SourceFile(Fact, kw_only=True):
    """Where a definition came from."""

    path: str
    sha256: str  # RFC 8785 over the definition as written, defaults not filled in
    canonical: bytes


class Approval(Fact, kw_only=True):
    """When a human must approve a call. `when` None: always."""

    when: Json = None
    role: str | None = None
    min_assurance: Assurance | None = None
    show: tuple[Json, ...] = ()


class Undo(Fact, kw_only=True):
    contract: str
    input: Json


class Condition(Fact, kw_only=True):
    """One `requires` or `ensures`."""

    id: str
    expr: str


class Contract(Fact, kw_only=True):
    """One capability: input, output, errors, effects, idempotency, timeout, retry, cost."""

    name: str
    version: str
    summary: str
    input: dict[str, Json]
    output: dict[str, Json]
    errors: dict[str, DeclaredError]
    retry_after: tuple[str, ...]  # error codes whose answer may carry a Retry-After
    effect: Effect
    resources: tuple[str, ...]
    undo: Undo | None
    idempotency: Idempotency
    key_field: str | None
    attempt_ms: int
    total_ms: int
    retry: RetryFacts
    output_bytes: int
    depth: int
    price_usd_micros: int | None  # per call; None: unknown
    model_tokens: tuple[int, int] | None
    sensitive: tuple[str, ...]
    sensitivity: str | None
    requires: tuple[Condition, ...]
    ensures: tuple[Condition, ...]
    approval: Approval | None
    status: str  # active | draft
    todo: tuple[str, ...]
    examples: tuple[dict[str, Json], ...]
    deprecated: dict[str, str] | None
    source: SourceFile


class Transport(Fact, kw_only=True):
    """How an agent is reached. `kind`: mcp_stdio, mcp_http, http, a2a, model, human, in_process. Rest as written."""

    kind: str
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    url: str | None = None  # mcp_http url, http base_url
    auth: dict[str, Json] | None = None
    allow_loopback: bool = False
    start_command: tuple[str, ...] = ()
    start_ready: str | None = None
    role: str | None = None
    tier: str | None = None
    instructions: str | None = None
    card: str | None = None
    endpoint: str | None = None  # a2a: the only address that its card may name, where not its own


class Serve(Fact, kw_only=True):
    """One contract that an agent keeps: `contract` is a name with a range (`ledger.post@^1`)."""

    contract: str
    bind: dict[str, Json]


class AgentLimits(Fact, kw_only=True):
    concurrency: int = 4
    per_s: float | None = None
    output_bytes: int = 1_000_000
    usd_per_day: float | None = None


class Circuit(Fact, kw_only=True):
    failures: int = 5
    window_ms: int = 60_000
    open_ms: int = 30_000


class Agent(Fact, kw_only=True):
    """Who keeps contracts. `promise_sha256` is over name and `serves` alone: what a process pins."""

    name: str
    summary: str
    transport: Transport
    serves: tuple[Serve, ...]
    limits: AgentLimits
    circuit: Circuit
    prefer: int
    promise_sha256: str
    promise: bytes
    source: SourceFile


class StepApproval(Fact, kw_only=True):
    when: Json = None
    role: str | None = None
    min_assurance: Assurance | None = None
    show: tuple[Json, ...] = ()


class Step(Fact, kw_only=True):
    """One step of a plan as written, defaults filled in."""

    id: str
    contract: str | None = None
    process: str | None = None
    wait_s: float | None = None
    agent: str | None = None
    input: Json = None
    after: tuple[str, ...] = ()
    when: Json = None
    default: Json = msgspec.UNSET
    for_each: Json = None
    parallel: int = 4
    item_failure: str = "stop"
    timeout_s: float | None = None
    retry: dict[str, Json] | None = None
    repeat: dict[str, Json] | None = None
    approval: StepApproval | None = None
    on_failure: dict[str, OnFailure] = {}  # "else" always present


class Plan(Fact, kw_only=True):
    steps: tuple[Step, ...]
    output: Json


class Intake(Fact, kw_only=True):
    keywords: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


class EscalationPolicy(Fact, kw_only=True):
    role: str = "approver"
    deadline_s: int = 86_400
    on_deadline: str = "reject"  # reject | abort | role:NAME
    min_assurance: Assurance = Assurance.A2


class TypeBudget(Fact, kw_only=True):
    usd: float = 1.00
    calls: int = 100
    tokens: int = 500_000
    total_s: float = 3600
    unknown: str = "allow"


class TypeLimits(Fact, kw_only=True):
    steps: int = 30
    replans: int = 2
    same_call: int = 3
    depth: int = 3


class ProcessType(Fact, kw_only=True):
    """Which tasks a process closes, its input and output, its map of contracts, its plan."""

    name: str
    version: str
    summary: str
    intake: Intake
    input: dict[str, Json]
    output: dict[str, Json]
    contracts: tuple[str, ...]
    plan: Plan | None
    budget: TypeBudget
    limits: TypeLimits
    escalation: EscalationPolicy
    on_failure: OnFailure
    on_cancel: str
    on_abort: str
    source: SourceFile


class Problem(Fact, kw_only=True):
    """What is wrong in a definition, where, and how to mend it."""

    level: str  # error | warning
    code: str
    file: str
    line: int
    pointer: str
    message: str
    fix: str
