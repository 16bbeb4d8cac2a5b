"""What a process starts from: its spec, and its plan as the core sees it (facts, no bodies, no expressions)."""

from __future__ import annotations

import msgspec

from process_orchestrator.core.facts.values import (
    AgentPin,
    ApprovalMode,
    Assurance,
    ContractPin,
    Effect,
    Fact,
    FailureClass,
    Idempotency,
    OnFailure,
    Outcome,
    Ref,
    StepKind,
    TypePin,
)
from process_orchestrator.core.limits import Limits


class RetryFacts(Fact, kw_only=True):
    """How often and how soon a failed call is tried again. `on` holds failure classes and declared error codes."""

    max_attempts: int = 1
    on: tuple[str, ...] = ()
    initial_ms: int = 1000
    factor: float = 2.0
    max_ms: int = 30_000
    jitter: bool = True  # full jitter: between 0 and the computed delay


class DeclaredError(Fact, kw_only=True):
    """One error that a contract declares."""

    class_: FailureClass = msgspec.field(name="class")
    outcome: Outcome = Outcome.NOT_DONE


class Gate(Fact, kw_only=True):
    """An approval that must be given before a call is made."""

    role: str
    min_assurance: Assurance


class Undo(Fact, kw_only=True):
    """The contract that takes a step's effect back. `human`: a role does it, no agent is called."""

    contract: ContractPin
    agents: tuple[AgentPin, ...]
    attempt_ms: int
    total_ms: int
    retry: RetryFacts
    idempotency: Idempotency
    effect: Effect = Effect.WRITE
    errors: dict[str, DeclaredError] = {}
    human: bool = False
    role: str | None = None  # of the human who does it
    decision_level: Assurance = Assurance.A0  # what the undo contract asks for beside its step
    answer_level: Assurance = Assurance.A0


class Repeat(Fact, kw_only=True):
    """How often a step is done anew at most, and how long to wait between two rounds."""

    max: int = 5
    every_ms: int = 10_000


class Budget(Fact, kw_only=True):
    """What a process may spend."""

    usd_micros: int = 1_000_000
    calls: int = 100
    tokens: int = 500_000
    total_ms: int = 3_600_000
    unknown: str = "allow"  # allow | refuse


class ChildFacts(Fact, kw_only=True):
    """The process that a step starts. `plan` names the definition that holds its PlanFacts; the host puts them back."""

    type: TypePin
    plan: str
    budget: Budget
    limits: Limits


class StepFacts(Fact, kw_only=True):
    """One step of a plan as the core sees it.

    `needs` and `needed_by` mirror each other over all dependencies; `bound_by` holds only the later steps that bind
    this step's output (skipping without a default is refused while it is not empty). `agents` is the order in which
    agents are asked. `decision_level` is the assurance that every non-safe decision on this step needs (the highest of
    server floor, contract, step and type); `answer_level` what an `answer` to its human task needs.
    """

    id: str
    kind: StepKind
    needs: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    bound_by: tuple[str, ...] = ()
    contract: ContractPin | None = None
    effect: Effect = Effect.READ
    idempotency: Idempotency = Idempotency.UNSAFE
    undo: Undo | None = None
    attempt_ms: int = 30_000
    total_ms: int = 180_000
    retry: RetryFacts = RetryFacts()
    errors: dict[str, DeclaredError] = {}
    agents: tuple[AgentPin, ...] = ()
    on_failure: dict[str, OnFailure] = {}  # error code, class or "else" -> word; "else" is always present
    has_default: bool = False
    is_map: bool = False  # for_each; kind is then "map", whatever closes its items
    human: bool = False  # closed by a human role: PrepareCall names an agent, no InvokeAgent follows
    parallel: int = 4
    item_failure: OnFailure | None = None  # None: the step's own on_failure; SKIP: the item is skipped
    decision_level: Assurance = Assurance.A2
    answer_level: Assurance = Assurance.A0
    role: str = "approver"  # who is asked when this step escalates
    wait_ms: int | None = None
    repeat: Repeat | None = None
    child: ChildFacts | None = None  # the process that this step starts
    free: bool = False  # effect none/read and a declared price of zero: may start before its turn is durable


class Fit(Fact, kw_only=True):
    """Whether orchestration is worth it: `single_call` when one pass of one agent closes the task."""

    verdict: str  # orchestrate | single_call
    reasons: tuple[str, ...] = ()
    simpler: tuple[str, ...] = ()  # what would do instead, in words


class PlanFacts(Fact, kw_only=True):
    """A checked plan as the core sees it. `sha256` names the plan document that the performer evaluates."""

    sha256: str
    steps: tuple[StepFacts, ...]
    on_failure: OnFailure = OnFailure.ESCALATE
    on_cancel: str = "leave"  # leave | compensate
    on_abort: str = "leave"
    role: str = "approver"
    server_floor: Assurance = Assurance.A0
    type_level: Assurance = Assurance.A2
    deadline_ms: int | None = 86_400_000
    on_deadline: str = "reject"  # reject | abort | role:NAME
    fit: Fit | None = None


class Earlier(Fact, kw_only=True):
    """What the process that is redriven did for one unit, so that nothing is done a second time.

    `planned` is the digest of the arguments as the plan made them, `digest` that of the arguments that were sent: they
    differ where a human gave others. Where the plan makes the same arguments again, `output` closes the unit without
    a call, or it is skipped as it was; without either only the effect is remembered, under its key. `acted` says that
    there may be an effect.
    """

    call: str
    agent: AgentPin
    key: str
    digest: str
    planned: str
    output: Ref | None = None
    skipped: bool = False
    acted: bool = True


class Requirement(Fact, kw_only=True):
    """What the task's own words ask for beside its input: it can only narrow what the process may do.

    `quote` is what the task says, word for word; `value` the amount in US dollars, the milliseconds, or the word of an
    ApprovalMode that was read from it.
    """

    kind: str  # budget | deadline | approval
    quote: str
    value: str


class ProcessSpec(Fact, kw_only=True):
    """All that a process starts from.

    `process_id` is empty in a request: the host fills it, from (principal, key) where a key is given, else at random.
    `request_sha256` is over the request's body (task, process_type, input, budget_usd, approval), so that the same key
    with another body is told apart. `redrives` names the ended process that this one takes up again, `earlier` what was
    done there, by unit. `models` names the stages (intake, plan, brief) that have a model, each with the worst case of
    one call in micro-dollars, None where its price is unknown: a stage that is not named is never ordered.
    """

    process_id: str = ""
    principal: str
    key: str | None = None
    request_sha256: str
    lineage: tuple[str, ...] = ()
    parent_call: str | None = None  # the call of the last of `lineage` that waits for this process, where one does
    task: Ref | None = None
    input: Ref | None = None
    type: TypePin | None = None
    classified_by: str = "caller"  # caller | rules | model | human
    plan: PlanFacts | None = None
    label: str | None = None
    budget: Budget = Budget()
    approval: ApprovalMode = ApprovalMode.POLICY
    limits: Limits = Limits()
    core_version: int = 1
    redrives: str | None = None
    earlier: dict[str, Earlier] = {}
    models: dict[str, int | None] = {}
    requirements: tuple[Requirement, ...] = ()
