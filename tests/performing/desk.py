"""One small process type with in-process agents behind a real contract, its plan pinned, and a performer over it."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from performing.fleet import FixedClock
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.checking.schemas.validate import encode_body, read_stored, ref_of
from process_orchestrator.core.facts.commands import InvokeAgent, OpenEscalation, PlanContext, PrepareCall, Source
from process_orchestrator.core.facts.events import CallFailed, CallPrepared, CallSucceeded
from process_orchestrator.core.facts.values import ApprovalMode, Assurance, Phase, Ref, TypePin
from process_orchestrator.core.ports import (
    BillsSince,
    Body,
    Clock,
    DefinitionBody,
    InProcessAgent,
    InProcessCall,
    Performed,
)
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.day_caps import nothing_billed
from process_orchestrator.performing.performer import LocalPerformer


def schema(*required: str, **properties: Any) -> dict[str, Any]:
    """A closed object schema; without names every property is required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required or properties),
        "additionalProperties": False,
    }


NUMBER, TEXT = {"type": "number"}, {"type": "string"}

LEDGER: dict[str, Any] = {
    "contract": "ledger.post",
    "version": "1.0.0",
    "summary": "Book one amount.",
    "input": schema("total", "vendor", total=NUMBER, vendor=TEXT, request_id=TEXT),
    "output": schema(id=TEXT, total=NUMBER),
    "errors": {"busy": {"class": "transient", "retry_after": True}, "closed": {"class": "denied"}},
    "effects": {"kind": "write"},
    "idempotency": {"key": "request_id"},
    "requires": [{"id": "positive", "expr": "input.total > 0.0"}],
    "ensures": [{"id": "same_total", "expr": "output.total == input.total"}],
    "approval": {"when": {"expr": "input.total > 1000.0"}, "role": "approver", "min_assurance": "A1"},
    "cost": {"per_call_usd": 0.002},
    "limits": {"output_bytes": 100_000, "depth": 20},
}

PAY: dict[str, Any] = {
    "process": "pay",
    "version": "1.0.0",
    "summary": "Book amounts.",
    "input": schema(
        "total", "vendor", total=NUMBER, vendor=TEXT, lines={"type": "array", "items": NUMBER}, go={"type": "boolean"}
    ),
    "output": schema(id=TEXT),
    "escalation": {"role": "clerk", "min_assurance": "A1"},
    "plan": {
        "steps": [
            {"id": "post", "contract": "ledger.post", "in": {"total": "$.input.total", "vendor": "$.input.vendor"}},
            {
                "id": "again",
                "contract": "ledger.post",
                "in": {"total": "$.steps.post.output.total", "vendor": {"const": "V"}},
                "when": "$.input.go",
                "default": {"id": "none", "total": 0.5},
            },
            {
                "id": "lines",
                "contract": "ledger.post",
                "for_each": "$.input.lines",
                "in": {"total": "$.item", "vendor": "$.input.vendor"},
                "after": ["post"],
                "when": {"let": {"amount": "$.item"}, "expr": "amount > 1.0"},
            },
        ],
        "output": {"id": "$.steps.post.output.id"},
    },
}


def ledger_agent(name: str, prefer: int) -> dict[str, Any]:
    return {
        "agent": name,
        "summary": "Keeps books.",
        "transport": {"kind": "mcp_stdio", "command": ["ledger"]},
        "serves": [{"contract": "ledger.post@^1", "bind": {"tool": "post"}}],
        "prefer": prefer,
    }


class Store:
    """Artifacts in memory."""

    def __init__(self, definitions: tuple[DefinitionBody, ...]) -> None:
        self.bodies: dict[str, bytes] = {}
        self._definitions = {each.sha256: each for each in definitions}

    async def body(self, ref: Ref) -> bytes:
        return self.bodies[ref.sha256]

    async def definition(self, sha256: str) -> DefinitionBody:
        return self._definitions[sha256]

    def put(self, value: Any) -> Ref:
        data = encode_body(value)
        ref = ref_of(data)
        self.bodies[ref.sha256] = data
        return ref

    def keep(self, bodies: tuple[Body, ...]) -> None:
        for body in bodies:
            assert body.ref == ref_of(body.data)
            self.bodies[body.ref.sha256] = body.data


async def honest(arguments: dict[str, Any], _call: InProcessCall) -> Any:
    """An agent that keeps the ledger contract."""
    return {"id": "L-1", "total": arguments["total"]}


