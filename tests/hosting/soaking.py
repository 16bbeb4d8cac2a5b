"""A world for soaks: random process types over real contracts, agents that fail at random, people who decide at random.

Everything is drawn from one seed. The world keeps its own books of what agents did, so that no effect is judged by the
engine's word alone.
"""

import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio

from process_orchestrator.assemble import Fleet, open_engine
from process_orchestrator.checking.compile import CompiledProcess
from process_orchestrator.checking.definitions import ProcessType
from process_orchestrator.checking.loader import definition_from_dict
from process_orchestrator.checking.registry import Registry
from process_orchestrator.checking.validate import encode_body, ref_of
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.events import CancelRequested, EscalationResolved
from process_orchestrator.core.facts.specs import Budget, ProcessSpec
from process_orchestrator.core.facts.state import Escalation, Process
from process_orchestrator.core.facts.values import ApprovalMode, Assurance, Decision, FailureClass, TypePin
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.ports import Bodies, Body, Host, InProcessAgent, InProcessCall, Proof, ProofKind

Json = Any

BODY: Final[dict[str, Json]] = {
    "type": "object",
    "required": ["n"],
    "properties": {
        "n": {"type": "integer"},
        "known": {"type": "boolean"},
        "list": {"type": "array", "items": {"type": "integer"}},
    },
}
GIVEN: Final[dict[str, Json]] = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer"}, "extra": {}},
}
KEYED_INPUT: Final[dict[str, Json]] = {
    **GIVEN,
    "required": ["n", "request_id"],
    "properties": {**GIVEN["properties"], "request_id": {"type": "string"}},
}
ERRORS: Final = {
    "busy": {"class": "transient", "retry_after": True},
    "unknown_vendor": {"class": "invalid_input"},
    "half_done": {"class": "transient", "outcome": "unknown"},
    "person": {"class": "needs_human"},
}
IN_TIME: Final = {"attempt_s": 0.15, "total_s": 1.5}
RETRY: Final = {"max_attempts": 3, "on": ["transient", "timeout", "lost", "contract"], "initial_s": 0.01, "max_s": 0.05}


def _contract(name: str, **more: Json) -> dict[str, Json]:
    return {
        "contract": name,
        "version": "1.0.0",
        "summary": f"The soak's {name}.",
        "input": GIVEN,
        "output": BODY,
        "errors": ERRORS,
        "timeout": IN_TIME,
        "ensures": [{"id": "same", "expr": "output.n == input.n"}],
        **more,
    }


CONTRACTS: Final = (
    _contract("soak.look", effects={"kind": "read"}, retry=RETRY, cost={"per_call_usd": 0}),
    _contract("soak.read", effects={"kind": "read"}, retry=RETRY, requires=[{"id": "small", "expr": "input.n < 90"}]),
    _contract(
        "soak.book", effects={"kind": "write"}, idempotency={"key": "request_id"}, input=KEYED_INPUT, retry=RETRY
    ),
    _contract("soak.send", effects={"kind": "write"}),
    _contract("soak.put", effects={"kind": "write"}, idempotency="natural", retry=RETRY),
    _contract(
        "soak.pay",
        effects={"kind": "write"},
        idempotency={"key": "request_id"},
        input=KEYED_INPUT,
        retry=RETRY,
        approval={"when": {"expr": "input.n > 1"}, "role": "approver", "min_assurance": "A1"},
    ),
    {**_contract("soak.ask", effects={"kind": "read"}), "ensures": []},
)
SERVED: Final = {
    "one": ("look", "read", "book", "send", "put", "pay"),
    "two": ("look", "read", "book", "put", "pay"),
}
UNSAFE: Final = "soak.send"
KEYED: Final = frozenset({"soak.book", "soak.pay"})


def agents() -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = [
        {
            "agent": name,
            "summary": "An agent of the soak.",
            "transport": {"kind": "in_process"},
            "serves": [{"contract": f"soak.{each}"} for each in served],
            "prefer": place,
        }
        for place, (name, served) in enumerate(SERVED.items())
    ]
    person = {"kind": "human", "role": "approver"}
    return [
        *found,
        {"agent": "person", "summary": "A person.", "transport": person, "serves": [{"contract": "soak.ask"}]},
    ]


