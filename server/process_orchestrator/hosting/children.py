"""Processes that a process starts: begun under the id that their parent's key gives, their end told, cancels handed on.

A child is a process like any other, in the same engine. Nothing here is kept that a crash could lose: the parent's
outstanding StartChild meets the child again, running or ended, and a StartChild that was not carried out begins it. A
parent that only waits for children has nothing on its way, so it gives its place up and cannot keep them from theirs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from process_orchestrator.core.errors import EngineError, StorageError
from process_orchestrator.core.facts.events import CancelRequested, ChildFinished, ProcessStarted
from process_orchestrator.core.facts.values import Status
from process_orchestrator.hosting.live import Fed
from process_orchestrator.hosting.turns import decode_plan

if TYPE_CHECKING:
    from process_orchestrator.core.facts.commands import CancelCall, StartChild
    from process_orchestrator.core.facts.specs import PlanFacts
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.hosting.live import Live
    from process_orchestrator.hosting.parts import Parts

AGAIN_MS: Final = 1000
"""How long after a failed write a child is begun again, in milliseconds."""
PLANS_KEPT: Final = 64
"""Plans of children that are kept decoded, so that a hundred children of one type share one."""


class Drives(Protocol):
    """What the driver does with processes."""

    async def load_or_set_aside(self, process: str) -> Live | None: ...

    def begin(self, process: str, request_sha256: str, fed: Fed) -> Live: ...

    def feed(self, live: Live, fed: Fed) -> None: ...


class Children:
    """The children of all processes of an engine. `tasks` owns what runs."""

    def __init__(self, parts: Parts, tasks: asyncio.TaskGroup, drives: Drives) -> None:
        self._artifacts, self._clock = parts.artifacts, parts.clock
        self._tasks, self._drives = tasks, drives
        self._known: set[str] = set()  # begun or met by this engine, and not ended
        self._beginning: set[str] = set()
        self._cancelled: set[str] = set()
        self._plans: dict[str, PlanFacts] = {}

    def start(self, command: StartChild) -> None:
        """Begin a child, or meet the one that was begun before. The order is durable."""
        if command.child not in self._known:
            self._known.add(command.child)
            self._beginning.add(command.child)
            self._tasks.create_task(self._start(command))

    def cancel(self, command: CancelCall) -> None:
        """Have a child cancelled; its end is the answer."""
        if command.child is not None:
            self._cancelled.add(command.child)
            if command.child not in self._beginning:
                self._tasks.create_task(self._cancel(command.process, command.call, command.child))

    def ended(self, child: Process) -> None:
        """A process has ended, durably: tell the one that waits for it."""
        self._known.discard(child.spec.process_id)
        self._cancelled.discard(child.spec.process_id)
        if child.spec.parent_call is not None:
            self._tasks.create_task(self._tell(child.spec.lineage[-1], child_finished(child, at=self._clock.now_ms())))

    async def _start(self, command: StartChild) -> None:
        try:
            while not await self._begun(command):
                await self._clock.sleep_until(self._clock.now_ms() + AGAIN_MS)
        except EngineError:  # the engine closes: the next one is ordered the same
            return
        finally:
            self._beginning.discard(command.child)
        if command.child in self._cancelled:
            await self._cancel(command.process, command.call, command.child)

    async def _begun(self, command: StartChild) -> bool:
        """Whether the child is there, durably, or is not to be any more."""
        plan = await self._plan(command.plan)
        child = await self._drives.load_or_set_aside(command.child)
        if child is not None:
            if child.durable is not None and child.durable.finished:
                self.ended(child.durable)
            return True
        if command.child in self._cancelled:
            return True
        answer: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        event = ProcessStarted(at=self._clock.now_ms(), spec=replace(command.spec, plan=plan))
        self._drives.begin(command.child, command.spec.request_sha256, Fed(event=event, answer=answer))
        try:
            await answer
        except StorageError:
            return False
        return True

    async def _plan(self, sha256: str) -> PlanFacts:
        """The plan that was left out of the order."""
        if sha256 not in self._plans:
            self._plans[sha256] = decode_plan((await self._artifacts.definition(sha256)).data)
            while len(self._plans) > PLANS_KEPT:
                del self._plans[next(iter(self._plans))]
        return self._plans[sha256]

    async def _cancel(self, parent: str, call: str, child: str) -> None:
        live = await self._drives.load_or_set_aside(child)
        now = self._clock.now_ms()
        if live is None:  # it was never begun, and will not be
            self._known.discard(child)
            self._cancelled.discard(child)
            await self._tell(parent, ChildFinished(at=now, call=call, status=Status.CANCELLED, code="cancelled"))
        elif live.durable is not None and live.durable.finished:
            self.ended(live.durable)
        else:
            asked = CancelRequested(at=now, by=parent, reason="the process that started it ends", request_id=call)
            self._feed(live, Fed(event=asked, outside=True))

    async def _tell(self, parent: str, event: ChildFinished) -> None:
        live = await self._drives.load_or_set_aside(parent)
        if live is not None:
            self._feed(live, Fed(event=event))

    def _feed(self, live: Live, fed: Fed) -> None:
        try:
            self._drives.feed(live, fed)
        except EngineError:  # the engine closes: the next one finds the same to do
            return


def child_finished(child: Process, *, at: int) -> ChildFinished:
    """What the parent learns of a child that has ended: how, what it gave, what it cost, what it left behind."""
    failing = child.failing
    where = f"its step {failing.step} failed" if failing is not None and failing.step is not None else None
    said = ": ".join(part for part in (where, failing.message if failing is not None else None) if part)
    code = failing.code if failing is not None else None
    return ChildFinished(
        at=at,
        call=child.spec.parent_call or "",
        status=child.status,
        output=child.output,
        code=code if child.status is not Status.CANCELLED else "cancelled",
        class_=failing.class_ if failing is not None else None,
        blame=failing.blame if failing is not None else None,
        message=said[:300] or None,
        usd_micros=child.usd_micros,
        tokens=child.tokens,
        unknown_calls=child.unknown_calls,
        left=child.left,
    )
