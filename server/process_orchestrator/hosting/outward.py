"""Carries out what a durable turn orders of the world: calls of agents and models, each in a task, and their cancels.

Whatever becomes of one is fed back as an event. What a call is, is the performer's; when it may begin, `driver`'s.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from process_orchestrator.core.errors import OrchestratorError
from process_orchestrator.core.facts.commands import ClassifyTask, InvokeAgent, ProposePlan, WriteBrief
from process_orchestrator.core.facts.events import StageFailed
from process_orchestrator.core.facts.values import Blame, Stage
from process_orchestrator.core.ports import Bodies
from process_orchestrator.hosting.live import Fed, Live, OutwardCommand, Running, no_heartbeat, subject_of
from process_orchestrator.hosting.turn_maker import lost

if TYPE_CHECKING:
    from process_orchestrator.core.ports import Clock
    from process_orchestrator.hosting.parts import Parts

KILL_GRACE_S: Final = 2.0
"""How long a cancelled call may take to end, in seconds, before it counts as lost."""

_log = logging.getLogger(__name__)


class Drives(Protocol):
    """What the driver does with what comes back."""

    def feed(self, live: Live, fed: Fed) -> None: ...

    async def answered(self, live: Live, fed: Fed) -> None:
        """As `feed`, but the turn is made in the caller's task."""
        ...

    def rest(self, live: Live) -> None: ...

    def set_aside(self, live: Live, error: Exception) -> None:
        """Nothing of a process goes on, and its listing says so: what it needs cannot be read."""
        ...


class Outward:
    """The outward commands of all processes. `tasks` owns what runs."""

    def __init__(self, parts: Parts, tasks: asyncio.TaskGroup, drives: Drives) -> None:
        self._performer, self._clock = parts.performer, parts.clock
        self._tasks, self._drives = tasks, drives
        self._loop = asyncio.get_running_loop()

    def launch(self, live: Live, command: OutwardCommand) -> None:
        subject = subject_of(command)
        running = live.running[subject] = Running(subject, command)
        if not live.hand_on(running):
            self._tasks.create_task(self._carry_out(live, running))

    async def _carry_out(self, live: Live, running: Running) -> None:
        """Perform a command, have the turn made that follows; then what that orders, once it is durable, and so on.

        So a chain of calls is one task and one scope: to make both anew for each costs a twentieth of a step. A call
        that was stopped ends them, and so does one that left something in its task, which is not for the next one.
        """
        task, context = asyncio.current_task(self._loop), contextvars.copy_context()
        assert task is not None
        fed: Fed | None = None
        with anyio.CancelScope() as scope:
            while True:
                fed = None
                running.begin(scope)
                fed = await self._perform(live, running)
                if scope.cancel_called:
                    break
                running.scope = None  # from here on nothing is cancelled: the turn is made
                await self._ended(live, running, fed)
                if live.dead or live.idle or live.following is not None:
                    return
                if task.cancelling() or _changed(context):
                    return
                live.following = self._loop.create_future()
                following = await live.following
                if following is None:
                    return
                running = following
        await self._ended(live, running, fed)

    async def _perform(self, live: Live, running: Running) -> Fed | None:
        """What becomes of a command; None where nobody can say."""
        assert self._performer is not None
        subject, command = running.subject, running.command
        delivery = live.deliveries[subject] = live.deliveries.get(subject, 0) + 1
        try:
            performed = await self._performer.perform(command, delivery=delivery, heartbeat=no_heartbeat)
            bodies = Bodies(artifacts=performed.bodies, definitions=performed.definitions)
            return Fed(event=performed.event, bodies=bodies)
        except OrchestratorError as error:
            self._drives.set_aside(live, error)
        except Exception:  # noqa: BLE001 - the call boundary: whatever happened, the call may have been sent
            _log.exception("%s: %s failed in the performer", live.process, subject)
        return None

    async def _ended(self, live: Live, running: Running, fed: Fed | None) -> None:
        """Feed back what became of a command."""
        if live.dead:
            return
        subject, command = running.subject, running.command
        if live.running.get(subject) is running:
            del live.running[subject]
            live.deliveries.pop(subject, None)
        called = isinstance(command, InvokeAgent)
        if fed is None and not running.given_up and (called or not running.stopped):
            fed = _broken(command, self._clock)
        if fed is None:
            self._drives.rest(live)
            return
        await self._drives.answered(live, fed)

    def stop_stages(self, live: Live) -> None:
        """Ask no model any more for a process that has ended: nobody waits for the answer."""
        for running in live.running.values():
            if not isinstance(running.command, InvokeAgent):
                running.stop()

    def cancel(self, live: Live, call: str) -> None:
        """Cancel a call's task; if it does not end with an event of its own, the call is lost."""
        running = live.running.get(call)
        if running is None:
            live.waiting_outward = [c for c in live.waiting_outward if subject_of(c) != call]
            self._drives.feed(live, lost(call, self._clock))
            return
        running.stop()
        self._tasks.create_task(self._give_up(live, call, running))

    async def _give_up(self, live: Live, call: str, running: Running) -> None:
        """After the kill grace a call whose task hangs is lost; what it may still bring is stale."""
        await self._clock.sleep_until(self._clock.now_ms() + round(KILL_GRACE_S * 1000))
        if not live.dead and live.running.get(call) is running:
            running.given_up = True
            del live.running[call]
            self._drives.feed(live, lost(call, self._clock))


def _broken(command: OutwardCommand, clock: Clock) -> Fed:
    """Our own fault in the midst of a command: the call may have been sent, a stage has given no answer."""
    match command:
        case InvokeAgent(call=call):
            return lost(call, clock)
        case ClassifyTask():
            stage, escalation = Stage.INTAKE, None
        case ProposePlan():
            stage, escalation = Stage.PLAN, None
        case WriteBrief():
            stage, escalation = Stage.BRIEF, command.escalation
    failed = StageFailed(
        at=clock.now_ms(),
        stage=stage,
        code="internal_error",
        blame=Blame.US,
        escalation=escalation,
        message="the engine failed while it asked for this; its log has the reason",
    )
    return Fed(event=failed)


def _changed(before: contextvars.Context) -> bool:
    """Whether a variable was set in this task since then. By identity: how values compare is their owner's affair."""
    now = contextvars.copy_context()
    return len(now) != len(before) or any(var not in before or before[var] is not now[var] for var in now)
