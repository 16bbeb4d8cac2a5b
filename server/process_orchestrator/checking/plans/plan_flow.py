"""Steps that wait, that are repeated, or that start a process: what may stand in them, and what they give.

Not what a condition says, which is read like any other value of a plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.documents.definitions import Step
from process_orchestrator.checking.plans.plan_values import Produced
from process_orchestrator.checking.schemas.projection import Shape
from process_orchestrator.core.facts.specs import Repeat

Json = Any

UNTIL: Final = "/repeat/until"
"""Where the condition of a repeated step stands; it alone sees `$.output`, what the round just gave."""

UNTIL_ROOTS: Final = ("input", "steps", "output")
"""What the bindings of that condition may begin with after `$.`."""

_WAITED: Final = Shape.of(
    {
        "type": "object",
        "properties": {"seconds": {"type": "number"}},
        "required": ["seconds"],
        "additionalProperties": False,
    }
)


class StepFault(NamedTuple):
    """Something in a step that has no meaning there. `pointer` leads below the step."""

    code: str
    pointer: str
    message: str
    fix: str


def flow_faults(step: Step) -> Iterator[StepFault]:
    """What a step that waits, is repeated or starts a process says too much."""
    if step.wait_s is not None:
        for name in _said(step, ("agent", "in", "for_each", "timeout_s", "retry", "repeat", "approval")):
            message = f"a step that waits calls nobody, so `{name}` has no meaning in it"
            fix = "put it into the step that follows" if name == "approval" else f"remove `{name}`"
            yield StepFault("NOT_IN_WAIT", f"/{name}", message, fix)
    if step.process is not None:
        for name in _said(step, ("agent", "timeout_s", "retry")):
            message = f"a process keeps its own time and tries its own calls again, so `{name}` has no meaning here"
            yield StepFault("NOT_IN_PROCESS", f"/{name}", message, f"remove `{name}`; its type says that")
    if step.repeat is not None and step.wait_s is None and step.for_each is not None:
        message = "a step is repeated, or done once for each item of a list, not both"
        fix = "remove one of them, or repeat a sub-process that goes through the list"
        yield StepFault("REPEAT_FOR_EACH", "/repeat", message, fix)


def _said(step: Step, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if getattr(step, "input" if name == "in" else name) is not None:
            yield name


def repeat_of(step: Step) -> Repeat | None:
    """How a step is repeated, as facts."""
    if step.repeat is None:
        return None
    return Repeat(max=int(step.repeat["max"]), every_ms=round(step.repeat["every_s"] * 1000))


def wait_ms_of(step: Step) -> int | None:
    """How long a step waits, in milliseconds, at least one."""
    return None if step.wait_s is None else max(1, round(step.wait_s * 1000))


def waited(step: Step) -> Produced:
    """What a step that waits gives: how long."""
    return Produced(label=f"step {step.id}", part="output", declared=_WAITED, shape=_WAITED)
