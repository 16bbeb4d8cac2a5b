"""Stages of a simulation: a model that finds types, makes plans and writes prose, and fails in every way of doing so.

A step of such a plan is told by its id alone (`r2b_read_on_r2a_book`), so that the plan of what is left can be put
together from the ids that are kept. Plans are compiled and checked by the real compiler.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import anyio

from faults.catalogue import process_type, registry_of, shape, step
from process_orchestrator.checking.plans.compile import CompiledProcess
from process_orchestrator.checking.schemas.validate import encode_body, read_stored, ref_of
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.commands import CheckPlan, ClassifyTask, Command, ProposePlan, WriteBrief
from process_orchestrator.core.facts.events import BriefWritten, PlanChecked, PlanProposed, StageFailed, TaskClassified
from process_orchestrator.core.facts.specs import Budget, ProcessSpec
from process_orchestrator.core.facts.values import Assurance, Blame, Stage, TypePin, Usage
from process_orchestrator.core.ports import Artifacts, Bodies, Body, Clock, DefinitionBody, Performed, Performer

Json = Any
MADE: Final = "made"
"""The type whose plans a model makes."""
PRICES: Final[dict[str, int | None]] = {"intake": 900, "plan": 4000, "brief": 300}
SPENT: Final = Usage(usd_micros=200, tokens=50, ms=20)
THINKS_S: Final = 0.05
HANGS_S: Final = 2.0
ABSENT: Final = ("unreachable", "rate_limited", "timeout")
BAD: Final = ("not_json", "truncated", "too_large", "output_mismatch", "no_model", "refused", "no_way")
CALLED: Final = ("look", "read", "book", "put", "send", "pay", "poll")


class Made(NamedTuple):
    """A reference process whose plans a model makes: what it says round by round, and what agents do to which call."""

    plans: tuple[tuple[str, ...], ...]
    troubles: dict[str, str]
    absent: tuple[str, ...] = ()  # ways in which its planner fails, one after the other, before it answers


MADE_SHAPES: Final[dict[str, Made]] = {
    "planned": Made(
        plans=(
            ("r1a_book", "r1b_read_on_r1a_book", "r1c_put_on_r1b_read_on_r1a_book"),
            ("r2a_send_on_r1a_book", "r2b_book_on_r2a_send_on_r1a_book"),
        ),
        troubles={"r1b_read_on_r1a_book.1": "unknown_vendor", "r2b_book_on_r2a_send_on_r1a_book.1": "lost"},
    ),
    "planned-late": Made(plans=(("r1a_book",),), troubles={}, absent=("unreachable", "rate_limited")),
    "planned-in-vain": Made(
        plans=(("r1a_book", "r1b_each_book", "u1c_read_on_r1b_each_book"), ("r2a_book", "u2b_poll_on_r2a_book")),
        troubles={
            "u1c_read_on_r1b_each_book.1": "unknown_vendor",
            "u2b_poll_on_r2a_book.1": "unknown_vendor",
        },
    ),
}
"""The last fails with its last plan too: what both plans did is undone."""
GIVEN: Final[dict[str, Json]] = {"n": 1, "known": True, "list": [1, 2]}


def step_of(name: str) -> dict[str, Json]:
    """A step from its id alone: what it calls, and after which step."""
    own, _, before = name.partition("_on_")
    called = own.partition("_")[2]
    mapped = called.startswith("each_")
    more: dict[str, Json] = {"after": [before]} if before else {}
    if mapped:
        return step(name, called.removeprefix("each_"), "$.item", for_each="$.input.list", parallel=2, **more)
    if own.startswith("u"):
        more["on_failure"] = "compensate"
    return step(name, called, **more)


@lru_cache(maxsize=4096)
def compiled(names: tuple[str, ...]) -> CompiledProcess:
    """The plan of these steps, judged by the real compiler: once, as that takes longer than a seed."""
    registry = registry_of([process_type(MADE, shape(*map(step_of, names)))])
    found = registry.process(MADE)
    assert found is not None
    return registry.plan(found, server_floor=Assurance.A0)


class Thinker:
    """All models of a world. What it remembers outlives engines: how often each was asked for what."""

    def __init__(self, *, seed: int, faults: bool, made: Made | None = None) -> None:
        self.seed, self.faults, self._made = seed, faults, made
        self.calm = False
        self.asked: Counter[str] = Counter()

    def around(self, performer: Performer, artifacts: Artifacts, clock: Clock) -> Performer:
        return Thoughtful(self, performer, artifacts, clock)

    def draw(self, command: Command, what: str) -> random.Random:
        slot = f"{command.process} {type(command).__name__} {what}"
        self.asked[slot] += 1
        return random.Random(f"{self.seed} {slot} {self.asked[slot]}")

    def plan(self, number: int, draw: random.Random, kept: Sequence[str]) -> tuple[str, ...]:
        """What is proposed beside the kept steps: as it is written, or one to four steps at random."""
        if self._made is not None:
            return self._made.plans[min(number, len(self._made.plans)) - 1]
        names: list[str] = []
        for letter in "abcd"[: draw.randint(1, 4)]:
            called = draw.choice([*CALLED, "each_book", "each_read"])
            word = "u" if draw.random() < 0.2 else "r"
            before = draw.choice([*kept, *names]) if (kept or names) and draw.random() < 0.6 else ""
            chained = "_on_" in before or len(before) > 24  # an id tells its own need alone
            names.append(f"{word}{number}{letter}_{called}{'' if chained or not before else f'_on_{before}'}")
        return tuple(names)

    def trouble(self, command: Command, draw: random.Random) -> str:
        """How this time ends: the code of a failure, a fault of ours, a model that hangs first, or nothing of these."""
        if self._made is not None:
            number = self.asked[f"{command.process} {ProposePlan.__name__} "]
            absent = self._made.absent[: number if isinstance(command, ProposePlan) else 0]
            return absent[-1] if len(absent) == number > 0 else ""
        roll = 1.0 if self.calm or not self.faults else draw.random()
        if roll < 0.05:
            return "a fault of ours" if roll < 0.02 else "it hangs"
        return draw.choice(ABSENT if roll < 0.2 else BAD) if roll < 0.33 else ""


class Thoughtful:
    """A performer whose stages are answered by a `Thinker`; all else by the real one."""

    def __init__(self, thinker: Thinker, performer: Performer, artifacts: Artifacts, clock: Clock) -> None:
        self._thinker, self._performer, self._artifacts, self._clock = thinker, performer, artifacts, clock

    async def perform(self, command: Command, *, delivery: int, heartbeat: Callable[[], None]) -> Performed:
        match command:
            case ClassifyTask():
                return await self._moody(command, Stage.INTAKE, self._classify)
            case ProposePlan():
                return await self._moody(command, Stage.PLAN, self._propose)
            case WriteBrief(escalation=escalation):
                return await self._moody(command, Stage.BRIEF, self._write, escalation=escalation)
            case CheckPlan():
                return await self._check(command)
            case _:
                return await self._performer.perform(command, delivery=delivery, heartbeat=heartbeat)

    async def _moody(self, command: Any, stage: Stage, answer: Any, *, escalation: str | None = None) -> Performed:
        """An answer, or one of the ways in which a model gives none."""
        draw = self._thinker.draw(command, escalation or "")
        trouble = self._thinker.trouble(command, draw)
        await anyio.sleep(draw.random() * THINKS_S)
        if trouble == "a fault of ours":
            raise RuntimeError(trouble)
        if trouble == "it hangs":
            await anyio.sleep(HANGS_S)
        elif trouble:
            error = ModelError(trouble, "as it is drawn", retry_after_ms=draw.choice([None, 20, 5000]))
            return self._failed(stage, error, draw.choice([Usage(), SPENT]), escalation=escalation)
        return await answer(command, draw)

    def _failed(self, stage: Stage, error: ModelError, usage: Usage, *, escalation: str | None) -> Performed:
        event = StageFailed(
            at=self._clock.now_ms(),
            stage=stage,
            code=error.code,
            blame=Blame.TRANSPORT,
            retry_after_ms=error.retry_after_ms,
            escalation=escalation,
            usage=usage,
        )
        return Performed(event=event)

    async def _classify(self, command: ClassifyTask, _draw: random.Random) -> Performed:
        assert command.task is not None
        told = read_stored(await self._artifacts.body(command.task))
        data = encode_body(told["given"])
        event = TaskClassified(
            at=self._clock.now_ms(),
            process_type=TypePin(**told["type"]),
            input=ref_of(data),
            by="model",
            budget=Budget(usd_micros=told["usd_micros"]),
            usage=SPENT,
        )
        return Performed(event=event, bodies=(Body(ref=ref_of(data), data=data),))

    async def _propose(self, command: ProposePlan, draw: random.Random) -> Performed:
        names = self._thinker.plan(command.round, draw, command.kept)
        data = encode_body({"steps": list(names)})
        event = PlanProposed(at=self._clock.now_ms(), plan=ref_of(data), round=command.round, usage=SPENT)
        return Performed(event=event, bodies=(Body(ref=ref_of(data), data=data),))

    async def _check(self, command: CheckPlan) -> Performed:
        """The merged plan as it compiles; sometimes what was kept is forgotten, which the core must not let pass."""
        said = read_stored(await self._artifacts.body(command.plan))["steps"]
        draw = self._thinker.draw(command, command.plan.sha256)
        forgets = self._thinker.faults and not self._thinker.calm and draw.random() < 0.1
        kept = () if forgets else command.kept
        found = compiled((*kept, *(name for name in said if name not in kept)))
        report = encode_body({"problems": [problem.message for problem in found.problems]})
        body = Body(ref=ref_of(report), data=report)
        facts = found.facts
        event = PlanChecked(at=self._clock.now_ms(), ok=facts is not None, plan=facts, report=body.ref)
        return Performed(event=event, bodies=(body,), definitions=found.definitions if facts is not None else ())

    async def _write(self, command: WriteBrief, _draw: random.Random) -> Performed:
        data = encode_body({"paragraph": command.escalation})
        body = Body(ref=ref_of(data), data=data)
        event = BriefWritten(at=self._clock.now_ms(), escalation=command.escalation, brief=body.ref, usage=SPENT)
        return Performed(event=event, bodies=(body,))


def task_of(pin: TypePin, given: Json, usd_micros: int) -> Body:
    """What a process is asked to do in words that only the intake of a simulation reads."""
    told = {
        "type": {"name": pin.name, "version": pin.version, "sha256": pin.sha256},
        "given": given,
        "usd_micros": usd_micros,
    }
    data = encode_body(told)
    return Body(ref=ref_of(data), data=data)


@cache
def made_type() -> tuple[TypePin, tuple[DefinitionBody, ...]]:
    """The type whose plans are made, and what it pins."""
    found = compiled(("base_look",))
    definition = next(each for each in found.definitions if each.kind == "process")
    pin = TypePin(name=definition.name, version=definition.version, sha256=definition.sha256)
    return pin, found.definitions


def wish_of(key: str, given: Json, *, usd_micros: int = 1_000_000, **more: Any) -> tuple[ProcessSpec, Bodies]:
    """A task in words: its type, its input and its plan are all to be found."""
    pin, definitions = made_type()
    task = task_of(pin, given, usd_micros)
    spec = ProcessSpec(
        principal="simulation",
        key=key,
        request_sha256=task.ref.sha256,
        task=task.ref,
        budget=Budget(usd_micros=usd_micros),
        models=PRICES,
        **more,
    )
    return spec, Bodies(artifacts=(task,), definitions=definitions)
