"""What is weighed over a whole plan: calls and money in the worst case, sensitive data, steps that nobody needs."""

from __future__ import annotations

import pytest

from checking_plan.making import agent, contract, plan
from process_orchestrator.checking.documents.shape import agent_from
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.checked_plan import CheckedPlan
from process_orchestrator.checking.plans.compile import compile_process
from process_orchestrator.checking.plans.plan_bounds import told
from process_orchestrator.checking.plans.plan_check import check_plan
from process_orchestrator.core.facts.values import Assurance

LIST = """
contract: list.get
cost: {per_call_usd: 0.01}
retry: {max_attempts: 2}
input: {type: object}
output: {type: object, required: [short, long], properties: {short: {type: array, minItems: 2, maxItems: 10, items: {type: string}}, long: {type: array, items: {type: string}}}}
"""
ITEM = """
contract: item.do
effects: {kind: write}
cost: {per_call_usd: 0.001}
input: {type: object, properties: {name: {type: string}}}
output: {type: object}
"""
FREE = """
contract: free.do
effects: {kind: write}
input: {type: object}
output: {type: object}
"""
PERSON = """
contract: person.find
input: {type: object}
output: {type: object, required: [iban, city], properties: {iban: {type: string}, city: {type: string}}}
data: {sensitive: [/output/iban], sensitivity: confidential}
"""
LOOK = """
contract: text.look
input: {type: object, properties: {text: {type: string}}}
output: {type: object, properties: {mood: {type: string}}}
"""
TRUSTED = LOOK.replace("text.look", "text.trusted") + "data: {sensitivity: restricted}\n"
THOUGHT = TRUSTED.replace("text.trusted", "text.thought")
MARKED = LOOK.replace("text.look", "text.marked") + "data: {sensitive: [/input/text]}\n"
LOWER = LOOK.replace("text.look", "text.lower") + "data: {sensitivity: internal}\n"

GET = "{id: get, contract: list.get, in: {}}"
HEAD = "{process: desk, input: {type: object}, output: {type: object, properties: {x: {}}}}"


def definitions() -> Registry:
    contracts = [contract(text) for text in (LIST, ITEM, FREE, PERSON, LOOK, TRUSTED, THOUGHT, MARKED, LOWER)]
    names = [f"{each.name}@^1" for each in contracts]
    model = agent_from(
        {
            "agent": "thinker",
            "summary": "Thinks.",
            "transport": {"kind": "model", "tier": "light", "instructions": "Look."},
            "serves": [{"contract": "text.thought@^1", "bind": {}}],
        },
        path="thinker.agent.yaml",
    )
    return Registry.of(contracts=contracts, agents=[agent("all", *names, prefer=1), model])


def checked(*steps: str, more: str = "{}", output: str = "{}", strict: bool = False) -> CheckedPlan:
    process_type = plan(f"[{', '.join(steps)}]", head=HEAD, more=more, output=output)
    assert process_type.plan is not None
    return check_plan(process_type.plan, process_type=process_type, registry=definitions(), strict=strict)


def problems(made: CheckedPlan) -> list[tuple[str, str, str]]:
    return [(problem.level, problem.code, problem.pointer) for problem in made.problems]


