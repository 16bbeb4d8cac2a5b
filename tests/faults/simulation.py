"""One seed: the real core, host and performer in virtual time, in a world that misbehaves; then judgement.

Engines live one after the other over one real database and end by a kill or in peace. Clients start, repeat, give up
and cancel; people decide at random; agents and the disk fail. At last the world calms down: everything must come to an
end, and every law must have held. What is switched on is a `Setting`, so that a failure can be shrunk.
"""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from faults.catalogue import Catalogue, catalogue
from faults.disk import Disk, SimulatedJournal
from faults.engines import MEMORY, World, everyone, settled, simulated_engine
from faults.judging import Heard, judge_acknowledged, judge_process
from faults.network import Network
from faults.people import decide
from faults.thinking import MADE, Thinker, wish_of
from faults.virtual_time import StuckError, VirtualClock, run_virtual
from process_orchestrator.checking.plans.compiled import CompiledContract, Compiler
from process_orchestrator.checking.schemas.validate import encode_body, read_stored, ref_of
from process_orchestrator.core.errors import OrchestratorError, RefusedError
from process_orchestrator.core.facts.events import CancelRequested
from process_orchestrator.core.facts.specs import Budget, ProcessSpec
from process_orchestrator.core.facts.state import Escalation, Process
from process_orchestrator.core.facts.values import ApprovalMode, Phase, TypePin
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.ports import (
    Bodies,
    Body,
    ChangeListener,
    EscalationQuery,
    Host,
    JournalRow,
)
from process_orchestrator.hosting.verification import verify_now

OUTPUT_PROBLEMS: Final = CompiledContract.output_problems
"""Bound early: a fault that is planted there must not blind the judge."""
PLANNED: Final = 0.25
"""Share of the processes whose type, input and plan models find."""
CALM_S: Final = 4 * 3600.0
"""How long all processes may take to end once the world is calm, in virtual seconds."""
HURRY_S: Final = CALM_S / 2
"""When people stop trying and abort."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a world is made of."""

    seed: int
    processes: int = 3
    lives: int = 3  # engines that end before the last, at most
    agents: bool = True  # fail
    disk: bool = True  # fails
    kills: bool = True  # else engines end in peace
    cancels: bool = True
    impatience: bool = True  # clients and people give up waiting and ask again
    duplicates: bool = True
    clock: bool = True  # wall time is set forward and back
    models: bool = True  # some tasks are in words, and models fail
    only: str = ""  # the one shape to draw, if any

    def __str__(self) -> str:
        told = [f"{each.name}={getattr(self, each.name)}" for each in fields(self) if each.name != "seed"]
        plain = [f"{each.name}={each.default}" for each in fields(self) if each.name != "seed"]
        return " ".join(
            [f"seed={self.seed}", *(word for word, usual in zip(told, plain, strict=True) if word != usual)]
        )

    @classmethod
    def read(cls, line: str) -> "Setting":
        """A setting as `str` wrote it."""
        words = dict(word.split("=", 1) for word in line.split())
        usual = {each.name: each.default for each in fields(cls)}
        known: dict[str, Any] = {}
        for name, word in words.items():
            was = usual[name]
            known[name] = word == "True" if isinstance(was, bool) else word if isinstance(was, str) else int(word)
        return cls(**known)


@dataclass(kw_only=True)
class Asked:
    """One wish of a client: a process under its key."""

    number: int
    spec: ProcessSpec
    bodies: Bodies
    cancel: bool
    process: str | None = None  # once acknowledged


@dataclass(kw_only=True)
class Report:
    """What became of a seed."""

    setting: Setting
    wrong: list[str]
    processes: int = 0
    events: int = 0
    kills: int = 0
    disk_failures: int = 0
    deeds: int = 0
    decisions: int = 0
    statuses: dict[str, str] = field(default_factory=dict[str, str])


