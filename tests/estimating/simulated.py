"""Runs of the shipped types on the real engine in virtual time: agents that fail, lists of many lengths, people.

What each run is like is drawn by its number alone; nothing here knows how an estimate is made.
"""

import random
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import anyio

from faults.disk import Disk, SimulatedJournal
from faults.virtual_time import VirtualClock, run_virtual
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Assurance, FailureClass
from process_orchestrator.core.ports import Host, InProcessAgent, InProcessCall, Proof, ProofKind
from process_orchestrator.hosting.embedded import embedded_host
from process_orchestrator.hosting.folding import CORE
from process_orchestrator.hosting.parts import Parts
from process_orchestrator.hosting.proofs import Derived
from process_orchestrator.hosting.stored_artifacts import StoredArtifacts
from process_orchestrator.llm.port import Model, NoModel
from process_orchestrator.orchestrator import Orchestrator, Surroundings
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.performer import LocalPerformer, Thinking
from process_orchestrator.views.estimate_models import EstimateRequest, EstimateView
from process_orchestrator.views.models import Caller, ProcessView, ResolveRequest, SubmitRequest

ROOT: Final = Path(__file__).resolve().parents[2]
HOME_KEY: Final = b"estimated" * 4
PERSON_S: Final = (300, 40_000)
LOOKS_MAX: Final = 60
CALLER: Final = Caller(channel="cli")

Json = Any


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A shipped type: what goes in, and what its agents answer. Both are told the number of the run."""

    process_type: str
    given: Callable[[int], Json]
    answer: Callable[[str, dict[str, Json], int], Json]
    model: Callable[[], Model] = NoModel
    slow_s: float = 0.4


@dataclass(kw_only=True)
class World:
    """Agents, people and their moods. `now` is the number of the run that goes on: one at a time."""

    kind: Kind
    seed: int
    now: int = 0
    asked: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    async def work(self, arguments: dict[str, Json], told: InProcessCall) -> Json:
        """One call: it takes its time, and fails now and then."""
        draw = random.Random(f"{self.seed} {self.now} {told.call}")
        await anyio.sleep(draw.lognormvariate(0, 0.6) * self.kind.slow_s)
        roll = draw.random()
        if roll < 0.03:
            raise AgentCallError("unreachable", "nobody listens")
        if roll < 0.05:
            raise AgentCallError("undeclared_error", "503", class_=FailureClass.TRANSIENT)
        if roll < 0.06:
            raise AgentCallError("undeclared_error", "a fault of its own")
        return self.kind.answer(told.contract.partition("@")[0], arguments, self.now)

    async def decide(self, orchestrator: Orchestrator, view: ProcessView) -> None:
        """A person answers the first open question, some time later."""
        draw = random.Random(f"{self.seed} {self.now} person {len(view.escalations)} {view.version}")
        await anyio.sleep(draw.randint(*PERSON_S))
        question = await orchestrator.escalation(view.escalations[0].escalation_id, caller=CALLER)
        offered = [option.decision for option in question.options]
        wanted = draw.choices(["approve", "answer", "retry", "skip", "reject", "abort"], [60, 60, 30, 5, 5, 5])
        decision = next(
            (word for word in [*wanted, "approve", "answer", "retry", "abort"] if word in offered), offered[-1]
        )
        data = self.kind.answer(question.step or "", {}, self.now) if decision == "answer" else None
        proof = Proof(kind=ProofKind.TERMINAL)
        request = ResolveRequest(escalation_id=question.escalation_id, decision=decision, data=data)
        await orchestrator.resolve(request, proof=proof, caller=CALLER)


def believe(_: Proof) -> Derived:
    """Everybody is who they say: what a proof is worth is not tested here."""
    return Derived(by="ana", channel="cli", assurance=Assurance.A3)


@cache
def shipped() -> Registry:
    """The definitions of this repository."""
    return load_home(ROOT)


@asynccontextmanager
async def engine(registry: Registry, world: World, state: Path) -> AsyncGenerator[tuple[Orchestrator, Host]]:
    """The real parts in virtual time, over a database without a disk's slowness."""
    clock, compiler = VirtualClock(random.Random(f"{world.seed} jitter")), Compiler()
    agents: dict[str, InProcessAgent] = {
        agent.name: world.work for agent in registry.agents if agent.transport.kind != "human"
    }
    disk = Disk(state=state, draw=random.Random(f"{world.seed} disk"))
    model = world.kind.model()
    async with SimulatedJournal(disk) as journal:
        artifacts = StoredArtifacts(journal)
        pool = AgentPool(lambda: registry, state_dir=state, home=ROOT, clock=clock, in_process=agents)
        async with pool:
            performer = LocalPerformer(
                artifacts, compiler, pool, clock, thinking=Thinking(model=model, registry=lambda: registry)
            )
            parts = Parts(journal=journal, artifacts=artifacts, performer=performer, core=CORE, clock=clock)
            host = embedded_host(parts, home_key=HOME_KEY, verify_proof=believe)
            async with host as opened:
                surroundings = Surroundings(model=model)
                yield Orchestrator(opened, lambda: registry, compiler, surroundings=surroundings), opened


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was said of a run before it was submitted, and how it ended."""

    said: EstimateView
    ended: ProcessView
    asked_person: bool
    running_ms: int


async def runs(orchestrator: Orchestrator, host: Host, world: World, number: int) -> list[Outcome]:
    """So many runs, one after the other, each estimated, submitted and carried to its end."""
    found: list[Outcome] = []
    for world.now in range(number):
        asked = {"process_type": world.kind.process_type, "input": world.kind.given(world.now)}
        said = await orchestrator.estimate(EstimateRequest.model_validate(asked), caller=CALLER)
        view = await orchestrator.submit(SubmitRequest.model_validate({**asked, "wait_s": 25}), caller=CALLER)
        for _ in range(LOOKS_MAX):
            if view.status in {"completed", "failed", "cancelled"}:
                break
            if view.status == "waiting_human" and view.escalations:
                await world.decide(orchestrator, view)
            view = await orchestrator.state(view.process_id, wait_s=25, caller=CALLER)
        else:
            raise AssertionError(f"run {world.now} does not end: {view.status} {view.why} {view.escalations}")
        state = await host.state(view.process_id)
        person = state.escalations_opened > 0
        found.append(Outcome(said=said, ended=view, asked_person=person, running_ms=state.running_ms))
    return found


def simulated(
    kind: Kind, work: Callable[[Orchestrator, World, Host], Any], *, seed: int = 1, registry: Registry | None = None
) -> Any:
    """Run `work` with an engine of a kind over the shipped definitions, or others, in virtual time."""
    state = Path(tempfile.mkdtemp(prefix="estimating-"))
    complaints: list[str] = []

    async def main() -> Any:
        world = World(kind=kind, seed=seed)
        async with engine(registry or shipped(), world, state) as (orchestrator, host):
            return await work(orchestrator, world, host)

    try:
        found = run_virtual(main, complain=complaints.append)
    finally:
        shutil.rmtree(state, ignore_errors=True)
    assert complaints == []
    return found