class Desk:
    """A performer, its store, and commands to give it."""

    def __init__(self, performer: LocalPerformer, store: Store, registry: Registry, pool: AgentPool) -> None:
        self.performer, self.store, self.registry, self.pool = performer, store, registry, pool
        process_type = registry.process("pay")
        assert process_type is not None
        compiled = registry.plan(process_type, server_floor=Assurance.A0)
        assert compiled.facts is not None
        self.facts = compiled.facts
        self.type = TypePin(name="pay", version="1.0.0", sha256=process_type.source.sha256)

    def context(self, given: Any, **outputs: Any) -> PlanContext:
        sources = {step: Source(status=Phase.DONE, output=self.store.put(value)) for step, value in outputs.items()}
        return PlanContext(plan=self.facts.sha256, type=self.type, input=self.store.put(given), sources=sources)

    async def perform(self, command: Any, *, delivery: int = 1) -> Performed:
        performed = await self.performer.perform(command, delivery=delivery, heartbeat=lambda: None)
        self.store.keep(performed.bodies)
        return performed

    async def prepare(self, context: PlanContext, step: str = "post", **changes: Any) -> Any:
        """The event that answers PrepareCall."""
        named: dict[str, Any] = {
            "process": "p_x",
            "call": f"{step}.1",
            "unit": step,
            "step": step,
            "key": f"p_x/{step}/g1",
            "approval": ApprovalMode.POLICY,
            "context": context,
        }
        return (await self.perform(PrepareCall(**(named | changes)))).event

    async def invoke(self, prepared: CallPrepared, *, delivery: int = 1, **changes: Any) -> CallSucceeded | CallFailed:
        facts = self.facts.steps[0]
        assert facts.contract is not None
        named: dict[str, Any] = {
            "process": "p_x",
            "call": prepared.call,
            "unit": "post",
            "step": "post",
            "agent": prepared.agent,
            "contract": facts.contract,
            "key": "p_x/post/g1",
            "input": prepared.input,
            "timeout_ms": 1000,
            "effect": facts.effect,
            "idempotency": facts.idempotency,
        }
        event = (await self.perform(InvokeAgent(**(named | changes)), delivery=delivery)).event
        assert isinstance(event, CallSucceeded | CallFailed)
        return event

    async def call(self, total: float = 12.5) -> CallSucceeded | CallFailed:
        """One call of the first step, prepared and invoked."""
        prepared = await self.prepare(self.context({"total": total, "vendor": "ACME"}))
        assert isinstance(prepared, CallPrepared)
        return await self.invoke(prepared)

    def read(self, ref: Ref | None) -> Any:
        assert ref is not None
        return read_stored(self.store.bodies[ref.sha256])


@asynccontextmanager
async def open_desk(
    tmp_path: Path,
    ledger: InProcessAgent = honest,
    *,
    prices: dict[str, Any] | None = None,
    spare: Callable[..., Coroutine[Any, Any, Any]] | None = None,
    usd_per_day: float | None = None,
    bills: BillsSince = nothing_billed,
    clock: Clock | None = None,
) -> AsyncGenerator[Desk]:
    """A desk whose agent `ledger` is the given function; `spare`, if any, serves the same contract after it."""
    contract = definition_from_dict("contract", LEDGER | (prices or {}))
    capped = {} if usd_per_day is None else {"limits": {"usd_per_day": usd_per_day}}
    agents = [definition_from_dict("agent", ledger_agent("ledger", 10) | capped)]
    in_process: dict[str, InProcessAgent] = {"ledger": ledger}
    if spare is not None:
        agents.append(definition_from_dict("agent", ledger_agent("spare", 20)))
        in_process["spare"] = spare
    process_type = definition_from_dict("process", PAY)
    registry = Registry.of([contract], [process_type], agents)
    compiled = registry.plan(process_type, server_floor=Assurance.A0)
    assert compiled.facts is not None, compiled.problems
    store, clock = Store(compiled.definitions), clock or FixedClock()

    async def no_package(command: OpenEscalation, **_: Any) -> Performed:
        raise AssertionError(f"no test here asks for {command.escalation}")

    async with AgentPool(
        lambda: registry, state_dir=tmp_path, home=tmp_path, clock=clock, in_process=in_process
    ) as pool:
        performer = LocalPerformer(store, Compiler(), pool, clock, build_package=no_package, bills=bills)
        yield Desk(performer, store, registry, pool)
