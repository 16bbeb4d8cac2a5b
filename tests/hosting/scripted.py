"""A performer that follows a script: the real core and a real host, agents that are functions of this test."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from process_orchestrator.core.facts.commands import (
    BuildOutput,
    Command,
    InvokeAgent,
    OpenEscalation,
    PrepareCall,
)
from process_orchestrator.core.facts.events import (
    CallFailed,
    CallPrepared,
    CallSucceeded,
    EscalationOpened,
    EscalationResolved,
    Event,
    OutputBuilt,
)
from process_orchestrator.core.facts.specs import Gate, PlanFacts, ProcessSpec, RetryFacts, StepFacts
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import (
    AgentPin,
    Assurance,
    Blame,
    ContractPin,
    Decision,
    Effect,
    FailureClass,
    Idempotency,
    OnFailure,
    Outcome,
    Ref,
    StepKind,
    TypePin,
)
from process_orchestrator.core.limits import PROCESSES_RUNNING_MAX, Limits
from process_orchestrator.core.ports import (
    Artifacts,
    Bodies,
    Body,
    ChangeListener,
    Clock,
    Host,
    Performed,
    Performer,
    Proof,
)
from process_orchestrator.hosting.clock import SystemClock
from process_orchestrator.hosting.folding import CORE, Core
from process_orchestrator.hosting.open_host import HostParts, Mode, open_host

AGENT = AgentPin(name="worker", sha256="a" * 64)
CONTRACT = ContractPin(name="work.do", version="1.0.0", sha256="c" * 64)
TYPE = TypePin(name="chain", version="1.0.0", sha256="d" * 64)
CLOCK = SystemClock()

Work = Callable[[InvokeAgent, int], Awaitable[Event | None]]
"""What the agent does with a call and its delivery number; None for an ordinary success."""


@dataclass(frozen=True)
class Known:
    """Who decided, as a proof said."""

    by: str
    channel: str
    assurance: Assurance


def trust(proof: Proof) -> Known:
    """Takes every proof for a reviewer's, so that the strength of proofs is no matter of these tests."""
    return Known(by=proof.principal, channel=proof.kind.value, assurance=Assurance.A2)


