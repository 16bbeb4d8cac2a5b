"""Values that a plan could really bind: bodies that its contracts allow, resolved as a run would resolve them.

The schema of an argument forgets what belongs together (two bindings of one body, what an expression computes). Here
whole bodies are taken, examples first, then generated ones, so what comes out is no guess. Sees no process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from process_orchestrator.checking.plans.fitting import Fitting
from process_orchestrator.checking.plans.lifted import UnliftableError, lifted
from process_orchestrator.checking.plans.plan_values import Produced, ValueCheck, produced_by
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.values.bindings import Scope, StepScope, Value, computed_in, references, resolver
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import BindingError, ExpressionError

Json = Any

SCENES_MAX: Final = 120
"""Scenes tried for one value: combinations of bodies, not all of them."""

_STRIDES: Final = (1, 7, 3, 11, 9, 13)  # each body is taken in another order, so that they meet in many ways


def resolved(value: Value, check: ValueCheck, fitting: Fitting) -> Iterator[Json]:
    """Values that `value` becomes in scenes that the contracts allow; those that cannot be made are left out."""
    try:
        expressions = {
            each.pointer: Expression(each.text, check.types.get(each.pointer, {})) for each in computed_in(value)
        }
    except ExpressionError:
        return
    resolve = resolver(value, expressions)
    for scope in _scopes(value, check, fitting):
        try:
            found = resolve(scope)
        except BindingError:
            continue
        if found is not ABSENT:
            yield found


def sources(value: Value, check: ValueCheck) -> str:
    """What the samples of a value depend on, as one text."""
    found = {each.bound.text: produced_by(each.bound, check.scene) for each in references(value)}
    return repr(value) + "".join(f"\n{text} {each.sha256}" for text, each in found.items() if each is not None)


def _scopes(value: Value, check: ValueCheck, fitting: Fitting) -> Iterator[Scope]:
    bodies: dict[str, tuple[Json, ...]] = {}
    statuses: set[str] = set()
    for reference in references(value):
        bound = reference.bound
        source = produced_by(bound, check.scene)
        if bound.root == "steps" and source is None:
            statuses.add(bound.step or "")
        elif source is not None:
            name = f"steps.{bound.step}" if bound.root == "steps" else bound.root
            if not source.free(bound.segments):  # a generated body may break a condition; an example keeps it
                bodies[name] = source.examples
            elif name not in bodies:
                bodies[name] = _bodies(source, fitting)
    if not all(bodies.values()):
        return
    for number in range(SCENES_MAX if bodies else 1):
        taken = {
            name: each[number * _STRIDES[place % len(_STRIDES)] % len(each)]
            for place, (name, each) in enumerate(bodies.items())
        }
        steps = {name: StepScope("done") for name in statuses}
        steps |= {
            name.removeprefix("steps."): StepScope("done", body)
            for name, body in taken.items()
            if name.startswith("steps.")
        }
        yield Scope(
            input=taken.get("input", ABSENT),
            steps=steps,
            item=taken.get("item", ABSENT),
            index=number % 5,
            output=taken.get("output", ABSENT),
        )


def _bodies(source: Produced, fitting: Fitting) -> tuple[Json, ...]:
    try:
        return fitting.samples(lifted(source.shape), source.examples)
    except UnliftableError:
        return ()
