"""What the check of a plan costs: 50 steps, every binding proven."""

from __future__ import annotations

import statistics
import time

import pytest

from checking_plan.making import plan, registry
from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.plans.plan_check import check_plan

STEPS = 50
MILLISECONDS = 50.0


def fifty_steps() -> ProcessType:
    steps = ["{id: read, contract: document.read, in: {document: $.input.document}}"]
    for number in range(STEPS - 1):
        post = (
            "contract: ledger.post, in: "
            "{id: $.steps.read.output.id, total: $.steps.read.output.total, memo: $.input.memo}"
        )
        check = (
            "contract: line.check, for_each: $.steps.read.output.lines, "
            "in: {line: $.item, rate: $.steps.read.output.total}"
        )
        ask = (
            f'contract: invoice.ask, when: {{let: {{t: $.steps.read.output.total}}, expr: "t > {number}.0"}}, '
            f"in: {{question: {{first: [$.steps.read.output.note, why {number}]}}}}"
        )
        steps.append(f"{{id: s{number}, {(post, check, ask)[number % 3]}}}")
    return plan(f"[{', '.join(steps)}]", more=f"limits: {{steps: {STEPS}}}")


@pytest.mark.slow
def test_a_plan_of_50_steps_is_checked_in_50_milliseconds() -> None:
    process_type, definitions = fifty_steps(), registry()
    assert process_type.plan is not None
    checked = check_plan(process_type.plan, process_type=process_type, registry=definitions)
    taken: list[float] = []
    for _ in range(11):
        started = time.process_time()
        check_plan(process_type.plan, process_type=process_type, registry=definitions)
        taken.append((time.process_time() - started) * 1000)
    print(f"{statistics.median(taken):.0f} ms, {len(checked.rows)} bindings")
    assert {row.verdict for row in checked.rows} == {"always"}
    assert statistics.median(taken) < MILLISECONDS
