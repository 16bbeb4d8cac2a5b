"""A process type as a step of another: which one a step means, whether it may stand there, what its parent pins of it.

What is pinned of a child is named by content, in its parent's facts. So a type that starts itself cannot be pinned at
all: it is refused when it is checked, not found out in a run.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.core.facts.specs import Budget, ChildFacts
from process_orchestrator.core.facts.values import Effect, TypePin
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.money import MICROS_PER_USD

if TYPE_CHECKING:
    from process_orchestrator.checking.plans.compile import CompiledProcess
    from process_orchestrator.core.facts.specs import PlanFacts

Json = Any

_STRENGTH: Final = (Effect.NONE, Effect.READ, Effect.WRITE, Effect.IRREVERSIBLE)


class Types(Protocol):
    """Where process types are looked up: the registry."""

    def process(self, name: str, version: str | None = None, /) -> ProcessType | None: ...

    def plan(self, process_type: ProcessType, /) -> CompiledProcess: ...

    def nearest(self, kind: str, name: str, /) -> tuple[str, ...]: ...


class Refused(NamedTuple):
    """Why a type may not stand in a step."""

    code: str
    message: str
    fix: str


def child_of(written: str, *, parent: ProcessType, types: Types) -> tuple[ProcessType | None, Refused | None]:
    """The type that a step starts; or why it may not."""
    child = types.process(written)
    if child is None:
        names = ", ".join(types.nearest("process", written)) or "none yet"
        return None, Refused("UNKNOWN_PROCESS_TYPE", f"there is no process type {written}", f"nearest: {names}")
    if child.plan is None:
        message = f"{child.name} {child.version} has no fixed plan, so nothing of it can be pinned beforehand"
        return None, Refused("NO_PLAN", message, f"give {child.name} a plan")
    way = _circle(child, (parent,), types)
    if way is not None:
        message = f"the types start each other without end: {' -> '.join(each.name for each in way)}"
        fix = "repeat a step, or go through a list with for_each, instead"
        return None, Refused("RECURSION", message, fix)
    line = (parent, *_deepest(child, types))
    allowed = min(each.limits.depth for each in line)
    if len(line) - 1 > allowed:
        message = f"{' -> '.join(each.name for each in line)}: {len(line) - 1} levels, limits.depth allows {allowed}"
        return None, Refused("TOO_DEEP", message, "raise limits.depth of all these types, or start fewer in a row")
    errors = [problem for problem in types.plan(child).problems if problem.level == "error"]
    if errors:
        message = f"{child.name} {child.version} has errors: {errors[0].message}"
        return None, Refused("BROKEN_PROCESS", message, f"correct {child.name} first")
    return child, None


def _started_by(process_type: ProcessType, types: Types) -> list[ProcessType]:
    steps = process_type.plan.steps if process_type.plan is not None else ()
    found = [types.process(step.process) for step in steps if step.process is not None]
    return list({each.source.sha256: each for each in found if each is not None}.values())


def _circle(process_type: ProcessType, above: tuple[ProcessType, ...], types: Types) -> tuple[ProcessType, ...] | None:
    """The way from a type back to itself, if there is one among what it starts."""
    for place, each in enumerate(above):
        if each.source.sha256 == process_type.source.sha256:
            return (*above[place:], process_type)
    for child in _started_by(process_type, types):
        way = _circle(child, (*above, process_type), types)
        if way is not None:
            return way
    return None


def _deepest(process_type: ProcessType, types: Types) -> tuple[ProcessType, ...]:
    """The longest line of types that start each other. There is no circle in it."""
    lines = [_deepest(child, types) for child in _started_by(process_type, types)]
    return (process_type, *max(lines, key=len, default=()))


def child_facts(child: ProcessType, facts: PlanFacts) -> ChildFacts:
    """What the parent's facts say of a child."""
    return ChildFacts(
        type=TypePin(name=child.name, version=child.version, sha256=child.source.sha256),
        plan=hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest(),
        budget=budget_of(child),
        limits=limits_of(child),
    )


def effect_of(facts: PlanFacts) -> Effect:
    """The strongest effect that any step of a plan has."""
    return max((step.effect for step in facts.steps), key=_STRENGTH.index, default=Effect.NONE)


def budget_of(process_type: ProcessType) -> Budget:
    """The budget of a type, as facts."""
    own = process_type.budget
    return Budget(
        usd_micros=round(own.usd * MICROS_PER_USD),
        calls=own.calls,
        tokens=own.tokens,
        total_ms=round(own.total_s * 1000),
        unknown=own.unknown,
    )


def limits_of(process_type: ProcessType) -> Limits:
    """The limits of a type, as facts."""
    own, budget = process_type.limits, process_type.budget
    return Limits(
        steps=own.steps,
        replans=own.replans,
        same_call=own.same_call,
        depth=own.depth,
        calls=budget.calls,
        total_ms=round(budget.total_s * 1000),
    )
