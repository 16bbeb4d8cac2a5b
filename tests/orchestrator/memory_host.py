"""A host in memory: the real core and the real performer, no disk, no engine, time that jumps to the next timer.

It keeps the `Host` port, so that use cases can be tested without the embedded host. It recovers nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import anyio.lowlevel
import msgspec

from process_orchestrator.core.admit import admit
from process_orchestrator.core.facts.commands import Command, CommandClass, StartTimer
from process_orchestrator.core.facts.events import (
    CancelRequested,
    EscalationResolved,
    Event,
    OutsideEvent,
    ProcessStarted,
    TimerFired,
)
from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Ref, Status
from process_orchestrator.core.ports import (
    Bodies,
    DefinitionBody,
    EscalationQuery,
    EscalationRow,
    JournalRow,
    Page,
    Performed,
    Performer,
    ProcessQuery,
    ProcessRow,
    Proof,
)
from process_orchestrator.core.process import apply
from process_orchestrator.core.status import settled as is_settled
from process_orchestrator.hosting.proofs import Derived
from process_orchestrator.hosting.refusals import key_reused, refused, unknown_process


class JumpingClock:
    """Time that moves only when a timer is waited for, and a little at each look."""

    def __init__(self) -> None:
        self.now = 1_795_000_000_000

    def now_ms(self) -> int:
        self.now += 1
        return self.now

    def jitter(self) -> int:
        return 500

    async def sleep_until(self, at_ms: int) -> None:
        self.now = max(self.now, at_ms)
        await anyio.lowlevel.checkpoint()


class _Kept:
    def __init__(self) -> None:
        self.state: Process | None = None
        self.rows: list[JournalRow] = []
        self.lock = anyio.Lock()
        self.changed = anyio.Event()


class MemoryHost:
    """`Host` and `Artifacts` at once."""

    def __init__(self, clock: JumpingClock, derive: Callable[[Proof], Derived]) -> None:
        self.clock, self._derive = clock, derive
        self.performer: Performer | None = None
        self.tasks: anyio.abc.TaskGroup | None = None
        self._kept: dict[str, _Kept] = {}
        self._bodies: dict[str, bytes] = {}
        self._definitions: dict[str, DefinitionBody] = {}

    @asynccontextmanager
    async def running(self, performer: Performer) -> AsyncGenerator[MemoryHost]:
        self.performer = performer
        async with anyio.create_task_group() as self.tasks:
            yield self
            self.tasks.cancel_scope.cancel()

    # --- the port ------------------------------------------------------------------------------------------------

    async def start(self, spec: ProcessSpec, bodies: Bodies) -> Process:
        name = _process_id(f"{spec.principal}/{spec.key}" if spec.key else f"random {len(self._kept)}")
        if name in self._kept:
            while self._kept[name].state is None:  # its first turn is under way
                await self._kept[name].changed.wait()
            known = await self.state(name)
            if known.spec.request_sha256 != spec.request_sha256:
                raise key_reused(name)
            return known
        self._kept[name] = _Kept()
        self._store(bodies)
        spec = msgspec.structs.replace(spec, process_id=name)
        return await self._feed(name, ProcessStarted(at=self.clock.now_ms(), spec=spec))

    async def deliver(
        self, process_id: str, event: OutsideEvent, bodies: Bodies, *, request_id: str, proof: Proof | None
    ) -> Process:
        state = await self.state(process_id)
        entering: OutsideEvent = msgspec.structs.replace(event, at=self.clock.now_ms())
        if isinstance(entering, EscalationResolved) and proof is not None:
            derived = self._derive(proof)
            entering = msgspec.structs.replace(
                entering, by=derived.by, channel=derived.channel, assurance=derived.assurance
            )
        if isinstance(entering, CancelRequested) and state.finished:
            return state
        self._store(bodies)
        return await self._feed(process_id, entering)

    async def state(self, process_id: str) -> Process:
        kept = self._kept.get(process_id)
        if kept is None or kept.state is None:
            raise unknown_process(process_id)
        # What a journal would give back: the state survives its JSON form.
        return msgspec.json.decode(msgspec.json.encode(kept.state), type=Process)

    async def journal(self, process_id: str, *, after: int, limit: int) -> Page[JournalRow]:
        await self.state(process_id)
        rows = [row for row in self._kept[process_id].rows if row.seq > after]
        return Page(items=tuple(rows[:limit]), next=str(rows[limit - 1].seq) if len(rows) > limit else None)

    async def processes(self, query: ProcessQuery) -> Page[ProcessRow]:
        rows = [_row(kept.state) for kept in reversed(self._kept.values()) if kept.state is not None]
        wanted = [row for row in rows if _matches(row, query)]
        created, _, after = (query.cursor or "").partition(":")
        names = [row.process_id for row in wanted]
        start = names.index(after) + 1 if after in names else 0
        if created and not after:  # from a moment on
            start = sum(row.created_at >= int(created) for row in wanted)
        end = start + query.limit
        last = wanted[end - 1] if len(wanted) > end else None
        more = None if last is None else f"{last.created_at}:{last.process_id}"
        return Page(items=tuple(wanted[start:end]), next=more)

    async def escalations(self, query: EscalationQuery) -> Page[EscalationRow]:
        rows: list[EscalationRow] = []
        for name, kept in self._kept.items():
            if kept.state is None or query.process_id not in (None, name):
                continue
            for each in kept.state.escalations.values():
                status = "open" if each.open else "withdrawn" if each.withdrawn else "resolved"
                if query.status not in ("all", status):
                    continue
                rows.append(
                    EscalationRow(
                        escalation_id=each.id,
                        process_id=name,
                        process_type=kept.state.spec.type.name if kept.state.spec.type else None,
                        step=each.step,
                        kind=each.kind.value,
                        role=each.role,
                        status=status,
                        opened_at=each.opened_at,
                        deadline_at=each.deadline_at,
                    )
                )
        start = int(query.cursor or 0)
        end = start + query.limit
        return Page(items=tuple(rows[start:end]), next=str(end) if len(rows) > end else None)

    async def body(self, ref: Ref) -> bytes:
        return self._bodies[ref.sha256]

    async def definition(self, sha256: str) -> DefinitionBody:
        return self._definitions[sha256]

    async def wait(self, process_id: str, *, since: int, timeout_s: float, settled: bool = False) -> Process:
        kept = self._kept[process_id]
        with anyio.move_on_after(timeout_s):
            while kept.state is not None and (kept.state.seq <= since or (settled and not is_settled(kept.state))):
                await kept.changed.wait()
        return await self.state(process_id)

    # --- driving -------------------------------------------------------------------------------------------------

    async def _feed(self, name: str, event: Event) -> Process:
        """One turn: an event, then every local command's event, then what goes outward."""
        kept = self._kept[name]
        assert self.tasks is not None
        assert self.performer is not None
        async with kept.lock:
            refusal = admit(kept.state, event) if kept.state and isinstance(event, EscalationResolved) else None
            if refusal is not None:
                raise refused(refusal)
            events, waiting, later = list[Event](), [event], list[Command]()
            while waiting:
                each = waiting.pop(0)
                transition = apply(kept.state, each)
                kept.state = transition.state
                events.append(each)
                for command in transition.commands:
                    if command.class_of is CommandClass.LOCAL:
                        waiting.append((await self._performed(command)).event)
                    else:
                        later.append(command)
            assert kept.state is not None
            kept.rows.append(JournalRow(seq=kept.state.seq, at=self.clock.now, events=tuple(events)))
            kept.changed.set()
            kept.changed = anyio.Event()
            for command in later:
                if command.class_of is CommandClass.OUTWARD:
                    self.tasks.start_soon(self._outward, name, command)
                elif isinstance(command, StartTimer) and not command.timer.endswith(("/remind", "/deadline")):
                    # Time jumps to each timer here; a question would be over before anybody could answer it.
                    self.tasks.start_soon(self._timer, name, command)
            return kept.state

    async def _performed(self, command: Command) -> Performed:
        assert self.performer is not None
        performed = await self.performer.perform(command, delivery=1, heartbeat=lambda: None)
        self._store(Bodies(artifacts=performed.bodies, definitions=performed.definitions))
        return performed

    async def _outward(self, name: str, command: Command) -> None:
        await self._feed(name, (await self._performed(command)).event)

    async def _timer(self, name: str, command: StartTimer) -> None:
        await self.clock.sleep_until(command.fire_at)
        await self._feed(name, TimerFired(at=self.clock.now_ms(), timer=command.timer))

    def _store(self, bodies: Bodies) -> None:
        self._bodies.update({body.ref.sha256: body.data for body in bodies.artifacts})
        self._definitions.update({body.sha256: body for body in bodies.definitions})

    # --- for tests -----------------------------------------------------------------------------------------------

    def everything_stored(self) -> bytes:
        return b"\n".join(self._bodies.values())

    async def until(self, process_id: str, *statuses: Status) -> Process:
        """Wait, bounded, until a process has one of these statuses."""
        with anyio.fail_after(5):
            state = await self.state(process_id)
            while state.status not in statuses:
                state = await self.wait(process_id, since=state.seq, timeout_s=5)
            return state


def _process_id(text: str) -> str:
    return "p_" + base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:26]


def _row(state: Process) -> ProcessRow:
    return ProcessRow(
        process_id=state.spec.process_id,
        process_type=state.spec.type.name if state.spec.type else None,
        label=state.spec.label,
        principal=state.spec.principal,
        status=state.status.value,
        why=state.why.value if state.why else None,
        version=state.seq,
        steps_done=state.steps_done,
        steps_total=len(state.plan.steps) if state.plan else 0,
        usd_micros=state.usd_micros,
        input_sha256=state.spec.input.sha256 if state.spec.input else None,
        created_at=state.created_at,
        updated_at=state.updated_at,
    )


def _matches(row: ProcessRow, query: ProcessQuery) -> bool:
    exact = ("status", "process_type", "label", "principal", "input_sha256")
    if any(getattr(query, name) not in (None, getattr(row, name)) for name in exact):
        return False
    return row.process_id.startswith(query.prefix or "") and row.created_at >= (query.since or 0)
