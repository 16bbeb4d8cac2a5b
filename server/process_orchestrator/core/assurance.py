"""How strong the proof must be that a human decided. Pure rules; who proves what is the engine's."""

from __future__ import annotations

from typing import Final

from process_orchestrator.core.facts.values import Assurance, Decision, EscalationKind

_STRENGTH: Final = {level: strength for strength, level in enumerate(Assurance)}

_SAFE: Final = frozenset({Decision.REJECT, Decision.ABORT, Decision.ANSWER, Decision.CHOOSE_TYPE})


def safe(decision: Decision) -> bool:
    """Whether a decision lets nothing happen that would not happen without it, so that a mere assertion suffices."""
    return decision in _SAFE


def sufficient(have: Assurance, need: Assurance) -> bool:
    """Whether a proof of one level is enough where another is needed."""
    return _STRENGTH[have] >= _STRENGTH[need]


def highest(*levels: Assurance) -> Assurance:
    """The strongest of some levels: rules add to each other, they never loosen."""
    return max(levels, key=_STRENGTH.__getitem__)


def required_assurance(
    decision: Decision, *, kind: EscalationKind, level: Assurance, answer_level: Assurance
) -> Assurance:
    """What a decision needs, where the escalation's own level is `level`.

    `answer_level` is what the answer to a human task needs: the one safe decision that may be given a level.
    """
    if decision is Decision.ANSWER and kind is EscalationKind.TASK:
        return answer_level
    return Assurance.A0 if safe(decision) else level
