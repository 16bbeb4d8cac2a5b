"""The plan of a process as data: steps, what they need, who is asked, what happens on failure. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from process_orchestrator.core.facts.specs import PlanFacts, StepFacts
    from process_orchestrator.core.facts.state import Process


def plan_view(state: Process) -> dict[str, Any] | None:
    """The plan, or None where there is none yet."""
    if state.plan is None:
        return None
    return {
        "sha256": state.plan.sha256,
        "approved": state.plan_approved,
        "on_failure": state.plan.on_failure.value,
        "on_cancel": state.plan.on_cancel,
        "on_abort": state.plan.on_abort,
        **steps_of(state.plan),
    }


def steps_of(plan: PlanFacts) -> dict[str, Any]:
    """The steps of a plan, whether or not a process follows it."""
    return {"steps": [_step(step) for step in plan.steps]}


def _step(step: StepFacts) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": step.id,
        "kind": step.kind.value,
        "needs": list(step.needs),
        "effect": step.effect.value,
        "idempotency": step.idempotency.value,
        "agents": [agent.name for agent in step.agents],
        "attempts_max": step.retry.max_attempts,
        "on_failure": {code: word.value for code, word in step.on_failure.items()},
        "needs_assurance": step.decision_level.value,
        "role": step.role,
    }
    if step.contract is not None:
        shown["contract"] = f"{step.contract.name}@{step.contract.version}"
        shown["contract_sha256"] = step.contract.sha256
    if step.is_map:
        shown["parallel"] = step.parallel
    if step.repeat is not None:
        shown["repeat"] = {"max": step.repeat.max, "every_s": step.repeat.every_ms / 1000}
    if step.child is not None:
        shown["process"] = f"{step.child.type.name}@{step.child.type.version}"
        shown["process_sha256"] = step.child.type.sha256
    if step.wait_ms is not None:
        shown["wait_s"] = step.wait_ms / 1000
    if step.undo is not None:
        shown["undo"] = step.undo.contract.name
    return shown
