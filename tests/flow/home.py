"""A home for steps that wait, repeat and start processes: the real engine over a real journal, agents in process.

Time is the test's where it is a `SteppedClock`: nothing waits for real, and nothing fires before time is moved on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio

from process_orchestrator.checking.documents.definitions import Agent, Contract, ProcessType
from process_orchestrator.checking.documents.yaml_reader import read
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.conformance import violations
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.ports import Artifacts, Clock, Host, InProcessCall, Performer, Proof, ProofKind
from process_orchestrator.core.trace import numbered
from process_orchestrator.hosting.clock import SystemClock
from process_orchestrator.hosting.open_host import HostParts, open_host
from process_orchestrator.orchestrator import Orchestrator, Surroundings
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.performer import LocalPerformer
from process_orchestrator.views.models import ProcessView, ResolveRequest, SubmitRequest

PATIENCE_S: Final = 30
"""How long a test waits for what must come, on a slow machine."""

Answering = Callable[[dict[str, Any], InProcessCall], Awaitable[Any]]

CONTRACTS: Final = """
- contract: job.look
  input: {type: object, required: [job], additionalProperties: false, properties: {job: {type: string}}}
  output:
    type: object
    required: [ready, percent]
    additionalProperties: false
    properties: {ready: {type: boolean}, percent: {type: integer}, file: {type: string}}
  errors: {gone: {class: permanent}, busy: {class: transient}}
  effects: {kind: read}
  cost: {per_call_usd: 0.01}
- contract: job.add
  input:
    type: object
    required: [amount]
    additionalProperties: false
    properties: {amount: {type: number}, request_id: {type: string}}
  output: {type: object, required: [total], additionalProperties: false, properties: {total: {type: number}}}
  errors: {full: {class: permanent}}
  effects: {kind: write}
  idempotency: {key: request_id}
  cost: {per_call_usd: 0.1}
  data: {sensitive: [/input/amount]}
- contract: desk.ask
  input: {type: object, required: [question], properties: {question: {type: string}}}
  output: {type: object, required: [yes], properties: {yes: {type: boolean}}}
  effects: {kind: none}
