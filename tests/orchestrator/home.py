"""A small home in code: contracts, agents that tests can reprogram, process types, and an orchestrator over them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from orchestrator.memory_host import JumpingClock, MemoryHost
from process_orchestrator.checking.documents.definitions import Agent, Contract, ProcessType
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.ports import InProcessCall, Proof, ProofKind
from process_orchestrator.hosting.proofs import Derived, derive
from process_orchestrator.hosting.reviewers import Cost, Reviewers
from process_orchestrator.llm.port import Model, NoModel
from process_orchestrator.orchestrator import Orchestrator, Surroundings
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.performer import LocalPerformer, Thinking
from process_orchestrator.views.models import ProcessView, SubmitRequest

CANARY: Final = "DE89370400440532013000"
"""An account number that must stand in no view."""

PASSPHRASE: Final = "correct horse battery"

Answering = Callable[[dict[str, Any], InProcessCall], Awaitable[Any]]


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


TEXT: Final = {"type": "string", "minLength": 1}
NUMBER: Final = {"type": "number"}
LINE: Final = _object(["name", "amount"], name=TEXT, amount=NUMBER)
VENDOR: Final = _object(["name", "iban"], name=TEXT, iban=TEXT)


def _contract(name: str, **rest: Any) -> Contract:
    return definition_from_dict("contract", {"contract": name, "version": "1.0.0", **rest})


CONTRACTS: Final = (
    _contract(
        "doc.read",
        summary="Read one invoice.",
        input=_object(["text"], text=TEXT),
        output=_object(
            ["number", "vendor", "lines", "total"],
            number=TEXT,
            vendor=VENDOR,
            lines={"type": "array", "items": LINE},
            total=NUMBER,
        ),
        errors={"illegible": {"class": "permanent"}, "busy": {"class": "transient"}},
        effects={"kind": "read"},
        retry={"max_attempts": 1},
        cost={"per_call_usd": 0.002},
        data={"sensitive": ["/output/vendor/iban"], "sensitivity": "confidential"},
    ),
    _contract(
        "line.check",
        summary="Check one line against the policy.",
        input=_object(["line"], line=LINE),
        output=_object(["allowed"], allowed={"type": "boolean"}),
        effects={"kind": "none"},
        retry={"max_attempts": 1},
    ),
    _contract(
        "ledger.post",
        summary="Book one invoice.",
        input=_object(["number", "total", "iban"], request_id=TEXT, number=TEXT, total=NUMBER, iban=TEXT),
        output=_object(["id", "total"], id=TEXT, total=NUMBER),
        errors={"closed": {"class": "permanent"}},
        effects={"kind": "write", "resources": ["ledger:posting"]},
        idempotency={"key": "request_id"},
        retry={"max_attempts": 1},
        cost={"per_call_usd": 0.001},
        requires=[{"id": "positive", "expr": "input.total > 0.0"}],
        ensures=[{"id": "same_total", "expr": "output.total == input.total"}],
        approval={"when": {"expr": "input.total > 1000.0"}, "role": "approver", "min_assurance": "A2"},
    ),
    _contract(
        "mail.send",
        summary="Send one reminder.",
        input=_object(["line"], line=LINE),
        output=_object(["sent"], sent={"type": "boolean"}),
        effects={"kind": "write"},
        approval={"role": "approver", "min_assurance": "A1"},
    ),
    _contract(
        "desk.review",
        summary="Is this invoice in order?",
        input=_object(["number"], number=TEXT),
        output=_object(["accepted"], accepted={"type": "boolean"}, comment={"type": "string"}),
        effects={"kind": "none"},
    ),
)


def _agent(name: str, *contracts: str, prefer: int = 100, human: bool = False) -> Agent:
    transport = {"kind": "human", "role": "approver"} if human else {"kind": "in_process"}
    serves = [
        {"contract": f"{contract}@^1", "bind": {}} if not human else {"contract": f"{contract}@^1"}
        for contract in contracts
    ]
    written = {"agent": name, "summary": f"The {name}.", "transport": transport, "serves": serves, "prefer": prefer}
    return definition_from_dict("agent", written)


AGENTS: Final = (
    _agent("reader", "doc.read", prefer=10),
    _agent("backup", "doc.read", prefer=20),
    _agent("policy", "line.check"),
    _agent("ledger", "ledger.post"),
    _agent("post_office", "mail.send"),
    _agent("approver", "desk.review", human=True),
)


def process_type(name: str, **rest: Any) -> ProcessType:
    written = {
        "process": name,
        "version": "1.0.0",
        "summary": f"The {name} process.",
        "input": _object(["text"], text=TEXT),
        "output": {"type": "object"},
        **rest,
    }
    return definition_from_dict("process", written)


READ: Final = {"id": "read", "contract": "doc.read", "in": {"text": "$.input.text"}}
POST: Final = {
    "id": "post",
    "contract": "ledger.post",
    "in": {
        "number": "$.steps.read.output.number",
        "total": "$.steps.read.output.total",
        "iban": "$.steps.read.output.vendor.iban",
    },
}

PROCESSES: Final = (
    process_type(
        "booking",
        intake={"keywords": ["invoice", "book"], "requires": ["/text"]},
        budget={"usd": 0.5},
        plan={
            "steps": [
                READ,
                {
                    "id": "lines",
                    "contract": "line.check",
                    "for_each": "$.steps.read.output.lines",
                    "in": {"line": "$.item"},
                },
                {**POST, "after": ["lines"]},
            ],
            "output": {
                "id": "$.steps.post.output.id",
                "vendor": "$.steps.read.output.vendor",
                "checks": "$.steps.lines.output",
            },
        },
    ),
    process_type(
        "reminders",
        intake={"keywords": ["remind", "reminder"]},
        plan={
            "steps": [
                READ,
                {
                    "id": "send",
                    "contract": "mail.send",
                    "for_each": "$.steps.read.output.lines",
                    "in": {"line": "$.item"},
                    "on_failure": "fail",
                    "item_failure": "skip",
                },
            ],
            "output": {"sent": "$.steps.send.output"},
        },
        escalation={"min_assurance": "A1"},
    ),
    process_type(
        "review",
        intake={"keywords": ["review"]},
        plan={
            "steps": [READ, {"id": "ask", "contract": "desk.review", "in": {"number": "$.steps.read.output.number"}}],
            "output": {"accepted": "$.steps.ask.output.accepted"},
        },
    ),
    process_type(
        "reading",
        intake={"keywords": ["read"]},
        plan={
            "steps": [
                {**READ, "default": {"number": "0", "vendor": {"name": "-", "iban": "-"}, "lines": [], "total": 0}}
            ],
            "output": {"number": "$.steps.read.output.number"},
        },
        budget={"unknown": "allow"},
    ),
    process_type("dreaming", intake={"keywords": ["dream"]}, contracts=["doc.read@^1"]),
)

INVOICE: Final = {
    "number": "LB-1",
    "vendor": {"name": "Holm & Falk", "iban": CANARY},
    "lines": [{"name": "paper", "amount": 40.0}, {"name": "ink", "amount": 60.0}],
    "total": 100.0,
}


@dataclass
class Fleet:
    """What the agents do; a test puts another coroutine function in."""

    doing: dict[str, Answering] = field(default_factory=dict[str, Answering])
    calls: list[tuple[str, dict[str, Any], InProcessCall]] = field(
        default_factory=list[tuple[str, dict[str, Any], InProcessCall]]
    )

    def agents(self) -> Mapping[str, Answering]:
        return {agent.name: self._calling(agent.name) for agent in AGENTS if agent.transport.kind == "in_process"}

    def _calling(self, name: str) -> Answering:
        async def call(arguments: dict[str, Any], told: InProcessCall) -> Any:
            self.calls.append((name, arguments, told))
            return await self.doing.get(name, ORDINARY[name])(arguments, told)

        return call


def answering(value: Any) -> Answering:
    async def answer(arguments: dict[str, Any], told: InProcessCall) -> Any:
        return value

    return answer


def failing(code: str, message: str = "it does not work", **more: Any) -> Answering:
    async def fail(arguments: dict[str, Any], told: InProcessCall) -> Any:
        raise AgentCallError(code, message, **more)

    return fail


async def _post(arguments: dict[str, Any], told: InProcessCall) -> Any:
    return {"id": f"L-{arguments['number']}", "total": arguments["total"]}


ORDINARY: Final[Mapping[str, Answering]] = {
    "reader": answering(INVOICE),
    "backup": answering(INVOICE),
    "policy": answering({"allowed": True}),
    "ledger": _post,
    "post_office": answering({"sent": True}),
}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """An orchestrator with everything a test wants to reach behind it."""

    orchestrator: Orchestrator
    host: MemoryHost
    fleet: Fleet
    reviewers: Reviewers
    registry: Registry

    async def submit(self, process_type: str = "booking", **rest: Any) -> ProcessView:
        request = SubmitRequest(process_type=process_type, input=rest.pop("input", {"text": "an invoice"}), **rest)
        return await self.orchestrator.submit(request)

    async def settled(self, process_type: str = "booking", **rest: Any) -> ProcessView:
        """Submit, then wait until it has ended or asks."""
        return await self.submit(process_type, wait_s=5, **rest)


@asynccontextmanager
async def open_desk(
    folder: Path, *, fleet: Fleet | None = None, registry: Registry | None = None, model: Model | None = None
) -> AsyncGenerator[Desk]:
    fleet, clock, model = fleet or Fleet(), JumpingClock(), model or NoModel()
    registry = registry or Registry.of(CONTRACTS, PROCESSES, AGENTS)
    reviewers = Reviewers(folder, cost=Cost(n=16))

    def proved(proof: Proof) -> Derived:
        return derive(proof, reviewers)

    host = MemoryHost(clock, proved)
    pool = AgentPool(lambda: registry, state_dir=folder, home=folder, clock=clock, in_process=fleet.agents())
    pool.model = model
    async with pool:
        thinking = Thinking(model=model, registry=lambda: registry)
        async with host.running(LocalPerformer(host, Compiler(), pool, clock, thinking=thinking)):
            surroundings = Surroundings(model=model, reviewers_exist=lambda: bool(reviewers.active()))
            yield Desk(
                orchestrator=Orchestrator(host, lambda: registry, Compiler(), surroundings=surroundings),
                host=host,
                fleet=fleet,
                reviewers=reviewers,
                registry=registry,
            )


ASSERTED: Final = Proof(kind=ProofKind.ARGUMENT)
ELICITED: Final = Proof(kind=ProofKind.ELICITATION)
REVIEWER: Final = Proof(kind=ProofKind.PASSPHRASE, reviewer="ana", secret=PASSPHRASE)
