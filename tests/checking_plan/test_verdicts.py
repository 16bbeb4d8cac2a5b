"""How each binding of a plan fits: verdicts, witnesses, what covers a misfit, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from checking_plan.making import agent, contract, plan
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.checked_plan import CheckedPlan
from process_orchestrator.checking.plans.lifted import lifted
from process_orchestrator.checking.plans.plan_check import check_plan
from process_orchestrator.checking.schemas.projection import Shape
from process_orchestrator.checking.schemas.validate import Validator

GET = """
contract: doc.get
input: {type: object, required: [id], additionalProperties: false, properties: {id: {type: string}}}
output:
  type: object
  required: [id, day, total, lines, kind, owner]
  additionalProperties: false
  properties:
    id: {type: string, minLength: 1}
    day: {type: string}
    total: {type: number}
    note: {type: string, maxLength: 200}
    memo: {type: [string, "null"]}
    kind: {enum: [invoice, order, offer]}
    owner: {type: object, required: [name], additionalProperties: false, properties: {name: {type: string}, mail: {type: string, format: email}}}
    lines: {type: array, minItems: 1, maxItems: 50, items: {type: object, required: [sku], additionalProperties: false, properties: {sku: {type: string}, amount: {type: number}}}}
errors: {gone: {class: not_found}}
examples: [{name: one, input: {id: d1}, output: {id: d1, day: tomorrow, total: 10, kind: order, owner: {name: Ana}, lines: [{sku: s1}]}}]
"""

PUT = """
contract: doc.put
effects: {kind: write, undo: {contract: doc.drop, in: {id: $.output.id, reason: {const: taken back}}}}
idempotency: {key: key}
input:
  type: object
  required: [key, day, total]
  additionalProperties: false
  properties:
    key: {type: string}
    day: {type: string, format: date}
    total: {type: number, minimum: 0}
    note: {type: string, maxLength: 50}
    kind: {enum: [invoice, order]}
    names: {type: array, maxItems: 2, items: {type: string}}
    owner: {type: object, required: [name, mail], additionalProperties: false, properties: {name: {type: string}, mail: {type: string, format: email}}}
output: {type: object, required: [id], additionalProperties: false, properties: {id: {type: string, pattern: "^P-[0-9]+$"}}}
"""

DROP = """
contract: doc.drop
effects: {kind: write}
idempotency: natural
input: {type: object, required: [id, reason], additionalProperties: false, properties: {id: {type: string, pattern: "^P-[0-9]+$"}, reason: {type: string, minLength: 3}}}
output: {type: object}
"""

ONE = """
contract: line.one
effects: {kind: none}
input: {type: object, required: [amount], additionalProperties: false, properties: {amount: {type: number}, sku: {type: string}, at: {type: integer, minimum: 0}}}
output: {type: object, required: [ok], additionalProperties: false, properties: {ok: {type: boolean}, why: {type: string}}}
"""

SEEN = """
contract: lines.seen
effects: {kind: none}
input: {type: object, required: [all], additionalProperties: false, properties: {all: {type: array, maxItems: 50, items: {type: object, required: [ok]}}}}
output: {type: object, required: [good], properties: {good: {type: boolean}}}
"""

EITHER = """
contract: pay.either
effects: {kind: none}
input:
  type: object
  properties: {card: {type: string}, account: {type: string}, way: {type: string}}
  oneOf: [{required: [card]}, {required: [account]}]
output: {type: object, required: [done], properties: {done: {type: boolean}}}
"""

UNION = """
contract: pay.ask
effects: {kind: none}
input: {type: object}
output:
  oneOf:
    - {type: object, required: [way, card], additionalProperties: false, properties: {way: {const: card}, card: {type: string}}}
    - {type: object, required: [way, account], additionalProperties: false, properties: {way: {const: account}, account: {type: string}}}
  type: object
"""

HEAD = """
process: desk
input:
  type: object
  required: [id, day]
  additionalProperties: false
  properties: {id: {type: string}, day: {type: string, format: date}, limit: {type: number}, flag: {type: boolean}, maybe: {type: [boolean, "null"]}, some: {type: array, items: {type: string}}, way: {enum: [a, b]}}