class HurriedClock:
    """Wall time that runs `factor` times as fast."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._began = CLOCK.now_ms()

    def now_ms(self) -> int:
        return self._began + (CLOCK.now_ms() - self._began) * self._factor

    def jitter(self) -> int:
        return 0

    async def sleep_until(self, at_ms: int) -> None:
        while (left_ms := at_ms - self.now_ms()) > 0:
            await anyio.sleep(left_ms / 1000 / self._factor)


def body(text: str) -> Body:
    data = text.encode()
    return Body(ref=Ref(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)), data=data)


def chain(
    count: int,
    *,
    effect: Effect = Effect.READ,
    idempotency: Idempotency = Idempotency.UNSAFE,
    gated: bool = False,
    retry: RetryFacts | None = None,
    free: bool = False,
) -> PlanFacts:
    """A plan of `count` steps, each after the one before it."""
    names = [f"s{number}" for number in range(count)]
    return PlanFacts(
        sha256=hashlib.sha256(f"{count} {effect} {idempotency} {gated}".encode()).hexdigest(),
        steps=tuple(
            StepFacts(
                id=name,
                kind=StepKind.CALL,
                needs=(names[place - 1],) if place else (),
                needed_by=(names[place + 1],) if place + 1 < count else (),
                contract=CONTRACT,
                effect=effect,
                idempotency=idempotency,
                agents=(AGENT,),
                on_failure={"else": OnFailure.ESCALATE},
                retry=retry or RetryFacts(),
                decision_level=Assurance.A0,
                free=free,
            )
            for place, name in enumerate(names)
        ),
        type_level=Assurance.A0,
    )


def spec(
    plan: PlanFacts, *, key: str | None = None, request: str = "same", limits: Limits | None = None
) -> ProcessSpec:
    return ProcessSpec(
        principal="local",
        key=key,
        request_sha256=hashlib.sha256(request.encode()).hexdigest(),
        type=TYPE,
        plan=plan,
        limits=limits or Limits(),
    )


def resolution(escalation: str, decision: Decision, request_id: str = "r1") -> EscalationResolved:
    return EscalationResolved(at=0, escalation=escalation, decision=decision, request_id=request_id)


def failure(call: str, *, code: str = "down", outcome: Outcome = Outcome.NOT_DONE) -> CallFailed:
    return CallFailed(
        at=CLOCK.now_ms(),
        call=call,
        code=code,
        class_=FailureClass.TRANSIENT,
        blame=Blame.AGENT,
        outcome=outcome,
        message="scripted",
    )


async def succeed(call: InvokeAgent, delivery: int) -> Event | None:
    return None


@dataclass
class Script:
    """What agents do, and what they were asked."""

    work: Work = succeed
    gate: Gate | None = None
    reserve_usd_micros: int | None = None  # what every call may cost
    breaks_at: str | None = None  # the call whose preparation is a fault of the performer
    calls: list[tuple[str, int]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def build(self, artifacts: Artifacts) -> AbstractAsyncContextManager[Performer]:
        return _performer(artifacts, self)


@asynccontextmanager
async def _performer(artifacts: Artifacts, script: Script) -> AsyncGenerator[Performer]:
    yield ScriptedPerformer(artifacts, script)


class ScriptedPerformer:
    """Keeps the `Performer` port. Bodies are small texts that name what they belong to."""

    def __init__(self, artifacts: Artifacts, script: Script) -> None:
        self._artifacts = artifacts
        self._script = script

    async def perform(self, command: Command, *, delivery: int, heartbeat: Callable[[], None]) -> Performed:
        now = CLOCK.now_ms()
        match command:
            case PrepareCall(call=call):
                if call == self._script.breaks_at:
                    raise ZeroDivisionError
                made = body(f'{{"process":"{command.process}","call":"{call}"}}')
                prepared = CallPrepared(
                    at=now,
                    call=call,
                    agent=AGENT,
                    input=made.ref,
                    digest=hashlib.sha256(f"{command.process} {command.unit}".encode()).hexdigest(),
                    gate=self._script.gate,
                    reserve_usd_micros=self._script.reserve_usd_micros,
                )
                return Performed(event=prepared, bodies=(made,))
            case InvokeAgent(call=call):
                assert await self._artifacts.body(command.input)
                self._script.calls.append((call, delivery))
                self._script.keys.append(command.key)
                event = await self._script.work(command, delivery)
                if event is not None:
                    return Performed(event=event)
                made = body(f'{{"answer":"{call}"}}')
                return Performed(
                    event=CallSucceeded(at=CLOCK.now_ms(), call=call, output=made.ref, ms=0), bodies=(made,)
                )
            case BuildOutput():
                made = body(f'{{"process":"{command.process}","done":true}}')
                return Performed(event=OutputBuilt(at=now, output=made.ref), bodies=(made,))
            case OpenEscalation(escalation=escalation):
                made = body(f'{{"question":"{escalation}"}}')
                opened = EscalationOpened(at=now, escalation=escalation, package=made.ref, schema_sha256="e" * 64)
                return Performed(event=opened, bodies=(made,))
            case _:
                raise AssertionError(f"no script for {command}")


@asynccontextmanager
async def opened(
    state: Path,
    script: Script | None = None,
    *,
    mode: Mode = "drive",
    listener: ChangeListener | None = None,
    clock: Clock = CLOCK,
    places: int = PROCESSES_RUNNING_MAX,
    core: Core = CORE,
) -> AsyncGenerator[Host]:
    parts = HostParts(
        state=state,
        build_performer=(script or Script()).build,
        clock=clock,
        core=core,
        verify_proof=trust,
        listener=listener,
        processes_running_max=places,
    )
    async with open_host(parts, mode=mode) as host:
        yield host


async def until(host: Host, process: str, reached: Callable[[Process], bool], *, timeout_s: float = 30) -> Process:
    """The first state seen that fulfils a condition."""
    with anyio.fail_after(timeout_s):
        state = await host.state(process)
        while not reached(state):
            state = await host.wait(process, since=state.seq, timeout_s=timeout_s)
        return state


async def finished(host: Host, process: str, *, timeout_s: float = 30) -> Process:
    return await until(host, process, lambda state: state.finished, timeout_s=timeout_s)


async def run(host: Host, plan: PlanFacts, key: str | None = None) -> Process:
    started = await host.start(spec(plan, key=key), Bodies())
    return await finished(host, started.spec.process_id)
