"""The support desk of `desk` with agents that run in process, on the real core and the real performer.

A process of it is started as one whose type has no fixed plan; what the planning model says is the test's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from orchestrator.memory_host import JumpingClock, MemoryHost
from planning.desk import contracts, ticket
from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compile import type_pin
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.checking.plans.sub_process import budget_of, limits_of
from process_orchestrator.checking.schemas.validate import encode_body, ref_of
from process_orchestrator.core.facts.events import CallPrepared
from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Status, Tier
from process_orchestrator.core.ports import Bodies, Body, InProcessCall
from process_orchestrator.hosting.proofs import derive
from process_orchestrator.hosting.reviewers import Cost, Reviewers
from process_orchestrator.llm.port import Answer, Model, Prompt, Spending, TierFacts
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.performer import LocalPerformer, Thinking

Json = Any

TASK: Final = "My order A-7 never came. I want my money back."
INPUT: Final[dict[str, Json]] = {"text": TASK, "order_id": "A-7"}
SETTLED: Final = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.WAITING_HUMAN)

ORDER: Final[dict[str, Json]] = {
    "order_id": "A-7",
    "total": 40.0,
    "status": "lost",
    "customer": {"email": "ana@example.com", "iban": "DE89370400440532013000"},
    "lines": [{"sku": "tent", "amount": 30.0}, {"sku": "pegs", "amount": 10.0}],
}
ANSWERS: Final[Mapping[str, Json]] = {
    "order.find": ORDER,
    "stock.check": {"there": True},
    "stock.report": {"line": "all there"},
    "refund.issue": {"refund_id": "R-1"},
    "refund.revoke": {"done": True},
    "answer.draft": {"answer": "We are sorry."},
    "disk.wipe": {},
}
SERVED: Final[Mapping[str, tuple[str, ...]]] = {
    "shop": ("order.find", "stock.check", "stock.report", "label.print"),
    "bank": ("refund.issue", "refund.revoke"),
    "writer": ("answer.draft",),
    "disks": ("disk.wipe",),
}


class Careless:
    """A model whose host enforces no schema: it says what it is told to say, round by round, whatever was asked."""

    def __init__(self, *said: Json) -> None:
        self._said, self.asked = said, list[Prompt]()

    def says(self, *said: Json) -> None:
        """What it says from now on."""
        self._said, self.asked = said, []

    def tier(self, tier: Tier) -> TierFacts | None:
        return TierFacts(tier=tier, model="careless", max_tokens=1000, timeout_s=5)

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        self.asked.append(prompt)
        said = self._said[min(len(self.asked), len(self._said)) - 1]
        return Answer(data=said, text="", spent=Spending(model="careless", tokens_in=10, tokens_out=10, ms=1))

    def preload(self) -> None:
        """Nothing is to be loaded."""

    async def aclose(self) -> None:
        """Nothing was opened."""


@dataclass(kw_only=True)
class World:
    """Processes of the desk, and what its agents were asked."""

    host: MemoryHost
    registry: Registry
    called: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    failing: dict[str, str] = field(default_factory=dict[str, str])
    number: int = 0

    async def run(self, process_type: ProcessType | None = None, **spec: Any) -> Process:
        """Start a process, and wait until it has ended or asks."""
        state = await self.start(process_type, **spec)
        return await self.host.until(state.spec.process_id, *SETTLED)

    async def start(self, process_type: ProcessType | None = None, *, value: Json = None, **rest: Any) -> Process:
        found = process_type or self.registry.processes[0]
        data, task = encode_body(INPUT if value is None else value), TASK.encode()
        bodies = [Body(ref=ref_of(data), data=data), Body(ref=ref_of(task, "text/plain; charset=utf-8"), data=task)]
        self.number += 1
        spec = ProcessSpec(
            principal="ana",
            request_sha256=str(self.number),
            task=bodies[1].ref,
            input=bodies[0].ref,
            type=type_pin(found),
            budget=budget_of(found),
            limits=limits_of(found),
            models={"plan": 0},
        )
        definitions = self.registry.plan(found).definitions
        return await self.host.start(replace(spec, **rest), Bodies(artifacts=tuple(bodies), definitions=definitions))

    async def calls_prepared(self, process_id: str) -> list[str]:
        """The units whose calls were prepared, in order."""
        rows = (await self.host.journal(process_id, after=0, limit=10_000)).items
        return [each.call for row in rows for each in row.events if isinstance(each, CallPrepared)]


@asynccontextmanager
async def open_world(folder: Path, model: Model, *types: ProcessType) -> AsyncGenerator[World]:
    registry = Registry.of(contracts(), types or (ticket(),), _agents())
    clock, reviewers = JumpingClock(), Reviewers(folder, cost=Cost(n=16))
    host = MemoryHost(clock, lambda proof: derive(proof, reviewers))
    world = World(host=host, registry=registry)

    def serving(agent: str) -> Any:
        async def answer(arguments: Json, told: InProcessCall) -> Json:
            contract = told.contract.partition("@")[0]
            world.called.append((contract, arguments))
            if contract in world.failing:
                raise RuntimeError(world.failing[contract])
            return ANSWERS[contract]

        return answer

    thinking = Thinking(model=model, registry=lambda: registry)
    agents = {name: serving(name) for name in SERVED}
    async with AgentPool(lambda: registry, state_dir=folder, home=folder, clock=clock, in_process=agents) as pool:
        async with host.running(LocalPerformer(host, Compiler(), pool, clock, thinking=thinking)):
            yield world


def _agents() -> list[Any]:
    found = [
        definition_from_dict(
            "agent",
            {
                "agent": name,
                "summary": f"The {name}.",
                "transport": {"kind": "in_process"},
                "serves": [{"contract": f"{each}@^1", "bind": {}} for each in served],
            },
        )
        for name, served in SERVED.items()
    ]
    person = {
        "agent": "colleague",
        "summary": "A person.",
        "transport": {"kind": "human", "role": "clerk"},
        "serves": [{"contract": "person.ask@^1"}],
    }
    return [*found, definition_from_dict("agent", person)]
