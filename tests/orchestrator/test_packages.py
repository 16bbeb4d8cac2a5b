"""The package of every kind of question: what is asked, why, and what each decision will do."""

from __future__ import annotations

from typing import Any

import jsonschema
import orjson
import pytest

from orchestrator.home import ASSERTED, CANARY, CONTRACTS, PASSPHRASE, REVIEWER, Desk
from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.pinned.definitions import Pinned
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.checking.schemas.validate import encode_body, ref_of
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.commands import OpenEscalation
from process_orchestrator.core.facts.events import EscalationOpened
from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.values import Assurance, ContractPin, Decision, EscalationKind, Ref, Status
from process_orchestrator.core.ports import Bodies, Body, DefinitionBody
from process_orchestrator.performing.body_cache import BodyCache
from process_orchestrator.performing.escalation_package import Packages
from process_orchestrator.views.models import ResolveRequest

pytestmark = pytest.mark.anyio

POST = next(contract for contract in CONTRACTS if contract.name == "ledger.post")


class Stored:
    """`Artifacts` over a few bodies."""

    def __init__(self, contracts: tuple[Contract, ...] = CONTRACTS) -> None:
        self.bodies: dict[str, bytes] = {}
        self.contracts = {each.source.sha256: each for each in contracts}

    def put(self, value: Any) -> Ref:
        data = encode_body(value)
        ref = ref_of(data)
        self.bodies[ref.sha256] = data
        return ref

    async def body(self, ref: Ref) -> bytes:
        return self.bodies[ref.sha256]

    async def definition(self, sha256: str) -> DefinitionBody:
        each = self.contracts[sha256]
        return DefinitionBody(
            sha256=sha256, kind="contract", name=each.name, version=each.version, data=each.source.canonical
        )


def pin(contract: Contract) -> ContractPin:
    return ContractPin(name=contract.name, version=contract.version, sha256=contract.source.sha256)


async def package(kind: EscalationKind, *decisions: Decision, stored: Stored | None = None, **rest: Any) -> Any:
    command = OpenEscalation(
        process="p_x",
        escalation="p_x.e1",
        kind=kind,
        decisions=decisions,
        min_assurance=Assurance.A2,
        role="approver",
        **rest,
    )
    artifacts = stored or Stored()
    packages = Packages(BodyCache(artifacts), Pinned(artifacts, Compiler()))
    performed = await packages.build(command, at=5)
    assert await packages.build(command, at=5) == performed  # in words that were put together before
    assert isinstance(performed.event, EscalationOpened)
    assert performed.event.package == performed.bodies[0].ref
    return orjson.loads(performed.bodies[0].data)


AT_POST: dict[str, Any] = {"unit": "post", "step": "post", "call": "post.1", "contract": pin(POST)}


@pytest.mark.parametrize(
    ("kind", "more", "question", "rule"),
    [
        (
            EscalationKind.FAILED,
            {**AT_POST, "code": "closed", "blame": "agent"},
            "Step post failed: closed (blame: agent). How should it go on?",
            "on_failure: escalate, after closed (blame: agent)",
        ),
        (
            EscalationKind.FAILED,
            {**AT_POST, "code": "loop", "blame": "policy", "rule": "repeat.max"},
            "Step post failed: loop (blame: policy), all rounds that repeat.max allows are used up and `until` does "
            "not hold yet. How should it go on?",
            "on_failure: escalate, after loop (blame: policy), all rounds that repeat.max allows are used up and "
            "`until` does not hold yet",
        ),
        (
            EscalationKind.FAILED,
            {"code": "no_model", "blame": "policy"},
            "Planning failed: no_model (blame: policy). How should it go on?",
            "on_failure: escalate, after no_model (blame: policy)",
        ),
        (
            EscalationKind.OUTCOME_UNKNOWN,
            {**AT_POST, "code": "timeout"},
            "Did ledger.post (Book one invoice) take effect? Step post ended without a sure answer: timeout. "
            "Look there before you decide.",
            "the effect may have happened, and the contract does not make a repeat safe",
        ),
        (EscalationKind.TASK, AT_POST, "Book one invoice.", "the step is closed by a person (approver)"),
        (EscalationKind.PLAN, {}, "May this plan run?", "submitted with approval: plan"),
        (
            EscalationKind.INTAKE,
            {},
            "Which process type fits this task, and with which input?",
            "the rules found no single process type",
        ),
        (
            EscalationKind.BUDGET,
            AT_POST,
            "The budget does not cover step post. May more be spent?",
            "a call is reserved at its worst case before it is made, and the budget has less left",
        ),
        (
            EscalationKind.LOOP,
            {**AT_POST, "code": "same_call"},
            "Step post repeats itself without progress. Once more, or stop?",
            "a limit against loops was reached (same_call)",
        ),
        (
            EscalationKind.DRIFT,
            AT_POST,
            "What the agent of step post offers has changed since it was pinned; nothing was called. "
            "Have it put right or accept it, then go on, or stop?",
            "the live definition differs from the pinned one",
        ),
        (
            EscalationKind.UNDO_FAILED,
            {**AT_POST, "code": "closed"},
            "The effect of step post was not undone: closed. Undo it, or leave it?",
            "effects are being undone, and it is not known whether this one happened",
        ),
    ],
)
async def test_each_kind_asks_its_own_question(
    kind: EscalationKind, more: dict[str, Any], question: str, rule: str
) -> None:
    made = await package(kind, Decision.ABORT, **more)

    assert (made["question"], made["why"]["rule"]) == (question, rule)


