"""Process types as steps: which may stand there, how their input and output are checked, what is pinned of them."""

from __future__ import annotations

import msgspec
import pytest

from flow.home import registry_of
from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.facts.specs import Budget, PlanFacts
from process_orchestrator.core.facts.values import Effect, StepKind

PART = """
process: part
input: {type: object, required: [amount], additionalProperties: false, properties: {amount: {type: number}}}
output: {type: object, required: [total], additionalProperties: false, properties: {total: {type: number}}}
budget: {usd: 0.5}
plan:
  steps: [{id: add, contract: job.add, in: {amount: $.input.amount}}]
  output: {total: $.steps.add.output.total}
"""


def registry(steps: str, *others: str, rest: str = "") -> tuple[Registry, ProcessType]:
    whole = f"process: whole\n{rest}\nplan:\n  steps: {steps}\n  output: {{}}\n"
    found = registry_of(PART, whole, *others)
    process_type = found.process("whole")
    assert process_type is not None
    return found, process_type


def found(steps: str, *others: str, rest: str = "") -> list[tuple[str, str, str, str]]:
    definitions, whole = registry(steps, *others, rest=rest)
    return [
        (problem.code, problem.pointer, problem.message, problem.fix) for problem in definitions.plan(whole).problems
    ]


def starts(name: str, other: str) -> str:
    return f"process: {name}\nplan: {{steps: [{{id: go, process: {other}}}], output: {{}}}}\n"


@pytest.mark.parametrize(
    "steps",
    [
        "[{id: a, process: part, in: {amount: 1.5}}]",
        "[{id: a, process: part@^1, in: {amount: 1}, approval: always, when: $.input.go, default: {total: 0}}]",
        "[{id: a, process: part, for_each: $.input.list, parallel: 2, in: {amount: $.item}}]",
        "[{id: a, process: part, in: {amount: 1}, on_failure: {full: skip, transient: fail, else: escalate}}]",
        '[{id: a, process: part, in: {amount: 1}, repeat: {until: {let: {t: $.output.total}, expr: "t > 1.0"}}}]',
    ],
)
def test_a_process_may_stand_in_a_step(steps: str) -> None:
    properties = "{go: {type: boolean}, list: {type: array, items: {type: number}}}"
    given = f"{{type: object, required: [go, list], properties: {properties}}}"
    assert found(steps, rest=f"input: {given}\nbudget: {{usd: 2.5}}") == []


@pytest.mark.parametrize(
    ("steps", "others", "code", "pointer", "message", "fix"),
    [
        ("[{id: a, process: prat}]", (), "UNKNOWN_PROCESS_TYPE", "/process", "no process type prat", "part"),
        ("[{id: a, process: part@^2}]", (), "UNKNOWN_PROCESS_TYPE", "/process", "part@^2", "part"),
        ("[{id: a, process: part, in: {}}]", (), "MISSING_ARGUMENT", "/in", "needs `amount`", "amount"),
        ("[{id: a, process: part, in: {amount: 1, x: 1}}]", (), "UNKNOWN_ARGUMENT", "/in/x", "no `x`", "amount"),
        (
            "[{id: a, process: part, in: {amount: 1}, agent: adder}]",
            *((), "NOT_IN_PROCESS", "/agent", "`agent` has no meaning", "remove"),
        ),
        (
            "[{id: a, process: part, in: {amount: 1}, timeout_s: 5}]",
            *((), "NOT_IN_PROCESS", "/timeout_s", "its own time", "remove"),
        ),
        (
            "[{id: a, process: part, in: {amount: 1}, on_failure: {ful: skip}}]",
            *((), "UNKNOWN_ERROR", "/on_failure/ful", "no error code of any step of part", "`full`"),
        ),
        ("[{id: a, process: whole}]", (), "RECURSION", "/process", "whole -> whole", "for_each"),
        (
            "[{id: a, process: ping}]",
            (starts("ping", "pong"), starts("pong", "ping")),
            *("RECURSION", "/process", "ping -> pong -> ping", "repeat"),
        ),
        (
            "[{id: a, process: one}]",
            (
                starts("one", "two"),
                starts("two", "three"),
                starts("three", "four"),
                "process: four\nplan: {steps: [{id: w, wait: {seconds: 1}}], output: {}}\n",
            ),
            *("TOO_DEEP", "/process", "4 levels, limits.depth allows 3", "raise limits.depth"),
        ),
        (
            "[{id: a, process: bad}]",
            ("process: bad\nplan: {steps: [{id: w, contract: job.lok}], output: {}}\n",),
            *("BROKEN_PROCESS", "/process", "no contract job.lok", "bad first"),
        ),
        (
            "[{id: a, process: made}]",
            ("process: made\ncontracts: [job.look]\n",),
            *("NO_PLAN", "/process", "no fixed plan", "a plan"),
        ),
        (
            "[{id: a, process: part, in: {amount: 1}}, {id: b, contract: job.add, in: {amount: $.steps.a.output.sum}}]",
            *((), "UNDECLARED_PATH", None, "declares no `sum`; it has total", "declare"),
        ),
    ],
)
def test_a_process_that_cannot_run_there_is_refused_where_it_stands(
    steps: str, others: tuple[str, ...], code: str, pointer: str | None, message: str, fix: str
) -> None:
    problems = found(steps, *others)
    place = "/plan/steps/1/in/amount" if pointer is None else f"/plan/steps/0{pointer}"
    assert [problem[:2] for problem in problems] == [(code, place)]
    assert message in problems[0][2]
    assert fix in problems[0][3]


def test_a_parent_pins_all_that_its_child_pins() -> None:
    definitions, whole = registry("[{id: a, process: part, in: {amount: 1}}, {id: w, wait: {seconds: 0.25}}]")
    part = definitions.process("part")
    assert part is not None
    compiled, of_part = definitions.plan(whole), definitions.plan(part)
    pinned = {each.sha256: each for each in compiled.definitions}
    assert {each.sha256 for each in of_part.definitions} <= set(pinned)
    assert compiled.facts is not None
    [child_step, wait] = compiled.facts.steps
    assert (child_step.kind, child_step.effect, wait.kind, wait.wait_ms) == (
        StepKind.PROCESS,
        Effect.WRITE,
        StepKind.WAIT,
        250,
    )
    child = child_step.child
    assert child is not None
    assert (child.type.name, child.budget) == ("part", Budget(usd_micros=500_000))
    body = pinned[child.plan]
    assert (body.kind, msgspec.json.decode(body.data, type=PlanFacts)) == ("plan_facts", of_part.facts)


def test_a_plan_that_only_starts_a_process_is_told_to_start_that() -> None:
    definitions, whole = registry("[{id: a, process: part@^1, in: {amount: 1}}]")
    plan = definitions.plan(whole)
    assert plan.facts is not None
    assert plan.facts.fit is not None
    assert plan.facts.fit.reasons == ("the plan is one run of process type part",)
    assert plan.facts.fit.simpler == ("start process type part directly",)
