"""What the page of formats says of contracts, in homes that a newcomer writes from it, run with a real agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from formats.writing import opened, problems, write_home
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.usecases.refusals import unknown

pytestmark = pytest.mark.anyio

ONE = """
    process: one
    version: 1.0.0
    summary: One step.
    input:  {type: object, required: [value], properties: {value: {type: number}, key: {type: string}}}
    output: {type: object, properties: {answer: {type: object}}}
    plan:
      steps: [{id: act, contract: thing.act, in: {ARGUMENTS}, on_failure: fail}]
      output: {answer: $.steps.act.output}
    escalation: {min_assurance: A0, role: chief}
    ---
    agent: clerk
    summary: Small and plain.
    transport: {kind: mcp_stdio, command: ["{python}", CLERK, "{state}/clerk.log"]}
    serves: [{contract: thing.act@^1, bind: BIND}]
    ---
"""
VALUE = "value: $.input.value"
ECHO = ONE.replace("BIND", "{tool: echo}").replace("ARGUMENTS", VALUE)


def calls(home: Any) -> list[list[Any]]:
    """What the clerk was asked."""
    log = home.state / "clerk.log"
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


async def test_conditions_before_and_after_a_call_are_held(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        ECHO
        + """
    contract: thing.act
    version: 1.2.0
    summary: Act on a positive amount.
    input:  {type: object, required: [value], properties: {value: {type: number}}}
    output: {type: object, required: [value], properties: {value: {type: number}}}
    effects: {kind: read}
    requires: [{id: positive, expr: "input.value > 0.0"}]
    ensures:  [{id: small, expr: "output.value == input.value && output.value < 100.0"}]
    examples: [{name: plain, input: {value: 1}, output: {value: 1}}]
    """,
    )
    async with opened(home) as use:
        fine, refused, broken = [await use.run("one", {"value": value}) for value in (5, -5, 500)]
        failed = [entry for entry in await use.trace(broken, "act") if entry.event == "CallFailed"]
    assert fine.output == {"answer": {"value": 5}}
    assert refused.error is not None
    assert (refused.error.code, refused.error.blame, refused.error.rule) == ("requires_failed", "caller", "positive")
    assert broken.error is not None
    assert (broken.error.code, broken.error.blame, broken.error.rule) == ("ensures_failed", "agent", "small")
    assert failed[0].output == {"value": 500}  # as received
    assert [given["value"] for _, given in calls(home)][:2] == [5, 500]  # the refused one was never called


async def test_a_busy_agent_is_asked_again_under_the_same_arguments(tmp_path: Path) -> None:
    bound = "{tool: busy, errors: {busy: {text: ^busy}}}"
    home = write_home(
        tmp_path,
        ONE.replace("BIND", bound).replace("ARGUMENTS", "times: 2, key: a")
        + """
    contract: thing.act
    version: 1.0.0
    summary: Busy for a while.
    input:  {type: object, required: [times], properties: {times: {type: integer}, key: {type: string}}}
    output: {type: object, required: [value]}
    errors: {busy: {class: transient, retry_after: true}}
    effects: {kind: read}
    retry: {max_attempts: 3, on: [busy], initial_s: 0.01, factor: 1, max_s: 0.02, jitter: full}
    """,
    )
    async with opened(home) as use:
        view = await use.run("one", {"value": 1})
        told = [(entry.call, entry.verdict) for entry in await use.trace(view) if entry.event.startswith("CallF")]
    assert (view.status, view.output) == ("completed", {"answer": {"value": 0}})
    assert told == [("act.1", "busy"), ("act.2", "busy")]
    assert view.steps[0].attempts == 3


WRITE = """
    contract: thing.act
    version: 1.0.0
    summary: Book a value.
    input:  {type: object, additionalProperties: false, required: [value], properties: {value: {type: number}, key: {type: string}}}
    output: {type: object}
    effects: {kind: write, resources: ["book:entry"]}
    idempotency: IDEMPOTENCY
