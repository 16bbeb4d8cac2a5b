"""What the processes of simulations and soaks are made of: contracts, agents, named shapes of plans, random plans.

A shape is one entry of `SHAPES`; what is listed there is simulated, soaked, and killed at every journal write.
"""

import random
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compile import CompiledProcess
from process_orchestrator.core.facts.values import Assurance

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


def contract(name: str, **more: Json) -> dict[str, Json]:
    return {
        "contract": name,
        "version": "1.0.0",
        "summary": f"The simulation's {name}.",
        "input": GIVEN,
        "output": BODY,
        "errors": ERRORS,
        "timeout": IN_TIME,
        "ensures": [{"id": "same", "expr": "output.n == input.n"}],
        **more,
    }


CONTRACTS: Final[tuple[dict[str, Json], ...]] = (
    contract("sim.look", effects={"kind": "read"}, retry=RETRY, cost={"per_call_usd": 0}),
    contract("sim.read", effects={"kind": "read"}, retry=RETRY, requires=[{"id": "small", "expr": "input.n < 90"}]),
    contract(
        "sim.book",
        effects={"kind": "write", "undo": {"contract": "sim.void", "in": {"n": "$.output.n"}}},
        idempotency={"key": "request_id"},
        input=KEYED_INPUT,
        retry=RETRY,
    ),
    contract("sim.send", effects={"kind": "write"}),
    contract("sim.put", effects={"kind": "write"}, idempotency="natural", retry=RETRY),
    contract(
        "sim.pay",
        effects={"kind": "write"},
        idempotency={"key": "request_id"},
        input=KEYED_INPUT,
        retry=RETRY,
        cost={"per_call_usd": 0.02},
        approval={"when": {"expr": "input.n > 1"}, "role": "approver", "min_assurance": "A1"},
    ),
    {**contract("sim.ask", effects={"kind": "read"}), "ensures": []},
    contract("sim.poll", effects={"kind": "read"}, retry=RETRY, output={**BODY, "required": ["n", "known"]}),
    contract("sim.void", effects={"kind": "write"}, idempotency={"key": "request_id"}, input=KEYED_INPUT, retry=RETRY),
)
SERVED: Final = {
    "one": ("look", "read", "book", "send", "put", "pay", "poll", "void"),
    "two": ("look", "read", "book", "put", "pay", "poll", "void"),
}
UNSAFE: Final = "sim.send"
KEYED: Final = frozenset({"sim.book", "sim.pay", "sim.void"})
CHANGING: Final = frozenset(each["contract"] for each in CONTRACTS if each["effects"]["kind"] == "write")


def agents() -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = [
        {
            "agent": name,
            "summary": "An agent of the simulation.",
            "transport": {"kind": "in_process"},
            "serves": [{"contract": f"sim.{each}"} for each in served],
            "prefer": place,
        }
        for place, (name, served) in enumerate(SERVED.items())
    ]
    person = {"kind": "human", "role": "approver"}
    return [
        *found,
        {"agent": "person", "summary": "A person.", "transport": person, "serves": [{"contract": "sim.ask"}]},
    ]


INPUT: Final[dict[str, Json]] = {
    "type": "object",
    "required": ["n", "known", "list"],
    "properties": {
        "n": {"type": "integer"},
        "known": {"type": "boolean"},
        "list": {"type": "array", "items": {"type": "integer"}},
    },
}


def step(name: str, called: str, source: str = "$.input.n", **more: Json) -> dict[str, Json]:
    return {"id": name, "contract": f"sim.{called}", "in": {"n": source}, **more}


class Shape(NamedTuple):
    """A plan. `more` goes into its process type.

    `given` is the input of its reference run, `troubles` what its agents do there to which call, else they answer well:
    a code that they fail with, after the deed for those of `network.AFTER_THE_DEED`.
    """

    steps: tuple[dict[str, Json], ...]
    given: dict[str, Json]
    troubles: dict[str, str]
    more: dict[str, Json]


def shape(
    *steps: dict[str, Json], n: int = 1, items: int = 3, troubles: dict[str, str] | None = None, **more: Json
) -> Shape:
    return Shape(steps, {"n": n, "known": True, "list": list(range(1, items + 1))}, troubles or {}, more)


