"""Loops: the same call begun over and over, the same plan proposed again, a process too deep inside others.

Tries of one call, items of a map and rounds of a repeat are no loop: their own bounds hold them. Whoever is stopped
here is put before a human, who may grant one more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import escalate, failures, keys
from process_orchestrator.core.facts.values import EscalationKind

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.specs import ProcessSpec
    from process_orchestrator.core.facts.state import Unit
    from process_orchestrator.core.facts.values import Ref

CODE: Final = "loop"
SAME_CALL: Final = "same_call"
NO_PROGRESS: Final = "no_progress"
DEPTH: Final = "depth"


def stopped(draft: Draft, unit: Unit) -> bool:
    """Whether a prepared call that begins a series of tries is one too many of its kind; a human is asked then.

    A series begins with the first try, and after a human's retry. Its digest is counted once. The very call whose
    failure led to another plan is one too many at once.
    """
    step = draft.facts(unit)
    if unit.id != unit.step or step.human or step.wait_ms is not None or unit.digest is None:
        return False
    times = draft.begun.get(unit.digest, 0) + 1
    draft.begun = {**draft.begun, unit.digest: times}
    fruitless = unit.digest in draft.replanning.fruitless
    if times <= draft.spec.limits.same_call and not fruitless:
        return False
    call = keys.call_id(unit.id, unit.call)
    failure = failures.of_code(CODE, unit, call=call, rule=NO_PROGRESS if fruitless else SAME_CALL)
    escalate.ask(draft, replace(unit, failure=failure), EscalationKind.LOOP)
    return True


def begun(unit: Unit) -> Unit:
    """The unit with its next series of tries counted already: a human has granted it."""
    return replace(unit, series_begun=True)


def seen_before(draft: Draft, plan_sha256: str | None) -> bool:
    """Whether a plan was proposed before, word for word. It is remembered from now on."""
    if plan_sha256 is None:
        return False
    seen = plan_sha256 in draft.plans_seen
    if not seen:
        draft.plans_seen += (plan_sha256,)
    return seen


def ask_about_plan(draft: Draft, report: Ref) -> None:
    """Planning leads nowhere: no round is left, or the same plan came again."""
    failure = replace(failures.of_code(CODE, rule=NO_PROGRESS), detail=report)
    escalate.ask_about_process(draft, EscalationKind.LOOP, failure)


def too_deep(spec: ProcessSpec) -> bool:
    """Whether a process stands inside itself, or inside more processes than its limits allow."""
    return spec.process_id in spec.lineage or len(spec.lineage) > spec.limits.depth


def ask_about_depth(draft: Draft) -> None:
    escalate.ask_about_process(draft, EscalationKind.LOOP, failures.of_code(CODE, rule=DEPTH))
