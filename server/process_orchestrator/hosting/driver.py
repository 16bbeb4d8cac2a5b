"""Drives processes: makes turns, writes them, carries out what they order, resumes after a crash.

One turn = what waits in a process's inbox, the local commands it leads to, their events, one journal row. Memory runs
ahead of the disk; acknowledgements and outward commands wait for the row. What events mean is the core's; what a call
is, the performer's; who may ask is `embedded`'s. If a row cannot be written its process is dropped and folded again.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from process_orchestrator.core.errors import EngineError, OrchestratorError, RefusedError, StorageError
from process_orchestrator.core.facts.commands import (
    CancelCall,
    Command,
    CommandClass,
    InvokeAgent,
    StartTimer,
    StopTimer,
)
from process_orchestrator.core.facts.events import (
    CallLost,
    EngineResumed,
    EscalationResolved,
    Event,
    OutsideEvent,
    TimerFired,
)
from process_orchestrator.core.limits import PROCESSES_RUNNING_MAX
from process_orchestrator.core.ports import Bodies
from process_orchestrator.hosting.folding import Folded, fold
from process_orchestrator.hosting.live import Answer, Fed, Live, OutwardCommand, Running, TurnDraft, subject_of
from process_orchestrator.hosting.places import Places
from process_orchestrator.hosting.projection import is_due
from process_orchestrator.hosting.refusals import closing, refused
from process_orchestrator.hosting.reissue import reissue, under_way
from process_orchestrator.hosting.rows import turn_write
from process_orchestrator.hosting.timers import Timers
from process_orchestrator.hosting.turns import PlanFolder

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.ports import ChangeListener, Clock, Performer
    from process_orchestrator.hosting.folding import Core
    from process_orchestrator.hosting.journal import Journal
    from process_orchestrator.hosting.stored_artifacts import StoredArtifacts

TURN_EVENTS_MAX: Final = 256
"""Events of one row at most; what is left goes into the next."""
IDLE_KEPT: Final = 32
"""Parked processes kept in memory, the newest: a resolve is often followed by a look."""
REVIVE_MS: Final = 1000
"""How long after a failed write its processes are folded again, in milliseconds."""
KILL_GRACE_S: Final = 2.0
"""How long a cancelled call may take to end, in seconds, before it counts as lost."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a driver is built of. `performer` None: events are written, nothing is carried out."""

    journal: Journal
    artifacts: StoredArtifacts
    performer: Performer | None
    core: Core
    clock: Clock
    listener: ChangeListener | None = None
    processes_running_max: int = PROCESSES_RUNNING_MAX


