"""Refusals that several use cases share, in words: what is wrong, where, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.usecases.identifiers import read_name, shown
from process_orchestrator.views.formats import one_line
from process_orchestrator.views.models import ValueProblemView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.plans.compiled import ConditionFailure
    from process_orchestrator.checking.schemas.validate import ValueProblem

PROBLEMS_SHOWN_MAX: Final = 10
UNKNOWN: Final = {
    "process": ("UNKNOWN_PROCESS_TYPE", "process type"),
    "contract": ("UNKNOWN_CONTRACT", "contract"),
    "agent": ("UNKNOWN_AGENT", "agent"),
}


def problem_views(problems: Sequence[ValueProblem]) -> list[ValueProblemView]:
    return [
        ValueProblemView(
            pointer=each.pointer,
            schema_pointer=each.schema_pointer,
            rule=each.rule,
            message=each.message,
            expected=each.expected,
            got=each.got,
        )
        for each in problems
    ]


def unknown(registry: Registry, kind: str, given: str) -> RefusedError:
    """UNKNOWN_… of a name that leads nowhere: the nearest three, or what is wrong in the file that would define it."""
    code, what = UNKNOWN[kind]
    name = read_name(given)
    near = registry.nearest(kind, name.lower())
    broken = registry.broken(kind, name) or registry.broken(kind, name.lower())
    if broken is not None:
        message = f"{what} {shown(given)} has errors in {broken.file}:{broken.line}: {one_line(broken.message)}."
        do = "ask the user to run `orchestrator check`, which says what to change."
    else:
        message = f"there is no {what} {shown(given)}."
        do = f"use one of {', '.join(near)}, or call describe_agents." if near else "call describe_agents."
    return RefusedError(code, message, do=do, details={"nearest": list(near)})


def mismatch(what: str, problems: Sequence[ValueProblem], *, do: str) -> RefusedError:
    """INPUT_MISMATCH with every problem; the first is named in the message."""
    first = problems[0]
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    wrong = one_line(first.message).removeprefix(f"{first.pointer}: ").removesuffix(".")
    return RefusedError(
        "INPUT_MISMATCH",
        f"{what} does not fit at {first.pointer or '/'}: {wrong}{more}.",
        do=do,
        pointer=first.pointer,
        details={"errors": problem_views(problems[:PROBLEMS_SHOWN_MAX])},
    )


def condition_mismatch(what: str, failure: ConditionFailure, *, do: str) -> RefusedError:
    """INPUT_MISMATCH for a `requires` or `ensures` that does not hold."""
    message = f"{what} does not fit: {one_line(failure.message)}."
    return RefusedError("INPUT_MISMATCH", message, do=do, pointer="", details={"errors": [condition_view(failure)]})


def condition_view(failure: ConditionFailure) -> ValueProblemView:
    return ValueProblemView(
        pointer="",
        schema_pointer="",
        rule=failure.id,
        message=failure.message,
        expected=failure.expr,
        got=failure.error or "false",
    )


def unreadable(what: str, error: BodyError) -> RefusedError:
    """A value from outside that is no JSON within its limits: TOO_LARGE or INPUT_MISMATCH."""
    large = error.code in ("too_large", "too_deep")
    return RefusedError(
        "TOO_LARGE" if large else "INPUT_MISMATCH",
        f"{what}: {one_line(error.message)}",
        do="send less, or a reference to it." if large else "send a JSON value.",
        pointer=error.pointer,
    )
