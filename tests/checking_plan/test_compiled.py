"""Pinned plans and contracts at run time, made from stored definitions alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from checking_plan.making import HEAD, contract, plan, registry
from process_orchestrator.checking.plans.compile import compile_process, contract_body
from process_orchestrator.checking.plans.compiled import (
    ABSENT,
    CompiledContract,
    CompiledPlan,
    Compiler,
    Scope,
    StepScope,
)
from process_orchestrator.core.errors import BindingError
from process_orchestrator.core.facts.specs import Gate
from process_orchestrator.core.facts.values import ApprovalMode, Assurance, Blame
from process_orchestrator.core.ports import DefinitionBody

READ = "{id: read, contract: document.read, in: {document: $.input.document}}"

OUTPUT = {
    "id": "i-1",
    "total": 1500,
    "known": True,
    "vendor": {"tax_id": "T"},
    "lines": [{"sku": "a", "amount": 1}, {"sku": "b", "amount": 2.5}],
}
SCOPE = Scope(input={"document": "text", "limit": 2000}, steps={"read": StepScope("done", OUTPUT)})


def compiled(steps: str, *, output: str = "{}", more: str = "", head: str = HEAD) -> CompiledPlan:
    """The plan as the performer gets it: through its stored form."""
    whole = plan(steps, output=output, more=more, head=head)
    made = compile_process(whole, registry=registry(), server_floor=Assurance.A0)
    assert [each for each in made.problems if each.level == "error"] == []
    body = next(each for each in made.definitions if each.kind == "plan")
    stored = msgspec.json.decode(msgspec.json.encode(body), type=DefinitionBody)
    return Compiler().plan(stored)


def post(given: str, extra: str = "") -> str:
    return f"[{READ}, {{id: post, contract: ledger.post, in: {given}{extra}}}]"


def test_arguments_are_bound_and_optional_ones_left_out() -> None:
    step = compiled(
        post("{id: $.steps.read.output.id, total: $.steps.read.output.total, memo: $.steps.read.output.note}")
    ).step("post")
    assert step.arguments(SCOPE) == {"id": "i-1", "total": 1500}
    noted = Scope(input={}, steps={"read": StepScope("done", {**OUTPUT, "note": None})})
    assert step.arguments(noted) == {"id": "i-1", "total": 1500, "memo": None}


def test_a_required_argument_that_is_absent_is_a_missing_binding_with_its_place_and_blame() -> None:
    for given, blame in (
        ("{id: $.input.memo, total: 1}", Blame.CALLER),
        ("{id: $.steps.read.output.note, total: 1}", Blame.PLANNER),
        ("{id: {first: [$.input.memo, $.steps.read.output.note]}, total: 1}", Blame.PLANNER),
    ):
        with pytest.raises(BindingError) as raised:
            compiled(post(given)).step("post").arguments(SCOPE)
        assert (raised.value.code, raised.value.pointer, raised.value.blame) == ("missing_binding", "/id", blame)


def test_an_expression_in_an_argument_gets_numbers_as_numbers() -> None:
    given = "{id: x, total: {let: {t: $.steps.read.output.total, l: $.steps.read.output.lines}, expr: 'round(t / 3.0 + sum(l.map(x, x.amount)), 2)'}}"
    assert compiled(post(given)).step("post").arguments(SCOPE) == {"id": "x", "total": 503.5}


def test_the_whole_input_may_be_one_value() -> None:
    head = HEAD.replace("memo: {type: string}", "memo: {type: object}")
    step = compiled("[{id: ask, contract: invoice.ask, in: $.input.memo}]", head=head).step("ask")
    assert step.arguments(Scope(input={"memo": {"question": "why"}})) == {"question": "why"}
    with pytest.raises(BindingError):
        step.arguments(Scope(input={}))


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ("$.steps.read.output.known", True),
        ("{let: {t: $.steps.read.output.total, l: $.input.limit}, expr: t > l}", False),
        ("{let: {l: $.steps.read.output.lines}, expr: 'l.exists(x, x.amount > 2.0)'}", True),
        ("{let: {s: $.steps.read.status}, expr: s == 'done'}", True),
    ],
)
def test_a_condition_decides_whether_a_step_applies(when: str, applies: bool) -> None:  # noqa: FBT001
    assert compiled(post("{id: x, total: 1}", f", when: {when}")).step("post").applies(SCOPE) is applies


def test_a_step_without_a_condition_applies() -> None:
    assert compiled(f"[{READ}]").step("read").applies(Scope())


@pytest.mark.parametrize(
    ("when", "scope", "code"),
    [
        ("$.steps.read.output.known", Scope(steps={"read": StepScope("skipped")}), "missing_binding"),
        ("$.steps.read.output.known", Scope(steps={"read": StepScope("done", {"known": "yes"})}), "condition_error"),
        (
            "{let: {l: $.steps.read.output.lines}, expr: 'l[5].amount > 1.0'}",
            *(SCOPE, "condition_error"),
        ),
        ("{let: {n: $.steps.read.output.note}, expr: n == 'x'}", SCOPE, "missing_binding"),
    ],
)
def test_a_condition_that_cannot_be_told_is_an_error_and_never_false(when: str, scope: Scope, code: str) -> None:
    step = compiled(post("{id: x, total: 1}", f", when: {when}")).step("post")
    with pytest.raises(BindingError) as raised:
        step.applies(scope)
    assert (raised.value.code, raised.value.blame) == (code, Blame.PLANNER)


def test_a_mapped_step_runs_over_its_list_and_binds_the_item() -> None:
    steps = f"[{READ}, {{id: lines, contract: line.check, for_each: $.steps.read.output.lines, in: {{line: {{of: $.item, at: $.index}}}}}}]"
    step = compiled(steps).step("lines")
    assert step.items(SCOPE) == OUTPUT["lines"]
    at = Scope(input=SCOPE.input, steps=SCOPE.steps, item={"sku": "a"}, index=0)
    assert step.arguments(at) == {"line": {"of": {"sku": "a"}, "at": 0}}
    for output in ({"lines": "text"}, {}):
        with pytest.raises(BindingError) as raised:
            step.items(Scope(steps={"read": StepScope("done", output)}))
        assert raised.value.code == "missing_binding"


def test_a_list_may_be_written_out() -> None:
    step = compiled("[{id: ask, contract: invoice.ask, for_each: [a, $.input.memo], in: {question: $.item}}]").step(
        "ask"
    )
    assert step.items(Scope(input={"memo": "b"})) == ["a", "b"]
    with pytest.raises(BindingError) as raised:
        step.items(Scope(input={}))
    assert (raised.value.pointer, raised.value.blame) == ("/1", Blame.CALLER)


def test_a_default_stands_for_the_output() -> None:
    plain = compiled(post("{id: x, total: 1}"))
    assert plain.step("post").default(SCOPE) is ABSENT
    assert compiled(post("{id: x, total: 1}", ", default: null")).step("post").default(SCOPE) is None
    told = compiled(post("{id: x, total: 1}", ", default: {posting: $.steps.read.output.id}")).step("post")
    assert told.default(SCOPE) == {"posting": "i-1"}


@pytest.mark.parametrize(
    ("approval", "total", "gate"),
    [
        ("", 500.0, None),
        ("", 1500, Gate(role="controller", min_assurance=Assurance.A2)),
        (", approval: always", 500.0, Gate(role="controller", min_assurance=Assurance.A2)),
        (", approval: {role: boss, min_assurance: A3}", 500.0, Gate(role="boss", min_assurance=Assurance.A3)),
        (", approval: {when: $.input.flag}", 500.0, Gate(role="controller", min_assurance=Assurance.A2)),
        (", approval: {when: {let: {l: $.input.limit}, expr: l > 9000.0}}", 500.0, None),
        (
            ", approval: {when: {let: {l: $.input.limit}, expr: l > 9000.0}, role: boss}",
            1500,
            Gate(role="boss", min_assurance=Assurance.A2),
        ),
    ],
)
def test_contract_and_step_each_may_ask_for_an_approval(approval: str, total: float, gate: Gate | None) -> None:
    more = "input: {type: object, properties: {document: {type: string}, flag: {type: boolean}, limit: {type: number}}}"
    step = compiled(post("{id: x, total: $.steps.read.output.total}", approval), more=more).step("post")
    scope = Scope(input={"flag": True, "limit": 2000}, steps=SCOPE.steps)
    assert step.gate(scope, {"id": "x", "total": total}) == gate


def test_every_step_gates_what_has_effects() -> None:
    made = compiled(post("{id: x, total: 1.0}"))
    asked = made.step("post").gate(SCOPE, {"id": "x", "total": 1.0}, mode=ApprovalMode.EVERY_STEP)
    assert asked == Gate(role="controller", min_assurance=Assurance.A2)
    assert made.step("read").gate(SCOPE, {}, mode=ApprovalMode.EVERY_STEP) is None
    assert made.step("post").gate(SCOPE, {"id": "x", "total": 1.0}, mode=ApprovalMode.PLAN) is None


def test_a_contracts_approval_that_cannot_be_told_is_an_error() -> None:
    with pytest.raises(BindingError) as raised:
        compiled(post("{id: x, total: 1.0}")).step("post").gate(SCOPE, {"id": "x"})
    assert raised.value.code == "condition_error"


def test_what_an_approval_shows_is_read_from_the_scope() -> None:
    extra = ", approval: {show: [$.steps.read.output.vendor.tax_id, $.input.memo]}"
    assert compiled(post("{id: x, total: 1.0}", extra)).step("post").shown(SCOPE) == (
        ("$.steps.read.output.vendor.tax_id", "T"),
    )


def test_blame_follows_where_an_argument_came_from() -> None:
    step = compiled(post("{id: $.input.memo, total: $.steps.read.output.total, memo: fixed}")).step("post")
    blamed = {pointer: step.blame(pointer) for pointer in ("", "/id", "/id/deep", "/total", "/memo", "/nowhere")}
    assert blamed == {
        "": Blame.PLANNER,
        "/id": Blame.CALLER,
        "/id/deep": Blame.CALLER,
        "/total": Blame.PLANNER,
        "/memo": Blame.PLANNER,
        "/nowhere": Blame.PLANNER,
    }
    assert compiled(f"[{READ}]").step("read").blame("") is Blame.CALLER


def test_the_step_names_contract_agents_and_key_field() -> None:
    step = compiled(post("{id: x, total: 1.0}")).step("post")
    assert step.contract is not None
    assert (step.contract.name, step.key_field, step.human, step.level) == (
        "ledger.post",
        "request_id",
        False,
        Assurance.A2,
    )
    assert [(each.name, each.bind) for each in step.agents] == [("ledger", {"tool": "run"})]
    with pytest.raises(KeyError):
        compiled(f"[{READ}]").step("nope")


def test_undo_binds_the_call_that_it_undoes() -> None:
    undo = compiled(post("{id: x, total: 1.0}")).step("post").undo
    assert undo is not None
    assert (undo.contract.name, undo.arguments({"id": "x"}, {"posting": "p-1"})) == ("ledger.void", {"posting": "p-1"})


def test_the_output_of_a_plan_leaves_out_what_is_absent() -> None:
    made = compiled(
        f"[{READ}, {{id: ask, contract: invoice.ask, in: {{question: x}}}}]",
        output="{total: $.steps.read.output.total, posting: {first: [$.steps.read.output.note, $.steps.ask.error.code]}, "
        "done: {let: {s: $.steps.ask.status}, expr: s == 'done'}}",
    )
    skipped = Scope(input={}, steps={"read": StepScope("done", OUTPUT), "ask": StepScope("skipped", ABSENT)})
    assert made.output(skipped) == {"total": 1500, "done": False}
    assert made.output_problems({"total": "x"})[0].pointer == "/total"
    assert made.input_problems({"document": 5})[0].pointer == "/document"
    assert [step.step.id for step in made.steps] == ["read", "ask"]


CHECKED = """
contract: sum.up
input:
  type: object
  required: [a]
  properties: {a: {type: number}, note: {type: string}}
