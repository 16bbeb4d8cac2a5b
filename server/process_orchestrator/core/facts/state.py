"""The state of a process: a fold over its events, nothing else. It survives a JSON round trip unchanged."""

from __future__ import annotations

import msgspec

from process_orchestrator.core.facts.commands import Command, Source
from process_orchestrator.core.facts.events import EscalationResolved
from process_orchestrator.core.facts.paged import Paged
from process_orchestrator.core.facts.specs import Gate, PlanFacts, ProcessSpec, StepFacts
from process_orchestrator.core.facts.values import (
    AgentPin,
    Assurance,
    Blame,
    Decision,
    EscalationKind,
    Fact,
    FailureClass,
    Money,
    Outcome,
    Phase,
    Ref,
    Stage,
    Status,
    Why,
)
from process_orchestrator.core.undo_step import undoing


class Failure(Fact, kw_only=True):
    """How a unit or process failed, in the words of views."""

    code: str
    blame: Blame
    class_: FailureClass | None = None
    outcome: Outcome = Outcome.NOT_DONE
    step: str | None = None
    unit: str | None = None
    call: str | None = None
    pointer: str | None = None
    rule: str | None = None
    message: str | None = None
    detail: Ref | None = None


class Attempt(Fact, kw_only=True):
    """One ended try of a unit, kept for the evidence of its escalation (the newest `tried_kept` of them)."""

    call: str
    agent: str
    code: str
    ms: int


class Unit(Fact, kw_only=True):
    """A step, one item of a mapped step, or one round of a repeated one: what has calls, a key, a phase."""

    id: str
    step: str
    place: int = 0  # of its step in the plan
    whole: bool = False  # a step's own, while its work is done by units of items or rounds
    item: int | None = None
    round: int | None = None
    phase: Phase = Phase.WAITING
    call: int = 0  # number of its last call; never reused
    attempts: int = 0  # calls at the present agent that count against max_attempts
    calls_total: int = 0
    agent: AgentPin | None = None
    agents_tried: tuple[str, ...] = ()
    only_agent: str | None = None
    generation: int = 0
    key_used: bool = False  # a call was made under the current key
    outcome_unknown: bool = False  # some call under the current key ended unknown: the key is frozen
    input: Ref | None = None
    digest: str | None = None
    reserve_usd_micros: int | None = None  # the worst case of its prepared call; None: unknown
    approved_digest: str | None = None
    gate: Gate | None = None
    override: Ref | None = None
    output: Ref | None = None
    failure: Failure | None = None
    tried: tuple[Attempt, ...] = ()
    series_begun: bool = False  # its tries since the start, or since a human's retry, are counted once
    escalation: str | None = None
    timer: str | None = None
    wait_until: int | None = None
    why: Why | None = None
    first_invoked_at: int | None = None
    waited_ms: int = 0  # time in asking and escalated, which counts in no total_s
    waiting_since: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    usd_micros: int = 0
    tokens: int = 0
    unknown_calls: int = 0
    overbilled: tuple[str, ...] = ()  # calls that billed more than was held back for them
    # a mapped step's own unit:
    count: int | None = None
    items_done: int = 0
    items_next: int = 0  # index of the next item to be prepared
    items_asking: int = 0
    items_escalated: int = 0
    rejected: tuple[int, ...] = ()  # items that the approval left out, ascending
    collecting: bool = False  # all items are closed and their outputs are being collected
    # a repeated step's own unit:
    rounds: int = 0  # rounds begun; the last of them only finds out whether there must be another
    rounds_max: int = 0  # rounds that may be called; a human may allow more
    # one round of it:
    paused: bool = False  # its pause was begun, and is over once it is called
    until_met: bool = False  # skipped because the condition held: its step is done
    # a sub-process:
    child: str | None = None  # the process that its last call started
    child_left: tuple[str, ...] = ()  # effects that children which did not complete have left
    # how a question or a default stands:
    wants: EscalationKind | None = None  # what is to be asked, or is being asked
    skipping: bool = False  # only the step's default is being evaluated
    author: str | None = None  # a human whose decision gave the output
    author_assurance: Assurance | None = None
    earlier_settled: bool = False  # a human has decided about what an earlier process did for it
    # how an effect stands that is to be taken back:
    closed: int = 0  # its place in the order in which units closed, from 1
    undoes: str | None = None  # the unit whose effect this one takes back
    items_undoing: int = 0  # of a mapped step: its items that are yet to be undone


class Escalation(Fact, kw_only=True):
    """A question to a human as the core sees it."""

    id: str
    kind: EscalationKind
    unit: str | None = None
    step: str | None = None
    call: str | None = None
    digest: str | None = None
    decisions: tuple[Decision, ...] = ()
    min_assurance: Assurance = Assurance.A2
    answer_level: Assurance = Assurance.A0
    role: str = "approver"
    version: int = 1  # changes of this escalation
    package: Ref | None = None
    schema_sha256: str | None = None
    brief: Ref | None = None
    brief_due: bool = False  # a model is writing it
    brief_usd_micros: int | None = None  # held back for that; None: its price is unknown
    brief_resumed: int = 0  # engines that took over while it was being written: each has it written anew
    opened_at: int = 0
    opened_seq: int | None = None  # of EscalationOpened, once its package is there
    deadline_at: int | None = None
    remind_at: int | None = None  # when somebody is to be reminded; None once that has happened
    reminded_at: int | None = None
    passed_on: bool = False  # a first deadline has given it to another role
    open: bool = True
    withdrawn: bool = False
    contract_sha256: str | None = None  # what `data` must have been checked against
    resolution: EscalationResolved | None = None
    resolved_seq: int | None = None
    money: Money | None = None  # of a question about the budget: how it stood when it was asked


