"""Ports: what the rooms above the core must offer each other. Shapes only.

The performer is the data plane, shared by all hosts. The host makes events durable and carries commands to the
performer. The orchestrator sees only `Host`, which returns core state and journal rows, never rendered views.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from process_orchestrator.core.facts.commands import Command
from process_orchestrator.core.facts.events import Event, OutsideEvent
from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Fact, Ref

T = TypeVar("T")


class Body(Fact, kw_only=True):
    """A body and its name."""

    ref: Ref
    data: bytes


class DefinitionBody(Fact, kw_only=True):
    """A pinned definition. `kind` is contract, process, agent, plan (a compiled plan document) or plan_facts."""

    sha256: str
    kind: str
    name: str
    version: str
    data: bytes


class Bodies(Fact, kw_only=True):
    """What must be stored in the same transaction as the event that names it."""

    artifacts: tuple[Body, ...] = ()
    definitions: tuple[DefinitionBody, ...] = ()


class Performed(Fact, kw_only=True):
    """The answer to a command: one event and the bodies it names."""

    event: Event
    bodies: tuple[Body, ...] = ()
    definitions: tuple[DefinitionBody, ...] = ()  # what a plan or type that was found on the way pins


class Performer(Protocol):
    """Carries out local and outward commands. Business failures are events, never exceptions."""

    async def perform(self, command: Command, *, delivery: int, heartbeat: Callable[[], None]) -> Performed: ...


class Artifacts(Protocol):
    """Reads stored bodies and pinned definitions by sha256. Given to the performer by `assemble`."""

    async def body(self, ref: Ref) -> bytes: ...

    async def definition(self, sha256: str) -> DefinitionBody: ...


class Clock(Protocol):
    """Wall time and waiting, so that a simulation can own both."""

    def now_ms(self) -> int: ...

    def jitter(self) -> int:
        """A number from 0 to 999."""
        ...

    async def sleep_until(self, at_ms: int) -> None: ...


class ProofKind(StrEnum):
    """How a human's decision reached us. The engine derives the assurance; a door never states it."""

    ARGUMENT = "argument"  # a tool argument or a non-interactive command: A0
    ELICITATION = "elicitation"  # accepted in a form of the host application: A1
    TERMINAL = "terminal"  # typed on a terminal, no credential: A1
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a secret: a reviewer's name and passphrase, A2


class Proof(Fact, kw_only=True):
    """Travels with a resolution; the secret never reaches the journal."""

    kind: ProofKind
    principal: str = "local"
    reviewer: str | None = None
    secret: str | None = None


class JournalRow(Fact, kw_only=True):
    """One turn: its events in order, the decisions that followed in short form, a digest of the full commands.

    `seq` is the seq of the last event of the row; the first event of the row has `seq - len(events) + 1`.
    """

    seq: int
    at: int
    events: tuple[Event, ...]
    decisions: tuple[str, ...] = ()
    digest: str = ""


class Page(Fact, Generic[T], kw_only=True):
    """One page of a listing; `next` is the cursor of the following one, if any."""

    items: tuple[T, ...]
    next: str | None = None


class ProcessRow(Fact, kw_only=True):
    """A process in a listing."""

    process_id: str
    process_type: str | None
    label: str | None
    principal: str
    status: str
    why: str | None
    version: int
    steps_done: int
    steps_total: int
    usd_micros: int
    input_sha256: str | None
    created_at: int
    updated_at: int
    set_aside: bool = False  # its engine met a fault with it, and does nothing for it until the next start


class EscalationRow(Fact, kw_only=True):
    """An escalation in a listing; the whole of it is in the process's state."""

    escalation_id: str
    process_id: str
    process_type: str | None
    step: str | None
    kind: str
    role: str
    status: str  # open | resolved | withdrawn
    opened_at: int
    deadline_at: int | None


class ProcessQuery(Fact, kw_only=True):
    """Filters of a process listing, newest first. `limit` at most 100. `since` is epoch ms of created_at."""

    status: str | None = None
    process_type: str | None = None
    label: str | None = None
    principal: str | None = None
    input_sha256: str | None = None
    since: int | None = None
    prefix: str | None = None  # of the process id
    limit: int = 20
    cursor: str | None = None