SHORT = "{id: each, contract: item.do, for_each: $.steps.get.output.short, in: {name: $.item}}"
LONG = "{id: each, contract: item.do, for_each: $.steps.get.output.long, in: {name: $.item}}"


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([GET, SHORT], "At most 12 calls for 0.03 USD."),
        (
            [GET, LONG],
            "At most an unknown number of calls at an unknown price (the list of step each has no maxItems).",
        ),
        ([GET, "{id: do, contract: free.do, in: {}}"], "At most 3 calls at an unknown price (free.do names no price)."),
        ([GET, SHORT.replace("each,", "each, when: true,")], "At most 12 calls for 0.03 USD."),
        (["{id: get, contract: list.get, in: {}, retry: {max_attempts: 1}}", SHORT], "At most 11 calls for 0.02 USD."),
        (["{id: do, contract: item.do, in: {}, repeat: {until: true, max: 7}}"], "At most 7 calls for 0.007 USD."),
        (["{id: rest, wait: {seconds: 5}}"], "At most 0 calls for 0.00 USD."),
    ],
)
def test_the_worst_case_counts_attempts_items_and_rounds(steps: list[str], sentence: str) -> None:
    process_type = plan(f"[{', '.join(steps)}]", head=HEAD)
    worst = compile_process(process_type, registry=definitions(), server_floor=Assurance.A0).worst
    assert worst is not None
    assert told(worst) == sentence


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("{calls: 12, usd: 0.03}", []),
        ("{calls: 11, usd: 0.03}", [("warning", "OVER_BUDGET", "/budget/calls")]),
        ("{calls: 2, usd: 0.03}", [("error", "OVER_BUDGET", "/budget/calls")]),
        ("{calls: 12, usd: 0.02}", [("warning", "OVER_BUDGET", "/budget/usd")]),
    ],
)
def test_what_may_pass_the_budget_is_told_and_what_must_is_refused(
    budget: str, expected: list[tuple[str, str, str]]
) -> None:
    assert problems(checked(GET, SHORT, more=f"{{budget: {budget}}}")) == expected
    strict = problems(checked(GET, SHORT, more=f"{{budget: {budget}}}", strict=True))
    assert strict == [("error", code, pointer) for _, code, pointer in expected]


def test_an_unknown_price_is_refused_where_the_budget_refuses_it() -> None:
    made = checked(GET, "{id: do, contract: free.do, in: {}, after: [get]}", more="{budget: {unknown: refuse}}")
    assert problems(made) == [("error", "UNKNOWN_PRICE", "/plan/steps/1/contract")]
    assert problems(checked(GET, "{id: do, contract: free.do, in: {}, after: [get]}")) == []


FIND = "{id: find, contract: person.find, in: {}}"
EXPOSED = [
    ("text.look", "$.steps.find.output.iban", [("warning", "BELOW_CLEARANCE", "/plan/steps/1/in")]),
    ("text.lower", "$.steps.find.output.iban", [("warning", "BELOW_CLEARANCE", "/plan/steps/1/in")]),
    (
        "text.look",
        "{let: {i: $.steps.find.output.iban}, expr: \"'IBAN ' + i\"}",
        [("warning", "BELOW_CLEARANCE", "/plan/steps/1/in")],
    ),
    ("text.look", "$.steps.find.output.city", []),
    ("text.trusted", "$.steps.find.output.iban", []),
    ("text.marked", "$.steps.find.output.iban", []),
]


@pytest.mark.parametrize(("taker", "bound", "expected"), EXPOSED)
def test_sensitive_data_goes_to_contracts_of_its_level_alone(
    taker: str, bound: str, expected: list[tuple[str, str, str]]
) -> None:
    step = f"{{id: look, contract: {taker}, in: {{text: {bound}}}}}"
    assert problems(checked(FIND, step, output="{x: $.steps.look.output}")) == expected


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ("$.steps.find.output.iban", [("error", "SENSITIVE_TO_MODEL", "/plan/steps/1/in")]),
        ("$.steps.find.output.city", []),
    ],
)
def test_sensitive_data_goes_to_no_model(bound: str, expected: list[tuple[str, str, str]]) -> None:
    step = f"{{id: look, contract: text.thought, in: {{text: {bound}}}}}"
    assert problems(checked(FIND, step, output="{x: $.steps.look.output}")) == expected


@pytest.mark.parametrize(
    ("steps", "output", "expected"),
    [
        ([GET], "{}", [("warning", "UNUSED_STEP", "/plan/steps/0")]),
        ([GET], "{x: $.steps.get.status}", []),
        ([GET, "{id: do, contract: item.do, in: {}, after: [get]}"], "{}", []),
        (["{id: do, contract: item.do, in: {}}"], "{}", []),
    ],
)
def test_a_step_that_changes_nothing_and_that_nobody_needs_is_told(
    steps: list[str], output: str, expected: list[tuple[str, str, str]]
) -> None:
    assert problems(checked(*steps, output=output)) == expected
    assert checked(*steps, output=output, strict=True).ok
