"""Replay: recorded processes decided anew, by this core and by other definitions, without a call. Writes nothing."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from process_orchestrator.checking.documents.model_agents import model_promise
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import EscalationKind, Phase, Stage
from process_orchestrator.core.keys import call_id, owner_of_timer, unit_of_call
from process_orchestrator.core.ports import Bodies, ProcessQuery
from process_orchestrator.hosting.folding import CORE
from process_orchestrator.hosting.turns import decisions_of, digest_of
from process_orchestrator.performing.choice import Standing
from process_orchestrator.usecases.rehearsal import Overlay, Rehearsal
from process_orchestrator.usecases.retold import said
from process_orchestrator.usecases.submitting import find_type
from process_orchestrator.views.replay_view import ReplayDifference, ReplayedProcess, ReplayedRow, ReplayView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from process_orchestrator.checking.documents.definitions import Contract
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.plans.compiled import Compiler
    from process_orchestrator.checking.plans.plan_document import PinnedAgent
    from process_orchestrator.core.facts.specs import StepFacts
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.facts.values import ContractPin
    from process_orchestrator.core.ports import JournalRow
    from process_orchestrator.hosting.folding import Core
    from process_orchestrator.usecases.reading import Reader
    from process_orchestrator.usecases.submitting import Submitter
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.models import Caller

ROWS: Final = 500
PAGE: Final = 100
ANSWERS: Final = (e.CallSucceeded, e.CallFailed, e.CallLost, e.ChildFinished)
STAGES: Final = (e.TaskClassified, e.PlanProposed, e.BriefWritten, e.StageFailed)
"""What a model said, or that it did not: told again to a process whose type or plan was found on the way."""

FROM_OUTSIDE: Final = (*ANSWERS, *STAGES, e.TimerFired, e.EscalationResolved, e.CancelRequested, e.EngineResumed)
"""What is told again; all other events are made anew."""
BY_MODEL: Final = (Stage.INTAKE, Stage.PLAN)
NOW: Final = frozenset({"circuit_open", "rate_limited", "unreachable", "no_model"})
"""Codes of a call that was not prepared because of how its agents stood then: taken as they were."""


class Replayer:
    def __init__(self, workplace: Workplace, reader: Reader, submitter: Submitter, *, core: Core = CORE) -> None:
        self._host, self._registry, self._compiler = workplace.host, workplace.registry, workplace.compiler
        self._reader, self._submitter, self._core = reader, submitter, core

    async def replay(self, ids: Sequence[str], caller: Caller, registry: Registry | None) -> ReplayView:
        """Replay some processes, or all; `registry` holds other definitions than those of this home."""
        names = [(await self._reader.find(each, caller)).spec.process_id for each in ids] or await self._all(caller)
        rows = [await self._one(each, registry or self._registry()) for each in names]
        return ReplayView(processes=rows, differing=sum(each.differs for each in rows))

    async def _all(self, caller: Caller) -> list[str]:
        names: list[str] = []
        cursor: str | None = None
        principal = None if caller.principal == "local" else caller.principal
        while True:
            page = await self._host.processes(ProcessQuery(principal=principal, limit=PAGE, cursor=cursor))
            names += [row.process_id for row in page.items]
            cursor = page.next
            if cursor is None:
                return names

    async def _one(self, process_id: str, registry: Registry) -> ReplayedProcess:
        rows = await self._rows(process_id)
        record = _Record(rows, self._core)
        state = record.state
        name = state.spec.type.name if state.spec.type is not None else None
        found = ReplayedProcess(process_id=process_id, process_type=name, first_row=record.first_row)
        if state.plan is None or name is None:
            return found
        try:
            process_type = find_type(name, registry)
            # A plan that was made for a process stands in no file: it is told again, as it was proposed and checked.
            made = process_type.plan is None
            checked = None if made else self._submitter.checked_type(process_type, registry)
        except RefusedError as refused:
            return found.model_copy(update={"message": refused.message})
        spec = record.spec if checked is None else replace(state.spec, plan=checked.facts, type=checked.pin)
        bodies = Bodies(definitions=() if checked is None else checked.definitions)
        again = _Again(record, Overlay(self._host, bodies), self._compiler)
        await again.tell(e.ProcessStarted(at=rows[0].events[0].at, spec=spec))
        await again.feed()
        differences, undecided = _compared(record.told, again.told, cut=not again.state.finished, ended=state.finished)
        return found.model_copy(update={"differences": differences, "undecided": undecided})

    async def _rows(self, process_id: str) -> list[JournalRow]:
        rows: list[JournalRow] = []
        after = 0
        while True:
            page = await self._host.journal(process_id, after=after, limit=ROWS)
            rows += page.items
            if page.next is None or not page.items:
                return rows
            after = page.items[-1].seq


class _Record:
    """A recorded process, folded by this core: what it decided, and how its agents stood then."""

    def __init__(self, rows: Sequence[JournalRow], core: Core) -> None:
        self.told: list[tuple[str, str]] = []
        self.first_row: ReplayedRow | None = None
        self.outside: list[e.Event] = []
        self.checked: list[e.PlanChecked] = []
        self.digests: dict[str, str] = {}  # of each call that was prepared
        self.agents: dict[str, str] = {}
        self.reserves: dict[str, int | None] = {}
        self.held_back: dict[str, e.CallFailed] = {}
        state: Process | None = None
        for row in rows:
            commands: list[c.Command] = []
            for event in row.events:
                self._note(state, event)
                before, told = state, core.apply(state, event)
                state = told.state
                commands.extend(told.commands)
                self.told.extend(said(before, told))
            if self.first_row is None and digest_of(commands) != row.digest:
                self.first_row = ReplayedRow(
                    seq=row.seq, was=list(row.decisions), would_be=list(decisions_of(commands))
                )
        first = rows[0].events[0]
        assert state is not None and isinstance(first, e.ProcessStarted)  # noqa: PT018 - a process has a row, it begins so
        self.state, self.spec = state, first.spec

    def _note(self, before: Process | None, event: e.Event) -> None:
        if isinstance(event, e.CallPrepared):
            self.digests[event.call], self.agents[event.call] = event.digest, event.agent.name
            self.reserves[event.call] = event.reserve_usd_micros
        if isinstance(event, e.CallFailed) and before is not None:
            unit = before.units.get(unit_of_call(event.call))
            if unit is not None and unit.phase is Phase.PREPARING:
                if event.code in NOW:
                    self.held_back[event.call] = event
                return
        if isinstance(event, e.PlanChecked):
            self.checked.append(event)
        if isinstance(event, FROM_OUTSIDE):
            self.outside.append(event)


class _AsThen:
    """Agents as they stood when a call was prepared: the one that was chosen is there, and alone."""

    def __init__(self) -> None:
        self.chosen: str | None = None
        self.reserve: int | None = None

    def price_usd_micros(
        self,
        bind: Mapping[str, Any],
        contract: Contract,
        *,
        arguments_bytes: int = 0,  # noqa: ARG002 - the port's signature
    ) -> int | None:
        """The contract's own; of a model what was held back then."""
        return contract.price_usd_micros if model_promise(bind) is None else self.reserve

    def standing(self, pinned: PinnedAgent, contract: ContractPin) -> Standing:  # noqa: ARG002 - the port's signature
        return Standing(gone=None if self.chosen in (None, pinned.name) else "was not chosen then")

    def place_wait_ms(self, name: str, process: str) -> int:  # noqa: ARG002 - the port's signature
        return 0