"""


async def test_the_engine_fills_the_idempotency_field_and_nobody_else_may(tmp_path: Path) -> None:
    contract = WRITE.replace("IDEMPOTENCY", "{key: key}")
    home = write_home(tmp_path / "a", ECHO + contract)
    async with opened(home) as use:
        view = await use.run("one", {"value": 1})
    assert calls(home) == [["echo", {"value": 1, "key": f"{view.process_id}/act/g1"}]]
    forged = write_home(tmp_path / "b", ECHO.replace(VALUE, f"{VALUE}, key: $.input.key") + contract)
    assert [line.split()[1] for line in problems(forged) if line.startswith("error")] == ["KEY_FIELD_SET"]


@pytest.mark.parametrize(
    ("idempotency", "attempts", "kind"), [("natural", 2, "failed"), ("unsafe", 1, "outcome_unknown")]
)
async def test_a_write_is_repeated_only_where_that_is_safe(
    tmp_path: Path, idempotency: str, attempts: int, kind: str
) -> None:
    """The clerk dies in the middle of each call, so nobody knows what was done."""
    retry = "    retry: {max_attempts: 2, on: [lost], initial_s: 0.01}\n" if idempotency == "natural" else ""
    dying = ONE.replace("BIND", "{tool: die}").replace("ARGUMENTS", VALUE).replace(", on_failure: fail", "")
    home = write_home(tmp_path, dying + WRITE.replace("IDEMPOTENCY", idempotency) + retry)
    async with opened(home) as use:
        view = await use.run("one", {"value": 1})
        failed = [entry for entry in await use.trace(view, "act") if entry.event == "CallFailed"]
    assert (view.status, view.escalations[0].kind) == ("waiting_human", kind)
    assert [(entry.verdict, entry.blame) for entry in failed] == [("lost", "transport")] * attempts
    assert len(calls(home)) == attempts


@pytest.mark.parametrize(
    ("approval", "values"),
    [
        ("always", {1: True, 2000: True}),
        ('{when: {expr: "input.value > 1000.0"}, role: boss, min_assurance: A0}', {1: False, 2000: True}),
    ],
)
async def test_a_contract_asks_for_approval_always_or_on_a_condition(
    tmp_path: Path, approval: str, values: dict[int, bool]
) -> None:
    home = write_home(tmp_path, ECHO + WRITE.replace("IDEMPOTENCY", "natural") + f"    approval: {approval}\n")
    async with opened(home) as use:
        for value, asks in values.items():
            view = await use.run("one", {"value": value})
            assert (view.status == "waiting_human") is asks
            if not asks:
                continue
            question = view.escalations[0]
            assert (question.kind, question.role) == ("approval", "boss" if "boss" in approval else "chief")
            done = await use.decided(view, "approve")
            assert done.status == "completed"
            rejected = await use.decided(await use.run("one", {"value": value, "key": "r"}), "reject")
            assert rejected.error is not None
            assert (rejected.status, rejected.error.code, rejected.error.blame) == ("failed", "rejected", "policy")


async def test_a_step_adds_an_approval_and_shows_what_the_person_needs(tmp_path: Path) -> None:
    step = f"{VALUE}}}, approval: {{when: {{let: {{v: $.input.value}}, expr: v > 1.0}}, role: boss, show: [$.input.key]"
    home = write_home(
        tmp_path,
        ONE.replace("BIND", "{tool: echo}").replace("ARGUMENTS", step)
        + """
    contract: thing.act
    version: 1.0.0
    summary: Look.
    input:  {type: object, required: [value], properties: {value: {type: number}}}
    output: {type: object}
    effects: {kind: read}
    """,
    )
    async with opened(home) as use:
        free = await use.run("one", {"value": 1})
        asked = await use.run("one", {"value": 2, "key": "look at me"})
        question = await use.orchestrator.escalation(asked.escalations[0].escalation_id)
        done = await use.decided(asked, "approve")
    assert free.status == "completed"
    assert question.role == "boss"
    assert "look at me" in json.dumps([evidence.value for evidence in question.evidence or []])
    assert done.status == "completed"


async def test_one_approval_covers_a_map_and_names_the_items_left_out(tmp_path: Path) -> None:
    home = write_home(tmp_path, """
    process: many
    version: 1.0.0
    summary: Book a list.
    input:  {type: object, required: [values], properties: {values: {type: array, items: {type: number}}}}
    output: {type: object, required: [list], properties: {list: {type: array}}}
    plan:
      steps: [{id: act, contract: thing.act, for_each: $.input.values, in: {value: $.item}}]
      output: {list: $.steps.act.output}
    escalation: {min_assurance: A0}
    ---
    agent: clerk
    summary: Small and plain.
    transport: {kind: mcp_stdio, command: ["{python}", CLERK, "{state}/clerk.log"]}
    serves: [{contract: thing.act@^1, bind: {tool: echo}}]
    ---