"""

OBJECT: Final[dict[str, Any]] = {"type": "object"}


def _contracts() -> list[Contract]:
    listed = read(CONTRACTS.encode(), file="contracts.yaml").value
    return [definition_from_dict("contract", {"version": "1.0.0", "summary": "For a test.", **one}) for one in listed]


def _agents() -> list[Agent]:
    serving = {"looker": ("job.look", "in_process"), "adder": ("job.add", "in_process"), "clerk": ("desk.ask", "human")}
    return [
        definition_from_dict(
            "agent",
            {
                "agent": name,
                "summary": "For a test.",
                "transport": {"kind": kind, **({"role": "approver"} if kind == "human" else {})},
                "serves": [{"contract": f"{contract}@^1", **({} if kind == "human" else {"bind": {}})}],
            },
        )
        for name, (contract, kind) in serving.items()
    ]


def process(text: str) -> ProcessType:
    """A process type from YAML; version, summary and an open input and output are filled in."""
    written = read(text.encode(), file="test.yaml").value
    whole = {"version": "1.0.0", "summary": "For a test.", "input": OBJECT, "output": OBJECT, **written}
    return definition_from_dict("process", whole)


def registry_of(*types: str) -> Registry:
    return Registry.of(_contracts(), [process(text) for text in types], _agents())


class SteppedClock:
    """A clock that stands still until a test moves it on."""

    def __init__(self) -> None:
        self._now = 1_700_000_000_000
        self._sleepers: list[tuple[int, anyio.Event]] = []

    def now_ms(self) -> int:
        return self._now

    def jitter(self) -> int:
        return 0

    async def sleep_until(self, at_ms: int) -> None:
        if at_ms <= self._now:
            return
        woken = anyio.Event()
        sleeper = (at_ms, woken)
        self._sleepers.append(sleeper)
        try:
            await woken.wait()
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, ms: int) -> None:
        self._now += ms
        for at_ms, woken in self._sleepers:
            if at_ms <= self._now:
                woken.set()


@dataclass
class Agents:
    """What the agents do, and what they were asked."""

    looks: Sequence[int] = (100,)  # percent that each look finds; the last one again and again
    doing: dict[str, Answering] = field(default_factory=dict[str, Answering])
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # (agent, key)

    def all(self) -> dict[str, Answering]:
        return {"looker": self._calling("looker", self._look), "adder": self._calling("adder", self._add)}

    def _calling(self, name: str, ordinary: Answering) -> Answering:
        async def call(arguments: dict[str, Any], told: InProcessCall) -> Any:
            self.asked.append((name, told.key))
            return await self.doing.get(name, ordinary)(arguments, told)

        return call

    async def _look(self, _arguments: dict[str, Any], _told: InProcessCall) -> Any:
        seen = sum(name == "looker" for name, _ in self.asked)
        percent = self.looks[min(seen, len(self.looks)) - 1]
        return {"ready": percent >= 100, "percent": percent, **({"file": "out.pdf"} if percent >= 100 else {})}

    async def _add(self, arguments: dict[str, Any], _told: InProcessCall) -> Any:
        return {"total": arguments["amount"] + 1}


@dataclass(frozen=True)
class _Known:
    by: str
    channel: str
    assurance: Assurance


def _trust(proof: Proof) -> _Known:
    return _Known(by=proof.principal, channel=proof.kind.value, assurance=Assurance.A2)


@dataclass(frozen=True, kw_only=True)
class Flow:
    """An orchestrator with what a test wants to reach behind it."""

    orchestrator: Orchestrator
    host: Host
    agents: Agents
    clock: Clock

    async def submit(self, process_type: str, given: Any = None, **rest: Any) -> str:
        request = SubmitRequest(process_type=process_type, input={} if given is None else given, **rest)
        return (await self.orchestrator.submit(request)).process_id

    async def view(self, process_id: str, include: Sequence[str] = ()) -> ProcessView:
        return await self.orchestrator.state(process_id, include=list(include))

    async def until(self, process_id: str, reached: Callable[[Process], bool]) -> Process:
        """The first state seen that fulfils a condition."""
        with anyio.fail_after(PATIENCE_S):
            state = await self.host.state(process_id)
            while not reached(state):
                state = await self.host.wait(process_id, since=state.seq, timeout_s=PATIENCE_S)
            return state

    async def ended(self, process_id: str) -> Process:
        return await self.until(process_id, lambda state: state.finished)

    async def asks(self, process_id: str) -> Process:
        """The state once a question with its package is open."""
        return await self.until(
            process_id, lambda state: any(one.open and one.package is not None for one in state.escalations.values())
        )

    async def decide(self, process_id: str, decision: str, **rest: Any) -> None:
        state = await self.asks(process_id)
        [question] = [one.id for one in state.escalations.values() if one.open]
        request = ResolveRequest(escalation_id=question, decision=decision, **rest)
        await self.orchestrator.resolve(request, proof=Proof(kind=ProofKind.PASSPHRASE))

    def advance(self, seconds: float) -> None:
        assert isinstance(self.clock, SteppedClock)
        self.clock.advance(round(seconds * 1000))

    async def pauses(self, process_id: str, timer: str) -> Process:
        """The state once a timer is set and its row is durable."""
        return await self.until(process_id, lambda state: timer in state.live_timers)

    async def is_sound(self, process_id: str) -> None:
        """The journal keeps every invariant."""
        rows = (await self.host.journal(process_id, after=0, limit=1000)).items
        events = [each.event for each in numbered(rows)]
        assert violations(events, projection=await self.host.state(process_id)) == ()


@asynccontextmanager
async def open_flow(
    folder: Path, *types: str, agents: Agents | None = None, clock: Clock | None = None, places: int = 100
) -> AsyncGenerator[Flow]:
    """Drive the process types given as YAML over the journal in `folder`."""
    registry, agents, clock = registry_of(*types), agents or Agents(), clock or SteppedClock()
    folder.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def performing(artifacts: Artifacts) -> AsyncGenerator[Performer]:
        pool = AgentPool(lambda: registry, state_dir=folder, home=folder, clock=clock, in_process=agents.all())
        async with pool:
            yield LocalPerformer(artifacts, Compiler(), pool, clock)

    parts = HostParts(
        state=folder, build_performer=performing, clock=clock, verify_proof=_trust, processes_running_max=places
    )
    async with open_host(parts) as host:
        surroundings = Surroundings(server_floor=Assurance.A0, reviewers_exist=lambda: True)
        orchestrator = Orchestrator(host, lambda: registry, Compiler(), surroundings=surroundings)
        yield Flow(orchestrator=orchestrator, host=host, agents=agents, clock=clock)


SYSTEM_CLOCK: Final = SystemClock()
