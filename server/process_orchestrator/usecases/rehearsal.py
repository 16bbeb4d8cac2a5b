"""A process decided in memory: the real core and the rooms that build arguments, and nobody is called.

Local commands are answered as an engine answers them, from stored bodies and those made here; what is outward stays
open until an answer is told. Nothing is written.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.documents.model_agents import model_promise
from process_orchestrator.checking.pinned.definitions import Pinned
from process_orchestrator.core import orders
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.commands import CommandClass
from process_orchestrator.core.facts.values import Phase, Ref
from process_orchestrator.core.process import apply
from process_orchestrator.performing.body_cache import BodyCache
from process_orchestrator.performing.choice import Standing
from process_orchestrator.performing.collect import Collector
from process_orchestrator.performing.prepare import Preparer
from process_orchestrator.performing.scopes import Scopes
from process_orchestrator.usecases.retold import said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from process_orchestrator.checking.documents.definitions import Contract
    from process_orchestrator.checking.plans.compiled import Compiler
    from process_orchestrator.checking.plans.plan_document import PinnedAgent
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.facts.values import ContractPin
    from process_orchestrator.core.ports import Bodies, Body, DefinitionBody, Host, Performed
    from process_orchestrator.performing.prepare import Roster

CLOSED: Final = (Phase.DONE, Phase.SKIPPED)
NO_PACKAGE: Final = Ref(sha256="", bytes=0)
"""Stands for the evidence of a question that nobody will read."""


class Overlay:
    """The bodies and definitions of a host, and some that it does not have: an `Artifacts`."""

    def __init__(self, host: Host, bodies: Bodies) -> None:
        self._host = host
        self._bodies = {each.ref.sha256: each.data for each in bodies.artifacts}
        self._definitions = {each.sha256: each for each in bodies.definitions}

    async def body(self, ref: Ref) -> bytes:
        own = self._bodies.get(ref.sha256)
        return own if own is not None else await self._host.body(ref)

    async def definition(self, sha256: str) -> DefinitionBody:
        own = self._definitions.get(sha256)
        return own if own is not None else await self._host.definition(sha256)

    def hold(self, bodies: Sequence[Body]) -> None:
        self._bodies |= {each.ref.sha256: each.data for each in bodies}


class _Told:
    """The clock of a rehearsal: it shows when what was told last happened."""

    at = 0

    def now_ms(self) -> int:
        return self.at

    def jitter(self) -> int:
        return 0

    async def sleep_until(self, at_ms: int) -> None:
        self.at = max(self.at, at_ms)


class AllThere:
    """Agents of whom nobody knows how they stand now: each may be called at once."""

    def standing(self, pinned: PinnedAgent, contract: ContractPin) -> Standing:  # noqa: ARG002 - the port's signature
        return Standing()

    def price_usd_micros(
        self,
        bind: Mapping[str, Any],
        contract: Contract,
        *,
        arguments_bytes: int = 0,  # noqa: ARG002 - the port's signature
    ) -> int | None:
        """The contract's own; what a tier costs is not asked here."""
        return None if model_promise(bind) is not None else contract.price_usd_micros

    def place_wait_ms(self, name: str, process: str) -> int:  # noqa: ARG002 - the port's signature
        return 0


class Rehearsal:
    """One process. `state` is where it stands, `told` every decision so far, by step, in order."""

    def __init__(self, artifacts: Overlay, compiler: Compiler, *, roster: Roster | None = None) -> None:
        bodies, pinned = BodyCache(artifacts), Pinned(artifacts, compiler)
        scopes, self._clock, self._artifacts = Scopes(bodies), _Told(), artifacts
        self._preparer = Preparer(
            bodies=bodies, pinned=pinned, scopes=scopes, clock=self._clock, roster=roster or AllThere()
        )
        self._collector = Collector(
            bodies=bodies, pinned=pinned, scopes=scopes, preparer=self._preparer, clock=self._clock
        )
        self._state: Process | None = None
        self.told: list[tuple[str, str]] = []

    @property
    def state(self) -> Process:
        assert self._state is not None  # ProcessStarted is told first
        return self._state

    async def tell(self, event: e.Event) -> None:
        """Apply an event, and carry out the local commands that it leads to."""
        self._clock.at = max(self._clock.at, event.at)
        locals_: deque[c.Command] = deque()
        self._apply(event, locals_)
        while locals_:
            answer = await self.answer(locals_.popleft())
            if answer is not None:
                self._apply(answer, locals_)

    async def known_digest(self, unit: str) -> str | None:
        """The digest of a waiting unit's arguments, where all that they are bound to is known already."""
        state, waiting = self.state, self.state.units[unit]
        step = state.facts(waiting)
        plan = state.plan.steps if state.plan is not None else ()
        bound = [each.id for each in plan if step.id in each.bound_by]
        if step.is_map or any(state.units[each].phase not in CLOSED for each in bound):
            return None
        answer = (await self._preparer.prepare(orders.prepare_call(state, waiting))).event
        return answer.digest if isinstance(answer, e.CallPrepared) else None

    def _apply(self, event: e.Event, locals_: deque[c.Command]) -> None:
        before, transition = self._state, apply(self._state, event)
        self._state = transition.state
        self.told.extend(said(before, transition))
        locals_.extend(each for each in transition.commands if each.class_of is CommandClass.LOCAL)

    async def answer(self, command: c.Command) -> e.Event | None:
        """The event that answers a local command; None where a model would be needed."""
        match command:
            case c.PrepareCall():
                return self._made(await self._preparer.prepare(command))
            case c.OpenMap():
                return self._made(await self._collector.open_map(command))
            case c.CollectItems():
                return self._made(await self._collector.collect(command))
            case c.BuildOutput():
                return self._made(await self._collector.build_output(command))
            case c.OpenEscalation(escalation=escalation):
                return e.EscalationOpened(at=self._clock.at, escalation=escalation, package=NO_PACKAGE)
            case _:
                return None

    def _made(self, performed: Performed) -> e.Event:
        self._artifacts.hold(performed.bodies)
        return performed.event
