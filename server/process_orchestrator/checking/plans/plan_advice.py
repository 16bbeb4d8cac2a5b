"""What is told of a verdict: why a value does not fit, and the ways to mend it, in words for who wrote the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from process_orchestrator.checking.plans.fitting import Fit, Verdict
from process_orchestrator.checking.values.bindings import Bound, Computed, First, Literal, Value, path_text

if TYPE_CHECKING:
    from process_orchestrator.checking.plans.argument_schema import Argument
    from process_orchestrator.checking.plans.plan_verdicts import Wanted

Json = Any

_SHOWN_MAX = 120


class Told(NamedTuple):
    """Why, and what to change."""

    message: str
    fix: str = ""

    @property
    def text(self) -> str:
        """Both, as the row of a report says them."""
        return f"{self.message}. Fix: {self.fix}" if self.fix else self.message


class Origin(NamedTuple):
    """Where a value comes from. `behind_step`: a step takes it, which may have a condition and a policy of failures."""

    producer: str | None
    behind_step: bool


def refused(value: Value, fit: Fit, wanted: Wanted, origin: Origin) -> Told:
    """The consumer refuses some values, or all of them."""
    what, takes = _named(value), _taker(wanted)
    place = fit.problem.pointer if fit.problem is not None else ""
    wants = fit.problem.expected if fit.problem is not None else "something else"
    at = f" at {place}" if place else ""
    shown = "" if isinstance(value, Literal) else f", for example {_json(fit.witness)}"
    if fit.verdict is Verdict.NEVER:
        message = (
            f"{what} never fits{at}: {takes} wants {wants} there{shown}"
            if at
            else (f"{what} never fits: {takes} wants {wants}{shown}")
        )
        fix = f"write a value that is {wants}" if isinstance(value, Literal) else f"bind something that is {wants}"
        return Told(_cut(message), _cut(fix))
    message = f"{what} may not fit{at}: {takes} wants {wants}{shown}"
    return Told(_cut(message), _cut(_ways(wanted, wants, origin)))


def absent(value: Value, argument: Argument, wanted: Wanted) -> Told:
    """The value may not be there, and the consumer demands it."""
    missing = " and ".join(dict.fromkeys(f"`{path_text(each)}`" for each in argument.missing)) or "a value"
    if isinstance(value, Computed):
        message = f"{missing} may be absent, and the expression needs it"
        return Told(_cut(message), "give it a fallback in `let`: {first: [$.…, VALUE]}; or require it in its contract")
    message = f"{missing} may be absent, and {_taker(wanted)} needs it"
    skipped = any(each.root == "steps" and not each.segments for each in argument.missing)
    more = "give its step a `default`" if skipped else "require it in its contract, or give its step a `default`"
    return Told(_cut(message), f"write {{first: [$.…, VALUE]}}; {more}; or say `on_failure: {{missing_binding: …}}`")


def undecided(unreadable: bool) -> Told:  # noqa: FBT001  one of two sentences
    """Neither a proof nor a witness was found."""
    if unreadable:
        return Told("not decided: what is wanted cannot be taken apart, or is too much; checked when it runs")
    return Told("not decided: no proof, and no value that shows otherwise; checked when it runs")


def _ways(wanted: Wanted, wants: str, origin: Origin) -> str:
    ways = [f"make {origin.producer} {wants}"] if origin.producer is not None else []
    if origin.behind_step:
        ways += ["guard the step with `when` over this value", "say `on_failure: {input_mismatch: …}`"]
    return "; or ".join([*ways, f"widen {_taker(wanted)}"])


def _taker(wanted: Wanted) -> str:
    return f"the {wanted.part} of {wanted.label}" if wanted.part else wanted.label


def _named(value: Value) -> str:
    match value:
        case Bound():
            return f"`{path_text(value)}`"
        case Literal():
            return f"the constant {_json(value.value)}"
        case Computed():
            return f"the expression `{value.text[:60]}`"
        case First():
            return "the first of these that is present"
        case _:
            return "the combination of these values"


def _json(value: Json) -> str:
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        return "a value"
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def _cut(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:299]}…"
