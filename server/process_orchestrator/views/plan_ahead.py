"""A plan before it is followed, as data and as text: its steps, where their values come from, the verdict of the check.

Names are public interface. Nothing of a live process is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from process_orchestrator.checking.plans.plan_bounds import told
from process_orchestrator.checking.plans.plan_document import PlanDocument, decode_plan
from process_orchestrator.core.money import usd
from process_orchestrator.views.models import NextAction
from process_orchestrator.views.view import Json, Request, Stated, View

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.plans.compile import CompiledProcess


class PlanRequest(Request):
    """What is to be planned: a task in plain words, or a type by name."""

    task: str | None = None
    process_type: str | None = None
    input: Json = None


class PlanAheadView(View):
    """The plan that would be followed. `ok` is false where a model made none that the check accepts.

    `bindings` are the rows of the check, as `check --json` has them; `calls_max` and `usd_max` its worst case, null
    where nobody says.
    """

    ok: bool
    process_type: str
    version: str
    classified_by: str
    planned_by: Literal["fixed", "single_call", "model"]
    verdict: Stated[str] = None
    reasons: list[str] = []
    steps: list[dict[str, Json]] = []
    output: Json = None
    bindings: list[dict[str, Json]] = []
    problems: list[dict[str, Json]] = []
    dropped: list[dict[str, Json]] = []
    added: list[str] = []
    left_out: list[dict[str, Json]] = []
    calls_max: Stated[int] = None
    usd_max: Stated[str] = None
    worst_case: str = ""
    rounds: int = 0
    model: Stated[str] = None
    spent_usd: Stated[str] = None
    spent_tokens: int = 0
    warnings: list[str] = []
    next_actions: list[NextAction] = []


def plan_ahead_view(
    process_type: ProcessType,
    compiled: CompiledProcess,
    *,
    classified_by: str,
    planned_by: str,
    next_actions: list[NextAction],
) -> PlanAheadView:
    """The view of a compiled plan; without facts of one that could not be made."""
    document = _document(compiled)
    facts, worst = compiled.facts, compiled.worst
    fit = facts.fit if facts is not None else None
    return PlanAheadView.model_validate(
        {
            "ok": facts is not None,
            "process_type": process_type.name,
            "version": process_type.version,
            "classified_by": classified_by,
            "planned_by": planned_by,
            "verdict": fit.verdict if fit is not None else None,
            "reasons": list(fit.reasons) if fit is not None else [],
            "steps": [] if document is None else _steps(document, compiled),
            "output": None if document is None else document.result,
            "bindings": [
                {"step": row.step, "argument": row.argument, "verdict": row.verdict, "producer": row.producer}
                for row in compiled.rows
            ],
            "calls_max": None if worst is None else worst.calls,
            "usd_max": None if worst is None or worst.usd_micros is None else usd(worst.usd_micros),
            "worst_case": "" if worst is None else told(worst),
            "next_actions": next_actions,
        }
    )


def _document(compiled: CompiledProcess) -> PlanDocument | None:
    facts = compiled.facts
    found = [each for each in compiled.definitions if facts is not None and each.sha256 == facts.sha256]
    return decode_plan(found[0].data) if found else None


def _steps(document: PlanDocument, compiled: CompiledProcess) -> list[dict[str, Json]]:
    needs = {} if compiled.facts is None else {each.id: list(each.needs) for each in compiled.facts.steps}
    shown: list[dict[str, Json]] = []
    for each in document.steps:
        step = each.step
        told_of: dict[str, Json] = {"id": step.id, "in": step.input or {}, "needs": needs.get(step.id, [])}
        if each.contract is not None:
            told_of |= {"contract": f"{each.contract.name}@{each.contract.version}", "effect": each.effect.value}
        if step.for_each is not None:
            told_of["for_each"] = step.for_each
        told_of["agents"] = [agent.name for agent in each.agents]
        told_of["approval"] = each.contract_approval is not None or each.step_approval is not None or each.by_model
        shown.append(told_of)
    return shown


def plan_ahead_text(view: PlanAheadView) -> str:
    """The same for people."""
    by = {"fixed": "the type's own plan", "single_call": "one call closes it", "model": f"made by {view.model}"}
    lines = [f"{view.process_type} {view.version} (found by {view.classified_by}): {by[view.planned_by]}"]
    lines += [f"  ! {each}" for each in view.warnings]
    for number, step in enumerate(view.steps, 1):
        each = f" for each of {step['for_each']}" if "for_each" in step else ""
        asks = ", approval" if step["approval"] else ""
        who = " or ".join(step["agents"]) or "nobody"
        what = step.get("contract", "waits")
        lines.append(f"{number}. {step['id']}: {what} by {who}{each} ({step.get('effect', 'none')}{asks})")
        lines += [f"     {name} = {_value(value)}" for name, value in step["in"].items()]
    if isinstance(view.output, dict) and view.output:
        lines.append("Output:")
        lines += [f"     {name} = {_value(value)}" for name, value in view.output.items()]
    for each in view.problems:
        lines.append(f"  x {each['code']} {each.get('step', '')} {each['pointer']}: {each['message']}".rstrip())
    lines += [f"  - left out by rule: {each['what']} ({each['why']})" for each in view.dropped]
    lines += [f"  + added by rule: {each} (a chosen step cannot do without it)" for each in view.added]
    lines += [f"  - not offered: {each['what']} ({each['why']})" for each in view.left_out]
    if view.verdict:
        lines.append(f"Verdict: {view.verdict} ({'; '.join(view.reasons)})")
    if view.worst_case:
        lines.append(view.worst_case)
    if view.planned_by == "model":
        cost = f"{view.spent_usd} USD" if view.spent_usd is not None else "an unknown price"
        lines.append(f"Planning took {view.rounds} rounds, {view.spent_tokens} tokens, {cost}. Nothing was started.")
    else:
        lines.append("No model was asked. Nothing was started.")
    return "\n".join(lines)


def _value(value: Json) -> str:
    return value if isinstance(value, str) else str(value)