output: {type: object, required: [id], properties: {id: {type: string}, good: {type: boolean}}}
"""

DONE = "{id: $.input.id}"
READ = "{id: get, contract: doc.get, in: {id: $.input.id}}"
LINES = "{id: lines, contract: line.one, for_each: $.steps.get.output.lines, in: {amount: {first: [$.item.amount, 0.0]}, sku: $.item.sku, at: $.index}}"


def definitions(*more: str) -> Registry:
    texts = (GET, PUT, DROP, ONE, SEEN, EITHER, UNION, *more)
    contracts = [contract(text) for text in texts]
    return Registry.of(contracts=contracts, agents=[agent("all", *(f"{each.name}@^1" for each in contracts))])


def checked(
    *steps: str, output: str = DONE, strict: bool = False, more: str = "", contracts: tuple[str, ...] = ()
) -> CheckedPlan:
    process_type = plan(f"[{', '.join(steps)}]", output=output, head=HEAD, more=more)
    assert process_type.plan is not None
    return check_plan(process_type.plan, process_type=process_type, registry=definitions(*contracts), strict=strict)


def found(plan: CheckedPlan) -> list[tuple[str, str, str]]:
    return [(problem.level, problem.code, problem.pointer) for problem in plan.problems if problem.code in MISFITS]


def verdict(plan: CheckedPlan, step: str, argument: str) -> tuple[str, Any]:
    row = next(row for row in plan.rows if (row.step, row.argument) == (step, argument))
    return row.verdict, row.witness


MISFITS = {"NEVER_FITS", "MAY_NOT_FIT", "MAY_BE_ABSENT"}


def put(arguments: str, more: str = "") -> str:
    given = "day: $.input.day, total: 5"
    named = {part.split(":")[0].strip() for part in arguments.split(", ")}
    kept = ", ".join(part for part in given.split(", ") if part.split(":")[0] not in named)
    both = ", ".join(part for part in (kept, arguments) if part)
    return f"{{id: put, contract: doc.put, in: {{{both}}}{more}}}"


@pytest.mark.parametrize(
    ("arguments", "argument", "expected"),
    [
        ("day: $.input.day", "/day", "always"),
        ("day: $.steps.get.output.day", "/day", "sometimes"),
        ("day: '2026-11-22'", "/day", "always"),
        ("day: soon", "/day", "never"),
        ("day: $.steps.get.output.total", "/day", "never"),
        ("total: $.steps.get.output.total", "/total", "sometimes"),
        ("total: {let: {t: $.steps.get.output.total}, expr: 't * 2.0'}", "/total", "sometimes"),
        ("total: {let: {t: $.steps.get.output.total}, expr: 't > 1.0'}", "/total", "never"),
        ("total: {expr: '2.0'}", "/total", "unknown"),
        ("note: $.steps.get.output.note", "/note", "sometimes"),
        ("note: $.steps.get.output.memo", "/note", "sometimes"),
        ("note: $.steps.get.status", "/note", "always"),
        ("note: {first: [$.input.limit, none]}", "/note", "sometimes"),
        ("kind: $.steps.get.output.kind", "/kind", "sometimes"),
        ("kind: invoice", "/kind", "always"),
        ("names: $.input.some", "/names", "sometimes"),
        ("names: [a, $.input.id]", "/names/1", "always"),
        ("owner: $.steps.get.output.owner", "/owner", "sometimes"),
        ("owner: {name: Ana, mail: x@example.org}", "/owner/mail", "always"),
        ("owner: {name: 5, mail: x@example.org}", "/owner/name", "never"),
        ("owner: {name: Ana, mail: $.steps.get.output.owner.mail}", "/owner/mail", "sometimes"),
    ],
)
def test_each_kind_of_value_has_its_verdict_and_its_witness(arguments: str, argument: str, expected: str) -> None:
    made = checked(READ, put(arguments))
    said, witness = verdict(made, "put", argument)
    assert said == expected
    if said in {"sometimes", "never"} and witness is not None:
        part: Any = contract(PUT).input
        for name in argument.split("/")[1:]:
            part = part["items"] if name.isdigit() else part["properties"][name]
        assert not Validator(part).is_valid(witness)
    wanted = {"never": [("error", "NEVER_FITS")], "sometimes": [("warning", "MAY")]}.get(expected, [])
    assert (
        [(level, code[: len(wanted[0][1])]) for level, code, _ in found(made)] == wanted if wanted else not found(made)
    )


def test_a_misfit_says_why_and_how_to_mend_it() -> None:
    problem = next(iter(checked(READ, put("day: $.steps.get.output.day")).problems))
    assert problem.pointer == "/plan/steps/1/in/day"
    assert problem.message == (
        '`$.steps.get.output.day` may not fit: the input of doc.put@1.0.0 wants format date, for example "tomorrow"'
    )
    assert problem.fix == (
        "make doc.get@1.0.0#/output/day format date; or guard the step with `when` over this value; "
        "or say `on_failure: {input_mismatch: …}`; or widen the input of doc.put@1.0.0"
    )


COVERED = [
    "on_failure: {input_mismatch: skip, else: escalate}",
    "on_failure: {invalid_input: escalate}",
    "on_failure: fail",
    "on_failure: {else: compensate}",
    "when: {let: {d: $.steps.get.output.day}, expr: \"d != ''\"}",
    "when: {let: {o: $.steps.get.output}, expr: \"o.day != ''\"}",
]
UNCOVERED = [
    "on_failure: escalate",
    "on_failure: {missing_binding: skip}",
    "on_failure: {transient: fail}",
    "when: {let: {t: $.steps.get.output.total}, expr: 't > 1.0'}",
    "when: {let: {s: $.steps.get.status}, expr: \"s == 'done'\"}",
]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("cover", COVERED)
def test_what_the_plan_provides_for_is_no_problem(cover: str, *, strict: bool) -> None:
    made = checked(READ, put("day: $.steps.get.output.day", f", {cover}"), strict=strict)
    assert verdict(made, "put", "/day") == ("sometimes", "tomorrow")
    assert found(made) == []


@pytest.mark.parametrize("cover", UNCOVERED)
def test_what_it_does_not_provide_for_is_a_warning_in_a_file_and_an_error_when_strict(cover: str) -> None:
    steps = READ, put("day: $.steps.get.output.day", f", {cover}")
    assert found(checked(*steps)) == [("warning", "MAY_NOT_FIT", "/plan/steps/1/in/day")]
    assert checked(*steps).ok
    assert found(checked(*steps, strict=True)) == [("error", "MAY_NOT_FIT", "/plan/steps/1/in/day")]
    assert not checked(*steps, strict=True).ok


def test_what_never_fits_is_refused_whatever_is_provided() -> None:
    made = checked(READ, put("day: soon", ", on_failure: skip, default: {id: P-0}"))
    assert found(made) == [("error", "NEVER_FITS", "/plan/steps/1/in/day")]


ABSENT = [
    ("total: $.input.limit", "", [("warning", "MAY_BE_ABSENT", "/plan/steps/1/in/total")]),
    ("total: {first: [$.input.limit, 1.0]}", "", []),
    (
        "note: $.steps.get.output.owner.mail",
        ", when: $.input.flag",
        [("warning", "MAY_BE_ABSENT", "/plan/steps/1/when")],
    ),
    ("total: {let: {l: $.input.limit}, expr: 'l + 1.0'}", "", [("warning", "MAY_BE_ABSENT", "/plan/steps/1/in/total")]),
    ("total: $.input.limit", ", on_failure: {missing_binding: skip}", []),
    ("total: $.input.limit", ", when: {let: {l: {first: [$.input.limit, 0.0]}}, expr: l > 0.0}", []),
    ("total: $.input.limit", ", when: {let: {i: $.input}, expr: has(i.limit)}", []),
    ("names: [$.steps.get.output.note]", "", [("warning", "MAY_BE_ABSENT", "/plan/steps/1/in/names/0")]),
]


@pytest.mark.parametrize(("arguments", "more", "expected"), ABSENT)
def test_what_may_be_absent_counts_where_it_is_needed(
    arguments: str, more: str, expected: list[tuple[str, str, str]]
) -> None:
    made = [each for each in found(checked(READ, put(arguments, more))) if each[1] == "MAY_BE_ABSENT"]
    assert made == expected


def test_an_optional_argument_that_is_absent_is_left_out() -> None:
    made = checked(
        READ,
        put("kind: {first: [$.input.way, order]}"),
        "{id: one, contract: line.one, in: {amount: 1, sku: $.steps.get.output.note}}",
    )
    assert verdict(made, "one", "/sku") == ("always", None)


SKIPPED = "{id: get, contract: doc.get, when: {let: {i: $.input.id}, expr: \"i != ''\"}, in: {id: $.input.id}%s}"
DEFAULT = ", default: {id: d0, day: '2026-01-01', total: 0, kind: order, owner: {name: Ana}, lines: []}"


def test_the_output_of_a_step_that_may_be_skipped_may_be_absent() -> None:
    made = checked(SKIPPED % "", "{id: again, contract: doc.get, in: {id: $.steps.get.output.id}}")
    assert found(made) == [("warning", "MAY_BE_ABSENT", "/plan/steps/1/in/id")]
    assert verdict(made, "again", "/id")[0] == "sometimes"


@pytest.mark.parametrize(
    "steps",
    [
        (SKIPPED % DEFAULT, "{id: again, contract: doc.get, in: {id: $.steps.get.output.id}}"),
        (SKIPPED % "", "{id: again, contract: doc.get, in: {id: {first: [$.steps.get.output.id, x]}}}"),
        (
            SKIPPED % "",
            "{id: again, contract: doc.get, when: {let: {s: $.steps.get.status}, expr: \"s == 'done'\"}, in: {id: $.steps.get.output.id}}",
        ),
    ],
)
def test_a_default_a_fallback_or_a_look_at_the_status_provides_for_it(steps: tuple[str, ...]) -> None:
    assert found(checked(*steps)) == []


def test_a_default_is_one_of_the_values_that_are_compared() -> None:
    made = checked(
        SKIPPED % DEFAULT.replace("d0", "5"), "{id: again, contract: doc.get, in: {id: $.steps.get.output.id}}"
    )
    assert verdict(made, "again", "/id") == ("sometimes", 5)


def test_the_items_of_a_map_are_compared_and_so_is_the_list_it_gives() -> None:
    made = checked(READ, LINES, "{id: seen, contract: lines.seen, in: {all: $.steps.lines.output}}")
    assert {row.verdict for row in made.rows} == {"always"}


def test_an_optional_field_of_an_item_may_be_absent() -> None:
    bare = LINES.replace("{first: [$.item.amount, 0.0]}", "$.item.amount")
    assert found(checked(READ, bare)) == [("warning", "MAY_BE_ABSENT", "/plan/steps/1/in/amount")]
    assert found(checked(READ, bare[:-1] + ", item_failure: skip}")) == []


def test_items_that_may_be_skipped_leave_holes_that_are_seen() -> None:
    made = checked(
        READ, LINES[:-1] + ", item_failure: skip}", "{id: seen, contract: lines.seen, in: {all: $.steps.lines.output}}"
    )
    said, witness = verdict(made, "seen", "/all")
    assert said == "sometimes"
    assert None in witness


def test_a_list_that_may_be_absent_cannot_be_gone_through() -> None:
    made = checked("{id: each, contract: doc.get, for_each: $.input.some, in: {id: $.item}}")
    assert found(made) == [("warning", "MAY_BE_ABSENT", "/plan/steps/0/for_each")]


def test_a_condition_that_may_be_no_boolean_is_told() -> None:
    made = checked("{id: get, contract: doc.get, when: {first: [$.input.maybe, true]}, in: {id: $.input.id}}")
    assert found(made) == [("warning", "MAY_NOT_FIT", "/plan/steps/0/when")]


def test_the_end_of_a_repetition_may_look_at_what_is_absent() -> None:
    made = checked(
        "{id: one, contract: line.one, in: {amount: 1}, repeat: {until: {let: {w: $.output.why}, expr: \"w == ''\"}}}"
    )
    assert found(made) == [("warning", "MAY_BE_ABSENT", "/plan/steps/0/repeat/until")]


def test_the_output_of_the_process_is_compared_too() -> None:
    made = checked(READ, output="{id: $.steps.get.output.total, good: $.input.flag}")
    assert verdict(made, "output", "/id")[0] == "never"
    assert verdict(made, "output", "/good")[0] == "always"
    assert found(made) == [("error", "NEVER_FITS", "/plan/output/id")]


def test_an_output_that_is_required_may_not_be_absent() -> None:
    made = checked(SKIPPED % "", output="{id: $.steps.get.output.id}")
    assert found(made) == [("warning", "MAY_BE_ABSENT", "/plan/output/id")]


def test_what_an_undo_binds_is_in_the_report() -> None:
    made = checked(READ, put("day: $.input.day"))
    assert [verdict(made, "put!undo", argument)[0] for argument in ("/id", "/reason")] == ["always", "always"]


# Combinations


def pay(arguments: str) -> str:
    return f"{{id: pay, contract: pay.either, in: {{{arguments}}}}}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("card: x", []),
        ("card: x, account: y", [("error", "NEVER_FITS", "/plan/steps/1/in")]),
        ("card: x, account: $.steps.get.output.note", [("warning", "MAY_NOT_FIT", "/plan/steps/1/in")]),
        ("way: x", [("error", "NEVER_FITS", "/plan/steps/1/in")]),
        ("card: $.steps.get.output.note", [("warning", "MAY_NOT_FIT", "/plan/steps/1/in")]),
    ],
)
def test_arguments_that_fit_one_by_one_may_not_fit_together(
    arguments: str, expected: list[tuple[str, str, str]]
) -> None:
    made = checked(READ, pay(arguments))
    assert found(made) == expected
    assert [row.verdict for row in made.rows if row.step == "pay" and row.argument != "/"] == [
        "always"
    ] * arguments.count(":")
    whole = [(row.verdict, row.witness) for row in made.rows if (row.step, row.argument) == ("pay", "/")]
    assert len(whole) == len(expected)
    assert all(not Validator(contract(EITHER).input).is_valid(witness) for _, witness in whole)


def test_what_belongs_together_in_one_body_raises_no_alarm() -> None:
    """Each of the two is perhaps absent; that exactly one is there, the schema of the arguments alone does not know."""
    made = checked(
        "{id: ask, contract: pay.ask, in: {}}",
        "{id: pay, contract: pay.either, in: {card: $.steps.ask.output.card, account: $.steps.ask.output.account}}",
    )
    assert found(made) == []
    assert [row.verdict for row in made.rows if row.step == "pay"] == ["always", "always", "unknown"]


def test_a_witness_of_the_whole_is_one_of_what_is_bound_together() -> None:
    made = checked(
        "{id: ask, contract: pay.ask, in: {}}",
        "{id: pay, contract: pay.either, in: {card: $.steps.ask.output.card, way: $.steps.ask.output.way}}",
    )
    said, witness = verdict(made, "pay", "/")
    assert said == "sometimes"
    assert witness == {"way": "account"}


def test_true_and_one_are_two_alternatives_of_one_value() -> None:
    one, other = Shape.of({"const": 1}), Shape.of({"const": True})
    assert lifted(Shape.union([one, other])) == {"anyOf": [{"const": 1}, {"const": True}]}


UNDER = "when: {let: {i: $.input.id}, expr: \"i != ''\"}"
AGAIN = "{id: again, contract: doc.get, %s, in: {id: {let: {i: $.steps.get.output.id}, expr: i}}}"


def test_what_runs_under_the_same_condition_is_there() -> None:
    assert found(checked(SKIPPED % "", AGAIN % UNDER, strict=True)) == []


@pytest.mark.parametrize(
    ("first", "condition"),
    [
        (SKIPPED % ", on_failure: {not_found: skip}", UNDER),
        (SKIPPED % "", UNDER.replace("!= ''", "!= 'x'")),
    ],
)
def test_what_may_be_skipped_otherwise_may_be_absent(first: str, condition: str) -> None:
    assert found(checked(first, AGAIN % condition)) == [("warning", "MAY_BE_ABSENT", "/plan/steps/1/in/id")]


PROMISED = """
contract: sum.get
input: {type: object, required: [id], additionalProperties: false, properties: {id: {type: string}}}
output:
  type: object
  required: [total, day]
  additionalProperties: false
  properties: {total: {type: number}, day: {type: string}, parts: {type: array, items: {type: number}}}
