"""A process in memory, and one turn of it while it is being made. Data of `driver`, which alone changes it.

What is made for every turn is a msgspec struct, which takes half the time of a dataclass.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from process_orchestrator.core.facts.commands import ClassifyTask, InvokeAgent, ProposePlan, WriteBrief
from process_orchestrator.core.ports import Bodies
from process_orchestrator.hosting.writer import Lane

if TYPE_CHECKING:
    import anyio

    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.events import Event
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.ports import Body, DefinitionBody

Answer: TypeAlias = "asyncio.Future[Process]"
OutwardCommand: TypeAlias = InvokeAgent | ClassifyTask | ProposePlan | WriteBrief
Settle: TypeAlias = Callable[[Exception | None], None]
"""Called once a turn is durable, or with the reason why it will never be."""
NO_BODIES = Bodies()


class Fed(msgspec.Struct, kw_only=True, eq=False):
    """Something for a process's next turn: an event, or with none a wish to hear when all before it is durable."""

    event: Event | None = None
    bodies: Bodies = NO_BODIES
    answer: Answer | None = None
    outside: bool = False  # must be admitted first
    resume: bool = False  # reissue what is outstanding


class Running(msgspec.Struct, eq=False):
    """An outward command that was handed to a task. `scope` is there while the task performs it."""

    subject: str
    command: OutwardCommand
    scope: anyio.CancelScope | None = None
    stopped: bool = False
    given_up: bool = False  # its call counts as lost already

    def begin(self, scope: anyio.CancelScope) -> None:
        """Its task has come to it."""
        self.scope = scope
        if self.stopped:
            scope.cancel()

    def stop(self) -> None:
        self.stopped = True
        if self.scope is not None:
            self.scope.cancel()


@dataclass(slots=True, eq=False)
class Live:
    """A process in memory. `state` runs ahead; `durable` is what has been committed and may be shown."""

    process: str
    state: Process | None = None
    durable: Process | None = None
    request_sha256: str = ""
    lane: Lane = field(default_factory=Lane)
    inbox: deque[Fed] = field(default_factory=deque)
    locals: deque[Command] = field(default_factory=deque)
    waiting_outward: list[OutwardCommand] = field(default_factory=list)  # durable, wait for a place
    running: dict[str, Running] = field(default_factory=dict)  # outward commands in the performer
    deliveries: dict[str, int] = field(default_factory=dict)
    following: asyncio.Future[Running | None] | None = None  # a task that has done its command waits for the next
    unwritten: list[TurnDraft] = field(default_factory=list)  # turns made but not durable, oldest first
    pumping: bool = False
    held: bool = False  # started, but nothing done yet for want of a place
    inherited: bool = False  # somebody before us had begun what is outstanding, and nobody heard the answer
    dead: bool = False  # dropped from memory; whatever still comes for it is for nobody

    @property
    def idle(self) -> bool:
        """Nothing is on its way: it may be dropped, and folded again when something happens."""
        return not (self.pumping or self.inbox or self.locals or self.waiting_outward or self.running or self.unwritten)

    def hand_on(self, running: Running | None) -> bool:
        """Whether a task waited that takes a command over. With None nothing follows: the task may end."""
        following, self.following = self.following, None
        if following is None or following.done():
            return False
        following.set_result(running)
        return True


class TurnDraft(msgspec.Struct, eq=False):
    """A turn that is being made: what happened, what followed, and who waits for it to be durable."""

    before: Process | None
    events: list[Event] = msgspec.field(default_factory=list)
    commands: list[Command] = msgspec.field(default_factory=list)
    outward: list[OutwardCommand] = msgspec.field(default_factory=list)
    host: list[Command] = msgspec.field(default_factory=list)
    timers: list[tuple[str, int | None]] = msgspec.field(default_factory=list)
    artifacts: list[Body] = msgspec.field(default_factory=list)
    definitions: list[DefinitionBody] = msgspec.field(default_factory=list)
    settles: list[Settle] = msgspec.field(default_factory=list)
    after: Process | None = None
    changed: tuple[str, ...] = ()  # ids of escalations


def subject_of(command: OutwardCommand) -> str:
    """What an outward command is about, unique among the live ones of a process."""
    match command:
        case InvokeAgent(call=call):
            return call
        case WriteBrief(escalation=escalation):
            return f"brief {escalation}"
        case ClassifyTask():
            return "intake"
        case ProposePlan():
            return "plan"


def no_heartbeat() -> None:
    """The embedded host needs no heartbeat: it sees its own tasks end."""