class Thinking(Fact, kw_only=True):
    """How a process stands towards the model of the stage that it is in: intake or plan."""

    asked: int = 0  # how often a model was asked; the number of a try, never reused
    tries: int = 0  # that failed of the present question because the model could not be had
    held: bool = False  # a model is being asked
    held_usd_micros: int | None = None  # held back for it; None: its price is unknown
    resumed: int = 0  # engines that took over while it was being asked: each asks again
    timer: str | None = None  # until it is tried again
    wait_until: int | None = None
    why: Why | None = None
    wants_money: Stage | None = None  # it is to be asked once the budget is raised; a question about that is open
    rejected: bool = False  # a human has rejected the last plan
    note: str | None = None  # what he said to it


class Replanning(Fact, kw_only=True):
    """What is left of plans that were followed, where a model makes another for what is left to do."""

    failure: Failure | None = None  # of the step that asks for another plan; until that is followed nothing begins
    asked: bool = False  # planning has begun; until then calls that are under way come to their end
    sources: dict[str, Source] = {}  # the steps that the other plan keeps, as they stood when it was asked for
    replaced: dict[str, Unit] = {}  # of steps that failed for good and had no effect, by id: numbers of calls go on
    fruitless: tuple[str, ...] = ()  # digests of the calls that these made last


class Standing(msgspec.Struct, omit_defaults=True, gc=False):
    """How a process stands: the fields of a `Process`, and of the `Draft` of one while an event is applied to it.

    `spec` is what it started with, with the type and input that intake found put in, and the budget as it was raised.
    Counters stand for what would else be counted anew at every event. Fields are given by their places where a draft
    is made of a process, and a process of its draft: one copy in a row costs a tenth of one by names.
    """

    spec: ProcessSpec
    seq: int
    now: int
    created_at: int
    updated_at: int
    status: Status = Status.QUEUED
    why: Why | None = None
    plan: PlanFacts | None = None
    plan_approved: bool = True
    stage: Stage | None = None  # intake, plan or output, while its command has no answer
    plan_round: int = 0
    plans_seen: tuple[str, ...] = ()  # sha256 of every plan that was proposed and checked
    begun: dict[str, int] = {}  # digest -> how often a step began a series of tries with it
    plan_proposed: Ref | None = None  # being checked
    plan_report: Ref | None = None  # of the last check
    thinking: Thinking = Thinking()
    replanning: Replanning = Replanning()
    set_aside: str | None = None  # the question whether it goes on with what this core decides
    stage_failure: Failure | None = None  # why an escalation without a unit was opened
    units: Paged[Unit] = Paged()
    escalations: dict[str, Escalation] = {}
    escalations_opened: int = 0
    escalations_open: int = 0
    escalations_waiting: tuple[str, ...] = ()  # units that wait for a free place
    budget_waiting: tuple[str, ...] = ()  # units whose call waits for money, in the order of their turns
    needs_left: dict[str, int] = {}  # step id -> needs not yet done or skipped
    steps_done: int = 0
    units_busy: int = 0  # units that work without a human: preparing, calling, backoff, undoing, collecting
    units_resting: int = 0  # of these: in a pause that the plan declares, or waiting for a child
    live_calls: Paged[None] = Paged()
    live_timers: tuple[str, ...] = ()
    failing: Failure | None = None  # fail-fast was reached; the process ends once nothing is live
    cancelling: bool = False
    cancel_reason: str | None = None
    output: Ref | None = None
    finished: bool = False
    usd_micros: int = 0
    reserved_usd_micros: int = 0  # held back for the calls that are under way
    tokens: int = 0
    calls: int = 0
    unknown_calls: int = 0
    running_ms: int = 0
    running_since: int | None = None
    closings: int = 0  # units that have closed
    compensating: bool = False  # effects are taken back before it ends
    to_undo: tuple[str, ...] | None = None  # newest first, the one being undone included; None: nothing is yet
    undone: tuple[str, ...] = ()  # in the order of undoing
    left: tuple[str, ...] = ()

    @property
    def may_begin(self) -> bool:
        """Whether steps whose needs are closed may begin: the plan stands, and is approved."""
        return self.plan_approved and self.replanning.failure is None

    @property
    def ending(self) -> bool:
        """Whether fail-fast or a cancel was reached: nothing new begins."""
        return self.cancelling or self.failing is not None

    def facts(self, unit: Unit) -> StepFacts:
        """The step of a unit, as the plan has it; what undoes one is a step of its own."""
        assert self.plan is not None  # only a plan has units
        step = self.plan.steps[unit.place]
        return step if unit.undoes is None else undoing(step)

    def is_map(self, unit: Unit) -> bool:
        """Whether a unit is a mapped step itself, not one of its items nor what undoes one."""
        return unit.whole and self.facts(unit).is_map


class Process(Standing, Fact, frozen=True):  # pyright: ignore[reportGeneralTypeIssues]  a frozen class of unfrozen fields
    """One process. `seq` is the number of its last event and also its `version` in views."""


class Transition(Fact, kw_only=True):
    """What one event led to."""

    state: Process
    commands: tuple[Command, ...] = ()


class Refusal(Fact, kw_only=True):
    """Why an outside event may not enter. `code` is a public error code or NEEDS_HUMAN."""

    code: str
    message: str
    required: Assurance | None = None
    record: Escalation | None = None
