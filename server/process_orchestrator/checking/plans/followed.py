"""Sensitive data through a plan and through every process that it starts, in both directions.

What one plan marks goes into the parts that it starts, comes out of them, and goes on. Who may read it is not decided
here; only where it comes to a model is told, since nothing sensitive may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from process_orchestrator.checking.plans.sensitivity import Sensitivity, Tokens, pointers_of, sensitivity

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Contract, Plan

ROUNDS_MAX: Final = 32
"""A mark goes through at least one part a round."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A plan with all that marks are followed through.

    `contracts` by step; `children`, the plans of its parts, by the step that starts them; `models` are the steps that a
    model may close.
    """

    plan: Plan
    name: str = ""
    contracts: Mapping[str, Contract] = field(default_factory=dict[str, "Contract"])
    children: Mapping[str, Scheme] = field(default_factory=dict[str, "Scheme"])
    models: frozenset[str] = frozenset()

    @property
    def asks_models(self) -> bool:
        """Whether any model may read anything of it at all."""
        return bool(self.models) or any(child.asks_models for child in self.children.values())


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Where the marks are: in the plan itself, and in each part as this plan starts it."""

    own: Sensitivity
    children: Mapping[str, Followed] = field(default_factory=dict[str, "Followed"])


def follow(scheme: Scheme, *, entering: frozenset[Tokens] = frozenset()) -> Followed:
    """Every mark followed until nothing new is marked. `entering`: marks that its input brings with it."""
    found = _once(scheme, {step: follow(child) for step, child in scheme.children.items()}, entering)
    for _ in range(ROUNDS_MAX if scheme.children else 0):
        again = _once(scheme, found.children, entering)
        if again.own == found.own:
            return again
        found = again
    return found


def _once(scheme: Scheme, children: Mapping[str, Followed], entering: frozenset[Tokens]) -> Followed:
    """The plan with its parts as they are known, then the parts with what goes into them."""
    inside = {step: child.own for step, child in children.items()}
    own = sensitivity(scheme.plan, scheme.contracts, children=inside, entering=entering)
    into = {step: own.marks.get(("in", step), frozenset[Tokens]()) for step in scheme.children}
    parts = {step: follow(child, entering=into[step]) for step, child in scheme.children.items()}
    return Followed(own=own, children=parts)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A step whose call gets something sensitive. `way` leads there: ids of steps, the first in the plan itself."""

    way: tuple[str, ...]
    scheme: Scheme  # that the step stands in
    places: tuple[str, ...]

    @property
    def step(self) -> str:
        return self.way[-1]


def reached(scheme: Scheme, followed: Followed, way: tuple[str, ...] = ()) -> Iterator[Reached]:
    """Every call that gets something sensitive, in the plan and in its parts."""
    for step in scheme.plan.steps:
        if step.id in scheme.children:
            yield from reached(scheme.children[step.id], followed.children[step.id], (*way, step.id))
        elif places := followed.own.of(step.id, "input"):
            yield Reached(way=(*way, step.id), scheme=scheme, places=places)


def told_to_models(scheme: Scheme, *, entering: frozenset[Tokens] = frozenset()) -> tuple[Reached, ...]:
    """Where a model would read something sensitive."""
    if not scheme.asks_models:
        return ()
    found = reached(scheme, follow(scheme, entering=entering))
    return tuple(each for each in found if each.step in each.scheme.models)


def brought_to_models(scheme: Scheme, entering: frozenset[Tokens]) -> tuple[str, ...]:
    """The parts of a process input among these that a model of the process would read, as pointers into that input."""
    if not scheme.asks_models:
        return ()
    known = {(each.way, each.places) for each in told_to_models(scheme)}
    brings = (
        mark
        for mark in sorted(entering)
        if any((each.way, each.places) not in known for each in told_to_models(scheme, entering=frozenset((mark,))))
    )
    return pointers_of(brings)
