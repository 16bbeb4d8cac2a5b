"""Crash points: a reference process of each shape, its engine killed before and after every write of its journal.

A steady person decides by what agents say was done, steady agents do the same to a call every time: whatever the kill,
the process must come to the end of the undisturbed run, with the same deeds.
"""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from faults.catalogue import CHANGING, SHAPES, UNSAFE, Catalogue, catalogue
from faults.disk import Disk
from faults.engines import MEMORY, World, everyone, settled, simulated_engine
from faults.judging import Heard, judge_acknowledged, judge_process
from faults.network import Network, SteadyNetwork
from faults.people import steady
from faults.thinking import GIVEN, MADE_SHAPES, Thinker, wish_of
from faults.virtual_time import StuckError, VirtualClock, run_virtual
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.checking.schemas.validate import encode_body, ref_of
from process_orchestrator.core.facts.specs import Budget, ProcessSpec
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import TypePin
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.ports import Bodies, Body, EscalationQuery, Host
from process_orchestrator.hosting.verification import verify_now

PATIENCE_S: Final = 3600.0


@dataclass(kw_only=True)
class Outcome:
    """What a run came to: to be equal, however often it was killed."""

    status: str = ""
    output: Any = None
    steps: dict[str, str] = field(default_factory=dict[str, str])
    deeds: dict[str, int] = field(default_factory=dict[str, int])  # of calls that change the world, by unit


@dataclass(kw_only=True)
class Run:
    """One run, undisturbed or killed."""

    outcome: Outcome
    commits: int
    asked: Counter[str]  # calls by unit, deliveries included
    wrong: list[str]

    @classmethod
    def told(cls, said: list[Any]) -> "Run":
        """A run of another program, as it told it."""
        outcome, asked, wrong = said
        return cls(outcome=Outcome(**outcome), commits=0, asked=Counter(asked), wrong=wrong)

    @classmethod
    def broken(cls, why: str) -> "Run":
        return cls(outcome=Outcome(), commits=0, asked=Counter(), wrong=[why])


def troubles_of(name: str) -> dict[str, str]:
    """What agents do to which call of a reference process."""
    return MADE_SHAPES[name].troubles if name in MADE_SHAPES else SHAPES[name].troubles


def request(name: str, known: Catalogue | None = None) -> tuple[ProcessSpec, Bodies]:
    """The reference process of a shape."""
    if name in MADE_SHAPES:
        return wish_of(name, GIVEN, limits=Limits(replans=1))
    found, compiled = (known or catalogue()).types[name]
    data = encode_body(SHAPES[name].given)
    ref = ref_of(data)
    spec = ProcessSpec(
        principal="crash points",
        key=name,
        request_sha256=ref.sha256,
        input=ref,
        type=TypePin(name=found.name, version=found.version, sha256=found.source.sha256),
        plan=compiled.facts,
        budget=Budget(calls=found.budget.calls, usd_micros=round(found.budget.usd * 1_000_000)),
        limits=Limits(calls=found.budget.calls),
    )
    return spec, Bodies(artifacts=(Body(ref=ref, data=data),), definitions=compiled.definitions)


