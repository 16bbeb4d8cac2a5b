"""A process whose journal was decided otherwise than this core decides: it is set aside until a human has said how.

The host notices it while it folds, and orders nothing again until then. Here the question is kept, and its answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core import ending, escalate
from process_orchestrator.core.facts.values import Decision

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import EscalationResolved


def noticed(draft: Draft) -> bool:
    """Set the process aside, unless it is already, or is ending: then nothing new begins anyway."""
    if draft.set_aside is not None or draft.ending:
        return False
    draft.set_aside = escalate.ask_about_drift(draft)
    return True


def decided(draft: Draft, event: EscalationResolved) -> None:
    """Retry takes the new decisions for the process's own: what is outstanding is ordered again by the host."""
    escalate.resolved(draft, draft.escalations[event.escalation], event)
    draft.set_aside = None
    if event.decision is not Decision.RETRY:
        ending.abort(draft)