class _Again(Rehearsal):
    """A recorded process under another plan: it hears the recorded answers, as long as it makes the recorded calls."""

    def __init__(self, record: _Record, artifacts: Overlay, compiler: Compiler) -> None:
        self._roster = _AsThen()
        super().__init__(artifacts, compiler, roster=self._roster)
        self._record = record
        self._left = list(record.outside)
        self._checked = list(record.checked)

    async def answer(self, command: c.Command) -> e.Event | None:
        if isinstance(command, c.CheckPlan):
            return self._checked.pop(0) if self._checked else None
        if isinstance(command, c.PrepareCall):
            held_back = self._record.held_back.get(command.call)
            if held_back is not None:
                return held_back
            agents = {agent.name for step in self._plan_steps() if step.id == command.step for agent in step.agents}
            chosen = self._record.agents.get(command.call)
            self._roster.chosen = chosen if chosen in agents else None
            self._roster.reserve = self._record.reserves.get(command.call)
        return await super().answer(command)

    def _plan_steps(self) -> tuple[StepFacts, ...]:
        return self.state.plan.steps if self.state.plan is not None else ()

    async def feed(self) -> None:
        """Tell what is recorded, in its order as far as it fits; a timer that was never recorded fires by itself."""
        while not self.state.finished:
            found = next(((place, fit) for place, each in enumerate(self._left) if (fit := self._fit(each))), None)
            if found is not None:
                del self._left[found[0]]
                await self.tell(found[1])
                continue
            more = self._by_itself()
            if more is None:
                return
            await self.tell(more)

    def _by_itself(self) -> e.Event | None:
        """A timer, where answers are left that it may lead to; else a cancel that was asked for."""
        at = self.state.now
        if self.state.live_timers and any(isinstance(each, ANSWERS) for each in self._left):
            return e.TimerFired(at=at, timer=self.state.live_timers[0])
        cancel = next((each for each in self._left if isinstance(each, e.CancelRequested)), None)
        if cancel is not None:
            self._left.remove(cancel)
        return cancel

    def _fit(self, event: e.Event) -> e.Event | None:
        """A recorded event as it would be told here, if it has anything to answer."""
        match event:
            case e.CallSucceeded() | e.CallFailed() | e.CallLost() | e.ChildFinished():
                return self._answer_fit(event)
            case e.TimerFired():
                owner = self.state.escalations.get(owner_of_timer(event.timer))
                waits = event.timer in self.state.live_timers or event.timer == self.state.thinking.timer
                return event if waits or (owner is not None and owner.open) else None
            case e.EscalationResolved():
                return self._decision_fit(event)
            case e.CancelRequested():
                return event if event is self._left[0] else None
            case e.TaskClassified():
                return event if self.state.stage is Stage.INTAKE else None
            case e.PlanProposed():
                return event if self.state.stage is Stage.PLAN else None
            case e.BriefWritten() | e.StageFailed(stage=Stage.BRIEF):
                return self._brief_fit(event)
            case e.StageFailed():
                return event if self.state.stage is event.stage and event.stage in BY_MODEL else None
            case _:
                return event

    def _answer_fit(self, event: e.CallSucceeded | e.CallFailed | e.CallLost | e.ChildFinished) -> e.Event | None:
        unit = self.state.units.get(unit_of_call(event.call))
        if unit is None or unit.phase not in (Phase.CALLING, Phase.UNDOING):
            return None
        call = call_id(unit.id, unit.call)
        if call not in self.state.live_calls or unit.digest != self._record.digests.get(event.call):
            return None
        return replace(event, call=call)

    def _brief_fit(self, event: e.BriefWritten | e.StageFailed) -> e.Event | None:
        """A paragraph is no decision, but the money that is held back for it comes free with it."""
        asked = self._record.state.escalations.get(event.escalation or "")
        for here in self.state.escalations.values():
            if asked is not None and here.brief_due and (here.unit, here.kind) == (asked.unit, asked.kind):
                return replace(event, escalation=here.id)
        return None

    def _decision_fit(self, event: e.EscalationResolved) -> e.Event | None:
        asked = self._record.state.escalations.get(event.escalation)
        if asked is None:
            return None
        for here in self.state.escalations.values():
            same = (here.unit, here.kind) == (asked.unit, asked.kind)
            bound = asked.kind is EscalationKind.APPROVAL and here.digest != asked.digest
            if here.open and here.package is not None and same and not bound:
                told = replace(event, escalation=here.id, version=None)
                return told if CORE.admit(self.state, told) is None else None
        return None


def _compared(
    was: Sequence[tuple[str, str]], now: Sequence[tuple[str, str]], *, cut: bool, ended: bool
) -> tuple[list[ReplayDifference], bool]:
    """The first difference of each step, and whether something could not be decided."""
    found: list[ReplayDifference] = []
    undecided = False
    for step in dict.fromkeys(step for step, _ in (*was, *now)):
        before = [word for each, word in was if each == step]
        after = [word for each, word in now if each == step]
        pair = next(((a, b) for a, b in zip_longest(before, after) if a != b), None)
        if pair is None:
            continue
        if (pair[1] is None and cut) or (pair[0] is None and not ended):
            undecided = undecided or pair[1] is None
            continue
        found.append(ReplayDifference(step=step, was=pair[0] or "nothing", would_be=pair[1] or "nothing"))
    return found, undecided
