"""What is wrong in plans is found before anything runs, with its place and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from checking_plan.making import HEAD, agent, plan, registry
from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compile import compile_process
from process_orchestrator.core.facts.values import Assurance

READ = "{id: read, contract: document.read, in: {document: $.input.document}}"
POST = "{id: post, contract: ledger.post, in: {id: $.steps.read.output.id, total: $.steps.read.output.total}}"
LINES = "{id: lines, contract: line.check, for_each: $.steps.read.output.lines, in: {line: $.item}}"


def found(process_type: ProcessType, known: Registry | None = None) -> list[tuple[str, str, str, str]]:
    compiled = compile_process(process_type, registry=known or registry(), server_floor=Assurance.A0)
    errors = [problem for problem in compiled.problems if problem.level == "error"]
    assert (compiled.facts is None) == bool(errors)
    assert all(problem.fix and problem.message for problem in errors)
    return [(problem.code, problem.pointer, problem.message, problem.fix) for problem in errors]


SOUND = [
    f"[{READ}]",
    f"[{READ}, {POST}]",
    f"[{POST}, {READ}]",
    f"[{READ}, {LINES}]",
    "[{id: read, contract: document.read@^1, in: {document: {first: [$.input.memo, $.input.document]}}}]",
    f"[{READ}, {{id: post, contract: ledger.post, after: [read], in: {{id: x, total: 5, memo: $.steps.read.output.note}}}}]",
    f"[{READ}, {{id: ask, contract: invoice.ask, when: $.steps.read.output.known, in: {{question: why}}}}]",
    f"[{READ}, {{id: ask, contract: invoice.ask, in: {{question: $.steps.read.error.code}}}}]",
    "[{id: ask, contract: invoice.ask, in: $.input.ask}]",
    f"[{READ}, {LINES}, {{id: ask, contract: invoice.ask, in: {{question: why}}, "
    "when: {let: {c: $.steps.lines.output}, expr: 'c.exists(x, !x.allowed)'}}]",
    "[{id: rest, wait: {seconds: 60}, when: $.input.flag, default: {seconds: 0}}, "
    "{id: wipe, contract: disk.wipe, when: {let: {s: $.steps.rest.output.seconds}, expr: s > 1.0}, in: {disk: x}}]",
    f"[{READ}, {{id: ask, contract: invoice.ask, in: {{question: why}}, repeat: {{max: 3, every_s: 0, until: "
    "{let: {a: $.output.accepted, t: $.steps.read.output.total, m: $.input.document}, "
    "expr: \"a && t > 1.0 && m != ''\"}}}]",
    f"[{READ}, {{id: lines, contract: line.check, for_each: $.steps.read.output.lines, "
    "when: {let: {a: $.item.amount, i: $.index}, expr: 'a > 1.0 && i < 5'}, in: {line: $.item}}]",
    "[{id: ask, contract: invoice.ask, when: $.input.flag, default: {accepted: true}, in: {question: why}}, "
    "{id: wipe, contract: disk.wipe, when: {let: {a: $.steps.ask.output.accepted}, expr: a}, in: {disk: x}}]",
]


@pytest.mark.parametrize("steps", SOUND)
def test_a_sound_plan_has_no_problems(steps: str) -> None:
    head = HEAD.replace("memo: {type: string}", "memo: {type: string}, ask: {type: object}, flag: {type: boolean}")
    assert found(plan(steps, head=head)) == []


@pytest.mark.parametrize(
    ("steps", "code", "pointer", "message", "fix"),
    [
        (f"[{READ}, {READ}]", "DUPLICATE_STEP", "/plan/steps/1/id", "two steps `read`", "read_2"),
        ("[{id: a, wait: {seconds: 5}, agent: desk}]", "NOT_IN_WAIT", "/plan/steps/0/agent", "calls nobody", "remove"),
        ("[{id: a, wait: {seconds: 5}, in: {}}]", "NOT_IN_WAIT", "/plan/steps/0/in", "calls nobody", "remove `in`"),
        (
            "[{id: a, wait: {seconds: 5}, approval: always}]",
            *("NOT_IN_WAIT", "/plan/steps/0/approval", "calls nobody", "the step that follows"),
        ),
        (
            "[{id: a, wait: {seconds: 5}, repeat: {until: true}}]",
            *("NOT_IN_WAIT", "/plan/steps/0/repeat", "calls nobody", "remove"),
        ),
        (
            "[{id: a, wait: {seconds: 5}}, {id: b, contract: invoice.ask, in: {question: $.steps.a.output.minutes}}]",
            *("UNDECLARED_PATH", "/plan/steps/1/in/question", "it has seconds", "declare"),
        ),
        (
            f"[{READ}, {{id: b, contract: line.check, for_each: $.steps.read.output.lines, in: {{line: $.item}}, "
            "repeat: {until: $.output.allowed}}]",
            *("REPEAT_FOR_EACH", "/plan/steps/1/repeat", "not both", "sub-process"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: x}, repeat: {until: $.output.acepted}}]",
            *("UNDECLARED_PATH", "/plan/steps/0/repeat/until", "declares no `acepted`", "$.output.accepted"),
        ),
        (
            "[{id: a, contract: document.read, in: {document: x}, repeat: {until: $.output.total}}]",
            *("NOT_BOOL", "/plan/steps/0/repeat/until", "must be true or false", "bind a boolean"),
        ),
        (
            "[{id: a, contract: document.read, in: {document: x}, "
            "repeat: {until: {let: {t: $.output.total}, expr: t > 1000}}}]",
            *("EXPRESSION", "/plan/steps/0/repeat/until/expr", "1000", "1000.0"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: x}, repeat: {until: {let: {r: $.item.ready}, expr: 'true'}}}]",
            *("BAD_BINDING", "/plan/steps/0/repeat/until/let/r", "output", "begin with"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: $.output.x}}]",
            *("BAD_BINDING", "/plan/steps/0/in/question", "steps", "begin with"),
        ),
        (
            "[{id: a, contract: document.red, in: {}}]",
            *("UNKNOWN_CONTRACT", "/plan/steps/0/contract", "document.red", "document.read"),
        ),
        (
            "[{id: a, contract: document.read@^2, in: {}}]",
            "UNKNOWN_CONTRACT",
            "/plan/steps/0/contract",
            "@^2",
            "nearest",
        ),
        (
            "[{id: a, contract: draft.one, in: {}}]",
            "DRAFT",
            "/plan/steps/0/contract",
            "draft",
            "contracts activate draft.one",
        ),
        (
            "[{id: a, contract: nobody.serves, in: {}}]",
            "NOT_SERVED",
            "/plan/steps/0/contract",
            "no agent",
            "nobody.serves@^1",
        ),
        (
            "[{id: a, contract: document.read, agent: ledger, in: {document: x}}]",
            *("NOT_SERVED", "/plan/steps/0/agent", "`ledger` does not serve", "reader"),
        ),
        (
            "[{id: a, contract: document.read, agent: readr, in: {document: x}}]",
            *("UNKNOWN_AGENT", "/plan/steps/0/agent", "no agent `readr`", "reader"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: $.steps.reed.output.id}}, " + READ + "]",
            *("UNKNOWN_STEP", "/plan/steps/0/in/question", "no step `reed`", "read"),
        ),
        (
            "[{id: a, contract: invoice.ask, after: [reed], in: {question: x}}, " + READ + "]",
            *("UNKNOWN_STEP", "/plan/steps/0/after/0", "no step `reed`", "read"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: $.steps.a.status}}]",
            *("CYCLE", "/plan/steps/0/in/question", "refers to itself", "earlier"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: $.steps.b.status}}, "
            "{id: b, contract: invoice.ask, in: {question: x}, after: [a]}]",
            *("CYCLE", "/plan/steps/0", "a -> b -> a", "remove"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: $.item.sku}}]",
            *("NO_ITEM", "/plan/steps/0/in/question", "`for_each`", "for_each"),
        ),
        (
            "[{id: a, contract: line.check, for_each: $.item, in: {line: $.item}}]",
            *("NO_ITEM", "/plan/steps/0/for_each", "`for_each`", "for_each"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: $.inputs.memo}}]",
            *("BAD_BINDING", "/plan/steps/0/in/question", "leads nowhere", "const"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: $.output.memo}}]",
            *("BAD_BINDING", "/plan/steps/0/in/question", "leads nowhere", "const"),
        ),
        (
            "[{id: a, contract: invoice.ask, in: {question: $.input.mmo}}]",
            *("UNDECLARED_PATH", "/plan/steps/0/in/question", "declares no `mmo`", "write `$.input.memo`"),
        ),
        (
            f"[{READ}, {{id: a, contract: invoice.ask, in: {{question: $.steps.read.output.vendor.tax}}}}]",
            *(
                "UNDECLARED_PATH",
                "/plan/steps/1/in/question",
                "it has tax_id, name",
                "$.steps.read.output.vendor.tax_id",
            ),
        ),
        (
            f"[{READ}, {{id: a, contract: invoice.ask, in: {{question: $.steps.read.output.vender.name}}}}]",
            *(
                "UNDECLARED_PATH",
                "/plan/steps/1/in/question",
                "declares no `vender`",
                "$.steps.read.output.vendor.name",
            ),
        ),
        (
            f"[{READ}, {{id: a, contract: invoice.ask, in: {{question: $.steps.read.output.id.x}}}}]",
            *("UNDECLARED_PATH", "/plan/steps/1/in/question", "it is string", "$.steps.read.output.id"),
        ),
        (
            f"[{READ}, {{id: a, contract: line.check, for_each: $.steps.read.output.lines, in: {{line: {{s: $.item.skuu}}}}}}]",
            *("UNDECLARED_PATH", "/plan/steps/1/in/line/s", "declares no `skuu`", "$.item.sku"),
        ),
        (
            f"[{READ}, {LINES}, {{id: a, contract: invoice.ask, in: {{question: $.steps.lines.output.allowed}}}}]",
            *("UNDECLARED_PATH", "/plan/steps/2/in/question", "it is array", "$.steps.lines.output"),
        ),
        (
            f"[{READ}, {{id: a, contract: ledger.post, in: {{id: x}}}}]",
            "MISSING_ARGUMENT",
            "/plan/steps/1/in",
            "`total`",
            "add",
        ),
        ("[{id: a, contract: document.read}]", "MISSING_ARGUMENT", "/plan/steps/0/in", "needs `document`", "add"),
        (
            "[{id: a, contract: ledger.post, in: {id: x, total: 1, memmo: y}}]",
            *("UNKNOWN_ARGUMENT", "/plan/steps/0/in/memmo", "no `memmo`", "`memo`"),
        ),
        (
            "[{id: a, contract: ledger.post, in: {id: x, total: 1, request_id: y}}]",
            *("KEY_FIELD_SET", "/plan/steps/0/in/request_id", "idempotency key", "remove"),
        ),
        (
            f"[{READ}, {{id: a, contract: invoice.ask, in: {{question: x}}, when: $.steps.read.output.id}}]",
            *("NOT_BOOL", "/plan/steps/1/when", "true or false", "boolean"),
        ),
        (
            f"[{READ}, {{id: a, contract: invoice.ask, in: {{question: x}}, "
            "when: {let: {t: $.steps.read.output.total}, expr: t}}]",
            *("NOT_BOOL", "/plan/steps/1/when/expr", "true or false", "t != 0.0"),
        ),
        (
            f"[{READ}, {{id: a, contract: invoice.ask, in: {{question: x}}, "
            "when: {let: {t: $.steps.read.output.total}, expr: t > 1000}}]",
            *("EXPRESSION", "/plan/steps/1/when/expr", "`1000` is a whole number", "t > 1000.0"),
        ),
        (
            f"[{READ}, {{id: a, contract: invoice.ask, in: {{question: x}}, "
            "approval: {when: {let: {t: $.steps.read.output.totl}, expr: t > 1.0}}}]",
            *(
                "UNDECLARED_PATH",
                "/plan/steps/1/approval/when/let/t",
                "declares no `totl`",
                "$.steps.read.output.total",
            ),
        ),
        (
            f"[{READ}, {{id: a, contract: invoice.ask, in: {{question: x}}, approval: {{show: [$.steps.read.output.nte]}}}}]",
            *("UNDECLARED_PATH", "/plan/steps/1/approval/show/0", "declares no `nte`", "$.steps.read.output.note"),
        ),
        (
            f"[{READ}, {{id: a, contract: line.check, for_each: $.steps.read.output.id, in: {{line: {{}}}}}}]",
            *("FOR_EACH_NOT_ARRAY", "/plan/steps/1/for_each", "this is string", "list"),
        ),
        (
            "[{id: a, contract: ledger.post, in: {id: x, total: 1}, on_failure: {bsy: skip}}]",
            *("UNKNOWN_ERROR", "/plan/steps/0/on_failure/bsy", "`bsy`", "`busy`"),
        ),
        (
            "[{id: a, contract: ledger.post, in: {id: x, total: 1}, retry: {max_attempts: 9}}]",
            *("RETRY_LOOSENED", "/plan/steps/0/retry/max_attempts", "4 attempts", "at most 4"),
        ),
        (
            "[{id: a, contract: ledger.post, in: {id: x, total: 1}, retry: {on: [transient, permanent]}}]",
            *("RETRY_LOOSENED", "/plan/steps/0/retry/on/1", "`permanent`", "remove"),
        ),
        (
            "[{id: a, contract: ledger.post, in: {id: x, total: 1}, timeout_s: 121}]",
            *("TIMEOUT_LOOSENED", "/plan/steps/0/timeout_s", "120 seconds", "at most 120"),
        ),
        (
            "[{id: a, contract: ledger.post, in: {id: x, total: 1}, default: {posting: $.input.nope}}]",
            *("UNDECLARED_PATH", "/plan/steps/0/default/posting", "declares no `nope`", "declare"),
        ),
    ],
)
def test_a_broken_plan_is_refused_where_it_is_broken(
    steps: str, code: str, pointer: str, message: str, fix: str
) -> None:
    problems = found(plan(steps))
    assert [problem[:2] for problem in problems] == [(code, pointer)]
    assert message in problems[0][2]
    assert fix in problems[0][3]


@pytest.mark.parametrize(
    ("output", "head_output", "code", "pointer"),
    [
        ("{posting: $.steps.read.output.idd}", None, "UNDECLARED_PATH", "/plan/output/posting"),
        ("{posting: $.steps.nope.output.id}", None, "UNKNOWN_STEP", "/plan/output/posting"),
        ("{posting: $.item}", None, "NO_ITEM", "/plan/output/posting"),
        ("{total: {let: {t: $.steps.read.output.total}, expr: t + 1}}", None, "EXPRESSION", "/plan/output/total/expr"),
        ("{}", "{type: object, required: [posting]}", "MISSING_ARGUMENT", "/plan/output"),
        (
            "{postin: x}",
            "{type: object, additionalProperties: false, properties: {posting: {type: string}}}",
            *("UNKNOWN_ARGUMENT", "/plan/output/postin"),
        ),
    ],
)
def test_the_output_of_a_plan_is_checked_like_arguments(
    output: str, head_output: str | None, code: str, pointer: str
) -> None:
    more = "" if head_output is None else f"output: {head_output}"
    assert [problem[:2] for problem in found(plan(f"[{READ}]", output=output, more=more))] == [(code, pointer)]


@pytest.mark.parametrize(
    ("contracts", "code"),
    [
        ("[document.read@^1, ledger.post]", None),
        ("[document.read@^1, ledger.post, ledger.void]", None),
        ("[document.read]", "NOT_ON_MAP"),
        ("[document.read@^2, ledger.post]", "UNKNOWN_CONTRACT"),
    ],
)
def test_only_listed_contracts_may_be_planned(contracts: str, code: str | None) -> None:
    problems = found(plan(f"[{READ}, {POST}]", more=f"contracts: {contracts}"))
    assert [problem[0] for problem in problems] == ([] if code is None else [code])


def test_what_undoes_a_listed_contract_is_on_the_map() -> None:
    steps = "[{id: void, contract: ledger.void, in: {posting: x}}]"
    assert found(plan(steps, more="contracts: [ledger.post]")) == []


def test_a_step_may_name_a_version_within_the_map() -> None:
    steps = "[{id: read, contract: document.read@1.0.0, in: {document: x}}]"
    assert found(plan(steps, more="contracts: [document.read@^1]")) == []


def test_a_plan_keeps_the_limit_of_steps() -> None:
    steps = ", ".join(f"{{id: s{number}, contract: invoice.ask, in: {{question: x}}}}" for number in range(3))
    assert [problem[:2] for problem in found(plan(f"[{steps}]", more="limits: {steps: 2}"))] == [
        ("TOO_MANY_STEPS", "/plan/steps")
    ]


def test_several_faults_are_reported_together() -> None:
    steps = "[{id: a, contract: invoice.ask, in: {qestion: $.input.mmo}, when: $.steps.b.output.x}, {id: a, contract: no.such}]"
    codes = sorted(problem[0] for problem in found(plan(steps)))
    assert codes == ["DUPLICATE_STEP", "MISSING_ARGUMENT", "UNDECLARED_PATH", "UNKNOWN_CONTRACT", "UNKNOWN_STEP"]


def test_a_broken_undo_is_found_at_the_step_that_it_would_undo() -> None:
    known = registry()
    broken = Registry.of(
        contracts=[
            each if each.name != "ledger.post" else _with_undo(each, {"posting": "$.output.postin"})
            for each in known.contracts
        ],
        agents=known.agents,
    )
    problems = found(plan(f"[{READ}, {POST}]"), broken)
    assert [problem[:2] for problem in problems] == [("UNDECLARED_PATH", "/plan/steps/1/contract")]
    assert "undo of ledger.post" in problems[0][2]


def _with_undo(contract: Any, written: Any) -> Any:
    import msgspec.structs  # noqa: PLC0415  used once

    return msgspec.structs.replace(contract, undo=msgspec.structs.replace(contract.undo, input=written))


def test_a_person_is_no_fallback_for_a_program() -> None:
    known = registry(agents=(agent("person", "document.read@^1", kind="human", prefer=500),))
    compiled = compile_process(plan(f"[{READ}]"), registry=known, server_floor=Assurance.A0)
    assert compiled.facts is not None
    assert [pin.name for pin in compiled.facts.steps[0].agents] == ["reader", "reader_too"]


def test_each_binding_has_its_row() -> None:
    steps = (
        f"[{READ}, {LINES}, {{id: post, contract: ledger.post, in: {{id: {{first: [$.input.memo, x]}}, total: 5}}}}]"
    )
    compiled = compile_process(
        plan(steps, output="{total: {expr: '1.0'}}"), registry=registry(), server_floor=Assurance.A0
    )
    rows = [(row.step, row.argument, row.verdict, row.producer, row.consumer) for row in compiled.rows]
    assert rows == [
        ("read", "/document", "always", "approval@1.0.0#/input/document", "document.read@1.0.0#/input/document"),
        ("post", "/id", "always", "first", "ledger.post@1.0.0#/input/id"),
        ("post", "/total", "always", "const", "ledger.post@1.0.0#/input/total"),
        ("post!undo", "/posting", "always", "ledger.post@1.0.0#/output/posting", "ledger.void@1.0.0#/input/posting"),
        ("lines", "/line", "always", "document.read@1.0.0#/output/lines/*", "line.check@1.0.0#/input/line"),
        ("output", "/total", "always", "expression: 1.0", "approval@1.0.0#/output/total"),
    ]
    assert {(row.process, row.version) for row in compiled.rows} == {("approval", "1.0.0")}


def test_the_whole_input_may_be_one_binding() -> None:
    steps = "[{id: ask, contract: invoice.ask, in: $.input.memo}]"
    compiled = compile_process(plan(steps), registry=registry(), server_floor=Assurance.A0)
    assert [(row.argument, row.consumer) for row in compiled.rows] == [("/", "invoice.ask@1.0.0#/input")]