class Simulation:
    """The world of one setting."""

    def __init__(self, setting: Setting, state: Path, *, compiler: Compiler | None = None) -> None:
        self._setting = setting
        self._catalogue: Catalogue = catalogue()
        self._compiler = compiler or Compiler()
        self._draw = random.Random(f"{setting.seed} world")
        self._clients = random.Random(f"{setting.seed} clients")
        self._people = random.Random(f"{setting.seed} people")
        self.network = Network(seed=setting.seed, faults=setting.agents)
        self.disk = Disk(state=state, draw=random.Random(f"{setting.seed} disk"), fails=setting.disk)
        self.clock = VirtualClock(random.Random(f"{setting.seed} jitter"))
        self.thinker = Thinker(seed=setting.seed, faults=setting.models)
        self.heard = Heard()
        self.report = Report(setting=setting, wrong=[])
        self._wishes = [self._wish(number) for number in range(setting.processes)]
        self._abort = False
        self.hurry_s, self.calm_s = HURRY_S, CALM_S
        self._changed: ChangeListener = nobody

    # -- the run --

    async def run(self) -> None:
        lives = self._draw.randint(0, self._setting.lives)
        for _ in range(lives):
            await self._life(self._draw.random() ** 2 * 3)
        self.network.calm, self.thinker.calm, self.disk.fails = True, True, False
        async with self.engine() as (host, _):
            await self._settle(host)
            await self._judge(host)

    async def _life(self, seconds: float) -> None:
        """An engine among clients, people and faults, until its end."""
        killed = self._setting.kills and self._draw.random() < 0.8
        async with self.engine() as (host, journal), anyio.create_task_group() as tasks:
            for wish in self._wishes:
                tasks.start_soon(self._client, host, wish)
            tasks.start_soon(self._answer_all, host, tasks)
            if self._setting.clock:
                tasks.start_soon(self._set_clocks)
            await anyio.sleep(seconds)
            if killed:
                self.report.kills += 1
                journal.kill()
            self._changed = nobody
            tasks.cancel_scope.cancel()

    async def _settle(self, host: Host) -> None:
        async with anyio.create_task_group() as tasks:
            for wish in self._wishes:
                tasks.start_soon(self._client, host, wish)
            tasks.start_soon(self._answer_all, host, tasks)
            with anyio.move_on_after(self.hurry_s) as hurry:
                await self._all_ended(host)
            if hurry.cancelled_caught:
                self._abort = True
                with anyio.move_on_after(self.calm_s - self.hurry_s):
                    await self._all_ended(host)
            self._changed = nobody
            tasks.cancel_scope.cancel()

    async def _all_ended(self, host: Host) -> None:
        while any(wish.process is None for wish in self._wishes):
            await anyio.sleep(0.1)
        for process in await everyone(host):
            state = await host.state(process)
            while not state.finished:
                state = await host.wait(process, since=state.seq, timeout_s=60)

    def engine(self) -> AbstractAsyncContextManager[tuple[Host, SimulatedJournal]]:
        world = World(
            disk=self.disk,
            clock=self.clock,
            agents=self.network.agents(),
            listener=self._hear,
            processes_running_max=self._draw.choice([2, 100]),
            compiler=self._compiler,
            thinker=self.thinker,
        )
        return simulated_engine(world)

    # -- who is outside --

    def _wish(self, number: int) -> Asked:
        draw = random.Random(f"{self._setting.seed} wish {number}")
        name = self._setting.only or draw.choice(list(self._catalogue.types))
        planned = random.Random(f"{self._setting.seed} planned {number}")  # of its own: kept seeds stay what they were
        if name == MADE or (self._setting.models and not self._setting.only and planned.random() < PLANNED):
            return self._planned(number, planned)
        found, compiled = self._catalogue.types[name]
        given = {
            "n": draw.choice([0, 1, 2, 5, 99]),
            "known": draw.random() < 0.5,
            "list": [draw.randint(0, 5) for _ in range(draw.choice([0, 1, 3, 9]))],
        }
        data = encode_body(given)
        ref = ref_of(data)
        spec = ProcessSpec(
            principal="simulation",
            key=f"{self._setting.seed} {number}",
            request_sha256=ref.sha256,
            input=ref,
            type=TypePin(name=found.name, version=found.version, sha256=found.source.sha256),
            plan=compiled.facts,
            approval=draw.choice([ApprovalMode.POLICY] * 4 + [ApprovalMode.PLAN, ApprovalMode.EVERY_STEP]),
            budget=Budget(calls=found.budget.calls, usd_micros=round(found.budget.usd * 1_000_000)),
            limits=Limits(calls=found.budget.calls, open_escalations=draw.choice([2, 20])),
        )
        bodies = Bodies(artifacts=(Body(ref=ref, data=data),), definitions=compiled.definitions)
        return Asked(number=number, spec=spec, bodies=bodies, cancel=self._setting.cancels and draw.random() < 0.15)

    def _planned(self, number: int, draw: random.Random) -> Asked:
        """A task in words."""
        given = {"n": draw.choice([0, 1, 2, 5]), "known": True, "list": [draw.randint(0, 5) for _ in range(2)]}
        spec, bodies = wish_of(
            f"{self._setting.seed} {number}",
            given,
            usd_micros=draw.choice([1_000_000, 60_000, 8_000]),
            approval=draw.choice([ApprovalMode.POLICY] * 2 + [ApprovalMode.PLAN, ApprovalMode.EVERY_STEP]),
        )
        cancel = self._setting.cancels and draw.random() < 0.15
        return Asked(number=number, spec=spec, bodies=bodies, cancel=cancel)

    async def _client(self, host: Host, wish: Asked) -> None:
        """Start what is wished until it is acknowledged; cancel it if that is wished too."""
        draw = self._clients
        await anyio.sleep(draw.random() * 0.3)
        while wish.process is None:
            await self._start(host, wish)
            await anyio.sleep(draw.random() * 0.1)
        if wish.cancel:
            await anyio.sleep(draw.random() * 0.3)
            await self._cancel(host, wish.process)

    async def _start(self, host: Host, wish: Asked) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(2 if self._setting.duplicates and self._clients.random() < 0.3 else 1):
                tasks.start_soon(self._start_once, host, wish)
            if self._setting.duplicates and self._clients.random() < 0.1 and wish.process is not None:
                tasks.start_soon(self._start_other, host, wish)

    async def _start_once(self, host: Host, wish: Asked) -> None:
        state = await self._patiently(lambda: host.start(wish.spec, wish.bodies))
        if state is None:
            return
        if wish.process not in (None, state.spec.process_id):
            self.report.wrong.append(f"{wish.spec.key} is {wish.process} and {state.spec.process_id}")
        wish.process = state.spec.process_id
        self.heard.started.add(state.spec.process_id)

    async def _start_other(self, host: Host, wish: Asked) -> None:
        """The same key with another body."""
        other = ProcessSpec(principal="simulation", key=wish.spec.key, request_sha256="0" * 64)
        state = await self._patiently(lambda: host.start(other, Bodies()), expected=("KEY_REUSED",))
        if state is not None:
            self.report.wrong.append(f"{wish.spec.key} was let in with another body")

    async def _cancel(self, host: Host, process: str) -> None:
        event = CancelRequested(at=0, by="simulation", reason="a whim", request_id=f"{process} cancel")
        state = await self._patiently(
            lambda: host.deliver(process, event, Bodies(), request_id=event.request_id, proof=None)
        )
        if state is not None and state.cancelling:
            self.heard.cancelled.add(process)

    async def _patiently(self, ask: Callable[[], Any], *, expected: tuple[str, ...] = ()) -> Process | None:
        """The answer, or None where it was refused or not waited for. A refusal that nobody expects is wrong."""
        hasty = self._setting.impatience and self._clients.random() < 0.2
        with anyio.move_on_after(self._clients.random() * 0.05 if hasty else 30):
            try:
                return await ask()
            except RefusedError as refused:
                if refused.code not in expected:
                    self.report.wrong.append(f"refused: {refused}")
            except OrchestratorError as error:
                if self._setting.disk and not self.disk.failures and error.code != "ENGINE_UNAVAILABLE":
                    self.report.wrong.append(f"failed although the disk is well: {error}")
        return None

    def _hear(self, process: str, seq: int, escalations: Sequence[str]) -> None:
        self._changed(process, seq, escalations)

    async def _answer_all(self, host: Host, tasks: TaskGroup) -> None:
        """Answer what is open and whatever opens, each by a person of its own."""
        opened: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def changed(process: str, _seq: int, escalations: Sequence[str]) -> None:
            for escalation in escalations:
                opened.put_nowait((process, escalation))

        self._changed = changed
        cursor: str | None = None
        while True:
            page = await host.escalations(EscalationQuery(limit=100, cursor=cursor))
            for row in page.items:
                opened.put_nowait((row.process_id, row.escalation_id))
            if page.next is None:
                break
            cursor = page.next
        while True:
            tasks.start_soon(self._answer, host, *await opened.get())

    async def _answer(self, host: Host, process: str, escalation: str) -> None:
        """Look at a question now and then, ever more seldom, until it is closed."""
        pause = 0.2
        while True:
            await anyio.sleep(self._people.random() * pause)
            pause = min(pause * 1.5, 600)
            state = await host.state(process)
            found = state.escalations.get(escalation)
            if found is None or not found.open:
                return
            if self._abort or self._people.random() < 0.6:
                await self._decide(host, state, found)

    async def _decide(self, host: Host, state: Process, escalation: Escalation) -> None:
        decided = decide(self._people, state, escalation, abort=self._abort)
        process = state.spec.process_id
        hasty = self._setting.impatience and self._people.random() < 0.1
        with anyio.move_on_after(self._people.random() * 0.03 if hasty else 30):
            try:
                after = await host.deliver(
                    process, decided.event, decided.bodies, request_id=decided.event.request_id, proof=decided.proof
                )
            except OrchestratorError:
                return
            self.report.decisions += 1
            kept = after.escalations[escalation.id].resolution
            if kept is None or kept.request_id != decided.event.request_id:
                self.report.wrong.append(f"{process}: the answer to {escalation.id} was acknowledged as {kept}")
            self.heard.resolved[decided.event.request_id] = (process, escalation.id, decided.event.decision)

    async def _set_clocks(self) -> None:
        while True:
            await anyio.sleep(self._draw.random() * 4)
            self.clock.offset_ms += self._draw.choice([-3_600_000, -1000, 1000, 3_600_000])

    # -- judgement --

    async def _judge(self, host: Host) -> None:
        wrong, journals = self.report.wrong, dict[str, list[JournalRow]]()
        wrong += self.network.wrong
        for process in await everyone(host):
            state, rows = await settled(host, process)
            journals[process] = rows
            self.report.statuses[process] = state.status.value
            self.report.events += state.seq
            if not state.finished:
                phases = {unit.id: unit.phase.value for unit in state.units.values()}
                wrong.append(f"{process} is stuck: {state.status} ({state.why}) {phases}")
            deeds = [deed for deed in self.network.deeds if deed.process == process]
            wrong += judge_process(process, rows, state, deeds)
            wrong += await self._outputs_wrong(host, state)
        wrong += judge_acknowledged(self.heard, journals)
        self.report.processes, self.report.deeds = len(journals), len(self.network.deeds)
        self.report.disk_failures = self.disk.failures
        verified = verify_now(self.disk.state)
        if not verified.ok:
            wrong.append(f"verify: {verified.first_bad}")

    async def _outputs_wrong(self, host: Host, state: Process) -> list[str]:
        """Outputs of closed units that do not keep the contract that was pinned."""
        facts = {each.id: each for each in state.plan.steps} if state.plan is not None else {}
        found: list[str] = []
        for unit in state.units.values():
            pin = facts[unit.step].contract
            if unit.phase is not Phase.DONE or pin is None or unit.output is None or unit.count is not None:
                continue
            contract = self._compiler.contract(await host.definition(pin.sha256))
            value = read_stored(await host.body(unit.output))
            if OUTPUT_PROBLEMS(contract, value):
                found.append(f"{state.spec.process_id}: {unit.id} is done with {value}, against {pin.name}")
        return found