KNOWN: Final = {"let": {"known": "$.output.known"}, "expr": "known"}
SHAPES: Final[dict[str, Shape]] = {
    "sequence": shape(
        step("a", "read"), step("b", "book", "$.steps.a.output.n"), step("c", "send", "$.steps.b.output.n")
    ),
    "map": shape(
        step("all", "book", "$.item", for_each="$.input.list", parallel=2), step("z", "put", after=["all"]), items=4
    ),
    "approval": shape(step("pay", "pay"), step("z", "read", "$.steps.pay.output.n"), n=5),
    "retry": shape(
        step("a", "read"),
        step("b", "put", "$.steps.a.output.n"),
        step("c", "book", "$.steps.b.output.n"),
        troubles={"a.1": "busy", "a.2": "unreachable", "b.1": "lost", "b.2": "busy", "c.1": "half_done", "c.2": "lost"},
    ),
    "person": shape(step("ask", "ask"), step("b", "book", "$.steps.ask.output.n")),
    "unsafe": shape(step("a", "send"), step("b", "send", after=["a"])),
    "wide": shape(*(step(f"w{place}", "book") for place in range(5)), step("z", "read", after=["w0", "w3"])),
    "wait": shape(
        step("a", "book"), {"id": "rest", "wait": {"seconds": 2}, "after": ["a"]}, step("z", "put", after=["rest"])
    ),
    "repeat": shape(
        step("poll", "poll", repeat={"until": KNOWN, "max": 4, "every_s": 0.5}),
        step("z", "book", "$.steps.poll.output.n"),
        troubles={"poll#1.1": "again", "poll#2.1": "busy", "poll#2.2": "again"},
    ),
    "compensation": shape(
        step("a", "book"),
        step("all", "book", "$.item", for_each="$.input.list", after=["a"]),
        step("b", "book", after=["all"]),
        step("doomed", "read", "$.steps.b.output.n", on_failure="compensate"),
        items=2,
        troubles={"doomed.1": "unknown_vendor", "b!undo.1": "busy", "all[1]!undo.1": "lost"},
    ),
    "part": shape(
        step("a", "book"),
        {"id": "part", "process": "retry", "in": {"n": "$.input.n", "known": True, "list": []}, "after": ["a"]},
        step("z", "book", after=["part"]),
    ),
    "money": shape(*(step(f"p{place}", "pay") for place in range(4)), budget={"usd": 0.05, "calls": 100}),
}
"""Every shape by name. The first run of each, without a fault, tells what every disturbed run must come to."""


PARTS: Final = ("sequence", "map", "person", "compensation")
"""Shapes that random plans start as processes of their own."""


def process_type(name: str, shaped: Shape) -> dict[str, Json]:
    output = {each["id"]: f"$.steps.{each['id']}.output" for each in shaped.steps}
    return {
        "process": name,
        "version": "1.0.0",
        "summary": "A process of the simulation.",
        "input": INPUT,
        "output": {"type": "object"},
        "plan": {"steps": list(shaped.steps), "output": output},
        "budget": {"calls": 100},
        "escalation": {"min_assurance": "A0"},
        **shaped.more,
    }


def random_type(draw: random.Random, number: int) -> dict[str, Json]:
    """A type of one to six steps; what the plan check refuses is drawn again by `random_types`."""
    steps: list[dict[str, Json]] = []
    for place in range(draw.randint(1, 6)):
        earlier = [(each["id"], "for_each" in each or "contract" not in each) for each in steps]
        steps.append(_random_step(draw, place, earlier))
    output = {
        each["id"]: draw.choice([f"$.steps.{each['id']}.output", f"$.steps.{each['id']}.status"]) for each in steps
    }
    found = process_type(f"random{number}", shape(*steps))
    budget = {"calls": draw.choice([8, 60, 200]), "usd": draw.choice([0.03, 0.2, 1.0])}
    ends = {"on_cancel": draw.choice(["leave", "compensate"]), "on_abort": draw.choice(["leave", "compensate"])}
    return {**found, "plan": {"steps": steps, "output": output}, "budget": budget, **ends}


