"""Carries out what a durable turn orders of the world: calls of agents and models, each in a task, and their cancels.

Whatever becomes of one is fed back as an event. What a call is, is the performer's; when it may begin, `driver`'s.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from process_orchestrator.core.errors import OrchestratorError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.ports import Bodies
from process_orchestrator.hosting.live import Fed, Live, OutwardCommand, Running, no_heartbeat, subject_of
from process_orchestrator.hosting.turn_maker import lost

if TYPE_CHECKING:
    import asyncio

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

    def drop(self, live: Live, error: Exception) -> None: ...


class Outward:
    """The outward commands of all processes. `tasks` owns what runs."""

    def __init__(self, parts: Parts, tasks: asyncio.TaskGroup, drives: Drives) -> None:
        self._performer, self._clock = parts.performer, parts.clock
        self._tasks, self._drives = tasks, drives
        # What this loop takes for one: to have that found out for each call costs as much as the scope itself.
        self._scope = type(anyio.CancelScope())

    def launch(self, live: Live, command: OutwardCommand) -> None:
        subject = subject_of(command)
        running = live.running[subject] = Running(subject, command)
        self._tasks.create_task(self._perform(live, running))

    async def _perform(self, live: Live, running: Running) -> None:
        assert self._performer is not None
        subject, command = running.subject, running.command
        delivery = live.deliveries[subject] = live.deliveries.get(subject, 0) + 1
        fed: Fed | None = None
        with self._scope() as running.scope:
            if running.stopped:
                running.scope.cancel()
            try:
                performed = await self._performer.perform(command, delivery=delivery, heartbeat=no_heartbeat)
                fed = Fed(event=performed.event, bodies=Bodies(artifacts=performed.bodies))
            except OrchestratorError as error:
                self._drives.drop(live, error)
            except Exception:  # noqa: BLE001 - the call boundary: whatever happened, the call may have been sent
                _log.exception("%s: %s failed in the performer", live.process, subject)
        if live.dead:
            return
        if live.running.get(subject) is running:
            del live.running[subject]
            live.deliveries.pop(subject, None)
        if fed is None and isinstance(command, InvokeAgent) and not running.given_up:
            fed = lost(command.call, self._clock)
        if fed is None:
            self._drives.rest(live)
            return
        await self._drives.answered(live, fed)

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