class EscalationQuery(Fact, kw_only=True):
    """Filters of an escalation listing; open ones first by deadline, then newest first. status: open|resolved|all."""

    status: str = "open"
    process_id: str | None = None
    role: str | None = None
    limit: int = 20
    cursor: str | None = None


class Host(Protocol):
    """What drives processes. Raises `RefusedError` and `EngineError` only."""

    async def start(self, spec: ProcessSpec, bodies: Bodies) -> Process:
        """Start a process; idempotent where `spec.key` is set. Returns once it is durable. KEY_REUSED."""
        ...

    async def deliver(
        self, process_id: str, event: OutsideEvent, bodies: Bodies, *, request_id: str, proof: Proof | None
    ) -> Process:
        """Let an outside event enter; a request_id seen before gets its first answer.

        Raises RefusedError with the code of the core's refusal (ALREADY_RESOLVED with the record, VERSION_CONFLICT,
        DECISION_NOT_ALLOWED, INPUT_MISMATCH, NEEDS_HUMAN with `details["required"]`), or UNKNOWN_PROCESS.
        """
        ...

    async def state(self, process_id: str) -> Process: ...

    async def journal(self, process_id: str, *, after: int, limit: int) -> Page[JournalRow]:
        """Rows whose seq is over `after`, oldest first, at most `limit` rows."""
        ...

    async def processes(self, query: ProcessQuery) -> Page[ProcessRow]: ...

    async def escalations(self, query: EscalationQuery) -> Page[EscalationRow]: ...

    async def body(self, ref: Ref) -> bytes: ...

    async def definition(self, sha256: str) -> DefinitionBody: ...

    async def wait(self, process_id: str, *, since: int, timeout_s: float, settled: bool = False) -> Process:
        """The state as soon as its seq is over `since`, or as it stands after `timeout_s`.

        `settled`: only once it has ended or waits for a human, whatever happens on the way.
        """
        ...


class AgentHealth(Fact, kw_only=True):
    """How one agent stands, as far as the calls of this engine have shown. Counts are of the engine's life."""

    agent: str = ""
    kind: str = ""
    health: str  # idle | up | down
    circuit: str = "closed"  # closed | half_open | open
    waiting: int = 0  # calls that wait for a place
    calls: int = 0
    failures: int = 0
    pid: int | None = None
    last_error: str | None = None
    pin: str | None = None  # how what it offers stands to its pins: a verdict and what it is about; None: not compared


class Bill(Fact, kw_only=True):
    """What one call of an agent cost; `open`: it has no answer yet, this is its worst case."""

    agent: str
    slot: str  # process and call
    usd_micros: int
    open: bool = False


BillsSince = Callable[[int], Awaitable[tuple[Bill, ...]]]
"""The bills of all calls since a moment in epoch ms, as the journal has them."""


class PrecedentQuery(Fact, kw_only=True):
    """What a question is about that is to be opened: earlier ones about the same are asked for."""

    process: str
    escalation: str
    contract: str  # its name, whatever the version
    kind: str
    code: str | None = None


class Precedent(Fact, kw_only=True):
    """How an earlier question about the same contract, kind and failure was decided."""

    escalation: str
    kind: str
    code: str | None = None
    decision: str
    by: str
    channel: str
    assurance: str
    at: int


PrecedentsOf = Callable[[PrecedentQuery], Awaitable[tuple[Precedent, ...]]]
"""Earlier decisions of the same principal, the newest first, a handful."""


class InProcessCall(Fact, kw_only=True):
    """What an in-process agent (tests, benchmark) learns of its call."""

    process: str
    call: str
    contract: str
    key: str


InProcessAgent = Callable[[dict[str, Any], InProcessCall], Awaitable[Any]]
"""An agent that is a coroutine function: arguments in, any JSON value out. May raise AgentCallError.

Calls of one process may share a task: what an agent keeps by task (a session, a scope, a handle to cancel it by) must
be given up when its call ends.
"""

ChangeListener = Callable[[str, int, Sequence[str]], None]
"""Told of every committed change: process id, new seq, ids of escalations that changed. Must not block."""