def nobody(_process: str, _seq: int, _escalations: Sequence[str]) -> None:
    """Nobody listens yet."""


def simulate(setting: Setting, *, compiler: Compiler | None = None) -> Report:
    """Live through one setting, in a folder that is gone afterwards."""
    state = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        simulation = Simulation(setting, state, compiler=compiler)
        report = simulation.report
        try:
            run_virtual(simulation.run, complain=report.wrong.append)
        except (StuckError, asyncio.CancelledError) as error:
            report.wrong.append(f"the engine stands still: {error}")
        except Exception as error:  # noqa: BLE001 - whatever breaks, in the engine or its judge, is a finding of this seed
            report.wrong.append(f"the world broke: {error!r}")
        return report
    finally:
        shutil.rmtree(state, ignore_errors=True)


def shrink(failed: Setting, *, fails: Callable[[Setting], bool]) -> Setting:
    """The least of a setting that still fails: fewer processes, fewer engines, fewer kinds of faults."""
    least = failed
    for name in ("agents", "disk", "kills", "cancels", "impatience", "duplicates", "clock", "models"):
        without = replace(least, **{name: False})
        least = without if fails(without) else least
    for name in ("lives", "processes"):
        while getattr(least, name) > (name == "processes"):
            fewer = replace(least, **{name: getattr(least, name) - 1})
            if not fails(fewer):
                break
            least = fewer
    return least