def random_type(draw: random.Random, number: int) -> dict[str, Json]:
    """A type of one to six steps; what the plan check refuses is drawn again by `types`."""
    steps: list[dict[str, Json]] = []
    for place in range(draw.randint(1, 6)):
        earlier = [(step["id"], "for_each" in step) for step in steps]
        plain = [name for name, mapped in earlier if not mapped]
        step: dict[str, Json] = {
            "id": f"s{place}",
            "contract": draw.choice([each["contract"] for each in CONTRACTS]),
            "in": {"n": draw.choice(["$.input.n", *(f"$.steps.{name}.output.n" for name in plain)])},
        }
        if earlier and draw.random() < 0.5:
            step["after"] = [draw.choice(earlier)[0]]
        if draw.random() < 0.3 and step["contract"] != "soak.ask":
            step["for_each"] = "$.input.list"
            step["parallel"] = draw.randint(1, 5)
            step["in"] = {"n": "$.item"}
            if draw.random() < 0.5:
                step["item_failure"] = "skip"
            if draw.random() < 0.2:
                step["when"] = {"let": {"n": "$.item"}, "expr": "n < 3"}
        elif draw.random() < 0.3:
            step["when"] = draw.choice(["$.input.known", {"let": {"n": "$.input.n"}, "expr": "7 / n > 1"}])
        if draw.random() < 0.7:
            step["default"] = [] if "for_each" in step else {"n": 0}
        if draw.random() < 0.5:
            step["on_failure"] = draw.choice(
                ["escalate", "fail", "skip", {"unknown_vendor": "skip", "else": "escalate"}]
            )
        if draw.random() < 0.15:
            step["approval"] = {"min_assurance": draw.choice(["A0", "A1"])}
        steps.append(step)
    names = [step["id"] for step in steps]
    output = {name: draw.choice([f"$.steps.{name}.output", f"$.steps.{name}.status"]) for name in names}
    return {
        "process": f"soak{number}",
        "version": "1.0.0",
        "summary": "A process of the soak.",
        "input": {
            "type": "object",
            "required": ["n", "known", "list"],
            "properties": {
                "n": {"type": "integer"},
                "known": {"type": "boolean"},
                "list": {"type": "array", "items": {"type": "integer"}},
            },
        },
        "output": {"type": "object"},
        "plan": {"steps": steps, "output": output},
        "budget": {"calls": draw.choice([8, 60, 200])},
        "escalation": {"min_assurance": "A0"},
    }


def registry_of(types: list[dict[str, Json]]) -> Registry:
    return Registry.of(
        [definition_from_dict("contract", each) for each in CONTRACTS],
        [definition_from_dict("process", each) for each in types],
        [definition_from_dict("agent", each) for each in agents()],
    )