class Driver:
    """All processes of an engine. `tasks` owns everything that runs."""

    def __init__(self, parts: Parts, tasks: asyncio.TaskGroup, *, engine: int) -> None:
        self._parts = parts
        self._core, self._clock, self._performer = parts.core, parts.clock, parts.performer
        self._tasks = tasks
        self._engine = engine
        self._lives: dict[str, Live] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._loading: dict[str, anyio.Event] = {}
        self._places = Places(parts.processes_running_max, self._call_up)
        self._timers = Timers(parts.clock)
        self._plans = PlanFolder()
        self._closed = False
        self.on_change: Callable[[str, Process], None] = _nobody

    # -- what embedded asks for --

    async def recover(self) -> None:
        """Set the timers and queue every process with something to do, oldest first."""
        for row in await self._parts.journal.read(lambda view: view.timers(), empty=[]):
            self._timers.set(row.process, row.timer, row.fire_at)
        for process in await self._parts.journal.read(lambda view: view.due_processes(), empty=[]):
            self._places.queue(process)
        self._tasks.create_task(self._timers.run(self._fire))

    def peek(self, process: str) -> Live | None:
        """The process if it is in memory."""
        return self._lives.get(process)

    async def load(self, process: str) -> Live | None:
        """The process in memory, folded from its journal if need be; None where there is none.

        Nothing may be awaited between this and feeding it: an idle process may be dropped at any time.
        """
        while True:
            live = self._lives.get(process)
            if live is not None:
                return live
            loading = self._loading.get(process)
            if loading is not None:
                await loading.wait()
                continue
            loading = self._loading[process] = anyio.Event()
            try:
                folded = await self._parts.journal.read(partial(fold, core=self._core, process=process), empty=None)
                return None if folded is None else self._keep(process, folded)
            finally:
                del self._loading[process]
                loading.set()

    def begin(self, process: str, request_sha256: str, fed: Fed) -> Live:
        """A process that is in no journal yet; `fed` holds its ProcessStarted."""
        live = self._lives[process] = Live(process, request_sha256=request_sha256)
        live.held = self._performer is not None and not self._places.take(live.process)
        self.feed(live, fed)
        return live

    def feed(self, live: Live, fed: Fed) -> None:
        """Queue something for the process's next turn. Raises EngineError once the engine is closing."""
        if self._closed:
            raise closing()
        self._idle.pop(live.process, None)
        live.inbox.append(fed)
        if not live.pumping:
            live.pumping = True
            self._tasks.create_task(self._pump(live))

    def close(self) -> None:
        """Order nothing more. Tell all who still wait for a turn that is not yet on its way to the disk."""
        self._closed = True
        for live in self._lives.values():
            for draft in live.unwritten:
                if draft.after is None:
                    _settle(draft, closing())
            for fed in live.inbox:
                if fed.answer is not None and not fed.answer.done():
                    fed.answer.set_exception(closing())

    # -- turns --

    def _keep(self, process: str, folded: Folded) -> Live:
        live = self._lives[process] = Live(process, state=folded.state, durable=folded.state)
        live.request_sha256 = folded.state.spec.request_sha256
        live.deliveries = folded.deliveries
        live.held = self._performer is not None and is_due(folded.state)
        if live.held:
            self._places.queue(process)
        self._rest(live)
        return live

    async def _pump(self, live: Live) -> None:
        """Make turns until nothing waits. The caller has set `pumping`."""
        try:
            while (live.inbox or live.locals) and not live.dead:
                await self._turn(live)
        except OrchestratorError as error:
            self._drop(live, error, revive=False)
        except Exception as error:  # noqa: BLE001 - a fault sets this one process aside, never the engine
            _log.exception("%s is set aside", live.process)
            self._drop(live, EngineError("ENGINE_UNAVAILABLE", f"{live.process} is set aside: {error!r}"), revive=False)
        finally:
            live.pumping = False
        self._rest(live)

    async def _turn(self, live: Live) -> None:
        draft = TurnDraft(live.state)
        live.unwritten.append(draft)
        while (live.locals or live.inbox) and len(draft.events) < TURN_EVENTS_MAX:
            if live.locals:
                await self._perform_local(live, draft, live.locals.popleft())
                if live.dead:
                    return
            else:
                self._take(live, draft, live.inbox.popleft())
        self._write(live, draft)

    async def _perform_local(self, live: Live, draft: TurnDraft, command: Command) -> None:
        assert self._performer is not None
        performed = await self._performer.perform(command, delivery=1, heartbeat=_nothing)
        if not live.dead:
            self._apply(live, draft, performed.event, Bodies(artifacts=performed.bodies))

    def _take(self, live: Live, draft: TurnDraft, fed: Fed) -> None:
        """Let one thing from the inbox into the turn."""
        refusal = None
        if fed.event is not None and not (fed.outside and self._repeated(live, fed.event)):
            if fed.outside and live.state is not None and isinstance(fed.event, OutsideEvent):
                refusal = self._core.admit(live.state, fed.event)
            if refusal is None:
                self._apply(live, draft, fed.event, fed.bodies)
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

    def _apply(self, live: Live, draft: TurnDraft, event: Event, bodies: Bodies) -> None:
        transition = self._core.apply(live.state, event)
        live.state = transition.state
        draft.events.append(event)
        draft.artifacts.extend(bodies.artifacts)
        draft.definitions.extend(bodies.definitions)
        self._parts.artifacts.hold(bodies.artifacts)
        self._parts.artifacts.keep_definitions(bodies.definitions)
        if isinstance(event, TimerFired):
            draft.timers.append((event.timer, None))
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

    def _resume(self, live: Live, draft: TurnDraft) -> None:
        """Reissue what is outstanding. A call that must not be repeated, or was too often, is lost instead."""
        assert live.state is not None
        if not live.held:
            return
        live.held = False
        if under_way(self._core.outstanding(live.state)):
            resumed = EngineResumed(at=self._clock.now_ms(), engine=self._engine)
            self._apply(live, draft, resumed, Bodies())
        again = reissue(
            self._core.outstanding(live.state),
            deliveries=live.deliveries,
            deliveries_max=live.state.spec.limits.deliveries,
        )
        for timer in again.timers:
            self._timers.set(live.process, timer.timer, timer.fire_at)
        ordered = [*draft.outward, *live.locals]
        self._order(live, draft, [command for command in again.orders if command not in ordered])
        live.inbox.extend(self._lost(call) for call in again.lost)

    def _write(self, live: Live, draft: TurnDraft) -> None:
        """Queue the turn's row; start what need not wait for it."""
        state = draft.after = live.state
        if not draft.events or state is None:
            self._join_last(live, draft)
            return
        try:
            write = turn_write(live, draft, self._plans, partial(self._written, live, draft))
        except BaseException:
            draft.after = None  # no row will tell it
            raise
        self._parts.journal.append(write)
        if draft.outward and live.process in self._places:
            free = [command for command in draft.outward if isinstance(command, InvokeAgent) and command.free]
            draft.outward = [command for command in draft.outward if command not in free]
            for command in free:
                self._launch(live, command)

    def _join_last(self, live: Live, draft: TurnDraft) -> None:
        """A turn without an event has no row: it is done once all before it is durable."""
        live.unwritten.remove(draft)
        if live.unwritten:
            last = live.unwritten[-1]
            last.settles.extend(draft.settles)
            last.outward.extend(draft.outward)
            return
        self._carry_out(live, draft)
        _settle(draft, None)

    def _written(self, live: Live, draft: TurnDraft, error: StorageError | None) -> None:
        """A row is durable, or will never be. Called on the event loop, in the order of the rows."""
        self._parts.artifacts.release(draft.artifacts, durable=error is None)
        if error is not None:
            _settle(draft, error)
            self._drop(live, error, revive=True)
            return
        assert draft.after is not None
        if not live.dead:
            live.unwritten.remove(draft)
            live.durable = draft.after
            self._carry_out(live, draft)
        _settle(draft, None)
        self.on_change(live.process, draft.after)
        if self._parts.listener is not None:
            self._parts.listener(live.process, draft.after.seq, draft.changed)
        self._rest(live)

    # -- what a durable turn orders --

    def _carry_out(self, live: Live, draft: TurnDraft) -> None:
        for timer, fire_at in draft.timers:
            if fire_at is None:
                self._timers.drop(live.process, timer)
            else:
                self._timers.set(live.process, timer, fire_at)
        if self._performer is None or self._closed:
            return
        if draft.outward:
            if self._places.take(live.process):
                for command in draft.outward:
                    self._launch(live, command)
            else:
                live.waiting_outward.extend(draft.outward)
        for command in draft.host:
            if isinstance(command, CancelCall):
                self._cancel(live, command.call)

    def _launch(self, live: Live, command: OutwardCommand) -> None:
        running = live.running[subject_of(command)] = Running()
        self._tasks.create_task(self._perform_outward(live, command, running))

    async def _perform_outward(self, live: Live, command: OutwardCommand, running: Running) -> None:
        assert self._performer is not None
        subject = subject_of(command)
        delivery = live.deliveries[subject] = live.deliveries.get(subject, 0) + 1
        fed: Fed | None = None
        with anyio.CancelScope() as running.scope:
            if running.stopped:
                running.scope.cancel()
            try:
                performed = await self._performer.perform(command, delivery=delivery, heartbeat=_nothing)
                fed = Fed(event=performed.event, bodies=Bodies(artifacts=performed.bodies))
            except OrchestratorError as error:
                self._drop(live, error, revive=False)
            except Exception:  # noqa: BLE001 - the call boundary: whatever happened, the call may have been sent
                _log.exception("%s: %s failed in the performer", live.process, subject)
        if live.dead:
            return
        if live.running.get(subject) is running:
            del live.running[subject]
            live.deliveries.pop(subject, None)
        if fed is None and isinstance(command, InvokeAgent) and not running.given_up:
            fed = self._lost(command.call)
        if fed is None:
            self._rest(live)
            return
        live.inbox.append(fed)
        if not live.pumping:
            # This task goes on with the turn: one task less on the way from an answer to the next call.
            live.pumping = True
            await self._pump(live)

    def _lost(self, call: str) -> Fed:
        return Fed(event=CallLost(at=self._clock.now_ms(), call=call, jitter=self._clock.jitter()))

    def _cancel(self, live: Live, call: str) -> None:
        """Cancel a call's task; if it does not end with an event of its own, the call is lost."""
        running = live.running.get(call)
        if running is None:
            live.waiting_outward = [c for c in live.waiting_outward if subject_of(c) != call]
            self.feed(live, self._lost(call))
            return
        running.stop()
        self._tasks.create_task(self._give_up(live, call, running))

    async def _give_up(self, live: Live, call: str, running: Running) -> None:
        """After the kill grace a call whose task hangs is lost; what it may still bring is stale."""
        await self._clock.sleep_until(self._clock.now_ms() + round(KILL_GRACE_S * 1000))
        if not live.dead and live.running.get(call) is running:
            running.given_up = True
            del live.running[call]
            self.feed(live, self._lost(call))

    async def _fire(self, process: str, timer: str) -> None:
        live = await self._load_or_set_aside(process)
        if live is not None:
            self.feed(live, Fed(event=TimerFired(at=self._clock.now_ms(), timer=timer)))

    # -- going on, parking, dropping --

    def _call_up(self, process: str) -> None:
        if not self._closed:
            self._tasks.create_task(self._go_on(process))

    async def _load_or_set_aside(self, process: str) -> Live | None:
        """As `load`; a process whose journal cannot be folded is left alone, and the engine lives on."""
        try:
            return await self.load(process)
        except Exception:  # noqa: BLE001 - whatever was done to its rows harms this process alone
            _log.exception("%s is set aside: its journal cannot be read", process)
            return None

    async def _go_on(self, process: str) -> None:
        """A queued process has its place now."""
        live = await self._load_or_set_aside(process)
        if live is None:
            self._places.leave(process)
            return
        outward, live.waiting_outward = live.waiting_outward, []
        for command in outward:
            self._launch(live, command)
        if live.held:
            self.feed(live, Fed(resume=True))
        self._rest(live)

    def _rest(self, live: Live) -> None:
        """Give up the place of a process with nothing on its way; keep only the newest such in memory."""
        if live.dead or not live.idle or (live.held and live.process in self._places):  # called up: about to go on
            return
        self._places.leave(live.process)
        self._idle[live.process] = None
        self._idle.move_to_end(live.process)
        while len(self._idle) > IDLE_KEPT:
            process, _ = self._idle.popitem(last=False)
            del self._lives[process]

    def _drop(self, live: Live, error: Exception, *, revive: bool) -> None:
        """Forget a process whose memory ran ahead of a row that was not written; tell all who wait for it."""
        if live.dead:
            return
        live.dead = True
        del self._lives[live.process]
        self._idle.pop(live.process, None)
        for running in live.running.values():
            running.stop()
        for draft in live.unwritten:
            if draft.after is None:  # still being made: no row will tell it
                self._parts.artifacts.release(draft.artifacts, durable=False)
                _settle(draft, error)
        for fed in live.inbox:
            if fed.answer is not None and not fed.answer.done():
                fed.answer.set_exception(error)
        self._places.leave(live.process)
        if revive and self._performer is not None and not self._closed:
            self._tasks.create_task(self._revive(live.process))

    async def _revive(self, process: str) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + REVIVE_MS)
        self._places.queue(process)


def _nothing() -> None:
    """The embedded host needs no heartbeat: it sees its own tasks end."""


def _nobody(process: str, state: Process) -> None:
    """Nobody listens yet."""


def _settle(draft: TurnDraft, error: Exception | None) -> None:
    for settle in draft.settles:
        settle(error)
    draft.settles.clear()


def _answer(answer: Answer, draft: TurnDraft, refusal: RefusedError | None, error: Exception | None) -> None:
    """Tell one who waits. What may be shown is the state of the durable turn that settled it."""
    if answer.done():
        return
    failure = error or refusal
    if failure is not None:
        answer.set_exception(failure)
    elif draft.after is not None:
        answer.set_result(draft.after)
