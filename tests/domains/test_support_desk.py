"""`resolve_ticket` from end to end: plans of a scripted model, real agents, the real engine, a home of its own."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest

from domains.planned import (
    ANSWERED,
    CUSTOMER,
    MOVE,
    ORDER,
    PERSON,
    READ,
    REFUND,
    SEARCH,
    TASKS,
    TRACK,
    Chosen,
    draft,
    proposed,
)
from domains.test_processes import CALLER, Desk, seeded
from llm.scripted import ScriptedModel
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.hosting.reviewers import Cost, Reviewers
from process_orchestrator.llm.port import Prompt
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import ProcessView, ResolveRequest, SubmitRequest

PASSPHRASE = "a long enough passphrase"
BY_ID = {each["id"]: each for each in TASKS}


class Support(Desk):
    """A desk with a model that proposes what a test tells it to."""

    def __init__(self, home: Any, orchestrator: Any, model: ScriptedModel, plans: list[list[Chosen]]) -> None:
        super().__init__(home, orchestrator)
        self.model, self.plans = model, plans

    async def work(
        self, task: str, *plans: list[Chosen], approval: Literal["policy", "plan"] = "policy"
    ) -> ProcessView:
        """Submit a task of the file with its input; the model proposes these plans, one after the other."""
        given = BY_ID[task]
        self.plans[:] = plans
        request = SubmitRequest(process_type=given["type"], task=given["task"], input=given["input"], approval=approval)
        return await self.rest(await self.orchestrator.submit(request, caller=CALLER))

    async def approve(self, view: ProcessView, proof: Proof) -> Any:
        request = ResolveRequest(escalation_id=(await self.question(view)).escalation_id, decision="approve")
        return await self.orchestrator.resolve(request, proof=proof, caller=CALLER)

    def refunds(self, order_id: str) -> list[int]:
        """What was paid back for an order, in cents."""
        with closing(sqlite3.connect(self.home.state / "cash.db")) as books:
            return [cents for (cents,) in books.execute("SELECT cents FROM refund WHERE order_id = ?", (order_id,))]

    def drafts(self) -> list[str]:
        return sorted(file.name for file in (self.home.state / "drafts").glob("*.eml"))


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Support]:
    home = seeded(tmp_path_factory.mktemp("home"))
    shutil.copy(Path(__file__).parent / "data" / "track_parcel.process.yaml", home.path / "contracts" / "support")
    Reviewers(home.make_state(), cost=Cost(n=2, r=8, p=1)).add("lea", PASSPHRASE)
    plans: list[list[Chosen]] = []

    def script(prompt: Prompt) -> Any:
        return proposed(prompt, plans.pop(0))

    model = ScriptedModel(script, tiers=(Tier.STRONG,))
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE, model=model) as orchestrator:
        yield Support(home, orchestrator, model, plans)


async def test_a_question_about_a_delivery_is_planned_tracked_and_answered(desk: Support) -> None:
    view = await desk.work("not_arrived", [ORDER, TRACK, draft("order", "shipment")])
    assert (view.status, view.planned_by, view.escalations) == ("completed", "model", [])
    assert [(step.contract or "").partition("@")[0] for step in view.steps] == [
        "order.find",
        "shipment.track",
        "mail.draft",
    ]
    assert view.output is not None
    assert view.output["outcome"] == "delivery_explained"
    assert "expected on 2026-11-25" in view.output["answer"]
    assert f"{view.output['draft_id']}.eml" in desk.drafts()
    assert "ana@example.com" not in desk.model.text_asked()


async def test_a_small_refund_that_only_a_model_planned_waits_for_a_person(desk: Support) -> None:
    """The contract asks from 50 on. But nobody wrote this plan: a careless one pays whoever only asks where it is."""
    view = await desk.work("refund_small", [ORDER, REFUND, draft("refund")])
    question = await desk.question(view)
    assert (question.kind, question.step) == ("approval", "refund_issue")
    await desk.orchestrator.cancel(view.process_id, "seen", caller=CALLER)
    assert not (desk.home.state / "cash.db").exists()


async def test_a_small_refund_needs_nobody_once_the_plan_is_approved(desk: Support) -> None:
    view = await desk.work("refund_small", [ORDER, REFUND, draft("refund")], approval="plan")
    assert (await desk.question(view)).kind == "plan"
    assert (await desk.approve(view, Proof(kind=ProofKind.TERMINAL))).status == "resolved"
    view = await desk.rest(await desk.orchestrator.state(view.process_id, caller=CALLER))
    assert view.status == "completed"
    assert desk.refunds("SO-1043") == [3200]


async def test_a_large_refund_waits_for_a_person_with_proof(desk: Support) -> None:
    view = await desk.work("refund_large", [ORDER, REFUND, draft("refund")])
    question = await desk.question(view)
    assert (question.kind, question.step, question.role) == ("approval", "refund_issue", "support_lead")
    assert question.required_assurance == "A2"
    assert (await desk.approve(view, Proof(kind=ProofKind.TERMINAL))).status == "needs_human"
    assert desk.refunds("SO-1042") == []
    proof = Proof(kind=ProofKind.PASSPHRASE, reviewer="lea", secret=PASSPHRASE)
    assert (await desk.approve(view, proof)).status == "resolved"
    view = await desk.rest(await desk.orchestrator.state(view.process_id, caller=CALLER))
    assert view.status == "completed"
    assert desk.refunds("SO-1042") == [21450]


async def test_a_question_about_how_to_is_answered_from_an_article(desk: Support) -> None:
    view = await desk.work("waterproof", [SEARCH, draft("articles")])
    assert view.output is not None
    assert view.output["outcome"] == "article_sent"
    assert "care-for-leather-boots.md" in view.output["answer"]


async def test_a_customer_who_moved_gets_the_open_order_at_the_new_address(desk: Support) -> None:
    view = await desk.work("moved", [CUSTOMER, MOVE, draft("address_change")])
    assert view.output is not None
    assert "SO-1045" in view.output["answer"]
    page = await desk.orchestrator.trace(view.process_id, step="address_change", data=True, limit=20, caller=CALLER)
    assert "Lindenweg" not in page.model_dump_json()


async def test_a_ticket_is_answered_and_marked(desk: Support) -> None:
    found = ("order_find", {"customer_email": "$.steps.ticket_read.output.customer_email"})
    told = draft("shipment", to="$.steps.ticket_read.output.customer_email")
    view = await desk.work("ticket_tracking", [READ, found, TRACK, told, ANSWERED])
    assert view.status == "completed"
    with closing(sqlite3.connect(desk.home.state / "tickets.db")) as tickets:
        assert tickets.execute("SELECT status FROM ticket WHERE ticket_id = 'T-2001'").fetchone() == ("answered",)


async def test_a_parcel_by_its_number_is_one_call_and_no_model_is_asked(desk: Support) -> None:
    asked = len(desk.model.asked)
    view = await desk.work("one_call")
    assert (view.status, view.planned_by) == ("completed", "single_call")
    assert view.output is not None
    assert view.output["shipment"]["state"] == BY_ID["one_call"]["end"]
    assert len(desk.model.asked) == asked


async def test_a_wrong_order_number_leads_to_another_plan_and_a_person(desk: Support) -> None:
    plans = [ORDER, TRACK, draft("shipment")], [PERSON, draft("decision")]
    view = await desk.work("wrong_number", *plans)
    question = await desk.question(view)
    assert (question.kind, question.step, question.role) == ("task", "person_ask", "support")
    assert "order_find has failed" in desk.model.asked[-1].messages[-1].content
    view = await desk.decide(
        view, "answer", {"decision": {"reply": "Is it SO-1047? Then it is lost; we send another."}}
    )
    assert view.status == "completed"
    assert view.output is not None
    assert view.output["outcome"] == "decided"
    assert "SO-1047" in view.output["answer"]


async def test_a_rejected_refund_pays_nothing(desk: Support) -> None:
    given = BY_ID["refund_large"]["input"] | {"order_id": "SO-1044", "customer_email": "chiara@example.net"}
    request = SubmitRequest(process_type="resolve_ticket", input=given)
    desk.plans[:] = [[ORDER, REFUND, draft("refund")], [PERSON, draft("decision")]]
    view = await desk.rest(await desk.orchestrator.submit(request, caller=CALLER))
    view = await desk.decide(view, "reject")
    assert desk.refunds("SO-1044") == []
    assert view.error is not None
    assert (view.status, view.error.code, view.error.step) == ("failed", "rejected", "refund_issue")
