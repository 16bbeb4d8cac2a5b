"""Who may decide what: the rules of assurance as a table."""

from __future__ import annotations

import pytest

from process_orchestrator.core.assurance import highest, required_assurance, safe, sufficient
from process_orchestrator.core.facts.values import Assurance, Decision, EscalationKind

A0, A1, A2, A3 = Assurance.A0, Assurance.A1, Assurance.A2, Assurance.A3

SAFE = {
    "approve": False,
    "reject": True,
    "abort": True,
    "retry": False,
    "retry_with_input": False,
    "use_output": False,
    "use_agent": False,
    "skip": False,
    "answer": True,
    "choose_type": True,
    "raise_budget": False,
}


@pytest.mark.parametrize("decision", list(Decision))
def test_a_safe_decision_needs_no_proof_and_all_others_the_level(decision: Decision) -> None:
    assert safe(decision) is SAFE[decision.value]
    need = required_assurance(decision, kind=EscalationKind.FAILED, level=A2, answer_level=A1)
    assert need == (A0 if SAFE[decision.value] else A2)


@pytest.mark.parametrize("level", list(Assurance))
def test_the_answer_to_a_task_needs_what_its_contract_says(level: Assurance) -> None:
    need = required_assurance(Decision.ANSWER, kind=EscalationKind.TASK, level=A3, answer_level=level)
    assert need == level


def test_rejecting_a_task_needs_no_proof() -> None:
    assert required_assurance(Decision.REJECT, kind=EscalationKind.TASK, level=A3, answer_level=A3) == A0


@pytest.mark.parametrize(
    ("have", "need", "enough"),
    [
        (A0, A0, True),
        (A0, A1, False),
        (A1, A1, True),
        (A1, A2, False),
        (A2, A1, True),
        (A2, A3, False),
        (A3, A3, True),
        (A3, A0, True),
    ],
)
def test_a_stronger_proof_is_enough_for_a_weaker_need(have: Assurance, need: Assurance, *, enough: bool) -> None:
    assert sufficient(have, need) is enough


def test_the_highest_level_wins() -> None:
    assert highest(A1, A3, A0) == A3
    assert highest(A0) == A0