""" + WRITE.replace("IDEMPOTENCY", "natural") + "    approval: always\n")  # fmt: skip
    async with opened(home) as use:
        view = await use.run("many", {"values": [10, 20, 30]})
        assert len(view.escalations) == 1
        done = await use.decided(view, "approve", {"reject": [1]})
    assert (done.status, done.output) == ("completed", {"list": [{"value": 10}, None, {"value": 30}]})
    assert [given for _, given in calls(home)] == [{"value": 10}, {"value": 30}]


async def test_sensitive_data_reaches_the_next_step_whole_and_no_view(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        """
    contract: account.find
    version: 1.0.0
    summary: Find an account.
    input:  {type: object, required: [value], properties: {value: {type: string}}}
    output: {type: object, required: [value], properties: {value: {type: string}}}
    effects: {kind: read}
    data: {sensitive: [/input/value, /output/value], sensitivity: confidential}
    ---
    process: twice
    version: 1.0.0
    summary: Pass it on.
    input:  {type: object, required: [iban], properties: {iban: {type: string}}}
    output: {type: object, required: [iban], properties: {iban: {type: string}}}
    plan:
      steps:
        - {id: a, contract: account.find, in: {value: $.input.iban}}
        - {id: b, contract: account.find, in: {value: $.steps.a.output.value}}
      output: {iban: $.steps.b.output.value}
    ---
    agent: clerk
    summary: Small and plain.
    transport: {kind: mcp_stdio, command: ["{python}", CLERK, "{state}/clerk.log"]}
    serves: [{contract: account.find@^1, bind: {tool: echo}}]
    """,
    )
    async with opened(home) as use:
        view = await use.run("twice", {"iban": "DE00500105175407324931"})
        shown = [view.model_dump_json()]
        for step in ("a", "b"):
            shown += [entry.model_dump_json() for entry in await use.trace(view, step)]
        shown.append(await use.orchestrator.report(view.process_id))
    assert calls(home) == [["echo", {"value": "DE00500105175407324931"}]] * 2
    assert view.output == {"iban": "[sensitive]"}
    assert "DE005001" not in "".join(shown)


async def test_sensitive_data_stays_hidden_where_the_whole_plan_is_asked_about(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        ECHO
        + """
    contract: thing.act
    version: 1.0.0
    summary: Look.
    input:  {type: object, required: [value], properties: {value: {type: number}}}
    output: {type: object}
    effects: {kind: read}
    data: {sensitive: [/input/value]}
    """,
    )
    async with opened(home) as use:
        view = await use.run("one", {"value": 4711}, approval="plan")
        question = await use.orchestrator.escalation(view.escalations[0].escalation_id)
        done = await use.decided(view, "approve")
    assert [each.label for each in question.evidence or []] == ["input of the process", "the plan"]
    assert "4711" not in question.model_dump_json()
    assert "None" not in question.model_dump_json()
    assert done.status == "completed"


async def test_one_step_of_one_agent_is_told_to_need_no_orchestration(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        ECHO
        + """
    contract: thing.act
    version: 1.0.0
    summary: Look.
    input:  {type: object, required: [value], properties: {value: {type: number}}}
    output: {type: object}
    effects: {kind: none}
    cost: {per_call_usd: 0.25}
    """,
    )
    async with opened(home) as use:
        view = await use.run("one", {"value": 1})
    assert view.verdict is not None
    assert view.verdict.kind == "single_call"
    assert (view.cost.spent_usd, view.cost.unknown_calls) == ("0.25", 0)


async def test_a_declared_error_may_leave_open_whether_it_was_done(tmp_path: Path) -> None:
    bound = '{tool: odd, errors: {halfway: {text: "it is odd"}}}'
    home = write_home(
        tmp_path,
        ONE.replace("BIND", bound).replace("ARGUMENTS", VALUE).replace(", on_failure: fail", "")
        + """
    contract: thing.act
    version: 1.0.0
    summary: Book it.
    input:  {type: object, required: [value], properties: {value: {type: integer}}}
    output: {type: object, required: [value], properties: {value: {type: integer}}}
    errors: {halfway: {class: permanent, outcome: unknown}}
    effects: {kind: write}
    """.replace("type: integer", "type: number"),
    )
    async with opened(home) as use:
        view = await use.run("one", {"value": 3})
        done = await use.decided(view, "use_output", {"value": 3})
    assert view.escalations[0].kind == "outcome_unknown"
    assert [option.decision for option in view.escalations[0].options] == ["use_output", "retry", "skip", "abort"]
    assert (done.status, done.output) == ("completed", {"answer": {"value": 3}})


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("effects: {kind: write}\n    retry: {max_attempts: 3}", "RETRY"),
        ("effects: {kind: irreversible, undo: {contract: thing.act, in: {}}}", "UNDO"),
        ("effects: {kind: reed}", ""),
        ("effects: {kind: read}\n    examples: [{name: bad, input: {value: x}, output: {}}]", "EXAMPLE"),
        ("effects: {kind: read}\n    requires: [{id: whole, expr: 'input.value > 1000'}]", "EXPRESSION"),
        ("effects: {kind: read}\n    requires: [{id: whole, expr: 'input.value'}]", "/requires/0/expr"),
        ("effects: {kind: read}\n    status: draft", "DRAFT"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused_with_what_to_do(tmp_path: Path, written: str, code: str) -> None:
    home = write_home(
        tmp_path,
        ECHO
        + f"""
    contract: thing.act
    version: 1.0.0
    summary: Act.
    input:  {{type: object, required: [value], properties: {{value: {{type: number}}}}}}
    output: {{type: object}}
    {written}
    """,
    )
    told = [line for line in problems(home) if line.startswith("error")]
    assert any(code in line for line in told), told
    assert all("Fix: " in line and not line.endswith("Fix: None") for line in told), told


def test_a_name_whose_file_has_errors_says_so(tmp_path: Path) -> None:
    sound = ECHO + WRITE.replace("IDEMPOTENCY", "natural")
    home = write_home(tmp_path, sound)
    text = (home.path / "contracts" / "one.process.yaml").read_text(encoding="utf-8")
    broken = text.replace("process: one", "process: other").replace("thing.act", "thing.oct")
    (home.path / "contracts" / "other.process.yaml").write_text(broken, encoding="utf-8")
    registry = load_home(home.path)
    refused, elsewhere = unknown(registry, "process", "Other"), unknown(registry, "process", "another")
    assert refused.code == "UNKNOWN_PROCESS_TYPE"
    assert "'Other' has errors in contracts/other.process.yaml:" in refused.message
    assert "orchestrator check" in refused.do
    assert elsewhere.message == "there is no process type 'another'."
