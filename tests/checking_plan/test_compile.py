"""What a checked plan gives the core, and what a process of it pins."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest

from checking_plan.making import agent, contract, plan, registry
from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.documents.shape import pinned_contract
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compile import CompiledProcess, compile_process
from process_orchestrator.core.facts.specs import PlanFacts, StepFacts
from process_orchestrator.core.facts.values import Assurance, OnFailure, StepKind

READ = "{id: read, contract: document.read, in: {document: $.input.document}}"
POST = "{id: post, contract: ledger.post, in: {id: $.steps.read.output.id, total: $.steps.read.output.total}}"


def compiled(
    process_type: ProcessType, *, known: Registry | None = None, floor: Assurance = Assurance.A0
) -> CompiledProcess:
    made = compile_process(process_type, registry=known or registry(), server_floor=floor)
    assert [each for each in made.problems if each.level == "error"] == []
    return made


def facts(steps: str, *, more: str = "", floor: Assurance = Assurance.A0, output: str = "{}") -> PlanFacts:
    made = compiled(plan(steps, more=more, output=output), floor=floor).facts
    assert made is not None
    return made


def step(steps: str, name: str, *, more: str = "", floor: Assurance = Assurance.A0) -> StepFacts:
    return next(each for each in facts(steps, more=more, floor=floor).steps if each.id == name)


def test_needs_follow_from_bindings_and_after_and_mirror_each_other() -> None:
    steps = f"""
    - {READ}
    - {{id: lines, contract: line.check, for_each: $.steps.read.output.lines, in: {{line: $.item}}}}
    - {{id: ask, contract: invoice.ask, when: {{let: {{c: $.steps.lines.output}}, expr: "c.size() > 0"}}, in: {{question: x}}}}
    - {{id: post, contract: ledger.post, after: [lines],
       in: {{id: {{first: [$.steps.ask.status, $.input.memo]}}, total: $.steps.read.output.total}}}}
    - {{id: late, contract: invoice.ask, in: {{question: {{first: [$.steps.post.output.posting, x]}}}}}}
    """
    found = {each.id: (each.needs, each.needed_by, each.bound_by) for each in facts(steps).steps}
    assert found == {
        "read": ((), ("lines", "post"), ("lines", "post")),
        "lines": (("read",), ("ask", "post"), ("ask",)),
        "ask": (("lines",), ("post",), ()),
        "post": (("ask", "read", "lines"), ("late",), ()),
        "late": (("post",), (), ()),
    }


def test_a_step_carries_what_its_contract_says() -> None:
    post = step(f"[{READ}, {POST}]", "post")
    assert (post.kind, post.effect, post.idempotency, post.free, post.human, post.is_map) == (
        "call",
        "write",
        "keyed",
        False,
        False,
        False,
    )
    assert (post.attempt_ms, post.total_ms, post.retry.max_attempts, post.retry.on) == (
        20_000,
        120_000,
        4,
        ("transient", "timeout", "lost"),
    )
    assert list(post.errors) == ["busy"]
    assert post.undo is not None
    assert (post.undo.contract.name, [pin.name for pin in post.undo.agents]) == ("ledger.void", ["ledger"])


def test_a_step_only_tightens_its_contract() -> None:
    tight = step(
        f"[{READ}, {POST[:-1]}, timeout_s: 30, retry: {{max_attempts: 2, on: [transient], initial_s: 0.5, jitter: none}}}}]",
        "post",
    )
    assert (tight.attempt_ms, tight.total_ms) == (20_000, 30_000)
    assert (tight.retry.max_attempts, tight.retry.on, tight.retry.initial_ms, tight.retry.jitter) == (
        2,
        ("transient",),
        500,
        False,
    )
    short = step(f"[{READ}, {POST[:-1]}, timeout_s: 5}}]", "post")
    assert (short.attempt_ms, short.total_ms) == (5_000, 5_000)
    whole = step(f"[{READ}, {POST[:-1]}, timeout_s: 120}}]", "post")
    assert (whole.attempt_ms, whole.total_ms) == (20_000, 120_000)


def test_agents_are_asked_by_preference_unless_one_is_pinned() -> None:
    assert [pin.name for pin in step(f"[{READ}]", "read").agents] == ["reader", "reader_too"]
    pinned = step(f"[{READ[:-1]}, agent: reader_too}}]", "read")
    assert [pin.name for pin in pinned.agents] == ["reader_too"]


def test_a_step_that_a_person_closes_is_human_and_asks_that_role() -> None:
    ask = step("[{id: ask, contract: invoice.ask, in: {question: x}}]", "ask")
    assert (ask.kind, ask.human, ask.role, ask.answer_level, ask.free) == (StepKind.HUMAN, True, "clerk", "A0", False)


def test_a_mapped_step_is_a_map_whoever_closes_its_items() -> None:
    lines = step(
        f"[{READ}, {{id: lines, contract: line.check, for_each: $.steps.read.output.lines, parallel: 8, item_failure: skip, in: {{line: $.item}}}}]",
        "lines",
    )
    assert (lines.kind, lines.is_map, lines.parallel, lines.item_failure, lines.free) == (
        StepKind.MAP,
        True,
        8,
        OnFailure.SKIP,
        True,
    )
    asked = step("[{id: ask, contract: invoice.ask, for_each: [a, b], in: {question: $.item}}]", "ask")
    assert (asked.kind, asked.human, asked.item_failure) == (StepKind.MAP, True, None)


@pytest.mark.parametrize(
    ("word", "more", "expected"),
    [
        ("", "", {"else": "escalate"}),
        ("", "on_failure: fail", {"else": "fail"}),
        (", on_failure: skip", "on_failure: fail", {"else": "skip"}),
        (", on_failure: {busy: skip}", "on_failure: fail", {"else": "fail", "busy": "skip"}),
        (", on_failure: {busy: skip, else: compensate}", "", {"else": "compensate", "busy": "skip"}),
    ],
)
def test_what_follows_a_failure_is_the_steps_word_before_the_types(
    word: str, more: str, expected: dict[str, str]
) -> None:
    assert step(f"[{READ}, {POST[:-1]}{word}}}]", "post", more=more).on_failure == expected


@pytest.mark.parametrize(
    ("contract_name", "approval", "type_level", "floor", "decision", "answer"),
    [
        ("document.read", "", "A0", "A0", "A0", "A0"),
        ("document.read", "", "A1", "A0", "A1", "A0"),
        ("document.read", "", "A1", "A2", "A2", "A0"),
        ("document.read", "{min_assurance: A2}", "A1", "A0", "A2", "A2"),
        ("document.read", "always", "A1", "A0", "A1", "A0"),
        ("ledger.post", "", "A0", "A0", "A1", "A1"),
        ("ledger.post", "{min_assurance: A0}", "A0", "A0", "A1", "A1"),
        ("ledger.post", "{min_assurance: A3}", "A0", "A0", "A3", "A3"),
        ("disk.wipe", "", "A0", "A0", "A3", "A0"),
        ("disk.wipe", "{min_assurance: A1}", "A0", "A0", "A3", "A1"),
        ("disk.format", "", "A0", "A0", "A1", "A1"),
        ("disk.format", "", "A2", "A0", "A2", "A1"),
    ],
)
def test_the_level_of_a_decision_is_the_highest_that_anyone_asks(
    contract_name: str, approval: str, type_level: str, floor: str, decision: str, answer: str
) -> None:
    told = contract(
        "{contract: disk.format, input: {type: object}, output: {type: object}, "
        "effects: {kind: irreversible}, approval: {min_assurance: A1}}"
    )
    plain = registry(agents=(agent("formatter", "disk.format@^1"),))
    known = Registry.of(contracts=(*plain.contracts, told), agents=plain.agents)
    given = {"document.read": "{document: x}", "ledger.post": "{id: x, total: 1}"}.get(contract_name, "{}")
    extra = f", approval: {approval}" if approval else ""
    process_type = plan(
        f"[{{id: a, contract: {contract_name}, in: {given}{extra}}}]",
        more=f"escalation: {{min_assurance: {type_level}}}",
    )
    made = compiled(process_type, known=known, floor=Assurance(floor)).facts
    assert made is not None
    assert (made.steps[0].decision_level, made.steps[0].answer_level) == (decision, answer)
    assert (made.type_level, made.server_floor) == (type_level, floor)


def test_the_policies_of_the_type_are_facts_of_the_plan() -> None:
    found = facts(
        f"[{READ}]",
        more="{on_failure: compensate, on_cancel: compensate, on_abort: compensate, "
        "escalation: {role: boss, deadline_s: 60, on_deadline: {role: chief}}}",
    )
    assert (found.on_failure, found.on_cancel, found.on_abort) == ("compensate", "compensate", "compensate")
    assert (found.role, found.deadline_ms, found.on_deadline, found.steps[0].role) == (
        "boss",
        60_000,
        "role:chief",
        "boss",
    )


def test_everything_that_a_process_needs_is_pinned_under_its_hash() -> None:
    made = compiled(plan(f"[{READ}, {POST}]"))
    assert made.facts is not None
    assert all(sha256(body.data).hexdigest() == body.sha256 for body in made.definitions)
    kinds = sorted((body.kind, body.name) for body in made.definitions)
    assert kinds == [
        ("agent", "ledger"),
        ("agent", "reader"),
        ("agent", "reader_too"),
        ("contract", "document.read"),
        ("contract", "ledger.post"),
        ("contract", "ledger.void"),
        ("plan", "approval"),
        ("plan_facts", "approval"),
        ("process", "approval"),
    ]
    by_hash = {body.sha256: body for body in made.definitions}
    assert by_hash[made.facts.sha256].kind == "plan"
    for each in made.facts.steps:
        assert each.contract is not None
        assert pinned_contract(by_hash[each.contract.sha256].data).version == each.contract.version
        assert all(by_hash[pin.sha256].name == pin.name for pin in each.agents)
    stored = next(body.data for body in made.definitions if body.kind == "plan_facts")
    assert msgspec.json.decode(stored, type=PlanFacts) == made.facts


def test_the_same_definitions_give_the_same_bytes() -> None:
    assert compiled(plan(f"[{READ}, {POST}]")).definitions == compiled(plan(f"[{READ}, {POST}]")).definitions
    assert facts(f"[{READ}]").sha256 != facts(f"[{READ[:-1]}, agent: reader}}]").sha256


def test_a_type_without_a_plan_gives_its_pins_alone() -> None:
    made = compile_process(
        msgspec.structs.replace(plan("[]", more="contracts: [document.read, ledger.post]"), plan=None),
        registry=registry(),
        server_floor=Assurance.A0,
    )
    assert (made.facts, made.problems, made.rows) == (None, (), ())
    assert [body.kind for body in made.definitions] == ["process", "contract", "contract"]


@pytest.mark.parametrize(
    ("steps", "verdict", "words"),
    [
        (f"[{READ}]", "single_call", ("one call of document.read",)),
        ("[{id: void, contract: ledger.void, in: {posting: x}}]", "single_call", ("one call of ledger.void",)),
        (f"[{READ}, {POST}]", "orchestrate", ("2 steps", "effects to control: post", "approval by a person: post")),
        (
            f"[{READ}, {{id: again, contract: document.read, in: {{document: x}}}}]",
            "orchestrate",
            ("2 steps in one process",),
        ),
        ("[{id: post, contract: ledger.post, in: {id: x, total: 1}}]", "orchestrate", ("approval by a person: post",)),
        (f"[{READ[:-1]}, approval: always}}]", "orchestrate", ("approval by a person: read",)),
        ("[{id: ask, contract: invoice.ask, in: {question: x}}]", "orchestrate", ("a person closes: ask",)),
        (
            "[{id: each, contract: document.read, for_each: [a, b], in: {document: $.item}}]",
            *("orchestrate", ("once for each item of a list: each",)),
        ),
    ],
)
def test_one_call_of_one_agent_needs_no_orchestration(steps: str, verdict: str, words: tuple[str, ...]) -> None:
    fit = facts(steps).fit
    assert fit is not None
    assert fit.verdict == verdict
    assert all(any(word in reason for reason in fit.reasons) for word in words)
    assert bool(fit.simpler) == (verdict == "single_call")