def _random_step(draw: random.Random, place: int, earlier: list[tuple[str, bool]]) -> dict[str, Json]:
    plain = [name for name, mapped in earlier if not mapped]
    if draw.random() < 0.05:
        return {
            "id": f"s{place}",
            "wait": {"seconds": draw.choice([1, 30])},
            "after": [name for name, _ in earlier[:1]],
        }
    if draw.random() < 0.07:
        given = {"n": "$.input.n", "known": "$.input.known", "list": "$.input.list"}
        word = draw.choice(["escalate", "fail", "compensate"])
        return {"id": f"s{place}", "process": draw.choice(PARTS), "in": given, "on_failure": word}
    if draw.random() < 0.1:
        return step(f"s{place}", "poll", repeat={"until": KNOWN, "max": draw.randint(1, 4), "every_s": 0.5})
    found: dict[str, Json] = {
        "id": f"s{place}",
        "contract": draw.choice([each["contract"] for each in CONTRACTS[:7]]),
        "in": {"n": draw.choice(["$.input.n", *(f"$.steps.{name}.output.n" for name in plain)])},
    }
    if earlier and draw.random() < 0.5:
        found["after"] = [draw.choice(earlier)[0]]
    if draw.random() < 0.3 and found["contract"] != "sim.ask":
        found["for_each"] = "$.input.list"
        found["parallel"] = draw.randint(1, 5)
        found["in"] = {"n": "$.item"}
        if draw.random() < 0.5:
            found["item_failure"] = "skip"
        if draw.random() < 0.2:
            found["when"] = {"let": {"n": "$.item"}, "expr": "n < 3"}
    elif draw.random() < 0.3:
        found["when"] = draw.choice(["$.input.known", {"let": {"n": "$.input.n"}, "expr": "7 / n > 1"}])
    if draw.random() < 0.7:
        found["default"] = [] if "for_each" in found else {"n": 0}
    if draw.random() < 0.5:
        found["on_failure"] = draw.choice(
            ["escalate", "fail", "skip", "compensate", {"unknown_vendor": "skip", "else": "escalate"}]
        )
    if draw.random() < 0.15:
        found["approval"] = {"min_assurance": draw.choice(["A0", "A1"])}
    return found


def registry_of(types: list[dict[str, Json]]) -> Registry:
    return Registry.of(
        [definition_from_dict("contract", each) for each in CONTRACTS],
        [definition_from_dict("process", each) for each in types],
        [definition_from_dict("agent", each) for each in agents()],
    )


def random_types(draw: random.Random, count: int) -> list[dict[str, Json]]:
    """Random types whose plans are sound."""
    drawn: list[dict[str, Json]] = []
    while len(drawn) < count:
        wanted = random_type(draw, len(drawn))
        registry = registry_of([*(process_type(name, SHAPES[name]) for name in PARTS), wanted])
        found = registry.process(wanted["process"])
        if found is not None and registry.plan(found, server_floor=Assurance.A0).facts is not None:
            drawn.append(wanted)
    return drawn


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Compiled types by name, and the registry that they are of."""

    registry: Registry
    types: dict[str, tuple[ProcessType, CompiledProcess]]

    @classmethod
    def of(cls, drawn: list[dict[str, Json]]) -> "Catalogue":
        """The named shapes and what was drawn beside them. A shape whose plan is refused is a fault of ours."""
        registry = registry_of([*(process_type(name, each) for name, each in SHAPES.items()), *drawn])
        found: dict[str, tuple[ProcessType, CompiledProcess]] = {}
        for each in registry.processes:
            compiled = registry.plan(each, server_floor=Assurance.A0)
            assert compiled.facts is not None, f"the plan of {each.name} is refused"
            found[each.name] = each, compiled
        return cls(registry=registry, types=found)


@cache
def catalogue(seed: int = 20261122, count: int = 40) -> Catalogue:
    """The one of all simulations of this program: compiling it costs more than hundreds of seeds."""
    return Catalogue.of(random_types(random.Random(seed), count))
