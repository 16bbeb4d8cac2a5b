"""Events: facts, past tense, journaled. Every one carries `at`, epoch milliseconds, set by who made it.

Made by the host: ProcessStarted, TimerFired, CallLost, ChildFinished, EngineResumed,
DecisionsDrifted. From outside: EscalationResolved,
CancelRequested. All others by the performer.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from process_orchestrator.core.facts.specs import Budget, Fit, Gate, PlanFacts, ProcessSpec
from process_orchestrator.core.facts.values import (
    AgentPin,
    Assurance,
    Blame,
    Decision,
    Fact,
    FailureClass,
    Outcome,
    Ref,
    Stage,
    Status,
    TypePin,
    Usage,
)
from process_orchestrator.core.limits import Limits


class EventFact(Fact, tag_field="type", tag=True, kw_only=True):
    """Root of every event."""

    at: int


class ProcessStarted(EventFact, kw_only=True):
    spec: ProcessSpec


class EscalationResolved(EventFact, kw_only=True):
    """`at` is set by the host. `by`, `channel` and `assurance` are derived by the engine from a proof, never stated."""

    escalation: str
    version: int | None = None
    decision: Decision
    data: Ref | None = None
    checked: str | None = None  # sha256 of the contract that `data` was checked against
    agent: str | None = None
    usd_micros: int | None = None
    reject_items: tuple[int, ...] = ()
    fresh_key: bool = False
    process_type: TypePin | None = None  # choose_type
    plan: PlanFacts | None = None  # choose_type
    budget: Budget | None = None  # choose_type: the type's, narrowed by what was asked for
    limits: Limits | None = None  # choose_type
    note: str | None = None
    by: str = ""
    channel: str = ""
    assurance: Assurance = Assurance.A0
    request_id: str


class CancelRequested(EventFact, kw_only=True):
    by: str
    reason: str
    request_id: str


class TimerFired(EventFact, kw_only=True):
    timer: str


class CallLost(EventFact, kw_only=True):
    call: str
    jitter: int = 0


class ChildFinished(EventFact, kw_only=True):
    call: str
    status: Status
    output: Ref | None = None
    code: str | None = None
    class_: FailureClass | None = msgspec.field(default=None, name="class")
    blame: Blame | None = None
    message: str | None = None  # which step of the child failed
    usd_micros: int = 0
    tokens: int = 0
    unknown_calls: int = 0
    left: tuple[str, ...] = ()  # its effects that nothing took back


class EngineResumed(EventFact, kw_only=True):
    engine: int


class DecisionsDrifted(EventFact, kw_only=True):
    """Folded with this core, the row that ends with `row` decides otherwise than the journal says.

    `was` and `now` are its decisions in short form. `digest` is that of all commands that would be ordered again as the
    process stands now, so that a later core which decides otherwise still is noticed.
    """

    row: int
    was: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    digest: str = ""


class TaskClassified(EventFact, kw_only=True):
    process_type: TypePin
    plan: PlanFacts | None = None
    input: Ref
    by: str
    usage: Usage = Usage()
    budget: Budget | None = None  # the type's, narrowed by what was asked for; None: as the process started
    limits: Limits | None = None


class PlanProposed(EventFact, kw_only=True):
    plan: Ref
    round: int
    usage: Usage = Usage()


class PlanChecked(EventFact, kw_only=True):
    ok: bool
    plan: PlanFacts | None = None
    plan_sha256: str | None = None
    fit: Fit | None = None
    report: Ref


class MapOpened(EventFact, kw_only=True):
    step: str
    count: int
    digest: str
    items: Ref | None = None  # the evaluated list, as evidence and for a whole-map approval
    gate: Gate | None = None


class CallPrepared(EventFact, kw_only=True):
    """`digest` is over contract and arguments before the idempotency field is filled."""

    call: str
    agent: AgentPin
    why_agent: str = ""
    input: Ref
    digest: str
    reserve_usd_micros: int | None = None
    gate: Gate | None = None


class StepSkipped(EventFact, kw_only=True):
    unit: str
    reason: str  # condition | default | until
    output: Ref | None = None


class CallSucceeded(EventFact, kw_only=True):
    call: str
    output: Ref
    usd_micros: int | None = None
    tokens: int | None = None
    ms: int


class CallFailed(EventFact, kw_only=True):
    call: str
    code: str
    class_: FailureClass = msgspec.field(name="class")
    blame: Blame
    outcome: Outcome
    pointer: str | None = None
    rule: str | None = None
    message: str | None = None  # masked, at most 300 characters
    detail: Ref | None = None  # {answer?, errors[], stderr?}
    retry_after_ms: int | None = None
    jitter: int = 0
    usd_micros: int | None = None
    tokens: int | None = None
    ms: int = 0


class ItemsCollected(EventFact, kw_only=True):
    step: str
    output: Ref


class OutputBuilt(EventFact, kw_only=True):
    output: Ref


class EscalationOpened(EventFact, kw_only=True):
    escalation: str
    package: Ref
    schema_sha256: str | None = None


class StageFailed(EventFact, kw_only=True):
    stage: Stage
    code: str
    blame: Blame
    step: str | None = None
    escalation: str | None = None
    pointer: str | None = None
    message: str | None = None
    detail: Ref | None = None
    retry_after_ms: int | None = None  # of a model that could not be had: when it may be asked again
    usage: Usage = Usage()


class BriefWritten(EventFact, kw_only=True):
    escalation: str
    brief: Ref
    usage: Usage = Usage()


OutsideEvent: TypeAlias = EscalationResolved | CancelRequested

Event: TypeAlias = (
    ProcessStarted
    | EscalationResolved
    | CancelRequested
    | TimerFired
    | CallLost
    | ChildFinished
    | EngineResumed
    | DecisionsDrifted
    | TaskClassified
    | PlanProposed
    | PlanChecked
    | MapOpened
    | CallPrepared
    | StepSkipped
    | CallSucceeded
    | CallFailed
    | ItemsCollected
    | OutputBuilt
    | EscalationOpened
    | StageFailed
    | BriefWritten
)
