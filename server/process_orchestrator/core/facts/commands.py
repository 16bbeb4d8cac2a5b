"""Commands: orders of the core, imperative, carried out by the performer or the host.

Three classes make one commit per sequential step. `local` ones touch artifacts only: they run at once, and their event
joins the same turn. `outward` ones run after the turn that ordered them is durable. `host` ones are the host's own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, TypeAlias

from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.values import (
    AgentPin,
    ApprovalMode,
    Assurance,
    ContractPin,
    Decision,
    Effect,
    EscalationKind,
    Fact,
    Idempotency,
    Money,
    Phase,
    Ref,
    Status,
    TypePin,
)


class CommandClass(StrEnum):
    """Who carries a command out, and when."""

    LOCAL = "local"
    OUTWARD = "outward"
    HOST = "host"


class CommandFact(Fact, tag_field="type", tag=True, kw_only=True):
    """Root of every command."""

    class_of: ClassVar[CommandClass]
    process: str


class Source(Fact, kw_only=True):
    """What a binding may see of an earlier step. `output` is None where the step was skipped without a default."""

    status: Phase
    output: Ref | None = None
    code: str | None = None  # error code of a skipped or failed step


class PlanContext(Fact, kw_only=True):
    """Where a command's bindings are read from: the pinned plan document and the process input."""

    plan: str  # sha256 of the plan document
    type: TypePin | None
    input: Ref | None
    sources: dict[str, Source] = {}


class UndoneCall(Fact, kw_only=True):
    """The call whose effect is to be taken back: what it was given, and what it answered as far as is known."""

    unit: str
    input: Ref | None
    output: Ref | None


class PrepareCall(CommandFact, kw_only=True):
    """Build and check the arguments of one call; choose its agent."""

    class_of: ClassVar[CommandClass] = CommandClass.LOCAL
    call: str
    unit: str
    step: str
    item: int | None = None
    round: int | None = None
    last_output: Ref | None = None  # of the round before; if `until` holds over it, StepSkipped(reason="until")
    key: str  # the idempotency key this call would have; filled into the contract's key field
    tried: tuple[str, ...] = ()
    only_agent: str | None = None
    approval: ApprovalMode
    context: PlanContext
    override: Ref | None = None  # whole input, from retry_with_input
    default_only: bool = False  # evaluate the step's default alone; answered by StepSkipped(reason="default")
    undoes: UndoneCall | None = None  # the call is that of the step's undo contract


class OpenMap(CommandFact, kw_only=True):
    class_of: ClassVar[CommandClass] = CommandClass.LOCAL
    step: str
    approval: ApprovalMode
    context: PlanContext


class CollectItems(CommandFact, kw_only=True):
    class_of: ClassVar[CommandClass] = CommandClass.LOCAL
    step: str
    outputs: tuple[Ref | None, ...]


class BuildOutput(CommandFact, kw_only=True):
    class_of: ClassVar[CommandClass] = CommandClass.LOCAL
    context: PlanContext


class CheckPlan(CommandFact, kw_only=True):
    """Check a proposal. `kept` steps stand in `context.plan`, the plan followed so far, and are taken over from it."""

    class_of: ClassVar[CommandClass] = CommandClass.LOCAL
    plan: Ref  # what the model said
    round: int
    context: PlanContext
    kept: tuple[str, ...] = ()


class OpenEscalation(CommandFact, kw_only=True):
    """Compute the evidence package of a question to a human."""

    class_of: ClassVar[CommandClass] = CommandClass.LOCAL
    escalation: str
    kind: EscalationKind
    unit: str | None = None
    step: str | None = None
    call: str | None = None
    digest: str | None = None
    contract: ContractPin | None = None
    input: Ref | None = None
    detail: Ref | None = None
    code: str | None = None
    blame: str | None = None
    rule: str | None = None
    decisions: tuple[Decision, ...]
    min_assurance: Assurance
    role: str
    deadline_at: int | None = None
    context: PlanContext | None = None
    money: Money | None = None
    undoes: UndoneCall | None = None


class ClassifyTask(CommandFact, kw_only=True):
    """Find the type of a task, and its input. `process_type`: it is known already, only the input is to be found."""

    class_of: ClassVar[CommandClass] = CommandClass.OUTWARD
    task: Ref | None
    input: Ref | None
    process_type: TypePin | None = None


class ProposePlan(CommandFact, kw_only=True):
    """Ask for a plan; where one is followed already (`context.plan`), for what is left of it.

    `kept` are its steps that are done, skipped or under way (`context.sources` has them all). `failed` is the step
    that nothing mended, `code`, `message` and `detail` how it failed. `rejected`: a human has rejected the last plan,
    `note` is what he said to it.
    """

    class_of: ClassVar[CommandClass] = CommandClass.OUTWARD
    round: int
    context: PlanContext
    report: Ref | None = None  # of the last check
    task: Ref | None = None
    kept: tuple[str, ...] = ()
    failed: str | None = None
    code: str | None = None
    message: str | None = None
    detail: Ref | None = None
    rejected: bool = False
    note: str | None = None


class WriteBrief(CommandFact, kw_only=True):
    class_of: ClassVar[CommandClass] = CommandClass.OUTWARD
    escalation: str
    package: Ref


class InvokeAgent(CommandFact, kw_only=True):
    class_of: ClassVar[CommandClass] = CommandClass.OUTWARD
    call: str
    unit: str
    step: str
    agent: AgentPin
    contract: ContractPin
    key: str
    input: Ref
    timeout_ms: int
    effect: Effect
    idempotency: Idempotency
    free: bool = False  # may start before its turn is durable
    lineage: tuple[str, ...] = ()  # processes above this one, the outermost first: told to the agent


class StartTimer(CommandFact, kw_only=True):
    class_of: ClassVar[CommandClass] = CommandClass.HOST
    timer: str
    fire_at: int


class StopTimer(CommandFact, kw_only=True):
    class_of: ClassVar[CommandClass] = CommandClass.HOST
    timer: str


class CancelCall(CommandFact, kw_only=True):
    """`child`: the process to cancel, where the call is one. Its own end, not the kill grace, is then waited for."""

    class_of: ClassVar[CommandClass] = CommandClass.HOST
    call: str
    child: str | None = None


class StartChild(CommandFact, kw_only=True):
    """`plan` names the definition of the PlanFacts that are left out of `spec`."""

    class_of: ClassVar[CommandClass] = CommandClass.HOST
    call: str
    child: str
    spec: ProcessSpec
    plan: str
    usd_micros: int


class Finish(CommandFact, kw_only=True):
    class_of: ClassVar[CommandClass] = CommandClass.HOST
    status: Status
    output: Ref | None = None
    code: str | None = None
    unit: str | None = None


Command: TypeAlias = (
    PrepareCall
    | OpenMap
    | CollectItems
    | BuildOutput
    | CheckPlan
    | OpenEscalation
    | ClassifyTask
    | ProposePlan
    | WriteBrief
    | InvokeAgent
    | StartTimer
    | StopTimer
    | CancelCall
    | StartChild
    | Finish
)
