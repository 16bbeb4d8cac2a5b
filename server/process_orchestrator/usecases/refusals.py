"""Refusals that several use cases share, in words: what is wrong, where, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.views.formats import one_line
from process_orchestrator.views.models import ValueProblemView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.checking.compiled import ConditionFailure
    from process_orchestrator.checking.validate import ValueProblem

PROBLEMS_SHOWN_MAX: Final = 10


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


def mismatch(what: str, problems: Sequence[ValueProblem], *, do: str) -> RefusedError:
    """INPUT_MISMATCH with every problem; the first is named in the message."""
    first = problems[0]
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return RefusedError(
        "INPUT_MISMATCH",
        f"{what} does not fit at {first.pointer or '/'}: {one_line(first.message)}{more}.",
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
