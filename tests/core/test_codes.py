"""What a code means: the table of core.md, written out a second time."""

from __future__ import annotations

import pytest

from process_orchestrator.core.codes import CODES, classify
from process_orchestrator.core.facts.specs import DeclaredError
from process_orchestrator.core.facts.values import FailureClass, Outcome

TABLE = {
    "input_mismatch": ("invalid_input", "planner", "not_done"),
    "requires_failed": ("invalid_input", "planner", "not_done"),
    "missing_binding": ("invalid_input", "planner", "not_done"),
    "condition_error": ("permanent", "planner", "not_done"),
    "unreachable": ("transient", "transport", "not_done"),
    "timeout": ("timeout", "transport", "unknown"),
    "lost": ("lost", "transport", "unknown"),
    "not_json": ("contract", "agent", "unknown"),
    "duplicate_key": ("contract", "agent", "unknown"),
    "not_finite": ("contract", "agent", "unknown"),
    "too_deep": ("contract", "agent", "unknown"),
    "too_large": ("contract", "agent", "unknown"),
    "output_mismatch": ("contract", "agent", "unknown"),
    "ensures_failed": ("contract", "agent", "unknown"),
    "undeclared_error": ("permanent", "agent", "unknown"),
    "drifted": ("permanent", "contract", "not_done"),
    "circuit_open": ("transient", "transport", "not_done"),
    "rate_limited": ("transient", "policy", "not_done"),
    "no_model": ("permanent", "policy", "not_done"),
    "sensitive_to_model": ("permanent", "planner", "not_done"),
    "rejected": ("permanent", "policy", "not_done"),
    "aborted": ("permanent", "policy", "not_done"),
    "over_budget": ("permanent", "policy", "not_done"),
    "loop": ("permanent", "policy", "not_done"),
    "no_undo": ("permanent", "policy", "not_done"),
    "cancelled": ("permanent", "policy", "unknown"),
    "done_before": ("permanent", "policy", "unknown"),
}


@pytest.mark.parametrize("code", sorted(TABLE))
def test_a_code_has_its_class_blame_and_outcome(code: str) -> None:
    facts = classify(code)
    assert (facts.class_.value, facts.blame.value, facts.outcome.value) == TABLE[code]


def test_the_table_holds_no_other_code() -> None:
    assert sorted(CODES) == sorted(TABLE)


@pytest.mark.parametrize("code", ["input_mismatch", "requires_failed", "missing_binding"])
def test_a_value_that_comes_from_the_input_alone_is_the_callers_fault(code: str) -> None:
    assert classify(code, input_only_from_caller=True).blame.value == "caller"


def test_only_bad_input_can_be_the_callers_fault() -> None:
    assert classify("condition_error", input_only_from_caller=True).blame.value == "planner"
    assert classify("timeout", input_only_from_caller=True).blame.value == "transport"


@pytest.mark.parametrize(
    ("status", "class_", "outcome"),
    [
        (429, "transient", "not_done"),
        (503, "transient", "not_done"),
        (502, "transient", "unknown"),
        (504, "transient", "unknown"),
        (500, "permanent", "unknown"),
        (400, "permanent", "unknown"),
        (None, "permanent", "unknown"),
    ],
)
def test_an_undeclared_http_answer_is_told_apart_by_its_status(status: int | None, class_: str, outcome: str) -> None:
    facts = classify("undeclared_error", http_status=status)
    assert (facts.class_.value, facts.blame.value, facts.outcome.value) == (class_, "agent", outcome)


def test_the_status_says_nothing_of_other_codes() -> None:
    assert classify("output_mismatch", http_status=429).class_.value == "contract"


def test_a_code_that_nobody_declared_is_an_undeclared_error() -> None:
    assert classify("surprise") == classify("undeclared_error")
    assert classify("surprise", http_status=429) == classify("undeclared_error", http_status=429)


@pytest.mark.parametrize(
    ("class_", "from_caller", "blame"),
    [
        ("transient", True, "agent"),
        ("conflict", False, "agent"),
        ("needs_human", False, "agent"),
        ("invalid_input", False, "planner"),
        ("invalid_input", True, "caller"),
    ],
)
def test_a_declared_error_has_the_class_that_its_contract_says(class_: str, blame: str, *, from_caller: bool) -> None:
    declared = DeclaredError(class_=FailureClass(class_))
    facts = classify("unknown_vendor", declared, input_only_from_caller=from_caller)
    assert (facts.class_.value, facts.blame.value, facts.outcome.value) == (class_, blame, "not_done")


def test_a_declared_error_may_leave_its_outcome_open() -> None:
    declared = DeclaredError(class_=FailureClass.INVALID_INPUT, outcome=Outcome.UNKNOWN)
    assert classify("half_booked", declared).outcome.value == "unknown"


def test_a_declared_code_wins_over_one_of_ours() -> None:
    assert classify("timeout", DeclaredError(class_=FailureClass.CONFLICT)).class_.value == "conflict"