class CrashRun:
    """A shape run to its end, over two engines where the first is killed at a commit."""

    def __init__(
        self,
        name: str,
        state: Path,
        *,
        kill_at: tuple[int, str] | None,
        compiler: Compiler,
        known: Catalogue | None = None,
    ) -> None:
        self._name, self._compiler = name, compiler
        self.known = known or catalogue()
        self.network: Network = SteadyNetwork(troubles_of(name))
        self.thinker = Thinker(seed=0, faults=False, made=MADE_SHAPES.get(name))
        self.clock = VirtualClock(random.Random(name))
        self.disk = Disk(state=state, draw=random.Random(name), kill_at=kill_at)
        self.heard = Heard()
        self.run = Run(outcome=Outcome(), commits=0, asked=Counter(), wrong=[])

    async def live(self) -> None:
        """The engine that is killed, if any is, and the one that ends it."""
        if self.disk.kill_at is not None:
            killed = asyncio.Event()
            self.disk.killed = killed.set
            async with self._engine() as (host, _), anyio.create_task_group() as tasks:
                tasks.start_soon(self._to_the_end, host)
                with anyio.fail_after(PATIENCE_S):
                    await killed.wait()
                tasks.cancel_scope.cancel()
            self.disk.kill_at = None
        async with self._engine() as (host, _):
            with anyio.fail_after(PATIENCE_S):
                state = await self._to_the_end(host)
            await self._look(host, state)
        self.run.commits = self.disk.commits

    def acknowledged(self, what: str, *told: str) -> None:
        """Told of everything that the client was told."""

    def _engine(self) -> Any:
        world = World(
            disk=self.disk,
            clock=self.clock,
            agents=self.network.agents(),
            compiler=self._compiler,
            thinker=self.thinker,
        )
        return simulated_engine(world)

    async def _to_the_end(self, host: Host) -> Process:
        """Start the process, answer what it asks, wait for its end."""
        spec, bodies = request(self._name, self.known)
        state = await host.start(spec, bodies)
        self.heard.started.add(state.spec.process_id)
        self.acknowledged("started", state.spec.process_id)
        while not state.finished:
            page = await host.escalations(EscalationQuery(limit=100))
            for row in page.items:
                asking = await host.state(row.process_id)
                escalation = asking.escalations[row.escalation_id]
                if escalation.open:
                    decided = steady(asking, escalation, self.network.deeds)
                    request_id = decided.event.request_id
                    await host.deliver(
                        row.process_id, decided.event, decided.bodies, request_id=request_id, proof=decided.proof
                    )
                    told = (row.process_id, escalation.id, decided.event.decision)
                    self.heard.resolved[request_id] = told
                    self.acknowledged("resolved", request_id, *told)
            state = await host.wait(state.spec.process_id, since=state.seq, timeout_s=0.1)
            state = await host.state(state.spec.process_id)
        return state

    async def _look(self, host: Host, state: Process) -> None:
        run, deeds = self.run, self.network.deeds
        journals = {process: await settled(host, process) for process in await everyone(host)}
        for process, (seen, rows) in journals.items():
            own = [deed for deed in deeds if deed.process == process]
            run.wrong += judge_process(process, rows, seen, own)
        run.wrong += judge_acknowledged(self.heard, {process: rows for process, (_, rows) in journals.items()})
        verified = verify_now(self.disk.state)
        if not verified.ok:
            run.wrong.append(f"verify: {verified.first_bad}")
        # What is naturally idempotent may be done again with the same arguments: that is one deed.
        changed = {each if each.contract == UNSAFE else each._replace(call="") for each in deeds}
        done = Counter(each.unit for each in changed if each.contract in CHANGING)
        run.outcome = Outcome(
            status=state.status.value,
            output=msgspec.json.decode(await host.body(state.output)) if state.output is not None else None,
            steps={unit.id: unit.phase.value for unit in state.units.values()},
            deeds=dict(done),
        )
        for (_, call), times in self.network.asked.items():
            run.asked[call.rpartition(".")[0]] += times


def run_shape(name: str, *, kill_at: tuple[int, str] | None = None, compiler: Compiler | None = None) -> Run:
    """One run of a shape; killed before or after the commit of that number."""
    state = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        crash = CrashRun(name, state, kill_at=kill_at, compiler=compiler or Compiler())
        try:
            run_virtual(crash.live, complain=crash.run.wrong.append)
        except (StuckError, TimeoutError) as error:
            crash.run.wrong.append(f"it stands still: {error!r}")
        return crash.run
    finally:
        shutil.rmtree(state, ignore_errors=True)


@dataclass(kw_only=True)
class Points:
    """What all crash points of a shape came to."""

    name: str
    commits: int = 0
    points: int = 0
    extra_calls: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.commits} writes, {self.points} kills, {self.extra_calls} calls repeated, "
            f"{len(self.wrong)} wrong"
        )


def every_point(name: str) -> Points:
    """Kill at every write, before and after, and compare with the undisturbed run."""
    compiler = Compiler()
    reference = run_shape(name, compiler=compiler)
    found = Points(name=name, commits=reference.commits, wrong=[f"undisturbed: {each}" for each in reference.wrong])
    for number in range(1, reference.commits + 1):
        for moment in ("before", "after"):
            run = run_shape(name, kill_at=(number, moment), compiler=compiler)
            found.points += 1
            found.extra_calls += run.asked.total() - reference.asked.total()
            found.wrong += [f"{name} killed {moment} write {number}: {each}" for each in differences(reference, run)]
    return found


def differences(reference: Run, run: Run) -> list[str]:
    """How a killed run differs from the undisturbed one where it must not."""
    found = list(run.wrong)
    if run.outcome != reference.outcome:
        found.append(f"came to {run.outcome}, undisturbed to {reference.outcome}")
    for unit, times in run.asked.items():
        if times > reference.asked[unit] + 1:
            found.append(f"{unit} was called {times} times, undisturbed {reference.asked[unit]}")
    return found