@pytest.mark.parametrize(
    ("kind", "decision", "consequence", "needs"),
    [
        (
            EscalationKind.OUTCOME_UNKNOWN,
            Decision.RETRY,
            "Calls ledger.post again under the same key, by which the agent can tell a repeat; "
            "with fresh_key under a new one.",
            "A2",
        ),
        (
            EscalationKind.FAILED,
            Decision.RETRY,
            "Calls ledger.post again with arguments built anew from the same data.",
            "A2",
        ),
        (EscalationKind.UNDO_FAILED, Decision.RETRY, "Calls ledger.post again to undo the effect.", "A2"),
        (
            EscalationKind.FAILED,
            Decision.RETRY_WITH_INPUT,
            "Calls ledger.post with the arguments you give instead, once they keep its input contract.",
            "A2",
        ),
        (
            EscalationKind.FAILED,
            Decision.USE_OUTPUT,
            "Takes your data as the answer of ledger.post without calling it; the process goes on with it.",
            "A2",
        ),
        (
            EscalationKind.FAILED,
            Decision.USE_AGENT,
            "Calls ledger.post with the same arguments at the agent you name, and at no other.",
            "A2",
        ),
        (EscalationKind.FAILED, Decision.SKIP, "Leaves out step post: no later step needs its output.", "A2"),
        (
            EscalationKind.FAILED,
            Decision.ABORT,
            "Ends the process as failed; nothing more is called, steps already done stay done.",
            "A0",
        ),
        (
            EscalationKind.BUDGET,
            Decision.RAISE_BUDGET,
            "Adds the amount you give to the budget; what waits for money goes on.",
            "A2",
        ),
        (
            EscalationKind.INTAKE,
            Decision.CHOOSE_TYPE,
            "Starts the process type you name with the input you give, once it keeps that type's input schema.",
            "A0",
        ),
        (
            EscalationKind.PLAN,
            Decision.APPROVE,
            "Lets this plan run, exactly as shown; calls that need their own approval still ask.",
            "A2",
        ),
        (
            EscalationKind.PLAN,
            Decision.REJECT,
            "Lets nothing of this plan run; another plan may be proposed, else the process fails.",
            "A0",
        ),
    ],
)
async def test_each_decision_says_what_it_will_do(
    kind: EscalationKind, decision: Decision, consequence: str, needs: str
) -> None:
    made = await package(kind, decision, **AT_POST)

    [option] = made["options"]
    assert (option["consequence"], option["needs"]) == (consequence, needs)


async def test_what_cannot_be_taken_back_is_said() -> None:
    payout = definition_from_dict(
        "contract",
        {
            "contract": "bank.pay",
            "version": "1.0.0",
            "summary": "Pay one invoice. Twice is too much.",
            "input": {"type": "object"},
            "output": {"type": "object"},
            "effects": {"kind": "irreversible"},
        },
    )
    stored = Stored((payout,))

    made = await package(
        EscalationKind.APPROVAL, Decision.APPROVE, stored=stored, unit="pay", step="pay", contract=pin(payout)
    )

    assert made["options"][0]["consequence"] == (
        "Pay one invoice: calls bank.pay with exactly these arguments. This cannot be taken back."
    )