output: {type: object, required: [b], properties: {b: {type: number}, rows: {type: array, items: {type: number}}}}
requires: [{id: positive, expr: "input.a > 0.0"}, {id: noted, expr: "input.note != ''"}]
ensures: [{id: same, expr: "output.b == input.a"}, {id: adds_up, expr: "!has(output.rows) || sum(output.rows) == output.b"}]
approval: {when: {expr: "input.a > 100.0"}, role: boss}
"""


def test_a_contract_holds_values_against_schemas_and_conditions() -> None:
    made = CompiledContract(contract(CHECKED))
    assert made.input_problems({"a": 1}) == ()
    assert [problem.pointer for problem in made.input_problems({})] == ["/a"]
    assert [problem.pointer for problem in made.output_problems({"b": "x"})] == ["/b"]
    assert made.requires_failed({"a": 1, "note": "x"}) is None
    broken = made.requires_failed({"a": 0, "note": "x"})
    assert broken is not None
    assert (broken.id, broken.error) == ("positive", None)
    assert made.ensures_failed({"a": 5}, {"b": 5.0}) is None
    assert made.ensures_failed({"a": 5}, {"b": 5, "rows": [2, 3]}) is None
    wrong = [made.ensures_failed({"a": 5}, answer) for answer in ({"b": 6}, {"b": 5, "rows": [2]})]
    assert [each.id if each else None for each in wrong] == ["same", "adds_up"]


def test_a_condition_of_a_contract_that_cannot_be_evaluated_fails_and_says_so() -> None:
    failure = CompiledContract(contract(CHECKED)).requires_failed({"a": 1})
    assert failure is not None
    assert failure.id == "noted"
    assert failure.error is not None
    assert "cannot be evaluated" in failure.message


def test_a_compiler_makes_each_definition_once_and_forgets_the_oldest() -> None:
    compiler = Compiler()
    bodies = [
        contract_body(
            contract(f"{{contract: c, version: 1.0.{number}, input: {{type: object}}, output: {{type: object}}}}")
        )
        for number in range(300)
    ]
    first = compiler.contract(bodies[0])
    assert compiler.contract(bodies[0]) is first
    made: list[Any] = [compiler.contract(body) for body in bodies]
    assert [each.contract.version for each in made] == [f"1.0.{number}" for number in range(300)]
    assert compiler.contract(bodies[0]) is not first
