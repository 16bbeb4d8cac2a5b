"""What a failure code means: its class, whose fault it is, and whether the effect may have happened.

The performer asks this table when a call fails, and writes the answer into the event: a code is classified once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.core.facts.values import Blame, Fact, FailureClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.core.facts.specs import DeclaredError


class CodeFacts(Fact, kw_only=True):
    """What follows from a code."""

    class_: FailureClass
    blame: Blame
    outcome: Outcome


def _row(class_: FailureClass, blame: Blame, outcome: Outcome) -> CodeFacts:
    return CodeFacts(class_=class_, blame=blame, outcome=outcome)


_BAD_INPUT: Final = _row(FailureClass.INVALID_INPUT, Blame.PLANNER, Outcome.NOT_DONE)
_POLICY: Final = _row(FailureClass.PERMANENT, Blame.POLICY, Outcome.NOT_DONE)
# The effect may have happened although the answer was bad.
_BROKEN_ANSWER: Final = _row(FailureClass.CONTRACT, Blame.AGENT, Outcome.UNKNOWN)
_UNDECLARED: Final = _row(FailureClass.PERMANENT, Blame.AGENT, Outcome.UNKNOWN)

CODES: Final[Mapping[str, CodeFacts]] = {
    # before anything is sent
    "input_mismatch": _BAD_INPUT,
    "requires_failed": _BAD_INPUT,
    "missing_binding": _BAD_INPUT,
    "condition_error": _row(FailureClass.PERMANENT, Blame.PLANNER, Outcome.NOT_DONE),
    "drifted": _row(FailureClass.PERMANENT, Blame.CONTRACT, Outcome.NOT_DONE),
    "circuit_open": _row(FailureClass.TRANSIENT, Blame.TRANSPORT, Outcome.NOT_DONE),
    "rate_limited": _row(FailureClass.TRANSIENT, Blame.POLICY, Outcome.NOT_DONE),
    "unreachable": _row(FailureClass.TRANSIENT, Blame.TRANSPORT, Outcome.NOT_DONE),
    "no_model": _row(FailureClass.PERMANENT, Blame.POLICY, Outcome.NOT_DONE),
    "sensitive_to_model": _row(FailureClass.PERMANENT, Blame.PLANNER, Outcome.NOT_DONE),
    # on the way
    "timeout": _row(FailureClass.TIMEOUT, Blame.TRANSPORT, Outcome.UNKNOWN),
    "lost": _row(FailureClass.LOST, Blame.TRANSPORT, Outcome.UNKNOWN),
    # the answer breaks its contract
    "not_json": _BROKEN_ANSWER,
    "duplicate_key": _BROKEN_ANSWER,
    "not_finite": _BROKEN_ANSWER,
    "too_deep": _BROKEN_ANSWER,
    "too_large": _BROKEN_ANSWER,
    "output_mismatch": _BROKEN_ANSWER,
    "ensures_failed": _BROKEN_ANSWER,
    "undeclared_error": _UNDECLARED,
    # a rule or a human stopped it
    "rejected": _POLICY,
    "aborted": _POLICY,
    "over_budget": _POLICY,
    "loop": _POLICY,
    # an earlier process made this call, and a repeat is not known to be harmless
    "done_before": _row(FailureClass.PERMANENT, Blame.POLICY, Outcome.UNKNOWN),
    "no_undo": _POLICY,
    # cut off in mid-call: what was sent may have been done
    "cancelled": _row(FailureClass.PERMANENT, Blame.POLICY, Outcome.UNKNOWN),
}
"""Every code that is not a contract's own."""

_HTTP: Final[Mapping[int, CodeFacts]] = {
    429: _row(FailureClass.TRANSIENT, Blame.AGENT, Outcome.NOT_DONE),
    502: _row(FailureClass.TRANSIENT, Blame.AGENT, Outcome.UNKNOWN),
    503: _row(FailureClass.TRANSIENT, Blame.AGENT, Outcome.NOT_DONE),
    504: _row(FailureClass.TRANSIENT, Blame.AGENT, Outcome.UNKNOWN),
}
"""Undeclared answers of HTTP agents that differ from any other undeclared error."""


def classify(
    code: str,
    declared: DeclaredError | None = None,
    *,
    http_status: int | None = None,
    input_only_from_caller: bool = False,
) -> CodeFacts:
    """The class, blame and outcome of a code.

    `declared` is the contract's own error of this code, if it has one; `input_only_from_caller` says that the refused
    value comes from `$.input` alone. A code that nobody declared counts as `undeclared_error`.
    """
    if declared is not None:
        row = _row(declared.class_, Blame.AGENT, declared.outcome)
        invalid = declared.class_ is FailureClass.INVALID_INPUT
    else:
        row = CODES.get(code, _UNDECLARED)
        if row is _UNDECLARED and http_status is not None:
            row = _HTTP.get(http_status, row)
        invalid = row is _BAD_INPUT
    if not invalid:
        return row
    return _row(row.class_, Blame.CALLER if input_only_from_caller else Blame.PLANNER, row.outcome)
