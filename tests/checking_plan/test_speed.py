"""What one step costs in checking, printed for whoever looks (`pytest -s`). Nothing is asserted about time."""

from __future__ import annotations

import time
from collections.abc import Callable

from checking_plan.making import contract, plan, registry
from process_orchestrator.checking.plans.compile import compile_process
from process_orchestrator.checking.plans.compiled import CompiledContract, Compiler, Scope, StepScope
from process_orchestrator.checking.schemas.validate import check_value, encode_body, parse_body, read_stored, ref_of
from process_orchestrator.core.facts.values import Assurance

ROUNDS = 2_000

STEPS = """
- {id: read, contract: document.read, in: {document: $.input.document}}
- {id: post, contract: ledger.post, when: {let: {t: $.steps.read.output.total}, expr: "t > 0.0"},
   in: {id: $.steps.read.output.id, total: $.steps.read.output.total, memo: $.input.memo}}
"""

CHECKED = """
contract: sum.up
input: {type: object, required: [a], properties: {a: {type: number}}}
output: {type: object, required: [lines], properties: {lines: {type: array, items: {type: object, properties: {n: {type: number}}}}}}
ensures: [{id: adds_up, expr: "round(sum(output.lines.map(l, l.n)) - input.a, 2) == 0.0"}]
"""


def test_the_cost_of_one_step_is_printed() -> None:
    made = compile_process(plan(STEPS), registry=registry(), server_floor=Assurance.A0)
    step = Compiler().plan(next(each for each in made.definitions if each.kind == "plan")).step("post")
    checked = CompiledContract(contract(CHECKED))
    output = {
        "id": "i-1",
        "total": 150.5,
        "known": True,
        "vendor": {"tax_id": "T"},
        "lines": [{"sku": "a", "amount": 1.0}],
    }
    scope = Scope(input={"document": "text", "memo": "m"}, steps={"read": StepScope("done", output)})
    arguments, answer = step.arguments(scope), {"lines": [{"n": 1}, {"n": 2.5}]}
    data = encode_body(output)
    rows: dict[str, Callable[[], object]] = {
        f"parse_body ({len(data)} bytes)": lambda: parse_body(data),
        "read_stored": lambda: read_stored(data),
        "check_value": lambda: check_value(output),
        "encode_body": lambda: encode_body(output),
        "ref_of": lambda: ref_of(data),
        "input_problems": lambda: checked.input_problems({"a": 3.5}),
        "arguments (three bindings)": lambda: step.arguments(scope),
        "applies (one comparison)": lambda: step.applies(scope),
        "gate": lambda: step.gate(scope, arguments),
        "ensures (sum over a list)": lambda: checked.ensures_failed({"a": 3.5}, answer),
    }
    for name, call in rows.items():
        started = time.perf_counter()
        for _ in range(ROUNDS):
            call()
        print(f"{name:32} {(time.perf_counter() - started) / ROUNDS * 1e6:8.2f} us")