ensures: [{id: positive, expr: "output.total >= 0.0"}]
"""
SUM = "{id: sum, contract: sum.get, in: {id: $.input.id}}"


@pytest.mark.parametrize(
    ("promised", "arguments", "expected"),
    [
        (PROMISED, "total: $.steps.sum.output.total", []),
        (PROMISED, 'total: {let: {t: $.steps.sum.output.total}, expr: "t * 2.0"}', []),
        (PROMISED, "total: {first: [$.steps.sum.output.total, 1.0]}", []),
        (PROMISED.replace("output.total", "output['total']"), "total: $.steps.sum.output.total", []),
        (PROMISED, "day: $.steps.sum.output.day", [("warning", "MAY_NOT_FIT", "/plan/steps/1/in/day")]),
        (PROMISED, "total: $.steps.sum.output.day", [("error", "NEVER_FITS", "/plan/steps/1/in/total")]),
        (
            PROMISED + "examples: [{name: one, input: {id: a}, output: {total: 0, day: soon}}]",
            'total: {let: {t: $.steps.sum.output.total}, expr: "t - 1.0"}',
            [("warning", "MAY_NOT_FIT", "/plan/steps/1/in/total")],
        ),
    ],
)
def test_a_witness_breaks_no_condition_of_its_producer(
    promised: str, arguments: str, expected: list[tuple[str, str, str]]
) -> None:
    assert found(checked(SUM, put(arguments), contracts=(promised,))) == expected
