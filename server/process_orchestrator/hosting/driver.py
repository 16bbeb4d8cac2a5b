"""Drives processes: has turns made, writes them, has carried out what they order, resumes after a crash.

One turn = what waits in a process's inbox, the local commands it leads to, their events, one journal row. Memory runs
ahead of the disk; acknowledgements and outward commands wait for the row. How a turn is made is `turn_maker`'s; what
becomes of its orders, `outward`'s; who may ask, `embedded`'s. If a row cannot be written its process is dropped and
folded again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core.errors import EngineError, OrchestratorError, StorageError
from process_orchestrator.core.facts.commands import CancelCall, InvokeAgent, StartChild
from process_orchestrator.core.facts.events import TimerFired
from process_orchestrator.hosting.children import Children
from process_orchestrator.hosting.folding import Folded, fold
from process_orchestrator.hosting.live import Fed, Live, TurnDraft
from process_orchestrator.hosting.outward import Outward
from process_orchestrator.hosting.places import Places
from process_orchestrator.hosting.projection import is_due
from process_orchestrator.hosting.refusals import closing
from process_orchestrator.hosting.rows import turn_write
from process_orchestrator.hosting.setting_aside import adopted, may_be_asked, waits_for
from process_orchestrator.hosting.timers import Stored, Timers
from process_orchestrator.hosting.turn_maker import TurnMaker
from process_orchestrator.hosting.turns import PlanFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.hosting.parts import Parts

IDLE_KEPT: Final = 32
"""Parked processes kept in memory, the newest: a resolve is often followed by a look."""
REVIVE_MS: Final = 1000
"""How long after a failed write its processes are folded again, in milliseconds."""
ASIDE: Final = "aside "
"""Begins the keys in `meta` of processes that were set aside."""
ASIDE_CHARS: Final = 500

_log = logging.getLogger(__name__)


class Driver:
    """All processes of an engine. `tasks` owns everything that runs."""

    def __init__(self, parts: Parts, tasks: asyncio.TaskGroup, *, engine: int) -> None:
        self._parts = parts
        self._core, self._clock = parts.core, parts.clock
        self._drives = parts.performer is not None
        self._tasks = tasks
        self._lives: dict[str, Live] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._loading: dict[str, asyncio.Event] = {}
        self._places = Places(parts.processes_running_max, self._call_up)
        self._timers = Timers(parts.clock, self._stored_timers)
        self._turns = TurnMaker(parts, self._timers, engine=engine)
        self._outward = Outward(parts, tasks, self)
        self._children = Children(parts, tasks, self)
        self._plans = PlanFolder()
        self._closed = False
        self._unbegun: set[str] = set()  # started here, and only waited for a place so far
        self._aside: set[str] = set()
        self.on_change: Callable[[str, Process], None] = _nobody

    # -- what embedded asks for --

    async def recover(self) -> None:
        """Set the timers and queue every process with something to do, oldest first."""
        await self._timers.refill()
        for process in await self._parts.journal.read(lambda view: view.set_aside(), empty={}):
            self._parts.journal.note(f"{ASIDE}{process}", None)
        for process in await self._parts.journal.read(lambda view: view.due_processes(), empty=[]):
            self._places.queue(process)
        self._tasks.create_task(self._timers.run(self._fire))

    async def _stored_timers(self, until: int) -> Stored:
        return await self._parts.journal.read(lambda view: Stored(*view.timers(until)), empty=Stored())

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
            if self._parts.journal.is_new(process):  # as most that are started: a read would be two hops to a thread
                return None
            loading = self._loading[process] = asyncio.Event()
            try:
                folded = await self._parts.journal.read(
                    partial(fold, core=self._core, process=process, compare=True), empty=None
                )
                return None if folded is None else self._keep(process, folded)
            finally:
                del self._loading[process]
                loading.set()

    def begin(self, process: str, request_sha256: str, fed: Fed) -> Live:
        """A process that is in no journal yet; `fed` holds its ProcessStarted."""
        live = self._lives[process] = Live(process, request_sha256=request_sha256)
        live.held = self._drives and not self._places.take(live.process)
        if live.held:
            self._unbegun.add(process)
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

    async def answered(self, live: Live, fed: Fed) -> None:
        """As `feed`, but the caller's task goes on with the turn: one task less from an answer to the next call."""
        live.inbox.append(fed)
        if not live.pumping:
            live.pumping = True
            await self._pump(live)

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
        live.held = self._drives and is_due(folded.state)
        if live.held or folded.state.set_aside is not None:
            live.inherited = process not in self._unbegun and self._turns.left_open(folded.state)
        if live.held:
            self._places.queue(process)
        if folded.drift is not None and may_be_asked(folded.state):
            self.feed(live, Fed(event=replace(folded.drift, at=self._clock.now_ms())))
        self.rest(live)
        return live

    async def _pump(self, live: Live) -> None:
        """Make turns until nothing waits. The caller has set `pumping`."""
        try:
            while (live.inbox or live.locals) and not live.dead:
                draft = await self._turns.make(live)
                if not live.dead:
                    self._write(live, draft)
        except OrchestratorError as error:
            self.set_aside(live, error)
        except Exception as error:  # noqa: BLE001 - a fault sets this one process aside, never the engine
            _log.exception("%s is set aside", live.process)
            self._set_aside(live.process, error)
            self.drop(live, EngineError("ENGINE_UNAVAILABLE", f"{live.process} is set aside: {error!r}"))
        finally:
            live.pumping = False
        if not live.unwritten:  # else it rests, if at all, when the last of them is durable
            self.rest(live)

    def _write(self, live: Live, draft: TurnDraft) -> None:
        """Queue the turn's row; start what need not wait for it."""
        state = draft.after = live.state
        if not draft.events or state is None:
            self._join_last(live, draft)
            return
        try:
            write = turn_write(live, draft, self._plans, partial(self._written, live, draft), partial(_settle, draft))
        except BaseException:
            draft.after = None  # no row will tell it
            raise
        self._parts.journal.append(write)
        if draft.outward and live.process in self._places:
            ordered, draft.outward = draft.outward, []
            for command in ordered:
                if isinstance(command, InvokeAgent) and command.free:
                    self._outward.launch(live, command)
                else:
                    draft.outward.append(command)

    def _join_last(self, live: Live, draft: TurnDraft) -> None:
        """A turn without an event has no row: it is done once all before it is durable."""
        live.unwritten.remove(draft)
        if live.unwritten:
            last = live.unwritten[-1]
            last.settles.extend(draft.settles)
            last.outward.extend(draft.outward)
            last.host.extend(draft.host)
            return
        self._carry_out(live, draft)
        _settle(draft, None)

    def _written(self, live: Live, draft: TurnDraft, error: StorageError | None) -> None:
        """A row is durable, or will never be. Called on the event loop, in the order of the rows."""
        self._parts.artifacts.release(draft.artifacts, durable=error is None)
        if error is not None:
            _settle(draft, error)
            self.drop(live, error, revive=True)
            return
        assert draft.after is not None
        if not live.dead:
            live.unwritten.remove(draft)
            live.durable = draft.after
            if live.process in self._aside:
                self._aside.discard(live.process)
                self._parts.journal.note(f"{ASIDE}{live.process}", None)
            self._carry_out(live, draft)
        if draft.settles:
            _settle(draft, None)
        if adopted(draft.before, draft.after):
            self._go_on_again(live)
        ended = draft.after.finished and (draft.before is None or not draft.before.finished)
        if ended and self._drives and not self._closed:
            self._outward.stop_stages(live)
            self._children.ended(draft.after)
        self.on_change(live.process, draft.after)
        if self._parts.listener is not None:
            self._parts.listener(live.process, draft.after.seq, draft.changed)
        self.rest(live)

    # -- what a durable turn orders --

    def _carry_out(self, live: Live, draft: TurnDraft) -> None:
        for timer, fire_at in draft.timers:
            if fire_at is None:
                self._timers.drop(live.process, timer)
            else:
                self._timers.set(live.process, timer, fire_at)
        if not self._drives or self._closed:
            return
        if draft.outward:
            if self._places.take(live.process):
                for command in draft.outward:
                    self._outward.launch(live, command)
            else:
                live.waiting_outward.extend(draft.outward)
        for command in draft.host:
            if isinstance(command, StartChild):
                self._children.start(command)
            elif isinstance(command, CancelCall) and command.child is not None:
                self._children.cancel(command)
            elif isinstance(command, CancelCall):
                self._outward.cancel(live, command.call)

    async def _fire(self, process: str, timer: str) -> None:
        live = await self.load_or_set_aside(process)
        if live is not None and waits_for(live.state, timer):
            self.feed(live, Fed(event=TimerFired(at=self._clock.now_ms(), timer=timer)))

    # -- going on, parking, dropping --

    def _call_up(self, process: str) -> None:
        if not self._closed:
            self._tasks.create_task(self._go_on(process))

    def _go_on_again(self, live: Live) -> None:
        """A human has taken the decisions of this core: what is outstanding is ordered again."""
        live.held = self._drives and not live.dead
        if live.held and live.process in self._places:
            self._call_up(live.process)
        elif live.held:
            self._places.queue(live.process)

    async def load_or_set_aside(self, process: str) -> Live | None:
        """As `load`; a process whose journal cannot be folded is left alone, and the engine lives on."""
        try:
            return await self.load(process)
        except Exception as error:  # noqa: BLE001 - whatever was done to its rows harms this process alone
            _log.exception("%s is set aside: its journal cannot be read", process)
            self._set_aside(process, error)
            return None

    def set_aside(self, live: Live, error: Exception) -> None:
        """Forget a process that cannot go on, and let the listings say so."""
        self._set_aside(live.process, error)
        self.drop(live, error)

    def _set_aside(self, process: str, error: Exception) -> None:
        """Let the listings say that nothing of it goes on, until it does or the next engine tries again."""
        if self._drives and not self._closed:
            self._aside.add(process)
            self._parts.journal.note(f"{ASIDE}{process}", str(error)[:ASIDE_CHARS])

    async def _go_on(self, process: str) -> None:
        """A queued process has its place now."""
        live = await self.load_or_set_aside(process)
        self._unbegun.discard(process)
        if live is None:
            self._places.leave(process)
            return
        outward, live.waiting_outward = live.waiting_outward, []
        for command in outward:
            self._outward.launch(live, command)
        if live.held:
            self.feed(live, Fed(resume=True))
        self.rest(live)

    def rest(self, live: Live) -> None:
        """Give up the place of a process with nothing on its way; keep only the newest such in memory."""
        if live.dead or not live.idle:
            return
        live.hand_on(None)
        if live.held and live.process in self._places:  # called up: about to go on
            return
        self._places.leave(live.process)
        self._idle[live.process] = None
        self._idle.move_to_end(live.process)
        while len(self._idle) > IDLE_KEPT:
            process, _ = self._idle.popitem(last=False)
            self._lives.pop(process).dead = True  # a call that was given up may still end, and is for nobody then

    def drop(self, live: Live, error: Exception, *, revive: bool = False) -> None:
        """Forget a process whose memory ran ahead of a row that was not written; tell all who wait for it."""
        if live.dead:
            return
        live.dead = True
        del self._lives[live.process]
        self._idle.pop(live.process, None)
        live.hand_on(None)
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
        if revive and self._drives and not self._closed:
            self._tasks.create_task(self._revive(live.process))

    async def _revive(self, process: str) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + REVIVE_MS)
        while self._parts.journal.stalled is not None:
            await self._clock.sleep_until(self._clock.now_ms() + REVIVE_MS)
        self._places.queue(process)


def _nobody(process: str, state: Process) -> None:
    """Nobody listens yet."""


def _settle(draft: TurnDraft, error: Exception | None) -> None:
    for settle in draft.settles:
        settle(error)
    draft.settles.clear()
