"""Values that facts are made of: references, pins, and the closed lists of words.

The enumerations are public interface: each value is the text that stands in the journal, in views and in definition
files. Nothing here knows a body; a `Ref` names one by its hash.
"""

from __future__ import annotations

from enum import StrEnum
from typing import dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=False, gc=False):
    """Root of every fact: immutable, keyword-only, encodable to JSON by msgspec.

    A field that holds its default is not written: rows are short, and a field that a later version adds changes
    neither what an older one wrote nor the digest of a command that does not use it.

    Facts hold only what was there before them, so no fact can be part of a cycle: the garbage collector need not look
    at them.
    """


class Ref(Fact, kw_only=True):
    """A stored body, named by the sha256 of its bytes. `bytes` is its size."""

    sha256: str
    bytes: int
    media_type: str = "application/json"


class ContractPin(Fact, kw_only=True):
    """One exact contract: the version that a process started with, whatever the files say later."""

    name: str
    version: str
    sha256: str


class TypePin(Fact, kw_only=True):
    """One exact process type."""

    name: str
    version: str
    sha256: str


class AgentPin(Fact, kw_only=True):
    """What an agent promised when the process was pinned: `sha256` is over its `serves` block."""

    name: str
    sha256: str


class Effect(StrEnum):
    """What a call does to the world."""

    NONE = "none"  # computes only
    READ = "read"  # looks at the world
    WRITE = "write"  # changes the world; may have an undo
    IRREVERSIBLE = "irreversible"  # changes the world for good


class Idempotency(StrEnum):
    """Whether a call may be sent again while it is unknown what the first one did."""

    UNSAFE = "unsafe"  # a repeat may double the effect
    NATURAL = "natural"  # a repeat changes nothing more
    KEYED = "keyed"  # a repeat under the same key changes nothing more


class Outcome(StrEnum):
    """Whether the effect of a failed call may have happened."""

    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class FailureClass(StrEnum):
    """What kind of failure it is; decides whether it may be retried."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    INVALID_INPUT = "invalid_input"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    NEEDS_HUMAN = "needs_human"
    TIMEOUT = "timeout"
    LOST = "lost"
    CONTRACT = "contract"  # the answer broke its contract


class Blame(StrEnum):
    """Whose fault a failure is."""

    CALLER = "caller"  # the process input
    PLANNER = "planner"  # a binding or expression of the plan
    AGENT = "agent"  # the agent broke its contract or failed undeclared
    CONTRACT = "contract"  # the agent's live definition drifted from the pinned one
    TRANSPORT = "transport"  # the way to the agent
    POLICY = "policy"  # a rule or a human stopped it
    US = "us"  # the orchestrator


class Assurance(StrEnum):
    """How strong the proof is that a human decided. The order of the members is the order of strength."""

    A0 = "A0"  # asserted by a caller
    A1 = "A1"  # elicited by the host application, or typed on a terminal
    A2 = "A2"  # a reviewer's credential
    A3 = "A3"  # a reviewer verified by a passkey over the decision


class ApprovalMode(StrEnum):
    """How much of a process a person approves before it runs."""

    POLICY = "policy"  # as the contracts say
    PLAN = "plan"  # the plan first
    EVERY_STEP = "every_step"  # every call with effects


class StepKind(StrEnum):
    """What closes a step."""

    CALL = "call"
    MAP = "map"
    HUMAN = "human"
    PROCESS = "process"
    WAIT = "wait"


class OnFailure(StrEnum):
    """What follows when a step has failed for good."""

    ESCALATE = "escalate"
    FAIL = "fail"
    SKIP = "skip"
    COMPENSATE = "compensate"


class Phase(StrEnum):
    """Where a unit stands; also the words of `steps[].status`."""

    WAITING = "waiting"  # its needs are not done
    PREPARING = "preparing"  # its arguments are being built and checked
    ASKING = "asking"  # a human must approve this exact call
    CALLING = "calling"  # the agent works
    BACKOFF = "backoff"  # waits for the next try
    ESCALATED = "escalated"  # a human must settle it
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class Status(StrEnum):
    """Where a process stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_HUMAN = "waiting_human"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Why(StrEnum):
    """What a process that has not ended waits for."""

    QUEUE = "queue"
    ENGINE = "engine"
    MODEL = "model"
    AGENT = "agent"
    RETRY = "retry"
    TIMER = "timer"
    RATE_LIMIT = "rate_limit"
    CIRCUIT = "circuit"
    CANCEL = "cancel"
    HUMAN = "human"
    BUDGET = "budget"


class EscalationKind(StrEnum):
    """Why a human is asked."""

    APPROVAL = "approval"
    FAILED = "failed"
    OUTCOME_UNKNOWN = "outcome_unknown"
    TASK = "task"
    PLAN = "plan"
    INTAKE = "intake"
    BUDGET = "budget"
    LOOP = "loop"
    DRIFT = "drift"
    UNDO_FAILED = "undo_failed"


class Decision(StrEnum):
    """What a human may answer."""

    APPROVE = "approve"
    REJECT = "reject"
    ABORT = "abort"
    RETRY = "retry"
    RETRY_WITH_INPUT = "retry_with_input"
    USE_OUTPUT = "use_output"
    USE_AGENT = "use_agent"
    SKIP = "skip"
    ANSWER = "answer"
    CHOOSE_TYPE = "choose_type"
    RAISE_BUDGET = "raise_budget"


class Stage(StrEnum):
    """A part of a process's life that is no call of an agent."""

    INTAKE = "intake"
    PLAN = "plan"
    MAP = "map"
    COLLECT = "collect"
    OUTPUT = "output"
    BRIEF = "brief"


class Tier(StrEnum):
    """Which of the configured models a stage asks."""

    LIGHT = "light"  # intake
    MID = "mid"  # prose of escalations
    STRONG = "strong"  # plans


class Money(Fact, kw_only=True):
    """How a budget stands towards one call that does not fit into it."""

    needed_usd_micros: int
    spent_usd_micros: int
    reserved_usd_micros: int  # held back for calls that are under way
    cap_usd_micros: int

    @property
    def short_usd_micros(self) -> int:
        """What must be added, at least, for the call to fit beside all that is spent and held back."""
        return self.needed_usd_micros + self.spent_usd_micros + self.reserved_usd_micros - self.cap_usd_micros


class Usage(Fact, kw_only=True):
    """What a model or agent billed. `usd_micros` is None where the price is unknown, which is not zero."""

    usd_micros: int | None = None
    tokens: int | None = None
    ms: int = 0