@pytest.mark.parametrize(
    ("kind", "decision", "good", "bad"),
    [
        (EscalationKind.OUTCOME_UNKNOWN, Decision.RETRY, {"fresh_key": True}, {"fresh_key": "yes"}),
        (EscalationKind.BUDGET, Decision.RAISE_BUDGET, {"usd": "1.50"}, {"usd": "-1"}),
        (EscalationKind.INTAKE, Decision.CHOOSE_TYPE, {"process_type": "a", "input": {}}, {"process_type": "a"}),
        (
            EscalationKind.FAILED,
            Decision.RETRY_WITH_INPUT,
            {"number": "1", "total": 1.0, "iban": "x"},
            {"number": "1", "total": 1.0, "iban": "x", "request_id": "mine"},
        ),
    ],
)
async def test_data_schemas_take_what_the_decision_takes(
    kind: EscalationKind, decision: Decision, good: Any, bad: Any
) -> None:
    made = await package(kind, decision, **AT_POST)

    schema = made["options"][0]["data_schema"]
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, schema)


async def test_evidence_of_a_failure_is_masked_cut_and_named_by_its_writer() -> None:
    stored = Stored()
    reader = next(contract for contract in CONTRACTS if contract.name == "doc.read")
    answer = {"vendor": {"iban": CANARY, "name": "x" * 9000}}
    detail = stored.put({"answer": answer, "errors": [{"pointer": "/total", "message": "missing"}], "stderr": "boom"})

    made = await package(
        EscalationKind.FAILED,
        Decision.ABORT,
        stored=stored,
        unit="read",
        step="read",
        contract=pin(reader),
        input=stored.put({"text": "an invoice"}),
        detail=detail,
        code="output_mismatch",
        blame="agent",
    )

    assert CANARY not in orjson.dumps(made).decode()
    assert made["question"] == "Step read failed: output_mismatch (blame: agent), missing. How should it go on?"
    assert [(each["label"].partition(" (")[0], each["from"]) for each in made["evidence"]] == [
        ("arguments of the call", "agent"),
        ("answer as received", "agent"),
        ("what is wrong with it", "engine"),
        ("last lines of the agent's log", "agent"),
    ]
    assert made["evidence"][1]["label"] == "answer as received (cut; the whole: process://p_x/steps/read/output)"


# --- intake, which submit never lets happen in rules mode ------------------------------------------------------------


async def untyped(desk: Desk) -> str:
    """A process that a model should have classified; none is set up, so a person is asked."""
    task = Body(ref=ref_of(b"do it", "text/plain"), data=b"do it")
    spec = ProcessSpec(principal="local", request_sha256="x", task=task.ref, classified_by="model")
    state = await desk.host.start(spec, Bodies(artifacts=(task,)))
    state = await desk.host.until(state.spec.process_id, Status.WAITING_HUMAN)
    [question] = state.escalations
    return question


async def test_a_person_chooses_the_type_and_gives_its_input(desk: Desk) -> None:
    desk.reviewers.add("ana", PASSPHRASE)
    question = await untyped(desk)
    data = {"process_type": "reading", "input": {"text": "an invoice"}}

    request = ResolveRequest(escalation_id=question, decision="choose_type", data=data)
    resolution = await desk.orchestrator.resolve(request, proof=REVIEWER)

    assert resolution.status == "resolved"
    process_id = question.partition(".")[0]
    await desk.host.until(process_id, Status.COMPLETED)
    view = await desk.orchestrator.state(process_id)
    assert (view.process_type, view.classified_by, view.output) == ("reading", "human", {"number": "LB-1"})
    assert (await desk.orchestrator.report(process_id)).startswith("# reading: completed")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "INPUT_MISMATCH"),
        ({"input": {"text": "x"}}, "INPUT_MISMATCH"),
        ({"process_type": "readin", "input": {"text": "x"}}, "UNKNOWN_PROCESS_TYPE"),
        ({"process_type": "reading", "input": {}}, "INPUT_MISMATCH"),
        ({"process_type": "dreaming", "input": {"text": "x"}}, "NEEDS_MODEL"),
    ],
)
async def test_a_type_that_does_not_fit_is_refused(desk: Desk, data: Any, code: str) -> None:
    question = await untyped(desk)

    with pytest.raises(RefusedError) as refused:
        await desk.orchestrator.resolve(
            ResolveRequest(escalation_id=question, decision="choose_type", data=data), proof=ASSERTED
        )
    assert refused.value.code == code


async def test_a_process_without_a_type_has_views_too(desk: Desk) -> None:
    process_id = (await untyped(desk)).partition(".")[0]

    view = await desk.orchestrator.state(process_id, include=("plan", "report", "diagram"))

    assert (view.process_type, view.planned_by, view.steps, view.plan) == (None, None, [], None)
    assert "no plan yet" in (view.diagram or "")
    assert (await desk.orchestrator.why(process_id)).failed is False
