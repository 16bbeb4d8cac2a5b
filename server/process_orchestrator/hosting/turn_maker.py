"""Makes one turn of a process: what waits in its inbox, the local commands that follow, and all their events.

Only memory changes here: writing the turn and carrying out what it orders are `driver`'s and `outward`'s.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.facts.commands import CommandClass, StartTimer, StopTimer
from process_orchestrator.core.facts.events import (
    CallLost,
    EngineResumed,
    EscalationResolved,
    Event,
    OutsideEvent,
    TimerFired,
)
from process_orchestrator.hosting.live import Answer, Fed, Live, TurnDraft, no_heartbeat
from process_orchestrator.hosting.refusals import refused
from process_orchestrator.hosting.reissue import not_among, reissue, under_way
from process_orchestrator.hosting.setting_aside import allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.core.errors import RefusedError
    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.ports import Body, Clock, DefinitionBody
    from process_orchestrator.hosting.parts import Parts
    from process_orchestrator.hosting.timers import Timers

TURN_EVENTS_MAX: Final = 256
"""Events of one row at most; what is left goes into the next."""


class TurnMaker:
    """Makes turns; `engine` is the number of this start of the engine."""

    def __init__(self, parts: Parts, timers: Timers, *, engine: int) -> None:
        self._core, self._clock, self._performer = parts.core, parts.clock, parts.performer
        self._artifacts = parts.artifacts
        self._timers = timers
        self._engine = engine
        self._began_at = parts.clock.now_ms()

    async def make(self, live: Live) -> TurnDraft:
        """One turn, in memory. Where the process is dropped meanwhile, nobody waits for what it returns."""
        draft = TurnDraft(live.state)
        live.unwritten.append(draft)
        while (live.locals or live.inbox) and len(draft.events) < TURN_EVENTS_MAX and not live.dead:
            if live.locals:
                assert self._performer is not None
                performed = await self._performer.perform(live.locals.popleft(), delivery=1, heartbeat=no_heartbeat)
                if not live.dead:
                    self._apply(live, draft, performed.event, performed.bodies, performed.definitions)
            else:
                self._take(live, draft, live.inbox.popleft())
        return draft

    def _take(self, live: Live, draft: TurnDraft, fed: Fed) -> None:
        """Let one thing from the inbox into the turn."""
        refusal = None
        if fed.event is not None and not (fed.outside and self._repeated(live, fed.event)):
            if fed.outside and live.state is not None and isinstance(fed.event, OutsideEvent):
                refusal = self._core.admit(live.state, fed.event)
            if refusal is None:
                self._apply(live, draft, fed.event, fed.bodies.artifacts, fed.bodies.definitions)
        if fed.resume and live.state is not None:
            self._resume(live, draft)
        if fed.answer is not None:
            error = refused(refusal) if refusal is not None else None
            draft.settles.append(partial(_answer, fed.answer, draft, error))

    def _repeated(self, live: Live, event: Event) -> bool:
        """Whether this very request was let in before: its sender did not hear the answer."""
        if isinstance(event, EscalationResolved) and live.state is not None:
            escalation = live.state.escalations.get(event.escalation)
            first = escalation.resolution if escalation else None
            return first is not None and first.request_id == event.request_id
        return live.state is not None and (live.state.cancelling or live.state.finished)

    def _apply(
        self,
        live: Live,
        draft: TurnDraft,
        event: Event,
        artifacts: Sequence[Body] = (),
        definitions: Sequence[DefinitionBody] = (),
    ) -> None:
        transition = self._core.apply(live.state, event)
        live.state = transition.state
        draft.events.append(event)
        if artifacts:
            draft.artifacts.extend(artifacts)
            self._artifacts.hold(artifacts)
        if definitions:
            draft.definitions.extend(definitions)
            self._artifacts.keep_definitions(definitions)
        if isinstance(event, TimerFired):
            draft.timers.append((event.timer, None))
        if transition.commands:
            draft.commands.extend(transition.commands)
            self._order(live, draft, transition.commands)

    def _order(self, live: Live, draft: TurnDraft, commands: Sequence[Command]) -> None:
        """Sort commands by when they are carried out. A held process's own are reissued when it is resumed."""
        for command in commands:
            kind = command.class_of
            if kind is CommandClass.HOST:
                draft.host.append(command)
                if isinstance(command, StartTimer):
                    draft.timers.append((command.timer, command.fire_at))
                elif isinstance(command, StopTimer):
                    draft.timers.append((command.timer, None))
            elif self._performer is None or live.held:
                continue
            elif kind is CommandClass.LOCAL:
                live.locals.append(command)
            else:
                draft.outward.append(command)  # type: ignore[arg-type]

    def left_open(self, state: Process) -> bool:
        """Whether calls or models' work were handed over and not answered."""
        return under_way(self._core.outstanding(state), after_outage=state.now < self._began_at)

    def _resume(self, live: Live, draft: TurnDraft) -> None:
        """Reissue what is outstanding. A call that must not be repeated, or was too often, is lost instead."""
        assert live.state is not None
        if not live.held:
            return
        live.held = False
        if live.inherited and live.state.set_aside is None and self.left_open(live.state):
            live.inherited = False
            resumed = EngineResumed(at=self._clock.now_ms(), engine=self._engine)
            self._apply(live, draft, resumed)
        again = reissue(
            allowed(live.state, self._core.outstanding(live.state)),
            deliveries=live.deliveries,
            deliveries_max=live.state.spec.limits.deliveries,
        )
        for timer in again.timers:
            self._timers.set(live.process, timer.timer, timer.fire_at)
        self._order(live, draft, not_among(again.orders, ordered=[*draft.outward, *live.locals]))
        live.inbox.extend(lost(call, self._clock) for call in again.lost)


def lost(call: str, clock: Clock) -> Fed:
    """A call whose answer will never come."""
    return Fed(event=CallLost(at=clock.now_ms(), call=call, jitter=clock.jitter()))


def _answer(answer: Answer, draft: TurnDraft, refusal: RefusedError | None, error: Exception | None) -> None:
    """Tell one who waits. What may be shown is the state of the durable turn that settled it."""
    if answer.done():
        return
    failure = error or refusal
    if failure is not None:
        answer.set_exception(failure)
    elif draft.after is not None:
        answer.set_result(draft.after)