class World:
    """What happens outside the engine, and the books of it."""

    def __init__(self, seed: int, *, types: int = 40) -> None:
        self.draw = random.Random(seed)
        self.effects: Counter[tuple[str, str]] = Counter()  # (process/unit, key or call) -> times it was really done
        self.calls = 0
        self.refused: Counter[str] = Counter()
        self.decided: Counter[str] = Counter()
        self.asked_for = 0  # starts, acknowledged or not
        self.registry, self.types = self._types(types)

    def _types(self, count: int) -> tuple[Registry, list[tuple[ProcessType, CompiledProcess]]]:
        """Random types whose plans are sound."""
        drawn: list[dict[str, Json]] = []
        while len(drawn) < count:
            wanted = random_type(self.draw, len(drawn))
            registry = registry_of([wanted])
            found = registry.process(wanted["process"])
            if found is not None and registry.plan(found, server_floor=Assurance.A0).facts is not None:
                drawn.append(wanted)
        registry = registry_of(drawn)
        return registry, [(each, registry.plan(each, server_floor=Assurance.A0)) for each in registry.processes]

    # --- agents ------------------------------------------------------------------------------------------------

    def agents(self) -> dict[str, InProcessAgent]:
        return dict.fromkeys(SERVED, self.work)

    async def work(self, arguments: dict[str, Json], told: InProcessCall) -> Json:
        """Do it or not, and say the truth, nothing, or nonsense. What is told as `not_done` was not done."""
        self.calls += 1
        roll = self.draw.random()
        if self.draw.random() < 0.5:
            await anyio.sleep(self.draw.random() * 0.02)
        if roll < 0.06:
            raise AgentCallError("busy", "later", retry_after_ms=self.draw.choice([None, 5, 30]))
        if roll < 0.09:
            raise AgentCallError("unknown_vendor", "nobody")
        if roll < 0.10:
            raise AgentCallError("person", "ask somebody")
        if roll < 0.13:
            raise AgentCallError("unreachable", "nobody listens")
        if roll < 0.16:
            await anyio.sleep(30)  # mute, and nothing was done
        done = roll < 0.97
        if done:
            self._do(arguments, told)
        if roll < 0.20:
            await anyio.sleep(30)  # done, but mute
        if roll < 0.23:
            raise AgentCallError("half_done", "who knows")
        if roll < 0.25:
            raise RuntimeError("a \ud800 fault")
        if roll < 0.28:
            raise AgentCallError("lost", "reset")
        if roll < 0.31:
            return self.draw.choice(
                [None, [], {"n": "x"}, {"n": arguments["n"] + 1}, {"n": float("nan")}, {"n": 1e400}]
            )
        if not done:
            raise AgentCallError("undeclared_error", "503", class_=FailureClass.TRANSIENT)
        return {"n": arguments["n"], "known": self.draw.random() < 0.5, "list": [1, 2]}

    def _do(self, arguments: dict[str, Json], told: InProcessCall) -> None:
        name = told.contract.partition("@")[0]
        unit = f"{told.process}/{told.call.rpartition('.')[0]}"
        if name in KEYED:
            assert arguments["request_id"] == told.key
            self.effects[unit, told.key] = 1  # it keeps its contract: once under one key
        elif name == UNSAFE:
            self.effects[unit, told.call] += 1

    # --- the engine and what is asked of it -----------------------------------------------------------------------

    @asynccontextmanager
    async def engine(self, state: Path) -> AsyncGenerator[Host]:
        fleet = Fleet(lambda: self.registry, home=state, in_process=self.agents())
        async with open_engine(state, fleet, processes_running_max=self.draw.choice([3, 100])) as host:
            yield host

    async def start(self, host: Host) -> Process:
        self.asked_for += 1
        found, compiled = self.draw.choice(self.types)
        given = {
            "n": self.draw.choice([0, 1, 2, 5, 99]),
            "known": self.draw.random() < 0.5,
            "list": [self.draw.randint(0, 5) for _ in range(self.draw.choice([0, 1, 3, 30]))],
        }
        data = encode_body(given)
        ref = ref_of(data)
        spec = ProcessSpec(
            principal="soak",
            key=f"k{self.asked_for}",
            request_sha256=ref.sha256,
            input=ref,
            type=TypePin(name=found.name, version=found.version, sha256=found.source.sha256),
            plan=compiled.facts,
            approval=self.draw.choice([ApprovalMode.POLICY] * 4 + [ApprovalMode.PLAN, ApprovalMode.EVERY_STEP]),
            budget=Budget(calls=found.budget.calls),
            limits=Limits(calls=found.budget.calls, open_escalations=self.draw.choice([2, 20])),
        )
        bodies = Bodies(artifacts=(Body(ref=ref, data=data),), definitions=compiled.definitions)
        return await host.start(spec, bodies)

    async def cancel(self, host: Host, process: str) -> None:
        event = CancelRequested(at=0, by="soak", reason="a whim", request_id=f"{process} cancel")
        await host.deliver(process, event, Bodies(), request_id=event.request_id, proof=None)

    async def decide(self, host: Host, state: Process, escalation: Escalation, decision: Decision) -> None:
        """One decision with all that it needs, by a person at a terminal."""
        bodies, data, checked = Bodies(), None, None
        if decision in (Decision.USE_OUTPUT, Decision.ANSWER, Decision.RETRY_WITH_INPUT):
            value = {"n": self.draw.randint(0, 5)}
            stored = encode_body(value)
            data, checked = ref_of(stored), escalation.contract_sha256
            bodies = Bodies(artifacts=(Body(ref=data, data=stored),))
        unit = state.units.get(escalation.unit or "")
        count = unit.count if unit is not None else None
        whole_map = decision is Decision.APPROVE and count
        event = EscalationResolved(
            at=0,
            escalation=escalation.id,
            version=self.draw.choice([None, escalation.version]),
            decision=decision,
            data=data,
            checked=checked,
            agent=self.draw.choice(list(SERVED)) if decision is Decision.USE_AGENT else None,
            reject_items=tuple(range(0, count or 0, 2)) if whole_map and self.draw.random() < 0.5 else (),
            fresh_key=decision is Decision.RETRY and self.draw.random() < 0.2,
            request_id=f"{escalation.id} {self.draw.random()}",
        )
        proof = Proof(kind=ProofKind.TERMINAL)
        await host.deliver(state.spec.process_id, event, bodies, request_id=event.request_id, proof=proof)
        self.decided[decision.value] += 1
