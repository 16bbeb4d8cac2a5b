"""The embedded host: the `Host` port over one journal and one driver, in this program.

Decides who may start and deliver what: derived ids, repeated requests, proofs. Driving is `driver`'s; reading is
`journal_host`'s; being the only engine of a database is `open_host`'s.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import msgspec

from process_orchestrator.core.facts.events import EscalationResolved, ProcessStarted
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.core.status import settled as is_settled
from process_orchestrator.hosting.driver import Driver
from process_orchestrator.hosting.journal_host import JournalHost
from process_orchestrator.hosting.live import Fed, Live
from process_orchestrator.hosting.refusals import key_reused, must_be_storable, refused, unknown_process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from process_orchestrator.core.facts.events import OutsideEvent
    from process_orchestrator.core.facts.specs import ProcessSpec
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.ports import Bodies
    from process_orchestrator.hosting.folding import Derived
    from process_orchestrator.hosting.parts import Parts

ID_BYTES: Final = 16


def process_id_of(digest: bytes) -> str:
    """A process id of 128 bits: `p_` and 26 lower-case base32 characters."""
    return "p_" + base64.b32encode(digest[:ID_BYTES]).decode().lower().rstrip("=")


def random_process_id() -> str:
    """An id for a process without an idempotency key."""
    return process_id_of(secrets.token_bytes(ID_BYTES))


@dataclass(slots=True, eq=False)
class _Watch:
    """One who waits for a process to change. A future and a timer: no task is woken by what it does not wait for."""

    since: int
    settled: bool
    answer: asyncio.Future[Process | None]

    def is_for(self, state: Process) -> bool:
        return state.seq > self.since and (not self.settled or is_settled(state))

    def tell(self, state: Process | None) -> None:
        if not self.answer.done():
            self.answer.set_result(state)


class EmbeddedHost(JournalHost):
    """The `Host` of an engine in this program. Made by `embedded_host`."""

    def __init__(
        self, parts: Parts, driver: Driver, *, home_key: bytes, verify_proof: Callable[[Proof], Derived]
    ) -> None:
        super().__init__(parts.journal, parts.artifacts, parts.core)
        self._written = parts.journal
        self._driver = driver
        self._clock = parts.clock
        self._ids = hmac.new(home_key, digestmod="sha256")  # copied for each: the key is taken in once
        self._verify_proof = verify_proof
        self._watchers: dict[str, set[_Watch]] = {}
        self._loop = asyncio.get_running_loop()  # asked once: each time the operating system is asked for our number
        driver.on_change = self._changed

    async def start(self, spec: ProcessSpec, bodies: Bodies) -> Process:
        """Start a process, or meet the one that this request started before. Returns once it is durable.

        Raises RefusedError KEY_REUSED, BAD_ARGUMENT, StorageError, StorageFullError.
        """
        must_be_storable(msgspec.structs.replace(spec, plan=None))
        await self._written.must_have_room()
        process = self._id_of(spec)
        if spec.key is not None or spec.process_id:
            live = await self._driver.load(process)
            if live is not None:
                if live.request_sha256 != spec.request_sha256:
                    raise key_reused(process)
                return await self._ask(live, Fed())
        event = ProcessStarted(at=self._clock.now_ms(), spec=msgspec.structs.replace(spec, process_id=process))
        answer: asyncio.Future[Process] = self._loop.create_future()
        self._driver.begin(process, spec.request_sha256, Fed(event=event, bodies=bodies, answer=answer))
        return await answer

    def _id_of(self, spec: ProcessSpec) -> str:
        if spec.key is not None:
            named = self._ids.copy()
            named.update(f"{len(spec.principal)}:{spec.principal}:{spec.key}".encode())
            return process_id_of(named.digest())
        return spec.process_id or random_process_id()

    async def deliver(
        self, process_id: str, event: OutsideEvent, bodies: Bodies, *, request_id: str, proof: Proof | None
    ) -> Process:
        """Let a resolution or a cancel enter; returns once it is durable.

        Who decided and how sure that is are derived here, from the proof alone. Raises RefusedError with the core's
        code, BAD_ARGUMENT or UNKNOWN_PROCESS; StorageFullError before anything is let in where nothing can be written.
        """
        must_be_storable(event)
        await self._written.must_have_room()
        live = await self._loaded(process_id)
        if isinstance(event, EscalationResolved):
            proof = proof or Proof(kind=ProofKind.ARGUMENT)
            if proof.kind is ProofKind.PASSPHRASE:  # slow on purpose: in a thread, and the process may be gone after it
                self._must_be_open(live, event)
                derived = await anyio.to_thread.run_sync(self._verify_proof, proof)
                live = await self._loaded(process_id)
            else:
                derived = self._verify_proof(proof)
            entering: OutsideEvent = msgspec.structs.replace(
                event,
                at=self._clock.now_ms(),
                by=derived.by,
                channel=derived.channel,
                assurance=derived.assurance,
                request_id=request_id,
            )
        else:
            entering = msgspec.structs.replace(event, at=self._clock.now_ms(), request_id=request_id)
        return await self._ask(live, Fed(event=entering, bodies=bodies, outside=True))

    async def _loaded(self, process_id: str) -> Live:
        live = await self._driver.load(process_id)
        if live is None:
            raise unknown_process(process_id)
        return live

    def _must_be_open(self, live: Live, event: EscalationResolved) -> None:
        """Refuse what any proof is refused, before one is verified that takes long."""
        if live.durable is None:
            return
        escalation = live.durable.escalations.get(event.escalation)
        repeated = escalation and escalation.resolution and escalation.resolution.request_id == event.request_id
        refusal = None if repeated else self._core.admit(live.durable, event)
        if refusal is not None and refusal.code in ("ALREADY_RESOLVED", "VERSION_CONFLICT", "UNKNOWN_ESCALATION"):
            raise refused(refusal)

    async def state(self, process_id: str) -> Process:
        """The state as far as it is durable. A parked process is folded and not kept."""
        live = self._driver.peek(process_id)
        if live is not None and live.durable is not None:
            return live.durable
        return await super().state(process_id)

    async def wait(self, process_id: str, *, since: int, timeout_s: float, settled: bool = False) -> Process:
        watch = _Watch(since, settled, self._loop.create_future())
        self._watchers.setdefault(process_id, set()).add(watch)
        alarm = self._loop.call_later(timeout_s, watch.tell, None)
        try:
            state = await self.state(process_id)
            if not watch.is_for(state):
                state = await watch.answer or await self.state(process_id)
            return state
        finally:
            alarm.cancel()
            watching = self._watchers[process_id]
            watching.discard(watch)
            if not watching:
                del self._watchers[process_id]

    async def _ask(self, live: Live, fed: Fed) -> Process:
        answer: asyncio.Future[Process] = self._loop.create_future()
        fed.answer = answer
        self._driver.feed(live, fed)
        return await answer

    def _changed(self, process: str, state: Process) -> None:
        for watch in self._watchers.get(process, ()):
            if watch.is_for(state):
                watch.tell(state)


class _ClosingError(Exception):
    """Ends the task group of an engine."""


@asynccontextmanager
async def embedded_host(
    parts: Parts, *, home_key: bytes, verify_proof: Callable[[Proof], Derived]
) -> AsyncGenerator[EmbeddedHost]:
    """Run an engine over an open journal for the life of this context. The caller holds the engine lock."""
    engine = int(await parts.journal.read(lambda view: view.meta("engine"), empty=None) or 0)
    drives = parts.performer is not None
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            driver = Driver(parts, tasks, engine=engine)
            host = EmbeddedHost(parts, driver, home_key=home_key, verify_proof=verify_proof)
            if drives:
                await driver.recover()
            try:
                yield host
            except Exception as error:  # noqa: BLE001 - carried past the task group, which would wrap it
                failure = error
            finally:
                driver.close()
            raise _ClosingError  # noqa: TRY301
    except* _ClosingError:
        pass  # the way to end a task group with its tasks
    if failure is not None:
        raise failure
