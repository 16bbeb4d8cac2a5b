"""Definitions and checks as prose: what can be done here, and what is wrong with what was written."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import orjson

from process_orchestrator.views.estimate_view import history_lines
from process_orchestrator.views.formats import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from process_orchestrator.views import models as m

VERDICTS: Final = ("always", "sometimes", "never", "unknown")
WITNESS_SHOWN_MAX: Final = 200
"""Characters of a witness in prose; `check --json` has all of it."""


def description_text(view: m.Description) -> str:
    lines = [_action(action) for action in view.next_actions]
    lines += [f"Warning: {one_line(each)}" for each in view.warnings]
    if view.process_types is not None:
        lines.append("Process types:")
        lines += [_type_line(row) for row in view.process_types]
    if view.contracts is not None:
        lines.append("Contracts:")
        lines += [_contract_line(row) for row in view.contracts]
    if view.agents is not None:
        lines.append("Agents:")
        lines += [_agent_line(row) for row in view.agents]
    if view.process_type is not None:
        detail = view.process_type
        lines += [_type_line(detail), f"Budget: {detail.budget_usd} USD. {detail.worst_case or ''}".rstrip()]
        lines += [f"Bindings: {_counted(detail.bindings)}"] if detail.bindings else []
        lines += [line for row in detail.history for line in history_lines(row)]
        lines += [f"Input schema: {_json(detail.input)}"]
        lines += [f"Output schema: {_json(detail.output)}", *(_problem(each) for each in detail.checks)]
        lines.append(f"Definition: {_json(detail.definition)}")
    if view.contract is not None:
        detail = view.contract
        lines += [_contract_line(detail), f"Input schema: {_json(detail.input)}"]
        lines += [f"Output schema: {_json(detail.output)}", f"Errors: {_json(detail.errors)}"]
        lines += [f"Price per call: {detail.price_usd or 'unknown'}", f"Definition: {_json(detail.definition)}"]
    if view.agent is not None:
        detail = view.agent
        lines += [_agent_line(detail), f"Pin: {detail.pin}", f"Definition: {_json(detail.definition)}"]
    lines.append(f"Models: {view.models}")
    lines += [_problem(each) for each in view.problems]
    return "\n".join(lines) + "\n"


def validation_text(view: m.Validation) -> str:
    if view.report is not None:
        return check_text(view.report)
    lines = ["Valid: the payload keeps the contract." if view.valid else "Not valid:"]
    for error in view.errors:
        expected = f", expected {_json(error.expected)}" if error.expected is not None else ""
        got = f", got {_json(error.got)}" if error.got is not None else ""
        lines.append(f"- {error.pointer or '/'}: {one_line(error.message)} ({error.rule}{expected}{got})")
    return "\n".join([*lines, *(f"Warning: {one_line(each)}" for each in view.warnings)]) + "\n"


def check_text(view: m.CheckReportView, *, bindings: bool = False) -> str:
    """What is wrong in which file, at which line, and how to mend it; then how the bindings of each plan fit.

    Those that always fit are counted; `bindings`: named too.
    """
    problems = [(report.file, problem) for report in view.files for problem in report.problems]
    errors = sum(problem.level == "error" for _, problem in problems)
    lines = [_problem(problem, file=file) for file, problem in problems]
    counted = ", ".join(
        f"{number} {noun}{'' if number == 1 else 's'}"
        for number, noun in ((len(view.files), "file"), (errors, "error"), (len(problems) - errors, "warning"))
    )
    lines += _plans(view.plans, {problem.message for _, problem in problems}, every=bindings)
    return "\n".join([*lines, f"{'ok' if view.ok else 'not ok'}: {counted}."]) + "\n"


def _plans(rows: list[m.PlanRow], said: set[str], *, every: bool) -> Iterator[str]:
    """For each plan how many bindings have which verdict, and each that may not fit; what a problem `said` but once."""
    for (process, version), group in groupby(rows, key=lambda row: (row.process, row.version)):
        plan = list(group)
        verdicts = Counter(row.verdict for row in plan)
        yield f"{process} {version}: {len(plan)} binding{'' if len(plan) == 1 else 's'}, {_counted(verdicts)}."
        for row in plan:
            if every or row.verdict != "always":
                why = row.message or ""
                yield _binding(row, why="" if any(why.startswith(each) for each in said) else why)


def _counted(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{verdicts[word]} {word}" for word in VERDICTS if verdicts.get(word))


def _binding(row: m.PlanRow, *, why: str) -> str:
    place = f"{row.step} {row.argument}"
    ends = f"{row.producer} -> {row.consumer}" if row.producer else row.consumer or ""
    line = f"  {row.verdict:9} {place}: {one_line(ends)}"
    if row.verdict == "always":
        return line
    shown = "" if row.witness is None else f" Witness: {_short(row.witness)}"
    return f"{line}{shown}\n            {one_line(why)}" if why else f"{line}{shown}"


def _short(value: Any) -> str:
    text = _json(value)
    return text if len(text) <= WITNESS_SHOWN_MAX else f"{text[:WITNESS_SHOWN_MAX]}…"


def _action(action: m.NextAction) -> str:
    call = f"{action.tool} {_json(action.args or {})}" if action.tool else f"`{action.command}`"
    return f"Next: {call}. {action.reason}"


def _type_line(row: m.ProcessTypeRow) -> str:
    needs = ", ".join(row.input_required) or "nothing"
    plan = "" if row.plan == "fixed" else " (no fixed plan: needs a model)"
    steps = ", ".join(
        f"process {each.process}" if each.process else f"{each.contract} [{' '.join(each.agents) or 'no agent'}]"
        for each in row.map
    )
    return f"- {row.name} {row.version}{plan}: {one_line(row.summary)} Input: {needs}. Uses {steps}."


def _contract_line(row: m.ContractRow) -> str:
    marks = [row.effect, *(["may need approval"] if row.approval else []), *([row.status] * (row.status != "active"))]
    agents = " ".join(row.agents) or "no agent"
    return f"- {row.name} {row.version} ({', '.join(marks)}): {one_line(row.summary)} [{agents}]{_open(row)}"


def _open(row: m.ContractRow) -> str:
    """Of a draft, what a person must decide before a plan may use it."""
    if row.status == "active":
        return ""
    return f" To decide: {'; '.join(one_line(each) for each in row.todo) or 'nothing is listed'}."


def _agent_line(row: m.AgentRow) -> str:
    health = f", {row.health}" if row.health else ""
    circuit = f", circuit {row.circuit}" if row.circuit and row.circuit != "closed" else ""
    pin = f", {one_line(row.pin)}" if row.pin != "not comparable" else ""
    marks = f"{row.kind}{health}{circuit}{pin}"
    return f"- {row.name} ({marks}): {one_line(row.summary)} Serves {', '.join(row.serves)}."


def _problem(problem: m.ProblemView, *, file: str | None = None) -> str:
    place = f"{file or problem.file or '<text>'}:{problem.line}"
    pointer = f" at {problem.pointer}" if problem.pointer else ""
    fix = f" Fix: {one_line(problem.fix)}" if problem.fix else ""
    return f"{place}: {problem.level} {problem.code}{pointer}: {one_line(problem.message)}{fix}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
